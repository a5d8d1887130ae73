"""The linter: rules that look at nets, what they found, and how it is mended.

rule.py      what a rule is, and how to write one (read this first)
rules/       the rules, one module each
facts.py     what rules ask of a net
edits.py     small edits of a spec's text
engine.py    running the rules over the nets of a file; @allow; merging
finding.py   what comes out
fix.py       applying edits, and proving that they do what was promised
step.py      how a net is trained, for rules that are about that
config.py    pyproject.toml and netdsl.toml
baseline.py  findings that are known and left alone
output.py    text, JSON, GitHub's commands; sarif.py: SARIF
docs.py      docs/rules.md
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from netdsl.diagnostics import NetError
from netdsl.lint.config import Settings, check_words
from netdsl.lint.engine import Loaded, Run
from netdsl.lint.finding import Finding
from netdsl.lint.step import checked

if TYPE_CHECKING:
    from netdsl.net import Net

__all__ = ["Finding", "Settings", "lint"]


def lint(
    net: Net,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    batch: int | None = None,
    micro_batches: int = 1,
) -> list[Finding]:
    """Return what the rules find in one net; `select` and `ignore` are codes, beginnings of codes, or names.

    With a `batch`, and its number of `micro_batches`, rules about a step of training look, too. An `@allow` that
    silences nothing is not reported: another net of the file may need it.

    Raises:
        NetError: There is no such rule, a rule has raised, an `@allow` says nothing, or no step is like that.
    """
    decl = net.recipe.variant or net.recipe.net
    on, off = ((words,) if isinstance(words, str) else tuple(words) for words in (select, ignore))
    check_words(on, "select")
    check_words(off, "ignore")
    step = None if batch is None and micro_batches == 1 else checked(batch, micro_batches)
    run = Run(Loaded(decl.file, [net], complete=False), Settings(select=on, ignore=off, step=step))
    findings = run.findings()
    if run.wrong:
        raise NetError(run.wrong)
    return findings
