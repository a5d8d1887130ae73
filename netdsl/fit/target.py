"""What is asked for: quantities of `require`, each with its number."""

from __future__ import annotations

from netdsl.cost.budget import Claim
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.diagnostics.render import printable
from netdsl.elaborate.evaluate import builtins, is_number
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import Env, SpecError
from netdsl.net import Net
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.parse import parse

_FORM = "for example macs=4.1G, or params<=25M"


class Target(Record):
    """One side of what is asked for: a quantity, how it compares, and with what."""

    text: str
    """The quantity, as it was written."""
    relation: str
    """`==` is met as closely as possible; the others have to hold."""
    claim: tree.Binary
    source: Source

    @property
    def asked(self) -> str:
        """The whole of it, as it was written but for spaces."""
        right = self.source.text[self.claim.right.start : self.claim.right.end]
        return f"{self.text} {'=' if self.relation == '==' else self.relation} {right}"

    def sides(self, net: Net) -> tuple[float, float]:
        """Return the quantity's number for a net, and what it is held against; raise NetError."""
        span = Span(self.source, self.claim.start, self.claim.end)
        env = Env(builtins())
        claim = Claim(net, Budget(self.claim, self.source, env, "", "", span))
        try:
            left, right = (claim.eval(side, env, self.source) for side in (self.claim.left, self.claim.right))
        except SpecError as error:
            said = error.diagnostic
            raise wrong("E560", f"{self.asked}: {said.message}", said.help) from None
        if not is_number(left) or not is_number(right):
            raise wrong("E560", f"a target compares numbers, got {self.asked}", _FORM)
        return left, right

    def holds(self, left: float, right: float) -> bool:
        """Tell whether numbers compare as they should."""
        return {
            "==": left == right,
            "<=": left <= right,
            "<": left < right,
            ">=": left >= right,
            ">": left > right,
        }[self.relation]


def read_target(text: str) -> tuple[Target, ...]:
    """Return the targets of a text: the claims of a `require` line, in which `=` is `==`; raise NetError."""
    depth, written = 0, ""
    for at, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        alone = char == "=" and not depth and text[at - 1 : at] not in ("<", ">", "=", "!")
        written += "==" if alone and text[at + 1 : at + 2] != "=" else char
    source = Source("<target>", f"net N:\n    require {written}\n")
    malformed = wrong("E560", f"a target is a quantity and its number, got `{printable(text)}`", _FORM)
    if not text.isprintable():
        raise malformed
    try:
        (net,) = parse(source).items
    except NetError as error:
        said = error.diagnostics[0].message
        raise wrong("E560", f"cannot read the target `{text}`: {said}", _FORM) from None
    claims = [claim for line in getattr(net, "body", ()) for claim in getattr(line, "claims", ())]
    found = []
    for claim in claims:
        if not isinstance(claim, tree.Binary) or claim.operator not in ("==", "<=", "<", ">=", ">"):
            raise malformed
        quantity = source.text[claim.left.start : claim.left.end]
        found.append(Target(quantity, claim.operator, claim, source))
    return tuple(found)


def wrong(code: str, message: str, help: str = "", details: tuple[str, ...] = ()) -> NetError:
    """Return an error that has no place: what is asked for stands in no spec."""
    return NetError([Diagnostic(code, message, help=help, details=details)])
