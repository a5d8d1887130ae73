"""netdsl compare: nets beside each other, as a table and as bubbles."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netdsl.cli.common import (
    expanded,
    files,
    inputs,
    look,
    made,
    misuse,
    print_json,
    settings,
    source_of,
    spec_arguments,
)
from netdsl.cli.pictures import check_output, write_picture

if TYPE_CHECKING:
    from netdsl.network import Network
    from netdsl.picture.bubbles import Bubble

HELP = "print what nets cost and reach beside each other, or draw it"
EXAMPLES = (
    "netdsl compare resnet50 vgg16 unet",
    "netdsl compare zoo --plot zoo.svg",
)
ZOO = "zoo"
"""The SPEC that stands for all nets that are packaged."""
_NAMED = 8
"""How many of the nets that are not drawn a note names."""
_SPARE = 2.5
"""When the column of inputs is left out (`Quantity.spare`): of nearly all nets it is the same."""
VERSION = 1
"""Of the JSON form, docs/schema/compare.json."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True, folders=True)
    sub.epilog = f"a file stands for all of its nets, and `{ZOO}` for every net that is packaged"
    sub.add_argument(
        "--format", choices=("table", "json", "csv", "markdown"), help="table, if nothing is said"
    )
    help = "draw top-1 against MACs, params as areas, instead of printing: a name in .svg or .png"
    sub.add_argument("--plot", metavar="FILE", help=help)


def run(args: argparse.Namespace) -> int:
    """Print the table, or write the picture."""
    if args.plot and args.format:
        misuse("E550", "--plot draws instead of printing, so it takes no --format", "choose one of them")
    suffix = check_output(args.plot, (".svg", ".png")) if args.plot else ""
    nets = [net for spec in args.spec for one in expanded(spec) for net in _networks(one, args)]
    rows = [_row(net) for net in nets]
    if args.plot:
        _plot(rows, args.plot, suffix, nets)
    elif args.format == "json":
        print_json({"version": VERSION, "nets": rows})
    elif args.format == "csv":
        print(_csv(_apart(rows, nets)))
    else:
        print(_text([_cells(row) for row in _apart(rows, nets)], args.format or "table"))
    return 0


def _apart(rows: Iterable[dict[str, Any]], nets: Sequence[Network]) -> list[dict[str, Any]]:
    """Return the rows with nets of one name as `FILE:NAME`."""
    names = Counter(net.name for net in nets)
    shown = (f"{source_of(net).name}:{net.name}" if names[net.name] > 1 else net.name for net in nets)
    return [{**row, "net": name} for row, name in zip(rows, shown, strict=True)]


def _networks(spec: str, args: argparse.Namespace) -> Iterator[Network]:
    """Yield the nets of a SPEC; of the zoo those that are decided."""
    from netdsl import api
    from netdsl.diagnostics import NetError
    from netdsl.elaborate.build import is_open
    from netdsl.network import Network

    if spec != ZOO:
        file, name = files(spec, args)
        yield from made(api.recipes(file, name, settings(args), inputs(args), args.max_nodes))
        return
    for name, file_name in api.zoo_names().items():
        try:
            file = api.packaged(file_name)
            (recipe,) = api.recipes(file, name, settings(args), inputs(args), args.max_nodes)
            yield Network(recipe)
        except NetError as error:
            if not is_open(error):
                raise


def _row(net: Network) -> dict[str, Any]:
    """Return what is compared: counts of a sample, bytes in float32; None for what is not known."""
    from netdsl.quantities import Options, compared

    top1 = net.meta.get("top1")
    result = net.graph.outputs[0].value.node  # it comes last, so that what is seen is what it sees
    one, nodes = Options(), sorted(net.graph, key=lambda node: node.name == result)
    return {
        "net": net.name,
        "spec": net.spec,
        "file": net.file,
        "inputs": {name: list(shape) for name, shape in net.inputs.items()},
        **{quantity.name: _plain(quantity.of(net, nodes, one)) for quantity in compared()},
        "top1": float(top1) if isinstance(top1, (int, float)) and not isinstance(top1, bool) else None,
    }


def _plain(value: Any) -> Any:
    """Return a number as it is, and anything else, such as a receptive field, as a text."""
    return value if value is None or isinstance(value, (int, float)) else str(value)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    from netdsl.cost.view import amount
    from netdsl.diagnostics.render import printable
    from netdsl.quantities import compared

    shapes = ["x".join(map(str, shape)) for shape in row["inputs"].values()]
    return (
        printable(row["net"]),
        ", ".join(shapes),
        *[
            amount(one, row[one.name]) if isinstance(row[one.name], int) else row[one.name] or ""
            for one in compared()
        ],
        "" if row["top1"] is None else f"{row['top1']:g}",
    )


def _text(rows: Sequence[tuple[str, ...]], form: str) -> str:
    """Return the rows as aligned columns, or as Markdown."""
    from netdsl.quantities import compared
    from netdsl.sheet import Sheet

    header = ("net", "input", *[one.title for one in compared()], "top-1")
    note = (
        "of a sample, in float32; peak: the most bytes alive in inference, beside the weights; "
        "top-1 on ImageNet in percent, as published"
    )
    spare = sorted([(_SPARE, 1), *[(one.spare, n) for n, one in enumerate(compared(), 2) if one.spare]])
    sheet = Sheet(header, rows, left=(0, 1), notes=[note], spare=[[n] for _, n in spare])
    return sheet.markdown() if form == "markdown" else sheet.text(look())


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return CSV with the numbers as JSON has them."""
    from netdsl import sheet
    from netdsl.quantities import compared

    numbers = [*[one.name for one in compared()], "top1"]
    lines = []
    for row in rows:
        shapes = " ".join("x".join(map(str, shape)) for shape in row["inputs"].values())
        values = (row["net"], shapes, *[row[name] for name in numbers])
        lines.append(["" if value is None else str(value) for value in values])
    return sheet.csv([("net", "input", *numbers), *lines])


def _plot(rows: Sequence[Mapping[str, Any]], output: str, suffix: str, read: Iterable[Network]) -> None:
    """Write the picture, and say which nets are not in it."""
    import sys

    from netdsl.picture import bubbles

    known = {(row["net"], row["file"]): row for row in rows if row["top1"] is not None and row["macs"]}
    if not known:
        misuse(
            "E552", "none of the nets says its top1 and has MACs", "for example meta top1=76.13, in percent"
        )
    nets: list[Bubble] = [
        bubbles.Bubble(row["net"], row["top1"], row["macs"], row["params"]) for row in known.values()
    ]
    write_picture(output, suffix, {".svg": lambda: str(bubbles.draw(nets))}, read)
    missing = [*dict.fromkeys(row["net"] for row in rows if (row["net"], row["file"]) not in known)]
    if missing:
        from netdsl.diagnostics.render import printable

        some = ", ".join([*missing[:_NAMED], *["..."] * (len(missing) > _NAMED)])
        which = f"{len(missing)} of {len(missing) + len(known)} nets say no top1, or have no MACs"
        print(f"note: {which}, so they are not drawn: {printable(some)}", file=sys.stderr)
