"""Rule odd_width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import ClassVar

from netdsl.ir.graph import Node
from netdsl.lint.facts import Facts
from netdsl.lint.rule import Hit, Rule, written
from netdsl.source import Span

_ROUND = 8
"""What widths that double are multiples of, and what a slip leaves is not."""


class OddWidth(Rule):
    """A width that is its neighbours' but for a digit.

    ## What it does
    Looks at the channels that one line of a block makes from call to call, and that the convolutions of one scope
    make from line to line. Found is a number that breaks their run where one slip of the hand would not have: 265
    between 128 and 512, or 521 behind 64, 128 and 256, where the others double; 48 between 40 and 40; 96 between 672
    and 960, where a 0 is lost. A slip is a digit too much, too few or another, or two that have changed places.

    ## Why is this bad
    It compiles, trains, and is a little worse, slower or larger than the net that was meant, whose published weights
    do not load. Four of five misspelt words are one such slip away from what was meant.

    ## Bad
        block Unit(c):
            conv: conv 3x3, c, bias=false -> bn -> relu

        net N:
            input 3, 32x32
            layer1: Unit 64
            layer2: Unit 128
            layer3: Unit 265
            layer4: Unit 512
            gap
            fc: fc 10

    ## Good
        block Unit(c):
            conv: conv 3x3, c, bias=false -> bn -> relu

        net N:
            input 3, 32x32
            layer1: Unit 64
            layer2: Unit 128
            layer3: Unit 256
            layer4: Unit 512
            gap
            fc: fc 10

    ## Fix safety
    There is no automatic fix: weights have other shapes.

    ## References
    Damerau, A technique for computer detection and correction of spelling errors, Communications of the ACM 7(3),
    1964: over 80% of errors are one of these four
    """

    code: ClassVar[str] = "L128"

    def check(self, facts: Facts) -> Iterator[Hit]:
        """Look at each run; what a call makes of a number that is written there is one finding, at that number."""
        found = {node.name: (node, meant, beside) for node, meant, beside in self._odd(facts)}
        at = {name: written(node, facts.output(node).c) for name, (node, _, _) in found.items()}
        blamed = {node.calls[-1].span for node, _, _ in found.values() if at[node.name] is not None}
        for node, meant, beside in found.values():
            if at[node.name] is None and node.calls and node.calls[-1].span in blamed:
                continue
            yield self.hit(
                node,
                f"{facts.called(node)} makes {facts.output(node).c} channels beside {beside}: {meant} but for a slip",
                help=f"{meant}, if that was meant",
                at=at[node.name],
            )

    @staticmethod
    def _odd(facts: Facts) -> Iterator[tuple[Node, int, str]]:
        """Yield the layers whose widths break a run, what was meant, and what is beside them."""
        for run, calls in _runs(facts):
            steps = [(width, [*nodes]) for width, nodes in groupby(run, lambda node: facts.output(node).c)]
            widths = [width for width, _ in steps]
            for at, (width, nodes) in enumerate(steps):
                if meant := _meant(widths, at) or (_zeros(widths, at) if calls else 0):
                    near = widths[max(0, at - 1) : at + 2]
                    yield from (
                        (node, meant, " and ".join(str(n) for n in near if n != width)) for node in nodes
                    )


def _runs(facts: Facts) -> Iterator[tuple[list[Node], bool]]:
    """Yield the dense convolutions of maps that a line of a block makes call by call, and those of a scope.

    With them, whether they are of calls.
    """
    lines: dict[tuple[Span, ...], list[Node]] = {}
    scopes: dict[str, list[Node]] = {}
    for node in facts.dense:
        out = facts.output(node)
        if out.kind == "a map" and out.h * out.w > 1:
            calls = [frame.span for frame in node.calls[:-1]]  # within the block that the net calls
            lines.setdefault((node.span, *calls), []).append(node)
            scopes.setdefault(facts.scope(node).path, []).append(node)
    yield from ((run, True) for run in lines.values())
    yield from ((run, False) for run in scopes.values())


def _meant(widths: Sequence[int], at: int) -> int:
    """Return what a width was meant to be, where those around it are equal or double; 0 if nothing says it."""
    width = widths[at]
    before, after = [*widths[max(0, at - 3) : at]], [*widths[at + 1 : at + 4]]
    if before and after:
        if after[0] == before[-1]:
            ratio, rest = divmod(max(width, after[0]), min(width, after[0]))
            scaled = rest == 0 and ratio & (ratio - 1) == 0  # as what squeezes or expands is
            return after[0] if not scaled and _slips(str(width), str(after[0])) else 0
        meant = 2 * before[-1] if after[0] == 4 * before[-1] else 0
    elif before:
        meant = 2 * before[-1] if _doubles(before) else 0
    else:
        meant = after[0] // 2 if _doubles(after) and after[0] % 2 == 0 else 0
    odd = meant % _ROUND == 0 and (width % _ROUND != 0 or width == 10 * meant)
    return meant if odd and _slips(str(width), str(meant)) else 0


def _zeros(widths: Sequence[int], at: int) -> int:
    """Return what a width was meant to be that lies between its neighbours but for a 0 too much or too few."""
    if not 0 < at < len(widths) - 1:
        return 0
    width, (low, high) = widths[at], sorted((widths[at - 1], widths[at + 1]))
    if 2 * width < low <= 10 * width <= high:
        return 10 * width
    return width // 10 if width % 10 == 0 and 10 * low <= width <= 10 * high and width > 2 * high else 0


def _doubles(widths: Sequence[int]) -> bool:
    """Tell whether three widths double twice."""
    return len(widths) == 3 and widths[1] == 2 * widths[0] and widths[2] == 2 * widths[1]


def _slips(written: str, meant: str) -> bool:
    """Tell whether one slip makes a text another: a character more, less or another, or two that change places."""
    if len(written) != len(meant):
        short, long = sorted((written, meant), key=len)
        return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))
    wrong = [i for i, (a, b) in enumerate(zip(written, meant, strict=True)) if a != b]
    if len(wrong) == 2 and wrong[1] == wrong[0] + 1:
        return written[wrong[0]] == meant[wrong[1]] and written[wrong[1]] == meant[wrong[0]]
    return len(wrong) == 1
