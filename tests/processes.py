"""Several processes that work together, as torchrun starts them: each with its rank, and the address of the first."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from torch_oracles import ENVIRONMENT

SECONDS = 240
"""How long they may take altogether; what takes longer hangs."""


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(count: int, script: Path, *arguments: str) -> list[subprocess.Popen[str]]:
    """Start a script once for each rank; who calls ends them: see `finish`."""
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    tests = str(Path(__file__).parent)
    paths = os.pathsep.join([tests, *sys.path])
    return [
        subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env=ENVIRONMENT
            | group
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def finish(running: Sequence[subprocess.Popen[str]], seconds: float = SECONDS) -> list[tuple[int, str, str]]:
    """Return by rank the exit status, and what was printed on both streams; none is left running."""
    try:
        ended = [process.communicate(timeout=seconds) for process in running]
        return [
            (process.returncode, out, errors) for process, (out, errors) in zip(running, ended, strict=True)
        ]
    finally:
        for process in running:
            process.kill()
            process.wait()


def run(count: int, script: Path, *arguments: str) -> list[str]:
    """Run a script once for each rank; return what each has printed."""
    ended = finish(start(count, script, *arguments))
    assert [status for status, _, _ in ended] == [0] * count, "\n".join(errors for _, _, errors in ended)
    return [out for _, out, _ in ended]
