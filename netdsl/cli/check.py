"""netdsl check: hold specs against what they promise."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netdsl.cli.common import (
    VERSION,
    add_once,
    apart,
    called,
    nets_of,
    output,
    print_json,
    report,
    spec_arguments,
    status_of,
    watch_option,
)
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from netdsl.elaborate.build import Recipe
    from netdsl.network import Network
    from netdsl.space.overview import Explored

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
    spaces: list[Recipe] = []
    for net in nets_of(args.spec, args, wrong, spaces):
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
                print(f"{printable(apart(net.recipe, args.spec))}: {counts}, output {outputs}")
    explored = [*filter(None, [_explored(recipe, wrong) for recipe in spaces])]
    for space in explored if args.format == "text" and not output.quiet else ():
        from netdsl.space.report import summary

        print(printable(f"{apart(space.space.recipe, args.spec)}: {summary(space.overview)}"))
    if args.format == "json":
        from netdsl.diagnostics.render import render_json
        from netdsl.space.report import bracket_object

        nets = [
            {
                "name": net.name,
                "spec": net.spec,
                "file": net.file,
                "nodes": len(net.graph),
                "params": net.cost().params,
                "macs": net.cost().macs,
                "inputs": {name: list(shape) for name, shape in net.inputs.items()},
                "outputs": {name: list(shape) for name, shape in net.outputs.items()},
            }
            for net in fine
        ]
        found = [
            {
                "name": called(space.space.recipe),
                "spec": space.space.spec,
                "file": space.space.file,
                "decisions": len(space.decisions),
                "nets": space.overview.nets,
                "within": bracket_object(space.overview.within),
            }
            for space in explored
        ]
        diagnostics = render_json(wrong)["diagnostics"]
        print_json({"version": VERSION, "nets": nets, "spaces": found, "diagnostics": diagnostics})
        return status_of(wrong)
    return report(wrong) if wrong else 0


def _explored(recipe: Recipe, wrong: list[Diagnostic]) -> Explored | None:
    """Return a space that has a net within its budgets, and no mistake in its text; add what is wrong with it."""
    from netdsl.space.overview import Explored, mistakes
    from netdsl.space.space import Space

    try:
        space = Explored(Space(recipe))
        if not space.overview.within.most:
            raise space.nothing()
        if not (found := mistakes(space.space)):
            return space
        add_once(wrong, found)
    except NetError as error:
        add_once(wrong, error.diagnostics)
    return None
