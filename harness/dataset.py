"""A dataset: two sets of images that share no class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol as Interface

import numpy as np
import numpy.typing as npt

from harness.errors import RequestError


class Pictures(Interface):
    """Where pixels come from. A value that can be pickled; it holds no open file."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> npt.NDArray[np.uint8]:
        """One image, (H, W, 3) uint8 RGB. Raises RequestError naming the file when it cannot be decoded."""
        ...

    def content(self, index: int) -> str:
        """sha256 of the image as it is stored, in hexadecimal."""
        ...


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their classes.

    pictures: N images.
    labels: (N,) int64; the position of the image's class in `class_names`.
    class_names: the classes, in the dataset's own order; the order in which folds are cut.
    image_ids: N names that identify the images in any copy of the dataset.
    """

    pictures: Pictures
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    image_ids: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.pictures) == len(self.labels) == len(self.image_ids):
            raise RequestError(
                f"{len(self.pictures)} images, {len(self.labels)} labels and {len(self.image_ids)} ids: "
                "a set of images needs one of each"
            )
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise RequestError(f"labels must lie in 0..{len(self.class_names) - 1}, the classes of this set")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Development classes, the only ever shown to tuning, and test classes.

    name: `glyphs`, `cub`, `folder-birds-1a2b3c`; a partial copy keeps the name and says `partial`.
    test: the queries, which are their own gallery unless `gallery` is given (In-Shop).
    recall_at: the K of the Recall@K that the field reports on this dataset.
    default_protocol: the protocol of a run that names none.
    shareable: whether the dataset's terms let its images be passed on (they then may stand on the site).
    """

    name: str
    title: str
    development: ImageSet
    test: ImageSet
    recall_at: tuple[int, ...]
    default_protocol: str
    gallery: ImageSet | None = None
    partial: bool = False
    shareable: bool = False
    homepage: str = ""
    terms: str = ""

    def __post_init__(self) -> None:
        for role, images in (("development", self.development), ("test", self.test)):
            if not len(images):
                raise RequestError(
                    f"{self.title}: no image of the {role} classes is here. A copy without them cannot follow this "
                    f"dataset's official split; use folder:PATH, which splits the classes that there are"
                )
        shared = sorted(set(self.development.class_names) & set(self.test.class_names))
        if shared:
            raise RequestError(
                f"{self.title}: development and test share {len(shared)} classes ({', '.join(shared[:3])}, ...); "
                "they must be disjoint"
            )
        if self.gallery is not None and self.gallery.class_names != self.test.class_names:
            raise RequestError(
                f"{self.title}: queries and gallery must number the same classes, in one order"
            )

    @property
    def roles(self) -> dict[str, ImageSet]:
        """The sets of images by their role: `development`, `test` and, where it is a separate one, `gallery`."""
        roles = {"development": self.development, "test": self.test}
        return roles if self.gallery is None else {**roles, "gallery": self.gallery}

    @cached_property
    def split(self) -> str:
        """sha256 of the table (role, class, image id): two copies with one hash pose the same question."""
        digest = hashlib.sha256()
        for role, images in self.roles.items():
            for label, image in zip(images.labels, images.image_ids, strict=True):
                digest.update(f"{role}\t{images.class_names[label]}\t{image}\n".encode())
        return digest.hexdigest()

    @property
    def slug(self) -> str:
        """The dataset's folder in `results/records`."""
        return f"{self.name}-partial-{self.split[:6]}" if self.partial else self.name


@dataclass(frozen=True)
class Archive:
    """A file to fetch.

    addresses: in the order to try them. checksums: `sha256:...` or `md5:...`, as published; one of them must fit.
    size: in bytes, where it is published. unpack: whether its members are wanted as files.
    """

    file: str
    addresses: tuple[str, ...]
    checksums: tuple[str, ...]
    size: int | None = None
    unpack: bool = True


@dataclass(frozen=True)
class DatasetSource:
    """What `harness/data/<name>.py` says of its dataset: one value, `SOURCE`.

    load: `load(root, partial) -> Dataset`. `root` is the data root, or None when the user named none.
        Raises MissingError (what is missing, where it was looked for, how to get it) and RequestError.
    archives: the files to fetch, none where nobody may hand them on.
    embedded: whether the images are part of the program, so that there is no place to look for them.
    own_place: whether the images are the user's own, so that `root` is the place named after the colon
        (`folder:PATH`) and never the data root.
    """

    title: str
    load: Callable[[Path | None, bool], Dataset]
    homepage: str = ""
    terms: str = ""
    archives: Sequence[Archive] = ()
    embedded: bool = False
    own_place: bool = False
