"""Drafts to the graph: names of wiring, initialisers, ramps, what comes into each scope and leaves it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import count
from typing import TypeGuard

from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.elaborate.draft import Draft, DraftScope
from netdsl.elaborate.evaluate import Evaluator
from netdsl.elaborate.inits import Inits, initialisers
from netdsl.elaborate.shared import Shared
from netdsl.elaborate.values import Declared, Wire
from netdsl.ir.graph import Graph, Node, Output, Value
from netdsl.ir.types import DEFAULT_INIT, Init, Shape
from netdsl.ops import Op, OpError
from netdsl.ops.source import Input
from netdsl.source import Span
from netdsl.syntax import tree


class Finisher:
    """Everything that can only be said when all drafts are known."""

    def __init__(
        self,
        drafts: list[Draft],
        scopes: list[DraftScope],
        outputs: list[tuple[str, Wire, bool]],
        early: Mapping[DraftScope, list[range]],
        given: Collection[tuple[Declared, str] | None],
        shared: Shared,
    ) -> None:
        """Take the drafts in the order of the text, and the scopes, outer ones first.

        `early` are branches, items of a scope that are computed as soon as what they read is there; `given` are the
        parameters that any call gives; `shared` is what the nets of a file share.
        """
        self.drafts = drafts
        self.scopes = scopes
        self.outputs = outputs
        self.given = given
        self.coming: dict[DraftScope, tuple[Wire, ...]] = {}
        """What each scope reads from outside: a block's declared inputs first."""
        self.leaving: dict[DraftScope, tuple[Wire, ...]] = {}
        """A scope's result, then whatever else of it is read outside."""
        self.shared = shared
        self._begun: dict[tuple[int, ...], tuple[Op, Op]] = {}
        """Ops with initialisers, by themselves and what is said of them."""
        self._come()
        self._leave()
        for scope, branches in early.items():
            order = self._order(scope, branches)
            scope.order = order if list(order) != sorted(order) else ()

    def _come(self) -> None:
        # inner scopes first, so that each looks at its own drafts and its children's inputs only
        for scope in reversed(self.scopes):
            self.coming[scope] = coming(scope, map(self._reads, scope.drafts))

    def _leave(self) -> None:
        last: dict[Wire, int] = {}
        for index, draft in enumerate(self.drafts):
            for wire in draft.inputs:
                last[wire] = index
        for _, wire, _ in self.outputs:
            last[wire] = len(self.drafts)
        for scope in reversed(self.scopes):
            out = dict.fromkeys(scope.exit)
            for item in scope.drafts:
                for wire in self.results(item):
                    if last.get(wire, -1) >= scope.end > wire.draft >= scope.begin:
                        out[wire] = None
            self.leaving[scope] = tuple(out)

    def results(self, item: int | DraftScope) -> tuple[Wire, ...]:
        """Return what a node or scope makes."""
        if isinstance(item, DraftScope):
            return self.leaving[item]
        return self.drafts[item].results

    # ---------------------------------------------------------------- the order of computing

    def _order(self, scope: DraftScope, branches: list[range]) -> tuple[int, ...]:
        """Return a scope's items in the order of computing: each branch right after the last of what it reads."""
        readers: dict[int, list[range]] = {}
        missing: dict[range, int] = {}
        for branch in branches:
            reads = {self._position(scope, wire) for i in branch for wire in self._reads(scope.drafts[i])}
            reads -= {-1, *branch}
            missing[branch] = len(reads)
            for item in reads:
                readers.setdefault(item, []).append(branch)
        early = {i for branch in branches for i in branch}
        todo = [i for i in range(len(scope.drafts)) if i not in early]
        todo = [*(i for branch, count in missing.items() if not count for i in branch), *todo][::-1]
        order: list[int] = []
        while todo:
            order.append(todo.pop())
            ready: list[int] = []
            for branch in readers.get(order[-1], ()):
                missing[branch] -= 1
                ready += branch if not missing[branch] else ()
            todo += reversed(ready)
        return tuple(order)

    def _position(self, scope: DraftScope, wire: Wire) -> int:
        """Return which of a scope's items makes a value; -1 if it comes from outside."""
        if wire.draft < scope.begin:
            return -1
        return bisect_right(
            scope.drafts, wire.draft, key=lambda i: i.end if isinstance(i, DraftScope) else i + 1
        )

    def _reads(self, item: int | DraftScope) -> tuple[Wire, ...]:
        return self.coming[item] if isinstance(item, DraftScope) else self.drafts[item].inputs

    def _computed(self, scope: DraftScope) -> Iterator[int]:
        """Yield the drafts of a scope in the order of computing."""
        for item in [scope.drafts[i] for i in scope.order] if scope.order else scope.drafts:
            if isinstance(item, DraftScope):
                yield from self._computed(item)
            else:
                yield item

    # ---------------------------------------------------------------- labels

    def unlabelled(self) -> list[Diagnostic]:
        """Return the layers with state whose names would be positions in a scope that is no Sequential."""
        known: dict[DraftScope, bool] = {}
        found: list[tuple[int | DraftScope, DraftScope, Label]] = []
        for scope in reversed(self.scopes):
            nameless = [
                item
                for item in scope.drafts
                if not self._item(item).labelled and self._holds_state(item, known)
            ]
            if nameless and (end := self._break(scope)):
                found += [(item, scope, end) for item in nameless]
        found = sorted(reversed(found), key=lambda one: self._item(one[0]).span.start)
        shown: set[DraftScope | tuple[DraftScope, Span]] = set()
        wrong = []
        for item, scope, end in found:
            if (scope, self._item(item).span) in shown:  # the same step in another turn of a loop
                continue
            shown.add((scope, self._item(item).span))
            wrong.append(self._needs_label(item, scope, end, scope in shown))
            shown.add(scope)
        return wrong

    def _item(self, item: int | DraftScope) -> Draft | DraftScope:
        return item if isinstance(item, DraftScope) else self.drafts[item]

    def _holds_state(self, item: int | DraftScope, known: dict[DraftScope, bool]) -> bool:
        if isinstance(item, DraftScope):
            if item not in known:
                known[item] = any(self._holds_state(inner, known) for inner in item.drafts)
            return known[item]
        op = self.drafts[item].op
        if type(op).weights is Op.weights and type(op).buffers is Op.buffers:
            return False
        shapes = self.inputs(self.drafts[item])
        return bool(op.weights(*shapes) or op.buffers(*shapes))

    def _break(self, scope: DraftScope) -> Label | None:
        """Return what ends the chain of a scope: not an unlabelled module that reads the one value before it."""
        flow = self.coming[scope]
        for item in scope.drafts:
            one = self._item(item)
            behind = follow(one, self._reads(item), self.results(item), flow)
            if isinstance(behind, Label):
                joint = next((other for other in map(self._item, scope.drafts) if self._joins(other)), None)
                if joint is not None and isinstance(one, Draft) and one.op.wiring:
                    return Label(joint.span, f"{joint.op.name} joins values, which ends the chain")
                return behind
            flow = behind
        if self.leaving[scope] != flow:
            return Label(scope.span, "this ends with something else than its last step makes")
        return None

    @staticmethod
    def _joins(one: Draft | DraftScope) -> TypeGuard[Draft]:
        return isinstance(one, Draft) and one.op.wiring and len(one.inputs) > 1

    def _needs_label(self, item: int | DraftScope, scope: DraftScope, end: Label, shown: bool) -> Diagnostic:
        """Return the error for an item; `end` is what ends its chain, `shown` whether one before says that."""
        one = self._item(item)
        what = (one.block or "the group") if isinstance(one, DraftScope) else one.op.name
        where = {"net": f"the net {scope.block}", "block": f"block {scope.block}"}.get(scope.kind, scope.path)
        message = f"{what} needs a label: it holds weights, and {where} is not one chain of unlabelled steps"
        written = re.match(r"[A-Za-z]\w*", one.span.text)  # a conv, where its norm has no label
        name = written[0].lower() if written and not isinstance(one, DraftScope) else what.lower()
        name = name if name.isidentifier() else "part"
        loop = _loop(one.span, scope)
        own = next(label for label in _labels(name, loop) if label not in scope.taken)
        scope.taken[own] = one.span
        if one.span.text == "()":
            help = f"{own}:"
        elif "\n" in one.span.text:
            help = ""
        else:
            help = f"{own}: {one.span.text}" if _is_line(one.span) else f"{one.span.text} as {own}"
        here = end.span == one.span
        note, labels = (end.message, ()) if here else ("", () if shown else (end,))
        return Diagnostic("E221", message, one.span, note, labels=labels, calls=one.calls, help=help)

    # ---------------------------------------------------------------- the graph

    def inputs(self, draft: Draft) -> list[Shape]:
        """Return the shapes that a draft reads."""
        return [self.drafts[w.draft].shapes[w.port] for w in draft.inputs]

    def graph(
        self, inputs: Mapping[str, int], tables: tuple[Inits, ...], evaluator: Evaluator
    ) -> tuple[Graph, dict[str, tuple[Shape, ...]]]:
        """Return the graph and the shapes by name. `tables` are the initialisers of the file and the net."""
        names = self._names()
        value = {
            wire: Value(name, wire.port)
            for name, draft in zip(names, self.drafts, strict=True)
            for wire in draft.results
        }
        graph = Graph()
        shapes: dict[str, tuple[Shape, ...]] = {}
        moved = any(scope.order for scope in self.scopes)
        for index in self._computed(self.scopes[0]) if moved else range(len(names)):
            name, draft = names[index], self.drafts[index]
            values = tuple([value[w] for w in draft.inputs])
            first = draft if draft.original is None else self.drafts[draft.original]
            op = self._decided(first, tables, evaluator)
            given = draft.argument in self.given
            module = names[draft.original] if draft.original is not None and not op.wiring else ""
            more = draft.stage, draft.train, given, draft.counted, module, draft.sources
            graph.add(Node(name, op, values, draft.span, draft.calls, *more))
            shapes[name] = draft.shapes
            if draft.module:
                draft.scope.modules[name] = draft.scope.join(draft.module)
        graph.inputs = {name: names[i] for name, i in inputs.items()}
        graph.outputs = tuple(Output(name, value[wire], train) for name, wire, train in self.outputs)
        for scope in self.scopes:
            scope.inputs = tuple([value[w] for w in self.coming[scope]])
            scope.outputs = tuple([value[w] for w in self.leaving[scope]])
            scope.names = {value[w]: name for w, name in scope.named.items()}
            scope.written = [item if isinstance(item, DraftScope) else names[item] for item in scope.drafts]
        for scope in self.scopes:
            scope.forget()
        graph.tree = self.scopes[0]
        return graph, shapes

    def _names(self) -> list[str]:
        """Return every draft's path; wiring is called after its op, with the first number that is free."""
        names: list[str] = []
        numbers: dict[tuple[DraftScope, str], int] = {}
        for draft in self.drafts:
            scope, key = draft.scope, draft.key
            if not key:
                kind = draft.op.name
                number = numbers.get((scope, kind), 1)
                key = kind if number == 1 else f"{kind}{number}"
                while key in scope.taken:
                    number += 1
                    key = f"{kind}{number}"
                numbers[scope, kind] = number + 1
                scope.taken[key] = draft.span
            names.append(scope.join(key))
        return names

    def _decided(self, draft: Draft, tables: tuple[Inits, ...], evaluator: Evaluator) -> Op:
        """Return a draft's op with its ramps as numbers and its initialisers: own, block's, net's, file's."""
        op = draft.op
        if draft.ramps:
            op = op.replace(**{k: evaluator.resolve(ramp) for k, ramp in draft.ramps.items()})
            try:
                op.infer(*self.inputs(draft))
            except OpError as error:
                message = f"{op.name}: {error.message}"
                raise NetError([Diagnostic("E301", message, draft.span, calls=draft.calls)]) from None
        if type(op).weights is Op.weights:
            return op
        tables += draft.inits
        if not (op.inits or any(tables)):
            return op
        at = (id(op), *[id(table) for table in tables if table])
        if at not in self._begun:
            self._begun[at] = self._begin(op, draft, tables), op  # whose id stays its own
        return self._begun[at][0]

    def _begin(self, op: Op, draft: Draft, tables: tuple[Inits, ...]) -> Op:
        """Return a draft's op with its initialisers."""
        weights = {**op.weights(*self.inputs(draft)), **op.buffers(*self.inputs(draft))}
        said = {**initialisers(op, tables), **op.inits}
        inits = {key: init for key, init in said.items() if key in weights}
        for key, init in inits.items():
            if init.kind in Init.FIXED and key:
                message = f"{op.name}: {init.kind} is no way to start {key}"
                raise NetError([Diagnostic("E301", message, draft.span, calls=draft.calls)])
            if init.kind.startswith(("kaiming", "xavier", "fan")) and len(weights[key]) < 2:
                what = f"{op.name}: {init.kind} needs a tensor with inputs and outputs"
                message = f"{what}, {key or 'this'} has one axis of {weights[key][0]}"
                help = "another initialiser, such as zeros or normal(0, 0.02)"
                raise NetError([Diagnostic("E301", message, draft.span, calls=draft.calls, help=help)])
        kept = {key: init for key, init in inits.items() if init != DEFAULT_INIT}
        same = (id(op), *kept.items())
        if same not in self.shared.begun:
            self.shared.begun[same] = op.replace(inits=kept), op
        return self.shared.begun[same][0]


