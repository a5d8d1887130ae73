"""A relu that leaks at random: in torch it draws what torch's own does, in Flax slopes between its bounds."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx
from flax_oracles import factory
from torch import nn
from torch_oracles import execute

import netdsl
from netdsl.api import loads

SPEC = """
net N(lower = 0.1):
    input 3, 7x5
    rrelu lower, 0.6
"""


def test_draws_what_torch_draws() -> None:
    ours, theirs = execute(loads(SPEC).emit("torch"))["N"](0.2), nn.RReLU(0.2, 0.6)
    x = torch.randn(4, 3, 6, 9)
    outputs = []
    for model in (ours, theirs):
        torch.manual_seed(5)
        outputs.append((model.train()(x), model(x), model.eval()(x)))
    assert all(map(torch.equal, *outputs))
    first, second, mean = outputs[0]
    assert not torch.equal(first, second)
    torch.testing.assert_close(mean, torch.where(x > 0, x, 0.4 * x))


def test_draws_a_slope_for_each_number_in_flax() -> None:
    net: netdsl.Network = loads(SPEC)
    model = factory(net, "flax")(rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(16, 7, 5, 3)).astype("float32")
    model.train()
    drawn = [np.asarray(model(jnp.asarray(x))) for _ in range(2)]
    assert (drawn[0][x > 0] == x[x > 0]).all()
    slopes = (drawn[0] / x)[x < 0]
    assert slopes.min() >= 0.1 - 1e-6
    assert slopes.max() <= 0.6 + 1e-6
    assert abs(slopes.mean() - 0.35) < 0.03
    assert slopes.std() > 0.1
    assert (drawn[0] != drawn[1])[x < 0].any()
    model.eval()
    np.testing.assert_allclose(model(jnp.asarray(x)), np.where(x > 0, x, 0.35 * x), rtol=1e-6)
