"""What a module's constructor makes for given arguments: every child with its path, as the emitted code would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from netdsl.elaborate.values import BlockDecl, OpValue, RowValue, TableValue
from netdsl.emission.concolic import concrete, mentioned
from netdsl.emission.function import Function
from netdsl.emission.items import (
    Child,
    Container,
    If,
    Item,
    Layer,
    Let,
    Loop,
    Module,
    Numbered,
    Side,
    Slot,
    Staged,
    Store,
)
from netdsl.emission.members import Members
from netdsl.emission.stack import Stack
from netdsl.ir.types import Dims
from netdsl.symbolic import Atom, Poly, SymBool, evaluate, symbolic, term

if TYPE_CHECKING:
    from netdsl.emission.family import Variant
    from netdsl.emission.module import ModuleText


STACKED = "layer"
"""The attribute of stacked blocks that holds the one that they are."""


class Place(NamedTuple):
    """A layer or container of a net, and where it is in a built module."""

    name: str
    """Its name in the net's graph, which is torch's path."""
    path: str
    """Its path in the module."""
    item: Module
    stacked: bool
    """Whether it is one of several equal ones whose weights are stacked."""
    scope: Scope
    """What it is in."""


class Scope:
    """A module that is being filled."""

    def __init__(self, name: str, path: str, mode: str, function: Function, stacked: bool = False) -> None:
        """`mode` is "layers" for a chain of positions, "named" for one of labels, "" for attributes of a class."""
        self.name, self.path, self.mode = name, path, mode
        self.function = function
        self.stacked = stacked
        self.position = 0
        self.index = 0
        self.taken: set[str] = set()

    def free_position(self) -> str:
        """Return what the next child is called that has no label: its position, or the next that is no label."""
        return next(str(at) for at in count(self.position) if str(at) not in self.taken)

    def joined(self, path: str, key: str) -> str:
        """Return the path of a child."""
        return f"{path}.{key}" if path else key


class Replay:
    """Makes a net without its framework: which child is where."""

    def __init__(self, module: ModuleText, inside: str = "") -> None:
        """`inside` is the attribute in which a chain of positions keeps its modules, if it has one."""
        self.module = module
        self.inside = inside
        self.members: dict[int, Members] = {}
        """Those of a class, by the id of its items."""

    def run(self, variant: Variant) -> Iterator[Place]:
        """Yield all children of a net, outer ones first."""
        staged = variant.staged
        env: dict[str, Any] = dict(self.module.constants)
        env.update(staged.bound)
        env.update(variant.args)
        yield from self.walk(staged.items, env, self.of_class("", "", staged), staged)

    def of_class(self, name: str, path: str, staged: Staged, stacked: bool = False) -> Scope:
        """Return the scope of a class, which is a chain or has attributes."""
        function = self.module.function(staged)
        mode = "layers" if self.module.is_sequential(function) else ""
        return Scope(name, self.within(path, mode), mode, function, stacked)

    def is_module(self, place: Place) -> bool:
        """Tell whether something is a child of a module, and not a function that `forward` calls."""
        scope = place.scope
        if scope.mode:  # a chain has nothing else
            return True
        key = id(scope.function.items)
        if key not in self.members:
            self.members[key] = Members(scope.function, self.module)
        return self.members[key].is_module(place.item)

    def within(self, path: str, mode: str) -> str:
        """Return the path that a module's children begin with."""
        if mode != "layers" or not self.inside:
            return path
        return f"{path}.{self.inside}" if path else self.inside

    def walk(self, items: list[Item], env: dict[str, Any], scope: Scope, staged: Staged) -> Iterator[Place]:
        """Yield the children that items make."""
        for item in items:
            if isinstance(item, Let):
                self.let(item, env)
            elif isinstance(item, Numbered) and item.keeps:
                env[item.keeps] = {}
            elif isinstance(item, Store) and item.keeps:
                with suppress(KeyError):
                    env[item.keeps][settled(item.index, env)] = settled(item.channels, env)
            elif isinstance(item, If):
                holds = settled(SymBool(True, item.test), env)
                yield from self.walk(item.then if holds else item.otherwise, env, scope, staged)
            elif isinstance(item, Loop):
                targets = item.targets  # as they are now: the members of a class may number the turns
                for one in iterated(item.over, env):
                    unpack(targets, one, env)
                    yield from self.walk(item.body, env, scope, staged)
            elif isinstance(item, Side):
                yield from self.walk(item.items, env, scope, staged)
            elif isinstance(item, Module):
                yield from self.child(item, env, scope, staged)

    @staticmethod
    def let(item: Let, env: dict[str, Any]) -> None:
        """Bind a local variable; one that needs what is not known here is left out."""
        try:
            env[item.name] = settled(item.value, env)
        except KeyError:
            env.pop(item.name, None)

    def child(self, item: Module, env: dict[str, Any], scope: Scope, staged: Staged) -> Iterator[Place]:
        """Yield one child, and those within."""
        if isinstance(item, Layer) and not item.key and item.name is None:
            return  # wiring
        if isinstance(item, Slot):  # the net has nothing there
            scope.index += 1
            return
        key = scope.free_position() if item.by_position else item.key
        if item.name is not None:
            key = "".join(
                part if isinstance(part, str) else str(settled(part, env)) for part in item.name.args
            )
        if isinstance(item, Stack):
            yield from self.stack(item, env, scope)
            return
        scope.position += 1
        scope.taken.add(key)
        if item.again:
            return
        own = key
        if scope.mode == "layers":
            own = str(scope.index)
        if self.module.is_nothing(item):
            return
        scope.index += 1
        name, path = scope.joined(scope.name, key), scope.joined(scope.path, own)
        yield Place(name, path, item, scope.stacked, scope)
        if isinstance(item, Container):
            function = self.module.of_container(item, staged)
            mode = ""
            if function.kind != "container":
                mode = "named" if self.module.is_named(item.items) else "layers"
            inner_scope = Scope(name, self.within(path, mode), mode, function, scope.stacked)
            yield from self.walk(item.items, env, inner_scope, staged)
        elif isinstance(item, Child) and not self.is_block(item, env):
            for variable in item.asked:
                env[variable] = settled(item.channels, env)
        elif isinstance(item, Child):
            cls, inner = self.called(item, env)
            yield from self.walk(cls.items, inner, self.of_class(name, path, cls, scope.stacked), cls)
            for name, shape in zip(item.results, cls.out_terms, strict=False):
                env[name] = settled(shape.c, inner)

    @staticmethod
    def is_block(item: Child, env: Mapping[str, Any]) -> bool:
        """Tell whether what is called is a block, and no op that an argument may as well be."""
        return not item.may_be_op or isinstance(settled(item.callee, env).target, BlockDecl)

    def stack(self, item: Stack, env: dict[str, Any], scope: Scope) -> Iterator[Place]:
        """Yield equal blocks whose weights are stacked, one after the other: all have one path."""
        path = scope.joined(scope.path, str(scope.index))
        scope.index += 1
        for _ in range(settled(item.number, env)):
            name = scope.joined(scope.name, str(scope.position))
            scope.position += 1
            yield Place(name, path, item, True, scope)
            cls, inner = self.called(item, env)
            yield from self.walk(cls.items, inner, self.of_class(name, f"{path}.{STACKED}", cls, True), cls)

    def called(self, item: Child, env: Mapping[str, Any]) -> tuple[Staged, dict[str, Any]]:
        """Return the class that is called, and what its names are there."""
        args = {name: settled(value, env) for name, value in item.args.items() if known(value, env)}
        cls = item.cls
        if item.callee is not None:
            callee = settled(item.callee, env)
            given = {name: one.value for name, one in callee.args.items()}
            names = item.names.get(callee.target, {})
            own = {names.get(k, k): v for k, v in args.items() if k not in item.callee.args}
            args = {name: settled(value, env) for name, value in given.items()} | own
            cls = next(s for s in self.module.family.classes if s.decl is callee.target)
        inner: dict[str, Any] = dict(self.module.constants)
        defaults = {name: value for name, value in cls.defaults.items()}
        inner |= {name: settled(value, {**inner, **args}) for name, value in defaults.items()}
        inner |= args
        for incoming, shape in zip(cls.inputs, item.shapes, strict=True):
            for axis, name in incoming.sizes.items():
                if known(shape.size(axis), env):
                    inner[name] = settled(shape.size(axis), env)
        inner |= {name: value for name, value in cls.fixed.items() if name not in inner}
        return cls, inner


