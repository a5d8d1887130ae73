"""Whether a state has the names and shapes that a backend needs, and if not, what it might be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from netdsl.backend import names
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.net import Net
from netdsl.weights.layout import Layout, layout

SHOWN = 10
"""How many of a kind are listed."""
LONGEST = 100
"""Characters of a name that are shown."""

Shapes = Mapping[str, tuple[int, ...]]


def check(net: Net, needed: Layout, shapes: Shapes, subject: str) -> None:
    """Raise NetError unless a state has exactly what is needed; `subject` is what it is called."""
    missing = [key for key in needed.shapes if key not in shapes and key not in needed.optional]
    unknown = [key for key in shapes if key not in needed.shapes]
    wrong = [key for key, shape in needed.shapes.items() if shapes.get(key, shape) != shape]
    counts = {"missing": missing, "unknown": unknown, "of another shape": wrong}
    if not any(counts.values()):
        return
    said = ", ".join(f"{len(keys):,} {what}" for what, keys in counts.items() if keys)
    help = _other_backend(net, needed, shapes) or _prefix(needed, shapes)
    if not missing and not unknown:
        help = help or _other_setting(net, needed, shapes)
    meant = {key: "" if help else _meant(key, shapes[key], needed, missing) for key in unknown[:SHOWN]}
    details = [
        *_listed("missing", missing, lambda key: f"{key}, {_text(needed.shapes[key])}"),
        *_listed("unknown", unknown, lambda key: f"{_short(key)}, {_text(shapes[key])}{meant[key]}"),
        *_listed(
            "another shape",
            wrong,
            lambda key: f"{key} is {_text(shapes[key])}, {net.name} has {_text(needed.shapes[key])}",
        ),
    ]
    message = f"{subject} does not fit {net.name} in {needed.name}: {said}"
    raise NetError([Diagnostic("E514", message, details=tuple(details), help=help)])


def _listed(what: str, keys: list[str], line: Callable[[str], str]) -> Iterator[str]:
    yield from (f"{what}: {line(key)}" for key in keys[:SHOWN])
    if len(keys) > SHOWN:
        yield f"{what}: {len(keys) - SHOWN:,} more"


def _short(key: str) -> str:
    return key if len(key) <= LONGEST else f"{key[:LONGEST]}..."


def _meant(key: str, shape: tuple[int, ...], needed: Layout, missing: list[str]) -> str:
    """Return what a name of that shape was meant to be: "; did you mean `fc.weight`?"."""
    found = did_you_mean(_short(key), [name for name in missing if needed.shapes[name] == shape])
    return f"; {found}" if found else ""


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def _common(shapes: Shapes, known: Shapes) -> int:
    """Return how many tensors of a state are known, with their shapes."""
    return sum(known.get(key) == shape for key, shape in shapes.items())


def _other_backend(net: Net, needed: Layout, shapes: Shapes) -> str:
    """Return which other backend has more than half of a state's tensors, and more than the one asked for."""
    best, found = max(len(shapes) / 2, _common(shapes, needed.shapes)), ""
    for name in names():
        try:
            common = _common(shapes, layout(net, name).shapes)
        except NetError:  # it lacks an op of the net, or does not tell where its weights are
            continue
        if common > best:
            best, found = common, f"these are names and shapes of the {name} backend"
    return found


def _prefix(needed: Layout, shapes: Shapes) -> str:
    """Return what stands before every name, as wrappers such as DataParallel put it there."""
    first = next(iter(needed.shapes), "")
    for key in shapes:
        prefix = key.removesuffix(first)
        if first and prefix and prefix != key:
            stripped = {k.removeprefix(prefix) for k in shapes if k.startswith(prefix)}
            if stripped >= needed.shapes.keys() - needed.optional:
                return f"names begin with `{_short(prefix)}`, which the net's own do not: leave it out"
    return ""


def _other_setting(net: Net, needed: Layout, shapes: Shapes) -> str:
    """Return the value of a parameter of the net that makes all shapes equal: "classes=10"."""
    changes = {
        pair
        for key, shape in needed.shapes.items()
        for pair in zip(shape, shapes.get(key, shape), strict=False)
        if pair[0] != pair[1]
    }
    if len(changes) != 1:
        return ""
    ((size, other),) = changes
    for parameter, value in net.graph.tree.args.items():
        if type(value) is not int or value != size:
            continue
        try:
            varied = layout(net.vary(parameter, other), needed.name).shapes
        except NetError:  # no parameter, or no net
            continue
        if _common(shapes, varied) == len(shapes):
            said = f"{parameter}={other}"
            return f"it fits with {said}: --set {said}, in Python load(..., {said})"
    return ""
