"""The whole path in one process: what a campaign does, in which order, and what it must not touch."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.audit import audit_place, read_audit
from harness.campaign.calibrate import calibrate
from harness.campaign.campaign import Campaign, Places
from harness.campaign.events import CellDone, EntryDone, Event, RepetitionDone, TrialDone, Watchers
from harness.campaign.executors import LocalExecutor
from harness.campaign.jobs import Workplace
from harness.campaign.plan import Cost, plan, size_of, usual_cost
from harness.campaign.prepare import Trunk, prepare, settle_trunk
from harness.cell import Training
from harness.dataset import Dataset
from harness.discovery import load_method, load_protocol
from harness.engine.bench import Bench, TestRoles
from harness.method import Method
from harness.protocol import Protocol
from harness.record import Record, read_arrays, read_record
from tests.small import few_glyphs


@dataclasses.dataclass
class Rig:
    """A small campaign on glyphs, and what it told its watcher."""

    campaign: Campaign
    bench: Bench
    test: TestRoles
    events: list[Event]

    def run(self) -> list[Record]:
        self.events.clear()
        executor = LocalExecutor(Workplace(self.bench, self.campaign.places.cells))
        return self.campaign.run(self.campaign.entries(), self.test, executor, self)

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def close(self) -> None: ...

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def fresh(self) -> int:
        return sum(event.fresh for event in self.of(CellDone))


@pytest.fixture(scope="session")
def glyphs() -> Dataset:
    return few_glyphs()


@pytest.fixture
def rig(glyphs: Dataset, tmp_path: Path) -> Callable[..., Rig]:
    def make(*methods: str | Method, results: str = "results", **changes: Any) -> Rig:
        values = {"epoch_steps": 4, "epochs": 2, **changes}
        protocol = dataclasses.replace(load_protocol("smoke"), **values)
        return make_rig(glyphs, protocol, methods, tmp_path / results, tmp_path / "cache")

    return make


def make_rig(dataset: Dataset, protocol: Protocol, methods: Any, results: Path, cache: Path) -> Rig:
    trunk: Trunk = settle_trunk(protocol, None, None, None)
    chosen = [load_method(m) if isinstance(m, str) else m for m in methods]
    campaign = Campaign(dataset, "c0" * 32, trunk, chosen, Places(results), "cpu", 1, 1, "run METHOD")
    bench, test = prepare(dataset, trunk, cache, "cpu", 1, (), lambda *_: None)
    return Rig(campaign, bench, test, [])


def test_an_entry_goes_through_all_of_its_stages(rig: Callable[..., Rig]) -> None:
    work = rig("ms")
    (record,) = work.run()
    p = work.bench.protocol
    assert record.status == "complete"
    trials = work.of(TrialDone)
    assert [(t.search, t.number) for t in trials] == [(0, 0), (0, 1)]
    published = dict(load_method("ms").published)
    assert {k: trials[0].values[k] for k in published} == published
    assert all(
        len(t.trainings) == p.folds and t.score == np.mean([r.score for _, r in t.trainings]) for t in trials
    )
    best = max(trials, key=lambda t: t.score).number
    assert record.searches[0].chosen == best
    repetitions = work.of(RepetitionDone)
    assert [(r.kind, r.seed) for r in repetitions] == [("tuned", 1), ("tuned", 2), ("published", 1)]
    assert repetitions[0].values == trials[best].values
    assert len(record.runs) == p.repetitions * (p.folds + 1)
    assert sum(run.fold is None for run in record.runs) == p.repetitions
    assert {run.seed for run in record.published_runs} == {1}
    assert isinstance(work.events[-1], EntryDone)


def test_the_record_holds_the_class_sums_of_every_run(rig: Callable[..., Rig]) -> None:
    work = rig("nca")
    (record,) = work.run()
    path = work.campaign.places.results / "records" / record.protocol / record.dataset / "nca.json"
    assert read_record(path) == record
    arrays = read_arrays(path)
    names = arrays["metric_names"].tolist()
    assert arrays["class_sums"].shape == (len(record.runs), len(names), record.test.classes)
    assert arrays["class_counts"].sum() == record.test.images
    for run, sums in zip(record.runs, arrays["class_sums"], strict=True):
        for name, row in zip(names, sums, strict=True):
            assert row.sum() / run.queries == pytest.approx(run.metrics[name], abs=1e-5)


def test_doing_it_again_trains_nothing_and_changes_nothing(rig: Callable[..., Rig]) -> None:
    work = rig("ms", "untrained")
    first = work.run()
    assert work.fresh > 0
    again = work.run()
    assert work.fresh == 0
    assert [numbers(r) for r in again] == [numbers(r) for r in first]
    assert work.campaign.recorded(work.campaign.entries()[0]) == again[0]


def numbers(record: Record) -> dict[str, Any]:
    """A record without what may differ between two makings of it: times and machine."""
    text = json.loads(record.model_dump_json(by_alias=True))
    for run in [*text["runs"], *text["published_runs"]]:
        run.pop("seconds")
    for search in text["searches"]:
        for trial in search["trials"]:
            trial.pop("seconds")
    return {k: v for k, v in text.items() if k not in ("seconds", "environment", "command")}


def test_an_entry_alone_gives_the_same_digits_as_beside_others(rig: Callable[..., Rig]) -> None:
    alone = rig("nca", results="alone").run()
    beside = rig("untrained_head", "nca", "ms", results="beside").run()
    assert numbers(alone[0]) == numbers(beside[1])


def test_wherever_it_is_cut_it_goes_on_to_the_same_record(rig: Callable[..., Rig], glyphs: Dataset) -> None:
    whole = [numbers(r) for r in rig("ms", results="whole").run()]
    for jobs in (1, 3, 6, 8):
        work = rig("ms", results=f"cut-{jobs}")
        executor = Dying(Workplace(work.bench, work.campaign.places.cells), jobs)
        with pytest.raises(KeyboardInterrupt):
            work.campaign.run(work.campaign.entries(), work.test, executor, work)
        assert [numbers(r) for r in work.run()] == whole


class Dying(LocalExecutor):
    """Is interrupted after so many jobs."""

    def __init__(self, place: Workplace, jobs: int) -> None:
        super().__init__(place)
        self.left = jobs

    def submit(self, job: Any) -> Any:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().submit(job)


def test_tuning_jobs_have_no_way_to_a_test_image(rig: Callable[..., Rig]) -> None:
    work = rig("ms")
    seen: list[Any] = []

    class Watching(LocalExecutor):
        def submit(self, job: Any) -> Any:
            seen.append(job)
            return super().submit(job)

    work.campaign.run(
        work.campaign.entries(), work.test, Watching(Workplace(work.bench, work.campaign.places.cells)), work
    )
    tuning = [job for job in seen if getattr(job, "training", None) is not None and job.training.seed == 0]
    assert len(tuning) == 4
    assert all(job.test is None and job.measurement is None for job in tuning)
    files = {work.bench.development.file}
    assert work.test.queries.file not in files, "roles lie in files of their own"
    development, test = work.bench.development.class_names, work.test.queries.class_names
    assert not set(development) & set(test)


def test_searches_are_independent_and_share_trial_0(rig: Callable[..., Rig]) -> None:
    work = rig("ms", searches=2, trials=3, repetitions=4)
    (record,) = work.run()
    first, second = record.searches
    assert first.trials[0] == second.trials[0]
    assert first.trials[1].values != second.trials[1].values
    assert [run.search for run in record.runs if run.fold is None] == [0, 1, 0, 1]
    trainings, _ = size_of(work.campaign.entries()[0])
    made = {e.cell.key for e in work.of(CellDone) if hasattr(e.cell, "fold")}
    assert len(made) <= trainings


def test_the_plan_counts_what_is_done(rig: Callable[..., Rig]) -> None:
    work = rig("ms", "untrained")
    entries = work.campaign.entries()
    before = plan(work.campaign, entries)
    assert [(p.done, p.left) for p in before] == [(0, 19), (0, 10)]
    assert not work.campaign.places.work.exists() or not list(work.campaign.places.work.rglob("*.json"))
    work.run()
    after = plan(work.campaign, entries)
    assert [p.done for p in after] == [
        len({e.cell.key for e in work.of(CellDone) if e.entry == n}) for n in entries
    ]
    assert all(p.seconds_left(p.cost) == 0 for p in after)
    assert all(p.cost.training and p.cost.measurement and p.cost.size for p in after)


def test_costs_are_filled_in_from_what_is_known_of_others() -> None:
    first, second = Cost(2.0, None, None), Cost(4.0, 1.0, None)
    assert first.or_else(second) == Cost(2.0, 1.0, None)
    assert usual_cost([first, second]) == Cost(3.0, 1.0, None)
    assert usual_cost([]) == Cost()


def test_a_calibration_prices_what_a_run_then_takes(rig: Callable[..., Rig], tmp_path: Path) -> None:
    work = rig("ms", "untrained")
    entries = work.campaign.entries()
    costs = calibrate(work.campaign, entries, work.bench, LocalExecutor, tmp_path / "calibration")
    before = plan(work.campaign, entries)
    work.run()
    for entry, earlier, later in zip(entries, before, plan(work.campaign, entries), strict=True):
        told, true = costs[entry.key], later.cost
        assert told.training and told.measurement and told.size and true.training and true.measurement
        # Cells of milliseconds on a shared machine: the order of magnitude, and what is no matter of time.
        assert 0.2 < told.training / true.training < 5
        assert 0.5 < told.size / true.size < 2
        assert earlier.seconds_left(told) == pytest.approx(
            earlier.trainings * told.training + earlier.measurements * told.measurement
        )
    assert not list((tmp_path / "calibration").rglob("*.lock"))


def test_a_watcher_that_raises_fails_no_cell(rig: Callable[..., Rig]) -> None:
    class Broken:
        def __call__(self, event: Event) -> None:
            raise OSError("no server")

        def close(self) -> None: ...

    work = rig("nca")
    watchers = Watchers([Broken(), work])
    executor = LocalExecutor(Workplace(work.bench, work.campaign.places.cells))
    (record,) = work.campaign.run(work.campaign.entries(), work.test, executor, watchers)
    assert record.status == "complete"
    assert watchers.faults == ["Broken stopped: OSError: no server"]


# -- methods that misbehave -----------------------------------------------------------------------------------------


class Objective(nn.Module):
    """An objective that is right until `turn` decides otherwise."""

    def __init__(self, turn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.turn = turn

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return self.turn(embeddings)


def method_of(turn: Callable[[Tensor], Tensor], monkeypatch: pytest.MonkeyPatch) -> Method:
    method = dataclasses.replace(
        load_method("nca"),
        name="strange",
        source="00" * 32,
        build=lambda task: Objective(turn),
        space={},
        published={},
    )
    monkeypatch.setattr("harness.campaign.jobs.load_method", lambda name, plugins: method)
    return method


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        (lambda e: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda e: e.mean(1), "a tensor of shape (16,)"),
        (lambda e: e.sum().detach(), "does not require grad"),
    ],
)
def test_a_method_that_raises_fails_its_entry_alone(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch, turn: Any, why: str
) -> None:
    work = rig(method_of(turn, monkeypatch))
    (record,) = work.run()
    assert record.status == "failed" and why in record.why
    assert [t.status for t in record.searches[0].trials] == ["failed", "failed"]
    assert not record.runs


def test_a_loss_that_turns_nan_scores_its_best_epoch_and_is_counted(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Iterator[int] = iter(range(10_000))

    def turn(embeddings: Tensor) -> Tensor:
        # Fine in the first of two epochs of four steps, then not a number.
        return embeddings.square().sum() * (1.0 if next(calls) % 8 < 4 else torch.nan)

    work = rig(method_of(turn, monkeypatch))
    (record,) = work.run()
    trial = record.searches[0].trials[0]
    assert trial.status == "nan" and trial.score is not None and len(record.searches[0].trials) == 2
    assert record.status == "failed" and "not finite" in record.why, (
        "a final training that is not finite is no result"
    )


def test_time_that_is_up_leaves_a_valid_incomplete_record(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = rig("ms")
    executor = LocalExecutor(Workplace(work.bench, work.campaign.places.cells))
    entries = work.campaign.entries()
    (record,) = work.campaign.run(entries, work.test, executor, work, until=0.0)
    assert record.status == "incomplete" and "--max-hours" in record.why and not record.runs
    assert work.fresh == 0

    class Slow(LocalExecutor):
        """Time is up once a trial is done."""

        def submit(self, job: Any) -> Any:
            clock[0] += 1.0
            return super().submit(job)

    clock = [0.0]
    monkeypatch.setattr("harness.campaign.run.time.monotonic", lambda: clock[0])
    slow = Slow(Workplace(work.bench, work.campaign.places.cells))
    (record,) = work.campaign.run(entries, work.test, slow, work, until=2.0)
    assert record.status == "incomplete" and len(record.searches[0].trials) == 1, "finished trials are kept"
    assert record.searches[0].chosen is None and not record.runs
    monkeypatch.undo()
    (whole,) = work.run()
    assert whole.status == "complete"
    # A complete record is not replaced by less.
    shutil.rmtree(work.campaign.places.work)
    (kept,) = work.campaign.run(entries, work.test, executor, work, until=0.0)
    assert kept == whole


def test_an_audit_keeps_sealed_test_curves_and_changes_no_number(rig: Callable[..., Rig]) -> None:
    plain, work = rig("ms", "untrained"), rig("ms", "untrained", results="audited")
    work.campaign = dataclasses.replace(work.campaign, audit=True)
    assert [numbers(r) for r in work.run()] == [numbers(r) for r in plain.run()]
    places, entry = work.campaign.places, work.campaign.entries()[0]
    audit = read_audit(audit_place(places.results, entry.protocol.slug, entry.dataset_slug, "ms"))
    record = work.campaign.recorded(entry)
    assert record is not None and audit.key == entry.key
    runs = {(run.seed, run.fold): run for run in record.runs if run.fold is not None}
    assert {(c.seed, c.fold) for c in audit.curves} == set(runs)
    for curve in audit.curves:
        assert [epoch for epoch, _ in curve.curve] == [0, 1, 2]
        assert dict(curve.curve)[curve.chosen_epoch] == pytest.approx(runs[curve.seed, curve.fold].metrics)
    # Nothing is trained for the floor, so there is nothing to audit.
    assert len(list(places.results.glob("audits/*/*/*.json"))) == 1
    sealed = list(places.sealed.glob("*/*.json"))
    assert len(sealed) == len(audit.curves)
    # A run without an audit was complete before: asking for one trains the final stage again, and only that.
    plain.campaign = dataclasses.replace(plain.campaign, audit=True)
    assert plain.campaign.recorded(entry) is None
    plain.run()
    fresh = [e.cell for e in plain.of(CellDone) if e.fresh and isinstance(e.cell, Training)]
    assert {cell.seed for cell in fresh} == {1, 2} and {cell.method for cell in fresh} == {"ms"}


def test_what_chooses_never_sees_a_sealed_curve(rig: Callable[..., Rig]) -> None:
    """Sealed curves that claim nonsense, there before the search begins, move no choice and no number."""
    plain, work = rig("ms"), rig("ms", results="poisoned")
    (honest,) = plain.run()
    work.campaign = dataclasses.replace(work.campaign, audit=True)
    work.run()
    for file in work.campaign.places.sealed.glob("*/*.json"):
        file.write_text(json.dumps([[epoch, {"map_at_r": 1.0 - epoch / 10}] for epoch in range(3)]))
    for folder in ("cells", "studies"):
        shutil.rmtree(work.campaign.places.work / folder)
    (record,) = work.run()
    assert numbers(record) == numbers(honest)
