"""specs/README.md says what is so."""

import re
from pathlib import Path

from zoo import NAMES
from zoo_readme import FORMS, render

ROOT = Path(__file__).parents[1]


def test_it_is_up_to_date() -> None:
    assert (ROOT / "specs/README.md").read_text(encoding="utf-8") == render(), "make docs"


def test_forms_are_of_nets_of_the_zoo() -> None:
    for pattern in FORMS:
        assert any(re.fullmatch(pattern, name) for name in NAMES), pattern
