"""The claims of lecture notes, C01 to C58: each is right, wrong or right in part, as docs/claims.md says."""

from __future__ import annotations

from pathlib import Path

import pytest
from claims import CLAIMS, NOT_STATIC, render

VERDICTS = {"right": True, "wrong": False, "in part": None}


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_claim(name: str) -> None:
    holds, number = CLAIMS[name].measure()
    verdict = next(word for word in VERDICTS if CLAIMS[name].verdict.startswith(word))
    assert holds is VERDICTS[verdict], f"{name}, {CLAIMS[name].says}: {number}"
    assert number


def test_every_claim_is_checked_or_said_why_not() -> None:
    assert sorted([*CLAIMS, *NOT_STATIC]) == [f"C{number:02}" for number in range(1, 59)]


def test_the_page() -> None:
    page = Path(__file__).parent.parent / "docs" / "claims.md"
    assert page.read_text(encoding="utf-8") == render(), "make docs"
