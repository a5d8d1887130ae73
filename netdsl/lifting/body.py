"""A scope of a graph as statements: chains, joints with the branches that they join, and values with names.

A stack holds what has been read so far, chain by chain. A layer goes on with the chain whose value it reads, if
nothing else does; a joint takes the chains that end in its operands from the top of the stack, as its branches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from netdsl.elaborate.layers import JOINTS, has_state
from netdsl.ir.graph import Node, Output, Scope, Value
from netdsl.ir.types import Init
from netdsl.lifting.items import Box, Column, Item
from netdsl.lifting.naming import Naming
from netdsl.lifting.words import initialiser, label, op_values, shape_words
from netdsl.ops.conv import DwConv
from netdsl.ops.source import Input, Weight

if TYPE_CHECKING:
    from netdsl.lifting.file import File

Values = tuple[Value, ...]
INLINE = ("call", "same", "joint")
"""What may stand within a chain in one line, if its branches may."""
SHORT = 5
"""The most layers in a fork or container that stands in one line with others."""


class Chain:
    """Steps each of which reads what the one before makes."""

    def __init__(
        self, source: Values, step: Item, begin: int, end: int, makes: Values, key: str, stage: str
    ) -> None:
        """Begin a chain with one step, the scope's items from `begin` to `end`, which reads `source`."""
        self.source = source
        self.steps = [step]
        self.begins = [begin]
        """By step the first of the scope's items in it."""
        self.end = end
        """Behind the last."""
        self.makes = makes
        self.key = key
        """The label of the last step, if that names its value in all of the block."""
        self.stage = stage

    @property
    def begin(self) -> int:
        """The first of the scope's items in it."""
        return self.begins[0]

    def split(self) -> Chain | None:
        """Take the last steps off that can be a branch, and return them; None if there are none."""
        return next(
            (rest for at in range(1, len(self.steps)) if (rest := self._behind(at)).is_branch()), None
        )

    def _behind(self, at: int) -> Chain:
        """Return the steps from one on as a chain of their own."""
        source, key = self.steps[at - 1].binds, self.key
        rest = Chain(source, self.steps[at], self.begins[at], self.end, self.makes, key, self.stage)
        rest.steps, rest.begins = self.steps[at:], self.begins[at:]
        return rest

    def named_from(self) -> int | None:
        """Return the first of the last steps that one line, or one joint, can give a name; None if none can."""
        at = len(self.steps)
        while at and is_inline(self.steps[at - 1]):
            at -= 1
        at += next((more for more, step in enumerate(self.steps[at:]) if step.kind in ("call", "same")), 0)
        if at < len(self.steps) and self.steps[at].kind in ("call", "same"):
            return at
        return len(self.steps) - 1 if self.steps[-1].kind == "joint" else None

    def cut(self, rest: Chain) -> None:
        """End before the last steps, which are another chain."""
        at = len(self.steps) - len(rest.steps)
        del self.steps[at:], self.begins[at:]
        self.end, self.makes, self.key = rest.begin, rest.source, self.steps[-1].label

    def behind(self, sources: Iterable[Values]) -> Chain | None:
        """Return the steps behind the last one whose value is one of these; None if there are none."""
        found = [at for at in range(1, len(self.steps)) if self.steps[at - 1].binds in sources]
        return self._behind(found[-1]) if found else None

    @property
    def flows(self) -> bool:
        """Whether its value is what flows behind it."""
        return self.steps[-1].kind not in ("raw", "weight", "input", "output", "return")

    def is_branch(self) -> bool:
        """Tell whether it can be one branch of a joint: one line, or one statement with lines of its own."""
        return self.flows and (len(self.steps) == 1 or all(map(is_inline, self.steps)))


def is_inline(step: Item) -> bool:
    """Tell whether a step can stand in one line with others."""
    if step.kind == "joint":
        return sum(map(_size, step.kids)) <= SHORT and all(all(map(is_inline, kid.kids)) for kid in step.kids)
    if isinstance(step, Box):
        body = step.body
        return (
            _size(step) <= SHORT
            and len(body.chains) == 1
            and body.ends
            and all(map(is_inline, body.chains[0].steps))
        )
    return step.kind in INLINE


def _size(step: Item) -> int:
    """Return how many layers a step is."""
    inner = [one for chain in step.body.chains for one in chain.steps] if isinstance(step, Box) else step.kids
    return sum(map(_size, inner)) + (step.kind in ("call", "same"))


