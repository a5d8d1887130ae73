"""A layer's numbers with their factors filled in: for `netdsl explain SPEC LAYER COUNT`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from netdsl.cost.model import EXPLAINED, Term
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.diagnostics.render import printable
from netdsl.ir.graph import Node, Scope
from netdsl.ir.types import DTYPES, Shape
from netdsl.ops.base import Reach
from netdsl.passes import Receptive
from netdsl.report.peers import PEERS, Peer, Peers, peers_of
from netdsl.sheet import aligned
from netdsl.source import Source, Span

if TYPE_CHECKING:
    from netdsl.ir.tape import Storage
    from netdsl.net import Net
    from netdsl.passes.facts import Extent, Number

_FIELDS = {"memory": "activations"}
"""The counts that a Cost calls otherwise."""
_BYTES = DTYPES["float32"]
_ASIDE = "  it runs in training only: the net's total has it with --train"


def explain(net: Net, layer: str, counts: Iterable[str] = EXPLAINED) -> str:
    """Return how counts of a layer, or of all layers of a block or container, come about, for one sample.

    Raises:
        NetError: There is no layer, block or container of that name.
    """
    scopes = {scope.path or net.name: scope for scope in net.graph.tree.scopes()}
    if layer in net.graph:
        node = net.graph[layer]
        parts = ["\n".join(_head(net, node)), *(of_node(net, node, count) for count in counts)]
    elif layer in scopes:
        parts = [of_scope(net, scopes[layer], count) for count in counts]
    else:
        known = [*(node.name for node in net.graph), *scopes]
        alike = [f"`{printable(node.name)}`" for node in net.graph if node.op.name == layer]
        help = f"its {layer} is {alike[0]}" if alike else did_you_mean(layer, known)
        help = (
            help
            if len(alike) < 2
            else f"its {layer} are {', '.join(alike[:3])}{', ...' if alike[3:] else ''}"
        )
        help = help or f"layers are {', '.join(f'`{printable(name)}`' for name in known[:3])}, ..."
        raise NetError([Diagnostic("E512", f"{net.name} has no layer or block `{layer}`", help=help)])
    mode = "evaluation" + ("; saved in training" if "saved" in counts else "")
    return "\n\n".join([*parts, f"one sample, float32, {mode}"])


def terms(net: Net, node: Node, count: str) -> tuple[Term, ...]:
    """Return the products whose sum a count of a node is: `macs`, `params`, `ops`, or `memory` in bytes."""
    if count == "saved" or (count == "params" and node.module):
        return ()
    found = node.op.formula(_FIELDS.get(count, count), *net.inputs_of(node.name))
    if count == "memory":
        return tuple(term.replace(factors=(*term.factors, ("bytes", _BYTES))) for term in found)
    return found


def number(net: Net, node: Node, count: str) -> int:
    """Return a count of a node as the cost table has it."""
    if count == "saved":
        return net.saved().get(node.name, 0)
    cost = net.layer_costs[node.name].scaled(1, _BYTES)
    value: int = getattr(cost, _FIELDS.get(count, count))
    return value


def of_node(net: Net, node: Node, count: str) -> str:
    """Return how a count of a node comes about."""
    if count == "rf":
        return "\n".join(_field(net, node))
    if count == "saved":
        return "\n".join(_saved(net, node))
    lines = list(_sum(net, node, count))
    if node.train and count in ("macs", "ops", "memory"):
        lines.append(_ASIDE)
    if count == "params" and net.layer_costs[node.name].buffers:
        lines.append(
            f"  and {net.layer_costs[node.name].buffers:,} numbers in buffers, which are not learned"
        )
    if count == "memory":
        lines += _memory(net, node)
    return "\n".join([*lines, *_others(net, [node], count)])


def of_scope(net: Net, scope: Scope, count: str) -> str:
    """Return a count of what is in a scope, as the sum over its layers."""
    nodes = [net.graph[name] for name in scope.nodes()]
    name = scope.path or net.name
    if count == "rf":
        seen = [node for node in nodes if node.name in net.receptive]
        if not seen:
            return f"rf of {printable(name)}: it sees no input of the net"
        head = f"rf of {printable(name)} is that of its last layer, {printable(seen[-1].name)}"
        return "\n".join([head, *_field(net, seen[-1])])
    aside = count not in ("params", "saved") and bool(nodes) and all(node.train for node in nodes)
    kept = _kept(net)[0] if count == "saved" else {}
    rows: list[tuple[str, str, str, int]] = []
    for node in nodes:
        value = number(net, node, count)
        if value and (aside or not node.train or count in ("params", "saved")):
            filled = " + ".join(map(_values, terms(net, node, count)))
            filled = filled or " + ".join(map(_product, kept.get(node.name, ())))
            rows.append((printable(node.name), node.op.name, filled, value))
    whole = sum(value for *_, value in rows)
    unit = " bytes" if count in ("memory", "saved") else ""
    lines = [f"{count} of {printable(name)} = {whole:,}{unit}, the sum over {_layers(len(rows))}"]
    if rows:
        table = aligned([(layer, op, f"{value:,}") for layer, op, _, value in rows], (0, 1))
        for line, (_, _, filled, _) in zip(table, rows, strict=True):
            lines.append(f"  {line}{f' = {filled}' if filled else ''}")
    if aside:
        lines.append(_ASIDE)
    if count == "params" and scope.module:
        lines.append(f"  its weights are those of {printable(scope.module)}, and counted there")
    return "\n".join([*lines, *_others(net, nodes, count)])


def _layers(number: int) -> str:
    return "1 layer" if number == 1 else f"{number} layers"


def _head(net: Net, node: Node) -> Iterator[str]:
    """Yield what a layer is: its name, its place in the spec, its arguments and shapes."""
    x, out = net.inputs_of(node.name), net.outputs_of(node.name)
    yield f"{printable(node.name)}: {node.op.name} of {printable(net.name)}"
    line = node.span.line
    yield f"  {printable(str(node.span))}: {printable(node.span.source.line(line).strip())}"
    for frame in node.calls:
        text = printable(frame.span.source.line(frame.span.line).strip())
        yield f"  in {printable(frame.what)}, from {printable(str(frame.span))}: {text}"
    if node.module:
        yield f"  with the weights of {printable(node.module)}, which are counted there"
    arguments = ", ".join(
        f"{name}={_shown(value)}" for name, value in node.op.arguments().items() if value is not None
    )
    if arguments:
        yield f"  arguments {printable(arguments)}"
    yield from _sources(node)
    for value, shape in zip(node.inputs, x, strict=True):
        yield f"  input     {_shape(shape)}, of {printable(value.node)}"
    for shape in out:
        yield f"  output    {_shape(shape)}"
    yield from (f"  {line}" for line in node.op.size_steps(*x))


def _sources(node: Node) -> Iterator[str]:
    """Yield which lines give what the layer's own text does not, such as `default` lines."""
    lines: dict[tuple[Source, int], list[tuple[str, Span]]] = {}
    for name, span in node.sources:
        lines.setdefault((span.source, span.line), []).append((name, span))
    for (source, number), given in lines.items():
        text = printable(source.line(number).strip())
        added = [one for one in given if one[0] in ("norm", "act")]
        own = [one for one in given if one not in added]
        if own:
            yield f"    {', '.join(name for name, _ in own)} of {printable(str(own[0][1]))}: {text}"
        for name, span in added:
            yield f"    which stands here by {name}= of {printable(str(span))}: {text}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shape(shape: Shape) -> str:
    return f"{shape} ({' x '.join(shape.axes)})"


