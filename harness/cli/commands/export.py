"""`export`: the embedder of a recorded entry, trained again from its cell, as files for use elsewhere."""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from harness.campaign.campaign import Places
from harness.campaign.determinism import deterministic
from harness.campaign.environment import commit
from harness.campaign.events import Entry
from harness.campaign.prepare import prepare
from harness.campaign.tracking.study import source_tags
from harness.cli.diary import artifacts, tracking_uri
from harness.cli.main import say, show
from harness.cli.parser import parse
from harness.cli.places import demand_writable
from harness.cli.request import Settled, settle
from harness.cli.settings import Settings, read_settings
from harness.dataset import Dataset, ImageSet
from harness.engine.bench import Bench
from harness.engine.embedder import Embedder
from harness.errors import RequestError
from harness.export.card import card, configuration
from harness.export.deployed import Deployed, deployed
from harness.export.files import CARD, demand_equal, demand_onnx, embedded, traced, write_model, write_onnx
from harness.export.load import prepare as as_pixels
from harness.export.retraining import first_run, retrained
from harness.publish.rows import read_boards
from harness.record import Record, place, read_record

#: Images on which every form of the model is compared with the engine's.
COMPARED = 8
#: Largest difference of one number of a unit vector; features that a GPU computed are a little off.
ENGINE_TOLERANCE = 1e-3


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    record = _record(settings, request.entry)
    fold = request.fold - 1
    first_run(record, fold)  # refuses a fold that is not there before anything is trained
    if request.to is None and not _asks_mlflow(request):
        raise RequestError("export: say where to: --to DIR, --mlflow, or both")
    with tempfile.TemporaryDirectory() as aside:
        return _exported(
            request, settings, record, Path(aside) / "model" if request.to is None else _folder(request.to)
        )


def _asks_mlflow(request: argparse.Namespace) -> bool:
    return bool(request.mlflow or request.register)


def _exported(request: argparse.Namespace, settings: Settings, record: Record, folder: Path) -> int:
    """Train the model again, and keep it in the folder and where else it is asked for."""
    fold = request.fold - 1
    if request.onnx:
        demand_onnx()
    settled = _settled(request, settings, record)
    campaign = settled.campaign
    (entry,) = campaign.entries()
    say(f"preparing {campaign.dataset.title}")
    bench, _ = prepare(
        campaign.dataset, campaign.trunk, settings.cache, campaign.device, campaign.threads, campaign.plugins,
        lambda what, done, all_: None, keep_images=settings.keep_images,
    )  # fmt: skip
    say(f"training {entry.name} again: seed 1, fold {request.fold}")
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
    onnx = _write(folder, model, pixels, config, request.onnx)
    board = next(board for board in read_boards(settings.results) if record in board.records)
    text = card(record, board, campaign.dataset, campaign.trunk, made, model.columns, onnx)
    (folder / CARD).write_text(text, encoding="utf-8")
    model_uri = None
    if _asks_mlflow(request):
        say("keeping the model in MLflow")
        model_uri = _kept(request, settings, entry, folder, campaign.dataset, config)
    facts = {
        "entry": request.entry, "folder": request.to, "same_digits": made.same, "onnx_difference": onnx,
        "mlflow_model": model_uri,
    }  # fmt: skip
    lines = (
        []
        if request.to is None
        else [f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}"]
    )
    lines += [] if model_uri is None else [f"MLflow at {tracking_uri(settings)}: {model_uri}"]
    show(facts, "\n".join(lines), request.json)
    return 0


def _kept(
    request: argparse.Namespace,
    settings: Settings,
    entry: Entry,
    folder: Path,
    dataset: Dataset,
    config: dict[str, Any],
) -> str:
    """The model's address in MLflow, on the entry's parent run."""
    # Imported here: mlflow takes seconds, which a plain export need not wait for.
    from harness.campaign.tracking.models import keep_model

    tags = {"dml.entry": entry.key, "dml.fold": str(config["fold"] - 1), "dml.seed": str(config["seed"])}
    return keep_model(
        tracking_uri(settings), artifacts(settings), source_tags(commit()), entry, folder, _example(dataset),
        config["embedding_size"], tags, request.register,
    )  # fmt: skip


