"""`netdsl search` on several machines: a PostgreSQL server that is started here, and what may go wrong with it."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import optuna
import pytest
from optuna.exceptions import UpdateFinishedTrialError
from searches import RECORD, SMALL

from netdsl import cli
from netdsl.search import database, storage

Captured = pytest.CaptureFixture[str]

PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
INITDB = shutil.which("initdb") or next((str(one / "initdb") for one in PLACES), None)
# a machine that checks what is merged installs it: there it is a fault to go without, unless it cannot be had
NEEDED = "CI" in os.environ and "NETDSL_WITHOUT_POSTGRESQL" not in os.environ
pytestmark = pytest.mark.skipif(
    INITDB is None and not NEEDED, reason="no PostgreSQL: apt-get install postgresql"
)

PASSWORD = "s3cret/@?word"
ESCAPED = "s3cret%2F%40%3Fword"
GRACE = 4
# LOG and FLAG are files that all machines see
OBJECTIVES = """
def logged(net, seconds=0.2):
    record(net)
    time.sleep(seconds)
    return net.cost().macs

def second(net):
    return logged(net, 1)

def once(net):
    "Take long the first time."
    record(net)
    flag = os.environ["FLAG"]
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return net.cost().macs
    with open(flag + ".pid", "w") as stream:
        stream.write(str(os.getpid()))
    while not os.path.exists(flag + ".end"):
        time.sleep(0.05)
    return net.cost().macs

def long(net):
    with open(os.environ["LOG"], "a") as stream:
        stream.write(f"{os.getpid()}\\n")
    time.sleep(600)

