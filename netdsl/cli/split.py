"""netdsl split: cut a net into the parts of a pipeline, or share its channels out."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from netdsl import reading
from netdsl.cli.common import (
    look,
    misuse,
    network,
    note,
    positive,
    print_json,
    read_for,
    size,
    spec_arguments,
    write_all,
)
from netdsl.cli.cost import DTYPES
from netdsl.cost.model import OPTIMIZERS

if TYPE_CHECKING:
    from netdsl.network import Network

HELP = "cut a net into the parts of a pipeline, so that the slowest is as fast as can be, or into towers"
EXAMPLES = (
    "netdsl split vgg16 --parts 2",
    "netdsl split resnet50 --parts 4 --train --batch 128 --memory 3GB",
    "netdsl split resnet50 --parts 2 --train --batch 32 -o pipeline",
    "netdsl split alexnet_2012 --towers 2 --train --batch 128 --memory 3GB",
)

PIPELINE = ("micro_batches", "schedule", "device")
"""The options that the parts of a pipeline have, and towers have not."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    kind = sub.add_mutually_exclusive_group(required=True)
    kind.add_argument(
        "--parts", type=positive, metavar="N", help="how many parts one after the other, from 2"
    )
    help = "how many devices that make a share of the channels of every layer each, in training"
    kind.add_argument("--towers", type=positive, metavar="N", help=help)
    sub.add_argument("--train", action="store_true", help="a step of training: MACs and memory of both ways")
    sub.add_argument("--batch", type=positive, default=1, metavar="N", help="samples of a step (1)")
    sub.add_argument(
        "--micro-batches",
        type=positive,
        metavar="N",
        help="into how many the batch is divided (the most up to four times the parts)",
    )
    sub.add_argument("--schedule", choices=("1f1b", "gpipe"), help="how they go through (1f1b)")
    sub.add_argument("--memory", type=size, metavar="SIZE", help="the most that a part may hold, such as 3GB")
    sub.add_argument("--dtype", choices=DTYPES, default="float32", help="of all tensors (float32)")
    sub.add_argument("--optimizer", choices=OPTIMIZERS, default="sgd", help="with --train: which (sgd)")
    sub.add_argument(
        "--device", metavar="NAME", help="balance times on it; see `netdsl devices`; or FILE.toml"
    )
    sub.add_argument("--format", choices=("table", "json"), default="table")
    sub.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="write a module for each part, the program that runs them, and a picture, for PyTorch",
    )


def run(args: argparse.Namespace) -> int:
    """Print the parts or towers, and write them if asked for."""
    given = {name: value for name in PIPELINE if (value := getattr(args, name)) is not None}
    (_parts if args.towers is None else _towers)(args, network(args), given)
    return 0


def _parts(args: argparse.Namespace, net: Network, given: Mapping[str, Any]) -> None:
    from netdsl.lint.output import concise
    from netdsl.split import report

    made = net.split(
        args.parts,
        batch=args.batch,
        dtype=args.dtype,
        train=args.train,
        optimizer=args.optimizer,
        memory=args.memory,
        **given,
    )
    if args.output is not None:
        from netdsl.split.pipeline import files

        _write(args, net, files(made))
    if args.format == "json":
        print_json(report.render_json(made))
    else:
        print(report.render_text(made, look()))
        if made.findings:
            print(f"\n{concise(made.findings, ())}")


def _towers(args: argparse.Namespace, net: Network, given: Mapping[str, Any]) -> None:
    from netdsl.report import towers

    for name in given:
        option = f"--{name.replace('_', '-')}"
        misuse("E510", f"{option} is of the parts of a pipeline, not of towers", "use --parts")
    plan = net.towers(args.towers)
    if args.output is not None:
        from netdsl.backend import TowersBackend, find

        _write(args, net, cast(TowersBackend, find("torch")).towers(plan))
    options = (plan, args.batch, args.dtype, args.optimizer, args.memory)
    if args.format == "json":
        print_json(towers.render_json(*options))
    else:
        print(towers.render_text(*options, look()))


def _write(args: argparse.Namespace, net: Network, files: Mapping[str, str]) -> None:
    folder = Path(args.output)
    texts = {folder / name: text for name, text in files.items()}
    try:
        folder.mkdir(exist_ok=True)
        write_all(texts, read_for([net]))
    except OSError as error:
        misuse("E510", f"cannot write {args.output}: {reading.reason(error)}")
    note(f"wrote {', '.join(map(str, texts))}")
