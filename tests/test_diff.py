"""What `netdsl diff` says of two nets: totals, rows, layers, and which layer became which."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from time import process_time

import jsonschema
import pytest
from zoo import NAMES, net

import netdsl
from netdsl import Network, api, cli, diff
from netdsl.cost.table import human
from netdsl.diff import Change, Difference, Field

SCHEMA = Path(netdsl.__file__).parent.parent / "docs" / "schema" / "diff.json"


def net_of(body: str, input: str = "3, 32x32", blocks: str = "") -> Network:
    """Return a net with that body."""
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return api.loads(f"{blocks}net N:\n    input {input}\n{lines}", "n.net", "n")


def short(difference: Difference) -> list[str]:
    """Return the changes as one line each."""
    return [
        f"{c.kind} {c.before} {c.after}" + "".join(f" {f.name}:{f.before}:{f.after}" for f in c.fields)
        for c in difference.changes
    ]


def vgg(steps: str) -> Network:
    """Return a Sequential of these steps, and a head."""
    return net_of("features: (" + steps + ")\ngap\nhead: fc 10")


BASE = "conv 3x3, 8 -> relu -> conv 3x3, 16 -> relu -> maxpool 2x2"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (BASE, []),
        (
            "conv 3x3, 8 -> bn -> relu -> conv 3x3, 16 -> relu -> maxpool 2x2",
            ["added None features.1", "moved features.2 features.3"],
        ),
        (
            "conv 3x3, 8 -> relu -> conv 3x3, 8 -> relu -> conv 3x3, 16 -> relu -> maxpool 2x2",
            ["added None features.2", "added None features.3", "moved features.2 features.4"],
        ),
        (
            "conv 3x3, 16 -> relu -> maxpool 2x2",
            [
                "removed features.0 None",
                "removed features.1 None",
                "changed features.2 features.0 weight:16x8x3x3:16x3x3x3",
            ],
        ),
        (
            "conv 5x5, 8 -> relu -> conv 3x3, 16 -> relu -> maxpool 2x2",
            ["changed features.0 features.0 kernel:3x3:5x5"],
        ),
        (
            "conv 3x3, 8 -> gelu -> conv 3x3, 16 -> relu -> maxpool 2x2",
            ["changed features.1 features.1 layer:relu:gelu"],
        ),
        (
            "conv 3x3, 8 -> relu -> conv 3x3, 16, /2 -> relu -> maxpool 2x2",
            [
                "changed features.2 features.2 stride:1:2 output:16x32x32:16x16x16",
                "changed features.3 features.3 output:16x32x32:16x16x16",
                "changed features.4 features.4 output:16x16x16:16x8x8",
            ],
        ),
    ],
)
def test_sequences_are_aligned(steps: str, expected: list[str]) -> None:
    assert short(diff.compare(vgg(BASE), vgg(steps))) == expected


def test_labels_are_matched_wherever_they_stand() -> None:
    before = net_of("a: conv 3x3, 8\nb: conv 3x3, 8\nc: conv 3x3, 8")
    after = net_of("a: conv 3x3, 8\nc: conv 3x3, 8, groups=2\nd: dwconv 3x3")
    assert short(diff.compare(before, after)) == [
        "removed b None",
        "changed c c groups:1:2",
        "added None d",
    ]
    after = net_of("a: conv 3x3, 8\nb: dwconv 3x3\nc: conv 3x3, 8")
    (change,) = diff.compare(before, after).changes
    assert change == Change(
        "changed", "b", "b", "conv 3x3, 8", "8x32x32", (Field("layer", "conv 3x3, 8", "dwconv 3x3"),)
    )


def test_blocks_are_matched_and_looked_into() -> None:
    blocks = "block B(c, k = 3x3):\n    conv1: conv 3x3, c\n    conv2: conv 3x3, {}\n"
    before = net_of("body: (3 * B 8)", blocks=blocks.format("c"))
    after = net_of("body: (2 * B 8 -> B 16)", blocks=blocks.format("c"))
    assert short(diff.compare(before, after)) == [
        "changed body.2.conv1 body.2.conv1 channels:8:16 output:8x32x32:16x32x32",
        "changed body.2.conv2 body.2.conv2 channels:8:16 output:8x32x32:16x32x32",
    ]
    after = net_of("body: (5 * B 8)", blocks=blocks.format("c"))
    assert short(diff.compare(before, after)) == [
        f"added None body.{block}.conv{conv}" for block in (3, 4) for conv in (1, 2)
    ]


def test_wiring() -> None:
    text = "a: conv 3x3, 8\nb: conv 3x3, 8\nc: conv 3x3, 8\nadd:\n    identity\n    from {}"
    (change,) = diff.compare(net_of(text.format("a")), net_of(text.format("b"))).changes
    assert (change.layer, change.fields) == ("add", (Field("reads", "a", "b"),))
    more = text.format("a") + "\n    from b"
    found = diff.compare(net_of(text.format("a")), net_of(more)).changes
    assert [field for change in found for field in change.fields] == [Field("inputs", "2", "3")]


def test_inputs_and_outputs() -> None:
    difference = diff.compare(net_of("a: conv 3x3, 8"), net_of("a: conv 3x3, 4", "3, 16x16"))
    lines = str(difference).splitlines()
    assert lines[:3] == [
        "n (n.net) -> n (n.net)",
        "input x: 3x32x32 -> 3x16x16",
        "output out: 8x32x32 -> 4x16x16",
    ]
    assert "~ a: conv 3x3, 8: channels 8 -> 4; output 8x32x32 -> 4x16x16" in lines


@pytest.mark.parametrize("name", NAMES)
def test_nothing_changed(name: str) -> None:
    difference = diff.compare(net(name), net(name))
    assert (difference.groups, difference.changes) == ((), ())
    assert str(difference).endswith("\n\nno layer differs")


def test_totals_and_rows() -> None:
    difference = diff.compare(net("resnet18"), net("resnet34"))
    before, after = difference.totals
    assert (before.params, after.params) == (11_689_512, 21_797_672)
    for count in ("params", "macs", "ops", "activations", "buffers"):
        changed = sum(
            getattr(group.after, count, 0) - getattr(group.before, count, 0) for group in difference.groups
        )
        assert changed == getattr(after, count) - getattr(before, count)
    assert {change.kind for change in difference.changes} == {"added"}
    back = diff.compare(net("resnet34"), net("resnet18"))
    assert [c.after for c in difference.changes] == [c.before for c in back.changes]
    assert {change.kind for change in back.changes} == {"removed"}


def test_rows_keep_the_order_of_the_text() -> None:
    before = net_of("a: conv 3x3, 8\nb: conv 3x3, 8\nc: conv 3x3, 8")
    after = net_of("c: conv 1x1, 8\nd: conv 3x3, 8\na: conv 1x1, 8")
    names = [group.name for group in diff.compare(before, after).groups]
    assert sorted(names) == ["a", "b", "c", "d"]
    assert names.index("c") < names.index("d") < names.index("a")


def test_text() -> None:
    found = diff.compare(vgg(BASE), vgg("conv 3x3, 8 -> bn -> relu -> conv 5x5, 16 -> relu -> maxpool 2x2"))
    assert (
        str(found)
        == """\
