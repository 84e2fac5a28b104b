"""`data audit`: a test image among the training images is found, as it is, saved again, or cut."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.cli.main import main
from harness.data import load_dataset
from harness.data.audit import audit
from harness.data.likeness import Look, nearest, thumbnails, unit
from harness.errors import RequestError


@pytest.fixture(scope="session")
def photographs(data_root: Path) -> dict[str, list[Path]]:
    """Ten photographs of each of six birds."""
    images = data_root / "cub127" / "CUB_200_2011" / "images"
    return {folder.name: sorted(folder.iterdir())[:10] for folder in sorted(images.iterdir())[:6]}


@pytest.fixture
def birds(photographs: dict[str, list[Path]], tmp_path: Path) -> Path:
    """The photographs as a folder of one's own: the first three kinds for development, the others for the test."""
    for label, files in photographs.items():
        (tmp_path / "birds" / label).mkdir(parents=True)
        for file in files:
            shutil.copy(file, tmp_path / "birds" / label)
    return tmp_path / "birds"


def found(birds: Path, cache: Path) -> dict[str, Any]:
    dataset = load_dataset(f"folder:{birds}", None, partial=False)
    vectors = {role: thumbnails(images.pictures) for role, images in dataset.roles.items()}
    return audit(dataset, cache, [Look("thumbnails", 0.97, vectors)])


def leak(birds: Path) -> tuple[Path, Path]:
    """A test image, and a place for it among the training images."""
    classes = sorted(birds.iterdir())
    return sorted(classes[-1].iterdir())[3], classes[0] / "new.jpg"


def test_a_clean_split_has_no_findings(birds: Path, tmp_path: Path) -> None:
    report = found(birds, tmp_path / "cache")
    assert report["split"] == load_dataset(f"folder:{birds}", None, partial=False).split
    for finding in ("shared_classes", "across_roles", "across_classes", "near_duplicates"):
        assert report[finding] == []
    assert report["test_class_sizes"] == [10, 10, 10, 10, 10]
    assert "similarity at least 0.97; the most similar below 0." in report["looks"][0]


def test_a_copied_test_image_is_found(birds: Path, tmp_path: Path) -> None:
    source, target = leak(birds)
    shutil.copy(source, target)
    report = found(birds, tmp_path / "cache")
    pair = [f"development: {target.parent.name}/new.jpg", f"test: {source.parent.name}/{source.name}"]
    assert report["across_roles"] == report["across_classes"] == [pair]
    assert report["near_duplicates"] == [], "what is the same to the byte is said once"


@pytest.mark.parametrize("how", ["saved again", "half the size", "brighter"])
def test_a_test_image_that_was_saved_again_is_found(birds: Path, tmp_path: Path, how: str) -> None:
    source, target = leak(birds)
    with Image.open(source) as image:
        width, height = image.size
        changed = {
            "saved again": image,
            "half the size": image.resize((width // 2, height // 2)),
            "brighter": image.point(lambda level: min(255, int(1.15 * level + 8))),
        }[how]
        changed.save(target, "JPEG", quality=50)
    report = found(birds, tmp_path / "cache")
    assert report["across_roles"] == []
    assert [pair[:2] for pair in report["near_duplicates"]] == [
        [f"development: {target.parent.name}/new.jpg", f"test: {source.parent.name}/{source.name}"]
    ]


def test_the_command_says_how_it_looked_and_ends_with_1(
    birds: Path, tmp_path: Path, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A photograph with its edges cut off is another thumbnail, and the same bird to a network."""
    source, target = leak(birds)
    with Image.open(source) as image:
        width, height = image.size
        image.crop((width // 20, height // 20, width - width // 20, height - height // 20)).save(
            target, "JPEG"
        )
    places = ["--cache", str(tmp_path / "cache"), "--data", str(data_root)]
    words = ["data", "audit", f"folder:{birds}", *places]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["near_duplicates"] == []
    network = ["--backbone", "mobilenet_v2", "--weights", str(data_root / "weights" / "mobilenet_v2.pth")]
    assert main([*words, *network]) == 1
    said = capsys.readouterr().out
    assert f"development: {target.parent.name}/new.jpg, test: {source.parent.name}/{source.name}, 0." in said
    assert "features of mobilenet_v2 (214e840da751): similarity at least 0.87" in said
    assert "thumbnails of 32 x 32 grey levels: similarity at least 0.97" in said
    assert main([*words, "--threshold", "-1", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["near_duplicates"]) == 30


def test_a_backbone_without_its_weights_is_said(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "data",
        "audit",
        f"folder:{birds}",
        "--cache",
        str(tmp_path / "cache"),
        "--backbone",
        "resnet152",
    ]
    assert main(words) == 3
    assert "backbone resnet152: its weights are not here" in capsys.readouterr().err


def test_broken_images_are_named(birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, target = leak(birds)
    target.write_bytes(b"")
    assert main(["data", "audit", f"folder:{birds}", "--cache", str(tmp_path / "cache")]) == 2
    assert "1 of 31 images cannot be read" in capsys.readouterr().err


def test_label_conflicts_of_cars_are_found(data_root: Path, tmp_path: Path) -> None:
    dataset = load_dataset("cars", data_root, partial=True)
    assert len(audit(dataset, tmp_path)["across_classes"]) == 11


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_nearest_is_the_nearest(queries: int, others: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    q, o = (unit(draw.normal(size=(n, 5)).astype(np.float32)) for n in (queries, others))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.data.likeness._BLOCK", 7)
        near = nearest(q, o)
    assert [n.query for n in near] == list(range(queries))
    for n in near:
        distances = np.linalg.norm(q[n.query] - o, axis=1)
        assert distances[n.found] == pytest.approx(distances.min(), abs=1e-5)
        assert n.similarity == pytest.approx(1 - distances.min() ** 2 / 2, abs=1e-5)


def test_an_image_of_one_colour_is_like_nothing(tmp_path: Path) -> None:
    for label in "ab":
        for i in range(2):
            (tmp_path / label).mkdir(exist_ok=True)
            Image.new("RGB", (9, 9), (i, 0, 0)).save(tmp_path / label / f"{i}{label}.png")
    dataset = load_dataset(f"folder:{tmp_path}", None, partial=False)
    assert (thumbnails(dataset.test.pictures) == 0).all()
    with pytest.raises(RequestError, match="folder"):
        load_dataset("folder", None, partial=False)
