"""The paper's GoogLeNet has the costs of its Table 1, stage by stage."""

import json
from pathlib import Path
from typing import Any

import pytest

import netdsl

PAPERS = Path(__file__).parent / "reference" / "papers.json"
ROWS = [
    row
    for row in json.loads(PAPERS.read_text(encoding="utf-8"))["rows"]
    if row["model"].startswith("GoogLeNet ")
]
NET = netdsl.load("googlenet_2014.net:googlenet_2014")
PARTS = {"conv7x7/2": ("conv1",), "conv3x3(+reduce)": ("conv2", "conv3"), "linear": ("fc",)}
"""Labels in the spec, where they are not the paper's."""


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['model']} {row['quantity']}" for row in ROWS])
def test_a_stage_has_the_costs_of_the_table(row: dict[str, Any]) -> None:
    """The paper counts no biases, and 1024 as K; some of its rows do not follow from their own widths."""
    stage = row["model"].partition(" ")[2]
    parts = PARTS.get(stage, (stage.replace(" ", ""),))
    layers = [name for name in NET.layer_costs if name.split(".")[0] in parts]
    if row["quantity"] == "ops(M)":
        found = sum(NET.layer_costs[name].macs for name in layers) / 1e6
    else:
        weights = [f"{name}.weight" for name in layers if f"{name}.weight" in NET.parameters]
        found = sum(NET.parameters[key].elements for key in weights) / 1024
    assert found == row["computed"]
    if row["suggested_rel_tol"] is not None:
        assert found == pytest.approx(row["published"], rel=row["suggested_rel_tol"])


def test_every_stage_is_held_to_the_table() -> None:
    assert len(ROWS) == 24
    assert NET.cost().macs == 1_582_671_872
