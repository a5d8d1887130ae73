"""Findings as text, as JSON, as commands for GitHub, and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netdsl.diagnostics import Diagnostic
from netdsl.diagnostics.render import printable, render_json, render_text, summary
from netdsl.lint.finding import Finding, together
from netdsl.sheet import Look, aligned

VERSION = 1
"""Of the JSON form, docs/schema/lint.json."""


def text(findings: Sequence[Finding], color: bool = False, width: int = 0) -> str:
    """Return the findings with carets, and what they come to, in so many columns; no newline at the end."""
    if not findings:
        return "nothing found"
    shown = [f"{render_text(finding.diagnostic(), color, width)}\n" for finding in findings]
    made = [finding.hit.fix for finding in findings if finding.fixable and finding.hit.fix is not None]
    safe = sum(fix.safe for fix in made)
    fixes = f"; --fix mends {safe}" if made else ""
    fixes += f", with --unsafe-fixes {len(made)}" if len(made) > safe else ""
    sums = [Look(width).hung(line) for line in together(findings)]
    shown += ["".join(f"{line}\n" for line in sums)] if sums else []
    return "\n".join([*shown, summary([finding.diagnostic() for finding in findings]) + fixes])


def concise(findings: Sequence[Finding], diagnostics: Sequence[Diagnostic]) -> str:
    """Return one line an error and a finding, without a newline at the end.

    A line is `file:line:column: severity[code name] message; help`.
    """
    lines = []
    for wrong in diagnostics:
        place = f"{wrong.span}: " if wrong.span is not None else ""
        help = f"; help: {wrong.help}" if wrong.help else ""
        lines.append(f"{place}{wrong.severity}[{wrong.code}] {wrong.message}{help}")
    for finding in findings:
        hit, count = finding.hit, f" ({finding.count} layers)" if finding.count > 1 else ""
        lines.append(
            f"{hit.span}: {finding.severity}[{finding.code} {finding.name}] {hit.message}{count}; help: {hit.help}"
        )
    return "\n".join(map(printable, lines))


def json_form(
    findings: Sequence[Finding], diagnostics: Sequence[Diagnostic], notes: Sequence[str]
) -> dict[str, Any]:
    """Return the findings as an object for `json.dumps`; see docs/schema/lint.json."""
    return {
        "version": VERSION,
        "findings": [finding.json() for finding in findings],
        "diagnostics": render_json(diagnostics)["diagnostics"],
        "notes": list(notes),
    }


def github(findings: Sequence[Finding], diagnostics: Sequence[Diagnostic]) -> str:
    """Return one workflow command a line, which GitHub shows beside the lines of a change."""
    lines = [_command(d, d.code) for d in diagnostics]
    for finding in findings:
        shown = finding.diagnostic()
        facts = "".join(f"\n{fact}" for fact in (*shown.details, *([shown.help] if shown.help else [])))
        lines.append(_command(shown.replace(message=shown.message + facts), shown.code))
    return "\n".join(lines)


def _command(diagnostic: Diagnostic, title: str) -> str:
    kind = {"error": "error", "warning": "warning", "info": "notice"}[diagnostic.severity]
    properties = []
    span = diagnostic.span
    if span is not None:
        end_line, end_column = span.source.position(span.end)
        properties = [f"file={_property(span.source.name)}", f"line={span.line}", f"endLine={end_line}"]
        if end_line == span.line:  # GitHub knows columns within one line only
            properties += [f"col={span.column}", f"endColumn={end_column}"]
    properties.append(f"title={_property(title)}")
    return f"::{kind} {','.join(properties)}::{_data(diagnostic.message)}"


def _data(text: str) -> str:
    """Return a message as GitHub's toolkit escapes it."""
    return "%0A".join(printable(line).replace("%", "%25") for line in text.split("\n"))


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def statistics(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return how often each rule found something, the most frequent first."""
    counts: dict[str, list[Finding]] = {}
    for finding in findings:
        counts.setdefault(finding.code, []).append(finding)
    rows = sorted(counts.values(), key=lambda found: (-len(found), found[0].code))
    return [
        {
            "code": found[0].code,
            "rule": found[0].name,
            "findings": len(found),
            "layers": sum(finding.count for finding in found),
            "fixable": sum(finding.fixable for finding in found),
        }
        for found in rows
    ]


def statistics_text(findings: Sequence[Finding]) -> str:
    """Return the counts as a table; no newline at the end."""
    header = ("findings", "layers", "fixable", "code", "rule")
    rows = [tuple(str(row[key]) for key in header) for row in statistics(findings)]
    return "\n".join(aligned([header, *rows], left=(3, 4)))