class Body:
    """The statements of a scope, or of some of its items."""

    def __init__(
        self,
        file: File,
        scope: Scope,
        items: Sequence[str | Scope] | None = None,
        outer: Body | None = None,
    ) -> None:
        """`outer` is the body around a container, whose values have names in it, too."""
        self.file = file
        self.graph = file.graph
        self.scope = scope
        self.whole = items is None
        self.items = scope.written if items is None else items
        self.outer = outer
        self.labels: Counter[str] = outer.labels if outer else Counter(self._labels(scope))
        """How often something in the block, with its containers, has a label."""
        self.naming: Naming = outer.naming if outer else Naming(self.labels)
        self.first: list[Item] = []
        """Lines that stand before all others."""
        self.chains: list[Chain] = []
        self.head: tuple[str, ...] = ()
        """The names of what a block is given, () for one value, which is `x`."""
        self.uses = self._uses()
        self.idle = False
        """Whether layers without state lose their labels, though other labels are positions."""
        self.ends = False
        """Whether what it makes is what flows at its end."""

    # ---------------------------------------------------------------- whole bodies

    def block(
        self,
        inputs: Values,
        names: tuple[str, ...],
        outputs: Values,
        shared: Sequence[Value] | None = None,
    ) -> list[Item]:
        """Return the statements of a block.

        Where some values are `shared`, these have names, not labels, and each statement says what it reads.
        """
        flow: Values = inputs
        if len(inputs) == 1 and not names:
            self.naming.names[inputs[0]] = "x"
        elif names or not inputs:
            self.head = (*names, *(self.naming.new() for _ in inputs[len(names) :]))
            self.naming.names.update(zip(inputs, self.head, strict=True))
            flow = ()
        else:  # a tuple
            last = len(inputs) - 1
            parts = [f"x[{at}]" if at < last else "x[-1]" for at in range(len(inputs))]
            self.naming.whole = tuple(parts)
            for value, part in zip(inputs, parts, strict=True):
                self.naming.names.setdefault(value, part)
        begin = [] if shared is None else self._share(shared)
        return begin + self.placed(flow, outputs, outputs)

    def _share(self, shared: Sequence[Value]) -> list[Item]:
        """Give values names of their own; return the lines that do so for what comes in."""
        naming, found = self.naming, list[Item]()
        naming.explicit = True
        for item in self.items:
            if self._speaks(label(self.scope.local(item))) and self._holds_state(item):
                naming.cut |= {value for value in self._makes(item) if len(self._at(value)) > 1}
        naming.cut |= {*shared}
        for value in shared:
            before, name = naming.names.get(value, ""), naming.new()
            naming.names[value] = name
            naming.needed.add((self.scope.path, value))
            naming.own.add(value)
            if before:
                found.append(Item("given", source=(before,), binds=(name,)))
        return found

    def net(self) -> list[Item]:
        """Return the statements of the net."""
        result, *others = self.graph.outputs
        order = [output for _, output in self.trained().values()]  # as their lines stand
        order += [output for output in others if output.train and output not in order]
        order += [output for output in others if not output.train]
        plain = result.name == "out" and order == others
        ends = [
            Item("output", "output", label(output.name), source=(output.value,))
            for output in others
            if not output.train
        ]
        if not plain:
            fields = [result.name, *(one.name for one in others)]
            ends.append(Item("return", source=(result.value,), binds=tuple(fields)))
        return self.placed((), (result.value,) if plain else None, (result.value,), ends)

    def placed(
        self, flow: Values, outputs: Values | None, makes: Values, ends: Sequence[Item] = ()
    ) -> list[Item]:
        """Return the statements, with the names of the values that need one."""
        naming = self.naming
        self.read(makes, ends)
        while True:
            naming.missing.clear()
            found = naming.place(self, flow, outputs)
            if not naming.missing:
                return found
            labelled = {value for _, value in naming.missing if value in naming.silent} - naming.spoken
            if labelled:
                naming.spoken |= labelled
                self.read(makes, ends)
                continue
            if any(value in naming.own for _, value in naming.missing):
                self.read(makes, ends)
            elif naming.missing <= naming.needed:  # within a chain, where nothing gets a name
                values = {value for _, value in naming.missing}
                assert not values <= naming.cut, values
                naming.cut |= values
                self.read(makes, ends)
            naming.needed |= naming.missing

    def read(self, outputs: Values, ends: Sequence[Item] = ()) -> None:
        """Read the items, into chains, before what a net ends with."""
        self.chains.clear()
        self.first.clear()
        labels = [self.scope.local(item) for item in self.scope.written]
        there = {*labels, *[one.partition(".")[0] for one in labels]}
        first = [name for name in self.scope.first if name in there]
        if self.whole and first:
            self.first.append(Item("raw", f"order {', '.join(map(label, first))}"))
        keys = self.keys()
        spoken = self._spoken(keys)
        train = self.trained() if self.scope.kind == "net" and self.whole else {}
        at = 0
        while at < len(self.items):
            if at in train:
                at = self.output(at, keys, *train[at])
                continue
            item = self.items[at]
            if isinstance(item, str):
                self.node(self.graph[item], spoken[at], at)
            elif (call := self.call_of(item, keys[at])) is not None:
                self.add(call, call.label, item.inputs, item.outputs, at)
            else:
                self.container(item, keys[at], at)
            at += 1
        for output in self.graph.outputs if self.whole and self.scope.kind == "net" else ():
            if output.train and not any(output in outputs for _, *outputs in train.values()):
                step = Item("output", "train output", label(output.name), source=(output.value,))
                self.chains.append(self._raw(step))
        last = self.chains[-1] if self.chains else None
        self.chains += map(self._raw, ends)
        self.ends = last is not None and last.flows and last.makes == outputs

    def _raw(self, step: Item, at: int | None = None, makes: Values = ()) -> Chain:
        at = len(self.items) if at is None else at
        return Chain((), step, at, at + 1, makes, "", self.stage_of(at))

    # ---------------------------------------------------------------- items

    def node(self, node: Node, key: str, at: int) -> None:
        """Take in a layer."""
        (first,) = (Value(node.name),)
        if isinstance(node.op, Input):
            name = next(name for name, made in self.graph.inputs.items() if made == node.name)
            self.chains.append(self._raw(Item("input", name, label=shape_words(node.op.shape)), at, (first,)))
            self.naming.names[first] = name
        elif isinstance(node.op, Weight):
            values: dict[str, Column] = {"shape": (tuple(node.op.shape),)}
            values |= {key: (value,) for key, value in op_values(node.op).items() if key != "shape"}
            for init in node.op.inits.values():
                values["init"] = (init,)
            line = Item("weight", key, values=values)
            if self._speaks(key):
                self.naming.names[first] = key
            else:
                line.binds = ("named",)
            self.chains.append(self._raw(line, at, (first,)))
        else:
            step = self.step(node, key)
            own = self.file.own_inits(node)
            if own and own.keys() != {"weight"} and not node.module:
                step = self.with_inits(step, node, own)
            self.add(step, step.label, self.file.plain(node), self._makes(node.name), at)

    def step(self, node: Node, key: str) -> Item:
        """Return a layer as a step."""
        if node.module:
            return Item("same", self.again(node.module))
        if node.name in self.scope.modules:
            key = self.again(self.scope.modules[node.name])
        step = Item("call", node.op.name, key, values=self.file.values(node))
        if isinstance(node.op, DwConv):
            step.wide = (self.file.shapes[node.inputs[0].node][node.inputs[0].port].c,)
        return step

    def with_inits(self, step: Item, node: Node, inits: Mapping[str, Init]) -> Item:
        """Return a layer whose tensors begin in their own way: an inline block, in which a line says so."""
        said = ", ".join(f"{key}={initialiser(init)}" for key, init in inits.items())
        lines = [Item("raw", f"init {node.op.name} {said}"), step]
        return Item("call", self.file.aside(f"{node.op.name.capitalize()}Begun", (), lines))

    def call_of(self, scope: Scope, key: str) -> Item | None:
        """Return what calls a block; None of a container, whose lines stand in those of the scope around it."""
        if scope.module:
            return Item("same", self.again(scope.module))
        if scope.kind == "container" and len(scope.outputs) < 2:
            return None
        name, values = self.file.block_of(scope)
        return Item("call", name, key, values=dict(values))

    def container(self, scope: Scope, key: str, at: int) -> None:
        """Take in a container."""
        step = Box("box", label=key)
        step.body = inner = Body(self.file, scope, None, self)
        inner.read(scope.outputs)
        reads = inner.reads()
        if inner.chains and len(reads) != 1 and inner.chains[0].source in [(one,) for one in reads]:
            reads = inner.chains[0].source
        source = reads if len(reads) == 1 else ()
        self.add(step, key, source, scope.outputs, at)

    def reads(self) -> Values:
        """Return what the items read that none of them makes, and what leaves without being made."""
        inner = {
            Value(name, port) for name in self.scope.nodes() for port in range(len(self.file.shapes[name]))
        }
        read = [value for name in self.scope.nodes() for value in self.graph[name].inputs]
        read += self.scope.outputs
        return tuple(dict.fromkeys(value for value in read if value not in inner))

    def add(self, step: Item, key: str, reads: Values, makes: Values, at: int) -> None:
        """Put a step behind the chain whose value it reads, make a joint of chains, or begin a chain."""
        step.binds = makes
        self.note(step, reads, makes)
        plain = len(makes) == 1 and makes != reads and makes[0] not in self.naming.own
        key = key if self._speaks(key) and plain else ""
        if isinstance(step, Box):
            step.inner = {value: self.naming.names[value] for value in makes if value in self.naming.names}
        if key:
            self.naming.names[makes[0]] = key
        stage = self.stage_of(at)
        if step.kind == "call" and step.name in JOINTS and not step.values and not step.label:
            if len(reads) > 1 and self.joint(step, reads, makes, at):
                return
        top = self.chains[-1] if self.chains else None
        same = top is not None and top.flows and top.stage == stage
        if top is not None and same and reads and top.makes == reads and self.goes_on(top, at):
            top.steps.append(step)
            top.begins.append(at)
            top.end, top.makes, top.key = at + 1, makes, key
        else:
            self.chains.append(Chain(reads, step, at, at + 1, makes, key, stage))

    def note(self, step: Item, reads: Values, makes: Values) -> None:
        """Note what a step of the net makes, for a comment where that is a smaller map."""
        body = self
        while body.outer is not None:
            body = body.outer
        if self.file.said.notes and body.scope.kind == "net" and len(makes) == 1:
            (made,) = (self.file.shapes[value.node][value.port] for value in makes)
            maps = [shape for value in reads for shape in [self.file.shapes[value.node][value.port]]]
            step.shape = str(made) if made.axes == "chw" else ""
            step.shrinks = bool(step.shape) and any(
                one.axes == "chw" and one.h * one.w > made.h * made.w for one in maps
            )

    def goes_on(self, chain: Chain, begin: int, end: int | None = None) -> bool:
        """Tell whether nothing outside a range of items reads a chain's value by another name than its label."""
        end = begin + 1 if end is None else end
        if not self.naming.cut.isdisjoint(chain.makes):
            return False
        if chain.key:
            return True
        return all(begin <= use < end for value in chain.makes for use in self._at(value))

    def joint(self, step: Item, reads: Values, makes: Values, at: int) -> bool:
        """Make a joint of the chains on the stack that end in its operands, if there is one."""
        branches: list[Chain | Value] = []
        last = self.chains[-1] if self.chains else None
        if (
            last is not None
            and last.flows
            and last.makes in [(one,) for one in reads]
            and not last.is_branch()
        ):
            rest = last.split() if self.goes_on(last, at) else None
            if rest is not None:
                last.cut(rest)
                self.chains.append(rest)
        position = len(self.chains)
        for value in reversed(reads):
            top = self.chains[position - 1] if position else None
            own = top is not None and top.makes == (value,) and top.is_branch() and self.goes_on(top, at)
            if own and top is not None and reads.count(value) == 1:
                branches.insert(0, top)
                position -= 1
            else:
                branches.insert(0, value)
        taken = [one for one in branches if isinstance(one, Chain)]
        stage = self.stage_of(at)
        if not taken or any(one.stage != stage for one in taken):
            return False
        others = [one.source if isinstance(one, Chain) else (one,) for one in branches if one is not taken[0]]
        rest = taken[0].behind(others)
        made = {value: where for where, item in enumerate(self.items) for value in self._makes(item)}
        within = [one for one in branches if isinstance(one, Value) and made.get(one, -1) >= taken[0].begin]
        done = (
            rest if rest is not None and len(within) == 1 else taken[0]
        ).begin  # several are rather a list
        for one in branches:
            if isinstance(one, Chain):
                done = one.end
            elif made.get(one, -1) >= done:
                return False
        if rest is not None:  # the others begin with what it passes on the way
            taken[0].cut(rest)
            branches[branches.index(taken[0])] = rest
            position += 1
            taken[0] = rest
        before = self.chains[position - 1] if position else None
        sources = [one.source if isinstance(one, Chain) else (one,) for one in branches]
        source = (
            before.makes
            if before is not None and before.makes in sources
            else max((one for one in sources if len(one) == 1), key=sources.count, default=())
        )
        step = Item("joint", step.name, binds=makes)
        for one in branches:
            kids = one.steps if isinstance(one, Chain) else []
            step.kids.append(
                Item("branch", source=one.source if isinstance(one, Chain) else (one,), kids=kids)
            )
        del self.chains[position:]
        begin = taken[0].begin
        same = before is not None and before.flows and before.stage == stage
        same = same and not (self.naming.explicit and len({*sources}) > 1)
        if before is not None and same and before.makes == source and self.goes_on(before, begin, at + 1):
            before.steps.append(step)
            before.begins.append(begin)
            before.end, before.makes, before.key = at + 1, makes, ""
        else:
            self.chains.append(Chain(source, step, begin, at + 1, makes, "", stage))
        return True

    def output(self, at: int, keys: Sequence[str], end: int, output: Output) -> int:
        """Take in what only training has, up to an item; return that."""
        items = self.items[at:end]
        reads = self._outside(items)
        step = Item("output", "train output", label(output.name), source=reads)
        steps = [
            self.step(self.graph[item], key) if isinstance(item, str) else self.call_of(item, key)
            for item, key in zip(items, keys[at:end], strict=True)
        ]
        plain = [one for one in steps if one is not None and (one.label or one.kind == "same")]
        links = [(self._makes(a), self._reads(b)) for a, b in pairwise(items)]
        if len(steps) == 1 and steps[0] is not None and steps[0].label == label(output.name):
            steps[0].label = ""
            step.kids = [steps[0]]
        elif len(reads) == 1 and plain == steps and all(made == read for made, read in links):
            step.kids = plain
        else:
            body = Body(self.file, self.scope, items)
            lines = body.block(reads, (), (output.value,))
            step.kids = [Item("call", self.file.aside(f"{output.name.capitalize()}Output", body.head, lines))]
        ranks = {index: rank for rank, index in enumerate(self.scope.order)}
        if any(ranks[before] > ranks[at] for before in range(at) if ranks):
            step.binds = ("early",)  # which is computed where it branches off
        self.chains.append(self._raw(step, at))
        return end

    def again(self, path: str) -> str:
        """Return the label of an earlier item, by its path."""
        return label(self.scope.local(path))

    # ---------------------------------------------------------------- what is known of a scope

    def keys(self) -> list[str]:
        """Return the labels of the items, "" of those that are called by their positions, or have no name."""
        found: list[str] = []
        position, chain = 0, self._is_chain()
        fits = True
        for item in self.scope.written:
            wiring = isinstance(item, str) and self.graph[item].op.wiring
            key = "" if wiring else self.scope.local(item)
            if key.isdigit():
                own = self._is_at(item, position) and (chain or not self._holds_state(item))
                fits = fits and own
                key = f"#{key}" if own else label(key)
            elif key:
                key = label(key)
            position += not wiring
            found.append(key)
        bare = fits or self.scope.kind != "container"
        found = [("" if bare else label(key[1:])) if key.startswith("#") else key for key in found]
        first = self.scope.written.index(self.items[0]) if self.items else 0
        return found[first : first + len(self.items)]

    def _spoken(self, keys: Sequence[str]) -> list[str]:
        """Return labels without those of layers that hold no state, unless something is called by them."""
        positions = any(key.strip('"').isdigit() for key in keys)  # no label is such a one, too
        if (self.file.said.labels or positions) and not self.idle:
            return [*keys]
        found: list[str] = []
        for item, key in zip(self.items, keys, strict=True):
            idle = (
                isinstance(item, str) and item not in self.file.again and not has_state(self.graph[item].op)
            )
            if idle and self.scope.local(item).partition(".")[0] not in self.scope.first:
                value = Value(str(item))
                self.naming.silent |= {value} if self._speaks(key) else set()
                key = key if value in self.naming.spoken else ""
            found.append(key)
        return found

    def _is_chain(self) -> bool:
        """Tell whether the items are called by their positions and each reads the value that the one before makes."""
        flow, position = self.scope.inputs, 0
        for item in self.scope.written:
            node = None if isinstance(item, Scope) else self.graph[item]
            if node is not None and isinstance(node.op, Input):
                flow = (*flow, Value(node.name))
                continue
            named = self._is_at(item, position) and not (node is not None and node.op.wiring)
            if not named or len(flow) != 1 or self._reads(item) != flow:
                return False
            flow, position = self._makes(item), position + 1
        return len(flow) == 1 and self.scope.outputs == flow

    def _is_at(self, item: str | Scope, position: int) -> bool:
        """Tell whether an item is called by its position, or may be."""
        key = self.scope.local(item)
        free = isinstance(item, str) and not (self.file.said.labels or self._holds_state(item))
        return key == str(position) or (free and key.isdigit())

    def _makes(self, item: str | Scope) -> Values:
        if isinstance(item, Scope):
            return item.outputs
        return tuple(Value(item, port) for port in range(len(self.file.shapes[item])))

    def _holds_state(self, item: str | Scope) -> bool:
        nodes = item.nodes() if isinstance(item, Scope) else (item,)
        return any(self.file.states[name] for name in nodes)

    def _labels(self, scope: Scope) -> Iterator[str]:
        for item in scope.written:
            yield label(scope.local(scope.modules.get(item, item) if isinstance(item, str) else item))
            if isinstance(item, Scope) and item.kind == "container":
                yield from self._labels(item)

    def _reads(self, item: str | Scope) -> Values:
        return item.inputs if isinstance(item, Scope) else self.graph[item].inputs

    def _uses(self) -> dict[Value, list[int]]:
        """Return where each value is read: the items, and behind them the outputs."""
        uses: dict[Value, list[int]] = {}
        for at, item in enumerate(self.items):
            if isinstance(item, Scope) and item.kind == "container":
                read: Any = [v for name in item.nodes() for v in self.graph[name].inputs] + [*item.outputs]
            else:
                read = self._reads(item)
            for value in dict.fromkeys(read):
                if not (isinstance(item, Scope) and value in item.outputs and value not in item.inputs):
                    uses.setdefault(value, []).append(at)
        for value in self.scope.outputs:
            uses.setdefault(value, []).append(len(self.items))
        for output in self.graph.outputs if self.scope.kind == "net" else ():
            uses.setdefault(output.value, []).append(len(self.items))
        return uses

    def _at(self, value: Value) -> list[int]:
        return self.uses.get(value, [])

    def _speaks(self, key: str) -> bool:
        """Tell whether a label names a value in all of the block."""
        return bool(key) and self.labels[key] == 1

    def _outside(self, items: Sequence[str | Scope]) -> Values:
        """Return what items read that none of them makes."""
        made = {value for item in items for value in self._makes(item)}
        return tuple(dict.fromkeys(v for item in items for v in self._reads(item) if v not in made))

    def _is_trained(self, item: str | Scope) -> bool:
        nodes = list(item.nodes()) if isinstance(item, Scope) else [item]
        return bool(nodes) and all(self.graph[name].train for name in nodes)

    def trained(self) -> dict[int, tuple[int, Output]]:
        """Return, by the first of them, the items that only an output of training needs: where they end, and it."""
        made = {value: at for at, item in enumerate(self.items) for value in self._makes(item)}
        ends = {
            made[output.value] + 1: output
            for output in self.graph.outputs
            if output.train and output.value in made and self._is_trained(self.items[made[output.value]])
        }
        found: dict[int, tuple[int, Output]] = {}
        begin = 0
        for at, item in enumerate(self.items):
            if not self._is_trained(item):
                begin = at + 1
            elif at + 1 in ends:
                found[begin] = (at + 1, ends[at + 1])
                begin = at + 1
        return found

    def stage_of(self, at: int) -> str:
        """Return the stage that an item is in and that begins in this scope, "" if there is none."""
        begins = [index for index in self.scope.stages if index <= at]
        if not begins or not self.whole or not self.file.said.stages or at >= len(self.items):
            return ""
        name = self.scope.stages[max(begins)]
        item = self.items[at]
        nodes = [item] if isinstance(item, str) else list(item.nodes())
        own = {scope_stage for scope_stage in _stages(item)} if isinstance(item, Scope) else set()
        return name if all(self.graph[one].stage in (name, *own) for one in nodes) else ""


def _stages(scope: Scope) -> Iterator[str]:
    for one in scope.scopes():
        yield from one.stages.values()
