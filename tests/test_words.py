"""Words: which may name what, as the page says; every word in every position; what `explain` says of each."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import netdsl
from netdsl import api, cli, data
from netdsl.codes import FAMILIES
from netdsl.diagnostics import NetError
from netdsl.elaborate.arguments import TYPES
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.ir.types import Init
from netdsl.lint import rule, rules
from netdsl.ops import catalogue
from netdsl.source import Source
from netdsl.syntax import tables
from netdsl.syntax.parse import parse
from netdsl.syntax.tokens import lex
from netdsl.syntax.words import ALSO, SIGNS, WORDS

PAGE = data.read("grammar", "README.md").partition("## Words")[2]
RESERVED, SOFT, OPS, NO_NUMBERS = (
    re.findall(r"\w+", part) for part in re.findall(r"`([^`]+)`", PAGE.partition("Numbers:")[0])[:4]
)
JOINTS = ("add", "mul", "concat", "fork", "choose")

POSITIONS = {
    "a label": "WORD: conv 3x3, 8",
    "a label in a chain": "from x -> conv 3x3, 8 as WORD",
    "the label of a container": "WORD:\n        conv 3x3, 8",
    "a reference": "WORD: conv 3x3, 8\n    relu\n    from WORD -> relu",
    "a bound value": "WORD = from x -> relu\n    from WORD -> relu",
    "a value": "WORD = 8\n    conv 3x3, WORD",
    "two values": "a, WORD = [8, 16]\n    WORD, a = [WORD, a]\n    conv 3x3, a*WORD",
    "a count": "WORD = 2\n    WORD * relu",
    "an item that counts": "n = [2]\n    n[0] * relu",
    "a count that is computed": "WORD = 3\n    (WORD - 1) * relu",
    "a condition": "WORD = 2\n    if WORD > 1:\n        relu\n    relu when WORD == 2",
    "a loop": "for WORD in range(2):\n        relu6 when WORD > 0",
    "two in a loop": "for i, WORD in enumerate([8]):\n        conv{WORD}: conv 3x3, WORD+i",
    "names in brackets": "for i, (WORD, a) in enumerate([[1, 2]]):\n        relu when WORD > a",
    "a comprehension": "a = [WORD for WORD in [8] if WORD > 1]\n    conv 3x3, a[0]",
    "a parameter of a function": "def f(WORD) = 2 * WORD\n    conv 3x3, f(WORD=4)",
    "an op": "WORD = conv(3x3)\n    relu -> WORD 8",
    "an op at the beginning": "WORD = conv(3x3)\n    WORD 3x3, 8",
}
HEADS = {
    "a parameter": "block B(WORD, c = 8):\n    conv 3x3, WORD*c\n\nnet N:\n    input 3, 8x8\n    B WORD=4\n",
    "a parameter of a type": "block B(WORD: op = relu):\n    WORD\n\nnet N:\n    input 3, 8x8\n    B WORD=tanh\n",
    "an input of a block": "block B from a, WORD: from WORD -> relu\n\nnet N:\n    input 8, 8x8\n    split 2 -> B\n",
    "a column": "table rows(WORD, c):\n    1, 8\n\nnet N:\n    input 3, 8x8\n    conv 3x3, rows[0].WORD*8\n",
    "an input": "net N:\n    input WORD: 3, 8x8\n    from WORD -> relu\n",
    "an output": "net N:\n    input 3, 8x8\n    output WORD: gap\n    relu\n",
    "a value of the file": "WORD = 8\n\nnet N:\n    input 3, 8x8\n    conv 3x3, WORD\n",
}
ALL = {k: f"net N:\n    input 3, 8x8\n    {v}\n" for k, v in POSITIONS.items()} | HEADS
IS_OP = ("an op", "an op at the beginning", "a parameter of a type")
IS_NUMBER = (
    "a value",
    "two values",
    "a count",
    "a count that is computed",
    "a condition",
    "a value of the file",
)


@pytest.mark.parametrize("position", ALL)
@pytest.mark.parametrize("word", ["plain", *SOFT])
def test_a_word_that_may_be_a_name(word: str, position: str) -> None:
    text = ALL[position].replace("WORD", word)
    if word == "require" and position == "an op at the beginning":
        return  # it is one of its lines
    no_op = position in IS_OP and word not in ("plain", *OPS)
    if no_op or (position in IS_NUMBER and word in NO_NUMBERS):
        with pytest.raises(NetError):
            api.loads(text)
        return
    assert netdsl.format(text)
    net = api.loads(text)
    for backend in ("torch", "flax"):
        ast.parse(net.emit(backend))


@pytest.mark.parametrize("position", ALL)
@pytest.mark.parametrize("word", RESERVED)
def test_a_reserved_word(word: str, position: str) -> None:
    if "WORD" in ALL[position] and not (word in JOINTS and position == "the label of a container"):
        with pytest.raises(NetError):
            parse(Source("case.net", ALL[position].replace("WORD", word)))


def test_the_page_has_all_words() -> None:
    assert sorted([*RESERVED, *SOFT]) == sorted(tables.load()["keywords"])
    assert {*OPS, *NO_NUMBERS} < set(SOFT)


@pytest.mark.parametrize("word", WORDS)
def test_the_example_of_a_word(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = WORDS[word]
    file = tmp_path / "example.net"
    file.write_text(entry.example, encoding="utf-8")
    assert netdsl.format(entry.example) == entry.example
    given = [part for key, value in entry.given.items() for part in ("--set", f"{key}={value}")]
    names = api.instances(api.read_text(entry.example))
    assert [cli.main(["check", f"{file}:{name}", *given]) for name in names] == [0] * len(names) != []
    if word == "#":
        assert word in entry.example
    elif word not in ("int", "bool", "list"):  # which are the types of what is written
        texts = [token.text for token in lex(entry.example, [])]
        assert (
            any(text == word or (text.startswith(word) and word in SIGNS) for text in texts) or "{" in texts
        )
    capsys.readouterr()
    assert cli.main(["explain", word]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{word}: {entry.is_}\n")
    assert max(map(len, shown.partition("\n\n\n")[0].splitlines())) <= 118


def test_every_word_and_sign_has_a_page() -> None:
    assert not {*tables.load()["keywords"], *SIGNS, *Init.KINDS} - {*WORDS}
    assert not {name for name in TYPES if name.isalpha() and name != "value"} - {*WORDS}
    assert {*ALSO.values()} <= {*WORDS}
    signs = {text for _, text in _terminals() if not text[0].isalnum()}
    assert not {sign for sign in signs if sign in "->:=*|([/{@#"} - {*SIGNS}


def _terminals() -> list[tuple[str, str]]:
    return [(name, text) for name, text in tables.load()["terminals"] if text]


def test_the_overview_is_one_screen_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain"]) == 0
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 100
    names = [*catalogue(), *FUNCTIONS, *WORDS, *(one.name() for one in rules.catalogue().values())]
    assert not {*names} - {*shown.split()}
    assert all(f"{family}xx" in shown for family in rule.FAMILIES)
    assert all(what in " ".join(shown.split()) for what in FAMILIES.values())


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("Conv2d", "conv"),
        ("torch.nn.Linear", "fc"),
        ("BatchNormalization", "bn"),
        ("nnx.silu", "silu"),
        ("Dense", "fc"),
        ("layer_norm", "ln"),
        ("batchnorm", "bn"),
        ("swish", "silu"),
    ],
)
def test_the_names_of_others_are_explained(topic: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", topic]) == 0
    shown = capsys.readouterr().out
    assert re.match(rf"{re.escape(topic)} is called (\w+ or )*{name}\b", shown)
    assert api.explain_op(catalogue()[name]) in shown


@pytest.mark.parametrize("topic", ["Conv3d", "Dropout2d", "conv1d"])
def test_what_the_language_lacks_is_said(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", topic]) == 0
    assert capsys.readouterr().out.startswith(f"{topic} is no op here")


@pytest.mark.parametrize("topic", ["Embedding", "nn.Identity2d"])
def test_what_nobody_knows_is_no_op(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", topic]) == 2
    assert f"there is no code, rule, op, function or word `{topic}`" in capsys.readouterr().err
