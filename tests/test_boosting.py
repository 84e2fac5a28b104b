"""BIER and A-BIER: worked-out losses, weights of the boosting, the head's columns and who gets which gradient."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import Task, load_method
from methods._boosting import LearnersHead, activation_loss, boosted_losses
from methods._groups import unit_groups
from tests.method_batches import at_angles, fix6, random_batch
from tests.method_training import untrained_and_trained

VALUES = {"nu": 0.06, "cost": 25.0, "alpha": 2.0, "beta": 0.5}
SIZES = [3, 5, 8]


def built(name: str, **values: float) -> Any:
    build = load_method(name).build
    assert build is not None
    torch.manual_seed(0)
    return build(Task(classes=6, embedding_size=16), **values).double()


def test_worked_out_losses_of_two_learners() -> None:
    x, labels = fix6()
    second = at_angles((10, 15, 80, 70, 90, 160))
    losses, _ = boosted_losses([x, second], labels, **VALUES)
    assert [loss.item() for loss in losses] == pytest.approx([4.2094031341, 3.8457164346], abs=1e-9)
    assert sum(losses).item() == pytest.approx(8.0551195687, abs=1e-9)  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(3))
def test_losses_and_weights_equal_the_loop(seed: int) -> None:
    embeddings, labels = random_batch(seed, per_class=3, images=12)
    parts = unit_groups(embeddings, SIZES)
    losses, weights = boosted_losses(parts, labels, **VALUES)
    n = len(labels)
    same = [[bool(labels[i] == labels[j]) for j in range(n)] for i in range(n)]
    counted = sum(map(sum, same))  # with the diagonal, as released
    for k in range(3):
        total = 0.0
        for i in range(n):
            for j in range(n):
                running, weight = 0.5, 1.0
                for x in parts[: k + 1]:
                    act = 2 * (float(x[i] @ x[j]) - 0.5) * (1 if same[i][j] else -25)
                    last, running = weight, running + 0.06 * act
                    weight = (1 if same[i][j] else 2) / (1 + math.exp(running))
                if i != j:
                    even = 1 / counted if same[i][j] else 1 / (n * n - counted)
                    total += last * even * math.log1p(math.exp(-act)) / 3
                    assert weights[k][i, j].item() == pytest.approx(last, rel=1e-9)
        assert losses[k].item() == pytest.approx(total, rel=1e-9)


def test_the_first_learner_sees_all_pairs_alike_and_weights_are_constants() -> None:
    embeddings, labels = random_batch(0)
    embeddings.requires_grad_()
    losses, weights = boosted_losses(unit_groups(embeddings, SIZES), labels, **VALUES)
    assert (weights[0] == 1).all()
    assert not any(weight.requires_grad for weight in weights)
    (gradient,) = torch.autograd.grad(losses[1], embeddings)
    assert (gradient[:, :3] == 0).all() and (gradient[:, 3:8] != 0).any(), "a learner's loss is its own"


def test_one_learner_and_the_activation_loss_have_right_gradients() -> None:
    x, labels = random_batch(1, images=6, per_class=2, dimensions=4)
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: boosted_losses(unit_groups(y, [4]), labels, **VALUES)[0][0], x)
    assert torch.autograd.gradcheck(lambda y: activation_loss(torch.split(y, [1, 3], dim=1)), x)


def test_the_activation_loss_is_the_mean_over_all_pairs_of_outputs() -> None:
    v, _ = random_batch(2, images=5, per_class=1)
    first, second, third = torch.split(v, SIZES, dim=1)
    pairs = ((first, second), (first, third), (second, third))
    expected = sum((a[:, :, None] * b[:, None, :]).square().mean() for a, b in pairs)
    torch.testing.assert_close(activation_loss([first, second, third]), expected)


# -- the head -----------------------------------------------------------------------------------------------
def test_the_head_compares_as_the_paper_does() -> None:
    """Learners count by the square of their share; every embedding has one length, so a cosine ranks alike."""
    head = LearnersHead((4, 20), 16).double().eval()
    features = torch.randn(9, 20, dtype=torch.float64)
    x = head([features[:, :4], features])
    assert x.shape == (9, 16)
    parts = [torch.nn.functional.normalize(learner(features)) for learner in head.learners]
    expected = sum((size / 16) ** 2 * part @ part.T for size, part in zip(SIZES, parts, strict=True))
    torch.testing.assert_close(x @ x.T, expected)
    length = x.norm(dim=1)
    torch.testing.assert_close(length, length[:1].expand(9))


def test_in_training_the_outputs_follow_without_gradient_to_the_features() -> None:
    head = LearnersHead((20,), 16)
    features = torch.randn(9, 20, requires_grad=True)
    columns = head([features])
    assert columns.shape == (9, 32)
    for part, learner in zip(torch.split(columns[:, 16:], SIZES, dim=1), head.learners, strict=True):
        torch.testing.assert_close(part, features @ learner.get_parameter("weight").T)
    columns[:, 16:].square().sum().backward()
    assert features.grad is not None and (features.grad == 0).all()
    assert all(weight.grad is not None for weight in head.weights)


def test_the_penalty_is_zero_where_rows_have_length_one() -> None:
    head = LearnersHead((20,), 16)
    assert head.penalty() > 0
    with torch.no_grad():
        for weight in head.weights:
            weight.copy_(torch.nn.functional.normalize(weight, dim=0))
    assert head.penalty().item() == pytest.approx(0, abs=1e-12)


# -- adversaries --------------------------------------------------------------------------------------------
def similarity(objective: Any, outputs: list[Tensor]) -> Tensor:
    """What the regressors raise and the learners lower: Σ mean (v_k ∘ R(v_l))², nothing reversed."""
    terms = [
        (outputs[k] * regressor(outputs[m])).square().mean()
        for (k, m), regressor in zip(objective.pairs, objective.regressors, strict=True)
    ]
    return torch.stack(terms).sum()


def test_regressors_and_learners_pull_in_opposite_directions() -> None:
    objective = built("a_bier")
    v, _ = random_batch(3)
    v.requires_grad_()
    outputs = list(torch.split(v, SIZES, dim=1))
    value = objective.adversarial(outputs)
    norms = 100 * sum(regressor.norms() for regressor in objective.regressors)
    expected = similarity(objective, outputs)
    torch.testing.assert_close(value, norms - expected)
    weight = objective.regressors[0].second.weight
    ours = torch.autograd.grad(value - norms, [v, weight], retain_graph=True)
    true = torch.autograd.grad(expected, [v, weight])
    torch.testing.assert_close(ours[0], true[0])  # learners lower the similarity
    torch.testing.assert_close(ours[1], -true[1])  # regressors raise it


def test_the_regressors_norms_are_not_reversed() -> None:
    (regressor, *_) = built("a_bier").regressors
    before = regressor.norms()
    (gradient,) = torch.autograd.grad(before, regressor.first.weight)
    with torch.no_grad():
        regressor.first.weight -= 1e-3 * gradient
    assert regressor.norms() < before


@pytest.mark.parametrize("name", ["bier", "a_bier"])
def test_the_objective_adds_its_parts(name: str) -> None:
    objective = built(name, diversity=0.1)
    joined, labels = random_batch(4)
    v, _ = random_batch(5)
    losses, _ = boosted_losses(unit_groups(joined, SIZES), labels, **VALUES)
    outputs = torch.split(v, SIZES, dim=1)
    extra = activation_loss(outputs) if name == "bier" else objective.adversarial(outputs)
    torch.testing.assert_close(
        objective(torch.cat([joined, v], dim=1), labels), torch.stack(losses).sum() + 0.1 * extra
    )


@pytest.mark.parametrize("name", ["bier", "a_bier"])
def test_it_learns_characters(name: str, tmp_path: Path) -> None:
    untrained, trained = untrained_and_trained(name, tmp_path)
    assert trained > untrained + 0.05
