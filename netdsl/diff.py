"""What changed from one net to another: totals, the rows of the cost table, the layers, and what is said of the net.

Which layer is which says `netdsl.alignment`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Literal

from netdsl.alignment import Matching, layer
from netdsl.cost.fold import runs
from netdsl.cost.model import Cost
from netdsl.cost.table import Row, grouping, human
from netdsl.cost.view import amount
from netdsl.diagnostics.render import printable
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import show
from netdsl.ir.graph import Node, Output, Scope, Value
from netdsl.ir.types import Dims, Scheduled
from netdsl.lint import Finding, lint
from netdsl.net import Net
from netdsl.ops import Op
from netdsl.ops.conv import Conv, Convolution, DwConv
from netdsl.ops.joint import Add, Mul
from netdsl.ops.pool import Pool
from netdsl.ops.source import Input
from netdsl.ops.window import both, constant_padding, varies
from netdsl.quantities import Options, Quantity, catalogue
from netdsl.record import Record
from netdsl.sheet import Look, Sheet, markdown

if TYPE_CHECKING:
    from netdsl.passes.facts import Number

_FEW = 3
"""How many lines may say of all layers of an op that the same changed."""
VERSION = 1
"""Of the JSON form, docs/schema/diff.json."""


class Group(Record):
    """A row of both cost tables; None where a net lacks it."""

    name: str
    before: Row | None
    after: Row | None
    was: str
    """What it was called before, where its layers are."""


class Field(Record):
    """Something that differs: of a layer an argument, an init, the shape of its output, what it reads."""

    name: str
    before: str
    after: str


class Change(Record):
    """A layer that was added, removed or changed, or moved to another path, so to another key of the state_dict."""

    kind: Literal["added", "removed", "changed", "moved"]
    before: str | None
    """Its path."""
    after: str | None
    layer: str
    """The op and its arguments; those before, if it changed."""
    output: str
    """The shape that leaves it; that before, if it changed."""
    fields: tuple[Field, ...] = ()
    cause: str = ""
    """The path of the layer or input because of which its shapes are others, if nothing else differs."""


class Difference(Record):
    """What changed from one net to another."""

    before: Net
    after: Net
    by: str
    """What a group is: stage or block."""
    groups: tuple[Group, ...]
    """Those that differ."""
    changes: tuple[Change, ...]
    about: tuple[Field, ...]
    """What differs of the nets themselves: names, parameters, inputs, outputs, budgets, meta, names of blocks."""
    partner: Mapping[str, str]
    """By layer or input of the net before, which it is in the net after."""

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.groups or self.changes or self.about)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What the linter finds in the net after, and in the one before neither in that line nor at that layer."""
        if self.same:
            return ()
        old = lint(self.before)
        known = {(one.code, _text_of(one)) for one in old}
        known |= {(one.code, self.partner.get(one.hit.layer, "")) for one in old if one.hit.layer}
        return tuple(
            one
            for one in lint(self.after)
            if known.isdisjoint({(one.code, _text_of(one)), (one.code, one.hit.layer)})
        )

    @property
    def totals(self) -> tuple[Cost, Cost]:
        """What both nets cost, for one sample in float32."""
        return self.before.cost(), self.after.cost()

    def numbers(self, quantity: Quantity) -> tuple[Number, Number]:
        """Return a quantity of both nets, for one sample in float32."""
        before, after = (
            quantity.number(quantity.of(net, list(net.graph), Options())) for net in (self.before, self.after)
        )
        return before, after

    def __str__(self) -> str:
        return render_text(self)


def _text_of(finding: Finding) -> str:
    """Return the line that a finding is at, by which it is known again further down."""
    span = finding.hit.span
    return span.source.line(span.line).strip()


class Differences(Record):
    """What changed from some nets to others of the same names."""

    nets: tuple[Difference, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.removed or self.added) and all(one.same for one in self.nets)

    def __str__(self) -> str:
        return render_text(self)


def compare_all(before: Mapping[str, Net], after: Mapping[str, Net]) -> Differences:
    """Return what changed from nets to those of the same name."""
    return Differences(
        tuple(compare(net, after[name]) for name, net in before.items() if name in after),
        tuple(name for name in before if name not in after),
        tuple(name for name in after if name not in before),
    )


