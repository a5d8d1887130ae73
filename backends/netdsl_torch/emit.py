"""A net to the source of a PyTorch module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap

from netdsl import __version__
from netdsl.backend import Backend, missing
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.emission.code import (
    Arg,
    Call,
    Comment,
    Const,
    Context,
    Expr,
    Listed,
    Lowered,
    Name,
    Param,
    transform,
)
from netdsl.emission.constants import mark
from netdsl.emission.factor import Factory
from netdsl.emission.forward import Forward
from netdsl.emission.inplace import overwriting
from netdsl.emission.plan import Argument, Chain, ClassPlan, Plan
from netdsl.emission.writer import INDENT, WIDTH, Repeat, constant, flat, fold, layout, signature
from netdsl.ir.graph import Node
from netdsl.ir.types import Init
from netdsl.network import Network
from netdsl.ops.source import Weight
from netdsl_torch.lowering import DEFAULT_INITS, HELPERS, LOWERINGS, init_call

SEQUENTIAL = "nn.Sequential"
_TYPED = frozenset({"F.relu", "torch.cat", "torch.sigmoid", "torch.tanh", "channel_shuffle"})


def emit(net: Network, backend: Backend, inplace: bool = True) -> str:
    """Return the source; NetError at the layers of ops that torch lacks."""
    missing(net, backend)
    _check(net)
    writing = overwriting(net.graph) if inplace else frozenset()
    lowered, arguments = mark(net, lambda n: _lower_all(n, writing), _init_calls)
    factory = Factory(net, lowered, _init_calls(net), SEQUENTIAL, "nn.Identity", writing)
    plan = factory.plan()
    return "\n".join(Source(net, plan, arguments).lines()) + "\n"


def _check(net: Network) -> None:
    """Refuse what no module can be written for."""
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


def _lower_all(net: Network, writing: frozenset[str]) -> dict[str, Lowered]:
    lowered = {}
    for node in net.graph:
        batched = tuple(not isinstance(net.graph[value.node].op, Weight) for value in node.inputs)
        context = Context(
            net.inputs_of(node.name), net.outputs_of(node.name), node.name in writing, batched or (True,)
        )
        lowered[node.name] = LOWERINGS[type(node.op)](node.op, context)
    return lowered


# ---------------------------------------------------------------- initial weights


def _init_calls(net: Network) -> dict[str, tuple[Expr, ...]]:
    """Return, by node, the statements for initial weights that the loop over all modules does not make."""
    calls: dict[str, tuple[Expr, ...]] = {}
    for node in net.graph:
        if not node.op.inits:
            continue
        rule = _rule(net, node)
        own = {k: v for k, v in node.op.inits.items() if rule.get(k) != v}
        weight, bias = DEFAULT_INITS.get(node.op.name, ("", ""))
        own = {k: v for k, v in own.items() if v.kind != {"weight": weight, "bias": bias}.get(k)}
        if isinstance(node.op, Weight):
            own = {k: v for k, v in own.items() if v.kind not in ("zeros", "ones", "constant")}
        if own and not rule:
            calls[node.name] = tuple(init_call(init, Param(key)) for key, init in own.items())
    return calls


def _rule(net: Network, node: Node) -> Mapping[str, Init]:
    """Return what the loop over all modules does to a node."""
    return net.elaborated.inits.get(node.op.inherits or node.op.name, {})


def _exceptions(net: Network) -> dict[Init, list[str]]:
    """Return the parameters that the loop would start otherwise than the spec says, by how they start."""
    found: dict[Init, list[str]] = {}
    for node in net.graph:
        rule = _rule(net, node)
        for key, init in node.op.inits.items():
            if rule and rule.get(key) != init:
                found.setdefault(init, []).append(f"{node.name}.{key}")
    return found


def _rules(net: Network) -> dict[str, dict[str, tuple[Init, bool]]]:
    """Return torch class to parameter to initialiser, and whether some layers lack the parameter."""
    rules: dict[str, dict[str, tuple[Init, bool]]] = {}
    have: dict[str, set[str]] = {}
    for node in net.graph:
        rule = _rule(net, node)
        if not rule:
            continue
        weights = node.op.weights(*net.inputs_of(node.name))
        name = _torch_class(net, node)
        have.setdefault(name, set()).update(weights)
        for key, init in rule.items():
            # nn.Conv2d's bias is typed as one that may lack
            lacking = key not in weights or (name, key) == ("nn.Conv2d", "bias")
            before = rules.setdefault(name, {}).get(key, (init, False))
            rules[name][key] = (init, lacking or before[1])
    # a parameter that no layer of the class has needs no rule
    kept = {name: {k: v for k, v in rule.items() if k in have[name]} for name, rule in rules.items()}
    return {name: rule for name, rule in kept.items() if rule}


def _torch_class(net: Network, node: Node) -> str:
    lowered = LOWERINGS[type(node.op)](node.op, Context(net.inputs_of(node.name), net.outputs_of(node.name)))
    return str(lowered.module.func) if isinstance(lowered.module, Call) else ""


# ---------------------------------------------------------------- text


class Source:
    """The text of one module."""

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
        yield from wrap(facts, WIDTH, break_long_words=False, break_on_hyphens=False)
        yield '"""'
        yield ""

    @staticmethod
    def imports(text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""
        standard = [
            line
            for name, line in (
                ("OrderedDict(", "from collections import OrderedDict"),
                ("NamedTuple", "from typing import NamedTuple"),
            )
            if name in text
        ]
        if standard:
            yield from [*standard, ""]
        if "torch." in text:
            yield "import torch"
        yield "from torch import Tensor, nn" if "Tensor" in text else "from torch import nn"
        if "F." in text:
            yield "from torch.nn import functional as F"
        yield ""
        yield ""

    def body(self) -> Iterator[str]:
        """Yield helpers, outputs, classes and the factory, two empty lines between."""
        classes = [list(self.one_class(plan)) for plan in self.plan.classes]
        text = "\n".join(line for lines in classes for line in lines)
        needed = [source for name, source in HELPERS.items() if re.search(rf"\b{name}\(", text)]
        parts = [source.rstrip("\n").split("\n") for source in needed]
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
        for output in self.net.graph.outputs:
            optional = output.train and len(kept) > 1
            yield f"{INDENT}{output.name}: {'Tensor | None' if optional else 'Tensor'}"

    def one_class(self, plan: ClassPlan) -> Iterator[str]:
        """Yield a class."""
        is_net = plan.scope.kind == "net"
        yield f"class {plan.name}({SEQUENTIAL if plan.sequential else 'nn.Module'}):"
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
        inner = 2 * INDENT
        lines: list[str] = []
        layers = unused("layers", [a.name for a in plan.arguments])
        if plan.sequential:
            modules = tuple(step.module or Const(None) for step in plan.steps)
            conditions = tuple(step.condition for step in plan.steps)
            if any(conditions):
                lines += listed(layers, modules, conditions, inner)
                lines.append(f"{inner}super().__init__(*{layers})")
            else:
                args = []
                for step, module in zip(plan.steps, modules, strict=True):
                    if step.stage:
                        args.append(Arg("#", Comment(step.stage), keyword=False))
                    args.append(Arg("", sequences(module), keyword=False))
                lines += layout(
                    "", Call("super().__init__", tuple(fold(args))), "", inner, explode=len(args) > 1
                )
        else:
            lines.append(f"{inner}super().__init__()")
        for step in plan.steps:
            if plan.sequential or not step.attribute:
                continue
            if step.stage:
                lines.append(f"{inner}# {step.stage}")
            if isinstance(step.module, Chain) and not step.argument:
                lines += listed(layers, step.module.items, step.module.conditions, inner)
                lines.append(f"{inner}self.{step.attribute} = {SEQUENTIAL}(*{layers})")
                continue
            value: Expr = Name(step.attribute) if step.argument else sequences(step.module or Const(None))
            explode = isinstance(value, Call) and value.func == SEQUENTIAL and len(value.args) > 3
            lines += layout(f"self.{step.attribute} = ", value, "", inner, explode)
        lines += [f"{inner}self.{attribute} = {name}" for name, attribute in plan.stored.items()]
        for number, step in enumerate(plan.steps):
            for init in step.inits:
                path = str(number) if plan.sequential else step.attribute
                lines += layout("", located(init, path, plan.sequential), "", inner)
        if is_net:
            lines += self.initialise()
        if len(lines) > 1 or plan.sequential:
            yield from signature("__init__", parameters, "None", INDENT)
            yield from lines

    @staticmethod
    def parameter(argument: Argument) -> str:
        """Return a parameter of `__init__`."""
        if not argument.values:
            return f"{argument.name}: {argument.type}" + (" = None" if argument.optional else "")
        default = f" = {constant(argument.default.value)}" if argument.default is not None else ""
        return f"{argument.name}: {argument.type}{default}"

    def initialise(self) -> list[str]:
        """Return the loop that gives all layers their initial weights, and what it must not touch after it."""
        inner = 2 * INDENT
        lines: list[str] = []
        module, path = unused("m", self.arguments), unused("name", self.arguments)
        for number, (name, rule) in enumerate(_rules(self.net).items()):
            if not number:
                lines.append(f"{inner}for {module} in self.modules():")
            lines.append(f"{inner}{INDENT}{'elif' if number else 'if'} isinstance({module}, {name}):")
            for key, (init, lacking) in rule.items():
                deeper = inner + 2 * INDENT
                if lacking:
                    lines.append(f"{deeper}if {module}.{key} is not None:")
                    deeper += INDENT
                lines += layout("", init_call(init, Name(f"{module}.{key}")), "", deeper)
        for init, paths in _exceptions(self.net).items():
            if len(paths) == 1:
                target: Expr = get_parameter(Const(paths[0]))
                lines += layout("", init_call(init, target), "", inner)
                continue
            names = Listed(tuple(Const(path) for path in paths), "()")
            lines += layout(f"for {path} in ", names, ":", inner)
            lines += layout("", init_call(init, get_parameter(Name(path))), "", inner + INDENT)
        return lines

    def forward(self, plan: ClassPlan) -> Iterator[str]:
        """Yield `forward`."""
        is_net = plan.scope.kind == "net"
        outputs = self.net.graph.outputs
        record = f"{plan.name}Outputs" if is_net and len(outputs) > 1 else ""
        result = "Tensor" if len(plan.outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(plan.outputs))}]"
        if record:
            kept = [o for o in outputs if not o.train]
            result = record if len(kept) > 1 else f"Tensor | {record}"
        yield from signature(
            "forward", ["self", *(f"{name}: Tensor" for name in plan.inputs)], result, INDENT
        )
        only_training = tuple(o.train for o in outputs) if record else ()
        yield from Forward(plan, _TYPED, record, only_training).lines(2 * INDENT)

    def factory(self) -> Iterator[str]:
        """Yield the function named as the variant."""
        net = self.net
        parameters = [f"{n}: {type(v).__name__} = {constant(v)}" for n, v in self.arguments.items()]
        yield from signature(net.name, parameters, net.class_name, "")
        yield f'{INDENT}"""Return a new {net.name}, with random weights."""'
        yield f"{INDENT}return {net.class_name}({', '.join(self.arguments)})"


