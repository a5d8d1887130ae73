"""netdsl compile: write the source of a module."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from netdsl import reading
from netdsl.cli import common
from netdsl.cli.common import misuse, networks, note, put, read_for, spec_arguments, write_all

HELP = "write the source of a module, of all nets of a file or of one"
EXAMPLES = (
    "netdsl compile resnet50 -o resnet50.py",
    "netdsl compile my_net.net --backend flax -o my_net.py --set classes=10",
)


class Help(common.Help):
    """Help that lists the options of the backends that are installed."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.dest != "backend":
            return super()._get_help_string(action)
        from netdsl.backend import names, options_of  # found only when somebody asks

        known = [name for name in names() if ":" not in name]
        said = [f"{name}:{option} {what}" for name in known for option, what in options_of(name).items()]
        return "; ".join([str(action.help), *said]).replace("%", "%%")


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.formatter_class = Help
    spec_arguments(sub)
    help = "for which framework (torch), with options after a colon, commas between"
    sub.add_argument("--backend", default="torch", metavar="NAME[:OPTION,...]", help=help)
    help = "write to FILE instead of standard output; if it is a folder, or for several files, into it"
    sub.add_argument("-o", "--output", metavar="FILE", help=help)
    sub.add_argument("--check", action="store_true", help="only say whether FILE is what would be written")


def run(args: argparse.Namespace) -> int:
    """Emit a module, or compare it with a file."""
    from netdsl.backend import emit_family

    if args.check and args.output is None:
        misuse("E510", "--check needs the file to look at", "netdsl compile SPEC -o FILE --check")
    nets = networks(args)
    texts = emit_family(nets, args.backend)
    if args.output in (None, "-") and not args.check:
        if len(texts) > 1:
            misuse("E510", f"{' and '.join(texts)} need a folder to be written to", "give one with -o DIR")
        put("".join(texts.values()))
        return 0
    files = _places(args.output, texts)
    if args.check:
        for file, text in files.items():
            _compare(file, text)
        return 0
    try:
        if Path(args.output) not in files:
            Path(args.output).mkdir(exist_ok=True)
        reads = read_for(nets)
        for file in files:
            _check_spec(file, reads)
        write_all(files, reads)
    except OSError as error:
        misuse("E510", f"cannot write {args.output}: {reading.reason(error)}")
    note(f"wrote {', '.join(map(str, files))}: {', '.join(net.name for net in nets)} for {args.backend}")
    return 0


def _check_spec(file: Path, reads: Iterable[Path]) -> None:
    """Refuse to replace a spec; of those that were read for it says so who writes."""
    if file.suffix == ".net" and os.path.isfile(file):
        if not any(os.path.exists(read) and os.path.samefile(read, file) for read in reads):
            misuse("E510", f"{file} is a spec, which no module replaces", "give a name in .py")


def _places(output: str, texts: Mapping[str, str]) -> dict[Path, str]:
    """Return where each text goes: into a folder, or the only one to the file that was asked for."""
    place = Path(output)
    if len(texts) == 1 and not os.path.isdir(place) and not output.endswith(("/", os.sep)):
        return dict(zip([place], texts.values(), strict=True))
    return {place / name: text for name, text in texts.items()}


def _compare(file: Path, text: str) -> None:
    """Say that a file is not what would be written, if so."""
    try:
        held = text.encode()
        with reading.open_input(file) as stream:
            same = stream.read(len(held) + 1) == held
    except reading.Unreadable as error:
        if not os.path.exists(file):
            misuse("E511", f"{file} does not exist", "leave out --check to write it")
        misuse("E510", f"cannot read {file}: {error}")
    if not same:
        misuse("E511", f"{file} is not what would be written", "leave out --check to write it anew")
