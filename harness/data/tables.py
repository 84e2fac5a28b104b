"""The lists that datasets come with: text files of rows, their words separated by blanks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.errors import MissingError, RequestError


def rows(file: Path, words: int, head: int = 0) -> Iterator[tuple[str, ...]]:
    """The rows of a list, each of `words` words, without the first `head` lines and empty ones.

    Raises MissingError when the list is absent and RequestError that names the line when it has another form.
    """
    for number, line in enumerate(lines(file), start=1):
        if number > head and line.strip():
            parts = tuple(line.split())
            if len(parts) != words:
                raise RequestError(
                    f"{file}, line {number}: {len(parts)} words, expected {words}: {line.strip()!r}; "
                    "fetch the list again"
                )
            yield parts


def pairs(file: Path) -> dict[str, str]:
    """A list of two words a row as {first: second}, in its order."""
    return {first: second for first, second in rows(file, 2)}  # noqa: C416  dict() takes no rows of unknown length


def lines(file: Path) -> list[str]:
    """The lines of a text file. Raises MissingError when it is absent."""
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise MissingError(
            f"{file} is missing: the copy of the dataset is not complete; fetch it again"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(
            f"{file} cannot be read: {error}; fetch the list again, or see who may read it"
        ) from error