def listed(
    name: str, modules: tuple[Expr, ...], conditions: tuple[Expr | None, ...], indent: str
) -> Iterator[str]:
    """Yield the statements that build a list of layers, some of its elements under a condition."""
    run: list[Expr] = []
    started = False

    def flush() -> Iterator[str]:
        nonlocal started
        if run or not started:
            operator = "+=" if started else "="
            annotation = "" if started else ": list[nn.Module]"
            yield from layout(f"{name}{annotation} {operator} ", Listed(tuple(run), "[]"), "", indent)
        run.clear()
        started = True

    for module, condition in zip(modules, conditions, strict=True):
        if condition is None:
            run.append(sequences(module))
            continue
        yield from flush()
        yield f"{indent}if {flat(condition)}:"
        append = Call(f"{name}.append", (Arg("", sequences(module), keyword=False),))
        yield from layout("", append, "", indent + INDENT)
    if run:
        yield from flush()


def unused(name: str, taken: Iterable[str]) -> str:
    """Return a name for a local variable that is no argument."""
    while name in taken:
        name += "_"
    return name


def get_parameter(path: Expr) -> Call:
    """Return `self.get_parameter(path)`."""
    return Call("self.get_parameter", (Arg("target", path, keyword=False),))


def located(init: Expr, path: str, sequential: bool) -> Expr:
    """Return an initialising statement with its parameter as an attribute, or by its path where it lies deeper."""

    def change(expr: Expr) -> Expr | None:
        if not isinstance(expr, Param):
            return None
        if sequential or "." in expr.path:
            return get_parameter(Const(f"{path}.{expr.path}"))
        return Name(f"self.{path}.{expr.path}" if expr.path else f"self.{path}")

    return transform(init, change)


def sequences(expr: Expr) -> Expr:
    """Return a construction with its Sequentials written out: runs as loops, labels as an OrderedDict."""

    def change(e: Expr) -> Expr | None:
        if not isinstance(e, Call) or e.func != SEQUENTIAL:
            return None
        args = [arg.replace(value=sequences(arg.value)) for arg in e.args]
        names = [arg.role for arg in args if arg.role != "#"]
        if all(name.isdigit() for name in names):
            return Call(SEQUENTIAL, tuple(fold(args)))
        entries = [
            arg if arg.role == "#" else arg.replace(value=Listed((Const(arg.role), arg.value), "()"))
            for arg in args
        ]
        folded = [arg.value for arg in fold(entries)]
        listed: Expr = Listed(tuple(folded), "[]")
        if len(folded) == 1 and isinstance(folded[0], Repeat):
            listed = folded[0].replace(star=False)
        ordered = Call("OrderedDict", (Arg("items", listed, keyword=False),))
        return Call(SEQUENTIAL, (Arg("modules", ordered, keyword=False),))

    return transform(expr, change)
