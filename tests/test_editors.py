"""The grammars of editors tell of each character what the compiler's reading tells, over one corpus."""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pages
import pytest
import yaml
from editor_corpus import CORPUS, HERE, faults, kinds, mutants
from node import NEEDED, installed, needs_node
from tree_sitter import Language, Parser, Query, QueryCursor

import netdsl
from netdsl import data
from netdsl.ide import hints
from netdsl.ide.highlight import plain
from netdsl.syntax.tokens import MAX_ERRORS, keywords

FOLDER = HERE / "editors"
CC = shutil.which("cc")
needs_compiler = pytest.mark.skipif(
    CC is None and not NEEDED, reason="no C compiler: apt-get install gcc libc6-dev"
)
EDITORS = HERE.parent / "editors"
TREE_SITTER = EDITORS / "tree-sitter-netdsl"
TEXTS = [*chain(*CORPUS.values())]


@cache
def run(script: str) -> Any:
    """Return what a script of node makes of all texts."""
    texts = [*TEXTS, *mutants(broken=False)]
    done = subprocess.run(
        ["node", script],
        cwd=installed(FOLDER),
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(texts, json.loads(done.stdout), strict=True))


def tokens(script: str) -> Callable[[str], Any]:
    """Return what gives the tokens of a text."""
    return lambda text: run(script)[text]["tokens"]


@cache
def expected(text: str) -> list[str]:
    """Return the compiler's reading of a text."""
    return kinds(text, plain(text))


def compare(texts: Iterable[str], read: Callable[[str], Any]) -> None:
    """Hold what a grammar reads in texts that parse to the compiler's reading."""
    for text in texts:
        if not faults(text):
            assert kinds(text, read(text)) == expected(text)


def compare_broken(read: Callable[[str], Any]) -> None:
    """Hold what a grammar reads in texts that do not parse to the compiler's reading, where no context is needed."""
    sure = {"comment", "string", "number", "size"}
    for text in TEXTS:
        found = faults(text)
        if found and len(found) < MAX_ERRORS and found[0].code != "E110":
            tokens = [one for one in read(text) if one[2] in sure]
            assert kinds(text, tokens) == kinds(text, [one for one in plain(text) if one.kind in sure])


# ---------------------------------------------------------------- CodeMirror


@needs_node
@pytest.mark.parametrize("file", CORPUS)
def test_codemirror(file: str) -> None:
    compare(CORPUS[file], tokens("codemirror.mjs"))


@needs_node
def test_codemirror_whatever_the_names_are() -> None:
    compare(mutants(broken=False), tokens("codemirror.mjs"))


@needs_node
def test_codemirror_reads_what_does_not_parse() -> None:
    read = tokens("codemirror.mjs")
    compare_broken(read)
    broken = CORPUS["broken.net"][0]
    assert kinds(broken, read(broken)) == kinds(broken, plain(broken))


@needs_node
@pytest.mark.parametrize(
    "file", [file for file in CORPUS if file.endswith(".net") and file in data.names("specs", ".net")]
)
def test_codemirror_indents_and_folds(file: str) -> None:
    (text,) = CORPUS[file]
    read = run("codemirror.mjs")[text]
    lines = text.split("\n")
    for at, (above, line) in enumerate(pairwise(lines), 1):
        if (
            above.strip()
            and line.strip()
            and not re.match(r" *(#|->|[)\]])", line)
            and above.lstrip()[0] != "#"
        ):
            written = len(line) - len(line.lstrip())
            opens = re.search(r":\s*(#.*)?$", above) is not None
            # where a body goes on or ends is the writer's to say
            assert read["indented"][at] == written if opens else read["indented"][at] >= written, line
            assert (at in read["folds"]) >= opens, above


def test_words_of_codemirror() -> None:
    source = (HERE.parent / "playground" / "src" / "language.js").read_text(encoding="utf-8")
    lists = re.findall(r'^  [a-z]+: set\("([a-z ]+)"\),$', source, re.MULTILINE)
    assert sorted(" ".join(lists).split()) == sorted(keywords())


# ---------------------------------------------------------------- TextMate


@needs_node
@pytest.mark.parametrize("file", CORPUS)
def test_textmate(file: str) -> None:
    compare(CORPUS[file], tokens("textmate.mjs"))


@needs_node
def test_textmate_whatever_the_names_are() -> None:
    compare(mutants(broken=False), tokens("textmate.mjs"))


@needs_node
def test_textmate_reads_what_does_not_parse() -> None:
    compare_broken(tokens("textmate.mjs"))


def test_words_of_textmate() -> None:
    source = (EDITORS / "vscode" / "syntaxes" / "grammar.mjs").read_text(encoding="utf-8")
    lists = re.findall(r'^const [a-z]+ = "([a-z|]+)";$', source, re.MULTILINE)
    assert sorted("|".join(lists).split("|")) == sorted(keywords())


