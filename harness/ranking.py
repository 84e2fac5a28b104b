"""The exact order in which a query finds the gallery, in blocks: where the relevant items stand in it.

The order is by similarity from high to low, and by gallery index where similarities are equal. Similarities are
float32 dot products. Those of duplicates are equal to the last bit wherever they stand, because every product
is made in tiles of one width (see `TILE`), so nothing here depends on the size of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

#: Similarities held at a time: 64 MiB of float32.
HELD = 1 << 24
#: Gallery items in a tile. A core's cache holds a tile, and the gallery is padded to whole tiles.
TILE = 256
#: The most queries in a block.
BLOCK = 1024
#: A block of queries is padded to a multiple of this: a product with a single row would add in another order.
ROWS = 32


@dataclass(frozen=True, eq=False)
class Relevance:
    """Which gallery items are relevant to which query, without ever holding a query-by-gallery table.

    query, item: (N,) and (G,) classes. own: whether the queries are their own gallery.
    count: (N,) R, the number of relevant items of each query.
    members: (G,) gallery indices by class, then index; class c has `members[start[c] : start[c] + size[c]]`.
    """

    query: Tensor
    item: Tensor
    own: bool
    count: Tensor
    members: Tensor
    start: Tensor
    size: Tensor

    @classmethod
    def among(cls, labels: npt.NDArray[np.int64], device: torch.device) -> Relevance:
        """Queries that are their own gallery: each is relevant to the others of its class."""
        return cls._of(labels, labels, True, device)

    @classmethod
    def between(
        cls, labels: npt.NDArray[np.int64], gallery_labels: npt.NDArray[np.int64], device: torch.device
    ) -> Relevance:
        """Queries and a gallery apart from them."""
        return cls._of(labels, gallery_labels, False, device)

    @classmethod
    def _of(
        cls, labels: npt.NDArray[np.int64], offered: npt.NDArray[np.int64], own: bool, device: torch.device
    ) -> Relevance:
        names, item = np.unique(offered, return_inverse=True)
        size = np.bincount(
            item, minlength=len(names) + 1
        )  # one class more, without items: that of unknown labels
        query = np.searchsorted(names, labels)
        query[names[np.minimum(query, len(names) - 1)] != labels] = len(names)
        facts = {
            "query": query,
            "item": item,
            "count": size[query] - own,
            "members": np.argsort(item, kind="stable"),
            "start": np.cumsum(size) - size,
            "size": size,
        }
        return cls(own=own, **{name: torch.as_tensor(fact, device=device) for name, fact in facts.items()})

    def hits(self, rows: Tensor, items: Tensor) -> Tensor:
        """(B, k) whether items (B, k) are relevant to the queries at `rows`; never asked of the query itself."""
        return self.item[items] == self.query[rows, None]

    def peers(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(B, most) gallery indices of each query's class, in order, and whether each is there or padding."""
        classes = self.query[rows]
        place = torch.arange(int(self.size[classes].max()), device=rows.device)
        there = place < self.size[classes, None]
        items = self.members[(self.start[classes, None] + place).clamp(max=len(self.members) - 1)]
        return items, there


@dataclass(frozen=True, eq=False)
class Ranked:
    """The queries at positions `rows` (B,).

    first: (B, k) gallery indices of the k nearest, k at least the largest R of the block.
    hits: (B, k) whether they are relevant.
    rank: (B,) number of items before the nearest relevant one, exact where it is less than `beyond`.
    """

    rows: Tensor
    first: Tensor
    hits: Tensor
    rank: Tensor


def ranked(
    queries: Tensor,
    items: Tensor,
    relevance: Relevance,
    rows: Tensor,
    *,
    neighbours: int,
    beyond: int,
    held: int,
) -> Iterator[Ranked]:
    """Rank the gallery for the queries at positions `rows`, of which at least one has a relevant item.

    queries (N, D), items (G, D): float32 of unit length (or zero).
    """
    # Queries with equally many relevant items share a block, so that one large class does not slow all down.
    order = rows[torch.argsort(relevance.count[rows], stable=True)]
    for some, similarities in similarity_blocks(queries, items, order, held):
        if relevance.own:
            similarities[torch.arange(len(some), device=some.device), some] = -torch.inf
        k = max(int(relevance.count[some[-1]]), neighbours)
        first = nearest(similarities, k)
        hits = relevance.hits(some, first)
        yield Ranked(some, first, hits, _rank(similarities, some, hits, relevance, beyond))


