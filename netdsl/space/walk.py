"""A walk that stops between the statements of a net, and can go on from there more than once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from netdsl.cost.model import Cost
from netdsl.diagnostics import Diagnostic
from netdsl.elaborate.build import Builder, Elaborator, Recipe
from netdsl.elaborate.draft import Call, Draft, DraftScope, Made, Place
from netdsl.elaborate.evaluate import deep_recursion
from netdsl.elaborate.finish import coming, follow
from netdsl.elaborate.names import lists_of
from netdsl.elaborate.values import (
    BlockDecl,
    Data,
    Env,
    FileScope,
    Function,
    OpValue,
    Poisoned,
    SpecError,
    Wire,
    fail,
)
from netdsl.ops import Op, catalogue
from netdsl.source import Span
from netdsl.space.keys import NOTHING, Keys, Mentions, Texts, shape_key
from netdsl.syntax import tree


class Closed(NamedTuple):
    """What is to be known of a scope that has ended, by the one around it."""

    reads: tuple[Wire, ...]
    results: tuple[Wire, ...]
    stateful: bool


class Block(NamedTuple):
    """What a block made, with which it need not be run again."""

    results: tuple[tuple[int, int], ...]
    """Each value it returns: the number of what came in and -1, or of a value that it made and its port."""
    shapes: tuple[Any, ...]
    """Of what it made."""
    costs: tuple[Cost, Cost]
    nodes: int
    stateful: bool


class Chain(NamedTuple):
    """How far the steps of an open scope are a chain, in which those without a label may have state."""

    flow: tuple[Wire, ...] | None
    """What flows behind them; None before the first."""
    broken: bool
    nameless: bool
    """Whether there is one without a label that has state."""
    steps: int
    """How many they are."""


BEGUN = Chain(None, False, False, 0)


class Common:
    """What all walks through a space share."""

    def __init__(self, recipe: Recipe) -> None:
        """Know nothing about them."""
        self.recipe = recipe
        self.shared = recipe.net.file.shared
        self.texts = Texts()
        self.blocks: dict[Any, Block] = {}
        """What blocks made, by all that it follows from."""
        self.owners: dict[Any, Any] = {}
        """Who takes a label or is a decision, by its name."""
        self.ambiguous: set[Any] = set()
        """The names that more than one takes: whether one of them has is part of where a walk is."""
        self.stale = False
        """Whether that was found out on the way, so that points may be taken for one that are not."""
        self.deciding: dict[BlockDecl, bool] = {}
        self.recursive: set[BlockDecl] = set()
        """Those of them that call themselves."""
        self.claimed: set[int] = set()
        """The ids of texts that require something of their scope, whose name then is part of where a walk is."""
        self.staged = False
        """Whether something is required of a stage; then blocks are walked each time, which may have stages."""
        every = tree.pieces(recipe.net.node)
        self.again = any(isinstance(node, tree.Same) for node in every)
        """Whether the net runs modules again; then blocks are walked each time, since their layers are compared."""

    def decides(self, decl: BlockDecl) -> bool:
        """Tell whether something is decided in a block, or in one that it calls."""
        if decl not in self.deciding:
            todo, met = [decl], {decl}
            while todo:
                for other in self.calls(todo.pop()):
                    if other is decl:
                        self.recursive.add(decl)
                    if other not in met:
                        met.add(other)
                        todo.append(other)
            self.deciding[decl] = any(map(_asks, met)) and not self.again and not decl.node.inline
        return self.deciding[decl]

    def calls(self, decl: BlockDecl) -> Iterator[BlockDecl]:
        """Yield the blocks that a block calls; if it is given ops, those that it may be given."""
        own = {param.name.text for param in decl.node.params}
        for part in (*decl.node.params, *decl.node.body):
            for node in tree.pieces(part):
                if isinstance(node, tree.Layer) and node.op.text in own:
                    yield from self.blocks_of(self.recipe.net.file)
                value = decl.file.env.find_name(node.text) if isinstance(node, tree.Name) else None
                if isinstance(value, OpValue) and isinstance(value.target, BlockDecl):
                    yield value.target

    @staticmethod
    def blocks_of(file: FileScope) -> list[BlockDecl]:
        """Return the blocks of a file and those that it imports."""
        values = [value for value in file.env.names.values() if isinstance(value, OpValue)]
        return [value.target for value in values if isinstance(value.target, BlockDecl)]

    def own(self, name: Any, owner: Any) -> None:
        """Take note of who takes a name."""
        if self.owners.setdefault(name, owner) != owner and name not in self.ambiguous:
            self.ambiguous.add(name)
            self.stale = True

    def claim(self, scope: DraftScope, stage: str) -> None:
        """Take note that something is required of a part of the net."""
        if id(scope.body) not in self.claimed or (stage and not self.staged):
            self.claimed.add(id(scope.body))
            self.staged = self.staged or bool(stage)
            self.stale = True

    def cost(self, op: Op, shapes: tuple[Any, ...]) -> Cost:
        """Return what an op costs for one sample."""
        key = (id(op), False, *shapes, *[shape.axes for shape in shapes])
        found = self.shared.costs.get(key)
        if found is None:
            found = self.shared.costs[key] = op.cost(*shapes), op
        return found[0]


def _asks(decl: BlockDecl) -> bool:
    return any(
        isinstance(node, tree.Choice) or (isinstance(node, tree.Merge) and node.joint.text == "choose")
        for node in tree.pieces(decl.node)
    )


class Strider(Builder):
    """A walker that knows what the scopes that it has left are to the others, and runs no block twice."""

    def __init__(self, common: Common) -> None:
        """`common` is what all walks through the space share."""
        recipe = common.recipe
        super().__init__(recipe.answers, recipe.inputs, recipe.max_nodes, common.shared)
        self.common = common
        self.closed: dict[DraftScope, Closed] = {}
        self.kept: dict[int, Block] = {}
        """The drafts that stand for all layers of a block."""
        self.chains: dict[DraftScope, Chain] = {}
        """Of the scopes that are open between statements."""
        self.answers: Mapping[str, int] = {}
        """Which option decisions take, by its index."""
        self.copies = None
        self.entering: Place | None = None
        """Where the next block is not run, but entered."""

    def check_layer(self, node: tree.Layer, place: Place) -> Any:
        """Look into nothing that does not run: elaboration tells what is wrong."""
        return None

    def require(self, node: tree.Require, place: Place) -> None:
        """`require params <= 5M`: kept, and noted if it is of a part of the net."""
        before = len(self.budgets)
        super().require(node, place)
        for budget in self.budgets[before:]:
            if budget.scope or budget.stage:
                self.common.claim(place.scope, budget.stage)

    # ---------------------------------------------------------------- names that are taken

    def decision(self, name: str, options: Any, node: tree.Tree, span: Span, values: Any = ()) -> int:
        """Return the index of the option that a decision takes."""
        prefix, place = self._deciding
        full = f"{prefix}.{name}" if prefix else name
        if self._again is None:
            owner = (node.start, span.source.key, place.turns, *(frame.span for frame in place.calls))
            self.common.own(("decision", full), owner)
        return super().decision(name, options, node, span, values)

    def option(self, full: str, options: tuple[str, ...], values: tuple[Any, ...], span: Span) -> int | None:
        """Return the index of the option that a decision is to take; None if it is open."""
        index = self.answers.get(full)
        return index if index is not None else super().option(full, options, values, span)

    def child(self, place: Place, label: tree.Label | str | None, span: Span, op: Op | None = None) -> str:
        """Return the name of a new child of the scope."""
        if label is not None and self._again is None and place.scope in self.chains:
            name = label if isinstance(label, str) else self.evaluator.text(label, place.env, place.source)
            path, own = place.scope.path, self.common.own
            for one in lists_of(name):
                own(("label", path, one), "list")
            at = span if isinstance(label, str) else place.span(label)
            own(("label", path, name), (at.start, place.turns))
        return super().child(place, label, span, op)

    # ---------------------------------------------------------------- scopes

    def close(self, scope: DraftScope, result: Data | None) -> None:
        """End a scope; refuse layers without a label in it if it is no chain of them."""
        super().close(scope, result)
        if self.errors:  # what is in it may not be whole
            return
        reads = coming(scope, map(self.reads, scope.drafts))
        made = (wire for _, wire, _ in self.outputs if wire.draft >= scope.begin)
        results = tuple(dict.fromkeys((*scope.exit, *made)))
        stateful = any(map(self.stateful, scope.drafts))
        self.closed[scope] = Closed(reads, results, stateful)
        chain = self.linked(scope, scope.drafts, Chain(reads, False, False, 0))
        if chain.nameless and (chain.broken or chain.flow != results):
            self.refuse(scope)

    def refuse(self, scope: DraftScope) -> None:
        """Record that a scope has a layer without a label that needs one."""
        item = next(i for i in scope.drafts if not self.item(i).labelled and self.stateful(i))
        one = self.item(item)
        what = (one.block or "the group") if isinstance(one, DraftScope) else one.op.name
        self.errors.append(Diagnostic("E221", f"{what} needs a label", one.span, calls=one.calls))

    def linked(self, scope: DraftScope, items: list[int | DraftScope], chain: Chain) -> Chain:
        """Return how far the steps of a scope are a chain with some more."""
        flow, broken, nameless, steps = chain
        for item in items:
            one, reads, results = self.item(item), self.reads(item), self.results(item)
            nameless = nameless or (not one.labelled and self.stateful(item))
            if broken:
                continue
            if flow is None:
                flow = reads if scope.kind != "net" else ()
            behind = follow(one, reads, results, flow)
            broken = not isinstance(behind, tuple)
            flow = () if broken else behind  # type: ignore[assignment]
        return Chain(flow, broken, nameless, steps + len(items))

    def item(self, item: int | DraftScope) -> Draft | DraftScope:
        """Return a draft or scope."""
        return item if isinstance(item, DraftScope) else self.drafts[item]

    def reads(self, item: int | DraftScope) -> tuple[Wire, ...]:
        """Return what a step reads."""
        return self.closed[item].reads if isinstance(item, DraftScope) else self.drafts[item].inputs

    def results(self, item: int | DraftScope) -> tuple[Wire, ...]:
        """Return what a step makes."""
        return self.closed[item].results if isinstance(item, DraftScope) else self.drafts[item].results

    def stateful(self, item: int | DraftScope) -> bool:
        """Tell whether a step has weights or buffers."""
        if isinstance(item, DraftScope):
            return self.closed[item].stateful
        if item in self.kept:
            return self.kept[item].stateful
        op = self.drafts[item].op
        if type(op).weights is Op.weights and type(op).buffers is Op.buffers:
            return False
        cost = self.common.cost(op, self.shapes_in(self.drafts[item]))
        return bool(cost.params or cost.buffers)

    def shapes_in(self, draft: Draft) -> tuple[Any, ...]:
        """Return the shapes that a draft reads."""
        return tuple([self.drafts[wire.draft].shapes[wire.port] for wire in draft.inputs])

    # ---------------------------------------------------------------- blocks

    def inside(self, call: Call) -> Data:
        """Run a block's body, unless one like it has run in which nothing was decided."""
        common, data = self.common, call.data
        if common.again or call.decl.node.inline:
            return super().inside(call)
        if self.entering is call.place:
            raise Entered(self._active[-1], self.enter_block(call))
        keys = Keys(self.drafts, ())
        key = call.decl, keys.arguments(call.given), keys.wires(data.wires), call.place.train
        known = common.blocks.get(key) if not common.staged else None
        if known is not None:
            return self.stand(known, call)
        begin, before = len(self.drafts), self.said
        result = super().inside(call)
        if self.said == before and not result.poisoned:
            block = self.made(begin, result, data)
            if block is not None:
                common.blocks[key] = block
        return result

    @property
    def said(self) -> tuple[int, ...]:
        """How much has been said that a block which stands for another would not say."""
        return self.asked, len(self.budgets), len(self.errors), len(self.outputs)

    def made(self, begin: int, result: Data, data: Data) -> Block | None:
        """Return what a block made; None if it cannot be said apart from it."""
        drafts = self.drafts[begin:]
        if any(draft.shared for draft in drafts):
            return None
        made = [wire for wire in dict.fromkeys(result.wires) if wire.draft >= begin]
        if any(wire not in made and wire not in data.wires for wire in result.wires):
            return None
        results = tuple(
            [(made.index(w), 0) if w in made else (data.wires.index(w), -1) for w in result.wires]
        )
        shapes = tuple([self.drafts[wire.draft].shapes[wire.port] for wire in made])
        stateful = any([self.stateful(i) for i in range(begin, len(self.drafts))])
        spent = self.spent(range(begin, len(self.drafts)))
        return Block(results, shapes, spent, self.nodes(begin), stateful)

    def stand(self, block: Block, call: Call) -> Data:
        """Put down what stands for the layers of a block; return what it makes."""
        index, data, scope = len(self.drafts), call.data, call.scope
        inner = call.place.inner(scope, data)
        op = catalogue()["identity"]()
        self.drafts.append(Draft(index, op, data.wires, block.shapes, call.span, inner, "", True, {}))
        self.kept[index] = block
        scope.drafts.append(index)
        wires = [data.wires[n] if port < 0 else Wire(index, n) for n, port in block.results]
        return Data(tuple(wires), tuple([self.drafts[w.draft].shapes[w.port] for w in wires]))

    def nodes(self, begin: int) -> int:
        """Return how many ops drafts from one on are."""
        return sum([self.kept[i].nodes if i in self.kept else 1 for i in range(begin, len(self.drafts))])

    def parts(self, begin: int) -> dict[tuple[str, str], tuple[int, ...]]:
        """Return by module and stage what drafts from one on cost that are in them."""
        found: dict[tuple[str, str], list[int]] = {}
        for index in range(begin, len(self.drafts)):
            draft = self.drafts[index]
            found.setdefault((draft.scope.path, draft.stage), []).append(index)
        return {part: flat(self.spent(drafts)) for part, drafts in found.items()}

    def spent(self, drafts: Iterable[int]) -> tuple[Cost, Cost]:
        """Return what drafts cost: of those that always are there, and of training alone."""
        sums = [[0] * 5, [0] * 5]
        for index in drafts:
            draft = self.drafts[index]
            block = self.kept.get(index)
            if block is not None:
                costs = list(enumerate(block.costs))
            else:
                cost = self.common.cost(draft.op, self.shapes_in(draft))
                if draft.original is not None:
                    cost = cost.replace(params=0, buffers=0)
                costs = [(int(draft.train), cost)]
            for at, cost in costs:
                sums[at] = [a + b for a, b in zip(sums[at], cost.__dict__.values(), strict=True)]
        return Cost(*sums[0]), Cost(*sums[1])


