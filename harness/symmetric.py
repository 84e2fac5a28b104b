"""Ranks for queries that are their own gallery, with half the products: a similarity serves both of its ends.

Tiles of the similarity matrix on and above its diagonal are made once, looked at from both sides while they are
in the cache, and dropped. What to look for is known before: the similarities of a query to its relevant items,
and a bound below which nothing can be among its first R (from its similarities to a sample of the gallery).
Where a relevant item reaches the bound, the query is open: all items above the bound are collected and ranked.
Elsewhere no relevant item is among the first R; the query is settled but for Recall@K beyond R, for which the
items before its nearest relevant one are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.ranking import HELD, TILE, Ranked, Relevance, ranked, similarity_blocks

#: One item in this many is in the sample that gives the bounds.
STRIDE = 16
#: Items whose largest similarity is compared with a bound before each of them is.
GROUP = 8
#: More collected items than this per query, on average, and ranking everything is cheaper.
COLLECTED = 128
#: Bounds are lowered by more than two ways to make a product can differ.
MARGIN = 1e-5


@dataclass(frozen=True, eq=False)
class _Goals:
    """What each of N queries looks for, infinite where nothing.

    reach: similarity from which on items are collected (open queries).
    nearest: similarity of the nearest relevant item, at which items are counted (settled queries).
    """

    reach: Tensor
    nearest: Tensor

    def __getitem__(self, rows: Tensor | slice) -> _Goals:
        return _Goals(self.reach[rows], self.nearest[rows])


@dataclass(frozen=True, eq=False)
class _Found:
    """query, item (M,) int64 and value (M,): collected pairs. above, level: (N,) items above and at `nearest`."""

    query: Tensor
    item: Tensor
    value: Tensor
    above: Tensor
    level: Tensor


def halves_suit(items: Tensor, relevance: Relevance) -> bool:
    """Whether this way pays: on a CPU, for one large set whose classes are small."""
    most = int(relevance.size.max())
    large = len(items) >= 8 * max(TILE, STRIDE * most)
    return relevance.own and items.device.type == "cpu" and large and len(items) * most <= HELD


def ranked_by_halves(items: Tensor, relevance: Relevance, *, beyond: int, held: int) -> Iterator[Ranked]:
    """As `harness.ranking.ranked` for every query with a relevant item, but without `first`.

    items: (N, D) float32 of unit length (or zero).
    """
    goals = _goals(items, relevance, beyond, held)
    # Settled queries first, then open ones: most tiles then serve one kind only.
    order = torch.argsort(
        goals.nearest.isinf().int() + goals.reach.isinf() * goals.nearest.isinf(), stable=True
    )
    found = _sweep(items[order], goals[order])
    query = torch.nonzero(relevance.count).flatten()
    again = query
    if found is not None:
        hits, rank = _assembled(found, order, relevance)
        # Ties with the nearest relevant item are decided by index, for which the whole row is needed. An item that
        # does not tie with itself would mean that products depend on the tile: then the whole row decides, too.
        counted = goals.nearest[query].isfinite() & (rank[query] < beyond)
        level = torch.empty_like(found.level)
        level[order] = found.level
        unsure = counted & (level[query] != 1)
        sure, again = query[~unsure], query[unsure]
        yield Ranked(sure, sure.new_empty(len(sure), 0), hits[sure], rank[sure])
    if len(again):
        yield from ranked(items, items, relevance, again, neighbours=0, beyond=beyond, held=held)


def _goals(items: Tensor, relevance: Relevance, beyond: int, held: int) -> _Goals:
    values = _relevant(items, relevance)
    nearest = values.amax(1)
    farthest = values.masked_fill(values.isneginf(), torch.inf).amin(1)
    bound = _bounds(items, relevance, held)
    scored = relevance.count > 0
    is_open = scored & (nearest >= bound - MARGIN)
    # A settled query has R items before its nearest relevant one: Recall@K for K up to R is 0 without counting.
    counted = scored & ~is_open & (relevance.count < beyond)
    return _Goals(
        reach=(torch.maximum(bound, farthest) - MARGIN).masked_fill(~is_open, torch.inf),
        nearest=nearest.masked_fill(~counted, torch.inf),
    )


def _relevant(items: Tensor, relevance: Relevance) -> Tensor:
    """(N, most) similarities of each query to its relevant items, padded with -inf.

    With items in the order of their classes these lie in a band along the diagonal.
    """
    n, most = len(items), int(relevance.size.max())
    values = items.new_full((n, most), -torch.inf)
    ordered = F.pad(items[relevance.members], (0, 0, most, most + TILE))
    for start in range(0, n, TILE):
        rows = relevance.members[start : start + TILE]
        band = ordered[start + most : start + most + TILE] @ ordered[start : start + 2 * most + TILE].T
        classes = relevance.item[rows]
        place = torch.arange(most)
        position = relevance.start[classes, None] + place
        there = (place < relevance.size[classes, None]) & (
            position != torch.arange(start, start + len(rows))[:, None]
        )
        column = (position - start + most).clamp(max=band.shape[1] - 1)
        values[rows] = band[: len(rows)].gather(1, column).masked_fill(~there, -torch.inf)
    return values


def _bounds(items: Tensor, relevance: Relevance, held: int) -> Tensor:
    """(N,) a similarity that at least R of the gallery reach: the R-th largest maximum of groups in a sample."""
    bounds = torch.zeros(len(items))
    k = int(relevance.count.max())
    for rows, similarities in similarity_blocks(items, items[::STRIDE], torch.arange(len(items)), held):
        own = torch.nonzero(rows % STRIDE == 0).flatten()
        similarities[own, rows[own] // STRIDE] = -torch.inf
        values = similarities.view(len(rows), GROUP, -1).amax(1).topk(k).values
        bounds[rows] = values.gather(1, (relevance.count[rows, None] - 1).clamp(min=0))[:, 0]
    return bounds


def _sweep(items: Tensor, goals: _Goals) -> _Found | None:
    """Look at every pair once. None when more than COLLECTED items a query would be collected."""
    n = len(items)
    width = -(-n // TILE) * TILE
    items = F.pad(items, (0, 0, 0, width - n))
    goals = _Goals(*(F.pad(goal, (0, width - n), value=torch.inf) for goal in (goals.reach, goals.nearest)))
    tile, mask = torch.empty(TILE, TILE), torch.empty(TILE, TILE)
    counts = torch.zeros(2, width, dtype=torch.int64)
    none = torch.empty(0, dtype=torch.int64)
    pairs = [(none, none, torch.empty(0))]
    collected = 0
    spans = [slice(start, start + TILE) for start in range(0, width, TILE)]
    for i, top in enumerate(spans):
        for left in spans[i:]:
            torch.mm(items[top], items[left].T, out=tile)
            tile[:, max(0, n - left.start) :] = -torch.inf
            if top == left:
                tile.fill_diagonal_(-torch.inf)
            for queries, others, dim in ((top, left, 1), (left, top, 0))[: 1 if top == left else 2]:
                wanted = goals[queries]
                if bool(wanted.nearest.isfinite().any()):
                    counts[:, queries] += _counts(tile, wanted.nearest, dim, mask)
                if bool(wanted.reach.isfinite().any()):
                    query, item, value = _collect(tile, wanted.reach, dim)
                    pairs.append((query + queries.start, item + others.start, value))
                    collected += len(query)
        if collected > COLLECTED * n:
            return None
    query, item, value = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    return _Found(query, item, value, *counts[:, :n])


def _counts(tile: Tensor, threshold: Tensor, dim: int, mask: Tensor) -> Tensor:
    """(2, TILE) items above and at each query's threshold. Items lie along `dim` of the tile.

    Sums of a float mask are exact below 2**24, and made several times faster than those of a bool mask.
    """
    threshold = threshold.unsqueeze(dim)
    above = torch.gt(tile, threshold, out=mask).sum(dim)
    return torch.stack([above, torch.eq(tile, threshold, out=mask).sum(dim)]).to(torch.int64)


def _collect(tile: Tensor, reach: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, item and similarity of all pairs of a tile that come up to the query's reach.

    Items lie along `dim` of the tile. Most groups of items have no such pair, which their maximum tells.
    """
    step = TILE // GROUP
    if dim == 1:
        query, group = (tile.view(TILE, GROUP, step).amax(1) >= reach[:, None]).nonzero(as_tuple=True)
    else:
        group, query = (tile.view(GROUP, step, TILE).amax(0) >= reach).nonzero(as_tuple=True)
    item = group[:, None] + torch.arange(0, TILE, step)
    value = tile[query[:, None], item] if dim == 1 else tile[item, query[:, None]]
    row, column = (value >= reach[query, None]).nonzero(as_tuple=True)
    return query[row], item[row, column], value[row, column]


