"""Evaluation beside its limits: exact metrics of embeddings, a bare search for neighbours, a product of all pairs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import faiss
import numpy as np
import torch
from torch import Tensor

from harness.metrics import score
from harness.speed.rounds import Figure, Work, compared, peak_memory

#: K of the Recall@K that is measured: those of Stanford Online Products.
RECALL_AT = (1, 10, 100, 1000)
#: Images in a class, on average, and the noise around class centres at which MAP@R is near 0.4 for 60,000 images.
CLASS_SIZE = 5.3
NOISE = 1.45
#: Rows of a block in the product that stands for the least work.
BLOCK = 1024


def evaluation_figures(n: int, d: int, rounds: int) -> list[Figure]:
    """Our exact evaluation and, beside it, what it is measured against.

    n, d: embeddings and dimensions of one set of queries that is its own gallery. Compared are MAP@R without the large
    K, the bare search of faiss for as many neighbours as MAP@R needs, the product of all pairs in blocks, and
    pytorch-metric-learning's AccuracyCalculator where it is installed. All use torch's number of threads on a CPU.
    """
    embeddings, labels = clustered(n, d)
    with _faiss_threads(torch.get_num_threads()):
        return compared(_contestants(embeddings, labels), rounds)


def evaluation_growth(sizes: Sequence[int], d: int) -> list[dict[str, float]]:
    """Rows `n`, `cpu_seconds` and `megabytes` (2**20 bytes, peak above the embeddings) of our evaluation."""
    rows = []
    for n in sizes:
        embeddings, labels = clustered(n, d)
        with peak_memory() as peak:
            began = time.process_time()
            score(embeddings, labels, recall_at=RECALL_AT)
            seconds = time.process_time() - began
        rows.append({"n": n, "cpu_seconds": seconds, "megabytes": peak[0] / 2**20})
    return rows


def clustered(n: int, d: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(n, d) unit-length embeddings with (n,) labels: class centres in random directions, with noise around them."""
    generator = torch.Generator().manual_seed(seed)
    classes = max(2, int(n / CLASS_SIZE))
    centres = torch.nn.functional.normalize(torch.randn(classes, d, generator=generator))
    labels = torch.randint(classes, (n,), generator=generator)
    noise = torch.randn(n, d, generator=generator) * NOISE / d**0.5
    return torch.nn.functional.normalize(centres[labels] + noise), labels


def _contestants(embeddings: Tensor, labels: Tensor) -> dict[str, Work]:
    """What is measured, by its name; the first is what the others are compared with."""
    # A query, and as many others as its class can hold.
    k = int(np.bincount(labels.numpy()).max())
    index = faiss.IndexFlatIP(embeddings.shape[1])
    index.add(embeddings.numpy())
    work: dict[str, Work] = {
        "every metric and Recall@1,10,100,1000": lambda: score(embeddings, labels, recall_at=RECALL_AT),
        "every metric and Recall@1": lambda: score(embeddings, labels),
        f"faiss IndexFlatIP, search for {k}": lambda: index.search(embeddings.numpy(), k),
        "product of all pairs, in blocks": lambda: _product(embeddings),
    }
    if find_spec("pytorch_metric_learning"):
        # A development tool: only where it is installed can it be compared with.
        from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

        names = ("precision_at_1", "r_precision", "mean_average_precision_at_r")
        theirs = AccuracyCalculator(include=names, k="max_bin_count", device=torch.device("cpu"))
        work["pytorch-metric-learning"] = lambda: theirs.get_accuracy(embeddings, labels)
    return work


def _product(embeddings: Tensor) -> None:
    block = torch.empty(BLOCK, len(embeddings))
    for start in range(0, len(embeddings), BLOCK):
        rows = embeddings[start : start + BLOCK]
        torch.mm(rows, embeddings.T, out=block[: len(rows)])


@contextmanager
def _faiss_threads(threads: int) -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