def coming(scope: DraftScope, reads: Iterable[tuple[Wire, ...]]) -> tuple[Wire, ...]:
    """Return what a scope reads from outside, by what its items read: a block's declared inputs first."""
    begin = scope.begin
    used = {wire: None for wires in reads for wire in wires if wire.draft < begin}
    used.update((wire, None) for wire in scope.exit if wire.draft < begin)
    declared = scope.entry if scope.kind == "block" else tuple([w for w in scope.entry if w in used])
    return tuple(dict.fromkeys((*declared, *used)))


def follow(
    one: Draft | DraftScope, reads: tuple[Wire, ...], results: tuple[Wire, ...], flow: tuple[Wire, ...]
) -> tuple[Wire, ...] | Label:
    """Return what flows behind a step of a chain, or what ends the chain there.

    Each step is an unlabelled module that reads the one value before it.
    """
    if isinstance(one, Draft):
        if isinstance(one.op, Input):
            return (*flow, *results)
        if one.op.wiring or not one.op.sequential:
            return Label(one.span, f"{one.op.name} is no module that a chain may have")
    if one.labelled:
        return Label(one.span, "a label ends the chain")
    if len(flow) != 1 or reads != flow:
        return Label(one.span, "this reads something else than the step before makes")
    return results


def _loop(span: Span, scope: DraftScope) -> str:
    """Return the variable of the loop that a step is in, the innermost one; "" if it is in none."""
    loops = [piece for line in scope.body for piece in tree.pieces(line) if isinstance(piece, tree.For)]
    around = [loop for loop in loops if any(piece.start == span.start for piece in tree.pieces(loop))]
    return around[-1].names[0].text if around else ""


def _labels(name: str, loop: str) -> Iterator[str]:
    """Yield labels for a layer, in a loop with its variable: conv1, conv2, or conv{i}, conv2_{i}."""
    if loop:
        yield f"{name}{{{loop}}}"
    yield from (f"{name}{i}_{{{loop}}}" if loop else f"{name}{i}" for i in count(2 if loop else 1))


def _is_line(span: Span) -> bool:
    """Tell whether a step is all that its line has, but for comments and a condition."""
    text = span.source.text
    before = text[text.rfind("\n", 0, span.start) + 1 : span.start]
    after = text[span.end :].partition("\n")[0].partition("#")[0].strip()
    return not before.strip() and (not after or after.startswith("when "))
