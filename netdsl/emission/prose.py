"""What a spec's comments say, as text of a docstring: never anything that ends one or that a reader cannot see."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from netdsl.elaborate.values import BlockDecl, NetDecl, show
from netdsl.emission.items import Staged
from netdsl.emission.streams import listed
from netdsl.ir.types import Shape
from netdsl.net import Net
from netdsl.sheet import aligned
from netdsl.source import Source
from netdsl.symbolic import names, text
from netdsl.syntax.tokens import lex

MOST = 1000
"""The characters of a comment that a docstring takes."""
WRITTEN = str.maketrans({"×": "x", "–": "-", "—": "-", "’": "'", "‘": "'", '"': "'", "\\": "/"})  # noqa: RUF001
"""What stands for some characters in a docstring, which a quote or a backslash could end or change."""


def plain(text: str) -> str:
    """Return a text in ASCII, without quotes that end a docstring, backslashes and control characters."""
    apart = unicodedata.normalize("NFKD", text[:MOST].translate(WRITTEN))  # letters and their accents
    return "".join(c if " " <= c <= "~" else "?" for c in apart if not unicodedata.combining(c))


def paragraph(text: str, width: int, indent: str = "") -> list[str]:
    """Return a text as lines of a docstring, those after the first deeper if it is indented."""
    if any(len(word) > width - 2 * len(indent) for word in text.split()):
        return [f"{indent}{text}"]
    deeper = indent and f"{indent}    "
    return wrap(text, width, initial_indent=indent, subsequent_indent=deeper, break_on_hyphens=False)


def joined(lines: Sequence[str]) -> str:
    """Return the lines of one comment as a text."""
    return plain(" ".join(line.strip().lstrip("#").strip() for line in lines).strip())


def title(source: Source) -> str:
    """Return the comment that a file begins with."""
    lines: list[str] = []
    for line in source.text.split("\n"):
        if not line.lstrip().startswith("#"):
            break
        lines.append(line.strip())
    if len(lines) > 1 and lines[0][-1] not in ".,;:!?-" and lines[1].lstrip("# ")[:1].isupper():
        lines[0] += "."  # a title, and what is said of it
    return joined(lines)


def about(decl: BlockDecl | NetDecl) -> str:
    """Return the comments above a declaration and behind its first line; one that begins the file is the file's."""
    source = decl.file.source
    number, _ = source.position(decl.node.start)
    above: list[str] = []
    while number > 1:
        number -= 1
        line = source.line(number).strip()
        if line.startswith("#"):
            above.insert(0, line)
        elif not line.startswith("@"):
            break
        if number == 1:
            above = []
    return sentence([joined(above), behind(source.text, colon(decl))])


def sentence(parts: Iterable[str]) -> str:
    """Return several things as one sentence."""
    text = "; ".join(part.rstrip(".") for part in parts if part)
    return text if not text or text.endswith(("?", "!", ":")) else f"{text}."


def colon(decl: BlockDecl | NetDecl) -> int:
    """Return the offset after the colon that ends the first line of a declaration."""
    depth = 0
    for token in lex(decl.file.source.text, [], decl.node.start):
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if token.text == ":" and not depth:
            return token.end
    raise AssertionError("a declaration has a body")


def behind(text: str, at: int) -> str:
    """Return the comment that is all that follows on a line, but for a comma."""
    rest = text[at:].partition("\n")[0].strip().removeprefix(",").strip()
    return joined([rest]) if rest.startswith("#") else ""


def arguments(decl: BlockDecl | NetDecl) -> dict[str, str]:
    """Return the comments behind parameters that stand on lines of their own."""
    text = decl.file.source.text
    found = {param.name.text: behind(text, param.end) for param in decl.node.params}
    return {name: comment for name, comment in found.items() if comment}


LETTERS = {"c": "C", "h": "H", "w": "W", "n": "T", "b": "B"}
"""What the sizes of a value are called that an expression would not make clearer: channels, rows, columns, tokens."""
LONGEST = 26
"""The characters of an expression of a size."""


