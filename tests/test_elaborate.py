"""What a spec means: order, names, scopes of defaults, ramps, outputs, decisions, spans, and the limits of depth."""

import time
from pathlib import Path

import pytest
from case_files import run

from netdsl import api, data
from netdsl.diagnostics import NetError
from netdsl.diagnostics.render import render_text
from netdsl.elaborate.build import Elaborated, Recipe
from netdsl.elaborate.files import Files
from netdsl.ir.graph import Scope
from netdsl.ir.types import Init
from netdsl.ir.verify import verify
from netdsl.source import Source


def built(text: str, files: dict[str, str] | None = None, **given: str) -> Elaborated:
    """Return the only net of a text."""
    diagnostics, nets = run(text, files or {}, {f"set.{k}": v for k, v in given.items()})
    assert not diagnostics, "\n".join(map(render_text, diagnostics))
    (net,) = nets
    return net


def body(text: str, head: str = "", **given: str) -> Elaborated:
    """Return a net of a 8x16x16 input with these lines."""
    lines = "".join(f"    {line}\n" for line in text.strip("\n").split("\n"))
    return built(f"{head}\nnet N:\n    input 8, 16x16\n{lines}", **given)


def names(net: Elaborated) -> list[str]:
    """Return the paths of all modules in order; wiring is none."""
    return [node.name for node in net.graph if not node.op.wiring]


def errors(text: str, files: dict[str, str] | None = None) -> list[str]:
    diagnostics, _ = run(text, files or {}, {})
    return [f"{d.code} {d.message}" for d in diagnostics]


# ---------------------------------------------------------------- names and order


def test_positions_count_what_is_unlabelled_too() -> None:
    net = api.load("vgg16").elaborated
    convs = [name for name in names(net) if net.graph[name].op.name == "conv"]
    assert convs[:4] == ["features.0", "features.2", "features.5", "features.7"]
    assert names(net)[-7:] == [f"classifier.{i}" for i in range(7)]


def test_norm_and_act_are_the_next_children_or_named_after_a_label() -> None:
    net = body("part: conv 3x3, 8, norm=bn, act=relu -> relu\nconv1: conv 3x3, 8, norm=bn, act=relu")
    assert names(net) == ["part.0", "part.1", "part.2", "part.3", "conv1", "conv1_norm", "conv1_act"]


def test_what_is_transparent_to_names() -> None:
    text = """
2 * relu
stage 1: relu
if true:
    relu
for i in range(2):
    relu -> [relu when i == 1]
add:
    relu
    (a: relu | relu) -> add
y = from flow -> relu
from y -> T
"""
    head = "inline block T:\n    relu\n    tanh\n"
    assert names(body(text, head)) == [*map(str, range(8)), "a", "9", "10", "11", "12"]


def test_parentheses_and_chains_under_a_label_are_containers() -> None:
    text = "(relu)\na: relu\nb: relu -> relu\nc: (relu)\nd: 2 * relu\n(relu | tanh) as e -> add"
    expected = ["0.0", "a", "b.0", "b.1", "c.0", "d.0", "d.1", "e.0", "e.1"]
    assert names(body(text)) == expected


def test_as_names_a_step_and_binds_its_value() -> None:
    net = body("relu as a -> conv 3x3, 4 as b -> tanh as c\nfrom a, b -> concat")
    assert names(net) == ["a", "b", "c"]
    assert str(net.shapes["concat"][0]) == "12x16x16"


def test_wiring_has_names_but_no_positions() -> None:
    net = body("add:\n    identity\n    relu\nadd:\n    identity\n    relu\nadd1: relu")
    found = [node.name for node in net.graph]
    assert found == ["x", "identity", "0", "add", "identity2", "1", "add2", "add1"]


def test_modules_are_in_the_order_of_their_first_line() -> None:
    net = body("a:\n    b: relu\n    c:\n        d: relu\n    e: relu\nf: relu")
    assert paths(net.graph.tree) == ["", "a", "a.b", "a.c", "a.c.d", "a.e", "f"]
    assert [s.path for s in net.graph.tree.scopes()] == ["", "a", "a.c"]


def paths(scope: Scope) -> list[str]:
    found = [scope.path]
    for item in scope.items:
        if isinstance(item, Scope):
            found += paths(item)
        elif item != "x":
            found.append(item)
    return found


def test_stages_are_known_to_nodes_and_scopes() -> None:
    net = body("features:\n    stage 1: relu\n    stage head:\n        relu\n    relu")
    assert [net.graph[f"features.{i}"].stage for i in range(3)] == ["1", "head", ""]
    (features,) = [s for s in net.graph.tree.scopes() if s.path == "features"]
    assert features.stages == {0: "1", 1: "head"}


