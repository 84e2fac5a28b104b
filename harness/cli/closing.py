"""The last words of a run: what failed, what is tied, what to run next, and the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.cli.lines import again
from harness.cli.settings import Settings
from harness.publish.closest import Pair, closest_pair, pair_words
from harness.publish.rows import Board, read_boards
from harness.publish.scores import TUNED
from harness.publish.words import plural, printable
from harness.record import Record


def failure_lines(records: Sequence[Record]) -> Iterator[str]:
    """A line for each entry that is not complete, for trials that gave no score, and for published values that did
    not train."""
    for record in records:
        if record.status != "complete":
            yield f"{record.method}: {record.status}: {printable(record.why)}"
        trials = [trial for search in record.searches for trial in search.trials]
        bad = [trial for trial in trials if trial.status != "ok"]
        if bad:
            first = f"; the first: {printable(bad[0].error)}" if bad[0].error else ""
            yield f"{record.method}: {len(bad)} of {plural(len(trials), 'trial')} failed or diverged{first}"
        if record.published_why:
            yield f"{record.method}, published values: {printable(record.published_why)}"


def tie_line(board: Board) -> str:
    """Which entries nothing separates from the best; "" where nothing was compared."""
    if board.comparison is None:
        return ""
    best = [
        str(row["method"])
        for _, row in board.frame.iterrows()
        if row["variant"] == TUNED and bool(row["best"])
    ]
    if len(best) == 1:
        return f"{best[0]} is told apart from all others"
    return f"not told apart from the best: {', '.join(best)}"


def next_lines(request: argparse.Namespace, board: Board) -> Iterator[str]:
    """The closest pair, and the command that would separate it."""
    pair = closest_pair(board)
    if pair is None:
        return
    yield f"next         {pair_words(pair)}"
    if pair.effort is not None:
        yield f"             {again(separating(request.words, pair))}"
        yield "             (so it is another protocol, which searches anew; `plan` says what that costs)"


def separating(words: Sequence[str], pair: Pair) -> list[str]:
    """The words of a run, for a pair with the effort that separates it."""
    assert pair.effort is not None
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--methods":
            next(rest, None)
        elif not word.startswith("--methods=") and word not in ("--force", "--json"):
            kept.append(word)
    changes = ["--set", f"repetitions={pair.effort.repetitions}"]
    if pair.effort.searches is not None:
        changes += ["--set", f"searches={pair.effort.searches}"]
    return [*kept, "--methods", f"{pair.first},{pair.second}", *changes]


def closing_lines(
    request: argparse.Namespace, settings: Settings, records: Sequence[Record]
) -> Iterator[str]:
    """Everything to be said under the boards of a run."""
    yield from (f"failed       {line}" for line in failure_lines(records))
    places = {(record.protocol, record.dataset) for record in records}
    for board in read_boards(settings.results):
        if (board.first.protocol, board.first.dataset) in places:
            if line := tie_line(board):
                yield f"tied         {line}"
            yield from next_lines(request, board)
    yield from command_lines(request, settings.results, records)


def command_lines(request: argparse.Namespace, results: Path, records: Sequence[Record]) -> Iterator[str]:
    """Where things lie, and what to type to see them or to go on."""
    yield f"leaderboard  {results / 'LEADERBOARD.md'}"
    yield f"page         {results / 'site' / 'index.html'}"
    yield f"records      {results / 'records'}"
    places = [] if request.results == "results" else ["--results", request.results]
    yield f"diary        {again(['ui', *places])}"
    complete = [record for record in records if record.status == "complete"]
    if complete:
        first = complete[0]
        entry = f"{first.protocol}/{first.dataset}/{first.method}"
        yield f"model        {again(['export', entry, '--to', 'DIR', *places])}"
    if any(record.status == "incomplete" for record in records):
        yield f"to go on     {again(request.words)}"
