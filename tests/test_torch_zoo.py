"""Nets of the zoo run as emitted, in training and in evaluation."""

from __future__ import annotations

import pytest
import torch
from netdsl_torch import Backend
from torch_oracles import (
    FAMILIES,
    SEVERAL,
    WINDOWED,
    build,
    emitted,
    execute,
    inputs,
    load,
    perturb,
    reference,
    tensors,
)

import netdsl
from netdsl.api import loads


@pytest.mark.parametrize(("name", "side"), (FAMILIES | SEVERAL | WINDOWED).items())
def test_runs_at_a_small_size_with_finite_numbers(name: str, side: int) -> None:
    net = load(name, side)
    torch.manual_seed(0)
    model = perturb(execute(Backend().emit(net))[net.name]())
    for mode in (True, False):
        found = tensors(model.train(mode)(*inputs(net)))
        names = [output.name for output in net.graph.outputs if mode or not output.train]
        assert [out.shape for out in found] == [(2, *net.outputs[name]) for name in names]
        for out in found:
            assert out.isfinite().all()
            assert out.std() > 0


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_several_outputs_are_a_named_tuple_in_training_only(name: str) -> None:
    net, model = load(name), build(name, "meta")
    x = inputs(net, device="meta")
    out = model.train()(*x)
    assert type(out).__name__ == f"{net.class_name}Outputs"
    assert out._fields == tuple(net.outputs)
    assert isinstance(model.eval()(*x), torch.Tensor)


@pytest.mark.parametrize("name", ["inception_v3", "densenet121", "squeezenet1_1", "mobilenet_v2"])
def test_drafts_have_torchvisions_keys_in_order(name: str) -> None:
    ours, theirs = build(name, "meta").state_dict(), reference(name, "meta").state_dict()
    assert [(k, v.shape) for k, v in ours.items()] == [(k, v.shape) for k, v in theirs.items()]


@pytest.mark.parametrize(
    "name", ["squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "efficientnet_b0"]
)
def test_drafts_evaluate_as_torchvisions(name: str) -> None:
    theirs = reference(name).eval()
    ours = build(name).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


def test_a_decided_space_is_a_net() -> None:
    with pytest.raises(netdsl.NetError, match="17 open decisions") as caught:
        netdsl.load("supernet")
    options = dict(detail.split(": ") for detail in caught.value.diagnostics[0].details)
    first = {name: listed.split(", ")[0] for name, listed in options.items()}
    assert {"width", "neck", "stage1.depth", "stage5.expand"} <= set(first)
    net = netdsl.load("supernet", set=first)
    model = execute(Backend().emit(net))["supernet"]()
    assert sum(p.numel() for p in model.parameters()) == net.cost().params
    assert model.eval()(torch.randn(2, 3, 224, 224)).shape == (2, 1000)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_runs_in_another_dtype(dtype: torch.dtype) -> None:
    model = build("resnet18").to(dtype).eval()
    assert {v.dtype for k, v in model.state_dict().items() if "num_batches" not in k} == {dtype}
    assert model(torch.randn(1, 3, 64, 64, dtype=dtype)).dtype == dtype


def test_weights_go_from_one_module_to_another_unchanged() -> None:
    first, second = build("resnet18"), build("resnet18")
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(first.eval()(x), second.eval()(x))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_takes_any_batch(batch: int) -> None:
    assert build("vit_b_16", "meta").eval()(torch.empty(batch, 3, 224, 224, device="meta")).shape == (
        batch,
        1000,
    )


@pytest.mark.parametrize(("name", "head"), [("googlenet", "aux1"), ("inception_v3", "AuxLogits")])
def test_a_head_of_training_is_a_module_like_any_other(name: str, head: str) -> None:
    net, model = load(name), build(name, "meta").eval()
    (source,) = {v for s in net.graph.tree.scopes() if s.path == head for v in s.inputs}
    shape = net.outputs_of(source.node)[source.port]
    assert model.get_submodule(head)(torch.empty(1, *shape, device="meta")).shape == (1, 1000)
    assert emitted(name).count('"""Block BasicConv2d of ') == 1


def test_a_training_output_may_come_before_another() -> None:
    lines = ("input 3, 8x8", "conv1: conv 3x3, 4", "train output aux: gap", "output feat: from flow", "gap")
    text = "net R():\n" + "".join(f"    {line}\n" for line in lines)
    net = loads(text, "r.net")
    model = execute(net.emit())["r"]()
    trained, evaluated = model.train()(torch.ones(2, 3, 8, 8)), model.eval()(torch.ones(2, 3, 8, 8))
    assert [t.shape for t in trained] == [(2, 4), (2, 4), (2, 4, 8, 8)]
    assert evaluated.aux is None
    assert evaluated.feat.shape == (2, 4, 8, 8)


def test_what_nobody_reads_is_not_computed_but_modules_run() -> None:
    text = "net R():\n    input 3, 8x8\n    dead = from x -> relu -> tanh\n    seen = from x -> bn as norm\n    gap\n"
    emitted_text = loads(text, "r.net").emit()
    assert "tanh" not in emitted_text
    assert "        self.norm(x)\n" in emitted_text
    assert execute(emitted_text)["r"]()(torch.ones(2, 3, 8, 8)).shape == (2, 3)


BLOCKS = """
block A(c):
    k1: conv 1x1, c
block B(c):
    k2: conv 1x1, c
block X(c, u: op):
    in_channels: u c
    b: conv 1x1, 2*c
block Cell(c, flag = false):
    conv 3x3, c when flag
    bn
    conv 1x1, c
"""


@pytest.mark.parametrize(
    "body",
    [
        "proj: gap -> fc 5",
        "a: Cell 8, flag=true\nb: Cell 8\nd: conv 1x1, 16\ne: Cell 16\nf: Cell 16, flag=true",
        "x1: X 8, A\nx2: X 12, B",
        "y, z = from flow -> split 2\nconcat:\n    from y -> sigmoid\n    from z\nl1: conv 1x1, 8",
        "c1: conv 3x3, 8\noutput d: from flow",
    ],
)
def test_awkward_nets_are_the_nets_that_they_say(body: str) -> None:
    lines = "".join(f"    {line}\n" for line in ("input 8, 8x8", *body.split("\n")))
    net = loads(f"{BLOCKS}net Trial:\n{lines}", "t.net")
    model = execute(net.emit())["trial"]()
    assert [name for name, _ in model.named_parameters()] == list(net.parameters)
    for mode in (True, False):
        out = tensors(model.train(mode)(torch.randn(2, 8, 8, 8)))
        assert [t.shape for t in out] == [(2, *shape) for shape in net.outputs.values()]
