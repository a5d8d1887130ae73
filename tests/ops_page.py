"""docs/ops.md: every op, its line, what it does, its names elsewhere. `make docs` writes it, without a framework."""

from __future__ import annotations

import sys
from inspect import cleandoc
from itertools import groupby

from netdsl.elaborate.arguments import op_parameters
from netdsl.elaborate.values import MISSING, show
from netdsl.ir.types import Shape
from netdsl.lifting.words import op_words
from netdsl.ops import Op, catalogue
from netdsl.syntax.words import WORDS

HEAD = """\
# The ops

Every op of the language, and what PyTorch, Keras 3 and JAX with Flax call it: `nn.` is torch.nn, `F.`
torch.nn.functional, `layers.` and `ops.` are Keras's, `nnx.` is flax.nnx, `jnp.` jax.numpy. The same name does not
always mean the same defaults; netdsl has torch's where torch has the op, but for the paddings of `conv`, which are
`same`: [coming from PyTorch](coming-from-pytorch.md) has what differs.

`netdsl explain conv` says all there is about one of them, with types, examples, weights and costs, and so does
`netdsl explain Conv2d`. In the arguments, those without a default have to be given; `stride=2` may be written `/2`.

`make docs` writes this page from the ops themselves.
"""
LETTERS = "abcdef"


def line(op: type[Op]) -> str:
    """Return a use of an op as a spec has it."""
    if op.arity == (0, 0):
        lines = map(str.strip, WORDS[op.name].example.splitlines())
        return next(one.partition("  #")[0] for one in lines if one.startswith(op.name))
    example = next(iter(op.examples()))
    further = example.op.further(*example.inputs)
    words = [*op_words(example.op), *(f"{name}={LETTERS[at]}" for name, at in further.items())]
    plain = [LETTERS[at] for at in range(len(example.inputs)) if at not in further.values()]
    call = f"{op.name} {', '.join(words)}".rstrip()
    return f"from {', '.join(plain)} -> {call}" if len(plain) > 1 else call


def spec(op: type[Op]) -> str:
    """Return a net with that line."""
    if op.arity == (0, 0):
        return WORDS[op.name].example
    example = next(iter(op.examples()))
    shapes = example.inputs
    inputs = [f"    input {LETTERS[at]}: {sizes(shape)}" for at, shape in enumerate(shapes)]
    start = "" if line(op).startswith("from") or len(shapes) == 1 else "from a -> "
    end = " -> concat" if len(example.op.outputs(*shapes)) > 1 else ""
    return "\n".join(["net N:", *inputs, f"    layer: {start}{line(op)}{end}", ""])


def sizes(shape: Shape) -> str:
    """Return a shape as `input` takes it."""
    return f"{shape.c}, {shape.h}x{shape.w}" if shape.axes == "chw" else ", ".join(map(str, shape))


def arguments(op: type[Op]) -> str:
    """Return the arguments with their defaults; that of its weights' beginning is every op's."""
    given = []
    for param in op_parameters(op).values():
        needed = param.default is MISSING
        given.append(param.name if needed else f"{param.name}={show(param.default)}")
    return ", ".join(given)


def cell(text: str) -> str:
    """Return a text that a cell of a table can hold."""
    return text.replace("|", r"\|")


def code(text: str) -> str:
    """Return a text as code, or nothing."""
    return f"`{text}`" if text else ""


def row(op: type[Op]) -> str:
    """Return an op's row."""
    does = cleandoc(op.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
    names = (op.elsewhere.torch, op.elsewhere.keras, op.elsewhere.jax)
    cells = (op.name, code(line(op)), does, code(arguments(op)), *map(code, names))
    return f"| {' | '.join(map(cell, cells))} |\n"


def render() -> str:
    """Return docs/ops.md."""
    parts = [HEAD]
    families = groupby(sorted(catalogue().values(), key=lambda op: op.__module__), lambda op: op.__module__)
    for module, ops in families:
        about = cleandoc(sys.modules[module].__doc__ or "").partition("\n")[0]
        parts.append(f"\n## {module.rpartition('.')[2]}\n\n{about}\n\n")
        parts.append("| op | for example | what it does | arguments | PyTorch | Keras | JAX, Flax |\n")
        parts.append("|---|---|---|---|---|---|---|\n")
        parts += map(row, ops)
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
