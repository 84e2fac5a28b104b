"""What a table may say after its pairs were compared: rank intervals and letters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from string import ascii_lowercase, ascii_uppercase

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]


def rank_intervals(better: Bools) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The lowest and the highest rank of each entry, 1 for the best.

    better: (n, n), better[i, j] = entry i is told to be better than entry j, all pairs at one family-wise
    level; then all rank intervals hold at once at that level.
    Source: Mogstad, Romano, Shaikh and Wilhelm, "Inference for ranks", Review of Economic Studies 2024,
    section 3.
    """
    n = len(better)
    return 1 + better.sum(axis=0), n - better.sum(axis=1)


def compact_letters(different: Bools, order: npt.NDArray[np.int64]) -> list[str]:
    """One string of letters an entry: two entries share a letter exactly where they are not told apart.

    different: (n, n) symmetric. order: entries from best to worst; the best carries `a`.
    Source: Piepho, "An algorithm for a letter-based representation of all-pairwise comparisons", Journal of
    Computational and Graphical Statistics 2004 (insert and absorb).
    """
    columns = [frozenset(range(len(different)))]
    for i, j in zip(*np.nonzero(np.triu(different)), strict=True):
        columns = _absorb([part for column in columns for part in _insert(column, int(i), int(j))])
    place = {int(entry): position for position, entry in enumerate(order)}
    columns.sort(key=lambda column: sorted(place[entry] for entry in column))
    names = dict(zip(columns, _letters(), strict=False))
    return [
        "".join(name for column, name in names.items() if entry in column) for entry in range(len(different))
    ]


def _insert(column: frozenset[int], i: int, j: int) -> list[frozenset[int]]:
    """Split a column that holds both members of a differing pair."""
    return [column - {i}, column - {j}] if i in column and j in column else [column]


def _absorb(columns: list[frozenset[int]]) -> list[frozenset[int]]:
    """Drop the columns that lie within another."""
    kept: list[frozenset[int]] = []
    for column in sorted(set(columns), key=lambda c: (-len(c), sorted(c))):
        if not any(column <= larger for larger in kept):
            kept.append(column)
    return kept


def _letters() -> Iterator[str]:
    """a ... z, A ... Z, a' ... Z', a'' ..."""
    for primes in count():
        for letter in ascii_lowercase + ascii_uppercase:
            yield letter + "'" * primes
