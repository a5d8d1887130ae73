"""Broken specs: whatever the text, it loads or there are diagnostics with a place; never another exception.

NETDSL_SWEEP=1 takes every token of every spec; without it, every STEP-th mutation is tried.
"""

import os
import random
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from netdsl import data
from netdsl.api import instances
from netdsl.diagnostics import NetError
from netdsl.diagnostics.render import render_json, render_text
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.files import Files
from netdsl.source import Source
from netdsl.syntax.tokens import Fault, lex

SPECS = data.names("specs", ".net")
STEP = 1 if os.environ.get("NETDSL_SWEEP") else 41
FEW_STEPS = 20_000


def find(name: str, importer: Source) -> Source:
    if name not in SPECS:
        raise ValueError("there is no such file")
    return Source(name, data.read("specs", name))


def attempt(text: str) -> bool:
    """Load a text and elaborate all that is in it; tell whether it is right."""
    try:
        file = Files(find).load(Source("broken.net", text))
        found = [error for net, variant in instances(file).values() if (error := elaborated(net, variant))]
    except NetError as error:
        found = [error]
    for error in found:
        assert error.diagnostics
        for d in error.diagnostics:
            assert re.fullmatch(r"E[1-5]\d\d", d.code), d
            assert d.message, d
            assert d.span is not None, d
            assert 0 <= d.span.start <= d.span.end <= len(d.span.source.text), d
            assert render_text(d), d
            assert render_text(d, color=True), d
        assert str(error)
        assert render_json(error.diagnostics)
    return not found


def elaborated(net: object, variant: object) -> NetError | None:
    try:
        Recipe(net, variant, {}, {}, FEW_STEPS).elaborate()  # type: ignore[arg-type]
    except NetError as error:
        return error
    return None


def mutations(name: str) -> Iterator[str]:
    """Yield what is left of a spec: cut off, one token less, two tokens in the wrong order."""
    text = data.read("specs", name)
    faults: list[Fault] = []
    tokens = list(lex(text, faults))
    for token in tokens:
        yield text[: token.start]
        yield text[: token.start] + text[token.end :]
    for one, two in pairwise(tokens):
        between = text[one.end : two.start]
        yield text[: one.start] + two.text + between + one.text + text[two.end :]
    encoded, some = text.encode(), random.Random(name)
    for _ in range(200):
        yield encoded[: some.randrange(len(encoded))].decode(errors="ignore")


@pytest.mark.parametrize("name", SPECS)
def test_broken_spec(name: str) -> None:
    every = list(mutations(name))
    start = SPECS.index(name) % STEP
    assert len(every) > 300
    for text in every[start::STEP]:
        attempt(text)


@pytest.mark.parametrize("seed", range(60))
def test_noise(seed: int) -> None:
    some = random.Random(seed)
    size = some.randrange(1, 400)
    attempt(some.randbytes(size).decode("latin-1"))
    attempt(some.randbytes(size).decode("utf-8", errors="replace"))
    attempt(
        "".join(chr(some.choice([some.randrange(32, 127), some.randrange(0xD7FF), 10])) for _ in range(size))
    )


@pytest.mark.parametrize("seed", range(60))
def test_tokens_in_any_order(seed: int) -> None:
    some = random.Random(seed)
    faults: list[Fault] = []
    words = [token.text for name in SPECS for token in lex(data.read("specs", name), faults)]
    attempt(" ".join(some.choice(words) for _ in range(some.randrange(1, 60))))
    spec = data.read("specs", some.choice(SPECS)).splitlines()
    some.shuffle(spec)
    attempt("\n".join(spec))
