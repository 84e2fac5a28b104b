"""A protocol: everything held equal between methods, as one frozen value.

A protocol is one file in `protocols/` that holds one value, `PROTOCOL = Protocol(...)`. Its digest covers every field
that can change a number and stands in every cell and record; tables never mix two digests.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.errors import RequestError
from harness.protocol_rules import faults

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: Fields that tell people what a protocol is and cannot change a number.
WORDS = ("name", "title", "about", "by_hand")


@dataclass(frozen=True)
class Protocol:
    """The experiment, to the last number. Lengths are in steps (one batch, one update) and epochs of `epoch_steps`."""

    title: str
    about: str = ""
    name: str = ""  # the file's name, set by discovery
    by_hand: Mapping[str, Any] = field(default_factory=dict)
    """What the user set of it (`--set`, unusual weights): it marks the folder of the records."""

    # -- the network ------------------------------------------------------------------------------------------------
    backbone: str | None = None
    """Name of the backbone; None leaves it to the user (`--backbone`), as `frozen` does."""
    weights: str | None = None
    """sha256 of the weights' file, or its leading digits; None trains from scratch."""
    embedding_size: int = 128
    train_backbone: bool = True
    """False: the backbone's features are computed once, and only head and objective train."""
    freeze_batchnorm: bool = False
    """True: BatchNorm layers keep the statistics of their weights; their scale and shift still train."""

    # -- what the network sees --------------------------------------------------------------------------------------
    resize: int = 256
    """Short side in pixels to which every image is resized once, before all else."""
    size: int = 227
    """Side in pixels of the square that the network sees."""
    size_of_weights: bool = False
    """True: images of the size that the weights were trained at, in place of `resize` and `size`."""
    train_view: str = "crop"
    """crop: random area and ratio, resized to `size`; jitter: shift, scale and rotate; whole: the resized image."""
    test_view: str = "centre"
    """centre: the central square of `size`; whole: the whole image squeezed to `size` x `size`."""
    crop_area: tuple[float, float] = (0.16, 1.0)
    crop_ratio: tuple[float, float] = (0.75, 1.33)
    flip: bool = True
    jitter_shift: float = 2.0
    """Pixels, either way."""
    jitter_scale: tuple[float, float] = (0.9, 1.1)
    jitter_rotation: float = 10.0
    """Degrees, either way."""

    # -- batches ----------------------------------------------------------------------------------------------------
    batch_size: int = 32
    images_per_class: int = 4
    method_sets_images_per_class: bool = True
    """Whether a method that needs another number of images a class (1 for classification losses) gets it."""
    batches: str = "passes"
    """passes: shuffled passes over the classes, cut into batches (the Reality Check's sampler); draws: every batch
    draws its classes anew, without repetition."""

    # -- optimisation -----------------------------------------------------------------------------------------------
    optimizer: str = "adamw"
    lr: float = 1e-4
    momentum: float = 0.9
    """Of RMSprop; AdamW keeps its usual betas."""
    weight_decay: float = 1e-4
    lr_range: tuple[float, float] | None = None
    """Range of the learning rate in the search, log-uniform; None: never searched."""
    own_lr: float | None = None
    own_lr_range: tuple[float, float] | None = None
    """Learning rate of the objective's parameters in absolute terms, where the protocol fixes its start and range.
    None: each method's own multiples of `lr`."""
    own_weight_decay: float = 0.0
    """Weight decay of the objective's parameters, unless the method says its own."""

    # -- arithmetic -------------------------------------------------------------------------------------------------
    precision: str = "float32"
    """float32, or bfloat16: the network's forward pass under autocast, its weights and the loss in float32."""
    channels_last: bool = False
    """Weights of convolutions laid out as the images are, channels innermost."""
    compiled: str = "no"
    """torch.compile for network and objective. no; default; reduce-overhead: with CUDA graphs, on a GPU."""

    # -- length -----------------------------------------------------------------------------------------------------
    epoch_steps: int = 100
    evaluate_every: int = 1
    """Epochs between two validations."""
    patience: int = 10
    """Training stops at the first validation more than so many epochs after the best one."""
    epochs: int = 100
    """The most that a training may take."""

    # -- classes ----------------------------------------------------------------------------------------------------
    class_cut: str = "official"
    """official: the dataset's own development and test classes; half: the first half of all classes, sorted."""
    folds: int = 4
    fold_rule: str = "hashed"
    """Order of the development classes before they are cut into folds. contiguous: the dataset's own; hashed: by the
    sha256 of the class name; shuffled: by a draw that differs from repetition to repetition, equal for all methods."""

    # -- search -----------------------------------------------------------------------------------------------------
    trials: int = 50
    search: str = "tpe"
    grids: tuple[str, ...] = ()
    """Methods that try every point of their ranges (whole numbers) in order instead of searching, up to `trials`."""
    searches: int = 1
    """Independent searches; the repetitions are dealt out to their choices in turn."""
    finalists: int = 0
    """How many of a search's best trials are trained again before one is chosen, by the mean over all of its seeds."""
    finalist_seeds: int = 0
    """With how many other seeds (with `shuffled` folds: other divisions of the classes) finalists are trained again."""
    repetitions: int = 10
    published_repetitions: int = 3
    """Repetitions of the published-values row."""
    selection: str = "map_at_r"
    """The validation metric that chooses the epoch and the trial."""

    # -- exceptions of the original study -----------------------------------------------------------------------------
    per_dataset: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other values of the fields above, by dataset name."""
    spaces: Mapping[tuple[str, str], Mapping[str, BaseDistribution]] = field(default_factory=dict)
    """Ranges that replace a method's own, by (method, dataset); the dataset "*" stands for every other."""

    def __post_init__(self) -> None:
        # All at once when it is made, so that a wrong value is named before any image is read.
        for fault in faults(self):
            raise RequestError(f"protocol {self.name or self.title!r}: {fault}")
        for dataset in self.per_dataset:
            self.on(dataset)

    @property
    def steps(self) -> int:
        """The most optimiser steps that one training may take."""
        return self.epochs * self.epoch_steps

    @property
    def slug(self) -> str:
        """The protocol's folder in `results/records`: its name, and a mark of what was set by hand, since two changes
        of one protocol are two protocols."""
        others = {name: value for name, value in self.by_hand.items() if name != "weights"}
        marks = [(self.by_hand["weights"] or "scratch")[:7]] if "weights" in self.by_hand else []
        if others:
            text = json.dumps(others, sort_keys=True)
            marks.append(hashlib.sha256(text.encode()).hexdigest()[:7])
        return "-".join([self.name, *marks])

    def with_backbone(self, backbone: str, weights: str | None) -> Protocol:
        """This protocol with the backbone that the user chose, which then stands in its name.

        weights: sha256 of their file, None from scratch. Raises RequestError where the protocol fixes another one.
        """
        if self.backbone is not None and backbone != self.backbone:
            raise RequestError(
                f"--backbone {backbone}: protocol {self.name} fixes {self.backbone}; use a protocol that leaves the "
                f"backbone free (frozen), or --set backbone={backbone} for a changed protocol"
            )
        name = self.name if self.backbone is not None else f"{self.name}@{backbone.replace(':', '-')}"
        return dataclasses.replace(self, backbone=backbone, weights=weights, name=name)

    @cached_property
    def digest(self) -> str:
        """sha256 of every field that can change a number.

        Fields at their default are left out, so that a field which is added later changes no old digest; a default,
        once published, is therefore never changed.
        """
        values = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in WORDS and getattr(self, f.name) != f.default
        }
        values["spaces"] = {
            f"{method}/{dataset}": {name: distribution_json(d) for name, d in space.items()}
            for (method, dataset), space in self.spaces.items()
        }
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def on(self, dataset: str) -> Protocol:
        """The protocol with the values that it keeps for this dataset. Digests of records are of the whole protocol."""
        return dataclasses.replace(self, **self.per_dataset.get(dataset, {}), per_dataset={})

    def space_of(self, method: str, dataset: str) -> Mapping[str, BaseDistribution] | None:
        """The ranges that replace the method's own on this dataset, or None."""
        return self.spaces.get((method, dataset), self.spaces.get((method, "*")))

    def changed(self, values: Mapping[str, Any]) -> Protocol:
        """This protocol with other values of some of its `SETTABLE` fields: another title and another digest."""
        if not values:
            return self
        # A field set by hand holds on every dataset.
        kept = {
            dataset: {k: v for k, v in changes.items() if k not in values}
            for dataset, changes in self.per_dataset.items()
        }
        return dataclasses.replace(
            self,
            **values,
            per_dataset=kept,
            name=f"{self.name}-changed",
            title=f"{self.title}, changed",
            by_hand={**self.by_hand, **values},
        )


#: The fields that `--set` may change, and their types as they are written above.
SETTABLE = {
    f.name: str(f.type)
    for f in dataclasses.fields(Protocol)
    if f.name not in (*WORDS, "per_dataset", "spaces", "grids")
}


def distribution_json(distribution: BaseDistribution) -> dict[str, Any]:
    """An Optuna distribution as plain data: its class under `kind`, and its attributes."""
    values = distribution._asdict()
    return {"kind": type(distribution).__name__, **values}
