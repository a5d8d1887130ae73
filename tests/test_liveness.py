"""Liveness: by hand on small nets, and to the byte against the storages of emitted modules as they run."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import Any

import pytest
import torch
from storages import Tracker, held_by
from torch import nn
from torch_oracles import FAMILIES, SEVERAL, execute, load

from netdsl import NetError, Network, api


def scratch(net: Network, name: str, itemsize: int = 4) -> int:
    """Return the temporary bytes of a node for one sample."""
    return net.graph[name].op.scratch(itemsize, *net.inputs_of(name))


def built(net: Network) -> nn.Module:
    """Return the emitted module, with whatever weights lie in memory; what is an index is 0."""
    with torch.device("meta"):
        model: nn.Module = execute(net.emit("torch"))[net.name]().eval()
    model = model.to_empty(device="cpu")
    for buffer in model.buffers():
        if not buffer.is_floating_point():
            buffer.zero_()
    return model


def assert_measured(
    net: Network, batch: int = 1, dtype: torch.dtype = torch.float32, slack: int = 0, numbered: bool = False
) -> int:
    """Assert that peak and bytes alive after each layer are those of the emitted module; return how many layers.

    `slack` is how many bytes more a layer may hold than the pass says, below the peak; and at the peak less, where
    loops have values that are `numbered`.
    """
    model = built(net).to(dtype)
    live = net.liveness(batch, str(dtype).removeprefix("torch."))
    inputs = [torch.rand(batch, *shape, dtype=dtype) for shape in net.inputs.values()]
    tracker = Tracker(own=held_by(model))
    found: dict[str, int] = {}
    calls: Counter[str] = Counter()

    def note(path: str) -> Any:
        def hook(module: nn.Module, args: Any, out: Any) -> None:
            calls[path] += 1  # a module that is called again has a step of its own
            step = path if calls[path] == 1 else f"{path}_{calls[path] - 1}"
            found[step] = sum(tracker.sizes.values())

        return hook

    for path, module in model.named_modules():
        if path in live.alive:
            module.register_forward_hook(note(path))
    with torch.no_grad(), tracker:
        for tensor in inputs:
            tracker.add(tensor)
        model(*inputs)
    assert live.peak - slack * numbered <= tracker.peak <= live.peak
    size = dtype.itemsize
    for path, alive in found.items():
        said = live.alive[path] - batch * scratch(net, path, size)
        assert said - slack <= alive <= said + slack
    return len(found)


@pytest.mark.parametrize(("name", "side"), (FAMILIES | SEVERAL).items())
def test_is_what_runs(name: str, side: int) -> None:
    net = load(name, side)
    # what a list or a loop names anew is held by its first name, too: the exception that the pass names
    numbered = name in ("ese_vovnet19b_dw", "res2net50_26w_4s")
    rows = ("deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")  # loops over parts of a table
    # the first block of a stage reads its input once, and the class of all blocks twice, so that its name stays
    held = numbered or name in ("dla34", "hrnet_w18", "nasnet_a_mobile", "preact_resnet50", *rows)
    largest = (2 if name in rows else 1) * max(4 * shape.elements for shape in net.shapes.values())
    assert assert_measured(net, slack=largest if held else 0, numbered=numbered) > 0


@pytest.mark.parametrize(
    "name",
    [
        *("vgg16", "resnet18", "resnet50", "googlenet", "densenet121", "mobilenet_v2", "vit_b_16"),
        *("swin_t", "swin_v2_t", "maxvit_t", "mobilevit_s", "preact_resnet50"),
    ],
)
def test_is_what_runs_at_full_size(name: str) -> None:
    net = load(name)
    largest = max(4 * shape.elements for shape in net.shapes.values())
    assert_measured(net, slack=largest if name == "preact_resnet50" else 0)  # see above


@pytest.mark.parametrize(("batch", "dtype"), [(3, torch.float32), (2, torch.float64)])
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "vit_b_16", "shufflenet_v2_x1_0"])
def test_batch_and_dtype(name: str, batch: int, dtype: torch.dtype) -> None:
    assert_measured(load(name, 64), batch, dtype)


def peak_in_torch(net: Network) -> int:
    """Return the bytes that a net of 8x4x4 has at most beside its weights, for one sample."""
    model = built(net)
    tracker = Tracker(own=held_by(model))
    x = torch.rand(1, 8, 4, 4)
    with torch.no_grad(), tracker:
        tracker.add(x)
        model(x)
    return tracker.peak


def test_a_block_that_lacks_a_part_holds_what_it_would_read() -> None:
    """The exception that the pass names: here one map more than it says."""
    net = api.loads(
        "block B(deep = false):\n    a: conv 3x3, 8\n    b: conv 3x3, 8\n    add:\n        c: conv 3x3, 8\n"
        "        if deep:\n            d: from a -> conv 3x3, 8\n        else:\n            identity\n"
        "net N(deep = false):\n    input 8, 4x4\n    e: B\n    f: B deep\n"
    )
    assert peak_in_torch(net) == net.liveness().peak + MAP


def test_a_block_that_only_chooses_a_value_holds_nothing() -> None:
    net = api.loads(
        "block One(k):\n    from x[k]\n"
        "net N:\n    input 8, 4x4\n    a: conv 3x3, 8\n    b: conv 3x3, 8\n    from a, b -> One 0 as u\n"
        "    c: conv 3x3, 8\n    from a, b -> One 1 as v\n    d: conv 3x3, 8\n"
        "    add:\n        from c\n        from d\n"
    )
    assert peak_in_torch(net) == net.liveness().peak


def net_of(body: str) -> Network:
    """Return a net of 8x4x4 with that body: 512 bytes."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return api.loads(f"net N:\n    input 8, 4x4\n{lines}", "n.net", "n")


