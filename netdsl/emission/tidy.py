"""What staging leaves that nobody needs: values that nobody reads, variables that are one variable."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

from netdsl.elaborate.names import readable
from netdsl.elaborate.values import Wire
from netdsl.emission.assigned import assign
from netdsl.emission.concolic import mentioned
from netdsl.emission.function import Function, reading, reading_of, renamed
from netdsl.emission.items import (
    Check,
    Child,
    Container,
    If,
    Item,
    Layer,
    Let,
    Loop,
    Module,
    Numbered,
    Pick,
    Side,
    Slot,
    Staged,
    Store,
    walk,
)
from netdsl.emission.labels import Labels
from netdsl.emission.streams import Elements
from netdsl.ir.types import Shape
from netdsl.symbolic import Atom, Poly, SymBool, SymInt, names, negated, single, symbolic, term, text

_NEW = Atom("name", ("?",))
"""What stands for a variable's next value."""

_SHOWN, _WORD = re.compile(r"\{[^{}]*\}"), re.compile(r"(?<![\w.])[^\W\d]\w*")
"""What a message shows of the arguments, and the names in it."""

_SHORT = 24
"""How long a number is at most that needs no name."""

_FEW = 2
"""How many expressions may say a choice once more."""


def tidy(staged: Staged, constants: Mapping[str, Any]) -> None:
    """Drop what nobody reads, give one name to what is one variable, and find labels that two modules may have.

    `constants` are the lists of the file, by their names.
    """
    if staged.tidied:
        return
    staged.tidied = True
    staged.changed()
    drop_unread(staged)
    drop_picks(staged)
    for item in walk(staged.items):
        if isinstance(item, Loop):
            fill_slots(item)
    answer(staged)
    coalesce(staged)
    follow(staged)
    name_channels(staged)
    assign(staged)
    inline_counts(staged)
    check_once(staged)
    check_first(staged.items)
    count_turns(staged)
    drop_parameters(staged)
    Labels(staged, constants)
    staged.sizes_read = sizes_read(staged)


def drop_parameters(staged: Staged) -> None:
    """Drop arguments that nothing is made with."""
    used = dict(staged.names())
    for shape in staged.out_terms if staged.told else ():
        if "c" in shape.axes:
            used.update(mentioned(shape.c))
    for init in (init for inits in staged.rules.values() for init in inits.values()):
        used.update(dict.fromkeys(name for arg in init.args for name in mentioned(arg)))
    for test, (truth, path) in staged.measured.items():  # what `forward` holds against its input
        if not isinstance(truth, SymBool) or used.keys() >= set(mentioned(truth)):
            used.update(dict.fromkeys(name for asked in (test, *path) for name in mentioned(asked)))
    if staged.told and staged.kind == "block":  # what is called by an argument is called like the others
        return
    staged.params = [parameter for parameter in staged.params if parameter.name in used]


def drop_unread(staged: Staged) -> None:
    """Drop values of conditions, and what goes from turn to turn, that nobody reads."""
    while True:
        function = Function(staged, staged.items, staged.kind, staged.name)
        function.outputs = staged.outputs
        counts = reading(function)
        for side in staged.sides:
            counts[side.wire] += 1
        for container in walk(staged.items):
            if isinstance(container, Container):
                counts.update(container.exit)
        changed = False
        for item in walk(staged.items):
            if isinstance(item, If):
                within = Counter[Wire]()
                if any(phi.wire == phi.then for phi in item.phis):
                    within = reading_of(item)
                    for inner in walk([item]):
                        within.update(inner.exit if isinstance(inner, Container) else ())
                kept = [phi for phi in item.phis if counts[phi.wire] > within[phi.wire]]
                changed |= len(kept) < len(item.phis)
                item.phis = kept
            elif isinstance(item, Loop):
                carried = [one for one in item.carried if counts[one.wire] or counts[one.after]]
                changed |= len(carried) < len(item.carried)
                item.carried = carried
        if not changed:
            return


def drop_picks(staged: Staged) -> None:
    """Drop values of lists that nobody reads."""
    read = {wire for item in walk(staged.items) if not isinstance(item, Pick) for wire in _read(item)}
    read.update(staged.outputs)
    for items in item_lists(staged.items):
        items[:] = [item for item in items if not isinstance(item, Pick) or item.wire in read]
    looked_up = {item.whole for item in walk(staged.items) if isinstance(item, Pick)}
    names = staged.names()
    looked_up |= {item.wire for item in staged.items if isinstance(item, Numbered) and item.keeps in names}
    for items in item_lists(staged.items):
        items[:] = [item for item in items if not isinstance(item, Store) or item.whole in looked_up]
    first = [item for item in staged.items if isinstance(item, Numbered)]
    for item in first:
        staged.items.remove(item)
        if item.wire in looked_up:
            begin_numbers(item, staged.items)


