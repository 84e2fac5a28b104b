"""The work of one entry, in the order of its stages: search on the development classes, then repeat and measure.

A generator: it yields the jobs that it needs next and is sent their results, so that any executor can do them and
many entries can share one. It reads and decides; it starts nothing itself.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.campaign.cells import EntryCells
from harness.campaign.choosing import Finalist, choose, ranked
from harness.campaign.events import Entry, Event, RepetitionDone, TrialDone
from harness.campaign.jobs import Done, Job, JoinJob, TrainJob
from harness.campaign.outcome import Outcome, Repetition, Unfinished
from harness.campaign.studies import Studies
from harness.campaign.tuning import Study, grid_of, published_values, search_space, trials_of
from harness.cell import Measurement, MeasurementResult, Training, TrainingResult
from harness.engine.bench import TestRoles

Jobs = list[Job]
Stage = Generator[Jobs, Done, None]


@dataclass(frozen=True)
class EntryWork:
    """What the stages of one entry share.

    sealed: folder for the sealed test curves of the tuned values' final trainings; None: no audit.
    """

    cells: EntryCells
    studies: Studies
    sealed: Path | None = None

    @property
    def entry(self) -> Entry:
        return self.cells.entry

    def watcher(self, event: Event) -> None:
        self.cells.watcher(event)

    def run(self, test: TestRoles, outcome: Outcome) -> Generator[Jobs, Done, Outcome]:
        """Every stage. Fills `outcome` in and returns it; an entry that fails says why there and raises nothing."""
        try:
            yield from self._search(outcome)
            # The one line on which test images are handed to work.
            yield from self._repeat(outcome, test)
        except Unfinished as end:
            outcome.status, outcome.why = end.status, end.why
        return outcome

    # -- the search ---------------------------------------------------------------------------------------------------

    def _search(self, outcome: Outcome) -> Stage:
        """Independent searches, side by side; a method without ranges has its published values alone."""
        protocol = self.entry.protocol
        space = search_space(self.entry.method, protocol, self.entry.dataset)
        if self.entry.method.build is None:
            return
        searches = protocol.searches if space else 1
        trials = trials_of(self.entry.method, protocol, self.entry.dataset)
        grid = grid_of(self.entry.method, protocol, self.entry.dataset)
        published = published_values(self.entry.method, protocol, self.entry.dataset)
        studies = [
            Study(
                self.studies,
                f"{self.entry.key[:24]}-{s}",
                (protocol.name, self.entry.dataset_slug, self.entry.method.name, s),
                space, published, protocol.search, grid,
            )
            for s in range(searches)
        ]  # fmt: skip
        outcome.searches = [[] for _ in studies]
        for number in range(trials):
            settings = [study.setting(number) for study in studies]
            cells = [
                [self.cells.training(values, fold, 0) for fold in range(protocol.folds)]
                for values in settings
            ]
            results = yield from self.cells.done([TrainJob(t) for trial in cells for t in trial])
            for s, study in enumerate(studies):
                done = self._trial(s, number, settings[s], [(t, _training(results[t.key])) for t in cells[s]])
                study.tell(number, done.score)
                outcome.searches[s].append(done)
        outcome.finalists = yield from self._finalists(outcome.searches)
        outcome.chosen = [choose(*ended) for ended in zip(outcome.searches, outcome.finalists, strict=True)]

    def _finalists(
        self, searches: Sequence[Sequence[TrialDone]]
    ) -> Generator[Jobs, Done, list[list[Finalist]]]:
        """The best trials of every search with more seeds (-1, -2, ...), where the protocol asks for it."""
        protocol = self.entry.protocol
        seeds = [
            (-seed, fold) for seed in range(1, protocol.finalist_seeds + 1) for fold in range(protocol.folds)
        ]
        best = [ranked(trials)[: protocol.finalists] if len(trials) > 1 else [] for trials in searches]
        cells = [
            [[self.cells.training(t.values, fold, seed) for seed, fold in seeds] for t in trials]
            for trials in best
        ]
        results = yield from self.cells.done(
            [TrainJob(t) for search in cells for again in search for t in again]
        )
        return [
            [
                Finalist(trial, tuple((t, _training(results[t.key])) for t in again))
                for trial, again in zip(trials, search, strict=True)
            ]
            for trials, search in zip(best, cells, strict=True)
        ]

    def _trial(
        self,
        search: int,
        number: int,
        values: Mapping[str, Any],
        trainings: list[tuple[Training, TrainingResult]],
    ) -> TrialDone:
        """A trial's score is the mean over folds of the best validation score. A fold that turned non-finite scores
        its best epoch until then (at worst the untrained one); a fold that raised fails the trial."""
        statuses = {result.status for _, result in trainings}
        status: Literal["ok", "nan", "failed"] = "nan" if "nan" in statuses else "ok"
        if "failed" in statuses:
            status = "failed"
        score = None if status == "failed" else sum(r.score for _, r in trainings) / len(trainings)
        done = TrialDone(self.entry, search, number, values, status, score, tuple(trainings))
        self.watcher(done)
        return done

    # -- the final stage ----------------------------------------------------------------------------------------------

    def _repeat(self, outcome: Outcome, test: TestRoles) -> Stage:
        plan = self._repetitions(outcome)
        yield from self.cells.done([job for repetition in plan for job in self._jobs(repetition, test)])
        joins = [join for repetition in plan if (join := self._join(repetition, test)) is not None]
        yield from self.cells.done(joins)
        unfinished: list[Unfinished] = []
        for repetition in plan:
            try:
                done = self._repetition(repetition, test)
            except Unfinished as end:
                if repetition.kind == "published" and end.status == "failed":
                    # The authors' values may well diverge here; that says nothing about the tuned ones.
                    outcome.published_why = outcome.published_why or end.why
                else:
                    unfinished.append(end)
                continue
            outcome.repetitions.append(done)
            self.watcher(done)
        if unfinished:
            raise unfinished[0]

    def _repetitions(self, outcome: Outcome) -> list[Repetition]:
        protocol, method = self.entry.protocol, self.entry.method
        if method.build is None:
            return [Repetition("tuned", None, seed, {}) for seed in range(1, protocol.repetitions + 1)]
        choices: list[tuple[int, Mapping[str, Any]]] = []
        for s, trials in enumerate(outcome.searches):
            chosen = outcome.chosen[s]
            if chosen is None:
                ended: list[TrialDone | Finalist] = [*trials, *outcome.finalists[s]]
                error = next((r.error for t in ended for _, r in t.trainings if r.error), "")
                raise Unfinished("failed", f"no trial of search {s + 1} gave a score: {error}")
            choices.append((s, trials[chosen].values))
        plan = []
        for seed in range(1, protocol.repetitions + 1):
            search, values = choices[(seed - 1) % len(choices)]
            plan.append(Repetition("tuned", search, seed, values))
        published = published_values(method, protocol, self.entry.dataset)
        return plan + [
            Repetition("published", None, seed, published)
            for seed in range(1, protocol.published_repetitions + 1)
        ]

    def _jobs(self, repetition: Repetition, test: TestRoles) -> list[TrainJob]:
        seal = self.sealed if repetition.kind == "tuned" and self.entry.method.build is not None else None
        return [
            TrainJob(t, Measurement((t.key,)), test, None if seal is None else sealed_curve_file(seal, t.key))
            for t in self._trainings(repetition)
        ]

    def _trainings(self, repetition: Repetition) -> list[Training]:
        folds = range(self.entry.protocol.folds)
        return [self.cells.training(repetition.values, fold, repetition.seed) for fold in folds]

    def _join(self, repetition: Repetition, test: TestRoles) -> JoinJob | None:
        """The joined measurement of a seed; None where a fold failed."""
        parts = tuple(Measurement((t.key,)) for t in self._trainings(repetition))
        if any(self._status(part) != "ok" for part in parts):
            return None
        joined = Measurement(tuple(key for part in parts for key in part.trainings))
        return JoinJob(joined, parts, test)

    def _status(self, cell: Measurement) -> str:
        result = self.cells.store.get(cell)
        return "missing" if result is None else result.status

    def _repetition(self, repetition: Repetition, test: TestRoles) -> RepetitionDone:
        trainings, measurements = [], []
        for training in self._trainings(repetition):
            trained, measured = (
                self.cells.store.get(training),
                self.cells.store.get(Measurement((training.key,))),
            )
            if trained is None or trained.status != "ok" or measured is None or measured.status != "ok":
                raise self._unfinished(repetition, training, trained, measured)
            trainings.append((training, _training(trained)))
            measurements.append((Measurement((training.key,)), _measurement(measured)))
        join = self._join(repetition, test)
        joined = self.cells.store.get(join.measurement) if join is not None else None
        if join is None or joined is None:
            raise Unfinished("incomplete", f"the joined measurement of seed {repetition.seed} is missing")
        return RepetitionDone(
            self.entry, repetition.kind, repetition.search, repetition.seed, repetition.values,
            tuple(trainings), tuple(measurements), (join.measurement, _measurement(joined)),
        )  # fmt: skip

    def _unfinished(self, repetition: Repetition, training: Training, *results: Any) -> Unfinished:
        where = f"{repetition.kind} values, seed {training.seed}, fold {training.fold}"
        ended = next((r for r in results if r is not None and r.status != "ok"), None)
        if ended is None:
            return Unfinished("incomplete", f"{where}: the cell was lost with its worker")
        return Unfinished("failed", f"{where}: {ended.error}")


def sealed_curve_file(folder: Path, key: str) -> Path:
    """Where the sealed test curve of a training lies."""
    return folder / key[:2] / f"{key}.json"


def _training(result: Any) -> TrainingResult:
    assert isinstance(result, TrainingResult)
    return result


def _measurement(result: Any) -> MeasurementResult:
    assert isinstance(result, MeasurementResult)
    return result
