"""netdsl cost: the table of params, MACs and activations."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import misuse, network, positive, print_json, size, spec_arguments
from netdsl.cost.model import COUNTERS, OPTIMIZERS

HELP = "print params, MACs and activations as a table"
DTYPES = ("float64", "float32", "bfloat16", "float16", "int8")
GROUPINGS = ("layer", "block", "stage", "op")

if TYPE_CHECKING:
    from netdsl.network import Network


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    sub.add_argument("--by", choices=GROUPINGS, default="layer", help="what a row is (layer)")
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
    sub.add_argument("--fused", action="store_true", help="with --device: norms and activations take no step")
    sub.add_argument("--as", dest="counter", choices=COUNTERS, help="what another counter prints, and why")
    sub.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table")


def run(args: argparse.Namespace) -> int:
    """Print the cost table, or what another counter prints."""
    if args.counter:
        from netdsl.report.peers import PEERS, render

        usual = {"by": "layer", "batch": 1, "dtype": "float32", "format": "table", "device": None}
        others = {"train": False, "optimizer": "sgd", "memory": None, "checkpoint": False, "fused": False}
        for option, default in (usual | others).items():
            if getattr(args, option) != default:
                misuse("E503", f"--as counts one sample in evaluation, as a table, so it takes no --{option}")
        print(render(network(args), PEERS[args.counter]))
        return 0
    from netdsl.cost import table

    if args.device or args.fused:
        return _on_device(args)
    if args.optimizer != "sgd" and not args.train:
        misuse("E503", "--optimizer is of training", "for example --train --optimizer adam")
    net = network(args)
    if args.checkpoint:
        return _checkpoints(net, args)
    if args.memory is not None:
        return _largest(net, args)
    costs = net.costs(args.by, args.batch, args.dtype, args.train, args.optimizer)
    if args.format == "json":
        print_json(table.render_json(costs))
    elif args.format == "csv":
        print(table.render_csv(costs))
    elif args.format == "markdown":
        print(table.render_markdown(costs))
    else:
        print(table.render_text(costs))
    return 0


def _largest(net: Network, args: argparse.Namespace) -> int:
    """Print how large a batch fits into so much memory."""
    if args.by != "layer" or args.batch != 1 or args.format not in ("table", "json"):
        misuse("E503", "--memory says a batch, as a line or as json, so it takes no --by, --batch")
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
        print(
            f"{net.name}, {args.dtype}: {what} fits {args.memory:,} bytes up to batch {largest:,}, which has {peak:,}"
        )
    else:
        print(f"{net.name}, {args.dtype}: {what} does not fit {args.memory:,} bytes: batch 1 has {peak:,}")
    return 0 if largest else 1


def _checkpoints(net: Network, args: argparse.Namespace) -> int:
    """Print what has to be computed twice, so that a step of training fits into so much memory."""
    from netdsl.passes.checkpoint import render_text

    if not args.train or args.memory is None or args.by != "layer" or args.format != "table":
        misuse(
            "E503", "--checkpoint plans a step of training", "for example --train --memory 8GB --checkpoint"
        )
    print(render_text(net.checkpoint_plan(args.memory, args.batch, args.dtype, args.optimizer)))
    return 0


def _on_device(args: argparse.Namespace) -> int:
    """Print what the net can do at best on a device."""
    from netdsl import hardware
    from netdsl.hardware import report

    if not args.device:
        misuse("E543", "--fused says how the net runs on a --device", "for example --device h100 --fused")
    if (
        args.by != "layer"
        or args.train
        or args.memory is not None
        or args.checkpoint
        or args.format not in ("table", "json")
    ):
        misuse("E543", "--device gives layers, in evaluation, as table or json")
    device = hardware.find(args.device)
    found = hardware.estimate(network(args), device, args.batch, args.dtype, args.fused)
    if args.format == "json":
        print_json(report.render_json(found))
    else:
        print(report.render_text(found))
    return 0
