"""`plan`: what a run would do, and what it would cost."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.campaign.calibrate import calibrate
from harness.campaign.campaign import Campaign
from harness.campaign.events import Entry
from harness.campaign.executors import LocalExecutor, ProcessExecutor
from harness.campaign.plan import Cost, Plan, plan, recorded_cost, usual_cost
from harness.cli.main import say, show
from harness.cli.numbers import AUTO
from harness.cli.request import settle
from harness.cli.settings import Settings, read_settings


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    if request.workers == AUTO:
        say("--workers auto: what a run would try out is not known; counted as without it")
        request.workers = None
    campaign = settle(request, settings).campaign
    entries = campaign.entries()
    kept = {entry.key for entry in entries if campaign.recorded(entry) is not None}
    plans = plan(campaign, entries)
    costs = {p.entry.key: p.cost.or_else(recorded_cost(campaign, p.entry)) for p in plans}
    todo = [p.entry for p in plans if p.entry.key not in kept and p.left]
    if request.calibrate and todo:
        # What was just measured is worth more than what cells took that may be of another stage.
        costs |= {
            key: cost.or_else(costs[key]) for key, cost in _calibrated(campaign, todo, settings).items()
        }
    # A method of which nothing is known is priced like the others.
    usual = usual_cost(list(costs.values()))
    rows = [_row(p, costs[p.entry.key].or_else(usual), campaign.workers, p.entry.key in kept) for p in plans]
    hours, gigabytes = ([row[part] for row in rows] for part in ("hours_left", "gb_left"))
    value: dict[str, Any] = {
        "dataset": campaign.dataset.slug,
        "protocol": campaign.trunk.protocol.name,
        "workers": campaign.workers,
        "entries": rows,
        "cells_left": sum(row["cells_left"] for row in rows),
        "hours_left": None if None in hours else sum(hours),
        "gb_left": None if None in gigabytes else sum(gigabytes),
    }
    if request.price_per_hour is not None:
        known = value["hours_left"] is not None
        value["price"] = value["hours_left"] * request.price_per_hour if known else None
    show(value, _text(value), request.json)
    return 0


def _calibrated(campaign: Campaign, entries: list[Entry], settings: Settings) -> dict[str, Cost]:
    """A few real steps of every method, as many at once as the run would do."""
    say(f"calibrating: a few steps of {len(entries)} methods")
    bench, _ = campaign.prepare(settings.cache, keep_images=settings.keep_images)
    with tempfile.TemporaryDirectory() as folder:
        return calibrate(
            campaign,
            entries,
            bench,
            lambda place: (
                LocalExecutor(place) if campaign.workers == 1 else ProcessExecutor(place, campaign.workers)
            ),
            Path(folder),
        )


def _row(p: Plan, cost: Cost, workers: int, kept: bool) -> dict[str, Any]:
    seconds = 0.0 if kept else p.seconds_left(cost)
    size = 0.0 if kept or not p.measurements_left else cost.size
    return {
        "method": p.entry.method.name,
        "recorded": kept,
        "trainings": p.trainings,
        "measurements": p.measurements,
        "cells_done": p.done,
        "cells_left": 0 if kept else p.left,
        "seconds_per_training": cost.training,
        "seconds_per_measurement": cost.measurement,
        "hours_left": None if seconds is None else seconds / workers / 3600,
        "gb_left": None if size is None else (p.measurements_left * size) / 1e9,
    }


def _text(value: dict[str, Any]) -> str:
    rows = value["entries"]
    table = [
        [
            row["method"],
            row["trainings"],
            row["measurements"],
            "recorded" if row["recorded"] else row["cells_done"],
            row["cells_left"],
            _told(row["hours_left"], 60, 1),
            _told(row["gb_left"], 1, 2),
        ]
        for row in rows
    ]
    heads = ["method", "trainings", "measurements", "done", "left", "minutes left", "GB more"]
    title = f"{value['dataset']} under {value['protocol']}, {value['workers']} trainings at once"
    lines = [
        f"{title}\n\n{tabulate(table, heads, disable_numparse=True, colalign=['left'] + 6 * ['right'])}\n"
    ]
    lines.append(
        f"In all {_told(value['hours_left'], 1, 2)} hours, {_told(value['gb_left'], 1, 2)} GB in the cell store"
        + (f", {_told(value['price'], 1, 2)} at the price given" if "price" in value else "")
        + "; trainings that stop before the step cap make it less."
    )
    if value["hours_left"] is None or value["gb_left"] is None:
        lines.append(
            "? nothing of it has been timed on this machine yet: --calibrate does a few steps of each"
        )
    return "\n".join(lines)


def _told(number: float | None, factor: float, digits: int) -> str:
    return "?" if number is None else f"{factor * number:.{digits}f}"
