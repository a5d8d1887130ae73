"""netdsl calibrate: fit a device file to this machine, and say how well it predicts nets that were not in the fit."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl import reading
from netdsl.cli.common import misuse, positive, replacing

if TYPE_CHECKING:
    from netdsl.hardware import Device
    from netdsl.network import Network

HELP = "measure this machine with PyTorch and write a device file"
EXAMPLES = ("netdsl calibrate -o this_machine.toml",)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("-o", "--output", metavar="FILE.toml", required=True, help="the device file")
    sub.add_argument("--threads", type=positive, metavar="N", help="of PyTorch (its own choice)")
    sub.add_argument(
        "--largest",
        type=positive,
        default=4_200_000_000,
        metavar="MACS",
        help="of the nets that run (4200000000)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure nets of the zoo, fit, print what was predicted of the others, and write the file."""
    from netdsl.hardware.calibrate import written

    if not args.output.endswith(".toml"):
        misuse("E544", f"a device file ends in .toml, got {args.output}")
    if not os.path.isdir(Path(args.output).parent):  # not to be found out after minutes
        misuse("E510", f"cannot write {args.output}: there is no such folder")
    try:
        with replacing(
            Path(args.output)
        ) as stream:  # which says before the measurements if it cannot be written
            stream.write(written(_calibrated(args)).encode())
    except OSError as error:
        misuse("E510", f"cannot write {args.output}: {reading.reason(error)}")
    return 0


def _calibrated(args: argparse.Namespace) -> Device:
    """Measure, fit, and print what was predicted of the others."""
    from netdsl.hardware.calibrate import calibrate, compared, measure, prepare
    from netdsl.hardware.report import duration

    prepare(args.threads)
    fitted, others = _nets(args.largest)
    times = []
    for net in (*fitted, *others):
        times.append(measure(net))
        print(f"{net.name}: {duration(times[-1].whole)}", flush=True)
    device = calibrate(Path(args.output).stem, times[: len(fitted)], times[len(fitted) :])
    print("\nnets that were not in the fit: measured, predicted, error")
    for time, predicted, error in compared(times[len(fitted) :], device):
        print(f"{time.net.name}: {duration(time.whole)}, {duration(predicted)}, {100 * error:.0f} %")
    found = device.calibration
    assert found is not None
    print(
        f"\n{found.nets} nets: median error {100 * found.error:.1f} %, "
        f"{100 * found.within_10:.0f} % within 10 %, {100 * found.within_20:.0f} % within 20 %"
    )
    return device


def _nets(largest: int) -> tuple[list[Network], list[Network]]:
    """Return the nets to fit, every second one of a family by size, and the others; search spaces are none."""
    from netdsl import api

    families: dict[str, list[Network]] = {}
    for entry in api.zoo():
        if entry.macs is not None and entry.macs <= largest:
            families.setdefault(entry.spec, []).append(api.load(f"{entry.spec}:{entry.name}"))
    ordered = [sorted(nets, key=lambda net: net.cost().macs) for nets in families.values()]
    fitted, others = ([net for nets in ordered for net in nets[first::2]] for first in (0, 1))
    if not others:
        misuse(
            "E544",
            f"no family of the zoo has two nets of at most {largest} MACs: one to fit, one to try the fit",
        )
    return fitted, others
