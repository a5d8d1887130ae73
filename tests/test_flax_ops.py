"""Every op on its examples: its flax forms against numpy, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from flax_oracles import IMPORTS, execute, load_state, variables
from interpreter import RUN, Call
from metamorphic_flax import ROUGH
from netdsl_flax.definitions import Definitions
from netdsl_flax.helpers import HELPERS
from netdsl_flax.lowering import LOWERINGS
from op_examples import BATCH, EXAMPLES, LAYERS, arrays_of, close, context, every, expected, text
from reference_ops import Array, bn_training

from netdsl.emission.code import Context, Expr, mentions_self
from netdsl.ir.types import Dims, Pad, Shape
from netdsl.ops import Example, Op, OpError, catalogue
from netdsl.ops.activation import Activation, Glu
from netdsl.ops.attention import Attention
from netdsl.ops.dropout import Dropout, DropPath
from netdsl.ops.joint import Add, Concat, Mul
from netdsl.ops.norm import BatchNorm
from netdsl.ops.pool import AvgPool, MaxPool
from netdsl.ops.source import Weight

HELPED = execute("\n".join([IMPORTS, *HELPERS.values()]))
"""The names of a file with every helper."""


@pytest.fixture(autouse=True)
def wide() -> Iterator[None]:
    """Compute in float64."""
    with jax.enable_x64(True):
        yield


class Form:
    """One way to write an op: its module alone, or its function, which may use the module."""

    def __init__(self, module: Expr | None, function: Expr | None, scope: dict[str, Any]) -> None:
        self.layer = None if module is None else eval(text(module), scope)
        code = None if function is None else text(function)

        def apply(layer: Any, *x: jax.Array) -> Any:
            if code is None:
                return layer(*x)
            return eval(code, scope, {f"x{i}": v for i, v in enumerate(x)} | {"layer": layer})

        self.function = apply
        self.held = isinstance(self.layer, nnx.Module | nnx.Variable)
        self.apply = nnx.jit(apply) if self.held else jax.jit(partial(apply, self.layer))

    def __call__(self, *x: Array) -> list[Array]:
        """Apply it under jit; arrays are as they lie in memory."""
        out = self.apply(self.layer, *x) if self.held else self.apply(*x)
        return [np.asarray(y) for y in (out if isinstance(out, list | tuple) else [out])]

    def state(self) -> dict[str, Array]:
        """Return the weights and statistics by name; a learned tensor has none."""
        if isinstance(self.layer, nnx.Variable):
            return {"": np.array(self.layer.get_value())}
        if not isinstance(self.layer, nnx.Module):
            return {}
        return {key: np.array(value.get_value()) for key, value in variables(self.layer).items()}

    def mode(self, train: bool) -> Form:
        """Switch to training or evaluation."""
        if isinstance(self.layer, nnx.Module):
            self.layer.train() if train else self.layer.eval()
        return self


def forms(op: Op, context: Context) -> list[Form]:
    """Return every way to write an op, with random weights and statistics."""
    lowered = LOWERINGS[type(op)](op, context)
    definitions = Definitions([lowered], [], set())
    settled = definitions.settle(lowered)
    source = "\n".join(definitions.text(""))
    scope = {**HELPED, "rngs": nnx.Rngs(0), "options": {"param_dtype": jnp.float64}}
    exec(source, scope)
    made = []
    uses = mentions_self(settled.function)
    if settled.module is not None and not uses:
        made.append(Form(settled.module, None, scope))
    if settled.function is not None:
        made.append(Form(settled.module if uses else None, settled.function, scope))
    generator = np.random.default_rng(1)
    for form in made:
        if isinstance(form.layer, nnx.Module):
            for key, variable in variables(form.layer).items():
                value = generator.random(variable.shape) + 0.5
                # statistics are float32 whatever the layer's dtype is
                variable.set_value(jnp.asarray(value if key.endswith("var") else value - 0.9))
    return made


def order(x: Shape) -> list[int]:
    """Return the order of a batch's axes in memory: channels last, the others as they are."""
    return [0, *sorted(range(1, len(x) + 1), key=lambda axis: x.axes[axis - 1] == "c")]


def laid(x: Array, shape: Shape) -> Array:
    """Return a batch as it lies in memory."""
    return x.transpose(order(shape))


