"""The linter around its rules: merging, @allow, configuration, fixes, baselines, and what the command prints."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing

import netdsl
from netdsl import api, cli, quantities
from netdsl.lint import Finding, output
from netdsl.lint.config import Settings
from netdsl.lint.engine import Loaded, Run, sample
from netdsl.lint.finding import said, together
from netdsl.lint.fix import fix, proven
from netdsl.lint.rules import catalogue
from netdsl.lint.step import Step, divisors
from netdsl.network import Network
from netdsl.quantities import amounts
from netdsl.transforms.rewrite import Rewrite, RewriteError, signature

ROOT = Path(netdsl.__file__).parent.parent
BIAS = "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> bn\n"
BLOCK = "block B(c):\n    conv: conv 3x3, c\n    norm: bn\n"

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a fresh folder, and give it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return tmp_path


def load(text: str) -> Loaded:
    """Return the nets of a text."""
    file = api.read_text(text)
    return Loaded(file, [Network(api.recipe(file, name, {}, {})) for name in api.distinct(file)], True)


def lint(text: str, **settings: Any) -> list[Finding]:
    """Return what the rules find in a text."""
    return Run(load(text), Settings(**settings)).findings()


def names(text: str, **settings: Any) -> list[str]:
    """Return the rules that find something in a text."""
    return [finding.name for finding in lint(text, **settings)]


def written(name: str, text: str) -> str:
    """Write a file; return its name."""
    Path(name).write_text(text, encoding="utf-8")
    return name


def command(*args: str) -> int:
    """Run the command `netdsl lint`."""
    return cli.main(["lint", *args])


# ---------------------------------------------------------------- findings


def test_a_line_in_many_instances_is_one_finding() -> None:
    text = BLOCK + "net N:\n    input 3, 8x8\n    body: B 4 -> 2 * B 8\n    gap\n"
    (finding,) = (finding for finding in lint(text) if finding.code == "L202")
    assert finding.nets[0].layers == ("body.0.conv", "body.1.conv", "body.2.conv")
    assert finding.count == 3
    assert finding.saving is not None
    assert finding.saving.params == 4 + 8 + 8
    assert finding.local == "B.conv"
    assert [frame.what for frame in finding.hit.calls] == ["B(c=4), body.0"]


def test_nets_that_share_a_line_share_the_finding() -> None:
    text = BLOCK + (
        "net N(n):\n    input 3, 8x8\n    body: n * B 4\n    gap\n"
        "variant small = N(1)\nvariant large = N(3)\n"
    )
    (finding,) = (finding for finding in lint(text) if finding.code == "L202")
    assert {net.name: len(net.layers) for net in finding.nets} == {"small": 1, "large": 3}
    shown = finding.diagnostic().details
    assert "in 2 nets: " in "\n".join(shown)


def test_network_lints_itself() -> None:
    (finding,) = api.loads(BIAS).lint()
    assert finding.code == "L202"
    assert "memory_spike" in {f.name for f in netdsl.load("vgg16").lint()}
    assert "relu_before_maxpool" not in {f.name for f in netdsl.load("vgg16").lint()}, "it is of audit"
    assert "huge_fc" not in {f.name for f in netdsl.load("vgg16").lint()}, "it is allowed there"


# ---------------------------------------------------------------- causes

DEFAULT = (
    "net N:\n    input 3, 32x32\n    default conv 3x3, norm=bn, act=relu\n    body:\n"
    + "".join(f"        conv {8 * n}\n" for n in range(1, 12))
    + "        conv 1x1, 10, norm=none\n    gap\n"
)


def test_what_a_default_line_causes_is_one_finding_there() -> None:
    (finding,) = (finding for finding in lint(DEFAULT) if finding.code == "L202")
    assert finding.hit.span.line == 3
    assert finding.count == 11
    assert finding.saving is not None
    assert finding.saving.params == 8 * sum(range(1, 12))
    assert finding.fixable
    fixed = fix(DEFAULT, load, Settings(select=("L202",)), unsafe=True).text
    assert fixed == DEFAULT.replace("act=relu", "act=relu, bias=false").replace("=none", "=none, bias=true")


def test_a_layer_that_says_it_itself_is_a_finding_there() -> None:
    text = DEFAULT.replace("conv 8\n", "conv 8, bias=true\n")
    assert [(f.hit.span.line, f.count) for f in lint(text, select=("L202",))] == [(3, 10), (5, 1)]


def test_an_allow_at_a_layer_covers_what_a_default_line_causes_there() -> None:
    allow = '    @allow(bias_before_norm, "a test")\n    stem: conv 8\n    body:\n'
    text = DEFAULT.replace("    body:\n        conv 8\n", allow)
    assert [(f.hit.span.line, f.count) for f in lint(text, select=("L202",))] == [(3, 10)]
    text = DEFAULT.replace("    body", '    @allow(bias_before_norm, "a test")\n    body')
    assert names(text, select=("L202", "L602")) == []


def test_a_default_line_is_not_mended_for_a_net_that_needs_it() -> None:
    text = (
        "net N(norm: op = none):\n    input 3, 8x8\n    default conv norm=norm, act=relu\n"
        "    body: conv 3x3, 4 -> conv 3x3, 4\nvariant a = N()\nvariant b = N(bn)\n"
    )
    (finding,) = lint(text, select=("L202",))
    assert finding.hit.span.line == 3
    assert not finding.fixable


@pytest.mark.parametrize(
    ("default", "layers", "rule"),
    [
        ("conv 4x4, pad=1", "conv channels=4 -> relu -> conv channels=4 -> relu", "even_kernel_shift"),
        ("conv 1x1, stride=2", "conv channels=4 -> relu -> conv channels=4 -> relu", "stride2_1x1"),
        (
            "upconv 3x3, stride=2",
            "upconv channels=4 -> relu -> upconv channels=4 -> relu",
            "upconv_checkerboard",
        ),
        (
            "avgpool 3x3, stride=1, pad=1",
            "avgpool -> conv 1x1, 4 -> relu -> avgpool",
            "avgpool_counts_padding",
        ),
        ("maxpool 1x1, stride=2", "maxpool -> relu -> maxpool", "window_gap"),
    ],
)
def test_arguments_of_a_default_line_are_to_blame(default: str, layers: str, rule: str) -> None:
    """Where the layers say the same themselves, the finding is at them."""
    op, _, arguments = default.partition(" ")
    text = f"net N:\n    input 4, 32x32\n    default {default}\n    body: {layers}\n"
    (finding,) = lint(text, select=(rule,))
    assert (finding.hit.span.line, finding.count) == (3, 2)
    own = layers.replace(f"{op} channels", f"{op} {arguments}, channels")
    own = own if own != layers else layers.replace(op, f"{op} {arguments}")
    found = lint(text.replace(f"    default {default}\n", "").replace(layers, own), select=(rule,))
    assert [finding.hit.span.line for finding in found] == [3, 3]


def test_what_the_size_of_the_input_causes_is_one_finding_there() -> None:
    text = (
        "net N:\n    input 3, 8x8\n    body:\n        conv 3x3, 4, /2 -> relu\n        conv 3x3, 4, /2 -> relu\n"
        "        conv 3x3, 4 -> relu\n        conv 5x5, 4 -> relu\n    gap\n"
    )
    (finding,) = lint(text, select=("pad_heavy",))
    assert (finding.hit.span.line, finding.count, finding.severity) == (2, 3, "warning")
    (finding,) = lint(text.replace("3x3, 4 ", "1x1, 4 ").replace("5x5", "1x1"), select=("pad_heavy",))
    assert finding.hit.span.line == 5
    assert lint(text.replace("8x8", "64x64"), select=("pad_heavy",)) == []
    text = text.replace("8x8", "20x20").replace("4 ->", "4, dilation=9 ->")
    assert [f.hit.span.line for f in lint(text, select=("pad_heavy",))] == [6, 7]


# ---------------------------------------------------------------- calls of blocks

CALLS = """block Heads(h):
    ln as norm -> attention h as attn

