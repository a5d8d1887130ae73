"""netdsl weights: move weights from one backend's file to another's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl import reading
from netdsl.cli.common import misuse, network, note, read_for, replacing, spec_arguments

if TYPE_CHECKING:
    from netdsl.weights.convert import Move

HELP = "move weights between backends"
EXAMPLES = ("netdsl weights my_net.net --from torch a.safetensors --to flax b.safetensors",)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    for option, dest, what in (
        ("--from", "source", "the backend that FILE is of, such as torch"),
        ("--to", "target", "the backend that FILE is written for"),
    ):
        sub.add_argument(option, dest=dest, nargs=2, required=True, metavar=("BACKEND", "FILE"), help=what)


def run(args: argparse.Namespace) -> int:
    """Write the weights of a net for another backend, or nothing."""
    from netdsl.weights.convert import Move
    from netdsl.weights.files import TORCH, opened, save, suffix
    from netdsl.weights.layout import layout, need

    (source, given), (target, wanted) = args.source, args.target
    file, result = Path(given), Path(wanted)
    form = suffix(result)
    suffix(file)
    if form in TORCH and target.partition(":")[0] != "torch":
        misuse("E517", f"{result} would be a file of torch's, for {target}", "write a .safetensors file")
    need("numpy", "moving weights")
    net = network(args)
    forms = [layout(net, name) for name in (source, target)]
    if all(form.made is not None for form in forms) and forms[0].own != forms[1].own:
        help = f"move the weights of training to {target}"
        misuse("E516", f"{source} and {target} are two forms of {net.name}, which fold other layers", help)
    with opened(file) as weights:
        move = Move(net, weights.tensors, source, target, given)
        try:
            with replacing(result, [file, *read_for([net])]) as stream:
                save(stream, form, move, weights.metadata)
        except OSError as error:
            misuse("E510", f"cannot write {wanted}: {reading.reason(error)}")
        note(f"wrote {wanted}: {len(move.target.shapes):,} tensors of {net.name} for {target}")
        for text in _of_one_side(move, given, target):
            note(f"note: {text}")
    return 0


def _of_one_side(move: Move, given: str, target: str) -> Iterator[str]:
    """Yield what of a net's state only the file has, or only the target; the target's begins anew."""
    if move.made:
        yield f"{len(move.made):,} of them are worked out from several, such as {next(iter(move.made))}"
        return
    held = {one.parameter for key in move.state for one in move.source.tensors.get(key, ())}
    wanted = {one.parameter for tensors in move.target.tensors.values() for one in tensors}
    for keys, what in (
        ([key for key in move.target.own if key in wanted - held], f"not in {given}, and begin at 0"),
        ([key for key in move.source.own if key in held - wanted], f"in {given} alone: {target} has none"),
    ):
        if keys:
            yield f"{len(keys):,} counters such as {keys[0]} are {what}"
