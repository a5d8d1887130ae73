"""Words: which may name what, as the page says; every word in every position."""

from __future__ import annotations

import ast
import re

import pytest

import netdsl
from netdsl import api, data
from netdsl.diagnostics import NetError
from netdsl.source import Source
from netdsl.syntax import tables
from netdsl.syntax.parse import parse

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
