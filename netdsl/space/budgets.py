"""What `require` claims of a space: as bounds of sums over what is counted, where they are that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil, floor, lcm
from types import SimpleNamespace
from typing import Any, NamedTuple

from netdsl.cost.budget import Claim
from netdsl.cost.model import Cost
from netdsl.elaborate.evaluate import Evaluator, is_number
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import Env, SpecError
from netdsl.quantities import Options, Quantity, catalogue
from netdsl.source import Source
from netdsl.syntax import tree

COUNTERS = tuple(Cost._fields)
"""What is counted of each layer, in this order: of those that always are there, then of those of training alone."""


class Total(NamedTuple):
    """A sum of counters over the layers of a net, or of a part of it."""

    weights: tuple[int, ...]
    """By counter."""
    scope: str = ""
    """The module it is of; "" for the net."""
    stage: str = ""
    """The stage of that; "" for all of it."""

    @property
    def whole(self) -> bool:
        """Whether it is of the net."""
        return not self.scope and not self.stage

    def times(self, factor: int) -> Total:
        """Return it a number of times."""
        return self._replace(weights=tuple([factor * weight for weight in self.weights]))

    def has(self, scope: str, stage: str) -> bool:
        """Tell whether layers of a module and a stage are among those that it is of."""
        inside = not self.scope or scope == self.scope or scope.startswith(f"{self.scope}.")
        return inside and self.stage in ("", stage)

    def of(self, costs: Sequence[int]) -> int:
        """Return the sum of what is counted."""
        return sum([weight * n for weight, n in zip(self.weights, costs, strict=True) if weight])


class Bound(NamedTuple):
    """A total that is at most a number, as one comparison claims it."""

    total: Total
    most: int
    budget: Budget


class Form(NamedTuple):
    """A number that is a sum of counters and a constant."""

    weights: tuple[Fraction, ...]
    constant: Fraction

    def plus(self, other: Form, sign: int) -> Form:
        """Return the sum or difference."""
        weights = tuple([a + sign * b for a, b in zip(self.weights, other.weights, strict=True)])
        return Form(weights, self.constant + sign * other.constant)

    def times(self, factor: Fraction) -> Form:
        """Return it a number of times."""
        return Form(tuple([a * factor for a in self.weights]), self.constant * factor)


class NotSummed(Exception):
    """A claim is about something else than sums of counters."""


def weights_of(quantity: Quantity, options: Options) -> tuple[int, ...]:
    """Return how many times each counter is in a quantity."""
    found = []
    for train in (False, True):
        node = SimpleNamespace(name="layer", train=train)
        for counter in COUNTERS:
            cost = Cost(*[int(one == counter) for one in COUNTERS])
            net: Any = SimpleNamespace(layer_costs={"layer": cost})
            found.append(quantity.of(net, [node], options))  # type: ignore[list-item]
    return tuple(found)


class Summed(Claim):
    """The evaluation of a claim over all nets of a space: quantities are sums of what is counted."""

    def __init__(self, budget: Budget) -> None:
        """Take the claim."""
        Evaluator.__init__(self, 100_000)
        self.budget = budget
        self.met = False
        """Whether a quantity was read."""

    def bounds(self) -> list[Bound]:
        """Return what the claim demands; raise NotSummed, or SpecError if it means nothing."""
        return self.demanded(self.budget.claim, True)

    def demanded(self, node: tree.Expr, holds: bool) -> list[Bound]:
        """Return what follows from a claim that holds, or does not."""
        if isinstance(node, tree.Unary) and node.operator == "not":
            return self.demanded(node.operand, not holds)
        if isinstance(node, tree.Binary) and node.operator == ("and" if holds else "or"):
            return [*self.demanded(node.left, holds), *self.demanded(node.right, holds)]
        relation = node.operator if isinstance(node, tree.Binary) else ""
        if not holds:
            relation = {"<=": ">", "<": ">=", ">=": "<", ">": "<=", "!=": "=="}.get(relation, "")
        if relation not in ("<=", "<", ">=", ">", "=="):
            raise NotSummed
        assert isinstance(node, tree.Binary)
        self.met = False
        try:
            left, right = (self.form(side) for side in (node.left, node.right))
        except SpecError:
            if self.met:
                raise NotSummed from None
            raise
        less = left.plus(right, -1)
        signs = {"<": (1,), "<=": (1,), ">": (-1,), ">=": (-1,), "==": (1, -1)}[relation]
        return [self.bound(less.times(Fraction(sign)), relation in ("<", ">")) for sign in signs]

    def bound(self, form: Form, strict: bool) -> Bound:
        """Return the bound that says that a number is at most 0, or less."""
        scale = lcm(*[weight.denominator for weight in form.weights])
        most = -form.constant * scale
        whole = ceil(most) - 1 if strict else floor(most)
        weights = tuple([int(weight * scale) for weight in form.weights])
        return Bound(Total(weights, self.budget.scope, self.budget.stage), whole, self.budget)

    def form(self, node: tree.Expr) -> Form:
        """Return a side of a comparison."""
        return as_form(self.eval(node, self.budget.env, self.budget.source))

    def eval(self, node: tree.Expr, env: Env, source: Source) -> Any:
        """Return an expression's value: a sum of counters where it is no number."""
        target: tree.Expr = node.function if isinstance(node, tree.CallExpr) else node
        quantity: Any = catalogue().get(target.text) if isinstance(target, tree.Name) else None
        if isinstance(target, tree.Attribute) and target.name in catalogue():
            raise NotSummed
        if quantity is not None:
            self.met = True
            if not quantity.costed:
                raise NotSummed
            given: Mapping[str, Any] = {}
            if isinstance(node, tree.CallExpr):
                given = self.options(node.args, env, source)
            counts = weights_of(quantity, Options(**given))
            return Form(tuple(map(Fraction, counts)), Fraction(0))
        if isinstance(node, tree.Unary) and node.operator in ("-", "+"):
            value = self.eval(node.operand, env, source)
            if isinstance(value, Form):
                return value.times(Fraction(-1 if node.operator == "-" else 1))
        if isinstance(node, tree.Binary) and node.operator in ("+", "-", "*", "/"):
            left, right = self.eval(node.left, env, source), self.eval(node.right, env, source)
            if isinstance(left, Form) or isinstance(right, Form):
                return combined(node.operator, left, right)
        return Evaluator.eval(self, node, env, source)


def as_form(value: Any) -> Form:
    """Return a number or sum as a sum."""
    if isinstance(value, Form):
        return value
    if not is_number(value):
        raise NotSummed
    return Form((Fraction(0),) * 2 * len(COUNTERS), Fraction(value))


def combined(operator: str, left: Any, right: Any) -> Form:
    """Return what an operator makes of two values, of which one is a sum."""
    if operator in ("+", "-"):
        return as_form(left).plus(as_form(right), 1 if operator == "+" else -1)
    if isinstance(left, Form) and is_number(right) and right:
        return left.times(Fraction(right) if operator == "*" else 1 / Fraction(right))
    if isinstance(right, Form) and operator == "*" and is_number(left):
        return right.times(Fraction(left))
    raise NotSummed
