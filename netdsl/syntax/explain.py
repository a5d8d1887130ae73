"""What a syntax error says: the typical mistakes by their shape, else what could have followed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from keyword import iskeyword

from netdsl.syntax.habits import habit
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
_SUMMED = {"NAME", "NUMBER", "DIMS", "COMMA", "SIGN", "SLASH", "EQUAL", "TRUE", "FALSE"}
"""What layers with arguments are made of, and sums of them."""
_STEPS = {"NAME", "LPAR", "ADD", "MUL", "CONCAT"}
NAMES = "`:` names a layer: "
"""What is said where a layer is given a name by `=`; its line follows."""
TAKES = "a value is taken with `from`: "
"""What is said where a value is used as a layer; the line follows."""
DOTTED = "the module of a layer is not written: "
"""What is said where a layer's name has dots; the layer follows, with them."""
SUMS = "a sum of values is a joint: "
"""What is said where values are added by `+`; the line follows, with `from` before each name that stands alone."""
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
_COPIES = re.compile(r"(\w+)\(([^()\n]*)\) ?\* ?(\w+)")
"""A layer that is called and multiplied: `Block(64) * 3`."""
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

    @property
    def message(self) -> str:
        """What could have stood there."""
        expected = _expected(self.accepted)
        return f"expected {expected}, found {self.found}" if expected else f"{self.found} cannot stand here"

    def fault(self, code: str, message: str, help: str = "", opener: int = -1) -> Fault:
        """Return an error about the token."""
        token = self.token
        end = token.start if token.type == "_NL" else token.end
        return Fault(code, token.start, end, message, help, opener)


def explain(place: Place) -> Fault:
    """Return what is wrong at a place."""
    for mistake in (_indentation, _bracket, _habit, _arrow, _condition, _sum, _argument, _declaration, _word):
        fault = mistake(place)
        if fault is not None:
            return fault
    opener = -1
    if place.token.type in ("RPAR", "RSQB"):
        at = _opener(place.before)
        opener = place.before[at].start if at >= 0 else -1
    return place.fault("E100", place.message, opener=opener)


def called(text: str, fault: Fault) -> Fault:
    """Return the error for a layer that is written like a call, from its text: `conv(3x3, 64)`."""
    layer = text[fault.start : fault.end]
    op, _, arguments = layer.partition("(")
    shown = layer if "\n" not in layer else f"{op}(...)"
    what = f"`{shown}`: layers are written without parentheses"
    copies = _COPIES.fullmatch(layer)
    if copies is not None:
        return Fault(
            "E106",
            fault.start,
            fault.end,
            what,
            f"a repetition stands in front: {copies[3]} * {op} {copies[2]}",
        )
    inner, _, rest = arguments.rpartition(")")
    help = f"{op} ({arguments}" if rest.strip() else f"{op} {' '.join(inner.split())}".strip()
    return Fault("E106", fault.start, fault.end, what, help)


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
    behind = place.line[place.index + 1].text if place.index + 1 < len(place.line) else ""
    if token.type == "RSQB" and "WHEN" in place.accepted and behind != "*":
        opener = _opener(before)
        inner = _text(before[opener + 1 :])
        help = f"[{inner} when ...]; without a condition, leave the brackets out"
        return Fault("E112", before[opener].start, token.end, f"`[{inner}]` needs a condition", help)
    at = _called(before)
    at = _dotted(place) if at is None else at
    if at is None:
        return None
    closing = _closing(place.line, at + 1)
    op, inner = place.line[at], _text(place.line[at + 2 : closing])
    first = at
    while first > 1 and place.line[first - 1].type == "DOT":
        first -= 2
    shown = _text(place.line[first : closing + 1])
    what = f"`{shown}`: layers are written without parentheses"
    end = place.line[min(closing, len(place.line) - 1)].end
    return Fault("E106", place.line[first].start, end, what, f"{op.text} {inner}".strip())


def _habit(place: Place) -> Fault | None:
    """A line as Python has it."""
    help = habit(_text(place.line))
    if not help:
        return None
    return place.fault("E100", place.message, help)


