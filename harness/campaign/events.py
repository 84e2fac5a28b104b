"""What a campaign tells those who watch it: the terminal, the diary (MLflow), a test. Facts, after they happened.

Every event can be made again from the cell store alone, so a watcher that missed some can be told them later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from typing import Protocol as Interface

from harness.cell import Measurement, MeasurementResult, Training, TrainingResult
from harness.method import Method
from harness.protocol import Protocol
from harness.record import Record


@dataclass(frozen=True)
class Entry:
    """One method on one dataset under one protocol: the facts that its work, its runs and its record are made of.

    key: sha256 of all that the entry's numbers depend on; one entry, one key, anywhere.
    split, content: sha256 of who is in which role, and of the images' bytes.
    protocol: as it holds on this dataset; `protocol_digest` is that of the whole protocol.
    development, test: (classes, images); recall_at: the dataset's K.
    """

    key: str
    method: Method
    protocol: Protocol
    protocol_digest: str
    dataset: str
    dataset_slug: str
    dataset_title: str
    split: str
    content: str
    recall_at: tuple[int, ...]
    development: tuple[int, int]
    test: tuple[int, int]
    command: str = ""

    @property
    def name(self) -> str:
        return f"{self.method.name} on {self.dataset_slug} under {self.protocol.slug}"

    @property
    def slugs(self) -> tuple[str, str, str]:
        """(protocol, dataset, method), as the record's path says them."""
        return self.protocol.slug, self.dataset_slug, self.method.slug


@dataclass(frozen=True)
class EntryStarted:
    entry: Entry


@dataclass(frozen=True)
class CellDone:
    """A cell ended, or was found in the store (`fresh` is False)."""

    entry: Entry
    cell: Training | Measurement
    result: TrainingResult | MeasurementResult
    fresh: bool


@dataclass(frozen=True)
class TrialDone:
    """All folds of one setting are scored. `score` is None when the trial failed."""

    entry: Entry
    search: int
    number: int
    values: Mapping[str, Any]
    status: Literal["ok", "nan", "failed"]
    score: float | None
    trainings: tuple[tuple[Training, TrainingResult], ...]


@dataclass(frozen=True)
class RepetitionDone:
    """All folds of one seed are trained and measured on the test classes.

    kind: `tuned` (the search's choice) or `published` (the authors' values).
    measurements: one a fold; joined: the score of the folds' joined embedding.
    """

    entry: Entry
    kind: str
    search: int | None
    seed: int
    values: Mapping[str, Any]
    trainings: tuple[tuple[Training, TrainingResult], ...]
    measurements: tuple[tuple[Measurement, MeasurementResult], ...]
    joined: tuple[Measurement, MeasurementResult] | None


@dataclass(frozen=True)
class EntryDone:
    """The entry's record is written (complete, incomplete or failed)."""

    entry: Entry
    record: Record
    arrays: Mapping[str, Any]


@dataclass(frozen=True)
class EntryDrawn:
    """The entry's page on the site is drawn. `page` is that page, whole in one HTML file."""

    entry: Entry
    page: str


Event = EntryStarted | CellDone | TrialDone | RepetitionDone | EntryDone | EntryDrawn


class Watcher(Interface):
    """Receives every event in order. It must not raise and must not take long: a watcher never fails a cell."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None:
        """Called once, when the campaign ends in whatever way."""
        ...


class Watchers:
    """Several watchers as one. A watcher that raises is told nothing more: watching never fails a cell."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self._watchers = list(watchers)
        self.faults: list[str] = []

    def __call__(self, event: Event) -> None:
        for watcher in list(self._watchers):
            try:
                watcher(event)
            except Exception as error:  # whatever a watcher's library raises is not the campaign's business
                self._watchers.remove(watcher)
                self.faults.append(f"{type(watcher).__name__} stopped: {type(error).__name__}: {error}")

    def close(self) -> None:
        for watcher in self._watchers:
            watcher.close()
