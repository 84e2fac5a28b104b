"""Protocols: the Reality Check's numbers, digests, and what `--set` may change."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, FloatDistribution

from harness.cli.changes import read_changes
from harness.discovery import load_method, load_protocol, method_names, protocol_names
from harness.errors import RequestError
from harness.method import contains
from harness.protocol import WORDS, Protocol


def set_by_hand(protocol: str, **texts: str) -> Protocol:
    """The protocol as `--set` changes it."""
    return load_protocol(protocol).changed(read_changes([f"{k}={v}" for k, v in texts.items()]).values)


def test_the_reality_check_in_every_number() -> None:
    """protocol of Musgrave et al. 2020: network, views, batches, optimisers, lengths, search, reporting."""
    p = load_protocol("reality_check")
    assert (p.backbone, p.weights, p.embedding_size, p.freeze_batchnorm) == (
        "bn_inception",
        "52deb4733",
        128,
        True,
    )
    assert (p.resize, p.size, p.train_view, p.test_view, p.flip) == (256, 227, "crop", "centre", True)
    assert (p.crop_area, p.crop_ratio) == ((0.16, 1.0), (0.75, 1.33))
    assert (p.batch_size, p.images_per_class, p.method_sets_images_per_class, p.batches) == (
        32,
        4,
        True,
        "passes",
    )
    assert (p.optimizer, p.lr, p.momentum, p.weight_decay, p.lr_range) == ("rmsprop", 1e-6, 0.9, 1e-4, None)
    assert (p.own_lr, p.own_lr_range, p.own_weight_decay) == (5e-3, (1e-6, 1.0), 1e-4)
    assert (p.folds, p.fold_rule, p.class_cut, p.selection) == (4, "contiguous", "half", "map_at_r")
    assert (p.trials, p.search, p.searches, p.repetitions) == (50, "gp", 1, 10)
    schedule = {
        d: (p.on(d).epoch_steps, p.on(d).evaluate_every, p.on(d).patience) for d in ("cub", "cars", "sop")
    }
    assert schedule == {"cub": (100, 2, 9), "cars": (100, 5, 14), "sop": (100, 20, 39)}
    assert p.steps == 100_000


def test_spaces_name_keywords_and_hold_the_published_values() -> None:
    for protocol in map(load_protocol, protocol_names()):
        for (name, dataset), space in protocol.spaces.items():
            method = load_method(name)
            assert method.build is not None
            keywords = set(inspect.signature(method.build).parameters)
            assert set(space) <= keywords, f"{protocol.name}: {name} on {dataset}"
            for key, distribution in space.items():
                assert key in method.published, f"{protocol.name}: {name} on {dataset}: {key}"
                one_value = getattr(distribution, "low", None) == getattr(distribution, "high", 0)
                inside = contains(distribution, method.published[key])
                assert inside or one_value, f"{protocol.name}: {name} on {dataset}: {key}"


def test_the_reality_checks_fourteen_have_their_ranges() -> None:
    spaces = {name for name, _ in load_protocol("reality_check").spaces}
    fourteen = {
        "contrastive", "triplet", "ntxent", "proxy_nca_rc", "margin_all", "margin_class", "norm_softmax", "cosface",
        "arcface", "fastap", "snr_contrastive", "ms_all_pairs", "ms_miner", "soft_triple",
    }  # fmt: skip
    assert spaces == fourteen <= set(method_names())


#: A protocol in which every field may be changed alone.
WHOLE = Protocol(
    title="whole", backbone="bn_inception", weights="52deb473", size=224, resize=256, lr_range=(1e-5, 1e-3),
    own_lr=1e-2, own_lr_range=(1e-3, 1.0), finalists=2, finalist_seeds=2,
)  # fmt: skip

#: Another value for every field that can change a number.
OTHER: dict[str, Any] = {
    "backbone": "resnet50", "weights": "52deb474", "embedding_size": 64, "train_backbone": False,
    "freeze_batchnorm": True, "resize": 300, "size": 200, "size_of_weights": True, "train_view": "whole",
    "test_view": "whole",
    "crop_area": (0.2, 1.0), "crop_ratio": (0.8, 1.33), "flip": False, "jitter_shift": 1.0, "jitter_scale": (0.8, 1.1),
    "jitter_rotation": 5.0, "batch_size": 64, "images_per_class": 2, "method_sets_images_per_class": False,
    "batches": "draws", "optimizer": "rmsprop", "lr": 2e-4, "momentum": 0.5, "weight_decay": 0.0,
    "lr_range": (1e-5, 1e-2), "own_lr": 2e-2, "own_lr_range": (1e-2, 1.0), "own_weight_decay": 1e-4, "epoch_steps": 50,
    "evaluate_every": 2, "patience": 5, "epochs": 50, "class_cut": "half", "folds": 5, "fold_rule": "contiguous",
    "precision": "bfloat16", "channels_last": True, "compiled": "default",
    "trials": 20, "search": "random", "grids": ("fastap",), "searches": 2, "finalists": 3, "finalist_seeds": 1,
    "repetitions": 5, "published_repetitions": 1, "selection": "r_precision", "per_dataset": {"cub": {"patience": 77}},
    "spaces": {("ms", "*"): {"alpha": FloatDistribution(1, 2)}},
}  # fmt: skip


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Protocol) if f.name not in WORDS])
def test_every_number_is_in_the_digest(name: str) -> None:
    other = dataclasses.replace(WHOLE, **{name: OTHER[name]})
    assert getattr(other, name) != getattr(WHOLE, name)
    assert other.digest != WHOLE.digest


def test_what_a_dataset_and_a_method_have_of_their_own_is_in_the_digest() -> None:
    """Not only that there is something, but what it is."""

    def digest(*facts: Any) -> str:
        dataset, patience, method, where, high = facts
        ranges: dict[tuple[str, str], dict[str, BaseDistribution]] = {
            (method, where): {"alpha": FloatDistribution(1, high)}
        }
        return dataclasses.replace(WHOLE, per_dataset={dataset: {"patience": patience}}, spaces=ranges).digest

    first = ("cub", 1, "ms", "cub", 2.0)
    others = ("cars", 3, "nca", "cars", 3.0)
    changed = [digest(*first[:i], others[i], *first[i + 1 :]) for i in range(len(first))]
    assert len({digest(*first), *changed}) == 6


@pytest.mark.parametrize("name", protocol_names())
def test_words_are_not_in_the_digest(name: str) -> None:
    protocol = load_protocol(name)
    words: dict[str, Any] = {"title": "x", "about": "y", "name": "z", "by_hand": {"trials": 7}}
    assert words.keys() == set(WORDS)
    for word, value in words.items():
        assert protocol.digest == dataclasses.replace(protocol, **{word: value}).digest


def test_set_makes_another_protocol() -> None:
    quick = load_protocol("quick")
    changed = set_by_hand("quick", trials="2", lr="0.01", lr_range="[1e-4, 1]", flip="true")
    assert (changed.trials, changed.lr, changed.lr_range, changed.flip) == (2, 0.01, (1e-4, 1.0), True)
    assert changed.name == "quick-changed" and changed.title.endswith(", changed")
    assert changed.digest != quick.digest
    assert quick.changed({}) is quick
    assert set_by_hand("quick", lr_range="none").lr_range is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trails": "5"}, "did you mean trials"),
        ({"trials": "five"}, "expected a whole number"),
        ({"trials": "2.5"}, "expected a whole number"),
        ({"trials": "1e400"}, "expected a whole number"),
        ({"flip": "1"}, "expected true or false"),
        ({"lr_range": "[1]"}, "expected a pair"),
        ({"lr_range": "[2, 1]"}, "the smaller first"),
        ({"folds": "1"}, "expected 2 or more"),
        ({"batch_size": "30"}, "no multiple of images_per_class"),
        ({"optimizer": "sgd"}, "expected one of rmsprop, adamw"),
        ({"selection": "recall"}, "expected one of map_at_r"),
        ({"own_lr": "0.1"}, "set together"),
        ({"epochs": "0"}, "expected 1 or more"),
        ({"lr": "-1"}, "above 0"),
        ({"lr": "0.1"}, r"lr 0.1 lies outside lr_range \(0.0001, 0.01\)"),
        ({"lr": "NaN"}, "above 0"),
        ({"lr": "Infinity"}, "above 0"),
        ({"lr_range": "[1e-4, Infinity]"}, "the smaller first"),
        ({"weight_decay": "NaN"}, "weight_decay is nan; expected 0 or more"),
        ({"weight_decay": "Infinity"}, "weight_decay is inf"),
        ({"own_weight_decay": "-1"}, "0 or more"),
        ({"momentum": "1"}, "below 1"),
        ({"jitter_rotation": "-5"}, "0 or more"),
        ({"jitter_scale": "[NaN, 1]"}, "the smaller first"),
        ({"crop_area": "[0.5, 1.5]"}, "at most 1"),
        ({"crop_area": "[0, 1]"}, "above 0"),
        ({"crop_area": "[0.9, 1]", "crop_ratio": "[2, 3]"}, "fits into a square image"),
        ({"crop_ratio": "[100, 200]"}, "fits into a square image"),
        ({"weights": "not-hex"}, "sha256"),
        ({"patience": "-1"}, "0 or more"),
        ({"finalists": "2"}, "set together"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        set_by_hand("quick", **settings)


def test_set_wins_over_the_datasets_own() -> None:
    changed = set_by_hand("reality_check", patience="1")
    assert changed.on("sop").patience == 1
    assert changed.on("sop").evaluate_every == 20


def test_a_wrong_value_for_a_dataset_is_found_when_the_protocol_is_made() -> None:
    with pytest.raises(RequestError, match="epochs is 0"):
        Protocol(title="x", per_dataset={"cub": {"epochs": 0}})


def test_a_free_backbone_stands_in_the_name() -> None:
    frozen = load_protocol("frozen").with_backbone("timm:resnet50.a1", "ab12cd34")
    assert frozen.name == "frozen@timm-resnet50.a1"
    assert frozen.digest != load_protocol("frozen").digest
    with pytest.raises(RequestError, match="fixes bn_inception"):
        load_protocol("reality_check").with_backbone("resnet50", None)
