"""Training of small nets, against torch: what is kept, the peaks of steps, the MACs of the backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from hypothesis import HealthCheck, Phase, assume, given, settings
from netdsl_torch import Backend
from op_examples import EXAMPLES, every
from storages import OPTIMIZERS, Tracker, held_by, kept, step_peaks
from strategies import Spec, specs
from test_backward_macs import counted, expected
from test_ops import as_tuple, forms, inputs_of
from test_training_memory import plain, saved
from torch import Tensor, nn
from torch_oracles import execute

from netdsl import Network
from netdsl.api import loads
from netdsl.ir.tape import Storage, Tape, in_order
from netdsl.ir.tape import Tensor as Plain
from netdsl.ops import Example
from netdsl.ops.attention import Attention
from netdsl.passes.training import Alive, needed_by_outputs, run_backward

NETS = {
    "one_number_for_all_channels": """
block ReZero:
    weight alpha [1]
    scales = from alpha -> expand x.c
    add:
        from x
        mul:
            conv: conv 3x3, x.c -> relu
            from scales

net N:
    input 3, 9x7
    stem: conv 3x3, 4
    a: ReZero
    gate: mul:
        identity
        conv 1x1, 1 as conv -> sigmoid -> expand 4
    b: ReZero
    weight beta [1, 1, 1], init=ones
    shifts = from beta -> sigmoid -> expand 4
    from flow, shifts -> add
    tokens
    weight gamma [63, 1], batch=true
    places = from gamma -> expand 4
    from flow, places -> mul
    mean "n"
    fc: fc 3
""",
    "thrice": """
net N:
    input 3, 17x13
    stem: conv 3x3, 8 -> bn -> relu
    a = from flow
    b: from a -> conv 3x3, 8
    c: from a -> conv 1x1, 8 -> sigmoid
    from b, c -> mul
    d = from flow
    from a, b, d -> add
    e = from flow
    from a, b, d, e -> concat
    out: conv 1x1, 5
    gap
    fc: fc 3
""",
    "inplace_after_add": """
block Res(c):
    add:
        conv1: conv 3x3, c, bias=false -> bn -> relu
        from x
    relu6
    add:
        from x
        conv2: conv 3x3, c -> bn
        conv3: conv 1x1, c -> hswish
    silu

net N:
    input 3, 11x9
    stem: conv 3x3, 6
    r1: Res 6
    r2: Res 6
    leaky_relu
    gap
    fc: fc 4
""",
    "drops": """
net N:
    input 4, 9x9
    c1: conv 3x3, 8
    dropout 0.0
    relu
    dropout 1.0
    c2: conv 3x3, 8
    droppath 0.0
    add:
        identity
        b: conv 3x3, 8 -> droppath 0.3
    dropout 0.5
    relu
    flatten
    f: fc 6 -> dropout 0.2 -> relu
    f2: fc 3
""",
    "concat_of_concat": """
net N:
    input 3, 10x7
    concat:
        p: conv 3x3, 4 -> relu
        concat:
            q: conv 1x1, 2
            r: conv 5x5, 3 -> elu
        maxpool 3x3, /1, pad=same
    s: conv 1x1, 6
    concat:
        identity
        identity
    relu
    gap
    fc: fc 2
""",
    "unused_parts": """
net N:
    input 6, 9x7
    c: conv 3x3, 12
    a, b, d, e = from flow -> split 4
    from b -> relu
    k: conv 1x1, 3
    f, g = from flow -> split [1, 2]
    from g, a -> concat
    out: conv 3x3, 4
    gap
""",
    "sum_written_over_a_view": """
net N:
    input 5, 9x14
    out: ln
    a = from flow
    s: ln
    j0: add:
        y: ln
        z: gn 5
        from a -> hswish
    c: conv 3x3, 5
""",
    "orders_of_gradients": """
net N:
    input 5, 9x14
    out: conv 3x3, 5
    s: conv 3x3, 5
    b = from flow
    add:
        y: ln -> relu
        from b -> relu
        sigmoid
        z: gn 5 -> relu
    relu
""",
    "shuffle_unit": """
block Unit(c):
    left, right = from x -> split 2
    concat:
        from left
        branch: from right -> conv 1x1, c -> bn -> relu -> dwconv 3x3 -> bn -> conv 1x1, c -> bn -> relu
    shuffle 2

net N:
    input 3, 15x9
    stem: conv 3x3, 8, /2
    u1: Unit 4
    u2: Unit 4
    gap
    fc: fc 3
""",
    "squeeze_excite": """
block SE(r):
    gate: gap -> fc r as fc1 -> relu -> fc x.c as fc2 -> sigmoid
    from x, gate -> mul

block SE2(r):
    mul:
        identity
        g: avgpool to=1 -> conv 1x1, r as a -> silu -> conv 1x1, x.c as b -> hsigmoid

net N:
    input 3, 12x11
    c1: conv 3x3, 8 -> bn -> silu
    s1: SE 3
    c2: conv 3x3, 8, groups=2
    s2: SE2 2
    hswish
    gap
    fc: fc 4
""",
    "attention": """
block Layer(heads):
    seen = add:
        from x
        from x -> ln as n1 -> attention heads as att
    add:
        from seen
        from seen -> ln as n2 -> fc 12 as f1 -> gelu -> fc x.c as f2

net N:
    input 3, 12x8
    patch: conv 4x4, 6, /4, pad=0
    tokens
    weight pos [1, 6], batch=true, init=normal(0, 0.02)
    l1: Layer 2
    l2: Layer 3
    ln: ln
    token 0
    head: fc 3
""",
    "attend_by_hand": """
block Att(heads):
    q, k, v = from x -> qkv as qkv -> split 3
    from q, k, v -> attend heads -> fc x.c as proj

net N:
    input 3, 9x8
    c: conv 3x3, 8, /2
    tokens
    a: Att 2
    add:
        identity
        ln as n -> Att 4 as b
    mean "n"
    head: fc 5
""",
    "groups_upconv": """
net N:
    input 4, 7x9
    a: conv 3x3, 8, groups=4, /2
    relu
    b: upconv 2x2, 6, /2
    leaky_relu
    c: conv 3x3, 6, groups=3, dilation=2
    upsample 2, mode="bilinear"
    d: dwconv 5x5, multiplier=2
    prelu as p
    pixel_shuffle 2
    e: conv 1x1, 3
""",
    "lrn_softmax": """
net N:
    input 3, 13x11
    a: conv 5x5, 7, /2
    relu
    lrn 5, alpha=0.001, beta=0.75, k=2
    maxpool 3x3, /2
    b: conv 3x3, 6
    softmax
    gap
    c: fc 9
    log_softmax
""",
    "lrn_in_groups": """
net N:
    input 3, 13x11
    a: conv 5x5, 8, /2
    relu
    lrn 3, alpha=0.001, groups=2
    maxpool 3x3, /2
    b: conv 3x3, 6
    lrn groups=3
    gap
    c: fc 9
""",
    "several_outputs": """
net N:
    input 3, 16x12
    a: conv 3x3, 6, /2 -> relu
    output low: conv 1x1, 4
    b: conv 3x3, 8, /2 -> relu
    output mid: gap -> fc 3 as f
    c: conv 3x3, 8 -> relu
    gap
    d: fc 2
""",
    "aux": """
block Aux(n):
    avgpool to=2
    flatten
    fc1: fc 10 -> relu
    dropout 0.5
    fc2: fc n

net N:
    input 3, 16x12
    a: conv 3x3, 6, /2 -> relu
    train output aux1: Aux 4
    b: conv 3x3, 8, /2 -> bn -> relu
    train output aux2: Aux 4
    gap
    d: fc 4
