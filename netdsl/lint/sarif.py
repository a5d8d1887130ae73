"""Findings as SARIF 2.1.0, which code hosts and editors read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from netdsl import __version__
from netdsl.diagnostics import Diagnostic
from netdsl.diagnostics.render import printable
from netdsl.lint.docs import first_line, section, url
from netdsl.lint.finding import Finding, saving_json
from netdsl.lint.rules import catalogue
from netdsl.source import Span

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(findings: Sequence[Finding], diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """Return one run of the linter, with every rule that found something."""
    codes = sorted({finding.code for finding in findings})
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(codes)},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not diagnostics,
                        "toolExecutionNotifications": [_notification(d) for d in diagnostics],
                    }
                ],
                "results": [_result(finding, codes.index(finding.code)) for finding in findings],
            }
        ],
    }


def _driver(codes: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "netdsl lint",
        "version": __version__,
        "rules": [_rule(code) for code in codes],
    }


def _rule(code: str) -> dict[str, Any]:
    rule = catalogue()[code]
    return {
        "id": code,
        "name": rule.name(),
        "shortDescription": {"text": first_line(rule)},
        "fullDescription": {"text": section(rule, "What it does")},
        **({"helpUri": url(rule)} if url(rule) else {}),
        "help": {"text": section(rule, "Why is this bad")},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    hit = finding.hit
    facts = [f"{fact}" for fact in finding.diagnostic().details]
    help = [f"help: {hit.help}"] if hit.help else []
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": printable(hit.message) + "".join(f"\n{printable(f)}" for f in (*facts, *help))},
        "locations": [_location(hit.span, hit.layer)],
        "partialFingerprints": {"netdsl/v2": finding.fingerprint},
        "properties": {
            "nets": [net.name for net in finding.nets],
            "layers": finding.count,
            "saving": saving_json(finding.saving),
        },
    }
    related = [
        *((label.span, label.message) for label in hit.labels),
        *((frame.span, f"in {frame.what}") for frame in hit.calls),
    ]
    if related:
        result["relatedLocations"] = [
            {**_location(span), "id": number, "message": {"text": printable(message)}}
            for number, (span, message) in enumerate(related)
        ]
    if finding.fixable and hit.fix is not None and hit.fix.safe:
        result["fixes"] = [
            {
                "description": {"text": printable(hit.help) or "mend it"},
                "artifactChanges": [
                    {
                        "artifactLocation": {"uri": _uri(hit.span)},
                        "replacements": [
                            {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
                            for edit in hit.fix.edits
                        ],
                    }
                ],
            }
        ]
    return result


def _location(span: Span, layer: str = "") -> dict[str, Any]:
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(span)}, "region": _region(span)}
    }
    if layer:
        location["logicalLocations"] = [{"fullyQualifiedName": layer, "kind": "module"}]
    return location


def _region(span: Span) -> dict[str, int]:
    """Return lines and columns from 1; an end is exclusive, as here."""
    end_line, end_column = span.source.position(span.end)
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": end_line,
        "endColumn": end_column,
    }


def _uri(span: Span) -> str:
    """Return a file's name as a URI: an absolute path with its scheme, another with its characters quoted."""
    from urllib.parse import quote

    path = PurePath(span.source.name)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _notification(diagnostic: Diagnostic) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "level": LEVELS[diagnostic.severity],
        "message": {"text": printable(diagnostic.message)},
        "descriptor": {"id": diagnostic.code},
    }
    if diagnostic.span is not None:
        shown["locations"] = [_location(diagnostic.span)]
    return shown
