"""Time of emitting all nets of a file as one module, against its largest net alone.

Time of the process, after load and cost, which have a column of their own; the two take turns. The largest net is the
one that takes longest.
"""

from __future__ import annotations

from functools import partial
from time import process_time

from reference import interleaved

import netdsl
from netdsl import Network
from netdsl.api import zoo_names
from netdsl.backend import emit_family

ROUNDS = 5


def ready(nets: tuple[Network, ...]) -> tuple[Network, ...]:
    """Return nets whose graphs and costs are known."""
    for net in nets:
        net.cost()
    return nets


def seconds(nets: tuple[Network, ...], backend: str) -> float:
    """Return how long nets take once."""
    begin = process_time()
    emit_family(nets, backend)
    return process_time() - begin


def main() -> None:
    """Print a table."""
    print(
        f"{'file':20} {'nets':>4} {'load, cost':>12} {'torch':>12} {'largest':>12} {'flax':>12} {'largest':>12}"
    )
    for file in sorted(set(zoo_names().values()) - {"search.net", "digits_search.net"}):
        begin = process_time()
        family = ready(netdsl.load_family(file))
        row = [process_time() - begin]
        if len(family) < 2:
            continue
        for backend in ("torch", "flax"):
            single = [(net,) for net in family]
            largest = max(single, key=partial(seconds, backend=backend))
            both = [partial(emit_family, nets, backend) for nets in (family, largest)]
            row += interleaved(both, ROUNDS, process_time)
        print(f"{file:20} {len(family):4}", *(f"{1000 * time:9.0f} ms" for time in row), flush=True)


if __name__ == "__main__":
    main()
