"""Nets of the zoo have the sizes that papers, and their authors, print."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import pytest
from papers import COVERED, ELSEWHERE, NETS, NOT_COVERED, ROWS, key

import netdsl
from netdsl import Network
from netdsl.ir.graph import Node


@cache
def load(name: str, *params: tuple[str, Any]) -> Network:
    return netdsl.load(name, **dict(params))


def params(net: Network) -> int:
    """Return the params of evaluation."""
    table = net.cost_table()
    return table.total.params - table.training_params


def kind(node: Node) -> str:
    """Return what MobileNet's Table 2 calls a layer with weights."""
    if node.op.name == "fc":
        return "Fully connected"
    return f"Conv {'DW ' if node.op.name == 'dwconv' else ''}{node.op.kernel}"


def share(net: Network, layers: str, quantity: str) -> float:
    """Return a kind of layer's percentage of the multiply-adds, or of the weights without batch norm's."""
    counts: Counter[str] = Counter()
    for node in net.graph:
        if node.op.name in ("conv", "dwconv", "fc"):
            weights = net.parameters[f"{node.name}.weight"].elements
            counts[kind(node)] += weights if quantity == "param %" else net.layer_costs[node.name].macs
    return round(100 * counts[layers] / counts.total(), 2)


def measured(row: dict[str, Any]) -> float:
    """Return what a net of the zoo has of a row's quantity."""
    name, settings, less = NETS[key(row)]
    net, quantity = load(name, *settings.items()), row["quantity"]
    if quantity.endswith("%"):
        return share(net, row["model"].partition("Table 2 ")[2], quantity)
    return {"params": params(net), "macs": net.cost().macs}[quantity] - (less(net, quantity) if less else 0)


@pytest.mark.parametrize("row", COVERED, ids=[f"{row['model']} {row['quantity']}" for row in COVERED])
def test_a_net_is_as_large_as_printed(row: dict[str, Any]) -> None:
    """What was computed of the printed description is exact; the printed number is rounded, or counts more."""
    found = measured(row)
    assert found == row["computed"]
    if row["suggested_rel_tol"] is not None:
        assert found == pytest.approx(row["published"], rel=row["suggested_rel_tol"])


def test_every_row_has_a_net_or_a_reason() -> None:
    assert len(ROWS) == 185
    for row in ROWS:
        found = [key(row) in NETS, row["model"] in ELSEWHERE, row["model"] in NOT_COVERED]
        assert found.count(True) == 1, row["model"]
    assert {key(row) for row in COVERED} == set(NETS)
    assert {*NOT_COVERED, *ELSEWHERE} < {row["model"] for row in ROWS}


def test_u_net_has_the_maps_of_the_papers_figure() -> None:
    net = load("unet")
    assert (net.inputs["x"], net.outputs["out"]) == ((1, 572, 572), (2, 388, 388))
    assert net.shapes["mid.3"] == (1024, 28, 28)
