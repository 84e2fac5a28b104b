"""What a campaign does when the machine, a file or a method's code is at fault: nobody innocent pays for it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.campaign.executors import ATTEMPTS, LocalExecutor
from harness.campaign.jobs import Done, Job, Workplace
from harness.campaign.outcome import Outcome
from harness.campaign.run import work_off
from harness.campaign.store import CellStore
from harness.cell import Training
from harness.dataset import Dataset
from harness.discovery import load_protocol
from harness.record import Record, place
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig, method_of, numbers


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return few_glyphs()


@pytest.fixture
def rig(glyphs: Dataset, tmp_path: Path) -> Callable[..., Rig]:
    def make(*methods: Any, **changes: Any) -> Rig:
        values = {"epoch_steps": 4, "epochs": 2, **changes}
        protocol = dataclasses.replace(load_protocol("smoke"), **values)
        return make_rig(glyphs, protocol, methods, tmp_path / "results", tmp_path / "cache")

    return make


def record_file(work: Rig) -> Path:
    entry = work.campaign.entries()[0]
    return place(work.campaign.places.results, entry.protocol.slug, entry.dataset_slug, entry.method.slug)


# -- methods -----------------------------------------------------------------------------------------------------------


def test_failed_cells_are_run_again_only_when_asked(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [True]

    def turn(embeddings: Tensor) -> Tensor:
        if broken[0]:
            raise ZeroDivisionError("a missing file, say")
        return embeddings.square().sum()

    work = rig(method_of(turn, monkeypatch))
    (record,) = work.run()
    assert record.status == "failed"
    broken[0] = False
    (record,) = work.run()
    assert record.status == "failed" and work.fresh == 0, "a failure is an answer"
    executor = LocalExecutor(Workplace(work.bench, work.campaign.places.cells))
    (record,) = work.campaign.run(work.campaign.entries(), work.test, executor, work, again=True)
    assert record.status == "complete"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR"),
        torch.OutOfMemoryError("CUDA out of memory"),
        OSError("input/output error"),
    ],
)
def test_a_fault_of_the_machine_is_not_the_methods(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    faults = [error]

    def turn(embeddings: Tensor) -> Tensor:
        if faults:
            raise faults.pop()
        return embeddings.square().sum()

    (record,) = rig(method_of(turn, monkeypatch)).run()
    assert record.status == "complete", record.why


def test_published_values_that_diverge_leave_the_tuned_row_whole(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned: list[int] = []

    def turn(embeddings: Tensor) -> Tensor:
        tuned.append(1)
        return embeddings.square().sum()

    # Under this protocol the published repetition has seed 1 and the tuned ones 1 and 2: without ranges they share the
    # cells of seed 1, so the published row is given seeds of its own.
    work = rig(method_of(turn, monkeypatch), repetitions=1, published_repetitions=2)
    whole = len([1 for _ in work.run()])
    assert whole == 1
    entry = work.campaign.entries()[0]
    store = CellStore(work.campaign.places.cells)
    second = [
        e.cell for e in work.events if isinstance(getattr(e, "cell", None), Training) and e.cell.seed == 2
    ]
    assert second
    for cell in second:
        result = store.get(cell)
        assert result is not None
        store.put(cell, dataclasses.replace(result, status="nan", error="a loss was not finite"))
    record_file(work).unlink()
    (record,) = work.run()
    assert record.status == "complete" and record.key == entry.key
    assert "published values, seed 2" in record.published_why
    assert {run.seed for run in record.published_runs} == {1} and {run.seed for run in record.runs} == {1}


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_damaged_record_is_made_again(rig: Callable[..., Rig]) -> None:
    work = rig("untrained")
    (first,) = work.run()
    entry, file = work.campaign.entries()[0], record_file(work)
    damages: list[Callable[[], object]] = [
        lambda: file.write_bytes(file.read_bytes()[:100]),
        lambda: file.with_suffix(".npz").unlink(),
        lambda: file.with_suffix(".npz").write_bytes(bytes(1000)),
    ]
    for damage in damages:
        assert work.campaign.recorded(entry) == first
        damage()
        assert work.campaign.recorded(entry) is None
        first = work.run()[0]
        assert work.fresh == 0


def test_damaged_embeddings_are_made_again(rig: Callable[..., Rig]) -> None:
    work = rig("untrained")
    (first,) = work.run()
    record_file(work).unlink()
    damaged = 0
    for file in sorted(work.campaign.places.cells.glob("*/*.npz")):
        content = bytearray(file.read_bytes())
        content[200:400] = bytes(200)  # the end of the file still says that it is whole
        file.write_bytes(content)
        damaged += 1
    assert damaged
    again: list[Record] = []
    for _ in range(damaged + 1):
        again = work.run()
        if again[0].status == "complete":
            break
        assert "the same command makes it again" in again[0].why
    assert numbers(again[0]) == numbers(first)


def test_less_never_replaces_a_complete_record(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code changed and what it makes now fails: the run says so, and the record of the old code stays."""
    fine = method_of(lambda e: e.square().sum(), monkeypatch)
    work = rig(fine)
    (whole,) = work.run()
    changed = dataclasses.replace(method_of(lambda e: 1 / 0, monkeypatch), source="11" * 32)  # type: ignore[arg-type,return-value]
    monkeypatch.setattr("harness.campaign.jobs.load_method", lambda name, plugins: changed)
    work = rig(changed)
    assert work.campaign.recorded(work.campaign.entries()[0]) is None
    (failed,) = work.run()
    assert failed.status == "failed"
    assert record_file(work).read_text() == whole.model_dump_json(by_alias=True, indent=1) + "\n"


