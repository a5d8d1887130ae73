"""The grammars of editors tell of each character what the compiler's reading tells, over one corpus."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from editor_corpus import CORPUS, HERE, kinds

from netdsl.diagnostics import NetError
from netdsl.ide.highlight import plain
from netdsl.source import Source
from netdsl.syntax.parse import parse
from netdsl.syntax.tokens import keywords

FOLDER = HERE / "editors"
NODE = shutil.which("node")
# where a change is checked before it is merged, it is a fault to go without
NEEDED = "CI" in os.environ and "NETDSL_WITHOUT_NODE" not in os.environ
needs_node = pytest.mark.skipif(NODE is None and not NEEDED, reason="no Node.js: apt-get install nodejs npm")
TEXTS = [*chain(*CORPUS.values())]


@cache
def installed() -> Path:
    """Return the folder of the packages, as the lock file has them."""
    lock = FOLDER / "package-lock.json"
    stamp = FOLDER / "node_modules" / ".installed"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=FOLDER, check=True, capture_output=True)
        stamp.write_bytes(lock.read_bytes())
    return FOLDER


@cache
def run(script: str) -> Any:
    """Return what a script of node makes of all texts."""
    done = subprocess.run(
        ["node", script],
        cwd=installed(),
        input=json.dumps(TEXTS),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def compare(file: str, tokens: list[Any]) -> None:
    """Hold the tokens of all texts to the compiler's, in one file."""
    for text, found in zip(TEXTS, tokens, strict=True):
        if text in CORPUS[file]:
            try:
                parse(Source("case.net", text))
            except NetError:
                continue
            assert kinds(text, found) == kinds(text, plain(text))


@needs_node
@pytest.mark.parametrize("file", CORPUS)
def test_codemirror(file: str) -> None:
    compare(file, run("codemirror.mjs")["tokens"])


@needs_node
def test_codemirrors_words() -> None:
    assert sorted(run("codemirror.mjs")["words"]) == sorted(keywords())


@needs_node
@pytest.mark.parametrize("file", CORPUS)
def test_textmate(file: str) -> None:
    compare(file, run("textmate.mjs")["tokens"])
