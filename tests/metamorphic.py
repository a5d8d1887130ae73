"""Every emitted class called with other arguments than the file's own, against the block of the spec with them.

An emitted class is a block of the spec for every argument that its constructor takes. A draw is a set of arguments
and the shapes of the inputs. What it has to be is said by the spec alone: a net of one line is written, which calls
the block with these arguments, and its graph is run op by op (`interpreter`). Where the spec refuses the arguments,
the class must raise an error, when it is made or when it is called.

    python tests/metamorphic.py resnet18 BasicBlock --draws 40
    python tests/metamorphic.py --all --backend flax --draws 20
"""

from __future__ import annotations

import argparse
import inspect
import random
import re
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, ClassVar, NamedTuple

import torch
from interpreter import draw_state, interpret, state_shapes
from netdsl_torch.run import without_dropout
from torch import Tensor, nn
from torch_oracles import FAMILIES, execute, spec_of

import netdsl
from netdsl import api, data
from netdsl.diagnostics import NetError
from netdsl.elaborate.arguments import Param, declared_parameters
from netdsl.elaborate.evaluate import Evaluator
from netdsl.elaborate.files import Files
from netdsl.elaborate.values import (
    BlockDecl,
    Data,
    Env,
    FileScope,
    NetDecl,
    OpValue,
    Ramp,
    SpecError,
    TableValue,
)
from netdsl.ir.graph import Scope
from netdsl.ir.types import Dims, Init, Pad, Shape
from netdsl.network import Network, Recipe
from netdsl.ops import Op, catalogue
from netdsl.ops.activation import Activation
from netdsl.ops.norm import Norm
from netdsl.source import Source
from netdsl.syntax import tree

BATCH = 3
MAX_MACS = 40_000_000
"""For a sample. Of what is larger, here or below, only shapes are compared."""
MAX_PARAMS = 20_000_000
MAX_ELEMENTS = 1_500_000
"""Of all values that flow, for a sample."""
CLOSE = 1e-11
"""The largest relative error in float64 within torch: rounding of another order, and never another net."""
CLOSE_FLAX = 1e-9
TRIES = 40
"""Candidates for each legal draw."""
PATIENCE = 30.0
"""Seconds for all candidates of a class: a guard, which no class of the zoo comes near."""


# ---------------------------------------------------------------- subjects


class Draw(NamedTuple):
    """Arguments in values of the language, by parameter, and the shapes of the inputs."""

    values: dict[str, Any]
    shapes: tuple[Shape, ...]

    def __str__(self) -> str:
        said = ", ".join(f"{name}={text_of(value)}" for name, value in self.values.items())
        return f"({said}) of {' and '.join(map(str, self.shapes))}"


class Subject:
    """An emitted class, with the block or net of the spec that it is."""

    def __init__(self, net: Network, cls: Any, decl: BlockDecl | NetDecl, instances: list[Scope]) -> None:
        self.net = net
        self.cls = cls
        self.name: str = cls.__name__
        self.decl = decl
        self.instances = instances
        """Where the net itself uses it."""
        self.params = declared_parameters(decl)
        self.signature = {
            name: p
            for name, p in inspect.signature(cls.__init__).parameters.items()
            if name not in ("self", "rngs", "dtype", "param_dtype")
            and p.kind not in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        }
        if cls.__init__ is nn.Module.__init__:
            self.signature = {}
        self.inputs = [name.text for name in decl.node.inputs] if isinstance(decl, BlockDecl) else []
        self.several = not self.inputs and any(len(s.inputs) > 1 for s in instances)
        """Whether `x` is a tuple."""
        call = inspect.signature(getattr(cls, "forward", cls.__call__))
        self.listed = any("list[" in str(p.annotation) for p in call.parameters.values())
        """Whether the class takes that as a list, of any length."""
        self.names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}

    def patterns(self) -> list[tuple[Shape, ...]]:
        """Return the shapes of the inputs of the instances."""
        shapes = self.net.elaborated.shapes
        found = {
            tuple(shapes[v.node][v.port] for v in scope.inputs): None
            for scope in self.instances
            if scope.inputs
        }
        return list(found) or [tuple(self.net.inputs.values())]

    def unknown(self) -> list[str]:
        """Return the parameters without a default whose meaning the spec does not give."""
        derived = {
            "size",
            *(["channels"] if self.several or self.listed else []),
            *(["same_size"] if self.inputs else []),
        }
        sizes = ("channels", "size", "height", "width", "tokens")
        derived |= {f"{name}_{what}" for name in ("in", *self.inputs) for what in sizes}
        return [
            name
            for name, p in self.signature.items()
            if name not in self.params and name not in derived and p.default is inspect.Parameter.empty
        ]


def subjects(name: str, backend: str = "torch", **settings: Any) -> dict[str, Subject]:
    """Return the classes of a net's emitted module that are blocks or the net, by name."""
    net = netdsl.load(spec_of(name), **settings)
    return subjects_of(net, backend)


