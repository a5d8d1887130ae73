"""Weights between backends: the same numbers under other names, in other orders, or an error and nothing."""

from __future__ import annotations

import json
import math
import os
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from netdsl_torch import Backend
from torch_oracles import ZOO, build, inputs, load, reference

import netdsl
from netdsl import backend as backends
from netdsl import cli
from netdsl.api import loads
from netdsl.backend import Tensor, own_state
from netdsl.codes import CODES
from netdsl.weights import files
from netdsl.weights import safetensors as own_format
from netdsl.weights.layout import layout

Captured = pytest.CaptureFixture[str]

SMALL = """
block Unit(c):
    add:
        from x
        from x -> conv 3x3, c, bias=false as conv1 -> bn as bn1 -> conv 3x3, c, bias=false as conv2

net Small(classes = 10):
    input 3, 8x8
    stem: conv 4x4, 6, /4, pad=0
    unit1: Unit 6
    unit2: Unit 6
    patches = from unit2 -> tokens
    weight class_token [1, 6], batch=true
    from class_token, patches -> concat axis="n"
    attn: attention 2
    norm: ln
    token 0
    fc: fc classes
"""


class Mirror:
    """A backend that only has weights: kernels last axis first, q, k and v apart, equal layers on a stack."""

    name = "mirror"
    OPTIONS: ClassVar[Mapping[str, str]] = {"stack": "puts equal layers on a stack"}

    def __init__(self, stack: bool = False) -> None:
        self.stack = stack

    def lowers(self, op: Any) -> bool:
        return True

    def emit(self, net: netdsl.Network) -> str:
        return ""

    def build(self, text: str, net: netdsl.Network) -> dict[str, Any]:
        return {}

    def load(self, model: dict[str, Any], state: Mapping[str, Any], net: netdsl.Network) -> None:
        model.update(state)

    def tensors(self, net: netdsl.Network) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for node in net.graph:
            for key, shape in own_state(net, node).items():
                if key.endswith("num_batches_tracked"):
                    continue
                name = key.replace(".", "/")
                if key.endswith("in_proj_weight"):
                    c, heads = shape[1], node.op.arguments()["heads"]
                    size = (c, heads, c // heads)
                    found += [
                        Tensor(f"{name}/{part}", size, key, rows=(i * c, (i + 1) * c), axes=(1, 0))
                        for i, part in enumerate("qkv")
                    ]
                elif len(shape) == 2:
                    found.append(Tensor(name, shape[::-1], key, axes=(1, 0)))
                elif len(shape) == 4:
                    out, depth, height, width = shape
                    found.append(Tensor(name, (height, width, depth, out), key, axes=(2, 3, 1, 0)))
                else:
                    found.append(Tensor(name, shape, key))
        return tuple(self._stacked(found[::-1]) if self.stack else found[::-1])

    @staticmethod
    def _stacked(tensors: list[Tensor]) -> Iterator[Tensor]:
        alike: dict[tuple[object, ...], list[Tensor]] = {}
        for tensor in tensors:
            kind = tensor.key.rpartition("/")[2]
            alike.setdefault((kind, tensor.shape, tensor.axes), []).append(tensor)
        for number, group in enumerate(alike.values()):
            for place, tensor in enumerate(group):
                yield tensor.replace(key=f"stack{number}", place=(place, len(group)))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, type]:
    """Install the mirror, work in a fresh folder, and give the installed backends."""
    monkeypatch.chdir(tmp_path)
    known: dict[str, type] = {"torch": Backend, "mirror": Mirror}
    monkeypatch.setattr(
        backends,
        "points",
        lambda group: {name: SimpleNamespace(load=partial(known.get, name)) for name in known},
    )
    return known


@pytest.fixture
def small() -> netdsl.Network:
    return loads(SMALL)