def shapes(staged: Staged, fixed: Mapping[str, int], last: bool = False) -> str:
    """Return the shapes of what a class takes and returns, with the channels `last` if so.

    N is the batch, sizes are letters but for those that are `fixed`.
    """
    letters: dict[str, str] = {}
    given = {p.name for p in staged.params} | staged.sizes_read
    for incoming in staged.inputs:
        if incoming.many:
            given.update(incoming.sizes.values())
        else:
            sizes = incoming.sizes or dict(zip(incoming.shape.axes, map(text, incoming.shape), strict=True))
            for axis, name in sizes.items():  # a net's are no arguments
                mark = f"_{incoming.name}" if len(staged.inputs) > 1 else ""
                letters[name] = name if name in given or LETTERS[axis] in given else f"{LETTERS[axis]}{mark}"
        letters.update((name, str(number)) for name, number in fixed.items())

    def size(value: int, axis: str, mark: str) -> str:
        shown = text(value, letters)
        known = given.union(letters).issuperset(names(value))
        return shown if known and len(shown) <= LONGEST else f"{LETTERS[axis]}{mark}"

    def one(shape: Shape, mark: str) -> str:
        if listed(shape):
            count = f"{text(shape[0], letters)} " if given.issuperset(names(shape[0])) else ""
            return f"a list of {count}{'maps' if staged.axes == 'chw' else 'values'}"
        sizes = {axis: size(value, axis, mark) for axis, value in zip(shape.axes, shape, strict=True)}
        if any(shown == f"{LETTERS[axis]}{mark}" for axis, shown in sizes.items() if axis in "hw"):
            sizes.update({axis: f"{LETTERS[axis]}{mark}" for axis in sizes if axis in "hw"})
        order = sorted(sizes, key="bnhwc".index) if last else sizes
        return f"({', '.join(['N', *(sizes[axis] for axis in order)])})"

    named = len(staged.inputs) > 1
    takes = [f"{i.name} {one(i.shape, '')}" if named else one(i.shape, "") for i in staged.inputs]
    returns = [one(shape, "'") for shape in staged.shapes]
    return plain(f"Shapes: {', '.join(takes)} -> {', '.join(returns)}.") if takes and returns else ""


def paper(net: Net) -> str:
    """Return what `meta` says of a net's paper."""
    arxiv, year = net.meta.get("arxiv"), net.meta.get("year")
    parts = [f"arXiv {arxiv}" if isinstance(arxiv, str) else "", str(year) if type(year) is int else ""]
    return plain(", ".join(part for part in parts if part))


def command(nets: Sequence[Net], backend: str) -> str:
    """Return the command that writes a module."""
    return plain(shlex.join(["netdsl", "compile", *_words(nets), "--backend", backend]))


def _words(nets: Sequence[Net]) -> Iterator[str]:
    spec = nets[0].spec
    file = "-" if spec.startswith("<") else spec
    yield f"{file}:{nets[0].name}" if len(nets) == 1 else file
    settings: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for net in nets:
        settings.update(net.asked.settings)
        inputs.update(net.asked.inputs)
    for name, value in settings.items():
        yield from ("--set", f"{name}={value if isinstance(value, str) else show(value)}")
    for name, shape in inputs.items():
        yield from ("--input", f"{name}={shape}" if name else str(shape))


def table(nets: Sequence[Net], last: bool = False) -> list[str]:
    """Return the facts of several nets, one a line."""
    rows = [("variant", "params", "MACs", "input")]
    for net in nets:
        params, macs = counts(net)
        rows.append((net.name, f"{params:,}", f"{macs:,}", sizes(net.inputs, last)))
    return aligned(rows, (0, 3))


def counts(net: Net) -> tuple[int, int]:
    """Return the parameters of a net, and its MACs for one sample in evaluation."""
    cost = net.cost()
    return cost.params, cost.macs


def sizes(shapes: Any, last: bool = False) -> str:
    """Return shapes by name, with the channels `last` if so; the usual names are left out."""
    found = {
        name: Shape(*shape[1:], shape[0], axes=f"{shape.axes[1:]}c")
        if last and shape.axes[0] == "c"
        else shape
        for name, shape in shapes.items()
    }
    return ", ".join(
        str(shape) if name in ("x", "out") else f"{name} {shape}" for name, shape in found.items()
    )
