"""Budgets: what `require` claims, held against what a net costs."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from netdsl.cost.model import OPTIMIZERS
from netdsl.cost.table import human
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.elaborate.evaluate import Evaluator, is_number
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import Env, Poisoned, SpecError, fail, show
from netdsl.ir.graph import Node
from netdsl.ir.types import DTYPES
from netdsl.quantities import Measured, Options, Quantity, catalogue, meant
from netdsl.sheet import aligned
from netdsl.source import Source, Span
from netdsl.syntax import tree

MAX_STEPS = 100_000
_NOT = {"<=": ">", "<": ">=", ">=": "<", ">": "<=", "==": "!=", "!=": "=="}
_SPENDERS = 5
_OPTIONS = ("batch", "dtype", "train", "optimizer")


class Facts(Measured, Protocol):
    """What a budget is held against; a `Net` is one."""

    @property
    def name(self) -> str:
        """The net's name."""

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """The claims."""


def check(net: Facts) -> list[Diagnostic]:
    """Return what is wrong with a net's claims: those that do not hold, and those that cannot be checked."""
    found = []
    for budget in net.budgets:
        claim = Claim(net, budget)
        try:
            holds, facts = claim.judge(budget.claim)
        except SpecError as error:
            found.append(error.diagnostic)
        except Poisoned:
            pass
        else:
            if not holds:
                found.append(claim.failure(facts))
    return found


class Asked(NamedTuple):
    """A number that a claim is about, and the nodes that it is of."""

    quantity: Quantity
    nodes: list[Node]
    options: Options


class Fact(NamedTuple):
    """One comparison as it turned out: `params 138.36M > 5M`, and what its larger side sums."""

    text: str
    spent: Asked | None


