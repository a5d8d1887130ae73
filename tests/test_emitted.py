"""The text of emitted modules: style, types, imports, determinism, safety, arguments, length."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import flax_oracles
import pytest
import torch
from assignment import unassigned
from flax import nnx
from torch_oracles import ENVIRONMENT, ZOO, emitted, execute, spec_of, tensors
from zoo import SPACE_FILES

import netdsl
from netdsl import Network, data
from netdsl.api import loads, read_text, recipes
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError
from netdsl.elaborate.names import GLOBALS

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"
FORMS = ("torch", *flax_oracles.FORMS)
BOTH = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mobilenet_v3_large",
    "nasnet_a_mobile",
    "shufflenet_v2_x1_0",
    "vit_b_16",
)
TORCH = (
    *BOTH,
    "alexnet",
    "lenet",
    "preact_resnet50",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "se_resnet50",
    "vgg16",
    "zfnet",
)
FLAX = (*BOTH, "lenet", "preact_resnet50", "resnet18", "resnet50", "se_resnet50", "vgg16")
GOLDENS = [
    *(("torch", name) for name in TORCH),
    *(("flax", name) for name in FLAX),
    ("flax:scan", "resnet50"),
]
RULES = "E,F,W,I,UP,B,C4,SIM,RUF,ANN,PLW,PIE,RET,PERF,RSE,PT,TID,ISC,FLY"
IGNORED = {
    "torch": "RET504",  # `x = self.fc(x)` then `return x` frees the layer's input first, and reads as those before it
    "flax": "RET504,ANN401",  # what a subclass of an nnx layer passes on to it
}
ALLOWED = {
    "torch": {"torch", "collections", "functools", "math", "typing"},
    "flax": {"jax", "flax", "collections", "functools", "math", "typing"},
}


def source(name: str, form: str) -> str:
    """Return the source of a net of the zoo."""
    return emitted(name) if form == "torch" else flax_oracles.emitted(name, form)


def file_name(name: str, form: str) -> str:
    """Return what the file of a net is called here."""
    return f"{name}_scan.py" if form == "flax:scan" else f"{name}.py"


def built(text: str, form: str, name: str) -> Any:
    """Return the module that a text's factory makes."""
    options = {} if form == "torch" else {"rngs": nnx.Rngs(0)}
    return execute(text)[name](**options)


