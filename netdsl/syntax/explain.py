"""What a syntax error says: the typical mistakes by their shape, else what could have followed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile

from netdsl.syntax.tokens import OPENING, Fault, Token

_VALUES = {"NUMBER", "NAME", "DIMS", "STRING", "TEMPLATE", "TRUE", "FALSE", "NONE"}
_EXPRESSION = _VALUES | OPENING
_ENDS = _VALUES | {"RPAR", "RSQB"}
_SHOWN = {
    "ARROW": "`->`",
    "COMMA": "`,`",
    "_NL": "the end of the line",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "LPAR": "`(`",
    "VBAR": "`|`",
    "WHEN": "`when`",
    "IN": "`in`",
    "ELSE": "`else`",
    "STRING": 'a string `"..."`',
    "NAME": "a name",
    "_INDENT": "an indented body",
    "FROM": "`from`",
    "OUTPUT": "`output`",
    "NUMBER": "a number",
    "BLOCK": "`block`",
}
_STARTS_STEP = {"ARROW", "COLON", "STAR", "VBAR", *OPENING}
_ENDS_STEP = {"ARROW", "VBAR", "WHEN", "AS", "_NL"}
_HAS_BODY = {
    "NET",
    "BLOCK",
    "TABLE",
    "IF",
    "ELIF",
    "ELSE",
    "FOR",
    "STAGE",
    "ADD",
    "MUL",
    "CONCAT",
    "FORK",
    "CHOOSE",
}
_SUFFIX_REPEAT = ("x", "times")


class Place:
    """Where the automaton stopped: the token, those before it on its line, what could have stood there."""

    def __init__(
        self, token: Token, line: Sequence[Token], index: int, header: Sequence[Token], accepted: set[str]
    ) -> None:
        """`index` is the token's in the line, -1 for indentation; `header` is the line above."""
        self.token = token
        self.line = line
        self.index = index
        self.header = header
        self.accepted = accepted
        self.before = line[: max(index, 0)]

    @property
    def found(self) -> str:
        """The token as a message calls it."""
        return {"_NL": "the end of the line", "$END": "the end of the file"}.get(
            self.token.type, f"`{self.token.text}`"
        )

    def fault(self, code: str, message: str, help: str = "", opener: int = -1) -> Fault:
        """Return an error about the token."""
        token = self.token
        end = token.start if token.type == "_NL" else token.end
        return Fault(code, token.start, end, message, help, opener)


def explain(place: Place) -> Fault:
    """Return what is wrong at a place."""
    for mistake in (_indentation, _bracket, _arrow, _argument, _declaration, _word):
        fault = mistake(place)
        if fault is not None:
            return fault
    expected = _expected(place.accepted)
    message = f"expected {expected}, found {place.found}" if expected else f"{place.found} cannot stand here"
    opener = -1
    if place.token.type in ("RPAR", "RSQB"):
        at = _opener(place.before)
        opener = place.before[at].start if at >= 0 else -1
    return place.fault("E100", message, opener=opener)


def called(text: str, fault: Fault) -> Fault:
    """Return the error for a layer that is written like a call, from its text: `conv(3x3, 64)`."""
    layer = text[fault.start : fault.end]
    op, _, arguments = layer.partition("(")
    inner = " ".join(arguments.rpartition(")")[0].split())
    shown = layer if "\n" not in layer else f"{op}(...)"
    what = f"`{shown}`: layers are written without parentheses"
    return Fault("E106", fault.start, fault.end, what, f"{op} {inner}".strip())


def _indentation(place: Place) -> Fault | None:
    token, accepted = place.token, place.accepted
    if token.type == "_INDENT":
        first = place.line[0]
        help = "end the line above with `:`, or indent this one like it"
        what = "an indented line, but nothing above opens a body"
        return Fault("E107", first.start, first.end, what, help)
    if (token.type in ("_DEDENT", "$END") or place.index <= 0) and "_INDENT" in accepted and place.header:
        last = place.header[-1]
        what = "a line that ends with `:` needs an indented body below it"
        help = "indent what belongs to it by four spaces"
        return Fault(
            "E108", place.header[0].start, last.start if last.type == "_NL" else last.end, what, help
        )
    if token.type == "$END":
        return place.fault("E109", "the file ends in the middle of a statement")
    return None


def _bracket(place: Place) -> Fault | None:
    token, before = place.token, place.before
    if token.type == "RSQB" and "WHEN" in place.accepted:
        opener = _opener(before)
        inner = _text(before[opener + 1 :])
        help = f"[{inner} when ...]; without a condition, leave the brackets out"
        return Fault("E112", before[opener].start, token.end, f"`[{inner}]` needs a condition", help)
    at = _called(before)
    if at is None:
        return None
    closing = _closing(place.line, at + 1)
    op, inner = before[at], _text(place.line[at + 2 : closing])
    shown = _text(place.line[at : closing + 1])
    what = f"`{shown}`: layers are written without parentheses"
    return Fault(
        "E106", op.start, place.line[min(closing, len(place.line) - 1)].end, what, f"{op.text} {inner}"
    )


def _arrow(place: Place) -> Fault | None:
    before = place.before
    if place.token.type not in ("NUMBER", "DIMS", "NAME") or len(before) < 2:
        return None
    minus, last = before[-2:]
    if last.type != "NAME" or minus.text != "-":
        return None
    start = _step(before)
    arrows = [Token(t.type, "->" if t.text == "-" else t.text, t.start, t.end) for t in place.line[start:]]
    return Fault("E113", minus.start, minus.end, "`-` between layers", f"arrows: {_text(arrows)}")


