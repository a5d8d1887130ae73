"""A graph is written as a spec that makes it: of every net of the zoo, random nets, and what transforms make."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from case_files import FENCE, expectations
from hypothesis import given, settings
from strategies import Spec, specs
from torch_oracles import execute
from zoo import NAMES
from zoo import net as zoo_net

import netdsl
from netdsl import Network, api
from netdsl.diagnostics import NetError
from netdsl.ir.graph import Graph, Scope, Value
from netdsl.lifting import difference
from netdsl.ops import catalogue
from netdsl.ops.activation import Relu

ROOT = Path(__file__).parent.parent
CHAPTERS = [ROOT / "grammar/README.md", *sorted((ROOT / "tests/cases").glob("*.md"))]


def again(net: netdsl.net.Net) -> Network:
    """Return the net of a net's graph; what runs again has names that follow from what numbers are free."""
    made = Network.from_graph(net.graph, "again")
    assert difference(net.graph, made.graph) == ""
    assert [node.home for node in made.graph] == [node.home for node in net.graph]
    assert [*made.layer_costs.values()] == [*net.layer_costs.values()]
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_net_of_the_zoo(name: str) -> None:
    net = zoo_net(name)
    made = again(net)
    assert [s.path for s in made.graph.tree.scopes()] == [s.path for s in net.graph.tree.scopes()]
    assert [node.stage for node in made.graph] == [node.stage for node in net.graph]
    text = made.recipe.net.file.source.text
    assert netdsl.format(text) == text


@pytest.mark.parametrize("file", CHAPTERS, ids=lambda file: file.stem)
def test_every_net_of_the_pages(file: Path) -> None:
    """Nets with `same`, lists, orders, outputs, scopes of `init`, windows, hyphens."""
    for fenced in FENCE.finditer(file.read_text(encoding="utf-8")):
        try:
            read = api.read_text(expectations(fenced[3])[0])
            given_ = dict(re.findall(r"set\.(\S+)=(\S+)", fenced[2]))
            nets = [Network(api.recipe(read, name, given_, {})) for name in api.instances(read)]
        except NetError:
            continue
        for net in nets:
            again(net)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(specs())
def test_random_nets(spec: Spec) -> None:
    again(api.loads(spec.text, net="trial"))


TWICE = """
net N:
    input 3, 9x7
    conv1: conv 1x1, 3
    train output aux: [relu when false]
    output again: from conv1
"""
APART = """
net N:
    input 6, 9x7
    weight d [1, 6], init=ones
    e = from x -> tokens
    from d, e -> concat axis="n" -> ln as conv
    main:
        fc 2 as d -> relu
"""
SAME = """
net N:
    order b, a
    input 3, 9x7
    conv 1x1, 3 as a -> conv 1x1, 3 as b -> same a
"""
MIXED = """
block Pair(c):
    init conv bias=ones, weight=normal(0, 0.5)
    conv: conv 3x3, c
    more: conv 3x3, c
net N:
    input 3, 9x7
    init conv weight=kaiming_normal(fan_out)
    init bn weight=constant(0.5)
    conv1: conv 3x3, 4, init=xavier_uniform -> bn
    "block-1": Pair 4
    "add": conv 1x1, 5
    weight scale [5, 1, 1], init=constant(0.1), batch=true
    mul:
        from "add"
        from scale
    resize like=x, mode="bilinear"
    crop like=conv1
    train output aux: from conv1 -> (gap -> fc 3)
    gap
    fc: fc 7
"""


@pytest.mark.parametrize(
    "name", ["googlenet", "swin_t", "res2net50_26w_4s", "mnasnet0_5", "densenet121", "mixed"]
)
def test_the_module_is_the_same(name: str) -> None:
    """Keys in order, starts by their statistics, outputs bit for bit, in training as in evaluation."""
    net = api.loads(MIXED) if name == "mixed" else netdsl.load(name, inputs={"": (3, 96, 64)})
    made = again(net)
    for one, two in zip(net.graph, made.graph, strict=True):
        assert one.op.inits == two.op.inits
    modules = [execute(each.emit())[each.name]() for each in (net, made)]
    states = [module.state_dict() for module in modules]
    assert list(states[0]) == list(states[1])
    torch.manual_seed(1)
    state = {k: v if v.dtype == torch.int64 else torch.randn_like(v) * 0.1 for k, v in states[0].items()}
    state |= {k: v.abs() + 0.5 for k, v in state.items() if k.endswith("running_var")}
    state |= {
        k: v for k, v in states[0].items() if k in dict(modules[0].named_buffers()) and "running" not in k
    }
    x = [torch.randn(2, *shape) for shape in net.inputs.values()]
    for train in (False, True):
        found = []
        for module in modules:
            module.load_state_dict(state)
            torch.manual_seed(2)
            y = module.train(train)(*x)
            found.append([y] if isinstance(y, torch.Tensor) else list(y))
        assert found[0][0].std() > 0
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True) if a is not None)


