"""The text of an emitted file: header, imports, classes and factory, in the words of a dialect."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from textwrap import wrap
from typing import ClassVar

from netdsl import __version__
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.emission.code import Arg, Call, Comment, Const, Expr, Listed, Name, transform
from netdsl.emission.dialect import Dialect
from netdsl.emission.forward import Forward
from netdsl.emission.plan import Argument, Chain, ClassPlan, Plan, Step
from netdsl.emission.writer import INDENT, WIDTH, Repeat, constant, flat, fold, layout, signature
from netdsl.network import Network


def checked(net: Network) -> None:
    """Refuse a net that no module can be written for."""
    for scope in net.graph.tree.scopes():
        if scope.block == net.name:
            help = "name nets and blocks in CamelCase, instances in lower case"
            message = f"a {scope.kind} and the instance are both called `{net.name}`"
            raise NetError([Diagnostic("E219", message, scope.span, help=help)])
        inner = [name for name in scope.nodes() if net.graph[name].train]
        if scope.kind == "net" or not inner or len(inner) == len(list(scope.nodes())):
            continue
        message = f"a training-only output inside {scope.path} cannot be written as a module"
        help = "write the `train output` line in the net's own body"
        raise NetError([Diagnostic("E508", message, net.graph[inner[0]].span, help=help)])


class Source(ABC):
    """The text of one module. A backend adds what only its framework has."""

    dialect: ClassVar[Dialect]

    def __init__(self, net: Network, plan: Plan, arguments: Mapping[str, object]) -> None:
        """`arguments` are the net's parameters that stay arguments, with their values."""
        self.net = net
        self.plan = plan
        self.arguments = arguments

    def lines(self) -> Iterator[str]:
        """Yield the file line by line: header, imports, helpers, outputs, classes, factory."""
        body = list(self.body())
        text = "\n".join(body)
        yield from self.header()
        yield from self.imports(text)
        yield from body

    def header(self) -> Iterator[str]:
        """Yield the docstring."""
        net = self.net
        inputs = ", ".join(str(s) if n == "x" else f"{n} {s}" for n, s in net.inputs.items())
        outputs = ", ".join(str(s) if n == "out" else f"{n} {s}" for n, s in net.outputs.items())
        params = sum(cost.params for cost in net.layer_costs.values())
        macs = sum(cost.macs for name, cost in net.layer_costs.items() if not net.graph[name].train)
        yield f'"""{net.name}: {net.class_name} of {constant(net.spec)[1:-1]}, compiled by netdsl {__version__}.'
        yield ""
        facts = f"Input {inputs}, output {outputs}; {params:,} parameters, {macs:,} MACs a sample."
        yield from wrap(facts + self.dialect.layout, WIDTH, break_long_words=False, break_on_hyphens=False)
        yield '"""'
        yield ""

    @abstractmethod
    def imports(self, text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""

    @abstractmethod
    def helpers(self, text: str) -> list[str]:
        """Return the definitions that the text needs and the framework has not."""

    def settled(self, plan: ClassPlan) -> Iterator[str]:
        """Yield the last statements of a class's constructor."""
        return iter(())

    def body(self) -> Iterator[str]:
        """Yield helpers, outputs, classes and the factory, two empty lines between."""
        classes = [list(self.one_class(plan)) for plan in self.plan.classes]
        text = "\n".join(line for lines in classes for line in lines)
        parts = [source.rstrip("\n").split("\n") for source in self.helpers(text)]
        if len(self.net.graph.outputs) > 1:
            parts.append(list(self.outputs()))
        parts += [*classes, list(self.factory())]
        for number, part in enumerate(parts):
            if number:
                yield ""
                yield ""
            yield from part

    def outputs(self) -> Iterator[str]:
        """Yield the NamedTuple of several outputs."""
        yield f"class {self.net.class_name}Outputs(NamedTuple):"
        yield f'{INDENT}"""What {self.net.class_name} returns."""'
        yield ""
        kept = [o for o in self.net.graph.outputs if not o.train]
        array = self.dialect.array
        for output in self.net.graph.outputs:
            optional = output.train and len(kept) > 1
            yield f"{INDENT}{output.name}: {array}{' | None' if optional else ''}"

    def one_class(self, plan: ClassPlan) -> Iterator[str]:
        """Yield a class."""
        is_net = plan.scope.kind == "net"
        yield f"class {plan.name}({self.dialect.sequential if plan.sequential else self.dialect.module}):"
        yield f'{INDENT}"""{self.describe(plan)}"""'
        yield ""
        init = list(self.constructor(plan, is_net))
        yield from init
        if not plan.sequential:
            if init:
                yield ""
            yield from self.forward(plan)

    def describe(self, plan: ClassPlan) -> str:
        """Return a class's docstring."""
        what = {"net": "Net", "block": "Block", "container": "Container"}[plan.scope.kind]
        name = plan.scope.block or plan.scope.name
        return f"{what} {name} of {constant(self.net.spec)[1:-1]}."

    def constructor(self, plan: ClassPlan, is_net: bool) -> Iterator[str]:
        """Yield `__init__`."""
        parameters = ["self", *(self.parameter(a) for a in plan.arguments)]
        if is_net:
            parameters += [f"{n}: {type(v).__name__} = {constant(v)}" for n, v in self.arguments.items()]
        parameters += self.dialect.parameters
        inner = 2 * INDENT
        lines: list[str] = []
        layers = unused("layers", [a.name for a in plan.arguments])
        if plan.sequential:
            modules = tuple(step.module or Const(None) for step in plan.steps)
            conditions = tuple(step.condition for step in plan.steps)
            if any(conditions):
                lines += self.listed(layers, modules, conditions, inner)
                lines.append(f"{inner}super().__init__(*{layers})")
            else:
                args = []
                for step, module in zip(plan.steps, modules, strict=True):
                    if step.stage:
                        args.append(Arg("#", Comment(step.stage), keyword=False))
                    args.append(Arg("", self.sequences(module), keyword=False))
                lines += layout(
                    "", Call("super().__init__", tuple(fold(args))), "", inner, explode=len(args) > 1
                )
        elif self.dialect.initialised:
            lines.append(f"{inner}super().__init__()")
        for name, value in plan.flags:
            lines += layout(f"self.{name} = ", value, "", inner)
        made = [step for step in plan.steps if step.attribute and not plan.sequential]
        made.sort(key=lambda step: step.place)
        for flag, run in groupby(made, key=lambda step: step.flag):
            if flag:
                lines.append(f"{inner}if self.{flag}:")
            for step in run:
                lines += self.made(step, layers, inner + INDENT if flag else inner)
        lines += [f"{inner}self.{attribute} = {name}" for name, attribute in plan.stored.items()]
        lines += self.settled(plan)
        if self.dialect.parameters and not lines:
            lines = [f'{inner}"""Make it; it has no layers."""']
        if len(lines) > self.dialect.initialised or plan.sequential:
            yield from signature("__init__", parameters, "None", INDENT)
            yield from lines

    def made(self, step: Step, layers: str, indent: str) -> Iterator[str]:
        """Yield the statements that make one child."""
        if step.stage:
            yield f"{indent}# {step.stage}"
        if step.condition is not None and not step.flag:
            nothing = self.dialect.nothing
            yield f"{indent}self.{step.attribute}: {self.dialect.layer} | None = {nothing}"
            yield f"{indent}if {flat(step.condition)}:"
            indent += INDENT
        if isinstance(step.module, Chain) and not step.argument:
            yield from self.listed(layers, step.module.items, step.module.conditions, indent)
            yield f"{indent}self.{step.attribute} = {self.dialect.sequential}(*{layers})"
            return
        value = Name(step.attribute) if step.argument else self.sequences(step.module or Const(None))
        explode = isinstance(value, Call) and value.func == self.dialect.sequential and len(value.args) > 3
        yield from layout(f"self.{step.attribute} = ", value, "", indent, explode)

    def parameter(self, argument: Argument) -> str:
        """Return a parameter of `__init__`."""
        if not argument.values:
            return f"{argument.name}: {self.dialect.layer}" + (" | None = None" if argument.optional else "")
        default = f" = {constant(argument.default.value)}" if argument.default is not None else ""
        return f"{argument.name}: {argument.type}{default}"

    def forward(self, plan: ClassPlan) -> Iterator[str]:
        """Yield `forward`."""
        is_net = plan.scope.kind == "net"
        outputs = self.net.graph.outputs
        record = f"{plan.name}Outputs" if is_net and len(outputs) > 1 else ""
        array = self.dialect.array
        result = array if len(plan.outputs) == 1 else f"tuple[{', '.join([array] * len(plan.outputs))}]"
        if record:
            kept = [o for o in outputs if not o.train]
            result = record if len(kept) > 1 else f"{array} | {record}"
        parameters = ["self", *(f"{name}: {array}" for name in plan.inputs)]
        yield from signature(self.dialect.call, parameters, result, INDENT)
        only_training = tuple(o.train for o in outputs) if record else ()
        yield from Forward(plan, self.dialect, record, only_training).lines(2 * INDENT)

    def factory(self) -> Iterator[str]:
        """Yield the function named as the variant."""
        net = self.net
        parameters = [f"{n}: {type(v).__name__} = {constant(v)}" for n, v in self.arguments.items()]
        parameters += self.dialect.parameters
        yield from signature(net.name, parameters, net.class_name, "")
        yield f'{INDENT}"""Return a new {net.name}, with random weights."""'
        arguments = [*(Arg(n, Name(n), keyword=False) for n in self.arguments), *self.dialect.options]
        yield from layout("return ", Call(net.class_name, tuple(arguments)), "", INDENT)

    def listed(
        self, name: str, modules: tuple[Expr, ...], conditions: tuple[Expr | None, ...], indent: str
    ) -> Iterator[str]:
        """Yield the statements that build a list of layers, some of its elements under a condition."""
        annotation = f": list[{self.dialect.layer}]"
        if conditions[0] is not None:
            yield f"{indent}{name}{annotation} = []"
        pairs = zip(conditions, map(self.sequences, modules), strict=True)
        for number, (condition, run) in enumerate(groupby(pairs, key=lambda pair: pair[0])):
            inner = indent
            if condition is not None:
                yield f"{indent}if {flat(condition)}:"
                inner += INDENT
            own = [Arg("", module, keyword=False) for _, module in run]
            started = number > 0 or condition is not None
            if started and len(own) == 1:
                yield from layout("", Call(f"{name}.append", tuple(own)), "", inner)
            else:
                head = f"{name} += " if started else f"{name}{annotation} = "
                yield from layout(head, Listed(tuple(arg.value for arg in fold(own)), "[]"), "", inner)

    def sequences(self, expr: Expr) -> Expr:
        """Return a construction with its Sequentials written out: runs as loops, labels as an OrderedDict."""

        def change(e: Expr) -> Expr | None:
            if not isinstance(e, Call) or e.func != self.dialect.sequential:
                return None
            args = [arg.replace(value=self.sequences(arg.value)) for arg in e.args]
            names = [arg.role for arg in args if arg.role != "#"]
            if all(name.isdigit() for name in names):
                return Call(self.dialect.sequential, tuple(fold(args)))
            entries = [
                arg if arg.role == "#" else arg.replace(value=Listed((Const(arg.role), arg.value), "()"))
                for arg in args
            ]
            folded = [arg.value for arg in fold(entries)]
            listed: Expr = Listed(tuple(folded), "[]")
            if len(folded) == 1 and isinstance(folded[0], Repeat):
                listed = folded[0].replace(star=False)
            for call in reversed(self.dialect.named):
                listed = Call(call, (Arg("layers", listed, keyword=False),))
            return listed

        return transform(expr, change)


def unused(name: str, taken: Iterable[str]) -> str:
    """Return a name for a local variable that is no argument."""
    while name in taken:
        name += "_"
    return name
