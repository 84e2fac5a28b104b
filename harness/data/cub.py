"""CUB-200-2011 (Wah et al. 2011): 11,788 photographs of 200 kinds of birds, the first 100 kinds for development."""

from __future__ import annotations

from pathlib import Path

from harness.data.by_class import find_by_class
from harness.data.layout import Listed, find, official
from harness.data.tables import pairs
from harness.dataset import Archive, Dataset, DatasetSource
from harness.errors import MissingError, RequestError

TITLE = "CUB-200-2011"
HOMEPAGE = "https://www.vision.caltech.edu/datasets/cub_200_2011/"
TERMS = "for non-commercial research and education; the photographs belong to their makers"
HOW = f"`data prepare cub` fetches it ({TERMS}); or get CUB_200_2011.tgz from {HOMEPAGE} and unpack it."
FOLDERS = ("CUB_200_2011",)
ARCHIVES = (
    Archive(
        file="CUB_200_2011.tgz",
        addresses=(
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "https://s3.amazonaws.com/fast-ai-imageclas/CUB_200_2011.tgz",
            "https://huggingface.co/datasets/XiN0919/FGVC/resolve/main/CUB_200_2011.tgz",
        ),
        checksums=("md5:97eceeb196236b17998738112f37df78",),
        size=1_150_585_339,
    ),
)
CLASSES = (100, 100)
IMAGES = (5_864, 5_924)


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset from its official folder (images.txt, image_class_labels.txt, classes.txt, images/), or from a copy
    with one folder a class.
    """
    title = TITLE
    try:
        folder = find(root, "cub", FOLDERS, ("images.txt",), TITLE, HOW)
    except MissingError:
        if (copy := find_by_class(root, ("cub", *FOLDERS), sum(CLASSES))) is None:
            raise
        folder, classes, images = copy.folder, copy.classes, copy.images
        title += " (one folder a class)"
    else:
        classes, images = _official_form(folder)
    return official(
        name="cub",
        title=title,
        folder=folder,
        roles=(classes[: CLASSES[0]], classes[CLASSES[0] :]),
        images=images,
        expected=(CLASSES, IMAGES),
        partial=partial,
        recall_at=(1, 2, 4, 8, 16, 32),
        homepage=HOMEPAGE,
        terms=TERMS,
    )


def _official_form(folder: Path) -> tuple[list[str], list[Listed[Path]]]:
    names = pairs(folder / "classes.txt")
    labels = pairs(folder / "image_class_labels.txt")
    paths = pairs(folder / "images.txt")
    if labels.keys() != paths.keys() or not set(labels.values()) <= names.keys():
        raise RequestError(
            f"{TITLE}: the lists in {folder} do not name the same images and classes; fetch them again"
        )
    return list(names.values()), [
        Listed(names[labels[image]], path, folder / "images" / path) for image, path in paths.items()
    ]


SOURCE = DatasetSource(title=TITLE, load=load, homepage=HOMEPAGE, terms=TERMS, archives=ARCHIVES)
