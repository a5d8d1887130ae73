"""netdsl report: all that is known about a net or a search space, on one page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import misuse, network_or_space, spec_arguments
from netdsl.cli.pictures import check_output, write_picture

if TYPE_CHECKING:
    from netdsl.network import Network

HELP = (
    "write a page with the source, its costs, the graph, memory and findings; of a second net, what changed too; "
    "of a search space its decisions and nets"
)
EXAMPLES = ("netdsl report old/my_net.net my_net.net -o my_net.html", "netdsl report search -o search.html")


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True)
    help = "a name in .html; the page needs no other file and no network"
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help=help)


def run(args: argparse.Namespace) -> int:
    """Write the page of a net or a space; of two nets, that of the second, and what changed from the first."""
    from netdsl.network import Network
    from netdsl.picture import page

    specs: list[str] = args.spec
    if len(specs) > 2:
        help = "a net, or the net before and the net after: netdsl report old/a.net a.net -o a.html"
        misuse("E530", f"report takes one spec or two, got {len(specs)}", help)
    suffix = check_output(args.output, (".html",))
    if len(specs) == 1:
        made = network_or_space(args, specs[0])
        if not isinstance(made, Network):
            from netdsl.picture import space_page

            write_picture(args.output, suffix, {".html": lambda: space_page.render(made)}, [made.space])
            return 0
        nets = [made]
    else:
        nets = [_decided(args, spec) for spec in specs]
    *before, net = nets
    write_picture(args.output, suffix, {".html": lambda: page.render(net, *before)}, nets)
    return 0


def _decided(args: argparse.Namespace, spec: str) -> Network:
    """Return one of two nets; NetError if it is a space, of which no difference is known."""
    from netdsl.network import Network

    made = network_or_space(args, spec)
    if isinstance(made, Network):
        return made
    what = f"report of two specs says how two nets differ, and {made.space.name} is a search space"
    misuse("E530", what, f"decide it with --set, or netdsl report {spec} -o {args.output} for its own page")
