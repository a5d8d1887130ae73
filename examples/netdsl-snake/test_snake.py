"""The op under netdsl's conformance kit, with its formula in numpy."""

from __future__ import annotations

import numpy as np
from netdsl_snake import Snake
from numpy.typing import NDArray

from netdsl.ops import Example
from netdsl.testing import check

Array = NDArray[np.float64]


def snake(example: Example, inputs: list[Array], state: dict[str, Array]) -> list[Array]:
    """Return x + sin(a x)^2 / a."""
    (x,) = inputs
    alpha = state["alpha"].reshape(-1, *[1] * (x.ndim - 2))
    return [x + np.sin(alpha * x) ** 2 / alpha]


def test_snake() -> None:
    """On its examples, in torch and in Flax."""
    check(Snake, snake)
