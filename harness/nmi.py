"""Normalised mutual information between classes and the clusters that k-means finds. Off by default.

It depends on the luck of one k-means run and on the number of clusters (Musgrave et al. 2020, section 2.1), so it
stands beside the retrieval metrics only where a table of the literature asks for it.
"""

from __future__ import annotations

import faiss
import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F

#: Passes of k-means; the number that the field's evaluations use.
ITERATIONS = 20


def nmi(embeddings: Tensor, labels: npt.NDArray[np.int64], seed: int) -> float:
    """NMI of one k-means run, a fraction in [0, 1].

    embeddings: (N, D), brought to unit length; labels: (N,) classes; seed: of the k-means, stated with the result.
    k is the number of classes. Plain (not spherical) k-means of faiss on all N points, 20 passes, one start, on a
    CPU. Mutual information is divided by the arithmetic mean of the two entropies; 1 if both are 0.
    """
    classes = np.unique(labels, return_inverse=True)[1]
    points = F.normalize(embeddings.detach().double()).float().cpu().numpy()
    k = int(classes.max()) + 1
    means = faiss.Kmeans(
        points.shape[1],
        k,
        niter=ITERATIONS,
        seed=seed % 2**31,
        min_points_per_centroid=1,
        max_points_per_centroid=len(points),  # no subsampling: every point moves the centroids
    )
    means.train(points)
    return mutual_information(classes, means.index.search(points, 1)[1][:, 0])


def mutual_information(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> float:
    """NMI of two divisions of the same N things, each (N,) non-negative integers, arithmetic normalisation."""
    # I(A; B) = H(A) + H(B) - H(A, B)
    pairs = np.unique(np.stack([first, second]), axis=1, return_counts=True)[1]
    a, b, joint = _entropy(np.bincount(first)), _entropy(np.bincount(second)), _entropy(pairs)
    if a + b == 0:
        return 1.0
    return float(np.clip(2 * (a + b - joint) / (a + b), 0, 1))


def _entropy(counts: npt.NDArray[np.int64]) -> float:
    """Entropy in nats of a division into parts of these sizes."""
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())
