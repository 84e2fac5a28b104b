"""`run`: tune, repeat and measure methods on a dataset, then draw the leaderboard."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from harness.campaign.campaign import Campaign
from harness.campaign.crowding import best_workers
from harness.campaign.determinism import deterministic
from harness.campaign.events import Entry, Watchers
from harness.campaign.executors import Executor, LocalExecutor, ProcessExecutor
from harness.campaign.jobs import Job, TrainJob, Workplace
from harness.campaign.limits import Limits
from harness.campaign.reports import Told
from harness.campaign.tracking import MlflowDiary
from harness.cli.boards import board_text, readme_of, width_of
from harness.cli.closing import closing_lines
from harness.cli.diary import open_diary
from harness.cli.drawing import draw_and_tell
from harness.cli.exporting import log_models
from harness.cli.lines import METHOD
from harness.cli.main import say, show
from harness.cli.numbers import AUTO
from harness.cli.places import demand_writable
from harness.cli.request import Settled, settle
from harness.cli.retelling import owe, owed, pay, retold
from harness.cli.settings import Settings, arithmetic_variables, read_settings, ready_ray
from harness.cli.terminal import NORMAL, QUIET, VERBOSE, Terminal
from harness.cli.trackers import MLFLOW, Opening, last_words, tracker_of
from harness.engine.bench import Bench
from harness.errors import RequestError
from harness.files import replace_file
from harness.publish import draw
from harness.record import Record

#: Makes the executor once there is a workplace, for so many workers, whose trainings are told of.
MakeExecutor = Callable[[Workplace, int, Told], Executor]


def main(request: argparse.Namespace) -> int:
    settled, settings = settle_writable(request)
    records = work_off(request, settled, settings)
    _report(request, settings, records)
    return exit_code(request, records)


def settle_writable(request: argparse.Namespace) -> tuple[Settled, Settings]:
    """What the command line asks for, and places that can be written to. Raises RequestError and MissingError."""
    settings = read_settings(request.data, request.cache, request.results)
    demand_writable("--results", settings.results)
    demand_writable("--cache", settings.cache)
    return settle(request, settings), settings


def work_off(request: argparse.Namespace, settled: Settled, settings: Settings) -> list[Record]:
    """Do what is missing, draw the leaderboard, and return the entries' records in order."""
    begun = time.monotonic()
    campaign = settled.campaign
    means = _executor(request, campaign, settings), tracker_of(request.tracker)
    if request.log_models and request.tracker != MLFLOW:
        raise RequestError(
            f"--log-models logs in MLflow, and --tracker is {request.tracker}: leave one of the two out"
        )
    if campaign.database is not None:
        campaign.database.ready()
    _remember(settled)
    entries = campaign.entries()
    kept = {} if request.force else {e.key: r for e in entries if (r := campaign.recorded(e)) is not None}
    to_do = [entry for entry in entries if entry.key not in kept]
    for entry in entries:
        if entry.key in kept:
            say(f"{entry.name}: complete already, nothing to train (--force works it off again)")
    if request.tracker == MLFLOW:
        _catch_up(campaign, settings, owed(campaign.places, [e for e in entries if e.key in kept]))
    if to_do:
        fresh = _work(request, campaign, settings, to_do, begun, *means)
    else:
        fresh = []
        draw(settings.results, readme_of(settings.results))
    records = [r for entry in entries for r in [*kept.values(), *fresh] if r.key == entry.key]
    if request.log_models:
        log_models(campaign, settings, records)
    return records


def _catch_up(campaign: Campaign, settings: Settings, entries: Sequence[Entry]) -> None:
    """Tell the diary of complete entries whose command was killed before all of them was written there."""
    if not entries:
        return
    say(
        f"completing the diary, which a command was writing when it ended: {', '.join(e.name for e in entries)}"
    )
    diary = open_diary(settings)
    for entry in entries:
        for event in retold(campaign, entry):
            diary(event)
    diary.close()
    for fault in last_words(diary):
        say(fault)
    if not diary.missing:
        pay(campaign.places, entries)


def exit_code(request: argparse.Namespace, records: Sequence[Record]) -> int:
    """1 where an entry failed, or stayed incomplete for another reason than that its time was up."""
    # Time that was up is what the user asked for; a cell that the machine lost for good is not.
    short = request.max_hours is None and any(record.status == "incomplete" for record in records)
    return 1 if short or any(record.status == "failed" for record in records) else 0


def _work(
    request: argparse.Namespace,
    campaign: Campaign,
    settings: Settings,
    entries: Sequence[Entry],
    begun: float,
    executor_for: MakeExecutor,
    open_tracker: Opening,
) -> list[Record]:
    until = None if request.max_hours is None else begun + 3600 * request.max_hours
    with Terminal(entries, Console(stderr=True), volume(request)) as terminal:
        with deterministic(campaign.deterministic):
            bench, test = campaign.prepare(settings.cache, terminal.preparing, settings.keep_images)
        with _watched(campaign, settings, entries, open_tracker, terminal) as watchers:
            executor = executor_for(
                Workplace(bench, campaign.places.cells, _limits(request), campaign.deterministic),
                _workers(request, campaign, entries, bench, terminal),
                terminal.reported,
            )
            campaign = replace(campaign, workers=executor.slots)
            try:
                # Standard output belongs to results, and Ray prints the last words of a lost node.
                with redirect_stdout(sys.stderr):
                    records = campaign.run(
                        entries, test, executor, watchers, until, partial(_lost, terminal),
                        partial(_waiting, terminal), again=request.force,
                    )  # fmt: skip
            finally:
                executor.stop()
            draw_and_tell(settings.results, entries, watchers)
        if not terminal.trained:
            terminal.say("every cell was there already: nothing was trained")
    return records


