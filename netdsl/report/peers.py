"""What other counters print for a net, and why: fvcore, thop, ptflops, torchinfo, Keras and others, as measured.

Each counter has a rule for every layer of torch.nn, or function, that it knows (`Op.counted_as`); what it does not
know is 0. A rule is that of the released version that `Peer.version` names, faults included. All is for the module
that netdsl emits, one sample, evaluation, on a CPU with autograd on; tests/data/peers.json has what the counters
printed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from netdsl.backend import LayeredBackend, find
from netdsl.cost.model import Cost
from netdsl.ir.types import Shape
from netdsl.ops.axis import AlongAxis
from netdsl.ops.base import Op
from netdsl.ops.conv import UpConv
from netdsl.ops.norm import LocalResponseNorm
from netdsl.ops.pool import AvgPool, Pool
from netdsl.ops.resize import Resize
from netdsl.ops.window import both
from netdsl.record import Record
from netdsl.sheet import aligned

if TYPE_CHECKING:
    from netdsl.ir.graph import Node
    from netdsl.net import Net

Count = Callable[[Op, tuple[Shape, ...]], int]


class Rule(NamedTuple):
    """How a counter counts a layer, and what to say of it."""

    number: Count
    why: str
    apart: Rule | None = None
    """How it counts the layer where its bias is a step by itself (`Net.biased_apart`), if that is otherwise."""


class Tally(NamedTuple):
    """A number that a counter prints of what is computed."""

    calls: str
    """What the counter calls it."""
    rules: Mapping[str, Rule]
    """By what the op is counted as."""
    per_mac: int = 1
    """What 1 MAC is in it: 2 where the addition counts, too."""


class Peer(Record):
    """Another counter."""

    name: str
    version: str
    tallies: tuple[Tally, ...]
    """None if it counts parameters alone."""
    params: Callable[[Node, Cost, Shapes], int] | None
    """What it counts as the parameters of a node whose own cost is given; None if it does not."""
    about: str
    """What it does otherwise, in a line."""
    functions: bool = True
    """Whether it looks at what is called, so that functions count as layers do."""
    traces: bool = False
    """Whether it looks at what is returned, so that what nobody needs does not count."""

    def rule(self, tally: Tally, layer: str) -> Rule:
        """Return how it counts what an op is counted as; F before it if that is a function."""
        known = tally.rules.get(layer, UNKNOWN)
        return (
            tally.rules.get(layer.removeprefix("F."), UNKNOWN)
            if known is UNKNOWN and self.functions
            else known
        )


Shapes = tuple[Shape, ...]
"""Of an op's inputs."""


# ---------------------------------------------------------------- rules


def _out(op: Op, x: Shapes) -> int:
    return op.outputs(*x)[0].elements


def _is_affine(op: Op, x: Shapes) -> bool:
    return bool(op.weights(*x))


def _times_in(factor: int) -> Count:
    return lambda op, x: factor * x[0].elements


def _times_out(factor: int) -> Count:
    return lambda op, x: factor * _out(op, x)


def _if_affine(with_weights: int, without: int) -> Count:
    return lambda op, x: (with_weights if _is_affine(op, x) else without) * x[0].elements


def _bias(op: Op, x: Shapes) -> int:
    return _out(op, x) if "bias" in op.weights(*x) else 0


def _macs(op: Op, x: Shapes) -> int:
    return op.macs(*x)


def _macs_and_bias(op: Op, x: Shapes) -> int:
    return op.macs(*x) + _bias(op, x)


def _projections(op: Op, x: Shapes) -> int:
    """Return the MACs of attention's fully connected layers."""
    return x[0].n * sum(prod(shape) for shape in op.weights(*x).values() if len(shape) == 2)


def _twice(number: Count) -> Count:
    return lambda op, x: 2 * number(op, x)


SAME = Rule(_macs, "the MACs")
TWICE = Rule(_twice(_macs), "2 for each MAC")
UNKNOWN = Rule(lambda op, x: 0, "it has no rule for this")
TRAINING = Rule(lambda op, x: 0, "it does not run in evaluation")
UNUSED = Rule(lambda op, x: 0, "nothing that is returned needs it, so that it does not see it")
BIAS = Rule(_macs_and_bias, "the MACs, and 1 per output element for a bias")


