"""Time of emitted modules against torchvision's, in evaluation on one core: interleaved medians, same weights.

The ratio is torchvision's time over ours: above 1 is faster.

It is time of the process, not of the clock, so that other processes disturb it little.
"""

from __future__ import annotations

from time import process_time

import torch
from reference import emitted_model, interleaved, torchvision_model

ROUNDS = 9


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    print(f"{'net':10} {'batch':>5} {'emitted':>10} {'torchvision':>12} {'ratio':>6}")
    for name in ("resnet50", "vgg16"):
        theirs = torchvision_model(name).eval()
        ours = emitted_model(name).eval()
        ours.load_state_dict(theirs.state_dict())
        for batch in (1, 8):
            x = torch.randn(batch, 3, 224, 224)
            with torch.inference_mode():
                a, b = interleaved([lambda x=x, m=m: m(x) for m in (ours, theirs)], ROUNDS, process_time)
            print(f"{name:10} {batch:5} {1000 * a:7.1f} ms {1000 * b:9.1f} ms {b / a:6.3f}", flush=True)


if __name__ == "__main__":
    main()
