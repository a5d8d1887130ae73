"""The command: what it prints, what it writes, and its exit status."""

import argparse
import gc
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from threading import Timer
from typing import Any
from weakref import ref

import jsonschema
import pytest
import referencing

import netdsl
from netdsl import api, cli
from netdsl.cli import common, cost, zoo
from netdsl.cost import view
from netdsl.cost.table import GROUPINGS, human
from netdsl.elaborate.functions import FUNCTIONS
from netdsl.ir.types import DTYPES
from netdsl.network import Network
from netdsl.ops import catalogue

ROOT = Path(netdsl.__file__).parent.parent
SPEC = "net N(c = 4):\n    input 3, 8x8\n    conv 3x3, c\n"
TWO = "net A:\n    input 3, 8x8\n    relu\nnet B:\n    input 3, 8x8\n    fc 10\n"
needs_backend = pytest.mark.skipif(
    "torch" not in entry_points(group="netdsl.backends").names, reason="no backend is installed"
)

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a fresh folder, and give it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*args: str, stdin: bytes = b"", **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}"}
    command = [sys.executable, "-m", "netdsl", *args]
    return subprocess.run(command, input=stdin, capture_output=True, env=environment, **options)


def schema(name: str, value: Any) -> None:
    """Validate against a schema of docs/schema."""
    files = (ROOT / "docs" / "schema").glob("*.json")
    known = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}
    resources = [(key, referencing.Resource.from_contents(contents)) for key, contents in known.items()]
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(resources)
    jsonschema.Draft202012Validator.check_schema(known[name])
    jsonschema.Draft202012Validator(known[name], registry=registry).validate(value)


# ---------------------------------------------------------------- the whole


def test_version(capsys: Captured) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"netdsl {netdsl.__version__}\n"


@pytest.mark.parametrize(
    ("args", "said", "help"),
    [
        ("", "netdsl: the following arguments are required: COMMAND", "`netdsl --help` says what it takes"),
        ("nothing", "netdsl: COMMAND cannot be `nothing`", "it takes compile, check, lint, "),
        ("costs", "netdsl: COMMAND cannot be `costs`", "did you mean `cost`?"),
        (
            "cost",
            "netdsl cost: the following arguments are required: SPEC",
            "for example netdsl cost resnet50 ",
        ),
        (
            "fit lenet",
            "arguments are required: --vary, --target",
            "for example netdsl fit mobilenet_v2 --vary",
        ),
        (
            "lenet",
            "netdsl: COMMAND cannot be `lenet`",
            "a command stands before it, such as netdsl cost lenet",
        ),
        (
            "x.net",
            "netdsl: COMMAND cannot be `x.net`",
            "a command stands before it, such as netdsl cost x.net",
        ),
        ("--verison", "netdsl: it takes no `--verison`", "did you mean `--version`?"),
        ("--colour=never", "netdsl: it takes no `--colour=never`", "did you mean `--color`?"),
        ("--color never", "netdsl: the following arguments are required: COMMAND", "`netdsl --help` says"),
        ("check lenet --wtach resnet18", "netdsl check: it takes no `--wtach`", "did you mean `--watch`?"),
        ("cost lenet --by stages", "netdsl cost: --by cannot be `stages`", "did you mean `stage`?"),
        (
            "cost lenet --by colour",
            "netdsl cost: --by cannot be `colour`",
            "it takes layer, block, stage, op",
        ),
        ("cost lenet --dtype float31", "netdsl cost: --dtype cannot be `float31`", "did you mean `float32`?"),
        (
            "cost lenet --train --optimizer lamb",
            "--optimizer cannot be `lamb`",
            "it takes sgd, momentum, adam",
        ),
        ("cost lenet --batch 0", "netdsl cost: --batch: must be a whole number from 1, got '0'", ""),
        ("cost lenet --batch -1", "netdsl cost: --batch: ", ""),
        ("cost lenet --batch " + "9" * 30, "netdsl cost: --batch: must be a whole number from 1", ""),
        ("cost lenet --memory 1XB", "netdsl cost: --memory: must be a number of bytes, such as 24GB", ""),
        ("cost lenet --btach 8", "netdsl cost: it takes no `--btach`", "did you mean `--batch`?"),
        ("cost lenet --optimiser=adam", "it takes no `--optimiser=adam`", "did you mean `--optimizer`?"),
        (
            "fit lenet resnet18 --vary classes --target params=1M",
            "it takes no `resnet18`",
            "`netdsl fit --help`",
        ),
        ("explain lenet conv1 flops", "netdsl explain: COUNT cannot be `flops`", "FLOPs are `macs` here"),
        ("explain lenet conv1 mac", "netdsl explain: COUNT cannot be `mac`", "did you mean `macs`?"),
        ("completion ksh", "netdsl completion: shell cannot be `ksh`", "did you mean `zsh`?"),
    ],
)
def test_wrong_arguments(args: str, said: str, help: str, capsys: Captured) -> None:
    """They are said in a line, with what was meant or where to look."""
    assert cli.main(args.split()) == 2
    message, told, *rest = capsys.readouterr().err.splitlines()
    assert message.startswith("error[E500]: netdsl")
    assert said in message
    assert told.startswith(f"  = help: {help}")
    assert rest == ["", "1 error"]


def test_specs_that_are_not_there(folder: Path, capsys: Captured) -> None:
    """What is said names the file that may have been meant, or what the word is instead."""
    (folder / "nets").mkdir()
    for name in ("a.net", "nets/b.net"):
        (folder / name).write_text(SPEC, encoding="utf-8")
    (folder / "model.py").write_text("import torch\n", encoding="utf-8")
    for args, message, help in (
        ("check A.net", "there is no file A.net", "did you mean `a.net`?"),
        ("check a", "there is no net `a` in the zoo", "did you mean `a.net`?"),
        ("check nets/b", "there is no file nets/b", "did you mean `nets/b.net`?"),
        ("cost nets/B.net", "there is no file nets/B.net", "did you mean `nets/b.net`?"),
        ("compile nets", "nets is a folder", "a spec is a file in it, such as nets/b.net"),
        ("cost model.py", "model.py is no spec", "the name of one ends in .net"),
        ("fmt a", "there is no file a", "did you mean `a.net`?"),
        ("fmt lenet", "there is no file lenet", "it takes files, and none that is packaged"),
        ("cost a.net --device H100", "there is no device `H100`", "did you mean `h100`?"),
        ("cost a.net --columns FLOPs", "columns: there is no column `FLOPs`", "FLOPs are `macs` here"),
        ("cost a.net --input 8", "input x has 3 sizes, --input gives 1", "for example --input 3x8x8"),
    ):
        assert cli.main(args.split()) == 2, args
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].endswith(f"]: {message}")
        assert any(line.strip().startswith(f"= help: {help}") for line in lines), lines


