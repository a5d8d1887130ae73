"""Conformance of an op: what it says of itself, against what every backend makes of it, on its examples.

    from netdsl.testing import check

    def test_snake() -> None:
        check(Snake, reference)

The language's own ops are held to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from netdsl.api import explain_op, loads
from netdsl.backend import ExactBackend, find
from netdsl.diagnostics import NetError
from netdsl.ir.types import Shape
from netdsl.lifting.words import op_words
from netdsl.network import Network
from netdsl.ops import Example, Op, OpError
from netdsl.ops.activation import Activation
from netdsl.ops.conv import Convolution
from netdsl.ops.norm import Norm
from netdsl.ops.window import both
from netdsl.verification import draw, verify

if TYPE_CHECKING:
    from netdsl.backend import Array

Reference = Callable[[Example, "list[Array]", "dict[str, Array]"], "list[Array]"]
"""What an op computes, in numpy: of an example, inputs with a batch in front, and weights and buffers by name."""

BATCH = 3
BOUND = 1e-9
"""The largest error of a backend in float64, of the largest number."""


def check(
    op: type[Op],
    reference: Reference | None = None,
    backends: Sequence[str] = ("torch", "flax"),
    most: int | None = None,
) -> None:
    """Hold an op's examples to what it says, in every backend, alone and in a block that has channels as argument.

    That is: formulas of its counts, keys and shapes of the state, shapes, parameters, MACs as the framework counts
    them, and the same numbers in all backends in evaluation and training, gradients too. With a reference its traits
    are held too, from which lint rules and passes know it. How weights start is not looked at.

    Args:
        op: The op. Its `examples()` should cover its arguments.
        reference: What it computes, in numpy, which the first backend is compared with.
        backends: Their names.
        most: How many examples are looked at, spread over all of them; None: all.

    Raises:
        AssertionError: Something does not hold; the text says what.
        NetError: An example is no spec, or a backend cannot write it.
    """
    assert explain_op(op)
    examples = [example for example in op.examples() if example.inputs]
    assert examples or op.arity == (0, 0), f"{op.name} has no examples"
    apart = len(examples) / min(most or len(examples), len(examples)) if examples else 1
    for number in range(round(len(examples) / apart)):
        example = examples[int(number * apart)]
        _check_formulas(example)
        _check_chain(example, backends)
        nets = list(networks(example))
        unseen = example.inputs and not any(example.op.reach(*example.inputs))  # nothing has a gradient
        for net in () if unseen else nets:
            found = verify(net, backends)
            assert found.ok, f"{_line(example)}\n{found}"
        if reference is not None:
            _compare(nets[0], example, reference, backends[0])
    if reference is not None:
        check_traits(op, reference)


def check_traits(op: type[Op], reference: Reference) -> None:
    """Hold what an op says of the numbers that it makes in evaluation to what its reference makes of its examples.

    A trait that is said of an example must hold for it. One that holds for all must be said of one of them, or lint
    rules would be silent about the op: `linear`, `keeps_zero`, `channelwise`, `tokenwise`, `selects`, `product`.

    Raises:
        AssertionError: A trait does not hold, or is not said.
    """
    trials = [_Trial(example, reference) for example in op.examples() if example.inputs]
    for name, holds in _HOLDS.items():
        said = [bool(getattr(trial.op, name)) for trial in trials]
        true = [holds(trial) for trial in trials]
        for trial, claimed, held in zip(trials, said, true, strict=True):
            assert held is not False or not claimed, (
                f"{_line(trial.example)}: it says {name}, which does not hold"
            )
        meant = [held for held in true if held is not None]
        wanted = meant and name in _WANTED and (name not in _OF_ALL or len(meant) == len(trials))
        assert any(said) or not wanted or not all(meant), f"{op.name} does not say {name}, which holds"
    for trial in trials:
        why = trial.wrong()
        assert not why, f"{_line(trial.example)}: {why}"


class _Trial:
    """An example with random weights, so small that no softmax is at its end, and what its reference makes."""

    def __init__(self, example: Example, reference: Reference) -> None:
        import numpy as np

        self.example, self.op, self.reference = example, example.op, reference
        random = np.random.default_rng(1)
        tensors = {**self.op.weights(*example.inputs), **self.op.buffers(*example.inputs)}
        self.state = {name: random.uniform(0.05, 0.15, shape) for name, shape in tensors.items()}
        self.x, self.other = (
            [scale * random.standard_normal((BATCH, *shape)) for shape in example.inputs]
            for scale in (2.5, 3)
        )
        self.y = self.run(self.x)

    def run(self, x: list[Array]) -> list[Array]:
        """Return what the op makes of some inputs."""
        import numpy as np

        with np.errstate(all="ignore"):  # as of the cosine of zeros
            return self.reference(self.example, [value.copy() for value in x], dict(self.state))

    def linear(self) -> bool:
        """Tell whether f(a + b) - f(0) is f(a) - f(0) + f(b) - f(0)."""
        import numpy as np

        sums, zeros = [a + b for a, b in zip(self.x, self.other, strict=True)], [0 * a for a in self.x]
        made = zip(self.run(sums), self.y, self.run(self.other), self.run(zeros), strict=True)
        return all(np.allclose(both + none, one + other) for both, one, other, none in made)

    def keeps_zero(self) -> bool:
        """Tell whether zeros are made of zeros."""
        return not any(y.any() for y in self.run([0 * x for x in self.x]))

    def selects(self) -> bool:
        """Tell whether each number that is made is one of the first input's."""
        return {number for y in self.y for number in y.flat} <= set(self.x[0].flat)

    def passes_values(self) -> bool | None:
        """Tell whether all numbers are handed on; of tokens one may be taken."""
        if len(self.y) > 1:
            return None
        (y,) = self.y
        return set(y.flat) == set(self.x[0].flat) or (self.selects() and self.example.inputs[0].axes == "nc")

    def product(self) -> bool | None:
        """Tell whether zeros in the place of any of several inputs give zeros."""
        if len(self.x) < 2:
            return None
        made = (
            self.run([0 * x if at == zero else x for at, x in enumerate(self.x)])
            for zero in range(len(self.x))
        )
        return not any(y.any() for every in made for y in every)

    def channelwise(self) -> bool | None:
        """Tell whether another channel changes nothing; None of norms, whose averages are set aside."""
        outputs = self.op.outputs(*self.example.inputs)
        if isinstance(self.op, Norm) or len(self.x) > 1 or len(outputs) > 1 or self.op.arity != (1, 1):
            return None
        (x,), (y,) = self.example.inputs, outputs
        return self.reads("c") if y.axes == x.axes and y.c == x.c > 1 else None

    def tokenwise(self) -> bool | None:
        """Tell whether another token changes nothing."""
        (first, *others), outputs = self.example.inputs, self.op.outputs(*self.example.inputs)
        tokens = not others and outputs == (first,) and first.axes == outputs[0].axes == "nc"
        return self.reads("n") if tokens and self.op.arity == (1, 1) else None

    def reads(self, axis: str) -> bool:
        """Tell whether each place along an axis of the input changes that place of the output only."""
        import numpy as np

        (shape,), (out,) = self.example.inputs, self.op.outputs(*self.example.inputs)
        at, after = shape.axes.index(axis) + 1, out.axes.index(axis) + 1
        ((x,), (before,)) = self.x, self.y
        for place in range(x.shape[at]):
            changed = np.moveaxis(x.copy(), at, 0)
            changed[place] += 1.5
            (now,) = self.run([np.moveaxis(changed, 0, at)])
            same = np.isclose(np.moveaxis(now, after, 0), np.moveaxis(before, after, 0))
            if not np.delete(same, place, axis=0).all():
                return False
        return True

    def wrong(self) -> str:
        """Return what else does not hold that the op says; "" if all does."""
        import numpy as np

        low, high = self.op.bounds
        if isfinite(low) or isfinite(high):
            made = [y for x in (self.x, [10 * x for x in self.other]) for y in self.run(x)]
            if any(y.min() < low or y.max() > high for y in made):
                return f"it makes numbers outside of its bounds {low:g} to {high:g}"
        why = self.op.idle(*self.example.inputs)
        if why and not np.array_equal(self.y[0], self.x[0]):
            return f"it says that it hands on what it reads since {why}, but does not"
        if isinstance(self.op, Activation) and (self.op.monotonic or self.op.clips):
            return self.wrong_activation(self.op)
        if isinstance(self.op, Convolution) and self.op.plain(*self.example.inputs) and not self.op.enlarges:
            return (
                ""
                if self.slides()
                else "it says that it is plain, but zeros around a map change what it makes"
            )
        return ""

    def wrong_activation(self, op: Activation) -> str:
        """Return what does not hold of a function of one element; the samples of a batch are its arguments."""
        import numpy as np

        one = Shape(1)
        sizes = op.weights(one)
        state = {name: self.state[name].flat[:1].reshape(size) for name, size in sizes.items()}
        x = np.linspace(-50, 50, 20_001)[:, None]
        (y,) = self.reference(Example(op, (one,)), [x], state)
        if op.monotonic and (np.diff(y[:, 0]) < 0).any():
            return "it says monotonic, but falls"
        if op.clips and not np.array_equal(y, np.clip(x, *op.bounds)):
            return "it says clips, but is another function"
        return ""

    def slides(self) -> bool:
        """Tell whether zeros around a map only add windows: one kernel is at all places, and padding is zeros."""
        import numpy as np

        op = self.op
        assert isinstance(op, Convolution)
        (x,), (y,) = self.x, self.y
        rows, columns = both(op.stride)
        wide = np.pad(x, ((0, 0), (0, 0), (2 * rows, 3 * rows), (2 * columns, 3 * columns)))
        example = Example(op, (Shape(*wide.shape[1:]),))
        (made,) = self.reference(example, [wide], dict(self.state))
        h, w = y.shape[2:]
        return np.allclose(made[:, :, 2 : 2 + h, 2 : 2 + w], y)


