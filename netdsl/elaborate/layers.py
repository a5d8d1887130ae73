"""Layers to nodes: which op a name is, what its arguments are, what shapes it makes, what it is called."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate, count, islice, repeat
from math import prod
from typing import Any, Literal

from netdsl.diagnostics import Argument, Diagnostic, Frame, Label, did_you_mean
from netdsl.elaborate.arguments import (
    Param,
    bind,
    check_allowed,
    coerce,
    completed,
    declared_parameters,
    merge,
    op_parameters,
    parameters,
    required,
    takes,
)
from netdsl.elaborate.draft import Call, Draft, DraftScope, Made, Place
from netdsl.elaborate.evaluate import Evaluator
from netdsl.elaborate.inits import deeper
from netdsl.elaborate.names import allowed_key, lists_of, reserved_key
from netdsl.elaborate.order import UNREAD, child_labels
from netdsl.elaborate.result import Allow, Decision
from netdsl.elaborate.values import (
    MISSING,
    POISON,
    Answer,
    ArgumentOp,
    BlockDecl,
    Choice,
    Data,
    Declared,
    Env,
    FileScope,
    Given,
    OpValue,
    Poisoned,
    Ramp,
    SpecError,
    Wire,
    fail,
    holds_ramp,
    kind_of,
    op_elsewhere,
    show,
    unknown,
)
from netdsl.ir.types import MAX_ELEMENTS, Shape
from netdsl.ops import Op, OpError, catalogue, installed
from netdsl.ops.source import Input
from netdsl.source import Source, Span
from netdsl.syntax import tree
from netdsl.syntax.tokens import MAX_ERRORS

JOINTS = ("add", "mul", "concat")
NOTHING: Mapping[str, Given] = {}
POSITIONS, DIGITS = "#", '"'
"""What a scope takes, besides names, whose steps are called by their positions, or have labels of digits."""
MAX_REPEATED = 200
"""How often errors are met again before the rest is left."""
MAX_VALUES = 10_000
"""The most values that flow as a tuple."""
STEPS = 30
"""The most steps of evaluation for each op that a net may have."""
MAX_RECURSION = 16
"""How deep a block may be in itself."""


_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
OF_VALUES = frozenset("E203 E206 E207 E208 E209 E212 E213 E301 E304".split())
"""Errors that another value of an argument may not have."""
_OF_IMAGE = re.compile(r"\bx\.")
"""A size of `x`, which in a net is that of its input, and not of what flows."""
_SHORTCUT = re.compile(r"((?:[^:\n]+: )?identity) when (.+)")
"""A branch that is what comes in whether its `when` holds or not."""


class LeftOut(str):
    """The name of a branch that is what comes in, since its condition does not hold."""

    span: Span

    def __new__(cls, name: str, span: Span) -> LeftOut:
        """Say so behind the name."""
        self = super().__new__(
            cls, f"{name or 'this branch'}, which is what comes in where its `when` is false,"
        )
        self.span = span
        return self


class Large(Exception):
    """A tensor of too many elements."""

    def __init__(self, elements: int) -> None:
        """Say how many."""
        super().__init__(elements)
        self.elements = elements


class Layers(ABC):
    """The nodes and scopes of one elaboration, and how a layer adds to them. A walker runs the bodies."""

    def __init__(self, settings: Mapping[str, Any], max_nodes: int) -> None:
        """`settings` are values by parameter or decision."""
        self.settings = settings
        self.max_nodes = max_nodes
        self.evaluator = Evaluator(STEPS * max_nodes, self.decide)
        self.errors: list[Diagnostic] = []
        self.repeated = 0
        """How often an error was met again."""
        self.drafts: list[Draft] = []
        self.scopes: list[DraftScope] = []
        self.decisions: dict[str, Decision] = {}
        self.deciding: dict[tuple[str, str], dict[str, int | None]] = {}
        """By the name of a block and the labels of a call, the decisions in it, called as there."""
        self.allows: dict[Span, Allow] = {}
        self.given: set[tuple[Declared, str]] = set()
        """The parameters that any call gives."""
        self._seen: set[tuple[str, Source | None, int]] = set()
        self._owners: dict[str, tuple[Any, ...]] = {}
        self._active: list[tuple[BlockDecl, dict[str, Any], tuple[Shape, ...]]] = []
        """The blocks that are being built, each within the one before: with what they are given."""
        self._files: set[FileScope] = set()
        self._labels: dict[int, tuple[tree.Body, frozenset[str], tuple[str, ...]]] = {}
        """By the id of a scope's text, which is kept, its labels: names, and regular expressions."""
        self._deciding: tuple[str, Place]
        self._making: Made | None = None
        """What the next layer is, that is made or runs again."""
        self._again: Made | None = None
        """The module that runs again."""

    @abstractmethod
    def body(self, body: tree.Body, place: Place) -> Data | None:
        """Run statements; return the flow after them."""

    @abstractmethod
    def scope_body(self, body: tree.Body, place: Place) -> Data | None:
        """Run the statements of a scope; return the flow after them."""

    @abstractmethod
    def enter_file(self, file: FileScope) -> None:
        """Take note of what a file says besides its declarations, once."""

    def record(self, diagnostic: Diagnostic, place: Place) -> None:
        """Keep an error, once however many instances meet it."""
        span = diagnostic.span
        key = (diagnostic.code, span.source if span else None, span.start if span else 0)
        if key in self._seen:
            self.repeated += 1
        else:
            self._seen.add(key)
            diagnostic = diagnostic.replace(calls=diagnostic.calls or place.calls)
            labels = (*diagnostic.labels, *given_at(diagnostic, place))
            self.errors.append(diagnostic.replace(labels=labels))

    @property
    def hopeless(self) -> bool:
        """Whether enough is said of what is wrong: of many things, or of one in many turns and instances."""
        return len(self.errors) >= MAX_ERRORS or self.repeated >= MAX_REPEATED

    # ---------------------------------------------------------------- decisions

    def at(self, place: Place, label: str = "") -> None:
        """Say where the decisions met from now on are: their names begin with the labels around them."""
        labels = place.scope.labels
        self._deciding = f"{labels}.{label}" if labels and label else labels or label, place

    def decide(self, choice: Choice, name: str) -> Any:
        """Return what a decision takes; an open one takes its first option until all are reported."""
        if any(isinstance(option, Choice) for option in choice.options):
            raise fail("E217", "a choose in a choose: write one with all options", choice.span)
        options = tuple(show(option).strip('"') for option in choice.options)
        return choice.options[self.decision(name, options, choice.node, choice.span, choice.options)]

    def decision(
        self, name: str, options: tuple[str, ...], node: tree.Tree, span: Span, values: tuple[Any, ...] = ()
    ) -> int:
        """Return the index of the option that a decision takes, and note it.

        It is one decision for a line and turn of the loops around, shared by the copies of a repetition.
        """
        prefix, place = self._deciding
        full = f"{prefix}.{name}" if prefix else name
        owner = (node.start, span.source, place.turns, *(frame.span for frame in place.calls))
        known = self.decisions.get(full)
        if known is not None:
            if self._owners[full] != owner and self._again is None:
                labels = (Label(known.span, "the first is here"),)
                help = "put a label around one"
                raise fail("E217", f"two decisions are called `{full}`", span, help, labels=labels)
            return known.chosen or 0
        chosen = self.option(full, options, values, span)
        self.decisions[full] = Decision(full, options, chosen, span)
        scope: DraftScope | None = place.scope
        while scope is not None:
            if scope.kind == "block":
                own = full.removeprefix(f"{scope.labels}.") if scope.labels else full
                self.deciding.setdefault((scope.block, scope.labels), {})[own] = chosen
            scope = scope.outer
        self._owners[full] = owner
        return chosen or 0

    def option(self, full: str, options: tuple[str, ...], values: tuple[Any, ...], span: Span) -> int | None:
        """Return the index of the option that is given for a decision, or None if it is open.

        It is given by its text, by its value, or as it was decided before.

        In the text of a variant an option may be written in any way that has its value.
        """
        if full not in self.settings:
            return None
        given = self.settings[full]
        if isinstance(given, Decision) and given.chosen is not None:
            return given.chosen
        value = given.text if isinstance(given, Answer) else given
        if isinstance(given, Answer) and value not in options:
            value = self.answered(given)
        text = value if isinstance(value, str) else show(value)
        if text in options:
            return options.index(text)
        for index, one in enumerate(values):
            if one == value and (type(one) is bool) == (type(value) is bool):
                return index
        what = f"{full} must be one of {', '.join(options)}, got {text}"
        if not isinstance(given, Answer):
            raise fail("E504", what, span)
        labels = (Label(span, "it is decided here"),)
        raise fail("E228", what, given.option, did_you_mean(text, list(options)), labels=labels)

    def answered(self, answer: Answer) -> Any:
        """Return the value of an option in the text of a variant; its text where that is no value."""
        node, file = answer.node.value, answer.file
        try:
            return self.evaluator.eval(node, file.env, file.source)
        except SpecError as error:
            if error.diagnostic.code not in ("E200", "E201"):
                raise
            return answer.text

    # ---------------------------------------------------------------- scopes and names

    def open(
        self,
        kind: Literal["block", "container"],
        label: tree.Label | None,
        span: Span,
        entry: tuple[Wire, ...],
        place: Place,
        block: str = "",
    ) -> DraftScope:
        """Begin a scope."""
        outer = place.scope
        name = self.child(place, label, span)
        own = name if label is None else self.evaluator.text(label, place.env, place.source)
        labels = outer.labels_of(own, label is not None)
        scope = DraftScope(kind, outer.join(name), span, block, labels, label is not None)
        scope.put(outer, name, own)
        scope.entry = entry
        scope.begin = len(self.drafts)
        scope.calls = place.calls
        outer.drafts.append(scope)
        self.scopes.append(scope)
        if len(self.scopes) > self.max_nodes:
            raise fail("E213", f"the net has more than {self.max_nodes:,} modules", span)
        return scope

    def close(self, scope: DraftScope, result: Data | None) -> None:
        """End a scope."""
        scope.end = len(self.drafts)
        scope.exit = result.wires if result is not None else ()

    def child(self, place: Place, label: tree.Label | str | None, span: Span, op: Op | None = None) -> str:
        """Return the name of a new child of the scope: its label, or its position.

        An op without state whose label an equal one has is that module again, with a name of its own: `relu_1`.
        """
        scope = place.scope
        if label is None:
            name = str(scope.position)
            if name in scope.taken:  # by a label of digits
                name = next(str(n) for n in count(scope.position) if str(n) not in scope.taken)
            self.digits(scope, span, POSITIONS, DIGITS)
        else:
            name = label if isinstance(label, str) else self.evaluator.text(label, place.env, place.source)
            at = span if isinstance(label, str) else place.span(label)
            self.check_key(name, at)
            self.enter_lists(scope, name, at)
            first = scope.taken.get(name)
            if name in scope.entering:
                help = f"choose another label, such as {name}1"
                raise fail("E220", f"`{name}` is what comes in", at, help)
            running = self.is_running(scope)
            if first is not None and (running or (op is not None and self.is_again(scope, name, op))):
                own = self.name_again(scope, name, running)
                scope.taken[own] = at
                scope.position += 1
                return own
            if first is not None:
                where = f" of {scope.block or scope.path}" if scope.block or scope.path else ""
                labels = () if first.start == at.start else (Label(first, "the first is here"),)
                help = "" if labels else "number the copies: name{i}, in a loop"
                raise fail("E220", f"two modules{where} are called `{name}`", at, help, labels=labels)
            span = at
            if name.isdigit():
                self.digits(scope, span, DIGITS, POSITIONS)
            if op is not None and not has_state(op):
                scope.shared[name] = self.identity_of(op)
        scope.position += 1
        scope.taken[name] = span
        return name

    def name_again(self, scope: DraftScope, name: str, running: bool) -> str:
        """Return a name for a module that is run again: `relu_1`; `a__1` where the text calls others `a_{i}`."""
        first, last = scope.numbers.get(name, ("_", 1))
        if f"{name}{first}{last}" not in scope.taken:  # it is the first, or was taken back
            first, last = "_", 1
        plain, patterns = self.labels_in(scope.body) if running else ((), ())
        patterns = tuple(one for one in patterns if one != UNREAD)
        for between in accumulate(repeat("_"), initial=first):
            free = (n for n in count(last) if f"{name}{between}{n}" not in scope.taken)
            for number in islice(free, len(plain) + 1):
                own = f"{name}{between}{number}"
                if own not in plain and not any(re.fullmatch(one, own) for one in patterns):
                    scope.numbers[name] = between, number
                    return own
        raise AssertionError("no text has endless labels")

    @staticmethod
    def check_key(name: str, span: Span) -> None:
        """Reject a label that cannot be a key of a state_dict."""
        why = reserved_key(name)
        if why:
            raise fail("E219", f"`{name}` {why}", span, f"choose another label, such as {allowed_key(name)}")

    @staticmethod
    def enter_lists(scope: DraftScope, name: str, span: Span) -> None:
        """Begin the lists that a label names first; what is a list is no module, and the other way round."""
        for one in (*lists_of(name), name):
            if one in scope.taken and (one in scope.lists) == (one == name):
                what = f"`{one}` is a module, and a list of modules"
                labels = (Label(scope.taken[one], "the other is here"),)
                raise fail("E220", what, span, "call one of them otherwise", labels=labels)
        for one in lists_of(name):
            scope.taken.setdefault(one, span)
            scope.lists.add(one)

    @staticmethod
    def digits(scope: DraftScope, span: Span, kind: str, other: str) -> None:
        """Refuse labels like `"0"` in a chain with steps without a label, whose keys are their positions."""
        if scope.kind == "container" and other in scope.taken:
            what = "a label of digits in a chain with steps that are called by their positions"
            labels = (Label(scope.taken[other], "the other is here"),)
            raise fail("E220", what, span, "give all of them labels, or none", labels=labels)
        scope.taken.setdefault(kind, span)

    def is_again(self, scope: DraftScope, name: str, op: Op) -> bool:
        """Tell whether an op is the module that has its label already."""
        return not has_state(op) and scope.shared.get(name) == self.identity_of(op)

    def elements(self, shape: Iterable[int]) -> int:
        """Return how many numbers a tensor of a shape holds."""
        return prod(shape)

    def identity_of(self, op: Op) -> Any:
        """Return what two ops have in common that are one module."""
        return op

    def bind_parameters(
        self,
        declared: Declared,
        params: Mapping[str, Param],
        given: Mapping[str, Given],
        place: Place,
        span: Span,
    ) -> None:
        """Put parameters into the place's names, evaluating defaults in order."""
        env, args, what = place.env, place.scope.args, declared.name
        for name, param in params.items():
            if name in given:
                value = given[name].value
            elif param.default is MISSING:
                raise fail("E204", f"{what} needs `{name}`", span, f"{name} is {param.describe()}")
            else:
                node: tree.Expr = param.default
                value = self.evaluator.eval(node, env, place.source)
                if isinstance(value, Choice):
                    self.at(place)
                    value = self.decide(value, name)
                if not takes(param.types, value):
                    message = f"{what}: {name} must be {param.describe()}, got {show(value)}"
                    raise fail("E203", message, place.span(node))
                value = coerce(value, param.types)
                check_allowed(self.evaluator, param, Given(value, place.span(node)), what)
            if holds_ramp(value):
                at = given[name].span if name in given else place.span(param.default)
                raise self.no_schedule(declared, name, at or span)
            args[name] = value
            if name in given:
                self.given.add((declared, name))
            if isinstance(value, OpValue) and not (isinstance(declared, BlockDecl) and declared.node.inline):
                value = ArgumentOp(value.target, value.args, (declared, name))
            env.names[name] = value

    def without_braces(self, label: tree.Label, place: Place) -> tree.Name:
        """Return a label with its braces filled in."""
        if isinstance(label, tree.Name):
            return label
        return tree.Name(label.start, label.end, self.evaluator.text(label, place.env, place.source))

    @staticmethod
    def no_schedule(declared: Declared, name: str, span: Span) -> SpecError:
        """Return the error for a schedule that no layer or block takes as one of its numbers."""
        what = f"{declared.name}: {name} cannot hold a ramp, which counts the layers and blocks that it is given to"
        if isinstance(declared, BlockDecl):
            return fail(
                "E216", what, span, "write the ramp where the layer or block is that takes a number of it"
            )
        return fail("E216", what, span, f"give the net a number, and write ramp(0, {name}) in its text")

    # ---------------------------------------------------------------- layers

    def op(self, name: tree.Name, place: Place, node: tree.Tree) -> OpValue:
        """Return the op or block of a name, or that of a choice."""
        if isinstance(name, tree.Chosen):
            return self.chosen_op(self.evaluator.eval(name.value, place.env, place.source), place.span(name))
        value = place.env.find_name(name.text)
        if isinstance(value, OpValue):
            return value
        span = place.span(name)
        if value is MISSING:
            other = op_elsewhere(name.text, span)
            if other is not None:
                return other
            if place.env.partial:
                raise Poisoned
            raise self.unknown_op(name, place, node)
        if isinstance(value, Data):
            raise Poisoned
        if value is None:
            help = f"make the step optional: [{name.text} when {name.text}]"
            raise fail("E201", f"`{name.text}` is none here", span, help)
        raise fail("E201", f"`{name.text}` is {kind_of(value)}, not an op", span)

    @staticmethod
    def chosen_op(value: Any, span: Span) -> OpValue:
        """Return an op or block that a condition decides."""
        if not isinstance(value, OpValue):
            what = "none here" if value is None else f"{kind_of(value)}, not an op"
            raise fail("E201", f"`{span.text}` is {what}", span)
        return value

    def unknown_op(self, name: tree.Name, place: Place, node: tree.Tree) -> SpecError:
        """Return the error for an op that nobody knows: `conv3-64` is how papers write it."""
        word, span, env = name.text, place.span(name), place.env
        if env.find_tensor(word) is not None:
            line = span.source.line(span.line).partition("#")[0]
            before, rest = line[: span.column - 1].strip(), line[span.column - 1 :].strip()
            begins = not before or before.endswith((":", "=", "("))
            help = f"take it with: from {rest}" if begins else f"take it with: from {word} -> ..."
            return fail("E201", f"`{word}` is a value, not an op", span, help)
        base = word.rstrip("0123456789")
        digits, text = word[len(base) :], place.span(node).text
        if digits and isinstance(env.find_name(base), OpValue):
            rest = text[len(word) :].lstrip(" -,")
            what = f"unknown op `{word}`" + (f" in `{text}`" if rest else "")
            return fail("E201", what, span, f"{base} {digits}x{digits}" + (f", {rest}" if rest else ""))
        from netdsl.elaborate.elsewhere import instead, said  # only errors need it

        ops = [n for n in env.known() if isinstance(env.find_name(n), OpValue)]
        own = word.lower() in map(str.lower, ops)
        help = "" if own else said(word, text) or instead(word, text)
        if help:
            return fail("E201", f"unknown op `{word}`", span, help)
        return unknown("E201", "op", word, [*ops, *installed()], span)

    def check_layer(self, node: tree.Layer, place: Place) -> tuple[OpValue, Mapping[str, Given]] | None:
        """Return an op or block with its own arguments, though the value that flows is unknown; None for a joint."""
        if node.op.text in (*JOINTS, "fork", "choose"):
            return None
        value = self.op(node.op, place, node)
        self.at(place)
        params = parameters(value)
        return value, bind(self.evaluator, params, node.args, place.env, place.source, value.name, place.copy)

    def layer(self, node: tree.Layer, data: Data, place: Place, label: tree.Label | None) -> Data:
        """Run `op args`; the label is what it is called."""
        name = node.op.text
        if name in JOINTS:
            if not node.args and len(data.wires) < 2:
                return data
            op = catalogue()[name]
            try:
                return self.apply(OpValue(op, {}), node, data, place, None)
            except SpecError as error:
                raise self.mismatch(error, op(), data, [""] * len(data.wires), place.scope.begin) from None
        if name in ("fork", "choose"):
            what = f"`{name}` is a line of its own: {name}: and one branch a line"
            raise fail("E225", what, place.span(node))
        value = self.op(node.op, place, node)
        if label is None:
            return self.apply(value, node, data, place, label)
        named = self.without_braces(label, place)
        text = named.text
        made = self._making = Made(value, node, named, place)
        made.values, made.under = len(data.wires), self.under_what()
        mark = self.mark()
        result = self.apply(value, node, data, place, label)
        made.parts = self.put_since(mark, place)
        place.scope.made.setdefault(text, made)
        return result

    def apply(
        self,
        value: OpValue,
        node: tree.Layer,
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        own_arguments: bool = True,
    ) -> Data:
        """Apply an op or block, with its arguments from the defaults, the value, and the layer."""
        target = value.target
        args = node.args if own_arguments else ()
        text = label if isinstance(label, str) else ""
        if label is not None and not text and not isinstance(label, str):
            text = self.evaluator.text(label, place.env, place.source)
        given: Mapping[str, Given] = NOTHING
        made, self._making = self._making, None
        if made is not None and made.given is not None:
            given = made.given
        elif args:
            self.at(place, text)
            params = parameters(value)
            given = bind(self.evaluator, params, args, place.env, place.source, target.name, place.copy)
        if made is not None:
            made.given = given
        if place.broken and not place.broken.isdisjoint((target.name, getattr(target, "inherits", ""))):
            raise Poisoned
        if isinstance(target, BlockDecl):
            if isinstance(label, str):
                label = tree.Name(node.start, node.end, label)
            block_label = None if label is None else self.without_braces(label, place)
            return self.block(target, value, node, given, data, place, block_label)
        return self.primitive(target, value, node, given, data, place, label, text)

    def primitive(
        self,
        target: type[Op],
        value: OpValue,
        node: tree.Layer,
        given: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | str | None,
        text: str,
    ) -> Data:
        """Apply a primitive op; its norm and act follow it as ops of their own."""
        params = op_parameters(target)
        merged: dict[str, Given] = {}
        if target.inherits in place.defaults:
            merged = {k: g for k, g in place.defaults[target.inherits].items() if k in params}
        merged.update(place.defaults.get(target.name, NOTHING))
        merged.update(value.args)
        merged.update(given)
        merged = self.scheduled(merged)
        fields: dict[str, Any] = {}
        extras: dict[str, Given] = {}
        ramps: dict[str, Ramp] = {}
        for name, one in merged.items():
            if name not in target._fields:
                extras[name] = one
            elif isinstance(one.value, Ramp):
                ramps[name] = one.value
                fields[name] = float(one.value.start)
            else:
                fields[name] = one.value
        for name in required(target):
            if name not in fields:
                help = completed(self.missing(params, fields), node.args, target.name, place.source)
                raise fail("E204", f"{target.name} needs {name}", place.span(node), help)
        if "init" in extras and extras["init"].value is not None:
            fields["inits"] = {"weight": extras["init"].value}
        inputs = data
        least, most = target.arity
        if most is not None and len(data.wires) > most - len(target.references):
            raise self.too_many(target.name, most - len(target.references), data, place.span(node))
        for name in target.references:
            if name not in extras and least == most:
                raise fail("E204", f"{target.name} needs {name}=", place.span(node))
            if name not in extras:
                continue
            other = self.single(extras[name].value, extras[name].span or place.span(node))
            inputs = Data((*inputs.wires, *other.wires), (*inputs.shapes, *other.shapes))
        result = self.add(self.made_op(target, fields), inputs, place, node, label, merged, ramps)
        draft = self.drafts[-1]
        draft.argument = value.parameter if isinstance(value, ArgumentOp) else None
        if len(merged) > len(given):
            draft.sources = tuple(
                [(k, g.span) for k, g in merged.items() if k in fields and k not in given and g.span]
            )
        for extra in ("norm", "act"):
            if extra in extras:
                own = None if label is None else f"{text}_{extra}"
                result = self.follow(extras[extra].value, node, result, place, own)
                span = extras[extra].span
                if extra not in given and span is not None and self.drafts[-1] is not draft:
                    draft = self.drafts[-1]
                    draft.sources = (*draft.sources, (extra, span))
        return result

    @staticmethod
    def missing(params: Mapping[str, Param], fields: Mapping[str, Any]) -> dict[str, Param]:
        """Return the parameters without those that are given or need not be."""
        return {n: p for n, p in params.items() if p.default is MISSING and n not in fields}

    def scheduled(self, given: dict[str, Given]) -> dict[str, Given]:
        """Return what a layer or block is given, with its numbers of depth schedules: one of each."""
        found: dict[int, Any] = {}
        for one in given.values():
            if isinstance(one.value, Ramp) and one.value.index is None and one.value.key not in found:
                found[one.value.key] = self.evaluator.numbered(one.value)
        if not found:
            return given
        return {
            name: one._replace(value=found[one.value.key])
            if isinstance(one.value, Ramp) and one.value.key in found
            else one
            for name, one in given.items()
        }

    def follow(
        self, follower: OpValue | None, node: tree.Layer, data: Data, place: Place, label: str | None
    ) -> Data:
        """Apply a layer's norm or activation, if there is one."""
        if follower is None:
            return data
        return self.apply(follower, node, data, place, label, own_arguments=False)

    @staticmethod
    def too_many(name: str, most: int, data: Data, span: Span) -> SpecError:
        """Return the error for more values than an op takes."""
        help = "join them first: -> concat, or -> add; or take one: from flow[0]"
        what = f"{name} takes {_values(most)}, here flows a tuple of {len(data.wires)}"
        return fail("E303", what, span, help)

    def add(
        self,
        op: Op,
        data: Data,
        place: Place,
        node: tree.Tree,
        label: tree.Label | str | None,
        given: Mapping[str, Given],
        ramps: Mapping[str, Ramp],
    ) -> Data:
        """Add a node: check the inputs, infer the shapes, take a name."""
        wires, shapes = data.wires, data.shapes
        span = place.span(node)
        least, most = op.arity
        if most is not None and len(wires) > most:
            raise self.too_many(op.name, most, data, span)
        if len(wires) < least:
            raise fail("E303", f"{op.name} takes {least} values, got {len(wires)}", span)
        if len(self.drafts) >= self.max_nodes:
            help = "--max-nodes raises the limit, in Python max_nodes="
            raise fail("E213", f"the net has more than {self.max_nodes:,} ops", span, help)
        try:
            outputs = self.inferred(op, shapes)
        except OpError as error:
            raise self.op_error(error, op, shapes, span, given) from None
        except Large as error:
            what = f"{op.name}: a tensor of {error.elements:,} elements is more than {MAX_ELEMENTS:,}"
            raise fail("E304", what, span) from None
        self.evaluator.spend(len(wires) + len(outputs), node, place.source)
        if not op.wiring:
            key = self.child(place, label, span, op)
        elif isinstance(label, str):  # an input: it has a name, but is no module and takes no position
            key = label
            place.scope.taken.setdefault(key, span)
            if isinstance(op, Input):
                place.scope.entering.add(key)
        else:
            key = ""
        index = len(self.drafts)
        draft = Draft(index, op, wires, outputs, span, place, key, label is not None, ramps)
        self.drafts.append(draft)
        if not any(map(self.batched, wires)):
            if wires and not op.batchless:
                raise self.no_sample(f"{op.name} reads", span)
            draft.shared = op.batchless
        if key and label is not None:
            own = label if isinstance(label, str) else self.evaluator.text(label, place.env, place.source)
            if own != key:
                draft.module = own
        place.scope.drafts.append(index)
        return Data(draft.results, outputs)

    def batched(self, wire: Wire) -> bool:
        """Tell whether a value has an axis for samples: not what some ops make of learned tensors alone."""
        return not self.drafts[wire.draft].shared

    @staticmethod
    def no_sample(what: str, span: Span) -> SpecError:
        """Return the error for learned tensors alone in the place of what comes from an input."""
        message = f"{what} what is made of learned tensors alone, which has no axis for samples"
        return fail("E306", message, span, "join it with what comes from the input: add, mul or concat")

    def made_op(self, target: type[Op], fields: Mapping[str, Any]) -> Op:
        """Return an op with these arguments."""
        return target(**fields)

    def inferred(self, op: Op, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return what an op makes of values; raise OpError if it cannot take them, Large if a tensor would be."""
        outputs = op.outputs(*shapes)
        for shape in (*outputs, *op.weights(*shapes).values()):
            elements = self.elements(shape)
            if elements > MAX_ELEMENTS:
                raise Large(elements)
        return outputs

    @staticmethod
    def op_error(
        error: OpError, op: Op, shapes: tuple[Shape, ...], span: Span, given: Mapping[str, Given]
    ) -> SpecError:
        """Return an op's complaint at the argument to blame, if the layer itself gave it."""
        blamed = given.get(error.field)
        at = blamed.span if blamed is not None else None
        inside = at is not None and at.source is span.source and span.start <= at.start <= span.end
        message = error.message if error.message.startswith(op.name) else f"{op.name}: {error.message}"
        where = " and ".join(map(str, shapes))
        about_field = error.field in op._fields and where and where not in error.message
        note = f"the input is {where}" if about_field else ""
        code = "E302" if op.name in JOINTS else "E301"
        return fail(code, message, at if inside else span, error.help, note)

    def join(self, joint: tree.Name, values: list[Data], names: list[str], place: Place, begin: int) -> Data:
        """Return the joint of branches; of one branch, that branch."""
        if len(values) == 1:
            return values[0]
        data = Data(tuple(v.wires[0] for v in values), tuple(v.shapes[0] for v in values))
        if joint.text == "fork":
            return data
        if joint.text in place.broken:
            raise Poisoned
        defaults = place.defaults.get(joint.text, {})
        op = self.made_op(catalogue()[joint.text], {k: g.value for k, g in defaults.items()})
        try:
            joined = self.add(op, data, place, joint, None, {}, {})
        except SpecError as error:
            raise self.mismatch(error, op, data, names, begin) from None
        self.drafts[-1].sources = tuple([(k, g.span) for k, g in defaults.items() if g.span])
        return joined

    def mismatch(self, error: SpecError, op: Op, data: Data, names: list[str], begin: int) -> SpecError:
        """Say which branches differ, each at the layer that gave it its shape."""
        diagnostic = error.diagnostic
        if diagnostic.code != "E302":
            return error
        whole = next((i for i, name in enumerate(names) if not isinstance(name, LeftOut)), 0)
        first = data.shapes[whole]
        odd = next((i for i, shape in enumerate(data.shapes) if shape != first), len(data.shapes) - 1)
        single = self.of_one_channel(op, data.shapes)
        odd = single if single is not None else odd
        spans = [
            name.span if isinstance(name, LeftOut) else self.origin(wire, begin)
            for name, wire in zip(names, data.wires, strict=True)
        ]
        labels = tuple(
            Label(spans[i], str(data.shapes[i]))
            for i in range(len(spans))
            if i != odd and spans[i] != spans[odd]
        )
        help, shape = diagnostic.help, data.shapes[odd]
        if single is not None:
            many = max(s.c for s in data.shapes)
            help = f"{names[odd] or 'this branch'} has one channel: `-> expand {many}` makes it {many}"
        elif "c" in shape.axes and shape.with_size("c", first.c) == first and not help:
            help = f"{names[odd] or 'this branch'} needs {first.c} channels"
        elif shape.axes == first.axes == "chw" and shape[0] == first[0] and not help:
            wanted = "x".join(map(str, first[1:]))
            help = f"{names[odd] or 'this branch'} needs the size {wanted}; look at the strides"
        span = spans[odd]
        shortcut = _SHORTCUT.match(span.text) if isinstance(names[odd], LeftOut) else None
        if shortcut is not None:
            help = f"to leave the branch out: if {shortcut[2]}: {shortcut[1]}"
        return SpecError(diagnostic.replace(span=span, note=str(shape), labels=labels[:3], help=help))

    def of_one_channel(self, op: Op, shapes: tuple[Shape, ...]) -> int | None:
        """Return which value a joint would take if its one channel were as many as the others have."""
        odd = [i for i, shape in enumerate(shapes) if "c" in shape.axes and shape.c == 1]
        many = max((shape.c for shape in shapes if "c" in shape.axes), default=1)
        if not odd or many == 1:
            return None
        try:
            self.inferred(
                op, tuple([s.with_size("c", many) if i in odd else s for i, s in enumerate(shapes)])
            )
        except OpError:
            return None
        return odd[0]

    def origin(self, wire: Wire, begin: int) -> Span:
        """Return the place of the last layer that changed a value's shape, not further back than `begin`."""
        draft = self.drafts[wire.draft]
        while wire.draft >= begin and len(draft.inputs) == 1 and len(draft.shapes) == 1:
            previous = draft.inputs[0]
            before = self.drafts[previous.draft]
            if previous.draft < begin or before.shapes[previous.port] != draft.shapes[0]:
                break
            wire, draft = previous, before
        return draft.span

    @staticmethod
    def single(data: Data | None, span: Span) -> Data:
        """Return a branch's one value."""
        if data is None:
            raise fail("E223", "nothing flows here yet", span, "begin with: from NAME -> ...")
        if data.poisoned:
            raise Poisoned
        if len(data.wires) != 1:
            help = "take one: from flow[0]; or join them: -> concat"
            raise fail("E303", f"a branch is one value, this is a tuple of {len(data.wires)}", span, help)
        return data

    # ---------------------------------------------------------------- modules that run again

    def again(self, node: tree.Same, data: Data, place: Place) -> Data:
        """`same label`: run an earlier layer or block of the scope once more, with its weights."""
        name, span = self.evaluator.text(node.name, place.env, place.source), place.span(node)
        made = place.scope.made.get(name)
        if made is None:
            raise self.not_made(name, place, span)
        target = made.value.target
        if made.train and not place.train:
            raise fail("E225", f"`{name}` is there in training only", span)
        if not isinstance(target, BlockDecl) and target.references:
            what = f"{target.name} reads another value, and cannot run again"
            raise fail("E226", what, span, f"write it once more: {made.span.text.partition(chr(10))[0]}")
        if len(data.wires) != made.values:
            what = f"`{name}` takes {_values(made.values)}, here flow {len(data.wires)}"
            raise fail("E303", what, span, labels=(Label(made.span, "the first call is here"),))
        outer = place.defaults, place.inits, place.broken, place.calls
        again, ramps = self._again, dict(self.evaluator.ramps)
        place.defaults, place.inits, place.broken = made.defaults, made.inits, made.broken
        place.calls = (Frame(f"same {name}", span), *place.calls)
        self._making, self._again, mark = made, made, self.mark()
        try:
            result = self.apply(made.value, made.node, data, place, made.label)
        except SpecError as error:
            diagnostic = error.diagnostic
            raise SpecError(diagnostic.replace(calls=diagnostic.calls or place.calls)) from None
        finally:
            place.defaults, place.inits, place.broken, place.calls = outer
            self._making, self._again, self.evaluator.ramps = None, again, ramps
        self.agree(made, self.put_since(mark, place), name, place, span)
        return result

    def is_running(self, scope: DraftScope) -> bool:
        """Tell whether it is one of a scope's modules that runs again."""
        return self._again is not None and self._again.scope is scope

    def labels_in(self, body: tree.Body) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the labels in the text of a scope: names, and regular expressions."""
        known = self._labels.get(id(body))
        if known is None:
            every = dict.fromkeys(label.partition(r"\.")[0] for label in child_labels(body))
            plain = frozenset(one for one in every if one.isidentifier())
            known = self._labels[id(body)] = body, plain, tuple(one for one in every if one not in plain)
        return known[1:]

    def not_made(self, name: str, place: Place, span: Span) -> Exception:
        """Return the error for what `same` cannot run."""
        scope, value = place.scope, place.env.find_tensor(name)
        if place.env.unlabelled or (value is not None and value.poisoned):
            return Poisoned()
        outer, where = scope.outer, scope.path or "the net"
        while outer is not None:
            if scope.name == name:
                return fail("E226", f"`{name}` cannot run within itself", span)
            if name in outer.made:
                around = outer.path or "the net"
                what = f"`{name}` is a module of {around}, and {where} runs its own again only"
                help = "run it where it was made, or make a block of what is there"
                labels = (Label(outer.made[name].span, "it is made here"),)
                return fail("E226", what, span, help, labels=labels)
            scope, outer = outer, outer.outer
        if name in place.scope.taken:
            labels = (Label(place.scope.taken[name], "it is here"),)
            what = f"`{name}` is neither a layer nor a block, so it cannot run again"
            return fail("E226", what, span, "make it a block", labels=labels)
        plain, patterns = self.labels_in(place.scope.body)
        if name in plain or any(re.fullmatch(pattern, name) for pattern in patterns):
            return fail("E226", f"`{name}` comes later: its first call makes it", span)
        return unknown("E200", "module", name, list(place.scope.made), span)

    def under_what(self) -> Any:
        """Return the conditions and loops that what is put down now stands under, where these are not known."""
        return ()

    def mark(self) -> int:
        """Return how much has been put down."""
        return len(self.drafts)

    def put_since(self, mark: int, place: Place) -> Any:
        """Return what was put down for a layer or block."""
        last = place.scope.drafts[-1] if place.scope.drafts else None
        if isinstance(last, DraftScope) and last.begin >= mark:
            return range(last.begin, last.end)  # without the copies of what it is given twice
        return range(mark, len(self.drafts))

    def agree(self, made: Made, parts: Any, name: str, place: Place, span: Span) -> None:
        """Demand that a module that ran again is the one that it was."""
        if made.parts is None:
            return
        labels, help = (Label(made.span, "the first call is here"),), ""
        pairs = [(self.drafts[a], self.drafts[b]) for a, b in zip(made.parts, parts, strict=False)]
        what = next((what for first, draft in pairs if (what := self.unlike(first, draft, name))), "")
        if not what and len(made.parts) != len(parts):
            what = f"`{name}` would have another number of ops here: {len(parts)}, not {len(made.parts)}"
            help = "its layers must not depend on what comes in"
        if what:
            raise fail("E226", what, span, help, labels=labels)
        for at, (first, draft) in zip(made.parts, pairs, strict=True):
            draft.original = at if first.original is None else first.original

    def unlike(self, first: Draft, draft: Draft, name: str) -> str:
        """Return why an op of a module that runs again is not the one that it was; "" if it is."""
        shapes = [[self.drafts[w.draft].shapes[w.port] for w in one.inputs] for one in (first, draft)]
        op, other, path = first.op, draft.op, first.scope.join(first.key)
        if type(op) is not type(other) or len(shapes[0]) != len(shapes[1]):
            return f"`{name}` would be another module here: {other.name} where it has {op.name}"
        had, has = (
            {**one.weights(*x), **one.buffers(*x)} for one, x in zip((op, other), shapes, strict=True)
        )
        for key in had | has if had != has else ():
            there, here = ("x".join(map(str, one[key])) if key in one else "nothing" for one in (had, has))
            if here != there:
                weight = f"{path}.{key}" if key else path
                return f"`{name}` would have other weights here: {weight} would be {here}, and is {there}"
        for field, value in op.arguments().items():
            if (own := getattr(other, field)) != value:
                where = f"{op.name} would have {field}={show(own)}, and has {show(value)}"
                return f"`{name}` would be another module here: {where}"
        kinds = [" and ".join(shape.kind for shape in one) for one in shapes]
        return f"{path} takes {kinds[0]}, here flows {kinds[1]}" if had and kinds[0] != kinds[1] else ""

    # ---------------------------------------------------------------- blocks

    def block(
        self,
        decl: BlockDecl,
        value: OpValue,
        node: tree.Layer,
        own: Mapping[str, Given],
        data: Data,
        place: Place,
        label: tree.Label | None,
    ) -> Data:
        """Instantiate a block."""
        span = place.span(node)
        given = self.scheduled(merge(place.defaults.get(decl.name, {}), value.args, own))
        self.check_recursion(decl, given, data, span)
        inputs = [name.text for name in decl.node.inputs]
        if inputs and len(inputs) != len(data.wires):
            takes_ = f"{decl.name} takes {_values(len(inputs))} ({', '.join(inputs)})"
            help = f"for example: from {', '.join(inputs)} -> {span.text}"
            raise fail("E303", f"{takes_}, here flow {len(data.wires)}", span, help)
        self.evaluator.enter(node, place.source)
        self.enter_file(decl.file)
        self._active.append((decl, {name: one.value for name, one in given.items()}, data.shapes))
        try:
            if decl.node.inline:
                args, place.scope.args = place.scope.args, {}  # an inline block's are not its caller's
                try:
                    result = self.inside(Call(decl, given, data, place, place.scope, span))
                finally:
                    place.scope.args = args
            else:
                data = self.distinct(data, place, node) if inputs else data
                scope = self.open("block", label, span, data.wires, place, decl.name)
                scope.input_names = tuple(inputs)
                result = self.inside(Call(decl, given, data, place, scope, span))
                self.close(scope, result)
        finally:
            self._active.pop()
            self.evaluator.depth -= 1
        if result.poisoned:
            raise Poisoned
        return result

    def check_recursion(self, decl: BlockDecl, given: Mapping[str, Given], data: Data, span: Span) -> None:
        """Refuse a block in itself that is given the same, which never ends, or that is too deep in itself."""
        around = [active for active in self._active if active[0] is decl]
        if not around:
            return
        help = f"let a number fall, and end with it: [{decl.name} n - 1 when n > 1]"
        if (decl, {name: one.value for name, one in given.items()}, data.shapes) in around:
            what = f"block {decl.name} contains itself with the same arguments: that has no end"
            raise fail("E211", what, span, help)
        if len(around) > MAX_RECURSION:
            self.evaluator.exhausted = True  # the others would be as deep
            what = f"block {decl.name} is in itself more than {MAX_RECURSION} deep"
            raise fail("E213", what, span, help)

    def inside(self, call: Call) -> Data:
        """Run a block's body."""
        node = call.decl.node
        run = self.body if node.inline else self.scope_body
        return run(node.body, self.enter_block(call)) or POISON

    def enter_block(self, call: Call) -> Place:
        """Return the place in a block, whose parameters are known."""
        decl, given, data, place, scope, span = call
        inner = Place(Env(decl.file.env), data, scope, decl.file.source, decl.defaults, False)
        inner.stage, inner.train, inner.turns = place.stage, place.train, place.turns
        inner.inits = deeper(place.inits)
        inputs = call.inputs
        inner.calls = (self.frame(call), *place.calls)
        if inputs:
            parts = [Data((wire,), (shape,)) for wire, shape in zip(data.wires, data.shapes, strict=True)]
            parts = [POISON] * len(inputs) if data.poisoned else parts
            inner.env.tensors.update(zip(inputs, parts, strict=True))
        else:
            inner.env.tensors["x"] = data
        try:
            self.bind_parameters(decl, declared_parameters(decl), given, inner, span)
        except SpecError as error:
            calls = place.calls if error.diagnostic.span == span else inner.calls
            raise SpecError(error.diagnostic.replace(calls=calls)) from None
        return inner

    @staticmethod
    def frame(call: Call) -> Frame:
        """Return what the stack of calls says of a block."""
        arguments = tuple([Argument(name, show(one.value), one.span) for name, one in call.given.items()])
        values = tuple(map(Argument, call.inputs, map(str, call.data.shapes)))
        path = call.scope.path if call.scope is not call.place.scope else ""
        shown = f"{call.decl.name}({', '.join(map(str, arguments))})"
        return Frame(shown, call.span, arguments, values, path)

    def distinct(self, data: Data, place: Place, node: tree.Tree) -> Data:
        """Return the same values, but an identity of each that comes twice: a block tells them apart."""
        wires: list[Wire] = []
        for wire, shape in zip(data.wires, data.shapes, strict=True):
            if wire in wires:
                one = Data((wire,), (shape,))
                wire = self.add(catalogue()["identity"](), one, place, node, None, {}, {}).wires[0]
            wires.append(wire)
        return Data(tuple(wires), data.shapes)


def given_at(diagnostic: Diagnostic, place: Place) -> Iterator[Label]:
    """Yield the text of a call that gives what an error within a block is about, where that is plain.

    It is a parameter of the block, followed through the calls around it, or several values that do not fit.
    """
    span, calls, found = diagnostic.span, diagnostic.calls, None
    if span is None or not calls:
        return
    if diagnostic.code == "E302":
        if values := calls[0].values:
            yield Label(calls[0].span, ", ".join(f"{one.name} is {one.value}" for one in values))
        return
    outermost = calls[-1]
    for frame in calls if diagnostic.code in OF_VALUES else ():
        words = set(_WORD.findall(span.text))
        words |= read_by(words, span, place) if found is None else set()
        named = [one for one in frame.arguments if one.name in words]
        at = named[0].span if len(named) == 1 else None
        if at is None or not frame.span.covers(at):
            break
        image = frame is outermost and _OF_IMAGE.search(at.text) is not None
        hint = "; x is the net's input, and flow what comes in" if image else ""
        found, span = Label(at, f"{named[0]}{hint}"), at
    if found is not None:
        yield found


def read_by(words: set[str], span: Span, place: Place) -> set[str]:
    """Return what names in a block are made of, by its assignments and loops."""
    scope = place.scope
    while scope.kind == "container" and scope.outer is not None:
        scope = scope.outer
    body = scope.body
    if not body or place.source is not span.source or span.start < body[0].start:
        return set()
    text, found, count = span.source.text, set(words), 0
    makes: list[tuple[set[str], set[str]]] = []
    for node in (piece for statement in body for piece in tree.pieces(statement)):
        if isinstance(node, (tree.Assign, tree.For)):
            names = node.targets if isinstance(node, tree.Assign) else node.names
            value = node.value if isinstance(node, tree.Assign) else node.iterable
            own = {name.text for name in names if isinstance(name, tree.Name)}
            makes.append((own, set(_WORD.findall(text[value.start : value.end]))))
    while len(found) > count:
        count = len(found)
        found.update(*(read for own, read in makes if not own.isdisjoint(found)))
    return found


def has_state(op: Op) -> bool:
    """Tell whether an op has weights or buffers."""
    return type(op).weights is not Op.weights or type(op).buffers is not Op.buffers


def _values(number: int) -> str:
    return "one value" if number == 1 else f"{number} values"
