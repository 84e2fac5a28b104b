"""The closed-form floors: against scikit-learn and numpy, and as entries whose search has no learning rate."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from harness import Task, load_method
from harness.campaign.tuning import published_values, search_space
from harness.discovery import load_protocol

CLASSES, FEATURES, IMAGES = 6, 10, 240


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    """Features (IMAGES, FEATURES) float64 of CLASSES classes, unequal in every direction."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    mixing = torch.randn(FEATURES, FEATURES, dtype=torch.float64, generator=generator)
    noise = torch.randn(IMAGES, FEATURES, dtype=torch.float64, generator=generator)
    centres = torch.randn(CLASSES, FEATURES, dtype=torch.float64, generator=generator)
    return noise @ mixing + 2 * centres[labels] + 5, labels


def embedded(name: str, x: Tensor, labels: Tensor, dimensions: int, **values: float) -> Tensor:
    weight, bias = solution(name, x, labels, dimensions, **values)
    return x @ weight.T + bias


def solution(name: str, x: Tensor, labels: Tensor, dimensions: int, **values: float) -> tuple[Tensor, Tensor]:
    build = load_method(name).build
    assert build is not None
    objective: Any = build(Task(CLASSES, dimensions), **values)
    weight, bias = objective.solve(x, labels)
    return weight, bias


@pytest.mark.parametrize(("name", "whiten"), [("pca", False), ("pca_white", True)])
def test_pca_is_that_of_scikit_learn(name: str, whiten: bool, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    ours = embedded(name, x, labels, 4)
    theirs = torch.from_numpy(PCA(4, whiten=whiten).fit_transform(x.numpy()))
    scale = (IMAGES / (IMAGES - 1)) ** 0.5 if whiten else 1.0  # it divides by N - 1
    torch.testing.assert_close(ours.abs(), theirs.abs() * scale, rtol=1e-9, atol=1e-9)


def test_lda_spans_what_scikit_learns_spans(data: tuple[Tensor, Tensor]) -> None:
    """At C - 1 dimensions and next to no shrinkage both give one subspace; ours may go on past it."""
    x, labels = data
    ours = embedded("lda", x, labels, CLASSES - 1, shrinkage=1e-9)
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(x.numpy(), labels.numpy()).transform(x.numpy())
    first, _ = np.linalg.qr(ours.numpy())
    second, _ = np.linalg.qr(theirs - theirs.mean(0))
    cosines = np.linalg.svd(first.T @ second, compute_uv=False)
    assert cosines.min() > 1 - 1e-6
    assert embedded("lda", x, labels, 8).abs().sum(0).gt(0).all()


def test_lda_whitens_the_shrunk_scatter(data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    weight, _ = solution("lda", x, labels, FEATURES, shrinkage=0.3)
    centred = x - torch.stack([x[labels == c].mean(0) for c in range(CLASSES)])[labels]
    within = centred.T @ centred / IMAGES
    shrunk = 0.7 * within + 0.3 * within.trace() / FEATURES * torch.eye(FEATURES, dtype=x.dtype)
    torch.testing.assert_close(weight @ shrunk @ weight.T, torch.eye(FEATURES, dtype=x.dtype))


@pytest.mark.parametrize("name", ["pca", "pca_white", "lda"])
def test_fewer_features_than_dimensions_leave_zero_columns(name: str, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    found = embedded(name, x, labels, FEATURES + 3)
    assert found.shape == (IMAGES, FEATURES + 3)
    assert (found[:, FEATURES:] == 0).all() and found[:, :FEATURES].abs().sum(0).gt(0).all()


@pytest.mark.parametrize("name", ["pca_white", "lda"])
def test_a_direction_without_variance_stays_finite(name: str, data: tuple[Tensor, Tensor]) -> None:
    x, labels = data
    flat = torch.cat([x, x[:, :1], torch.ones(IMAGES, 1, dtype=x.dtype)], dim=1)
    assert embedded(name, flat, labels, FEATURES + 2).isfinite().all()
    assert embedded(name, x[:CLASSES], labels[:CLASSES], 4).isfinite().all()  # one image a class


def test_a_floors_search_has_no_learning_rate() -> None:
    frozen = load_protocol("frozen")
    assert set(search_space(load_method("lda"), frozen, "cub")) == {"shrinkage"}
    assert set(published_values(load_method("lda"), frozen, "cub")) == {"shrinkage"}
    assert search_space(load_method("pca"), frozen, "cub") == {}
    trained = dataclasses.replace(load_method("nca"), kind="list")
    assert set(search_space(trained, frozen, "cub")) == {"alpha", "lr"}
