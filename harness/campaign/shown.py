"""What an entry's page shows of one embedder: a map of test images, and the neighbours of fixed queries.

Everything is of the first repetition's first fold, and every choice of what to show comes from hashes of the split, so
that all methods on one dataset show the same queries and the same images.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.dataset import Dataset
from harness.engine.bench import TestRoles
from harness.thumbnails import SIDE, picture_id, thumbnail

Arrays = dict[str, npt.NDArray[Any]]
Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
#: An image by its position, (H, W, 3) uint8.
Read = Callable[[int], npt.NDArray[np.uint8]]

#: Images on the map: whole classes, as many as fit.
MAP_IMAGES = 2000
QUERIES = 50
NEIGHBOURS = 10


def page_arrays(measured: Mapping[str, npt.NDArray[Any]], test: TestRoles, split: str) -> Arrays:
    """Arrays for an entry's page from one measurement's arrays (`embeddings`, `query`, perhaps `gallery_embeddings`).

    `map_index` (M,) positions of test images, `map_class` (M,), `map_xy` (M, 2) and `map_share` (2,) the share of
        variance along each axis (`principal_axes`).
    `shown_query` (Q,), `shown_query_class` (Q,); `shown_neighbours` (Q, 10) positions in the gallery, nearest first,
        `shown_class` (Q, 10) and `shown_similarity` (Q, 10) cosine; `shown_role` (): `gallery` where that is a separate
        role, else `test`.
    """
    unit = unit_rows(measured["embeddings"])
    labels = test.queries.labels
    index = whole_classes(labels, split, MAP_IMAGES)
    xy, share = principal_axes(unit[index])
    query = fixed_queries(measured["query"], labels, split)
    gallery, gallery_labels = unit, labels
    if test.gallery is not None:
        gallery, gallery_labels = unit_rows(measured["gallery_embeddings"]), test.gallery.labels
    found, similarity = nearest(unit, query, gallery, own=test.gallery is None)
    return {
        "map_index": index.astype(np.int32),
        "map_class": labels[index].astype(np.int32),
        "map_xy": xy.astype(np.float32),
        "map_share": share[:2].astype(np.float32),
        "shown_query": query.astype(np.int32),
        "shown_query_class": labels[query].astype(np.int32),
        "shown_neighbours": found.astype(np.int32),
        "shown_class": gallery_labels[found].astype(np.int32),
        "shown_similarity": similarity.astype(np.float32),
        "shown_role": np.array("test" if test.gallery is None else "gallery"),
    }


def unit_rows(embeddings: npt.NDArray[Any]) -> Floats:
    """(N, D) float64 rows of unit length; a zero row stays zero."""
    rows = embeddings.astype(np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1.0))


def _by_hash(split: str, names: Sequence[int]) -> list[int]:
    """Numbers in an order that the split alone decides."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{split}\t{name}".encode()).digest())


def whole_classes(labels: npt.NDArray[np.int64], split: str, images: int) -> Positions:
    """Positions of all images of some classes: in an order made of the split, as many as stay within `images`, and
    never fewer than two."""
    sizes = Counter(labels.tolist())
    chosen: list[int] = []
    for label in _by_hash(split, sorted(sizes)):
        if len(chosen) >= 2 and sum(sizes[c] for c in chosen) + sizes[label] > images:
            break
        chosen.append(label)
    return np.flatnonzero(np.isin(labels, chosen))


def fixed_queries(scored: Positions, labels: npt.NDArray[np.int64], split: str) -> Positions:
    """(Q,) at most QUERIES of the scored queries, in increasing order: one a class, then a second of each, ..."""
    order = _by_hash(split, scored.tolist())
    seen: Counter[int] = Counter()
    turn: dict[int, int] = {}
    for position in order:
        turn[position] = seen[int(labels[position])]
        seen[int(labels[position])] += 1
    return np.array(sorted(sorted(order, key=turn.__getitem__)[:QUERIES]), dtype=np.int64)


def nearest(unit: Floats, query: Positions, gallery: Floats, *, own: bool) -> tuple[Positions, Floats]:
    """Gallery positions and cosine similarities (Q, k) of each query's nearest, k = 10 or all there are.

    own: whether the queries are their own gallery, so that each leaves itself out. Ties go to the lower position, as
        in `harness.metrics`.
    """
    similarity = unit[query] @ gallery.T
    if own:
        similarity[np.arange(len(query)), query] = -np.inf
    order = np.argsort(-similarity, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(gallery) - own)]
    return order, np.take_along_axis(similarity, order, axis=1)


def principal_axes(rows: Floats) -> tuple[Floats, Floats]:
    """(N, 2) coordinates along the two directions of largest variance, and (D,) every direction's share of it.

    Principal component analysis (Pearson 1901) of the rows themselves; an axis points to where its largest loading is.
    """
    centred = rows - rows.mean(axis=0)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    variance, axes = np.maximum(variance[::-1], 0.0), axes[:, ::-1]
    two = axes[:, :2]
    two = two * np.sign(np.take_along_axis(two, np.abs(two).argmax(axis=0)[None], axis=0))
    xy = centred @ two
    xy = np.pad(xy, ((0, 0), (0, 2 - xy.shape[1])))
    total = float(variance.sum())
    return xy, variance / total if total > 0 else variance


# -- names and pictures -----------------------------------------------------------------------------------------------


def names_of(dataset: Dataset, page: Arrays) -> Arrays:
    """`shown_query_id` (Q,) and `shown_id` (Q, 10): the images' names in their dataset."""
    gallery = dataset.test if dataset.gallery is None else dataset.gallery
    return {
        "shown_query_id": np.array([dataset.test.image_ids[i] for i in page["shown_query"]], dtype=np.str_),
        "shown_id": np.array(
            [[gallery.image_ids[i] for i in row] for row in page["shown_neighbours"]], dtype=np.str_
        ),
    }


def pictures_of(readers: Mapping[str, Read], split: str, page: Arrays) -> Arrays:
    """`picture_ids` (P,) and `pictures` (P, 32, 32, 3) uint8 of everything shown.

    readers: an image of the role `test` and, where it is a separate one, `gallery`, by its position.
    """
    wanted = {("test", int(i)) for i in page["shown_query"]}
    wanted |= {(str(page["shown_role"]), int(i)) for i in page["shown_neighbours"].ravel()}
    drawn = {
        picture_id(split, role, position): thumbnail(readers[role](position), SIDE)
        for role, position in sorted(wanted)
    }
    return {"picture_ids": np.array(list(drawn), dtype=np.str_), "pictures": np.stack(list(drawn.values()))}
