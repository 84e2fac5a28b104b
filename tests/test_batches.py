"""Samplers: what a batch holds, and the Reality Check's rule."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor

from harness.engine.batches import BATCHES, LIST_LENGTH, drawn_batches, pass_batches


def labels_of(*sizes: int) -> Tensor:
    shuffled = torch.cat([torch.full((size,), c) for c, size in enumerate(sizes)])
    return shuffled[torch.randperm(len(shuffled), generator=torch.Generator().manual_seed(5))]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("rule", BATCHES)
def test_batches_depend_on_the_generator_alone(rule: str) -> None:
    labels = labels_of(*[6] * 20)
    runs = [list(islice(BATCHES[rule](labels, 16, 4, generator(seed)), 5)) for seed in (1, 1, 2)]
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(runs[0], runs[2], strict=True))


def test_drawn_batches_hold_distinct_classes_and_images() -> None:
    labels = labels_of(*range(4, 24))
    for batch in islice(drawn_batches(labels, 32, 4, generator()), 50):
        counts = torch.bincount(labels[batch], minlength=20)
        assert sorted(counts[counts > 0].tolist()) == [4] * 8
        assert len(set(batch.tolist())) == 32


def test_a_class_with_too_few_images_is_drawn_with_repetition() -> None:
    labels = labels_of(2, 9)
    for batch in islice(drawn_batches(labels, 8, 4, generator()), 20):
        assert torch.bincount(labels[batch]).tolist() == [4, 4]
        own = batch[labels[batch] == 1]
        assert len(set(own.tolist())) == 4


def test_a_batch_of_more_classes_than_there_are_repeats_them_evenly() -> None:
    labels = labels_of(*[5] * 6)
    batch = next(drawn_batches(labels, 16, 1, generator()))
    counts = torch.bincount(labels[batch], minlength=6)
    assert counts.min() >= 2 and counts.max() <= 3 and len(batch) == 16


def test_passes_visit_every_class_once_before_any_again() -> None:
    classes, per_class = 75, 4
    labels = labels_of(*[30] * classes)
    one_pass = classes * per_class
    # 300 images a pass and 32 a batch: 75 batches are eight whole passes.
    stream = torch.cat(list(islice(pass_batches(labels, 32, per_class, generator()), 75)))
    for start in range(0, len(stream) - one_pass + 1, one_pass):
        seen = labels[stream[start : start + one_pass]].view(classes, per_class)
        assert torch.equal(seen, seen[:, :1].expand(-1, per_class)), "images of a class stand together"
        assert len(set(seen[:, 0].tolist())) == classes


@pytest.mark.parametrize(
    ("classes", "per_class", "batches"),
    [(75, 4, 3121), (75, 1, 3124), (74, 4, 3117), (8488, 4, 2122), (8488, 1, 2917)],
)
def test_a_list_is_cut_into_the_published_number_of_batches(
    classes: int, per_class: int, batches: int
) -> None:
    """protocol of the Reality Check: pass, list and batches for CUB (75), Cars (74) and SOP (8,488 classes)."""
    one_pass = classes * per_class
    assert LIST_LENGTH // one_pass * one_pass // 32 == batches
    # The batch after the last whole one of a list begins a new pass: its first class has not been cut in two.
    labels = torch.arange(classes).repeat_interleave(per_class)
    stream = pass_batches(labels, 32, per_class, generator())
    batch = next(islice(stream, batches, None))
    assert len(batch) == 32
    assert torch.bincount(labels[batch]).max() == per_class


def test_a_pass_shorter_than_a_batch_still_gives_whole_batches() -> None:
    labels = labels_of(3, 3)
    assert [len(b) for b in islice(pass_batches(labels, 32, 4, generator()), 3)] == [32, 32, 32]
