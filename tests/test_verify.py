"""What must hold of every graph: it holds in the zoo, and each rule is broken once."""

from collections.abc import Callable

import networkx
import pytest
from zoo import NAMES, net

from netdsl import Network, api
from netdsl.ir.graph import Graph, Output, Scope, Value
from netdsl.ir.types import Shape
from netdsl.ir.verify import GraphError, verify
from netdsl.ops import catalogue
from netdsl.passes import Facts, infer_shapes

SPEC = """
net N:
    input 3, 8x8
    features:
        c1: conv 3x3, 4
        stage 1: relu
        a, b = from flow -> split 2
        add:
            from a
            from b
    train output aux: gap -> fc 3
    head: gap
    fc: fc 10
"""


@pytest.fixture
def graph() -> Graph:
    """Give a small graph that tests may break."""
    return api.loads(SPEC).graph


@pytest.mark.parametrize("name", NAMES)
def test_every_net_of_the_zoo(name: str) -> None:
    elaborated = net(name).elaborated
    verify(elaborated.graph, elaborated.shapes)
    again = Network.from_graph(elaborated.graph, name)
    assert again.elaborated.shapes == elaborated.shapes
    assert again.cost() == net(name).cost()


def test_the_small_graph_is_fine(graph: Graph) -> None:
    verify(graph)


def test_a_net_may_come_from_a_graph() -> None:
    """With other ops, too."""
    resnet = net("resnet18")
    plain = {n.name: catalogue()["identity"]() for n in resnet.graph if n.op.name == "bn"}
    without = Network.from_graph(resnet.graph.with_ops(plain), "without")
    assert without.cost().macs == resnet.cost().macs
    assert without.cost().buffers == 0
    blocks = [row.name for row in resnet.cost_table("block").rows if row.name.startswith("layer")]
    assert blocks == [row.name for row in without.cost_table("block").rows if row.name.startswith("layer")]
    assert without.liveness(2).peak > 0


def replace(graph: Graph, key: str, **changes: object) -> None:
    """Change a node at its place."""
    graph.nodes[key] = graph[key].replace(**changes)


def scope(graph: Graph, path: str) -> Scope:
    return next(scope for scope in graph.tree.scopes() if scope.path == path)


def stored_elsewhere(graph: Graph) -> None:
    replace(graph, "fc", name="fc2")


def reads_nothing(graph: Graph) -> None:
    replace(graph, "fc", inputs=(Value("ghost"),))


def cycle(graph: Graph) -> None:
    replace(graph, "features.c1", inputs=(Value("features.1"),))


def negative_port(graph: Graph) -> None:
    replace(graph, "fc", inputs=(Value("head", -1),))


def wrong_arity(graph: Graph) -> None:
    two = (Value("head"), Value("head"))
    replace(graph, "fc", inputs=two)


def unlisted_input(graph: Graph) -> None:
    graph.inputs.clear()


def first_output(graph: Graph) -> None:
    graph.outputs = tuple(reversed(graph.outputs))


def same_outputs(graph: Graph) -> None:
    graph.outputs = (graph.outputs[0], graph.outputs[0])


def output_of_nothing(graph: Graph) -> None:
    graph.outputs = (Output("out", Value("ghost")), graph.outputs[1])


def training_feeds_evaluation(graph: Graph) -> None:
    replace(graph, "head", train=True)


def training_output(graph: Graph) -> None:
    graph.outputs = (graph.outputs[0], graph.outputs[1].replace(train=False))


def order_of_tree(graph: Graph) -> None:
    graph.tree.items.reverse()


def not_in_tree(graph: Graph) -> None:
    graph.tree.items.pop()


def root(graph: Graph) -> None:
    graph.tree.kind = "block"


def path(graph: Graph) -> None:
    scope(graph, "features").path = "trunk.features"


def twice(graph: Graph) -> None:
    aux = scope(graph, "aux")
    aux.path = "features"
    for index, old in enumerate(aux.items):
        assert isinstance(old, str)
        new = old.replace("aux", "features")
        aux.items[index] = new


def stage_outside(graph: Graph) -> None:
    scope(graph, "features").stages[99] = "9"


def net_in_net(graph: Graph) -> None:
    scope(graph, "features").kind = "net"


def input_twice(graph: Graph) -> None:
    features = scope(graph, "features")
    features.inputs *= 2


def input_from_inside(graph: Graph) -> None:
    scope(graph, "features").inputs += (Value("features.c1"),)


def output_from_outside(graph: Graph) -> None:
    scope(graph, "features").outputs += (Value("head"),)


