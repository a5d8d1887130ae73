"""A database that keeps a study for several machines, and may be away for a while, as when it is restarted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from netdsl.against import said
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

AWAY = 600.0
"""Seconds for which a database is waited for that does not answer."""
PATIENCE = 2.0
"""Seconds of waiting for something before it is said."""
RACES = 5
"""How often tables are made that another worker makes at the same time."""
# of libpq, unless the URL says otherwise: a host that is silent is found out in half a minute, not in two hours
LIBPQ = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class Lost(NetError):
    """A database was away for too long."""


class Line:
    """What is known about the way to a database."""

    def __init__(self, where: str, note: Callable[[str], None]) -> None:
        """Begin with a database that answers."""
        self.where = where
        self.note = note
        self.patience = AWAY
        self.broken = self.told = False
        self.since = time.monotonic()
        """When it last began to answer."""

    def works(self) -> None:
        """Note that it has answered."""
        if self.broken:
            self.broken, self.since = False, time.monotonic()
            if self.told:
                self.told = False
                self.note(f"{self.where} answers again")

    def wait(self, waited: float, error: BaseException) -> None:
        """Wait a moment, after having waited for some seconds; raise Lost if that is enough."""
        if waited >= self.patience:
            what = f"{self.where} does not answer for {waited:.0f} s: {said(error)}"
            help = "the study is as it was; the same command goes on with it"
            raise Lost([Diagnostic("E587", what, help=help)])
        if waited >= PATIENCE and not self.told:
            self.told = True
            self.note(f"waiting for {self.where}, which does not answer: {said(error)}")
        time.sleep(min(1, 0.05 + waited / 4))


def opened(url: Any, where: str, note: Callable[[str], None], grace: int, again: Callable[..., None]) -> Any:
    """Return Optuna's storage of a database, whose workers show signs of life.

    What is asked of it is asked again if it does not answer, which leaves at most a trial that nobody works on:
    each change is one transaction.

    Args:
        url: SQLAlchemy's, of SQLite or PostgreSQL.
        where: The same for people, without a password.
        note: Says what it waits for.
        grace: Seconds after which a trial is taken over whose worker is silent.
        again: What lets a trial be run again.
    """
    from optuna.exceptions import StorageInternalError
    from optuna.storages import BaseStorage, RDBStorage
    from sqlalchemy import event
    from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

    postgresql = url.get_backend_name() == "postgresql"
    # a server that was restarted is met again; SQLite waits for who writes
    engine: Any = {"pool_pre_ping": True} if postgresql else {"connect_args": {"timeout": 60}}

    class Database(RDBStorage):
        """A database that is waited for."""

        def __init__(self, line: Line) -> None:
            self.line = line
            try:
                super().__init__(
                    url.render_as_string(hide_password=False),
                    engine_kwargs=engine,
                    heartbeat_interval=max(1, grace // 4),
                    grace_period=grace,
                    heartbeat_stale_trial_callback=again,
                )
            except BaseException:
                close(self)
                raise
            if postgresql:  # signs of life are compared as local times
                event.listen(self.engine, "connect", _in_utc)
                self.engine.dispose()

        def _get_stale_trial_ids(self, study_id: int) -> list[int]:
            found: list[int] = super()._get_stale_trial_ids(study_id)
            # what was missed while the database was away is shown again first
            fresh = self.line.broken or time.monotonic() - self.line.since < grace / 2
            return [] if fresh else found

        def beat(self, trial: int) -> None:
            """Show a sign of life once; the next one is soon."""
            try:
                RDBStorage.record_heartbeat(self, trial)
                self.line.works()
            except (StorageInternalError, SQLAlchemyError):
                self.line.broken = True

    def asked(call: Callable[..., Any]) -> Any:
        """Return a method that asks until there is an answer."""

        @wraps(call)
        def asking(self: Database, *args: Any, **kwargs: Any) -> Any:
            begin = time.monotonic()
            while True:
                try:
                    answer = call(self, *args, **kwargs)
                except (StorageInternalError, SQLAlchemyError) as error:  # the latter from rolling back
                    if not (reason := _passing(error)):
                        raise
                    self.line.broken = True
                    with suppress(SQLAlchemyError):
                        RDBStorage.remove_session(self)
                    self.line.wait(time.monotonic() - begin, reason)
                else:
                    self.line.works()
                    return answer

        return asking

    public = [name for name, one in vars(BaseStorage).items() if callable(one) and name[0] != "_"]
    inner = ["_create_new_trial", "_set_trial_param", "_get_trials", "_get_stale_trial_ids"]  # Optuna's cache
    for name in (*public, *inner, "record_heartbeat"):
        setattr(Database, name, asked(getattr(Database, name)))

    line = Line(where, note)
    for _ in range(RACES - 1):
        try:
            return Database(line)
        except Exception as error:
            if not isinstance(error, (IntegrityError, ProgrammingError)) and "already exists" not in str(
                error
            ):
                raise
            time.sleep(0.2)
    return Database(line)


def _passing(error: BaseException) -> BaseException | None:
    """Return the driver's error of a database that does not answer, and may later; None if it is another one."""
    from sqlalchemy.exc import (
        DBAPIError,
        InterfaceError,
        OperationalError,
        PendingRollbackError,
        SQLAlchemyError,
    )

    cause = error if isinstance(error, SQLAlchemyError) else error.__cause__
    if isinstance(cause, (OperationalError, InterfaceError)):
        return cause.orig
    if isinstance(cause, DBAPIError) and cause.connection_invalidated:
        return cause.orig
    return (
        cause if isinstance(cause, PendingRollbackError) else None
    )  # of a connection lost within a transaction


def _in_utc(connection: Any, record: Any) -> None:
    """Let a new connection to PostgreSQL have times that all machines agree on, in summer as well."""
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def hurry(where: BaseStorage) -> None:
    """Wait no longer for a database that does not answer."""
    from optuna.storages import RDBStorage

    if isinstance(where, RDBStorage):
        database: Any = where
        database.line.patience = 0.0


def close(where: BaseStorage) -> None:
    """Close the connections to a database."""
    from optuna.storages import RDBStorage

    if isinstance(where, RDBStorage) and "engine" in vars(where):  # if it came so far
        where.engine.dispose()


@contextmanager
def beating(where: BaseStorage, trial: int) -> Iterator[None]:
    """Show signs of life of a trial, where a storage notes them; the first one is noted before anything else."""
    from optuna.storages import RDBStorage

    if not isinstance(where, RDBStorage):
        yield
        return
    database: Any = where
    stop = Event()

    def beats() -> None:
        while not stop.wait(database.heartbeat_interval):
            database.beat(trial)
        database.remove_session()

    database.record_heartbeat(trial)
    thread = Thread(target=beats, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(1)
