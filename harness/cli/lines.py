"""The command line that makes an entry again: one that a record may hold, and one that holds on this machine."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.addresses import without_password

#: Stands for the entry's method until that is known.
METHOD = "METHOD"


def again(words: Sequence[str]) -> str:
    """The command line that a person can type again. Passwords in URLs are left for that person to put back."""
    return " ".join(["python run_benchmark.py", *(shlex.quote(without_password(word)) for word in words)])


def shown(path: str) -> str:
    """A path as others may see it: relative inside the working folder, elsewhere the file's name alone."""
    place, here = _absolute(path), Path.cwd()
    return str(place.relative_to(here)) if place.is_relative_to(here) else place.name


def local(path: str) -> str:
    """A path that holds on this machine, wherever the command is typed."""
    return str(_absolute(path))


def entry_line(
    request: argparse.Namespace, pairs: Sequence[str], partial: bool, path: Callable[[str], str]
) -> str:
    """The line for one entry of a settled request; METHOD stands for its method.

    pairs: of `--set`. partial: whether the dataset is a copy with fewer classes. path: `shown` or `local`.
    """
    kind, colon, place = request.dataset.partition(":")
    words = ["--methods", METHOD, "--dataset", f"{kind}:{path(place)}" if colon else kind]
    words += ["--protocol", request.protocol]
    words += ["--partial"] if partial else []
    words += ["--backbone", request.backbone] if request.backbone else []
    if request.weights:
        words += [
            "--weights",
            request.weights if request.weights.lower() == "none" else path(request.weights),
        ]
    words += [word for pair in pairs for word in ("--set", pair)]
    words += [word for file in request.plugin for word in ("--plugin", path(file))]
    words += ["--threads", str(request.threads)] if request.threads != 1 else []
    words += ["--deterministic"] if request.deterministic else []
    return again(words)


def _absolute(path: str) -> Path:
    # Links are not followed: they are part of what the user called the file.
    return Path(os.path.abspath(os.path.expanduser(path)))
