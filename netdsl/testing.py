"""Conformance of an op: what it says of itself, against what every backend makes of it, on its examples.

    from netdsl.testing import check

    def test_snake() -> None:
        check(Snake, reference)

The language's own ops are held to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from netdsl.api import explain_op, loads
from netdsl.backend import ExactBackend, find
from netdsl.ir.types import Shape
from netdsl.lift.words import op_words
from netdsl.network import Network
from netdsl.ops import Example, Op, OpError
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
    them, and the same numbers in all backends in evaluation and training, gradients too. How weights start is not
    looked at.

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
        nets = list(networks(example))
        unseen = example.inputs and not any(example.op.reach(*example.inputs))  # nothing has a gradient
        for net in () if unseen else nets:
            found = verify(net, backends)
            assert found.ok, f"{_line(example)}\n{found}"
        if reference is not None:
            _compare(nets[0], example, reference, backends[0])


def _check_formulas(example: Example) -> None:
    """Hold what an op counts to the factors that it gives for it."""
    cost = example.op.cost(*example.inputs)
    for count in ("params", "macs", "ops", "activations"):
        terms, number = example.op.formula(count, *example.inputs), getattr(cost, count)
        total = sum(term.value for term in terms)
        assert total == number, f"{_line(example)}: {number} {count}, but its formula gives {total}"


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
