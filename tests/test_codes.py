"""The catalogue of codes: every example gives what it says, and no code is missing or made up."""

import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import netdsl
from netdsl import api
from netdsl.cli import main
from netdsl.codes import CODES, explain

PACKAGE = Path(netdsl.__file__).parent
SPECS = [code for code in CODES if code < "E5"]
EMITTED = "E508"
"""The code that a spec gives only when a backend writes it."""
BACKENDS = entry_points(group="netdsl.backends").names
COMMANDS = [code for code in CODES if CODES[code].bad.startswith("netdsl ")]


def found(text: str) -> set[str]:
    """Return the codes that checking all nets of a spec gives."""
    codes: set[str] = set()
    try:
        file = api.read_text(text)
        for name in api.instances(file):
            net = netdsl.Network(api.recipe(file, name, {}, {}))
            codes |= {d.code for d in net.check()}
    except netdsl.NetError as error:
        codes |= {d.code for d in error.diagnostics}
    return codes


@pytest.mark.parametrize("code", SPECS)
def test_bad_example_gives_exactly_its_code(code: str) -> None:
    assert found(CODES[code].bad) == {code}


@pytest.mark.parametrize("code", SPECS)
def test_good_example_gives_nothing(code: str) -> None:
    assert found(CODES[code].good) == set()


@pytest.mark.parametrize("code", COMMANDS)
def test_misuse(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(CODES[code].bad)[1:]) == CODES[code].status
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error[{code}]: ")
    assert printed.err.endswith("\n1 error\n")
    assert not printed.out
    if CODES[code].good and ("torch" in BACKENDS or "compile" not in CODES[code].good):
        assert main(shlex.split(CODES[code].good)[1:]) == 0


@pytest.mark.skipif("torch" not in BACKENDS, reason="no backend is installed")
def test_what_only_a_backend_refuses() -> None:
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(CODES[EMITTED].bad).emit("torch")
    assert [d.code for d in caught.value.diagnostics] == [EMITTED]
    assert "class N(" in api.loads(CODES[EMITTED].good, net="n").emit("torch")


def test_misuse_of_the_library() -> None:
    with pytest.raises(netdsl.NetError, match=r"error\[E503\]: unknown by `colour`"):
        netdsl.load("lenet").cost_table(by="colour")


def test_every_code_is_in_the_catalogue_and_every_entry_is_used() -> None:
    folders = [PACKAGE, PACKAGE.parent / "backends", PACKAGE.parent / "frontends"]
    files = [path for folder in folders for path in folder.rglob("*.py") if path.name != "codes.py"]
    emitted = {code for path in files for code in re.findall(r'"(E\d{3})"', path.read_text(encoding="utf-8"))}
    assert emitted == set(CODES)
    assert list(CODES) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_explanation(code: str) -> None:
    text = explain(code)
    assert text.startswith(f"{code}: {CODES[code].title}\n")
    assert max(map(len, text.splitlines())) <= 120
    assert not CODES[code].title.endswith(".")


@pytest.mark.parametrize("backend", ["torch", "flax"])
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ("        {}\n        relu\n", "in front of features"),
        ("        relu\n        {}\n", "behind features"),
        ("        relu\n        {from}\n        tanh\n", "behind features"),
        ("        relu\n        {}\n        tanh\n", "behind features, which ends where this line stands"),
        (
            "        b: relu\n        {b}\n        tanh\n",
            "behind features, which ends where this line stands",
        ),
        (
            "        c:\n            relu\n            {}\n",
            "behind features, which ends where this line stands",
        ),
    ],
)
def test_where_an_output_in_training_is_written(body: str, where: str, backend: str) -> None:
    for mark, read in (("{}", ""), ("{from}", "from a -> "), ("{b}", "from b -> ")):
        body = body.replace(mark, f"train output aux: {read}gap")
    net = "net N:\n    input 3, 8x8\n    a: relu\n    {before}features:\n{body}    {behind}head: gap\n"
    with pytest.raises(netdsl.NetError) as caught:
        api.loads(net.format(before="", body=body, behind="")).emit(backend)
    (error,) = caught.value.diagnostics
    assert error.help.startswith(f"write it in the net's own body, {where}")
    where, _, said = error.help.partition(": ")
    if said:
        assert error.span is not None
        assert error.span.text == said
        sides = {"before": "", "behind": ""}
        sides["behind" if "behind" in where else "before"] = f"{said}\n    "
        rest = "".join(row for row in body.splitlines(keepends=True) if said not in row)
        assert api.loads(net.format(body=rest, **sides)).emit(backend)
