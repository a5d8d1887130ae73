"""A spec while it is written: what is wrong, what each line makes, and what it costs over all of its copies."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from netdsl import api
from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.build import MAX_NODES, Builder, Elaborator, Recipe
from netdsl.elaborate.draft import Draft, DraftScope, Place
from netdsl.elaborate.files import Files, Importer
from netdsl.elaborate.shared import Shared
from netdsl.elaborate.values import POISON, BlockDecl, Data, Env, FileScope, OpValue, Poisoned, SpecError
from netdsl.ir.types import Shape
from netdsl.network import Network
from netdsl.passes.costs import cost_of
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree

Stop = Callable[[], bool]
"""Tells whether nobody waits for an answer any more."""


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Line(Record):
    """What a statement, or a step of a chain, makes and costs. Shapes and costs are per sample."""

    start: int
    end: int
    """Of what is written before a body."""
    copies: int
    """How often it runs."""
    shapes: tuple[Shape, ...]
    """What flows behind it, each once, in the order of running."""
    values: int
    """How many values those are at a time."""
    params: int
    macs: int
    """Both summed over all that runs in it."""
    net: str
    """The net that they are of."""


class Analysis(Record):
    """What there is to say of a spec. `lines` are in the order of the text, outer ones before what is in them."""

    source: Source
    nets: tuple[str, ...]
    """All that the file declares: its variants, and its nets that need no arguments."""
    net: str
    """The one that is shown; "" if there is none."""
    diagnostics: tuple[Diagnostic, ...]
    """What cannot be read and what is wrong in the net that is shown, and budgets that do not hold."""
    lines: tuple[Line, ...]
    params: int | None
    macs: int | None
    """Totals; None unless the net is whole."""
    whole: bool
    """Whether the net is right, but for its budgets, and nothing of it is left to decide."""
    network: Network | None
    """The net, if it is whole."""


def analyse(
    source: Source, *, net: str = "", importer: Importer | None = None, stop: Stop | None = None
) -> Analysis:
    """Return what there is to say of a spec.

    Args:
        source: Its text.
        net: Which of its nets is shown; "" for the one that is called as the file is, else the first.
        importer: Finds the texts of imports; without one there are those of the zoo.
        stop: Is asked now and then whether to go on.

    Raises:
        Stopped: `stop` said so.
    """
    return Look(source, importer, stop).analysis(net)


class Look:
    """A text, read once, and each of its nets once."""

    def __init__(
        self,
        source: Source,
        importer: Importer | None = None,
        stop: Stop | None = None,
        before: Look | None = None,
    ) -> None:
        """Read the declarations; `before` is a look at an earlier text, whose layers need not be asked anew."""
        self.source = source
        self.stop = stop
        self.file, self.errors = Files(importer or api._importer(None, ())).declarations(source)
        if before is not None:
            self.file.shared = before.file.shared
        self.recipes = {
            name: Recipe(*api.instances(self.file)[name], {}, {}) for name in api.distinct(self.file)
        }
        self.pieces = _Pieces(self.file)
        self._seen: dict[str, _Seen] = {}
        self._of_blocks = self._wrong_blocks()

    @property
    def nets(self) -> tuple[str, ...]:
        """All nets that the file declares."""
        return tuple(self.recipes)

    def chosen(self, net: str = "") -> str:
        """Return the net that is shown: the one asked for, the one that is called as the file is, or the first."""
        stem = self.source.name.replace("\\", "/").rpartition("/")[2].removesuffix(".net")
        return next((one for one in (net, stem, *self.recipes) if one in self.recipes), "")

    def analysis(self, net: str = "", others: Collection[str] = ()) -> Analysis:
        """Return what there is to say of the text with a net of it.

        Lines that the net does not reach take their facts from the first of `others` that does.
        """
        chosen = self.chosen(net)
        seen = self.seen(chosen) if chosen else _Seen((), {}, 0, 0, None)
        lines = {at: line for name in (*others, chosen) if name for at, line in self.seen(name).lines.items()}
        lines |= seen.lines
        found = {(one.code, one.message, one.span): one for one in (*self.errors, *seen.errors)}
        for one in self._of_blocks:
            found.setdefault((one.code, one.message, one.span), one)
        network = seen.network
        return Analysis(
            self.source,
            self.nets,
            chosen,
            tuple(found.values()),
            tuple(lines[at] for at in sorted(lines)),
            seen.params if network is not None else None,
            seen.macs if network is not None else None,
            network is not None,
            network,
        )

    def further(self, shown: str, others: Collection[str] = ()) -> list[str]:
        """Return the nets that may reach lines which none of these does, and so are still to be looked at."""
        known = (shown, *others)
        reached = {at for name in known if name for at in self.seen(name).lines}
        return (
            [net for net in self.nets if net not in known] if len(reached) < len(self.pieces.starts) else []
        )

    def seen(self, net: str) -> _Seen:
        """Return what is known of one of the nets."""
        if net not in self._seen:
            self._seen[net] = self._watch(net)
        return self._seen[net]

    def _wrong_blocks(self) -> list[Diagnostic]:
        """Return what is wrong in the text of blocks, whatever they are given: nobody may call them yet."""
        walker = _Watcher({}, {}, MAX_NODES, self.file.shared)
        for value in [*self.file.env.names.values()]:
            decl = value.target if isinstance(value, OpValue) else None
            if not isinstance(decl, BlockDecl) or decl.file is not self.file:
                continue
            span = Span(self.source, decl.node.start, decl.node.end)
            place = Place(Env(self.file.env), POISON, DraftScope("net", "", span), self.source, {}, False)
            try:
                walker.look_into(decl, walker.nothing_given(decl, span), decl.node, place)
            except SpecError as error:
                walker.record(error.diagnostic, place)
            except Poisoned:
                pass
        return [error.replace(calls=()) for error in walker.errors]

    def _watch(self, net: str) -> _Seen:
        recipe = self.recipes[net]
        watched = _Watched(recipe, self.source, self.stop)
        errors: list[Diagnostic] = []
        network = None
        walker = watched.walker
        with no_collection():
            try:
                done = watched.run()
                if not watched.open and not self.errors:
                    network = Network(recipe, done)
                    errors += network.check()
            except NetError as error:
                errors += error.diagnostics
            (params, macs), costs = self._costs(walker.drafts, self.file.shared)
        lines = {}
        for at, (runs, shapes, values) in walker.made().items():
            piece = self.pieces.at(*at)
            if piece >= 0:
                start, end = self.pieces.heads[piece]
                lines[piece] = Line(start, end, runs, tuple(shapes), values, *costs.get(piece, (0, 0)), net)
        return _Seen(tuple(errors), lines, params, macs, network)

    def _around(self, span: Span) -> tuple[int, ...]:
        """Return the pieces of the text that a span lies in; none of another file's."""
        return self.pieces.around(span) if span.source is self.source else ()

    def _costs(
        self, drafts: list[Draft], shared: Shared
    ) -> tuple[tuple[int, int], dict[int, tuple[int, int]]]:
        """Return params and MACs of all drafts, and of the pieces of the text that they come from, by any calls."""
        total = [0, 0]
        sums: dict[int, list[int]] = {}
        within: dict[int, tuple[frozenset[int], list[int]]] = {}
        """By the ids of calls, the pieces that these are in, and what is built in them."""
        texts: dict[int, tuple[tuple[int, ...], list[int]]] = {}
        """By the ids of texts, the pieces that these are in, and what they build, but for those within themselves."""
        for draft in drafts:
            calls, span = draft.calls, draft.span
            if id(calls) not in within:
                within[id(calls)] = (
                    frozenset([piece for one in calls for piece in self._around(one.span)]),
                    [0, 0],
                )
            if id(span) not in texts:
                texts[id(span)] = self._around(span), [0, 0]
            called, of_calls = within[id(calls)]
            pieces, of_text = texts[id(span)]
            parts = [total, of_calls, of_text]
            if pieces and pieces[-1] in called:  # a block in itself
                own = [sums.setdefault(piece, [0, 0]) for piece in pieces if piece not in called]
                parts = [total, of_calls, *own]
            again = draft.original is not None and not draft.op.wiring
            x = [drafts[wire.draft].shapes[wire.port] for wire in draft.inputs]
            cost = cost_of(draft.op, again, x, shared.costs)
            macs = 0 if draft.train else cost.macs  # what runs in training only has weights, and no more
            for part in parts:
                part[0] += cost.params
                part[1] += macs
        for around, (params, macs) in (*within.values(), *texts.values()):
            for piece in around:
                part = sums.setdefault(piece, [0, 0])
                part[0] += params
                part[1] += macs
        return (total[0], total[1]), {piece: (params, macs) for piece, (params, macs) in sums.items()}