def logical(y: Array, shape: Shape) -> Array:
    """Return an output with its axes as the net has them."""
    return y.transpose(np.argsort(order(shape)))


def torchs(op: Op, state: dict[str, Array]) -> dict[str, Array]:
    """Return the weights and statistics of a layer as torch has them."""
    if isinstance(op, Attention):
        parts = ("query", "key", "value")
        c = state["query.kernel"].shape[0]
        return {
            "in_proj_weight": np.concatenate([state[f"{part}.kernel"].reshape(c, c).T for part in parts]),
            "in_proj_bias": np.concatenate([state[f"{part}.bias"].reshape(c) for part in parts]),
            "out_proj.weight": state["out.kernel"].reshape(c, c).T,
            "out_proj.bias": state["out.bias"],
        }
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    names["negative_slope"] = "weight"
    return {names.get(key, key): v.transpose(3, 2, 0, 1) if v.ndim == 4 else v.T for key, v in state.items()}


def test_every_op_has_a_lowering() -> None:
    """The catalogue and the table of lowerings hold the same ops."""
    assert set(LOWERINGS) == set(catalogue().values())


@every(LAYERS)
def test_output_and_numbers(example: Example) -> None:
    """Shapes are as inferred and numbers numpy's, in every form."""
    outputs = example.op.outputs(*example.inputs)
    for form in forms(example.op, context(example)):
        x = arrays_of(example)
        out = form.mode(train=False)(*map(laid, x, example.inputs))
        out = [logical(y, shape) for y, shape in zip(out, outputs, strict=True)]
        assert [y.shape[1:] for y in out] == [tuple(shape) for shape in outputs]
        close(out, expected(example, x, torchs(example.op, form.state())))


@every([e for e in LAYERS if e.op.weights(*e.inputs)])
def test_state(example: Example) -> None:
    """Weights and statistics are torch's, in other layouts; steps are not counted."""
    (form,) = forms(example.op, context(example))
    wanted = {**example.op.weights(*example.inputs), **example.op.buffers(*example.inputs)}
    wanted = {key: shape for key, shape in wanted.items() if key not in example.op.spare(*example.inputs)}
    assert {key: value.shape for key, value in torchs(example.op, form.state()).items()} == wanted


@every([e for e in EXAMPLES if isinstance(e.op, Weight)])
def test_weight(example: Example) -> None:
    """A learned tensor of the stored shape, channels last, which starts as said."""
    (form,) = forms(example.op, context(example))
    assert isinstance(example.op, Weight)
    assert sorted(form.state()[""].shape) == sorted(example.op.stored)
    assert isinstance(form.layer, nnx.Param if example.op.learned else nnx.BatchStat)
    np.testing.assert_array_equal(form()[0], form.state()[""])
    wanted = {"zeros": 0.0, "ones": 1.0, "constant": 1e-6}.get(example.op.start.kind)
    if wanted is not None:
        np.testing.assert_array_equal(form.state()[""], wanted)


@every([e for e in LAYERS if isinstance(e.op, Activation | Glu)])
def test_gradients_of_activations(example: Example) -> None:
    """Those of torch's own functions, also far out."""
    (shape,) = example.inputs
    (x,) = arrays_of(example)
    factor = np.random.default_rng(5).standard_normal((BATCH, *example.op.outputs(shape)[0]))
    for scale in (1.0, 20.0):
        given = torch.from_numpy(scale * x).requires_grad_()
        state = {name: torch.full(size, 0.3).double() for name, size in example.op.weights(shape).items()}
        made = RUN[example.op.name](example.op, [given], Call(state, (shape,), shape, True, BATCH))
        (made * torch.from_numpy(factor)).sum().backward()
        for form in forms(example.op, context(example)):
            form.mode(train=False)
            if state:
                load_state(form.layer, {"negative_slope": state["weight"].numpy()})
            apply = partial(form.function, form.layer)
            held = jnp.asarray(laid(factor, example.op.outputs(shape)[0]))
            found = jax.grad(lambda y, apply=apply, held=held: (apply(y) * held).sum())(
                laid(scale * x, shape)
            )
            rough = example.op.name in ROUGH
            wanted = given.grad
            assert wanted is not None
            np.testing.assert_allclose(
                logical(np.asarray(found), shape), wanted.numpy(), 1e-6 if rough else 1e-9, 1e-11
            )


# Training


