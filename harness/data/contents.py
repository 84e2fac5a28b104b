"""What images are, by content: their sha256, remembered so that unchanged files are hashed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol as Interface
from typing import TypeVar, runtime_checkable

from harness.data.parallel import in_order
from harness.dataset import Dataset, Pictures
from harness.errors import RequestError
from harness.files import replace_file

Result = TypeVar("Result")

#: Told images done and images in all.
Progress = Callable[[int, int], None]


@runtime_checkable
class Stamped(Interface):
    """Pictures that say cheaply whether an image may have changed."""

    def stamp(self, index: int) -> str:
        """Place, size and time of change of the file that holds the image."""
        ...


def content_digest(dataset: Dataset, cache: Path, workers: int | None = None) -> str:
    """sha256 of the images of all roles as they are stored, in order: the names of images do not say what is in them.

    Raises RequestError that names the files that cannot be read.
    """
    digest = hashlib.sha256()
    for images in dataset.roles.values():
        for content in content_hashes(images.pictures, cache, workers):
            digest.update(f"{content}\n".encode())
    return digest.hexdigest()


def content_hashes(pictures: Pictures, cache: Path, workers: int | None = None) -> list[str]:
    """sha256 of every image as it is stored, in order.

    Those of `Stamped` pictures are remembered in the cache under their stamps, hashed again when one changes.
    Raises RequestError that names the files that cannot be read.
    """
    if not isinstance(pictures, Stamped):
        return list(each(pictures.content, len(pictures), workers))
    stamps = "\n".join(pictures.stamp(index) for index in range(len(pictures)))
    memory = (
        cache / "contents" / f"{hashlib.sha256(stamps.encode(errors='surrogateescape')).hexdigest()}.json"
    )
    if memory.exists():
        known: list[str] = json.loads(memory.read_text(encoding="utf-8"))
        return known
    hashes = list(each(pictures.content, len(pictures), workers))
    memory.parent.mkdir(parents=True, exist_ok=True)
    replace_file(memory, json.dumps(hashes).encode())
    return hashes


def each(
    work: Callable[[int], Result], images: int, workers: int | None = None, progress: Progress | None = None
) -> Iterator[Result]:
    """`work` of every image, on threads, in order.

    Images that it refuses are gathered to the end, with no more results after the first of them; then one RequestError
    names ten and counts the others.
    """

    def tried(index: int) -> Result | RequestError:
        try:
            return work(index)
        except RequestError as error:
            return error

    broken: list[RequestError] = []
    for done, result in enumerate(in_order(tried, images, workers), start=1):
        if isinstance(result, RequestError):
            broken.append(result)
        elif not broken:
            yield result
        if progress is not None:
            progress(done, images)
    if broken:
        named = "\n  ".join(str(error) for error in broken[:10])
        rest = f"\n  and {len(broken) - 10:,} more" if len(broken) > 10 else ""
        raise RequestError(
            f"{len(broken):,} of {images:,} images cannot be read; replace or remove them "
            f"(`data verify NAME` lists those of every role):\n  {named}{rest}"
        )
