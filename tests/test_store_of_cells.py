"""The cell store: what is there is whole, and what is damaged is done again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.campaign.store import CellStore
from harness.cell import Measurement, MeasurementResult, Training, TrainingResult


def training(**changes: object) -> Training:
    cell = Training(
        "quick", "ab" * 32, "glyphs", "cd" * 32, "12" * 32, (1, 2), "", "ms", "ef" * 32,
        {"alpha": 2.0, "lr": 1e-3}, 0, 1,
    )  # fmt: skip
    return dataclasses.replace(cell, **changes)  # type: ignore[arg-type]


RESULT = TrainingResult(
    status="ok", curve=((0, 0.1), (1, 0.25)), losses=((1, 0.5),), best_epoch=1, score=0.25,
    validation={"map_at_r": 0.25}, steps=50, ended="cap", seconds={"total": 1.5}, device="cpu",
)  # fmt: skip


def test_a_result_reads_back_as_it_was_written(tmp_path: Path) -> None:
    store, cell = CellStore(tmp_path), training()
    assert store.get(cell) is None
    store.put(cell, RESULT)
    assert store.get(cell) == RESULT
    assert list(store.keys()) == [cell.key]


def test_measurements_keep_their_arrays(tmp_path: Path) -> None:
    store, cell = CellStore(tmp_path), Measurement((training().key,))
    embeddings = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    result = MeasurementResult("ok", {"map_at_r": 0.5}, 5, 0, {"total": 0.1}, {"embeddings": embeddings})
    store.put(cell, result)
    found = store.get(cell)
    assert isinstance(found, MeasurementResult) and found.metrics == result.metrics and not found.arrays
    np.testing.assert_array_equal(store.arrays(cell.key)["embeddings"], embeddings)
    store.drop(cell.key)
    assert store.get(cell) is None and not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 400, b'{"kind": "Training", "cell": {', b"[]", b'{"kind": "Training"}']
)
def test_a_damaged_cell_is_no_cell(tmp_path: Path, damage: bytes) -> None:
    store, cell = CellStore(tmp_path), training()
    store.put(cell, RESULT)
    store.path(cell.key).write_bytes(damage)
    assert store.get(cell) is None
    store.put(cell, RESULT)
    assert store.get(cell) == RESULT


def test_a_lost_cell_is_never_stored(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lost"):
        CellStore(tmp_path).put(training(), TrainingResult(status="lost"))


@pytest.mark.parametrize(
    "change",
    [
        {"protocol_digest": "00" * 32}, {"split": "00" * 32}, {"weights": "00" * 32}, {"method": "nca"},
        {"source": "00" * 32}, {"values": {"alpha": 2.0, "lr": 2e-3}}, {"fold": 1}, {"seed": 2}, {"threads": 2},
    ],
)  # fmt: skip
def test_the_key_knows_what_can_change_a_number(change: dict[str, object]) -> None:
    assert training(**change).key != training().key


def test_the_key_knows_no_order_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    turned = training(values={"lr": 1e-3, "alpha": 2.0})
    key = training().key
    assert turned.key == key
    monkeypatch.setattr("harness.NUMERICS", 10_000)
    assert training().key != key, "cells of an older engine must not be taken for new ones"
