"""Thirty small specs with one mistake each, as people make them: tests/data/mistakes.

The line that is wrong ends with the comment `# mistake`. They were written before the linter was run on them.
"""

from pathlib import Path

import pytest

import netdsl
from netdsl import Network, api

FILES = sorted((Path(__file__).parent / "data" / "mistakes").glob("*.net"))
MARK = "  # mistake"


def network(file: Path) -> Network:
    """Return the one net of a file."""
    (name,) = api.instances(api.read(file))
    return netdsl.load(f"{file}:{name}")


def found(file: Path) -> list[tuple[str, int]]:
    """Return what the linter finds by default: rules, and lines."""
    return [(finding.name, finding.hit.span.line) for finding in network(file).lint()]


def wrong(file: Path) -> int:
    """Return the number of the line that is wrong."""
    lines = file.read_text(encoding="utf-8").split("\n")
    (number,) = (number for number, line in enumerate(lines, 1) if line.endswith(MARK))
    return number


def test_there_are_thirty_and_all_are_found_at_their_line() -> None:
    assert len(FILES) == 30
    hit = {file.stem for file in FILES if wrong(file) in {line for _, line in found(file)}}
    assert {file.stem for file in FILES} - hit == set()


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_little_else_is_said(file: Path) -> None:
    """What is found elsewhere are notes, or what comes of the mistake."""
    others = [name for name, line in found(file) if line != wrong(file)]
    assert len(others) <= 2, others
