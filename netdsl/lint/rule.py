'''What a rule is, and how to write one.

A rule is one module of `netdsl/lint/rules/`, named as the rule (`huge_fc.py`), with one class:

    class HugeFc(Rule):
        """A fully connected layer on a flattened map holds most of the net.

        ## What it does
        ...
        """

        code: ClassVar[str] = "L201"
        severity: ClassVar[Severity] = "warning"
        thresholds: ClassVar = {"share": Threshold(0.5, "part of the net's params that the layer may hold")}

        def check(self, facts: Facts) -> Iterator[Hit]:
            for node in facts.of(Linear):
                share = facts.cost(node).params / facts.total.params
                if share > self.limit("share"):
                    yield self.hit(
                        node,
                        f"{facts.called(node)} holds {100 * share:.0f}% of {facts.name}",
                        help="average the map first: gap instead of flatten",
                        change=partial(Rewrite.replace, name=before.name, op=GlobalAvgPool()),
                        edits=facts.text.set_argument(node.span, "bias", "false"),
                    )

- **Name and code.** The name is the module's, in snake_case, and reads after "allow"; the code is stable for ever:
  L1xx correctness, L2xx cost, L3xx trainability, L4xx hardware, L5xx receptive field, L6xx budgets and hygiene.
- **Severity.** An error is what cannot have been meant, such as a layer that nothing reads; a warning is what may
  well train worse, or answer otherwise than meant; what only costs more than it has to is worth an info. What is true
  of whole families of good nets is no finding: such a rule has `audit = True`, and is off until it is asked for.
- **Docstring.** The first line says what is found. Then the sections of `SECTIONS`, in that order, as `## Title`.
  Bad and Good are whole specs, indented by four more spaces: Bad gives this rule alone, with every rule on; Good
  gives nothing at all. `make docs` writes docs/rules.md from it.
- **check** looks at one net through `Facts` and yields a `Hit` for every instance: each layer of each copy of each
  block. It begins with `facts.of(...)`, is linear in the graph, and looks at the text only for what is written there
  (`facts.text`). It asks ops for their kind (a class) and their traits (netdsl/ops/base.py), never for their names,
  so that it is right about an op that netdsl does not have. The engine merges the hits of one line into one finding,
  over all nets of the file, and leaves out what `@allow` covers. A rule about a file, whatever its nets, has
  `check_file` instead.
- **Message.** One sentence, lower case, no full stop; it names the layer (`facts.called`) and the numbers; `help` is
  what to write, `labels` point at further places. A hit may have a milder severity than its rule.
- **Cause.** Where the argument to blame is of a `default` line, pass `at=cause(node, "kernel", "pad")`, which finds
  it; what comes of the input's size goes through `at_input`. The finding is at the cause, with all its layers.
- **Calls.** A line of a block is found once for all calls of the block. Where only some of them make what is found,
  the engine points at those, at the argument that the others do not give; a rule does nothing for it.
- **change** says what the better net is: a function that edits a `Rewrite`. The engine makes the changes of all hits
  of a line, costs the graph, and says what is saved of each quantity with words for it. No formula anywhere.
- **edits** make the text the better net: small changes by `facts.text` (edits.py), or None where the text is not
  simple enough. Pass `safe=False` unless the function stays exactly the same, for weights carried over by name or in
  order; where the state does not stay the same, fix.py finds it out.
  Edits need a `change`: they are made only if every net of the new text is, op for op and wire for wire, the
  graph that `change` gives, so wrong edits are refused and never written.
- **Tests.** Docstring, Bad, Good, and the fix of Bad (saving kept, function kept, comments kept) are tested without
  further ado; more specs go into CASES of tests/test_lint_rules.py. No rule may warn about more than a third of the
  zoo. Run it there and look at every finding: `netdsl lint NAME --select CODE`.
'''

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from netdsl.diagnostics import Frame, Label, Severity
from netdsl.ir.graph import Node
from netdsl.record import Record
from netdsl.source import Span

if TYPE_CHECKING:
    from netdsl.lint.edits import Edit
    from netdsl.lint.facts import Facts, FileFacts
    from netdsl.transforms.rewrite import Rewrite

FAMILIES = {
    "L1": "correctness",
    "L2": "cost",
    "L3": "trainability",
    "L4": "hardware",
    "L5": "receptive field",
    "L6": "budgets and hygiene",
}
"""What the codes of a hundred have in common."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The worst first."""

SECTIONS = ("What it does", "Why is this bad", "Bad", "Good", "Fix safety", "References")
"""The sections of a rule's docstring, in this order."""


class Threshold(Record):
    """A number of a rule that a project may set, with what it is."""

    default: float
    about: str