def test_two_changes_of_a_protocol_keep_two_records() -> None:
    smoke = load_protocol("smoke")
    slugs = [smoke.slug, *(smoke.changed({"trials": n}).slug for n in (3, 5))]
    assert len(set(slugs)) == 3
    assert slugs[0] == "smoke" and all(slug.startswith("smoke-changed-") for slug in slugs[1:])
    assert smoke.changed({"trials": 3}).slug == slugs[1]


def test_the_key_of_an_entry_knows_the_pixels(rig: Callable[..., Rig]) -> None:
    work = rig("nca")
    other = dataclasses.replace(work.campaign, content="d1" * 32)
    (first,), (second,) = work.campaign.entries(), other.entries()
    assert first.key != second.key
    work.run()
    assert work.campaign.recorded(first) is not None and other.recorded(second) is None
    work.campaign = other
    work.run()
    assert work.fresh > 0, "cells of other pixels are other cells"


def test_an_arithmetic_that_changed_makes_new_entries(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = rig("nca")
    before = work.campaign.entries()[0].key
    monkeypatch.setattr("harness.NUMERICS", 10_000)
    assert work.campaign.entries()[0].key != before


# -- workers -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A stand-in for a job: work_off looks at its key alone."""

    key: str


class Crashing:
    """Two slots. `slow` is still in flight when `killer` breaks the pool for the first time; all else ends at once."""

    slots = 2

    def __init__(self) -> None:
        self.seen = False
        self.flying: list[Future[Done]] = []

    def submit(self, job: Job) -> Future[Done]:
        future: Future[Done] = Future()
        if job.key == "killer":
            for broken in [*self.flying, future]:
                broken.set_exception(BrokenProcessPool("a worker died"))
            self.flying = []
        elif job.key == "slow" and not self.seen:
            self.seen = True
            self.flying.append(future)
        else:
            future.set_result({job.key: None})  # type: ignore[dict-item]
        return future

    def stop(self) -> None: ...


def test_innocent_jobs_beside_one_that_kills_its_worker_are_done() -> None:
    lost: list[str] = []
    results: list[Any] = []

    def work() -> Any:
        results.append((yield [Task("slow"), Task("killer"), Task("b"), Task("c")]))
        return Outcome()

    assert work_off([(work(), lambda outcome: None)], Crashing(), None, lambda job, why: lost.append(job.key))
    assert set(results[0]) == {"slow", "b", "c"}
    assert lost.count("killer") == ATTEMPTS + 1, "the first time nobody knew who it was"
    assert lost.count("slow") == 1


def test_a_job_that_cannot_be_done_leaves_its_entry_and_not_the_campaign(glyphs: Dataset) -> None:
    class Strange(Crashing):
        slots = 1

        def submit(self, job: Job) -> Future[Done]:
            future: Future[Done] = Future()
            if job.key == "strange":
                future.set_exception(TypeError("cannot pickle"))
            else:
                future.set_result({job.key: None})  # type: ignore[dict-item]
            return future

    ended: list[str] = []

    def work(key: str) -> Any:
        results = yield [Task(key)]
        ended.append(f"{key} {len(results)}")
        return Outcome()

    entries = [(work("strange"), lambda outcome: None), (work("fine"), lambda outcome: None)]
    assert work_off(entries, Strange())
    assert sorted(ended) == ["fine 1", "strange 0"]


def test_a_folder_of_cells_from_elsewhere_is_no_harm(rig: Callable[..., Rig]) -> None:
    work = rig("untrained")
    work.run()
    store = CellStore(work.campaign.places.cells)
    first, second = list(store.keys())[:2]
    shutil.copy(store.path(first), store.path(second))
    record_file(work).unlink()
    (record,) = work.run()
    assert record.status == "complete"