@pytest.fixture(scope="module", params=["torch", pytest.param("flax", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest) -> str:
    """Give each backend."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with every emitted file of the zoo, and a module for each family."""
    path = tmp_path_factory.mktemp(backend)
    for file in data.names("specs", ".net"):
        if file not in SPACE_FILES:
            for name, text in emit_family(netdsl.load_family(file), backend).items():
                (path / f"family_{name}").write_text(text)
    for name in ZOO:
        for form in FORMS:
            if form.partition(":")[0] == backend:
                (path / file_name(name, form)).write_text(source(name, form))
    return path


def tool(*command: str | Path) -> str:
    """Run a tool of the test environment; return what it found."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, env=ENVIRONMENT)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def mypy(path: Path) -> str:
    """Type-check emitted files, with definite assignment; return what is wrong.

    All tests do so with the same options: with others mypy forgets what it knows of the frameworks, and reads them
    again.
    """
    return tool(
        *("mypy", "--strict", "--config-file", os.devnull, "--cache-dir", ROOT / ".mypy_cache"),
        *("--enable-error-code", "possibly-undefined", path),
    )


@pytest.mark.parametrize(("form", "name"), GOLDENS)
def test_golden(form: str, name: str) -> None:
    file = GOLDEN / ("" if form == "torch" else "flax") / file_name(name, form)
    if os.environ.get("NETDSL_UPDATE"):
        file.write_text(source(name, form))
    assert source(name, form) == file.read_text()


def test_ruff_finds_nothing(folder: Path, backend: str) -> None:
    options = ("--isolated", "--no-cache", "--target-version", "py311", "--line-length", "100")
    assert tool("ruff", "check", *options, "--select", RULES, "--ignore", IGNORED[backend], folder) == ""


def test_every_name_is_bound_before_it_is_read(folder: Path) -> None:
    files = sorted(folder.rglob("*.py"))
    assert files
    assert {path.name: found for path in files if (found := unassigned(path.read_text()))} == {}


def test_ruff_would_format_nothing(folder: Path) -> None:
    assert (
        tool(
            "ruff", "format", "--isolated", "--no-cache", "--check", "--diff", "--line-length", "100", folder
        )
        == ""
    )


WIDE = "3x3 if index == 0 or make_divisible(base_width*index, group_width) > longest_width else 1x1"
LONG = f"""
block Unit(c, k: dims = 3x3, stride = 1):
    conv: conv 3x3, c
    add:
        from conv -> maxpool 3x3, /stride, pad=1
        lateral: conv k, c, /stride

block Asked(first_layers_stride = 1, second_layers_channels = 4, last_layers_groups = 1, layers: list = [1]):
    if first_layers_stride != 1 and second_layers_channels != 4 and last_layers_groups != 1 or layers[0] > 100:
        extra: conv 1x1, 4
    if first_layers_stride == 1 and second_layers_channels == 4 and last_layers_groups == 1 and layers[0] > 2:
        conv: conv 3x3, 4
    else:
        conv: conv 1x1, 4

net Long(base_width = 8, group_width = 4, longest_width = 3):
    input 4, 16x16
    for index in range(3):
        block{{index}}: Unit make_divisible(base_width + 2*index, group_width), k={WIDE}
    asked: Asked
    again: Asked 2, 5, 3, [4]
    for index in range(2):
        unit{{index}}: Unit 8, 3x3, stride=2 if index == 1 and base_width > 2*group_width else 1
    gap
"""


MANY = """
net Many(repeats = 1, first_stride = 1, second_stride = 1, classes = 3, patch: dims = 2x2, drop1 = 0.1, drop2 = 0.1):
    input 4, 16x16
    a: conv 3x3, 4, /first_stride
    b: repeats * conv 3x3, 4
    c: conv patch, 4, /second_stride, pad=0
    dropout drop1
    gap
    dropout drop2
    fc: fc classes
"""


@pytest.mark.parametrize("form", ["torch", "flax"])
def test_long_messages_are_broken(form: str, tmp_path: Path) -> None:
    file = tmp_path / "many.py"
    file.write_text(loads(MANY, "many.net").emit(form))
    options = ("--isolated", "--no-cache", "--target-version", "py311", "--line-length", "100")
    assert tool("ruff", "check", *options, "--select", RULES, "--ignore", IGNORED[form], file) == ""
    assert tool("ruff", "format", "--isolated", "--no-cache", "--diff", "--line-length", "100", file) == ""
    with pytest.raises(ValueError, match="second_stride, classes and patch at least 1"):
        execute(file.read_text())["Many"](classes=0, **({} if form == "torch" else {"rngs": nnx.Rngs(0)}))


@pytest.mark.parametrize("form", ["torch", "flax"])
def test_what_is_too_long_for_a_line_is_broken_as_ruff_does(form: str, tmp_path: Path) -> None:
    file = tmp_path / "long.py"
    file.write_text(loads(LONG, "long.net").emit(form))
    assert max(map(len, file.read_text().splitlines())) <= 100
    assert tool("ruff", "format", "--isolated", "--no-cache", "--diff", "--line-length", "100", file) == ""


@pytest.mark.slow
def test_mypy_strict_finds_nothing(folder: Path) -> None:
    assert mypy(folder) == ""


def imports(text: str) -> tuple[set[str], set[str]]:
    """Return the packages that a file imports, and the names that it gives to what it imports."""
    packages, names = set(), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.Import):
            packages |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            packages.add((node.module or "").partition(".")[0])
    return packages, names


def test_imports_the_framework_and_a_few_modules_of_the_standard_library_only(
    folder: Path, backend: str
) -> None:
    for file in folder.iterdir():
        packages, names = imports(file.read_text())
        assert packages <= ALLOWED[backend], file.name
        assert names <= GLOBALS, "a spec could give one of these names"
        if file.name == "vgg16.py" and backend == "torch":  # no block of it is an argument
            assert packages == {"torch"}


@pytest.mark.parametrize("name", ZOO)
def test_forward_has_no_control_flow_but_what_is_allowed(name: str) -> None:
    helpers = ("DropPath", "Conv2dSame")
    for cls in ast.walk(ast.parse(emitted(name))):
        if not isinstance(cls, ast.ClassDef) or cls.name in helpers:
            continue
        for node in ast.walk(cls):
            if isinstance(node, ast.FunctionDef) and node.name == "forward":
                tests = [
                    ast.unparse(n.test)
                    for n in ast.walk(node)
                    if isinstance(n, (ast.If, ast.IfExp, ast.While))
                ]
                targets = [n.target for n in ast.walk(node) if isinstance(n, ast.For)]
                turns = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
                own = "|".join([r"self\.\w+", *turns])  # the constructor's arguments, and loops' variables
                allowed = re.compile(
                    rf"(self\.)?\w+( is None| is not None)?|(not )?({own})( (and|==|>) (\d+|{own}))*"
                )
                tests = [
                    test.removeprefix("is_scripting() or ") for test in tests
                ]  # a record is always one there
                parts = [part for test in tests for part in re.split(" and | or ", test)]
                assert [part for part in parts if not allowed.fullmatch(part)] == []


@pytest.mark.slow
def test_is_the_same_in_another_process() -> None:
    program = (
        "import hashlib, sys\nfrom netdsl import load\n"
        "for argument in sys.argv[1:]:\n"
        "    form, _, spec = argument.partition(' ')\n"
        "    print(hashlib.sha256(load(spec).emit(form).encode()).hexdigest())\n"
    )
    files = [("torch", name) for name in ZOO]
    files += [(form, name) for form in flax_oracles.FORMS for name in [*FLAX, "vit_b_16", "googlenet"]]
    command = [sys.executable, "-c", program, *(f"{form} {spec_of(name)}" for form, name in files)]
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    environment = {**ENVIRONMENT, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    ours = [hashlib.sha256(source(n, form).encode()).hexdigest() for form, n in files]
    assert done.stdout.split() == ours


@pytest.mark.parametrize("form", FORMS)
def test_the_command_writes_the_same_bytes(form: str, tmp_path: Path) -> None:
    file = tmp_path / "resnet18.py"
    command = [sys.executable, "-m", "netdsl", "compile", "resnet18", "--backend", form, "-o", file]
    subprocess.run(command, env=ENVIRONMENT, check=True, cwd=tmp_path)
    assert file.read_bytes() == source("resnet18", form).encode()


SPEC = """\
# a comment
net Small(classes = 10):
    meta year=2014, title="A title"
    input 3, 8x8
    require params <= 1M
    @allow(huge_fc, "a reason")
    conv1: conv 3x3, 4, act=relu  # another
    gap
    fc: fc classes
"""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", '# """ import os # é'),
        ("year=2014", "year=1, arxiv=\"''' + x'y\""),
        ('"A title"', '"{0} %s # é"'),
        ("<= 1M", "<= 1G, macs <= 1T"),
        ("    require params <= 1M\n", ""),
        ('    @allow(huge_fc, "a reason")\n', ""),
        ('"a reason"', '"another; import os"'),
        ("  # another", ""),
    ],
)
def test_facts_and_comments_change_docstrings_only(old: str, new: str, form: str) -> None:
    assert old in SPEC
    changed = loads(SPEC.replace(old, new), "small.net", "small").emit(form)
    plain = loads(SPEC, "small.net", "small").emit(form)
    assert bones(ast.parse(changed)) == bones(ast.parse(plain))
    assert changed.isascii()
    assert changed.count('"""') == plain.count('"""')


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name",
    [
        '""" + __import__("os").abort() + """.net',
        'a\nimport os\n"""\nimport os.net',
        '\'\\x22"""\\.net',
        "a\r\u2028\u2029\x0bb.net",
        "\\N{BULLET}\u202e.net",
        "a" * 300 + ".net",
    ],
)
def test_a_files_name_never_becomes_code(name: str, form: str) -> None:
    plain = loads(SPEC, "small.net", "small").emit(form)
    text = loads(SPEC, name, "small").emit(form)
    assert len(text.splitlines()) == len(plain.splitlines())
    assert bones(ast.parse(text)) == bones(ast.parse(plain))
    built(text, form, "small")


