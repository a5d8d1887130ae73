"""Ops that netdsl does not have: the conformance kit takes them, and every lint rule is right about them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import invented
import pytest
import torch
from storages import kept
from test_lint_rules import RULES, equal, every, example, lint, load, mended, nets, same_function, state_of

from netdsl import ops
from netdsl.testing import check, check_traits


@pytest.fixture(scope="module", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install their distribution."""
    site = tmp_path_factory.mktemp("invented")
    info = site / "netdsl_invented-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: netdsl-invented\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in own.items())
        for group, own in invented.ENTRY_POINTS.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    sys.path.insert(0, str(site))
    for cached in (ops.points, ops.find):
        cached.cache_clear()
    yield
    sys.path.remove(str(site))
    for cached in (ops.points, ops.find):
        cached.cache_clear()


@pytest.mark.parametrize("name", invented.OPS)
def test_conformance(name: str) -> None:
    """Shapes, counts, numbers and gradients in both backends, and the traits that rules ask for."""
    check(invented.OPS[name], invented.expected)


@pytest.mark.parametrize("name", invented.LINTED)
def test_traits(name: str) -> None:
    """Of those that no backend knows the traits are held."""
    check_traits(invented.LINTED[name], invented.expected)


def replaced(text: str, name: str) -> str:
    """Return a text with an op in the place of the language's: of all convolutions, or of all relus."""
    if name == "unitconv":
        return re.sub(r"\bconv (?=\d|\w+=)", "unitconv ", text).replace("pad=tf", "pad=2")
    return re.sub(r"\brelu\b", name, text)


@pytest.mark.parametrize("op", ["unitconv", "relu1"])
@pytest.mark.parametrize("rule", RULES)
def test_a_rule_makes_no_difference(rule: str, op: str) -> None:
    """Its examples, with an op in the place of netdsl's own, are bad and good as they were.

    But that relu1 keeps its input for the backward pass, as relu6 does, and ends at 1, as a gate does.
    """
    for title, found in (("Bad", {rule}), ("Good", set())):
        texts = example(RULES[rule], title), replaced(example(RULES[rule], title), op)
        kept = {"activation_keeps_input", "double_squash", "open_gate"} if op == "relu1" else set()
        assert {finding.name for finding in lint(texts[1], every(rule))} - kept == found - kept, texts[1]


