"""Texts in the middle of being written: every error is said, and no line says what the mended text does not."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from netdsl.diagnostics import Diagnostic
from netdsl.ide.analysis import Line, Look
from netdsl.source import Source

SPECS = Path(__file__).parent.parent / "specs"
FAMILIES = (
    *(
        "alexnet",
        "convnext",
        "densenet",
        "efficientnet",
        "googlenet",
        "inception_v3",
        "mobilenet_v3",
        "regnet",
    ),
    *("resnet", "shufflenet_v2", "swin", "unet", "vgg", "xception"),
)
BROKEN = 30


class Seeded(NamedTuple):
    """A line that was broken, from 1, and how."""

    line: int
    kind: str


Breaks = Callable[[str], str | None]
"""Breaks a line; None where it cannot be."""


def sub(pattern: str, new: str) -> Breaks:
    def breaks(line: str) -> str | None:
        broken = re.sub(pattern, new, line, count=1)
        return broken if broken != line else None

    return breaks


LAYER = r"(?<![\w.\"])(conv|fc|maxpool|avgpool|dwconv|bn|relu|dropout|ln)(?= |$)"
NOT_CLOSED = "a bracket that is not closed"
KINDS: dict[str, Breaks] = {
    NOT_CLOSED: sub(r"(\w)\)(?=.*->|$)", r"\1"),
    "a bracket too many": sub(r"^( {4,}.*\w)$", r"\1)"),
    "a misspelt op": sub(LAYER, r"\1x"),
    "a misspelt word": sub(r"\b(from|input|return|when)\b(?= )", r"\1q"),
    "a string that is not closed": sub(r'^( +meta \w+="[^"]*)"', r"\1"),
    "an arrow too many": sub(r" -> ", " -> -> "),
    "half a line": sub(r"^( {4,}\w+: \w+ [^,(\[]*),.*$", r"\1,"),
    "an argument that there is not": sub(
        r"^( {4,}(?:\w+: )?(?:conv|fc|maxpool) [^-(|>]*?\w)$", r"\1, wrong=1"
    ),
    "an unknown name": sub(r"^( {4,}(?:\w+: )?(?:conv|fc) )(\w+)(?=[^\w]|$)", r"\1nowhere"),
    "a value of another type": sub(r"(conv \d+x\d+, )(\w+)", r'\1"\2"'),
    "a shape that cannot be": sub(r"^( {4,}fc: )(.*)$", r"\1conv 3x3, 8 -> \2"),
    "a tab": sub(r"^    (?! )", "\t"),
}


def broken(seed: int) -> tuple[str, str, list[Seeded]]:
    """Return a spec of the zoo, the same with one error or two, and where they are."""
    draw = random.Random(seed)
    text = (SPECS / f"{FAMILIES[seed % len(FAMILIES)]}.net").read_text(encoding="utf-8")
    lines = text.split("\n")
    seeded: list[Seeded] = []
    wanted = 1 + (seed % 3 == 0)
    # what flows is unknown below an error, so that of two no shape is one
    kinds = sorted(KINDS if wanted == 1 else KINDS.keys() - {"a shape that cannot be"})
    for kind in kinds[seed % len(kinds) :] + kinds[: seed % len(kinds)]:
        places = [
            (at, new)
            for at, line in enumerate(lines)
            if "#" not in line
            and at + 1 not in [one.line for one in seeded]
            and (new := KINDS[kind](line))
            and not "".join(lines[at + 1 : at + 2]).lstrip().startswith("->")
        ]
        brackets = [one for one in seeded if "bracket" in one.kind]
        if places and len(seeded) < wanted and not (brackets and "bracket" in kind):  # which would be a pair
            at, new = draw.choice(places)
            lines[at] = new
            seeded.append(Seeded(at + 1, kind))
    return text, "\n".join(lines), seeded


def packaged(name: str, source: Source) -> Source:
    file = SPECS / name
    if not file.is_file():
        raise ValueError("there is no such file")
    return Source(name, file.read_text(encoding="utf-8"))


def spoken(found: Diagnostic) -> set[int]:
    """Return the lines that a diagnostic is about."""
    spans = [found.span, *[label.span for label in found.labels], *[frame.span for frame in found.calls]]
    return {
        line
        for span in spans
        if span is not None
        for line in range(span.line, span.source.position(max(span.start, span.end - 1))[0] + 1)
    }


@pytest.mark.parametrize("seed", range(BROKEN))
def test_each_error_is_said_and_no_line_says_what_is_not_so(seed: int) -> None:
    whole, text, seeded = broken(seed)
    look, right = (Look(Source("spec.net", one), packaged) for one in (text, whole))
    found = look.analysis()
    wrong = [*found.diagnostics, *[one for net in look.nets for one in look.seen(net).errors]]
    said = set().union(*map(spoken, wrong))
    # where a bracket is not closed the line goes on, and is wrong there
    said |= {one.line for one in seeded if one.kind == NOT_CLOSED and one.line + 1 in said}
    assert {one.line for one in seeded} <= said, (
        seeded,
        [(one.code, one.message, str(one.span)) for one in wrong],
    )
    touched = {one.line for one in seeded}
    for net in look.nets:
        assert right.seen(net).network is not None
        known = {at(right.source, line): line for line in right.analysis(net).lines}
        for line in look.analysis(net).lines:
            row, _ = look.source.position(line.start)
            if row in touched:
                continue
            mended = known[at(look.source, line)]
            assert set(line.shapes) <= set(mended.shapes), (net, row, look.source.line(row))
            assert line.copies <= mended.copies
            if line.copies == mended.copies:
                assert (line.params, line.macs) == (mended.params, mended.macs), (net, row)


def at(source: Source, line: Line) -> tuple[str, tuple[int, int]]:
    """Return the text of a line's piece and where it stands, which a change elsewhere leaves as they are."""
    return source.text[line.start : line.end], source.position(line.start)
