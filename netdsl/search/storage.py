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
from netdsl.search import database
from netdsl.search.database import PATIENCE

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FORMS = "sqlite:///FILE, journal:///FILE or postgresql://USER@HOST/DATABASE"
ESCAPES = "`@` is %40, `/` is %2F"
GRACE = 60
"""Seconds without a sign of life after which another worker takes over a trial."""
RETRIES = 3
"""How often a trial is begun again whose worker was lost."""
JOURNAL = "journal:///"
RECORD = b'{"op_code":'
"""How a line of a journal begins."""


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
    if scheme not in ("sqlite", "journal", "postgresql", "postgres"):
        forms = f"a storage is {FORMS}"
        raise NetError(
            [Diagnostic("E587", f"`{url.rpartition('@')[2].partition('?')[0]}` is no storage", help=forms)]
        )
    if scheme == "journal":
        return _journal(url, note, grace)
    return _database(url, scheme, note, grace)


def refused(where: str, error: BaseException) -> NoReturn:
    """Raise the NetError of a storage that cannot be used."""
    reason = getattr(error, "orig", None) or error
    help = ""
    if where.startswith("postgres"):
        form = "postgresql://USER@HOST:PORT/DATABASE"
        help = (
            f"{form}, made by createdb; the password is in ~/.pgpass, PGPASSWORD or USER:PASSWORD ({ESCAPES})"
        )
    raise NetError([Diagnostic("E587", f"cannot use {where}: {said(reason)}", help=help)]) from None


def shown(url: str) -> str:
    """Return a URL without its password."""
    scheme, slashes, rest = url.partition("://")
    if scheme in ("sqlite", "journal"):
        return url
    head, at, place = rest.rpartition("@")
    user = head.partition(":")[0]
    if (
        not user.replace("-", "").replace(".", "").isalnum()
    ):  # there are more of `@`, `/` and `?` than should be
        user = "..."
    return f"{scheme}{slashes}{user}@{place.partition('?')[0]}" if at else url.partition("?")[0]


def _database(url: str, scheme: str, note: Callable[[str], None], grace: int) -> BaseStorage:
    """Return a database, of one machine or several."""
    from sqlalchemy.engine import make_url

    try:
        address = make_url(url)
    except Exception:  # ArgumentError, ValueError of a port: they would say what may be the password
        help = f"a storage is {FORMS}; in a password, {ESCAPES}"
        raise NetError([Diagnostic("E587", f"`{shown(url)}` is no URL", help=help)]) from None
    if scheme != "sqlite":
        address = address.set(drivername="postgresql+psycopg", query={**database.LIBPQ, **address.query})
    try:
        with quiet():
            found: BaseStorage = database.opened(address, shown(url), note, grace, again)
    except ImportError as error:  # of Optuna, from the one that says which
        extra = "search" if scheme == "sqlite" else "search-postgresql"
        package = getattr(error.__cause__, "name", None) or error.name or "psycopg"
        help = f'pip install "netdsl[{extra}]"'
        raise NetError([Diagnostic("E509", f"{scheme} needs the package {package}", help=help)]) from None
    except Exception as error:  # of the driver, of SQLAlchemy, of Optuna that finds tables of another release
        refused(shown(url), getattr(error.__cause__, "orig", None) or error)
    return found


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
    """Let no part of Optuna warn of being experimental, or of signs of life that it does not see."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")  # we have our own
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
        """A lock that says what it waits for, and under which the journal ends with a whole line."""

        def acquire(self) -> bool:
            found = self.waited()
            try:
                mended(path)
            except BaseException:
                self.release()
                raise
            return found

        def waited(self) -> bool:
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


def mended(path: str) -> None:
    """Cut off a line of a journal that a process was writing when it was killed: what follows would be lost."""
    with open(path, "rb+") as stream:
        end = stream.seek(0, os.SEEK_END)
        at = end
        while at:
            start = max(0, at - 4096)
            stream.seek(start)
            newline = stream.read(at - start).rfind(b"\n")
            at = start if newline < 0 else start + newline + 1
            if newline >= 0:
                break
        stream.seek(at)
        if stream.read(len(RECORD)).startswith(RECORD[: end - at]) and at < end:  # and no file of somebody's
            stream.truncate(at)
