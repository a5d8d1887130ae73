"""Which values of a body need a name, and where each of its chains begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from netdsl.ir.graph import Value
from netdsl.lifting.items import Box, Item, Word
from netdsl.ops import catalogue

if TYPE_CHECKING:
    from netdsl.lifting.body import Body, Chain

Values = tuple[Value, ...]


class Naming:
    """The names of the values of a block, with its containers.

    A value that flows to all who read it has none. Who reads another is found by placing the chains in a row, with
    what flows from each to the next; what is missing then gets a name, until nothing is.
    """

    def __init__(self, labels: Mapping[str, int]) -> None:
        """`labels` are the names that are taken."""
        self.labels = labels
        self.names: dict[Value, str] = {}
        self.needed: set[tuple[str, Value]] = set()
        """The values that need a name, with the paths of the scopes in which they are read so, and those around."""
        self.missing: set[tuple[str, Value]] = set()
        self.around: tuple[str, ...] = ()
        """The paths of the scopes that are being placed, outer ones first."""
        self.cut: set[Value] = set()
        """Values at which a chain ends, since something else reads them, too."""
        self.own: set[Value] = set()
        """Those that are called otherwise than the label of the layer that makes them."""
        self.explicit = False
        """Whether each statement of the block says what it reads, though that flows into it."""
        self.silent: set[Value] = set()
        """Those of layers that have a label which nothing follows from."""
        self.spoken: set[Value] = set()
        """Those among them that are read by it."""
        self.whole: tuple[str, ...] = ()
        """What the values are called of which what comes in is a tuple."""
        self._numbers = count(1)

    def new(self) -> str:
        """Return a new name for a value."""
        taken = {*self.labels, *self.names.values()}
        return next(
            name
            for number in self._numbers
            if (name := f"v{number}") not in taken and name not in catalogue()
        )

    def called(self, values: Values) -> tuple[str, ...]:
        """Return what values are called."""
        for value in values:
            if value not in self.names:
                self.missing |= {(path, value) for path in self.around}
        names = tuple([self.names.get(value, "flow") for value in values])
        size = len(self.whole)
        for at in range(len(names) - size + 1) if size else ():
            if names[at : at + size] == self.whole:
                return (*names[:at], "x", *names[at + size :])
        return names

    def _said(self, values: Values) -> tuple[str, ...]:
        """Return what values are called in an argument, where a label in quotes is a text."""
        for value in values:
            if self.names.get(value, "").startswith('"'):
                self.names[value] = self.new()
                self.own.add(value)
                self.cut.add(value)
                self.missing |= {(path, value) for path in self.around}
        return self.called(values)

    def place(self, body: Body, flow: Values, outputs: Values | None) -> list[Item]:
        """Return the statements of a body into which something flows; None are the outputs of what returns."""
        outer, self.around = self.around, (*self.around, body.scope.path)
        try:
            return self._place(body, flow, outputs)
        finally:
            self.around = outer

    def _place(self, body: Body, flow: Values, outputs: Values | None) -> list[Item]:
        found = list(body.first)
        stages: dict[str, Item] = {}
        stage = ""
        for at, chain in enumerate(body.chains):
            if chain.stage != stage and chain.stage:
                stages[chain.stage] = Item("stage", chain.stage)
                found.append(stages[chain.stage])
            stage = chain.stage
            later = body.chains[at + 1] if at + 1 < len(body.chains) else None
            following = later.source if later is not None else outputs or ()
            items, flow = self._chain(chain, flow, following, later is None and outputs is not None)
            (stages[stage].kids if stage else found).extend(items)
        if outputs is None:
            return found
        if len(outputs) > 1 and (flow != outputs or not found):
            found.append(Item("return", source=self.called(outputs), binds=(None,) * len(outputs)))
        elif len(outputs) == 1 and (flow != outputs or not found):
            found.append(Item("from", source=("flow",) if flow == outputs else self.called(outputs)))
        elif not found:
            found.append(Item("from", source=("flow",)))
        return found

    def _chain(self, chain: Chain, flow: Values, following: Values, ends: bool) -> tuple[list[Item], Values]:
        """Return the statements of a chain, and what flows after it; whether the body `ends` with it."""
        first = chain.steps[0]
        flow = () if self.explicit and len(self.around) == 1 else flow
        if first.kind == "input":
            return [first], (*flow, *chain.makes)
        if first.kind == "weight":
            (value,) = chain.makes
            if not first.binds:
                return [first], flow
            if value not in self.names:
                self.names[value] = self.new()
            line = first.copy(binds=())
            return [line, Item("bind", source=(first.name,), binds=(self.names[value],))], flow
        if first.kind == "return":
            return [first.copy(source=self.called(first.source))], flow
        if first.kind == "output":
            kids = self._steps(first.kids, first.source, first.source)
            if first.binds or not first.kids:  # it begins with `from`
                return [first.copy(source=self.called(first.source), kids=kids)], flow
            begin = [] if first.source == flow else [Item("from", source=self.called(first.source))]
            return [*begin, first.copy(source=None, kids=kids)], first.source
        named = not chain.key and any((self.around[-1], value) in self.needed for value in chain.makes)
        if named:
            for value in chain.makes:
                if not self.names.get(value, "").isidentifier():  # a label that is a number binds nothing
                    self.names[value] = self.new()
            names = tuple([self.names[value] for value in chain.makes])
            return self._bound(chain, names, flow, ends and following == chain.makes)
        return self._steps(chain.steps, chain.source, flow), chain.makes

    def _bound(
        self, chain: Chain, names: tuple[str, ...], flow: Values, flows: bool
    ) -> tuple[list[Item], Values]:
        """Return the statements of a chain whose value gets a name, which `flows` on or else is read by it."""
        at = chain.named_from()
        if flows or at is None:
            return [*self._steps(chain.steps, chain.source, flow), Item("name", binds=names)], chain.makes
        kind = "given" if self.own.issuperset(chain.makes) else "bind"
        before = self._steps(chain.steps[:at], chain.source, flow) if at else []
        flow = chain.steps[at - 1].binds if at else flow
        source = chain.source if not at else flow
        steps = chain.steps[at:]
        if steps[0].kind == "joint":
            return [*before, Item(kind, kids=self._steps(steps, source, flow), binds=names)], flow
        begin = None if source == flow else self.called(source)
        return [
            *before,
            Item(kind, source=begin, kids=self._steps(steps, source, source), binds=names),
        ], flow

    def _steps(self, steps: Sequence[Item], source: Values, flow: Values) -> list[Item]:
        """Return the steps of a chain that begins with `source`, where something else may flow."""
        found: list[Item] = []
        for step in steps:
            begins = not found and source and source != flow
            if isinstance(step, Box):
                inside = source if not found else flow
                outer = {value: self.names.pop(value) for value in step.binds if value in self.names}
                self.names.update(step.inner)
                kids = self.place(step.body, inside, step.body.scope.outputs)
                step.inner = {value: self.names[value] for value in step.binds if value in self.names}
                self.names.update(outer)
                item = Item("box", label=step.label, kids=kids)
                item.shape, item.shrinks = step.shape, step.shrinks
            elif step.kind == "joint":
                item = Item("joint", step.name)
                for branch in step.kids:
                    kids = self._steps(branch.kids, branch.source, flow)
                    own = None if kids or branch.source == flow else self.called(branch.source)
                    item.kids.append(Item("branch", source=own, kids=kids))
                begins = False
            else:
                item = step.copy()
                for key, column in step.values.items():
                    if isinstance(column[0], Value):
                        item.values[key] = (Word(*self._said(column)),)
            item.binds = ()
            if begins:
                item.source = self.called(source)
            found.append(item)
            flow = step.binds
        return found
