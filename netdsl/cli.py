"""The command `netdsl`: arguments, printing, exit status. What it does is in netdsl.api and what that calls.

Exit status: 0 fine, 1 something is wrong with a spec or a check failed, 2 the command was misused.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from netdsl import __version__
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean

if TYPE_CHECKING:
    from netdsl.elaborate.values import FileScope
    from netdsl.network import Network

DTYPES = ("float64", "float32", "bfloat16", "float16", "int8")
GROUPINGS = ("layer", "block", "stage", "op")
VERSION = 1
"""Of the JSON forms of check and zoo, docs/schema/."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    collecting = gc.get_threshold()
    gc.set_threshold(200_000, 50, 100)  # nearly all that is made lives until the end
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
    try:
        args = parser().parse_args(argv)
    except SystemExit as stop:  # after --help, --version or a wrong argument
        return int(stop.code or 0)
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except NetError as error:
        return report(error.diagnostics)


def report(diagnostics: Sequence[Diagnostic]) -> int:
    """Print diagnostics to stderr; return the exit status they call for."""
    from netdsl.render import render_text, summary

    color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    for diagnostic in diagnostics:
        print(render_text(diagnostic, color), end="\n\n", file=sys.stderr)
    print(summary(diagnostics), file=sys.stderr)
    return status_of(diagnostics)


def status_of(diagnostics: Iterable[Diagnostic]) -> int:
    """Return 0 for none, 2 if all say that the command was misused, else 1."""
    from netdsl.codes import CODES

    return min((CODES[d.code].status if d.code in CODES else 1 for d in diagnostics), default=0)


# ---------------------------------------------------------------- arguments


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="netdsl",
        description="A declarative language for neural-network architectures, and its compiler.",
    )
    top.add_argument("--version", action="version", version=f"netdsl {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        added.set_defaults(run=run)
        return added

    sub = command("compile", compile_, "write the source of a module")
    _spec(sub)
    sub.add_argument("--backend", default="torch", metavar="NAME", help="for which framework (torch)")
    sub.add_argument("-o", "--output", metavar="FILE", help="write to FILE instead of standard output")
    sub.add_argument("--check", action="store_true", help="only say whether FILE is what would be written")

    sub = command("check", check, "parse, elaborate, infer shapes, hold budgets against costs")
    _spec(sub, many=True)
    sub.add_argument("--format", choices=("text", "json"), default="text")

    sub = command("cost", cost, "print params, MACs and activations as a table")
    _spec(sub)
    sub.add_argument("--by", choices=GROUPINGS, default="layer", help="what a row is (layer)")
    sub.add_argument("--batch", type=_positive, default=1, metavar="N", help="batch size (1)")
    sub.add_argument("--dtype", choices=DTYPES, default="float32", help="of activations (float32)")
    sub.add_argument("--train", action="store_true", help="count what exists in training only, too")
    sub.add_argument("--format", choices=("table", "json", "csv", "markdown"), default="table")

    sub = command("zoo", zoo, "list the packaged nets")
    sub.add_argument("--format", choices=("text", "json"), default="text")

    sub = command("explain", explain, "explain an error's code, or an op")
    sub.add_argument("topic", metavar="CODE|OP", help="such as E302, or conv")

    sub = command("completion", completion, "print a shell's completion script")
    sub.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return top


def _spec(sub: argparse.ArgumentParser, many: bool = False) -> None:
    """Add what names a net and changes it."""
    what = "a file, FILE:NAME for one of its nets, a name of the zoo, or - for standard input"
    sub.add_argument("spec", metavar="SPEC", nargs="+" if many else None, help=what)
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
        "--max-nodes", type=_positive, default=1_000_000, metavar="N", help="the most ops of a net (1000000)"
    )


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:19]) < 2**63 or len(text) > 19:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def _settings(args: argparse.Namespace) -> dict[str, str]:
    """Return what --set gives; the values are texts, which the net's parameters know how to read."""
    settings = {}
    for text in args.set:
        name, equals, value = text.partition("=")
        if not name or not equals:
            _misuse("E504", f"--set takes NAME=VALUE, got {text}", "for example --set classes=10")
        settings[name] = value
    return settings


def _inputs(args: argparse.Namespace) -> dict[str, list[int]]:
    """Return what --input gives."""
    inputs = {}
    for text in args.input:
        name, _, shape = text.rpartition("=")
        sizes = shape.split("x")
        if not all(size.isascii() and size.isdecimal() and len(size) < 16 for size in sizes):
            _misuse("E505", f"--input takes CxHxW or NAME=CxHxW, got {text}", "for example --input 3x96x96")
        inputs[name] = [int(size) for size in sizes]
    return inputs


def _misuse(code: str, message: str, help: str = "") -> NoReturn:
    raise NetError([Diagnostic(code, message, help=help)])


def _files(spec: str, args: argparse.Namespace) -> tuple[FileScope, str]:
    """Return the file of a SPEC, and the net that it names."""
    from netdsl import api

    target, _, name = spec.partition(":")
    if target == "-":
        return api.read_text(_standard_input()), name
    return api.locate(spec, args.path)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        _misuse("E501", f"<stdin> is not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}")


def _network(args: argparse.Namespace) -> Network:
    """Return the net that the arguments ask for."""
    from netdsl import api
    from netdsl.network import Network

    file, name = _files(args.spec, args)
    return Network(api.recipe(file, name, _settings(args), _inputs(args), args.max_nodes))


# ---------------------------------------------------------------- commands


