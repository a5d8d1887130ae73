"""What ops say of the numbers that they make, against the numpy reference: in evaluation, on their examples."""

from __future__ import annotations

import numpy as np
import pytest
from op_examples import LAYERS, arrays_of, every, expected, label
from reference_ops import Array

from netdsl.ir.types import Shape
from netdsl.ops import Example, Op, catalogue
from netdsl.ops.activation import Activation, OverAxis, Saturating
from netdsl.ops.conv import StdConv
from netdsl.testing import check_traits

ACTIVATIONS = {
    label(example): example.op
    for op in catalogue().values()
    for example in op.examples()
    if isinstance(example.op, Activation) and not isinstance(example.op, OverAxis)
}
EXAMPLES = {
    name: [example for example in op.examples() if example.inputs] for name, op in catalogue().items()
}


def state_of(example: Example) -> dict[str, Array]:
    """Return random weights and statistics."""
    op, random = example.op, np.random.default_rng(1)
    tensors = {**op.weights(*example.inputs), **op.buffers(*example.inputs)}
    return {name: random.uniform(0.05, 0.15, shape) for name, shape in tensors.items()}


def run(example: Example, inputs: list[Array]) -> list[Array]:
    """Return what an op makes."""
    return expected(example, inputs, state_of(example))


@pytest.mark.parametrize("name", [name for name, examples in EXAMPLES.items() if examples])
def test_traits(name: str) -> None:
    """As ops of other distributions are held to theirs."""
    check_traits(catalogue()[name], expected)


def weighted(example: Example, op: Op) -> list[Array]:
    """Return what another op makes with the weights that `plain` says it multiplies by."""
    state = state_of(example)
    if isinstance(example.op, StdConv):
        rows = state["weight"].reshape(len(state["weight"]), -1)
        rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + example.op.eps)
        state["weight"] = rows.reshape(state["weight"].shape)
    return expected(Example(op, example.inputs), arrays_of(example), state)


@every([e for e in LAYERS if e.op.plain(*e.inputs)])
def test_plain(example: Example) -> None:
    """The plain op has the same shapes and weights, and makes the same of the weights as they are used."""
    plain = example.op.plain(*example.inputs)
    assert plain is not None
    assert plain.plain(*example.inputs) is plain
    assert plain.weights(*example.inputs) == example.op.weights(*example.inputs)
    for made, wanted in zip(weighted(example, plain), run(example, arrays_of(example)), strict=True):
        np.testing.assert_allclose(made, wanted)


def test_what_is_derived_has_to_say_what_it_is() -> None:
    """A class that works its weights out in another way is not taken for what it is derived from."""
    for op in ("conv", "stdconv", "dwconv", "upconv", "fc"):
        example = next(iter(catalogue()[op].examples()))
        assert example.op.plain(*example.inputs) is not None
        other = type("Other", (catalogue()[op],), {"name": "other"})
        assert other(**example.op.arguments()).plain(*example.inputs) is None


def values(op: Op) -> tuple[Array, Array]:
    """Return many numbers, in order, and what an activation makes of them."""
    x = np.linspace(-50, 50, 20_001)[None]
    (y,) = run(Example(op, (Shape(x.size),)), [x])
    return x, y


@pytest.mark.parametrize("op", ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_activations(op: Activation) -> None:
    """Each of the traits if and only if the numbers have it; of what is learned or drawn, if any numbers may not."""
    x, y = values(op)
    varies = bool(op.weights(Shape(1))) or op.module
    assert op.monotonic == bool((np.diff(y) >= 0).all() and not varies)
    low, high = op.bounds
    assert np.allclose(
        [y.min() if low > -np.inf else low, y.max() if high < np.inf else high], op.bounds, atol=0.02
    )
    assert op.clips == bool(np.array_equal(y, np.clip(x, low, high)))
    assert isinstance(op, Saturating) == bool(np.isfinite(op.bounds).all() and not op.clips)
    assert op.keeps_zero == (not run(Example(op, (Shape(1),)), [np.zeros((1, 1))])[0].any())
    assert op.channelwise
    assert op.tokenwise


@pytest.mark.parametrize("op", [op for op in ACTIVATIONS.values() if isinstance(op, Saturating)], ids=str)
def test_values_of_what_saturates(op: Saturating) -> None:
    """They are the formula's."""
    x, y = values(op)
    assert np.allclose([op.value(number) for number in x[0]], y[0])
    assert np.allclose([op.value(-1e6), op.value(1e6)], op.bounds, atol=1e-5)
    assert np.isclose((np.diff(y) / np.diff(x)).max(), op.steepest, rtol=1e-2)


@pytest.mark.parametrize("name", EXAMPLES)
def test_folds(name: str) -> None:
    """What any number of values are joined by, in the shape that they have, may stand between two of them."""
    op = catalogue()[name]
    several = [one for one in EXAMPLES[name] if len(one.inputs) > 2 and op.arity[1] is None]
    alike = [one for one in several if {*one.inputs} == {*one.op.outputs(*one.inputs)}]
    for example in alike:
        first, *others = arrays_of(example)
        joined = first
        for other in others:
            joined = run(Example(example.op, example.inputs[:2]), [joined, other])[0]
        assert np.allclose(run(example, [first, *others])[0], joined) == op.folds
    assert bool(alike) == op.folds


@pytest.mark.parametrize("name", [name for name in EXAMPLES if catalogue()[name].enlarges])
def test_enlarges(name: str) -> None:
    sizes = [(example.inputs[0], example.op.outputs(*example.inputs)[0]) for example in EXAMPLES[name]]
    assert any(after.h > before.h and after.w > before.w for before, after in sizes)
    assert not any(after.h < before.h and after.w < before.w for before, after in sizes)