n (n.net) -> n (n.net)

                   before     after  difference        %
receptive field        32        32           0
params              1.56K     3.63K      +2.06K  +132.1%
buffers                 0        17         +17
MACs                 1.4M      3.5M       +2.1M  +149.7%
ops                69.64K    77.83K      +8.19K   +11.8%
activations       213.1KB  245.86KB    +32.77KB   +15.4%
peak             126.98KB  126.98KB           0
memory           133.22KB  141.55KB     +8.33KB    +6.3%

block     params  difference  MACs  difference  activations  difference
features   3.46K      +2.06K  3.5M       +2.1M     245.76KB    +32.77KB

+ features.1: bn, 8x32x32
~ features.3 (was features.2): conv 3x3, 16: kernel 3x3 -> 5x5
keys of a layer moved in the state_dict: features.2 is features.3
info L202 is new at features.0: the bias of features.0 (conv), 8 params, is subtracted again by features.1 (bn)"""
    )
    assert (
        diff.render_text(found, full=True)
        == """\
n (n.net) -> n (n.net)

                    before      after  difference        %
receptive field         32         32           0
params               1,562      3,626      +2,064  +132.1%
buffers                  0         17         +17
MACs             1,400,992  3,498,144  +2,097,152  +149.7%
ops                 69,642     77,834      +8,192   +11.8%
activations        213,096    245,864     +32,768   +15.4%
peak               126,976    126,976           0
memory             133,224    141,552      +8,328    +6.3%

block     params  difference       MACs  difference  activations  difference
features   3,456      +2,064  3,497,984  +2,097,152      245,760     +32,768

