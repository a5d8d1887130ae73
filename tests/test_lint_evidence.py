"""What lint rules say that they have measured is what benchmarks/evidence.py prints."""

import importlib.util
import re
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import netdsl
from netdsl.lint.docs import section
from netdsl.lint.rule import SECTIONS
from netdsl.lint.rules import catalogue, find

ROOT = Path(netdsl.__file__).parent.parent


@cache
def evidence() -> ModuleType:
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("evidence", ROOT / "benchmarks" / "evidence.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_numbers_of_rules_are_those_of_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    evidence().main()
    for line in capsys.readouterr().out.splitlines():
        name, _, number = re.split(r"  +", line.strip())
        rule = find(name)
        assert rule is not None
        why = section(rule, "Why is this bad")
        assert "benchmarks/evidence.py" in why
        if name != "bias_before_norm":  # rounding, which is another on another machine
            assert all(part in why for part in number.split(" to ")), line
        else:
            assert float(number) < 1e-10


@pytest.mark.parametrize("rule", catalogue().values(), ids=lambda rule: rule.name())
def test_nothing_is_measured_without_a_source(rule: type) -> None:
    text = " ".join(section(rule, title) for title in SECTIONS)
    assert not re.search(r"\bmeasured\b", text, re.IGNORECASE)