def compare(before: Net, after: Net) -> Difference:
    """Return what changed: stage by stage where a net has stages, else block by block."""
    staged = all(any(node.stage for node in net.graph) for net in (before, after))
    by = "stage" if staged else "block"
    matching = Matching(before, after)
    return Difference(
        before,
        after,
        by,
        tuple(_groups(matching, by)),
        tuple(_caused(matching, list(_changes(matching)))),
        tuple(_about(matching)),
        matching.partner,
    )


def _groups(matching: Matching, by: str) -> Iterator[Group]:
    """Yield the rows that differ, in the order of the text: what was removed stands where it stood."""
    old, new = ({row.name: row for row in net.cost_table(by)} for net in matching.nets)
    for one, other in _merged(list(old), list(new), _homes(matching, by, old, new)):
        a, b = old.get(one or ""), new.get(other or "")
        if a is not None:
            called = matching.renamed.get(a.op, a.op)
        if a is None or b is None or one != other or (called, *_said(a)[1:]) != _said(b):
            yield Group(other or one or "", a, b, one or other or "")


def _homes(matching: Matching, by: str, old: Iterable[str], new: Iterable[str]) -> dict[str, str]:
    """Return by row of the table after which one of that before has its layers: of that name, if any of them."""
    groups = [grouping(net.graph, by) for net in matching.nets]
    shared = Counter(
        (groups[0](matching.nets[0].graph[a])[0], groups[1](matching.nets[1].graph[b])[0])
        for a, b in matching.partner.items()
    )
    known = set(old)
    homes = {name: name for name in new if name in known and (name, name) in shared}
    taken = set(homes.values())
    for (one, other), _ in shared.most_common():
        if other not in homes and one not in taken:
            homes[other] = one
            taken.add(one)
    for name in new:
        if name in known and name not in homes and name not in taken:
            homes[name] = name
    return homes


def _merged(
    old: Sequence[str], new: Sequence[str], back: Mapping[str, str]
) -> Iterator[tuple[str | None, str | None]]:
    """Yield old and new names in the order of the new ones; an old one without a new stands where it stood."""
    place = {name: index for index, name in enumerate(old)}
    kept = set(back.values())
    start = 0
    for name in new:
        if name in back:
            end = place[back[name]]
            yield from ((gone, None) for gone in old[start:end] if gone not in kept)
            start = max(start, end + 1)
        else:
            while start < len(old) and old[start] not in kept:
                yield old[start], None
                start += 1
        yield back.get(name), name
    yield from ((gone, None) for gone in old[start:] if gone not in kept)


def _said(row: Row) -> tuple[Any, ...]:
    return row.op, row.output, *(row.values[quantity.name] for quantity in _sums())


def _sums() -> list[Quantity]:
    return [quantity for quantity in _wholes() if quantity.additive]


def _wholes() -> list[Quantity]:
    return [quantity for quantity in catalogue().values() if not quantity.training]


# ---------------------------------------------------------------- layers


def _changes(matching: Matching) -> Iterator[Change]:
    """Yield what differs, in the order of the text; what was removed stands where it stood."""
    back = {new: old for old, new in matching.partner.items()}
    names, others = (
        [name for name in net.graph.tree.nodes() if not isinstance(net.graph[name].op, Input)]
        for net in matching.nets
    )
    for old, new in _merged(names, others, {name: back[name] for name in others if name in back}):
        if old is not None and new is not None:
            yield from _matched(matching, old, new)
        elif old is not None:
            net = matching.nets[0]
            yield Change("removed", old, None, layer(net.graph[old]), _shapes(net, old))
        elif new is not None:
            net = matching.nets[1]
            yield Change("added", None, new, layer(net.graph[new]), _shapes(net, new))


def _matched(matching: Matching, old: str, new: str) -> Iterator[Change]:
    """Yield what became of a layer, if anything."""
    before, after = matching.nets
    a, b = before.graph[old], after.graph[new]
    fields = [*_arguments(matching, a, b)]
    if not fields and not a.module and not b.module:
        fields += _weights(matching, a, b)
    shapes = _shapes(before, old), _shapes(after, new)
    if shapes[0] != shapes[1]:
        fields.append(Field("output", *shapes))
    fields += _reads(matching, a, b)
    if matching.partner.get(a.module, "") != b.module:
        fields.append(
            Field("weights", *(f"those of {one.module}" if one.module else "its own" for one in (a, b)))
        )
    if a.train != b.train:
        fields.append(Field("train", show(a.train), show(b.train)))
    text = layer(a)
    if fields:
        yield Change("changed", old, new, text, shapes[0], tuple(fields))
    elif old != new and not a.module and a.op.weights(*before.inputs_of(old)):
        yield Change("moved", old, new, text, shapes[0])