def _shared(rule: Rule, *layers: str) -> dict[str, Rule]:
    return dict.fromkeys(layers, rule)


# ---------------------------------------------------------------- fvcore


def _standardised(op: Op, x: Shapes) -> int:
    return op.macs(*x) + 4 * prod(op.weights(*x)["weight"])


_KERNEL = "the four projections; it does not know the kernel that does the rest"
_FVCORE = {
    **_shared(SAME, "Conv2d", "ConvTranspose2d", "Linear", "@", "BlurPool2d"),
    "StdConv2d": Rule(_standardised, "the MACs, and 4 for each weight, as it is normalised"),
    "MultiheadAttention": Rule(_projections, _KERNEL),
    "BatchNorm2d": Rule(_if_affine(2, 1), "2 per element, 1 without weights"),
    **_shared(
        Rule(_if_affine(5, 4), "5 per element, 4 without weights"), "LayerNorm", "GroupNorm", "InstanceNorm2d"
    ),
    "AdaptiveAvgPool2d": Rule(_times_in(1), "1 per input element"),
    **_shared(Rule(_times_out(1), "1 per output element"), "Upsample nearest"),
    **_shared(Rule(_times_out(4), "4 per output element"), "Upsample bilinear"),
}

# ---------------------------------------------------------------- thop


def _softmax(op: Op, x: Shapes) -> int:
    """Return 3 n - 1 for each row of n elements."""
    assert isinstance(op, AlongAxis)
    return 3 * x[0].elements - x[0].elements // x[0].size(op.axis)


def _adaptive_mean(op: Op, x: Shapes) -> int:
    """Return input places by output places, and 1, for each output element; a fraction is cut off at the end."""
    out = op.outputs(*x)[0]
    return out.c * (x[0].h * x[0].w + out.h * out.w)


