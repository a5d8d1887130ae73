"""netdsl lint: what is wrong with an architecture, what it costs, and how it is mended."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netdsl import reading
from netdsl.cli import common
from netdsl.cli.common import (
    expanded,
    files,
    inputs,
    left_out,
    misuse,
    note,
    paths,
    positive,
    print_json,
    put,
    report,
    rewrite,
    settings,
    spec_arguments,
    status_of,
    watch_option,
    write,
)
from netdsl.diagnostics import Diagnostic, NetError

if TYPE_CHECKING:
    from netdsl.elaborate.values import FileScope
    from netdsl.lint.baseline import Entry
    from netdsl.lint.config import Settings
    from netdsl.lint.engine import Loaded
    from netdsl.lint.finding import Finding
    from netdsl.lint.step import Step

HELP = "look for what is wrong, costly or hard to train, and mend it"
EXAMPLES = (
    "netdsl lint my_net.net --fix",
    "netdsl lint nets/ --select ALL --format concise",
    "netdsl lint resnet50 --batch 32 --micro-batches 16 --select micro_batch_norm",
)
SEVERITIES = ("error", "warning", "info")


def add(sub: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    spec_arguments(sub, many=True, here=True)
    rules = "rules: codes, beginnings of codes, names, audit or ALL, with commas; repeatable"
    sub.add_argument("--select", action="append", metavar="RULES", help=f"only these {rules}")
    sub.add_argument("--ignore", action="append", default=[], metavar="RULES", help=f"not these {rules}")
    sub.add_argument(
        "--fix", action="store_true", help="mend the files, keeping the function and all weights"
    )
    sub.add_argument("--diff", action="store_true", help="show what --fix would change, and write nothing")
    sub.add_argument(
        "--unsafe-fixes",
        action="store_true",
        help="with --fix or --diff: also change the function, or weights so that checkpoints no longer load",
    )
    sub.add_argument(
        "--batch", type=positive, metavar="N", help="samples of a step of training, for rules about one"
    )
    sub.add_argument(
        "--micro-batches", type=positive, metavar="N", help="into how many the batch is divided (1)"
    )
    watch_option(sub)
    sub.add_argument(
        "--format",
        choices=("text", "concise", "json", "sarif", "github"),
        default="text",
        help="concise: one line a finding",
    )
    sub.add_argument(
        "--list-rules", action="store_true", help="show every rule, or those of --select and --ignore"
    )
    sub.add_argument("--statistics", action="store_true", help="only count what each rule found")
    sub.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        help="exit with 1 from this severity on (warning, or what the configuration says)",
    )
    sub.add_argument("--baseline", metavar="FILE", help="leave out what FILE knows")
    sub.add_argument("--write-baseline", action="store_true", help="make FILE know what is found today")


def run(args: argparse.Namespace) -> int:
    """Lint every net of every spec, mend what is to be mended, show what is left."""
    _check_options(args)
    if args.list_rules:
        return _list_rules(args)
    work = Work(args)
    for spec in args.spec or ["."]:
        work.look(spec)
    if args.diff:
        put("".join(work.differences))
    findings = work.merged()
    if args.write_baseline:
        if not work.wrong and not work.baselines(findings):
            misuse(
                "E524", "--write-baseline needs a file", "netdsl lint SPEC --baseline FILE --write-baseline"
            )
        _write_baseline(work, findings)
        return report(work.wrong) if work.wrong else 0
    findings = work.unknown(findings)
    if not args.diff:
        _print(args, findings, work)
    if args.diff and findings and not work.differences:
        mended = (
            "has a fix"
            if args.unsafe_fixes
            else "has a fix that changes no weights (--unsafe-fixes for others)"
        )
        these = f"none of the {len(findings)} findings" if len(findings) > 1 else "the one finding"
        work.notes.append(f"nothing to mend: {these} {mended}; they are shown without --diff")
    if args.diff or args.format in ("text", "concise"):
        for said in work.notes:
            note(f"note: {said}")
        if work.wrong and (args.diff or args.format == "text"):
            report(work.wrong)
    return max(int(any(work.fails(finding) for finding in findings)), status_of(work.wrong))


class Work:
    """What the specs have given so far."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Start with nothing."""
        self.args = args
        self.findings: list[Finding] = []
        self.wrong: list[Diagnostic] = []
        self.notes: list[str] = []
        self.differences: list[str] = []
        self.reads: list[Path] = []
        """The files that they were read from, and their settings."""

        self._configured: dict[Path, Settings] = {}
        """The project's settings, by the folder that they are for."""
        self._levels: dict[str, str] = {}
        """By file from which severity on the status is 1, where its configuration says so."""
        self._baselines: dict[str, str] = {}
        """By spec the baseline that holds for it, where there is one."""
        self._known: dict[str, list[Entry]] = {}
        """The entries of baselines, by their files."""
        self.looked: set[tuple[str, str]] = set()
        """The specs, and codes of rules, of which all findings are known."""

    def look(self, spec: str) -> None:
        """Lint one spec, or those in a folder."""
        try:
            for one in expanded(spec):
                self.lint(one)
        except NetError as error:
            self.fail(error.diagnostics)

    def fail(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Keep what is wrong: a configuration's error once, however many files it is for."""
        self.wrong += [one for one in diagnostics if one not in self.wrong]

    def baseline(self, settings: Settings) -> str:
        """Return which baseline holds, "" for none."""
        return str(self.args.baseline or settings.baseline)

    def known(self, file: str) -> list[Entry]:
        """Return the entries of a baseline, which is read once; none of one that is to be made anew."""
        from netdsl.lint import baseline

        if not file or self.args.write_baseline:
            return []
        if file not in self._known:
            self._known[file] = baseline.read(Path(file))
        return self._known[file]

    def baselines(self, findings: Sequence[Finding]) -> dict[str, list[Finding]]:
        """Return the findings by the baseline that holds for them, where there is one."""
        return {
            file: [finding for finding in findings if self._baselines.get(finding.spec) == file]
            for file in self._baselines.values()
        }

    def unknown(self, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings that no baseline holds, and note what these hold in vain."""
        from netdsl.lint import baseline

        hidden: set[int] = set()
        for file, about in self.baselines(findings).items():
            known = self.known(file)
            self.notes += baseline.stale(about, known, self.looked, file)
            hidden |= {id(f) for f in about} - {id(f) for f in baseline.unknown(about, known)}
        return [finding for finding in findings if id(finding) not in hidden]

    def fails(self, finding: Finding) -> bool:
        """Tell whether a finding makes the status 1."""
        level = self.args.fail_on or self._levels.get(finding.spec) or "warning"
        return SEVERITIES.index(finding.severity) <= SEVERITIES.index(level)

    def lint(self, spec: str) -> None:
        """Lint one spec; keep what is wrong with it."""
        from netdsl.lint.engine import Run

        try:
            file, name = files(spec, self.args)
            self.reads += paths(file)
            chosen = self.settings(file.source.path)
            self.reads += [Path(chosen.origin)] if chosen.origin else []
            if self.args.fix or self.args.diff:
                file = self.mend(spec, name, file, chosen)
            loaded = self.load(file, name, self.wrong)
            if not name and (left := left_out(file, settings(self.args))):
                self.notes.append(left)
        except NetError as error:
            self.fail(error.diagnostics)
            return
        run = Run(loaded, chosen)
        if chosen.fail_on:
            self._levels[run.spec] = chosen.fail_on
        if self.baseline(chosen):
            self._baselines[run.spec] = self.baseline(chosen)
        if loaded.complete:
            self.looked |= {(run.spec, rule.code) for rule in run.rules}
        findings = run.findings()
        if any(finding.fixable for finding in findings):
            findings = self.proven(file, loaded, findings)
        self.findings += findings
        self.fail(run.wrong)

    def settings(self, path: Path | None) -> Settings:
        """Return the project's settings for a file, changed by the options."""
        from netdsl.lint import config

        folder = path.parent if path is not None else Path()
        if folder not in self._configured:
            self._configured[folder] = config.load(folder)
        chosen = self._configured[folder]
        select, ignore = _chosen(self.args)
        return chosen.replace(
            select=select or chosen.select,
            ignore=(*chosen.ignore, *ignore),
            step=_step(self.args, chosen.step),
        )

    def load(self, file: FileScope, name: str, wrong: list[Diagnostic] | None = None) -> Loaded:
        """Return the nets of a file, of a search space its first one; an error is kept in `wrong`, or raised."""
        from netdsl import api
        from netdsl.elaborate.build import is_open
        from netdsl.lint.engine import Loaded, sample
        from netdsl.net import Net

        nets: list[Net] = []
        complete = not name
        given, shapes = settings(self.args), inputs(self.args)
        seen = {(d.code, d.message, d.span) for d in wrong or ()}
        made = name or api.instances(file, given)
        for recipe in api.recipes(file, name, given, shapes, self.args.max_nodes) if made else ():
            try:
                try:
                    nets.append(Net(recipe))
                except NetError as error:
                    if not is_open(error):
                        raise
                    net, decisions = sample(recipe)
                    said = f"{net.name}: a search space, looked at with the first option of its {decisions} decisions"
                    self.notes += [said] if said not in self.notes else []
                    nets.append(net)
                    complete = False
            except NetError as error:
                if wrong is None:
                    raise
                complete = False
                wrong += [d for d in error.diagnostics if (d.code, d.message, d.span) not in seen]
                seen |= {(d.code, d.message, d.span) for d in error.diagnostics}
        return Loaded(file, nets, complete)

    def again(self, path: Path | None) -> Callable[[str], Loaded]:
        """Return what loads another text of a file, or of standard input."""
        from netdsl import api

        def load(text: str) -> Loaded:
            file = api.read_text(text) if path is None else api.reread(path, text, self.args.path)
            return self.load(file, "")

        return load

    def proven(self, file: FileScope, loaded: Loaded, findings: Sequence[Finding]) -> list[Finding]:
        """Return the findings with what their fixes are when they are tried; of a packaged file there are none."""
        from netdsl import data
        from netdsl.lint.fix import proven

        if file.source.name in data.names("specs", ".net") and file.source.path is None:
            return [finding.replace(fixable=False) for finding in findings]
        return proven(findings, loaded, self.again(file.source.path))

    def mend(self, spec: str, name: str, file: FileScope, chosen: Settings) -> FileScope:
        """Mend a file, or keep the difference that it would make; return what is to be looked at."""
        from netdsl import api, data
        from netdsl.lint.fix import fix

        path = file.source.path
        if path is None or path.resolve().is_relative_to(data.folder("specs").resolve()):
            misuse("E525", f"{spec} is no file of yours to be mended", "copy it, or give the path of a file")
        if name:
            help = f"netdsl lint {path or spec.rpartition(':')[0]} --fix"
            misuse("E525", f"{spec} is one net of a file, and a line belongs to all of them", help)

        before = file.source.text
        known = self.known(self.baseline(chosen))
        fixed = fix(before, self.again(path), chosen, self.args.unsafe_fixes, known)
        if fixed.text == before:
            return file
        if self.args.diff:
            self.differences += _difference(before, fixed.text, str(path))
            return file
        rewrite(path, before, fixed.text)
        count = len(fixed.applied)
        self.notes.append(f"{path}: mended {count} finding{'s' if count > 1 else ''}")
        moved = [name for f in fixed.applied if f.hit.fix is not None for name in f.hit.fix.moved]
        if moved:
            self.notes.append(f"{path}: checkpoints no longer load, such as `{moved[0]}`")
        return api.reread(path, fixed.text, self.args.path)

    def merged(self) -> list[Finding]:
        """Return the findings; one that several files import is there once, with the nets of all."""
        merged: dict[tuple[object, ...], Finding] = {}
        for finding in self.findings:
            span = finding.hit.span
            key = (finding.code, span.source.key, span.start, span.end)
            if key in merged:
                first = merged[key]
                finding = first.replace(nets=(*first.nets, *finding.nets))
            merged[key] = finding
        return list(merged.values())


def _check_options(args: argparse.Namespace) -> None:
    if args.unsafe_fixes and not (args.fix or args.diff):
        misuse(
            "E525", "--unsafe-fixes says which fixes to make, but none are asked for", "add --fix or --diff"
        )
    if args.fix and args.diff:
        misuse("E525", "--fix writes and --diff only shows", "choose one of them")


def _list_rules(args: argparse.Namespace) -> int:
    """Show rules: code, name, severity, whether it is on by default and can mend, and what it finds."""
    from netdsl.lint import config, docs
    from netdsl.lint.rules import catalogue

    select, ignore = _chosen(args)
    rules = [
        rule
        for rule in catalogue().values()
        if (not select or config.chosen(rule, select)) and not config.chosen(rule, ignore)
    ]
    if args.format == "json":
        print_json({"version": 1, "rules": [docs.summary(rule) for rule in rules]})
    else:
        print(docs.table(rules, common.listed()))
    return 0


def _chosen(args: argparse.Namespace) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of --select and --ignore; raise NetError for one that means no rule."""
    from netdsl.lint import config

    select, ignore = _split(args.select or ()), _split(args.ignore)
    config.check_words(select, "--select")
    config.check_words(ignore, "--ignore")
    return select, ignore


def _step(args: argparse.Namespace, configured: Step | None) -> Step | None:
    """Return the step of training that the options say, or the configuration."""
    from netdsl.lint.step import checked

    if args.batch is None and args.micro_batches is None:
        return configured
    if args.batch is None and configured is None:
        misuse("E525", "--micro-batches says what a batch is divided into, but not which", "add --batch")
    batch = args.batch if configured is None else args.batch or configured.batch
    before = 1 if configured is None else configured.micro_batches
    return checked(batch, args.micro_batches or before)


def _split(options: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.strip() for option in options for word in option.split(",") if word.strip())


def _difference(before: str, after: str, name: str) -> Iterable[str]:
    from difflib import unified_diff

    from netdsl.diagnostics.render import printable

    def lines(text: str) -> list[str]:
        return [f"{line}\n" for line in text.split("\n")[:-1]] + [text.rpartition("\n")[2]] * (
            text[-1:] != "\n"
        )

    for line in unified_diff(lines(before), lines(after), name, name):
        end = "" if line.endswith("\n") else "\n\\ No newline at end of file"
        yield f"{printable(line.removesuffix(chr(10)))}{end}\n"


def _write_baseline(work: Work, findings: Sequence[Finding]) -> None:
    """Write what is found today into each baseline, and keep what it says of what was not looked at."""
    import json

    from netdsl.lint import baseline

    files = work.baselines(findings)
    for file, found in files.items():
        path = Path(file)
        try:
            known = baseline.read(path)
        except NetError:
            known = []  # there is none yet, or it is made anew
        text = json.dumps(baseline.render(found, known, work.looked), indent=2) + "\n"
        try:
            write(path, text, work.reads)
        except OSError as error:
            misuse("E510", f"cannot write {path}: {reading.reason(error)}")


def _print(args: argparse.Namespace, findings: Sequence[Finding], work: Work) -> None:
    """Print the findings, with what is wrong with a spec where the form has a place for it."""
    from netdsl.lint import output

    if args.format == "json":
        if args.statistics:
            print_json({"version": output.VERSION, "statistics": output.statistics(findings)})
        else:
            print_json(output.json_form(findings, work.wrong, work.notes))
        return
    if args.format == "sarif":
        from netdsl.lint import sarif

        print_json(sarif.render(findings, work.wrong))
        return
    if args.format == "github":
        commands = output.github(findings, work.wrong)
        print(commands, end="\n" if commands else "")
        return
    if work.wrong and not findings and args.format != "concise":
        return  # not even the configuration may have been read
    if args.statistics:
        print(output.statistics_text(findings))
    elif args.format == "concise":
        lines = output.concise(findings, work.wrong)
        print(lines, end="\n" if lines else "")
    elif findings or not (work.wrong or common.output.quiet):
        print(output.text(findings, common.output.colored(sys.stdout), common.width(sys.stdout)))
