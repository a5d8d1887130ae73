"""What users of the library type."""

import gc
import pydoc
import weakref
from pathlib import Path

import networkx as nx
import pytest
from zoo import NAMES, SPACES, net

import netdsl
from netdsl import api, cli, data
from netdsl.ir.types import Shape

SPEC = "net N(c = 4):\n    input 3, 8x8\n    conv 3x3, c\n"


def test_the_first_page() -> None:
    vgg = netdsl.load("vgg.net:vgg16", classes=10)
    assert isinstance(vgg.graph.nx, nx.MultiDiGraph)
    assert vgg.shapes["features.0"] == Shape(64, 224, 224)
    assert vgg.inputs == {"x": Shape(3, 224, 224)}
    assert vgg.outputs == {"out": Shape(10)}
    assert vgg.cost().params == 134_301_514
    assert vgg.cost(batch=8, train=True).macs == 8 * vgg.cost().macs
    assert next(row.name for row in vgg.cost_table(by="stage")) == "stage 1"
    assert (vgg.name, vgg.class_name, vgg.spec) == ("vgg16", "VGG", "vgg.net")
    assert vgg.check() == []


@pytest.mark.parametrize(
    ("spec", "name", "file"),
    [
        ("vgg16", "vgg16", "vgg16.net"),
        ("vgg16.net", "vgg16", "vgg16.net"),
        ("vgg.net:vgg16", "vgg16", "vgg.net"),
        ("vgg:vgg16", "vgg16", "vgg.net"),
        ("resnet50", "resnet50", "resnet.net"),
        ("lenet", "lenet", "lenet.net"),
        ("unet", "unet", "unet.net"),
        ("hrnet", "hrnet", "hrnet.net"),
        ("inception_v3", "inception_v3", "inception_v3.net"),
        ("inceptionv3", "inceptionv3", "inception_v3.net"),
    ],
)
def test_names_of_the_zoo(spec: str, name: str, file: str) -> None:
    loaded = netdsl.load(spec)
    assert (loaded.name, loaded.spec) == (name, file)


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "n.net").write_text(SPEC, encoding="utf-8")
    (tmp_path / "plain").write_text(SPEC, encoding="utf-8")
    assert netdsl.load(f"{tmp_path}/n.net").name == "n"
    assert netdsl.load(f"{tmp_path}/n.net:n", c=7).outputs["out"] == Shape(7, 8, 8)
    monkeypatch.chdir(tmp_path)
    assert netdsl.load("n.net").spec == "n.net"
    assert netdsl.load("./plain").spec == "plain"
    (tmp_path / "vgg16.net").write_text(SPEC, encoding="utf-8")  # a file that is there comes before the zoo
    assert netdsl.load("vgg16.net").class_name == "N"
    assert netdsl.load("vgg16").class_name == "VGG"


@pytest.mark.parametrize(
    ("spec", "code", "help"),
    [
        ("resnet5", "E501", "did you mean `resnet50`?"),
        ("resnet5.net", "E501", "did you mean `resnet.net`?"),
        ("./nothing.net", "E501", ""),
        ("a\0b/c.net", "E501", ""),
        ("", "E501", "`netdsl zoo` and netdsl.zoo() list"),
        ("vgg", "E502", "choose one: vgg.net:"),
        ("vgg.net", "E502", "choose one: vgg.net:"),
        ("vgg.net:vgg18", "E502", "did you mean `vgg1"),
        ("lenet:nothing", "E502", ""),
    ],
)
def test_what_cannot_be_found(spec: str, code: str, help: str) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        netdsl.load(spec)
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert found.help.startswith(help)


def test_names_are_unique_across_the_zoo() -> None:
    """A name means one net: two files may share one only if it is the stem of one of them."""
    homes: dict[str, list[str]] = {}
    for file in data.names("specs", ".net"):
        for name in api.instances(api.packaged(file)):
            homes.setdefault(name, []).append(file)
    shared = {name: files for name, files in homes.items() if len(files) > 1}
    assert all(f"{name}.net" in files for name, files in shared.items()), shared


def test_the_two_vgg16_are_one() -> None:
    one, other = netdsl.load("vgg16.net:vgg16"), netdsl.load("vgg.net:vgg16")
    assert one.cost() == other.cost()
    assert list(one.parameters) == list(other.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_alone_means_the_same(name: str) -> None:
    assert netdsl.load(name).cost() == net(name).cost()


def test_zoo() -> None:
    entries = {entry.name: entry for entry in api.zoo()}
    assert entries.keys() == api.zoo_names().keys() == {*NAMES, *SPACES}
    assert entries["vgg16"].spec == "vgg16.net"
    assert "vgg" not in entries  # the same as vgg16
    assert entries["resnet50"].meta["arxiv"] == "1512.03385"
    for name in SPACES:
        assert entries[name].params is None
        assert entries[name].line()[-1] == "a search space"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"classes": 10}, Shape(10)),
        ({"classes": "10"}, Shape(10)),
        ({"classes": "2*5"}, Shape(10)),
        ({"norm": "bn"}, Shape(1000)),
        ({"norm": "bn(eps=0.001)"}, Shape(1000)),
        ({"norm": None}, Shape(1000)),
    ],
)
def test_settings(settings: dict[str, object], expected: Shape) -> None:
    loaded = netdsl.load("vgg.net:vgg16", **settings)
    assert loaded.outputs["out"] == expected
    assert netdsl.load("vgg.net:vgg16", set=settings).cost() == loaded.cost()


