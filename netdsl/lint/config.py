"""What a project says about its rules: which are on, where, with which numbers, and its budgets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from netdsl import reading
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.evaluate import builtins
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import Env
from netdsl.lint.facts import Limit
from netdsl.lint.rule import FAMILIES, SEVERITIES, Rule
from netdsl.lint.rules import catalogue
from netdsl.lint.step import Step, misfit
from netdsl.quantities import catalogue as quantities
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.parse import parse

KEYS = (
    "select",
    "ignore",
    "per-file-ignores",
    "thresholds",
    "budgets",
    "fail-on",
    "baseline",
    "batch",
    "micro-batches",
)

ALL, AUDIT = "ALL", "audit"
"""Words for every rule, and for those that are off until they are asked for."""


class Settings(Record):
    """The rules that are on, their thresholds, and budgets by net."""

    select: tuple[str, ...] = ()
    """Codes, beginnings of codes, or names; `audit` and `ALL`. Nothing is all but those of `audit`."""
    ignore: tuple[str, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] = {}
    """Further rules to ignore, by a pattern of file names."""
    thresholds: Mapping[str, Mapping[str, float]] = {}
    budgets: Mapping[str, Mapping[str, str]] = {}
    """Limits by quantity, by a pattern of nets."""
    origin: str = ""
    """The file that says so."""
    fail_on: str = ""
    """From which severity on the exit status is 1; "" if it is not said."""
    baseline: str = ""
    """The file of findings that are left alone; "" if it is not said."""
    step: Step | None = None
    """How nets are trained; None if it is not said."""

    def rules(self, spec: str) -> list[Rule]:
        """Return the rules that are on for a file, with their thresholds."""
        return [
            rule(self.thresholds.get(rule.name()))
            for rule in catalogue().values()
            if self._selected(rule)
            and not chosen(rule, self.ignore)
            and not self.ignores(rule, spec)
            and (self.step is not None or not rule.steps)
        ]

    def ignores(self, rule: type[Rule], file: str) -> bool:
        """Tell whether a rule is off in a file, that which is linted or one that it imports."""
        file = file.replace("\\", "/")
        return any(
            chosen(rule, words)
            for pattern, words in self.per_file.items()
            if fnmatchcase(file, pattern) or fnmatchcase(file.rpartition("/")[2], pattern)
        )

    def _selected(self, rule: type[Rule]) -> bool:
        return chosen(rule, self.select) if self.select else not rule.audit

    def limits(self, net: str, spec: str) -> Iterator[Limit]:
        """Yield the budgets of a net; a pattern is of its name or of `file.net:name`."""
        for pattern, limits in self.budgets.items():
            if fnmatchcase(net, pattern) or fnmatchcase(f"{spec}:{net}", pattern):
                for quantity, limit in limits.items():
                    yield Limit(_budget(quantity, limit), self.origin)


def chosen(rule: type[Rule], words: Iterable[str]) -> bool:
    """Tell whether codes, beginnings of codes, names, `audit` or `ALL` mean a rule."""
    return any(
        word == rule.name()
        or rule.code.startswith(word.upper())
        or word == ALL
        or (word == AUDIT and rule.audit)
        for word in words
    )


def check_words(words: Iterable[str], where: str) -> None:
    """Raise NetError for a word that means no rule."""
    rules = catalogue()
    names = [rule.name() for rule in rules.values()]
    for word in words:
        if (
            word in (*names, ALL, AUDIT)
            or any(code.startswith(word.upper()) for code in rules)
            or word.upper() in FAMILIES
        ):
            continue
        help = (
            did_you_mean(word, [*rules, *names, ALL, AUDIT])
            or "`netdsl explain L201` or docs/rules.md; L2 is all of L2xx, ALL is all, audit what is off"
        )
        raise NetError([Diagnostic("E522", f"{where}: there is no rule `{word}`", help=help)])


# ---------------------------------------------------------------- the file


def load(folder: Path) -> Settings:
    """Return the settings of the nearest netdsl.toml, or pyproject.toml that has them, from a folder upwards."""
    folder = folder.absolute()
    for place in (folder, *folder.parents):
        for name in ("netdsl.toml", "pyproject.toml"):
            file = place / name
            if reading.exists(file) and file.is_file():
                table = _table(file, name == "netdsl.toml")
                if table is not None:
                    return _settings(table, str(file))
    return Settings()


def _table(file: Path, own: bool) -> Mapping[str, Any] | None:
    """Return the table `lint` of a file, or None if a pyproject.toml has none."""
    text = _read(file)
    if not own and "netdsl" not in text:
        return None  # so that most files cost no parsing
    try:
        data = reading.toml(text)
    except reading.Unreadable as error:
        raise _wrong("E520", f"cannot read {file}: {error}") from None
    if own:
        unknown = [key for key in data if key != "lint"]
        if unknown:
            raise _wrong("E521", f"{file}: unknown table `{unknown[0]}`", "netdsl.toml has the table [lint]")
        return _expect(data.get("lint", {}), f"{file}: lint")
    table = _expect(data.get("tool", {}), f"{file}: tool").get("netdsl")
    if table is None:
        return None
    unknown = [key for key in _expect(table, f"{file}: tool.netdsl") if key != "lint"]
    if unknown:
        raise _wrong(
            "E521", f"{file}: unknown table `tool.netdsl.{unknown[0]}`", "there is [tool.netdsl.lint]"
        )
    return _expect(table.get("lint", {}), f"{file}: tool.netdsl.lint")


def _read(file: Path) -> str:
    try:
        return reading.text(file, reading.MAX_SETTINGS)
    except reading.Unreadable as error:
        raise _wrong("E520", f"cannot read {file}: {error}") from None


def _settings(table: Mapping[str, Any], origin: str) -> Settings:
    for key in table:
        if key not in KEYS:
            help = did_you_mean(key, KEYS) or f"there are {', '.join(KEYS)}"
            raise _wrong("E521", f"{origin}: unknown key `{key}`", help)
    select = _words(table.get("select", []), f"{origin}: select")
    ignore = _words(table.get("ignore", []), f"{origin}: ignore")
    per_file = {
        pattern: _words(words, f"{origin}: per-file-ignores of {pattern}")
        for pattern, words in _expect(
            table.get("per-file-ignores", {}), f"{origin}: per-file-ignores"
        ).items()
    }
    thresholds = _thresholds(_expect(table.get("thresholds", {}), f"{origin}: thresholds"), origin)
    budgets = {
        pattern: {
            quantity: _limit(quantity, limit, f"{origin}: budgets of {pattern}")
            for quantity, limit in _expect(limits, f"{origin}: budgets of {pattern}").items()
        }
        for pattern, limits in _expect(table.get("budgets", {}), f"{origin}: budgets").items()
    }
    fail_on = table.get("fail-on", "")
    if fail_on not in ("", *SEVERITIES):
        help = f"one of {', '.join(SEVERITIES)}"
        raise _wrong("E523", f"{origin}: fail-on: there is no severity {fail_on!r}", help)
    baseline = table.get("baseline", "")
    if not isinstance(baseline, str) or "\0" in baseline:
        raise _wrong(
            "E523", f"{origin}: baseline: must be a file's name, got {baseline!r}", '"baseline.json"'
        )
    if baseline:
        baseline = os.path.relpath(os.path.join(os.path.dirname(origin), baseline))
    step = _step(table, origin)
    return Settings(select, ignore, per_file, thresholds, budgets, origin, fail_on, baseline, step)


def _step(table: Mapping[str, Any], origin: str) -> Step | None:
    if "batch" not in table and "micro-batches" in table:
        raise _wrong(
            "E523", f"{origin}: micro-batches: a batch of which size is divided is not said", "batch = 32"
        )
    if "batch" not in table:
        return None
    batch, number = table["batch"], table.get("micro-batches", 1)
    message, help = misfit(batch, number)
    if message:
        raise _wrong("E523", f"{origin}: {message.replace('micro_batches', 'micro-batches')}", help)
    return Step(batch, number)


def _words(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _wrong(
            "E523", f"{where}: must be a list of rules, got {value!r}", 'for example ["L4", "huge_fc"]'
        )
    check_words(value, where)
    return tuple(value)


def _thresholds(table: Mapping[str, Any], origin: str) -> dict[str, dict[str, float]]:
    names = {rule.name(): rule for rule in catalogue().values()}
    result: dict[str, dict[str, float]] = {}
    for name, values in table.items():
        where = f"{origin}: thresholds.{name}"
        if name not in names:
            help = did_you_mean(name, list(names))
            raise _wrong("E522", f"{origin}: thresholds: there is no rule `{name}`", help)
        known = names[name].thresholds
        for key, value in _expect(values, where).items():
            if key not in known:
                has = f"it has {', '.join(known)}" if known else "it has none"
                help = did_you_mean(key, list(known)) or has
                raise _wrong("E521", f"{where}: unknown threshold `{key}`", help)
            if type(value) not in (int, float) or not 0 <= value < float("inf"):
                raise _wrong("E523", f"{where}.{key}: must be a number from 0, got {value!r}")
            result.setdefault(name, {})[key] = value
    return result


def _limit(quantity: str, limit: Any, where: str) -> str:
    """Return a limit as the language writes it."""
    known = list(quantities())
    if quantity not in known:
        help = did_you_mean(quantity, known) or f"there are {', '.join(known)}"
        raise _wrong("E521", f"{where}: unknown quantity `{quantity}`", help)
    text = str(limit) if type(limit) is int else limit
    try:
        if not isinstance(text, str) or not isinstance(_budget(quantity, text).claim, tree.Binary):
            raise ValueError
        claim = _budget(quantity, text).claim
        if not isinstance(claim, tree.Binary) or not isinstance(claim.right, tree.Number):
            raise ValueError
    except (NetError, ValueError):
        raise _wrong(
            "E523", f"{where}: {quantity} must be a number, got {limit!r}", 'for example "5M"'
        ) from None
    return text


def _budget(quantity: str, limit: str) -> Budget:
    """Return `quantity <= limit` as a claim about a whole net."""
    source = Source("<budget>", f"net N:\n    require {quantity} <= {limit}\n")
    (net,) = parse(source).items
    assert isinstance(net, tree.Net)
    (require,) = net.body
    if not isinstance(require, tree.Require) or len(require.claims) != 1:
        raise ValueError
    claim = require.claims[0]
    return Budget(claim, source, Env(builtins()), "", "", Span(source, claim.start, claim.end))


def _expect(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _wrong("E523", f"{where}: must be a table, got {value!r}")
    return value


def _wrong(code: str, message: str, help: str = "") -> NetError:
    return NetError([Diagnostic(code, message, help=help)])
