"""Costs: totals are sums, numbers are the references', and every form says the same."""

import csv
import io
import json
import re
from functools import cache
from itertools import product
from pathlib import Path
from textwrap import dedent
from typing import Any

import jsonschema
import pytest
from zoo import NAMES, net

import netdsl
from netdsl import api, diff, quantities
from netdsl.cost import budget, table, view
from netdsl.cost.model import Cost
from netdsl.diagnostics import NetError
from netdsl.ir.graph import Node
from netdsl.ir.types import DTYPES, Shape
from netdsl.ops import Op
from netdsl.passes import Facts, Liveness, Receptive, measure_liveness
from netdsl.quantities import Measured, Options, Summed
from netdsl.sheet import Look, Sheet, csv_cell

ROOT = Path(netdsl.__file__).parent.parent
TIMM = {
    "se_resnet50": "legacy_seresnet50",
    "senet154": "legacy_senet154",
    "xception": "legacy_xception",
    "nasnet_a_large": "nasnetalarge",
    "mobilenet_v1_1_0": "mobilenetv1_100",
}
"""Nets of the zoo that torchvision does not have, by timm's names."""


@cache
def reference(name: str) -> dict[str, Any]:
    """Return a file of reference numbers."""
    text = (Path(__file__).parent / "reference" / name).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


# ---------------------------------------------------------------- sums


@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("by", table.GROUPINGS)
@pytest.mark.parametrize("name", NAMES)
def test_totals_are_sums_of_rows(name: str, by: str, train: bool) -> None:
    costs = net(name).cost_table(by, 8, "float16", train)
    assert costs.total == net(name).cost(8, "float16", train)
    summed = {count: sum(getattr(row, count) for row in costs) for count in table.COUNTS}
    assert Cost(**summed) == costs.total
    assert len({row.name for row in costs}) == len(costs)
    training = [node.name for node in net(name).graph if node.train]
    assert costs.training_params == sum(net(name).layer_costs[node].params for node in training)


