"""Kinds of words and signs: what the form of a text says is what the compiler's automaton makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any

import pytest
from editor_corpus import CONTEXTUAL, CORPUS, faults, kinds, mutants

from netdsl.ide import highlight
from netdsl.source import Source
from netdsl.syntax.automaton import Automaton, Grammar
from netdsl.syntax.parse import parse_lines
from netdsl.syntax.tokens import Token, keywords, lex


class Read:
    """A builder for the automaton that notes what each rule says of its tokens.

    A method gets the tokens of its rule that no rule within it has taken, and returns those that it leaves.
    """

    def __init__(self) -> None:
        self.grammar = Grammar(self)
        self.kinds: dict[int, str] = {}
        self.templates: list[tuple[Token, str]] = []

    def __getattr__(self, rule: str) -> Any:
        """Most rules take their tokens, and say nothing of them."""
        return lambda start, end, c: []

    def note(self, tokens: list[Token], kind: str) -> list[Token]:
        for token in tokens:
            if token.type in ("TEMPLATE", "COUNTED"):
                self.templates = [one for one in self.templates if one[0] is not token]
                self.templates.append((token, kind))
            elif token.type in CONTEXTUAL or token.type in ("COUNT", "TRAIN"):
                self.kinds[token.start] = kind
        return tokens

    def name(self, start: int, end: int, c: list[Token]) -> list[Token]:
        return self.note(c, "name")

    id = template = target = turn = names = name

    def label(self, start: int, end: int, c: list[Token]) -> list[Token]:
        return self.note(c, "label")

    def op(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c, "op")
        return []

    def chosen(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "op")
        return []

    def ref(self, start: int, end: int, c: list[Token]) -> list[Token]:
        for before, token in zip([None, *c], c, strict=False):
            self.note([token], "property" if before and before.type == "DOT" else "name")
        return []

    def result(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c, "label")
        return []

    def attr(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[-1:], "property")
        return []

    def call(self, start: int, end: int, c: list[Token]) -> list[Token]:
        if c[0].type in CONTEXTUAL:
            self.note(c[:1], "function")
        return []

    def keyword(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[:1], "argument")
        return []

    def path(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c, "argument")
        return []

    def type(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[:1], "type")
        return []

    def param(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[:1], "parameter")
        return []

    def annotation(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "annotation")
        return []

    def stage(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "label")
        return []

    def input(self, start: int, end: int, c: list[Token]) -> list[Token]:
        if [token.type for token in c[2:3]] == ["COLON"]:
            self.note(c[1:2], "label")
        return []

    def block(self, start: int, end: int, c: list[Token]) -> list[Token]:
        c = c[c[0].type == "INLINE" :]
        self.note(c[1:2], "block")
        self.note(c[2:], "parameter")
        return []

    def net(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "block")
        return []

    def variant(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "variant")
        self.note(c[3:4], "block")
        return []

    def table(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "table")
        self.note(c[2:], "parameter")
        return []

    def def_(self, start: int, end: int, c: list[Token]) -> list[Token]:
        self.note(c[1:2], "function")
        self.note([token for token in c[2:] if token.end <= closed(c)], "parameter")
        return []


def closed(tokens: list[Token]) -> int:
    return next(token.end for token in tokens if token.type == "RPAR")


def by_automaton(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield what the automaton makes of the tokens of a text that parses; NetError if it does not."""
    _, lines = parse_lines(Source("case.net", text))
    read = Read()
    run = Automaton(read.grammar, "start")
    level = 0
    for line in lines:
        kind = "_INDENT" if line.level > level else "_DEDENT"
        for _ in range(abs(line.level - level)):
            run.feed(Token(kind, "", 0, 0))
        level = line.level
        for token in line.tokens:
            run.feed(token)
        if line.tokens[-1].type != "_NL":
            run.feed(Token("_NL", "", len(text), len(text)))
    for _ in range(level):
        run.feed(Token("_DEDENT", "", 0, 0))
    run.finish(len(text))
    for line in lines:
        for token in line.tokens:
            if token.type not in ("_NL", "TEMPLATE", "COUNTED"):
                yield token.start, token.end, read.kinds.get(token.start, usual(token))
    for token, kind in read.templates:
        yield from in_braces(token, kind)


