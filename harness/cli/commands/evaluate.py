"""`evaluate`: score embeddings that were made anywhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabulate import tabulate

from harness.cli.boards import readme_of
from harness.cli.evaluate import evaluate, resubmit
from harness.cli.main import say, show
from harness.cli.places import demand_writable
from harness.cli.settings import read_settings
from harness.data import load_dataset
from harness.errors import RequestError
from harness.publish import draw
from harness.submission import write_submission


def main(request: argparse.Namespace) -> int:
    if request.submit is not None:
        return _submit(request)
    if request.dataset is not None or request.title is not None:
        raise RequestError("--dataset and --title belong to --submit NAME; add that, or leave them out")
    values = evaluate(Path(request.file), _ranks(request.recall_at))
    counts = ("queries", "excluded_queries")
    rows = [[name, value if name in counts else f"{100 * value:.2f} %"] for name, value in values.items()]
    show(values, tabulate(rows, tablefmt="plain", disable_numparse=True), request.json)
    return 0


def _submit(request: argparse.Namespace) -> int:
    if request.dataset is None:
        raise RequestError("--submit: name the dataset whose test images were embedded with --dataset")
    settings = read_settings(request.data, request.cache, request.results)
    demand_writable("--results", settings.results)
    dataset = load_dataset(request.dataset, settings.data, request.partial, cache=settings.cache)
    submission = resubmit(Path(request.file), dataset, request.submit, request.title or request.submit)
    path = write_submission(settings.results, submission)
    draw(settings.results, readme_of(settings.results))
    rows = [[name, f"{100 * value:.2f} %"] for name, value in submission.metrics.items()]
    say(f"submitted    {path}")
    show(
        submission.model_dump(by_alias=True),
        tabulate(rows, tablefmt="plain", disable_numparse=True),
        request.json,
    )
    return 0


def _ranks(text: str) -> tuple[int, ...]:
    try:
        ranks = tuple(int(word) for word in text.split(","))
    except ValueError:
        ranks = ()
    if not ranks or min(ranks) < 1:
        raise RequestError(f"--recall-at {text}: expected whole numbers of 1 or more, such as 1,2,4,8")
    return ranks
