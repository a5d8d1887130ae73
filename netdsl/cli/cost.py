"""netdsl cost: the table of params, MACs and activations."""

from __future__ import annotations

import argparse

from netdsl.cli.common import network, positive, print_json, spec_arguments

HELP = "print params, MACs and activations as a table"
DTYPES = ("float64", "float32", "bfloat16", "float16", "int8")
GROUPINGS = ("layer", "block", "stage", "op")


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    sub.add_argument("--by", choices=GROUPINGS, default="layer", help="what a row is (layer)")
    sub.add_argument("--batch", type=positive, default=1, metavar="N", help="batch size (1)")
    sub.add_argument("--dtype", choices=DTYPES, default="float32", help="of activations (float32)")
    sub.add_argument("--train", action="store_true", help="count what exists in training only, too")
    sub.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table")


def run(args: argparse.Namespace) -> int:
    """Print the cost table."""
    from netdsl.cost import table

    costs = network(args).costs(args.by, args.batch, args.dtype, args.train)
    if args.format == "json":
        print_json(table.render_json(costs))
    elif args.format == "csv":
        print(table.render_csv(costs))
    elif args.format == "markdown":
        print(table.render_markdown(costs))
    else:
        print(table.render_text(costs))
    return 0