def begin_numbers(item: Numbered, items: list[Item]) -> None:
    """Put values with numbers before what first gives one its number, in the containers that alone have them."""
    uses = [any(getattr(i, "whole", None) == item.wire for i in walk([one])) for one in items]
    users = [one for one, use in zip(items, uses, strict=True) if use]
    if all(isinstance(user, Container) for user in users):
        for user in users:
            begin_numbers(item, *user.inner())
        return
    at = uses.index(True)
    store = items[at]
    at -= isinstance(store, Store) and at > 0 and store.value in items[at - 1].makes()
    items.insert(at, item)


def _read(item: Item) -> Iterator[Wire]:
    """Yield the values that an item reads, or hands on."""
    yield from item.reads()
    if isinstance(item, Container):
        yield from item.exit
    elif isinstance(item, If):
        yield from (wire for phi in item.phis for wire in (phi.then, phi.otherwise))
    elif isinstance(item, Loop):
        yield from (one.end for one in item.carried)
        yield from (one.end for one in item.gathered)
    elif isinstance(item, Side):
        yield item.wire


def fill_slots(loop: Loop) -> None:
    """Let every turn of a loop call a child of one name, where some hand on what others call theirs with."""
    for one in loop.gathered:
        arms = list(_arms(loop.body, one.end))
        made = [item for items, _, _ in arms for item in items if isinstance(item, Module)]
        calls = {_called(items, wire) for items, wire, _ in arms}
        if len({item.name for item in made}) != 1 or len(calls) != 1 or None in calls:
            continue
        first = made[0]
        for number, (items, wire, hand_on) in enumerate(arms):
            if not any(isinstance(item, Module) for item in items):
                slot = Slot(first.key, first.name, True, first.span, (wire,))
                slot.outputs = (Wire(-1 - number, wire.draft),)
                items.append(slot)
                hand_on(slot.outputs[0])


def _arms(items: list[Item], wire: Wire) -> Iterator[tuple[list[Item], Wire, Callable[[Wire], None]]]:
    """Yield the sides that a value may come from: their items, what it is there, how to make it another."""
    item = next((i for i in items if isinstance(i, If) and wire in i.makes()), None)
    if item is None:
        return
    phi = next(phi for phi in item.phis if phi.wire == wire)
    for side, name in ((item.then, "then"), (item.otherwise, "otherwise")):
        own = getattr(phi, name)
        inner = list(_arms(side, own))
        yield from inner or [(side, own, partial(setattr, phi, name))]


def _called(items: list[Item], wire: Wire) -> tuple[Any, ...] | None:
    """Return which value of a list a side hands on, or calls its only child with; None if it does more."""
    rest = [item for item in items if not isinstance(item, (Let, Check))]
    pick = rest[0] if rest and isinstance(rest[0], Pick) else None
    if pick is None or len(rest) > 2:
        return None
    if len(rest) == 2:
        child = rest[1]
        if not isinstance(child, Module) or child.inputs != (pick.wire,) or _exit(child) != (wire,):
            return None
    elif pick.wire != wire:
        return None
    return pick.whole, pick.index


def _exit(item: Module) -> tuple[Wire, ...]:
    """Return what flows on from a container."""
    return item.exit if isinstance(item, Container) else item.outputs


def answer(staged: Staged) -> None:
    """Let the variables that a called class's channels go into be those that they are for."""
    for items in item_lists(staged.items):
        for index, item in enumerate(items):
            if not (isinstance(item, Child) and item.asked):
                continue
            between: set[str] = set()
            for follower in takewhile(lambda i: isinstance(i, (Let, Store)), items[index + 1 :]):
                if isinstance(follower, Let):
                    name = _single(follower.value)
                    free = follower.again and follower.name not in between
                    if free and name in item.asked and _reads(staged, name) == 1:
                        item.results = tuple(follower.name if one == name else one for one in item.results)
                        items.remove(follower)
                    between.add(follower.name)
                between.update(read for value in follower.terms() for read in mentioned(value))


