"""The LALR tables of grammar/net.lark, as a data file.

Building them takes longer than everything else that `netdsl` does, so lark builds them when the grammar
changes (`python -m netdsl.syntax.tables`) and they are shipped as JSON beside the grammar. They are data: the
regular expressions of a scanner and the numbers of an automaton, which `automaton` runs without lark.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from netdsl import data

if TYPE_CHECKING:
    from lark.parsers.lalr_analysis import ParseTableBase

GRAMMAR, TABLES = "net.lark", "net.tables.json"
STARTS = ("start", "expr")


def build(grammar: str, strict: bool = False) -> dict[str, Any]:
    """Return the tables of a grammar, ready for JSON. `strict` refuses conflicts; it needs `interegular`."""
    from lark import Lark  # only here: a spec is read without it
    from lark.lexer import BasicLexer

    lark = Lark(
        grammar,
        parser="lalr",
        start=list(STARTS),
        lexer="basic",
        keep_all_tokens=True,
        maybe_placeholders=False,
        strict=strict,
    )
    lexer = lark.parser.lexer
    assert isinstance(lexer, BasicLexer)
    words = re.compile(next(t.pattern.to_regexp() for t in lexer.terminals if t.name == "NAME"))
    keywords = {t.pattern.value: t.name for t in lexer.terminals if words.fullmatch(t.pattern.value)}
    terminals = [(t.name, t.pattern.to_regexp()) for t in lexer.terminals if t.name not in keywords.values()]
    return {
        "terminals": [list(pair) for pair in terminals],
        "keywords": dict(sorted(keywords.items())),
        "ignored": sorted(lexer.ignore_types),
        **_automaton(lark.parser.parser._parse_table),
    }


def _automaton(table: ParseTableBase[int]) -> dict[str, Any]:
    """Return the rules and states of lark's table, numbered by a walk from the start: always the same.

    A rule is [symbol, method, size, kept]: `kept` lists the children that are no newlines or indentation. The
    method is "" for a rule whose children join its parent's, and "?" for one that is its only child. A state
    maps a token or symbol to the next state, or to -1 - rule.
    """
    from lark.parsers.lalr_analysis import Shift

    order: dict[int, int] = {}
    rules: dict[Any, int] = {}
    queue = [table.start_states[name] for name in STARTS]
    states: list[dict[str, int]] = []
    for state in queue:
        order.setdefault(state, len(order))
    for state in queue:
        actions: dict[str, int] = {}
        for symbol, (action, target) in sorted(table.states[state].items()):
            if action is not Shift:
                actions[symbol] = -1 - rules.setdefault(target, len(rules))
                continue
            if target not in order:
                order[target] = len(order)
                queue.append(target)
            actions[symbol] = order[target]
        states.append(actions)
    return {
        "rules": [_rule(rule) for rule in rules],
        "states": states,
        "starts": {name: [order[table.start_states[name]], order[table.end_states[name]]] for name in STARTS},
    }


def _rule(rule: Any) -> list[Any]:
    origin = str(rule.origin.name)
    method = rule.alias or ("" if origin.startswith("_") else origin)
    if rule.options.expand1 and not rule.alias:
        method = "?"
    names = [symbol.name for symbol in rule.expansion]
    kept = [i for i, name in enumerate(names) if name not in ("_NL", "_INDENT", "_DEDENT")]
    return [origin, method, len(names), kept]


def load() -> dict[str, Any]:
    """Return the tables that are shipped."""
    tables: dict[str, Any] = json.loads(data.read("grammar", TABLES))
    return tables


if __name__ == "__main__":
    text = json.dumps(build(data.read("grammar", GRAMMAR)), separators=(",", ":"))
    (data.folder("grammar") / TABLES).write_text(text + "\n", encoding="utf-8")
