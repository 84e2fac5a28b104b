"""`place`: where a method lands among the recorded entries. Only its own missing cells are run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.campaign.campaign import Campaign
from harness.cli.boards import board_text, width_of
from harness.cli.commands.run import exit_code, settle_writable, work_off
from harness.cli.main import say, show
from harness.errors import RequestError
from harness.publish.rows import Board, read_boards
from harness.record import Record, read_records


def main(request: argparse.Namespace) -> int:
    file = Path(request.file)
    request.methods = file.stem if file.suffix == ".py" else request.file
    request.plugin = [*request.plugin, str(file)] if file.suffix == ".py" else request.plugin
    settled, settings = settle_writable(request)
    if len(settled.campaign.methods) != 1:
        raise RequestError(
            f"place {request.file}: expected one method, this names {len(settled.campaign.methods)}"
        )
    _demand_one_board(settled.campaign)
    (record,) = work_off(request, settled, settings)
    board = next(board for board in read_boards(settings.results) if record in board.records)
    verdicts = list(_verdicts(board, record))
    text = board_text(settings.results, record.protocol, record.dataset, width_of(sys.stdout))
    text += "\n\n" + "\n".join(_words(record, verdict) for verdict in verdicts)
    if not verdicts:
        text += f"\n\n{record.method}: no other complete entry to compare with here"
    facts = {"method": record.method, "status": record.status, "why": record.why, "compared": verdicts}
    show(facts, text, request.json)
    return exit_code(request, [record])


def _demand_one_board(campaign: Campaign) -> None:
    """Raises RequestError, before any training, where the recorded entries were made under other conditions.

    Where there are none, says so: hours of training would end with nothing to compare with.
    """
    entry = campaign.entries()[0]
    here = (entry.protocol_digest, entry.split, entry.content)
    others = 0
    for path, record in read_records(campaign.places.results):
        if (record.protocol, record.dataset) != (entry.protocol.slug, entry.dataset_slug):
            continue
        others += record.method != entry.method.name and record.status == "complete"
        if (record.protocol_digest, record.split, record.content) != here:
            raise RequestError(
                f"{path}: {record.method} was recorded under another protocol digest, split or set of images than "
                f"this run has, so the two cannot be compared; run {record.method} again, or name another place "
                "with --results"
            )
    if not others:
        say(
            f"{campaign.places.results} has no complete entry of {entry.protocol.slug}/{entry.dataset_slug} to compare "
            "with; run some there, or name a folder that has them with --results"
        )


def _verdicts(board: Board, record: Record) -> Iterator[dict[str, Any]]:
    """One verdict for each other entry of the board's comparison, in the board's order."""
    comparison = board.comparison
    if comparison is None or record.method not in board.compared:
        return
    mine = board.compared.index(record.method)
    others = [r.method for r in board.records if r.method in board.compared and r.method != record.method]
    for other in others:
        theirs = board.compared.index(other)
        yield {
            "with": other,
            "difference": float(comparison.difference[mine, theirs]),
            "p": float(comparison.p[mine, theirs]),
            "different": bool(comparison.different[mine, theirs]),
        }


def _words(record: Record, verdict: dict[str, Any]) -> str:
    difference = 100 * verdict["difference"]
    said = ("better than" if difference > 0 else "worse than") if verdict["different"] else "tied with"
    return (
        f"{record.method} {said} {verdict['with']}: {difference:+.2f} points of MAP@R, p = {verdict['p']:.3f}"
    )
