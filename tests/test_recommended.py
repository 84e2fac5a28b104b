"""Recommended settings: a setting that was really trained, and a line for another library that does the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytorch_metric_learning import distances, losses, miners

from harness.discovery import load_method, method_names
from harness.publish.pml import EQUIVALENTS
from harness.publish.recommended import (
    best_values,
    in_words,
    settings_of,
    snippet,
    spread_of_choices,
    tunability,
)
from harness.record import Finalist, Record, SearchHistory, Trial
from harness.statistics import Importance
from tests.made_records import made
from tests.method_batches import random_batch
from tests.method_oracles import CLASSES, DIMENSIONS, assert_equal, built


def record_of(method: str, **changes: Any) -> Record:
    """A record whose only search chose the method's published values."""
    values = {**load_method(method).published, "lr": 0.002}
    trial = Trial(values=values, status="ok", scores=[0.4], score=0.4, seconds=1.0)
    record, _ = made(
        method, 0.4, published=1, searches=1, **{"space": {}, **changes}
    )  # ranges do not matter here
    settings = {**record.settings, "embedding_size": DIMENSIONS}
    search = SearchHistory(trials=[trial], chosen=0)
    return record.model_copy(update={"published": values, "searches": [search], "settings": settings})


def run(code: str) -> dict[str, Any]:
    """The snippet's names after it ran on two batches."""
    embedder = torch.nn.Linear(8, DIMENSIONS)
    labels = torch.arange(24) // 4 % CLASSES
    loader = [(torch.randn(24, 8), labels), (torch.randn(24, 8), labels)]
    before = embedder.weight.detach().clone()
    names: dict[str, Any] = {"embedder": embedder, "loader": loader, "classes": CLASSES}
    exec(code, names)
    assert torch.isfinite(names["loss"])
    assert not torch.equal(before, embedder.weight)
    return names


def test_every_equivalent_is_of_a_method_of_ours() -> None:
    assert set(EQUIVALENTS) <= set(method_names())


@pytest.mark.filterwarnings("ignore")  # the other library's own
@pytest.mark.parametrize("method", EQUIVALENTS)
def test_a_snippet_runs_and_trains(method: str) -> None:
    made_of = snippet(record_of(method))
    assert made_of is not None
    code, _ = made_of
    names = run(code)
    assert (names["optimizer"].param_groups[0]["lr"], type(names["optimizer"]).__name__) == (0.002, "AdamW")
    learned = list(names["criterion"].parameters())
    told = {id(p) for group in names["optimizer"].param_groups for p in group["params"]}
    assert {id(p) for p in learned} <= told
    assert bool(learned) == EQUIVALENTS[method].weights


SAME = [method for method, equivalent in EQUIVALENTS.items() if not equivalent.differs]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", SAME)
def test_what_does_not_differ_has_the_same_value_and_gradient(method: str) -> None:
    equivalent, values = EQUIVALENTS[method], dict(load_method(method).published)
    told = {**values, "classes": CLASSES, "embedding_size": DIMENSIONS}
    library = {"losses": losses, "miners": miners, "distances": distances}
    theirs = eval(equivalent.loss.format(**told), library).double()
    ours = built(method, **values)
    with torch.no_grad():
        for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(mine if mine.shape == other.shape else mine.T)
    miner = eval(equivalent.miner.format(**told), library) if equivalent.miner else None
    x, labels = random_batch(1, per_class=4)
    assert_equal(
        ours,
        (lambda x, y: theirs(x, y, miner(x, y))) if miner else theirs,
        x,
        labels,
        # The other library's bins are cut in single precision.
        tolerance=1e-6 if method == "histogram" else 1e-7,
    )


def test_somebody_elses_method_of_a_known_name_gets_no_snippet() -> None:
    record, _ = made("ms", 0.4)  # its hyperparameters are alpha and margin
    assert snippet(record) is None
    assert snippet(made("unheard", 0.4)[0]) is None


def test_an_objectives_own_rate_is_a_multiple_unless_the_protocol_fixes_it() -> None:
    record = record_of("proxy_anchor")
    record = record.model_copy(update={"published": {**record.published, "own_lr": 50.0}})
    told = snippet(record)
    assert told is not None and "criterion.parameters(), lr=0.1, weight_decay=0.0" in told[0]
    fixed = record.model_copy(
        update={
            "settings": {**record.settings, "own_lr": 0.005},
            "published": {k: v for k, v in record.published.items() if k != "own_lr"},
        }
    )
    told = snippet(fixed)
    assert told is not None and "criterion.parameters(), lr=0.005" in told[0]


def searched(*scores: float, again: float | None = None) -> SearchHistory:
    """A search of two trials that chose the second, with the given score; again: over more seeds."""
    trials = [
        Trial(
            values={"alpha": 10.0 * score, "margin": 0.5},
            status="ok",
            scores=[score],
            score=score,
            seconds=1.0,
        )
        for score in scores
    ]
    finalists = [] if again is None else [Finalist(trial=len(scores) - 1, scores=[again], score=again)]
    return SearchHistory(trials=trials, chosen=len(scores) - 1, finalists=finalists)


def test_the_recommended_setting_is_of_the_search_that_validated_best() -> None:
    record, _ = made("ms", 0.4)
    record = record.model_copy(
        update={"searches": [searched(0.1, 0.42), searched(0.1, 0.45), searched(0.1, 0.44)]}
    )
    assert best_values(record) == {"alpha": 4.5, "margin": 0.5}
    alpha = settings_of(record)[0]
    assert (alpha.recommended, [value for value, _ in alpha.chosen]) == ("4.5", ["4.2", "4.5", "4.4"])
    assert alpha.matters == "too few settings to say"
    assert "42.00 to 45.00 (median 44.00)" in spread_of_choices(record)
    # A choice that more seeds do not confirm is not the best.
    tested = [searched(0.1, 0.42, again=0.43), searched(0.1, 0.45, again=0.40)]
    assert best_values(record.model_copy(update={"searches": tested}))["alpha"] == 4.2
    nothing = record.model_copy(update={"searches": []})
    assert best_values(nothing) == {}
    assert settings_of(nothing)[0].recommended is None


def test_tunability_is_what_careless_settings_lose() -> None:
    record, _ = made("ms", 0.4)
    told = record.model_copy(update={"searches": [searched(0.40, 0.30, 0.50), searched(0.50, 0.20, 0.30)]})
    # Medians 0.40 and 0.30 under bests of 0.50 and 0.50; the published values 0.40 and 0.50.
    assert tunability(told) == (
        "The median trial validated 15.00 points below its search's best, published values 5.00 below."
    )
    assert tunability(record.model_copy(update={"searches": []})) == ""


@pytest.mark.parametrize(
    ("share", "p", "trend", "words"),
    [
        (0.7, 0.001, 0.5, "70% of the variance, higher is better"),
        (0.7, 0.001, 0.1, "70% of the variance"),
        (0.2, 0.3, -0.9, "not told from chance"),
    ],
)
def test_importance_in_words(share: float, p: float, trend: float, words: str) -> None:
    assert in_words(Importance(share, p, trend, 20)) == words