def _example(dataset: Dataset) -> npt.NDArray[np.uint8]:
    """An image (height, width, 3) to try the model with: one of the dataset where they may be passed on, else a ramp
    from black to white."""
    if dataset.shareable:
        return dataset.development.pictures.read(0)
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    return np.broadcast_to(ramp[None, :, None], (64, 64, 3)).copy()


def _record(settings: Settings, name: str) -> Record:
    """The complete record of an entry, protocol/dataset/method. Raises RequestError."""
    parts = name.removesuffix(".json").split("/")
    if len(parts) != 3 or not all(parts):
        raise RequestError(
            f"export {name}: expected protocol/dataset/method, as the record's path says it, such as quick/glyphs/ms"
        )
    path = place(settings.results, *parts)
    if not path.is_file():
        raise RequestError(f"export {name}: no such record; {_nearest(settings, name)}")
    record = read_record(path)
    if record.status != "complete":
        raise RequestError(f"{path}: the entry is {record.status} ({record.why}); run it to its end first")
    return record


def _nearest(settings: Settings, name: str) -> str:
    """What somebody may have meant by an entry that is not there."""
    records = settings.results / "records"
    entries = ["/".join(path.with_suffix("").parts[-3:]) for path in sorted(records.glob("*/*/*.json"))]
    near = difflib.get_close_matches(name, entries, 3)
    return f"did you mean {' or '.join(near)}?" if near else f"{records} has {len(entries)} others"


def _folder(to: str) -> Path:
    """The folder to write to: new or empty, so that nothing is overwritten. Raises RequestError."""
    folder = Path(to)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"--to {to}: is there already; name a new or an empty folder")
    demand_writable("--to", folder)
    return folder


def _settled(request: argparse.Namespace, settings: Settings, record: Record) -> Settled:
    """The record's own command line, settled here. Raises RequestError where it would make another entry."""
    own = _own_line(settings, record)
    line = own or record.command
    parsed = parse(shlex.split(line)[2:])
    if own is None and parsed.plugin and not request.plugin:
        raise RequestError(
            f"export {request.entry}: its method is a plugin, {' '.join(map(str, parsed.plugin))}, and was not run "
            "here; a record's word is no reason to run a file's code: read the file, then name it with --plugin FILE"
        )
    parsed.data, parsed.cache, parsed.results = request.data, request.cache, request.results
    parsed.device, parsed.command = request.device or record.environment.get("device"), request.command
    # A record names no place outside the folder that it was made in; what is another thing has another key.
    for name in ("dataset", "weights", "plugin"):
        setattr(parsed, name, getattr(request, name) or getattr(parsed, name))
    if parsed.weights is not None:
        parsed.weights = _found(parsed.weights, settings)
    settled = settle(parsed, settings)
    (entry,) = settled.campaign.entries()
    if entry.key != record.key:
        commit = record.environment.get("commit", "")
        raise RequestError(
            f"export {request.entry}: the method's code, the images, the weights or the engine have changed since this "
            f"entry was recorded{f' (commit {commit[:12]})' if commit else ''}, so another model would come of it; run "
            f"it again first: {line}"
        )
    return settled


def _found(weights: str, settings: Settings) -> str:
    """The weights' file where it lies under its bare name in one of the folders for weights; else as it is."""
    places = [Path(weights), *(folder / weights for folder in settings.weights_folders)]
    return next((str(file) for file in places if file.is_file()), weights)


def _own_line(settings: Settings, record: Record) -> str | None:
    """The line that ran the entry here, with this machine's paths; None where it was run elsewhere."""
    file = Places(settings.results).commands / f"{record.key[:24]}.json"
    return str(json.loads(file.read_bytes())["command"]) if file.is_file() else None


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
