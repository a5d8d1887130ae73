"""What lecture notes on CNN architectures claim, held against what netdsl computes; writes docs/claims.md.

A claim is a function that returns whether it holds, None where it holds in part, and our numbers. It asserts what the
words after its verdict say. `make docs` writes the page.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from zoo import net

from netdsl import api
from netdsl.network import Network

Measured = tuple[bool | None, str]
"""Whether the claim holds, None if in part, and our numbers."""


class Claim(NamedTuple):
    """A sentence of the notes, and how it is checked."""

    says: str
    verdict: str
    """right, wrong or in part, and what there is to say of it."""
    measure: Callable[[], Measured]


CLAIMS: dict[str, Claim] = {}
"""By id."""

NOT_STATIC = {
    "C50": (
        "with the weights of its convolutions zero a residual block is the identity",
        "about values; it holds for inputs that are not negative, as they are behind a relu",
    ),
    "C53": ("the winner of 2014 was VGG", "history: GoogLeNet won classification, VGG localisation"),
    "C56": ("inference time is linear in the operations", "needs measurements on a machine"),
    "C57": ("more groups at equal compute make ResNeXt more accurate", "needs training"),
}
"""What cannot be checked without running or reading elsewhere, and why."""


def claim(name: str, says: str, verdict: str) -> Callable[[Callable[[], Measured]], Callable[[], Measured]]:
    """Register a function as the check of a claim."""

    def register(measure: Callable[[], Measured]) -> Callable[[], Measured]:
        CLAIMS[name] = Claim(says, verdict, measure)
        return measure

    return register


def make(shape: str, *lines: str) -> Network:
    """Return a small net."""
    return api.loads("\n    ".join(["net Small():", f"input {shape}", *lines]) + "\n")


def weights(known: Network, *keys: str) -> int:
    """Return the elements of learned tensors, those whose key ends so."""
    return sum(p.elements for key, p in known.parameters.items() if key.endswith(keys or ("weight",)))


def of_ops(known: Network, *ops: str) -> list[str]:
    """Return the nodes of some ops, in order."""
    return [node.name for node in known.graph if node.op.name in ops]


def macs_of(known: Network, *ops: str) -> int:
    """Return the MACs of all nodes of some ops."""
    return sum(known.layer_costs[name].macs for name in of_ops(known, *ops))


def growth(known: Network, name: str) -> int:
    """Return a node's receptive field."""
    return int(known.receptive[name].rows.largest)


ALEXNET, VGG16 = "alexnet_one_tower", "vgg16"
FIRST = "c: conv 11x11, 64, /4, pad=2"

# ---------------------------------------------------------------- a layer's memory, parameters, operations


@claim("C01", "a layer's memory is c h w numbers: 64 x 56 x 56 floats are 784 KB", "right, in units of 1,024")
def memory_of_a_layer() -> Measured:
    size = 4 * make("3, 227x227", FIRST).layer_costs["c"].activations
    return size / 1024 == 784, f"{size:,} bytes"


@claim(
    "C02",
    "64 filters of 3 x 11 x 11 have 23,232 parameters",
    "right for the weights; there are 64 biases more",
)
def params_of_a_layer() -> Measured:
    known = make("3, 227x227", FIRST)
    assert known.cost().params == 23_232 + 64
    return weights(known) == 23_232, f"{weights(known):,} weights, {known.cost().params:,} parameters"


@claim("C03", "that layer takes 72,855,552 operations", "right, in MACs")
def macs_of_a_layer() -> Measured:
    macs = make("3, 227x227", FIRST).cost().macs
    return macs == 72_855_552, f"{macs:,} MACs"


@claim(
    "C04", "AlexNet's first layer makes 56 x 56, elsewhere 55 x 55", "right: two nets, of 64 and 96 filters"
)
def sizes_of_a_layer() -> Measured:
    one = make("3, 227x227", FIRST).shapes["c"]
    other = net(ALEXNET).shapes["features.0"]
    return (tuple(one), tuple(other)) == ((64, 56, 56), (96, 55, 55)), f"{one}, {other}"


