"""The statements of a body before they are lines: a step each, with its numbers in columns.

A column holds a value for each instance of a body: one at first, more when bodies of a class are laid over each
other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from netdsl.elaborate.values import MISSING
from netdsl.ir.graph import Value
from netdsl.record import Record

if TYPE_CHECKING:
    from netdsl.lifting.body import Body

Column = tuple[Any, ...]


class Word(str):
    """A value that is written as it is: the name of a tensor, a parameter, an expression."""

    __slots__ = ()


class Named(Record):
    """A number that a loop gives another value in each turn: one of them, and what it is called."""

    value: Any
    text: str


class OpWord(str):
    """An op as a value, with its arguments: what follows a convolution as its norm or activation."""

    __slots__ = ("op", "values")
    op: str
    values: dict[str, Any]


def op_word(op: str, values: dict[str, Any] | None = None, text: str = "") -> OpWord:
    """Return an op as a value, which is written as its name where that is all."""
    word = OpWord(text or op)
    word.op, word.values = op, values or {}
    return word


class Item:
    """A step or statement.

    Kinds: `call` (a layer or block), `same`, `box` (a container), `joint` with its branches, `branch`, `bind` (a
    value that gets a name, and does not flow), `given` (such a one that other layers make in other bodies), `name`
    (one that flows on), `from`, `repeat`, `either` (one of two calls, by a condition), `loop`, `turns` (a loop over a
    list), `stage`, `output`, and `raw` lines.
    """

    __slots__ = (
        "binds",
        "kids",
        "kind",
        "label",
        "name",
        "other",
        "present",
        "shape",
        "shrinks",
        "source",
        "turns",
        "values",
        "when",
        "wide",
    )

    def __init__(
        self,
        kind: str,
        name: str = "",
        label: str = "",
        *,
        source: Any = None,
        values: dict[str, Column] | None = None,
        kids: Iterable[Item] = (),
        binds: tuple[Any, ...] = (),
        present: Column = (True,),
    ) -> None:
        """`source` is what `from` names, None for what flows; `binds` are the names that it gives values."""
        self.kind = kind
        self.name = name
        self.label = label
        self.source = source
        self.values = values or {}
        self.kids = list(kids)
        self.binds = binds
        self.present = present
        self.when = ""
        """The condition under which it is there, when the numbers of its body have expressions."""
        self.other = False
        """Whether it is there where the one before it, which has a condition, is not."""
        self.wide: Column = ()
        """The channels of what comes into a depthwise convolution."""
        self.turns: Column = ()
        """How often a loop over a list turns; what is in it has a row for each turn."""
        self.shape = ""
        """What a step of the net makes, `64x56x56`; "" where that is not said."""
        self.shrinks = False
        """Whether that is a smaller map than what it reads."""

    def copy(self, **changes: Any) -> Item:
        """Return the same with other fields; its kids are shared."""
        made = Item(
            self.kind,
            self.name,
            self.label,
            source=self.source,
            values=dict(self.values),
            kids=self.kids,
            binds=self.binds,
            present=self.present,
        )
        made.when, made.other, made.wide = self.when, self.other, self.wide
        made.turns = self.turns
        made.shape, made.shrinks = self.shape, self.shrinks
        for field, value in changes.items():
            setattr(made, field, value)
        return made

    def all(self) -> Iterator[Item]:
        """Yield it and all within."""
        yield self
        for kid in self.kids:
            yield from kid.all()

    def skeleton(self) -> tuple[Any, ...]:
        """Return what it is but for its numbers; two of one skeleton lie over each other."""
        return (
            self.kind,
            self.name,
            self.label,
            self.source,
            self.binds,
            tuple([(key, column[0]) for key, column in self.values.items() if isinstance(column[0], Word)]),
            tuple([kid.skeleton() for kid in self.kids]) if self.kind != "turns" else (),
        )

    def __repr__(self) -> str:
        shown = [self.kind, self.name, self.label, self.source, self.values, self.kids]
        return f"<{' '.join(str(one) for one in shown if one)}>"


class Box(Item):
    """A container: the item, and the body that it will hold when values have names."""

    __slots__ = ("body", "inner")
    body: Body
    inner: dict[Value, str]
    """What it calls, within, the values that it makes."""


def everything(items: Iterable[Item]) -> Iterator[Item]:
    """Yield items and all within them."""
    for item in items:
        yield from item.all()


def padded(item: Item, before: int, after: int) -> Item:
    """Return an item that is not there in further instances."""
    absent = (MISSING,) * before, (MISSING,) * after
    return item.copy(
        values={key: (*absent[0], *column, *absent[1]) for key, column in item.values.items()},
        present=(*(False,) * before, *item.present, *(False,) * after),
        wide=(*absent[0], *item.wide, *absent[1]) if item.wide else (),
        turns=(*(0,) * before, *item.turns, *(0,) * after) if item.turns else (),
        kids=item.kids if item.turns else [padded(kid, before, after) for kid in item.kids],
    )


def skeleton(items: Sequence[Item]) -> tuple[Any, ...]:
    """Return what items are but for their numbers."""
    return tuple([item.skeleton() for item in items])
