"""Emitted flax modules under nnx's and jax's own transformations, in both forms."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax_oracles import FORMS, close, factory, images, load_state, randomise, run, spec, state_of, variables
from jax.extend.core import jaxprs_in_params
from torch_oracles import ENVIRONMENT

import netdsl

README = Path(netdsl.__file__).parents[1] / "README.md"
SMALL = spec(
    """
block Unit(planes, drop: float):
    add:
        conv 3x3, planes, bias=false as conv1 -> bn as bn1 -> relu -> conv 3x3, planes as conv2 -> bn as bn2
            -> droppath drop as path
        identity
    relu

net Small(classes = 5, drop = 0.3):
    input 3, 8x8
    conv1: conv 3x3, 8, bias=false
    bn1: bn
    relu
    layer1: 3 * Unit 8, drop
    train output aux: gap -> dropout drop -> fc 7 as aux_fc
    maxpool 3x3, /2, pad=1
    gap
    dropout drop
    fc: fc classes
"""
)
PLAIN = spec(
    """
block Unit(planes):
    add:
        conv 3x3, planes, bias=false as conv1 -> bn as bn1 -> relu -> conv 3x3, planes as conv2 -> bn as bn2
        identity
    relu

net Plain(classes = 5):
    input 3, 8x8
    conv1: conv 3x3, 8, bias=false
    bn1: bn
    relu
    layer1: 4 * Unit 8
    gap
    fc: fc classes
"""
)


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    """Give each form."""
    return str(request.param)


def build(net: netdsl.Network, form: str, **options: Any) -> Any:
    """Return a new module of a net, from seed 0."""
    return factory(net, form)(rngs=nnx.Rngs(0), **options)


def main(output: Any) -> jax.Array:
    """Return the net's own output, whether or not training adds others."""
    return output.out if isinstance(output, tuple) else output


def loss(model: Any, *x: jax.Array) -> jax.Array:
    """Return a number that depends on every output."""
    return jax.tree.reduce(jnp.add, jax.tree.map(lambda y: jnp.square(y).sum(), model(*x)))


def test_compiled_is_as_not_compiled(form: str) -> None:
    model, x = randomise(build(PLAIN, form)), images(PLAIN)
    for train in (False, True):
        model.train() if train else model.eval()
        other = nnx.clone(model)
        close(run(model, *x), other(*x))
        close(state_of(model), state_of(other))


def test_gradients_reach_every_weight(form: str) -> None:
    model, x = randomise(build(PLAIN, form)), images(PLAIN)
    model.train()
    gradient = nnx.jit(nnx.grad(loss))(model, *x)
    found = {".".join(map(str, path)): value.get_value() for path, value in nnx.to_flat_state(gradient)}
    learned = {key: v for key, v in variables(model).items() if isinstance(v, nnx.Param)}
    assert found.keys() == learned.keys()
    for key, value in found.items():
        assert value.shape == learned[key].shape
        assert jnp.isfinite(value).all(), key
        # in training, a bias before a bn has none
        assert bool(jnp.abs(value).max() > 1e-3) != key.endswith("conv2.bias"), key


def test_splits_and_merges(form: str) -> None:
    model, x = randomise(build(SMALL, form)), images(SMALL)
    model.eval()
    graph, learned, statistics, rest = nnx.split(model, nnx.Param, nnx.BatchStat, ...)
    assert jax.tree.leaves(learned)
    assert jax.tree.leaves(statistics)
    merged = nnx.merge(graph, learned, statistics, rest)
    close(run(merged, *x), run(model, *x), 0, 0)
    forward = jax.jit(lambda learned, others, *x: nnx.merge(graph, learned, *others)(*x))
    close(forward(learned, (statistics, rest), *x), run(model, *x))


def test_is_made_without_memory(form: str) -> None:
    model = nnx.eval_shape(lambda: build(SMALL, form))
    real = {key: (v.shape, v.dtype) for key, v in variables(build(SMALL, form)).items()}
    assert {key: (v.shape, v.dtype) for key, v in variables(model).items()} == real
    for variable in variables(model).values():
        assert isinstance(variable.get_value(), jax.ShapeDtypeStruct)


def test_training_and_evaluation(form: str) -> None:
    model, x = randomise(build(SMALL, form)), images(SMALL)
    before = state_of(model)

    model.eval()
    out = run(model, *x)
    assert out.shape == (4, 5)
    close(run(model, *x), out, 0, 0)
    close(state_of(model), before, 0, 0)

    model.train()
    outputs = run(model, *x)
    assert type(outputs).__name__ == "SmallOutputs"
    assert (outputs.out.shape, outputs.aux.shape) == ((4, 5), (4, 7))
    assert not np.allclose(run(model, *x).out, outputs.out), "dropout draws new numbers"
    after = state_of(model)
    moved = {key for key in before if not np.array_equal(before[key], after[key])}
    assert moved == {key for key in before if key.endswith((".mean", ".var"))}

    model.eval()
    assert isinstance(run(model, *x), jax.Array)


