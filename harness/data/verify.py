"""Whether a dataset is whole: every image decoded, every class counted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from harness.data.contents import Progress
from harness.data.parallel import in_order
from harness.dataset import Dataset, ImageSet
from harness.errors import RequestError

QUANTILES = (0, 0.25, 0.5, 0.75, 1)


def verify(dataset: Dataset, progress: Progress | None = None) -> dict[str, Any]:
    """Decodes every image and counts.

    Returns name, title, split (the hash that records carry), `partial`; for each role `<role>_classes`, `_images`,
    `_class_sizes` (least, quartiles, most) and `_classes_of_one` (no other image can be found for theirs); `broken`:
    what is wrong with each image that cannot be decoded. `progress` is called with (images done, images in all).
    """
    total = sum(len(images) for images in dataset.roles.values())
    broken: list[str] = []
    for done, reason in enumerate(_reasons(dataset), start=1):
        if reason is not None:
            broken.append(reason)
        if progress is not None:
            progress(done, total)
    return {
        "name": dataset.name,
        "title": dataset.title,
        "split": dataset.split,
        "partial": dataset.partial,
        **counts(dataset),
        "broken": broken,
    }


def counts(dataset: Dataset) -> dict[str, Any]:
    """The counts of `verify`, by role."""
    return {
        f"{role}_{what}": value
        for role, images in dataset.roles.items()
        for what, value in _counts(images).items()
    }


def _counts(images: ImageSet) -> dict[str, Any]:
    sizes = np.bincount(images.labels, minlength=len(images.class_names))
    return {
        "classes": len(images.class_names),
        "images": len(images),
        "class_sizes": [float(size) for size in np.quantile(sizes, QUANTILES)],
        "classes_of_one": int((sizes == 1).sum()),
    }


def _reasons(dataset: Dataset) -> Iterable[str | None]:
    for images in dataset.roles.values():

        def reason(index: int, images: ImageSet = images) -> str | None:
            try:
                images.pictures.read(index)
            except RequestError as error:
                return str(error)
            return None

        yield from in_order(reason, len(images))
