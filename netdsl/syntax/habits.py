"""Lines as Python, or another notation, has them, and what a spec writes for them. Syntax errors say it."""

from __future__ import annotations

import re
from typing import NamedTuple

JOINTS = {"+": "add", "*": "mul", "-": "sub"}
"""Joints by the operator that joins values elsewhere."""


class Habit(NamedTuple):
    """How a line looks, what to know, and what to write: "" where no line says it."""

    looks: re.Pattern[str]
    phrase: str
    line: str = ""


def _habit(looks: str, phrase: str, line: str = "") -> Habit:
    return Habit(re.compile(looks), phrase, line)


_SAMPLE = r"\((?:(?:1|[Nn]one), ?(?=\d+, ?\d+, ?\d+\)))?(\d+), ?(\d+), ?(\d+)\)"
"""Channels, rows and columns; before them the batch, which a spec does not have."""
_PIXELS_FIRST = r"\((?:(?:1|[Nn]one), ?)?(\d{2,}), ?(\d{2,}), ?([134])\)"
"""Rows, columns and channels, as Keras has them."""

_STEP = r"[A-Za-z]\w*(?: \w+(?:, ?[\dx/]+)*)?"
"""A layer with a few numbers."""
_SUM = r"[\w.]+(?: ?(?:[-+*/%]|//|\*\*) ?(?:[\w.]+|\([\w.+*/% -]+\)))+"
"""Numbers with operators between them."""

