"""What is said of a place: hints, hovering, fixes, outline; positions as editors count them."""

import pytest
from lsprotocol import types

from netdsl import api
from netdsl.ide import actions
from netdsl.ide.analysis import Look, analyse
from netdsl.ide.findings import Found, findings
from netdsl.ide.hints import code_end, hints
from netdsl.ide.hover import hover
from netdsl.ide.index import Library
from netdsl.ide.outline import folds, outline
from netdsl.lsp.document import Text, difference
from netdsl.source import Source
from netdsl.syntax.parse import parse

NET = """\
# One unit.
block Unit(c, stride = 1):
    conv: conv 3x3, c, /stride  # it strides
    (relu | tanh) -> add

net Net(n = 2):
    input 3, 32x32
    stage 1: Unit 8 as a -> Unit 8 as b
    features:
        n * Unit 16, /2 first
    left, right = from flow -> split 2
    from left, right -> concat -> conv 1x1, 4 as last
        -> relu
        -> conv 1x1, 2 as tail
    gap
"""


def shown(text: str, **options: object) -> dict[int, str]:
    source = Source("spec.net", text)
    found = hints(analyse(source), **options)  # type: ignore[arg-type]
    return {source.position(hint.offset)[0]: hint.text for hint in found}


def test_hints_stand_behind_the_code_of_each_line() -> None:
    found = shown(NET)
    assert found[8] == "8x32x32 · 808 params · 811.01K MACs"  # a stage and what is on its line, once
    assert found[9] == "16x16x16 · 3.49K params · 884.74K MACs"
    assert found[10] == found[9]
    assert found[11] == "2 values of 8x16x16"
    assert found[12].startswith("4x16x16 · 68 params")
    assert (found[13], found[14]) == ("4x16x16", "2x16x16 · 10 params · 2.05K MACs")
    assert found[3] == "8x32x32, 16x16x16 · 4.3K params · 1.7M MACs"
    assert 1 not in found
    source = Source("spec.net", NET)
    (hint,) = [one for one in hints(analyse(source)) if source.position(one.offset)[0] == 3]
    assert NET[: hint.offset].endswith("/stride")
    assert "4 copies together" in hint.tooltip


def test_hints_are_those_that_are_asked_for() -> None:
    assert shown(NET, kinds=("shape",))[8] == "8x32x32"
    assert 15 not in shown(NET, kinds=("params",))
    begin = NET.index("    features")
    assert list(shown(NET, start=begin, end=NET.index("        n *"))) == [9]


def test_a_line_of_another_net_says_so() -> None:
    text = f"{NET}\nblock Other(c):\n    conv: conv 3x3, c\n\nnet Second:\n    input 3, 8x8\n    Other 4\n"
    look = Look(Source("spec.net", text))
    analysis = look.analysis("net", ["second"])
    assert [hint.text for hint in hints(analysis)][-2:] == [
        "3x8x8 · in second",
        "4x8x8 · 112 params · 6.91K MACs · in second",
    ]


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("Unit 16", ("block Unit(c: int, stride: int = 1)", "One unit.", "spec.net:2")),
        ("/2 first", ("stride: int = 1",)),
        ("conv 1x1, 2", ("10 params = c_out · c_in/groups · kh · kw", "2,048 MACs", "4x16x16 → 2x16x16")),
        ("conv 3x3", ("4 copies", "Dumoulin")),
        ("left, right ->", ("left, right = from flow -> split 2",)),
        ("n * ", ("parameter n = 2",)),
        ("stage 1", ("`stage` lines under a number",)),
        ("-> concat", ("`->` hands",)),
    ],
)
def test_hover(mark: str, said: tuple[str, ...]) -> None:
    source = Source("spec.net", NET)
    found = hover(Library().index(source), NET.index(mark), analyse(source))
    assert found is not None
    assert [one for one in said if one not in found.text] == [], found.text


def test_hover_of_another_text_says_no_costs() -> None:
    source, other = Source("spec.net", NET), Source("spec.net", NET.replace("16", "32"))
    found = hover(Library().index(source), NET.index("conv 1x1, 2"), analyse(other))
    assert found is not None
    assert "2,048 MACs" not in found.text


# ---------------------------------------------------------------- actions

BASE = "net N(classes = 10):\n    input 3, 32x32\n    stem: conv 3x3, 16\n    relu\n    gap\n    fc: fc classes\n"