block Encoder(h, r = 2):
    attn: Heads h
    mlp: fc r*x.c

net N:
    input 3, 32x32
    stem: conv 4x4, 64, /4, pad=0
    tokens
    layers:
        2 * Encoder 2, r=1
        Encoder 16, r=1
        Encoder 2, r=1
        Encoder r=1, h=16
    mean "n"
"""


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (CALLS, [(14, "16", "with h=16"), (16, "h=16", "with h=16")]),
        (CALLS.replace("2 * Encoder 2", "2 * Encoder 16").replace(" 2, r", " 16, r"), []),
        (
            CALLS.replace("Encoder 16, r=1", "Encoder 16, r=3"),
            [(14, "Encoder 16, r=3", "with h=16, r=3"), (16, "h=16", "with h=16")],
        ),
    ],
)
def test_the_calls_that_tell_layers_of_a_line_apart(text: str, labels: list[tuple[int, str, str]]) -> None:
    """They are those of the outer block, since all calls of the inner one are one text; not where all are found."""
    (finding,) = lint(text, select=("head_width",))
    assert finding.hit.span.line == 2
    assert [(one.span.line, one.span.text, one.message) for one in finding.hit.labels] == labels


def test_of_copies_of_one_call_none_is_pointed_at() -> None:
    text = (
        "block B(c):\n    body: conv 3x3, c -> relu -> maxpool 2x2\n\n"
        "net N:\n    input 3, 30x30\n    body: 3 * B 8\n    gap\n"
    )
    (finding,) = lint(text, select=("size_truncated",))
    assert (finding.count, finding.hit.labels) == (2, ())


def test_the_first_copy_of_a_repetition_is_told_apart_by_its_stride() -> None:
    text = (
        "block B(c, stride = 1):\n    body: conv 3x3, c, /stride -> relu\n\n"
        "net N:\n    input 3, 32x32\n    a: B 8\n    b: 3 * B 8, /8 first\n    gap\n"
    )
    (finding,) = lint(text, select=("stride2_1x1",))
    (label,) = finding.hit.labels
    assert (finding.count, label.span.text, label.message) == (1, "/8 first", "with stride=8")


@pytest.mark.parametrize(
    ("layer", "count"),
    [
        ("conv 3x3, 4, /16", 1),
        ("conv 3x3, 4, /64", 1),
        ("conv 1x1, 4, /64", 1),
        ("conv 16x16, 4, /64, pad=0", 0),
        ("maxpool 3x3, /64", 1),
        ("gap -> conv 1x1, 4, /64", 0),
    ],
)
def test_a_stride_beyond_the_map(layer: str, count: int) -> None:
    """The only place of a window leaves out what is around it."""
    text = f"net N:\n    input 4, 16x16\n    body: {layer.replace('gap', 'avgpool to=1x1')}\n"
    assert len(lint(text, select=("stride2_1x1", "window_gap"))) == count


# ---------------------------------------------------------------- @allow


@pytest.mark.parametrize(
    "text",
    [
        BIAS.replace("    body", '    @allow(bias_before_norm, "a test")\n    body'),
        '@allow(bias_before_norm, "a test")\n' + BIAS,
        '@allow(bias_before_norm, "a test")\n' + BLOCK + "net N:\n    input 3, 8x8\n    body: B 4\n",
        BLOCK + 'net N:\n    input 3, 8x8\n    @allow(bias_before_norm, "a test")\n    body: B 4\n',
        BIAS.replace("N:", "N(n):").replace("3x3, 4", "3x3, n")
        + '@allow(bias_before_norm, "a test")\nvariant v = N(4)\n',
    ],
    ids=["line", "net", "block", "call", "variant"],
)
def test_allow_covers_its_item_and_what_is_in_it(text: str) -> None:
    assert names(text) == []


def test_an_allow_elsewhere_covers_nothing() -> None:
    text = BIAS + '    @allow(bias_before_norm, "a test")\n    gap\n'
    assert names(text) == ["bias_before_norm", "unused_allow"]


def test_an_allow_that_one_net_needs_is_used() -> None:
    text = (
        "net N(norm: op = none):\n    input 3, 8x8\n"
        '    @allow(bias_before_norm, "a test")\n    body: conv 3x3, 4, norm=norm\n'
        "variant a = N()\nvariant b = N(bn)\n"
    )
    assert names(text) == []
    assert names(text, ignore=("L202",)) == []
    assert api.loads(text, net="a").lint() == []


def test_an_unknown_rule_in_an_allow() -> None:
    (finding,) = lint(BIAS.replace("-> bn", "").replace("    body", '    @allow(huge_fcc, "x")\n    body'))
    assert finding.message == "@allow(huge_fcc): there is no rule of that name"
    assert finding.hit.help == "did you mean `huge_fc`?"
    (finding,) = lint(BIAS.replace("-> bn", "").replace("    body", '    @allow(L201, "x")\n    body'))
    assert finding.hit.help == "write huge_fc"


def test_an_allow_in_a_block_that_nobody_builds_is_left_alone() -> None:
    text = '@allow(bias_before_norm, "for others")\n' + BLOCK + "net N:\n    input 3, 8x8\n    gap\n"
    assert names(text, ignore=("unused_declaration",)) == []


# ---------------------------------------------------------------- rewriting


def test_rewrites_are_refused_where_others_read() -> None:
    net = api.loads(
        "net N:\n    input 3, 8x8\n    a: conv 3x3, 3\n    add:\n        relu\n        identity\n"
    )
    rewrite = Rewrite(net)
    with pytest.raises(RewriteError, match="all that reads a"):
        rewrite.swap("a", next(node.name for node in net.graph.users("a")))
    with pytest.raises(RewriteError, match="still read"):
        rewrite.delete("a")
    with pytest.raises(RewriteError, match="gone"):
        rewrite.remove("b")


def test_rewrites_say_what_the_spec_would() -> None:
    """Each edit of a graph gives the graph of the text with that edit."""
    from netdsl.ir.graph import Value
    from netdsl.ops import catalogue

    def net(chain: str) -> Network:
        return api.loads(f"net N:\n    input 3, 8x8\n    body: {chain}\n")

    before = net("conv 3x3, 4 -> relu -> maxpool 2x2 -> gap")
    relu, tanh = catalogue()["relu"](), catalogue()["tanh"]()
    edits = {
        "conv 3x3, 4 -> tanh -> maxpool 2x2 -> gap": lambda r: r.replace("body.1", tanh),
        "conv 3x3, 4 -> maxpool 2x2 -> gap": lambda r: r.remove("body.1"),
        "conv 3x3, 4 -> maxpool 2x2 -> relu -> gap": lambda r: r.swap("body.1", "body.2"),
        "conv 3x3, 4 -> relu -> maxpool 2x2 -> gap -> relu": lambda r: r.insert(Value("body.3"), relu, "new"),
        "conv 3x3, 4 -> tanh -> relu -> tanh -> gap": lambda r: r.chain(
            ["body.1", "body.2"], [tanh, relu, tanh]
        ),
        "conv 3x3, 4 -> relu -> maxpool 2x2": lambda r: r.remove("body.3"),
        "conv 3x3, 4 -> relu -> gap": lambda r: r.read("body.3", 0, Value("body.1")),
    }
    for chain, edit in edits.items():
        after = net(chain)
        rewrite = Rewrite(before)
        edit(rewrite)
        if chain.endswith("relu -> gap") and "max" not in chain:
            rewrite.delete("body.2")
        assert signature(rewrite.ordered(), rewrite.outputs) == signature(after.graph, after.graph.outputs), (
            chain
        )
        assert rewrite.saving() == amounts(before, [*before.graph]) - amounts(after, [*after.graph]), chain


# ---------------------------------------------------------------- quantities

QUANTITY = """
from netdsl.quantities.base import Summed