def test_a_loop_numbers_its_stages() -> None:
    net = body(
        "features:\n    for i in range(2):\n        stage {i+1}: relu -> relu\n        stage s{i}: relu"
    )
    assert [net.graph[f"features.{i}"].stage for i in range(6)] == ["1", "1", "s0", "2", "2", "s1"]
    (features,) = [s for s in net.graph.tree.scopes() if s.path == "features"]
    assert features.stages == {0: "1", 2: "s0", 3: "2", 5: "s1"}


def test_inputs_and_outputs_of_scopes() -> None:
    net = body("a: relu\nb:\n    relu\n    add:\n        from a\n        identity")
    (b,) = [s for s in net.graph.tree.scopes() if s.path == "b"]
    assert [value.node for value in b.inputs] == ["a"]
    assert [value.node for value in b.outputs] == ["b.add"]


# ---------------------------------------------------------------- defaults and initialisers


def stride(net: Elaborated, name: str) -> object:
    return net.graph[name].op.arguments()["stride"]


def test_a_default_holds_in_the_text_below_it() -> None:
    head = "default conv 3x3\nblock B:\n    conv 4\ndefault conv 5x5\nblock C:\n    conv 4"
    net = body("a: B -> C\nb: conv 4\nf:\n    default conv 1x1\n    conv 4\nc: conv 4", head)
    kernels = [str(net.graph[name].op.arguments()["kernel"]) for name in names(net)]
    assert kernels == ["3x3", "5x5", "5x5", "1x1", "1x1"]


def test_a_default_of_a_block_does_not_reach_into_blocks() -> None:
    head = "default conv 3x3\nblock B:\n    conv 4\nblock C:\n    default conv 7x7\n    B -> conv 4"
    net = body("C", head)
    assert [str(net.graph[n].op.arguments()["kernel"]) for n in ("0.0.0", "0.1")] == ["3x3", "7x7"]


def test_the_layers_own_arguments_win_over_the_ops_over_the_defaults() -> None:
    text = "default conv 3x3, 4, /2\nc = conv(stride=4)\nC conv\nC c\n4 * (relu)"
    head = "block C(op: op):\n    default conv 5x5, 6, /1\n    op -> op /1"
    net = body(text, head)
    assert [stride(net, n) for n in ("0.0", "0.1", "1.0", "1.1")] == [1, 1, 4, 1]


def test_depthwise_takes_the_defaults_of_conv_and_its_own_first() -> None:
    net = body("default conv 3x3, 16, bias=false, /2\ndefault dwconv /1\ndwconv")
    assert net.graph["0"].op.arguments()["bias"] is False
    assert stride(net, "0") == 1


def test_norm_takes_its_arguments_from_its_default() -> None:
    net = body("default bn eps=0.1\nconv 3x3, 4, norm=bn\nconv 3x3, 4, norm=bn(eps=0.2)")
    assert [net.graph[n].op.arguments()["eps"] for n in ("1", "3")] == [0.1, 0.2]


def test_a_default_of_a_block_stays_where_it_was_written() -> None:
    files = {"a.net": "block B(sd = 0.1):\n    dropout sd\ndefault B sd=0.5\nblock C:\n    B\n"}
    text = 'import B, C from "a.net"\nnet N:\n    input 8, 4x4\n    B -> C\n    default B sd=0.3\n    B\n'
    net = built(text, files)
    assert [net.graph[n].op.arguments()["p"] for n in names(net)] == [0.1, 0.5, 0.3]


def inits(text: str, head: str = "") -> list[str]:
    net = body(text, head)
    return [str(node.op.inits.get("weight", "-")) for node in net.graph if node.op.name == "conv"]


def test_initialisers_own_then_block_then_net_then_file() -> None:
    head = (
        "init conv weight=constant(1)\nblock B:\n    conv 3x3, 8\n"
        "block C:\n    init conv weight=constant(3)\n    conv 3x3, 8 -> conv 3x3, 8, init=constant(4)\n"
    )
    assert inits("B -> C", head) == ["constant(1)", "constant(3)", "constant(4)"]
    assert inits("B -> C\ninit conv weight=constant(2)", head) == [
        "constant(2)",
        "constant(3)",
        "constant(4)",
    ]
    assert inits("B", head.partition("\n")[2]) == ["-"]


def test_a_zoo_of_initialisers() -> None:
    lines = "a: conv 3x3, 8, init=kaiming_normal\nb: conv 3x3, 8, init=normal(std=0.1)"
    net = body(f"{lines}\nweight w [8, 1, 1], init=ones")
    assert net.graph["a"].op.inits == {"weight": Init("kaiming_normal", ("fan_in", "relu"))}
    assert net.graph["b"].op.inits == {"weight": Init("normal", (0.0, 0.1))}
    assert net.graph["w"].op.inits == {"": Init("ones")}


