"""Arguments that a spec may refuse: what a constructor makes of them, against what the spec says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from metamorphic import Draw, NoWord, Subject, Torch, drawn, framework, probe, text_of

from netdsl.diagnostics import NetError
from netdsl.elaborate.values import NetDecl, Ramp, TableValue
from netdsl.ir.types import Dims, Pad, Shape


def spoiled(value: Any) -> Iterator[Any]:
    """Yield others in the place of an argument: numbers below 1, in it or instead, and lists of other lengths.

    Of what may be a probability or a factor: numbers below 0 and above 1.
    """
    if type(value) is int:
        yield from (number for number in (0, -1) if number != value)
    elif type(value) is float:
        yield from (-0.5, -0.01, 1.5)
    elif isinstance(value, Dims):
        yield from (Dims(sizes) for sizes in spoiled_items(value))
    elif isinstance(value, Pad) and value.mode == "explicit":
        yield from (Pad("explicit", sizes) for sizes in spoiled_items(value.size))  # type: ignore[arg-type]
    elif isinstance(value, TableValue):
        yield from (
            value.replace(rows=rows) for rows in (value.rows[:-1], (*value.rows, *value.rows[-1:]), ())
        )
        yield from (value.replace(rows=(*value.rows[:-1], row)) for row in spoiled_items(value.rows[-1]))
    elif isinstance(value, tuple):
        yield from (value[:-1], (*value, *value[-1:]), ())
        yield from spoiled_items(value)


def spoiled_items(values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield lists of which one item is spoiled."""
    for at, item in enumerate(values):
        for other in spoiled(item):
            yield (*values[:at], other, *values[at + 1 :])


def refusal(subject: Subject, draw: Draw) -> str | None:
    """Return why the spec refuses a draw at every size, "" where it takes it; None: it depends on the size."""
    reasons: list[str] = []
    for times in (1, 16):
        shapes = (Shape(s.c, times * s.h, times * s.w) if s.axes == "chw" else s for s in draw.shapes)
        values, size = dict(draw.values), draw.values.get("size")
        if isinstance(size, Dims):
            values["size"] = Dims(times * side for side in size)
        try:
            probe(subject, Draw(values, tuple(shapes)))
        except NetError as error:
            reasons.append(error.diagnostics[0].message)
        else:
            return None if reasons else ""
    of_sizes = re.search(r"elements is more than|branches differ: (\d+)x\d+x\d+ and \1x\d+x\d+$", reasons[0])
    return None if of_sizes else reasons[0]


def spoiled_draws(subject: Subject, draws: int) -> Iterator[tuple[str, Draw]]:
    """Yield draws of which one argument is spoiled, and which one: of some legal draws, and of the net's own."""
    legal = {text_of(tuple(draw.values.values())): draw for draw, _ in drawn(subject, draws).legal}
    shapes = subject.net.elaborated.shapes
    for scope in subject.instances:
        args = {name: scope.args[name] for name in subject.params if name in scope.args}
        values = {name: 0.1 if isinstance(value, Ramp) else value for name, value in args.items()}
        own = tuple(shapes[v.node][v.port] for v in scope.inputs) or tuple(subject.net.inputs.values())
        legal.setdefault(text_of(tuple(values.values())), Draw(values, own))
    known: set[str] = set()
    for draw in legal.values():
        if isinstance(subject.decl, NetDecl) and "size" not in subject.signature:
            draw = draw._replace(shapes=tuple(subject.net.inputs.values()))  # which its class knows
        elif isinstance(size := draw.values.get("size"), Dims):
            draw = draw._replace(shapes=tuple(Shape(s.c, *size) for s in draw.shapes))
        if refusal(subject, draw) != "":
            continue
        for name in [name for name in draw.values if name in subject.signature]:
            for other in spoiled(draw.values[name]):
                one = draw._replace(values={**draw.values, name: other})
                if str(one) not in known:
                    known.add(str(one))
                    yield name, one


def construct(subject: Subject, draw: Draw, backend: str) -> None:
    """Make a class, without numbers; raise NoWord."""
    chosen = framework(backend)
    for name, value in draw.values.items():
        parameter = subject.signature.get(name)
        if isinstance(value, Pad) and value.mode == "same" and parameter is not None:
            if "None" not in str(parameter.annotation):
                raise NoWord("same")
    if not isinstance(chosen, Torch):
        chosen.make(subject, draw)  # type: ignore[attr-defined]
        return
    given = chosen.arguments(subject, draw)
    with torch.device("meta"):
        subject.cls(**given)


class Case(NamedTuple):
    """A draw of which the argument of that name is spoiled, and why the spec refuses it; "" where it does not."""

    name: str
    draw: Draw
    said: str


def judged(subject: Subject, draws: int = 1) -> list[Case]:
    """Return the spoiled draws that the spec takes, or refuses, at every size."""
    cases = ((name, draw, refusal(subject, draw)) for name, draw in spoiled_draws(subject, draws))
    return [Case(name, draw, said) for name, draw, said in cases if said is not None]


def misjudged(subject: Subject, backend: str, cases: list[Case]) -> list[str]:
    """Return the cases that the spec refuses and a constructor does not, with ValueError, or the reverse."""
    found = []
    for name, draw, said in cases:
        try:
            construct(subject, draw, backend)
            got = ""
        except NoWord:
            continue
        except ValueError as error:
            if said:
                continue
            got = f"ValueError: {error}"
        except Exception as error:  # whatever a wrong class raises
            got = f"{type(error).__name__}: {error}"
        if not got and any(isinstance(v, Dims) and min(v) < 0 for v in draw.values.values()):
            continue  # dimensions below 0 have no text, and need no refusal where nothing has them
        if said or got:
            found.append(f"{subject.name}, {name}: the spec says {said!r}, and the class {got!r} of {draw}")
    return found
