"""Backbones: trunks that turn images into pooled stage features, and what their weights want to see."""

from harness.backbones.catalogue import backbone_names, input_spec, published_weights
from harness.backbones.finding import describe, find_weights
from harness.backbones.loading import LoadedBackbone, freeze_batchnorm, load_backbone
from harness.backbones.weights import FROM_SCRATCH, InputSpec, PublishedWeights

__all__ = [
    "FROM_SCRATCH",
    "InputSpec",
    "LoadedBackbone",
    "PublishedWeights",
    "backbone_names",
    "describe",
    "find_weights",
    "freeze_batchnorm",
    "input_spec",
    "load_backbone",
    "published_weights",
]