+ features.1: bn, 8x32x32
~ features.3 (was features.2): conv 3x3, 16: kernel 3x3 -> 5x5
keys of a layer moved in the state_dict: features.2 is features.3
info L202 is new at features.0: the bias of features.0 (conv), 8 params, is subtracted again by features.1 (bn)"""
    )


def test_layers_of_parts_that_are_new_or_gone_are_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "resnet18", "resnet34"]) == 0
    short = capsys.readouterr().out.splitlines()
    assert not [line for line in short if line.startswith("+") and ":" in line]
    assert short[-1] == "56 layers of parts that are new, gone or another block: --full lists them"
    assert cli.main(["diff", "resnet18", "resnet34", "--full"]) == 0
    full = capsys.readouterr().out.splitlines()
    assert len([line for line in full if line.startswith("+") and ":" in line]) == 56
    assert "+10,108,160" in "".join(full)
    assert cli.main(["diff", "resnet18", "resnet34", "--full", "--format", "json"]) == 2
    assert "takes no --full" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("resnet18", "resnet50", {"+ layer2.2-3": 2, "+ layer3.2-5": 4, "+ layer1.2": 1, "layer2.1": 1}),
        ("resnet152", "resnet50", {"- layer2.4-7": 4, "- layer3.6-35": 30}),
        ("resnet50", "wide_resnet50_2", {"layer1.1-2": 2, "layer2.1-3": 3, "layer3.1-5": 5, "layer4.0": 1}),
    ],
)
def test_equal_parts_in_a_row_are_one(before: str, after: str, parts: dict[str, int]) -> None:
    """Their numbers are sums; the members are the rows that there are with --full."""
    found = diff.compare(net(before), net(after))
    text = diff.render_text(found)
    lines = [re.split(r"  +", line) for line in text.split("\n\n")[2].splitlines()[1:]]
    assert "xN: N equal ones in a row, and their sum" in text
    groups = {group.name: group for group in found.groups}
    for name, count in parts.items():
        (cells,) = [line for line in lines if line[0] == name]
        assert (f"x{count}" in cells) is (count > 1)
        path, _, last = name.lstrip("+- ").rpartition(".")
        first, _, end = last.partition("-")
        members = [groups[f"{path}.{n}"] for n in range(int(first), int(end or first) + 1)]
        params = [
            sum(row.params if row else 0 for row in rows)
            for rows in zip(*((g.before, g.after) for g in members), strict=True)
        ]
        assert cells[1 + (count > 1)] == human(params[1])
        assert cells[2 + (count > 1)].lstrip("+-") == human(abs(params[1] - params[0]))


def test_blocks_that_became_others_are_a_line() -> None:
    """Their layers are not listed, unless one of them is of the block before."""
    blocks = (
        "block A(c):\n    conv1: conv 3x3, c\n    act: relu\n"
        "block B(c):\n    conv: conv 1x1, c\n    bn1: bn\n"
        "block C(c):\n    conv1: conv 3x3, c\n    bn1: bn\n"
    )
    a, b, c = (net_of(f"stem: conv 3x3, 8\nbody: (9 * {name} 8)", blocks=blocks) for name in "ABC")
    text = str(diff.compare(a, b))
    assert "~ body.0-8: A 8x32x32 -> B 8x32x32" in text
    assert "\n36 layers of parts that are new, gone or another block: --full lists them\n" in text
    assert not [line for line in text.splitlines() if line[:1] in "+-" and ":" in line]
    full = diff.render_text(diff.compare(a, b), full=True).splitlines()
    assert len([line for line in full if line[:1] in ("+", "-") and ": " in line]) == 36
    a, c = (net_of(f"body: {name} 8", blocks=blocks) for name in "AC")
    lines = str(diff.compare(a, c)).splitlines()
    assert [line.split(":")[0] for line in lines if line[:2] in ("- ", "+ ") and ":" in line] == [
        "- body.act",
        "+ body.bn1",
    ]


def test_unlike_nets_have_no_rows_of_zeros() -> None:
    found = diff.compare(net("resnet50"), net("vgg16"))
    rows = [line.split() for line in str(found).splitlines() if line[:2] in ("- ", "+ ")]
    assert rows
    assert not [row for row in rows if ":" not in row[1] and {*row[2:]} == {"0"}]
    assert [
        line for line in diff.render_text(found, full=True).splitlines() if line.split()[-6:] == ["0"] * 6
    ]


def test_equal_changes_of_equal_blocks_are_one() -> None:
    block = "block B(c, k = 3x3):\n    conv1: conv k, c\n    bn1: bn\n"
    before, after = (net_of(f"body: (9 * B 8{k})", blocks=block) for k in ("", ", 5x5"))
    found = diff.compare(before, after)
    lines = [line for line in str(found).splitlines() if line.startswith("~")]
    assert lines == ["~ body.0-8.conv1: conv 3x3, 8: kernel 3x3 -> 5x5"]
    assert (
        len([line for line in diff.render_text(found, full=True).splitlines() if line.startswith("~")]) == 9
    )


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", "resnet18", "resnet34", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0]
        == "**resnet18 (resnet.net) → resnet34 (resnet.net)**: params 21.8M (+86.5%), MACs 3.66G (+102.0%)"
    )
    assert "| params | 11,689,512 | 21,797,672 | +10,108,160 | +86.5% |" in lines
    assert lines.count("```diff") == 1
    assert all(line[0] in "+-!" for line in lines[lines.index("```diff") + 1 : lines.index("```")])
    tables = [line for line in lines if line.startswith("|")]
    assert {line.count(" | ") for line in tables} == {4, 6}


@pytest.mark.parametrize(
    ("before", "after"),
    [("resnet18", "resnet34"), ("vgg16", "vgg11_bn"), ("lenet", "unet"), ("googlenet", "googlenet")],
)
def test_json(before: str, after: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", before, after, "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(value, schema)
    assert value["totals"]["params"]["difference"] == net(after).cost().params - net(before).cost().params
    old = {c["before"] for c in value["changes"]} - {None}
    new = {c["after"] for c in value["changes"]} - {None}
    assert old <= {node.name for node in net(before).graph}
    assert new <= {node.name for node in net(after).graph}


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, channels in (("old", 4), ("new", 8)):
        (tmp_path / folder).mkdir()
        text = f"net N(c = {channels}):\n    input 3, 8x8\n    conv 3x3, c\n"
        (tmp_path / folder / "n.net").write_text(text, encoding="utf-8")
    assert cli.main(["diff", "old/n.net", "new/n.net"]) == 0
    assert "~ 0: conv 3x3, 4: channels 4 -> 8; output 4x8x8 -> 8x8x8" in capsys.readouterr().out
    assert cli.main(["diff", "old/n.net", "new/n.net", "--set", "c=2"]) == 0
    assert capsys.readouterr().out.endswith("no layer differs\n")
    assert cli.main(["diff", "old/n.net"]) == 2
    assert "error[E530]: diff takes two specs, got 1" in capsys.readouterr().err
    assert cli.main(["diff", "old/n.net", "nosuch"]) == 2
    assert "error[E501]" in capsys.readouterr().err


def test_takes_no_time() -> None:
    text = "net Deep:\n    input 8, 8x8\n    body:\n{}        {} * conv 3x3, 8, act=relu\n"
    first = "        conv 5x5, 8\n"
    before, after = (api.loads(text.format(head, 5_000), "d.net", "deep") for head in ("", first))
    start = process_time()
    changes = diff.compare(before, after).changes
    assert [change.after for change in changes if change.kind == "added"] == ["body.0"]
    assert process_time() - start < 10  # it takes 1 s


# ---------------------------------------------------------------- names before contents

UNIT = """\
block Unit(c, p: float):
    conv1: conv 3x3, c
    bn1: bn
    relu
    add:
        identity
        from bn1 -> droppath p