class Traffic(Summed):
    \"\"\"Numbers that layers read and whose rows they are.\"\"\"

    name, title, rank = "traffic", "numbers read", 55
    saving = "numbers read"

    def layer(self, net, node, options):
        return sum(shape.elements for shape in net.inputs_of(node.name)) * options.batch
"""


@pytest.fixture
def traffic(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a quantity that netdsl does not have, as a file."""
    written("traffic.py", QUANTITY)
    monkeypatch.setattr(quantities, "__path__", [*quantities.__path__, str(folder)])
    quantities.catalogue.cache_clear()
    quantities.weighed.cache_clear()
    yield
    monkeypatch.undo()
    del sys.modules["netdsl.quantities.traffic"]
    quantities.catalogue.cache_clear()
    quantities.weighed.cache_clear()


@pytest.mark.usefixtures("traffic")
def test_a_quantity_is_saved_too(capsys: Captured) -> None:
    """It is in the text, in JSON and in SARIF, and a budget of a project."""
    text = "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> relu -> relu -> maxpool 2x2 -> gap\n"
    less = {finding.name: finding.saving for finding in lint(text, select=("ALL",))}
    assert {name: saving.traffic for name, saving in less.items() if saving} == {
        "identity_op": 4 * 8 * 8,  # the second relu
        "relu_before_maxpool": 4 * 8 * 8 - 4 * 4 * 4,  # it reads what is pooled
    }
    spec = written("n.net", text)
    command(spec, "--select", "ALL")
    assert "256 numbers read (" in capsys.readouterr().out
    command(spec, "--select", "ALL", "--format", "json")
    value = json.loads(capsys.readouterr().out)
    schema(value)
    assert {f["saving"]["traffic"] for f in value["findings"]} == {256, 192}
    command(spec, "--select", "ALL", "--format", "sarif")
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert {r["properties"]["saving"]["traffic"] for r in run["results"]} == {256, 192}
    written("netdsl.toml", '[lint.budgets]\n"*" = { traffic = "1K" }\n')
    command(spec, "--select", "budget")
    assert "traffic 1.02K > 1K" in capsys.readouterr().out


def test_of_a_training_layer_only_its_tensors_are_saved() -> None:
    text = (
        "net N:\n    input 3, 8x8\n    a: conv 3x3, 4\n"
        "    train output aux: conv 1x1, 4 as b -> bn as norm -> gap\n    gap\n"
    )
    (finding,) = lint(text)
    assert finding.saving == {"params": 4, "buffers": 0, "macs": 0, "ops": 0, "activations": 0}


# ---------------------------------------------------------------- shares and sums


def test_shares_are_of_the_work() -> None:
    """Of a net's ops a bias may be half, and of what it computes next to nothing."""
    (finding,) = lint(BIAS)
    assert finding.saving is not None
    total = finding.nets[0].total
    assert finding.saving.ops == 256 == total.ops // 2
    assert total.macs == 4 * 27 * 64
    part = 256 / (2 * total.macs + total.ops)
    assert f"256 ops ({100 * part:.1f}%)" in said(finding.saving, total)
    large = api.loads(BIAS.replace("3, 8x8", "512, 8x8")).lint()[0]
    assert large.saving is not None
    assert said(large.saving, large.nets[0].total) == "saves 4 params (<0.1%), 256 ops (<0.1%)"


def test_savings_that_overlap_are_not_added() -> None:
    """The relu that is to be pooled first is the one that may go: pooled and gone, it is as if it were gone."""
    text = "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> sigmoid -> relu -> maxpool 2x2 -> gap\n"
    findings = lint(text, select=("ALL",))
    alone = [finding.saving.ops for finding in findings if finding.saving is not None]
    assert alone == [192, 256]
    assert [line.partition(" (")[0] for line in together(findings)] == ["2 of them together: saves 256 ops"]
    assert together(findings[:1]) == []