@every([e for e in LAYERS if isinstance(e.op, BatchNorm)])
def test_bn_in_training(example: Example) -> None:
    """Output and running statistics after two steps; the variance that is kept is the unbiased one."""
    (form,) = forms(example.op, context(example))
    (shape,) = example.inputs
    form.mode(train=True)
    for step in range(2):
        x = arrays_of(example)[0] + step
        before = torchs(example.op, form.state()) | {"num_batches_tracked": np.array(step)}
        wanted, buffers = bn_training(example.op, x, before)
        close([logical(form(laid(x, shape))[0], shape)], [wanted])
        after = torchs(example.op, form.state())
        for name in ("running_mean", "running_var"):
            np.testing.assert_allclose(after[name], buffers[name], rtol=1e-9)


DROPS = [0.0, 0.2, 0.5, 1.0]


def drop(op: Op, x: Array) -> Array:
    """Apply dropout or droppath in training; evaluation leaves the input alone."""
    shape = Shape(*x.shape[1:], axes={3: "chw", 2: "nc", 1: "c"}[x.ndim - 1])
    (form,) = forms(op, Context((shape,), (shape,)))
    np.testing.assert_array_equal(form.mode(train=False)(x)[0], x)
    first, second = form.mode(train=True)(x)[0], form(x)[0]
    assert np.array_equal(first, second) == (op.arguments()["p"] in (0.0, 1.0))
    return first


@pytest.mark.parametrize("p", DROPS)
def test_dropout(p: float) -> None:
    """Elements are kept one by one, and divided by 1 - p."""
    x = np.random.default_rng(0).random((64, 5, 7, 3)) + 1
    out = drop(Dropout(p=p), x)
    kept = out != 0
    np.testing.assert_allclose(out[kept], (x / max(1 - p, 0.5))[kept])
    assert abs(kept.mean() - (1 - p)) < 0.03
    if 0 < p < 1:  # no axis is dropped as a whole
        for axis in range(4):
            assert not np.array_equal(kept.any(axis), kept.all(axis))
            assert kept.any(axis).mean() > kept.all(axis).mean()


@pytest.mark.parametrize("shape", [(400, 3, 2, 2), (400, 3, 2), (400, 3)])
@pytest.mark.parametrize("p", DROPS)
def test_droppath(p: float, shape: tuple[int, ...]) -> None:
    """A sample is kept whole, and divided by 1 - p, or not at all."""
    x = np.random.default_rng(0).random(shape) + 1
    out = drop(DropPath(p=p), x)
    kept = (out != 0).reshape(len(x), -1)
    assert np.array_equal(kept.any(1), kept.all(1))
    np.testing.assert_allclose(out[kept[:, 0]], (x / max(1 - p, 0.5))[kept[:, 0]])
    assert abs(kept.mean() - (1 - p)) < 0.1


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_dropout_in_attention(p: float) -> None:
    """The weights of every query of every sample are dropped one by one, and divided by 1 - p."""
    n, shape = 24, Shape(24, 24)
    (form,) = forms(Attention(heads=1, dropout=p), Context((shape,), (shape,)))
    eye = np.eye(n).reshape(n, 1, n)
    state = {key: np.zeros_like(value) for key, value in form.state().items()}
    load_state(form.layer, state | {"value.kernel": eye, "out.kernel": eye.reshape(1, n, n)})
    x = np.stack([np.eye(n)] * BATCH)  # every query looks at all tokens alike, and sees which they are
    np.testing.assert_allclose(form.mode(train=False)(x)[0], np.full((BATCH, n, n), 1 / n))
    out = form.mode(train=True)(x)[0]
    kept = out != 0
    np.testing.assert_allclose(out[kept], 1 / n / (1 - p))
    assert abs(kept.mean() - (1 - p)) < 0.05
    assert not np.array_equal(kept[0], kept[1])
    assert not np.array_equal(kept[0, 0], kept[0, 1])


# Learned tensors meet a batch


