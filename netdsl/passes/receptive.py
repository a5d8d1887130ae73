"""Receptive fields: how much of the inputs each node sees, and how that moves from place to place.

Along a path, receptive field r and jump j grow by r += (k-1) d j, j *= s (Araujo et al., Computing receptive fields
of convolutional neural networks, Distill 2019). Where paths meet, the largest and the smallest r are kept, and the
union of what they see. An op says itself what one place of it sees: `Op.reach`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netdsl.collector import no_collection
from netdsl.ir.types import Shape
from netdsl.ops.base import EVERYWHERE, HERE, Field, Reach
from netdsl.ops.source import Input
from netdsl.passes.facts import Extent, Facts, Receptive

if TYPE_CHECKING:
    from netdsl.ir.graph import Node
    from netdsl.passes.facts import Number

_SAME, _ALL = HERE[0], EVERYWHERE[0]


class _Seen:
    """What a node's places see, and how many it has along rows and columns; one extent where both are equal."""

    __slots__ = ("columns", "fact", "places", "rows")

    def __init__(self, rows: Extent, columns: Extent, places: tuple[int, int]) -> None:
        self.rows = rows
        self.columns = columns
        self.places = places
        self.fact = Receptive(rows, columns)


def find_receptive_fields(facts: Facts) -> Facts:
    """Add the receptive field of each node that sees an input; the shapes must be known.

    An input of tokens has its places along the rows, one of a vector is one place. Several inputs are laid over
    each other.
    """
    shapes = facts.shapes
    seen: dict[str, _Seen] = {}
    reached: dict[tuple[object, ...], tuple[Field | None, ...]] = {}
    receptive: dict[str, Receptive] = {}
    with no_collection():
        for node in facts.graph:
            begins = isinstance(node.op, Input)
            found = _source(shapes[node.name][0]) if begins else _see(node, facts, seen, reached)
            if found is not None:
                seen[node.name] = found
                receptive[node.name] = found.fact
    return facts.replace(receptive=receptive)


def _source(shape: Shape) -> _Seen:
    rows, columns = _places(shape, (shape[0], 1) if len(shape) == 2 else (1, 1))
    along = Extent(1, 1, 1, 0, 0, False, rows)
    across = along if rows == columns else Extent(1, 1, 1, 0, 0, False, columns)
    return _Seen(along, across, (rows, columns))


def _places(shape: Shape, tokens: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns a value has; tokens and windows are the places of the map that they were."""
    if "h" in shape.axes:
        return shape.h, shape.w
    return tokens if "n" in shape.axes else (1, 1)


def _see(
    node: Node,
    facts: Facts,
    seen: dict[str, _Seen],
    known: dict[tuple[object, ...], tuple[Field | None, ...]],
) -> _Seen | None:
    """Return what a node sees through its inputs; None if no input of the net is behind them."""
    shapes = facts.shapes
    x = [shapes[name][port] for name, port in node.inputs]
    key = (id(node.op), *x, *[shape.axes for shape in x])  # equal layers have one op
    reached = known.get(key)
    if reached is None:
        reached = known[key] = node.op.reach(*x)
    paths = [
        (source, field)
        for (name, _), field in zip(node.inputs, reached, strict=True)
        if field is not None and (source := seen.get(name)) is not None
    ]
    if not paths:
        return None
    if len(paths) == 1 and paths[0][1] is HERE:
        return paths[0][0]
    places = _places(shapes[node.name][0], max([source.places for source, _ in paths]))
    rows = [_through(source.rows, field[0], source.places[0], places[0]) for source, field in paths]
    along = _union(rows, places[0])
    if places[0] == places[1] and all([_is_square(source, field) for source, field in paths]):
        return _Seen(along, along, places)
    columns = [_through(source.columns, field[1], source.places[1], places[1]) for source, field in paths]
    return _Seen(along, _union(columns, places[1]), places)


def _is_square(source: _Seen, field: Field) -> bool:
    """Tell whether what is seen through an op is the same along rows and columns."""
    return source.rows is source.columns and source.places[0] == source.places[1] and field[0] == field[1]


def _through(seen: Extent, reach: Reach, places: int, places_after: int) -> Extent:
    """Return what is seen through an op, of whose input `seen` is known and which has that many places."""
    if reach is _SAME:
        return seen
    jump = seen.jump
    if reach is _ALL:
        after = jump if places_after == places else jump * places
        return _still(seen, seen.first, seen.last + jump * (places - 1), jump * (places - 1), after)
    span = reach.span * jump
    if seen.fixed or not reach.stride:
        first, last = seen.first, seen.last
        if not seen.fixed:
            first, last = first - jump * reach.pad, last - jump * reach.pad + span
        return _still(seen, first, last, span, _ratio(jump * reach.stride, reach.up))
    first, last = -reach.pad, reach.dilation * (reach.kernel - 1) - reach.pad
    return Extent(
        seen.largest + span,
        seen.smallest + span,
        _ratio(jump * reach.stride, reach.up),
        seen.first + _ratio(jump * first, reach.up),
        seen.last + _ratio(jump * last, reach.up),
        False,
        seen.size,
    )


def _still(seen: Extent, first: Number, last: Number, span: Number, jump: Number) -> Extent:
    """Return what is seen if every place sees the same, of which only what there is counts."""
    if seen.fixed:
        first, last = seen.first, seen.last
    first, last = max(first, 0), min(last, seen.size - 1)
    return Extent(last - first + 1, min(seen.smallest + span, seen.size), jump, first, last, True, seen.size)


def _ratio(above: Number, below: int) -> Number:
    """Return above / below, an int where it is one."""
    if below == 1:
        return above
    from fractions import Fraction

    value = Fraction(above) / below
    return value.numerator if value.denominator == 1 else value


def _union(paths: list[Extent], places: int) -> Extent:
    """Return what is seen along any of the paths that meet at a node of that many places."""
    first = paths[0]
    for other in paths[1:]:
        if other != first:
            first = _both(first, other, places)
    return first


def _both(a: Extent, b: Extent, places: int) -> Extent:
    jump, size = max(a.jump, b.jump), max(a.size, b.size)
    smallest = min(a.smallest, b.smallest)
    if a.fixed or b.fixed:
        first = max(min(a.first, b.first), 0)
        last = min(max(e.last if e.fixed else e.last + e.jump * (places - 1) for e in (a, b)), size - 1)
        return Extent(last - first + 1, smallest, jump, first, last, True, size)
    # one that moves more slowly is left behind: at the last place it begins furthest before the other
    first = min(e.first + (e.jump - jump) * (places - 1) for e in (a, b))
    return Extent(max(a.largest, b.largest), smallest, jump, first, max(a.last, b.last), False, size)