def _arguments(matching: Matching, a: Node, b: Node) -> Iterator[Field]:
    """Yield the arguments and inits that differ, or the whole layers if the ops do."""
    ops = a.op, b.op
    if {type(op) for op in ops} == {Conv, DwConv}:
        as_groups = _grouped(matching.nets[0], a), _grouped(matching.nets[1], b)
        ops = as_groups if as_groups[0].groups == as_groups[1].groups else ops
    if type(ops[0]) is not type(ops[1]):
        yield Field("layer", layer(a), layer(b))
        return
    old, new = (op.arguments() for op in ops)
    computed, other = map(_computed, ops)
    for key in old:
        if old[key] != new[key] and computed[key] != other[key]:
            yield Field(key, show(old[key]), show(new[key]))
    params = [
        node.op.params(*net.inputs_of(node.name))
        for net, node in zip(matching.nets, (a, b), strict=True)
        if not node.module
    ]
    if len(params) < 2:
        return
    for key in params[0]:
        if key in params[1] and params[0][key].init != params[1][key].init:
            name = f"init {key}" if key else "init"
            yield Field(name, str(params[0][key].init), str(params[1][key].init))


def _grouped(net: Net, node: Node) -> Conv:
    """Return a convolution as one in groups, which a depthwise one is."""
    op, (x, *_) = node.op, net.inputs_of(node.name)
    if isinstance(op, Conv):
        return op
    assert isinstance(op, DwConv)
    args = {key: value for key, value in op.arguments().items() if key != "multiplier"}
    return Conv(channels=op.channels_of(x.c), groups=op.groups_of(x.c), inits=op.inits, **args)


def _weights(matching: Matching, a: Node, b: Node) -> Iterator[Field]:
    """Yield the learned tensors that have another shape, as the layer reads something of another shape."""
    old, new = (
        node.op.weights(*net.inputs_of(node.name)) for net, node in zip(matching.nets, (a, b), strict=True)
    )
    for key in old:
        if key in new and old[key] != new[key]:
            yield Field(key or "itself", *("x".join(map(str, shape)) for shape in (old[key], new[key])))


def _computed(op: Op) -> dict[str, Any]:
    """Return an op's arguments as it computes with them: sizes of both axes, what is padded at each side."""
    given = op.arguments()
    if isinstance(op, Pool) and op.kernel is not None:
        kernel, given["stride"] = op.window
        dilation = op.spread
    elif isinstance(op, Convolution):
        kernel, dilation = op.kernel, op.dilation
    else:
        return given
    if not varies(kernel, given["stride"], op.pad, dilation):
        given["pad"] = constant_padding(kernel, op.pad, dilation)
    return {key: tuple(value) if isinstance(value, Dims) else value for key, value in given.items()} | {
        key: both(given[key]) for key in ("stride", "dilation", "output_pad") if key in given
    }


def _reads(matching: Matching, a: Node, b: Node) -> Iterator[Field]:
    """Yield another source of an input. A layer that was put in between or taken out says so itself.

    Two summands or factors may change places.
    """
    if len(a.inputs) != len(b.inputs):
        yield Field("inputs", str(len(a.inputs)), str(len(b.inputs)))
        return
    either = len(a.inputs) == 2 and type(a.op) is type(b.op) and isinstance(a.op, Add | Mul)
    orders = (b.inputs, b.inputs[::-1]) if either else (b.inputs,)
    found = ([*_others(matching, a.inputs, order)] for order in orders)
    yield from min(found, key=len)


def _others(matching: Matching, old: Sequence[Value], new: Sequence[Value]) -> Iterator[Field]:
    """Yield the values that are others, one by one."""
    for x, y in zip(old, new, strict=True):
        known = x.node in matching.partner and y.node in matching.matched
        if known and (matching.partner[x.node], x.port) != y:
            yield Field("reads", _value(x), _value(y))


