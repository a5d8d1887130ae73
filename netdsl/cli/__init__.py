"""The command `netdsl`: one module per command; what a command does is in netdsl.api and what that calls.

Exit status: 0 fine, 1 something is wrong with a spec or a check failed, 2 the command was misused.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from netdsl import __version__
from netdsl.cli import common
from netdsl.diagnostics import NetError

COMMANDS = (
    "compile",
    "check",
    "lint",
    "fmt",
    "cost",
    "devices",
    "calibrate",
    "diff",
    "fit",
    "compare",
    "plot",
    "graph",
    "report",
    "zoo",
    "explain",
    "verify",
    "weights",
    "completion",
)
"""Each is a module here: HELP, `add(parser)`, `run(arguments)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    collecting = gc.get_threshold()
    gc.set_threshold(2_000_000, 50, 100)  # nearly all that is made lives until the end
    atexit.register(gc.freeze)  # where the interpreter would look through it once more
    try:
        status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read has seen enough; the interpreter would complain when it flushes
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 141
    except KeyboardInterrupt:
        status = 130
    finally:
        gc.set_threshold(*collecting)
    return status


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    try:
        args = parser(argv).parse_args(argv)
    except SystemExit as stop:  # after --help, --version or a wrong argument
        return int(stop.code or 0)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except NetError as error:
        return common.report(error.diagnostics)


def parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Return the parser of the command that the arguments begin with, or of all commands."""
    top = argparse.ArgumentParser(
        prog="netdsl",
        description="A declarative language for neural-network architectures, and its compiler.",
    )
    top.add_argument("--version", action="version", version=f"netdsl {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if argv and argv[0] in COMMANDS and argv[0] != name:
            continue  # a command needs no other's module
        module = import_module(f"netdsl.cli.{name}")
        help: str = module.HELP
        added = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        module.add(added)
        added.set_defaults(run=module.run)
    return top


if __name__ == "__main__":
    sys.exit(main())
