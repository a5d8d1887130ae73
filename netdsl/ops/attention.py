"""Attention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from netdsl.ir.types import Shape
from netdsl.ops.base import EVERYWHERE, Example, Field, Op, OpError


class Attention(Op):
    """Multi-head self-attention: concat over heads of softmax(q k^T / sqrt(c/heads)) v, then a projection.

    Tokens n x c to tokens n x c. MACs: 4 n c^2 (q, k, v and the output) + 2 n^2 c (scores and their sum);
    ops: heads n^2 (softmax) + 4 n c (biases). Weights as nn.MultiheadAttention's: q, k, v in one matrix.
    `dropout` is of the attention weights, in training. Vaswani et al., arXiv 1706.03762.
    """

    name: ClassVar[str] = "attention"
    positional: ClassVar[tuple[str, ...]] = ("heads",)

    heads: int
    dropout: float = 0.0

    def infer(self, *x: Shape) -> Shape:
        """Check heads and dropout; return the input's shape."""
        if x[0].axes != "nc":
            help = "say tokens first" if x[0].axes == "chw" else ""
            raise OpError("", f"attention needs tokens n x c, got {x[0].kind} {x[0]}", help)
        if self.heads < 1:
            raise OpError("heads", f"heads must be at least 1, got {self.heads}")
        if x[0].c % self.heads:
            raise OpError("heads", f"{x[0].c} channels cannot be divided into {self.heads} heads")
        if not 0 <= self.dropout <= 1:
            raise OpError("dropout", f"a probability is from 0 to 1, got {self.dropout}")
        return x[0]

    def weights(self, *x: Shape) -> Mapping[str, tuple[int, ...]]:
        """Return q, k, v in one [3c, c], their bias, and the output's [c, c] and bias."""
        c = x[0].c
        return {
            "in_proj_weight": (3 * c, c),
            "in_proj_bias": (3 * c,),
            "out_proj.weight": (c, c),
            "out_proj.bias": (c,),
        }

    def macs(self, *x: Shape) -> int:
        """Return 4 n c^2 + 2 n^2 c."""
        n, c = x[0]
        return 4 * n * c * c + 2 * n * n * c

    def ops(self, *x: Shape) -> int:
        """Return heads n^2 for softmax and 4 n c for the biases."""
        n, c = x[0]
        return self.heads * n * n + 4 * n * c

    def reach(self, *x: Shape) -> tuple[Field | None, ...]:
        """Return all tokens."""
        return (EVERYWHERE,)

    @classmethod
    def examples(cls) -> Iterator[Example]:
        """Yield one head, several, dropout."""
        yield Example(cls(heads=1), (Shape(5, 6),))
        yield Example(cls(heads=3, dropout=0.1), (Shape(5, 6),))
