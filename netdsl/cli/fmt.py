"""netdsl fmt: rewrite specs in their canonical form."""

from __future__ import annotations

import argparse
import os
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.cli.common import below, misuse, note, put, report, rewrite, standard_input
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from netdsl.source import Source

HELP = "rewrite specs in their canonical form"
EXAMPLES = (
    "netdsl fmt nets/",
    "netdsl fmt --check my_net.net",
)
_STDIN = "<stdin>"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    what = (
        "a file, a folder with .net files in it, or - for standard input, which is written to standard output"
    )
    sub.add_argument("spec", metavar="SPEC", nargs="+", help=what)
    sub.add_argument("--check", action="store_true", help="write nothing, list what would change")
    sub.add_argument("--diff", action="store_true", help="write nothing, print what would change")


def run(args: argparse.Namespace) -> int:
    """Format every file; what is wrong with one does not keep the others from it."""
    wrong: list[Diagnostic] = []
    changed = False
    for spec in dict.fromkeys(args.spec):
        try:
            files = below(spec) if spec != "-" and os.path.isdir(spec) else [spec]
        except NetError as error:
            wrong += error.diagnostics
            continue
        for file in files:
            try:
                changed |= _format(file, args)
            except NetError as error:
                wrong += error.diagnostics
    if wrong:
        return report(wrong)
    return int(changed and (args.check or args.diff))


def _format(file: str, args: argparse.Namespace) -> bool:
    """Format one file, or show what would change; tell whether anything does."""
    from netdsl.source import Source
    from netdsl.syntax.format import format_text
    from netdsl.syntax.read import read

    if file != "-" and not os.path.exists(file):
        from netdsl import api  # only errors need it

        packaged = "it takes files, and none that is packaged" if api.in_zoo(file) else ""
        if help := packaged or api.beside(file):
            misuse("E501", f"there is no file {file}", help)
    source = Source(_STDIN, standard_input()) if file == "-" else read(Path(file))
    text = format_text(source)
    changed = text != source.text
    if args.diff:
        put(_diff(source, text))
    elif args.check:
        if changed:
            print(source.name)
    elif file == "-":
        put(text)
    elif changed:
        rewrite(Path(file), source.text, text)
        note(f"formatted {file}")
    return changed


def _diff(source: Source, text: str) -> str:
    """Return a unified diff; what does not end with a newline is said to, as diff does."""
    from difflib import unified_diff

    before, after = (StringIO(x, newline="\n").readlines() for x in (source.text, text))
    lines = unified_diff(before, after, source.name, source.name)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