def state_of(net: netdsl.Network, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Return random weights of a net in torch, of which no two numbers are equal by design."""
    torch.manual_seed(5)
    state = {}
    for tensor in Backend().tensors(net):
        if tensor.key.endswith("num_batches_tracked"):
            state[tensor.key] = torch.tensor(len(state))
        else:
            state[tensor.key] = torch.randn(tensor.shape).to(dtype)
    return state


def bits(array: Any) -> bytes:
    """Return an array's numbers as they lie in memory."""
    if isinstance(array, torch.Tensor):
        return array.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return np.ascontiguousarray(array).tobytes()


def refused(run: Callable[[], object]) -> netdsl.Diagnostic:
    """Return the only diagnostic that something raises."""
    with pytest.raises(netdsl.NetError) as caught:
        run()
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


def error(capsys: Captured, *args: str) -> str:
    """Run `netdsl weights` and return what it says, once nothing was written."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob("*")}
    status = cli.main(["weights", *args])
    assert {path: path.stat().st_mtime_ns for path in Path().rglob("*")} == before
    printed = capsys.readouterr()
    assert printed.out == ""
    assert status in (1, 2)
    return printed.err


# ---------------------------------------------------------------- torch's own order


@pytest.mark.parametrize("name", ZOO)
def test_tensors_are_the_state_dict_in_order(name: str) -> None:
    found = [(tensor.key, tensor.shape) for tensor in Backend().tensors(load(name))]
    assert found == [(key, tuple(value.shape)) for key, value in build(name, "meta").state_dict().items()]


def test_a_learned_tensor_is_before_the_layers_of_its_module(small: netdsl.Network) -> None:
    keys = [tensor.key for tensor in Backend().tensors(small)]
    assert keys == list(small.build().state_dict())
    assert keys[0] == "class_token"


# ---------------------------------------------------------------- in memory


def test_numbers_go_where_numpy_puts_them(small: netdsl.Network) -> None:
    state = {key: value.numpy() for key, value in state_of(small).items()}
    found = netdsl.convert_weights(small, state, "torch", "mirror")
    assert found.keys() == {tensor.key for tensor in Mirror().tensors(small)}
    assert next(iter(found)) == "fc/bias"
    np.testing.assert_array_equal(found["stem/weight"], np.einsum("oihw->hwio", state["stem.weight"]))
    np.testing.assert_array_equal(found["fc/weight"], state["fc.weight"].T)
    np.testing.assert_array_equal(found["unit1/bn1/running_var"], state["unit1.bn1.running_var"])
    np.testing.assert_array_equal(found["class_token"], state["class_token"])
    for part, rows in zip("qkv", np.split(state["attn.in_proj_weight"], 3), strict=True):
        expected = np.stack([rows[head * 3 : head * 3 + 3].T for head in range(2)], axis=1)
        np.testing.assert_array_equal(found[f"attn/in_proj_weight/{part}"], expected)


def test_equal_layers_lie_on_a_stack(small: netdsl.Network) -> None:
    state = {key: value.numpy() for key, value in state_of(small).items()}
    found = netdsl.convert_weights(small, state, "torch", "mirror:stack")
    kernels = [state[f"unit{unit}.conv{conv}.weight"] for unit in (2, 1) for conv in (2, 1)]
    expected = np.stack([np.einsum("oihw->hwio", kernel) for kernel in kernels])
    assert any(array.shape == expected.shape and (array == expected).all() for array in found.values())


DTYPES = (
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.int32,
)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("other", ["torch", "mirror", "mirror:stack"])
def test_there_and_back_is_the_same_bit_for_bit(
    small: netdsl.Network, other: str, dtype: torch.dtype
) -> None:
    state = state_of(small, dtype)
    there = netdsl.convert_weights(small, state, "torch", other)
    back = netdsl.convert_weights(small, there, other, "torch")
    assert list(back) == list(state)
    for key, value in state.items():
        counter = key.endswith("num_batches_tracked")
        if counter and other != "torch":
            assert back[key] == 0
            continue
        assert bits(back[key]) == bits(value)
        assert back[key].shape == tuple(value.shape)
        assert str(back[key].dtype) == ("int64" if counter else str(dtype).removeprefix("torch."))


@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "inception_v3", "convnext_tiny"])
def test_a_net_of_the_zoo_goes_there_and_back(name: str) -> None:
    net = load(name)
    state = state_of(net, torch.bfloat16)
    there = netdsl.convert_weights(net, state, "torch", "mirror:stack")
    back = netdsl.convert_weights(net, there, "mirror:stack", "torch")
    floats = [key for key in state if not key.endswith("num_batches_tracked")]
    assert [key for key in floats if bits(back[key]) != bits(state[key])] == []


def test_arrays_of_every_library_are_the_same(small: netdsl.Network) -> None:
    numpy = pytest.importorskip("jax.numpy")
    state = state_of(small, torch.bfloat16)
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    arrays = netdsl.convert_weights(small, state, "torch", "torch")
    parameters = {key: torch.nn.Parameter(value, requires_grad=False) for key, value in state.items()}
    swapped = {key: value.astype(value.dtype.newbyteorder(">")) for key, value in arrays.items()}
    accelerated = {key: numpy.asarray(value) for key, value in arrays.items() if value.dtype != "int64"}
    for others in (arrays, parameters, accelerated, swapped):
        found = netdsl.convert_weights(small, others, "torch", "mirror")
        expected = netdsl.convert_weights(small, state, "torch", "mirror")
        assert [key for key in expected if bits(found[key]) != bits(expected[key])] == []
        assert {str(array.dtype) for array in found.values()} == {"bfloat16"}


@pytest.mark.parametrize("target", ["torch", "mirror", "mirror:stack"])
def test_arrays_are_nobody_elses(small: netdsl.Network, target: str) -> None:
    state = state_of(small)
    for array in netdsl.convert_weights(small, state, "torch", target).values():
        assert array.flags.c_contiguous
        assert array.flags.owndata
        array[...] = 0
    assert all(value.any() for value in state.values())


def test_counters_may_lack(small: netdsl.Network) -> None:
    state = {key: value for key, value in state_of(small).items() if "num_batches" not in key}
    found = netdsl.convert_weights(small, state, "torch", "torch")
    counters = {key: value for key, value in found.items() if key not in state}
    assert [(value.dtype, value.shape, int(value)) for value in counters.values()] == [("int64", (), 0)] * 2


# ---------------------------------------------------------------- what does not fit


def test_what_is_missing_unknown_or_of_another_shape_is_listed(small: netdsl.Network) -> None:
    state = state_of(small)
    state["fc.weigth"] = state.pop("fc.weight")
    state["unit1.conv1.weight"] = state["unit1.conv1.weight"][:, :, 0]
    state["x" * 300] = torch.zeros(2, 3)
    found = refused(lambda: netdsl.convert_weights(small, state, "torch", "mirror"))
    assert found.code == "E514"
    assert found.message == (
        "the state does not fit small in torch: 1 missing, 2 unknown, 1 of another shape"
    )
    assert found.details == (
        "missing: fc.weight, 10x6",
        "unknown: fc.weigth, 10x6; did you mean `fc.weight`?",
        f"unknown: {'x' * 100}..., 2x3",
        "another shape: unit1.conv1.weight is 6x6x3, small has 6x6x3x3",
    )
    assert found.help == ""


def test_long_lists_are_cut(small: netdsl.Network) -> None:
    found = refused(lambda: netdsl.convert_weights(small, {}, "torch", "mirror"))
    assert len(found.details) == 11
    needed = sum("num_batches" not in tensor.key for tensor in Backend().tensors(small))
    assert found.details[-1] == f"missing: {needed - 10} more"


def test_another_number_of_classes_is_recognised() -> None:
    state = reference("resnet18", "cpu", num_classes=7).state_dict()
    found = refused(lambda: netdsl.convert_weights(load("resnet18"), state, "torch", "mirror"))
    assert found.help == "it fits with classes=7: --set classes=7, in Python load(..., classes=7)"
    assert netdsl.convert_weights(load("resnet18", classes=7), state, "torch", "mirror")


def test_the_other_direction_is_recognised(small: netdsl.Network) -> None:
    state = netdsl.convert_weights(small, state_of(small), "torch", "mirror:stack")
    found = refused(lambda: netdsl.convert_weights(small, state, "torch", "mirror:stack"))
    assert found.help == "these are names and shapes of the mirror:stack backend"
    found = refused(lambda: netdsl.convert_weights(small, state_of(small), "mirror", "torch"))
    assert found.help == "these are names and shapes of the torch backend"


def test_a_wrapper_is_recognised(small: netdsl.Network) -> None:
    state = {f"module.{key}": value for key, value in state_of(small).items()}
    found = refused(lambda: netdsl.convert_weights(small, state, "torch", "mirror"))
    assert found.help == "names begin with `module.`, which the net's own do not: leave it out"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"weight": 1}, "`stem.weight` is a dict, no array"),
        ("text", "`stem.weight` is a str, no array of numbers"),
        ([None], "`stem.weight` is a list, no array of numbers"),
        (np.zeros(2, "V4"), "`stem.weight` is a ndarray, no array of numbers"),
        (torch.zeros(6, 3, 4, 4, device="meta"), "`stem.weight` is on the meta device"),
        (torch.zeros(6, 3, 4, 4).to_sparse(), "`stem.weight` is sparse"),
    ],
)
def test_what_is_no_array_is_refused(small: netdsl.Network, value: object, message: str) -> None:
    state = {**state_of(small), "stem.weight": value}
    found = refused(lambda: netdsl.convert_weights(small, state, "torch", "mirror"))
    assert found.code == "E516"
    assert found.message.startswith(message)


def test_one_tensor_has_one_dtype(small: netdsl.Network) -> None:
    state = netdsl.convert_weights(small, state_of(small), "torch", "mirror")
    name = "attn/in_proj_weight/k"
    state[name] = state[name].astype("float16")
    found = refused(lambda: netdsl.convert_weights(small, state, "mirror", "torch"))
    assert found.code == "E516"
    assert found.message == (
        "`attn.in_proj_weight` of torch would hold `attn/in_proj_weight/q`, float32, and "
        "`attn/in_proj_weight/k`, float16"
    )
    assert netdsl.convert_weights(small, state, "mirror", "mirror")[name].dtype == "float16"


def test_a_backend_has_to_tell_all(
    small: netdsl.Network, installed: dict[str, type], monkeypatch: pytest.MonkeyPatch
) -> None:
    def message() -> str:
        found = refused(lambda: netdsl.convert_weights(small, {}, "mirror", "torch"))
        assert found.code == "E513"
        return found.message

    whole = Mirror().tensors(small)
    monkeypatch.setattr(Mirror, "tensors", lambda self, net: whole[1:])
    assert message() == "the mirror backend does not tell where all of `fc.bias` is"
    part = [t for t in whole if t.key != "attn/in_proj_weight/k"]
    monkeypatch.setattr(Mirror, "tensors", lambda self, net: part)
    assert message() == "the mirror backend does not tell where all of `attn.in_proj_weight` is"
    monkeypatch.setattr(Mirror, "tensors", lambda self, net: [whole[0].replace(place=(1, 2)), *whole[1:]])
    assert message() == "the mirror backend does not tell what each place of `fc/bias` holds"
    installed["mirror"] = type(
        "Emitter", (), {key: getattr(Mirror, key) for key in ("lowers", "emit", "build")}
    )
    assert message() == "the mirror backend does not tell where its weights are"


@pytest.mark.parametrize("code", ["E514", "E516"])
def test_examples_of_misuse(code: str) -> None:
    assert refused(lambda: eval(CODES[code].bad, {"netdsl": netdsl})).code == code


@pytest.mark.parametrize(("missing", "dtype"), [("numpy", torch.float32), ("ml_dtypes", torch.bfloat16)])
def test_what_is_not_installed_is_said(
    small: netdsl.Network, monkeypatch: pytest.MonkeyPatch, missing: str, dtype: torch.dtype
) -> None:
    state = state_of(small, dtype)
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    found = refused(lambda: netdsl.convert_weights(small, state, "torch", "torch"))
    assert (found.code, found.help) == ("E509", f"pip install {missing}")


# ---------------------------------------------------------------- building


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_module_is_built_with_weights(dtype: torch.dtype) -> None:
    theirs = reference("resnet18").to(dtype).eval()
    ours = load("resnet18").build("torch", weights=theirs.state_dict()).eval()
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    assert all(p.requires_grad for p in ours.parameters())
    x = inputs(load("resnet18", 64))
    assert torch.equal(ours(*x), theirs.float()(*x))


def test_a_module_is_not_built_with_other_weights(small: netdsl.Network) -> None:
    assert refused(lambda: small.build("torch", weights={})).code == "E514"
    assert small.build("mirror", weights=netdsl.convert_weights(small, state_of(small), "torch", "mirror"))


def test_flax_computes_the_same_with_the_same_weights(
    small: netdsl.Network, installed: dict[str, type]
) -> None:
    jax = pytest.importorskip("jax")
    installed["flax"] = pytest.importorskip("netdsl_flax").Backend
    state = state_of(small)
    arrays = netdsl.convert_weights(small, state, "torch", "flax")
    back = netdsl.convert_weights(small, arrays, "flax", "torch")
    learned = [key for key in state if not key.endswith("num_batches_tracked")]
    assert [key for key in learned if bits(back[key]) != bits(state[key])] == []
    state["unit1.bn1.running_var"].abs_()
    state["unit2.bn1.running_var"].abs_()
    arrays = netdsl.convert_weights(small, state, "torch", "flax")
    theirs, ours = small.build("torch", weights=state).eval(), small.build("flax", weights=arrays)
    ours.eval()
    (x,) = inputs(small)
    found = ours(jax.numpy.asarray(x.permute(0, 2, 3, 1).numpy()))
    with torch.inference_mode():
        np.testing.assert_allclose(np.asarray(found), theirs(x).numpy(), rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- files


@pytest.fixture
def spec(small: netdsl.Network) -> str:
    """Write the small net and its weights; give the spec."""
    Path("small.net").write_text(SMALL)
    safetensors.torch.save_file(state_of(small), "small.safetensors", {"note": "ours", "format": "x"})
    return "small.net"


def run(spec: str, source: tuple[str, str], target: tuple[str, str]) -> int:
    return cli.main(["weights", spec, "--from", *source, "--to", *target])


@pytest.mark.parametrize("other", ["torch", "mirror", "mirror:stack"])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.uint16, torch.complex64])
def test_files_go_there_and_back(small: netdsl.Network, spec: str, other: str, dtype: torch.dtype) -> None:
    state = state_of(small, dtype)
    safetensors.torch.save_file(state, "in.safetensors")
    assert run(spec, ("torch", "in.safetensors"), (other, "there.safetensors")) == 0
    assert run(spec, (other, "there.safetensors"), ("torch", "back.safetensors")) == 0
    there = safetensors.torch.load_file("there.safetensors")
    expected = netdsl.convert_weights(small, state, "torch", other)
    assert there.keys() == expected.keys()
    assert [key for key in there if bits(there[key]) != bits(expected[key])] == []
    assert [key for key in there if tuple(there[key].shape) != expected[key].shape] == []
    back = safetensors.torch.load_file("back.safetensors")
    floats = [key for key in state if not key.endswith("num_batches_tracked")]
    assert [key for key in floats if bits(back[key]) != bits(state[key])] == []
    assert [key for key in floats if back[key].dtype != dtype] == []
    assert [os.listdir().count(name) for name in ("there.safetensors", "back.safetensors")] == [1, 1]


def test_the_library_reads_what_is_written(spec: str) -> None:
    assert run(spec, ("torch", "small.safetensors"), ("torch", "torch.safetensors")) == 0
    assert run(spec, ("torch", "small.safetensors"), ("mirror", "mirror.safetensors")) == 0
    for name, form in (("torch", "pt"), ("mirror", "mirror")):
        for framework in ("pt", "np"):
            with safetensors.safe_open(f"{name}.safetensors", framework) as file:
                assert file.metadata() == {"note": "ours", "format": form}
                assert all(file.get_tensor(key) is not None for key in file.keys())
    before = safetensors.numpy.load_file("small.safetensors")
    after = safetensors.numpy.load_file("torch.safetensors")
    assert before.keys() == after.keys()
    assert [key for key in before if before[key].tobytes() != after[key].tobytes()] == []
    assert sorted(os.listdir()) == [
        "mirror.safetensors",
        "small.net",
        "small.safetensors",
        "torch.safetensors",
    ]


def test_tensors_are_aligned(small: netdsl.Network, spec: str) -> None:
    safetensors.torch.save_file(state_of(small, torch.bfloat16), "in.safetensors")
    assert run(spec, ("torch", "in.safetensors"), ("torch", "out.safetensors")) == 0
    with open("out.safetensors", "rb") as stream:
        header = own_format.read(stream, "out")
    assert {slice.size for slice in header.tensors.values()} == {2, 8}
    assert [slice.name for slice in header.tensors.values() if slice.start % slice.size] == []


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PT"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn])
def test_files_of_torchs(small: netdsl.Network, spec: str, suffix: str, dtype: torch.dtype) -> None:
    state = state_of(small, dtype)
    forms: list[tuple[Any, bool]] = [(state, True), (state, False)]
    if dtype.itemsize == 1:
        del forms[1]  # torch itself cannot read float8 in its old form
    names = ("state_dict", "model_state_dict", "model")
    forms += [({name: state, "optimizer": {"state": {}}, "epoch": 3}, True) for name in names]
    for number, (value, zipped) in enumerate(forms):
        torch.save(value, f"in{suffix}", _use_new_zipfile_serialization=zipped)
        assert run(spec, ("torch", f"in{suffix}"), ("mirror", f"there{number}.safetensors")) == 0
        assert run(spec, ("torch", f"in{suffix}"), ("torch", f"out{suffix}")) == 0
        back = torch.load(f"out{suffix}", weights_only=True)
        assert list(back) == list(state)
        assert [key for key in state if bits(back[key]) != bits(state[key])] == []
        assert [key for key in state if back[key].dtype != state[key].dtype] == []
    written = {Path(f"there{number}.safetensors").read_bytes() for number in range(len(forms))}
    assert len(written) == 1


class Evil:
    """What runs a command where it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (Evil(), "or more than tensors, which it would have to run"),
        ({"stem.weight": Evil()}, "or more than tensors, which it would have to run"),
        (torch.nn.Linear(1, 1), "or more than tensors, which it would have to run"),
        ([torch.zeros(1)], "it holds a list, no state_dict"),
        ({"net": {"a": torch.zeros(1)}}, "it is no state_dict: `net` is a dict, no tensor"),
        ({3: torch.zeros(1)}, "it is no state_dict: it has a int for a name"),
        (b"garbage", "torch finds no tensors in it"),
        (b"", "torch finds no tensors in it"),
        (b"PK\x03\x04garbage", "torch finds no tensors in it"),
        (None, "no such file or directory"),
    ],
)
def test_files_of_torchs_that_are_refused(spec: str, value: object, why: str, capsys: Captured) -> None:
    if isinstance(value, bytes):
        Path("in.pt").write_bytes(value)
    elif value is not None:
        torch.save(value, "in.pt")
    said = error(capsys, spec, "--from", "torch", "in.pt", "--to", "torch", "out.safetensors")
    assert said.startswith("error[E515]: cannot read in.pt: ")
    assert why in said
    assert not Path("ran").exists()


