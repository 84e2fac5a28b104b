"""What made the numbers: commit, versions and machine. Recorded beside a result, never part of a cell's key."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import torch

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "optuna", "faiss-gpu", "faiss-cpu", "mlflow")


def environment(device: str, threads: int, workers: int, deterministic: bool = False) -> dict[str, Any]:
    """Facts about this machine and checkout, as plain data. deterministic: `harness.campaign.determinism`."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "device": device,
        "threads": threads,
        "workers": workers,
        "deterministic": deterministic,
        "packages": versions(),
        **commit(),
    }
    if device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return facts


def commit() -> dict[str, Any]:
    """The commit of the checkout this code runs from, and whether it was clean; empty outside a checkout."""
    here = Path(__file__).parent
    head = _git(here, "rev-parse", "HEAD")
    if head is None:
        return {}
    # Records, and the boards drawn from them, are no code: where only they changed, the commit made the numbers.
    changed = _git(
        here, "status", "--porcelain", "--", ":/", ":(exclude,top)results", ":(exclude,top)README.md"
    )
    return {"commit": head, "clean": changed == ""}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """The versions of PACKAGES; those that are not installed are left out."""
    found = {}
    for name in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
