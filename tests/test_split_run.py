"""The parts of a net, one after the other in one process: all that the net is, makes and learns, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from netdsl_torch.run import by_name, without_dropout
from test_split import measured, plans, splitter
from torch import Tensor, nn
from torch_oracles import FAMILIES, SEVERAL, WINDOWED, execute, inputs, load, perturb, tensors

from netdsl import Network
from netdsl.api import loads
from netdsl.split import Split
from netdsl.split.pipeline import files
from netdsl.split.places import find_places


class Whole:
    """A net in one, and what it makes and learns of one batch."""

    def __init__(self, net: Network, dtype: torch.dtype = torch.float64, gradients: bool = True) -> None:
        """Run it in evaluation and in training, with random numbers in all of its weights."""
        torch.manual_seed(0)
        self.net, self.dtype, self.gradients = net, dtype, gradients
        self.x = [value.to(dtype) for value in inputs(net)]
        module = perturb(without_dropout(execute(net.emit())[net.name]())).to(dtype)
        self.state = {key: value.clone() for key, value in module.state_dict().items()}
        self.made = self.run([module])

    def run(self, modules: Sequence[nn.Module]) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return what modules make, one after the other, by mode, and the buffers and gradients that are left."""
        found = []
        for training in (False, True):
            x: tuple[Tensor, ...] = tuple(self.x)
            with torch.set_grad_enabled(training and self.gradients):
                for module in modules:
                    module.train(training)
                    out = module(*x)
                    x = tuple(value.contiguous() for value in tensors(out))  # as the program sends it
            found.append(by_name(out, self.net.graph.outputs[0].name))
        if self.gradients:
            torch.stack([value.square().mean() for value in found[1].values()]).sum().backward()
        named = [item for module in modules for item in module.named_parameters()]
        left = {key: value.grad for key, value in named if value.grad is not None}
        left |= {key: value for module in modules for key, value in module.named_buffers()}
        return [{key: value.detach() for key, value in one.items()} for one in found], left

    def check(self, split: Split) -> None:
        """Hold the parts of the net against it: keys, names and order of outputs, and all numbers.

        These are the same bit for bit but for products of what lies in another order when it has been sent, and for
        sums of gradients of what has several readers.
        """
        texts, state, parts = files(split), {key: value.clone() for key, value in self.state.items()}, []
        for part in split.nets:
            with torch.device("meta"):
                module = without_dropout(execute(texts[f"{part.name}.py"])[part.name]())
            module.load_state_dict({key: state.pop(key) for key in module.state_dict()}, assign=True)
            parts.append(module)
        assert not state
        (outputs, left), (whole, known) = self.run(parts), self.made
        rounding = 1e-12 if self.dtype == torch.float64 else 1e-4
        for training, (ours, theirs) in enumerate(zip(outputs, whole, strict=True)):
            assert list(ours) == [o.name for o in self.net.graph.outputs if training or not o.train]
            assert ours.keys() == theirs.keys()
            assert all(value.isfinite().all() for value in theirs.values())
            assert max(differ(ours[key], value) for key, value in theirs.items()) < rounding
        assert left.keys() == known.keys()
        largest = max([float(value.abs().max()) for value in known.values() if value.numel()], default=0.0)
        for key, value in known.items():  # some gradients are zero, but for that
            error = float((left[key] - value).abs().max()) if value.numel() else 0.0
            assert error <= 1e3 * rounding * float(value.abs().max()) + rounding * largest, key


def differ(ours: Tensor, theirs: Tensor) -> float:
    """Return by how much two tensors differ, in parts of the largest number."""
    return 0.0 if torch.equal(ours, theirs) else float((ours - theirs).abs().max() / theirs.abs().max())


SIDES = {**FAMILIES, **WINDOWED, **SEVERAL, "mixer_b32_224": 224}
"""One net of each family, and a small side of its input."""
WIDE = (
    "convnext_tiny",
    "googlenet",
    "mixer_b32_224",
    "mobilevit_s",
    "nasnet_a_mobile",
    "swin_t",
    "unet_same",
)
"""Nets that are held to all of that in any number of parts: with several outputs, windows, tokens, and many skips."""


@pytest.mark.parametrize("name", WIDE)
def test_parts_are_the_net(name: str) -> None:
    whole = Whole(load(name, SIDES[name]))
    for parts in (2, 3, 5, 8):
        whole.check(whole.net.split(parts, batch=4, micro_batches=2, train=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SIDES.keys() - {*WIDE}))
def test_parts_of_each_family_are_the_net(name: str) -> None:
    whole = Whole(load(name, SIDES[name]))
    for parts in (2, 5):
        whole.check(whole.net.split(parts))


ENDS = {
    "first made, first returned": """
net Ends():
    input 3, 8x8
    a: conv 3x3, 4
    output first: from a
    b: conv 3x3, 6
    output second: from b
    c: conv 3x3, 5
    output c: from flow
    d: bn
    output last: from d
    return first as own, last, c, second
""",
    "several in, several out, some in training only": """
net Ends():
    input image: 3, 8x8
    input other: 2, 8x8
    input third: 7
    a: from image -> conv 3x3, 4
    output given: from image
    train output aux: from a -> gap -> fc 5 as auxfc
    b: from a -> conv 3x3, 2
    add:
        from b
        from other
    tanh
    output mid: from flow
    train output side: from flow -> gap -> fc 6 as sidefc
    e: from third -> fc 4
    output e: from e
    concat:
        from a
        from b
    gap
    g: fc 4
    add:
        from g
        from e
    return flow as y, given, e, mid, side, aux
""",
    "two heads in training": """
net Ends():
    input 3, 8x8
    a: conv 3x3, 4
    train output aux1: from flow -> gap -> fc 3 as fc1
    b: conv 3x3, 4 -> relu
    train output aux2: from flow -> gap -> fc 2 as fc2
    gap
    fc: fc 5
""",
    "a block of two outputs": """
block Two:
    a: conv 3x3, 4
    b: from x -> conv 3x3, 4
    bn as n
    return a, n

net Ends():
    input 3, 8x8
    p, q = from flow -> Two as t
    r, s = from q -> Two as u
    output s: from s
    output r: from r
    from p, q -> concat -> relu
    output z: from flow
    k: conv 1x1, 3
    sigmoid
    return z as first, r, s
""",
    "what one reads twice and what is returned twice": """
net Ends():
    input 3, 8x8
    a: conv 3x3, 4
    relu
    output first: from flow
    output again: from flow
    b: conv 3x3, 6
    conv 3x3, 4 as c
    output y: from c
    add:
        from c
        from first
    return again as own, first, y
""",
}


@pytest.mark.parametrize("name", ENDS)
def test_outputs_are_in_the_order_of_the_net_wherever_it_is_cut(name: str) -> None:
    net = loads(ENDS[name], "ends.net", "ends")
    whole = Whole(net)
    every = [plan for parts in (2, 3) for plan in plans(len(find_places(net).at) - 1, parts)]
    for plan in every[:: -(-len(every) // 25)]:
        whole.check(measured(splitter(net, len(plan) - 1), plan))
