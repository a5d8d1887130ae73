"""What is offered while a spec is written: what stands in the zoo's specs, and nothing that cannot stand there."""

from pathlib import Path

import pytest

from netdsl.ide.complete import Item, complete, cursor
from netdsl.ide.index import Library
from netdsl.source import Source
from netdsl.syntax.tokens import lex

SPECS = sorted((Path(__file__).parent.parent / "specs").glob("*.net"))
SEVERAL = (
    "efficientnet_v2",
    "hrnet",
    "inception_v3",
    "maxvit",
    "mobilenet_v3",
    "resnet",
    "search",
    "swin",
    "unet",
)


def packaged(name: str, source: Source) -> Source:
    file = SPECS[0].parent / name
    if not file.is_file():
        raise ValueError("there is no such file")
    return Source(name, file.read_text(encoding="utf-8"))


def offered(text: str) -> dict[str, Item]:
    """Return what is offered at the `¦` of a text, which is taken out, by what it inserts."""
    offset = text.index("¦")
    source = Source("spec.net", text.replace("¦", ""))
    found = complete(Library(packaged).index(source), offset)
    return {item.text: item for item in found.items}


@pytest.mark.parametrize("family", SEVERAL)
def test_what_stands_in_a_spec_is_offered_there(family: str) -> None:
    file = SPECS[0].parent / f"{family}.net"
    source = Source(file.name, file.read_text(encoding="utf-8"))
    index = Library(packaged).index(source)
    named = [range(use.start, use.end) for use in index.uses if use.named]
    before, missing, count = None, [], 0
    for token in lex(source.text, []):
        if token.text.isidentifier() and not any(token.start in one for one in named):
            if before is not None and before.type in ("AS", "META"):
                continue  # a new name
            count += 1
            words = {item.text for item in complete(index, token.start + count % 2).items}
            if not {token.text, f"{token.text}="} & words:
                missing.append((token.text, source.position(token.start)))
        before = token
    assert not missing
    assert count > 50


NET = """\
block Unit(c, stride = 1, act: op = relu):
    conv: conv 3x3, c, /stride
    act

table rows(k, width):
    3x3, 16

def twice(n) = 2*n

net N(classes = 10):
    input image: 3, 32x32
    stem:
        first: conv 3x3, 8
        ¦
    last = from stem -> relu
    flatten
"""


def in_net(line: str) -> dict[str, Item]:
    return offered(NET.replace("¦", line))


@pytest.mark.parametrize(
    ("line", "there", "not_there"),
    [
        (
            "¦",
            ("conv", "Unit", "same", "for", "if", "add", "weight", "from"),
            ("relu6=", "import", "decide", "else"),
        ),
        ("conv 3x3, ¦", ("channels=", "bias=", "classes", "twice", "norm="), ("input", "from", "for")),
        ("conv 3x3, 8, bias=¦", ("true", "false"), ("bias=", "for", "from")),
        ("conv 3x3, 8, bias=true, ¦", ("groups=",), ("bias=",)),
        ("conv 3x3, 8, pad=¦", ("same", "tf"), ()),
        ("Unit 8, ¦", ("stride=", "act="), ("channels=",)),
        ("Unit 8, act=¦", ("gelu", "Unit"), ("act=",)),
        ("conv 3x3, twice(¦", ("classes", "image"), ("channels=",)),
        ("from ¦", ("image", "first", "flow", "x"), ("conv", "classes", "last")),
        ("from first, ¦", ("image",), ("conv",)),
        ("same ¦", ("first",), ("conv",)),
        ("classes * Unit 8, ¦", ("stride=",), ()),
        ("(classes - 1) * Unit 8, ¦", ("stride=",), ()),
        ("conv 3x3, twice(2) * 2, ¦", ("groups=",), ()),
        ("conv 3x3, classes * 2, ¦", ("groups=",), ()),
        ("relu -> ¦", ("conv", "Unit", "same"), ("for", "return", "stage")),
        ("3 * ¦", ("conv", "Unit"), ("for",)),
        ("conv 3x3, 8, /2 ¦", ("first", "when", "as"), ("conv",)),
        ("conv 3x3, image.¦", ("c", "h", "w"), ("conv",)),
        ("conv rows[0].¦", ("k", "width"), ("conv",)),
        ("for r in ¦", ("rows", "range", "enumerate"), ("for",)),
        ('upsample 2, mode="¦"', ("nearest", "bilinear"), ()),
        ("require ¦", ("params", "macs", "memory"), ()),
        ("conv 3x3, 8 as ¦", (), ("conv", "first")),
        ("# conv ¦", (), ("conv",)),
        ("conv 3¦", (), ("conv",)),
        ("@¦", ("allow",), ("conv",)),
        ("@allow(¦", ("huge_fc",), ()),
        ("init conv ¦", ("weight=", "bias="), ("channels=",)),
        ("init conv weight=¦", ("kaiming_normal", "zeros"), ()),
        ("default conv ¦", ("bias=", "norm="), ()),
        ("conv 3x3, 8, ] ¦", (), ("conv",)),
    ],
)
def test_lines_of_a_body(line: str, there: tuple[str, ...], not_there: tuple[str, ...]) -> None:
    found = in_net(line)
    assert set(there) <= set(found)
    assert not set(not_there) & set(found)


