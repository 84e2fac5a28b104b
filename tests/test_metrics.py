"""Retrieval metrics against a plain double loop in float64, against other libraries, and their laws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from torch import Tensor
from torchmetrics.functional.retrieval import retrieval_hit_rate

from harness.errors import RequestError
from harness.metrics import Scores, score
from harness.ranking import nearest

K = (1, 2, 5, 30, 1000)
Array = npt.NDArray[np.float64]
Sets = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


def naive(x: Array, labels: list[int], y: Array | None, offered: list[int] | None) -> dict[int, list[float]]:
    """Outcomes by query (Recall@K for K, P@1, R-Precision, MAP@R) as a student would write them."""
    own = y is None
    items, names = (x, labels) if y is None or offered is None else (y, offered)
    outcomes = {}
    for q in range(len(x)):
        others = [g for g in range(len(items)) if not (own and g == q)]
        R = sum(names[g] == labels[q] for g in others)
        if R == 0:
            continue
        similarity = {g: cosine(x[q], items[g]) for g in others}
        relevant = [names[g] == labels[q] for g in sorted(others, key=lambda g: (-similarity[g], g))]
        precision = [sum(relevant[: i + 1]) / (i + 1) for i in range(R)]
        average = sum(p for p, hit in zip(precision, relevant, strict=False) if hit) / R
        recall = [float(any(relevant[:k])) for k in K]
        outcomes[q] = [*recall, float(relevant[0]), sum(relevant[:R]) / R, average]
    return outcomes


def cosine(a: Array, b: Array) -> float:
    """Rounded well below float32, so that equal vectors tie whatever the order of the sums."""
    lengths = np.sqrt(np.dot(a, a) * np.dot(b, b))
    return round(float(np.dot(a, b) / lengths), 12) if lengths else 0.0


def agrees(scores: Scores, expected: dict[int, list[float]]) -> None:
    assert scores.query.tolist() == list(expected)
    got = np.stack(list(scores.outcomes.values()), axis=1)
    np.testing.assert_allclose(got, np.array(list(expected.values())), atol=1e-6)


def check(x: Tensor, labels: Tensor, y: Tensor | None = None, offered: Tensor | None = None) -> Scores:
    """Score and compare every query with the double loop."""
    scores = score(x, labels, y, offered, recall_at=K)
    expected = naive(
        x.double().numpy(),
        labels.tolist(),
        None if y is None else y.double().numpy(),
        None if offered is None else offered.tolist(),
    )
    agrees(scores, expected)
    assert scores.queries + scores.excluded == len(x)
    return scores


def clusters(n: int, classes: int, dimensions: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    centres = torch.randn(classes, dimensions, generator=generator)
    return centres[labels] + noise * torch.randn(n, dimensions, generator=generator), labels


def corners(n: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Vectors of few distinct, exactly representable directions: nearly everything ties."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-1, 2, (n, 2), generator=generator).float()
    return x, torch.randint(classes, (n,), generator=generator)


@pytest.mark.parametrize("classes", [2, 7, 60])
@pytest.mark.parametrize("dimensions", [2, 64])
def test_every_outcome_is_that_of_the_double_loop(classes: int, dimensions: int) -> None:
    scores = check(*clusters(150, classes, dimensions, 1.0, seed=classes))
    assert 0 < scores.metrics["map_at_r"] < 1


@pytest.mark.parametrize("seed", range(4))
def test_ties_go_to_the_lower_index(seed: int) -> None:
    check(*corners(120, 9, seed))


def test_collapsed_embeddings_rank_by_index() -> None:
    labels = torch.arange(90) % 9
    check(torch.ones(90, 5), labels)
    check(torch.zeros(90, 5), labels)


def test_duplicates_of_a_query_are_found_and_only_the_query_itself_is_removed() -> None:
    x, labels = clusters(60, 20, 16, 1.0, seed=1)
    scores = check(torch.cat([x, x]), torch.cat([labels, labels]))
    assert scores.metrics["recall_at_1"] == 1.0
    check(torch.cat([x, x]), torch.cat([labels, labels + 100]))


def test_queries_without_relevant_items_are_left_out_and_stay_distractors() -> None:
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [1.0, 0.01]])
    scores = check(x, torch.tensor([0, 0, 1, 2]))
    assert (scores.queries, scores.excluded) == (2, 2)
    assert (
        scores.metrics["recall_at_1"] == 0.0
    )  # the image alone in class 2 stands between the two of class 0
    assert scores.metrics["recall_at_2"] == 1.0


def test_a_separate_gallery_keeps_what_equals_the_query() -> None:
    x, labels = clusters(50, 10, 8, 1.0, seed=2)
    assert check(x, labels, x, labels).metrics["recall_at_1"] == 1.0


def test_a_gallery_of_other_classes() -> None:
    x, labels = clusters(40, 10, 8, 1.0, seed=3)
    y, offered = clusters(70, 10, 8, 1.0, seed=4)
    scores = check(x, labels, y, offered * 2)
    assert scores.excluded == int((labels % 2 == 1).sum())


def test_classes_of_very_different_sizes() -> None:
    x, _ = clusters(200, 2, 8, 1.0, seed=5)
    check(x, torch.tensor([0] * 120 + [1] * 2 + [2] * 3 + [3] + [4 + i // 5 for i in range(74)]))


def test_two_images() -> None:
    assert check(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([3, 3])).metrics["map_at_r"] == 1.0


sets = st.builds(
    lambda tied, n, classes, seed: corners(n, classes, seed) if tied else clusters(n, classes, 8, 1.0, seed),
    tied=st.booleans(),
    n=st.integers(30, 300),
    classes=st.integers(1, 12),
    seed=st.integers(0, 2**20),
)
few = settings(max_examples=25, deadline=None)


def same(a: Scores, b: Scores) -> None:
    assert a.query.tolist() == b.query.tolist()
    for name, values in a.outcomes.items():
        np.testing.assert_array_equal(values, b.outcomes[name], err_msg=name)


@few
@given(sets, st.sampled_from([1, 40_000, 150_000]))
def test_block_size_is_irrelevant(data: tuple[Tensor, Tensor], held: int) -> None:
    x, labels = data
    whole, blocks = (score(x, labels, recall_at=K, neighbours=3, held=h) for h in (1 << 24, held))
    same(whole, blocks)
    np.testing.assert_array_equal(whole.neighbours, blocks.neighbours)


@few
@given(sets, st.sampled_from([2.0**-100, 0.25, 2.0**100]))
def test_length_is_irrelevant(data: tuple[Tensor, Tensor], factor: float) -> None:
    x, labels = data
    same(score(x, labels, recall_at=K), score(x * factor, labels, recall_at=K))


@few
@given(st.integers(30, 300), st.integers(1, 12), st.integers(0, 2**20))
def test_order_of_the_gallery_is_irrelevant_without_ties(n: int, classes: int, seed: int) -> None:
    x, labels = clusters(40, classes, 8, 1.0, seed)
    y, offered = clusters(n, classes, 8, 1.0, seed)
    turned = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    same(score(x, labels, y, offered, recall_at=K), score(x, labels, y[turned], offered[turned], recall_at=K))


@few
@given(sets)
def test_recall_grows_with_k_and_r_precision_bounds_map(data: tuple[Tensor, Tensor]) -> None:
    outcomes = score(*data, recall_at=K).outcomes
    recall = np.stack([outcomes[f"recall_at_{k}"] for k in K])
    assert (np.diff(recall, axis=0) >= 0).all()
    assert (recall[-1] == 1).all()  # K = 1000 is the whole gallery
    assert (outcomes["r_precision"] >= outcomes["map_at_r"] - 1e-6).all()


@few
@given(sets)
def test_copies_of_the_classes_score_one(data: tuple[Tensor, Tensor]) -> None:
    _, labels = data
    classes = int(labels.max()) + 1
    scores = score(torch.eye(classes)[labels], labels, torch.eye(classes), torch.arange(classes), recall_at=K)
    assert set(scores.metrics.values()) == {1.0}


def test_random_labels_score_at_chance() -> None:
    # With relevance at random, p = R / (N - 1) is the share of relevant items in any prefix.
    n, classes = 3000, 10
    generator = torch.Generator().manual_seed(6)
    labels = torch.arange(n) % classes
    metrics = score(torch.randn(n, 32, generator=generator), labels, recall_at=(1, 4)).metrics
    R = n // classes - 1
    p = R / (n - 1)
    # E[P(i) rel(i)] = p/i * (1 + (i - 1) * (R - 1) / (N - 2)); the sum: the i-th itself, and those before it
    i = np.arange(1, R + 1)
    expected_map = float((p / i * (1 + (i - 1) * (R - 1) / (n - 2))).mean())
    miss = np.prod([(n - 1 - R - j) / (n - 1 - j) for j in range(4)])
    assert metrics["recall_at_1"] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / n))
    assert metrics["recall_at_4"] == pytest.approx(1 - miss, abs=4 * np.sqrt(miss * (1 - miss) / n))
    assert metrics["r_precision"] == pytest.approx(p, rel=0.02)
    assert metrics["map_at_r"] == pytest.approx(expected_map, rel=0.05)


@pytest.mark.parametrize("classes", [3, 40, 300])
def test_agrees_with_pytorch_metric_learning(classes: int) -> None:
    x, labels = clusters(600, classes, 32, 2.0, seed=classes)
    ours = score(x, labels).metrics
    names = {
        "precision_at_1": "precision_at_1",
        "r_precision": "r_precision",
        "map_at_r": "mean_average_precision_at_r",
    }
    theirs = accuracy(tuple(names.values())).get_accuracy(torch.nn.functional.normalize(x), labels)
    for name, other in names.items():
        assert ours[name] == pytest.approx(theirs[other], abs=1e-6)


def test_agrees_with_pytorch_metric_learning_on_a_separate_gallery() -> None:
    x, labels = clusters(200, 30, 16, 2.0, seed=7)
    y, offered = clusters(500, 30, 16, 2.0, seed=7)
    offered[offered == 5] = 77  # class 5 has queries and no relevant item
    ours = score(x, labels, y, offered).metrics
    unit = torch.nn.functional.normalize
    theirs = accuracy(("precision_at_1", "mean_average_precision_at_r")).get_accuracy(
        unit(x), labels, unit(y), offered
    )
    assert ours["precision_at_1"] == pytest.approx(theirs["precision_at_1"], abs=1e-6)
    assert ours["map_at_r"] == pytest.approx(theirs["mean_average_precision_at_r"], abs=1e-6)


def accuracy(include: tuple[str, ...]) -> AccuracyCalculator:
    return AccuracyCalculator(include=include, k="max_bin_count", device=torch.device("cpu"))


def test_recall_agrees_with_torchmetrics() -> None:
    x, labels = clusters(80, 15, 8, 1.5, seed=8)
    scores = score(x, labels, recall_at=(1, 4, 10))
    similarity = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(x).T
    for position, q in enumerate(scores.query):
        others = torch.arange(80) != q
        for k in (1, 4, 10):
            expected = retrieval_hit_rate(similarity[q][others], labels[others] == labels[q], top_k=k)
            assert scores.outcomes[f"recall_at_{k}"][position] == expected


def test_neighbours_are_the_nearest_of_every_query() -> None:
    x, labels = clusters(90, 60, 8, 1.0, seed=9)
    scores = score(x, labels, neighbours=7)
    assert scores.excluded > 0
    unit = torch.nn.functional.normalize(x.double())
    similarity = (unit @ unit.T).fill_diagonal_(-2)
    np.testing.assert_array_equal(scores.neighbours, similarity.topk(7).indices.numpy())


@few
@given(st.integers(1, 400), st.integers(0, 2**20), st.booleans())
def test_the_nearest_are_those_of_a_stable_sort(k: int, seed: int, tied: bool) -> None:
    values = torch.randn(5, 1024, generator=torch.Generator().manual_seed(seed))
    if tied:
        values = (values * 3).round()
    expected = values.sort(dim=1, descending=True, stable=True).indices[:, :k]
    assert torch.equal(nearest(values, k), expected)


def test_duplicates_tie_wherever_they_stand() -> None:
    # 2,500 items are three tiles; the same vector stands in many places, in classes that alternate.
    x, _ = clusters(2500, 2, 100, 1.0, seed=10)
    x[::5] = x[0]
    labels = torch.arange(2500) % 7
    labels[::5] = torch.arange(500) % 2
    scores = score(x, labels, neighbours=499, recall_at=(1,))
    copies = np.arange(0, 2500, 5)
    for row in range(0, 2500, 250):
        assert scores.neighbours[row].tolist() == [c for c in copies if c != row]
    same(scores, score(x, labels, held=1))


def test_class_sums_and_counts_give_the_metrics_back() -> None:
    x, labels = clusters(100, 30, 8, 1.0, seed=11)
    scores = score(x, labels, recall_at=(1, 2))
    sums = scores.class_sums(labels.numpy(), 31)
    counts = scores.class_counts(labels.numpy(), 31)
    assert sums.shape == (5, 31)
    assert counts.sum() == scores.queries
    assert counts[30] == 0
    np.testing.assert_allclose(sums.sum(1) / counts.sum(), list(scores.metrics.values()), rtol=1e-12)


def test_what_cannot_be_scored_is_refused_with_a_reason() -> None:
    x, labels = clusters(20, 3, 4, 1.0, seed=12)
    broken = x.clone()
    broken[3, 1] = torch.nan
    broken[7, 0] = torch.inf
    refused = [
        (lambda: score(broken, labels), "NaN or infinity in 2 of 20 rows, the first is 3"),
        (lambda: score(x, labels[:5]), "labels: expected 20 integers"),
        (lambda: score(x, labels.float()), "got float32"),
        (lambda: score(x.long(), labels), "embeddings: expected floating-point"),
        (lambda: score(x[0], labels), "embeddings: expected floating-point"),
        (lambda: score(x, labels, x), "gallery_labels are missing"),
        (lambda: score(x, labels, x[:, :3], labels), "4 dimensions and the gallery 3"),
        (lambda: score(x, torch.arange(20)), "none of the 20 queries"),
        (lambda: score(x, labels, recall_at=(0, 1)), "at least 1"),
        (lambda: score(x, labels, neighbours=20), "expected 0 to 19"),
    ]
    for request, reason in refused:
        with pytest.raises(RequestError, match=reason):
            request()
