"""netdsl zoo: list the packaged nets."""

from __future__ import annotations

import argparse

from netdsl.cli.common import VERSION, print_json

HELP = "list the packaged nets"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """List the packaged nets."""
    from netdsl import api
    from netdsl.sheet import aligned

    entries = api.zoo()
    if args.format == "json":
        print_json({"version": VERSION, "nets": [entry.json() for entry in entries]})
        return 0
    print("\n".join(aligned([entry.line() for entry in entries], left=(0, 3, 4))))
    return 0
