"""`leaderboard`: draw everything again from the records, or check that what is there is what they give."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli.boards import readme_of
from harness.cli.main import say, show
from harness.publish import draw, stale


def main(request: argparse.Namespace) -> int:
    results = Path(request.results)
    if request.check:
        differing = stale(results, readme_of(results))
        text = "\n".join(differing) or "the leaderboards are what the records give"
        show({"differing": differing}, text, request.json)
        if differing:
            say(
                f"{len(differing)} files differ from what the records give; draw them again: make leaderboard"
            )
        return 1 if differing else 0
    written = [str(path) for path in draw(results, readme_of(results))]
    show(
        {"written": written},
        f"{len(written)} files drawn; begin at {results / 'LEADERBOARD.md'}",
        request.json,
    )
    return 0
