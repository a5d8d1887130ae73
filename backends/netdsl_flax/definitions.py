"""What the layers of one net have in common, said once at the top of the file.

`Conv = partial(nnx.Conv, use_bias=False, kernel_init=...)` holds what most convolutions of the net share; a call
gives only what differs from it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from netdsl.emission.code import Arg, Call, Const, Expr, Lowered, Name, transform
from netdsl.emission.function import expr_names
from netdsl.emission.writer import INDENT, layout, shown, signature
from netdsl.record import Record
from netdsl_flax.lowering import LECUN, FanIn


class Layer(Record):
    """A class of layers: what it is based on, what torch does otherwise, and Flax's own defaults."""

    base: str
    fixed: tuple[Arg, ...] = ()
    """Arguments that are the same in every net."""
    defaults: Mapping[str, Expr] = {}
    """Flax's values of arguments that nets choose."""
    fan_in: str = ""
    """The fan-in of a bias, over the constructor's arguments."""
    sizes: tuple[str, ...] = ()
    """The parameters that it follows from."""
    factors: bool = True
    """Whether it multiplies by weights, with some precision."""


def _given(**values: object) -> tuple[Arg, ...]:
    return tuple(Arg(name, Const(value)) for name, value in values.items())  # type: ignore[arg-type]


_ZEROS, _ONES = Name("nnx.initializers.zeros"), Name("nnx.initializers.ones")
_IN_OUT = ("in_features: int", "out_features: int")
_KERNEL = (*_IN_OUT, "kernel_size: tuple[int, int]")
_EXACT = _given(use_fast_variance=False)
_SCALED = {
    "use_scale": Const(True),
    "scale_init": _ONES,
    "use_bias": Const(True),
    "bias_init": _ZEROS,
}

_CONV = Layer(
    "nnx.Conv",
    _given(padding=0),
    defaults={"use_bias": Const(True), "bias_init": _ZEROS},
    fan_in='math.prod(kernel_size) * in_features // options.get("feature_group_count", 1)',
    sizes=_KERNEL,
)
LAYERS = {
    "Conv": _CONV,
    "FittedConv": _CONV.replace(base="ConvThatFits"),
    "ConvTranspose": Layer(
        "nnx.ConvTranspose",
        _given(transpose_kernel=True),
        {"use_bias": Const(True), "bias_init": _ZEROS},
        "math.prod(kernel_size) * out_features",
        _KERNEL,
    ),
    "GroupedConvTranspose": Layer(
        "GroupedTranspose",
        _given(transpose_kernel=True),
        {"use_bias": Const(True), "bias_init": _ZEROS},
        'math.prod(kernel_size) * out_features // options["groups"]',
        _KERNEL,
    ),
    "Linear": Layer("nnx.Linear", (), {"use_bias": Const(True), "bias_init": _ZEROS}, "in_features", _IN_OUT),
    "TokenLinear": Layer(
        "MixingLinear", (), {"use_bias": Const(True), "bias_init": _ZEROS}, "in_features", _IN_OUT
    ),
    "UnbiasedKeys": Layer(
        "KeysWithoutBias", (), {"use_bias": Const(True), "bias_init": _ZEROS}, "in_features", _IN_OUT
    ),
    "BatchNorm": Layer("UnbiasedBatchNorm", _EXACT, {"epsilon": Const(1e-5), **_SCALED}, factors=False),
    "LayerNorm": Layer("nnx.LayerNorm", _EXACT, {"epsilon": Const(1e-6), **_SCALED}, factors=False),
    "GroupNorm": Layer("nnx.GroupNorm", _EXACT, {"epsilon": Const(1e-6), **_SCALED}, factors=False),
    "RMSNorm": Layer("nnx.RMSNorm", _EXACT, {"epsilon": Const(1e-6), **_SCALED}, factors=False),
    "InstanceNorm": Layer("InstanceNormOfMaps", _EXACT, {"epsilon": Const(1e-6), **_SCALED}, factors=False),
    "MultiHeadAttention": Layer(
        "nnx.MultiHeadAttention",
        (
            *_given(broadcast_dropout=False, decode=False, deterministic=False),
            Arg("attention_fn", Name("attend")),
        ),
        {"bias_init": _ZEROS, "out_bias_init": _ZEROS},
    ),
}
"""By what lowering calls them."""

_PLAIN: Mapping[str, Mapping[str, object]] = {
    "BatchNorm": {"base": "nnx.BatchNorm", "fixed": ()},
    "LayerNorm": {"fixed": ()},
    "RMSNorm": {"fixed": ()},
    "GroupNorm": {"fixed": ()},
    "InstanceNorm": {"base": "nnx.InstanceNorm", "fixed": ()},
    "MultiHeadAttention": {"fixed": _given(decode=False, deterministic=False)},
}
IDIOMATIC_LAYERS = {
    name: layer.replace(defaults={"kernel_init": LECUN, **layer.defaults}, **_PLAIN.get(name, {}))
    for name, layer in LAYERS.items()
}
"""The same without what is there to equal torch."""

SHARED = {"use_bias", "use_scale", "momentum", "epsilon"}
"""Arguments that are said once, besides the initializers."""