def _own(matching: Matching, change: Change) -> bool:
    """Tell whether something about a layer differs that is no shape."""
    node = matching.nets[0].graph[change.before or ""]
    shapes = {"output", *(key or "itself" for key in node.op.weights(*matching.nets[0].inputs_of(node.name)))}
    return any(field.name not in shapes for field in change.fields)


def _caused(matching: Matching, changes: Sequence[Change]) -> Iterator[Change]:
    """Yield changes, those of nothing but shapes with the layer or input that is behind them."""
    before, after = (net.graph for net in matching.nets)
    plain: dict[str, Change] = {
        change.after: change
        for change in changes
        if change.after is not None and change.fields and not _own(matching, change)
    }
    causes: dict[str, str] = {}
    for node in after:  # in the order in which they are computed
        change = plain.get(node.name)
        if change is None or change.before is None:
            continue
        for x, y in zip(before[change.before].inputs, node.inputs, strict=True):
            if matching.nets[0].outputs_of(x.node)[x.port] != matching.nets[1].outputs_of(y.node)[y.port]:
                new = matching.partner.get(x.node) == y.node or y.node not in matching.matched
                causes[node.name] = causes.get(y.node, y.node if new else x.node)
                break
    for change in changes:
        yield change.replace(cause=causes.get(change.after or "", ""))


def _shapes(net: Net, name: str) -> str:
    return " and ".join(map(str, net.outputs_of(name)))


def _value(value: Value) -> str:
    return f"{value.node}[{value.port}]" if value.port else value.node


# ---------------------------------------------------------------- the net itself


def _about(matching: Matching) -> Iterator[Field]:
    """Yield what differs of the nets, and is said of no layer."""
    before, after = matching.nets
    yield from _unequal("net", before.name, after.name)
    yield from _unequal("class", before.class_name, after.class_name)
    params = [{k: show(v) for k, v in net.elaborated.params.items()} for net in matching.nets]
    yield from _by_name("parameter", *params)
    for old, new in matching.renamed.items():
        yield Field("block", old or "none", new or "none")
    yield from _unequal("inputs", ", ".join(before.inputs), ", ".join(after.inputs))
    yield from _unequal("outputs", _listed(before.graph.outputs), _listed(after.graph.outputs))
    for what in ("input", "output"):
        shapes = [{k: str(v) for k, v in getattr(net, f"{what}s").items()} for net in matching.nets]
        both_have = shapes[0].keys() & shapes[1].keys()
        yield from _by_name(what, *({k: v for k, v in each.items() if k in both_have} for each in shapes))
    yield from _returned(matching)
    yield from _order(matching)
    claims = [[_claim(net, budget) for budget in net.budgets] for net in matching.nets]
    gone, come = (list((Counter(x) - Counter(y)).elements()) for x, y in (claims, claims[::-1]))
    for old, new in zip_longest(gone, come, fillvalue="none"):
        yield Field("require", old, new)
    yield from _by_name("meta", *({k: show(v) for k, v in net.meta.items()} for net in matching.nets))


def _unequal(name: str, before: str, after: str) -> Iterator[Field]:
    if before != after:
        yield Field(name, before, after)


def _by_name(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Field]:
    for name in dict.fromkeys((*before, *after)):
        yield from _unequal(f"{what} {name}", before.get(name, "none"), after.get(name, "none"))


def _listed(outputs: Iterable[Output]) -> str:
    return ", ".join(f"{output.name} (in training)" if output.train else output.name for output in outputs)


def _returned(matching: Matching) -> Iterator[Field]:
    """Yield outputs that are another value; one that is renamed is the one at its place."""
    old, new = (net.graph.outputs for net in matching.nets)
    names, named = {output.name for output in old}, {output.name: output for output in new}
    for at, output in enumerate(old):
        other = named.get(output.name) or (new[at] if at < len(new) and new[at].name not in names else None)
        if other is None:
            continue
        x, y = output.value, other.value
        known = x.node in matching.partner and y.node in matching.matched
        if known and (matching.partner[x.node], x.port) != y:
            yield Field(f"return {other.name}", _value(x), _value(y))


