"""The first example, from its text to a module that keeps what was promised: `make demo`."""

from __future__ import annotations

import sys

import netdsl

SCREEN = 40
"""How many lines of the emitted module are shown."""


def main() -> int:
    """Compile VGG-16, show it, build it, run it; return 0 if shape, parameters and MACs are as promised."""
    net = netdsl.load("vgg16")
    print(net.cost_table())
    print()
    source = net.emit("torch")
    lines = source.splitlines()
    print("\n".join(lines[:SCREEN]))
    print(f"... and {len(lines) - SCREEN} lines more\n")

    import torch  # only here: all of the above needs no framework
    from torch.utils.flop_counter import FlopCounterMode

    torch.manual_seed(0)
    model = net.build("torch").eval()
    batch = 2
    (shape,) = net.inputs.values()
    x = torch.randn(batch, *shape)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        y = model(x)

    promised, cost = net.outputs["out"], net.cost(batch=batch)
    flops = counter.get_total_flops()  # two for each MAC
    checks: list[tuple[str, int | tuple[int, ...], int | tuple[int, ...]]] = [
        ("output", (batch, *promised), tuple(y.shape)),
        ("parameters", cost.params, sum(p.numel() for p in model.parameters())),
        (f"MACs of a batch of {batch}", cost.macs, flops // 2),
    ]
    for what, expected, found in checks:
        verdict = "ok" if expected == found else "WRONG"
        print(f"{what}: promised {_text(expected)}, found {_text(found)}: {verdict}")
    return 0 if all(expected == found for _, expected, found in checks) else 1


def _text(value: int | tuple[int, ...]) -> str:
    return f"{value:,}" if isinstance(value, int) else "x".join(map(str, value))


if __name__ == "__main__":
    sys.exit(main())
