"""What to run next: the closest pair of a board that nothing has told apart, and what it would take to do so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from harness.publish import words
from harness.publish.rows import Board
from harness.statistics import Outcomes, separable_difference

#: More repetitions, or times as many searches, than these are no advice.
MOST, MOST_TIMES = 200, 20


@dataclass(frozen=True)
class Effort:
    """What each entry of a pair gets. searches: None where entries have one or none, so that more say nothing."""

    repetitions: int
    searches: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two entries that are tied, the better one first. difference: of their MAP@R, a fraction.

    effort: the least that finds a true difference of this size in four of five cases; None where nothing reasonable
    does. limit: the difference that the most reasonable effort finds.
    """

    first: str
    second: str
    difference: float
    effort: Effort | None
    limit: float


def closest_pair(board: Board) -> Pair | None:
    """The pair to separate next: of the tied pairs that more work can separate, the one that lies closest; where there
    is none, the closest of all. None where nothing is tied."""
    pairs = sorted(_tied(board), key=lambda pair: (pair.effort is None, pair.difference))
    return pairs[0] if pairs else None


def pair_words(pair: Pair) -> str:
    """One sentence on what it would take."""
    what = f"{pair.first} and {pair.second} are tied, {words.percent(pair.difference)} points of MAP@R apart"
    if pair.effort is not None:
        parts = [words.plural(pair.effort.repetitions, "repetition")]
        if pair.effort.searches is not None:
            parts.append(words.plural(pair.effort.searches, "search"))
        return f"{what}; if they truly differ by so much, {' and '.join(parts)} of each find it in four of five cases"
    if words.missing(pair.limit):
        return f"{what}; two repetitions of each or more would say what it takes to tell them apart"
    return (
        f"{what}; many more repetitions would still find no less than {words.percent(pair.limit)} points, for want of "
        "test classes: only more of these, or another dataset, could tell them apart"
    )


def _tied(board: Board) -> Iterator[Pair]:
    if board.comparison is None:
        return
    told = board.compared_outcomes()
    now = Effort(board.most("repetitions"), board.most("searches"))
    efforts = _efforts(now)
    for one, other in combinations(told, 2):  # a board's records stand in the order of their scores
        i, j = board.compared.index(one), board.compared.index(other)
        if board.comparison.different[i, j]:
            continue
        pair, difference = (told[one], told[other]), abs(float(board.comparison.difference[i, j]))
        if now.repetitions >= 2 and _found(*pair, now) <= difference:
            continue  # alone they would be told apart; the whole table asks for more
        effort = next((effort for effort in efforts if _found(*pair, effort) <= difference), None)
        yield Pair(one, other, difference, effort, _found(*pair, efforts[-1]))


def _efforts(now: Effort) -> list[Effort]:
    """What could be tried, the least first: more repetitions, and where entries were searched several times, as many
    times more searches, since the luck of a search is no smaller for being repeated."""
    if now.searches is None or now.searches < 2:
        return [Effort(repetitions) for repetitions in range(max(2, now.repetitions + 1), MOST + 1)]
    counts = range(now.searches + 1, MOST_TIMES * now.searches + 1)
    return [Effort(math.ceil(count * now.repetitions / now.searches), count) for count in counts]


def _found(one: Outcomes, other: Outcomes, effort: Effort) -> float:
    return separable_difference(one, other, effort.repetitions, searches=effort.searches)
