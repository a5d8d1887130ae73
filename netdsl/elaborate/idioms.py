"""What has a name elsewhere and is no op here: how a spec says it, or that it cannot."""

from __future__ import annotations

from netdsl.ops import Op, called, catalogue
from netdsl.record import Record


class Idiom(Record):
    """A phrase, `a joint`, and a step that says it; "" where there is none."""

    is_: str
    step: str = ""

    def __str__(self) -> str:
        """Return it as a help."""
        return f"{self.is_}: {self.step}" if self.step else self.is_


ALIASES = {
    "deconv": "upconv",
    "transposedconv": "upconv",
    "attn": "attention",
    "mha": "attention",
    "selfattention": "attention",
    "layernorm2d": "ln",
    "bm": "bn",
    "bmm": "matmul",
}
"""Ops by what they are called in code that is nobody's library, as `plain` returns it."""

_GATE = "(identity | gate: gap -> fc flow.c//4 -> relu -> fc flow.c -> sigmoid) -> mul"
_SE = Idiom("a gate", _GATE)
_SEPARABLE = Idiom("two layers", "dwconv 3x3 as depthwise -> conv 1x1, 64 as pointwise")
_CHAIN = Idiom("a chain", "conv 3x3, 16 -> bn -> relu")
_LIST = Idiom("a chain, or a name and `:` above indented lines")
_COPIES = Idiom("a repetition", "3 * conv 3x3, 16")
_RESIDUAL = Idiom("a joint", "(identity | conv 3x3, flow.c as branch) -> add")
_VIEW = Idiom(
    "not written as sizes: flatten makes a vector of a map, tokens makes n x c of c x h x w, map goes back"
)
_AXES = Idiom("not needed: shapes here have no batch, and mul and add fit a vector to a map")
_CHANNELS_DROPPED = Idiom(
    "no op here: dropout drops single numbers, droppath whole samples, and nothing whole channels"
)
_ONE_AXIS = Idiom(
    "no op here, maps have rows and columns: a row of n places is an input c, 1xn, and its kernel is 1x3"
)
_THREE_AXES = Idiom("no op here, and there is no way around: maps have rows and columns, and no depth")
_UNIT = Idiom("two layers, but for eps", "rms_norm affine=false -> scale flow.c**-0.5")
_PRODUCT = Idiom(
    "no op here: matmul multiplies two values, permute orders axes, mul and add join, mean takes an axis away"
)
_NO_FUNCTION = Idiom(
    "no op here, and there is no way around: a number of the spec can be computed, no tensor"
)

IDIOMS = {
    **dict.fromkeys(("se", "semodule", "selayer", "seblock", "squeezeexcite", "squeezeexcitation"), _SE),
    **dict.fromkeys(
        ("sepconv", "separableconv", "dwsepconv", "depthwiseseparableconv", "dsconv"), _SEPARABLE
    ),
    "sequential": _CHAIN,
    "modulelist": _LIST,
    "moduledict": _LIST,
    "makelayer": _COPIES,
    "repeat": _COPIES,
    "range": _COPIES,
    **dict.fromkeys(("residual", "skip", "shortcut", "skipconnection"), _RESIDUAL),
    **dict.fromkeys(("view", "viewas"), _VIEW),
    **dict.fromkeys(("unsqueeze", "squeeze"), _AXES),
    "stack": Idiom("a joint, and its values get no axis of their own", "(identity | relu) -> concat"),
    **dict.fromkeys(
        ("dropout1d", "dropout2d", "dropout3d", "spatialdropout", "featuredropout"), _CHANNELS_DROPPED
    ),
    **dict.fromkeys(("normalize", "l2norm"), _UNIT),
    **dict.fromkeys(("einsum", "tensordot"), _PRODUCT),
    "sum": Idiom("a joint, and over an axis a mean times its length", "(identity | relu) -> add"),
    **dict.fromkeys(("sin", "cos", "fft", "rfft", "topk", "argmax", "sort", "gather"), _NO_FUNCTION),
    **dict.fromkeys(("super", "init"), Idiom("not needed: leave it out")),
    **dict.fromkeys(
        ("padchannels", "channelpad", "padshortcut"), Idiom("zeros behind the channels", "pad after=16")
    ),
    "pass": Idiom("a layer that changes nothing", "identity"),
    "assert": Idiom("called require here, with a condition behind it: require x.c == 8"),
    "print": Idiom("not written, and nothing is run: `netdsl cost` and `netdsl graph` show the shapes"),
}
"""By name elsewhere, as `plain` returns it, what it is here."""


def ops(name: str) -> list[type[Op]]:
    """Return the ops that are called so elsewhere, in a library or in what everybody writes."""
    alias = ALIASES.get(name.rpartition(".")[2].lower().replace("_", "")) or ALIASES.get(plain(name))
    return called(name) or ([catalogue()[alias]] if alias else [])


def plain(name: str) -> str:
    """Return the last part of a name without case and underscores, and without `2d`."""
    return name.rpartition(".")[2].lower().replace("_", "").removesuffix("2d")


def idiom(name: str) -> Idiom | None:
    """Return what something that is no op here is instead; None if nothing is known of it."""
    short = name.rpartition(".")[2].lower().replace("_", "")
    found = IDIOMS.get(short) or IDIOMS.get(plain(name))
    if found is None and len(short) > 2 and short[-2:] in ("1d", "3d"):
        found = _ONE_AXIS if short.endswith("1d") else _THREE_AXES
    return found
