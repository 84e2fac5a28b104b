"""What an entry will cost: its cells, those that are done, and the time that the rest should take."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.campaign.campaign import Campaign
from harness.campaign.entry import EntryWork
from harness.campaign.events import CellDone, Entry, Event
from harness.campaign.outcome import Outcome
from harness.campaign.store import CellStore
from harness.campaign.tuning import trials_of
from harness.engine.bench import Role, TestRoles


@dataclass(frozen=True)
class Plan:
    """One entry's cells. `seconds` is the mean wall time of its finished cells, None before the first."""

    entry: Entry
    trainings: int
    measurements: int
    done: int
    seconds: float | None

    @property
    def cells(self) -> int:
        return self.trainings + self.measurements

    @property
    def left(self) -> int:
        return max(0, self.cells - self.done)


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
    found: dict[str, float] = {}

    def watch(event: Event) -> None:
        if isinstance(event, CellDone):
            found[event.cell.key] = event.result.seconds.get("total", 0.0)

    replay(campaign, entry, folder, watch)
    trainings, measurements = size_of(entry)
    seconds = sum(found.values()) / len(found) if found else None
    return Plan(entry, trainings, measurements, len(found), seconds)


def replay(campaign: Campaign, entry: Entry, folder: Path, watch: Callable[[Event], None]) -> Outcome | None:
    """Tell `watch` every event of an entry that its finished cells hold, and stop where the first one is missing.

    Returns what came of the entry if all of its cells are there.
    folder: for a copy of the studies' journals, since a study that is only looked at must not be written to.
    """
    for journal in campaign.places.studies.glob(f"{entry.key[:24]}-*.journal"):
        shutil.copy(journal, folder)
    nowhere = Role(folder, campaign.dataset.test.labels, campaign.dataset.test.class_names)
    work = EntryWork(
        entry, CellStore(campaign.places.cells), folder, campaign.trunk.sha256, campaign.threads, watch
    ).run(TestRoles(nowhere, None, entry.recall_at), Outcome())
    try:
        next(work)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    return None