""",
    "recursion": """
block Tree(levels: int in [0, 1, 2, 3], c, stride = 1):
    if levels > 1:
        tree1: Tree levels - 1, c, /stride
        tree2: Tree levels - 1, c
    else:
        add:
            conv1: conv 3x3, c, /stride -> bn -> relu
            conv2: conv 1x1, c, /stride
        relu

net N:
    input 3, 17x16
    tree: Tree 3, 6, /2
    gap
    fc: fc 5
""",
    "loops": """
net N(n = 3):
    input 3, 14x10
    stem: conv 3x3, 8
    for i in range(n):
        layer{i}: conv 3x3, 8 -> bn -> relu
        dropout 0.1
    blocks: 3 * (conv 1x1, 8 -> silu)
    gap
    fc: fc 3
""",
    "siamese": """
block Encoder(c):
    conv1: conv 3x3, c, /2, bias=false
    bn1: bn
    relu
    conv2: conv 3x3, 2*c

net N:
    input 3, 13x9
    seen = from flow
    from seen -> Encoder 4 as encoder
    scale 0.5
    kept = from flow
    from seen -> avgpool 3x3, /1, pad=1 -> same encoder
    from kept, flow -> sub
    relu
    gap
    fc: fc 3
""",
    "same_thrice": """
net N:
    input 6
    f: fc 6
    relu
    same f
    sigmoid
    same f
    g: fc 2
""",
    "same_conv": """
net N:
    input 4, 9x7
    f: conv 3x3, 4
    sigmoid
    same f
    tanh
    same f
    gap
""",
    "windows": """
net N:
    input 3, 11x13
    c: conv 3x3, 6
    a = from flow
    windows 4
    ln as n
    q: fc 6
    unwindows 4, like=a
    add:
        identity
        from a
    relu
    gap
    f: fc 3
""",
    "token_mixer": """
block Mix(h):
    add:
        from x
        from x -> ln as n1 -> permute 1, 0 -> fc 5 as t1 -> gelu -> fc x.n as t2 -> permute 1, 0
    y = from flow
    add:
        from y
        from y -> ln as n2 -> fc h as c1 -> gelu -> fc x.c as c2

net N:
    input 3, 8x12
    p: conv 4x4, 6, /4, pad=0
    tokens
    m1: Mix 9
    m2: Mix 7
    ln: ln
    mean "n"
    f: fc 3
""",
    "class_token": """
net N:
    input 3, 8x8
    p: conv 4x4, 6, /4, pad=0
    tokens
    t = from flow
    weight cls [1, 6], batch=true
    from cls, t -> concat axis="n"
    weight pos [5, 6], batch=true
    from flow, pos -> add
    dropout 0.1
    n: ln
    a: attention 2
    token 0
    h: fc 3
""",
    "layer_scale": """
block Next(c):
    y = from x -> dwconv 7x7, pad=3 as dw -> ln as n -> permute 1, 2, 0 -> fc 4*c as f1 -> gelu -> fc c as f2
        -> permute 2, 0, 1
    weight s [6, 1, 1], init=constant(0.1)
    from y, s -> mul -> droppath 0.1
    from x, flow -> add

net N:
    input 3, 12x16
    stem: conv 4x4, 6, /4, pad=0 -> ln
    b1: Next 6
    b2: Next 6
    gap
    ln: ln
    fc: fc 3
""",
    "blur": """
net N:
    input 3, 15x11
    a: conv 3x3, 6 -> bn -> relu
    blurpool 3
    b: conv 3x3, 6
    blurpool 5, stride=1
    gn 2 as g
    mish
    instance_norm affine=true as i
    avgpool 3x3, /2, pad=1, count_include_pad=false
    mean "hw"
    f: fc 3
""",
    "glus": """