@needs_node
def test_textmate_is_as_it_is_put_together(tmp_path: Path) -> None:
    folder = EDITORS / "vscode" / "syntaxes"
    shutil.copy(folder / "grammar.mjs", tmp_path)
    subprocess.run(["node", "grammar.mjs"], cwd=tmp_path, check=True)
    name = "netdsl.tmLanguage.json"
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), (
        "run: npm run grammar in editors/vscode"
    )


# ---------------------------------------------------------------- tree-sitter

CAPTURES = {
    "comment": "comment",
    "string": "string",
    "number": "number",
    "number.size": "size",
    "boolean": "constant",
    "keyword": "keyword",
    "operator": "operator",
    "punctuation.bracket": "punctuation",
    "punctuation.delimiter": "punctuation",
    "function.call": "op",
    "function": "function",
    "type.block": "block",
    "type.variant": "variant",
    "type.table": "table",
    "type.builtin": "type",
    "label": "label",
    "variable.parameter": "parameter",
    "variable.argument": "argument",
    "property": "property",
    "attribute": "annotation",
    "variable": "name",
}


@cache
def language() -> Language:
    """Return the language of the committed parser, compiled."""
    assert CC is not None
    source = TREE_SITTER / "src"
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "netdsl.so"
        files = [source / "parser.c", source / "scanner.c"]
        subprocess.run([CC, "-shared", "-fPIC", "-std=c11", "-I", source, *files, "-o", library], check=True)
        function = ctypes.CDLL(str(library)).tree_sitter_netdsl
    function.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return Language(capsule(function(), b"tree_sitter.Language", None))


def captured(text: str) -> tuple[bool, list[tuple[int, int, str]]]:
    """Return whether a text has errors, and what the highlight query captures."""
    query = Query(language(), (TREE_SITTER / "queries" / "highlights.scm").read_text(encoding="utf-8"))
    root = Parser(language()).parse(text.encode()).root_node
    place = [at for at, char in enumerate(text) for _ in char.encode()] + [len(text)]  # bytes to characters
    found = [
        (place[node.start_byte], place[node.end_byte], CAPTURES[name])
        for name, nodes in QueryCursor(query).captures(root).items()
        for node in nodes
    ]
    return root.has_error, found


def by_tree_sitter(text: str) -> list[tuple[int, int, str]]:
    """Return what the highlight query captures in a text without errors: each word and sign once."""
    wrong, found = captured(text)
    assert not wrong
    assert len({start for start, _, _ in found}) == len(found)
    return found


@needs_compiler
@pytest.mark.parametrize("file", CORPUS)
def test_tree_sitter(file: str) -> None:
    compare(CORPUS[file], by_tree_sitter)


@needs_compiler
def test_tree_sitter_whatever_the_names_are() -> None:
    compare([*mutants(broken=False), *mutants(broken=True)], by_tree_sitter)


@needs_compiler
def test_tree_sitter_reads_what_does_not_parse() -> None:
    for text in TEXTS:
        captured(text)  # whatever it reads, it comes to an end


def test_words_of_tree_sitter() -> None:
    grammar = json.loads((TREE_SITTER / "src" / "grammar.json").read_text(encoding="utf-8"))
    found: set[str] = set()

    def collect(rule: Any) -> None:
        if isinstance(rule, dict) and rule.get("type") == "STRING" and rule["value"].isalpha():
            found.add(rule["value"])
        for one in rule.values() if isinstance(rule, dict) else rule if isinstance(rule, list) else ():
            collect(one)

    collect(grammar["rules"])
    assert found == set(keywords())
    # the query names each of them
    query = (TREE_SITTER / "queries" / "highlights.scm").read_text(encoding="utf-8")
    assert set(re.findall(r'"([a-z]+)"', query)) == set(keywords())


def test_the_parser_is_of_this_grammar() -> None:
    said = (TREE_SITTER / "src" / "grammar.js.sha256").read_text(encoding="utf-8").split()[0]
    text = (TREE_SITTER / "grammar.js").read_bytes()
    assert hashlib.sha256(text).hexdigest() == said, "run: editors/tree-sitter-netdsl/generate.sh"
    about = json.loads((TREE_SITTER / "tree-sitter.json").read_text(encoding="utf-8"))
    assert about["metadata"]["version"] == netdsl.__version__


# ---------------------------------------------------------------- the page of settings


def test_settings_on_the_page_can_be_read_and_are_those_there_are() -> None:
    page = (HERE.parent / "docs" / "editors.md").read_text(encoding="utf-8")
    readers: dict[str, Callable[[str], Any]] = {
        "toml": tomllib.loads,
        "json": json.loads,
        "yaml": lambda text: yaml.safe_load(text.removeprefix("%YAML 1.2\n")),
    }
    read = [
        one.language
        for one in pages.snippets(page)
        if one.language in readers and readers[one.language](one.text)
    ]
    assert {*read} == {*readers}
    named = {*re.findall(r"\binlayHints\.(\w+)|inlayHints = \{ ?([^}]*)", page)}
    words = {word for some in named for part in some for word in re.findall(r"[a-z]+", part)} - {"true"}
    assert words == {*hints.KINDS}
    assert "netdsl lsp" in page