@pytest.mark.parametrize("stored", [False, True], ids=["bare", "batch"])
@pytest.mark.parametrize(
    ("op", "x", "weight"),
    [
        (Mul(), Shape(4, 3, 5), Shape(4, 1, 1)),
        (Mul(), Shape(4, 3, 5), Shape(4)),
        (Add(), Shape(4, 3, 5), Shape(4, 3, 5)),
        (Add(), Shape(5, 6), Shape(5, 6)),
        (Add(), Shape(5, 6), Shape(6)),
        (Add(), Shape(6), Shape(6)),
        (Concat(axis="n"), Shape(5, 6), Shape(1, 6)),
        (Concat(), Shape(5, 6), Shape(5, 2)),
        (Concat(), Shape(4, 3, 5), Shape(2, 3, 5)),
    ],
    ids=lambda value: str(value),
)
def test_learned_tensor_meets_a_batch(op: Op, x: Shape, weight: Shape, stored: bool) -> None:
    """A tensor without a batch, stored with a leading one or not, is used for every sample."""
    generator = np.random.default_rng(3)
    sample, bare = generator.standard_normal((BATCH, *x)), generator.standard_normal(weight)
    inside = laid(bare[None], weight)
    for flip in (False, True):
        pairs = [(x, True, laid(sample, x), sample)]
        pairs.append((weight, False, inside if stored else inside[0], np.stack([bare] * BATCH)))
        shapes, batched, lies, whole = zip(*(pairs[::-1] if flip else pairs), strict=True)
        (out,) = op.outputs(*shapes)
        (form,) = forms(op, Context(shapes, (out,), batched=batched))
        close([logical(form(*lies)[0], out)], expected(Example(op, shapes), list(whole), {}))


# Pools


def pools(x: Shape, counted: bool, **arguments: Any) -> list[Op]:
    """Return the pools of these arguments that fit."""
    found: list[Op] = [AvgPool(**arguments, count_include_pad=counted)]
    found += [MaxPool(**arguments)] if counted else []
    return [op for op in found if fits(op, x)]


def fits(op: Op, x: Shape) -> bool:
    """Tell whether an op takes a shape."""
    try:
        op.outputs(x)
    except OpError:
        return False
    return True


def compare(ops: list[Op], x: Shape) -> None:
    """Compare pools on one map, which are compiled together."""
    examples = [Example(op, (x,)) for op in ops]
    functions = [forms(example.op, context(example))[-1].apply for example in examples]
    (values,) = arrays_of(examples[0])
    out = jax.jit(lambda x: [function(x) for function in functions])(laid(values, x))
    for example, y in zip(examples, out, strict=True):
        (shape,) = example.op.outputs(x)
        assert y.shape == tuple(np.array([BATCH, *shape])[order(shape)])
        close([logical(np.asarray(y), shape)], expected(example, [values], {}))


@pytest.mark.parametrize("size", range(1, 9))
def test_pools_with_tensorflows_padding(size: int) -> None:
    """Every case of pad=tf."""
    x = Shape(1, size, size + 1)
    grid = itertools.product([(1, 1), (2, 3), (4, 5)], (1, 2, 3), (True, False))
    arguments = [({"kernel": Dims(k), "stride": s, "pad": Pad("tf")}, counted) for k, s, counted in grid]
    compare([op for given, counted in arguments for op in pools(x, counted, **given)], x)


@pytest.mark.parametrize("size", range(2, 9))
def test_pools_of_every_size(size: int) -> None:
    """Ceil mode and padding over a grid."""
    x = Shape(1, size, size)
    ops = []
    for ceil, pad, kernel, stride, counted in itertools.product(
        (True, False), (0, 1), (2, 3), (1, 2, 3, 4), (True, False)
    ):
        arguments = {"kernel": Dims((kernel, kernel)), "stride": stride, "ceil": ceil}
        ops += pools(x, counted, **arguments, pad=Pad("explicit", (pad, pad)))
    compare(ops, x)


@pytest.mark.parametrize(
    "op",
    [
        AvgPool(kernel=Dims((3, 2))),
        AvgPool(kernel=Dims((3, 2)), stride=1, ceil=True),
        MaxPool(kernel=Dims((3, 2)), stride=1),
        MaxPool(kernel=Dims((3, 2)), stride=1, ceil=True),
        MaxPool(kernel=Dims((3, 2)), dilation=2),
    ],
)
def test_a_pool_whose_window_does_not_fit_says_so(op: Op) -> None:
    (form,) = forms(op, context(Example(op, (Shape(1, 7, 7),))))[1:]
    for size in ((1, 7), (7, 1)):
        with pytest.raises(ValueError, match=r"no window of \(3, 2\)"):
            form(np.zeros((BATCH, *size, 1)))