MAP = 8 * 4 * 4 * 4

BODIES = {
    "a chain": ("a: conv 3x3, 8\nb: conv 3x3, 8\nc: conv 3x3, 8", {"a": 2, "b": 3, "c": 3}),
    "in place": ("a: conv 3x3, 8\nb: relu", {"a": 2, "b": 2}),
    "not in place": ("a: conv 3x3, 8\nb: gelu", {"a": 2, "b": 3}),
    "a shortcut": (
        "a: conv 3x3, 8\nadd:\n    b: (conv 3x3, 8 -> gelu)\n    identity",
        {"a": 2, "b.0": 3, "b.1": 4},
    ),
    "a container holds what it is given": (
        "a: conv 3x3, 8\nb: (conv 3x3, 8 -> conv 3x3, 8 -> conv 3x3, 8)",
        {"a": 2, "b.0": 3, "b.1": 4, "b.2": 4},
    ),
    "views hold the whole": (
        "a: conv 3x3, 8\np, q = from a -> split 2\nb: conv 1x1, 8\nc: conv 1x1, 8\nfrom q -> conv 1x1, 8 as d",
        {"b": 3, "c": 4, "d": 4},
    ),
    "dropout and flatten are nothing": (
        "a: conv 3x3, 8\nb: dropout\nc: flatten\nd: fc 128",
        {"a": 2, "b": 2, "c": 2, "d": 3},
    ),
    "a concat copies": ("concat:\n    a: conv 3x3, 4\n    b: conv 3x3, 4\nc: conv 1x1, 8", {"b": 2, "c": 3}),
    "a part that nobody reads is held": (
        "a: conv 3x3, 8\np, q = from a -> split 2\nb: conv 1x1, 8\nfrom q -> conv 1x1, 8 as d\ne: conv 1x1, 8",
        {"b": 3, "d": 3, "e": 4},
    ),
    "what training reads is held": (
        "a: conv 3x3, 8\nb: conv 3x3, 8\nc: conv 3x3, 8\ntrain output aux: from a, c -> add -> conv 3x3, 8 as d",
        {"a": 2, "b": 3, "c": 4},
    ),
    "what a branch of training reads alone is read at once": (
        "a: conv 3x3, 8\nb: conv 3x3, 8\nc: conv 3x3, 8\ntrain output aux: from a -> conv 3x3, 8 as d",
        {"a": 2, "b": 3, "c": 3},
    ),
    "a broadcast sum": ("s: avgpool to=1x1\nadd:\n    from s\n    from x", {"s": 1}),
    "uneven padding": ("a: conv 2x2, 8, pad=tf", {"a": 2}),
    "local response": ("a: lrn 5", {"a": 2}),
    "local response in groups": ("a: lrn 5, groups=2", {"a": 2}),
    "activations of several steps": (
        "a: softsign\nb: logsigmoid\nc: tanhshrink\nd: mish",
        {"a": 2, "b": 3, "c": 3, "d": 3},
    ),
    "in place, an activation that is not there elsewhere": (
        "a: conv 3x3, 8\nb: elu -> selu -> celu",
        {"a": 2},
    ),
    "norms of samples": (
        "a: instance_norm affine=true\nb: rms_norm\nc: instance_norm",
        {"a": 2, "b": 3, "c": 3},
    ),
    "half of the channels": ("a: conv 3x3, 8\nb: glu", {"a": 2}),
}