def _order(matching: Matching) -> Iterator[Field]:
    """Yield the first layer that comes elsewhere in the state_dict than before, among those of both nets."""
    before, after = (list(_stateful(net)) for net in matching.nets)
    kept = {matching.partner[name] for name in before if name in matching.partner}.intersection(after)
    old = [name for name in before if matching.partner.get(name) in kept]
    new = [name for name in after if name in kept]
    for one, other in zip(old, new, strict=True):
        if matching.partner[one] != other:
            yield Field("order of the state_dict", f"{one} first", f"{other} first")
            return


def _stateful(net: Net, scope: Scope | None = None) -> Iterator[str]:
    """Yield the layers with a state in its order."""
    for item in (scope or net.graph.tree).items:
        if isinstance(item, Scope):
            yield from _stateful(net, item)
        else:
            node, x = net.graph[item], net.inputs_of(item)
            if not node.module and (node.op.weights(*x) or node.op.buffers(*x)):
                yield item


def _claim(net: Net, budget: Budget) -> str:
    """Return a `require` as its text, with what it is about, and the numbers that it names."""
    text = " ".join(budget.span.text.removeprefix("require").split())
    names = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text))
    values = ((name, budget.env.find(name)) for name in names)
    known = ", ".join(f"{name} = {show(value)}" for name, value in values if type(value) in (int, float))
    where = budget.scope or budget.stage
    return text + (f" of {where}" if where else "") + (f" where {known}" if known else "")


# ---------------------------------------------------------------- forms

_WHOLE = ("removed", "added")
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def _named(net: Net) -> str:
    return f"{printable(net.name)} ({printable(net.spec)})"


def _signed(before: Number, after: Number) -> str:
    return f"{after - before:+,}" if after != before else "0"


def _percent(before: Number, after: Number) -> str:
    return f"{float(100 * (after - before) / before):+.1f}%" if before and after != before else ""


def _totals(difference: Difference, exact: bool) -> list[list[str]]:
    rows = [["", "before", "after", "difference", "%"]]
    for quantity in _wholes():
        a, b = difference.numbers(quantity)
        if a or b:
            rows.append([quantity.title, *_pair(quantity, a, b, exact), _percent(a, b)])
    return rows


def _pair(quantity: Quantity, before: Number, after: Number, exact: bool) -> tuple[str, str, str]:
    """Return two numbers and their difference, with all their digits or as people say them."""
    if exact or not isinstance(before, int) or not isinstance(after, int):
        return f"{before:,}", f"{after:,}", _signed(before, after)
    less = "-" if after < before else "+" if after > before else ""
    return amount(quantity, before), amount(quantity, after), less + amount(quantity, abs(after - before))


def _rows(difference: Difference, exact: bool) -> tuple[list[list[str]], bool]:
    """Return the header and the rows of the table of parts, and whether equal ones in a row are one."""
    columns = [quantity for quantity in _sums() if quantity.brief]
    lines = []
    for name, groups in (
        [(group.name, [group]) for group in difference.groups] if exact else _equal(difference)
    ):
        first = groups[0]
        mark = "+ " if first.before is None else "- " if first.after is None else ""
        was = f" (was {first.was})" if first.was != first.name else ""
        cells, costs = [f"{mark}{printable(name + was)}", f"x{len(groups)}" if len(groups) > 1 else ""], False
        for column in columns:
            pairs = [
                [0 if row is None else row.values[column.name] for row in (g.before, g.after)] for g in groups
            ]
            a, b = (sum(values) for values in zip(*pairs, strict=True))
            cells += _pair(column, a, b, exact)[1:]
            costs = costs or bool(a or b)
        if exact or costs:
            lines.append(cells)
    folds = any(cells[1] for cells in lines)
    header = [difference.by, "", *(cell for column in columns for cell in (column.title, "difference"))]
    return [cells if folds else [*cells[:1], *cells[2:]] for cells in (header, *lines)], folds


def _equal(difference: Difference) -> Iterator[tuple[str, list[Group]]]:
    """Yield the parts by name, equal ones whose names count up together."""

    def key(row: Row | None) -> tuple[Any, ...] | None:
        return None if row is None else _said(row)

    groups = difference.groups
    for run in runs([group.name for group in groups], [(key(g.before), key(g.after)) for g in groups]):
        yield run.name, [groups[at] for at in run.members]


def _stated(difference: Difference) -> list[str]:
    """Return a line for each thing that differs of the net itself."""
    return [printable(f"{field.name}: {field.before} -> {field.after}") for field in difference.about]


