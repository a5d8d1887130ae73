"""Costs as a table: rows by layer, block, stage or op, and a total that is their sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netdsl.collector import no_collection
from netdsl.cost.model import CONVENTION, Cost
from netdsl.ir.graph import Graph, Node, Scope
from netdsl.ir.types import Shape
from netdsl.ops.source import Input
from netdsl.passes import Liveness, Receptive
from netdsl.quantities import Measured, Options, Quantity, catalogue
from netdsl.record import Record
from netdsl.sheet import csv

if TYPE_CHECKING:
    from netdsl.passes.training import Memory

VERSION = 1
"""Of the JSON form, docs/schema/cost.json."""
GROUPINGS = ("layer", "block", "stage", "op")
COUNTS = tuple(Cost._fields)


class Row(Record):
    """One line: the quantities of a layer or of a group of layers, by name (`row.params`)."""

    name: str
    op: str
    """The op of a layer, the name of a block; "" for a container or a stage."""
    output: Shape | None
    """Shape that leaves it, for one sample; None for all layers with one op."""
    values: Mapping[str, Any]
    """Quantities by name, as netdsl/quantities says; those of a series are None for all layers with one op."""
    module: str = ""
    """What it is again, with the weights that are counted there."""
    count: int = 1
    """How many equal ones it stands for, with their sum."""

    def __getattr__(self, name: str) -> Any:
        """Return a quantity."""
        if name in self.__dict__.get("values", ()):
            return self.values[name]
        raise AttributeError(name)

    @property
    def receptive(self) -> Receptive | None:
        """Receptive field of what leaves it; None if that sees no input, and for all layers with one op."""
        found: Receptive | None = self.values["receptive_field"]
        return found

    @property
    def what(self) -> str:
        """Its op or block, and what it is again."""
        return f"{self.op} (same {self.module})" if self.module else self.op


class Table:
    """The costs of a net as rows, in the order of the text."""

    def __init__(
        self,
        net: str,
        spec: str,
        file: str,
        inputs: Mapping[str, Shape],
        by: str,
        options: Options,
        rows: list[Row],
        live: Liveness,
        memory: Memory,
    ) -> None:
        """`net` is the net's name, `spec` its file's, `file` with the folder; `live` what inference needs.

        `memory` is that of the net as a whole, in training if that is meant.
        """
        self.net = net
        self.spec = spec
        self.file = file
        self.inputs = inputs
        self.by = by
        self.options = options
        self.batch, self.dtype, self.train = options.batch, options.dtype, options.train
        self.rows = tuple(rows)
        self.live = live
        self.memory = memory

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Row:
        """Return the row of that name."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def __str__(self) -> str:
        """Return it as people read it; `render_text` of netdsl.cost.view shows more of it, or less."""
        from netdsl.cost.view import render_text  # which is made of this

        return render_text(self)

    @property
    def sums(self) -> Mapping[str, int]:
        """The sums of the rows, of the quantities that have one."""
        sums = [quantity for quantity in self.quantities if quantity.additive]
        return {q.name: sum(row.values[q.name] for row in self.rows) for q in sums}

    @property
    def quantities(self) -> list[Quantity]:
        """What the rows have."""
        return _of_rows(self.options)

    @property
    def total(self) -> Cost:
        """The sum of the rows."""
        sums = self.sums
        return Cost(*(sums[count] for count in COUNTS))

    @property
    def training_params(self) -> int:
        """The params that exist in training only, as a sum over the rows."""
        return self.sums["training_params"]


def _of_rows(options: Options) -> list[Quantity]:
    known = catalogue().values()
    return [quantity for quantity in known if not quantity.whole and (options.train or not quantity.training)]


def of_nets(options: Options) -> list[Quantity]:
    """Return what rows have that are whole nets."""
    return [one for one in catalogue().values() if options.train or not one.training]


@no_collection()
def tabulate(
    net: Measured, shapes: Mapping[str, Shape], by: str, options: Options, depth: int | None = None
) -> list[Row]:
    """Return the rows of a net; inputs are no layers. Names of more than `depth` parts count for their beginning."""
    graph = net.graph
    groups: dict[tuple[str, str], list[Node]] = {}
    group_of = grouping(graph, by) if depth is None else _cut(graph, by, depth)
    modules = {node.name: node.module for node in graph}
    modules.update((scope.path, scope.module) for scope in graph.tree.scopes())
    for node in graph:
        if not isinstance(node.op, Input):
            groups.setdefault(group_of(node), []).append(node)
    rows = []
    for (name, op), nodes in groups.items():
        last = next((node for node in reversed(nodes) if not node.train), nodes[-1])
        values = {
            quantity.name: None if quantity.series and by == "op" else quantity.of(net, nodes, options)
            for quantity in _of_rows(options)
        }
        rows.append(Row(name, op, None if by == "op" else shapes[last.name], values, modules.get(name, "")))
    return rows


