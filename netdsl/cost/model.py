"""What is counted, and how: the conventions, once.

1 MAC is one multiplication and one addition, one FLOP of most papers. Convolutions, fully connected layers
and attention's matrix products count MACs; `ops` counts everything else, in a column of its own: pooling
the window's size per output element; bias, add, mul, each normalisation and each activation 1 per output
element; LRN its size per element; softmax 1; concat, split, views, upsampling and dropout (in evaluation)
0.
Activations are the outputs of every op that computes values, whether or not a backend writes it in place.
"""

from __future__ import annotations

from math import prod

from netdsl.record import Record

CONVENTION = (
    "1 MAC = 1 multiply + 1 add; conv, fc and attention's products count MACs, "
    "ops counts the rest (pooling: its window per output); activations are the outputs of all computing ops"
)

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw")
"""The names of those whose memory `netdsl.passes.training` knows."""
EXPLAINED = ("macs", "params", "ops", "memory", "saved", "rf")
"""What can be asked of a layer: memory is the bytes of its outputs, rf its receptive field."""
COUNTERS = (
    "fvcore",
    "thop",
    "ptflops",
    "ptflops-aten",
    "torchinfo",
    "calflops",
    "flopcounter",
    "keras",
)
"""The other counters whose numbers are known, in netdsl.report.peers."""
UNREPEATED = {
    "onnx-tool": (
        "onnx-tool counts a file of ONNX and not a net: its totals depend on the exporter and on what that folds",
        "they are too high: of 17 nets of the zoo by 0.1% (vgg16) to 56% (efficientnet_b0), and 122% for lenet, as "
        "biases, pools and activations count as MACs; its params lack batch normalisations that the exporter folds",
    ),
}
"""Counters whose numbers do not follow from the net: why, and what they get wrong, as benchmarks/README.md has it."""


class Term(Record):
    """A product that a count is the sum of, such as c_out x h_out x w_out x c_in x kh x kw."""

    factors: tuple[tuple[str, int], ...]
    """By name, in the order in which they are said."""
    of: str = ""
    """What it counts, where a count has several terms."""

    @property
    def value(self) -> int:
        """The product."""
        return prod([size for _, size in self.factors])


class Cost(Record):
    """Costs of an op, a group of ops or a net.

    params and buffers are elements; macs and ops are counts; activations is elements when an op reports it
    for one sample, and bytes (batch x dtype) in every table.
    """

    params: int = 0
    buffers: int = 0
    macs: int = 0
    ops: int = 0
    activations: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.params + other.params,
            self.buffers + other.buffers,
            self.macs + other.macs,
            self.ops + other.ops,
            self.activations + other.activations,
        )

    def scaled(self, batch: int, itemsize: int) -> Cost:
        """Return the cost of a batch, with activations in bytes."""
        return Cost(
            self.params,
            self.buffers,
            self.macs * batch,
            self.ops * batch,
            self.activations * batch * itemsize,
        )
