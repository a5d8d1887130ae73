"""The language's ops under the conformance kit that ops of other distributions are tested with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest
from op_examples import expected

from netdsl.cost.model import Term
from netdsl.ops import Example, catalogue
from netdsl.ops.activation import Activation, Relu
from netdsl.ops.conv import Conv
from netdsl.testing import check


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


def test_examples_are_needed() -> None:
    class Nothing(Activation):
        """Has none."""

        name: ClassVar[str] = "nothing"

        @classmethod
        def examples(cls) -> Iterator[Example]:
            return iter(())

    with pytest.raises(AssertionError, match="nothing has no examples"):
        check(Nothing)