@claim(
    "C29",
    "1 MAC is 1 FLOP: h w k f f c of a convolution, n m of fc, h w c f f of a pool",
    "right: a convention",
)
def operations() -> Measured:
    known = make("5, 9x8", "c: conv 3x3, 7", "p: maxpool 2x2", "flatten", "d: fc 6")
    costs = known.layer_costs
    counts = costs["c"].macs, costs["p"].ops, costs["d"].macs
    expected = 9 * 8 * 7 * 3 * 3 * 5, 4 * 4 * 7 * 2 * 2, 4 * 4 * 7 * 6
    return counts == expected, "conv and fc count MACs, pools the same number of ops"


@claim("C30", "parameters: k (f f c + 1) of a convolution, n (m + 1) of fc, none of a pool", "right")
def parameters() -> Measured:
    known = make("5, 9x8", "c: conv 3x3, 7", "p: maxpool 2x2", "flatten", "d: fc 6")
    counts = [known.layer_costs[name].params for name in "cpd"]
    return counts == [7 * (9 * 5 + 1), 0, 6 * (4 * 4 * 7 + 1)], "for 7 filters of 5 x 3 x 3: 322"


# ---------------------------------------------------------------- LeNet, AlexNet, ZFNet


@claim("C05", "AlexNet: memory is largest in the first convolutions", "right")
def alexnet_memory() -> Measured:
    known = net(ALEXNET)
    sizes = {name: 4 * known.layer_costs[name].activations for name in of_ops(known, "conv", "maxpool", "fc")}
    largest = max(sizes, key=sizes.__getitem__)
    return (
        largest == "features.0",
        f"{largest} makes {sizes[largest]:,} bytes, the next {sorted(sizes.values())[-2]:,}",
    )


@claim("C06", "AlexNet: most parameters are in the first fc", "right")
def alexnet_params() -> Measured:
    known = net(ALEXNET)
    first, *rest = (known.layer_costs[name].params for name in of_ops(known, "fc"))
    whole = known.cost().params
    share, three = first / whole, (first + sum(rest)) / whole
    return first > whole / 2, f"{share:.1%} in the first, {three:.1%} in all three"


@claim("C07", "AlexNet: most operations are in convolutions", "right")
def alexnet_macs() -> Measured:
    known = net(ALEXNET)
    return macs_of(known, "conv") > known.cost().macs / 2, f"{macs_of(known, 'conv') / known.cost().macs:.1%}"


def pooling(known: Network) -> int:
    """Return the ops of pools."""
    return sum(known.layer_costs[name].ops for name in of_ops(known, "maxpool", "avgpool"))


@claim("C08", "pools cost nearly nothing, and have no parameters", "right")
def pools() -> Measured:
    known = net(ALEXNET)
    share = pooling(known) / (pooling(known) + known.cost().macs)
    learned = sum(known.layer_costs[name].params for name in of_ops(known, "maxpool"))
    return share < 0.001 and learned == 0, f"{share:.3%} of AlexNet's operations"


@claim("C17", "LeNet: 0.42 MFLOP, 62k parameters", "right, with pooling")
def lenet() -> Measured:
    known = net("lenet")
    whole = known.cost().macs + pooling(known)
    right = round(whole / 1e6, 2) == 0.42 and round(known.cost().params, -3) == 62_000
    return right, f"{known.cost().macs:,} MACs, {whole:,} with pooling; {known.cost().params:,} parameters"


@claim("C18", "AlexNet: 1000 MFLOP", "in part: more, by 14 %")
def alexnet_total() -> Measured:
    whole = net(ALEXNET).cost().macs + pooling(net(ALEXNET))
    assert round(whole / 1e9, 2) == 1.14
    return None, f"{whole:,}"


@claim("C19", "AlexNet: 62 M parameters", "right for one tower; the two towers of the paper have fewer")
def alexnet_total_params() -> Measured:
    one, two = net(ALEXNET).cost().params, net("alexnet_2012").cost().params
    return round(one / 1e6) == 62 and two < one, f"{one:,}; {two:,} with two towers"


@claim("C20", "ZFNet: 2.47 GFLOP, 108 M parameters", "right")
def zfnet() -> Measured:
    cost = net("zfnet_big").cost()
    return int(cost.macs / 1e7) == 247 and round(
        cost.params / 1e6
    ) == 108, f"{cost.macs:,} MACs; {cost.params:,}"


