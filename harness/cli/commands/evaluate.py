"""`evaluate`: score embeddings that were made anywhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabulate import tabulate

from harness.cli.evaluate import evaluate
from harness.cli.main import show
from harness.errors import RequestError


def main(request: argparse.Namespace) -> int:
    values = evaluate(Path(request.file), _ranks(request.recall_at))
    counts = ("queries", "excluded_queries")
    rows = [[name, value if name in counts else f"{100 * value:.2f} %"] for name, value in values.items()]
    show(values, tabulate(rows, tablefmt="plain", disable_numparse=True), request.json)
    return 0


def _ranks(text: str) -> tuple[int, ...]:
    try:
        ranks = tuple(int(word) for word in text.split(","))
    except ValueError:
        ranks = ()
    if not ranks or min(ranks) < 1:
        raise RequestError(f"--recall-at {text}: expected whole numbers of 1 or more, such as 1,2,4,8")
    return ranks
