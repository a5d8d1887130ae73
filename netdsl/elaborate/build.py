"""A net or variant to its graph: its parameters, its body, its outputs, its decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, Label, NetError, did_you_mean
from netdsl.elaborate.arguments import Param, bind, check_allowed, coerce, declared_parameters, merge, takes
from netdsl.elaborate.copies import Copies
from netdsl.elaborate.draft import Call, DraftScope, Naming, Place
from netdsl.elaborate.evaluate import deep_recursion
from netdsl.elaborate.finish import Finisher
from netdsl.elaborate.inits import joined
from netdsl.elaborate.result import Allow, Budget, Decision, Elaborated
from netdsl.elaborate.shared import Shared
from netdsl.elaborate.values import (
    POISON,
    Answer,
    BlockDecl,
    Choice,
    Data,
    Env,
    Given,
    NetDecl,
    OpValue,
    Poisoned,
    SpecError,
    VariantDecl,
    Wire,
    fail,
    show,
)
from netdsl.elaborate.walk import Walker
from netdsl.ir.types import MAX_NODES, Dims, Shape
from netdsl.ops import Op
from netdsl.record import Record
from netdsl.source import Span
from netdsl.syntax import tree
from netdsl.syntax.answers import written
from netdsl.syntax.tokens import MAX_FLOAT

_SHOWN = 12
"""How many decisions a help lists."""

__all__ = ["MAX_NODES", "Allow", "Budget", "Decision", "Elaborated", "Elaborator", "Recipe"]


class Builder(Walker):
    """A walker for which layers with the same arguments are one op, which is asked once for what it makes.

    A block is run once for all calls that give it the same.
    """

    def __init__(
        self, settings: Mapping[str, Any], inputs: Mapping[str, Shape], max_nodes: int, shared: Shared
    ) -> None:
        """`shared` is what the nets of a file share."""
        super().__init__(settings, inputs, max_nodes)
        shared.forget()
        self.shared = shared
        self.looked_into: set[BlockDecl] = set()
        self.copies: Copies | None = Copies()
        """What blocks made; None for a walker that runs each."""
        self.namings: list[tuple[Naming, Wire, DraftScope, str]] = []
        """How values got names, in that order."""
        self.notes: list[Any] = []
        """What a walker that watches says of what it runs, in that order."""
        self.asked = 0
        """How often a decision was met, or what a net says of itself."""

    def made_op(self, target: type[Op], fields: Mapping[str, Any]) -> Op:
        """Return the op with these arguments; types count, so that 1 is not 1.0."""
        values = [(*value.items(),) if type(value) is dict else value for value in fields.values()]
        key = (target, *fields, *values, *map(type, values))
        op = self.shared.ops.get(key)
        if op is None:
            op = self.shared.ops[key] = target(**fields)
        return op

    def check_layer(self, node: tree.Layer, place: Place) -> tuple[OpValue, Mapping[str, Given]] | None:
        """Report what is wrong in the text of a block, too, whatever flows there."""
        value = place.env.find_name(node.op.text)
        decl = value.target if isinstance(value, OpValue) else None
        try:
            called = super().check_layer(node, place)
        except Poisoned:
            if isinstance(decl, BlockDecl):
                self.look_into(decl, self.nothing_given(decl, place.span(node)), node, place)
            raise
        value, own = called or (None, {})
        if value is not None and isinstance(decl, BlockDecl):
            given = merge(place.defaults.get(decl.name, {}), value.args, own)
            self.look_into(decl, self.scheduled(given), node, place)
        return called

    @staticmethod
    def nothing_given(decl: BlockDecl, span: Span) -> dict[str, Given]:
        """Return arguments of a block of which nothing is known."""
        return dict.fromkeys(declared_parameters(decl), Given(POISON, span))

    def look_into(self, decl: BlockDecl, given: Mapping[str, Given], node: tree.Tree, place: Place) -> None:
        """Run a block's body on a value that nobody knows, once, for what is wrong in its text."""
        if decl in self.looked_into:
            return
        self.looked_into.add(decl)
        span = place.span(node)
        scope = DraftScope("block", "", span, decl.name)
        self.evaluator.enter(node, place.source)
        try:
            self.inside(Call(decl, given, POISON, place, scope, span))
        finally:
            self.evaluator.depth -= 1

    def inside(self, call: Call) -> Data:
        """Run a block's body, or copy what it made before."""
        return super().inside(call) if self.copies is None else self.copies.inside(self, call, super().inside)

    def decision(
        self, name: str, options: tuple[str, ...], node: tree.Tree, span: Span, values: tuple[Any, ...] = ()
    ) -> int:
        """Return the index of the option that a decision takes."""
        self.asked += 1
        return super().decision(name, options, node, span, values)

    def meta_line(self, node: tree.Meta, place: Place) -> None:
        """`meta year=2014`."""
        self.asked += 1
        super().meta_line(node, place)

    def name_value(self, how: Naming, wire: Wire, scope: DraftScope, name: str) -> None:
        """Note what a value is called in a scope."""
        if self.copies is not None:
            self.namings.append((how, wire, scope, name))
        super().name_value(how, wire, scope, name)

    def effects(self) -> tuple[Any, ...]:
        """Return what is another after something that each call of a block has to do itself."""
        return (
            len(self.errors),
            self.repeated,
            self.asked,
            len(self.budgets),
            self.whole,
            dict(self.evaluator.ramps),
        )

    @property
    def runs_again(self) -> bool:
        """Whether this is in a module that `same` runs again."""
        return self._again is not None

    def around(self) -> Iterator[BlockDecl]:
        """Yield the blocks around the one that this is in."""
        return (decl for decl, _, _ in self._active[:-1])

    def inferred(self, op: Op, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return what an op makes of values."""
        key = (id(op), shapes, *[shape.axes for shape in shapes])
        found = self.shared.outputs.get(key)
        if found is None:
            found = self.shared.outputs[key] = super().inferred(op, shapes), op
        return found[0]


class Recipe(Record):
    """What a net is made from, so that it can be made again with another setting: `recipe.replace(settings=...)`."""

    net: NetDecl
    variant: VariantDecl | None
    settings: Mapping[str, Any]
    """Values by parameter or decision."""
    inputs: Mapping[str, Shape]
    """Shapes by input; "" is the only one."""
    max_nodes: int = MAX_NODES

    @property
    def answers(self) -> Mapping[str, Any]:
        """All that is given: what the variant's text decides, and the settings, which win."""
        return {**self.variant.decided, **self.settings} if self.variant is not None else self.settings

    def given(self, settings: Mapping[str, Any]) -> Self:
        """Return what makes the same net with further settings, which win."""
        return self.replace(settings={**self.settings, **settings})

    def elaborate(self) -> Elaborated:
        """Return the net's graph; raise NetError with every error found."""
        return Elaborator(self).run()

    def first(self) -> dict[str, str]:
        """Return the first option of each decision that is left open; raise NetError for what else is wrong."""
        elaborator = Elaborator(self)
        try:
            elaborator.run()
        except NetError as error:
            if not is_open(error):
                raise
        return {
            one.name: one.options[0] for one in elaborator.walker.decisions.values() if one.chosen is None
        }


def is_open(error: NetError) -> bool:
    """Tell whether what is wrong with a net is only that decisions are left open: it is a search space."""
    return all(one.code == "E217" and one.details for one in error.diagnostics)


class Elaborator:
    """One elaboration of one net."""

    def __init__(self, recipe: Recipe) -> None:
        """Begin with nothing."""
        self.recipe = recipe
        self.net = net = recipe.net
        self.walker: Walker = Builder(recipe.answers, recipe.inputs, recipe.max_nodes, net.file.shared)
        self.params = declared_parameters(net)
        self.span = Span(net.file.source, net.node.start, net.node.end)

    def run(self) -> Elaborated:
        """Return the net's graph, or raise NetError with every error found."""
        try:
            with deep_recursion(), no_collection():
                return self._run()
        finally:
            del self.walker.evaluator  # which knows the walker: in a circle, all drafts would live on

    def place(self) -> Place:
        """Return where the net's body begins."""
        net = self.net
        root = DraftScope("net", "", self.span, net.name)
        self.walker.scopes.append(root)
        return Place(Env(net.file.env), None, root, net.file.source, net.defaults, True)

    def bind(self, place: Place) -> dict[str, Given]:
        """Put the net's parameters into its names; return those that are given."""
        given = self.given(place)
        self.walker.bind_parameters(self.net, self.params, given, place, self.span)
        return given

    def _run(self) -> Elaborated:
        net, walker = self.net, self.walker
        place = self.place()
        given: dict[str, Given] = {}
        params: dict[str, Any] = {}
        try:
            walker.enter_file(net.file)
            given = self.bind(place)
            params = dict(place.scope.args)
            result = walker.net_body(net.node.body, place)
            self.variant_body(place)
            if not walker.errors and walker.whole:
                self.finish(result, place)
        except SpecError as error:
            walker.record(error.diagnostic, place)
        except Poisoned:
            raise NetError(walker.errors) from None
        self.raise_errors(walker.whole)
        for check in (self.check_settings, self.check_decided, self.check_decisions):
            walker.errors += check()
            self.raise_errors()
        finisher = Finisher(
            walker.drafts, walker.scopes, walker.outputs, walker.early, walker.given, net.file.shared
        )
        for diagnostic in finisher.unlabelled():
            walker.record(diagnostic, place)
        self.raise_errors()
        graph, shapes = finisher.graph(walker.inputs, (net.file.inits, walker.inits), walker.evaluator)
        return Elaborated(
            graph,
            shapes,
            params,
            frozenset(given),
            frozenset(walker.given),
            tuple(walker.budgets),
            walker.meta,
            tuple(walker.allows.values()),
            tuple(walker.decisions.values()),
            walker.deciding,
            joined((net.file.inits, walker.inits)),
            frozenset([type(draft.op) for draft in walker.drafts]),
            frozenset([scope.block for scope in walker.scopes if scope.block]),
        )

    def raise_errors(self, whole: bool = True) -> None:
        """Raise what has been recorded; nothing further is said of a net that could not be read as a whole."""
        if self.walker.errors or not whole:
            raise NetError(self.walker.errors)

    # ---------------------------------------------------------------- parameters

    def given(self, place: Place) -> dict[str, Given]:
        """Return the values that the variant and the caller give, the caller's winning."""
        given: dict[str, Given] = {}
        self.walker.at(place)
        if self.recipe.variant is not None:
            v, evaluator = self.recipe.variant, self.walker.evaluator
            given = bind(evaluator, self.params, v.node.args, v.file.env, v.file.source, self.net.name)
            for name, answer in v.decided.items():
                if name in self.params and name not in self.walker.decisions:
                    self.check_answer(answer, self.params[name], given.get(name))
        for name, value in self.recipe.answers.items():
            if name in self.params and name not in self.walker.decisions:
                given[name] = self.setting(self.params[name], value, place)
        return given

    def check_answer(self, answer: Answer, param: Param, given: Given | None) -> None:
        """Refuse what a variant decides of a parameter that is no decision, or that has a value already."""
        name, net = param.name, self.net.name
        if not isinstance(param.default, tree.Choice):
            what = f"`{name}` is a parameter of {net}, and no decision"
            raise fail(
                "E228", what, answer.span, f"give it as an argument: {net}({name}={answer.option.text})"
            )
        if given is not None:
            labels = (Label(given.span, "the argument is here"),) if given.span is not None else ()
            what = f"`{name}` is given as an argument and decided"
            raise fail("E228", what, answer.span, "take one of them out", labels=labels)

    def setting(self, param: Param, value: Any, place: Place) -> Given:
        """Return a value given from outside, or decided by a variant, checked like an argument."""
        span = self.span
        if isinstance(param.default, tree.Choice):
            choice = self.walker.evaluator.eval(param.default, place.env, place.source)
            assert isinstance(choice, Choice)
            span = value.span if isinstance(value, Answer) else self.span
            value = self.walker.decide(choice, param.name)
        large = isinstance(value, float) and not abs(value) <= MAX_FLOAT
        if large or not takes(param.types, value):
            what = f"{self.net.name}: {param.name} must be {param.describe()}, got {show(value)}"
            raise fail("E504", what, span, self.as_float(param, value) or self.as_example(param))
        given = Given(coerce(value, param.types), span)
        check_allowed(self.walker.evaluator, param, given, self.net.name)
        return given

    def as_float(self, param: Param, value: Any) -> str:
        """Return the help for a fraction where a default of 0 or 1 makes a parameter an int; "" for anything else."""
        declared = next(one for one in self.net.node.params if one.name.text == param.name)
        default = declared.default.value if isinstance(declared.default, tree.Number) else None
        if not isinstance(value, float) or declared.type is not None or default not in (0, 1):
            return ""
        return f"declare it as {param.name}: float = {default}"

    @staticmethod
    def as_example(param: Param) -> str:
        """Return the help that gives a parameter a value that it would take."""
        examples = {"int": 10, "float": 0.5, "bool": True, "dims": Dims((3, 3)), "op": None, "list": (1, 2)}
        value = show(examples[param.types[0]]) if param.types[0] in examples else "..."
        return f"for example {param.name}={value}"

    # ---------------------------------------------------------------- after the body

    def variant_body(self, place: Place) -> None:
        """Run the variant's own `meta` and `require`; what it decides holds from the begin."""
        if self.recipe.variant is None:
            return
        v = self.recipe.variant
        inner = Place(place.env, place.flow, place.scope, v.file.source, v.defaults, True)
        for statement in v.node.body:
            if isinstance(statement, tree.Broken):
                self.walker.whole = False
            elif not isinstance(statement, (tree.Decide, tree.Meta, tree.Require)):
                what = "a variant's body holds `decide`, `meta` and `require` only"
                self.walker.record(fail("E225", what, inner.span(statement)).diagnostic, inner)
        self.walker.body(tuple(s for s in v.node.body if isinstance(s, (tree.Meta, tree.Require))), inner)

    def finish(self, result: Data | None, place: Place) -> None:
        """Note the net's outputs."""
        walker, name = self.walker, self.net.name
        if not walker.inputs:
            raise fail("E305", f"{name} has no input", self.span, "for example: input 3, 224x224")
        if result is None or result.poisoned:
            raise Poisoned
        if len(result.wires) != 1:
            help = "join them (-> concat), or name them: output p2: from flow[0]"
            raise fail("E305", f"{name} ends with a tuple of {len(result.wires)} values", self.span, help)
        outputs = [("out", result.wires[0], False), *walker.outputs]
        for label, wire, _ in outputs:
            if not walker.batched(wire):
                raise walker.no_sample(f"{name} returns as {label}", walker.drafts[wire.draft].span)
        outputs.sort(key=lambda output: walker.field(output[0])[0])
        walker.outputs = [(walker.field(label)[1], wire, train) for label, wire, train in outputs]
        place.scope.exit = tuple(wire for _, wire, _ in walker.outputs)
        place.scope.end = len(walker.drafts)

    def check_settings(self) -> list[Diagnostic]:
        """Return errors for settings and inputs that name nothing."""
        errors, inputs = [], self.walker.inputs
        known = [*self.params, *self.walker.decisions]
        for name in self.recipe.settings:
            if name not in known:
                has = f"it has {', '.join(known)}" if known else "it has no parameters"
                message = f"{self.net.name} has no parameter `{name}`"
                help = did_you_mean(name, known) or has
                errors.append(Diagnostic("E504", message, self.span, help=help))
        for name in self.recipe.inputs:
            if name not in inputs and not (name == "" and len(inputs) == 1):
                message = f"{self.net.name} has " + (f"no input `{name}`" if name else "several inputs")
                help = f"--input NAME=CxHxW, with NAME of {', '.join(inputs)}"
                errors.append(Diagnostic("E505", message, self.span, help=help))
        return errors

    def check_decided(self) -> list[Diagnostic]:
        """Return errors for what a variant decides that its net lacks.

        Where settings changed the net, a decision of the variant as it stands may be gone, which is no error.
        """
        variant, known = self.recipe.variant, [*self.walker.decisions]
        left = (
            []
            if variant is None
            else [variant.decided[name] for name in variant.decided if name not in known]
        )
        if left and (self.recipe.settings or self.recipe.inputs):
            alone = Elaborator(Recipe(self.net, variant, {}, {}, self.recipe.max_nodes))
            try:
                alone.run()
            except NetError as error:
                if "E228" in {one.code for one in error.diagnostics}:
                    return list(error.diagnostics)
            left = [answer for answer in left if answer.node.name.text not in alone.walker.decisions]
        errors = []
        for answer in left:
            name = answer.node.name.text
            has = "; ".join(
                f"{one}: {', '.join(self.walker.decisions[one].options)}" for one in known[:_SHOWN]
            )
            has += "; ..." if len(known) > _SHOWN else ""
            help = did_you_mean(name, known) or (f"it has {has}" if known else "it is no search space")
            what = f"{self.net.name} has no decision `{name}`"
            errors.append(Diagnostic("E228", what, answer.name, help=help))
        return errors

    def check_decisions(self) -> list[Diagnostic]:
        """Return an error for a space that is not wholly decided."""
        undecided = [d for d in self.walker.decisions.values() if d.chosen is None]
        if not undecided:
            return []
        first, count = undecided[0], len(undecided)
        details = tuple(f"{d.name}: {', '.join(d.options)}" for d in undecided[:30])
        variant = self.recipe.variant
        name = variant.name if variant is not None else self.net.name
        what = f"{name} is a search space with {count} open decision{'s' if count > 1 else ''}"
        given = f"--set {first.name}={first.options[0]}"
        help = f'decide with {given}, in Python set={{"{first.name}": "{first.options[0]}"}}'
        labels: tuple[Label, ...] = ()
        if variant is not None:
            help = f"in its body: decide {written(first.name, first.options[0])}; or for once {given}"
            span = Span(variant.file.source, variant.node.start, variant.node.end)
            labels = (Label(span, "the variant is here"),)
        help += "; `netdsl space` says what nets there are"
        return [Diagnostic("E217", what, first.span, labels=labels, help=help, details=details)]
