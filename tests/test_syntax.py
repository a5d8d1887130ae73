"""Text to tree: spans, recovery, and what the limits keep from happening."""

import random
import time

import pytest

from netdsl import data
from netdsl.diagnostics import NetError
from netdsl.elaborate.files import Files
from netdsl.source import Source
from netdsl.syntax import tree
from netdsl.syntax.parse import Unreadable, parse


def parsed(text: str) -> tree.File:
    return parse(Source("case.net", text))


def errors(text: str) -> list[tuple[str, int]]:
    with pytest.raises(NetError) as caught:
        parsed(text)
    return [(d.code, d.span.line) for d in caught.value.diagnostics if d.span]


def walk(node: object, inside: tree.Tree | None = None) -> None:
    """Every node's span is a part of the text, and expressions and steps lie within what they are part of."""
    if isinstance(node, tuple):
        for part in node:
            walk(part, inside)
    elif isinstance(node, tree.Tree):
        assert 0 <= node.start <= node.end
        if isinstance(inside, tree.Expr | tree.Layer | tree.Repeat | tree.Group | tree.Chain | tree.Line):
            assert inside.start <= node.start, (inside, node)
            assert node.end <= inside.end, (inside, node)
        for name in node._fields:
            walk(node.__dict__[name], node)


@pytest.mark.parametrize("name", data.names("specs", ".net"))
def test_spans_nest(name: str) -> None:
    walk(parsed(data.read("specs", name)))


def test_a_span_is_what_was_written() -> None:
    text = "net N:\n    conv1: 2 * conv (3 + 4) * c, /2 first as a when c > 1  # so\n"
    (net,) = parsed(text).items
    assert isinstance(net, tree.Net)
    (line,) = net.body
    assert isinstance(line, tree.Line)
    assert text[line.start : line.end] == "conv1: 2 * conv (3 + 4) * c, /2 first as a when c > 1"
    (repeat,) = line.chain.steps
    assert isinstance(repeat, tree.Repeat)
    assert isinstance(repeat.step, tree.Layer)
    assert text[repeat.step.start : repeat.step.end] == "conv (3 + 4) * c, /2 first as a"
    product, stride = repeat.step.args
    assert text[product.start : product.end] == "(3 + 4) * c"
    assert isinstance(stride, tree.Stride)
    assert stride.first


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64", 64),
        ("138_357_544", 138_357_544),
        ("5M", 5_000_000),
        ("5.3M", 5_300_000),
        ("3GB", 3_000_000_000),
        ("2KiB", 2048),
        ("1e-6", 1e-6),
        ("0.5", 0.5),
        ("1.5K", 1500),
        ("2GiB", 2 * 1024**3),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_numbers(text: str, value: float) -> None:
    (item,) = parsed(f"a = {text}\n").items
    assert isinstance(item, tree.Assign)
    assert isinstance(item.value, tree.Number)
    assert item.value.value == value
    assert type(item.value.value) is type(value)


def test_precedence_is_pythons() -> None:
    for text in ("1 + 2 * 3 ** 2 ** 1 - 4 // 3", "not 1 < 2 or 3 > 4 and 1 == 1", "-2 ** 2", "7 - 3 - 2"):
        (item,) = parsed(f"a = {text}\n").items
        assert isinstance(item, tree.Assign)
        assert value(item.value) == eval(text)  # what Python says of the same text


def value(node: tree.Expr) -> object:
    if isinstance(node, tree.Number):
        return node.value
    if isinstance(node, tree.Unary):
        return eval(f"{node.operator} ({value(node.operand)})")
    assert isinstance(node, tree.Binary)
    return eval(f"({value(node.left)}) {node.operator} ({value(node.right)})")


def test_line_ends_and_blank_lines_do_not_matter() -> None:
    text = data.read("specs", "resnet.net")
    windows = parsed(text.replace("\n", "\r\n"))
    assert shape(windows) == shape(parsed(text)) == shape(parsed(text.replace("\n", "\n\n").rstrip()))


def shape(node: object) -> object:
    if isinstance(node, tuple):
        return [shape(part) for part in node]
    if isinstance(node, tree.Tree):
        rest = [shape(node.__dict__[name]) for name in node._fields if name not in ("start", "end")]
        return [type(node).__name__, *rest]
    return node


