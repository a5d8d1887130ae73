"""Node.js in tests: what is run in it is installed as the lock files have it."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
WITHOUT = "NETDSL_WITHOUT_NODE" in os.environ
"""Whether it, or what is run in it, cannot be installed."""
NEEDED = "CI" in os.environ and not WITHOUT
"""Where a change is checked before it is merged, it is a fault to go without."""
needs_node = pytest.mark.skipif(
    WITHOUT or (NODE is None and not NEEDED), reason="no Node.js: apt-get install nodejs npm"
)


def installed(folder: Path) -> Path:
    """Return a folder with the packages of its lock file."""
    lock = folder / "package-lock.json"
    stamp = folder / "node_modules" / ".installed"
    with open(lock, "rb") as wanted:
        fcntl.flock(wanted, fcntl.LOCK_EX)  # one process of those that test
        if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts"], cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            stamp.write_bytes(lock.read_bytes())
    return folder


if __name__ == "__main__":
    root = Path(__file__).parent.parent
    for name in ("playground", "tests/editors", "editors/vscode"):
        installed(root / name)
