"""What can be written at a place: what the grammar takes there, and of names those that can be seen from it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from netdsl import data
from netdsl.cost.model import OPTIMIZERS
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.ide.describe import Argument, Signature, op_of, op_signature, signature, summary, value_of
from netdsl.ide.index import Index, Scope, Symbol, builtin
from netdsl.ir.types import DTYPES, Init
from netdsl.lint import rules
from netdsl.ops import catalogue, installed
from netdsl.ops.source import Input, Weight
from netdsl.quantities import catalogue as quantities
from netdsl.syntax import tree
from netdsl.syntax.automaton import Automaton, Grammar, Unexpected
from netdsl.syntax.builder import Builder
from netdsl.syntax.tokens import Fault, LogicalLine, Token, keywords, logical_lines
from netdsl.syntax.words import WORDS

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_REST = re.compile(r"[A-Za-z0-9_]*")
_TOP = re.compile(r"^(?=[A-Za-z@_])", re.MULTILINE)
_TYPES = ("int", "float", "bool", "str", "dims", "op", "list", "table", "pad", "init")
_JOINTS = ("add", "mul", "concat", "fork", "choose")
_STATEMENT = frozenset(
    "STAGE OUTPUT INPUT WEIGHT DEFAULT INIT META REQUIRE ORDER DECIDE VARIANT INLINE".split()
)
"""Words that open a line, and are names elsewhere."""
_NAMES = _STATEMENT | {"BLOCK", "NET", "TABLE", "FIRST", "SAME"}
_ONLY_IN_NETS = frozenset({"INPUT", "OUTPUT"})
_OF_BODIES = _STATEMENT - {"DEFAULT", "INIT", "VARIANT", "INLINE"}
_OF_VARIANTS = frozenset({"META", "REQUIRE", "DECIDE"})
_SNIPPETS = {
    "block": ("block", "block ${1:Name}(${2:c}):\n    ${0:conv 3x3, c}"),
    "net": ("net", "net ${1:Name}(${2:classes = 1000}):\n    input ${3:3, 224x224}\n    $0"),
    "variant": ("variant", "variant ${1:name} = ${2:Net}($0)"),
    "table": ("table", "table ${1:rows}(${2:k, c, s}):\n    ${0:3x3, 16, 1}"),
}


class Item(NamedTuple):
    """One thing that can be written."""

    label: str
    kind: str
    detail: str
    text: str
    """What is inserted for the word that is there."""
    rank: int
    """Those that fit best are 0."""
    snippet: bool = False
    """Whether `$1` and the like are places to be filled in."""


class Cursor(NamedTuple):
    """A place between tokens: what stands before it, and what the grammar takes there."""

    start: int
    """Where the word begins that is being written."""
    end: int
    tokens: list[Token]
    """Of its logical line, before the word."""
    around: list[LogicalLine]
    """The headers of the bodies that it is in, the outer first."""
    accepts: frozenset[str]
    string: bool = False
    """Whether it is in a text."""

    @property
    def before(self) -> Token | None:
        """The token before it."""
        return self.tokens[-1] if self.tokens else None


class Completion(NamedTuple):
    """What can be written in the place of some characters."""

    start: int
    end: int
    items: tuple[Item, ...]


@cache
def _grammar() -> Grammar:
    return Builder().grammar


def cursor(text: str, offset: int) -> Cursor | None:
    """Return what the grammar takes at an offset; None in a comment, or in a number."""
    begin = text.rfind("\n", 0, offset) + 1
    word = _WORD.search(text, begin, offset)
    start = word.start() if word else offset
    rest = _REST.match(text, offset)
    end = rest.end() if rest else offset
    if start > begin and (text[start - 1].isdigit() or text[start - 1] == "{"):
        return None
    line = text[begin:start]
    string = False
    quote = 0
    for at, char in enumerate(line):
        if char == '"':
            string = not string
            quote = begin + at
        elif char == "#" and not string:
            return None
    cut = quote if string else start
    top = max((found.start() for found in _TOP.finditer(text, 0, begin)), default=0)
    lines = [
        LogicalLine(level, [Token(t.type, t.text, t.start + top, t.end + top) for t in tokens])
        for level, tokens in logical_lines(f"{text[top:cut]}x", [])
    ]
    if not lines or not lines[-1].tokens or lines[-1].tokens[-1].start != cut:
        return None
    level, tokens = lines[-1]
    tokens = tokens[:-1]
    around: list[LogicalLine] = []
    least = level
    for one in reversed(lines[:-1]):
        if one.level < least:
            around.insert(0, one)
            least = one.level
    accepts = _accepts(tokens, around)
    if not tokens and _follows_if(lines[:-1], level):
        accepts |= {"ELIF", "ELSE"}
    if string:
        end = text.find('"', offset, text.find("\n", offset) if "\n" in text[offset:] else len(text))
        return Cursor(quote + 1, offset if end < 0 else end, tokens, around, accepts, True)
    return Cursor(start, end, tokens, around, accepts)


def _follows_if(lines: list[LogicalLine], level: int) -> bool:
    for one in reversed(lines):
        if one.level < level:
            return False
        if one.level == level:
            return one.tokens[0].type in ("IF", "ELIF")
    return False


def _accepts(tokens: list[Token], around: list[LogicalLine]) -> frozenset[str]:
    """Return the types of tokens that can follow some of a line, in the bodies of some headers."""
    for headers in (around, _plain(around)):
        automaton = Automaton(_grammar(), "start")
        try:
            for header in headers:
                for token in _opening(header.tokens):
                    automaton.feed(token)
                automaton.feed(Token("_INDENT", "", 0, 0))
        except (Unexpected, Fault):
            continue  # a header is wrong: what stands in a body does not depend on it
        try:
            for token in _opening(tokens) if tokens else ():
                automaton.feed(token)
        except (Unexpected, Fault):
            return frozenset()
        return frozenset(automaton.accepts())
    return frozenset()


def _opening(tokens: list[Token]) -> list[Token]:
    """Return a header as it can stand by itself: without the `if` that an `elif` or `else` follows."""
    first = tokens[0]
    if first.type == "ELIF":
        return [Token("IF", "if", first.start, first.end), *tokens[1:]]
    if first.type == "ELSE":
        return [
            Token("IF", "if", first.start, first.end),
            Token("TRUE", "true", first.end, first.end),
            *tokens[1:],
        ]
    return tokens


def _plain(around: list[LogicalLine]) -> list[LogicalLine]:
    """Return a header in the place of those that are wrong."""
    return logical_lines("block B:\n    x", [])[:1] if around else []


# ---------------------------------------------------------------- what is being called


class Call(NamedTuple):
    """The call that a place is in: of what, and what stands before the place in it."""

    op: Token
    args: list[list[Token]]
    """The arguments, by commas; the last is the one that is being written."""

    @property
    def keyword(self) -> str:
        """The name of the argument that is being written, "" if it has none."""
        last = self.args[-1]
        return last[0].text if len(last) > 1 and last[1].type == "EQUAL" else ""

    @property
    def given(self) -> set[str]:
        """The names of the arguments that are given by it."""
        named = {arg[0].text for arg in self.args if len(arg) > 1 and arg[1].type == "EQUAL"}
        return named | {"stride" for arg in self.args if arg and arg[0].type == "SLASH"}


_BEGINS_STEP = frozenset({"ARROW", "COLON", "VBAR", "STAR"})


def call_at(tokens: list[Token]) -> Call | None:
    """Return the call that follows some tokens are in: `conv 3x3, ` or `relu6(`; None if there is none."""
    depth = 0
    commas: list[int] = []
    for at in range(len(tokens) - 1, -1, -1):
        kind = tokens[at].type
        if kind in ("RPAR", "RSQB"):
            depth += 1
        elif kind in ("LPAR", "LSQB", "COUNT_LPAR"):
            if depth:
                depth -= 1
                continue
            called = (
                at and tokens[at - 1].type in ("NAME", *_WORDS) and tokens[at - 1].end == tokens[at].start
            )
            if kind == "LPAR" and called:
                return Call(tokens[at - 1], _split(tokens, at + 1, commas))
            if kind == "LPAR" and _begins(tokens, at):
                return _step(tokens, at + 1, commas)
            if kind == "LSQB" and _begins(tokens, at):
                return _step(tokens, at + 1, commas)
            commas = []
        elif depth == 0 and kind == "COMMA":
            commas.insert(0, at)
        elif depth == 0 and kind in _BEGINS_STEP:
            if kind == "STAR" and not _begins_count(tokens, at):
                continue
            return _step(tokens, at + 1, commas)
    return _step(tokens, 0, commas)


_WORDS = tuple(_NAMES)


def _begins(tokens: list[Token], at: int) -> bool:
    """Tell whether a bracket stands where a step may."""
    return at == 0 or tokens[at - 1].type in (*_BEGINS_STEP, "LPAR", "LSQB")


def _begins_count(tokens: list[Token], at: int) -> bool:
    """Tell whether a `*` repeats a step: what it multiplies stands where a step may."""
    at -= 1
    while at > 0:
        if tokens[at].type in ("RPAR", "RSQB"):
            depth = 0
            while at >= 0:
                depth += (tokens[at].type in ("RPAR", "RSQB")) - (tokens[at].type in _OPENS)
                if depth == 0:
                    break
                at -= 1
            if at < 0 or tokens[at].type in ("LPAR", "COUNT_LPAR"):
                break  # a bracket of its own, or a call
            at -= 1
        elif tokens[at - 1].type == "DOT":
            at -= 2
        else:
            break
    if at < 0:
        return False
    counts = tokens[at].type in ("NUMBER", "NAME", *_WORDS) and _begins(tokens, at)
    return tokens[at].type in ("COUNT", "COUNT_LPAR") or counts


_OPENS = ("LPAR", "LSQB", "COUNT_LPAR")


def _step(tokens: list[Token], begin: int, commas: list[int]) -> Call | None:
    """Return the call of the op that stands there, if there is one."""
    if begin >= len(tokens):
        return None
    first = tokens[begin]
    if first.type in ("DEFAULT", "INIT") and begin + 1 < len(tokens) and tokens[begin + 1].type != "COLON":
        return Call(tokens[begin + 1], _split(tokens, begin + 2, commas))
    if first.type in (
        "NAME",
        "BLOCK",
        "NET",
        "TABLE",
        "ADD",
        "MUL",
        "CONCAT",
        "WEIGHT",
        "INPUT",
        "META",
        "REQUIRE",
    ):
        return Call(first, _split(tokens, begin + 1, commas))
    return None


def _split(tokens: list[Token], begin: int, commas: list[int]) -> list[list[Token]]:
    """Return what stands between commas."""
    bounds = [begin - 1, *[at for at in commas if at >= begin], len(tokens)]
    return [tokens[a + 1 : b] for a, b in pairwise(bounds)]


# ---------------------------------------------------------------- items


def complete(index: Index, offset: int) -> Completion:
    """Return what can be written at an offset of a text."""
    text = index.source.text
    at = cursor(text, offset)
    if at is None:
        return Completion(offset, offset, ())
    found: dict[tuple[str, str], Item] = {}
    for item in _Items(index, at).all():
        found.setdefault((item.label, (item.kind == "argument" and item.kind) or ""), item)
    return Completion(at.start, at.end, tuple(sorted(found.values(), key=lambda one: (one.rank, one.label))))


class _Items:
    """The items at one place."""

    def __init__(self, index: Index, at: Cursor) -> None:
        self.index, self.at = index, at
        self.accepts = at.accepts
        self.scope = scope_of(index, at)
        self.first = at.tokens[0].type if at.tokens else ""
        self.call = call_at(at.tokens)

    def all(self) -> Iterator[Item]:
        """Yield what fits."""
        at, accepts = self.at, self.accepts
        before = at.before.type if at.before is not None else ""
        if at.string:
            yield from self.texts()
            return
        if before == "DOT":
            yield from self.members()
            return
        if before == "AT":
            yield _word("allow", "silences a rule of netdsl lint for what is below")
            return
        if before in ("AS", "BLOCK", "NET", "VARIANT", "TABLE", "DEF") and "FORK" not in accepts:
            return  # a new name
        yield from self.words()
        if self.first == "IMPORT":
            yield from self.exports()
        elif self.first == "VARIANT" and before == "EQUAL" and len(at.tokens) == 3:
            yield from (_named(one, 0) for one in self.index.top.names.values() if one.kind == "net")
        elif self.first == "AT" and self.call is not None and len(self.call.args) == 1:
            yield from (_word(one.name(), one.code) for one in rules.catalogue().values())
        elif before == "COLON" and "NAME" in accepts and "TRUE" not in accepts and "FORK" not in accepts:
            yield from (Item(one, "type", WORDS[one].is_ if one in WORDS else "", one, 0) for one in _TYPES)
        elif self.first == "DECIDE" and "TRUE" not in accepts:
            yield from self.decisions()
        elif "FORK" in accepts or "TRUE" in accepts:
            yield from self.steps() if "FORK" in accepts else ()
            yield from self.values() if "TRUE" in accepts else ()
        elif "STRING" in accepts and "NAME" in accepts:
            yield from self.labels()

    # ---------------------------------------------------------------- words

    def words(self) -> Iterator[Item]:
        """Yield the keywords that fit."""
        accepts, tokens = self.accepts, self.at.tokens
        begins = "RETURN" in accepts or "IMPORT" in accepts
        outer = self.at.around[0].tokens[0].type if self.at.around else ""
        for word in sorted(keywords()):
            kind = word.upper()
            if kind not in accepts or word in _JOINTS:
                continue
            if kind in _NAMES:
                means = begins if kind in _STATEMENT else kind == "FIRST" and self.in_stride
                means |= kind == "SAME" and "FORK" in accepts
                means |= kind in ("BLOCK", "NET", "TABLE") and "IMPORT" in accepts
                if kind == "BLOCK" and tokens and tokens[-1].type == "INLINE":
                    means = True
                if kind == "OUTPUT" and tokens and tokens[-1].type == "TRAIN":
                    means = True
                if not means:
                    continue
            if "RETURN" in accepts:
                if outer == "VARIANT" and kind not in _OF_VARIANTS:
                    continue
                if kind in _ONLY_IN_NETS and outer in ("BLOCK", "INLINE"):
                    continue
                if kind == "DECIDE" and outer != "VARIANT":
                    continue
            if "IMPORT" in accepts and kind in _OF_BODIES:
                continue
            if kind == "TRAIN" and "TRUE" in accepts and self.first != "REQUIRE":
                continue
            about = WORDS[word].is_ if word in WORDS else ""
            yield Item(word, "keyword", about, word, 2 if begins else 1)
        if "IMPORT" in accepts:
            for word, (label, snippet) in _SNIPPETS.items():
                yield Item(f"{label} ...", "snippet", f"a whole {word}", snippet, 1, True)

    @property
    def in_stride(self) -> bool:
        """Whether a stride stands before, which may be that of the first copy only."""
        last = self.call.args[-1] if self.call is not None else []
        return len(last) > 1 and last[0].type == "SLASH" and "TRUE" not in self.accepts

    # ---------------------------------------------------------------- steps

    def steps(self) -> Iterator[Item]:
        """Yield what can be a step: ops, blocks, joints, parameters that stand for ops; what counts a repetition."""
        if self.at.around and self.at.around[0].tokens[0].type == "VARIANT":
            return
        for symbol in self.scope.visible(self.at.start):
            if symbol.kind == "block":
                yield _named(symbol, 0)
            elif symbol.kind in ("parameter", "variable", "table"):
                yield _named(symbol, 1)
        yield from _ops(1)
        for joint in _JOINTS:
            yield Item(joint, "keyword", WORDS[joint].is_, joint, 2)

    # ---------------------------------------------------------------- values

    def values(self) -> Iterator[Item]:
        """Yield what can be in an expression, first what the argument there takes."""
        called = self.signature()
        wanted: tuple[str, ...] = ()
        own: Argument | None = None
        if called is not None and self.call is not None:
            own = called.argument(self.call.keyword)
            if own is not None:
                wanted = own.types
            elif "SLASH" in self.accepts:
                given = self.call.given
                for argument in called.arguments:
                    if argument.name not in given and argument.name != "...":
                        default = f" = {argument.default}" if argument.default else ""
                        detail = f"{argument.about or '|'.join(argument.types)}{default}"
                        yield Item(f"{argument.name}=", "argument", detail, f"{argument.name}=", 0)
        if own is not None:
            yield from (Item(f'"{text}"', "text", own.about, f'"{text}"', 0) for text in own.texts)
        if self.first == "REQUIRE":
            yield from (Item(name, "quantity", "", name, 0) for name in quantities())
            for words in (DTYPES, OPTIMIZERS):
                yield from (_word(one, "") for one in words)
            yield from (_word(f"{one}=", "") for one in ("batch", "dtype", "optimizer"))
        ops = "op" in wanted
        for symbol in self.scope.visible(self.at.start):
            if symbol.kind in ("parameter", "variable", "table", "function"):
                yield _named(symbol, 1)
            elif symbol.kind == "block":
                yield _named(symbol, 1 if ops else 4)
            elif symbol.kind in ("label", "value", "input"):
                yield _named(symbol, 0 if "tensor" in wanted else 3)
        yield Item("x", "value", WORDS["x"].is_, "x", 2)
        yield Item("flow", "value", WORDS["flow"].is_, "flow", 4)
        for name in FUNCTIONS:
            yield Item(name, "function", FUNCTIONS[name].about.partition("\n")[0], name, 3)
        for name in Init.KINDS:
            yield Item(
                name,
                "initialiser",
                WORDS[name].is_ if name in WORDS else "",
                name,
                1 if "init" in wanted else 5,
            )
        for name in ("same", "tf", "fan_in", "fan_out"):
            yield Item(
                name,
                "value",
                "a padding" if name in ("same", "tf") else "",
                name,
                1 if "pad" in wanted else 5,
            )
        yield from _ops(1 if ops else 5)
        yield Item("choose", "keyword", WORDS["choose"].is_, "choose", 4)
        if self.first == "META":
            yield from (Item(f"{one}=", "argument", "", f"{one}=", 0) for one in ("year", "arxiv", "top1"))

    def signature(self) -> Signature | None:
        """Return how the thing is called whose arguments are being written."""
        if self.call is None:
            return None
        return called(self.index, self.scope, self.call, self.at.tokens)

    # ---------------------------------------------------------------- labels, members, texts

    def labels(self) -> Iterator[Item]:
        """Yield the values and labels that can be seen, where one is read."""
        before = self.at.before
        if before is None or before.type not in ("FROM", "COMMA", "SAME", "ORDER", "RETURN"):
            return
        for symbol in self.scope.visible(self.at.start):
            if symbol.kind in ("label", "value", "input"):
                yield _named(symbol, 0)
        if self.first == "ORDER":
            for symbol in self.scope.tensors.values():
                yield _named(symbol, 0)
            return
        yield Item("flow", "value", WORDS["flow"].is_, "flow", 1)
        yield Item("x", "value", WORDS["x"].is_, "x", 1)

    def exports(self) -> Iterator[Item]:
        """Yield what a file declares that a line imports from."""
        line = self.index.source.text[self.at.end :].partition("\n")[0]
        named = re.search(r'from\s+"([^"\n]*)"', line)
        found = self.index.imported(named[1]) if named else None
        for symbol in found.top.names.values() if found is not None else ():
            yield _named(symbol, 0)

    def members(self) -> Iterator[Item]:
        """Yield what can follow a dot."""
        tokens = self.at.tokens
        base = tokens[-2] if len(tokens) > 1 else None
        if base is None:
            return
        if self.first == "DECIDE":
            yield from self.decisions()
            return
        found = self.scope.find(base.text, base.start)
        table = found if found is not None and found.kind == "table" else None
        if table is None and found is not None and isinstance(found.node, (tree.For, tree.Comprehension)):
            table = next(
                (
                    one
                    for name in tree.pieces(found.node.iterable)
                    if isinstance(name, tree.Name)
                    and (one := self.scope.find(name.text, name.start)) is not None
                    if one.kind == "table"
                ),
                None,
            )
        if table is not None:
            yield from (_named(column, 0) for column in table.members.values())
            return
        if base.type == "RSQB":
            for one in self.index.top.names.values():
                if one.kind == "table":
                    yield from (_named(column, 1) for column in one.members.values())
        if self.first == "REQUIRE":
            yield from (Item(one.name, "quantity", "", one.name, 0) for one in quantities().values())
            inner = self.scope.inner.get(base.text)
            for symbol in inner.tensors.values() if inner is not None else ():
                yield _named(symbol, 1)
        for axis, what in (("c", "channels"), ("h", "rows"), ("w", "columns"), ("n", "tokens")):
            yield Item(axis, "member", what, axis, 1)

    def decisions(self) -> Iterator[Item]:
        """Yield parts of the names of decisions: labels, parameters and variables of the net that is varied."""
        header = self.at.around[0].tokens if self.at.around else []
        name = header[3].text if len(header) > 3 and header[0].type == "VARIANT" else ""
        net = self.index.top.names.get(name)
        body = next((one for one in self.index.scopes if net is not None and one.node is net.node), None)
        if body is None:
            return
        path: list[str] = []
        tokens = self.at.tokens
        at = len(tokens) - 1
        while at > 0 and tokens[at].type == "DOT":
            path.insert(0, tokens[at - 1].text.strip('"'))
            at -= 2
        for part in path:
            inner = body.inner.get(part)
            if inner is None:
                return
            body = inner
        for symbol in (*body.tensors.values(), *body.names.values()):
            yield _named(symbol, 0)

    def texts(self) -> Iterator[Item]:
        """Yield what a text may be: a file's name, or what an argument takes."""
        if self.first == "IMPORT":
            yield from (
                Item(name, "file", "a spec of the zoo", name, 1) for name in data.names("specs", ".net")
            )
            path = self.index.source.path
            if path is not None:
                try:
                    beside = sorted(name for name in os.listdir(path.parent) if name.endswith(".net"))
                except OSError:
                    beside = []
                yield from (
                    Item(name, "file", "beside this file", name, 0) for name in beside if name != path.name
                )
            return
        called = self.signature()
        own = called.argument(self.call.keyword) if called is not None and self.call is not None else None
        for text in own.texts if own is not None else ():
            yield Item(text, "text", own.about if own is not None else "", text, 0)


