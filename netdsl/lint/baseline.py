"""Findings that are known and left alone, so that an old project can begin to lint."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netdsl import reading
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.lint.finding import Finding

VERSION = 1
MAX_BYTES = 16 * 1024 * 1024
"""Of a baseline, some 60,000 findings."""


def render(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return a baseline as an object for `json.dumps`: fingerprints, and what they mean to people."""
    return {
        "version": VERSION,
        "findings": [
            {
                "fingerprint": finding.fingerprint,
                "rule": f"{finding.code} {finding.name}",
                "spec": finding.spec,
                "layer": finding.local,
                "text": finding.hit.span.source.line(finding.hit.span.line).strip(),
            }
            for finding in findings
        ],
    }


def read(file: Path) -> Counter[str]:
    """Return the fingerprints of a baseline, and how often each is in it; NetError if it is none."""
    import json

    try:
        data = json.loads(reading.text(file, MAX_BYTES))
        if data["version"] != VERSION:
            raise ValueError
        fingerprints = [entry["fingerprint"] for entry in data["findings"]]
        if not all(isinstance(one, str) for one in fingerprints):
            raise ValueError
    except reading.Unreadable as error:
        help = "" if os.path.exists(file) else "--write-baseline makes it"
        raise _wrong(f"cannot read {file}: {error}", help) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _wrong(f"{file} is no baseline", "--write-baseline makes one") from None
    return Counter(fingerprints)


def unknown(findings: Sequence[Finding], known: Counter[str]) -> list[Finding]:
    """Return the findings that a baseline does not hold; one entry covers one finding."""
    left = known.copy()
    result = []
    for finding in findings:
        name = finding.fingerprint
        if left[name] > 0:
            left[name] -= 1
        else:
            result.append(finding)
    return result


def stale(findings: Sequence[Finding], known: Counter[str], name: str) -> list[str]:
    """Return a note if a baseline holds what is not found any more."""
    gone = (known - Counter(finding.fingerprint for finding in findings)).total()
    if not gone:
        return []
    what = "a finding that is" if gone == 1 else f"{gone} findings that are"
    return [
        f"{name} holds {what} not there any more: --write-baseline leaves {'it' if gone == 1 else 'them'} out"
    ]


def _wrong(message: str, help: str = "") -> NetError:
    return NetError([Diagnostic("E524", message, help=help)])
