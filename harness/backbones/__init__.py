"""Backbones: trunks that turn images into pooled stage features, and what their weights want to see."""

from harness.backbones.loading import (
    LoadedBackbone,
    backbone_names,
    freeze_batchnorm,
    input_spec,
    load_backbone,
    published_weights,
)
from harness.backbones.weights import FROM_SCRATCH, InputSpec, PublishedWeights

__all__ = [
    "FROM_SCRATCH",
    "InputSpec",
    "LoadedBackbone",
    "PublishedWeights",
    "backbone_names",
    "freeze_batchnorm",
    "input_spec",
    "load_backbone",
    "published_weights",
]
