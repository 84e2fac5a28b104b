"""Arithmetic that gives a GPU's digits again: torch's deterministic operations alone, at a cost of time.

On a CPU with a fixed number of threads digits are equal without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Run the block with operations that give equal digits each time; one that has no such form raises RuntimeError.

    cuBLAS needs CUBLAS_WORKSPACE_CONFIG besides, from before CUDA starts.
    """
    if not wanted:
        yield
        return
    enabled, only_warns = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    before = cudnn.deterministic, cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    # A benchmark chooses by the clock, and each of its choices has its own digits.
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=only_warns)
        cudnn.deterministic, cudnn.benchmark = before


def refused(error: str) -> str | None:
    """What to say of an error that only `deterministic` raises; None for another error.

    PyTorch's words: the error has no class of its own.
    """
    operation, has_none, _ = error.partition(" does not have a deterministic implementation")
    if has_none:
        return (
            f"{operation} has no deterministic form on this device; run this method without --deterministic"
        )
    if "not deterministic because it uses CuBLAS" in error:
        return "CUDA started without CUBLAS_WORKSPACE_CONFIG=:4096:8, which --deterministic needs in every process"
    return None