def bones(tree: ast.AST) -> str:
    """Return a tree without the text of its docstrings."""
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def family(body: str) -> list[Network]:
    """Return three nets of one text, with a flag and without."""
    text = f"net N(flag = false):\n    input 4, 8x8\n    {body}\n    c: conv 1x1, 4\n\n"
    text += "variant a = N(true)\nvariant b = N(false)\n"
    return [Network(recipe) for recipe in recipes(read_text(text), "", {}, {})]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "body",
    [
        "l1:\n        train output aux: gap -> fc 3",
        "l1:\n        l2:\n            train output aux: from flow",
        "l1:\n        k: conv 1x1, 4\n        train output aux: gap -> fc 3\n        m: conv 1x1, 4",
        "l1:\n        if flag:\n            k: conv 1x1, 8\n        train output aux: gap -> fc 3",
        "l1:\n        train output aux: gap -> fc 3 when flag",
    ],
)
def test_a_container_returns_the_same_in_training(form: str, body: str) -> None:
    with pytest.raises(NetError, match=r"a training-only output inside l1(\.l2)? cannot be written"):
        emit_family(family(body), form)


@pytest.mark.parametrize(
    "body",
    [
        "l1:\n        if flag:\n            output aux: gap -> fc 3\n    r: relu",
        "l1:\n        k: conv 1x1, 4\n        output aux: gap -> fc 3 when flag\n        m: conv 1x1, 4",
    ],
)
def test_an_output_of_a_container_under_a_condition_is_there_or_not(body: str) -> None:
    nets = family(body)
    (text,) = emit_family(nets, "torch").values()
    made = execute(text)
    assert unassigned(text) == []
    for net in nets:
        model, x = made[net.name](), torch.randn(2, 4, 8, 8)
        for training in (True, False):
            found = tensors(model.train(training)(x))
            assert [tuple(t.shape[1:]) for t in found] == [tuple(s) for s in net.outputs.values()]


