"""`merge`: take the finished cells of other results folders, so that the same commands go on from all of them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.campaign.campaign import Places
from harness.campaign.merging import Merged, merge
from harness.campaign.store import CellStore
from harness.cli.main import show
from harness.cli.places import demand_writable
from harness.errors import RequestError

#: How many of a cell's differing numbers are shown to a person; `--json` has all.
SHOWN = 3


def main(request: argparse.Namespace) -> int:
    results = Path(request.results)
    demand_writable("--results", results)
    folders = [Path(folder) for folder in request.folders]
    for folder in folders:
        if folder.resolve() == results.resolve():
            raise RequestError(f"{folder} is --results itself; name the folders to take cells from")
    merged = merge(folders, CellStore(Places(results).cells))
    show(_value(merged), _text(merged, results), request.json)
    return 1 if merged.differing or merged.refused else 0


def _value(merged: Merged) -> dict[str, Any]:
    differing = [{**asdict(d), "folder": str(d.folder)} for d in merged.differing]
    return {
        "taken": merged.taken, "equal": merged.equal, "differing": differing, "refused": merged.refused,
    }  # fmt: skip


def _text(merged: Merged, results: Path) -> str:
    lines = [
        f"{merged.taken} cells taken into {results}, {merged.equal} were there already with equal numbers"
    ]
    for d in merged.differing:
        lines.append(f"differs: {d.cell} ({d.key[:12]}), here and in {d.folder}; what is here stays")
        lines += [f"  {name}: {here} here, {there} there" for name, here, there in d.values[:SHOWN]]
        if len(d.values) > SHOWN:
            lines.append(f"  and {len(d.values) - SHOWN} more (--json)")
    lines += [f"not taken: {fault}" for fault in merged.refused]
    if merged.refused:
        lines.append("what was not taken lies where it was: remove it there, or run its command there again")
    if merged.taken:
        lines.append("the commands that made them now go on from all of these cells, and write the records")
    return "\n".join(lines)
