"""What the tree knows about the tokens of a text: which stand close, which brackets hold steps, what is a table."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

from netdsl.syntax import tree
from netdsl.syntax.tokens import OPENING, TEMPLATES, LogicalLine, Token, lex

_SPACED, _PRODUCTS, _ALL = 0, 1, 2
"""Which operators stand close: none; products, as in the arguments of a layer; sums too, as in a name."""
_SUMS = {"+", "-"}
_BRACES = re.compile(r"\{([^{}]*)\}")


class Spacing:
    """The places of a file that are not spaced like all others. Places are offsets, as in the tree."""

    def __init__(self, text: str, file: tree.File, lines: Iterable[LogicalLine]) -> None:
        """Read the tree of a text; the lines are those it was made of."""
        self.close: set[int] = set()
        """Tokens that follow the one before without a space."""
        self.steps: set[int] = set()
        """Brackets that hold steps or branches, not a list."""
        self.rows: dict[int, list[tuple[int, int | None]]] = {}
        """The cells of a table's row: where each begins, and the digits before its point, if it is a number."""
        self._source = text
        self._next: dict[int, int] = {}
        self._opening: set[int] = set()
        self._names: dict[int, list[tuple[int, int, list[Token]]]] = {}
        self._labels: set[int] = set()
        """Tokens whose braces hold expressions."""
        self._braced: list[int] = []
        """Tokens that may have braces, in order."""
        self._dots: list[int] = []
        """Dots outside braces, in order."""
        for line in lines:
            self._note(line.tokens)
        self._special: dict[type, Callable[[Any, int, int], None]] = {
            tree.Binary: self._binary,
            tree.Unary: self._unary,
            tree.Ternary: self._ternary,
            tree.Attribute: self._attribute,
            tree.Index: self._index,
            tree.Slice: self._slice,
            tree.CallExpr: self._call,
            tree.Choice: self._choice,
            tree.Template: self._template,
            tree.Keyword: self._keyword,
            tree.Decision: self._decision,
            tree.Stride: self._stride,
            tree.Ref: self._ref,
            tree.Optional: self._bracket,
            tree.Group: self._bracket,
            tree.Variant: self._variant,
            tree.Annotation: self._annotation,
            tree.Row: self._row,
            tree.Number: self._leaf,
            tree.Name: self._name,
            **dict.fromkeys((tree.Block, tree.Net, tree.Table, tree.Def), self._declaration),
            **dict.fromkeys(
                (tree.Layer, tree.Default, tree.InitLine, tree.Input, tree.Meta, tree.Weight),
                self._arguments,
            ),
        }
        self._children(file, _SPACED)

    def text(self, token: Token) -> str:
        """Return a token as it is written; spaces in the braces of a name are not kept."""
        if token.start not in self._labels:
            return token.text
        text, at = "", 0
        for start, end, inner in self._names[token.start]:
            text += token.text[at:start] + "{" + self._joined(inner) + "}"
            at = end
        return text + token.text[at:]

    def spaced(self, before: Token, after: Token) -> bool:
        """Tell whether a space stands between two tokens of a line."""
        return (
            after.start not in self.close
            and after.type not in ("COMMA", "COLON", "RPAR", "RSQB")
            and before.type not in OPENING
        )

    def _joined(self, tokens: list[Token]) -> str:
        text = tokens[0].text
        for before, after in pairwise(tokens):
            text += " " + after.text if self.spaced(before, after) else after.text
        return text

    def _note(self, tokens: list[Token], outer: bool = True) -> None:
        """Note what follows what, in the braces of names too."""
        following = self._next
        for before, after in pairwise(tokens):
            following[before.end] = after.start
        for token in tokens:
            if token.type in ("LPAR", "COUNT_LPAR"):
                self._opening.add(token.start)
            elif token.type == "DOT" and outer:
                self._dots.append(token.start)
            elif token.type in TEMPLATES:
                parts = self._names[token.start] = []
                self._braced += [token.start] if outer else []
                for braces in _BRACES.finditer(token.text):
                    inner = [
                        Token(t.type, t.text, t.start + token.start, t.end + token.start)
                        for t in lex(token.text, [], braces.start(1), braces.end(1))
                    ]
                    parts.append((braces.start(), braces.end(), inner))
                    self._note(inner, outer=False)

    # -- the walk: `base` is how close operators stand here, `tight` within the operator around

    def _read(self, node: tree.Tree, base: int, tight: int) -> None:
        if isinstance(node, tree.Expr) and node.in_parentheses:
            tight = base
        method = self._special.get(type(node))
        if method is None:
            self._children(node, base)
        else:
            method(node, base, tight)

    def _children(self, node: tree.Tree, base: int) -> None:
        for value in node.__dict__.values():
            if type(value) is tuple:
                for item in value:
                    if isinstance(item, tree.Tree):
                        self._read(item, base, base)
            elif isinstance(value, tree.Tree):
                self._read(value, base, base)

    def _leaf(self, node: tree.Tree, base: int, tight: int) -> None:
        pass

    def _binary(self, node: tree.Binary, base: int, tight: int) -> None:
        operator = node.operator
        if operator == "**" or operator in ("*", "/", "//", "%"):
            close = operator == "**" or tight >= _PRODUCTS
        else:
            close = operator in _SUMS and tight == _ALL
            if operator not in ("and", "or"):
                tight = max(tight, _PRODUCTS)
        if close:
            self.close.add(self._next[node.left.end])
            self.close.add(node.right.start)
        self._read(node.left, base, tight)
        self._read(node.right, base, tight)

    def _unary(self, node: tree.Unary, base: int, tight: int) -> None:
        if node.operator in _SUMS:
            self.close.add(node.operand.start)
        self._read(node.operand, base, tight)

    def _ternary(self, node: tree.Ternary, base: int, tight: int) -> None:
        for part in (node.then, node.condition, node.otherwise):
            self._read(part, base, tight)

    def _attribute(self, node: tree.Attribute, base: int, tight: int) -> None:
        dot = self._next[node.value.end]
        self.close |= {dot, self._next[dot + 1]}
        self._read(node.value, base, tight)

    def _index(self, node: tree.Index, base: int, tight: int) -> None:
        self.close.add(self._next[node.value.end])
        self._read(node.value, base, tight)
        self._read(node.index, base, base)

    def _slice(self, node: tree.Slice, base: int, tight: int) -> None:
        bracket = self._next[node.value.end]
        colon = self._next[bracket + 1 if node.begin is None else node.begin.end]
        self.close |= {bracket, self._next[colon + 1]}
        self._children(node, _ALL)

    def _call(self, node: tree.CallExpr, base: int, tight: int) -> None:
        self.close.add(self._next[node.function.end])
        self._children(node, base)

    def _choice(self, node: tree.Choice, base: int, tight: int) -> None:
        start = node.start
        while start in self._opening:  # in parentheses
            start = self._next[start + 1]
        self.close.add(self._next[start + len("choose")])
        self._children(node, base)

    def _template(self, node: tree.Template, base: int, tight: int) -> None:
        self._name(node, base, tight)
        self._labels.update(self._within(self._braced, node))
        self._children(node, _ALL)

    def _name(self, node: tree.Tree, base: int, tight: int) -> None:
        """Close up the parts of a label with dots."""
        for dot in self._within(self._dots, node):
            self.close |= {dot, self._next[dot + 1]}

    @staticmethod
    def _within(places: list[int], node: tree.Tree) -> list[int]:
        return places[bisect_left(places, node.start) : bisect_left(places, node.end)]

    def _keyword(self, node: tree.Keyword, base: int, tight: int) -> None:
        if node.value.start == node.start:
            return  # `train` alone
        self.close |= {self._next[node.start + len(node.name)], node.value.start}
        self._read(node.value, base, max(base, _PRODUCTS))

    def _decision(self, node: tree.Decision, base: int, tight: int) -> None:
        self._name(node.name, base, tight)
        self.close |= {self._next[node.name.end], node.value.start}
        self._read(node.value, _PRODUCTS, _PRODUCTS)

    def _stride(self, node: tree.Stride, base: int, tight: int) -> None:
        self.close.add(node.value.start)
        self._read(node.value, base, base)

    def _ref(self, node: tree.Ref, base: int, tight: int) -> None:
        if node.index is not None:
            self.close.add(self._next[node.name.end])
        self._children(node, base)

    def _bracket(self, node: tree.Tree, base: int, tight: int) -> None:
        self.steps.add(node.start)
        self._children(node, base)

    def _arguments(self, node: tree.Tree, base: int, tight: int) -> None:
        self._children(node, _PRODUCTS)

    def _annotation(self, node: tree.Annotation, base: int, tight: int) -> None:
        self.close.add(node.name.start)
        self._opens(node.name)
        self._children(node, _PRODUCTS)

    def _declaration(
        self, node: tree.Block | tree.Net | tree.Table | tree.Def, base: int, tight: int
    ) -> None:
        self._opens(node.name)
        self._children(node, _SPACED)

    def _variant(self, node: tree.Variant, base: int, tight: int) -> None:
        self._opens(node.net)
        for argument in node.args:
            self._read(argument, _PRODUCTS, _PRODUCTS)
        for statement in node.body:
            self._read(statement, _SPACED, _SPACED)

    def _opens(self, name: tree.Name) -> None:
        """Put the parenthesis behind a name close to it, if there is one."""
        following = self._next.get(name.end, -1)
        if following in self._opening:
            self.close.add(following)

    def _row(self, node: tree.Row, base: int, tight: int) -> None:
        self.rows[node.start] = [(cell.start, self._digits(cell)) for cell in node.cells]
        self._children(node, _PRODUCTS)

    def _digits(self, cell: tree.Expr) -> int | None:
        if cell.in_parentheses:
            return None
        if isinstance(cell, tree.Unary) and cell.operator in _SUMS:
            digits = self._digits(cell.operand)
            return None if digits is None else digits + 1
        return whole_digits(self._source[cell.start : cell.end]) if isinstance(cell, tree.Number) else None


def whole_digits(number: str) -> int:
    """Return how many characters of a number stand before its point, exponent or suffix."""
    return len(number) - len(number.lstrip("0123456789_"))
