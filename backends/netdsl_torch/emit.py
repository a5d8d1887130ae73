"""A net to the source of a PyTorch module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from netdsl.backend import Backend, missing
from netdsl.emission.code import (
    Arg,
    Call,
    Const,
    Context,
    Expr,
    Listed,
    Name,
    Param,
    transform,
)
from netdsl.emission.constants import lower_all, mark
from netdsl.emission.dialect import Dialect
from netdsl.emission.factor import Factory
from netdsl.emission.plan import ClassPlan
from netdsl.emission.source import Source, checked, unused
from netdsl.emission.writer import INDENT, layout
from netdsl.ir.graph import Node
from netdsl.ir.types import Init
from netdsl.network import Network
from netdsl.ops.attention import Attention
from netdsl.ops.source import Weight
from netdsl.passes.inplace import overwriting
from netdsl_torch.lowering import DEFAULT_INITS, HELPERS, LOWERINGS, init_call

DIALECT = Dialect(
    array="Tensor",
    layer="nn.Module",
    module="nn.Module",
    call="forward",
    training="self.training",
    sequential="nn.Sequential",
    named=("nn.Sequential", "OrderedDict"),
    identity=Call("nn.Identity"),
    nothing="None",
    typed=frozenset({"F.relu", "torch.cat", "torch.sigmoid", "torch.tanh"})
    | {"channel_shuffle", "max_pool2d_same", "avg_pool2d_same", "center_crop", "upsample2d"},
)


def emit(net: Network, backend: Backend, inplace: bool = True) -> str:
    """Return the source; NetError at the layers of ops that torch lacks."""
    missing(net, backend)
    checked(net)
    writing = overwriting(net.graph) if inplace else frozenset()
    lowered, arguments = mark(net, lambda n, known: lower_all(n, LOWERINGS, writing, known), _init_calls)
    plan = Factory(net, lowered, _init_calls(net), DIALECT, writing).plan()
    return "\n".join(TorchSource(net, plan, arguments).lines()) + "\n"


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
    name = str(lowered.module.func) if isinstance(lowered.module, Call) else ""
    return "nn.Conv2d" if name == "Conv2dSame" else name  # a subclass: one rule is for both


# ---------------------------------------------------------------- text


class TorchSource(Source):
    """The text of one nn.Module."""

    dialect = DIALECT

    def imports(self, text: str) -> Iterator[str]:
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

    def helpers(self, text: str) -> list[str]:
        """Return the classes and functions that torch has not."""
        sources: list[str] = []
        for name, source in reversed(HELPERS.items()):  # a helper uses those above it
            if re.search(rf"\b{name}\(", text):
                sources.insert(0, source)
                text += source
        return sources

    def settled(self, plan: ClassPlan) -> Iterator[str]:
        """Yield the statements for initial weights."""
        inner = 2 * INDENT
        for number, step in enumerate(plan.steps):
            for init in step.inits:
                path = str(number) if plan.sequential else step.attribute
                yield from layout("", located(init, path, plan.sequential), "", inner)
        if plan.scope.kind == "net":
            yield from self.initialise()

    def initialise(self) -> list[str]:
        """Return the loop that gives all layers their initial weights, and what it must not touch after it."""
        inner = 2 * INDENT
        lines: list[str] = []
        module, path = unused("m", self.arguments), unused("name", self.arguments)
        for number, (name, rule) in enumerate(_rules(self.net).items()):
            if not number:
                lines.append(f"{inner}for {module} in self.modules():")
            # attention's own projection is of a class derived from nn.Linear, and no fc
            exact = name == "nn.Linear" and any(isinstance(node.op, Attention) for node in self.net.graph)
            test = f"type({module}) is {name}" if exact else f"isinstance({module}, {name})"
            lines.append(f"{inner}{INDENT}{'elif' if number else 'if'} {test}:")
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
