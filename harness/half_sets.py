"""Half-sets of test classes: what a metric would have been among other distractors.

A bootstrap over classes changes the queries and leaves the gallery as it is, so it is too narrow for Recall@K. Random
halves of the classes, with the gallery cut to the half, show how much (Shao and Wu, "A general theory for jackknife
variance estimation", Annals of Statistics 1989).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from harness.candidates import before_nearest
from harness.ranking import HELD, Relevance, similarity_blocks
from harness.splits import half_sets
from harness.symmetric import candidate_blocks, halves_suit

#: Pairs of a query and an item before its nearest relevant one that are counted at once: 25 MiB for 100 half-sets.
PAIRS = 1 << 16


def half_set_recall(
    queries: Tensor,
    labels: npt.NDArray[np.int64],
    gallery: Tensor | None,
    gallery_labels: npt.NDArray[np.int64] | None,
    *,
    groups: npt.NDArray[np.int64],
    recall_at: Sequence[int],
    held: int = HELD,
) -> npt.NDArray[np.float32]:
    """(metrics, sets) Recall@K of the queries of each of `half_sets(groups)`, the gallery cut to the same classes.

    queries (N, D), gallery (G, D): float32 of unit length; without a gallery the queries are their own.
    labels, gallery_labels: (N,) and (G,) positions of classes. groups: (classes,) the group of each class, which goes
    whole into a half-set or stays out (`harness.splits.class_groups`). recall_at: the K, in the order of the rows.
    NaN where no query of a half-set has a relevant item.

    A query's relevant items are of its own class, so whatever else is cut away, its nearest relevant item stays, and
    its rank is the number of items of the half-set's classes that stand before it: one pass gives all half-sets.
    """
    if gallery is None or gallery_labels is None:
        items, relevance, offered = queries, Relevance.among(labels, queries.device), labels
    else:
        items, relevance = gallery, Relevance.between(labels, gallery_labels, queries.device)
        offered = gallery_labels
    members = torch.as_tensor(
        half_sets(int(groups.max()) + 1).T[groups], dtype=torch.float32, device=items.device
    )  # (classes, sets)
    kept = members[torch.as_tensor(offered, device=items.device)]  # (G, sets)
    own_sets = members[torch.as_tensor(labels, device=items.device)].bool()  # (N, sets)
    limits = torch.tensor(recall_at, device=items.device)[:, None, None]
    found = torch.zeros(len(recall_at), members.shape[1], dtype=torch.float64, device=items.device)
    asked = torch.zeros(members.shape[1], dtype=torch.float64, device=items.device)
    for rows, rank in _ranks(queries, items, relevance, kept, held):
        mine = own_sets[rows]
        found += ((rank < limits) & mine).sum(1)
        asked += mine.sum(0)
    return (found / asked).to(torch.float32).cpu().numpy()


def _ranks(
    queries: Tensor, items: Tensor, relevance: Relevance, kept: Tensor, held: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Query positions (B,) with their ranks (B, sets), for every query with a relevant item.

    kept: (G, sets) 1.0 where the item's class is in the half-set.
    """
    left = relevance.count > 0
    if halves_suit(items, relevance):
        for found in candidate_blocks(items, relevance, beyond=len(items)):
            query, item = before_nearest(items, relevance, found)
            rank = kept.new_zeros(len(found.rows), kept.shape[1])
            for start in range(0, len(query), PAIRS):
                some = slice(start, start + PAIRS)
                rank.index_add_(0, query[some], kept[item[some]])
            rows = found.rows[found.decided]
            left[rows] = False
            yield rows, rank[found.decided]
    for rows, similarities in similarity_blocks(queries, items, torch.nonzero(left).flatten(), held):
        if relevance.own:
            similarities[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        yield rows, _before(similarities[:, : len(items)], *relevance.peers(rows)) @ kept


def _before(similarities: Tensor, peers: Tensor, there: Tensor) -> Tensor:
    """(B, G) 1.0 for the items before the nearest of `peers` (B, n), in the order of `harness.ranking`."""
    values = similarities.gather(1, peers).masked_fill(~there, -torch.inf)
    best = values.amax(1, keepdim=True)
    lowest = peers.masked_fill((values < best) | ~there, similarities.shape[1]).amin(1, keepdim=True)
    column = torch.arange(similarities.shape[1], device=peers.device)
    return ((similarities > best) | ((similarities == best) & (column < lowest))).to(torch.float32)
