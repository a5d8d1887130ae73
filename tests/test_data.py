import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import netdsl
from netdsl import data

ROOT = Path(netdsl.__file__).parent.parent


def test_folder_of_grammar() -> None:
    assert data.folder("grammar").name == "grammar"
    assert data.names("grammar", ".lark") == ["net.lark"]
    assert "start" in data.read("grammar", "net.lark")


def test_names_are_sorted_and_of_one_suffix() -> None:
    names = data.names("specs", ".net")
    assert names == sorted(names)
    assert all(name.endswith(".net") for name in names)


def test_missing_file() -> None:
    with pytest.raises(FileNotFoundError):
        data.read("grammar", "no_such_file")


@pytest.mark.parametrize("zipped", [False, True], ids=["installed", "zipped"])
def test_folder_inside_the_package(tmp_path: Path, zipped: bool) -> None:
    files = {
        "netdsl/__init__.py": "",
        "netdsl/data.py": (ROOT / "netdsl" / "data.py").read_text(encoding="utf-8"),
        "netdsl/specs/b.net": "net B: é\n",
        "netdsl/specs/a.net": "",
        "netdsl/specs/notes.txt": "",
        "specs/other.net": "",
    }
    place = tmp_path / "wheel.zip" if zipped else tmp_path
    if zipped:
        with zipfile.ZipFile(place, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    code = "from netdsl import data; print(data.names('specs', '.net'), ascii(data.read('specs', 'b.net')))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(place)!r}); {code}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert done.stdout == "['a.net', 'b.net'] 'net B: \\xe9\\n'\n"
