"""A small real dataset: a few classes of the embedded characters."""

from __future__ import annotations

import dataclasses

import numpy as np

from harness.data import load_dataset
from harness.data.pictures import Selected
from harness.dataset import Dataset, ImageSet


def few_glyphs(development: int = 16, test: int = 12) -> Dataset:
    """Glyphs with so many development and test classes, all of their images."""
    whole = load_dataset("glyphs", None, False)
    return dataclasses.replace(
        whole, development=first(whole.development, development), test=first(whole.test, test)
    )


def first(images: ImageSet, classes: int) -> ImageSet:
    """The first classes of a set of images."""
    keep = np.flatnonzero(images.labels < classes)
    pictures = Selected((images.pictures,), tuple((0, int(i)) for i in keep))
    return ImageSet(
        pictures, images.labels[keep], images.class_names[:classes], tuple(images.image_ids[i] for i in keep)
    )