def _argument(place: Place) -> Fault | None:
    token, before = place.token, place.before
    if len(before) == 3 and before[1].text in "=:" and before[2].type == "INPUT":
        help = f"an input's name stands behind the word: input {before[0].text}: {_text(place.line[place.index :])}"
        return place.fault("E100", f"expected the end of the line, found {place.found}", help)
    if len(before) == 3 and before[1].text == "=" and token.type in ("NUMBER", "DIMS"):
        help = f"`:` names a layer: {before[0].text}: {_text([before[2], *place.line[place.index :]])}"
        return place.fault("E100", f"expected the end of the line, found {place.found}", help)
    if "ARROW" not in place.accepted or not before:
        return None
    step = _step(before)
    if token.type == "STAR":
        step = _opener(before[:-1]) if before[-1].type == "RPAR" else step
        count = _text(list(takewhile(lambda one: one.type not in _ENDS_STEP, place.line[place.index + 1 :])))
        help = f"a repetition stands in front: {count or 3} * {_text(before[step:])}"
        return place.fault("E100", f"expected `->` or the end of the line, found {place.found}", help)
    if token.type not in _VALUES:
        return None
    help = ""
    if token.text in _SUFFIX_REPEAT:
        help = f"a repetition stands in front: 3 * {_text(before[step:])}"
    elif before[-1].type in _ENDS and len(before) - step > 1:
        rest = place.line[place.index :]
        stop = next((i for i, t in enumerate(rest) if t.type in _ENDS_STEP), len(rest))
        help = f"arguments are separated by commas: {_with_commas([*before[step:], *rest[:stop]])}"
    return place.fault("E100", f"expected `->`, `,` or the end of the line, found {place.found}", help)


def _declaration(place: Place) -> Fault | None:
    token, before, accepted = place.token, place.before, place.accepted
    if token.type == "_NL" and "COLON" in accepted and before and before[0].type in _HAS_BODY:
        help = "its body follows, indented"
        return place.fault("E100", "expected `:` at the end of the line", help)
    if token.type == "EQUAL" and any(t.type in ("IF", "ELIF", "WHEN", "REQUIRE") for t in before):
        return place.fault("E100", "expected a condition, found `=`", "to compare, write ==")
    if token.type in ("ELIF", "ELSE"):
        return place.fault("E100", f"{place.found} without an `if` at the same indentation")
    return None


def _word(place: Place) -> Fault | None:
    token, accepted = place.token, place.accepted
    if not token.text.isalpha() or token.type in _EXPRESSION or "NAME" not in accepted:
        return None
    help = f'`{token.text}` is a reserved word; as a label, quote it: "{token.text}": ...'
    expected = _expected(accepted)
    return place.fault("E114", f"expected {expected or 'something else'}, found {place.found}", help)


def _expected(accepted: set[str]) -> str:
    if accepted >= {"ARROW", "_NL"}:
        accepted = accepted & {"ARROW", "COMMA", "_NL", "COLON"}
    words = []
    if accepted >= {"NUMBER", "NAME", "LPAR"}:
        words.append("a value")
        accepted = accepted - _EXPRESSION
    words += [_SHOWN[name] for name in _SHOWN if name in accepted]
    words = words[:4]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _opener(tokens: Sequence[Token]) -> int:
    """Return the index of the innermost open bracket, or -1."""
    depth = 0
    for i in range(len(tokens) - 1, -1, -1):
        if tokens[i].type in ("RPAR", "RSQB"):
            depth += 1
        elif tokens[i].type in OPENING:
            if depth == 0:
                return i
            depth -= 1
    return -1


def _closing(tokens: Sequence[Token], opener: int) -> int:
    """Return the index of the bracket that closes another, or the number of tokens."""
    depth = 0
    for i in range(opener, len(tokens)):
        depth += (tokens[i].type in OPENING) - (tokens[i].type in ("RPAR", "RSQB"))
        if depth == 0:
            return i
    return len(tokens)


def _called(before: Sequence[Token]) -> int | None:
    """Return the index of an op that is written like a call, `conv(`, and still open."""
    at = _opener(before)
    if at < 1 or before[at].type != "LPAR" or before[at - 1].type != "NAME":
        return None
    if before[at - 1].end != before[at].start or (at > 1 and before[at - 2].type not in _STARTS_STEP):
        return None
    return at - 1


def _step(tokens: Sequence[Token]) -> int:
    """Return the index at which the innermost step begins."""
    opener = _opener(tokens)
    for i in range(len(tokens) - 1, opener, -1):
        if tokens[i].type in ("ARROW", "COLON", "VBAR", "STAR"):
            return i + 1
    return opener + 1


def _with_commas(tokens: Sequence[Token]) -> str:
    """Return a layer as text, with commas where one value follows another, and before a stride."""
    parts = [tokens[0].text]
    for i, (previous, token) in enumerate(pairwise(tokens)):
        space = previous.end < token.start
        follows = i + 2 < len(tokens) and tokens[i + 2].start == token.end
        stride = token.type == "SLASH" and space and follows
        comma = i > 0 and previous.type in _ENDS and (stride or (token.type in _EXPRESSION and space))
        parts.append((", " if comma else " " if space else "") + token.text)
    return "".join(parts)


def _text(tokens: Sequence[Token]) -> str:
    """Return tokens as text, spaced as they were."""
    parts: list[str] = []
    end = tokens[0].start if tokens else 0
    for token in tokens:
        if token.type == "_NL":
            break
        parts.append((" " if end < token.start else "") + token.text)
        end = token.end
    return "".join(parts).strip()
