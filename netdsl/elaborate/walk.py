"""Bodies to nodes: walk statements and chains with (flow, scope, names)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

from netdsl.diagnostics import closest, did_you_mean
from netdsl.elaborate.arguments import Param, bind, type_name
from netdsl.elaborate.draft import DraftScope, Naming, Place
from netdsl.elaborate.evaluate import check_variables
from netdsl.elaborate.layers import JOINTS, MAX_VALUES, Layers, LeftOut
from netdsl.elaborate.lines import allowances, check_name, decides_nothing, default_line, define, init_line
from netdsl.elaborate.names import reserved_attribute
from netdsl.elaborate.order import ordered
from netdsl.elaborate.result import Budget
from netdsl.elaborate.values import (
    MISSING,
    POISON,
    Arguments,
    Choice,
    Data,
    Env,
    FileScope,
    OpValue,
    Poisoned,
    SpecError,
    Wire,
    fail,
    is_whole,
    kind_of,
    show,
    unknown,
)
from netdsl.ir.types import Dims, Init, Shape
from netdsl.ops import catalogue
from netdsl.source import Span
from netdsl.syntax import tree

PLAIN = ("int", "float", "bool", "str")
"""Types of values that a message shows as they are."""
MAX_ENDS = 1_000
"""The most inputs that a net has, and the most outputs."""

_WEIGHT = {
    "shape": Param("shape", ("list",)),
    "init": Param("init", ("init",), positional=False),
    "batch": Param("batch", ("bool",), positional=False),
    "axes": Param("axes", ("str",), positional=False),
    "learned": Param("learned", ("bool",), positional=False),
}


class Walker(Layers):
    """Runs the bodies of one net and of the blocks in it.

    There are three things that a walker of another kind does in its own way. Values are what `evaluator` computes.
    Questions are what a decision takes (`decision`), and what holds (`conditional`, `within`, `cases`): a walk may
    also take both ways. What is made is put down by `add`, `open` and `close`.
    """

    def __init__(self, settings: Mapping[str, Any], inputs: Mapping[str, Shape], max_nodes: int) -> None:
        """`inputs` override the net's, "" naming the only one."""
        super().__init__(settings, max_nodes)
        self.input_shapes = inputs
        self.inputs: dict[str, int] = {}
        self.outputs: list[tuple[str, Wire, bool]] = []
        self.labels: frozenset[str] = frozenset()
        """What the net's text calls outputs besides its result, whether they are there or not."""
        self.own = ""
        """The label of an output that is the net's result, since `return` names it first."""
        self.fields: dict[str, str] = {}
        """The names that `return` gives outputs, by their labels and in its order; "out" is the net's result."""
        self.origins: dict[Wire, tuple[DraftScope, str]] = {}
        """The labels of values; those that are read by it are called so in emitted code."""
        self.early: dict[DraftScope, list[range]] = {}
        """The items that are computed as soon as what they read is there, by the scope that they are in."""
        self.inits: dict[str, dict[str, Init]] = {}
        self.budgets: list[Budget] = []
        self.meta: dict[str, Any] = {}
        self.whole = True
        """Whether all lines that were met could be read."""

    def enter_file(self, file: FileScope) -> None:
        """Take in the `@allow`s of a file's declarations, once."""
        if file not in self._files:
            self._files.add(file)
            for item in file.allows:
                self.allow(item, file)

    # ---------------------------------------------------------------- bodies

    def net_body(self, body: tree.Body, place: Place) -> Data | None:
        """Run the body of a net."""
        self.enter_net(body)
        return self.scope_body(body, place)

    def enter_net(self, body: tree.Body) -> None:
        """Take note of what a net's text calls its outputs."""
        self.own = own_output(body)
        self.labels = frozenset(label for label, _ in labelled_outputs(body) if label != self.own)

    def scope_body(self, body: tree.Body, place: Place) -> Data | None:
        """Run the statements of a scope."""
        return self.body(self.enter_body(body, place), place)

    def enter_body(self, body: tree.Body, place: Place) -> tree.Body:
        """Return a scope's statements without the order in which its children are registered, which is noted."""
        place.scope.body = body
        order = body[0] if body else None
        if not isinstance(order, tree.Order):
            return body
        try:
            place.scope.first = ordered(order, body, place)
        except SpecError as error:
            self.record(error.diagnostic, place)
        return body[1:]

    def body(self, body: tree.Body, place: Place) -> Data | None:
        """Run statements; an error in one leaves what it would have made unknown, and the next ones run."""
        if body:
            self.evaluator.enter(body[0], place.source)
        for number, statement in enumerate(body):
            if self.hopeless:
                place.flow = POISON
                break
            statement, rest = guarded(body, number, place.in_net)
            if place.returned:
                help = "what a block or net gives is what its last line makes, and needs no word"
                self.record(
                    fail("E225", "nothing can follow `return`", place.span(statement), help).diagnostic, place
                )
                break
            try:
                self.statement(statement, place)
            except SpecError as error:
                self.record(error.diagnostic, place)
                self.poison(statement, place)
            except Poisoned:
                self.poison(statement, place)
                if isinstance(statement, tree.For):  # what it goes through is unknown, its lines are not
                    place.env.names.update((name.text, POISON) for name in statement.names)
                    self.body(statement.body, place)
            if place.flow is not None:
                place.env.tensors["flow"] = place.flow
            if rest:
                break
        self.evaluator.depth -= bool(body)
        return place.flow

    def statement(self, node: tree.Statement, place: Place) -> None:
        """Run one statement."""
        self.evaluator.spend(1, node, place.source)
        self.at(place)
        getattr(self, self._run[type(node)].__name__)(node, place)

    def poison(self, node: tree.Statement, place: Place) -> None:
        """Make unknown what a failed statement would have made."""
        if isinstance(node, tree.Annotated):
            self.poison(node.statement, place)
        elif isinstance(node, tree.Default):
            place.broken |= {node.op.text, closest(node.op.text, [*catalogue()])}
        elif isinstance(node, (tree.If, tree.For, tree.Stage)):
            self.poison_labels(node, place)
            place.flow = POISON
        elif isinstance(node, (tree.Assign, tree.Bind)):
            for target in node.targets:
                self.poison_label(target, place)
                if isinstance(node, tree.Assign):
                    self.poison_name(target, place)
        elif isinstance(node, tree.Def):
            place.env.names[node.name.text] = POISON
        elif isinstance(node, (tree.Line, tree.Container, tree.Merge, tree.Weight, tree.Output)):
            if node.label is not None:
                self.poison_label(node.label, place)
            if isinstance(node.label, tree.Name) and makes_module(node):
                try:
                    self.check_key(node.label.text, place.span(node.label))
                except SpecError as error:  # a label is wrong whatever flows
                    self.record(error.diagnostic, place)
            if isinstance(node, tree.Line):
                self.poison_labels(node.chain, place)
            if not isinstance(node, (tree.Weight, tree.Output)):
                place.flow = POISON
        elif isinstance(node, (tree.Input, tree.Return)):
            place.flow = POISON

    def unreadable(self, node: tree.Broken, place: Place) -> None:
        """Lines that cannot be read."""
        place.env.lose(node)
        place.broken |= {node.defaults} - {""}
        place.flow = POISON
        self.whole = False

    def poison_labels(self, node: tree.Tree, place: Place) -> None:
        """Make unknown all that has a label in a part of the text, or is given a name there."""
        for piece in tree.pieces(node):
            labels = getattr(piece, "targets", None) or (getattr(piece, "label", None),)
            for label in labels:
                if label is None:
                    continue
                self.poison_label(label, place)
                if isinstance(piece, tree.Assign):
                    self.poison_name(label, place)

    @staticmethod
    def poison_label(label: tree.Label, place: Place) -> None:
        """Make what a label names unknown."""
        if isinstance(label, tree.Name):
            if label.text in ("x", "flow"):
                return
            place.env.tensors[label.text] = POISON
        else:
            place.env.unlabelled = True

    @staticmethod
    def poison_name(target: tree.Label, place: Place) -> None:
        """Make unknown what has a name by `=`."""
        if not isinstance(target, tree.Name):
            place.env.partial = True
        elif target.text != "x":
            place.env.names[target.text] = POISON

    def define(self, label: tree.Label, value: Data, place: Place) -> None:
        """Bind a label to the value that it names."""
        name = self.evaluator.text(label, place.env, place.source)
        if name in ("flow", "x"):
            what = "the value that flows" if name == "flow" else "what comes in"
            raise fail("E214", f"`{name}` is {what}", place.span(label), f"call it {name}1")
        place.env.tensors[name] = value
        if len(value.wires) == 1:
            self.name_value(Naming.LABEL, value.wires[0], place.scope, name)

    def name_value(self, how: Naming, wire: Wire, scope: DraftScope, name: str) -> None:
        """Note what a value is called in a scope: by a label, by what reads it, or by a `=` line."""
        if how is Naming.LABEL:
            self.origins.setdefault(wire, (scope, name))
            return
        if how is Naming.READ:
            scope, label = self.origins.get(wire, (scope, ""))
            if label != name:
                return
        scope.named.setdefault(wire, name)

    @contextmanager
    def apart(self, place: Place, turn: bool = False) -> Iterator[None]:
        """Note what is made meanwhile as the part of a condition, or as a turn of a loop."""
        scope, begin = place.scope, len(place.scope.drafts)
        yield
        end = len(scope.drafts)
        scope.cuts.update((begin, end))
        if turn and end > begin:
            scope.turns.append(range(begin, end))

    # ---------------------------------------------------------------- conditions

    def conditional(self, condition: tree.Expr | None, run: Callable[[], None], place: Place) -> None:
        """Run something if a condition holds, or there is none."""
        if condition is None or self.evaluator.truth(condition, place.env, place.source):
            run()

    def within(
        self, condition: tree.Expr | None, data: Data, run: Callable[[Data], Data], place: Place
    ) -> Data:
        """Return what becomes of a value that flows, if a condition holds; it goes on as it is if not."""
        if condition is None or self.evaluator.truth(condition, place.env, place.source):
            return run(data)
        return data

    def cases(self, node: tree.If, run: Callable[[tree.Body], None], place: Place) -> None:
        """Run the case that holds."""
        for case in node.cases:
            if self.evaluator.truth(case.condition, place.env, place.source):
                run(case.body)
                return
        run(node.otherwise)

    # ---------------------------------------------------------------- lines with a chain

    def line(self, node: tree.Line, place: Place) -> None:
        """`label: chain when condition`."""
        if node.condition is None:
            self.flow_on(node, place)
            return
        self.check_start(node, node.condition, place)
        with self.apart(place):
            self.conditional(node.condition, partial(self.flow_on, node, place), place)

    def check_start(self, node: tree.Line | tree.Branch, condition: tree.Expr, place: Place) -> None:
        """Refuse a line under a condition that begins elsewhere: without it what flowed before would go on."""
        source, flow = node.chain.source, place.flow
        if not source or (flow is not None and flow.poisoned):
            return
        try:
            elsewhere = flow is None or self.refs(source, place).wires != flow.wires
        except SpecError:  # the value may be there under the same condition only
            if self.evaluator.truth(condition, place.env, place.source):
                raise
            elsewhere = True
        if elsewhere:
            raise self.two_starts(node, condition, place)

    @staticmethod
    def two_starts(node: tree.Line | tree.Branch, condition: tree.Expr, place: Place) -> SpecError:
        """Return the error for a line that would go on with another value than that it begins with."""
        text, chain = place.source.text, node.chain
        span = Span(place.source, chain.source[0].start, chain.source[-1].end)
        begin, label = f"from {span.text}", text[node.start : chain.start]
        steps, holds = "", short(place.span(condition).text)
        ways = []
        if chain.steps:
            (first, *others), last = chain.steps, chain.steps[-1]
            steps = f" -> {short(text[first.start : last.end])}"
            way = f"{label}{begin} -> [{steps[4:]} when {holds}]"
            alone = not others and isinstance(first, (tree.Layer, tree.Group)) and first.label is None
            if alone and node.label is not None:
                way = f"{begin} -> [{steps[4:]} as {place.span(node.label).text} when {holds}]"
            ways.append(f"to go on with {span.text}: {way}")
        if not text[
            text.rfind("\n", 0, node.start) + 1 : node.start
        ].strip():  # no stage and no `if` before it
            way = f"if {holds}: {label}{begin}{steps} / else: identity"
            ways.append(f"to go on with what flowed, two lines: {way}")
        what = f"where `{holds}` is false, this hands on what flowed before, and not `{span.text}`"
        return fail("E227", what, span, "; ".join(ways) or "write the branches as lines, this one under `if`")

    def flow_on(self, node: tree.Line, place: Place) -> None:
        """Run a line's chain."""
        place.flow = self.labelled(node.label, node.chain, place)

    def labelled(self, label: tree.Label | None, chain: tree.Chain, place: Place) -> Data:
        """Run a chain under a label: the layer has it if the chain is one layer, else a Sequential."""
        if label is None:
            return self.chain(chain, place)
        data = self.beginning(chain, place)
        steps = chain.steps
        first = steps[0] if len(steps) == 1 else None
        if isinstance(first, tree.Same):
            what = f"`{place.span(label).text}:` names a module, and `same` makes none"
            help = f"name the value: {place.span(label).text} = from flow -> {place.span(first).text}"
            raise fail("E226", what, place.span(label), help)
        if not steps:
            result = self.need(data, chain, place)
        elif isinstance(first, tree.Layer) and first.label is None:
            result = self.layer(first, self.need(data, first, place), place, label)
        else:
            with self.container(label, place, data) as inner:
                if isinstance(first, tree.Group) and first.label is None:
                    inner.flow = self.branches(first, self.need(data, first, inner), inner)
                else:
                    inner.flow = self.steps(steps, data, inner)
            result = self.known(inner.flow)
        self.define(label, result, place)
        return result

    @contextmanager
    def container(
        self, label: tree.Label | None, place: Place, data: Data | None, span: Span | None = None
    ) -> Iterator[Place]:
        """Run in a new container; the place it yields ends with the container's value as its flow."""
        inner = self.enter(label, place, data, span)
        yield inner
        self.leave(inner, place)

    def enter(
        self, label: tree.Label | None, place: Place, data: Data | None, span: Span | None = None
    ) -> Place:
        """Begin a container; return the place in it."""
        at = span or (place.span(label) if label is not None else place.scope.span)
        scope = self.open("container", label, at, data.wires if data is not None else (), place)
        return place.inner(scope, data)

    def leave(self, inner: Place, place: Place) -> None:
        """End a container, whose value is what flows in it."""
        self.close(inner.scope, inner.flow)
        place.defaults, place.broken = inner.defaults, inner.broken  # they hold in the text after it
        self.at(place)

    def container_line(self, node: tree.Container, place: Place) -> None:
        """`label:` and a body."""
        inner = self.enter_container(node, place)
        self.scope_body(node.body, inner)
        self.leave_container(node, inner, place)

    def enter_container(self, node: tree.Container, place: Place) -> Place:
        """Begin what a line's body is in."""
        return self.enter(node.label, place, place.flow, place.span(node))

    def leave_container(self, node: tree.Container, inner: Place, place: Place) -> None:
        """Go on with what a line's body made."""
        self.leave(inner, place)
        place.flow = self.known(self.need(inner.flow, node.label or node, place))
        if node.label is not None:
            self.define(node.label, place.flow, place)

    @staticmethod
    def known(flow: Data | None) -> Data:
        """Return a flow that is there and known."""
        if flow is None or flow.poisoned:
            raise Poisoned
        return flow

    def stage(self, node: tree.Stage, place: Place) -> None:
        """`stage 4: ...`: transparent."""
        outer = place.stage
        self.enter_stage(node, place)
        self.body(node.body, place)
        place.stage = outer

    def enter_stage(self, node: tree.Stage, place: Place) -> None:
        """Begin a stage."""
        place.stage = self.evaluator.text(node.name, place.env, place.source)
        place.scope.stages[len(place.scope.drafts)] = place.stage

    def output(self, node: tree.Output, place: Place) -> None:
        """`train output aux: chain`: the flow goes on untouched.

        One of training that begins with `from` is computed where it branches off, wherever it is written.
        """
        if not place.in_net:
            raise fail("E225", "`output` belongs to a net", place.span(node))
        self.conditional(node.condition, partial(self.put_output, node, place), place)

    def put_output(self, node: tree.Output, place: Place) -> None:
        """Run the chain of an output that is there."""
        name = self.evaluator.text(node.label, place.env, place.source)
        self.check_field(name, node.label, place)
        if name == "out" or any(name == other for other, _, _ in self.outputs):
            help = "the net's own result is called out" if name == "out" else ""
            raise fail("E220", f"two outputs are called `{name}`", place.span(node.label), help)
        if len(self.outputs) >= MAX_ENDS:
            raise fail("E213", f"the net has more than {MAX_ENDS:,} outputs", place.span(node))
        flow, train, items = place.flow, place.train, place.scope.drafts
        place.train = train or node.train
        begin = len(items)
        try:
            if any(
                has_label(step) for step in node.chain.steps
            ):  # the net's children, which it only gives a name
                data = self.chain(node.chain, place)
                self.define(node.label, data, place)
            else:
                data = self.labelled(node.label, node.chain, place)
            wire = self.single(data, place.span(node)).wires[0]
            if name != self.own:
                self.outputs.append((name, wire, place.train))
            if node.train and node.chain.source:
                self.early.setdefault(place.scope, []).append(range(begin, len(items)))
        finally:
            place.flow, place.train = flow, train

    @staticmethod
    def check_field(name: str, node: tree.Tree, place: Place) -> None:
        """Refuse what no field of a NamedTuple can be called."""
        if why := unfit_field(name):
            raise fail("E219", f"`{name}` {why}", place.span(node), "choose another name")

    def return_line(self, node: tree.Return, place: Place) -> None:
        """`return a, b`; of a net `return fc as logits, aux as aux_logits`."""
        if place.container:
            raise fail("E225", "`return` belongs to a block or net, not to a container", place.span(node))
        results = node.results
        if place.in_net:
            self.name_results(results, place)
            results = results[:1]
        for result in results:
            if result.name is not None and not place.in_net:
                help = "a block returns values in their order"
                raise fail("E225", "only results of a net have names", place.span(result.name), help)
        place.flow = self.refs(tuple(result.ref for result in results), place)
        place.returned = True

    def name_results(self, results: tuple[tree.Result, ...], place: Place) -> None:
        """Note the names of a net's result and of its outputs, and their order."""
        labels = ["out", *(self.output_label(result.ref, place) for result in results[1:])]
        taken = {*self.inputs, *self.labels.difference(labels)}
        for label, result in zip(labels, results, strict=True):
            name = result.name.text if result.name else label
            if label == "out" and result.name is None:
                name = self.result_name(result.ref, taken)
            self.check_field(name, result, place)
            if name in taken or labels.count(label) > 1:
                raise fail("E220", f"two inputs or outputs are called `{name}`", place.span(result))
            taken.add(name)
            self.fields[label] = name

    def output_label(self, ref: tree.Ref, place: Place) -> str:
        """Return the label of an output that `return` names, which may not be there for these arguments."""
        label = self.evaluator.text(ref.name, place.env, place.source)
        if not isinstance(ref.name, tree.Name) or ref.index is not None or label not in self.labels:
            shown = place.span(ref).text
            raise fail(
                "E305",
                f"`{shown}` is no output of the net",
                place.span(ref),
                self.as_output(ref, label, place),
            )
        return label

    def as_output(self, ref: tree.Ref, label: str, place: Place) -> str:
        """Return the help that makes an output of a value: `output` before its line, if that begins with `from`."""
        if place.env.find_tensor(label) is None:
            return did_you_mean(label, sorted(self.labels))
        for line in place.scope.body:
            if not isinstance(line, tree.Line) or line.label is None or not line.chain.source:
                continue
            text = place.span(line).text.strip()
            if place.span(line.label).text == label and ref.index is None and "\n" not in text:
                return f"write its line as an output: output {text}"
        shown = place.span(ref).text
        name = next(name for n in range(2, MAX_ENDS) if place.env.find_tensor(name := f"p{n}") is None)
        as_label = f"{name} as {label}" if ref.index is None and not unfit_field(label) else name
        return f"name it on a line of its own: output {name}: from {shown}, and return {as_label}"

    def result_name(self, ref: tree.Ref, taken: Container[str]) -> str:
        """Return what the net's result is called if `return` does not say it: as the value is, where it can be.

        What has no such label, as `flow` and `a[0]`, or shares it with an input or output, is `out`.
        """
        name = ref.name.text if isinstance(ref.name, tree.Name) and ref.index is None else ""
        legal = name not in ("", "flow", "x") and name not in taken and not unfit_field(name)
        return name if legal else "out"

    def field(self, label: str) -> tuple[int, str]:
        """Return where `return` puts an output, and its name."""
        order = ["out", *self.fields]
        return order.index(label) if label in order else len(order), self.fields.get(label, label)

    def bind_line(self, node: tree.Bind, place: Place) -> None:
        """`a, b = from x -> split 2`: names no module, does not move the flow."""
        self.conditional(node.condition, partial(self.bind_values, node, place), place)

    def bind_values(self, node: tree.Bind, place: Place) -> None:
        """Give values their names."""
        flow = place.flow
        try:
            merge = isinstance(node.value, tree.Merge)
            data = self.merged(node.value, place) if merge else self.chain(node.value, place)  # type: ignore[arg-type]
        finally:
            place.flow = flow
        if len(node.targets) == 1:
            self.bind(node.targets[0], data, place)
            return
        if len(node.targets) != len(data.wires):
            what = f"{len(node.targets)} names for {len(data.wires)} values"
            raise fail("E209", what, place.span(node))
        for target, wire, shape in zip(node.targets, data.wires, data.shapes, strict=True):
            self.bind(target, Data((wire,), (shape,)), place)

    def bind(self, target: tree.Label, value: Data, place: Place) -> None:
        """Bind one name of a `=` line."""
        self.define(target, value, place)
        if len(value.wires) == 1:
            name = self.evaluator.text(target, place.env, place.source)
            self.name_value(Naming.BOUND, value.wires[0], place.scope, name)

    # ---------------------------------------------------------------- joints

    def merge_line(self, node: tree.Merge, place: Place) -> None:
        """`add:` and one branch a line."""
        if node.label is None:
            place.flow = self.merged(node, place)
            return
        if node.joint.text == "choose":
            place.flow = self.chosen(node, node.label, place)
        else:
            with self.container(node.label, place, place.flow) as inner:
                inner.flow = self.merged(node, inner)
            place.flow = self.known(inner.flow)
        self.define(node.label, place.flow, place)

    def merged(self, node: tree.Merge, place: Place) -> Data:
        """Return what a joint makes of its branches."""
        if node.joint.text == "choose":
            raise fail("E217", "a decision needs a name", place.span(node), "neck: choose:")
        only = node.body[0] if len(node.body) == 1 else None
        only = only.statement if isinstance(only, tree.Annotated) else only
        if node.joint.text != "fork" and isinstance(only, (tree.Line, tree.Container, tree.Merge)):
            raise self.joins_one(node.joint, place)
        begin = len(self.drafts)
        branches: list[tuple[str, Data]] = []
        if not self.fork(node.body, place, place.flow, branches):
            raise Poisoned
        if not branches:
            help = "give it a line that is always there, such as identity"
            raise fail("E222", f"{node.joint.text} has no branches", place.span(node.joint), help)
        self.limit(len(branches), node, place)
        data = self.join(node.joint, [b for _, b in branches], [n for n, _ in branches], place, begin)
        if len(branches) > 1 and node.joint.text != "fork" and has_loop(node.body):
            self.drafts[-1].counted = True
        return data

    @staticmethod
    def joins_one(joint: tree.Name, place: Place) -> SpecError:
        """Return the error for a joint that is only ever given one value, and would be nothing."""
        help = "give it a second branch, as `identity` is one, or take it out"
        return fail(
            "E222", f"{joint.text} has one branch, and would leave it as it is", place.span(joint), help
        )

    def chosen(self, node: tree.Merge, label: tree.Label, place: Place) -> Data:
        """Return the branch that a decision takes."""
        names: list[str] = []
        for statement in node.body:
            if isinstance(statement, tree.Broken):
                self.unreadable(statement, place)
                raise Poisoned
            if not isinstance(statement, (tree.Line, tree.Container, tree.Merge)):
                raise fail("E217", "choose: holds one option a line", place.span(statement))
            option = str(len(names))
            if statement.label is not None:
                option = self.evaluator.text(statement.label, place.env, place.source)
            elif isinstance(statement, tree.Line) and statement.chain.steps:
                step = statement.chain.steps[0]
                option = step.op.text if isinstance(step, tree.Layer) else option
            names.append(option if option not in names else str(len(names)))
        name = self.evaluator.text(label, place.env, place.source)
        index = self.decision(name, tuple(names), node, place.span(node))
        with self.container(label, place, place.flow) as inner:
            self.body((node.body[index],), inner)
        return self.known(inner.flow)

    def fork(
        self, body: tree.Body, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run the lines of a joint as branches, each from the same flow; tell whether all were right."""
        good = True
        for statement in body:
            if self.hopeless:
                raise Poisoned
            place.flow = flow
            try:
                good &= self.branch(statement, place, flow, branches)
            except SpecError as error:
                self.record(error.diagnostic, place)
                self.poison(statement, place)
                good = False
            except Poisoned:
                self.poison(statement, place)
                good = False
        place.flow = flow
        return good

    def branch(
        self, node: tree.Statement, place: Place, flow: Data | None, branches: list[tuple[str, Data]]
    ) -> bool:
        """Run one line of a joint; tell whether it was right."""
        if isinstance(node, tree.Annotated):
            self.allow(node, place)
            node = node.statement
        if isinstance(node, tree.Broken):
            self.unreadable(node, place)
            return False
        if isinstance(node, tree.If):
            good = [True]

            def run(body: tree.Body) -> None:
                good[0] &= self.fork(body, place, flow, branches)

            self.cases(node, run, place)
            return good[0]
        if isinstance(node, tree.For):
            return all([self.fork(node.body, place, flow, branches) for _ in self.turns(node, place)])
        if isinstance(node, (tree.Line, tree.Container, tree.Merge)):
            self.statement(node, place)
            name = "" if node.label is None else self.evaluator.text(node.label, place.env, place.source)
            if (
                flow is not None
                and place.flow is not None
                and place.flow.wires == flow.wires
                and has_when(node)
            ):
                name = LeftOut(name, place.span(node))
            branches.append((name, self.single(place.flow, place.span(node))))
        elif isinstance(node, (tree.Assign, tree.Bind, tree.Default)):
            self.statement(node, place)
        else:
            raise fail("E225", "a joint holds branches, one a line", place.span(node))
        return True

    # ---------------------------------------------------------------- lines with a body

    def if_line(self, node: tree.If, place: Place) -> None:
        """`if`, `elif`, `else`: transparent."""

        def run(body: tree.Body) -> None:
            self.body(body, place)

        with self.apart(place):
            self.cases(node, run, place)

    def for_line(self, node: tree.For, place: Place) -> None:
        """`for`: transparent."""
        for _ in self.turns(node, place):
            with self.apart(place, turn=True):
                self.body(node.body, place)
            if (place.flow is not None and place.flow.poisoned) or self.hopeless:
                break

    def turns(self, node: tree.For, place: Place) -> Iterator[None]:
        """Bind the loop's names for each turn, which begins with the defaults before the loop."""
        defaults, outer = place.defaults, place.turns
        try:
            for number, item in enumerate(self.loop_items(node, place)):
                self.begin_turn(node, number, item, defaults, outer, place)
                yield
        finally:
            place.turns = outer

    def loop_items(self, node: tree.For, place: Place) -> list[Any]:
        """Return what a loop goes through."""
        check_variables(node.names, place.source)
        return self.evaluator.iterate(node.iterable, place.env, place.source)

    def begin_turn(
        self,
        node: tree.For,
        number: int,
        item: Any,
        defaults: Mapping[str, Arguments],
        outer: tuple[int, ...],
        place: Place,
    ) -> None:
        """Begin a turn of a loop; `defaults` and the turns around it are those before the loop."""
        self.evaluator.unpack(node.names, item, place.env, place.source, node.groups)
        place.defaults = defaults
        place.turns = (*outer, number)

    # ---------------------------------------------------------------- lines without a chain

    def weight(self, node: tree.Weight, place: Place) -> None:
        """`weight label [shape], init=..., batch=true, axes="hwc", learned=false`."""
        given = bind(self.evaluator, _WEIGHT, node.args, place.env, place.source, "weight")
        if "shape" not in given:
            raise fail("E204", "weight needs a shape", place.span(node), "weight scale [64, 1, 1]")
        shape = given["shape"].value
        if not 1 <= len(shape) <= 3 or any(not is_whole(n) or n < 1 for n in shape):
            what = f"weight: the shape must be one to three sizes from 1, got {show(shape)}"
            raise fail("E203", what, given["shape"].span)
        fields: dict[str, Any] = {"shape": tuple(shape)}
        fields |= {name: given[name].value for name in ("batch", "axes", "learned") if name in given}
        if "init" in given:
            fields["inits"] = {"": given["init"].value}
        if "." in self.evaluator.text(node.label, place.env, place.source):
            raise fail(
                "E219", "a learned tensor is no module, and in no list of them", place.span(node.label)
            )
        op = catalogue()["weight"](**fields)
        self.define(node.label, self.add(op, Data((), ()), place, node, node.label, {}, {}), place)

    def assign(self, node: tree.Assign, place: Place) -> None:
        """`w = 4*c`."""
        value = self.named_value(node, place)
        names = [self.evaluator.text(target, place.env, place.source) for target in node.targets]
        if isinstance(value, Choice):
            value = self.decide(value, names[0])
        items = [value]
        if len(names) > 1:
            items = self.evaluator.items(value, place.span(node.value))
            if len(items) != len(names):
                raise fail("E209", f"{len(names)} names for {len(items)} values", place.span(node))
        for name, target, item in zip(names, node.targets, items, strict=True):
            if isinstance(item, Data):
                help = f"{name} = from {place.span(node.value).text}"
                raise fail("E210", "`=` with a tensor needs `from`", place.span(node), help)
            if name in ("x", "flow") or name in catalogue():
                what = "an op of the language" if name in catalogue() else "the value that flows"
                raise fail("E214", f"`{name}` is {what}", place.span(target), f"call it {name}1 or so")
            check_variables((target,), place.source)
            place.env.names[name] = item
            if isinstance(item, (int, float)):
                place.scope.args.setdefault(name, item)

    def named_value(self, node: tree.Assign, place: Place) -> Any:
        """Return a value that gets a name; the error for a layer of another framework says what names layers."""
        try:
            return self.evaluator.eval(node.value, place.env, place.source)
        except SpecError as error:
            d, text = error.diagnostic, place.span(node.value).text
            if d.code != "E200" or d.span != place.span(node.value) or not text.endswith(")"):
                raise
            from netdsl.elaborate.elsewhere import layer  # only errors need it
            from netdsl.syntax.explain import NAMES

            here = layer(text)
            if not here:
                raise
            help = f"{NAMES}{place.span(node.targets[0]).text}: {here}"
            raise SpecError(d.replace(help=help)) from None

    def def_line(self, node: tree.Def, place: Place) -> None:
        """`def ch(c) = ...`."""
        define(node, place.env, place.source)

    def default(self, node: tree.Default, place: Place) -> None:
        """`default conv 3x3, norm=bn`: for the rest of the block or net."""
        place.defaults = default_line(self.evaluator, node, place.env, place.source, place.defaults)

    def init(self, node: tree.InitLine, place: Place) -> None:
        """`init conv weight=...`: in a net for all that is built, in a block or container for what is built in it."""
        name, inits = self.init_line(node, place)
        if place.in_net and not place.container:
            self.inits[name] = {**self.inits.get(name, {}), **inits}
        else:
            *outer, own = place.inits
            place.inits = (*outer, {**own, name: {**own.get(name, {}), **inits}})

    def init_line(self, node: tree.InitLine, place: Place) -> tuple[str, dict[str, Init]]:
        """Return the op of an `init` line, and its initialisers by parameter."""
        return init_line(self.evaluator, node, place.env, place.source)

    def input(self, node: tree.Input, place: Place) -> None:
        """`input 3, 224x224`."""
        span = place.span(node)
        if not place.in_net or place.container:
            raise fail("E225", "`input` belongs to a net", span)
        if len(self.inputs) >= MAX_ENDS:
            raise fail("E213", f"the net has more than {MAX_ENDS:,} inputs", span)
        name = "x"
        if node.name is not None:
            name = node.name.text
            if name != "x":
                check_name(node.name, place.source)
        if name in self.inputs:
            help = "name each: input depth: 1, 64x64"
            raise fail("E220", f"two inputs are called `{name}`", span, help)
        sizes = self.sizes(node, place)
        shape = self.input_shapes.get(name) or self.input_shapes.get("") or Shape(*sizes)
        if len(shape) != len(sizes):
            help = f"for example --input {'x'.join(map(str, sizes))}"
            what = f"input {name} has {len(sizes)} sizes, --input gives {len(shape)}"
            raise fail("E505", what, span, help)
        data = self.add(catalogue()["input"](shape=shape), Data((), ()), place, node, name, {}, {})  # type: ignore[call-arg]
        flow = place.flow
        self.inputs[name] = data.wires[0].draft
        place.env.tensors[name] = data
        if flow is None or not flow.poisoned:
            place.flow = Data((*flow.wires, *data.wires), (*flow.shapes, *data.shapes)) if flow else data

    def sizes(self, node: tree.Input, place: Place) -> list[int]:
        """Return the sizes of an input as the spec gives them."""
        sizes: list[int] = []
        values: list[int | Dims] = []
        for arg in node.args:
            if not isinstance(arg, tree.Expr):
                raise fail("E202", "input takes sizes only", place.span(arg), "input 3, 224x224")
            value = self.size(arg, node, place)
            if not is_whole(value) and not isinstance(value, Dims):
                raise fail(
                    "E203", f"input takes sizes, got {show(value)}", place.span(arg), "input 3, 224x224"
                )
            values.append(value)
            sizes += [value] if isinstance(value, int) else value
        if len(sizes) == 3 and len(values) == 2 and isinstance(values[0], Dims):
            what = "the channels of an input stand before its rows and columns"
            pixels, channels = (place.span(arg).text for arg in node.args)
            name = f"{node.name.text}: " if node.name else ""
            raise fail("E203", what, place.span(node), f"input {name}{channels}, {pixels}")
        if not 1 <= len(sizes) <= 3 or min(sizes) < 1:
            what = f"an input has one to three sizes from 1, got {show(tuple(sizes))}"
            raise fail("E203", what, place.span(node), "input 3, 224x224")
        return sizes

    def size(self, arg: tree.Expr, node: tree.Input, place: Place) -> Any:
        """Return one size of an input; the error for `input image (3, 64, 64)` says where a name stands."""
        try:
            return self.evaluator.eval(arg, place.env, place.source)
        except SpecError as error:
            from netdsl.syntax.habits import habit  # only errors need it

            help = habit(place.span(node).text) if isinstance(arg, tree.CallExpr) else ""
            raise SpecError(error.diagnostic.replace(help=help)) if help else error from None

    def meta_line(self, node: tree.Meta, place: Place) -> None:
        """`meta year=2014`."""
        for arg in node.args:
            if not isinstance(arg, tree.Keyword):
                raise fail("E202", "meta takes name=value", place.span(arg), "meta year=2014")
            value = self.evaluator.eval(arg.value, place.env, place.source)
            if not isinstance(value, (int, float, str)):
                raise fail(
                    "E203", f"meta takes numbers and strings, got {kind_of(value)}", place.span(arg.value)
                )
            self.meta[arg.name] = value

    def require(self, node: tree.Require, place: Place) -> None:
        """`require params <= 5M`: kept for when costs are known; of parameters, `require n >= 2`, held now."""
        path, stages = place.scope.path, place.scope.stages.values()
        stage = place.stage if place.stage in stages else ""  # one around the module is not meant
        for claim in node.claims:
            if is_condition(claim, place.env):
                self.demand(claim, place)
            elif self._again is None:  # what a module may cost is said of its first call
                budget = Budget(claim, place.source, place.env, path, stage, place.span(claim))
                self.budgets.append(budget)

    def demand(self, claim: tree.Expr, place: Place) -> None:
        """Raise an error unless a condition on parameters holds."""
        if self.evaluator.truth(claim, place.env, place.source):
            return
        given = ", ".join(f"{name}={show(value)}" for name, value in self.values_read(claim, place).items())
        what = f"{place.span(claim).text} is required" + (f", got {given}" if given else "")
        raise fail("E206", what, place.span(claim))

    def values_read(self, claim: tree.Expr, place: Place) -> dict[str, Any]:
        """Return the numbers, texts and lists that a condition reads, and the sizes of values, by how it has them."""
        named = {name: place.env.find_name(name) for name in read_names(claim)}
        found = {name: value for name, value in named.items() if type_name(value) in (*PLAIN, "list", "dims")}
        for node in tree.pieces(claim):
            if (name := sized(node)) and place.env.find_tensor(name) and isinstance(node, tree.Attribute):
                found[f"{name}.{node.name}"] = self.evaluator.eval(node, place.env, place.source)
        return found

    def order_line(self, node: tree.Order, place: Place) -> None:
        """`order downsample, norm1` where no scope begins."""
        what = "`order` is the first line of a net, of a container, or of a block that is not inline"
        raise fail("E225", what, place.span(node))

    def decide_line(self, node: tree.Decide, place: Place) -> None:
        """`decide stage1.depth=3` where no variant decides."""
        raise decides_nothing(node, place.source, self.scopes[0].block)

    def annotated(self, node: tree.Annotated, place: Place) -> None:
        """A statement under `@allow`."""
        self.allow(node, place)
        self.statement(node.statement, place)

    def allow(self, node: tree.Annotated, place: Place | FileScope) -> None:
        """Note the annotations of a statement."""
        self.allows.update((allow.span, allow) for allow in allowances(node, place.source))

    # ---------------------------------------------------------------- chains

    def refs(self, refs: tuple[tree.Ref, ...], place: Place) -> Data:
        """Return the values that `from` names."""
        if len(refs) == 1:
            return self.ref(refs[0], place)
        wires: list[Wire] = []
        shapes: list[Shape] = []
        for ref in refs:
            data = self.ref(ref, place)
            wires += data.wires
            shapes += data.shapes
            self.limit(len(wires), ref, place)
        return Data(tuple(wires), tuple(shapes))

    def limit(self, count: int, node: tree.Tree, place: Place) -> None:
        """Bound the tuples that flow."""
        self.evaluator.spend(count, node, place.source)
        if count > MAX_VALUES:
            raise fail("E213", f"a tuple of {count:,} values is more than {MAX_VALUES:,}", place.span(node))

    def ref(self, ref: tree.Ref, place: Place) -> Data:
        """Return one value by its name."""
        name = self.evaluator.text(ref.name, place.env, place.source)
        span = place.span(ref)
        value = place.flow if name == "flow" else place.env.find_tensor(name)
        if value is None:
            raise self.no_value(name, span, place)
        if value.poisoned:
            raise Poisoned
        if not place.train and any(self.drafts[wire.draft].train for wire in value.wires):
            help = "what reads it is an output in training, too: train output aux2: ..."
            raise fail("E225", f"`{name}` is there in training only", span, help)
        if not place.train and (place.flow is None or value.wires != place.flow.wires):
            self.name_value(Naming.READ, value.wires[0], place.scope, name)
        if ref.index is None:
            return value
        index = self.evaluator.eval(ref.index, place.env, place.source)
        if not is_whole(index):
            raise fail("E203", f"an index must be an int, got {show(index)}", span)
        return self.evaluator.pick(value, index, span)

    def no_value(self, name: str, span: Span, place: Place) -> Exception:
        """Return the error for a value that is not there."""
        env = place.env
        if name == "flow":
            return fail("E223", "nothing flows here yet", span, "begin the net with: input 3, 224x224")
        if env.unlabelled:
            return Poisoned()
        other = env.find(name)
        if isinstance(other, Data):
            return Poisoned()
        if name in env.known():
            help = f"where it is made: {name} = from flow -> ..." if isinstance(other, OpValue) else ""
            return fail("E210", f"`{name}` is {kind_of(other)}, not a tensor", span, help)
        return unknown(
            "E200", "value", name, [n for n in env.known() if env.find_tensor(n) is not None], span
        )

    def chain(self, chain: tree.Chain, place: Place) -> Data:
        """Return what a chain makes."""
        data = self.beginning(chain, place)
        if not chain.steps:
            return self.need(data, chain, place)
        for at, step in enumerate(chain.steps):
            if not isinstance(step, tree.Layer) or not isinstance(step.op, tree.Name) or step.args:
                continue
            before = chain.steps[at - 1] if at else None
            if step.op.text in JOINTS and makes_one(before or self.feeding(chain, place)):
                raise self.joins_one(step.op, place)
        return self.steps(chain.steps, data, place)

    def beginning(self, chain: tree.Chain, place: Place) -> Data | None:
        """Return what a chain begins with, unknown if an error left it so: what its steps are is wrong or right."""
        try:
            return self.refs(chain.source, place) if chain.source else place.flow
        except Poisoned:
            return POISON

    def feeding(self, chain: tree.Chain, place: Place) -> tree.Step | None:
        """Return the step that makes what a chain begins with, if that is a line of this block; None if not."""
        if not chain.source:
            lines = lines_of(place.scope)
            at = next((i for i, line in enumerate(lines) if line is not None and line.chain is chain), 0)
            line = lines[at - 1] if at else None
        else:
            (ref, *others) = chain.source
            named = not others and ref.index is None and place.span(ref).text
            scopes = [place.scope]
            while scopes[-1].kind == "container" and scopes[-1].outer is not None:
                scopes.append(scopes[-1].outer)
            every = [one for scope in scopes for one in lines_of(scope) if one and one.label]
            line = next((one for one in every if one.label and place.span(one.label).text == named), None)
        return line.chain.steps[-1] if line and line.condition is None and line.chain.steps else None

    def need(self, data: Data | None, node: tree.Tree, place: Place) -> Data:
        """Return a flow that must be there."""
        if data is None:
            help = "begin the net with: input 3, 224x224"
            raise fail("E223", "nothing flows here yet", place.span(node), help)
        if data.poisoned:
            if isinstance(node, tree.Layer):
                self.check_layer(node, place)
            raise Poisoned
        return data

    def steps(self, steps: tuple[tree.Step, ...], data: Data | None, place: Place) -> Data:
        """Run steps one after another."""
        if data is not None and data.poisoned:
            for layer in self.layers_in(steps, place):
                self.check_layer(layer, place)
            raise Poisoned
        for i, step in enumerate(steps):
            try:
                data = self.step(step, data, place)
            except SpecError as error:
                if error.diagnostic.code != "E201":
                    raise
                self.record(error.diagnostic, place)
                self.check_ops(steps[i + 1 :], place)
                raise Poisoned from None
        return self.known(data)

    def check_ops(self, steps: tuple[tree.Step, ...], place: Place) -> None:
        """Report the other ops of a chain that nobody knows: what flows there is unknown, ops are not."""
        for layer in self.layers_in(steps, place):
            try:
                self.check_layer(layer, place)
            except SpecError as error:
                if error.diagnostic.code == "E201":  # others may follow from what is wrong
                    self.record(error.diagnostic, place)
            except Poisoned:
                pass

    def layers_in(self, steps: tuple[tree.Step, ...], place: Place) -> Iterator[tree.Layer]:
        """Yield the layers of steps that are there whatever flows, of a repetition those of its first copy."""
        for step in steps:
            if isinstance(step, tree.Layer):
                yield step
            elif isinstance(step, tree.Repeat):
                outer, place.copy = place.copy, 0
                yield from self.layers_in((step.step,), place)
                place.copy = outer
            elif isinstance(step, tree.Group):
                for branch in step.branches:
                    if branch.condition is None:
                        yield from self.layers_in(branch.chain.steps, place)

    def step(self, node: tree.Step, data: Data | None, place: Place) -> Data:
        """Run one step."""
        data = self.need(data, node, place)
        if isinstance(node, tree.Layer):
            result = self.layer(node, data, place, node.label)
            if node.label is not None:
                self.define(node.label, result, place)
            return result
        self.evaluator.enter(node, place.source)
        try:
            if isinstance(node, tree.Same):
                return self.again(node, data, place)
            if isinstance(node, tree.Repeat):
                return self.repeat(node, data, place)
            if isinstance(node, tree.Group):
                return self.group(node, data, place)
            with self.apart(place):
                return self.within(
                    node.condition, data, lambda flow: self.steps(node.steps, flow, place), place
                )
        finally:
            self.evaluator.depth -= 1

    def group(self, node: tree.Group, data: Data, place: Place) -> Data:
        """`( a )`: a container; `( a | b )`: a fork, in a container if it has a label."""
        if len(node.branches) > 1:
            return self.branches(node, data, place) if node.label is None else self.grouped(node, data, place)
        (branch,) = node.branches
        if branch.condition is not None:
            self.check_start(branch, branch.condition, place.inner(place.scope, data))
        plain = node.replace(branches=(branch.replace(condition=None),))
        return self.within(branch.condition, data, lambda flow: self.grouped(plain, flow, place), place)

    def grouped(self, node: tree.Group, data: Data, place: Place) -> Data:
        """Return what a group's container makes."""
        with self.container(node.label, place, data, place.span(node)) as inner:
            inner.flow = self.branches(node, data, inner)
        result = self.known(inner.flow)
        if node.label is not None:
            self.define(node.label, result, place)
        return result

    def branches(self, node: tree.Group, data: Data, place: Place) -> Data:
        """Run the branches of a group: one is a chain, several a tuple."""
        flow = place.flow
        results = []
        for branch in node.branches:
            place.flow = place.env.tensors["flow"] = data
            result = data
            if branch.condition is not None:
                self.check_start(branch, branch.condition, place)
            if branch.condition is None or self.evaluator.truth(branch.condition, place.env, place.source):
                result = self.labelled(branch.label, branch.chain, place)
            results.append(result if len(node.branches) == 1 else self.single(result, place.span(branch)))
        place.flow = flow
        if flow is not None:
            place.env.tensors["flow"] = flow
        if len(results) == 1:
            return results[0]
        self.limit(len(results), node, place)
        return Data(tuple(r.wires[0] for r in results), tuple(r.shapes[0] for r in results))

    def repeat(self, node: tree.Repeat, data: Data, place: Place) -> Data:
        """`n * step`: transparent."""
        count = self.evaluator.eval(node.count, place.env, place.source)
        span = place.span(node.count)
        if isinstance(count, Choice):
            raise fail("E217", "a decision needs a name", span, "depth = choose(2, 3), then depth * ...")
        if not is_whole(count) or count < 0:
            step, help = node.step, ""
            if isinstance(count, Data) and isinstance(step, tree.Layer) and not step.args:
                help = f"values are joined by a joint: from {span.text}, {place.span(step).text} -> mul"
            raise fail("E203", f"a repetition needs a whole number from 0, got {show(count)}", span, help)
        if count > self.max_nodes:
            raise fail("E213", f"{count:,} repetitions are more than {self.max_nodes:,}", span)
        outer = place.copy
        for turn in range(count):
            place.copy = turn
            self.evaluator.spend(1, node.count, place.source)
            with self.apart(place, turn=True):
                try:
                    before, data = data, self.step(node.step, data, place)
                except SpecError as error:
                    raise self.of_copy(error, node, place) from None
            if turn and self.steady(before, data):
                break
        place.copy = outer
        return data

    @staticmethod
    def of_copy(error: SpecError, node: tree.Repeat, place: Place) -> SpecError:
        """Return the error of a copy; one for its label, `3 * conv as m`, says how all of them have it."""
        diagnostic, span = error.diagnostic, place.span(node)
        at = diagnostic.span
        again = diagnostic.code == "E220" and not diagnostic.labels and at is not None
        if not again or at.source is not span.source or at.end != span.end:  # type: ignore[union-attr]
            return error
        label = at.text  # type: ignore[union-attr]
        steps = span.text.removesuffix(label).rstrip().removesuffix("as").rstrip()
        return SpecError(diagnostic.replace(help=f"({steps}) as {label}"))

    def steady(self, before: Data, after: Data) -> bool:
        """Tell whether what a later turn gives says all of those that follow; here each turn makes layers."""
        return False

    _run: ClassVar[dict[type, Callable[..., None]]] = {
        tree.Line: line,
        tree.Container: container_line,
        tree.Merge: merge_line,
        tree.Stage: stage,
        tree.Output: output,
        tree.Return: return_line,
        tree.Bind: bind_line,
        tree.Weight: weight,
        tree.If: if_line,
        tree.For: for_line,
        tree.Assign: assign,
        tree.Def: def_line,
        tree.Default: default,
        tree.InitLine: init,
        tree.Input: input,
        tree.Meta: meta_line,
        tree.Require: require,
        tree.Order: order_line,
        tree.Decide: decide_line,
        tree.Annotated: annotated,
        tree.Broken: unreadable,
    }
    """What runs a statement, by its kind: the method of that name, which a walker of another kind may have."""


def guarded(body: tree.Body, number: int, in_net: bool) -> tuple[tree.Statement, tree.Body]:
    """Return a statement of a body, and what of the body has become part of it: the rest, if it is a guard."""
    statement = body[number]
    rest = body[number + 1 :] if isinstance(statement, tree.If) and is_guard(statement) else ()
    return (guarding(statement, rest, in_net) if rest else statement), rest  # type: ignore[arg-type]


def is_guard(node: tree.If) -> bool:
    """Tell whether each case of a condition ends with `return`, so that what follows it is its `else`."""
    return all(returns(case.body) for case in node.cases) and not returns(node.otherwise)


def returns(body: tree.Body) -> bool:
    """Tell whether a body ends with `return`, whatever holds."""
    last = body[-1] if body else None
    if isinstance(last, tree.If):
        return all(returns(part) for part in (*(case.body for case in last.cases), last.otherwise))
    return isinstance(last, tree.Return)


def guarding(node: tree.If, rest: tree.Body, in_net: bool) -> tree.If:
    """Return a condition with what follows it as its `else`, which ends as a block does: with what flows."""
    if not in_net and not returns(rest):
        at = rest[-1].start, rest[-1].end
        flow = tree.Result(*at, tree.Ref(*at, tree.Name(*at, "flow"), None), None)
        rest = (*rest, tree.Return(*at, (flow,)))
    return node.replace(otherwise=(*node.otherwise, *rest))


def short(text: str) -> str:
    """Return a text that has room in a help, or three dots."""
    return "..." if "\n" in text or len(text) > 60 else text


def has_label(step: tree.Step) -> bool:
    """Tell whether a step of a chain has a label, or runs what has one, or one within that is no container."""
    if isinstance(step, (tree.Layer, tree.Group)):
        return step.label is not None
    if isinstance(step, tree.Same):
        return True
    inner = step.steps if isinstance(step, tree.Optional) else (step.step,)
    return any(map(has_label, inner))


def unfit_field(name: str) -> str:
    """Return why no field of a NamedTuple can be called so, or an empty string."""
    return reserved_attribute(name) or ("is a method of every tuple" if name in ("count", "index") else "")


def labelled_outputs(body: tree.Body) -> Iterator[tuple[str, tree.Output]]:
    """Yield the outputs that stand in a net's text with their labels, under conditions too."""
    for node in statements(body):
        if isinstance(node, tree.Output) and isinstance(node.label, tree.Name):
            yield node.label.text, node


def read_names(claim: tree.Expr) -> list[str]:
    """Return the names that an expression reads, each once."""
    return list(dict.fromkeys(node.text for node in tree.pieces(claim) if isinstance(node, tree.Name)))


def sized(node: tree.Tree) -> str:
    """Return the name of the value whose size an expression is, as `x.c` is; "" if it is none."""
    size = isinstance(node, tree.Attribute) and node.name in ("c", "h", "w", "n")
    return node.value.text if size and isinstance(node.value, tree.Name) else ""  # type: ignore[attr-defined]


def is_condition(claim: tree.Expr, env: Env) -> bool:
    """Tell whether a claim is about parameters and shapes alone, which are known, and not about what a net costs."""
    nodes = list(tree.pieces(claim))
    bound = {name.text for node in nodes if isinstance(node, tree.Comprehension) for name in node.names}
    sizes = set(map(sized, nodes))
    names = read_names(claim)
    return bool(names) and all(
        name in bound
        or env.find_name(name) is not MISSING
        or (name in sizes and env.find_tensor(name) is not None)
        for name in names
    )


def lines_of(scope: DraftScope) -> list[tree.Line | None]:
    """Return the statements of a scope's text, None for those that are no line."""
    body = [node.statement if isinstance(node, tree.Annotated) else node for node in scope.body]
    return [node if isinstance(node, tree.Line) else None for node in body]


def makes_one(step: tree.Step | None) -> bool:
    """Tell whether a step of a chain makes one value, whatever it is given: it is an op, and no block or split."""
    op = (
        catalogue().get(step.op.text)
        if isinstance(step, tree.Layer) and isinstance(step.op, tree.Name)
        else None
    )
    return op is not None and not op.several


def own_output(body: tree.Body) -> str:
    """Return the label of the output that every `return` of a net's text names first; "" if there is none."""
    results = [node.results[0].ref for node in statements(body) if isinstance(node, tree.Return)]
    labels = {ref.name.text if isinstance(ref.name, tree.Name) and not ref.index else "" for ref in results}
    label = labels.pop() if len(labels) == 1 else ""
    train = {node.train for name, node in labelled_outputs(body) if name == label}
    return label if train == {False} else ""


def statements(body: tree.Body) -> Iterator[tree.Statement]:
    """Yield the statements of a net's own text, those under conditions, in loops and in stages too."""
    for node in body:
        inner = node.statement if isinstance(node, tree.Annotated) else node
        yield inner
        if isinstance(inner, tree.If):
            for part in (*[case.body for case in inner.cases], inner.otherwise):
                yield from statements(part)
        elif isinstance(inner, (tree.For, tree.Stage)):
            yield from statements(inner.body)


def has_loop(body: tree.Body) -> bool:
    """Tell whether lines of a joint are turns of a loop."""
    for node in body:
        inner = node.statement if isinstance(node, tree.Annotated) else node
        if isinstance(inner, tree.For):
            return True
        if isinstance(inner, tree.If) and any(
            map(has_loop, (*[c.body for c in inner.cases], inner.otherwise))
        ):
            return True
    return False


def has_when(node: tree.Statement) -> bool:
    """Tell whether a line, or a step of it, is there under a condition only."""
    return isinstance(node, tree.Line) and (
        node.condition is not None or any(isinstance(step, tree.Optional) for step in node.chain.steps)
    )


def makes_module(node: tree.Statement) -> bool:
    """Tell whether a statement's label is that of a module, whatever flows: a container's, a layer's."""
    return isinstance(node, tree.Container) or (
        isinstance(node, tree.Line)
        and any(
            isinstance(step, tree.Layer) and step.op.text not in (*JOINTS, "fork", "choose")
            for step in node.chain.steps
        )
    )
