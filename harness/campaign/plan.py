"""What an entry will cost: its cells, those that are done, and the time that the rest should take."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.campaign.campaign import Campaign
from harness.campaign.cells import EntryCells
from harness.campaign.entry import EntryWork
from harness.campaign.environment import environment
from harness.campaign.events import CellDone, Entry, Event
from harness.campaign.outcome import Outcome
from harness.campaign.store import CellStore
from harness.campaign.tuning import trials_of
from harness.cell import Training
from harness.engine.bench import Role, TestRoles
from harness.errors import RequestError
from harness.record import place, read_record


@dataclass(frozen=True)
class Cost:
    """Mean wall seconds of a training and of a measurement, and bytes that a measurement keeps; None: not known."""

    training: float | None = None
    measurement: float | None = None
    size: float | None = None

    def or_else(self, other: Cost) -> Cost:
        """This, and what it does not know from another."""
        return Cost(
            *(
                b if a is None else a
                for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
            )
        )


UNKNOWN = Cost()


@dataclass(frozen=True)
class Plan:
    """One entry's cells, those that are done, and what the done ones took."""

    entry: Entry
    trainings: int
    measurements: int
    trainings_done: int
    measurements_done: int
    cost: Cost

    @property
    def done(self) -> int:
        return self.trainings_done + self.measurements_done

    @property
    def left(self) -> int:
        return self.trainings_left + self.measurements_left

    @property
    def trainings_left(self) -> int:
        return max(0, self.trainings - self.trainings_done)

    @property
    def measurements_left(self) -> int:
        return max(0, self.measurements - self.measurements_done)

    def seconds_left(self, cost: Cost) -> float | None:
        """Wall seconds of what is left, one after another; None where a part of the cost is not known."""
        parts = ((self.trainings_left, cost.training), (self.measurements_left, cost.measurement))
        if any(cells and seconds is None for cells, seconds in parts):
            return None
        return sum(cells * (seconds or 0.0) for cells, seconds in parts)


def size_of(entry: Entry) -> tuple[int, int]:
    """(trainings, measurements) of an entry as its protocol asks for them; equal cells may make it fewer."""
    protocol, method = entry.protocol, entry.method
    if method.build is None:
        search, published = 0, 0
    else:
        # Trial 0 is the same cells in every search.
        tried = trials_of(method, protocol, entry.dataset)
        trials = 1 + (tried - 1) * protocol.searches
        search, published = trials * protocol.folds, protocol.published_repetitions
        if tried > 1:
            finalists = min(protocol.finalists, tried) * protocol.searches
            search += finalists * protocol.finalist_seeds * protocol.folds
    repetitions = protocol.repetitions + published
    return search + repetitions * protocol.folds, repetitions * (protocol.folds + 1)


def plan(campaign: Campaign, entries: Sequence[Entry]) -> list[Plan]:
    """Replay every entry against the cell store and count. Trains nothing and leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder:
        return [_plan(campaign, entry, Path(folder)) for entry in entries]


def _plan(campaign: Campaign, entry: Entry, folder: Path) -> Plan:
    trained: dict[str, float] = {}
    measured: dict[str, float] = {}

    def watch(event: Event) -> None:
        if isinstance(event, CellDone):
            kind = trained if isinstance(event.cell, Training) else measured
            kind[event.cell.key] = event.result.seconds.get("total", 0.0)

    replay(campaign, entry, folder, watch)
    store = CellStore(campaign.places.cells)
    sizes = [f.stat().st_size for key in measured if (f := store.path(key).with_suffix(".npz")).exists()]
    cost = Cost(_mean(trained.values()), _mean(measured.values()), _mean(sizes))
    return Plan(entry, *size_of(entry), len(trained), len(measured), cost)


def recorded_cost(campaign: Campaign, entry: Entry) -> Cost:
    """What the entry's cells took when its record was made, if that was on a machine like this and its trainings had
    as many threads; a record knows no more than the mean over all of them."""
    try:
        record = read_record(place(campaign.places.results, *entry.slugs))
    except (OSError, RequestError):
        return UNKNOWN
    here = environment(campaign.device, campaign.threads, campaign.workers, campaign.deterministic)
    alike = ("processor", "device", "threads", "workers", "deterministic")
    # Records of before there was the choice say nothing of it.
    there = {"deterministic": False, **record.environment}
    if record.status != "complete" or any(there.get(name) != here[name] for name in alike):
        return UNKNOWN
    seconds = record.seconds["total"] / sum(size_of(entry))
    return Cost(seconds, seconds)


def usual_cost(costs: Sequence[Cost]) -> Cost:
    """The mean of what is known of several entries."""
    parts = zip(*map(dataclasses.astuple, costs), strict=True) if costs else ()
    return Cost(*(_mean([part for part in known if part is not None]) for known in parts))


def _mean(values: Collection[float]) -> float | None:
    return sum(values) / len(values) if values else None


def replay(campaign: Campaign, entry: Entry, folder: Path, watch: Callable[[Event], None]) -> Outcome | None:
    """Tell `watch` every event of an entry that its finished cells hold, and stop where the first one is missing.

    Returns what came of the entry if all of its cells are there.
    folder: for a copy of the studies, since one that is only looked at must not be written to.
    """
    studies = campaign.studies.copied(entry.key[:24], folder)
    nowhere = Role(folder, campaign.dataset.test.labels, campaign.dataset.test.class_names)
    cells = EntryCells(
        entry, CellStore(campaign.places.cells), campaign.trunk.sha256, campaign.threads, watch
    )
    work = EntryWork(cells, studies).run(TestRoles(nowhere, None, entry.recall_at), Outcome())
    try:
        next(work)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    return None
