"""netdsl lsp: the language server, which an editor starts."""

from __future__ import annotations

import argparse
from pathlib import Path

from netdsl.cli.common import misuse

HELP = "serve editors: errors, costs, completion and more while a spec is written"
EXAMPLES = (
    "netdsl lsp",
    "netdsl lsp --tcp 2087 --log netdsl.log",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument(
        "--stdio", action="store_true", help="on standard input and output, as if nothing is given"
    )
    sub.add_argument("--tcp", type=int, metavar="PORT", help="on a port of this machine")
    sub.add_argument("--log", type=Path, metavar="FILE", help="write what happens to FILE")


def run(args: argparse.Namespace) -> int:
    """Serve until the editor ends it."""
    try:
        from netdsl.lsp.server import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol", "cattrs", "attrs"):
            raise
        misuse(
            "E553",
            f"the language server needs the package {(error.name or '').partition('.')[0]}",
            'pip install "netdsl[lsp]"',
        )
    return serve(args.tcp, args.log)
