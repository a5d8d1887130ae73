"""netdsl help: what a command takes."""

from __future__ import annotations

import argparse

HELP = "say what a command takes"
EXAMPLES = ("netdsl help cost",)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument(
        "command", metavar="COMMAND", nargs="?", help="which; the list of them, if none is given"
    )


def run(args: argparse.Namespace) -> int:
    """Print what `netdsl COMMAND --help` does."""
    from netdsl.cli import parser

    asked = [args.command] if args.command else []
    parser(asked).parse_args([*asked, "--help"])
    return 0
