"""Half-sets of test classes: Recall@K with the gallery cut, in one pass, against scoring each half-set by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness import half_sets as half_sets_module
from harness.half_sets import half_set_recall
from harness.metrics import score, unit
from harness.splits import half_sets

KS = (1, 2, 4, 8)


def images(classes: int, noise: float, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    # Classes of one to seven images: some queries have nothing to find.
    labels = np.repeat(np.arange(classes), rng.integers(1, 8, classes))
    rng.shuffle(labels)
    centres = rng.normal(size=(classes, 6))
    return torch.tensor(centres[labels] + noise * rng.normal(size=(len(labels), 6))).float(), labels


@pytest.mark.parametrize("noise", [0.5, 2.0])
@pytest.mark.parametrize("held", [1 << 24, 4096])
def test_one_pass_gives_what_each_half_set_scores_by_itself(noise: float, held: int) -> None:
    embeddings, labels = images(20, noise)
    embeddings[10:15] = embeddings[3]  # duplicates: the order of ties counts
    found = half_set_recall(
        unit(embeddings, "x"), labels, None, None, groups=np.arange(20), recall_at=KS, held=held
    )
    for column, members in enumerate(half_sets(20)):
        keep = members[labels]
        alone = score(embeddings[keep], labels[keep], recall_at=KS).metrics
        assert found[:, column] == pytest.approx([alone[f"recall_at_{k}"] for k in KS], abs=1e-6)
    assert found.std(axis=1).min() > 0


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_few_candidates_give_what_the_whole_gallery_gives(
    monkeypatch: pytest.MonkeyPatch, noise: float
) -> None:
    embeddings, labels = images(600, noise, seed=3)
    embeddings[10:15] = embeddings[3]
    scores = []
    for halves in (False, True):
        monkeypatch.setattr(half_sets_module, "halves_suit", lambda items, relevance, halves=halves: halves)
        scores.append(
            half_set_recall(
                unit(embeddings, "x"), labels, None, None, groups=np.arange(600), recall_at=(1, 10, 400)
            )
        )
    np.testing.assert_array_equal(*scores)
    assert scores[0].std(axis=1).min() > 0


def test_a_gallery_apart_is_cut_to_the_half_set_too() -> None:
    (queries, labels), (gallery, offered) = images(11, 1.0), images(11, 1.0, seed=0)
    queries = queries + 0.3 * torch.randn(queries.shape, generator=torch.Generator().manual_seed(1))
    found = half_set_recall(
        unit(queries, "q"), labels, unit(gallery, "g"), offered, groups=np.arange(11), recall_at=KS
    )
    for column, members in enumerate(half_sets(11)):
        q, g = members[labels], members[offered]
        alone = score(queries[q], labels[q], gallery[g], offered[g], recall_at=KS).metrics
        assert found[:, column] == pytest.approx([alone[f"recall_at_{k}"] for k in KS], abs=1e-6)


def test_half_sets_are_halves_in_pairs() -> None:
    members = half_sets(10)
    assert members.shape == (100, 10) and (members.sum(axis=1) == 5).all()
    assert (members[0::2] != members[1::2]).all(), "pairs complement each other"
    assert (members.sum(axis=0) == 50).all()
    assert (half_sets(10) == members).all()
