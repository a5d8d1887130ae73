"""What other frameworks write, as a spec has it: `nn.Conv2d(3, 64, 3)` is `conv 3x3, 64, pad=0`. Errors say it."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import TYPE_CHECKING

from netdsl.diagnostics import Diagnostic
from netdsl.elaborate.arguments import op_parameters
from netdsl.elaborate.idioms import Idiom, idiom, ops, plain
from netdsl.elaborate.values import MISSING, show
from netdsl.ir.types import Pad
from netdsl.ops import Op, catalogue
from netdsl.syntax.explain import DOTTED, NAMES, SUMS, TAKES

if TYPE_CHECKING:
    from netdsl.elaborate.arguments import Param

ARGUMENTS = {
    "kernel_size": ("kernel", "size"),
    "kernel_shape": ("kernel",),
    "pool_size": ("kernel",),
    "out_channels": ("channels",),
    "out_features": ("channels",),
    "filters": ("channels",),
    "features": ("channels",),
    "units": ("channels",),
    "strides": ("stride",),
    "padding": ("pad",),
    "dilation_rate": ("dilation",),
    "output_padding": ("output_pad",),
    "output_size": ("to",),
    "size": ("to", "scale"),
    "num_groups": ("groups",),
    "feature_group_count": ("groups",),
    "depth_multiplier": ("multiplier",),
    "use_bias": ("bias",),
    "activation": ("act",),
    "epsilon": ("eps",),
    "elementwise_affine": ("affine",),
    "negative_slope": ("slope",),
    "num_heads": ("heads",),
    "rate": ("p",),
    "drop_prob": ("p",),
    "ceil_mode": ("ceil",),
    "scale_factor": ("scale", "factor"),
    "upscale_factor": ("factor",),
    "downscale_factor": ("factor",),
    "interpolation": ("mode",),
}
"""By argument elsewhere what it may be called here."""
INCOMING = frozenset("in_channels in_features in_planes inplanes in_ch c_in".split())
"""What others call the channels of what comes in."""
DERIVED = frozenset("in_channels in_features num_features num_channels normalized_shape embed_dim".split())
"""Arguments elsewhere that follow from what comes in here."""
SILENT = frozenset("inplace device dtype name rngs batch_first".split())
"""Arguments elsewhere that belong to what is emitted here, or to whom it is given."""
FLOWING = frozenset({"x", "flow"})
"""What a function is given that is what flows here, and no argument."""
CHANNELS = {("dim", "1"), ("axis", "-1")}
"""The axis of channels as torch counts it, and as Keras and JAX do."""
VALUES = {"True": "true", "False": "false", "None": "none"}
PADDINGS = {"valid": "0", "VALID": "0", "same": "same", "SAME": "same", "zeros": "same"}
SIZES = {
    "kernel": "3x3",
    "channels": "64",
    "factor": "2",
    "groups": "8",
    "scale": "2",
    "heads": "8",
    "to": "1",
}
"""Values for an example of what has to be given."""

MAX_TEXT = 500
"""The longest text of a layer that is looked into, which takes as long as the square of it."""

_NUMBER = re.compile(r"[0-9]+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_SIZED = re.compile(r"\w+ (\d+x\d+), (\w+)")
_CALL = re.compile(r"\s*([A-Za-z_][\w.]*)\s*\((.*)\)\s*", re.DOTALL)
_NAMED = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)\s*(.*?)\s*", re.DOTALL)
_VALUE = re.compile(r"[A-Za-z_][\w.]*")
_FUNCTIONS = re.compile(r"(?:F|torch|(?:torch\.)?nn\.functional|(?:jax\.)?nn|jnp|nnx|ops|tf\.nn)\.[a-z]")
_DIMS = re.compile(r"\d+x\d")
_BRANCH = re.compile(r"from (\w+)(?=\)| \|)")
_QUOTED = re.compile(r"""(["'])([^"'\n]*)\1""")
_PLAIN = re.compile(r"[\w.+\-*/ ]+")


class Foreign(Exception):
    """What no spec says, or nothing here knows how."""


def translated(diagnostic: Diagnostic) -> Diagnostic:
    """Return a syntax error whose text is what other frameworks write with what to write here as its help."""
    span = diagnostic.span
    if span is None:
        return diagnostic
    help = ""
    if diagnostic.code == "E106":
        word = span.text.partition("(")[0]
        if _is_declared(word, span.source.text):  # whatever else is called so
            return diagnostic
        sized = re.search(rf"^\s*default {word}\b", span.source.text, re.MULTILINE) is not None
        help = said(word, span.text) or instead(word, span.text) or own_call(word, span.text, sized)
        if not help and word not in catalogue():
            return diagnostic.replace(help=f"no op or block here is called `{word}`")
    elif diagnostic.code == "E101" and span.text.startswith("'"):
        help = quoted(span.source.text[: span.start].rpartition("\n")[2], span.text.strip("'"))
    elif diagnostic.help.startswith(NAMES):
        label, _, step = diagnostic.help.removeprefix(NAMES).partition(": ")
        help = f"{NAMES}{label}: {layer(step) or step}" if _CALL.fullmatch(step) else ""
    elif diagnostic.help.startswith(TAKES):
        label, _, chain = diagnostic.help.removeprefix(TAKES).partition(" = from ")
        first = chain.partition(" ->")[0]
        help = f"{NAMES}{label}: {chain}" if first in catalogue() else ""
    elif diagnostic.help.startswith(DOTTED):
        step = diagnostic.help.removeprefix(DOTTED)
        dotted, _, rest = step.partition(" ")
        bare = dotted.rpartition(".")[2]
        help = f"{DOTTED}{layer(step) or f'{bare} {rest}'.strip()}"
    elif diagnostic.help.startswith(SUMS):
        help = _BRANCH.sub(lambda match: match[match[1] in catalogue()], diagnostic.help)
    return diagnostic.replace(help=help or diagnostic.help)


def said(word: str, text: str = "") -> str:
    """Return the help for a name that is an op's elsewhere, as in `text`, a layer; "" if it is none.

    What is a name here is none of theirs: `conv` is `conv`.
    """
    ours = [] if word in catalogue() else [op.name for op in ops(word)]
    if not ours and word.startswith("self.") and idiom(word) is None:
        return f"a layer is written where it runs: {word.rpartition('.')[2]}: conv 3x3, 64"
    if not ours:
        return ""
    here = f": {one}" if text and (one := _joined(ours[0], text) or layer(text)) else ""
    if text and not here:  # what it is given means nothing here, or may mean something else
        op = catalogue()[ours[0]]
        example = _written(op, op_parameters(op), {}, [])
        here = f": {example}" if example == op.name else f", such as {example}"
    return f"{word} is called {' or '.join(ours)} here{here}"


def _joined(name: str, text: str) -> str:
    """Return the line for `cat([x, skip], dim=1)`, a call that is given values alone; "" for others."""
    match = _CALL.fullmatch(text) if len(text) <= MAX_TEXT and catalogue()[name].arity[1] != 1 else None
    args = split(match[2]) if match else []
    values = split(args[0][1:-1]) if args and args[0][0] in "[(" else args
    if len(values) < 2 or not all(map(_NAME.fullmatch, values)):
        return ""
    return f"from {', '.join('flow' if one in FLOWING else one for one in values)} -> {name}"


def instead(word: str, text: str = "") -> str:
    """Return the help for a name that is no op here in a layer `text`: what says it, or that nothing does."""
    found = None if word in catalogue() else idiom(word)
    if found is None:
        return ""
    match = _CALL.fullmatch(text) if len(text) <= MAX_TEXT else None
    args = split(match[2]) if match else []
    short = plain(word)
    step = _chain(args) if short == "sequential" else _copies(args) if short == "makelayer" else ""
    sizes = _SIZED.fullmatch(text)
    if sizes is not None and found.step.startswith("dwconv 3x3 "):
        step = found.step.replace("3x3", sizes[1]).replace("64", sizes[2])
    if found.is_ == "a joint" and len(args) == 1 and _NAME.fullmatch(args[0]) and args[0] not in FLOWING:
        step = f"from flow, {args[0]} -> add"
    return f"{word} is {Idiom(found.is_, step) if step else found}"


def _chain(args: list[str]) -> str:
    """Return the chain of a Sequential's layers; "" if some is not known. `conv 3x3, 16, bn` are two of them."""
    layers: list[str] = []
    for arg in args:
        name = arg.partition("(")[0].split()[0]
        if name in catalogue() or ops(name):
            layers.append(layer(arg) if name not in catalogue() or "(" in arg else arg)
        elif layers and layers[-1] and "(" not in arg:
            layers[-1] += f", {arg}"
        else:
            return ""
    return " -> ".join(layers) if all(layers) else ""


def _copies(args: list[str]) -> str:
    """Return the copies of `make_layer(Block, 64, 3, stride=2)`; "" for other arguments."""
    name, channels, count, *rest = [*args, "", "", ""][: max(len(args), 3)]
    stride = rest[0].partition("=")[2] or rest[0] if rest else "1"
    if not _NAME.fullmatch(name) or not _NUMBER.fullmatch(count) or len(rest) > 1:
        return ""
    if not _NUMBER.fullmatch(channels) or not _NUMBER.fullmatch(stride.strip()):
        return ""
    strided = f", /{stride.strip()} first" if stride.strip() != "1" else ""
    return f"{count} * {name} {channels}{strided}"


def _is_declared(name: str, text: str) -> bool:
    """Tell whether a text has a block, an import or a parameter with a name."""
    word = re.escape(name)
    return (
        re.search(
            rf"\b(?:block|net|variant|import)\b[^\n]*\b{word}\b|^[^\n#]*\b{word}\s*=", text, re.MULTILINE
        )
        is not None
    )


def own_call(word: str, text: str, sized: bool = False) -> str:
    """Return the help for our layer called as elsewhere, `relu(x)`, `conv(64, 3)`; "" if it is no layer.

    Where a `default` line may have `sized` it, a call without a kernel needs none.
    """
    match = _CALL.fullmatch(text) if word in catalogue() and len(text) <= MAX_TEXT else None
    args = split(match[2]) if match else []
    if not args:
        return ""
    if args[0] in FLOWING:
        return layer(text) or f"{word} {', '.join(args[1:])}".strip()
    op = catalogue()[word]
    theirs = next(iter(op.elsewhere.calls), word)
    known = layer(text) or layer(f"{theirs}({', '.join(args)})")
    return known or ("" if sized and len(args) == 1 else _channels_first(op, args))


def _channels_first(op: type[Op], args: list[str]) -> str:
    """Return a layer whose call has the channels and then its kernel, or does not say this; "" for others."""
    first = (*op.positional, "")[0]
    params = op_parameters(op)
    if first != "kernel" or "int" in params[first].types or not _NUMBER.fullmatch(args[0]):
        return ""
    size = args[1].rpartition("=")[2].strip() if len(args) > 1 else "3"
    named = args[1].rpartition("=")[0].strip() if len(args) > 1 else ""
    if len(args) > 2 or not _NUMBER.fullmatch(size) or named not in ("", "kernel", "kernel_size"):
        return ""
    return f"{op.name} {size}x{size}, {args[0]}"


def layer(text: str) -> str:
    """Return a layer that is written as elsewhere as a spec has it; "" if it is not known to be the same.

    `text` is a call, `nn.Conv2d(3, 64, 3)`, or a step with an op's name elsewhere, `Conv2d 3x3, 64`.
    """
    if len(text) > MAX_TEXT:
        return ""
    match = _CALL.fullmatch(text)
    name, rest = match.groups() if match else (*text.split(None, 1), "")[:2]
    args = split(rest)
    first = args[0] if args else ""
    function = _FUNCTIONS.match(name) is not None
    if match and _VALUE.fullmatch(first) and (first in FLOWING or function):
        args = args[1:]  # what flows
    for op in [catalogue()[name]] if name in catalogue() else ops(name):
        if function and args and op.weights is not Op.weights:
            continue  # its next arguments are the weights
        for own in (False, True)[: 1 if match else 2]:
            try:
                return _layer(op, name.rpartition(".")[2], args, own)
            except Foreign:
                continue
    return ""


def word(text: str, known: Container[str] = ()) -> str:
    """Return the help for a name in an expression that means something elsewhere; "" if it does not.

    `known` are the names that are there: of `kxk`, k.
    """
    rows, by, columns = text.partition("x")
    if by and all(one in known or one.isdigit() for one in (rows, columns)):
        return f"dimensions that are computed: dims({rows}, {columns})"
    if text in VALUES:
        return f"did you mean `{VALUES[text]}`?"
    if PADDINGS.get(text) == "0":
        return "without padding: pad=0"
    if text in INCOMING:
        return "the channels of what comes in are x.c"
    if text == "first":
        return "the first copy's stride: /2 first"
    return said(text)


def argument(params: Mapping[str, Param], name: str, text: str) -> str:
    """Return the help for an argument that is called so elsewhere, for who takes `params`; "" if it is none."""
    ours = next((one for one in (name, *ARGUMENTS.get(name, ())) if one in params), "")
    if not ours:
        return f"leave it out: {name} follows from what comes in" if name in DERIVED else ""
    try:
        return f"did you mean `{ours}={value(params[ours], text)}`?"
    except Foreign:
        return f"did you mean `{ours}`?"


def quoted(before: str, text: str) -> str:
    """Return what a text in single quotes is here: behind `padding=` no text at all; "" if nothing is known."""
    match = re.search(r"(\w+)\s*=\s*$", before)
    if match and "pad" in (match[1], *ARGUMENTS.get(match[1], ())) and text in PADDINGS:
        return f"pad={PADDINGS[text]}"
    return f'"{text}"' if text else ""


def value(param: Param, text: str, same: str = "same") -> str:
    """Return a value that is written as elsewhere, for a parameter; `same` is what that padding is called here.

    Raises:
        Foreign: It means nothing here.
    """
    if len(text) > MAX_TEXT:
        raise Foreign
    types = param.types
    text = VALUES.get(text.strip(), text.strip())
    said = _QUOTED.fullmatch(text)
    word = said[2] if said else text
    if "op" in types and (said or not _NUMBER.match(word)):
        bare = word.removesuffix("()")
        if bare == "none" or bare in catalogue():
            return bare
        ours = ops(bare)
        if not ours:
            raise Foreign
        return ours[0].name
    if "pad" in types and (said or word in PADDINGS):
        if word not in PADDINGS:
            raise Foreign
        return same if PADDINGS[word] == "same" else PADDINGS[word]
    if said:
        return f'"{word}"'
    sizes = [one.strip() for one in re.sub(r"^[(\[](.*?),?[)\]]$", r"\1", text).split(",")]
    if len(sizes) > 1 or sizes[0] != text:
        if not all(map(_NUMBER.fullmatch, sizes)):
            raise Foreign
        sizes = sizes * 2 if len(sizes) == 1 else sizes
        return sizes[0] if types != ("dims",) and len({*sizes}) == 1 else "x".join(sizes)
    if "dims" in types and "int" not in types:
        if not _NUMBER.fullmatch(text) and not _DIMS.match(text):
            raise Foreign  # a name may be that of a size, or of both
        return text if "x" in text else f"{text}x{text}"
    if not text or not _PLAIN.fullmatch(text):
        raise Foreign
    return text


def split(text: str) -> list[str]:
    """Return the arguments of a text, divided at the commas that are in no bracket or quotes."""
    parts, depth, quote, begin = [], 0, "", 0
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and not depth:
            parts.append(text[begin:at].strip())
            begin = at + 1
    return [part for part in (*parts, text[begin:].strip()) if part]


def _layer(op: type[Op], theirs: str, args: list[str], own: bool) -> str:
    """Return a layer of an op with the arguments of what is called `theirs` elsewhere; `own`: in our order."""
    params = op_parameters(op)
    takes = [one.partition("=")[::2] for one in split(_signature(op, theirs))]
    if not own and not _enough(params, [name for name, _ in takes], args):
        raise Foreign
    given = {} if own else {name: text for name, text in takes if text}
    positions = [name for name in op.positional] if own else [name for name, _ in takes]
    same = "same" if theirs in op.elsewhere.torch else "tf"
    for one in args:
        named = _NAMED.fullmatch(one)
        if one.startswith("/"):
            given["stride"] = one[1:].strip()
        elif named is not None and named.groups() in CHANNELS and "axis" in params:
            given["axis"] = '"c"'
        elif named is not None:
            name, text = named.groups()
            known = next((n for n in (name, *ARGUMENTS.get(name, ())) if n in params), "")
            if known:
                given[known] = value(params[known], text, same)
            elif name not in DERIVED | SILENT:
                raise Foreign
        elif positions:
            dims = _DIMS.match(one) is not None
            if own:  # each the first that takes it
                name = next((n for n in positions if not dims or "dims" in params[n].types), "")
            else:
                name = positions[0]
            if (name not in params and name != "_") or (dims and name == "_"):
                raise Foreign
            positions.remove(name)
            if name != "_":
                given[name] = value(params[name], one, same)
        elif VALUES.get(one, one) not in ("true", "false") and not (own and _NUMBER.fullmatch(one)):
            raise Foreign  # in place or not, and the channels that come in, say nothing here
    return _written(op, params, given, [name for name, _ in takes])


def _signature(op: type[Op], theirs: str) -> str:
    """Return what an op takes where it is called so, but for case and underscores: conv2d as Conv2d."""
    plain = theirs.lower().replace("_", "")
    alike = (calls for name, calls in op.elsewhere.calls.items() if name.lower() in (plain, f"{plain}2d"))
    return op.elsewhere.calls.get(theirs) or next(alike, "")


def _enough(params: Mapping[str, Param], takes: list[str], args: list[str]) -> bool:
    """Tell whether there are all arguments that have to be given, in the order of elsewhere."""
    unnamed = sum(not _NAMED.fullmatch(one) and not one.startswith("/") for one in args)
    said = {name for one in args if (match := _NAMED.fullmatch(one)) for name in ARGUMENTS.get(match[1], ())}
    needs = [i for i, name in enumerate(takes) if name in params and params[name].default is MISSING]
    return all(i < unnamed or takes[i] in said for i in needs)


def _written(op: type[Op], params: Mapping[str, Param], given: Mapping[str, str], takes: list[str]) -> str:
    """Return a layer with what it has to be given, and without what is its default."""
    if not given:  # an example of what it is for
        first = next((one for one in takes if one in op._fields and params[one].default is None), "")
        given = {first: _example(op, first)} if first else {}
    needs = [name for name in op.positional if name in given or params[name].default is MISSING]
    words = [given.get(name) or _example(op, name) for name in needs]
    for name, text in given.items():
        # what it has no parameter for, as `/2` of a mask, is left out
        if name in needs or name not in params:
            continue
        if text == show(params[name].default) or _is_same(params, given, name):
            continue
        words.append(f"/{text}" if name == "stride" else f"{name}={text}")
    return f"{op.name} {', '.join(words)}".strip()


def _example(op: type[Op], name: str) -> str:
    """Return a value for an argument that has to be given."""
    return SIZES.get(name) or show(next(iter(op.examples())).op.arguments()[name])


def _is_same(params: Mapping[str, Param], given: Mapping[str, str], name: str) -> bool:
    """Tell whether a padding in numbers is what `same`, the default, adds at either end: d (k - 1) / 2."""
    if name != "pad" or params[name].default != Pad("same"):
        return False
    axes = [
        (sizes * 2)[:2] if len(sizes) == 1 else sizes
        for sizes in (given.get(one, "1").split("x") for one in ("kernel", "pad", "dilation"))
    ]
    if not all(_NUMBER.fullmatch(one) for axis in axes for one in axis):
        return False
    return all(int(d) * (int(k) - 1) == 2 * int(p) for k, p, d in zip(*axes, strict=True))
