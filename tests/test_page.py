"""What the playground asks of the compiler: the same facts as anywhere else, at places as a browser counts them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from netdsl import api, data, diff
from netdsl.cost.table import human
from netdsl.ide import page

NET = """\
net A(c = 4):
    input 3, 8x8
    require params <= 100
    conv1: conv 3x3, c
    gap
    fc: fc 2
"""


def asked(what: str, **more: Any) -> Any:
    said = json.loads(page.answer(json.dumps({"what": what, **more})))
    assert "errors" not in said, said
    return said["value"]


def wrong(what: str, **more: Any) -> list[dict[str, Any]]:
    said = json.loads(page.answer(json.dumps({"what": what, **more})))
    assert "value" not in said
    found: list[dict[str, Any]] = said["errors"]
    return found


def utf16(text: str, start: int, end: int) -> str:
    """Return the characters between two offsets of JavaScript."""
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "unet", "vit_b_16"])
def test_facts_are_those_of_the_net(name: str) -> None:
    net = api.load(name)
    text = data.read("specs", net.spec)
    found = asked("analysis", text=text, net=name)
    assert (found["net"], found["diagnostics"]) == (name, [])
    cost = net.cost()
    assert found["totals"]["said"] == f"{human(cost.params)} params \u00b7 {human(cost.macs)} MACs"
    assert all(budget["holds"] for budget in found["budgets"])
    # the parts of all lines that are no bodies, and are not called by others, are the whole
    assert 0.99 < max(line["params"]["share"] for line in found["lines"] if line["params"]) * 100
    for backend in ("torch", "flax"):
        made = asked("emitted", text=text, net=name, backend=backend)
        assert made["text"].replace("spec.net", net.spec) == net.emit(backend)
    table = asked("table", text=text, net=name, by="layer")
    folded = sum(row["count"] for row in table["rows"])
    assert folded == len(net.cost_table("layer"))
    assert (
        table["total"][[one["title"] for one in table["columns"]].index("params")]["exact"]
        == f"{cost.params:,}"
    )
    assert asked("graph", text=text, net=name)["svg"].startswith("<svg")
    assert asked("report", text=text, net=name)["html"].startswith("<!DOCTYPE html>")


def test_a_line_has_what_begins_in_it() -> None:
    lines = {line["line"]: line for line in asked("analysis", text=NET)["lines"]}
    net = api.loads(NET)
    assert lines[4]["params"]["exact"] == f"{net.layer_costs['conv1'].params:,}"
    assert lines[4]["macs"]["exact"] == f"{net.layer_costs['conv1'].macs:,}"
    assert lines[4]["shapes"] == "4x8x8"
    assert lines[4]["params"]["share"] == net.layer_costs["conv1"].params / net.cost().params


def test_lines_that_the_net_does_not_reach_are_as_another_has_them() -> None:
    text = "net A(deep = false):\n    input 3, 8x8\n    if deep:\n        conv 3x3, 4\n    relu\n\n"
    text += "variant shallow = A()\nvariant deep = A(deep=true)\n\nnet B:\n    input 1, 4x4\n    tanh\n"
    first = asked("analysis", text=text, net="shallow")
    assert first["further"] == ["deep", "b"]
    assert 4 not in {line["line"] for line in first["lines"]}
    second = asked("analysis", text=text, net="shallow", others=["deep"])
    assert second["further"] == ["b"]
    lines = {line["line"]: line for line in second["lines"]}
    assert (lines[4]["net"], lines[4]["shapes"], lines[4]["params"]["share"]) == ("deep", "4x8x8", 0)
    assert [lines[at]["net"] for at in (2, 5)] == ["", ""]
    assert lines[5]["shapes"] == "3x8x8"
    third = asked("analysis", text=text, net="shallow", others=["deep", "gone", "b"])
    assert third["further"] == []
    assert {line["line"]: line["net"] for line in third["lines"]}[12] == "b"
    assert {**third, "lines": [], "further": []} == {**first, "lines": [], "further": []}
    assert asked("analysis", text=NET)["further"] == []


def test_bodies_have_sums_and_no_part_of_the_whole() -> None:
    text = "net A:\n    input 4, 8x8\n    add:\n        a: conv 3x3, 4\n        identity\n"
    lines = {line["line"]: line for line in asked("analysis", text=text)["lines"]}
    assert lines[3]["params"]["exact"] == lines[4]["params"]["exact"]
    assert (lines[3]["params"]["share"], lines[4]["params"]["share"]) == (0, 1)


@pytest.mark.parametrize("before", ["", "# \u00e9\u2026\n", "# \U0001f600\U0001f600 x\n\n"])
def test_places_are_those_of_javascript(before: str) -> None:
    text = before + NET.replace("conv 3x3", "cnov 3x3")
    (one,) = asked("analysis", text=text)["diagnostics"]
    assert utf16(text, one["from"], one["to"]) == "cnov"
    assert text.split("\n")[one["line"] - 1].lstrip().startswith("conv1: cnov")
    at = len(text[: text.index("gap")].encode("utf-16-le")) // 2
    told = asked("told", text=text, net="a", at=at + 1)
    assert utf16(text, told["from"], told["to"]) == "gap"
    found = asked("completions", text=text.replace("gap", "maxp"), at=at + 4)
    assert utf16(text.replace("gap", "maxp"), found["from"], found["to"]) == "maxp"
    assert "maxpool" in [item["label"] for item in found["items"]]


def test_syntax_and_meaning_are_wrong_at_once() -> None:
    text = NET.replace("fc: fc 2", "fc: fcc 2").replace("conv1: conv 3x3, c", "conv1: conv 3x3 c")
    found = asked("analysis", text=text)
    assert {one["line"] for one in found["diagnostics"]} == {4, 6}
    assert found["totals"] is None
    assert all(line["line"] <= 3 for line in found["lines"] if line["shapes"])  # what follows is not known


def test_budgets_say_how_it_stands() -> None:
    assert asked("analysis", text=NET)["budgets"] == [
        {"said": "params <= 100", "holds": False, "facts": ["params 122 > 100"]}
    ]
    assert asked("analysis", text=NET.replace("100", "200"))["budgets"][0]["holds"]


def test_differences_are_those_of_the_command() -> None:
    after = NET.replace("c = 4", "c = 8")
    found = asked("difference", before=NET, text=after, net="a")
    expected = diff.render_text(diff.compare(api.loads(NET, "spec.net"), api.loads(after, "spec.net")))
    assert found["text"] == expected
    said = asked("difference", before="net A:\n    input 3, 8x8\n    cnov 3x3, 4\n", text=after, net="a")
    assert [(one["line"], one["code"]) for one in said["errors"]] == [(3, "E201")]


def test_fixes_give_a_text_in_which_nothing_is_found() -> None:
    text = "net A:\n    input 3, 8x8\n    a: conv 3x3, 8, bias=false -> bn -> relu -> relu\n    gap\n    fc: fc 2\n"
    found = asked("lint", text=text)
    fixes = [one["fix"] for one in found if one["fix"] and one["fix"]["safe"]]
    assert fixes
    for edit in sorted((edit for fix in fixes for edit in fix["edits"]), key=lambda one: -one["from"]):
        text = text[: edit["from"]] + edit["insert"] + text[edit["to"] :]
    left = asked("lint", text=text)
    assert not any(one["fix"] and one["fix"]["safe"] for one in left)


def test_search_spaces_have_a_report_and_say_what_they_are() -> None:
    text = data.read("specs", "search.net")
    found = asked("analysis", text=text)
    assert found["totals"] is None
    assert [one["severity"] for one in found["diagnostics"] if one["severity"] == "error"] == []
    assert "search" in asked("report", text=text, net=found["net"])["html"]
    assert [one["code"] for one in wrong("table", text=text, net=found["net"])] == ["E217"]


def test_what_is_asked_for_in_vain_is_an_answer() -> None:
    assert [
        one["code"] for one in wrong("table", text="net A:\n    input 3, 8x8\n    cnov 3x3\n", net="")
    ] == ["E201"]
    assert [one["code"] for one in wrong("emitted", text=NET, net="a", backend="keras")] == ["E506"]
    assert wrong("formatted", text="net (:\n")[0]["line"] == 1


def test_nothing_is_imported_that_a_browser_lacks() -> None:
    """Nor networkx, which would double what is loaded, nor lark, which only makes tables."""
    script = f"""
import json, sys
absent = "ssl subprocess multiprocessing networkx lark argparse torch jax".split()
sys.modules.update(dict.fromkeys(absent))
from netdsl.ide import page
for what, more in {{"analysis": {{}}, "table": {{}}, "graph": {{}}, "report": {{}},
                   "emitted": {{"backend": "torch"}}, "difference": {{"before": {NET!r}}}}}.items():
    said = json.loads(page.answer(json.dumps({{"what": what, "text": {NET!r}, "net": "a", **more}})))
    assert "value" in said, said
assert "value" in json.loads(page.answer(json.dumps({{"what": "lint", "text": {NET!r}}})))
"""
    subprocess.run([sys.executable, "-c", script], check=True)