"""


def lines_of(difference: Difference) -> list[str]:
    """Return the lines of the text that say what differs, without the tables."""
    first, *rest = str(difference).split("\n\n")
    return [*first.splitlines()[1:], *(rest[-1].splitlines() if len(rest) > 1 else [])]


@pytest.mark.parametrize(("n", "more"), [(4, 0), (4, 2), (9, -2), (2, 20)])
def test_other_drop_rates_move_nothing(n: int, more: int) -> None:
    text = "body: ({} * Unit 3, ramp(0, {}))"
    found = diff.compare(
        net_of(text.format(n, 0.2), blocks=UNIT), net_of(text.format(n + more, 0.4), blocks=UNIT)
    )
    assert not [change for change in found.changes if change.kind == "moved"]
    changed = [change for change in found.changes if change.kind == "changed"]
    assert [change.before for change in changed] == [change.after for change in changed]
    assert {field.name for change in changed for field in change.fields} == {"p"}
    assert len(
        {(c.after or c.before or "").rsplit(".", 1)[0] for c in found.changes if c not in changed}
    ) == abs(more)


def test_a_schedule_is_a_line_where_names_count_up() -> None:
    before = net("convnext_tiny")
    assert lines_of(diff.compare(before, before.vary("drop", 0.25))) == [
        "parameter drop: 0.1 -> 0.25",
        *(
            f"~ features.{stage}.stochastic_depth: droppath: p ramp(0, 0.1) -> ramp(0, 0.25)"
            for stage in ("1.1-2", "3.0-2", "5.0-8", "7.0-2")
        ),
    ]


def test_the_same_arguments_under_other_names_are_not_moved() -> None:
    """Each rate of dilation but one is there again, a block on: all keys are as they were."""
    block = "block B(d):\n    conv1: conv 3x3, 3, dilation=d\n    bn1: bn\n"
    text = "body:\n    for d in [{}]:\n        B d"
    before, after = (net_of(text.format(ds), blocks=block) for ds in ("1, 2, 4, 8", "2, 4, 8, 16"))
    assert {change.kind for change in diff.compare(before, after).changes} == {"changed"}


STAGES = """\
block B(c):
    conv1: conv 3x3, c, /2
    bn1: bn
    relu
