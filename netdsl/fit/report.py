"""What was found, as text, Markdown, CSV, and as an object for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote
from typing import Any

from netdsl.diagnostics.render import printable
from netdsl.elaborate.evaluate import is_number
from netdsl.elaborate.values import show
from netdsl.fit.search import Fit, Step, number
from netdsl.sheet import Look, Sheet, csv

VERSION = 1
"""Of the JSON form, docs/schema/fit.json."""


def _sheet(found: Fit[Any]) -> Sheet:
    """Return the steps as texts; the caption has targets in full, and columns what tells them apart."""
    net, line = found.origin, found.line
    asked = ", ".join(target.asked for target in found.targets)
    names = [one.name for one in line.varied]
    spread = any(step.first != step.last for step in found.steps)
    header = [*names, *(["the same for"] if spread else [])]
    for title in _titles(found):
        header += [title, "off"]
    rows = []
    for at, step in enumerate(found.steps):
        cells = [show(value) for value in step.values.values()]
        cells += [_extent(step)] if spread else []
        for amount, limit in zip(step.amounts, step.limits, strict=True):
            cells += [number(amount), _percent(amount, limit)]
        rows.append([*cells, _mark(found) if at == found.best else ""])
    notes = [f"{found.made} nets made"]
    if not found.monotone:
        tried = "every value of the range was tried" if found.complete else "another value may come nearer"
        notes.append(f"note: not every quantity goes one way only over these values: {tried}")
    caption = f"{printable(net.name)} ({printable(net.spec)}): {' and '.join(names)} for {asked}"
    marks = len(header)
    off = [n for n, title in enumerate(header) if title == "off"]
    spare = [[len(names)]] * spread + [[n] for n in reversed(off)]
    return Sheet([*header, ""], rows, left=[marks], caption=caption, notes=notes, spare=spare, prose=[marks])


def _given(found: Fit[Any]) -> str:
    """Return the options of the command that make the net, on a line of its own to be copied; "" if they are cut."""
    given = " ".join(_options(found))
    return "" if "..." in given else given  # a list that is too long to be shown


def _titles(found: Fit[Any]) -> list[str]:
    """Return the quantities of the targets, without their options where no two are then called the same."""
    whole = [target.text for target in found.targets]
    short = [text.partition("(")[0].rstrip() for text in whole]
    return [text if short.count(name) > 1 else name for text, name in zip(whole, short, strict=True)]


def _options(found: Fit[Any]) -> Iterator[str]:
    """Yield the options of the command that make the net that was found."""
    for name, value in found.settings.items():
        yield f"--set {quote(f'{name}={show(value)}')}"
    for name, shape in found.inputs.items():
        yield f"--input {quote(f'{name}={shape}' if name else str(shape))}"


def render_text(found: Fit[Any], look: Look | None = None) -> str:
    """Return the steps as a table, and no newline at the end."""
    return "\n".join(filter(None, (_sheet(found).text(look), _given(found))))


def render_markdown(found: Fit[Any]) -> str:
    """Return the same as Markdown."""
    sheet, given = _sheet(found), _given(found)
    return sheet.replace(notes=[*sheet.notes, *([given] if given else [])]).markdown()


def render_csv(found: Fit[Any]) -> str:
    """Return the steps as CSV: values, the ends of what counts the same, exact quantities, which step is meant."""
    names = [one.name for one in found.line.varied]
    header = [f"{name}{end}" for name in names for end in ("", "_first", "_last")]
    rows = []
    for at, step in enumerate(found.steps):
        ends = (values[name] for name in names for values in (step.values, step.first, step.last))
        rows.append([*map(show, ends), *map(str, step.amounts), str(int(at == found.best))])
    return csv([[*header, *(target.text for target in found.targets), "best"], *rows])


def _mark(found: Fit[Any]) -> str:
    relations = {target.relation[0] for target in found.targets}
    return "nearest" if "=" in relations else "largest that holds" if "<" in relations else "least that holds"


def _extent(step: Step) -> str:
    """Return from where to where a step extends, told by the first parameter that changes over it."""
    for name, value in step.first.items():
        if value != step.last[name]:
            return f"{show(value)} to {show(step.last[name])}"
    return ""


def _percent(amount: float, limit: float) -> str:
    if not limit:
        return ""
    percent = 100 * (amount - limit) / limit
    return "exact" if amount == limit else f"{percent:+.2f}%"


def render_json(found: Fit[Any]) -> dict[str, Any]:
    """Return the steps as an object for `json.dumps`; its fields are those of docs/schema/fit.json."""

    def values(some: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value if is_number(value) else show(value) for name, value in some.items()}

    return {
        "version": VERSION,
        "net": found.origin.name,
        "spec": found.origin.spec,
        "file": found.origin.file,
        "vary": [one.name for one in found.line.varied],
        "targets": [
            {"quantity": t.text, "relation": t.relation, "number": limit}
            for t, limit in zip(found.targets, found.step.limits, strict=True)
        ],
        "steps": [
            {
                "values": values(step.values),
                "first": values(step.first),
                "last": values(step.last),
                "amounts": dict(zip((t.text for t in found.targets), step.amounts, strict=True)),
            }
            for step in found.steps
        ],
        "best": found.best,
        "settings": {name: show(value) for name, value in found.settings.items()},
        "inputs": {name: list(shape) for name, shape in found.inputs.items()},
        "made": found.made,
        "monotone": found.monotone,
        "complete": found.complete,
    }
