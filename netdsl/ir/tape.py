"""Training as autograd sees it: tensors with the order in which they lie, and what is kept for backward.

An op runs on a `Tape` as emitted PyTorch does, but for numbers: it makes tensors and views of them, and says
what it keeps. Whether `reshape` looks at its input or copies it, and so what is kept, follows from strides, so
tensors have them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import NamedTuple

from netdsl.ir.types import Shape

Sizes = tuple[int, ...]


class Storage:
    """What a tensor and its views lie in."""

    __slots__ = ("factors", "learned", "nbytes")

    def __init__(self, *factors: int, learned: bool = False) -> None:
        """Hold so many bytes, sizes times the bytes of one; `learned` is the module's: a parameter or a buffer."""
        self.factors = factors
        self.nbytes = prod(factors)
        self.learned = learned

    @property
    def itemsize(self) -> int:
        """Return the bytes of an element."""
        return self.factors[-1]


class Tensor:
    """A tensor without its numbers: sizes with the batch, strides in elements, whether it needs a gradient."""

    __slots__ = ("grad", "maker", "port", "sample", "sizes", "storage", "strides")

    def __init__(self, sizes: Sizes, strides: Sizes, storage: Storage, grad: bool) -> None:
        """Lie in a storage."""
        self.sizes = sizes
        self.strides = strides
        self.storage = storage
        self.grad = grad
        self.maker: Step | None = None
        """The step that made it, if that has a gradient."""
        self.port = 0
        """Which of the outputs of that it is."""
        self.sample = Shape(1)
        """The shape of one sample, with its named axes, where it is a value of the net."""

    def named(self, shape: Shape) -> Tensor:
        """Return the same tensor as a value of the net, with the shape of one sample."""
        x = Tensor(self.sizes, self.strides, self.storage, self.grad)
        x.maker, x.port, x.sample = self.maker, self.port, shape
        return x

    def alone(self) -> Tensor:
        """Return the same tensor as one that needs no gradient."""
        x = Tensor(self.sizes, self.strides, self.storage, False)
        x.sample = self.sample
        return x

    def dim(self, axis: str) -> int:
        """Return where a named axis is, counted from the end: a learned tensor may have no axis for samples."""
        return self.sample.axis(axis) - len(self.sample)

    @property
    def elements(self) -> int:
        """How many numbers it has."""
        return prod(self.sizes)

    @property
    def contiguous(self) -> bool:
        """Whether it lies in the order of its axes, without gaps."""
        return is_contiguous(self.sizes, self.strides)

    @property
    def channels_last(self) -> bool:
        """Whether it is maps whose channels lie side by side, which most kernels keep so."""
        if len(self.sizes) != 4 or self.strides[1] == 0:
            return False
        least = 0
        for axis in (1, 3, 2, 0):
            if self.sizes[axis] == 0 or self.strides[axis] < least:
                return False
            if axis == 0 and least == self.strides[1]:
                return False  # one channel and one place: in order
            least = self.strides[axis] * max(self.sizes[axis], 1)
        return True


Back = Callable[[Tensor, Tensor], Tensor]
"""What makes the gradient of what was read, the second, of that of what was made of it, the first."""


class Step:
    """One step of a tape: what it made needs a gradient, and gives one to what it read."""

    __slots__ = (
        "at",
        "back",
        "keeps",
        "late",
        "layer",
        "looks",
        "number",
        "ordered",
        "parts",
        "reads",
        "scratch",
        "within",
    )

    def __init__(self, number: int, reads: Sequence[Tensor], keeps: Sequence[Storage], back: Back) -> None:
        """Be a step whose gradients `back` makes.

        `reads` need a gradient; `number` is its place on the tape, and backward goes the other way.
        """
        self.number = number
        self.reads = reads
        self.keeps = keeps
        self.back = back
        self.scratch = 0
        """The bytes of what is made beside the gradients and dropped at once."""
        self.layer = ""
        """The layer that ran."""
        self.at = 0
        """Which of the tape's turns that was."""
        self.looks = False
        """Whether what it makes is a view of what it reads."""
        self.parts: Sequence[Tensor] = ()
        """What it makes, if that is several tensors: going back, those without a gradient get zeros."""
        self.ordered: Tensor | None = None
        """What its gradient has to lie like, in order or with channels last, or is copied for as long as it runs."""
        self.within: Step | None = None
        """The step before it that keeps what is kept for what it makes, if another does."""
        self.late = False
        """Whether any of what it keeps is there only once it has run."""


