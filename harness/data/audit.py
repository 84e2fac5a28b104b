"""Leaks between roles: classes that both hold, images that are the same to the byte, images that look the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.data.contents import content_hashes
from harness.data.likeness import Look, near_duplicates, nearest
from harness.data.verify import counts
from harness.dataset import Dataset


def audit(dataset: Dataset, cache: Path, looks: Sequence[Look] = ()) -> dict[str, Any]:
    """What tuning may have seen of the test.

    looks: the ways in which near duplicates are sought.
    Returns name, split (the hash that records carry) and the counts of `verify`; `shared_classes`, names of classes
    that tuning and the test both hold; `across_roles` and `across_classes`, lists of groups of image ids that are the
    same to the byte: the first stand in two roles, so that tuning has seen a test image or a query finds itself; the
    second carry two labels, of which one must be wrong; `looks`, how near duplicates were sought, from which similarity
    on they count, and the most similar pair that does not; `near_duplicates`, pairs of image ids with their similarity:
    a test or gallery image and the development image that is most like it, unless they are the same to the byte.
    Reads each file once; hashes are remembered in `cache`.
    """
    contents = {role: content_hashes(images.pictures, cache) for role, images in dataset.roles.items()}
    report = {"name": dataset.name, "split": dataset.split, **counts(dataset)}
    report |= {"shared_classes": _shared_classes(dataset), **_same_bytes(dataset, contents)}
    return report | _alike(dataset, contents, looks)


def _shared_classes(dataset: Dataset) -> list[str]:
    tested = {
        n for role, images in dataset.roles.items() if role != "development" for n in images.class_names
    }
    return sorted(tested & set(dataset.development.class_names))


def _same_bytes(dataset: Dataset, contents: dict[str, list[str]]) -> dict[str, Any]:
    groups: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for role, images in dataset.roles.items():
        for content, label, image_id in zip(
            contents[role], images.labels.tolist(), images.image_ids, strict=True
        ):
            groups[content].append((role, images.class_names[label], image_id))
    return {
        "across_roles": _mixed(groups.values(), lambda image: image[0]),
        "across_classes": _mixed(groups.values(), lambda image: image[1]),
    }


def _mixed(
    groups: Iterable[list[tuple[str, str, str]]], by: Callable[[tuple[str, str, str]], str]
) -> list[list[str]]:
    mixed = (group for group in groups if len({by(image) for image in group}) > 1)
    return sorted([f"{role}: {image_id}" for role, _, image_id in group] for group in mixed)


def _alike(dataset: Dataset, contents: dict[str, list[str]], looks: Sequence[Look]) -> dict[str, Any]:
    words, pairs = [], []
    for look in looks:
        below = 0.0
        for role, images in dataset.roles.items():
            if role == "development":
                continue
            found = [
                near
                for near in nearest(look.vectors[role], look.vectors["development"])
                if contents[role][near.query] != contents["development"][near.found]
            ]
            below = max([below, *(near.similarity for near in found if near.similarity < look.threshold)])
            pairs += [
                [
                    f"development: {dataset.development.image_ids[near.found]}",
                    f"{role}: {images.image_ids[near.query]}",
                    f"{near.similarity:.3f} by {look.name}",
                ]
                for near in near_duplicates(found, look.threshold)
            ]
        words.append(
            f"{look.name}: similarity at least {look.threshold:g}; the most similar below {below:.3f}"
        )
    return {"looks": words, "near_duplicates": pairs}
