"""netdsl space: what there is to know of a search space without training anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl.cli.common import files, inputs, look, paths, print_json, settings, spec_arguments, write
from netdsl.diagnostics import Diagnostic, NetError, did_you_mean

if TYPE_CHECKING:
    from netdsl.space.fronts import Front
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
    sub.add_argument("--format", choices=("text", "json", "csv"), default="text", help="csv is of a front")


def run(args: argparse.Namespace) -> int:
    """Print what is known of the space."""
    from netdsl import api
    from netdsl.space import report
    from netdsl.space.overview import Explored, overview
    from netdsl.space.space import Space

    goals = front_goals(args)
    if args.format == "csv" and not goals:
        raise NetError([Diagnostic("E500", "--format csv is of a front", help="add --front macs,max:params")])
    if not 0 <= args.draw <= MAX_DRAWS:
        raise NetError([Diagnostic("E500", f"--draw takes a number up to {MAX_DRAWS:,}, got {args.draw}")])
    file, name = files(args.spec, args)
    recipe = api.recipe(file, name, settings(args), inputs(args), args.max_nodes)
    explored = Explored(Space(recipe))
    if not explored.space.decisions:
        what = f"{explored.space.name} leaves nothing open: it is one net, and no search space"
        raise NetError([Diagnostic("E217", what, explored.space.span, help=f"netdsl cost {args.spec}")])
    if args.draw:
        text = "\n".join(drawn(explored, args))
        if args.output:
            write(Path(args.output), text, paths(file))
        else:
            print(text, end="")
        return 0
    found = front(explored, goals) if goals else None
    names = [name for name, _ in goals]
    if found is not None and args.format == "csv":
        print(report.front_csv(explored, found, names))
        return 0
    if found is not None and args.format == "text":
        print(report.front_sheet(explored, found, names, args.exact, args.top).text(look()))
        return 0
    whole = overview(explored)
    sampled = sample(explored, args.seed) if explored.others and whole.within.most else None
    if args.format == "json":
        print_json(report.render_json(whole, sampled, None if found is None else (explored, found, names)))
    else:
        print(report.render_text(whole, look(), args.exact, sampled))
    return 0


def front_goals(args: argparse.Namespace) -> list[tuple[str, bool]]:
    """Return the quantities of a front, each with whether more of it is better."""
    from netdsl.space.overview import counted

    goals = []
    for item in filter(None, (part.strip() for part in (args.front or "").split(","))):
        way, _, name = item.rpartition(":")
        known = counted()
        if name not in known or way not in ("", "min", "max"):
            help = did_you_mean(name, list(known)) or f"there are {', '.join(known)}; max:{next(iter(known))}"
            raise NetError([Diagnostic("E500", f"--front: `{item}` is no quantity that adds up", help=help)])
        goals.append((name, way == "max"))
    if args.front is not None and not goals:
        raise NetError([Diagnostic("E500", "--front takes quantities", help="--front macs,max:params")])
    return goals


def front(explored: Explored, goals: list[tuple[str, bool]]) -> Front:
    """Return the front of some quantities within the budgets."""
    from netdsl.space.fronts import Goal
    from netdsl.space.fronts import front as find
    from netdsl.space.reduced import NoNet

    try:
        asked = [Goal(explored.place(name), more) for name, more in goals]
        return find(explored.lattice, asked, explored.most, explored.least)
    except NoNet:
        raise nothing(explored) from None


def nothing(explored: Explored) -> NetError:
    """Return the error for a space none of whose nets keeps the budgets."""
    claims = ", ".join(dict.fromkeys(bound.budget.span.text for bound in explored.bounds))
    what = f"no net of {explored.space.name} keeps its budgets: {claims}"
    return NetError([Diagnostic("E401", what, explored.bounds[0].budget.span)])


def nets(explored: Explored, seed: int) -> Iterator[dict[str, int]]:
    """Yield nets that keep the budgets which are sums, each as likely as any other."""
    import random

    from netdsl.space.draws import draws
    from netdsl.space.reduced import NoNet

    try:
        yield from draws(explored.lattice, explored.most, explored.least, random=random.Random(seed))
    except NoNet:
        raise nothing(explored) from None


def sample(explored: Explored, seed: int) -> tuple[int, int]:
    """Return how many of some nets keep the budgets that are no sums, and how many they are."""
    from itertools import islice

    found = [keeps(explored, answers) for answers in islice(nets(explored, seed), SAMPLE)]
    return sum(found), len(found)


def keeps(explored: Explored, answers: dict[str, int]) -> bool:
    """Tell whether a net keeps all budgets."""
    from netdsl.cost.budget import check
    from netdsl.net import Net

    recipe = explored.space.recipe
    net = Net(recipe.replace(settings={**recipe.settings, **explored.space.texts(answers)}))
    problems: list[Any] = check(net)
    return not problems


def drawn(explored: Explored, args: argparse.Namespace) -> Iterator[str]:
    """Yield the text of a file with drawn nets, a variant each, and what they are made of."""
    from netdsl.elaborate.values import show
    from netdsl.space.write import decided, imported

    recipe, space = explored.space.recipe, explored.space
    name, left, tried = recipe.net.name, args.draw, 0
    given = {key: show(value) for key, value in recipe.settings.items() if key not in space.decisions}
    texts = []
    for answers in nets(explored, args.seed):
        tried += 1
        if explored.others and not keeps(explored, answers):
            if tried > 100 * (args.draw + SAMPLE):
                what = f"of {tried:,} nets drawn only {args.draw - left:,} keep the budgets that are no sums"
                raise NetError([Diagnostic("E401", what, explored.others[0].span)])
            continue
        left -= 1
        texts.append(decided(name, f"{name.lower()}_{args.draw - left}", space.texts(answers), given))
        if not left:
            break
    yield imported(recipe.net.file.source.name, name, "\n".join(texts))
