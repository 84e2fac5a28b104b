"""How many threads torch's arithmetic has: digits depend on it, so each cell says its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def arithmetic_threads(count: int) -> Iterator[None]:
    """So many threads until the end, then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
