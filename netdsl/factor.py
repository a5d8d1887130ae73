"""Classes from instances: what emitters share.

A net's module tree is full of blocks that are nearly alike. All instances of a block are laid over each other:
where they are the same tree with other constants, each constant that differs becomes a constructor argument, named
by the block's own parameter where the values coincide (or are a fixed multiple), else by its role. A sub-tree that
some instances lack becomes a module argument that may be None. Where instances have nothing in common they become
classes of their own. This is anti-unification: every call re-instantiates to the tree that it came from, and
`Call` trees can be expanded back to check it (`expand`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple, TypeVar

from netdsl.code import (
    Arg,
    Binary,
    Call,
    Comment,
    Const,
    Constant,
    Expr,
    Input,
    Item,
    Lowered,
    Name,
    Param,
    Self,
)
from netdsl.code import Sequence as Listed
from netdsl.elaborate.names import GLOBALS, reserved_attribute
from netdsl.ir.graph import Node, Scope, Value
from netdsl.ir.types import Dims
from netdsl.network import Network
from netdsl.record import Record

T = TypeVar("T", bound=Hashable)

MAX_MULTIPLE = 16
"""The largest factor in an expression such as `4 * planes`."""


class Ref(NamedTuple):
    """A value in a body: output `port` of step `step`, or input `port` of the class where `step` is -1."""

    step: int
    port: int = 0


class Step(Record):
    """One call in a body: a layer, a function, or a child module."""

    key: tuple[str, str]
    """("m", attribute) of a module, ("f", op) of a function: what alignment goes by."""
    attribute: str
    """The child's name in the class, or "" for a function."""
    module: Expr | None
    """What constructs the child."""
    function: Expr | None
    """What applies it, over `Input` and `Self`; None: the module is called."""
    inputs: tuple[Ref, ...]
    outputs: int
    inits: tuple[Expr, ...] = ()
    """Statements that initialise its parameters, over `Self`."""
    train: bool = False
    allocates: bool = True
    """Whether it makes new memory: views and what works in place do not."""
    follows: bool = False
    """Whether it is written on the line of the layer before it."""
    labels: tuple[str, ...] = ()
    """What the spec calls its values; "" where it does not."""
    optional: bool = False
    """Whether some instances lack it: then it is a module argument that may be None."""
    condition: Expr | None = None
    """For an element of a Sequential that some instances lack: when it is there."""
    otherwise: Ref | None = None
    """What is read in its place by the instances that lack it."""
    argument: bool = False
    """Whether its module is an argument of the class."""
    chain: bool = False
    """Whether its module is a Sequential of which some instances lack elements."""
    stage: str = ""
    """The comment of the stage that begins here."""

    @property
    def may_lack(self) -> bool:
        """Whether instances may lack it: a module of one value, an element of a Sequential, or a joint of two."""
        if self.key[0] == "s":
            return True
        if self.key[0] == "m":
            return len(self.inputs) == 1 and self.outputs == 1 and self.function is None
        return self.key[1] in ("add", "mul") and len(self.inputs) == 2


class Chain(Expr):
    """A Sequential of which some elements are there under a condition only."""

    items: tuple[Expr, ...]
    conditions: tuple[Expr | None, ...]


class Argument(Record):
    """A constructor argument of a class."""

    name: str
    values: tuple[Const, ...]
    """Its value in each instance; empty for a module argument."""
    default: Const | None = None
    optional: bool = False
    """For a module argument: whether it may be None."""

    @property
    def type(self) -> str:
        """Its annotation."""
        if not self.values:
            return "nn.Module | None" if self.optional else "nn.Module"
        kinds = {_type(c.value) for c in self.values}
        if kinds == {"int", "float"}:
            return "float"
        return " | ".join(sorted(kinds, key=lambda kind: (len(kind), kind)))


def _type(value: Constant) -> str:
    if isinstance(value, tuple):
        return f"tuple[{', '.join(['int'] * len(value))}]"
    return type(value).__name__


class Body(Record):
    """One instance of a class before factoring."""

    scope: Scope
    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]


class ClassPlan(Record):
    """A class to emit."""

    name: str
    scope: Scope
    """The first instance."""
    arguments: tuple[Argument, ...]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Ref, ...]
    sequential: bool
    """Whether it is one chain of unlabelled modules."""
    stored: Mapping[str, str] = {}
    """Arguments that `forward` needs, and the attributes that hold them."""
    instances: int = 1


class Plan(Record):
    """All classes of a net, inner ones first; the last is the net's."""

    classes: tuple[ClassPlan, ...]
    calls: Mapping[str, Expr]
    """By path: what constructs the module there, as its parent calls it."""


Lower = Callable[[Node, bool], Lowered]
"""Lowers a node of the net; the flag says whether it may work in place."""


