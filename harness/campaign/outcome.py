"""What an entry comes to: the stages fill an outcome in, and the record is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.campaign.choosing import Finalist
from harness.campaign.events import RepetitionDone, TrialDone


@dataclass(frozen=True)
class Repetition:
    """One seed of a final stage: which values, and from which search (None: the published ones)."""

    kind: str
    search: int | None
    seed: int
    values: Mapping[str, Any]


@dataclass
class Outcome:
    """What an entry has come to.

    why: in one line, what kept it from being complete; published_why: what kept the published values from it.
    """

    searches: list[list[TrialDone]] = field(default_factory=list)
    finalists: list[list[Finalist]] = field(default_factory=list)
    chosen: list[int | None] = field(default_factory=list)
    repetitions: list[RepetitionDone] = field(default_factory=list)
    status: Literal["complete", "incomplete", "failed"] = "complete"
    why: str = ""
    published_why: str = ""


class Unfinished(Exception):
    """A stage cannot go on: the method failed on a final training, or the machine lost a cell for good."""

    def __init__(self, status: Literal["incomplete", "failed"], why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why
