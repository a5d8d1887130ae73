"""Text to tree. Lexing and LALR are lark's; indentation, recovery and what an error says are here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken
from lark.lexer import BasicLexer, LexerThread

from netdsl.diagnostics import Diagnostic, Label, NetError
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.tables import load

MAX_DEPTH = 64
"""How deep bodies, brackets and expressions may nest."""
MAX_INT = 2**63 - 1
MAX_ERRORS = 20
_LARGE = 200_000  # tokens; recovery parses anew for each error, so a file that large stops at the first

_SUFFIX = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SUFFIX |= {f"{k}i": 1024**i for i, k in enumerate("KMGT", 1)}


class Fault(Exception):
    """One syntax error, at offsets."""

    def __init__(self, code: str, start: int, end: int, message: str, help: str = "", opener: int = -1) -> None:
        """`opener` is the offset of the bracket that an error is about."""
        super().__init__(message)
        self.code, self.start, self.end, self.message, self.help = code, start, end, message, help
        self.opener = opener


class LogicalLine(NamedTuple):
    """The tokens of one logical line and the depth of its indentation."""

    level: int
    tokens: list[Token]


def _ends(children: Iterable[Any]) -> tuple[int, int]:
    flat = list(_flat(children))
    first, last = flat[0], flat[-1]
    start = first.start_pos if isinstance(first, Token) else first.start
    end = last.end_pos if isinstance(last, Token) else last.end
    return start, end


def _flat(children: Iterable[Any]) -> Iterator[Any]:
    for child in children:
        if isinstance(child, tuple):
            yield from _flat(child)
        else:
            yield child


def _trees(children: Iterable[Any]) -> list[Any]:
    """Return the children that are trees or tuples of them, without the tokens."""
    return [c for c in children if not isinstance(c, Token)]


def _names(children: Iterable[Any]) -> tuple[tree.Name, ...]:
    return tuple(_name(c) for c in children if c.type != "COMMA")


def _name(token: Token) -> tree.Name:
    return tree.Name(token.start_pos, token.end_pos, str(token))


def _string(token: Token) -> tree.String:
    return tree.String(token.start_pos, token.end_pos, str(token)[1:-1])


def _deep(node: tree.Expr, *parts: tree.Expr) -> tree.Expr:
    depth = 1 + max((p.depth for p in parts), default=0)
    if depth > MAX_DEPTH:
        raise Fault("E110", node.start, node.end, f"an expression nests deeper than {MAX_DEPTH}")
    node.__dict__["depth"] = depth  # a class attribute else: it is no field
    return node


def _exprs(args: Iterable[Any]) -> list[tree.Expr]:
    return [a if isinstance(a, tree.Expr) else a.value for a in args]


class Builder:
    """The rules of the grammar, by name: each takes its children, newlines left out, and returns a tree."""

    def __getattribute__(self, name: str) -> Any:
        """Return a rule's method, with the structural tokens taken out of what lark hands it."""
        method = object.__getattribute__(self, name)
        if name.startswith("_"):
            return method
        return lambda c: method([x for x in c if not isinstance(x, Token) or x.type[0] != "_"])

    # -- expressions

    def number(self, c: list[Token]) -> tree.Number:
        """NUMBER."""
        token = c[0]
        match = re.fullmatch(r"([0-9_]+)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?:([KMGT]i?)?(B)?)?", token)
        assert match is not None, token
        whole, fraction, exponent, suffix, _ = match.groups()
        digits = whole.replace("_", "")
        scale = _SUFFIX[suffix or ""]
        if len(digits) > 20 or len(exponent or "") > 5:
            raise Fault("E111", token.start_pos, token.end_pos, "a number has too many digits")
        value: int | float
        if exponent:
            value = float(digits + (fraction or "") + exponent) * scale
            if value == float("inf"):
                raise Fault("E111", token.start_pos, token.end_pos, f"`{token}` is too large")
        elif fraction:
            exact = int(digits + fraction[1:]) * scale
            part = 10 ** (len(fraction) - 1)
            value = exact // part if suffix and exact % part == 0 else float(digits + fraction) * scale
        else:
            value = int(digits) * scale
        if isinstance(value, int) and value > MAX_INT:
            raise Fault("E111", token.start_pos, token.end_pos, f"`{token}` is more than 2^63 - 1")
        return tree.Number(token.start_pos, token.end_pos, value)

    def name(self, c: list[Token]) -> tree.Name:
        """NAME."""
        return _name(c[0])

    def dims(self, c: list[Token]) -> tree.DimsLiteral:
        """DIMS."""
        sizes = c[0].split("x")
        if max(map(len, sizes)) > 15:
            raise Fault("E111", c[0].start_pos, c[0].end_pos, "a number has too many digits")
        return tree.DimsLiteral(c[0].start_pos, c[0].end_pos, tuple(map(int, sizes)))

    def string(self, c: list[Token]) -> tree.String:
        """STRING."""
        return _string(c[0])

    def constant(self, c: list[Token]) -> tree.Constant:
        """TRUE, FALSE, NONE."""
        value = {"true": True, "false": False, "none": None}[str(c[0])]
        return tree.Constant(c[0].start_pos, c[0].end_pos, value)

    def template(self, c: list[Token]) -> tree.Template:
        """TEMPLATE, with the expressions in its braces parsed."""
        return self._template(c[0])

    def _template(self, token: Token) -> tree.Template:
        parts: list[str | tree.Expr] = []
        for match in re.finditer(r"\{([^{}]*)\}|[^{}]+", token):
            if match[1] is None:
                parts.append(match[0])
            else:
                parts.append(_parse_inner(match[1], token.start_pos + match.start(1)))
        return tree.Template(token.start_pos, token.end_pos, tuple(parts))

    def unary(self, c: list[Any]) -> tree.Expr:
        """`not a`, `-a`."""
        return _deep(tree.Unary(*_ends(c), str(c[0]), c[1]), c[1])

    def binary(self, c: list[Any]) -> tree.Expr:
        """`a + b`."""
        return _deep(tree.Binary(*_ends(c), str(c[1]), c[0], c[2]), c[0], c[2])

    def ternary(self, c: list[Any]) -> tree.Expr:
        """`a if b else c`."""
        return _deep(tree.Ternary(*_ends(c), c[0], c[2], c[4]), c[0], c[2], c[4])

    def attr(self, c: list[Any]) -> tree.Expr:
        """`a.b`."""
        return _deep(tree.Attribute(*_ends(c), c[0], c[2].text), c[0])

    def index(self, c: list[Any]) -> tree.Expr:
        """`a[b]`."""
        return _deep(tree.Index(*_ends(c), c[0], c[2]), c[0], c[2])

    def call(self, c: list[Any]) -> tree.Expr:
        """`f(a)`."""
        args = c[2] if isinstance(c[2], tuple) else ()
        return _deep(tree.CallExpr(*_ends(c), c[0], args), c[0], *_exprs(args))

    def choice(self, c: list[Any]) -> tree.Expr:
        """`choose(a, b)`."""
        options = tuple(_trees(c))
        return _deep(tree.Choice(*_ends(c), options), *options)

    def paren(self, c: list[Any]) -> tree.Expr:
        """`(a)`: the expression within, with the parentheses in its span."""
        inner: tree.Expr = c[1]
        outer = inner.replace(start=c[0].start_pos, end=c[2].end_pos)
        return _deep(outer, inner)

    def list(self, c: list[Any]) -> tree.Expr:
        """`[a, b]`."""
        items = tuple(_trees(c))
        return _deep(tree.ListExpr(*_ends(c), items), *items)

    def comprehension(self, c: list[Any]) -> tree.Expr:
        """`[a for x in b]`."""
        return _deep(tree.Comprehension(*_ends(c), c[1], c[3], c[5]), c[1], c[5])

    # -- arguments

    def args(self, c: list[Any]) -> tuple[tree.Argument, ...]:
        """The arguments without the commas."""
        return tuple(_trees(c))

    def keyword(self, c: list[Any]) -> tree.Keyword:
        """`name=value`."""
        return tree.Keyword(*_ends(c), c[0].text, c[2])

    def stride(self, c: list[Any]) -> tree.Stride:
        """`/2 first`."""
        return tree.Stride(*_ends(c), c[1], len(c) == 3)

    # -- chains

    def id(self, c: list[Token]) -> tree.Name:
        """A name, or a declaration's keyword used as one."""
        return _name(c[0])

    def label(self, c: list[Any]) -> tree.Label:
        """A name, a template, or a quoted name."""
        return self._label(c[0])

    def _label(self, child: Any) -> tree.Label:
        if isinstance(child, tree.Name):
            return child
        if child.type == "TEMPLATE":
            return self._template(child)
        text = str(child).strip('"')
        return tree.Name(child.start_pos, child.end_pos, text)

    def target(self, c: list[Any]) -> tree.Label:
        """What is bound."""
        return self._label(c[0]) if c[0].type == "TEMPLATE" else _name(c[0])

    def targets(self, c: list[Any]) -> tuple[tree.Label, ...]:
        """What is bound, in order."""
        return tuple(_trees(c))

    def names(self, c: list[Token]) -> tuple[tree.Name, ...]:
        """Names without the commas."""
        return _names(c)

    def ref(self, c: list[Any]) -> tree.Ref:
        """A value by name."""
        return tree.Ref(*_ends(c), self._label(c[0]), c[2] if len(c) > 1 else None)

    def refs(self, c: list[Any]) -> tuple[tree.Ref, ...]:
        """References without the commas."""
        return tuple(_trees(c))

    def op(self, c: list[Token]) -> tree.Name:
        """An op's name."""
        return _name(c[0])

    def layer(self, c: list[Any]) -> tree.Layer:
        """`op args as label`."""
        args = c[1] if len(c) > 1 and isinstance(c[1], tuple) else ()
        if args and isinstance(args[0], tree.Expr) and args[0].start == c[0].end:
            inner = " ".join(self._between(args)) or "..."
            _no_parentheses(c[0], inner)
        label = c[-1] if len(c) > 2 else None
        return tree.Layer(*_ends(c), c[0], args, label)

    @staticmethod
    def _between(args: tuple[tree.Argument, ...]) -> list[str]:
        return [str(a.value) for a in args if isinstance(a, tree.Number)]

    def repeat(self, c: list[Any]) -> tree.Repeat:
        """`n * step`."""
        return tree.Repeat(*_ends(c), c[0], c[2])

    def optional(self, c: list[Any]) -> tree.Optional:
        """`[steps when condition]`."""
        return tree.Optional(*_ends(c), c[1], c[2])

    def when(self, c: list[Any]) -> tree.Expr:
        """`when condition`."""
        condition: tree.Expr = c[1]
        return condition

    def branch(self, c: list[Any]) -> tree.Branch:
        """`label: chain when condition`."""
        return tree.Branch(*_ends(c), *self._labelled(c))

    def _labelled(self, c: list[Any]) -> tuple[tree.Label | None, tree.Chain, tree.Expr | None]:
        parts = _trees(c)
        at = next(i for i, part in enumerate(parts) if isinstance(part, tree.Chain))
        return parts[0] if at else None, parts[at], parts[at + 1] if len(parts) > at + 1 else None

    def group(self, c: list[Any]) -> tree.Group:
        """`( a | b ) as label`."""
        branches = tuple(b for b in c if isinstance(b, tree.Branch))
        label = c[-1] if isinstance(c[-1], tree.Expr) else None
        return tree.Group(*_ends(c), branches, label)

    def steps(self, c: list[Any]) -> tuple[tree.Step, ...]:
        """Steps without the arrows."""
        return tuple(_trees(c))

    def source(self, c: list[Any]) -> tuple[tree.Ref, ...]:
        """`from refs`."""
        refs: tuple[tree.Ref, ...] = c[1]
        return refs

    def chain(self, c: list[Any]) -> tree.Chain:
        """`from refs -> steps`."""
        parts = _trees(c)
        source = parts[0] if isinstance(parts[0][0], tree.Ref) else ()
        steps = parts[-1] if not isinstance(parts[-1][0], tree.Ref) else ()
        return tree.Chain(*_ends(c), source, steps)

    # -- statements

    def body(self, c: list[Any]) -> tree.Body:
        """One line, or an indented suite."""
        return c[0] if isinstance(c[0], tuple) else (c[0],)

    def suite(self, c: list[Any]) -> tree.Body:
        """The statements of a suite."""
        return tuple(_trees(c))

    def line(self, c: list[Any]) -> tree.Line:
        """`label: chain when condition`."""
        return tree.Line(*_ends(c), *self._labelled(c))

    def container(self, c: list[Any]) -> tree.Container:
        """`label:` and a body."""
        return tree.Container(*_ends(c[:1]), c[0], c[2])

    def merge(self, c: list[Any]) -> tree.Merge:
        """`label: add:` and branches."""
        label = c[0] if isinstance(c[0], tree.Expr) else None
        joint = _name(c[2] if label else c[0])
        return tree.Merge(_ends(c[:1])[0], joint.end, label, joint, c[-1])

    def stage(self, c: list[Any]) -> tree.Stage:
        """`stage 4: ...`."""
        name = str(c[1])
        rest = c[3:]
        if isinstance(rest[0], tree.Chain):
            condition = rest[1] if len(rest) > 1 else None
            rest = [(tree.Line(*_ends(rest), None, rest[0], condition),)]
        return tree.Stage(*_ends(c[:2]), name, rest[0])

    def output(self, c: list[Any]) -> tree.Output:
        """`train output label: chain`."""
        label, chain, condition = self._labelled(c)
        assert label is not None
        return tree.Output(*_ends(c), c[0].type == "TRAIN", label, chain, condition)

    def return_(self, c: list[Any]) -> tree.Return:
        """`return refs`."""
        return tree.Return(*_ends(c), c[1])

    def bind(self, c: list[Any]) -> tree.Bind:
        """`targets = chain`, or a merge."""
        rest = c[2:]
        if isinstance(rest[0], Token):
            joint = _name(rest[0])
            return tree.Bind(*_ends(c[:3]), c[0], tree.Merge(joint.start, joint.end, None, joint, rest[-1]), None)
        steps: tuple[tree.Step, ...] = rest[2] if len(rest) > 2 and isinstance(rest[1], Token) else ()
        condition = rest[-1] if isinstance(rest[-1], tree.Expr) else None
        chain = tree.Chain(*_ends(rest[:3] if steps else rest[:1]), rest[0], steps)
        return tree.Bind(*_ends(c), c[0], chain, condition)

    def weight(self, c: list[Any]) -> tree.Weight:
        """`weight label args`."""
        return tree.Weight(*_ends(c), c[1], c[2])

    def if_(self, c: list[Any]) -> tree.If:
        """`if`, `elif`s, `else`."""
        cases = [tree.Case(*_ends(c[:2]), c[1], c[3])]
        otherwise: tree.Body = ()
        for part in c[4:]:
            if isinstance(part, tree.Case):
                cases.append(part)
            else:
                otherwise = part
        return tree.If(*_ends(c[:2]), tuple(cases), otherwise)

    def elif_(self, c: list[Any]) -> tree.Case:
        """`elif condition: body`."""
        return tree.Case(*_ends(c[:2]), c[1], c[3])

    def else_(self, c: list[Any]) -> tree.Body:
        """`else: body`."""
        body: tree.Body = c[2]
        return body

    def for_(self, c: list[Any]) -> tree.For:
        """`for names in iterable: body`."""
        return tree.For(*_ends(c[:4]), c[1], c[3], c[5])

    def assign(self, c: list[Any]) -> tree.Assign:
        """`targets = value`."""
        return tree.Assign(*_ends(c), c[0], c[2])

    def def_(self, c: list[Any]) -> tree.Def:
        """`def f(a) = value`."""
        params = c[3] if isinstance(c[3], tuple) else ()
        return tree.Def(*_ends(c), _name(c[1]), params, c[-1])

    def default(self, c: list[Any]) -> tree.Default:
        """`default op args`."""
        return tree.Default(*_ends(c), c[1], c[2])

    def init(self, c: list[Any]) -> tree.InitLine:
        """`init op args`."""
        return tree.InitLine(*_ends(c), c[1], c[2])

    def input(self, c: list[Any]) -> tree.Input:
        """`input name: args`."""
        return tree.Input(*_ends(c), _name(c[1]) if len(c) > 2 else None, c[-1])

    def meta(self, c: list[Any]) -> tree.Meta:
        """`meta args`."""
        return tree.Meta(*_ends(c), c[1])

    def require(self, c: list[Any]) -> tree.Require:
        """`require claims`."""
        return tree.Require(*_ends(c), tuple(_trees(c)))

    def annotation(self, c: list[Any]) -> tree.Annotation:
        """`@allow(rule, "reason")`."""
        args = next((part for part in c if isinstance(part, tuple)), ())
        return tree.Annotation(*_ends(c), _name(c[1]), args)

    def annotated(self, c: list[Any]) -> tree.Annotated:
        """A statement under annotations."""
        return tree.Annotated(c[-1].start, c[-1].end, tuple(c[:-1]), c[-1])

    annotated_item = annotated

    # -- declarations

    def type(self, c: list[Any]) -> tuple[tree.Name, tree.Expr | None]:
        """`int in [1, 2]`."""
        return c[0], c[2] if len(c) > 2 else None

    def param(self, c: list[Any]) -> tree.Param:
        """`name: type = default`."""
        kind, allowed = c[2] if len(c) > 2 and isinstance(c[2], tuple) else (None, None)
        default = c[-1] if isinstance(c[-1], tree.Expr) else None
        span = _ends([c[0], *(part for part in (kind, allowed, default) if part is not None)])
        return tree.Param(*span, _name(c[0]), kind, allowed, default)

    def params(self, c: list[Any]) -> tuple[tree.Param, ...]:
        """Parameters without the commas."""
        return tuple(_trees(c))

    def import_(self, c: list[Any]) -> tree.Import:
        """`import names from "file"`."""
        return tree.Import(*_ends(c), c[1], _string(c[3]))

    def block(self, c: list[Any]) -> tree.Block:
        """`inline block name(params) from inputs: body`."""
        inline = c[0].type == "INLINE"
        rest = c[1:] if inline else c
        trees = _trees(rest)
        params: tuple[tree.Param, ...] = ()
        inputs: tuple[tree.Name, ...] = ()
        for part, after in zip(rest, rest[1:], strict=False):
            if isinstance(part, Token) and part.type == "FROM":
                inputs = after
        if trees[0] is not inputs and len(trees) > 1:
            params = trees[0]
        return tree.Block(*_ends(rest[1:2]), inline, _name(rest[1]), params, inputs, trees[-1])

    def net(self, c: list[Any]) -> tree.Net:
        """`net name(params): body`."""
        trees = _trees(c)
        params = trees[0] if len(trees) > 1 else ()
        return tree.Net(*_ends(c[1:2]), _name(c[1]), params, trees[-1])

    def variant(self, c: list[Any]) -> tree.Variant:
        """`variant name = net(args): body`."""
        close = next(i for i, part in enumerate(c) if isinstance(part, Token) and part.type == "RPAR")
        args = c[5] if isinstance(c[5], tuple) else ()
        body = c[-1] if len(c) > close + 1 else ()
        return tree.Variant(*_ends(c[1 : close + 1]), _name(c[1]), _name(c[3]), args, body)

    def row(self, c: list[Any]) -> tree.Row:
        """One row of a table."""
        return tree.Row(*_ends(c), tuple(_trees(c)))

    def table(self, c: list[Any]) -> tree.Table:
        """`table name(columns):` and rows."""
        trees = _trees(c)
        return tree.Table(*_ends(c[1:2]), _name(c[1]), trees[0], tuple(trees[1:]))

    def start(self, c: list[Any]) -> tree.File:
        """The file."""
        items = tuple(_trees(c))
        return tree.File(0, items[-1].end if items else 0, items)


