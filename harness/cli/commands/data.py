"""`data`: look at a dataset before it is trusted."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tabulate import tabulate

from harness.cli.main import show
from harness.cli.settings import read_settings
from harness.data import load_dataset
from harness.data.verify import audit, verify

#: Reports that are findings: the command then ends with 1.
FINDINGS = ("broken", "shared_classes", "across_roles", "across_classes")


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    dataset = load_dataset(request.dataset, settings.data, request.partial)
    report = verify(dataset) if request.action == "verify" else audit(dataset, settings.cache)
    rows = [[name, _words(value)] for name, value in report.items()]
    show(report, tabulate(rows, tablefmt="plain", disable_numparse=True), request.json)
    return 1 if any(report.get(name) for name in FINDINGS) else 0


def _words(value: Any) -> str:
    """A value in a cell; findings one a line, and `none` where there are none."""
    if value == []:
        return "none"
    if isinstance(value, list) and value and not isinstance(value[0], int | float):
        return "\n".join(", ".join(item) if isinstance(item, list) else str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)
