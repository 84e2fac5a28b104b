"""Where searches are kept: each in a journal of its own on disk, or all in one database (`harness.campaign.database`).

A study is found by its name: the entry's key and the number of the search. Either place gives back what was asked to
the last digit, so a campaign's numbers do not depend on where its studies are.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

optuna.logging.set_verbosity(optuna.logging.WARNING)

Space = Mapping[str, BaseDistribution]


class Studies(Protocol):
    """A place for studies."""

    def open(self, name: str, space: Space) -> optuna.Study:
        """The study of that name without a last trial that a crash left half asked; a new one where there is none."""
        ...

    def copied(self, beginning: str, folder: Path) -> Studies:
        """The studies whose names begin so, to be looked at: what is written to the copy changes nothing here."""
        ...


class Journals:
    """A journal a study, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, name: str, space: Space) -> optuna.Study:
        """The study in the journal. One that cannot be read is put aside: its content can be asked again."""
        journal = self.folder / f"{name}.journal"
        self.folder.mkdir(parents=True, exist_ok=True)
        # Whoever opens a journal holds its entry's lock, so a lock of Optuna's own is a killed process's: it would be
        # waited for.
        journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
        old: list[FrozenTrial] = []
        if journal.exists():
            _end_at_a_line(journal)
            try:
                study = study_of(_journal(journal), name)
                old = study.get_trials(deepcopy=False)
            except Exception:  # whatever the parser of a damaged journal raises
                journal.replace(journal.with_suffix(".damaged"))
            else:
                whole = whole_trials(old, space)
                if len(whole) == len(old):
                    return study
                old = whole
                journal.unlink()
        return filled(study_of(_journal(journal), name), old)

    def copied(self, beginning: str, folder: Path) -> Journals:
        for journal in self.folder.glob(f"{beginning}*.journal"):
            shutil.copy(journal, folder)
        return Journals(folder)


def _journal(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))


def study_of(storage: BaseStorage, name: str) -> optuna.Study:
    """The study of that name in a storage, made where there is none."""
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)


def filled(study: optuna.Study, trials: Sequence[FrozenTrial]) -> optuna.Study:
    """The study itself, with these trials added to it."""
    for trial in trials:
        study.add_trial(trial)
    return study


def whole_trials(trials: Sequence[FrozenTrial], space: Space) -> list[FrozenTrial]:
    """The trials before the first that a crash left half asked."""
    return list(
        itertools.takewhile(
            lambda t: t.state is not TrialState.WAITING and set(t.params) == set(space), trials
        )
    )


def _end_at_a_line(journal: Path) -> None:
    """Cut off a last line that a crash left unfinished: Optuna would write the next one onto its end."""
    content = journal.read_bytes()
    if not content.endswith(b"\n"):
        os.truncate(journal, content.rfind(b"\n") + 1)
