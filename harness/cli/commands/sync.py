"""`sync`: tell the MLflow diary what the finished cells hold, of every run; what it knows is not told twice."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from typing import Any

from harness.campaign.campaign import Places
from harness.campaign.events import Entry, EntryDone
from harness.cli.diary import open_diary, tracking_uri
from harness.cli.main import say, show
from harness.cli.parser import parse
from harness.cli.places import demand_writable
from harness.cli.request import settle
from harness.cli.retelling import pay, retold
from harness.cli.settings import Settings, read_settings
from harness.cli.trackers import last_words
from harness.errors import BenchmarkError, RequestError


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    demand_writable("--results", settings.results)
    commands = dict(_commands(settings))
    diary = open_diary(settings)
    told: list[dict[str, Any]] = []
    known: list[Entry] = []
    outdated: list[str] = []
    faults: list[str] = []
    for key, command in commands.items():
        try:
            campaign = settle(_parsed(command, request), settings).campaign
        except BenchmarkError as error:
            # A dataset that is not here, a plugin that is gone: the others can still be told.
            faults.append(f"{command}: {error}")
            continue
        (entry,) = campaign.entries()
        if not entry.key.startswith(key):
            # Code, images or weights have changed since, so its cells are those of another entry.
            outdated.append(command)
        elif events := list(retold(campaign, entry)):
            for event in events:
                diary(event)
            told.append({"entry": entry.name, "recorded": any(isinstance(e, EntryDone) for e in events)})
            known.append(entry)
    diary.close()
    if not diary.missing:
        pay(Places(settings.results), known)
    faults += last_words(diary)
    for fault in faults:
        say(fault)
    uri = tracking_uri(settings)
    text = f"the diary at {uri} holds {len(told)} entries: {', '.join(t['entry'] for t in told) or 'none'}"
    if outdated:
        text += f"\n{len(outdated)} others ran with code, images or weights that have changed since; they are not told"
    show({"tracking_uri": uri, "entries": told, "outdated": outdated, "faults": faults}, text, request.json)
    return 1 if faults else 0


def _commands(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each entry that was ever begun: the beginning of its key, and its command line."""
    folder = Places(settings.results).commands
    if not folder.is_dir():
        raise RequestError(
            f"--results {settings.results}: nothing has been run there ({folder} is not there)"
        )
    for file in sorted(folder.glob("*.json")):
        try:
            command = str(json.loads(file.read_bytes())["command"])
        except (ValueError, KeyError, TypeError):
            say(f"{file}: damaged; its entry is not told until its command is typed again")
            continue
        yield file.stem, command


def _parsed(command: str, request: argparse.Namespace) -> argparse.Namespace:
    """The command's request, at the places of this one. It stays a request of `sync`, which fetches nothing."""
    parsed = parse(shlex.split(command)[2:])
    parsed.data, parsed.cache, parsed.results = request.data, request.cache, request.results
    parsed.command, parsed.storage = request.command, request.storage
    return parsed
