"""A method against itself, for real: two whole campaigns that share nothing but the method must come out as a tie.

Not collected by default: `make calibrate` runs it (about five minutes on two cores). Each campaign has searches and ten
repetitions of its own: every seed is made from names, and the second campaign has another.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from harness.campaign.campaign import Campaign, Places
from harness.campaign.events import Event
from harness.campaign.executors import ProcessExecutor
from harness.campaign.jobs import Workplace
from harness.campaign.prepare import prepare, settle_trunk
from harness.data import load_dataset
from harness.data.contents import content_digest
from harness.discovery import load_method, load_protocol
from harness.record import place, read_arrays, read_record
from harness.statistics import Outcomes, compare, outcomes_of

REPETITIONS = 10


def outcome_of(method: str, name: str, folder: Path) -> Outcomes:
    """The tuned entry of a method on glyphs under `quick`, all seeds drawn from another name."""
    protocol = dataclasses.replace(
        load_protocol("quick"), name=name, repetitions=REPETITIONS, published_repetitions=0
    )
    dataset, cache = load_dataset("glyphs", None, False), folder / "cache"
    trunk = settle_trunk(protocol, None, None, None)
    content = content_digest(dataset, cache)
    campaign = Campaign(
        dataset, content, trunk, [load_method(method)], Places(folder / name), "cpu", 1, 1, "run METHOD"
    )
    bench, test = prepare(dataset, trunk, cache, "cpu", 1, (), lambda *_: None)
    executor = ProcessExecutor(Workplace(bench, campaign.places.cells), os.cpu_count() or 1)
    try:
        (record,) = campaign.run(campaign.entries(), test, executor, _Nobody())
    finally:
        executor.stop()
    assert record.status == "complete", record.why
    path = place(folder / name, record.protocol, record.dataset, record.method)
    return dataclasses.replace(outcomes_of(read_record(path), read_arrays(path), "map_at_r"), name=name)


class _Nobody:
    """Watches nothing."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("method", ["nca", "ms"])
def test_a_method_is_tied_with_itself(method: str, tmp_path: Path) -> None:
    first, second = (outcome_of(method, name, tmp_path) for name in ("quick", "quick-again"))
    assert len(first.means) == len(second.means) == REPETITIONS
    assert set(first.means) != set(second.means), "the two campaigns share no seed"
    comparison = compare([first, second])
    difference, p = 100 * comparison.difference[0, 1], comparison.p[0, 1]
    print(f"\n{method} against itself: difference {difference:+.2f} points of MAP@R, p = {p:.2f}", end="")
    assert not comparison.different.any()
    assert comparison.letters == ["a", "a"] and comparison.best.all()
