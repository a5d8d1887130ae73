"""What `netdsl explain SPEC LAYER COUNT` says: the product that it prints is the number of the cost table."""

from __future__ import annotations

import re
from itertools import takewhile
from math import ceil, floor

import pytest
from netdsl_torch import Backend
from strangers import stranger
from zoo import NAMES, net

from netdsl import api, cli
from netdsl.cost.model import EXPLAINED
from netdsl.ir.graph import Node
from netdsl.network import Network
from netdsl.ops import catalogue
from netdsl.ops.base import Example
from netdsl.report import formula

EXAMPLES = [(name, example) for name, op in catalogue().items() for example in op.examples()]
SUMS = [count for count in EXPLAINED if count not in ("saved", "rf")]


def arithmetic(text: str) -> float:
    """Return the value of digits, operators, floor and ceil."""
    assert re.fullmatch(r"(?:floor|ceil|[\d\s*/+().-])+", text), text
    value: float = eval(text, {"floor": floor, "ceil": ceil})
    return value


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_ops_formulas_give_its_costs(name: str, example: Example) -> None:
    op, x = example.op, example.inputs
    cost = op.cost(*x)
    for count in ("params", "macs", "ops", "activations"):
        terms = op.formula(count, *x)
        assert sum(term.value for term in terms) == getattr(cost, count), count
        assert len(terms) < 2 or count == "activations" or all(term.of for term in terms)
    named = {axis for term in op.formula("params", *x) for axis, _ in term.factors}
    assert not {axis for axis in named if re.fullmatch(r"d\d", axis)}
    sizes = [
        size for axis in "hw" for shape in op.outputs(*x) if axis in shape.axes for size in [shape.size(axis)]
    ]
    for line, size in zip(op.size_steps(*x), sizes, strict=False):
        _, _, filled, result = line.split(" = ")
        assert arithmetic(filled) == int(result) == size


@pytest.mark.parametrize("name", NAMES)
def test_a_nets_formulas_give_its_costs(name: str) -> None:
    known = net(name)
    for node in known.graph:
        for count in SUMS:
            terms = formula.terms(known, node, count)
            assert sum(term.value for term in terms) == formula.number(known, node, count), (node.name, count)
        seen = known.receptive.get(node.name)
        field = formula.field(known, node)
        assert field == (None if seen is None else (seen.rows.largest, seen.columns.largest)), node.name


def printed(known: Network, node: Node, count: str) -> tuple[float, int]:
    """Return what the line with values comes to, and the number that is printed below it."""
    text = formula.of_node(known, node, count).splitlines()
    lines = list(takewhile(re.compile(rf"(?:{count})?\s+[=+] ").match, text))
    terms = 1 if len(lines) == 3 else len(lines) // 3
    filled = [line.strip(" =+") for line in lines[terms : 2 * terms]]
    return sum(map(arithmetic, filled)), int(re.sub(r"\D", "", lines[-1]))


@pytest.mark.parametrize("name", ["lenet", "resnet18", "vit_b_32", "swin_t", "googlenet", "unet"])
def test_the_values_that_are_printed_give_the_number(name: str) -> None:
    known = net(name)
    for node in known.graph:
        for count in SUMS:
            number = formula.number(known, node, count)
            if number:
                assert printed(known, node, count) == (number, number)
            else:
                assert formula.of_node(known, node, count).startswith(f"{count} = ")


ODD = """
net Odd(width = 6):
    input 3, 29x17
    stem: conv 5x3, width, /3x2, pad=2x0, bias=false
    twice: conv 3x3, 2*width, groups=2, dilation=2
    pool: maxpool 3x3, /2, ceil=true
    up: upconv 3x3, 5, /2, output_pad=1
    out: conv 3x3, 4, /2, pad=tf
"""


