"""Losses of six points in the plane, against values that were worked out independently."""

from __future__ import annotations

import pytest
import torch

from methods.margin import log_weights
from tests.method_batches import FIX6_PROXY_ANGLES, at_angles, fix6
from tests.method_oracles import built

GOLDEN = [
    ("contrastive_seed", {"margin": 0.5}, 1.9487406994),
    ("contrastive", {"pos_margin": 0.0, "neg_margin": 1.0}, 1.3335830850),
    ("binomial", {"alpha": 40.0, "margin": 0.5}, 7.0372744313),
    ("binomial", {"alpha": 40.0, "beta": 2.0, "mining": True}, 1.3316244785),
    ("lifted_seed", {"alpha": 40.0, "beta": 2.0}, 1.1896627539),
    ("lifted_seed", {"alpha": 40.0, "beta": 2.0, "mining": True}, 1.1013113551),
    ("lifted", {"margin": 1.0}, 3.7821882570),
    ("hard_mining", {"margin": 0.1}, 1.2713565075),
    ("hard_mining", {"margin": 0.0}, 1.3018586245),
    ("nca", {"alpha": 1.0}, 0.8007002570),
    ("nca_knn", {"alpha": 16.0, "neighbours": 3}, 1.9185140523),
    ("ms", {"alpha": 2.0, "beta": 50.0}, 0.8241504927),
    ("ms", {"alpha": 2.0, "beta": 40.0}, 0.8246172008),
    ("triplet", {"margin": 0.05}, 0.5708433865),
    ("triplet", {"margin": 0.2, "power": 2}, 0.8996269637),
    ("triplet_semihard", {"margin": 1.0}, 0.6801261873),
    ("triplet_semihard", {"margin": 0.2}, 0.2131667207),
    ("triplet_hard", {"margin": 0.2}, 0.7075340256),
]

GOLDEN_PROXIES = [
    ("proxy_nca", {"scale": 1.0}, -1.2697361383),
    ("proxy_nca", {"scale": 9.0}, -11.4276252447),
    ("arcface", {"margin": 28.6, "scale": 64.0}, 14.5828137586),
]


@pytest.mark.parametrize(("name", "values", "expected"), GOLDEN)
def test_worked_out_values(name: str, values: dict[str, float], expected: float) -> None:
    assert built(name, classes=2, dimensions=2, **values)(*fix6()).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("name", "values", "expected"), GOLDEN_PROXIES)
def test_worked_out_values_with_proxies(name: str, values: dict[str, float], expected: float) -> None:
    objective = built(name, classes=2, dimensions=2, **values)
    with torch.no_grad():
        next(objective.parameters()).copy_(at_angles(FIX6_PROXY_ANGLES))
    assert objective(*fix6()).item() == pytest.approx(expected, abs=1e-9)


def test_published_values_are_those_of_the_tables() -> None:
    """Methods whose published setting is a row above give that value when nothing is said."""
    for name, expected in {
        "ms": 0.8246172008,
        "contrastive_seed": 1.9487406994,
        "triplet": 0.5708433865,
    }.items():
        assert built(name)(*fix6()).item() == pytest.approx(expected, abs=1e-9)


def test_distance_weights_of_the_first_point() -> None:
    x, _ = fix6()
    found = log_weights(torch.cdist(x, x)[0, 3:], dimensions=128).tolist()
    assert found == pytest.approx([55.6223535693, 1.4869718439, 32.7196155277], abs=1e-9)


def test_distance_weights_by_distance() -> None:
    d = torch.tensor([0.1, 0.5, 0.7, 0.9, 1.1, 1.3, 1.4], dtype=torch.float64)
    expected = [91.3702, 91.3702, 53.1084, 27.4175, 10.5067, 1.2575, -0.3115]
    assert log_weights(d, dimensions=128).tolist() == pytest.approx(expected, abs=5e-5)
