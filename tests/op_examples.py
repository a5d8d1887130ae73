"""What every backend's conformance tests share: the ops' examples, what they compute, expressions as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference_ops import Array, along_channels, elementwise, padded, reduced, reference, sliced

from netdsl.emission.code import Binary, Call, Const, Context, Expr, Input, Item, Listed, Name, Self, Word
from netdsl.ops import Example, catalogue
from netdsl.ops.axis import AlongAxis
from netdsl.ops.joint import Elementwise
from netdsl.ops.partition import Partition

BATCH = 3
EXAMPLES = [example for op in catalogue().values() for example in op.examples()]
LAYERS = [e for e in EXAMPLES if e.op.arity != (0, 0)]


def label(example: Example) -> str:
    """Name an example in the test's id."""
    arguments = ",".join(f"{k}={v}" for k, v in example.op.arguments().items())
    return f"{example.op.name}({arguments})-{'-'.join(f'{x}{x.axes}' for x in example.inputs)}"


def every(examples: list[Example]) -> pytest.MarkDecorator:
    """Run a test on each of the examples."""
    return pytest.mark.parametrize("example", examples, ids=label)


def context(example: Example, inplace: bool = False) -> Context:
    """Return what an example is lowered in."""
    return Context(inputs=example.inputs, outputs=example.op.outputs(*example.inputs), inplace=inplace)


def text(expr: Expr) -> str:
    """Write an expression; inputs are x0, x1, ..., the module is `layer`."""
    match expr:
        case Const():
            return expr.value if isinstance(expr.value, Word) else repr(expr.value)
        case Input():
            return f"x{expr.index}"
        case Self():
            return "layer"
        case Name():
            return expr.text
        case Binary():
            return f"({text(expr.left)} {expr.operator} {text(expr.right)})"
        case Item():
            index = expr.index if isinstance(expr.index, str) else ", ".join(map(text, expr.index))
            return f"{text(expr.value)}[{index}]"
        case Listed():
            open, close = expr.brackets
            return open + "".join(f"{text(item)}, " for item in expr.items) + close
        case Call():
            args = [
                f"{arg.role}={text(arg.value)}" if arg.keyword else text(arg.value)
                for arg in expr.args
                if arg.value != arg.default
            ]
            function = expr.func if isinstance(expr.func, str) else text(expr.func)
            before = f"{text(expr.receiver)}." if expr.receiver else ""
            return f"{before}{function}({', '.join(args)})"
    raise TypeError(expr)


def arrays_of(example: Example) -> list[Array]:
    """Return random inputs, with a batch; large enough to reach every part of an activation."""
    generator = np.random.default_rng(2)
    return [2.5 * generator.standard_normal((BATCH, *x)) for x in example.inputs]


def expected(example: Example, inputs: list[Any], state: dict[str, Array]) -> list[Array]:
    """Return the outputs according to numpy; only shapes and axes come from the example."""
    op, arrays = example.op, [np.asarray(x).copy() for x in inputs]
    if isinstance(op, Elementwise):
        widest = max(example.inputs, key=len)
        return [elementwise(op, arrays, widest.axes.index("c") + 1)]
    if op.name in ("mean", "amax"):
        return [reduced(op, arrays[0], example.inputs[0].axes)]
    if op.name == "expand":
        return [np.concatenate(arrays * op.channels, axis=example.inputs[0].axes.index("c") + 1)]
    if op.name == "pad":
        return [padded(op, arrays[0], example.inputs[0].axes)]
    if op.name == "slice":
        return [sliced(op, arrays[0], example.inputs[0].axes)]
    if isinstance(op, Partition):  # of maps whose channels come first
        turned = [s.axes == "hwc" for s in example.inputs]
        arrays = [np.moveaxis(x, -1, 1) if turn else x for x, turn in zip(arrays, turned, strict=True)]
        made = reference(op, arrays, state)
        return [np.moveaxis(made[0], 1, -1)] if op.name == "unwindows" and turned[1] else made
    if op.name in ("ln", "rms_norm", "softmax", "log_softmax", "glu", "split", "concat"):
        axis = op.axis if isinstance(op, AlongAxis) else "c"
        return along_channels(op, arrays, state, example.inputs[0].axis(axis) + 1)
    return reference(op, arrays, state)


def close(actual: list[Array], wanted: list[Array]) -> None:
    """Compare outputs to numpy's, in float64."""
    assert len(actual) == len(wanted)
    for a, w in zip(actual, wanted, strict=True):
        assert a.dtype == np.float64
        np.testing.assert_allclose(a, w, rtol=1e-9, atol=1e-11)