def _lines(difference: Difference) -> list[str]:
    """Return a line for each layer that changed; those that only moved are counted."""
    return [*filter(None, map(_line, difference.changes)), *_moved(difference)]


def _line(change: Change) -> str:
    """Return what became of a layer; "" if it only moved."""
    path = change.after or change.before or ""
    if change.kind == "changed":
        was = f" (was {change.before})" if change.before != change.after else ""
        what = "; ".join(f"{f.name} {f.before} -> {f.after}" for f in change.fields)
        return printable(f"~ {path}{was}: {change.layer}: {what}")
    return (
        ""
        if change.kind == "moved"
        else printable(f"{_MARKS[change.kind]} {path}: {change.layer}, {change.output}")
    )


def _moved(difference: Difference) -> Iterator[str]:
    """Yield a line that says how many layers with weights are under another path, with the first."""
    net = difference.before
    moved = [
        change
        for change in difference.changes
        if change.before is not None and change.after is not None and change.before != change.after
        if not net.graph[change.before].module
        and net.graph[change.before].op.weights(*net.inputs_of(change.before))
    ]
    if moved:
        first = f"{moved[0].before} is {moved[0].after}"
        yield printable(f"keys of {_layers(len(moved))} moved in the state_dict: {first}")


def _found(difference: Difference) -> list[str]:
    """Return a line for each finding of the linter that is new."""
    return [
        printable(
            f"{one.severity} {one.code} is new"
            + (f" at {one.hit.layer}" if one.hit.layer else "")
            + f": {one.hit.message}"
        )
        for one in difference.findings
    ]


def _each(differences: Differences, texts: Iterable[str]) -> str:
    """Return the texts of the nets that differ, and what is to be said of the others."""
    same = [one.after.name for one in differences.nets if one.same]
    lines = [
        *(f"- {name}: the net is gone" for name in differences.removed),
        *(f"+ {name}: the net is new" for name in differences.added),
        *([f"nothing differs in {', '.join(same)}"] if same else []),
    ]
    return "\n\n".join([*texts, *(["\n".join(map(printable, lines))] if lines else [])])


def render_text(difference: Difference | Differences, look: Look | None = None, full: bool = False) -> str:
    """Return the difference as text, and no newline at the end.

    Counts are rounded; parts that are new, gone or another block as a whole are in the table of parts, and their
    layers are not listed; equal parts in a row are one, as are equal changes of equal blocks; parts that cost nothing
    are in no table. With `full` all is there.
    """
    look = look or Look()
    if isinstance(difference, Differences):
        return _each(difference, (render_text(one, look, full) for one in difference.nets if not one.same))
    title = f"{_named(difference.before)} -> {_named(difference.after)}"
    parts = [
        look.wrapped(title),
        *map(look.hung, _stated(difference)),
        "",
        _table(_totals(difference, full), look),
    ]
    rows, folds = _rows(difference, full)
    if len(rows) > 1:
        notes = ["xN: N equal ones in a row, and their sum"] if folds else []
        parts += ["", _table(rows, look, 1 + folds, notes)]
    if full:
        lines, told = _lines(difference), 0
    else:
        lines, told = _folded(difference)
    if told:
        lines.append(f"{told:,} layers of parts that are new, gone or another block: --full lists them")
    if difference.same:
        lines.append("no layer differs")
    lines += _found(difference)
    if lines:
        parts += ["", *(look.paint(look.hung(line), _STYLES.get(line[0], "")) for line in lines)]
    return "\n".join(parts)


def _table(rows: Sequence[Sequence[str]], look: Look, texts: int = 0, notes: Sequence[str] = ()) -> str:
    """Return rows that fit, of which the first is the header.

    Of parts the last pair of numbers behind the columns of texts is spared first, but for the first pair.
    """
    header, *others = rows
    spare = [[n, n + 1] for n in range(len(header) - 2, texts, -2)] if texts else []
    return Sheet(header, others, left=range(max(1, texts)), spare=spare, notes=notes).text(look, ruled=False)


