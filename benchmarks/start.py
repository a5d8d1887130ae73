"""Time from the shell to the table: `netdsl cost resnet152` as a whole process, against its imports and other tools.

The two that are to be compared take turns; each figure is the median of ten processes.
"""

from __future__ import annotations

import os
import subprocess
import sys

from reference import interleaved

ROUNDS = 10
STUB = (
    "import sys; sys.path.insert(0, 'tests'); from conftest import import_torchvision as tv; import torch\n"
)
META = STUB + "with torch.device('meta'): m = tv().models.resnet152(); x = torch.empty(1, 3, 224, 224)\n"
OTHERS = {
    "torchinfo": META
    + "import torchinfo; print(torchinfo.summary(m, input_data=x, device='meta', verbose=0))",
    # fvcore traces, which needs real tensors
    "fvcore": META.replace("meta", "cpu")
    + "from fvcore.nn import FlopCountAnalysis as A, flop_count_table as t; print(t(A(m, x)))",
    "FlopCounterMode": META + "from torch.utils.flop_counter import FlopCounterMode as F\nwith F(): m(x)",
}


# an installed package has its bytecode, whatever this shell says about writing more
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def process(*command: str) -> None:
    """Run a command to its end."""
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, *command], stdout=quiet, stderr=quiet, env=ENVIRONMENT, check=True)


def main() -> None:
    """Print a table."""
    process("-m", "netdsl", "cost", "resnet152")
    cost, imports = interleaved(
        [
            lambda: process("-m", "netdsl", "cost", "resnet152"),
            lambda: process("-c", "import lark, networkx"),
        ],
        ROUNDS,
    )
    print(f"{'netdsl cost resnet152':24} {1000 * cost:8.0f} ms")
    print(f"{'import lark, networkx':24} {1000 * imports:8.0f} ms, ratio {cost / imports:.2f}")
    for name, code in OTHERS.items():
        try:
            (seconds,) = interleaved([lambda code=code: process("-c", code)], 3)
            print(f"{name:24} {1000 * seconds:8.0f} ms", flush=True)
        except subprocess.CalledProcessError:
            print(f"{name:24}   failed", flush=True)


if __name__ == "__main__":
    main()
