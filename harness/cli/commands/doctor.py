"""`doctor`: is everything here that a run needs?"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from tabulate import tabulate

from harness.campaign.environment import PACKAGES, environment, versions
from harness.cli.commands.list import datasets, protocols
from harness.cli.main import show
from harness.cli.settings import Settings, read_settings

#: Bytes below which a disk is called small: the decoded images of the largest dataset.
SMALL_DISK = 30 * 2**30


def main(request: argparse.Namespace) -> int:
    settings = read_settings(request.data, request.cache, request.results)
    checks = [*_packages(), *_devices(), *_places(settings)]
    checks += [_check(f"dataset {d['name']}", d["ready"], d["note"]) for d in datasets(settings)]
    checks += [_check(f"protocol {p['name']}", p["ready"], p["note"]) for p in protocols(settings)]
    rows = [["ok" if c["ok"] else "missing", c["what"], c["note"]] for c in checks]
    show(
        {"checks": checks, "environment": environment("cpu", 1, 1)},
        tabulate(rows, ["", "what", "note"], disable_numparse=True),
        request.json,
    )
    return 0


def _check(what: str, ok: object, note: object) -> dict[str, object]:
    return {"what": what, "ok": bool(ok), "note": str(note)}


def _packages() -> list[dict[str, object]]:
    here = versions()
    return [
        _check(name, name in here, here.get(name, f"pip install {name}"))
        for name in PACKAGES
        if name in here or not name.startswith("faiss")
    ]


def _devices() -> list[dict[str, object]]:
    count = torch.cuda.device_count()
    gpus = ", ".join(torch.cuda.get_device_name(i) for i in range(count))
    return [_check("GPU", count, gpus or "none: everything runs on the CPU, slower")]


def _places(settings: Settings) -> list[dict[str, object]]:
    checks = []
    for name, folder in (("cache", settings.cache), ("results", settings.results)):
        free = shutil.disk_usage(_existing(folder)).free
        note = f"{folder.resolve()}, {free / 2**30:.0f} GiB free"
        if free < SMALL_DISK:
            note += f" (the largest dataset decoded takes {SMALL_DISK / 2**30:.0f})"
        checks.append(_check(f"disk for the {name}", free > 2**30, note))
    data = settings.data
    note = "name one with --data or DML_DATA" if data is None else f"{data.resolve()}"
    checks.append(_check("data root", data is not None and data.is_dir(), note))
    return checks


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder
