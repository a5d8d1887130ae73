"""What the commands share: naming a net, reporting what is wrong, writing files."""

from __future__ import annotations

import argparse
import codecs
import errno
import os
import re
import stat
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn, TextIO

from netdsl import data, reading
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir.types import MAX_NODES

if TYPE_CHECKING:
    from netdsl.elaborate.build import Recipe
    from netdsl.elaborate.values import FileScope
    from netdsl.network import Network
    from netdsl.sheet import Look
    from netdsl.source import Source
    from netdsl.space.overview import Explored
    from netdsl.space.space import Space

VERSION = 1
"""Of the JSON forms of check and zoo, docs/schema/."""


class Help(argparse.HelpFormatter):
    """Help in which lines that are broken stay so, as those of examples are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Output:
    """What the options that all commands have say of this run."""

    def __init__(self) -> None:
        """Start with what they are if they are not given."""
        self.color, self.quiet = "auto", False

    def choose(self, color: str, quiet: bool) -> None:
        """Take what is given."""
        self.color, self.quiet = color, quiet

    def colored(self, stream: TextIO) -> bool:
        """Tell whether to write in colour: the option says so, else NO_COLOR, else FORCE_COLOR, else a terminal."""
        if self.color != "auto" or os.environ.get("NO_COLOR"):
            return self.color == "always"
        return os.environ.get("FORCE_COLOR", "0") not in ("", "0") or stream.isatty()


output = Output()


def note(text: str) -> None:
    """Say on stderr what is good to know, unless `--quiet`."""
    if not output.quiet:
        print(text, file=sys.stderr)


def report(diagnostics: Sequence[Diagnostic]) -> int:
    """Print diagnostics to stderr; return the exit status they call for."""
    from netdsl.diagnostics.render import render_text, summary

    color, columns = output.colored(sys.stderr), width(sys.stderr)
    for diagnostic in diagnostics:
        print(render_text(diagnostic, color, columns), end="\n\n", file=sys.stderr)
    print(summary(diagnostics), file=sys.stderr)
    return status_of(diagnostics)


def status_of(diagnostics: Iterable[Diagnostic]) -> int:
    """Return 0 for none, 2 if all say that the command was misused, else 1."""
    from netdsl.codes import CODES

    return min((CODES[d.code].status if d.code in CODES else 1 for d in diagnostics), default=0)


def width(stream: TextIO) -> int:
    """Return the columns of a terminal, which `COLUMNS` may say; 0 of a file or a pipe, where lines have no end."""
    if not stream.isatty():
        return 0
    if columns := _columns():
        return columns
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


def _columns() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if re.fullmatch(r"[1-9][0-9]{0,5}", columns) else 0


def look() -> Look:
    """Return what standard output is: its columns, and whether it has colour and characters to draw with.

    In a file or a pipe a table has as many columns as `COLUMNS` says, or `sheet.WIDTH`.
    """
    from netdsl.sheet import WIDTH, Look

    try:
        "\u2588\u258f".encode(sys.stdout.encoding or "ascii")
        blocks = True
    except UnicodeEncodeError:
        blocks = False
    return Look(width(sys.stdout) or _columns() or WIDTH, output.colored(sys.stdout), blocks)


def listed() -> Look | None:
    """Return the look of a list; None in a file or a pipe of no said width, where each entry is a line."""
    return look() if width(sys.stdout) or _columns() else None


def prose(text: str, page: bool = False) -> None:
    """Print sentences, a line each, or a page of paragraphs, in lines that fit a terminal or `COLUMNS`."""
    where = look().replace(width=width(sys.stdout) or _columns())
    print(where.fitted(text) if page else "\n".join(map(where.hung, text.split("\n"))))


def spec_arguments(
    sub: argparse.ArgumentParser,
    many: bool = False,
    here: bool = False,
    folders: bool = False,
    revisions: bool = False,
) -> None:
    """Add what names a net and changes it; with `here` this folder if nothing does."""
    what = "a file, FILE:NAME for one of its nets, a name of the zoo, or - for standard input"
    if revisions:
        what += "; or REVISION:FILE of git, such as HEAD:a.net"
    if here or folders:
        what += "; or a folder, for all in it" + (" (.)" if here else "")
    nargs = "*" if here else "+" if many else None
    sub.add_argument("spec", metavar="SPEC", nargs=nargs, help=what)
    net_options(sub)


def watch_option(sub: argparse.ArgumentParser) -> None:
    """Add what `cli.watch` does."""
    sub.add_argument(
        "--watch", action="store_true", help="again whenever a file that it reads changes, comes or goes"
    )


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
        "--max-nodes",
        type=positive,
        default=MAX_NODES,
        metavar="N",
        help=f"the most ops of a net ({MAX_NODES})",
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


def put(text: str) -> None:
    """Write a text to standard output as the file that it would be: in UTF-8, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())