@claim("C21", "ZFNet's smaller stride makes its receptive field larger than AlexNet's", "wrong: smaller")
def zfnet_field() -> Measured:
    fields = [
        tuple(growth(known, name) for name in (of_ops(known, "conv")[0], of_ops(known, "maxpool")[-1]))
        for known in (net(ALEXNET), net("zfnet_big"))
    ]
    alexnet, other = fields
    text = (
        f"after the first layer {alexnet[0]} and {other[0]}, after the last pool {alexnet[1]} and {other[1]}"
    )
    return other[0] > alexnet[0] or other[1] > alexnet[1], text


def cell(name: str, at: int, kind: str, says: int, count: str) -> Measured:
    """Return whether a cell of a layer table has the number of the at-th node of a kind."""
    known = net(name)
    cost = known.layer_costs[of_ops(known, kind)[at]]
    value = {"params": cost.params, "macs": cost.macs, "ops": cost.ops}[count]
    return value == says, f"{value:,}"


@claim("C22", "AlexNet's first convolution has 34,857 parameters", "wrong")
def alexnet_first() -> Measured:
    return cell(ALEXNET, 0, "conv", 34_857, "params")


@claim("C23", "LeNet's first pool takes 4,074 operations", "wrong: two digits have changed places")
def lenet_pool() -> Measured:
    return cell("lenet", 0, "avgpool", 4_074, "ops")


@claim("C24", "VGG-16's first fc takes 29 MFLOP", "wrong")
def vgg_fc() -> Measured:
    return cell(VGG16, 0, "fc", 29_000_000, "macs")


@claim(
    "C25",
    "ZFNet's second convolution, 5 x 5 of stride 1 and padded alike, makes 26 x 26",
    "wrong: stride 2, no padding",
)
def zfnet_second() -> Measured:
    written = make("96, 55x55", "c: conv 5x5, 256, /1").shapes["c"]
    assert (
        net("zfnet_big").shapes["features.4"] == make("96, 55x55", "c: conv 5x5, 256, /2, pad=0").shapes["c"]
    )
    return written[1:] == (26, 26), f"{written}; {net('zfnet_big').shapes['features.4']} with stride 2"


@claim("C26", "ZFNet's second pool takes 0.09 MFLOP", "wrong")
def zfnet_pool() -> Measured:
    return cell("zfnet_big", 1, "maxpool", 90_000, "ops")


@claim("C27", "ZFNet's fifth convolution has 4,719,616 parameters", "wrong: as if it had 1,024 biases")
def zfnet_fifth() -> Measured:
    return cell("zfnet_big", 4, "conv", 4_719_616, "params")


@claim("C28", "ZFNet's first fc has 75,515,904 parameters", "wrong: as if each input had a bias")
def zfnet_fc() -> Measured:
    return cell("zfnet_big", 0, "fc", 75_515_904, "params")


@claim(
    "C58",
    "AlexNet was split over two GPUs of 3 GB",
    "right: the second, fourth and fifth convolution have two groups",
)
def alexnet_split() -> Measured:
    known = net("alexnet_2012")
    groups = [known.graph[name].op.arguments()["groups"] for name in of_ops(known, "conv")]
    held = known.memory(batch=128, train=True, optimizer="momentum")
    assert held.peak < 3 * 2**30  # all of it would fit one of them today
    return (
        groups == [1, 2, 1, 2, 2],
        f"groups {groups}; a step of both halves with 128 images holds {held.peak:,} bytes",
    )


# ---------------------------------------------------------------- VGG


def stack(n: int, c: int, *, kernel: int = 3) -> Network:
    """Return n convolutions without bias from c channels to c."""
    lines = [f"c{i}: conv {kernel}x{kernel}, {c}, bias=false" for i in range(n)]
    return make(f"{c}, 31x31", *lines)


@claim(
    "C09",
    "n 3 x 3 see (2n+1) x (2n+1), with fewer weights",
    "in part: fewer for n > 1 and equal widths, not from 3 channels",
)
def stacked() -> Measured:
    shares = []
    for n in (1, 2, 3):
        many, one = stack(n, 8), stack(1, 8, kernel=2 * n + 1)
        assert growth(many, f"c{n - 1}") == growth(one, "c0") == 2 * n + 1
        shares.append(many.cost().params / one.cost().params)
    assert shares[0] == 1
    assert all(share < 1 for share in shares[1:])
    first = make("3, 31x31", "conv 3x3, 64, bias=false", "conv 3x3, 64, bias=false").cost().params
    assert first > make("3, 31x31", "conv 5x5, 64, bias=false").cost().params
    return None, ", ".join(f"{share:.3f} for n = {n}" for n, share in enumerate(shares, 1))


