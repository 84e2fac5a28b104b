"""What a training is made of: the images of its fold, an embedder, and the method's objective."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.backbones import load_backbone
from harness.cell import Training
from harness.engine.bench import Bench
from harness.engine.embedder import Embedder, StoredFeatures
from harness.engine.inputs import FeatureInputs, Inputs
from harness.method import LEARNING_RATE, OWN_LEARNING_RATE, Method, Task
from harness.protocol import Protocol
from harness.splits import class_order, fold_classes, fold_images


@dataclass
class Fold:
    """The images of one fold: positions in the development role, and labels from 0 for each side."""

    train: Tensor
    train_labels: Tensor
    validation: Tensor
    validation_labels: Tensor


def fold_of(cell: Training, bench: Bench) -> Fold:
    """The images of the cell's fold; classes shuffled from repetition to repetition where the protocol says so."""
    protocol, role = bench.protocol, bench.development
    order = class_order(role.class_names, protocol.fold_rule, cell.dataset, cell.seed)
    train, validation = fold_classes(order, cell.fold, protocol.folds)
    sides = [torch.from_numpy(x) for part in (train, validation) for x in fold_images(role.labels, part)]
    return Fold(*sides)


def build_embedder(method: Method, bench: Bench, inputs: Inputs) -> Embedder:
    """The protocol's backbone with the method's head, or the common linear one, on the bench's device."""
    protocol = bench.protocol
    backbone: nn.Module
    if isinstance(inputs, FeatureInputs):
        backbone = StoredFeatures(inputs.feature_sizes)
    else:
        assert protocol.backbone is not None
        backbone = load_backbone(protocol.backbone, bench.weights, protocol.weights, bench.input).module
    embedder = Embedder(
        backbone, protocol.embedding_size, method.head, protocol.freeze_batchnorm, protocol.precision
    )
    if protocol.channels_last:
        embedder.to(memory_format=torch.channels_last)
    embedder.to(bench.device)
    if protocol.compiled != "no":
        # What earlier trainings of this process compiled must not decide how this one is: digits would depend on it.
        torch.compiler.reset()
    compile_parts(embedder, protocol)
    return embedder


def build_objective(cell: Training, method: Method, protocol: Protocol, fold: Fold) -> nn.Module | None:
    """The method's objective with the cell's hyperparameters; None where the method trains nothing."""
    if method.build is None:
        return None
    task = Task(
        classes=int(fold.train_labels.max()) + 1,
        embedding_size=protocol.embedding_size,
        images=len(fold.train),
        images_per_class=images_per_class(method, protocol),
        batch_size=protocol.batch_size,
        steps=protocol.steps,
    )
    rates = (LEARNING_RATE, OWN_LEARNING_RATE)
    objective = method.build(task, **{k: v for k, v in cell.values.items() if k not in rates})
    if not hasattr(objective, "solve"):
        compile_parts(objective, protocol)
    return objective


def compile_parts(module: nn.Module, protocol: Protocol) -> None:
    """torch.compile where the protocol says so, in place: parameters and doors keep their names."""
    if protocol.compiled != "no":
        module.compile(mode=protocol.compiled)


def images_per_class(method: Method, protocol: Protocol) -> int:
    """K of a batch: the method's own where it has one and the protocol lets it say."""
    if protocol.method_sets_images_per_class and method.images_per_class is not None:
        return method.images_per_class
    return protocol.images_per_class
