"""Numbers on the command line: what is out of range is refused with what was expected."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            upto = "or more" if most is None else f"to {most}"
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, {least} {upto}")
        return number

    return read


AUTO = "auto"


def whole_or_auto(text: str) -> int | str:
    """Reads a whole number above 0, or `auto`."""
    return text if text == AUTO else whole(1)(text)


def whole_numbers(text: str) -> tuple[int, ...]:
    """Reads whole numbers above 0 with commas between them."""
    return tuple(whole(1)(part) for part in text.split(","))


def amount(unit: str) -> Callable[[str], float]:
    """Reads a number of such units above 0."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a number of {unit} above 0, such as 1.5")
        return number

    return read
