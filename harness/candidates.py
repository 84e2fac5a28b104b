"""From candidates to ranks: the exact order of the few items that may be among a query's first."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.ranking import ROWS, TILE, Ranked, Relevance


@dataclass(frozen=True, eq=False)
class Candidates:
    """Items that may stand before or among what is looked for, of the queries at positions `rows` (B,).

    query, item (M,): pairs of a position in `rows` and a gallery index. A query's are all items that come up to some
    similarity: that of its nearest relevant item or lower, or that of its R first.
    ahead: (B,) number of items that stand before the nearest relevant one for certain.
    decided: (B,) bool, whether the candidates tell all; elsewhere the whole gallery must be looked at.
    within: (B,) bool, whether a relevant item may be among the first R.
    """

    rows: Tensor
    query: Tensor
    item: Tensor
    ahead: Tensor
    decided: Tensor
    within: Tensor


def ranked_candidates(items: Tensor, relevance: Relevance, found: Candidates) -> Ranked:
    """The ranks of the decided queries, which are their own gallery; `first` is left empty.

    A query without candidates has the rank `ahead` and no hits.
    """
    rows = found.rows
    query, item, position = _in_order(items, found)
    rank = _first_relevant(relevance, found, query, item, position)
    hit = torch.nonzero(_is_relevant(relevance, rows, query, item)).flatten()
    query, position = query[hit], position[hit]
    k = int(relevance.count[rows].max())
    hits = torch.zeros(len(rows), k, dtype=torch.bool)
    inside = position < k
    hits[query[inside], position[inside]] = True
    some = found.decided
    return Ranked(rows[some], rows.new_empty(int(some.sum()), 0), hits[some], rank[some])


def before_nearest(items: Tensor, relevance: Relevance, found: Candidates) -> tuple[Tensor, Tensor]:
    """Pairs (M,) of a position in `rows` and an item that stands before the query's nearest relevant one.

    Whole for queries that have candidates.
    """
    query, item, position = _in_order(items, found)
    before = position < _first_relevant(relevance, found, query, item, position)[query]
    return query[before], item[before]


def _in_order(items: Tensor, found: Candidates) -> tuple[Tensor, Tensor, Tensor]:
    """Query, item and position (M,) of all pairs, by query and then as the query ranks them."""
    order = torch.argsort(found.query)
    query, item = found.query[order], found.item[order]
    order = _by_rank(query, item, _similarities(items, found.rows, query, item))
    query, item = query[order], item[order]
    sizes = torch.bincount(query, minlength=len(found.rows))
    return query, item, torch.arange(len(query)) - (torch.cumsum(sizes, 0) - sizes)[query]


def _first_relevant(
    relevance: Relevance, found: Candidates, query: Tensor, item: Tensor, position: Tensor
) -> Tensor:
    """(B,) position of the nearest relevant candidate; `ahead` where there is no candidate."""
    nowhere = len(relevance.item)
    first = found.ahead.clone()
    first[query] = nowhere
    return first.scatter_reduce_(
        0, query, position.masked_fill(~_is_relevant(relevance, found.rows, query, item), nowhere), "amin"
    )


def _is_relevant(relevance: Relevance, rows: Tensor, query: Tensor, item: Tensor) -> Tensor:
    """(M,) bool, of pairs."""
    return relevance.item[rows][query] == relevance.item[item]


def _similarities(items: Tensor, rows: Tensor, query: Tensor, item: Tensor) -> Tensor:
    """(M,) float32 similarities of pairs, as `harness.ranking` makes them to the last bit.

    query: (M,) in rising order, so that those of a tile of pairs stand close together.
    """
    values = torch.empty(len(query))
    for start in range(0, len(query), TILE):
        some = query[start : start + TILE]
        others = F.pad(items[item[start : start + TILE]], (0, 0, 0, TILE - len(some)))
        first, last = int(some[0]), int(some[-1]) + 1
        queries = F.pad(items[rows[first:last]], (0, 0, 0, -(last - first) % ROWS))
        values[start : start + TILE] = (queries @ others.T)[some - first, torch.arange(len(some))]
    return values


def _by_rank(query: Tensor, item: Tensor, value: Tensor) -> Tensor:
    """(M,) the order by query, then value from high to low, then item."""
    by_item = item.argsort()
    # The bits of a float, read as an integer, keep its order; those of negative ones reversed. -0.0 is 0.0.
    bits = (value + 0.0).view(torch.int32)[by_item].to(torch.int64)
    bits = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return by_item[torch.argsort((query[by_item] << 33) - bits, stable=True)]