@claim("C10", "one 5 x 5 has 1.4 times the parameters and operations of two 3 x 3", "right")
def five_by_five() -> Measured:
    two, one = stack(2, 64).cost(), stack(1, 64, kernel=5).cost()
    ratios = one.params / two.params, one.macs / two.macs
    return all(round(ratio, 1) == 1.4 for ratio in ratios), f"{ratios[0]:.4f} and {ratios[1]:.4f}"


@claim("C11", "two 3 x 3 need twice the memory of one 5 x 5", "right")
def twice_the_memory() -> Measured:
    ratio = stack(2, 64).cost().activations / stack(1, 64, kernel=5).cost().activations
    return ratio == 2, f"{ratio:g}"


def vgg_widths(name: str) -> list[int]:
    """Return the channels that each pool leaves."""
    known = net(name)
    return [known.shapes[pool].c for pool in of_ops(known, "maxpool")]


@claim("C12", "VGG: behind each pool the channels double", "in part: not behind the fourth")
def doubled() -> Measured:
    widths = vgg_widths(VGG16)
    assert [b / a for a, b in pairwise(widths)] == [2, 2, 2, 1]
    return None, ", ".join(map(str, widths))


@claim(
    "C13",
    "VGG: the convolutions of all resolutions take the same operations",
    "in part: the first of a stage half, the fifth stage a quarter",
)
def same_cost() -> Measured:
    known = net(VGG16)
    macs = [known.layer_costs[name].macs for name in of_ops(known, "conv")]
    whole = macs[1]
    assert [m / whole for m in macs[2:]] == [0.5, 1, 0.5, 1, 1, 0.5, 1, 1, 0.25, 0.25, 0.25]
    return None, f"{whole:,}; {whole // 2:,}; {whole // 4:,}"


@claim(
    "C14",
    "half the size and twice the channels: equal operations, half the memory, four times the parameters",
    "right",
)
def next_stage() -> Measured:
    one, other = (
        make(f"{c}, {side}x{side}", f"conv 3x3, {c}, bias=false").cost() for c, side in ((24, 28), (48, 14))
    )
    ratios = other.macs / one.macs, other.activations / one.activations, other.params / one.params
    return ratios == (1, 0.5, 4), f"{ratios[0]:g}, {ratios[1]:g}, {ratios[2]:g}"


@claim(
    "C15",
    "VGG is conv-conv-pool three times, then conv-conv-conv-[conv]-pool twice: 16 or 19 layers",
    "wrong: 15 or 17; the third stage has three",
)
def grammar() -> Measured:
    counted = [len(of_ops(net(name), "conv", "fc")) for name in (VGG16, "vgg19")]
    assert counted == [16, 19]
    printed = [2 * 3 + 3 * 2 + 3, 2 * 3 + 4 * 2 + 3]
    return (
        counted == printed,
        f"{counted[0]} and {counted[1]} layers; as printed {printed[0]} and {printed[1]}",
    )


@claim("C16", "VGG-16 has 138 M parameters, VGG-19 144 M", "right")
def vgg_params() -> Measured:
    counts = [net(name).cost().params for name in (VGG16, "vgg19")]
    return [round(n / 1e6) for n in counts] == [138, 144], f"{counts[0]:,}; {counts[1]:,}"


# ---------------------------------------------------------------- GoogLeNet


@claim("C31", "GoogLeNet's stem goes from 224 to 28", "right")
def stem() -> Measured:
    shapes = [net("googlenet").shapes[name] for name in ("conv1.conv", "maxpool1", "maxpool2")]
    return [shape.h for shape in shapes] == [112, 56, 28], ", ".join(map(str, shapes))


def down_to(known: Network, last: str) -> tuple[int, int, int]:
    """Return bytes of the outputs of convolutions and pools, parameters and MACs up to a node."""
    nodes = of_ops(known, "conv", "maxpool")
    costs = [known.layer_costs[name] for name in nodes[: nodes.index(last) + 1]]
    return (
        4 * sum(cost.activations for cost in costs),
        sum(cost.params for cost in costs),
        sum(cost.macs for cost in costs),
    )


