"""What pages show of an embedding: the same queries for all, true neighbours, a map, and its properties."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score, roc_curve

from harness.campaign.properties import compressed, geometry, matched_scores, property_arrays
from harness.campaign.shown import (
    fixed_queries,
    names_of,
    page_arrays,
    pictures_of,
    principal_axes,
    unit_rows,
    whole_classes,
)
from harness.data import load_dataset
from harness.engine.bench import Role, TestRoles
from harness.metrics import score
from harness.record import read_arrays, write_record
from harness.thumbnails import picture_id, read_thumbnails, thumbnail
from tests.made_records import made

SPLIT = "5f" * 32


def embedded(
    seed: int = 0, classes: int = 30, each: int = 8, noise: float = 1.0
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = rng.normal(size=(classes, 16))
    return (centres[labels] + noise * rng.normal(size=(len(labels), 16))).astype(np.float32), labels


def roles(labels: npt.NDArray[np.int64], gallery: npt.NDArray[np.int64] | None = None) -> TestRoles:
    names = tuple(f"class {i}" for i in range(int(labels.max()) + 1))
    apart = None if gallery is None else Role(Path("none"), gallery, names)
    return TestRoles(Role(Path("none"), labels, names), apart, (1, 2))


def test_neighbours_are_the_metrics_own() -> None:
    embeddings, labels = embedded()
    scored = np.arange(len(labels))
    found = page_arrays({"embeddings": embeddings, "query": scored}, roles(labels), SPLIT)
    truth = score(torch.from_numpy(embeddings), labels, neighbours=10).neighbours
    assert np.array_equal(found["shown_neighbours"], truth[found["shown_query"]])
    assert np.array_equal(found["shown_class"], labels[found["shown_neighbours"]])
    assert (np.diff(found["shown_similarity"], axis=1) <= 0).all()


def test_neighbours_in_a_gallery_apart_leave_nothing_out() -> None:
    embeddings, labels = embedded()
    measured = {"embeddings": embeddings, "query": np.arange(len(labels)), "gallery_embeddings": embeddings}
    found = page_arrays(measured, roles(labels, labels), SPLIT)
    assert np.array_equal(found["shown_neighbours"][:, 0], found["shown_query"])
    assert found["shown_similarity"][:, 0] == pytest.approx(1)
    assert found["shown_role"] == "gallery"


def test_the_same_queries_and_the_same_map_for_every_method() -> None:
    scored = np.arange(240)
    arrays = []
    for seed in (0, 1):
        embeddings, labels = embedded(seed)
        arrays.append(page_arrays({"embeddings": embeddings, "query": scored}, roles(labels), SPLIT))
    for name in ("shown_query", "shown_query_class", "map_index", "map_class"):
        assert np.array_equal(arrays[0][name], arrays[1][name])
    labels = np.repeat(np.arange(30), 8)
    other = fixed_queries(scored, labels, "e7" * 32)
    assert not np.array_equal(arrays[0]["shown_query"], other)
    # One of each of the 30 classes, then a second of 20 of them.
    assert sorted(np.bincount(labels[other]).tolist()) == [1] * 10 + [2] * 20


def test_a_map_holds_whole_classes_and_is_principal_components() -> None:
    embeddings, labels = embedded()
    index = whole_classes(labels, SPLIT, 50)
    assert np.array_equal(np.unique(np.bincount(labels[index])), [0, 8])
    assert len(index) == 48
    assert len(whole_classes(labels, SPLIT, 1)) == 16
    rows = unit_rows(embeddings)
    xy, share = principal_axes(rows)
    oracle = PCA(2).fit(rows)
    assert np.abs(xy) == pytest.approx(np.abs(oracle.transform(rows)))
    assert share[:2] == pytest.approx(oracle.explained_variance_ratio_)
    assert share.sum() == pytest.approx(1)


def test_geometry_agrees_with_other_definitions() -> None:
    embeddings, labels = embedded()
    rows = unit_rows(embeddings)
    found = geometry(rows, labels)
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    same = np.array([labels[i] == labels[j] for i, j in pairs])
    distance = np.array([np.linalg.norm(rows[i] - rows[j]) for i, j in pairs])
    assert found["auroc"] == pytest.approx(roc_auc_score(same, -distance))
    false, true, _ = roc_curve(same, -distance)
    assert found["tar"] == pytest.approx(true[false <= 1e-3].max(), abs=0.01)
    assert found["uniformity"] == pytest.approx(np.log(np.exp(-2 * distance**2).mean()))
    flat = geometry(unit_rows(np.eye(16)[np.arange(32) % 16]), np.arange(32) % 16)
    assert flat["spectral_decay"] == pytest.approx(0, abs=1e-6)
    assert flat["effective_dimensions"] == pytest.approx(15)
    assert flat["density"] == pytest.approx(0)


def test_compression_keeps_what_it_says() -> None:
    embeddings, labels = embedded(noise=0.5)
    rows = unit_rows(embeddings)
    kept = compressed(rows, sizes=(64, 8))
    assert list(kept) == ["float32", "float32, 8 components", "int8", "binary"]
    assert len(np.unique(kept["int8"][:, 0])) <= 256
    assert kept["int8"] == pytest.approx(rows, abs=1 / 128)
    assert set(np.unique(kept["binary"])) == {-1.0, 1.0}
    found = property_arrays(embeddings, labels, np.arange(len(labels)))
    whole = score(torch.from_numpy(embeddings), labels).metrics
    assert found["deployment"][0] == pytest.approx([whole["precision_at_1"], whole["map_at_r"]], abs=1e-6)
    assert found["deployment_images"] == 240


def test_scores_at_another_gallery_size_have_that_size() -> None:
    embeddings, labels = embedded()
    names = ["map_at_r", "recall_at_1"]
    measured = {"embeddings": embeddings}
    few = matched_scores(measured, labels, None, 6, names, (1,))
    assert few.shape == (20, 3)
    assert (few[:, 2] == 48).all()
    whole = score(torch.from_numpy(embeddings), labels, recall_at=(1,)).metrics
    assert few[:, 0].mean() > whole["map_at_r"]  # a smaller gallery has fewer distractors
    every = matched_scores(measured, labels, None, 30, names, (1,))
    assert every[:, :2] == pytest.approx(np.tile([whole[n] for n in names], (len(every), 1)), abs=1e-6)
    assert matched_scores(measured, labels, None, 31, names, (1,)).shape == (0, 3)


def test_thumbnails_are_kept_once_beside_the_records(tmp_path: Path) -> None:
    dataset = load_dataset("glyphs", None, False)
    labels = dataset.test.labels
    for method, seed in (("ms", 0), ("nca", 1)):
        noise = np.random.default_rng(seed).normal(size=(len(labels), 8)).astype(np.float32)
        measured = {"embeddings": noise, "query": np.arange(len(labels))}
        found = page_arrays(measured, roles(labels), SPLIT)
        found |= names_of(dataset, found) | pictures_of({"test": dataset.test.pictures.read}, SPLIT, found)
        record, arrays = made(method, 0.4)
        path = write_record(tmp_path, record, arrays | found)
        kept = read_arrays(path)
        assert "pictures" not in kept
        pictures = read_thumbnails(path.parent)
        for position in (*kept["shown_query"], *kept["shown_neighbours"].ravel()):
            drawn = pictures[picture_id(SPLIT, "test", position)]
            assert np.array_equal(drawn, dataset.test.pictures.read(int(position)))
        assert kept["shown_id"][3, 7] == dataset.test.image_ids[kept["shown_neighbours"][3, 7]]


def test_a_thumbnail_fits_without_being_squeezed() -> None:
    tall = np.zeros((40, 20, 3), dtype=np.uint8)
    drawn = thumbnail(tall, 32)
    assert drawn.shape == (32, 32, 3)
    assert (drawn[:, :8] == 255).all() and (drawn[:, 24:] == 255).all() and (drawn[:, 8:24] == 0).all()
