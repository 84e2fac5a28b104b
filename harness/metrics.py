"""Exact retrieval metrics: embeddings in, per-query outcomes out. Knows no model, file or record.

Each query ranks the gallery by cosine similarity, from high to low; ties go to the lower gallery index. A
query that is in the gallery itself is removed by its index. With R the number of relevant items (gallery items
of the query's class, the query left out):

    Recall@K      1 if a relevant item is among the first K, else 0       (Jegou et al. 2011)
    R-Precision   relevant items among the first R, divided by R
    MAP@R         1/R * sum over i = 1..R of P(i) rel(i)                  (Musgrave et al. 2020, section 3.2)

P(i) is the share of relevant items among the first i, and rel(i) is 1 if the i-th is one. Queries with R = 0
are left out and counted; they stay in the gallery as distractors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.errors import RequestError
from harness.ranking import HELD, Relevance, ranked
from harness.symmetric import halves_suit, ranked_by_halves

Labels = Tensor | npt.NDArray[np.integer] | Sequence[int]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a set of queries scored.

    outcomes: per metric the (Q,) float32 outcomes of the scored queries, fractions in [0, 1].
    query: (Q,) int64 positions of the scored queries among all N.
    queries, excluded: Q, and the number of queries without a relevant item, which are left out.
    neighbours: (N, neighbours) int64 gallery indices, nearest first, of all N queries; (N, 0) if not asked for.
    """

    outcomes: dict[str, npt.NDArray[np.float32]]
    query: npt.NDArray[np.int64]
    queries: int
    excluded: int
    neighbours: npt.NDArray[np.int64]

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Mean of each metric over the scored queries, as a fraction."""
        return {name: float(values.mean(dtype=np.float64)) for name, values in self.outcomes.items()}

    def class_counts(self, labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
        """(classes,) scored queries of each class. labels: (N,) classes of all queries, 0 .. classes - 1."""
        return np.bincount(labels[self.query], minlength=classes)

    def class_sums(self, labels: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.float64]:
        """(metrics, classes) sums of the outcomes over each class's scored queries, in the order of `outcomes`.

        With `class_counts`, all that a bootstrap over classes needs: the metric of a sample of classes is the
        sum of their sums over the sum of their counts.
        """
        scored = labels[self.query]
        return np.stack([np.bincount(scored, values, minlength=classes) for values in self.outcomes.values()])


def score(
    embeddings: Tensor,
    labels: Labels,
    gallery: Tensor | None = None,
    gallery_labels: Labels | None = None,
    *,
    recall_at: Sequence[int] = (1,),
    neighbours: int = 0,
    held: int = HELD,
) -> Scores:
    """Score queries against a gallery, or against each other when no gallery is given.

    embeddings: (N, D) float, queries of any length; they are brought to unit length. labels: (N,) integers.
    gallery, gallery_labels: (G, D) and (G,), images apart from the queries: nothing is removed.
    recall_at: the K of Recall@K, each at least 1; a K beyond the gallery counts all of it.
    neighbours: how many nearest gallery indices to return for each query.
    held: how many similarities may be in memory at a time. No result depends on it.
    Raises RequestError for wrong shapes, embeddings that are not finite, or no query with a relevant item.
    """
    queries = unit(embeddings, "embeddings")
    wanted = _integers(labels, len(queries), "labels")
    if gallery is None:
        items, relevance = queries, Relevance.among(wanted, queries.device)
    else:
        items = unit(gallery, "gallery")
        offered = _integers(gallery_labels, len(items), "gallery_labels")
        relevance = Relevance.between(wanted, offered, queries.device)
    _check_sizes(queries, items, recall_at, neighbours, relevance)

    count = relevance.count
    names = [*(f"recall_at_{k}" for k in recall_at), "precision_at_1", "r_precision", "map_at_r"]
    outcomes = torch.zeros(len(names), len(count), device=count.device)
    nearest = torch.zeros(len(count), neighbours, dtype=torch.int64, device=count.device)
    query = torch.nonzero(count).flatten()
    beyond = max(recall_at, default=1)
    if halves_suit(items, relevance) and not neighbours:
        blocks = ranked_by_halves(items, relevance, beyond=beyond, held=held)
    else:
        rows = torch.arange(len(count), device=count.device) if neighbours else query
        blocks = ranked(queries, items, relevance, rows, neighbours=neighbours, beyond=beyond, held=held)
    for block in blocks:
        outcomes[:, block.rows] = _outcomes(block.hits, block.rank, count[block.rows], recall_at)
        nearest[block.rows] = block.first[:, :neighbours]
    return Scores(
        outcomes=dict(zip(names, outcomes[:, query].cpu().numpy(), strict=True)),
        query=query.cpu().numpy(),
        queries=len(query),
        excluded=len(count) - len(query),
        neighbours=nearest.cpu().numpy(),
    )


def _outcomes(hits: Tensor, rank: Tensor, count: Tensor, recall_at: Sequence[int]) -> Tensor:
    """(metrics, B) outcomes of B queries.

    hits: (B, k) bool, whether the i-th nearest is relevant, k at least the largest count.
    rank: (B,) position of the nearest relevant item, 0 for the first.
    count: (B,) R; outcomes of R = 0 mean nothing.
    """
    position = torch.arange(1, hits.shape[1] + 1, device=hits.device)
    hits = hits & (position <= count[:, None])
    # Counted in whole numbers: the same ones, and a GPU has no deterministic form for sums of others.
    found = hits.cumsum(1).to(torch.float64)
    hits = hits.to(torch.float64)
    R = count.clamp(min=1)
    r_precision = hits.sum(1) / R
    # MAP@R = 1/R sum_{i <= R} P(i) rel(i),  P(i) = found(i) / i
    map_at_r = (found / position * hits).sum(1) / R
    reached = [(rank < k).to(torch.float64) for k in (*recall_at, 1)]
    return torch.stack([*reached, r_precision, map_at_r]).to(torch.float32)


def unit(embeddings: Tensor, name: str) -> Tensor:
    """Rows at unit length in float32, computed in float64; a zero row stays zero: equally far from all."""
    if embeddings.ndim != 2 or not embeddings.is_floating_point() or not embeddings.numel():
        raise RequestError(
            f"{name}: expected floating-point values of shape (images, dimensions), none of them 0; "
            f"got {str(embeddings.dtype).removeprefix('torch.')} of shape {tuple(embeddings.shape)}"
        )
    rows = embeddings.detach()
    broken = torch.nonzero(~rows.isfinite().all(1)).flatten()
    if len(broken):
        raise RequestError(
            f"{name}: NaN or infinity in {len(broken)} of {len(rows)} rows, the first is {int(broken[0])}; "
            "such embeddings cannot be ranked"
        )
    return torch.cat([_unit_rows(rows[start : start + 8192]) for start in range(0, len(rows), 8192)])


def _unit_rows(rows: Tensor) -> Tensor:
    rows = rows.to(torch.float64)
    # The largest value first: squares of very small or very large embeddings leave the range of floats.
    largest = rows.abs().amax(1, keepdim=True)
    return F.normalize(rows / largest.where(largest > 0, 1.0)).to(torch.float32)


def _integers(labels: Labels | None, expected: int, name: str) -> npt.NDArray[np.int64]:
    """Labels as (expected,) int64."""
    if labels is None:
        raise RequestError(f"{name} are missing: give one integer for each of the {expected} embeddings")
    values = labels.cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.shape != (expected,) or values.dtype.kind not in "iu":
        raise RequestError(
            f"{name}: expected {expected} integers, one for each embedding; "
            f"got {values.dtype} of shape {values.shape}"
        )
    return values.astype(np.int64)


def _check_sizes(
    queries: Tensor, items: Tensor, recall_at: Sequence[int], neighbours: int, relevance: Relevance
) -> None:
    if queries.shape[1] != items.shape[1]:
        raise RequestError(
            f"the queries have {queries.shape[1]} dimensions and the gallery {items.shape[1]}; they must agree"
        )
    if min(recall_at, default=1) < 1:
        raise RequestError(f"recall_at = {tuple(recall_at)}: each K of Recall@K is at least 1")
    offered = len(items) - relevance.own
    if not 0 <= neighbours <= offered:
        raise RequestError(
            f"neighbours = {neighbours}: expected 0 to {offered}, the items that a query can find"
        )
    if not bool(relevance.count.any()):
        raise RequestError(
            f"none of the {len(queries)} queries has an image of its class in the gallery: nothing to score"
        )
