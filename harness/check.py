"""The contract of a method, as a check: our tests put every method through it, `check FILE` anybody's.

One function a rule. A rule yields findings, sentences that say what is wrong and what is expected; a method
without findings keeps the contract.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution

from harness.method import Method
from harness.probe import (
    IMAGES,
    LONGER,
    STEPS,
    WIDTH,
    Probe,
    WaitsForNumbers,
    degenerate_batches,
    mean_loss,
    points,
    recall_at_1,
    small_problem,
    trained,
    value_and_gradient,
)


def check(method: Method) -> list[str]:
    """What is wrong with a method, in words; empty when it keeps the contract. Takes a few seconds."""
    if method.build is None:
        return list(_head_rules(method))
    probe = Probe(method)
    try:
        objective = probe.objective()
    except Exception as error:
        return [f"build(task, **published) fails: {_words(error)}"]
    if hasattr(objective, "solve"):
        return _all_findings(CLOSED_FORM_RULES, probe)
    # What has the wrong form would break every other rule in the same way.
    return _all_findings(FORM_RULES, probe) or _all_findings(RULES, probe)


def _all_findings(rules: Sequence[Rule], probe: Probe) -> list[str]:
    return [finding for rule in rules for finding in _findings(rule, probe)]


def _findings(rule: Rule, probe: Probe) -> Iterator[str]:
    """A rule's findings; an exception of the method's code is one of them."""
    try:
        with torch.random.fork_rng(devices=[]):
            yield from rule(probe)
    except Exception as error:
        yield f"{(rule.__doc__ or rule.__name__).splitlines()[0]} Instead: {_words(error)}"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


# -- rules: form --------------------------------------------------------------------------------------------
def unknown_keyword_is_refused(probe: Probe) -> Iterator[str]:
    """A hyperparameter that build does not know must be an error, or a typing slip trains with defaults."""
    try:
        probe.objective(no_such_hyperparameter=1.0)
    except TypeError:
        return
    yield "build accepts a hyperparameter it does not have; list its keywords instead of taking **anything"


def parameters_have_a_rate(probe: Probe) -> Iterator[str]:
    """What the objective learns needs a learning rate, and a rate needs something to learn."""
    learned = [name for name, _ in probe.objective().named_parameters()]
    if learned and probe.method.own is None:
        yield f"the objective learns {', '.join(learned)}, but METHOD.own does not say at which rate"
    if not learned and probe.method.own is not None:
        yield "METHOD.own gives a learning rate, but the objective has no parameters"


def loss_is_one_number(probe: Probe) -> Iterator[str]:
    """The loss is one finite number that depends on the embeddings."""
    shape = tuple(probe.objective()(*probe.batch()).shape)
    if shape != ():
        yield f"the loss has shape {shape}; expected one number, shape ()"
        return
    loss, gradient = value_and_gradient(probe.objective(), *probe.batch())
    if not loss.isfinite() or not gradient.isfinite().all():
        yield f"on an ordinary batch the loss is {loss.item()} or its gradient is not finite"


# -- rules: arithmetic --------------------------------------------------------------------------------------
def every_embedding_moves(probe: Probe) -> Iterator[str]:
    """Where all classes lie in one cloud, each embedding gets a gradient.

    In one of three batches at least: a loss that weighs two clusterings says nothing where both agree.
    """
    batches = [probe.batch(seed=seed) for seed in (2, 3, 4)]
    gradients = torch.stack([value_and_gradient(probe.objective(), *batch)[1] for batch in batches])
    still = (gradients == 0).all(-1).all(0)
    if still.any():
        yield (
            f"{still.sum().item()} of {len(still)} embeddings get no gradient although all classes lie in one cloud"
        )


def degenerate_batches_are_finite(probe: Probe) -> Iterator[str]:
    """Batches that lack positives, negatives or differences give a finite loss and gradient."""
    for what, (x, labels) in degenerate_batches().items():
        loss, gradient = value_and_gradient(probe.objective(), probe.embeddings(x), labels)
        if not loss.isfinite() or not gradient.isfinite().all():
            yield f"on a batch with {what} the loss is {loss.item()} or its gradient is not finite; {_remedy(what)}"


def _remedy(what: str) -> str:
    if "zero" in what or "duplicates" in what:
        return "keep divisions, roots and logarithms away from 0 (methods._pairs.unit and euclidean do)"
    return (
        "average with methods._pairs.masked_mean or mean_where, which are 0 where there is nothing to average"
    )


def ends_of_the_space_are_finite(probe: Probe) -> Iterator[str]:
    """At either end of each range the loss and its gradient are finite."""
    for name, distribution in probe.method.space.items():
        for end in _ends(distribution):
            loss, gradient = value_and_gradient(probe.objective(**{name: end}), *probe.batch())
            if not loss.isfinite() or not gradient.isfinite().all():
                yield f"with {name} = {end}, an end of its range, the loss or its gradient is not finite"


def _ends(distribution: BaseDistribution) -> list[object]:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    return [distribution.low, distribution.high]  # type: ignore[attr-defined]


def order_does_not_matter(probe: Probe) -> Iterator[str]:
    """The same images in another order give the same loss.

    Not asked of a loss that draws at random (two calls differ), nor of one that lays out its own batches.
    """
    x, labels = probe.batch(torch.float64)
    objective = probe.objective().double()
    values = [copy.deepcopy(objective)(x, labels).item() for _ in range(2)]
    if values[0] != values[1] or hasattr(objective, "batches"):
        return
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
    permuted = copy.deepcopy(objective)(x[order], labels[order]).item()
    if abs(permuted - values[0]) > 1e-7 * max(1.0, abs(values[0])):
        yield f"the loss depends on the order of the batch: {values[0]:.9g}, reordered {permuted:.9g}"


def autocast_changes_nothing(probe: Probe) -> Iterator[str]:
    """Under bfloat16 autocast the loss is still computed in float32."""
    x, labels = probe.batch()
    x = x.bfloat16()
    expected, _ = value_and_gradient(probe.objective(), x.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = value_and_gradient(probe.objective(), x, labels)
    if not torch.isclose(found.float(), expected, rtol=1e-4, atol=1e-5):
        yield (
            f"under bfloat16 autocast the loss is {found.item():.6g} instead of {expected.item():.6g}; "
            "compute it in float32 (methods._pairs.full_precision)"
        )


# -- rules: state -------------------------------------------------------------------------------------------
def state_starts_empty_and_is_kept(probe: Probe) -> Iterator[str]:
    """A new objective knows nothing of an older one, and its state_dict holds all that it learns."""
    used, before = probe.objective(), probe.objective().state_dict()
    x, labels = probe.batch()
    for _ in range(1 + 2 * IMAGES // len(labels)):
        value_and_gradient(used, x, labels)
    if any(not torch.equal(before[name], value) for name, value in probe.objective().state_dict().items()):
        yield "a newly built objective starts with what an earlier one left behind; keep state in the module"
    restored = probe.objective()
    restored.load_state_dict(used.state_dict())
    if not torch.equal(value_and_gradient(used, x, labels)[0], value_and_gradient(restored, x, labels)[0]):
        yield "an objective restored from its state_dict gives another loss; register its state as buffers"


def nothing_waits_for_numbers(probe: Probe) -> Iterator[str]:
    """No shape depends on the data and nothing asks for a number, or the docstring says why, with torch.compile."""
    objective, batch = probe.objective(), probe.batch()
    with WaitsForNumbers() as waits:
        value_and_gradient(objective, *batch)
    if waits.seen and not _explains_itself(probe):
        yield (
            f"the loss uses {', '.join(sorted(waits.seen))}, at which a GPU stops and waits; use masks with "
            "torch.where or masked_mean instead, or say why not in the file's docstring, with the word torch.compile"
        )


def _explains_itself(probe: Probe) -> bool:
    """Whether the docstring of the method's file says why it cannot be compiled."""
    assert probe.method.build is not None
    module = inspect.getmodule(probe.method.build)
    return "torch.compile" in (getattr(module, "__doc__", None) or "")


