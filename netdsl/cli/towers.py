"""netdsl split --towers: share the channels of every layer out to several devices."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

from netdsl import reading
from netdsl.cli.common import look, misuse, network, note, read_for, write_all


def run(args: argparse.Namespace) -> int:
    """Print what each device does, and write it if asked for."""
    from netdsl.report.towers import render_text

    for option, given in (
        ("--micro-batches", args.micro_batches is not None),
        ("--schedule", args.schedule != "1f1b"),
        ("--device", bool(args.device)),
        ("--format json", args.format == "json"),
    ):
        if given:
            misuse("E510", f"{option} is of the parts of a pipeline, not of towers", "use --parts")
    net = network(args)
    plan = net.towers(args.towers)
    if args.output is not None:
        from netdsl.backend import TowersBackend, find

        folder = Path(args.output)
        files = cast(TowersBackend, find("torch")).towers(plan)
        try:
            folder.mkdir(exist_ok=True)
            write_all({folder / name: text for name, text in files.items()}, read_for([net]))
        except OSError as error:
            misuse("E510", f"cannot write {args.output}: {reading.reason(error)}")
        note(f"wrote {folder / next(iter(files))} and {len(plan.stages)} stages, each a spec and a module")
    print(render_text(plan, args.batch, args.dtype, args.optimizer, args.memory, look()))
    return 0
