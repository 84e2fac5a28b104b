"""How a method is set beside another implementation: the same embeddings, value and gradient, in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from harness import Task, load_method
from tests.method_batches import degenerate_batches, random_batch

Loss = Callable[[Tensor, Tensor], Tensor]

CLASSES = 12
DIMENSIONS = 16

#: Random batches with 2, 3 and 4 images a class, then those that lack something, by name.
BATCHES: dict[str, tuple[Tensor, Tensor]] = {
    **{
        f"{k} a class, seed {seed}": random_batch(seed, per_class=k) for seed, k in enumerate((2, 3, 4, 3, 4))
    },
    **degenerate_batches(),
}


def built(
    name: str,
    *,
    classes: int = CLASSES,
    dimensions: int = DIMENSIONS,
    images_per_class: int | None = None,
    **values: object,
) -> nn.Module:
    """The objective of a method in float64, the same each time; values: other than its defaults."""
    build = load_method(name).build
    assert build is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(Task(classes, dimensions, images_per_class=images_per_class), **values).double()


def value_and_gradient(loss: Loss, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A loss and its gradient on the embeddings."""
    x = x.clone().requires_grad_()
    value = loss(x, labels)
    (gradient,) = torch.autograd.grad(value, x)
    return value.detach(), gradient


def assert_equal(ours: Loss, theirs: Loss, x: Tensor, labels: Tensor, tolerance: float = 1e-7) -> None:
    """Both give one value and one gradient on embeddings of any length."""
    value, gradient = value_and_gradient(ours, x, labels)
    expected, slope = value_and_gradient(theirs, x, labels)
    torch.testing.assert_close(value, expected.to(value.dtype).reshape(()), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(gradient, slope, rtol=tolerance, atol=tolerance)


class LargestTensor(TorchDispatchMode):
    """Inside this context, `numel` is the size of the largest tensor that any operation made."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel())
        return out
