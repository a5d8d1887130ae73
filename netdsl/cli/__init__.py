"""The command `netdsl`: one module per command; what a command does is in netdsl.api and what that calls.

Exit status: 0 fine, 1 something is wrong with a spec or a check failed, 2 the command was misused, or the system
refused what it needs; 130 it was interrupted, 141 nobody reads on.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn, TextIO

from netdsl import __version__, reading
from netdsl.cli import common
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean, internal

COMMANDS = (
    "compile",
    "check",
    "lint",
    "fmt",
    "cost",
    "devices",
    "calibrate",
    "split",
    "diff",
    "fit",
    "space",
    "search",
    "compare",
    "plot",
    "graph",
    "report",
    "zoo",
    "explain",
    "verify",
    "weights",
    "export",
    "lift",
    "lsp",
    "playground",
    "new",
    "completion",
    "help",
)
"""Each is a module here: HELP, EXAMPLES, `add(parser)`, `run(arguments)`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    _open_streams()
    try:
        status = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        _settle(sys.stdout)  # whoever read has seen enough
        status = 141
    except KeyboardInterrupt:
        status = 130
    except OSError as error:
        status = _refused(error)
    except MemoryError:
        status = _say(Diagnostic("E590", "there is not enough memory"))
    except Exception as error:
        status = _say(internal(error))
    _settle(sys.stderr)
    return status


def _open_streams() -> None:
    """Give streams to a process that was started with closed ones, and numbers that no file is to get."""
    for name, flags in (("stdin", os.O_WRONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, flags)
            if name != "stdin":  # what is written to standard output is missed: writing fails, as it would
                setattr(sys, name, open(handle, "w", encoding="utf-8"))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of a spec may have any letters


def _settle(stream: TextIO) -> None:
    """Write what is left, or drop it: the interpreter would complain when it ends."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _refused(error: OSError) -> int:
    """Say what the system has refused; return the exit status."""
    _settle(sys.stdout)
    what = "" if error.filename is None else f"{error.filename}: "
    if not what and error.errno in (
        errno.EBADF,
        errno.EFBIG,
        errno.EIO,
        errno.ENOSPC,
    ):  # of a file it has the name
        what = "cannot write standard output: "
    return _say(Diagnostic("E590", f"{what}{reading.reason(error)}"))


def _say(diagnostic: Diagnostic) -> int:
    """Report, if anybody can be told; return the exit status."""
    try:
        return common.report([diagnostic])
    except (OSError, MemoryError):
        return common.status_of([diagnostic])


def _run(argv: Sequence[str] | None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    common.output.choose("auto", False)
    try:
        top = parser(argv)
        if argv and all(word.startswith("-") for word in argv):
            top.check(argv)
        args, unknown = top.parse_known_args(argv)
        command: Parser = args.parser
        if unknown and isinstance(getattr(args, "spec", None), list) and not any(map(_dashed, unknown)):
            args.spec += unknown  # SPECs may stand between options, which argparse does not take
        elif unknown:
            command.refuse(unknown[0])
        common.output.choose(args.color, args.quiet)
        run: Callable[[argparse.Namespace], int] = args.run
        if getattr(args, "watch", False):
            from netdsl.cli.watch import watch

            return watch(run, args)
        return run(args)
    except SystemExit as stop:  # after --help or --version
        return int(stop.code or 0)
    except NetError as error:
        return common.report(error.diagnostics)


def _dashed(word: str) -> bool:
    return word.startswith("-") and word != "-"


class Parser(argparse.ArgumentParser):
    """A parser of arguments that reports what is wrong as everything else does: in a line, with help."""

    example = ""
    """A command line that is right."""

    def error(self, message: str) -> NoReturn:
        """Raise NetError with argparse's message, in our words where it lists what a word may be."""
        wrong = re.fullmatch(
            r"argument (.+): invalid choice: '(.*)' \(choose from (.+)\)", message, re.DOTALL
        )
        if wrong:
            name, given, choices = wrong.groups()
            known = re.findall(r"[\w.-]+", choices)
            common.misuse("E500", f"{self.prog}: {name} cannot be `{given}`", _choice(name, given, known))
        message = message.removeprefix("argument ")
        help = f"`{self.prog} --help` says what it takes"
        if self.example and "are required" in message:
            help = f"for example {self.example}; {help}"
        common.misuse("E500", f"{self.prog}: {message}", help)

    def check(self, words: Sequence[str]) -> None:
        """Refuse the first option that there is not."""
        for word in words:
            if word.partition("=")[0] not in self._option_string_actions:
                self.refuse(word)

    def refuse(self, word: str) -> NoReturn:
        """Raise NetError for an argument that the command does not have."""
        options = [*self._option_string_actions]
        help = did_you_mean(word.partition("=")[0], options) if word.startswith("-") else ""
        message = f"{self.prog}: it takes no `{word}`"
        common.misuse("E500", message, help or f"`{self.prog} --help` says what it takes")


def _choice(name: str, given: str, known: Sequence[str]) -> str:
    """Return what a word may have been meant to be."""
    if name == "COMMAND":
        from netdsl import api

        if given.endswith(".net") or api.in_zoo(given):
            return f"a command stands before it, such as netdsl cost {given}"
    if name == "COUNT":
        from netdsl.quantities import meant

        return meant(given, known)
    return did_you_mean(given, known) or f"it takes {', '.join(known)}"


def parser(argv: Sequence[str] = ()) -> Parser:
    """Return the parser of the command that the arguments begin with, or of all commands."""
    top = Parser(
        prog="netdsl",
        description="A declarative language for neural-network architectures, and its compiler.",
    )
    top.add_argument("-V", "--version", action="version", version=f"netdsl {__version__}")
    _common(top, "auto", False)
    asked = next((word for word in argv if word in COMMANDS), "")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        if asked and asked != name:
            continue  # a command needs no other's module
        module = import_module(f"netdsl.cli.{name}")
        help: str = module.HELP
        added = commands.add_parser(
            name, help=help, description=f"{help[0].upper()}{help[1:]}.", formatter_class=common.Help
        )
        module.add(added)
        examples = "\n  ".join(("examples:" if len(module.EXAMPLES) > 1 else "example:", *module.EXAMPLES))
        added.example = module.EXAMPLES[0]
        added.epilog = f"{added.epilog}\n\n{examples}" if added.epilog else examples
        _common(added, argparse.SUPPRESS, argparse.SUPPRESS)
        added.set_defaults(run=module.run, parser=added)
    return top


def _common(parser: argparse.ArgumentParser, color: str, quiet: bool | str) -> None:
    """Add the options that stand before a command or behind it, with what they are if they are not given."""
    help = "as NO_COLOR and FORCE_COLOR say, or on a terminal (auto)"
    parser.add_argument("--color", choices=("auto", "always", "never"), default=color, help=help)
    help = "say only what is wrong, or what is asked for"
    parser.add_argument("-q", "--quiet", action="store_true", default=quiet, help=help)


if __name__ == "__main__":
    sys.exit(main())