class Claim(Evaluator):
    """The evaluation of one claim: the language's expressions, in which quantities are numbers."""

    def __init__(self, net: Facts, budget: Budget) -> None:
        """Find what the claim is about."""
        super().__init__(MAX_STEPS)
        self.net = net
        self.budget = budget
        self.scopes = {scope.path: scope for scope in net.graph.tree.scopes()}
        self.used: list[Asked] = []

    @property
    def about(self) -> list[Node]:
        """The nodes of the net, or of the module or stage in whose body the claim stands."""
        scope = self.scopes[self.budget.scope]
        nodes = [self.net.graph[name] for name in scope.nodes()]
        if self.budget.stage:
            nodes = [node for node in nodes if node.stage == self.budget.stage]
        return nodes

    # ---------------------------------------------------------------- claims

    def judge(self, node: tree.Expr) -> tuple[bool, list[Fact]]:
        """Return whether a claim holds, and the comparisons that decided it."""
        if isinstance(node, tree.Unary) and node.operator == "not":
            holds, facts = self.judge(node.operand)
            return not holds, facts
        if isinstance(node, tree.Binary) and node.operator in ("and", "or"):
            sides = [self.judge(node.left), self.judge(node.right)]
            holds = (all if node.operator == "and" else any)(side for side, _ in sides)
            return holds, [fact for side, facts in sides if side == holds for fact in facts]
        if isinstance(node, tree.Binary) and node.operator in _NOT:
            return self.compare(node)
        span = Span(self.budget.source, node.start, node.end)
        raise fail("E403", f"`{span.text}` is no comparison", span, "for example: require params <= 5M")

    def compare(self, node: tree.Binary) -> tuple[bool, list[Fact]]:
        """Return whether a comparison holds, and what it found."""
        budget = self.budget
        sides = []
        for side in (node.left, node.right):
            self.used = []
            value = self.eval(side, budget.env, budget.source)
            if not is_number(value):
                raise fail("E203", f"a budget compares numbers, got {show(value)}", self.span(side))
            sides.append((side, value, self.used[0] if self.used else None))
        (left, a, spent_left), (right, b, spent_right) = sides
        compare = tree.Binary(
            node.start,
            node.end,
            node.operator,
            tree.Number(left.start, left.end, a),
            tree.Number(right.start, right.end, b),
        )
        holds: bool = super().eval(compare, budget.env, budget.source)
        relation = node.operator if holds else _NOT[node.operator]
        shown = self.shown(left, a, spent_left), self.shown(right, b, spent_right)
        if shown[0] == shown[1] and a != b:
            shown = f"{a:,}", f"{b:,}"
        texts = [
            (self.span(side).text if isinstance(side, tree.Number) else number)
            if spent is None
            else f"{self.where}{self.span(side).text} {number}"
            for (side, _, spent), number in zip(sides, shown, strict=True)
        ]
        return holds, [Fact(f"{texts[0]} {relation} {texts[1]}", spent_left if a >= b else spent_right)]

    def shown(self, side: tree.Expr, number: Any, spent: Asked | None) -> str:
        """Return the number of a side as people say it: with its unit where it is just one of bytes."""
        plain = spent is not None and not isinstance(side, tree.Binary | tree.Unary)
        return human(number) + ("B" if plain and spent and spent.quantity.unit == "bytes" else "")

    @property
    def where(self) -> str:
        """What stands before a quantity's name, if the claim is not about the net."""
        scope, stage = self.budget.scope, self.budget.stage
        if stage:
            return f"{scope}, stage {stage}: " if scope else f"stage {stage}: "
        return f"{scope}." if scope else ""

    def span(self, node: tree.Tree) -> Span:
        """Return a part of the claim."""
        return Span(self.budget.source, node.start, node.end)

    def failure(self, facts: list[Fact]) -> Diagnostic:
        """Return the diagnostic for a claim that does not hold, with who spends most."""
        message = f"{self.net.name}: {' and '.join(fact.text for fact in facts)}"
        spent = next((fact.spent for fact in facts if fact.spent is not None), None)
        spenders = [] if spent is None or not spent.quantity.additive else self.spenders(spent)
        whole = sum(amount for _, amount in spenders)
        if not whole:
            return Diagnostic("E401", message, self.budget.span)
        first, amount = spenders[0]
        table = [
            (node.name, node.op.name, f"{number:,}", f"{100 * number / whole:.1f}%")
            for node, number in spenders[:_SPENDERS]
            if number
        ]
        share = f" ({first.name} has {100 * amount / whole:.0f}%)"
        return Diagnostic("E401", message + share, self.budget.span, details=tuple(aligned(table, (0, 1))))

    def spenders(self, asked: Asked) -> list[tuple[Node, int]]:
        """Return the nodes with what each spends, the largest first."""
        amounts = [(node, asked.quantity.of(self.net, [node], asked.options)) for node in asked.nodes]
        return sorted(amounts, key=lambda pair: -pair[1])

    # ---------------------------------------------------------------- expressions

    def eval(self, node: tree.Expr, env: Env, source: Source) -> Any:
        """Return an expression's value; a quantity is its number."""
        target: tree.Expr = node.function if isinstance(node, tree.CallExpr) else node
        if isinstance(target, tree.Attribute):
            name, nodes = target.name, None
        elif isinstance(target, tree.Name):
            name, nodes = target.text, self.about
        else:
            return super().eval(node, env, source)
        quantity = catalogue().get(name)
        if quantity is None:
            return super().eval(node, env, source)
        if nodes is None:
            assert isinstance(target, tree.Attribute)
            nodes = self.module(target.value, env, source)
        args = node.args if isinstance(node, tree.CallExpr) else ()
        span = Span(source, node.start, node.end)
        if args and not quantity.options:
            raise fail("E405", f"`{name}` takes no options, got `{span.text}`", span)
        given = self.options(args, env, source)
        options = Options(**given)
        part = quantity.whole and len(nodes) < len(self.net.graph)
        if "optimizer" in given and not ("optimizer" in quantity.options and options.train):
            help = "for example: memory(train, optimizer=adam)"
            raise fail("E405", f"an optimizer is of memory in training, got `{span.text}`", span, help)
        if part or (options.train and "train" not in quantity.options):
            what = "of a part" if part else "in training"
            sums = ", ".join(q.name for q in catalogue().values() if q.additive)
            about = "the whole net" if quantity.whole else "layers"
            help = f"{name} is that of {about} in evaluation; there are {sums}"
            raise fail("E402", f"{name} {what} cannot be checked yet", span, help)
        self.used.append(Asked(quantity, nodes, options))
        try:
            return quantity.number(quantity.of(self.net, nodes, options))
        except (
            NetError
        ) as error:  # of a dtype that has no gradients, or an op that does not say what it keeps
            raise SpecError(error.diagnostics[0].replace(span=span)) from None

    def name(self, node: tree.Name, env: Env, source: Source) -> Any:
        """Return a name's value; an unknown one was meant to be a quantity."""
        try:
            return super().name(node, env, source)
        except SpecError as error:
            known = list(catalogue())
            raise SpecError(error.diagnostic.replace(help=meant(node.text, known))) from None

    def module(self, node: tree.Expr, env: Env, source: Source) -> list[Node]:
        """Return the nodes of a module named by its path from where the claim stands."""
        path = ".".join((*([self.budget.scope] if self.budget.scope else []), *self.path(node, env, source)))
        scope = self.scopes.get(path)
        if scope is not None:
            return [self.net.graph[name] for name in scope.nodes()]
        if path in self.net.graph:
            return [self.net.graph[path]]
        listed = [node for node in self.net.graph if node.name.startswith(f"{path}.")]
        if listed:
            return listed
        here = self.scopes[self.budget.scope]
        inputs = self.net.graph.inputs.values()
        labels = [here.local(item) for item in here.written if item not in inputs]
        span = Span(source, node.start, node.end)
        help = did_you_mean(span.text, labels) or f"the labels here are {', '.join(labels[:10])}"
        raise fail("E404", f"there is no module `{span.text}` here", span, help)

    def path(self, node: tree.Expr, env: Env, source: Source) -> tuple[str, ...]:
        """Return the labels of `a.b`, or of `a.b[0]`."""
        if isinstance(node, tree.Attribute):
            return (*self.path(node.value, env, source), node.name)
        if isinstance(node, tree.Index):
            index = Evaluator.eval(self, node.index, env, source)
            if type(index) is int:
                return (*self.path(node.value, env, source), str(index))
        if isinstance(node, (tree.Name, tree.Template)):
            return (self.text(node, env, source),)
        span = Span(source, node.start, node.end)
        raise fail(
            "E404", f"`{span.text}` is no module", span, "a module is named by its label: features.params"
        )

    def options(self, args: tuple[tree.Argument, ...], env: Env, source: Source) -> dict[str, Any]:
        """Return the arguments of `macs(batch=8)`."""
        options: dict[str, Any] = {}
        for arg in args:
            span = Span(source, arg.start, arg.end)
            if not isinstance(arg, tree.Keyword) or arg.name not in _OPTIONS or arg.name in options:
                help = "for example: activations(batch=32, dtype=float16)"
                raise fail("E405", f"a quantity takes {', '.join(_OPTIONS)}, got `{span.text}`", span, help)
            words = {"dtype": tuple(DTYPES), "optimizer": OPTIMIZERS}.get(arg.name)
            value = self.eval(arg.value, env, source) if words is None else self.word(arg, words)
            if arg.name == "batch" and (type(value) is not int or value < 1):
                raise fail("E405", f"batch must be an int from 1, got {show(value)}", span)
            if arg.name == "train" and not isinstance(value, bool):
                raise fail("E405", f"train must be true or false, got {show(value)}", span)
            options[arg.name] = value
        return options

    def word(self, arg: tree.Keyword, known: tuple[str, ...]) -> str:
        """Return the name of a dtype or an optimizer."""
        span = self.span(arg.value)
        if isinstance(arg.value, tree.Name) and arg.value.text in known:
            return arg.value.text
        help = did_you_mean(span.text, list(known)) or f"there are {', '.join(known)}"
        raise fail("E405", f"unknown {arg.name} `{span.text}`", span, help)
