"""What a step of training computes a second time, so that it fits into a given memory: checkpoints.

A place is a module of the emitted code, a block or container, that is given one value and returns one, or a run of
neighbouring modules of which each reads what the one before returns, and nobody else does. With
`torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False)` it keeps nothing but the value that comes in; when
backward comes to it, it runs again, up to the last tensor that its backward needs. Places are apart: none is within
another.

The plan is the best there is over these places. A prefix of the net that recomputes some of its places matters for
what follows by three things only: how many bytes it keeps, which of the values that later layers look at are among
these, and what it recomputes. So an exact dynamic program goes through the net, and of two prefixes that keep the
same of those values drops the one that keeps more bytes and recomputes no less. It also drops
one after which more than is known to do would be recomputed, even if whatever later layers read were kept for
nothing. What recomputing less costs is told by MACs, of equal ones by other operations, then by the number of places.

Peaks are those of `netdsl.passes.training`, and as exact.

Running again means running twice: batch norms move their running statistics by two batches that are the same, and
count them twice. Random numbers are the same in both runs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.ir.graph import Scope, Value
from netdsl.ir.tape import Moment, Step, Storage
from netdsl.ir.types import Shape
from netdsl.passes.facts import Facts
from netdsl.passes.inplace import overwriting
from netdsl.passes.training import Alive, Memory, TrainingStep, measure_update, record, run_backward
from netdsl.record import Record

Work = tuple[int, int, int]
"""What is computed a second time, for one sample: MACs, other operations, places."""


class Plan(Record):
    """What to recompute, in bytes and in MACs of a batch."""

    places: tuple[tuple[str, ...], ...]
    """The modules that run under one `checkpoint` each, by their paths in the emitted module, in order."""
    limit: int
    """The bytes that a step may take."""
    peak: int
    """The bytes that a step takes, after the first one."""
    peak_without: int
    """The same if nothing is recomputed."""
    macs: int
    """What is recomputed in a step."""
    forward_macs: int
    """What the forward pass takes by itself."""
    twice: tuple[str, ...]
    """The layers whose running statistics each step moves twice."""


class _Place:
    """What may be recomputed, a module or a run of them: the nodes from `begin` to before `end`."""

    __slots__ = ("begin", "end", "given", "makes", "paths", "reads")

    def __init__(
        self, paths: tuple[str, ...], begin: int, end: int, reads: Value, makes: Value, given: Storage
    ) -> None:
        self.paths = paths
        self.begin = begin
        self.end = end
        self.reads = reads
        self.makes = makes
        self.given = given


class _Gradients(Alive):
    """What backward holds beside what forward kept: the bytes as a step begins, while it runs, and after it."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[Step, int] = {}
        self.making: dict[Step, int] = {}
        self.summing: dict[Step, int] = {}
        """While gradients are summed to the sizes of what was read."""
        self.after: dict[Step | None, int] = {}
        """The most until the next step begins; before the first one with None."""
        self.latest: Step | None = None

    def retain(self, step: Step) -> None:
        """Let the place decide when a step holds what it keeps."""

    def enter(self, step: Step) -> None:
        """End the step before, and begin this one."""
        self.finish()
        self.before[step] = self.peak = self.bytes

    def reduce(self, step: Step) -> None:
        """End what the step itself does."""
        self.making[step], self.peak = self.peak, self.bytes

    def release(self, step: Step) -> None:
        """End the part of the step during which what it keeps is alive."""
        self.making.setdefault(step, self.peak)
        self.summing[step] = self.peak
        self.latest, self.peak = step, self.bytes

    def finish(self) -> None:
        """End what follows the step before."""
        self.after[self.latest] = self.peak


class _Part(Record):
    """What a part of the net adds in one of its forms."""

    keeps: int
    """The bytes that it keeps for backward, that nothing before it does."""
    most: int
    """The most that is alive because of it beside what is kept before it, in forward and backward."""
    kept: frozenset[Storage]
    """What it keeps."""


