"""The grammar: its tables, its rules in use, the page that describes it."""

import json
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from case_files import Case, expectations, read, run
from lark import Lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Token as LarkToken

from netdsl import data
from netdsl.diagnostics import NetError
from netdsl.diagnostics.render import render_text
from netdsl.source import Source
from netdsl.syntax import automaton, tables
from netdsl.syntax.automaton import Automaton
from netdsl.syntax.parse import parse
from netdsl.syntax.tokens import Fault, Token, logical_lines

GRAMMAR = data.read("grammar", tables.GRAMMAR)
FOLDER = data.folder("grammar")
SPECS = data.names("specs", ".net")
CASES = [case for path in sorted((Path(__file__).parent / "cases").glob("*.md")) for case in read(path)]
SNIPPETS = read(FOLDER / "README.md") if (FOLDER / "README.md").exists() else []


@cache
def built() -> dict[str, object]:
    """The tables as they are now; without conflicts, since `strict` refuses them."""
    made: dict[str, object] = json.loads(json.dumps(tables.build(GRAMMAR, strict=True)))
    return made


def test_tables_are_of_this_grammar() -> None:
    assert tables.load() == built(), "run: make grammar"


def texts() -> list[str]:
    blocks = [block for case in [*CASES, *SNIPPETS] for block in case.blocks if block.language == "net"]
    cases = [expectations(block.text)[0] for block in blocks]
    return [data.read("specs", name) for name in SPECS] + cases


def test_every_rule_and_terminal_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[int] = set()
    seen: set[str] = set()
    reduce = Automaton.reduce

    def noted(self: Automaton, rule: automaton.Rule) -> None:
        used.add(id(rule))
        reduce(self, rule)

    monkeypatch.setattr(Automaton, "reduce", noted)
    for text in texts():
        lines = logical_lines(text, [])
        seen.update(token.type for line in lines for token in line.tokens)
        try:
            parse(Source("case.net", text))
        except NetError:
            continue
    loaded = tables.load()
    rules = import_module(parse.__module__)._grammar().rules
    done = {row[1] for row, rule in zip(loaded["rules"], rules, strict=True) if id(rule) in used}
    assert {row[1] for row in loaded["rules"] if row[1] not in ("", "?")} == done - {""}
    terminals = {name for name, _ in loaded["terminals"]} | set(loaded["keywords"].values())
    assert terminals - set(loaded["ignored"]) == seen - {"COUNT", "COUNT_LPAR"}  # as their line tells


@pytest.mark.parametrize("name", SPECS)
def test_automaton_agrees_with_lark(name: str) -> None:
    """Whatever token is left out, both stop at the same token, or neither does."""
    lark = reference()
    stream = tokens(data.read("specs", name))
    for skip in range(-1, len(stream), 23):
        rest = [token for i, token in enumerate(stream) if i != skip]
        assert stops(lark, rest) == stops_here(rest)


@cache
def reference() -> Lark:
    return Lark(GRAMMAR, parser="lalr", start=["start", "expr"], lexer="basic", keep_all_tokens=True)


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, with those for indentation."""
    result: list[Token] = []
    level = 0
    for line in logical_lines(text, []):
        kind = "_INDENT" if line.level > level else "_DEDENT"
        result += [Token(kind, "", 0, 0)] * abs(line.level - level) + line.tokens
        level = line.level
    return result + [Token("_DEDENT", "", 0, 0)] * level


def stops(lark: Lark, stream: list[Token]) -> int:
    state = lark.parse_interactive(start="start").parser_state
    for i, token in enumerate([*stream, Token("$END", "", 0, 0)]):
        try:
            state.feed_token(LarkToken(token.type, token.text), token.type == "$END")
        except UnexpectedToken:
            return i
    return -1


def stops_here(stream: list[Token]) -> int:
    grammar = automaton.Grammar(Anything())
    run = Automaton(grammar, "start")
    for i, token in enumerate(stream):
        try:
            run.feed(token)
        except automaton.Unexpected:
            return i
    try:
        run.finish(0)
    except automaton.Unexpected:
        return len(stream)
    return -1


class Anything:
    """A builder of nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda start, end, children: ()


def test_a_fault_in_a_name_is_at_its_place() -> None:
    faults: list[Fault] = []
    assert logical_lines("net N:\n    a\x07b: relu\n", faults)
    assert [(f.start, f.end) for f in faults] == [(12, 13)]


@pytest.mark.parametrize("case", SNIPPETS, ids=[case.name for case in SNIPPETS])
def test_the_page_is_true(case: Case) -> None:
    for block in case.blocks:
        if block.language == "net" and "file" not in block.options:
            text, expected = expectations(block.text)
            files = {b.options["file"]: b.text for b in case.blocks if "file" in b.options}
            diagnostics, nets = run(text, files, block.options)
            assert not diagnostics, "\n".join(map(render_text, diagnostics))
            assert nets, "nothing was built"
            for e in expected:
                for net in nets:
                    nodes = [n for n in net.graph if e.line in {n.span.line, *(f.span.line for f in n.calls)}]
                    assert [str(net.shapes[nodes[-1].name][-1])] == e.shapes


def test_the_page_has_snippets() -> None:
    assert sum(block.language == "net" for case in SNIPPETS for block in case.blocks) >= 8