def files(spec: str, args: argparse.Namespace) -> tuple[FileScope, str]:
    """Return the file of a SPEC, and the net that it names."""
    from netdsl import api

    target, _, name = spec.partition(":")
    if target == "-":
        return api.read_text(standard_input()), name
    file, name = api.locate(spec, args.path)
    return file, name or api.alone(file, spec)


def expanded(spec: str) -> list[str]:
    """Return the SPECs that one stands for: the .net files in a folder, and in those within it that are not hidden.

    A word that is a name of the zoo is no folder, as it is no file: `./resnet` is.

    Raises:
        NetError: There is no such file in the folder.
    """
    from netdsl import api

    path = spec.endswith(".net") or not {"/", os.sep}.isdisjoint(spec) or spec in (os.curdir, os.pardir)
    if not os.path.isdir(spec) or (not path and api.in_zoo(spec)):
        return [spec]
    return below(spec)


def below(folder: str) -> list[str]:
    """Return the .net files in a folder and in those within it that are not hidden; NetError if there is none."""
    found = []
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(base, name) for name in names if name.endswith(".net")]
    if not found:
        misuse("E501", f"there is no .net file in {folder}")
    return sorted(found)


def nets_of(
    specs: Iterable[str],
    args: argparse.Namespace,
    wrong: list[Diagnostic],
    spaces: list[Recipe] | None = None,
) -> Iterator[Network]:
    """Yield the nets of SPECs and folders, all of a file or the one that is named; add what is wrong with others.

    Search spaces are added to `spaces`. If that is not given they are left out, unless a file has nothing else.
    Notes say what is left out, and which files have no nets.
    """
    from netdsl import api
    from netdsl.elaborate.build import is_open
    from netdsl.network import Network
    from netdsl.syntax.tokens import MAX_ERRORS

    for spec in specs:
        try:
            named = expanded(spec)
        except NetError as error:
            add_once(wrong, error.diagnostics)
            continue
        for one in named:
            try:
                file, name = files(one, args)
                given = settings(args)
                if not name and (left := left_out(file, given)):
                    note(f"note: {left}")
                if not name and not api.instances(file, given):
                    continue
                recipes = api.recipes(file, name, given, inputs(args), args.max_nodes)
            except NetError as error:
                add_once(wrong, error.diagnostics)
                continue
            begin = len(wrong)
            found: list[tuple[Recipe, NetError]] = []
            for recipe in recipes:
                if len(wrong) - begin >= MAX_ERRORS:
                    what = f"{one}: after {MAX_ERRORS} errors the nets from {called(recipe)} on are not looked at"
                    wrong.append(Diagnostic("", what, severity="info"))
                    break
                try:
                    yield Network(recipe)
                except NetError as error:
                    if is_open(error) and (spaces is not None or len(recipes) > 1):
                        found.append((recipe, error))
                    else:
                        add_once(wrong, error.diagnostics)
            if spaces is not None:
                spaces += [recipe for recipe, _ in found]
            elif len(found) == len(recipes):
                add_once(wrong, [one for _, error in found for one in error.diagnostics])
            else:
                note_spaces([recipe for recipe, _ in found])


