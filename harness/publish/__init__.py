"""Records drawn as pages: `draw` writes what records and reported numbers say, `stale` tells what differs.

Everything here is a pure function of the results folder: no clock, no environment, no torch, the same bytes
each time.
"""

from __future__ import annotations

from pathlib import Path

from harness.files import replace_file
from harness.publish.exports import board_csv, board_json, board_latex
from harness.publish.markdown import leaderboard
from harness.publish.papers import read_all
from harness.publish.readme import refreshed
from harness.publish.reported import read_reported
from harness.publish.rows import read_boards
from harness.publish.shown import same_picture
from harness.publish.site import site_pages

PAGE = "LEADERBOARD.md"
SITE = "site"


def draw(results: Path, readme: Path | None = None) -> list[Path]:
    """Write `LEADERBOARD.md` and `site/` under `results`, and remove what no record asks for any more.

    readme: a page whose marked boards are drawn anew too (`harness.publish.readme`).
    `site/` belongs to this function alone: any other file in it is removed. Returns every generated file.
    Raises RequestError where a record or a reported number cannot be read.
    """
    pages = _pages(results, readme)
    for path in _superfluous(results, pages):
        path.unlink()
    for path, content in pages.items():
        if not _as_drawn(path, content):
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, content)
    _remove_empty_folders(results / SITE)
    return list(pages)


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
    found += [f"{path.relative_to(results)}: no record asks for it" for path in _superfluous(results, pages)]
    return sorted(found)


def _pages(results: Path, readme: Path | None) -> dict[Path, bytes]:
    """Every generated file and its content, in the order of their paths."""
    boards = read_boards(results)
    reported = read_reported(results)
    pages: dict[Path, str | bytes] = {results / PAGE: leaderboard(boards, reported)}
    for board in boards:
        folder = results / SITE / board.slug
        pages[folder / "board.csv"] = board_csv(board)
        pages[folder / "board.json"] = board_json(board)
        pages[folder / "board.tex"] = board_latex(board)
    numbers = read_all(results)
    pages |= {
        results / SITE / name: content for name, content in site_pages(boards, numbers, reported).items()
    }
    if readme is not None and readme.is_file():
        pages[readme] = refreshed(readme.read_text(encoding="utf-8"), boards)
    return {
        path: content if isinstance(content, bytes) else content.encode()
        for path, content in sorted(pages.items())
    }


def _as_drawn(path: Path, content: bytes) -> bool:
    """Whether a file holds what would be drawn: the same bytes, or for a picture the same pixels."""
    if not path.is_file():
        return False
    there = path.read_bytes()
    return same_picture(there, content) if path.suffix in (".png", ".jpg") else there == content


def _superfluous(results: Path, pages: dict[Path, bytes]) -> list[Path]:
    """Files in the site's folder that would not be drawn now."""
    there = sorted(path for path in (results / SITE).rglob("*") if path.is_file() or path.is_symlink())
    return [path for path in there if path not in pages]


def _remove_empty_folders(root: Path) -> None:
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