def deadly(net):
    if os.path.exists(os.environ["LOG"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return logged(net, 0)

def together(net):
    "Go on when three machines have come so far."
    with open(os.environ["FLAG"] + str(os.getpid()), "w"):
        pass
    folder, name = os.path.split(os.environ["FLAG"])
    while sum(one.startswith(name) for one in os.listdir(folder)) < 3:
        time.sleep(0.05)
    return logged(net)

def stops(net):
    "Stop the server."
    if not os.path.exists(os.environ["FLAG"]):
        with open(os.environ["FLAG"], "w"):
            pass
        os.kill(int(os.environ["SERVER"]), signal.SIGINT)
        time.sleep(1)
    return logged(net)
"""


BEGIN = """\
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell runs in its background ignores it
from netdsl.__main__ import main
if __name__ == "__main__":
    sys.exit(main())
"""
"""The command."""


class Server:
    """A PostgreSQL server of our own, which runs as another user than root: it refuses to be that."""

    def __init__(self) -> None:
        assert INITDB is not None, "PostgreSQL is installed by .ci/run"
        self.bin = Path(os.path.realpath(INITDB)).parent
        self.folder = Path(tempfile.mkdtemp(prefix="netdsl-postgresql-"))  # pytest's own are closed to others
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--locale=C", "-E", "UTF8"]
        command = [str(self.bin / "initdb"), "-D", str(self.folder / "data"), "-U", "someone", *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self.user)
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [f"-cport={self.port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories="]
        command = [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *options, "-cfsync=off"]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self.user)
        wait_for(self.answers)

    def answers(self) -> bool:
        """Tell whether it does."""
        import psycopg

        assert self.process.poll() is None, (self.folder / "log").read_text()
        with suppress(psycopg.OperationalError):
            self.execute("SELECT 1")
            return True
        return False

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends what goes on, SIGQUIT is a crash."""
        self.process.send_signal(how)
        self.process.wait(60)

    def execute(self, statement: str) -> None:
        """Run a statement as whom all belongs to."""
        import psycopg

        place: dict[str, Any] = {"host": "127.0.0.1", "port": self.port, "dbname": "postgres"}
        with psycopg.connect(user="someone", password=PASSWORD, autocommit=True, **place) as connection:
            connection.execute(statement.encode())

    def url(self, name: str, user: str = "someone", password: str = ESCAPED) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"


def wait_for(what: Callable[[], Any], seconds: float = 120) -> Any:
    """Return what something is, as soon as it is anything."""
    begin = time.monotonic()
    while not (value := what()):
        assert time.monotonic() - begin < seconds, "it never came"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Give a server that runs."""
    found = Server()
    yield found
    if found.process.poll() is None:
        found.stop()
    shutil.rmtree(found.folder)


@pytest.fixture
def url(server: Server, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a database in which nothing is."""
    if server.process.poll() is not None:
        server.start()
    name = f"d{time.time_ns()}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    if server.process.poll() is not None:
        server.start()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


class Machine:
    """A folder with a spec and objectives, in which the command is run."""

    def __init__(self, folder: Path, spec: str = "small.net", text: str = SMALL, **environment: str) -> None:
        self.folder, self.spec = folder, spec
        folder.mkdir()
        (folder / spec).parent.mkdir(exist_ok=True)
        (folder / spec).write_text(text)
        (folder / "objectives.py").write_text(RECORD + OBJECTIVES)
        self.log, self.flag = folder.parent / "log", folder.parent / "flag"
        self.environment = {"LOG": str(self.log), "FLAG": str(self.flag), **environment}

    def arguments(self, url: str, objective: str, trials: int, *options: str) -> list[str]:
        """Return the command's."""
        given = ["--objective", f"objectives:{objective}", "--trials", str(trials), "--storage", url]
        return ["search", self.spec, *given, "--grace", str(GRACE), "--format", "json", *options]

    def start(self, url: str, objective: str, trials: int, *options: str) -> subprocess.Popen[str]:
        """Start the command."""
        command = [sys.executable, "-c", BEGIN, *self.arguments(url, objective, trials, *options)]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def scored(self) -> list[str]:
        """Return the nets that objectives were given, as often as they were."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Give one."""
    return Machine(tmp_path / "a")


def ended(process: subprocess.Popen[str], status: int = 0) -> tuple[Any, str]:
    """Return what a command has printed, as JSON if there is any, and its messages."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    assert "Traceback" not in err
    assert "s3cret" not in err
    return json.loads(out) if out else None, err


def trials_of(url: str, name: str = "Small") -> list[Any]:
    """Return all trials of a study."""
    where = storage.opened(url, print)
    try:
        return list(optuna.load_study(storage=where, study_name=name).get_trials())
    finally:
        database.close(where)


def whole(url: str, value: Any, many: int, name: str = "Small") -> None:
    """Check that a study has so many nets, each once, and that nothing is left."""
    failed = [one.user_attrs["error"] for one in trials_of(url, name) if "error" in one.user_attrs]
    assert not failed
    assert value["trials"] == {"scored": many, "failed": 0}
    nets = [frozenset(one["decisions"].items()) for one in value["history"]]
    assert len(nets) == len(set(nets)) == many
    front = [one["trial"] for one in value["front"]]
    assert len(front) == len(set(front))
    states = Counter(one.state.name for one in trials_of(url, name))
    assert states["COMPLETE"] == many
    assert not states["RUNNING"]
    assert not states["WAITING"]


# ---------------------------------------------------------------- workers that are lost


def test_a_killed_workers_trial_is_run_again(url: str, tmp_path: Path) -> None:
    a, b = Machine(tmp_path / "a"), Machine(tmp_path / "b")
    lost = a.start(url, "once", 6)
    process = int(
        wait_for(lambda: a.flag.with_suffix(".pid").exists() and a.flag.with_suffix(".pid").read_text())
    )
    assert process == lost.pid
    other = b.start(url, "once", 6)
    wait_for(lambda: len(b.scored()) == 6)
    time.sleep(1.5 * GRACE)
    assert len(b.scored()) == 6  # it shows signs of life
    lost.kill()
    lost.communicate()
    value, err = ended(other)
    whole(url, value, 6)
    times = Counter(b.scored())
    assert sorted(times.values()) == [1, 1, 1, 1, 1, 2]
    assert times[b.scored()[0]] == 2
    assert "waiting for 1 trial" in err


def test_a_worker_that_stood_still_leaves_its_net_to_others(url: str, tmp_path: Path) -> None:
    a, b = Machine(tmp_path / "a"), Machine(tmp_path / "b")
    still = a.start(url, "once", 4)
    wait_for(lambda: a.flag.with_suffix(".pid").exists())
    still.send_signal(signal.SIGSTOP)
    value, _ = ended(b.start(url, "once", 4))
    a.flag.with_suffix(".end").touch()
    still.send_signal(signal.SIGCONT)
    again, err = ended(still)
    assert f"the net of trial 0 was left to others, as this worker was silent for more than {GRACE} s" in err
    assert again == value
    whole(url, value, 4)


@pytest.mark.parametrize("whom", ["all", "the command"])
def test_interrupted(whom: str, url: str, machine: Machine) -> None:
    process = machine.start(url, "long", 4, "--workers", "2")
    wait_for(lambda: len(machine.scored()) == 2)
    (os.killpg if whom == "all" else os.kill)(process.pid, signal.SIGINT)
    ended(process, 130)
    found = trials_of(url)
    assert [one.state.name for one in found] == ["FAIL", "FAIL"]
    assert [one.user_attrs["passed"] for one in found] == ["interrupted"] * 2
    for number in map(int, machine.scored()):
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_workers_end_with_their_command(url: str, machine: Machine) -> None:
    process = machine.start(url, "long", 4, "--workers", "2")
    wait_for(lambda: len(machine.scored()) == 2)
    process.kill()
    wait_for(lambda: [one.state.name for one in trials_of(url)] == ["FAIL", "FAIL"])
    process.communicate(timeout=60)


def test_a_search_whose_workers_all_died(machine: Machine) -> None:
    value, err = ended(machine.start("sqlite:///x.db", "deadly", 4, "--workers", "2"), 1)
    assert err.count("was ended by signal 9") == 2
    assert value["trials"] == {"scored": 1, "failed": 0}


# ---------------------------------------------------------------- a database that is away


def test_a_database_that_is_restarted_is_waited_for(url: str, server: Server, machine: Machine) -> None:
    process = machine.start(url, "second", 8, "--workers", "2")
    wait_for(lambda: len(machine.scored()) >= 3)
    server.stop()
    time.sleep(GRACE + 2)
    server.start()
    value, err = ended(process)
    assert f"waiting for postgresql://someone@127.0.0.1:{server.port}/" in err
    assert "answers again" in err
    whole(url, value, 8)
    assert len(machine.scored()) == len(set(machine.scored())) == 8  # nobody was taken for lost


def test_nobody_is_lost_who_could_say_nothing_while_the_database_was_away(url: str, server: Server) -> None:
    where: Any = storage.opened(url, lambda text: None, GRACE)
    study = optuna.create_study(storage=where, study_name="s")
    with storage.quiet():
        where.record_heartbeat(study.ask()._trial_id)
    server.stop()
    time.sleep(GRACE + 1)
    waiting = Thread(target=study.get_trials)
    waiting.start()
    time.sleep(0.5)
    server.start()
    waiting.join()
    with storage.quiet():
        optuna.storages.fail_stale_trials(study)
        assert study.get_trials()[0].state.name == "RUNNING"
        time.sleep(GRACE / 2)
        optuna.storages.fail_stale_trials(study)
    assert study.get_trials()[0].state.name == "FAIL"
    database.close(where)


def test_crashes_at_any_moment_lose_nothing(url: str, server: Server) -> None:
    where: Any = storage.opened(url, lambda text: None, GRACE)
    study = optuna.create_study(storage=where, study_name="s")
    over = Event()
    numbers: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not over.is_set():
                with storage.quiet():
                    trial = study.ask()
                with database.beating(where, trial._trial_id), suppress(UpdateFinishedTrialError):
                    trial.set_user_attr("worker", "w")
                    trial.suggest_categorical("x", [1, 2, 3])
                    study.tell(trial, 1.0, skip_if_finished=True)
                numbers.append(trial.number)
        except Exception as error:
            errors.append(error)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        time.sleep(0.7)
        server.stop(signal.SIGQUIT)
        server.start()
    over.set()
    for thread in threads:
        thread.join()
    assert not errors
    complete = [one.number for one in study.get_trials() if one.state.name == "COMPLETE"]
    assert complete == sorted(numbers)
    database.close(where)


def test_a_database_that_stays_away_ends_the_command_and_the_study_goes_on(
    url: str,
    server: Server,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(database, "AWAY", 1)
    monkeypatch.chdir(machine.folder)
    monkeypatch.syspath_prepend(str(machine.folder))
    monkeypatch.delitem(sys.modules, "objectives", raising=False)
    for name, value in {**machine.environment, "SERVER": str(server.process.pid)}.items():
        monkeypatch.setenv(name, value)
    try:
        assert cli.main(machine.arguments(url, "stops", 3)) == 2
        printed = capsys.readouterr()
        assert not printed.out
        assert printed.err.count("error") == 2  # and "1 error"
        assert f"error[E587]: postgresql://someone@127.0.0.1:{server.port}/" in printed.err
        assert "does not answer for " in printed.err
        assert "the same command goes on with it" in printed.err
        assert "s3cret" not in printed.err
        server.process.wait(60)
        server.start()
        assert cli.main(machine.arguments(url, "stops", 3)) == 0
    finally:
        sys.modules.pop("objectives", None)
    whole(url, json.loads(capsys.readouterr().out), 3)
    assert sorted(Counter(machine.scored()).values()) == [1, 1, 2]


# ---------------------------------------------------------------- several machines, several studies


def test_machines_join_a_study_at_the_same_time(url: str, tmp_path: Path) -> None:
    machines = [
        Machine(tmp_path / "a"),
        Machine(tmp_path / "b", "specs/other.net", "# elsewhere\n" + SMALL),
        # signs of life are compared, wherever on earth they are from
        Machine(tmp_path / "c", PGTZ="Asia/Tokyo"),
    ]
    found = [ended(process)[0] for process in [one.start(url, "together", 12) for one in machines]]
    assert found[0] == found[1] == found[2]
    whole(url, found[0], 12)
    assert len(machines[0].scored()) == len(set(machines[0].scored())) == 12
    assert len({one.user_attrs["worker"] for one in trials_of(url) if one.state.name == "COMPLETE"}) == 3
    other = Machine(tmp_path / "d", text=SMALL.replace("conv1: conv 3x3", "conv1: conv 5x5"))
    _, err = ended(other.start(url, "together", 13), 2)
    assert "the study Small of postgresql://someone@127.0.0.1:" in err
    assert "is about something else: other layers, with the same decisions" in err


def test_tables_are_made_by_several_at_the_same_time(url: str) -> None:
    together = Barrier(4)

    def opened(number: int) -> Any:
        together.wait()
        return storage.opened(url, print)

    with storage.quiet(), ThreadPoolExecutor(4) as pool:  # filters of warnings are shared by threads
        found = [*pool.map(opened, range(4))]
    for one in found:
        assert one.get_all_studies() == []
        database.close(one)


def test_studies_of_one_database_do_not_mix(url: str, tmp_path: Path) -> None:
    machines = [Machine(tmp_path / "a"), Machine(tmp_path / "b"), Machine(tmp_path / "c")]
    machines[2] = Machine(
        tmp_path / "d", text=SMALL.replace("Small", "Large").replace("3x3, 5x5", "3x3, 1x1")
    )
    more = [("--study", "one"), ("--study", "two"), ()]
    given = zip(machines, more, (5, 7, 6), strict=True)
    processes = [one.start(url, "logged", many, *options) for one, options, many in given]
    values = [ended(process)[0] for process in processes]
    for value, many, name in zip(values, (5, 7, 6), ("one", "two", "Large"), strict=True):
        assert value["study"] == name
        whole(url, value, many, name)
    assert len(machines[0].scored()) == 18


# ---------------------------------------------------------------- a journal


def test_a_journal_whose_writer_was_killed(machine: Machine) -> None:
    url = "journal:///x.journal"
    first, _ = ended(machine.start(url, "logged", 2))
    code = """\
import time
from optuna.storages.journal import JournalFileSymlinkLock
JournalFileSymlinkLock("x.journal").acquire()
with open("x.journal", "ab") as stream:
    stream.write(b'{"op_code":8,"worker_id":"')
print("held", flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=machine.folder, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    assert os.path.lexists(machine.folder / "x.journal.lock")
    value, err = ended(machine.start(url, "logged", 4))
    waits = [line for line in err.splitlines() if "waiting" in line]
    assert len(waits) == 1
    assert waits[0].startswith(
        "waiting for x.journal.lock, the lock of the journal, which another process holds"
    )
    assert value["history"][:2] == first["history"]
    assert value["trials"] == {"scored": 4, "failed": 0}
    again, err = ended(machine.start(url, "logged", 4))
    assert again == value
    assert not err


# ---------------------------------------------------------------- what cannot be used


def refusal(url: str, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> str:
    """Return the message of a storage that cannot be used, which is one error with help."""
    monkeypatch.chdir(machine.folder)
    monkeypatch.syspath_prepend(str(machine.folder))
    assert cli.main(machine.arguments(url, "logged", 1)) in (1, 2)
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert lines[0].startswith("error[E5")
    assert lines[1].startswith("  = help: ")
    assert [*filter(None, lines[2:])] == ["1 error"]
    assert not printed.out
    assert "Traceback" not in printed.err
    assert "s3cret" not in printed.err
    return lines[0]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({ESCAPED: "s3cret"}, 'password authentication failed for user "someone"'),
        ({"someone": "nobody"}, 'password authentication failed for user "nobody"'),
        ({"/d": "/nosuch"}, "does not exist"),
        ({"127.0.0.1": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"@127.0.0.1:": "@127.0.0.1:x"}, "is no URL"),
        ({ESCAPED: "s3cret/@?word"}, "cannot use postgresql://someone@127.0.0.1:"),
        ({f":{ESCAPED}@": "@", "/d": "/nosuch?password=s3cret&x="}, 'invalid connection option "x"'),
    ],
)
def test_wrong_urls(
    change: dict[str, str],
    what: str,
    url: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    for old, new in change.items():
        assert old in url
        url = url.replace(old, new)
    assert what in refusal(url, machine, monkeypatch, capsys)


def test_no_server(machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://u:{ESCAPED}@127.0.0.1:{free.getsockname()[1]}/d"
        assert "refused" in refusal(url, machine, monkeypatch, capsys)


def test_missing_extra(machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = f"postgresql://u:{ESCAPED}@127.0.0.1:1/d"
    assert "postgresql needs the package psycopg" in refusal(url, machine, monkeypatch, capsys)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:p@h:1/d", "postgresql://u@h:1/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://h/d?user=u&password=p", "postgresql://h/d"),
        ("postgresql://h/d?user=u&password=p@q", "postgresql://...@q"),
        ("postgresql://u:p/q@r?s@h/d", "postgresql://u@h/d"),
        ("postgresql:///d", "postgresql:///d"),
        ("sqlite:///a@b?c.db", "sqlite:///a@b?c.db"),
    ],
)
def test_passwords_are_not_shown(url: str, said: str) -> None:
    assert storage.shown(url) == said