def _sum(net: Net, node: Node, count: str) -> Iterator[str]:
    """Yield the formula, the formula with its values, and what comes out."""
    value, found = number(net, node, count), terms(net, node, count)
    unit = " bytes" if count == "memory" else ""
    if not found:
        yield f"{count} = {value:,}{unit}: {_why_none(node, count, value)}"
        return
    joint, indent = "=", " " * len(count)
    lead = count
    for term in found:
        named = f"    {term.of}" if len(found) > 1 else ""
        yield f"{lead} {joint} {' * '.join(name for name, _ in term.factors) or '1'}{named}"
        lead, joint = indent, "+"
    for at, term in enumerate(found):
        yield f"{indent} {'+' if at else '='} {_values(term)}"
    if len(found) > 1:
        for at, term in enumerate(found):
            yield f"{indent} {'+' if at else '='} {term.value:,}"
    yield f"{indent} = {value:,}{unit}"


def _values(term: Term) -> str:
    return " * ".join(str(size) for _, size in term.factors) or "1"


def _why_none(node: Node, count: str, value: int) -> str:
    if value:
        return f"{node.op.name} gives no factors of it"
    if count == "params":
        if node.module:
            return f"its weights are those of {printable(node.module)}, and counted there"
        return f"{node.op.name} learns nothing"
    if count == "memory":
        return f"{node.op.name} makes no new values"
    return f"{node.op.name} has none"


