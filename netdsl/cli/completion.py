"""netdsl completion: a shell's completion script."""

from __future__ import annotations

import argparse

HELP = "print a shell's completion script"
EXAMPLES = ("netdsl completion bash > ~/.local/share/bash-completion/completions/netdsl",)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("shell", choices=("bash", "zsh", "tcsh", "fish"))


def run(args: argparse.Namespace) -> int:
    """Print a completion script."""
    import shtab

    from netdsl.cli import parser

    print(shtab.complete(parser(), args.shell))
    return 0
