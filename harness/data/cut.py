"""The Reality Check's cut: the first half of all classes for development, whatever the official roles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.data.pictures import Selected
from harness.dataset import Dataset, ImageSet


def half(dataset: Dataset) -> Dataset:
    """The dataset with its classes, in their own order, cut at the half: 11,317 and 11,317 on SOP, where the official
    cut is 11,318 and 11,316; no change on CUB and Cars.

    A partial copy keeps its official roles, since the half is one of all classes, and so does a dataset with a
    separate gallery, whose test images cannot change their part. (protocol.md 1.1: Musgrave et al. 2020, its code.)
    """
    first, second = dataset.development, dataset.test
    names = (*first.class_names, *second.class_names)
    development = len(names) // 2
    if dataset.partial or dataset.gallery is not None or development == len(first.class_names):
        return dataset
    labels = np.concatenate([first.labels, second.labels + len(first.class_names)])
    places = [(0, i) for i in range(len(first))] + [(1, i) for i in range(len(second))]
    image_ids = (*first.image_ids, *second.image_ids)

    def images(start: int, stop: int) -> ImageSet:
        rows = np.flatnonzero((labels >= start) & (labels < stop))
        return ImageSet(
            pictures=Selected((first.pictures, second.pictures), tuple(places[row] for row in rows)),
            labels=labels[rows] - start,
            class_names=names[start:stop],
            image_ids=tuple(image_ids[row] for row in rows),
        )

    return replace(dataset, development=images(0, development), test=images(development, len(names)))
