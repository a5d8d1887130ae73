"""Texts that once broke the compiler, and mutants of what the tests say: see fuzz.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

from netdsl.lint import lint
from netdsl.ops import catalogue

COUNT = 800
HOSTILE = [path.name for path in sorted(fuzz.CORPUS.glob("*.net"))]


@pytest.mark.parametrize("name", HOSTILE)
def test_what_broke_the_compiler_is_right_or_an_error(name: str) -> None:
    fuzz.check((fuzz.CORPUS / name).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_mutants_bring_no_surprise() -> None:
    """The same ones each time, on a slow machine too; `make fuzz` draws others."""
    command = [sys.executable, Path(fuzz.__file__), "--minutes", "20", "--count", str(COUNT), "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    print(done.stdout)


def test_a_mutant_is_drawn_from_its_seed_and_number() -> None:
    first, again = (list(fuzz.mutants(3, iter(range(5)))) for _ in "ab")
    assert first == again
    assert [one for one in fuzz.mutants(3, iter([4]))] == first[4:]
    assert len({text for _, text in first}) == 5


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("net N:\n    input 3, 8x8\n    gap\n", ""),
        ("net N:\n    input 3, 8x8\n    gapp\n", ""),
        ("boom", "RuntimeError: no error of a spec"),
        ("hang", "Late"),
    ],
)
def test_what_is_no_error_of_a_spec_is_a_failure(
    text: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(source: str) -> None:
        while source == "hang":
            pass
        raise RuntimeError("no error of a spec")

    if text in ("boom", "hang"):
        monkeypatch.setattr(fuzz, "formats", parse)
        monkeypatch.setattr(fuzz, "SECONDS", 0.1)
    found = fuzz.failure(text)
    assert (why in found) if why else found == ""


SIZES = ("1x1", "3x3", "1x16383", "16383x1", "16383x16383")
ROUND = (1, 2, 16384)


def hostile() -> list[str]:
    """Return layers with windows as large as they may be, and with numbers at the ends of what they may be."""
    found = []
    for op in ("conv", "dwconv", "upconv", "maxpool", "avgpool"):
        channels = ", 8" if op in ("conv", "upconv") else ""
        for kernel in SIZES:
            for stride in ROUND:
                for dilation in ROUND if op != "avgpool" else (1,):
                    spread = f", dilation={dilation}" if op != "avgpool" else ""
                    found.append(f"{op} {kernel}{channels}, /{stride}, pad=8191{spread}")
    return found


def test_every_rule_ends_on_windows_as_large_as_they_may_be() -> None:
    """In a row too, as rules follow chains; what no map is large enough for is an error."""
    assert {"conv", "dwconv", "upconv", "maxpool", "avgpool"} <= {*catalogue()}
    looked_at = 0
    for layer in hostile():
        for size in ("1x1", "20000x20000"):
            text = f"net N:\n    input 4, {size}\n    features:\n        {layer}\n        {layer}\n    gap\n"
            try:
                net = fuzz.Network(next(iter(fuzz.recipes(fuzz.read_text(text), "", {}, {}))))
                lint(net)
            except fuzz.NetError:
                continue
            looked_at += 1
    assert looked_at > 100
