"""What other frameworks call the ops: every op says it, and what it says exists there."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from netdsl.ops import catalogue
from netdsl.ops.base import Elsewhere, Op

SHORT = {"nn": "torch.nn", "F": "torch.nn.functional", "nnx": "flax.nnx", "jnp": "jax.numpy"}
"""How modules are called there."""
ROOTS = {"torch": ("torch", "torchvision", "timm"), "jax": ("jax", "flax")}


def dotted(text: str) -> list[str]:
    """Return the names with dots in a text, in full; those of a value `x` are none."""
    names = re.findall(r"(?<![\w.\])])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", text)
    split = [name.partition(".") for name in names]
    return [f"{SHORT.get(first, first)}.{rest}" for first, _, rest in split if first != "x"]


def resolve(name: str) -> object:
    """Return what a dotted name is: the longest part that is a module, and attributes of it."""
    parts = name.split(".")
    for at in range(len(parts) - 1, 0, -1):
        try:
            value: object = import_module(".".join(parts[:at]))
        except ModuleNotFoundError:
            continue
        for part in parts[at:]:
            value = getattr(value, part)
        return value
    raise AssertionError(name)


@pytest.mark.parametrize("op", catalogue().values(), ids=list(catalogue()))
@pytest.mark.usefixtures("torchvision")
def test_an_op_says_its_names_elsewhere(op: type[Op]) -> None:
    assert "elsewhere" in op.__dict__, "say it, or that there is none: Elsewhere()"
    for framework, roots in ROOTS.items():
        for name in dotted(getattr(op.elsewhere, framework)):
            assert name.partition(".")[0] in roots
            assert callable(resolve(name))
    assert all(name.partition(".")[0] in ("layers", "ops", "keras") for name in dotted(op.elsewhere.keras))


def test_most_ops_have_names_everywhere() -> None:
    torch = [name for name, op in catalogue().items() if not op.elsewhere.torch]
    assert torch == []
    others = [name for name, op in catalogue().items() if not (op.elsewhere.keras and op.elsewhere.jax)]
    assert len(others) < len(catalogue()) / 4


def test_names() -> None:
    one = Elsewhere(
        torch="nn.Conv2d, F.conv2d, +, x[:, i]", keras="layers.Dropout with noise_shape", jax="a.b.C"
    )
    assert one.names() == ["Conv2d", "conv2d", "C"]