def _folded(difference: Difference) -> tuple[list[str], int]:
    """Return the lines of layers, equal ones as one, and how many the table of parts tells of instead.

    It tells of parts that are new, gone, or another block without a layer of the one before.
    """
    nets = difference.before.graph, difference.after.graph
    group_of = [grouping(graph, difference.by) for graph in nets]

    was = {group.name: group.was for group in difference.groups}

    def part(change: Change) -> str:
        side = change.kind == "added"
        return group_of[side](nets[side][(change.after if side else change.before) or ""])[0]

    whole = Counter[tuple[str, str]](
        (change.kind, part(change)) for change in difference.changes if change.kind in _WHOLE
    )
    sizes = [
        Counter(group_of[side](node)[0] for node in graph if not isinstance(node.op, Input))
        for side, graph in enumerate(nets)
    ]
    told, lines = set[tuple[str, str]](), []
    for name, groups in _equal(difference):
        before, after = groups[0].before, groups[0].after
        if before is None or after is None:
            told.update(("removed" if after is None else "added", group.name) for group in groups)
        elif before.op != after.op and all(
            whole[kind, one] == size[one]
            for group in groups
            for kind, one, size in zip(_WHOLE, (was[group.name], group.name), sizes, strict=True)
        ):
            told.update(
                pair for group in groups for pair in zip(_WHOLE, (was[group.name], group.name), strict=True)
            )
            ways = [" ".join(map(str, filter(None, (row.op, row.output)))) for row in (before, after)]
            lines.append(printable(f"~ {name}: {' -> '.join(ways)}"))
    left = [c for c in difference.changes if c.kind not in _WHOLE or (c.kind, part(c)) not in told]
    told_of = len(difference.changes) - len(left)
    follow = Counter(change.cause for change in left if change.cause)
    left = [_scheduled(difference, change) for change in left if not change.cause]
    inits, left = _alike(left, Counter(nets[0][name].op.name for name in difference.partner))
    shown = [*_repeated(left)]
    said = {path for _, paths in shown for path in paths}
    for change, paths in shown:
        if line := _line(change):
            count = sum(follow[path] for path in paths)
            lines.append(line + (f"; shapes of {_layers(count)} follow" if count else ""))
    lines += [*inits, *_moved(difference)]
    others = sum(count for path, count in follow.items() if path not in said)
    if others:
        lines.append(f"shapes of {_layers(others)} follow from the above")
    return lines, told_of


def _layers(count: int) -> str:
    return "a layer" if count == 1 else f"{count:,} layers"


def _alike(changes: Sequence[Change], every: Mapping[str, int]) -> tuple[list[str], list[Change]]:
    """Return a line for each field that changed alike in several layers of an op, and the changes without these.

    That is an init of several, and any argument of all layers of an op, if it would take more than _FEW lines;
    `every` says how many layers of it both nets have.
    """
    places: dict[tuple[str, Field], list[str]] = {}
    for change in changes:
        for field in change.fields:
            if field.name != "output":
                places.setdefault((change.layer.split()[0], field), []).append(change.after or "")
    several = {
        (op, field): paths
        for (op, field), paths in places.items()
        if len(paths) > 1
        and (
            field.name.split()[0] == "init"
            or (
                len(paths) == every[op]
                and len([*_repeated([change for change in changes if field in change.fields])]) > _FEW
            )
        )
    }
    lines = [
        printable(
            f"~ {len(paths):,} {op}, {paths[0]} to {paths[-1]}: {field.name} {field.before} -> {field.after}"
        )
        for (op, field), paths in several.items()
    ]
    left = []
    for change in changes:
        fields = tuple(f for f in change.fields if (change.layer.split()[0], f) not in several)
        if fields or not change.fields:
            left.append(change.replace(fields=fields))
    return lines, left


def _scheduled(difference: Difference, change: Change) -> Change:
    """Return a change that says of numbers of a depth schedule what that is: they are another in each layer."""
    if change.before is None or change.after is None:
        return change
    nodes = difference.before.graph[change.before], difference.after.graph[change.after]
    old, new = (node.op.arguments() for node in nodes)
    ramps = {key for key in old if isinstance(old[key], Scheduled) and isinstance(new.get(key), Scheduled)}
    if not ramps.intersection(field.name for field in change.fields):
        return change
    fields = (
        Field(f.name, _ramp(old[f.name]), _ramp(new[f.name])) if f.name in ramps else f for f in change.fields
    )
    return change.replace(layer=nodes[0].op.name, fields=tuple(fields))