class Definitions:
    """The definitions of one net."""

    def __init__(
        self,
        lowered: Iterable[Lowered],
        given: Iterable[Lowered],
        taken: set[str],
        layers: Mapping[str, Layer] = LAYERS,
    ) -> None:
        """Find what most layers of each class have, or what is given as an argument if there are none.

        `taken` are names that the spec gives.
        """
        self.layers = layers
        found = self.counted(lowered)
        more = {name: own for name, own in self.counted(given).items() if name not in found}
        self.extra = set(more)
        """Classes that no layer is of: they are defined where something is given one."""
        found |= more
        self.common = {
            name: {role: counter.most_common(1)[0][0] for role, counter in found[name].items()}
            for name in self.layers
            if name in found
        }
        self.names = {name: self.free(name, taken) for name in self.common}

    def counted(self, lowered: Iterable[Lowered]) -> dict[str, dict[str, Counter[Expr]]]:
        """Return how often each class of layers has which arguments."""
        found: dict[str, dict[str, Counter[Expr]]] = {}
        for value in lowered:
            call = value.module
            if not isinstance(call, Call) or call.func not in self.layers:
                continue
            counts = found.setdefault(str(call.func), {})
            for arg in call.args:
                if (arg.role in SHARED or arg.role.endswith("_init")) and not expr_names(arg.value):
                    counts.setdefault(arg.role, Counter())[_key(arg.value)] += 1
        return found

    def free(self, name: str, taken: set[str]) -> str:
        """Return what a definition is called here: nnx's own class where nothing is to be said."""
        layer = self.layers[name]
        if layer.factors and not layer.fixed and layer.base.startswith("nnx.") and not self.said(name):
            return layer.base
        while name in taken:
            name = f"Base{name}"
        return name

    def said(self, name: str) -> dict[str, Expr]:
        """Return what a definition says that Flax's defaults do not."""
        defaults = self.layers[name].defaults
        return {role: value for role, value in self.common[name].items() if defaults.get(role) != value}

    def settle(self, lowered: Lowered) -> Lowered:
        """Return an op with what its definition says left out of its call."""

        def change(expr: Expr) -> Expr | None:
            if not isinstance(expr, Call) or expr.func not in self.common:
                return None
            args = (self.argument(str(expr.func), arg) for arg in expr.args)
            return expr.replace(func=self.names[str(expr.func)], args=tuple(a for a in args if a is not None))

        return lowered.replace(module=None if lowered.module is None else transform(lowered.module, change))

    def argument(self, name: str, arg: Arg) -> Arg | None:
        """Return one argument with its default here; None for a bias that starts as the definition says."""
        common = self.common[name].get(arg.role)
        if common is None:
            return arg.replace(default=self.layers[name].defaults.get(arg.role, arg.default))
        if not isinstance(arg.value, FanIn):
            return arg.replace(default=common)
        if isinstance(common, FanIn):
            return None
        fan_in = Arg("fan_in", Const(arg.value.fan_in), keyword=False)
        return arg.replace(value=Call("uniform_by_fan_in", (fan_in,)), default=common)

    def text(self, used: str) -> list[str]:
        """Return the partials, then each class; `used` is the text that may use them."""
        partials: list[str] = []
        classes = []
        for name, own in self.names.items():
            if own == self.layers[name].base:
                continue
            if name in self.extra and not re.search(rf"\b{own}\b", used):
                continue
            lines = self.fitted(name, own) or self.definition(name, own)
            if lines[0].startswith("class "):
                classes.append("\n".join(lines))
            else:
                partials += lines
        return [*(["\n".join(partials)] if partials else []), *classes]

    def fitted(self, name: str, own: str) -> list[str]:
        """Return the class of convolutions that say so where they do not fit, if others start as they do."""
        plain = self.names.get("Conv", "")
        said = self.said(name) if name == "FittedConv" and plain else {}
        if not isinstance(said.get("bias_init"), FanIn) or said != self.said("Conv"):
            return []
        base = self.layers[name].base
        return [
            f"class {own}({base}, {plain}):",
            f'{INDENT}"""{base} with the initial weights of {plain}."""',
        ]

    def definition(self, name: str, own: str) -> list[str]:
        """Return one definition: a partial, or a class where a bias needs the sizes."""
        layer, said = self.layers[name], self.said(name)
        args = [*layer.fixed, *(Arg(role, value) for role, value in said.items())]
        if not isinstance(said.get("bias_init"), FanIn):
            words = (layer.base,) if layer.factors else ("make_norm", layer.base)
            bases = tuple(Arg("function", Name(word), keyword=False) for word in words)
            return layout(f"{own} = ", Call("partial", (*bases, *args)), "", "")
        return list(_class(own, layer, [arg for arg in args if arg.role != "bias_init"]))


def _key(value: Expr) -> Expr:
    """Return what counts as the same: all biases that follow from the fan-in do."""
    return FanIn(0) if isinstance(value, FanIn) else value


def _class(name: str, layer: Layer, args: Iterable[Arg]) -> Iterator[str]:
    """Yield a class whose bias starts as torch's does."""
    inner = 2 * INDENT
    sizes = [parameter.partition(":")[0] for parameter in layer.sizes]
    yield f"class {name}({layer.base}):"
    doc = f"{layer.base} with torch's initial bias: uniform within 1 / sqrt(fan_in)."
    yield f'{INDENT}"""{doc}"""'
    yield ""
    yield from signature("__init__", ["self", *layer.sizes, "**options: Any"], "None", INDENT)
    fan_in = layer.fan_in
    if not fan_in.isidentifier():
        yield f"{inner}fan_in = {fan_in}"
        fan_in = "fan_in"
    yield f"{inner}bound = {fan_in}**-0.5"
    yield f"{inner}defaults: dict[str, Any] = {{"
    bias = Arg("bias_init", Call("uniform_between", _limits(Name("-bound"), Name("bound"))))
    for arg in shown([*args, bias]):
        yield from layout(f'"{arg.role}": ', arg.value, ",", inner + INDENT)
    yield f"{inner}}}"
    yield f"{inner}super().__init__({', '.join(sizes)}, **(defaults | options))"


def _limits(low: Expr, high: Expr) -> tuple[Arg, ...]:
    return Arg("low", low, keyword=False), Arg("high", high, keyword=False)