def children(expr: Expr) -> tuple[Expr, ...]:
    """Return the expressions directly in an expression, in order."""
    if isinstance(expr, Call):
        own = (expr.receiver,) if expr.receiver is not None else ()
        return (*own, *(arg.value for arg in expr.args))
    if isinstance(expr, Binary):
        return expr.left, expr.right
    if isinstance(expr, Item):
        return (expr.value,)
    if isinstance(expr, Listed):
        return expr.items
    return ()


def rebuild(expr: Expr, parts: Sequence[Expr]) -> Expr:
    """Return the expression with other children."""
    if isinstance(expr, Call):
        rest = list(parts)
        receiver = rest.pop(0) if expr.receiver is not None else None
        args = tuple(arg.replace(value=value) for arg, value in zip(expr.args, rest, strict=True))
        return expr.replace(receiver=receiver, args=args)
    if isinstance(expr, Binary):
        return expr.replace(left=parts[0], right=parts[1])
    if isinstance(expr, Item):
        return expr.replace(value=parts[0])
    if isinstance(expr, Listed):
        return expr.replace(items=tuple(parts))
    return expr


def transform(expr: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """Return the expression with sub-expressions replaced, outermost first, wherever `change` returns one."""
    changed = change(expr)
    if changed is not None:
        return changed
    parts = children(expr)
    return rebuild(expr, [transform(part, change) for part in parts]) if parts else expr


def skeleton(expr: Expr | None) -> object:
    """Return what two expressions have in common that differ in constants only."""
    if expr is None or isinstance(expr, Const):
        return type(expr)
    parts = tuple(skeleton(part) for part in children(expr))
    if isinstance(expr, Call):
        roles = tuple((arg.role, arg.keyword) for arg in expr.args)
        return ("call", expr.func, expr.receiver is None, roles, parts)
    if isinstance(expr, Binary):
        return (expr.operator, parts)
    if isinstance(expr, Item):
        return ("item", expr.index, parts)
    if isinstance(expr, Listed):
        return (expr.brackets, parts)
    return expr


class Site(NamedTuple):
    """A constant in an expression: what it is for, torch's default for it, and the constant."""

    role: str
    default: Expr | None
    constant: Const


def sites(expr: Expr | None, role: str = "", default: Expr | None = None) -> Iterator[Site]:
    """Yield the constants of an expression in order."""
    if isinstance(expr, Const):
        yield Site(role, default, expr)
    elif isinstance(expr, Call):
        yield from sites(expr.receiver)
        for arg in expr.args:
            yield from sites(arg.value, arg.role, arg.default)
    elif expr is not None:
        for part in children(expr):
            yield from sites(part, role)


def fill(expr: Expr, values: Iterator[Expr]) -> Expr:
    """Return the expression with its constants replaced, in the order of `sites`."""
    return transform(expr, lambda e: next(values) if isinstance(e, Const) else None)


def within(name: str, init: Expr) -> Expr:
    """Return a statement about a module's parameters as one about the module that holds it as `name`."""
    return transform(init, lambda e: Param(f"{name}.{e.path}") if isinstance(e, Param) else None)


def mentions_self(expr: Expr | None) -> bool:
    """Tell whether an expression speaks of its own module."""
    if expr is None:
        return False
    if isinstance(expr, Self) or (isinstance(expr, Call) and isinstance(expr.func, Self)):
        return True
    return any(mentions_self(part) for part in children(expr))


class Factory:
    """Factors the module tree of one net into classes."""

    def __init__(
        self,
        net: Network,
        lowered: Mapping[str, Lowered],
        inits: Mapping[str, tuple[Expr, ...]],
        sequential: str,
        identity: str,
        inplace: frozenset[str] = frozenset(),
    ) -> None:
        """`lowered` and `inits` are by node, `inplace` are the nodes that overwrite their first input.

        `sequential` and `identity` are the framework's classes for a chain of modules and for none.
        """
        self.inplace = inplace
        self.identity = identity
        self.net = net
        self.lowered = lowered
        self.inits = dict(inits)
        self.plain: set[int] = set()
        self.sequential = sequential
        self.calls: dict[str, Expr] = {}
        self.classes: list[ClassPlan] = []
        self.taken: set[str] = {net.class_name, f"{net.class_name}Outputs", net.name, *GLOBALS}
        self._stateful: dict[int, bool] = {}

    def plan(self) -> Plan:
        """Return the classes, inner ones first."""
        groups: dict[str, list[Scope]] = {}
        inner: dict[str, dict[str, None]] = {}
        root = self.collect(self.net.graph.tree, "", groups, inner)
        done: set[str] = set()

        def make(key: str) -> None:
            if key not in done:
                done.add(key)
                for other in inner[key]:
                    make(other)
                self.factor(key, groups[key])

        make(root)
        return Plan(tuple(self.classes), self.calls)

    def collect(
        self, scope: Scope, owner: str, groups: dict[str, list[Scope]], inner: dict[str, dict[str, None]]
    ) -> str:
        """Group the scopes that become one class, and note which groups each contains; return the scope's group."""
        if scope.kind == "net":
            key = name = "/"
        elif scope.kind == "block":
            key = name = scope.block
        else:
            name = f"{owner}/{scope.name}"
            key = f"={scope.path}" if self.is_chain(scope) else name
        if name.startswith("/"):
            self.plain.add(id(scope))  # there is one of it, so that its stages have one shape
        groups.setdefault(key, []).append(scope)
        contained = inner.setdefault(key, {})
        for item in scope.items:
            if isinstance(item, Scope):
                contained[self.collect(item, name, groups, inner)] = None
        return key

    def is_chain(self, scope: Scope) -> bool:
        """Tell whether a scope is one chain of modules: each reads what the one before it made."""
        if len(scope.inputs) != 1 or len(scope.outputs) != 1:
            return False
        value = scope.inputs[0]
        for item in scope.items:
            if isinstance(item, Scope):
                if item.inputs != (value,) or len(item.outputs) != 1:
                    return False
                value = item.outputs[0]
            else:
                node = self.net.graph[item]
                lowered = self.lowered[item]
                if node.inputs != (value,) or lowered.module is None or mentions_self(lowered.function):
                    return False
                value = Value(item)
        return scope.outputs == (value,)

    def stateful(self, scope: Scope) -> bool:
        """Tell whether a scope holds parameters, or modules that are always modules."""
        if id(scope) not in self._stateful:
            self._stateful[id(scope)] = any(self.is_module(self.net.graph[name]) for name in scope.nodes())
        return self._stateful[id(scope)]

    def is_module(self, node: Node) -> bool:
        """Tell whether a node is a module in any class: it has state, or draws random numbers."""
        lowered = self.lowered[node.name]
        if lowered.module is not None and (lowered.function is None or mentions_self(lowered.function)):
            return True
        return node.op.module

    # ---------------------------------------------------------------- bodies

    def chain_call(self, scope: Scope) -> Expr:
        """Return the construction of a chain of modules."""
        args = []
        inits = []
        for index, item in enumerate(scope.items):
            path = item.path if isinstance(item, Scope) else item
            name = path.rpartition(".")[2]
            module = self.calls[path] if isinstance(item, Scope) else self.lowered[item].module
            assert module is not None
            if index in scope.stages and id(scope) in self.plain:
                args.append(
                    Arg("#", Comment(self.stage_comment(scope, index, scope.stages[index])), keyword=False)
                )
            args.append(Arg(name, module, keyword=False))
            inits += [within(name, init) for init in self.inits.get(path, ())]
        if inits:
            self.inits[scope.path] = tuple(inits)
        return Call(self.sequential, tuple(args))

    def body(self, scope: Scope) -> Body:
        """Return a scope as steps over numbered values."""
        refs: dict[Value, Ref] = {value: Ref(-1, port) for port, value in enumerate(self.inputs(scope))}
        steps: list[Step] = []
        attributes = {
            item.name if isinstance(item, Scope) else item.rpartition(".")[2]
            for item in scope.items
            if isinstance(item, Scope) or self.is_module(self.net.graph[item])
        }
        for index, item in enumerate(scope.items):
            stage = scope.stages.get(index, "")
            if isinstance(item, Scope):
                step = self.child(item, refs, attributes)
            else:
                node = self.net.graph[item]
                if node.op.name == "input":
                    continue
                function = self.lowered[item].function
                if isinstance(function, Input):  # nothing but its input
                    refs[Value(item)] = refs[node.inputs[function.index]]
                    continue
                step = self.layer(node, refs, attributes)
            if scope.kind != "net":  # what is only called in training need not ask
                step = step.replace(train=False)
            if stage and id(scope) in self.plain:
                step = step.replace(stage=self.stage_comment(scope, index, stage))
            produced = (
                item.outputs
                if isinstance(item, Scope)
                else [Value(item, port) for port in range(step.outputs)]
            )
            refs.update((value, Ref(len(steps), port)) for port, value in enumerate(produced))
            label = (
                item.name
                if isinstance(item, Scope) and not item.name.isdigit() and len(produced) == 1
                else ""
            )
            steps.append(step.replace(labels=tuple(scope.names.get(value, label) for value in produced)))
        return Body(scope, tuple(steps), tuple(refs[value] for value in scope.outputs))

    def inputs(self, scope: Scope) -> tuple[Value, ...]:
        """Return the values that come into a scope; the net's are its input nodes."""
        if scope.kind == "net":
            return tuple(Value(node) for node in self.net.graph.inputs.values())
        return scope.inputs

    def stage_comment(self, scope: Scope, index: int, stage: str) -> str:
        """Return "stage 4: 512x14x14", with the shape that the stage ends with."""
        later = [i for i in scope.stages if i > index]
        last = scope.items[(min(later) if later else len(scope.items)) - 1]
        name = last.outputs[0].node if isinstance(last, Scope) and last.outputs else last
        return f"stage {stage}: {self.net.shapes[name]}" if isinstance(name, str) else f"stage {stage}"

    def child(self, scope: Scope, refs: Mapping[Value, Ref], attributes: set[str]) -> Step:
        """Return the step that calls a child module."""
        attribute = scope.name if not scope.name.isdigit() else self.unique("seq", attributes)
        return Step(
            ("m", attribute),
            attribute,
            self.calls[scope.path],
            None,
            tuple(refs[value] for value in scope.inputs),
            len(scope.outputs),
            self.inits.get(scope.path, ()),
            train=all(self.net.graph[name].train for name in scope.nodes()) and bool(scope.items),
        )

    def layer(self, node: Node, refs: Mapping[Value, Ref], attributes: set[str]) -> Step:
        """Return the step of one op."""
        lowered = self.lowered[node.name]
        name = node.name.rpartition(".")[2]
        inputs = tuple(refs[value] for value in node.inputs)
        outputs = len(self.net.outputs_of(node.name))
        if not self.is_module(node):
            assert lowered.function is not None, node.op.name
            return Step(
                ("f", node.op.name),
                "",
                None,
                lowered.function,
                inputs,
                outputs,
                train=node.train,
                allocates=self.allocates(node),
                follows=node.op.follows,
            )
        attribute = name if not name.isdigit() else self.unique(node.op.name, attributes)
        return Step(
            ("m", attribute),
            attribute,
            lowered.module,
            lowered.function if mentions_self(lowered.function) else None,
            inputs,
            outputs,
            self.inits.get(node.name, ()),
            node.train,
            follows=node.op.follows,
        )

    def allocates(self, node: Node) -> bool:
        """Tell whether a function makes new memory."""
        return node.op.computes and node.name not in self.inplace

    @staticmethod
    def unique(name: str, taken: set[str]) -> str:
        """Return a name that no other child has, and take it."""
        candidate, number = name, 1
        while candidate in taken or reserved_attribute(candidate):
            number += 1
            candidate = f"{name}{number}"
        taken.add(candidate)
        return candidate

    # ---------------------------------------------------------------- classes

    def factor(self, key: str, scopes: list[Scope]) -> None:
        """Make the classes of one group of scopes, and the call of each."""
        if key.startswith("="):
            for scope in scopes:
                self.calls[scope.path] = self.chain_call(scope)
            return
        chains = [scope for scope in scopes if scope.kind == "block" and self.is_flat(scope)]
        groups = self.groups(
            [self.chain_body(scope) if scope in chains else self.body(scope) for scope in scopes]
        )
        for group in groups:
            self.define(key, group)

    def is_flat(self, scope: Scope) -> bool:
        """Tell whether a block or net is a chain of unlabelled modules, which makes it a Sequential itself."""
        names = [item.name if isinstance(item, Scope) else item.rpartition(".")[2] for item in scope.items]
        return bool(names) and all(name.isdigit() for name in names) and self.is_chain(scope)

    def chain_body(self, scope: Scope) -> Body:
        """Return a flat chain as steps, each the module of its position."""
        steps = []
        for position, item in enumerate(scope.items):
            path = item.path if isinstance(item, Scope) else item
            module = self.calls[path] if isinstance(item, Scope) else self.lowered[item].module
            stage = scope.stages.get(position, "")
            steps.append(
                Step(
                    ("s", self.head(module)),
                    "",
                    module,
                    None,
                    (Ref(position - 1),),
                    1,
                    self.inits.get(path, ()),
                    stage=self.stage_comment(scope, position, stage)
                    if stage and id(scope) in self.plain
                    else "",
                )
            )
        return Body(scope, tuple(steps), (Ref(len(steps) - 1),))

    @staticmethod
    def head(module: Expr | None) -> str:
        """Return what a module is a call of."""
        return str(module.func) if isinstance(module, Call) else ""

    @staticmethod
    def groups(bodies: list[Body]) -> list[Overlay]:
        """Lay bodies over each other, as many as fit."""
        found: list[Overlay] = []
        for body in bodies:
            for number, group in enumerate(found):
                merged = overlay([*(b for b, _ in group.members), body])
                if merged is not None:
                    found[number] = merged
                    break
            else:
                alone = overlay([body])
                assert alone is not None
                found.append(alone)
        return found

    def define(self, key: str, group: Overlay) -> None:
        """Make one class, and note how each instance calls it."""
        steps, outputs, members = group
        first = members[0][0].scope
        is_net = first.kind == "net"
        name = self.net.class_name if is_net else self.class_name(first, key)
        namer = Namer(is_net, [body.scope for body, _ in members], self.net, steps)
        merged: list[Step] = []
        module_args: list[Argument] = []
        given: list[dict[str, Expr]] = [{} for _ in members]
        late: list[tuple[int, list[int], list[Expr | None]]] = []
        for index, step in enumerate(steps):
            owned = [
                (number, body.steps[places.index(index)])
                for number, (body, places) in enumerate(members)
                if index in places
            ]
            if step.argument:
                module_args.append(Argument(step.attribute, (), optional=step.optional))
                for number, own in owned:
                    there = own.module if step.key[0] == "m" else Call(self.identity)
                    assert there is not None
                    given[number][step.attribute] = there
                function = namer.merge([own.function for _, own in owned], stored=True)
                merged.append(step.replace(function=function))
            elif step.optional:
                late.append((index, [number for number, _ in owned], [own.module for _, own in owned]))
                merged.append(step)
            elif step.chain:
                merged.append(step.replace(module=namer.chain([own.module for _, own in owned])))
            else:
                parts = [(own.module, *own.inits) for _, own in owned]
                module, *inits = [namer.merge([p[i] for p in parts]) for i in range(len(parts[0]))]
                function = namer.merge([own.function for _, own in owned], stored=True)
                kept = tuple(init for init in inits if init is not None)
                merged.append(step.replace(module=module, inits=kept, function=function))
        for (
            index,
            numbers,
            modules,
        ) in late:  # elements that some instances lack: the others have named most of it
            merged[index] = merged[index].replace(
                module=namer.partial(numbers, modules), condition=namer.condition(numbers)
            )
        flat = steps and steps[0].key[0] == "s"
        arguments = namer.arguments(module_args)
        self.classes.append(
            ClassPlan(
                name,
                first,
                arguments,
                tuple(merged),
                self.input_names(first),
                outputs,
                bool(flat),
                namer.stored,
                len(members),
            )
        )
        for number, (body, _) in enumerate(members):
            self.calls[body.scope.path] = Call(name, tuple(self.call_args(arguments, number, given[number])))

    @staticmethod
    def call_args(arguments: Iterable[Argument], number: int, modules: Mapping[str, Expr]) -> Iterator[Arg]:
        """Yield the arguments of one instance's call."""
        for argument in arguments:
            if argument.values:
                yield Arg(
                    argument.name, argument.values[number], argument.default, argument.default is not None
                )
            elif argument.name in modules:
                yield Arg(argument.name, modules[argument.name])
            else:
                yield Arg(argument.name, Const(None), Const(None))

    def class_name(self, scope: Scope, key: str) -> str:
        """Return a new class name: the block's, or the container's label in capitals."""
        label = scope.block or "".join(part[:1].upper() + part[1:] for part in scope.name.split("_"))
        if not scope.block and label in self.taken:
            label = key.rpartition("/")[0].rpartition("/")[2] + label
        name, number = label, 1
        while name in self.taken:
            number += 1
            name = f"{label}{number}"
        self.taken.add(name)
        return name

    def input_names(self, scope: Scope) -> tuple[str, ...]:
        """Return what `forward` calls its inputs."""
        if scope.kind == "net":
            return tuple(self.net.graph.inputs)
        names = scope.input_names
        if len(names) < len(scope.inputs):
            extra = len(scope.inputs) - len(names)
            if not names:
                return ("x",) if extra == 1 else tuple(f"x{i}" for i in range(extra))
            names = (*names, *(f"x{i}" for i in range(extra)))
        return names


class Overlay(NamedTuple):
    """Bodies laid over each other: the common steps and outputs, and where the steps of each body are."""

    steps: tuple[Step, ...]
    outputs: tuple[Ref, ...]
    members: tuple[tuple[Body, list[int]], ...]


def overlay(bodies: list[Body]) -> Overlay | None:
    """Lay bodies over each other; None if they are different programs.

    Steps that some bodies lack are optional: they must be modules with one input and one output.
    """
    keys: list[tuple[str, str]] = []
    for body in bodies:
        keys_of = [step.key for step in body.steps]
        union = _union(keys, keys_of) if keys else keys_of
        if union is None:
            return None
        keys = union
    places = [_places(keys, [step.key for step in body.steps]) for body in bodies]
    if any(p is None for p in places):
        return None
    members = [(body, p) for body, p in zip(bodies, places, strict=True) if p is not None]
    steps: list[Step] = []
    for index in range(len(keys)):
        own = [(body, p, body.steps[p.index(index)]) for body, p in members if index in p]
        first = own[0][2]
        optional = len(own) < len(members)
        if optional and not first.may_lack:
            return None
        inputs = _agree([(p, step.inputs) for _, p, step in own], steps)
        if inputs is None:
            return None
        functions = {skeleton(step.function) for _, _, step in own}
        modules = {(skeleton(step.module), *map(skeleton, step.inits)) for _, _, step in own}
        if len(functions) > 1 or len({(step.outputs, step.train) for _, _, step in own}) > 1:
            return None
        flat = first.key[0] == "s"
        chain = (
            len(modules) > 1 and not optional and _aligned([step.module for _, _, step in own]) is not None
        )
        argument = (optional and not flat) or (len(modules) > 1 and not chain)
        if argument and (flat or first.inits):
            return None
        steps.append(first.replace(inputs=inputs, optional=optional, argument=argument, chain=chain))
    outputs = _agree([(p, b.outputs) for b, p in members], steps)
    if outputs is None or len({len(b.scope.inputs) for b, _ in members}) > 1:
        return None
    for number, step in enumerate(steps):
        if step.optional and step.key[0] == "f":
            if step.otherwise not in step.inputs:
                return None
            steps[number] = step.replace(attribute=_shortcut(steps))
    return Overlay(tuple(steps), outputs, tuple(members))


def _shortcut(steps: Iterable[Step]) -> str:
    """Return a name for the module argument that says whether a joint is there."""
    taken = {step.attribute for step in steps}
    return next(name for name in ("shortcut", *(f"shortcut{n}" for n in range(2, 1000))) if name not in taken)


def _elements(module: Expr | None) -> tuple[Expr, ...]:
    """Return the elements of a Sequential whose names are their positions, or nothing."""
    if not isinstance(module, Call) or not all(arg.role.isdigit() for arg in module.args):
        return ()
    return tuple(arg.value for arg in module.args)


def _aligned(modules: Sequence[Expr | None]) -> tuple[list[object], list[list[int]]] | None:
    """Lay Sequentials over each other: the common elements, and where those of each are; None if they cross."""
    keys: list[object] = []
    columns = [[skeleton(element) for element in _elements(module)] for module in modules]
    if not all(columns) or len({str(m.func) for m in modules if isinstance(m, Call)}) > 1:
        return None
    for column in columns:
        union = _union(keys, column) if keys else column
        if union is None:
            return None
        keys = union
    places = [_places(keys, column) for column in columns]
    found = [p for p in places if p is not None]
    return (keys, found) if len(found) == len(places) else None


def _union(a: list[T], b: list[T]) -> list[T] | None:
    """Return the shortest common order of two lists of keys, or None if they cross."""
    if a == b:
        return a
    result: list[T] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            result += a[i1:i2]
        elif tag == "replace":
            return None
        else:
            result += a[i1:i2] + b[j1:j2]
    return result


def _places(keys: list[T], own: list[T]) -> list[int] | None:
    """Return where the steps of one body are in the common order."""
    if keys == own:
        return list(range(len(keys)))
    places: list[int] = []
    for tag, i1, i2, _, _ in SequenceMatcher(None, keys, own, autojunk=False).get_opcodes():
        if tag == "equal":
            places += range(i1, i2)
        elif tag != "delete":
            return None
    return places


def _agree(views: list[tuple[list[int], tuple[Ref, ...]]], steps: list[Step]) -> tuple[Ref, ...] | None:
    """Return the references that all bodies agree on, or None.

    A body that lacks an optional step reads something else in its place, and always the same; `steps` learns what.
    """
    if len({len(refs) for _, refs in views}) > 1:
        return None
    mapped = [
        (places, tuple(r if r.step < 0 else Ref(places[r.step], r.port) for r in refs))
        for places, refs in views
    ]
    merged = tuple(max(refs) for refs in zip(*(refs for _, refs in mapped), strict=True))
    for places, refs in mapped:
        if not all(_stands_for(common, ref, places, steps) for ref, common in zip(refs, merged, strict=True)):
            return None
    return merged


def _stands_for(common: Ref, own: Ref, places: list[int], steps: list[Step]) -> bool:
    """Tell whether a body that has the steps `places` reads `own` where all read `common`; `steps` learns why."""
    if common == own:
        return True
    if common.step < 0 or common.step in places:
        return False
    step = steps[common.step]
    if step.otherwise is not None:
        return _stands_for(step.otherwise, own, places, steps)
    if step.key[0] == "f":  # where a joint is lacking, one of its inputs goes on
        found = next((ref for ref in step.inputs if _stands_for(ref, own, places, steps)), None)
    else:
        found = own if own.step < common.step else None
    if found is None:
        return False
    steps[common.step] = step.replace(otherwise=found)
    return True


_NAMES = {"in_channels": "channels", "num_features": "channels", "normalized_shape": "channels", "p": "drop"}
"""What arguments are called after the role of the place they fill, where that is not its own name."""


class Namer:
    """Names the constants in which the instances of a class differ."""

    def __init__(self, is_net: bool, scopes: list[Scope], net: Network, steps: Iterable[Step]) -> None:
        """Take the block's own parameters and scalars as the first names to try."""
        self.attributes = {step.attribute for step in steps}
        self.is_net = is_net
        self.found: dict[tuple[Const, ...], Argument] = {}
        self.products: dict[tuple[Const, ...], Expr] = {}
        self.stored: dict[str, str] = {}
        """Arguments that `forward` needs, and the attributes that hold them."""
        self.used: set[str] = {step.attribute for step in steps if step.argument}
        self.candidates: dict[str, tuple[Constant, ...]] = {}
        self.count = len(scopes)
        shared = set.intersection(*(set(scope.args) for scope in scopes)) if scopes else set()
        for name in scopes[0].args:
            if name in shared:
                values = tuple(_constant(scope.args[name]) for scope in scopes)
                if all(v is not None for v in values):
                    self.candidates[name] = values
        if not is_net:
            channels = [net.outputs_of(s.inputs[0].node)[s.inputs[0].port] for s in scopes if s.inputs]
            if len(channels) == len(scopes) and all("c" in shape.axes for shape in channels):
                self.candidates.setdefault("in_channels", tuple(shape.c for shape in channels))

    def merge(self, expressions: list[Expr | None], stored: bool = False) -> Expr | None:
        """Return one expression for all instances, arguments in the places where they differ."""
        first = expressions[0]
        if first is None:
            return None
        assert all(e is not None for e in expressions)
        columns = zip(*(list(sites(e)) for e in expressions), strict=True)
        filled = (self.site(column, stored) for column in columns)
        return fill(first, filled)

    def site(self, column: tuple[Site, ...], stored: bool) -> Expr:
        """Return what stands at one place: the constant, or an expression of arguments."""
        constants = tuple(site.constant for site in column)
        first = constants[0]
        if column[0].role == "inplace" and len(set(constants)) > 1:
            return Const(False)  # in every instance, or in none
        if all(same(c, first) for c in constants):
            if not first.source:
                return first
            if self.is_net:
                return self.keep(Name(first.source), first.source, stored)
        expr, name = self.argument(constants, column[0], stored)
        return self.keep(expr, name, stored)

    def chain(self, modules: list[Expr | None]) -> Expr:
        """Return a Sequential of which some instances lack elements."""
        aligned = _aligned(modules)
        assert aligned is not None
        keys, places = aligned
        columns = [
            [
                (n, _elements(module)[p.index(i)])
                for n, (module, p) in enumerate(zip(modules, places, strict=True))
                if i in p
            ]
            for i in range(len(keys))
        ]
        merged: list[Expr | None] = [None] * len(keys)
        conditions: list[Expr | None] = [None] * len(keys)
        for index, column in enumerate(columns):
            if len(column) == self.count:
                merged[index] = self.merge([e for _, e in column])
        for index, column in enumerate(columns):
            if len(column) < self.count:  # the others have named most of it
                numbers = [n for n, _ in column]
                merged[index] = self.partial(numbers, [e for _, e in column])
                conditions[index] = self.condition(numbers)
        return Chain(tuple(e for e in merged if e is not None), tuple(conditions))

    def partial(self, numbers: list[int], expressions: Sequence[Expr | None]) -> Expr:
        """Return one expression for those instances that have it."""
        assert expressions[0] is not None
        columns = zip(*(list(sites(e)) for e in expressions), strict=True)
        return fill(expressions[0], (self.partial_site(numbers, column) for column in columns))

    def partial_site(self, numbers: list[int], column: tuple[Site, ...]) -> Expr:
        """Return what stands at one place that only some instances have."""
        constants = tuple(site.constant for site in column)
        if all(same(c, constants[0]) for c in constants) and not constants[0].source:
            return constants[0]
        values = tuple(c.value for c in constants)
        channels = self.candidates.get("in_channels")
        if column[0].role == "in_channels" and channels is not None and self.is_own("in_channels"):
            if tuple(channels[n] for n in numbers) == values:
                return self.offer("in_channels")
        for whole, product in self.products.items():
            if all(map(same, (whole[n] for n in numbers), constants)):
                return product
        for argument in self.found.values():
            own = tuple(argument.values[n] for n in numbers)
            if all(map(same, own, constants)):
                return Name(argument.name)
            ints = all(type(v) is int for v in values)
            expr = multiple(values, argument.replace(values=own), column[0].role) if ints else None
            if expr is not None:
                return expr
        for name, known in self.candidates.items():
            if name not in self.used and tuple(known[n] for n in numbers) == values:
                return self.new(name, tuple(Const(v) for v in known), column[0])[0]
        filled = [constants[0]] * self.count  # a value that the others do not read
        for number, constant in zip(numbers, constants, strict=True):
            filled[number] = constant
        return self.argument(tuple(filled), column[0])[0]

    def condition(self, numbers: list[int]) -> Expr:
        """Return the condition under which the instances of these numbers are: of arguments if that can be."""
        there = [number in numbers for number in range(self.count)]
        known = {
            a.name: tuple(c.value for c in a.values) for a in self.found.values() if not a.values[0].source
        }
        ints = {name: values for name, values in known.items() if all(type(v) is int for v in values)}
        others = {
            name: values for name, values in self.candidates.items() if self.is_own(name) and name not in ints
        }
        for name, values in ints.items():
            if name in self.candidates and [v != 1 for v in values] == there:
                return Binary("!=", Name(name), Const(1))
        for a, left in ints.items():
            for b, right in ints.items():
                if a < b and [x != y for x, y in zip(left, right, strict=True)] == there:
                    return Binary("!=", Name(a), Name(b))
        for name, values in others.items():
            if all(type(v) is bool for v in values) and list(values) == there:
                return self.offer(name)
            if all(type(v) is int for v in values) and [v != 1 for v in values] == there:
                return Binary("!=", self.offer(name), Const(1))
        return self.argument(tuple(Const(t) for t in there), Site("enabled", None, Const(True)))[0]

    def offer(self, name: str) -> Expr:
        """Return an argument by its name, made of the block's own parameter if it is none yet."""
        if name in self.used:
            return Name(name)
        constants = tuple(Const(value) for value in self.candidates[name])
        return self.new(name, constants, Site(name, None, constants[0]))[0]

    def keep(self, expr: Expr, name: str, stored: bool) -> Expr:
        """Return the expression as `forward` reads it, where it is stored on the module."""
        if not stored:
            return expr
        attribute = self.stored.setdefault(name, f"{name}_" if name in self.attributes else name)
        return transform(expr, lambda e: Name(f"self.{attribute}") if e == Name(name) else None)

    def argument(self, constants: tuple[Const, ...], site: Site, stored: bool = False) -> tuple[Expr, str]:
        """Return an expression for a column of constants, and the argument it reads."""
        known = self.found.get(constants)
        if known is not None:
            if known.default is not None and known.default != site.default:
                self.found[constants] = known.replace(default=None)
            return Name(known.name), known.name
        if constants in self.products:
            return self.products[constants], ""
        values = tuple(c.value for c in constants)
        plain = not any(c.source for c in constants)
        for name, own in self.candidates.items():
            if (
                name not in self.used
                and own == values
                and [type(v) for v in own] == [type(v) for v in values]
            ):
                return self.new(name, constants, site)
        if plain and all(type(v) is int for v in values):
            for argument in self.found.values():
                expr = multiple(values, argument, site.role)
                if expr is not None:
                    return expr, argument.name
            product = self.product(values)
            if product is not None and not stored:
                self.products[constants] = product
                return product, ""
        return self.new(_NAMES.get(site.role, site.role) or "value", constants, site)

    def product(self, values: tuple[Constant, ...]) -> Expr | None:
        """Return `expand * in_channels` if the values are a parameter of the block times its input channels."""
        channels = self.candidates.get("in_channels")
        if channels is None or not self.is_own("in_channels"):
            return None
        for name, own in self.candidates.items():
            pairs = list(zip(own, channels, values, strict=True))
            if name == "in_channels" or not self.is_own(name) or len(set(own)) == 1:
                continue
            if all(type(k) is int and k * c == v for k, c, v in pairs):  # type: ignore[operator]
                return Binary("*", self.offer(name), self.offer("in_channels"))
        return None

    def is_own(self, name: str) -> bool:
        """Tell whether the argument of that name is the block's own parameter, or could become it."""
        own = self.candidates.get(name)
        return name not in self.used or any(
            a.name == name and tuple(c.value for c in a.values) == own for a in self.found.values()
        )

    def new(self, name: str, constants: tuple[Const, ...], site: Site) -> tuple[Expr, str]:
        """Make a new argument. Its default is the framework's own for the place it fills."""
        unique, number = name, 1
        while unique in self.used:
            number += 1
            unique = f"{name}{number}"
        self.used.add(unique)
        default = site.default if isinstance(site.default, Const) else None
        if default is not None and default.value not in [c.value for c in constants]:
            default = None
        self.found[constants] = Argument(unique, constants, default)
        return Name(unique), unique

    def arguments(self, modules: list[Argument]) -> tuple[Argument, ...]:
        """Return all arguments: the required first, then those with defaults, then the modules."""
        scalars = list(self.found.values())
        required = [a for a in scalars if a.default is None] + [m for m in modules if not m.optional]
        required.sort(key=lambda a: a.name != "in_channels")  # it comes first, as everywhere
        return (
            *required,
            *(a for a in scalars if a.default is not None),
            *(m for m in modules if m.optional),
        )


def _constant(value: object) -> Constant:
    """Return a block's argument as code writes it, a square size as one number; None for what is no constant."""
    if isinstance(value, Dims):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value if isinstance(value, (int, float)) else None


def same(a: Const, b: Const) -> bool:
    """Tell whether two constants are equal in value, type and source."""
    return a == b and type(a.value) is type(b.value)


def multiple(values: tuple[Constant, ...], argument: Argument, role: str) -> Expr | None:
    """Return `k * argument` or `argument // k` if that is what the values are."""
    own = [c.value for c in argument.values]
    if any(c.source for c in argument.values) or not all(type(v) is int and v > 0 for v in own):
        return None
    pairs = list(zip(values, own, strict=True))
    value, unit = pairs[0]
    if role == "padding":  # half of what an odd kernel covers
        halves = all(v == u // 2 and u % 2 for v, u in pairs)  # type: ignore[operator]
        return Binary("//", Name(argument.name), Const(2)) if halves else None
    assert isinstance(value, int)
    assert isinstance(unit, int)
    if value > 0 and value % unit == 0:
        k = value // unit
        if 1 < k <= MAX_MULTIPLE and all(v == k * u for v, u in pairs):  # type: ignore[operator]
            return Binary("*", Const(k), Name(argument.name))
    if value > 0 and unit % value == 0:
        k = unit // value
        if 1 < k <= MAX_MULTIPLE and all(v == u // k for v, u in pairs):  # type: ignore[operator]
            return Binary("//", Name(argument.name), Const(k))
    return None
