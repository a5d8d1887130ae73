"""A variant to a graph: walk its body with (flow, scope, names); every layer makes one node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from netdsl.diagnostics import Diagnostic, Frame, Label, NetError, did_you_mean
from netdsl.elaborate.arguments import Param, bind, check_allowed, coerce, declared_parameters, merge, op_parameters, takes
from netdsl.elaborate.evaluate import MAX_INT, Evaluator
from netdsl.elaborate.names import reserved_attribute
from netdsl.elaborate.values import (
    MISSING,
    POISON,
    BlockDecl,
    Choice,
    Data,
    Env,
    Given,
    Lexical,
    NetDecl,
    OpValue,
    Poisoned,
    Ramp,
    SpecError,
    VariantDecl,
    Wire,
    fail,
    kind_of,
    show,
    unknown,
)
from netdsl.ir.graph import Graph, Node, Output, Scope, Value
from netdsl.ir.types import DEFAULT_INIT, MAX_ELEMENTS, Dims, Init, Shape
from netdsl.ops import Op, OpError, catalogue
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree

MAX_NODES = 1_000_000
MAX_ERRORS = 20
JOINTS = ("add", "mul", "concat")


class Budget(Record):
    """A `require`: the claim, where it was made, and what it is about."""

    claim: tree.Expr
    source: Source
    env: Env
    scope: str
    """Path of the module it is about; "" for the net."""
    stage: str
    span: Span


class Allow(Record):
    """`@allow(rule, "reason")` and the text it is about."""

    rule: str
    reason: str
    about: Span
    span: Span


class Decision(Record):
    """A decision of a search space."""

    name: str
    options: tuple[str, ...]
    chosen: int | None
    span: Span


class Elaborated(Record):
    """A net worked out: its graph, the shapes met on the way, and what the spec says about it."""

    graph: Graph
    shapes: Mapping[str, tuple[Shape, ...]]
    params: Mapping[str, Any]
    """The net's parameters with their values."""
    given: frozenset[str]
    """Those that the variant or the caller gave."""
    budgets: tuple[Budget, ...]
    meta: Mapping[str, Any]
    allows: tuple[Allow, ...]
    decisions: tuple[Decision, ...]


class Draft:
    """A node before it has a name."""

    __slots__ = ("calls", "inits", "inputs", "key", "op", "ramps", "scope", "shapes", "span", "stage", "train")

    def __init__(
        self, op: Op, inputs: tuple[Wire, ...], shapes: tuple[Shape, ...], span: Span, place: Place, key: str
    ) -> None:
        """`key` is its name in the scope; "" for wiring, which gets one when all others are known."""
        self.op = op
        self.inputs = inputs
        self.shapes = shapes
        self.span = span
        self.calls = place.calls
        self.stage = place.stage
        self.train = place.train
        self.scope = place.scope
        self.inits = place.inits
        self.key = key
        self.ramps: dict[str, Ramp] = {}


class DraftScope(Scope):
    """A scope that is being filled."""

    def __init__(self, kind: Literal["net", "block", "container"], path: str, span: Span, block: str = "") -> None:
        """Start empty."""
        super().__init__(kind, path, span, block)
        self.taken: dict[str, Span] = {}
        self.position = 0
        self.begin = 0
        self.end = 0
        self.entry: tuple[Wire, ...] = ()
        self.exit: tuple[Wire, ...] = ()
        self.drafts: list[int | DraftScope] = []
        self.calls: tuple[Frame, ...] = ()

    def join(self, name: str) -> str:
        """Return the path of a child."""
        return f"{self.path}.{name}" if self.path else name


class Place:
    """Where a statement runs."""

    __slots__ = ("calls", "copy", "defaults", "env", "flow", "inits", "returned", "scope", "source", "stage", "train", "turns")

    def __init__(self, env: Env, flow: Data | None, scope: DraftScope, source: Source, lexical: Lexical) -> None:
        """Start at the beginning of a block's or net's body."""
        self.env = env
        self.flow = flow
        self.scope = scope
        self.source = source
        self.defaults = dict(lexical.defaults)
        self.inits: Mapping[str, Mapping[str, Init]] = {}
        self.calls: tuple[Frame, ...] = ()
        self.stage = ""
        self.train = False
        self.copy: int | None = None
        self.turns: tuple[int, ...] = ()
        self.returned = False

    def inner(self, scope: DraftScope) -> Place:
        """Return the place in a container: names of its own, the same defaults."""
        place = object.__new__(Place)
        for name in Place.__slots__:
            setattr(place, name, getattr(self, name))
        place.scope = scope
        place.env = Env(self.env)
        place.returned = False
        return place

    def span(self, node: tree.Tree) -> Span:
        """Return a node's place in the text."""
        return Span(self.source, node.start, node.end)


