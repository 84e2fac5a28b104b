"""`sync`: tell the MLflow diary everything that the finished cells hold; what it knows already is not told twice."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness.campaign.events import EntryDone, EntryStarted
from harness.campaign.plan import replay
from harness.cli.diary import close_diary, open_diary, tracking_uri
from harness.cli.main import say, show
from harness.cli.request import settle
from harness.record import place, read_arrays


def main(request: argparse.Namespace) -> int:
    campaign, settings = settle(request)
    diary = open_diary(settings)
    told = []
    with tempfile.TemporaryDirectory() as folder:
        for entry in campaign.entries():
            diary(EntryStarted(entry))
            replay(campaign, entry, Path(folder), diary)
            record = campaign.recorded(entry)
            if record is not None:
                path = place(settings.results, entry.protocol.slug, entry.dataset_slug, entry.method.slug)
                diary(EntryDone(entry, record, read_arrays(path)))
            told.append({"method": entry.method.name, "recorded": record is not None})
    diary.close()
    faults = close_diary(diary)
    for fault in faults:
        say(fault)
    uri = tracking_uri(settings)
    text = f"the diary at {uri} holds {', '.join(str(t['method']) for t in told)}"
    show({"tracking_uri": uri, "entries": told, "faults": faults}, "" if faults else text, request.json)
    return 1 if faults else 0
