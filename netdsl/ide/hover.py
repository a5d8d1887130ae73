"""What is said of the thing under the cursor: how it is called, and what its line costs, with the formula."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netdsl.ide.analysis import Analysis, Line
from netdsl.ide.complete import Call, call_at, called, cursor, scope_of
from netdsl.ide.describe import about, op_of, signature, value_of, word
from netdsl.ide.index import Index, Symbol
from netdsl.ir.graph import Node
from netdsl.net import Net
from netdsl.report.formula import number, terms
from netdsl.syntax.tokens import Token, keywords, lex

COUNTS = (("params", "params"), ("macs", "MACs"))
MOST_SHAPES = 6


class Hover(NamedTuple):
    """What is said of some characters, in Markdown."""

    start: int
    end: int
    text: str


def hover(index: Index, offset: int, analysis: Analysis | None = None) -> Hover | None:
    """Return what is to be said at an offset; None for nothing. The analysis is of the same text, or left out."""
    if analysis is not None and analysis.source.text != index.source.text:
        analysis = None
    use = index.at(offset)
    token = token_at(index.source.text, offset)
    parts: list[str] = []
    start, end = (use.start, use.end) if use is not None else (offset, offset)
    argument = _argument(index, token) if token is not None else ""
    if argument and (use is None or not use.named):
        parts.append(argument)
    elif use is not None:
        parts += [_said(symbol) for symbol in use.symbols]
    elif token is not None:
        parts.append(_word(token.text))
    if token is not None and use is None:
        start, end = token.start, token.end
    line = facts_at(analysis, offset) if analysis is not None and token is not None else None
    if line is not None and analysis is not None:
        parts.append("\n\n".join(_facts(analysis, line)))
    parts = [part for part in parts if part]
    return Hover(start, end, "\n\n---\n\n".join(parts)) if parts else None


def token_at(text: str, offset: int) -> Token | None:
    """Return the token at an offset; None between tokens, and in comments."""
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    for token in lex(text, [], begin, len(text) if end < 0 else end):
        if token.start <= offset < token.end or (token.start <= offset == token.end and token.type == "NAME"):
            return token if token.type != "_NL" else None
    return None


# ---------------------------------------------------------------- what a name is


def _said(symbol: Symbol) -> str:
    """Return what a name stands for."""
    own = signature(symbol)
    kind = "" if symbol.kind in ("op", "word") else f"{symbol.kind} "
    head = own.shown if own is not None else (value_of(symbol) or symbol.name)
    parts = [f"```netdsl\n{head if head.startswith(kind) else kind + head}\n```"]
    text = about(symbol)
    if text:
        parts.append(text)
    if symbol.kind == "op":
        parts += _elsewhere(symbol.name)
    if symbol.source is not None and own is not None and symbol.sites:
        line, _ = symbol.source.position(symbol.sites[0][0])
        parts.append(f"{symbol.source.name.rpartition('/')[2]}:{line}")
    return "\n\n".join(parts)


def _elsewhere(name: str) -> Iterator[str]:
    op = op_of(name)
    if op is None:
        return
    others = {"PyTorch": op.elsewhere.torch, "Keras": op.elsewhere.keras, "JAX": op.elsewhere.jax}
    names = [f"{library} `{text}`" for library, text in others.items() if text]
    if names:
        yield ", ".join(names)


def _argument(index: Index, token: Token) -> str:
    """Return what an argument is whose name is under the cursor: of an op, block, net or function."""
    text = index.source.text
    rest = text[token.end : token.end + 16].lstrip(" ")
    stride = token.type == "SLASH"
    if not stride and (not rest.startswith("=") or rest.startswith("==")):
        return ""
    at = cursor(text, token.start)
    call = call_at(at.tokens) if at is not None else None
    if at is None or call is None or (stride and not _begins_argument(call)):
        return ""
    own = called(index, scope_of(index, at), call, at.tokens)
    found = own.argument("stride" if stride else token.text) if own is not None else None
    if own is None or found is None:
        return ""
    must = "must be given" if not found.default else f"{found.default} if it is not given"
    parts = [f"```netdsl\n{own.name}: {found.shown}\n```", f"{found.about}, {must}" if found.about else must]
    if found.texts:
        parts.append(" or ".join(f'`"{one}"`' for one in found.texts))
    return "\n\n".join(parts)


def _begins_argument(call: Call) -> bool:
    return not call.args[-1]


def _word(text: str) -> str:
    """Return what a word or sign of the language does."""
    about = word(text) if text in keywords() or not text.isidentifier() else ""
    return f"`{text}` {about}" if about else ""


# ---------------------------------------------------------------- what a line costs


def facts_at(analysis: Analysis, offset: int) -> Line | None:
    """Return the smallest piece of text at an offset that costs are known of."""
    around = [line for line in analysis.lines if line.start <= offset <= line.end]
    return min(around, key=lambda line: line.end - line.start, default=None)


def _facts(analysis: Analysis, line: Line) -> Iterator[str]:
    net, source = analysis.network, analysis.source
    nodes: list[Node] = []
    if net is not None and line.net == analysis.net:
        nodes = [
            node
            for node in net.graph
            if node.span.source is source and (node.span.start, node.span.end) == (line.start, line.end)
        ]
    made = [str(shape) for shape in line.shapes[:MOST_SHAPES]]
    made += ["..."] * (len(line.shapes) > MOST_SHAPES)
    taken = " and ".join(map(str, net.inputs_of(nodes[0].name))) if nodes and net is not None else ""
    shape = f"{taken} → {made[0]}" if taken and len(line.shapes) == 1 else ", ".join(made)
    if shape:
        yield f"**{shape}**"
    for count, title in COUNTS:
        total: int = getattr(line, count)
        if total:
            filled = _formula(net, nodes, count) if net is not None else ""
            yield f"{total:,} {title}{filled}"
    place = f"in {line.net}, one sample"
    yield f"{line.copies} copies {place}" if line.copies > 1 else place


def _formula(net: Net, nodes: list[Node], count: str) -> str:
    """Return a number of a line's first copy with its factors, and how many copies make the sum."""
    if not nodes:
        return ""
    first = nodes[0]
    found = terms(net, first, count)
    if not found:
        return ""
    names = " + ".join(" · ".join(name for name, _ in term.factors) or "1" for term in found)
    values = " + ".join(" · ".join(f"{size:,}" for _, size in term.factors) or "1" for term in found)
    alike = [number(net, node, count) for node in nodes]
    whole = alike[0]
    if len(nodes) == 1:
        return f" = {names} = {values}"
    if all(one == whole for one in alike):
        return f" = {len(nodes)} · ({names}) = {len(nodes)} · ({values})"
    return f", of `{first.name}` {whole:,} = {names} = {values}"