def unlisted_read(graph: Graph) -> None:
    scope(graph, "features").inputs = ()


def unlisted_output(graph: Graph) -> None:
    scope(graph, "features").outputs = ()


def outputs_of_tree(graph: Graph) -> None:
    graph.tree.outputs += (Value("head"),)


def weights_of_none(graph: Graph) -> None:
    replace(graph, "fc", module="features.c2")


def again_another(graph: Graph) -> None:
    replace(graph, "fc", module="head")


BROKEN: dict[Callable[[Graph], None], str] = {
    stored_elsewhere: "the node 'fc2' is stored under 'fc'",
    reads_nothing: "fc reads ghost, which is not there",
    cycle: "features.c1 reads features.1, which comes later",
    negative_port: "fc reads port -1 of head",
    wrong_arity: "fc: fc has 2 inputs",
    unlisted_input: "the inputs are",
    first_output: "the first output is the net's result, got aux, out",
    same_outputs: "two outputs have one name: out, out",
    output_of_nothing: "the output out is of ghost, which is not there",
    training_feeds_evaluation: "fc reads head, which is there in training only",
    training_output: "the output aux reads aux.1, which is there in training only",
    order_of_tree: "the module tree does not hold every node once and in order",
    not_in_tree: "the module tree does not hold every node once and in order",
    weights_of_none: "fc has the weights of features.c2, which has none of its own",
    again_another: "fc is head again, and another op",
    root: "the module tree begins with the block '', not with the net",
    path: "'trunk.features' is no path in ''",
    stage_outside: "a stage of 'features' begins outside it",
    net_in_net: "features is a net in a net",
    input_twice: "an input of features comes twice",
    input_from_inside: "features: the input features.c1 does not come from outside",
    output_from_outside: "features: the output head comes from outside, and is no input",
    unlisted_read: "features reads ",
    unlisted_output: "features.add is read outside features, and is none of its outputs",
    outputs_of_tree: "the outputs of the module tree are not the graph's",
}


def test_networkx_has_the_same_edges(graph: Graph) -> None:
    assert list(graph.nx) == [node.name for node in graph]
    assert list(networkx.topological_sort(graph.nx))
    for node in graph:
        assert graph.nx.nodes[node.name]["node"] is node
        edges = graph.nx.in_edges(node.name, keys=True, data="port")
        read = {(key, Value(tail, port)) for tail, _, key, port in edges}
        assert read == set(enumerate(node.inputs))
        heads = dict.fromkeys(graph.nx.successors(node.name))
        assert [user.name for user in graph.users(node.name)] == list(heads)


def test_networkx_is_for_reading(graph: Graph) -> None:
    assert graph.nx is graph.nx
    with pytest.raises(networkx.NetworkXError, match="Frozen"):
        graph.nx.add_edge("fc", "head")
    graph.add(graph["fc"].replace(name="more"))  # what is made anew has it
    assert "more" in graph.nx


@pytest.mark.parametrize("harm", BROKEN, ids=lambda harm: harm.__name__)
def test_broken(graph: Graph, harm: Callable[[Graph], None]) -> None:
    harm(graph)
    with pytest.raises(GraphError) as caught:
        verify(graph)
    assert str(caught.value).startswith(BROKEN[harm])


def test_two_modules_of_one_name(graph: Graph) -> None:
    inner = Scope("container", "fc", graph.tree.span)
    graph.tree.items.append(inner)
    with pytest.raises(GraphError, match="two modules in '' have one name"):
        verify(graph)


def test_ports(graph: Graph) -> None:
    shapes = dict(infer_shapes(Facts(graph)).shapes)
    verify(graph, shapes)
    with pytest.raises(GraphError, match=r"features.add reads port 1 of features.split, which has 1"):
        verify(graph, shapes | {"features.split": (Shape(2, 8, 8),)})
    del shapes["fc"]
    with pytest.raises(GraphError, match="shapes and nodes differ: fc"):
        verify(graph, shapes)


def test_shapes_of_a_graph_that_an_op_refuses(graph: Graph) -> None:
    with pytest.raises(GraphError, match="head: gap needs a map"):
        infer_shapes(Facts(graph.with_ops(dict.fromkeys(("aux.0", "features.c1"), catalogue()["flatten"]()))))


def test_a_port_that_is_not_there(graph: Graph) -> None:
    with pytest.raises(GraphError, match=r"features.add reads port 1 of features.split"):
        infer_shapes(Facts(graph.with_ops({"features.split": catalogue()["split"](parts=1)})))
