"""netdsl compile: write the source of a module."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netdsl.cli.common import misuse, network, reason, spec_arguments, write

HELP = "write the source of a module"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    sub.add_argument("--backend", default="torch", metavar="NAME", help="for which framework (torch)")
    sub.add_argument(
        "--scan", action="store_true", help="stack equal blocks in a row, which XLA compiles once (flax)"
    )
    sub.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")
    sub.add_argument("--check", action="store_true", help="only say whether FILE is what would be written")


def run(args: argparse.Namespace) -> int:
    """Emit a module, or compare it with a file."""
    if args.check and args.output is None:
        misuse("E510", "--check needs the file to look at", "netdsl compile SPEC -o FILE --check")
    text = network(args).emit(f"{args.backend}:scan" if args.scan else args.backend)
    if args.check:
        return _compare(Path(args.output), text)
    if args.output in (None, "-"):
        sys.stdout.write(text)
        return 0
    try:
        write(Path(args.output), text)
    except OSError as error:
        misuse("E510", f"cannot write {args.output}: {reason(error)}")
    return 0


def _compare(file: Path, text: str) -> int:
    try:
        same = file.read_bytes() == text.encode()
    except FileNotFoundError:
        misuse("E511", f"{file} does not exist", "leave out --check to write it")
    except OSError as error:
        misuse("E510", f"cannot read {file}: {reason(error)}")
    if not same:
        misuse("E511", f"{file} is not what would be written", "leave out --check to write it anew")
    return 0