# ---------------------------------------------------------------- steps


def test_first_is_the_first_copy_of_the_innermost_repetition() -> None:
    net = body("a: 2 * (3 * conv 3x3, 8, /2 first)")
    assert [stride(net, n) for n in names(net)] == [2, 1, 1, 2, 1, 1]
    net = body("a: 2 * (conv 3x3, 8, /2 first -> relu)")
    assert [stride(net, n) for n in ("a.0.0", "a.1.0")] == [2, 1]


def test_optional_steps_and_skipped_lines_pass_the_flow() -> None:
    net = body(
        "a: relu when false\n[relu when false] -> tanh\n(relu) when false\nconcat:\n    identity\n    relu when false"
    )
    assert names(net) == ["0"]
    assert str(net.shapes[net.graph.outputs[0].value.node][0]) == "16x16x16"


def test_an_identity_branch_and_an_absent_one() -> None:
    assert str(body("add:\n    relu\n    if false:\n        identity").graph.outputs[0].value.node) == "0"
    assert body("add:\n    relu\n    identity when false").graph.outputs[0].value.node == "add"


ELSEWHERE = {
    "from a -> relu when deep": "a: from a -> [relu when deep]",
    "from a -> relu -> conv 1x1, 8 as d when deep": "a: from a -> [relu -> conv 1x1, 8 as d when deep]",
    "d: from a -> relu -> tanh when deep": "a: d: from a -> [relu -> tanh when deep]",
    "f: from a -> relu when (1 <\n        2)": "two lines: if ...: f: from a -> relu / else: identity",
    "d: from a -> relu when deep": "a: from a -> [relu as d when deep]",
    "d: from a -> 2 * relu when deep": "a: d: from a -> [2 * relu when deep]",
    "e: from a -> (relu | tanh) when deep": "if deep: e: from a -> (relu | tanh) / else: identity",
    "from a when deep": "two lines: if deep: from a / else: identity",
    "from a, flow -> add when deep": "a, flow: from a, flow -> [add when deep]",
    "tanh -> (from a -> relu when deep)": "a: from a -> [relu when deep]",
    "(from a -> relu when deep | tanh) -> add": "a: from a -> [relu when deep]",
    "(from a when deep | tanh) -> add": "write the branches as lines, this one under `if`",
    "stage 2: from a -> relu when deep": "a: from a -> [relu when deep]",
    "if deep:\n    z = from a\nfrom z -> relu when deep": "z: from z -> [relu when deep]",
    "from a[0] -> relu when deep": "a[0]: from a[0] -> [relu when deep]",
}
"""Lines under a condition that begin with another value than they would go on with, and what their help ends with."""


@pytest.mark.parametrize("deep", ["true", "false"])
@pytest.mark.parametrize(("lines", "help"), ELSEWHERE.items())
def test_a_line_under_a_condition_begins_with_what_it_would_go_on_with(
    lines: str, help: str, deep: str
) -> None:
    text = f"net N(deep = {deep}):\n    input 8, 16x16\n    a: relu\n    tanh\n"
    text += "".join(f"    {line}\n" for line in lines.split("\n"))
    (error,), _ = run(text, {}, {})
    assert error.code == "E227"
    assert error.span is not None
    assert error.message.endswith(f", this hands on what flowed before, and not `{error.span.text}`")
    assert any(way.endswith(help) for way in error.help.split("; "))


def test_each_way_of_a_line_that_begins_elsewhere_is_right() -> None:
    text = "net N(deep = false):\n    input 8, 16x16\n    a: relu\n    tanh\n    add:\n        sigmoid\n"
    line = " " * 8 + "d: from a -> sigmoid when deep"
    (error,), _ = run(f"{text}{line}\n", {}, {})
    inside, lines = (way.partition(": ")[2] for way in error.help.split("; "))
    for way, other in ((inside, "a"), (lines.replace(" / ", f"\n{' ' * 8}"), "identity")):
        net = built(f"{text}        {way}\n")
        assert [value.node for value in net.graph["add"].inputs] == ["2", other]
        assert "d" in {name[:1] for name in names(built(f"{text}        {way}\n".replace("false", "true")))}


@pytest.mark.parametrize("line", ["from flow", "from x", "y = from x\n        d: from y"])
def test_a_line_under_a_condition_may_begin_with_what_flows(line: str) -> None:
    head = f"block B:\n    add:\n        {line} -> relu when x.c == 9\n        tanh"
    net = body("B as b", head)
    assert [value.node for value in net.graph["b.add"].inputs][-2:] == ["x", "b.0"]


