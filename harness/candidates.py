"""From candidates to ranks: the exact order of the few items that may be among a query's first."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.ranking import ROWS, TILE, Ranked, Relevance


def ranked_candidates(
    items: Tensor, relevance: Relevance, rows: Tensor, query: Tensor, item: Tensor, beyond: Tensor
) -> Ranked:
    """The ranks of the queries at `rows` (B,), which are their own gallery; `first` is left empty.

    query, item (M,): pairs of a position among the B queries and a gallery index. A query's candidates are all that
    come up to some similarity, that of its nearest relevant item or lower, or those that come up to that of its R
    first; a query without candidates has the rank `beyond` (B,) and no hits.
    """
    order = torch.argsort(query)
    query, item = query[order], item[order]
    value = _similarities(items, rows, query, item)
    order = _by_rank(query, item, value)
    query, item = query[order], item[order]
    sizes = torch.bincount(query, minlength=len(rows))
    position = torch.arange(len(query)) - (torch.cumsum(sizes, 0) - sizes)[query]
    hit = torch.nonzero(relevance.item[rows][query] == relevance.item[item]).flatten()
    query, position = query[hit], position[hit]
    rank = beyond.clone()
    rank[query] = len(items)
    rank.scatter_reduce_(0, query, position, "amin")
    k = int(relevance.count[rows].max())
    hits = torch.zeros(len(rows), k, dtype=torch.bool)
    inside = position < k
    hits[query[inside], position[inside]] = True
    return Ranked(rows, rows.new_empty(len(rows), 0), hits, rank)


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
