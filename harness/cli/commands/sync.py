"""`sync`: tell the MLflow diary what the finished cells hold, of every run; what it knows is not told twice."""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.campaign.campaign import Campaign, Places
from harness.campaign.events import EntryDone, EntryStarted
from harness.campaign.plan import replay
from harness.campaign.tracking import MlflowDiary
from harness.cli.diary import close_diary, open_diary, tracking_uri
from harness.cli.main import say, show
from harness.cli.parser import parse
from harness.cli.request import settle
from harness.cli.settings import read_settings
from harness.errors import BenchmarkError
from harness.record import place, read_arrays


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    diary = open_diary(settings)
    told: list[dict[str, Any]] = []
    faults: list[str] = []
    for command in _commands(Places(settings.results)):
        try:
            campaign, _ = settle(_parsed(command, request))
            told += _tell(campaign, diary)
        except BenchmarkError as error:
            # A dataset that is not here, a plugin that is gone: the others can still be told.
            faults.append(f"{command}: {error}")
    diary.close()
    faults += close_diary(diary)
    for fault in faults:
        say(fault)
    uri = tracking_uri(settings)
    text = f"the diary at {uri} holds {len(told)} entries: {', '.join(t['entry'] for t in told) or 'none'}"
    show({"tracking_uri": uri, "entries": told, "faults": faults}, text, request.json)
    return 1 if faults else 0


def _commands(places: Places) -> Iterator[str]:
    for file in sorted(places.commands.glob("*.json")):
        yield json.loads(file.read_bytes())["command"]


def _parsed(command: str, request: argparse.Namespace) -> argparse.Namespace:
    """The command's request, at the places of this one."""
    parsed = parse(shlex.split(command)[2:])
    parsed.data, parsed.cache, parsed.results = request.data, request.cache, request.results
    return parsed


def _tell(campaign: Campaign, diary: MlflowDiary) -> list[dict[str, Any]]:
    told = []
    with tempfile.TemporaryDirectory() as folder:
        for entry in campaign.entries():
            diary(EntryStarted(entry))
            replay(campaign, entry, Path(folder), diary)
            record = campaign.recorded(entry)
            if record is not None:
                path = place(
                    campaign.places.results, entry.protocol.slug, entry.dataset_slug, entry.method.slug
                )
                diary(EntryDone(entry, record, read_arrays(path)))
            told.append({"entry": entry.name, "recorded": record is not None})
    return told
