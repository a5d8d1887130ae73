"""The kinds of a source's words and signs, as an editor colours them: of any text, whether it parses or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from netdsl.collector import no_collection
from netdsl.syntax.tokens import Fault, Token, lex, logical_lines

KINDS = {
    "comment": "# why",
    "string": '"unit.net"',
    "number": "64, 1e-6, 5M",
    "size": "3x3",
    "constant": "true, false, none",
    "keyword": "a word that means something where it stands",
    "operator": "->, =, |, @ and those of arithmetic",
    "punctuation": "brackets, commas, colons, dots, braces in names",
    "op": "what a step calls: conv, add",
    "function": "what an expression calls, and what a `def` declares",
    "block": "a block or a net, where it is declared and where it is called",
    "variant": "a variant",
    "table": "a table",
    "label": "the name of a module, an input, an output, a stage",
    "parameter": "of a block, net or function; a column of a table",
    "type": "of a parameter",
    "argument": "the name in name=value, and that of a decision",
    "property": "behind a dot: x.c",
    "annotation": "behind an @",
    "name": "any other value",
}
"""Each kind, with examples or what it is."""

WORDS = frozenset(
    "NAME COUNT BLOCK NET TABLE STAGE OUTPUT INPUT WEIGHT DEFAULT INIT META REQUIRE ORDER DECIDE FIRST INLINE "
    "VARIANT SAME".split()
)
"""What is a name wherever it does not open or end something: `_word` of the grammar."""
_FILLED = frozenset({"TEMPLATE", "COUNTED"})
_NAMES = WORDS | {"TEMPLATE", "STRING"}
"""What a label begins with."""
_CALLED = frozenset("NAME BLOCK NET TABLE".split())
_OPENS = WORDS - {"NAME", "COUNT", "FIRST", "SAME"}
_DECLARES = {"BLOCK": "block", "NET": "block", "VARIANT": "variant", "TABLE": "table"}
_NO_KEYWORD_BEFORE = frozenset("COLON EQUAL COMMA DOT STAR".split())
"""Behind a word that could open a statement, these say that it is a name."""
_OPENING = frozenset({"LPAR", "COUNT_LPAR", "LSQB"})
_CLOSING = frozenset({"RPAR", "RSQB"})
_USUAL = {
    **dict.fromkeys("COLON COMMA DOT LPAR COUNT_LPAR RPAR LSQB RSQB".split(), "punctuation"),
    **dict.fromkeys("ARROW POWER CMP SIGN TIMES STAR SLASH EQUAL VBAR AT".split(), "operator"),
    **dict.fromkeys("ADD MUL CONCAT FORK".split(), "op"),
    **dict.fromkeys("TRUE FALSE NONE".split(), "constant"),
    **dict.fromkeys(WORDS | _FILLED, "name"),
    "NUMBER": "number",
    "DIMS": "size",
    "STRING": "string",
}
"""What tokens are wherever they stand, or where nothing else is known; all others are keywords."""
_COMMENT = re.compile(r"#[^\n]*(?<!\r)")
_PIECES = re.compile(r"(\{)([^{}]*)(\})|[^{}]+")


class Classified(NamedTuple):
    """Some characters of a text, and what they are."""

    start: int
    end: int
    kind: str


def plain(text: str) -> list[Classified]:
    """Return what the form of a text says of each of its words and signs, no name being looked up.

    It is what the grammars of editors can tell, and are held to.
    """
    return [one for item in _items(text) for one in item]


def classified(text: str) -> list[Classified]:
    """Return what each word and sign of a text is, with names looked up in it: blocks, parameters, labels."""
    items = _items(text)
    declared: dict[str, str] = {}
    for item in items:
        words = [(text[one.start : one.end], one.kind) for one in item if one.kind != "comment"]
        if words and words[0] == ("import", "keyword"):
            declared.update((word, "imported") for word, kind in words if kind == "name")
        else:
            declared.update([one for one in words if one[1] in ("block", "variant", "table", "function")][:1])
    found = []
    for item in items:
        known = dict(declared)
        for kind in ("label", "parameter"):  # where both are called so, the parameter is meant more often
            whole = (one for one in item if one.kind == kind and "." not in text[one.start - 1 : one.end + 1])
            known |= {text[one.start : one.end]: kind for one in whole}
        found += [
            one._replace(kind=_known(one.kind, known.get(text[one.start : one.end], ""))) for one in item
        ]
    return found


def _known(kind: str, known: str) -> str:
    """Return what a word is that has some kind by its form, and is known as something."""
    if kind in ("op", "function"):
        return {"imported": "block", "block": "block", "parameter": "parameter"}.get(known, kind)
    return known if kind == "name" and known not in ("", "imported") else kind


def _items(text: str) -> list[list[Classified]]:
    """Return what there is in a text, in lists that begin with each line that is not indented."""
    items: list[list[Classified]] = [[]]
    faults: list[Fault] = []
    with no_collection():
        lines = logical_lines(text, faults)
        if faults and not lines:
            return items
        readable = text
        for fault in faults:  # what has no meaning may hold a `#`
            readable = readable[: fault.start] + " " * (fault.end - fault.start) + readable[fault.end :]
        end, rows = 0, False
        for line in lines:
            first = line.tokens[0]
            rows = rows and line.level > 0
            items[-1] += _comments(readable, end, first.start)
            if not line.level:
                items.append([])
            kinds = _kinds(line.tokens, not line.level, rows)
            rows = rows or kinds[:2] == ["keyword", "table"]
            end = first.start
            for token, kind in zip(line.tokens, kinds, strict=True):
                if token.type != "_NL":
                    items[-1] += _comments(readable, end, token.start)
                    items[-1] += _pieces(token, kind) if token.type in _FILLED else [_at(token, kind)]
                    end = token.end
        items[-1] += _comments(readable, end, len(text))
    return items


def _at(token: Token, kind: str) -> Classified:
    return Classified(token.start, token.end, kind)


def _comments(text: str, start: int, end: int) -> Iterator[Classified]:
    for found in _COMMENT.finditer(text, start, end):
        yield Classified(found.start(), found.end(), "comment")


def _pieces(token: Token, kind: str) -> Iterator[Classified]:
    """Yield the texts of a name with braces, and what is in them."""
    for found in _PIECES.finditer(token.text):
        start, end = token.start + found.start(), token.start + found.end()
        if found[1] is None:
            yield Classified(start, end, kind)
            continue
        yield Classified(start, start + 1, "punctuation")
        tokens = list(lex(found[2], []))
        for inner, of in zip(tokens, _kinds(tokens, False, True), strict=True):
            yield Classified(start + 1 + inner.start, start + 1 + inner.end, of)
        yield Classified(end - 1, end, "punctuation")


def _kinds(tokens: list[Token], top: bool, value: bool) -> list[str]:
    """Return the kinds of a line's tokens; `top` where it is not indented, `value` where it is an expression."""
    line = _Line(tokens, top, "operand" if value else "statement")
    at = 0
    while at < len(tokens):
        at = line.read(at)
    return line.kinds[: len(tokens)]


