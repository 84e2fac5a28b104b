"""What a check says of an error: its kind, the line of the author's file, and what is most often behind it."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from textwrap import shorten
from types import FrameType
from typing import Any

OURS = Path(__file__).parent
LONGEST = 200  # characters of an error of torch, some of which are pages


def error_words(error: BaseException, build: Callable[..., Any] | None) -> str:
    """One line about an error that the code of a method raised, where its file is known with the line in it."""
    words = shorten(
        f"{type(error).__name__}: {error}".splitlines()[0].removesuffix("."), LONGEST, placeholder=" ..."
    )
    return words + line_of(error, folder_of(build)) + _meaning(words)


def folder_of(build: Callable[..., Any] | None) -> Path | None:
    """The folder of the file that holds a method's `build`; None for what is ours, whose lines nobody has to mend."""
    try:
        file = Path(inspect.getfile(build)).resolve() if build is not None else None
    except TypeError:  # built in
        return None
    return None if file is None or file.is_relative_to(OURS) else file.parent


def line_of(error: BaseException, folder: Path | None) -> str:
    """` (my_loss.py, line 31)` for the last line in a file of the folder that the error came from, or nothing."""
    return _innermost(folder, reversed(list(traceback.walk_tb(error.__traceback__))))


def line_now(folder: Path | None) -> str:
    """The same for the line that is being executed."""
    return _innermost(folder, traceback.walk_stack(sys._getframe(1)))


def _innermost(folder: Path | None, frames: Iterable[tuple[FrameType, int]]) -> str:
    """frames: with their lines, the innermost first."""
    if folder is None:
        return ""
    files = ((Path(frame.f_code.co_filename), line) for frame, line in frames)
    inside = (f" ({file.name}, line {line})" for file, line in files if file.resolve().parent == folder)
    return next(inside, "")


def _meaning(words: str) -> str:
    return next((f"; {meaning}" for part, meaning in MEANINGS.items() if part in words), "")


#: What torch says, and what an author of a loss has done.
MEANINGS = {
    "does not require grad": (
        "nothing connects the loss with the embeddings: look for detach(), torch.no_grad(), .item(), "
        "a comparison or an argmax on the way"
    ),
    "to not have been used in the graph": "the loss does not use the embeddings",
    "backward through the graph a second time": (
        "what is remembered from an earlier batch still has its graph: change it under torch.no_grad()"
    ),
    "is being used in an in-place operation": "make a new tensor instead of changing the embeddings in place",
}