@pytest.mark.parametrize(
    "value", ["", "x", "1 +", "bn", "1\nnet X:", "[1]", "choose(1, 2)", "VGG", 1.5, True, "max"]
)
def test_wrong_settings(value: object) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        netdsl.load("vgg.net:vgg16", classes=value)
    assert [d.code for d in caught.value.diagnostics] == ["E504"]


def test_inputs() -> None:
    assert netdsl.load("resnet18", inputs={"": (3, 64, 64)}).shapes["conv1"] == Shape(64, 32, 32)
    assert netdsl.load("resnet18", inputs={"x": Shape(3, 64, 64)}).inputs["x"] == Shape(3, 64, 64)
    for wrong in ((), (3, 0, 4), (1, 2, 3, 4), (1.0, 2, 3)):
        with pytest.raises(netdsl.NetError) as caught:
            netdsl.load("resnet18", inputs={"x": wrong})  # type: ignore[dict-item]
        assert [d.code for d in caught.value.diagnostics] == ["E505"]


def test_limit() -> None:
    assert len(netdsl.load("resnet18", max_nodes=70).graph) == 70
    with pytest.raises(netdsl.NetError, match="more than 69"):
        netdsl.load("resnet18", max_nodes=69)


def test_parameters_are_what_the_cost_counts() -> None:
    for name in ("vgg16", "vit_b_16", "googlenet", "convnext_tiny"):
        assert sum(p.elements for p in net(name).parameters.values()) == net(name).cost().params


def test_emit_needs_a_backend_that_is_there() -> None:
    with pytest.raises(netdsl.NetError) as caught:
        net("lenet").emit("nothing")
    assert [d.code for d in caught.value.diagnostics] == ["E506"]


def test_a_net_is_made_of_the_arguments_that_it_needs(tmp_path: Path) -> None:
    text = "net A(c: int, k):\n    input 3, 8x8\n    conv 3x3, c, stride=k\nvariant b = A(4, 1)\n"
    (tmp_path / "n.net").write_text(text.partition("variant")[0], encoding="utf-8")
    (tmp_path / "v.net").write_text(text, encoding="utf-8")
    for spec in ("n.net", "n.net:a", "n.net:A", "v.net:a", "v.net:A"):
        net = netdsl.load(f"{tmp_path}/{spec}", c=3, set={"k": 2})
        assert (net.name, *net.outputs.values()) == ("a", Shape(3, 4, 4))
        with pytest.raises(netdsl.NetError, match="net A needs `k`") as caught:
            netdsl.load(f"{tmp_path}/{spec}", c=3)
        assert "--set k=..., in Python k=..., or" in caught.value.diagnostics[0].help
    assert [net.name for net in netdsl.load_family(f"{tmp_path}/n.net", c=3, k=1)] == ["a"]
    assert [net.name for net in netdsl.load_family(f"{tmp_path}/v.net", c=3, k=1)] == ["b"]
    assert netdsl.load(f"{tmp_path}/v.net", c=7).outputs == {"out": Shape(7, 8, 8)}
    with pytest.raises(netdsl.NetError, match="has no net or variant `z`"):
        netdsl.load(f"{tmp_path}/v.net:z", c=3, k=1)


def test_a_path_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lenet").write_text("net Own:\n    input 3, 8x8\n    relu\n", encoding="utf-8")
    assert netdsl.load(Path("lenet")).class_name == "Own"
    assert [net.class_name for net in netdsl.load_family(Path("lenet"))] == ["Own"]
    assert netdsl.load("lenet").class_name == "LeNet"
    with pytest.raises(netdsl.NetError, match="resnet50"):
        netdsl.load(Path("resnet50"))


def test_shapes_may_be_texts() -> None:
    text = "net N:\n    input a: 3, 8x8\n    input b: 3, 8x8\n    from a, b -> concat\n"
    assert netdsl.load("resnet18", inputs="3x64x96").inputs == {"x": Shape(3, 64, 96)}
    assert netdsl.loads(text, inputs={"a": "3x6x4", "b": (3, 6, 4)}).outputs == {"out": Shape(6, 6, 4)}
    for wrong in ("3x", "", "axb", "3x0x5", "3,64,64", "1x3x64x64", 64, None, b"3x4", (3, "4")):
        with pytest.raises(netdsl.NetError, match="an input has one to three sizes from 1, got ") as caught:
            netdsl.load("resnet18", inputs={"": wrong})
        assert str(wrong).strip("b'") in caught.value.diagnostics[0].message


