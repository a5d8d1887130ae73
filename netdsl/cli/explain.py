"""netdsl explain: what an error's code, a rule, an op or a function means."""

from __future__ import annotations

import argparse

from netdsl.cli.common import misuse
from netdsl.diagnostics import did_you_mean

HELP = "explain an error's code, a rule, an op or a function"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("topic", metavar="CODE|RULE|OP", help="such as E302, huge_fc, conv or ramp")


def run(args: argparse.Namespace) -> int:
    """Explain an error's code, a rule, an op or a function."""
    from netdsl import codes
    from netdsl.elaborate.functions import FUNCTIONS
    from netdsl.ops import OpError, catalogue, find, installed

    topic: str = args.topic
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
    else:
        from netdsl.lint import docs, rules

        rule = rules.find(topic)
        if rule is not None:
            print(docs.explain(rule))
            return 0
        found = rules.catalogue()
        known = [*codes.CODES, *found, *(rule.name() for rule in found.values()), *catalogue(), *installed()]
        known += FUNCTIONS
        misuse(
            "E512",
            f"there is no code, rule, op or function `{topic}`",
            did_you_mean(topic, known) or "for example E302, huge_fc, or conv",
        )
    return 0
