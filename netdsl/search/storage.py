"""Where a study is kept: in memory, in a journal or SQLite file on one machine, in PostgreSQL for several."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Any, NoReturn

from netdsl.against import said
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FORMS = "sqlite:///FILE, journal:///FILE or postgresql://USER@HOST/DATABASE"
GRACE = 60
"""Seconds without a sign of life after which another worker takes over a trial."""
RETRIES = 3
"""How often a trial is begun again whose worker was lost."""
PATIENCE = 2.0
"""Seconds of waiting for the lock of a journal before it is said."""
JOURNAL = "journal:///"


def optuna() -> Any:
    """Return the package, which says nothing of its own; raise NetError if it is not installed."""
    try:
        import optuna
    except ImportError:
        help = 'pip install "netdsl[search]"'
        raise NetError([Diagnostic("E509", "searching needs optuna", help=help)]) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def opened(url: str | None, note: Callable[[str], None], grace: int = GRACE) -> BaseStorage:
    """Return what a URL names, made if it is not there; None is memory.

    Args:
        url: One of `FORMS`.
        note: Says what it waits for.
        grace: Seconds after which a worker that is silent is taken for lost; from 4.

    Raises:
        NetError: The URL has another form, a package is missing, or nothing can be opened there.
    """
    library = optuna()
    if url is None:
        memory: BaseStorage = library.storages.InMemoryStorage()
        return memory
    scheme = url.partition("://")[0].partition("+")[0] if "://" in url else ""
    if scheme not in ("sqlite", "journal", "postgresql"):
        forms = f"a storage is {FORMS}"
        raise NetError([Diagnostic("E587", f"`{url.rpartition('@')[2]}` is no storage", help=forms)])
    if scheme == "journal":
        return _journal(url, note, grace)
    try:
        return _database(url, scheme, grace)
    except ImportError as error:
        extra = "search-postgresql" if scheme == "postgresql" else "search"
        what = f"{scheme} needs the package {error.name}"
        raise NetError([Diagnostic("E509", what, help=f'pip install "netdsl[{extra}]"')]) from None
    except Exception as error:  # of the driver, of SQLAlchemy, of Optuna that finds tables of another release
        refused(shown(url), error)


def refused(where: str, error: BaseException) -> NoReturn:
    """Raise the NetError of a storage that cannot be used."""
    reason = getattr(error, "orig", None) or error
    raise NetError([Diagnostic("E587", f"cannot use {where}: {said(reason)}")]) from None


def shown(url: str) -> str:
    """Return a URL without its password."""
    head, at, rest = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}@{rest}" if at else url


def _database(url: str, scheme: str, grace: int) -> BaseStorage:
    """Return a database whose workers show signs of life."""
    from optuna.storages import RDBStorage

    if scheme == "postgresql":
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        engine: dict[str, Any] = {"pool_pre_ping": True}  # a server that was restarted is met again
    else:
        engine = {"connect_args": {"timeout": 60}}
    with quiet():
        return RDBStorage(
            url,
            engine_kwargs=engine,
            heartbeat_interval=max(1, grace // 4),
            grace_period=grace,
            heartbeat_stale_trial_callback=again,
        )


def again(study: Study, trial: FrozenTrial) -> None:
    """Let a trial whose worker was lost be run again, with the same net, by whoever is next."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    if trial.params:
        trial = copy(trial)
        trial.user_attrs = {}  # which say whose it was
        with quiet():
            RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)(study, trial)


@contextmanager
def quiet() -> Iterator[None]:
    """Let no part of Optuna warn of being experimental."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _journal(url: str, note: Callable[[str], None], grace: int) -> BaseStorage:
    """Return a journal file, which is for the workers of one machine."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    if not url.startswith(JOURNAL) or not url.removeprefix(JOURNAL):
        raise NetError([Diagnostic("E587", f"`{url}` names no file", help=f"a storage is {FORMS}")])
    path = url.removeprefix(JOURNAL)
    after = max(3, min(30, grace // 2))

    class Lock(JournalFileSymlinkLock):
        """A lock that says what it waits for."""

        def acquire(self) -> bool:
            begin, pause = time.monotonic(), 0.001
            while time.monotonic() - begin < PATIENCE:
                try:
                    os.symlink(path, self._lock_file)
                    return True
                except FileExistsError:
                    time.sleep(pause)
                    pause = min(2 * pause, 0.1)
            held = f"{path}.lock, the lock of the journal, which another process holds or has left behind"
            note(f"waiting for {held}; it is taken away if nothing happens for {after} s")
            return super().acquire()

    try:
        return JournalStorage(JournalFileBackend(path, Lock(path, after)))
    except Exception as error:  # no such folder, no permission, a file that is no journal
        refused(url, error)
