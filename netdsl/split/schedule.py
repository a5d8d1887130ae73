"""How micro-batches go through the parts of a pipeline: what each does when, if nothing takes time but the work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdsl.record import Record


class Slot(Record):
    """What a part does for a micro-batch."""

    rank: int
    micro_batch: int
    back: bool
    start: float
    end: float


def order_of(schedule: str, rank: int, parts: int, number: int, train: bool) -> Iterator[tuple[int, bool]]:
    """Yield the micro-batches that a part takes, and whether back, in order."""
    ahead = min(number, parts - rank) if schedule == "1f1b" and train else number
    yield from ((at, False) for at in range(ahead))
    for at in range(number if train else 0):
        yield at, True
        if ahead + at < number:
            yield ahead + at, False


def simulate(schedule: str, forward: Sequence[float], back: Sequence[float], number: int) -> list[Slot]:
    """Return what each part does when, in order of time for each; with nothing `back` there is no training.

    Args:
        schedule: gpipe or 1f1b.
        forward: By part, how long it takes for one micro-batch.
        back: Likewise for the way back, or nothing.
        number: How many micro-batches there are.
    """
    parts, train = len(forward), bool(back)
    left = [list(order_of(schedule, rank, parts, number, train)) for rank in range(parts)]
    done: dict[tuple[int, int, bool], float] = {}
    clock, at = [0.0] * parts, [0] * parts
    found: list[Slot] = []
    while any(at[rank] < len(left[rank]) for rank in range(parts)):
        for rank in range(parts):
            while at[rank] < len(left[rank]):
                one, goes_back = left[rank][at[rank]]
                needs = [(one, rank, False)] if goes_back else []
                before = rank + 1 if goes_back else rank - 1
                needs += [(one, before, goes_back)] if 0 <= before < parts else []
                if not all(need in done for need in needs):
                    break
                start = max([clock[rank], *[done[need] for need in needs]])
                clock[rank] = start + (back if goes_back else forward)[rank]
                done[one, rank, goes_back] = clock[rank]
                found.append(Slot(rank, one, goes_back, start, clock[rank]))
                at[rank] += 1
    return found


def waiting(slots: Sequence[Slot], parts: int) -> float:
    """Return which share of the time parts wait, from the begin of the first to the end of the last."""
    whole = max((slot.end for slot in slots), default=0.0)
    busy = sum(slot.end - slot.start for slot in slots)
    return 1 - busy / (parts * whole) if whole else 0.0
