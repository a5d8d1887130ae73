"""Mutants of specs through the whole compiler: no traceback, no hang, no gigabytes, and modules that run as promised.

    python tests/fuzz.py --minutes 30 [--count N] [--seed N] [--out DIR]

A mutant is a text of the corpus in which tokens and lines are changed as the grammar has them: numbers become hostile
ones, ops and options others, lines move, nest, repeat, and come from another text. It is drawn from the seed and its
number alone, so that `--seed N --only M` makes it again. What fails is printed with both, and written to the folder.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assignment import unassigned

from netdsl import Network
from netdsl.api import read_text, recipes
from netdsl.backend import emit_family
from netdsl.diagnostics import NetError
from netdsl.elaborate.arguments import op_parameters
from netdsl.lint import lint
from netdsl.ops import catalogue
from netdsl.source import Source
from netdsl.syntax.format import format_text

ROOT = Path(__file__).parents[1]
CORPUS = ROOT / "tests" / "data" / "fuzz"
SECONDS = 5
"""How long each thing that is done with one mutant, as a command does it, may take a processor."""
BYTES = 2**30
"""How much memory it may take more than any mutant before."""
MOST_NETS = 4
"""How many nets of a text are looked at."""
RUNNABLE = 2e7
"""The most MACs, activations and parameters of a net that is run."""

ZOO = ("resnet", "swin", "googlenet", "nasnet", "hrnet", "densenet")
FENCE = re.compile(r"^```net[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
QUOTED = re.compile(r'"""\\?\n((?:block|net|table|def|default|init) [^"\\\\]*?\n)"""')
"""A spec in a test."""
TOKEN = re.compile(
    r'"[^"\n]*"|[0-9]+(?:x[0-9]+)+|[0-9][0-9_.]*(?:e[+-]?[0-9]+)?[A-Za-z]*|\w+|->|\*\*|//|[^\s\w]| +'
)
NUMBERS = (
    *("0", "1", "2", "3", "7", "8", "16", "17", "255", "1000", "16384", "16385", "65536", "1000000"),
    *("2147483647", "2147483648", "4294967296", "9223372036854775807", "9223372036854775808", "3GB", "-1"),
    *("0.0", "0.5", "1.0", "1e-45", "1e-300", "1e38", "1e39", "1e308", "1e999", "true", "none", '"c"'),
)
SIZES = (
    "0x0",
    "1x1",
    "1x3",
    "2x2",
    "3x3",
    "7x1",
    "99999999x1",
    "16384x16384",
    "3x3x3",
    "1x65536",
    "4294967296x1",
)


class Late(BaseException):
    """A mutant takes too long."""


def seeds() -> list[str]:
    """Return the texts that mutants are made of."""
    found = [path.read_text(encoding="utf-8") for path in sorted(CORPUS.glob("*.net"))]
    for page in (ROOT / "grammar" / "README.md", *sorted((ROOT / "tests" / "cases").glob("*.md"))):
        found += FENCE.findall(page.read_text(encoding="utf-8"))
    for test in sorted((ROOT / "tests").glob("*.py")):
        found += [
            text for text in QUOTED.findall(test.read_text(encoding="utf-8")) if "\nnet " in f"\n{text}"
        ]
    found += [(ROOT / "specs" / f"{name}.net").read_text(encoding="utf-8") for name in ZOO]
    return found


class Mutator:
    """Makes a text another one."""

    def __init__(self, texts: list[str], seed: str) -> None:
        """Draw from a seed."""
        self.texts = texts
        self.random = random.Random(seed)
        self.words = sorted({word for text in texts for word in re.findall(r"[a-z_]{2,}", text)})
        self.ops = sorted({*catalogue()} - {"weight", "input"})
        self.options = sorted({name for op in catalogue().values() for name in op_parameters(op)})

    def mutant(self) -> str:
        """Return a text that is up to four changes away from one of the texts."""
        lines = self.random.choice(self.texts).splitlines()
        for _ in range(self.random.choice((1, 1, 1, 1, 2, 3))):
            change = self.random.choice((self.token, self.token, self.token, self.line))
            lines = change(lines) if lines else lines
        return "\n".join(lines) + "\n"

    def token(self, lines: list[str]) -> list[str]:
        """Change one token, to another one of its kind more often than not."""
        at = self.random.randrange(len(lines))
        tokens = TOKEN.findall(lines[at].split("#")[0])
        places = [i for i, one in enumerate(tokens) if one.strip()]
        if not places:
            return lines
        i = self.random.choice(places)
        (way,) = self.random.choices(("other", "more", "drop", "twice", "swap"), (12, 3, 1, 1, 1))
        if way == "more":
            tokens.append(f"{self.random.choice((',', ''))} {self.argument()}")
        elif way == "drop":
            tokens[i] = ""
        elif way == "twice":
            tokens[i] = f"{tokens[i]} {tokens[i]}"
        elif way == "swap":
            j = self.random.choice(places)
            tokens[i], tokens[j] = tokens[j], tokens[i]
        else:
            tokens[i] = self.other(tokens[i])
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        return [*lines[:at], indent + "".join(tokens).lstrip(), *lines[at + 1 :]]

    def other(self, token: str) -> str:
        """Return another token, of the same kind where it has one."""
        if re.fullmatch(r"[0-9]+(x[0-9]+)+", token):
            return self.random.choice(SIZES)
        if token[0].isdigit() or token in ("true", "false", "none"):
            return self.random.choice(NUMBERS)
        for kind in (self.ops, self.options):
            if token in kind:
                return self.random.choice(kind)
        if token.isidentifier():
            return self.random.choice((*self.words, *NUMBERS[:4]))
        for signs in ("+ - * / // ** %", "-> | ,", "= :", "< >", "( ["):
            if token in signs.split():
                return self.random.choice(signs.split())
        return token

    def argument(self) -> str:
        """Return an argument that a layer may take."""
        value = self.random.choice((self.random.choice(NUMBERS), self.random.choice(SIZES)))
        name = self.random.choice(self.options)
        return self.random.choice(
            (f"{name}={value}", value, f"/{value}", f"{name}={self.random.choice(self.ops)}")
        )

    def line(self, lines: list[str]) -> list[str]:
        """Move, repeat, drop, indent or replace a line."""
        at, to = self.random.randrange(len(lines)), self.random.randrange(len(lines))
        one, rest = lines[at], [*lines[:at], *lines[at + 1 :]]
        indent = one[: len(one) - len(one.lstrip())]
        other = self.random.choice(self.random.choice(self.texts).splitlines() or [""])
        ways = (
            lambda: rest,
            lambda: [*lines[:at], one, *lines[at:]],
            lambda: [*rest[:to], one, *rest[to:]],
            lambda: [*lines[:at], f"    {one}", *lines[at + 1 :]],
            lambda: [*lines[:at], one.removeprefix("    "), *lines[at + 1 :]],
            lambda: [*lines[:at], indent + other.strip(), *lines[at:]],
            lambda: [*lines[:at], f"{indent}part:", f"    {one}", *lines[at + 1 :]],
            lambda: [*lines[:at], f"{indent}if x.c > 4:", f"    {one}", *lines[at + 1 :]],
            lambda: [
                *lines[:at],
                f"{indent}for i in range({self.other('3')}):",
                f"    {one}",
                *lines[at + 1 :],
            ],
            lambda: [*lines[:at], f"{indent}{self.other('3')} * ({one.strip()})", *lines[at + 1 :]],
            lambda: [*lines[:at], f"{one} when {self.random.choice(self.words)}", *lines[at + 1 :]],
        )
        return self.random.choice(ways)()


# ---------------------------------------------------------------- what is done with each


def check(text: str) -> None:
    """Take a text through the compiler; raise what is no NetError, or AssertionError where a promise is broken."""
    for step in (formats, through):
        try:
            begin()
            step(text)
        except NetError as error:
            said = str(error)
            assert len(said) < 30_000, f"{len(said):,} characters are said of it"
            assert "\x1b" not in said


def formats(text: str) -> None:
    """Format it, which changes nothing when it is done again."""
    once = format_text(Source("<fuzz>", text))
    assert format_text(Source("<fuzz>", once)) == once, "fmt changes what it wrote"


def through(text: str) -> None:
    """Elaborate, count, lint and write all of its nets, and run those that are small."""
    file = read_text(text)
    made: list[Network] = []
    wrong: list[NetError] = []
    for recipe in list(recipes(file, "", {}, {}))[:MOST_NETS]:
        begin()
        net = Network(recipe)
        try:
            net.check()
            begin()
            net.cost()
            net.cost_table()
            assert len(net.receptive) <= len(net.graph)
            begin()
            assert min(net.memory(2, train=train).peak for train in (False, True)) >= 0
            begin()
            lint(net)
        except NetError as error:
            wrong.append(error)
        else:
            made.append(net)
    for net in made:
        begin()
        runs(net)
    if len(made) > 1:
        begin()
        for form in ("torch", "flax"):
            for written in emit_family(made, form).values():
                assert unassigned(written) == []
    if wrong:
        raise wrong[0]


def runs(net: Network) -> None:
    """Write a net, and run it in evaluation and training if it is small: it returns what the facts say."""
    text = net.emit()
    assert unassigned(text) == []
    assert unassigned(net.emit("flax")) == []
    cost = net.cost(batch=2)
    if max(cost.macs, cost.ops, cost.params) > RUNNABLE or len(net.graph) > 500:
        return
    if sum(shape.elements for node in net.graph for shape in net.outputs_of(node.name)) > RUNNABLE:
        return
    import torch
    from torch_oracles import execute, tensors

    model = execute(text)[net.name]()
    x = [torch.randn(2, *shape) for shape in net.inputs.values()]
    every = {output.name: tuple(net.outputs[output.name]) for output in net.graph.outputs}
    kept = [output.name for output in net.graph.outputs if not output.train]
    with torch.no_grad():
        for training, names in ((False, kept), (True, list(every))):
            found = [tuple(t.shape[1:]) for t in tensors(model.train(training)(*x))]
            assert found == [every[name] for name in names], f"{found} instead of {every}"


def failure(text: str) -> str:
    """Return how a text fails, as its last lines; an empty string where it does not."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGVTALRM, _late)
    try:
        check(text)
    except (Exception, Late):
        return "".join(traceback.format_exc(limit=-6))
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    more = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return f"it took {more:,} bytes" if more > BYTES else ""


def begin() -> None:
    """Begin with the next thing that is done with a mutant."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)


def _late(*_: Any) -> None:
    raise Late


def mutants(seed: int, numbers: Iterator[int]) -> Iterator[tuple[int, str]]:
    """Yield mutants with their numbers."""
    texts = seeds()
    for number in numbers:
        yield number, Mutator(texts, f"{seed}:{number}").mutant()


def main() -> int:
    """Make mutants until the time is up, or there are as many as asked for; return 1 if any failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--only", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}", flush=True)
    resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))
    import torch  # its memory is no mutant's

    torch.zeros(1)
    end, failed, count, kinds = time.monotonic() + 60 * args.minutes, 0, 0, set[str]()
    numbers = iter([args.only]) if args.only is not None else iter(range(args.count))
    for number, text in mutants(seed, numbers):
        if time.monotonic() > end:
            break
        count += 1
        why = failure(text)
        if not why:
            continue
        failed += 1
        kind = "\n".join(why.splitlines()[-3:])
        if kind in kinds:
            continue
        kinds.add(kind)
        print(
            f"\n--seed {seed} --only {number}\n{text if len(text) < 3000 else text[:3000]}\n{why}", flush=True
        )
        if args.out is not None:
            args.out.mkdir(parents=True, exist_ok=True)
            (args.out / f"{seed}-{number}.net").write_text(text, encoding="utf-8")
    print(f"{count:,} mutants, {failed} failed in {len(kinds)} ways; seed {seed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
