"""How many trainings at once are best is found by trying."""

from __future__ import annotations

import json
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from harness.campaign import crowding
from harness.campaign.crowding import best_workers
from harness.campaign.jobs import Done, Job, Workplace
from harness.cli.main import main
from harness.discovery import load_protocol
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig


class Shared:
    """A machine on which a training takes so many seconds where so many run at once; too many find no memory."""

    seconds: ClassVar = {1: 0.02, 2: 0.022, 4: 0.024, 8: 0.06, 16: 0.06}
    room = 16
    tried: ClassVar[list[int]] = []

    def __init__(self, place: Workplace, workers: int) -> None:
        self.slots, self.pool = workers, ThreadPoolExecutor(workers)
        self.tried.append(workers)
        assert place.bench.protocol.epochs == 1, "short trainings will do"

    def submit(self, job: Job) -> Future[Done]:
        return self.pool.submit(self.work)

    def work(self) -> Done:
        if self.slots > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        time.sleep(self.seconds[self.slots])
        return {}

    def stop(self) -> None:
        self.pool.shutdown()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return make_rig(few_glyphs(), load_protocol("smoke"), ["ms"], tmp_path / "results", tmp_path / "cache")


@pytest.mark.parametrize(
    ("most", "room", "free", "best", "tried"),
    [
        (16, 16, [1000], 4, [1, 2, 4, 8]),
        (3, 16, [1000], 2, [1, 2]),
        (16, 2, [1000], 2, [1, 2, 4]),
        # 1 takes 100 of 1000; 2 take 500 of it, and twice as many would not find that.
        (16, 16, [1000, 900, 500], 2, [1, 2]),
    ],
    ids=["no gain", "no more allowed", "no memory", "no room"],
)
def test_more_at_once_as_long_as_more_gets_done(
    rig: Rig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
    room: int,
    free: list[int],
    best: int,
    tried: list[int],
) -> None:
    monkeypatch.setattr(Shared, "room", room)
    monkeypatch.setattr(Shared, "tried", [])
    told = iter(free * 20)
    monkeypatch.setattr(crowding, "_free", lambda device: next(told))
    (entry,) = rig.campaign.entries()
    assert best_workers(rig.campaign, entry, rig.bench, tmp_path, most, Shared) == best
    assert Shared.tried == tried


def test_real_workers_are_tried_out(rig: Rig, tmp_path: Path) -> None:
    (entry,) = rig.campaign.entries()
    assert best_workers(rig.campaign, entry, rig.bench, tmp_path / "tried", 2) in (1, 2)
    assert list((tmp_path / "tried").rglob("*.json")), "trainings were real"
    assert not rig.campaign.places.cells.exists(), "and nobody's results"


def test_a_run_may_try_it_out_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.cli.commands.run.best_workers", lambda *_: 1)
    words = [
        "--methods", "ms", "--protocol", "smoke", "--set", "trials=1", "--set", "repetitions=1",
        "--workers", "auto", "--tracker", "none",
        "--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache"),
    ]  # fmt: skip
    assert main(words) == 0
    assert "trainings at once that do most here: 1" in capsys.readouterr().err
    (record,) = (tmp_path / "results" / "records").rglob("ms.json")
    assert json.loads(record.read_text())["environment"]["workers"] == 1


def test_trying_out_is_for_worker_processes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workers", "auto", "--executor", "ray"]) == 2
    assert "--workers auto" in capsys.readouterr().err
