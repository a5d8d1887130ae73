"""Working in place changes no number, and happens only where nobody can see it."""

from __future__ import annotations

import ast
import re

import pytest
import torch
from netdsl_torch import Backend
from torch import nn
from torch_oracles import FAMILIES, SEVERAL, assert_same, execute, inputs, load, perturb

from netdsl import Network
from netdsl.api import loads

SPEC = """\
net N():
    input 4, 8x8
{body}
"""


def sources(net: Network) -> tuple[str, str]:
    """Return the emission as it is, and one that writes nothing over anything."""
    return Backend().emit(net), Backend().emit(net, inplace=False)


def writes(text: str) -> list[str]:
    """Return what a file writes in place."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            found += [ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.AugAssign)]
            found += [
                n.attr
                for n in ast.walk(node)
                if isinstance(n, ast.Attribute) and re.match("(add|mul)_$", n.attr)
            ]
        if isinstance(node, ast.keyword) and node.arg == "inplace":
            found.append(ast.unparse(node))
    return found


def assert_equal_in_both_modes(net: Network, *texts: str) -> None:
    """Assert that two emissions have the same outputs, gradients and buffers."""
    models: list[nn.Module] = []
    for text in texts:
        torch.manual_seed(0)
        models.append(perturb(execute(text)[net.name]()))
    x = inputs(net)
    for mode in (True, False):
        assert_same(*(model.train(mode) for model in models), x)


@pytest.mark.parametrize(("name", "side"), (FAMILIES | SEVERAL).items())
def test_outputs_and_gradients_are_those_of_an_emission_without(name: str, side: int) -> None:
    net = load(name, side)
    fast, plain = sources(net)
    assert writes(plain) == []
    assert writes(fast) or fast == plain
    if fast != plain:
        assert_equal_in_both_modes(net, fast, plain)


@pytest.mark.parametrize(
    "name", ["vgg16", "resnet50", "densenet121", "inception_v3", "mobilenet_v2", "xception"]
)
def test_the_zoo_works_in_place_at_all(name: str) -> None:
    fast, plain = sources(load(name))
    assert fast != plain


FORBIDDEN = {
    "the net's input": "relu",
    "the net's input, in a container": "a:\n    relu\n    conv 3x3, 4",
    "the net's input, behind an identity": "identity\nrelu",
    "the net's input, with other axes": "permute 0, 2, 1\nrelu",
    "the net's input, behind dropout": "a: dropout 0.5\nrelu",
    "the net's input, behind droppath": "a: droppath 0.5\nrelu",
    "a value that is read again": "y = from x -> conv 3x3, 4 as a\nadd:\n    from y -> relu\n    from y -> tanh",
    "a value that was read before": "y = from x -> conv 3x3, 4 as a\nadd:\n    from y -> tanh\n    from y -> relu",
    "an output of the net": "a: conv 3x3, 4\noutput side: identity\nrelu",
    "what sigmoid keeps": "a: conv 3x3, 4\nsigmoid\nrelu",
    "what tanh keeps": "a: conv 3x3, 4\ntanh\nrelu",
    "what softmax keeps": "a: conv 3x3, 4\nsoftmax\nrelu",
    "a value whose view is read": "a: conv 3x3, 4\nz = from a -> flatten\n"
    "add:\n    from a -> relu -> flatten\n    from z",
    "a view of a value that is read": "a: conv 3x3, 4\ny = from a -> flatten -> relu\nfrom a -> tanh -> flatten\n"
    "add:\n    identity\n    from y",
    "a part of a tensor": "a: conv 3x3, 4\np, q = from a -> split 2\nconcat:\n    from p -> relu\n    from q",
    "what dropout returns in evaluation": "a: conv 3x3, 4\nz = from a -> dropout 0.5 as d\nadd:\n    from z -> relu\n"
    "    from a -> tanh",
    "both sides of an add": "y = from x -> conv 3x3, 4 as a\nadd:\n    from y\n    from y",
    "both sides of a product": "y = from x -> conv 3x3, 4 as a\nmul:\n    from y\n    from y",
    "the input, adding to it": "add:\n    identity\n    a: conv 3x3, 4",
    "the smaller side of a product": "mul:\n    avgpool to=1x1\n    identity",
    "both sides of a product that backward reads": "mul:\n    a: conv 3x3, 4\n    b: conv 3x3, 4",
}


def net_of(body: str) -> Network:
    """Return a net with that body."""
    return loads(SPEC.format(body="\n".join("    " + line for line in body.split("\n"))), "n.net", "n")


@pytest.mark.parametrize("case", FORBIDDEN)
def test_does_not_write_over(case: str) -> None:
    net = net_of(FORBIDDEN[case])
    fast, plain = sources(net)
    assert fast == plain
    assert_equal_in_both_modes(net, fast, plain)


def test_a_block_that_gets_the_input_once_never_writes_over_it() -> None:
    block = "block B():\n    relu\n    conv: conv 3x3, 4\n"
    net = loads(f"{block}net N():\n    input 4, 8x8\n    a: B\n    b: conv 3x3, 4\n    c: B\n", "n.net", "n")
    fast, plain = sources(net)
    assert fast == plain
    assert_equal_in_both_modes(net, fast, plain)


def test_one_instance_that_cannot_keeps_the_others_from_it() -> None:
    text = (
        "block B(twice: bool):\n    conv: conv 3x3, 4\n    y = from conv -> relu\n    add:\n"
        "        from y\n        if twice:\n            from conv\n"
        "net N():\n    input 4, 8x8\n    a: B true\n    b: B false\n"
    )
    net = loads(text, "n.net", "n")
    fast, plain = sources(net)
    assert_equal_in_both_modes(net, fast, plain)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("a: conv 3x3, 4\nrelu", "F.relu(self.a(x), inplace=True)"),
        ("a: (conv 3x3, 4 -> relu6)", "nn.ReLU6(inplace=True)"),
        ("add:\n    a: conv 3x3, 4\n    identity", "self.a(x)"),
    ],
)
def test_writes_over_what_nobody_else_sees(body: str, code: str) -> None:
    net = net_of(body)
    fast, plain = sources(net)
    assert code in fast
    assert fast != plain
    assert_equal_in_both_modes(net, fast, plain)


def test_what_every_turn_reads_is_not_written_over() -> None:
    net = net_of(
        "a: conv 3x3, 4\ny = from a -> conv 1x1, 4 as b\nfor i in range(2):\n"
        "    z = from y -> hswish\n    add:\n        from flow -> conv 3x3, 4 as p{i}\n        from z"
    )
    fast, plain = sources(net)
    assert "inplace=True" not in fast
    assert_equal_in_both_modes(net, fast, plain)


def test_writes_over_what_an_optional_norm_makes_and_what_it_would_read() -> None:
    text = (
        "block B(norm: op = none, act: op = silu):\n    conv 3x3, 4 -> [norm when norm] -> relu6\n"
        "    conv 3x3, 4, act=act -> relu\n"
        "net N():\n    input 4, 8x8\n    a: B bn, gelu\n    b: B\n"
    )
    net = loads(text, "n.net", "n")
    fast, plain = sources(net)
    assert writes(fast) == ["inplace=True"] * 2
    assert_equal_in_both_modes(net, fast, plain)
