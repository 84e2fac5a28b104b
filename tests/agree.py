"""Agreement: the project's trainings against a loop written with pytorch-metric-learning alone (tests/pml_loop.py).

Not collected by default: `make agree` runs it (about five minutes on two cores) and prints scores and ratios of time.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import wait
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from torchvision.models import mobilenet_v2

from harness.campaign.executors import ProcessExecutor
from harness.campaign.jobs import TrainJob, Workplace
from harness.cell import Measurement
from harness.discovery import load_protocol
from harness.engine.bench import TestRoles
from harness.protocol import Protocol
from harness.record import read_records
from tests.agreement import joint_interval
from tests.pml_loop import METHODS, benches, cell, loop, ours, tensors

ROOT = Path(__file__).parents[1]
SEEDS = range(1, int(os.environ.get("SEEDS", "5")) + 1)
#: Trainings of the comparison with two workers.
MANY = 12


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def protocol() -> Protocol:
    return load_protocol("omniglot_small").on("omniglot")


def timed(run: Callable[[], float]) -> tuple[float, float]:
    begun = time.perf_counter()
    value = run()
    return value, time.perf_counter() - begun


@pytest.mark.parametrize("name", METHODS)
def test_scores_agree_and_a_training_takes_no_longer(
    name: str, data_root: Path, protocol: Protocol, tmp_path: Path
) -> None:
    data, (bench, test) = tensors(data_root, protocol), benches(data_root, protocol, tmp_path)
    # To and fro, so that a busy machine is busy for both.
    pairs = [
        (
            timed(partial(ours, name, bench, test, seed)),
            timed(partial(loop, name, data, protocol, seed)),
        )
        for seed in SEEDS
    ]
    mine, theirs = [a for (a, _), _ in pairs], [b for _, (b, _) in pairs]
    ratios = [theirs_seconds / seconds for (_, seconds), (_, theirs_seconds) in pairs]
    low, high = joint_interval(mine, theirs, tests=len(METHODS))
    print(
        f"\n{name}: MAP@R {100 * statistics.mean(mine):.2f} here, {100 * statistics.mean(theirs):.2f} in the loop; "
        f"difference within [{100 * low:+.2f}, {100 * high:+.2f}] points; the loop takes "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times as long",
        end="",
    )
    assert low <= 0 <= high


def job(seed: int, test: TestRoles) -> TrainJob:
    training = cell("ms", seed)
    return TrainJob(training, Measurement((training.key,)), test)


def test_two_workers_beside_the_loop(data_root: Path, protocol: Protocol, tmp_path: Path) -> None:
    data, (bench, test) = tensors(data_root, protocol), benches(data_root, protocol, tmp_path)
    _, alone = timed(lambda: sum(loop("ms", data, protocol, seed) for seed in range(MANY)))
    executor = ProcessExecutor(Workplace(bench, tmp_path / "cells"), 2)
    try:
        # Workers begin with seconds of imports, which a campaign has once.
        wait([executor.submit(job(seed, test)) for seed in (1001, 1002)])
        begun = time.perf_counter()
        waiting = [executor.submit(job(seed, test)) for seed in range(MANY)]
        assert all(result.status == "ok" for future in waiting for result in future.result().values())
        together = time.perf_counter() - begun
    finally:
        executor.stop()
    print(f"\n{MANY} trainings: the loop takes {alone / together:.2f} times as long as two workers", end="")


def test_frozen_features_recall_what_a_direct_computation_recalls(data_root: Path) -> None:
    """Recall@1 of the trunk's own features on the test birds, without a line of this project."""
    folder = data_root / "cub127" / "CUB_200_2011"
    names, labels = (
        [line.split()[1] for line in (folder / file).read_text().splitlines()]
        for file in ("images.txt", "image_class_labels.txt")
    )
    birds = [
        (folder / "images" / name, int(label))
        for name, label in zip(names, labels, strict=True)
        if int(label) > 100 and (folder / "images" / name).exists()
    ]
    network = mobilenet_v2()
    weights = torch.load(data_root / "weights" / "mobilenet_v2.pth", weights_only=True)
    network.load_state_dict(weights)
    network.eval()
    found = []
    with torch.no_grad():
        for file, _ in birds:
            picture = Image.open(file).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
            pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(224, 224, 3)
            maps = network.features((pixels.permute(2, 0, 1)[None].float() / 255 - 0.5) / 0.5)
            found.append(maps.mean((2, 3)))
    nearest = NearestNeighbors(n_neighbors=2, metric="cosine").fit(torch.cat(found)).kneighbors()[1][:, 0]
    ours = torch.tensor([label for _, label in birds])
    direct = float((ours[nearest] == ours).float().mean())
    records = [record for _, record in read_records(ROOT / "results") if record.method == "untrained"]
    (record,) = [r for r in records if r.dataset_name == "cub" and r.protocol.startswith("frozen@")]
    recorded = record.runs[0].metrics["recall_at_1"]
    print(f"\nRecall@1 of frozen features: {100 * recorded:.2f} recorded, {100 * direct:.2f} direct", end="")
    assert len(birds) == record.test.images
    assert recorded == pytest.approx(direct, abs=0.005)
