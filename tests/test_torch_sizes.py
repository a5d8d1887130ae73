"""Emitted modules at other sizes than the one they were compiled for: as those compiled for that size, and numpy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from netdsl_torch.lowering import HELPERS, LOWERINGS
from op_examples import EXAMPLES, arrays_of, close, context, every, expected, text
from torch import Tensor, nn
from torch_oracles import execute, load, perturb, tensors

from netdsl.api import loads
from netdsl.ir.types import Shape
from netdsl.ops import Example, OpError
from netdsl.ops.conv import Conv, DwConv, UpConv
from netdsl.ops.layout import Flatten, PixelShuffle, Tokens
from netdsl.ops.move import Padding, Roll, Shift
from netdsl.ops.part import Crop, Slice
from netdsl.ops.pool import AvgPool, GlobalAvgPool, MaxPool
from netdsl.ops.resize import Resize, Upsample

WINDOWS = (
    MaxPool,
    AvgPool,
    GlobalAvgPool,
    Conv,
    DwConv,
    UpConv,
    Crop,
    Slice,
    Upsample,
    Resize,
    PixelShuffle,
    Roll,
    Padding,
    Shift,
    Tokens,
    Flatten,
)
SIZES = [(12, 12), (13, 13), (12, 15), (15, 10), (9, 14), (5, 5), (4, 3), (1, 2)]
"""Even, odd, not square, small."""

IMPORTS = """\
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
"""
DYNAMIC = {axis: torch.export.Dim.DYNAMIC for axis in (0, 2, 3)}


def source(example: Example) -> list[str]:
    """Return the text of every form of an op: its module, or a function of its inputs."""
    lowered = LOWERINGS[type(example.op)](example.op, context(example))
    arguments = ", ".join(f"x{i}: Tensor" for i in range(len(example.inputs)))
    names = ", ".join(f"x{i}" for i in range(len(example.inputs)))
    bodies = []
    if lowered.module is not None:
        bodies.append((text(lowered.module), f"self.layer({names})"))
    if lowered.function is not None:
        bodies.append(("nn.Identity()", text(lowered.function)))
    return [
        f"class Form(nn.Module):\n    def __init__(self) -> None:\n        super().__init__()\n"
        f"        self.layer = {layer}\n\n"
        f"    def forward(self, {arguments}) -> Tensor:\n        return {value}\n"
        for layer, value in bodies
    ]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a function that makes the forms of an op from files, as TorchScript reads the source."""
    folder, made = tmp_path_factory.mktemp("forms"), 0

    def make(example: Example) -> list[nn.Module]:
        nonlocal made
        forms = []
        for form in source(example):
            made += 1
            file = folder / f"form{made}.py"
            file.write_text(IMPORTS + "\n\n".join([*HELPERS.values(), form]))
            names: dict[str, Any] = {"__name__": f"form{made}"}
            exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), names)
            torch.manual_seed(0)
            forms.append(names["Form"]().double())
        return forms

    return make


def resized(example: Example) -> list[Example]:
    """Return the example at other sizes: the first input has that one, and others differ from it as before."""
    first, found = example.inputs[0], []
    for h, w in SIZES if first.axes == "chw" else []:
        inputs = tuple(Shape(x.c, x.h + h - first.h, x.w + w - first.w) for x in example.inputs)
        other = Example(example.op, inputs)
        try:
            example.op.outputs(*inputs)
        except OpError:
            continue
        if min(map(min, inputs)) > 0:
            found.append(other)
    return found


@every([e for e in EXAMPLES if isinstance(e.op, WINDOWS)])
def test_an_op_is_right_at_any_size(example: Example, compiled: Any) -> None:
    others = resized(example)
    assert len(others) > 2 or example.inputs[0].axes != "chw"
    assert {tuple(source(other)) for other in others} <= {tuple(source(example))}
    for form in compiled(example):
        state = {k.removeprefix("layer."): v.numpy() for k, v in form.state_dict().items()}
        for other in [example, *others]:
            arrays = arrays_of(other)
            (wanted,) = expected(other, arrays, state)
            with torch.no_grad():
                out = form(*map(torch.from_numpy, arrays))
            assert out.shape[1:] == other.op.outputs(*other.inputs)[0]
            close([out.numpy()], [wanted])


@pytest.mark.filterwarnings(r"ignore:`torch\.jit:DeprecationWarning")
@every([e for e in EXAMPLES if isinstance(e.op, WINDOWS)])
def test_a_scripted_and_a_traced_op_is_right_at_any_size(example: Example, compiled: Any) -> None:
    for form in compiled(example):
        scripted, traced = torch.jit.script(form), torch.fx.symbolic_trace(form)
        for other in [example, *resized(example)]:
            x = [torch.from_numpy(array) for array in arrays_of(other)]
            with torch.no_grad():
                assert torch.equal(scripted(*x), form(*x))
                assert torch.equal(traced(*x), form(*x))


BY_SIZE = [e for e in EXAMPLES if isinstance(e.op, (Conv, MaxPool, AvgPool)) and e.op.pads_by_size]