class _Seen(Record):
    """What is known of a net: what is wrong, its lines by the pieces of the text, and itself if it is right."""

    errors: tuple[Diagnostic, ...]
    lines: Mapping[int, Line]
    params: int
    macs: int
    network: Network | None


class _Watched(Elaborator):
    """An elaboration that is watched. Of what is left to decide it takes the first option."""

    def __init__(self, recipe: Recipe, source: Source, stop: Stop | None) -> None:
        """Watch what a source makes."""
        super().__init__(recipe)
        file = recipe.net.file
        self.walker: _Watcher = _Watcher(recipe.answers, {}, recipe.max_nodes, file.shared)
        self.walker.watched, self.walker.stop = source, stop

    @property
    def open(self) -> bool:
        """Whether something is left to decide."""
        return any(decision.chosen is None for decision in self.walker.decisions.values())

    def check_decisions(self) -> list[Diagnostic]:
        """Return nothing: a search space is a net of whose options the first are shown."""
        return []


class _Watcher(Builder):
    """A walker that notes what each step and statement of a source makes."""

    def __init__(self, *args: Any) -> None:
        """Begin with nothing."""
        super().__init__(*args)
        self.watched: Source | None = None
        self.stop: Stop | None = None

    def note(self, node: tree.Tree, data: Data | None, place: Place) -> None:
        """Note what something made."""
        if place.source is self.watched and data is not None and not data.poisoned:
            self.notes.append((node.start, node.end, data.shapes))

    def made(self) -> dict[tuple[int, int], tuple[int, dict[Shape, None], int]]:
        """Return how often what ran, what flowed behind it, and how many values at a time, by its offsets."""
        found: dict[tuple[int, int], tuple[int, dict[Shape, None], int]] = {}
        for start, end, made in self.notes:
            runs, shapes, _ = found.get((start, end)) or (0, {}, 0)
            shapes.update(dict.fromkeys(made))
            found[start, end] = runs + 1, shapes, len(made)
        return found

    def statement(self, node: tree.Statement, place: Place) -> None:
        """Run a statement; note what flows behind one that has a body, or is no chain."""
        if self.stop is not None and self.stop():
            raise Stopped
        super().statement(node, place)
        if isinstance(node, _BODIES):
            self.note(node, place.flow, place)
        elif isinstance(node, (tree.Weight, tree.Input)):
            self.note(node, Data((), (self.drafts[-1].shapes[0],)), place)

    def layer(self, node: tree.Layer, data: Data, place: Place, label: tree.Label | None) -> Data:
        """Run a layer or block, and note what it makes."""
        if self.stop is not None and self.stop():
            raise Stopped
        result = super().layer(node, data, place, label)
        self.note(node, result, place)
        return result

    def step(self, node: tree.Step, data: Data | None, place: Place) -> Data:
        """Run a step, and note what it makes."""
        result = super().step(node, data, place)
        if not isinstance(node, tree.Layer):
            self.note(node, result, place)
        return result


