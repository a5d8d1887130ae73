"""What each of several devices does at a layer, so that it makes its share of the channels, or all of them.

What an op does with shares of equal neighbours it says itself (`Op.share`). Here is what follows of that for shares
that lie otherwise, as behind a concatenation, and for what moves channels about or leaves them where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import gcd

from netdsl.ir.types import Shape
from netdsl.ops import Op
from netdsl.ops.dropout import DropPath
from netdsl.ops.joint import Concat
from netdsl.ops.layout import Map, Permute, Tokens
from netdsl.ops.part import Split
from netdsl.record import Record

Runs = tuple[int, ...]
"""How a share lies in its value: runs of neighbouring channels, of each of which every device has as many; () if it
has all channels, which is no share."""


class Doing(Record):
    """What a device does at a layer."""

    op: Op
    reads: tuple[Runs, ...]
    """By input what it needs of that."""
    makes: tuple[Runs, ...]
    """By output what it has of that."""
    whole: bool = False
    """Whether it has all of the weights."""
    same: bool = False
    """Whether it has to draw the same numbers as the others."""


class Place(Record):
    """A layer, and what devices have of what it reads."""

    op: Op
    x: tuple[Shape, ...]
    held: tuple[Runs, ...]
    devices: int

    def ways(self) -> Iterator[Doing]:
        """Yield what a device may do, the best first: with what it has, with all, all of it."""
        yield from self.moved()
        yield from self.by_channels()
        yield from self.by_filters()
        yield self.by_all()

    def by_all(self) -> Doing:
        """Return what each device does by itself, with all channels."""
        whole = self.reading(())
        return Doing(self.op, whole, ((),) * len(self.outputs), bool(self.state(self.op, self.x)), self.draws)

    @property
    def outputs(self) -> tuple[Shape, ...]:
        """What it makes."""
        return self.op.outputs(*self.x)

    @property
    def learned(self) -> Mapping[str, tuple[int, ...]]:
        """Its weights."""
        return self.op.weights(*self.x)

    @property
    def draws(self) -> bool:
        """Whether it draws numbers in training."""
        return self.op.draws and not self.op.idle(*self.x)

    def moved(self) -> Iterator[Doing]:
        """Yield how shares are joined, or parted where their runs end."""
        op, held = self.op, self.held
        if isinstance(op, Concat) and op.axis == "c" and any(held):
            reads = tuple([runs or (shape.c,) for runs, shape in zip(held, self.x, strict=True)])
            if all(run % self.devices == 0 for runs in reads for run in runs):
                yield Doing(op, reads, (tuple([run for runs in reads for run in runs]),))
        if isinstance(op, Split) and held[0]:
            parts = [shape.c for shape in self.outputs]
            ends = [*accumulate(held[0])]
            if {*accumulate(parts)} <= {*ends}:
                makes = tuple(
                    [
                        tuple([run for run, at in zip(held[0], ends, strict=True) if end - part < at <= end])
                        for part, end in zip(parts, accumulate(parts), strict=True)
                    ]
                )
                equal = isinstance(op.parts, int)
                own = op if equal else op.replace(parts=tuple([part // self.devices for part in parts]))
                yield Doing(own, held, makes)

    def by_channels(self) -> Iterator[Doing]:
        """Yield what is done with shares of all that is read: as they are there, or as neighbours.

        What has a state or draws numbers is so even of wholes, so that no weights are on several devices, and no
        numbers need to be the same there.
        """
        found = [runs for runs in self.held if runs]
        if self.learned or self.op.buffers(*self.x) or self.draws:
            found += [(shape.c,) for shape in self.x[:1] if "c" in shape.axes]
        for runs in dict.fromkeys(found):
            reads = self.reading(runs)
            if any(run % self.devices for run in runs) or any(
                read == runs and sum(runs) != shape.c for read, shape in zip(reads, self.x, strict=True)
            ):
                continue
            op = self.shared(runs)
            if op is not None and (whole := self.fits(op, reads)) is not None:
                makes = [
                    tuple([run * shape.c // self.x[0].c for run in runs]) if "c" in shape.axes else ()
                    for shape in self.outputs
                ]
                yield Doing(op, reads, tuple(makes), whole, self.draws and self.samples)

    def reading(self, runs: Runs) -> tuple[Runs, ...]:
        """Return what is read to have all inputs in such runs, or whole: of some no more than the size, as it is."""
        found = zip(self.held, self.reach, strict=True)
        return tuple([runs if seen else held for held, seen in found])

    @property
    def reach(self) -> tuple[bool, ...]:
        """By input whether its numbers are read, and not only its size."""
        return tuple([field is not None for field in self.op.reach(*self.x)])

    @property
    def samples(self) -> bool:
        """Whether what it draws is for whole samples, whatever their channels."""
        return isinstance(self.op, DropPath)

    def shared(self, runs: Runs) -> Op | None:
        """Return what makes a share of shares that lie in such runs."""
        op = self.op
        stays = isinstance(op, Permute | Tokens | Map) or (isinstance(op, Concat) and op.axis != "c")
        if stays or self.samples:
            return op
        own = (True,) * len(self.x)
        block = gcd(*[run // self.devices for run in runs])  # what treats blocks so large by themselves does
        if self.x[0].c % block or op.share(self.x[0].c // block, own, *self.x) is None:
            return None
        return op.share(self.devices, own, *self.x)

    def by_filters(self) -> Iterator[Doing]:
        """Yield what makes a share of all channels, with its share of the weights."""
        whole = self.reading(())
        op = self.op.share(self.devices, (False,) * len(self.x), *self.x) if self.learned else None
        if op is not None and self.fits(op, whole) is False:
            yield Doing(op, whole, tuple([(shape.c,) for shape in self.outputs]))

    def fits(self, op: Op, reads: Sequence[Runs]) -> bool | None:
        """Tell whether a device's op has all of the weights, or none of them whole; None if it makes no share."""
        parts = self.parts(reads)
        if any(shape.c % self.devices for shape in self.outputs):
            return None
        if op.outputs(*parts) != tuple([part(shape, self.devices) for shape in self.outputs]):
            return None
        every, mine = self.state(self.op, self.x), self.state(op, parts)
        if every and mine == every:
            return True
        return (
            False
            if all(self.divided(sizes, mine[name]) is not None for name, sizes in every.items())
            else None
        )

    def parts(self, reads: Sequence[Runs]) -> list[Shape]:
        """Return the shapes of what a device reads."""
        found = zip(self.x, reads, strict=True)
        return [part(shape, self.devices) if runs else shape for shape, runs in found]

    @staticmethod
    def state(op: Op, x: Sequence[Shape]) -> Mapping[str, tuple[int, ...]]:
        """Return the sizes of what an op holds, counters aside."""
        held = {**op.weights(*x), **op.buffers(*x)}
        return {name: sizes for name, sizes in held.items() if sizes}

    def divided(self, sizes: Sequence[int], mine: Sequence[int]) -> int | None:
        """Return the axis that is divided among the devices; None if that is not one alone."""
        found = [axis for axis, (one, own) in enumerate(zip(sizes, mine, strict=True)) if one != own]
        fits = len(found) == 1 and sizes[found[0]] == mine[found[0]] * self.devices
        return found[0] if fits else None

    def axes(self, doing: Doing) -> Mapping[str, int]:
        """Return, by tensor that is divided, along which axis."""
        parts = [
            part(shape, self.devices) if runs else shape
            for shape, runs in zip(self.x, doing.reads, strict=True)
        ]
        mine = self.state(doing.op, parts)
        found = {name: self.divided(sizes, mine[name]) for name, sizes in self.state(self.op, self.x).items()}
        return {name: axis for name, axis in found.items() if axis is not None}


def part(shape: Shape, devices: int) -> Shape:
    """Return the shape of a device's share."""
    return shape.with_size("c", shape.c // devices)
