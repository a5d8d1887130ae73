"""netdsl check: hold specs against what they promise."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import (
    VERSION,
    add_once,
    apart,
    nets_of,
    output,
    print_json,
    report,
    spec_arguments,
    status_of,
    watch_option,
)
from netdsl.diagnostics import Diagnostic

if TYPE_CHECKING:
    from netdsl.network import Network

HELP = "parse, elaborate, infer shapes, hold budgets against costs"
EXAMPLES = (
    "netdsl check my_net.net --watch",
    "netdsl check nets/ --format json",
)


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True, folders=True)
    watch_option(sub)
    sub.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    """Check every net of every spec; say what is fine and what is not."""
    from netdsl.diagnostics.render import printable

    fine: list[Network] = []
    wrong: list[Diagnostic] = []
    for net in nets_of(args.spec, args, wrong):
        broken = net.check()
        add_once(wrong, broken)
        if not broken:
            fine.append(net)
            if args.format == "text" and not output.quiet:
                whole = net.cost()
                outputs = ", ".join(
                    f"{printable(name)} {shape}" if len(net.outputs) > 1 else str(shape)
                    for name, shape in net.outputs.items()
                )
                counts = f"{len(net.graph):,} ops, {whole.params:,} params, {whole.macs:,} MACs"
                print(f"{printable(apart(net, args.spec))}: {counts}, output {outputs}")
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
