"""Classes from instances: what emitters share.

A net's module tree is full of blocks that are nearly alike. All instances of a block are laid over each other:
where they are the same tree with other constants, each constant that differs becomes a constructor argument, named
by the block's own parameter where the values coincide (or are a fixed multiple), else by its role. A sub-tree that
some instances lack is made under a condition, if the block's parameters say when it is there; else it becomes a
module argument that may be None. Where instances have nothing in common they become classes of their own. This is
anti-unification: every call re-instantiates to the tree that it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.names import GLOBALS, reserved_attribute
from netdsl.emission.code import (
    Arg,
    Call,
    Comment,
    Const,
    Expr,
    Input,
    Lowered,
    Name,
    mentions_self,
    skeleton,
    within,
)
from netdsl.emission.dialect import Dialect
from netdsl.emission.namer import Namer
from netdsl.emission.overlay import Overlay, overlay
from netdsl.emission.plan import Argument, Body, ClassPlan, Plan, Ref, Step
from netdsl.ir.graph import Node, Scope, Value
from netdsl.network import Network


class Factory:
    """Factors the module tree of one net into classes."""

    def __init__(
        self,
        net: Network,
        lowered: Mapping[str, Lowered],
        inits: Mapping[str, tuple[Expr, ...]],
        dialect: Dialect,
        inplace: frozenset[str] = frozenset(),
    ) -> None:
        """`lowered` and `inits` are by node, `inplace` are the nodes that overwrite their first input."""
        self.inplace = inplace
        self.dialect = dialect
        self.net = net
        self.lowered = lowered
        self.inits = dict(inits)
        self.plain: set[int] = set()
        self.calls: dict[str, Expr] = {}
        self.chains: dict[str, list[tuple[str, list[str | Scope]]]] = {}
        """By path of a chain: the name of each module in it, and which children it is; several are stacked."""
        self.classes: list[ClassPlan] = []
        self.taken: set[str] = {
            net.class_name,
            f"{net.class_name}Outputs",
            net.name,
            *GLOBALS,
            *dialect.names,
        }

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

    def items(self, scope: Scope) -> list[str | Scope]:
        """Return a scope's children without the net's inputs."""
        if scope.kind != "net":
            return scope.items
        inputs = set(self.net.graph.inputs.values())
        return [item for item in scope.items if item not in inputs]

    def is_chain(self, scope: Scope) -> bool:
        """Tell whether a scope is one chain of modules: each reads what the one before it made."""
        inputs, outputs = self.inputs(scope), self.outputs(scope)
        if len(inputs) != 1 or len(outputs) != 1:
            return False
        value = inputs[0]
        for item in self.items(scope):
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
        return outputs == (value,)

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
        numbered = self.is_flat(scope)
        entries: list[tuple[str, list[str | Scope]]] = []
        for index, items in self.stacks(scope):
            path = item_path(items[0])
            name = str(len(entries)) if numbered else path.rpartition(".")[2]
            module = self.made(items[0])
            if index in scope.stages and id(scope) in self.plain:
                comment = Comment(self.stage_comment(scope, index, scope.stages[index]))
                args.append(Arg("#", comment, keyword=False))
            if len(items) > 1:
                module = self.stacked(len(items), module)
            args.append(Arg(name, module, keyword=False))
            inits += [within(name, init) for init in self.inits.get(path, ())]
            entries.append((name, items))
        if inits:
            self.inits[scope.path] = tuple(inits)
        self.chains[scope.path] = entries
        return Call(self.dialect.sequential, tuple(args))

    def entries(self, scope: Scope) -> list[tuple[str, list[str | Scope]]]:
        """Return the names of a scope's modules, and which children each is; several where they are stacked."""
        if scope.path in self.chains:
            return self.chains[scope.path]
        return [(item_path(item).rpartition(".")[2], [item]) for item in scope.items]

    def made(self, item: str | Scope) -> Expr:
        """Return what constructs a child of a chain."""
        module = self.calls[item.path] if isinstance(item, Scope) else self.lowered[item].module
        assert module is not None
        return module

    def stacks(self, scope: Scope) -> Iterator[tuple[int, list[str | Scope]]]:
        """Yield the children of a chain with their index, equal blocks in a row together where they are stacked."""
        run: list[str | Scope] = []
        for index, item in enumerate(scope.items):
            equal = run and self.dialect.stacked and isinstance(item, Scope) and item.kind == "block"
            if equal and index not in scope.stages and self.made(item) == self.made(run[0]):
                run.append(item)
                continue
            if run:
                yield index - len(run), run
            run = [item]
        if run:
            yield len(scope.items) - len(run), run

    def stacked(self, count: int, module: Expr) -> Expr:
        """Return the construction of equal blocks as one with stacked weights."""
        assert isinstance(module, Call)
        own = tuple(arg for arg in module.args if arg not in self.dialect.options)
        make = Call("partial", (Arg("function", Name(str(module.func)), keyword=False), *own))
        number = Arg("count", Const(count), keyword=False)
        maker = Arg("make", make, keyword=False)
        return Call(self.dialect.stacked, (number, maker, *self.dialect.options))

    def body(self, scope: Scope) -> Body:
        """Return a scope as steps over numbered values."""
        refs: dict[Value, Ref] = {value: Ref(-1, port) for port, value in enumerate(self.inputs(scope))}
        steps: list[Step] = []
        attributes = {
            item.name if isinstance(item, Scope) else item.rpartition(".")[2]
            for item in scope.items
            if isinstance(item, Scope) or self.is_module(self.net.graph[item])
        }
        for index in scope.order or range(len(scope.items)):
            item = scope.items[index]
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
            labels = tuple(scope.names.get(value, label) for value in produced)
            steps.append(step.replace(labels=labels, place=index if scope.order else 0))
        return Body(scope, tuple(steps), tuple(refs[value] for value in self.outputs(scope)))

    def inputs(self, scope: Scope) -> tuple[Value, ...]:
        """Return the values that come into a scope; the net's are its input nodes."""
        if scope.kind == "net":
            return tuple(Value(node) for node in self.net.graph.inputs.values())
        return scope.inputs

    def outputs(self, scope: Scope) -> tuple[Value, ...]:
        """Return the values that leave a scope; the net may give one value under two names."""
        if scope.kind == "net":
            return tuple(output.value for output in self.net.graph.outputs)
        return scope.outputs

    def stage_comment(self, scope: Scope, index: int, stage: str) -> str:
        """Return "stage 4: 512x14x14", with the shape that the stage ends with."""
        later = [i for i in scope.stages if i > index]
        last = scope.items[(min(later) if later else len(scope.items)) - 1]
        name = last.outputs[0].node if isinstance(last, Scope) and last.outputs else last
        return f"stage {stage}: {self.net.shapes[name]}" if isinstance(name, str) else f"stage {stage}"

    def child(self, scope: Scope, refs: Mapping[Value, Ref], attributes: set[str]) -> Step:
        """Return the step that calls a child module."""
        attribute = scope.name if not scope.name.isdigit() else self.unique("seq", attributes)
        inside = list(scope.nodes())
        return Step(
            ("m", attribute),
            attribute,
            self.calls[scope.path],
            None,
            tuple(refs[value] for value in scope.inputs),
            len(scope.outputs),
            self.inits.get(scope.path, ()),
            train=bool(inside) and all(self.net.graph[name].train for name in inside),
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
        if name.isdigit() and node.op.weights(*self.net.inputs_of(node.name)):
            message = f"{node.op.name} needs a label here, where it is no plain element of a Sequential"
            help = f"{node.op.name}1: {node.span.text}"
            raise NetError([Diagnostic("E221", message, node.span, calls=node.calls, help=help)])
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
        chains = [scope for scope in scopes if scope.kind != "container" and self.is_flat(scope)]
        groups = self.groups(
            [self.chain_body(scope) if scope in chains else self.body(scope) for scope in scopes]
        )
        for group in groups:
            self.define(key, group)

    def is_flat(self, scope: Scope) -> bool:
        """Tell whether a scope is a chain of unlabelled modules, which makes a block a Sequential itself."""
        names = [item_path(item).rpartition(".")[2] for item in self.items(scope)]
        return bool(names) and all(name.isdigit() for name in names) and self.is_chain(scope)

    def chain_body(self, scope: Scope) -> Body:
        """Return a flat chain as steps, each the module of its position."""
        steps: list[Step] = []
        children = set(map(item_path, self.items(scope)))
        for index, item in enumerate(scope.items):
            if item_path(item) not in children:
                continue
            module = self.made(item)
            stage = scope.stages.get(index, "") if id(scope) in self.plain else ""
            steps.append(
                Step(
                    ("s", self.head(module)),
                    "",
                    module,
                    None,
                    (Ref(len(steps) - 1),),
                    1,
                    self.inits.get(item_path(item), ()),
                    stage=self.stage_comment(scope, index, stage) if stage else "",
                )
            )
        return Body(scope, tuple(steps), (Ref(len(steps) - 1),))

    @staticmethod
    def head(module: Expr | None) -> str:
        """Return what a module is a call of, or its name."""
        if isinstance(module, Call):
            return "activation" if isinstance(module.func, Const) else str(module.func)
        return module.text if isinstance(module, Name) else "activation" if isinstance(module, Const) else ""

    @staticmethod
    def groups(bodies: list[Body]) -> list[Overlay]:
        """Lay bodies over each other, as many as fit; those that differ in constants only are one to look at."""
        alike: dict[object, list[Body]] = {}
        for body in bodies:
            alike.setdefault(body.signature, []).append(body)
        found: list[Overlay] = []
        for first, *_ in alike.values():
            for number, group in enumerate(found):
                merged = overlay([*(b for b, _ in group.members), first])
                if merged is not None:
                    found[number] = merged
                    break
            else:
                alone = overlay([first])
                assert alone is not None
                found.append(alone)
        return [
            group._replace(
                members=tuple((b, p) for first, p in group.members for b in alike[first.signature])
            )
            for group in found
        ]

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
        late: dict[tuple[int, ...], list[int]] = {}
        """The steps that only some instances have, by which do."""
        owned_by = [
            [(n, body.steps[p.index(index)]) for n, (body, p) in enumerate(members) if index in p]
            for index in range(len(steps))
        ]
        for index, (step, owned) in enumerate(zip(steps, owned_by, strict=True)):
            if step.optional:
                late.setdefault(tuple(number for number, _ in owned), []).append(index)
                merged.append(step)
            elif step.argument:
                module_args.append(Argument(step.attribute, ()))
                for number, own in owned:
                    assert own.module is not None
                    given[number][step.attribute] = own.module
                function = namer.merge([own.function for _, own in owned], stored=True)
                merged.append(step.replace(function=function))
            elif step.chain:
                merged.append(step.replace(module=namer.chain([own.module for _, own in owned])))
            else:
                parts = [(own.module, *own.inits) for _, own in owned]
                module, *inits = [namer.merge([p[i] for p in parts]) for i in range(len(parts[0]))]
                function = namer.merge([own.function for _, own in owned], stored=True)
                kept = tuple(init for init in inits if init is not None)
                merged.append(step.replace(module=module, inits=kept, function=function))
        flat = bool(steps) and steps[0].key[0] == "s"
        flags: list[tuple[str, Expr]] = []
        for numbers, indices in late.items():  # what all have has named most of it by now
            modules = [[own.module for _, own in owned_by[index]] for index in indices]
            joint = any(steps[index].key[0] == "f" for index in indices)
            condition = None
            if flat:
                condition = namer.condition(numbers, *modules)
            elif all(len(set(map(skeleton, own))) == 1 for own in modules):
                condition = namer.expressed(numbers, *modules, joint=joint)
            flag = ""
            if condition is not None and not flat and (len(indices) > 1 or joint):
                flag = namer.flag(numbers, [steps[index] for index in indices])
                flags.append((flag, condition))
            for index in indices:
                owned = owned_by[index]
                step = merged[index].replace(
                    function=namer.merge([own.function for _, own in owned], stored=True), flag=flag
                )
                if condition is None:
                    module_args.append(Argument(step.attribute, (), optional=True))
                    for number, own in owned:
                        there = own.module if step.key[0] == "m" else self.dialect.identity
                        assert there is not None
                        given[number][step.attribute] = there
                elif step.key[0] == "f":
                    step = step.replace(attribute="", argument=False)
                else:
                    module = namer.partial(numbers, [own.module for _, own in owned])
                    step = step.replace(module=module, condition=condition, argument=False)
                merged[index] = step
        arguments = namer.arguments(module_args)
        self.classes.append(
            ClassPlan(
                name,
                first,
                arguments,
                tuple(merged),
                self.input_names(first),
                outputs,
                flat,
                namer.stored,
                tuple(flags),
                len(members),
            )
        )
        for number, (body, _) in enumerate(members):
            self.calls[body.scope.path] = Call(
                name, (*self.call_args(arguments, number, given[number]), *self.dialect.options)
            )

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
        if label.isdigit():
            label = f"Steps{label}"
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


def item_path(item: str | Scope) -> str:
    """Return the path of a node or scope in the module tree."""
    return item.path if isinstance(item, Scope) else item
