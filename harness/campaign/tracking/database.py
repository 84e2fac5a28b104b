"""Opening a database of MLflow: made whole or not at all, one program at a time, and without its chatter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

SQLITE = "sqlite:///"


@contextmanager
def quiet() -> Iterator[None]:
    """Without the lines that MLflow's database writes when it is made."""
    loggers = [logging.getLogger(name) for name in ("mlflow.store.db.utils", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def make_database(uri: str, make: Callable[[str], None]) -> None:
    """Have the database file at a `sqlite:///` address; other addresses are left alone.

    MLflow makes its tables in many steps, and a program that is killed between two of them, or that meets another one
    there, leaves a file which MLflow refuses for ever. So one program at a time makes them, aside: the file appears
    under its name when it is whole.
    make: called with the address of the file aside.
    """
    if not uri.startswith(SQLITE):
        return
    file = Path(uri.removeprefix(SQLITE))
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f"{file.name}.lock")):
        if file.exists():
            return
        aside = file.with_name(f"{file.name}.unfinished")
        for left in file.parent.glob(f"{aside.name}*"):
            left.unlink()
        make(f"{SQLITE}{aside}")
        aside.replace(file)
