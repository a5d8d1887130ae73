"""Knowledge of ops lives on the op: nowhere else does code ask for ops by their names, but where EXCEPT says why."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import netdsl
from netdsl.ops import catalogue

NETDSL = Path(netdsl.__file__).parent
ROOT = NETDSL.parent
FILES = {
    path.relative_to(ROOT).as_posix(): path
    for path in sorted([*NETDSL.rglob("*.py"), *(ROOT / "backends").rglob("*.py")])
    if NETDSL / "ops" not in path.parents and path.stem != "lowering"
}
EXCEPT = {
    ("netdsl/elaborate/layers.py", "add mul concat"): "words of the language: where a fork may end",
    (
        "netdsl/ir/types.py",
        "relu identity sigmoid tanh selu leaky_relu",
    ): "words of initialisers: torch's gains",
}
"""By file and names, in their order, why they stand there."""


def listed(text: str, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the names of each list of two or more that are all among `names`.

    Lists are tuples, lists, sets, keys of a dict, the words of a text that is split, what alternatives of a pattern
    match, the arguments of a call, and what `==` compares with between `or`s and `and`s.
    """
    known = frozenset(names)
    for node in ast.walk(ast.parse(text)):
        found = [part.value if isinstance(part, ast.Constant) else None for part in _parts(node)]
        words = [word for word in found if isinstance(word, str) and word in known]
        if len(words) == len(found) >= 2:
            yield node.lineno, " ".join(words)  # type: ignore[attr-defined]


def _parts(node: ast.AST) -> list[ast.expr | None]:
    match node:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            return list(parts)
        case ast.Dict(keys=keys):
            return list(keys)
        case ast.MatchOr(patterns=patterns):
            return [one.value if isinstance(one, ast.MatchValue) else None for one in patterns]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(words)), attr="split"), args=[]):
            return [ast.Constant(word) for word in words.split()]
        case ast.Call(args=args):
            return list(args)
        case ast.BoolOp(values=values):
            return [
                one.comparators[0] if isinstance(one, ast.Compare) and len(one.comparators) == 1 else None
                for one in values
            ]
    return []


def compared(text: str, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each comparison of something's `name` with that of an op.

    It may be by `==` or `in`, or a pattern, or a call of the linter's `facts.of`, which takes a kind.
    """
    known = frozenset(names)
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
            case ast.Match():
                cases = [case.pattern for case in node.cases]
                sides = [node.subject, *[one.value for one in cases if isinstance(one, ast.MatchValue)]]
            case ast.Call(func=ast.Attribute(attr="of"), args=args):
                sides = [ast.Attribute(node.func, "name", ast.Load()), *args]
            case _:
                continue
        if any(isinstance(side, ast.Attribute) and side.attr == "name" for side in sides):
            for word in (part for side in sides for part in (side, *_parts(side))):
                if isinstance(word, ast.Constant) and word.value in known:
                    yield node.lineno, str(word.value)


@pytest.mark.parametrize("file", FILES)
def test_no_comparison_with_the_name_of_an_op(file: str) -> None:
    for line, name in compared(FILES[file].read_text(encoding="utf-8"), catalogue()):
        pytest.fail(f"{file}:{line} asks for {name}: ask the op, by a trait or its class")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("node.op.name == 'conv'", ["conv"]),
        ("'conv' != op.name", ["conv"]),
        ("op.name in ('conv',)", ["conv"]),
        ("match op.name:\n case 'conv':\n  pass", ["conv"]),
        ("facts.of('conv')", ["conv"]),
        ("facts.of(Conv)", []),
        ("node.op.name == name", []),
        ("op.name == 'kernel'", []),
        ("mode == 'pad'", []),
    ],
)
def test_what_a_comparison_is(text: str, names: list[str]) -> None:
    assert [found for _, found in compared(text, catalogue())] == names


@pytest.mark.parametrize("file", FILES)
def test_no_lists_of_ops(file: str) -> None:
    found = list(listed(FILES[file].read_text(encoding="utf-8"), catalogue()))
    for line, names in found:
        assert (file, names) in EXCEPT, f"{file}:{line} lists {names}: ask the op, by a trait or its class"
    assert {names for _, names in found} == {names for other, names in EXCEPT if other == file}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x in ('conv', 'fc')", ["conv fc"]),
        ("x in {'conv', 'fc'} or x in ['fc', 'bn']", ["conv fc", "fc bn"]),
        ("KIND = {'conv': 1, 'fc': 2}", ["conv fc"]),
        ("frozenset('conv fc'.split())", ["conv fc"]),
        ("facts.of('conv', 'fc')", ["conv fc"]),
        ("match x:\n case 'conv' | 'fc':\n  pass", ["conv fc"]),
        ("x == 'conv' or x == 'fc'", ["conv fc"]),
        ("x != 'conv' and x != 'fc'", ["conv fc"]),
        ("x == 'conv'", []),
        ("('conv',)", []),
        ("('conv', 'kernel')", []),
        ("{'conv': 1, **more}", []),
        ("y.split('conv')", []),
        ("(1, 2)", []),
    ],
)
def test_what_a_list_is(text: str, names: list[str]) -> None:
    assert [found for _, found in listed(text, catalogue())] == names
