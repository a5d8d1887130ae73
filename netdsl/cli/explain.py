"""netdsl explain: what a code, a rule, an op, a function or a word means; where a layer's numbers come from."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from itertools import groupby
from textwrap import fill
from typing import NoReturn

from netdsl.cli.common import look, misuse, net_options, network, prose
from netdsl.cost.model import EXPLAINED
from netdsl.diagnostics import did_you_mean

HELP = "explain an error's code, a rule, an op, a function or a word; or the numbers of a net's layer"
EXAMPLES = (
    "netdsl explain E302",
    "netdsl explain Conv2d",
    "netdsl explain resnet50 conv1 macs",
)
WIDTH = 100
"""The most columns of the overview."""
_TITLE = 14
"""Those before the names of a row."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    topics = "such as E302, huge_fc, conv, Conv2d, ramp or same; before LAYER, a net; none: what there is"
    sub.add_argument("spec", metavar="CODE|RULE|OP|WORD|SPEC", nargs="?", help=topics)
    sub.add_argument("layer", metavar="LAYER", nargs="?", help="a layer, block or container of the net")
    sub.add_argument("->", dest="arrow", action="store_true", help=argparse.SUPPRESS)  # a topic like others
    what = f"one of {', '.join(EXPLAINED)} (all of them)"
    sub.add_argument("count", metavar="COUNT", nargs="?", choices=EXPLAINED, help=what)
    net_options(sub)


def run(args: argparse.Namespace) -> int:
    """Explain an error's code, a rule, an op, a function or a word."""
    topic = "->" if args.arrow else args.spec
    if args.layer is not None:
        from netdsl.report.formula import explain

        prose(explain(network(args), args.layer, [args.count] if args.count else EXPLAINED), page=True)
        return 0
    for option in ("set", "input", "path"):
        if getattr(args, option):
            message = f"--{option} changes a net, so it means nothing without a LAYER of one"
            misuse("E503", message, f"for example netdsl explain lenet conv1 --{option} ...")
    if topic is None:
        print(overview(min(WIDTH, look().width)))
    else:
        prose("\n\n\n".join(pages(topic) or unknown(topic)), page=True)
    return 0


def pages(topic: str) -> list[str]:
    """Return all that a topic means: a word that is an op or a function, too, has two pages."""
    from netdsl import api, codes
    from netdsl.elaborate import idioms
    from netdsl.elaborate.functions import FUNCTIONS
    from netdsl.lint import docs, rules
    from netdsl.ops import OpError, called, find
    from netdsl.syntax import words

    if topic.upper() in codes.CODES:
        return [codes.explain(topic.upper())]
    found = []
    word = words.ALSO.get(topic, topic)
    if word in words.WORDS:
        found.append(words.explain(word))
    if topic in FUNCTIONS:
        found.append(api.explain_function(topic))
    try:
        op = find(topic)
    except OpError as error:
        misuse("E201", error.message, "")
    if op is not None:
        found.append(api.explain_op(op))
    if found:
        return found
    rule = rules.find(topic)
    if rule is not None:
        return [docs.explain(rule)]
    if (other := idioms.idiom(topic)) is not None and not called(topic):
        return [f"{topic} is {other}"]
    ours = idioms.ops(topic)
    return [f"{topic} is called {' or '.join(op.name for op in ours)} here"] * bool(ours) + [
        api.explain_op(op) for op in ours
    ]


def unknown(topic: str) -> NoReturn:
    """Raise the error that nothing is called so."""
    from netdsl import codes
    from netdsl.api import zoo_names
    from netdsl.cli import COMMANDS
    from netdsl.elaborate.functions import FUNCTIONS
    from netdsl.lint import rules
    from netdsl.ops import catalogue, installed
    from netdsl.syntax.words import WORDS

    found = rules.catalogue()
    known = [*codes.CODES, *found, *(rule.name() for rule in found.values()), *catalogue(), *installed()]
    help = did_you_mean(topic, [*known, *FUNCTIONS, *WORDS]) or "`netdsl explain` lists them all"
    if "/" in topic or topic.endswith(".net") or topic in zoo_names():
        help = f"of a net it explains the numbers of a layer: netdsl explain {topic} LAYER"
    if topic in COMMANDS:
        misuse("E512", f"{topic} is a command", f"netdsl help {topic} says what it takes")
    misuse("E512", f"there is no code, rule, op, function or word `{topic}`", help)


def language() -> dict[str, Iterable[str]]:
    """Return the names of what the language itself has, by kind."""
    from netdsl.elaborate.arguments import TYPES
    from netdsl.elaborate.functions import FUNCTIONS
    from netdsl.ir.types import Init
    from netdsl.syntax.tokens import keywords
    from netdsl.syntax.words import SIGNS, WORDS

    types = [name for name in TYPES if name.isalpha() and name != "value"]
    return {
        "words": [word for word in WORDS if word in keywords()],
        "signs": SIGNS,
        "values": [word for word in WORDS if word not in {*keywords(), *SIGNS, *types, *Init.KINDS}],
        "types": types,
        "init": Init.KINDS,
        "functions": FUNCTIONS,
    }


def overview(width: int = WIDTH) -> str:
    """Return the names of all that can be explained, on one screen of so many columns."""
    from netdsl.codes import CODES, FAMILIES
    from netdsl.lint import rule, rules
    from netdsl.ops import catalogue, installed

    families = groupby(sorted(catalogue().values(), key=lambda op: op.__module__), lambda op: op.__module__)
    ops = {module.rpartition(".")[2]: [op.name for op in own] for module, own in families}
    if installed():
        ops["installed"] = installed()
    errors = []
    for family, what in FAMILIES.items():
        first, *_, last = [code for code in CODES if code.startswith(family)]
        errors.append(f"{first}-{last[1:]} {what}")
    found = rules.catalogue().items()

    def lines(text: str, margin: int = 2) -> str:
        """Return a text that is indented, where it goes on by a margin."""
        return fill(text, width, initial_indent="  ", subsequent_indent=" " * margin, break_on_hyphens=False)

    def row(title: str, names: Iterable[str]) -> str:
        return lines(f"{title:{_TITLE - 3}} {' '.join(names)}", _TITLE)

    parts = [
        fill(
            "netdsl explain NAME says what one of these is, with an example; Conv2d and nnx.Conv work, too.",
            width,
        ),
        fill("netdsl explain resnet50 conv1 macs says where the number of a layer comes from.", width),
        "OPS",
        *_paired([row(family, own) for family, own in ops.items()], width),
        "THE LANGUAGE",
        *[row(title, own) for title, own in language().items()],
        "ERRORS",
        lines(", ".join(errors)),
        "RULES OF NETDSL LINT",
    ]
    for family, what in rule.FAMILIES.items():
        named = " ".join(one.name() for code, one in found if code.startswith(family))
        parts.append(lines(f"{family}xx {what}: {named}", 4))
    return "\n".join(parts)


def _paired(rows: list[str], width: int) -> list[str]:
    """Return rows, two short ones on a line."""
    lines: list[str] = []
    for row in rows:
        if lines and max(len(lines[-1]), len(row)) < width // 2:
            lines[-1] = f"{lines[-1]:{width // 2}}{row}"
        else:
            lines.append(row)
    return lines