def coalesce(staged: Staged) -> None:
    """Give a variable that begins as another one, which nobody reads from then on, that one's name.

    What the spec calls one number is not what changes.
    """
    read = Mentioned()
    lets = [item for item in walk(staged.items) if isinstance(item, Let)]
    once = {let.name for let in lets if let.told} - {let.name for let in lets if let.again}
    changed = True
    while changed:
        changed = False
        defined = _definitions(staged.items)
        for path, items, item in [(path, items, items[index]) for path, items, index in _lets(staged.items)]:
            assert isinstance(item, Let)
            at = next((at for at, one in enumerate(items) if one is item), None)
            if item.again or at is None:
                continue
            old = next(
                (
                    one
                    for one in _begins(staged, item)
                    if (one not in once or item.told) and _mergeable(staged, path, item, one, defined, read)
                ),
                None,
            )
            if old is None:
                continue
            if _single(item.value) == old:
                del items[at]
            else:
                item.again = True
            _rename(staged, item.name, old, read)
            _drop_selves(staged)
            changed = True


def follow(staged: Staged) -> None:
    """Let a variable change where a condition holds that stands there already: `a = b if test else a`."""
    for items in item_lists(staged.items):
        for let in [one for one in items if isinstance(one, Let) and one.again]:
            whole = term(let.value)
            atom = whole.atom if isinstance(whole, Poly) else whole
            if atom is None or atom.op != "if":
                continue
            test, then, otherwise = atom.args
            kept = single(Atom("name", (let.name,)))
            if kept not in (then, otherwise):
                continue
            holds, value = (negated(test), otherwise) if then == kept else (test, then)
            at = items.index(let)
            for index in range(at - 1, -1, -1):
                item = items[index]
                if isinstance(item, If) and holds in (item.test, negated(item.test)):
                    _replace(items[index + 1 : at], {atom: Atom("name", (let.name,))})
                    items.remove(let)
                    side = item.then if item.test == holds else item.otherwise
                    side.append(Let(let.name, SymInt(int(let.value), value), again=True))
                    break
                if _touches(item, let, atom):
                    break


def _touches(item: Item, let: Let, atom: Atom) -> bool:
    """Tell whether anything binds what a variable is computed from, or reads what it was before."""
    own = {let.name, *mentioned(let.value)}
    inner = list(walk([item]))
    bound = _bound(inner)
    read = {
        name for one in inner for value in one.terms() for name in mentioned(renamed(value, {atom: _NEW}))
    }
    return not own.isdisjoint(bound) or let.name in read


def name_channels(staged: Staged) -> None:
    """Give the channels of a value that a condition decides a name, where more than two expressions read them."""
    taken = {parameter.name for parameter in staged.params}
    taken |= {name for incoming in staged.inputs for name in incoming.sizes.values()}
    taken |= _bound(list(walk(staged.items)))
    for items in item_lists(staged.items):
        for item in [one for one in items if isinstance(one, If)]:
            for phi in [phi for phi in item.phis if phi.wire in staged.labels]:
                name = f"{readable(staged.labels[phi.wire])}_channels"
                at = items.index(item) + 1
                rest = list(walk(items[at:]))
                channels = next(filter(None, (_chosen(one, phi.wire) for one in rest)), None)
                if channels is None or not name.isidentifier() or name in taken:
                    continue
                atom = channels.poly.atom
                read = sum(
                    "?" in mentioned(renamed(value, {atom: _NEW})) for one in rest for value in one.terms()
                )
                if read > _FEW and mentioned(channels).keys().isdisjoint(_bound(rest)):
                    _replace(items[at:], {atom: Atom("name", (name,))})
                    for check in (one for one in rest if isinstance(one, Check)):
                        check.message = check.message.replace(f"{{{text(atom)}}}", f"{{{name}}}")
                    items.insert(at, Let(name, channels))
                    taken.add(name)
                    staged.changed()


def _chosen(item: Item, wire: Wire) -> SymInt | None:
    """Return the channels with which an item reads a value, if a condition decides them."""
    shapes = item.before if isinstance(item, Layer) else item.shapes if isinstance(item, Child) else ()
    for own, shape in zip(item.inputs if isinstance(item, Module) else (), shapes, strict=False):
        if own == wire and isinstance(shape, Shape) and "c" in shape.axes and isinstance(shape.c, SymInt):
            atom = shape.c.poly.atom
            return shape.c if atom is not None and atom.op == "if" else None
    return None


