"""A graph as a spec that makes it: its scopes as blocks and containers, every number as it is.

Blocks of equal text are one block. Nothing is made shorter by arguments, loops or conditions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, pairwise

from netdsl.elaborate.layers import has_state
from netdsl.elaborate.names import reserved_name
from netdsl.ir.graph import Graph, Node, Output, Scope, Value
from netdsl.ir.types import DEFAULT_INIT, Init, Shape
from netdsl.lift.words import initialiser, label, op_words, written
from netdsl.ops import catalogue
from netdsl.ops.source import Input, Weight
from netdsl.syntax.format import format
from netdsl.syntax.layout import LIMIT

INDENT = "    "
Shapes = Mapping[str, tuple[Shape, ...]]
Inits = dict[str, dict[str, Init]]


def write(graph: Graph, shapes: Shapes, name: str) -> str:
    """Return the text of a spec that has the graph's net, as the net or variant of that name."""
    return format(_File(graph, shapes).text(name))


class _File:
    """The text of a graph: its blocks, inner ones first, and the net."""

    def __init__(self, graph: Graph, shapes: Shapes) -> None:
        self.graph = graph
        self.shapes = shapes
        self.blocks: dict[str, list[str]] = {}
        """Lines by name."""
        self.known: dict[tuple[str, ...], str] = {}
        """Names of blocks by what the graph calls them, what comes in, and their lines."""
        self.states = {node.name: self._state(node) for node in graph}
        """By node the keys of its tensors, learned or not."""
        self.inits = self._common()

    def text(self, name: str) -> str:
        """Return the whole of it."""
        tree = self.graph.tree
        net = self._free(tree.block or name, "Net")
        self.blocks[net] = []
        body = _Body(self, tree, tree.written).net()
        del self.blocks[net]
        inits = [
            f"init {op} {', '.join(f'{key}={initialiser(init)}' for key, init in keys.items())}"
            for op, keys in self.inits.items()
        ]
        lines = [line for block in self.blocks.values() for line in (*block, "")]
        lines += [f"net {net}:", *_indented([*inits, *body])]
        if net.lower() != name:
            lines += ["", f"variant {name} = {net}()"]
        return "\n".join([*lines, ""])

    def block(self, scope: Scope) -> str:
        """Return the name of the block that a scope is."""
        parts = re.split("[_.-]", scope.name)
        wanted = scope.block or "".join(part[:1].upper() + part[1:] for part in parts)
        body = _Body(self, scope, scope.written)
        lines = body.block()
        key = (wanted, body.head, *lines)
        if key not in self.known:
            self.known[key] = name = self._free(wanted, "Block")
            self.blocks[name] = [f"block {name}{body.head}:", *_indented(lines)]
        return self.known[key]

    def aside(self, wanted: str, head: str, lines: Sequence[str]) -> str:
        """Return the name of an inline block with these lines."""
        key = ("inline", wanted, head, *lines)
        if key not in self.known:
            self.known[key] = name = self._free(wanted, "Block")
            self.blocks[name] = [f"inline block {name}{head}:", *_indented(lines)]
        return self.known[key]

    def _free(self, wanted: str, kind: str) -> str:
        """Return a name that no op or block has yet."""
        stem = re.sub("[^A-Za-z0-9_]", "", wanted)
        stem = stem if stem[:1].isalpha() else kind + stem
        for number in count(1):
            name = stem if number == 1 else f"{stem}{number}"
            if name not in self.blocks and name not in catalogue() and not reserved_name(name):
                return name
        raise AssertionError

    def op(self, node: Node, called: Callable[[Value], str]) -> str:
        """Return an op with its arguments, of which some may be values, which are called so."""
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        words = op_words(node.op)
        words += [f"{name}={called(node.inputs[at])}" for name, at in node.op.further(*x).items()]
        own = self.own_inits(node)
        if own.keys() == {"weight"}:
            words.append(f"init={initialiser(own['weight'])}")
        return f"{node.op.name} {', '.join(words)}".rstrip()

    def plain(self, node: Node) -> tuple[Value, ...]:
        """Return the inputs of a node that are no arguments."""
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        further = node.op.further(*x).values()
        return tuple(value for at, value in enumerate(node.inputs) if at not in further)

    def own_inits(self, node: Node) -> dict[str, Init]:
        """Return how the tensors of a node begin of which no line of the net says it."""
        common = {**self.inits.get(node.op.inherits, {}), **self.inits.get(node.op.name, {})}
        return {key: init for key, init in node.op.inits.items() if common.get(key) != init}

    # ---------------------------------------------------------------- what holds for all of the net

    def _state(self, node: Node) -> frozenset[str]:
        if not has_state(node.op):
            return frozenset()
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        return frozenset((*node.op.weights(*x), *node.op.buffers(*x)))

    def _common(self) -> Inits:
        """Return the initialisers that all layers of an op have, and those that inherit them."""
        said: dict[tuple[str, str], set[Init]] = {}
        parents: dict[str, str] = {}
        for node in self.graph:
            parents[node.op.name] = node.op.inherits
            for key in self.states[node.name] if not isinstance(node.op, Weight) else ():
                said.setdefault((node.op.name, key), set()).add(node.op.inits.get(key, DEFAULT_INIT))
        one = {at: next(iter(inits)) for at, inits in said.items() if len(inits) == 1}
        found: Inits = {}
        for (op, key), init in one.items():
            heirs = [name for name, parent in parents.items() if parent == op and (name, key) in said]
            if init != DEFAULT_INIT and all(
                one.get((heir, key), DEFAULT_INIT) != DEFAULT_INIT for heir in heirs
            ):
                if one.get((parents[op], key)) != init or key not in found.get(parents[op], {}):
                    found.setdefault(op, {})[key] = init
        return found


