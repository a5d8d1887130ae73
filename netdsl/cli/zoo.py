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

    entries = api.zoo()
    if args.format == "json":
        print_json({"version": VERSION, "nets": [entry.json() for entry in entries]})
        return 0
    lines = [entry.line() for entry in entries]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, params, macs, inputs, about in lines:
        numbers = f"{params:>{widths[1]}}  {macs:>{widths[2]}}"
        print(f"{name:{widths[0]}}  {numbers}  {inputs:{widths[3]}}  {about}".rstrip())
    return 0
