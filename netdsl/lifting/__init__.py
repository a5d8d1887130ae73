"""A graph as the text of a spec, as a person would have written it.

Scopes become statements (`body.py`), whose values get names where they need them (`naming.py`, `shared.py`). What is
the same again and again becomes a count or a loop (`roll.py`; over lists of maps `streams.py`, `rows.py`), bodies of
one class (`classes.py`) are laid over each other (`overlay.py`), and their numbers become parameters and what follows
from these (`solve.py`). `layout.py` writes lines, `file.py` the whole. What is written is read again and compared:
`lifted` returns nothing that is not the graph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.files import Files
from netdsl.elaborate.layers import has_state
from netdsl.elaborate.names import reserved_name
from netdsl.elaborate.result import Elaborated
from netdsl.elaborate.values import MISSING
from netdsl.ir.graph import Graph, Scope, Value
from netdsl.ir.types import Shape
from netdsl.lifting.classes import class_names
from netdsl.lifting.file import File, Said
from netdsl.lifting.layout import NotLaidOut
from netdsl.lifting.solve import square
from netdsl.ops import Op
from netdsl.ops.conv import Conv, DwConv
from netdsl.passes import Facts, infer_shapes, verify_graph
from netdsl.source import Source

ATTEMPTS = 5
"""How often classes whose text is not right are written apart, before all are."""


def lifted(
    graph: Graph,
    shapes: Mapping[str, tuple[Shape, ...]],
    name: str,
    structured: bool = True,
    labels: bool = True,
    meta: Mapping[str, Any] = {},
    accept: Callable[[Recipe, Elaborated], object] | None = None,
    notes: bool = False,
    file: str = "",
) -> tuple[Recipe, Elaborated]:
    """Return the net that a graph is, as a spec of its own that has been read again and is right.

    A class of blocks whose text is not right has a block for each of its instances that is unlike the others.

    Args:
        graph: What is to be written.
        shapes: Those of all values, by node.
        name: That of the net, or of its variant.
        structured: Whether blocks have parameters, conditions, counts and loops.
        labels: Whether ops without state keep labels from which nothing follows.
        meta: What the net's `meta` line says.
        accept: Raises a NetError where the blocks of a text are of no use, though the net is right.
        notes: Whether comments of the net say where maps get smaller.
        file: What the text's file is called, if not after the net.

    Raises:
        NetError: No spec makes this graph, or no net can have that name.
    """
    why = reserved_name(name)
    if why:
        raise NetError([Diagnostic("E219", f"`{name}` {why}", help="call the net otherwise")])
    said = Said(labels, meta, notes, file=file or f"{name}.net")
    for stages in (True, False):  # which begin statements, and some containers stand within one
        try:
            return _lifted(graph, shapes, name, structured, said.replace(stages=stages), accept)
        except NotLaidOut as error:
            why = str(error)
    raise NetError([Diagnostic("E571", f"no spec makes the graph `{name}`: there is no line for {why}")])


def _lifted(
    graph: Graph,
    shapes: Mapping[str, tuple[Shape, ...]],
    name: str,
    structured: bool,
    said: Said,
    accept: Callable[[Recipe, Elaborated], object] | None,
) -> tuple[Recipe, Elaborated]:
    """Return the net that a graph is; raise NotLaidOut where some of it has no line."""
    apart: set[str] = set()
    for attempt in range(ATTEMPTS + 1) if structured else ():
        file = File(graph, shapes, attempt < ATTEMPTS, frozenset(apart), said)
        try:
            recipe, made = _made(Source(said.file, file.text(name)), name)
            wrong = _first_difference(graph, made.graph, shapes)
            if not wrong:
                if accept is not None:
                    accept(recipe, made)
                return recipe, made
            more = {_class_of(graph, wrong[0])}
        except NetError as error:
            more = {_class_at(file, one) for one in error.diagnostics}
        except NotLaidOut:
            break
        if not more - apart or "" in more:
            break
        apart |= more
    recipe, made = _made(Source(said.file, File(graph, shapes, False, frozenset(), said).text(name)), name)
    different = _first_difference(graph, made.graph, shapes)
    if different:
        raise NetError([Diagnostic("E571", f"no spec makes the graph `{name}`: {different[1]}")])
    return recipe, made


def _made(text: Source, name: str) -> tuple[Recipe, Elaborated]:
    """Return the net of a text, elaborated."""
    file = Files(_no_imports).load(text)
    (net,) = file.nets.values()
    recipe = Recipe(net, file.variants.get(name), {}, {})
    return recipe, recipe.elaborate()


def _class_at(file: File, error: Diagnostic) -> str:
    """Return the class of the block in which an error stands, or else of one that calls it; "" for none."""
    for span in (error.span, *(frame.span for frame in error.calls)):
        if span is not None:
            heads = re.findall(r"^block (\w+)", span.source.text[: span.start], re.MULTILINE)
            if heads and heads[-1] in file.origins and span.source.text.find("\nnet ") > span.start:
                return file.origins[heads[-1]]
    return ""


def _class_of(graph: Graph, name: str) -> str:
    """Return the class of the innermost block that holds a node, "" for none."""
    found, names = "", class_names(graph.tree)
    for scope in graph.tree.scopes():
        if scope.kind == "block" and name.startswith(f"{scope.path}."):
            found = names[scope.path]
    return found


def _no_imports(name: str, importer: Source) -> Source:
    raise ValueError("the spec of a graph has none")


def difference(graph: Graph, other: Graph) -> str:
    """Return the first difference of two graphs, "" for none.

    Ops without state may be called otherwise, a depthwise convolution be one in groups, and a number a size.
    """
    found = _first_difference(graph, other, infer_shapes(verify_graph(Facts(graph))).shapes)
    return found[1] if found else ""


def _first_difference(
    graph: Graph, other: Graph, shapes: Mapping[str, tuple[Shape, ...]]
) -> tuple[str, str] | None:
    """Return the node at which two graphs differ first, and how; None if they do not."""
    pairs = list(zip(graph, other, strict=False))
    names = {node.name: twin.name for node, twin in pairs}
    found = None
    for node, twin in pairs:
        reads = tuple(Value(names.get(value.node, ""), value.port) for value in node.inputs)
        op = node.op
        if isinstance(op, DwConv) and isinstance(twin.op, Conv):
            op = _in_groups(op, shapes[node.inputs[0].node][node.inputs[0].port].c)
        if not _same(op, twin.op) or node.train != twin.train:
            found = node.name, f"{node.name} is another {twin.op.name}"
        elif reads != twin.inputs:
            found = node.name, f"{node.name} reads other values"
        elif names.get(node.home) != twin.home:
            found = node.name, f"{node.name} has the weights of {node.home}, not of {twin.home}"
        if found:
            break
    if len(graph) != len(other):
        where = found[0] if found else pairs[-1][0].name
        return where, f"it has {len(graph)} ops, not {len(other)}"
    if found:
        return found
    ends = [(o.name, Value(names[o.value.node], o.value.port), o.train) for o in graph.outputs]
    if ends != [(o.name, o.value, o.train) for o in other.outputs] or graph.inputs != other.inputs:
        return "", "its inputs or outputs are others"
    one, two = (_modules(each) for each in (graph, other))
    if one == two:
        return None
    return next(
        ((a, f"{a} is no {b}") for a, b in zip(one, two, strict=False) if a != b),
        ("", "it has other modules"),
    )


def _same(one: Op, two: Op) -> bool:
    """Tell whether two ops are the same; `dilation=2` is `dilation=2x2`."""
    if one == two or type(one) is not type(two):
        return one == two
    pairs = {key: (getattr(one, key), getattr(two, key)) for key in one._fields}
    alike = {key: a for key, (a, b) in pairs.items() if type(a) is not type(b) and square(a) == square(b)}
    return bool(two.replace(**{key: a for key, a in alike.items() if square(a) is not MISSING}) == one)


def _in_groups(op: DwConv, c: int) -> Conv:
    """Return a depthwise convolution of some channels as one in groups."""
    shared = {key: value for key, value in op.__dict__.items() if key != "multiplier"}
    return Conv(channels=op.channels_of(c), groups=c, **shared)


def _modules(graph: Graph) -> list[str]:
    """Return what is registered, in order: scopes, and layers with state; what runs again by its first call."""

    def registered(scope: Scope) -> list[str]:
        found: list[str] = []
        for item in scope.items:
            if isinstance(item, Scope):
                found += [item.module] if item.module else [item.path, *registered(item)]
            elif has_state(graph[item].op):
                found.append(graph[item].home)
        return found

    return registered(graph.tree)
