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

from harness.check_state import (
    every_class_has_its_place,
    nothing_is_kept_outside_the_module,
    state_starts_empty_and_is_kept,
    tensors_are_registered,
)
from harness.check_words import error_words, folder_of
from harness.method import Method
from harness.probe import (
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
        return _all_findings(HEAD_RULES, Probe(method))
    probe = Probe(method)
    try:
        objective = probe.objective()
    except Exception as error:
        return [f"build(task, **published) fails: {error_words(error, method.build)}"]
    if hasattr(objective, "solve"):
        return _all_findings(CLOSED_FORM_RULES, probe)
    # What has the wrong form would break every later rule in the same way.
    groups = (_all_findings(rules, probe) for rules in (HEAD_RULES, FORM_RULES, RULES))
    return next((findings for findings in groups if findings), [])


def _all_findings(rules: Sequence[Rule], probe: Probe) -> list[str]:
    return [finding for rule in rules for finding in _findings(rule, probe)]


def _findings(rule: Rule, probe: Probe) -> Iterator[str]:
    """A rule's findings; an exception of the method's code is one of them."""
    try:
        with torch.random.fork_rng(devices=[]):
            yield from rule(probe)
    except Exception as error:
        words = error_words(error, probe.method.build or probe.method.head)
        yield f"{(rule.__doc__ or rule.__name__).splitlines()[0]} Instead: {words}"


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
    loss = probe.objective()(*probe.batch())
    if not isinstance(loss, torch.Tensor):
        yield (
            f"forward gives {'nothing' if loss is None else f'a {type(loss).__name__}'}; expected one number as a "
            "tensor of shape (), still connected with the embeddings: no .item(), no float(), and a return at the end"
        )
        return
    if loss.shape != ():
        yield f"the loss has shape {tuple(loss.shape)}; expected one number, shape (): a mean over the batch, say"
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
    try:
        values, permuted = _reordered(probe, torch.float64)
        tolerance = 1e-7
    except RuntimeError:  # a loss need not take float64, in which no rounding hides a difference
        values, permuted = _reordered(probe, torch.float32)
        tolerance = 1e-4
    if values[0] != values[1] or hasattr(probe.objective(), "batches"):
        return
    if abs(permuted - values[0]) > tolerance * max(1.0, abs(values[0])):
        yield f"the loss depends on the order of the batch: {values[0]:.9g}, reordered {permuted:.9g}"


def _reordered(probe: Probe, dtype: torch.dtype) -> tuple[list[float], float]:
    """The loss of a batch, twice, and of the same images in another order."""
    x, labels = probe.batch(dtype)
    objective = probe.objective().to(dtype)
    values = [copy.deepcopy(objective)(x, labels).item() for _ in range(2)]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
    return values, copy.deepcopy(objective)(x[order], labels[order]).item()


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


# -- rules: speed ------------------------------------------------------------------------------------------
def nothing_waits_for_numbers(probe: Probe) -> Iterator[str]:
    """No shape depends on the data and nothing asks for a number, or the docstring says why, with torch.compile."""
    objective, batch = probe.objective(), probe.batch()
    with WaitsForNumbers(folder_of(probe.method.build)) as waits:
        value_and_gradient(objective, *batch)
    if waits.seen and not _explains_itself(probe):
        yield (
            f"the loss uses {', '.join(sorted(waits.seen))}, at which a GPU stops and waits; use masks with "
            "torch.where or masked_mean instead (for one_hot: labels[:, None] == torch.arange(classes)), or say why "
            "not in the file's docstring, with the word torch.compile"
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
                f"torch.compile(fullgraph=True) refuses it: {error_words(error, probe.method.build)}. Use masks, not "
                "x[mask] or .item(), or say why not in the file's docstring, with the word torch.compile"
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
        yield (
            f"after {steps} steps on a small separable problem Recall@1 is {recall:.2f}; expected above 0.9: does a "
            "lower loss bring the images of a class together, away from others (signs, masks, which way a margin goes)?"
        )


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


def head_gives_its_columns(probe: Probe) -> Iterator[str]:
    """A method's own head takes the list of the backbone's stage features and gives (B, D), or more in training."""
    make = probe.method.head
    if make is None:
        return
    head = make((4, 6, 8), WIDTH)
    out = head([points(3, size) for size in (4, 6, 8)])
    columns = getattr(head, "columns", WIDTH)
    few = out.ndim != 2 or len(out) != 3 or out.shape[1] < columns
    if few or (probe.method.build is None and out.shape[1] > columns):
        shape = tuple(out.shape)
        yield f"the head gives {shape} for 3 images and an embedding_size of {WIDTH}; expected (3, {columns})"


Rule = Callable[[Probe], Iterator[str]]

CLOSED_FORM_RULES: tuple[Rule, ...] = (unknown_keyword_is_refused, solution_fits_the_head)
HEAD_RULES: tuple[Rule, ...] = (head_gives_its_columns,)
FORM_RULES: tuple[Rule, ...] = (
    unknown_keyword_is_refused,
    tensors_are_registered,
    parameters_have_a_rate,
    loss_is_one_number,
)
RULES: tuple[Rule, ...] = (
    every_embedding_moves,
    degenerate_batches_are_finite,
    ends_of_the_space_are_finite,
    order_does_not_matter,
    autocast_changes_nothing,
    state_starts_empty_and_is_kept,
    nothing_is_kept_outside_the_module,
    every_class_has_its_place,
    nothing_waits_for_numbers,
    compiles_whole,
    learns_a_small_problem,
)