def test_a_block_of_several_inputs() -> None:
    head = "block B(c) from prev, cur:\n    from cur -> conv 3x3, c as right\n    return prev, flow"
    net = body("from x, x -> B 4 as cell\nfrom flow[1], flow[0]\nconcat", head)
    (cell,) = [s for s in net.graph.tree.scopes() if s.path == "cell"]
    assert cell.input_names == ("prev", "cur")
    assert len(cell.inputs) == 2
    assert len(set(cell.inputs)) == 2
    assert str(net.shapes["concat"][0]) == "12x16x16"


def test_a_tuple_as_the_input_of_a_block() -> None:
    head = "block B:\n    fork:\n        for i in range(len(x)):\n            from x[i] -> relu"
    net = body("from x, x, x\nB\nconcat", head)
    assert str(net.shapes["concat"][0]) == "24x16x16"


def test_flow_is_the_value_that_flows() -> None:
    net = body(
        "maxpool 2x2, /2\nn = flow.h\nc: conv 3x3, n\nfrom x, flow\nm = len(flow)\nfrom flow[1] -> conv 1x1, m as d"
    )
    assert [str(net.shapes[n][0]) for n in ("c", "d")] == ["8x8x8", "2x8x8"]


# ---------------------------------------------------------------- parameters


def test_types_that_are_not_written_follow_from_the_default() -> None:
    head = "block B(n, k = 3x3, p = 0.1, on = true, act: op = none, cs = [1],\n"
    head += '    s = "a", i = ones, w = 2 * 3, q = 1 / 2):\n'
    net = body('B 1, 5x5, 0.2, false, relu, [2], "b", zeros, 7, 0.3', head + "    relu")
    args = next(s for s in net.graph.tree.scopes() if s.block == "B").args
    shown = {k: str(v) for k, v in args.items()}
    assert shown == {
        "n": "1", "k": "5x5", "p": "0.2", "on": "False", "act": "relu",
        "cs": "(2,)", "s": "b", "i": "zeros", "w": "7", "q": "0.3",
    }  # fmt: skip


def test_a_later_default_reads_an_earlier_parameter() -> None:
    net = body("B 4", "block B(c, hidden = 2 * c):\n    conv 3x3, hidden")
    assert str(net.shapes["0.0"][0]) == "8x16x16"


def test_what_is_allowed_is_read_where_it_is_declared() -> None:
    files = {"a.net": "depths = [2, 3]\nblock B(n: int in depths = 2):\n    n * relu\n"}
    text = 'import B from "a.net"\nnet N:\n    input 8, 4x4\n    B {}\n'
    assert len(names(built(text.format(3), files))) == 3
    assert errors(text.format(4), files) == ["E206 B: n must be one of [2, 3], got 4"]


def test_parameters_given_and_not() -> None:
    text = (
        "net N(a = 1, b = 2.0, c: op = relu):\n    input 8, 4x4\n    w = 2 * a\n    w * c\nvariant n = N(2)\n"
    )
    file = Files(api._importer(None, ())).load(Source("n.net", text))
    net = Recipe(file.nets["N"], file.variants["n"], {"b": 3}, {}).elaborate()
    assert {k: str(v) for k, v in net.params.items()} == {"a": "2", "b": "3.0", "c": "relu"}
    assert net.given == {"a", "b"}
    assert len(names(net)) == 4


# ---------------------------------------------------------------- ramps


def ramps(text: str, head: str = "") -> list[float]:
    net = body(text, head)
    return [round(node.op.arguments()["p"], 6) for node in net.graph if node.op.name == "droppath"]


def test_a_ramp_counts_its_evaluations_in_the_net() -> None:
    assert ramps("5 * droppath ramp(0, 0.2)") == [0.0, 0.05, 0.1, 0.15, 0.2]
    assert ramps("4 * droppath ramp(0, 0.2, endpoint=false)") == [0.0, 0.05, 0.1, 0.15]
    assert ramps("droppath ramp(0.1, 0.2)") == [0.1]
    assert ramps("for n in [1, 2]:\n    n * B ramp(0, 1)", "block B(p: float):\n    droppath p") == [
        0.0,
        0.5,
        1.0,
    ]
    assert ramps("droppath ramp(0, 1)\ndroppath ramp(0, 1)") == [0.0, 0.0]


