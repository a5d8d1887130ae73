"""Mending a file: edits are applied only if every net of the new text is the graph that was promised."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netdsl.diagnostics import NetError
from netdsl.lint.config import Settings
from netdsl.lint.edits import Edit, apply
from netdsl.lint.engine import Loaded, Run
from netdsl.lint.finding import Finding
from netdsl.lint.rewrite import Rewrite, RewriteError, signature
from netdsl.net import Net

MAX_ROUNDS = 20
"""A fix may make another possible, but two that undo each other would go on for ever."""


Load = Callable[[str], Loaded]
"""Elaborates every net of a file that held this text; NetError if one is wrong."""


class Fixed:
    """What has become of a text."""

    def __init__(self, text: str) -> None:
        """Start with the text as it is."""
        self.text = text
        self.applied: list[Finding] = []
        self.refused: list[Finding] = []
        """Fixes whose text does not make the graph that was promised."""


def fix(text: str, load: Load, settings: Settings, unsafe: bool = False) -> Fixed:
    """Return a text with every fix that keeps its promise; raise NetError if the text is wrong to begin with."""
    fixed = Fixed(text)
    refused: set[tuple[str, str]] = set()
    for _ in range(MAX_ROUNDS):
        before = load(fixed.text)
        findings = Run(before, settings).findings()
        together = _apart([f for f in findings if _wanted(f, unsafe) and _key(f) not in refused])
        new = _mended(fixed.text, together, before.nets, load)
        if new is None:
            good = [f for f in together if _mended(fixed.text, [f], before.nets, load) is not None]
            bad = [f for f in together if f not in good]
            refused |= {_key(f) for f in bad}
            fixed.refused += bad
            together = good if bad else good[:1]
            new = _mended(fixed.text, together, before.nets, load)
        if not together:
            break
        if new is not None:
            fixed.text = new
            fixed.applied += together
    return fixed


def _key(finding: Finding) -> tuple[str, str]:
    """Return what names a finding while the text around it changes."""
    return finding.code, finding.local or finding.message


def _wanted(finding: Finding, unsafe: bool) -> bool:
    fix = finding.hit.fix
    return finding.fixable and fix is not None and (fix.safe or unsafe)


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, in order, whose edits touch none of those before them."""
    taken: list[Edit] = []
    result = []
    for finding in findings:
        edits = finding.hit.fix.edits if finding.hit.fix is not None else ()
        if not any(_touch(edit, other) for edit in edits for other in taken):
            taken += edits
            result.append(finding)
    return result


def _touch(one: Edit, other: Edit) -> bool:
    return one.span.start <= other.span.end and other.span.start <= one.span.end


def _mended(text: str, findings: Sequence[Finding], nets: Sequence[Net], load: Load) -> str | None:
    """Return the text with the fixes of some findings, or None if it is not what they have promised."""
    if not findings:
        return None
    new = apply(text, (edit for f in findings if f.hit.fix is not None for edit in f.hit.fix.edits))
    try:
        after = load(new).nets
        if [net.name for net in after] != [net.name for net in nets]:
            return None
        for old, now in zip(nets, after, strict=True):
            rewrite = Rewrite(old)
            for finding in findings:
                for found in finding.nets:
                    if found.name == old.name:
                        for change in found.changes:
                            change(rewrite)
            if signature(rewrite.ordered(), rewrite.outputs) != signature(now.graph, now.graph.outputs):
                return None
    except (NetError, RewriteError):
        return None
    return new