HABITS = (
    _habit(r"class (\w+)(\(.*\))?:", "a model is a net, a module of it a block", r"net \1:"),
    _habit(r"(?:model|module|network|architecture|layer) (\w+(?:\(.*\))?:)", "a model is a net", r"net \1"),
    _habit(
        r"import [\w.]+( as \w+)?|from [\w.]+ import .*", "nothing of Python is needed here: leave it out"
    ),
    _habit(r"(?:with|try|async|del|global|raise)\b.*", "nothing of Python is needed here: leave it out"),
    _habit(r"(.*: )?range\((\w+)\) ?\* ?(\w.*)", "a repetition is a product", r"\1\2 * \3"),
    _habit(r"(.*: )?\[([^\[\]]+)\] ?\* ?(\w+)", "a repetition is a product", r"\1\3 * (\2)"),
    _habit(r"output (\w+)", "an output has a name, and a chain that makes it", r"output \1: from \1"),
    _habit(r"(\w+) @ (\w+)", "a product of matrices is a joint", r"from \1, \2 -> matmul"),
    _habit(r"([a-z]\w*) \*\* 2", "values are joined by a joint", r"from \1, \1 -> mul"),
    _habit(r"-(?:x|flow)", "a value is multiplied by a number", "scale -1"),
    _habit(r"else if (.*)", "another condition is an elif", r"elif \1"),
    _habit(r"if (.*) then ?:(.*)", "no `then` follows a condition", r"if \1:\2"),
    _habit(r"while (.*):", "a loop goes through a list or a range", "for i in range(3):"),
    _habit(r"(.*) is (?:not (?:None|none))\b(.*)", "to compare, write !=", r"\1 != none\2"),
    _habit(r"(.*) is (?:None|none)\b(.*)", "to compare, write ==", r"\1 == none\2"),
    _habit(r'f(".*)', "names in braces need no f", r"\1"),
    _habit(r'"" ?(?:"(.*)" ?"")?', "a comment begins with #", r"# \1"),
    _habit(r"//(.*)", "a comment begins with #", r"#\1"),
    _habit(r"(.*[^\s/])\s*// *([A-Za-z][\w ]*)", "a comment begins with #", r"\1  # \2"),
    _habit(r"return (\w+) ([+*-]) (\w+)", "values are joined by a joint", r"from \1, \3 -> {\2}"),
    _habit(r"(?:x|flow) \+= (\d[\d.]*)", "a number is added to a value", r"offset \1"),
    _habit(r"(?:x|flow) \*= (\d[\d.]*)", "a value is multiplied by a number", r"scale \1"),
    _habit(r"(\w+) ([+*-]|//?)= (\d[\d.]*)", "a name is given anew", r"\1 = \1 \2 \3"),
    _habit(rf"(\w+) \+= ({_SUM})", "a name is given anew", r"\1 = \1 + \2"),
    _habit(rf"(\w+) ([*-]|//?)= ({_SUM})", "a name is given anew", r"\1 = \1 \2 (\3)"),
    _habit(r"(x|flow) ([+*-])= (\w+)", "values are joined by a joint", r"from flow, \3 -> {\2}"),
    _habit(r"(\w+) ([+*-])= (\w+)", "values are joined by a joint", r"\1 = from \1, \3 -> {\2}"),
    _habit(
        r"(.*\b)?from (\w+) ([+*-]) (\w+)(.*)", "values are joined by a joint", r"\1from \2, \4 -> {\3}\5"
    ),
    _habit(
        r"(.*-> )?1 - \w+", "1 - sigmoid of a value is the sigmoid of its negative", r"\1scale -1 -> sigmoid"
    ),
    _habit(
        r"(.*\b)?from (\w+(?:, ?\w+)+) -> ([+*-])(.*)", "values are joined by a joint", r"\1from \2 -> {\3}\4"
    ),
    _habit(r".*-> [+*]( .*)?", "values are joined by a joint", "(identity | relu) -> add"),
    _habit(r"((?:el)?if .*\S|.* when .*\S|require .*\S) ?=> ?(.*)", "to compare, write >=", r"\1 >= \2"),
    _habit(r"(.*\S) ?=< ?(\S.*)", "to compare, write <=", r"\1 <= \2"),
    _habit(r"(.*\S) ?(?:>>|=>|- >|~>|\|>) ?(\S.*)", "arrows are written ->", r"\1 -> \2"),
    _habit(r"(.*\S) ?->", "no arrow ends a line; one may begin the next", r"\1"),
    _habit(r"(.*\S) ?,", "no comma ends a line, a statement is one", r"\1"),
    _habit(r"(.*\b[a-z]\w* |input \d+, ?)(\d+) [xX] (\d+)\b(.*)", "sizes are written 3x3", r"\1\2x\3\4"),
    _habit(r"(.*: )?(\w+) (?:x|times) ([a-zA-Z].*)", "a repetition is a product", r"\1\2 * \3"),
    _habit(r"(.*: )?repeat (\w+):? ([a-zA-Z].*)", "a repetition is a product", r"\1\2 * \3"),
    _habit(r"(.*, ?/\w+) (?:on|at|for|in)(?: the)? first\b(.*)", "the first copy's stride", r"\1 first\2"),
    _habit(r"(.*, ?)/ ?first (\w+)(.*)", "the first copy's stride", r"\1/\2 first\3"),
    _habit(r"(.*, ?)stride ?= ?(\w+) first\b(.*)", "the first copy's stride", r"\1/\2 first\3"),
    _habit(
        r"(.*, ?)/(\w+)( first)? (?:if|when) ((?:(?!->)[^,|])+)(, .*)",
        "a value that a condition decides",
        r"\1/(\2 if \4 else 1)\3\5",
    ),
    _habit(
        r"(.*, ?)/(\w+)( first)? if ((?:(?! else |->)[^,|])+)",
        "a value that a condition decides",
        r"\1/(\2 if \4 else 1)\3",
    ),
    _habit(r"when (.*\S) ?:(.*)", "what lines depend on is an if", r"if \1:\2"),
    _habit(r"unless (.*\S) ?:(.*)", "what lines depend on is an if", r"if not (\1):\2"),
    _habit(r"(\w+) = (\w+): ?([^:>|]+)", "`as` names a layer in a line", r"\1 = from flow -> \3 as \2"),
    _habit(rf"(\w+: )\[({_STEP}(?:, ?{_STEP})+)\]", "layers in a row are a chain", r"\1{chain:\2}"),
    _habit(r"default ?: ?(.*)", "no `:` follows the word", r"default \1"),
    _habit(r"from ([^>]+) -> (\w+): ?(.+)", "a label begins its line", r"\2: from \1 -> \3"),
    _habit(r"(.*\b)?from \((\w+(?:, ?\w+)+)\)(.*)", "values have commas between them alone", r"\1from \2\3"),
    _habit(
        r"(\w+): ?([^>]+) from (\w+(?:, ?\w+)*)",
        "what comes in stands before the layer",
        r"\1: from \3 -> \2",
    ),
    _habit(
        r"variant (\w+) = (\w+) ([^:()]+)(:?)",
        "arguments of a net have parentheses",
        r"variant \1 = \2(\3)\4",
    ),
    _habit(
        r"((?:inline )?block .*|net .*)\b(\w+) (int|float|bool|str|op|list|dims|pad)\b(.*)",
        "a type follows a `:`",
        r"\1\2: \3\4",
    ),
    _habit(r"require (.*[\w.]) ([KMGT]i?B?)\b(.*)", "a number and its unit are one word", r"require \1\2\3"),
    _habit(r"input (\w+) (\d.*)", "a `:` follows the name", r"input \1: \2"),
    _habit(r".* \d+ ?%(?! ?[\w(]).*", "a part is a fraction, such as 0.2"),
    _habit(r"(.*), strides? (\w+)(.*)", "a stride has a slash", r"\1, /\2\3"),
    _habit(r"(.*), pad(?:ding)? (\w+)(.*)", "an argument's name is followed by =", r"\1, pad=\2\3"),
    _habit(r"(.*), (\w+) (\d\S*|true|false)(.*)", "an argument's name is followed by =", r"\1, \2=\3\4"),
    _habit(
        r"(\S+: )?([^()\[\]]+) when ([^\[\]]+?) -> (.*)",
        "a step that may be left out",
        r"\1[\2 when \3] -> \4",
    ),
    _habit(r"(.*) unless (.*)", "a condition follows `when`", r"\1 when not (\2)"),
    _habit(
        r"(\S+: )?((?:[^:]* )?[^:]+,[^:]*) if (.+) else ([a-z]\w* .+)",
        "each with its condition",
        r"\1[\2 when \3] -> [\4 when not (\3)]",
    ),
    _habit(r"(.*\b\w+) (\d+) (\d+x\d+)(.*)", "the size first, and a comma", r"\1 \3, \2\4"),
    _habit(rf"input (?:(?:shape|size) ?= ?)?{_PIXELS_FIRST}", "the channels stand first", r"input \3, \1x\2"),
    _habit(
        rf"input (?!shape\b|size\b)(\w+) ?[:=]? ?{_PIXELS_FIRST}",
        "the channels stand first",
        r"input \1: \4, \2x\3",
    ),
    _habit(rf"input (?:\w+ ?= ?)?{_SAMPLE}", "sizes are written 32x32", r"input \1, \2x\3"),
    _habit(rf"input (\w+) ?:? ?{_SAMPLE}", "sizes are written 32x32", r"input \1: \2, \3x\4"),
    _habit(
        r"(?:\w+ = )?\w+\.mean\(.*\(?(?:2, ?3|-2, ?-1)[)\]], ?keepdim=True\)",
        "the mean of a map",
        'mean "hw", keep=true',
    ),
    _habit(r"(?:\w+ = )?\w+\.mean\(.*\(?(?:2, ?3|-2, ?-1)[)\]]\)", "the mean of a map", "gap"),
    _habit(r"(\w+ = )\((.*,.*)\)", "a tuple is a list", r"\1[\2]"),
    _habit(r"(.*\d+x\d+.*, )\((.*,.*)\)(.*)", "a tuple is a list", r"\1[\2]\3"),
    _habit(r"(.*(?<!\w))\((\d+), ?(\d+)\)(.*)", "sizes are written 3x3", r"\1\2x\3\4"),
    _habit(
        r"(.*[\w)] |.*=) ?\((\w+), ?(\w+)\)((?:,| as | ->).*)?",
        "dimensions that are computed",
        r"\1dims(\2, \3)\4",
    ),
    _habit(
        r"def (\w+)\((.*:.*)\) ?= ?(.*)", "what a function takes has no types", r"def \1({types:\2}) = \3"
    ),
    _habit(r"def (\w+\(.*\)):", "a function is one expression", r"def \1 = ..."),
    _habit(r"(\w+(?:, ?\w+)+) = ([a-z(].*)", "a value is taken with `from`", r"\1 = from flow -> \2"),
    _habit(r"(add|mul|concat) (\w+=.*):", "over lines a joint has no arguments", r"from a, b -> \1 \2"),
)
"""In the order in which they are looked for: each is no line of a spec, whatever stands in its gaps."""

MAX_LINE = 200
"""The longest line that is looked at."""


def habit(line: str) -> str:
    """Return the help for a line that is written as elsewhere, from its text without a comment; "" for others."""
    if len(line) > MAX_LINE:
        return ""
    for one in HABITS:
        match = one.looks.fullmatch(line)
        if match is not None:
            return f"{one.phrase}: {_filled(match, one.line)}" if one.line else one.phrase
    return ""


def _filled(match: re.Match[str], line: str) -> str:
    r"""Return a line with what was found in it: `{\2}` as a joint, `{types:\2}` as names, `{chain:\2}` as steps."""
    line = re.sub(r"\{\\(\d)\}", lambda m: JOINTS[match[int(m[1])]], line)
    line = re.sub(r"\{types:\\(\d)\}", lambda m: re.sub(r":[^,]*", "", match[int(m[1])]), line)
    line = re.sub(r"\{chain:\\(\d)\}", lambda m: re.sub(r", ?(?=[A-Za-z])", " -> ", match[int(m[1])]), line)
    return re.sub(r"\\(\d)", lambda m: match[int(m[1])] or "", line)
