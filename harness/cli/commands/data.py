"""`data`: look at a dataset before it is trusted."""

from __future__ import annotations

import argparse
import json

from tabulate import tabulate

from harness.cli.main import show
from harness.cli.settings import read_settings
from harness.data import load_dataset
from harness.data.verify import verify


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    dataset = load_dataset(request.dataset, settings.data, request.partial)
    report = verify(dataset)
    rows = [
        [name, value if isinstance(value, str | int | float) else json.dumps(value)]
        for name, value in report.items()
    ]
    show(report, tabulate(rows, tablefmt="plain", disable_numparse=True), request.json)
    return 1 if report.get("broken") else 0
