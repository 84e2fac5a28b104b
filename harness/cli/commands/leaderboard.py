"""`leaderboard`: draw everything again from the records, or check that what is there is what they give."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli.boards import readme_of
from harness.cli.main import say, show
from harness.cli.settings import read_settings
from harness.errors import RequestError
from harness.publish import draw, draw_with_images, stale

#: Where the site with images goes: ignored by git, since most images are not ours to pass on.
OWN_SITE = Path(".work") / "site"


def main(request: argparse.Namespace) -> int:
    results = Path(request.results)
    if request.with_images:
        return _with_images(request, results)
    if request.check:
        return _check(request, results)
    written = [str(path) for path in draw(results, readme_of(results))]
    text = f"{len(written)} files drawn; begin at {results / 'LEADERBOARD.md'}"
    show({"written": written}, text, request.json)
    return 0


def _check(request: argparse.Namespace, results: Path) -> int:
    differing = stale(results, readme_of(results))
    text = "\n".join(differing) or "the leaderboards are what the records give"
    show({"differing": differing}, text, request.json)
    if differing:
        say(f"{len(differing)} files differ from what the records give; draw them again: make leaderboard")
    return 1 if differing else 0


def _with_images(request: argparse.Namespace, results: Path) -> int:
    # Datasets are loaded for this alone; the plain leaderboard draws without them.
    from harness.cli.images import local_pictures

    if request.check:
        raise RequestError("--check compares the site that is committed, which has no --with-images")
    settings = read_settings(request.data, request.cache, request.results)
    site = results / OWN_SITE
    written = [
        str(path)
        for path in draw_with_images(results, site, local_pictures(settings.data, settings.cache, say))
    ]
    text = f"{len(written)} files drawn, for this machine alone; begin at {site / 'index.html'}"
    show({"written": written}, text, request.json)
    return 0
