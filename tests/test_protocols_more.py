"""The Reality Check's successors: every number, each once in seconds on a small network, and their finalists."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from harness.backbones import published_weights
from harness.campaign.campaign import Campaign, Places
from harness.campaign.choosing import Finalist, choose, ranked
from harness.campaign.events import CellDone, TrialDone
from harness.campaign.plan import size_of
from harness.campaign.prepare import settle_trunk
from harness.cell import Training, TrainingResult
from harness.dataset import Dataset
from harness.discovery import load_method, load_protocol
from harness.engine.batches import BATCHES
from harness.errors import RequestError
from harness.protocol import Protocol
from harness.splits import class_order
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig

MORE = ["reality_check_r50", "reality_check_2026", "reality_check_b256", "finetune_small"]


def differing(protocol: Protocol, other: Protocol) -> dict[str, Any]:
    """The fields, words aside, in which one protocol differs from another."""
    words = ("name", "title", "about")
    values = {f.name: getattr(protocol, f.name) for f in dataclasses.fields(protocol) if f.name not in words}
    return {name: value for name, value in values.items() if value != getattr(other, name)}


def test_r50_is_the_reality_check_on_another_network() -> None:
    assert differing(load_protocol("reality_check_r50"), load_protocol("reality_check")) == {
        "backbone": "resnet50",
        "weights": "0676ba61",
        "size": 224,
        "lr_range": (1e-7, 1e-5),
    }


def test_b256_is_the_reality_check_with_other_batches_and_their_ranges() -> None:
    p, original = load_protocol("reality_check_b256"), load_protocol("reality_check")
    changes = differing(p, original)
    assert set(changes) == {"batch_size", "spaces"} and p.batch_size == 256
    assert {name for name, _ in p.spaces} == {name for name, _ in original.spaces}

    def float_range(method: str, name: str) -> tuple[float, float, bool]:
        distribution = p.spaces[method, "*"][name]
        assert isinstance(distribution, FloatDistribution)
        return distribution.low, distribution.high, distribution.log

    assert float_range("ntxent", "temperature") == (0.01, 100, True)
    assert float_range("cosface", "scale") == float_range("arcface", "scale") == (0.01, 100, False)
    assert p.spaces["fastap", "*"] == {"bins": IntDistribution(2, 250)}
    assert float_range("ms_all_pairs", "alpha") == (0.01, 100, False)
    assert float_range("ms_miner", "alpha") == float_range("soft_triple", "gamma") == (1e-5, 100, False)
    assert float_range("ms_miner", "beta") == float_range("soft_triple", "la") == (0.01, 100, False)
    for method in ("contrastive", "triplet", "proxy_nca_rc", "margin_all", "norm_softmax", "snr_contrastive"):
        assert p.spaces[method, "*"] == original.spaces[method, "*"]


def test_2026_in_every_number() -> None:
    p = load_protocol("reality_check_2026")
    assert (p.backbone, p.weights, p.embedding_size, p.freeze_batchnorm) == (
        "resnet50",
        "0676ba61",
        512,
        True,
    )
    assert (p.resize, p.size, p.train_view, p.test_view, p.flip) == (256, 224, "crop", "centre", True)
    assert (p.batch_size, p.images_per_class, p.method_sets_images_per_class) == (128, 4, False)
    assert (p.optimizer, p.lr, p.lr_range, p.weight_decay) == ("adamw", 3e-5, (3e-6, 3e-4), 1e-4)
    assert (p.own_lr, p.per_dataset, p.spaces) == (None, {}, {})
    assert (p.epoch_steps, p.evaluate_every, p.patience, p.steps) == (200, 1, 9, 20_000)
    assert (p.folds, p.fold_rule, p.class_cut, p.selection) == (4, "shuffled", "official", "map_at_r")
    assert (p.trials, p.searches, p.finalists, p.finalist_seeds, p.repetitions) == (50, 3, 3, 2, 10)


@pytest.mark.parametrize("name", ["reality_check_r50", "reality_check_2026"])
def test_the_weights_are_among_those_published(name: str) -> None:
    p = load_protocol(name)
    assert p.backbone is not None and p.weights is not None
    known = published_weights(p.backbone)
    assert [w.input.size for w in known if w.sha256 == p.weights] == [p.size]


def test_every_repetition_has_its_own_division_equal_for_all_methods() -> None:
    names = [f"class {i}" for i in range(100)]
    orders = [class_order(names, "shuffled", "cub", seed).tolist() for seed in (0, 1, 2, -1)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[1] == class_order(names, "shuffled", "cub", 1).tolist()
    assert sorted(orders[0]) == list(range(100))


def test_the_size_of_images_is_the_weights_only_where_the_protocol_says_so() -> None:
    def size(protocol: Protocol) -> tuple[int, int]:
        settled = settle_trunk(protocol, "convnet", None, None).protocol
        return settled.resize, settled.size

    frozen = load_protocol("frozen")
    assert size(frozen) == (32, 32)
    assert size(frozen.changed({"size": 28})) == (32, 28), "what is set by hand stays"
    assert size(load_protocol("finetune_small")) == (110, 96)


def test_unusual_weights_stand_in_the_records_folder() -> None:
    frozen = load_protocol("frozen")
    assert settle_trunk(frozen, "convnet", None, None).protocol.slug == "frozen@convnet"
    assert settle_trunk(frozen, "resnet18", None, None).protocol.slug == "frozen@resnet18-scratch"


# -- each once, small ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return few_glyphs()


def tiny(name: str, **changes: Any) -> Protocol:
    """The protocol with a network, images and lengths that take seconds; all else is its own."""
    small: dict[str, Any] = {
        "backbone": "convnet", "weights": None, "embedding_size": 16, "resize": 32, "size": 28, "batch_size": 16,
        "epoch_steps": 3, "epochs": 2, "evaluate_every": 1, "per_dataset": {}, "folds": 2, "trials": 3,
        "repetitions": 2, "published_repetitions": 1,
    }  # fmt: skip
    return dataclasses.replace(load_protocol(name), **{**small, **changes})


def tiny_rig(protocol: Protocol, glyphs: Dataset, folder: Path, *methods: str) -> Rig:
    return make_rig(glyphs, protocol, methods, folder / "results", folder / "cache")


@pytest.mark.parametrize("name", MORE)
def test_it_runs(name: str, glyphs: Dataset, tmp_path: Path) -> None:
    protocol = tiny(name, trials=2, searches=1, repetitions=1, published_repetitions=0)
    work = tiny_rig(protocol, glyphs, tmp_path, "soft_triple")
    (record,) = work.run()
    assert record.status == "complete"
    assert ("lr" in record.space) == (name != "reality_check_b256")
    trainings = [e.cell for e in work.of(CellDone) if isinstance(e.cell, Training)]
    assert len({t.key for t in trainings}) <= sum(size_of(entry)[0] for entry in work.campaign.entries())
    assert work.fresh and not (work.run() and work.fresh)


# -- finalists ----------------------------------------------------------------------------------------------
def test_finalists_are_trained_again_before_the_choice(glyphs: Dataset, tmp_path: Path) -> None:
    protocol = tiny("reality_check_2026", trials=4, searches=2, finalists=2)
    work = tiny_rig(protocol, glyphs, tmp_path, "nca")
    (record,) = work.run()
    assert record.status == "complete"
    for search in record.searches:
        scores = {n: t.score for n, t in enumerate(search.trials) if t.score is not None}
        best = sorted(scores, key=lambda n: (-scores[n], n))[:2]
        assert [f.trial for f in search.finalists] == best
        means = {f.trial: fmean([scores[f.trial], *f.scores]) for f in search.finalists}
        assert {f.trial: f.score for f in search.finalists} == pytest.approx(means)
        assert all(len(f.scores) == 2 for f in search.finalists)
        assert search.chosen == max(means, key=lambda n: (means[n], -n))
    again = {e.cell.key for e in work.of(CellDone) if isinstance(e.cell, Training) and e.cell.seed < 0}
    assert 0 < len(again) <= 2 * 2 * 2 * protocol.folds
    seeds = {e.cell.seed for e in work.of(CellDone) if isinstance(e.cell, Training)}
    assert seeds == {-2, -1, 0, 1, 2}


def test_the_plan_counts_the_finalists(glyphs: Dataset, tmp_path: Path) -> None:
    def trainings(method: str, **changes: Any) -> int:
        trunk = settle_trunk(tiny("reality_check_2026", **changes), None, None, None)
        campaign = Campaign(
            glyphs, "c0" * 32, trunk, [load_method(method)], Places(tmp_path), "cpu", 1, 1, "run METHOD"
        )
        return size_of(campaign.entries()[0])[0]

    without = trainings("nca", finalists=0, finalist_seeds=0)
    assert trainings("nca") - without == 3 * 2 * 2 * 3  # finalists, seeds, folds, searches
    assert trainings("nca", finalists=9) - without == 3 * 2 * 2 * 3  # no more than there are trials
    assert trainings("untrained") == trainings("untrained", finalists=0, finalist_seeds=0)


def test_more_seeds_may_choose_another_trial() -> None:
    trials = [done(0, 0.30), done(1, 0.40), done(2, 0.35), done(3, None)]
    assert [t.number for t in ranked(trials)] == [1, 2, 0]
    assert choose(trials, []) == 1
    finalists = [again(trials[1], 0.20, 0.30), again(trials[2], 0.35, 0.35)]
    assert choose(trials, finalists) == 2
    assert finalists[0].score == pytest.approx(0.30)
    failed = again(trials[2], 0.9, 0.9, status="failed")
    assert failed.score is None and failed.scores == []
    assert choose(trials, [finalists[0], failed]) == 1
    assert choose(trials, [failed]) is None


def done(number: int, score: float | None) -> TrialDone:
    entry: Any = None
    return TrialDone(entry, 0, number, {}, "ok" if score is not None else "failed", score, ())


def again(trial: TrialDone, *scores: float, status: str = "ok") -> Finalist:
    """A finalist with one fold a seed."""
    return Finalist(
        trial,
        tuple(
            (
                Training("p", "d", "g", "s", "", (1,), "", "m", "c", {}, 0, -1 - i),
                TrainingResult(status=status, score=score),
            )
            for i, score in enumerate(scores)
        ),
    )


def test_finalists_and_their_seeds_come_together() -> None:
    with pytest.raises(RequestError, match="set together"):
        dataclasses.replace(load_protocol("smoke"), finalists=2)
    smoke = load_protocol("smoke")
    assert smoke.digest != dataclasses.replace(smoke, finalists=1, finalist_seeds=1).digest


def test_a_method_of_one_image_a_class_gets_four_in_2026(glyphs: Dataset) -> None:
    p = load_protocol("reality_check_2026")
    assert load_method("norm_softmax").images_per_class == 1 and not p.method_sets_images_per_class
    assert p.batches in BATCHES and len(glyphs.development) > p.batch_size
