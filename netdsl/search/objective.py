"""What a net is scored by: a function of the user's, or a short training on scikit-learn's digits."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
import typing
from collections.abc import Callable
from numbers import Real
from typing import Any

from netdsl.against import said
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean
from netdsl.network import Network
from netdsl.record import Record

Score = Callable[[Network], float]
FORM = "an objective is MODULE:FUNCTION, or digits"


class Objective(Record):
    """A named function that scores a net; more is better."""

    name: str
    score: Score

    def __call__(self, net: Network) -> float:
        """Return the score of a net; raise ValueError if the function returns no finite number."""
        found: Any = self.score(net)
        if isinstance(found, bool) or not isinstance(found, Real):
            raise ValueError(f"the objective returned {type(found).__name__}, and no number")
        score = float(found)
        if score - score:  # infinite, or no number at all
            raise ValueError(f"the objective returned {score}")
        return score


def find(name: str) -> Objective:
    """Return the objective of that name; a module is imported, which runs it.

    The function is given the `Network`; if its first parameter is annotated as torch's or Flax's `Module`, the built
    one: `def score(model: torch.nn.Module) -> float`.

    Raises:
        NetError: There is no such objective, or what it needs is missing.
    """
    if name == "digits":
        from netdsl.search.digits import prepared

        return Objective(name, prepared())
    module, colon, function = name.partition(":")
    if not colon or not module or not function:
        raise _unknown(f"there is no objective {name}", FORM)
    if module.endswith(".py"):
        raise _unknown(
            f"{module} is a file", f"{FORM}: {os.path.splitext(os.path.basename(module))[0]}:{function}"
        )
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # as for `python -m`
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        there = error.name != module and not module.startswith(f"{error.name}.")
        help = f"{module} needs it" if there else "it is looked for in this folder, and where Python looks"
        raise _unknown(f"there is no module {error.name}", help) from None
    except (Exception, SystemExit) as error:
        raise _unknown(f"{module} does not run: {said(error)}") from None
    own = getattr(found, function, None)
    if not callable(own):
        known = [key for key, value in vars(found).items() if inspect.isfunction(value) and key[0] != "_"]
        help = did_you_mean(function, known) or (f"it defines {', '.join(known[:10])}" if known else "")
        raise _unknown(f"{module} defines no function {function}", help)
    return Objective(name, _given(own, _wants(own)))


def _unknown(what: str, help: str = "") -> NetError:
    return NetError([Diagnostic("E586", what, help=help)])


def _given(function: Callable[[Any], float], backend: str) -> Score:
    """Return a function of a net from one of a net, or of a module that a backend builds."""
    return (lambda net: function(net.build(backend))) if backend else function


def _wants(function: Any) -> str:
    """Return for which backend a function wants a module built, by its first parameter; "" if it wants none."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return ""
    if first is None:
        raise _unknown("the objective takes no argument", "def score(net: netdsl.Network) -> float")
    try:
        wanted = typing.get_type_hints(function).get(first.name, first.annotation)
    except Exception:  # a name that only a type checker imports
        wanted = first.annotation
    if isinstance(wanted, str):
        return {"torch.nn.Module": "torch", "nn.Module": "torch", "nnx.Module": "flax"}.get(wanted, "")
    for kind in inspect.getmro(wanted) if isinstance(wanted, type) else ():
        if kind.__name__ == "Module":
            return {"torch": "torch", "flax": "flax"}.get(kind.__module__.partition(".")[0], "")
    return ""