def test_a_new_module_trains_at_once(form: str) -> None:
    assert type(build(SMALL, form)(*images(SMALL))).__name__ == "SmallOutputs"


def test_computes_in_bfloat16_with_weights_in_float32(form: str) -> None:
    model, x = randomise(build(PLAIN, form, dtype=jnp.bfloat16)), images(PLAIN)
    exact = randomise(build(PLAIN, form))
    assert {v.dtype for v in variables(model).values()} == {jnp.dtype("float32")}
    for train in (False, True):
        for m in (model, exact):
            m.train() if train else m.eval()
        graph, state = nnx.split(model)
        traced = jax.make_jaxpr(lambda state, x: nnx.merge(graph, state)(x))(state, *x)  # noqa: B023
        products = {
            str(v.aval.dtype) for e in equations(traced) for v in e.outvars if e.primitive.name in PRODUCTS
        }
        assert products == {"bfloat16"}
        out = run(model, *x)
        assert out.dtype == jnp.bfloat16
        close(out.astype(jnp.float32), run(exact, *x), 0.1, 0.1)
        assert {v.dtype for v in variables(model).values()} == {jnp.dtype("float32")}


def test_learned_tensors_are_of_the_dtype_to_compute_in(form: str) -> None:
    """As the weights of layers are: what they are added to is not computed in float32 from there on."""
    net = spec("""
block Scaled(c):
    weight gamma [c, 1, 1], init=constant(0.1)
    add:
        identity
        mul:
            conv 3x3, c as conv
            from gamma

net Tower(n = 3):
    input 3, 8x8
    stem: conv 3x3, 4
    weight bias [4, 1, 1], init=normal(0, 1)
    add:
        identity
        from bias
    blocks: n * Scaled 4
""")
    x = images(net)
    for dtype, param_dtype, expected in (
        (jnp.bfloat16, jnp.float32, "bfloat16"),
        (None, jnp.float32, "float32"),
        (jnp.float32, jnp.bfloat16, "float32"),
    ):
        model = factory(net, form)(rngs=nnx.Rngs(0), dtype=dtype, param_dtype=param_dtype)
        assert {v.dtype for v in variables(model).values()} == {jnp.dtype(param_dtype)}
        assert run(model, *x).dtype == jnp.dtype(expected)


PRODUCTS = ("conv_general_dilated", "dot_general")


def equations(traced: Any) -> list[Any]:
    """Return the equations of a traced function, with those inside of its loops and calls."""
    found = list(traced.eqns)
    for equation in traced.eqns:
        for inner in jaxprs_in_params(equation.params):
            found += equations(inner)
    return found


def test_all_products_have_the_precision_that_is_asked_for(form: str) -> None:
    net = spec("""
block Mixed(c):
    conv 3x3, c as conv -> dwconv 3x3 as dw -> upconv 2x2, c, /2 as up -> upconv 2x2, c, groups=2 as grouped
    maxpool 2x2, /2

net Precise(c = 4, n = 2):
    input 3, 8x8
    stem: conv 3x3, c
    layers: n * Mixed c
    tokens
    ln: ln
    attn: attention 2
    fc: fc 3
""")
    model, high = build(net, form, precision="highest"), jax.lax.Precision.HIGHEST
    graph, state = nnx.split(model.eval() or model)
    traced = jax.make_jaxpr(lambda state, *x: nnx.merge(graph, state)(*x))(state, *images(net))
    products = [e for e in equations(traced) if e.primitive.name in PRODUCTS]
    assert len(products) >= 11
    assert {e.params["precision"] for e in products} == {(high, high)}


def test_holds_weights_in_another_dtype(form: str) -> None:
    model, x = build(PLAIN, form, param_dtype=jnp.bfloat16), images(PLAIN)
    learned = [v for v in variables(model).values() if isinstance(v, nnx.Param)]
    assert {v.dtype for v in learned} == {jnp.dtype("bfloat16")}
    assert jnp.isfinite(run(model, *x).astype(jnp.float32)).all()


def test_random_numbers_are_needed() -> None:
    with pytest.raises((TypeError, KeyError), match="rngs"):
        factory(PLAIN)()


