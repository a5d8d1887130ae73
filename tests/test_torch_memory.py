"""What the benchmarks measure without a clock is held here too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch_oracles import TORCHVISION

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))


@pytest.mark.parametrize("name", TORCHVISION)
def test_needs_no_more_memory_than_torchvision(name: str) -> None:
    from memory import measure

    for ours, theirs in measure(name):
        assert 0 < ours <= theirs
