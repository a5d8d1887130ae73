"""The nets of a space that keep its budgets: what they cost, draws, the net nearest to a wish, fronts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from netdsl.cost.budget import check
from netdsl.network import Network, Recipe
from netdsl.space.draws import draws
from netdsl.space.fronts import Front, Goal, front
from netdsl.space.lattice import Edge
from netdsl.space.overview import Explored, summed
from netdsl.space.reduced import NoNet, extreme
from netdsl.space.space import Space

Answers = Mapping[str, int]
"""Which option each decision of a net takes, in the order in which they are met."""
DRAWS = 2_000
"""How many nets are drawn for one that keeps the budgets that are no sums."""
STEPS = 200_000
"""How many edges are looked at for a net near a wish."""


class Nets:
    """The nets of a space within its budgets."""

    def __init__(self, recipe: Recipe, columns: Sequence[str] = ("macs", "params")) -> None:
        """Look at the whole space.

        Args:
            recipe: A net with open decisions.
            columns: The quantities that `costs` returns; each is a sum over layers.

        Raises:
            NetError: The spec is wrong, leaves nothing open, or has no net within its budgets; a column is no sum.
        """
        self.recipe = recipe
        self.columns = tuple(columns)
        self.titles = tuple([summed(name, "score").title for name in columns])
        """What they are called."""
        explored = self.explored = Explored(Space(recipe))
        self.space, self.lattice, self.others = explored.space, explored.lattice, explored.others
        self.options: dict[str, int] = {}
        """By decision, how many options nets take."""
        for name, index in [one for row in self.lattice.edges for edge in row for one in edge.answers]:
            self.options[name] = max(index + 1, self.options.get(name, 0))
        # the most that sums may be; those that are bounded from below are turned over
        self._limits = [(at, 1, most) for at, most in explored.most.items()]
        self._limits += [(at, -1, -least) for at, least in explored.least.items()]
        self._ahead = [
            extreme(
                self.lattice, [[sign * edge.costs[at] for edge in row] for row in self.lattice.edges], min
            )
            for at, sign, _ in self._limits
        ]
        self._chance = Random()
        try:
            self._draws = draws(self.lattice, explored.most, explored.least, random=self._chance)
        except NoNet:
            raise explored.nothing() from None

    @cached_property
    def claims(self) -> list[str]:
        """What nets have to keep, as the spec has it."""
        return sorted({one.text for one in (*self.explored.bounds, *self.others)})

    @property
    def files(self) -> list[Path]:
        """The files that the space was read from."""
        decl = self.recipe.variant or self.recipe.net
        return [one.path for one in decl.file.sources() if one.path is not None]

    # ---------------------------------------------------------------- one net

    def network(self, answers: Answers) -> Network:
        """Return a net of the space, elaborated."""
        return Network(self.recipe.given(self.texts(answers)))

    def texts(self, answers: Answers) -> dict[str, str]:
        """Return the options that are taken, as the spec says them."""
        return self.space.texts(answers)

    def costs(self, answers: Answers) -> tuple[int, ...]:
        """Return what a net costs, by `columns`."""
        sums = self.explored.sums(answers)
        return tuple([sums[self.explored.place(name)] for name in self.columns])

    def keeps(self, answers: Answers) -> bool:
        """Tell whether a net keeps its budgets."""
        return self.explored.within(self.explored.sums(answers)) and self.keeps_others(answers)

    def keeps_others(self, answers: Answers) -> bool:
        """Tell whether a net keeps the budgets that are no sums, for which it is elaborated."""
        return not self.others or not check(self.network(answers))

    # ---------------------------------------------------------------- many

    def draw(self, random: Random) -> Answers:
        """Return a net that keeps the budgets, each with the same probability.

        Raises:
            NetError: So few keep those that are no sums that none was found.
        """
        self._chance.setstate(random.getstate())
        try:
            for answers in islice(self._draws, DRAWS):
                if self.keeps_others(answers):
                    return answers
        except NoNet:
            pass
        finally:
            random.setstate(self._chance.getstate())
        raise self.explored.nothing()

    def nearest(self, wanted: Answers, accept: Callable[[Answers], bool], random: Random) -> Answers | None:
        """Return a net that keeps the budgets and takes the options that are wanted, as far as may be.

        Decisions are made in the order in which they are met, the rest by chance; the last ones are changed first.

        Returns:
            None if none is accepted, or none was found in a number of steps.
        """
        for answers in self._near(wanted, random):
            if accept(answers) and self.keeps_others(answers):
                return answers
        return None

    def _near(self, wanted: Answers, random: Random) -> Iterator[Answers]:
        """Yield nets within the sums, those that take what is wanted early first."""

        def order(at: int) -> list[Edge]:
            def off(edge: Edge) -> list[bool]:
                return [wanted.get(name) != index for name, index in edge.answers]

            edges = [*self.lattice.edges[at]]
            random.shuffle(edges)
            return sorted(edges, key=off, reverse=True)  # the last is taken first

        end = len(self.lattice.edges) - 1
        limits = [(*limit, ahead) for limit, ahead in zip(self._limits, self._ahead, strict=True)]
        stack = [(order(0), [0] * len(limits))]
        taken: list[tuple[tuple[str, int], ...]] = []
        for _ in range(STEPS):
            if not stack:
                return
            edges, before = stack[-1]
            if not edges:
                stack.pop()
                if taken:
                    taken.pop()
                continue
            edge = edges.pop()
            sums = [n + sign * edge.costs[at] for n, (at, sign, _, _) in zip(before, limits, strict=True)]
            if any(n + ahead[edge.end] > most for n, (_, _, most, ahead) in zip(sums, limits, strict=True)):
                continue
            if edge.end == end:
                yield dict([one for answers in (*taken, edge.answers) for one in answers])
                continue
            taken.append(edge.answers)
            stack.append((order(edge.end), sums))

    def front(self, parts: Mapping[tuple[str, int], float]) -> Front:
        """Return the nets within the sums of which none is better in all of `columns` and a score.

        Args:
            parts: What a decision adds to the score by the option that it takes; more is better.
        """
        goals: list[Any] = [Goal(self.explored.place(name)) for name in self.columns]
        return front(self.lattice, [*goals, Goal(parts, True)], self.explored.most, self.explored.least)
