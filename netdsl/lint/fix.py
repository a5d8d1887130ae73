"""Mending a file: edits are applied only if every net of the new text is the graph that was promised.

Those are safe that keep the function and the state: what was trained before goes on to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from netdsl.diagnostics import NetError
from netdsl.ir.graph import Node
from netdsl.lint.baseline import Entry, unknown
from netdsl.lint.config import Settings
from netdsl.lint.edits import Edit, apply
from netdsl.lint.engine import Loaded, Run
from netdsl.lint.finding import Finding
from netdsl.net import Net
from netdsl.ops import OpError
from netdsl.transforms.rewrite import Changed, Rewrite, RewriteError, signature

MAX_ROUNDS = 20
"""A fix may make another possible, but two that undo each other would go on for ever."""


Load = Callable[[str], Loaded]
"""Elaborates every net of a file that held this text; NetError if one is wrong."""


class Fixed:
    """What has become of a text."""

    def __init__(self, text: str) -> None:
        """Start with the text as it is."""
        self.text = text
        self.applied: list[Finding] = []


def fix(
    text: str, load: Load, settings: Settings, unsafe: bool = False, known: Sequence[Entry] = ()
) -> Fixed:
    """Return a text with every fix that keeps its promise; raise NetError if the text is wrong to begin with.

    What a baseline knows is left as it is.
    """
    fixed = Fixed(text)
    for _ in range(MAX_ROUNDS):
        before = load(fixed.text)
        findings = proven(unknown(Run(before, settings).findings(), known), before, load)
        together = _apart([f for f in findings if _wanted(f, unsafe)])
        new = _mended(together, before, load)
        if new is None or (
            new.moved and not unsafe
        ):  # each for itself is as promised, and all at once are not
            together = together[:1]
            new = _mended(together, before, load)
        if new is None:
            break
        fixed.text = new.text
        fixed.applied += together
    return fixed


def proven(findings: Sequence[Finding], loaded: Loaded, load: Load) -> list[Finding]:
    """Return findings that promise only what is so: each fix was tried.

    One whose text does not make the net that was promised is none. One is unsafe that changes which tensors the state
    of a net has, under which names and in which shapes: a checkpoint would not load any more.
    """
    kept = {id(f): f for f in findings if _wanted(f, True)}
    for key, finding in kept.items():
        kept[key] = _moving(finding, _taken(finding, loaded.nets))
    together = _apart([*kept.values()])
    whole = _mended(together, loaded, load)
    known = {name for f in together if f.hit.fix is not None for name in f.hit.fix.moved}
    settled = {id(f) for f in together} if whole is not None and known.issuperset(whole.moved) else set()
    for key, finding in kept.items():
        if id(finding) not in settled:
            alone = _mended([finding], loaded, load)
            kept[key] = finding.replace(fixable=False) if alone is None else _moving(finding, alone.moved)
    return [kept.get(id(f), f) for f in findings]


def _moving(finding: Finding, moved: tuple[str, ...]) -> Finding:
    """Return the finding with what its fix changes in the state."""
    fix = finding.hit.fix
    if fix is None or not moved:
        return finding
    return finding.replace(hit=finding.hit.replace(fix=fix.replace(moved=moved)))


def _taken(finding: Finding, nets: Sequence[Net]) -> tuple[str, ...]:
    """Return which tensors of a state change whatever the text is: those of layers that are gone, or are others."""
    moved: dict[str, None] = {}
    for net in nets:
        rewrite = Rewrite(net)
        try:
            for found in finding.nets:
                for change in found.changes if found.name == net.name else ():
                    change(rewrite)
            changed = Changed(rewrite)
            moved.update(
                dict.fromkeys(_differing(_state(net.graph, net), _state(rewrite.ordered(), changed)))
            )
        except (RewriteError, OpError):
            continue  # it is tried, and found to be none
    return tuple(moved)


def _state(nodes: Iterable[Node], net: Net | Changed) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that nodes keep, by their names."""
    state: dict[str, tuple[int, ...]] = {}
    for node in nodes:
        x = net.inputs_of(node.name)
        for name, shape in (*node.op.weights(*x).items(), *node.op.buffers(*x).items()):
            state[f"{node.home}.{name}" if name else node.home] = shape
    return state


def _differing(old: Mapping[str, tuple[int, ...]], new: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return the names that have no tensor any more, or one of another shape; else those that are new."""
    lost = [name for name, shape in old.items() if new.get(name) != shape]
    return lost or [name for name in new if name not in old]


def _wanted(finding: Finding, unsafe: bool) -> bool:
    fix = finding.hit.fix
    return finding.fixable and fix is not None and (fix.safe or unsafe)


def _apart(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, in order, whose edits touch none of those before them."""
    taken: list[Edit] = []
    result = []
    for finding in findings:
        edits = finding.hit.fix.edits if finding.hit.fix is not None else ()
        if not any(_touch(edit, other) for edit in edits for other in taken):
            taken += edits
            result.append(finding)
    return result


def _touch(one: Edit, other: Edit) -> bool:
    return one.span.start <= other.span.end and other.span.start <= one.span.end


class _Mended(NamedTuple):
    """A text with fixes, and the names of the tensors that it gives other places or shapes."""

    text: str
    moved: tuple[str, ...]


def _mended(findings: Sequence[Finding], loaded: Loaded, load: Load) -> _Mended | None:
    """Return the text with the fixes of some findings, or None if it is not what they have promised."""
    if not findings:
        return None
    edits = (edit for f in findings if f.hit.fix is not None for edit in f.hit.fix.edits)
    new = apply(loaded.file.source.text, edits)
    moved: dict[str, None] = {}
    try:
        after = load(new).nets
        if [net.name for net in after] != [net.name for net in loaded.nets]:
            return None
        for old, now in zip(loaded.nets, after, strict=True):
            rewrite = Rewrite(old)
            for finding in findings:
                for found in finding.nets:
                    if found.name == old.name:
                        for change in found.changes:
                            change(rewrite)
            if signature(rewrite.ordered(), rewrite.outputs) != signature(now.graph, now.graph.outputs):
                return None
            moved.update(dict.fromkeys(_differing(_state(old.graph, old), _state(now.graph, now))))
    except (NetError, RewriteError):
        return None
    return _Mended(new, tuple(moved))
