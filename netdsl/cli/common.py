"""What the commands share: naming a net, reporting what is wrong, writing files."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from netdsl.elaborate.values import FileScope
    from netdsl.network import Network

VERSION = 1
"""Of the JSON forms of check and zoo, docs/schema/."""


def report(diagnostics: Sequence[Diagnostic]) -> int:
    """Print diagnostics to stderr; return the exit status they call for."""
    from netdsl.diagnostics.render import render_text, summary

    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for diagnostic in diagnostics:
        print(render_text(diagnostic, color), end="\n\n", file=sys.stderr)
    print(summary(diagnostics), file=sys.stderr)
    return status_of(diagnostics)


def status_of(diagnostics: Iterable[Diagnostic]) -> int:
    """Return 0 for none, 2 if all say that the command was misused, else 1."""
    from netdsl.codes import CODES

    return min((CODES[d.code].status if d.code in CODES else 1 for d in diagnostics), default=0)


def spec_arguments(sub: argparse.ArgumentParser, many: bool = False) -> None:
    """Add what names a net and changes it."""
    what = "a file, FILE:NAME for one of its nets, a name of the zoo, or - for standard input"
    sub.add_argument("spec", metavar="SPEC", nargs="+" if many else None, help=what)
    net_options(sub)


def net_options(sub: argparse.ArgumentParser) -> None:
    """Add the options that change the net that is named."""
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter, such as classes=10; repeatable",
    )
    sub.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]CxHxW",
        help="an input's shape, such as 3x96x96; repeatable",
    )
    sub.add_argument(
        "--path", action="append", default=[], metavar="DIR", help="look for imports there too; repeatable"
    )
    sub.add_argument(
        "--max-nodes", type=positive, default=1_000_000, metavar="N", help="the most ops of a net (1000000)"
    )


def positive(text: str) -> int:
    """Return a count from 1; argparse reports what is none."""
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:19]) < 2**63 or len(text) > 19:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def size(text: str) -> int:
    """Return a number of bytes, as a spec has it: 24GB, 8GiB; argparse reports what is none."""
    match = re.fullmatch(r"(\d{1,9})(\.\d{1,9})?\s*([KMGT]i?)?B?", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be a number of bytes, such as 24GB, got {text!r}")
    whole, fraction, scale = match.groups()
    power = " KMGT".index((scale or " ")[0])
    factor = 1024**power if scale and scale.endswith("i") else 1000**power
    digits = (fraction or ".")[1:]
    number: int = int(whole + digits) * factor // 10 ** len(digits)
    return number


def settings(args: argparse.Namespace) -> dict[str, str]:
    """Return what --set gives; the values are texts, which the net's parameters know how to read."""
    settings = {}
    for text in args.set:
        name, equals, value = text.partition("=")
        if not name or not equals:
            misuse("E504", f"--set takes NAME=VALUE, got {text}", "for example --set classes=10")
        settings[name] = value
    return settings


def inputs(args: argparse.Namespace) -> dict[str, list[int]]:
    """Return what --input gives."""
    inputs = {}
    for text in args.input:
        name, _, shape = text.rpartition("=")
        sizes = shape.split("x")
        if not all(size.isascii() and size.isdecimal() and len(size) < 16 for size in sizes):
            misuse("E505", f"--input takes CxHxW or NAME=CxHxW, got {text}", "for example --input 3x96x96")
        inputs[name] = [int(size) for size in sizes]
    return inputs


def misuse(code: str, message: str, help: str = "") -> NoReturn:
    """Raise the error of a command that was misused."""
    raise NetError([Diagnostic(code, message, help=help)])


def files(spec: str, args: argparse.Namespace) -> tuple[FileScope, str]:
    """Return the file of a SPEC, and the net that it names."""
    from netdsl import api

    target, _, name = spec.partition(":")
    if target == "-":
        return api.read_text(standard_input()), name
    return api.locate(spec, args.path)


def standard_input() -> str:
    """Return what standard input holds; NetError if it is no text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        misuse("E501", f"<stdin> is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}")


def network(args: argparse.Namespace, spec: str = "") -> Network:
    """Return the net that the arguments ask for, or one of several specs; settings and inputs are for all."""
    from netdsl import api
    from netdsl.network import Network

    file, name = files(spec or args.spec, args)
    return Network(api.recipe(file, name, settings(args), inputs(args), args.max_nodes))


def networks(args: argparse.Namespace) -> tuple[Network, ...]:
    """Return the nets that the arguments ask for: all of a file, or one."""
    from netdsl import api
    from netdsl.network import Network

    file, name = files(args.spec, args)
    name = name or api.alone(file, args.spec)
    return tuple(map(Network, api.recipes(file, name, settings(args), inputs(args), args.max_nodes)))


def reason(error: OSError) -> str:
    """Return what the system says, as the end of a message."""
    return (error.strerror or str(error)).lower()


def write(file: Path, text: str) -> None:
    """Write a file, as a whole or not at all."""
    write_all({file: text})


def write_all(texts: Mapping[Path, str]) -> None:
    """Write files; where one cannot be written, none is."""
    with ExitStack() as stack:
        streams = [(stack.enter_context(replacing(file)), text) for file, text in texts.items()]
        for stream, text in streams:
            stream.write(text.encode())
            stream.flush()


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """Give what to write to, so that a reader sees the old file or the new one, never a part; mode and links stay."""
    target = Path(os.path.realpath(file))
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    if target.exists() and not target.is_file():  # a terminal, /dev/null, a pipe: there is nothing to replace
        with target.open("wb") as stream:
            yield stream
        return
    beside = target.with_name(f".{target.name[:200]}.{os.getpid()}")
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with open(handle, "wb") as stream:
            yield stream
        if mode is not None:
            beside.chmod(mode)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    import json

    print(json.dumps(value, indent=2))
