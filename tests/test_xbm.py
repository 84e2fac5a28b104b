"""Cross-batch memory: what it adds to the loss, when it starts, what it forgets."""

from __future__ import annotations

import pytest
import torch
from pytorch_metric_learning import losses
from torch import Tensor, nn

from harness import Task, load_method
from tests.method_batches import random_batch
from tests.method_oracles import CLASSES, DIMENSIONS, assert_equal


def test_xbm_adds_another_librarys_memory_loss_to_the_batchs() -> None:
    ours = memory_of("xbm(contrastive)", slots=40, batch=16, memory_weight=0.7)
    theirs = losses.CrossBatchMemory(losses.ContrastiveLoss(), DIMENSIONS, memory_size=40).double()
    for seed in range(6):
        x, labels = random_batch(seed, images=16)

        def expected(x: Tensor, labels: Tensor) -> Tensor:
            return losses.ContrastiveLoss()(x, labels) + 0.7 * theirs(x, labels)

        assert_equal(ours, expected, x, labels)


def test_xbm_starts_late_and_forgets_the_oldest() -> None:
    objective = memory_of(
        "xbm", slots=10, batch=4, start=1.0
    )  # one pass over 10 images: 2 steps (2.5, to even)
    batches = [random_batch(seed, images=4) for seed in range(6)]
    for x, labels in batches[:2]:
        assert objective(x, labels).item() == pytest.approx(objective.inner(x, labels).item())
        assert objective.count.item() == 0
    for x, labels in batches[2:]:
        objective(x, labels)
    assert objective.count.item() == 10
    assert objective.pointer.item() == 16 % 10
    newest = torch.cat([x for x, _ in batches[2:]])[-10:]
    order = [(6 + i) % 10 for i in range(10)]  # the oldest slot first
    assert torch.equal(objective.memory[order], newest)
    assert torch.equal(objective.memory_labels[order], torch.cat([y for _, y in batches[2:]])[-10:])


def test_xbm_starts_by_half_of_a_short_training() -> None:
    assert memory_of("xbm", slots=100, batch=4, start=4.0, steps=20).start_step == 10


def test_xbm_keeps_no_gradient_of_earlier_steps() -> None:
    objective = memory_of("xbm", slots=16, batch=8)
    first, labels = random_batch(0, images=8)
    first.requires_grad_()
    objective(first, labels)
    second, labels = random_batch(1, images=8)
    assert torch.autograd.grad(objective(second.requires_grad_(), labels), first, allow_unused=True) == (
        None,
    )


def test_xbm_refuses_a_batch_larger_than_its_memory() -> None:
    with pytest.raises(ValueError, match="a memory of 16 is smaller than a batch of 24"):
        memory_of("xbm", slots=16, batch=8)(*random_batch(0))


def memory_of(
    name: str, *, slots: int, batch: int, start: float = 0.0, steps: int = 1000, **values: object
) -> nn.Module:
    """XBM in float64 over a training set of as many images as its memory has slots."""
    build = load_method(name).build
    assert build is not None
    task = Task(CLASSES, DIMENSIONS, images=slots, batch_size=batch, steps=steps)
    return build(task, start=start, **values).double()
