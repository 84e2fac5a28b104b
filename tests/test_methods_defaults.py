"""What a method is built with when nothing is said: the published values, and starts of what it learns."""

from __future__ import annotations

import inspect

import pytest
import torch

from harness import Task
from harness.discovery import load_method, method_names


@pytest.mark.parametrize("name", method_names())
def test_a_default_is_the_published_value(name: str) -> None:
    method = load_method(name)
    if method.build is None:
        assert not method.published
        return
    parameters = inspect.signature(method.build).parameters
    for value, published in method.published.items():
        if value in parameters:  # a composition hands the others on
            assert parameters[value].default == published, value


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("proxy_nca", 1 / 8),
        ("proxy_anchor", 1.0),
    ],
)
def test_proxies_start_at_the_length_that_is_stated(name: str, deviation: float) -> None:
    """Only directions count in the loss, but the length sets how far one step turns a proxy."""
    build = load_method(name).build
    assert build is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        (proxies,) = build(Task(classes=400, embedding_size=64)).parameters()
    assert proxies.shape == (400, 64)
    assert proxies.std().item() == pytest.approx(deviation, rel=0.03)


def test_margin_starts_with_one_boundary_a_class() -> None:
    build = load_method("margin").build
    assert build is not None
    (beta,) = build(Task(classes=7, embedding_size=4)).parameters()
    assert beta.tolist() == pytest.approx([1.2] * 7)
