"""Protocols: the Reality Check's numbers, digests, and what `--set` may change."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from harness.cli.changes import read_changes
from harness.discovery import load_method, load_protocol, method_names, protocol_names
from harness.errors import RequestError
from harness.method import contains
from harness.protocol import Protocol


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


@pytest.mark.parametrize("name", protocol_names())
def test_digest_covers_numbers_and_not_words(name: str) -> None:
    protocol = load_protocol(name)
    assert protocol.digest == dataclasses.replace(protocol, title="x", about="y", name="z").digest
    assert protocol.digest != dataclasses.replace(protocol, trials=protocol.trials + 1).digest
    assert protocol.digest != dataclasses.replace(protocol, per_dataset={"cub": {"patience": 77}}).digest


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