CASES = {
    "depthwise_alone": {
        "dwconv 3x3 -> relu1 -> affine -> dwconv 3x3 -> conv 1x1, 4": True,
        "dwconv 3x3 -> affine -> dwconv 3x3 -> conv 1x1, 4": False,
        "unitconv 3x3, 4, groups=4 -> relu1 -> dwconv 3x3 -> conv 1x1, 4": True,
    },
    "missing_activation": {
        "unitconv 3x3, 8 -> affine -> conv 3x3, 8 -> relu": True,
        "unitconv 3x3, 8 -> affine -> relu1 -> conv 3x3, 8 -> relu": False,
    },
    "shuffle_missing": {
        "unitconv 3x3, 8, groups=2 -> affine -> relu1 -> unitconv 3x3, 8, groups=2": True,
        "unitconv 3x3, 8, groups=2 -> affine -> conv 1x1, 8 -> unitconv 3x3, 8, groups=2": False,
    },
    "dilation_gridding": {
        "unitconv 3x3, 8, dilation=2 -> affine -> relu1 -> conv 3x3, 8, dilation=2": True,
        "unitconv 3x3, 8, dilation=2 -> affine -> maxpool 2x2 -> conv 3x3, 8, dilation=2": False,
    },
    "relu_before_maxpool": {
        "conv 3x3, 4 -> relu1 -> maxpool 2x2": True,
        "conv 3x3, 4 -> affine -> maxpool 2x2": False,
        "conv 3x3, 4 -> relu1 -> lengthpool 2x2": False,
    },
    "identity_op": {
        "conv 3x3, 4 -> relu1 -> maxpool 2x2 -> relu6 -> gap": True,
        "conv 3x3, 4 -> relu6 -> relu1 -> gap": False,
        "conv 3x3, 4 -> relu1 -> affine -> relu1 -> gap": False,
        "conv 3x3, 4 -> lengthpool 2x2 -> relu": True,
        "conv 3x3, 4 -> lengthpool 1x1 -> conv 3x3, 4": False,  # it makes -1 to 1
    },
    "double_squash": {
        "conv 3x3, 4 -> relu1 -> sigmoid": True,
        "conv 3x3, 4 -> relu1 -> affine -> sigmoid": False,
    },
    "linear_linear": {
        "unitconv 1x1, 8 -> conv 3x3, 4 -> relu": True,
        "unitconv 1x1, 8 -> affine -> conv 3x3, 4 -> relu": False,
        "unitconv 1x1, 2 -> unitconv 3x3, 4 -> relu": False,
    },
    "bias_before_norm": {
        "unitconv 3x3, 4 -> bn -> relu": True,
        "unitconv 3x3, 4 -> gn 2 -> relu": False,
        "unitconv 3x3, 4 -> frn -> relu": False,
        "affine -> bn -> relu": False,  # it has no argument that would leave its shift out
        "pconv 3x3 -> bn -> relu": False,
    },
    "deep_no_norm": {
        " -> ".join(["pconv 3x3 -> relu"] * 11): True,
        " -> ".join(["pconv 3x3 -> relu"] * 10): False,
        " -> ".join(["pconv 3x3 -> bn -> relu"] * 11): False,
        " -> ".join(["pconv 3x3 -> frn -> relu"] * 11): False,
    },
    "deep_no_skip": {
        " -> ".join(["pconv 3x3 -> bn -> relu"] * 21): True,
        " -> ".join(["dwconv 3x3, bias=false -> bn -> affine"] * 21): False,
    },
    "zero_start": {
        "pconv 3x3, init=zeros -> relu -> conv 3x3, 4": True,
        "pconv 3x3, init=zeros -> conv 3x3, 4 -> relu": False,
    },
    "no_stem_downsampling": {"pconv 3x3 -> relu -> avgpool 2x2 -> conv 3x3, 4": False},  # of a small image
    "window_gap": {
        "conv 3x3, 4 -> lengthpool 1x1, /2 -> conv 3x3, 4": True,
        "conv 3x3, 4 -> lengthpool 2x2, /2 -> conv 3x3, 4": False,
    },
    "size_truncated": {
        "conv 3x3, 4 -> lengthpool 5x5, /5 -> conv 3x3, 4": True,
        "conv 3x3, 4 -> lengthpool 4x4, /4 -> conv 3x3, 4": False,
    },
    "conv1x1_before_avgpool": {"conv 1x1, 4 -> lengthpool 2x2": False},
    "avgpool_before_gap": {"lengthpool 2x2 -> gap": False},
    "avgpool_counts_padding": {"lengthpool 3x3, pad=1 -> gap": False},
    "norm_norm": {
        "conv 3x3, 4, bias=false -> frn -> bn": True,
        "conv 3x3, 4, bias=false -> frn -> relu -> bn": False,
    },
    "dropout_before_bn": {
        "dropout 0.5 -> conv 3x3, 4 -> frn -> relu -> bn": False,
        "dropout 0.5 -> affine -> conv 3x3, 4 -> bn": True,
    },
    "saturating_deep": {
        " -> ".join(["conv 3x3, 4 -> sigmoid"] * 5): True,
        " -> ".join(["conv 3x3, 4 -> frn -> sigmoid"] * 5): False,
    },
    "width_bottleneck": {"conv 1x1, 64 -> pconv 3x3 -> relu -> conv 1x1, 64": False},
}
"""By rule, chains behind a map of 4 x 12 x 12, and whether it finds something."""