def _memory(net: Net, node: Node) -> Iterator[str]:
    """Yield what else is alive while a layer runs, in bytes."""
    beside = node.op.scratch(_BYTES, *net.inputs_of(node.name))
    if beside:
        yield f"  while it runs PyTorch makes {beside:,} bytes beside, which it drops at once"
    alive = net.liveness().alive.get(node.name)
    if alive is not None:
        yield f"  {alive:,} bytes are alive then in inference, its inputs and output and what is read later"


def _kept(net: Net) -> tuple[dict[str, list[Storage]], dict[Storage, str]]:
    """Return the storages that each layer is the first to keep for a sample, and the layers that made storages."""
    from netdsl.passes import Facts
    from netdsl.passes.training import record

    tape, values = record(Facts(net.graph, net.elaborated.shapes), 1, "float32")
    makers: dict[Storage, str] = {}
    for name, tensors in values.items():
        for tensor in tensors:
            makers.setdefault(tensor.storage, name)  # the first: others look at it, or write into it
    kept: dict[str, list[Storage]] = {}
    for storage, layer in tape.kept.items():
        kept.setdefault(layer, []).append(storage)
    return kept, makers


def _saved(net: Net, node: Node) -> Iterator[str]:
    """Yield what autograd keeps from a layer on, in bytes: of each storage, whose values it holds."""
    by_layer, makers = _kept(net)
    kept = by_layer.get(node.name, [])
    whole = sum(storage.nbytes for storage in kept)
    yield f"saved of {printable(node.name)} = {whole:,} bytes, kept for the backward pass from here on"
    rows = []
    for storage in kept:
        maker = makers.get(storage)
        what = "numbers of its own" if maker is None else f"what {printable(maker)} makes"
        rows.append((f"{storage.nbytes:>{len(f'{whole:,}')},} = {_product(storage)}", what))
    yield from (f"  {line}" for line in aligned(rows, (0, 1)))
    if not kept:
        yield "  it keeps nothing, or only what is a weight or kept by a layer before it"


def _product(storage: Storage) -> str:
    """Return the sizes of a sample and the bytes of one number as "96 * 28 * 28 * 4"."""
    *sizes, itemsize = storage.factors
    while len(sizes) > 1 and sizes[0] == 1:  # the batch
        del sizes[0]
    return " * ".join(map(str, [*sizes, itemsize]))


# ---------------------------------------------------------------- receptive fields


class _Path(NamedTuple):
    """How an input is seen along an axis."""

    source: str
    extent: Extent
    reach: Reach


def field(net: Net, node: Node) -> tuple[Number, Number] | None:
    """Return a node's receptive field along rows and columns as its formula gives it; None if it sees nothing."""
    seen = net.receptive.get(node.name)
    if seen is None:
        return None
    rows, columns = (_largest(seen, _paths(net, node, axis), axis) for axis in (0, 1))
    return rows, columns


def _paths(net: Net, node: Node, axis: int) -> list[_Path]:
    reached = node.op.reach(*net.inputs_of(node.name))
    return [
        _Path(value.node, _axis(net.receptive[value.node], axis), reach[axis])
        for value, reach in zip(node.inputs, reached, strict=True)
        if reach is not None and value.node in net.receptive
    ]


def _axis(seen: Receptive, axis: int) -> Extent:
    return seen.columns if axis else seen.rows


def _largest(seen: Receptive, paths: list[_Path], axis: int) -> Number:
    extent = _axis(seen, axis)
    if extent.fixed:
        return extent.last - extent.first + 1
    return max((path.extent.largest + path.reach.span * path.extent.jump for path in paths), default=1)


