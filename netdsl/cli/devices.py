"""netdsl devices: list the devices that `netdsl cost --device` knows."""

from __future__ import annotations

import argparse

from netdsl.cli.common import look, print_json

HELP = "list the devices of cost --device"
EXAMPLES = (
    "netdsl devices",
    "netdsl devices h100",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    sub.add_argument("device", metavar="DEVICE", nargs="?", help="one of them or FILE.toml: with its sources")
    sub.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """List the devices, or say all that is known of one."""
    from netdsl import hardware
    from netdsl.hardware import report

    found = [hardware.find(name) for name in ([args.device] if args.device else hardware.names())]
    if args.format == "json":
        print_json({"devices": [report.device_json(device) for device in found]})
    else:
        print(report.render_device(found[0], look()) if args.device else report.render_devices(found, look()))
    return 0