@pytest.mark.parametrize("form", FORMS)
def test_labels_are_strings_in_the_code(form: str) -> None:
    net = loads(
        'net N():\n    input 3, 8x8\n    a:\n        "add": conv 3x3, 4\n        relu\n', "n.net", "n"
    )
    model = built(net.emit(form), form, "n")
    keys = [*model.state_dict()] if form == "torch" else [*flax_oracles.state_of(model)]
    assert {key.rpartition(".")[0] for key in keys} == {"a.add"}


def arguments(text: str, name: str) -> list[str]:
    """Return the arguments of a function of a module."""
    (function,) = (n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name)
    return [arg.arg for arg in function.args.args]


def test_a_parameter_nobody_gave_stays_an_argument() -> None:
    assert arguments(emitted("vgg16"), "vgg16") == ["classes"]
    assert arguments(emitted("vgg.net:vgg16"), "vgg16") == ["drop", "classes"]
    assert arguments(emitted("alexnet"), "alexnet") == ["drop", "classes"]
    model = execute(emitted("alexnet"))["alexnet"](drop=0.25, classes=7)
    assert (model.classifier[0].p, model.classifier[6].out_features) == (0.25, 7)


def test_a_given_parameter_is_the_factorys_default() -> None:
    text = netdsl.load("vgg.net:vgg16", classes=10, drop=0.3).emit()
    assert "def vgg16(drop: float = 0.3, classes: int = 10) -> VGG:" in text
    assert execute(text)["vgg16"]().classifier[6].out_features == 10


