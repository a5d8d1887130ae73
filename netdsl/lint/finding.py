"""A finding: the hits of one rule at one place, in every net of a file, and what they would save."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from netdsl.cost.table import human
from netdsl.diagnostics import Diagnostic, Severity
from netdsl.diagnostics.render import render_json
from netdsl.lint.rule import Hit, Rule
from netdsl.quantities import Amounts, weighed
from netdsl.record import Record

if TYPE_CHECKING:
    from netdsl.lint.rewrite import Rewrite

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
    changes: tuple[Callable[[Rewrite], None], ...] = ()


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
        """A name that stays when lines move: of the code, the file, the line's text, and the layer."""
        from hashlib import sha256

        line = self.hit.span.source.line(self.hit.span.line).strip()
        return sha256("\0".join((self.code, self.spec, line, self.local)).encode()).hexdigest()[:20]

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


def saving_json(saving: Amounts | None) -> dict[str, Any] | None:
    """Return a saving as an object; below 0 where the better net costs more."""
    return None if saving is None else {q.name: q.plain(saving[q.name]) for q in weighed()}


def said(saving: Amounts, total: Amounts) -> str:
    """Return a saving as a sentence: "saves 2.1M params (8.2%), costs 3,136 ops more"."""
    less: list[str] = []
    more: list[str] = []
    for quantity in weighed():
        amount, whole = saving[quantity.name], total[quantity.name]
        if amount:
            share = f" ({100 * abs(amount) / whole:.1f}%)" if whole else ""
            (less if amount > 0 else more).append(f"{human(abs(amount))} {quantity.saving}{share}")
    parts = [f"saves {', '.join(less)}"] if less else []
    parts += [f"costs {', '.join(more)} more"] if more else []
    return ", ".join(parts) or "saves nothing that is counted"


def _some(names: tuple[str, ...]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