def test_a_ramp_is_one_schedule_wherever_it_is_given() -> None:
    block = "block B(p: float):\n    droppath p -> relu -> droppath p"
    thirds = [0.0, 0.333333, 0.666667, 1.0]
    twice = [rate for rate in thirds for _ in range(2)]
    assert ramps("r = ramp(0, 1)\n2 * droppath r\nrelu -> droppath r\ndropout r\ndroppath r") == [
        *(0.0, 0.25, 0.5),
        1.0,
    ]
    assert ramps("r = ramp(0, 1)\na: 3 * B r\nb: B r", block) == twice
    assert ramps("default B p=ramp(0, 1)\na: 3 * B\nb: B", block) == twice
    assert ramps("unit = B(ramp(0, 1))\na: 3 * unit\nb: unit", block) == twice
    assert ramps("def rate() = ramp(0, 1)\na: 3 * B rate()\nb: B rate()", block) == twice
    assert ramps("r = [ramp(0, 1)]\na: 3 * B r[0]\nb: B r[0]", block) == twice
    own = "block B:\n    r = ramp(0, 1)\n    droppath r -> droppath r"
    assert ramps("a: B\nb: B", own) == thirds
    assert ramps("r = ramp(0, 1)\nB r, r\nB r, r", "block B(p: float, q: float):\n    droppath q") == [
        0.0,
        1.0,
    ]


def test_a_ramp_goes_through_blocks_and_out_of_range_is_an_error() -> None:
    text = "net N:\n    input 8, 4x4\n    3 * droppath ramp(0, 2)\n"
    assert errors(text) == ["E301 droppath: a probability is from 0 to 1, got 2.0"]


# ---------------------------------------------------------------- outputs, inputs, weights


def test_outputs() -> None:
    net = body("output a: from x\nrelu\ntrain output b: conv 3x3, 4 -> relu\ntanh")
    assert [(o.name, o.value.node, o.train) for o in net.graph.outputs] == [
        ("out", "2", False),
        ("a", "x", False),
        ("b", "b.1", True),
    ]
    assert [node.name for node in net.graph if node.train] == ["b.0", "b.1"]


def test_a_branch_of_training_is_registered_where_it_stands_and_computed_where_it_branches_off() -> None:
    lines = (
        *("a: relu", "b: relu", "c: relu", "output p: from a -> tanh"),
        *("train output t: from b -> relu", "train output u: from a -> relu -> tanh"),
        *("train output v: from t, u -> concat -> tanh as w", "train output s: from x -> relu"),
        *("train output r: from b -> relu", "train output q: from flow -> relu", "d: relu"),
    )
    net = body("\n".join(lines))
    computed = ["x", "s", "a", "u.0", "u.1", "b", "t", "concat", "w", "r", "c", "q", "p", "d"]
    assert [node.name for node in net.graph] == computed
    assert list(net.graph.tree.nodes()) == computed
    registered = ["a", "b", "c", "p", "t", "u", "u.0", "u.1", "concat", "w", "s", "r", "q", "d"]
    assert paths(net.graph.tree)[1:] == registered
    assert [output.name for output in net.graph.outputs] == ["out", *"ptuvsrq"]
    verify(net.graph, net.shapes)


def test_a_branch_of_training_is_computed_in_its_container() -> None:
    net = body("a: relu\nf:\n    b: relu\n    c: relu\n    train output t: from a -> relu\nd: relu")
    assert [node.name for node in net.graph] == ["x", "a", "f.t", "f.b", "f.c", "d"]
    assert body("a: relu\ntrain output t: from a -> relu\nb: relu").graph.tree.order == ()


def test_inputs_and_their_shapes() -> None:
    text = "net N:\n    input a: 3, 8x8\n    input b: 5\n    from a -> gap\n    from flow, b -> concat\n"
    net = built(text)
    assert list(net.graph.inputs) == ["a", "b"]
    assert str(net.shapes["concat"][0]) == "8"


def test_a_shape_from_outside() -> None:
    from netdsl.ir.types import Shape

    text = "net N:\n    input 3, 8x8\n    conv 3x3, 4\n"
    decl = Files(api._importer(None, ())).load(Source("n.net", text)).nets["N"]
    assert str(Recipe(decl, None, {}, {"": Shape(1, 6, 6)}).elaborate().shapes["0"][0]) == "4x6x6"
    for inputs, message in (
        ({"y": Shape(1, 6, 6)}, "N has no input `y`"),
        ({"x": Shape(6)}, "input x has 3 sizes, --input gives 1"),
    ):
        with pytest.raises(NetError) as caught:
            Recipe(decl, None, {}, inputs).elaborate()
        assert caught.value.diagnostics[0].message == message


def test_weights() -> None:
    net = body("weight scale [x.c, 1, 1], init=constant(0.5)\nmul:\n    from x\n    from scale")
    assert str(net.shapes["mul"][0]) == "8x16x16"
    assert net.graph["scale"].op.params()[""].init == Init("constant", (0.5,))