@claim("C32", "down to 28 x 28 GoogLeNet takes far less than VGG-16", "right")
def stems() -> Measured:
    own, vgg = down_to(net("googlenet_2014"), "maxpool2"), down_to(net(VGG16), "features.16")
    text = "; ".join(
        f"{size / 2**20:.2f} MiB, {params:,} parameters, {macs:,} MACs" for size, params, macs in (own, vgg)
    )
    return all(a < b / 6 for a, b in zip(own, vgg, strict=True)), text


@claim("C33", "GoogLeNet ends with the mean of 7 x 7 x 1024 and one fc to 1000", "right")
def googlenet_end() -> Measured:
    known = net("googlenet")
    before = known.inputs_of("avgpool")[0]
    params = known.layer_costs["fc"].params
    return tuple(before) == (1024, 7, 7) and params == 1024 * 1000 + 1000, f"{before}; {params:,} parameters"


@claim("C34", "the naive Inception module makes 28 x 28 x 416 of 28 x 28 x 192", "right")
def naive() -> Measured:
    branches = ["a: conv 1x1, 64", "b: conv 3x3, 128", "c: conv 5x5, 32", "d: maxpool 3x3, /1, pad=1"]
    known = make("192, 28x28", "out: concat:", *(f"    {branch}" for branch in branches))
    shape = known.outputs["out"]
    return tuple(shape) == (416, 28, 28), str(shape)


@claim("C35", "a 1 x 1 before an expensive convolution saves operations", "right")
def bottleneck_before() -> Measured:
    plain = make("192, 28x28", "conv 5x5, 32").cost().macs
    reduced = make("192, 28x28", "conv 1x1, 16", "conv 5x5, 32").cost().macs
    return (
        reduced < plain,
        f"5 x 5 from 192 to 32 at 28 x 28: {plain:,}, {reduced:,} with 16 between, {plain / reduced:.2f} times less",
    )


@claim("C36", "a global average pool is one whose kernel is the map", "right")
def global_pool() -> Measured:
    known = make("6, 7x5", "a: avgpool 7x5")
    other = make("6, 7x5", "a: avgpool to=1x1")
    same = known.shapes["a"] == other.shapes["a"] and known.cost() == other.cost()
    return same, f"{known.shapes['a']}, of 6x7x5"


# ---------------------------------------------------------------- ResNet and after

HALF = "conv 1x1, {c}, bias=false", "conv 3x3, {c}, groups={g}, bias=false", "conv 1x1, {out}, bias=false"


def bottleneck(out: int, c: int, groups: int = 1) -> int:
    """Return the MACs of a bottleneck for each pixel."""
    return make(f"{out}, 8x8", *(line.format(c=c, g=groups, out=out) for line in HALF)).cost().macs // 64


@claim(
    "C37",
    "a bottleneck takes 17 C^2 a pixel, two 3 x 3 18 C^2",
    "right; it carries four times the channels, too",
)
def seventeen() -> Measured:
    c = 64
    basic = make(f"{c}, 8x8", f"conv 3x3, {c}, bias=false", f"conv 3x3, {c}, bias=false").cost().macs // 64
    own = bottleneck(4 * c, c)
    return (own, basic) == (17 * c * c, 18 * c * c), f"for C = 64: {own:,} and {basic:,}, {own / basic:.4f}"


@claim("C38", "a ResNeXt block as costly as a bottleneck has 9 G c^2 + 8 G C c = 17 C^2", "right")
def resnext() -> Measured:
    big = 64
    widths = []
    for groups in (1, 2, 4, 8, 32):
        ideal = (-8 * big + sqrt(64 * big * big + 4 * 9 * 17 * big * big / groups)) / 18
        costs = {c: bottleneck(4 * big, groups * c, groups) for c in (int(ideal), int(ideal) + 1)}
        assert all(cost == 9 * groups * c * c + 8 * groups * big * c for c, cost in costs.items())
        widths.append(min(costs, key=lambda c: abs(costs[c] - 17 * big * big)))
    return widths == [64, 40, 24, 14, 4], f"C = 64, G = 1, 2, 4, 8, 32: c = {', '.join(map(str, widths))}"


