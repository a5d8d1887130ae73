"""A net to the source of a PyTorch module."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property

from netdsl.backend import missing, spelled
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.values import BlockDecl, OpValue
from netdsl.emission.code import Arg, Call, Const, Expr, Listed, Lowered, Name, Param
from netdsl.emission.concolic import mentioned
from netdsl.emission.construct import located
from netdsl.emission.dialect import Dialect
from netdsl.emission.family import Family
from netdsl.emission.features import Features, entering
from netdsl.emission.flow import Flow
from netdsl.emission.function import Function, expr_names, renamed
from netdsl.emission.items import (
    Child,
    Container,
    Item,
    Layer,
    Module,
    Side,
    Staged,
    is_decided,
    walk,
    weights_of,
)
from netdsl.emission.members import Members
from netdsl.emission.module import ModuleText, checked, unused
from netdsl.emission.replay import Replay
from netdsl.emission.stage import made_op
from netdsl.emission.writer import INDENT, flat, layout, shown, signature
from netdsl.ir.types import DEFAULT_INIT, Init
from netdsl.net import Net
from netdsl.ops.attention import Attention
from netdsl.ops.source import Weight
from netdsl.source import Span
from netdsl.symbolic import Atom, term
from netdsl.symbolic import names as term_names
from netdsl.symbolic import text as symbol_text
from netdsl_torch import Backend
from netdsl_torch.channels_last import channels_last
from netdsl_torch.extras import EXTRAS
from netdsl_torch.lowering import HELPERS, LOWERINGS, MADE_AT_ONCE, init_call, usual_inits


def _registered(name: Expr, module: Expr) -> Expr:
    if isinstance(module, Call) and module.func == "nn.Parameter":
        args = Arg("name", name, keyword=False), Arg("param", module, keyword=False)
        return Call("self.register_parameter", args)
    if isinstance(module, Call) and module.func == "nn.Buffer":
        args = Arg("name", name, keyword=False), Arg("tensor", module, keyword=False)
        return Call("self.register_buffer", args)
    args = Arg("name", name, keyword=False), Arg("module", module, keyword=False)
    return Call("self.add_module", args)


DIALECT = Dialect(
    array="Tensor",
    layer="nn.Module",
    learned="nn.Parameter",
    module="nn.Module",
    call="forward",
    training="self.training",
    multiply="torch.mul",
    compiled="is_scripting()",
    sequential="nn.Sequential",
    named=("nn.Sequential", "OrderedDict"),
    identity=Call("nn.Identity"),
    nothing="None",
    table="nn.ModuleDict",
    final="Final[bool]",
    arithmetic=True,
    register=_registered,
    lists={"list": "nn.ModuleList", "mapping": "nn.ModuleDict", "path": "self.get_submodule({})"},
    typed=frozenset({"F.relu", "torch.cat", "torch.sigmoid", "torch.tanh"})
    | {"channel_shuffle", "max_pool2d_same", "avg_pool2d_same", "center_crop", "upsample2d"},
)


def emit(nets: Sequence[Net], backend: Backend, inplace: bool = True) -> str:
    """Return the source; NetError at the layers of ops that torch lacks."""
    for net in nets:
        missing(net, backend)
        checked(net)
    options = {name: getattr(backend, name) for name in ("features", "remat", "low_memory")}
    family = Family(nets)
    for staged in (variant.staged for variant in family.variants if options["features"]):
        if staged.lists and any(item.ends for item in walk(staged.items)):
            message = f"`features` are maps that stages end with, and {staged.name} hands on lists of streams"
            node = staged.decl.node
            raise NetError([Diagnostic("E508", message, Span(staged.decl.file.source, node.start, node.end))])
    text = TorchText(family, inplace, spelled(backend), **options)
    text.channels_last = backend.deploy and all(map(channels_last, nets))
    return "\n".join(text.lines()) + "\n"


def layers(net: Net, backend: Backend) -> Mapping[str, bool]:
    """Return by node of a net whether it is an nn.Module, or `forward` calls a function; NetError as `emit`."""
    missing(net, backend)
    checked(net)
    text = TorchText(Family([net]))
    replay = Replay(text)
    places = replay.run(text.family.variants[0])
    return {place.name: replay.is_module(place) for place in places if place.name in net.graph}


class TorchText(ModuleText):
    """The text of nn.Modules."""

    dialect = DIALECT
    lowerings = LOWERINGS
    channels_last = False
    """Whether nets keep their maps with the channels last."""

    def constructed(self, item: Layer, lowered: Lowered) -> Expr:
        """Return the call of an argument that makes a norm or an activation: with the channels, if it has any."""
        assert item.given is not None
        return Call(symbol_text(item.given.whole), self.channels_of(item))

    def argument(self, value: OpValue) -> Expr:
        """Return a norm or an activation as what makes it."""
        call = self.example(value)
        assert isinstance(call, Call)
        options = tuple(arg for arg in shown(call.args) if not self.is_open(arg))
        func = call.func.value if isinstance(call.func, Const) else call.func
        name = Name(str(func))
        self.arguments.add(name.text)
        if not options:
            return name
        return Call("partial", (Arg("", name, keyword=False), *options))

    # ---------------------------------------------------------------- initial weights

    @cached_property
    def layers(self) -> Mapping[int, list[tuple[Staged, Layer]]]:
        """The layers of each net's classes, by the id of the net's class."""
        return {
            id(net): [
                (cls, item)
                for cls in self.family.reached(net)
                for item in walk(cls.items)
                if isinstance(item, Layer)
            ]
            for net in self.family.classes
            if net.kind == "net"
        }

    @cached_property
    def others(self) -> dict[int, list[Layer]]:
        """By the id of a layer that an argument says, the layers of all that it may be."""
        return {}

    @cached_property
    def homes(self) -> Mapping[int, tuple[Staged, tuple[Staged, ...]]]:
        """By the id of a layer, its class and the nets that have it."""
        found: dict[int, tuple[Staged, tuple[Staged, ...]]] = {}
        for net in self.family.classes:
            for cls, item in self.layers.get(id(net), ()):
                found[id(item)] = cls, (*found.get(id(item), (cls, ()))[1], net)
        return found

    def reached(self, staged: Staged) -> list[tuple[Staged, Layer]]:
        """Return the layers of a net's classes."""
        return self.layers[id(staged)]

    def rule(self, net: Staged, item: Layer) -> Mapping[str, Init]:
        """Return what a net's loop over all modules does to a layer."""
        ruled = _ruled(item)
        return {} if ruled in self.scattered[id(net)] else net.rules.get(ruled, {})

    @cached_property
    def scattered(self) -> Mapping[int, set[str]]:
        """By the id of a net's class, the ops whose `init` line is written at each layer.

        What a loop over all modules does must be undone where a layer's own line says otherwise. Where such a layer
        is can depend on arguments, or how it starts on those of its block, and then the constructors say it, which
        have both at hand.
        """
        return {
            id(net): {
                _ruled(item)
                for cls, item in self.reached(net)
                if (own := self.differs(cls, item, net.rules.get(_ruled(item), {})))
                and (self.path(cls.items, item) is None or not _read(own) <= self.known_to(net, cls))
            }
            for net in self.family.classes
            if id(net) in self.layers
        }

    @staticmethod
    def known_to(net: Staged, cls: Staged) -> set[str]:
        """Return the names that a net's constructor may read of one of its classes."""
        return {parameter.name for parameter in cls.params} | (cls.lets() if cls is net else cls.sizes_read)

    @cached_property
    def exceptional(self) -> Mapping[int, dict[str, None]]:
        """By the id of a block's class, its arguments that nets read which give its layers their initial weights."""
        found: dict[int, dict[str, None]] = {}
        for net in (one for one in self.family.classes if one.kind == "net"):
            for cls, item in self.reached(net):
                if cls is not net:
                    own = _read(self.differs(cls, item, self.rule(net, item)))
                    found.setdefault(id(cls), {}).update(dict.fromkeys(sorted(own)))
        return found

    def told(self, function: Function, members: Members) -> Mapping[str, str]:
        """Return these arguments, and the attributes that hold them."""
        if function.kind != "block":
            return {}
        names = self.exceptional.get(id(function.staged), {})
        found = self.attributes[id(function.staged)] = {name: members.free_attribute(name) for name in names}
        return found

    @cached_property
    def attributes(self) -> dict[int, Mapping[str, str]]:
        """These, by the id of the class, once it is written."""
        return {}

    def differs(self, cls: Staged, item: Layer, rule: Mapping[str, Init]) -> dict[str, Init]:
        """Return what a layer's own line, or its block's, says otherwise than a loop over all modules."""
        own = self.own(cls, item).items()
        return {key: init for key, init in own if rule.get(key) != init} if rule else {}

    def initial(self, item: Layer) -> Iterator[tuple[Param, Expr, bool]]:
        """Yield the initial weights that no loop over all modules makes."""
        if self.torch_class(item) not in self.alike.get(id(self.homes[id(item)][0]), {}):
            yield from self.beginning(item)

    @cached_property
    def alike(self) -> Mapping[int, Mapping[str, list[str]]]:
        """By the id of a block's class and torch class, how all its layers of that begin, if it has several.

        Such a block has no other blocks, nor layers of classes that may be derived from another layer's.
        """
        found: dict[int, dict[str, list[str]]] = {}
        for cls in self.family.classes:
            items = [item for item in walk(cls.items) if not (isinstance(item, Module) and item.again)]
            layers = [one for one in items if isinstance(one, Layer) and weights_of(one.op, one.before)]
            own = {p.name for p in cls.params} | cls.sizes_read
            by: dict[str, list[list[str]]] = {}
            if cls.kind != "block" or any(isinstance(one, Child) for one in items):
                continue
            for item in layers:
                starts = list(self.beginning(item))
                known = all(own.issuperset(expr_names(start)) for _, start, _ in starts)
                lines = [line for start in starts for line in self.start_lines(module_of(cls), *start)]
                by.setdefault(self.torch_class(item), []).append(lines if known else [])
            derived = any(one.given is not None or isinstance(one.op, Attention) for one in layers)
            if not derived and all(name.startswith("nn.") for name in by):
                found[id(cls)] = {
                    name: every[0]
                    for name, every in by.items()
                    if len(every) > 1 and every[0] and every.count(every[0]) == len(every)
                }
        return found

    @staticmethod
    def start_lines(place: str, param: Param, start: Expr, lacks: bool) -> list[str]:
        """Return the lines that give a parameter of a module its initial value."""
        indent = 4 * INDENT if not lacks else 5 * INDENT
        lines = layout("", located(start, place), "", indent)
        return [f"{4 * INDENT}if {place}.{param.path} is not None:", *lines] if lacks else lines

    def beginning(self, item: Layer) -> Iterator[tuple[Param, Expr, bool]]:
        """Yield the initial weights that some net's loop over all modules does not make."""
        cls, nets = self.homes[id(item)]
        if all(self.rule(net, item) for net in nets):
            return
        ruled = _ruled(item)
        rest = weights_of(item.op, item.before) - self.own(cls, item).keys()
        wide = [
            {key: init for key, init in net.rules.get(ruled, {}).items() if key in rest}
            for net in nets
            if ruled in self.scattered[id(net)]
        ]
        unknown = cls.kind != "net" and any(map(_read, wide))
        if unknown or any(rules != wide[0] for rules in wide):
            message = f"{item.op.name} is to start in another way in each of the nets that share {cls.name}"
            if unknown:
                message = f"{item.op.name} is to start as an argument of the net says, which {cls.name} is not given"
            raise NetError([Diagnostic("E508", message, item.span, calls=item.calls)])
        for key, init in self.special(cls, item, wide[0] if wide else {}).items():
            yield Param(key), init_call(init, Param(key)), self.lacks(item, key)

    def lacks(self, item: Layer, key: str) -> bool:
        """Tell whether a parameter may be None, or is typed so, as the bias of torch's convolutions is."""
        typed = key == "bias" and self.torch_class(item).startswith("nn.Conv")
        return typed or is_decided(item.op, key)

    def own(self, cls: Staged, item: Layer) -> dict[str, Init]:
        """Return what the spec says of a layer's initial weights, not counting the loop over all modules."""
        wide = cls.rules.get(item.op.name, {}) if item.op.inherits else {}
        return {**{k: v for k, v in wide.items() if k in weights_of(item.op, item.before)}, **item.own}

    def special(self, cls: Staged, item: Layer, rule: Mapping[str, Init]) -> dict[str, Init]:
        """Return how a layer's weights start where that is not torch's way, and no loop says so."""
        usual = usual_inits(item.op)
        own = {k: v for k, v in rule.items() if k in weights_of(item.op, item.before)} | self.own(cls, item)
        own = {k: v for k, v in own.items() if v not in (DEFAULT_INIT, usual.get(k))}
        if isinstance(item.op, Weight):
            own = {k: v for k, v in own.items() if v.kind not in MADE_AT_ONCE}
        return own

    def settled(self, function: Function, members: Members) -> Iterator[str]:
        """Yield the statements for initial weights."""
        if function.kind == "net":
            if self.features and self.sized(function.staged):
                yield from layout("self.FEATURE_INPUTS = ", self.shapes(function.staged), "", 2 * INDENT)
            yield from self.initialise(function.staged)
            if self.channels_last:
                yield f"{2 * INDENT}self.to(memory_format=torch.channels_last)"
        alike = self.alike.get(id(function.staged), {}) if function.kind == "block" else {}
        module = module_of(function.staged)
        if alike:
            yield f"{2 * INDENT}for {module} in self.modules():"
        for number, (name, starts) in enumerate(alike.items()):
            yield f"{3 * INDENT}{'elif' if number else 'if'} isinstance({module}, {name}):"
            yield from starts

    def torch_rules(self, staged: Staged) -> dict[str, dict[str, tuple[Init, bool]]]:
        """Return torch class to parameter to initialiser, and whether some layers lack the parameter."""
        rules: dict[str, dict[str, tuple[Init, bool]]] = {}
        have: dict[str, set[str]] = {}
        for item in (one for _, layer in self.reached(staged) for one in self.alternatives(layer)):
            rule = self.rule(staged, item)
            if not rule:
                continue
            weights = weights_of(item.op, item.before)
            name = self.torch_class(item)
            have.setdefault(name, set()).update(weights)
            for key, init in rule.items():
                lacking = key not in weights or self.lacks(item, key)
                before = rules.setdefault(name, {}).get(key, (init, False))
                rules[name][key] = (init, lacking or before[1])
        # a parameter that no layer of the class has needs no rule
        kept = {name: {k: v for k, v in rule.items() if k in have[name]} for name, rule in rules.items()}
        return {name: rule for name, rule in kept.items() if rule}

    def alternatives(self, item: Layer) -> list[Layer]:
        """Return a layer, and what it is with the other ops that an argument may say."""
        if item.given is None:
            return [item]
        if id(item) not in self.others:
            choices = [c for c in item.given.choices if c is not None and not isinstance(c.target, BlockDecl)]
            layers = [copy(item) for _ in choices]
            for layer, choice in zip(layers, choices, strict=True):
                layer.op = made_op(choice)
            self.others[id(item)] = layers  # kept, for what is known of them is known by their ids
        return [item, *self.others[id(item)]]

    def torch_class(self, item: Layer) -> str:
        """Return the class of a layer."""
        module = self.lower(item, False).module
        name = str(module.func) if isinstance(module, Call) else ""
        return "nn.Conv2d" if "Conv2d" in name else name  # one rule is for it and its subclasses

    def initialise(self, staged: Staged) -> list[str]:
        """Return the loop that gives all layers their initial weights, and what begins otherwise."""
        inner = 2 * INDENT
        lines: list[str] = []
        module = module_of(staged)
        # attention's own projection is of a class derived from nn.Linear, and no fc
        attends = any(isinstance(item.op, Attention) for _, item in self.reached(staged))
        groups: list[tuple[list[str], dict[str, tuple[Init, bool]]]] = []
        for name, rule in self.torch_rules(staged).items():
            if groups and groups[-1][1] == rule and not attends:
                groups[-1][0].append(name)
            else:
                groups.append(([name], rule))
        for number, (names, rule) in enumerate(groups):
            if not number:
                lines.append(f"{inner}for {module} in self.modules():")
            exact = attends and names == ["nn.Linear"]
            either = names[0] if len(names) == 1 else f"({', '.join(names)})"
            test = f"type({module}) is {either}" if exact else f"isinstance({module}, {either})"
            ((first, (_, alone)), *more) = rule.items()
            alone = alone and not more  # one condition for both
            test += f" and {module}.{first} is not None" if alone else ""
            lines.append(f"{inner}{INDENT}{'elif' if number else 'if'} {test}:")
            for key, (init, lacking) in rule.items():
                deeper = inner + 2 * INDENT
                if lacking and not alone:
                    lines.append(f"{deeper}if {module}.{key} is not None:")
                    deeper += INDENT
                lines += layout("", init_call(init, Name(f"{module}.{key}")), "", deeper)
        lines += self.exceptions(staged, module)
        return lines

    def exceptions(self, staged: Staged, module: str) -> list[str]:
        """Return what a layer's own line, or its block's, says otherwise than the loop."""
        found: dict[int, tuple[Staged, list[tuple[Layer, str, Init]]]] = {}
        for cls, item in self.reached(staged):
            for key, init in self.differs(cls, item, self.rule(staged, item)).items():
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
                known, rest = self.typed(cls, item)
                place = f"{own}{known}{rest}"
                kept = self.attributes[id(cls)].items() if cls is not staged else ()
                env = {name: Atom("name", (f"{own}.{attribute}",)) for name, attribute in kept}
                init = Init(init.kind, tuple(renamed(arg, env) for arg in init.args))
                target, test = Name(f"{place}.{key}"), f"{place}.{key} is not None"
                if re.fullmatch(r"\.\w+|\[\d+\]", rest):
                    said = f"{indent}assert isinstance({place}, {self.torch_class(item)})"
                    lines += [said] if said not in lines else []
                elif rest:
                    dotted = re.sub(r"[][.]+", ".", f"{rest}.{key}").lstrip(".")
                    target = Name(f'{own}{known}.get_parameter("{dotted}")')
                    decided = is_decided(item.op, key)
                    test = f'"{dotted}" in dict({own}{known}.named_parameters())' if decided else ""
                if test and self.lacks(item, key):
                    lines.append(f"{indent}if {test}:")
                    lines += layout("", init_call(init, target), "", indent + INDENT)
                else:
                    lines += layout("", init_call(init, target), "", indent)
        return lines

    def typed(self, cls: Staged, wanted: Layer) -> tuple[str, str]:
        """Return where a layer is in its class: what a type checker knows, and what is within a Sequential."""
        known, rest, within = "", "", False
        for part, item in self.path(cls.items, wanted) or ():
            within = within or part.startswith("[")
            known, rest = (known, rest + part) if within else (known + part, rest)
            within = within or (isinstance(item, Container) and self.of_container(item, cls).kind == "chain")
        return known, rest

    def path(self, items: list[Item], wanted: Layer) -> tuple[tuple[str, Item], ...] | None:
        """Return where a layer is among a class's items, `.fc` or `[1]`, outermost first, with what is there.

        None: that depends on arguments.
        """
        position: int | None = 0
        for item in items:
            if isinstance(item, Side):
                inner = self.path(item.items, wanted)
                if inner is not None:
                    return inner
            if not isinstance(item, Module):
                made = any(isinstance(one, Module) and not self.is_nothing(one) for one in walk([item]))
                position = None if made else position
                continue
            inner = self.path(item.items, wanted) if isinstance(item, Container) else None
            if inner is not None or item is wanted:
                plain = item.key.isidentifier()
                if item.name is not None or not (plain or (item.by_position and position is not None)):
                    return None
                part = f".{item.key}" if plain else f"[{position}]"
                return ((part, item), *(inner or ()))
            if position is not None and not self.is_nothing(item):
                position += 1
        return None

    # ---------------------------------------------------------------- what is computed again for gradients

    def recomputes(self, function: Function) -> bool:
        """Tell whether blocks are computed again here: the outermost, which are the net's own."""
        return self.remat and function.staged.kind == "net"

    def applied(self, function: Function, this: str, operands: tuple[Arg, ...]) -> Expr:
        """Return a call of a block in `forward`."""
        if not self.recomputes(function):
            return super().applied(function, this, operands)
        return Call("recomputed", (Arg("block", Name(this), keyword=False), *operands))

    def step(self, function: Function, items: list[Item], x: str) -> Expr:
        """Return the call of a module of a chain."""
        if not (self.recomputes(function) and _has_blocks(items)):
            return super().step(function, items, x)
        return Call("recomputed", tuple(Arg("", Name(name), keyword=False) for name in ("layer", x)))

    def chain(self, function: Function, item: Container, expr: Expr) -> Expr:
        """Return the construction of a chain; one of blocks computes them again."""
        if self.recomputes(function) and _has_blocks(item.items):
            assert isinstance(expr, Call)
            return expr.replace(func="Recomputed")
        return expr

    # ---------------------------------------------------------------- chains that check their input

    entering = "x"

    def of_chain(self, function: Function) -> tuple[list[str], str, list[str]]:
        """Return what compilers and type checkers take, too: a loop."""
        inner = 2 * INDENT
        step = flat(self.step(function, function.items, "x"))
        lines = [f"{inner}for layer in self:", f"{inner}{INDENT}x = {step}", f"{inner}return x"]
        return ["self", "x: Tensor"], "Tensor", lines

    # ---------------------------------------------------------------- maps for a net on top

    def base(self, function: Function, chain: bool, table: str) -> str:
        """Return the base classes of a class; a net that returns its maps is a backbone."""
        base = super().base(function, chain, table)
        if chain and self.recomputes(function) and _has_blocks(function.items):
            base = "Recomputed"
        if not self.features or function.kind != "net":
            return base
        return f"FeatureMaps, {base}" if chain else "FeatureMaps"

    def facts(self, function: Function) -> Iterator[str]:
        """Yield the inputs that a net was compiled for, from which its maps' channels and strides are found."""
        if self.features and function.kind == "net" and not self.sized(function.staged):
            yield from layout("FEATURE_INPUTS = ", self.shapes(function.staged), "", INDENT)
            yield ""

    def shapes(self, staged: Staged) -> Expr:
        """Return the shapes of a net's inputs, by its arguments."""
        rows, known = [], {parameter.name for parameter in staged.params}
        for incoming in staged.inputs:
            own = (int(n) if known.isdisjoint(term_names(term(n))) else n for n in incoming.shape)
            rows.append(Listed(tuple(map(Const, own)), "()"))
        return Listed(tuple(rows), "()")

    def sized(self, staged: Staged) -> bool:
        """Tell whether a net's arguments say what its inputs are."""
        return bool(expr_names(self.shapes(staged)))

    def maps(self, function: Function, members: Members, chain: bool) -> Iterator[str]:
        """Yield the function of a net that returns its maps."""
        inner = 2 * INDENT
        names = ["x"] if chain else map(entering, function.inputs.values())
        parameters = ["self", *(f"{name}: Tensor" for name in names)]
        yield ""
        yield from signature("forward_features", parameters, "list[Tensor]", INDENT)
        stages = any(item.ends for item in walk(function.items))
        which = "map at the end of each stage" if stages else "last map of each size"
        which = "last list of streams" if function.staged.lists else which
        yield f'{inner}"""Return the {which}, the first one first."""'
        if not chain:
            yield from Flow(function, members, self.dialect).maps()
            return
        yield f"{inner}features: list[Tensor] = []"
        step = flat(self.step(function, function.items, "x"))
        yield f"{inner}for {'length, layer in enumerate(self, 1)' if stages else 'layer in self'}:"
        before, after = self.head(function.items)
        if before and not stages:
            yield f"{inner}{INDENT}if {before}:"
            yield f"{inner}{2 * INDENT}break"
        yield f"{inner}{INDENT}x = {step}"
        yield f"{inner}{INDENT}if {after.format(x='x')}:"
        yield f"{inner}{2 * INDENT}break"
        if stages:
            yield f"{inner}{INDENT}if length in self._ends:"
            yield f"{inner}{2 * INDENT}features.append(x)"
        else:
            yield f"{inner}{INDENT}note_map(features, x)"
        yield f"{inner}return features"

    def head(self, items: list[Item]) -> tuple[str, str]:
        """Return when the head of a chain has begun: with what has a size of its own, or no map at all."""
        pools = {self.torch_class(i) for i in walk(items) if isinstance(i, Layer) and Features.is_pool(i)}
        before = f"isinstance(layer, {' | '.join(sorted(pools))})" if pools else ""
        return before, "{x}.dim() < 4 or {x}.shape[2:] == (1, 1)"

    # ---------------------------------------------------------------- text

    def imports(self, text: str) -> Iterator[str]:
        """Yield the imports that the text needs."""
        known = {
            "collections": ("OrderedDict",),
            "collections.abc": ("Callable[", "Iterator[", "Sequence["),
            "contextlib": ("AbstractContextManager[", "contextmanager", "nullcontext("),
            "copy": ("deepcopy(",),
            "functools": ("partial(",),
            "typing": ("Any:", "Final[", "NamedTuple"),
        }

        def used(word: str) -> bool:
            # most words are not there at all, which a search by pattern takes long to tell
            return word in text and re.search(rf"(?<![\w.]){re.escape(word)}", text) is not None

        standard = [f"import {module}" for module in ("functools", "math") if used(f"{module}.")]
        for module, words in known.items():
            names = ", ".join(re.sub(r"\W", "", word) for word in words if used(word))
            standard += [f"from {module} import {names}"] if names else []
        if standard:
            yield from [*standard, ""]
        if "torch." in text:
            yield "import torch"
        yield "from torch import Tensor, nn" if "Tensor" in text else "from torch import nn"
        if used("is_scripting("):
            yield "from torch.jit import is_scripting  # type: ignore[attr-defined]"
        if used("F."):
            yield "from torch.nn import functional as F"
        if used("checkpoint("):
            yield "from torch.utils.checkpoint import checkpoint"

    def helpers(self, text: str) -> list[str]:
        """Return the classes and functions that torch has not."""
        sources: list[str] = []
        for name, source in reversed(
            (EXTRAS | HELPERS | self.own_helpers).items()
        ):  # a helper uses those above it
            if name not in text:
                continue
            given = name in self.arguments and re.search(rf"[=(,] ?{name}\b", text)
            if given or re.search(rf"\b{name}\(", text) or f"({name}" in text:
                sources.insert(0, source)
                text += source
        return sources


def module_of(staged: Staged) -> str:
    """Return what a loop over all modules of a class calls one."""
    return unused("m", [p.name for p in staged.params])


def _has_blocks(items: list[Item]) -> bool:
    """Tell whether a chain has blocks among its own modules."""
    return any(
        isinstance(item, Child) or (not isinstance(item, Module) and any(map(_has_blocks, item.inner())))
        for item in items
    )


def _ruled(item: Layer) -> str:
    """Return the op whose `init` line is a layer's."""
    return item.op.inherits or item.op.name


def _read(inits: Mapping[str, Init]) -> set[str]:
    """Return the names that numbers of initialisers read."""
    return {name for init in inits.values() for arg in init.args for name in mentioned(arg)}