_HOLDS: dict[str, Callable[[_Trial], bool | None]] = {
    "linear": _Trial.linear,
    "keeps_zero": _Trial.keeps_zero,
    "passes_values": _Trial.passes_values,
    "selects": _Trial.selects,
    "product": _Trial.product,
    "channelwise": _Trial.channelwise,
    "tokenwise": _Trial.tokenwise,
}
"""By trait, what tells whether it holds for an example; None: it has no meaning there."""
_WANTED = frozenset(_HOLDS) - {"passes_values"}
"""Those that must be said where they hold for all examples for which they have a meaning."""
_OF_ALL = frozenset({"channelwise"})
"""Those of them that must have a meaning for every example."""


def _check_formulas(example: Example) -> None:
    """Hold what an op counts to the factors that it gives for it."""
    cost = example.op.cost(*example.inputs)
    for count in ("params", "macs", "ops", "activations"):
        terms, number = example.op.formula(count, *example.inputs), getattr(cost, count)
        total = sum(term.value for term in terms)
        assert total == number, f"{_line(example)}: {number} {count}, but its formula gives {total}"


def _check_chain(example: Example, backends: Sequence[str]) -> None:
    """Hold an op that says that a Sequential takes it to that, behind a layer with weights."""
    op, (shape, *others) = example.op, example.inputs
    if op.wiring or not op.sequential or others or shape.axes in _TURNED:
        return
    net = loads(f"net Chain:\n    input {_sizes(shape)}\n    chain: ln -> {_line(example)}\n", "chain.net")
    for name in backends:
        try:
            net.emit(name)
        except NetError as error:
            what = f"{_line(example)}: no Sequential of {name} takes it, so it says `sequential = False`"
            raise AssertionError(what) from error


