"""What the diary lacks because its command was killed: noted beside the cells, and told by the next command."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.campaign.campaign import Campaign, Places
from harness.campaign.events import Entry, EntryDone, EntryStarted, Event
from harness.campaign.plan import replay
from harness.cli.drawing import pages_of
from harness.record import place, read_arrays


def owe(places: Places, entries: Iterable[Entry]) -> None:
    """Note that a diary is about to be told of these entries."""
    places.untold.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        _note(places, entry).touch()


def pay(places: Places, entries: Iterable[Entry]) -> None:
    """The diary knows all of these entries."""
    for entry in entries:
        _note(places, entry).unlink(missing_ok=True)


def owed(places: Places, entries: Iterable[Entry]) -> list[Entry]:
    """Those of the entries that a diary may not know to their end."""
    return [entry for entry in entries if _note(places, entry).exists()]


def _note(places: Places, entry: Entry) -> Path:
    return places.untold / entry.key[:24]


def retold(campaign: Campaign, entry: Entry) -> Iterator[Event]:
    """What the entry's finished cells, its record and its page say, in order; nothing of one that never came to a
    cell."""
    told: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        replay(campaign, entry, Path(folder), told.append)
    record, results = campaign.recorded(entry), campaign.places.results
    if record is not None:
        path = place(results, *entry.slugs)
        told.append(EntryDone(entry, record, read_arrays(path)))
    if told:
        yield from (EntryStarted(entry), *told, *pages_of(results, [entry]))
