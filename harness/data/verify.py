"""Whether a dataset can be trusted: every image decoded, every class counted, no image in two places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.contents import content_hashes
from harness.data.parallel import in_order
from harness.dataset import Dataset, ImageSet
from harness.errors import RequestError

QUANTILES = (0, 0.25, 0.5, 0.75, 1)


def verify(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Decodes every image and counts.

    Returns name, title, split (the hash that records carry), `partial`; for each role `<role>_classes`, `_images`,
    `_class_sizes` (least, quartiles, most) and `_classes_of_one` (no other image can be found for theirs); `broken`:
    what is wrong with each image that cannot be decoded. `progress` is called with (images done, images in all).
    """
    report: dict[str, Any] = {
        "name": dataset.name,
        "title": dataset.title,
        "split": dataset.split,
        "partial": dataset.partial,
    }
    report |= _all_counts(dataset)
    total = sum(len(images) for _, images in roles(dataset))
    broken: list[str] = []
    for done, reason in enumerate(_reasons(dataset), start=1):
        if reason is not None:
            broken.append(reason)
        if progress is not None:
            progress(done, total)
    return report | {"broken": broken}


def audit(dataset: Dataset, cache: Path) -> dict[str, Any]:
    """Looks for leaks: images that are the same to the byte.

    Returns name, split (the hash that records carry) and the counts of `verify`; `shared_classes`, names of classes
    that tuning and the test both hold; `across_roles` and `across_classes`, lists of groups of image ids: the first
    stand in two roles, so that tuning has seen a test image or a query finds itself; the second carry two labels, of
    which one must be wrong. Reads each file once; hashes are remembered in `cache`.
    """
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for role, images in roles(dataset):
        for content, label, image_id in zip(
            content_hashes(images.pictures, cache), images.labels.tolist(), images.image_ids, strict=True
        ):
            groups[content].append((role, images.class_names[label], image_id))
    report = {"name": dataset.name, "split": dataset.split, **_all_counts(dataset)}
    return report | {
        "shared_classes": _shared_classes(dataset),
        "across_roles": _mixed(groups.values(), lambda image: image[0]),
        "across_classes": _mixed(groups.values(), lambda image: image[1]),
    }


def roles(dataset: Dataset) -> list[tuple[str, ImageSet]]:
    """The sets of images, by role."""
    sets = [("development", dataset.development), ("test", dataset.test)]
    return sets if dataset.gallery is None else [*sets, ("gallery", dataset.gallery)]


def _all_counts(dataset: Dataset) -> dict[str, Any]:
    return {
        f"{role}_{what}": value for role, images in roles(dataset) for what, value in _counts(images).items()
    }


def _shared_classes(dataset: Dataset) -> list[str]:
    tested = {name for role, images in roles(dataset) if role != "development" for name in images.class_names}
    return sorted(tested & set(dataset.development.class_names))


def _counts(images: ImageSet) -> dict[str, Any]:
    sizes = np.bincount(images.labels, minlength=len(images.class_names))
    return {
        "classes": len(images.class_names),
        "images": len(images),
        "class_sizes": [float(size) for size in np.quantile(sizes, QUANTILES)],
        "classes_of_one": int((sizes == 1).sum()),
    }


def _reasons(dataset: Dataset) -> Iterable[str | None]:
    for _, images in roles(dataset):

        def reason(index: int, images: ImageSet = images) -> str | None:
            try:
                images.pictures.read(index)
            except RequestError as error:
                return str(error)
            return None

        yield from in_order(reason, len(images))


def _mixed(
    groups: Iterable[list[tuple[str, str, str]]], by: Callable[[tuple[str, str, str]], str]
) -> list[list[str]]:
    mixed = (group for group in groups if len({by(image) for image in group}) > 1)
    return sorted([f"{role}: {image_id}" for role, _, image_id in group] for group in mixed)