@pytest.mark.parametrize("width", [2, 6, 10])
@pytest.mark.parametrize("shape", [(3, 29, 17), (3, 40, 31)])
def test_odd_sizes(width: int, shape: tuple[int, ...]) -> None:
    known = api.loads(ODD.replace("29x17", f"{shape[1]}x{shape[2]}"), width=width)
    total = known.cost()
    for count, whole in (("macs", total.macs), ("params", total.params), ("memory", total.activations)):
        values = [printed(known, node, count) for node in known.graph if formula.number(known, node, count)]
        assert all(product == number for product, number in values)
        assert sum(number for _, number in values) == whole
        said = formula.of_scope(known, known.graph.tree, count).splitlines()[0]
        assert f" = {whole:,}" in said
    text = formula.explain(known, "pool", ["rf"])
    outputs = [line.split(" = ") for line in text.splitlines() if re.match(r"  [hw]_out", line)]
    assert [arithmetic(step[2]) for step in outputs] == list(known.shapes["pool"][1:])


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return the exit status and what was printed."""
    status = cli.main(["explain", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "resnet50", "conv1", "macs")
    assert status == 0
    assert "macs = c_out * h_out * w_out * c_in/groups * kh * kw\n" in out
    assert "= 64 * 112 * 112 * 3 * 7 * 7\n" in out
    assert "= 118,013,952\n" in out
    assert "resnet.net:38:12: conv1: conv 7x7, 64, /2" in out
    _, out, _ = run(capsys, "resnet50", "layer4.2.add", "rf", "--input", "3x96x64")
    assert "= 427, the largest" in out
    _, out, _ = run(capsys, "vgg16", "features", "macs")
    assert "macs of features = 15,346,630,656, the sum over 13 layers" in out
    _, out, _ = run(capsys, "lenet", "lenet")
    assert [f"{count} of lenet" in out for count in EXPLAINED] == [True] * 6
    _, out, _ = run(capsys, "resnet18", "bn1", "saved")
    assert "saved of bn1 = 3,211,776 bytes" in out
    assert "  3,211,264 = 64 * 112 * 112 * 4  what conv1 makes\n        512 = 2 * 64 * 4" in out
    _, out, _ = run(capsys, "resnet18", "maxpool", "saved")
    assert "  1,605,632 = 64 * 56 * 56 * 8  numbers of its own\n" in out  # indices
    _, out, _ = run(capsys, "resnet18", "layer1.0", "saved")
    assert re.search(r"layer1\.0\.bn1 +bn +803,328 = 64 \* 56 \* 56 \* 4 \+ 2 \* 64 \* 4\n", out)
    _, out, _ = run(capsys, "resnet18", "resnet18", "saved")
    assert f"saved of resnet18 = {api.load('resnet18').memory(train=True).saved:,} bytes" in out
    _, out, _ = run(capsys, "lenet", "conv1", "params", "--input", "1x64x48")
    assert "params = c_out * c_in/groups * kh * kw    weight\n" in out
    assert "= 156\n" in out
    _, out, _ = run(capsys, "lenet", "6", "memory")
    assert "memory = 0 bytes: flatten makes no new values" in out


def test_what_is_misspelt(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "resnet50", "layer1.0.conv9", "macs")
    assert (status, "did you mean `layer1.0.conv" in err) == (2, True)
    status, _, err = run(capsys, "resnet50", "x\x1b[1m")
    assert status == 2
    assert "\x1b" not in err
    assert "layers are `x`, `conv1`" in err
    assert run(capsys, "resnet5", "conv1", "macs")[0] == 2
    assert run(capsys, "resnet50", "conv1", "mac")[0] == 2
    assert run(capsys, "resnet50")[0] == 2


def test_weights_that_are_shared_count_once() -> None:
    known = api.loads(
        "net Twice():\n    input 3, 8x8\n    a: conv 3x3, 3\n    same a\n    train output aux: gap -> fc 2\n"
    )
    assert known.cost().params == sum(formula.number(known, node, "params") for node in known.graph)
    again = next(node for node in known.graph if node.module)
    assert formula.of_node(known, again, "params").startswith("params = 0: its weights are those of a")
    for aside in ("aux.1", "aux"):
        text = formula.explain(known, aside, ["macs"])
        assert "it runs in training only" in text
        assert "= 6" in text
    assert "macs of twice = 10,368, the sum over 2 layers" in formula.explain(known, "twice", ["macs"])


def test_an_op_of_another_distribution_may_give_no_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    known = api.loads("net N():\n    input 3, 8x8\n    relu\n")
    monkeypatch.setattr(catalogue()["relu"], "ops", lambda self, *x: 7)
    monkeypatch.setattr(catalogue()["relu"], "op_terms", lambda self, *x: ())
    assert "ops = 7: relu gives no factors of it" in formula.explain(known, "0", ["ops"])


def test_a_net_that_cannot_be_emitted_has_no_other_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Network.from_graph(api.load("lenet").graph)
    assert "weight and bias, per place of the output" in formula.explain(known, "conv1", ["macs"])
    monkeypatch.setattr(Backend, "lowers", lambda self, op: op.name != "flatten")
    known = api.load("lenet")
    text = formula.explain(known, "conv1", ["macs"])
    assert "= 117,600" in text
    assert re.search("other counters count PyTorch modules, and none can be written: .*flatten", text)


def test_what_a_default_line_gives_is_told_of_that_line() -> None:
    text = """default conv 3x3, bias=false, norm=gn(4), act=leaky_relu(0.3)

