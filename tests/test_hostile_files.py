"""Files that nobody should read or replace: each of these once hung, ate memory, ended in a traceback or lost a spec.

The command runs as a process of its own with a gigabyte of memory and five seconds.
"""

import os
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import limited

import netdsl
from netdsl import cli
from netdsl.cli import common

ROOT = Path(netdsl.__file__).parent.parent
SPEC = "net N(c = 4):\n    input 3, 8x8\n    conv 3x3, c\n"
UGLY = "net N:\n    input 3,8x8\n    relu\n"
MEMORY, SECONDS = 1 << 30, 5

Captured = pytest.CaptureFixture[str]
Done = subprocess.CompletedProcess[bytes]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a fresh folder with one spec, and give it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.net").write_text(SPEC)
    return tmp_path


def attack(*args: str, shell: str = "", memory: int = MEMORY, **options: Any) -> Done:
    """Run the command with little memory and time, maybe by a shell: `{} < /dev/zero`."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'backends'}",
        **options.pop("environment", {}),
    }
    command = limited([sys.executable, "-m", "netdsl", *args], SECONDS, memory, shell or "{}")
    options = {"stdin": subprocess.DEVNULL, "timeout": 60, **options}
    return subprocess.run(command, capture_output=True, env=environment, **options)


def refused(done: Done, says: str, status: int = 2) -> None:
    """Hold that a run ended with an error of one line."""
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("error[E")]
    assert done.returncode == status, done
    assert says in lines[0]
    assert "Traceback" not in done.stderr.decode()


# ---------------------------------------------------------------- reading

BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "it is a pipe, and no file"),
    "link to a pipe": (
        lambda path: (os.mkfifo("pipe"), path.symlink_to("pipe")),
        "it is a pipe, and no file",
    ),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device, and no file"),
    "socket": (
        lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
        "it is a socket, and no file",
    ),
    "loop": (lambda path: path.symlink_to(path.name), "too many levels of symbolic links"),
    "large": (
        lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40),
        "it is larger than",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_no_spec(kind: str, folder: Path) -> None:
    make, says = BAD[kind]
    make(folder / "bad.net")
    for command in ("check", "lint", "cost", "fmt"):
        refused(attack(command, "./bad.net"), f"cannot read bad.net: {says}")


@pytest.mark.parametrize("kind", BAD)
def test_no_spec_in_a_folder(kind: str, folder: Path) -> None:
    make, says = BAD[kind]
    make(folder / "bad.net")
    (folder / "n.net").write_text(UGLY)
    refused(attack("fmt", "."), f"cannot read bad.net: {says}")
    for command in ("check", "lint", "cost"):
        refused(attack(command, "./"), "")
    assert (folder / "n.net").read_text() != UGLY


@pytest.mark.parametrize("kind", BAD)
def test_no_import(kind: str, folder: Path) -> None:
    make, says = BAD[kind]
    make(folder / "bad.net")
    (folder / "n.net").write_text('import A from "bad.net"\n')
    done = attack("check", "n.net")
    assert done.returncode == 1
    said = {"loop": "there is no such file", "device": "it lies outside the spec's folder"}
    assert f"error[E218]: cannot import 'bad.net': {said.get(kind, says)}" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize("kind", BAD)
def test_no_configuration(kind: str, folder: Path) -> None:
    make, says = BAD[kind]
    make(folder / "netdsl.toml")
    done = attack("lint", "n.net")
    if kind == "large":
        refused(done, f"cannot read {folder / 'netdsl.toml'}: {says}")
    else:  # it is no file, so it is none of ours
        assert done.returncode < 2, done


@pytest.mark.parametrize("kind", BAD)
def test_no_device_and_no_baseline(kind: str, folder: Path) -> None:
    make, says = BAD[kind]
    make(folder / "bad.toml")
    refused(attack("cost", "n.net", "--device", "bad.toml"), f"cannot read bad.toml: {says}")
    refused(attack("lint", "n.net", "--baseline", "bad.toml"), f"cannot read bad.toml: {says}")


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_no_weights(kind: str, suffix: str, folder: Path) -> None:
    make, says = BAD[kind]
    make(folder / f"bad{suffix}")
    done = attack(
        "weights",
        "n.net",
        *("--from", "torch", f"bad{suffix}", "--to", "torch", "out.safetensors"),
    )
    if kind == "large":
        says = ""  # how large a file may be, nobody says
    refused(done, f"cannot read bad{suffix}: {says}")


def test_endless_standard_input() -> None:
    for command in ("check", "lint", "fmt"):
        refused(attack(command, "-", shell="{} < /dev/zero"), "cannot read <stdin>: it is larger than")
    refused(attack("fmt", "-", shell="yes | {}"), "cannot read <stdin>: it is larger than")


NUMBER = "9" * 5000
"""More digits than Python turns into an int."""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"[lint.thresholds.huge_fc]\nshare = {NUMBER}\n", "it is not TOML: exceeds the limit"),
        (f"[lint]\nselect = {'[' * 5000}{']' * 5000}\n", "it is not TOML: its brackets are too deep"),
        (f"a{'.a' * 200_000} = 1\n", "it is not TOML: line 1 has more than 100 dots"),
    ],
)
def test_toml(text: str, says: str, folder: Path) -> None:
    (folder / "netdsl.toml").write_text(text)
    (folder / "device.toml").write_text(text)
    refused(attack("lint", "n.net"), says)
    refused(attack("cost", "n.net", "--device", "device.toml"), says)


def test_what_is_no_table(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('tool = 1\nname = "netdsl"\n')
    refused(attack("lint", "n.net"), "tool: must be a table, got 1")


def test_long_names_and_loops_in_paths(folder: Path) -> None:
    long = "x" * 5000 + ".net"
    refused(attack("check", f"./{long}"), "file name too long")
    refused(attack("check", long), "there is no file")
    refused(attack("fmt", long), "file name too long")
    refused(attack("compile", "n.net", "-o", long), "file name too long")
    refused(attack("calibrate", "-o", f"{long}/a.toml"), "there is no such folder")
    (folder / "loop").symlink_to("loop")
    refused(attack("check", "loop/n.net"), "too many levels of symbolic links")
    refused(attack("fmt", "loop"), "too many levels of symbolic links")
    refused(attack("compile", "n.net", "-o", "loop"), "too many levels of symbolic links")
    (folder / "n.net").write_text(f'import A from "{long}"\nimport B from "loop/a.net"\n')
    done = attack("check", "n.net", "--path", "loop")
    assert done.returncode == 1
    assert done.stderr.count(b"error[E218]: cannot import") == 2
    assert b"Traceback" not in done.stderr


def test_an_import_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "b.net").write_text("block A: relu\nblock B: relu\n")
    (folder / "n.net").write_text('import A from "b.net"\nimport B from "./b.net"\n' + SPEC)
    read: list[Path] = []
    honest = netdsl.reading.text  # type: ignore[attr-defined]
    monkeypatch.setattr("netdsl.reading.text", lambda file, *limit: read.append(file) or honest(file, *limit))
    assert cli.main(["check", "n.net"]) == 0
    assert [file.name for file in read] == ["n.net", "b.net"]


def test_a_spec_may_have_a_name_of_the_zoo(folder: Path) -> None:
    (folder / "u.net").write_text("block U: relu\n")
    (folder / "resnet.net").write_text('import U from "u.net"\nnet R:\n    input 3, 8x8\n    U\n')
    for spec in ("resnet.net", "./resnet.net"):
        done = attack("check", spec)
        assert (done.returncode, done.stdout.decode()) == (0, "r: 2 ops, 0 params, 0 MACs, output 3x8x8\n")


def test_a_circle_of_files_is_noticed_when_it_closes(folder: Path, capsys: Captured) -> None:
    (folder / "a.net").write_text('import B from "b.net"\nblock A: relu\n')
    (folder / "b.net").write_text('import A from "a.net"\nblock B: relu\n')
    assert cli.main(["check", "a.net"]) == 1
    assert "a file cannot import itself: a.net imports b.net imports a.net" in capsys.readouterr().err


def test_a_byte_order_mark_is_none_of_the_text(folder: Path, capsys: Captured) -> None:
    (folder / "n.net").write_text("\ufeff" + 'import A from "b.net"\n' + SPEC)
    (folder / "b.net").write_text("\ufeffblock A: relu\n")
    assert cli.main(["check", "n.net"]) == 0
    (folder / "n.net").write_text("\ufeffnet N: relu  -> -> relu\n")
    assert cli.main(["check", "n.net"]) == 1
    assert "--> n.net:1:17" in capsys.readouterr().err
    done = attack("check", "-", stdin=None, input=("\ufeff" + SPEC).encode())
    assert done.returncode == 0, done


# ---------------------------------------------------------------- writing

LOST = "is read for it, and would be lost"


@pytest.mark.parametrize("made", [os.link, os.symlink, None])
def test_a_result_never_replaces_what_it_is_made_of(
    made: Callable[[str, str], None] | None, folder: Path, capsys: Captured
) -> None:
    (folder / "block.net").write_text("block A: relu\n")
    (folder / "n.svg").write_text('import A from "block.net"\n' + SPEC + "    A\n")
    before = {path: path.read_text() for path in folder.iterdir()}
    for spec in ("n.svg", "block.net"):
        target = spec
        if made is not None:
            target = f"other{Path(spec).suffix}"
            made(spec, target)
        commands = [["compile", "./n.svg", "-o", target]]
        if spec == "n.svg":
            commands += [[command, "./n.svg", "-o", target] for command in ("plot", "graph")]
            (folder / "top.svg").unlink(missing_ok=True)
        commands.append(["lint", "./n.svg", "--baseline", target, "--write-baseline"])
        for command in commands:
            assert cli.main(command) == 2
            assert LOST in capsys.readouterr().err
        if made is not None:
            (folder / target).unlink()
    assert {path: path.read_text() for path in folder.iterdir()} == before


def test_nor_do_pages_and_comparisons(folder: Path, capsys: Captured) -> None:
    text = SPEC + "    meta top1=50\n"
    for command, name, option in (("report", "n.html", "-o"), ("compare", "n.svg", "--plot")):
        (folder / name).write_text(text)
        assert cli.main([command, f"./{name}", "n.net", option, name]) == 2
        assert LOST in capsys.readouterr().err
        assert (folder / name).read_text() == text


def test_nor_does_a_baseline_replace_the_configuration(folder: Path, capsys: Captured) -> None:
    (folder / "netdsl.toml").write_text("[lint]\n")
    assert cli.main(["lint", "n.net", "--baseline", "netdsl.toml", "--write-baseline"]) == 2
    assert LOST in capsys.readouterr().err


def test_nor_does_a_module_replace_a_file_of_the_zoo(folder: Path, capsys: Captured) -> None:
    file = netdsl.data.folder("specs") / "lenet.net"  # type: ignore[attr-defined]
    (folder / "lenet.py").symlink_to(file)
    assert cli.main(["compile", "lenet", "-o", "lenet.py"]) == 2
    assert LOST in capsys.readouterr().err


def test_what_is_read_only_stays(folder: Path, capsys: Captured) -> None:
    for name, command in {
        "a.py": ["compile", "n.net", "-o", "a.py"],
        "a.svg": ["graph", "n.net", "-o", "a.svg"],
        "a.html": ["report", "n.net", "-o", "a.html"],
        "a.json": ["lint", "n.net", "--baseline", "a.json", "--write-baseline"],
        "a.toml": ["calibrate", "-o", "a.toml"],
    }.items():
        (folder / name).write_text("old")
        (folder / name).chmod(0o444)
        assert cli.main(command) == 2
        assert f"error[E510]: cannot write {name}: it is read-only" in capsys.readouterr().err
        assert (folder / name).read_text() == "old"


FIXABLE = "net N:\n    input 3, 8x8\n    conv 3x3, 8, bias=true -> bn\n"


@pytest.mark.parametrize("command", [["lint", "--fix", "--unsafe-fixes"], ["fmt"]])
def test_an_edit_saved_meanwhile_is_not_lost(
    command: list[str], folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "n.net").write_text(FIXABLE.replace(", 8x8", ",8x8"))
    edited = FIXABLE + "    relu\n"
    honest = common.rewrite

    def late(file: Path, before: str, after: str) -> None:
        file.write_text(edited)
        honest(file, before, after)

    monkeypatch.setattr(f"netdsl.cli.{command[0]}.rewrite", late)
    assert cli.main([*command, "n.net"]) == 2
    assert "error[E510]: cannot write n.net: it has changed since it was read" in capsys.readouterr().err
    assert (folder / "n.net").read_text() == edited
    assert [path.name for path in folder.iterdir()] == ["n.net"]


def test_fixes_keep_line_ends_and_the_mark(folder: Path) -> None:
    (folder / "n.net").write_bytes(b"\xef\xbb\xbf" + FIXABLE.replace("\n", "\r\n").encode())
    assert cli.main(["lint", "--fix", "--unsafe-fixes", "n.net"]) in (0, 1)
    fixed = (folder / "n.net").read_bytes()
    assert fixed.startswith(b"\xef\xbb\xbfnet N")
    assert b"bias=false" in fixed
    assert fixed.count(b"\r\n") == fixed.count(b"\n") == FIXABLE.count("\n")


def test_leftovers_hinder_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f".a.py.{os.getpid()}", f".a.py.{os.getpid()}.tmp"]
    for name in names:
        (folder / name).write_text("left by a process that was killed")
    common.write(folder / "a.py", "x")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "a.py", "n.net"])


def test_a_long_name_of_many_bytes_can_be_written(folder: Path) -> None:
    name = "é" * 125 + ".py"
    common.write(folder / name, "x")
    common.write(folder / name, "y")
    assert (folder / name).read_text() == "y"


def test_bytes_are_on_the_disk_before_the_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (order.append("sync"), sync(handle)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    common.write(folder / "a.py", "x")
    assert order == ["sync", "replace"]
    assert stat.S_ISREG((folder / "a.py").stat().st_mode)


# ---------------------------------------------------------------- weights

TORCH = 8 * MEMORY
"""What torch maps when it is imported; it holds a small part of that."""


def weights(file: str, memory: int = MEMORY) -> Done:
    """Read a file as the weights of the spec."""
    return attack(
        "weights", "n.net", "--from", "torch", file, "--to", "torch", "out.safetensors", memory=memory
    )


def safetensors(folder: Path, header: bytes) -> None:
    (folder / "in.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def tensor(shape: str = "1") -> str:
    return f'{{"dtype": "F32", "shape": [{shape}], "data_offsets": [0, 4]}}'


def entries(count: int) -> str:
    return "{" + ",".join(f'"{number:x}":{{}}' for number in range(count)) + "}"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (
            f'{{"a": {tensor(",".join([str(2**62)] * 150_000))}}}',
            "a shape of 150,000 sizes, and 64 are the most",
        ),
        (f'{{"a": {tensor(",".join(["3"] * 65))}}}', "a shape of 65 sizes, and 64 are the most"),
        (entries(100_001), "100,001 tensors, and 100,000 are the most"),
        (entries(1_400_000), "tensors, and 100,000 are the most"),
        ('{"a":[' + "[]," * 5_000_000 + "[]]}", "is not dtype, shape and data_offsets"),
        (" " * 90_000_000, "its header would be 90,000,000 bytes, and 16,000,000 are the most"),
        (f'{{"{"x" * 1_000_000}": 3}}', f"the entry of `{'x' * 100}...` is not dtype"),
        (f'{{"a": {tensor().replace("F32", "F" * 1_000_000)}}}', "has the dtype FFFF"),
    ],
)
def test_headers(header: str, says: str, folder: Path) -> None:
    safetensors(folder, header.encode())
    done = weights("in.safetensors")
    refused(done, says)
    assert len(done.stderr) < 500


def torch_file(folder: Path, pickle: bytes, payload: bytes = bytes(4), **options: Any) -> None:
    """Write what `torch.save` would, with a pickle of our own."""
    with zipfile.ZipFile(folder / "in.pt", "w", **options) as archive:
        archive.writestr("in/data.pkl", pickle)
        archive.writestr("in/byteorder", b"little")
        archive.writestr("in/data/0", payload)
        archive.writestr("in/version", b"3\n")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", [b"\x80\x02}K\x01q\x00%bK\x01s.", b"\x80\x02}K\x01q\x00(%bK\x01u."])
def test_a_key_of_tuples_that_double(key: bytes, zipped: bool, folder: Path) -> None:
    doubled = b"".join(bytes([*b"h", n, *b"h", n, 0x86, *b"q", n + 1, *b"0"]) for n in range(40)) + b"h\x28"
    if zipped:
        torch_file(folder, key % doubled)
    else:
        (folder / "in.pt").write_bytes(key % doubled)
    refused(weights("in.pt"), "it holds a tuple of more than 1,000 leaves")


def test_keys_are_texts_before_they_are_shown(folder: Path) -> None:
    import torch

    torch.save({(1, 2): torch.zeros(1)}, "in.pt")
    refused(weights("in.pt", TORCH), "it is no state_dict: it has a tuple for a name")
    torch.save({"x" * 1_000_000: 3}, "in.pt")
    done = weights("in.pt", TORCH)
    refused(done, f"it is no state_dict: `{'x' * 100}...` is a int, no tensor")
    assert len(done.stderr) < 500


def test_long_pickles(folder: Path) -> None:
    torch_file(folder, b"\x80\x02" + b"N0" * 1_000_000 + b"}.")
    refused(weights("in.pt"), "its pickle takes more than 1,000,000 steps")
    (folder / "in.pt").write_bytes(b"\x80\x02" + b"N0" * 1_000_000 + b"}.")
    refused(weights("in.pt"), "its pickle takes more than 1,000,000 steps")


def test_compressed_records(folder: Path) -> None:
    torch_file(folder, b"\x80\x02}.", bytes(1 << 30), compression=zipfile.ZIP_DEFLATED)
    refused(weights("in.pt"), "it has compressed records, and torch writes none")


def test_records_on_top_of_each_other(folder: Path) -> None:
    torch_file(folder, b"\x80\x02}.", bytes(1 << 20))
    data = (folder / "in.pt").read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entries, tail = data[start:end], bytearray(data[end:])
    copies = 1000
    tail[8:12] = struct.pack("<HH", 4 * copies, 4 * copies)
    tail[12:16] = struct.pack("<I", len(entries) * copies)
    (folder / "in.pt").write_bytes(data[:start] + entries * copies + tail)
    refused(weights("in.pt"), "its records would be larger than its")


@pytest.mark.parametrize("part", ["data/0", "data.pkl"])
def test_a_flipped_bit(part: str, folder: Path) -> None:
    import torch

    state = netdsl.load("n.net").build("torch").state_dict()
    torch.save(state, "in.pt")
    assert weights("in.pt", TORCH).returncode == 0
    with zipfile.ZipFile("in.pt") as archive:
        content = archive.read(f"in/{part}")
    data = bytearray(Path("in.pt").read_bytes())
    data[data.index(content) + len(content) - 2] ^= 1
    Path("in.pt").write_bytes(data)
    refused(weights("in.pt"), f"it is damaged: `in/{part}` in it has another checksum")
