"""What was translated, as a graph: the module tree, names that make the model's keys, outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

from torch import nn

from netdsl.elaborate.layers import has_state
from netdsl.ir.graph import Graph, Node, Output, Scope, Value
from netdsl.ops.dropout import Drop
from netdsl.ops.source import Input
from netdsl.source import Source, Span
from netdsl_from_torch.joints import joined
from netdsl_from_torch.tape import Frame, defined
from netdsl_from_torch.translate import Cause, Made, Translation, positioned

NOWHERE = Span(Source("model", ""), 0, 0)
"""The place of what has no text yet."""
Arguments = Mapping[str, Mapping[str, Any]]
"""By path of a module what its constructor was given."""


class Tree:
    """The graph of what was translated."""

    def __init__(
        self,
        translation: Translation,
        keys: Sequence[str],
        outputs: Sequence[tuple[str, bool]],
        inputs: Sequence[str],
        arguments: Arguments,
    ) -> None:
        """`keys` are those of the model's state, `outputs` names, and whether they exist in training only."""
        self.translation = translation
        self.keys = keys
        self.arguments = arguments
        self.made = translation.made
        self.shapes = translation.shapes
        self.root = translation.tape.root
        self.causes: list[Cause] = []
        self.outputs = [(*named, x.value) for named, x in zip(outputs, translation.outputs, strict=True)]
        self.inputs = inputs
        self.alias = self._idle()
        self.made = joined(self.made, self._alive(), self.shapes, [value for _, _, value in self.outputs])
        self.alive = self._alive()
        self.held = self._held()
        self.kept = self._kept()
        self.alive = self._in_order()
        self.graph = Graph()
        if not self.causes:
            self._build()

    # ---------------------------------------------------------------- what there is

    def value(self, value: Value) -> Value:
        """Return the value that stands for one, where an op does nothing."""
        while value.node in self.alias:
            value = self.alias[value.node]
        return value

    def _idle(self) -> dict[str, Value]:
        """Return drops of nothing, where all of their kind in the model are so; one at a position stays."""
        drops = [(at, made) for at, made in enumerate(self.made) if isinstance(made.op, Drop)]
        lively = {type(made.op) for _, made in drops if isinstance(made.op, Drop) and made.op.p > 0}
        return {
            str(at): made.inputs[0]
            for at, made in drops
            if type(made.op) not in lively and not positioned(made.frame)
        }

    def _alive(self) -> list[int]:
        """Return what is made, and needed for an output, in the order in which it is computed."""
        needed: set[int] = set()
        todo = [int(self.value(value).node) for _, _, value in self.outputs]
        todo += [at for at, made in enumerate(self.made) if isinstance(made.op, Input)]
        while todo:
            at = todo.pop()
            if at not in needed:
                needed.add(at)
                todo += [int(self.value(value).node) for value in self.made[at].inputs]
        return sorted(needed, key=lambda at: (self.made[at].event if at not in self._sources() else -1, at))

    def _sources(self) -> range:
        return range(len(self.translation.sources))

    def _held(self) -> dict[str, list[str]]:
        """Return by path of a layer the keys of its tensors; note keys that no layer has."""
        held: dict[str, list[str]] = {}
        for at in self.alive:
            made = self.made[at]
            if made.home and made.home not in held:
                x = [self.shapes[int(value.node)][value.port] for value in made.inputs]
                names = (*made.op.weights(*x), *made.op.buffers(*x))
                held[made.home] = [f"{made.home}.{name}" if name else made.home for name in names]
        known = {key for keys in held.values() for key in keys}
        for key in self.keys:
            if key not in known:
                path = key.rpartition(".")[0]
                why = f"`{key}` of its state is in no op that an output needs"
                owner, place = defined(self.translation.tape.model, path)
                self.causes.append(Cause("state", why, path, place, key.removeprefix(owner)))
        for key in sorted(known - set(self.keys)):
            self.causes.append(Cause("state", f"an op would have a tensor `{key}`, which it lacks", key, ""))
        return held

    def _kept(self) -> set[int]:
        """Return the calls of modules that are scopes, by id; the others are dissolved in what they are in."""
        prefixes = {key[:at] for key in self.keys for at, letter in enumerate(key) if letter == "."}
        kept = {id(self.root)}
        for frame in self.translation.tape.frames():
            if frame.path in prefixes and frame.path not in self.held and frame.path:
                kept.add(id(frame))
        homes = [(self.made[at].home, self.made[at].frame) for at in self.alive]
        changed = True
        while changed:  # a scope within whose call a module of elsewhere runs is none
            changed = False
            for home, frame in homes:
                outer = [one for one in frame.stack() if id(one) in kept]
                paths = [*(one.path for one in outer), *([home] if home else [])]
                for one, path in zip(outer, paths[1:], strict=False):
                    if one.path and not path.startswith(f"{one.path}."):
                        gone = {id(each) for each in self.translation.tape.frames() if each.path == one.path}
                        changed = bool(kept & gone)
                        kept -= gone
        alone = Counter(id(unit) for at in self.alive if (unit := self._unit(self.made[at], kept)))
        for at in self.alive:
            unit = self._unit(self.made[at], kept)
            if unit is not None and alone[id(unit)] > 1:
                kept.add(id(unit))
        return kept

    @cached_property
    def ranks(self) -> dict[str, int]:
        """The places of modules and tensors among all, by their paths: where the state first has one."""
        found: dict[str, int] = {}
        for key in self.keys:
            for end in [place for place, letter in enumerate(key) if letter == "."]:
                found.setdefault(key[:end], len(found))
            found.setdefault(key, len(found))
        return found

    def _in_order(self) -> list[int]:
        """Return what is needed, with the members of each list in the order in which they are registered.

        So the text has them. Where one needs what a later one makes, all stays in the order of computing.
        """
        lists: dict[str, dict[str, list[int]]] = {}
        for at in self.alive:
            outer, stack = "", [one for one in self.made[at].frame.stack() if id(one) in self.kept][1:]
            for path, call in [*((one.path, id(one)) for one in stack), (self.made[at].home, at)]:
                first, dot, _ = path.removeprefix(f"{outer}." if outer else "").partition(".")
                if path and dot:
                    member = lists.setdefault(f"{outer}.{first}", {}).setdefault(path, [call])
                    member += [at] * (member[0] == call)  # of its first call
                outer = path
        before: dict[int, set[int]] = {
            at: {int(self.value(value).node) for value in self.made[at].inputs} for at in self.alive
        }
        for members in lists.values():
            registered = sorted(members, key=self.ranks.__getitem__)
            if registered != list(members):
                for one, two in pairwise(registered):
                    for at in members[two][1:]:
                        before[at].update(members[one][1:])
        readers: dict[int, list[int]] = {}
        for at, needs in before.items():
            for need in needs:
                readers.setdefault(need, []).append(at)
        places = {at: place for place, at in enumerate(self.alive)}
        ready = [places[at] for at in self.alive if not before[at]]
        found: list[int] = []
        while ready:
            found.append(self.alive[heappop(ready)])
            for at in readers.get(found[-1], ()):
                before[at].discard(found[-1])
                if not before[at]:
                    heappush(ready, places[at])
        return found if len(found) == len(self.alive) else self.alive

    def _unit(self, made: Made, kept: set[int]) -> Frame | None:
        """Return the module without state, at a position of a scope, that an op is all or some of."""
        if made.home:
            return None
        stack = made.frame.stack()
        last = max(at for at, frame in enumerate(stack) if id(frame) in kept)
        unit = stack[last + 1] if last + 1 < len(stack) else None
        if unit is None or not positioned(unit) or unit.path in self.held:
            return None
        return unit if unit.path.rpartition(".")[0] == stack[last].path else None

    # ---------------------------------------------------------------- the graph

    def _build(self) -> None:
        """Make the graph."""
        self.names: dict[str, str] = {}
        self.taken: set[str] = set()
        self.scopes: dict[int, Scope] = {}
        self.first: dict[str, Scope] = {}
        self.calls = Counter(frame.path for frame in self.translation.tape.frames())
        tree = Scope("net", "", NOWHERE, type(self.root.module).__name__)
        tree.args = dict(self.arguments.get("", {}))
        self.scopes[id(self.root)] = self.graph.tree = tree
        nodes: dict[str, tuple[Made, Scope]] = {}
        homes: dict[str, str] = {}
        reserved = set(self.held) | {
            key[:at] for key in self.keys for at in range(len(key)) if key[at] == "."
        }
        for at in self.alive:
            made = self.made[at]
            scope = self._scope(made.frame)
            name, again = self._name(at, made, scope, reserved, homes)
            self.names[str(at)] = name
            nodes[name] = made, scope
            scope.written.append(name)
            reads = tuple(Value(self.names[v.node], v.port) for v in map(self.value, made.inputs))
            self.graph.add(Node(name, made.op, reads, NOWHERE, module=again))
        self.graph.inputs = {name: self.names[str(at)] for at, name in enumerate(self.inputs)}
        self.graph.outputs = tuple(
            Output(name, Value(self.names[self.value(v).node], self.value(v).port), train)
            for name, train, v in self.outputs
        )
        self._train()
        self._borders()
        self._move_heads()
        for scope in tree.scopes():
            scope.first = self._order(scope)

    def _scope(self, frame: Frame) -> Scope:
        """Return the scope that a call of a module is, or is in."""
        while id(frame) not in self.kept:
            assert frame.outer is not None
            frame = frame.outer
        if id(frame) not in self.scopes:
            assert frame.outer is not None
            outer = self._scope(frame.outer)
            path, again = frame.path, ""
            if outer.module or path in self.first:
                if path in self.first:
                    again = self.first[path].path
                else:
                    why = "it runs in a later call of the module that it is in, and not in the first"
                    self.causes.append(Cause(type(frame.module).__name__, why, path, frame.place))
                path = self._free(f"{outer.path}{frame.path.removeprefix(self._own(outer))}")
            plain = type(frame.module) is nn.Sequential
            # only a block can run again
            scope = Scope("container" if plain and self.calls[frame.path] == 1 else "block", path, NOWHERE)
            scope.block = "" if plain else type(frame.module).__name__
            scope.name = path.removeprefix(f"{outer.path}.") if outer.path else path
            scope.module = again
            scope.args = dict(self.arguments.get(frame.path, {}))
            self.taken.add(path)
            self.first.setdefault(frame.path, scope)
            self.scopes[id(frame)] = scope
            outer.written.append(scope)
        return self.scopes[id(frame)]

    def _own(self, scope: Scope) -> str:
        """Return the path of the module that a scope is."""
        return scope.module or scope.path

    def _free(self, wanted: str, reserved: set[str] = frozenset()) -> str:  # type: ignore[assignment]
        """Return a name that nothing has yet."""
        name, number = wanted, 0
        while name in self.taken or name in reserved:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def _name(
        self, at: int, made: Made, scope: Scope, reserved: set[str], homes: dict[str, str]
    ) -> tuple[str, str]:
        """Return what a node is called, and the node that it is again."""
        if isinstance(made.op, Input):
            return self._free(self.inputs[at], reserved), ""
        if made.home:
            own = self._own(scope)
            local = made.home.removeprefix(f"{own}.") if own else made.home
            path = f"{scope.path}.{local}" if scope.path else local
            name = self._free(path)
            return name, "" if homes.setdefault(made.home, name) == name else homes[made.home]
        unit = self._unit(made, self.kept)
        if unit is not None and not scope.module:
            return self._free(unit.path), ""
        again = ""
        if scope.module:  # the same place of the first call
            first = self.first[scope.module]
            twin = first.written[len(scope.written)] if len(scope.written) < len(first.written) else None
            again = twin if isinstance(twin, str) and not made.op.wiring else ""
        wanted = f"{scope.path}.{made.op.name}" if scope.path else made.op.name
        return self._free(wanted, reserved), again

    def _train(self) -> None:
        """Mark what only outputs of training need."""
        needed: set[str] = set()
        todo = [output.value.node for output in self.graph.outputs if not output.train]
        todo += self.graph.inputs.values()
        while todo:
            name = todo.pop()
            if name not in needed:
                needed.add(name)
                todo += [value.node for value in self.graph[name].inputs]
        for name, node in self.graph.nodes.items():
            if name not in needed:
                self.graph.nodes[name] = node.replace(train=True)

    def _borders(self) -> None:
        """Note what comes into each scope and what leaves it."""
        readers: dict[Value, set[str]] = {}
        for node in self.graph:
            for value in node.inputs:
                readers.setdefault(value, set()).add(node.name)
        leaving = dict.fromkeys(output.value for output in self.graph.outputs)
        frames = {id(scope): key for key, scope in self.scopes.items()}
        ports = {name: len(self.shapes[int(at)]) for at, name in self.names.items()}
        for scope in self.graph.tree.scopes():
            if scope is self.graph.tree:
                scope.outputs = tuple(leaving)
                continue
            inside = dict.fromkeys(scope.nodes())
            read = dict.fromkeys(
                value for name in inside for value in self.graph[name].inputs if value.node not in inside
            )
            frame = frames[id(scope)]
            given = self._ordered(self.translation.entered.get(frame, ()))
            scope.inputs = tuple(sorted(read, key=lambda v: given.get(v, len(given))))
            made = [
                value
                for name in inside
                for value in (Value(name, port) for port in range(ports[name]))
                if value in leaving or readers.get(value, set()) - inside.keys()
            ]
            returned = self._ordered(self.translation.left.get(frame, ()))
            scope.outputs = tuple(sorted(made, key=lambda v: returned.get(v, len(returned))))

    def _ordered(self, values: Sequence[Value]) -> dict[Value, int]:
        """Return the rank of values, by what they are called in the graph."""
        known = [self.value(value) for value in values]
        named = [Value(self.names[v.node], v.port) for v in known if v.node in self.names]
        return {value: rank for rank, value in enumerate(dict.fromkeys(named))}

    def _registered(self, scope: Scope) -> list[str]:
        """Return what is registered in a scope, lists as one, in order."""
        begin = f"{scope.path}." if scope.path else ""
        keys = (key.removeprefix(begin).partition(".")[0] for key in self.keys if key.startswith(begin))
        return [*dict.fromkeys(keys)]

    def _move_heads(self) -> None:
        """Write heads of training where they are registered; they are computed where they branch off."""
        tree = self.graph.tree
        computed = list(tree.written)
        heads = [item for item in computed if isinstance(item, Scope) and self._trained(item)]
        registered = self._registered(tree)
        for head in heads:
            name = tree.local(head)
            if name not in registered:
                continue
            before = registered[: registered.index(name)]
            own = tree.written.index(head)
            others = enumerate(tree.written)
            last = max(
                (at for at, item in others if tree.local(item).partition(".")[0] in before), default=-1
            )
            if last > own:
                tree.written.insert(last + 1, head)
                del tree.written[own]
        if tree.written != computed:
            tree.order = tuple(tree.written.index(item) for item in computed)

    def _trained(self, scope: Scope) -> bool:
        return all(self.graph[name].train for name in scope.nodes())

    def _order(self, scope: Scope) -> tuple[str, ...]:
        """Return what is registered before all others, as far as the text has another order."""
        if scope.module:
            return ()
        names = [
            scope.local(item)
            for item in scope.written
            if isinstance(item, Scope) or has_state(self.graph[item].op)
        ]
        begin = f"{scope.path}." if scope.path else ""
        ranks = {name: self.ranks.get(f"{begin}{name}", -1) for name in names}
        children: dict[str, list[str]] = {}
        for name in dict.fromkeys(one for one in names if ranks[one] >= 0):
            children.setdefault(name.partition(".")[0], []).append(name)
        found = [one for own in children.values() for one in _parts(own, own, ranks)]
        by_rank = sorted(children.values(), key=lambda own: min(map(ranks.__getitem__, own)))
        wanted = [one for own in by_rank for one in _parts(own, sorted(own, key=ranks.__getitem__), ranks)]
        while wanted and wanted[-1] == found[-1]:
            wanted.pop(), found.pop()
        return tuple(wanted)


def _parts(own: Sequence[str], ordered: Sequence[str], ranks: Mapping[str, int]) -> Sequence[str]:
    """Return a child or a list by its name, or what is in a list that is used in another order than it has."""
    used = [ranks[name] for name in own]
    return [own[0].partition(".")[0]] if used == sorted(used) else ordered
