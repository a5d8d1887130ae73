"""How time grows with the number of layers, and what a real net takes, in process."""

from __future__ import annotations

from time import perf_counter

import netdsl
from netdsl.api import loads

SPEC = "net Deep():\n    input 8, 8x8\n    body: {} * conv 3x3, 8, act=relu\n    gap\n    fc: fc 10\n"


def main() -> None:
    """Print load and cost: per layer for two sizes, and for resnet152."""
    print(f"{'net':20} {'layers':>8} {'load':>10} {'cost':>10} {'per layer':>10}")
    for count in (1_000, 100_000):
        start = perf_counter()
        net = loads(SPEC.format(count // 2), "deep.net", "deep")
        middle = perf_counter()
        net.cost()
        end = perf_counter()
        show(f"deep, {count:,}", len(net.graph), middle - start, end - middle)
    netdsl.load("resnet18").cost()
    start = perf_counter()
    net = netdsl.load("resnet152")
    middle = perf_counter()
    net.cost()
    show("resnet152", len(net.graph), middle - start, perf_counter() - middle)


def show(name: str, layers: int, load: float, cost: float) -> None:
    """Print a row."""
    each = 1e6 * (load + cost) / layers
    print(f"{name:20} {layers:8,} {1000 * load:7.1f} ms {1000 * cost:7.1f} ms {each:7.1f} us", flush=True)


if __name__ == "__main__":
    main()
