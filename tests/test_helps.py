"""Every help of the catalogue and the cases, fed back to the compiler: what it says to write is no next error."""

import re
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from case_files import expectations, read, run

from netdsl.codes import CODES
from netdsl.diagnostics import Diagnostic

FOLDER = Path(__file__).parent / "cases"

PROSE = [
    r"a name starts with a letter",
    r"what a block or net gives is what its last line makes",
    r"one statement a line",
    r"bodies are indented lines",
    r"arrows are written ->",
    r'end it with `"`',
    r"close it, or take it out",
    r"use spaces, four a level",
    r"its body follows, indented",
    r"to compare, write ==",
    r"dimensions are written",
    r"end the line above with `:`",
    r"indent (what belongs to it|it) by",
    r"a float32 holds up to",
    r"tensors are joined by lines",
    r"let a number fall, and end with it",
    r"--max-nodes raises the limit",
    r"iterate over a list",
    r"a list has, or a table",
    r"\w+ is already ",
    r"\w+ takes ",
    r"it has ",
    r"k is dimensions",
    r"decide with --set",
    r"put a label around one",
    r"the net's own result is called",
    r"number the copies",
    r"give (all of them labels|it a line|the padding)",
    r"call one of them otherwise",
    r"name each: ",
    r"choose another name$",
    r"`\w+` is declared further down",
    r"depth = choose\(2, 3\), then use depth",
    r"make it a block",
    r"run it where it was made",
    r"its layers must not depend",
    r"write it once more",
    r"name the value",
    r"give the net a number",
    r"write the ramp where",
    r"what reads it is an output in training",
    r"a block returns values in their order",
    r".* needs (\d+ channels|the size)",
    r".* has one channel: ",
    r"give it a second branch",
    r"write its line as an output",
    r"they must be equal but for axis",
    r"join (it|them)",
    r"take one: ",
    r"leave it out",
    r"slice takes away",
    r"another initialiser",
    r"write conv or dwconv",
    r"count from the end",
    r"begin the net with",
    r"for example",
    r"write it in a repeated step",
    r"name it on a line of its own",
    r"arrows: \.\.\.",
    r"share the weight",
    r"a stride follows a comma",
    r"avgpool to=1 in the place of gap",
    r"in its body: decide",
    r"variant small = N\(\): / decide",
    r"take one of them out",
    r"it is no search space",
    r"give it as an argument",
]
"""What says how it is, or what to do elsewhere in the text, and not what to write in its place."""


class Advice(NamedTuple):
    """A spec, an error in it and its help."""

    text: str
    files: dict[str, str]
    options: dict[str, str]
    error: Diagnostic
    errors: int


def advices() -> dict[str, Advice]:
    """Return each error with a help once, by its name."""
    specs: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
        (code, entry.bad, {}, {}) for code, entry in CODES.items() if code < "E5"
    ]
    for path in sorted(FOLDER.glob("*.md")):
        for case in read(path):
            files: dict[str, str] = {}
            main = next(b for b in case.blocks if b.language == "net" and "file" not in b.options)
            for block in case.blocks:
                if block.language == "net":
                    files[block.options.get("file", "case.net")] = expectations(block.text)[0]
            specs.append((case.name, files.pop("case.net"), files, main.options))
    found: dict[str, Advice] = {}
    for name, text, files, given in specs:
        errors = run(text, files, given)[0]
        for error in errors:
            if (
                error.help
                and error.code < "E5"
                and error.span is not None
                and error.span.source.name == "case.net"
            ):
                found.setdefault(f"{name}: {error.help}", Advice(text, files, given, error, len(errors)))
    return found


ADVICES = advices()


def candidates(help: str) -> list[str]:
    """Return what a help says to write: all of it, or what follows a colon; of several ways each."""
    match = re.fullmatch(r"did you mean `(.*)`\?", help)
    if match:
        return [match[1]]
    ways = re.split(r", or (?=within )|; ", help)
    said = [way[m.end() :] for way in ways for m in re.finditer(r"^|: ", way)]
    said += [part for one in said for part in re.findall(r"(?<=such as ).*", one)]
    said += [match[1] for one in said if (match := re.search(r"call (?:it|the variant) (\w+)", one))]
    said += [half for one in said for half in re.split(r",? or ", one)]
    return list(dict.fromkeys(said))


def places(text: str, error: Diagnostic) -> list[tuple[int, int]]:
    """Return what may be replaced: what is marked, the word that it begins with, its step, its line."""
    assert error.span is not None
    start, end = error.span.start, error.span.end
    begin, stop = text.rfind("\n", 0, start) + 1, text.find("\n", start)
    line = text[begin:stop]
    word = re.compile(r"[\w.]*").match(text, start)
    last = re.search(r"\w*$", text[start:end])
    found = [(start, end), (start, word.end() if word else end), (end - len(last[0]) if last else end, end)]
    bounds = [m.span() for m in re.finditer(r"->|: |\(|\)|\||=|\n", line)]
    marks = [0, *(one for bound in bounds for one in bound), len(line)]
    found += [
        (begin + a, begin + b)
        for a, b in product(marks, marks)
        if a < b and begin + a <= start and end <= begin + b
    ]
    indent = len(line) - len(line.lstrip())
    return [*found, (begin + indent, stop)]


def mended(advice: Advice) -> bool:
    """Tell whether some place takes what is said, so that the errors are fewer, and none is there any more."""
    text = advice.text
    tried = 0
    for said, (start, end) in product(
        candidates(advice.error.help), dict.fromkeys(places(text, advice.error))
    ):
        pad = " " * (text[start:end].startswith(" ") and not said.startswith(" "))
        tail = " " * text[start:end].endswith(" ")
        new = (
            text[:start]
            + pad
            + said.replace(" when ...", " when true").replace("-> ...", "-> relu")
            + tail
            + text[end:]
        )
        errors = run(new, advice.files, advice.options)[0]
        tried += 1
        if len(errors) < advice.errors and not any(
            e.span is not None and new.count("\n", 0, e.span.start) == text.count("\n", 0, start)
            for e in errors
        ):
            return True
        if tried > 400:
            break
    return False


@pytest.mark.parametrize(
    "name", [name for name, a in ADVICES.items() if not any(re.match(p, a.error.help) for p in PROSE)]
)
def test_what_a_help_says_to_write_is_right(name: str) -> None:
    assert mended(ADVICES[name]), ADVICES[name].error.help


def test_helps_that_only_say_how_it_is_are_known() -> None:
    helps = [a.error.help for a in ADVICES.values()]
    assert [p for p in PROSE if not any(re.match(p, help) for help in helps)] == []