def test_a_seed_gives_the_same_weights_again(form: str) -> None:
    make = factory(SMALL, form)
    first, again, other = (state_of(make(rngs=nnx.Rngs(seed))) for seed in (0, 0, 1))
    close(first, again, 0, 0)
    assert not np.array_equal(first["conv1.kernel"], other["conv1.kernel"])
    layers = [v for key, v in first.items() if key.startswith("layer1") and key.endswith("conv1.kernel")]
    layers = list(np.concatenate([v.reshape(-1, 3, 3, 8, 8) for v in layers]))
    assert not any(np.array_equal(layers[0], layer) for layer in layers[1:]), "each is drawn by itself"


def test_parameters_are_arguments(form: str) -> None:
    assert run(build(PLAIN, form, classes=9), *images(PLAIN)).shape == (4, 9)


def test_an_optimiser_lowers_the_loss(form: str) -> None:
    model, x = build(SMALL, form), images(SMALL)
    optimiser = nnx.Optimizer(model, optax.sgd(1e-3, momentum=0.9), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimiser: Any, *x: jax.Array) -> jax.Array:
        value, gradient = nnx.value_and_grad(loss)(model, *x)
        optimiser.update(model, gradient)
        return value

    losses = [float(step(model, optimiser, *x)) for _ in range(8)]
    assert losses[-1] < losses[0]
    assert int(optimiser.step.get_value()) == 8


def test_scanned_is_as_not_scanned() -> None:
    """Outputs, gradients and running statistics, with the same weights."""
    plain = randomise(build(PLAIN, "flax"))
    state = state_of(plain)
    moved = netdsl.convert_weights(PLAIN, state, "flax", "flax:scan")
    scanned = PLAIN.build("flax:scan", weights=moved)
    stacked = {key for key in moved if key not in state}
    assert stacked
    assert all(moved[key].shape[0] == 4 for key in stacked)
    assert {k: v.shape for k, v in state_of(scanned).items()} == {k: v.shape for k, v in moved.items()}
    x = images(PLAIN)
    for train in (False, True):
        found = []
        for model, form in ((plain, "flax"), (scanned, "flax:scan")):
            model.train() if train else model.eval()
            value, gradient = nnx.jit(nnx.value_and_grad(loss))(model, *x)
            flat = {".".join(map(str, path)): v.get_value() for path, v in nnx.to_flat_state(gradient)}
            both = {**state_of(model), **flat}  # a gradient for every weight, and the statistics
            found.append((value, run(model, *x), netdsl.convert_weights(PLAIN, both, form, "torch")))
        close(*found, rtol=1e-4, atol=1e-4)
    after = netdsl.convert_weights(PLAIN, state_of(scanned), "flax:scan", "flax")
    close(after, state_of(plain))
    assert not np.allclose(after["bn1.mean"], state["bn1.mean"])


def test_scanned_is_compiled_once() -> None:
    """A loop of equal blocks holds one block's convolutions."""
    counts = {}
    for form in FORMS:
        graph, state = nnx.split(build(PLAIN, form))
        traced = jax.make_jaxpr(lambda state, x: nnx.merge(graph, state)(x))(state, *images(PLAIN))  # noqa: B023
        counts[form] = sum(e.primitive.name == "conv_general_dilated" for e in equations(traced))
    assert counts == {"flax": 9, "flax:scan": 3}


TWO_DEVICES = """
import sys

import jax, numpy as np
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

names = {}
exec(sys.stdin.read(), names)
assert jax.device_count() == 2
model = names["plain"](rngs=nnx.Rngs(0))
x = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype("float32")
mesh = Mesh(np.array(jax.devices()), ("batch",))
halves = jax.device_put(x, NamedSharding(mesh, PartitionSpec("batch")))

@nnx.jit
def run(model, x):
    return model(x)

for mode in (model.eval, model.train):
    mode()
    other = nnx.clone(model)
    state = jax.device_put(nnx.state(other), NamedSharding(mesh, PartitionSpec()))
    nnx.update(other, state)
    whole, split = run(model, x), run(other, halves)
    assert len(split.sharding.device_set) == 2 and split.addressable_shards[0].data.shape[0] == 2
    np.testing.assert_allclose(whole, split, rtol=2e-5, atol=2e-5)
    pairs = zip(*(jax.tree.leaves(nnx.state(m, nnx.BatchStat)) for m in (model, other)), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
print("equal")
"""


def test_two_devices_share_a_batch(form: str) -> None:
    """Outputs, and statistics of the whole batch, are those of one device."""
    environment = {
        **ENVIRONMENT,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        input=PLAIN.emit(form),
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout == "equal\n", done.stderr


def test_tracebacks_show_emitted_lines() -> None:
    with pytest.raises(TypeError) as caught:
        PLAIN.build("flax")(images(PLAIN)[0], "another")
    assert "__call__" in str(caught.value)
    with pytest.raises(ValueError, match="more than one value") as failed:
        PLAIN.build("flax")(jnp.zeros((1, 1, 1, 3)))
    lines = [str(entry) for entry in failed.traceback if "<netdsl plain>" in str(entry)]
    assert lines


def test_the_readmes_snippet_runs() -> None:
    (code,) = re.findall(r"^```py\n(.*?)^```$", README.read_text(), flags=re.M | re.S)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.stdout, done.returncode) == ("(1, 10)\n", 0), done.stderr


