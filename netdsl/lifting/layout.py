"""Statements as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from netdsl.lifting.items import Item
from netdsl.lifting.words import negated
from netdsl.syntax.layout import LIMIT

INDENT = "    "
STEPS = ("call", "same", "repeat", "either")
"""What may stand in a chain."""
ASIDE = ("raw", "weight", "bind", "given", "input", "output")
"""What leaves what flows as it is."""
ROW = 6
"""Arguments."""


class NotLaidOut(Exception):
    """Items that no lines say."""


class Layout:
    """The lines of bodies, given what a call and a condition are called."""

    def __init__(self, call: Callable[[Item], str]) -> None:
        """`call` returns a layer with its arguments."""
        self.call = call

    @staticmethod
    def condition(item: Item) -> str:
        """Return when an item is there, "" for always."""
        return item.when

    def lines(self, items: Sequence[Item], depth: int = 1, flows: str = "flow") -> list[str]:
        """Return the lines of statements, not indented; `flows` is the name of what comes in."""
        found: list[str] = []
        run: list[tuple[Item, str]] = []
        width = LIMIT - len(INDENT) * depth
        last = ""
        for condition, group in groupby(items, self.condition):
            some, before, last = list(group), last, ""
            if condition and self.apart(some):
                found += self.noted(run, width)
                begin = _begins(some[0], condition, before)
                inner = self.lines([item.copy(when="") for item in some], depth + 1, flows)
                found += [begin, *indented(inner)]
                run, last = [], condition if begin != "else:" else ""
                flows = flows if all(item.kind in ASIDE for item in some) else "flow"
                continue
            for item in some:
                if item.kind not in STEPS:
                    found += self.noted(run, width)
                    run = []
                    found += self.statement(item, depth + bool(condition), flows, condition)
                    flows = flows if item.kind in ASIDE else "flow"
                    continue
                text = self.step(item)
                alone = bool(run) and any(map(_is_row, (run[-1][0], item)))
                if (
                    item.source is not None
                    or alone
                    or sum(len(self.step(one)) + 4 for one, _ in run) + len(text) > width
                ):
                    found += self.noted(run, width)
                    run = []
                run.append((item, condition))
                flows = "flow"
        return found + self.noted(run, width)

    @staticmethod
    def apart(items: Sequence[Item]) -> bool:
        """Tell whether items of one condition have lines of their own, as what does not go on with what flows."""
        lines = [item for item in items if item.kind not in STEPS]
        return any(item.source is not None for item in items) or any(
            len(items) > 1 or item.kind != "box" for item in lines
        )

    def chained(self, run: Sequence[tuple[Item, str]], width: int) -> list[str]:
        """Return steps as a line, or as several where some of them are there under a condition."""
        if not run:
            return []
        conditions = {condition for _, condition in run}
        source = _from(run[0][0].source)
        if conditions == {""}:
            if len(run) == 1 and run[0][0].label and run[0][0].kind == "call":
                return [f"{run[0][0].label}: {source}{self.call(run[0][0])}"]
            return [source + self.chain([item for item, _ in run])]
        if len(run) == 1 and run[0][0].label and run[0][0].kind == "call":
            item, condition = run[0]
            return [f"{item.label}: {source}{self.call(item)} when {condition}"]
        return [source + self.chain([item for item, _ in run])]

    def noted(self, run: Sequence[tuple[Item, str]], width: int) -> list[str]:
        """Return steps as lines, with what they make where that is a smaller map."""
        lines = self.chained(run, width)
        return [*lines[:-1], _noted(lines[-1], [item for item, _ in run], width)] if lines else []

    def chain(self, items: Iterable[Item]) -> str:
        """Return steps in one line."""
        texts: list[str] = []
        for condition, group in groupby(items, self.condition):
            part = " -> ".join([self.step(item) for item in group])
            texts.append(f"[{part} when {condition}]" if condition else part)
        return " -> ".join(texts)

    def step(self, item: Item) -> str:
        """Return a step as it stands in a line."""
        if item.kind == "call":
            return f"{self.call(item)} as {item.label}" if item.label else self.call(item)
        if item.kind == "same":
            return f"same {item.name}"
        if item.kind == "repeat":
            (step,) = item.kids
            return f"{item.name or item.values['count'][0]} * {self.step(step)}"
        if item.kind == "either":
            one, two = map(self.call, item.kids)
            if " " in one + two:
                raise NotLaidOut("arguments of a choice")
            return f"({one} if {item.name} else {two}) as {item.label}"
        if item.kind == "box":
            inner = f"({_from(item.source)}{self.inside(item.kids)})"
            return f"{inner} as {item.label}" if item.label else inner
        if item.kind == "joint":
            branches = [self.branch_inline(kid) for kid in item.kids]
            return f"({' | '.join(branches)}) -> {item.name}"
        raise NotLaidOut(item.kind)

    def inside(self, items: Sequence[Item]) -> str:
        """Return the steps of a container in one line."""
        if any(item.source is not None for item in items[1:]):
            raise NotLaidOut("a second chain in a line")
        if items and items[0].kind == "from":
            raise NotLaidOut("a source only")
        return _from(items[0].source if items else None) + self.chain(
            [items[0].copy(source=None), *items[1:]] if items[0].kind != "joint" else items
        )

    def branch_inline(self, item: Item) -> str:
        """Return a branch of a fork in one line."""
        condition = self.condition(item)
        if condition:
            raise NotLaidOut("a condition of a branch")
        if not item.kids:
            return _from(item.source or ("flow",)).removesuffix(" -> ")
        (first, *others) = item.kids
        if not others and first.kind in ("call", "box") and first.label and not self.condition(first):
            inner = self.call(first) if first.kind == "call" else self.boxed(first)
            return f"{first.label}: {_from(first.source)}{inner}"
        return _from(first.source) + self.chain([first.copy(source=None), *others])

    def boxed(self, item: Item) -> str:
        """Return what stands behind the label of a container in one line."""
        first = item.kids[0]
        inner = self.inside(item.kids)
        if len(item.kids) > 1 or self.condition(first):
            return inner
        if first.kind == "call" and first.source is None:
            return inner if " -> " in inner else f"({inner})"
        if first.kind == "repeat" and first.source is None:
            return inner
        if first.kind == "box" and not first.label and first.source is None:
            return f"({inner})"  # in brackets twice: one pair is the container itself
        raise NotLaidOut("one child")

    # ---------------------------------------------------------------- statements with lines of their own

    def statement(self, item: Item, depth: int, flows: str, condition: str) -> list[str]:
        """Return the lines of an item that is no step of a line."""
        if item.kind == "box":
            line = self.one_line(item, LIMIT - len(INDENT) * depth)
            if line:
                line = f"{line} when {condition}" if condition else line
                return [_noted(line, [item], LIMIT - len(INDENT) * depth)]
        lines = self.whole(item, depth, flows)
        return [_begins(item, condition), *indented(lines)] if condition else lines

    def one_line(self, item: Item, width: int) -> str:
        """Return a container as one line, "" if it needs several."""
        try:
            if item.label:
                line = f"{item.label}: {_from(item.source)}{self.boxed(item)}"
            else:
                line = _from(item.source) + self.step(item.copy(source=None))
        except NotLaidOut:
            return ""
        return line if len(line) <= width or (len(item.kids) > 1 and len(line) < 2 * width) else ""

    def whole(self, item: Item, depth: int, flows: str) -> list[str]:
        """Return the lines of a statement without its condition."""
        kids = item.kids
        match item.kind:
            case "raw":
                return [item.name]
            case "weight":
                return [self.call(item)]
            case "input":
                return [f"input {item.label}" if item.name == "x" else f"input {item.name}: {item.label}"]
            case "from":
                return [_from(item.source).removesuffix(" -> ")]
            case "name":
                return [f"{', '.join(item.binds)} = from flow"]
            case "bind" | "given":
                source = _from(item.source or ("flow",))
                if not kids:
                    return [f"{', '.join(item.binds)} = {source.removesuffix(' -> ')}"]
                if len(kids) == 1 and kids[0].kind == "joint":
                    return [
                        f"{item.binds[0]} = {kids[0].name}:",
                        *indented(self.branches(kids[0].kids, depth + 1, flows)),
                    ]
                return [f"{', '.join(item.binds)} = {source}{self.chain(kids)}"]
            case "return":
                named = [
                    f"{one} as {name}" if name and name != _result_name(one) else one
                    for one, name in zip(item.source[:1], item.binds[:1], strict=True)
                ]
                others = item.source[1:] or item.binds[1:]
                return [f"return {', '.join([*named, *others])}"]
            case "output":
                chain = [_from(item.source).removesuffix(" -> ")] if item.source is not None else []
                chain += [self.chain(kids)] if kids else []
                return [f"{item.name} {item.label}: {' -> '.join(chain)}"]
            case "stage":
                lines = self.lines(kids, depth + 1, flows)
                steps = all(kid.kind in ("call", "same", "repeat") and kid.source is None for kid in kids)
                if len(lines) == 1 and steps:
                    line = f"stage {item.name}: {self.chain(kids)}"
                    return [_noted(line, kids, LIMIT - len(INDENT) * depth)]
                return [f"stage {item.name}:", *indented(lines)]
            case "loop":
                begin = [_from(item.source).removesuffix(" -> ")] if item.source is not None else []
                return [*begin, f"for {item.name}:", *indented(self.lines(kids, depth + 1, "flow"))]
            case "box":
                lines = self.lines(kids, depth + 1, "flow")
                begin = [_from(item.source).removesuffix(" -> ")] if item.source is not None else []
                return [f"{item.label or '()'}:", *indented([*begin, *lines])]
            case "joint":
                return [f"{item.name}:", *indented(self.branches(kids, depth + 1, flows))]
        raise NotLaidOut(item.kind)

    def branches(self, items: Sequence[Item], depth: int, flows: str) -> list[str]:
        """Return the branches of a joint, a statement each."""
        found: list[str] = []
        for condition, group in groupby(items, self.condition):
            first, *others = group
            lines = []
            for item in (first, *others):
                if item.kind == "turns":
                    inner = self.branches(item.kids, depth + bool(condition) + 1, flows)
                    lines += [f"for {item.name}:", *indented(inner)]
                else:
                    lines += self.branch(item, depth + bool(condition), flows)
            found += [_begins(first, condition), *indented(lines)] if condition else lines
        return found

    def branch(self, item: Item, depth: int, flows: str) -> list[str]:
        """Return one branch of a joint."""
        kids = item.kids
        if not kids:
            return [_from(item.source or (flows,)).removesuffix(" -> ")]
        if item.source is not None and len(kids) == 1 and self.condition(kids[0]):
            lines = self.statement(kids[0].copy(source=item.source, when=""), depth + 1, flows, "")
            plain = _from(item.source).removesuffix(" -> ")
            return [f"if {self.condition(kids[0])}:", *indented(lines), "else:", INDENT + plain]
        if item.source is not None:
            return [_from(item.source) + self.chain(kids)]
        if len(kids) > 1:
            first, *others = kids
            return [_from(first.source) + self.chain([first.copy(source=None), *others])]
        (kid,) = kids
        condition = self.condition(kid)
        if kid.kind in STEPS:
            return self.chained([(kid, condition)], LIMIT)
        if condition and not (kid.kind == "box" and self.one_line(kid, LIMIT * 2)):
            lines = self.whole(kid.copy(when=""), depth + 1, flows)
            return [f"if {condition}:", *indented(lines), "else:", *indented([f"from {flows}"])]
        return self.statement(kid, depth, flows, condition)


def _noted(line: str, items: Sequence[Item], width: int) -> str:
    """Return a line with what its last step makes, where one of them makes a map smaller and there is room."""
    note = f"{line}  # {items[-1].shape}"
    return note if items[-1].shape and any(one.shrinks for one in items) and len(note) <= width else line


def _begins(item: Item, condition: str, before: str = "") -> str:
    """Return the line before what is there under a condition; another one stands `before` it."""
    opposite = item.other or (before and condition == negated(before))
    return "else:" if opposite else f"if {condition}:"


def _result_name(value: str) -> str:
    """Return what a net's result is called that `return` gives no other name."""
    return value if value.isidentifier() and value not in ("flow", "x") else "out"


def _from(source: Sequence[str] | None) -> str:
    return f"from {', '.join(source)} -> " if source is not None else ""


def _is_row(item: Item) -> bool:
    """Tell whether a call has a label and so many arguments that a line of its own is like a row of a table."""
    return item.kind == "call" and bool(item.label) and len(item.values) >= ROW


def indented(lines: Iterable[str]) -> list[str]:
    """Return lines a level deeper."""
    return [INDENT + line for line in lines]
