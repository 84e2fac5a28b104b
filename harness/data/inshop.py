"""In-Shop Clothes Retrieval (Liu et al. 2016, DeepFashion): 7,982 garments; test queries search a separate gallery."""

from __future__ import annotations

from pathlib import Path

from harness.data.layout import Listed, classes_of, find, image_set, whole_or_partial
from harness.data.pictures import Files
from harness.data.tables import rows
from harness.dataset import Dataset, DatasetSource
from harness.errors import RequestError

TITLE = "In-Shop Clothes Retrieval"
HOMEPAGE = "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html"
TERMS = "for non-commercial research, by agreement with the Multimedia Laboratory, CUHK"
HOW = (
    f"Ask for it at {HOMEPAGE} ({TERMS}); then `data prepare inshop --from img.zip --from list_eval_partition.txt`, "
    "or unpack Img/img.zip beside Eval/ yourself."
)
LIST = "list_eval_partition.txt"
#: Published (classes, images) of each part.
PARTS = {"train": (3_997, 25_882), "query": (3_985, 14_218), "gallery": (3_985, 12_612)}


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset with its official parts: development, test queries and the gallery that they search."""
    folders = ("In-shop Clothes Retrieval Benchmark", "In-Shop", "InShop", "In_shop")
    folder = find(root, "inshop", folders, (f"Eval/{LIST}", LIST), TITLE, HOW)
    parts = _parts(folder)
    everything = [image for images in parts.values() for image in images]
    here, lacking = whole_or_partial(everything, partial, TITLE, folder)
    there = {image.image_id for image in here}
    parts = {part: [image for image in images if image.image_id in there] for part, images in parts.items()}
    if not lacking:
        _demand(parts)
    # A garment without a query or without a gallery image in a partial copy is still a class of both sets.
    test = classes_of(parts["query"] + parts["gallery"])
    return Dataset(
        name="inshop",
        title=f"{TITLE}, partial ({len(here):,} images)" if lacking else TITLE,
        development=image_set(classes_of(parts["train"]), parts["train"], Files),
        test=image_set(test, parts["query"], Files),
        gallery=image_set(test, parts["gallery"], Files),
        recall_at=(1, 10, 20, 30, 40, 50),
        default_protocol="reality_check",
        partial=lacking,
        homepage=HOMEPAGE,
        terms=TERMS,
    )


def _parts(folder: Path) -> dict[str, list[Listed[Path]]]:
    table = folder / "Eval" / LIST if (folder / "Eval" / LIST).exists() else folder / LIST
    images = folder / "Img" if (folder / "Img" / "img").is_dir() else folder
    parts: dict[str, list[Listed[Path]]] = {part: [] for part in PARTS}
    for path, item, part in rows(table, 3, head=2):
        if part not in parts:
            raise RequestError(
                f"{table}: {path} is of part {part!r}, expected {', '.join(PARTS)}; fetch the list again"
            )
        parts[part].append(Listed(item, path, images / path))
    return parts


def _demand(parts: dict[str, list[Listed[Path]]]) -> None:
    for part, (classes, number) in PARTS.items():
        found = (len(classes_of(parts[part])), len(parts[part]))
        if found != (classes, number):
            raise RequestError(
                f"{TITLE}: {LIST} has {found[1]:,} {part} images of {found[0]:,} garments, published are {number:,} "
                f"of {classes:,}; fetch it again"
            )


SOURCE = DatasetSource(title=TITLE, load=load, homepage=HOMEPAGE, terms=TERMS)
