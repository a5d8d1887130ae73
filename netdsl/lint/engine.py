"""Running the rules: over every net of a file, then merging what they found and working out what it saves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from netdsl.collector import no_collection
from netdsl.diagnostics import Diagnostic, Frame, Label, internal
from netdsl.elaborate.build import Recipe
from netdsl.elaborate.lines import allowances
from netdsl.elaborate.result import Allow
from netdsl.elaborate.values import FileScope, SpecError
from netdsl.ir.graph import Node
from netdsl.lint.config import Settings
from netdsl.lint.edits import Text
from netdsl.lint.facts import Facts, FileFacts
from netdsl.lint.finding import Finding, InNet, saved
from netdsl.lint.rule import SEVERITIES, Hit, Rule
from netdsl.net import Net
from netdsl.quantities import weighed
from netdsl.source import Source, Span
from netdsl.syntax import tree

MAX_CALLS = 4
"""The most calls of blocks that a finding points at."""

T = TypeVar("T")
Key = tuple[str, str, int, int]
"""Code, file, start, end: what the hits of one finding share."""


class Loaded(NamedTuple):
    """A file with its nets; `complete` if these are all, and none is a sample of a search space."""

    file: FileScope
    nets: Sequence[Net]
    complete: bool


class Run:
    """One file under the rules, with those of its nets that could be elaborated."""

    def __init__(self, loaded: Loaded, settings: Settings) -> None:
        """Make the tables that the rules share."""
        file, nets, complete = loaded
        source = file.source
        self.text = Text(source, file.tree)
        self.spec = source.name.replace("\\", "/").rpartition("/")[2]
        self.facts = [
            Facts(net, self.text, tuple(settings.limits(net.name, self.spec)), settings.step) for net in nets
        ]
        self.settings = settings
        self.rules = settings.rules(source.name)
        self.complete = complete
        self.wrong: list[Diagnostic] = []
        """Of `@allow`s that say nothing, and of rules that raised: the others go on."""
        self.allows = self._allows()
        self._used: set[Span] = set()

    @no_collection()
    def findings(self) -> list[Finding]:
        """Return what the rules found, in the order of the text."""
        found: dict[Key, list[tuple[Rule, Facts | None, list[Hit]]]] = {}
        for late in (False, True):
            file = self._file()
            for rule in self.rules:
                if rule.last == late:
                    self._gather(rule, file, found)
        merged: list[Finding] = []
        for hits in found.values():
            rule = hits[0][0]
            merged += self._guarded(rule, partial(self._merge, rule, hits))
        return sorted(merged, key=_place)

    def _guarded(self, rule: Rule, run: Callable[[], Iterable[T]]) -> list[T]:
        """Return what comes of what a rule has written: where it raises nothing does, which is said once."""
        try:
            return list(run())
        except MemoryError:
            raise
        except Exception as error:
            said = internal(error, f"rule {rule.code} {rule.name()}: internal error")
            if not any(one.message == said.message for one in self.wrong):
                self.wrong.append(said)
            return []

    def _gather(
        self, rule: Rule, file: FileFacts, found: dict[Key, list[tuple[Rule, Facts | None, list[Hit]]]]
    ) -> None:
        for facts in (None, *self.facts):
            check = partial(rule.check_file, file) if facts is None else partial(rule.check, facts)
            groups: dict[Key, list[Hit]] = {}
            for hit in self._guarded(rule, check):
                span = hit.span
                if not (self._allowed(rule, hit, facts) or self._ignored(rule, span.source)):
                    groups.setdefault((rule.code, span.source.key, span.start, span.end), []).append(hit)
            for key, group in groups.items():
                found.setdefault(key, []).append((rule, facts, group))

    # ---------------------------------------------------------------- @allow

    def _allows(self) -> tuple[Allow, ...]:
        """Return every `@allow` of the file, in whatever is never built too."""
        if "@" not in self.text.source.text:
            return ()
        nodes = [node for node in self.text.nodes if isinstance(node, tree.Annotated)]
        found: list[Allow] = []
        for node in nodes:
            try:
                found += allowances(node, self.text.source)
            except SpecError as error:  # in a block that nobody builds: elaboration has not seen it
                self.wrong.append(error.diagnostic)
        return tuple(found)

    def _allowed(self, rule: Rule, hit: Hit, facts: Facts | None) -> bool:
        """Tell whether an `@allow` covers a hit; those of imported files do too."""
        allows = dict.fromkeys((*self.allows, *(facts.net.allows if facts is not None else ())))
        name, allowed = rule.name(), False
        for allow in allows:
            if allow.rule == name and any(allow.about.covers(place) for place in _places(hit, facts)):
                self._used.add(allow.span)
                allowed = True
        return allowed

    def _ignored(self, rule: Rule, source: Source) -> bool:
        """Tell whether a rule is off in a file that is imported."""
        return source is not self.text.source and self.settings.ignores(type(rule), source.name)

    def _file(self) -> FileFacts:
        """Return the file, with the `@allow`s that were used until now."""
        file = FileFacts(self.text)
        on = {rule.name() for rule in self.rules}
        file.allows = tuple(
            (allow, allow.span in self._used or not self._known(allow, on)) for allow in self.allows
        )
        return file

    def _known(self, allow: Allow, on: set[str]) -> bool:
        """Tell whether everything that an `@allow` could silence was looked at."""
        if not self.complete or allow.rule not in on:
            return False
        around = [
            node
            for node in self.text.file.items
            if node.start <= allow.about.start and allow.about.end <= node.end
        ]
        inner = (
            around[0].statement if around and isinstance(around[0], tree.Annotated) else (*around, None)[0]
        )
        built = any(next(facts.written_in(allow.about), None) is not None for facts in self.facts)
        return built or not isinstance(inner, tree.Block)

    # ---------------------------------------------------------------- findings

    def _merge(self, rule: Rule, hits: list[tuple[Rule, Facts | None, list[Hit]]]) -> Iterator[Finding]:
        """Yield the one finding of all hits of a rule at one place."""
        nets: list[tuple[InNet, Hit, Facts]] = []
        for _, facts, group in hits:
            if facts is None:
                fix = group[0].fix
                ours = group[0].span.source is self.text.source
                yield Finding(type(rule), group[0], (), self.spec, fixable=fix is not None and ours)
                return
            changes = tuple(hit.change for hit in group if hit.change is not None)
            layers = tuple(dict.fromkeys(hit.layer for hit in group if hit.layer))
            saving = saved(facts.net, changes) if len(changes) == len(group) else None
            worst = min(group, key=lambda hit: SEVERITIES.index(hit.severity or rule.severity))
            nets.append((InNet(facts.name, layers, saving, facts.amounts, changes, facts.net), worst, facts))
        nets.sort(key=lambda item: -_share(item[0]))
        _, hit, facts = nets[0]
        everywhere = all(one.fix == hit.fix for _, _, group in hits for one in group)
        fixable = hit.fix is not None and everywhere and self._fixable(hit, [item[0] for item in nets])
        local = facts.local(hit.layer)
        hit = hit.replace(labels=(*hit.labels, *_told_apart(hit, nets[0][0].layers, facts)))
        yield Finding(type(rule), hit, tuple(item[0] for item in nets), self.spec, local, fixable)

    def _fixable(self, hit: Hit, nets: list[InNet]) -> bool:
        """Tell whether a line can be edited: it is the file's own, and every layer that it makes is meant."""
        known = all(net.saving is not None for net in nets)
        if not (self.complete and hit.span.source is self.text.source and known):
            return False
        if hit.within:  # what else the line says is up to the rule's edits, in nets where it finds something
            about = [
                facts for facts in self.facts if any(self.text.covers(hit.span, node) for node in facts.nodes)
            ]
            return {facts.name for facts in about} <= {net.name for net in nets}
        made = sum(len(facts.written_at(hit.span, hit.kind)) for facts in self.facts)
        return made == sum(len(net.layers) for net in nets)


