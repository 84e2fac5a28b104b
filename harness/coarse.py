"""Similarities to within a proven bound, several times as fast as exact ones: products of 8-bit integers.

A tile of items shares one step a, and x is held as x̂ = a q with whole numbers q and an error e = x - x̂. Integer sums
are exact, so that by Cauchy and Schwarz

    |x·y - x̂·ŷ| = |e_x·y + x̂·e_y| <= |e_x| |y| + |x̂| |e_y|

What may come up to a similarity by this bound is a candidate, and candidates are looked at exactly. Where a machine
has no fast integer products, x̂ = x in float32: the same search, with errors of rounding alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

#: Items in a tile.
TILE = 1024
#: The largest of the whole numbers that stand for an item's values.
LEVELS = 127
#: Raw products lie above it, whatever the embeddings.
NEVER = -(1 << 30)
#: Integer products must take less than this share of the time of float ones.
PAYS = 0.7


@dataclass(frozen=True, eq=False)
class Coarse:
    """Items of unit length (or zero), padded with zeros to whole tiles: W of them, T = W / TILE tiles.

    values: (W, D) int8 or float32, the q. step: (T,) a. error: (W,) at least |e|. These two are float64.
    rounding: more than float32 products of the same items, however made, can differ.
    """

    values: Tensor
    step: Tensor
    error: Tensor
    rounding: float

    @classmethod
    def of(cls, items: Tensor) -> Coarse:
        """Items (N, D) float32; errors are smallest where those of a tile have similar largest values."""
        n, d = items.shape
        items = F.pad(items, (0, 0, 0, -n % TILE))
        # A float32 sum of d products is off by at most d 2^-24. Here a similarity is made in up to three ways.
        rounding = d * 2.0**-22
        if not integers_pay(d):
            nothing = torch.zeros(len(items), dtype=torch.float64)
            return cls(items, nothing[::TILE] + 1, nothing, rounding)
        step = (items.view(-1, TILE * d).abs().amax(1) / LEVELS).clamp_min(1e-12)
        steps = step.repeat_interleave(TILE)[:, None]
        values = (items / steps).round_().clamp_(-LEVELS, LEVELS)
        error = torch.linalg.vector_norm(items - values * steps, dim=1).double() * (1 + 1e-6) + 1e-9
        return cls(values.to(torch.int8), step.double(), error, rounding)

    @property
    def worst(self) -> Tensor:
        """(T,) the largest error of each tile."""
        return self.error.view(-1, TILE).amax(1)

    def room(self, queries: int, items: int) -> Tensor:
        """(queries, items) for raw products."""
        return torch.empty(queries, items, dtype=torch.int32 if self._integers else torch.float32)

    def products(self, queries: Tensor, items: Tensor, out: Tensor) -> None:
        """Raw products of rows of `values` (B, D) and (G, D) into `out` (B, G): similarities, in steps of both."""
        if self._integers:
            torch._int_mm(queries, items.T, out=out)
        else:
            torch.mm(queries, items.T, out=out)

    def slack(self, own: Tensor, other: Tensor) -> Tensor:
        """float32: by how much a coarse similarity can differ from an exact one, for the errors of both ends."""
        return (own + (1 + own) * other + self.rounding).float()

    def least(self, similarity: Tensor, step: Tensor) -> Tensor:
        """The raw products from which on a coarse similarity comes up to `similarity`; step: of both ends."""
        raw = (similarity / step).clamp_min(NEVER)
        return raw.ceil().to(torch.int32) if self._integers else raw.float()

    @property
    def _integers(self) -> bool:
        return self.values.dtype == torch.int8


@lru_cache(maxsize=64)
def integers_pay(d: int) -> bool:
    """Whether this machine multiplies 8-bit integers of d dimensions exactly, and faster than floats.

    Both are tried: without instructions for it, a processor cuts sums off at 16 bits, or makes them one by one.
    """
    if d * LEVELS * LEVELS >= -NEVER or not hasattr(torch, "_int_mm"):
        return False
    values = torch.full((64, d), LEVELS, dtype=torch.int8)
    values[::2, ::3] = -LEVELS
    exact = (values.double() @ values.double().T).to(torch.int32)
    try:
        if not torch.equal(torch._int_mm(values, values.T), exact):
            return False
    except RuntimeError:  # this build of PyTorch has none
        return False
    some = values.repeat(TILE // 64, 1)
    same = some.float()
    integers = _seconds(lambda: torch._int_mm(some[:256], some.T))
    return integers < PAYS * _seconds(lambda: torch.mm(same[:256], same.T))


def _seconds(run: Callable[[], object]) -> float:
    """The shortest of a few runs."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
