"""The Markdown cases: every diagnostic is expected, every expectation is met."""

import os
from pathlib import Path

import pytest
from case_files import Case, Expected, expectations, read, run

from netdsl.diagnostics import Diagnostic
from netdsl.diagnostics.render import render_text
from netdsl.ir.graph import Node
from netdsl.source import Span

MAIN = "case.net"

FOLDER = Path(__file__).parent / "cases"
PATHS = sorted(FOLDER.glob("*.md"))
CASES = [pytest.param(path, case, id=f"{path.stem}-{case.name}") for path in PATHS for case in read(path)]


@pytest.mark.parametrize(("path", "case"), CASES)
def test_case(path: Path, case: Case) -> None:
    main = next(b for b in case.blocks if b.language == "net" and "file" not in b.options)
    files: dict[str, str] = {}
    expected: list[Expected] = []
    for block in case.blocks:
        if block.language == "net":
            name = block.options.get("file", MAIN)
            files[name], more = expectations(block.text, name)
            expected += more
    diagnostics, nets = run(files.pop(MAIN), files, main.options)
    shown = "\n\n".join(render_text(d) for d in diagnostics)
    check_errors(diagnostics, expected, shown)
    for e in expected:
        for net in nets:
            nodes = [
                n for n in net.graph if {(s.source.name, s.line) for s in places(n)} & {(e.file, e.line)}
            ]
            assert not e.shapes or nodes, f"no layer in line {e.line}"
            assert [str(net.shapes[nodes[-1].name][-1]) for _ in e.shapes] == e.shapes
    check_snapshot(path, case, shown)


def places(node: Node) -> list[Span]:
    return [node.span, *(frame.span for frame in node.calls)]


def check_errors(diagnostics: list[Diagnostic], expected: list[Expected], shown: str) -> None:
    found = []
    for d in diagnostics:
        assert d.span is not None, shown
        assert 0 <= d.span.start <= d.span.end <= len(d.span.source.text), shown
        found.append((d.span.source.name, d.span.line, d.code, d.message))
    wanted = [(e.file, e.line, code, part) for e in expected for code, part in e.errors]
    missing = [w for w in wanted if not any(f[:3] == w[:3] and w[3] in f[3] for f in found)]
    more = [f for f in found if not any(f[:3] == w[:3] and w[3] in f[3] for w in wanted)]
    assert not missing, f"\nexpected: {missing}\n{shown}"
    assert not more, f"\nunexpected: {more}\n{shown}"
    for e in expected:
        helps = [d.help for d in diagnostics if d.span and (d.span.source.name, d.span.line) == e[:2]]
        assert all(any(part in help for help in helps) for part in e.helps), shown


def check_snapshot(path: Path, case: Case, shown: str) -> None:
    if case.snapshot is None or case.snapshot == shown + "\n":
        return
    assert os.environ.get("NETDSL_UPDATE"), f"\n{shown}"
    before, heading, after = path.read_text(encoding="utf-8").partition(f"## {case.name}\n")
    old = f"```error\n{case.snapshot}```"
    path.write_text(before + heading + after.replace(old, f"```error\n{shown}\n```", 1), encoding="utf-8")


def test_cases_are_many_and_say_why() -> None:
    cases = [case for path in PATHS for case in read(path)]
    assert len(cases) >= 60
    assert all(case.prose for case in cases)
    for path in PATHS:
        names = [case.name for case in read(path)]
        assert len(set(names)) == len(names), path
