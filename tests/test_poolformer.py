"""PoolFormer with stochastic depth: the samples are dropped that timm drops, before the scale of a branch."""

from __future__ import annotations

import torch
from references import REFERENCES, make
from torch import Tensor, nn
from torch_oracles import assert_same, build, run


def both(name: str, drop: float) -> tuple[nn.Module, nn.Module, list[Tensor]]:
    """Return our net and timm's in training, with the same weights, and an input that is no square."""
    theirs = make(REFERENCES[name], drop_path_rate=drop)
    ours = build(name, drop=drop)
    ours.load_state_dict(theirs.state_dict())
    return (
        ours.train(),
        theirs.train(),
        [torch.randn(5, 3, 47, 64, generator=torch.Generator().manual_seed(7))],
    )


def test_drops_what_timm_drops() -> None:
    assert_same(*both("poolformer_s12", 0.1))


def test_drops_as_often_as_timm() -> None:
    """timm has its schedule in float32, so that numbers differ in the last place."""
    ours, theirs, x = both("poolformer_s24", 0.5)
    (mine,), (other,) = run(ours, x)[0], run(theirs, x)[0]
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(mine, run(ours, x, seed=12)[0][0], rtol=0.1)