def subjects_of(net: Network, backend: str = "torch", text: str = "") -> dict[str, Subject]:
    """Return the classes of the module of a net that are blocks or the net, by name."""
    names = execute(text or net.emit(backend))
    used = used_classes(net)
    found = {}
    for name, cls in names.items():
        if not isinstance(cls, type) or cls.__module__ != "emitted" or name not in used:
            continue
        scopes = used[name]
        decl = declaration(net, scopes[0])
        if decl is not None:
            found[name] = Subject(net, cls, decl, scopes)
            found[name].names = names
    return found


@cache
def used_classes(net: Network) -> dict[str, list[Scope]]:
    """Return by class of the torch module the blocks or the net that are its instances; Flax has the same names."""
    names = execute(net.emit("torch"))
    with torch.device("meta"):
        model: nn.Module = names[net.name]()
    scopes = {scope.path: scope for scope in net.graph.tree.scopes()}
    used: dict[str, list[Scope]] = {}
    for path, module in model.named_modules():
        scope = scopes.get(path)
        if scope is not None and type(module).__module__ == "emitted" and scope.kind != "container":
            used.setdefault(type(module).__name__, []).append(scope)
    return used


def declaration(net: Network, scope: Scope) -> BlockDecl | NetDecl | None:
    """Return what a scope is an instance of."""
    if scope.kind == "net":
        return net.recipe.net
    return blocks_of(net.recipe.net.file).get(scope.block)


def blocks_of(file: FileScope) -> dict[str, BlockDecl]:
    """Return the blocks that a file sees, and those that these see."""
    found: dict[str, BlockDecl] = {}
    queue, seen = [file], {id(file)}
    for one in queue:
        for value in one.env.names.values():
            if isinstance(value, OpValue) and isinstance(value.target, BlockDecl):
                found.setdefault(value.target.name, value.target)
                if id(value.target.file) not in seen:
                    seen.add(id(value.target.file))
                    queue.append(value.target.file)
    return found


# ---------------------------------------------------------------- the spec of a draw


def text_of(value: Any) -> str:
    """Return a value as a spec writes it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, OpValue):
        given = ", ".join(f"{k}={text_of(g.value)}" for k, g in value.args.items() if not unsaid(g.value))
        return f"{value.name}({given})" if given else value.name
    if isinstance(value, TableValue):
        return "rows" + "".join(f"; {', '.join(map(text_of, row))}" for row in value.rows)
    if isinstance(value, tuple) and not isinstance(value, Dims):
        return f"[{', '.join(map(text_of, value))}]"
    return str(value)


def unsaid(value: Any) -> bool:
    """Tell whether a value has no text: it is the default, or of a schedule."""
    return isinstance(value, Init) and value.kind == "default"


_FILES = Files(api._importer(None, ()))


def probe_text(decl: BlockDecl, draw: Draw, outputs: int = 1) -> str:
    """Return a spec whose net is the block alone, as block1."""
    packaged = decl.file.source.name in data.names("specs", ".net")
    blocks = {decl.name: decl.file.source.name}
    stack = list(draw.values.values())
    while stack:
        value = stack.pop()
        if isinstance(value, OpValue):
            if isinstance(value.target, BlockDecl):
                blocks[value.name] = value.target.file.source.name
            stack += [given.value for given in value.args.values()]
    lines = [f'import {name} from "{file}"' for name, file in blocks.items()] if packaged else []
    given = []
    for number, (name, value) in enumerate(draw.values.items()):
        if unsaid(value):
            continue
        if isinstance(value, TableValue):
            lines += ["", f"table table{number}({', '.join(value.columns)}):"]
            lines += ["    " + ", ".join(map(text_of, row)) for row in value.rows]
            given.append(f"{name}=table{number}")
        else:
            given.append(f"{name}={text_of(value)}")
    if not packaged:
        lines = [decl.file.source.text, *lines]
    single = len(draw.shapes) == 1
    lines += ["", "net Probe:"]
    for number, shape in enumerate(draw.shapes):
        label = "" if single else f"in{number}: "
        lines.append(
            f"    input {label}{', '.join([str(shape[0]), *(['x'.join(map(str, shape[1:]))] * (len(shape) > 1))])}"
        )
    start = "" if single else f"from {', '.join(f'in{n}' for n in range(len(draw.shapes)))} -> "
    lines.append(f"    block1: {start}{decl.name} {', '.join(given)}".rstrip())
    if outputs > 1:
        lines += [f"    output o{n}: from flow[{n}]" for n in range(outputs - 1)]
        lines.append(f"    from flow[{outputs - 1}]")
    return "\n".join(lines) + "\n"


def probe(subject: Subject, draw: Draw) -> Network:
    """Return the net that a draw is, by the spec alone; raise NetError."""
    decl = subject.decl
    if isinstance(decl, NetDecl):
        recipe = subject.net.recipe
        inputs = dict(zip(subject.net.inputs, draw.shapes, strict=True))
        return Network(Recipe(decl, recipe.variant, {**recipe.settings, **draw.values}, inputs))
    try:
        return read(probe_text(decl, draw))
    except NetError as error:
        message = error.diagnostics[0].message
        count = message.rpartition("a tuple of ")[2].partition(" ")[0]
        if error.diagnostics[0].code != "E305" or not count.isdigit():
            raise
    return read(probe_text(decl, draw, int(count)))


def read(text: str) -> Network:
    """Return the net Probe of a text; the files that it imports are read once."""
    return Network(api.recipe(_FILES.load(Source("probe.net", text)), "probe", {}, {}))


@contextmanager
def conditions() -> Iterator[set[tuple[str, int, bool]]]:
    """Give which conditions of the specs held, and which did not, in what is elaborated within."""
    seen: set[tuple[str, int, bool]] = set()
    original = Evaluator.truth

    def truth(self: Evaluator, node: tree.Expr, env: Env, source: Source) -> bool:
        value = original(self, node, env, source)
        seen.add((source.name, node.start, value))
        return value

    Evaluator.truth = truth  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Evaluator.truth = original  # type: ignore[method-assign]


# ---------------------------------------------------------------- drawing

CHANNELS = (4, 8, 16, 6, 12, 2, 5, 32, 24)
SIZES = ((9, 7), (8, 8), (7, 7), (5, 9), (12, 6), (16, 11), (4, 4), (13, 13), (3, 3), (19, 17), (29, 23))
DIMS = (Dims((3, 3)), Dims((1, 1)), Dims((5, 5)), Dims((3, 5)), Dims((1, 7)), Dims((7, 1)), Dims((2, 2)))
ACTIVATIONS = ("relu", "tanh", "hswish", "sigmoid", "silu")


def descend(node: object) -> Iterator[tree.Tree]:
    """Yield a tree's nodes."""
    if isinstance(node, tree.Tree):
        yield node
        for value in node.__dict__.values():
            yield from descend(value)
    elif isinstance(node, tuple):
        for item in node:
            yield from descend(item)