def sample(recipe: Recipe) -> tuple[Net, int]:
    """Return the net of a search space that takes the first option everywhere, and how many decisions it has."""
    first = recipe.first()
    return Net(recipe.given(first)), len(first)


def _told_apart(hit: Hit, layers: Sequence[str], facts: Facts) -> Iterator[Label]:
    """Yield the calls of blocks that tell the layers of a finding from others of the same line, if some do.

    Those are the innermost ones that make layers of one kind only, with what they alone give.
    """
    found: list[Node] = []
    others: list[Node] = []
    names = set(layers)
    for node in facts.written_at(hit.span, hit.kind):
        (found if node.name in names else others).append(node)
    if not others or hit.within:
        return
    for depth in range(min(len(node.calls) for node in (*found, *others))):
        ours = {_call(node.calls[depth]): node.calls[depth] for node in found}
        theirs = {_call(node.calls[depth]): node.calls[depth] for node in others}
        if ours.keys().isdisjoint(theirs):
            break
    else:
        return
    given = {(one.name, one.value) for frame in theirs.values() for one in frame.arguments}
    for frame in [*ours.values()][:MAX_CALLS]:
        own = [one for one in frame.arguments if (one.name, one.value) not in given]
        at = own[0].span if len(own) == 1 else None
        said = f"with {', '.join(map(str, own))}" if len(own) in (1, 2) else "here"
        yield Label(at if at is not None and frame.span.covers(at) else frame.span, said)


def _call(frame: Frame) -> tuple[Span, tuple[str, ...]]:
    """Return a call's text, with what of it only the first copy of a repetition is given."""
    of_first = [one for one in frame.arguments if one.span is not None and one.span.text.endswith(" first")]
    return frame.span, tuple([one.value for one in of_first])


def _share(found: InNet) -> float:
    """Return how much of a net a finding would save."""
    if found.saving is None:
        return 0.0
    return sum(q.part(found.saving[q.name], found.total) for q in weighed() if q.brief)


def _places(hit: Hit, facts: Facts | None) -> Iterator[Span]:
    """Yield every text that a hit is in: its own, the calls of blocks, the net, the variant."""
    yield hit.span
    yield from hit.within
    yield from (frame.span for frame in hit.calls)
    if facts is not None:
        yield from facts.declarations


def _place(finding: Finding) -> tuple[str, int, str, int]:
    span = finding.hit.span
    return span.source.name, span.start, finding.code, span.end
