"""netdsl verify: build with every backend, and compare."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING

from netdsl.cli.common import listed, look, network, output, print_json, report, spec_arguments
from netdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from netdsl.sheet import Look
    from netdsl.verification import Progress

HELP = "build with every backend, share one set of weights, compare static facts and numbers"
EXAMPLES = (
    "netdsl verify my_net.net",
    "netdsl verify resnet50 --against torchvision:resnet50",
)
WIDTH = 24
"""Characters of the progress bar."""
FIRST, PERIOD = 1.5, 15.0
"""Where there is no terminal, the seconds after which a line says how far it is, and those until the next."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    help = "which, the reference first (torch,flax; with --against: torch)"
    sub.add_argument("--backend", metavar="NAME,...", help=help)
    help = (
        "compare with a model or with weights instead: torchvision:NAME, timm:NAME, FILE.py:FACTORY (runs that file, "
        "which has to be yours), or a .safetensors, .pt or .pth file"
    )
    sub.add_argument("--against", metavar="REFERENCE", help=help)
    sub.add_argument("--seed", type=seed, default=0, metavar="N", help="of weights and inputs (0)")
    sub.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Print the table of checks; say what differs."""
    from netdsl import verification

    net = network(args)
    with shown() as progress:
        if args.against is not None:
            from netdsl import against

            found = against.compare(net, args.against, args.backend or verification.OWN, args.seed, progress)
        else:
            names = (args.backend or "torch,flax").split(",")
            found = verification.verify(net, names, args.seed, progress, at_size=bool(args.input))
    if args.format == "json":
        made = verification.render_json(found)
        print_json({**dict.fromkeys(("version", "net", "spec")), "file": net.file, **made})
        return 0 if found.ok else 1
    if not (found.ok and output.quiet):
        where = listed() or look().replace(width=0)
        print(_shown(verification.render_text(found, where.width), where))
    if found.ok:
        return 0
    wrong = sum(not row.ok for row in found.rows)
    sys.stdout.flush()
    said = f"{wrong} of {len(found.rows)} checks fail"
    if args.against is not None:
        return report([Diagnostic("E532", f"{found.net} is not {found.backends[0]}: {said}")])
    return report([Diagnostic("E519", f"{found.net}: {said}")])


def _shown(text: str, where: Look) -> str:
    """Return the table as the output has it: what differs in colour, and sentences as wide as a terminal."""
    caption, table, *below = text.split("\n\n")
    rows = table.split("\n")
    marks = {0: "1"} if rows[1].startswith("--") else {}
    rows = [
        where.paint(row, "31" if row.endswith("DIFFERENT") else marks.get(n, ""))
        for n, row in enumerate(rows)
    ]
    sentences = ["\n".join(map(where.wrapped, part.split("\n"))) for part in below]
    return "\n\n".join([where.wrapped(caption), "\n".join(rows), *sentences])


def seed(text: str) -> int:
    """Return a whole number from 0; argparse reports what is none."""
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, got {text!r}")
    return int(text)


@contextmanager
def shown() -> Iterator[Progress]:
    """Give what shows how far it is: a bar on a terminal; elsewhere a line now and then, if it takes long."""
    if output.quiet:
        yield lambda done, total, what: None
    elif sys.stderr.isatty():
        try:
            yield bar
        finally:
            print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    else:
        lines = Lines()
        lines.start()
        try:
            yield lines.progress
        finally:
            lines.ended.set()
            lines.join()


def bar(done: int, total: int, what: str) -> None:
    """Show on a terminal how far it is, and what comes next."""
    marks = "#" * (WIDTH * done // total)
    print(f"\r\x1b[2K[{marks:.<{WIDTH}}] {what}", end="", file=sys.stderr, flush=True)


class Lines(Thread):
    """Says where a run is after FIRST seconds, and every PERIOD from then on, whatever it waits for."""

    def __init__(self) -> None:
        """Begin with the net's modules being written."""
        super().__init__(daemon=True)
        self.ended = Event()
        self.stream = sys.stderr
        self.text = "verify: writing modules"

    def progress(self, done: int, total: int, what: str) -> None:
        """Take how far it is, and what comes next."""
        self.text = f"verify: {done + 1} of {total}, {what}"

    def run(self) -> None:
        """Print lines until the run has ended, or nobody reads them."""
        pause, seconds, said = FIRST, 0.0, ""
        while not self.ended.wait(pause):
            seconds += pause
            line = f"{self.text}: {seconds:.0f} s so far" if self.text == said else self.text
            try:
                print(line, file=self.stream, flush=True)
            except (OSError, ValueError):
                return
            pause, said = PERIOD, self.text