def in_order(sizes: Sequence[int]) -> Sizes:
    """Return the strides of a new tensor."""
    strides, step = [], 1
    for size in reversed(sizes):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def is_contiguous(sizes: Sizes, strides: Sizes) -> bool:
    """Tell whether a tensor lies in the order of its axes; the stride of an axis of one says nothing.

    A gradient may have further axes of one before those of its tensor.
    """
    step = 1
    for size, stride in zip(reversed(sizes), reversed(strides), strict=False):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def is_dense(sizes: Sizes, strides: Sizes) -> bool:
    """Tell whether a tensor fills its place in some order of its axes, each number once."""
    step = 1
    for stride, size in sorted(
        (stride, size) for size, stride in zip(sizes, strides, strict=True) if size > 1
    ):
        if stride != step:
            return False
        step *= size
    return True


def view_strides(sizes: Sizes, strides: Sizes, new: Sizes) -> Sizes | None:
    """Return the strides of a tensor that is looked at with other sizes; None if it has to be copied.

    Axes that lie in one another as if they were one may be divided anew (torch's `computeStride`).
    """
    if not sizes:
        return (1,) * len(new)
    found = [0] * len(new)
    at = len(new) - 1
    base, numbers, taken = strides[-1], 1, 1
    for axis in range(len(sizes) - 1, -1, -1):
        numbers *= sizes[axis]
        if axis and (sizes[axis - 1] == 1 or strides[axis - 1] == numbers * base):
            continue
        while at >= 0 and (taken < numbers or new[at] == 1):
            found[at] = taken * base
            taken *= new[at]
            at -= 1
        if taken != numbers:
            return None
        if axis:
            base, numbers, taken = strides[axis - 1], 1, 1
    return tuple(found) if at < 0 else None


def broadcast(tensors: Sequence[Tensor]) -> Sizes:
    """Return the sizes of what is computed of tensors element by element."""
    rank = max(len(x.sizes) for x in tensors)
    return tuple(
        max(x.sizes[at - rank] if len(x.sizes) >= rank - at else 1 for x in tensors) for at in range(rank)
    )


def elementwise_strides(tensors: Sequence[Tensor], sizes: Sizes) -> Sizes:
    """Return the strides of what is computed of tensors element by element (torch's `TensorIterator`)."""
    alike = all(x.sizes == sizes for x in tensors)
    if alike and all(x.contiguous for x in tensors):
        return in_order(sizes)
    first = tensors[0].strides
    if alike and all(x.strides == first for x in tensors) and is_dense(sizes, first):
        return first
    rank = len(sizes)
    steps = []
    for x in tensors:
        lead = rank - len(x.sizes)
        own = [0] * lead
        own += [
            0 if size == 1 and sizes[lead + at] != 1 else stride
            for at, (size, stride) in enumerate(zip(x.sizes, x.strides, strict=True))
        ]
        steps.append(own)

    def is_outside(a: int, b: int) -> int:
        """Tell whether axis a lies outside of b: 1, inside: -1, or neither."""
        for own in steps:
            if own[a] and own[b]:
                if own[a] != own[b]:
                    return -1 if own[a] < own[b] else 1
                if sizes[a] > sizes[b]:
                    return 1
        return 0

    order = list(range(rank - 1, -1, -1))  # innermost first
    for at in range(1, rank):
        moving = at
        for other in range(at - 1, -1, -1):
            found = is_outside(order[other], order[moving])
            if found > 0:
                order[other], order[moving] = order[moving], order[other]
                moving = other
            elif found < 0:
                break
    strides, step = [0] * rank, 1
    for axis in order:
        strides[axis] = step
        step *= sizes[axis]
    return tuple(strides)


def same(grad: Tensor, x: Tensor) -> Tensor:
    """Return the gradient of what was made itself."""
    return grad


