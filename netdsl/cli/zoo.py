"""netdsl zoo: list the packaged nets."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import VERSION, look, misuse, print_json

if TYPE_CHECKING:
    from netdsl.api import Entry

HELP = "list the packaged nets"
EXAMPLES = (
    "netdsl zoo",
    "netdsl zoo resnet 224",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    help = "only nets that have each in their name, file, class, input or what is known about them"
    sub.add_argument("word", metavar="WORD", nargs="*", help=help)
    sub.add_argument("--exact", action="store_true", help="all digits, and not 4.09G")
    sub.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """List the packaged nets, or some of them."""
    from netdsl import api
    from netdsl.diagnostics import did_you_mean

    every = api.zoo()
    entries = [entry for entry in every if all(word.lower() in _told(entry) for word in args.word)]
    if not entries:
        help = did_you_mean(args.word[0], [entry.name for entry in every]) or "`netdsl zoo` lists all"
        misuse("E501", f"no net of the zoo is told of by `{' '.join(args.word)}`", help)
    if args.format == "json":
        print_json({"version": VERSION, "nets": [entry.json() for entry in entries]})
    else:
        print(_table(entries, args.exact))
    return 0


def _told(entry: Entry) -> str:
    """Return what is known about a net, for looking a word up in it."""
    return " ".join((*entry.line(), entry.spec, entry.net)).lower()


def _table(entries: list[Entry], exact: bool) -> str:
    from netdsl.cost.table import human
    from netdsl.sheet import Sheet

    rows = []
    for entry in entries:
        name, *counts, inputs, about = entry.line()
        if not exact:
            counts = ["" if n is None else human(n) for n in (entry.params, entry.macs)]
        rows.append((name, *counts, inputs, about))
    count = f"{len(entries)} net{'s' if len(entries) > 1 else ''}; params, and MACs of one sample"
    return Sheet(("net", "params", "MACs", "input", "about"), rows, left=(0, 3, 4), notes=[count]).text(
        look()
    )
