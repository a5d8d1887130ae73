"""What can be said about a spec: a code, a sentence, the place, the way out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import accumulate
from operator import and_, eq
from pathlib import Path

from netdsl.diagnostics.model import Argument, Diagnostic, Frame, Label, Severity

__all__ = [
    "Argument",
    "Diagnostic",
    "Frame",
    "Label",
    "NetError",
    "Severity",
    "closest",
    "did_you_mean",
    "internal",
]


class NetError(Exception):
    """The only exception users see: it carries what is wrong with a spec, or with how it was asked for."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        """Carry one diagnostic or more."""
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from netdsl.diagnostics.render import render_text  # only when shown

        return "\n".join(render_text(d) for d in self.diagnostics)


MAX_WORD = 64
"""The longest word that is compared with others letter by letter, which takes as long as the product of both."""
MAX_COMPARED = 500
"""The most words that one is compared with so."""


def closest(word: str, known: Sequence[str]) -> str:
    """Return what a misspelt word may have meant, or an empty string; of very many, those that begin alike.

    A letter alone is like itself only.
    """
    if len(word) > MAX_WORD:
        return ""
    known = [one for one in known if len(one) <= MAX_WORD]
    lower = {one.lower(): one for one in known}
    if word.lower() in lower or len(word) == 1:
        return lower.get(word.lower(), "")
    alike = known
    for length in range(1, len(word) + 1):
        if len(alike) <= MAX_COMPARED:
            break
        alike = [one for one in alike if one[:length].lower() == word[:length].lower()]
    close = get_close_matches(word, alike[:MAX_COMPARED], n=9, cutoff=0.6)
    best = SequenceMatcher(None, close[0], word).ratio() if close else 0.0
    equal = [one for one in close if SequenceMatcher(None, one, word).ratio() >= best]
    # of names that are as close: what is mistyped is more often the end
    return max(equal, key=lambda one: sum(accumulate(map(eq, one, word), and_)), default="")


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return "did you mean `conv`?" for a misspelt word, or an empty string."""
    meant = closest(word, known)
    return f"did you mean `{meant}`?" if meant else ""


def internal(error: Exception, what: str = "internal error") -> Diagnostic:
    """Return what is said of an exception that nobody has foreseen; in Python's development mode, raise it."""
    if sys.flags.dev_mode:
        raise error
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    said = str(error).partition("\n")[0][:200]
    help = "this is a fault of netdsl: please report it; `python -X dev -m netdsl ...` shows where it is"
    return Diagnostic("E591", f"{what}: {type(error).__name__}: {said} ({place})", help=help)
