"""The Markdown cases: every diagnostic is expected, every expectation is met."""

import os
from pathlib import Path

import pytest
from case_files import Case, expectations, read, run

from netdsl.render import render_text

FOLDER = Path(__file__).parent / "cases"
PATHS = sorted(FOLDER.glob("*.md"))
CASES = [pytest.param(path, case, id=f"{path.stem}-{case.name}") for path in PATHS for case in read(path)]


@pytest.mark.parametrize(("path", "case"), CASES)
def test_case(path: Path, case: Case) -> None:
    specs = [block for block in case.blocks if block.language == "net"]
    main = next(block for block in specs if "file" not in block.options)
    text, expected = expectations(main.text)
    files = {block.options["file"]: block.text for block in specs if "file" in block.options}
    diagnostics, nets = run(text, files, main.options)

    shown = "\n\n".join(render_text(d) for d in diagnostics)
    for d in diagnostics:
        assert d.span is not None, shown
        assert 0 <= d.span.start <= d.span.end <= len(d.span.source.text), shown
    wanted = [(e.line, code, part) for e in expected for code, part in e.errors]
    found = [(d.span.line, d.code, d.message) for d in diagnostics if d.span]
    missing = [w for w in wanted if not any(f[:2] == w[:2] and w[2] in f[2] for f in found)]
    more = [f for f in found if not any(f[:2] == w[:2] and w[2] in f[2] for w in wanted)]
    assert not missing and not more, f"\nexpected: {missing}\nunexpected: {more}\n{shown}"
    for e in expected:
        helps = [d.help for d in diagnostics if d.span and d.span.line == e.line]
        assert all(any(part in help for help in helps) for part in e.helps), shown
        for net in nets:
            lines = [n for n in net.graph if n.span.line == e.line and n.span.source.name == "case.net"]
            assert not e.shapes or lines, f"no layer in line {e.line}"
            assert [str(net.shapes[lines[-1].name][-1]) for _ in e.shapes] == e.shapes
    check_snapshot(path, case, shown)


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
