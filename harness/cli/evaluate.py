"""Score embeddings from a file, whoever made them: `evaluate FILE`."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from harness.dataset import Dataset, ImageSet
from harness.errors import RequestError
from harness.files import read_npz
from harness.metrics import Scores, score
from harness.submission import Submission

#: Arrays that the file may hold; the first two it must.
ARRAYS = ("embeddings", "labels", "gallery_embeddings", "gallery_labels")

Array = npt.NDArray[Any]


def evaluate(file: Path, recall_at: Sequence[int] = (1,)) -> dict[str, float | int]:
    """Scores of the embeddings in a `.npz` or `.safetensors` file.

    The file holds `embeddings` (N, D) of any floating-point type and `labels` (N,), integers or (in `.npz`)
    strings; with `gallery_embeddings` (G, D) and `gallery_labels` (G,) the queries search that gallery, without
    them each other. Nothing in the file is ever unpickled.
    Returns `recall_at_K` for every K asked for, `precision_at_1`, `r_precision` and `map_at_r` as fractions,
    `queries` that were scored and `excluded_queries` that have no image of their class to find.
    Raises RequestError naming the file and the array, what was expected and what was found.
    """
    try:
        scores = _scores(_arrays(file), recall_at)
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from None
    return {**scores.metrics, "queries": scores.queries, "excluded_queries": scores.excluded}


def resubmit(file: Path, dataset: Dataset, name: str, title: str) -> Submission:
    """Scores of the embeddings of a dataset's test images, to stand on its boards under `name`.

    The file holds what `evaluate` takes, in the order of the dataset's test images (and of its gallery, where it has
    one), which the labels must show. Raises RequestError where they do not, or where `name` is no name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}", name):
        raise RequestError(f"--submit {name}: expected a name of letters, digits and _.+-, such as my-model")
    try:
        arrays = _arrays(file)
        _demand_order(arrays["labels"], dataset.test, "labels")
        if dataset.gallery is not None:
            if "gallery_labels" not in arrays:
                raise RequestError(
                    f"{dataset.title} has a separate gallery: {_named(ARRAYS[2:])} are needed too"
                )
            _demand_order(arrays["gallery_labels"], dataset.gallery, "gallery_labels")
        elif "gallery_labels" in arrays:
            raise RequestError(
                f"the test images of {dataset.title} are their own gallery; leave {ARRAYS[2]} out"
            )
        scores = _scores(arrays, dataset.recall_at)
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from None
    return Submission(
        name=name,
        title=title,
        dataset=dataset.slug,
        dataset_title=dataset.title,
        split=dataset.split,
        dimension=int(arrays["embeddings"].shape[1]),
        file_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        metrics=scores.metrics,
        queries=scores.queries,
        excluded=scores.excluded,
    )


def _demand_order(labels: Array | Tensor, images: ImageSet, name: str) -> None:
    """Raises RequestError unless the labels divide the images into the dataset's classes, image by image."""
    found = np.unique(np.asarray(labels), return_inverse=True)[1].ravel()
    if len(found) != len(images):
        raise RequestError(
            f"{name}: {len(found):,} images, the dataset has {len(images):,} of this role; embed each of them once, in "
            f"their own order, which begins with {', '.join(images.image_ids[:3])}"
        )
    pairs = np.unique(np.stack([found, images.labels]), axis=1).shape[1]
    if not pairs == found.max() + 1 == len(np.unique(images.labels)):
        raise RequestError(
            f"{name}: they do not divide the images as the dataset's classes do; embed its test images in their own "
            f"order, which begins with {', '.join(images.image_ids[:3])}"
        )


def _arrays(file: Path) -> Mapping[str, Array | Tensor]:
    arrays = _read(file)
    _check_names(arrays)
    return arrays


def _scores(arrays: Mapping[str, Array | Tensor], recall_at: Sequence[int]) -> Scores:
    labels, gallery_labels = _numbered(arrays["labels"], arrays.get("gallery_labels"))
    return score(
        _embeddings(arrays, "embeddings"),
        labels,
        _embeddings(arrays, "gallery_embeddings") if "gallery_embeddings" in arrays else None,
        gallery_labels,
        recall_at=recall_at,
    )


def _read(file: Path) -> Mapping[str, Array | Tensor]:
    """Every array of the file by name."""
    if not file.is_file():
        raise RequestError(f"no such file; give a .npz or .safetensors file with {_named(ARRAYS[:2])}")
    if file.suffix == ".npz":
        return _read_npz(file)
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise RequestError(
                f"cannot be read as .safetensors ({error}); safetensors.numpy.save_file({{'embeddings': ..., "
                "'labels': ...}, FILE) writes one"
            ) from None
    raise RequestError("expected a file that ends in .npz or .safetensors")


def _read_npz(file: Path) -> dict[str, Array]:
    try:
        return read_npz(file)
    except Exception as error:  # zipfile, zlib and numpy each raise their own on a damaged file
        raise RequestError(
            f"cannot be read as .npz ({error}); numpy.savez(FILE, embeddings=..., labels=...) writes one, "
            "and labels must be integers or strings, not Python objects"
        ) from None


def _check_names(arrays: Mapping[str, Array | Tensor]) -> None:
    for name in sorted(set(arrays) - set(ARRAYS)):
        # Other arrays may be there, but a misspelt gallery must not silently change the question.
        if near := difflib.get_close_matches(name, ARRAYS, n=1, cutoff=0.8):
            raise RequestError(f"array {name!r} is not known; did you mean {near[0]!r}?")
    required = ARRAYS if any(name in arrays for name in ARRAYS[2:]) else ARRAYS[:2]
    missing = [name for name in required if name not in arrays]
    if missing:
        raise RequestError(
            f"no array {_named(missing)}; expected {_named(ARRAYS[:2])}, and for a separate gallery "
            f"{_named(ARRAYS[2:])}; the file has {_named(sorted(arrays)) or 'none'}"
        )


def _embeddings(arrays: Mapping[str, Array | Tensor], name: str) -> Tensor:
    values = arrays[name]
    if isinstance(values, Tensor):
        return values
    if values.dtype.kind != "f":
        raise RequestError(f"{name}: expected floating-point values; got {values.dtype}")
    # Half precision goes as it is; long doubles and other byte orders are not known to torch.
    return torch.from_numpy(values.astype(np.float16 if values.itemsize == 2 else np.float64))


def _numbered(labels: Array | Tensor, gallery: Array | Tensor | None) -> tuple[Array, Array | None]:
    """Labels, which may be strings, as integers that name the same classes in queries and gallery."""
    queries, items = np.asarray(labels), None if gallery is None else np.asarray(gallery)
    if items is not None and (queries.dtype.kind in "US") != (items.dtype.kind in "US"):
        raise RequestError(
            f"labels are {queries.dtype} and gallery_labels {items.dtype}; use one kind, integers or strings, for both"
        )
    if queries.dtype.kind not in "US":
        return queries, items
    together = queries if items is None else np.concatenate([queries.ravel(), items.ravel()])
    numbers = np.unique(together, return_inverse=True)[1]
    if items is None:
        return numbers.reshape(queries.shape), None
    return numbers[: queries.size].reshape(queries.shape), numbers[queries.size :].reshape(items.shape)


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
