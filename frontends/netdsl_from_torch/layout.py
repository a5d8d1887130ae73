"""How a tensor of torch lies over a value of a net: views, reshapes and permutations as algebra. Imports no torch.

A value's axes are cut into atoms, each some of an axis: of 12 channels the 3 whose neighbours lie 4 apart, and the 4
within. A tensor's dimensions are lists of atoms, so that any chain of `view`, `permute` and `flatten` is known by
what it makes, however it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from netdsl.ir.graph import Value
from netdsl.ir.types import Shape
from netdsl.record import Record

BATCH = "*"
"""What the axis of samples is called."""
REPEAT = "="
"""What an axis is called along which all is the same."""


class Unknown(Exception):
    """A tensor is none that a net can have; the message says why."""


class Follows(Unknown):
    """A call takes what an earlier one makes that has no op: that is the reason, and not this one."""


class Unfit(Unknown):
    """A tensor has other axes than what takes it; that of one that stands for a result without an op says little."""


class Atom(NamedTuple):
    """Some of an axis: `size` places of it that lie `stride` apart."""

    axis: str
    stride: int
    size: int


Dim = tuple[Atom, ...]
"""A dimension of a tensor: its atoms, the outermost first; none of them has one place."""


class Layout(Record):
    """A tensor: the value that it looks at, and how."""

    value: Value
    shape: Shape
    dims: tuple[Dim, ...]
    made: int = -1
    """Which event of the tape made it look so."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(prod(atom.size for atom in dim) for dim in self.dims)

    def with_dims(self, dims: Sequence[Dim]) -> Layout:
        """Return another look at the same value."""
        return self.replace(dims=tuple(map(_merged, dims)))

    def permuted(self, order: Sequence[int]) -> Layout:
        """Return the dimensions in another order."""
        return self.with_dims([self.dims[at] for at in order])

    def flattened(self) -> Layout:
        """Return all but the first dimension as one."""
        first, *others = self.dims
        return self.with_dims((first, tuple(atom for dim in others for atom in dim)))

    def reshaped(self, sizes: Sequence[int]) -> Layout:
        """Return all atoms in the same order, cut into dimensions of these sizes.

        Raises:
            Unknown: An atom would have to be cut where it is not whole.
        """
        left = [atom for dim in self.dims for atom in dim]
        dims: list[Dim] = []
        for size in sizes:
            dim: list[Atom] = []
            while size > 1:
                if not left:
                    raise Unfit(f"a view of {self.sizes} as {tuple(sizes)}")
                atom = left.pop(0)
                if size % atom.size == 0:
                    dim.append(atom)
                    size //= atom.size
                elif atom.size % size == 0:
                    rest = atom.size // size
                    dim.append(Atom(atom.axis, atom.stride * rest, size))
                    left.insert(0, Atom(atom.axis, atom.stride, rest))
                    size = 1
                else:
                    raise Unfit(f"a view of {self.sizes} as {tuple(sizes)}")
            dims.append(tuple(dim))
        if left:
            raise Unfit(f"a view of {self.sizes} as {tuple(sizes)}")
        return self.with_dims(dims)

    def expanded(self, sizes: Sequence[int]) -> Layout:
        """Return dimensions of one place as many that are all the same; -1 leaves one as it is."""
        dims: list[Dim] = [()] * (len(sizes) - len(self.dims)) + list(self.dims)
        own = [prod(atom.size for atom in dim) for dim in dims]
        for at, size in enumerate(sizes):
            if size not in (-1, own[at]):
                dims[at] = (Atom(REPEAT, 0, size),)
        return self.with_dims(dims)

    def beside(self, other: Layout) -> Layout:
        """Return it without repetitions that broadcasting to another tensor makes."""
        if len(self.dims) != len(other.dims):
            return self
        pairs = zip(self.dims, other.dims, strict=True)
        dims = [() if _repeats(own) and one and not _repeats(one) else own for own, one in pairs]
        return self.with_dims(dims)


class Scores(Record):
    """How much each token looks at each other, by heads: what attention by hand makes on its way."""

    q: Layout
    k: Layout
    heads: int
    scale: float
    shares: bool = False
    """Whether they are softmax's already."""


class Drawn(Record):
    """A number for each sample that is drawn: `factor` with probability `keep`, else 0."""

    keep: float
    factor: float = 1.0


class Places(Record):
    """Where the largest numbers along an axis are."""


Apart = Scores | Drawn | Places
"""What a tensor may hold that is no value of a net."""


def whole(value: Value, shape: Shape, batch: int | None) -> Layout:
    """Return a value as a tensor of its own shape, behind the axis of samples if it has one."""
    return Layout(value, shape, own_dims(shape, batch))


def own_dims(shape: Shape, batch: int | None) -> tuple[Dim, ...]:
    """Return the dimensions of a value as it is."""
    dims = [_dim(axis, size) for axis, size in zip(shape.axes, shape, strict=True)]
    return tuple(dims if batch is None else [_dim(BATCH, batch), *dims])


def _repeats(dim: Dim) -> bool:
    return len(dim) == 1 and dim[0].axis == REPEAT


def _dim(axis: str, size: int) -> Dim:
    return (Atom(axis, 1, size),) if size > 1 else ()


def _merged(dim: Sequence[Atom]) -> Dim:
    """Return a dimension with neighbours of an axis as one atom."""
    merged: list[Atom] = []
    for atom in dim:
        last = merged[-1] if merged else None
        if last is not None and last.axis == atom.axis and last.stride == atom.stride * atom.size:
            merged[-1] = Atom(atom.axis, atom.stride, last.size * atom.size)
        else:
            merged.append(atom)
    return tuple(merged)
