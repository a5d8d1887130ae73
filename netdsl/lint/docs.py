"""What the rules say about themselves: for `netdsl explain`, for SARIF, and docs/rules.md."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from inspect import cleandoc
from textwrap import indent

from netdsl.data import folder
from netdsl.lint.rule import FAMILIES, SECTIONS, Rule
from netdsl.lint.rules import catalogue
from netdsl.sheet import Look, Sheet

_HEAD = """\
# The rules of `netdsl lint`

Written from the rules themselves by `make docs`. `netdsl explain L201`, or `netdsl explain huge_fc`, shows one of
them; `@allow(huge_fc, "reason")` on the line above an item silences it for that item and what is in it.

A rule of `audit` is off until it is asked for: `--select audit`, or by its name. One that is on with `--batch` is
about a step of training, and off until it is known how many samples that has.

| rule | severity | by default | fix | finds |
|---|---|---|---|---|
"""


def first_line(rule: type[Rule]) -> str:
    """Return what a rule finds, in a phrase."""
    line = cleandoc(rule.__doc__ or "").partition("\n")[0]
    return line[:1].lower() + line[1:].rstrip(".")


def sections(rule: type[Rule]) -> dict[str, str]:
    """Return the sections of a rule's docstring by their titles."""
    parts = cleandoc(rule.__doc__ or "").split("\n## ")[1:]
    titled = (part.partition("\n") for part in parts)
    return {title.strip(): body.rstrip() for title, _, body in titled}


def section(rule: type[Rule], title: str) -> str:
    """Return one section; a spec without its indentation."""
    return cleandoc(f"\n{sections(rule)[title]}")


def explain(rule: type[Rule]) -> str:
    """Return all that there is to say about a rule, as text without a newline at the end."""
    lines = [f"{rule.code} {rule.name()}: {first_line(rule)}", ""]
    off = ", off until it is asked for: --select audit" if rule.audit else ""
    off += ", off without --batch" if rule.steps else ""
    lines += [f"{rule.severity}, {FAMILIES[rule.code[:2]]}{off}"]
    for title in SECTIONS:
        body = section(rule, title)
        lines += ["", f"{title}:", "", indent(body, "    ") if title in ("Bad", "Good") else body]
    if rule.thresholds:
        lines += ["", "Thresholds:", ""]
        lines += [f"    {name} = {one.default}  {one.about}" for name, one in rule.thresholds.items()]
    return "\n".join(lines)


def _default(rule: type[Rule]) -> str:
    return "audit" if rule.audit else "with --batch" if rule.steps else "on"


def fixable(rule: type[Rule]) -> str:
    """Return how a rule mends what it finds, as the section about that begins: "safe", "unsafe" or ""."""
    word = section(rule, "Fix safety").split(maxsplit=1)[0].rstrip(".,:;").lower()
    return word if word in ("safe", "unsafe") else ""


def url(rule: type[Rule]) -> str:
    """Return where the page of a rule is, or "": where the package says that its documentation is, or beside it."""
    from importlib.metadata import PackageNotFoundError, metadata

    page = folder("docs") / "rules.md"
    try:
        urls = [line.partition(", ") for line in metadata("netdsl").get_all("Project-URL") or ()]
    except PackageNotFoundError:
        urls = []
    home = next((where for what, _, where in urls if what == "Documentation"), "")
    found = f"{home.rstrip('/')}/rules.md" if home else page.as_uri() if page.is_file() else ""
    return f"{found}#{rule.code}" if found else ""


def summary(rule: type[Rule]) -> dict[str, str]:
    """Return code, name, severity, when it is on ("on", "audit", "with --batch"), fix, and what it finds."""
    return {
        "code": rule.code,
        "rule": rule.name(),
        "severity": rule.severity,
        "default": _default(rule),
        "fix": fixable(rule),
        "finds": first_line(rule),
    }


def table(rules: Sequence[type[Rule]], look: Look | None = None) -> str:
    """Return rules as text, a line each with its summary."""
    header = ("code", "rule", "severity", "default", "fix", "finds")
    rows = [tuple(summary(rule)[key] for key in header) for rule in rules]
    sheet = Sheet(header, rows, left=range(6), spare=[[4], [3], [2]], prose=(5,))
    return sheet.text(look, ruled=False)


def render() -> str:
    """Return docs/rules.md."""
    rules = list(catalogue().values())
    parts = [
        _HEAD
        + "".join(
            f"| [{r.code}](#{r.code}) `{r.name()}` | {r.severity} | {_default(r)} | {fixable(r)} "
            f"| {first_line(r)} |\n"
            for r in rules
        )
    ]
    for family, what in FAMILIES.items():
        members = [rule for rule in rules if rule.code.startswith(family)]
        if members:
            parts.append(f"\n## {family}xx: {what}\n")
            parts += [_markdown(rule) for rule in members]
    return "".join(parts)


def _markdown(rule: type[Rule]) -> str:
    lines = [
        f'\n<a id="{rule.code}"></a>\n\n### {rule.code} {rule.name()}\n',
        f"{rule.severity}: {first_line(rule)}.\n",
    ]
    for title in SECTIONS:
        body = section(rule, title)
        lines.append(
            f"**{title}.**\n\n```net\n{body}\n```\n" if title in ("Bad", "Good") else f"**{title}.** {body}\n"
        )
    if rule.thresholds:
        lines.append(f"**Thresholds** (`[tool.netdsl.lint.thresholds.{rule.name()}]`).\n")
        lines.append(
            "".join(f"- `{name} = {one.default}`: {one.about}\n" for name, one in rule.thresholds.items())
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(render())
