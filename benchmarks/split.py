"""How long a plan for a pipeline takes: every net of the zoo in 2 to 8 parts, without and with a limit of memory.

Seconds are those of the process, from a net that has been read to its parts with what they hold. The limit is nine
tenths of what the largest part takes without one, or the least that does.

    python benchmarks/split.py [NET ...]
"""

from __future__ import annotations

import re
import sys
from time import process_time

from netdsl import NetError, api
from netdsl.network import Network

PARTS = range(2, 9)
BATCH, MICRO_BATCHES = 32, 8


def seconds(net: Network, parts: int, memory: int | None = None) -> tuple[float, int]:
    """Return how long a plan takes, and what its largest part holds; if nothing fits, the least that does."""
    start = process_time()
    try:
        made = net.split(parts, batch=BATCH, micro_batches=MICRO_BATCHES, train=True, memory=memory)
        found = max(part.memory for part in made.parts)
    except NetError as error:
        least = re.search(r"take ([\d,]+) in the largest part", str(error))
        if least is None:
            raise
        found = int(least[1].replace(",", ""))
    return process_time() - start, found


def main() -> None:
    """Print the slowest nets, and the slowest of all."""
    rows = []
    for name in sys.argv[1:] or api.zoo_names():
        try:
            net = api.load(name)
        except NetError:  # a search space
            continue
        net.cost(), net.backward_macs()
        free, limited = 0.0, 0.0
        for parts in PARTS:
            try:
                took, held = seconds(net, parts)
            except NetError as error:
                print(f"{name} in {parts} parts: {error.diagnostics[0].message}")
                break
            free = max(free, took)
            took, least = seconds(net, parts, 9 * held // 10)
            if least > 9 * held // 10:  # nothing fits: with the least that does
                took = max(took, seconds(net, parts, least)[0])
            limited = max(limited, took)
        rows.append((max(free, limited), name, len(net.graph), free, limited))
    rows.sort(reverse=True)
    print("\n| net | nodes | s | with a limit, s |\n|---|---:|---:|---:|")
    for _, name, nodes, free, limited in rows[:12]:
        print(f"| {name} | {nodes:,} | {free:.2f} | {limited:.2f} |")


if __name__ == "__main__":
    main()
