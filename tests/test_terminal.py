"""What the terminal shows of a campaign: plain lines where there is no terminal, a live table where there is one."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from torch import nn

from harness.campaign.events import CellDone, EntryDone, Event, RepetitionDone, TrialDone
from harness.campaign.executors import ProcessExecutor
from harness.campaign.jobs import Workplace
from harness.campaign.reports import Report
from harness.cell import Training
from harness.cli.standing import FINALISTS, REPETITIONS, SEARCH, Standings, stage_of
from harness.cli.terminal import NORMAL, QUIET, ROWS, VERBOSE, Terminal
from harness.protocol_rules import SELECTIONS
from tests.made_events import made_events
from tests.test_ray import rig_of

ESCAPE = "\x1b"


def with_cells(events: list[Event]) -> list[Event]:
    """The events of a method that trains, with a CellDone for every training before what it is made of."""
    entry = events[0].entry
    entry = dataclasses.replace(entry, method=dataclasses.replace(entry.method, build=nn.Identity))
    told: list[Event] = []
    for event in (dataclasses.replace(event, entry=entry) for event in events):
        if isinstance(event, TrialDone | RepetitionDone):
            told += [CellDone(event.entry, cell, result, fresh=True) for cell, result in event.trainings]
        told.append(event)
    return told


def chosen_by(metric: str) -> list[Event]:
    """The events of an entry whose protocol chooses by that metric."""
    events = with_cells(made_events("ms"))
    protocol = dataclasses.replace(events[0].entry.protocol, selection=metric)
    return [dataclasses.replace(e, entry=dataclasses.replace(e.entry, protocol=protocol)) for e in events]


def shown(events: list[Event], is_terminal: bool, width: int = 160, volume: int = NORMAL) -> str:
    """All that is written while the events happen."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=width, height=40)
    with Terminal([events[0].entry], console, volume) as terminal:
        for event in events:
            terminal(event)
    return text.getvalue()


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


@pytest.mark.parametrize("metric", SELECTIONS)
@pytest.mark.parametrize("is_terminal", [True, False], ids=["table", "lines"])
def test_scores_stand_under_the_metric_that_chooses(metric: str, is_terminal: bool) -> None:
    events = chosen_by(metric)
    text = without_colours(shown(events, is_terminal))
    best = max(event.score or 0.0 for event in events if isinstance(event, TrialDone))
    assert f"best {SELECTIONS[metric]}" in text and f"{100 * best:.2f}" in text
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