def mentions(node: object, name: str) -> bool:
    """Tell whether an expression has a name."""
    return any(isinstance(n, tree.Name) and n.text == name for n in descend(node))


class Drawer:
    """Draws arguments for one class, biased to where the spec decides."""

    def __init__(self, subject: Subject, seed: int) -> None:
        self.subject = subject
        self.random = random.Random(f"{subject.net.name} {subject.name} {seed}")
        self.nodes = list(descend(subject.decl.node))
        self.patterns = subject.patterns()
        self.free = [name for name in subject.params if name in subject.signature]
        self.pools = {name: self.pool(subject.params[name]) for name in self.free}
        self.compared = [
            other
            for node in self.nodes
            if isinstance(node, tree.Binary) and node.operator in ("==", "!=", "<", ">", "<=", ">=")
            for one, other in ((node.left, node.right), (node.right, node.left))
            if isinstance(one, tree.Attribute) and one.name == "c"
        ]
        """What the channels that come in are compared with."""

    def own(self, name: str) -> list[Any]:
        """Return the values of a parameter that the net itself gives."""
        found: dict[str, Any] = {}
        for scope in self.subject.instances:
            if name in scope.args:
                value = scope.args[name]
                found.setdefault(text_of(value), 0.1 if isinstance(value, Ramp) else value)
        return list(found.values())

    def pool(self, param: Param) -> list[Any]:
        """Return the values of a parameter, those more often that the spec tells apart."""
        name, own, kind = param.name, self.own(param.name), param.types[0]
        if kind == "bool":
            return [False, True]
        if kind == "int":
            return self.ints(name, own)
        if kind == "float":
            return [*own, 0.0, 0.1, 0.5] if name.startswith("drop") else [*own, 0.25, 0.5, 1.0]
        if kind == "dims":
            return [*own, *DIMS]
        if kind == "pad":
            return [*own, Pad("same"), Pad("explicit"), Pad("explicit", (1, 1)), Pad("explicit", (1, 2))]
        if kind == "op":
            return self.ops(own)
        return own

    def ints(self, name: str, own: list[Any]) -> list[Any]:
        """Return the values of an int, by what it is for."""
        small = [value for value in own if value <= 32]
        constants: list[Any] = []
        for node in self.nodes:
            if isinstance(node, tree.Binary) and node.operator in ("==", "!=", "<", ">", "<=", ">="):
                for one, other in ((node.left, node.right), (node.right, node.left)):
                    if isinstance(one, tree.Name) and one.text == name and isinstance(other, tree.Number):
                        constants += [other.value, other.value + 1]
        constants = [n for n in constants if isinstance(n, int) and 0 <= n <= 64]
        strides = [n for n in self.nodes if isinstance(n, tree.Stride)]
        if name == "stride" or any(mentions(n, name) for n in strides):
            return [1, 1, 2, 2, 3, *constants]
        counts: list[object] = [n.count for n in self.nodes if isinstance(n, tree.Repeat)]
        counts += [
            n.args
            for n in self.nodes
            if isinstance(n, tree.CallExpr)
            and isinstance(n.function, tree.Name)
            and n.function.text == "range"
        ]
        if any(mentions(n, name) for n in counts) or name == "depth":
            return [0, 1, 2, 5, 3, *constants]
        if "group" in name or "head" in name:
            return [1, 2, 4, 3, 8, *constants]
        compared = any(isinstance(n, tree.Binary) and mentions(n, name) for n in self.nodes)
        return [*CHANNELS, *small, *constants, 1, *([2, 3, 0] if compared and min(own or [9]) < 3 else [])]

    def ops(self, own: list[Any]) -> list[Any]:
        """Return ops of the same kind as those that the net gives."""
        ops = catalogue()
        targets = [value.target for value in own if isinstance(value, OpValue)]
        found = list(own)
        if any(isinstance(t, type) and issubclass(t, Activation) for t in targets):
            found += [OpValue(ops[name], {}) for name in ACTIVATIONS] + [None]
        elif any(isinstance(t, type) and issubclass(t, Norm) for t in targets) or None in own:
            found += [OpValue(ops["bn"], {}), None]
        elif any(isinstance(t, BlockDecl) for t in targets):
            found += [OpValue(b, {}) for b in blocks_of(self.subject.decl.file).values() if not b.node.inputs]
        return found

    def draw(self) -> Draw:
        """Return arguments and shapes, legal or not."""
        r, subject = self.random, self.subject
        instance = r.choice(subject.instances)
        values: dict[str, Any] = {}
        for name in subject.params:
            if name in self.free:
                pool = self.pools[name]
                kind = subject.params[name].types[0]
                if kind in ("list", "table"):
                    values[name] = self.listed(r.choice(pool)) if pool else ()
                elif pool:
                    values[name] = r.choice(pool)
            elif isinstance(subject.decl, BlockDecl) and name in instance.args:
                value = instance.args[name]
                values[name] = 0.1 if isinstance(value, Ramp) else value
        return Draw(values, self.shapes(values))

    def listed(self, value: Any) -> Any:
        """Return a list or table of another length, of the same kind."""
        r = self.random
        if isinstance(value, TableValue):
            rows = [r.choice(value.rows) for _ in range(r.choice((1, 2, 3, 5)))]
            return value.replace(rows=tuple(rows))
        length = r.choice((len(value), 1, 2, 3, 5))
        if all(type(item) is int for item in value):
            large = max(value, default=0) > 24
            return tuple(r.choice(CHANNELS if large else (0, 1, 2, 3)) for _ in range(length))
        return tuple(r.choice(value) for _ in range(length)) if value else value

    def shapes(self, values: dict[str, Any]) -> tuple[Shape, ...]:
        """Return shapes of inputs: those of an instance, smaller, in its proportions or not."""
        r = self.random
        pattern = r.choice(self.patterns)
        if isinstance(self.subject.decl, NetDecl):
            return self.net_shapes(pattern, values)
        if self.subject.several:
            count = r.randint(1, 5) if self.subject.listed else r.randint(1, len(pattern) + 1)
            while len(pattern) < count:
                last = pattern[-1]
                more = Shape(2 * last.c, max(1, last.h // 2), max(1, last.w // 2)) if len(last) == 3 else last
                pattern = (*pattern, more)
            pattern = pattern[:count]
        first, c = pattern[0], self.channels(pattern[0], values)
        h, w = r.choice(SIZES)
        if len(pattern) > 1 and r.random() < 0.8:
            grow = 2 ** (len(pattern) - 1)
            h, w = grow * r.choice((1, 2, 3)), grow * r.choice((1, 2))
        found = []
        for number, shape in enumerate(pattern):
            own = c
            if number:
                own = max(1, c * shape.c // first.c) if r.random() < 0.7 else self.channels(shape, values)
            if len(shape) == 1:
                found.append(Shape(own))
            elif len(shape) == 2:
                found.append(Shape(r.choice((1, 5, 8)), own))
            else:
                found.append(
                    Shape(own, max(1, -(-h * shape.h // first.h)), max(1, -(-w * shape.w // first.w)))
                )
        return tuple(found)

    def net_shapes(self, pattern: tuple[Shape, ...], values: dict[str, Any]) -> tuple[Shape, ...]:
        """Return shapes of a net's inputs."""
        r = self.random
        size = next((v for v in values.values() if isinstance(v, Dims) and min(v) > 16), None)
        if size is not None:
            return tuple(Shape(s.c, *size) if len(s) == 3 else s for s in pattern)
        sides = r.choice(
            (*((side, side) for side in (32, 48, 64, 75, 96)), (64, 96), (33, 47), (188, 204), pattern[0][1:])
        )
        return tuple(Shape(s.c, *sides) if len(s) == 3 else s for s in pattern)

    def channels(self, shape: Shape, values: dict[str, Any]) -> int:
        """Return the channels of an input: often those that the spec compares them with, or a parameter."""
        r = self.random
        pool: list[int] = list(CHANNELS)
        chance = r.random()
        if chance < 0.4 and self.compared:
            pool = self.evaluated(r.choice(self.compared), Shape(r.choice(pool), *shape[1:]), values) or pool
        elif chance < 0.6:
            pool = [v for v in values.values() if type(v) is int and 0 < v <= 64] or pool
        elif chance < 0.7:
            pool = [shape.c]
        return r.choice(pool)

    def evaluated(self, node: tree.Expr, shape: Shape, values: dict[str, Any]) -> list[int]:
        """Return what an expression of the block is for these arguments; nothing if that is hard to say."""
        decl = self.subject.decl
        env, evaluator = Env(decl.file.env), Evaluator(1000)
        env.names.update(values)
        env.tensors["x"] = Data((), (shape,))
        for statement in decl.node.body:
            if isinstance(statement, tree.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                if isinstance(target, tree.Name):
                    try:
                        env.names[target.text] = evaluator.eval(statement.value, env, decl.file.source)
                    except (SpecError, NetError):
                        continue
        try:
            value = evaluator.eval(node, env, decl.file.source)
        except (SpecError, NetError):
            return []
        return [value] if type(value) is int and 0 < value <= 512 else []


class Drawn(NamedTuple):
    """Draws of one class: the legal ones with their nets, and what the spec refuses with its reasons."""

    legal: list[tuple[Draw, Network]]
    refused: list[tuple[Draw, str]]


def drawn(subject: Subject, draws: int, seed: int = 0) -> Drawn:
    """Return that many legal draws, first those that decide conditions otherwise, and some that are refused."""
    drawer = Drawer(subject, seed)
    found: list[tuple[frozenset[Any], Draw, Network]] = []
    large: list[tuple[frozenset[Any], Draw, Network]] = []
    refused: dict[str, tuple[Draw, str]] = {}
    known: set[str] = set()
    began = time.monotonic()
    for _ in range(TRIES * draws):
        if len(found) >= 2 * draws or time.monotonic() - began > PATIENCE:
            break
        draw = drawer.draw()
        if str(draw) in known:
            continue
        known.add(str(draw))
        try:
            with conditions() as seen:
                net = probe(subject, draw)
        except NetError as error:
            refused.setdefault(
                f"{len(refused) % 3}{error.diagnostics[0].code}", (draw, error.diagnostics[0].message)
            )
            if len(refused) < draws:
                refused.setdefault(str(draw), (draw, error.diagnostics[0].message))
            continue
        if resizable(subject, draw, net):
            (found if small(net) else large).append((frozenset(seen), draw, net))
    found += large[: max(0, draws - len(found))]
    legal: list[tuple[Draw, Network]] = []
    outcomes: set[frozenset[Any]] = set()
    rest = []
    for sides, draw, net in found:
        if sides in outcomes:
            rest.append((draw, net))
        else:
            outcomes.add(sides)
            legal.append((draw, net))
    return Drawn((legal + rest)[:draws], list(refused.values())[: max(3, draws // 3)])


def small(net: Network) -> bool:
    """Tell whether a net can be run in no time."""
    cost = net.cost(train=True)
    elements = sum(shape.elements for shapes in net.elaborated.shapes.values() for shape in shapes)
    return cost.macs <= MAX_MACS and cost.params <= MAX_PARAMS and elements <= MAX_ELEMENTS


def resizable(subject: Subject, draw: Draw, net: Network) -> bool:
    """Tell whether a net's class can know the size: from an argument, or since no weight depends on it."""
    if isinstance(subject.decl, BlockDecl) or "size" in subject.signature:
        return True
    own = draw._replace(shapes=tuple(subject.net.inputs.values()))
    try:
        return draw.shapes == own.shapes or probe(subject, own).parameters == net.parameters
    except NetError:
        return False


# ---------------------------------------------------------------- arguments of a framework


class NoWord(Exception):
    """A value that no constructor could be given."""


class Framework(ABC):
    """How the classes of one backend are called, and what they give."""

    bound: float
    refusing = False
    """Whether the draws are those that the spec refuses: where it takes no `none`, the class takes no None."""

    @abstractmethod
    def op(self, value: OpValue, subject: Subject) -> Any:
        """Return an op as an argument; raise NoWord."""

    @abstractmethod
    def nothing(self) -> Any:
        """Return the op that is none, where a parameter takes no None."""

    @abstractmethod
    def check(self, subject: Subject, draw: Draw, net: Network) -> str:
        """Return what is wrong with a legal draw, or an empty string."""

    @abstractmethod
    def run(self, subject: Subject, draw: Draw) -> None:
        """Make the class and call it, with any numbers."""

    def arguments(self, subject: Subject, draw: Draw) -> dict[str, Any]:
        """Return what the constructor is given, by name."""
        given: dict[str, Any] = {}
        for name, parameter in subject.signature.items():
            if name in draw.values:
                value = draw.values[name]
                if isinstance(value, Init):
                    continue
                given[name] = self.argument(value, parameter, subject)
            elif name in subject.params:
                continue
            elif name == "same_size":
                given[name] = draw.shapes[0].h == draw.shapes[1].h
            elif name == "channels" and (subject.several or subject.listed):
                given[name] = [shape.c for shape in draw.shapes]
            elif name == "size" and len(draw.shapes[0]) == 3:
                given[name] = tuple(draw.shapes[0][1:])
            for input, shape in zip(subject.inputs or ["in"], draw.shapes, strict=False):
                if name == f"{input}_channels":
                    given[name] = shape.c
                elif name == f"{input}_tokens" and len(shape) == 2:
                    given[name] = shape.n
                elif name == f"{input}_size" and len(shape) == 3:
                    given[name] = tuple(shape[1:])
                elif name in (f"{input}_height", f"{input}_width") and len(shape) == 3:
                    given[name] = shape.h if name.endswith("height") else shape.w
        return given

    def argument(self, value: Any, parameter: inspect.Parameter | None, subject: Subject) -> Any:
        """Return a value of the language as one of Python."""
        annotation = "" if parameter is None else str(parameter.annotation)
        if value is None:
            takes = "None" in annotation or not annotation or self.refusing
            return None if takes else self.nothing()
        if isinstance(value, OpValue):
            op = self.op(value, subject)
            plain = isinstance(value.target, type) and value.target.weights is Op.weights
            return self.maker(value, op, subject) if plain and self.makes in annotation else op
        if isinstance(value, Dims):
            square = len(set(value)) == 1
            return value[0] if square and annotation in ("int", "<class 'int'>") else tuple(value)
        if isinstance(value, Pad):
            return None if value.mode == "same" else tuple(value.size)
        if isinstance(value, TableValue):
            return [tuple(self.argument(cell, None, subject) for cell in row) for row in value.rows]
        if isinstance(value, tuple):
            return [self.argument(item, None, subject) for item in value]
        return float(value) if isinstance(value, float) else value

    makes: ClassVar[str]
    """What the type of an argument begins with that is called with channels, whichever op it makes."""

    def maker(self, value: OpValue, op: Any, subject: Subject) -> Any:
        """Return what makes an op without weights for any number of channels."""
        own = subject.names.get(value.name)
        return own if callable(own) and not value.args else self.making(op)

    @abstractmethod
    def making(self, op: Any) -> Callable[..., Any]:
        """Return a function of channels for what the framework calls an op."""

    def block(self, value: OpValue, subject: Subject) -> Any:
        """Return the emitted class of a block, with what it was given."""
        cls = subject.names.get(value.name)
        if not isinstance(cls, type):
            raise NoWord(f"{value.name} has no class here")
        given = {
            k: self.argument(g.value, None, subject) for k, g in value.args.items() if not unsaid(g.value)
        }
        takes = inspect.signature(cls.__init__).parameters  # a metaclass may hide them
        return partial(cls, **{k: v for k, v in given.items() if k in takes}) if given else cls


def called(module: Any, call: Callable[..., Any], x: Sequence[Any]) -> tuple[Any, ...]:
    """Return what a module returns for these inputs, however it takes several."""
    listed = any("list[" in str(p.annotation) for p in inspect.signature(call).parameters.values())
    out = module(list(x)) if listed else module(*x)
    return tuple(t for t in out if t is not None) if isinstance(out, tuple | list) else (out,)


def expected_order(subject: Subject, net: Network, found: Mapping[str, Any]) -> list[Any]:
    """Return the outputs in the order in which the class returns them: a block's last one is the probe's `out`."""
    named = dict(found)
    if isinstance(subject.decl, BlockDecl):
        named["out"] = named.pop("out")
    return list(named.values())


def owned(subject: Subject, key: str) -> str:
    """Return a key of the probe's state as the class has it."""
    return key.removeprefix("block1.") if isinstance(subject.decl, BlockDecl) else key


class Torch(Framework):
    """PyTorch."""

    bound = CLOSE
    makes = "Callable[[int]"

    def making(self, op: Any) -> Callable[..., Any]:
        return lambda channels: op()

    def nothing(self) -> Any:
        return nn.Identity

    def op(self, value: OpValue, subject: Subject) -> Any:
        if isinstance(value.target, BlockDecl):
            return self.block(value, subject)
        given = {k: g.value for k, g in value.args.items() if not unsaid(g.value)}
        plain = {
            "relu": nn.ReLU,
            "relu6": nn.ReLU6,
            "hswish": nn.Hardswish,
            "hsigmoid": nn.Hardsigmoid,
            "sigmoid": nn.Sigmoid,
            "silu": nn.SiLU,
            "tanh": nn.Tanh,
            "gelu": nn.GELU,
            "bn": nn.BatchNorm2d,
        }
        if value.name in plain and set(given) <= {"eps", "momentum"}:
            made: Any = plain[value.name]
            return partial(made, **given) if given else made
        if value.name == "gn" and set(given) == {"groups"}:
            return partial(nn.GroupNorm, given["groups"])
        if value.name in ("avgpool", "maxpool") and set(given) == {"to"}:
            size = given["to"]
            kind: Any = nn.AdaptiveAvgPool2d if value.name == "avgpool" else nn.AdaptiveMaxPool2d
            return partial(kind, size if isinstance(size, int) else tuple(size))
        if value.name in ("avgpool", "maxpool") and set(given) <= {"kernel", "stride", "pad"}:
            pool: Any = value.target
            (kernel, stride), pad = pool(**given).window, pool(**given).constant_padding
            kind = nn.AvgPool2d if value.name == "avgpool" else nn.MaxPool2d
            sizes = (size if isinstance(size, int) else tuple(size) for size in (kernel, stride, pad))
            return partial(kind, *sizes)
        raise NoWord(text_of(value))

    def run(self, subject: Subject, draw: Draw) -> None:
        module = subject.cls(**self.arguments(subject, draw))
        x = [torch.randn(BATCH, *shape) for shape in draw.shapes]
        with torch.no_grad():
            called(module.eval(), module.forward, x)
            called(module.train(), module.forward, x)

    def check(self, subject: Subject, draw: Draw, net: Network) -> str:
        large = not small(net)
        with torch.device("meta" if large else "cpu"):
            module: nn.Module = subject.cls(**self.arguments(subject, draw))
        shapes = state_shapes(net)
        state = {owned(subject, key): shape for key, shape in shapes.items()}
        found = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        wrong = differing_state(found, state)
        if wrong:
            return wrong
        for key, tensor in module.state_dict().items():
            dtype = torch.float32 if state[key] or not key.endswith("num_batches_tracked") else torch.int64
            if tensor.dtype != dtype:
                return f"{key} is {tensor.dtype}"
        if large:
            return self.sizes(module, subject, draw, net)
        numbers = draw_state(shapes, seed=3)
        module = without_dropout(module.double())
        module.load_state_dict({owned(subject, key): tensor for key, tensor in numbers.items()})
        generator = torch.Generator().manual_seed(5)

        def normal(*sizes: int) -> Tensor:
            return torch.randn(sizes, generator=generator, dtype=torch.float64)

        x = [normal(BATCH, *shape) for shape in draw.shapes]
        with torch.no_grad():
            given = [t.clone() for t in x]
            outputs = called(module.eval(), module.forward, given)
            if not all(map(torch.equal, given, x)):
                return "it writes into its input"
            theirs = expected_order(subject, net, interpret(net, numbers, [t.clone() for t in x], False))
        wrong = self.differ("evaluation", outputs, theirs)
        if wrong:
            return wrong
        leaves, others = ([t.clone().requires_grad_() for t in x] for _ in range(2))
        outputs = called(module.train(), module.forward, [t.clone() for t in leaves])
        learned = {key: numbers[key].requires_grad_() for key, _ in named_parameters(subject, module, shapes)}
        theirs = expected_order(subject, net, interpret(net, numbers, others, True))
        wrong = self.differ("training", outputs, theirs)
        if wrong:
            return wrong
        factors = [normal(*t.shape) for t in theirs]
        ours = gradients(
            outputs, factors, [*(p for _, p in named_parameters(subject, module, shapes)), *leaves]
        )
        expected = gradients(theirs, factors, [*learned.values(), *others])
        names = [*learned, *(f"input {n}" for n in range(len(x)))]
        scale = max((float(t.abs().max()) for t in expected), default=0.0)
        for name, mine, other in zip(names, ours, expected, strict=True):
            error = float((mine - other).abs().max())
            if not error <= self.bound * scale:
                return f"the gradient of {owned(subject, name)} differs by {error / scale:.1e}"
        buffers = dict(module.named_buffers())
        return self.differ(
            "statistics",
            [buffers[owned(subject, key)] for key in shapes if owned(subject, key) in buffers],
            [numbers[key] for key in shapes if owned(subject, key) in buffers],
        )

    def sizes(self, module: nn.Module, subject: Subject, draw: Draw, net: Network) -> str:
        """Return how the sizes of the outputs differ, or an empty string; nothing is computed."""
        x = [torch.empty(BATCH, *shape, device="meta") for shape in draw.shapes]
        for what, mode in (("evaluation", False), ("training", True)):
            names = [o.name for o in net.graph.outputs if mode or not o.train]
            found = [tuple(t.shape[1:]) for t in called(module.train(mode), module.forward, x)]
            wanted = expected_order(subject, net, {name: tuple(net.outputs[name]) for name in names})
            if found != wanted:
                return f"{what}: {found} instead of {wanted}"
        return ""

    def differ(self, what: str, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> str:
        """Return how tensors differ, or an empty string."""
        if len(ours) != len(theirs):
            return f"{what}: {len(ours)} outputs instead of {len(theirs)}"
        for mine, other in zip(ours, theirs, strict=True):
            if mine.shape != other.shape:
                return f"{what}: {list(mine.shape)} instead of {list(other.shape)}"
            scale = float(other.detach().abs().max())
            error = float((mine.detach() - other.detach()).abs().max())
            if not error <= self.bound * scale:
                return f"{what} differs by {error / scale if scale else error:.1e}"
        return ""


def named_parameters(
    subject: Subject, module: nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> list[tuple[str, Tensor]]:
    """Return the learned tensors of a module by the probe's keys."""
    found = dict(module.named_parameters())
    return [(key, found[owned(subject, key)]) for key in shapes if owned(subject, key) in found]


def gradients(outputs: Sequence[Tensor], factors: Sequence[Tensor], by: list[Tensor]) -> list[Tensor]:
    """Return the gradients of sum(factors * outputs)."""
    terms = [(f * t).sum() for f, t in zip(factors, outputs, strict=True)]
    return list(torch.autograd.grad(terms, by, materialize_grads=True, allow_unused=True))


def differing_state(found: Mapping[str, tuple[int, ...]], state: Mapping[str, tuple[int, ...]]) -> str:
    """Return how keys, their order or shapes differ, or an empty string."""
    if list(found.items()) == list(state.items()):
        return ""
    missing, unknown = [k for k in state if k not in found], [k for k in found if k not in state]
    if missing or unknown:
        said = [
            f"{keys[0]}{' and more' if len(keys) > 1 else ''} {what}"
            for keys, what in ((missing, "missing"), (unknown, "too much"))
            if keys
        ]
        return f"state: {', '.join(said)}"
    for key, shape in state.items():
        if found[key] != shape:
            return f"state: {key} is {list(found[key])} instead of {list(shape)}"
    return "state: the keys have another order"


def framework(backend: str) -> Framework:
    """Return how a backend's classes are called."""
    if backend == "torch":
        return Torch()
    from metamorphic_flax import Flax

    return Flax()


# ---------------------------------------------------------------- faults


def accidental(draw: Draw, net: Network | None, reason: str = "") -> bool:
    """Tell whether inputs of a block have sizes of their own that meet only where a map of one pixel is repeated.

    The spec may say that for two sizes and no others; a class is right for all sizes at which the inputs fit.
    """
    if len(draw.shapes) < 2:
        return False
    pairs = re.findall(r"\d+x(\d+)x(\d+) and \d+x(\d+)x(\d+)", reason)
    sizes = [((int(a), int(b)), (int(c), int(d))) for a, b, c, d in pairs]
    for node in net.graph if net is not None else ():
        if node.op.name in ("add", "mul"):
            maps = [shape for shape in net.inputs_of(node.name) if len(shape) == 3] if net else []
            sizes += [((maps[0].h, maps[0].w), (other.h, other.w)) for other in maps[1:]]
    return any(
        a != b and all(1 in pair or len(set(pair)) == 1 for pair in zip(a, b, strict=True)) for a, b in sizes
    )


class Report(NamedTuple):
    """What became of the draws of one class."""

    legal: int
    refused: int
    wrong: list[str]
    """Legal draws for which the class is another net, or none."""
    lax: list[str]
    """Draws that the spec refuses, and for which the class runs."""

    @property
    def faults(self) -> list[str]:
        """All that is wrong."""
        return self.wrong + self.lax


def report(subject: Subject, backend: str, draws: int, seed: int = 0) -> Report:
    """Return what became of draws of one class."""
    chosen = framework(backend)
    unknown = subject.unknown()
    if unknown:
        what = f"it takes {', '.join(unknown)}, which {subject.decl.name} has not"
        return Report(draws, 0, [what] * draws, [])
    found = drawn(subject, draws, seed)
    wrong, lax, legal = [], [], 0
    for draw, net in found.legal:
        try:
            chosen.arguments(subject, draw)
        except NoWord:
            continue
        if accidental(draw, net):
            continue
        legal += 1
        try:
            fault = chosen.check(subject, draw, net)
        except Exception as error:  # whatever a wrong class raises
            fault = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:150]
        if fault:
            wrong.append(f"{draw}: {fault}")
    refused, chosen.refusing = 0, True
    for draw, reason in found.refused:
        try:
            chosen.arguments(subject, draw)
        except NoWord:
            continue
        if accidental(draw, None, reason) or "elements is more than" in reason:  # which is no rule of the net
            continue
        refused += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's on layers without a single weight
                chosen.run(subject, draw)
        except Exception:
            continue  # a refusal, which is what is asked for
        lax.append(f"{draw}: runs, where the spec says: {reason}")
    return Report(legal, refused, wrong, lax)


def faults(
    net_name: str, class_name: str, backend: str = "torch", draws: int = 20, seed: int = 0
) -> list[str]:
    """Return the draws for which a class of a net is not the block of the spec, and what is wrong with each."""
    return report(subjects(net_name, backend)[class_name], backend, draws, seed).faults


def main() -> None:
    """Print what is wrong with a class, a net's classes, or those of one net of each family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("net", nargs="?", help="a net of the zoo")
    parser.add_argument("cls", nargs="?", metavar="class", help="one of its classes; all without")
    parser.add_argument("--all", action="store_true", help="one net of each family")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nets", action="store_true", help="the classes of the nets themselves too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'net':20} {'class':22} {'legal':>5} {'wrong':>5} {'refused':>7} {'run':>4} {'seconds':>7}")
    for net in FAMILIES if args.all else [args.net]:
        for name, subject in subjects(net, args.backend).items():
            if (args.cls and name != args.cls) or (
                isinstance(subject.decl, NetDecl) and not args.nets and name != args.cls
            ):
                continue
            began = time.monotonic()
            found = report(subject, args.backend, args.draws, args.seed)
            print(
                f"{net:20} {name:22} {found.legal:5} {len(found.wrong):5} {found.refused:7} {len(found.lax):4}"
                f" {time.monotonic() - began:7.1f}",
                flush=True,
            )
            if not args.all:
                print("".join(f"    {fault}\n" for fault in dict.fromkeys(found.faults)), end="")
            elif found.faults:
                print(f"    {found.faults[0][:160]}")


if __name__ == "__main__":
    main()
