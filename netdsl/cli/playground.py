"""netdsl playground: the compiler on a page in the browser, served on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from netdsl import reading
from netdsl.cli.common import misuse, note

HELP = "open a page in the browser that shows costs, code and findings while a spec is written"
EXAMPLES = (
    "netdsl playground",
    "netdsl playground --dir ~/netdsl/playground/dist --port 8080 --no-browser",
)
PORT = 8765


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    help = "the folder that `make playground` has built (that of the checkout that netdsl runs from)"
    sub.add_argument("--dir", metavar="DIR", type=Path, help=help)
    help = f"of this machine ({PORT}); 0 for any that is free"
    sub.add_argument("--port", type=_port, default=PORT, metavar="PORT", help=help)
    help = "whom it serves (127.0.0.1: nobody but this machine)"
    sub.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=help)
    sub.add_argument("--no-browser", action="store_true", help="only serve, and open no browser")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to 65535, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from netdsl.ide.serve import Server, built

    folder = args.dir or built()
    if not (folder / "index.html").is_file():
        help = (
            "`make playground` in a checkout of netdsl builds it, by npm and pip; then --dir playground/dist"
        )
        misuse("E554", f"there is no playground in {folder}", help)
    try:
        server = Server(folder, args.host, args.port)
    except OSError as error:
        why = reading.reason(error)
        misuse("E554", f"cannot serve {args.host}:{args.port}: {why}", "`--port 0` takes one that is free")
    with server:
        note(f"serving {server.address}; Ctrl-C ends it")
        if not args.no_browser:
            import webbrowser

            webbrowser.open(server.address)
        server.serve_forever()
    return 0
