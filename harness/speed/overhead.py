"""What a campaign takes beside training and evaluating: its cells are made up, and all else is as it always is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from harness.campaign.campaign import Campaign, Places
from harness.campaign.events import Watchers
from harness.campaign.jobs import Done, Job, TrainJob, Workplace, perform
from harness.campaign.plan import plan
from harness.campaign.prepare import prepare, settle_trunk
from harness.campaign.store import CellStore
from harness.cell import TrainingResult
from harness.data import load_dataset
from harness.data.contents import content_digest
from harness.discovery import load_method, load_protocol
from harness.speed.rounds import peak_memory


class MadeUp:
    """An executor whose searches train nothing: each setting scores what its key says. The few trainings that are
    measured on test images are real, and their seconds are kept apart."""

    slots = 1

    def __init__(self, place: Workplace) -> None:
        self.place, self.store = place, CellStore(place.cells)
        self.real = 0.0
        self.cells = 0

    def submit(self, job: Job) -> Future[Done]:
        future: Future[Done] = Future()
        if isinstance(job, TrainJob) and job.measurement is None:
            future.set_result({job.key: self._made_up(job)})
        else:
            begun = time.perf_counter()
            done = perform(job, self.place)
            self.real += time.perf_counter() - begun
            self.cells += len(done)
            future.set_result(done)
        return future

    def _made_up(self, job: TrainJob) -> TrainingResult:
        score = int(job.training.key[:8], 16) / 2**32
        seconds = {"training": 0.0, "evaluation": 0.0, "total": 0.0}
        result = TrainingResult(
            status="ok",
            curve=((0, 0.0), (1, score)),
            best_epoch=1,
            score=score,
            validation={"map_at_r": score},
            steps=1,
            ended="cap",
            seconds=seconds,
            device="cpu",
        )
        self.store.put(job.training, result)
        self.cells += 1
        return result

    def stop(self) -> None: ...


def overhead(methods: Sequence[str], trials: int, folder: Path, cache: Path) -> dict[str, float]:
    """A campaign on the embedded characters under `smoke`, with so many trials a method.

    Returns the cells, milliseconds a cell of everything that is not training or evaluating, the seconds that each part
    takes, and the most memory that it holds above what was held before (MiB). The parts: the run, finding all of its
    cells again, and finding all of its records.
    """
    dataset = load_dataset("glyphs", None, False)
    trunk = settle_trunk(replace(load_protocol("smoke"), trials=trials), None, None, None)
    bench, test = prepare(dataset, trunk, cache, "cpu", 1, (), lambda what, done, of: None)
    campaign = Campaign(
        dataset=dataset,
        content=content_digest(dataset, cache),
        trunk=trunk,
        methods=[load_method(name) for name in methods],
        places=Places(folder),
        device="cpu",
        threads=1,
        workers=1,
        command="",
    )
    executor = MadeUp(Workplace(bench, campaign.places.cells))
    entries = campaign.entries()
    parts: dict[str, Callable[[], object]] = {
        "run": lambda: campaign.run(entries, test, executor, Watchers([])),
        # What the same command does when it was cut off before the end, and after it.
        "plan": lambda: plan(campaign, entries),
        "found": lambda: [campaign.recorded(entry) for entry in entries],
    }
    found = {"cells": 0.0}
    for name, work in parts.items():
        begun = time.perf_counter()
        with peak_memory() as peak:
            work()
        found |= {f"{name}_seconds": time.perf_counter() - begun, f"{name}_mib": peak[0] / 2**20}
    own = found["run_seconds"] - executor.real
    return found | {"cells": executor.cells, "milliseconds_a_cell": 1000 * own / executor.cells}
