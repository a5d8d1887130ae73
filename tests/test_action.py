"""The GitHub Action and the pre-commit hooks: what they run exists, and does on a small repository what it should."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import netdsl
from netdsl import cli

PACKAGE = Path(netdsl.__file__).parent
ROOT = Path(__file__).parents[1]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
BEFORE = """\
net N(c = 8):
    input 3, 32x32
    features: (conv 3x3, c, bias=false -> bn -> relu -> gap)
    head: fc 10
net Same():
    input 3, 8x8
    conv 3x3, 4
"""
AFTER = BEFORE.replace("c = 8", "c = 16")


# ---------------------------------------------------------------- hooks


def test_hooks() -> None:
    assert [hook["id"] for hook in HOOKS] == ["netdsl-fmt", "netdsl-lint", "netdsl-check"]
    for hook in HOOKS:
        assert set(hook) == {"id", "name", "description", "entry", "language", "files"}
        assert hook["language"] == "python"  # pre-commit installs this project by pip
        assert re.search(hook["files"], "nets/a.net")
        assert not re.search(hook["files"], "a.network")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_what_a_hook_runs(hook: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program, *arguments = hook["entry"].split()
    assert program == "netdsl"
    (tmp_path / "good.net").write_text("net N:\n    input 3, 8x8\n    conv 3x3, 4\n", encoding="utf-8")
    (tmp_path / "bad.net").write_text("net N:\n    input 3, 8x8\n    conv 3x3 4\n", encoding="utf-8")
    assert cli.main([*arguments, "good.net"]) == 0
    assert cli.main([*arguments, "good.net", "bad.net"]) == 1


# ---------------------------------------------------------------- the action


def test_metadata() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS.values():
        assert "uses" in step or step["shell"] == "bash"
        # an expression in a script would be text of a pull request in a shell
        assert "${{" not in step.get("run", "")
    used = re.findall(r"inputs\.([\w-]+)", (ROOT / "action.yml").read_text(encoding="utf-8"))
    assert set(used) == set(ACTION["inputs"])
    assert all(value["description"] and "default" in value for value in ACTION["inputs"].values())


class Repository:
    """A git repository with specs, in which steps of the action run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "checkout"
        self.folder.mkdir()
        self.summary = folder / "summary.md"
        commands = folder / "bin"
        commands.mkdir()
        for name, what in (("netdsl", "-m netdsl"), ("python", "")):
            (commands / name).write_text(
                f'#!/bin/sh\nexec "{sys.executable}" {what} "$@"\n', encoding="utf-8"
            )
            (commands / name).chmod(0o755)
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_"))},
            "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{PACKAGE.parent}{os.pathsep}{ROOT / 'backends'}",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }
        self.git("init", "--quiet")

    def git(self, *args: str) -> str:
        """Run git as somebody, and return what it prints."""
        who = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
        done = subprocess.run(
            ["git", *who, *args],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Write specs, commit them, and return the commit."""
        for name, text in files.items():
            path = self.folder / f"{name.replace('__', '/')}.net"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "m")
        return self.git("rev-parse", "HEAD")

    def run(self, step: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Run a step as GitHub does, with these inputs or their defaults."""
        values: dict[str, Any] = {k: v["default"] for k, v in ACTION["inputs"].items()} | {"base": ""}
        values |= {name.replace("_", "-"): value for name, value in inputs.items()}
        env = {
            key: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], text)
            for key, text in STEPS[step]["env"].items()
        }
        script = self.folder.parent / "step.sh"
        script.write_text(STEPS[step]["run"], encoding="utf-8")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder,
            env=self.environment | env,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Give an empty repository."""
    return Repository(tmp_path)


def test_lint_annotates(repository: Repository) -> None:
    repository.commit(good=BEFORE)
    done = repository.run("Lint", fail_on="error")
    assert (done.returncode, done.stderr) == (0, "")
    repository.commit(nets__bad="net N:\n    input 3, 8x8\n    conv 3x3 4\n")
    done = repository.run("Lint", fail_on="error")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert "file=./nets/bad.net" in line or "file=nets/bad.net" in line
    assert "line=3" in line
    assert repository.run("Lint", specs="good.net", fail_on="error").returncode == 0
    done = repository.run("Lint", specs="nothing/*.net\nmore.net")
    assert done.returncode == 0
    assert done.stdout.startswith("::warning::there is no spec: nothing/*.net")


def test_summary_without_a_base(repository: Repository) -> None:
    repository.commit(a=BEFORE)
    done = repository.run("Summary")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = repository.summary.read_text(encoding="utf-8")
    assert text.count("<details><summary>What n costs</summary>") == 1
    assert text.count("<details><summary>What same costs</summary>") == 1
    assert "| **total** |" in text
    assert "→" not in text


def test_summary_of_a_change(repository: Repository) -> None:
    base = repository.commit(a=BEFORE, sub__b=BEFORE)
    repository.commit(a=AFTER, c=BEFORE)
    done = repository.run("Summary", base=base)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = repository.summary.read_text(encoding="utf-8")
    assert "**n (a.net) → n (a.net)**: params" in text
    assert "! features.0: conv 3x3, 8, bias=false: channels 8 -> 16" in text
    assert text.count("<details><summary>What n costs</summary>") == 2  # the one that changed, the new one
    assert text.endswith("\nNets that did not change: 3\n")
    assert repository.git("worktree", "list").count("\n") == 0  # nothing is left behind
    assert repository.git("status", "--porcelain") == ""


def test_a_net_whose_layers_are_as_they_were_did_change(repository: Repository) -> None:
    base = repository.commit(a=BEFORE.replace("    head", "    require params <= 1M\n    head"))
    repository.commit(a=BEFORE.replace("    head", "    require params <= 9M\n    head"))
    done = repository.run("Summary", base=base)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = repository.summary.read_text(encoding="utf-8")
    assert "- require: params \\<= 1M -\\> params \\<= 9M" in text
    assert text.endswith("\nNets that did not change: 1\n")


@pytest.mark.parametrize("base", ["0" * 40, "nothing", "--help", "$(touch x)"])
def test_a_base_that_is_none(repository: Repository, base: str) -> None:
    repository.commit(a=BEFORE)
    done = repository.run("Summary", base=base)
    assert done.returncode == 0
    assert "Nets that did not change" not in repository.summary.read_text(encoding="utf-8")
    assert not (repository.folder / "x").exists()


def test_a_spec_that_was_wrong_or_is(repository: Repository) -> None:
    base = repository.commit(a="net N:\n    conv\n", b=BEFORE)
    repository.commit(a=BEFORE, b="net N:\n    conv\n")
    done = repository.run("Summary", base=base)
    assert done.returncode == 0
    text = repository.summary.read_text(encoding="utf-8")
    assert text.count("<details><summary>What n costs</summary>") == 1