def networks(example: Example) -> Iterator[Network]:
    """Yield a net that is one op; where that can be, one of a block with it, called with twice the channels too."""
    yield loads("\n".join(_alone(example)), "alone.net")
    (first, *others) = example.inputs
    wide = tuple(shape.with_size("c", 2 * shape.c) for shape in (first, *others))
    try:
        fits = not others and first.axes == "chw" and len(example.op.outputs(*wide)) == 1
    except OpError:
        return
    if fits:
        yield loads("\n".join(_twice(example)), "twice.net")


def _compare(net: Network, example: Example, reference: Reference, name: str) -> None:
    """Compare the numbers of a backend with the reference's."""
    import numpy as np

    backend = find(name)
    assert isinstance(backend, ExactBackend), f"numbers of the {name} backend cannot be compared"
    random = np.random.default_rng(3)
    state = {key: value.astype(np.float64) for key, value in draw(net, random).items()}
    inputs = {key: random.normal(size=(BATCH, *shape)) for key, shape in net.inputs.items()}
    turned = [
        value.transpose(0, *(axis + 1 for axis in _TURNED[shape.axes])) if shape.axes in _TURNED else value
        for value, shape in zip(inputs.values(), example.inputs, strict=True)
    ]
    runner = backend.runner(net.emit(name), net, "float64")
    runner.load({tensor.key: state[tensor.parameter] for tensor in backend.tensors(net)})
    made = runner.evaluate({key: value.copy() for key, value in inputs.items()})
    own = {key.removeprefix("op").removeprefix("."): value for key, value in state.items()}
    wanted = reference(example, turned, own)
    if len(made) > 1:  # the result of a net comes first, the last part
        wanted = [wanted[-1], *wanted[:-1]]
    for got, right in zip(made.values(), wanted, strict=True):
        error = float(np.abs(got - right).max()) / max(float(np.abs(right).max()), 1e-300)
        assert error < BOUND, f"{_line(example)}: {name} is {error:.2g} off the reference"


