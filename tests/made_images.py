"""Made images for the tests of loaders, and what those tests ask of every dataset."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from harness.dataset import Dataset


def fake(path: Path, colour: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (colour % 256, colour // 256, 0)).save(path)


def sizes(dataset: Dataset) -> list[tuple[int, int]]:
    sets = [dataset.development, dataset.test, *([dataset.gallery] if dataset.gallery else [])]
    return [(len(set(images.labels.tolist())), len(images)) for images in sets]


def check_names(dataset: Dataset) -> None:
    """Labels fit the ids: every dataset here has the class in the path or name of the image."""
    for images in (dataset.development, dataset.test):
        for label, image_id in zip(images.labels.tolist(), images.image_ids, strict=True):
            assert image_id.startswith(images.class_names[label] + "/")
