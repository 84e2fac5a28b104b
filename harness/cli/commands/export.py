"""`export`: the embedder of a recorded entry, trained again from its cell, as files for use elsewhere."""

from __future__ import annotations

import argparse
import difflib
import json
import shlex
import tempfile
from pathlib import Path

from harness.campaign.campaign import Places
from harness.cli.diary import tracking_uri
from harness.cli.exporting import keep_export, write_export
from harness.cli.main import say, show
from harness.cli.parser import parse
from harness.cli.places import demand_writable
from harness.cli.request import Settled, settle
from harness.cli.settings import Settings, read_settings
from harness.errors import RequestError
from harness.export.files import demand_onnx
from harness.export.retraining import first_run
from harness.record import Record, place, read_record


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
    if request.onnx:
        demand_onnx()
    campaign = _settled(request, settings, record).campaign
    say(f"preparing {campaign.dataset.title}")
    bench, _ = campaign.prepare(settings.cache, keep_images=settings.keep_images)
    exported = write_export(campaign, settings, record, bench, request.fold - 1, folder, request.onnx)
    address = None
    if _asks_mlflow(request):
        say("keeping the model in MLflow")
        address = keep_export(campaign, settings, record, folder, exported, request.register)
    facts = {
        "entry": request.entry, "folder": request.to, "same_digits": exported.same, "onnx_difference": exported.onnx,
        "mlflow_model": address,
    }  # fmt: skip
    lines = []
    if request.to is not None:
        lines.append(f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")
    if address is not None:
        lines.append(f"MLflow at {tracking_uri(settings)}: {address}")
    show(facts, "\n".join(lines), request.json)
    return 0


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
