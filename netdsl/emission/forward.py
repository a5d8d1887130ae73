"""The body of a class's forward function: statements, and names that live no longer than their values.

A value is held by its name until the name is bound anew or deleted, and an argument by its call until that returns.
A statement therefore holds a call within a call only where no name could have been freed between the two.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator

from netdsl.elaborate.names import reserved_attribute
from netdsl.emission.code import Arg, Call, Const, Expr, Input, Name, Self, reads, transform
from netdsl.emission.dialect import Dialect
from netdsl.emission.plan import ClassPlan, Ref, Step
from netdsl.emission.writer import INDENT, WIDTH, flat, layout
from netdsl.record import Record

_FRESH = ("y", "z", "w", "v", "u", "t", "s", "r", "q", "p")


class Statement(Record):
    """One statement: `targets = value`, `target += other`, or a deletion."""

    targets: tuple[str, ...]
    value: Expr
    form: str = "assign"
    """assign, optional (`if module is not None`), delete."""
    train: bool = False
    stage: str = ""
    flag: bool = False
    """For what some instances lack: whether its test is an attribute that is true or false."""


class Forward:
    """Writes the forward function of one class."""

    def __init__(
        self, plan: ClassPlan, dialect: Dialect, record: str = "", only_training: tuple[bool, ...] = ()
    ) -> None:
        """Take the values that come in.

        `record` is the class that several outputs of a net are returned in; `only_training` says which are there
        in training only.
        """
        self.plan = plan
        self.record = record
        self.only_training = only_training
        self.dialect = dialect
        self.statements: list[Statement] = []
        self.names: dict[Ref, str] = {Ref(-1, i): name for i, name in enumerate(plan.inputs)}
        self.holds: dict[str, Ref] = {name: ref for ref, name in self.names.items()}
        self.pending: dict[Ref, Expr] = {}
        self.fixed: dict[Ref, Expr] = {}
        """What is always there: learned tensors."""
        self.freeing: set[str] = set()
        """Names that are dead once the pending expression has been evaluated."""
        self.last: dict[Ref, int] = {}
        self.readers: dict[Ref, list[int]] = {}
        self.stage = ""
        self.used = set(plan.inputs)
        self.last_allocation = max((i for i, s in enumerate(plan.steps) if s.allocates), default=-1)

    def lines(self, indent: str) -> list[str]:
        """Return the statements, the last one the return."""
        steps = self.plan.steps
        self.count()
        for index, step in enumerate(steps):
            self.stage = step.stage or self.stage
            if not step.inputs:  # a learned tensor
                self.fixed[Ref(index)] = apply(step, [])
                continue
            if not step.attribute and self.unread(index, step):
                continue
            self.step(index, step)
        return list(self.render(indent))

    def count(self) -> None:
        """Find who reads each value, and when last. What a function makes for nobody is not computed."""
        end = len(self.plan.steps)
        for ref in self.plan.outputs:
            self.readers.setdefault(ref, []).append(end)
        for index, step in reversed(list(enumerate(self.plan.steps))):
            if not step.attribute and self.unread(index, step):
                continue
            for ref in (*step.inputs, *((step.otherwise,) if step.otherwise is not None else ())):
                self.readers.setdefault(ref, []).append(index)
        self.last = {ref: indices[0] for ref, indices in self.readers.items()}  # from the last to the first

    def unread(self, index: int, step: Step) -> bool:
        """Tell whether nobody reads what a step makes."""
        return not any(Ref(index, port) in self.readers for port in range(step.outputs))

    def operand(self, ref: Ref) -> Expr:
        """Return a value as an operand: its name, or the expression that makes it."""
        if ref in self.pending:
            return self.pending.pop(ref)
        return self.fixed.get(ref) or Name(self.names[ref])

    def step(self, index: int, step: Step) -> None:
        """Take in one step: as a statement, or as an operand of the next."""
        refs = step.inputs
        dying = {self.names[r] for r in refs if r in self.names and self.last[r] == index} | self.freeing
        operands = [self.operand(ref) for ref in refs]
        self.freeing = dying
        if step.optional:
            other = step.otherwise or refs[0]
            if self.last[other] == index:
                dying.add(self.names[other])
            self.optional(index, step, operands, other, dying)
            return
        expr = apply(step, operands)
        if self.nests(index, step, expr, dying):
            self.pending[Ref(index)] = expr
            return
        self.assign(index, step, expr, dying)

    def nests(self, index: int, step: Step, expr: Expr, dying: set[str]) -> bool:
        """Tell whether a step is written as an operand of the next one."""
        ref = Ref(index)
        if step.outputs != 1 or self.readers.get(ref) != [index + 1]:
            return False
        if index + 1 == len(self.plan.steps):
            return (
                len(self.plan.outputs) == 1
                and self.is_typed(expr)
                and len(flat(expr)) + len("return ") + 2 * len(INDENT) <= WIDTH
            )
        following = self.plan.steps[index + 1]
        if (
            following.optional
            or following.train != step.train
            or following.stage
            or len(following.inputs) > 1
            or reads(following.function) > 1
        ):
            return False
        if following.allocates and step.allocates and any(self.frees(name) for name in dying):
            return False
        whole = len(flat(apply(following, [expr]))) + len("x = ") + 2 * len(INDENT) <= WIDTH
        layer = bool(step.attribute) or step.follows or not self.dialect.frees
        if following.follows:
            return whole and layer
        return whole and not step.allocates and not step.follows and bool(following.attribute)

    def frees(self, name: str) -> bool:
        """Tell whether unbinding a name frees memory: what came in is held by the caller."""
        return self.dialect.frees and self.holds[name].step >= 0

    def assign(self, index: int, step: Step, expr: Expr, dying: set[str]) -> None:
        """Bind the outputs of a step, and drop what nobody reads again."""
        if step.train:
            dying = set()  # in evaluation the statement does not run
        free = [name for name in dict.fromkeys(self.operands(expr)) if name in dying]
        free += sorted(dying - set(free))
        targets = []
        for port in range(0 if self.unread(index, step) else step.outputs):
            if step.outputs > 1 and Ref(index, port) not in self.readers:
                targets.append("_")
                continue
            named = len(step.labels) > 1 and all(step.labels)
            name = free.pop(0) if free and not named else self.fresh(step.labels[port])
            targets.append(name)
            self.names[Ref(index, port)] = name
            self.holds[name] = Ref(index, port)
            self.used.add(name)
        self.statements.append(Statement(tuple(targets), expr, "assign", step.train, self.stage))
        self.stage = ""
        self.freeing = set()
        self.drop(index, free, targets)

    def drop(self, index: int, dead: list[str], bound: list[str]) -> None:
        """Delete names whose values nobody reads again, where later steps need memory."""
        names = [name for name in dead if name not in bound and self.frees(name)]
        if names and index < self.last_allocation:
            self.statements.append(Statement(tuple(names), Const(None), "delete"))
            self.used -= set(names)

    @staticmethod
    def operands(expr: Expr) -> list[str]:
        """Return the names that an expression reads, in order."""
        names: list[str] = []

        def note(e: Expr) -> None:
            if isinstance(e, Name):
                names.append(e.text)

        transform(expr, note)
        return names

    def optional(self, index: int, step: Step, operands: list[Expr], other: Ref, dying: set[str]) -> None:
        """Apply a module that may be None, or join what it makes; where it is None the value is another one."""
        without = self.names[other]
        module = f"self.{step.attribute}"
        if step.function is None or not step.attribute:
            value = apply(step, operands)
        else:
            joined = [o if o == Name(without) else Call(module, (argument(o),)) for o in operands]
            value = apply(step, joined)
        free = [name for name in self.operands(value) if name in dying]
        target = without if without in dying else free[0] if free else self.fresh(step.labels[0])
        test = f"self.{step.flag}" if step.flag else module
        self.statements.append(
            Statement((target, without, test), value, "optional", step.train, self.stage, bool(step.flag))
        )
        self.stage = ""
        self.names[Ref(index)] = target
        # what it holds may be what came in, or something new: count it as new
        self.holds[target] = Ref(index)
        self.used.add(target)
        self.freeing = set()
        self.drop(index, sorted(dying), [target])

    def fresh(self, label: str) -> str:
        """Return a name that nothing alive has."""
        taken = {*self.plan.inputs, *self.used, *self.dialect.names, "l", "O", "I"}
        if label and label not in taken and not reserved_attribute(label) and not hasattr(builtins, label):
            return label
        for name in _FRESH:
            if name not in taken:
                return name
        number = 1
        while f"y{number}" in taken:
            number += 1
        return f"y{number}"

    def is_typed(self, expr: Expr) -> bool:
        """Tell whether a type checker knows an expression to be a tensor."""
        if isinstance(expr, Name):
            return expr.text in self.plan.inputs
        if isinstance(expr, Call) and isinstance(expr.func, str):
            if expr.receiver is not None:
                return self.is_typed(expr.receiver)
            return expr.func in self.dialect.typed
        return False

    # ---------------------------------------------------------------- text

    def render(self, indent: str) -> Iterator[str]:
        """Yield the lines."""
        annotated = self.annotate()
        seen: set[str] = set(self.plan.inputs)
        training = False
        opened = ""
        for statement in self.statements:
            if statement.form != "optional" or statement.stage:
                opened = ""
            if statement.stage:
                yield f"{indent}# {statement.stage}"
            inner = indent + INDENT if statement.train else indent
            if statement.train and not training:
                yield f"{indent}if {self.dialect.training}:"
            training = statement.train
            if statement.form == "delete":
                yield f"{inner}del {', '.join(statement.targets)}"
            elif statement.form == "optional":
                lines = list(self.render_optional(statement, inner))
                if lines[0] == opened:  # one `if` for what comes under one condition
                    del lines[0]
                elif lines[0].endswith(":"):
                    opened = lines[0]
                yield from lines
            else:
                first = annotated in statement.targets and annotated not in seen
                yield from self.render_assignment(
                    statement, inner, f": {self.dialect.array}" if first else ""
                )
            seen.update(statement.targets[:1] if statement.form == "optional" else statement.targets)
        yield from self.result()

    @staticmethod
    def render_optional(statement: Statement, indent: str) -> Iterator[str]:
        """Yield `if module is not None`, as a statement or an expression."""
        target, without, test = statement.targets
        if target == without:
            yield f"{indent}if {test}:" if statement.flag else f"{indent}if {test} is not None:"
            yield from Forward.render_assignment(statement.replace(targets=(target,)), indent + INDENT, "")
        elif statement.flag:
            yield f"{indent}{target} = {flat(statement.value)} if {test} else {without}"
        else:
            yield f"{indent}{target} = {without} if {test} is None else {flat(statement.value)}"

    @staticmethod
    def render_assignment(statement: Statement, indent: str, annotation: str) -> Iterator[str]:
        """Yield an assignment, `+=` where it adds in place."""
        value, targets = statement.value, statement.targets
        if (
            isinstance(value, Call)
            and value.func == "add_"
            and targets
            and value.receiver == Name(targets[0])
        ):
            yield f"{indent}{targets[0]} += {flat(value.args[0].value)}"
            return
        head = f"{', '.join(targets)}{annotation} = " if targets else ""
        yield from layout(head, value, "", indent)

    def result(self) -> list[str]:
        """Return the lines that return."""
        indent = 2 * INDENT
        values = [self.operand(ref) for ref in self.plan.outputs]
        if self.record:
            return self.results(values, indent)
        return (
            layout("return ", values[0], "", indent)
            if len(values) == 1
            else [f"{indent}return {', '.join(map(flat, values))}"]
        )

    def results(self, values: list[Expr], indent: str) -> list[str]:
        """Return the lines that return several outputs, in evaluation without those of training."""

        def record(kept: list[Expr]) -> Expr:
            return Call(self.record, tuple(argument(value) for value in kept))

        if not any(self.only_training):
            return layout("return ", record(values), "", indent)
        there = [
            Const(None) if train else value for value, train in zip(values, self.only_training, strict=True)
        ]
        inner = layout("return ", record(values), "", indent + INDENT)
        alone = self.only_training.count(False) == 1
        last = layout(
            "return ", values[self.only_training.index(False)] if alone else record(there), "", indent
        )
        return [f"{indent}if {self.dialect.training}:", *inner, *last]

    def annotate(self) -> str:
        """Return the name that needs an annotation: what is returned, if it is ever bound to something unknown."""
        ref = self.plan.outputs[0]
        if ref in self.pending or ref in self.fixed or (len(self.plan.outputs) > 1 and not self.record):
            return ""
        name = self.names[ref]
        bound = [
            s
            for s in self.statements
            if name in (s.targets[:1] if s.form == "optional" else s.targets) and s.form != "delete"
        ]
        if name in self.plan.inputs or all(s.form == "assign" and self.is_typed(s.value) for s in bound):
            return ""
        if bound[0].form != "assign" or len(bound[0].targets) > 1:  # where no annotation fits
            self.used.update(target for s in self.statements for target in s.targets)
            value, name = Name(name), self.fresh("")
            self.names[ref] = name
            last = self.statements[-1]
            if last is bound[-1] and last.form == "assign" and len(last.targets) == 1:
                self.statements[-1] = last.replace(targets=(name,))
            else:
                self.statements.append(Statement((name,), value))
        return name


def argument(value: Expr) -> Arg:
    """Return a tensor as an argument."""
    return Arg("input", value, keyword=False)


def apply(step: Step, operands: list[Expr]) -> Expr:
    """Return the application of a step to its operands."""
    this = f"self.{step.attribute}"
    if step.function is None:
        return Call(this, tuple(argument(operand) for operand in operands))

    def change(expr: Expr) -> Expr | None:
        if isinstance(expr, Input):
            return operands[expr.index]
        if isinstance(expr, Self):
            return Name(this)
        if isinstance(expr, Call) and isinstance(expr.func, Self):
            args = tuple(a.replace(value=transform(a.value, change)) for a in expr.args)
            return expr.replace(func=this, args=args)
        return None

    return transform(step.function, change)
