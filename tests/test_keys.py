"""Keys of the state_dict that are no identifiers: `block1-0`, `0`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from interpreter import draw_state, interpret, state_shapes
from metamorphic import report, subjects_of
from netdsl_torch.run import by_name, without_dropout
from test_emitted import IGNORED, RULES, mypy, tool
from torch_oracles import execute

import netdsl
from netdsl import Network, api
from netdsl.backend import emit_family

KEYS = """\
block B(c, deep = true):
    init conv weight=normal(0, 0.02)
    "a-b": conv 3x3, c -> bn -> relu
    "1-2": conv 1x1, c
    weight "scale-0" [c, 1, 1], init=constant(0.1)
    mul:
        from "1-2"
        from "scale-0"
    "2x": conv 1x1, c when deep
    "re-lu": conv 3x3, c
    "my-relu": relu
    from "re-lu" -> relu as "my-relu"
    "half-way":
        add:
            identity
            "0": conv 3x3, c
            "1": conv 1x1, c when not deep

net N(c = 8, n = 2, deep = true):
    input 3, 12x9
    init conv weight=kaiming_normal(fan_out)
    "first": conv 3x3, c
    features:
        "0": conv 3x3, c
        "2": bn
        "re-lu": relu
        for i in range(n):
            "{i+3}": conv 3x3, c, init=normal(0, 0.5)
        "x-{n}": B c, deep=deep
    for i in range(n):
        "stage-{i}": B c, deep=deep
    from "stage-{n-1}" -> conv 1x1, c, init=zeros as "last-one"
    gap
    "7": fc 10

variant one = N()
variant two = N(c=5, n=3, deep=false)
"""


def nets(text: str) -> list[Network]:
    """Return the nets of a text."""
    return list(map(Network, api.recipes(api.read_text(text), "", {}, {})))


@pytest.mark.parametrize("number", [0, 1])
def test_numbers(number: int) -> None:
    net = nets(KEYS)[number]
    model = without_dropout(execute(net.emit("torch"))[net.name]().double())
    state = draw_state(state_shapes(net), seed=1)
    model.load_state_dict(state)
    x = torch.randn(2, 3, 12, 9, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    for training in (False, True):
        ours = by_name(model.train(training)(x.clone()), next(iter(net.outputs)))
        for key, theirs in interpret(net, state, [x], training).items():
            torch.testing.assert_close(ours[key], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_classes_take_other_arguments(backend: str) -> None:
    found = nets(KEYS)
    (text,) = emit_family(found, backend).values()
    for subject in subjects_of(found[0], backend, text).values():
        result = report(subject, backend, 6 if backend == "torch" else 2)
        assert result.legal
        assert not result.wrong


def test_it_can_be_exported() -> None:
    for net in nets(KEYS):
        model = execute(net.emit("torch"))[net.name]().eval()
        x = torch.randn(2, 3, 12, 9, generator=torch.Generator().manual_seed(3))
        assert torch.equal(torch.export.export(model, (x,)).module()(x), model(x))


def test_frameworks_have_one_state() -> None:
    for net in nets(KEYS):
        rows = netdsl.verify(net).rows
        assert all(row.ok for row in rows), rows


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_style(backend: str, tmp_path: Path) -> None:
    (module,) = emit_family(nets(KEYS), backend).values()
    (tmp_path / "net.py").write_text(module)
    assert mypy(tmp_path) == ""
    options = ("--isolated", "--no-cache", "--line-length", "100")
    rules = ("--target-version", "py311", "--select", RULES, "--ignore", IGNORED[backend])
    assert tool("ruff", "check", *options, *rules, tmp_path) == ""
    assert tool("ruff", "format", *options, "--diff", tmp_path) == ""


def test_stages_of_a_chain_return_their_maps() -> None:
    text = """\
net N(n = 2):
    input 3, 32x32
    "fea-tures":
        stage 1: conv 3x3, 8, /2
        stage 2: n * conv 3x3, 4, /2 first
    gap
"""
    net = execute(api.loads(text).emit("torch:features"))["n"]()
    assert [one.shape[1:] for one in net.forward_features(torch.zeros(1, 3, 32, 32))] == [
        (8, 16, 16),
        (4, 8, 8),
    ]


def test_the_formatter_keeps_quotes_and_closes_braces() -> None:
    text = 'net N:\n    input 3, 8x8\n    "a-{ 1 + 2 }": relu\n    from "a-{3}" -> relu as  "b{x"\n'
    said = '    @allow(x, "as { 1 + 2 }")\n    relu\n'
    done = text.replace("{ 1 + 2 }", "{1+2}").replace('  "b', ' "b')
    assert netdsl.format(text + said) == done + said