@contextmanager
def _watched(
    campaign: Campaign,
    settings: Settings,
    entries: Sequence[Entry],
    open_tracker: Opening,
    terminal: Terminal,
) -> Iterator[Watchers]:
    """Terminal and tracker, until all of it is told; what could not be told is said."""
    tracker = open_tracker(settings)
    if isinstance(tracker, MlflowDiary):
        owe(campaign.places, entries)
    watchers = Watchers([terminal, *([tracker] if tracker else [])])
    try:
        yield watchers
    finally:
        watchers.close()
        if campaign.database is not None:
            campaign.database.close()
    for fault in [*watchers.faults, *last_words(tracker)]:
        terminal.say(fault)
    if isinstance(tracker, MlflowDiary) and not tracker.missing and not watchers.faults:
        pay(campaign.places, entries)


def _lost(terminal: Terminal, job: Job, why: str) -> None:
    terminal.lost(job.training.key if isinstance(job, TrainJob) else job.key, why)


def _waiting(terminal: Terminal, entry: Entry) -> None:
    terminal.say(f"{entry.name}: another command works on it; waiting for that to end")


def volume(request: argparse.Namespace) -> int:
    """How much is said while the campaign runs."""
    return QUIET if request.quiet else VERBOSE if request.verbose else NORMAL


def _workers(
    request: argparse.Namespace,
    campaign: Campaign,
    entries: Sequence[Entry],
    bench: Bench,
    terminal: Terminal,
) -> int:
    """How many trainings at once; `auto` tries them out with the first entry that trains."""
    if request.workers != AUTO:
        return campaign.workers
    trained = [entry for entry in entries if entry.method.build is not None]
    best = 1
    if trained:
        with tempfile.TemporaryDirectory() as folder:
            best = best_workers(campaign, trained[0], bench, Path(folder), campaign.workers)
    terminal.say(f"trainings at once that do most here: {best}")
    return best


def _executor(request: argparse.Namespace, campaign: Campaign, settings: Settings) -> MakeExecutor:
    """What makes the executor once there is a workplace. Raises RequestError where it cannot be had."""
    limits = _limits(request)
    kind = request.executor or ("processes" if campaign.workers > 1 or limits else "local")
    if limits and kind == "local":
        raise RequestError(
            "limits of a cell need worker processes: leave --executor local out, or the limits"
        )
    if kind == "ray":
        return _ray_executor(request, campaign, settings)
    if kind == "local":
        return lambda place, workers, told: LocalExecutor(place, told)
    return ProcessExecutor


def _limits(request: argparse.Namespace) -> Limits:
    minutes, gb = request.max_cell_minutes, request.max_cell_gb
    return Limits(None if minutes is None else 60 * minutes, gb)


def _ray_executor(request: argparse.Namespace, campaign: Campaign, settings: Settings) -> MakeExecutor:
    ready_ray(own=settings.ray is None)
    try:
        # Ray is an extra, and takes seconds to import.
        from harness.campaign.ray_executor import Cluster, RayExecutor
    except ImportError:
        raise RequestError("--executor ray: Ray is not installed here: pip install -e '.[ray]'") from None
    # On a running cluster the number of workers is the cluster's, unless the user says.
    workers = request.workers if settings.ray else campaign.workers
    cluster = Cluster(Path.cwd(), settings.ray, workers, request.per_gpu, arithmetic_variables())
    # What happens inside a task is not told: its worker may be on any machine.
    return lambda place, workers, told: RayExecutor(place, cluster)


def _remember(settled: Settled) -> None:
    """Keep each entry's command line beside the cells, with this machine's paths: `sync` finds entries by them."""
    campaign = settled.campaign
    campaign.places.commands.mkdir(parents=True, exist_ok=True)
    for entry in campaign.entries():
        line = settled.line.replace(METHOD, shlex.quote(entry.method.name))
        file = campaign.places.commands / f"{entry.key[:24]}.json"
        replace_file(file, json.dumps({"command": line}).encode())


def _report(request: argparse.Namespace, settings: Settings, records: Sequence[Record]) -> None:
    boards = sorted({(record.protocol, record.dataset) for record in records})
    width = width_of(sys.stdout)
    text = "\n\n".join(board_text(settings.results, *board, width) for board in boards)
    entries = [
        {"method": r.method, "dataset": r.dataset, "protocol": r.protocol, "status": r.status, "why": r.why}
        for r in records
    ]
    show({"entries": entries, "results": str(settings.results)}, text, request.json)
    say("")
    for line in closing_lines(request, settings, records):
        say(line)
