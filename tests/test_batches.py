"""Samplers: what a batch holds, the Reality Check's rule, and what a training's batches depend on."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.campaign.prepare import prepare, settle_trunk
from harness.cell import Training
from harness.discovery import load_method, load_protocol
from harness.engine.batches import BATCHES, LIST_LENGTH, drawn_batches, pass_batches
from harness.engine.training import run_training
from tests.small import few_glyphs


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
    assert len(stream) == 8 * one_pass
    assert is_cut_into_passes(labels[stream], classes, per_class)


@pytest.mark.parametrize(
    ("classes", "per_class", "batches"),
    [(75, 4, 3121), (75, 1, 3124), (74, 4, 3117), (8488, 4, 2122), (8488, 1, 2917)],
)
def test_a_list_is_cut_into_the_published_number_of_batches(
    classes: int, per_class: int, batches: int
) -> None:
    """protocol of the Reality Check: batches of 32 from one list for CUB (75), Cars (74) and SOP (8,488 classes)."""
    one_pass = classes * per_class
    labels = torch.arange(classes).repeat_interleave(per_class)
    stream = pass_batches(labels, 32, per_class, generator())
    whole = torch.cat(list(islice(stream, batches)))
    assert is_cut_into_passes(labels[whole], classes, per_class)
    # Nothing is left of the list: what follows is a pass from its beginning.
    follow = torch.cat(list(islice(stream, -(-one_pass // 32))))
    assert is_cut_into_passes(labels[follow[:one_pass]], classes, per_class)
    if cut := batches * 32 % one_pass:  # else the list ended with a pass, as SOP's does
        assert not is_cut_into_passes(torch.cat([labels[whole[-cut:]], labels[follow]]), classes, per_class)


def is_cut_into_passes(stream: Tensor, classes: int, per_class: int) -> bool:
    """Whether each stretch of classes x per_class images from the start on visits every class once, as one group; the
    last one may be cut short."""
    for one_pass in torch.split(stream, classes * per_class):
        groups = one_pass[: len(one_pass) // per_class * per_class].view(-1, per_class)
        whole = bool((groups == groups[:, :1]).all())
        if not whole or len(set(groups[:, 0].tolist())) < len(groups):
            return False
    return True


def test_a_batch_longer_than_a_list_gets_its_passes() -> None:
    labels = labels_of(3, 3, 3)
    for batch in islice(pass_batches(labels, LIST_LENGTH + 2, 10_000, generator()), 2):
        assert len(batch) == LIST_LENGTH + 2
        assert torch.bincount(labels[batch]).min() >= 30_000


# -- in a training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", BATCHES)
def test_batches_know_the_seed_and_not_the_method(rule: str, tmp_path: Path) -> None:
    """Two methods see the same batches in the same order; another seed has its own."""
    protocol = dataclasses.replace(load_protocol("smoke"), batches=rule, epoch_steps=5, epochs=1)
    trunk = settle_trunk(protocol, None, None, None)
    bench, _ = prepare(few_glyphs(), trunk, tmp_path, "cpu", 1, (), lambda *_: None)

    def batches_of(method: str, seed: int = 1) -> list[list[int]]:
        seen: list[list[int]] = []
        seeing = dataclasses.replace(load_method("nca"), name=method, build=lambda task, **_: Seeing(seen))
        cell = Training("p", "", "few", "", "", (1,), "", method, "", {"scale": 1.0}, 0, seed)
        result, _ = run_training(cell, seeing, bench)
        assert result.status == "ok", result.error
        return seen

    first = batches_of("one")
    assert len(first) == 5 and first == batches_of("another")
    assert first != batches_of("one", seed=2)


class Seeing(nn.Module):
    """An objective that notes the labels of its batches."""

    def __init__(self, seen: list[list[int]]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        self.seen.append(labels.tolist())
        return embeddings.square().mean()
