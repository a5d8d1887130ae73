"""Rules to trees: one method for each rule of the grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise, takewhile
from typing import Any, TypeVar

from netdsl.diagnostics import closest
from netdsl.syntax import tree
from netdsl.syntax.automaton import Automaton, Grammar, Unexpected
from netdsl.syntax.tokens import MAX_DEPTH, MAX_FLOAT, MAX_INT, TEMPLATES, Fault, Token, lex

T = TypeVar("T", bound=tree.Tree)

_SUFFIX = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SUFFIX |= {f"{k}i": 1024**i for i, k in enumerate("KMGT", 1)}
_NUMBER = re.compile(r"([0-9_]+)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?:([KMGT]i?)?(B)?)?")
_PARTS = re.compile(r"\{([^{}]*)\}|[^{}]+|[{}]")
_CONSTANTS = {"true": True, "false": False, "none": None}


def _trees(children: Iterable[Any]) -> tuple[Any, ...]:
    """Return the children that are trees or tuples of them, without the tokens."""
    return tuple(c for c in children if type(c) is not Token)


def _name(token: Token) -> tree.Name:
    return tree.Name(token.start, token.end, token.text)


def _string(token: Token) -> tree.String:
    return tree.String(token.start, token.end, token.text[1:-1])


def _deep(node: T, *parts: tree.Tree) -> T:
    """Note how deep a tree is, within the limit; most are leaves, for which the class says 0."""
    depth = 1 + max((p.depth for p in parts), default=0)
    if depth > MAX_DEPTH:
        what = "an expression nests" if isinstance(node, tree.Expr) else "steps nest"
        raise Fault("E110", node.start, node.end, f"{what} deeper than {MAX_DEPTH}")
    node.__dict__["depth"] = depth
    return node


def _exprs(args: Iterable[tree.Argument]) -> list[tree.Expr]:
    return [a if isinstance(a, tree.Expr) else a.value for a in args]


class Builder:
    """Each method takes the offsets of what its rule matched, and its tokens and trees; it returns a tree."""

    def __init__(self) -> None:
        """Make the grammar that calls this builder."""
        self.grammar = Grammar(self)

    # -- expressions

    def number(self, start: int, end: int, c: list[Token]) -> tree.Number:
        """NUMBER."""
        text = c[0].text
        if text.isdecimal() and len(text) < 19:
            return tree.Number(start, end, int(text))
        match = _NUMBER.fullmatch(text)
        assert match is not None, text
        whole, fraction, exponent, suffix, _ = match.groups()
        digits = whole.replace("_", "")
        scale = _SUFFIX[suffix or ""]
        if len(digits) > 20 or len(fraction or "") > 24 or len(exponent or "") > 5:
            raise Fault("E111", start, end, "a number has too many digits")
        value: int | float
        if exponent:
            value = float(digits + (fraction or "") + exponent) * scale
            if value > MAX_FLOAT:
                help = f"a float32 holds up to {MAX_FLOAT:.2g}"
                raise Fault("E111", start, end, f"`{text}` is too large", help)
        elif fraction:
            exact = int(digits + fraction[1:]) * scale
            part = 10 ** (len(fraction) - 1)
            value = exact // part if suffix and exact % part == 0 else float(digits + fraction) * scale
        else:
            value = int(digits) * scale
        if isinstance(value, int) and value > MAX_INT:
            raise Fault("E111", start, end, f"`{text}` is more than 2^63 - 1")
        return tree.Number(start, end, value)

    def name(self, start: int, end: int, c: list[Token]) -> tree.Name:
        """NAME."""
        return _name(c[0])

    def dims(self, start: int, end: int, c: list[Token]) -> tree.DimsLiteral:
        """DIMS."""
        sizes = c[0].text.split("x")
        if max(map(len, sizes)) > 15:
            raise Fault("E111", start, end, "a number has too many digits")
        return tree.DimsLiteral(start, end, tuple(map(int, sizes)))

    def string(self, start: int, end: int, c: list[Token]) -> tree.String:
        """STRING."""
        return _string(c[0])

    def constant(self, start: int, end: int, c: list[Token]) -> tree.Constant:
        """TRUE, FALSE, NONE."""
        return tree.Constant(start, end, _CONSTANTS[c[0].text])

    def template(self, start: int, end: int, c: list[Token]) -> tree.Template:
        """TEMPLATE, with the expressions in its braces parsed."""
        return self._template(c[0])

    def _template(self, token: Token) -> tree.Template:
        parts: list[str | tree.Expr] = []
        quote = len('"') if token.type == "STRING" else 0
        for match in _PARTS.finditer(token.text, quote, len(token.text) - quote):
            inner = match[1]
            parts.append(match[0] if inner is None else self._braces(inner, token.start + match.start(1)))
        return tree.Template(token.start, token.end, tuple(parts))

    def _braces(self, text: str, offset: int) -> tree.Expr:
        faults: list[Fault] = []
        automaton = Automaton(self.grammar, "expr")
        at, end = offset, offset + len(text)
        try:
            for token in lex(text, faults):
                at, end = offset + token.start, offset + token.end
                if not faults:
                    automaton.feed(Token(token.type, token.text, at, end))
            if not faults:
                result: tree.Expr = automaton.finish(end)
                return result
        except Unexpected:
            pass
        what = "the braces of a name hold an integer expression"
        raise Fault("E105", at, end, what, "for example block{i+1}")

    def unary(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`not a`, `-a`."""
        return _deep(tree.Unary(start, end, c[0].text, c[1]), c[1])

    def binary(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`a + b`."""
        return _deep(tree.Binary(start, end, c[1].text, c[0], c[2]), c[0], c[2])

    def ternary(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`a if b else c`."""
        return _deep(tree.Ternary(start, end, c[0], c[2], c[4]), c[0], c[2], c[4])

    def attr(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`a.b`."""
        return _deep(tree.Attribute(start, end, c[0], c[2].text), c[0])

    def index(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`a[b]`."""
        return _deep(tree.Index(start, end, c[0], c[2]), c[0], c[2])

    def slice(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`a[b:c]`."""
        colon = next(i for i, part in enumerate(c) if isinstance(part, Token) and part.type == "COLON")
        bounds = (c[2] if colon > 2 else None, c[colon + 1] if len(c) > colon + 2 else None)
        given = [bound for bound in bounds if bound is not None]
        return _deep(tree.Slice(start, end, c[0], *bounds), c[0], *given)

    def outside(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`a not in b`."""
        return _deep(tree.Binary(start, end, "not in", c[0], c[3]), c[0], c[3])

    def call(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`f(a)`."""
        args = c[2] if isinstance(c[2], tuple) else ()
        return _deep(tree.CallExpr(start, end, c[0], args), c[0], *_exprs(args))

    def choice(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`choose(a, b)`."""
        options = _trees(c)
        return _deep(tree.Choice(start, end, options), *options)

    def paren(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`(a)`: the expression within, with the parentheses in its span."""
        inner: tree.Expr = c[1]
        outer = _deep(inner.replace(start=start, end=end), inner)
        outer.__dict__["in_parentheses"] = True
        return outer

    def list_(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`[a, b]`."""
        items = _trees(c)
        return _deep(tree.ListExpr(start, end, items), *items)

    def comprehension(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`[a for x in b if c]`."""
        names, groups = c[3]
        condition = c[7] if len(c) > 7 else None
        parts = (c[1], c[5]) if condition is None else (c[1], c[5], condition)
        return _deep(tree.Comprehension(start, end, c[1], names, groups, c[5], condition), *parts)

    # -- arguments

    def args(self, start: int, end: int, c: list[Any]) -> tuple[tree.Argument, ...]:
        """The arguments without the commas."""
        return _trees(c)

    def keyword(self, start: int, end: int, c: list[Any]) -> tree.Keyword:
        """`name=value`."""
        return tree.Keyword(start, end, c[0].text, c[2])

    def training(self, start: int, end: int, c: list[Token]) -> tree.Keyword:
        """`train`, which says `train=true`."""
        return tree.Keyword(start, end, c[0].text, tree.Constant(start, end, True))

    def stride(self, start: int, end: int, c: list[Any]) -> tree.Stride:
        """`/2 first`."""
        return tree.Stride(start, end, c[1], len(c) == 3)

    # -- chains

    def id(self, start: int, end: int, c: list[Token]) -> tree.Name:
        """A name, or a declaration's keyword used as one."""
        return _name(c[0])

    def label(self, start: int, end: int, c: list[Any]) -> tree.Label:
        """A name, a template, or a quoted name; behind dots, which are closed up, numbers too."""
        if len(c) == 1:
            return self._label(c[0])
        parts: list[str | tree.Expr] = []
        for part in c:
            shown = (
                part if isinstance(part, tree.Name) or part.type in ("DOT", "NUMBER") else self._label(part)
            )
            for text in shown.parts if isinstance(shown, tree.Template) else (shown.text,):
                if isinstance(text, str) and parts and isinstance(parts[-1], str):
                    parts[-1] += text  # `a.1.2`, however the dots divide it into words
                else:
                    parts.append(text)
        if len(parts) == 1 and isinstance(parts[0], str):
            return tree.Name(start, end, parts[0])
        return tree.Template(start, end, tuple(parts))

    def _label(self, child: Any) -> tree.Label:
        if isinstance(child, tree.Name):
            return child
        if child.type == "TEMPLATE" or "{" in child.text:
            return self._template(child)
        return tree.Name(child.start, child.end, child.text[1:-1])

    def target(self, start: int, end: int, c: list[Any]) -> tree.Label:
        """What is bound."""
        return self._label(c[0]) if c[0].type == "TEMPLATE" else _name(c[0])

    def targets(self, start: int, end: int, c: list[Any]) -> tuple[tree.Label, ...]:
        """What is bound, in order."""
        return _trees(c)

    def names(self, start: int, end: int, c: list[Token]) -> tuple[tree.Name, ...]:
        """Names without the commas."""
        return tuple(_name(token) for token in c if token.type != "COMMA")

    def turns(self, start: int, end: int, c: list[Any]) -> tuple[tuple[tree.Name, ...], tuple[int, ...]]:
        """What a turn binds, and how that is grouped."""
        parts: list[tuple[tree.Name, ...]] = list(_trees(c))
        names = tuple(name for part in parts for name in part)
        nested = len(parts) > 1 and any(len(part) > 1 for part in parts)
        return names, tuple(len(part) if len(part) > 1 else 0 for part in parts) if nested else ()

    def turn(self, start: int, end: int, c: list[Any]) -> tuple[tree.Name, ...]:
        """A name, or several in brackets."""
        return c[1] if len(c) > 1 else (_name(c[0]),)

    def ref(self, start: int, end: int, c: list[Any]) -> tree.Ref:
        """A value by name."""
        return tree.Ref(start, end, c[0], c[2] if len(c) > 1 else None)

    def refs(self, start: int, end: int, c: list[Any]) -> tuple[tree.Ref, ...]:
        """References without the commas."""
        return _trees(c)

    def op(self, start: int, end: int, c: list[Token]) -> tree.Name:
        """An op's name."""
        return _name(c[0])

    def chosen(self, start: int, end: int, c: list[Any]) -> tree.Name:
        """`(a if b else c)`."""
        value = tree.Ternary(c[1].start, c[5].end, _name(c[1]), c[3], c[5])
        return _deep(tree.Chosen(start, end, "(", _deep(value, c[3], c[5])), value)

    def layer(self, start: int, end: int, c: list[Any]) -> tree.Layer:
        """`op args as label`."""
        args = c[1] if len(c) > 1 and isinstance(c[1], tuple) else ()
        first = args[0] if args else None
        while isinstance(first, tree.Binary) and not first.in_parentheses:
            first = first.left  # B(8) * 3
        if isinstance(first, tree.Expr) and first.in_parentheses and first.start == c[0].end:
            raise Fault("E106", start, end, "")  # conv(64); who has the text says what is wrong
        return tree.Layer(start, end, c[0], args, c[-1] if len(c) > 2 else None)

    def same(self, start: int, end: int, c: list[Any]) -> tree.Same:
        """`same label`."""
        return tree.Same(start, end, c[1])

    def repeat(self, start: int, end: int, c: list[Any]) -> tree.Repeat:
        """`n * step`."""
        return _deep(tree.Repeat(start, end, c[0], c[2]), c[2])

    def optional(self, start: int, end: int, c: list[Any]) -> tree.Optional:
        """`[steps when condition]`."""
        return _deep(tree.Optional(start, end, c[1], c[2]), *c[1])

    def when(self, start: int, end: int, c: list[Any]) -> tree.Expr:
        """`when condition`."""
        condition: tree.Expr = c[1]
        return condition

    def branch(self, start: int, end: int, c: list[Any]) -> tree.Branch:
        """`label: chain when condition`."""
        return tree.Branch(start, end, *self._labelled(c))

    def _labelled(self, c: list[Any]) -> tuple[tree.Label | None, tree.Chain, tree.Expr | None]:
        parts = _trees(c)
        at = next(i for i, part in enumerate(parts) if isinstance(part, tree.Chain))
        return parts[0] if at else None, parts[at], parts[at + 1] if len(parts) > at + 1 else None

    def group(self, start: int, end: int, c: list[Any]) -> tree.Group:
        """`( a | b ) as label`."""
        branches = tuple(b for b in c if isinstance(b, tree.Branch))
        label = c[-1] if isinstance(c[-1], tree.Label) else None
        steps = [step for branch in branches for step in branch.chain.steps]
        return _deep(tree.Group(start, end, branches, label), *steps)

    def steps(self, start: int, end: int, c: list[Any]) -> tuple[tree.Step, ...]:
        """Steps without the arrows."""
        return _trees(c)

    def source(self, start: int, end: int, c: list[Any]) -> tuple[tree.Ref, ...]:
        """`from refs`."""
        refs: tuple[tree.Ref, ...] = c[1]
        return refs

    def chain(self, start: int, end: int, c: list[Any]) -> tree.Chain:
        """`from refs -> steps`."""
        parts = _trees(c)
        source = parts[0] if isinstance(parts[0][0], tree.Ref) else ()
        steps = parts[-1] if not isinstance(parts[-1][0], tree.Ref) else ()
        return tree.Chain(start, end, source, steps)

    # -- statements

    def body(self, start: int, end: int, c: list[Any]) -> tree.Body:
        """One line, or an indented suite."""
        return c[0] if isinstance(c[0], tuple) else (c[0],)

    def suite(self, start: int, end: int, c: list[Any]) -> tree.Body:
        """The statements of a suite."""
        return _trees(c)

    def line(self, start: int, end: int, c: list[Any]) -> tree.Line:
        """`label: chain when condition`."""
        return tree.Line(start, end, *self._labelled(c))

    def container(self, start: int, end: int, c: list[Any]) -> tree.Container:
        """`label:` or `():`, and a body."""
        label = c[0] if isinstance(c[0], tree.Label) else None
        return tree.Container(start, c[-3].end, label, c[-1])

    def merge(self, start: int, end: int, c: list[Any]) -> tree.Merge:
        """`label: add:` and branches."""
        label = c[0] if isinstance(c[0], tree.Label) else None
        joint = _name(c[2] if label else c[0])
        return tree.Merge(start, joint.end, label, joint, c[-1])

    def stage(self, start: int, end: int, c: list[Any]) -> tree.Stage:
        """`stage 4: ...`."""
        rest = c[3:]
        if isinstance(rest[0], tree.Chain):
            condition = rest[1] if len(rest) > 1 else None
            rest = [(tree.Line(rest[0].start, end, None, rest[0], condition),)]
        name = self._template(c[1]) if c[1].type in TEMPLATES else _name(c[1])
        return tree.Stage(start, c[1].end, name, rest[0])

    def output(self, start: int, end: int, c: list[Any]) -> tree.Output:
        """`train output label: chain`."""
        label, chain, condition = self._labelled(c)
        assert label is not None
        return tree.Output(start, end, c[0].type == "TRAIN", label, chain, condition)

    def return_(self, start: int, end: int, c: list[Any]) -> tree.Return:
        """`return result, result`."""
        return tree.Return(start, end, _trees(c))

    def result(self, start: int, end: int, c: list[Any]) -> tree.Result:
        """`ref as name`."""
        return tree.Result(start, end, c[0], c[-1] if len(c) > 1 else None)

    def bind(self, start: int, end: int, c: list[Any]) -> tree.Bind:
        """`targets = chain`, or a merge."""
        rest = c[2:]
        if isinstance(rest[0], Token):
            joint = _name(rest[0])
            merge = tree.Merge(joint.start, joint.end, None, joint, rest[-1])
            return tree.Bind(start, joint.end, c[0], merge, None)
        source, steps, condition = rest[0], (), None
        for part in rest[1:]:
            if isinstance(part, tuple):
                steps = part
            elif isinstance(part, tree.Expr):
                condition = part
        chain = tree.Chain(source[0].start, (steps or source)[-1].end, source, steps)
        return tree.Bind(start, end, c[0], chain, condition)

    def weight(self, start: int, end: int, c: list[Any]) -> tree.Weight:
        """`weight label args`."""
        return tree.Weight(start, end, c[1], c[2])

    def if_(self, start: int, end: int, c: list[Any]) -> tree.If:
        """`if`, `elif`s, `else`."""
        cases = [tree.Case(start, c[1].end, c[1], c[3])]
        otherwise: tree.Body = ()
        for part in c[4:]:
            if isinstance(part, tree.Case):
                cases.append(part)
            else:
                otherwise = part
        return tree.If(start, c[1].end, tuple(cases), otherwise)

    def elif_(self, start: int, end: int, c: list[Any]) -> tree.Case:
        """`elif condition: body`."""
        return tree.Case(start, c[1].end, c[1], c[3])

    def else_(self, start: int, end: int, c: list[Any]) -> tree.Body:
        """`else: body`."""
        body: tree.Body = c[2]
        return body

    def for_(self, start: int, end: int, c: list[Any]) -> tree.For:
        """`for names in iterable: body`."""
        names, groups = c[1]
        return tree.For(start, c[3].end, names, groups, c[3], c[5])

    def assign(self, start: int, end: int, c: list[Any]) -> tree.Assign:
        """`targets = value`."""
        return tree.Assign(start, end, c[0], c[2])

    def def_(self, start: int, end: int, c: list[Any]) -> tree.Def:
        """`def f(a) = value`."""
        params = c[3] if isinstance(c[3], tuple) else ()
        return tree.Def(start, end, _name(c[1]), params, c[-1])

    def default(self, start: int, end: int, c: list[Any]) -> tree.Default:
        """`default op args`."""
        return tree.Default(start, end, c[1], c[2])

    def init(self, start: int, end: int, c: list[Any]) -> tree.InitLine:
        """`init op args`."""
        return tree.InitLine(start, end, c[1], c[2])

    def input(self, start: int, end: int, c: list[Any]) -> tree.Input:
        """`input name: args`."""
        return tree.Input(start, end, _name(c[1]) if len(c) > 2 else None, c[-1])

    def meta(self, start: int, end: int, c: list[Any]) -> tree.Meta:
        """`meta args`."""
        return tree.Meta(start, end, c[1])

    def order(self, start: int, end: int, c: list[Any]) -> tree.Order:
        """`order label, label`."""
        return tree.Order(start, end, _trees(c))

    def require(self, start: int, end: int, c: list[Any]) -> tree.Require:
        """`require claims`."""
        return tree.Require(start, end, _trees(c))

    def decide(self, start: int, end: int, c: list[Any]) -> tree.Decide:
        """`decide name=option, name=option`, in brackets or not."""
        return tree.Decide(start, end, _trees(c))

    def decision(self, start: int, end: int, c: list[Any]) -> tree.Decision:
        """`name=option`."""
        return tree.Decision(start, end, c[0], _name(c[-1]) if isinstance(c[-1], Token) else c[-1])

    def path(self, start: int, end: int, c: list[Any]) -> tree.Name:
        """The name of a decision: its parts are names, numbers and texts."""
        return tree.Name(start, end, "".join(part.text.strip('"') for part in c))

    def annotation(self, start: int, end: int, c: list[Any]) -> tree.Annotation:
        """`@allow(rule, "reason")`."""
        args = next((part for part in c if isinstance(part, tuple)), ())
        return tree.Annotation(start, end, _name(c[1]), args)

    def annotated(self, start: int, end: int, c: list[Any]) -> tree.Annotated:
        """A statement under annotations."""
        return tree.Annotated(c[-1].start, end, tuple(c[:-1]), c[-1])

    annotated_item = annotated

    # -- declarations

    def type(self, start: int, end: int, c: list[Any]) -> tuple[tree.Name, tree.Expr | None]:
        """`int in [1, 2]`."""
        return c[0], c[2] if len(c) > 2 else None

    def param(self, start: int, end: int, c: list[Any]) -> tree.Param:
        """`name: type = default`."""
        kind, allowed = c[2] if len(c) > 2 and isinstance(c[2], tuple) else (None, None)
        default = c[-1] if isinstance(c[-1], tree.Expr) else None
        return tree.Param(start, end, _name(c[0]), kind, allowed, default)

    def params(self, start: int, end: int, c: list[Any]) -> tuple[tree.Param, ...]:
        """Parameters without the commas."""
        return _trees(c)

    def import_(self, start: int, end: int, c: list[Any]) -> tree.Import:
        """`import names from "file"`."""
        return tree.Import(start, end, c[1], _string(c[3]))

    def block(self, start: int, end: int, c: list[Any]) -> tree.Block:
        """`inline block name(params) from inputs: body`."""
        inline = c[0].type == "INLINE"
        rest = c[1:] if inline else c
        trees = _trees(rest)
        params: tuple[tree.Param, ...] = ()
        inputs: tuple[tree.Name, ...] = ()
        for part, after in pairwise(rest):
            if isinstance(part, Token) and part.type == "FROM":
                inputs = after
        if trees[0] is not inputs and len(trees) > 1:
            params = trees[0]
        return tree.Block(rest[1].start, rest[1].end, inline, _name(rest[1]), params, inputs, trees[-1])

    def net(self, start: int, end: int, c: list[Any]) -> tree.Net:
        """`net name(params): body`."""
        trees = _trees(c)
        params = trees[0] if len(trees) > 1 else ()
        return tree.Net(c[1].start, c[1].end, _name(c[1]), params, trees[-1])

    def variant(self, start: int, end: int, c: list[Any]) -> tree.Variant:
        """`variant name = net(args): body`."""
        close = next(i for i, part in enumerate(c) if isinstance(part, Token) and part.type == "RPAR")
        args = c[5] if isinstance(c[5], tuple) else ()
        body = c[-1] if len(c) > close + 1 else ()
        return tree.Variant(c[1].start, c[close].end, _name(c[1]), _name(c[3]), args, body)

    @staticmethod
    def broken(start: int, end: int, c: list[Any]) -> tree.Broken:
        """Lines that cannot be read: what their words may be about."""
        tokens = [token for line in c[0].lines for token in line.tokens]
        head = list(takewhile(lambda one: one.type == "COMMA" or one.text.isidentifier(), tokens))
        first = [token.text for token in head if token.type != "COMMA"]
        defaults = first[1] if len(first) > 1 and closest(first[0], ["default"]) else ""
        names = dict.fromkeys(token.text for token in tokens if token.text.isidentifier())
        computed = any(token.type in ("TEMPLATE", "COUNTED") for token in tokens)
        defines = [token.type for token in tokens[len(head) : len(head) + 1]] in (["EQUAL"], ["COLON"])
        return tree.Broken(start, end, defaults, tuple(first) if defines else (), tuple(names), computed)

    def row(self, start: int, end: int, c: list[Any]) -> tree.Row:
        """One row of a table."""
        return tree.Row(start, end, _trees(c))

    def table(self, start: int, end: int, c: list[Any]) -> tree.Table:
        """`table name(columns):` and rows."""
        trees = _trees(c)
        return tree.Table(c[1].start, c[1].end, _name(c[1]), trees[0], trees[1:])

    def start(self, start: int, end: int, c: list[Any]) -> tree.File:
        """The file."""
        return tree.File(0, end, _trees(c))
