"""What the linter says of a text, as plain values that one process can hand to another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from netdsl import api
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.build import is_open
from netdsl.elaborate.files import Files, Importer
from netdsl.elaborate.values import FileScope
from netdsl.lint import config
from netdsl.lint.engine import Loaded, Run, sample
from netdsl.lint.finding import Finding
from netdsl.lint.fix import proven
from netdsl.net import Net
from netdsl.source import Source


class Change(NamedTuple):
    """Some characters, and what to write instead of them."""

    start: int
    end: int
    text: str


class Place(NamedTuple):
    """A further place of a finding, and what to say there."""

    start: int
    end: int
    message: str


class Found(NamedTuple):
    """One finding of the linter in the text that was looked at."""

    code: str
    rule: str
    severity: str
    message: str
    start: int
    end: int
    help: str
    details: tuple[str, ...]
    places: tuple[Place, ...]
    fix: tuple[Change, ...] = ()
    """The edits that mend it, which were tried: the nets are what the rule has promised."""
    safe: bool = False
    moved: tuple[str, ...] = ()
    """The tensors of the state that it gives other names or shapes."""


def findings(source: Source, importer: Importer) -> list[Found]:
    """Return what the rules find in a text, as far as its nets can be elaborated; nothing of a text with errors."""
    try:
        file = Files(importer).load(source)
        settings = config.load(source.path.parent if source.path is not None else Path())
    except NetError:
        return []
    loaded = _load(file)
    found = Run(loaded, settings).findings()

    def load(text: str) -> Loaded:
        """Load another text of the file."""
        return _load(Files(importer).load(Source(source.name, text, source.path)), strict=True)

    if any(one.fixable for one in found):
        found = proven(found, loaded, load)
    return [_plain(one, source) for one in found if one.hit.span.source is source]


def _load(file: FileScope, strict: bool = False) -> Loaded:
    """Return the nets of a file that are right; of a search space the one that takes the first options.

    Raises:
        NetError: One is wrong, if `strict`.
    """
    nets: list[Net] = []
    complete = True
    for recipe in api.recipes(file, "", {}, {}) if api.instances(file) else ():
        try:
            try:
                nets.append(Net(recipe))
            except NetError as error:
                if not is_open(error):
                    raise
                nets.append(sample(recipe)[0])
                complete = False
        except NetError:
            if strict:
                raise
            complete = False
    return Loaded(file, nets, complete)


def _plain(finding: Finding, source: Source) -> Found:
    """Return a finding as plain values."""
    shown = finding.diagnostic()
    fix = finding.hit.fix if finding.fixable else None
    edits = fix.edits if fix is not None else ()
    return Found(
        finding.code,
        finding.name,
        finding.severity,
        shown.message,
        finding.hit.span.start,
        finding.hit.span.end,
        shown.help,
        shown.details,
        _places(shown, source),
        tuple(Change(one.span.start, one.span.end, one.text) for one in edits if one.span.source is source),
        fix.safe if fix is not None else False,
        fix.moved if fix is not None else (),
    )


def _places(shown: Diagnostic, source: Source) -> tuple[Place, ...]:
    labels: Sequence[tuple[int, int, str]] = [
        (one.span.start, one.span.end, one.message) for one in shown.labels if one.span.source is source
    ]
    calls = [
        (one.span.start, one.span.end, f"in {one.what}") for one in shown.calls if one.span.source is source
    ]
    return tuple(Place(*one) for one in (*labels, *calls))