def compiles_whole(probe: Probe) -> Iterator[str]:
    """torch.compile(fullgraph=True) takes the objective, or the file's docstring says why it cannot."""
    torch.compiler.reset()
    try:
        value_and_gradient(torch.compile(probe.objective(), fullgraph=True, backend="eager"), *probe.batch())
    except Exception as error:
        if not _explains_itself(probe):
            yield (
                f"torch.compile(fullgraph=True) refuses it ({_words(error)}); use masks instead of indexing "
                "by them and no .item(), or say why not in the file's docstring, with the word torch.compile"
            )
    finally:
        torch.compiler.reset()


# -- rules: learning ----------------------------------------------------------------------------------------
def learns_a_small_problem(probe: Probe) -> Iterator[str]:
    """On a small separable problem the loss falls and Recall@1 rises above 0.9; a slow method gets more steps."""
    if list(_learning(probe, STEPS)):
        yield from _learning(probe, LONGER)


def _learning(probe: Probe, steps: int) -> Iterator[str]:
    """What is wrong with a training of so many steps."""
    x, labels = small_problem(seed=0)
    untrained, embedder, objective = trained(probe, x, labels, steps)
    first, last = (mean_loss(probe, copy.deepcopy(objective), e, x, labels) for e in (untrained, embedder))
    if not last < first:
        yield f"training does not lower the loss: {first:.4g} before, {last:.4g} after {steps} steps"
    recall = recall_at_1(embedder.embed([small_problem(seed=1)[0]]), labels)
    if recall <= 0.9:
        yield f"after {steps} steps on a small separable problem Recall@1 is {recall:.2f}; expected above 0.9"


