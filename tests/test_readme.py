"""README.md says what is so: its commands print what it shows, its snippets run, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from torch_oracles import ENVIRONMENT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.M | re.S)


def test_the_spec_is_the_packaged_one() -> None:
    assert blocks("net") == [(ROOT / "specs" / "lenet.net").read_text()]


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.partition("\n")[0])
def test_commands_print_what_is_shown(block: str, tmp_path: Path) -> None:
    command, _, shown = block.removeprefix("$ ").partition("\n")
    program, *arguments = shlex.split(command)
    assert program == "netdsl"
    run = [sys.executable, "-m", "netdsl", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, env=ENVIRONMENT, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == shown


def test_the_python_example_prints_what_is_shown(tmp_path: Path) -> None:
    (code,) = blocks("python")
    (shown,) = blocks("text")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == shown


def test_the_set_up_commands_are_targets() -> None:
    (block,) = blocks("sh")
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", block, flags=re.M)
    assert targets == ["demo", "test"]
    assert [t for t in targets if not re.search(rf"^{t}:", makefile, flags=re.M)] == []


@pytest.mark.parametrize("file", ["README.md", "backends/README.md", "benchmarks/README.md"])
def test_links_lead_to_files(file: str) -> None:
    page = ROOT / file
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