def test_specs_stand_between_options(folder: Path, capsys: Captured) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.net").write_text(SPEC.replace("N(", f"{name.upper()}("), encoding="utf-8")
    assert cli.main(["check", "a.net", "--path", ".", "b.net"]) == 0
    said = [line.partition(": ")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["a.net:a", "b.net:b"]
    assert cli.main(["diff", "a.net", "--full", "b.net"]) == 0
    assert capsys.readouterr().out.startswith("a (a.net) -> b (b.net)")
    assert cli.main(["compare", ".", "--format", "csv", "lenet"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == ["a", "b", "lenet"]


def test_no_module_replaces_a_spec(folder: Path, capsys: Captured) -> None:
    (folder / "a.net").write_text(SPEC, encoding="utf-8")
    (folder / "b.net").write_text(SPEC, encoding="utf-8")
    assert cli.main(["compile", "a.net", "-o", "b.net"]) == 2
    assert "b.net is a spec, which no module replaces" in capsys.readouterr().err
    assert (folder / "b.net").read_text(encoding="utf-8") == SPEC


def test_lists_are_those_of_the_library() -> None:
    assert tuple(DTYPES) == cost.DTYPES  # written twice, since the command starts without the library
    assert GROUPINGS == cost.GROUPINGS


def test_start_imports_little() -> None:
    code = "import sys, netdsl.cli; netdsl.cli.parser(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"networkx", "lark", "json", "netdsl.network", "netdsl.codes", "shtab"} & set(
        done.stdout.split()
    )


def test_pipe_that_closes() -> None:
    script = f"{sys.executable} -m netdsl zoo --format json | head -n 1; echo ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[0] == "{"
    assert done.stderr == ""


def test_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(args: object) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(zoo, "run", broken)
    monkeypatch.setattr(os, "dup2", lambda *fds: None)
    assert cli.main(["zoo"]) == 141


def test_interrupt(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    def interrupted(args: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(zoo, "run", interrupted)
    assert cli.main(["zoo"]) == 130
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------- specs


def test_standard_input(capsys: Captured) -> None:
    done = run("check", "-", stdin=SPEC.encode())
    assert (done.returncode, done.stdout) == (0, b"n: 2 ops, 112 params, 6,912 MACs, output 4x8x8\n")
    assert run("cost", "--", "-:b", stdin=TWO.encode()).stderr.startswith(
        b"error[E301]: fc works on the last axis"
    )
    done = run("check", "-", stdin=TWO.encode())
    assert done.returncode == 1
    assert done.stdout == b"a: 2 ops, 0 params, 0 MACs, output 3x8x8\n"
    assert b"--> <stdin>:6:5" in done.stderr
    assert done.stderr.endswith(b"\n1 error\n")
    done = run("check", "-", stdin=b"net N:\n    # \xff\n")
    assert (done.returncode, done.stderr) == (
        2,
        b"error[E501]: cannot read <stdin>: it is not UTF-8 text: byte 13 is 0xff\n\n1 error\n",
    )


@pytest.mark.parametrize(
    ("args", "counts"),
    [
        (["lenet", "--set", "classes=3"], "61,111 params"),
        (["lenet", "--set", "act=relu"], "61,706 params"),
        (["resnet18", "--input", "3x64x64"], "148,557,824 MACs"),
        (["resnet18", "--input", "x=3x64x64"], "148,557,824 MACs"),
        (["vgg.net:vgg16", "--set", "norm=bn"], "138,365,992 params"),
        (["vgg.net:vgg16", "--set", "norm=none"], "138,357,544 params"),
        (["vgg.net:vgg16", "--set", "drop=0.25", "--set", "classes=1K"], "138,357,544 params"),
        (["mobilenet_v1.net:mobilenet_v1_1_0", "--set", "size=128x128"], "186,"),
        (["googlenet", "--set", "aux=false"], "6,624,904 params"),
        (["resnet50", "--max-nodes", "176"], "176 ops"),
    ],
)
def test_settings(args: list[str], counts: str, capsys: Captured) -> None:
    assert cli.main(["check", *args]) == 0
    assert counts in capsys.readouterr().out


@pytest.mark.parametrize(
    ("args", "code", "status"),
    [
        (["--set", "clases=3"], "E504", 2),
        (["--set", "classes"], "E504", 2),
        (["--set", "=3"], "E504", 2),
        (["--set", "classes="], "E504", 2),
        (["--set", "classes=ten"], "E504", 2),
        (["--set", "classes=__import__('os').system('true')"], "E504", 2),
        (["--set", "classes=choose(1, 2)"], "E504", 2),
        (["--set", "classes=1\nnet X:"], "E504", 2),
        (["--set", "act=3"], "E504", 2),
        (["--input", "1x32"], "E505", 2),
        (["--input", "ax32x32"], "E505", 2),
        (["--input", "1x-3x3"], "E505", 2),
        (["--input", "1x0x3"], "E505", 2),
        (["--input", "1x2x3x4"], "E505", 2),
        (["--input", "y=1x32x32"], "E505", 2),
        (["--input", "1x2x2"], "E301", 1),
        (["--max-nodes", "3"], "E213", 1),
    ],
)
def test_wrong_settings(args: list[str], code: str, status: int, capsys: Captured) -> None:
    assert cli.main(["cost", "lenet", *args]) == status
    assert capsys.readouterr().err.startswith(f"error[{code}]: ")


def test_files(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(SPEC, encoding="utf-8")
    (folder / "two.net").write_text(TWO, encoding="utf-8")
    (folder / "latin.net").write_bytes(b"# \xe9\n")
    (folder / "folder.net").mkdir()
    (folder / "none").mkdir()
    lib = folder / "lib"
    lib.mkdir()
    (lib / "part.net").write_text("block B:\n    relu\n", encoding="utf-8")
    (folder / "user.net").write_text(
        'import B from "part.net"\nnet U:\n    input 3, 8x8\n    B\n', encoding="utf-8"
    )
    assert cli.main(["check", "n.net", "./n.net:n", "lib/part.net"]) == 0
    assert capsys.readouterr().out.count("n: 2 ops") == 2
    assert cli.main(["check", "user.net", "--path", "lib"]) == 0
    for args, code, status in [
        (["check", "user.net"], "E218", 1),
        (["cost", "two.net"], "E301", 1),
        (["cost", "two.net", "--memory", "3GB"], "E502", 2),
        (["cost", "two.net:c"], "E502", 2),
        (["check", "latin.net"], "E501", 2),
        (["check", "folder.net"], "E501", 2),
        (["check", "no/such.net"], "E501", 2),
        (["check", "such.net"], "E501", 2),
        (["check", "none/"], "E501", 2),
        (["check", "bad\0name.net"], "E501", 2),
    ]:
        assert cli.main(args) == status, args
        assert f"error[{code}]: " in capsys.readouterr().err


FAMILY = """net Wide(c = 4):
    input 3, 8x8
    conv 3x3, c
variant wide8 = Wide(8)
net Need(c):
    input 3, 8x8
    conv 3x3, c
"""


def test_folders(folder: Path, capsys: Captured) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / ".hidden").mkdir()
    (folder / "a" / "family.net").write_text(FAMILY, encoding="utf-8")
    assert cli.main(["fmt", "-q", "a"]) == 0
    (folder / "a" / "b" / "n.net").write_text(SPEC, encoding="utf-8")
    (folder / "a" / "b" / "part.net").write_text("block B:\n    relu\n", encoding="utf-8")
    (folder / "a" / ".hidden" / "bad.net").write_text("net", encoding="utf-8")
    notes = [
        "a/b/part.net declares no net",
        "a/family.net: Need needs c, and no variant gives it: --set c=...",
    ]
    for args in (["check", "a"], ["check", "./a/"], ["cost", "a"]):
        assert cli.main(args) == 0, args
        printed = capsys.readouterr()
        said = {line.partition(" ")[0].strip(":") for line in printed.out.splitlines()}
        assert {"n", "wide", "wide8"} <= {one.rpartition(":")[2] for one in said}
        assert sorted(printed.err.splitlines()) == [f"note: {note}" for note in notes]
    assert cli.main(["lint", "a", "--select", "L101", "--format", "json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)["notes"]) == notes
    assert cli.main(["fmt", "a", "--check"]) == 0
    (folder / "a" / "b" / "bad.net").write_text("net N:\n    input 3, 8x8\n    fc 3\n", encoding="utf-8")
    for command in ("check", "cost", "lint"):
        assert cli.main([command, "a"]) == 1
        printed = capsys.readouterr()
        assert printed.err.count("error[E301]") == 1
        assert command == "lint" or "wide8" in printed.out


def test_lint_alone_means_here(folder: Path, capsys: Captured) -> None:
    assert cli.main(["lint"]) == 2
    assert "there is no .net file in ." in capsys.readouterr().err
    (folder / "n.net").write_text(
        "net N:\n    input 3, 8x8\n    conv 3x3, 8\n    relu\n    relu\n    gap\n    fc 3\n", encoding="utf-8"
    )
    assert cli.main(["lint", "./n.net", "--fail-on", "info"]) == 1
    found = capsys.readouterr().out
    assert "n.net:5:5" in found
    assert cli.main(["lint", "--fail-on", "info"]) == 1
    assert capsys.readouterr().out == found


def test_a_word_of_the_zoo_is_no_folder(folder: Path, capsys: Captured) -> None:
    for name in ("lenet", "resnet50", "mine"):
        (folder / name).mkdir()
        (folder / name / "n.net").write_text(SPEC, encoding="utf-8")
    for name in ("lenet", "resnet50"):
        assert cli.main(["check", name]) == 0
        assert capsys.readouterr().out.startswith(f"{name}: ")
    for name in ("./lenet", "mine"):
        assert cli.main(["check", name]) == 0
        assert capsys.readouterr().out.startswith(f"{name.removeprefix('./')}/n.net:n: ")


def test_files_without_nets_to_look_at(folder: Path, capsys: Captured) -> None:
    (folder / "need.net").write_text(
        "net Need(c, d, e = 1):\n    input 3, 8x8\n    conv c, d, stride=e\n", encoding="utf-8"
    )
    said = "need.net has no net that can be made: Need needs c, d, and no variant gives it"
    for command in ("check", "lint", "cost"):
        assert cli.main([command, "need.net"]) == 0
        assert capsys.readouterr().err == f"note: {said}: --set c=... --set d=...\n"
        assert cli.main([command, "need.net", "--set", "d=4"]) == 0
        assert capsys.readouterr().err == f"note: {said.replace('c, d', 'c')}: --set c=...\n"
    (folder / "some.net").write_text(SPEC + "net Need(c):\n    input 3, 8x8\n    fc c\n", encoding="utf-8")
    for command in ("check", "lint", "cost"):
        assert cli.main([command, "some.net"]) == 0
        assert "note: some.net: Need needs c, and no variant gives it: --set c=..." in capsys.readouterr().err


def test_a_net_without_variants_is_made_of_settings(folder: Path, capsys: Captured) -> None:
    (folder / "need.net").write_text(
        "net Need(c, d: dims, e = 1):\n    input 3, 8x8\n    conv d, c, stride=e\n", encoding="utf-8"
    )
    given = ["--set", "c=5", "--set", "d=3x3"]
    for spec in ("need.net", "need.net:need", "need.net:Need"):
        assert cli.main(["check", spec, *given]) == 0
        assert capsys.readouterr().out == "need: 2 ops, 140 params, 8,640 MACs, output 5x8x8\n"
        for command in ("cost", "lint", "compile", "report", "plot"):
            output = {"report": ["-o", "page.html"], "plot": ["-o", "page.svg"]}.get(command, [])
            assert cli.main([command, spec, *given, *output]) == 0, command
            assert "needs" not in capsys.readouterr().err
    for command in ("compile", "verify", "diff"):
        for spec, settings, missing in [("need.net", [], ["c", "d"]), ("need.net:need", given[:2], ["d"])]:
            assert cli.main([command, spec, *[spec][command != "diff" :], *settings]) == 2
            said = capsys.readouterr().err
            assert f"net Need needs {', '.join(f'`{one}`' for one in missing)}" in said
            assert " ".join(f"--set {one}=..." for one in missing) in said


def test_nets_of_several_files_are_said_with_theirs(folder: Path, capsys: Captured) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "n.net").write_text(SPEC, encoding="utf-8")
    said = "n: 2 ops, 112 params, 6,912 MACs, output 4x8x8\n"
    assert cli.main(["check", "."]) == 0
    assert capsys.readouterr().out == f"a/n.net:{said}b/n.net:{said}"
    assert cli.main(["check", "b/n.net", "lenet", "a/n.net"]) == 0
    lines = capsys.readouterr().out.splitlines(keepends=True)
    assert (lines[0], lines[2]) == (f"b/n.net:{said}", f"a/n.net:{said}")
    assert lines[1].startswith("lenet: ")
    assert cli.main(["check", "a/n.net"]) == 0
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("text", "given", "help"),
    [
        ("drop = 0", "drop=0.2", "declare it as drop: float = 0"),
        ("drop = 1", "drop=0.5", "declare it as drop: float = 1"),
        ("drop: int = 0", "drop=0.5", "for example drop=10"),
        ("drop = 0", "drop=3x3", "for example drop=10"),
        ("drop = 64", "drop=0.5", "for example drop=10"),
    ],
)
def test_a_fraction_for_what_begins_as_a_whole_number(
    text: str, given: str, help: str, folder: Path, capsys: Captured
) -> None:
    (folder / "n.net").write_text(f"net N({text}):\n    input 3, 8x8\n    scale drop\n", encoding="utf-8")
    assert cli.main(["check", "n.net", "--set", given]) == 2
    assert f"= help: {help}\n" in capsys.readouterr().err
    if help.startswith("declare"):
        mended = f"net N({help.removeprefix('declare it as ')}):\n    input 3, 8x8\n    scale drop\n"
        (folder / "n.net").write_text(mended, encoding="utf-8")
        assert cli.main(["check", "n.net", "--set", given]) == 0


@pytest.mark.parametrize("command", ["cost", "verify", "weights", "fmt"])
def test_a_command_is_explained_by_its_help(command: str, capsys: Captured) -> None:
    assert cli.main(["explain", command]) == 2
    assert f"= help: netdsl help {command} says what it takes" in capsys.readouterr().err


def test_what_is_written_is_said(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(SPEC, encoding="utf-8")
    assert cli.main(["compile", "n.net", "-o", "n.py"]) == 0
    assert capsys.readouterr() == ("", "wrote n.py: n for torch\n")
    assert cli.main(["--quiet", "compile", "n.net", "-o", "n.py"]) == 0
    assert cli.main(["compile", "n.net", "-o", "n.py", "--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_net_and_its_variant_without_arguments_are_one(folder: Path, capsys: Captured) -> None:
    (folder / "one.net").write_text(SPEC + "variant wide = N()\n", encoding="utf-8")
    for command in (["check"], ["cost"], ["compile"], ["fit", "--vary", "c", "--target", "macs=10000"]):
        assert cli.main([*command, "one.net"]) == 0, command
        assert "wide" in capsys.readouterr().out


def test_commands_agree_on_the_nets_of_a_file(folder: Path, capsys: Captured) -> None:
    """A file is all of its nets, a word of the zoo one, and a net may be called as it is declared."""
    (folder / "wide.net").write_text(FAMILY, encoding="utf-8")
    for spec, names in [
        ("wide.net", ["wide", "wide8"]),
        ("wide.net:wide8", ["wide8"]),
        ("wide.net:wide", ["wide"]),
        ("wide.net:Wide", ["wide"]),
        ("unet", ["unet"]),
        ("unet.net", ["unet", "unet_same"]),
        ("UNet", ["unet"]),
        ("MNASNet", ["mnasnet"]),
        ("mnasnet.net:MNASNet", ["mnasnet"]),
    ]:
        assert cli.main(["check", spec]) == 0
        assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == names, spec
        assert cli.main(["cost", spec]) == 0
        lines = capsys.readouterr().out.splitlines()
        if len(names) == 1:
            assert lines[0].startswith(f"{names[0]} (")
        else:
            assert [line.split()[0] for line in lines[2 : 2 + len(names)]] == names
        assert cli.main(["compare", spec, "--format", "json"]) == 0
        assert [net["net"] for net in json.loads(capsys.readouterr().out)["nets"]] == names
        file, name = common.files(spec, argparse.Namespace(path=[]))
        assert [api.Network(one).name for one in api.recipes(file, name, {}, {})] == names
    for command in ("check", "cost", "compile", "lint"):
        assert cli.main([command, "wide.net:Need"]) == 2
        assert "net Need needs `c`" in capsys.readouterr().err


def test_cost_of_several_nets(folder: Path, capsys: Captured) -> None:
    (folder / "wide.net").write_text(FAMILY, encoding="utf-8")
    options = ["--columns", "macs,memory", "--exact", "--batch", "2", "--sort", "macs"]
    assert cli.main(["cost", "wide.net", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    nets = [api.load(f"wide.net:{name}") for name in ("wide8", "wide")]
    assert [line.split() for line in lines[2:4]] == [
        [net.name, f"{net.cost(batch=2).macs:,}", f"{net.memory(2).peak:,}"] for net in nets
    ]
    assert cli.main(["cost", "wide.net", *options, "--top", "1"]) == 0
    assert "1 more" in capsys.readouterr().out


def test_nets_of_one_name_are_told_apart_by_their_files(folder: Path, capsys: Captured) -> None:
    for name in ("a.net", "b.net"):
        (folder / name).write_text(
            f"net N:\n    input 3, 8x8\n    gap\n\nnet {name[0].upper()}2:\n    input 3, 8x8\n    gap\n"
        )
    assert cli.main(["cost", "a.net", "b.net"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:6]]
    assert names == ["a.net:n", "a2", "b.net:n", "b2"]


@pytest.mark.parametrize("options", [[], ["--by", "op"], ["--depth", "1", "--train"], ["--batch", "3"]])
@pytest.mark.parametrize("specs", [["wide.net", "lenet"], ["wide.net"], ["."]])
def test_tables_of_several_nets(specs: list[str], options: list[str], folder: Path, capsys: Captured) -> None:
    """In each form there is for each net what it is for that net alone."""
    (folder / "wide.net").write_text(FAMILY, encoding="utf-8")
    names = ["wide.net:wide", "wide.net:wide8", *specs[1:]]

    def printed(specs: list[str], form: str) -> str:
        assert cli.main(["cost", *specs, *options, "--format", form]) == 0
        return capsys.readouterr().out

    value = json.loads(printed(specs, "json"))
    schema("cost.json", value)
    assert value["nets"] == [json.loads(printed([name], "json")) for name in names]
    header, *rows = printed(specs, "csv").splitlines()
    alone = {name: printed([name], "csv").splitlines() for name in names}
    assert header == f"net,{alone[names[0]][0]}"
    shown = {name: name.rpartition(":")[2] if specs == ["wide.net"] else name for name in names}
    assert rows == [f"{shown[name]},{row}" for name in names for row in alone[name][1:]]
    pages = printed(specs, "markdown")
    convention = pages.splitlines()[-1]
    assert pages.count(convention) == 1
    for part, name in zip(pages.split("## ")[1:], names, strict=True):
        single = printed([name], "markdown").replace(convention, "").strip()
        assert part.replace(convention, "").strip() == single


def test_rows_of_several_nets(folder: Path, capsys: Captured) -> None:
    (folder / "wide.net").write_text(FAMILY, encoding="utf-8")
    shown = ["--sort", "macs", "--top", "2", "--columns", "macs,output"]
    assert cli.main(["cost", "wide.net", "lenet", "--by", "layer", *shown]) == 0
    printed = capsys.readouterr().out
    tables = printed.split("\n\n")
    assert [len(text.splitlines()) for text in tables[1::3]] == [
        5,
        5,
        7,
    ]  # header, rules, rows, others, total
    assert printed.count("1 MAC = ") == 1
    assert cli.main(["cost", "wide.net", "lenet", *shown, "--format", "csv"]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["net", "layer", "macs", "output"]
    assert [row[:2] for row in rows[-2:]] == [["lenet", "conv2"], ["lenet", "conv1"]]
    assert len(rows) == 1 + 1 + 1 + 2
    assert cli.main(["cost", "lenet", *shown, "--format", "markdown"]) == 0
    assert "| 10 more |" in capsys.readouterr().out
    for args, said in (
        ([*shown, "--format", "json"], "--format json has all rows and columns, so it takes no --sort"),
        (["--exact", "--format", "csv"], "--format csv has all digits and rows, so it takes no --exact"),
        (["--columns", "mcas", "--format", "csv"], "there is no column `mcas`"),
        (["--memory", "3GB"], "--memory says the largest batch of one net, got 2 SPECs"),
        (["--device", "h100"], "--device gives the least times of layers of one net, got 2 SPECs"),
    ):
        assert cli.main(["cost", "wide.net", "lenet", *args]) == 2, args
        assert said in capsys.readouterr().err


def test_nets_of_one_name_are_told_apart(folder: Path, capsys: Captured) -> None:
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "n.net").write_text(SPEC, encoding="utf-8")
    for args in ("cost --format csv", "compare --format csv", "compare", "cost"):
        command, *options = args.split()
        for specs in (["a", "b"], ["a/n.net", "b/n.net"]):
            assert cli.main([command, *specs, *options]) == 0
            names = [
                line.replace(",", " ").partition(" ")[0] for line in capsys.readouterr().out.splitlines()
            ]
            assert [*dict.fromkeys(name for name in names if ".net:" in name)] == [
                "a/n.net:n",
                "b/n.net:n",
            ], args
    for command in ("cost", "check", "compare"):
        assert cli.main([command, "a", "b", "--format", "json"]) == 0
        found = json.loads(capsys.readouterr().out)["nets"]
        assert [(net["spec"], net["file"]) for net in found] == [("n.net", "a/n.net"), ("n.net", "b/n.net")]
    assert cli.main(["diff", "a/n.net", "b/n.net", "--format", "json"]) == 0
    sides = json.loads(capsys.readouterr().out)
    assert [sides[side]["file"] for side in ("before", "after")] == ["a/n.net", "b/n.net"]


@pytest.mark.parametrize("options", [[], ["--by", "block"], ["--format", "json"], ["--format", "csv"]])
def test_nets_are_not_held_together(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """However many nets there are, a few of them are in memory at once."""
    held: list[int] = []
    known: dict[int, ref[Network]] = {}

    def counted(net: Network) -> Network:
        known[id(net)] = ref(net)
        gc.collect()
        held.append(sum(one() is not None for one in known.values()))
        return net

    for name in ("cost_table", "cost_row"):
        real = getattr(Network, name)
        monkeypatch.setattr(Network, name, lambda net, *args, real=real: real(counted(net), *args))
    gc.collect()
    gc.freeze()  # no collection looks at what other tests have left
    try:
        assert cli.main(["cost", *["lenet"] * 9, *options]) == 0
    finally:
        gc.unfreeze()
    assert len(held) >= 9
    assert max(held) <= 3


def test_what_is_wrong_with_one_of_several(folder: Path, capsys: Captured) -> None:
    for form in ("json", "csv", "markdown", "table"):
        assert cli.main(["cost", "nosuch", "lenet", "--format", form]) == 2
        printed = capsys.readouterr()
        assert "lenet" in printed.out
        assert "error[E501]" in printed.err
        if form == "json":
            assert [net["net"] for net in json.loads(printed.out)["nets"]] == ["lenet"]
    assert cli.main(["cost", "nosuch", "nosuch2", "--format", "json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"version": 1, "nets": []}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_file(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(SPEC, encoding="utf-8")
    (folder / "n.net").chmod(0)
    assert cli.main(["check", "n.net"]) == 2
    assert "cannot read n.net: permission denied" in capsys.readouterr().err


def test_several_specs_and_errors(folder: Path, capsys: Captured) -> None:
    (folder / "bad.net").write_text(
        "net N:\n    input 3, 8x8\n    conv 3x3 64\n    reluu\n", encoding="utf-8"
    )
    assert cli.main(["check", "lenet", "nosuch", "bad.net"]) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("lenet: 13 ops, 61,706 params, 416,520 MACs, output 10\n")
    assert "error[E501]" in printed.err
    assert "error[E100]" in printed.err
    assert "error[E201]" in printed.err
    assert printed.err.endswith("\n\n3 errors\n")
    assert "\x1b[" not in printed.err


def test_an_error_that_instances_share_is_said_once(folder: Path, capsys: Captured) -> None:
    text = "net N(c):\n    input 3, 8x8\n    fc c\nvariant a = N(1)\nvariant b = N(2)\n"
    (folder / "n.net").write_text(text, encoding="utf-8")
    assert cli.main(["check", "n.net"]) == 1
    assert capsys.readouterr().err.endswith("\n1 error\n")


def test_control_characters_never_reach_the_terminal(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(SPEC + "    \x1b[31m\n", encoding="utf-8")
    assert cli.main(["check", "n.net"]) == 1
    assert "\x1b" not in capsys.readouterr().err


def test_color(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main(["cost", "nosuch"]) == 2
    assert "\x1b[1;31m" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli.main(["cost", "nosuch"]) == 2
    assert "\x1b[" not in capsys.readouterr().err


def test_messages_are_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """In a pipe a message is a line, whatever `COLUMNS` says, so that other programs find it."""
    monkeypatch.setenv("COLUMNS", "60")
    assert cli.main(["lint", "densenet121"]) == 0
    piped = capsys.readouterr().out
    assert max(map(len, piped.splitlines())) > 60
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert cli.main(["lint", "densenet121", "--color", "never"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 60
    assert cli.main(["check", "nosuch", "--color", "never"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 4


@pytest.mark.parametrize(
    ("options", "environment", "colored"),
    [
        ("", {}, False),
        ("", {"FORCE_COLOR": "1"}, True),
        ("", {"FORCE_COLOR": "0"}, False),
        ("", {"FORCE_COLOR": ""}, False),
        ("", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("--color always", {"NO_COLOR": "1"}, True),
        ("--color never", {"FORCE_COLOR": "1"}, False),
        ("--color auto", {"FORCE_COLOR": "3"}, True),
    ],
)
def test_who_says_whether_there_is_color(
    options: str,
    environment: dict[str, str],
    colored: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    words = options.split()
    for args in ([*words, "cost", "lenet"], ["cost", "lenet", *words], ["lint", "densenet121", *words]):
        cli.main(args)
        assert ("\x1b[" in capsys.readouterr().out) is colored, args
    for args in ([*words, "cost", "nosuch"], ["check", "nosuch", *words]):
        assert cli.main(args) == 2
        assert ("\x1b[" in capsys.readouterr().err) is colored, args


def test_quiet(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(SPEC.replace("conv 3x3, c", "conv   3x3, c"), encoding="utf-8")
    for args in (["check", "lenet", "-q"], ["--quiet", "fmt", "n.net"], ["lint", "n.net", "-q"]):
        assert cli.main(args) == 0
        assert capsys.readouterr() == ("", ""), args
    assert cli.main(["-q", "check", "nosuch"]) == 2
    assert capsys.readouterr().err.startswith("error[E501]")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_of_a_command(command: str, capsys: Captured) -> None:
    assert cli.main(["help", command]) == 0
    said = capsys.readouterr().out
    assert cli.main([command, "--help"]) == 0
    assert capsys.readouterr().out == said
    assert said.startswith(f"usage: netdsl {command}")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_fits_and_has_examples(command: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """What an example says is taken by the command."""
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.main([command, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    examples = [line.strip() for line in lines if line.startswith("  netdsl ")]
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])[1:]
        assert words[0] == command
        cli.parser(words).parse_args(words)


def test_help(capsys: Captured) -> None:
    assert cli.main(["help"]) == 0
    said = capsys.readouterr().out
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == said
    assert cli.main(["help", "csot"]) == 2
    assert "did you mean `cost`?" in capsys.readouterr().err


# ---------------------------------------------------------------- commands


def test_budget(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text(
        SPEC.replace("    conv", "    require params <= 1\n    conv"), encoding="utf-8"
    )
    assert cli.main(["check", "n.net"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error[E401]: n: params 112 > 1 (0 has 100%)\n")


@pytest.mark.parametrize("name", ["lenet", "googlenet"])
def test_cost(name: str, capsys: Captured) -> None:
    costs = netdsl.load(name).cost_table("block", 4, "float16", True)
    options = [name, "--by", "block", "--batch", "4", "--dtype", "float16", "--train"]
    assert cli.main(["cost", *options]) == 0
    shown = view.render_text(costs, view.View(common.look()))
    assert capsys.readouterr().out == f"{shown}\n"
    assert cli.main(["cost", *options, "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    schema("cost.json", value)
    assert value["total"]["macs"] == costs.total.macs
    assert (value["batch"], value["dtype"], value["train"]) == (4, "float16", True)
    assert cli.main(["cost", *options, "--format", "csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(costs) + 1
    assert cli.main(["cost", *options, "--format", "markdown"]) == 0
    assert "| **total** |" in capsys.readouterr().out


def test_cost_for_people(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert cli.main(["cost", "resnet152"]) == 0
    wide = capsys.readouterr().out.splitlines()
    assert max(map(len, wide)) <= 70
    (line,) = [line for line in wide if line.startswith("layer3.1-35")]
    assert line.split()[1] == "x35"
    assert "515 layers: --by layer shows them" in wide
    assert (
        cli.main(["cost", "resnet152", "--top", "1", "--sort", "macs", "--columns", "macs", "--exact"]) == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[4:6]] == ["layer3.1-35.conv2", "480"]
    assert lines[4].split()[1:3] == ["x35", f"{35 * 115_605_504:,}"]
    assert cli.main(["cost", "resnet152", "--depth", "1", "--format", "csv"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[5:9]] == [
        f"layer{n}" for n in range(1, 5)
    ]
    assert cli.main(["cost", "resnet152", "--columns", "macs,parms"]) == 2
    assert "did you mean `params`" in capsys.readouterr().err
    monkeypatch.setenv("COLUMNS", "none")
    assert cli.main(["cost", "resnet152", "--no-fold"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) > 515


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize(
    "command",
    [
        "compare resnet18 swin_t mobilenet_v2",
        "cost resnet18 --device h100",
        "cost resnet18 --device h100 --by stage --train",
        "cost resnet18 --as fvcore",
        "cost resnet18 --train --memory 3GB --batch 64 --checkpoint",
        "cost resnet18 --memory 3GB",
        "devices",
        "devices h100",
        "diff resnet18 resnet50",
        "explain",
        "explain E302",
        "explain conv",
        "explain relu_before_maxpool",
        "explain resnet18 layer1",
        "explain resnet18 conv1",
        "fit mobilenet_v2 --vary width --target macs=200M",
        "lint --list-rules",
        "lint vgg16 --select ALL --statistics",
        "zoo resnet",
    ],
)
def test_commands_take_the_width(
    command: str, width: int, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert cli.main(command.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert max(map(len, lines)) <= width, max(lines, key=len)


def test_what_there_is_room_for(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Columns are left out one by one, which a note says; numbers and options to be copied are whole."""
    for command, columns, there, missing in (
        ("compare resnet18 lenet", 200, "receptive field", ()),
        ("compare resnet18 lenet", 80, "input", ("receptive field",)),
        ("compare resnet18 lenet", 60, "11.69M", ("input", "receptive field")),
        ("devices", 200, "Google Coral Edge TPU", ()),
        ("devices", 80, "700 W", ("title",)),
        ("devices", 60, "3.35 TB/s", ("int8", "power", "title")),
        ("cost resnet18 --device h100 --by stage", 80, "compute 72%", ("ops/byte",)),
    ):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert cli.main(command.split()) == 0
        out = capsys.readouterr().out
        assert there in out
        assert ("no room" in out) is bool(missing)
        if missing:
            assert f"no room in {columns} columns for {', '.join(missing)}\n" in out
    monkeypatch.setenv("COLUMNS", "30")
    assert cli.main(["fit", "lenet", "--vary", "input", "--target", "macs=1M"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("--input ")


def test_cost_of_training(capsys: Captured) -> None:
    net = netdsl.load("resnet18")
    assert cli.main(["cost", "resnet18", "--train", "--optimizer", "adam", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["memory"]
    assert found == {"optimizer_name": "adam", **net.memory(train=True, optimizer="adam").__dict__}
    assert cli.main(["cost", "resnet18", "--train"]) == 0
    out = capsys.readouterr().out
    assert "backward MACs" in out
    assert f"saved {human(net.memory(train=True).saved)}B" in out
    assert "a step of training with sgd holds at most" in out


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("memory", "size"), [("50MB", 50_000_000), ("1.5GiB", 3 * 2**29), ("123456789", 123456789)]
)
def test_cost_says_the_largest_batch(memory: str, size: int, train: bool, capsys: Captured) -> None:
    net = netdsl.load("resnet18")
    status = cli.main(
        ["cost", "resnet18", "--memory", memory, *(["--train"] if train else []), "--format", "json"]
    )
    value = json.loads(capsys.readouterr().out)
    schema("batch.json", value)
    batch = value["batch"]
    assert status == (0 if batch else 1)
    assert batch == 0 or net.memory(batch, train=train).peak <= size
    assert net.memory(batch + 1, train=train).peak > size


def test_cost_plans_checkpoints(capsys: Captured) -> None:
    net = netdsl.load("resnet18")
    assert (
        cli.main(["cost", "resnet18", "--train", "--batch", "16", "--memory", "400MB", "--checkpoint"]) == 0
    )
    out = capsys.readouterr().out
    plan = net.checkpoint_plan(400_000_000, 16)
    assert plan.peak <= 400_000_000 < net.memory(16, train=True).peak
    assert f"peak {plan.peak:,} bytes" in out
    assert all(f"  {paths[0]}" in out for paths in plan.places)
    options = ["--batch", "16", "--memory", "400MB", "--checkpoint", "--format", "json"]
    assert cli.main(["cost", "resnet18", "--train", *options]) == 0
    value = json.loads(capsys.readouterr().out)
    schema("checkpoint.json", value)
    assert (value["places"], value["peak"]) == ([[*paths] for paths in plan.places], plan.peak)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--optimizer adam", "--optimizer means nothing without --train"),
        ("--train --checkpoint", "--checkpoint means nothing without --train and --memory"),
        ("--memory 3GB --batch 4", "--memory says the largest batch, so it takes no --batch"),
        ("--memory 3GB --format csv", "with --format table or --format json, and not csv"),
        ("--train --memory 3GB --checkpoint --by op", "plans a step of training, so it takes no --by"),
        ("--as thop --dtype float16", "--as counts one sample in evaluation, so it takes no --dtype"),
        ("--as onnx-tool", "onnx-tool counts a file of ONNX and not a net"),
        ("--as thop --format json", "with --format table, and not json"),
        ("--format json --top 3", "--format json has all rows and columns, so it takes no --top"),
        ("--format csv --exact", "--format csv has all digits and rows, so it takes no --exact"),
        ("--format json --no-fold", "--format json has all rows and columns, so it takes no --no-fold"),
        ("--memory 3GB --depth 2", "--memory says the largest batch, so it takes no --depth"),
    ],
)
def test_options_of_cost_that_do_not_go_together(options: str, says: str, capsys: Captured) -> None:
    assert cli.main(["cost", "lenet", *options.split()]) == 2
    err = capsys.readouterr().err
    assert "error[E503]" in err
    assert says in err


def test_check_json(folder: Path, capsys: Captured) -> None:
    (folder / "two.net").write_text(TWO, encoding="utf-8")
    assert cli.main(["check", "lenet", "two.net", "--format", "json"]) == 1
    printed = capsys.readouterr()
    value = json.loads(printed.out)
    schema("check.json", value)
    assert [net["name"] for net in value["nets"]] == ["lenet", "a"]
    assert [found["code"] for found in value["diagnostics"]] == ["E301"]
    schema("diagnostics.json", {"version": 1, "diagnostics": value["diagnostics"]})
    assert printed.err == ""


def test_zoo(capsys: Captured) -> None:
    assert cli.main(["zoo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["net", "params", "MACs", "input", "about"]
    assert len(lines[2:-2]) == len(api.zoo_names())
    assert max(map(len, lines)) <= 100
    (line,) = [line for line in lines if line.startswith("resnet50 ")]
    assert line.split(maxsplit=4)[1:4] == ["25.56M", "4.09G", "3x224x224"]
    assert cli.main(["zoo", "--exact", "ResNet", "top1", "resnet.net"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("resnet50 ")]
    assert line.split(maxsplit=4)[1:4] == ["25,557,032", "4,089,184,256", "3x224x224"]
    known = [entry for entry in api.zoo() if entry.spec == "resnet.net" and "top1" in entry.meta]
    assert [line.split()[0] for line in lines[2:-2]] == [entry.name for entry in known]
    assert cli.main(["zoo", "swin_t", "--format", "json"]) == 0
    assert [net["name"] for net in json.loads(capsys.readouterr().out)["nets"]] == ["swin_t"]
    assert cli.main(["zoo", "rsnet50"]) == 2
    assert "did you mean `resnet50`?" in capsys.readouterr().err
    assert "1512.03385" in line
    assert cli.main(["zoo", "--format", "json"]) == 0
    value = json.loads(capsys.readouterr().out)
    schema("zoo.json", value)
    (found,) = [net for net in value["nets"] if net["name"] == "vgg16"]
    assert (found["spec"], found["net"], found["params"]) == ("vgg16.net", "VGG", 138_357_544)


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        ("E302", ["E302: branches that do not fit", "wrong:", "right:"]),
        ("e302", ["E302: branches"]),
        ("E504", ["netdsl cost lenet --set clases=100"]),
        (
            "conv",
            ["A two-dimensional convolution", "channels  an int, required", "weights: weight [6, 4, 3, 3]"],
        ),
        ("crop", ["like"]),
        ("relu", ["Rectified linear unit"]),
        ("ramp", ["ramp(start, stop, endpoint=true)", "A depth schedule", "layer1: 3 * Block 64, drop=r"]),
        ("max", ["max(...)"]),
    ],
)
def test_explain(topic: str, words: list[str], capsys: Captured) -> None:
    assert cli.main(["explain", topic]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)


def test_every_op_can_be_explained() -> None:
    for name, op in catalogue().items():
        text = api.explain_op(op)
        assert text.startswith(f"{name}\n\n")
        assert "examples\n" in text


def test_every_function_can_be_explained() -> None:
    for name in FUNCTIONS:
        assert api.explain_function(name).startswith(f"{name}(")


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh", "fish"])
def test_completion(shell: str, capsys: Captured) -> None:
    assert cli.main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert "zoo" in printed
    assert "max-nodes" in printed or shell == "tcsh"  # shtab completes no options of commands there


# ---------------------------------------------------------------- new, watch


@pytest.mark.parametrize("name", ["my_net", "tiny", "MyNet", "Residual", "residual", "conv", "a", "x1"])
def test_new(name: str, folder: Path, capsys: Captured) -> None:
    """What it writes is in the form of fmt, checks, lints clean, and compiles."""
    (folder / "nets").mkdir()
    assert cli.main(["new", f"nets/{name}"]) == 0
    file = f"nets/{name}.net"
    assert capsys.readouterr().out.startswith(f"wrote {file}; next: netdsl check {file}, ")
    assert cli.main(["check", file]) == 0
    assert capsys.readouterr().out.startswith((f"{name}: ", f"{name.lower()}: "))
    assert cli.main(["check", f"{file}:{name}"]) == 0
    assert capsys.readouterr().err == ""
    for args, status, out in (
        (["lint", file, "--fail-on", "info"], 0, "nothing found\n"),
        (["fmt", "--check", file], 0, ""),
        (["cost", file, "-q"], 0, None),
    ):
        assert cli.main(args) == status
        assert out in (None, capsys.readouterr().out), args
    net = api.load(file)
    assert {str(shape) for shape in net.outputs.values()} == {"10"}
    compile(net.emit("torch"), file, "exec")


def test_new_replaces_nothing(folder: Path, capsys: Captured) -> None:
    (folder / "a.net").write_text("mine", encoding="utf-8")
    for name, code, said in (
        ("a", "E510", "there is a.net already"),
        ("a.net", "E510", "there is a.net already"),
        ("no/such/b", "E510", "cannot write no/such/b.net"),
        ("a b", "E500", "`a b` names no net"),
        ("True", "E500", "`True` names no net"),
        ("1x", "E500", "`1x` names no net"),
        ("", "E500", "names no net"),
        ("c\0", "E500", "names no net"),
    ):
        assert cli.main(["new", name]) == 2, name
        err = capsys.readouterr().err
        assert f"error[{code}]" in err
        assert said in err
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("a.net", "mine")]


@pytest.mark.parametrize("spec", ["n.net", "."])
def test_watch(spec: str, folder: Path) -> None:
    """A command runs again when what it reads has changed, an import too, and while there are errors."""
    part = folder / "part.net"
    part.write_text("block B(c):\n    fc c\n", encoding="utf-8")
    (folder / "n.net").write_text(
        'import B from "part.net"\nnet N:\n    input 3\n    b: B 5\n', encoding="utf-8"
    )
    with watching("check", spec) as said:
        assert "output 5" in said()
        part.write_text("block B(c):\n    fc c + 1\n", encoding="utf-8")
        assert "output 6" in said()
        part.write_text("block B(c):\n    nothing\n", encoding="utf-8")
        assert "error[" in said()
        new = folder / "new"
        new.write_text("block B(c):\n    fc c + 2\n", encoding="utf-8")
        new.replace(part)
        assert "output 7" in said()
        if spec == ".":
            (folder / "more.net").write_text(SPEC, encoding="utf-8")
            assert "n: 2 ops, 112 params" in said()


@contextmanager
def watching(*words: str) -> Iterator[Callable[[], str]]:
    """Run a command with --watch in a process; give what returns all that it says until it waits again."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}"}
    command = [sys.executable, "-um", "netdsl", *words, "--watch"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
    ) as process:
        killer = Timer(120, process.kill)  # where it does not notice, it would say nothing for ever
        killer.start()

        def said() -> str:
            lines = []
            for line in process.stdout or ():
                lines.append(line)
                if line.startswith("watching"):
                    break
            return "".join(lines)

        try:
            yield said
            process.send_signal(signal.SIGINT)
            assert process.wait() == 130
        finally:
            killer.cancel()
            process.kill()


@pytest.mark.parametrize("command", ["check", "lint", "cost"])
def test_watch_what_comes_and_goes(command: str, folder: Path) -> None:
    """Imports, files of a folder and of folders in it, the folder itself, and a file that is not there yet."""
    block = "block B(c):\n    fc c\n"
    user = 'import B from "part.net"\nnet N:\n    input 3\n    b: B 5\n'
    with watching(command, "n.net", "nets/") as said:
        text = said()
        assert "there is no file n.net" in text
        assert "watching 0 files;" in text
        (folder / "n.net").write_text(user, encoding="utf-8")
        assert "E218" in said()
        (folder / "part.net").write_text(block, encoding="utf-8")
        text = said()
        assert "E218" not in text
        assert "watching 2 files;" in text
        (folder / "later").mkdir()
        (folder / "later" / "a.net").write_text(SPEC.replace("n(", "first("), encoding="utf-8")
        (folder / "later").rename(folder / "nets")
        assert "watching 3 files, nets/;" in said()
        (folder / "deep" / "er").mkdir(parents=True)
        (folder / "deep" / "er" / "b.net").write_text(
            "net Bad:\n    input 3\n    nothing\n", encoding="utf-8"
        )
        (folder / "deep").rename(folder / "nets" / "deep")
        text = said()
        assert "nothing" in text
        assert "watching 4 files, nets/;" in text
        (folder / "nets" / "deep" / "er" / "b.net").unlink()
        assert "watching 3 files, nets/;" in said()
        (folder / "part.net").unlink()
        assert "E218" in said()


def test_what_cannot_be_watched(capsys: Captured) -> None:
    for command in ("check", "lint", "cost"):
        for spec, said in (("-", "standard input is none"), ("lenet", "lenet is no file of yours")):
            assert cli.main([command, spec, "--watch"]) == 2
            assert said in capsys.readouterr().err


# ---------------------------------------------------------------- compile


@needs_backend
def test_compile(folder: Path, capsys: Captured) -> None:
    assert cli.main(["compile", "lenet"]) == 0
    text = capsys.readouterr().out
    assert text == netdsl.load("lenet").emit("torch")
    assert cli.main(["compile", "lenet", "-o", "-"]) == 0
    assert capsys.readouterr().out == text
    assert cli.main(["compile", "lenet", "-o", "lenet.py"]) == 0
    assert (folder / "lenet.py").read_text(encoding="utf-8") == text
    assert cli.main(["compile", "lenet", "-o", "lenet.py", "--check"]) == 0
    assert cli.main(["compile", "lenet", "--set", "classes=7", "-o", "lenet.py", "--check"]) == 1
    assert "error[E511]: lenet.py is not what would be written" in capsys.readouterr().err
    assert (folder / "lenet.py").read_text(encoding="utf-8") == text
    assert cli.main(["compile", "lenet", "-o", "none.py", "--check"]) == 1
    assert "error[E511]: none.py does not exist" in capsys.readouterr().err
    assert cli.main(["compile", "lenet", "--check"]) == 2
    assert cli.main(["compile", "lenet", "-o", "no/lenet.py"]) == 2
    assert cli.main(["compile", "lenet", "-o", ".", "--check"]) == 0
    (folder / "lenet.py").unlink()
    assert cli.main(["compile", "lenet", "-o", "."]) == 0
    assert (folder / "lenet.py").read_text(encoding="utf-8") == text
    capsys.readouterr()
    assert [path.name for path in folder.iterdir()] == ["lenet.py"]


def test_write_keeps_mode_and_links(folder: Path) -> None:
    real = folder / "real"
    real.mkdir()
    file = real / "net.py"
    file.write_text("old", encoding="utf-8")
    file.chmod(0o754)
    link = folder / "link.py"
    link.symlink_to("real/net.py")
    common.write(link, "new é\n")
    assert link.is_symlink()
    assert file.read_bytes() == b"new \xc3\xa9\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o754
    assert [path.name for path in real.iterdir()] == ["net.py"]


def test_write_obeys_the_umask(folder: Path) -> None:
    before = os.umask(0o027)
    try:
        common.write(folder / "net.py", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "net.py").stat().st_mode) == 0o640


def test_write_is_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "net.py").write_text("old", encoding="utf-8")

    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        common.write(folder / "net.py", "new")
    assert [path.name for path in folder.iterdir()] == ["net.py"]
    assert (folder / "net.py").read_text(encoding="utf-8") == "old"


def test_write_to_what_cannot_be_replaced() -> None:
    common.write(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()


@needs_backend
def test_counters_that_only_one_side_has_are_said(folder: Path, capsys: Captured) -> None:
    torch = pytest.importorskip("torch")
    text = "net N:\n    input 3, 8x8\n    conv 3x3, 4 -> bn -> relu -> conv 3x3, 4 -> bn\n    gap\n"
    (folder / "n.net").write_text(text, encoding="utf-8")
    torch.save(netdsl.load("n.net").build("torch").state_dict(), "a.pth")
    said = []
    for source, given, target, wanted in [
        ("torch", "a.pth", "flax", "b.safetensors"),
        ("flax", "b.safetensors", "torch", "c.pth"),
        ("torch", "a.pth", "torch", "d.safetensors"),
    ]:
        command = ["weights", "n.net", "--from", source, given, "--to", target, wanted]
        assert cli.main(["--quiet", *command]) == 0
        assert capsys.readouterr() == ("", "")
        assert cli.main(command) == 0
        said.append(capsys.readouterr().err)
    assert said == [
        "wrote b.safetensors: 12 tensors of n for flax\n"
        "note: 2 counters such as 1.num_batches_tracked are in a.pth alone: flax has none\n",
        "wrote c.pth: 14 tensors of n for torch\n"
        "note: 2 counters such as 1.num_batches_tracked are not in b.safetensors, and begin at 0\n",
        "wrote d.safetensors: 14 tensors of n for torch\n",
    ]
