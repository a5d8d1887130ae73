"""What the instance at hand does: lines walked with plain values, to learn shapes that expressions do not tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import copy
from typing import Any

from netdsl.diagnostics import NetError
from netdsl.elaborate.build import Elaborator, Recipe
from netdsl.elaborate.draft import Draft, DraftScope, Made, Place
from netdsl.elaborate.values import (
    MISSING,
    BlockDecl,
    Data,
    Env,
    Given,
    OpValue,
    Poisoned,
    SpecError,
    Wire,
)
from netdsl.elaborate.walk import Walker
from netdsl.emission.concolic import Demanded, Fixed, Late, LateData, concrete, mentioned
from netdsl.emission.items import Staged
from netdsl.emission.numbered import apart, parted
from netdsl.emission.state import Seen
from netdsl.emission.streams import Streams
from netdsl.emission.terms import Terms
from netdsl.ir.types import Shape
from netdsl.ops import catalogue
from netdsl.symbolic import Atom, SymBool, compare, evaluate, named, names
from netdsl.syntax import tree
from netdsl.syntax.tree import pieces


class Rehearsal(Terms):
    """Walks lines once more, as elaboration does."""

    def rehearsed(
        self, run: Callable[[Walker, Place], Data], place: Place, walker: Walker | None = None
    ) -> tuple[Shape, ...]:
        """Return the shapes of what something gives in this instance, for which all values are known."""
        walker = walker or Shapes(self.settings, {}, self.max_nodes)
        env, scope = (
            self.plain(place.env, walker, place),
            DraftScope("block", "", place.scope.span, labels=place.scope.labels),
        )
        there = Place(env, None, scope, place.source, {}, place.in_net)
        there.container = place.container
        scope.made = {name: self.plain_made(made, scope) for name, made in place.scope.made.items()}
        there.defaults = {
            op: {name: one._replace(value=concrete(one.value)) for name, one in given.items()}
            for op, given in place.defaults.items()
        }
        if place.flow is not None:
            there.flow = there.env.tensors["flow"] = drafted(walker, place.flow, place)
        walker.at(there)
        result = run(walker, there)
        is_open = any(decision.chosen is None for decision in walker.decisions.values())
        if walker.errors or is_open or result.poisoned:
            raise Poisoned
        return result.shapes

    def plain(self, env: Env, walker: Walker, place: Place) -> Env:
        """Return the names of a scope with values that remember nothing."""
        if env.parent is None or env is self.staged.decl.file.env:
            return env
        found = Env(self.plain(env.parent, walker, place))
        names = {name: self.chosen_here(value) for name, value in env.names.items()}
        found.names = {name: concrete(value) for name, value in names.items() if value is not MISSING}
        tensors = {name: self.chosen_here(data) for name, data in env.tensors.items()}
        found.tensors = {
            name: drafted(walker, data, place) for name, data in tensors.items() if data is not MISSING
        }
        if env is self.root:
            for (first, *rest), shapes in self.numbers.items():
                for numbers, shape in shapes.items():
                    own = Data((Wire(0, 0),), (shape,))
                    parts = (f"{number}{part}" for number, part in zip(numbers, rest, strict=True))
                    found.tensors["".join((first, *parts))] = drafted(walker, own, place)
        return found

    @staticmethod
    def plain_made(made: Made, scope: DraftScope) -> Made:
        """Return a module that may run again, with values that remember nothing."""
        own = copy(made)
        own.value, own.scope, own.parts = concrete(made.value), scope, None
        own.given = {
            name: one._replace(value=concrete(one.value)) for name, one in (made.given or {}).items()
        }
        own.defaults = {
            op: {name: one._replace(value=concrete(one.value)) for name, one in given.items()}
            for op, given in made.defaults.items()
        }
        return own

    def chosen_here(self, value: Any) -> Any:
        """Return what a value is in this instance, if it is one of two things; MISSING if it is none."""
        late = value.late if isinstance(value, LateData) else value
        if not isinstance(late, Late):
            return value
        return self.chosen_here(late.then if self.here(late.test.test) else late.otherwise)

    def observe_numbers(self, run: Callable[[Walker, Place], Data], place: Place) -> None:
        """Note the shapes of values with numbers that lines of this instance make."""
        if not self.numbered:
            return
        seen: list[Place] = []

        def noted(walker: Walker, there: Place) -> Data:
            seen.append(there)
            return run(walker, there)

        try:
            self.rehearsed(noted, place)
        except (SpecError, Poisoned):
            pass
        for name, data in seen[0].env.tensors.items() if seen else ():
            found = parted(str(name), self.numbered)
            if found is not None and len(data.shapes) == 1:
                numbers = tuple(int(one.constant or 0) for one in apart(found[1]))
                self.numbers.setdefault(found[0], {})[numbers] = data.shapes[0]

    def observe(self, node: tree.For, place: Place) -> Mapping[int, list[Seen]]:
        """Return the shapes that the calls of blocks in a loop get, turn by turn.

        Of calls that this instance does not make, they are what an option gives them that is taken otherwise.
        """
        found: dict[int, list[Seen]] = {}
        plain = dict(place.env.names)
        read = {part.text for part in pieces(node) if isinstance(part, tree.Name)}
        options = [p.name for p in self.staged.params if p.kind == "bool" and p.name in read]
        for option in ("", *options):
            if option:
                place.env.names[option] = not concrete(place.env.find_name(option))
            observer = Observer(self.settings, {}, self.max_nodes)
            try:
                self.rehearsed(lambda walker, there: after_loop(walker, node, there), place, observer)
            except (SpecError, Poisoned):
                continue
            finally:
                place.env.names = dict(plain)
            found = {**observer.calls, **found}
        return found

    def answer(self, staged: Staged, test: Atom, values: Mapping[str, Any], env: Mapping[str, Any]) -> Any:
        """Return what a call says of the sizes that it gives, in terms of the turns around it if it must."""
        value = evaluate(test, env)
        if self.staged.decl in self.emitter.sized and isinstance(value, SymBool):
            if not any(name.startswith("?") for name in names(self.expanded(value.test))):
                return value  # of variables of the constructor
        seen = (self.observed or {}).get(id(self.site))
        if seen is None:
            return self.sized(value)
        self.for_size()
        self.by_count = self.unsure
        plain = {name: concrete(value) for name, value in values.items()}
        turns: set[tuple[tuple[int, ...], bool]] = set()
        for turn, shapes in (*seen, *self.emitter.seen_elsewhere(self.staged).get(id(self.site), ())):
            turns.add((turn, bool(evaluate(test, self.emitter.environment(staged, plain, shapes)))))
        return self.by_turn(turns)

    def for_size(self) -> None:
        """Demand that the sizes of the net's inputs are known."""
        sizes = [
            n
            for i in self.staged.inputs
            for axis, n in zip(i.shape.axes, i.shape, strict=True)
            if axis != "c"
        ]
        unknown = [n for n in sizes if not all(name in self.emitter.sizes for name in mentioned(n))]
        if unknown:
            self.emitter.carry_sizes(self.staged.decl)
            raise Demanded("what changes from turn to turn is known for a size", *unknown)

    def by_turn(self, turns: Collection[tuple[tuple[int, ...], bool]]) -> Any:
        """Return a truth of every turn as an expression: always so, or in the first turn of a loop alone."""
        truths = {truth for _, truth in turns}
        if len(truths) == 1:
            return truths.pop()
        for at, variable in reversed(list(enumerate(self.counts))):
            for op in (">", "==") if variable else ():
                if all(truth == compare(op, turn[at], 0) for turn, truth in turns):
                    return compare(op, named(int(self.hints[variable]), variable), 0)
        self.emitter.carry_sizes(self.staged.decl)
        raise Fixed("sizes that change from turn to turn")