def _dotted(place: Place) -> int | None:
    """Return the index of the last name of `nn.Conv2d(3, 64, 3)`, where the parser has stopped in it."""
    at = place.index
    if place.token.text.isidentifier() and place.before and place.before[-1].type == "DOT":
        at += 1  # `torch.add(...)`: a word of the language
    elif place.token.type not in ("DOT", "LPAR") or not place.before or place.before[-1].type != "NAME":
        return None
    while (
        at + 1 < len(place.line) and place.line[at].type == "DOT" and place.line[at + 1].text.isidentifier()
    ):
        at += 2
    called = at < len(place.line) and place.line[at].type == "LPAR" and at > 1
    return at - 1 if called and place.line[at - 2].type == "DOT" else None


def _condition(place: Place) -> Fault | None:
    """`identity if deep`: a condition behind a step as Python writes it."""
    token, line = place.token, place.line
    at = next((i for i, t in enumerate(place.before) if t.type == "IF"), place.index)
    step = _step(line[:at]) if 0 < at < len(line) else at
    if at == step or line[at].type != "IF" or line[step].type not in _STEPS:
        return None
    if token.type != "IF" and "ELSE" not in place.accepted:
        return None
    stop = next((i for i in range(at, len(line)) if line[i].type in (*_ENDS_STEP, "RPAR", "RSQB")), len(line))
    what, how = _text(line[step:at]), _text(line[at + 1 : stop])
    bracketed = step > 0 and line[step - 1].type == "LSQB"
    if not how or any(t.type == "IF" for t in line[at + 1 : stop]):
        help = ""
    elif any(t.type == "ELSE" for t in line[at:stop]):
        help = f"an op that a condition decides stands in parentheses: ({what} if {how})"
        help = help if at - step == 1 else ""
    elif bracketed or any(t.type in ("ARROW", "VBAR") for t in line[_line_start(line) :]):
        help = f"a step that may be left out: [{what} when {how}]"
    else:
        help = f"a condition follows `when`: {what} when {how}"
    expected = "`->` or the end of the line" if token.type == "IF" else "`else`"
    return place.fault("E100", f"expected {expected}, found {place.found}", help)


def _line_start(line: Sequence[Token]) -> int:
    """Return the index behind a line's label."""
    return next((i + 1 for i, t in enumerate(line) if t.type == "COLON"), 0)


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


def _sum(place: Place) -> Fault | None:
    """`x = x + dwconv 3x3`, `x += dwconv 3x3`: a sum of values as Python writes it."""
    token, before = place.token, place.before
    words = list(takewhile(lambda one: one.type != "_NL", place.line))
    texts = [one.text for one in words[:3]]
    more = texts[1:] == ["+", "="]
    layer = bool(before) and before[-1].type == "NAME" and token.type in ("NUMBER", "DIMS", "NAME")
    if not layer and not (more and place.index == 2):
        return None
    target = texts[0] if more or texts[1:2] == ["="] else ""
    rest = words[3 if more else 2 if target else 0 :]
    cuts = [-1, *(i for i, one in enumerate(rest) if one.text == "+"), len(rest)]
    terms = [rest[i + 1 : j] for i, j in pairwise(cuts)]
    if len(terms) + more < 2 or not all(term and term[0].type == "NAME" for term in terms):
        return None
    if any(one.type not in _SUMMED for one in rest):
        return None
    flowing = ("x", "flow", target)
    branches = ["identity"] if more else []
    for term in terms:
        one = _text(term)
        label = f"{one} as {term[0].text}{len(branches)}"  # no chain has a joint, so its layers need one
        branches.append(label if len(term) > 1 else "identity" if one in flowing else f"from {one}")
    taken = "" if target in ("", *flowing[:2]) or more else f"{target} = from flow -> "
    help = f"{SUMS}{taken}({' | '.join(branches)}) -> add"
    return place.fault("E100", f"expected the end of the line, found {place.found}", help)