# -- methods without an objective to train ------------------------------------------------------------------
def solution_fits_the_head(probe: Probe) -> Iterator[str]:
    """A closed-form method solves for a linear head: weight (D, F) and bias (D,)."""
    x, labels = small_problem(seed=0)
    solve: Any = probe.objective().solve
    weight, bias = solve(x, labels)
    if weight.shape != (WIDTH, x.shape[1]) or bias.shape != (WIDTH,):
        shapes = f"{tuple(weight.shape)} and {tuple(bias.shape)}"
        yield f"solve gives {shapes}; expected ({WIDTH}, F) and ({WIDTH},)"
    elif recall_at_1(x @ weight.T + bias, labels) <= recall_at_1(x @ points(20, WIDTH), labels):
        yield "what solve finds separates a small problem no better than a random head"


def _head_rules(method: Method) -> Iterator[str]:
    """A method that trains nothing: its head, where it has one, gives as many columns as it says."""
    if method.head is None:
        return
    head = method.head((4, 6, 8), WIDTH)
    out = head([points(3, size) for size in (4, 6, 8)])
    if out.shape != (3, getattr(head, "columns", WIDTH)):
        yield f"the head gives {tuple(out.shape)}; expected (3, {getattr(head, 'columns', WIDTH)})"


Rule = Callable[[Probe], Iterator[str]]

CLOSED_FORM_RULES: tuple[Rule, ...] = (unknown_keyword_is_refused, solution_fits_the_head)
FORM_RULES: tuple[Rule, ...] = (unknown_keyword_is_refused, parameters_have_a_rate, loss_is_one_number)
RULES: tuple[Rule, ...] = (
    every_embedding_moves,
    degenerate_batches_are_finite,
    ends_of_the_space_are_finite,
    order_does_not_matter,
    autocast_changes_nothing,
    state_starts_empty_and_is_kept,
    nothing_waits_for_numbers,
    compiles_whole,
    learns_a_small_problem,
)
