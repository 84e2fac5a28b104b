"""The sealed test curve: what the test classes would have said at every validation of a final training.

Only the optimism audit reads it, to show what choosing the epoch on the test classes would have claimed. It is written
to a file of its own, never to the cell's result, so nothing that chooses can see it.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from harness.engine.bench import Bench, TestRoles
from harness.engine.embedder import Embedder
from harness.engine.measuring import embed_test, score_test
from harness.files import replace_file


class SealedCurve:
    """Measures an embedder on the test classes whenever it is called, and keeps (epoch, metrics).

    It draws its random numbers apart from the training's, so a training that is looked at gives the same digits.
    """

    def __init__(self, bench: Bench, test: TestRoles) -> None:
        self.bench, self.test = bench, test
        self.curve: list[tuple[int, dict[str, float]]] = []

    def __call__(self, epoch: int, value: float, embedder: Embedder) -> None:
        device = torch.device(self.bench.device)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            queries, gallery = embed_test(embedder, self.bench, self.test)
        scores = score_test(queries, gallery, self.test)
        if scores is not None:  # where it is None, the final measurement, if it comes to that, says so
            self.curve.append((epoch, scores.metrics))

    def write(self, file: Path) -> None:
        """Write the curve, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps(self.curve).encode())