def add_once(wrong: list[Diagnostic], more: Iterable[Diagnostic]) -> None:
    """Add diagnostics to those that there are, those that several nets share once."""
    seen = {(found.code, found.message, found.span) for found in wrong}
    wrong.extend(found for found in more if (found.code, found.message, found.span) not in seen)


def left_out(file: FileScope, given: Container[str]) -> str:
    """Return a line that says which nets of a file are not looked at, and why; "" if all are."""
    from netdsl import api
    from netdsl.diagnostics.render import printable

    name = printable(file.source.name)
    if not file.nets and not file.variants:
        return f"{name} declares no net"
    unmade = api.unmade(file, given)
    if not unmade:
        return ""
    needs = ", ".join(f"{printable(net)} needs {', '.join(params)}" for net, params in unmade.items())
    first = next(iter(unmade.values()))
    none = "" if api.instances(file, given) else " has no net that can be made"
    return f"{name}{none}: {needs}, and no variant gives it: {' '.join(f'--set {one}=...' for one in first)}"


def standard_input() -> str:
    """Return what standard input holds; NetError if it is no text, or too long."""
    try:
        return reading.standard_input()
    except reading.Unreadable as error:
        misuse("E501", f"cannot read <stdin>: {error}")


def network(args: argparse.Namespace, spec: str = "") -> Network:
    """Return the net that the arguments ask for, or one of several specs; settings and inputs are for all."""
    from netdsl import api
    from netdsl.network import Network

    file, name = files(spec or args.spec, args)
    return Network(api.recipe(file, name, settings(args), inputs(args), args.max_nodes))


def network_or_space(args: argparse.Namespace, spec: str = "") -> Network | Explored:
    """Return the net that the arguments ask for, or one of several specs; a space, if it leaves decisions open."""
    from netdsl import api
    from netdsl.elaborate.build import is_open
    from netdsl.network import Network

    file, name = files(spec or args.spec, args)
    recipe = api.recipe(file, name, settings(args), inputs(args), args.max_nodes)
    try:
        return Network(recipe)
    except NetError as error:
        if not is_open(error):
            raise
    from netdsl.space.overview import Explored
    from netdsl.space.space import Space

    return Explored(Space(recipe))


def networks(args: argparse.Namespace) -> tuple[Network, ...]:
    """Return the nets that the arguments ask for: all of a file, or one."""
    from netdsl import api

    file, name = files(args.spec, args)
    return tuple(made(api.recipes(file, name, settings(args), inputs(args), args.max_nodes)))


def made(recipes: Iterable[Recipe]) -> Iterator[Network]:
    """Yield the nets of a file. Its search spaces are left out, which a note says, unless it has nothing else."""
    from netdsl.elaborate.build import is_open
    from netdsl.network import Network

    any_made = False
    spaces: list[tuple[Recipe, NetError]] = []
    for recipe in recipes:
        try:
            net = Network(recipe)
        except NetError as error:
            if not is_open(error):
                raise
            spaces.append((recipe, error))
        else:
            any_made = True
            yield net
    if spaces and not any_made:
        raise spaces[0][1]
    note_spaces([recipe for recipe, _ in spaces])


def note_spaces(spaces: Sequence[Recipe]) -> None:
    """Say which nets of a file are left out, since they are search spaces."""
    from netdsl.diagnostics.render import printable

    for recipe in spaces:
        name, file = called(recipe), declared(recipe).source.name
        text = f"{name} is a search space, and left out: netdsl space {file}:{name}"
        note(f"note: {printable(text)}")


def called(recipe: Recipe) -> str:
    """Return what a net is asked for by."""
    return recipe.variant.name if recipe.variant is not None else recipe.net.name.lower()