def summed(nodes: list[Node], costs: Mapping[str, Cost], train: bool) -> Cost:
    """Return the cost of nodes for one sample; training-only ones count only tensors unless `train`."""
    every = [costs[node.name] for node in nodes]
    run = every if train else [cost for cost, node in zip(every, nodes, strict=True) if not node.train]
    return Cost(
        sum([cost.params for cost in every]),
        sum([cost.buffers for cost in every]),
        sum([cost.macs for cost in run]),
        sum([cost.ops for cost in run]),
        sum([cost.activations for cost in run]),
    )


# ---------------------------------------------------------------- groups

GroupOf = Callable[[Node], tuple[str, str]]
"""Returns the name of a node's group and what its op column says."""


def _by_layer(graph: Graph) -> GroupOf:
    return lambda node: (node.name, node.op.name)


def _by_op(graph: Graph) -> GroupOf:
    return lambda node: (node.op.name, "")


def _by_child(graph: Graph) -> GroupOf:
    """Group by what stands directly in the net."""
    groups: dict[str, tuple[str, str]] = {}
    for item in graph.tree.written:
        if isinstance(item, Scope):
            groups.update(dict.fromkeys(item.nodes(), (item.path, item.block)))
        else:
            groups[item] = (item, graph[item].op.name)
    return lambda node: groups[node.name]


def _by_block(graph: Graph) -> GroupOf:
    """Group by the outermost block, else as `_by_child`."""
    groups: dict[str, tuple[str, str]] = {}

    def walk(scope: Scope) -> None:
        for item in scope.written:
            if isinstance(item, Scope) and item.kind == "block":
                groups.update(dict.fromkeys(item.nodes(), (item.path, item.block)))
            elif isinstance(item, Scope):
                walk(item)

    walk(graph.tree)
    child = _by_child(graph)
    return lambda node: groups.get(node.name) or child(node)


def _by_stage(graph: Graph) -> GroupOf:
    child = _by_child(graph)
    return lambda node: (f"stage {node.stage}", "") if node.stage else child(node)


_GROUP: dict[str, Callable[[Graph], GroupOf]] = {
    "layer": _by_layer,
    "block": _by_block,
    "stage": _by_stage,
    "op": _by_op,
}


def grouping(graph: Graph, by: str) -> GroupOf:
    """Return how nodes are grouped: by layer, block, stage or op."""
    return _GROUP[by](graph)


def _cut(graph: Graph, by: str, depth: int) -> GroupOf:
    """Group as `by` does, but what lies deeper for the layer, block or container with the first parts of its name."""
    group_of = grouping(graph, by)
    blocks = {scope.path: scope.block for scope in graph.tree.scopes()}

    def cut(node: Node) -> tuple[str, str]:
        name, op = group_of(node)
        parts = name.split(".")
        if len(parts) <= depth:
            return name, op
        above = ".".join(parts[:depth])
        return above, blocks.get(above, "")

    return cut


# ---------------------------------------------------------------- forms


def human(number: float) -> str:
    """Return a count as people say it: `138.36M`, `15.47G`, `512`."""
    for scale, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "K")):
        if abs(number) >= scale:
            return f"{number / scale:.2f}".rstrip("0").rstrip(".") + unit
    return str(number) if isinstance(number, int) else f"{number:g}"


Line = tuple[str, ...]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def render_csv(table: Table) -> str:
    """Return the rows as CSV (RFC 4180, but lines end as in text), exact integers, no total."""
    return csv(lines(table, table.rows))


def lines(table: Table, rows: Sequence[Row], columns: Sequence[str] = ()) -> Iterator[Line]:
    """Yield the header of a table and some of its rows as texts, of these columns beside the names, or of all."""
    about = table.by != "op"  # a row by op has no other op, and no output
    texts: dict[str, Callable[[Row], str]] = (
        {"op": lambda row: row.op, "output": lambda row: _text(row.output)} if about else {}
    )
    quantities = [quantity.name for quantity in table.quantities if about or not quantity.series]
    chosen = columns or (*texts, *quantities)
    yield table.by, *chosen
    for row in rows:
        yield row.name, *(texts[name](row) if name in texts else _text(row.values[name]) for name in chosen)


def render_json(table: Table) -> dict[str, Any]:
    """Return the table as an object for `json.dumps`; its fields are those of docs/schema/cost.json."""
    return {
        "version": VERSION,
        "net": table.net,
        "spec": table.spec,
        "file": table.file,
        "inputs": {name: list(shape) for name, shape in table.inputs.items()},
        "by": table.by,
        "batch": table.batch,
        "dtype": table.dtype,
        "train": table.train,
        "convention": CONVENTION,
        "rows": [
            {
                "name": row.name,
                "op": row.op,
                "module": row.module,
                "output": None if row.output is None else list(row.output),
                **{q.name: q.plain(row.values[q.name]) for q in table.quantities},
            }
            for row in table
        ],
        "total": table.sums,
        "peak": {"bytes": table.live.peak, "at": table.live.at},
        "memory": {"optimizer_name": table.options.optimizer, **table.memory.__dict__}
        if table.train
        else None,
    }
