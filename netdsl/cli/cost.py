"""netdsl cost: the table of params, MACs and activations."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from netdsl.cli.common import (
    look,
    misuse,
    nets_of,
    network,
    positive,
    print_json,
    prose,
    report,
    size,
    spec_arguments,
    watch_option,
)
from netdsl.cost.model import COUNTERS, OPTIMIZERS
from netdsl.diagnostics import Diagnostic, NetError

HELP = "print params, MACs and activations as a table"
DTYPES = ("float64", "float32", "bfloat16", "float16", "int8")
GROUPINGS = ("layer", "block", "stage", "op")
FORMATS = ("table", "json", "csv", "markdown")

if TYPE_CHECKING:
    from netdsl.cost.view import View
    from netdsl.network import Network


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, folders=True)
    sub.add_argument("--by", choices=GROUPINGS, help="what a row is (what reads best at the net's size)")
    sub.add_argument("--depth", type=positive, metavar="N", help="of names, as N=2 in layer1.0.conv1")
    sub.add_argument("--sort", metavar="COLUMN", help="the largest first, such as macs; or name")
    sub.add_argument("--top", type=positive, metavar="N", help="only the first N rows, and the others as one")
    sub.add_argument("--columns", metavar="A,B", help="which, such as output,macs,peak")
    sub.add_argument("--exact", action="store_true", help="all digits, and not 1.03G")
    sub.add_argument("--no-fold", action="store_true", help="a row for each of equal blocks in a row")
    sub.add_argument("--batch", type=positive, default=1, metavar="N", help="batch size (1)")
    sub.add_argument("--dtype", choices=DTYPES, default="float32", help="of activations (float32)")
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
    sub.add_argument("--as", dest="counter", choices=COUNTERS, help="what another counter prints, and why")
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
"""How a table is shown to people; other programs take all of it."""
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
    shown = [name for name in _SEEN if name in given]
    if shown and args.format != "table":
        misuse(code, f"--format {args.format} has all rows and columns, so it takes no {_written(shown[0])}")
    return form


def _written(name: str) -> str:
    return "--as" if name == "counter" else f"--{name.replace('_', '-')}"


def run(args: argparse.Namespace) -> int:
    """Print the cost table, or what another option asks for."""
    form = form_of(args)
    if form.option == "counter":
        from netdsl.report.peers import PEERS, render

        prose(render(network(args), PEERS[args.counter]))
        return 0
    if form.option == "device":
        return _on_device(args)
    if form.option == "checkpoint":
        return _plan(network(args), args)
    if form.option == "memory":
        return _largest(network(args), args)
    wrong: list[Diagnostic] = []
    nets = [*nets_of([args.spec], args, wrong)]
    if len(nets) == 1:
        _table(nets[0], args)
    elif nets:
        _of_several(nets, args)
    return report(wrong) if wrong else 0


def _of_several(nets: Sequence[Network], args: argparse.Namespace) -> None:
    """Print a row for each of several nets."""
    from netdsl.cost import view
    from netdsl.quantities import Options

    asked = [name for name in ("by", "depth", "no_fold") if getattr(args, name) != UNSET[name]]
    if asked or args.format != "table":
        what = _written(asked[0]) if asked else f"--format {args.format}"
        names = tuple(net.name for net in nets)
        help = f"choose one, or `netdsl compare {args.spec} --format json`"
        raise NetError(
            [
                Diagnostic(
                    "E502",
                    f"{args.spec} has {len(nets)} nets, and {what} is of one",
                    help=help,
                    details=names,
                )
            ]
        )
    rows = [net.cost_row(args.batch, args.dtype, args.train, args.optimizer) for net in nets]
    options = Options(args.batch, args.dtype, args.train, args.optimizer)
    shown = _view(args, f"{len(nets)} nets: FILE:NAME for the parts of one")
    print(view.render_nets(rows, options, shown))


def _view(args: argparse.Namespace, hint: str) -> View:
    """Return how the options show a table."""
    from netdsl.cost.view import View

    columns = tuple(name.strip() for name in (args.columns or "").split(",") if name.strip())
    return View(look(), args.exact, not args.no_fold, columns, args.sort or "", args.top or 0, hint=hint)


def _table(net: Network, args: argparse.Namespace) -> None:
    """Print the table of costs; of what, if nobody says it, that reads best for people, and layers for programs."""
    from netdsl.cost import table, view

    def costs(by: str, depth: int | None) -> table.Table:
        return net.cost_table(by, args.batch, args.dtype, args.train, args.optimizer, depth)

    if args.format == "json":
        print_json(table.render_json(costs(args.by or "layer", args.depth)))
    elif args.format == "csv":
        print(table.render_csv(costs(args.by or "layer", args.depth)))
    elif args.format == "markdown":
        print(view.render_markdown(costs(args.by or "layer", args.depth)))
    else:
        given = args.by or args.depth or args.no_fold or args.sort or args.top
        rows = costs(args.by or "layer", args.depth) if given else view.readable(costs)
        layers = len(net.graph) - len(net.inputs)
        hint = "" if given or len(rows) == layers else f"{layers:,} layers: --by layer shows them"
        print(view.render_text(rows, _view(args, hint)))


def _on_device(args: argparse.Namespace) -> int:
    """Print what the net can do at best on a device."""
    from netdsl import hardware
    from netdsl.hardware import report

    device = hardware.find(args.device)
    options = args.batch, args.dtype, args.fused, args.train, args.optimizer
    estimate, by = hardware.estimate(network(args), device, *options), args.by or "layer"
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
