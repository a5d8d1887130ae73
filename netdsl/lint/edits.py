"""Small edits of a spec's text: each helper returns them, or None where the text is not simple enough.

An edit touches as little as it can, so comments and layout stay. Whether the new text means what was promised is
not decided here: netdsl/lint/fix.py elaborates it and compares graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from netdsl.ir.graph import Node
from netdsl.record import Record
from netdsl.source import Source, Span
from netdsl.syntax import tree


class Edit(Record):
    """Some characters, and what to write instead of them."""

    span: Span
    text: str


def walk(node: tree.Tree) -> Iterator[tree.Tree]:
    """Yield a node of the syntax tree and all below it, in the order of the text."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        stack.extend(reversed(children(one)))


def children(node: tree.Tree) -> list[tree.Tree]:
    """Return the nodes directly below a node."""
    found: list[tree.Tree] = []
    for value in node.__dict__.values():
        if isinstance(value, tree.Tree):
            found.append(value)
        elif isinstance(value, tuple):
            found += [item for item in value if isinstance(item, tree.Tree)]
    return found


_NAMING = {"label", "targets", "name", "names", "params", "inputs"}
"""Fields in which a name is given to something, rather than read."""


def names_read(node: tree.Tree) -> Iterator[str]:
    """Yield every name that a part of the syntax tree reads."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, tree.Name):
            yield one.text
        reads = isinstance(one, (tree.Ref, tree.Attribute))
        for field, value in one.__dict__.items():
            given = field in _NAMING and not reads
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, tree.Tree) and not (given and isinstance(item, tree.Name)):
                    stack.append(item)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end), reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


class Text:
    """A spec's text with its tree, asked for by the spans that nodes of the graph have.

    A span of another file, such as an import's, is never edited: every helper returns None for it.
    """

    def __init__(self, source: Source, file: tree.File) -> None:
        """Take a text and its tree."""
        self.source = source
        self.file = file

    @cached_property
    def nodes(self) -> tuple[tree.Tree, ...]:
        """All nodes of the tree, in the order of the text."""
        return tuple(walk(self.file))

    @cached_property
    def repeats(self) -> tuple[tree.Repeat, ...]:
        """The repetitions."""
        return tuple(node for node in self.nodes if isinstance(node, tree.Repeat))

    @cached_property
    def _parents(self) -> dict[int, tree.Tree]:
        return {id(child): node for node in self.nodes for child in children(node)}

    @cached_property
    def _statements(self) -> list[tree.Statement]:
        return [node for node in self.nodes if isinstance(node, tree.Statement)]

    @cached_property
    def _layers(self) -> dict[tuple[int, int], tree.Layer]:
        return {(node.start, node.end): node for node in self.nodes if isinstance(node, tree.Layer)}

    def layer(self, span: Span) -> tree.Layer | None:
        """Return the layer that is written there."""
        return self._layers.get((span.start, span.end)) if span.source is self.source else None

    def default(self, span: Span) -> tree.Default | None:
        """Return the `default` line that a place is in."""
        line = self.statement(span)
        return line if isinstance(line, tree.Default) else None

    def gives(self, span: Span, name: str) -> bool:
        """Tell whether a layer's own text gives an argument."""
        layer = self.layer(span)
        args = layer.args if layer is not None else ()
        return any(isinstance(arg, tree.Keyword) and arg.name == name for arg in args)

    def covers(self, default: Span, node: Node) -> bool:
        """Tell whether a `default` line is about a layer: further down in its scope, of that op or one like it."""
        line = self.default(default)
        around = line and self.parent(line)
        if line is None or around is None or node.span.source is not self.source:
            return False
        like = line.op.text in (node.op.name, node.op.inherits)
        return like and line.end <= node.span.start and node.span.end <= self._end(around)

    def _end(self, node: tree.Tree) -> int:
        """Return where the last part of a node of the tree ends, which names a net or block by its head."""
        if id(node) not in self._ends:
            self._ends[id(node)] = max(one.end for one in walk(node))
        return self._ends[id(node)]

    @cached_property
    def _ends(self) -> dict[int, int]:
        return {}

    def parent(self, node: tree.Tree) -> tree.Tree | None:
        """Return what a node of the tree is written in."""
        return self._parents.get(id(node))

    def statement(self, span: Span) -> tree.Statement | None:
        """Return the innermost statement around a place."""
        if span.source is not self.source:
            return None
        around = [node for node in self._statements if node.start <= span.start and span.end <= node.end]
        return around[-1] if around else None

    def span(self, node: tree.Tree) -> Span:
        """Return the place of a node of the tree."""
        return Span(self.source, node.start, node.end)

    def written(self, node: tree.Tree) -> str:
        """Return the text of a node of the tree."""
        return self.source.text[node.start : node.end]

    def constant(self, span: Span, argument: str = "") -> bool:
        """Tell whether a layer's own arguments, or one of them, are written out, without a name."""
        layer = self.layer(span)
        if layer is None:
            return False
        args = [arg for arg in layer.args if argument in ("", self._argument(arg))]
        return not any(isinstance(node, tree.Name) for arg in args for node in walk(arg))

    # ---------------------------------------------------------------- arguments

    def set_argument(self, span: Span, name: str, value: str) -> tuple[Edit, ...] | None:
        """Give a layer's argument another value, or add it: `conv 64` becomes `conv 64, bias=false`.

        The place may be in a `default` line, too.
        """
        layer = self.layer(span) or self.default(span)
        if layer is None:
            return None
        for arg in layer.args:
            if isinstance(arg, tree.Keyword) and arg.name == name:
                return (Edit(self.span(arg.value), value),)
        if layer.args:
            end = layer.args[-1].end
            return (Edit(Span(self.source, end, end), f", {name}={value}"),)
        return (Edit(Span(self.source, layer.op.end, layer.op.end), f" {name}={value}"),)

    def layer_with(self, span: Span, **values: str | None) -> str | None:
        """Return a layer's text with other arguments, added where it has none; those that are None are left out.

        A kernel without a name stands first. None where the layer is not of this file, or its text may mean more.
        """
        layer = self.layer(span)
        if layer is None or not self._plain(layer):
            return None
        written: list[str] = []
        for arg in layer.args:
            name = self._argument(arg)
            if name not in values:
                written.append(self.written(arg))
                continue
            value = values.pop(name)
            if value is not None:
                written.append(_argument(name, value, isinstance(arg, tree.Keyword)))
        for name, value in values.items():
            if value is not None:
                written.insert(0 if name == "kernel" else len(written), _argument(name, value))
        label = "" if layer.label is None else f" as {self.written(layer.label)}"
        return f"{self.written(layer.op)} {', '.join(written)}{label}"

    def _plain(self, layer: tree.Layer) -> bool:
        """Tell whether each argument of a convolution or `fc` has one meaning: no `/2 first`, no kernel by a name."""
        names = [self._argument(arg) for arg in layer.args]
        return names.count("channels") < 2 and not any(
            isinstance(arg, tree.Stride) and arg.first for arg in layer.args
        )

    def argument(self, span: Span, name: str) -> str | None:
        """Return what the own text of a convolution or `fc` gives an argument, if that can be told."""
        layer = self.layer(span)
        for arg in layer.args if layer is not None and self._plain(layer) else ():
            if self._argument(arg) == name:
                return self.written(arg.value if isinstance(arg, (tree.Keyword, tree.Stride)) else arg)
        return None

    def _argument(self, arg: tree.Argument) -> str:
        """Return the name of an argument of a convolution or `fc`; a number without a name is its channels."""
        if isinstance(arg, tree.Keyword):
            return arg.name
        if isinstance(arg, tree.Stride):
            return "stride"
        return "kernel" if isinstance(arg, tree.DimsLiteral) else "channels"

    # ---------------------------------------------------------------- steps

    def remove_step(self, span: Span) -> tuple[Edit, ...] | None:
        """Take a step out of its chain, or the line away if it is all of it."""
        layer = self.layer(span)
        chain = layer and self.parent(layer)
        if layer is None or not isinstance(chain, (tree.Chain, tree.Optional)):
            return None
        index = next(i for i, step in enumerate(chain.steps) if step is layer)
        if index:
            return (Edit(Span(self.source, chain.steps[index - 1].end, layer.end), ""),)
        if len(chain.steps) > 1:
            return (Edit(Span(self.source, layer.start, chain.steps[1].start), ""),)
        line = self.parent(chain)
        if not isinstance(line, tree.Line) or line.label is not None or line.chain.source:
            return None
        return self.remove_statement(self.span(line))

    def insert_step(self, span: Span, step: str) -> tuple[Edit, ...] | None:
        """Write a step behind a layer; on a line of its own if the layer has a label before it."""
        layer = self.layer(span)
        chain = layer and self.parent(layer)
        if layer is None or not isinstance(chain, tree.Chain):
            return None
        line = self.parent(chain)
        if isinstance(line, tree.Line) and line.label is not None and len(chain.steps) == 1:
            indent = self._indent(line)
            end = self._line_end(line.end)
            carriage = "\r" if self.source.text[end - 1] == "\r" else ""
            new = Edit(Span(self.source, end, end), f"\n{indent}{step}{carriage}")
            return (new,) if indent is not None else None
        return (Edit(Span(self.source, layer.end, layer.end), f" -> {step}"),)

    def swap_steps(self, first: Span, second: Span) -> tuple[Edit, ...] | None:
        """Let two steps change places; two whole lines keep their labels with them."""
        parts: list[tuple[tree.Layer, tree.Line | None]] = []
        for span in (first, second):
            layer = self.layer(span)
            chain = layer and self.parent(layer)
            if layer is None or not isinstance(chain, tree.Chain):
                return None
            line = self.parent(chain)
            alone = isinstance(line, tree.Line) and len(chain.steps) == 1 and not chain.source
            whole = line if isinstance(line, tree.Line) and alone and line.condition is None else None
            parts.append((layer, whole))
        (a, line_a), (b, line_b) = parts
        one, other = (a, b) if line_a is None or line_b is None else (line_a, line_b)
        if one.start == other.start:
            return None
        spans = self.span(one), self.span(other)
        if one is line_a and other is line_b:
            spans = self._commented(one), self._commented(other)
        return Edit(spans[0], spans[1].text), Edit(spans[1], spans[0].text)

    def _commented(self, line: tree.Line) -> Span:
        """Return a line with the comment that stands behind it."""
        end = self._line_end(line.end)
        behind = self.source.text[line.end : end]
        return Span(self.source, line.start, line.end + (len(behind.rstrip()) if "#" in behind else 0))

    # ---------------------------------------------------------------- statements

    def remove_statement(self, span: Span) -> tuple[Edit, ...] | None:
        """Take the innermost statement around a place away, with its annotations and the comment behind it."""
        node: tree.Tree | None = self.statement(span)
        if node is None:
            return None
        outer = self.parent(node)
        if isinstance(outer, tree.Annotated):
            node, outer = outer, self.parent(outer)
        siblings = [item for item in children(outer) if isinstance(item, tree.Statement)] if outer else []
        indent = self._indent(node)
        if indent is None or (len(siblings) < 2 and not isinstance(outer, tree.File)):
            return None  # it shares its line, or a body would be left empty
        if isinstance(outer, tree.Merge):
            return None  # a joint would have a branch less
        text, end = self.source.text, self._line_end(node.end)
        return (Edit(Span(self.source, node.start - len(indent), min(end + 1, len(text))), ""),)

    def remove_annotation(self, span: Span) -> tuple[Edit, ...] | None:
        """Take an annotation away, with its line."""
        if span.source is not self.source:
            return None
        text, end = self.source.text, self._line_end(span.end)
        start = text.rfind("\n", 0, span.start) + 1
        if text[start : span.start].strip() or text[span.end : end].strip():
            return (Edit(span, ""),) if "#" in text[span.end : end] else None
        return (Edit(Span(self.source, start, min(end + 1, len(text))), ""),)

    def remove_item(self, item: tree.Tree, items: tuple[tree.Tree, ...]) -> tuple[Edit, ...]:
        """Take one of several items of a list away, with its comma."""
        index = next(i for i, one in enumerate(items) if one is item)
        if index + 1 < len(items):
            return (Edit(Span(self.source, item.start, items[index + 1].start), ""),)
        return (Edit(Span(self.source, items[index - 1].end, item.end), ""),)

    def _indent(self, node: tree.Tree) -> str | None:
        """Return what stands before a node on its line, if that is nothing but spaces."""
        text = self.source.text
        before = text[text.rfind("\n", 0, node.start) + 1 : node.start]
        return before if not before.strip() else None

    def _line_end(self, at: int) -> int:
        """Return where the line of an offset ends."""
        end = self.source.text.find("\n", at)
        return len(self.source.text) if end < 0 else end


def _argument(name: str, value: str, named: bool = False) -> str:
    """Return an argument as it is written: kernel and stride without their names, unless they have them."""
    short = {"kernel": value, "stride": f"/{value}"}
    return short[name] if name in short and not named else f"{name}={value}"
