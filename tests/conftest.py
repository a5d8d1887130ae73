"""What the tests share."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Generator, Iterator
from importlib import import_module
from types import ModuleType

import pytest
from hypothesis import settings

# a change is judged by the same examples each time it is looked at; who works on it draws new ones
settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# compiling is nearly all that XLA does for the small nets of the tests, and it takes a ninth of the time so
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
)

for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR"):
    os.environ.pop(name, None)  # output is as a pipe gets it, whoever runs the tests


def import_torchvision() -> ModuleType:
    """Import torchvision; where its compiled ops do not load, with empty ones in their place."""
    try:
        return import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor d, Tensor s, float t) -> Tensor")
        library.define("qnms(Tensor d, Tensor s, float t) -> Tensor")
        module = import_module("torchvision")
        module.__dict__["netdsl_library"] = library  # it is undefined again when nobody holds it
        return module


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect tests without collecting garbage; what all of them share is not looked through again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def front_ends_are_installed(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Register the front ends of this checkout where what is installed is older, and has none."""
    from netdsl import ops

    if {"torch", "onnx"} <= {*ops.points("netdsl.frontends")}:
        return
    info = tmp_path_factory.mktemp("frontends") / "netdsl_frontends-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: netdsl-frontends\nVersion: 1.0\n")
    points = "torch = netdsl_from_torch:FrontEnd\nonnx = netdsl_from_onnx:FrontEnd\n"
    (info / "entry_points.txt").write_text(f"[netdsl.frontends]\n{points}")
    sys.path.append(str(info.parent))
    ops.points.cache_clear()


@pytest.fixture(autouse=True)
def heap_is_trimmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give back to the system what a proof leaves free: glibc keeps gigabytes, and processes run side by side."""
    yield
    if request.node.get_closest_marker("proof") and sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)


@pytest.fixture
def tracers_without_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare traced values the search for where they come from, for a message that nobody reads.

    Flax causes one with each running statistic that it writes, and each goes through all that was traced before.
    """
    partial_eval = import_module("jax._src.interpreters.partial_eval")
    monkeypatch.setattr(partial_eval.DynamicJaxprTracer, "_origin_msg", lambda _: "")


@pytest.fixture(scope="session")
def torchvision() -> ModuleType:
    """Give torchvision, the reference that nobody here wrote."""
    return import_torchvision()