class Elaborator:
    """One elaboration of one net."""

    def __init__(
        self,
        net: NetDecl,
        variant: VariantDecl | None,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Shape],
        max_nodes: int = MAX_NODES,
    ) -> None:
        """`settings` are values by parameter or decision; `inputs` override the net's, "" naming the only one."""
        self.net = net
        self.variant = variant
        self.settings = settings
        self.input_shapes = inputs
        self.max_nodes = max_nodes
        self.evaluator = Evaluator(20 * max_nodes)
        self.evaluator.decide = self.decide
        self.errors: list[Diagnostic] = []
        self._seen: set[tuple[str, Source | None, int]] = set()
        self.drafts: list[Draft] = []
        self.scopes: list[DraftScope] = []
        self.input_drafts: dict[str, int] = {}
        self.output_drafts: list[tuple[str, Wire, bool]] = []
        self.budgets: list[Budget] = []
        self.allows: list[Allow] = []
        self.meta: dict[str, Any] = {}
        self.decisions: dict[str, tuple[tree.Choice, tuple[int, ...], Decision]] = {}
        self.active: list[BlockDecl] = []
        self.place: Place
        self.used: set[str] = set()

    # ---------------------------------------------------------------- the net

    def run(self) -> Elaborated:
        """Return the net's graph, or raise NetError with every error found."""
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(max(limit, 20_000))  # depth is limited by count, with a span
        try:
            return self._run()
        finally:
            sys.setrecursionlimit(limit)

    def _run(self) -> Elaborated:
        decl = self.net
        source = decl.file.source
        root = DraftScope("net", "", Span(source, decl.node.start, decl.node.end), decl.name)
        place = Place(Env(decl.file.env), None, root, source, decl.lexical)
        self.place = place
        self.scopes.append(root)
        result = None
        given: frozenset[str] = frozenset()
        try:
            given = self.parameters(place)
            result = self.body(decl.node.body, place)
            if self.variant is not None:
                inner = Place(place.env, place.flow, root, self.variant.file.source, self.variant.lexical)
                inner.calls = ()
                self.body(self.variant.node.body, inner, only=(tree.Meta, tree.Require))
            if not self.errors:
                self.finish(result, place)
        except SpecError as error:
            self.record(error.diagnostic, place)
        except Poisoned:
            pass
        self.check_settings()
        self.check_decisions()
        if self.errors:
            raise NetError(self.errors)
        graph, shapes = self.name_everything()
        return Elaborated(
            graph,
            shapes,
            dict(root.args),
            given,
            tuple(self.budgets),
            self.meta,
            tuple(self.allows),
            tuple(d for _, _, d in self.decisions.values()),
        )

    def parameters(self, place: Place) -> frozenset[str]:
        """Bind the net's parameters: the caller's, the variant's, the defaults."""
        decl = self.net
        params = declared_parameters(decl.node.params, decl.file.env)
        given: dict[str, Given] = {}
        if self.variant is not None:
            v = self.variant
            given = bind(self.evaluator, params, v.node.args, v.file.env, v.file.source, decl.name)
        for name, value in self.settings.items():
            if name in params:
                self.used.add(name)
                given[name] = self.setting(name, params[name], value, place)
        self.bind_parameters(params, given, place, decl.name, Span(place.source, decl.node.start, decl.node.end))
        return frozenset(given)

    def setting(self, name: str, param: Param, value: Any, place: Place) -> Given:
        """Return a value given from outside, checked like one in the text."""
        span = Span(self.net.file.source, self.net.node.start, self.net.node.end)
        node = next(p for p in self.net.node.params if p.name.text == name)
        if isinstance(node.default, tree.Choice) and isinstance(value, str):
            choice = self.evaluator.eval(node.default, self.net.file.env, place.source)
            value = self.decide(choice, name)
        if not takes(param.types, value):
            what = f"{self.net.name}: {name} must be {param.describe()}, got {show(value)}"
            raise fail("E504", what, span, f"for example --set {name}={show(self.example(param))}")
        given = Given(coerce(value, param.types), span)
        check_allowed(self.evaluator, param, given, self.net.file.env, place.source, self.net.name)
        return given

    @staticmethod
    def example(param: Param) -> Any:
        """Return a value that a parameter would take."""
        examples = {"int": 10, "float": 0.5, "bool": True, "dims": Dims((3, 3)), "op": None}
        return examples.get(param.types[0], "...")

    def bind_parameters(
        self, params: Mapping[str, Param], given: Mapping[str, Given], place: Place, what: str, span: Span
    ) -> None:
        """Put parameters into the place's names, evaluating defaults in order."""
        env, args = place.env, place.scope.args
        for name, param in params.items():
            if name in given:
                value = given[name].value
            elif param.default is MISSING:
                raise fail("E204", f"{what} needs `{name}`", span, f"{name} is {param.describe()}")
            else:
                node: tree.Expr = param.default
                value = self.evaluator.eval(node, env, place.source)
                if isinstance(value, Choice):
                    value = self.decide(value, name)
                if not takes(param.types, value):
                    message = f"{what}: {name} must be {param.describe()}, got {show(value)}"
                    raise fail("E203", message, place.span(node))
                value = coerce(value, param.types)
            env.names[name] = value
            if place.scope.args is args:
                args[name] = value

    def finish(self, result: Data | None, place: Place) -> None:
        """Note the net's outputs."""
        span = place.scope.span
        if not self.input_drafts:
            raise fail("E305", f"{self.net.name} has no input", span, "for example: input 3, 224x224")
        if result is None or result.poisoned:
            return
        if len(result.wires) != 1:
            help = "join them (-> concat), or name them: output p2: from flow[0]"
            raise fail("E305", f"{self.net.name} ends with a tuple of {len(result.wires)} values", span, help)
        self.output_drafts.insert(0, ("out", result.wires[0], False))
        place.scope.exit = tuple(wire for _, wire, _ in self.output_drafts)
        place.scope.end = len(self.drafts)

    def check_settings(self) -> None:
        """Report settings and inputs that name nothing."""
        if self.errors:
            return
        params = declared_parameters(self.net.node.params, self.net.file.env)
        known = [*params, *self.decisions]
        span = Span(self.net.file.source, self.net.node.start, self.net.node.end)
        for name in self.settings:
            if name not in self.used and name not in self.decisions:
                help = did_you_mean(name, known) or (f"it has {', '.join(known)}" if known else "it has no parameters")
                message = f"{self.net.name} has no parameter `{name}`"
                self.errors.append(Diagnostic("E504", message, span, help=help))
        for name in self.input_shapes:
            if name not in self.input_drafts and not (name == "" and len(self.input_drafts) == 1):
                names = ", ".join(self.input_drafts)
                message = f"{self.net.name} has no input `{name}`" if name else f"{self.net.name} has several inputs"
                self.errors.append(Diagnostic("E505", message, span, help=f"--input NAME=CxHxW, with NAME of {names}"))

    def check_decisions(self) -> None:
        """Report a space that is not wholly decided."""
        open_ = [d for _, _, d in self.decisions.values() if d.chosen is None]
        if not open_ or self.errors:
            return
        details = tuple(f"{d.name}: {', '.join(d.options)}" for d in open_[:30])
        first = open_[0]
        help = f"decide with --set {first.name}={first.options[0]}"
        message = f"{self.net.name} is a search space with {len(open_)} open decisions"
        self.errors.append(Diagnostic("E217", message, first.span, help=help, details=details))

    def decide(self, choice: Choice, name: str) -> Any:
        """Return what a decision takes; an open one takes its first option until all are reported."""
        if any(isinstance(option, Choice) for option in choice.options):
            raise fail("E217", "a choose in a choose: write one with all options", choice.span)
        options = tuple(show(option).strip('"') for option in choice.options)
        return choice.options[self.decision(name, options, choice.node, choice.span)]

    def decision(self, name: str, options: tuple[str, ...], node: Any, span: Span) -> int:
        """Return the index of the option that a decision takes, and note it."""
        full = self.place.scope.join(name)
        turns = self.place.turns
        known = self.decisions.get(full)
        if known is not None:
            if known[0] is not node or known[1] != turns:
                labels = (Label(known[2].span, "the first is here"),)
                raise fail("E217", f"two decisions are called `{full}`", span, "name one by a label around it", labels=labels)
            return known[2].chosen or 0
        chosen = None
        if full in self.settings:
            value = self.settings[full]
            text = value if isinstance(value, str) else show(value)
            if text not in options:
                raise fail("E504", f"{full} must be one of {', '.join(options)}, got {text}", span)
            chosen = options.index(text)
        self.decisions[full] = (node, turns, Decision(full, options, chosen, span))
        return chosen or 0

    # ---------------------------------------------------------------- errors

    def record(self, diagnostic: Diagnostic, place: Place) -> None:
        """Keep an error, once however many instances meet it."""
        span = diagnostic.span
        key = (diagnostic.code, span.source if span else None, span.start if span else 0)
        if key in self._seen:
            return
        self._seen.add(key)
        calls = diagnostic.calls or place.calls
        self.errors.append(diagnostic.replace(calls=calls))

    def body(
        self, body: tree.Body, place: Place, only: tuple[type[tree.Statement], ...] = ()
    ) -> Data | None:
        """Run statements; an error in one leaves what it would have made unknown, and the next ones run."""
        self.evaluator.enter(place.scope.span, "bodies")
        for statement in body:
            if len(self.errors) >= MAX_ERRORS:
                break
            if only and not isinstance(statement, only):
                self.record(
                    fail("E225", "a variant's body holds `meta` and `require` only", place.span(statement)).diagnostic, place
                )
                continue
            try:
                if place.returned:
                    raise fail("E225", "nothing can follow `return`", place.span(statement))
                self.place = place
                self.evaluator.step(lambda: place.span(statement))  # noqa: B023 - called at once
                _RUN[type(statement)](self, statement, place)
            except SpecError as error:
                self.record(error.diagnostic, place)
                self.poison(statement, place)
            except Poisoned:
                self.poison(statement, place)
            place.env.names["flow"] = place.flow
        self.evaluator.depth -= 1
        return place.flow

    def poison(self, statement: tree.Statement, place: Place) -> None:
        """Make unknown what a failed statement would have made."""
        if isinstance(statement, tree.Annotated):
            return self.poison(statement.statement, place)
        labels: tuple[Any, ...] = ()
        if isinstance(statement, (tree.Line, tree.Container, tree.Merge, tree.Weight)):
            labels = (statement.label,)
        elif isinstance(statement, (tree.Bind, tree.Assign)):
            labels = statement.targets
        for label in labels:
            if isinstance(label, tree.Name):
                place.env.names[label.text] = POISON
        if not isinstance(statement, (tree.Bind, tree.Assign, tree.Weight, tree.Output, tree.Require, tree.Meta)):
            place.flow = POISON
        return None

    # ---------------------------------------------------------------- statements

    def line(self, node: tree.Line, place: Place) -> None:
        """`label: chain when condition`."""
        if node.condition is not None and not self.evaluator.truth(node.condition, place.env, place.source):
            return
        place.flow = self.labelled(node.label, node.chain, place)

    def labelled(self, label: tree.Label | None, chain: tree.Chain, place: Place) -> Data:
        """Run a chain under a label: the layer has it if the chain is one layer, else a Sequential."""
        if label is None:
            return self.chain(chain, place)
        name = self.evaluator.text(label, place.env, place.source)
        data = self.source(chain, place)
        steps = chain.steps
        if not steps:
            result = data
        elif len(steps) == 1 and isinstance(steps[0], tree.Layer) and steps[0].label is None:
            result = self.layer(steps[0], self.need(data, steps[0], place), place, label)
        else:
            group = steps[0] if len(steps) == 1 and isinstance(steps[0], tree.Group) else None
            with self.container(label, place, data) as inner:
                if group is not None and group.label is None:
                    result = self.branches(group, self.need(data, group, inner), inner)
                else:
                    result = self.steps(steps, data, inner)
                inner.flow = result
        self.define(name, result, place, label)
        return result

    def define(self, name: str, value: Any, place: Place, node: tree.Tree) -> None:
        """Bind a name; ops and functions keep theirs."""
        if name == "flow":
            raise fail("E214", "`flow` is the value that flows", place.span(node))
        place.env.names[name] = value

    @contextmanager
    def container(self, label: tree.Label | None, place: Place, data: Data | None) -> Iterator[Place]:
        """Run in a new container; the place it yields ends with the container's value as its flow."""
        span = place.span(label) if label is not None else place.scope.span
        scope = self.open(
            "container", self.child(place, label, span), span, data.wires if data is not None else (), place
        )
        inner = place.inner(scope)
        inner.flow = data
        yield inner
        self.close(scope, inner.flow)
        self.place = place

    def open(
        self, kind: Literal["block", "container"], name: str, span: Span, entry: tuple[Wire, ...], place: Place,
        block: str = "",
    ) -> DraftScope:
        """Begin a scope."""
        scope = DraftScope(kind, place.scope.join(name), span, block)
        scope.entry = entry
        scope.begin = len(self.drafts)
        scope.calls = place.calls
        place.scope.drafts.append(scope)
        self.scopes.append(scope)
        if len(self.scopes) > self.max_nodes:
            raise fail("E213", f"the net has more than {self.max_nodes:,} modules", span)
        return scope

    def close(self, scope: DraftScope, result: Data | None) -> None:
        """End a scope."""
        scope.end = len(self.drafts)
        scope.exit = result.wires if result is not None else ()

    def child(self, place: Place, label: tree.Label | str | None, span: Span) -> str:
        """Return the name of a new child of the scope: its label, or its position."""
        scope = place.scope
        if label is None:
            name = str(scope.position)
        else:
            name = label if isinstance(label, str) else self.evaluator.text(label, place.env, place.source)
            why = reserved_attribute(name)
            if why:
                raise fail("E219", f"`{name}` {why}", span, f"choose another label, such as {name.strip('_') or 'm'}_1")
            if name in scope.taken:
                first = scope.taken[name]
                where = f" of {scope.block}" if scope.block else f" of {scope.path}" if scope.path else ""
                raise fail(
                    "E220", f"two modules{where} are called `{name}`", span, labels=(Label(first, "the first is here"),)
                )
        scope.position += 1
        scope.taken[name] = span
        return name

    def container_line(self, node: tree.Container, place: Place) -> None:
        """`label:` and a body."""
        with self.container(node.label, place, place.flow) as inner:
            self.body(node.body, inner)
        place.flow = self.known(inner.flow)
        self.define(self.evaluator.text(node.label, place.env, place.source), place.flow, place, node.label)

    @staticmethod
    def known(flow: Data | None) -> Data:
        """Return a flow that is there and known."""
        if flow is None:
            return POISON
        return flow

    def merge_line(self, node: tree.Merge, place: Place) -> None:
        """`add:` and one branch a line."""
        if node.label is None:
            place.flow = self.merged(node, place)
            return
        name = self.evaluator.text(node.label, place.env, place.source)
        if node.joint.text == "choose":
            place.flow = self.chosen(node, name, place)
        else:
            with self.container(node.label, place, place.flow) as inner:
                inner.flow = self.merged(node, inner)
            place.flow = self.known(inner.flow)
        self.define(name, place.flow, place, node.label)

    def merged(self, node: tree.Merge, place: Place) -> Data:
        """Return what a joint makes of its branches."""
        if node.joint.text == "choose":
            raise fail("E217", "a decision needs a name", place.span(node), "neck: choose:")
        begin = len(self.drafts)
        branches: list[tuple[str, Data]] = []
        self.fork(node.body, place, place.flow, branches)
        if not branches:
            raise fail("E222", f"{node.joint.text} has no branches", place.span(node.joint))
        return self.join(node.joint, [b for _, b in branches], [n for n, _ in branches], place, begin)

    def chosen(self, node: tree.Merge, name: str, place: Place) -> Data:
        """Return the branch that a decision takes."""
        names: list[str] = []
        lines: list[tree.Statement] = []
        for statement in node.body:
            if not isinstance(statement, (tree.Line, tree.Container, tree.Merge)):
                raise fail("E217", "choose: holds one option a line", place.span(statement))
            label = statement.label
            if label is not None:
                option = self.evaluator.text(label, place.env, place.source)
            elif isinstance(statement, tree.Line) and statement.chain.steps:
                step = statement.chain.steps[0]
                option = step.op.text if isinstance(step, tree.Layer) else str(len(names))
            else:
                option = str(len(names))
            names.append(option if option not in names else str(len(names)))
            lines.append(statement)
        index = self.decision(name, tuple(names), node, place.span(node))
        flow = place.flow
        with self.container(node.label, place, flow) as inner:
            self.body((lines[index],), inner)
        return self.known(inner.flow)

    def fork(
        self, body: tree.Body, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> None:
        """Run the lines of a joint as branches, each from the same flow."""
        for statement in body:
            place.flow = flow
            self.place = place
            self.evaluator.step(lambda: place.span(statement))  # noqa: B023 - called at once
            inner = statement.statement if isinstance(statement, tree.Annotated) else statement
            if isinstance(statement, tree.Annotated):
                self.allow(statement, place)
            if isinstance(inner, tree.If):
                self.fork(self.taken(inner, place), place, flow, branches)
            elif isinstance(inner, tree.For):
                for _ in self.turns(inner, place):
                    self.fork(inner.body, place, flow, branches)
            elif isinstance(inner, (tree.Line, tree.Container, tree.Merge)):
                _RUN[type(inner)](self, inner, place)
                label = inner.label
                name = "" if label is None else self.evaluator.text(label, place.env, place.source)
                branches.append((name, self.single(place.flow, place.span(inner))))
            elif isinstance(inner, (tree.Assign, tree.Bind, tree.Default)):
                _RUN[type(inner)](self, inner, place)
            else:
                raise fail("E225", "a joint holds branches, one a line", place.span(inner))
        place.flow = flow

    def single(self, data: Data | None, span: Span) -> Data:
        """Return a branch's one value."""
        if data is None:
            raise fail("E223", "nothing flows here yet", span, "begin with: from NAME -> ...")
        if data.poisoned:
            raise Poisoned
        if len(data.wires) != 1:
            help = "take one: from flow[0]; or join them: -> concat"
            raise fail("E303", f"a branch is one value, this is a tuple of {len(data.wires)}", span, help)
        return data

    def stage(self, node: tree.Stage, place: Place) -> None:
        """`stage 4: ...`: transparent."""
        outer, place.stage = place.stage, node.name
        place.scope.stages[len(place.scope.drafts)] = node.name
        try:
            self.body(node.body, place)
        finally:
            place.stage = outer
        if place.flow is not None and place.flow.poisoned:
            raise Poisoned

    def output(self, node: tree.Output, place: Place) -> None:
        """`train output aux: chain`: the flow goes on untouched."""
        if node.condition is not None and not self.evaluator.truth(node.condition, place.env, place.source):
            return
        flow, train = place.flow, place.train
        place.train = train or node.train
        try:
            name = self.evaluator.text(node.label, place.env, place.source)
            data = self.labelled(node.label, node.chain, place)
            wire = self.single(data, place.span(node)).wires[0]
        finally:
            place.flow, place.train = flow, train
        if name == "out" or any(name == other for other, _, _ in self.output_drafts):
            raise fail("E220", f"two outputs are called `{name}`", place.span(node.label))
        self.output_drafts.append((name, wire, place.train or node.train))

    def return_line(self, node: tree.Return, place: Place) -> None:
        """`return a, b`."""
        if place.scope.kind == "container":
            raise fail("E225", "`return` belongs to a block or net, not to a container", place.span(node))
        place.flow = self.refs(node.refs, place)
        place.returned = True

    def bind_line(self, node: tree.Bind, place: Place) -> None:
        """`a, b = from x -> split 2`: names no module, does not move the flow."""
        if node.condition is not None and not self.evaluator.truth(node.condition, place.env, place.source):
            return
        flow = place.flow
        if isinstance(node.value, tree.Merge):
            data = self.merged(node.value, place)
        else:
            data = self.chain(node.value, place)
        place.flow = flow
        if data.poisoned:
            raise Poisoned
        names = [self.evaluator.text(target, place.env, place.source) for target in node.targets]
        if len(names) == 1:
            self.define(names[0], data, place, node.targets[0])
            return
        if len(names) != len(data.wires):
            raise fail("E209", f"{len(names)} names for {len(data.wires)} values", place.span(node))
        for name, target, wire, shape in zip(names, node.targets, data.wires, data.shapes, strict=True):
            self.define(name, Data((wire,), (shape,)), place, target)

    def weight(self, node: tree.Weight, place: Place) -> None:
        """`weight label [shape], init=..., batch=true`."""
        name = self.evaluator.text(node.label, place.env, place.source)
        params = {
            "shape": Param("shape", ("list",)),
            "init": Param("init", ("init",), positional=False),
            "batch": Param("batch", ("bool",), positional=False),
        }
        given = bind(self.evaluator, params, node.args, place.env, place.source, "weight")
        span = place.span(node)
        if "shape" not in given:
            raise fail("E204", "weight needs a shape", span, f"weight {name} [64, 1, 1]")
        shape = given["shape"].value
        if not 1 <= len(shape) <= 3 or any(type(n) is not int or n < 1 for n in shape):
            raise fail("E203", f"weight: the shape must be one to three sizes from 1, got {show(shape)}", given["shape"].span)
        batch = given["batch"].value if "batch" in given else False
        inits = {"": given["init"].value} if "init" in given else {}
        op = catalogue()["weight"](shape=tuple(shape), batch=batch, inits=inits)
        data = self.add(op, (), place, node, node.label, {})
        self.define(name, data, place, node.label)

    def taken(self, node: tree.If, place: Place) -> tree.Body:
        """Return the body of the case that holds."""
        for case in node.cases:
            if self.evaluator.truth(case.condition, place.env, place.source):
                return case.body
        return node.otherwise

    def if_line(self, node: tree.If, place: Place) -> None:
        """`if`, `elif`, `else`: transparent."""
        self.body(self.taken(node, place), place)
        if place.flow is not None and place.flow.poisoned:
            raise Poisoned

    def for_line(self, node: tree.For, place: Place) -> None:
        """`for`: transparent."""
        for _ in self.turns(node, place):
            self.body(node.body, place)
            if (place.flow is not None and place.flow.poisoned) or len(self.errors) >= MAX_ERRORS:
                raise Poisoned

    def turns(self, node: tree.For, place: Place) -> Iterator[None]:
        """Bind the loop's names for each turn; a `default` holds in the text after it, so each turn begins anew."""
        items = self.evaluator.iterate(node.iterable, place.env, place.source)
        defaults, outer = place.defaults, place.turns
        for number, item in enumerate(items):
            self.evaluator.unpack(node.names, item, place.env, place.source)
            place.defaults = dict(defaults)
            place.turns = (*outer, number)
            yield
        place.turns = outer

    def assign(self, node: tree.Assign, place: Place) -> None:
        """`w = 4*c`."""
        value = self.evaluator.eval(node.value, place.env, place.source)
        names = [self.evaluator.text(target, place.env, place.source) for target in node.targets]
        if isinstance(value, Choice):
            value = self.decide(value, names[0])
        if len(names) > 1:
            items = self.evaluator.items(value, place.span(node.value))
            if len(items) != len(names):
                raise fail("E209", f"{len(names)} names for {len(items)} values", place.span(node))
        else:
            items = [value]
        for name, target, item in zip(names, node.targets, items, strict=True):
            if isinstance(item, Data):
                raise fail("E210", "`=` with a tensor needs `from`", place.span(node), f"{name} = from ...")
            if name in catalogue() or name in ("same", "tf"):
                raise fail("E214", f"`{name}` is an op of the language", place.span(target), f"call it {name}_ or so")
            self.define(name, item, place, target)
            if isinstance(item, (int, float)):
                place.scope.args.setdefault(name, item)

    def def_line(self, node: tree.Def, place: Place) -> None:
        """`def ch(c) = ...`."""
        from netdsl.elaborate.files import define  # files read declarations; a body may hold a def too

        define(node, place.env, place.source)

    def default(self, node: tree.Default, place: Place) -> None:
        """`default conv 3x3, norm=bn`: for the rest of the block or net."""
        place.defaults = {**place.defaults, **self.defaults(node, place.env, place.source, place.defaults)}

    def defaults(
        self, node: tree.Default, env: Env, source: Source, known: Mapping[str, Mapping[str, Given]]
    ) -> dict[str, Mapping[str, Given]]:
        """Return the defaults that a line sets, added to those before."""
        return default_line(self.evaluator, node, env, source, known)

    def init(self, node: tree.InitLine, place: Place) -> None:
        """`init conv weight=...`: in a net for every layer built, in a block for the layers written in it."""
        name, inits = init_line(self.evaluator, node, place.env, place.source)
        if place.scope.kind == "net":
            self.net_inits().setdefault(name, {}).update(inits)
        else:
            place.inits = {**place.inits, name: {**place.inits.get(name, {}), **inits}}

    def net_inits(self) -> dict[str, dict[str, Init]]:
        """Return the net's own `init` lines."""
        if not hasattr(self, "_net_inits"):
            self._net_inits: dict[str, dict[str, Init]] = {}
        return self._net_inits

    def input(self, node: tree.Input, place: Place) -> None:
        """`input 3, 224x224`."""
        span = place.span(node)
        if place.scope.kind != "net":
            raise fail("E225", "`input` belongs to a net", span)
        name = node.name.text if node.name else "x"
        sizes: list[int] = []
        for arg in node.args:
            if not isinstance(arg, tree.Expr):
                raise fail("E202", "input takes sizes only", place.span(arg), "input 3, 224x224")
            value = self.evaluator.eval(arg, place.env, place.source)
            if type(value) is not int and not isinstance(value, Dims):
                raise fail("E203", f"input takes sizes, got {show(value)}", place.span(arg), "input 3, 224x224")
            sizes += [value] if isinstance(value, int) else value
        if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
            raise fail("E203", f"an input has one to three sizes from 1, got {show(tuple(sizes))}", span, "input 3, 224x224")
        shape = self.input_shapes.get(name) or self.input_shapes.get("") or Shape(*sizes)
        if len(shape) != len(sizes):
            raise fail("E505", f"input {name} has {len(sizes)} sizes, --input gives {len(shape)}", span)
        data = self.add(catalogue()["input"](shape=shape), (), place, node, name, {})
        self.input_drafts[name] = data.wires[0].draft
        place.env.names[name] = data
        flow = place.flow if len(self.input_drafts) > 1 else None
        place.flow = Data((*flow.wires, *data.wires), (*flow.shapes, *data.shapes)) if flow else data

    def meta_line(self, node: tree.Meta, place: Place) -> None:
        """`meta year=2014`."""
        for arg in node.args:
            if not isinstance(arg, tree.Keyword):
                raise fail("E202", "meta takes name=value", place.span(arg), "meta year=2014")
            self.meta[arg.name] = self.evaluator.eval(arg.value, place.env, place.source)

    def require(self, node: tree.Require, place: Place) -> None:
        """`require params <= 5M`: kept for when the costs are known."""
        for claim in node.claims:
            self.budgets.append(
                Budget(claim, place.source, place.env, place.scope.path, place.stage, place.span(claim))
            )

    def annotated(self, node: tree.Annotated, place: Place) -> None:
        """A statement under `@allow`."""
        self.allow(node, place)
        _RUN[type(node.statement)](self, node.statement, place)

    def allow(self, node: tree.Annotated, place: Place) -> None:
        """Note the annotations of a statement."""
        self.allows += allowances(node, place.source)

    # ---------------------------------------------------------------- chains

    def refs(self, refs: tuple[tree.Ref, ...], place: Place) -> Data:
        """Return the values that `from` names."""
        wires: list[Wire] = []
        shapes: list[Shape] = []
        for ref in refs:
            data = self.ref(ref, place)
            wires += data.wires
            shapes += data.shapes
        return Data(tuple(wires), tuple(shapes))

    def ref(self, ref: tree.Ref, place: Place) -> Data:
        """Return one value by its name."""
        name = self.evaluator.text(ref.name, place.env, place.source)
        span = place.span(ref)
        value = (place.flow or MISSING) if name == "flow" else place.env.find(name)
        if value is MISSING or value is None:
            if name == "flow":
                raise fail("E223", "nothing flows here yet", span)
            tensors = [n for n in place.env.known() if isinstance(place.env.find(n), Data)]
            raise unknown("E200", "value", name, tensors, span)
        if not isinstance(value, Data):
            raise fail("E210", f"`{name}` is {kind_of(value)}, not a tensor", span)
        if value.poisoned:
            raise Poisoned
        if ref.index is None:
            return value
        index = self.evaluator.eval(ref.index, place.env, place.source)
        if type(index) is not int:
            raise fail("E203", f"an index must be an int, got {show(index)}", span)
        return self.evaluator.pick(value, index, span)

    def source(self, chain: tree.Chain, place: Place) -> Data | None:
        """Return what a chain starts from."""
        return self.refs(chain.source, place) if chain.source else place.flow

    def chain(self, chain: tree.Chain, place: Place) -> Data:
        """Return what a chain makes."""
        data = self.source(chain, place)
        if not chain.steps:
            return self.need(data, chain, place)
        return self.steps(chain.steps, data, place)

    def need(self, data: Data | None, node: tree.Tree, place: Place) -> Data:
        """Return a flow that must be there."""
        if data is None:
            help = "begin the net with: input 3, 224x224"
            raise fail("E223", "nothing flows here yet", place.span(node), help)
        if data.poisoned:
            self.check_names(node, place)
            raise Poisoned
        return data

    def check_names(self, node: tree.Tree, place: Place) -> None:
        """Report an unknown op even where the value that flows is unknown already."""
        if isinstance(node, tree.Layer) and node.op.text not in JOINTS:
            self.op(node.op, place, node)

    def steps(self, steps: tuple[tree.Step, ...], data: Data | None, place: Place) -> Data:
        """Run steps one after another."""
        result = data
        for step in steps:
            result = self.step(step, result, place)
        assert result is not None
        return result

    def step(self, node: tree.Step, data: Data | None, place: Place) -> Data:
        """Run one step."""
        if isinstance(node, tree.Layer):
            return self.layer(node, self.need(data, node, place), place, node.label)
        if isinstance(node, tree.Repeat):
            return self.repeat(node, self.need(data, node, place), place)
        if isinstance(node, tree.Optional):
            if self.evaluator.truth(node.condition, place.env, place.source):
                return self.steps(node.steps, data, place)
            return self.need(data, node, place)
        data = self.need(data, node, place)
        if len(node.branches) == 1:
            branch = node.branches[0]
            if branch.condition and not self.evaluator.truth(branch.condition, place.env, place.source):
                return data
        elif node.label is None:
            return self.branches(node, data, place)
        with self.container(node.label, place, data) as inner:
            inner.scope.span = place.span(node)
            inner.flow = self.branches(node, data, inner)
        if node.label is not None:
            name = self.evaluator.text(node.label, place.env, place.source)
            self.define(name, inner.flow, place, node.label)
        return self.known(inner.flow)

    def branches(self, node: tree.Group, data: Data, place: Place) -> Data:
        """Run the branches of a group: one is a chain, several a tuple."""
        flow = place.flow
        results = []
        for branch in node.branches:
            place.flow = data
            if branch.condition is None or self.evaluator.truth(branch.condition, place.env, place.source):
                result = self.labelled(branch.label, branch.chain, place)
            else:
                result = data
            results.append(result if len(node.branches) == 1 else self.single(result, place.span(branch)))
        place.flow = flow
        if len(results) == 1:
            return results[0]
        return Data(tuple(r.wires[0] for r in results), tuple(r.shapes[0] for r in results))

    def repeat(self, node: tree.Repeat, data: Data, place: Place) -> Data:
        """`n * step`: transparent."""
        count = self.evaluator.eval(node.count, place.env, place.source)
        span = place.span(node.count)
        if isinstance(count, Choice):
            raise fail("E217", "a decision needs a name", span, "depth = choose(2, 3), then depth * ...")
        if type(count) is not int or count < 0:
            raise fail("E203", f"a repetition needs a whole number from 0, got {show(count)}", span)
        if count > self.max_nodes:
            raise fail("E213", f"{count:,} repetitions are more than {self.max_nodes:,}", span)
        outer = place.copy
        for turn in range(count):
            place.copy = turn
            self.evaluator.step(lambda: span)
            data = self.step(node.step, data, place)
        place.copy = outer
        return data

    # ---------------------------------------------------------------- layers

    def op(self, name: tree.Name, place: Place, node: tree.Tree) -> OpValue:
        """Return the op or block of a name."""
        value = place.env.find(name.text)
        if isinstance(value, OpValue):
            return value
        span = place.span(name)
        if value is MISSING:
            ops = [n for n in place.env.known() if isinstance(place.env.find(n), OpValue)]
            text = place.span(node).text
            base = name.text.rstrip("0123456789")
            digits = name.text[len(base) :]
            help = ""
            if digits and isinstance(place.env.find(base), OpValue):
                rest = text[len(name.text) :].lstrip(" -,")
                help = f"{base} {digits}x{digits}" + (f", {rest}" if rest else "")
                raise fail("E201", f"unknown op `{name.text}`" + (f" in `{text}`" if rest else ""), span, help)
            raise unknown("E201", "op", name.text, ops, span)
        if value is None:
            raise fail("E201", f"`{name.text}` is none here", span, f"make the step optional: [{name.text} when {name.text}]")
        if isinstance(value, Data):
            raise fail("E201", f"`{name.text}` is a value, not an op", span, f"take it with: from {name.text} -> ...")
        raise fail("E201", f"`{name.text}` is {kind_of(value)}, not an op", span)

    def layer(self, node: tree.Layer, data: Data, place: Place, label: tree.Label | None) -> Data:
        """Run `op args as label`."""
        name = node.op.text
        if name in JOINTS:
            if node.args or len(data.wires) > 1:
                result = self.apply(OpValue(catalogue()[name], {}), node, data, place, None)
            else:
                result = data
        elif name in ("fork", "choose"):
            raise fail("E225", f"`{name}` is a line of its own: {name}: and one branch a line", place.span(node))
        else:
            self.place = place
            result = self.apply(self.op(node.op, place, node), node, data, place, label)
        if node.label is not None:
            self.define(self.evaluator.text(node.label, place.env, place.source), result, place, node.label)
        return result

    def apply(
        self,
        value: OpValue,
        node: tree.Layer,
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        own_arguments: bool = True,
    ) -> Data:
        """Apply an op or block, with its arguments from the defaults, the value, and the layer."""
        target = value.target
        args = node.args if own_arguments else ()
        if isinstance(target, BlockDecl):
            return self.block(target, value, node, args, data, place, label)
        params = op_parameters(target)
        given = bind(self.evaluator, params, args, place.env, place.source, target.name, place.copy) if args else {}
        inherited = place.defaults.get(target.inherits, {}) if target.inherits else {}
        merged = merge(
            {k: g for k, g in inherited.items() if k in params}, place.defaults.get(target.name, {}), value.args, given
        )
        extras = {name: merged.pop(name) for name in ("norm", "act", "init", *target.references) if name in merged}
        ramps = {k: g.value for k, g in merged.items() if isinstance(g.value, Ramp)}
        fields = {k: g.value for k, g in merged.items()} | {k: ramp.start for k, ramp in ramps.items()}
        for name, param in params.items():
            if param.default is MISSING and name not in fields and name in target._fields:
                help = {"channels": f"{target.name} 64", "kernel": f"{target.name} 3x3"}.get(name, "")
                raise fail("E204", f"{target.name} needs {name}", place.span(node), help)
        inits = {}
        if "init" in extras and extras["init"].value is not None:
            inits = {"weight": extras["init"].value}
        op = target(**fields, inits=inits)
        references: tuple[Data, ...] = tuple(
            self.single(extras[name].value, extras[name].span or place.span(node))
            for name in target.references
            if name in extras
        )
        if len(references) < len(target.references):
            raise fail("E204", f"{target.name} needs {target.references[0]}=", place.span(node))
        result = self.add(op, (data, *references), place, node, label, merged)
        self.drafts[-1].ramps = ramps
        for extra in ("norm", "act"):
            follower = extras[extra].value if extra in extras else None
            if follower is not None:
                name = None
                if label is not None:
                    text = label if isinstance(label, str) else self.evaluator.text(label, place.env, place.source)
                    name = f"{text}_{extra}"
                result = self.apply(follower, node, result, place, name, own_arguments=False)
        return result

    def add(
        self,
        op: Op,
        inputs: tuple[Data, ...],
        place: Place,
        node: tree.Tree,
        label: tree.Label | str | None,
        given: Mapping[str, Given],
        code: str = "E301",
    ) -> Data:
        """Add a node: check the inputs, infer the shapes, take a name."""
        span = place.span(node)
        shapes = tuple(shape for data in inputs for shape in data.shapes)
        wires = tuple(wire for data in inputs for wire in data.wires)
        least, most = op.arity
        if most is not None and len(wires) > most:
            help = "join them first: -> concat, or -> add; or take one: from flow[0]"
            raise fail("E303", f"{op.name} takes one value, here flows a tuple of {len(wires)}", span, help)
        if len(wires) < least:
            raise fail("E303", f"{op.name} takes {least} values, got {len(wires)}", span)
        if len(self.drafts) >= self.max_nodes:
            raise fail("E213", f"the net has more than {self.max_nodes:,} ops", span, "an option raises the limit: --max-nodes")
        try:
            outputs = op.outputs(*shapes)
            sizes = [s.elements for s in outputs]
            for weight in op.weights(*shapes).values():
                size = 1
                for n in weight:
                    size *= n
                sizes.append(size)
        except OpError as error:
            place_of = given.get(error.field)
            at = place_of.span if place_of and place_of.span and place_of.span.source is place.source else None
            if at is not None and not span.start <= at.start <= span.end:
                at = None
            fields = set(op._fields)
            message = error.message if error.message.startswith(op.name) else f"{op.name}: {error.message}"
            where = " and ".join(map(str, shapes))
            note = f"the input is {where}" if where and where not in error.message and error.field in fields else ""
            raise fail(code, message, at or span, error.help, note) from None
        if max(sizes, default=0) > MAX_ELEMENTS or any(n > MAX_INT for n in sizes):
            big = max(sizes)
            raise fail("E304", f"{op.name}: a tensor of {big:,} elements is more than {MAX_ELEMENTS:,}", span)
        key = "" if op.wiring else self.child(place, label, span)
        index = len(self.drafts)
        self.drafts.append(Draft(op, wires, outputs, span, place, key))
        place.scope.drafts.append(index)
        return Data(tuple(Wire(index, port) for port in range(len(outputs))), outputs)

    def join(
        self, joint: tree.Name, values: list[Data], names: list[str], place: Place, begin: int
    ) -> Data:
        """Return the joint of branches; of one branch, that branch."""
        if len(values) == 1:
            return values[0]
        data = Data(tuple(v.wires[0] for v in values), tuple(v.shapes[0] for v in values))
        if joint.text == "fork":
            return data
        defaults = place.defaults.get(joint.text, {})
        op = catalogue()[joint.text](**{k: g.value for k, g in defaults.items()})
        try:
            return self.add(op, (data,), place, joint, None, {}, "E302")
        except SpecError as error:
            if error.diagnostic.code != "E302":
                raise
            raise self.mismatch(error.diagnostic, data, names, begin) from None

    def mismatch(self, diagnostic: Diagnostic, data: Data, names: list[str], begin: int) -> SpecError:
        """Say which branches differ, each at the layer that gave it its shape."""
        first = data.shapes[0]
        odd = next((i for i, shape in enumerate(data.shapes) if shape != first), len(data.shapes) - 1)
        spans = [self.origin(wire, begin) for wire in data.wires]
        labels = tuple(
            Label(spans[i], str(data.shapes[i])) for i in range(len(spans)) if i != odd and spans[i] != spans[odd]
        )
        help = diagnostic.help
        shape = data.shapes[odd]
        if shape.axes == first.axes and shape[1:] == first[1:] and not help:
            help = f"{names[odd] or 'this branch'} needs {first.c} channels"
        elif shape.axes == first.axes and shape[0] == first[0] and not help:
            help = f"{names[odd] or 'this branch'} needs the size {'x'.join(map(str, first[1:]))}; look at the strides"
        changed = diagnostic.replace(span=spans[odd], note=str(shape), labels=labels[:3], help=help)
        return SpecError(changed)

    def origin(self, wire: Wire, begin: int) -> Span:
        """Return the place of the last layer that changed a value's shape, not further back than `begin`."""
        draft = self.drafts[wire.draft]
        while wire.draft >= begin and len(draft.inputs) == 1 and len(draft.shapes) == 1:
            previous = draft.inputs[0]
            before = self.drafts[previous.draft]
            if previous.draft < begin or before.shapes[previous.port] != draft.shapes[0]:
                break
            wire, draft = previous, before
        return draft.span

    def block(
        self,
        decl: BlockDecl,
        value: OpValue,
        node: tree.Layer,
        args: tuple[tree.Argument, ...],
        data: Data,
        place: Place,
        label: tree.Label | str | None,
    ) -> Data:
        """Instantiate a block."""
        span = place.span(node)
        if decl in self.active:
            raise fail("E211", f"block {decl.name} contains itself: there is no recursion", span)
        params = declared_parameters(decl.node.params, decl.file.env)
        given = merge(
            place.defaults.get(decl.name, {}),
            value.args,
            bind(self.evaluator, params, args, place.env, place.source, decl.name, place.copy) if args else {},
        )
        inputs = decl.node.inputs
        if inputs and len(inputs) != len(data.wires):
            message = f"{decl.name} takes {len(inputs)} values ({', '.join(n.text for n in inputs)}), here flow {len(data.wires)}"
            raise fail("E303", message, span, f"from {', '.join(n.text for n in inputs)} -> {decl.name}")
        inline = decl.node.inline
        if inputs and len(set(data.wires)) < len(data.wires) and not inline:
            data = self.distinct(data, place, node)
        scope = place.scope
        if not inline:
            scope = self.open("block", self.child(place, label, span), span, data.wires, place, decl.name)
        inner = Place(Env(decl.file.env), data, scope, decl.file.source, decl.lexical)
        inner.stage, inner.train, inner.turns = place.stage, place.train, place.turns
        inner.inits = decl.lexical.inits
        self.evaluator.enter(span, "blocks")
        self.active.append(decl)
        outer_args = scope.args
        try:
            if inline:
                scope.args = {}  # an inline block's arguments are not its caller's
            self.bind_parameters(params, given, inner, decl.name, span)
            shown = ", ".join(f"{k}={show(v)}" for k, v in scope.args.items() if k in given)
            what = f"{decl.name}({shown})" + (f", {scope.path}" if scope.path and not inline else "")
            inner.calls = (Frame(what, span), *place.calls)
            scope.input_names = tuple(n.text for n in inputs) if not inline else scope.input_names
            if inputs:
                for name, wire, shape in zip(inputs, data.wires, data.shapes, strict=True):
                    inner.env.names[name.text] = Data((wire,), (shape,))
            else:
                inner.env.names["x"] = data
            result = self.known(self.body(decl.node.body, inner))
        finally:
            self.active.pop()
            self.evaluator.depth -= 1
            if inline:
                scope.args = outer_args
        if not inline:
            self.close(scope, result)
        self.place = place
        if result.poisoned:
            raise Poisoned
        return result

    def distinct(self, data: Data, place: Place, node: tree.Tree) -> Data:
        """Return the same values with an identity for each that comes twice, so that inputs can be told apart."""
        wires: list[Wire] = []
        for wire, shape in zip(data.wires, data.shapes, strict=True):
            if wire in wires:
                copy = self.add(catalogue()["identity"](), (Data((wire,), (shape,)),), place, node, None, {})
                wire = copy.wires[0]
            wires.append(wire)
        return Data(tuple(wires), data.shapes)

    # ---------------------------------------------------------------- names

    def name_everything(self) -> tuple[Graph, dict[str, tuple[Shape, ...]]]:
        """Turn drafts into the graph: names for wiring, initialisers, ramps, the inputs and outputs of scopes."""
        inits = self.net_inits()
        names: list[str] = []
        for draft in self.drafts:
            key = draft.key
            if not key:
                assert isinstance(draft.scope, DraftScope)
                key, number = draft.op.name, 1
                while key in draft.scope.taken:
                    number += 1
                    key = f"{draft.op.name}{number}"
                draft.scope.taken[key] = draft.span
            names.append(draft.scope.join(key))  # type: ignore[attr-defined]
        graph = Graph()
        shapes: dict[str, tuple[Shape, ...]] = {}
        for name, draft in zip(names, self.drafts, strict=True):
            inputs = tuple(Value(names[w.draft], w.port) for w in draft.inputs)
            op = self.final(draft, inits)
            graph.add(Node(name, op, inputs, draft.span, draft.calls, draft.stage, draft.train))
            shapes[name] = draft.shapes
        graph.inputs = {name: names[i] for name, i in self.input_drafts.items()}
        graph.outputs = tuple(Output(n, Value(names[w.draft], w.port), t) for n, w, t in self.output_drafts)
        self.wire_scopes(names)
        graph.tree = self.scopes[0]
        return graph, shapes

    def final(self, draft: Draft, net_inits: Mapping[str, Mapping[str, Init]]) -> Op:
        """Return a draft's op with its ramps as numbers and its initialisers decided: own, block's, net's, file's."""
        op = draft.op
        shapes = [self.drafts[w.draft].shapes[w.port] for w in draft.inputs]
        if draft.ramps:
            op = op.replace(**{k: self.evaluator.resolve(ramp) for k, ramp in draft.ramps.items()})
            try:
                op.infer(*shapes)
            except OpError as error:
                raise NetError([Diagnostic("E301", error.message, draft.span, calls=draft.calls)]) from None
        if type(op).weights is Op.weights:
            return op
        inits: dict[str, Init] = {}
        names = op.weights(*shapes)
        kinds = (op.inherits, op.name) if op.inherits else (op.name,)
        for table in (self.net.file.inits, net_inits, draft.inits):
            for kind in kinds:
                inits.update({k: v for k, v in table.get(kind, {}).items() if k in names})
        inits.update({k: v for k, v in op.inits.items() if k in names})
        inits = {k: v for k, v in inits.items() if v != DEFAULT_INIT}
        return op.replace(inits=inits) if inits else op

    def wire_scopes(self, names: list[str]) -> None:
        """Note what comes into each scope and what leaves it."""
        readers: dict[Wire, int] = {}
        for index, draft in enumerate(self.drafts):
            for wire in draft.inputs:
                readers[wire] = index  # the last one
        for _, wire, _ in self.output_drafts:
            readers[wire] = len(self.drafts)

        def value(wire: Wire) -> Value:
            return Value(names[wire.draft], wire.port)

        # inner scopes first, so that each looks at its own drafts and its children's inputs only
        free: dict[int, list[Wire]] = {}
        for scope in reversed(self.scopes):
            used: dict[Wire, None] = {}
            for item in scope.drafts:
                wires = free[id(item)] if isinstance(item, DraftScope) else list(self.drafts[item].inputs)
                used.update((w, None) for w in wires if w.draft < scope.begin)
            used.update((w, None) for w in scope.exit if w.draft < scope.begin)
            declared = scope.entry if scope.kind == "block" else tuple(w for w in scope.entry if w in used)
            inputs = list(dict.fromkeys((*declared, *used)))
            free[id(scope)] = inputs
            scope.inputs = tuple(value(w) for w in inputs)
            scope.items = [item if isinstance(item, DraftScope) else names[item] for item in scope.drafts]
        self.escapes(readers, value)

    def escapes(self, readers: Mapping[Wire, int], value: Callable[[Wire], Value]) -> None:
        """Note what leaves each scope: its result, then whatever else is read outside."""
        leaving: dict[int, list[Wire]] = {}
        for scope in reversed(self.scopes):
            out = list(scope.exit)
            for item in scope.drafts:
                wires = leaving[id(item)] if isinstance(item, DraftScope) else [
                    Wire(item, port) for port in range(len(self.drafts[item].shapes))
                ]
                out += [w for w in wires if w not in out and readers.get(w, -1) >= scope.end > w.draft]
            leaving[id(scope)] = out
            scope.outputs = tuple(value(w) for w in out)


def default_line(
    evaluator: Evaluator, node: tree.Default, env: Env, source: Source, known: Mapping[str, Mapping[str, Given]]
) -> dict[str, Mapping[str, Given]]:
    """Return the defaults of a `default` line for its op, added to those before."""
    from netdsl.elaborate.arguments import parameters

    value = catalogue_or(node.op, env, source)
    given = bind(evaluator, parameters(value), node.args, env, source, f"default {value.name}")
    return {value.name: {**known.get(value.name, {}), **given}}


def init_line(
    evaluator: Evaluator, node: tree.InitLine, env: Env, source: Source
) -> tuple[str, dict[str, Init]]:
    """Return the op of an `init` line, and its initialisers by parameter."""
    value = catalogue_or(node.op, env, source)
    span = Span(source, node.start, node.end)
    if isinstance(value.target, BlockDecl) or value.target.weights is Op.weights:
        raise fail("E225", f"{value.name} has no weights of its own to initialise", span)
    inits: dict[str, Init] = {}
    for arg in node.args:
        at = Span(source, arg.start, arg.end)
        if not isinstance(arg, tree.Keyword):
            raise fail("E202", "init takes name=initialiser", at, "init conv weight=kaiming_normal(fan_out), bias=zeros")
        if arg.name not in _weight_names(value.target):
            names = _weight_names(value.target)
            raise fail("E202", f"{value.name} has no parameter `{arg.name}`", at, f"it has {', '.join(names)}")
        init = evaluator.eval(arg.value, env, source)
        if not takes(("init",), init):
            raise fail("E203", f"{arg.name} must be an initialiser, got {show(init)}", at)
        inits[arg.name] = coerce(init, ("init",))
    return value.name, inits


def _weight_names(op: type[Op]) -> tuple[str, ...]:
    example = next(iter(op.examples()))
    names: dict[str, None] = {}
    for example in op.examples():
        names.update(dict.fromkeys(example.op.weights(*example.inputs)))
    return tuple(names)


def catalogue_or(name: tree.Name, env: Env, source: Source) -> OpValue:
    """Return the op or block that a `default` or `init` line is about."""
    value = env.find(name.text)
    if isinstance(value, OpValue):
        return value
    if name.text in catalogue():
        return OpValue(catalogue()[name.text], {})
    known = [n for n in env.known() if isinstance(env.find(n), OpValue)]
    raise unknown("E201", "op", name.text, known, Span(source, name.start, name.end))


def allowances(node: tree.Annotated, source: Source) -> list[Allow]:
    """Return the `@allow` annotations of a statement; another annotation is an error."""
    result = []
    about = Span(source, node.start, node.end)
    for annotation in node.annotations:
        span = Span(source, annotation.start, annotation.end)
        if annotation.name.text != "allow":
            raise fail("E224", f"unknown annotation `@{annotation.name.text}`", span, '@allow(rule, "reason")')
        args = annotation.args
        good = len(args) == 2 and isinstance(args[0], tree.Name) and isinstance(args[1], tree.String)
        if not good or not args[1].text.strip():  # type: ignore[union-attr]
            raise fail("E224", "@allow needs a rule and a reason", span, '@allow(huge_fc, "as in the paper")')
        result.append(Allow(args[0].text, args[1].text, about, span))  # type: ignore[union-attr]
    return result


_RUN: dict[type, Callable[[Elaborator, Any, Place], None]] = {
    tree.Line: Elaborator.line,
    tree.Container: Elaborator.container_line,
    tree.Merge: Elaborator.merge_line,
    tree.Stage: Elaborator.stage,
    tree.Output: Elaborator.output,
    tree.Return: Elaborator.return_line,
    tree.Bind: Elaborator.bind_line,
    tree.Weight: Elaborator.weight,
    tree.If: Elaborator.if_line,
    tree.For: Elaborator.for_line,
    tree.Assign: Elaborator.assign,
    tree.Def: Elaborator.def_line,
    tree.Default: Elaborator.default,
    tree.InitLine: Elaborator.init,
    tree.Input: Elaborator.input,
    tree.Meta: Elaborator.meta_line,
    tree.Require: Elaborator.require,
    tree.Annotated: Elaborator.annotated,
}
