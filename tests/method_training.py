"""How far a method comes in one small training: a few classes of characters, a few steps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from harness.campaign.prepare import prepare, settle_trunk
from harness.cell import Training
from harness.discovery import load_method, load_protocol
from harness.engine.training import run_training
from tests.small import few_glyphs


def untrained_and_trained(name: str, cache: Path, lr: float = 3e-3, **values: float) -> tuple[float, float]:
    """Validation MAP@R before the first step and at the end of 60 steps in three epochs.

    values: other than the published ones.
    """
    protocol = dataclasses.replace(
        load_protocol("smoke"),
        embedding_size=32,
        batch_size=32,
        epoch_steps=20,
        epochs=3,
        lr=lr,
        lr_range=None,
    )
    bench, _ = prepare(
        few_glyphs(), settle_trunk(protocol, None, None, None), cache, "cpu", 1, (), lambda *_: None
    )
    method = load_method(name)
    own = {} if method.own is None else {"own_lr": method.own.published_lr}
    cell = Training(
        "smoke", "", "few", "", "", (1,), "", name, "", {**method.published, **own, **values}, fold=0, seed=1
    )
    result, _ = run_training(cell, method, bench)
    assert result.status == "ok", result.error
    return result.curve[0][1], result.curve[-1][1]