def _assembled(found: _Found, order: Tensor, relevance: Relevance) -> tuple[Tensor, Tensor]:
    """(N, k) bool hits among the first k, k the largest R, and (N,) rank of the nearest relevant item."""
    query, item = order[found.query], order[found.item]
    ranking = _by_rank(query, item, found.value)
    query, item = query[ranking], item[ranking]
    sizes = torch.bincount(query, minlength=len(order))
    position = torch.arange(len(query)) - (torch.cumsum(sizes, 0) - sizes)[query]
    hit = torch.nonzero(relevance.item[query] == relevance.item[item]).flatten()
    query, position = query[hit], position[hit]

    rank = relevance.count.clone()
    counted = found.level > 0
    rank[order[counted]] = found.above[counted]
    rank[query] = len(order)
    rank.scatter_reduce_(0, query, position, "amin")
    k = int(relevance.count.max())
    hits = torch.zeros(len(order), k, dtype=torch.bool)
    inside = position < k
    hits[query[inside], position[inside]] = True
    return hits, rank


def _by_rank(query: Tensor, item: Tensor, value: Tensor) -> Tensor:
    """(M,) the order by query, then value from high to low, then item."""
    by_item = item.argsort()
    # The bits of a float, read as an integer, keep its order; those of negative ones reversed. -0.0 is 0.0.
    bits = (value + 0.0).view(torch.int32)[by_item].to(torch.int64)
    bits = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return by_item[torch.argsort((query[by_item] << 33) - bits, stable=True)]