def test_a_file_of_torchs_needs_torch(spec: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({}, "in.pt")
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    said = error(capsys, spec, "--from", "torch", "in.pt", "--to", "torch", "out.safetensors")
    assert said.startswith("error[E509]: reading in.pt needs torch\n  = help: pip install torch\n")


def file_of(header: object, body: bytes = b"") -> bytes:
    """Return a file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(shape: object = (1,), offsets: object = (0, 4), dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


DAMAGED = [
    (b"", "it is cut short: 0 bytes"),
    (b"\x00" * 7, "it is cut short: 7 bytes"),
    (b"\xff" * 8 + b"{}", "it is cut short: 10 bytes"),
    (file_of(b""), "its header is no JSON"),
    (file_of(b"{'a': 1}"), "its header is no JSON"),
    (file_of(b"\xff\xfe"), "its header is no UTF-8 text"),
    (file_of([]), "its header is no object with names"),
    (file_of(b"[" * 100_000), "its header has a number too long, or brackets too deep"),
    (file_of(b'{"a": ' + b"9" * 10_000 + b"}"), "its header has a number too long, or brackets too deep"),
    (file_of(b'{"a": 1, "a": 1}'), "its header has a name twice"),
    (file_of({"\ud800": entry()}, bytes(4)), "its header is no object with names"),
    (file_of({"__metadata__": {"a": 1}}), "its metadata are no texts by name"),
    (file_of({"__metadata__": ["a"]}), "its metadata are no texts by name"),
    (file_of({"a": 3}), "the entry of `a` is not dtype, shape and data_offsets"),
    (file_of({"a": {"dtype": "F32", "shape": []}}), "the entry of `a` is not dtype, shape and data_offsets"),
    (
        file_of({"a": entry(shape=[-1])}),
        "the entry of `a` has a shape or data_offsets that are no lists of sizes",
    ),
    (file_of({"a": entry(shape=[True])}, bytes(4)), "the entry of `a` has a shape or data_offsets"),
    (file_of({"a": entry(shape=1)}), "the entry of `a` has a shape or data_offsets"),
    (file_of({"a": entry(offsets=[0, 4, 8])}), "the entry of `a` has a shape or data_offsets"),
    (file_of({"a": entry(offsets=[0.0, 4.0])}), "the entry of `a` has a shape or data_offsets"),
    (file_of({"a": entry(dtype="F4")}), "`a` has the dtype F4, which cannot be moved"),
    (file_of({"a": entry(dtype=["F32"])}), "`a` has the dtype ['F32'], which cannot be moved"),
    (file_of({"a": entry(shape=[2])}, bytes(4)), "the entry of `a` gives 4 bytes to 2 of F32"),
    (file_of({"a": entry(shape=[2**62, 2**62])}, bytes(4)), "the entry of `a` gives 4 bytes to"),
    (file_of({"a": entry(offsets=[4, 0])}), "the entry of `a` gives -4 bytes to 1 of F32"),
    (file_of({"a": entry(), "b": entry(offsets=[2, 6])}, bytes(6)), "`b` overlaps the tensor before it"),
    (file_of({"a": entry(), "b": entry()}, bytes(4)), "`b` overlaps the tensor before it"),
    (file_of({"a": entry(), "b": entry(offsets=[5, 9])}, bytes(9)), "`b` leaves a gap before it"),
    (file_of({"a": entry()}, bytes(3)), "its header speaks of 4 bytes of numbers, it has 3"),
    (file_of({"a": entry()}, bytes(5)), "its header speaks of 4 bytes of numbers, it has 5"),
]


@pytest.mark.parametrize(("text", "why"), DAMAGED)
def test_damaged_files_are_refused(spec: str, text: bytes, why: str, capsys: Captured) -> None:
    Path("in.safetensors").write_bytes(text)
    said = error(capsys, spec, "--from", "torch", "in.safetensors", "--to", "torch", "out.safetensors")
    assert said.startswith(f"error[E515]: cannot read in.safetensors: {why}")
    with pytest.raises((safetensors.SafetensorError, OSError, KeyError, ValueError)):
        safetensors.numpy.load_file("in.safetensors")


def test_a_header_has_a_limit(spec: str, capsys: Captured) -> None:
    with open("in.safetensors", "wb") as stream:
        stream.write((200_000_000).to_bytes(8, "little"))
        stream.truncate(300_000_000)  # nothing of it is on the disk
    said = error(capsys, spec, "--from", "torch", "in.safetensors", "--to", "torch", "out.safetensors")
    assert "its header would be 200,000,000 bytes, and 16,000,000 are the most" in said


WHOLE = safetensors.numpy.save({"a": np.ones((2, 3), "f4"), "b": np.ones((), "i8")}, {"format": "pt"})


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4), st.integers(0, 9)
)
def test_what_the_library_refuses_is_refused(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    Path("any.safetensors").write_bytes(data[: len(data) - cut])
    try:
        with files.opened(Path("any.safetensors")) as weights:
            found = {key: value.read().tobytes() for key, value in weights.tensors.items()}
    except netdsl.NetError:
        return
    library = dict(safetensors.deserialize(Path("any.safetensors").read_bytes()))
    assert found == {key: bytes(value["data"]) for key, value in library.items()}


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        (
            "in.bin",
            "out.safetensors",
            "in.bin has no form of weights: its name has to end in .safetensors, .pt or",
        ),
        ("small.safetensors", "out", "out has no form of weights"),
    ],
)
def test_names_that_are_refused(spec: str, source: str, target: str, said: str, capsys: Captured) -> None:
    assert error(capsys, spec, "--from", "torch", source, "--to", "torch", target).startswith(
        f"error[E517]: {said}"
    )


def test_only_torch_has_files_of_torchs(spec: str, capsys: Captured) -> None:
    said = error(capsys, spec, "--from", "torch", "small.safetensors", "--to", "mirror", "out.pt")
    assert said.startswith("error[E517]: out.pt would be a file of torch's, for mirror\n")


def test_where_nothing_can_be_written(spec: str, capsys: Captured) -> None:
    arguments = spec, "--from", "torch", "small.safetensors", "--to", "torch"
    said = error(capsys, *arguments, "no/out.safetensors")
    assert said.startswith("error[E510]: cannot write no/out.safetensors: no such file or directory\n")
    Path("folder.safetensors").mkdir()
    assert error(capsys, *arguments, "folder.safetensors").startswith("error[E510]: ")
    assert error(capsys, *arguments[:2], "torch", "folder.safetensors", *arguments[4:], "a.pt").startswith(
        "error[E515]: cannot read folder.safetensors: is a directory"
    )


def test_weights_of_another_net_are_refused(spec: str, capsys: Captured) -> None:
    state = state_of(loads(SMALL, classes=4))
    state["\x1b[31m"] = torch.zeros(1)
    safetensors.torch.save_file(state, "in.safetensors")
    said = error(capsys, spec, "--from", "torch", "in.safetensors", "--to", "mirror", "out.safetensors")
    assert said.startswith(
        "error[E514]: in.safetensors does not fit small in torch: 1 unknown, 2 of another shape\n"
    )
    assert "\x1b" not in said
    del state["\x1b[31m"]
    safetensors.torch.save_file(state, "in.safetensors")
    assert (
        cli.main(
            [
                "weights",
                spec,
                "--set",
                "classes=4",
                "--from",
                "torch",
                "in.safetensors",
                "--to",
                "mirror",
                "a.safetensors",
            ]
        )
        == 0
    )


@pytest.mark.parametrize(("raised", "status"), [(KeyboardInterrupt, 130), (OSError(28, "No space left"), 2)])
@pytest.mark.parametrize("target", ["out.safetensors", "out.pt"])
def test_an_interruption_leaves_what_was_there(
    spec: str,
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException | type[BaseException],
    status: int,
    target: str,
) -> None:
    Path(target).write_bytes(b"old")
    before = sorted(os.listdir())
    seen: list[list[str]] = []
    read = own_format.Slice.read

    def stop(self: own_format.Slice, place: int | None = None) -> Any:
        seen.append(sorted(os.listdir()))
        if len(seen) == 5:
            raise raised
        return read(self, place)

    monkeypatch.setattr(own_format.Slice, "read", stop)
    assert run(spec, ("torch", "small.safetensors"), ("torch", target)) == status
    assert len(seen[-1]) == len(before) + 1  # the new file was beside the old one
    assert sorted(os.listdir()) == before
    assert Path(target).read_bytes() == b"old"


def test_a_file_that_shrinks_is_noticed(spec: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    check = files.Move.__init__

    def shrink(self: files.Move, *args: Any) -> None:
        check(self, *args)
        os.truncate("small.safetensors", 2000)

    monkeypatch.setattr(files.Move, "__init__", shrink)
    assert run(spec, ("torch", "small.safetensors"), ("torch", "out.safetensors")) == 2
    assert "it ends sooner than when it was opened" in capsys.readouterr().err
    assert not Path("out.safetensors").exists()


# ---------------------------------------------------------------- memory

WIDTH, LAYERS = 2048, 12
LARGE = f"net Large:\n    input {WIDTH}\n" + "".join(
    f"    fc{i}: fc {WIDTH}, bias=false\n" for i in range(LAYERS)
)
TENSOR = WIDTH * WIDTH * 4


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("torch", "torch"),
        ("torch", "mirror"),
        ("torch", "mirror:stack"),
        ("mirror:stack", "torch"),
        ("mirror", "mirror:stack"),
    ],
)
def test_a_file_of_200_megabytes_takes_the_memory_of_one_tensor(source: str, target: str) -> None:
    net = loads(LARGE)
    Path("large.net").write_text(LARGE)
    shapes = layout(net, source).shapes
    end, header = 0, {}
    for key, shape in shapes.items():
        header[key] = entry(shape, (end, end + 4 * math.prod(shape)))
        end += 4 * math.prod(shape)
    assert end > 200_000_000
    with open("in.safetensors", "wb") as stream:
        stream.write(file_of(header))
        block = np.arange(TENSOR // 4, dtype="f4")
        for number in range(LAYERS):
            block[0] = -number
            stream.write(block.data)
    tracemalloc.start()
    try:
        assert run("large.net", (source, "in.safetensors"), (target, "out.safetensors")) == 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert TENSOR < peak < 1.6 * TENSOR
    with safetensors.safe_open("out.safetensors", "np") as file:
        first = next(iter(file.keys()))
        assert file.get_tensor(first).size == (LAYERS if "stack" in target else 1) * WIDTH * WIDTH
        total = sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())
    assert 4 * total == end