class _Front(NamedTuple):
    """The fewest MACs that the rest of the net recomputes, by how many bytes there are for it."""

    bytes: list[int]
    """Going up."""
    macs: list[int]
    """Going down: what is recomputed at least with so many bytes, and fewer than the next."""

    def least(self, room: int) -> int:
        """Return it for so many bytes, which are no fewer than the first."""
        return self.macs[bisect_right(self.bytes, room) - 1]


class _Label:
    """A prefix of the net: what it keeps, what is compared of it, and the choice that it ends with."""

    __slots__ = ("before", "cost", "keeps", "place")

    def __init__(self, keeps: int, cost: Work, before: _Label | None, place: _Place | None) -> None:
        self.keeps = keeps
        self.cost = cost
        self.before = before
        self.place = place


class _Trace:
    """A step of training, node by node: what each keeps, and what else is alive."""

    def __init__(self, facts: Facts, batch: int, dtype: str) -> None:
        """Run it; shapes and holds must be known."""
        self.facts = facts
        graph = facts.graph
        tape, self.values = record(facts, batch, dtype)
        self.names = tape.turns
        """The nodes in the order in which they run; sums of three or more are added in several turns."""
        self.index = {name: at for at, name in enumerate(self.names)}
        self.starts = {name: at for at, name in reversed([*enumerate(self.names)])}
        """The first turn of each node, and above its last."""
        self.inputs = {self.values[name][0].storage for name in graph.inputs.values()}
        self.gradients = _Gradients()
        outputs = [self.values[output.value.node][output.value.port] for output in graph.outputs]
        run_backward(tape, outputs, self.gradients)
        self.gradients.finish()
        self.steps: list[list[Step]] = [[] for _ in self.names]
        """By node, in the order of forward."""
        for step in sorted(self.gradients.before, key=lambda step: step.number):
            self.steps[step.at].append(step)
        self.keeps = {step: self.own(step.keeps) for steps in self.steps for step in steps}
        self.moments: list[list[Moment]] = [[] for _ in self.names]
        """What is alive whether it is kept or not, by node, whenever one of its kernels has run."""
        for moment in tape.moments:
            self.moments[moment.at].append(moment._replace(storages=moment.storages - self.inputs))
        self.whole = TrainingStep(tape, self.gradients, _size(self.inputs))
        self.first: dict[Storage, int] = {}
        """The first node that looks at a storage."""
        self.last: dict[Storage, int] = {}
        """The last one."""
        for at, (steps, moments) in enumerate(zip(self.steps, self.moments, strict=True)):
            for storages in (*[each.storages for each in moments], *[self.keeps[step] for step in steps]):
                self.last.update(dict.fromkeys(storages, at))
                for storage in storages:
                    self.first.setdefault(storage, at)

    def shapes(self, name: str) -> list[Shape]:
        """Return the shapes that a node reads."""
        return [self.facts.shapes[value.node][value.port] for value in self.facts.graph[name].inputs]

    def own(self, storages: Iterable[Storage]) -> frozenset[Storage]:
        """Return storages but for those that are alive in any case: the module's and the inputs."""
        return frozenset([each for each in storages if not each.learned and each not in self.inputs])

    # ---------------------------------------------------------------- places

    def places(self) -> list[_Place]:
        """Return what may be recomputed, in the order in which it begins."""
        graph = self.facts.graph
        again = {scope.module for scope in graph.tree.scopes() if scope.module}
        writing = overwriting(graph)
        wrote = {
            self.values[node.inputs[0].node][node.inputs[0].port].storage: self.index[node.name]
            for node in graph
            if node.name in writing
        }
        found: list[_Place] = []
        modules: dict[str, _Place] = {}
        for scope in graph.tree.scopes():
            if scope.kind != "net" and not scope.module and scope.path not in again:
                place = self._module(scope)
                if place is not None:
                    modules[scope.path] = place
        for scope in graph.tree.scopes():
            found += self._runs(scope, modules)
        return sorted(
            [place for place in (*modules.values(), *found) if self._saves(place, wrote)],
            key=lambda place: (place.begin, -place.end),
        )

    def _saves(self, place: _Place, wrote: Mapping[Storage, int]) -> bool:
        """Tell whether a place keeps anything, and what it is given is still there when it runs again."""
        if place.given.learned or wrote.get(place.given, -1) >= place.begin:
            return False
        return any(step.keeps for steps in self.steps[place.begin : place.end] for step in steps)

    def _module(self, scope: Scope) -> _Place | None:
        """Return a module as a place; None if more than one value goes in or out."""
        if len(scope.inputs) != 1 or len(scope.outputs) != 1:
            return None
        inside = set(scope.nodes())
        if not inside:
            return None
        begin, end = (
            min([self.starts[name] for name in inside]),
            max([self.index[name] for name in inside]) + 1,
        )
        if not inside.issuperset(self.names[begin:end]):
            return None
        nodes = self.facts.graph.nodes
        read = {value for name in self.names[begin:end] for value in nodes[name].inputs}
        if any(value.node not in inside and value != scope.inputs[0] for value in read):
            return None
        return self._place((scope.path,), begin, end, scope.inputs[0], scope.outputs[0])

    def _place(self, paths: tuple[str, ...], begin: int, end: int, reads: Value, makes: Value) -> _Place:
        return _Place(paths, begin, end, reads, makes, self.values[reads.node][reads.port].storage)

    def _runs(self, scope: Scope, modules: Mapping[str, _Place]) -> Iterator[_Place]:
        """Yield the runs of several neighbouring modules in a scope, but for all that is in a module."""
        whole = modules.get(scope.path)
        for chain in self._chains(scope, modules):
            ends = [*range(0, len(chain), max(1, -(-len(chain) // MAX_RUNS))), len(chain)]
            for first, last in combinations(ends, 2):
                one, two = chain[first], chain[last - 1]
                same = whole is not None and (whole.begin, whole.end) == (one.begin, two.end)
                if last - first > 1 and not same:
                    paths = tuple([path for place in chain[first:last] for path in place.paths])
                    yield self._place(paths, one.begin, two.end, one.reads, two.makes)

    def _chains(self, scope: Scope, modules: Mapping[str, _Place]) -> list[list[_Place]]:
        """Return the longest runs of modules in a scope.

        Layers are among them in a chain of the net itself, an nn.Sequential such as VGG's features: those of blocks
        would be too many, and hard to run so.
        """
        blocks = [modules.get(item.path) if isinstance(item, Scope) else None for item in scope.steps]
        if scope.kind == "container" and "." not in scope.path:
            items = [
                place if isinstance(item, Scope) else self._layer(item)
                for place, item in zip(blocks, scope.steps, strict=True)
            ]
            if len(self._linked(items)) == 1:
                return self._linked(items)
        return self._linked(blocks)

    def _linked(self, items: Iterable[_Place | None]) -> list[list[_Place]]:
        chains: list[list[_Place]] = [[]]
        for place in items:
            if place is None or (chains[-1] and not self._follows(chains[-1][-1], place)):
                chains.append([])
            chains[-1] += [place] if place is not None else []
        return chains

    def _layer(self, name: str) -> _Place | None:
        """Return a layer as a part of a run."""
        node = self.facts.graph[name]
        if len(node.inputs) != 1 or len(self.facts.shapes[name]) != 1 or node.module or node.op.wiring:
            return None
        return self._place((name,), self.starts[name], self.index[name] + 1, node.inputs[0], Value(name))

    def _follows(self, one: _Place, two: _Place) -> bool:
        """Tell whether a module reads what the one before it makes, and nobody else does."""
        if two.reads != one.makes or two.begin != one.end:
            return False
        readers = [self.index[node.name] for node in self.facts.graph.users(one.makes.node)]
        result = any(output.value == one.makes for output in self.facts.graph.outputs)
        return not result and all(two.begin <= at < two.end for at in readers)

    # ---------------------------------------------------------------- what a part holds

    def keep(self, begin: int, end: int, held: frozenset[Storage]) -> _Part:
        """Return what nodes hold that run once; `held` is kept already."""
        making, summing, after = self.gradients.making, self.gradients.summing, self.gradients.after
        kept: set[Storage] = set()
        bytes = most = 0
        for at in range(begin, end):
            steps = iter(self.steps[at])
            step = next(steps, None)
            for moment in self.moments[at]:
                while step is not None and step.number < moment.steps:
                    most = max(most, bytes + after[step])
                    new = self.keeps[step] - held - kept
                    kept |= new
                    bytes += _size(new)
                    most = max(most, bytes + max(making[step], summing[step]))
                    step = next(steps, None)
                most = max(most, bytes + _size(moment.storages - held - kept))
        return _Part(bytes, most, frozenset(kept))

    def recompute(self, places: Sequence[_Place], held: frozenset[Storage]) -> dict[_Place, _Part]:
        """Return what places hold that run twice and begin at one node; `held` is kept already.

        All that a second run makes is new, and lies beside what is left of the first. It ends with the last step that
        keeps anything. What shorter places hold until then is found on the way to longer ones.
        """
        begin, given = places[0].begin, self.own([places[0].given])
        ends: dict[int, list[_Place]] = {}
        for place in places:
            ends.setdefault(place.end, []).append(place)
        before, after = self.gradients.before, self.gradients.after
        making, summing = self.gradients.making, self.gradients.summing
        kept = given - held
        bytes = _size(kept)
        first = bytes  # the most while the first run goes on
        back = own = 0  # the most while backward goes through the place, and what the second run keeps
        again = 0  # the most that the second run holds of what it makes
        seen: set[Storage] = set()
        entered = False  # whether a step so far keeps anything, so that what was given is alive
        stop: Step | None = None
        stopped = (0, 0, 0)  # `back`, `own` and `again` at the stop
        behind: list[Step] = []
        found: dict[_Place, _Part] = {}
        for at in range(begin, max(ends)):
            steps = self.steps[at]
            here = next((step for step in reversed(steps) if step.keeps), None)
            now, todo = again, iter(steps)
            step = next(todo, None)
            alive = set(seen)
            for moment in self.moments[at]:
                first = max(first, bytes + _size(moment.storages - given - held))
                while step is not None and step.number < moment.steps:
                    alive |= self.keeps[step] - given
                    step = next(todo, None)
                made = [each for each in moment.storages - alive - given if self.first[each] >= begin]
                again = max(again, _size(alive) + _size(made))
                if here is not None and moment.steps <= here.number + here.late:
                    now = again
            for step in steps:
                rest = own
                back = max(back, (bytes if entered else 0) + own + after[step])
                own += _size(self.keeps[step] - given - seen)
                seen |= self.keeps[step] - given
                entered = entered or bool(step.keeps)
                # what is unpacked of a second run is gone as soon as the step returns
                back = max(back, bytes + own + making[step], bytes + rest + summing[step])
                behind.append(step)
                if step is here:
                    stop, stopped, behind = step, (back, own, now), []
            for place in ends.get(at + 1, ()):
                assert stop is not None, place.paths
                most = max(first, stopped[0], bytes + before[stop] + max(stopped[1:]))
                for step in behind:
                    most = max(most, bytes + after[step], bytes + making[step], bytes + summing[step])
                found[place] = _Part(bytes, most, kept)
        return found

    def stop(self, place: _Place) -> Step:
        """Return the last step of a place that keeps anything: the second run ends there."""
        steps = [step for steps in self.steps[place.begin : place.end] for step in steps if step.keeps]
        return steps[-1]

    def work(self, place: _Place) -> Work:
        """Return what the second run of a place computes for one sample.

        A step that keeps nothing but what it reads ends the run before it begins: the last product of its layer is
        not made again.
        """
        stop = self.stop(place)
        macs = ops = 0
        for name in dict.fromkeys(self.names[place.begin : stop.at + 1]):
            op, x = self.facts.graph[name].op, self.shapes(name)
            if name != stop.layer or stop.late:
                macs += op.macs(*x)
                ops += op.ops(*x)
            else:
                macs += sum([term.value for term in op.mac_terms(*x)][:-1])
        return macs, ops, 1

    def forward_macs(self) -> int:
        """Return the MACs of the forward pass for one sample."""
        return sum([node.op.macs(*self.shapes(node.name)) for node in self.facts.graph])

    def tracking(self, place: _Place) -> list[str]:
        """Return the layers whose running statistics the second run of a place moves."""
        names = dict.fromkeys(self.names[place.begin : self.stop(place).at + 1])
        return [name for name in names if self.facts.graph[name].op.tracks]


MAX_RUNS = 48
"""In how many pieces a chain of modules is cut; a longer one at equal distances."""
_FEW = (8, 32, 128)
"""How many prefixes are looked at to find choices that may be beaten."""
_FRONT = 1000
"""How many steps a bound has; with fewer it is lower, and worked out sooner."""


def _size(storages: Iterable[Storage]) -> int:
    return sum([storage.nbytes for storage in storages])


class _Program:
    """The dynamic program over the places of a trace."""

    def __init__(self, trace: _Trace, places: list[_Place]) -> None:
        """Cut the net where a place begins or ends."""
        self.trace = trace
        self.end = len(trace.names)
        self.cuts = sorted({0, self.end, *[at for place in places for at in (place.begin, place.end)]})
        self.beginning: dict[int, dict[Storage, list[_Place]]] = {}
        """By node the places that begin there, by what they are given."""
        for place in places:
            self.beginning.setdefault(place.begin, {}).setdefault(place.given, []).append(place)
        self.work = {place: trace.work(place) for place in places}
        self.loss = trace.gradients.after[None]
        self.fronts: dict[int, _Front] = {}
        """By cut what follows recomputes at least, for the room at hand."""

    def bounds(self, room: int) -> dict[int, _Front]:
        """Return by cut what follows recomputes at least, if all that it looks at were kept already."""
        found = {self.end: _Front([self.loss], [0])}
        for cut, following in reversed([*pairwise(self.cuts)]):
            held = frozenset([each for each, first in self.trace.first.items() if first < cut])
            parts = [(self.trace.keep(cut, following, held), 0, found[following])]
            for places in self.beginning.get(cut, {}).values():
                for place, part in self.trace.recompute(places, held).items():
                    parts.append((part, self.work[place][0], found[place.end]))
            front = found[cut] = _Front([], [])
            for need, macs in sorted(
                [
                    (max(part.most, part.keeps + need), work + macs)
                    for part, work, rest in parts
                    for need, macs in zip(rest.bytes, rest.macs, strict=True)
                    if part.keeps + need <= room
                ]
            ):
                if need <= room and (not front.macs or macs < front.macs[-1]):
                    front.bytes.append(need)
                    front.macs.append(macs)
            step = -(-len(front.bytes) // _FRONT) or 1
            ends = range(step, len(front.bytes) + step, step)
            found[cut] = _Front(
                front.bytes[::step], [front.macs[min(end, len(front.macs)) - 1] for end in ends]
            )
        return found

    def least(self, room: int) -> _Label | None:
        """Return what recomputes least of all that fits into so many bytes; None if nothing does.

        Few labels are left where little may be recomputed: so what fits is found first among a few of them, and of
        more once less may be.
        """
        self.fronts = self.bounds(room)
        cap, found = 1 + sum([macs for macs, _, _ in self.work.values()]), False
        for width in _FEW:
            label = self.run(room, cap - found, width)
            if label is not None:
                cap, found = label.cost[0], True
        return self.run(room, cap)

    def run(self, room: int | None, cap: int = 0, width: int = 0) -> _Label | None:
        """Return the best choice, or a good one if no more than `width` prefixes are looked at that are alike.

        With room for so many bytes it is what recomputes least, and at most so many MACs; None if nothing fits.
        Without it is what takes the fewest bytes, which its cost begins with.
        """
        start: dict[frozenset[Storage], list[_Label]] = {frozenset(): [_Label(0, (0, 0, 0), None, None)]}
        states = {0: start}
        for cut, following in pairwise(self.cuts):
            here = states.pop(cut, {})
            for held, labels in _best(here).items():
                if width and len(labels) > width:  # some that keep little, and some that cost little
                    labels = [labels[at * (len(labels) - 1) // (width - 1)] for at in range(width)]
                part = self.trace.keep(cut, following, held)
                self._go(states, following, held, labels, part, None, room, cap)
                for places in self.beginning.get(cut, {}).values():
                    for place, part in self.trace.recompute(places, held).items():
                        self._go(states, place.end, held, labels, part, place, room, cap)
        labels = [label for found in states.get(self.end, {}).values() for label in found]
        if room is None:
            for label in labels:
                label.cost = (max(label.cost[0], label.keeps + self.loss), *label.cost[1:])
        else:
            labels = [label for label in labels if label.keeps + self.loss <= room]
        return min(labels, key=lambda label: (label.cost, label.keeps), default=None)

    def _go(
        self,
        states: dict[int, dict[frozenset[Storage], list[_Label]]],
        end: int,
        held: frozenset[Storage],
        labels: list[_Label],
        part: _Part,
        place: _Place | None,
        room: int | None,
        cap: int,
    ) -> None:
        """Add a part of the net to prefixes of it, where the rest may fit."""
        last = self.trace.last
        later = frozenset([each for each in (*held, *part.kept) if last[each] >= end])
        found = states.setdefault(end, {}).setdefault(later, [])
        if room is None:
            for label in labels:
                cost = (max(label.cost[0], label.keeps + part.most), 0, 0)
                found.append(_Label(label.keeps + part.keeps, cost, label, place))
            return
        macs, ops, count = self.work[place] if place is not None else (0, 0, 0)
        front = self.fronts[end]
        if not front.bytes:
            return
        most = room - max(part.most, part.keeps + front.bytes[0])
        for label in labels:
            done = label.cost[0] + macs
            if label.keeps <= most and done + front.least(room - label.keeps - part.keeps) <= cap:
                cost = (done, label.cost[1] + ops, label.cost[2] + count)
                found.append(_Label(label.keeps + part.keeps, cost, label, place))

    def peak(self, chosen: Mapping[int, _Place]) -> int:
        """Return the most bytes that are alive with places that are chosen, by where they begin."""
        at, bytes, most = 0, 0, 0
        held: frozenset[Storage] = frozenset()
        while at < self.end:
            place = chosen.get(at)
            if place is not None:
                end, part = place.end, self.trace.recompute([place], held)[place]
            else:
                end = next(cut for cut in self.cuts if cut > at)
                part = self.trace.keep(at, end, held)
            most = max(most, bytes + part.most)
            bytes += part.keeps
            held |= part.kept
            at = end
        return max(most, bytes + self.loss)


def _best(states: Mapping[frozenset[Storage], list[_Label]]) -> dict[frozenset[Storage], list[_Label]]:
    """Return the labels that no other one beats, by what they have of the values that are looked at later.

    One beats another if it costs no more, and keeps no more even once it keeps all of these that the other has.
    """
    lacks = {(held, other): _size(held - other) for held in states for other in states}
    keeps: dict[frozenset[Storage], list[int]] = {held: [] for held in states}
    found: dict[frozenset[Storage], list[_Label]] = {held: [] for held in states}
    everything = sorted(
        [
            (label.keeps, label.cost, at, held, label)
            for at, (held, labels) in enumerate(states.items())
            for label in labels
        ],
        key=lambda each: each[:3],
    )
    for own, cost, _, held, label in everything:
        for other, labels in found.items():
            at = bisect_right(keeps[other], own - lacks[held, other])
            if at and labels[at - 1].cost <= cost:  # of a state, what keeps more costs less
                break
        else:
            keeps[held].append(own)
            found[held].append(label)
    return {held: labels for held, labels in found.items() if labels}


def _choice(label: _Label | None) -> dict[int, _Place]:
    """Return the places that a prefix recomputes, by where they begin."""
    found = []
    while label is not None:
        if label.place is not None:
            found.append(label.place)
        label = label.before
    return {place.begin: place for place in reversed(found)}


def plan_checkpoints(facts: Facts, memory: int, batch: int, dtype: str, optimizer: str) -> Plan:
    """Return what to recompute so that a step of training takes at most `memory` bytes.

    Shapes and holds must be known.

    Raises:
        NetError: Nothing fits; the message says the least that can be reached.
        OpError: An op does not say what it keeps.
    """
    with no_collection():
        return _plan(facts, memory, batch, dtype, optimizer)


def _plan(facts: Facts, memory: int, batch: int, dtype: str, optimizer: str) -> Plan:
    trace = _Trace(facts, batch, dtype)
    program = _Program(trace, trace.places())
    update = measure_update(facts, dtype, optimizer, trace.whole)
    always = update.weights + update.buffers + update.optimizer + update.input
    without = max(always + program.peak({}), update.peak)
    chosen: dict[int, _Place] = {}
    if without > memory:
        label = program.least(memory - always) if update.peak <= memory else None
        if label is None:
            least = program.run(None)
            raise _out_of_reach(memory, update, always + least.cost[0] if least is not None else 0)
        chosen = _choice(label)
    return Plan(
        places=tuple([place.paths for place in chosen.values()]),
        limit=memory,
        peak=max(always + program.peak(chosen), update.peak),
        peak_without=without,
        macs=batch * sum([program.work[place][0] for place in chosen.values()]),
        forward_macs=batch * trace.forward_macs(),
        twice=tuple([name for place in chosen.values() for name in trace.tracking(place)]),
    )


def _out_of_reach(memory: int, update: Memory, running: int) -> NetError:
    """Return the error that nothing fits into so many bytes."""
    least = max(running, update.peak)
    message = f"no checkpoints make a step of training fit into {memory:,} bytes: the least is {least:,}"
    help = "take a smaller batch or dtype"
    if update.peak >= running:
        message += ", which updating the parameters takes"
        help = "take another optimizer or dtype"
    return NetError([Diagnostic("E570", message, help=help)])


def render_text(plan: Plan) -> str:
    """Return a plan as lines of text."""
    if not plan.places:
        return f"a step takes {plan.peak:,} bytes at its peak, within {plan.limit:,}: nothing has to be recomputed"
    runs = any(len(paths) > 1 for paths in plan.places)
    share = f" ({100 * plan.macs / plan.forward_macs:.1f} % of the forward pass)" if plan.forward_macs else ""
    lines = [
        f"checkpoints so that a step takes at most {plan.limit:,} bytes",
        f"peak {plan.peak:,} bytes instead of {plan.peak_without:,}; {plan.macs:,} MACs{share} are computed again, "
        "the least there is",
        "",
        *[f"  {_run(paths)}" for paths in plan.places],
        "",
        "run each as torch.utils.checkpoint.checkpoint(module, x, use_reentrant=False)"
        + (", where several are one function that calls one after the other" if runs else ""),
    ]
    if plan.twice:
        lines.append(
            f"the running statistics of {len(plan.twice)} layers, such as {plan.twice[0]}, move twice in a step, "
            "since checkpoint runs forward twice"
        )
    return "\n".join(lines)


def _run(paths: Sequence[str]) -> str:
    """Return what a line says of modules that run as one."""
    if len(paths) < 3:
        return ", ".join(paths)
    return f"{paths[0]} to {paths[-1]}, {len(paths)} modules"