def test_every_line_that_cannot_be_read_is_reported() -> None:
    text = "net N:\n" + "".join(f"    conv 3x3 {i}\n    relu\n" for i in range(10))
    assert errors(text) == [("E100", 2 + 2 * i) for i in range(10)]


def test_lines_that_cannot_be_read_have_a_place_in_the_tree() -> None:
    with pytest.raises(Unreadable) as caught:
        parsed(
            "net N:\n    input 3, 8x8\n    a, b = (3 -> relu\n    relu\n    defualt conv 3x3,\n    x{1} = (\n"
        )
    assert caught.value.rest is not None
    (net,) = caught.value.rest.items
    assert isinstance(net, tree.Net)
    assert [type(one).__name__ for one in net.body] == ["Input", "Broken", "Line", "Broken", "Broken"]
    bind, default, computed = (one for one in net.body if isinstance(one, tree.Broken))
    assert (bind.defined, bind.names, bind.defaults) == (("a", "b"), ("a", "b", "relu"), "")
    assert (default.defined, default.defaults, default.computed) == ((), "conv", False)
    assert computed.computed


@pytest.mark.parametrize("seed", range(60))
def test_nothing_wrong_follows_from_a_line_that_cannot_be_read(seed: int) -> None:
    draw = random.Random(seed)
    name = draw.choice(data.names("specs", ".net"))
    lines = data.read("specs", name).split("\n")
    at = draw.choice([i for i, line in enumerate(lines) if line.strip() and line.strip()[0] != "#"])
    lines[at] += draw.choice([" )", " (", " $", ' "abc', " ->", " , ,"])
    with pytest.raises(NetError) as caught:
        Files(lambda name, _: Source(name, data.read("specs", name))).load(Source(name, "\n".join(lines)))
    codes = [d.code for d in caught.value.diagnostics]
    assert len(codes) <= 2, (lines[at], caught.value)
    assert all(code.startswith("E1") for code in codes), (lines[at], caught.value)


def test_not_more_than_twenty_errors() -> None:
    assert len(errors("net N:\n" + "    conv 3x3 1\n" * 50)) == 20


def test_a_wrong_header_takes_its_body_along() -> None:
    assert errors("net N(:\n    relu\n    conv 3x3 1\n") == [("E103", 1)]
    assert errors("block B)):\n    relu\nblock C:\n    conv 3x3 1\n") == [("E100", 1), ("E100", 4)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 100_000, "E110"),
        ("a = " + "-" * 100_000 + "1", "E110"),
        ("a = " + "1 + " * 100_000 + "1", "E110"),
        ("a = " + "1 if true else " * 10_000 + "1", "E110"),
        ("net N:\n    " + "1 * " * 100_000 + "relu", "E110"),
        ("".join("    " * i + "net N:\n" if not i else " " * i + "a:\n" for i in range(1000)), "E110"),
        ("a = " + "9" * 100_000, "E111"),
        ("a = 1." + "9" * 100_000, "E111"),
        ("a = 1e" + "9" * 100_000, "E111"),
        ("a = " + "9" * 100_000 + "x3", "E111"),
        ("a = " + "9" * 100_000 + "q", "E101"),
        ('"' + "a" * 100_000, "E102"),
        ("a" * 100_000 + " b", "E100"),
        ("\x00" * 1000, "E101"),
    ],
)
def test_what_is_too_much(text: str, code: str) -> None:
    begin = time.perf_counter()
    found = errors(text)
    assert found[0][0] == code
    assert code != "E110" or len(found) == 1
    assert time.perf_counter() - begin < 20


def test_an_empty_file_and_one_of_comments() -> None:
    assert (
        parsed("").items
        == parsed("\n\n").items
        == parsed("# nothing").items
        == parsed("  # no\n").items
        == ()
    )


def test_a_large_file_takes_as_long_a_line() -> None:
    def lines(count: int) -> float:
        source = Source("n.net", "net N:\n" + "    conv 3x3, 8\n" * count)
        begin = time.perf_counter()
        parse(source)
        return (time.perf_counter() - begin) / count

    lines(100)
    assert lines(40_000) < 4 * min(lines(1000) for _ in range(5))
