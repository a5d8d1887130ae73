"""The LALR(1) automaton: it runs the tables of the grammar, and calls a builder's method for every rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from netdsl.syntax.tables import load
from netdsl.syntax.tokens import Token

Build = Callable[[int, int, list[Any]], Any]
"""Makes a tree of what a rule matched: its offsets, and its tokens and trees but newlines and indentation."""


class Rule(NamedTuple):
    """A rule of the grammar, as the automaton needs it."""

    symbol: str
    size: int
    kept: tuple[int, ...]
    """Which of its children are no newlines or indentation."""
    build: Build | None
    """None if its children join its parent's."""
    single: bool
    """Whether it is nothing but its only child."""


class Unexpected(Exception):
    """A token that cannot stand where it does."""

    def __init__(self, token: Token) -> None:
        """Carry the token."""
        super().__init__(token.type)
        self.token = token


class Grammar:
    """The tables, with the methods of a builder in place of the rules' names."""

    def __init__(self, builder: object) -> None:
        """Read the tables."""
        tables = load()
        self.states: list[dict[str, int]] = tables["states"]
        self.starts: dict[str, list[int]] = tables["starts"]
        self.rules = [
            Rule(
                symbol,
                size,
                tuple(kept),
                getattr(builder, method) if method.isidentifier() else None,
                method == "?",
            )
            for symbol, method, size, kept in tables["rules"]
        ]


class Automaton:
    """One run: stacks of states, of values and of their offsets."""

    def __init__(self, grammar: Grammar, start: str) -> None:
        """Begin in the start symbol's state."""
        self.grammar = grammar
        begin, self.end = grammar.starts[start]
        self.stack = [begin]
        self.values: list[Any] = []
        self.spans: list[tuple[int, int]] = []

    def feed(self, token: Token) -> None:
        """Take the next token; raise Unexpected if it cannot stand here."""
        states, rules, stack = self.grammar.states, self.grammar.rules, self.stack
        kind = token.type
        while True:
            action = states[stack[-1]].get(kind)
            if action is None:
                raise Unexpected(token)
            if action >= 0:
                stack.append(action)
                self.values.append(token)
                self.spans.append((token.start, token.end))
                return
            rule = rules[-1 - action]
            if rule.single:
                del stack[-1]
            else:
                self.reduce(rule)
            stack.append(states[stack[-1]][rule.symbol])

    def finish(self, at: int) -> Any:
        """Return the start symbol's value, no token being left."""
        end = Token("$END", "", at, at)
        states, rules, stack = self.grammar.states, self.grammar.rules, self.stack
        while stack[-1] != self.end:
            action = states[stack[-1]].get(end.type)
            if action is None:
                raise Unexpected(end)
            rule = rules[-1 - action]
            if rule.single:
                del stack[-1]
            else:
                self.reduce(rule)
            stack.append(states[stack[-1]][rule.symbol])
        return self.values[-1]

    def reduce(self, rule: Rule) -> None:
        """Replace what a rule matched by its value."""
        values, spans, size = self.values, self.spans, rule.size
        if not size:
            here = spans[-1][1] if spans else 0
            values.append([] if rule.build is None else rule.build(here, here, []))
            spans.append((here, here))
            return
        children = values[-size:]
        kept = rule.kept
        places = spans[-size:]
        if kept:
            start, end = places[kept[0]][0], places[kept[-1]][1]
        else:
            start = end = places[0][0]
        del self.stack[-size:], values[-size:], spans[-size:]
        # a helper rule's children join its parent's; the list is extended, not copied: files are long
        joined: list[Any] = []
        for index in kept:
            child = children[index]
            if type(child) is not list:
                joined.append(child)
            elif joined:
                joined += child
            else:
                joined = child
        values.append(joined if rule.build is None else rule.build(start, end, joined))
        spans.append((start, end))

    def accepts(self) -> set[str]:
        """Return the types of the tokens that could stand here, of those that a text has."""
        here = self.grammar.states[self.stack[-1]]
        return {kind for kind in here if not kind.islower() and kind != "BROKEN" and self._takes(kind)}

    def _takes(self, kind: str) -> bool:
        """Tell whether a token would be shifted, after whatever it makes the automaton reduce."""
        states, rules = self.grammar.states, self.grammar.rules
        stack = list(self.stack)
        while True:
            if kind == "$END" and stack[-1] == self.end:
                return True
            action = states[stack[-1]].get(kind)
            if action is None or action >= 0:
                return action is not None
            rule = rules[-1 - action]
            del stack[len(stack) - rule.size :]
            stack.append(states[stack[-1]][rule.symbol])
