"""The rules: one module each, found and not listed. See netdsl/lint/rule.py for how to write one."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netdsl.lint.rule import Rule


@cache
def catalogue() -> dict[str, type[Rule]]:
    """Return every rule by its code, in their order."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return {rule.code: rule for rule in sorted(Rule.__subclasses__(), key=lambda rule: rule.code)}


def find(word: str) -> type[Rule] | None:
    """Return the rule of a code or a name."""
    rules = catalogue()
    named = {rule.name(): rule for rule in rules.values()}
    return rules.get(word.upper()) or named.get(word)
