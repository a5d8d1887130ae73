"""What is said of a space without looking at each net, against looking at each net."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction
from itertools import accumulate, islice
from random import Random

import pytest
from lattices import Path, depths, paths, product, random_lattice

from netdsl.space import draws as drawing
from netdsl.space.counts import Bracket, count, size
from netdsl.space.draws import draws
from netdsl.space.fronts import Goal, front
from netdsl.space.lattice import Edge, Lattice
from netdsl.space.ranges import options, ranges
from netdsl.space.reduced import NoNet, merge

SEEDS = range(200)


def some_bounds(rng: Random, nets: list[Path], columns: int) -> tuple[dict[int, int], dict[int, int]]:
    """Return bounds near to what some net costs: at most, and at least."""
    most = {c: rng.choice(nets).costs[c] + rng.randint(-1, 1) for c in range(columns) if rng.random() < 0.6}
    least = {c: rng.choice(nets).costs[c] + rng.randint(-1, 1) for c in range(columns) if rng.random() < 0.25}
    return most, least


def within(nets: list[Path], most: Mapping[int, int], least: Mapping[int, int]) -> list[Path]:
    """Return the nets within bounds."""
    return [
        net
        for net in nets
        if all(net.costs[c] <= limit for c, limit in most.items())
        and all(net.costs[c] >= limit for c, limit in least.items())
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_counts_equal_counting(seed: int) -> None:
    rng = Random(seed)
    lattice = random_lattice(rng)
    nets = paths(lattice)
    assert size(lattice) == len(nets)
    for _ in range(4):
        most, least = some_bounds(rng, nets, len(lattice.columns))
        number = len(within(nets, most, least))
        assert count(lattice, most, least) == Bracket(number, number)
        # too little effort for an exact answer
        for sums in (0, 5, 30):
            for cells in (0, 300, 100_000):
                bracket = count(lattice, most, least, sums=sums, cells=cells)
                assert bracket.least <= number <= bracket.most


@pytest.mark.parametrize("seed", SEEDS)
def test_merged_lattices_have_as_many_nets_of_each_cost(seed: int) -> None:
    rng = Random(seed)
    lattice = random_lattice(rng) if seed % 2 else depths(rng, rng.randint(1, 2), 3, 3)
    columns = rng.sample(range(len(lattice.columns)), rng.randint(1, len(lattice.columns)))
    merged = merge(lattice, columns)
    assert merged.columns == tuple(lattice.columns[c] for c in columns)
    costs = Counter(tuple(net.costs[c] for c in columns) for net in paths(lattice))
    assert Counter(net.costs for net in paths(merged)) == costs
    if not seed % 2:
        # a stage has 3 + 3 (1 + 2 + 3) edges; then each of its blocks is there once, with a way on and one out
        stages = sum(map(len, lattice.edges)) // 21
        assert sum(map(len, merged.edges)) <= stages * (1 + 3 * (2 + 2 + 1)) + 1


def test_brackets_are_tighter_with_more_effort() -> None:
    lattice = product(Random(1), 7, 4, 10**6)
    nets = paths(lattice)
    most = {c: sorted(net.costs[c] for net in nets)[len(nets) // 20] for c in (0, 1)}
    number = len(within(nets, most, {}))
    ratios = []
    for cells in (10**3, 10**4, 10**5, 10**6):
        bracket = count(lattice, most, sums=10, cells=cells)
        assert bracket.least <= number <= bracket.most
        assert not bracket.exact
        ratios.append(bracket.most / max(1, bracket.least))
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[-1] < 1.2


def test_a_million_nets() -> None:
    lattice = product(Random(2), 6, 10, 10**7)
    nets = [(0, 0)]
    for edges in lattice.edges[:-1]:
        nets = [(a + e.costs[0], b + e.costs[1]) for a, b in nets for e in edges]
    assert size(lattice) == len(nets) == 10**6
    most = {c: sorted(net[c] for net in nets)[len(nets) // 10] for c in (0, 1)}
    number = sum(a <= most[0] and b <= most[1] for a, b in nets)
    assert count(lattice, most) == Bracket(number, number)


def sums_of(lattice: Lattice, columns: tuple[int, ...]) -> Counter[tuple[int, ...]]:
    """Return the number of nets by what they cost, for lattices without branches whose costs are small."""
    table = Counter({(0,) * len(columns): 1})
    for edges in lattice.edges[:-1]:
        after: Counter[tuple[int, ...]] = Counter()
        for edge in edges:
            for costs, number in table.items():
                after[tuple(c + edge.costs[i] for c, i in zip(costs, columns, strict=True))] += number
        table = after
    return table


def scaled(lattice: Lattice, factor: int, rng: Random, noise: int) -> Lattice:
    """Return a lattice with greater costs, and some added that does not change what is within multiples."""
    return lattice.replace(
        edges=tuple(
            tuple(
                Edge(e.answers, tuple(c * factor + rng.randint(0, noise) for c in e.costs), e.end)
                for e in edges
            )
            for edges in lattice.edges
        )
    )


def test_a_space_too_large_to_enumerate() -> None:
    rng = Random(3)
    small = product(rng, 46, 3, 6)
    assert size(small) == 3**46 > 8e21
    table = sums_of(small, (0, 1))
    # 46 times less than 1000 is less than one step: limits at the end of a step hold the same nets
    large = scaled(small, 46_000, rng, 999)
    for columns in ((0,), (1,), (0, 1)):
        by_sum = Counter[int]()
        for key, n in table.items():
            by_sum[max(key[c] for c in columns)] += n
        limits = sorted(by_sum)
        below = list(accumulate(by_sum[limit] for limit in limits))
        at = next(i for i, n in enumerate(below) if n >= size(small) // 100)
        limit, number = limits[at], below[at]
        most = dict.fromkeys(columns, limit)
        exact = count(small, most)
        assert exact == Bracket(number, number) or len(columns) == 2
        assert exact.least <= number <= exact.most
        bracket = count(large, {c: limit * 46_000 + 45_999 for c in columns}, cells=50_000_000)
        assert bracket.least <= number <= bracket.most
        assert bracket.most <= bracket.least * (1.05 if len(columns) == 1 else 2.5)


def some_goals(rng: Random, lattice: Lattice) -> list[Goal]:
    """Return one to five goals: columns and scores of options."""
    columns = rng.sample(range(len(lattice.columns)), rng.randint(0, len(lattice.columns)))
    goals = [Goal(c, rng.random() < 0.5) for c in columns]
    if not goals or rng.random() < 0.6:
        answers = sorted({a for edges in lattice.edges for edge in edges for a in edge.answers})
        scores = {a: rng.choice((0.0, 0.1, rng.gauss(0, 1))) for a in answers if rng.random() < 0.9}
        goals.insert(rng.randint(0, len(goals)), Goal(scores, rng.random() < 0.5))
    return goals


def vector(net: Path, goals: list[Goal]) -> tuple[Fraction, ...]:
    """Return what a net has in each goal, exactly."""
    return tuple(
        Fraction(net.costs[goal.of])
        if isinstance(goal.of, int)
        else sum((Fraction(goal.of.get(a, 0)) for a in net.answers.items()), Fraction(0))
        for goal in goals
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_fronts_equal_comparing(seed: int) -> None:
    rng = Random(seed)
    lattice = random_lattice(rng)
    nets = paths(lattice)
    most, least = some_bounds(rng, nets, len(lattice.columns))
    goals = some_goals(rng, lattice)
    vectors = {vector(net, goals) for net in within(nets, most, least)}
    signs = [-1 if goal.more else 1 for goal in goals]

    def as_good(a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> bool:
        return all(x * sign <= y * sign for x, y, sign in zip(a, b, signs, strict=True))

    best = {v for v in vectors if not any(as_good(other, v) for other in vectors if other != v)}
    if not best:
        with pytest.raises(NoNet):
            front(lattice, goals, most, least)
        return
    found = front(lattice, goals, most, least)
    by_answers = {tuple(net.answers.items()): net for net in within(nets, most, least)}
    exact = [vector(by_answers[tuple(found.answers(i).items())], goals) for i in range(len(found))]
    assert set(exact) == best
    assert len(exact) == len(best)
    assert [tuple(map(float, v)) for v in exact] == found.sums
    assert [v[0] * signs[0] for v in exact] == sorted(v[0] * signs[0] for v in exact)


@pytest.mark.parametrize("goals", range(1, 6))
@pytest.mark.parametrize("top", [4, 10**6])
def test_large_fronts_equal_comparing(goals: int, top: int) -> None:
    lattice = product(Random(goals), 4, 6, top, goals)
    vectors = {net.costs for net in paths(lattice)}
    best = {v for v in vectors if not any(w != v and all(map(int.__le__, w, v)) for w in vectors)}
    assert goals < 4 or top < 5 or len(best) > 60
    found = front(lattice, [Goal(c) for c in range(goals)]).sums
    assert set(found) == best
    assert len(found) == len(best)


def test_fronts_need_goals_that_can_be_compared() -> None:
    lattice = product(Random(1), 2, 2, 9)
    with pytest.raises(ValueError, match="needs a goal"):
        front(lattice, [])
    with pytest.raises(ValueError, match="stage1 adds nan for option 0"):
        front(lattice, [Goal({("stage1", 0): float("nan")})])


@pytest.mark.parametrize("seed", SEEDS)
def test_ranges_and_options_equal_looking(seed: int) -> None:
    rng = Random(seed)
    lattice = random_lattice(rng)
    nets = paths(lattice)
    most, least = some_bounds(rng, nets, len(lattice.columns))
    good = within(nets, most, least)
    taken = frozenset(answer for net in good for answer in net.answers.items())
    found = options(lattice, most, least)
    assert (found.taken, found.open) == (taken, frozenset())
    hasty = options(lattice, most, least, effort=2)
    assert hasty.taken <= taken <= hasty.taken | hasty.open
    if not good:
        with pytest.raises(NoNet):
            ranges(lattice, most, least)
        return
    for effort in (2000, 2):
        for c, found_range in enumerate(ranges(lattice, most, least, effort=effort)):
            costs = [net.costs[c] for net in good]
            for bracket, value in ((found_range.least, min(costs)), (found_range.most, max(costs))):
                assert bracket.least <= value <= bracket.most
                assert bracket.exact or effort == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_draws_are_nets_within_bounds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(seed)
    lattice = random_lattice(rng)
    nets = paths(lattice)
    most, least = some_bounds(rng, nets, len(lattice.columns))
    good = {tuple(net.answers.items()) for net in within(nets, most, least)}
    # as it is, and with tables that are large enough for nothing to be rounded, or too small for that
    for share, taken in ((drawing.SHARE, drawing.BYTES), (2, drawing.BYTES), (2, 5_000)):
        monkeypatch.setattr(drawing, "SHARE", share)
        monkeypatch.setattr(drawing, "BYTES", taken)
        if not good:
            with pytest.raises(NoNet):
                draws(lattice, most, least, random=rng)
            continue
        drawn = {tuple(net.items()) for net in islice(draws(lattice, most, least, random=rng), 30)}
        assert drawn <= good
        if len(good) <= 3:
            assert drawn == good


@pytest.mark.parametrize(
    ("share", "taken"),
    [(0, drawing.BYTES), (2, drawing.BYTES), (2, 60_000)],
    ids=["all nets", "exact tables", "rounded"],
)
def test_draws_are_uniform(share: float, taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "SHARE", share)
    monkeypatch.setattr(drawing, "BYTES", taken)
    lattice = product(Random(7), 4, 5, 10**6)
    nets = paths(lattice)
    most = {c: sorted(net.costs[c] for net in nets)[len(nets) // 3] for c in (0, 1)}
    good = [tuple(net.answers.items()) for net in within(nets, most, {})]
    times = 60
    drawn = Counter(
        tuple(net.items()) for net in islice(draws(lattice, most, random=Random(8)), times * len(good))
    )
    assert set(drawn) == set(good)
    statistic = sum((n - times) ** 2 / times for n in drawn.values())
    assert len(good) == 38
    assert statistic < 69.35  # the 99.9 % point of chi-square with 37 degrees of freedom


def test_the_same_seed_draws_the_same_nets() -> None:
    lattice = product(Random(1), 40, 3, 10**6)
    most = {0: 15 * 10**6, 1: 17 * 10**6}
    first, again, other = (list(islice(draws(lattice, most, random=Random(seed)), 20)) for seed in (1, 1, 2))
    assert first == again != other
    for net in first:
        edges = [lattice.edges[i][option] for i, option in enumerate(net.values())]
        assert all(sum(edge.costs[c] for edge in edges) <= limit for c, limit in most.items())


def test_draws_end_where_no_net_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    lattice = product(Random(5), 8, 4, 10**6, 1)
    costs = {net.costs[0] for net in paths(lattice)}
    # between what two nets cost; nothing but the sums of all parts shows that there is none
    limit = next(n for n in range(3 * 10**6, 4 * 10**6) if not costs & set(range(n, n + 10)))
    bounds = {0: limit + 9}, {0: limit}
    monkeypatch.setattr(drawing, "LABELS", 20)
    monkeypatch.setattr(drawing, "PATIENCE", 1000)
    with pytest.raises(NoNet, match="none of 1,000 nets in a row that were drawn is within the bounds"):
        next(draws(lattice, *bounds, random=Random(1)))
    monkeypatch.setattr(drawing, "LABELS", 10**6)
    with pytest.raises(NoNet, match="no net is within the bounds"):
        draws(lattice, *bounds, random=Random(1))