class Fix(Record):
    """Edits of the text that make the net better."""

    edits: tuple[Edit, ...]
    exact: bool = True
    """Whether it stays the same function."""
    moved: tuple[str, ...] = ()
    """The tensors of the state that get other names or shapes, or none; found out by trying (fix.py)."""

    @property
    def safe(self) -> bool:
        """Whether nobody loses anything: neither the function nor a checkpoint."""
        return self.exact and not self.moved


class Hit(Record):
    """One instance of what a rule is about, in one net or file."""

    message: str
    span: Span
    layer: str = ""
    """The path of the layer; "" if it is about the net or the file."""
    kind: str = ""
    """The op of that layer: a line may make a conv, a norm and an activation, with one span."""
    calls: tuple[Frame, ...] = ()
    within: tuple[Span, ...] = ()
    """The layer's own text and those of its calls, where `span` is what causes it: `@allow` there covers it too."""
    note: str = ""
    labels: tuple[Label, ...] = ()
    help: str = ""
    details: tuple[str, ...] = ()
    severity: Severity | None = None
    """If it is not the rule's."""
    change: Callable[[Rewrite], None] | None = None
    fix: Fix | None = None


class Rule(ABC):
    """A rule: its code, its severity, what it looks for. The module says how to write one."""

    code: ClassVar[str]
    severity: ClassVar[Severity] = "warning"
    thresholds: ClassVar[Mapping[str, Threshold]] = {}
    audit: ClassVar[bool] = False
    """Whether it describes what kind of net it is rather than a mistake, and is off until it is asked for."""
    steps: ClassVar[bool] = False
    """Whether it is about a step of training, and is off until it is known how many samples that has."""
    last: ClassVar[bool] = False
    """Whether it needs to know what the other rules found."""

    def __init__(self, limits: Mapping[str, float] | None = None) -> None:
        """`limits` are thresholds by name, where they are not the defaults."""
        self._limits = limits or {}

    @classmethod
    def name(cls) -> str:
        """Return the name, which is the module's."""
        return cls.__module__.rpartition(".")[2]

    def limit(self, name: str) -> float:
        """Return a threshold as it is set."""
        return self._limits.get(name, self.thresholds[name].default)

    def check(self, facts: Facts) -> Iterable[Hit]:
        """Yield what is found in a net."""
        return ()

    def check_file(self, file: FileFacts) -> Iterable[Hit]:
        """Yield what is found in a file, whatever nets it has."""
        return ()

    def hit(
        self,
        node: Node,
        message: str,
        *,
        note: str = "",
        labels: tuple[Label, ...] = (),
        help: str = "",
        details: tuple[str, ...] = (),
        severity: Severity | None = None,
        change: Callable[[Rewrite], None] | None = None,
        edits: tuple[Edit, ...] | None = None,
        safe: bool = True,
        at: Span | None = None,
    ) -> Hit:
        """Return a hit at a layer, with its place and its call stack; `edits` may be None: there is no fix.

        `at` is what causes it, such as a `default` line, where that is not the layer: see `caused`.
        """
        found = Hit(
            message,
            node.span,
            node.name,
            node.op.name,
            node.calls,
            (),
            note,
            labels,
            help,
            details,
            severity,
            change,
            Fix(edits, safe) if edits else None,
        )
        return found if at is None else caused(found, at)


def caused(hit: Hit, at: Span) -> Hit:
    """Return a hit at what causes it: all that one line causes are one finding."""
    return hit.replace(span=at, calls=(), within=(hit.span, *[frame.span for frame in hit.calls]))


def cause(node: Node, *arguments: str) -> Span | None:
    """Return the argument of a `default` line by which a layer has some of its arguments, as none is its own.

    An argument with the value that it has by itself says nothing.
    """
    given = dict(node.sources)
    own = [name for name in arguments if name not in given]
    if any(getattr(node.op, name) != getattr(type(node.op), name, None) for name in own):
        return None
    return next((given[name] for name in arguments if name in given), None)


def written(node: Node, number: int) -> Span | None:
    """Return the argument of a call around a layer that is a number as it stands, of the outermost such call."""
    given = (one.span for frame in reversed(node.calls) for one in frame.arguments if one.span is not None)
    return next((span for span in given if span.text.rpartition("=")[2].strip() == str(number)), None)


def at_input(hits: Iterable[Hit], facts: Facts) -> Iterator[Hit]:
    """Yield hits of a net that come of the size of its input: if they are on several lines, at that."""
    found = list(hits)
    if len({hit.span for hit in found}) > 1:
        image = facts.node(next(iter(facts.graph.inputs.values())))
        found = [caused(hit, image.span) for hit in found]
    yield from found