@pytest.mark.parametrize("case", BODIES)
def test_by_hand(case: str) -> None:
    body, expected = BODIES[case]
    net = net_of(body)
    alive = net.liveness().alive
    assert {name: (alive[name] - scratch(net, name)) // MAP for name in expected} == expected
    assert_measured(net)


WHOLE = {
    "an op that an argument says writes over nothing": (
        "block B(act: op = relu):\n    conv 3x3, 8, act=act\nnet N():\n    input 8, 4x4\n    a: B\n    b: B silu\n"
    ),
    "a value that a block hands on": (
        "block B from p, q:\n    c = from q -> conv 3x3, 8 as conv\n    y = from p, c -> add\n    return q, y\n"
        "net N():\n    input 8, 4x4\n    a: conv 3x3, 8\n    from x, a -> B as b\n    B as c\n    concat\n"
        "    d: conv 1x1, 8\n"
    ),
    "a sum of three": (
        "net N():\n    input 8, 4x4\n    add:\n        identity\n        a: (conv 3x3, 16 -> conv 3x3, 8)\n"
        "        b: (conv 3x3, 16 -> conv 3x3, 8)\n    c: conv 3x3, 8\n"
    ),
    "what another turn made": (
        "net N():\n    input 8, 4x4\n    a: conv 3x3, 8\n    body:\n        3 * relu -> conv 3x3, 8\n    relu\n"
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_of_blocks_and_loops(case: str) -> None:
    assert assert_measured(api.loads(WHOLE[case], "n.net", "n")) > 0


def test_peak() -> None:
    net = net_of("a: conv 3x3, 8\nb: conv 3x3, 16\nc: gelu\nd: conv 3x3, 8")
    live = net.liveness()
    assert (live.peak, live.at, live.holding) == (5 * MAP, "c", ("x", "b", "c"))
    assert live.alive == {"x": MAP, "a": 2 * MAP, "b": 4 * MAP, "c": 5 * MAP, "d": 4 * MAP}
    assert net.liveness(batch=8, dtype="float16").peak == 4 * live.peak


def test_fused_steps_make_what_their_last_op_makes() -> None:
    """A norm and an activation that run with a convolution need no map of their own; behind a pool they do."""
    net = api.loads(
        "net N:\n    input 3, 4x4\n    conv 3x3, 8 as a -> bn as n -> silu as b\n    avgpool 2x2\n    bn as c\n"
    )
    alive = net.liveness(fused=True).alive
    image, wide, small = 4 * 3 * 16, 4 * 8 * 16, 4 * 8 * 4
    assert list(alive.values()) == [image, image + wide, image + wide + small, image + 2 * small]
    assert net.liveness(fused=True).holding == ("x", "n", "3")
    assert max(net.liveness().alive.values()) >= 2 * wide


def test_training_only_layers_do_not_run() -> None:
    live = load("googlenet", 64).liveness()
    assert not [name for name in live.alive if name.startswith("aux")]


@pytest.mark.parametrize("options", [{"batch": 0}, {"dtype": "float31"}])
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(NetError, match="E503"):
        net_of("relu").liveness(**options)


def test_calls_that_are_alike_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from netdsl.passes import liveness

    made: list[str] = []

    class Counted(liveness.Frame):
        def __init__(self, scope: Any, *args: Any) -> None:
            made.append(scope.block)
            super().__init__(scope, *args)

    monkeypatch.setattr(liveness, "Frame", Counted)
    api.load("resnet152").liveness()
    assert Counter(made) == {"Bottleneck": 2, "ResNet": 1}  # with and without a projection


@pytest.mark.parametrize(("name", "side"), (FAMILIES | SEVERAL).items())
def test_calls_that_are_alike_are_what_each_is(name: str, side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from netdsl.passes import liveness

    found = load(name, side).liveness()
    form = liveness._Run.form
    monkeypatch.setattr(liveness._Run, "form", lambda run, scope: (form(run, scope)[0], (scope.path,)))
    assert load(name, side).liveness() == found


def test_takes_no_time() -> None:
    text = "net Deep:\n    input 8, 8x8\n    body:\n        10_000 * conv 3x3, 8, act=relu\n"
    deep = api.loads(text, "deep.net", "deep")
    start = perf_counter()
    assert deep.liveness().peak == 3 * 8 * 8 * 8 * 4
    assert perf_counter() - start < 5  # it takes 0.3 s