def _line(example: Example) -> str:
    """Return an op as a spec has it, with all arguments that are not its defaults."""
    words = op_words(example.op)
    words += [f"{name}={_input(at)}" for name, at in example.op.further(*example.inputs).items()]
    return f"{example.op.name} {', '.join(words)}".rstrip()


def _plain(example: Example) -> int:
    """Return how many of the inputs are none that are given by name."""
    return len(example.inputs) - len(example.op.further(*example.inputs))


_TURNED = {"hwc": (1, 2, 0), "cn": (1, 0), "bnc": (1, 2, 0)}
"""By axes that no input has, which an input's come there."""


def _turning(shape: Shape) -> str:
    """Return the layer that makes a value of such axes of an input; a row of a map is a window."""
    if shape.axes == "bnc":
        return f"windows 1x{shape.n}"
    return f"permute {', '.join(map(str, _TURNED[shape.axes]))}"


def _input(number: int) -> str:
    return f"in{number}"


def _alone(example: Example) -> Iterator[str]:
    """Yield the lines of a net that is one op: from its inputs, with axes as in the example."""
    yield "net Alone:"
    for number, shape in enumerate(example.inputs):
        yield f"    input {_input(number)}: {_sizes(shape)}"
    taken = []
    for number, shape in enumerate(example.inputs):
        taken.append(_input(number))
        if shape.axes in _TURNED:
            taken[-1] = f"turned{number}"
            yield f"    {taken[-1]} = from {_input(number)} -> {_turning(shape)}"
    reads = ", ".join(taken[: _plain(example)])
    *parts, last = (f"part{at}" for at in range(len(example.op.outputs(*example.inputs))))
    if not parts:
        yield f"    op: from {reads} -> {_line(example)}"
        return
    yield f"    {', '.join(parts)}, {last} = from {reads} -> {_line(example)}"
    yield from (f"    output out{part}: from {part}" for part in parts)
    yield f"    from {last}"


def _twice(example: Example) -> Iterator[str]:
    """Yield the lines of a net that calls a block twice, whose channels then are an argument of its class."""
    (shape,) = example.inputs
    yield from ("block Unit:", f"    op: {_line(example)}", "    identity", "net Twice:")
    yield f"    input narrow: {_sizes(shape)}"
    yield f"    input wide: {_sizes(shape.with_size('c', 2 * shape.c))}"
    yield from ("    output less: from narrow -> Unit as one", "    from wide -> Unit as two")


def _sizes(shape: Shape) -> str:
    """Return the sizes of a value as an input has them, the channels first in a map and last in tokens."""
    if shape.axes == "cn":
        shape = Shape(shape[1], shape[0])
    sizes = (shape[2], shape[0], shape[1]) if shape.axes in ("hwc", "bnc") else tuple(shape)
    return f"{sizes[0]}, {sizes[1]}x{sizes[2]}" if len(sizes) == 3 else ", ".join(map(str, sizes))