@cache
def _lark() -> tuple[Lark, BasicLexer]:
    lark = load(Builder())
    return lark, lark._build_lexer()


# ---------------------------------------------------------------- tokens and lines


def _lex(text: str, faults: list[Fault]) -> Iterator[Token]:
    """Yield the tokens. A character that begins none is a fault, and is skipped."""
    lexer = _lark()[1]
    start = 0
    while True:
        try:
            for token in LexerThread.from_text(lexer, text[start:]).lex(None):
                if start:
                    token.start_pos += start
                    token.end_pos += start
                yield token
            return
        except UnexpectedCharacters as error:
            at = start + error.pos_in_stream
            faults.append(_bad_character(text, at))
            if len(faults) >= MAX_ERRORS:
                return
            start = at + 1
            if faults[-1].end > start:
                start = faults[-1].end


def _bad_character(text: str, at: int) -> Fault:
    char = text[at]
    line_end = text.find("\n", at)
    line_end = len(text) if line_end < 0 else line_end
    if char == '"':
        return Fault("E102", at, line_end, 'a string has no closing `"` on its line', 'end it with `"`')
    word = re.match(r"[0-9][A-Za-z0-9_.]*", text[at:])
    if word:
        shown = word[0]
        dims = re.fullmatch(r"([0-9]+)[xX*]([0-9]+)", shown)
        help = f"dimensions are written {dims[1]}x{dims[2]}" if dims else "a name starts with a letter"
        return Fault("E101", at, at + len(shown), f"`{shown}` is neither a number nor a name", help)
    help = {
        "{": "bodies are indented lines after a `:`; braces belong in a name, as in block{i}",
        "}": "bodies are indented lines after a `:`; braces belong in a name, as in block{i}",
        ";": "one statement a line",
        "→": "arrows are written ->",
        "×": "sizes are written 3x3, repetitions 3 * conv 64",
        "!": "write `not`, or `!=` to compare",
        "&": "write `and`",
        "'": 'strings are written "..."',
        "^": "powers are written 2**3",
        "‘": 'strings are written "..."',
        "“": 'strings are written "..."',
        "–": "arrows are written ->",
        "—": "arrows are written ->",
        ".": "a number starts with a digit: 0.5",
        "\t": "indent and separate with spaces",
        "\ufeff": "save the file without a byte order mark",
    }.get(char, "")
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return Fault("E101", at, at + 1, f"`{shown}` has no meaning here", help)


