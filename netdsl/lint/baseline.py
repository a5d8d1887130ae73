"""Findings that are known and left alone, so that an old project can begin to lint."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from netdsl import reading
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.lint.finding import Finding

VERSION = 2
MAX_BYTES = 16 * 1024 * 1024
"""Of a baseline, some 60,000 findings."""

Entry = dict[str, str]
"""A finding's fingerprint and, for people, its rule, spec, layer and text."""
Looked = Collection[tuple[str, str]]
"""What was looked at: specs, without their folders, and codes of rules."""


def _entry(finding: Finding) -> Entry:
    return {
        "fingerprint": finding.fingerprint,
        "rule": f"{finding.code} {finding.name}",
        "spec": finding.spec,
        "layer": finding.local,
        "text": finding.hit.span.source.line(finding.hit.span.line).strip(),
    }


def render(findings: Sequence[Finding], entries: Sequence[Entry], looked: Looked) -> dict[str, Any]:
    """Return a baseline as an object for `json.dumps`: what was found, and entries of what was not looked at."""
    found = Counter(finding.fingerprint for finding in findings)
    kept = []
    for one in _unseen(entries, looked):
        found[one["fingerprint"]] -= 1
        if found[one["fingerprint"]] < 0:
            kept.append(one)
    return {"version": VERSION, "findings": [*kept, *map(_entry, findings)]}


def read(file: Path) -> list[Entry]:
    """Return the entries of a baseline; NetError if it is none."""
    import json

    try:
        data = json.loads(reading.text(file, MAX_BYTES))
        entries: list[Entry] = data["findings"]
        if not all(isinstance(one[key], str) for one in entries for key in ("fingerprint", "rule", "spec")):
            raise ValueError
        if data["version"] != VERSION:
            raise _wrong(f"{file} is a baseline of another version", "--write-baseline makes it anew")
    except reading.Unreadable as error:
        help = "" if os.path.exists(file) else "--write-baseline makes it"
        raise _wrong(f"cannot read {file}: {error}", help) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _wrong(f"{file} is no baseline", "--write-baseline makes one") from None
    return entries


def unknown(findings: Sequence[Finding], entries: Sequence[Entry]) -> list[Finding]:
    """Return the findings that a baseline does not hold; one entry covers one finding."""
    left = Counter(one["fingerprint"] for one in entries)
    result = []
    for finding in findings:
        name = finding.fingerprint
        if left[name] > 0:
            left[name] -= 1
        else:
            result.append(finding)
    return result


def _unseen(entries: Sequence[Entry], looked: Looked) -> list[Entry]:
    """Return the entries of specs and rules that were not looked at, of which nothing is known."""
    return [one for one in entries if (one["spec"], one["rule"].partition(" ")[0]) not in looked]


def stale(findings: Sequence[Finding], entries: Sequence[Entry], looked: Looked, name: str) -> list[str]:
    """Return a note if a baseline holds what is not found any more where it was looked for."""
    elsewhere = Counter(one["fingerprint"] for one in _unseen(entries, looked))
    found = Counter(finding.fingerprint for finding in findings)
    gone = (Counter(one["fingerprint"] for one in entries) - elsewhere - found).total()
    if not gone:
        return []
    what = "a finding that is" if gone == 1 else f"{gone} findings that are"
    return [
        f"{name} holds {what} not there any more: --write-baseline leaves {'it' if gone == 1 else 'them'} out"
    ]


def _wrong(message: str, help: str = "") -> NetError:
    return NetError([Diagnostic("E524", message, help=help)])
