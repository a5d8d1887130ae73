"""Time of `netdsl lint` over the whole zoo in one process, against elaboration and costs alone, which it needs.

Time of the process; the two take turns. One net as a whole process is against the imports that all commands share.
"""

from __future__ import annotations

import gc
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from time import process_time

from reference import interleaved
from start import process

import netdsl
from netdsl import cli
from netdsl.api import zoo_names

ROUNDS = 5


def lint() -> None:
    """Lint all files of the zoo, and print nowhere."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        cli.main(["lint", *dict.fromkeys(zoo_names().values())])


def cost() -> None:
    """Load all nets of the zoo, and cost them."""
    for name, file in zoo_names().items():
        if file not in ("search.net", "digits_search.net"):
            netdsl.load(f"{file}:{name}").cost()


def main() -> None:
    """Print a table."""
    gc.set_threshold(2_000_000, 50, 100)  # as the command does
    linted, costed = interleaved([lint, cost], ROUNDS, process_time)
    print(f"{'netdsl lint, ' + str(len(zoo_names())) + ' nets':24} {linted:8.2f} s")
    print(f"{'load and cost':24} {costed:8.2f} s, ratio {linted / costed:.2f}")
    one, imports = interleaved(
        [
            lambda: process("-m", "netdsl", "lint", "vgg16.net"),
            lambda: process("-c", "import lark, networkx"),
        ],
        10,
    )
    print(f"{'netdsl lint vgg16.net':24} {1000 * one:8.0f} ms")
    print(f"{'import lark, networkx':24} {1000 * imports:8.0f} ms, ratio {one / imports:.2f}")


if __name__ == "__main__":
    main()