def known(value: Any, env: Mapping[str, Any]) -> bool:
    """Tell whether all names that a value reads have values."""
    return all(name in env for name in mentioned(value))


def settled(value: Any, env: Mapping[str, Any]) -> Any:
    """Return the concrete value; KeyError where it reads what is not known."""
    if isinstance(value, (Atom, Poly)) or symbolic(value):
        found = evaluate(value if isinstance(value, (Atom, Poly)) else term(value), env)
        return concrete(found)
    if isinstance(value, Dims):
        return Dims(settled(n, env) for n in value)
    if isinstance(value, OpValue):
        args = {k: g._replace(value=settled(g.value, env)) for k, g in value.args.items()}
        return OpValue(value.target, args)
    if isinstance(value, tuple) and not hasattr(value, "axes"):
        return tuple(settled(one, env) for one in value)
    return value


def iterated(over: Any, env: Mapping[str, Any]) -> list[Any]:
    """Return what a loop runs over."""
    if isinstance(over, Atom) and over.op == "call" and over.args[0] in ("range", "enumerate", "zip"):
        function, *args = over.args
        if function == "range":
            return list(range(*(settled(arg, env) for arg in args)))
        if function == "zip":
            return list(zip(*(iterated(arg, env) for arg in args), strict=True))
        start = settled(args[1], env) if len(args) > 1 else 0
        return list(enumerate(iterated(args[0], env), start))
    value = evaluate(over, env)
    if isinstance(value, TableValue):
        return [tuple(row) for row in value.rows]
    return list(value.cells if isinstance(value, RowValue) else value)


def unpack(targets: tuple[str, ...], one: Any, env: dict[str, Any]) -> None:
    """Bind a loop's variables."""
    if len(targets) == 1:
        env[targets[0]] = one
        return
    cells = list(one.cells if isinstance(one, RowValue) else one)
    if len(cells) != len(targets):
        cells = [c for cell in cells for c in (cell if type(cell) is tuple else (cell,))]
    env.update(zip(targets, cells, strict=True))
