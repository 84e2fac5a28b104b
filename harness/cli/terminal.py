"""What a person sees while a campaign runs: a live table on a terminal, plain lines anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harness.campaign.events import CellDone, Entry, EntryDone, EntryStarted, Event, TrialDone
from harness.campaign.reports import Report
from harness.cell import Measurement
from harness.cli.standing import Standing, Standings
from harness.protocol_rules import SELECTIONS
from harness.publish.words import duration

QUIET, NORMAL, VERBOSE = range(3)
#: Trainings under way that are shown one by one, and rows of the table, on a terminal of any height.
RUNNING, ROWS = 4, 12
#: Columns from which on there is room for bars.
WIDE = 100


class Terminal:
    """A watcher that writes to standard error: a row an entry where there is a terminal, else a line a trial.

    volume: QUIET leaves what failed; VERBOSE adds a line for each cell, and each validation where there is no terminal.
    """

    def __init__(
        self, entries: Sequence[Entry], console: Console | None = None, volume: int = NORMAL
    ) -> None:
        self.console = console or Console(stderr=True)
        self.volume = volume
        self.standings = Standings(entries)
        self._epochs = {entry.method.name: entry.protocol.epochs for entry in entries}
        self._preparing: dict[str, tuple[int, int]] = {}
        live = self.console.is_terminal and not self.console.is_dumb_terminal and volume > QUIET
        self._live = Live(self, console=self.console, refresh_per_second=4) if live else None

    @property
    def plain(self) -> bool:
        return self._live is None

    def __enter__(self) -> Terminal:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self.standings.running.clear()
            self._live.stop()

    @property
    def trained(self) -> int:
        """Cells that were done now, rather than found."""
        return self.standings.trained

    def preparing(self, what: str, done: int, total: int) -> None:
        """A step before the first training: `done` of `total` images."""
        if what not in self._preparing and self.plain:
            self._whisper(f"{what}: {total} images")
        self._preparing[what] = done, total

    def say(self, text: str) -> None:
        """A line that is shown at any volume."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        pass

    def reported(self, report: Report) -> None:
        """A training under way was validated. Called from any thread."""
        self.standings.reported(report)
        if self.plain and self.volume == VERBOSE:
            self.say(self._report_words(report))

    def lost(self, key: str, why: str) -> None:
        """A training was lost with its worker."""
        self.standings.running.pop(key, None)
        self.say(f"a cell was lost with its worker and is done again ({why})")

    def __call__(self, event: Event) -> None:
        self.standings.happened(event)
        if isinstance(event, EntryStarted) and self.plain:
            self._whisper(f"{event.entry.name}: at most {self.standings.of(event.entry).total} cells")
        elif isinstance(event, CellDone) and self.volume == VERBOSE:
            self.say(cell_words(event))
        elif isinstance(event, TrialDone) and self.plain:
            self._whisper(self._trial_words(event))
        elif isinstance(event, EntryDone):
            self._end(event)

    def _whisper(self, text: str) -> None:
        """A line that is left out where quiet is asked for."""
        if self.volume > QUIET:
            self.say(text)

    # -- lines --------------------------------------------------------------------------------------------------------

    def _trial_words(self, event: TrialDone) -> str:
        standing = self.standings.of(event.entry)
        metric = SELECTIONS[event.entry.protocol.selection]
        score = "failed" if event.score is None else f"{metric} {100 * event.score:.2f}"
        parts = [f"validation {score}", standing.best_words]
        known = ", ".join(part for part in parts if part)
        left = self.standings.all_seconds_left()
        done = f"{standing.done}/{standing.total} cells" + (f", {duration(left)} left in all" if left else "")
        return f"{event.entry.method.name}: search {event.search + 1} trial {event.number}: {known}; {done}"

    def _report_words(self, report: Report) -> str:
        metric = next(iter(self.standings.all())).entry.protocol.selection
        epochs = self._epochs.get(report.method, 0)
        return (
            f"{report.method} fold {report.fold} seed {report.seed}: epoch {report.epoch} of at most {epochs}, "
            f"{SELECTIONS[metric]} {100 * report.score:.2f}"
        )

    def _end(self, event: EntryDone) -> None:
        record = event.record
        why = f": {record.why}" if record.why else ""
        line = f"{event.entry.method.name}: {record.status}{why}"
        if why:
            self.say(line)
        elif self.plain:
            self._whisper(line)

    # -- the live table -----------------------------------------------------------------------------------------------

    def __rich__(self) -> RenderableType:
        """Drawn a few times a second, so that the clock goes on while a long training says nothing."""
        steps = [
            Text(f"{what}: {done} of {total} images", no_wrap=True, overflow="ellipsis")
            for what, (done, total) in list(self._preparing.items())
            if done < total
        ]
        if steps:
            return Group(*steps)
        running = list(self.standings.running.values())
        lines = [f"  {self._report_words(report)}" for report in running[-RUNNING:]]
        if len(running) > RUNNING:
            lines.append(f"  and {len(running) - RUNNING} more trainings")
        return Group(self._table(), *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))

    def _table(self) -> Table:
        shown, hidden = chosen_rows(self.standings.all())
        wide = self.console.width >= WIDE
        table = Table(box=None, pad_edge=False, expand=wide)
        metric = SELECTIONS[shown[0].entry.protocol.selection] if shown else ""
        table.add_column("method", no_wrap=True, overflow="ellipsis", max_width=None if wide else 18)
        table.add_column("stage", no_wrap=True)
        for name in ("trial", f"best {metric}", "cells", "left", "failed"):
            table.add_column(name, justify="right", no_wrap=True)
        if wide:
            table.add_column(ratio=1)
        for standing in shown:
            bar = [ProgressBar(standing.done + standing.left, standing.done)] if wide else []
            table.add_row(*self._cells(standing), *bar)
        table.add_row(f"all, {hidden} more" if hidden else "all", "", "", "", *self._sums(), style="dim")
        return table

    def _cells(self, standing: Standing) -> tuple[str, ...]:
        left = self.standings.seconds_left(standing)
        return (
            standing.entry.method.name,
            standing.stage,
            f"{standing.tried}/{standing.trials}" if standing.trials else "",
            "" if standing.best is None else f"{100 * standing.best:.2f}",
            f"{standing.done}/{standing.done if standing.ended else standing.total}",
            "" if standing.ended or left is None else duration(left),
            str(standing.failures or ""),
        )

    def _sums(self) -> tuple[str, ...]:
        """Cells, time left and failures of all entries."""
        found = self.standings.all()
        left = self.standings.all_seconds_left()
        done, total = sum(s.done for s in found), sum(s.done + s.left for s in found)
        failures = sum(s.failures for s in found)
        return f"{done}/{total}", duration(left) if left else "", str(failures or "")


def chosen_rows(standings: Sequence[Standing]) -> tuple[list[Standing], int]:
    """The entries that a table of ROWS rows shows, in their order, and how many it does not: those under way first,
    then those that wait, then those that have ended."""
    order = sorted(standings, key=lambda s: (s.ended, s.done == 0))
    chosen = {id(standing) for standing in order[:ROWS]}
    return [s for s in standings if id(s) in chosen], max(0, len(standings) - ROWS)


def cell_words(event: CellDone) -> str:
    """One line on a cell that is done."""
    cell, result, name = event.cell, event.result, event.entry.method.name
    if isinstance(cell, Measurement):
        joined = f", {len(cell.trainings)} joined" if len(cell.trainings) > 1 else ""
        what = f"measured on the test classes{joined}"
    else:
        what = f"fold {cell.fold} seed {cell.seed} trained"
    how = "found" if not event.fresh else f"{result.seconds.get('total', 0.0):.1f} s"
    return f"{name}: {what}: {result.status}, {how}" + (f" ({result.error})" if result.error else "")
