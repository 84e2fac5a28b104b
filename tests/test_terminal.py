"""What the terminal shows of a campaign: plain lines where there is no terminal, bars where there is one."""

from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from harness.campaign.events import Event, TrialDone
from harness.cli.terminal import Terminal
from harness.protocol_rules import SELECTIONS
from tests.made_events import made_events


def chosen_by(metric: str) -> list[Event]:
    """The events of an entry whose protocol chooses by that metric."""
    events = made_events("ms")
    protocol = dataclasses.replace(events[0].entry.protocol, selection=metric)
    return [dataclasses.replace(e, entry=dataclasses.replace(e.entry, protocol=protocol)) for e in events]


def shown(events: list[Event], is_terminal: bool) -> str:
    text = io.StringIO()
    with Terminal([events[0].entry], Console(file=text, force_terminal=is_terminal, width=160)) as terminal:
        for event in events:
            terminal(event)
    return text.getvalue()


@pytest.mark.parametrize("metric", SELECTIONS)
@pytest.mark.parametrize("is_terminal", [True, False], ids=["bars", "lines"])
def test_scores_stand_under_the_metric_that_chooses(metric: str, is_terminal: bool) -> None:
    events = chosen_by(metric)
    text = shown(events, is_terminal)
    best = max(event.score or 0.0 for event in events if isinstance(event, TrialDone))
    assert f"best {SELECTIONS[metric]} {100 * best:.2f}" in text
    assert not [title for title in SELECTIONS.values() if title != SELECTIONS[metric] and title in text]


def test_a_line_a_trial_says_what_it_scored_and_how_far_the_work_is() -> None:
    events = made_events("ms")
    lines = shown(events, False).splitlines()
    trials = [event for event in events if isinstance(event, TrialDone)]
    said = [line for line in lines if "trial" in line]
    assert len(said) == len(trials)
    for trial, line in zip(trials, said, strict=True):
        assert f"trial {trial.number}: validation MAP@R {100 * (trial.score or 0):.2f}, best MAP@R" in line
        assert line.endswith(" cells")
    assert lines[-1] == "ms: complete"


def test_a_trial_that_failed_says_so() -> None:
    failed = [
        dataclasses.replace(event, status="failed", score=None) if isinstance(event, TrialDone) else event
        for event in made_events("ms")
    ]
    said = [line for line in shown(failed, False).splitlines() if "trial" in line]
    assert all(": validation failed; " in line for line in said)
