"""Properties of one embedding beside its retrieval scores: geometry, verification, and what compression costs.

All are of the first repetition's first fold, on the same whole test classes for every method (at most 2,000 images), so
they compare between methods and with nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from harness.campaign.shown import Floats, Positions, principal_axes, unit_rows
from harness.metrics import score

#: A false match in so many is allowed where the rate of true matches is read.
FALSE_MATCHES = 1e-3
#: Draws of validation-sized sets of test classes, fewer where each is large.
DRAWS = 20
#: Images scored in all draws together, about.
SCORED = 40_000


def geometry(rows: Floats, labels: npt.NDArray[np.int64]) -> dict[str, float]:
    """Numbers on unit rows (N, D) of whole classes.

    effective_dimensions: exp of the entropy of the principal components' variance shares (Roy and Vetterli 2007).
    spectral_decay: KL divergence of the uniform distribution from the singular values' shares; 0 is even (Roth et al.,
        "Revisiting Training Strategies", ICML 2020, rho).
    density: mean distance within classes over mean distance between class centres (the same, pi_ratio).
    uniformity: log of the mean of exp(-2 d^2) over pairs; lower is more even (Wang and Isola, ICML 2020).
    auroc: probability that a pair of one class is more alike than a pair of two. tar: share of pairs of one class above
        the similarity that one in a thousand pairs of two classes exceeds.
    """
    first, second = np.triu_indices(len(rows), 1)
    alike = (rows @ rows.T)[first, second]
    same = labels[first] == labels[second]
    inside, outside = alike[same], alike[~same]
    share = principal_axes(rows)[1]
    share = share[share > 0]
    singular = np.linalg.svd(rows, compute_uv=False)
    singular = np.maximum(singular / singular.sum(), 1e-12)
    centres = np.stack([rows[labels == c].mean(axis=0) for c in np.unique(labels)])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(len(centres), 1)]
    return {
        "effective_dimensions": float(np.exp(-(share * np.log(share)).sum())),
        "spectral_decay": float(-np.log(len(singular) * singular).mean()),
        "density": float(_distance(inside).mean() / apart.mean()),
        "uniformity": float(np.log(np.exp(-2 * _distance(alike) ** 2).mean())),
        "auroc": _auroc(inside, outside),
        "tar": float((inside > np.quantile(outside, 1 - FALSE_MATCHES)).mean()),
    }


def _distance(similarity: Floats) -> Floats:
    """Euclidean distance of unit vectors with this cosine."""
    return np.asarray(np.sqrt(np.maximum(2 - 2 * similarity, 0)))


def _auroc(inside: Floats, outside: Floats) -> float:
    """Mann and Whitney's U over the number of pairs, ties counted half."""
    outside = np.sort(outside)
    below = np.searchsorted(outside, inside, side="left") + np.searchsorted(outside, inside, side="right")
    return float(below.sum() / (2 * len(inside) * len(outside)))


def compressed(rows: Floats, sizes: Sequence[int] = (64, 32)) -> dict[str, Floats]:
    """The rows (N, D) as a deployed index would keep them: fewer principal components, 8 bits, one bit a dimension.

    Components are fitted on the rows themselves, without labels; 8 bits cover each dimension's range evenly; one bit is
    the sign of the centred value.
    """
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    kept = {"float32": rows}
    kept |= {f"float32, {d} components": centred @ axes[:, ::-1][:, :d] for d in sizes if d < rows.shape[1]}
    low, high = rows.min(axis=0), rows.max(axis=0)
    step = np.where(high > low, (high - low) / 255, 1.0)
    return kept | {
        "int8": np.round((rows - low) / step) * step + low,
        "binary": np.where(centred > 0, 1.0, -1.0),
    }


def property_arrays(
    embeddings: npt.NDArray[Any], labels: npt.NDArray[np.int64], index: Positions
) -> dict[str, Any]:
    """`geometry_names` (G,) and `geometry` (G,); `deployment_names` (P,) and `deployment` (P, 2): precision at 1 and
    MAP@R with the images at `index` as their own gallery; `deployment_images` () their number."""
    rows, own = unit_rows(embeddings[index]), labels[index]
    found = geometry(rows, own)
    scores = {name: score(torch.from_numpy(kept), own).metrics for name, kept in compressed(rows).items()}
    return {
        "geometry_names": np.array(list(found)),
        "geometry": np.array(list(found.values()), dtype=np.float32),
        "deployment_names": np.array(list(scores)),
        "deployment": np.array(
            [[m["precision_at_1"], m["map_at_r"]] for m in scores.values()], dtype=np.float32
        ),
        "deployment_images": np.array(len(index)),
    }


def matched_scores(
    measured: Mapping[str, npt.NDArray[Any]],
    labels: npt.NDArray[np.int64],
    gallery_labels: npt.NDArray[np.int64] | None,
    classes: int,
    names: Sequence[str],
    recall_at: Sequence[int],
) -> npt.NDArray[np.float32]:
    """(draws, metrics + 1) test scores at the size of a validation gallery: random sets of so many test classes, each
    image a query among the others, as in validation. Queries and a separate gallery are put together, as there.

    classes: of a validation fold; where the test classes are fewer there are no draws. The draws are the same for every
    method. The last column says how many images a draw had.
    """
    embeddings, own = measured["embeddings"], labels
    if gallery_labels is not None:
        embeddings = np.concatenate([embeddings, measured["gallery_embeddings"]])
        own = np.concatenate([labels, gallery_labels])
    there = np.unique(own)
    if classes > len(there):
        return np.zeros((0, len(names) + 1), np.float32)
    rng = np.random.default_rng(0)
    draws = int(np.clip(SCORED // (len(own) * classes // len(there)), 3, DRAWS))
    rows = []
    for _ in range(draws):
        index = np.flatnonzero(np.isin(own, rng.choice(there, classes, replace=False)))
        found = score(torch.from_numpy(embeddings[index]), own[index], recall_at=recall_at).metrics
        rows.append([*(found[name] for name in names), len(index)])
    return np.array(rows, dtype=np.float32)