def test_what_a_variant_gives_is_in_the_factorys_call() -> None:
    text = netdsl.load("vgg.net:vgg16", depths=[3, 2, 3, 3, 3]).emit()
    assert "def vgg16(drop: float = 0.5, classes: int = 1000) -> VGG:" in text
    assert "return VGG([3, 2, 3, 3, 3], drop=drop, classes=classes)" in text


def test_a_list_that_is_unpacked_has_as_many_items() -> None:
    made = execute(emitted("resnet18"))
    with pytest.raises(ValueError, match=r"^len\(n\) must be 4, n at least 0, classes at least 1$"):
        made["ResNet"](made["BasicBlock"], [2, 2, 2])


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_choice_between_what_is_equal_is_none(backend: str) -> None:
    text = netdsl.load("efficientnet_b0").emit(backend)
    assert "if hidden != in_channels:" in text
    assert "else in_channels" not in text
    text = loads(
        "net N(p = 0.2):\n    input 15, 6x19\n    flatten\n    a:\n        [fc 1710 when p > 0]\n        fc 10\n"
    ).emit(backend)
    assert "Linear(1710, 10" in text


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_variable_changes_where_its_condition_stands(backend: str) -> None:
    text = netdsl.load("convnext_tiny").emit(backend)
    assert "                channels = w\n" in text
    assert "else channels" not in text


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_what_the_spec_calls_one_number_is_not_what_changes(backend: str) -> None:
    text = loads(
        "net N(n = 2):\n    input 3, 8x8\n    stem = 4*n\n    conv 3x3, stem\n    n * conv 3x3, 5\n    gap\n"
    ).emit(backend)
    assert text.count("stem = ") == 1
    assert "channels = stem" in text


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_values_are_called_by_the_labels_that_they_are_read_by(backend: str) -> None:
    text = loads(
        "net N:\n    input 3, 8x8\n    enc: conv 3x3, 4\n    mid: conv 3x3, 4\n    gate: conv 3x3, 4\n"
        "    add:\n        identity\n        from enc\n    concat:\n        left: conv 3x3, 4\n"
        "        conv 3x3, 4 as one -> conv 3x3, 5 as two\n    gap\n"
    ).emit(backend)
    assert "enc = self.enc(x)" in text
    assert "x = self.mid(enc)" in text
    assert "left = self.left(x)" in text
    assert "(left, self.two(x))" in text


def test_a_check_on_a_side_and_after_it_stands_once() -> None:
    text = loads(
        """
block Unit(c, stride = 1):
    half = c * x.c // 2
    [conv 1x1, half as side when stride != 1]
    conv 1x1, half as main

net N:
    input 3, 8x8
    a: Unit 4, 2
    b: Unit 4
    gap
"""
    ).emit()
    assert text.count("conv needs at least 1 channel") == 1


def test_a_variants_arguments_are_written_in_place() -> None:
    assert arguments(emitted("zfnet_big"), "zfnet_big") == ["drop", "classes"]
    assert "512" in emitted("zfnet_big")
    assert arguments(emitted("alexnet_one_tower"), "alexnet_one_tower") == ["drop", "classes"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("n * conv 3x3, 4\n    gap\n    fc: fc 7", "it counts layers"),
        ("c: conv 3x3, 4*n\n    gap\n    fc: fc 7", "another constant follows it"),
        ("c: conv 3x3, 4\n    gap\n    [relu when n > 3]\n    fc: fc 7", "it chooses layers"),
        ("c: conv 3x3, n\n    d: conv 3x3, x.c\n    gap\n    fc: fc n + 1", "a number depends on it"),
    ],
)
def test_a_parameter_that_changes_more_is_an_argument_too(body: str, why: str) -> None:
    spec = f"net N(n = 2):\n    input 3, 16x16\n    {named(body)}\n"
    text = loads(spec, "n.net", "n").emit()
    assert arguments(text, "n") == ["n"], why
    made, other = execute(text)["n"](n=5), loads(spec, "n.net", "n", n=5).build("torch")
    shapes = [{key: t.shape for key, t in model.state_dict().items()} for model in (made, other)]
    assert shapes[0] == shapes[1]


