"""The wheel, installed into a new environment without torch and jax, and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SITE = Path(torch.__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with nothing of this environment's path."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "VIRTUAL"))}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**kept, **environment})


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the scripts of a new environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = ("-m", "pip", "--disable-pip-version-check")
    built = run(sys.executable, *pip, "wheel", "--no-deps", "-w", folder / "dist", ROOT, cwd=folder)
    assert built.returncode == 0, built.stderr
    (wheel,) = (folder / "dist").glob("netdsl-*.whl")
    venv.create(folder / "env", with_pip=True)
    scripts = folder / "env" / "bin"
    done = run(scripts / "python", *pip, "install", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return scripts


def test_compiles_checks_and_costs_the_zoo_without_a_framework(installed: Path, tmp_path: Path) -> None:
    for framework in ("torch", "jax", "flax", "numpy"):
        assert run(installed / "python", "-c", f"import {framework}", cwd=tmp_path).returncode == 1
    nets = run(installed / "netdsl", "zoo", cwd=tmp_path).stdout
    for net in ("vgg16", "resnet50", "googlenet", "vit_b_16"):
        assert f"\n{net} " in nets
        for command in (
            ("check", net),
            ("cost", net),
            ("compile", net, "--backend", "torch", "-o", f"{net}.py"),
            ("compile", net, "--backend", "flax", "-o", f"{net}_flax.py"),
            ("compile", net, "--backend", "flax:scan", "-o", f"{net}_scan.py"),
        ):
            done = run(installed / "netdsl", *command, cwd=tmp_path)
            wrote = f"wrote {command[-1]}: {net} for " if "-o" in command else ""
            assert done.returncode == 0, command
            assert done.stderr.startswith(wrote), command
            assert len(done.stderr.splitlines()) == bool(wrote), command
        for file in (f"{net}.py", f"{net}_flax.py", f"{net}_scan.py"):
            assert f"def {net}(" in (tmp_path / file).read_text()


def test_emits_and_costs_every_net_of_the_zoo(installed: Path, tmp_path: Path) -> None:
    code = (
        "import netdsl\n"
        "from netdsl.api import zoo_names\n"
        "for name in zoo_names():\n"
        "    if name in ('supernet', 'digitssearch'): continue\n"
        "    net = netdsl.load(name)\n"
        "    print(name, net.cost().params > 0, f'def {name}(' in net.emit('torch'))\n"
    )
    done = run(installed / "python", "-c", code, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(lines) > 70
    assert all(line.endswith(" True True") for line in lines)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_building_says_what_to_install(installed: Path, tmp_path: Path, backend: str) -> None:
    code = f"import netdsl; netdsl.load('lenet').build({backend!r})"
    done = run(installed / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 1
    assert f'pip install "netdsl[{backend}]"' in done.stderr


def test_builds_where_jax_is_installed(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys, netdsl; sys.path.append(sys.argv[1]); import jax; assert 'env' in netdsl.__file__\n"
        "print(netdsl.load('lenet').build('flax')(jax.numpy.zeros((2, 32, 32, 1))).shape)"
    )
    done = run(installed / "python", "-c", code, SITE, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("(2, 10)\n", 0), done.stderr


def test_builds_where_torch_is_installed(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys, netdsl; sys.path.append(sys.argv[1]); import torch; assert 'env' in netdsl.__file__\n"
        "print(tuple(netdsl.load('lenet').build()(torch.zeros(2, 1, 32, 32)).shape))"
    )
    done = run(installed / "python", "-c", code, SITE, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("(2, 10)\n", 0), done.stderr


def test_takes_an_op_of_another_wheel(installed: Path, tmp_path: Path) -> None:
    pip = ("-m", "pip", "--disable-pip-version-check")
    example = ROOT / "examples" / "netdsl-snake"
    done = run(sys.executable, *pip, "wheel", "--no-deps", "-w", tmp_path, example, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("netdsl_snake-*.whl")
    done = run(installed / "python", *pip, "install", "--no-deps", wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(installed / "netdsl", "compile", example / "tones.net", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "class Snake(nn.Module):" in done.stdout
    code = (
        "import sys; sys.path += sys.argv[1:]; import netdsl_snake, test_snake\n"
        "assert 'env' in netdsl_snake.__file__; test_snake.test_snake()"
    )
    done = run(installed / "python", "-c", code, SITE, example, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_holds_the_packages_and_the_data_and_nothing_else(installed: Path, tmp_path: Path) -> None:
    code = "from importlib.metadata import files; print(*sorted({f.parts[0] for f in files('netdsl')}))"
    found = set(run(installed / "python", "-c", code, cwd=tmp_path).stdout.split())
    assert {name for name in found if "dist-info" not in name and name != ".."} == {
        "netdsl",
        "netdsl_flax",
        "netdsl_from_onnx",
        "netdsl_from_torch",
        "netdsl_torch",
    }