def _lines(text: str, faults: list[Fault]) -> list[LogicalLine]:
    """Return the logical lines: newlines count only outside brackets."""
    lines: list[LogicalLine] = []
    indents = [0]
    brackets: list[Token] = []
    current: list[Token] = []
    level = 0
    first = re.match(r"[ \t]*(?=[^\s#])", text)
    begin = _Indent(first[0] if first else "", 0)

    def close(end: Token | None) -> None:
        if current:
            lines.append(LogicalLine(level, [*current, end] if end else list(current)))
            current.clear()

    for token in _lex(text, faults):
        if token.type == "_NL":
            if brackets:
                continue
            close(token)
            width = len(token) - 1 - token.rfind("\n")
            begin = _Indent(token[-width:] if width else "", token.end_pos - width)
            continue
        if not current:
            level = _level(begin, indents, faults)
        if token.type in ("LPAR", "LSQB"):
            brackets.append(token)
            if len(brackets) > MAX_DEPTH:
                faults.append(Fault("E110", token.start_pos, token.end_pos, f"brackets nest deeper than {MAX_DEPTH}"))
                return []
        elif token.type in ("RPAR", "RSQB") and brackets:
            brackets.pop()  # a wrong pair is the parser's to report
        current.append(token)
    close(None)
    if brackets:
        opener = brackets[0]
        what = f"`{opener}` is never closed"
        faults.append(Fault("E103", opener.start_pos, opener.end_pos, what, "close it, or take it out"))
        return []
    return lines


