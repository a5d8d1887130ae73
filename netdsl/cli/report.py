"""netdsl report: all that is known about a net, on one page."""

from __future__ import annotations

import argparse

from netdsl.cli.common import network, spec_arguments
from netdsl.cli.pictures import check_output, write_picture

HELP = "write a page with the source, its costs, the graph, memory and findings"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    help = "a name in .html; the page needs no other file and no network"
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help=help)
    sub.add_argument("--against", metavar="SPEC", help="say what changed from this net, too")


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from netdsl.picture import page

    suffix = check_output(args.output, (".html",), [args.spec, *([args.against] if args.against else [])])
    net = network(args)
    before = None
    if args.against:
        args.spec = args.against
        before = network(args)
    write_picture(args.output, suffix, {".html": lambda: page.render(net, before)})
    return 0
