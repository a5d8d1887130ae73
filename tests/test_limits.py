"""Every limit bites: whatever a text says, a command ends within 5 s and 1 GB, with little to say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hostile import TEXTS, limited

SECONDS, BYTES = 5, 2**30
MOST = 12_000
"""The most characters that a command says of one wrong file."""


@pytest.mark.parametrize("name", TEXTS)
def test_a_command_ends_in_time_with_a_few_lines(name: str) -> None:
    command = limited([sys.executable, "-m", "netdsl", "check", "-"], SECONDS, BYTES)
    done = subprocess.run(command, input=TEXTS[name](), text=True, capture_output=True)
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1), said[-2000:]
    assert "Traceback" not in said
    assert len(said) <= MOST
    assert max(map(len, said.splitlines())) <= 2_000
