"""The graph of one part of a net, whose inputs are what it is sent, and whose outputs are what it sends on.

What is learned, and running statistics, have the names that they have in the net: the states of all parts together
are its state. A value is sent on by each part between the one that makes it and the last that reads it. It is carried
in an order of axes that an input can have; another is put right where it comes in, and before it goes out. What is
there in training only is always there before the last part, which returns it in training only: what is sent has to be
the same in each pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from netdsl.elaborate.names import reserved_name
from netdsl.ir.graph import Graph, Node, Output, Scope, Value
from netdsl.ir.types import Shape
from netdsl.net import Net
from netdsl.ops.layout import Permute
from netdsl.ops.source import Input
from netdsl.syntax.tokens import keywords
from netdsl.transforms.tree import input_axes, with_part

HANDED_ON = "_on"
"""What stands behind the name of an output that is an input: no two of these have one name."""


def carried_names(net: Net, values: Iterable[Value]) -> dict[Value, str]:
    """Return what each value is called where it is an input or output of a part: after its layer."""
    taken = {part for scope in net.graph.tree.scopes() for part in (scope.path, scope.name)}
    taken |= {part for name in net.graph.nodes for part in (name, name.partition(".")[0])}
    taken |= keywords() | {output.name for output in net.graph.outputs}
    names: dict[Value, str] = {}
    for value in values:
        several = len(net.outputs_of(value.node)) > 1
        name = re.sub(r"\W", "_", value.node) + (f"_{value.port}" if several else "")
        name = f"x{name}" if name[0].isdigit() else name
        while not taken.isdisjoint([name, f"{name}{HANDED_ON}"]) or reserved_name(name):
            name += "_"
        taken.add(name)
        names[value] = name
    return names


def part_graph(
    net: Net,
    inside: frozenset[str],
    received: Sequence[Value],
    sent: Sequence[Value],
    names: Mapping[Value, str],
    rank: int,
) -> Graph:
    """Return the graph of some nodes of a net, which are sent some values, and send some on; the last sends none."""
    graph, tree = Graph(), net.graph.tree
    last = not sent
    comes = {value: Value(names[value]) for value in received}
    """By value what it is in the part, as it is carried."""
    read = dict(comes)
    """And as it is read."""
    heads: list[str] = []
    tails: list[str] = []

    def put(name: str, op: Input | Permute, *inputs: Value) -> Value:
        graph.add(Node(name, op, inputs, tree.span))
        return Value(name)

    for value, name in ((value, names[value]) for value in received):
        shape = net.outputs_of(value.node)[value.port]
        axes = input_axes(shape)
        put(name, Input(shape=_sizes(shape, axes)))
        graph.inputs[name] = name
        heads.append(name)
    for value, came in comes.items():
        shape = net.outputs_of(value.node)[value.port]
        axes = input_axes(shape)
        if axes != shape.axes and any(node.name in inside for node in net.graph.users(value.node)):
            order = tuple(axes.index(axis) for axis in shape.axes)
            heads.append(f"{came.node}_read")
            read[value] = put(heads[-1], Permute(axes=order), came)
    for node in net.graph:
        if node.name in inside:
            inputs = tuple([read.get(value, value) for value in node.inputs])
            module = node.module if node.module in inside else ""  # of what has a state it is
            graph.add(node.replace(inputs=inputs, module=module, train=node.train and last))
    graph.inputs.update({name: node for name, node in net.graph.inputs.items() if node in inside})
    outputs: list[Output] = []
    for value in sent:
        shape = net.outputs_of(value.node)[value.port]
        axes = input_axes(shape)
        made = comes.get(value, value)
        if axes != shape.axes and value not in comes:
            order = tuple(shape.axes.index(axis) for axis in axes)
            tails.append(f"{names[value]}_sent")
            made = put(tails[-1], Permute(axes=order), value)
        outputs.append(Output(f"{names[value]}{HANDED_ON if value in comes else ''}", made))
    if last:
        outputs = [
            output.replace(value=comes.get(output.value, output.value)) for output in net.graph.outputs
        ]
    graph.outputs = tuple(outputs)
    graph.tree = _framed(with_part(graph, tree, read), heads, tails)
    graph.tree.block = f"{tree.block}Part{rank}"
    return graph


def _sizes(shape: Shape, axes: str) -> tuple[int, ...]:
    return tuple([shape[shape.axes.index(axis)] for axis in axes])


def _framed(graph: Graph, heads: Sequence[str], tails: Sequence[str]) -> Scope:
    """Return the module tree of a graph between what comes in and what goes out."""
    tree = graph.tree
    before, behind = len(heads), len(heads) + len(tree.written)
    if tree.order:
        middle = [before + at for at in tree.order]
        tree.order = (*range(before), *middle, *range(behind, behind + len(tails)))
    tree.written = [*heads, *tree.written, *tails]
    tree.stages = {before + at: name for at, name in tree.stages.items()}
    tree.cuts = {before + at for at in tree.cuts}
    tree.turns = [range(before + turn.start, before + turn.stop) for turn in tree.turns]
    return tree
