"""The texts that the grammars of editors are held to: the zoo, the tests' cases, spaces, and corners by hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from case_files import expectations, read

from netdsl import data

HERE = Path(__file__).parent
GRAMMAR = data.read("grammar", "net.lark")


def texts() -> dict[str, list[str]]:
    """Return the corpus by file; a page has several texts."""
    found = {name: [data.read("specs", name)] for name in data.names("specs", ".net")}
    for path in sorted([*HERE.glob("spaces/*.net"), *HERE.glob("editors/*.net")]):
        found[path.name] = [path.read_text(encoding="utf-8")]
    for page in [*sorted(HERE.glob("cases/*.md")), data.folder("grammar") / "README.md"]:
        blocks = [block for case in read(page) for block in case.blocks if block.language == "net"]
        found[page.name] = [expectations(block.text)[0] for block in blocks]
    return found


CORPUS = texts()


def kinds(text: str, tokens: Iterable[tuple[int, int, str]]) -> list[str]:
    """Return the lines of a text with the kinds of what is in them; neighbours of one kind and one word are one."""
    at = [""] * len(text)
    for start, end, kind in tokens:
        at[start:end] = [kind] * (end - start)
    lines, begin = [], 0
    for line in text.split("\n"):
        shown: list[str] = []
        for place, char in enumerate(line, begin):
            joins = shown and shown[-1].endswith(f"`{at[place]}") and place and at[place - 1] == at[place]
            if char.isspace() and at[place] in ("", "comment", "string"):
                continue
            if joins:
                shown[-1] = shown[-1].replace("`", char + "`")
            else:
                shown.append(f"{char}`{at[place]}")
        lines.append("  ".join(shown))
        begin += len(line) + 1
    return lines