def test_savings_that_do_not_overlap_are_what_all_changes_save() -> None:
    text = "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> bn -> relu -> relu -> gap\n"
    findings = lint(text)
    assert [finding.saving.ops for finding in findings if finding.saving is not None] == [256, 256]
    (both,) = together(findings)
    assert both.startswith("2 of them together: saves 4 params")
    assert max(map(len, output.text(findings, width=60).split("\n"))) <= 60
    assert " 512 ops (" in both


# ---------------------------------------------------------------- fixes


def test_a_fix_that_another_net_of_the_file_forbids_is_not_offered() -> None:
    text = (
        "net N(norm: op = none):\n    input 3, 8x8\n    body: conv 3x3, 4, norm=norm\n"
        "variant a = N()\nvariant b = N(bn)\n"
    )
    (finding,) = lint(text)
    assert not finding.fixable
    assert fix(text, load, Settings()).text == text


def test_a_fix_that_does_not_keep_its_promise_is_refused() -> None:
    # the default has an argument, which a bare `leaky_relu` behind the pool would lose
    text = "net N:\n    input 3, 8x8\n    default conv act=leaky_relu(0.3)\n    body: conv 3x3, 4 -> maxpool 2x2\n"
    loaded = load(text)
    one = Settings(select=("L204",))
    (finding,) = Run(loaded, one).findings()
    assert finding.fixable
    (tried,) = proven([finding], loaded, load)
    assert tried == finding.replace(fixable=False)
    fixed = fix(text, load, one, unsafe=True)
    assert (fixed.text, fixed.applied) == (text, [])


def test_what_is_announced_is_done(capsys: Captured) -> None:
    """The two steps stand in a block and in a net, where the block's `c` means nothing: they cannot change places."""
    text = "block Squeeze(c): conv 1x1, c\nnet N:\n    input 8, 8x8\n    sq: Squeeze 32\n    gap\n"
    file = written("n.net", text)
    command(file)
    out = capsys.readouterr().out
    assert "gap_after_linear" in out
    assert "--fix" not in out
    command(file, "--fix", "--unsafe-fixes")
    printed = capsys.readouterr()
    assert "--fix" not in printed.out
    assert printed.err == ""
    assert Path(file).read_text(encoding="utf-8") == text


MOVING = "net N:\n    input 3, 8x8\n    body: relu -> relu -> conv 3x3, 4\n"


@pytest.mark.parametrize(
    ("text", "key", "mended"),
    [
        (BIAS, "body.0.bias", BIAS.replace("3x3, 4", "3x3, 4, bias=false")),
        (MOVING, "body.2.weight", MOVING.replace("relu -> relu", "relu")),
    ],
)
def test_a_fix_with_which_checkpoints_do_not_load_is_unsafe_and_says_so(
    text: str, key: str, mended: str, capsys: Captured
) -> None:
    file = written("n.net", text)
    command(file)
    said = f"--fix --unsafe-fixes does it, and checkpoints no longer load, such as `{key}`"
    assert said in capsys.readouterr().out
    command(file, "--format", "json")
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding["fix"]["safe"] is False
    command(file, "--fix")
    assert Path(file).read_text(encoding="utf-8") == text
    assert said in capsys.readouterr().out
    assert command(file, "--fix", "--unsafe-fixes") == 0
    assert Path(file).read_text(encoding="utf-8") == mended
    assert f"note: n.net: checkpoints no longer load, such as `{key}`\n" in capsys.readouterr().err


def test_safe_fixes_are_made_beside_unsafe_ones() -> None:
    text = "net N:\n    input 3, 8x8\n    relu\n    relu\n    c: conv 3x3, 4\n    d: bn\n"
    fixed = fix(text, load, Settings())
    assert fixed.text == text.replace("    relu\n", "", 1)
    assert [finding.name for finding in fixed.applied] == ["identity_op"]
    assert "bias=false" in fix(text, load, Settings(), unsafe=True).text


def test_a_refused_fix_does_not_stop_the_others() -> None:
    text = (
        "net N:\n    input 3, 8x8\n    default conv act=leaky_relu(0.3)\n"
        "    body: conv 3x3, 4 -> maxpool 2x2 -> conv 1x1, 4, act=none -> bn\n"
    )
    fixed = fix(text, load, Settings(select=("ALL",)), unsafe=True)
    assert "conv 1x1, 4, act=none, bias=false" in fixed.text
    assert [finding.name for finding in fixed.applied] == ["bias_before_norm"]


def test_fixing_twice_changes_nothing_more() -> None:
    text = (
        BLOCK
        + "net N:\n    input 3, 32x32\n    body: B 4 -> relu -> relu -> relu -> maxpool 2x2 -> B 8\n    gap\n"
    )
    every = Settings(select=("ALL",))
    once = fix(text, load, every, unsafe=True).text
    assert once != text
    assert fix(once, load, every, unsafe=True).text == once
    assert lint(once, select=("ALL",)) == []


def test_fix_writes_the_file_and_nothing_else(capsys: Captured) -> None:
    part = written("part.net", BLOCK)
    text = (
        'import B from "part.net"  # the block\nnet N:\n    input 3, 8x8\n'
        "    body: B 4 -> conv 3x3, 4 -> bn  # here\n"
    )
    spec = written("n.net", text)
    assert command(spec, "--fix", "--unsafe-fixes", "--fail-on", "info") == 1
    assert Path(part).read_text(encoding="utf-8") == BLOCK
    assert Path(spec).read_text(encoding="utf-8") == text.replace("3x3, 4", "3x3, 4, bias=false")
    printed = capsys.readouterr()
    assert "part.net:2:11" in printed.out
    moved = "note: n.net: checkpoints no longer load, such as `body.1.bias`\n"
    assert printed.err == f"note: n.net: mended 1 finding\n{moved}"


def test_diff_writes_nothing(capsys: Captured) -> None:
    spec = written("n.net", BIAS.rstrip("\n"))
    assert command(spec, "--diff", "--unsafe-fixes", "--fail-on", "info") == 1
    assert Path(spec).read_text(encoding="utf-8") == BIAS.rstrip("\n")
    assert capsys.readouterr().out == (
        "--- n.net\n+++ n.net\n@@ -1,3 +1,3 @@\n net N:\n     input 3, 8x8\n"
        "-    body: conv 3x3, 4 -> bn\n\\ No newline at end of file\n"
        "+    body: conv 3x3, 4, bias=false -> bn\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    "args",
    [
        ["lenet", "--fix"],
        ["n.net:n", "--fix"],
        ["n.net", "--unsafe-fixes"],
        ["n.net", "--fix", "--diff"],
        [str(ROOT / "specs" / "densenet.net"), "--fix"],
    ],
)
def test_fixes_that_cannot_be_asked_for(args: list[str], capsys: Captured) -> None:
    written("n.net", BIAS)
    assert command(*args) == 2
    assert capsys.readouterr().err.startswith("error[E525]: ")