net N:
    input 3, 9x8
    a: conv 3x3, 8
    glu
    b: conv 1x1, 6
    tanhshrink
    softsign
    c: conv 3x3, 6
    rms_norm as r
    logsigmoid
    slice 1, 5
    d: conv 3x3, 6
    slice 1x0, /2
    selu
    amax "hw"
    rrelu
    f: fc 4
    celu
""",
    "circular": """
net N:
    input 2, 9x7
    pad 1, mode="circular"
    a: conv 3x3, 4, pad=0 -> bn -> relu
    pad left=2, mode="circular"
    relu
    add:
        from flow
        pad 0, mode="circular"
    pad 2x1, mode="circular"
    b: conv 5x3, 3, pad=0
    gap
    f: fc 2
""",
    "crop_unet": """
net N:
    input 2, 20x18
    a: conv 3x3, 4, pad=0 -> relu -> conv 3x3, 4, pad=0 -> relu
    skip = from flow
    maxpool 2x2
    b: conv 3x3, 8 -> relu
    up: upconv 2x2, 4, /2
    u = from flow
    s = from skip -> crop like=u
    from s, u -> concat
    c: conv 3x3, 4 -> relu
    o: conv 1x1, 2
""",
    "resize_like": """
net N:
    input 3, 13x9
    a: conv 3x3, 6, /2
    s = from flow
    b: conv 3x3, 8, /2 -> relu
    resize like=s, mode="bilinear"
    from s, flow -> concat
    c: conv 1x1, 4
    pad 1, mode="reflect"
    d: conv 3x3, 3, pad=0
    gap
""",
    "mul_three": """
net N:
    input 3, 9x7
    a: conv 3x3, 6
    mul:
        p: conv 3x3, 6 -> sigmoid
        q: conv 1x1, 6
        r: gap -> fc 6 as f -> tanh
    scale 0.5
    add:
        s: conv 3x3, 6
        t: conv 1x1, 6
        u: conv 3x3, 6 -> bn
        identity
    relu
    gap
""",
    "frozen": """
net N:
    input 3, 9x7
    image = from flow
    weight g [3, 1, 1], learned=false
    from image, g -> mul
    maxpool 3x3, /2
    a: conv 3x3, 4
    weight h [4, 1, 1], init=ones
    from flow, h -> mul
    relu
    gap
    f: fc 2
