"""The extension of VS Code: it is built from npm alone, holds what it names, and says what is missing."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from itertools import pairwise
from typing import Any

import pytest
from editor_corpus import CORPUS, HERE
from node import installed, needs_node

import netdsl
from netdsl import api
from netdsl.ide import hints
from netdsl.source import Source
from netdsl.syntax.parse import parse
from netdsl.syntax.tokens import logical_lines

FOLDER = HERE.parent / "editors" / "vscode"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
CONTRIBUTES = MANIFEST["contributes"]
LANGUAGE = json.loads((FOLDER / "language-configuration.json").read_text(encoding="utf-8"))
SNIPPETS: dict[str, Any] = json.loads((FOLDER / "snippets" / "netdsl.json").read_text(encoding="utf-8"))


MISSING = {
    ("no-such-netdsl", "lsp"): "no-such-netdsl",
    ("${workspaceFolder}/bin/netdsl", "lsp"): f"{HERE / 'editors'}/bin/netdsl",
    ("${workspaceFolder}/corners.net",): f"{HERE / 'editors'}/corners.net",
    (): "",
}
"""Commands of which there is no program, and what is said to be missing."""


@pytest.mark.slow
@needs_node
def test_it_is_packaged_and_says_what_is_missing() -> None:
    folder = installed(FOLDER)
    done = subprocess.run(["npm", "run", "package"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    package = zipfile.ZipFile(folder / "netdsl.vsix")
    parts = [*CONTRIBUTES["languages"], *CONTRIBUTES["grammars"], *CONTRIBUTES["snippets"]]
    named = [part.get("configuration") or part["path"] for part in parts] + [MANIFEST["main"]]
    also = ["[Content_Types].xml", "extension.vsixmanifest", "package.json", "readme.md", "dist/LICENSES.txt"]
    assert sorted(name.removeprefix("extension/") for name in package.namelist()) == sorted(named + also)
    licenses = package.read("extension/dist/LICENSES.txt").decode().split()
    assert {"vscode-languageclient", "vscode-jsonrpc"} <= set(licenses)

    for command, program in MISSING.items():
        done = subprocess.run(
            ["node", "extension.cjs"],
            cwd=HERE / "editors",
            input=json.dumps(command),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        install = 'To install it: pip install "netdsl[lsp]"'
        message = f"netdsl: the command `{program}` is not found. {install}"
        assert told["said"] == [[message, "Copy the command", "Settings"]]
        assert told["registered"] == [one["command"] for one in CONTRIBUTES["commands"]]


def test_it_is_of_this_version() -> None:
    assert MANIFEST["version"] == netdsl.__version__


def test_settings_are_those_of_the_server() -> None:
    shown = {name for name in CONTRIBUTES["configuration"]["properties"] if ".inlayHints." in name}
    assert shown == {f"netdsl.inlayHints.{kind}" for kind in hints.KINDS}


def test_lock_files_name_no_registry() -> None:
    for folder in (FOLDER, HERE / "editors"):
        lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
        assert len(lock["packages"]) > 5
        assert not [one for one in lock["packages"].values() if "resolved" in one]


@pytest.mark.parametrize("file", [file for file in CORPUS if file.endswith(".net") and file != "broken.net"])
def test_lines_that_open_a_body_indent_the_next(file: str) -> None:
    opens = re.compile(LANGUAGE["indentationRules"]["increaseIndentPattern"])
    (text,) = CORPUS[file]
    for line, below in pairwise(logical_lines(text, [])):
        written = text[line.tokens[0].start : line.tokens[-1].start]
        if "\n" not in written:
            rest = text[line.tokens[-1].start :].partition("\n")[0]
            assert bool(opens.search(written + rest)) == (below.level > line.level), written


def expanded(body: list[str]) -> str:
    """Return the text of a snippet with its placeholders filled in."""
    text = "\n".join(body)
    while (filled := re.sub(r"\$\{\d+:([^${}]*(?:\{\w+\})?[^${}]*)\}|\$\d+", r"\1", text)) != text:
        text = filled
    return text


@pytest.mark.parametrize("name", SNIPPETS)
def test_snippets_are_specs(name: str) -> None:
    text = expanded(SNIPPETS[name]["body"])
    assert "$" not in text
    if text.startswith("@"):
        text += "\nblock B(c):\n    conv 3x3, c"
    elif not re.match("net|block|variant|table", text):
        text = "net N(classes, rows):\n" + "\n".join(f"    {line}" for line in text.splitlines())
    parse(Source("snippet.net", text + "\n"))


def test_the_first_snippet_is_a_net() -> None:
    text = expanded(SNIPPETS["Net"]["body"])
    assert api.loads(text + "\n").cost().params > 0