# ---------------------------------------------------------------- search spaces


def test_a_search_space_is_looked_at_once(capsys: Captured) -> None:
    file = api.packaged("search.net")
    net, decisions = sample(api.recipe(file, "supernet", {}, {}))
    assert decisions == len(net.decisions) == 17
    assert {decision.chosen for decision in net.decisions} == {0}
    assert command("search") == 0
    printed = capsys.readouterr()
    assert (
        printed.err == "note: supernet: a search space, looked at with the first option of its 17 decisions\n"
    )


# ---------------------------------------------------------------- configuration


def settings_error(text: str, capsys: Captured, name: str = "netdsl.toml") -> str:
    """Return what is said about a wrong configuration."""
    written(name, text)
    spec = written("n.net", BIAS)
    assert command(spec) == 2
    printed = capsys.readouterr()
    assert not printed.out.startswith("{")
    return printed.err


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("lint = 3", "lint: must be a table, got 3", ""),
        ("[lint]\nselct = []", "unknown key `selct`", "did you mean `select`?"),
        ("[lint]\nselect = ['huge_f']", "there is no rule `huge_f`", "did you mean `huge_fc`?"),
        ("[lint]\nbatch = 0", "batch must be an int from 1, got 0", ""),
        ("[lint]\nbatch = 8\nmicro-batches = true", "micro-batches must be an int from 1, got True", ""),
        ("[lint]\nbatch = 8\nmicro-batches = 3", "do not make a batch of 8", "as many as 1, 2, 4, 8"),
        (
            "[lint]\nmicro-batches = 3",
            "micro-batches: a batch of which size is divided is not said",
            "batch = 32",
        ),
        ("[lint]\nselect = 'L2'", "select: must be a list of rules, got 'L2'", ""),
        ("[lint.thresholds.huge_fc]\nshar = 1", "unknown threshold `shar`", "did you mean `share`?"),
        ("[lint.thresholds.huge_fc]\nshare = '1'", "share: must be a number from 0, got '1'", ""),
        ("[lint.thresholds.huge]\nshare = 1", "there is no rule `huge`", "did you mean `huge_fc`?"),
        ("[lint.budgets.'*']\nparam = 1", "unknown quantity `param`", "did you mean `params`?"),
        ("[lint.budgets.'*']\nparams = 'lots'", "params must be a number, got 'lots'", ""),
        ("[lint.budgets.'*']\nparams = '1, macs <= 2'", "params must be a number, got", ""),
        ("[lint.budgets.'*']\nparams = '1\\n    relu'", "params must be a number, got", ""),
        ("[lint.budgets.'*']\nparams = true", "params must be a number, got True", ""),
        ("[lint\n", "is not TOML: expected", ""),
        ("[lints]\n", "unknown table `lints`", ""),
    ],
)
def test_wrong_configurations(text: str, message: str, help: str, capsys: Captured) -> None:
    said = settings_error(text, capsys)
    assert message in said
    assert help in said
    assert said.count("error[E52") == 1


def test_wrong_table_in_pyproject(capsys: Captured) -> None:
    assert "tool.netdsl.lnt" in settings_error("[tool.netdsl.lnt]\n", capsys, "pyproject.toml")


def test_configuration_of_the_nearest_folder(capsys: Captured) -> None:
    written("pyproject.toml", "[tool.netdsl.lint]\nignore = ['L202']\n")
    Path("deep/er").mkdir(parents=True)
    spec = written("deep/er/n.net", BIAS)
    assert command(spec, "--fail-on", "info") == 0
    written("deep/pyproject.toml", "[tool.other]\n")
    assert command(spec, "--fail-on", "info") == 0
    written("deep/netdsl.toml", "[lint]\nselect = ['bias_before_norm']\n")
    assert command(spec, "--fail-on", "info") == 1
    assert command(spec, "--ignore", "L2", "--fail-on", "info") == 0
    assert command(spec, "--select", "L1,huge_fc") == 0
    capsys.readouterr()


def test_what_describes_families_is_off_until_it_is_asked_for(capsys: Captured) -> None:
    text = "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> relu -> relu -> maxpool 2x2 -> gap\n"
    assert names(text) == ["identity_op"]
    assert (
        names(text, select=("L2",)) == names(text, select=("ALL",)) == ["relu_before_maxpool", "identity_op"]
    )
    for words in (("audit",), ("L204",), ("relu_before_maxpool",)):
        assert names(text, select=words) == ["relu_before_maxpool"]
    assert names(text, select=("ALL",), ignore=("audit",)) == ["identity_op"]
    assert command(written("n.net", text), "--select", "audt") == 2
    assert "did you mean `audit`?" in capsys.readouterr().err


def test_ignores_by_file() -> None:
    assert names(BIAS, per_file={"<std*": ("L2",)}) == []
    assert names(BIAS, per_file={"*.net": ("L2",)}) == ["bias_before_norm"]


def test_thresholds() -> None:
    text = "net N:\n    input 3, 8x8\n    body: conv 3x3, 4 -> flatten -> fc 10\n"
    assert names(text) == []
    assert names(text, thresholds={"huge_fc": {"params": 100}}) == ["huge_fc"]
    assert names(text, thresholds={"huge_fc": {"params": 100, "share": 0.99}}) == []