def named(body: str) -> str:
    """Return a body in which a repetition stands in a container."""
    return body.replace("n * conv", "a: n * conv")


def test_a_constant_that_is_equal_by_chance_stays() -> None:
    text = loads(
        "net N(n = 7):\n    input 3, 16x16\n    c: conv 3x3, 7\n    gap\n    fc: fc n\n", "n.net", "n"
    ).emit()
    model = execute(text)["n"](n=9)
    assert (model.c.out_channels, model.fc.out_features) == (7, 9)


LINES = {
    "a repeated call has no argument that is the default": (
        "shufflenet_v2_x1_0",
        "torch",
        "*(InvertedResidual(2 * c, 2 * c) for _ in range(7)),",
    ),
    "a sum counts no turns": ("convnext_tiny", "torch", "sum(depth for _, depth in zip(c, n, strict=True))"),
    "a quotient has no multiple of the divisor in it": (
        "vit_b_16",
        "torch",
        "size[0] // patch[0] * (size[1] // patch[1]) + 1",
    ),
    "half of an odd kernel": ("googlenet", "torch", "padding=(k[0] // 2, k[1] // 2)"),
    "a number of one turn has no name": ("unet", "torch", "nn.ConvTranspose2d(16 * c, 8 * c, 2, stride=2)"),
    "padding that is none counts for nothing": (
        "nasnet_a_mobile",
        "torch",
        '("0", nn.AvgPool2d(1, stride=2)),',
    ),
    "nor in Flax": ("nasnet_a_mobile", "flax", "x = avg_pool2d(x, (5, 5), strides=(3, 3))\n"),
    "a 1x1 has no padding": ("nasnet_a_mobile", "flax", "Conv(in_channels, c, (1, 1), rngs=rngs, **options)"),
    "layers that begin alike share a loop": (
        "vit_b_16",
        "torch",
        "            if isinstance(m, nn.Linear):\n                nn.init.xavier_uniform_(m.weight)\n",
    ),
    "one argument has no comma": (
        "mobilenet_v3_large",
        "torch",
        "SqueezeExcitation(hidden, make_divisible(hidden // 4, 8), gate=nn.Hardsigmoid)\n            )\n",
    ),
    "a quotient in place": ("densenet121", "torch", "channels //= 2\n"),
    "a token is an index": ("vit_b_16", "flax", "self.heads(x[:, 0])"),
    "the fan-in of a linear layer": ("resnet18", "flax", "bound = in_features**-0.5"),
    "initial weights are said once": ("alexnet", "flax", "class FittedConv(ConvThatFits, Conv):\n"),
}


@pytest.mark.parametrize("why", LINES)
def test_a_line_is_as_short_as_by_hand(why: str) -> None:
    name, backend, line = LINES[why]
    assert line in source(name, backend)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_checks_stand_before_the_layers(backend: str) -> None:
    text = source("vit_b_16", backend).partition("class EncoderBlock(")[2]
    assert text.index("raise ValueError") < text.index("self.ln_1 = ")
    assert "planes, stride and groups must be at least 1" in source("resnext50_32x4d", backend)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_table_that_variants_give_is_written_once(backend: str) -> None:
    (text,) = emit_family(netdsl.load_family("mobilenet_v3"), backend).values()
    assert text.count("(480, 112") + text.count(", 480, 112") == 1
    assert "return MobileNetV3(LARGE, 1280, width=0.75, drop=drop" in text