def compile_(args: argparse.Namespace) -> int:
    """Emit a module, or compare it with a file."""
    if args.check and args.output is None:
        _misuse("E510", "--check needs the file to look at", "netdsl compile SPEC -o FILE --check")
    text = _network(args).emit(args.backend)
    if args.check:
        return _compare(Path(args.output), text)
    if args.output in (None, "-"):
        sys.stdout.write(text)
        return 0
    try:
        write(Path(args.output), text)
    except OSError as error:
        _misuse("E510", f"cannot write {args.output}: {_reason(error)}")
    return 0


def _compare(file: Path, text: str) -> int:
    try:
        same = file.read_bytes() == text.encode()
    except FileNotFoundError:
        _misuse("E511", f"{file} does not exist", "leave out --check to write it")
    except OSError as error:
        _misuse("E510", f"cannot read {file}: {_reason(error)}")
    if not same:
        _misuse("E511", f"{file} is not what would be written", "leave out --check to write it anew")
    return 0


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def write(file: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part; mode and links stay."""
    target = Path(os.path.realpath(file))
    mode = target.stat().st_mode & 0o7777 if target.exists() else None
    if target.exists() and not target.is_file():  # a terminal, /dev/null, a pipe: there is nothing to replace
        target.write_bytes(text.encode())
        return
    beside = target.with_name(f".{target.name[:200]}.{os.getpid()}")
    handle = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        with open(handle, "wb") as stream:
            stream.write(text.encode())
        if mode is not None:
            beside.chmod(mode)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def check(args: argparse.Namespace) -> int:
    """Check every net of every spec; say what is fine and what is not."""
    from netdsl.render import printable

    fine: list[Network] = []
    wrong: list[Diagnostic] = []
    for spec in args.spec:
        for net in _checked(spec, args, wrong):
            fine.append(net)
            if args.format == "text":
                whole = net.cost()
                outputs = ", ".join(
                    f"{printable(name)} {shape}" if len(net.outputs) > 1 else str(shape)
                    for name, shape in net.outputs.items()
                )
                counts = f"{len(net.graph):,} ops, {whole.params:,} params, {whole.macs:,} MACs"
                print(f"{printable(net.name)}: {counts}, output {outputs}")
    if args.format == "json":
        from netdsl.render import render_json

        nets = [
            {
                "name": net.name,
                "spec": net.spec,
                "nodes": len(net.graph),
                "params": net.cost().params,
                "macs": net.cost().macs,
                "inputs": {name: list(shape) for name, shape in net.inputs.items()},
                "outputs": {name: list(shape) for name, shape in net.outputs.items()},
            }
            for net in fine
        ]
        _print_json({"version": VERSION, "nets": nets, "diagnostics": render_json(wrong)["diagnostics"]})
        return status_of(wrong)
    return report(wrong) if wrong else 0


def _checked(spec: str, args: argparse.Namespace, wrong: list[Diagnostic]) -> Iterator[Network]:
    """Yield the nets of a spec that are fine; add what is wrong with the others, once if they share it."""
    from netdsl import api
    from netdsl.network import Network

    seen: set[object] = set()

    def add(diagnostics: Iterable[Diagnostic]) -> None:
        for found in diagnostics:
            key = (found.code, found.message, found.span)
            if key not in seen:
                seen.add(key)
                wrong.append(found)

    try:
        file, name = _files(spec, args)
        settings, inputs = _settings(args), _inputs(args)
    except NetError as error:
        add(error.diagnostics)
        return
    for one in [name] if name else api.distinct(file):
        try:
            net = Network(api.recipe(file, one, settings, inputs, args.max_nodes))
            broken = net.check()
        except NetError as error:
            add(error.diagnostics)
        else:
            add(broken)
            if not broken:
                yield net


def cost(args: argparse.Namespace) -> int:
    """Print the cost table."""
    from netdsl.cost import table

    costs = _network(args).costs(args.by, args.batch, args.dtype, args.train)
    if args.format == "json":
        _print_json(table.render_json(costs))
    elif args.format == "csv":
        print(table.render_csv(costs))
    elif args.format == "markdown":
        print(table.render_markdown(costs))
    else:
        print(table.render_text(costs))
    return 0


def zoo(args: argparse.Namespace) -> int:
    """List the packaged nets."""
    from netdsl import api

    entries = api.zoo()
    if args.format == "json":
        _print_json({"version": VERSION, "nets": [entry.json() for entry in entries]})
        return 0
    lines = [entry.line() for entry in entries]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for name, params, macs, inputs, about in lines:
        numbers = f"{params:>{widths[1]}}  {macs:>{widths[2]}}"
        print(f"{name:{widths[0]}}  {numbers}  {inputs:{widths[3]}}  {about}".rstrip())
    return 0


def explain(args: argparse.Namespace) -> int:
    """Explain an error's code or an op."""
    from netdsl import codes
    from netdsl.ops import catalogue

    topic: str = args.topic
    if topic.upper() in codes.CODES:
        print(codes.explain(topic.upper()))
    elif topic in catalogue():
        from netdsl.api import explain_op

        print(explain_op(topic))
    else:
        known = [*codes.CODES, *catalogue()]
        _misuse(
            "E512",
            f"there is no code or op `{topic}`",
            did_you_mean(topic, known) or "for example E302, or conv",
        )
    return 0


def completion(args: argparse.Namespace) -> int:
    """Print a completion script."""
    import shtab

    print(shtab.complete(parser(), args.shell))
    return 0


def _print_json(value: Any) -> None:
    import json

    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    sys.exit(main())
