"""From names to things, all of them checked before the first image is read."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.campaign.campaign import Campaign, Places
from harness.campaign.database import Database
from harness.cli.changes import read_changes
from harness.cli.lines import entry_line, local, shown
from harness.cli.main import say
from harness.cli.numbers import AUTO
from harness.cli.settings import Settings, ready_deterministic
from harness.cli.weights import check_backbone, settle_weights, with_weights
from harness.data import load_dataset
from harness.data.contents import content_digest
from harness.dataset import Dataset
from harness.discovery import load_protocol, select_methods
from harness.engine.parts import images_per_class
from harness.errors import RequestError
from harness.method import Method
from harness.protocol import Protocol
from harness.splits import fold_classes


@dataclass(frozen=True, eq=False)
class Settled:
    """What a command line asks for, every name resolved.

    line: makes an entry again on this machine, wherever it is typed; METHOD stands for its method. The campaign's own
        line, which goes into records, names no place outside the working folder.
    """

    campaign: Campaign
    line: str


def settle(request: argparse.Namespace, settings: Settings) -> Settled:
    """Everything that a command line names. Raises RequestError and MissingError before the first image is decoded."""
    if request.deterministic:
        ready_deterministic()
    database = None if request.storage is None else Database(request.storage)
    plugins = tuple(_plugin(path) for path in request.plugin)
    methods = select_methods(request.methods, plugins)
    device = settle_device(request.device)
    workers = settle_workers(request, device)
    if request.backbone is not None:
        check_backbone(request.backbone)
    pairs = with_weights(request.set, request.weights)
    changes = read_changes(pairs)
    dataset, protocol = _dataset_and_protocol(request, changes.values, settings)
    trunk = settle_weights(request, protocol, changes.input, settings)
    held = trunk.protocol.on(dataset.name)
    check_batches(methods, held)
    check_folds(len(dataset.development.class_names), held)
    campaign = Campaign(
        dataset=dataset,
        content=content_digest(dataset, settings.cache),
        trunk=trunk,
        methods=methods,
        places=Places(settings.results),
        device=device,
        threads=request.threads,
        workers=workers,
        plugins=plugins,
        audit=request.audit,
        deterministic=request.deterministic,
        database=database,
        command=entry_line(request, pairs, dataset.partial, shown),
    )
    return Settled(campaign, entry_line(request, pairs, dataset.partial, local))


def _dataset_and_protocol(
    request: argparse.Namespace, values: Mapping[str, Any], settings: Settings
) -> tuple[Dataset, Protocol]:
    """Both; where no protocol is named, only the dataset knows it."""
    protocol = None if request.protocol is None else load_protocol(request.protocol).changed(values)
    cut = "official" if protocol is None else protocol.class_cut
    dataset = load_dataset(request.dataset, settings.data, request.partial, cut, settings.cache)
    if protocol is None:
        request.protocol = dataset.default_protocol
        protocol = load_protocol(request.protocol).changed(values)
        if protocol.class_cut != cut:
            cut = protocol.class_cut
            dataset = load_dataset(request.dataset, settings.data, request.partial, cut, settings.cache)
    return dataset, protocol


def check_batches(methods: Iterable[Method], protocol: Protocol) -> None:
    """Raises RequestError that names a method whose groups of images do not fill a batch of the protocol."""
    for method in methods:
        images = images_per_class(method, protocol)
        if protocol.batch_size % images:
            both = math.lcm(images, protocol.images_per_class)
            raise RequestError(
                f"method {method.name} takes {images} images of a class in a batch, and batch_size "
                f"{protocol.batch_size} of protocol {protocol.name} is no multiple of that: --set batch_size="
                f"{-(-protocol.batch_size // both) * both}, or --set method_sets_images_per_class=false"
            )


def check_folds(classes: int, protocol: Protocol) -> None:
    """Raises RequestError where a fold would validate on one class, in which nothing can be confused."""
    fold_classes(np.arange(classes), 0, protocol.folds)  # refuses more folds than classes
    if classes < 2 * protocol.folds:
        raise RequestError(
            f"{protocol.folds} folds of {classes} development classes leave one class to validate on; use a dataset "
            f"with more classes or --set folds={max(2, classes // 2)}"
        )


def settle_device(name: str | None) -> str:
    """The device of that name, or the best there is. Raises RequestError where it is not here."""
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise RequestError(f"--device {name}: expected cpu, cuda or cuda:N")
    if name != "cpu" and (torch.device(name).index or 0) >= torch.cuda.device_count():
        raise RequestError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA devices; try cpu"
        )
    return name


def settle_workers(request: argparse.Namespace, device: str) -> int:
    """Trainings at once: as many as cores on a CPU, one on a GPU, unless the user says; for `auto`, the most there
    may be."""
    workers: int | str | None = request.workers
    executor: str | None = request.executor
    if workers == AUTO:
        if executor not in (None, "processes"):
            raise RequestError(
                f"--workers auto tries worker processes out: leave --executor {executor} out, or say N"
            )
        return _cores()
    if workers is None:
        return 1 if executor == "local" or device != "cpu" else _cores()
    assert isinstance(workers, int)
    if workers > 1 and executor == "local":
        raise RequestError(
            f"--workers {workers}: --executor local does one training at a time; leave one of the two out"
        )
    return workers


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plugin(path: str) -> Path:
    file = Path(path)
    if not file.is_file() or file.suffix != ".py":
        what = "not a Python file" if file.is_file() else "a folder" if file.is_dir() else "no such file"
        raise RequestError(f"--plugin {path}: {what}; expected a method's file, such as methods/ms.py")
    say(f"running the code in {path}")
    return file.resolve()
