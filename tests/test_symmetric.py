"""Half the products give what all of them give: the same outcome for every query, ties and duplicates included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness import coarse, metrics, symmetric
from harness.coarse import TILE, Coarse, integers_pay
from harness.metrics import Scores, score, unit
from harness.ranking import Relevance, nearest_relevant, ranked

K = (1, 2, 10, 100, 1000)
few = settings(max_examples=15, deadline=None)


def by(halves: bool, x: Tensor, labels: Tensor) -> Scores:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics, "halves_suit", lambda items, relevance: halves)
        return score(x, labels, recall_at=K)


def agree(x: Tensor, labels: Tensor) -> Scores:
    """Score in both ways and compare every outcome."""
    halves, whole = by(True, x, labels), by(False, x, labels)
    assert halves.query.tolist() == whole.query.tolist()
    for name, values in whole.outcomes.items():
        np.testing.assert_array_equal(halves.outcomes[name], values, err_msg=name)
    return halves


def clusters(n: int, classes: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    centres = torch.nn.functional.normalize(torch.randn(classes, 24, generator=generator))
    return centres[labels] + noise * torch.randn(n, 24, generator=generator) / 24**0.5, labels


@few
@given(st.integers(2, 2500), st.integers(40, 400), st.floats(0.05, 4.0), st.integers(0, 2**20))
def test_any_clusters(n: int, classes: int, noise: float, seed: int) -> None:
    x, labels = clusters(n, classes, noise, seed)
    labels[:2] = labels[0]  # one query at least can be scored
    agree(x, labels)


@few
@given(st.integers(100, 1500), st.integers(20, 60), st.integers(1, 4), st.integers(0, 2**20))
def test_ties_and_duplicates(n: int, classes: int, dimensions: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-1, 2, (n, dimensions), generator=generator).float()
    agree(x, torch.randint(classes, (n,), generator=generator))


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_duplicates_of_other_classes_at_any_rank(noise: float) -> None:
    x, labels = clusters(3000, 600, noise, seed=1)
    x[1500:] = x[:1500]
    agree(x, labels)


def test_nothing_relevant_within_reach() -> None:
    # Every item has 999 copies in other classes, and its own class lies at a right angle.
    x = torch.eye(2).repeat(1000, 1)
    labels = torch.arange(2000) // 2
    scores = agree(x, labels)
    assert scores.metrics["r_precision"] == 0
    assert scores.metrics["recall_at_1000"] > 0


def test_collapsed_embeddings_are_ranked_whole() -> None:
    labels = torch.arange(2000) % 400
    agree(torch.ones(2000, 8), labels)


def test_few_queries_need_the_whole_gallery(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = {"ranked": 0, "nearest_relevant": 0}
    for name, way in (("ranked", ranked), ("nearest_relevant", nearest_relevant)):

        def counting(*args: Any, name: str = name, way: Any = way, **options: Any) -> Iterator[Any]:
            looked_at[name] += len(next(a for a in args if isinstance(a, Tensor) and a.dtype == torch.int64))
            yield from way(*args, **options)

        monkeypatch.setattr(symmetric, name, counting)
    x, labels = clusters(4000, 800, 1.0, seed=3)
    scores = agree(x, labels)
    assert 0.2 < scores.metrics["map_at_r"] < 0.8
    assert looked_at["ranked"] == 0
    assert 0 < looked_at["nearest_relevant"] < 400


def test_too_many_candidates_are_ranked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symmetric, "COLLECTED", 1)
    agree(*clusters(2000, 400, 1.0, seed=4))


@pytest.mark.parametrize("dimensions", [3, 512])
def test_floats_do_where_integers_do_not_pay(monkeypatch: pytest.MonkeyPatch, dimensions: int) -> None:
    generator = torch.Generator().manual_seed(5)
    x, labels = torch.randn(2000, dimensions, generator=generator), torch.arange(2000) // 4
    x += 0.5 * torch.randn(500, dimensions, generator=generator)[labels] * dimensions**0.5
    integers = {}
    for pays in (True, False):
        monkeypatch.setattr(coarse, "integers_pay", lambda d, pays=pays: pays)
        integers[pays] = agree(x, labels).outcomes
    for name, values in integers[True].items():
        np.testing.assert_array_equal(values, integers[False][name])


@few
@given(st.integers(2, 300), st.floats(0.0, 6.0), st.integers(0, 2**20))
def test_coarse_similarities_keep_their_bound(dimensions: int, peaks: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # The larger `peaks`, the more of a row is in a few of its values, and the coarser are the others.
    x = torch.randn(TILE, dimensions, generator=generator)
    x = unit(x * torch.exp(peaks * torch.randn(TILE, dimensions, generator=generator)), "x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(coarse, "integers_pay", lambda d: True)
        held = Coarse.of(x)
    product = held.room(TILE, TILE)
    held.products(held.values, held.values, product)
    off = (product.double() * held.step[0] ** 2 - x.double() @ x.double().T).abs()
    assert (off <= held.slack(held.error[:, None], held.error)).all()


def test_integer_products_are_tried_before_they_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(a: Tensor, b: Tensor) -> Tensor:
        return (a.int()[:, :, None] * b.int()).sum(1, dtype=torch.int32).clamp(-(2**15), 2**15 - 1)

    def missing(a: Tensor, b: Tensor) -> Tensor:
        raise RuntimeError("not implemented")

    for wrong in (saturating, missing):
        integers_pay.cache_clear()
        monkeypatch.setattr(torch, "_int_mm", wrong)
        assert not integers_pay(64)
    integers_pay.cache_clear()


def test_a_large_set_takes_this_way_and_others_do_not() -> None:
    x, labels = clusters(8192, 1600, 0.8, seed=2)
    among = Relevance.among(labels.numpy(), x.device)
    assert symmetric.halves_suit(x, among)
    assert not symmetric.halves_suit(x, Relevance.between(labels.numpy(), labels.numpy(), x.device))
    assert not symmetric.halves_suit(x[:4000], Relevance.among(labels[:4000].numpy(), x.device))
    assert not symmetric.halves_suit(x, Relevance.among(labels.numpy() // 100, x.device))
    scores = agree(x, labels)
    assert 0.2 < scores.metrics["map_at_r"] < 0.8  # both open and settled queries
