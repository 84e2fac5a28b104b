"""The pages that follow a campaign: drawn from all records, and told to those who watch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from harness.campaign.events import Entry, EntryDrawn, Watcher
from harness.cli.boards import readme_of
from harness.publish import SITE, draw
from harness.publish.alone import alone


def draw_and_tell(results: Path, entries: Iterable[Entry], watcher: Watcher) -> None:
    """Draw the leaderboard and the site, and tell the watcher of the entries' pages.

    Raises RequestError where a record cannot be read.
    """
    draw(results, readme_of(results))
    for event in pages_of(results, entries):
        watcher(event)


def pages_of(results: Path, entries: Iterable[Entry]) -> Iterator[EntryDrawn]:
    """The entries' pages, as they lie on the site; an entry without a record has none."""
    for entry in entries:
        page = page_of(results / SITE / entry.protocol.slug, entry)
        if page is not None:
            yield EntryDrawn(entry, alone(page))


def page_of(folder: Path, entry: Entry) -> Path | None:
    """The entry's page under its protocol's folder of the site; None where there is none.

    Where several boards have the protocol's and the dataset's names, their folders name digest and split too.
    """
    longer = f"{entry.dataset_slug}-{entry.protocol_digest[:6]}-{entry.split[:6]}-*"
    name = f"entry/{entry.method.slug}.html"
    pages = [*folder.glob(f"{longer}/{name}"), folder / entry.dataset_slug / name]
    return next((page for page in pages if page.is_file()), None)