# ---------------------------------------------------------------- search spaces


CHOSEN = {"depth": "3", "kernel": "5x5", "expand": "6"}
STAGES = {f"stage{i}.{name}": value for i in range(1, 6) for name, value in CHOSEN.items()}
ASSIGNMENT = {"width": "1.0", **STAGES, "neck": "conv"}


def test_the_search_space_of_the_zoo() -> None:
    text = data.read("specs", "search.net")
    (diagnostic,), _ = run(text, {}, {})
    assert diagnostic.code == "E217"
    assert [line.partition(":")[0] for line in diagnostic.details] == list(ASSIGNMENT)
    net = built(text, **ASSIGNMENT)
    assert [(d.name, d.options[d.chosen or 0]) for d in net.decisions] == list(ASSIGNMENT.items())
    assert [s.path for s in net.graph.tree.scopes() if s.block == "MBConv"][:3] == [
        "stage1.0",
        "stage1.1",
        "stage1.2",
    ]
    kernels = {str(n.op.arguments()["kernel"]) for n in net.graph if n.op.name == "dwconv"}
    assert kernels == {"5x5"}


def test_decisions_are_shared_by_copies_and_not_by_turns() -> None:
    block = "block B(k = choose(3x3, 5x5)):\n    conv k, 8"
    net = body("a: 3 * B", block, **{"a.k": "5x5"})
    assert len(net.decisions) == 1
    net = body(
        "for i in range(2):\n    a{i}: conv choose(3x3, 5x5), 8", **{"a0.kernel": "3x3", "a1.kernel": "5x5"}
    )
    assert [d.chosen for d in net.decisions] == [0, 1]


def test_a_decision_is_given_as_text_or_value() -> None:
    decl = (
        Files(api._importer(None, ()))
        .load(Source("n.net", "net N(w = choose(0.5, 1.0)):\n    input 8, 4x4\n    dropout w\n"))
        .nets["N"]
    )
    for value in ("1.0", 1.0, 1):
        assert Recipe(decl, None, {"w": value}, {}).elaborate().decisions[0].chosen == 1
    with pytest.raises(NetError) as caught:
        Recipe(decl, None, {"w": 0.7}, {}).elaborate()
    assert caught.value.diagnostics[0].message == "w must be one of 0.5, 1.0, got 0.7"


# ---------------------------------------------------------------- facts about the net


def test_budgets_allows_and_meta() -> None:
    text = """
@allow(all, "a test")
net N:
    input 8, 16x16
    meta year=2014, arxiv="1409.1556"
    require params <= 5M, macs <= 1G
    @allow(huge_fc, "as in the paper")
    features:
        require params <= 1M
        stage 2: relu
    2 * B

@allow(slow, "it is")
block B:
    @allow(fat, "it is too")
    relu

variant n = N():
    meta top1=71.5
    require macs <= 2G
"""
    _, (net,) = run(text, {}, {})
    assert [(b.scope, b.span.text) for b in net.budgets] == [
        ("", "params <= 5M"), ("", "macs <= 1G"), ("features", "params <= 1M"), ("", "macs <= 2G"),
    ]  # fmt: skip
    assert net.meta == {"year": 2014, "arxiv": "1409.1556", "top1": 71.5}
    assert [(a.rule, a.reason) for a in net.allows] == [
        ("all", "a test"), ("slow", "it is"), ("huge_fc", "as in the paper"), ("fat", "it is too"),
    ]  # fmt: skip
    (features,) = [a for a in net.allows if a.rule == "huge_fc"]
    assert features.about.text.startswith("features:")
    assert features.about.text.endswith("stage 2: relu")


def test_spans_and_call_stacks_of_nodes() -> None:
    head = "block A(c):\n    conv 3x3, c\n    relu\nblock B(c):\n    2 * A 2*c\n"
    net = body("part: B 4", head)
    node = net.graph["part.1.0"]
    assert node.span.text == "conv 3x3, c"
    assert [frame.what for frame in node.calls] == ["A(c=8), part.1", "B(c=4), part"]
    assert [frame.span.text for frame in node.calls] == ["A 2*c", "B 4"]
    assert [str(frame.span) for frame in node.calls] == ["case.net:5:9", "case.net:9:11"]


# ---------------------------------------------------------------- what is a chain


