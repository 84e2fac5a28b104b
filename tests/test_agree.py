"""`make agree` in short: few steps, few seeds; and that the comparison notices a shorter training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from harness.discovery import load_protocol
from tests.agreement import joint_interval
from tests.pml_loop import benches, loop, ours, tensors

SEEDS = range(1, 5)


def test_a_loop_with_the_library_alone_scores_the_same(data_root: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = load_protocol("omniglot_small").on("omniglot")
    protocol = dataclasses.replace(whole, epoch_steps=30, epochs=2)
    data, (bench, test) = tensors(data_root, protocol), benches(data_root, protocol, tmp_path)
    here = [ours("ms", bench, test, seed) for seed in SEEDS]
    low, high = joint_interval(here, [loop("ms", data, protocol, seed) for seed in SEEDS])
    assert low <= 0 <= high
    assert high - low < 0.2, "an interval that holds everything says nothing"
    # Three steps in the place of sixty are another experiment, and are told apart.
    less = dataclasses.replace(protocol, epochs=1, epoch_steps=3)
    low, _ = joint_interval(here, [loop("ms", data, less, seed) for seed in SEEDS])
    assert low > 0
