"""`data`: make a dataset ready, and look at it before it is trusted."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tabulate import tabulate

from harness.cli.main import say, show
from harness.cli.settings import Settings, read_settings
from harness.cli.steps import step_bars
from harness.data import load_dataset
from harness.data.layout import prepared_root
from harness.data.prepare import changed, preparable, prepare
from harness.data.verify import audit, verify
from harness.dataset import Dataset, DatasetSource
from harness.errors import RequestError

#: Reports that are findings: the command then ends with 1.
FINDINGS = ("broken", "shared_classes", "across_roles", "across_classes")


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    if request.by_hand and request.action != "prepare":
        raise RequestError(f"--from belongs to `data prepare`, not to `data {request.action}`")
    if request.action == "prepare":
        report = _prepare(request, settings)
    else:
        dataset = load_dataset(request.dataset, settings.data, request.partial, cache=settings.cache)
        report = _verify(dataset) if request.action == "verify" else audit(dataset, settings.cache)
    rows = [[name, _words(value)] for name, value in report.items()]
    show(report, tabulate(rows, tablefmt="plain", disable_numparse=True), request.json)
    return 1 if any(report.get(name) for name in FINDINGS) else 0


def _prepare(request: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    source = preparable(request.dataset)
    by_hand = [Path(file).expanduser() for file in request.by_hand]
    _say_terms(source, settings.cache)
    for file in by_hand:
        if file.is_file() and (difference := changed(source, file)):
            say(
                f"note: {file.name} is not the file that was published ({difference}); its content is checked"
            )
    with step_bars(counts_bytes=True) as told:
        folder = prepare(request.dataset, settings.cache, by_hand, told)
    dataset = load_dataset(request.dataset, None, False, cache=settings.cache)
    counts = {
        f"{role}_{what}": number
        for role, images in dataset.roles.items()
        for what, number in (("classes", len(images.class_names)), ("images", len(images)))
    }
    return {
        "name": dataset.name,
        "title": dataset.title,
        "folder": str(folder),
        **counts,
        "split": dataset.split,
    }


def _say_terms(source: DatasetSource, cache: Path) -> None:
    """What a user must know before anything is fetched: whose it is, on what terms, how much, from where."""
    say(f"{source.title}: {source.homepage}\n  terms: {source.terms}")
    for archive in source.archives:
        size = "" if archive.size is None else f", {archive.size / 1e6:,.0f} MB"
        say(f"  {archive.file}{size}: {' or '.join(archive.addresses)}")
    say(f"  into {prepared_root(cache)}")


def _verify(dataset: Dataset) -> dict[str, Any]:
    with step_bars(counts_bytes=False) as told:
        return verify(dataset, lambda done, total: told("decoding", done, total))


def _words(value: Any) -> str:
    """A value in a cell; findings one a line, and `none` where there are none."""
    if value == []:
        return "none"
    if isinstance(value, list) and value and not isinstance(value[0], int | float):
        return "\n".join(", ".join(item) if isinstance(item, list) else str(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)