def nearest_relevant(
    items: Tensor, relevance: Relevance, rows: Tensor, *, held: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Query positions (B,) and their ranks (B,), as in `Ranked`, for queries that are their own gallery.

    rows: queries with relevant items. Counting what comes before the nearest of these is less work than ranking.
    """
    for some, similarities in similarity_blocks(items, items, rows, held):
        similarities[torch.arange(len(some), device=some.device), some] = -torch.inf
        yield some, _count_before(similarities, *relevance.peers(some))


def similarity_blocks(
    queries: Tensor, items: Tensor, order: Tensor, held: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of query positions with their (B, W) similarities; columns beyond the gallery are -inf.

    A block lives until the next is asked for.
    """
    width = -(-len(items) // TILE) * TILE
    padded = F.pad(items, (0, 0, 0, width - len(items)))
    height = ROWS * max(1, min(held // width, BLOCK, len(order) + ROWS - 1) // ROWS)
    step = TILE if items.device.type == "cpu" else width
    table = torch.empty(height, width, device=items.device)
    for start in range(0, len(order), height):
        rows = order[start : start + height]
        block = F.pad(queries[rows], (0, 0, 0, -len(rows) % ROWS))
        room = table[: len(block)]
        for tile in range(0, width, step):
            torch.mm(block, padded[tile : tile + step].T, out=room[:, tile : tile + step])
        room[:, len(items) :] = -torch.inf
        yield rows, room[: len(rows)]


def nearest(similarities: Tensor, k: int) -> Tensor:
    """(B, k) columns of the k largest of (B, W) similarities, in order; ties go to the lower column."""
    values, columns = _largest(similarities, min(k + 1, similarities.shape[1]))
    # Which of several equal values at the k-th place come in, the index decides: all columns must be seen.
    cut = torch.nonzero((values[:, k - 1 : k] == values[:, k:]).any(1)).flatten()
    tied = torch.nonzero((values[:, 1:k] == values[:, : k - 1]).any(1)).flatten()
    columns = columns[:, :k].clone()
    for start in range(0, len(cut), ROWS):
        some = cut[start : start + ROWS]
        columns[some] = _first_of_ties(similarities[some], values[some, k - 1 : k], k)
    for some in torch.split(torch.cat([cut, tied]), BLOCK):
        columns[some] = _in_order(similarities, some, columns[some])
    return columns


def _in_order(similarities: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Columns (B, k) of some rows by their values, from high to low, then by column."""
    columns = columns.sort(1).values
    values = similarities[rows[:, None], columns]
    return columns.gather(1, values.sort(dim=1, descending=True, stable=True).indices)


def _largest(similarities: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row and their columns, in order of value; which of equal values is left open.

    The k largest values lie in the k groups of columns with the largest maxima, and maxima are cheap.
    """
    height, width = similarities.shape
    # About the root of width / k, with which the fewest values are looked at.
    size = min(TILE, 1 << max(0, (width // k).bit_length() - 1) // 2)
    if size < 4:
        return similarities.topk(k)
    step = width // size
    groups = similarities.view(height, size, step).amax(1).topk(k).indices
    columns = (groups[:, None, :] + torch.arange(0, width, step, device=groups.device)[:, None]).flatten(1)
    values, chosen = similarities.gather(1, columns).topk(k)
    return values, columns.gather(1, chosen)


def _first_of_ties(similarities: Tensor, least: Tensor, k: int) -> Tensor:
    """(B, k) columns of the k largest, by column; `least` (B, 1), the k-th largest, stands in several."""
    above, equal = similarities > least, similarities == least
    room = k - above.sum(1, keepdim=True)
    chosen = above | (equal & (equal.cumsum(1) <= room))
    return chosen.nonzero()[:, 1].view(len(similarities), k)


def _rank(similarities: Tensor, rows: Tensor, hits: Tensor, relevance: Relevance, beyond: int) -> Tensor:
    """(B,) how many items come before the nearest relevant one, exact where it is less than `beyond`."""
    k = hits.shape[1]
    rank = torch.where(hits, torch.arange(k, device=hits.device), k).amin(1)
    if beyond > k:
        deep = torch.nonzero((rank == k) & (relevance.count[rows] > 0)).flatten()
        if len(deep):
            rank[deep] = _count_before(similarities[deep], *relevance.peers(rows[deep]))
    return rank


def _count_before(similarities: Tensor, peers: Tensor, there: Tensor) -> Tensor:
    """(B,) items before the nearest of `peers` (B, n), which is never the query: its similarity is -inf."""
    values = similarities.gather(1, peers).masked_fill(~there, -torch.inf)
    best = values.amax(1, keepdim=True)
    # Sums of a float mask are exact below 2**24, and made several times faster than those of a bool mask.
    mask = torch.empty_like(similarities)
    rank = torch.gt(similarities, best, out=mask).sum(1).to(torch.int64)
    tied = torch.nonzero(torch.eq(similarities, best, out=mask).sum(1) > 1).flatten()
    if len(tied):
        lowest = peers.masked_fill((values < best) | ~there, similarities.shape[1]).amin(1)
        before = torch.arange(similarities.shape[1], device=peers.device) < lowest[tied, None]
        rank[tied] += ((similarities[tied] == best[tied]) & before).sum(1)
    return rank