def _bound(items: Iterable[Item]) -> set[str]:
    """Return the names that items bind."""
    found = {one.name for one in items if isinstance(one, Let)}
    found |= {name for one in items if isinstance(one, Child) for name in one.asked}
    return found | {name for one in items if isinstance(one, Loop) for name in one.targets}


def inline_counts(staged: Staged) -> None:
    """Write a short number where it is that of a loop's turns, for which the language wants a name."""
    bound = Counter(item.name for item in walk(staged.items) if isinstance(item, Let))
    changing = {item.name for item in walk(staged.items) if isinstance(item, Let) and item.again}
    changing |= {name for name, number in bound.items() if number > 1}
    loops = {
        name: item for item in walk(staged.items) if isinstance(item, Loop) for name in mentioned(item.over)
    }
    for items in item_lists(staged.items):
        for item in [one for one in items if isinstance(one, Let) and len(one.unpacked) == 1]:
            loop = loops.get(item.name)
            if loop is None or len(text(item.value)) > _SHORT or _reads(staged, item.name) > 1:
                continue
            if item.name not in changing and changing.isdisjoint(mentioned(item.value)):
                loop.over = renamed(loop.over, {item.name: term(item.value)})
                items.remove(item)


def check_once(staged: Staged) -> None:
    """Check before a condition what is checked on a side of it and again after it, or on both."""
    for items in item_lists(staged.items):
        for either in [one for one in items if isinstance(one, If)]:
            bound = {inner.name for inner in walk([either]) if isinstance(inner, Let)}
            for check in [one for one in either.then if isinstance(one, Check)]:
                if bound.isdisjoint(names(check.test)) and _drop(either.otherwise, check):
                    either.then.remove(check)
                    items.insert(items.index(either), check)
        for check in [one for one in items if isinstance(one, Check)]:
            for index, item in enumerate(items[: items.index(check)]):
                sides = [inner for inner in item.inner() if isinstance(item, If) and _drop(inner, check)]
                if sides:
                    items.remove(check)
                    items.insert(index, check)
                    break
        _drop_repeated(items)


def _drop_repeated(items: list[Item]) -> None:
    """Drop checks of what was checked before, though in other words, and has not changed."""
    known: set[Atom] = set()
    kept: list[Item] = []
    for item in items:
        if isinstance(item, Check) and item.test in known:
            continue
        kept.append(item)
        if isinstance(item, Check):
            known.add(item.test)
        elif known:
            bound = _bound(list(walk([item])))
            known = {test for test in known if bound.isdisjoint(names(test))}
    items[:] = kept


def check_first(items: list[Item]) -> None:
    """Check before any layer what no layer and no variable between them changes; checks keep their order."""
    before, items[:] = list(items), []
    for item in before:
        if isinstance(item, Container):
            check_first(item.items)
            for check in takewhile(lambda one: isinstance(one, Check), list(item.items)):
                item.items.remove(check)
                _put_check(items, check)
        if isinstance(item, Check):
            _put_check(items, item)
        else:
            items.append(item)


def _put_check(items: list[Item], check: Item) -> None:
    """Put a check behind others: before the layers there that it has nothing to do with, behind the variables."""
    read, at = {name for value in check.terms() for name in mentioned(value)}, len(items)
    for index in range(len(items) - 1, -1, -1):
        inner = list(walk([items[index]]))
        passed = isinstance(items[index], (Module, Let, If, Loop))
        if not passed or any(isinstance(one, (Check, Store, Numbered)) for one in inner):
            break
        if not read.isdisjoint(_bound(inner)):
            break
        at = index
    while at < len(items) and isinstance(items[at], Let):
        at += 1
    items.insert(at, check)


def _drop(items: list[Item], check: Check) -> bool:
    """Drop a check from some items; tell whether it was there."""
    found = [
        one
        for one in items
        if isinstance(one, Check) and (one.test, one.message) == (check.test, check.message)
    ]
    items[:] = [one for one in items if one not in found]
    return bool(found)


