"""Cross-Batch Memory: the loss of the batch against itself plus that of the batch against recent embeddings.

    L = L_inner(batch, batch) + w L_inner(batch, memory),   memory: the last R embeddings, without gradient

From step `start` on, each batch enters the memory before the loss is taken, as in the authors' code, and an
anchor's own copy is left out. Plain `xbm` wraps the authors' contrastive loss on similarities; `xbm(ms)` and
others wrap any pair loss.

Departures: R is a share of the training images and the start counts passes over them, so that they mean the
same under every protocol; the start comes at the latest halfway through the training. The memory wraps modulo
R and keeps a count of its full slots (the authors test whether the last label is 0, which class 0 defeats).
Own copies are left out by their index, not by s < 1 - 1e-5. Embeddings are stored as the head gives them.

Wang, Zhang, Huang, Scott: Cross-Batch Memory for Embedding Learning.
CVPR 2020. https://arxiv.org/abs/1912.06798
"""

import inspect

import torch
from optuna.distributions import FloatDistribution
from torch import Tensor, nn

from harness.method import Method, Paper, Task
from methods._pairs import full_precision

#: Images and batch size where the task does not say: the authors' default memory and batch.
USUAL_IMAGES = 8192
USUAL_BATCH = 64


class CrossBatchMemory(nn.Module):
    """The loss `inner` of a batch, over itself and over the embeddings of earlier steps.

    capacity: R, slots of the memory. start: steps that pass before anything enters it. weight: w.
    """

    memory: Tensor
    memory_labels: Tensor
    pointer: Tensor
    count: Tensor
    step: Tensor

    def __init__(
        self, inner: nn.Module, dimensions: int, *, capacity: int, start: int, weight: float
    ) -> None:
        super().__init__()
        self.inner = inner
        self.start_step = start
        self.weight = weight
        self.register_buffer("memory", torch.zeros(capacity, dimensions))
        self.register_buffer("memory_labels", torch.zeros(capacity, dtype=torch.int64))
        for name in ("pointer", "count", "step"):
            self.register_buffer(name, torch.zeros((), dtype=torch.int64))

    @full_precision
    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """embeddings (B, D), labels (B,) -> ()."""
        slots = self._enqueue(embeddings.detach(), labels)
        full = torch.arange(len(self.memory), device=labels.device) < self.count
        own = slots[:, None], torch.zeros_like(labels[:, None], dtype=torch.bool)
        valid = full.expand(len(labels), -1).scatter(1, *own)
        batch_loss: Tensor = self.inner(embeddings, labels)
        memory_loss: Tensor = self.inner(embeddings, labels, self.memory, self.memory_labels, valid)
        return batch_loss + self.weight * memory_loss

    @torch.no_grad()
    def _enqueue(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Write the batch over the oldest slots once the start has passed; returns the (B,) slots."""
        if len(embeddings) > len(self.memory):
            raise ValueError(f"a memory of {len(self.memory)} is smaller than a batch of {len(embeddings)}")
        started = self.step >= self.start_step
        slots = (self.pointer + torch.arange(len(labels), device=labels.device)) % len(self.memory)
        # Before the start each slot is written with what it holds: one path, whatever the step.
        new = torch.where(started, embeddings.to(self.memory.dtype), self.memory[slots])
        self.memory[slots] = new
        self.memory_labels[slots] = torch.where(started, labels, self.memory_labels[slots])
        entered = started * len(labels)
        self.pointer.copy_((self.pointer + entered) % len(self.memory))
        self.count.copy_((self.count + entered).clamp_max(len(self.memory)))
        self.step.add_(1)
        return slots


def build(
    task: Task, inner: nn.Module, *, memory: float = 1.0, start: float = 1.0, memory_weight: float = 1.0
) -> nn.Module:
    """memory: share of the training images. start: passes over them. memory_weight: w."""
    if "references" not in inspect.signature(inner.forward).parameters:
        raise ValueError("this loss cannot look into a memory; XBM wraps losses of pairs and triplets")
    images = task.images or USUAL_IMAGES
    batch = task.batch_size or USUAL_BATCH
    first = round(start * images / batch)
    if task.steps is not None:
        first = min(first, task.steps // 2)
    capacity = max(round(memory * images), batch)
    return CrossBatchMemory(inner, task.embedding_size, capacity=capacity, start=first, weight=memory_weight)


METHOD = Method(
    title="XBM",
    paper=Paper(
        authors="Wang, Zhang, Huang, Scott",
        title="Cross-Batch Memory for Embedding Learning",
        venue="CVPR",
        year=2020,
        link="https://arxiv.org/abs/1912.06798",
    ),
    build=build,
    kind="pair",
    inner="contrastive_seed",
    space={
        "memory": FloatDistribution(0.05, 1, log=True),
        "start": FloatDistribution(0, 4),
        "memory_weight": FloatDistribution(0.1, 2, log=True),
    },
    published={"memory": 1.0, "start": 1.0, "memory_weight": 1.0},
    cost="similarities of each batch to the memory",
)
