"""How numbers are said: fractions become percent here and nowhere else, always with the same digits."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

NONE = "—"


def missing(value: Any) -> bool:
    """Whether a frame's cell holds no number."""
    return bool(pd.isna(value))


def number(value: Any) -> float | None:
    """A frame's cell as a float, None where it holds no number."""
    return None if missing(value) else float(value)


def percent(value: Any, digits: int = 2) -> str:
    """0.2231 -> `22.31`."""
    return NONE if missing(value) else f"{100 * value:.{digits}f}"


def with_margin(value: Any, low: Any, high: Any, digits: int = 2) -> str:
    """Mean and half width of a symmetric interval: `22.31 ± 0.12`; without an interval, the mean alone."""
    if missing(value) or missing(low):
        return percent(value, digits)
    return f"{percent(value, digits)} ± {percent((high - low) / 2, digits)}"


def gain(difference: float) -> str:
    """A difference of fractions in points of percent, with its sign: `+1.96`, `−0.54`."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def bracket(low: Any, high: Any, digits: int = 2) -> str:
    """Both ends of an interval: `[20.10, 24.52]`."""
    return NONE if missing(low) else f"[{percent(low, digits)}, {percent(high, digits)}]"


def rank(low: Any, high: Any) -> str:
    """`2`, or `1–3` where the rank is not settled."""
    if missing(low):
        return NONE
    return f"{int(low)}" if low == high else f"{int(low)}–{int(high)}"


def duration(seconds: Any) -> str:
    """`5.8 s`, `42 s`, `3 min 5 s`, `2 h 7 min`."""
    if missing(seconds):
        return NONE
    whole = round(float(seconds))
    if whole < 10:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def setting(value: Any) -> str:
    """A hyperparameter: four significant digits, no trailing zeros."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def plural(count: int, noun: str) -> str:
    """`1 search`, `3 searches`, `3 entries`."""
    if count == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{count} {noun[:-1]}ies"
    return f"{count} {noun}es" if noun.endswith(("s", "ch", "x")) else f"{count} {noun}s"


def printable(text: str) -> str:
    """Text on one line that no terminal takes for a command: others' titles may hold escape sequences."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