def count_turns(staged: Staged) -> None:
    """Let a variable that counts the turns of a loop from 0 be the loop's own."""
    for start in [one for one in staged.items if isinstance(one, Let) and not one.again]:
        name = start.name
        changes = [place for place in _lets(staged.items) if place[1][place[2]] is not start]
        changes = [(path, inner, at) for path, inner, at in changes if _name(inner[at]) == name]
        if symbolic(start.value) or start.value != 0 or len(changes) != 1:
            continue
        ((path, inner, at),) = changes
        change, others = inner[at], [one for one in path if not isinstance(one, Container)]
        loop = others[0] if others else None
        if not isinstance(loop, Loop) or not isinstance(change, Let) or len(others) > 1:
            continue
        begin, *more = loop.over.args if isinstance(loop.over, Atom) and loop.over.op == "call" else ("",)
        if begin not in ("range", "enumerate") or len(more) > 1 or text(change.value) != f"{name} + 1":
            continue
        turn = list(walk(loop.body))
        before = turn[: next(i for i, one in enumerate(turn) if one is change)]
        if _reads(staged, name) == 1 + sum(name in mentioned(v) for one in before for v in one.terms()):
            staged.items.remove(start)
            del inner[at]
            _rename(staged, name, loop.targets[0], Mentioned())


def _name(item: Item) -> str:
    return item.name if isinstance(item, Let) else ""


def _begins(staged: Staged, item: Let) -> Iterator[str]:
    """Yield the variables that a variable may begin as, or be computed from."""
    taken = {p.name for p in staged.params} | {item.name}
    taken |= {name for i in staged.inputs for name in i.sizes.values()}
    yield from (name for name in mentioned(item.value) if name not in taken and not name.startswith("?"))


def _mergeable(
    staged: Staged,
    path: tuple[Item, ...],
    item: Let,
    old: str,
    defined: Mapping[str, tuple[Item, ...]],
    known: Mentioned,
) -> bool:
    """Tell whether nobody reads the old variable after the new one begins, in any turn."""
    definition = defined.get(old)
    if definition is None:
        return False
    own = [one for one in path if isinstance(one, (Loop, If))]
    theirs = [one for one in definition if isinstance(one, (Loop, If))]
    between = own[len(theirs) :] if own[: len(theirs)] == theirs else None
    if between is None or any(isinstance(one, If) for one in between):
        return False
    if _single(item.value) != old and not between:
        return False
    for loop in between:
        assert isinstance(loop, Loop)
        last = next(
            (i for i in reversed(loop.body) if isinstance(i, Let) and i.again and i.name == old), None
        )
        if last is None:
            return False
        if _single(last.value) != item.name and (len(between) > 1 or _read_after(loop, last, item.name)):
            return False
    later = False
    for one in walk(staged.items):
        if one is item:
            later = True
            continue
        if not (later and old in known[one]):
            continue
        if not (isinstance(one, Let) and one.again and one.name == old and _single(one.value) == item.name):
            read = {name for value in one.terms() for name in mentioned(value)}
            if old in read and not _after_update(one, between):
                return False
    return not any(
        old in mentioned(n) for shape in staged.out_terms for n in shape if isinstance(n, SymInt)
    ) or bool(between)


def _read_after(loop: Loop, last: Let, name: str) -> bool:
    """Tell whether a variable is read in a loop's turn after another's last update."""
    turn = list(walk(loop.body))
    after = turn[next(i for i, one in enumerate(turn) if one is last) + 1 :]
    return any(name in mentioned(value) for one in after for value in one.terms())


def _after_update(item: Item, between: Sequence[Item]) -> bool:
    """Tell whether something stands after the loops in which the old variable follows the new one."""
    return bool(between) and not any(item is one for loop in between for one in walk([loop]))


def _definitions(items: list[Item], path: tuple[Item, ...] = ()) -> dict[str, tuple[Item, ...]]:
    """Return by variable what its first definition stands in, outer ones first."""
    found: dict[str, tuple[Item, ...]] = {}
    for item in items:
        if isinstance(item, Let) and not item.again:
            found.setdefault(item.name, path)
        elif isinstance(item, Child):
            for name in item.asked:
                found.setdefault(name, path)
        for inner in item.inner():
            for name, where in _definitions(inner, (*path, item)).items():
                found.setdefault(name, where)
    return found


def _single(value: Any) -> str | None:
    """Return the name that a value is, if it is one."""
    whole = term(value)
    atom = whole.atom if isinstance(whole, Poly) else whole
    return str(atom.args[0]) if atom is not None and atom.op == "name" else None


def _lets(
    items: list[Item], path: tuple[Item, ...] = ()
) -> Iterator[tuple[tuple[Item, ...], list[Item], int]]:
    for index, item in enumerate(items):
        if isinstance(item, Let):
            yield path, items, index
        for inner in item.inner():
            yield from _lets(inner, (*path, item))