@pytest.mark.parametrize(
    ("rule", "chain", "found"), [(rule, *case) for rule, cases in CASES.items() for case in cases.items()]
)
def test_a_rule_follows_traits(rule: str, chain: str, *, found: bool) -> None:
    text = f"net N:\n    input 4, 12x12\n    body: {chain}\n"
    assert (rule in {finding.name for finding in lint(text)}) == found


@pytest.mark.parametrize(
    ("rule", "chain", "better"),
    [
        ("conv1x1_before_avgpool", "unitconv 1x1, 6 -> avgpool 2x2", "avgpool 2x2 -> unitconv 1x1, 6"),
        ("conv1x1_after_upsample", "upsample 2 -> unitconv 1x1, 6", "unitconv 1x1, 6 -> upsample 2"),
        ("relu_before_maxpool", "conv 3x3, 4 -> relu1 -> maxpool 2x2", "conv 3x3, 4 -> maxpool 2x2 -> relu1"),
        ("bias_before_norm", "unitconv 3x3, 4 -> bn", "unitconv 3x3, 4, bias=false -> bn"),
        ("identity_op", "relu1 -> relu6 -> conv 3x3, 4", "relu1 -> conv 3x3, 4"),
    ],
)
def test_a_fix_keeps_the_function(rule: str, chain: str, better: str) -> None:
    text = f"net N:\n    input 4, 12x12\n    body: {chain} -> relu -> gap\n"
    fixed = mended(text, rule, unsafe=True)
    assert fixed.text == text.replace(chain, better)
    (old,), (new,) = load(text).nets, load(fixed.text).nets
    same_function(old, new)


def unit(weight: torch.Tensor) -> torch.Tensor:
    """Return filters of length 1."""
    return torch.nn.functional.normalize(weight.flatten(1)).view_as(weight)


def test_what_one_layer_could_do_is_what_it_says_it_is() -> None:
    """The product of two is a plain convolution, whose filters have any length."""
    old, new, finding = nets(
        "    a: unitconv 3x3, 9\n    b: unitconv 1x1, 4\n    gelu\n", "    ab: conv 3x3, 4\n    gelu\n"
    )
    assert finding.name == "linear_linear"
    state = state_of(old)
    b = unit(state["b.weight"])[:, :, 0, 0]
    weight = torch.einsum("om,mikl->oikl", b, unit(state["a.weight"]))
    torch.manual_seed(0)
    equal(old, new, {"ab.weight": weight, "ab.bias": b @ state["a.bias"] + state["b.bias"]})


def test_a_mean_first_keeps_its_weights() -> None:
    old, new, finding = nets(
        "    head: unitconv 1x1, 7\n    gap\n", "    avgpool to=1x1\n    head: unitconv 1x1, 7\n    flatten\n"
    )
    assert finding.hit.help == "avgpool to=1x1 -> unitconv 1x1 -> flatten"
    same_function(old, new)


def test_they_keep_what_they_say() -> None:
    """To the byte, each alone behind a convolution, and in a row."""
    for chain in (
        "unitconv 3x3, 5",
        "affine",
        "relu1",
        "pconv 3x3 -> affine -> relu1",
        "unitconv 1x1, 5 -> pconv 1x3, part=5",
    ):
        (net,) = load(f"net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> {chain}\n").nets
        found, _ = kept(net.build("torch"), torch.randn(2, 3, 8, 8, requires_grad=True))
        assert sum(net.saved(2).values()) == found, chain


def test_a_layer_without_a_stride_cannot_take_the_one_of_a_pool() -> None:
    text = (
        "net N:\n    input 4, 224x224\n    features:\n        pconv 3x3 -> relu\n        avgpool 2x2, /2\n"
        "        conv 3x3, 64, /2 -> relu\n    head: conv 1x1, 10\n"
    )
    (finding,) = lint(text)
    assert finding.name == "no_stem_downsampling"
    assert finding.saving is None
    (finding,) = lint(text.replace("pconv 3x3", "unitconv 3x3, 4"))
    assert finding.saving is not None