@pytest.mark.parametrize(
    ("text", "there", "not_there"),
    [
        ("¦", ("block", "net", "import", "variant", "default", "table"), ("conv", "input", "decide", "from")),
        ("block B(c: ¦", ("int", "op", "dims"), ("conv",)),
        ("block B(c = ¦", ("relu", "true", "ceil"), ("for",)),
        ("block ¦", (), ("conv", "net")),
        ("block B(c):\n    ¦", ("conv", "if"), ("input", "output")),
        ("net N:\n    ¦", ("conv", "input", "output"), ("decide",)),
        ("net N:\n    input 3\n    if true:\n        relu\n    ¦", ("elif", "else", "relu"), ()),
        ("net N:\n    input 3\n    relu\n    ¦", ("relu",), ("elif", "else")),
        ("net N(n = 1):\n    input 3\n\nvariant v = ¦", ("N",), ("conv",)),
        ("net N(n = 1):\n    input 3\n\nvariant v = N(¦)", ("n=",), ()),
        (
            "net N(n = 1):\n    input 3\n\nvariant v = N():\n    ¦",
            ("require", "meta", "decide"),
            ("conv", "input"),
        ),
        ("net N(n = choose(1, 2)):\n    input 3\n\nvariant v = N():\n    decide ¦", ("n",), ("conv",)),
        ('import ¦ from "resnet.net"', ("Bottleneck", "BasicBlock"), ("conv",)),
        ('import Bottleneck from "¦"', ("resnet.net",), ("conv",)),
        ("net N:\n    broken (((\n\nnet M:\n    input 3\n    ¦", ("conv",), ()),
    ],
)
def test_declarations(text: str, there: tuple[str, ...], not_there: tuple[str, ...]) -> None:
    found = offered(text)
    assert set(there) <= set(found)
    assert not set(not_there) & set(found)


def test_an_argument_says_its_type_and_default() -> None:
    assert in_net("conv 3x3, 8, ¦")["groups="].detail == "an int = 1"
    assert in_net("Unit 8, ¦")["act="].detail == "an op = relu"
    assert in_net("¦")["conv"].detail == "A two-dimensional convolution."
    assert in_net("¦")["Unit"].detail == "Unit(c: int, stride: int = 1, act: op = relu)"


def test_nothing_is_thrown_at_any_offset_of_broken_texts() -> None:
    text = NET.replace("¦", 'add: ( conv "x').replace("def", "de]f")
    index = Library(packaged).index(Source("spec.net", text))
    for offset in range(len(text) + 1):
        complete(index, offset)
    assert cursor(text, 0) is not None
