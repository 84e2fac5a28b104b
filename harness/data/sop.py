"""Stanford Online Products (Oh Song et al. 2016): 120,053 photographs of 22,634 products, about five of each."""

from __future__ import annotations

from pathlib import Path

from harness.data.layout import Listed, classes_of, find, official
from harness.data.tables import rows
from harness.dataset import Archive, Dataset, DatasetSource
from harness.errors import RequestError

TITLE = "Stanford Online Products"
HOMEPAGE = "https://cvgl.stanford.edu/projects/lifted_struct/"
TERMS = "for research; the photographs belong to their makers"
HOW = f"`data prepare sop` fetches it ({TERMS}); or get Stanford_Online_Products.zip from {HOMEPAGE} and unpack it."
# The publisher's server has answered over plain http alone; the checksum says whether it arrived as it was published.
ARCHIVES = (
    Archive(
        file="Stanford_Online_Products.zip",
        addresses=tuple(
            f"{scheme}://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip"
            for scheme in ("https", "http")
        ),
        checksums=(
            "md5:7f73d41a2f44250d4779881525aea32e",
            "sha256:b04fa78210e69fab050ce73939550e1cd0f96890bdd98ec9fee732c3b756ef48",
        ),
        size=3_083_860_082,
    ),
)
CLASSES = (11_318, 11_316)
IMAGES = (59_551, 60_502)


def load(root: Path | None, partial: bool) -> Dataset:
    """The dataset in its official split (Ebay_train.txt and Ebay_test.txt), classes by their number."""
    folder = find(root, "sop", ("Stanford_Online_Products",), ("Ebay_train.txt",), TITLE, HOW)
    development, test = (_listed(folder, list_) for list_ in ("Ebay_train.txt", "Ebay_test.txt"))
    return official(
        name="sop",
        title=TITLE,
        folder=folder,
        roles=(classes_of(development), classes_of(test)),
        images=development + test,
        expected=(CLASSES, IMAGES),
        partial=partial,
        recall_at=(1, 10, 100, 1000),
        homepage=HOMEPAGE,
        terms=TERMS,
    )


def _listed(folder: Path, list_: str) -> list[Listed[Path]]:
    return [
        Listed(_label(number, folder / list_), path, folder / path)
        for _, number, _, path in rows(folder / list_, 4, head=1)
    ]


def _label(number: str, file: Path) -> str:
    if not (number.isascii() and number.isdigit() and len(number) <= 5):
        raise RequestError(
            f"{file}: class_id {number[:40]!r}, expected a number of up to five digits; fetch the list again"
        )
    return number.zfill(5)


SOURCE = DatasetSource(title=TITLE, load=load, homepage=HOMEPAGE, terms=TERMS, archives=ARCHIVES)
