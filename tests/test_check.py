"""The contract check finds what it promises to find: each test breaks one rule and reads the finding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.check import check
from harness.method import Method, Paper
from methods._pairs import cosine, pair_masks, unit

PAPER = Paper("A", "B", "C", 2020, "")
Loss = Callable[[Tensor, Tensor], Tensor]


def sound(embeddings: Tensor, labels: Tensor) -> Tensor:
    """Softmax over the batch: a loss that keeps the contract, computed in float32."""
    with torch.autocast("cpu", enabled=False):
        x = unit(embeddings if embeddings.dtype == torch.float64 else embeddings.float())
        positive, negative = pair_masks(labels)
        logits = 10 * cosine(x, x)
        every = logits.masked_fill(~(positive | negative), -1e9).logsumexp(-1)
        return torch.where(positive, every[:, None] - logits, 0.0).sum() / positive.sum().clamp_min(1)


class Objective(nn.Module):
    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return self.loss(embeddings, labels)


def findings(loss: Loss) -> str:
    return "\n".join(check(Method("T", PAPER, lambda task: Objective(loss), "pair")))


def test_a_sound_method_has_no_findings() -> None:
    assert findings(sound) == ""


def broken_on_empty(x: Tensor, y: Tensor) -> Tensor:
    positive, _ = pair_masks(y)
    return sound(x, y) + 0 * x.sum() / positive.sum()


def order_dependent(x: Tensor, y: Tensor) -> Tensor:
    return sound(x, y) * (1 + unit(x.detach())[0, 0] ** 2)


def in_bfloat16(x: Tensor, y: Tensor) -> Tensor:
    return sound(x, y) + (0.1 * (x @ x.T) ** 2).mean()


def still(x: Tensor, y: Tensor) -> Tensor:
    return sound(torch.cat([x[:1].detach(), x[1:]]), y)


def synchronising(x: Tensor, y: Tensor) -> Tensor:
    return sound(x, y) * (1.0 if y.sum().item() > -1 else 2.0)


def by_indexing(x: Tensor, y: Tensor) -> Tensor:
    s, positive = unit(x.float()) @ unit(x.float()).T, pair_masks(y)[0]
    return sound(x, y) - 0 * s[positive].sum()


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (broken_on_empty, "on a batch with all classes distinct"),
        (order_dependent, "depends on the order"),
        (in_bfloat16, "under bfloat16 autocast"),
        (synchronising, "torch.compile"),
        (synchronising, "uses .item()"),
        (by_indexing, "uses x[mask]"),
        (lambda x, y: -sound(x, y), "Recall@1 is"),
        (lambda x, y: sound(x, y).expand(2), "shape"),
        (lambda x, y: sound(x, y) * 0, "get no gradient"),
        (lambda x, y: x.detach().sum(), "does not require grad"),
    ],
)
def test_a_broken_loss_is_found(loss: Loss, words: str) -> None:
    assert words in findings(loss)


def test_what_the_objective_learns_needs_a_rate() -> None:
    class Learns(Objective):
        def __init__(self) -> None:
            super().__init__(sound)
            self.proxies = nn.Parameter(torch.zeros(2))

    assert "proxies, but METHOD.own" in "\n".join(check(Method("T", PAPER, lambda task: Learns(), "pair")))


def test_a_build_that_swallows_keywords_is_found() -> None:
    def build(task: object, **anything: object) -> nn.Module:
        return Objective(sound)

    assert "does not have" in "\n".join(check(Method("T", PAPER, build, "pair")))


def test_state_outside_the_module_is_found() -> None:
    class Forgets(Objective):
        def __init__(self) -> None:
            super().__init__(sound)
            self.calls = 0

        def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
            self.calls += 1
            return self.loss(embeddings, labels) * self.calls

    assert "state_dict" in "\n".join(check(Method("T", PAPER, lambda task: Forgets(), "pair")))


def test_state_shared_between_objectives_is_found() -> None:
    memory = torch.zeros(1)

    class Shares(Objective):
        def __init__(self) -> None:
            super().__init__(sound)
            self.register_buffer("seen", memory.clone())

        def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
            memory.add_(1)
            return self.loss(embeddings, labels)

    assert "left behind" in "\n".join(check(Method("T", PAPER, lambda task: Shares(), "pair")))


def test_a_build_that_fails_is_found() -> None:
    def build(task: object) -> nn.Module:
        raise KeyError("proxies")

    (finding,) = check(Method("T", PAPER, build, "pair"))
    assert finding.startswith("build(task, **published) fails: KeyError: 'proxies' (test_check.py, line ")


def test_a_head_of_the_wrong_width_is_found() -> None:
    class Narrow(nn.Module):
        def forward(self, features: list[Tensor]) -> Tensor:
            return features[-1]

    assert "expected (3, 16)" in check(Method("T", PAPER, None, "floor", head=lambda sizes, d: Narrow()))[0]