@pytest.mark.parametrize(
    ("lines", "at", "why"),
    [
        ("conv 3x3, 4\nhead: gap", "gap", "a label ends the chain"),
        (
            "a:\n    conv 3x3, 4\n    add:\n        identity\n        tanh",
            "add",
            "add joins values, which ends the chain",
        ),
        ("a: conv 3x3, 4 -> slice 0, 2", "slice 0, 2", "slice is no module that a chain may have"),
        ("tokens\na: ln -> attention 4", "attention 4", "attention is no module that a chain may have"),
        ("a:\n    conv 3x3, 4\n    from x -> tanh", "tanh", "this reads something else than"),
        ("a: (conv 3x3, 4 | tanh) -> concat", "tanh", "this reads something else than"),
        (
            "a:\n    conv 3x3, 4\n    y = from flow\n    tanh\n    from y",
            "a",
            "this ends with something else than",
        ),
    ],
)
def test_what_ends_a_chain_is_said(lines: str, at: str, why: str) -> None:
    (error, *_), _ = run(
        "net N:\n    input 8, 4x4\n" + "".join(f"    {x}\n" for x in lines.split("\n")), {}, {}
    )
    assert error.code == "E221"
    (label,) = error.labels
    assert (label.span.text, label.message.startswith(why)) == (at, True)


def test_labels_of_a_loop_have_its_variable() -> None:
    text = "net N:\n    input 8, 4x4\n    for j in range(2):\n        {} -> {} -> relu -> {}\n    head: gap"
    steps = ["conv 3x3, 8", "bn", "conv 1x1, 8"]
    errors, _ = run(text.format(*steps), {}, {})
    helps = [error.help for error in errors]
    assert helps == ["conv 3x3, 8 as conv{j}", "bn as bn{j}", "conv 1x1, 8 as conv2_{j}"]
    assert api.loads(text.format(*helps)).outputs


@pytest.mark.parametrize("backend", ["torch", "flax"])
def test_what_is_no_chain_in_one_framework_is_none_in_another(backend: str) -> None:
    text = 'net N:\n    input 8, 4x4\n    tokens\n    a: ln{} -> attention 4{}\n    mean "n"'
    (first, second), _ = run(text.format("", ""), {}, {})
    assert [first.help, second.help] == ["ln as ln1", "attention 4 as attention1"]
    assert second.note == "attention is no module that a chain may have"
    assert "attention1" in api.loads(text.format(" as ln1", " as attention1")).emit(backend)


# ---------------------------------------------------------------- errors and what follows from them


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("default conv 3x3, nrm=bn\nconv 8\nfc flow.w", "E202"),
        (
            "c = 1 // 0\nd = 2 * c\na: conv 3x3, d\nfrom a -> relu when d > 1\nfor i in range(c):\n    relu",
            "E212",
        ),
        ("def f(n) = n\ndef f(n) = n\na: conv 3x3, f(8)", "E214"),
        ("for i in 3:\n    layer{i}: relu\nfrom layer1, layer2\nadd\ny = layer1.c", "E203"),
        ("y = from z -> relu\nfrom y -> relu\na: conv 3x3, y.c", "E200"),
        ("y, z = from z -> split 2\nadd:\n    from y\n    from z", "E200"),
        ("a: conv 3x3\nfrom a -> bn\nfc: fc flow.c", "E204"),
        ("relu -> conv 3x3 as a\nfrom a -> bn", "E204"),
        ("a, b = from x -> split 3\nfrom a -> relu\nfrom b -> relu", "E301"),
        ("weight w [0]\nfrom w -> relu", "E203"),
        ("if 3:\n    a: relu\n    c = 3\nfrom a -> relu\nfc: fc c", "E207"),
        ("add:\n    a: conv 3x3\n    identity\nfrom a -> relu", "E204"),
        ("a:\n    conv 3x3\n    fc 3\nfrom a -> fc 3", "E204"),
        ("stage 1:\n    a: conv 3x3\nfrom a -> relu", "E204"),
        ("a: (conv 3x3 | relu) -> concat\nfrom a -> relu", "E204"),
        ("fork:\n    convv 3x3, 8\n    relu\nfrom flow[1] -> relu", "E201"),
        ("output p: conv 3x3\nrelu", "E204"),
    ],
)
def test_nothing_follows_from_an_error(lines: str, code: str) -> None:
    text = "".join(f"    {line}\n" for line in lines.split("\n"))
    assert [error[:4] for error in errors(f"net N:\n    input 8, 16x16\n{text}")] == [code]


def test_errors_of_several_branches_are_all_reported() -> None:
    text = "net N:\n    input 8, 16x16\n    add:\n        convv 3x3, 8\n        a: conv 3x3, 8, q=1\n        bnn\n"
    assert [error[:4] for error in errors(text)] == ["E201", "E202", "E201"]