net N:
    input 3, 64x64
    for i, c in enumerate([{}]):
        stage{{i}}: B c
    gap
    head: fc 10
"""


def test_a_row_that_is_put_in_moves_the_stages_behind_it() -> None:
    before, after = (api.loads(STAGES.format(text)) for text in ("8, 16, 32", "8, 12, 16, 32"))
    found = diff.compare(before, after)
    assert [change.after for change in found.changes if change.kind == "added"] == [
        f"stage1.{layer}" for layer in ("conv1", "bn1", "2")
    ]
    assert not [change for change in found.changes if change.kind == "removed"]
    assert "keys of 4 layers moved in the state_dict: stage1.conv1 is stage2.conv1" in lines_of(found)
    assert {(g.was, g.name) for g in found.groups if g.before and g.after} >= {("stage1", "stage2")}


def test_shapes_that_follow_are_with_their_cause() -> None:
    before, after = (api.loads(STAGES.format(text)) for text in ("8, 16, 32", "8, 20, 32"))
    found = diff.compare(before, after)
    causes = {change.after: change.cause for change in found.changes}
    assert causes == {
        "stage1.conv1": "",
        "stage1.bn1": "stage1.conv1",
        "stage1.2": "stage1.conv1",
        "stage2.conv1": "stage1.conv1",
    }
    (line,) = lines_of(found)
    assert line.endswith("channels 16 -> 20; output 16x16x16 -> 20x16x16; shapes of 3 layers follow")
    (change,) = [change for change in found.changes if change.after == "stage2.conv1"]
    assert change.fields == (Field("weight", "32x16x3x3", "32x20x3x3"),)
    larger = api.loads(STAGES.format("8"), inputs={"": (3, 96, 64)})
    found = diff.compare(api.loads(STAGES.format("8")), larger)
    assert {change.cause for change in found.changes} == {"x"}
    assert lines_of(found) == ["input x: 3x64x64 -> 3x96x64", "shapes of 3 layers follow from the above"]


@pytest.mark.parametrize("body", ["(4 * {} 3, 0.1)", "(2 * {} 3, 0.1) -> conv 1x1, 4 -> {} 4, 0"])
def test_a_block_that_is_called_otherwise_is_a_line(body: str) -> None:
    before = net_of("body: (" + body.format("Unit", "Unit") + ")", blocks=UNIT)
    after = net_of("body: (" + body.format("Block", "Block") + ")", blocks=UNIT.replace("Unit", "Block"))
    found = diff.compare(before, after)
    assert (found.groups, found.changes) == ((), ())
    assert lines_of(found) == ["block: Unit -> Block"]
    more = (
        UNIT.replace("Unit", "Block")
        .replace("    relu\n", "    act: relu6\n")
        .replace("bn1: bn", "bn1: bn eps=1e-3")
    )
    found = diff.compare(before, net_of("body: (" + body.format("Block", "Block") + ")", blocks=more))
    assert found.about == (Field("block", "Unit", "Block"),)
    assert not [change for change in found.changes if change.kind == "moved"]


def test_another_activation_is_the_same_line_anywhere() -> None:
    plain = "conv1: conv 3x3, 4\nrelu"
    (change,) = diff.compare(net_of(plain), net_of(plain.replace("relu", "relu6"))).changes
    assert change.fields == (Field("layer", "relu", "relu6"),)
    found = diff.compare(
        net_of("body: (3 * Unit 3, 0.1)", blocks=UNIT),
        net_of("body: (3 * Unit 3, 0.1)", blocks=UNIT.replace("relu", "relu6")),
    )
    assert lines_of(found) == ["~ body.0-2.2: relu: layer relu -> relu6"]


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("conv 3x3, 4", "conv 3x3, 4, pad=1", True),
        ("conv 3x5, 4", "conv 3x5, 4, pad=1x2", True),
        ("conv 3x3, 4, dilation=2", "conv 3x3, 4, dilation=2x2, pad=2", True),
        ("conv 3x3, 4, /2", "conv 3x3, 4, stride=2x2, pad=1", True),
        ("conv 3x3, 4", "conv 3x3, 4, pad=tf", True),
        ("maxpool 2x2", "maxpool 2x2, /2", True),
        ("maxpool 3x3, /2, pad=1", "maxpool 3x3, /2, pad=same", True),
        ("conv 3x3, 4", "conv 3x3, 4, pad=0", False),
        ("conv 3x3, 4, /2", "conv 3x3, 4, /2, pad=tf", False),
        ("conv 5x5, 4, pad=1", "conv 3x3, 4, pad=same", False),
        ("maxpool 2x2", "maxpool 2x2, /1", False),
    ],
)
def test_what_computes_the_same_does_not_differ(before: str, after: str, same: bool) -> None:
    assert diff.compare(net_of(f"k: {before}"), net_of(f"k: {after}")).same is same


# ---------------------------------------------------------------- beside layers

TWO = """\
net N:
    input a: 3, 8x8
    input b: 3, 8x8
    output l: from a -> conv 3x3, 4 as u
    output m: from b -> conv 3x3, 4 as v
    from u, v -> add