_BODIES = (tree.Container, tree.Merge, tree.Stage, tree.For, tree.If)


class _Pieces:
    """The statements and steps of a file that make something, by number, in the order of the text."""

    def __init__(self, file: FileScope) -> None:
        """Go through the text once."""
        self.starts: list[int] = []
        self.ends: list[int] = []
        """Where each ends, with its body."""
        self.heads: list[tuple[int, int]] = []
        self.outer: list[int] = []
        self._numbers: dict[tuple[int, int], int] = {}
        self._around: dict[Span, tuple[int, ...]] = {}
        for item in file.tree.items if hasattr(file, "tree") else ():
            node = item.statement if isinstance(item, tree.Annotated) else item
            if isinstance(node, (tree.Block, tree.Net)):
                self._body(node.body, -1)

    def at(self, start: int, end: int) -> int:
        """Return the piece with these offsets; -1 if there is none."""
        return self._numbers.get((start, end), -1)

    def around(self, span: Span) -> tuple[int, ...]:
        """Return the pieces that a span lies in, inner ones first."""
        found = self._around.get(span)
        if found is None:
            at = bisect_right(self.starts, span.start) - 1
            pieces = []
            while at >= 0:
                if self.ends[at] >= span.end:
                    pieces.append(at)
                at = self.outer[at]
            found = self._around[span] = tuple(pieces)
        return found

    def _add(self, node: tree.Tree, outer: int) -> int:
        number = len(self.starts)
        self.starts.append(node.start)
        self.ends.append(node.end)
        self.heads.append((node.start, node.end))
        self.outer.append(outer)
        self._numbers[node.start, node.end] = number
        return number

    def _body(self, body: Iterable[tree.Statement], outer: int) -> None:
        for statement in body:
            self._statement(statement, outer)
            if outer >= 0:
                self.ends[outer] = max(self.ends[outer], statement.end, self.ends[-1])

    def _statement(self, node: tree.Statement, outer: int) -> None:
        if isinstance(node, tree.Annotated):
            self._statement(node.statement, outer)
        elif isinstance(node, (tree.Line, tree.Output)):
            self._steps(node.chain.steps, outer)
        elif isinstance(node, tree.Bind):
            if isinstance(node.value, tree.Merge):
                self._body(node.value.body, self._add(node, outer))
            else:
                self._steps(node.value.steps, outer)
        elif isinstance(node, (tree.Container, tree.Merge, tree.Stage, tree.For)):
            self._body(node.body, self._add(node, outer))
        elif isinstance(node, tree.If):
            number = self._add(node, outer)
            for part in (*[case.body for case in node.cases], node.otherwise):
                self._body(part, number)
        elif isinstance(node, (tree.Weight, tree.Input)):
            self._add(node, outer)

    def _steps(self, steps: Iterable[tree.Step], outer: int) -> None:
        for step in steps:
            number = self._add(step, outer)
            if isinstance(step, tree.Repeat):
                self._steps((step.step,), number)
            elif isinstance(step, tree.Optional):
                self._steps(step.steps, number)
            elif isinstance(step, tree.Group):
                for branch in step.branches:
                    self._steps(branch.chain.steps, number)
