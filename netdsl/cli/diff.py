"""netdsl diff: what changed from one net to another."""

from __future__ import annotations

import argparse

from netdsl.cli.common import look, misuse, network, print_json, spec_arguments

HELP = "say what changed from one net to another, in structure, shapes and costs"
EXAMPLES = (
    "netdsl diff resnet18 resnet50",
    "netdsl diff old/my_net.net my_net.net --format markdown",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True)
    sub.add_argument("--full", action="store_true", help="every layer, and all digits")
    sub.add_argument("--format", choices=("text", "json", "markdown"), default="text")


def run(args: argparse.Namespace) -> int:
    """Print the difference; nets that differ are no error."""
    from netdsl import diff

    if len(args.spec) != 2:
        help = "the net before, and the net after: netdsl diff old/a.net a.net"
        misuse("E530", f"diff takes two specs, got {len(args.spec)}", help)
    if args.full and args.format != "text":
        misuse("E530", f"--format {args.format} has every layer, so it takes no --full")
    before, after = (network(args, spec) for spec in args.spec)
    difference = diff.compare(before, after)
    if args.format == "json":
        print_json(diff.render_json(difference))
    elif args.format == "markdown":
        print(diff.render_markdown(difference))
    else:
        print(diff.render_text(difference, look(), args.full))
    return 0
