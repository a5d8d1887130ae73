"""netdsl graph: the graph of a net with its blocks folded."""

from __future__ import annotations

import argparse

from netdsl.cli.common import network, spec_arguments
from netdsl.cli.pictures import check_output, write_picture

HELP = "draw the graph, with equal blocks folded"
EXAMPLES = ("netdsl graph resnet50 -o resnet50.svg",)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    help = "a name in .svg or .png, in .dot for Graphviz, or in .mmd or .mermaid for Mermaid"
    sub.add_argument("-o", "--output", metavar="FILE", required=True, help=help)


def run(args: argparse.Namespace) -> int:
    """Write the picture."""
    from netdsl.picture import graph

    suffix = check_output(args.output, (".svg", ".png", ".dot", ".mmd", ".mermaid"))
    net = network(args)
    forms = {
        ".svg": lambda: str(graph.draw(net)),
        ".dot": lambda: graph.dot(net),
        ".mmd": lambda: graph.mermaid(net),
        ".mermaid": lambda: graph.mermaid(net),
    }
    write_picture(args.output, suffix, forms, [net])
    return 0
