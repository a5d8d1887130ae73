"""Bindings: which values of a function of emitted code are bound to names, when, and which names are bound anew.

A value that the spec names, or reads by its label when another flows, is called so. Any other takes over a name that
says nothing, `x`, `y` or `out`, whose value it is the last to read, or one that is free; else, or if it waits for a
concatenation, it is called after its module. What is written in place keeps its name.
A name stays until it is bound anew, so a value is freed then, or when the function returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from netdsl.ir.graph import Node, Scope, Value
from netdsl.ops import Op
from netdsl.ops.joint import Concat, Identity
from netdsl.ops.source import Input, Source, Weight

GENERIC = ("x", "y", "out")
"""Names that say nothing, and may be bound anew."""


def choose(candidates: Iterable[str], is_free: Callable[[str], bool]) -> str:
    """Return the first name that is free, of some candidates, `y2`, `y3`, ..."""
    for name in candidates:
        if name and is_free(name):
            return name
    number = 2
    while not is_free(f"y{number}"):
        number += 1
    return f"y{number}"


def candidates(
    label: str, key: str, dying: Iterable[str], generic: tuple[str, ...] = GENERIC, waits: bool = False
) -> Iterator[str]:
    """Yield what a value may be called.

    `label` is what the spec calls it, `key` the module that makes only it, `dying` are the names of what is read for
    the last time to make it, `generic` the names that say nothing; one that `waits` is to be concatenated with what
    follows.
    """
    yield label
    if waits:
        yield key
    if not label:
        yield from (name for name in dying if name in generic)
    yield from generic
    yield key


class Step:
    """One call or op of a function."""

    __slots__ = (
        "again",
        "aliases",
        "begins",
        "cut",
        "handed",
        "is_module",
        "item",
        "key",
        "labelled",
        "makes",
        "op",
        "reads",
        "train",
    )

    def __init__(
        self, scope: Scope, item: str | Scope, node: Node | None, ports: int, train: bool, module: str = ""
    ) -> None:
        """Take a call, or an op that has so many outputs; `train` tells whether it runs in training only.

        `scope` is what it stands in, and `module` the path of its module if that was called before.
        """
        self.item = item
        self.train = train
        self.begins = self.cut = False
        """Whether a stage begins with it; whether a condition or turn of a loop begins or ends before it."""
        self.op = op = node.op if node is not None else None
        self.key = scope.local(module or item)
        if isinstance(item, Scope):
            self.reads, self.makes = item.inputs, item.outputs
        else:
            assert node is not None
            self.reads = node.inputs
            self.makes = (Value(item),) if ports == 1 else tuple([Value(item, port) for port in range(ports)])
        self.labelled = not self.key.isdigit() and (op is None or not op.wiring)
        self.is_module = op is None or op.module or self.labelled or type(op).weights is not Op.weights
        self.again = bool(module)
        """Whether it is a module that was called before."""
        self.aliases = isinstance(op, Identity | Source)
        """Whether it computes nothing: it is only its input, or what always lives."""
        self.handed: Mapping[Value, int] = {}
        """What a container is given and hands on as it is, and how often what is in it reads that."""


def handed_on(scope: Scope, nodes: Mapping[str, Node]) -> Mapping[Value, int]:
    """Return what a container is given and hands on as it is, and how often what is in it reads that."""
    if scope.kind != "container":
        return {}
    return {value: times_read(value, scope, nodes) for value in scope.outputs if value in scope.inputs}


def times_read(value: Value, scope: Scope, nodes: Mapping[str, Node]) -> int:
    """Return how often a value is read by what stands in a scope, and in the containers in it."""
    number = 0
    for item in scope.steps:
        if isinstance(item, Scope):
            within = item.kind == "container"
            number += times_read(value, item, nodes) if within else item.inputs.count(value)
        else:
            number += nodes[item].inputs.count(value)
    return number


def is_sequential(scope: Scope, steps: list[Step], outputs: tuple[Value, ...]) -> bool:
    """Tell whether a function only calls one module after another: it holds one value at a time."""
    flow = scope.inputs
    if scope.kind == "net":
        flow, steps = (steps[0].makes, steps[1:]) if steps and not steps[0].reads else ((), [])
    if len(flow) != 1 or scope.first:
        return False
    for step in steps:
        if step.reads != flow or len(step.makes) != 1 or step.again or step.train:
            return False
        if step.op is not None and (step.op.wiring and not isinstance(step.op, Identity)):
            return False
        if (scope.kind != "container" and step.labelled) or "." in step.key:
            return False
        flow = step.makes
    return outputs == flow


def told_apart(steps: list[Step]) -> dict[Value, Value]:
    """Make what a block hands on as it is a value of its own, with a port below 0; return what each is last.

    What a container hands on stays what it is, since a container is written into the function that it stands in.
    """
    latest: dict[Value, Value] = {}
    number = 0
    for step in steps:
        reads = step.reads
        if latest:
            step.reads = tuple([latest.get(value, value) for value in reads])
        if step.op is None and not step.handed and not set(reads).isdisjoint(step.makes):
            for value in set(reads).intersection(step.makes):
                number += 1
                latest[value] = Value(value.node, -number)
            step.makes = tuple([latest.get(value, value) for value in step.makes])
    return latest


class Frame:
    """The names of one function while it runs."""

    def __init__(
        self, scope: Scope, steps: list[Step], outputs: tuple[Value, ...], writing: frozenset[str]
    ) -> None:
        """Bind what comes in; `outputs` are what is returned. The function is no chain of modules."""
        self.steps = steps
        latest = told_apart(steps)
        outputs = tuple([latest.get(value, value) for value in outputs])
        self.labels = {latest.get(v, v): name for v, name in scope.names.items()}
        self.writing = writing
        self.over = {step.reads[0]: step.makes[0] for step in steps if step.item in writing}
        """By value, what is written over it."""
        self.names: dict[Value, str] = {}
        self.bound: dict[str, list[Value]] = {}
        self.pending: set[Value] = set()
        self.dying: list[str] = []
        self.counts: dict[Value, int] = dict(Counter(outputs))
        self.until: dict[Value, int] = {}
        """The last step that reads a value."""
        counts, until = self.counts, self.until
        for at, step in enumerate(steps):
            for value in step.reads:
                counts[value] = counts.get(value, 0) + step.handed.get(value, 1)
                until[value] = at
        until.update(dict.fromkeys(outputs, len(steps)))
        self.concatenated = {value for step in steps if isinstance(step.op, Concat) for value in step.reads}
        self.learned = {step.makes[0] for step in steps if isinstance(step.op, Weight)}
        self.parts: dict[int, int] = {}
        """By operand of a joint, the joint."""
        self.nested = self.operands()
        for value, name in zip(scope.inputs, self.incoming(scope), strict=True):
            self.name(value, name)

    @staticmethod
    def incoming(scope: Scope) -> list[str]:
        """Return the names of what comes in."""
        if len(scope.inputs) == 1 and not scope.input_names:
            return ["x"]
        names = [*scope.input_names]
        return names + [f"x{port}" for port in range(len(names), len(scope.inputs))]

    def values(self) -> Iterator[Value]:
        """Yield what is bound."""
        for values in self.bound.values():
            yield from values

    def name(self, value: Value, name: str) -> list[Value]:
        """Bind a name; return what had it."""
        before = self.bound.get(name, [])
        self.bound[name] = [value]
        self.names[value] = name
        return before

    # ---------------------------------------------------------------- operands

    def operands(self) -> set[int]:
        """Return the steps that are written as operands of a later one."""
        found: set[int] = set()
        for at, step in enumerate(self.steps):
            if step.op is None or not step.reads:
                continue
            if len(step.reads) == 1:
                if at and self.nests(self.steps[at - 1], step):
                    found.add(at - 1)
                continue
            first = 1 if step.op.folds else 0
            for before, value in zip(range(at - 1, -1, -1), reversed(step.reads[first:]), strict=False):
                maker = self.steps[before]
                if value == self.repeated(step):  # an expression would be computed as often as it is read
                    break
                if before in found or self.steps[before + 1].cut or not self.is_operand(maker, value, step):
                    break
                found.add(before)
                self.parts[before] = at
        return found

    def repeated(self, step: Step) -> Value | None:
        """Return the operand that a joint reads twice: the batch that learned tensors are repeated for."""
        if not isinstance(step.op, Concat) or self.learned.isdisjoint(step.reads):
            return None
        return next((value for value in step.reads if value not in self.learned), None)

    def is_operand(self, maker: Step, value: Value, reader: Step) -> bool:
        """Tell whether a step makes only what another one reads, from one value."""
        if maker.makes != (value,) or self.counts[value] != 1 or maker.begins or maker.train != reader.train:
            return False
        return maker.op is None or (len(maker.reads) == 1 and not maker.aliases)

    def nests(self, maker: Step, step: Step) -> bool:
        """Tell whether a step stands within the one that follows it: where one of the two allocates nothing."""
        (value,) = step.reads
        op = step.op
        if op is None or step.aliases or step.begins or step.cut or maker.makes != (value,):
            return False
        if self.counts[value] != 1 or maker.train != step.train or maker.aliases:
            return False
        if maker.op is not None and len(maker.reads) > 1:
            return False
        if op.follows and (not op.computes or step.item in self.writing):
            return True
        return maker.op is not None and not maker.op.computes and step.is_module

    def is_summed(self, at: int) -> bool:
        """Tell whether an operand is a part of a sum whose parts before it are added while it is computed."""
        if at not in self.parts:
            return False
        joint = self.steps[self.parts[at]]
        if joint.op is None or not joint.op.folds:
            return False
        return self.steps[at].makes[0] in joint.reads[2:]

    def added(self, step: Step) -> tuple[Value, ...]:
        """Return the operands of a sum that are gone when its last one is added."""
        if len(step.reads) < 3 or step.op is None or not step.op.folds:
            return ()
        return tuple(value for value in step.reads[:-1] if value in self.pending)

    # ---------------------------------------------------------------- statements

    def run(self, at: int) -> list[Value]:
        """Run a step, the next that is no training's; return the values whose names are bound anew."""
        step = self.steps[at]
        if step.aliases:
            self.alias(step)
            return []
        names, until = self.names, self.until
        dying = [names[v] for v in step.reads if v in names and until[v] <= at]
        self.pending.difference_update(step.reads)
        if at in self.nested:
            self.pending.add(step.makes[0])
            self.dying = [*dying, *self.dying]
            return []
        dying, self.dying = [*self.dying, *dying], []
        alone = len(step.makes) == 1
        taken: set[str] = set()
        freed: list[Value] = []
        for value in step.makes:
            if value in step.handed and value in names:
                continue
            if until.get(value, -1) > at:
                name = self.called(value, at, dying, taken)
                taken.add(name)
                freed += self.name(value, name)
            elif not alone:
                freed += self.name(value, "_")
        return freed

    def alias(self, step: Step) -> None:
        """Let a value be another one, or what always lives."""
        if step.reads:
            (other,) = step.reads
            if other in self.pending:
                self.pending.add(step.makes[0])
            elif other in self.names:
                self.names[step.makes[0]] = name = self.names[other]
                self.bound[name].append(step.makes[0])
        elif isinstance(step.op, Input):
            self.name(step.makes[0], step.key)

    def following(self, at: int) -> Iterator[Value]:
        """Yield what the statement after a step reads."""
        for step in range(at + 1, len(self.steps)):
            yield from self.steps[step].reads
            if step not in self.nested:
                break

    def label(self, value: Value, step: Step, dying: list[str]) -> str:
        """Return what the spec calls a value, or what is written over it, or else what it is written over."""
        after = value
        while after not in self.labels and after in self.over:
            after = self.over[after]
        if after not in self.labels and step.item in self.writing:
            name = self.names.get(step.reads[0], "")
            return name if name in dying else ""
        return self.labels.get(after, "")

    def called(self, value: Value, at: int, dying: list[str], taken: set[str]) -> str:
        """Return the name that a value is bound to."""
        step = self.steps[at]
        label = self.label(value, step, dying)

        bound, until = self.bound, self.until

        def is_free(name: str) -> bool:
            if name in taken:
                return False
            for held in bound.get(name, ()):
                if until.get(held, -1) > at:
                    return False
            return True

        key = step.key if step.labelled and len(step.makes) == 1 else ""
        waits = value in self.concatenated and value not in self.following(at)
        return choose(candidates(label, key, dying, waits=waits), is_free)
