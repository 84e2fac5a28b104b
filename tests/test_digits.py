"""Stored digits of one cell a kind of protocol: they change when the engine's arithmetic does.

When a test here fails because arithmetic was meant to change: raise `harness.NUMERICS`, say so in the changelog, and
store the new digits. Otherwise something changed that nobody meant to.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from harness.campaign.prepare import prepare, settle_trunk
from harness.cell import Training
from harness.discovery import load_method, load_protocol
from harness.engine.training import run_training
from harness.protocol import Protocol
from tests.small import few_glyphs

LENGTH = {"epoch_steps": 5, "epochs": 2, "evaluate_every": 1, "per_dataset": {}, "folds": 2}


def scratch() -> Protocol:
    return dataclasses.replace(load_protocol("smoke"), **LENGTH)


def study() -> Protocol:
    """The Reality Check's sampler, optimiser and views, on a network that needs no weights."""
    return dataclasses.replace(
        load_protocol("reality_check"),
        backbone="convnet",
        weights=None,
        resize=32,
        size=28,
        lr=1e-3,
        **LENGTH,
    )


def features() -> Protocol:
    frozen = load_protocol("frozen").with_backbone("convnet", None)
    return dataclasses.replace(
        frozen, embedding_size=16, lr=1e-2, lr_range=None, resize=32, size=32, **LENGTH
    )


# (kind, method) -> validation MAP@R before training and after each epoch, and the mean loss of each epoch.
STORED: dict[tuple[str, str], tuple[list[float], list[float]]] = {
    ("scratch", "ms"): ([0.194405, 0.285049, 0.356751], [0.808784, 0.837406]),
    ("scratch", "margin"): ([0.194405, 0.232474, 0.306358], [0.70554, 0.456249]),
    ("study", "triplet"): ([0.273429, 0.380669, 0.454699], [0.052399, 0.053041]),
    ("study", "proxy_nca_rc"): ([0.273429, 0.347826, 0.256252], [3.897507, 3.082677]),
    ("features", "xbm"): ([0.280141, 0.312599, 0.307876], [62.782568, 31.734073]),
    ("features", "arcface"): ([0.280141, 0.290861, 0.297639], [52.764728, 43.603146]),
}


@pytest.mark.parametrize(("kind", "method"), STORED)
def test_the_digits_are_the_stored_ones(kind: str, method: str, tmp_path: Path) -> None:
    curve, losses = digits(kind, method, tmp_path)
    expected_curve, expected_losses = STORED[kind, method]
    # Processors round differently, and each step of a training magnifies that: what comes first is held tightest.
    assert losses[0] == pytest.approx(expected_losses[0], rel=1e-3)
    assert losses[1:] == pytest.approx(expected_losses[1:], rel=2e-2)
    # One neighbour that changes places moves the score by more than rounding does.
    assert curve[0] == pytest.approx(expected_curve[0], abs=1e-3)
    assert curve[1:] == pytest.approx(expected_curve[1:], abs=2e-2)


def digits(kind: str, name: str, cache: Path) -> tuple[list[float], list[float]]:
    protocol = {"scratch": scratch, "study": study, "features": features}[kind]()
    dataset, method = few_glyphs(), load_method(name)
    trunk = settle_trunk(protocol, None, None, None)
    bench, _ = prepare(dataset, trunk, cache, "cpu", 1, (), lambda *_: None)
    own = {} if method.own is None else {"own_lr": method.own.published_lr}
    cell = Training(
        "digits", "", "few", "", "", (1,), "", name, "", {**method.published, **own}, fold=1, seed=3
    )  # fmt: skip
    result, _ = run_training(cell, method, bench)
    assert result.status == "ok", result.error
    return [value for _, value in result.curve], [value for _, value in result.losses]
