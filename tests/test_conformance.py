"""The language's ops under the conformance kit that ops of other distributions are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
from op_examples import expected
from reference_ops import Array

from netdsl.cost.model import Term
from netdsl.ir.types import Shape
from netdsl.ops import Example, Op, catalogue
from netdsl.ops.activation import Activation, Gelu, Relu, Silu, Softmax, Tanh
from netdsl.ops.attention import Attention
from netdsl.ops.conv import Conv
from netdsl.ops.joint import Add, Mul, Scale
from netdsl.ops.layout import Flatten, Permute
from netdsl.ops.move import Shift
from netdsl.ops.pool import MaxPool
from netdsl.ops.window import VALID
from netdsl.testing import check, check_traits


@pytest.mark.parametrize("name", [name for name, op in catalogue().items() if op.arity != (0, 0)])
def test_every_op_is_what_it_says(name: str) -> None:
    """On some examples: all of them are compared layer by layer in test_ops.py and test_flax_ops.py."""
    check(catalogue()[name], expected, most=3)


def test_a_wrong_number_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conv, "mac_terms", lambda self, *x: (Term((("one", 1),)),))
    with pytest.raises(AssertionError, match=r"MACs of a sample .*DIFFERENT"):
        check(Conv)


def test_another_function_is_seen() -> None:
    with pytest.raises(AssertionError, match=r"relu: torch is .* off the reference"):
        check(Relu, lambda example, inputs, state: [abs(x) for x in inputs])


@pytest.mark.parametrize(
    ("op", "trait", "wrong", "message"),
    [
        (Relu, "linear", True, "it says linear, which does not hold"),
        (Relu, "keeps_zero", False, "relu does not say keeps_zero, which holds"),
        (Relu, "bounds", (0, 1), "it makes numbers outside of its bounds 0 to 1"),
        (Tanh, "clips", True, "it says clips, but is another function"),
        (Silu, "monotonic", True, "it says monotonic, but falls"),
        (Softmax, "channelwise", True, "it says channelwise, which does not hold"),
        (Softmax, "tokenwise", True, "it says tokenwise, which does not hold"),
        (Gelu, "tokenwise", False, "gelu does not say tokenwise, which holds"),
        (Relu, "selects", True, "it says selects, which does not hold"),
        (MaxPool, "selects", False, "maxpool does not say selects, which holds"),
        (Flatten, "passes_values", False, "flatten does not say selects, which holds"),
        (Permute, "passes_values", False, "permute does not say selects, which holds"),
        (Scale, "passes_values", True, "it says passes_values, which does not hold"),
        (Mul, "product", False, "mul does not say product, which holds"),
        (Add, "product", True, "it says product, which does not hold"),
        (
            Shift,
            "idle",
            lambda self, *x: "it may",
            "it says that it hands on what it reads since it may, but does not",
        ),
    ],
)
def test_wrong_traits_are_seen(
    op: type[Op], trait: str, wrong: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(op, trait, wrong)
    with pytest.raises(AssertionError, match=f"{message}$"):
        check_traits(op, expected)


def test_a_convolution_that_is_none_is_seen() -> None:
    """What pads by its edges is no plain convolution, which pads by zeros."""

    class EdgeConv(Conv):
        """A convolution of a map whose edges go on."""

        name: ClassVar[str] = "edgeconv"

        def plain(self, *x: Shape) -> Op | None:
            return Conv(**self.arguments())

    def run(example: Example, inputs: list[Array], state: dict[str, Array]) -> list[Array]:
        (x,), (rows, columns) = inputs, example.op.padding(example.inputs[0])  # type: ignore[attr-defined]
        around = np.pad(x, ((0, 0), (0, 0), rows, columns), mode="edge")
        op = Conv(**{**example.op.arguments(), "pad": VALID})
        return expected(Example(op, (Shape(*around.shape[1:]),)), [around], state)

    with pytest.raises(AssertionError, match="zeros around a map change what it makes"):
        check_traits(EdgeConv, run)


def test_examples_are_needed() -> None:
    class Nothing(Activation):
        """Has none."""

        name: ClassVar[str] = "nothing"

        @classmethod
        def examples(cls) -> Iterator[Example]:
            return iter(())

    with pytest.raises(AssertionError, match="nothing has no examples"):
        check(Nothing)


def test_an_op_that_no_sequential_takes_has_to_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    check(Attention, most=1)
    monkeypatch.setattr(Attention, "sequential", True)
    with pytest.raises(
        AssertionError, match="no Sequential of torch takes it, so it says `sequential = False`"
    ):
        check(Attention, most=1)