@claim("C39", "a grouped convolution is branches side by side, and a concat", "right")
def grouped() -> Measured:
    one = make("8, 9x7", "c: conv 3x3, 6, groups=2, bias=false")
    parts = [
        "a, b = from image -> split 2",
        "out: concat:",
        "    from a -> conv 3x3, 3, bias=false as one",
        "    from b -> conv 3x3, 3, bias=false as two",
    ]
    other = make("image: 8, 9x7", *parts)
    own, theirs = one.cost(), other.cost()
    same = (own.params, own.macs) == (theirs.params, theirs.macs) and one.outputs == other.outputs
    return same, f"{own.params:,} parameters, {own.macs:,} MACs both"


@claim("C40", "3 x 3 x 3 to 16 at 32 x 32: 432 and 442,368, separable 75 and 76,800", "right")
def separable() -> Measured:
    full = make("3, 32x32", "conv 3x3, 16, bias=false").cost()
    apart = make("3, 32x32", "dwconv 3x3, bias=false", "conv 1x1, 16, bias=false").cost()
    counts = full.params, full.macs, apart.params, apart.macs
    return counts == (432, 442_368, 75, 76_800), f"{apart.macs / full.macs:.5f} of it"


@claim("C41", "separable operations are (H W + F) N N F", "wrong: times C, not F")
def separable_formula() -> Measured:
    apart = make("3, 32x32", "dwconv 3x3, bias=false", "conv 1x1, 16, bias=false").cost().macs
    assert apart == (9 + 16) * 32 * 32 * 3
    return apart == (9 + 16) * 32 * 32 * 16, f"{apart:,}"


def matrices(known: Network) -> int:
    """Return the weights of convolutions and fc, without biases and norms."""
    return sum(p.elements for p in known.parameters.values() if len(p.shape) > 1)


@claim(
    "C42",
    "MobileNet: 95 % of the operations and 75 % of the parameters are in 1 x 1",
    "right, of the weights without norms and biases",
)
def pointwise() -> Measured:
    known = net("mobilenet_v1_1_0")
    names = [n for n in of_ops(known, "conv") if tuple(known.graph[n].op.arguments()["kernel"]) == (1, 1)]
    macs = sum(known.layer_costs[name].macs for name in names) / known.cost().macs
    params = sum(known.layer_costs[name].params for name in names) / matrices(known)
    return round(macs, 2) == 0.95 and round(params, 2) == 0.75, f"{macs:.2%} and {params:.2%}"


@claim("C43", "ResNet-34 takes 3.6 GFLOP, VGG-19 19.6", "right; 3.66 with projections")
def resnet34() -> Measured:
    counts = net("resnet34").cost().macs, net("vgg19").cost().macs
    return int(counts[0] / 1e8) == 36 and round(counts[1] / 1e9, 1) == 19.6, f"{counts[0]:,}; {counts[1]:,}"


@claim("C44", "ResNet-34 has 30 to 35 M parameters", "wrong")
def resnet34_params() -> Measured:
    params = net("resnet34").cost().params
    return 30e6 <= params <= 35e6, f"{params:,}"


@claim(
    "C45",
    "ResNet has no pooling layers",
    "wrong: a maximum behind the first layer, a mean at the end; none in the stages",
)
def resnet_pools() -> Measured:
    pools = of_ops(net("resnet34"), "maxpool", "avgpool", "gap")
    assert not [name for name in pools if name.startswith("layer")]
    return not pools, ", ".join(pools)


@claim(
    "C46",
    "the first block of a ResNet stage halves the size and doubles the channels",
    "in part: not in the first stage",
)
def resnet_stages() -> Measured:
    known = net("resnet34")
    shapes = [known.shapes["maxpool"], *(known.shapes[f"layer{i}.0.add"] for i in (1, 2, 3, 4))]
    assert [(b.h / a.h, b.c / a.c) for a, b in pairwise(shapes)] == [(1, 1), *[(0.5, 2)] * 3]
    return None, ", ".join(map(str, shapes))


@claim("C47", "ResNet's stem makes a quarter of the size", "right")
def resnet_stem() -> Measured:
    shape = net("resnet50").shapes["maxpool"]
    return shape.h * 4 == 224, str(shape)


@claim("C48", "ResNet-50 is ResNet-34 with bottlenecks", "right: 3, 4, 6, 3 blocks in both")
def resnet50() -> Measured:
    blocks = [
        [
            len({name.split(".")[1] for name in of_ops(net(which), "conv") if name.startswith(f"layer{i}.")})
            for i in (1, 2, 3, 4)
        ]
        for which in ("resnet34", "resnet50")
    ]
    cost = net("resnet50").cost()
    return blocks == [[3, 4, 6, 3]] * 2, f"{cost.params:,} parameters, {cost.macs:,} MACs"


