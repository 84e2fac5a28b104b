"""`data`: make a dataset ready, and look at it before it is trusted."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from harness.backbones import find_weights
from harness.campaign.prepare import Progress, settle_trunk
from harness.campaign.prepare import prepare as prepare_bench
from harness.cli.main import say, show
from harness.cli.request import settle_device
from harness.cli.settings import Settings, read_settings
from harness.cli.steps import step_bars
from harness.data import load_dataset
from harness.data.audit import audit
from harness.data.layout import prepared_root
from harness.data.likeness import FEATURE_THRESHOLD, SIDE, THUMBNAIL_THRESHOLD, Look, thumbnails, unit
from harness.data.prepare import changed, preparable, prepare
from harness.data.verify import verify
from harness.dataset import Dataset, DatasetSource
from harness.discovery import load_protocol
from harness.engine.inputs import open_features
from harness.errors import MissingError, RequestError

#: Reports that are findings: the command then ends with 1.
FINDINGS = ("broken", "shared_classes", "across_roles", "across_classes", "near_duplicates")

#: Findings of a kind that a person is shown; `--json` holds all.
SHOWN = 20


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    if request.by_hand and request.action != "prepare":
        raise RequestError(f"--from belongs to `data prepare`, not to `data {request.action}`")
    if request.action == "prepare":
        report = _prepare(request, settings)
    else:
        dataset = load_dataset(request.dataset, settings.data, request.partial, cache=settings.cache)
        report = _verify(dataset) if request.action == "verify" else _audit(dataset, request, settings)
    rows = [[name, _words(value)] for name, value in report.items()]
    show(report, tabulate(rows, tablefmt="plain", disable_numparse=True), request.json)
    return 1 if any(report.get(name) for name in FINDINGS) else 0


def _prepare(request: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    source = preparable(request.dataset)
    by_hand = [Path(file).expanduser() for file in request.by_hand]
    if settings.data is not None and not by_hand and (whole := _whole(source, settings.data)):
        say(f"{source.title} is whole in {settings.data}; there is nothing to prepare")
        return _prepared(whole, settings.data)
    _say_terms(source, settings.cache)
    for file in by_hand:
        if file.is_file() and (difference := changed(source, file)):
            say(
                f"note: {file.name} is not the file that was published ({difference}); its content is checked"
            )
    with step_bars(counts_bytes=True) as told:
        folder = prepare(request.dataset, settings.cache, by_hand, told)
    return _prepared(load_dataset(request.dataset, None, False, cache=settings.cache), folder)


def _whole(source: DatasetSource, root: Path) -> Dataset | None:
    try:
        return source.load(root, False)
    except MissingError:
        return None


def _prepared(dataset: Dataset, folder: Path) -> dict[str, Any]:
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


def _audit(dataset: Dataset, request: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    with step_bars(counts_bytes=False) as told:
        looks = [_by_thumbnails(dataset, request.threshold, told)]
        if request.backbone is not None:
            looks.append(_by_features(dataset, request, settings, told))
    return audit(dataset, settings.cache, looks)


def _by_thumbnails(dataset: Dataset, threshold: float | None, told: Progress) -> Look:
    vectors = {
        role: thumbnails(images.pictures, partial(told, f"thumbnails of {role} images"))
        for role, images in dataset.roles.items()
    }
    name = f"thumbnails of {SIDE} x {SIDE} grey levels"
    return Look(name, THUMBNAIL_THRESHOLD if threshold is None else threshold, vectors)


def _by_features(dataset: Dataset, request: argparse.Namespace, settings: Settings, told: Progress) -> Look:
    """The features that protocol `frozen` trains on: what is computed here is there for it, and the other way round."""
    named = request.weights
    weights = Path(named) if named else find_weights(request.backbone, None, settings.weights_folders)
    trunk = settle_trunk(load_protocol("frozen"), request.backbone, weights, None)
    device = settle_device(request.device)
    bench, test = prepare_bench(dataset, trunk, settings.cache, device, 1, (), told)
    files = {"development": bench.development, "test": test.queries, "gallery": test.gallery}
    vectors = {
        role: unit(open_features(place.file, torch.device("cpu")).features[-1].numpy())
        for role, place in files.items()
        if place is not None
    }
    name = f"features of {request.backbone} ({trunk.sha256[:12]})"
    return Look(name, FEATURE_THRESHOLD if request.threshold is None else request.threshold, vectors)


def _words(value: Any) -> str:
    """A value in a cell; findings one a line, and `none` where there are none."""
    if value == []:
        return "none"
    if isinstance(value, list) and not isinstance(value[0], int | float):
        lines = [", ".join(item) if isinstance(item, list) else str(item) for item in value]
        more = [f"and {len(lines) - SHOWN:,} more (--json holds all)"] if len(lines) > SHOWN else []
        return "\n".join(lines[:SHOWN] + more)
    return value if isinstance(value, str) else json.dumps(value)