def test_a_block_is_no_layer_and_says_what_it_makes() -> None:
    made = net("resnet18")
    for table in (made.shapes, made.layer_costs):
        with pytest.raises(KeyError) as caught:
            table["layer2.0"]
        said = "`layer2.0` is a block, BasicBlock, which makes 128x28x28; a layer in it is `layer2.0.conv1`"
        assert str(caught.value) == said
        with pytest.raises(KeyError, match="`layer2` is a container, which makes 128x28x28"):
            table["layer2"]
        assert "layer2" not in table


@pytest.mark.parametrize(
    ("word", "meant"), [("resnet51", "resnet50"), ("resnet19", "resnet18"), ("ResNet50", "resnet50")]
)
def test_the_closest_name_of_the_zoo_is_meant(word: str, meant: str) -> None:
    with pytest.raises(netdsl.NetError) as caught:
        netdsl.load(word)
    assert caught.value.diagnostics[0].help == f"did you mean `{meant}`?"


def test_shapes_and_sizes_are_tuples() -> None:
    text = "net N(size: dims = 8x8):\n    input 3, size\n    a: conv 3x3, 4\n"
    for made in (
        netdsl.loads(text, inputs=(3, 6, 5)),
        netdsl.loads(text, inputs={"": [3, 6, 5]}),
        netdsl.loads(text, size=(6, 5)),
        netdsl.loads(text, set={"size": "6x5"}),
    ):
        assert made.shapes["a"] == (4, 6, 5)
        assert made.inputs["x"] == (3, 6, 5)


def test_a_layer_that_is_not_there_is_said_with_one_that_is() -> None:
    net = netdsl.load("resnet18")
    for facts in (net.shapes, net.layer_costs):
        with pytest.raises(KeyError) as caught:
            facts["layer1.0.conv3"]
        assert str(caught.value).startswith("there is no layer `layer1.0.conv3`: did you mean `layer1.0.conv")
        assert facts.get("layer1.0.conv3") is None
        assert "layer1.0.conv3" not in facts


def test_findings_are_printed_as_the_command_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.net"
    file.write_text("net Own:\n    input 3, 8x8\n    conv 3x3, 8 -> bn -> relu -> relu\n", encoding="utf-8")
    found = netdsl.load(file).lint()
    assert len(found) > 1
    cli.main(["lint", "--color", "never", str(file)])
    printed = capsys.readouterr().out
    shown = [line for line in printed.splitlines() if "--fix" not in line and "together" not in line]
    assert "\n\n".join(map(str, found)) == "\n".join(shown[: len("\n\n".join(map(str, found)).split("\n"))])
    code = found[0].code
    assert [one.code for one in netdsl.load(file).lint(select=code)] == [code]
    assert code not in [one.code for one in netdsl.load(file).lint(ignore=[code])]
    with pytest.raises(netdsl.NetError, match="select: there is no rule `L999x`"):
        netdsl.load(file).lint(select="L999x")


def test_the_zoo_lists_what_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "zoo_names", lambda: {"lenet": "lenet.net"})
    (entry,) = netdsl.zoo()
    net = netdsl.load(entry.name)
    assert (entry.params, entry.macs, entry.net) == (net.cost().params, net.cost().macs, net.class_name)


def test_costs_have_three_names_and_the_old_one_says_so() -> None:
    net = netdsl.load("lenet")
    assert (
        net.cost().params == net.cost_table().total.params == sum(c.params for c in net.layer_costs.values())
    )
    with pytest.raises(AttributeError, match=r"`costs` is called `cost_table` since 0.2"):
        net.costs()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        net.nonsense  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", ["googlenet", "convnext_tiny", "hrnet_w18", "unet"])
def test_a_net_is_gone_when_nobody_holds_it(name: str) -> None:
    """Nothing of it is in a circle, where it would live until the collector looks."""
    net = netdsl.load(name)
    assert net.lint() is not None
    assert net.cost_table().rows
    assert net.memory().peak
    parts = [weakref.ref(part) for part in (net, net.graph, net.graph.tree, next(iter(net.graph)))]
    gc.disable()
    try:
        del net
        assert [part() for part in parts] == [None] * len(parts)
    finally:
        gc.enable()


def test_only_public_names_are_listed() -> None:
    assert {*dir(netdsl)} == {*netdsl.__all__, "__version__"}
    assert all(getattr(netdsl, name) is not None for name in dir(netdsl))
    shown = pydoc.plain(pydoc.render_doc(netdsl))
    assert shown.index("netdsl.load(") < shown.index("net.cost_table(") < shown.index("CLASSES")