@pytest.mark.parametrize("name", NAMES)
def test_rows_by_layer_are_the_nodes(name: str) -> None:
    rows = list(net(name).cost_table())
    assert [row.name for row in rows] == [n.name for n in net(name).graph if n.op.name != "input"]
    assert all(row.output == net(name).shapes[row.name] for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_costs_what_its_op_says(name: str) -> None:
    costs = net(name).layer_costs
    assert costs == {node.name: node.op.cost(*net(name).inputs_of(node.name)) for node in net(name).graph}


def test_equal_layers_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    cost = Op.cost

    def counted(op: Op, *x: Shape) -> Cost:
        asked.append(op)
        return cost(op, *x)

    monkeypatch.setattr(Op, "cost", counted)
    deep = api.load("resnet152")
    deep.cost()
    assert len(asked) < len(deep.graph) / 5


def test_the_same_sizes_along_other_axes_cost_something_else() -> None:
    text = """\
net N:
    input a: 6, 4x8
    input b: 8, 6x4
    one: from a -> ln
    from b -> permute 1, 2, 0
    two: ln
    concat:
        from one -> gap
        from two -> permute 2, 0, 1 -> gap
"""
    costs = api.loads(text, "n.net", "n").layer_costs
    assert [costs[name].params for name in ("one", "two")] == [12, 16]


def test_batch_and_dtype() -> None:
    one, many = net("resnet18").cost(), net("resnet18").cost(batch=8, dtype="float16")
    assert (many.params, many.buffers) == (one.params, one.buffers)
    assert (many.macs, many.ops) == (8 * one.macs, 8 * one.ops)
    assert many.activations == 8 * one.activations * DTYPES["float16"] // DTYPES["float32"]


def test_training_only_layers() -> None:
    googlenet = net("googlenet")
    known = reference("torchvision.json")["models"]["googlenet"]
    assert googlenet.cost().params == known["params_total"]
    assert googlenet.cost().macs == known["macs"]
    assert googlenet.cost(train=True).macs == known["macs_with_aux"]
    assert googlenet.cost_table().training_params == known["params_aux"]
    without = netdsl.load("googlenet", aux=False)
    assert without.cost() == Cost(
        known["params_total"] - known["params_aux"],
        without.cost().buffers,
        googlenet.cost().macs,
        googlenet.cost().ops,
        googlenet.cost().activations,
    )
    assert "of which training only" in str(googlenet.cost_table(by="block"))
    assert "of which training only" not in str(without.cost_table(by="block"))


def test_rules_of_the_groups() -> None:
    blocks = [row.name for row in net("resnet18").cost_table(by="block")]
    assert blocks[:6] == ["conv1", "bn1", "relu", "maxpool", "layer1.0", "layer1.1"]
    assert net("resnet18").cost_table(by="block")["layer1.0"].op == "BasicBlock"
    stages = [row.name for row in net("vgg16").cost_table(by="stage")]
    assert stages == [*(f"stage {i}" for i in range(1, 6)), "avgpool", "2", "classifier"]
    assert net("vgg16").cost_table(by="stage")["stage 2"].output == Shape(128, 56, 56)
    assert [row.output for row in net("vgg16").cost_table(by="op")] == [None] * 7
    with pytest.raises(KeyError):
        net("vgg16").cost_table()["nothing"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch must be an int from 1, got 0"),
        ({"batch": True}, "batch must be an int from 1, got True"),
        ({"dtype": "float31"}, "unknown dtype `float31`"),
        ({"by": "blocks"}, "unknown by `blocks`"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        net("lenet").cost_table(**options)
    assert [(d.code, d.message) for d in caught.value.diagnostics] == [("E503", message)]


@pytest.mark.parametrize("memory", [-1, 1.5, "3GB", None, True, float("inf"), float("nan")])
def test_what_is_no_memory(memory: Any) -> None:
    with pytest.raises(netdsl.NetError, match="memory must be an int of bytes from 0"):
        net("lenet").largest_batch(memory)


# ---------------------------------------------------------------- references


@pytest.mark.parametrize("name", [name for name in reference("torchvision.json")["models"] if name in NAMES])
def test_torchvision(name: str) -> None:
    _equals(name, reference("torchvision.json")["models"][name])


@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    _equals(name, reference("timm.json")["models"][TIMM[name]])


def test_all_of_torchvision_is_in_the_zoo() -> None:
    assert set(reference("torchvision.json")["models"]) <= set(NAMES)


def _equals(name: str, known: dict[str, Any]) -> None:
    here = net(name)
    cost = here.cost()
    assert list(here.inputs["x"]) == known["input_size"]
    assert [1, *next(iter(here.outputs.values()))] == known["output_shape"]
    assert (cost.params, cost.buffers, cost.macs) == (known["params_total"], known["buffers"], known["macs"])
    by_op = {row.name: row.macs for row in here.cost_table(by="op")}
    assert by_op["fc"] if "fc" in by_op else not known["macs_linear"]


LECTURE = {"conv", "fc", "maxpool", "avgpool", "flatten"}


@pytest.mark.parametrize("name", ["lenet", "alexnet_one_tower", "zfnet_big", "vgg16"])
def test_tables_of_the_lecture(name: str) -> None:
    rows = [row for row in net(name).cost_table() if row.op in LECTURE]
    if name == "vgg16":
        rows = [row for row in rows if row.op != "avgpool"]  # torchvision's: it does nothing at 224x224
    expected = reference("lecture-tables.json")[name]
    assert len(rows) == len(expected)
    for row, known in zip(rows, expected, strict=True):
        assert row.output is not None
        channels_last = [*row.output[1:], row.output[0]] if len(row.output) == 3 else list(row.output)
        counted = row.ops if row.op.endswith("pool") else row.macs
        assert (channels_last, row.params, counted) == (known["out"], known["params"], known["macs"])


ERRATA = [
    ("lenet", 1, "printed_flops", 4_074, 4_704),  # digits transposed: 14 x 14 x 6 x 4
    ("alexnet_one_tower", 0, "printed_params", 34_857, 34_944),  # 96 x (3 x 121 + 1)
    ("zfnet_big", 2, "printed_out", [26, 26, 256], [55, 55, 256]),  # as printed, stride 1 and same padding
    ("zfnet_big", 3, "printed_flops", 90_000, 389_376),  # 13 x 13 x 256 x 9
    ("zfnet_big", 6, "printed_params", 4_719_616, 4_719_104),  # 512 biases, not 1024
    ("zfnet_big", 9, "printed_params", 75_515_904, 75_501_568),  # 4096 biases, not 18432
    ("vgg16", 19, "printed_flops", 29_000_000, 102_760_448),  # 25088 x 4096
]
"""The cells of the lecture's tables that are wrong: net, row, column, what is printed, what is true."""


@pytest.mark.parametrize(("name", "row", "column", "printed", "true"), ERRATA)
def test_errata_of_the_lecture(name: str, row: int, column: str, printed: Any, true: Any) -> None:
    known = reference("lecture-tables.json")[name][row]
    assert known[column] == printed
    if column != "printed_out":
        assert known["params" if column == "printed_params" else "macs"] == true


def test_the_geometry_that_is_wrong_in_the_lecture() -> None:
    """ZFNet's second convolution gives 26x26 with stride 2 and no padding, which the rows after it need."""
    stem = "conv 7x7, 96, /2, pad=1 -> maxpool 3x3, /2, pad=1"
    text = f"net N:\n    input 3, 224x224\n    {stem} -> conv 5x5, 256{{}}\n"
    assert api.loads(text.format("")).outputs["out"] == Shape(256, 55, 55)
    assert api.loads(text.format(", /2, pad=0")).outputs["out"] == Shape(256, 26, 26)
    assert net("zfnet_big").shapes["features.4"] == Shape(256, 26, 26)


def test_every_other_cell_of_the_lecture_is_right() -> None:
    wrong = {(name, row, column) for name, row, column, _, _ in ERRATA}
    for name, rows in reference("lecture-tables.json").items():
        for index, row in enumerate(rows):
            if row["printed_params"] is not None and (name, index, "printed_params") not in wrong:
                assert row["printed_params"] == row["params"]
            if row["printed_flops"] is not None and (name, index, "printed_flops") not in wrong:
                assert abs(row["printed_flops"] - row["macs"]) < row["printed_unit"]  # rounded or cut
            assert row["printed_out"] == row["out"]


# ---------------------------------------------------------------- forms


def test_text() -> None:
    assert str(net("lenet").cost_table(by="op")) == (
        "lenet (lenet.net), input 1x32x32\n"
        "\n"
        "op       params      %             MACs      %            ops  activations\n"
        "--------------------------------------------------------------------------\n"
        "conv      2.57K    4.2           357.6K   85.9  #####    6.3K      25.22KB\n"
        "tanh          0    0.0                0    0.0          6.51K      26.03KB\n"
        "avgpool       0    0.0                0    0.0           6.3K        6.3KB\n"
        "flatten       0    0.0                0    0.0              0            0\n"
        "fc       59.13K   95.8  ######   58.92K   14.1  #         214         856B\n"
        "--------------------------------------------------------------------------\n"
        "total    61.71K  100.0          416.52K  100.0         19.33K      58.41KB\n"
        "\n"
        "batch 1, float32, evaluation\n"
        "inference has at most 41.73KB alive beside the weights, at conv1_act\n"
        "1 MAC = 1 multiply + 1 add; conv, fc and attention's products count MACs, ops counts the rest\n"
        "(pooling: its window per output); activations are the outputs of all computing ops"
    )


def test_exact_text() -> None:
    assert view.render_text(net("lenet").cost_table(by="op"), view.FULL) == (
        "lenet (lenet.net), input 1x32x32\n"
        "\n"
        "op       params      %  buffers     MACs      %     ops  activations\n"
        "--------------------------------------------------------------------\n"
        "conv      2,572    4.2        0  357,600   85.9   6,304       25,216\n"
        "tanh          0    0.0        0        0    0.0   6,508       26,032\n"
        "avgpool       0    0.0        0        0    0.0   6,304        6,304\n"
        "flatten       0    0.0        0        0    0.0       0            0\n"
        "fc       59,134   95.8        0   58,920   14.1     214          856\n"
        "--------------------------------------------------------------------\n"
        "total    61,706  100.0        0  416,520  100.0  19,330       58,408\n"
        "\n"
        "batch 1, float32, evaluation; activations in bytes\n"
        "inference has at most 41,728 bytes alive beside the weights, at conv1_act\n"
        "1 MAC = 1 multiply + 1 add; conv, fc and attention's products count MACs, ops counts the rest "
        "(pooling: its window per output); activations are the outputs of all computing ops"
    )


def test_equal_rows_that_follow_each_other_are_one() -> None:
    spec = """
    net N:
        input 8, 8x8
        a: 3 * (conv 3x3, 8 -> bn)
        b: conv 3x3, 8
        a2: 2 * (conv 3x3, 8 -> bn)
        c: conv 3x3, 16
        d: conv 3x3, 16
    """
    found = api.loads(dedent(spec), "n.net").cost_table()
    folded = view.folded(found.rows, found.quantities)
    assert [(row.name, row.count) for row in folded] == [
        ("a.0-2.0", 3),
        ("a.0-2.1", 3),
        ("b", 1),
        ("a2.0-1.0", 2),
        ("a2.0-1.1", 2),
        ("c", 1),
        ("d", 1),
    ]
    assert (folded[0].params, folded[0].macs) == (3 * (8 * 8 * 9 + 8), 3 * 8 * 8 * 9 * 64)


@pytest.mark.parametrize(
    "name", ["resnet152", "densenet121", "swin_t", "hrnet_w18", "efficientnet_b0", "vgg19"]
)
@pytest.mark.parametrize("by", ["layer", "block"])
def test_folded_rows_are_those_of_the_net(name: str, by: str) -> None:
    """A range of names holds exactly the rows that have those names, next to each other and equal."""
    found = net(name).cost_table(by)
    left = [*found.rows]
    for row in view.folded(found.rows, found.quantities):
        if row.count == 1:
            assert row == left.pop(0)
            continue
        parts = [re.fullmatch(r"(.*?)(\d+)((?:-\d+)+)", part) for part in row.name.split(".")]
        assert sum(part is not None for part in parts) == len(re.findall(r"\d-\d+", row.name))
        ranges = [
            [part]
            if match is None
            else [f"{match[1]}{n}" for n in range(int(match[2]), int(match[3][1:]) + 1)]
            for part, match in zip(row.name.split("."), parts, strict=True)
        ]
        names = [".".join(one) for one in product(*ranges)]
        assert len(names) == row.count
        members = [found[one] for one in names]
        assert {(one.op, one.output, one.params, one.macs, one.activations) for one in members} == {
            (row.op, row.output, *(getattr(row, q) // row.count for q in ("params", "macs", "activations")))
        }
        for one in members:
            left.remove(one)
    assert not left


@pytest.mark.parametrize("name", ["lenet", "resnet152", "inception_v3", "nasnet_a_mobile", "unet", "vgg16"])
def test_what_reads_best_has_few_rows_and_the_whole_cost(name: str) -> None:
    found = net(name)
    table = view.readable(lambda by, depth: found.cost_table(by, depth=depth))
    assert table.total == found.cost_table().total
    assert 5 <= len(view.folded(table.rows, table.quantities)) <= view.ROWS


@pytest.mark.parametrize("name", ["lenet", "resnet152", "swin_t", "densenet121", "hrnet_w18"])
@pytest.mark.parametrize("by", table.GROUPINGS)
@pytest.mark.parametrize("width", [60, 80, 100, 135])
def test_the_table_fits(name: str, by: str, width: int) -> None:
    costs = net(name).cost_table(by)
    text = view.render_text(costs, view.View(Look(width)))
    assert max(map(len, text.splitlines())) <= width
    plain = re.sub(r"\x1b\[\d*m", "", view.render_text(costs, view.View(Look(width, color=True))))
    assert plain == text
    assert "total" in text
    assert "MACs" in text


def test_depth_cuts_names() -> None:
    found = net("resnet50")
    rows = found.cost_table(depth=1)
    assert [row.name for row in rows][:6] == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2"]
    assert rows["layer1"].output == Shape(256, 56, 56)
    assert rows.total == found.cost_table().total
    assert found.cost_table(depth=2)["layer1.0"].op == "Bottleneck"
    assert [r.name for r in found.cost_table(depth=99)] == [r.name for r in found.cost_table()]
    for by, depth in (("layer", 0), ("op", 1), ("stage", 2)):
        with pytest.raises(NetError, match="depth"):
            found.cost_table(by, depth=depth)


def test_sorted_rows_and_the_first_of_them() -> None:
    found = net("vgg16").cost_table()
    rows = view.arranged(found, view.View(sort="params", top=3))
    assert [row.name for row in rows] == [
        "classifier.0",
        "classifier.3",
        "classifier.6",
        f"{len(found) - 3} more",
    ]
    assert sum(row.params for row in rows) == found.total.params
    names = [row.name for row in view.arranged(found, view.View(sort="name", fold=False))]
    assert names == sorted(row.name for row in found)
    with pytest.raises(NetError, match="did you mean `params`"):
        view.arranged(found, view.View(sort="parms"))


def test_columns_that_are_asked_for() -> None:
    text = view.render_text(net("lenet").cost_table(), view.View(columns=("output", "peak", "macs")))
    assert text.splitlines()[2].split() == ["layer", "output", "peak", "MACs", "%"]
    with pytest.raises(NetError, match="there is no column `colour`"):
        view.render_text(net("lenet").cost_table(), view.View(columns=("colour",)))
    with pytest.raises(NetError, match="there is no column `receptive_field`"):
        view.render_text(net("lenet").cost_table("op"), view.View(columns=("receptive_field",)))


@pytest.mark.parametrize("part", [0.0, 0.001, 0.2, 0.5, 0.99, 1.0])
def test_bars_are_as_long_as_their_part(part: float) -> None:
    bar = Look(blocks=True).bar(part)
    eighths = sum(
        8 if c == "\u2588" else 8 - "\u2588\u2589\u258a\u258b\u258c\u258d\u258e\u258f".index(c) for c in bar
    )
    assert abs(eighths / 48 - part) <= 0.5 / 48
    assert Look().bar(part) == "#" * round(6 * part)


@pytest.mark.parametrize("name", ["lenet", "googlenet", "hrnet_w18"])
@pytest.mark.parametrize("by", table.GROUPINGS)
def test_columns_are_aligned(name: str, by: str) -> None:
    lines = view.render_text(net(name).cost_table(by), view.FULL).splitlines()
    rule = lines[3]
    assert set(rule) == {"-"}
    body = lines[2 : lines.index("", 2)]
    assert max(map(len, body)) == len(rule)
    ends = {len(line) for line in body if not line.startswith("of which")}
    assert len(ends) == 1


def test_markdown() -> None:
    lines = view.render_markdown(net("googlenet").cost_table(by="block")).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert rows[0] == (
        "| block | op | output | receptive field | params | % | buffers | MACs | % | ops | activations |"
    )
    assert rows[1] == "| :--- | :--- | :--- |" + " ---: |" * 8
    assert {line.count("|") for line in rows} == {12}
    assert rows[-2].startswith("| **total** |")
    assert rows[-1].startswith("| of which training only |")


def test_receptive_fields() -> None:
    rows = net("resnet50").cost_table()
    assert [str(rows[name].receptive) for name in ("conv1", "layer4.2.conv3", "fc")] == ["7", "427", "224"]
    assert [str(row.receptive) for row in net("vgg16").cost_table(by="stage")][:5] == [
        "6",
        "16",
        "44",
        "100",
        "212",
    ]
    assert {row.receptive for row in net("vgg16").cost_table(by="op")} == {None}
    text = table.render_csv(rows).splitlines()
    assert text[0].startswith("layer,op,output,receptive_field,params")
    assert text[1].startswith("conv1,conv,64x112x112,7,9408")


@pytest.mark.parametrize("by", table.GROUPINGS)
def test_csv(by: str) -> None:
    costs = net("googlenet").cost_table(by)
    rows = list(csv.DictReader(io.StringIO(table.render_csv(costs))))
    assert [row[by] for row in rows] == [row.name for row in costs]
    for count in table.COUNTS:
        assert sum(int(row[count]) for row in rows) == getattr(costs.total, count)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("conv1", "conv1"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("a,b", '"a,b"'),
        ('a"b', '"a""b"'),
        ("=\x1b[31m", "'=\\x1b[31m"),
        ("a\nb", "a\\nb"),
    ],
)
def test_csv_cells(text: str, cell: str) -> None:
    assert csv_cell(text) == cell


@pytest.mark.parametrize("by", table.GROUPINGS)
@pytest.mark.parametrize("name", ["lenet", "googlenet", "vit_b_16", "hrnet_w18", "unet"])
def test_json(name: str, by: str) -> None:
    costs = net(name).cost_table(by, 2, "float16", True)
    value = table.render_json(costs)
    schema = json.loads((ROOT / "docs" / "schema" / "cost.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json.dumps(value)), schema)
    assert {count: value["total"][count] for count in table.COUNTS} == costs.total.__dict__
    for row, found in zip(costs, value["rows"], strict=True):
        output = None if row.output is None else list(row.output)
        about = {"name": row.name, "op": row.op, "module": row.module, "output": output}
        assert found == {**about, **row.values, "receptive_field": _receptive(row.receptive)}
    assert value["peak"] == {"bytes": net(name).liveness(2, "float16").peak, "at": costs.live.at}


def _receptive(seen: Receptive | None) -> dict[str, Any] | None:
    """Return what the JSON form says of a receptive field."""
    if seen is None:
        return None
    return {
        "largest": [seen.rows.largest, seen.columns.largest],
        "smallest": [seen.rows.smallest, seen.columns.smallest],
        "jump": [seen.rows.jump, seen.columns.jump],
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1K"), (138_357_544, "138.36M"), (15_470_264_320, "15.47G")],
)
def test_human(number: float, text: str) -> None:
    assert table.human(number) == text


class Kernels(Summed):
    """A quantity that netdsl does not have: how many layers have weights."""

    name, title, rank = "kernels", "layers with weights", 45
    shown = share = brief = True

    def layer(self, net: Measured, node: Node, options: Options) -> int:
        return int(bool(net.layer_costs[node.name].params))


def test_a_quantity_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a column of every form, a word of `require`, a line of `diff`, and a budget of a project."""
    known = {**quantities.catalogue(), "kernels": Kernels()}
    for module in (table, budget, diff):
        monkeypatch.setattr(module, "catalogue", lambda: known)
    lenet = api.load("lenet")
    rows = lenet.cost_table()
    assert "layers with weights      %" in view.render_text(rows, view.FULL)
    assert rows["conv1"].kernels == 1
    assert rows.sums["kernels"] == 5
    assert table.render_json(rows)["total"]["kernels"] == 5
    assert "kernels" in table.render_csv(rows).splitlines()[0]
    text = (
        "net N:\n    input 3, 8x8\n    require kernels <= 1\n    a: conv 3x3, 8 -> bn\n    gap\n    b: fc 3\n"
    )
    (found,) = api.loads(text, "n.net").check()
    assert "kernels 3 > 1" in found.message
    assert "layers with weights" in str(diff.compare(lenet, api.load("resnet18")))


OPTIONS = [(1, "float32"), (3, "float32"), (1, "float16")]


def test_a_table_measures_memory_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, str]] = []

    def measure(facts: Facts, batch: int, dtype: str, *parts: Any) -> Liveness:
        asked.append((batch, dtype))
        return measure_liveness(facts, batch, dtype, *parts)

    monkeypatch.setattr("netdsl.net.measure_liveness", measure)
    found = api.load("resnet18")
    one, many, half = ([found.cost_table(by, *of).live.peak for by in table.GROUPINGS] for of in OPTIONS)
    assert many == [3 * peak for peak in one]
    assert max(half) < min(one)
    assert asked == OPTIONS


# ---------------------------------------------------------------- sheets


def test_prose_goes_on_below() -> None:
    words = [f"word{n}" for n in range(12)]
    sheet = Sheet(
        ("a", "n", "what"), [("x", "1", " ".join(words)), ("y", "20", "short")], left=(0, 2), prose=(2,)
    )
    for width in (34, 40, 60):
        lines = sheet.text(Look(width)).splitlines()
        assert max(map(len, lines)) <= width
        assert " ".join(line[7:] for line in lines[2:-1]).split() == words  # none is lost
        assert all(not line[:7].strip() for line in lines[3:-1])
        assert lines[-1] == "y  20  short"
    assert len(sheet.text(Look()).splitlines()) == 4
    assert (
        sheet.text(Look(20)).splitlines()[2].startswith("x   1  word0 word1")
    )  # no narrower than can be read


def test_pages_fit() -> None:
    page = (
        "a paragraph of words that go on\nover two lines\n\n"
        "  code = of(one, line)\n  name   what it is, said at length\n\nend"
    )
    for width in (0, 35, 100):
        assert Look(width).fitted(page) == page
    assert Look(33).fitted(page).split("\n") == [
        *page.split("\n")[:4],
        "  name   what it is, said at",
        "         length",
        "",
        "end",
    ]
    assert Look(24).fitted(page).split("\n")[:2] == ["a paragraph of words", "that go on over two"]
