"""The texts that the grammars of editors are held to: the zoo, the tests' cases, spaces, and corners by hand."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from functools import cache
from itertools import chain
from pathlib import Path

from case_files import expectations, read

from netdsl import data
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.source import Source
from netdsl.syntax.parse import parse
from netdsl.syntax.tokens import lex

HERE = Path(__file__).parent
MUTABLE, RATE = 3000, 0.05
"""How long texts are of which mutants are made, and how many of their words change."""


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
GRAMMAR = data.read("grammar", "net.lark")
CONTEXTUAL = set(re.findall("[A-Z]+", re.findall(r"^_word:(.*(?:\n +\|.*)*)", GRAMMAR, re.MULTILINE)[0]))
"""Terminals that may be names: `_word` of the grammar."""


@cache
def faults(text: str) -> list[Diagnostic]:
    """Return the syntax errors of a text."""
    try:
        parse(Source("case.net", text))
    except NetError as error:
        return error.diagnostics
    return []


@cache
def mutants(broken: bool) -> list[str]:
    """Return texts that parse, in which words stand for others; brackets may be `broken` over lines.

    Names become words that open lines elsewhere, names with braces, texts, attributes and sums; numbers other values.
    """
    rng = random.Random(0)
    words = [word.lower() for word in sorted(CONTEXTUAL - {"NAME"})]
    values = ("3 * 2", "n[0]", "x.c", "(1 + 2)", "f(3)", "first", "-1", "[1, 2][0]")
    found = []
    for text in chain(*CORPUS.values()):
        if len(text) > MUTABLE or faults(text):
            continue
        parts, at = [], 0
        for token in lex(text, []):
            parts += [text[at : token.start], token.text]
            at = token.end
            if rng.random() < RATE:
                one = token.text
                if token.type == "NAME":
                    others = (one + "{i+1}", one + ".a", one + "[0]", f"({one} - 1)", f'"{one}"')
                    parts[-1] = rng.choice([rng.choice(words), *others])
                elif token.type == "NUMBER":
                    parts[-1] = rng.choice(values)
                elif broken and token.type in ("LPAR", "LSQB", "COMMA"):
                    parts[-1] += rng.choice(["\n            ", "  # c (\n   "])
                elif token.type in ("COMMA", "ARROW", "VBAR", "EQUAL", "COLON"):
                    parts[-1] = f" {one}  "
        found.append("".join([*parts, text[at:]]))
    return [text for text in found if not faults(text)]


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
