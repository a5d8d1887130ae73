"""A net to the source of a PyTorch module."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netdsl.backend import Backend, missing
from netdsl.elaborate.values import BlockDecl, OpValue
from netdsl.emission.code import Arg, Call, Const, Context, Expr, Lowered, Name, Param
from netdsl.emission.dialect import Dialect
from netdsl.emission.family import Family
from netdsl.emission.function import Function
from netdsl.emission.items import Container, Item, Layer, Module, Parameter, Staged, walk
from netdsl.emission.members import Members
from netdsl.emission.module import ModuleText, checked, unused
from netdsl.emission.writer import INDENT, layout, shown
from netdsl.ir.types import Init, Shape
from netdsl.network import Network
from netdsl.ops.attention import Attention
from netdsl.ops.source import Weight
from netdsl.symbolic import text as symbol_text
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
    table="nn.ModuleDict",
    typed=frozenset({"F.relu", "torch.cat", "torch.sigmoid", "torch.tanh"})
    | {"channel_shuffle", "max_pool2d_same", "avg_pool2d_same", "center_crop", "upsample2d"},
)


def emit(net: Network, backend: Backend, inplace: bool = True, low_memory: bool = False) -> str:
    """Return the source; NetError at the layers of ops that torch lacks."""
    missing(net, backend)
    checked(net)
    return "\n".join(TorchText(Family([net]), inplace, low_memory).lines()) + "\n"


class TorchText(ModuleText):
    """The text of nn.Modules."""

    dialect = DIALECT
    lowerings = LOWERINGS

    def constructed(self, item: Layer, lowered: Lowered) -> Expr:
        """Return the call of an argument that makes a norm or an activation: with the channels, if it has any."""
        assert isinstance(lowered.module, Call)
        assert item.given is not None
        sizes = tuple(arg for arg in lowered.module.args if not arg.keyword)
        return Call(symbol_text(item.given.whole), sizes)

    def argument(self, value: OpValue) -> Expr:
        """Return a norm or an activation as what makes it."""
        call = self.example(value)
        options = tuple(arg for arg in shown(call.args) if arg.keyword)
        func = call.func.value if isinstance(call.func, Const) else call.func
        name = Name(str(func))
        if not options:
            return name
        return Call("partial", (Arg("", name, keyword=False), *options))

    def example(self, value: OpValue) -> Call:
        """Return the construction of an op that is an argument."""
        assert not isinstance(value.target, BlockDecl)
        fields = {k: g.value for k, g in value.args.items() if k in value.target._fields}
        item = Layer("", None, False, None, ())  # type: ignore[arg-type]
        item.op = value.target(**fields)
        item.before = item.after = (Shape(1, 1, 1),)
        module = self.lowerings[value.target](item.op, Context(item.before, item.after)).module
        assert isinstance(module, Call)
        return module

    def annotation(self, parameter: Parameter, targets: Iterable[OpValue | None]) -> str:
        """Return `Callable[..., X]`, with the classes that it may make."""
        made: dict[str, None] = {}
        lacking = ""
        for value in targets:
            if value is None:
                lacking = " | None"
            elif isinstance(value.target, BlockDecl):
                made.update(dict.fromkeys(s.name for s in self.family.classes if s.decl is value.target))
            else:
                made["nn.Module"] = None
        return f"Callable[..., {' | '.join(made) or 'nn.Module'}]{lacking}"

    # ---------------------------------------------------------------- initial weights

    def rules(self) -> Mapping[str, Mapping[str, Init]]:
        """Return what `init` lines of the net and its file say, by op."""
        return self.net.elaborated.inits

    def rule(self, item: Layer) -> Mapping[str, Init]:
        """Return what the loop over all modules does to a layer."""
        return self.rules().get(item.op.inherits or item.op.name, {})

    def initial(self, item: Layer) -> Iterator[Expr]:
        """Yield the statements for initial weights that the loop over all modules does not make."""
        if self.rule(item):
            return
        for key, init in self.special(item).items():
            yield init_call(init, Param(key))

    def special(self, item: Layer) -> dict[str, Init]:
        """Return how a layer's weights start where that is neither torch's way nor the loop's."""
        rule = self.rule(item)
        own = {k: v for k, v in item.op.inits.items() if rule.get(k) != v}
        weight, bias = DEFAULT_INITS.get(item.op.name, ("", ""))
        own = {k: v for k, v in own.items() if v.kind != {"weight": weight, "bias": bias}.get(k)}
        if isinstance(item.op, Weight):
            own = {k: v for k, v in own.items() if v.kind not in ("zeros", "ones", "constant")}
        return own

    def settled(self, function: Function, members: Members) -> Iterator[str]:
        """Yield the statements for initial weights."""
        if function.kind == "net":
            yield from self.initialise(function.staged)

    def reached(self, staged: Staged) -> Iterator[tuple[Staged, Layer]]:
        """Yield the layers of a net's classes."""
        for cls in self.family.classes:
            if cls.kind == "net" and cls is not staged:
                continue
            for item in walk(cls.items):
                if isinstance(item, Layer):
                    yield cls, item

    def torch_rules(self, staged: Staged) -> dict[str, dict[str, tuple[Init, bool]]]:
        """Return torch class to parameter to initialiser, and whether some layers lack the parameter."""
        rules: dict[str, dict[str, tuple[Init, bool]]] = {}
        have: dict[str, set[str]] = {}
        for _, item in self.reached(staged):
            rule = self.rule(item)
            if not rule:
                continue
            weights = item.op.weights(*item.before)
            name = self.torch_class(item)
            have.setdefault(name, set()).update(weights)
            for key, init in rule.items():
                # nn.Conv2d's bias is typed as one that may lack
                lacking = key not in weights or (name, key) == ("nn.Conv2d", "bias")
                before = rules.setdefault(name, {}).get(key, (init, False))
                rules[name][key] = (init, lacking or before[1])
        # a parameter that no layer of the class has needs no rule
        kept = {name: {k: v for k, v in rule.items() if k in have[name]} for name, rule in rules.items()}
        return {name: rule for name, rule in kept.items() if rule}

    def torch_class(self, item: Layer) -> str:
        """Return the class of a layer."""
        module = self.lower(item, False).module
        name = str(module.func) if isinstance(module, Call) else ""
        return "nn.Conv2d" if name == "Conv2dSame" else name  # a subclass: one rule is for both

    def initialise(self, staged: Staged) -> list[str]:
        """Return the loop that gives all layers their initial weights, and what begins otherwise."""
        inner = 2 * INDENT
        lines: list[str] = []
        module = unused("m", [p.name for p in staged.params])
        for number, (name, rule) in enumerate(self.torch_rules(staged).items()):
            if not number:
                lines.append(f"{inner}for {module} in self.modules():")
            # attention's own projection is of a class derived from nn.Linear, and no fc
            exact = name == "nn.Linear" and any(isinstance(i.op, Attention) for _, i in self.reached(staged))
            test = f"type({module}) is {name}" if exact else f"isinstance({module}, {name})"
            lines.append(f"{inner}{INDENT}{'elif' if number else 'if'} {test}:")
            for key, (init, lacking) in rule.items():
                deeper = inner + 2 * INDENT
                if lacking:
                    lines.append(f"{deeper}if {module}.{key} is not None:")
                    deeper += INDENT
                lines += layout("", init_call(init, Name(f"{module}.{key}")), "", deeper)
        lines += self.exceptions(staged, module)
        return lines

    def exceptions(self, staged: Staged, module: str) -> list[str]:
        """Return what a layer's own line, or its block's, says otherwise than the loop."""
        found: dict[int, tuple[Staged, list[tuple[Layer, str, Init]]]] = {}
        for cls, item in self.reached(staged):
            rule = self.rule(item)
            for key, init in item.op.inits.items():
                if rule and rule.get(key) != init:
                    found.setdefault(id(cls), (cls, []))[1].append((item, key, init))
        lines: list[str] = []
        inner = 2 * INDENT
        for cls, layers in found.values():
            own = "self" if cls is staged else module
            if cls is not staged:
                lines.append(f"{inner}for {module} in self.modules():")
                lines.append(f"{inner}{INDENT}if isinstance({module}, {cls.name}):")
            indent = inner if cls is staged else inner + 2 * INDENT
            for item, key, init in layers:
                path = f"{self.path(cls, item)}.{key}"
                target = Name(f"{own}{path}")
                if path.startswith("["):  # a Sequential does not say what its elements are
                    target = Name(f'{own}.get_parameter("{path[1:].replace("]", "")}")')
                lines += layout("", init_call(init, target), "", indent)
        return lines

    def path(self, cls: Staged, item: Layer) -> str:
        """Return where a layer is in its class: `.fc`, `[1]`."""
        path = _path(cls.items, item)
        assert path is not None
        return path

    # ---------------------------------------------------------------- text

    def imports(self, text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""
        standard = [
            line
            for name, line in (
                ("math.", "import math"),
                ("OrderedDict", "from collections import OrderedDict"),
                ("Callable[", "from collections.abc import Callable"),
                ("partial(", "from functools import partial"),
                ("NamedTuple", "from typing import NamedTuple"),
            )
            if re.search(rf"(?<![\w.]){re.escape(name)}", text)
        ]
        if standard:
            yield from [*standard, ""]
        if "torch." in text:
            yield "import torch"
        yield "from torch import Tensor, nn" if "Tensor" in text else "from torch import nn"
        if re.search(r"(?<![\w.])F\.", text):
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


def _path(items: list[Item], wanted: Layer) -> str | None:
    """Return where a layer is among items of a class, by attributes and positions."""
    position = 0
    for item in items:
        if item is wanted:
            return f"[{position}]" if not item.labelled or item.key.isdigit() else f".{item.key}"
        if isinstance(item, Container):
            inner = _path(item.items, wanted)
            if inner is not None:
                return (f"[{position}]" if item.key.isdigit() else f".{item.key}") + inner
        elif not isinstance(item, Module):
            for items_within in item.inner():
                inner = _path(items_within, wanted)
                if inner is not None:
                    return inner
        if isinstance(item, Module):
            position += 1
    return None