def _as_if_forward(op: Op, x: Shapes) -> int:
    """Return a transposed convolution's MACs as if it were none: output elements x in/groups x kh x kw."""
    out, weight = op.outputs(*x)[0], op.weights(*x)["weight"]
    groups = out.c // weight[1]
    return out.elements * (x[0].c // groups) * weight[2] * weight[3]


_THOP = {
    **_shared(SAME, "Conv2d", "Linear"),
    "ConvTranspose2d": Rule(
        _as_if_forward, "output elements x c_in/groups x kernel, as if it were not transposed"
    ),
    **_shared(
        Rule(_if_affine(4, 2), "4 per element, 2 without weights"),
        "BatchNorm2d",
        "LayerNorm",
        "InstanceNorm2d",
    ),
    "PReLU": Rule(_times_in(1), "1 per element"),
    "Softmax": Rule(_softmax, "3 n - 1 for each row of n"),
    "AvgPool2d": Rule(_times_out(1), "1 per output element"),
    "AdaptiveAvgPool2d": Rule(_adaptive_mean, "the window and 1, per output element"),
    "Upsample nearest": Rule(_times_out(1), "1 per output element"),
    "Upsample bilinear": Rule(_times_out(11), "11 per output element"),
    "Upsample bicubic": Rule(_times_out(259), "259 per output element"),
    **_shared(
        Rule(lambda op, x: 0, "0, as it says"), "ReLU", "ReLU6", "LeakyReLU", "MaxPool2d", "AdaptiveMaxPool2d"
    ),
}


def _params_with_rule(node: Node, cost: Cost, x: Shapes) -> int:
    """Return the parameters of a layer that has a rule and runs in evaluation."""
    return cost.params if node.op.counted_as(*x) in _THOP and not node.train else 0


# ---------------------------------------------------------------- ptflops


def _attention(op: Op, x: Shapes) -> int:
    """Return the MACs, softmax, biases and the scale of q."""
    return op.macs(*x) + op.ops(*x) + x[0].elements


def _padded(op: Op, x: Shapes) -> int:
    """Return the elements of the map that is padded before a pool; a mean without padding pools ones, too."""
    assert isinstance(op, Pool)
    (top, bottom), (left, right) = op.padding(x[0])
    maps = x[0].c + (isinstance(op, AvgPool) and not op.count_include_pad)
    return maps * (x[0].h + top + bottom) * (x[0].w + left + right)


def _response(op: Op, x: Shapes) -> int:
    """Return a product, a factor and a sum per element, and the padded squares that an average is taken of."""
    assert isinstance(op, LocalResponseNorm)
    c, h, w = x[0]
    return 3 * x[0].elements + (c + op.groups * (op.size - 1)) * h * w


_ONE_IN = Rule(_times_in(1), "1 per input element")
_TWO_IN = Rule(
    _times_in(2), "2 per input element: once for the layer, once more for the function that it calls"
)
_ONE_OUT = Rule(_times_out(1), "1 per output element")
_TWO_OUT = Rule(
    _times_out(2), "2 per output element: once for the layer, once more for the function that it calls"
)
_BOTH = ("ReLU", "ELU", "GELU", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d")
"""What is counted as a layer and as a function, and a layer calls its function."""
_MODES = ("Upsample nearest", "Upsample bilinear", "Upsample bicubic")
_PTFLOPS = {
    **_shared(BIAS, "Conv2d", "ConvTranspose2d", "Linear"),
    "MultiheadAttention": Rule(_attention, "the MACs, and 1 for each scale, bias and softmax"),
    **_shared(
        Rule(_if_affine(2, 1), "2 per element, 1 without weights"),
        "BatchNorm2d",
        "GroupNorm",
        "InstanceNorm2d",
    ),
    **_shared(_TWO_IN, *_BOTH, "PReLU"),
    **_shared(_ONE_IN, *(f"F.{layer}" for layer in _BOTH), "LayerNorm", "LeakyReLU"),
    **_shared(_ONE_IN, "ReLU6", "SiLU", "Softmax", "F.ReLU6", "F.SiLU", "F.Softmax"),
    **_shared(Rule(_padded, "1 per element of the padded map"), "F.MaxPool2dSame", "F.AvgPool2dSame"),
    **_shared(_TWO_OUT, *_MODES),
    **_shared(_ONE_OUT, *(f"F.{layer}" for layer in _MODES)),
    **_shared(
        Rule(_response, "3 per element, and the squares with their padding"),
        "LocalResponseNorm",
        "F.LocalResponseNorm",
    ),
}

# ---------------------------------------------------------------- ptflops, by what PyTorch runs


def _projections_and_biases(op: Op, x: Shapes) -> int:
    return _projections(op, x) + x[0].n * sum(
        len(shape) == 1 and shape[0] for shape in op.weights(*x).values()
    )


_APART = Rule(_macs, "the MACs; it does not see the bias, which is added to rows that do not lie in order")
_ATEN = {
    **_shared(BIAS, "Conv2d", "StdConv2d", "ConvTranspose2d"),
    **_shared(SAME, "@", "BlurPool2d"),
    "Linear": Rule(_macs_and_bias, BIAS.why, _APART),
    "MultiheadAttention": Rule(_projections_and_biases, f"{_KERNEL} on a CPU; and 1 for each bias"),
}

# ---------------------------------------------------------------- FlopCounterMode of PyTorch

_FLOPCOUNTER = {
    **_shared(TWICE, "Conv2d", "StdConv2d", "ConvTranspose2d", "Linear", "@", "BlurPool2d"),
    "MultiheadAttention": Rule(_twice(_projections), f"2 for each MAC of {_KERNEL} on a CPU"),
}

# ---------------------------------------------------------------- calflops


def _scattered(op: Op, x: Shapes) -> int:
    """Return a transposed convolution's MACs, with channels of the output divided by the groups once more."""
    assert isinstance(op, UpConv)
    kh, kw = op.kernel
    return x[0].elements * (op.weights(*x)["weight"][1] // op.groups) * kh * kw


def _scattered_and_bias(op: Op, x: Shapes) -> int:
    """Return twice these, and for the bias the places that there were if it were not transposed."""
    assert isinstance(op, UpConv)
    places = 1
    for axis, size in enumerate((x[0].h, x[0].w)):
        covered = both(op.dilation)[axis] * (op.kernel[axis] - 1) + 1
        places *= (size + sum(op.padding(x[0])[axis]) - covered) // both(op.stride)[axis] + 1
    weights = op.weights(*x)
    return 2 * _scattered(op, x) + ("bias" in weights) * weights["weight"][1] * places


def _flops_and_bias(op: Op, x: Shapes) -> int:
    return 2 * op.macs(*x) + _bias(op, x)


def _flops_standardised(op: Op, x: Shapes) -> int:
    return _flops_and_bias(op, x) + 4 * prod(op.weights(*x)["weight"])


def _sized(op: Op, x: Shapes) -> int:
    """Return the input's elements where a scale is given; else the places, or the size if one is for both axes."""
    if not isinstance(op, Resize):
        return x[0].elements
    out = op.outputs(*x)[0]
    return op.to if isinstance(op.to, int) else out.h * out.w


_CALFLOPS_MACS = {
    **_shared(SAME, "Conv2d", "StdConv2d", "Linear", "BlurPool2d"),
    "ConvTranspose2d": Rule(_scattered, "the MACs, but c_out/groups is divided by groups once more"),
    "MultiheadAttention": Rule(_projections, _KERNEL),
}
_CALFLOPS = {
    **_shared(TWICE, "Linear", "BlurPool2d"),
    "Conv2d": Rule(_flops_and_bias, "2 for each MAC, and 1 per output element for a bias"),
    "StdConv2d": Rule(_flops_standardised, "2 for each MAC, 1 for each bias, 4 for each weight"),
    "ConvTranspose2d": Rule(
        _scattered_and_bias,
        "2 for each MAC, but c_out/groups is divided by groups once more; a bias as if it were not transposed",
    ),
    "MultiheadAttention": Rule(_twice(_projections), f"2 for each MAC of {_KERNEL}"),
    "BatchNorm2d": Rule(_if_affine(2, 1), "2 per element, 1 without weights"),
    **_shared(
        Rule(_if_affine(5, 4), "5 per element, 4 without weights"), "LayerNorm", "GroupNorm", "InstanceNorm2d"
    ),
    **_shared(_ONE_IN, *_BOTH, "F.ReLU6", "LeakyReLU", "PReLU", "SiLU", "Softmax"),
    **_shared(Rule(_padded, "1 per element of the padded map"), "MaxPool2dSame", "AvgPool2dSame"),
    **_shared(Rule(_sized, "1 per input element if it has a scale, 1 per place if it has a size"), *_MODES),
    "LocalResponseNorm": Rule(_response, "3 per element, and the squares with their padding"),
}

# ---------------------------------------------------------------- torchinfo


def _tensors(op: Op, x: Shapes) -> int:
    """Return the elements of the tensors that are called weight and bias."""
    weights = op.weights(*x)
    return sum(prod(weights[name]) for name in ("weight", "bias") if name in weights)


def _tensors_per_place(op: Op, x: Shapes) -> int:
    out = op.outputs(*x)[0]
    return _tensors(op, x) * out.h * out.w


_CONV = Rule(_tensors_per_place, "weight and bias, per place of the output")
_ONCE = Rule(_tensors, "weight and bias, once a sample, however many places it is applied to")
_TORCHINFO = {
    **_shared(_CONV, "Conv2d", "F.Conv2d", "F.StdConv2d", "ConvTranspose2d"),
    **_shared(
        _ONCE,
        "Linear",
        "F.Linear",
        "BatchNorm2d",
        "LayerNorm",
        "F.LayerNorm",
        "RMSNorm",
        "GroupNorm",
        "InstanceNorm2d",
        "PReLU",
    ),
}

# ---------------------------------------------------------------- all


def _every_param(node: Node, cost: Cost, x: Shapes) -> int:
    return cost.params


def _with_statistics(node: Node, cost: Cost, x: Shapes) -> int:
    """Return params and buffers, but for counters and fixed tables, which Keras has not."""
    return cost.params + cost.buffers - sum(map(len, node.op.spare(*x).values()) if cost.buffers else ())


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        Peer(
            name="fvcore",
            version="0.1.5.post20221221",
            tallies=(Tally("FLOPs", _FVCORE),),
            params=_every_param,
            about="1 FLOP is 1 MAC; it adds norms, adaptive means and upsampling to them",
            traces=True,
        ),
        Peer(
            name="thop",
            version="0.1.1",
            tallies=(Tally("MACs", _THOP),),
            params=_params_with_rule,
            about="it adds 4 per element of a norm, and misses layers for which it has no rule, their parameters too",
            functions=False,
        ),
        Peer(
            name="ptflops",
            version="0.7.5",
            tallies=(Tally("MACs", _PTFLOPS),),
            params=_every_param,
            about="it adds biases, norms, activations and pools, the last two mostly twice",
            functions=False,
        ),
        Peer(
            name="ptflops-aten",
            version="0.7.5",
            tallies=(Tally("MACs", _ATEN),),
            params=_every_param,
            about='it adds biases, with backend="aten", and misses the kernel of attention',
        ),
        Peer(
            name="torchinfo",
            version="1.8.0",
            tallies=(Tally("mult-adds", _TORCHINFO),),
            params=_every_param,
            about="it adds biases and norms' weights, and counts fully connected layers for one token of all",
            functions=False,
        ),
        Peer(
            name="calflops",
            version="0.3.2",
            tallies=(Tally("FLOPs", _CALFLOPS, per_mac=2), Tally("MACs", _CALFLOPS_MACS)),
            params=_every_param,
            about="1 MAC is 2 FLOPs, to which it adds norms, activations and pools; it misses what `@` multiplies",
        ),
        Peer(
            name="flopcounter",
            version="2.13.0",
            tallies=(Tally("FLOPs", _FLOPCOUNTER, per_mac=2),),
            params=None,
            about="1 MAC is 2 FLOPs, of PyTorch's FlopCounterMode; on a CPU it misses the kernel of attention",
        ),
        Peer(
            name="keras",
            version="3",
            tallies=(),
            params=_with_statistics,
            about="it counts no MACs, and the running statistics of bn as parameters",
        ),
    )
}
"""By name."""


class Printed(Record):
    """What a counter prints for an op or a net, for one sample."""

    counts: tuple[int, ...]
    """By tally of the counter."""
    params: int | None
    """None if it counts none."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """All of them, in order."""
        return self.counts if self.params is None else (*self.counts, self.params)


class Difference(NamedTuple):
    """What a counter has more of than there is, in all layers of an op that it counts alike."""

    op: str
    what: str
    """What the counter calls what it counts; "params"."""
    more: int
    why: str


class Peers:
    """What counters print for a net."""

    def __init__(self, net: Net) -> None:
        """Find out what is a layer and what is a function in the module that netdsl emits; NetError if it cannot."""
        backend = find("torch")
        assert isinstance(backend, LayeredBackend)
        self.net = net
        self.layers = backend.layers(net)
        results = [output.value.node for output in net.graph.outputs if not output.train]
        called = [node.name for node in net.graph if self.layers.get(node.home) and not node.train]
        self.seen = {True: _behind(net, results), False: _behind(net, (*results, *called))}
        """What runs, by whether a counter looks at what is returned: a layer is called though nobody reads it."""

    def layer(self, node: Node) -> str:
        """Return what a node is counted as."""
        layer = node.op.counted_as(*self.net.inputs_of(node.name))
        is_function = not self.layers.get(node.home, True)
        return f"F.{layer}" if is_function and not layer.startswith("F.") else layer

    def rule(self, node: Node, peer: Peer, tally: Tally) -> Rule:
        """Return how a counter counts a node; NetError if that depends on strides that an op does not say."""
        if node.train:
            return TRAINING
        if node.name not in self.seen[peer.traces]:
            return UNUSED
        rule = peer.rule(tally, self.layer(node))
        if rule.apart is not None and len(self.net.inputs_of(node.name)[0]) > 1:  # else there is one row
            return rule.apart if node.name in self.net.biased_apart else rule
        return rule

    def printed(self, node: Node, peer: Peer) -> Printed:
        """Return what a counter prints for a node."""
        x = self.net.inputs_of(node.name)
        counts = tuple([self.rule(node, peer, tally).number(node.op, x) for tally in peer.tallies])
        params = None if peer.params is None else peer.params(node, self.net.layer_costs[node.name], x)
        return Printed(counts, params)

    def total(self, peer: Peer) -> Printed:
        """Return what a counter prints for the net."""
        rows = [self.printed(node, peer) for node in self.net.graph]
        counts = tuple([sum(row.counts[at] for row in rows) for at in range(len(peer.tallies))])
        return Printed(counts, None if peer.params is None else sum(row.params or 0 for row in rows))

    def differences(self, peer: Peer, nodes: Iterable[Node]) -> list[Difference]:
        """Return by op and reason what a counter has more of than there is: of each number, the largest first."""
        found: dict[tuple[int, str, str, str], int] = {}

        def add(at: int, node: Node, what: str, more: int, why: str) -> None:
            if more:
                key = at, node.op.name, what, why
                found[key] = found.get(key, 0) + more

        for node in nodes:
            theirs, own = self.printed(node, peer), self.net.layer_costs[node.name]
            rules = [self.rule(node, peer, tally) for tally in peer.tallies]
            for at, tally in enumerate(peer.tallies):
                macs = 0 if node.train else tally.per_mac * own.macs
                add(at, node, tally.calls, theirs.counts[at] - macs, rules[at].why)
            if theirs.params is not None:
                why = rules[0].why if rules else "running mean and variance"
                add(len(rules), node, "params", theirs.params - own.params, why)
        rows = sorted(found.items(), key=lambda row: (row[0][0], -abs(row[1])))
        return [Difference(op, what, more, why) for (_, op, what, why), more in rows]


@lru_cache(maxsize=1)
def peers_of(net: Net) -> Peers:
    """Return what counters print for a net; the last one is remembered, as every layer of it is asked for."""
    return Peers(net)


def _behind(net: Net, nodes: Iterable[str]) -> set[str]:
    """Return nodes, and all that they are computed from."""
    found = set(nodes)
    todo = list(found)
    while todo:
        before = [value.node for value in net.graph[todo.pop()].inputs if value.node not in found]
        found.update(before)
        todo += before
    return found


def render(net: Net, peer: Peer) -> str:
    """Return what a counter prints for a net, and what it counts otherwise, and no newline at the end."""
    peers, own = peers_of(net), net.cost()
    theirs = peers.total(peer)
    lines = [f"{net.name} ({net.spec}) as {peer.name} {peer.version} counts: {peer.about}", ""]
    head = [
        (
            tally.calls,
            count,
            tally.per_mac * own.macs,
            "MACs" if tally.per_mac == 1 else f"for {own.macs:,} MACs",
        )
        for tally, count in zip(peer.tallies, theirs.counts, strict=True)
    ]
    head += [] if theirs.params is None else [("params", theirs.params, own.params, "params")]
    totals = []
    for what, printed_, real, name in head:
        share = f" ({100 * (printed_ - real) / real:+.2f} %)" if real and printed_ != real else ""
        totals.append((what, f"{printed_:,}", f" netdsl: {real:,} {name}{share}"))
    lines += aligned(totals, (0, 2))
    rows = peers.differences(peer, net.graph)
    if rows:
        lines += ["", "of which otherwise, by op"]
        table = [(op, f"{more:+,} {what}: {why}") for op, what, more, why in rows]
        lines += (f"  {line}" for line in aligned(table, (0, 1)))
    lines += ["", "batch 1, evaluation, of the module that netdsl emits, on a CPU with autograd on"]
    return "\n".join(lines)