def _field(net: Net, node: Node) -> Iterator[str]:
    """Yield how the receptive field of a node comes about."""
    seen = net.receptive.get(node.name)
    if seen is None:
        yield "rf = none: it sees no input of the net"
        return
    texts = [list(_along(net, node, axis)) for axis in (0, 1)]
    if texts[0] == texts[1]:
        yield from texts[0]
        return
    for name, lines in zip(("rows", "columns"), texts, strict=True):
        yield f"along {name}"
        yield from (f"  {line}" for line in lines)


def _along(net: Net, node: Node, axis: int) -> Iterator[str]:
    extent, paths = _axis(net.receptive[node.name], axis), _paths(net, node, axis)
    if not paths:
        yield f"rf = {_float(extent.largest)}: an input sees itself"
        return
    if extent.fixed:
        yield "rf = last - first + 1, as every place sees the same pixels of the input"
        first, last = _float(extent.first), _float(extent.last)
        yield f"   = {last} - {first} + 1 = {_float(extent.largest)}, of {extent.size}"
        return
    yield "rf = rf_in + d * (k - 1) * jump_in"
    for path in paths:
        reach, source = path.reach, path.extent
        value = source.largest + reach.span * source.jump
        span, gaps = f"{reach.dilation} * ({reach.kernel} - 1)", ""
        if reach.up != 1:
            span = str(reach.span)
            gaps = f": {reach.kernel} positions, where places lie {reach.up} apart"
        step = f"{_float(source.largest)} + {span} * {_float(source.jump)} = {_float(value)}"
        yield f"   = {step}    by {printable(path.source)}{gaps}"
    if len(paths) > 1:
        yield f"   = {_float(extent.largest)}, the largest"
    jump = " * ".join(_float(n) for n in (paths[0].extent.jump, paths[0].reach.stride))
    over = f" / {paths[0].reach.up}" if paths[0].reach.up != 1 else ""
    if len(paths) == 1:
        yield f"  jump = jump_in * stride = {jump}{over} = {_float(extent.jump)} pixels from place to place"


def _float(value: Number) -> str:
    return f"{float(value):.10g}"


# ---------------------------------------------------------------- other counters


def _others(net: Net, nodes: list[Node], count: str) -> Iterator[str]:
    """Yield what other counters print for layers, and why."""
    if count not in ("macs", "params"):
        return
    try:
        peers = peers_of(net)
    except NetError as error:  # there is no module that they could count
        yield f"  other counters count PyTorch modules, and none can be written: {error.diagnostics[0].message}"
        return
    if count == "macs" and nodes and all(node.train for node in nodes):
        yield "  other counters do not see it, as it does not run in evaluation"
        return
    rows: list[tuple[str, str, str]] = []
    for peer in PEERS.values():
        try:
            rows += _printed(peers, peer, nodes, count)
        except NetError as error:  # an op does not say what the counter looks at
            rows.append((peer.name, "-", error.diagnostics[0].message))
    alike = [name for name, _, why in rows if why == _SAME]
    if len(alike) + sum(text == "-" for _, text, _ in rows) == len(rows):
        yield f"  {', '.join(alike)} print the same"
        return
    yield "  other counters print"
    yield from (f"    {line}" for line in aligned(rows, (0, 2)))


_SAME = "the same"


def _printed(peers: Peers, peer: Peer, nodes: list[Node], count: str) -> Iterator[tuple[str, str, str]]:
    """Yield for each number that a counter prints in place of a count its name, the number, and why it is another."""
    printed = [peers.printed(node, peer) for node in nodes]
    found = peers.differences(peer, nodes)

    def reasons(what: str) -> Iterator[str]:
        for op, counted, more, why in found:
            if counted == what:
                yield f"{more:+,}{'' if len(nodes) == 1 else f' {op}'}: {why}"

    if count == "params":
        if peer.params is not None:
            theirs = sum(one.params or 0 for one in printed)
            yield peer.name, f"{theirs:,}", "; ".join(reasons("params")) or _SAME
        return
    for at, tally in enumerate(peer.tallies):
        theirs = sum(one.counts[at] for one in printed)
        name = peer.name if len(peer.tallies) == 1 else f"{peer.name} {tally.calls}"
        plain = _SAME if tally.per_mac == 1 or not theirs else f"{tally.per_mac} for each MAC"
        yield name, f"{theirs:,}", "; ".join(reasons(tally.calls)) or plain