class _Step:
    """What one item of a scope is in the text."""

    def __init__(self, text: str, key: str, reads: tuple[Value, ...], makes: tuple[Value, ...]) -> None:
        self.text = text
        self.key = key
        """Its label as it is written, "" without one."""
        self.reads = reads
        self.makes = makes


class _Body:
    """The lines of a scope, or of some of its items."""

    def __init__(
        self, file: _File, scope: Scope, items: Sequence[str | Scope], outer: _Body | None = None
    ) -> None:
        self.file = file
        self.graph = file.graph
        self.scope = scope
        self.items = items
        self.outer = outer
        """The body around a container, whose values have names in it, too."""
        self.names: dict[Value, str] = dict(outer.names) if outer else {}
        self.labels: Counter[str] = outer.labels if outer else Counter(self._labels(scope))
        """How often something in the block, with its containers, has a label."""
        self.numbers: Iterator[int] = outer.numbers if outer else count(1)
        self.uses = self._uses()
        self.flow: tuple[Value, ...] = ()
        self.lines: list[str] = []
        self.chain: list[_Step] = []
        """Steps that have no line yet: each but the first reads what the one before makes."""
        self.begun: tuple[Value, ...] | None = None
        """What the chain begins with, if that is not what flows."""
        self.one_chain = False
        """Whether the first line is a chain of several steps."""
        self.head = ""
        self.stage = ""
        self.depth = 0

    # ---------------------------------------------------------------- whole bodies

    def block(self) -> list[str]:
        """Return the lines of a block."""
        self.enter(self.scope.inputs, self.scope.input_names)
        self.run()
        self.leave(self.scope.outputs)
        return self.lines

    def contained(self, flow: tuple[Value, ...]) -> list[str]:
        """Return the lines of a container into which something flows."""
        self.flow = flow
        if len(flow) == 1 and flow[0] not in self.names and self._at(flow[0]) not in ([], [0]):
            self.names[flow[0]] = name = self.name()
            self.lines.append(f"{name} = from flow")
        self.run()
        self.leave(self.scope.outputs)
        return self.lines

    def net(self) -> list[str]:
        """Return the lines of the net."""
        self.run()
        result, *others = self.graph.outputs
        order = [output.name for output in others if output.train]
        for output in others:
            if not output.train:
                order.append(output.name)
                self.end()
                self.lines.append(f"output {label(output.name)}: from {self.called(output.value)}")
        if result.name != "out" or order != [output.name for output in others]:
            self.end()
            own = self.called(result.value)
            named = "" if own == "flow" and result.name == "out" else f" as {result.name}"
            others_named = "".join(f", {one.name}" for one in others)
            self.lines.append(f"return {own}{named}{others_named}")
        else:
            self.leave((result.value,))
        return self.lines

    def aside(self, reads: tuple[Value, ...], makes: tuple[Value, ...]) -> list[str]:
        """Return the lines of an inline block of its items."""
        self.enter(reads)
        self.run()
        self.leave(makes)
        return self.lines

    def enter(self, values: tuple[Value, ...], names: tuple[str, ...] = ()) -> None:
        """Begin with what a block is given."""
        if len(values) == 1 and not names:
            self.names[values[0]], self.flow = "x", values
            return
        taken = [*names, *(self.name() for _ in values[len(names) :])]
        self.names.update(zip(values, taken, strict=True))
        self.head = f" from {', '.join(taken)}" if taken else ""

    def leave(self, values: tuple[Value, ...]) -> None:
        """End with what is made."""
        self.end()
        if len(values) > 1:
            self.lines.append(f"return {', '.join(map(self.called, values))}")
        elif values and (self.flow != values or not self.lines):
            self.lines.append(f"from {self.called(values[0])}")
        elif not self.lines:
            self.lines.append("from flow")

    # ---------------------------------------------------------------- items

    def run(self) -> None:
        """Write the items."""
        whole = self.items is self.scope.written
        there = {self.scope.local(item).partition(".")[0] for item in self.scope.written}
        first = [name for name in self.scope.first if name in there]
        if whole and first:
            self.lines.append(f"order {', '.join(map(label, first))}")
        keys = self.keys()
        train = self.trained() if self.scope.kind == "net" and whole else {}
        at = 0
        while at < len(self.items):
            if at in train:
                at = self.output(at, keys, *train[at])
                continue
            item = self.items[at]
            self.stand(self.stage_of(at))
            if isinstance(item, str):
                self.node(self.graph[item], keys[at], at)
            elif (call := self.call_of(item, keys[at])) is not None:
                self.add(call, at)
            else:
                self.container(item, keys[at], at)
            at += 1
        for output in self.graph.outputs if whole and self.scope.kind == "net" else ():
            if output.train and not any(output in outputs for _, *outputs in train.values()):
                self.end()
                self.lines.append(f"train output {label(output.name)}: from {self.called(output.value)}")
        self.stand("")

    def node(self, node: Node, key: str, at: int) -> None:
        """Write a layer."""
        (first,) = (Value(node.name),)
        if isinstance(node.op, Input):
            self.end()
            name = next(name for name, made in self.graph.inputs.items() if made == node.name)
            sizes = ", ".join(map(str, node.op.shape[:1])) + "".join(
                f", {'x'.join(map(str, node.op.shape[1:]))}" if len(node.op.shape) > 1 else ""
            )
            self.lines.append(f"input {sizes}" if name == "x" else f"input {name}: {sizes}")
            self.names[first], self.flow = name, (*self.flow, first)
        elif isinstance(node.op, Weight):
            self.end()
            words = [written(tuple(node.op.shape)), *op_words(node.op)[len(node.op.shape) :]]
            words += [f"init={initialiser(init)}" for init in node.op.inits.values()]
            self.put(f"weight {key} {', '.join(words)}")
            self.call(first, key, at, key)
        else:
            step = self.step(node, key)
            own = self.file.own_inits(node)
            if own and own.keys() != {"weight"} and not node.module:
                step = self.with_inits(step, node, own)
            self.add(step, at)

    def step(self, node: Node, key: str) -> _Step:
        """Return a layer as a step."""
        makes = tuple(Value(node.name, port) for port in range(len(self.file.shapes[node.name])))
        reads = self.file.plain(node)
        if node.module:
            return _Step(f"same {self.again(node.module)}", "", reads, makes)
        if node.name in self.scope.modules:
            key = self.again(self.scope.modules[node.name])
        return _Step(self.file.op(node, self.called), key, reads, makes)

    def with_inits(self, step: _Step, node: Node, inits: Mapping[str, Init]) -> _Step:
        """Return a layer whose tensors begin in their own way: an inline block, in which a line says so."""
        said = ", ".join(f"{key}={initialiser(init)}" for key, init in inits.items())
        lines = [f"init {node.op.name} {said}", f"{step.key}: {step.text}" if step.key else step.text]
        return _Step(
            self.file.aside(f"{node.op.name.capitalize()}Begun", "", lines), "", step.reads, step.makes
        )

    def call_of(self, scope: Scope, key: str) -> _Step | None:
        """Return what calls a block; None of a container, whose lines stand in those of the scope around it."""
        if scope.module:
            return _Step(f"same {self.again(scope.module)}", "", scope.inputs, scope.outputs)
        if scope.kind == "container" and len(scope.outputs) < 2:
            return None
        return _Step(self.file.block(scope), key, scope.inputs, scope.outputs)

    def container(self, scope: Scope, key: str, at: int) -> None:
        """Write a container."""
        self.end()
        body = _Body(self.file, scope, scope.written, self)
        lines = body.contained(self.flow)
        if key and len(lines) == 1 and body.one_chain:
            self.put(f"{key}: {lines[0]}")
        else:
            self.put(f"{key or '()'}:", *_indented(lines))
        self.flow = scope.outputs
        for value in scope.outputs:
            self.call(value, key, at)

    def output(self, at: int, keys: Sequence[str], end: int, output: Output) -> int:
        """Write what only training has, up to an item; return that."""
        self.end()
        items = self.items[at:end]
        reads = self._outside(items)
        steps = [
            self.step(self.graph[item], key) if isinstance(item, str) else self.call_of(item, key)
            for item, key in zip(items, keys[at:end], strict=True)
        ]
        source = f"from {', '.join(map(self.called, reads))}"
        plain = [step for step in steps if step is not None and (step.key or step.text.startswith("same "))]
        if len(steps) == 1 and steps[0] is not None and steps[0].key == label(output.name):
            chain = steps[0].text
        elif len(reads) == 1 and plain == steps and all(a.makes == b.reads for a, b in pairwise(plain)):
            chain = " -> ".join(map(_labelled, plain))
        else:
            body = _Body(self.file, self.scope, items)
            body.flow = ()
            lines = body.aside(reads, (output.value,))
            chain = self.file.aside(f"{output.name.capitalize()}Output", body.head, lines)
        ranks = {index: rank for rank, index in enumerate(self.scope.order)}
        if any(ranks[before] > ranks[at] for before in range(at) if ranks):
            chain = f"{source} -> {chain}"  # which is computed where it branches off
        elif reads != self.flow:
            self.lines.append(source)
            self.flow = reads
        self.lines.append(f"train output {label(output.name)}: {chain}")
        return end

    # ---------------------------------------------------------------- lines

    def add(self, step: _Step, at: int) -> None:
        """Write a step: on the line before, on one of its own, or as a value with a name."""
        flows = self.chain[-1].makes if self.chain else self.flow
        plain = len(step.makes) == 1 and (self._flows_on(step.makes[0], at) or self._speaks(step.key))
        if not plain:
            self.end()
            names = [self.name() for _ in step.makes]
            source = ", ".join(map(self.called, step.reads)) or "flow"
            self.put(f"{', '.join(names)} = from {source} -> {_labelled(step)}")
            self.names.update(zip(step.makes, names, strict=True))
            return
        if step.reads != flows or sum(len(one.text) for one in self.chain) > LIMIT // 2:
            self.end()
            self.begun = step.reads if step.reads != self.flow else None
        self.chain.append(step)
        if not self._flows_on(step.makes[0], at):
            self.names[step.makes[0]] = step.key

    def end(self) -> None:
        """Write the line that was begun."""
        if not self.chain:
            return
        source = f"from {', '.join(map(self.called, self.begun))} -> " if self.begun is not None else ""
        if len(self.chain) == 1 and self.chain[0].key:
            line = f"{self.chain[0].key}: {source}{self.chain[0].text}"
        else:
            line = source + " -> ".join(map(_labelled, self.chain))
            self.one_chain = not self.lines and len(self.chain) > 1
        self.flow, self.chain, self.begun = self.chain[-1].makes, [], None
        self.put(line)

    def put(self, *lines: str) -> None:
        """Write lines, in the stage that is open."""
        self.lines += _indented(lines) if self.stage else lines

    def stand(self, stage: str) -> None:
        """Begin a stage, or end one."""
        if stage != self.stage:
            self.end()
            self.stage = stage
            if stage:
                self.lines.append(f"stage {stage}:")

    def call(self, value: Value, key: str, at: int, source: str = "flow") -> None:
        """Give a value that was written a name, if it needs one; `source` is what it is called on the next line."""
        if self._speaks(key):
            self.names[value] = key
        elif source != "flow" or not self._flows_on(value, at):  # a learned tensor never flows by itself
            self.names[value] = name = self.name()
            self.put(f"{name} = from {source}")

    def called(self, value: Value) -> str:
        """Return what a value is called here."""
        if value in self.names:
            return self.names[value]
        assert (value,) == self.flow, value
        return "flow"

    def name(self) -> str:
        """Return a new name for a value."""
        return next(
            name
            for number in self.numbers
            if (name := f"v{number}") not in self.labels and name not in catalogue()
        )

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
                own = key == str(position) and (chain or not self._holds_state(item))
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

    def _is_chain(self) -> bool:
        """Tell whether the items are called by their positions and each reads what the one before makes."""
        flow, position = self.scope.inputs, 0
        for item in self.scope.written:
            node = None if isinstance(item, Scope) else self.graph[item]
            if node is not None and isinstance(node.op, Input):
                flow = (*flow, Value(node.name))
                continue
            named = self.scope.local(item) == str(position) and not (node is not None and node.op.wiring)
            if not named or len(flow) != 1 or self._reads(item) != flow:
                return False
            flow, position = self._makes(item), position + 1
        return self.scope.outputs == flow

    def _makes(self, item: str | Scope) -> tuple[Value, ...]:
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

    def _reads(self, item: str | Scope) -> tuple[Value, ...]:
        return item.inputs if isinstance(item, Scope) else self.graph[item].inputs

    def _uses(self) -> dict[Value, list[int]]:
        """Return where each value is read: the items, and behind them the outputs."""
        uses: dict[Value, list[int]] = {}
        for at, item in enumerate(self.items):
            for value in self._reads(item):
                uses.setdefault(value, []).append(at)
        for value in self.scope.outputs:
            uses.setdefault(value, []).append(len(self.items))
        return uses

    def _at(self, value: Value) -> list[int]:
        return self.uses.get(value, [])

    def _flows_on(self, value: Value, at: int) -> bool:
        """Tell whether all that reads an item's value is the next item, which reads nothing else."""
        uses = self._at(value)
        if not uses:
            return True
        if uses != [at + 1]:
            return False
        if at + 1 == len(self.items):
            return len(self.scope.outputs) == 1
        item = self.items[at + 1]
        reads = self._reads(item)
        again = isinstance(item, Scope) and item.kind == "container" and bool(item.module)
        return reads == (value,) and not again and not self._is_trained(item)

    def _speaks(self, key: str) -> bool:
        """Tell whether a label names a value in all of the block."""
        return bool(key) and self.labels[key] == 1

    def _outside(self, items: Sequence[str | Scope]) -> tuple[Value, ...]:
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
        if not begins or self.items is not self.scope.written:
            return ""
        name = self.scope.stages[max(begins)]
        item = self.items[at]
        nodes = [item] if isinstance(item, str) else list(item.nodes())
        own = {scope_stage for scope_stage in _stages(item)} if isinstance(item, Scope) else set()
        return name if all(self.graph[one].stage in (name, *own) for one in nodes) else ""


def _stages(scope: Scope) -> Iterator[str]:
    for one in scope.scopes():
        yield from one.stages.values()


def _labelled(step: _Step) -> str:
    return f"{step.text} as {step.key}" if step.key else step.text


def _indented(lines: Sequence[str]) -> list[str]:
    return [INDENT + line for line in lines]
