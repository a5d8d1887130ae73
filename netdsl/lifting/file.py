"""The text of a graph: its blocks, inner ones first, and the net."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, count
from typing import Any

from netdsl.elaborate.arguments import Param
from netdsl.elaborate.layers import has_state
from netdsl.elaborate.names import reserved_name
from netdsl.elaborate.values import MISSING
from netdsl.ir.graph import Graph, Node, Scope, Value
from netdsl.ir.types import DEFAULT_INIT, Dims, Init, Scheduled, Shape
from netdsl.lifting.body import Body
from netdsl.lifting.classes import class_names, grouped
from netdsl.lifting.items import Column, Item, Named, OpWord, Word, everything, skeleton
from netdsl.lifting.layout import Layout, NotLaidOut, indented
from netdsl.lifting.overlay import OP, overlaid, settled, stacked
from netdsl.lifting.ramps import scheduled
from netdsl.lifting.roll import filled, rolled
from netdsl.lifting.rows import Unsolvable, spread
from netdsl.lifting.shared import Shared, shared_values
from netdsl.lifting.solve import Class, square
from netdsl.lifting.streams import over_lists
from netdsl.lifting.words import block_words, call_words, initialiser, op_values, written
from netdsl.ops import Op, catalogue
from netdsl.ops.source import Weight
from netdsl.record import Record
from netdsl.syntax.format import format
from netdsl.syntax.tokens import keywords

COMMON = 0.95
"""How long the text of two bodies of a class may be as one, in parts of what both are."""
HEAD = 80
"""What the head of a block, and that there is another one, weighs beside its lines, in characters."""
TRIED = 8
"""The most bodies of a class of which any two are laid over each other again."""
Shapes = Mapping[str, tuple[Shape, ...]]
Inits = dict[str, dict[str, Init]]
Written = tuple[Scope, tuple[str, ...], list[Item]]
"""A scope, the names of several values that come in, and the statements of its body."""


class Said(Record):
    """What a text says beside the graph."""

    labels: bool = True
    """Whether layers from which nothing follows keep their labels."""
    meta: Mapping[str, Any] = {}
    """What the net says of itself."""
    notes: bool = False
    """Whether comments say where maps get smaller."""
    stages: bool = True
    """Whether stages begin where the graph has them."""
    file: str = ""
    """What its file is called."""


class File:
    """Writes one graph."""

    def __init__(
        self,
        graph: Graph,
        shapes: Shapes,
        structured: bool,
        plain: frozenset[str],
        said: Said,
    ) -> None:
        """`structured`: blocks have parameters, counts and conditions, but for those of the classes in `plain`."""
        self.graph = graph
        self.shapes = shapes
        self.structured = structured
        self.said = said
        self.apart = plain
        self.entries: dict[str, Entry] = {}
        """Blocks by name."""
        self.origins: dict[str, str] = {}
        """By the name of a block the class that it was made for."""
        self.classes: dict[str, Class] = {}
        """By the name of a block its parameters."""
        self.known: dict[tuple[Any, ...], str] = {}
        """Names of inline blocks by what they are called for, what comes in, and their statements."""
        self.defaults: dict[str, dict[str, Any]] = {}
        """What `default` lines say, by op."""
        self.inner: dict[str, Inits] = {}
        """By node what `init` lines of blocks around it say."""
        self.states = {node.name: self._state(node) for node in graph}
        """By node the keys of its tensors, learned or not."""
        self.again = {node.module for node in graph}
        """Modules that run once more."""
        self.inits = self._common()
        self.calls: dict[str, tuple[str, dict[str, Column]]] = {}
        """By the path of a scope that is a block the name of that, and its arguments."""
        self.names = class_names(graph.tree)
        """By path what the class of a block is called."""
        self.ranks = {scope.path: rank for rank, scope in enumerate(graph.tree.scopes())}
        self.layout = Layout(self.call)

    def text(self, name: str) -> str:
        """Return the whole of it."""
        tree = self.graph.tree
        free = tree.block.lower() == name or name not in keywords()  # else no variant can be called so
        net = self._free((tree.block or name) if free else name.upper(), "Net")
        self.entries[net] = Entry("net", [])
        for wanted, scopes in grouped(tree, self.names):
            self.group(wanted, scopes)
        items = Body(self, tree).net()
        if self.structured:
            items = rolled(scheduled(items, self.classes, self._name))
        filled(items, self._default)
        entry = self.entries.pop(net)
        entry.items = resolved(items, None)
        self.entries[net] = entry
        self.defaults = self._defaults() if self.structured else {}
        lines = [
            f"default {op} {', '.join(f'{key}={self._value(value)}' for key, value in keys.items())}"
            for op, keys in self.defaults.items()
        ]
        lines += [""] * bool(lines)
        for name_ in self._in_order(net):
            one = self.entries[name_]
            body = self.layout.lines(one.items, 1, "flow" if one.inputs or one.kind == "net" else "x")
            if one.kind == "net":
                meta = [f"meta {', '.join(f'{key}={written(text)}' for key, text in self.said.meta.items())}"]
                first = bool(body) and body[0].startswith("order ")  # no line may be before that
                body[first:first] = meta if self.said.meta else []
                body = [
                    *(
                        f"init {op} {', '.join(f'{key}={initialiser(init)}' for key, init in keys.items())}"
                        for op, keys in self.inits.items()
                    ),
                    *body,
                ]
            head = f"({', '.join(one.params)})" if one.params else ""
            inputs = f" from {', '.join(one.inputs)}" if one.inputs else ""
            lines += [f"{one.kind} {name_}{head}{inputs}:", *indented(body), ""]
        if net.lower() != name:
            lines += [f"variant {name} = {net}()"]
        return format("\n".join([*lines, ""]).replace("\n\n\n", "\n\n"))

    def _in_order(self, name: str) -> list[str]:
        """Return the blocks that one calls, in the order of the calls and each behind those that it calls, and it."""
        found: dict[str, None] = {}

        def visit(name: str) -> None:
            for item in everything(self.entries[name].items):
                if item.kind == "call" and item.name in self.entries and item.name not in found:
                    visit(item.name)
            found[name] = None

        visit(name)
        return list(found)

    # ---------------------------------------------------------------- blocks

    def group(self, wanted: str, scopes: Sequence[Scope]) -> None:
        """Write the blocks that scopes of one class are: one, if they lie over each other."""
        begins = {scope.path: [Item("raw", line) for line in self.init_lines(scope)] for scope in scopes}

        def bodies(shared: Shared | None = None) -> list[Written]:
            found: list[Written] = []
            for scope in scopes:
                body = Body(self, scope)
                named = None if shared is None else shared[scope.path]
                items = body.block(scope.inputs, scope.input_names, scope.outputs, named)
                found.append((scope, body.head, begins[scope.path] + items))
            return found

        plain = not self.structured or wanted in self.apart
        made = bodies()
        laid = self._piled(made, plain, True)
        if not plain and len(laid) > 1:  # a loop that only some have may be what keeps them apart
            laid = _shorter(laid, self._piled(made, plain, False), len(laid) - 1)
        shared = {} if plain else shared_values(self.graph, scopes)
        if shared:  # or a value that some read where others read what is made of it
            laid = _shorter(laid, self._piled(bodies(shared), plain, True), len(laid))
        listed = None if plain else self._listed(scopes, begins)
        if listed is not None:
            laid = _shorter(laid, [listed], len(laid))
        for one in laid:
            self._enter(wanted, one)

    def _listed(self, scopes: Sequence[Scope], begins: Mapping[str, list[Item]]) -> Laid | None:
        """Return bodies of a class that are given lists of maps as one, None if they are no loops over these."""
        found: list[Item] | None = []
        for scope in scopes:
            own = over_lists(self, scope)
            if own is None or found is None:
                return None
            body = rolled([*begins[scope.path], *own])
            found = overlaid(found, body) if found else body
        found = settled(found or ())
        return None if found is None else self._laid(scopes, (), found)

    def _piled(self, made: Sequence[Written], plain: bool, loops: bool) -> list[Laid]:
        """Return the bodies of a class laid over each other, or of one skeleton and the same numbers if `plain`."""
        piles: dict[Any, list[Written]] = {}
        for scope, head, items in made:
            items = items if plain else rolled(items, loops)
            key: tuple[Any, ...] = (head, skeleton(items))
            if plain:
                filled(items, self._default)
                key += _numbers(items)
            piles.setdefault(key, []).append((scope, head, items))
        laid: list[Laid] = []
        for pile in piles.values():
            head = pile[0][1]
            one = self._laid([scope for scope, _, _ in pile], head, stacked([items for _, _, items in pile]))
            if one is None:  # numbers that no parameter takes
                apart: dict[Any, list[Written]] = {}
                for member in pile:
                    filled(member[2], self._default)
                    apart.setdefault(_numbers(member[2]), []).append(member)
                for each in apart.values():
                    one = self._laid([s for s, _, _ in each], head, stacked([items for _, _, items in each]))
                    if one is None:
                        raise NotLaidOut(head)
                    laid.append(one)
                continue
            for at, other in enumerate(laid if not plain else ()):
                both = self._both(other, one)
                if both is not None:
                    laid[at] = both
                    break
            else:
                laid.append(one)
        return laid if plain else self._fewest(laid)

    def _fewest(self, laid: list[Laid]) -> list[Laid]:
        """Return bodies of a class as few as they can be: what fits none of two may fit both."""
        if not 1 < len(laid) <= TRIED:
            return laid
        for one, two in combinations(laid, 2):
            both = self._both(one, two)
            if both is not None:
                return self._fewest([both if each is one else each for each in laid if each is not two])
        return laid

    def _both(self, one: Laid, two: Laid) -> Laid | None:
        """Return two bodies of a class as one, None where that is no shorter, or they have nothing in common."""
        if one.head != two.head:
            return None
        items = overlaid(one.items, two.items)
        common = items is not None and any(all(item.present) for item in items)
        both = (
            None if items is None or not common else self._laid([*one.scopes, *two.scopes], one.head, items)
        )
        return None if both is None or both.length > COMMON * (one.length + two.length) else both

    def _laid(self, scopes: Sequence[Scope], head: tuple[str, ...], items: list[Item]) -> Laid | None:
        features: dict[str, Column] = {}
        sizes: dict[str, Column] = {}
        single = all(len(scope.inputs) == 1 for scope in scopes)
        parts = (
            {name: at for at, name in enumerate(head)}
            if head
            else {"x": 0}
            if single
            else {"x[0]": 0, "x[-1]": -1}
        )
        for name, at in parts.items() if all(scope.inputs for scope in scopes) else ():
            shapes = [self.shapes[scope.inputs[at].node][scope.inputs[at].port] for scope in scopes]
            if all("c" in shape.axes for shape in shapes):
                features[f"{name}.c"] = tuple([shape.c for shape in shapes])
            if head and all(shape.axes == "chw" for shape in shapes):
                sizes[f"{name}.h"] = tuple([shape.h for shape in shapes])
        counts(items)
        for item in everything(items):
            for key, column in item.values.items():
                if all(value is MISSING for value in column):
                    item.values[key] = (self._default(item, key),) * len(column)
                elif any(isinstance(value, Dims) for value in column):  # a number is that of both axes
                    wide = [square(value) if type(value) is int else value for value in column]
                    item.values[key] = tuple(wide)
        try:
            order = sorted(range(len(scopes)), key=lambda at: self.ranks[scopes[at].path])
            made = [self.shapes[value.node][value.port] for scope in scopes for value in scope.outputs[:1]]
            makes = tuple([shape.c for shape in made]) if all("c" in shape.axes for shape in made) else ()
            rows, every = spread(items, len(scopes))
            lists = [
                [self.shapes[value.node][value.port].c for value in scope.inputs] if every.turns else []
                for scope in scopes
            ]
            args = [scope.args for scope in scopes]
            solved = Class(rows, features, args, order, makes, sizes, every, lists)
            found = Laid(list(scopes), head, items, solved)
            found.entry = Entry("block", resolved(rows, solved), head, solved.head())
            if every.turns:
                self._part(found, found.entry.items, ())
            entries = [found.entry, *found.parts.values()]
            lines = [
                line for one in entries for line in self.layout.lines(one.items, 1, "flow" if head else "x")
            ]
            found.length = HEAD + sum(map(len, (*lines, *found.entry.params)))
            found.lines = len(entries) + len(lines)
            return found
        except (Unsolvable, NotLaidOut):
            return None

    def _part(self, laid: Laid, items: Sequence[Item], variables: tuple[str, ...]) -> None:
        """Make what a loop does in several statements, in a branch, an inline block, which is given what it names."""
        for item in items:
            inner = (*variables, item.name.split()[0]) if item.kind == "turns" else variables
            for at, kid in enumerate(item.kids):
                if inner and kid.kind == "box" and not kid.label and len(kid.kids) > 1:
                    words = re.findall(r"\w+", " ".join(self.layout.lines(kid.kids)))
                    heads = {re.split("[: ]", head)[0]: head for head in (*inner, *laid.solved.head())}
                    given = {name: head for name, head in heads.items() if name in words}
                    label = next((one.label for one in kid.all() if one.label), "turn")
                    name = "".join(part.title() for part in re.findall("[A-Za-z]+", label.partition(".")[0]))
                    call = Item("call", name, values={name: (0, name) for name in given})
                    item.kids[at] = call
                    laid.parts[call] = Entry("inline block", kid.kids, (), [*given.values()])
            self._part(laid, item.kids, inner)

    def _enter(self, wanted: str, one: Laid) -> None:
        for call, entry in one.parts.items():
            call.name = self._free(call.name, "Turn")
            self.entries[call.name] = entry
        name = self._free(wanted, "Block")
        self.entries[name] = one.entry
        self.origins[name] = wanted
        self.classes[name] = one.solved
        for at, scope in enumerate(one.scopes):
            self.calls[scope.path] = name, one.solved.values(at)

    def _default(self, item: Item, key: str) -> Any:
        """Return what a call gives a parameter for which any number does."""
        solved = self.classes.get(item.name)
        for one in solved.chosen if solved is not None else ():
            if one.name == key:
                values = [value for value in one.column if value is not MISSING]
                default = one.default()
                return max(values, key=values.count) if default is MISSING else MISSING
        return MISSING

    def block_of(self, scope: Scope) -> tuple[str, dict[str, Column]]:
        """Return the name of the block that a scope is, and the arguments that make it so."""
        return self.calls[scope.path]

    def aside(self, wanted: str, head: tuple[str, ...], items: Sequence[Item]) -> str:
        """Return the name of an inline block with these statements."""
        key = (wanted, head, skeleton(items), _numbers(items))
        if key not in self.known:
            filled(items, self._default)
            self.known[key] = name = self._free(wanted, "Block")
            self.entries[name] = Entry("inline block", resolved(items, None), head)
        return self.known[key]

    def _free(self, wanted: str, kind: str) -> str:
        """Return a name that no op or block has yet."""
        stem = re.sub("[^A-Za-z0-9_]", "", wanted)
        stem = stem if stem[:1].isalpha() else kind + stem
        for number in count(1):
            name = stem if number == 1 else f"{stem}{number}"
            if name not in self.entries and name not in catalogue() and not reserved_name(name):
                return name
        raise AssertionError

    # ---------------------------------------------------------------- layers

    def values(self, node: Node) -> dict[str, Column]:
        """Return the arguments of a layer that are not its defaults, the values among them as such."""
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        found: dict[str, Column] = {key: (value,) for key, value in op_values(node.op).items()}
        found |= {name: (node.inputs[at],) for name, at in node.op.further(*x).items()}
        own = self.own_inits(node)
        if own.keys() == {"weight"}:
            found["init"] = (own["weight"],)
        return found

    def call(self, item: Item) -> str:
        """Return a layer or block with its arguments, whose columns are a number and its expression."""
        values = {key: column[0] for key, column in item.values.items()}
        texts = {key: column[1] for key, column in item.values.items() if len(column) > 1}
        first = texts.pop("first", "") if "first" in values else ""
        values.pop("first", None)
        name, follow = item.name, list[str]()
        if item.kind == "weight":
            words = [texts.get(key) or written(value) for key, value in values.items()]
            shown = [w if key == "shape" else f"{key}={w}" for key, w in zip(values, words, strict=True)]
            return f"weight {name} {', '.join(shown)}"
        if OP in values:
            name = texts.get(OP, "") or values[OP]
            del values[OP]
        if item.name in catalogue():
            op = catalogue()[item.name]
            said = self._said_by_default(op)
            for key, value in said.items():
                if key not in values:
                    values[key] = op._defaults.get(key)
                elif values[key] == value and not texts.get(key):
                    del values[key]
            behind = [key for key in ("norm", "act") if key in values]
            if "keys" in item.binds or any(texts.get(key) or key in said for key in behind):
                texts |= {key: self._op_word(values[key]) for key in behind if not texts.get(key)}
            else:
                follow = [self._op_word(values.pop(key), " ") for key in behind]
            values = {key: values[key] for key in sorted(values, key=lambda key: _rank(op, key))}
            words = call_words(op, values, lambda key, value: texts.get(key, ""))
        elif item.name in self.classes:
            solved = self.classes[item.name]
            params = {one.name: Param(one.name, (one.kind,), one.default()) for one in solved.chosen}
            for key, param in params.items():
                plain = key in values and values[key] == param.default
                plain = plain and texts.get(key) in (None, "", written(param.default))
                plain = plain and (param.types == ("op",) or not isinstance(values[key], Word))
                if plain or values.get(key) is MISSING:
                    values.pop(key, None)
            words = block_words(params, values, lambda key, value: texts.get(key, ""))
        else:
            words = [texts[key] for key in values]
        words += [first] * bool(first)
        return " -> ".join([f"{name} {', '.join(words)}".rstrip(), *follow])

    def _op_word(self, word: OpWord | None, around: str = "()") -> str:
        """Return what follows a layer, in brackets behind a `=`, or as a step."""
        if word is None:
            return "none"
        op, values = catalogue()[word.op], dict(word.values)
        for key, value in self._said_by_default(op).items():
            if key not in values:
                values[key] = op._defaults[key]
            elif values[key] == value:
                del values[key]
        words = ", ".join(call_words(op, values))
        return f"{word.op}{around[0]}{words}{around[1:]}".rstrip() if words else word.op

    def _value(self, value: Any) -> str:
        return self._op_word(value) if isinstance(value, OpWord) else written(value)

    def _said_by_default(self, op: type[Op]) -> dict[str, Any]:
        said = {**self.defaults.get(op.inherits, {}), **self.defaults.get(op.name, {})}
        return {key: value for key, value in said.items() if key in (*op._fields, "norm", "act")}

    def _name(self, wanted: str) -> str:
        """Return a name for a number of the net."""
        return wanted

    def _defaults(self) -> dict[str, dict[str, Any]]:
        """Return what most layers of an op have, where saying it once is shorter."""
        calls: dict[str, list[Item]] = {}
        for one in self.entries.values():
            behind = [
                Item("call", value.op, values={key: (one_,) for key, one_ in value.values.items()})
                for item in everything(one.items)
                for column in item.values.values()
                if isinstance(value := column[0], OpWord) and len(column) < 2
            ]
            for item in (*everything(one.items), *behind):
                op = catalogue().get(item.name) if item.kind == "call" else None
                if op is not None and OP not in item.values:
                    calls.setdefault(op.inherits or op.name, []).append(item)
        found: dict[str, dict[str, Any]] = {}
        for name, items in calls.items():
            op = catalogue()[name]
            for key, default in (
                *op._defaults.items(),
                *[(key, None) for key in ("norm", "act") if op.fuses],
            ):
                plain_ = isinstance(default, (bool, int, float)) and key in op._fields and key != "stride"
                if not plain_ and key not in ("norm", "act"):
                    continue
                own = [item for item in items if plain_ is False or key in catalogue()[item.name]._fields]
                given = [item.values[key] for item in own if key in item.values]
                plain = [column[0] for column in given if len(column) < 2 or not column[1]]
                if not plain or type(default) is Scheduled:
                    continue
                most = max(plain, key=plain.count)
                others = len(own) - len(given)
                if plain.count(most) - others >= 3 and not isinstance(most, (Word, Scheduled)):
                    found.setdefault(name, {})[key] = most
        return found

    def plain(self, node: Node) -> tuple[Value, ...]:
        """Return the inputs of a node that are no arguments."""
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        further = node.op.further(*x).values()
        return tuple(value for at, value in enumerate(node.inputs) if at not in further)

    def own_inits(self, node: Node) -> dict[str, Init]:
        """Return how the tensors of a node begin of which no line around it says it."""
        common: dict[str, Init] = {}
        for table in (self.inits, self.inner.get(node.name, {})):
            common |= {**table.get(node.op.inherits, {}), **table.get(node.op.name, {})}
        return {key: init for key, init in node.op.inits.items() if common.get(key) != init}

    def init_lines(self, scope: Scope) -> list[str]:
        """Return lines that say for a block how all layers of an op in it begin, where the net's lines do not.

        What one key says, `init=` does for the weight alone.
        """
        nodes = [self.graph[name] for name in scope.nodes()]
        found: list[str] = []
        for op in dict.fromkeys(
            n.op.name for n in nodes if self.states[n.name] and not isinstance(n.op, Weight)
        ):
            own = [node for node in nodes if node.op.name == op]
            said = self.own_inits(own[0])
            rest = [node for node in nodes if node.op.inherits == op]
            alike = all(self.own_inits(node) == said for node in own)
            if rest or not alike or not said or said.keys() == {"weight"} or any(node.module for node in own):
                continue
            for node in own:
                self.inner[node.name] = {**self.inner.get(node.name, {}), op: said}
            found.append(f"init {op} {', '.join(f'{key}={initialiser(init)}' for key, init in said.items())}")
        return found

    # ---------------------------------------------------------------- what holds for all of the net

    def _state(self, node: Node) -> tuple[str, ...]:
        if not has_state(node.op):
            return ()
        x = [self.shapes[value.node][value.port] for value in node.inputs]
        return tuple(dict.fromkeys((*node.op.weights(*x), *node.op.buffers(*x))))

    def _common(self) -> Inits:
        """Return the initialisers that all layers of an op have, and those that inherit them.

        Where the layers of blocks begin otherwise, those of the net itself decide.
        """
        said: dict[tuple[str, str], list[Init]] = {}
        direct: dict[tuple[str, str], list[Init]] = {}
        parents: dict[str, str] = {}
        own = set(_direct(self.graph.tree))
        for node in self.graph:
            parents[node.op.name] = node.op.inherits
            for key in self.states[node.name] if not isinstance(node.op, Weight) else ():
                init = node.op.inits.get(key, DEFAULT_INIT)
                said.setdefault((node.op.name, key), []).append(init)
                if node.name in own:
                    direct.setdefault((node.op.name, key), []).append(init)
        one: dict[tuple[str, str], Init] = {}
        for at, inits in said.items():
            decide = direct.get(at, inits)
            if len(set(inits)) == 1:
                one[at] = inits[0]
            elif (
                DEFAULT_INIT not in inits
                and len(set(decide)) == 1
                and not any(at[0] in p for p in parents.values())
            ):
                one[at] = decide[0]
        found: Inits = {}
        for (op, key), init in one.items():
            heirs = [name for name, parent in parents.items() if parent == op and (name, key) in said]
            if init != DEFAULT_INIT and all(
                one.get((heir, key), DEFAULT_INIT) != DEFAULT_INIT for heir in heirs
            ):
                if one.get((parents[op], key)) != init or key not in found.get(parents[op], {}):
                    found.setdefault(op, {})[key] = init
        return found


def _direct(scope: Scope) -> Iterator[str]:
    """Yield the nodes of a scope that are in no block within it."""
    for item in scope.written:
        if isinstance(item, str):
            yield item
        elif item.kind == "container" and len(item.outputs) < 2:
            yield from _direct(item)


class Entry:
    """A block or the net as it will be written."""

    def __init__(
        self, kind: str, items: list[Item], inputs: tuple[str, ...] = (), params: Sequence[str] = ()
    ) -> None:
        """`inputs` are the names of several values that come in, `params` what is declared in brackets."""
        self.kind = kind
        self.items = items
        self.inputs = inputs
        self.params = params


class Laid:
    """Bodies of a class over each other."""

    entry: Entry
    length: int
    """Of its text."""
    lines: int
    """How many it has."""

    def __init__(self, scopes: list[Scope], head: tuple[str, ...], items: list[Item], solved: Class) -> None:
        """`head` are the names of several values that come in."""
        self.scopes = scopes
        self.head = head
        self.items = items
        self.solved = solved
        self.parts: dict[Item, Entry] = {}
        """By call the inline blocks that it needs beside it."""


def resolved(items: Sequence[Item], solved: Class | None, around: Column | None = None) -> list[Item]:
    """Return items with a number and an expression in each column, and with the text of conditions."""
    found: list[Item] = []
    for item in items:
        made = item.copy()
        if solved is not None:
            made.when = solved.when(item, around or (True,) * solved.count)
        made.values = {}
        for key, column in item.values.items():
            value = next((one for one in column if one is not MISSING), MISSING)
            text = solved.said(column, key) if solved is not None else ""
            if isinstance(value, Named):
                value, text = value.value, value.text
            if value is not MISSING:
                made.values[key] = (value, text) if text else (value,)
        made.kids = resolved(item.kids, solved, item.present)
        if made.kind == "repeat":
            made.name = _text(made.values["count"])
            made.name = made.name if made.name.isalnum() or "." in made.name else f"({made.name})"
            first = made.values.get("first", (1,))
            (kid,) = made.kids
            kid.binds = ("keys",)
            if "first" in made.values and kid.values.get("stride", (1,)) == (1,) and first != (1,):
                kid.values["first"] = (first[0], f"/{_text(first)} first")
        if made.kind == "loop" and "count" in made.values:
            begin, number = made.values["begin"][0], made.values["count"]
            if len(number) > 1 and begin:
                stop = f"{begin}, {number[1]} + {begin}"
            else:
                stop = f"{begin}, {begin + number[0]}" if begin else _text(number)
            made.name = f"{item.values['variable'][0]} in range({stop})"
        found.append(made)
    return _choices(items, found, around)


def _choices(items: Sequence[Item], made: Sequence[Item], around: Column | None) -> list[Item]:
    """Return items in which two calls with one label, of which one is always there, are a choice.

    What has lines of its own and is there where what stands before it is not is noted as its `else`.

    Raises:
        NotLaidOut: Others with one label: no module of the block would be called so in each of its instances.
    """
    found: list[Item] = []
    for at, (item, own) in enumerate(zip(items, made, strict=True)):
        last = found[-1] if found else None
        if last is None or not (own.when and last.when):
            found.append(own)
            continue
        rows = zip(items[at - 1].present, item.present, around or (True,) * len(item.present), strict=True)
        other = all(a + b == c for a, b, c in rows)
        if not (own.label and own.label == last.label):
            own.other = other and own.kind == last.kind in ("joint", "branch") and own.source is None
            found.append(own)
            continue
        if {own.kind, last.kind} != {"call"} or own.source or not other:
            raise NotLaidOut("two modules of a label")
        first, second = sorted((last, own), key=lambda one: (len(one.when), "0" not in one.when))
        kids = [first.copy(label="", source=None, when=""), second.copy(label="", when="")]
        found[-1] = Item("either", first.when, own.label, source=last.source, kids=kids)
    return found


def _shorter(one: list[Laid], two: list[Laid], most: int) -> list[Laid]:
    """Return the second way to write a class if that is in fewer lines, and in so many blocks at most."""
    fewer = len(two) <= most and sum(each.lines for each in two) < sum(each.lines for each in one)
    return two if fewer else one


def _text(column: Column) -> str:
    return column[1] if len(column) > 1 else written(column[0])


def counts(items: Sequence[Item]) -> None:
    """Let what is repeated be there in every instance, none times in some, or wherever the next step is."""
    for at, item in enumerate(items):
        counts(item.kids)
        if item.kind == "repeat" and not all(item.present) and item.source is None:
            after = items[at + 1].present if at + 1 < len(items) else ()
            follows = after and not any(a and not b for a, b in zip(item.present, after, strict=True))
            there = after if follows else (True,) * len(item.present)
            column = zip(item.values["count"], there, strict=True)
            item.values["count"] = tuple([0 if v is MISSING and flag else v for v, flag in column])
            before = item.present
            for one in item.all():
                one.present = there if one.present == before else one.present


def _numbers(items: Sequence[Item]) -> tuple[Any, ...]:
    """Return all numbers of items, with their types."""
    return tuple(
        (key, column, tuple(map(type, column)))
        for one in everything(items)
        for key, column in one.values.items()
    )


def _rank(op: type[Op], key: str) -> int:
    fields = [*op._fields]
    return fields.index(key) if key in fields else len(fields)
