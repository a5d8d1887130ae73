"""netdsl explain: what a code, a rule, an op, a function or a word means; where a layer's numbers come from."""

from __future__ import annotations

import argparse
import re

from netdsl.cli.common import misuse, net_options, network
from netdsl.cost.model import EXPLAINED
from netdsl.data import read
from netdsl.diagnostics import did_you_mean

HELP = "explain an error's code, a rule, an op, a function or a word; or the numbers of a net's layer"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    topics = "such as E302, huge_fc, conv, ramp or same; before LAYER, a net"
    sub.add_argument("spec", metavar="CODE|RULE|OP|SPEC", help=topics)
    sub.add_argument("layer", metavar="LAYER", nargs="?", help="a layer, block or container of the net")
    what = f"one of {', '.join(EXPLAINED)} (all of them)"
    sub.add_argument("count", metavar="COUNT", nargs="?", choices=EXPLAINED, help=what)
    net_options(sub)


def run(args: argparse.Namespace) -> int:
    """Explain an error's code, a rule, an op, a function or a word."""
    from netdsl import codes
    from netdsl.elaborate.functions import FUNCTIONS
    from netdsl.ops import OpError, catalogue, find, installed
    from netdsl.syntax.tokens import keywords

    topic: str = args.spec
    if args.layer is not None:
        from netdsl.report.formula import explain

        print(explain(network(args), args.layer, [args.count] if args.count else EXPLAINED))
        return 0
    for option in ("set", "input", "path"):
        if getattr(args, option):
            message = f"--{option} changes a net, so it means nothing without a LAYER of one"
            misuse("E503", message, f"for example netdsl explain lenet conv1 --{option} ...")
    if topic.upper() in codes.CODES:
        print(codes.explain(topic.upper()))
        return 0
    try:
        op = find(topic)
    except OpError as error:
        misuse("E201", error.message, "")
    if op is not None:
        from netdsl.api import explain_op

        print(explain_op(op))
    elif topic in FUNCTIONS:
        from netdsl.api import explain_function

        print(explain_function(topic))
    elif topic in keywords():
        print(explain_word(topic))
    else:
        from netdsl.api import zoo_names
        from netdsl.lint import docs, rules

        rule = rules.find(topic)
        if rule is not None:
            print(docs.explain(rule))
            return 0
        found = rules.catalogue()
        known = [*codes.CODES, *found, *(rule.name() for rule in found.values()), *catalogue(), *installed()]
        known += [*FUNCTIONS, *sorted(keywords())]
        help = did_you_mean(topic, known) or "for example E302, huge_fc, or conv"
        if "/" in topic or topic.endswith(".net") or topic in zoo_names():
            help = f"of a net it explains the numbers of a layer: netdsl explain {topic} LAYER"
        misuse("E512", f"there is no code, rule, op or function `{topic}`", help)
    return 0


def explain_word(word: str) -> str:
    """Return the section of the language's page that says what a word means, or uses it first."""
    _, *sections, words = re.split("^## ", read("grammar", "README.md"), flags=re.MULTILINE)
    heads = [section.partition("\n")[0] for section in sections]
    named, used = re.compile(rf"`{word}\b"), re.compile(rf"^ *(?:train )?{word}\b", re.MULTILINE)
    found = [at for at, head in enumerate(heads) if named.search(head)]
    found += [at for at, section in enumerate(sections) if named.search(section)]
    found += [at for at, section in enumerate(sections) if used.search(section) or word in section.split()]
    return (sections[found[0]] if found else words).rstrip()
