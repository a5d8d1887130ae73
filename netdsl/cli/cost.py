"""netdsl cost: the table of params, MACs and activations."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from itertools import chain, islice
from textwrap import indent
from typing import TYPE_CHECKING, NamedTuple

from netdsl.cli.common import (
    apart,
    as_json,
    expanded,
    look,
    misuse,
    nets_of,
    network,
    positive,
    print_json,
    prose,
    report,
    size,
    source_of,
    spec_arguments,
    watch_option,
)
from netdsl.cost.model import COUNTERS, OPTIMIZERS, UNREPEATED
from netdsl.diagnostics import Diagnostic
from netdsl.sheet import csv

HELP = "print params, MACs and activations as a table"
EXAMPLES = (
    "netdsl cost resnet50 --by block --columns macs,peak",
    "netdsl cost resnet18 vgg16 --format csv",
    "netdsl cost resnet50 --train --memory 24GB",
)
DTYPES = ("float64", "float32", "bfloat16", "float16", "int8")
GROUPINGS = ("layer", "block", "stage", "op")
FORMATS = ("table", "json", "csv", "markdown")

if TYPE_CHECKING:
    from netdsl.cost.table import Table
    from netdsl.cost.view import View
    from netdsl.network import Network


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True, folders=True)
    sub.add_argument("--by", choices=GROUPINGS, help="what a row is (what reads best at the net's size)")
    sub.add_argument("--depth", type=positive, metavar="N", help="of names, as N=2 in layer1.0.conv1")
    sub.add_argument("--sort", metavar="COLUMN", help="the largest first, such as macs; or name")
    sub.add_argument(
        "--top", type=positive, metavar="N", help="only the first N rows, and the others as one (not in CSV)"
    )
    sub.add_argument("--columns", metavar="A,B", help="which, such as output,macs,peak")
    sub.add_argument("--exact", action="store_true", help="all digits, and not 1.03G")
    sub.add_argument("--no-fold", action="store_true", help="a row for each of equal blocks in a row")
    sub.add_argument("--batch", type=positive, default=1, metavar="N", help="batch size (1)")
    sub.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"of activations: {', '.join(DTYPES)} (float32)",
    )
    sub.add_argument("--train", action="store_true", help="count what training has, too, and its memory")
    sub.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="with --train: which (sgd)")
    sub.add_argument(
        "--memory", type=size, metavar="SIZE", help="say the largest batch that fits, such as 24GB"
    )
    help = "with --train --memory: what to compute twice, so that this batch fits"
    sub.add_argument("--checkpoint", action="store_true", help=help)
    sub.add_argument(
        "--device", metavar="NAME", help="the least time on it; see `netdsl devices`; or FILE.toml"
    )
    help = "with --device: activations take no step, nor bn but with --train"
    sub.add_argument("--fused", action="store_true", help=help)
    help = f"what another counter prints, and why: {', '.join(COUNTERS)}"
    counters = (*COUNTERS, *UNREPEATED)
    sub.add_argument("--as", dest="counter", choices=counters, metavar="COUNTER", help=help)
    watch_option(sub)
    sub.add_argument("--format", choices=FORMATS, default="table")


class Form(NamedTuple):
    """What the command prints if an option asks for it."""

    option: str
    """Its name among the arguments; "" for the table of costs."""
    what: str
    takes: tuple[str, ...]
    """The other options that it knows what to do with."""
    formats: tuple[str, ...]


_MEANT = ("batch", "dtype", "train", "optimizer")
_SEEN = ("sort", "top", "columns", "exact", "no_fold")
"""How a table is shown."""
_GIVEN = {"json": _SEEN, "csv": _SEEN[3:], "markdown": _SEEN[3:]}
"""What of that forms for programs have as it is: every digit, and equal rows apart; JSON all rows and columns."""
FORMS = (
    Form("counter", "counts one sample in evaluation", (), ("table",)),
    Form("device", "gives the least times of layers", ("by", "fused", *_MEANT), FORMATS),
    Form("checkpoint", "plans a step of training", ("memory", *_MEANT), ("table", "json")),
    Form("memory", "says the largest batch", ("dtype", "train", "optimizer"), ("table", "json")),
    Form("", "", ("by", "depth", *_SEEN, *_MEANT), FORMATS),
)
"""The first whose option is given is printed."""
NEEDS = {
    "optimizer": (("train",), "--train --optimizer adam"),
    "fused": (("device",), "--device h100 --fused"),
    "checkpoint": (("train", "memory"), "--train --memory 8GB --checkpoint"),
}
"""What an option means nothing without, and an example."""
_PARTS = ("by", "depth", "no_fold")
"""What asks for the parts of nets."""
UNSET = {
    **{
        "by": None,
        "depth": None,
        "sort": None,
        "top": None,
        "columns": None,
        "exact": False,
        "no_fold": False,
    },
    **{"batch": 1, "dtype": "float32", "train": False, "optimizer": "sgd", "memory": None},
    **{"checkpoint": False, "device": None, "fused": False, "counter": None},
}
"""What options are if they are not given."""


def form_of(args: argparse.Namespace) -> Form:
    """Return what is asked for; raise NetError if the options do not go together."""
    given = [name for name, unset in UNSET.items() if getattr(args, name) != unset]
    form = next(form for form in FORMS if form.option in ("", *given))
    code = "E543" if "device" in given or "fused" in given else "E503"
    for name in given:
        needed, example = NEEDS.get(name, ((), ""))
        if not {*needed} <= {*given}:
            needs = " and ".join(f"--{one}" for one in needed)
            misuse(code, f"--{name} means nothing without {needs}", f"for example {example}")
    for name in given:
        if name not in (form.option, *form.takes):
            misuse(code, f"{_written(form.option)} {form.what}, so it takes no {_written(name)}")
    if args.format not in form.formats:
        either = " or ".join(f"--format {one}" for one in form.formats)
        misuse(code, f"{_written(form.option)} {form.what}, with {either}, and not {args.format}")
    shown = [name for name in _GIVEN.get(args.format, ()) if name in given]
    if shown:
        what = "rows and columns" if args.format == "json" else "digits and rows"
        misuse(code, f"--format {args.format} has all {what}, so it takes no {_written(shown[0])}")
    if form.option and len(args.spec) > 1:
        help = f"for example netdsl cost {args.spec[0]} {_written(form.option)} ..."
        misuse(code, f"{_written(form.option)} {form.what} of one net, got {len(args.spec)} SPECs", help)
    return form


def _written(name: str) -> str:
    return "--as" if name == "counter" else f"--{name.replace('_', '-')}"


def run(args: argparse.Namespace) -> int:
    """Print the cost table, or what another option asks for."""
    form = form_of(args)
    if form.option == "counter":
        if args.counter in UNREPEATED:
            misuse("E503", *UNREPEATED[args.counter])
        from netdsl.report.peers import PEERS, render

        prose(render(network(args, args.spec[0]), PEERS[args.counter]))
        return 0
    if form.option == "device":
        return _on_device(args)
    if form.option == "checkpoint":
        return _plan(network(args, args.spec[0]), args)
    if form.option == "memory":
        return _largest(network(args, args.spec[0]), args)
    wrong: list[Diagnostic] = []
    nets = nets_of(args.spec, args, wrong)
    first = [*islice(nets, 2)]
    several = len(args.spec) > 1 or len(first) > 1 or expanded(args.spec[0]) != args.spec
    if several and args.format == "table" and all(getattr(args, name) == UNSET[name] for name in _PARTS):
        _of_nets(chain(first, nets), args)
    elif several:
        _tables(chain(first, nets), args)
    elif first:
        _table(first[0], args)
    return report(wrong) if wrong else 0


def _of_nets(nets: Iterable[Network], args: argparse.Namespace) -> None:
    """Print a row for each of several nets."""
    from netdsl.cost import view
    from netdsl.quantities import Options

    meant = args.batch, args.dtype, args.train, args.optimizer
    found = [(net.cost_row(*meant), source_of(net).name) for net in nets]
    names = Counter(row.name for row, _ in found)
    if rows := [
        row.replace(name=f"{file}:{row.name}") if names[row.name] > 1 else row for row, file in found
    ]:
        hint = f"{len(rows)} nets: --by block, --depth 1 or FILE:NAME for their parts"
        print(view.render_nets(rows, Options(*meant), _view(args, hint)))


def _tables(nets: Iterable[Network], args: argparse.Namespace) -> None:
    """Print the tables of several nets, each before the next one is made."""
    from netdsl.cost import table, view
    from netdsl.cost.model import CONVENTION

    form, number = args.format, 0
    if form == "json":
        print(f'{{\n  "version": {table.VERSION},\n  "nets": [', end="")
    for net in nets:
        if form == "json":
            print(
                "," * bool(number) + "\n" + indent(as_json(table.render_json(_costs(net, args))), "    "),
                end="",
            )
        elif form == "csv":
            lines = view.csv_lines(_costs(net, args), _view(args))
            header = next(lines)
            name = apart(net.recipe, args.spec)
            print(csv([*([] if number else [("net", *header)]), *((name, *line) for line in lines)]))
        elif form == "markdown":
            shown = view.sheet(_costs(net, args), _exact(args, convention=False))
            print(shown.replace(caption=f"## {shown.caption}").markdown(), end="\n\n")
        else:
            print(view.render_text(_readable(net, args), _view(args).replace(convention=False)), end="\n\n")
        number += 1
    if form == "json":
        print("\n" * bool(number) + "  " * bool(number) + "]\n}")
    elif form != "csv" and number:
        print(look().wrapped(CONVENTION) if form == "table" else CONVENTION)


def _view(args: argparse.Namespace, hint: str = "") -> View:
    """Return how the options show a table."""
    from netdsl.cost.view import View

    columns = tuple(name.strip() for name in (args.columns or "").split(",") if name.strip())
    return View(look(), args.exact, not args.no_fold, columns, args.sort or "", args.top or 0, hint=hint)


def _exact(args: argparse.Namespace, convention: bool = True) -> View:
    """Return how they show one that other programs take."""
    from netdsl.cost.view import FULL

    asked = _view(args)
    return FULL.replace(columns=asked.columns, sort=asked.sort, top=asked.top, convention=convention)


def _costs(net: Network, args: argparse.Namespace, by: str = "", depth: int | None = None) -> Table:
    """Return what the options mean; of layers, if nobody says it."""
    meant = args.batch, args.dtype, args.train, args.optimizer
    return net.cost_table(by or args.by or "layer", *meant, depth or args.depth)


def _readable(net: Network, args: argparse.Namespace) -> Table:
    """Return what the options mean; of what, if nobody says it, that reads best for people."""
    from netdsl.cost import view

    if any(getattr(args, name) != UNSET[name] for name in (*_PARTS, "sort", "top")):
        return _costs(net, args)
    return view.readable(lambda by, depth: _costs(net, args, by, depth))


def _table(net: Network, args: argparse.Namespace) -> None:
    """Print the table of costs."""
    from netdsl.cost import table, view

    if args.format == "json":
        print_json(table.render_json(_costs(net, args)))
    elif args.format == "csv":
        print(csv(view.csv_lines(_costs(net, args), _view(args))))
    elif args.format == "markdown":
        print(view.render_markdown(_costs(net, args), _exact(args)))
    else:
        rows = _readable(net, args)
        layers = len(net.graph) - len(net.inputs)
        hint = (
            ""
            if args.by or args.depth or len(rows) == layers
            else f"{layers:,} layers: --by layer shows them"
        )
        print(view.render_text(rows, _view(args, hint)))


def _on_device(args: argparse.Namespace) -> int:
    """Print what the net can do at best on a device."""
    from netdsl import hardware
    from netdsl.hardware import report

    device = hardware.find(args.device)
    options = args.batch, args.dtype, args.fused, args.train, args.optimizer
    estimate, by = hardware.estimate(network(args, args.spec[0]), device, *options), args.by or "layer"
    if args.format == "json":
        print_json(report.render_json(estimate, by))
    elif args.format == "table":
        print(report.render_text(estimate, by, look()))
    else:
        render = report.render_csv if args.format == "csv" else report.render_markdown
        print(render(estimate, by))
    return 0


def _plan(net: Network, args: argparse.Namespace) -> int:
    """Print what has to be computed twice, so that a step of training fits into so much memory."""
    from netdsl.passes.checkpoint import render_text

    plan = net.checkpoint_plan(args.memory, args.batch, args.dtype, args.optimizer)
    if args.format == "json":
        about = {"net": net.name, "batch": args.batch, "dtype": args.dtype, "optimizer": args.optimizer}
        print_json({"version": 1, **about, **plan.__dict__})
    else:
        prose(render_text(plan))
    return 0


def _largest(net: Network, args: argparse.Namespace) -> int:
    """Print how large a batch fits into so much memory."""
    largest = net.largest_batch(args.memory, args.dtype, args.train, args.optimizer)
    peak = net.memory(max(1, largest), args.dtype, args.train, args.optimizer).peak
    what = f"training with {args.optimizer}" if args.train else "inference"
    if args.format == "json":
        about = {
            "dtype": args.dtype,
            "train": args.train,
            "optimizer": args.optimizer if args.train else None,
        }
        print_json(
            {"version": 1, "net": net.name, "memory": args.memory, **about, "batch": largest, "peak": peak}
        )
    elif largest:
        prose(
            f"{net.name}, {args.dtype}: {what} fits {args.memory:,} bytes up to batch {largest:,}, which has {peak:,}"
        )
    else:
        prose(f"{net.name}, {args.dtype}: {what} does not fit {args.memory:,} bytes: batch 1 has {peak:,}")
    return 0 if largest else 1
