"""A study: trials of nets that several workers share, each worked on until there are as many as were asked for."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import random
from typing import TYPE_CHECKING, Any, NamedTuple

from netdsl.against import said
from netdsl.cost.table import human
from netdsl.diagnostics import Diagnostic, NetError
from netdsl.network import Network
from netdsl.search import database, storage
from netdsl.search.database import Lost
from netdsl.search.meaning import changed, meaning
from netdsl.search.nets import Answers, Nets
from netdsl.search.objective import Objective
from netdsl.search.samplers import Exhausted, counts, key, sampler

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

PAUSE = 0.5
"""Seconds between looks at what others do."""
MOMENT = 3.0
"""Seconds between making a study and saying what it is about, at most."""


class Passed(Exception):
    """A trial that is given up before anything is built: another worker has its net, or there are enough."""


class Scored(NamedTuple):
    """A net that was scored."""

    number: int
    answers: Answers
    costs: tuple[int, ...]
    score: float
    seconds: float
    proxies: Mapping[str, float] = {}
    """By name, of those that were asked for when it was scored."""


class Tally(NamedTuple):
    """How many trials there are of each kind, without those that were given up."""

    complete: int
    failed: int
    """The objective raised an error, or took its worker with it, each time."""
    running: int
    waiting: int
    """Of lost workers: they are to be run again."""
    lost: int
    """Of lost workers, too, and not yet among those that wait."""

    @property
    def ended(self) -> int:
        """How many have a result."""
        return self.complete + self.failed

    @property
    def all(self) -> int:
        """How many have a result, or will have one."""
        return sum(self)


def tally(trials: Sequence[FrozenTrial]) -> Tally:
    """Count trials."""
    kinds = [*kinds_of(trials).values()]
    return Tally(*[kinds.count(kind) for kind in Tally._fields])


def kinds_of(trials: Sequence[FrozenTrial]) -> dict[int, str]:
    """Return by number what a trial is: a field of `Tally`; "" if it was given up, or is run again under another."""
    again = {number for one in trials for number in one.system_attrs.get("retry_history", ())}
    return {one.number: _kind(one, one.number in again) for one in trials}


def _kind(trial: FrozenTrial, again: bool) -> str:
    if trial.state.name != "FAIL":
        return trial.state.name.lower()
    if "error" in trial.user_attrs:
        return "failed"
    if again or "passed" in trial.user_attrs or not trial.params:
        return ""
    return "failed" if len(trial.system_attrs.get("retry_history", ())) >= storage.RETRIES else "lost"


def opened(
    nets: Nets,
    objective: str,
    where: BaseStorage,
    name: str,
    url: str = "",
) -> Study:
    """Return the study of a name, which is made if it is not there.

    Raises:
        NetError: The study there is about something else.
    """
    optuna = storage.optuna()
    now = meaning(nets, objective)
    directions = ["minimize"] * len(nets.columns) + ["maximize"]
    try:
        try:
            study: Study = optuna.create_study(storage=where, study_name=name, directions=directions)
            study.set_user_attr("netdsl", now)
        except optuna.exceptions.DuplicatedStudyError:
            study = optuna.load_study(storage=where, study_name=name)
        before = _meant(study)
        if before is None and not study.get_trials(deepcopy=False):  # who has made it was lost at once
            study.set_user_attr("netdsl", now)
            before = _meant(study)
        if before is None or [one.name.lower() for one in study.directions] != directions:
            raise _other(name, url, "it was not made by `netdsl search`")
    except NetError:
        raise
    except Exception as error:  # whatever a database's driver raises
        storage.refused(storage.shown(url) or "memory", error)
    if what := changed(before, now):
        raise _other(name, url, what)
    return study


def _meant(study: Study) -> Any:
    """Return what a study is about; None if it does not say so, even to who gives its maker a moment."""
    begin = time.monotonic()
    while True:
        begun = study.get_trials(deepcopy=False)  # looked at first, since they come last
        before = study.user_attrs.get("netdsl")
        if before is not None or begun or time.monotonic() - begin > MOMENT:
            return before
        time.sleep(0.1)


def _other(name: str, url: str, what: str) -> NetError:
    message = f"the study {name} of {storage.shown(url)} is about something else: {what}"
    help = "its scores would not mean the same; begin another study with --study NAME"
    return NetError([Diagnostic("E588", message, help=help)])


class Worker:
    """One of the processes that work on a study."""

    def __init__(
        self,
        study: Study,
        where: BaseStorage,
        nets: Nets,
        objective: Objective,
        kind: str,
        seed: int,
        note: Callable[[str], None],
        grace: int = storage.GRACE,
        proxies: Mapping[str, Callable[[Network], float]] = {},
    ) -> None:
        """Begin nothing yet; `where` is the study's storage. Proxies are measured before a net is scored."""
        self.study = study
        self.where = where
        self.nets = nets
        self.objective = objective
        self.note = note
        self.grace = grace
        self.proxies = proxies
        self.name = named()
        self.exhausted = False
        self.seen: dict[tuple[int, str], float] = {}
        """Since when trials are watched that nobody seems to work on."""
        study.sampler = sampler(kind, nets, seed)

    def work(self, goal: int) -> None:
        """Run trials until that many of the study have a result, whoever has run them."""
        told = False
        while True:
            self.gather()
            trials = self.study.get_trials(deepcopy=False)
            now = tally(trials)
            busy = now.running + now.waiting + now.lost
            if now.ended >= goal or (self.exhausted and not busy):
                return
            if (now.all >= goal or self.exhausted) and not now.waiting:
                if not told:
                    self.note(f"waiting for {busy} trial{'s' * (busy != 1)} of other workers")
                    told = True
                time.sleep(PAUSE)
                continue
            told = False
            self.run(goal)

    # ---------------------------------------------------------------- one trial

    def run(self, goal: int) -> None:
        """Choose a net, score it, and say what came of it."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        with storage.quiet():
            trial = self.study.ask()
        with database.beating(self.where, trial._trial_id):
            try:
                values = self.tried(trial, goal)
                state = TrialState.FAIL if values is None else TrialState.COMPLETE
                self.study.tell(trial, values, state, skip_if_finished=True)
            except UpdateFinishedTrialError:  # by who took this worker for lost
                pass
            except KeyboardInterrupt:
                database.hurry(self.where)
                with suppress(Lost, UpdateFinishedTrialError):
                    trial.set_user_attr("passed", "interrupted")
                    self.study.tell(trial, state=TrialState.FAIL)
                raise
        self.report(self.where.get_trial(trial._trial_id), goal)

    def tried(self, trial: Trial, goal: int) -> tuple[float, ...] | None:
        """Return costs and score of a trial; None if it has none, which is noted."""
        from optuna.exceptions import UpdateFinishedTrialError

        try:
            return self.scored(trial, goal)
        except (Lost, UpdateFinishedTrialError):
            raise
        except Passed as why:
            trial.set_user_attr("passed", str(why))
        except Exhausted:
            self.exhausted = True
            trial.set_user_attr("passed", "every net was tried")
        except NetError as error:
            trial.set_user_attr("error", error.diagnostics[0].message)
        except (Exception, SystemExit) as error:
            trial.set_user_attr("error", said(error))
        return None

    def scored(self, trial: Trial, goal: int) -> tuple[float, ...]:
        """Return costs and score of the net that the sampler proposes."""
        trial.set_user_attr("worker", self.name)
        retried = bool(trial.params)
        if not retried and tally(self.before(trial)).all >= goal:
            raise Passed("there are enough")  # several workers began at the same time
        options = self.nets.options
        answers = {
            name: trial.suggest_categorical(name, range(options[name])) for name in trial.relative_params
        }
        # one that began later may have said its net before this one had: then only this one sees both
        others = self.before(trial) if retried else self.study.get_trials(deepcopy=False)
        same = [one.number for one in others if key(one.params) == key(answers) and counts(one)]
        if any(number != trial.number for number in same):
            if max(same) > trial.number:  # which may give up, too: so that they do not meet again
                time.sleep(PAUSE * random())
            raise Passed("another trial has the same net")
        net = self.nets.network(answers)
        if self.proxies:
            trial.set_user_attr("proxies", {name: proxy(net) for name, proxy in self.proxies.items()})
        begin = time.monotonic()
        score = self.objective(net)
        trial.set_user_attr("seconds", round(time.monotonic() - begin, 3))
        return (*self.nets.costs(answers), score)

    def before(self, trial: Trial) -> list[FrozenTrial]:
        """Return the trials that were begun before one."""
        return [one for one in self.study.get_trials(deepcopy=False) if one.number < trial.number]

    def report(self, trial: FrozenTrial, goal: int) -> None:
        """Say what came of a trial, and how many have a result."""
        if trial.state.name != "COMPLETE" and not {"error", "passed"} & {*trial.user_attrs}:
            silent = f"this worker was silent for more than {self.grace} s"
            self.note(f"the net of trial {trial.number} was left to others, as {silent}")
        elif "passed" not in trial.user_attrs:
            ended = tally(self.study.get_trials(deepcopy=False)).ended
            self.note(f"trial {trial.number}, {ended} of {goal}: {described(self.nets, trial)}")

    # ---------------------------------------------------------------- lost workers

    def gather(self) -> None:
        """Let trials be run again whose workers are gone."""
        from optuna.storages import RDBStorage, fail_stale_trials

        with storage.quiet():
            fail_stale_trials(self.study)
        beats = isinstance(self.where, RDBStorage)
        trials = self.study.get_trials(deepcopy=False)
        kinds = kinds_of(trials)
        for one in trials:
            kind, worker = kinds[one.number], one.user_attrs.get("worker", "")
            if kind == "running" and (
                (not beats and gone(worker))
                or (not worker and self.watched(one))  # before its first sign of life
            ):
                self.end(one)
            elif kind == "lost" and self.watched(one):  # so was the one who would have had it run again
                storage.again(self.study, one)

    def watched(self, trial: FrozenTrial) -> bool:
        """Tell whether a trial was as it is for as long as lost workers are waited for."""
        since = self.seen.setdefault((trial.number, trial.state.name), time.monotonic())
        return time.monotonic() - since > self.grace

    def end(self, trial: FrozenTrial) -> None:
        """Let a trial of a lost worker be run again, unless another worker just has."""
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        try:
            if self.where.set_trial_state_values(trial._trial_id, state=TrialState.FAIL):
                storage.again(self.study, trial)
        except UpdateFinishedTrialError:
            pass


def named() -> str:
    """Return what this process is called among workers: machine, space of processes, process, when it began."""
    return ":".join([socket.gethostname(), _processes(), str(os.getpid()), _began(os.getpid())])


def gone(worker: str) -> bool:
    """Tell whether a worker has ended that ran on this machine; False if that cannot be known."""
    machine, _, rest = worker.partition(":")
    processes, _, rest = rest.partition(":")
    number, _, began = rest.partition(":")
    if os.name != "posix" or (machine, processes) != (socket.gethostname(), _processes()):
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return _began(int(number)) != began


def _processes() -> str:
    """Return which processes have numbers of their own, where the system says it: those of a container do."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _began(process: int) -> str:
    """Return when a process began, where the system says it; "" else."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def described(nets: Nets, trial: FrozenTrial) -> str:
    """Return what came of a trial, as a line."""
    taken = ", ".join(f"{name}={option}" for name, option in nets.texts(trial.params).items())
    if trial.state.name != "COMPLETE":
        return f"failed, {trial.user_attrs.get('error', 'without a message')}: {taken}"
    costs = zip(nets.costs(trial.params), nets.titles, strict=True)
    numbers = [f"{trial.values[-1]:.4f}", *(f"{human(cost)} {title}" for cost, title in costs)]
    return f"{', '.join(numbers)}, {trial.user_attrs.get('seconds', 0):.1f} s: {taken}"


def scored(nets: Nets, study: Study) -> list[Scored]:
    """Return the nets of a study that were scored, in the order of their trials."""
    return [
        Scored(
            one.number,
            one.params,
            nets.costs(one.params),
            one.values[-1],
            float(one.user_attrs.get("seconds", 0)),
            one.user_attrs.get("proxies", {}),
        )
        for one in study.get_trials(deepcopy=False)
        if one.state.name == "COMPLETE"
    ]


def best(found: Sequence[Scored]) -> Scored:
    """Return the net with the highest score; among equals the one that costs least, column by column."""
    return min(found, key=lambda one: (-one.score, one.costs, one.number))


def front(found: Sequence[Scored]) -> list[Scored]:
    """Return the nets of which no other is better in a cost or the score, and as good in all, the best first."""

    def beats(a: Scored, b: Scored) -> bool:
        as_good = a.score >= b.score and all(x <= y for x, y in zip(a.costs, b.costs, strict=True))
        same = a.score == b.score and a.costs == b.costs
        return as_good and (not same or a.number < b.number)

    kept = [one for one in found if not any(beats(other, one) for other in found)]
    return sorted(kept, key=lambda one: (-one.score, one.costs))