"""


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            "    input a: 3, 8x8\n    input b: 3, 8x8",
            "    input b: 3, 8x8\n    input a: 3, 8x8",
            ["inputs: a, b -> b, a"],
        ),
        ("l:", "k:", ["outputs: out, l, m -> out, k, m"]),
        ("net N", "net M", ["net: n -> m", "class: N -> M"]),
        (
            "net N",
            "net N(c = 3)",
            ["parameter c: none -> 3", "warning L604 is new: the parameter `c` of N is never read"],
        ),
        ("    from u", "    require params <= 1M\n    from u", ["require: none -> params <= 1M"]),
        ("    from u", '    meta arxiv="1"\n    from u', ['meta arxiv: none -> "1"']),
        ("    from u", "    init conv bias=zeros\n    from u", None),
    ],
)
def test_what_is_said_of_no_layer(old: str, new: str, lines: list[str] | None) -> None:
    before, after = api.loads(TWO), api.loads(TWO.replace(old, new))
    found = diff.compare(before, after)
    assert not found.same
    assert not diff.compare(after, before).same
    assert "no layer differs" not in str(found)
    assert "No layer differs" not in diff.render_markdown(found)
    assert lines_of(found) == (lines or lines_of(found)) != []


def test_outputs_that_are_other_values() -> None:
    swapped = TWO.replace(" l:", " x:").replace(" m:", " l:").replace(" x:", " m:")
    assert lines_of(diff.compare(api.loads(TWO), api.loads(swapped)))[0] == "outputs: out, l, m -> out, m, l"
    two = "u: conv 3x3, 4\nv: conv 3x3, 4\noutput l: from {}\noutput m: from {}"
    found = diff.compare(net_of(two.format("u", "v")), net_of(two.format("v", "u")))
    assert lines_of(found) == ["return l: u -> v", "return m: v -> u"]


def test_budgets_of_a_number_with_a_name() -> None:
    text = "net N(most = {}):\n    input 3, 8x8\n    k: conv 3x3, 4\n    require params <= most\n"
    found = diff.compare(api.loads(text.format("5_000")), api.loads(text.format("6_000")))
    assert "require: params <= most where most = 5000 -> params <= most where most = 6000" in lines_of(found)


@pytest.mark.parametrize("init", ["zeros", "", "kaiming_normal(fan_in)"])
def test_inits(init: str) -> None:
    def made(what: str) -> Network:
        line = f"init conv weight={what}\n" if what else ""
        return net_of(f"{line}body: (3 * Unit 3, 0.1)\nlast: conv 1x1, 4", blocks=UNIT)

    found = diff.compare(made("kaiming_normal(fan_out)"), made(init))
    assert {change.fields[0].name for change in found.changes} == {"init weight"}
    (line,) = lines_of(found)
    assert line.startswith("~ 4 conv, body.0.conv1 to last: init weight kaiming_normal(fan_out, relu) -> ")
    alone = net_of("init fc weight=zeros\ngap\nlast: fc 4")
    assert lines_of(diff.compare(alone, net_of("gap\nlast: fc 4"))) == [
        "~ last: fc 4: init weight zeros -> default"
    ]


def test_the_order_of_the_state() -> None:
    text = "{}\n{}\nfrom u, v -> add"
    u, v = "from x -> conv 3x3, 4 as u", "from x -> conv 3x3, 4 as v"
    found = diff.compare(net_of(text.format(u, v)), net_of(text.format(v, u)))
    assert "order of the state_dict: u first -> v first" in lines_of(found)


def test_findings_that_are_new() -> None:
    text = "conv1: conv 3x3, 8\nbn1: bn\n{}conv2: conv 3x3, {}\nrelu\ngap\nhead: fc 4"
    before = net_of(text.format("", 8))
    assert "L202" in {found.code for found in before.lint()}  # the bias before a norm
    assert not diff.compare(before, net_of(text.format("", 9))).findings  # it was there
    further = net_of("a: conv 1x1, 4\nrelu\n" + text.format("", 8))
    assert not diff.compare(before, further).findings
    worse = diff.compare(before, net_of(text.format("", 8).replace("relu", "bn2: bn\nrelu")))
    assert [(found.code, found.hit.layer) for found in worse.findings] == [("L202", "conv2")]
    (line,) = [line for line in lines_of(worse) if " is new" in line]
    assert line.startswith("info L202 is new at conv2: the bias of conv2")
    assert line[:20] in diff.render_markdown(worse)
    assert diff.render_json(worse)["findings"][0]["code"] == "L202"
    assert not diff.compare(worse.after, before).findings


# ---------------------------------------------------------------- the command


def test_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "net N:\n    input 3, 8x8\n    conv 3x3, {}\n    {}\n"
    for name, channels, more in (("a", 4, ""), ("b", 5, ""), ("c", 4, "require params <= 1K")):
        Path(f"{name}.net").write_text(text.format(channels, more), encoding="utf-8")
    for other, status in (("a", 0), ("b", 1), ("c", 1)):
        assert cli.main(["diff", "./a.net", f"./{other}.net"]) == 0
        assert cli.main(["diff", "./a.net", f"./{other}.net", "--exit-code"]) == status
        capsys.readouterr()
        assert cli.main(["diff", "./a.net", f"./{other}.net", "--exit-code", "--format", "json"]) == status
        assert json.loads(capsys.readouterr().out)["same"] is not status


def test_nets_of_two_files_are_paired_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "net N(c):\n    input 3, 8x8\n    conv 3x3, c\n"
    Path("a.net").write_text(
        f"{text}variant n1 = N(2)\nvariant n2 = N(3)\nvariant n3 = N(4)\n", encoding="utf-8"
    )
    Path("b.net").write_text(
        f"{text}variant n4 = N(4)\nvariant n2 = N(5)\nvariant n1 = N(2)\n", encoding="utf-8"
    )
    assert cli.main(["diff", "./a.net", "./b.net", "--exit-code"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("n2 (a.net) -> n2 (b.net)\n")
    assert out.endswith("\n\n- n3: the net is gone\n+ n4: the net is new\nnothing differs in n1\n")
    assert cli.main(["diff", "./a.net", "./b.net", "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    jsonschema.validate(value, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert [(one["after"]["net"], one["same"]) for one in value["nets"]] == [("n1", True), ("n2", False)]
    assert (value["removed"], value["added"]) == (["n3"], ["n4"])
    assert cli.main(["diff", "./a.net", "./b.net:n2"]) == 0
    assert capsys.readouterr().out.startswith("n2 (a.net) -> n2 (b.net)\n")
    assert cli.main(["diff", "./a.net", "./a.net", "--exit-code"]) == 0
    assert capsys.readouterr().out == "nothing differs in n1, n2, n3\n"
    Path("c.net").write_text(f"{text}variant n5 = N(4)\n", encoding="utf-8")
    assert cli.main(["diff", "./a.net", "./c.net"]) == 2
    assert "= help: choose two: netdsl diff a.net:n1 c.net:n5" in capsys.readouterr().err


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a repository with two commits of `nets/n.net`, which imports a block, and a third text of it."""
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    git = ["git", "-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    Path("nets").mkdir()
    text = 'import B from "blocks.net"\nnet N:\n    input 3, 8x8\n    body: B {}\n'
    for channels in (2, 3, 4):
        Path("nets/n.net").write_text(text.format(channels), encoding="utf-8")
        kernel = f"{channels}x{channels}"
        Path("nets/blocks.net").write_text(
            f"block B(c):\n    conv1: conv {kernel}, c, pad=0\n", encoding="utf-8"
        )
        if channels < 4:
            subprocess.run([*git, "add", "."], check=True)
            subprocess.run([*git, "commit", "--quiet", "--message", "m"], check=True)
    return tmp_path


def test_revisions(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def line(before: str, after: str) -> str:
        assert cli.main(["diff", before, after]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    change = "~ body.conv1: conv {0}x{0}, {0}, pad=0: kernel {0}x{0} -> {1}x{1}; channels {0} -> {1}"
    assert line("HEAD:nets/n.net", "nets/n.net").startswith(change.format(3, 4))
    assert line("HEAD~1:nets/n.net:n", "nets/n.net:n").startswith(change.format(2, 4))
    assert line("HEAD~1:nets/n.net", "HEAD:nets/n.net").startswith(change.format(2, 3))
    monkeypatch.chdir(repository / "nets")
    assert line("HEAD:./n.net", "n.net").startswith(change.format(3, 4))
    assert line("HEAD:nets/n.net", "HEAD:nets/n.net") == "no layer differs"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("HEAF:nets/n.net", "error[E533]: there is no revision `HEAF`\n  = help: did you mean `HEAD`?"),
        ("--help:nets/n.net", "error[E533]: there is no revision `--help`"),
        ("$(touch x):nets/n.net", "error[E533]: there is no revision `$(touch x)`"),
        (
            "HEAD:n.net",
            "there is no file n.net at HEAD\n  = help: paths are from the root of the repository: HEAD:nets/n.net",
        ),
        ("HEAD:nets/m.net", "there is no file nets/m.net at HEAD\n  = help: did you mean `HEAD:nets/n.net`?"),
        ("HEAD:../n.net", "there is no file ../n.net at HEAD"),
        ("HEAD:nets/n.net:m", "error[E502]: HEAD:nets/n.net has no net or variant `m`"),
    ],
)
def test_revisions_that_are_not_there(
    spec: str, said: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["diff", "--", spec, "nets/n.net"]) == 2
    assert said in capsys.readouterr().err
    assert not (repository / "x").exists()


def test_revisions_without_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert cli.main(["diff", "HEAD:n.net", "lenet"]) == 2
    assert "error[E533]: cannot read HEAD:n.net: not a git repository" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "")
    assert cli.main(["diff", "HEAD:n.net", "lenet"]) == 2
    assert "git: no such file" in capsys.readouterr().err


