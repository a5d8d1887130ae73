"""All that is known of every net of the zoo without running it, in one process: time by fact.

Time of the process. Facts are asked for in this order, so that what a later one needs of an earlier one is counted
there; the linter's rules run file by file, as the command runs them, on nets of which the facts are known.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time

import netdsl
from netdsl import NetError, Network
from netdsl.api import zoo_names
from netdsl.cost.table import GROUPINGS
from netdsl.lint.config import Settings
from netdsl.lint.engine import Loaded, Run

FACTS: dict[str, Callable[[Network], object]] = {
    "costs of layers": lambda net: net.layer_costs,
    "receptive fields": lambda net: net.receptive,
    "memory of inference": lambda net: net.liveness(),
    f"tables by {', '.join(GROUPINGS)}": lambda net: [net.cost_table(by) for by in GROUPINGS],
    "learned tensors": lambda net: net.parameters,
    "budgets": lambda net: net.check(),
}
LOAD, RULES = "parse and elaborate", "rules of the linter"


def main() -> None:
    """Print a table."""
    gc.set_threshold(2_000_000, 50, 100)  # as the command does
    times = dict.fromkeys((LOAD, *FACTS, RULES), 0.0)
    files: dict[str, list[Network]] = {}
    begin = process_time()

    def lap(name: str) -> None:
        nonlocal begin
        now = process_time()
        times[name] += now - begin
        begin = now

    for name, file in zoo_names().items():
        try:
            net = netdsl.load(f"{file}:{name}")
        except NetError:
            continue  # a search space is no net before it is decided
        files.setdefault(file, []).append(net)
        lap(LOAD)
        for fact, read in FACTS.items():
            read(net)
            lap(fact)
    for nets in files.values():
        Run(Loaded(nets[0].recipe.net.file, nets, True), Settings()).findings()
        lap(RULES)

    every = [net for nets in files.values() for net in nets]
    layers = sum(len(net.graph) for net in every)
    total = sum(times.values())
    rows = {**times, "all facts": total - times[RULES], "all facts, and the rules": total}
    print(f"{len(every)} nets, {layers:,} layers")
    for name, seconds in rows.items():
        print(f"{name:36} {seconds:6.2f} s {1e6 * seconds / layers:6.1f} us a layer")


if __name__ == "__main__":
    main()
