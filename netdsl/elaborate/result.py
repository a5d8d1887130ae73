"""What elaboration hands on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netdsl.elaborate.values import Declared, Env
from netdsl.ir.graph import Graph
from netdsl.ir.types import Init, Shape
from netdsl.ops import Op
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree


class Budget(Record):
    """A `require`: the claim, where it was made, and what it is about."""

    claim: tree.Expr
    source: Source
    env: Env
    scope: str
    """Path of the module it is about; "" for the net."""
    stage: str
    """The stage of that module it is about; "" for all of it."""
    span: Span


class Allow(Record):
    """`@allow(rule, "reason")` and the text it is about."""

    rule: str
    reason: str
    about: Span
    span: Span


class Decision(Record):
    """A decision of a search space."""

    name: str
    options: tuple[str, ...]
    chosen: int | None
    span: Span


class Elaborated(Record):
    """A net worked out: its graph, the shapes met on the way, and what the spec says about it."""

    graph: Graph
    shapes: Mapping[str, tuple[Shape, ...]]
    params: Mapping[str, Any]
    """The net's parameters with their values."""
    given: frozenset[str]
    """Those that the variant or the caller gave."""
    calls: frozenset[tuple[Declared, str]]
    """The parameters of blocks, and of the net, that any call gives."""
    budgets: tuple[Budget, ...]
    meta: Mapping[str, Any]
    allows: tuple[Allow, ...]
    decisions: tuple[Decision, ...]
    deciding: Mapping[tuple[str, str], Mapping[str, int | None]]
    """Decisions in calls of blocks, and what they take: by the block's name and the labels around the decisions."""
    inits: Mapping[str, Mapping[str, Init]]
    """What `init` lines of the net and its file say, by op and parameter: it holds for every layer built."""
    ops: frozenset[type[Op]]
    """The kinds of its layers."""
    blocks: frozenset[str]
    """The names of the net, and of the blocks that it is built of."""
