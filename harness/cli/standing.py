"""How far the entries of a campaign are, from what happens: what the live table shows and plain lines say."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.campaign.events import CellDone, Entry, EntryDone, Event, TrialDone
from harness.campaign.plan import size_of
from harness.campaign.reports import Report
from harness.campaign.tuning import trials_of
from harness.cell import Training
from harness.protocol_rules import SELECTIONS

WAITING, SEARCH, FINALISTS, REPETITIONS = "waiting", "search", "finalists", "repetitions"


@dataclass
class Standing:
    """One entry. total: the most cells that it can need; equal cells are one, so it may need fewer.

    tried, trials: of all its searches. best: the best validation score of a trial so far, a fraction.
    failures: its cells that failed or diverged. fresh, seconds: its cells that were done now, and what they took.
    """

    entry: Entry
    total: int
    trials: int
    stage: str = WAITING
    tried: int = 0
    best: float | None = None
    failures: int = 0
    fresh: int = 0
    seconds: float = 0.0
    cells: set[str] = field(default_factory=set)
    ended: bool = False

    @property
    def done(self) -> int:
        return len(self.cells)

    @property
    def left(self) -> int:
        return 0 if self.ended else max(0, self.total - self.done)

    @property
    def best_words(self) -> str:
        """`best MAP@R 47.21`, in percent and by the metric that chooses; "" before the first trial."""
        metric = SELECTIONS[self.entry.protocol.selection]
        return "" if self.best is None else f"best {metric} {100 * self.best:.2f}"


class Standings:
    """All entries, in their order. running: the latest report of each training that is under way, by its key."""

    def __init__(self, entries: Sequence[Entry], clock: Callable[[], float] = time.monotonic) -> None:
        self._of = {entry.key: standing_of(entry) for entry in entries}
        self._clock = clock
        self._began: float | None = None
        self.running: dict[str, Report] = {}

    def all(self) -> list[Standing]:
        return list(self._of.values())

    def of(self, entry: Entry) -> Standing:
        return self._of[entry.key]

    def reported(self, report: Report) -> None:
        """A training under way was validated."""
        self._begin()
        self.running[report.key] = report

    def happened(self, event: Event) -> None:
        """Take an event in."""
        self._begin()
        if isinstance(event, CellDone):
            self._cell(event)
        elif isinstance(event, TrialDone):
            self._trial(event)
        elif isinstance(event, EntryDone):
            standing = self.of(event.entry)
            standing.stage, standing.ended = event.record.status, True

    def seconds_left(self, standing: Standing) -> float | None:
        """Of an entry's part of the work that is left, at the pace so far; None before the first cell is done.

        The parts of all entries add up to the time that is left.
        """
        fresh, seconds = self._fresh()
        if not fresh or self._began is None:
            return None
        # Workers share the work, so an entry whose cells are twice as long takes twice its share of the pace.
        pace = (self._clock() - self._began) / fresh
        own = standing.seconds / standing.fresh if standing.fresh else 0.0
        weight = own / (seconds / fresh) if own and seconds else 1.0
        return standing.left * pace * weight

    def all_seconds_left(self) -> float | None:
        parts = [self.seconds_left(standing) for standing in self.all()]
        return sum(part for part in parts if part is not None) if self._fresh()[0] else None

    @property
    def trained(self) -> int:
        """Cells that were done now, rather than found."""
        return self._fresh()[0]

    def _begin(self) -> None:
        if self._began is None:
            self._began = self._clock()

    def _fresh(self) -> tuple[int, float]:
        """Cells that were done now, and their seconds."""
        found = self.all()
        return sum(s.fresh for s in found), sum(s.seconds for s in found)

    def _cell(self, event: CellDone) -> None:
        standing, key = self.of(event.entry), event.cell.key
        self.running.pop(key, None)
        if key in standing.cells:
            return
        standing.cells.add(key)
        standing.failures += event.result.status in ("failed", "nan")
        standing.stage = stage_of(event)
        if event.fresh:
            standing.fresh += 1
            standing.seconds += event.result.seconds.get("total", 0.0)

    def _trial(self, event: TrialDone) -> None:
        standing = self.of(event.entry)
        standing.stage = SEARCH
        standing.tried += 1
        if event.score is not None:
            standing.best = max(standing.best or 0.0, event.score)


def standing_of(entry: Entry) -> Standing:
    """An entry before its first cell."""
    trials = 0
    if entry.method.build is not None:
        trials = trials_of(entry.method, entry.protocol, entry.dataset)
        trials *= entry.protocol.searches if trials > 1 else 1
    return Standing(entry, sum(size_of(entry)), trials)


def stage_of(event: CellDone) -> str:
    """The stage that asks for a cell: a search trains with seed 0, its finalists again with seeds below."""
    if not isinstance(event.cell, Training) or event.cell.seed > 0:
        return REPETITIONS
    return SEARCH if event.cell.seed == 0 else FINALISTS
