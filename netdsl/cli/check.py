"""netdsl check: hold specs against what they promise."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from netdsl.cli.common import (
    VERSION,
    files,
    inputs,
    output,
    print_json,
    report,
    settings,
    spec_arguments,
    status_of,
)
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from netdsl.network import Network

HELP = "parse, elaborate, infer shapes, hold budgets against costs"


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True)
    sub.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Check every net of every spec; say what is fine and what is not."""
    from netdsl.diagnostics.render import printable

    fine: list[Network] = []
    wrong: list[Diagnostic] = []
    for spec in args.spec:
        for net in _checked(spec, args, wrong):
            fine.append(net)
            if args.format == "text" and not output.quiet:
                whole = net.cost()
                outputs = ", ".join(
                    f"{printable(name)} {shape}" if len(net.outputs) > 1 else str(shape)
                    for name, shape in net.outputs.items()
                )
                counts = f"{len(net.graph):,} ops, {whole.params:,} params, {whole.macs:,} MACs"
                print(f"{printable(net.name)}: {counts}, output {outputs}")
    if args.format == "json":
        from netdsl.diagnostics.render import render_json

        nets = [
            {
                "name": net.name,
                "spec": net.spec,
                "nodes": len(net.graph),
                "params": net.cost().params,
                "macs": net.cost().macs,
                "inputs": {name: list(shape) for name, shape in net.inputs.items()},
                "outputs": {name: list(shape) for name, shape in net.outputs.items()},
            }
            for net in fine
        ]
        print_json({"version": VERSION, "nets": nets, "diagnostics": render_json(wrong)["diagnostics"]})
        return status_of(wrong)
    return report(wrong) if wrong else 0


def _checked(spec: str, args: argparse.Namespace, wrong: list[Diagnostic]) -> Iterator[Network]:
    """Yield the nets of a spec that are fine; add what is wrong with the others, once if they share it."""
    from netdsl import api
    from netdsl.network import Network
    from netdsl.syntax.tokens import MAX_ERRORS

    seen: set[object] = set()

    def add(diagnostics: Iterable[Diagnostic]) -> None:
        for found in diagnostics:
            key = (found.code, found.message, found.span)
            if key not in seen:
                seen.add(key)
                wrong.append(found)

    try:
        file, name = files(spec, args)
        given, shapes = settings(args), inputs(args)
    except NetError as error:
        add(error.diagnostics)
        return
    begin = len(wrong)
    for one in [name] if name else api.distinct(file):
        if len(wrong) - begin >= MAX_ERRORS:
            what = f"{spec}: after {MAX_ERRORS} errors the nets from {one} on are not looked at"
            wrong.append(Diagnostic("", what, severity="info"))
            return
        try:
            net = Network(api.recipe(file, one, given, shapes, args.max_nodes))
            broken = net.check()
        except NetError as error:
            add(error.diagnostics)
        else:
            add(broken)
            if not broken:
                yield net
