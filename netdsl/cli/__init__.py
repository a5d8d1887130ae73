"""The command `netdsl`: one module per command; what a command does is in netdsl.api and what that calls.

Exit status: 0 fine, 1 something is wrong with a spec or a check failed, 2 the command was misused.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from netdsl import __version__
from netdsl.cli import common
from netdsl.diagnostics import NetError, did_you_mean

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
        args, unknown = parser(argv).parse_known_args(argv)
        command: Parser = args.parser
        if unknown:
            command.refuse(unknown[0])
        run: Callable[[argparse.Namespace], int] = args.run
        return run(args)
    except SystemExit as stop:  # after --help or --version
        return int(stop.code or 0)
    except NetError as error:
        return common.report(error.diagnostics)


class Parser(argparse.ArgumentParser):
    """A parser of arguments that reports what is wrong as everything else does: in a line, with help."""

    def error(self, message: str) -> NoReturn:
        """Raise NetError with argparse's message, in our words where it lists what a word may be."""
        wrong = re.fullmatch(
            r"argument (.+): invalid choice: '(.*)' \(choose from (.+)\)", message, re.DOTALL
        )
        if wrong:
            name, given, choices = wrong.groups()
            known = re.findall(r"[\w.-]+", choices)
            help = did_you_mean(given, known) or f"it takes {', '.join(known)}"
            common.misuse("E500", f"{self.prog}: {name} cannot be `{given}`", help)
        message = message.removeprefix("argument ")
        common.misuse("E500", f"{self.prog}: {message}", f"`{self.prog} --help` says what it takes")

    def refuse(self, word: str) -> NoReturn:
        """Raise NetError for an argument that the command does not have."""
        options = re.findall(r"--?\w[\w-]*", self.format_usage())
        help = did_you_mean(word.partition("=")[0], options) if word.startswith("-") else ""
        message = f"{self.prog}: it takes no `{word}`"
        common.misuse("E500", message, help or f"`{self.prog} --help` says what it takes")


def parser(argv: Sequence[str] = ()) -> Parser:
    """Return the parser of the command that the arguments begin with, or of all commands."""
    top = Parser(
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
        added.set_defaults(run=module.run, parser=added)
    return top


if __name__ == "__main__":
    sys.exit(main())