def flat(costs: tuple[Cost, Cost]) -> tuple[int, ...]:
    """Return what is counted as one row."""
    return tuple([n for cost in costs for n in cost.__dict__.values()])


# ---------------------------------------------------------------- points


class Run(NamedTuple):
    """Statements that are left of a body."""

    body: tree.Body
    at: int


class Turn(NamedTuple):
    """The turn of a loop whose body runs."""

    node: tree.For
    items: tuple[Any, ...]
    number: int
    defaults: Mapping[str, Any]
    turns: tuple[int, ...]


class Staged(NamedTuple):
    """The stage around one whose body runs."""

    outer: str


class Contained(NamedTuple):
    """The container whose body runs."""

    node: tree.Container


class Called(NamedTuple):
    """The line that calls a block, whose body runs."""

    node: tree.Line


Frame = Run | Turn | Staged | Contained | Called


class Entered(Exception):
    """A block has been entered."""

    def __init__(self, active: tuple[BlockDecl, Any, Any], place: Place) -> None:
        """Say which, with what it is given, and where its body begins."""
        super().__init__()
        self.active = active
        self.place = place


class Point:
    """A walk between two statements: what is around the next one, outer ones first, and where."""

    def __init__(self, common: Common, walker: Strider, places: list[Place], frames: list[Frame]) -> None:
        """Take them; places are those of the open scopes."""
        self.common = common
        self.walker = walker
        self.places = places
        self.frames = frames

    @property
    def ended(self) -> bool:
        """Whether the net is whole."""
        return not self.frames

    @classmethod
    def begin(cls, common: Common, answers: Mapping[str, int]) -> Point:
        """Return the point before the net's first statement, its parameters known; its walker has the errors."""
        walker = Strider(common)
        walker.answers = answers
        elaborator = Elaborator(common.recipe)
        elaborator.walker = walker
        place = elaborator.place()
        self = cls(common, walker, [place], [])
        walker.chains[place.scope] = BEGUN
        try:
            with deep_recursion():
                walker.enter_file(common.recipe.net.file)
                elaborator.bind(place)
                body = common.recipe.net.node.body
                walker.enter_net(body)
                self.frames.append(self.begun(walker.enter_body(body, place)))
                self.advance()
        except SpecError as error:
            walker.record(error.diagnostic, place)
        except Poisoned:
            pass
        return self

    # ---------------------------------------------------------------- going on

    def step(self, answers: Mapping[str, int]) -> Point:
        """Return the point behind the next statement under some answers; its walker has the errors."""
        point = self.fork()
        walker, place = point.walker, point.places[-1]
        walker.answers = answers
        frame = point.frames[-1]
        assert isinstance(frame, Run)
        statement, whole = self.common.texts.statement(frame.body, frame.at, place.in_net)
        point.frames[-1] = Run(frame.body, len(frame.body) if whole else frame.at + 1)
        try:
            with deep_recursion():
                if place.returned:
                    raise fail("E225", "nothing can follow `return`", place.span(statement))
                called = point.called(statement, place)
                walker.entering = place if called is not None else None
                try:
                    walker.statement(statement, place)
                except Entered as entered:
                    walker._active.append(entered.active)
                    point.enter_block(called, entered.active[0].node.body, entered.place)
                walker.entering = None
                if not walker.errors:
                    point.advance()
        except SpecError as error:
            walker.record(error.diagnostic, point.places[-1])
        except Poisoned:
            pass
        return point

    def begun(self, body: tree.Body) -> Run:
        """Return what is before the first statement of a body."""
        return Run(self.common.texts.cut(body), 0)

    def advance(self) -> None:
        """Go on to the next statement that makes something: into what has a body, and out of what is done."""
        walker, frames, texts = self.walker, self.frames, self.common.texts
        while frames and not walker.errors:
            place, frame = self.places[-1], frames[-1]
            if not isinstance(frame, Run):
                self.leave(frame, place)
                continue
            if frame.at and place.flow is not None:  # behind a statement
                place.env.tensors["flow"] = place.flow
            if frame.at == len(frame.body):
                frames.pop()
                continue
            node, whole = texts.statement(frame.body, frame.at, place.in_net)
            while isinstance(node, tree.Annotated):
                node = node.statement
            if not isinstance(node, (tree.If, tree.For, tree.Stage, tree.Container)):
                self.link()
                return
            frames[-1] = Run(frame.body, len(frame.body) if whole else frame.at + 1)
            if place.returned:
                raise fail("E225", "nothing can follow `return`", place.span(node))
            self.enter(node, place)
        if not walker.errors:
            self.link()
            self.end()

    def enter(self, node: tree.If | tree.For | tree.Stage | tree.Container, place: Place) -> None:
        """Begin what has a body."""
        walker, frames = self.walker, self.frames
        walker.at(place)
        if isinstance(node, tree.If):
            walker.cases(node, lambda body: frames.append(self.begun(body)), place)
        elif isinstance(node, tree.For):
            items = tuple(walker.loop_items(node, place))
            frames.append(Turn(node, items, -1, place.defaults, place.turns))
        elif isinstance(node, tree.Stage):
            frames.append(Staged(place.stage))
            walker.enter_stage(node, place)
            frames.append(self.begun(node.body))
        else:
            self.link()
            inner = walker.enter_container(node, place)
            self.places.append(inner)
            walker.chains[inner.scope] = BEGUN
            frames += [Contained(node), self.begun(walker.enter_body(node.body, inner))]

    def called(self, node: tree.Statement, place: Place) -> tree.Line | None:
        """Return a line that is nothing but a block in which something is decided."""
        while isinstance(node, tree.Annotated):
            node = node.statement
        if not isinstance(node, tree.Line) or node.condition is not None or len(node.chain.steps) != 1:
            return None
        step = node.chain.steps[0]
        if not isinstance(step, tree.Layer) or isinstance(step.op, tree.Chosen):
            return None
        value = place.env.find_name(step.op.text)
        target = value.target if isinstance(value, OpValue) else None
        return node if isinstance(target, BlockDecl) and self.common.decides(target) else None

    def enter_block(self, node: tree.Line | None, body: tree.Body, inner: Place) -> None:
        """Go on in a block that a line calls."""
        assert node is not None
        walker = self.walker
        self.places.append(inner)
        walker.chains[inner.scope] = BEGUN
        self.frames += [Called(node), self.begun(walker.enter_body(body, inner))]

    def leave(self, frame: Frame, place: Place) -> None:
        """End what has a body, or begin the next turn of a loop."""
        walker, frames = self.walker, self.frames
        frames.pop()
        if isinstance(frame, Turn):
            number = frame.number + 1
            if number < len(frame.items):
                walker.begin_turn(frame.node, number, frame.items[number], frame.defaults, frame.turns, place)
                frames += [frame._replace(number=number), self.begun(frame.node.body)]
            else:
                place.turns = frame.turns
        elif isinstance(frame, Staged):
            place.stage = frame.outer
        elif isinstance(frame, Contained):
            inner = self.places.pop()
            del walker.chains[inner.scope]
            place = self.places[-1]
            walker.leave_container(frame.node, inner, place)
        elif isinstance(frame, Called):
            inner = self.places.pop()
            del walker.chains[inner.scope]
            place = self.places[-1]
            walker._active.pop()
            walker.close(inner.scope, inner.flow)
            place.flow = walker.known(inner.flow)
            (step,) = frame.node.chain.steps
            for label in (frame.node.label, step.label):  # type: ignore[union-attr]
                if label is not None:
                    walker.define(label, place.flow, place)
            walker.at(place)

    def link(self) -> None:
        """Take note of how far the open scopes are chains."""
        walker = self.walker
        for place in self.places:
            scope = place.scope
            chain = walker.chains[scope]
            items = [item for item in scope.drafts[chain.steps :] if self.is_closed(item)]
            walker.chains[scope] = walker.linked(scope, items, chain)

    def is_closed(self, item: int | DraftScope) -> bool:
        """Tell whether a step is whole."""
        return not isinstance(item, DraftScope) or item in self.walker.closed

    def end(self) -> None:
        """Check what can be said of a whole net only."""
        place, walker = self.places[0], self.walker
        elaborator = Elaborator(self.common.recipe)
        elaborator.walker = walker
        elaborator.variant_body(place)
        if not walker.errors:
            elaborator.finish(place.flow, place)
        chain = walker.chains[place.scope]
        leaving = tuple(dict.fromkeys(place.scope.exit))
        if not walker.errors and chain.nameless and (chain.broken or chain.flow != leaving):
            walker.refuse(place.scope)

    # ---------------------------------------------------------------- a second way on

    def fork(self) -> Point:
        """Return the same point, which goes on by itself."""
        old = self.walker
        walker = Strider(self.common)
        for name in ("inputs", "fields", "inits", "meta", "kept", "closed"):
            setattr(walker, name, dict(getattr(old, name)))
        for name in ("drafts", "outputs"):
            setattr(walker, name, list(getattr(old, name)))
        walker._active = list(old._active)
        walker._files, walker.own, walker.labels = old._files, old.own, old.labels
        walker.evaluator.ramps = dict(old.evaluator.ramps)
        for name in old.decisions:
            if self.common.again or ("decision", name) in self.common.ambiguous:
                walker.decisions[name], walker._owners[name] = old.decisions[name], old._owners[name]
        envs: dict[int, Env] = {}
        scopes: dict[int, DraftScope] = {}
        places: list[Place] = []
        for place in self.places:
            env = Env(envs.get(id(place.env.parent), place.env.parent))
            envs[id(place.env)] = env
            env.tensors = dict(place.env.tensors)
            env.partial, env.unlabelled = place.env.partial, place.env.unlabelled
            env.names = {
                name: value.replace(env=envs[id(value.env)])
                if isinstance(value, Function) and id(value.env) in envs
                else value
                for name, value in place.env.names.items()
            }
            scope = self._scope(place.scope, scopes)
            other = copy.copy(place)
            other.env, other.scope = env, scope
            places.append(other)
            walker.scopes.append(scope)
            walker.chains[scope] = old.chains[place.scope]
        walker.budgets = [b.replace(env=envs.get(id(b.env), b.env)) for b in old.budgets]
        return Point(self.common, walker, places, list(self.frames))

    @staticmethod
    def _scope(scope: DraftScope, scopes: dict[int, DraftScope]) -> DraftScope:
        """Return a copy of an open scope."""
        other = scopes[id(scope)] = object.__new__(DraftScope)
        other.__dict__.update(
            {k: v.copy() if isinstance(v, (dict, list, set)) else v for k, v in scope.__dict__.items()}
        )
        if scope.outer is not None:
            other.outer = scopes[id(scope.outer)]
            other.outer.drafts[-1] = other  # being open, it is the last step there
        for name, made in other.made.items():
            again: Made = copy.copy(made)
            again.scope = other
            other.made[name] = again
        return other

    # ---------------------------------------------------------------- which points are one

    def key(self) -> Any:
        """Return what the text behind sees, which is all that it follows from."""
        walker, texts = self.walker, self.common.texts
        keys = Keys(walker.drafts, [place.env for place in self.places])
        mentioned = self.mentioned()
        parts: list[Any] = []
        for place, names in zip(self.places, mentioned, strict=True):
            chain = walker.chains[place.scope]
            parts += [
                tuple(keys.names(place.env, texts.seen(place.env, names))),
                keys.of(place.flow),
                tuple([(name, keys.arguments(args)) for name, args in place.defaults.items()]),
                str(place.inits),
                (place.stage, place.train, place.turns, place.returned),
                (chain.broken or (chain.flow is not None and keys.wires(chain.flow)), chain.nameless),
                self.taken(place, keys, names),
                place.scope.path if id(place.scope.body) in self.common.claimed else None,
            ]
        for frame in self.frames:
            if isinstance(frame, Turn):
                left = frame.items[frame.number + 1 :]
                parts.append((id(frame.node), frame.number, keys.of(left), frame.turns))
                parts.append(tuple([(name, keys.arguments(args)) for name, args in frame.defaults.items()]))
            else:
                parts.append((id(frame[0]) if not isinstance(frame, Staged) else frame.outer, *frame[1:]))
        parts += [(name, train, keys.wire(wire)) for name, wire, train in walker.outputs]
        parts += [
            (decl, tuple([(name, keys.of(value)) for name, value in given.items()]), str(shapes))
            for decl, given, shapes in walker._active
            if decl in self.common.recursive
        ]
        parts += [tuple(walker.inputs), tuple(walker.fields.items()), str(walker.inits)]
        parts += [(id(budget.claim), budget.scope, budget.stage) for budget in walker.budgets]
        parts += [
            (name, decision.chosen)
            for name, decision in walker.decisions.items()
            if ("decision", name) in self.common.ambiguous or name.startswith(self.rerun(mentioned))
        ]
        return tuple(parts)

    def rerun(self, mentioned: list[Mentions]) -> tuple[str, ...]:
        """Return what the names of decisions in modules begin with that may run again."""
        if not self.common.again:
            return ()
        pairs = zip(self.places, mentioned, strict=True)
        made = [
            (place.scope.labels, name) for place, names in pairs for name in place.scope.made if name in names
        ]
        return tuple([f"{labels}.{name}." if labels else f"{name}." for labels, name in made])

    def mentioned(self) -> list[Mentions]:
        """Return what the text that is left mentions where each open scope can be seen, outer ones first."""
        texts, level = self.common.texts, len(self.places) - 1
        found = [NOTHING] * len(self.places)
        apart: set[int] = set()
        for frame in reversed(self.frames):
            if isinstance(frame, Run):
                found[level] |= texts.rest(frame.body, frame.at)
            elif isinstance(frame, Turn):
                if frame.number + 1 < len(frame.items):
                    found[level] |= texts.rest(frame.node.body, 0)
                    found[level] |= Mentions(frozenset([name.text for name in frame.node.names]), frozenset())
            elif isinstance(frame, (Contained, Called)):
                level -= 1
                if frame.node.label is not None:
                    found[level] |= texts.value(frame.node.label)
                if isinstance(frame, Called):
                    apart.add(level + 1)
        for budget in self.walker.budgets:
            found[0] |= texts.value(budget.claim)
        variant = self.common.recipe.variant
        if variant is not None:
            found[0] |= texts.rest(variant.node.body, 0)
        for level in range(len(found) - 2, -1, -1):  # what is within sees what is around, but a block
            found[level] |= NOTHING if level + 1 in apart else found[level + 1]
        return found

    def taken(self, place: Place, keys: Keys, names: Mentions) -> Any:
        """Return what a scope's children are called, as far as a later one may be called so."""
        scope, found = place.scope, []
        for kind, *rest in self.common.ambiguous:
            if kind == "label" and rest[0] == scope.path and rest[1] in scope.taken:
                name = rest[1]
                found.append(
                    (name, name in scope.lists, keys.of(scope.shared.get(name)), scope.numbers.get(name))
                )
        again = []
        if self.common.again:
            for name, made in scope.made.items():
                if name in names and made.parts is not None:
                    drafts = [self.walker.drafts[i] for i in made.parts]
                    ops = [
                        (type(d.op), str(d.op), tuple(map(shape_key, self.walker.shapes_in(d))))
                        for d in drafts
                    ]
                    again.append((name, tuple(ops), keys.of(made.value), keys.arguments(made.given or {})))
        return (
            tuple(sorted(found, key=str)),
            tuple(again),
            "#" in scope.taken,
            '"' in scope.taken,
        )