class _Indent(NamedTuple):
    text: str
    start: int


def _level(begin: _Indent, indents: list[int], faults: list[Fault]) -> int:
    """Return the depth of a line from its indentation, keeping the stack of open depths."""
    text, start = begin
    if "\t" in text:
        help = "use spaces, four a level"
        faults.append(Fault("E104", start, start + len(text), "indentation contains a tab", help))
    width = len(text.expandtabs(4))
    while indents[-1] > width:
        indents.pop()
    if indents[-1] < width:
        if len(indents) > MAX_DEPTH:
            faults.append(Fault("E110", start, start + len(text), f"bodies nest deeper than {MAX_DEPTH}"))
            return len(indents) - 1
        indents.append(width)
    return len(indents) - 1


# ---------------------------------------------------------------- parsing


def parse(source: Source) -> tree.File:
    """Return the tree of a source, or raise NetError with every syntax error that could be told apart."""
    text = source.text if source.text.endswith("\n") else source.text + "\n"
    faults: list[Fault] = []
    lines = _lines(text, faults)
    if faults and not lines:
        raise _error(source, faults)
    size = sum(len(line.tokens) for line in lines)
    while True:
        try:
            file = _feed(lines)
        except Fault as fault:
            faults.append(fault)
            lines = _without(lines, fault.start)
            if size > _LARGE or len(faults) >= MAX_ERRORS:
                break
        else:
            if not faults:
                return file
            break
    raise _error(source, faults)


