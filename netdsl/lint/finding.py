"""A finding: the hits of one rule at one place, in every net of a file, and what they would save."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from netdsl.cost.table import human
from netdsl.diagnostics import Diagnostic, Severity
from netdsl.diagnostics.render import render_json, render_text
from netdsl.lint.rule import Hit, Rule
from netdsl.net import Net
from netdsl.ops import OpError
from netdsl.quantities import Amounts, weighed
from netdsl.record import Record
from netdsl.transforms.rewrite import Rewrite, RewriteError

_COMMENT = re.compile(r'("[^"]*")|#.*')
_SHOWN = 4
"""How many layers and nets a text names before it counts."""


class InNet(Record):
    """A finding in one net: at which layers, and what the changes of all of them save together."""

    name: str
    layers: tuple[str, ...]
    saving: Amounts | None
    """By quantity, for one sample in float32; None if the rule knows no better net."""
    total: Amounts
    """What the net has of them."""
    changes: tuple[Callable[[Rewrite], None], ...]
    net: Net


class Finding(Record):
    """What a rule found at one place of a text, once however many instances and nets share it."""

    rule: type[Rule]
    hit: Hit
    """The instance that stands for all: the first of the net in which the saving is largest."""
    nets: tuple[InNet, ...]
    """Where it was found; empty if it is about the file."""
    spec: str
    """The file that was linted, without its folder."""
    local: str = ""
    """The layer's path from its block, which its copies have in common."""
    fixable: bool = False
    """Whether the text can be edited: every instance of the line is found, and the file is the linted one.

    What comes of that is known only when it is tried, as the command does: netdsl/lint/fix.py.
    """

    def __str__(self) -> str:
        """Return what `netdsl lint` prints of it, which says what --fix does, too, where it sees the whole file."""
        return render_text(self.diagnostic())

    @property
    def code(self) -> str:
        """The rule's code."""
        return self.rule.code

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.name()

    @property
    def message(self) -> str:
        """The sentence, with the numbers."""
        return self.hit.message

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.hit.severity or self.rule.severity

    @property
    def saving(self) -> Amounts | None:
        """What all changes together save in the net that stands for all."""
        return self.nets[0].saving if self.nets else None

    @property
    def count(self) -> int:
        """How many layers it is about in the net that stands for all."""
        return len(self.nets[0].layers) if self.nets else 1

    @property
    def fingerprint(self) -> str:
        """A name that stays when lines move: of the code, the file, the line without its comment, and the labels."""
        from hashlib import sha256

        line = _COMMENT.sub(r"\1", self.hit.span.source.line(self.hit.span.line)).strip()
        labels = ".".join(part for part in self.local.split(".") if not part.isdigit())
        return sha256("\0".join((self.code, self.spec, line, labels)).encode()).hexdigest()[:20]

    def diagnostic(self) -> Diagnostic:
        """Return it as what can be shown with carets."""
        hit = self.hit
        return Diagnostic(
            f"{self.code} {self.name}",
            hit.message,
            hit.span,
            hit.note,
            self.severity,
            hit.labels,
            hit.calls,
            hit.help,
            (*hit.details, *self._facts()),
        )

    def _facts(self) -> list[str]:
        facts = []
        if self.count > 1:
            layers = self.nets[0].layers
            facts.append(f"{self.count} layers: {_some(layers)}")
        if self.saving is not None:
            facts.append(f"{said(self.saving, self.nets[0].total)} of {self.nets[0].name}")
        if len(self.nets) > 1:
            facts.append(f"in {len(self.nets)} nets: {_some(tuple(net.name for net in self.nets))}")
        if self.fixable and self.hit.fix is not None:
            fix = self.hit.fix
            changes = f", and checkpoints no longer load, such as `{fix.moved[0]}`" if fix.moved else ""
            facts.append("--fix does it" if fix.safe else f"--fix --unsafe-fixes does it{changes}")
        return facts

    def json(self) -> dict[str, Any]:
        """Return it as an object for `json.dumps`; see docs/schema/lint.json."""
        shown: Any = render_json([self.diagnostic().replace(details=self.hit.details)])["diagnostics"]
        fix = self.hit.fix if self.fixable else None
        return {
            **shown[0],
            "code": self.code,
            "rule": self.name,
            "spec": self.spec,
            "layer": self.hit.layer,
            "count": self.count,
            "saving": saving_json(self.saving),
            "nets": [
                {"name": net.name, "layers": list(net.layers), "saving": saving_json(net.saving)}
                for net in self.nets
            ],
            "fix": fix
            and {
                "safe": fix.safe,
                "edits": [
                    {**_where(edit.span.start, edit.span.end, self), "text": edit.text} for edit in fix.edits
                ],
            },
            "fingerprint": self.fingerprint,
        }


def _where(start: int, end: int, finding: Finding) -> dict[str, int]:
    source = finding.hit.span.source
    (line, column), (end_line, end_column) = source.position(start), source.position(end)
    return {"line": line, "column": column, "end_line": end_line, "end_column": end_column}


def saved(net: Net, changes: Iterable[Callable[[Rewrite], None]]) -> Amounts | None:
    """Return what all changes save together; None if they cannot all be made."""
    rewrite = Rewrite(net)
    try:
        for change in changes:
            change(rewrite)
        return rewrite.saving()
    except (RewriteError, OpError):
        return None


def together(findings: Iterable[Finding]) -> list[str]:
    """Return a sentence for each net that several findings would make smaller: what all of them save.

    Two findings may be about the same layers, so that their savings do not add up: all changes are made to one net,
    but for those that the ones before have made impossible.
    """
    about: dict[int, list[InNet]] = {}
    for finding in findings:
        for found in finding.nets:
            if found.saving is not None:
                about.setdefault(id(found.net), []).append(found)
    sentences = []
    for several in about.values():
        made: tuple[Callable[[Rewrite], None], ...] = ()
        saving, count = several[0].saving, 0
        for found in several if len(several) > 1 else ():
            more = saved(found.net, (*made, *found.changes))
            if more is not None:
                made, saving, count = (*made, *found.changes), more, count + 1
        if count > 1 and saving is not None:
            sentences.append(
                f"{count} of them together: {said(saving, several[0].total)} of {several[0].name}"
            )
    return sentences


def saving_json(saving: Amounts | None) -> dict[str, Any] | None:
    """Return a saving as an object; below 0 where the better net costs more."""
    return None if saving is None else {q.name: q.plain(saving[q.name]) for q in weighed()}


def said(saving: Amounts, total: Amounts) -> str:
    """Return a saving as a sentence: "saves 2.1M params (8.2%), costs 3,136 ops (<0.1%) more".

    What share of all that is follows `Quantity.among`: of MACs and of ops, that of the net's whole work.
    """
    less: list[str] = []
    more: list[str] = []
    for quantity in weighed():
        amount = saving[quantity.name]
        if amount:
            part = 100 * quantity.part(abs(amount), total)
            share = f" ({part:.1f}%)" if part >= 0.05 else " (<0.1%)"
            (less if amount > 0 else more).append(f"{human(abs(amount))} {quantity.saving}{share}")
    parts = [f"saves {', '.join(less)}"] if less else []
    parts += [f"costs {', '.join(more)} more"] if more else []
    return ", ".join(parts) or "saves nothing that is counted"


def _some(names: tuple[str, ...]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