def _argument(place: Place) -> Fault | None:
    token, before = place.token, place.before
    if len(before) == 3 and before[1].text in "=:" and before[2].type == "INPUT":
        help = f"an input's name stands behind the word: input {before[0].text}: {_text(place.line[place.index :])}"
        return place.fault("E100", f"expected the end of the line, found {place.found}", help)
    if len(before) == 3 and before[1].text == "=" and token.type in ("NUMBER", "DIMS"):
        help = f"{NAMES}{before[0].text}: {_text([before[2], *place.line[place.index :]])}"
        return place.fault("E100", f"expected the end of the line, found {place.found}", help)
    if token.type == "ARROW" and len(before) > 2 and before[-2].type == "EQUAL" and before[-1].type == "NAME":
        help = f"{TAKES}{_text(before[:-1])} from {_text(place.line[place.index - 1 :])}"
        return place.fault("E100", f"expected the end of the line, found {place.found}", help)
    if (
        token.type == "EQUAL"
        and [t.type for t in before[:2]] == ["NAME", "DOT"]
        and before[-1].type == "NAME"
    ):
        help = (
            f"{NAMES}{before[-1].text}: {_text(place.line[place.index + 1 :])}"  # self.conv1 = nn.Conv2d(...)
        )
        return place.fault("E100", f"expected `:`, found {place.found}", help)
    at = _opener(before)
    if at >= 0 and before[at].type == "LSQB" and token.type in ("WHEN", "COMMA"):
        inside = place.line[at : _closing(place.line, at) + 1]
        if any(t.type == "FOR" for t in before[at:]) and "IF" in place.accepted:
            cut = place.index - at
            help = f"a comprehension's condition follows `if`: {_text(inside[:cut])} if {_text(inside[cut + 1 :])}"
            return place.fault("E100", f"expected `]`, found {place.found}", help)
    if token.type == "DOT" and before and before[-1].type == "NAME":
        behind = list(takewhile(lambda one: one.type not in _ENDS_STEP, place.line[place.index :]))
        help = f"{DOTTED}{_text([before[-1], *behind])}"
        return place.fault("E100", place.message, help)
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
        fault = place.fault("E100", "expected `:` at the end of the line", help)
        fault.colon = True
        return fault
    if token.type == "EQUAL" and any(t.type in ("IF", "ELIF", "WHEN", "REQUIRE") for t in before):
        return place.fault("E100", "expected a condition, found `=`", "to compare, write ==")
    if token.type in ("ELIF", "ELSE"):
        return place.fault("E100", f"{place.found} without an `if` at the same indentation")
    return None


def _word(place: Place) -> Fault | None:
    token, accepted = place.token, place.accepted
    opens = len(place.before) == 1 and token.type == "COLON" and place.before[0].type not in _VALUES
    if opens and place.before[0].text.isalpha() and place.before[0].type not in _HAS_BODY - {"IF", "FOR"}:
        place = Place(place.before[0], place.line, 0, place.header, {"NAME", "STRING"})
        token, accepted = place.token, place.accepted
    if not token.text.isalpha() or token.type in _EXPRESSION or "NAME" not in accepted:
        return None
    behind = place.line[place.index + 1].type if place.index + 1 < len(place.line) else ""
    label = behind == "COLON" if place.index == 0 else "STRING" in accepted and "NUMBER" not in accepted
    help = f"`{token.text}` is a reserved word: "
    if place.before and place.before[0].type == "DECIDE":
        help += f'here, quote it: "{token.text}"'
    elif label and not iskeyword(token.text):
        help += f'as a label, quote it: "{token.text}"'
    else:
        help += f"choose another name, such as {token.text}1"
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
    opener, depth = _opener(tokens), 0
    for i in range(len(tokens) - 1, opener, -1):
        kind = tokens[i].type
        depth += (kind in ("RPAR", "RSQB")) - (kind in OPENING)
        if depth == 0 and kind in ("ARROW", "COLON", "VBAR", "STAR"):
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
