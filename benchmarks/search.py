"""Samplers of `netdsl search` against each other: hypervolume of what they find on the digits space.

Every net is trained at most once: scores are kept in a file by what the net decides, so that the benchmark goes on
where it was, and other samplers cost what they train anew.

    python benchmarks/search.py [--trials 80] [--seeds 5] [--scores build/digits_scores.json]

It takes hours the first time.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
import optuna
from optuna._hypervolume import compute_hypervolume

from netdsl import Network, api
from netdsl.search.digits import prepared
from netdsl.search.nets import Nets
from netdsl.search.objective import Objective
from netdsl.search.samplers import KINDS
from netdsl.search.study import Scored, Worker, opened, scored

WORST = 0.3
"""The error beyond which a net counts for nothing."""
COSTS = {"macs": 200_000, "params": 10_000}
"""The budgets of the space, by which costs are divided."""
STEP = 20
"""After how many trials the hypervolume is printed."""


class Known:
    """The objective, with the scores that are known."""

    def __init__(self, file: Path) -> None:
        """Read them."""
        self.file = file
        self.scores: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
        self.trained = 0
        self._train: Callable[[Network], float] | None = None

    def __call__(self, net: Network) -> float:
        """Return a net's score, and keep it."""
        key = ", ".join(f"{one.name}={one.options[one.chosen or 0]}" for one in net.decisions)
        if key not in self.scores:
            self._train = self._train or prepared()
            self.scores[key] = self._train(net)
            self.trained += 1
            if self.trained % 10 == 0:
                self.keep()
        return self.scores[key]

    def keep(self) -> None:
        """Write what is known."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        beside = self.file.with_suffix(".new")
        beside.write_text(json.dumps(self.scores, indent=0))
        beside.replace(self.file)


def volume(found: list[Scored]) -> float:
    """Return the hypervolume of costs, as shares of the budgets, and of the error, as a share of `WORST`."""
    points = [
        (*[c / b for c, b in zip(one.costs, COSTS.values(), strict=True)], (1 - one.score) / WORST)
        for one in found
    ]
    inside = np.array([point for point in points if max(point) < 1])
    return float(compute_hypervolume(inside, np.ones(3))) if len(inside) else 0.0


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scores", type=Path, default=Path("build/digits_scores.json"))
    args = parser.parse_args()
    file, name = api.locate("digits_search")
    nets = Nets(api.recipe(file, name, {}, {}), list(COSTS))
    known = Known(args.scores)
    marks = [*range(STEP, args.trials + 1, STEP)]
    print(
        f"{'sampler':10}",
        *(f"{f'after {mark}':>16}" for mark in marks),
        f"{'best':>16}",
        f"{'s a proposal':>14}",
    )
    try:
        for kind in KINDS:
            runs = []
            for seed in range(args.seeds):
                where = optuna.storages.InMemoryStorage()
                study = opened(nets, "digits", where, "digits")
                spent = [0.0]

                def score(net: Network, spent: list[float] = spent) -> float:
                    begin = process_time()
                    found = known(net)
                    spent[0] += process_time() - begin
                    return found

                worker = Worker(study, where, nets, Objective("digits", score), kind, seed, lambda text: None)
                begin = process_time()
                worker.work(args.trials)
                each = (process_time() - begin - spent[0]) / args.trials
                found = scored(nets, study)
                runs.append(([volume(found[:mark]) for mark in marks], max(one.score for one in found), each))
            volumes, best, times = zip(*runs, strict=True)
            cells = [spread([one[i] for one in volumes]) for i in range(len(marks))]
            print(f"{kind:10}", *cells, spread(best), f"{statistics.mean(times):14.3f}", flush=True)
    finally:
        known.keep()
    print(
        f"{args.seeds} seeds, mean and standard deviation; {known.trained} nets trained, {len(known.scores)} known"
    )


def spread(values: tuple[float, ...] | list[float]) -> str:
    """Return mean and standard deviation."""
    off = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):9.4f} +-{off:.3f}"


if __name__ == "__main__":
    main()