class Shapes(Walker):
    """Learns shapes, which later copies of a step do not change once one of them does not."""

    def steady(self, before: Data, after: Data) -> bool:
        """Tell whether the shapes of what flows are the same."""
        return not after.poisoned and before.shapes == after.shapes


class Observer(Walker):
    """Notes the shapes that calls of blocks get."""

    def __init__(self, settings: Mapping[str, Any], inputs: Mapping[str, Shape], max_nodes: int) -> None:
        """Start with none."""
        super().__init__(settings, inputs, max_nodes)
        self.calls: dict[int, list[Seen]] = {}

    def block(
        self,
        decl: BlockDecl,
        value: OpValue,
        node: tree.Layer,
        own: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | None,
    ) -> Data:
        """Call a block."""
        self.calls.setdefault(id(node), []).append((place.turns, data.shapes))
        return super().block(decl, value, node, own, data, place, label)


def observed_turns(recipe: Recipe) -> Mapping[int, list[Seen]]:
    """Return the shapes that the calls of blocks in a net get, turn by turn; nothing of one that cannot be built."""
    elaborator = Elaborator(recipe)
    elaborator.walker = observer = Observer(recipe.answers, recipe.inputs, recipe.max_nodes)
    try:
        elaborator.run()
    except NetError:
        return {}
    return observer.calls


def after_loop(walker: Walker, node: tree.For, place: Place) -> Data:
    """Return what flows after a loop."""
    walker.for_line(node, place)
    return walker.known(place.flow)


def drafted(walker: Walker, data: Data, place: Place) -> Data:
    """Return new values of the same shapes that remember nothing, a list as all of its values."""
    shapes = data.elements if isinstance(data, Streams) else data.shapes
    plain = tuple(Shape(*map(int, shape), axes=shape.axes) for shape in shapes)
    identity, span = catalogue()["identity"](), place.scope.span
    draft = Draft(len(walker.drafts), identity, (), plain, span, place, "", False, {})
    walker.drafts.append(draft)
    return Data(draft.results, plain, data.poisoned)
