"""CUB-200-2011 (Wah et al. 2011): 11,788 photographs of 200 kinds of birds, the first 100 kinds for development."""

from __future__ import annotations

from pathlib import Path

from harness.data.layout import Listed, find, official
from harness.data.tables import pairs
from harness.dataset import Dataset, DatasetSource
from harness.errors import RequestError

TITLE = "CUB-200-2011"
HOMEPAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
TERMS = "for non-commercial research and education; the photographs belong to their makers"
HOW = f"Get CUB_200_2011.tgz from {HOMEPAGE} ({TERMS}) and unpack it."
CLASSES = (100, 100)
IMAGES = (5_864, 5_924)


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset from its official folder: images.txt, image_class_labels.txt, classes.txt and images/."""
    folder = find(root, "cub", ("CUB_200_2011",), ("images.txt",), TITLE, HOW)
    names = pairs(folder / "classes.txt")
    labels = pairs(folder / "image_class_labels.txt")
    paths = pairs(folder / "images.txt")
    if labels.keys() != paths.keys() or not set(labels.values()) <= names.keys():
        raise RequestError(
            f"{TITLE}: the lists in {folder} do not name the same images and classes; fetch them again"
        )
    images = [Listed(names[labels[image]], path, folder / "images" / path) for image, path in paths.items()]
    classes = list(names.values())
    return official(
        name="cub",
        title=TITLE,
        folder=folder,
        roles=(classes[: CLASSES[0]], classes[CLASSES[0] :]),
        images=images,
        expected=(CLASSES, IMAGES),
        partial=partial,
        recall_at=(1, 2, 4, 8, 16, 32),
        homepage=HOMEPAGE,
        terms=TERMS,
    )


SOURCE = DatasetSource(title=TITLE, load=load, homepage=HOMEPAGE, terms=TERMS)
