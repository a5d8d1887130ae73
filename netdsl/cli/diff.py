"""netdsl diff: what changed from one net to another."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import files, inputs, misuse, print_json, settings, spec_arguments

if TYPE_CHECKING:
    from netdsl.network import Network

HELP = "say what changed from one net to another, in structure, shapes and costs"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True)
    sub.add_argument("--format", choices=("text", "json", "markdown"), default="text")


def run(args: argparse.Namespace) -> int:
    """Print the difference; nets that differ are no error."""
    from netdsl import diff

    if len(args.spec) != 2:
        help = "the net before, and the net after: netdsl diff old/a.net a.net"
        misuse("E530", f"diff takes two specs, got {len(args.spec)}", help)
    before, after = (_network(spec, args) for spec in args.spec)
    difference = diff.compare(before, after)
    if args.format == "json":
        print_json(diff.render_json(difference))
    elif args.format == "markdown":
        print(diff.render_markdown(difference))
    else:
        print(diff.render_text(difference))
    return 0


def _network(spec: str, args: argparse.Namespace) -> Network:
    """Return one of the nets; settings and inputs are for both."""
    from netdsl import api
    from netdsl.network import Network

    file, name = files(spec, args)
    return Network(api.recipe(file, name, settings(args), inputs(args), args.max_nodes))
