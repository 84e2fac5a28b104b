"""A recorded entry's embedder, trained again: as files in a folder, and as a model of the MLflow diary."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from harness.campaign.campaign import Campaign
from harness.campaign.determinism import deterministic
from harness.campaign.environment import commit
from harness.campaign.events import Entry
from harness.campaign.tracking.study import source_tags
from harness.cli.diary import artifacts, tracking_uri
from harness.cli.main import say
from harness.cli.settings import Settings
from harness.dataset import Dataset, ImageSet
from harness.engine.bench import Bench
from harness.engine.embedder import Embedder
from harness.errors import BenchmarkError
from harness.export.card import card, configuration
from harness.export.deployed import Deployed, deployed
from harness.export.files import CARD, demand_equal, embedded, traced, write_model, write_onnx
from harness.export.load import prepare as as_pixels
from harness.export.retraining import first_run, retrained
from harness.publish.rows import read_boards
from harness.record import Record, Run

#: Images on which every form of the model is compared with the engine's.
COMPARED = 8
#: Largest difference of one number of a unit vector; features that a GPU computed are a little off.
ENGINE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What was written: by which run's model, whether it has the record's digits, and the ONNX file's largest
    difference; None where there is none. columns: D."""

    run: Run
    same: bool
    columns: int
    onnx: float | None


def write_export(
    campaign: Campaign, settings: Settings, record: Record, bench: Bench, fold: int, folder: Path, onnx: bool
) -> Exported:
    """Train the first repetition's model of a fold (from 0) again and write it to a folder.

    Raises RequestError for a fold that is not there, BenchmarkError where the model turns out another one.
    """
    entry = _entry_of(campaign, record)
    say(f"training {entry.name} again: seed 1, fold {fold + 1}")
    with deterministic(campaign.deterministic):
        made = retrained(campaign, entry, record, bench, fold)
    if not made.same:
        say("this machine gives other digits than the record's; the card says so")
    model = deployed(made.embedder, bench)
    config = configuration(record, campaign.trunk, made, model.columns)
    pixels = _pixels(campaign.dataset.development, config)
    expected = _engine(made.embedder, bench)
    demand_equal("the exported model embeds images", embedded(model, pixels), expected, ENGINE_TOLERANCE)
    folder.mkdir(parents=True, exist_ok=True)
    difference = _write(folder, model, pixels, config, onnx)
    board = next(board for board in read_boards(settings.results) if record in board.records)
    text = card(record, board, campaign.dataset, campaign.trunk, made, model.columns, difference)
    (folder / CARD).write_text(text, encoding="utf-8")
    return Exported(made.run, made.same, model.columns, difference)


def keep_export(
    campaign: Campaign,
    settings: Settings,
    record: Record,
    folder: Path,
    exported: Exported,
    registered: str | None,
) -> str:
    """The address in MLflow of what was exported, as a model of the entry's parent run. Raises BenchmarkError."""
    # Imported here, as below: mlflow takes seconds, which a plain export need not wait for.
    from harness.campaign.tracking.models import keep_model

    entry = _entry_of(campaign, record)
    return keep_model(
        tracking_uri(settings), artifacts(settings), source_tags(commit()), entry, folder,
        _example(campaign.dataset), exported.columns, _tags(entry, exported.run), registered,
    )  # fmt: skip


def log_models(campaign: Campaign, settings: Settings, records: Sequence[Record]) -> None:
    """Log one model of every complete entry in MLflow, that of the first seed and fold, where there is none yet.

    What could not be logged is said: the results are there, and the same command tries again.
    """
    from harness.campaign.tracking.models import has_model

    where = tracking_uri(settings), artifacts(settings), source_tags(commit())
    bench: Bench | None = None
    for record in records:
        if record.status != "complete":
            continue
        entry, run = _entry_of(campaign, record), first_run(record, 0)
        try:
            if has_model(*where, entry, _tags(entry, run)):
                say(f"{entry.name}: MLflow has its model already")
                continue
            if bench is None:  # not before a model is missing: it may decode every image
                bench, _ = campaign.prepare(settings.cache, keep_images=settings.keep_images)
            with tempfile.TemporaryDirectory() as aside:
                folder = Path(aside) / "model"
                exported = write_export(campaign, settings, record, bench, 0, folder, onnx=False)
                address = keep_export(campaign, settings, record, folder, exported, None)
            say(f"{entry.name}: its model is {address} in MLflow")
        except BenchmarkError as error:
            say(f"{entry.name}: no model in MLflow: {error}")


def _entry_of(campaign: Campaign, record: Record) -> Entry:
    return next(entry for entry in campaign.entries() if entry.key == record.key)


def _tags(entry: Entry, run: Run) -> dict[str, str]:
    """Which of the entry's models it is."""
    return {"dml.entry": entry.key, "dml.fold": str(run.fold), "dml.seed": str(run.seed)}


def _example(dataset: Dataset) -> npt.NDArray[np.uint8]:
    """An image (height, width, 3) to try the model with: one of the dataset where they may be passed on, else a ramp
    from black to white."""
    if dataset.shareable:
        return dataset.development.pictures.read(0)
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (64, 64, 3)).copy()


def _pixels(images: ImageSet, config: dict[str, Any]) -> Tensor:
    """The first images as the exported loader prepares them, (B, 3, S, S)."""
    pictures = [Image.fromarray(images.pictures.read(i)) for i in range(min(COMPARED, len(images)))]
    return torch.stack([as_pixels(picture, config["preprocessing"]) for picture in pictures])


def _engine(embedder: Embedder, bench: Bench) -> Tensor:
    """Embeddings of the same images by the engine, unit length, on the CPU."""
    index = torch.arange(min(COMPARED, len(bench.development.labels)))
    embedder = embedder.to(bench.device)
    found = embedder.embed(bench.inputs(bench.development).test_batches(index))
    return torch.nn.functional.normalize(found, dim=1).cpu()


def _write(folder: Path, model: Deployed, pixels: Tensor, config: dict[str, Any], onnx: bool) -> float | None:
    """All files but the card; the ONNX file's largest difference."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporters, about their own ways
        program = traced(model, pixels)
        write_model(folder, program, config)
        return write_onnx(folder, program, pixels, embedded(model, pixels)) if onnx else None
