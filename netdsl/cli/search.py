"""netdsl search: which net of a space is best, within its budgets."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netdsl import reading
from netdsl.cli import common
from netdsl.cli.common import inputs, look, misuse, note, positive, print_json, settings, spec_arguments
from netdsl.cli.pictures import check_output, write_picture
from netdsl.diagnostics import NetError, internal

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from netdsl.elaborate.build import Recipe
    from netdsl.search.nets import Nets
    from netdsl.search.study import Scored

HELP = "search a space for nets that cost little and score much"
EXAMPLES = (
    "netdsl search digits_search --objective digits --trials 40 -o best.net",
    "netdsl search a.net --objective my:score --trials 9 --storage sqlite:///a.db",
)
SAMPLERS = ("surrogate", "tpe", "nsga", "uniform")
GRACE = 60
LAST = 30
"""Seconds for workers that were interrupted."""


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub)
    help = "what scores a net, more being better: digits, or a function of yours, whose module is run"
    sub.add_argument("--objective", required=True, metavar="MODULE:FUNCTION", help=help)
    help = "how many nets the study shall have scored, with those that it has already"
    sub.add_argument("--trials", required=True, type=positive, metavar="N", help=help)
    help = "where the study is kept, to go on or for more workers: sqlite:///FILE, journal:///FILE, postgresql://..."
    sub.add_argument("--storage", metavar="URL", help=help)
    sub.add_argument("--study", metavar="NAME", help="the study's name there (that of the net)")
    help = (
        "processes that work on it here; those of other machines are started there, with the same storage (1)"
    )
    sub.add_argument("--workers", type=positive, default=1, metavar="K", help=help)
    sub.add_argument(
        "--sampler", choices=SAMPLERS, default="surrogate", help="what proposes nets (surrogate)"
    )
    help = "what the front is of, beside the score (macs,params)"
    sub.add_argument("--front", default="macs,params,score", metavar="NAME,...", help=help)
    sub.add_argument("--seed", type=int, default=0, metavar="S", help="of the sampler (0)")
    help = f"take a worker for lost that is silent for so long; its net is then scored by another ({GRACE})"
    sub.add_argument("--grace", type=positive, default=GRACE, metavar="SECONDS", help=help)
    sub.add_argument(
        "-o", "--output", metavar="FILE.net", help="write the best net, as a variant that decides"
    )
    help = "with -o: write its module beside it, for a backend such as torch"
    sub.add_argument("--emit", metavar="BACKEND", help=help)
    help = "print how well numbers of the untrained nets rank them, beside their costs: grad_norm, synflow"
    sub.add_argument("--proxy", metavar="NAME,...", help=help)
    help = (
        "draw scores against the first cost, areas being the second, and the best net: a name in .svg or .png"
    )
    sub.add_argument("--plot", metavar="FILE", help=help)
    sub.add_argument("--format", choices=("text", "json"), default="text")


class Job:
    """What a worker has to know, in a form that goes to another process."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Take it from the arguments; standard input is read now."""
        self.args = argparse.Namespace(**{k: v for k, v in vars(args).items() if k not in ("parser", "run")})
        self.text = common.standard_input() if args.spec.partition(":")[0] == "-" else None
        self.color, self.quiet = common.output.color, common.output.quiet

    def recipe(self) -> Recipe:
        """Return the net whose decisions are open."""
        from netdsl import api

        args = self.args
        if self.text is not None:
            file, name = api.read_text(self.text), args.spec.partition(":")[2]
        else:
            file, name = common.files(args.spec, args)
        return api.recipe(file, name, settings(args), inputs(args), args.max_nodes)

    def nets(self) -> Nets:
        """Return the space."""
        from netdsl.search.nets import Nets

        front = [name.strip() for name in self.args.front.split(",")]
        return Nets(self.recipe(), [name for name in dict.fromkeys(front) if name != "score"])

    @contextmanager
    def study(self, nets: Nets) -> Iterator[tuple[Any, Any]]:
        """Give the study, and its storage."""
        from netdsl.search import database, storage, study

        where = storage.opened(self.args.storage, note, self.args.grace)
        try:
            name = self.args.study or nets.recipe.net.name
            yield study.opened(nets, self.args.objective, where, name, self.args.storage or ""), where
        finally:
            database.close(where)

    def work(self, nets: Nets, study: Any, where: Any) -> None:
        """Score nets until there are enough."""
        from netdsl.search import objective, proxies
        from netdsl.search.study import Worker

        args = self.args
        score = objective.find(args.objective)
        asked = proxies.find(args.proxy.split(",")) if args.proxy else {}
        worker = Worker(study, where, nets, score, args.sampler, args.seed, note, args.grace, asked)
        worker.work(args.trials)