@claim(
    "C49",
    "ResNet-152 takes less memory and computation than VGG",
    "in part: fewer operations and parameters, larger activations",
)
def resnet152() -> Measured:
    own, vgg = net("resnet152").cost(), net(VGG16).cost()
    assert own.macs < vgg.macs
    assert own.params < vgg.params
    assert own.activations > 2 * vgg.activations
    return (
        None,
        f"{own.macs / 1e9:.1f} and {vgg.macs / 1e9:.1f} GMAC; "
        f"{own.activations:,} and {vgg.activations:,} bytes of activations",
    )


@claim("C51", "a shortcut adds no parameters", "right for the identity; a projection does")
def shortcut() -> Measured:
    known = net("resnet18")
    identity = [name for name in known.parameters if name.startswith("layer1.0.") and "downsample" in name]
    params = sum(p.elements for key, p in known.parameters.items() if key.startswith("layer2.0.downsample."))
    assert params == 64 * 128 + 2 * 128
    return not identity, f"0; {params:,} from 64 to 128 channels"


@claim(
    "C52",
    "training takes memory for activations, parameters and the batch",
    "in part: gradients and the optimizer's state, too",
)
def training() -> Measured:
    held = net(ALEXNET).memory(batch=128, train=True, optimizer="momentum")
    assert held.weights == held.gradients == held.optimizer == 249_513_376
    assert held.peak > held.weights + held.optimizer + held.saved
    return (
        None,
        f"AlexNet, 128 images: {held.weights:,} bytes of weights, as many of gradients and with momentum as many "
        f"once more, {held.saved:,} kept for the backward pass, {held.input:,} of images",
    )


def found(known: Network, rule: str) -> bool:
    """Tell whether a rule of the linter finds something."""
    return any(finding.rule.name() == rule for finding in known.lint())


@claim(
    "C54",
    "plain nets of more than ten layers are hard to train without norms, deeper ones even with them",
    "right, as the linter has it",
)
def plain() -> Measured:
    def deep(layers: int, norm: str) -> Network:
        return make("3, 32x32", *[f"conv 3x3, 16, act=relu{norm}" for _ in range(layers)], "gap", "fc 10")

    said = [
        (found(deep(layers, norm), "deep_no_norm"), found(deep(layers, norm), "deep_no_skip"))
        for layers, norm in ((8, ""), (18, ""), (18, ", norm=bn"), (54, ", norm=bn"))
    ]
    return [any(pair) for pair in said] == [
        False,
        True,
        False,
        True,
    ], "8 layers pass and 18 do not; with norms 18 pass and 54 do not"


@claim("C55", "DenseNet concatenates: each layer adds k channels", "right")
def densenet() -> Measured:
    known = net("densenet121")
    widths = [known.shapes["features.pool0"].c]
    for block, layers in enumerate((6, 12, 24, 16), 1):
        scope = next(s for s in known.graph.tree.scopes() if s.path == f"features.denseblock{block}")
        out = known.shapes[list(scope.nodes())[-1]].c
        assert out == widths[-1] + 32 * layers
        widths += [out, out // 2] if block < 4 else [out]
    return widths == [64, 256, 128, 512, 256, 1024, 512, 1024], ", ".join(map(str, widths))


# ---------------------------------------------------------------- the page

HEAD = """# What lecture notes claim

Lecture notes on CNN architectures, held against the nets of the zoo: [tests/claims.py](../tests/claims.py) has the
checks, and `make docs` writes this page. Numbers are netdsl's.

| | claim | | netdsl |
|---|---|---|---|
"""
TAIL = """
What cannot be checked without running a net, or reading elsewhere:

| | claim | why |
|---|---|---|
"""


def render() -> str:
    """Return docs/claims.md."""
    rows = [
        f"| {name} | {one.says} | {one.verdict} | {one.measure()[1]} |\n"
        for name, one in sorted(CLAIMS.items())
    ]
    others = [f"| {name} | {says} | {why} |\n" for name, (says, why) in sorted(NOT_STATIC.items())]
    return HEAD + "".join(rows) + TAIL + "".join(others)


if __name__ == "__main__":
    print(render(), end="")
