"""The table of costs as people read it, equal rows folded and counts rounded; and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from netdsl.cost.fold import runs
from netdsl.cost.model import CONVENTION
from netdsl.cost.table import Row, Table, human, lines, of_nets
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.diagnostics.render import printable
from netdsl.quantities import Options, Quantity, meant
from netdsl.record import Record
from netdsl.sheet import WIDTH, Look, Sheet

ROWS = 40
"""The most rows, of those folded, where nobody says what a row is."""
_FEW = 5
"""Fewer rows than these say too little of a net that has more layers than can be shown."""
_ABOUT = {"op": 7.6, "output": 7.5}
"""Columns of texts, and when they are left out (`Quantity.spare`)."""
_BARS = 4


class View(Record):
    """How a table is shown."""

    look: Look = Look(WIDTH)
    exact: bool = False
    """Whether counts have all their digits, and bytes no unit."""
    fold: bool = True
    """Whether equal rows that follow each other are one."""
    columns: Sequence[str] = ()
    """Which, by name, beside the name of a row; () for what there is room for."""
    sort: str = ""
    """The quantity by which rows are sorted, the largest first, or `name`; "" for the order of the text."""
    top: int = 0
    """How many rows are shown; the others are one. 0: all."""
    bars: bool = True
    """Whether shares are drawn, too."""
    hint: str = ""
    """What else could be asked for."""
    convention: bool = True
    """Whether to say what is counted."""


FULL = View(Look(), exact=True, fold=False, bars=False)
"""All that there is."""


# ---------------------------------------------------------------- rows


def folded(rows: Sequence[Row], quantities: Sequence[Quantity]) -> list[Row]:
    """Return rows in which equal ones that follow each other are one, with the sum of what they cost: see `runs`.

    What is equal has the same ops, outputs and numbers, but for those that depend on what comes before, such as
    receptive fields; of these it is the last one's.
    """
    added = {quantity.name for quantity in quantities if quantity.additive}
    keys = [
        (row.op, row.output, tuple([value for name, value in row.values.items() if name in added]))
        for row in rows
    ]
    found = []
    for run in runs([row.name for row in rows], keys):
        equal = [rows[at] for at in run.members]
        one = equal[0]
        if len(equal) > 1:
            one = one.replace(name=run.name, values=_summed(equal, added), count=len(equal))
        found.append(one)
    return found


def _summed(rows: Sequence[Row], added: set[str]) -> dict[str, Any]:
    """Return the sums of what has one, and of all else what the last row has."""
    return {
        name: sum(row.values[name] for row in rows) if name in added else value
        for name, value in rows[-1].values.items()
    }


def readable(costs: Callable[[str, int | None], Table]) -> Table:
    """Return a table that reads well: the finest with at most `ROWS` rows, unless it lumps nearly all together.

    Args:
        costs: Returns the table by layer or by block, of names that go so deep.
    """
    tables: list[tuple[int, Table]] = []
    for by, depth in (("layer", None), ("block", None), ("layer", 2), ("layer", 1)):
        table = costs(by, depth)
        rows = len(folded(table.rows, table.quantities))
        if rows <= ROWS and (rows >= _FEW or not tables):
            return table
        tables.append((rows, table))
    fits = [(rows, table) for rows, table in tables if rows <= ROWS]
    return max(fits, key=lambda one: one[0])[1] if fits else min(tables, key=lambda one: one[0])[1]


def arranged(table: Table, view: View) -> list[Row]:
    """Return the rows as a view has them; raise NetError for what cannot be sorted by."""
    rows = folded(table.rows, table.quantities) if view.fold else [*table.rows]
    rows = _sorted(rows, _columns(table), view)
    if view.top and len(rows) > view.top:
        others = rows[view.top :]
        added = {quantity.name for quantity in table.quantities if quantity.additive}
        values = {name: value if name in added else None for name, value in _summed(others, added).items()}
        rows[view.top :] = [Row(f"{sum(row.count for row in others)} more", "", None, values)]
    return rows


def _sorted(rows: list[Row], quantities: Sequence[Quantity], view: View) -> list[Row]:
    if view.sort == "name":
        return sorted(rows, key=lambda row: row.name)
    if not view.sort:
        return rows
    known = {quantity.name: quantity for quantity in quantities}
    if view.sort not in known:
        raise _unknown("sort", view.sort, ("name", *known))
    by = known[view.sort]
    return sorted(rows, key=lambda row: -by.number(row.values[by.name]))


# ---------------------------------------------------------------- columns


class _Column(Record):
    title: str
    cells: Sequence[str]
    totals: Sequence[str]
    spare: float
    kind: str = "number"
    """number, text or bar."""


def amount(quantity: Quantity, value: Any) -> str:
    """Return a number as people say it, with B for bytes."""
    if not isinstance(value, int):
        return quantity.text(value)
    return f"{human(value)}B" if value and quantity.unit == "bytes" else human(value)


def sheet(table: Table, view: View) -> Sheet:
    """Return the table as texts; raise NetError for a column that there is not."""
    rows = arranged(table, view)
    totals: list[Mapping[str, Any]] = [table.sums]
    names = ["total"]
    training = next((q for q in table.quantities if q.name == "training_params"), None)
    if training is not None and table.sums[training.name]:
        names.append(training.title)
        totals.append({"params": table.sums[training.name]})
    notes = [
        *_footer(table, view, any(row.count > 1 for row in rows)),
        *([CONVENTION] if view.convention else []),
    ]
    return _sheet(table.by, rows, _columns(table), [*zip(names, totals, strict=True)], view).replace(
        caption=_caption(table), notes=notes
    )


def sheet_of_nets(rows: Sequence[Row], options: Options, view: View) -> Sheet:
    """Return nets as the rows of a table, without a total; raise NetError for a column that there is not."""
    every = of_nets(options)
    shown = _sorted([*rows], every, view)
    rest = len(shown) - view.top if view.top else 0
    notes = [view.hint] if view.hint else []
    notes += [f"{rest} more"] if rest > 0 else []
    notes.append(_meaning(options, view))
    found = _sheet("net", shown[: view.top or None], every, [], view)
    return found.replace(notes=[*notes, CONVENTION])


def _sheet(
    by: str,
    rows: Sequence[Row],
    quantities: Sequence[Quantity],
    below: Sequence[tuple[str, Mapping[str, Any]]],
    view: View,
) -> Sheet:
    """Return rows as texts, with lines of totals below, of which the first is that of all."""
    totals = [values for _, values in below]
    blank = [""] * len(below)
    known = {quantity.name: quantity for quantity in quantities}
    about = {
        "op": _Column("op", [printable(row.what) for row in rows], blank, _ABOUT["op"], "text"),
        "output": _Column(
            "output",
            ["" if row.output is None else str(row.output) for row in rows],
            blank,
            _ABOUT["output"],
            "text",
        ),
    }
    _check(view, (*about, *known))
    columns = [
        _Column(by, [printable(row.name) for row in rows], [name for name, _ in below], 0, "text"),
        _Column("", [f"x{row.count}" if row.count > 1 else "" for row in rows], blank, 0, "text"),
    ]
    for name in view.columns or [*about, *(name for name, quantity in known.items() if quantity.shown)]:
        if name in about:
            columns.append(about[name])
        elif view.columns or view.exact or known[name].brief or any(row.values[name] for row in rows):
            columns += _of(known[name], rows, totals, view)
    columns = columns[:1] + [column for column in columns[1:] if any(column.cells) or not rows]
    spare: dict[float, list[int]] = {}
    for n, column in enumerate(columns):
        if column.spare and (not view.columns or column.kind == "bar"):
            spare.setdefault(column.spare, []).append(n)
    return Sheet(
        [column.title for column in columns],
        [*zip(*(column.cells for column in columns), strict=True)],
        [*zip(*(column.totals for column in columns), strict=True)],
        [n for n, column in enumerate(columns) if column.kind != "number"],
        bars=[n for n, column in enumerate(columns) if column.kind == "bar"],
        spare=[spare[when] for when in sorted(spare)],
    )


def _columns(table: Table) -> list[Quantity]:
    """Return the quantities that rows of such a table have."""
    return [quantity for quantity in table.quantities if table.by != "op" or not quantity.series]


def _of(
    quantity: Quantity, rows: Sequence[Row], totals: Sequence[Mapping[str, Any]], view: View
) -> Iterable[_Column]:
    """Yield the columns of a quantity: its numbers, their shares, and those as bars."""

    def said(value: Any) -> str:
        return quantity.text(value) if view.exact else amount(quantity, value)

    values = [row.values[quantity.name] for row in rows]
    sums = [total.get(quantity.name) for total in totals]
    yield _Column(quantity.title, [*map(said, values)], [*map(said, sums)], quantity.spare)
    if quantity.share and sums:
        whole = sums[0]
        parts = [value / whole if whole and value is not None else None for value in values]
        below = [value / whole if whole and value is not None else None for value in sums]
        yield _Column("%", [*map(_percent, parts)], [*map(_percent, below)], quantity.spare)
        if view.bars:
            drawn = [view.look.bar(part or 0.0) for part in parts]
            yield _Column("", drawn, [""] * len(totals), _BARS, "bar")


def _percent(part: float | None) -> str:
    return "" if part is None else f"{100 * part:.1f}"


def _check(view: View, known: Sequence[str]) -> None:
    for name in view.columns:
        if name not in known:
            raise _unknown("columns", name, known)


def _unknown(option: str, name: str, known: Sequence[str]) -> NetError:
    return NetError([Diagnostic("E503", f"{option}: there is no column `{name}`", help=meant(name, known))])


# ---------------------------------------------------------------- forms


def _caption(table: Table) -> str:
    inputs = ", ".join(
        f"{printable(name)} {shape}" if len(table.inputs) > 1 else str(shape)
        for name, shape in table.inputs.items()
    )
    return f"{printable(table.net)} ({printable(table.spec)}), input {inputs}"


def _footer(table: Table, view: View, folds: bool) -> list[str]:
    def size(number: int) -> str:
        return f"{number:,}" if view.exact else f"{human(number)}B"

    unit = " bytes" if view.exact else ""
    live = table.live
    notes = [view.hint] if view.hint else []
    if folds:
        notes.append("xN: N equal ones in a row, and their sum")
    notes += [
        _meaning(table.options, view),
        f"inference has at most {size(live.peak)}{unit} alive beside the weights, at {printable(live.at)}",
    ]
    if table.train:
        held = table.memory
        parts = [f"{name} {size(getattr(held, name))}" for name in _HELD]
        notes.append(
            f"a step of training with {table.options.optimizer} holds at most {size(held.peak)}{unit}"
        )
        notes.append(f"of which {', '.join(parts)}")
    return notes


def _meaning(options: Options, view: View) -> str:
    mode = "training" if options.train else "evaluation"
    return f"batch {options.batch}, {options.dtype}, {mode}{'; activations in bytes' if view.exact else ''}"


_HELD = ("weights", "buffers", "gradients", "optimizer", "saved", "input")
"""What a step of training holds, not all of it at once."""


def render_text(table: Table, view: View | None = None) -> str:
    """Return the table for people, and no newline at the end; raise NetError for a column that there is not."""
    view = view or View()
    return sheet(table, view).text(view.look)


def render_nets(rows: Sequence[Row], options: Options, view: View) -> str:
    """Return nets as a table, and no newline at the end; raise NetError for a column that there is not."""
    return sheet_of_nets(rows, options, view).text(view.look)


def csv_lines(table: Table, view: View) -> Iterator[Sequence[str]]:
    """Yield the lines of CSV of a table, the header first; of `top` rows those alone, since a sum is no row.

    Raises:
        NetError: There is no such column.
    """
    quantities = _columns(table)
    _check(view, (*(_ABOUT if table.by != "op" else ()), *(quantity.name for quantity in quantities)))
    rows = _sorted([*table.rows], quantities, view)
    yield from lines(table, rows[: view.top or None], view.columns)


def render_markdown(table: Table, view: View = FULL) -> str:
    """Return the table as Markdown, and no newline at the end; raise NetError for a column that there is not."""
    return sheet(table, view).markdown()