def test_a_step_of_training_is_an_option_or_a_setting(capsys: Captured) -> None:
    """Options win, and either of them may be the configuration's."""
    text = (
        "net N:\n    input 3, 8x8\n    body: conv 3x3, 4, bias=false -> bn -> relu\n    gap\n    fc: fc 3\n"
    )
    spec, rule = written("n.net", text), ("--select", "L322", "--format", "json", "--fail-on", "info")

    def samples(*options: str) -> str:
        command(spec, *rule, *options)
        found = json.loads(capsys.readouterr().out)["findings"]
        return " ".join(re.findall(r"of ([\d of]+) sample", "".join(one["message"] for one in found)))

    assert samples() == ""
    assert samples("--batch", "4") == "4"
    assert samples("--batch", "32", "--micro-batches", "16") == "2 of 32"
    written("netdsl.toml", "[lint]\nbatch = 64\nmicro-batches = 8\n")
    assert samples() == "8 of 64"
    assert samples("--batch", "16") == "2 of 16"
    assert samples("--micro-batches", "4") == "16 of 64"
    assert command(spec, "--micro-batches", "5") == 2
    assert "5 micro-batches of one size do not make a batch of 64" in capsys.readouterr().err
    Path("netdsl.toml").unlink()
    assert command(spec, "--micro-batches", "5") == 2
    assert "add --batch" in capsys.readouterr().err
    command(spec, "--select", "L322", "--format", "sarif", "--batch", "2")
    (found,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert found["ruleId"] == "L322"
    assert found["locations"][0]["physicalLocation"]["region"]["startLine"] == 3


def test_budgets_of_a_project(capsys: Captured) -> None:
    written(
        "netdsl.toml", '[lint.budgets]\n"n*" = { params = "100", macs = 5_000_000 }\n"m" = { params = 1 }\n'
    )
    assert command(written("n.net", BIAS), "--select", "budget") == 1
    out = capsys.readouterr().out
    assert "error[L601 budget]: n: params 120 > 100 (body.0 has 93%)" in out
    assert "body.0  conv  112  93.3%" in out
    assert "help: the budget is from" in out
    assert out.count("[L601") == 1


# ---------------------------------------------------------------- baselines


def test_baseline_survives_lines_that_move(capsys: Captured) -> None:
    spec = written("n.net", BIAS)
    assert command(spec, "--baseline", "base.json", "--write-baseline") == 0
    assert command(spec, "--baseline", "base.json", "--fail-on", "info") == 0
    written("n.net", "# a comment\n\n" + BIAS.replace("    body", "    # another\n    body"))
    assert command(spec, "--baseline", "base.json", "--fail-on", "info") == 0
    written("n.net", BIAS + "    relu\n    more: conv 3x3, 8 -> bn\n")
    capsys.readouterr()
    assert command(spec, "--baseline", "base.json", "--fail-on", "info") == 1
    out = capsys.readouterr().out
    assert "more.0" in out
    assert "body.0" not in out
    assert str(Path.cwd()) not in Path("base.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2}', '{"version": 2, "findings": [1]}', "[" * 9999])
def test_wrong_baselines(text: str, capsys: Captured) -> None:
    Path("base.json").write_bytes(text.encode("latin-1"))
    assert command(written("n.net", BIAS), "--baseline", "base.json") == 2
    assert "error[E524]: base.json is no baseline" in capsys.readouterr().err


def test_a_baseline_of_another_version_is_made_anew(capsys: Captured) -> None:
    Path("base.json").write_text('{"version": 1, "findings": []}')
    spec = written("n.net", BIAS)
    assert command(spec, "--baseline", "base.json") == 2
    assert "another version" in capsys.readouterr().err
    assert command(spec, "--baseline", "base.json", "--write-baseline") == 0
    assert command(spec, "--baseline", "base.json", "--fail-on", "info") == 0


def fingerprints() -> list[str]:
    """Return what the baseline holds."""
    return sorted(one["fingerprint"] for one in json.loads(Path("base.json").read_text())["findings"])


def test_a_baseline_keeps_what_was_not_looked_at(capsys: Captured) -> None:
    one, other = written("n.net", BIAS), written("m.net", BIAS)
    written("netdsl.toml", '[lint]\nbaseline = "base.json"\nfail-on = "info"\n')
    assert command(one, other, "--write-baseline") == 0
    before = fingerprints()
    for arguments in ((one,), (one, "--select", "L1"), (f"{one}:n",), (one, other)):
        assert command(*arguments) == 0
        assert "any more" not in capsys.readouterr().err
        assert command(*arguments, "--write-baseline") == 0
        assert fingerprints() == before
    written("n.net", BIAS.replace("3x3, 4", "3x3, 4, bias=false"))
    assert command(other) == 0
    assert "any more" not in capsys.readouterr().err
    assert command(one) == 0
    assert "holds a finding that is not there any more" in capsys.readouterr().err


def test_a_baseline_knows_a_line_by_its_labels(capsys: Captured) -> None:
    text = "net N:\n    input 3, 8x8\n    conv 3x3, 4  # a\n    gap\n    softmax  # why\n"
    spec = written("n.net", text)
    assert command(spec, "--baseline", "base.json", "--write-baseline") == 0
    written("n.net", text.replace("gap", "gap\n    dropout 0.1").replace("why", "else"))
    assert command(spec, "--baseline", "base.json", "--select", "L102") == 0


def test_nothing_is_mended_that_a_baseline_knows() -> None:
    spec = written("n.net", BIAS)
    assert command(spec, "--baseline", "base.json", "--write-baseline") == 0
    assert command(spec, "--baseline", "base.json", "--fix", "--unsafe-fixes") == 0
    assert Path(spec).read_text() == BIAS
    assert command(spec, "--fix", "--unsafe-fixes") == 0
    assert Path(spec).read_text() != BIAS


def test_imported_files_have_short_names_and_their_own_ignores(capsys: Captured) -> None:
    Path("sub").mkdir()
    written("sub/blocks.net", "block B(c):\n    conv 3x3, c -> bn\n")
    written("sub/n.net", 'import B from "blocks.net"\nnet N:\n    input 3, 8x8\n    B 8\n')
    assert command("sub/n.net", "--format", "concise", "--fail-on", "info") == 1
    assert capsys.readouterr().out.startswith("sub/blocks.net:2:5: info[L202 ")
    written("netdsl.toml", '[lint.per-file-ignores]\n"blocks.net" = ["L202"]\n')
    assert command("sub/n.net", "--fail-on", "info") == 0


def test_errors_are_lines_too_and_the_configurations_is_said_once(capsys: Captured) -> None:
    one, other = written("n.net", BIAS.replace("conv", "konv")), written("m.net", BIAS)
    assert command(one, "--format", "concise") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("n.net:3:11: error[E201] unknown op `konv`; help: did you mean `conv`?")
    written("netdsl.toml", "[lint]\nselekt = []\n")
    assert command(one, other) == 2
    assert capsys.readouterr().err.count("selekt") == 1


def test_list_rules_takes_a_selection(capsys: Captured) -> None:
    assert command("--list-rules", "--select", "L2", "--ignore", "L202") == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert {line[:2] for line in lines} == {"L2"}
    assert not any(line.startswith("L202") for line in lines)
    assert command("--list-rules", "--select", "L202", "--format", "json") == 0
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert (rule["rule"], rule["default"], rule["fix"]) == ("bias_before_norm", "on", "unsafe")
    assert command("--list-rules", "--select", "L9") == 2


# ---------------------------------------------------------------- what is printed


def schema(value: Any) -> None:
    """Validate against docs/schema/lint.json."""
    files = (ROOT / "docs" / "schema").glob("*.json")
    known = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}
    resources = [(key, referencing.Resource.from_contents(contents)) for key, contents in known.items()]
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(resources)
    jsonschema.Draft202012Validator.check_schema(known["lint.json"])
    jsonschema.Draft202012Validator(known["lint.json"], registry=registry).validate(value)


def test_text(capsys: Captured) -> None:
    assert command(written("n.net", BIAS)) == 0
    assert capsys.readouterr().out == (
        "info[L202 bias_before_norm]: the bias of body.0 (conv), 4 params, is subtracted again by body.1 (bn)\n"
        " --> n.net:3:11\n"
        "  |\n"
        "3 |     body: conv 3x3, 4 -> bn\n"
        "  |           ^^^^^^^^^^^\n"
        "  = saves 4 params (3.3%), 256 ops (1.8%) of n\n"
        "  = --fix --unsafe-fixes does it, and checkpoints no longer load, such as `body.0.bias`\n"
        "  = help: write bias=false\n"
        "\n"
        "1 info; --fix mends 0, with --unsafe-fixes 1\n"
    )


def test_nothing_found(capsys: Captured) -> None:
    assert command("lenet") == 0
    assert capsys.readouterr().out == "nothing found\n"


@pytest.mark.parametrize(("level", "status"), [("info", 1), ("warning", 1), ("error", 0)])
def test_fail_on(level: str, status: int, capsys: Captured) -> None:
    softmax = written("n.net", "net N:\n    input 3, 8x8\n    gap -> fc 4 -> softmax\n")
    assert command(softmax, "--fail-on", level) == status
    relu = written("r.net", BIAS)
    assert command(relu, "--fail-on", level) == int(level == "info")


@pytest.mark.parametrize("spec", ["n.net", "densenet", "vgg", "alexnet", "lenet", "broken.net", "search"])
def test_json(spec: str, capsys: Captured) -> None:
    written("n.net", BIAS)
    written("broken.net", BIAS.replace("bn", "bnn"))
    command(spec, "--format", "json")
    printed = capsys.readouterr()
    assert not printed.err
    value = json.loads(printed.out)
    schema(value)
    assert bool(value["diagnostics"]) == (spec == "broken.net")
    command(spec, "--format", "json", "--statistics")
    schema(json.loads(capsys.readouterr().out))


def test_json_edits_give_the_fixed_text(capsys: Captured) -> None:
    command(written("n.net", BIAS), "--format", "json")
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    (edit,) = finding["fix"]["edits"]
    lines = BIAS.splitlines()
    line = lines[edit["line"] - 1]
    lines[edit["line"] - 1] = line[: edit["column"] - 1] + edit["text"] + line[edit["end_column"] - 1 :]
    assert "\n".join(lines) + "\n" == fix(BIAS, load, Settings(), unsafe=True).text


@pytest.mark.parametrize(
    "spec", ["n.net", "densenet", "alexnet", "resnet", "lenet", "broken.net", "a b%é.net"]
)
def test_sarif(spec: str, capsys: Captured) -> None:
    written("n.net", BIAS)
    written("broken.net", BIAS.replace("bn", "bnn"))
    written("a b%é.net", BLOCK + "net N:\n    input 3, 8x8\n    body: B 4\n")
    command(spec, "--format", "sarif")
    value = json.loads(capsys.readouterr().out)
    # SARIF's own schema, as shipped by the npm package @microsoft/sarif-multitool-linux 5.7.0 (MIT)
    official = json.loads((ROOT / "tests/reference/sarif-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(official).validate(value)
    (run,) = value["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert run["invocations"][0]["executionSuccessful"] == (spec != "broken.net")


def test_github(capsys: Captured) -> None:
    spec = written("a,b:%.net", BIAS)
    assert command("./" + spec, "--format", "github") == 0
    (line,) = capsys.readouterr().out.splitlines()
    place = "file=./a%2Cb%3A%25.net,line=3,endLine=3,col=11,endColumn=22"
    assert line.replace("file=a", "file=./a").startswith(
        f"::notice {place},title=L202 bias_before_norm::the bias of"
    )
    assert "%0Asaves 4 params (3.3%25), 256 ops (1.8%25) of n%0A" in line


def test_statistics(capsys: Captured) -> None:
    text = BLOCK + "net N:\n    input 3, 8x8\n    body: B 4 -> relu -> B 8\n"
    command(written("n.net", text), "--statistics")
    assert capsys.readouterr().out == (
        "findings  layers  fixable  code  rule\n       1       2        1  L202  bias_before_norm\n"
    )


def test_statistics_of_a_configuration_that_cannot_be_read(capsys: Captured) -> None:
    written("netdsl.toml", "[lint]\nselct = []\n")
    assert command(written("n.net", BIAS), "--statistics") == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert "unknown key `selct`" in printed.err


def test_concise(capsys: Captured) -> None:
    text = (
        BLOCK + "net N:\n    input 3, 8x8\n    body: B 4 -> relu -> B 8\n    head: gap -> fc 4 -> softmax\n"
    )
    assert command(written("n.net", text), "--format", "concise") == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == (
        "n.net:2:11: info[L202 bias_before_norm] the bias of body.0.conv, 4 params, is subtracted again by "
        "body.0.norm (2 layers); help: write bias=false"
    )
    assert second.startswith("n.net:7:26: warning[L102 softmax_at_output] ")
    assert command(written("n.net", BIAS.replace(" -> bn", "")), "--format", "concise") == 0
    assert capsys.readouterr().out == ""


def test_list_rules(capsys: Captured) -> None:
    assert cli.main(["lint", "--list-rules"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["code", "rule", "severity", "default", "fix", "finds"]
    assert len(lines) == len(catalogue())
    bias = next(line for line in lines if line.startswith("L202"))
    assert bias.split()[1:5] == ["bias_before_norm", "info", "on", "unsafe"]
    assert next(line for line in lines if "relu_before_maxpool" in line).split()[3] == "audit"


@pytest.mark.parametrize(("level", "status"), [("info", 1), ("warning", 0), ("error", 0)])
def test_fail_on_of_a_configuration(level: str, status: int, capsys: Captured) -> None:
    written("netdsl.toml", f'[lint]\nfail-on = "{level}"\n')
    spec = written("n.net", BIAS)
    assert command(spec) == status
    assert command(spec, "--fail-on", "info") == 1
    assert command(spec, "--fail-on", "error") == 0
    written("netdsl.toml", '[lint]\nfail-on = "all"\n')
    assert command(spec) == 2
    assert "fail-on: there is no severity 'all'" in capsys.readouterr().err


def test_a_stale_baseline_says_so(capsys: Captured) -> None:
    spec = written("n.net", BIAS)
    assert command(spec, "--baseline", "base.json", "--write-baseline") == 0
    command(spec, "--baseline", "base.json")
    assert "not there any more" not in capsys.readouterr().err
    written("n.net", BIAS.replace("3x3, 4", "3x3, 4, bias=false"))
    assert command(spec, "--baseline", "base.json", "--fail-on", "info") == 0
    note = "note: base.json holds a finding that is not there any more: --write-baseline leaves it out\n"
    assert capsys.readouterr().err == note


def test_sarif_says_where_a_rule_is_explained(capsys: Captured) -> None:
    command(written("n.net", BIAS), "--format", "sarif")
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["helpUri"] == f"{(ROOT / 'docs' / 'rules.md').as_uri()}#L202"
    assert '<a id="L202"></a>' in (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_colour_only_on_terminals(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = written("n.net", BIAS)
    command(spec)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    command(spec)
    assert "\x1b[1;36minfo" in capsys.readouterr().out


def test_a_broken_spec_is_reported_beside_the_others(capsys: Captured) -> None:
    written("n.net", BIAS)
    assert command(written("broken.net", BIAS.replace("bn", "bnn")), "n.net") == 1
    printed = capsys.readouterr()
    assert "[L202 bias_before_norm]" in printed.out
    assert "error[E201]: unknown op `bnn`" in printed.err


def test_text_of_a_spec_cannot_control_the_terminal(capsys: Captured) -> None:
    text = 'net N:\n    input 3, 8x8\n    @allow(huge_fc, "\\x1b[31m\u202e")\n    relu\n'.replace(
        "\\x1b", "\x1b"
    )
    command(written("n.net", text), "--format", "text")
    assert not set("\x1b\u202e") & set(capsys.readouterr().out)


@pytest.mark.parametrize("topic", ["L201", "l201", "huge_fc"])
def test_explain(topic: str, capsys: Captured) -> None:
    assert cli.main(["explain", topic]) == 0
    out = capsys.readouterr().out
    assert out.startswith("L201 huge_fc: a fully connected layer on a flattened map holds most of the net\n")
    assert "\n    net N:\n        input 3, 32x32\n" in out
    assert "\n    share = 0.5  part of" in out


def test_explain_suggests_rules(capsys: Captured) -> None:
    assert cli.main(["explain", "huge_fcc"]) == 2
    assert "did you mean `huge_fc`?" in capsys.readouterr().err


# ---------------------------------------------------------------- start-up


def test_only_lint_loads_rules_and_only_what_it_needs() -> None:
    code = "import sys; from netdsl.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"

    def modules(*args: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
        return set(done.stderr.split())

    assert not [name for name in modules("check", "lenet") if name.startswith("netdsl.lint")]
    loaded = modules("lint", "lenet")
    assert "netdsl.lint.rules.huge_fc" in loaded
    assert not loaded & {"tomllib", "netdsl.lint.sarif", "netdsl.lint.fix", "netdsl.lint.docs", "torch"}


# ---------------------------------------------------------------- what goes wrong in a rule


UNBUILT = "net N:\n    input 3, 8x8\n    relu\nblock B:\n    {}\n    relu\n"


@pytest.mark.parametrize("allow", ["@allow(huge_fc)", '@allow(huge_fc, bias_before_norm, "both")', "@other"])
def test_an_allow_that_says_nothing_is_an_error_where_nobody_builds_it(allow: str, capsys: Captured) -> None:
    file = written("n.net", UNBUILT.format(allow) + BIAS.replace("net N", "net M"))
    assert command(file) == 1
    printed = capsys.readouterr()
    assert "error[E224]: " in printed.err
    assert "--> n.net:5:5" in printed.err
    assert "bias_before_norm" in printed.out  # the others were looked for
    net = netdsl.load(f"{file}:n")
    with pytest.raises(netdsl.NetError, match=r"error\[E224\]"):
        net.lint()


@pytest.mark.parametrize("method", ["check", "check_file"])
def test_a_rule_that_raises_is_named_and_stops_no_other(
    method: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ZeroDivisionError("division by zero\nof two lines")

    file = written("n.net", BIAS)
    assert command(file) == 0
    honest = capsys.readouterr().out
    rule = catalogue()["L201"]
    monkeypatch.setattr(rule, method, fail)
    assert command(file) == 1
    printed = capsys.readouterr()
    assert printed.out == honest
    assert printed.err.startswith(
        "error[E591]: rule L201 huge_fc: internal error: ZeroDivisionError: division by zero (test_lint.py:"
    )
    assert printed.err.count("error[") == 1
    with pytest.raises(netdsl.NetError, match="rule L201 huge_fc: internal error"):
        netdsl.load(file).lint()


def test_a_rule_whose_change_raises_is_named(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise KeyError("gone")

    monkeypatch.setattr("netdsl.lint.engine.saved", fail)
    assert command(written("n.net", BIAS)) == 1
    assert "internal error: KeyError: 'gone' (test_lint.py:" in capsys.readouterr().err


def test_a_difference_of_nothing_says_so(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(
        "net N:\n    input 3, 8x8\n    conv 3x3, 8\n    gap\n    fc 1\n    softmax\n", encoding="utf-8"
    )
    found = cli.main(["lint", "n.net", "--fail-on", "info"])
    capsys.readouterr()
    assert found == 1
    assert cli.main(["lint", "n.net", "--diff", "--unsafe-fixes", "--fail-on", "info"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "note: nothing to mend: " in printed.err
    assert "shown without --diff" in printed.err


def test_comments_move_with_their_lines(capsys: Captured) -> None:
    head = "net N:\n    input 3, 8x8\n    a: conv 3x3, 8 -> relu\n"
    spec = written("n.net", f"{head}    b: conv 1x1, 8  # first\n    avgpool 2x2, /2  # then  \n    gap\n")
    assert command(spec, "--fix", "--select", "L203") == 0
    assert (
        Path(spec).read_text()
        == f"{head}    avgpool 2x2, /2  # then\n    b: conv 1x1, 8  # first  \n    gap\n"
    )
    written("n.net", f"{head}    relu  # twice\n    relu6  # once more\n    gap\n")
    command(spec, "--fix", "--unsafe-fixes", "--select", "ALL")
    assert "twice" not in Path(spec).read_text()


def test_micro_batches_of_a_huge_batch_are_found_at_once() -> None:
    for number in range(1, 200):
        assert divisors(number) == [n for n in range(1, number + 1) if number % n == 0]
    prime = 10**12 + 39
    assert divisors(prime) == [1, prime]
    assert Step(10**12, 10**12).most(3) == 10**12 // 4
