"""Ranks for queries that are their own gallery, with half the products: a similarity serves both of its ends.

Tiles of the similarity matrix on and above its diagonal are made once, coarsely (`harness.coarse`), and all that is
kept of them is the largest similarity of each query in each group of items. The R-th largest of these is a bound below
which nothing can be among the query's first R. Where a relevant item comes up to it, the groups that may hold an item
above the bound are looked into, and what is found there is ranked exactly. Elsewhere no relevant item is among the
first R; for Recall@K beyond R, all that may stand before the nearest relevant item is looked for in the same way.
Where that would mean many groups, the whole gallery is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.candidates import Candidates, ranked_candidates
from harness.coarse import NEVER, TILE, Coarse
from harness.ranking import Ranked, Relevance, nearest_relevant, ranked

#: Items of a group, as a rule, and how many groups there are at least: in all, and for each item of a class.
GROUP = 128
LEAST = 128
GROUPS = 4
#: Largest similarities that may be held: 256 MiB.
MAXIMA = 1 << 26
#: Where more than this share of the groups would have to be looked into, ranking everything is cheaper.
MANY = 1 / 4
#: Queries whose candidates are looked for together, and how many of these a query may have on average.
BLOCK = 8 * TILE
COLLECTED = 256
#: Rows of the band of products in which all relevant pairs lie.
BAND = 128


@dataclass(frozen=True, eq=False)
class _Swept:
    """N items, padded to W, in groups of `width`; maxima: (groups, W) the largest coarse similarity of each in each."""

    n: int
    width: int
    coarse: Coarse
    maxima: Tensor

    def slack(self, queries: slice) -> Tensor:
        """(groups, B) by how much the maxima of some queries can be off."""
        slack = self.coarse.slack(self.coarse.error[queries], self.coarse.worst[:, None])
        return slack.repeat_interleave(TILE // self.width, dim=0)


@dataclass(frozen=True, eq=False)
class _Goals:
    """What B queries look for.

    reach: (B,) similarity from which on items are wanted; inf where none are.
    ahead: (B,) number of items that stand before the nearest relevant one for certain.
    group, query: (M,) which groups to look into for which query, by group.
    many: (B,) bool, whether that would be too many: for these queries the whole gallery is looked at.
    within: (B,) bool, whether a relevant item may be among the first R.
    """

    reach: Tensor
    ahead: Tensor
    group: Tensor
    query: Tensor
    many: Tensor
    within: Tensor


def halves_suit(items: Tensor, relevance: Relevance) -> bool:
    """Whether this way pays: on a CPU, for one large set whose classes are small."""
    n, most = len(items), int(relevance.size.max())
    large = n >= 8 * TILE and n >= 32 * GROUPS * most
    held = 2 * GROUPS * most * n <= MAXIMA and n * n <= MAXIMA * TILE
    return relevance.own and items.device.type == "cpu" and large and held


def _width(n: int, most: int) -> int:
    """Items of a group, a power of two from 8 to TILE, for n items in classes of at most `most`."""
    width = GROUP
    while width > 8 and n < max(LEAST, GROUPS * most) * width:
        width //= 2
    while n * n > MAXIMA * width:
        width *= 2
    return width


def ranked_by_halves(items: Tensor, relevance: Relevance, *, beyond: int, held: int) -> Iterator[Ranked]:
    """As `harness.ranking.ranked` for every query with a relevant item, but without `first`.

    items: (N, D) float32 of unit length (or zero).
    """
    again, deep = torch.zeros(2, len(items), dtype=torch.bool)
    for found in candidate_blocks(items, relevance, beyond):
        left = (relevance.count[found.rows] > 0) & ~found.decided
        again[found.rows], deep[found.rows] = left & found.within, left & ~found.within
        yield ranked_candidates(items, relevance, found)
    yield from _whole(items, relevance, again, deep, beyond, held)


def candidate_blocks(items: Tensor, relevance: Relevance, beyond: int) -> Iterator[Candidates]:
    """Blocks of queries, all N in the end, with what may be among their first.

    A query whose nearest relevant item lies at `beyond` or deeper may be decided without candidates.
    """
    # Items that are equally coarse stand together.
    order = torch.argsort(items.abs().amax(1))
    swept = _sweep(items[order], _width(len(items), int(relevance.size.max())))
    nearest, farthest = _relevant(items, relevance)
    for start in range(0, len(items), BLOCK):
        rows, span = order[start : start + BLOCK], slice(start, min(start + BLOCK, len(items)))
        count = relevance.count[rows]
        goals = _goals(swept, span, nearest[rows], farthest[rows], count, beyond)
        query, item, complete = _collected(swept, span, goals)
        decided = (count > 0) & ~goals.many & complete
        yield Candidates(rows, query, order[item], goals.ahead, decided, goals.within)


def _whole(
    items: Tensor, relevance: Relevance, again: Tensor, deep: Tensor, beyond: int, held: int
) -> Iterator[Ranked]:
    """Queries (N,) bool that are to be ranked again, and those whose nearest relevant item lies deep."""
    rows = torch.nonzero(again).flatten()
    if len(rows):
        yield from ranked(items, items, relevance, rows, neighbours=0, beyond=beyond, held=held)
    for some, rank in nearest_relevant(items, relevance, torch.nonzero(deep).flatten(), held=held):
        # None is among the first R, and where one is after them means nothing to R-Precision and MAP@R.
        hits = torch.zeros(len(some), 1, dtype=torch.bool)
        yield Ranked(some, some.new_empty(len(some), 0), hits, rank)


def _relevant(items: Tensor, relevance: Relevance) -> tuple[Tensor, Tensor]:
    """(N,) similarities of each query to its nearest and its farthest relevant item; -inf and inf without any.

    With items in the order of their classes the relevant pairs lie in a band along the diagonal.
    """
    n, most = len(items), int(relevance.size.max())
    nearest, farthest = torch.empty(n), torch.empty(n)
    ordered = F.pad(items[relevance.members], (0, 0, most, most + BAND))
    place = torch.arange(most)
    for start in range(0, n, BAND):
        rows = relevance.members[start : start + BAND]
        band = ordered[start + most : start + most + BAND] @ ordered[start : start + 2 * most + BAND].T
        classes = relevance.item[rows]
        position = relevance.start[classes, None] + place
        itself = torch.arange(start, start + len(rows))[:, None]
        there = (place < relevance.size[classes, None]) & (position != itself)
        values = band[: len(rows)].gather(1, (position - start + most).clamp(max=band.shape[1] - 1))
        nearest[rows] = values.masked_fill(~there, -torch.inf).amax(1)
        farthest[rows] = values.masked_fill(~there, torch.inf).amin(1)
    return nearest, farthest


def _sweep(items: Tensor, width: int) -> _Swept:
    """Look at every pair once."""
    coarse, n = Coarse.of(items), len(items)
    size, groups = len(coarse.values), TILE // width
    maxima, product = torch.empty(size // width, size), coarse.room(TILE, TILE)
    spans = [slice(start, start + TILE) for start in range(0, size, TILE)]
    places = [slice(start, start + groups) for start in range(0, len(maxima), groups)]
    for i, top in enumerate(spans):
        for j, left in enumerate(spans[i:], i):
            step = float(coarse.step[i] * coarse.step[j])
            coarse.products(coarse.values[top], coarse.values[left], product)
            product[:, max(0, n - left.start) :] = NEVER
            if i == j:
                product.fill_diagonal_(NEVER)
            else:
                # In two steps, which takes half the time of one.
                largest = product.view(groups, 8, width // 8, TILE).amax(1).amax(1)
                torch.mul(largest, step, out=maxima[places[i], left])
            maxima[places[j], top] = product.view(TILE, groups, width).amax(2).T * step
    return _Swept(n, width, coarse, maxima)


def _goals(
    swept: _Swept, span: slice, nearest: Tensor, farthest: Tensor, count: Tensor, beyond: int
) -> _Goals:
    """Of the queries in `span`: similarities (B,) of their nearest and farthest relevant items, and R (B,)."""
    maxima, slack = swept.maxima[:, span], swept.slack(span)
    low = (maxima - slack).T.contiguous()
    largest = low.topk(max(1, int(count.max()))).values
    bound = largest.gather(1, (count[:, None] - 1).clamp(min=0))[:, 0]
    ahead = (low > nearest[:, None]).sum(1)
    within = nearest >= bound
    wanted = (count > 0) & (within | (ahead < beyond))
    reach = torch.where(within, torch.maximum(bound, farthest), nearest).masked_fill(~wanted, torch.inf)
    chosen = maxima + slack >= reach
    many = chosen.sum(0) > MANY * len(chosen)
    group, query = (chosen & ~many).nonzero(as_tuple=True)
    return _Goals(reach, ahead, group, query, many, within)


def _collected(swept: _Swept, span: slice, goals: _Goals) -> tuple[Tensor, Tensor, bool]:
    """Pairs (M,) of a query's place in `span` and an item that may come up to its reach; False and none of them where
    there are too many.
    """
    coarse, width = swept.coarse, swept.width
    tile = goals.group * width // TILE
    steps = coarse.step.repeat_interleave(TILE)[span]
    slack = coarse.slack(coarse.error[span][goals.query], coarse.worst[tile])
    least = coarse.least(goals.reach[goals.query] - slack, steps[goals.query] * coarse.step[tile])
    sizes = torch.bincount(goals.group, minlength=len(swept.maxima)).tolist()
    queries, room = coarse.values[span], coarse.room(max(sizes), width)
    nothing = torch.empty(0, dtype=torch.int64)
    pairs, collected = [(nothing, nothing)], 0
    for group, (query, at) in enumerate(
        zip(torch.split(goals.query, sizes), torch.split(least, sizes), strict=True)
    ):
        if not len(query):
            continue
        product, first = room[: len(query)], group * width
        coarse.products(queries[query], coarse.values[first : first + width], product)
        row, item = (product >= at[:, None]).nonzero(as_tuple=True)
        pairs.append((query[row], item + first))
        collected += len(row)
        if collected > COLLECTED * len(goals.reach):
            return nothing, nothing, False
    query, item = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    there = (item < swept.n) & (item != query + span.start)
    return query[there], item[there], True