@every(BY_SIZE)
def test_an_op_that_pads_by_size_is_exported_for_all_of_them(example: Example, compiled: Any) -> None:
    form, *_ = compiled(example)
    x = torch.from_numpy(arrays_of(example)[0])
    program = torch.export.export(form, (x,), dynamic_shapes=(DYNAMIC,)).module()
    for other in resized(example)[:5]:
        y = torch.from_numpy(arrays_of(other)[0])[:2]
        assert torch.equal(program(y), form(y))


CELL = """
default conv 3x3, 4, bias=false, pad=tf
default maxpool 3x3, /2, pad=tf
default avgpool 3x3, /2, pad=tf, count_include_pad=false

block Cell(k: dims):
    concat:
        left: dwconv k, /2, pad=tf
        maxpool
        avgpool
        avgpool 2x2, count_include_pad=true
        right: (maxpool 2x2, /1 -> avgpool /1 -> conv /2 as conv)

net Cells:
    input 3, SIZE
    a: Cell 5x5
    b: Cell 4x4
    c: conv 1x1, 4
"""

UNET = """
net Small:
    input 3, SIZE
    default conv 3x3, 4, pad=0, act=relu
    down: conv
    maxpool 2x2, /2
    deep: conv
    up: upconv 2x2, 4, /2
    skip = from down -> crop like=up
    concat:
        from skip
        from up
    last: conv 1x1
"""


CEIL = """
net Ceil:
    input 3, SIZE
    down: conv 3x3, 4
    maxpool 2x2, /2, ceil=true
    up: upconv 2x2, 4, /2
    skip = from down -> crop like=up
    add:
        from skip
        from up
"""

PLACE = """
net Place:
    input 3, SIZE
    a: conv 1x1, 4
    add:
        avgpool to=1x1
        b: conv 1x1, 4
"""


def module(spec: str, side: tuple[int, int]) -> nn.Module:
    """Return the module of a net that is compiled for a size."""
    net = loads(spec.replace("SIZE", f"{side[0]}x{side[1]}"), "n.net")
    torch.manual_seed(0)
    made: nn.Module = execute(net.emit("torch"))[net.name]().eval()
    return made


@pytest.mark.parametrize("spec", [CELL, UNET], ids=["cells", "unet"])
def test_a_net_is_the_one_compiled_for_the_size(spec: str) -> None:
    sides = [(16, 16), (17, 17), (23, 18), (12, 31), (30, 30), (11, 10)]
    nets = [module(spec, side) for side in sides]
    for side, own in zip(sides, nets, strict=True):
        x = torch.randn(2, 3, *side)
        with torch.no_grad():
            wanted = own(x)
            assert all(torch.equal(net(x), wanted) for net in nets)


def test_a_map_is_not_cropped_to_what_is_larger() -> None:
    net = module(CEIL, (16, 16))
    for side in ((16, 15), (15, 16), (15, 15)):
        with pytest.raises(RuntimeError, match="exceeds dimension size"):
            net(torch.randn(2, 3, *side))


def test_a_sum_is_not_written_over_what_is_smaller_at_another_size() -> None:
    small, large = module(PLACE, (1, 1)), module(PLACE, (3, 5))
    x = torch.randn(2, 3, 3, 5)
    with torch.no_grad():
        assert torch.equal(small(x), large(x))


@pytest.mark.parametrize("spec", [CELL, UNET], ids=["cells", "unet"])
def test_a_net_is_exported_and_traced_for_all_sizes(spec: str) -> None:
    net = module(spec, (16, 16))
    program = torch.export.export(net, (torch.randn(2, 3, 24, 27),), dynamic_shapes=(DYNAMIC,)).module()
    traced = torch.fx.symbolic_trace(net)
    for side in ((16, 16), (17, 17), (23, 18)):
        x = torch.randn(3, 3, *side)
        with torch.no_grad():
            torch.testing.assert_close(program(x), net(x))
            assert torch.equal(traced(x), net(x))


@pytest.mark.parametrize(
    ("name", "side", "other"), [("nasnet_a_mobile", 96, (99, 130)), ("unet", 188, (204, 220))]
)
def test_the_zoos_nets_take_other_sizes(name: str, side: int, other: tuple[int, int]) -> None:
    net = load(name, side)
    resized = load(name, inputs={k: (s.c, *other) for k, s in net.inputs.items()})
    (shape,) = resized.inputs.values()
    torch.manual_seed(0)
    ours = perturb(execute(net.emit("torch"))[net.name]()).eval()
    theirs = execute(resized.emit("torch"))[net.name]().eval()
    keep: dict[str, Tensor] = {k: v for k, v in ours.state_dict().items() if not k.startswith("aux_head")}
    theirs.load_state_dict(keep, strict=False)
    x = torch.randn(1, *shape)
    with torch.no_grad():
        for mine, wanted in zip(tensors(ours(x)), tensors(theirs(x)), strict=True):
            assert mine.isfinite().all()
            assert torch.equal(mine, wanted)