def test_an_error_in_a_block_is_reported_once() -> None:
    text = "block B(c):\n    conv 3x3\nnet N:\n    input 8, 16x16\n    5 * B 1\n    a: B 2\n"
    assert errors(text) == ["E204 conv needs channels"]


def test_a_failed_import_and_a_failed_block_cause_no_more() -> None:
    text = 'import A from "none.net"\nblock B(c, c):\n    relu\ndefault A 1\ndefault B 2\n'
    text += "net N:\n    input 8, 4x4\n    A -> B\n"
    assert [error[:4] for error in errors(text)] == ["E218", "E214"]


# ---------------------------------------------------------------- limits


def test_blocks_within_blocks() -> None:
    blocks = "".join(f"block B{i}:\n    B{i + 1}\n" for i in range(10_000))
    text = f"{blocks}block B10000:\n    relu\nnet N:\n    input 8, 4x4\n    B0\n"
    (error,) = errors(text)
    assert error == "E213 blocks, bodies and definitions nest deeper than 200"


def test_definitions_within_definitions() -> None:
    defs = "".join(f"def f{i}(n) = [f{i + 1}(n)][0] + 1\n" for i in range(10_000))
    text = f"{defs}def f10000(n) = n\nnet N:\n    input 8, 4x4\n    conv 3x3, f0(1)\n"
    (error,) = errors(text)
    assert error == "E213 blocks, bodies and definitions nest deeper than 200"


def test_as_deep_as_it_may_be() -> None:
    defs = "".join(f"def f{i}(n) = f{i + 1}(n)\n" for i in range(90))
    group = "(" * 40 + "relu" + ")" * 40
    blocks = "".join(f"block B{i}:\n    B{i + 1}\n" for i in range(60))
    net = "net N:\n    input 8, 4x4\n    B0\n    conv 3x3, f0(1)\n"
    text = f"{defs}def f90(n) = n\n{blocks}block B60:\n    {group}\n{net}"
    assert not errors(text)


@pytest.mark.parametrize(
    "bomb",
    [
        "a = len([[j for j in range(1000)] for i in range(100000)])",
        "a = sum([sum([i*j for j in range(1000)]) for i in range(1000000)])",
        "for i in range(1000000):\n        for j in range(1000000):\n            a = 1",
        "1000000 * 1000000 * [relu when false]",
        "1000000 * (1000000 * [relu when false])",
        "2000 * (split 10000 -> concat)",
    ],
)
def test_bombs_end(bomb: str) -> None:
    begin = time.perf_counter()
    (error,) = errors(f"net N:\n    input 10000, 4x4\n    {bomb}\n    relu\n")
    assert error.startswith("E213")
    assert time.perf_counter() - begin < 60


def test_a_chain_of_imports() -> None:
    files = {f"f{i}.net": f'import B from "f{i + 1}.net"\n' for i in range(1000)}
    (error,) = errors('import B from "f0.net"\n', files)
    assert error == "E218 imports nest deeper than 64"


def test_imports_stay_in_their_folders(tmp_path: Path) -> None:
    inside, outside = tmp_path / "specs", tmp_path / "secret"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "b.net").write_text("block B:\n    relu\n")
    (inside / "link.net").symlink_to(outside / "b.net")
    for name, good in (
        ("b.net", True),
        ("../specs/b.net", True),
        ("../secret/b.net", False),
        ("link.net", False),
        (str(outside / "b.net"), False),
        ("/etc/passwd", False),
        ("b", False),
    ):
        spec = inside / "n.net"
        spec.write_text(f'import B from "{name}"\nnet N:\n    input 8, 4x4\n    B\n')
        if good:
            assert len(api.load(str(spec)).graph) == 2
            continue
        with pytest.raises(NetError) as caught:
            api.load(str(spec))
        assert caught.value.diagnostics[0].code == "E218"
    link = 'import B from "link.net"\nnet N:\n    input 8, 4x4\n    B\n'
    (inside / "n.net").write_text(link)
    assert len(api.load(str(inside / "n.net"), path=[outside]).graph) == 2


# ---------------------------------------------------------------- speed


@pytest.mark.parametrize("form", ["lines", "repetition"])
def test_time_per_layer_does_not_grow(form: str) -> None:
    def text(count: int) -> str:
        lines = "    conv 3x3, 8\n" * count if form == "lines" else f"    {count} * conv 3x3, 8\n"
        return f"net N:\n    input 3, 8x8\n{lines}"

    def seconds(count: int) -> float:
        begin = time.perf_counter()
        built(text(count))
        return (time.perf_counter() - begin) / count

    seconds(100)
    # 1.2 on a quiet machine; quadratic work would be 20
    assert seconds(20_000) < 4 * min(seconds(1000) for _ in range(5))