def _ramp(number: Scheduled) -> str:
    return f"ramp({number.start:g}, {number.stop:g})"


def _repeated(changes: Sequence[Change]) -> Iterator[tuple[Change, list[str]]]:
    """Yield changes and the paths that they are of, those of layers whose names count up as one."""
    names = [change.after or change.before or "" for change in changes]
    keys = []
    for change in changes:
        renamed = change.before and change.after and change.before != change.after
        keys.append(
            change if renamed else change.replace(before=change.before and "", after=change.after and "")
        )
    for run in runs(names, keys):
        first = changes[run.members[0]]
        if len(run.members) > 1:
            first = first.replace(before=first.before and run.name, after=first.after and run.name)
        yield first, [names[at] for at in run.members]


_STYLES = {"+": "32", "-": "31", "~": "33"}


def render_markdown(difference: Difference | Differences) -> str:
    """Return the difference as Markdown, such as for the summary of a job, and no newline at the end."""
    if isinstance(difference, Differences):
        return _each(difference, (render_markdown(one) for one in difference.nets if not one.same))
    firsts = ((q, *difference.numbers(q)) for q in catalogue().values() if q.share)
    first = ", ".join(f"{q.title} {human(float(b))} ({_percent(a, b) or '0%'})" for q, a, b in firsts)
    parts = [f"**{_markdown(_named(difference.before))} → {_markdown(_named(difference.after))}**: {first}"]
    about = [f"- {_markdown(line)}" for line in (*_stated(difference), *_found(difference))]
    parts += ["", *about] if about else []
    parts += ["", *markdown(_totals(difference, True), escape=_markdown)]
    if difference.groups:
        parts += ["", *markdown(_rows(difference, True)[0], escape=_markdown)]
    lines = _lines(difference)
    if not lines:
        return "\n".join([*parts, *(["", "No layer differs."] if difference.same else [])])
    fenced = ["```diff", *(line.replace("~", "!", 1) if line[0] == "~" else line for line in lines), "```"]
    count = "1 line" if len(lines) == 1 else f"{len(lines):,} lines"
    return "\n".join(
        [*parts, "", f"<details><summary>Layers, {count}</summary>", "", *fenced, "", "</details>"]
    )


def _markdown(text: str) -> str:
    """Return a text in which nothing is markup."""
    return "".join(f"\\{c}" if c in "\\|*_`<>[]" else c for c in text)


def render_json(difference: Difference | Differences) -> dict[str, Any]:
    """Return the difference as an object for `json.dumps`; its fields are those of docs/schema/diff.json."""
    if isinstance(difference, Differences):
        return {
            "version": VERSION,
            "same": difference.same,
            "nets": [render_json(one) for one in difference.nets],
            "removed": list(difference.removed),
            "added": list(difference.added),
        }
    return {
        "version": VERSION,
        "before": _net_json(difference.before),
        "after": _net_json(difference.after),
        "same": difference.same,
        "about": [dict(field.__dict__) for field in difference.about],
        "findings": [
            {"code": one.code, "severity": one.severity, "layer": one.hit.layer, "message": one.hit.message}
            for one in difference.findings
        ],
        "totals": {q.name: _counts_json(*difference.numbers(q)) for q in _wholes()},
        "by": difference.by,
        "groups": [
            {
                "name": group.name,
                "was": group.was,
                "before": _row_json(group.before),
                "after": _row_json(group.after),
            }
            for group in difference.groups
        ],
        "changes": [
            {**change.__dict__, "fields": [dict(field.__dict__) for field in change.fields]}
            for change in difference.changes
        ],
    }


def _net_json(net: Net) -> dict[str, Any]:
    shapes = {"inputs": net.inputs, "outputs": net.outputs}
    return {
        "net": net.name,
        "spec": net.spec,
        "file": net.file,
        **{what: {name: list(s) for name, s in found.items()} for what, found in shapes.items()},
    }


def _counts_json(before: Number, after: Number) -> dict[str, Any]:
    percent = 100 * (after - before) / before if before else None
    return {"before": before, "after": after, "difference": after - before, "percent": percent}


def _row_json(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    output = None if row.output is None else list(row.output)
    return {"op": row.op, "output": output, **{q.name: row.values[q.name] for q in _sums()}}