def _error(source: Source, faults: list[Fault]) -> NetError:
    size = len(source.text)
    diagnostics = []
    seen: set[int] = set()
    for fault in sorted(faults, key=lambda f: f.start):
        if fault.start in seen:
            continue
        seen.add(fault.start)
        start = min(fault.start, size)
        labels = ()
        if fault.opener >= 0:
            labels = (Label(Span(source, fault.opener, fault.opener + 1), "opened here"),)
        span = Span(source, start, max(start, min(fault.end, size)))
        diagnostics.append(Diagnostic(fault.code, fault.message, span, help=fault.help, labels=labels))
    return NetError(diagnostics)


def _feed(lines: list[LogicalLine]) -> tree.File:
    """Run the LALR automaton over the lines, with indentation as tokens."""
    lark, _ = _lark()
    interactive = lark.parse_interactive(start="start")
    state = interactive.parser_state
    level = 0
    last = Token("_NL", "", 0, end_pos=0)
    position: tuple[list[LogicalLine], int, int] = (lines, 0, 0)
    try:
        for number, line in enumerate(lines):
            first = line.tokens[0]
            position = (lines, number, -1)
            while level < line.level:
                state.feed_token(Token("_INDENT", "", first.start_pos, end_pos=first.start_pos))
                level += 1
            while level > line.level:
                state.feed_token(Token("_DEDENT", "", first.start_pos, end_pos=first.start_pos))
                level -= 1
            for i, token in enumerate(line.tokens):
                position = (lines, number, i)
                state.feed_token(token)
                last = token
            if last.type != "_NL":
                state.feed_token(Token("_NL", "", last.end_pos, end_pos=last.end_pos))
        position = (lines, len(lines), 0)
        for _ in range(level):
            state.feed_token(Token("_DEDENT", "", last.end_pos, end_pos=last.end_pos))
        file: tree.File = state.feed_token(Token("$END", "", last.end_pos, end_pos=last.end_pos), True)
        return file
    except UnexpectedToken as error:
        raise _explain(error.token, set(interactive.accepts()), *position) from None


