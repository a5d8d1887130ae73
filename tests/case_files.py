"""Cases in Markdown: a heading, a sentence that says why, and fenced blocks with what is expected of them."""

import re
from pathlib import Path
from typing import NamedTuple

from netdsl.api import instances
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.elaborate.build import MAX_NODES, Elaborated, Recipe
from netdsl.elaborate.files import Files
from netdsl.source import Source

FENCE = re.compile(r"```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPECTED = re.compile(r' *# (?:error: \[(\w+)\] "(.*?)"|help: "(.*?)"|shape: (\S+))(?= *# \w+: |$)')


class Fenced(NamedTuple):
    """A fenced block: its language, what stands behind it, its text."""

    language: str
    options: dict[str, str]
    text: str


class Case(NamedTuple):
    """One case of a file."""

    name: str
    prose: str
    blocks: list[Fenced]

    @property
    def snapshot(self) -> str | None:
        """The errors as they are shown, if the case has them."""
        return next((block.text for block in self.blocks if block.language == "error"), None)


class Expected(NamedTuple):
    """What a line is expected to bring about."""

    file: str
    line: int
    errors: list[tuple[str, str]]
    helps: list[str]
    shapes: list[str]


def read(path: Path) -> list[Case]:
    """Return the cases of a file."""
    cases = []
    for part in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        blocks = [Fenced(m[1], options(m[2]), m[3]) for m in FENCE.finditer(rest)]
        cases.append(Case(name.strip(), FENCE.sub("", rest).strip(), blocks))
    return cases


def options(text: str) -> dict[str, str]:
    """Return `key=value` pairs."""
    return dict(pair.split("=", 1) for pair in text.split())


def expectations(text: str, file: str = "case.net") -> tuple[str, list[Expected]]:
    """Return the text without its expectations, and these."""
    lines, expected = [], []
    for number, line in enumerate(text.splitlines(), 1):
        found = list(EXPECTED.finditer(line))
        if found:
            errors = [(m[1], m[2]) for m in found if m[1]]
            helps = [m[3] for m in found if m[3]]
            shapes = [m[4] for m in found if m[4]]
            expected.append(Expected(file, number, errors, helps, shapes))
            line = line[: found[0].start()]
        lines.append(line)
    return "\n".join(lines) + "\n", expected


def run(text: str, files: dict[str, str], given: dict[str, str]) -> tuple[list[Diagnostic], list[Elaborated]]:
    """Load a spec and elaborate all its instances; return what is wrong, each once, and what came out."""

    def find(name: str, importer: Source) -> Source:
        if name not in files:
            raise ValueError("there is no such file")
        return Source(name, files[name])

    settings = {k.removeprefix("set."): v for k, v in given.items() if k.startswith("set.")}
    found: dict[tuple[object, ...], Diagnostic] = {}
    nets: list[Elaborated] = []
    try:
        scope = Files(find).load(Source("case.net", text))
        for net, variant in instances(scope).values():
            limit = int(given.get("max_nodes", MAX_NODES))
            try:
                nets.append(Recipe(net, variant, settings, {}, limit).elaborate())
            except NetError as error:
                found.update(((d.code, d.message, str(d.span)), d) for d in error.diagnostics)
    except NetError as error:
        found.update(((d.code, d.message, str(d.span)), d) for d in error.diagnostics)
    return list(found.values()), nets