""",
}
"""Values that are read more than once, written over, split, joined, and layers that run again."""


def module_of(net: Network, name: str, device: str = "cpu") -> nn.Module:
    """Return the emitted module, in training."""
    with torch.device(device):
        model: nn.Module = execute(Backend().emit(net))[name]().train()
    return model


def batch_of(net: Network, batch: int, device: str = "cpu") -> list[Tensor]:
    """Return zeros."""
    return [torch.zeros(batch, *shape, device=device) for shape in net.inputs.values()]


def check(net: Network, name: str, batch: int) -> None:
    """Compare what is kept, held, and alive at most in two steps, with each optimizer."""
    assert saved(net, batch) == kept(module_of(net, name), *batch_of(net, batch))[0]
    for optimizer in OPTIMIZERS:
        model = module_of(net, name)
        memory = net.memory(batch, train=True, optimizer=optimizer)
        peaks, state = step_peaks(model, batch_of(net, batch), optimizer)
        assert [memory.first_peak, memory.peak] == peaks
        assert memory.optimizer == state
        assert memory.weights + memory.buffers == sum(tensor.nbytes for tensor in held_by(model))


@pytest.mark.parametrize("name", NETS)
def test_small_net(name: str) -> None:
    """To the byte and the product; a norm over a batch needs more than one sample."""
    net = loads(NETS[name], name, "n")
    for batch in (2, 3) if "bn" in NETS[name] else (1, 2):
        check(net, "n", batch)
    assert counted(module_of(net, "n", "meta"), batch_of(net, 2, "meta")) == expected(net, 2)


@settings(
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)
@given(specs())
def test_random_net(spec: Spec) -> None:
    """Of code whose names are those of one instance, without loops, conditions, inner names; all of it is read."""
    assume(not any(word in spec.text for word in ("for ", "when ", "if ", " = from flow")))
    net = loads(spec.text, "random.net", "trial")
    assume(any(node.op.weights(*net.inputs_of(node.name)) for node in net.graph))
    assume(set(net.graph.nodes) == needed_by_outputs(net.graph) | set(net.graph.inputs.values()))
    check(net, "trial", 2)


class Begin(torch.autograd.Function):
    """What needs a gradient, and makes none."""

    @staticmethod
    def forward(ctx: object, x: Tensor, channels_last: bool) -> Tensor:
        """Copy a tensor."""
        return x.clone(memory_format=torch.channels_last) if channels_last and x.ndim == 4 else x.clone()

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[None, None]:
        """Drop the gradient."""
        return None, None


def alive_in_torch(form: nn.Module, leaves: list[Tensor], channels_last: bool) -> tuple[int, int]:
    """Return the peaks of a forward pass through a layer, and back from the sum of what it makes."""

    def outputs() -> tuple[Tensor, ...]:
        x = [Begin.apply(leaf, channels_last) if leaf.requires_grad else leaf for leaf in leaves]
        return as_tuple(form(*x))

    tracker = Tracker(own=[*held_by(form), *leaves])
    with tracker:
        made = outputs()
        loss = sum(y.sum() for y in made)
        del made
        forward, tracker.peak = tracker.peak, tracker.bytes
        assert isinstance(loss, Tensor)
        loss.backward()
    return forward, tracker.peak


def alive_in_facts(example: Example, x: list[Tensor], channels_last: bool, inplace: bool) -> tuple[int, int]:
    """Return the same as netdsl has it."""
    op = example.op
    tape = Tape(len(x[0]), x[0].element_size())
    tape.enter("begin")
    tape.parameters = tuple(map(tape.learned, op.weights(*example.inputs).values()))
    read = []
    for tensor, shape in zip(x, example.inputs, strict=True):
        leaf = plain(tensor, shape)
        leaf.storage.learned = True
        if leaf.grad:
            like = Begin.apply(tensor, channels_last)
            leaf = tape.pointwise(
                leaf,
                back=lambda _, x: Plain(x.sizes, in_order(x.sizes), Storage(0, x.storage.itemsize), False),
            )
            leaf.strides, leaf.sample = like.stride(), shape
        read.append(leaf)
    tape.hold(read)
    tape.enter("layer")
    tape.writes = inplace and op.overwrites(*example.inputs)
    saved = op.saved(tape, *read)
    made = saved if isinstance(saved, tuple) else (saved,)
    tape.note(*read, *made)
    tape.drop(read)
    tape.enter("loss")
    tape.note(*made, *[tape.new(()) for _ in range(min(3, 1 + len(made)))])
    alive = Alive()
    run_backward(tape, made, alive)
    return tape.peak, alive.peak


@every(EXAMPLES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_an_op_on_its_own(example: Example, channels_last: bool) -> None:
    """What is alive at most while it runs, and while it goes back."""
    op = example.op
    if op.name in ("weight", "window_mask"):
        return  # which read nothing
    for inplace in (False, True) if op.inplace else (False,):
        for form in forms(example, inplace):
            x = [t.requires_grad_(t.is_floating_point()) for t in inputs_of(example)]
            if op.name == "bn" and x[0].numel() == x[0].shape[1]:
                continue  # torch takes no mean of one number
            if op.name == "relative_bias" and channels_last:
                continue  # a table is no map
            expected = alive_in_torch(form.train(), x, channels_last)
            assert alive_in_facts(example, x, channels_last, inplace) == expected


def laid(x: Tensor, channels_last: bool) -> Tensor:
    """Return a tensor, with its channels last if it is maps and they should be."""
    return x.clone(memory_format=torch.channels_last) if channels_last and x.ndim == 4 else x.clone()


def lying(strides: Sequence[int], sizes: Sequence[int]) -> list[int]:
    """Return the strides that mean something."""
    return [stride for stride, size in zip(strides, sizes, strict=True) if size > 1]


@every(EXAMPLES)
@pytest.mark.parametrize("channels_last", list(product([False, True], repeat=2)))
def test_how_gradients_lie(example: Example, channels_last: tuple[bool, bool]) -> None:
    """For inputs and gradients of outputs that lie in order or with channels last: whether torch's kernels copy."""
    op = example.op
    if op.name in ("weight", "window_mask", "relative_bias"):
        return
    if op.name == "rms_norm" or (op.name == "amax" and op.axes == "w"):
        return  # whose gradients have other orders at some sizes
    for form in forms(example, False):
        x = [t.requires_grad_(t.is_floating_point()) for t in inputs_of(example)]
        if op.name == "bn" and x[0].numel() == x[0].shape[1]:
            continue  # torch takes no mean of one number
        leaves = [laid(t, channels_last[0]).detach().requires_grad_(t.requires_grad) for t in x]
        made = [y for y in as_tuple(form.train()(*leaves)) if y.requires_grad]
        given = [
            laid(torch.ones_like(y, memory_format=torch.contiguous_format), channels_last[1]) for y in made
        ]
        wanted = [t for t in leaves if t.requires_grad]
        expected = torch.autograd.grad(made, wanted, given, allow_unused=True)
        tape = Tape(len(x[0]), x[0].element_size())
        tape.parameters = tuple(map(tape.learned, op.weights(*example.inputs).values()))
        found: dict[int, Plain] = {}
        read = []
        for at, (tensor, shape) in enumerate(zip(leaves, example.inputs, strict=True)):
            leaf = plain(tensor, shape)
            leaf.storage.learned = True
            if leaf.grad:
                strides = leaf.strides

                def note(grad: Plain, x: Plain, at: int = at, found: dict[int, Plain] = found) -> Plain:
                    found[at] = grad
                    return Plain(x.sizes, in_order(x.sizes), Storage(0, x.storage.itemsize), False)

                leaf = tape.pointwise(leaf, back=note)
                leaf.strides, leaf.sample = strides, shape
            read.append(leaf)
        saved = op.saved(tape, *read)
        outputs = [y for y in (saved if isinstance(saved, tuple) else (saved,)) if y.grad]
        ends = []
        for y, grad in zip(outputs, given, strict=True):
            gives = Plain(tuple(grad.shape), grad.stride(), Storage(*grad.shape, grad.element_size()), False)
            ends.append(tape.pointwise(y, back=lambda _, x, gives=gives: gives))
        run_backward(tape, ends, Alive())
        for at, grad in zip([at for at, t in enumerate(leaves) if t.requires_grad], expected, strict=True):
            assert (grad is None) == (at not in found)
            if grad is not None and 0 not in grad.stride():
                assert lying(found[at].strides, grad.shape) == lying(grad.stride(), grad.shape)


@every(EXAMPLES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_op_on_its_own_in_half(example: Example, dtype: torch.dtype) -> None:
    """The same in half precision, in which some ops take steps in float32; without numbers, as on GPUs."""
    op = example.op
    if op.name in ("weight", "window_mask"):
        return  # which read nothing
    if op.name == "mish" or (isinstance(op, Attention) and not op.dropout):
        return  # which have other kernels without numbers
    for form in forms(example, False):
        x = [t.to("meta", dtype) if t.is_floating_point() else t.to("meta") for t in inputs_of(example)]
        if op.name == "bn" and x[0].numel() == x[0].shape[1]:
            continue  # torch takes no mean of one number
        x = [t.requires_grad_(t.is_floating_point()) for t in x]
        expected = alive_in_torch(form.to("meta", dtype).train(), x, False)
        assert alive_in_facts(example, x, False, False) == expected
