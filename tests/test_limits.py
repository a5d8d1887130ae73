"""Every limit bites: whatever a text says, a command ends within 5 s and 1 GB, with little to say."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest
from hostile import TEXTS

SECONDS, BYTES = 5, 2**30
MOST = 12_000
"""The most characters that a command says of one wrong file."""


def limited() -> None:
    """Give a process this time of a processor, and memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


@pytest.mark.parametrize("name", TEXTS)
def test_a_command_ends_in_time_with_a_few_lines(name: str) -> None:
    command = [sys.executable, "-m", "netdsl", "check", "-"]
    done = subprocess.run(
        command, input=TEXTS[name](), text=True, capture_output=True, preexec_fn=limited, env=os.environ
    )
    said = done.stdout + done.stderr
    assert done.returncode in (0, 1), said[-2000:]
    assert "Traceback" not in said
    assert len(said) <= MOST
    assert max(map(len, said.splitlines())) <= 2_000
