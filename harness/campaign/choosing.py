"""The choice at the end of a search: its best trial, or the best of its finalists once they have had more seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.campaign.events import TrialDone
from harness.cell import Training, TrainingResult


@dataclass(frozen=True)
class Finalist:
    """One of the best trials of a search, trained again with other seeds before the choice.

    trainings: those with the other seeds, seed by seed, all folds of each.
    """

    trial: TrialDone
    trainings: tuple[tuple[Training, TrainingResult], ...]

    @property
    def scores(self) -> list[float]:
        """The mean over folds for each other seed; empty when a training failed."""
        if any(result.status == "failed" for _, result in self.trainings):
            return []
        by_seed: dict[int, list[float]] = {}
        for training, result in self.trainings:
            by_seed.setdefault(training.seed, []).append(result.score)
        return [fmean(scores) for scores in by_seed.values()]

    @property
    def score(self) -> float | None:
        """The mean over all seeds, that of the search included; None when a training failed."""
        others = self.scores
        return fmean([self.trial.score, *others]) if others and self.trial.score is not None else None


def ranked(trials: Sequence[TrialDone]) -> list[TrialDone]:
    """The trials that have a score, best mean validation score first; the earliest of equals first."""
    scored = [(-trial.score, trial.number, trial) for trial in trials if trial.score is not None]
    return [trial for *_, trial in sorted(scored, key=lambda s: s[:2])]


def choose(trials: Sequence[TrialDone], finalists: Sequence[Finalist]) -> int | None:
    """Number of the trial that is chosen; None where nothing has a score."""
    if not finalists:
        return next((trial.number for trial in ranked(trials)), None)
    scored = [(f.score, -f.trial.number) for f in finalists if f.score is not None]
    return -max(scored)[1] if scored else None
