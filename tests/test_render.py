import json
import re
from unicodedata import normalize

import pytest

from netdsl.diagnostics import Diagnostic, Frame, Label, NetError
from netdsl.diagnostics.render import printable, render_json, render_text, summary
from netdsl.source import Source, Span

RESNET = Source(
    "resnet.net",
    """block Bottleneck(planes, stride = 1):
    add:
        branch: conv 1x1, planes -> conv 3x3, planes, /stride
            -> conv 1x1, 4*planes as conv3 -> bn as bn3
        identity
        downsample: conv 1x1, planes, /stride -> bn when stride != 1
    relu

net ResNet:
    stage 2: n2 * unit 128, /2 first
""",
)


def span(source: Source, text: str, occurrence: int = 0) -> Span:
    start = -1
    for _ in range(occurrence + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def shown(diagnostic: Diagnostic) -> str:
    return "\n" + render_text(diagnostic) + "\n"


BRANCHES = Diagnostic(
    "E302",
    "add: the branches differ: 256x28x28 and 128x28x28",
    span(RESNET, "conv 1x1, planes, /stride"),
    note="128x28x28",
    labels=(Label(span(RESNET, "conv 1x1, 4*planes"), "256x28x28"),),
    calls=(Frame("Bottleneck(planes=64, stride=2), layer2.0", span(RESNET, "n2 * unit 128, /2 first")),),
    details=("2 branches",),
    help="downsample needs 4*planes channels",
)


def test_all_parts() -> None:
    assert (
        shown(BRANCHES)
        == """
error[E302]: add: the branches differ: 256x28x28 and 128x28x28
 --> resnet.net:6:21
  |
6 |         downsample: conv 1x1, planes, /stride -> bn when stride != 1
  |                     ^^^^^^^^^^^^^^^^^^^^^^^^^ 128x28x28
 ::: resnet.net:4:16
4 |             -> conv 1x1, 4*planes as conv3 -> bn as bn3
  |                ^^^^^^^^^^^^^^^^^^ 256x28x28
  = in Bottleneck(planes=64, stride=2), layer2.0, from resnet.net:10:14: stage 2: n2 * unit 128, /2 first
  = 2 branches
  = help: downsample needs 4*planes channels
"""
    )


def test_gutter_fits_the_longest_line_number() -> None:
    first = Label(span(RESNET, "block"), "declared here")
    diagnostic = Diagnostic("E201", "unknown", span(RESNET, "unit"), labels=(first,), severity="warning")
    assert (
        shown(diagnostic)
        == """
warning[E201]: unknown
  --> resnet.net:10:19
   |
10 |     stage 2: n2 * unit 128, /2 first
   |                   ^^^^
  ::: resnet.net:1:1
 1 | block Bottleneck(planes, stride = 1):
   | ^^^^^ declared here
"""
    )


def test_without_span() -> None:
    diagnostic = Diagnostic("E001", "no such file: a.net", help="netdsl zoo lists the packaged specs")
    assert (
        shown(diagnostic)
        == """
error[E001]: no such file: a.net
  = help: netdsl zoo lists the packaged specs
"""
    )
    assert render_text(Diagnostic("", "no code either", severity="info")) == "info: no code either"


def test_labels_are_sorted_own_file_first() -> None:
    other = Source("other.net", "one\ntwo\n")
    labels = [span(other, "two"), span(RESNET, "relu"), span(other, "one"), span(RESNET, "add")]
    diagnostic = Diagnostic(
        "E1", "order", span(RESNET, "identity"), labels=tuple(Label(place, "") for place in labels)
    )
    places = [line.strip() for line in render_text(diagnostic).splitlines() if "net:" in line]
    assert places == [
        "--> resnet.net:5:9",
        "::: resnet.net:2:5",
        "::: resnet.net:7:5",
        "::: other.net:1:1",
        "::: other.net:2:1",
    ]


def test_a_label_at_the_same_place_is_a_second_place() -> None:
    place = span(RESNET, "relu")
    lines = render_text(Diagnostic("E1", "twice", place, labels=(Label(place, ""),))).splitlines()
    assert [line[:4] for line in lines[1:]] == [" -->", "  |", "7 | ", "  | ", " :::", "7 | ", "  | "]


@pytest.mark.parametrize(
    ("text", "marked", "line", "carets"),
    [
        ("\tconv 64", "conv", "    conv 64", "    ^^^^"),
        ("a\tconv", "conv", "a    conv", "     ^^^^"),
        ("# 层 x", "x", "# 层 x", "     ^"),
        ("# 层 x", "层", "# 层 x", "  ^^"),
        (normalize("NFD", "# é x"), "x", normalize("NFD", "# é x"), "    ^"),
        ("\x1b[2J x", "x", "\\x1b[2J x", "        ^"),
        ("a \u202e b", "\u202e", "a \\u202e b", "  ^^^^^^"),
        ("conv 64   ", "64   ", "conv 64", "     ^^"),
        ("conv\r\nfc", "conv\r", "conv", "^^^^"),
        ("a: conv\n   -> bn\n", "conv\n   -> bn", "a: conv", "   ^^^^"),
        ("conv\nbn", "\n", "conv", "    ^"),
        ("conv 64", "", "conv 64", "^"),
    ],
)
def test_carets_stand_under_the_span(text: str, marked: str, line: str, carets: str) -> None:
    rows = render_text(Diagnostic("E1", "here", span(Source("a.net", text), marked))).splitlines()
    assert rows[-2:] == [f"1 | {line}", f"  | {carets}"]


def test_end_of_file() -> None:
    source = Source("a.net", "conv 64 ->\n")
    diagnostic = Diagnostic("E101", "expected a layer", Span(source, 11, 11), note="the file ends")
    assert (
        shown(diagnostic)
        == """
error[E101]: expected a layer
 --> a.net:2:1
  |
2 |
  | ^ the file ends
"""
    )


def test_long_lines_are_cut_around_the_span() -> None:
    source = Source("a.net", f"{'a' * 500} -> conv 64 -> {'b' * 500}")
    diagnostic = Diagnostic(
        "E1", "long", span(source, "conv 64"), note="n" * 60, calls=(Frame("B()", span(source, "conv 64")),)
    )
    left, right = "a" * 43, "b" * 43
    assert (
        shown(diagnostic)
        == f"""
error[E1]: long
 --> a.net:1:505
  |
1 | ...{left} -> conv 64 -> {right}...
  | {" " * 50}^^^^^^^
  | {" " * 50}{"n" * 60}
  = in B(), from a.net:1:505: ...{left} -> conv 64 -> {right}...
"""
    )


@pytest.mark.parametrize("char", ["x", "层", "\t", "\u202e", "\u0301", " "])
@pytest.mark.parametrize("length", [1, 200, 100_000])
def test_no_line_is_too_wide(char: str, length: int) -> None:
    source = Source("a.net", "a" + char * 100_000 + "b")
    for start in (0, 50_000, 100_001):
        text = render_text(
            Diagnostic("E1", "wide", Span(source, start, min(start + length, 100_002)), note="note")
        )
        assert all(len(line) <= 120 for line in text.splitlines())


def test_control_characters_are_written_out() -> None:
    hostile = "\x1b[31m\x00\x7f\x9b\u2066\u202e\ud800\ne\u200b"
    safe = "\\x1b[31m\\x00\\x7f\\x9b\\u2066\\u202e\\ud800\\ne\\u200b"
    assert printable(hostile) == safe
    assert printable("ordinary text, é 层") == "ordinary text, é 层"
    source = Source(f"{hostile}.net", "conv")
    place = span(source, "conv")
    text = render_text(
        Diagnostic(
            "E1",
            hostile,
            place,
            note=hostile,
            labels=(Label(place, hostile),),
            calls=(Frame(hostile, place),),
            help=hostile,
            details=(hostile,),
        )
    )
    assert text.replace("\n", "").isprintable()
    assert text.count(safe) == 9
    assert len(text.splitlines()) == 11


def test_color_adds_only_color() -> None:
    plain, colored = render_text(BRANCHES), render_text(BRANCHES, color=True)
    assert colored.startswith("\x1b[1;31merror[E302]\x1b[0m\x1b[1m: add: ")
    for code in ("0", "1", "1;31", "1;34"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain


def test_error_shows_its_diagnostics() -> None:
    assert str(NetError([BRANCHES, BRANCHES])) == f"{render_text(BRANCHES)}\n{render_text(BRANCHES)}"


def test_json() -> None:
    result = render_json([BRANCHES, Diagnostic("E001", "no such file", severity="warning")])
    assert json.loads(json.dumps(result)) == result
    assert result == {
        "version": 1,
        "diagnostics": [
            {
                "code": "E302",
                "severity": "error",
                "message": "add: the branches differ: 256x28x28 and 128x28x28",
                "file": "resnet.net",
                "line": 6,
                "column": 21,
                "end_line": 6,
                "end_column": 46,
                "note": "128x28x28",
                "help": "downsample needs 4*planes channels",
                "details": ["2 branches"],
                "labels": [
                    {
                        "message": "256x28x28",
                        "file": "resnet.net",
                        "line": 4,
                        "column": 16,
                        "end_line": 4,
                        "end_column": 34,
                    }
                ],
                "calls": [
                    {
                        "what": "Bottleneck(planes=64, stride=2), layer2.0",
                        "file": "resnet.net",
                        "line": 10,
                        "column": 14,
                        "end_line": 10,
                        "end_column": 37,
                        "text": "stage 2: n2 * unit 128, /2 first",
                    }
                ],
            },
            {
                "code": "E001",
                "severity": "warning",
                "message": "no such file",
                "file": None,
                "line": None,
                "column": None,
                "end_line": None,
                "end_column": None,
                "note": "",
                "help": "",
                "details": [],
                "labels": [],
                "calls": [],
            },
        ],
    }


def test_summary() -> None:
    error, warning = Diagnostic("E1", "a"), Diagnostic("W1", "b", severity="warning")
    assert summary([]) == "no errors"
    assert summary([error]) == "1 error"
    assert summary([warning, error, error]) == "2 errors, 1 warning"
    assert summary([Diagnostic("I1", "c", severity="info")] * 2) == "2 info"


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_fit(width: int) -> None:
    """But for words, and code between backquotes, that are longer; and nothing is lost."""
    text = "a" * 50 + " -> " + "conv 3x3, 64 -> " * 20 + "relu"
    source = Source("a.net", f"net N:\n    {text}\n")
    found = Diagnostic(
        "E1",
        "what is wrong is said " * 8,
        Span(source, 70, 74),
        note="some word " * 3,
        details=("a detail " * 15,),
        help="write `conv 3x3, 64, stride=2` " * 5,
    )
    lines = render_text(found, width=width).splitlines()
    assert max(map(len, lines)) <= width
    for word in ("said", "detail", "stride=2`"):
        assert "\n".join(lines).count(word) == render_text(found).count(word)
    assert not [line for line in lines if line.count("`") % 2]
    colored = render_text(found, color=True, width=width)
    assert re.sub(r"\x1b\[[\d;]*m", "", colored).splitlines() == lines


@pytest.mark.parametrize(("count", "lines"), [(9, 9), (10, 10), (11, 11), (60, 11)])
def test_long_stacks_are_cut(count: int, lines: int) -> None:
    """The innermost and the outermost calls are shown; JSON has all."""
    place = span(RESNET, "conv 3x3")
    found = Diagnostic("E1", "deep", place, calls=tuple(Frame(f"B{i}()", place) for i in range(count)))
    shown = [line.strip(" =") for line in render_text(found).splitlines() if line.startswith("  = in")]
    assert len(shown) == lines
    assert [shown[0][:7], shown[-1][: len(f"in B{count - 1}(")]] == ["in B0()", f"in B{count - 1}("]
    if count > 10:
        assert shown[5] == f"in {count - 10} more calls"
    assert len(json.loads(json.dumps(render_json([found])))["diagnostics"][0]["calls"]) == count