def _parse_inner(text: str, offset: int) -> tree.Expr:
    """Parse the expression in the braces of a template."""
    faults: list[Fault] = []
    tokens = [t for t in _lex(text, faults) if t.type != "_NL"]
    for token in tokens:
        token.start_pos += offset
        token.end_pos += offset
    lark, _ = _lark()
    interactive = lark.parse_interactive(start="expr")
    if faults or not tokens:
        what = "the braces of a name hold an integer expression"
        raise Fault("E105", offset, offset + len(text), what, "for example block{i+1}")
    try:
        for token in tokens:
            interactive.parser_state.feed_token(token)
        end = Token("$END", "", offset + len(text), end_pos=offset + len(text))
        result: tree.Expr = interactive.parser_state.feed_token(end, True)
        return result
    except UnexpectedToken as error:
        start, end_ = error.token.start_pos, error.token.end_pos
        what = "the braces of a name hold an integer expression"
        raise Fault("E105", start, max(end_, start), what, "for example block{i+1}") from None


def _without(lines: list[LogicalLine], at: int) -> list[LogicalLine]:
    """Return the lines without the one at an offset, its body, and a header that is left with none."""
    index = max((i for i, line in enumerate(lines) if line.tokens[0].start_pos <= at), default=0)
    end = index + 1
    while end < len(lines) and lines[end].level > lines[index].level:
        end += 1
    while index and lines[index - 1].level < lines[index].level and (
        end == len(lines) or lines[end].level <= lines[index - 1].level
    ):
        index -= 1
    return lines[:index] + lines[end:]


