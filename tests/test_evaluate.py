"""`evaluate FILE`: the same numbers from every form of file, and a clear word for what is not one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.cli.evaluate import evaluate
from harness.errors import RequestError
from harness.metrics import score

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 8, 60)
LABELS[0] = 99  # the only image of its class
EMBEDDINGS = RANDOM.normal(size=(60, 16)).astype(np.float32) + np.eye(100, 16, dtype=np.float32)[LABELS]
OFFERED = RANDOM.integers(0, 8, 40)
GALLERY = RANDOM.normal(size=(40, 16)).astype(np.float32) + np.eye(8, 16, dtype=np.float32)[OFFERED]


def write(folder: Path, **arrays: Any) -> Path:
    file = folder / "e.npz"
    np.savez(file, **arrays)
    return file


def test_the_object_is_the_documented_one(tmp_path: Path) -> None:
    result = evaluate(write(tmp_path, embeddings=EMBEDDINGS, labels=LABELS), recall_at=(1, 2, 4))
    expected = score(torch.from_numpy(EMBEDDINGS), LABELS, recall_at=(1, 2, 4))
    assert result == {**expected.metrics, "queries": 59, "excluded_queries": 1}
    assert list(result) == [
        *("recall_at_1", "recall_at_2", "recall_at_4", "precision_at_1", "r_precision", "map_at_r"),
        *("queries", "excluded_queries"),
    ]


def test_a_separate_gallery(tmp_path: Path) -> None:
    file = write(
        tmp_path, embeddings=EMBEDDINGS, labels=LABELS, gallery_embeddings=GALLERY, gallery_labels=OFFERED
    )
    expected = score(torch.from_numpy(EMBEDDINGS), LABELS, torch.from_numpy(GALLERY), OFFERED)
    assert evaluate(file) == {**expected.metrics, "queries": 59, "excluded_queries": 1}


def test_every_form_gives_the_same_numbers(tmp_path: Path) -> None:
    expected = evaluate(write(tmp_path, embeddings=EMBEDDINGS, labels=LABELS))
    safe = tmp_path / "e.safetensors"
    save_file({"embeddings": torch.from_numpy(EMBEDDINGS), "labels": torch.from_numpy(LABELS)}, safe)
    assert evaluate(safe) == expected
    forms = [
        {"embeddings": EMBEDDINGS.astype(np.float64), "labels": LABELS.astype(np.uint8)},
        {"embeddings": EMBEDDINGS.astype(">f4"), "labels": LABELS.astype(">i8")},
        {"embeddings": EMBEDDINGS, "labels": np.array([f"class {label}" for label in LABELS])},
        {"embeddings": EMBEDDINGS, "labels": LABELS, "paths": np.array(["a"] * 60)},
    ]
    for arrays in forms:
        assert evaluate(write(tmp_path, **arrays)) == expected


def test_strings_name_the_same_classes_in_both_sets(tmp_path: Path) -> None:
    names = {
        f: np.array([f"class {label}" for label in labels]) for f, labels in (("q", LABELS), ("g", OFFERED))
    }
    sets = {"embeddings": EMBEDDINGS, "gallery_embeddings": GALLERY}
    numbers = evaluate(write(tmp_path, **sets, labels=LABELS, gallery_labels=OFFERED))
    assert evaluate(write(tmp_path, **sets, labels=names["q"], gallery_labels=names["g"])) == numbers


def test_half_precision_is_read(tmp_path: Path) -> None:
    file = tmp_path / "e.safetensors"
    save_file(
        {"embeddings": torch.from_numpy(EMBEDDINGS).bfloat16(), "labels": torch.from_numpy(LABELS)}, file
    )
    assert evaluate(file)["queries"] == 59
    assert evaluate(write(tmp_path, embeddings=EMBEDDINGS.astype(np.float16), labels=LABELS))["queries"] == 59


BROKEN = EMBEDDINGS.copy()
BROKEN[4, 2] = np.nan


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"labels": LABELS}, "no array `embeddings`"),
        ({"embeddings": EMBEDDINGS}, "no array `labels`"),
        ({"embeddings": EMBEDDINGS, "label": LABELS}, "did you mean 'labels'"),
        (
            {"embeddings": EMBEDDINGS, "labels": LABELS, "gallery_labels": OFFERED},
            "no array `gallery_embeddings`",
        ),
        ({"embeddings": EMBEDDINGS, "labels": LABELS[:-1]}, "labels: expected 60 integers"),
        ({"embeddings": EMBEDDINGS, "labels": LABELS * 0.5}, "got float64"),
        ({"embeddings": EMBEDDINGS, "labels": LABELS[:, None]}, r"shape \(60, 1\)"),
        ({"embeddings": EMBEDDINGS, "labels": LABELS.astype(object)}, "not Python objects"),
        ({"embeddings": EMBEDDINGS[:, 0], "labels": LABELS}, r"shape \(60,\)"),
        ({"embeddings": LABELS[:, None], "labels": LABELS}, "expected floating-point values; got int64"),
        ({"embeddings": EMBEDDINGS[:0], "labels": LABELS[:0]}, "none of them 0"),
        ({"embeddings": BROKEN, "labels": LABELS}, "NaN or infinity in 1 of 60 rows"),
        ({"embeddings": EMBEDDINGS, "labels": np.arange(60)}, "nothing to score"),
        (
            {
                "embeddings": EMBEDDINGS,
                "labels": LABELS,
                "gallery_embeddings": GALLERY,
                "gallery_labels": OFFERED.astype(str),
            },
            "one kind",
        ),
        (
            {
                "embeddings": EMBEDDINGS,
                "labels": LABELS,
                "gallery_embeddings": GALLERY[:, :3],
                "gallery_labels": OFFERED,
            },
            "16 dimensions and the gallery 3",
        ),
    ],
)
def test_what_cannot_be_scored_names_the_file_and_the_reason(
    tmp_path: Path, arrays: dict[str, Any], reason: str
) -> None:
    file = write(tmp_path, **arrays)
    with pytest.raises(RequestError, match=reason) as refused:
        evaluate(file)
    assert str(refused.value).startswith(f"{file}: ")


@pytest.mark.parametrize("name", ["none.npz", "e.csv", "text.npz", "text.safetensors"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if not name.startswith("none"):
        file.write_text("embeddings,labels\n")
    with pytest.raises(RequestError, match=r"no such file|expected a file|cannot be read"):
        evaluate(file)
