"""Which net is tried next: uniform draws, Optuna's TPE and NSGA-II, and our surrogate; all within the budgets.

Each proposes a whole net, so that no decision is asked that the net does not have, and none leaves the budgets. What
a sampler knows is the study's trials, and its chance that of the trial's number, so that several workers may propose,
and a study that goes on proposes what it would have proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from netdsl.search.nets import Answers, Nets
from netdsl.search.storage import quiet

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

KINDS = ("surrogate", "tpe", "nsga", "uniform")
BEGIN = 20
"""How many uniform draws each sampler begins with; a generation of NSGA-II."""
EXPLORE = 0.15
"""The share of uniform draws among the surrogate's later proposals."""
TRIES = 50
"""How many draws are made for one that was not tried before."""
STRENGTHS = tuple([10.0 ** (n / 2) for n in range(-4, 5)])
"""What the ridge may weigh; leaving one out says which."""

Propose = Callable[["Study", "FrozenTrial", Sequence["FrozenTrial"], Random], Answers]


class Exhausted(Exception):
    """Each net that keeps the budgets was tried."""


def sampler(kind: str, nets: Nets, seed: int) -> BaseSampler:
    """Return a sampler of Optuna's; `kind` is one of `KINDS`."""
    from optuna.distributions import CategoricalDistribution
    from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler

    options = {name: CategoricalDistribution(range(many)) for name, many in nets.options.items()}

    def inner(trial: FrozenTrial) -> BaseSampler | None:
        """Return Optuna's sampler, which begins anew for each trial."""
        number = Random(f"{seed} {trial.number} {kind}").randrange(2**32)
        with quiet():
            if kind == "tpe":
                return TPESampler(n_startup_trials=BEGIN, seed=number)
            return NSGAIISampler(population_size=BEGIN, seed=number) if kind == "nsga" else None

    class Sampler(BaseSampler):
        """Proposes the answers to all decisions of a net at once."""

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
            return options

        def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
            random = Random(f"{seed} {trial.number}")
            if trial.params:  # of a worker that was lost
                again = nets.nearest(trial.params, lambda answers: True, random)
                return dict(again or nets.draw(random))
            return dict(proposed(kind, nets, study, trial, random, inner(trial), options))

        def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: Any) -> Any:
            raise AssertionError(f"{name} was proposed with the rest")

    return Sampler()


def proposed(
    kind: str,
    nets: Nets,
    study: Study,
    trial: FrozenTrial,
    random: Random,
    inner: BaseSampler | None,
    options: Mapping[str, Any],
) -> Answers:
    """Return a net that was not tried; raise Exhausted if there is none."""
    trials = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
    tried = {key(one.params) for one in trials if counts(one)}
    scored = [one for one in trials if one.state.name == "COMPLETE"]

    def new(answers: Answers) -> bool:
        return key(answers) not in tried

    wanted: Answers = {}
    if inner is not None:
        wanted = wish(inner, study, trial, options)  # from the first on, as NSGA-II notes its generations so
        if len(scored) >= BEGIN and (near := nets.nearest(wanted, new, random)) is not None:
            return near
    elif kind == "surrogate" and len(scored) >= BEGIN and random.random() >= EXPLORE:
        for wanted in promising(nets, scored, random):
            if new(wanted) and nets.keeps_others(wanted):
                return wanted
        if (near := nets.nearest(wanted, new, random)) is not None:  # all of the front was tried
            return near
    for _ in range(TRIES):
        answers = nets.draw(random)
        if new(answers):
            return answers
    found = nets.nearest(wanted, new, random)
    if found is None:
        raise Exhausted
    return found


def key(params: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    """Return what two trials of one net have in common."""
    return frozenset(params.items())


def counts(trial: FrozenTrial) -> bool:
    """Tell whether a trial's net is or was tried, so that it is not to be tried again."""
    return trial.state.name in ("COMPLETE", "RUNNING", "WAITING") or "error" in trial.user_attrs


def wish(inner: BaseSampler, study: Study, trial: FrozenTrial, options: Mapping[str, Any]) -> Answers:
    """Return what one of Optuna's samplers says to every decision, whether the net asks it or not."""
    with quiet():
        found = inner.sample_relative(study, trial, inner.infer_relative_search_space(study, trial))
        for name, distribution in options.items():
            if name not in found:
                found[name] = inner.sample_independent(study, trial, name, distribution)
    return found


def promising(nets: Nets, trials: Sequence[FrozenTrial], random: Random) -> Iterator[Answers]:
    """Yield the front of costs and predicted scores, in an order that chance decides.

    Choosing by how much a net would add to what was found was tried, and worse: it believes the predictions.
    """
    front = nets.front(regression([one.params for one in trials], [one.values[-1] for one in trials]))
    for place in random.sample(range(len(front)), len(front)):
        yield front.answers(place)


def regression(nets: Sequence[Answers], scores: Sequence[float]) -> dict[tuple[str, int], float]:
    """Return what each option adds to a score: ridge regression on indicators of the options that nets take.

    How strong the ridge is follows from leaving out each net once, which has a closed form.
    """
    import numpy as np

    names = sorted({one for net in nets for one in net.items()})
    place = {one: i for i, one in enumerate(names)}
    x = np.zeros((len(nets), len(names)))
    for row, net in zip(x, nets, strict=True):
        row[[place[one] for one in net.items()]] = 1
    y = np.array(scores)
    x, y = x - x.mean(0), y - y.mean()
    u, s, v = np.linalg.svd(x, full_matrices=False)
    best, weights = np.inf, np.zeros(len(names))
    for strength in STRENGTHS:
        shrunk = s**2 / (s**2 + strength)
        left = 1 - 1 / len(nets) - (u**2 @ shrunk)
        error = float(np.mean(((y - u @ (shrunk * (u.T @ y))) / np.maximum(left, 1e-9)) ** 2))
        if error < best:
            best, weights = error, v.T @ (s / (s**2 + strength) * (u.T @ y))
    return dict(zip(names, weights.tolist(), strict=True))
