"""Records drawn as pages: `draw` writes what records and reported numbers say, `stale` tells what differs.

Everything here is a pure function of the results folder: no clock, no environment, no torch, the same bytes
each time. `draw_with_images` adds images that the results folder may not hold, in a place of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from harness.files import replace_file
from harness.publish.markdown import LEADERBOARD, leaderboard
from harness.publish.papers import read_all
from harness.publish.readme import refreshed
from harness.publish.report import report
from harness.publish.reported import read_reported
from harness.publish.rows import Board, read_boards
from harness.publish.shown import same_picture
from harness.publish.site import site_pages
from harness.thumbnails import Pixels

REPORT, SITE = "REPORT.md", "site"

#: Pictures of what a board shows, by `harness.thumbnails.picture_id`.
Pictures = Callable[[Board], Mapping[str, Pixels]]


def draw(results: Path, readme: Path | None = None) -> list[Path]:
    """Write `LEADERBOARD.md`, `REPORT.md` and `site/` under `results`, and remove what no record asks for any more.

    readme: a page whose marked boards are drawn anew too (`harness.publish.readme`).
    `site/` belongs to this function alone: any other file in it is removed. Returns every generated file.
    Raises RequestError where a record or a reported number cannot be read.
    """
    with _alone(results):
        pages = _pages(results, readme)
        _write(pages, results / SITE)
    return list(pages)


def draw_with_images(results: Path, site: Path, pictures: Pictures) -> list[Path]:
    """Write the site alone into the folder `site`, which belongs to this function, with pictures of all that is shown.

    Not for passing on: the terms of most datasets forbid it. Returns every generated file.
    """
    boards = [
        replace(board, thumbnails={**board.thumbnails, **pictures(board)}) for board in read_boards(results)
    ]
    pages = _site(results, boards, site)
    with _alone(results):
        _write(pages, site)
    return list(pages)


def _alone(results: Path) -> FileLock:
    """No other command draws meanwhile: it would take the files that one writes for such as no record asks for."""
    lock = results / ".work" / "drawing.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(lock)


def _write(pages: Mapping[Path, bytes], site: Path) -> None:
    for path in _superfluous(site, pages):
        path.unlink()
    for path, content in pages.items():
        if not _as_drawn(path, content):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
    _remove_empty_folders(site)


def stale(results: Path, readme: Path | None = None) -> list[str]:
    """What `draw` would change, one line a file (relative to `results`); empty when all is as drawn."""
    pages = _pages(results, readme)
    found = []
    for path, content in pages.items():
        name = path.name if path == readme else path.relative_to(results)
        if not path.is_file():
            found.append(f"{name}: is missing")
        elif not _as_drawn(path, content):
            found.append(f"{name}: differs from what the records say")
    extra = _superfluous(results / SITE, pages)
    found += [f"{path.relative_to(results)}: no record asks for it" for path in extra]
    return sorted(found)


def _pages(results: Path, readme: Path | None) -> dict[Path, bytes]:
    """Every generated file and its content, in the order of their paths."""
    boards = read_boards(results)
    pages = _site(results, boards, results / SITE)
    pages[results / LEADERBOARD] = leaderboard(boards, read_reported(results)).encode()
    pages[results / REPORT] = report(boards, _findings(results, boards)).encode()
    if readme is not None and readme.is_file():
        site = Path(os.path.relpath(results / SITE, readme.parent)).as_posix()
        pages[readme] = refreshed(readme.read_text(encoding="utf-8"), boards, site).encode()
    return dict(sorted(pages.items()))


def _findings(results: Path, boards: Sequence[Board]) -> dict[str, str]:
    """What somebody found out about a board, by its slug: `findings/<protocol>/<dataset>.md` under the results."""
    files = {board.slug: results / "findings" / f"{board.slug}.md" for board in boards}
    return {slug: file.read_text(encoding="utf-8") for slug, file in files.items() if file.is_file()}


def _site(results: Path, boards: Sequence[Board], site: Path) -> dict[Path, bytes]:
    """Every file of the site and its content."""
    pages = site_pages(boards, read_all(results), read_reported(results))
    return {
        site / name: content if isinstance(content, bytes) else content.encode()
        for name, content in sorted(pages.items())
    }


def _as_drawn(path: Path, content: bytes) -> bool:
    """Whether a file holds what would be drawn: the same bytes, or for a picture the same pixels."""
    if not path.is_file():
        return False
    there = path.read_bytes()
    return same_picture(there, content) if path.suffix in (".png", ".jpg") else there == content


def _superfluous(site: Path, pages: Mapping[Path, bytes]) -> list[Path]:
    """Files in the site's folder that would not be drawn now."""
    there = sorted(path for path in site.rglob("*") if path.is_file() or path.is_symlink())
    return [path for path in there if path not in pages]


def _remove_empty_folders(root: Path) -> None:
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
