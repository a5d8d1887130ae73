"""Backends and ops from other distributions are found through their entry points.

The backend is that of backends/README.md, the op that of examples/netdsl-snake.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from torch_oracles import ENVIRONMENT

ROOT = Path(__file__).parents[1]
SNAKE = ROOT / "examples" / "netdsl-snake"
PAGE = (ROOT / "backends" / "README.md").read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the distribution as an installer would leave it."""
    folder = tmp_path_factory.mktemp("site")
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.M | re.S)
    toml, *_ = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.M | re.S)
    (point,) = re.findall(r'^(\w+) = "(.*)"$', toml, flags=re.M)
    (folder / "netdsl_listing.py").write_text(code)
    install(folder, "netdsl-listing", {"netdsl.backends": dict([point])})
    return folder


@pytest.fixture(scope="module")
def ops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with the example, and with what is wrong."""
    folder = tmp_path_factory.mktemp("ops")
    (folder / "netdsl_snake.py").write_text((SNAKE / "netdsl_snake.py").read_text())
    install(
        folder,
        "netdsl-snake",
        tomllib.loads((SNAKE / "pyproject.toml").read_text())["project"]["entry-points"],
    )
    wrong = {"lost": "no_such_module:Lost", "viper": "netdsl_snake:Snake", "relu": "netdsl_snake:Snake"}
    install(folder, "netdsl-wrong", {"netdsl.ops": wrong})
    return folder


def install(folder: Path, name: str, points: dict[str, dict[str, str]]) -> None:
    """Register the entry points of a distribution as an installer would."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in own.items()) for group, own in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))


def python(site: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run python where the distribution is installed."""
    paths = os.pathsep.join([str(site), ENVIRONMENT["PYTHONPATH"]])
    environment = {**ENVIRONMENT, "PYTHONPATH": paths}
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=environment, cwd=site
    )


def test_the_command_takes_it(site: Path) -> None:
    done = python(site, "-m", "netdsl", "compile", "vgg16", "--backend", "listing")
    assert done.stderr == ""
    assert done.stdout.startswith("LAYERS = [('features.0', 'conv'), ('features.1', 'relu'), ")


def test_a_network_builds_with_it(site: Path) -> None:
    done = python(site, "-c", "import netdsl; print(netdsl.load('lenet').build('listing')[-1])")
    assert done.stdout == "('fc3', 'fc')\n"


def test_what_it_lacks_is_an_error_at_the_layer(site: Path) -> None:
    done = python(site, "-m", "netdsl", "compile", "vit_b_16", "--backend", "listing")
    assert done.returncode == 1
    assert "error[E507]: the listing backend has no `attention`" in done.stderr
    assert "--> vit.net:" in done.stderr


def test_an_unknown_backend_is_an_error_that_lists_it(site: Path) -> None:
    done = python(site, "-m", "netdsl", "compile", "lenet", "--backend", "listin")
    assert done.returncode == 2
    assert "did you mean `listing`" in done.stderr


def test_an_op_keeps_the_conformance_kit(ops: Path) -> None:
    done = python(
        ops, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, str(SNAKE / "test_snake.py")
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_op_is_a_layer_an_argument_and_a_default(ops: Path) -> None:
    done = python(ops, "-m", "netdsl", "verify", str(SNAKE / "tones.net"))
    assert done.returncode == 0, done.stdout + done.stderr
    (ops / "default.net").write_text(
        "net N:\n    input 3, 8x8\n    default conv act=snake\n    conv 3x3, 4 as a\n"
    )
    assert "a_act  snake" in python(ops, "-m", "netdsl", "cost", "default.net").stdout
    (ops / "init.net").write_text(
        "net N:\n    input 3, 8x8\n    init snake alpha=constant(0.5)\n    a: snake\n    b: conv 3x3, 4\n"
    )
    code = "import netdsl; print(netdsl.load('init.net').build({!r}).a.alpha{}.tolist())"
    for backend, taken in (("torch", ""), ("flax", "[...]")):
        assert python(ops, "-c", code.format(backend, taken)).stdout == "[0.5, 0.5, 0.5]\n"


@pytest.mark.parametrize("after", ["gap\n    fc: fc 2", "identity"], ids=["inside", "at the end"])
def test_an_op_whose_shapes_are_others_is_seen(after: str, tmp_path: Path) -> None:
    """By each backend: the module makes another map than the op says, whether it is returned or not."""
    right, wrong = "        return x[0]\n", '        return x[0].with_size("h", x[0].size("h") + 1)\n'
    code = (SNAKE / "netdsl_snake.py").read_text()
    assert code.count(right) == 1
    (tmp_path / "netdsl_snake.py").write_text(code.replace(right, wrong))
    install(
        tmp_path,
        "netdsl-snake",
        tomllib.loads((SNAKE / "pyproject.toml").read_text())["project"]["entry-points"],
    )
    (tmp_path / "n.net").write_text(f"net N:\n    input 3, 8x8\n    a: snake\n    {after}\n")
    done = python(tmp_path, "-m", "netdsl", "verify", "n.net")
    assert done.returncode == 1, done.stdout + done.stderr
    for backend in ("torch", "flax"):
        assert f"{backend}: shapes of layers and containers: a: 3x8x8 instead of 3x9x8" in done.stdout


def test_an_op_is_explained_and_meant(ops: Path) -> None:
    assert "weights: alpha [4]" in python(ops, "-m", "netdsl", "explain", "snake").stdout
    (ops / "meant.net").write_text("net N:\n    input 3, 8x8\n    a: snak\n")
    assert "did you mean `snake`?" in python(ops, "-m", "netdsl", "check", "meant.net").stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a: lost", "the op `lost` of netdsl-wrong cannot be imported: ModuleNotFoundError"),
        ("a: viper", "the op `viper` of netdsl-wrong is netdsl_snake:Snake, which is no op of that name"),
        ("a: snake channels=3", "snake has no argument `channels`"),
        ("flatten -> fc 4 -> relu", ""),  # an op of the language stays what it is
    ],
)
def test_an_op_that_is_none_is_an_error_at_its_place(ops: Path, line: str, message: str) -> None:
    (ops / "wrong.net").write_text(f"net N:\n    input 3, 8x8\n    {line}\n")
    done = python(ops, "-m", "netdsl", "compile", "wrong.net")
    assert "Traceback" not in done.stderr
    assert message in done.stderr
    assert ("--> wrong.net:3:" in done.stderr) == bool(message)


def test_a_name_that_an_op_needs_is_taken(ops: Path) -> None:
    (ops / "taken.net").write_text(
        "block Snake(c):\n    conv 3x3, c as a\n    bn as b\n\n"
        "net N:\n    input 3, 8x8\n    a: snake\n    b: Snake 4\n"
    )
    done = python(ops, "-m", "netdsl", "compile", "taken.net")
    assert "`Snake` is a name that the op snake needs" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_in_a_spec_is_found_first(ops: Path) -> None:
    """No distribution is looked for where all names are known."""
    code = (
        "import sys; from netdsl import cli, ops; cli.main(['cost', 'resnet18']); "
        "print(ops.points.cache_info().misses, file=sys.stderr)"
    )
    assert python(ops, "-c", code).stderr == "0\n"


def test_a_record_whose_fields_are_no_texts_is_refused() -> None:
    code = "from netdsl.ops.activation import Activation\nclass Bend(Activation):\n    b: float = 4.0\n"
    with pytest.raises(TypeError, match="from __future__ import annotations"):
        exec(compile(code, "bend.py", "exec", dont_inherit=True), {"__name__": "bend"})