# ---------------------------------------------------------------- what an error says

_EXPRESSION = {"NUMBER", "NAME", "DIMS", "STRING", "TEMPLATE", "LPAR", "LSQB", "TRUE", "FALSE", "NONE"}
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
_STARTS_STEP = {"ARROW", "COLON", "STAR", "VBAR", "LPAR", "LSQB"}
_DECLARATIONS = {"net", "block", "variant", "table", "import"}


def _no_parentheses(op: tree.Name, inner: str) -> None:
    what = f"`{op.text}(...)`: layers are written without parentheses"
    raise Fault("E106", op.start, op.end, what, f"{op.text} {inner}")


def _expected(accepted: set[str]) -> str:
    if accepted >= {"ARROW", "_NL"}:
        accepted &= {"ARROW", "COMMA", "_NL", "COLON"} if "COLON" in accepted else {"ARROW", "COMMA", "_NL"}
    words = []
    if accepted >= {"NUMBER", "NAME", "LPAR"}:
        words.append("a value")
        accepted -= _EXPRESSION | {"SIGN", "NOT", "CHOOSE", "SLASH"}
        accepted -= {"ADD", "MUL", "CONCAT", "FORK"}
    words += [_SHOWN[name] for name in _SHOWN if name in accepted]
    if not words:
        return ""
    words = words[:4]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _explain(
    token: Token, accepted: set[str], lines: list[LogicalLine], number: int, index: int
) -> Fault:
    """Return what is wrong where the automaton stopped: the typical mistakes by their shape, else what could follow."""
    if number < len(lines):
        tokens = lines[number].tokens
    else:
        tokens = []
    before = tokens[:index] if index > 0 else []
    start, end = token.start_pos, token.end_pos
    found = "the end of the line" if token.type == "_NL" else f"`{token}`"
    last = before[-1] if before else None

    if token.type == "_INDENT":
        return Fault("E107", start, tokens[0].end_pos, "an indented line, but nothing above opens a body",
                     "end the line above with `:`, or indent this one like it")
    if (token.type == "_DEDENT" or index <= 0) and "_INDENT" in accepted:
        header = lines[number - 1].tokens
        stop = header[-1].start_pos if header[-1].type == "_NL" else header[-1].end_pos
        return Fault("E108", header[0].start_pos, stop, "a line that ends with `:` needs an indented body below it",
                     "indent what belongs to it by four spaces")
    if token.type == "$END":
        return Fault("E109", start, start, "the file ends in the middle of a statement")
    if token.type == "RSQB" and "WHEN" in accepted:
        opener = _opener(before)
        inner = _text(before, opener + 1, len(before))
        return Fault("E112", before[opener].start_pos, end, f"`[{inner}]` needs a condition",
                     f"[{inner} when ...]; without one, leave the brackets out")
    called = _called(before)
    if called is not None:
        op = before[called]
        rest = _text(tokens, called + 2, len(tokens))
        return Fault("E106", op.start_pos, op.end_pos, f"`{op}({rest}`: layers are written without parentheses",
                     f"{op} {rest.rstrip(')')}")
    if token.type in ("NUMBER", "DIMS", "NAME") and len(before) > 1 and last is not None:
        if last.type == "NAME" and before[-2].type == "SIGN" and str(before[-2]) == "-":
            chain = re.sub(r" - ", " -> ", _text(tokens, 0, len(tokens)))
            return Fault("E113", before[-2].start_pos, before[-2].end_pos, "`-` between layers", f"arrows: {chain}")
    step = _step(before)
    if token.type in _EXPRESSION - {"LPAR", "LSQB"} and "ARROW" in accepted and last is not None:
        help = ""
        if last.type in _EXPRESSION | {"RPAR", "RSQB"} and len(before) - step > 1:
            stop = next((i for i in range(index, len(tokens)) if tokens[i].type in ("ARROW", "_NL")), len(tokens))
            head = _text(before, step, len(before))
            tail = _text(tokens, index, stop)
            help = f"arguments are separated by commas: {head}, {tail}"
        elif token.type == "NAME" and str(token) in ("x", "times"):
            help = f"a repetition stands in front: 3 * {_text(before, step, len(before))}"
        return Fault("E100", start, end, f"expected `->`, `,` or the end of the line, found {found}", help)
    if before and str(before[0]) in _DECLARATIONS and token.type == "_NL" and "COLON" in accepted:
        return Fault("E100", start, start, "expected `:` at the end of the line",
                     "a declaration ends with `:` and its body is indented")
    if token.type == "EQUAL" and "CMP" in accepted:
        return Fault("E100", start, end, "expected a condition, found `=`", "to compare, write ==")
    if token.type.isupper() and str(token).isalpha() and accepted & {"NAME"} and token.type not in _EXPRESSION:
        help = f'`{token}` is a reserved word; as a label, quote it: "{token}": ...'
        return Fault("E114", start, end, f"expected {_expected(accepted) or 'something else'}, found {found}", help)
    if token.type in ("ELIF", "ELSE"):
        return Fault("E100", start, end, f"{found} without an `if` at the same indentation")
    if token.type in ("RPAR", "RSQB") and token.type not in accepted:
        at = _opener(before)
        opener = before[at].start_pos if at >= 0 else -1
        return Fault("E100", start, end, f"expected {_expected(accepted) or 'something else'}, found {found}",
                     opener=opener)
    expected = _expected(accepted)
    message = f"expected {expected}, found {found}" if expected else f"{found} cannot stand here"
    return Fault("E100", start, end if token.type != "_NL" else start, message)