# -- the live table ----------------------------------------------------------------------------------------------------
def table_after(events: list[Event], width: int) -> list[str]:
    """The lines of the table as it stands after the events."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=width, height=40, color_system=None)
    terminal = Terminal([events[0].entry], console)
    for event in events:
        terminal(event)
    with console.capture() as captured:
        console.print(terminal)
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_fits_the_terminal_and_has_every_column(width: int) -> None:
    events = with_cells(made_events("ms"))
    until = next(i for i, event in enumerate(events) if isinstance(event, TrialDone) and event.number == 2)
    lines = table_after(events[: until + 1], width)
    assert max(map(len, lines)) <= width
    assert lines[0].split() == ["method", "stage", "trial", "best", "MAP@R", "cells", "left", "failed"]
    words = lines[1].split()
    assert words[:2] == ["ms", SEARCH] and words[2].startswith("3/") and words[4].startswith("12/")
    assert lines[2].startswith("all")
    assert ("━" in lines[1]) == (width == 200)


def test_a_long_name_is_cut_and_pushes_no_column_out() -> None:
    events = with_cells(made_events("ms"))
    long = dataclasses.replace(events[0].entry.method, name="x" * 100)
    events = [dataclasses.replace(e, entry=dataclasses.replace(e.entry, method=long)) for e in events]
    lines = table_after(events[:3], 80)
    assert max(map(len, lines)) <= 80 and "…" in lines[1] and "failed" in lines[0]


def test_a_hundred_entries_show_those_under_way() -> None:
    event = made_events("ms")[0]
    entries = [
        dataclasses.replace(
            event.entry, key=str(i), method=dataclasses.replace(event.entry.method, name=f"m{i}")
        )
        for i in range(100)
    ]
    terminal = Terminal(
        entries, console := Console(file=io.StringIO(), width=80, height=40, color_system=None)
    )
    terminal.standings.of(entries[70]).cells.add("one")
    terminal.standings.of(entries[0]).ended = True
    with console.capture() as captured:
        console.print(terminal)
    lines = captured.get().splitlines()
    assert len(lines) == ROWS + 2
    names = [line.split()[0] for line in lines[1:-1]]
    assert "m70" in names and "m0" not in names
    assert lines[-1].startswith(f"all, {100 - ROWS} more")


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown(with_cells(made_events("ms")), True)
    assert "ms" in text and not re.search(r"\x1b\[(?:[\d;]*;)?[349]\d", text)


@pytest.mark.parametrize("dumb", [True, False], ids=["dumb terminal", "file"])
@pytest.mark.parametrize("volume", [QUIET, NORMAL, VERBOSE])
def test_no_escape_sequence_goes_where_no_terminal_is(
    dumb: bool, volume: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert ESCAPE not in shown(with_cells(made_events("ms")), dumb, volume=volume)


# -- quiet and verbose -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_terminal", [True, False], ids=["terminal", "file"])
def test_quiet_leaves_what_failed(is_terminal: bool) -> None:
    events = with_cells(made_events("ms"))
    assert shown(events, is_terminal, volume=QUIET) == ""
    failed = made_events("ms", status="failed", why="no trial gave a score", published=0)
    assert shown(failed, is_terminal, volume=QUIET) == "ms: failed: no trial gave a score\n"


def test_verbose_has_a_line_for_every_cell() -> None:
    events = with_cells(made_events("ms"))
    cells = [event for event in events if isinstance(event, CellDone)]
    lines = shown(events, False, volume=VERBOSE).splitlines()
    assert len([line for line in lines if " trained: ok" in line]) == len(cells)
    assert not [line for line in shown(events, False).splitlines() if " trained: ok" in line]


def test_stages_are_told_from_cells() -> None:
    event = next(e for e in with_cells(made_events("ms")) if isinstance(e, CellDone))
    assert isinstance(event.cell, Training)
    stages = [
        stage_of(dataclasses.replace(event, cell=dataclasses.replace(event.cell, seed=seed)))
        for seed in (0, -1, 2)
    ]
    assert stages == [SEARCH, FINALISTS, REPETITIONS]


def test_the_time_that_is_left_goes_by_the_pace_and_by_what_an_entrys_cells_take() -> None:
    now = [0.0]
    quick, slow = (dataclasses.replace(made_events("ms")[0].entry, key=key) for key in ("quick", "slow"))
    standings = Standings([quick, slow], clock=lambda: now[0])
    cell = next(e for e in with_cells(made_events("ms")) if isinstance(e, CellDone))
    assert standings.all_seconds_left() is None and isinstance(cell.cell, Training)
    for i, (entry, seconds) in enumerate([(quick, 1.0), (slow, 3.0)]):
        standings.happened(
            CellDone(
                entry,
                dataclasses.replace(cell.cell, seed=i),
                dataclasses.replace(cell.result, seconds={"total": seconds}),
                fresh=True,
            )
        )
    now[0] = 8.0  # two cells in 8 seconds: one every 4, a slow one takes 6 and a quick one 2
    for entry, each in ((quick, 2.0), (slow, 6.0)):
        standing = standings.of(entry)
        assert standings.seconds_left(standing) == pytest.approx(each * standing.left)
    done = next(e for e in made_events("ms") if isinstance(e, EntryDone))
    standings.happened(dataclasses.replace(done, entry=slow))
    assert standings.all_seconds_left() == pytest.approx(2.0 * standings.of(quick).left)


# -- trainings under way -----------------------------------------------------------------------------------------------
def test_a_training_under_way_stands_under_the_table_until_it_is_done() -> None:
    events = with_cells(made_events("ms"))
    cell = next(event for event in events if isinstance(event, CellDone))
    report = Report(cell.cell.key, "ms", 1, 0, 3, 0.25)
    console = Console(file=io.StringIO(), width=80, color_system=None)
    terminal = Terminal([events[0].entry], console)
    terminal.reported(report)

    def last() -> str:
        with console.capture() as captured:
            console.print(terminal)
        return captured.get().splitlines()[-1]

    assert last().strip().startswith("ms fold 1 seed 0: epoch 3 of at most")
    assert "MAP@R 25.00" in last()
    terminal(cell)
    assert last().startswith("all")


def test_worker_processes_tell_of_their_validations(tmp_path: Path) -> None:
    rig = rig_of(tmp_path, "told", "untrained_head")
    told: list[Report] = []
    executor = ProcessExecutor(Workplace(rig.bench, rig.campaign.places.cells), 1, told.append)
    try:
        (record,) = rig.campaign.run(rig.campaign.entries(), rig.test, executor, rig)
    finally:
        executor.stop()
    assert record.status == "complete"
    curves = {e.cell.key: e.result.curve for e in rig.of(CellDone) if hasattr(e.result, "curve")}
    assert {report.key for report in told} == set(curves)
    for key, curve in curves.items():
        assert [(r.epoch, r.score) for r in told if r.key == key] == list(curve)
