"""netdsl export: a net as a file of ONNX."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from netdsl import reading
from netdsl.cli.common import misuse, network, note, read_for, replacing, spec_arguments

HELP = "write a net as a file of ONNX"
EXAMPLES = (
    "netdsl export resnet18 -o resnet18.onnx",
    "netdsl export my_net.net --weights my_net.pth --check -o my_net.onnx",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    help = "whose module it is (torch); torch:deploy is the form for inference, with norms folded"
    sub.add_argument("--backend", default="torch", metavar="NAME[:OPTION,...]", help=help)
    help = "the weights, as torch's modules have them or those of torch:deploy; without, they are random"
    sub.add_argument("--weights", metavar="FILE", help=help)
    sub.add_argument("-o", "--output", required=True, metavar="FILE.onnx", help="write to FILE.onnx")
    help = "run it in ONNX Runtime, and write it only if the outputs are the module's"
    sub.add_argument("--check", action="store_true", help=help)


def run(args: argparse.Namespace) -> int:
    """Write the file, and one for weights that it cannot hold: both as a whole, or nothing."""
    from netdsl.backend import Beside
    from netdsl.export import check, export, too_large
    from netdsl.weights.files import opened

    file = Path(args.output)
    if file.suffix.lower() != ".onnx":
        misuse("E510", f"{args.output} is no name of a file of ONNX", "give one that ends in .onnx")
    data = file.with_name(f"{file.name}.data")
    net = network(args)
    reads = read_for([net])
    weights = beside = checked = None
    with ExitStack() as stack:
        if args.weights is not None:
            weights = stack.enter_context(opened(Path(args.weights))).tensors
            reads.append(Path(args.weights))
        try:
            stream = stack.enter_context(replacing(file, reads))
            if too_large(net, args.backend):
                beside = Beside(data.name, stack.enter_context(replacing(data, reads)))
            exported = export(net, args.backend, weights, str(args.weights), beside)
            if args.check:
                checked = check(exported)
            stream.write(exported.file)
            stream.flush()  # before either has its name
            stack.close()
        except OSError as error:
            misuse("E510", f"cannot write {args.output}: {reading.reason(error)}")
    size = f"{len(exported.file):,} bytes"
    if beside is not None:
        size += f", and {data}: its weights, {data.stat().st_size:,} bytes"
    note(f"wrote {args.output}: {net.name} for ONNX, {size}")
    if weights is None:
        note("note: the weights are random: --weights gives others")
    if checked is not None:
        said = f"they differ by {checked.difference:.1e} of the largest"
        note(f"ONNX Runtime gives the module's outputs: {said}")
        if checked.silent:
            note(f"note: {', '.join(checked.silent)} is 0 everywhere with these weights, which says little")
    return 0
