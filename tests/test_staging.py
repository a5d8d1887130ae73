"""What a walk of a body takes back, and what is found of a class once."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import pytest

import netdsl
from netdsl.elaborate.draft import DraftScope, Place
from netdsl.emission.items import Staged
from netdsl.emission.state import Kept, State, put_back
from netdsl.source import Source, Span
from netdsl.symbolic import arithmetic, evaluate, named, term, text


def test_what_is_put_back_are_the_same_objects_with_what_they_held() -> None:
    before: dict[str, Any] = {"path": [1, 2], "meaning": {"a": 1}, "seen": {1}, "dead": 0}
    owner = SimpleNamespace(**before)
    kept = Kept.of(owner, before)
    owner.path.append(3)
    owner.meaning = {"b": 2}  # another one
    owner.seen.clear()
    owner.dead += 1
    for _ in range(2):  # it may be taken back again
        put_back(owner, kept)
        assert vars(owner) == {"path": [1, 2], "meaning": {"a": 1}, "seen": {1}, "dead": 0}
        assert all(getattr(owner, name) is value for name, value in before.items())
        owner.path.clear()


def test_a_turn_that_fails_is_left() -> None:
    state = object.__new__(State)
    span = Span(Source("n.net", ""), 0, 0)
    place = cast(Place, SimpleNamespace(scope=DraftScope("block", "", span)))
    turn = state.apart(place, turn=True)
    turn.__enter__()
    assert state.unrolling
    failed = ValueError()
    assert not turn.__exit__(ValueError, failed, None)
    assert not state.unrolling


def test_the_names_that_a_class_reads_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Staged] = []
    names = Staged.names

    def noted(staged: Staged) -> Any:
        if staged.known_names is None:
            found.append(staged)
        return names(staged)

    monkeypatch.setattr(Staged, "names", noted)
    netdsl.load("resnet152").emit("torch")
    assert len(found) <= 2 * len(set(map(id, found)))  # staged, and tidied


@pytest.mark.parametrize("op", ["//", "%"])
def test_a_quotient_is_what_its_expression_says(op: str) -> None:
    """Multiples of the divisor leave the quotient, whatever the signs."""
    for x, y in product((-7, -1, 0, 3, 8), (-3, -1, 2, 5)):
        a, b = named(x, "a"), named(y, "b")
        for value, divisor in (
            (3 * a * b + a - 2 * b - 1, b),
            (a - 4, 2),
            (4 * a * b + 6 * b + 3, 4 * b),
            (a * b + 7, 5),
        ):
            found = arithmetic(op, value, divisor)
            assert found == evaluate(term(found), {"a": x, "b": y})
    assert text(arithmetic("//", named(8, "a") - 2, 2) + 1) == "a // 2"
