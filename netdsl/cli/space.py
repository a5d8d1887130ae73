"""netdsl space: what there is to know of a search space without training anything."""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl.cli.common import files, inputs, look, paths, print_json, settings, spec_arguments, write
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from netdsl.space.overview import Explored

HELP = "count the nets of a search space, say what they cost, draw some, and find its front"
EXAMPLES = ("netdsl space search", "netdsl space search --draw 3 --seed 1 -o drawn.net")
SAMPLE = 50
"""So many nets are drawn to see how many keep budgets that are no sums."""
MAX_DRAWS = 100_000
"""A file of more variants is of no use."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    sub.add_argument(
        "--front",
        metavar="QUANTITIES",
        help="the nets that no other is as good as in each of these: macs,max:params (most params at least MACs)",
    )
    sub.add_argument("--top", type=int, default=20, metavar="N", help="how many nets of the front are shown")
    sub.add_argument(
        "--draw",
        type=int,
        default=0,
        metavar="N",
        help="N nets, each as likely as any other that keeps the budgets",
    )
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="another one draws other nets")
    sub.add_argument(
        "-o", "--output", metavar="FILE", help="where to write the drawn nets, instead of printing them"
    )
    sub.add_argument("--exact", action="store_true", help="every digit")
    sub.add_argument(
        "--format", choices=("text", "json", "csv", "markdown"), default="text", help="csv is of a front"
    )


def run(args: argparse.Namespace) -> int:
    """Print what is known of the space."""
    from netdsl import api
    from netdsl.space import report
    from netdsl.space.overview import Explored
    from netdsl.space.space import Space

    goals = front_goals(args)
    if args.format == "csv" and not goals:
        raise NetError([Diagnostic("E500", "--format csv is of a front", help="add --front macs,max:params")])
    if not 0 <= args.draw <= MAX_DRAWS:
        raise NetError([Diagnostic("E500", f"--draw takes a number up to {MAX_DRAWS:,}, got {args.draw}")])
    file, name = files(args.spec, args)
    recipe = api.recipe(file, name, settings(args), inputs(args), args.max_nodes)
    explored = Explored(Space(recipe))
    if args.draw:
        text = drawn(explored, args)
        if args.output:
            write(Path(args.output), text, paths(file))
        else:
            print(text, end="")
        return 0
    names = [name for name, _ in goals]
    found = explored.front(goals) if goals else None
    if found is not None and args.format != "json":
        sheet = report.front_sheet(found, names, args.exact, args.top)
        if args.format == "csv":
            print(report.front_csv(found, names))
        else:
            print(sheet.markdown() if args.format == "markdown" else sheet.text(look()))
        return 0
    sampled = None
    if explored.others and explored.overview.within.most:
        sampled = explored.sample(SAMPLE, args.seed), SAMPLE
    if args.format == "json":
        print_json(report.render_json(explored.overview, sampled, None if found is None else (found, names)))
    elif args.format == "markdown":
        print(report.render_markdown(explored.overview, args.exact, sampled))
    else:
        print(report.render_text(explored.overview, look(), args.exact, sampled))
    return 0


def front_goals(args: argparse.Namespace) -> list[tuple[str, bool]]:
    """Return the quantities of a front, each with whether more of it is better."""
    from netdsl.space.overview import summed

    goals = []
    for item in filter(None, (part.strip() for part in (args.front or "").split(","))):
        way, _, name = item.rpartition(":")
        # what stands before the colon is part of the name, unless it says which way
        goals.append((summed(name if way in ("", "min", "max") else item, "max:params").name, way == "max"))
    if args.front is not None and not goals:
        raise NetError([Diagnostic("E500", "--front takes quantities", help="--front macs,max:params")])
    return goals


def drawn(explored: Explored, args: argparse.Namespace) -> str:
    """Return the text of a file with drawn nets, a variant each, and what they are made of."""
    from netdsl.elaborate.values import show
    from netdsl.space.write import decided, imported

    recipe = explored.space.recipe
    name = recipe.net.name
    given = {key: show(value) for key, value in recipe.settings.items() if key not in explored.decisions}
    nets = islice(explored.draw(args.seed), args.draw)
    texts = [decided(name, f"{name.lower()}_{n}", net, given) for n, net in enumerate(nets, 1)]
    return imported(recipe.net.file.source.name, name, "\n".join(texts))
