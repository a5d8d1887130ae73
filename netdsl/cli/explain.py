"""netdsl explain: what an error's code or an op means."""

from __future__ import annotations

import argparse

from netdsl.cli.common import misuse
from netdsl.diagnostics import did_you_mean

HELP = "explain an error's code, or an op"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("topic", metavar="CODE|OP", help="such as E302, or conv")


def run(args: argparse.Namespace) -> int:
    """Explain an error's code or an op."""
    from netdsl import codes
    from netdsl.ops import catalogue

    topic: str = args.topic
    if topic.upper() in codes.CODES:
        print(codes.explain(topic.upper()))
    elif topic in catalogue():
        from netdsl.api import explain_op

        print(explain_op(topic))
    else:
        known = [*codes.CODES, *catalogue()]
        misuse(
            "E512",
            f"there is no code or op `{topic}`",
            did_you_mean(topic, known) or "for example E302, or conv",
        )
    return 0
