"""`plan`: what a run would do, and what it would cost."""

from __future__ import annotations

import argparse
from typing import Any

from tabulate import tabulate

from harness.campaign.plan import Plan, plan
from harness.cli.main import show
from harness.cli.request import settle
from harness.cli.settings import read_settings


def main(request: argparse.Namespace) -> int:
    campaign = settle(request, read_settings(request.data, request.cache, request.results)).campaign
    entries = campaign.entries()
    kept = {entry.key for entry in entries if campaign.recorded(entry) is not None}
    plans = plan(campaign, entries)
    timed = [p.seconds for p in plans if p.seconds is not None]
    # A method that has not begun is priced like the others that have.
    usual = sum(timed) / len(timed) if timed else None
    rows = [_row(p, usual, campaign.workers, p.entry.key in kept) for p in plans]
    total = sum(row["cells_left"] for row in rows)
    hours = [row["hours_left"] for row in rows]
    value: dict[str, Any] = {
        "dataset": campaign.dataset.slug,
        "protocol": campaign.trunk.protocol.name,
        "workers": campaign.workers,
        "entries": rows,
        "cells_left": total,
        "hours_left": None if None in hours else sum(hours),
    }
    show(value, _text(value), request.json)
    return 0


def _row(p: Plan, usual: float | None, workers: int, kept: bool) -> dict[str, Any]:
    seconds = p.seconds if p.seconds is not None else usual
    left = 0 if kept else p.left
    hours = 0.0 if not left else None if seconds is None else left * seconds / workers / 3600
    return {
        "method": p.entry.method.name,
        "recorded": kept,
        "trainings": p.trainings,
        "measurements": p.measurements,
        "cells_done": p.done,
        "cells_left": left,
        "seconds_per_cell": seconds,
        "hours_left": hours,
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
            "?" if row["hours_left"] is None else f"{60 * row['hours_left']:.1f}",
        ]
        for row in rows
    ]
    heads = ["method", "trainings", "measurements", "done", "left", "minutes left"]
    known = value["hours_left"] is not None
    end = "" if known else "\n? no cell of this dataset and protocol has been timed on this machine yet"
    title = f"{value['dataset']} under {value['protocol']}, {value['workers']} trainings at once"
    return f"{title}\n\n{tabulate(table, heads)}{end}"