def _opener(tokens: list[Token]) -> int:
    """Return the index of the innermost open bracket, or -1."""
    depth = 0
    for i in range(len(tokens) - 1, -1, -1):
        if tokens[i].type in ("RPAR", "RSQB"):
            depth += 1
        elif tokens[i].type in ("LPAR", "LSQB"):
            if depth == 0:
                return i
            depth -= 1
    return -1


def _called(before: list[Token]) -> int | None:
    """Return the index of an op that is written like a call, `conv(`, and still open."""
    at = _opener(before)
    if at < 1 or before[at].type != "LPAR" or before[at - 1].type != "NAME":
        return None
    if before[at - 1].end_pos != before[at].start_pos:
        return None
    if at > 1 and before[at - 2].type not in _STARTS_STEP:
        return None
    return at - 1


def _step(tokens: list[Token]) -> int:
    """Return the index at which the innermost step begins."""
    opener = _opener(tokens)
    for i in range(len(tokens) - 1, opener, -1):
        if tokens[i].type in ("ARROW", "COLON", "VBAR", "STAR"):
            return i + 1
    return opener + 1


def _text(tokens: list[Token], start: int, stop: int) -> str:
    """Return tokens as text, spaced as they were."""
    parts: list[str] = []
    for previous, token in zip([None, *tokens[start:stop]], tokens[start:stop], strict=False):
        if token.type == "_NL":
            break
        if previous is not None and previous.end_pos < token.start_pos:
            parts.append(" ")
        parts.append(str(token))
    return "".join(parts).strip()
