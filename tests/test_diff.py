"""What `netdsl diff` says of two nets: totals, rows, layers, and which layer became which."""

from __future__ import annotations

import json
import re
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
            ["removed features.0 None", "removed features.1 None", "moved features.2 features.0"],
        ),
        (
            "conv 5x5, 8 -> relu -> conv 3x3, 16 -> relu -> maxpool 2x2",
            ["changed features.0 features.0 kernel:3x3:5x5"],
        ),
        (
            "conv 3x3, 8 -> gelu -> conv 3x3, 16 -> relu -> maxpool 2x2",
            ["removed features.1 None", "added None features.1"],
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
~ features.3 (was features.2): conv 3x3, 16: kernel 3x3 -> 5x5"""
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
~ features.3 (was features.2): conv 3x3, 16: kernel 3x3 -> 5x5"""
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
    assert text.endswith("36 layers of parts that are new, gone or another block: --full lists them")
    assert not [line for line in text.splitlines() if line[:1] in "+-" and ":" in line]
    full = diff.render_text(diff.compare(a, b), full=True).splitlines()
    assert len([line for line in full if line[:1] in ("+", "-") and ": " in line]) == 36
    a, c = (net_of(f"body: {name} 8", blocks=blocks) for name in "AC")
    lines = str(diff.compare(a, c)).splitlines()
    assert [line.split(":")[0] for line in lines if ":" in line] == ["- body.act", "+ body.bn1"]


def test_unlike_nets_have_no_rows_of_zeros() -> None:
    found = diff.compare(net("resnet50"), net("vgg16"))
    rows = [line.split() for line in str(found).splitlines() if line[:2] in ("- ", "+ ")]
    assert rows
    assert not [row for row in rows if ":" not in row[1] and {*row[2:]} == {"0"}]
    assert [line for line in diff.render_text(found, full=True).splitlines() if line.split()[2:] == ["0"] * 6]


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