def item_lists(items: list[Item]) -> Iterator[list[Item]]:
    """Yield a list of items, and those within them."""
    yield items
    for item in items:
        for inner in item.inner():
            yield from item_lists(inner)


def _reads(staged: Staged, name: str) -> int:
    return sum(name in mentioned(value) for item in walk(staged.items) for value in item.terms()) + sum(
        name in mentioned(n) for shape in staged.out_terms for n in shape if isinstance(n, SymInt)
    )


def _drop_selves(staged: Staged) -> None:
    for items in item_lists(staged.items):
        items[:] = [i for i in items if not (isinstance(i, Let) and _single(i.value) == i.name)]


class Mentioned(dict[Item, set[str]]):
    """The names in all expressions of an item."""

    def __missing__(self, item: Item) -> set[str]:
        values = list(item.terms())
        if isinstance(item, Layer):
            values += (*item.op.arguments().values(), *item.before, *item.after)
        elif isinstance(item, Child):
            values += (*item.args.values(), *(getattr(shape, "channels", shape) for shape in item.shapes))
        elif isinstance(item, (Pick, Store)):
            values += (item.index, *item.terms())
        if isinstance(item, Module):
            values.append(item.name)
        self[item] = {name for value in values for name in mentioned(value)}
        return self[item]


def _rename(staged: Staged, name: str, other: str, known: Mentioned) -> None:
    """Call a variable by another name everywhere."""
    env = {name: Atom("name", (other,))}
    staged.hints.setdefault(other, staged.hints.get(name))
    for item in walk(staged.items):
        if isinstance(item, Let):
            item.name = other if item.name == name else item.name
        elif isinstance(item, Child):
            item.results = tuple(other if one == name else one for one in item.results)
        if name in known[item]:
            _replace_in(item, env)
            del known[item]
    staged.out_terms = tuple(_shape(s, env) for s in staged.out_terms)


def _replace(items: list[Item], env: Mapping[Any, Any]) -> None:
    """Replace names, or conditional values, in all expressions of items."""
    for item in walk(items):
        _replace_in(item, env)


def _replace_in(item: Item, env: Mapping[Any, Any]) -> None:
    if isinstance(item, Let):
        item.value = renamed(item.value, env)
    elif isinstance(item, Layer):
        item.op = item.op.replace(**{k: renamed(v, env) for k, v in item.op.arguments().items()})
        item.before = tuple(_shape(s, env) for s in item.before)
        item.after = tuple(_shape(s, env) for s in item.after)
    elif isinstance(item, Child):
        item.args = {k: renamed(v, env) for k, v in item.args.items()}
        item.shapes = tuple(_shape(s, env) for s in item.shapes)
    elif isinstance(item, (If, Check)):
        item.test = renamed(item.test, env)
        if isinstance(item, Check):
            item.message = _SHOWN.sub(lambda shown: _WORD.sub(partial(_other, env), shown[0]), item.message)
    elif isinstance(item, Loop):
        item.over = renamed(item.over, env)
    elif isinstance(item, (Pick, Store)):
        item.index = renamed(item.index, env)
        if isinstance(item, Store):
            item.channels = renamed(item.channels, env)
    if isinstance(item, Module) and item.name is not None:
        item.name = renamed(item.name, env)


def _other(env: Mapping[Any, Any], word: re.Match[str]) -> str:
    """Return what stands for a name of a message."""
    if word[0] not in env:
        return word[0]
    other = text(env[word[0]])
    return other if other.isidentifier() else f"({other})"


def _shape(shape: Any, env: Mapping[Any, Any]) -> Any:
    if isinstance(shape, Elements):
        return Elements(shape, renamed(shape.channels, env))
    return Shape(*(renamed(n, env) for n in shape), axes=shape.axes)


def sizes_read(staged: Staged) -> set[str]:
    """Return the sizes of what comes in that the constructor reads."""
    found = dict(staged.names())
    if staged.told:
        for shape in staged.out_terms:
            if "c" in shape.axes:
                found.update(mentioned(shape.c))
        # what is called by an argument is given the channels of all that comes in
        found.update(dict.fromkeys(i.sizes["c"] for i in staged.inputs if "c" in i.sizes))
    return {
        name for i in staged.inputs for name in i.sizes.values() if name in found and name not in staged.fixed
    }