class Moment(NamedTuple):
    """What is alive when a kernel has run, but for the module itself."""

    at: int
    """The turn that runs."""
    steps: int
    """How many steps there were."""
    bytes: int
    storages: frozenset[Storage]
    """What is alive whether it is kept for backward or not."""


class Tape:
    """What is made while a net runs in training, and what is kept of it for backward."""

    def __init__(self, batch: int, itemsize: int) -> None:
        """Run a batch of samples of elements of so many bytes."""
        self.batch = batch
        self.itemsize = itemsize
        self.statistics = max(itemsize, 4)
        """The bytes of a mean or deviation, which norms take in float32 at least."""
        self.layer = ""
        """The layer that runs."""
        self.turns: list[str] = []
        """The layers in the order in which they ran; what adds part by part has several turns."""
        self.held: dict[Storage, int] = {}
        """How often names hold what."""
        self.parameters: tuple[Tensor, ...] = ()
        """What that learns."""
        self.layers: dict[str, tuple[Tensor, ...]] = {}
        """What each layer learns."""
        self.steps = 0
        self.writes = False
        """Whether that writes its output over its first input."""
        self.kept: dict[Storage, str] = {}
        """The storages that are kept, but for those of the module itself, and which layer kept each first."""
        self.bytes = 0
        """How many bytes they are."""
        self.apart: set[str] = set()
        """The layers whose bias is added to their product in a step by itself."""
        self.moments: list[Moment] = []

    def enter(self, layer: str) -> None:
        """Let a layer run."""
        self.layer = layer
        self.turns.append(layer)

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Let a name hold tensors."""
        for x in tensors:
            if not x.storage.learned:
                self.held[x.storage] = self.held.get(x.storage, 0) + 1

    def drop(self, tensors: Iterable[Tensor]) -> None:
        """Let a name hold tensors no more."""
        for x in tensors:
            if not x.storage.learned:
                self.held[x.storage] -= 1
                if not self.held[x.storage]:
                    del self.held[x.storage]

    @contextmanager
    def holding(self, *tensors: Tensor) -> Iterator[None]:
        """Let names hold tensors for a while."""
        self.hold(tensors)
        yield
        self.drop(tensors)

    @contextmanager
    def sized_as(self, itemsize: int) -> Iterator[None]:
        """Make new tensors of elements of so many bytes for a while."""
        before, self.itemsize = self.itemsize, itemsize
        yield
        self.itemsize = before

    def note(self, *alive: Tensor) -> None:
        """Note that tensors are alive beside what is kept and what names hold."""
        storages = {x.storage for x in alive if not x.storage.learned}
        storages.update(self.held)
        own = sum([storage.nbytes for storage in storages if storage not in self.kept])
        self.moments.append(Moment(len(self.turns) - 1, self.steps, self.bytes + own, frozenset(storages)))

    @property
    def peak(self) -> int:
        """The most that is alive in forward: what is kept, what a kernel reads and makes, what names hold."""
        return max([moment.bytes for moment in self.moments], default=0)

    # ---------------------------------------------------------------- new tensors

    def new(self, sizes: Iterable[int], grad: bool = False, itemsize: int = 0, strides: Sizes = ()) -> Tensor:
        """Return a new tensor; a gradient is needed where one was needed of what it is made of."""
        sizes = tuple(sizes)
        storage = Storage(*sizes, itemsize or self.itemsize)
        return Tensor(sizes, strides or in_order(sizes), storage, grad)

    def learned(self, sizes: Iterable[int], grad: bool = True) -> Tensor:
        """Return a tensor of the module itself, a parameter, or a buffer, which needs no gradient."""
        sizes = tuple(sizes)
        return Tensor(sizes, in_order(sizes), Storage(*sizes, self.itemsize, learned=True), grad)

    def strides_of(self, x: Tensor, sizes: Sizes) -> Sizes:
        """Return the strides of new maps made of others, whose channels lie last where those of the others do."""
        if len(sizes) != 4 or not x.channels_last:
            return in_order(sizes)
        _, c, h, w = sizes
        return (h * w * c, 1, w * c, c)

    def lone(self, x: Tensor, sizes: Sizes) -> Tensor:
        """Return one number as a tensor of those sizes."""
        return Tensor(sizes, (0,) * len(sizes), x.storage, False)

    def sized(self, shape: Shape) -> Sizes:
        """Return the sizes of a batch of samples."""
        return (self.batch, *shape)

    def keep(self, y: Tensor, *tensors: Tensor) -> Tensor:
        """Keep tensors, what was made or others, for its gradient, if it needs one; return it."""
        if y.maker is not None:
            step = y.maker.within or y.maker
            kept = [x.storage for x in tensors or (y,) if not x.storage.learned]
            step.keeps = (*step.keeps, *kept)
            step.late |= y.storage in kept
            for storage in kept:
                if storage not in self.kept:
                    self.kept[storage] = self.layer
                    self.bytes += storage.nbytes
        return y

    def stepped(self, y: Tensor, reads: Sequence[Tensor], back: Back | None = None) -> Tensor:
        """Return a tensor as what a step makes of others."""
        reads = [x for x in reads if x.grad]
        y.grad = bool(reads)
        y.maker = Step(self.steps, reads, (), back or partial(self.laid, (y,))) if reads else None
        if y.maker is not None:
            y.maker.layer, y.maker.at = self.layer, len(self.turns) - 1
        self.steps += 1
        return y

    def made(
        self,
        sizes: Iterable[int],
        *reads: Tensor,
        keep: Sequence[Tensor] = (),
        extra: Sequence[int] = (),
        learns: Sequence[Tensor] = (),
        strides: Sizes = (),
        back: Back | None = None,
    ) -> Tensor:
        """Return what one kernel makes of what it reads, and `learns`.

        If anything of that needs a gradient, what is to be kept is, and so are new numbers of
        `extra` bytes: sizes, and last the bytes of one.
        """
        back = back or partial(self.laid, (*reads, *learns)[:1])
        y = self.stepped(self.new(sizes, strides=strides), (*reads, *learns), back)
        if keep:
            self.keep(y, *keep)
        beside = [self.new(extra[:-1], itemsize=extra[-1])] if extra else []
        if beside and y.maker is not None:
            self.keep(y, *beside)
            y.maker.late = True
        self.note(*reads, *learns, y, *beside)
        return y

    def pointwise(
        self,
        *reads: Tensor,
        keep: Sequence[Tensor] = (),
        learns: Sequence[Tensor] = (),
        back: Back | None = None,
    ) -> Tensor:
        """Return what is made of tensors element by element."""
        sizes = broadcast(reads)
        strides = elementwise_strides(reads, sizes)
        return self.made(sizes, *reads, keep=keep, learns=learns, strides=strides, back=back or self.spread)

    def laid(self, first: Sequence[Tensor], grad: Tensor, x: Tensor) -> Tensor:
        """Return a new gradient, with its channels last where those of the first that is read are."""
        return self.new(x.sizes, strides=self.strides_of(first[0], x.sizes))

    def filled(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return a new gradient that lies in order."""
        return self.new(x.sizes)

    def spread(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return a new gradient as large as what was made, before it is summed to the size of what was read."""
        return self.new(grad.sizes, strides=elementwise_strides((grad, x), grad.sizes))

    def spread_as_read(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return a new gradient likewise, which lies as what was read does."""
        return self.new(grad.sizes, strides=elementwise_strides((x, grad), grad.sizes))

    def laid_as_given(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return a new gradient, with its channels last where those of the gradient of what was made are."""
        return self.new(x.sizes, strides=self.strides_of(grad, x.sizes))

    def repeated(self, axes: Collection[int], keep: bool, looks: bool, grad: Tensor, x: Tensor) -> Tensor:
        """Return a new gradient of what was made one of along axes, which it still has if `keep`.

        Each place has the same, or a share by what was read there if that `looks` at it.
        """
        strides = list(grad.strides)
        for axis in () if keep else sorted(axes):
            strides.insert(axis, 0)
        strides = [0 if axis in axes else stride for axis, stride in enumerate(strides)]
        wide = Tensor(x.sizes, tuple(strides), grad.storage, False)
        return self.new(x.sizes, strides=elementwise_strides((wide, x) if looks else (wide,), x.sizes))

    def looked_at(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return a part of a gradient as large as what was read."""
        return Tensor(x.sizes, grad.strides, grad.storage, False)

    def cast(self, x: Tensor) -> Tensor:
        """Return a copy with elements as large as those of new tensors; its gradient has elements as large as its."""
        return self.pointwise(x, back=self.cast_back)

    def cast_back(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return a gradient with elements as large as those of what was read."""
        return self.new(x.sizes, itemsize=x.storage.itemsize, strides=elementwise_strides((grad,), x.sizes))

    def clone(self, x: Tensor) -> Tensor:
        """Return a copy, which lies as it does if that has no gaps; its gradient is that of the copy itself."""
        return self.pointwise(x, back=same)

    def overwritten(self, x: Tensor, *others: Tensor, back: Back | None = None) -> Tensor:
        """Return what is made of a tensor and written over it; with others it is added to.

        Writing over a view writes over what it looks at, and the view is taken anew. Going back, the gradient of the
        view is written into zeros, that of what it looks at is copied, and its part copied once more, worked out and
        written back.
        """
        y = Tensor(x.sizes, x.strides, x.storage, x.grad)
        if x.maker is None or not x.maker.looks:
            return self.stepped(y, (x, *others), same if others else back or self.spread)
        whole = x
        while whole.maker is not None and whole.maker.looks:
            (whole,) = whole.maker.reads
        written = Tensor(whole.sizes, whole.strides, whole.storage, True)
        self.stepped(
            written,
            (whole, *others),
            lambda _, x: self.new(x.sizes, strides=x.strides if x is whole else ()),  # copies lie in order
        )
        step = written.maker
        assert step is not None
        copies = 2 if not others else not any(other.grad for other in others)
        step.scratch = copies * x.elements * self.itemsize
        self.looking(y, written, lambda _, x: self.new(x.sizes, strides=x.strides))
        if y.maker is not None:
            y.maker.within = step
        return y

    def written(self, whole: Tensor, part: Tensor) -> Tensor:
        """Return a tensor when another one has been copied into a part of it.

        Going back, the gradient of the whole is copied, and its part once more; where the part was there are zeros.
        """
        y = Tensor(whole.sizes, whole.strides, whole.storage, False)
        self.stepped(y, (whole, part), self.filled)
        if y.maker is not None:
            y.maker.scratch = self.itemsize * (part if whole.grad else whole).elements
        return y

    def summed(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a + b, whose gradient is that of both."""
        return self.pointwise(a, b, back=same)

    def offset(self, x: Tensor) -> Tensor:
        """Return x plus a number, whose gradient is that of x."""
        return self.pointwise(x, back=same)

    def halved(self, x: Tensor, axis: int) -> Tensor:
        """Return what is made of the two halves of a tensor, which is kept; its gradient lies in order."""
        sizes = (*x.sizes[:axis], x.sizes[axis] // 2, *x.sizes[axis + 1 :])
        strides = elementwise_strides((Tensor(sizes, x.strides, x.storage, False),), sizes)
        return self.made(sizes, x, keep=(x,), strides=strides, back=self.filled)

    def subtracted(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a - b, whose gradient is that of a; that of b is new."""
        return self.pointwise(a, b, back=lambda grad, x: self.spread(grad, x) if x is b else grad)

    def multiplied(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a * b: for the gradient of each the other is kept."""
        return self.pointwise(a, b, keep=[x for x, other in ((b, a), (a, b)) if other.grad])

    def divided(self, a: Tensor, b: Tensor) -> Tensor:
        """Return a / b: the divisor is kept, and what is divided if the divisor needs a gradient."""
        y = self.pointwise(a, b, keep=[b, a] if b.grad else [b])
        return self.scratched(y, 2 * b.grad)  # -grad, a / b / b

    def scratched(self, y: Tensor, copies: int) -> Tensor:
        """Say that so many tensors more, as large as what was made, are made for its gradients; return it."""
        if y.maker is not None:
            y.maker.scratch = copies * y.elements * self.itemsize
        return y

    def ordered(self, y: Tensor, x: Tensor) -> Tensor:
        """Say that the gradient of what was made has to lie like what was read, without gaps; return it."""
        if y.maker is not None:
            y.maker.ordered = x
        return y

    # ---------------------------------------------------------------- views

    def view(self, x: Tensor, sizes: Iterable[int], strides: Iterable[int]) -> Tensor:
        """Return another look at a tensor, whose gradient is looked at likewise."""
        return self.looking(Tensor(tuple(sizes), tuple(strides), x.storage, x.grad), x, self.looked)

    def looking(self, y: Tensor, x: Tensor, back: Back) -> Tensor:
        """Return a tensor as a view of another."""
        self.stepped(y, (x,), back)
        if y.maker is not None:
            y.maker.looks = True
        return y

    def renamed(self, x: Tensor, *sizes: int) -> Tensor:
        """Return a tensor in order that is new, with other sizes (torch's `_unsafe_view`)."""
        return self.stepped(Tensor(sizes, in_order(sizes), x.storage, x.grad), (x,), self.looked)

    def looked(self, grad: Tensor, x: Tensor) -> Tensor:
        """Return `grad.reshape(x.sizes)`."""
        if grad.elements != x.elements:
            return self.new(x.sizes)
        strides = view_strides(grad.sizes, grad.strides, x.sizes)
        return self.new(x.sizes) if strides is None else Tensor(x.sizes, strides, grad.storage, False)

    def permuted(self, x: Tensor, *axes: int) -> Tensor:
        """Return `x.permute(axes)`."""

        def back(grad: Tensor, x: Tensor) -> Tensor:
            strides = [0] * len(axes)
            for at, axis in enumerate(axes):
                strides[axis] = grad.strides[at]
            return Tensor(x.sizes, tuple(strides), grad.storage, False)

        sizes, strides = tuple(x.sizes[at] for at in axes), tuple(x.strides[at] for at in axes)
        return self.looking(Tensor(sizes, strides, x.storage, x.grad), x, back)

    def put_in_order(self, x: Tensor, order: Sequence[int]) -> Tensor:
        """Return `x.permute(order)` where that changes anything."""
        return x if list(order) == sorted(order) else self.permuted(x, *order)

    def moved(self, x: Tensor, source: int, target: int) -> Tensor:
        """Return `x.movedim(source, target)`."""
        axes = [axis for axis in range(len(x.sizes)) if axis != source]
        axes.insert(target, source)
        return self.permuted(x, *axes)

    def transposed(self, x: Tensor, a: int, b: int) -> Tensor:
        """Return `x.transpose(a, b)`."""
        axes = list(range(len(x.sizes)))
        axes[a], axes[b] = axes[b], axes[a]
        return self.permuted(x, *axes)

    def narrowed(self, x: Tensor, axis: int, size: int, step: int = 1) -> Tensor:
        """Return so many places along an axis, every `step`-th."""
        sizes, strides = list(x.sizes), list(x.strides)
        sizes[axis], strides[axis] = size, strides[axis] * step
        return self.looking(Tensor(tuple(sizes), tuple(strides), x.storage, x.grad), x, self.filled)

    def split(self, x: Tensor, axis: int, parts: Sequence[int]) -> tuple[Tensor, ...]:
        """Return the parts of a tensor, whose gradients are joined."""
        if len(parts) == 1:
            return (x,)
        made = []
        for port, size in enumerate(parts):
            sizes = list(x.sizes)
            sizes[axis] = size
            y = Tensor(tuple(sizes), x.strides, x.storage, x.grad)
            y.port = port
            made.append(y)
        self.stepped(made[0], (x,), self.laid_as_given)
        for y in made:
            y.maker = made[0].maker
        if y.maker is not None:
            y.maker.parts = made
        return tuple(made)

    def expanded(self, x: Tensor, sizes: Sizes) -> Tensor:
        """Return `x.expand(sizes)`."""
        lead = len(sizes) - len(x.sizes)
        steps = [
            0 if own == 1 and size != 1 else stride
            for own, size, stride in zip(x.sizes, sizes[lead:], x.strides, strict=True)
        ]
        return self.view(x, sizes, [*[0] * lead, *steps])

    def reshaped(self, x: Tensor, *sizes: int) -> Tensor:
        """Return `x.reshape(sizes)`: a look at it, or a copy where there is none."""
        if -1 in sizes:
            rest = x.elements // -prod(sizes)
            sizes = tuple(rest if size == -1 else size for size in sizes)
        strides = view_strides(x.sizes, x.strides, sizes)
        if sizes == x.sizes:
            return x
        return self.made(sizes, x, back=self.looked) if strides is None else self.view(x, sizes, strides)

    def flattened(self, x: Tensor, first: int, last: int = -1) -> Tensor:
        """Return `x.flatten(first, last)`."""
        rank = len(x.sizes)
        first, last = first % rank, last % rank
        whole = prod(x.sizes[first : last + 1])
        return self.reshaped(x, *x.sizes[:first], whole, *x.sizes[last + 1 :])

    def in_order(self, x: Tensor) -> Tensor:
        """Return `x.contiguous()`."""
        return x if x.contiguous else self.made(x.sizes, x, back=same)

    def without_gaps(self, x: Tensor) -> Tensor:
        """Return the maps themselves if they lie in order or with their channels last, else a copy that does."""
        strides = self.strides_of(x, x.sizes)
        alike = [own == step for own, step, size in zip(x.strides, strides, x.sizes, strict=True) if size > 1]
        return x if all(alike) else self.made(x.sizes, x, strides=strides)

    def padded(self, x: Tensor, sizes: Iterable[int]) -> Tensor:
        """Return `F.pad(x)` of those sizes, with zeros."""
        sizes = tuple(sizes)
        if sizes == x.sizes:
            return self.pointwise(x)
        return self.made(sizes, x, strides=self.strides_of(x, sizes), back=self.laid_as_given)

    # ---------------------------------------------------------------- products

    def linear(self, x: Tensor, channels: int, learns: Sequence[Tensor]) -> Tensor:
        """Return `F.linear` of a learned weight: of rows that do not lie in order it makes a copy, and keeps that."""
        flat = len(x.sizes) <= 2
        rows = x if flat else self.reshaped(x, -1, x.sizes[-1])
        laid = partial(self.laid, (rows,))

        def back(grad: Tensor, x: Tensor) -> Tensor:
            return grad if len(x.sizes) == 1 else laid(grad, x)  # that of a bias is summed

        at_once = learns if flat or x.contiguous else learns[:1]  # else the bias is added to the product
        wide = (*rows.sizes[:-1], channels)  # going back, the bias comes first
        y = self.made(wide, *at_once[1:], rows, keep=(rows,), learns=at_once[:1], back=back)
        sizes = (*x.sizes[:-1], channels)
        if flat:
            return y
        if len(at_once) == 2:
            return self.view(y, sizes, in_order(sizes))
        y = self.renamed(y, *sizes)
        if len(learns) == 1:
            return y
        self.apart.add(self.layer)
        return self.summed(y, *learns[1:])

    def product(self, a: Tensor, b: Tensor) -> Tensor:
        """Return `a @ b`: of batches of matrices that are no view of one batch it makes copies, and keeps those."""
        if len(a.sizes) == 2 and len(b.sizes) == 2:
            return self._mm(a, b)
        if len(b.sizes) == 2 and (
            b.grad or view_strides(a.sizes, a.strides, (prod(a.sizes[:-1]), a.sizes[-1]))
        ):
            rows = self.reshaped(a, -1, a.sizes[-1])
            return self.renamed(self._mm(rows, b), *a.sizes[:-1], b.sizes[-1])
        lead = max(a.sizes[:-2], b.sizes[:-2], key=lambda sizes: (len(sizes), sizes))
        many = prod(lead)
        a, b = (self.reshaped(self.expanded(x, (*lead, *x.sizes[-2:])), many, *x.sizes[-2:]) for x in (a, b))
        return self.renamed(self._mm(a, b), *lead, a.sizes[-2], b.sizes[-1])

    def _mm(self, a: Tensor, b: Tensor) -> Tensor:
        keep = [x for x, other in ((b, a), (a, b)) if other.grad]
        return self.made((*a.sizes[:-1], b.sizes[-1]), a, b, keep=keep)