OPTIONAL = """
block Unit(c, act: op = relu, wide = true):
    conv: conv 1x1, c
    act -> conv 1x1, c as conv2 when wide

net N:
    input 3, 8x8
    a: Unit 4
    b: Unit 4, act=tanh, wide=false
    gap
"""


def test_a_function_that_may_not_be_there_is_a_plain_attribute() -> None:
    """What nnx holds as data, as modules that may not be there, cannot be a function."""
    net = spec(OPTIONAL)
    model = build(net, "flax")
    assert model.a.act is nnx.relu
    assert model.b.act is None
    graph, state = nnx.split(model)
    (x,) = images(net)
    close(nnx.jit(run)(nnx.merge(graph, state), x), run(model, x), 1e-6, 1e-6)


SEVERAL = """
block Sum(c) from a, b:
    add:
        from a -> conv 1x1, c as conv1
        from b -> conv 1x1, c as conv2

block Product(c) from a, b:
    mul:
        from a -> conv 1x1, c as conv1
        from b -> conv 1x1, c as conv2

block Unit(c, join: op = Sum, deep = true):
    a: conv 1x1, c
    b: conv 1x1, c
    if deep:
        from a, b
        joined: join c
        from a, joined
        product: Product c
        if c > 4:
            from a, joined
            product2: Product c
            last: conv 1x1, c

net N:
    input 4, 8x8
    unit1: Unit 4
    unit2: Unit 8, Product
    unit3: Unit 4, deep=false
    gap
"""


def test_what_takes_several_values_and_may_not_be_there_has_a_type() -> None:
    net = spec(SEVERAL)
    text = net.emit("flax")
    assert "self.joined: Callable[..., Array] | None = nnx.data(None)" in text
    assert "self.product2: Product | None = nnx.data(None)" in text
    assert run(build(net, "flax"), *images(net)).shape[-1] == 4


# Names that a spec gives


BLOCKS = (
    "BaseConv",
    "BatchNorm",
    "Conv",
    "ConvTranspose",
    "GroupNorm",
    "LayerNorm",
    "Linear",
    "MultiHeadAttention",
)


def text_with(name: str, label: str) -> str:
    """Return a spec with a block and a value of these names, and every layer that has a definition."""
    return f"""
block {name}(c):
    a: conv 3x3, c
    norm: bn

net N(n = 4):
    input 4, 8x8
    unit: {name} 4
    {label}:
        other = from x -> relu
        conv1: conv 3x3, 4, bias=false
        from x, other -> add
    up: upconv 2x2, 4, /2, pad=0
    up2: upconv 2x2, 4, /2, pad=0, groups=2
    ln: ln
    gn: gn 2
    tokens
    attention: attention 2
    drop: dropout
    token 0
    fc: fc n
"""


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_may_be_called_as_a_layer(name: str) -> None:
    """And so may a container whose class is called after its label."""
    label = name[0].lower() + name[1:]
    net, plain = spec(text_with(name, label)), spec(text_with("Unit", "mid"))
    assert f"class {name}(nnx.Module):" in net.emit("flax")
    model, other = (randomise(build(n, "flax")) for n in (net, plain))
    state = {key.replace(f"{label}.", "mid."): value for key, value in state_of(model).items()}
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in state_of(other).items()}
    load_state(other, state)
    model.eval()
    other.eval()
    close(run(model, *images(net)), run(other, *images(net)), 0, 0)


@pytest.mark.parametrize("pool", ["maxpool to=2x5", "maxpool to=1x1", "maxpool 3x3, /1, pad=1, dilation=2"])
def test_gradients_of_the_largest_value_are_numbers(pool: str) -> None:
    """Those of `jnp.max` divide by how many are the largest, of which a compiler that rounds again finds none."""
    net = spec(f"net N:\n    input 7, 16x4\n    c: conv 3x3, 5\n    n: ln eps=0.001\n    {pool}\n    gap\n")
    with jax.enable_x64(True):
        model = factory(net)(rngs=nnx.Rngs(0), param_dtype=jnp.float64)
        x = jnp.asarray(np.random.default_rng(0).standard_normal((3, 16, 4, 7)))
        gradients = nnx.jit(nnx.grad(lambda model: (model(x) ** 2).sum()))(model)
        for _, value in nnx.to_flat_state(gradients):
            assert jnp.isfinite(value[...]).all()