@pytest.mark.slow
def test_all_together_are_at_most_half_of_torchvisions_source() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from code_length import NETS, OTHERS, measure

    found = [measure(name) for name in (*NETS, *OTHERS)]
    assert all(20 < ours <= theirs for ours, theirs in found)
    assert 2 * sum(ours for ours, _ in found) <= sum(theirs for _, theirs in found)


SHAPES = {
    ("resnet18", "BasicBlock", "stride"): {"in_channels": 3, "planes": 5, "stride": 2},
    ("resnet50", "Bottleneck", "4 * planes"): {"in_channels": 3, "planes": 5},
    ("lraspp_mobilenet_v3_large", "LRASPPHead", "classes, H_low"): {
        "high_channels": 3,
        "low_channels": 5,
        "c": 4,
        "classes": 6,
    },
    ("densenet121", "Transition", "in_channels // 2, H // 2"): {"in_channels": 6},
    ("googlenet", "BasicConv2d", "(H - 1) // stride + 1"): {
        "in_channels": 3,
        "k": (3, 5),
        "c": 4,
        "stride": 3,
    },
    ("nasnet_a_mobile", "ReductionCell", "cur_channels"): {
        "prev_channels": 4,
        "cur_channels": 6,
        "same_size": True,
        "c": 8,
    },
    ("vit_b_16", "EncoderBlock", "T, in_channels"): {
        "in_channels": 8,
        "heads": 2,
        "hidden": 5,
        "drop": 0.0,
    },
    ("lenet", "LeNet", "1, 32, 32"): {"classes": 10},
}
"""Classes, a part of the shapes that they say, and arguments of theirs."""


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case[1])
def test_a_class_says_the_shapes_of_what_it_takes_and_returns(case: tuple[str, str, str]) -> None:
    name, cls, part = case
    given = SHAPES[case]
    made = execute(source(name, "torch"))[cls]
    (said,) = re.findall(r"Shapes: (.*?)\.\n", made.__doc__ + "\n", re.DOTALL)
    assert part in said
    sides = [re.findall(r"\((N, .*?)\)(?=, [\w(]|$)", side) for side in " ".join(said.split()).split(" -> ")]
    sizes = {
        "stride": 1,
        "N": 2,
        "T": 7,
        "H": 11,
        "W": 14,
        "H_high": 3,
        "W_high": 4,
        "H_low": 11,
        "W_low": 14,
        "H_prev": 11,
        "W_prev": 14,
        "H_cur": 11,
        "W_cur": 14,
    }
    takes, returns = ([eval(f"({one})", {}, sizes | given) for one in side] for side in sides)
    results = made(**given)(*map(torch.zeros, takes))
    results = results if isinstance(results, tuple) else (results,)
    for result, shape in zip(results, returns, strict=True):
        assert tuple(result.shape) == shape


HEADS = """net A(classes = 10, deep = true):
    input 3, 16x16
    feat: conv 3x3, 8 -> relu
    gap
    {logits}
    output box: from feat -> gap -> fc 4
    output depth: from feat -> conv 1x1, 1 when deep
    return {results}
"""


@pytest.mark.parametrize("line", ["logits: fc classes", "output logits: fc classes"])
@pytest.mark.parametrize(
    ("results", "names"),
    [
        ("logits, box", "logits box depth"),
        ("logits, depth, box", "logits depth box"),
        ("logits as scores, box as corners", "scores corners depth"),
        ("logits as out, box", "out box depth"),
        ("box, depth", "box depth"),
    ],
)
def test_results_are_those_that_return_names(line: str, results: str, names: str) -> None:
    """The first is the net's own, whether its line is an output or not; what it does not name comes last."""
    fields = names.split()
    if results.startswith("box") and line.startswith("output"):
        fields.append("logits")
    net = netdsl.loads(HEADS.format(logits=line, results=results), classes=5)
    assert list(net.outputs) == fields
    torch_text, flax_text = net.emit("torch"), net.emit("flax")
    for text in (torch_text, flax_text):
        record = text.partition("class AOutputs(NamedTuple):")[2].partition("class A(")[0]
        assert re.findall(r"^    (\w+): \w", record, re.MULTILINE) == fields
    model = net.build("torch").eval()
    found = model(torch.zeros(2, 3, 16, 16))
    assert {name: tuple(value.shape[1:]) for name, value in found._asdict().items()} == dict(net.outputs)
    assert sum(value is found[0] for value in found) == 1
    again = net.from_graph(net.graph, net.name)
    assert dict(again.outputs) == dict(net.outputs)