def called(index: Index, scope: Scope, call: Call, tokens: list[Token]) -> Signature | None:
    """Return how the thing is called that a call is of."""
    name = call.op.text
    if tokens[0].type == "INIT" and call.op is tokens[1]:
        op = op_of(name)
        keys = tuple(op.weight_axes) if op is not None else ()
        return Signature(
            name, tuple(Argument(key, ("init",), "an initialiser", "") for key in keys or ("weight", "bias"))
        )
    if call.op.type == "WEIGHT":
        return Signature(
            name,
            (
                Argument("shape", ("list",), "a list", ""),
                Argument("init", ("init",), "an initialiser", "normal"),
                Argument("batch", ("bool",), "true or false", "false"),
                Argument("axes", ("str",), "a string", ""),
                Argument("learned", ("bool",), "true or false", "true"),
            ),
        )
    symbol = scope.find(name, call.op.start)
    if symbol is not None and symbol.kind == "parameter":
        return None
    symbol = symbol or builtin(name)
    if symbol is None:
        return None
    if symbol.kind == "op" or symbol.source is None:
        op = catalogue().get(name)
        return op_signature(op) if op is not None else signature(symbol)
    return signature(symbol)


def scope_of(index: Index, at: Cursor) -> Scope:
    """Return the scope that a place is in, by the headers around it."""
    exact = index.scope_at(at.start)
    for header in reversed(at.around):
        tokens = header.tokens
        begin = tokens[1].start if tokens[0].type == "INLINE" and len(tokens) > 1 else tokens[0].start
        found = index.headers.get(begin)
        if found is not None:
            within = any(one is found for one in exact.outwards())
            return exact if within else found
    return exact


def _named(symbol: Symbol, rank: int) -> Item:
    """Return what writes a name."""
    if symbol.kind in ("block", "net", "function"):
        own = signature(symbol)
        detail = own.shown if own is not None else ""
    else:
        detail = value_of(symbol) or symbol.kind
    text = symbol.name
    plain = _BARE.fullmatch(text) is not None and (text not in keywords() or text.upper() in _NAMES)
    return Item(text, symbol.kind, detail, text if plain or symbol.kind != "label" else f'"{text}"', rank)


_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\{[^{}]*\}[A-Za-z0-9_]*)*(\.[A-Za-z0-9_{}]+)*")


@cache
def _ops(rank: int) -> tuple[Item, ...]:
    """Return the ops; those of other distributions are not looked into."""
    items = []
    for name in (*catalogue(), *installed()):
        symbol = builtin(name)
        if catalogue().get(name) in (Input, Weight) or name in _JOINTS or symbol is None:
            continue
        items.append(Item(name, "op", summary(symbol) if name in catalogue() else "", name, rank))
    return tuple(items)


def _word(word: str, about: str) -> Item:
    return Item(word, "word", about, word, 0)
