"""NMI against scikit-learn, on clear clusters, and with a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from harness.nmi import mutual_information, nmi


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 5), (7, 7), (3, 60), (200, 4)])
def test_agrees_with_scikit_learn(first: int, second: int) -> None:
    random = np.random.default_rng(first)
    a, b = random.integers(0, first, 300), random.integers(0, second, 300)
    assert mutual_information(a, b) == pytest.approx(normalized_mutual_info_score(a, b), abs=1e-9)
    assert mutual_information(a, a) == 1.0


def test_clear_clusters_are_found_and_noise_is_not() -> None:
    labels = np.repeat([3, 7, 9], 20)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(60, 16, generator=generator)
    assert nmi(torch.eye(16)[labels] * 40 + noise, labels, seed=1) == 1.0
    assert nmi(noise, labels, seed=1) < 0.3


def test_the_seed_decides_and_length_does_not() -> None:
    points = torch.randn(300, 8, generator=torch.Generator().manual_seed(2))
    labels = np.arange(300) % 40
    values = [nmi(points, labels, seed) for seed in (5, 5, 6)]
    assert values[0] == values[1] != values[2]
    assert nmi(points * 4, labels, seed=5) == values[0]