def test_what_has_no_name_of_its_own_is_called_out() -> None:
    text = "net A:\n    input image: 3, 8x8\n    index: relu\n    a = from index -> split [1, 2]\n    {}\n"
    for line in ("from index", "return index", "return flow", "return a[0]", "return image"):
        assert list(netdsl.loads(text.format(line)).outputs) == ["out"], line
    assert list(netdsl.loads(text.format("b = from a[1]\n    return b")).outputs) == ["b"]


def test_the_result_may_be_a_side_of_a_condition() -> None:
    text = (
        "net A(deep = true):\n    input 3, 8x8\n    if deep:\n        output p: conv 3x3, 4\n    else:\n"
        "        output p: conv 1x1, 4\n    output q: conv 3x3, 2\n    return p, q\n"
    )
    for deep in (True, False):
        net = netdsl.loads(text, deep=deep)
        assert dict(net.outputs) == {"p": (4, 8, 8), "q": (2, 8, 8)}
        found = net.build("torch")(torch.zeros(1, 3, 8, 8))
        assert found._fields == ("p", "q")
        assert net.cost().params == sum(p.numel() for p in net.build("torch").parameters())


REQUIRES = """block B(c, mode = "x"):
    require mode in ["x", "y"], c % 2 == 0
    conv: conv 3x3, c if mode == "x" else 2*c

net A(option = "q", n = 2, cs = [8, 16], m = "x", c = 6):
    input 3, 16x16
    require option == "q" or option == "B", len(cs) <= n
    if option == "B":
        require c > 4
        extra: conv 1x1, c
    for i in range(len(cs)):
        convs.{i}: conv 3x3, cs[i]
    b: B 8, m
    b2: B c, m
    gap
"""


@pytest.mark.parametrize(
    ("given", "legal"),
    [
        ({}, True),
        ({"option": "B", "n": 3, "m": "y", "c": 8}, True),
        ({"option": "C"}, False),
        ({"n": 1}, False),
        ({"cs": [4, 4, 4]}, False),
        ({"cs": [4, 4, 4], "n": 3}, True),
        ({"m": "z"}, False),
        ({"c": 7}, False),
        ({"c": 4}, True),
        ({"c": 4, "option": "B"}, False),
    ],
)
def test_a_class_requires_what_the_spec_does(given: dict[str, Any], legal: bool) -> None:
    net = loads(REQUIRES)
    for form in ("torch", "flax"):
        name = net.class_name
        made = execute(net.emit("torch"))[name] if form == "torch" else None
        if made is None:
            made = flax_oracles.execute(net.emit("flax"))[name]
            given = {**given, "rngs": nnx.Rngs(0)}
        if legal:
            made(**given)
        else:
            with pytest.raises(ValueError, match="required"):
                made(**given)
    own = {key: value for key, value in given.items() if key != "rngs"}
    if legal:
        loads(REQUIRES, **own)
    else:
        with pytest.raises(NetError, match="is required"):
            loads(REQUIRES, **own)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_a_product_of_a_thousand_values_is_written(backend: str) -> None:
    text = """block B(c):
    conv: conv 3x3, c
    fork:
        identity
        for i in range(1000):
            gap
    mul

net N:
    input 3, 8x8
    a: B 4
"""
    made = netdsl.loads(text).emit(backend)
    compile(made, "n.py", "exec")
