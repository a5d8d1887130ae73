"""How time grows with the number of layers, and what a real net takes, in process."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import netdsl
from netdsl.api import loads

HEAD = "net Deep():\n    input 8, 8x8\n    body:\n"
FORMS = {
    "a repetition": lambda count: f"{HEAD}        {count // 2} * conv 3x3, 8, act=relu\n",
    "written out": lambda count: HEAD + "        conv 3x3, 8, act=relu\n" * (count // 2),
}


def main() -> None:
    """Print load and cost: of resnet152 after the first call, then per layer for two sizes and two forms."""
    netdsl.load("resnet152").cost()
    measure("resnet152", lambda: netdsl.load("resnet152"))
    for form, text in FORMS.items():
        for count in (1_000, 100_000):
            spec = text(count)
            measure(
                f"{form}, {count:,}", lambda spec=spec: loads(spec, "deep.net", "deep", max_nodes=200_000)
            )


def measure(name: str, load: Callable[[], netdsl.Network]) -> None:
    """Load a net, cost it, and print a row."""
    start = perf_counter()
    net = load()
    middle = perf_counter()
    net.cost()
    show(name, len(net.graph), middle - start, perf_counter() - middle)


def show(name: str, layers: int, load: float, cost: float) -> None:
    """Print a row."""
    each = 1e6 * (load + cost) / layers
    print(f"{name:20} {layers:8,} {1000 * load:7.1f} ms {1000 * cost:7.1f} ms {each:7.1f} us", flush=True)


if __name__ == "__main__":
    main()