LABELLED = """
block B(c):
    add:
        conv 3x3, c as conv1 -> bn as bn1 -> relu as act1 -> dwconv 3x3 as dw -> relu6 as act2
        identity
    relu as act3

net N:
    input 8, 16x16
    body: 9 * B 8
    gap as pool -> fc 5 as fc
"""
PLAIN = """
block B(c):
    add:
        from flow
        conv 3x3, c as conv1 -> bn as bn1 -> relu -> conv 3x3, c, groups=8 as dw -> relu6
    relu

net N:
    input 8, 16x16
    body: 9 * B 8
    gap -> fc 5 as fc
"""


def test_what_has_no_key_is_matched_by_its_place() -> None:
    """A lifted spec has no labels for what has no weights, and depthwise convolutions may be `conv` there."""
    before = api.loads(LABELLED)
    kept = diff.compare(before, api.loads(PLAIN))
    assert {change.layer for change in kept.changes} == {"identity"}
    other = diff.compare(before, api.loads(PLAIN.replace("relu6", "silu")))
    lines = str(other).splitlines()
    assert lines[-1] == "~ 9 relu6, body.0.4 to body.8.4: layer relu6 -> silu"


def test_what_changed_in_all_layers_of_an_op_is_said_once() -> None:
    text = "net N:\n    input 4, 16x16\n    a: conv 3x3, 4 -> bn -> relu\n    b: conv 3x3, 6 -> bn -> relu\n"
    text += "    c: conv 3x3, 4 -> bn\n    d: conv 3x3, 8 -> bn\n"
    lines = str(diff.compare(api.loads(text), api.loads(text.replace("bn", "bn momentum=0.03")))).splitlines()
    assert lines[-1] == "~ 4 bn, a.1 to d.1: momentum 0.1 -> 0.03"
    some = str(
        diff.compare(api.loads(text), api.loads(text.replace("bn -> relu", "bn momentum=0.03 -> relu")))
    )
    assert "~ a.1: bn: momentum 0.1 -> 0.03" in some.splitlines()
