"""Making a model, and reading what each of its modules was made with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from inspect import CO_VARARGS, CO_VARKEYWORDS
from typing import Any

from torch import Tensor, nn

Given = dict[str, Any]


@contextmanager
def watched() -> Iterator[dict[int, tuple[nn.Module, Given]]]:
    """Give what modules are made with that are made within, by id: the arguments of the outermost constructor.

    While a module is made, `nn.Module.__init__` is called in the frame of its own constructor, whose arguments have
    their true names there.
    """
    import sys

    found: dict[int, tuple[nn.Module, Given]] = {}
    begin: Any = nn.Module.__init__

    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        frame = sys._getframe(1)
        outer = None
        while frame is not None and frame.f_code.co_name == "__init__":
            code = frame.f_code
            count = code.co_argcount + code.co_kwonlyargcount
            names = code.co_varnames[:count]
            if not names or frame.f_locals.get(names[0]) is not self:
                break
            outer, names_of = frame, names[1:]
            further = code.co_varnames[count + bool(code.co_flags & CO_VARARGS) :][
                : bool(code.co_flags & CO_VARKEYWORDS)
            ]
            frame = frame.f_back  # type: ignore[assignment]
        if outer is not None:
            given = {name: outer.f_locals[name] for name in names_of if name in outer.f_locals}
            for name in further:  # `**kwargs`
                given |= outer.f_locals.get(name, {})
            found[id(self)] = self, _said(given)

    nn.Module.__init__ = init  # type: ignore[method-assign]
    try:
        yield found
    finally:
        nn.Module.__init__ = begin  # type: ignore[method-assign]


def made(factory: Callable[[], Any]) -> tuple[Any, dict[str, Given]]:
    """Return a model, and by path of a module the numbers and texts that its constructor was given."""
    with watched() as found:
        model = factory()
    if not isinstance(model, nn.Module):
        return model, {}
    return model, {
        path: found[id(module)][1] for path, module in model.named_modules() if id(module) in found
    }


def _said(given: Given) -> Given:
    """Return arguments: numbers and texts as they are, other objects by the names of their classes.

    What records among them hold is there by its names, too.
    """
    said = {name: value if _plain(value) else _class_name(value) for name, value in given.items()}
    for value in given.values():
        record = type(value).__module__ != "builtins" and not isinstance(value, nn.Module | Tensor | type)
        for name, one in vars(value).items() if record and hasattr(value, "__dict__") else ():
            if _plain(one) and not name.startswith("_"):
                said.setdefault(name, one)
    return said


def _class_name(value: Any) -> str:
    return (value if isinstance(value, type) else type(value)).__name__


def _plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


@cache
def parameters(forward: Any) -> tuple[str, ...]:
    """Return what a function calls its arguments."""
    return tuple(inspect.signature(forward).parameters)
