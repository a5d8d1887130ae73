"""netdsl fit: the value of a parameter that meets a target."""

from __future__ import annotations

import argparse

from netdsl.cli.common import look, network, print_json, spec_arguments

HELP = "find the width, depth or other number at which a net meets a target"
EXAMPLES = ('netdsl fit mobilenet_v2 --vary width --target "macs<=150M"',)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    sub.add_argument(
        "--vary",
        required=True,
        metavar="NAME[=LOW..HIGH[/STEP]]",
        help="a parameter, an argument of one that is an op (unit.base), the image's size (input), or several "
        "that go together (width,depth,input)",
    )
    sub.add_argument(
        "--target",
        required=True,
        metavar="CLAIM",
        help='a quantity of `require`: "macs=4.1G", "memory(train, batch=128)=3GB", '
        'or bounds: "macs<=600M, params<=5M"',
    )
    sub.add_argument("--format", choices=("text", "json", "csv", "markdown"), default="text")


def run(args: argparse.Namespace) -> int:
    """Print the steps beside the target."""
    from netdsl.fit import fit, report

    found = fit(network(args), args.vary, args.target)
    if args.format == "json":
        print_json(report.render_json(found))
        return 0
    if args.format == "text":
        print(report.render_text(found, look()))
    else:
        print(report.render_csv(found) if args.format == "csv" else report.render_markdown(found))
    return 0
