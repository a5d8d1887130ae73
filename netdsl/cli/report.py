"""netdsl report: all that is known about a net, on one page."""

from __future__ import annotations

import argparse

from netdsl.cli.common import misuse, network, spec_arguments
from netdsl.cli.pictures import check_output, write_picture

HELP = "write a page with the source, its costs, the graph, memory and findings; of a second net, what changed too"
EXAMPLES = ("netdsl report old/my_net.net my_net.net -o my_net.html",)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True)
    help = "a name in .html; the page needs no other file and no network"
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help=help)


def run(args: argparse.Namespace) -> int:
    """Write the page of a net; of two, that of the second, and what changed from the first."""
    from netdsl.picture import page

    specs: list[str] = args.spec
    if len(specs) > 2:
        help = "a net, or the net before and the net after: netdsl report old/a.net a.net -o a.html"
        misuse("E530", f"report takes one spec or two, got {len(specs)}", help)
    suffix = check_output(args.output, (".html",))
    *before, net = (network(args, spec) for spec in specs)
    write_picture(args.output, suffix, {".html": lambda: page.render(net, *before)}, [net, *before])
    return 0