@pytest.mark.parametrize(
    ("old", "new", "mended"),
    [
        ("conv", "covn", "conv"),
        ("3x3", "3X3", "3x3"),
        ("fc classes", "fc clases", "fc classes"),
        ("16", "16, strid=2", "16, stride=2"),
        ("conv 3x3, 16", "conv(3x3, 16)", "conv 3x3, 16"),
        ("relu", "relu ->", "relu"),
        ("relu", "nn.ReLU()", "relu"),
        ("input 3, 32x32", "input (3, 32, 32)", "input 3, 32x32"),
        ("gap", "upsample 2, mode='nearest'\n    gap", 'upsample 2, mode="nearest"\n    gap'),
        ("gap", 'upsample 2, mode="nearest\n    gap', 'upsample 2, mode="nearest"\n    gap'),
        ("conv 3x3, 16", "conv 3x3, 16,", "conv 3x3, 16"),
        ("fc classes", "fc classes/2", "fc classes//2"),
        ("relu", "max(3, 4", None),
    ],
)
def test_an_error_is_mended_where_its_help_says_how(old: str, new: str, mended: str | None) -> None:
    source = Source("spec.net", BASE.replace(old, new, 1))
    wrong = analyse(source).diagnostics
    made = [
        actions.apply(source.text, one.changes)
        for found in wrong
        for one in actions.mend(source, found, wrong, lambda other: analyse(other).diagnostics)
    ]
    if mended is None:
        assert made == []
    else:
        assert made[0] == BASE.replace(old, mended, 1)


LINTED = "net N:\n    input 3, 32x32\n    stem: conv 3x3, 16\n    bn1: bn\n    gap\n    dropout 0.0\n    fc: fc 10\n"


def linted(text: str) -> tuple[Source, list[Found]]:
    source = Source("spec.net", text)
    return source, findings(source, api._importer(None, ()))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_findings_are_mended_or_allowed(newline: str) -> None:
    source, found = linted(LINTED.replace("\n", newline))
    assert {one.code for one in found} >= {"L202", "L205"}
    for one in found:
        made = {
            action.title.partition(":")[2].split("(")[0].strip(): action
            for action in actions.of_finding(source, parse(source), one)
        }
        if one.fix:
            _, left = linted(actions.apply(source.text, made["mend it"].changes))
            assert one.code not in [other.code for other in left]
            assert ("checkpoints" in made["mend it"].moved) == (one.code == "L202")
        allowed, left = linted(actions.apply(source.text, made["allow it here"].changes))
        assert one.code not in [other.code for other in left]
        assert allowed.text.count(newline) == source.text.count(newline) + 1


def test_a_wrong_text_has_no_findings() -> None:
    assert linted("net N:\n    inputt 3\n")[1] == []


# ---------------------------------------------------------------- the text


def test_the_outline_and_folds_reach_to_the_ends_of_bodies() -> None:
    file = parse(Source("spec.net", NET))
    found = outline(file, NET)
    assert [(one.name, one.kind) for one in found] == [("Unit", "block"), ("Net", "net")]
    assert [one.name for one in found[1].items] == ["stage 1", "features", "left", "right"]
    assert NET[found[1].start : found[1].end].endswith("gap")
    rows = {(NET.count("\n", 0, a) + 1, NET.count("\n", 0, b) + 1) for a, b in folds(file, NET)}
    assert rows == {(2, 4), (6, 15), (9, 10), (12, 14)}


def test_code_ends_before_a_comment_and_not_in_a_text() -> None:
    text = 'a "# no" b   # yes\nnext'
    assert text[: code_end(text, 0)] == 'a "# no" b'
    assert code_end(text, 20) == len(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_positions_there_and_back(encoding: str) -> None:
    raw = "a😀é\r\n\u2028b\x0cc\rd\n\n😀"
    text = Text(raw, encoding)
    assert text.lines == 5
    for offset in range(len(raw) + 1):
        if raw[offset - 1 : offset + 1] == "\r\n" or raw[offset - 1 : offset] == "\r\n"[0]:
            continue  # between the two is no place
        position = text.position(offset)
        before = raw[raw.rfind("\n", 0, offset) + 1 : offset]
        if "\r" not in before:
            codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding]
            size = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
            assert position.character == len(before.encode(codec)) // size
        assert text.offset(position) == offset
    assert text.offset(types.Position(0, 99)) == 3
    assert text.offset(types.Position(99, 0)) == len(raw)
    marked = Text(f"\ufeff{raw}", encoding)
    assert marked.offset(marked.position(5)) == 5


def test_changes_come_one_after_the_other() -> None:
    text = Text("one\r\ntwo 😀 three\n")
    spot = types.Range(types.Position(1, 4), types.Position(1, 6))
    typed = types.TextDocumentContentChangePartial(range=spot, text="2")
    again = types.TextDocumentContentChangePartial(
        range=types.Range(types.Position(0, 0), types.Position(1, 0)), text=""
    )
    assert text.changed([typed, again]).text == "two 2 three\n"
    assert text.changed([types.TextDocumentContentChangeWholeDocument("all")]).text == "all"


def test_the_difference_of_two_texts() -> None:
    assert difference("abcabc", "abXbc") == (2, 4, 3)
    assert difference("aa", "aaa") == (2, 2, 3)
    assert difference("", "") == (0, 0, 0)