class _Line:
    """A logical line, read from left to right."""

    def __init__(self, tokens: list[Token], top: bool, expects: str) -> None:
        """Begin where a statement or an operand stands."""
        self.types = [token.type for token in tokens] + ["_NL"] * 4
        self.kinds = [_USUAL.get(kind, "keyword") for kind in self.types]
        self.top = top
        self.expects = expects
        """What may stand next: "statement", "step", "operand", or, an operand being there, "operator"."""
        self.brackets: list[str] = []
        """What each open bracket holds: "steps" or "values"."""
        self.counted = -1
        """In how many brackets the count of a repetition stands, until its `*`."""
        self.colon = "statement"
        """What follows a colon outside brackets."""
        self.header = -1
        """Where the bracket of parameters would stand."""
        self.slot = self.again = ""
        """What names in a list of names are, here and behind its next comma."""
        self.within = 0
        """In how many brackets that list stands."""

    def read(self, at: int) -> int:
        """Read what begins at a token, and return where to go on."""
        kind = self.types[at]
        begins = self.expects in ("statement", "step")
        if begins and kind in _NAMES:
            return self._begin(at)
        if kind in WORDS or kind in _FILLED:
            self._word(at)
        elif self.kinds[at] in ("number", "size", "string", "constant"):
            if begins and self.types[at + 1] == "STAR":
                self.counted = len(self.brackets)
            self.expects = "operator"
        elif kind in _OPENING or kind in _CLOSING:
            self._bracket(at)
        elif kind == "AT":
            self.kinds[at + 1], self.expects = "annotation", "operand"
            return at + 2
        elif kind == "AS":
            return self._label(at + 1)
        elif kind == "DEF":
            self.kinds[at + 1] = "function"
            self.header, self.expects = at + 2, "operator"
            return at + 2
        elif kind == "TRAIN":
            self.kinds[at] = "argument" if self.types[at + 1] == "EQUAL" else "keyword"
            self.expects = self.expects if self.types[at + 1] == "OUTPUT" else "operator"
        else:
            self._sign(kind)
        return at + 1

    # -- names

    def _named(self, at: int) -> int:
        """Return where the label ends that begins at a token; there, if none does."""
        end = at
        while self.types[end] in _NAMES or (end > at and self.types[end] in ("COUNTED", "NUMBER")):
            end += 1
            if self.types[end] != "DOT":
                return end
            end += 1
        return at

    def _label(self, at: int) -> int:
        """Read the label that begins at a token, if one does."""
        end = self._named(at)
        for one in range(at, end):
            if self.types[one] in WORDS or self.types[one] in _FILLED:
                self.kinds[one] = "label"
        self.expects = "operator"
        return end

    def _begin(self, at: int) -> int:
        """Read a name where a statement or a step begins."""
        kind, following = self.types[at : at + 2]
        statement = self.expects == "statement"
        if (statement or self.brackets) and self.types[self._named(at)] == "COLON":
            return self._label(at)
        if statement and following in ("EQUAL", "COMMA"):
            while self.types[at] in WORDS or self.types[at] in ("TEMPLATE", "COMMA"):
                at += 1
            self.expects = "operator"
            return at
        declares = kind in _DECLARES or kind == "INLINE"
        if (
            statement
            and kind in _OPENS
            and following not in _NO_KEYWORD_BEFORE
            and (self.top or not declares)
        ):
            return self._declared(at) if declares else self._opened(at)
        if kind == "SAME" and following in _NAMES:
            self.kinds[at] = "keyword"
            return self._label(at + 1)
        self.expects = "operator"
        if kind == "COUNT" or following == "STAR":
            self.counted = len(self.brackets)
        elif kind in _CALLED:
            self.kinds[at], self.expects = "op", "operand"
        return at + 1

    def _declared(self, at: int) -> int:
        """Read a word that begins a declaration, and what it declares."""
        kind = self.types[at]
        self.kinds[at] = "keyword"
        if kind == "INLINE":
            return at + 1
        self.expects = "operator"
        if self.types[at + 1] in WORDS:
            self.kinds[at + 1] = _DECLARES[kind]
            if kind == "VARIANT" and self.types[at + 2] == "EQUAL" and self.types[at + 3] in WORDS:
                self.kinds[at + 3] = "block"
                return at + 4
            if kind != "VARIANT":
                self.header = at + 2
            return at + 2
        return at + 1

    def _opened(self, at: int) -> int:
        """Read a word that opens a line of a body, and its label, if it has one."""
        kind = self.types[at]
        self.kinds[at] = "keyword"
        self.expects = "step" if kind in ("DEFAULT", "INIT") else "operand"
        if kind in ("ORDER", "DECIDE"):
            self.slot = self.again = "label" if kind == "ORDER" else "argument"
            self.within = int(self.types[at + 1] == "LPAR")
        elif kind == "STAGE" and (self.types[at + 1] in WORDS or self.types[at + 1] in _FILLED):
            self.kinds[at + 1], self.expects = "label", "operator"
            return at + 2
        elif kind in ("OUTPUT", "WEIGHT"):
            end = self._label(at + 1)
            self.expects = "operand" if kind == "WEIGHT" else "operator"
            return end
        elif kind == "INPUT":
            self.colon = "operand"
            if self.types[at + 1] in WORDS and self.types[at + 2] == "COLON":
                return self._label(at + 1)
        return at + 1

    def _word(self, at: int) -> None:
        """Read a name that stands where a value does, or in a list of names."""
        if self.slot and len(self.brackets) == self.within:
            self.kinds[at] = self.slot
        elif self.types[at - 1] == "DOT":
            self.kinds[at] = "property"
        elif self.types[at] == "FIRST" and self.expects == "operator":
            self.kinds[at] = "keyword"
        elif self.types[at] in WORDS and self.types[at + 1] == "EQUAL":
            self.kinds[at] = "argument"
        elif self.types[at] in WORDS and self.types[at + 1] == "LPAR":
            self.kinds[at] = "function"
        self.expects = "operator"

    # -- signs and reserved words

    def _bracket(self, at: int) -> None:
        kind = self.types[at]
        if kind in _OPENING:
            steps = self.expects in ("statement", "step")
            if steps and kind == "COUNT_LPAR":
                self.counted, steps = len(self.brackets), False
            self.brackets.append("steps" if steps else "values")
            self.expects = "step" if steps else "operand"
            if self.header == at:
                self.slot, self.again, self.within = "parameter", "parameter", 1
        elif self.brackets:
            self.expects = "operand" if self.brackets.pop() == "steps" else "operator"
            if len(self.brackets) < self.within:
                self.slot, self.again, self.within = "", "", 0

    def _sign(self, kind: str) -> None:
        """Go on behind a sign, or a word that is reserved."""
        listed = len(self.brackets) == self.within
        steps = self.brackets[-1:] == ["steps"]
        self.expects = "operand"
        if kind in ("ARROW", "VBAR") or (kind == "COLON" and steps):
            self.expects = "step"
        elif kind == "STAR" and self.counted == len(self.brackets):
            self.counted, self.expects = -1, "step"
        elif kind == "COLON" and not self.brackets:
            self.expects, self.top, self.header = self.colon, False, -1
            self.slot = self.again = ""
        elif kind == "FROM" and self.header >= 0:
            self.slot, self.again, self.within = "parameter", "parameter", 0
        elif listed and kind == "COMMA":
            self.slot = self.again
        elif listed and kind == "COLON" and self.slot:
            self.slot = "type"
        elif listed and kind in ("EQUAL", "IN"):
            self.slot = ""
