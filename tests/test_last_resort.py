"""What the command says where the system refuses something, or netdsl has a fault: one line, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netdsl
from netdsl import cli
from netdsl.cli import zoo

ROOT = Path(netdsl.__file__).parent.parent
SPEC = 'net N:\n    input 3, 8x8\n    # \u00e9t\u00e9 \u4e16\n    conv 3x3,4\n    meta paper="\u00e9"\n'

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a fresh folder with one spec, and give it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.net").write_text(SPEC, encoding="utf-8")
    return tmp_path


def shell(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script of bash, in which `netdsl` is the command."""
    paths = f"{ROOT}{os.pathsep}{ROOT / 'backends'}"
    script = f'netdsl() {{ {sys.executable} -m netdsl "$@"; }}; {script}'
    return subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["cost n.net", "fmt - < n.net", "compile n.net", "zoo --format json"])
@pytest.mark.parametrize(
    ("where", "says"),
    [("> /dev/full", "no space left on device"), (">&-", "bad file descriptor")],
)
def test_nothing_can_be_printed(command: str, where: str, says: str) -> None:
    done = shell(f"netdsl {command} {where}")
    assert done.stderr.decode() == f"error[E590]: cannot write standard output: {says}\n\n1 error\n"
    assert done.returncode == 2


@pytest.mark.parametrize("where", ["> /dev/full", ">&-", "| true"])
def test_what_prints_nothing_needs_no_output(where: str, folder: Path) -> None:
    done = shell(f"netdsl fmt n.net {where}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (0, b"formatted n.net\n")


@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-", "2> >(true)"])
@pytest.mark.parametrize(("command", "status"), [("check none.net", 2), ("fmt n.net", 0), ("check n.net", 0)])
def test_nobody_hears_what_is_wrong(command: str, status: int, where: str, folder: Path) -> None:
    (folder / "bad.net").write_text("net N: oops")
    done = shell(f"netdsl {command} {where}")
    assert (done.returncode, done.stderr) in ((status, b""), (2, b""), (141, b""))
    assert shell(f"netdsl check bad.net {where}").stderr == b""


def test_standard_input_is_closed() -> None:
    for command in ("check", "fmt", "lint"):
        done = shell(f"netdsl {command} - <&-")
        assert done.stderr.startswith(b"error[E501]: cannot read <stdin>: it is closed\n")
        assert done.returncode == 2


def test_all_are_closed(folder: Path) -> None:
    done = shell("netdsl compile n.net -o n.py <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (folder / "n.py").read_text() == netdsl.load("n.net").emit("torch")


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("environment", [ASCII, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_of_ascii(environment: dict[str, str], folder: Path) -> None:
    (folder / "\u00e9.net").write_text(SPEC, encoding="utf-8")
    for command in ("check", "cost", "lint", "fmt --check"):
        done = shell(f"netdsl {command} \u00e9.net", **environment)
        assert done.returncode < 2, done
        assert b"rror" not in done.stderr, done
    # what is a file is the same bytes everywhere
    for command in ("compile n.net", "fmt - < n.net", "fmt --diff n.net"):
        done = shell(f"netdsl {command}", **environment)
        assert done.stdout == shell(f"netdsl {command}").stdout
        assert done.stderr == b""
        assert "\u4e16" in done.stdout.decode("utf-8") or command.startswith("compile")


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (OSError(24, "Too many open files", "a/b"), 2, "error[E590]: a/b: too many open files"),
        (MemoryError(), 2, "error[E590]: there is not enough memory"),
        (
            RecursionError("deep"),
            1,
            "error[E591]: internal error: RecursionError: deep (test_last_resort.py:",
        ),
        (
            KeyError("\x1b[31m\n"),
            1,
            "error[E591]: internal error: KeyError: '\\x1b[31m\\n' (test_last_resort",
        ),
        (
            UnicodeEncodeError("ascii", "x", 0, 1, "no"),
            1,
            "error[E591]: internal error: UnicodeEncodeError: ",
        ),
    ],
)
def test_one_line(
    raised: Exception, status: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def fail(args: object) -> int:
        raise raised

    monkeypatch.setattr(zoo, "run", fail)
    assert cli.main(["zoo"]) == status
    said = capsys.readouterr().err
    assert said.startswith(says)
    assert "Traceback" not in said


def test_development_mode_shows_where() -> None:
    code = "import sys; from netdsl import cli; from netdsl.cli import zoo; zoo.run = 3; cli.main(['zoo'])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for option, shown in (("-Xdev", True), ("-Xutf8", False)):
        done = subprocess.run([sys.executable, option, "-c", code], capture_output=True, env=environment)
        assert (b"Traceback" in done.stderr) is shown


INTERRUPTED = """
import os, runpy, signal, sys
class Finder:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
sys.argv = ["netdsl", "check", "n.net"]
runpy.run_module("netdsl", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["netdsl.cli", "argparse", "netdsl.cli.check", "netdsl.api"])
def test_an_interrupt_while_it_starts(module: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)], capture_output=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_the_installed_command_is_the_same() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'netdsl = "netdsl.__main__:main"' in text
