"""From sealed test curves to an entry's audit, once its record is complete and nothing is left to choose."""

from __future__ import annotations

import json
from pathlib import Path

from harness.audit import Audit, TestCurve
from harness.campaign.entry import sealed_curve_file
from harness.campaign.events import Entry
from harness.campaign.outcome import Outcome
from harness.errors import DamagedError


def unsealed(entry: Entry, outcome: Outcome, sealed: Path) -> Audit:
    """The audit of a finished entry. Raises DamagedError where a curve's file cannot be read."""
    curves = []
    for repetition in outcome.repetitions:
        if repetition.kind != "tuned":
            continue
        for training, result in repetition.trainings:
            curve = _read(sealed_curve_file(sealed, training.key))
            curves.append(
                TestCurve(seed=training.seed, fold=training.fold, chosen_epoch=result.best_epoch, curve=curve)
            )
    return Audit(
        protocol=entry.protocol.slug,
        dataset=entry.dataset_slug,
        method=entry.method.slug,
        key=entry.key,
        curves=curves,
    )


def _read(file: Path) -> list[tuple[int, dict[str, float]]]:
    try:
        return [(int(epoch), dict(metrics)) for epoch, metrics in json.loads(file.read_bytes())]
    except (OSError, ValueError, TypeError) as error:
        file.unlink(missing_ok=True)
        raise DamagedError(
            f"{file}: cannot be read ({error}); it is forgotten, and the same command makes it again"
        ) from None
