"""What a person sees while one thing after another is done: a bar a step on a terminal, a line a step anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


@contextmanager
def step_bars(counts_bytes: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A function to be told the step, what of it is done and how much there is, in bytes or in pieces."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if counts_bytes else MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=None)
                if not console.is_terminal:
                    console.print(what, markup=False, highlight=False, soft_wrap=True)
            progress.update(tasks[what], completed=done, total=total or None)

        yield told