def usual(token: Token) -> str:
    """Return what a token is that no rule says more of."""
    if token.text.isidentifier():
        joints = {"add", "mul", "concat", "fork"}
        constants = {"true", "false", "none"}
        return "op" if token.text in joints else "constant" if token.text in constants else "keyword"
    other = {"STRING": "string", "NUMBER": "number", "DIMS": "size"}
    return other.get(token.type, "punctuation" if token.text in ".,:()[]" else "operator")


def in_braces(token: Token, kind: str) -> Iterator[tuple[int, int, str]]:
    """Yield the texts of a name with braces, and what the automaton makes of the expressions."""
    at = token.start
    for piece in token.text.replace("{", "\0{\0").replace("}", "\0}\0").split("\0"):
        end = at + len(piece)
        if piece in ("{", "}"):
            yield at, end, "punctuation"
        elif text_before(token, at).count("{") > text_before(token, at).count("}"):
            read = Read()
            run = Automaton(read.grammar, "expr")
            tokens = list(lex(piece, []))
            for one in tokens:
                run.feed(Token(one.type, one.text, one.start, one.end))
            run.finish(len(piece))
            yield from (
                (at + one.start, at + one.end, read.kinds.get(one.start, usual(one))) for one in tokens
            )
        elif piece:
            yield at, end, kind
        at = end


def text_before(token: Token, at: int) -> str:
    return token.text[: at - token.start]


def compare(texts: list[str]) -> None:
    """Hold what the form of texts says to what the automaton makes of them, if they parse."""
    for text in texts:
        if not faults(text):
            found = [one for one in highlight.plain(text) if one.kind != "comment"]
            assert kinds(text, found) == kinds(text, by_automaton(text))


@pytest.mark.parametrize("file", CORPUS)
def test_the_form_of_a_text_says_what_the_automaton_makes_of_it(file: str) -> None:
    compare(CORPUS[file])


@pytest.mark.parametrize("broken", [False, True])
def test_whatever_the_names_are(broken: bool) -> None:
    assert len(mutants(broken)) > 200
    compare(mutants(broken))


def test_words_are_those_of_the_grammar() -> None:
    assert highlight.WORDS == CONTEXTUAL | {"COUNT"}


def test_names_are_looked_up() -> None:
    text = """\
import Cell from "cell.net"

block Unit(c, act: op = relu):
    stem: conv 3x3, c -> act -> Cell c
    from stem, c.d -> add

table rows(k):
    3

def wide(c) = 2 * c + rows[0].k

net N(unit: op = Unit(4, act=tanh)):
    input 3, 8x8
    unit 4 -> Unit wide(3) -> relu as c.d
    from c, stem -> add

variant n = N(Unit)
"""
    found = [
        (text.count("\n", 0, one.start), text[one.start : one.end], one.kind)
        for one in highlight.classified(text)
    ]
    looked_up = [one for one in found if one[2] in ("block", "parameter", "table", "function", "label", "op")]
    for expected in [
        (3, "c", "parameter"),
        (3, "act", "parameter"),
        (3, "Cell", "block"),
        (4, "stem", "label"),
        (9, "rows", "table"),
        (9, "c", "parameter"),
        (11, "Unit", "block"),
        (13, "unit", "parameter"),
        (13, "Unit", "block"),
        (13, "wide", "function"),
        (13, "relu", "op"),
        (16, "Unit", "block"),
    ]:
        assert expected in looked_up, expected
    # of another net, or the end of a longer name
    assert {kind for line, word, kind in found if line == 14 and word in ("c", "stem")} == {"name"}


def test_kinds_are_explained() -> None:
    seen = {one.kind for text in chain(*CORPUS.values()) for one in highlight.classified(text)}
    assert seen == set(highlight.KINDS)


def test_each_text_is_read_from_left_to_right() -> None:
    for text in [*chain(*CORPUS.values()), "((" * 40, "a" * 3, "", "\r\n# x\r\nnet N:\r\n    relu # y\r\n"]:
        found = highlight.classified(text)
        assert all(one.end <= after.start for one, after in pairwise(found))
        words = [text[one.start : one.end] for one in found]
        assert all(word and "\r" not in word and "\n" not in word for word in words)


def test_the_corpus_has_each_word_as_what_it_may_be() -> None:
    seen: dict[str, set[str]] = {}
    for text in chain(*CORPUS.values()):
        for one in highlight.plain(text):
            seen.setdefault(text[one.start : one.end], set()).add(one.kind)
    for word in keywords():
        assert seen[word] & {"keyword", "op", "constant"}, word
        if word.upper() in CONTEXTUAL:
            assert seen[word] - {"keyword"}, word