def paths(file: FileScope) -> list[Path]:
    """Return the files that a file was read from, itself and its imports: what no result may replace."""
    return [source.path or data.folder("specs") / source.name for source in file.sources()]


def declared(recipe: Recipe) -> FileScope:
    """Return the file that declares a net."""
    return (recipe.variant or recipe.net).file


def source_of(net: Network) -> Source:
    """Return the text of the file that declares a net."""
    return declared(net.recipe).source


def apart(recipe: Recipe, specs: Sequence[str]) -> str:
    """Return a net's name, as `FILE:NAME` where it is of one of several files of the user's."""
    source, name = declared(recipe).source, called(recipe)
    several = len(specs) > 1 or os.path.isdir(specs[0])
    return f"{source.name}:{name}" if several and source.path is not None else name


def read_for(nets: Iterable[Network | Space]) -> list[Path]:
    """Return the files that nets and spaces were read from."""
    files = {id(file): file for net in nets for file in [declared(net.recipe)]}
    return [path for file in files.values() for path in paths(file)]


def write(file: Path, text: str, reads: Iterable[Path] = ()) -> None:
    """Write a file, as a whole or not at all; none of those that were read for it."""
    write_all({file: text}, reads)


def write_all(texts: Mapping[Path, str], reads: Iterable[Path] = ()) -> None:
    """Write files; where one cannot be written, none is."""
    reads = list(reads)
    with ExitStack() as stack:
        streams = [(stack.enter_context(replacing(file, reads)), text) for file, text in texts.items()]
        for stream, text in streams:
            stream.write(text.encode())
            stream.flush()


def rewrite(file: Path, before: str, after: str) -> None:
    """Write a file anew that held a text; NetError if it holds another by now, or cannot be written."""
    try:
        with replacing(file) as stream:
            stream.write(after.encode())
            with reading.open_input(file) as now:  # as late as can be
                held = now.read()
            mark = codecs.BOM_UTF8 if held.startswith(codecs.BOM_UTF8) else b""
            if held != mark + before.encode():
                misuse("E510", f"cannot write {file}: it has changed since it was read", "run it again")
            if mark:
                stream.seek(0)
                stream.write(mark + after.encode())
    except OSError as error:
        misuse("E510", f"cannot write {file}: {reading.reason(error)}")
    except reading.Unreadable as error:
        misuse("E510", f"cannot write {file}: {error}")


@contextmanager
def replacing(file: Path, reads: Iterable[Path] = ()) -> Iterator[BinaryIO]:
    """Give what to write to, so that a reader sees the old file or the new one, never a part; mode and links stay.

    Args:
        file: Where the result goes.
        reads: What it was made of, and must not replace.

    Raises:
        NetError: It would replace one of `reads`, by whatever name.
        OSError: It cannot be written, or is read-only.
    """
    target = Path(os.path.realpath(file))
    try:
        status = os.stat(target)
    except FileNotFoundError:
        status = None
    for read in reads if status else ():
        if os.path.exists(read) and os.path.samefile(read, target):
            misuse("E510", f"{file} is read for it, and would be lost", "give another file with -o")
    if status and not stat.S_ISREG(
        status.st_mode
    ):  # a terminal, /dev/null, a pipe: there is nothing to replace
        with target.open("wb") as stream:
            yield stream
        return
    if status and not status.st_mode & 0o222:  # for root too, who may write it
        raise PermissionError(errno.EACCES, "it is read-only", str(file))
    # a random name: what an earlier process has left is nobody's hindrance
    beside = target.with_name(f".{target.name[:50]}.{os.urandom(8).hex()}")
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
    try:
        with open(handle, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(handle)  # or the new name may come to the disk before what it names
        if status:
            beside.chmod(stat.S_IMODE(status.st_mode))
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def as_json(value: Any) -> str:
    """Return a value as JSON, and no newline at the end."""
    import json

    return json.dumps(value, indent=2)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(as_json(value))