def run(args: argparse.Namespace) -> int:
    """Search, and print what was found."""
    from netdsl.search import report, storage
    from netdsl.search.study import best, scored, tally

    storage.optuna()
    if args.grace < 4:
        misuse("E587", f"--grace is at least 4 seconds, got {args.grace}")
    suffix = _check_outputs(args)
    job = Job(args)
    nets = job.nets()
    for file in filter(None, (args.output, args.plot)):
        if any(
            os.path.exists(read) and os.path.realpath(read) == os.path.realpath(file) for read in nets.files
        ):
            misuse("E510", f"{file} is read for it, and would be lost", "give another file")
    if args.workers > 1 and args.storage is None:
        misuse("E587", "several workers share a study by a storage", "--storage sqlite:///study.db")
    codes = [0]
    with job.study(nets) as (study, where):
        if args.workers == 1:
            job.work(nets, study, where)
        else:
            codes = _share(job)
        if all(code > 0 for code in codes):  # they have said why
            return max(codes)
        found = scored(nets, study)
        counted = tally(study.get_trials(deepcopy=False))
    if not found:
        misuse("E589", f"none of {counted.failed} nets was scored", "the objective's messages are above")
    if args.format == "json":
        print_json(report.as_object(nets, found, counted, study.study_name, args.objective))
    else:
        print(report.render_text(nets, found, counted, look()))
    if args.output:
        _write(nets, best(found), args)
    if args.plot:
        picture = report.picture(nets, found)
        write_picture(args.plot, suffix, {".svg": lambda: str(picture)}, [nets.network(best(found).answers)])
    if any(codes) and counted.ended < args.trials:
        note("the study goes on where it is with the same line")
        return 1
    return 0


def _check_outputs(args: argparse.Namespace) -> str:
    """Refuse what cannot be written, before anything is scored; return the form of the picture."""
    from netdsl import backend

    if args.emit and not args.output:
        misuse("E510", "--emit writes the module beside the spec of the best net", "say where: -o best.net")
    if args.output:
        if not args.output.endswith(".net"):
            misuse("E510", f"{args.output}: the best net is a spec", "give a name in .net")
        if args.input:
            misuse("E510", "-o writes no net with another --input", "write the input into the spec")
        if args.path:
            misuse("E510", "-o writes no net with a --path", "put the spec beside what it imports")
        if args.emit:
            backend.find(args.emit)
    for file in filter(None, (args.output, args.plot)):
        if not Path(file).absolute().parent.is_dir():
            misuse("E510", f"cannot write {file}: there is no such folder")
    return check_output(args.plot, (".svg", ".png")) if args.plot else ""


def _write(nets: Nets, best: Scored, args: argparse.Namespace) -> None:
    """Write the best net, and its module if that is asked for."""
    from netdsl.search.written import written

    file = Path(args.output)
    text, made = written(nets, best.answers, file)
    texts = {file: text}
    if args.emit:
        texts[file.with_suffix(".py")] = made.emit(args.emit)
    try:
        common.write_all(texts, nets.files)
    except OSError as error:
        misuse("E510", f"cannot write {file}: {reading.reason(error)}")
    note(f"wrote {', '.join(map(str, texts))}: {made.name}, trial {best.number}")


def _share(job: Job) -> list[int]:
    """Have several processes work on the study, wait for them, and return their exit statuses."""
    from multiprocessing import get_context

    from netdsl.search import objective

    objective.find(job.args.objective)  # so that what is wrong is said once
    context = get_context("spawn")
    workers = [context.Process(target=_worker, args=(job,), daemon=True) for _ in range(job.args.workers)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        _interrupt(workers)
        raise
    for worker in workers:
        if worker.exitcode:
            signal = f"was ended by signal {-worker.exitcode}" if worker.exitcode < 0 else "has failed"
            note(f"worker {worker.pid} {signal}")
    return [worker.exitcode or 0 for worker in workers]


def _interrupt(workers: Sequence[BaseProcess]) -> None:
    """Let workers give up their trials, unless they take too long."""
    import signal
    from contextlib import suppress

    for worker in workers:
        if worker.pid is not None and worker.is_alive():
            with suppress(ProcessLookupError):  # those of a terminal are interrupted with this process
                os.kill(worker.pid, signal.SIGINT)
    for worker in workers:
        if worker.pid is not None:
            worker.join(LAST)


def _worker(job: Job) -> None:
    """Be one of several processes."""
    import signal
    from threading import Thread

    signal.signal(signal.SIGINT, _interrupted)
    if os.name == "posix":
        Thread(target=_follow, daemon=True).start()
    share = max(1, (os.cpu_count() or 1) // job.args.workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(share))  # before torch is imported, which reads it then
    common.output.choose(job.color, job.quiet)
    try:
        nets = job.nets()
        with job.study(nets) as (study, where):
            job.work(nets, study, where)
    except NetError as error:
        sys.exit(common.report(error.diagnostics))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sys.exit(common.report([internal(error)]))


def _interrupted(number: int, frame: object) -> None:
    """End what a worker does, once: a terminal interrupts it, and so does the command that has begun it."""
    import signal

    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _follow() -> None:
    """Interrupt this worker once the command is gone that has begun it."""
    import signal
    from multiprocessing import parent_process
    from threading import main_thread

    command, main = parent_process(), main_thread().ident
    if command is not None and main is not None:
        command.join()
        signal.pthread_kill(main, signal.SIGINT)  # which ends a sleep, too
