"""Modules of several nets: each class once, a factory for each variant, the state of the single file."""

from __future__ import annotations

import ast
import re
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from netdsl_torch.weights import tensors
from torch_oracles import execute
from zoo import SPACE_FILES

import netdsl
from netdsl import cli, data
from netdsl.api import loads, read_text
from netdsl.backend import emit_family, module_name
from netdsl.elaborate.arguments import declared_parameters
from netdsl.emission import prose
from netdsl.network import Network

FILES = [name for name in data.names("specs", ".net") if name not in SPACE_FILES]


def family(text: str) -> tuple[Network, ...]:
    """Return the nets of a text."""
    from netdsl.api import recipes

    return tuple(map(Network, recipes(read_text(text), "", {}, {})))


def module(nets: tuple[Network, ...], form: str = "torch") -> str:
    """Return the only text of a family."""
    (text,) = emit_family(nets, form).values()
    return text


@pytest.mark.parametrize("file", FILES)
def test_every_file_is_one_module_with_the_states_of_its_nets(file: str) -> None:
    nets = netdsl.load_family(file)
    text = module(nets)
    tree = ast.parse(text)
    names = Counter(node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    assert max(names.values()) == 1
    made = execute(text)
    for net in nets:
        with torch.device("meta"):
            model = made[net.name]()
        state = [(key, tuple(tensor.shape)) for key, tensor in model.state_dict().items()]
        assert state == [(tensor.key, tensor.shape) for tensor in tensors(net)], net.name


@pytest.mark.parametrize(
    ("file", "classes"),
    [
        ("resnet.net", ["BasicBlock", "Bottleneck", "ResNet", "PreActBottleneck", "PreActResNet"]),
        ("senet.net", ["SE", "Bottleneck", "SENet"]),
        ("alexnet.net", ["GroupedLocalResponseNorm", "Classifier", "AlexNet", "AlexNet2012"]),
        ("squeezenet.net", ["Fire", "Classifier", "SqueezeNet1_0", "SqueezeNet1_1"]),
    ],
)
def test_each_class_is_written_once(file: str, classes: list[str]) -> None:
    tree = ast.parse(module(netdsl.load_family(file)))
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == classes


AXES = """
block Mlp(c):
    hidden:
        fc c
        relu
    out: fc c

block Outer(c, inner: op = Mlp):
    a: Mlp c
    b: inner c

block Twice(c):
    a: Mlp c
    b: fc 2*c
    c: dropout 0.1

net N:
    input 3, 8x8
    stem: conv 3x3, 16
    tokens
    first: Twice 8
    outer: Outer 8
    mean "n"
    second: Twice 8
    fc: fc 10
"""


@pytest.mark.parametrize("form", ["torch", "flax"])
def test_a_block_given_other_axes_alone_is_one_class(form: str) -> None:
    """Its docstring has both shapes; a block that is an argument, too, has a name that is taken elsewhere."""
    text = module(family(AXES.replace("inner: op = Mlp", "d = 1").replace("inner c", "fc c")), form)
    names = re.findall(r"^class (\w+)\(nnx?.Module", text, re.MULTILINE)
    assert sorted(name for name in names if name[0] in "MOT") == ["Mlp", "Outer", "Twice"]
    assert "Shapes: (N, T, in_channels) -> (N, T, 2 * c), or (N, in_channels) -> (N, 2 * c)." in text
    if form == "torch":
        (net,) = family(AXES)
        model = execute(module((net,)))["n"]()
        assert [*model.state_dict()] == [tensor.key for tensor in tensors(net)]
        assert model(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


NO_ARGUMENTS = {
    "DLA": {"unit"},
    "LeNet": {"act"},
    "VoVNet": {"unit"},
    "size": {"EfficientNet", "EfficientNetV2", "MobileNetV1", "NASNetA", "UNet"},
}
"""By net, parameters that no variant gives, or ops that one alone does not vary;
and the nets whose class takes inputs of any size."""


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize("file", FILES)
def test_every_parameter_of_a_net_is_an_argument_of_its_class(file: str, backend: str) -> None:
    nets = netdsl.load_family(file)
    for some in (nets, nets[:1], nets[-1:]):
        classes = {
            node.name: node
            for node in ast.parse(module(some, backend)).body
            if isinstance(node, ast.ClassDef)
        }
        for net in some:
            declared = declared_parameters(net.recipe.net)
            needed = set(declared) - NO_ARGUMENTS.get(net.class_name, set())
            needed -= {"size"} if net.class_name in NO_ARGUMENTS["size"] else set()
            for name, node in classes.items():
                others = {other.class_name for other in some} - {net.class_name}
                if name in others or not re.fullmatch(rf"{net.class_name}\d*", name):
                    continue
                (made,) = (m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__")
                args = {arg.arg for arg in (*made.args.args, *made.args.kwonlyargs)}
                assert needed <= args, (name, net.name)


def test_a_class_is_made_from_a_call_that_comes_where_the_others_cannot() -> None:
    net = netdsl.load("nasnet_a_mobile", c=4, n=1, aux=False, inputs={"": (3, 64, 64)})
    text = net.emit()
    assert "was not made for halve" not in text
    assert "class ReductionCell2" not in text
    with torch.device("meta"):
        model = execute(text)["nasnet_a_mobile"]()
    assert set(net.parameters) <= set(model.state_dict())


APART = """
block Stage(k: dims, c, t):
    conv 3x3, c, /2 as down
    [conv k, x.c, pad=0 as far -> avgpool to=1 -> conv 1x1, x.c as near -> resize t when t != 2]
    [Mix as mix when t == 2] -> relu

block Mix:
    add:
        from x
        conv 1x1, 32 as near

net Apart:
    input 3, 32x32
    stages:
        Stage 8x8, 8, 16
        Stage 4x4, 16, 8
        Stage 2x2, 24, 4
        Stage 8x8, 32, 2
    gap -> fc 10 as head
"""


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_sides_that_no_call_can_have_both_of_are_two_classes(backend: str) -> None:
    net = netdsl.loads(APART)
    text = net.emit(backend)
    assert text.count("\nclass Stage") == 2
    assert len(re.findall(r"^ +Stage2\(", text, re.M)) == 3
    assert netdsl.verify(net, ("torch",) if backend == "torch" else ("torch", "flax")).ok


def test_a_name_means_one_net_and_a_file_all() -> None:
    assert [net.name for net in netdsl.load_family("unet")] == ["unet"]
    assert [net.name for net in netdsl.load_family("unet.net")] == ["unet", "unet_same"]
    assert [net.name for net in netdsl.load_family("unet.net:unet_same")] == ["unet_same"]
    assert len(netdsl.load_family("vgg")) == 9
    assert module(netdsl.load_family("resnet50")) == netdsl.load("resnet.net:resnet50").emit()


def test_a_search_space_has_to_be_decided() -> None:
    with pytest.raises(netdsl.NetError) as caught:
        netdsl.load_family("search.net")
    assert {d.code for d in caught.value.diagnostics} == {"E217"}


def test_settings_go_to_the_nets_that_have_them() -> None:
    nets = netdsl.load_family("alexnet.net", towers=1, classes=7)
    assert [net.outputs["out"].c for net in nets] == [7, 7, 7]
    assert "def alexnet_2012(drop: float = 0.5, classes: int = 7)" in module(nets)
    with pytest.raises(netdsl.NetError):
        netdsl.load_family("alexnet.net", clases=7)


TWO = """\
# Two nets
table T(c, n):
    4, 1
    8, 2

block Unit(c):
    conv 3x3, c
    gap
    fc c

net One(classes = 3):
    input 3, 8x8
    init fc weight=normal(0, 0.5), bias=zeros
    for c, n in T:
        unit{c}: conv 3x3, c
    body: Unit 5
    head: fc classes, init=ones

net Two(classes = 3):
    input 3, 8x8
    for c, n in T:
        unit{c}: conv 3x3, c
    body: Unit 5
    head: fc classes, init=ones
"""


def test_each_net_has_its_own_initial_weights() -> None:
    nets = family(TWO)
    text = module(nets)
    assert text.count("class Unit(") == 1
    made = execute(text)
    torch.manual_seed(0)
    one, two = made["one"](), made["two"]()
    assert one.body[2].weight.std() > 0.3 > two.body[2].weight.std()
    assert not one.body[2].bias.any()
    assert two.body[2].bias.all()
    for model in (one, two):
        assert bool((model.head.weight == 1).all())


def test_rules_that_read_arguments_are_right_for_every_variant() -> None:
    text = module(netdsl.load_family("vit.net"))
    assert "nn.init.trunc_normal_(m.weight, std=1 / (3 * patch[0] * patch[1]) ** 0.5)" in text


def test_a_rule_under_a_condition_makes_a_class_for_each() -> None:
    nets = family(
        "net N(a = true):\n    input 3, 8x8\n    if a:\n        init conv weight=ones\n    c: conv 3x3, 4\n"
        "variant yes = N()\nvariant no = N(a=false)\n"
    )
    made = execute(module(nets))
    assert bool((made["yes"]().c.weight == 1).all())
    assert not bool((made["no"]().c.weight == 1).all())


def test_names_stay_unique() -> None:
    nets = family(
        "net A():\n    input 3, 8x8\n    b: conv 3x3, 4\n    output o: relu\n    tanh\n"
        "net AOutputs():\n    input 3, 8x8\n    b: conv 3x3, 4\n"
    )
    text = module(nets)
    names = [n.name for n in ast.parse(text).body if isinstance(n, ast.ClassDef | ast.FunctionDef)]
    assert len(names) == len(set(names))
    made = execute(text)
    for net in nets:
        made[net.name]()


# ---------------------------------------------------------------- what the file says


def test_the_header_says_what_the_file_is() -> None:
    text = module(netdsl.load_family("resnet.net"))
    doc = ast.get_docstring(ast.parse(text)) or ""
    assert "Deep Residual Learning (1512.03385)" in doc
    assert "resnet50           25,557,032   4,089,184,256  3x224x224" in doc
    assert doc.endswith("    netdsl compile resnet.net --backend torch")
    doc = (
        ast.get_docstring(ast.parse(netdsl.load("resnet50", classes=10, inputs={"": (3, 64, 64)}).emit()))
        or ""
    )
    assert "arXiv 1512.03385, 2015." in doc
    assert doc.endswith(
        "    netdsl compile resnet.net:resnet50 --set classes=10 --input 3x64x64 --backend torch"
    )


COMMENTED = (
    """\
# The file


# Above """
    + '"""'
    + """ \\\\ é \u00d7 \u202e
# and more
block B(
    n,  # how many "channels"
    k = 3x3,
):  # behind
    conv k, n

# The net
@allow(huge_fc, "a reason")
net N(classes = 3):
    meta arxiv="1\\\\2", year=2020
    input 3, 8x8
    b: B 4
    c: B 8
"""
)


def test_comments_are_text_of_docstrings() -> None:
    text = loads(COMMENTED.replace("\\\\", "\\").replace('="1\\2"', '="1.2"'), "n.net", "n").emit()
    assert text.isascii()
    docs = {n.name: ast.get_docstring(n) for n in ast.parse(text).body if isinstance(n, ast.ClassDef)}
    assert docs["B"] == (
        "Block B of n.net.\n\nAbove ''' / e x ? and more; behind.\n\n"
        "Shapes: (N, in_channels, H, W) -> (N, n, H, W).\n\nArgs:\n    n: how many 'channels'"
    )
    assert (
        docs["N"] == "Net N of n.net.\n\nThe net; arXiv 1.2, 2020.\n\nShapes: (N, 3, H, W) -> (N, 8, H, W)."
    )
    assert "\nThe file; arXiv 1.2, 2020.\n" in text


@pytest.mark.parametrize(
    ("file", "name"),
    [("resnet.net", "resnet"), ("a b-c.net", "a_b_c"), ("1.net", "_1"), ("class.net", "_class")],
)
def test_a_module_has_a_name_that_can_be_imported(file: str, name: str) -> None:
    net = loads("net N(c = 3):\n    input 3, 8x8\n    conv 3x3, c\nvariant m = N(4)\n", file, "n")
    assert module_name([net, net]) == name
    assert module_name([net]) == "n"


def test_prose_is_plain() -> None:
    assert prose.plain('a"""\\\n\x00\u2028é') == "a'''/???e"


# ---------------------------------------------------------------- the command


def test_the_command_writes_a_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compile", "alexnet.net"]) == 0
    text = capsys.readouterr().out
    assert text == module(netdsl.load_family("alexnet.net"))
    file = tmp_path / "nets.py"
    assert cli.main(["compile", "alexnet.net", "-o", str(file)]) == 0
    assert file.read_text(encoding="utf-8") == text
    assert cli.main(["compile", "alexnet.net", "-o", str(file), "--check"]) == 0
    assert cli.main(["compile", "alexnet.net:alexnet"]) == 0
    assert capsys.readouterr().out == netdsl.load("alexnet").emit()
    assert cli.main(["compile", "search.net"]) == 1


OUTPUTS = """\
net N(aux = true, deep = true):
    input 3, 8x8
    a: conv 3x3, 4
    if aux:
        train output h: from a -> gap
    output p2: from a
    gap
    fc: fc 5
    RETURN

variant n1 = N()
variant n2 = N(deep=false, aux=false)
"""
SIDES = """if deep:
        return fc as logits, h as e
    else:
        return fc as q, p2 as w, h"""


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("relu", [["out", "h", "p2"], ["out", "p2"]]),
        ("return fc, p2 as low", [["fc", "low", "h"], ["fc", "low"]]),
        ("return fc as logits, h as head", [["logits", "head", "p2"], ["logits", "p2"]]),
        (SIDES, [["logits", "e", "p2"], ["q", "w"]]),
    ],
)
def test_return_names_the_fields_of_a_record(line: str, fields: list[list[str]]) -> None:
    """Also of outputs that are not there, whose field is None in the class that variants share."""
    nets = family(OUTPUTS.replace("RETURN", line))
    assert [list(net.outputs) for net in nets] == fields
    names, x = execute(module(nets)), torch.randn(2, 3, 8, 8)
    for net in nets:
        found = names[net.name]()(x)._asdict()
        assert [name for name, value in found.items() if value is not None] == list(net.outputs)
        assert {name: list(found[name].shape[1:]) for name in net.outputs} == {
            name: list(shape) for name, shape in net.outputs.items()
        }
        alone = execute(net.emit())[net.name]()(x)._asdict()
        assert [name for name, value in alone.items() if value is not None] == list(net.outputs)


class One:
    """A backend that writes one net a file."""

    name = "one"

    def lowers(self, op: object) -> bool:
        """Tell that it has all."""
        return True

    def emit(self, net: Network) -> str:
        """Return a text."""
        return net.name

    def build(self, text: str, net: Network) -> None:
        """Make nothing."""


def test_a_backend_may_write_one_net_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netdsl.backend.find", lambda name: One())
    assert emit_family(netdsl.load_family("lenet.net"), "one") == {"lenet.py": "lenet"}
    with pytest.raises(netdsl.NetError, match="the one backend writes one net a file"):
        emit_family(netdsl.load_family("alexnet.net"), "one")


@pytest.mark.parametrize(
    ("lines", "few", "many"),
    [
        ("    conv 3x3, 8 -> relu\n", 200, 2000),
        ("    for i in range(k):\n        conv 3x3, 8*(i + 1)\n", 30, 300),
        ("    for i in range(k):\n        w# = k + #*i\n        c#_{i}: conv 3x3, w#\n", 15, 150),
        (
            "    g#:\n        w# = k + #\n        p: conv 3x3, w#\n        add:\n            q: conv 3x3, w#\n"
            "            identity\n",
            20,
            400,
        ),
    ],
    ids=["layers", "loops", "variables of loops", "containers"],
)
def test_time_per_line_does_not_grow(lines: str, few: int, many: int) -> None:
    def seconds(count: int) -> float:
        body = "".join(lines.replace("#", str(number)) for number in range(count))
        net = loads("net N(k = 3):\n    input 3, 8x8\n" + body)
        begin = time.process_time()
        net.emit("torch")
        return (time.process_time() - begin) / count

    seconds(few)
    # about 1 on a quiet machine; quadratic work was more than 6
    assert min(seconds(many) for _ in range(2)) < 4 * min(seconds(few) for _ in range(3))