block B(c, unit: op = relu):
    default bn eps=0.01
    default concat axis="h"
    conv: conv c, bias=true
    bn: bn
    [unit when unit]
    (identity | identity) -> concat

net N:
    input 3, 9x7
    b: B 8, leaky_relu(0.1)
    conv 5x5, 4, norm=none, act=none as conv2
"""
    known = api.loads(text, "n.net")

    def told(name: str) -> list[str]:
        lines = formula.explain(known, name, ["ops"]).splitlines()
        return [line.strip() for line in lines if line.startswith("    ")][: len(known.graph[name].sources)]

    first = "default conv 3x3, bias=false, norm=gn(4), act=leaky_relu(0.3)"
    assert told("b.conv") == [f"kernel of n.net:1:14: {first}"]
    assert told("b.conv_norm") == [
        f"groups of n.net:1:39: {first}",
        f"which stands here by norm= of n.net:1:31: {first}",
    ]
    assert told("b.conv_act")[-1] == f"which stands here by act= of n.net:1:43: {first}"
    assert told("b.bn") == ["eps of n.net:4:16: default bn eps=0.01"]
    assert told("b.concat") == ['axis of n.net:5:20: default concat axis="h"']
    assert told("b.4") == ["slope of n.net:13:24: b: B 8, leaky_relu(0.1)"]
    assert told("conv2") == [f"bias of n.net:1:19: {first}"]


def test_a_block_that_runs_again_has_the_weights_of_the_first() -> None:
    text = formula.explain(stranger("siamese:siamese"), "enc_1", ["params"])
    assert text.startswith(
        "params of enc_1 = 0, the sum over 0 layers\n  its weights are those of enc, and counted there"
    )


def test_what_holds_nothing_has_nothing() -> None:
    known = api.loads("net N(n = 0):\n    input 3, 9x7\n    body: n * conv 3x3, 4\n    relu\n")
    text = formula.explain(known, "body", ["macs"])
    assert text.startswith("macs of body = 0, the sum over 0 layers\n")
    assert "training" not in text


@pytest.mark.parametrize(
    ("args", "help"),
    [
        (["resnet18"], "of a net it explains the numbers of a layer: netdsl explain resnet18 LAYER"),
        (
            ["nets/mine.net"],
            "of a net it explains the numbers of a layer: netdsl explain nets/mine.net LAYER",
        ),
        (["conv", "--set", "channels=3"], "for example netdsl explain lenet conv1 --set ..."),
        (["resnet18", "conv"], "its conv are `conv1`, `layer1.0.conv1`, `layer1.0.conv2`, ..."),
        (["resnet18", "flatten"], "its flatten is `9`"),
        (["resnet18", "layer1.0.con1"], "did you mean `layer1.0.conv1`?"),
        (["resnet18", "???"], "layers are `x`, `conv1`, `bn1`, ..."),
    ],
)
def test_nothing_to_explain(args: list[str], help: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help says what there is."""
    status, _, err = run(capsys, *args)
    assert status == 2
    assert f"  = help: {help}\n" in err