def test_the_linter_finds_the_same() -> None:
    """And what `@allow` lines had spared the net."""
    for name in ("vgg16", "resnet18", "lenet", "squeezenet1_0"):
        net = zoo_net(name)
        one, two = ({finding.rule for finding in each.lint() if finding.nets} for each in (net, again(net)))
        assert one <= two


def without(graph: Graph, op: str) -> Graph:
    """Return a graph without the ops of a name, each of which has one input."""
    gone = {node.name: node.inputs[0] for node in graph if node.op.name == op}

    def kept(value: Value) -> Value:
        while value.node in gone:
            value = gone[value.node]
        return value

    made = Graph()
    for node in graph:
        if node.name not in gone:
            made.add(node.replace(inputs=tuple(map(kept, node.inputs))))
    made.inputs = dict(graph.inputs)
    made.outputs = tuple(output.replace(value=kept(output.value)) for output in graph.outputs)
    made.tree = _trimmed(graph.tree, gone, kept)
    return made


def _trimmed(scope: Scope, gone: dict[str, Value], kept: object) -> Scope:
    assert callable(kept)
    made = Scope(scope.kind, scope.path, scope.span, scope.block)
    made.name, made.module, made.first = scope.name, scope.module, scope.first
    made.inputs, made.outputs = tuple(map(kept, scope.inputs)), tuple(map(kept, scope.outputs))
    made.input_names, made.modules = scope.input_names, scope.modules
    made.written = [
        _trimmed(item, gone, kept) if isinstance(item, Scope) else item
        for item in scope.written
        if item not in gone
    ]
    return made


@pytest.mark.parametrize(("name", "op"), [("vgg11_bn", "bn"), ("resnet18", "bn"), ("mobilenet_v2", "relu6")])
def test_a_transform_makes_a_net(name: str, op: str) -> None:
    """Costed, linted, emitted, built and drawn as any other, though nobody wrote it."""
    net = zoo_net(name)
    made = Network.from_graph(without(net.graph, op), "without")
    assert made.cost().macs == net.cost().macs
    assert not [node for node in made.graph if node.op.name == op]
    model = made.build()
    keys = [key for key in net.build().state_dict() if key.rpartition(".")[0] in made.graph]
    assert list(model.state_dict()) == keys
    assert model(torch.randn(1, 3, 64, 96)).shape == (1, 1000)
    assert "class" in made.emit("flax")
    assert made.vary  # it has a recipe
    assert all(
        finding.hit.span is None or finding.hit.span.source.name == "without.net" for finding in made.lint()
    )


def test_other_ops() -> None:
    resnet = zoo_net("resnet18")
    plain = {n.name: catalogue()["identity"]() for n in resnet.graph if n.op.name == "bn"}
    made = Network.from_graph(resnet.graph.with_ops(plain), "plain")
    assert made.name == "plain"
    assert made.cost().buffers == 0
    kept = [key for key in resnet.build().state_dict() if key.rpartition(".")[0] not in plain]
    assert list(made.build().state_dict()) == kept
    assert Network.from_graph(resnet.graph.with_ops(plain), "net").name == "net"
    for name in ("no bn", "x"):
        with pytest.raises(NetError, match=f"`{name}` is"):
            Network.from_graph(resnet.graph, name)


class Unknown(Relu):
    """An op that no distribution registers."""

    name: ClassVar[str] = "unknown"


def test_what_no_spec_makes() -> None:
    graph = zoo_net("lenet").graph
    relu = next(node.name for node in graph if node.op.name in ("relu", "tanh"))
    with pytest.raises(NetError, match="unknown op `unknown`"):
        Network.from_graph(graph.with_ops({relu: Unknown()}), "lenet")


def test_a_label_may_be_that_of_another_in_a_container() -> None:
    again(api.loads(APART))
    again(api.loads(APART.replace('from d, e -> concat axis="n"', "from e -> relu")))


def test_one_value_may_be_several_outputs() -> None:
    made = again(api.loads(TWICE))
    assert [(output.name, output.value.node, output.train) for output in made.graph.outputs] == [
        *(("out", "conv1", False), ("aux", "conv1", True), ("again", "conv1", False))
    ]


def test_differences() -> None:
    net = api.loads(SAME)
    graph, other = net.graph, zoo_net("lenet").graph
    assert difference(graph, graph) == ""
    assert difference(graph, other) == f"it has {len(graph)} ops, not {len(other)}"
    assert difference(graph, graph.with_ops({"a": catalogue()["bn"]()})) == "a is another bn"
    changed = graph.with_ops({})
    changed.nodes["b"] = graph["b"].replace(inputs=(Value("x"),))
    assert difference(graph, changed) == "b reads other values"
    changed = graph.with_ops({})
    changed.nodes["a_1"] = graph["a_1"].replace(module="b")
    assert difference(graph, changed) == "a_1 has the weights of a, not of b"
    changed = graph.with_ops({})
    changed.outputs = ()
    assert difference(graph, changed) == "its inputs or outputs are others"
    assert difference(graph, api.loads(SAME.replace("order b, a", "order a")).graph) == "b is no a"
