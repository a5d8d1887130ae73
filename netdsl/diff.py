"""What changed from one net to another: totals, the rows of the cost table, and the layers.

Layers are matched by the module tree. Within a scope those with a label go by it, and those that go by position are
aligned as sequences, so that one that is put in between does not make all that follow it differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Literal

from netdsl.cost.fold import runs
from netdsl.cost.model import Cost
from netdsl.cost.table import Row, grouping, human
from netdsl.cost.view import amount
from netdsl.diagnostics.render import printable
from netdsl.elaborate.values import show
from netdsl.ir.graph import Graph, Node, Scope, Value
from netdsl.net import Net
from netdsl.ops.source import Input
from netdsl.quantities import Options, Quantity, catalogue
from netdsl.record import Record
from netdsl.sheet import Look, Sheet, markdown

if TYPE_CHECKING:
    from netdsl.passes.facts import Number

VERSION = 1
"""Of the JSON form, docs/schema/diff.json."""
_ALIGNED = 2_000
"""The most items that are aligned as sequences, which takes the square of their number; beyond it they are paired."""


class Group(Record):
    """A row of both cost tables; None where a net lacks it."""

    name: str
    before: Row | None
    after: Row | None


class Field(Record):
    """Something about a layer that differs: an argument, the shape of its output, what it reads."""

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


class Difference(Record):
    """What changed from one net to another."""

    before: Net
    after: Net
    by: str
    """What a group is: stage or block."""
    groups: tuple[Group, ...]
    """Those that differ."""
    changes: tuple[Change, ...]

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


def compare(before: Net, after: Net) -> Difference:
    """Return what changed: stage by stage where a net has stages, else block by block."""
    staged = any(node.stage for net in (before, after) for node in net.graph)
    by = "stage" if staged else "block"
    return Difference(
        before, after, by, tuple(_groups(before, after, by)), tuple(_Matching(before, after).changes())
    )


def _groups(before: Net, after: Net, by: str) -> Iterator[Group]:
    """Yield the rows that differ, in the order of the text: what was removed stands where it stood."""
    old, new = ({row.name: row for row in net.cost_table(by)} for net in (before, after))
    for one, other in _merged(list(old), list(new), {name: name for name in new if name in old}):
        a, b = old.get(one or ""), new.get(other or "")
        if a is None or b is None or _said(a) != _said(b):
            yield Group(one or other or "", a, b)


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

Item = str | Scope


class _Matching:
    """Which layer of one net is which of the other."""

    def __init__(self, before: Net, after: Net) -> None:
        self.before = before
        self.after = after
        self.partner: dict[str, str] = {}
        self._match(before.graph.tree, after.graph.tree)
        self.matched = set(self.partner.values())

    def changes(self) -> Iterator[Change]:
        """Yield what differs, in the order of the text; what was removed stands where it stood."""
        back = {new: old for old, new in self.partner.items()}
        names, others = (list(net.graph.tree.nodes()) for net in (self.before, self.after))
        for old, new in _merged(names, others, back):
            if old is not None and new is not None:
                yield from self._pair(old, new)
            elif old is not None:
                yield self._whole("removed", old, self.before)
            elif new is not None:
                yield self._whole("added", new, self.after)

    def _whole(self, kind: Literal["added", "removed"], name: str, net: Net) -> Change:
        before, after = (name, None) if kind == "removed" else (None, name)
        return Change(kind, before, after, _layer(net.graph[name]), _shapes(net, name))

    def _pair(self, old: str, new: str) -> Iterator[Change]:
        a, b = self.before.graph[old], self.after.graph[new]
        fields = [*_arguments(a, b)]
        shapes = _shapes(self.before, old), _shapes(self.after, new)
        if shapes[0] != shapes[1]:
            fields.append(Field("output", *shapes))
        fields += self._reads(a, b)
        if self.partner.get(a.module, "") != b.module and bool(a.module or b.module):
            fields.append(
                Field("weights", *(f"those of {one.module}" if one.module else "its own" for one in (a, b)))
            )
        layer = _layer(a)
        if fields:
            yield Change("changed", old, new, layer, shapes[0], tuple(fields))
        elif old != new and not a.module and a.op.weights(*self.before.inputs_of(old)):
            yield Change("moved", old, new, layer, shapes[0])

    def _reads(self, a: Node, b: Node) -> Iterator[Field]:
        """Yield another source of an input. A layer that was put in between or taken out says so itself."""
        if len(a.inputs) != len(b.inputs):
            yield Field("inputs", str(len(a.inputs)), str(len(b.inputs)))
            return
        for x, y in zip(a.inputs, b.inputs, strict=True):
            known = x.node in self.partner and y.node in self.matched
            if known and (self.partner[x.node], x.port) != y:
                yield Field("reads", _value(x), _value(y))

    # ------------------------------------------------------------ alignment

    def _match(self, old: Scope, new: Scope) -> None:
        """Match what two scopes hold."""
        labelled = {_label(new.local(item)): item for item in new.written if _label(new.local(item))}
        rest_old: list[Item] = []
        taken: set[str] = set()
        for item in old.written:
            other = labelled.get(_label(old.local(item)))
            if other is not None and isinstance(item, Scope) == isinstance(other, Scope):
                taken.add(_label(old.local(item)))
                self._same(item, other)
            else:
                rest_old.append(item)
        rest_new = [item for item in new.written if _label(new.local(item)) not in taken]
        signatures = (
            [_signature(x, old, self.before.graph) for x in rest_old],
            [_signature(x, new, self.after.graph) for x in rest_new],
        )
        self._align(rest_old, rest_new, *signatures)

    def _same(self, old: Item, new: Item) -> None:
        if isinstance(old, Scope) and isinstance(new, Scope):
            self._match(old, new)
        elif isinstance(old, str) and isinstance(new, str):
            self.partner[old] = new

    def _align(
        self, old: Sequence[Item], new: Sequence[Item], signatures: Sequence[str], others: Sequence[str]
    ) -> None:
        """Align two sequences, by their signatures: first what is equal, then, in between, what is of one kind."""
        before, after = self.before.graph, self.after.graph
        for (i, j), (k, m), equal in _blocks(signatures, others):
            if equal:
                self._pairs(old[i:j], new[k:m])
                continue
            kinds = [_kind(x, before) for x in old[i:j]], [_kind(x, after) for x in new[k:m]]
            for (p, q), (r, t), alike in _blocks(*kinds):
                if alike:
                    self._pairs(old[i + p : i + q], new[k + r : k + t])

    def _pairs(self, old: Sequence[Item], new: Sequence[Item]) -> None:
        for x, y in zip(old, new, strict=True):
            self._same(x, y)


def _blocks(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[tuple[int, int], tuple[int, int], bool]]:
    """Yield the parts of two sequences that belong together, and whether they are equal."""
    least = min(len(a), len(b))
    head = next((i for i in range(least) if a[i] != b[i]), least)
    tail = next((i for i in range(least - head) if a[-1 - i] != b[-1 - i]), least - head)
    i, j, k, m = head, len(a) - tail, head, len(b) - tail
    yield (0, i), (0, k), True
    if max(j - i, m - k) <= _ALIGNED:
        matcher = SequenceMatcher(None, a[i:j], b[k:m], autojunk=False)
        for tag, p, q, r, t in matcher.get_opcodes():
            yield (i + p, i + q), (k + r, k + t), tag == "equal"
    else:
        for n in range(min(j - i, m - k)):
            yield (i + n, i + n + 1), (k + n, k + n + 1), a[i + n] == b[k + n]
    yield (j, len(a)), (m, len(b)), True


def _label(name: str) -> str:
    """Return the label of an item by what its scope calls it, "" if it goes by its position."""
    return "" if name.isdigit() else name


def _signature(item: Item, scope: Scope, graph: Graph) -> str:
    """Return what two items have in common that are equal, whatever their paths."""
    label = _label(scope.local(item))
    if isinstance(item, Scope):
        inner = ", ".join(_signature(x, item, graph) for x in item.written)
        return f"{label}: {item.block}({inner})"
    return f"{label}: {_layer(graph[item])}"


def _kind(item: Item, graph: Graph) -> str:
    """Return what two items have in common of which one may have become the other."""
    return f"block {item.block}" if isinstance(item, Scope) else graph[item].op.name


def _layer(node: Node) -> str:
    """Return an op with its arguments, as a spec has them."""
    op = node.op
    given = {k: show(v) for k, v in op.arguments().items() if k not in op._defaults or v != op._defaults[k]}
    words = [given.pop(k) for k in op.positional if k in given] + [f"{k}={v}" for k, v in given.items()]
    return f"{op.name} {', '.join(words)}".rstrip()


def _arguments(a: Node, b: Node) -> Iterator[Field]:
    """Yield the arguments that differ, or the whole layers if the ops do."""
    if type(a.op) is not type(b.op):
        yield Field("layer", _layer(a), _layer(b))
        return
    old, new = a.op.arguments(), b.op.arguments()
    yield from (Field(k, show(old[k]), show(new[k])) for k in old if old[k] != new[k])


def _shapes(net: Net, name: str) -> str:
    return " and ".join(map(str, net.outputs_of(name)))


def _value(value: Value) -> str:
    return f"{value.node}[{value.port}]" if value.port else value.node


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
        cells, costs = [f"{mark}{printable(name)}", f"x{len(groups)}" if len(groups) > 1 else ""], False
        for column in columns:
            pairs = [
                [0 if row is None else row.values[column.name] for row in (g.before, g.after)] for g in groups
            ]
            a, b = (sum(values) for values in zip(*pairs, strict=True))
            cells += _pair(column, a, b, exact)[1:]
            costs = costs or bool(a or b)
        if exact or costs or (first.before and first.after):
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


def _about(difference: Difference) -> list[str]:
    """Return a line for each input and output of the net that differs."""
    lines = []
    for what in ("inputs", "outputs"):
        old, new = (getattr(net, what) for net in (difference.before, difference.after))
        for name in dict.fromkeys((*old, *new)):
            a, b = (str(shapes.get(name, "none")) for shapes in (old, new))
            if a != b:
                lines.append(f"{what[:-1]} {printable(name)}: {a} -> {b}")
    return lines


def _lines(difference: Difference) -> list[str]:
    """Return a line for each layer that changed; those that only moved are counted."""
    lines = []
    for change in difference.changes:
        if change.kind == "moved":
            continue
        path = change.after or change.before or ""
        if change.kind == "changed":
            was = f" (was {change.before})" if change.before != change.after else ""
            what = "; ".join(f"{f.name} {f.before} -> {f.after}" for f in change.fields)
            lines.append(printable(f"~ {path}{was}: {change.layer}: {what}"))
        else:
            lines.append(printable(f"{_MARKS[change.kind]} {path}: {change.layer}, {change.output}"))
    moved = [change for change in difference.changes if change.kind == "moved"]
    if moved:
        first = f"{moved[0].before} is {moved[0].after}"
        layers = "a layer" if len(moved) == 1 else f"{len(moved):,} layers"
        lines.append(printable(f"{layers} with weights moved in the state_dict: {first}"))
    return lines


def render_text(difference: Difference, look: Look | None = None, full: bool = False) -> str:
    """Return the difference as text, and no newline at the end.

    Counts are rounded; parts that are new, gone or another block as a whole are in the table of parts, and their
    layers are not listed; equal parts in a row are one, as are equal changes of equal blocks; parts that cost nothing
    are in no table. With `full` all is there.
    """
    look = look or Look()
    title = f"{_named(difference.before)} -> {_named(difference.after)}"
    parts = [look.wrapped(title), *_about(difference), "", _table(_totals(difference, full), look)]
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
    return "\n".join(
        [
            *parts,
            "",
            *(
                look.paint(look.hung(line), _STYLES.get(line[0], ""))
                for line in lines or ["no layer differs"]
            ),
        ]
    )


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
            whole[kind, group.name] == size[group.name]
            for group in groups
            for kind, size in zip(("removed", "added"), sizes, strict=True)
        ):
            told.update((kind, group.name) for group in groups for kind in _WHOLE)
            ways = [" ".join(map(str, filter(None, (row.op, row.output)))) for row in (before, after)]
            lines.append(printable(f"~ {name}: {' -> '.join(ways)}"))
    left = [c for c in difference.changes if c.kind not in _WHOLE or (c.kind, part(c)) not in told]
    shown = difference.replace(changes=tuple(_repeated(left)))
    return [*lines, *_lines(shown)], len(difference.changes) - len(left)


def _repeated(changes: Sequence[Change]) -> Iterator[Change]:
    """Yield changes, those of layers whose names count up as one."""
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
        yield first


_STYLES = {"+": "32", "-": "31", "~": "33"}


def render_markdown(difference: Difference) -> str:
    """Return the difference as Markdown, such as for the summary of a job, and no newline at the end."""
    firsts = ((q, *difference.numbers(q)) for q in catalogue().values() if q.share)
    first = ", ".join(f"{q.title} {human(float(b))} ({_percent(a, b) or '0%'})" for q, a, b in firsts)
    parts = [f"**{_markdown(_named(difference.before))} → {_markdown(_named(difference.after))}**: {first}"]
    about = [f"- {_markdown(line)}" for line in _about(difference)]
    parts += ["", *about] if about else []
    parts += ["", *markdown(_totals(difference, True), escape=_markdown)]
    if difference.groups:
        parts += ["", *markdown(_rows(difference, True)[0], escape=_markdown)]
    lines = _lines(difference)
    if not lines:
        return "\n".join([*parts, "", "No layer differs."])
    fenced = ["```diff", *(line.replace("~", "!", 1) if line[0] == "~" else line for line in lines), "```"]
    count = "1 line" if len(lines) == 1 else f"{len(lines):,} lines"
    return "\n".join(
        [*parts, "", f"<details><summary>Layers, {count}</summary>", "", *fenced, "", "</details>"]
    )


def _markdown(text: str) -> str:
    """Return a text in which nothing is markup."""
    return "".join(f"\\{c}" if c in "\\|*_`<>[]" else c for c in text)


def render_json(difference: Difference) -> dict[str, Any]:
    """Return the difference as an object for `json.dumps`; its fields are those of docs/schema/diff.json."""
    return {
        "version": VERSION,
        "before": _net_json(difference.before),
        "after": _net_json(difference.after),
        "totals": {q.name: _counts_json(*difference.numbers(q)) for q in _wholes()},
        "by": difference.by,
        "groups": [
            {"name": group.name, "before": _row_json(group.before), "after": _row_json(group.after)}
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
