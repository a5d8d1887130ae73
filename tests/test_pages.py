"""README.md and the pages of docs/ say what is so: snippets run and print what is shown; links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import api_page
import ops_page
import pages
import pytest
from torch_oracles import ENVIRONMENT

from netdsl import api
from netdsl.ops import Op, catalogue
from netdsl.source import Source
from netdsl.syntax.parse import parse

ROOT = Path(__file__).parents[1]
WRITTEN = {"docs/ops.md": ops_page.render, "docs/api.md": api_page.render}
"""Pages that `make docs` makes."""
FOLLOWED = [
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "tutorial",
            "coming-from-pytorch",
            "cookbook",
            "search",
            "distributed",
            "playground",
            "writing-ops-and-rules",
            "api",
        )
    ),
]


@pytest.mark.parametrize("name", FOLLOWED)
def test_the_snippets_of_a_page(name: str, tmp_path: Path) -> None:
    page = ROOT / name
    run = [sys.executable, str(ROOT / "tests" / "pages.py"), str(page)]
    environment = {**ENVIRONMENT, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("COLUMNS", None)  # the width of the shell
    done = subprocess.run(run, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    if os.environ.get("NETDSL_UPDATE"):
        page.write_text(done.stdout, encoding="utf-8")
    assert done.stdout == page.read_text(encoding="utf-8"), "make update"


def test_the_readers_spec_is_the_packaged_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert pages.blocks(readme, "net") == [(ROOT / "specs" / "lenet.net").read_text(encoding="utf-8")]


COMING = (ROOT / "docs/coming-from-pytorch.md").read_text(encoding="utf-8")
TABLE = re.compile(r"^<!-- (\w+): (input .*) -->\n((?:\|.*\n)+)", re.MULTILINE)
CELLS = re.compile(r"^\| `(.*?)` \| (.*) \|$", re.MULTILINE)
ROWS = [
    (kind, given, first, second)
    for kind, given, table in TABLE.findall(COMING.replace(r"\|", "¦"))
    for first, second in CELLS.findall(table)
]
"""Kind of table, the net's input, and two cells; `¦` is a bar."""


@pytest.mark.parametrize(
    ("kind", "given", "first", "second"), ROWS, ids=[f"{row[0]}-{row[2]}" for row in ROWS]
)
def test_a_line_is_what_pytorch_has(kind: str, given: str, first: str, second: str) -> None:
    line = (first if kind == "keys" else second.strip("`")).replace("¦", "|")
    before = {"layer": ["layer: "], "line": ["stem: bn", ""], "keys": [""]}[kind]
    *others, label = before
    end = ["gap"] if kind == "keys" else []
    net = api.loads("\n    ".join(["net N:", given, *others, f"{label}{line}", *end, ""]).rstrip(" "))
    if kind == "keys":
        assert re.findall("`(.*?)`", second) == list(net.parameters)
    else:
        assert first in re.sub(r"\s+", " ", net.emit("torch"))


def test_all_tables_are_read() -> None:
    assert len(ROWS) == COMING.partition("## What cannot be written")[0].count("\n| `")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_page_that_is_made(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == WRITTEN[name](), "make docs"


@pytest.mark.parametrize("script", ["ops_page.py", "api_page.py"])
def test_pages_are_made_without_a_framework(script: str) -> None:
    code = f"import sys, runpy; runpy.run_path({str(ROOT / 'tests' / script)!r}); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert not {"torch", "jax", "numpy"} & {*done.stdout.split()}


@pytest.mark.parametrize("op", catalogue().values(), ids=list(catalogue()))
def test_the_line_of_an_op_on_its_page(op: type[Op]) -> None:
    text = ops_page.spec(op)
    if op is catalogue()["unwindows"]:  # windows can be no input of a net
        parse(Source("case.net", text))
    else:
        assert op.name in [node.op.name for node in api.loads(text).graph]


def test_a_page_that_is_wrong_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    good = "```net file=a.net\nnet N:\n    input 3\n    fc 2\n```\n```console\n$ netdsl check a.net:n\n...\n```\n"
    assert pages.followed(good) == good
    shown = "```python\nprint(1 + 1)\n```\n```text\n3\n```\n"
    assert pages.followed(shown) == shown.replace("3", "2")
    other = good.replace("...", "all is well")
    assert "n: 2 ops, 8 params" in pages.followed(other)
    for wrong in (
        "```net\nnet N:\n    input 3\n    fc\n```\n",
        "```net error\nnet N:\n    input 3\n    fc 2\n```\n",
        "```sh\nnetdsl check b.net\n```\n",
        "```sh\nmake nothing\n```\n",
        '```sh\npip install ".[nothing]"\n```\n',
        "```python\nprint(1)\n```\n",
        "```python\n1 / 0\n```\n",
        "```text\n1\n```\n",
        "```rust\n1\n```\n",
        "```sh parse\nnetdsl check --nothing\n```\n",
    ):
        with pytest.raises(pages.Wrong, match=r"^(line 1: |what was printed last)"):
            pages.followed(wrong)


@pytest.mark.parametrize(
    "file", [*FOLLOWED, *WRITTEN, "docs/rules.md", "backends/README.md", "benchmarks/README.md"]
)
def test_links_lead_to_files_and_headings(file: str) -> None:
    page = ROOT / file
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there.read_text(encoding="utf-8")), target


def anchors(page: str) -> list[str]:
    """Return how GitHub calls the headings of a page, and what it names itself."""
    heads = re.findall(r"^#+ (.*)$", pages.FENCE.sub("", page), flags=re.MULTILINE)
    named = re.findall(r'<a id="(.*?)">', page)
    return [*named, *(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)]
