"""The loaders: published counts, official roles, partial copies, and what they say about copies that are not right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from harness.data import load_dataset
from harness.discovery import dataset_names
from harness.errors import MissingError, RequestError
from tests.made_images import check_names, fake, sizes

Pretend = Callable[[Path, Iterable[str]], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Lets a copy seem to hold these images: a hundred thousand real files take minutes to make and remove."""
    names: dict[Path, set[str]] = {}
    monkeypatch.setattr("harness.data.layout.names_in", lambda folder: names.get(folder, set()))

    def these(root: Path, paths: Iterable[str]) -> None:
        for path in paths:
            names.setdefault((root / path).parent, set()).add(os.path.basename(path))

    return these


# -- CUB ---------------------------------------------------------------------------------------------------------
def test_partial_cub_keeps_official_roles(data_root: Path) -> None:
    dataset = load_dataset("cub", data_root / "cub127", partial=True)
    assert sizes(dataset) == [(85, 4982), (42, 2474)]
    check_names(dataset)
    assert all(int(name[:3]) <= 100 for name in dataset.development.class_names)
    assert all(int(name[:3]) > 100 for name in dataset.test.class_names)
    assert list(dataset.test.class_names) == sorted(dataset.test.class_names)
    assert dataset.slug == f"cub-partial-{dataset.split[:6]}"
    assert "partial" in dataset.title
    assert dataset.test.pictures.read(0).shape == (128, 128, 3)
    assert load_dataset("cub", data_root / "cub127", partial=True, class_cut="half").split == dataset.split


def test_partial_cub_must_be_asked_for(data_root: Path) -> None:
    with pytest.raises(MissingError, match=r"4,332 of 11,788 listed images are absent.*--partial"):
        load_dataset("cub", data_root / "cub127", partial=False)


def test_cub_without_a_role_names_folder(data_root: Path) -> None:
    with pytest.raises(RequestError, match=r"no image of the test classes.*folder:PATH"):
        load_dataset("cub", data_root / "cub50", partial=True)


@pytest.fixture
def whole_cub(data_root: Path, tmp_path: Path, pretend: Pretend) -> Path:
    """The official lists, and images that seem to be there."""
    root = tmp_path / "CUB_200_2011"
    root.mkdir()
    for name in ("images.txt", "image_class_labels.txt", "classes.txt"):
        shutil.copy(data_root / "cub50" / "CUB_200_2011" / name, root)
    pretend(root / "images", [line.split()[1] for line in (root / "images.txt").read_text().splitlines()])
    return root


def test_whole_cub(whole_cub: Path) -> None:
    dataset = load_dataset("cub", whole_cub.parent, partial=False)
    assert sizes(dataset) == [(100, 5864), (100, 5924)]
    assert (dataset.name, dataset.partial, dataset.slug) == ("cub", False, "cub")
    # Asking for partial does not make a whole copy one, and the half is the official cut.
    assert load_dataset(f"cub:{whole_cub}", None, partial=True).slug == "cub"
    assert load_dataset("cub", whole_cub, partial=False, class_cut="half").split == dataset.split


def test_shortened_lists_are_refused(whole_cub: Path) -> None:
    for name in ("images.txt", "image_class_labels.txt"):
        text = (whole_cub / name).read_text().splitlines(keepends=True)
        (whole_cub / name).write_text("".join(text[:-1]))
    with pytest.raises(RequestError, match="100 test classes with 5,923 images, published are 100 and 5,924"):
        load_dataset("cub", whole_cub, partial=False)
    (whole_cub / "image_class_labels.txt").write_text("".join(text[:-2]))
    with pytest.raises(RequestError, match="do not name the same images"):
        load_dataset("cub", whole_cub, partial=False)
    (whole_cub / "images.txt").write_text("1 a.jpg\n2\n")
    with pytest.raises(RequestError, match=r"images\.txt, line 2: 1 words, expected 2"):
        load_dataset("cub", whole_cub, partial=False)


def test_two_copies_are_refused(whole_cub: Path) -> None:
    shutil.copytree(whole_cub, whole_cub.parent / "cub")
    with pytest.raises(RequestError, match="is there twice"):
        load_dataset("cub", whole_cub.parent, partial=False)


# -- Cars --------------------------------------------------------------------------------------------------------
def test_partial_cars(data_root: Path) -> None:
    dataset = load_dataset("cars", data_root, partial=True)  # in ROOT/cars196, an official folder
    assert sum(n for _, n in sizes(dataset)) == 8144
    assert [classes for classes, _ in sizes(dataset)] == [98, 98]
    assert dataset.development.class_names[0] == "001 AM General Hummer SUV 2000"
    assert dataset.test.class_names[0].startswith("099 ")


def test_whole_cars_in_both_forms(data_root: Path, tmp_path: Path, pretend: Pretend) -> None:
    joined, devkit = tmp_path / "joined", tmp_path / "devkit form"
    (joined / "car_ims").mkdir(parents=True)
    shutil.copy(data_root / "cars196" / "cars_annos.mat", joined)
    pretend(joined, (f"car_ims/{i:06d}.jpg" for i in range(1, 16_186)))
    dataset = load_dataset("cars", joined, partial=False)
    assert sizes(dataset) == [(98, 8054), (98, 8131)]

    shutil.copytree(data_root / "cars196" / "devkit", devkit / "devkit")
    pretend(devkit, (f"cars_train/{i:05d}.jpg" for i in range(1, 8_145)))
    pretend(devkit, (f"cars_test/{i:05d}.jpg" for i in range(1, 8_042)))
    with pytest.raises(MissingError, match=r"cars_test_annos_withlabels\.mat is missing"):
        load_dataset("cars", devkit, partial=False)
    shutil.copy(data_root / "cars196" / "cars_test_annos_withlabels.mat", devkit)
    other = load_dataset("cars", devkit, partial=False)
    assert sizes(other) == sizes(dataset)
    assert other.test.class_names == dataset.test.class_names


def test_cars_without_images_says_what_is_missing(data_root: Path, tmp_path: Path) -> None:
    shutil.copy(data_root / "cars196" / "cars_annos.mat", tmp_path)
    with pytest.raises(
        MissingError, match=r"devkit/cars_meta\.mat is missing.*car_ims/ with cars_annos\.mat"
    ):
        load_dataset("cars", tmp_path, partial=False)


def test_a_broken_mat_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "car_ims").mkdir()
    (tmp_path / "cars_annos.mat").write_bytes(b"no matlab")
    with pytest.raises(RequestError, match=r"cars_annos\.mat"):
        load_dataset("cars", tmp_path, partial=False)
    savemat(tmp_path / "cars_annos.mat", {"other": 1})
    with pytest.raises(RequestError, match=r"cars_annos\.mat"):
        load_dataset("cars", tmp_path, partial=False)


# -- SOP and In-Shop -----------------------------------------------------------------------------------------------
def test_sop(data_root: Path, tmp_path: Path, pretend: Pretend) -> None:
    lists = data_root / "sop_lists" / "Stanford_Online_Products"
    paths = []
    for name in ("Ebay_train.txt", "Ebay_test.txt"):
        shutil.copy(lists / name, tmp_path)
        paths += [line.split()[3] for line in (lists / name).read_text().splitlines()[1:]]
    with pytest.raises(MissingError, match="none of their 120,053 images"):
        load_dataset("sop", tmp_path, partial=True)
    pretend(tmp_path, paths)
    official = load_dataset("sop", tmp_path, partial=False)
    assert sizes(official) == [(11_318, 59_551), (11_316, 60_502)]
    assert official.recall_at == (1, 10, 100, 1000)
    half = load_dataset("sop", tmp_path, partial=False, class_cut="half")
    assert [classes for classes, _ in sizes(half)] == [11_317, 11_317]
    assert half.test.class_names[0] == official.development.class_names[-1] == "11318"
    moved = half.test.image_ids[: np.count_nonzero(half.test.labels == 0)]
    assert moved == official.development.image_ids[-len(moved) :]
    fake(tmp_path / moved[0])
    assert half.test.pictures.read(0).shape == (8, 8, 3)


def test_inshop(data_root: Path, tmp_path: Path, pretend: Pretend) -> None:
    table = data_root / "inshop_lists" / "Eval" / "list_eval_partition.txt"
    (tmp_path / "inshop" / "Eval").mkdir(parents=True)
    (tmp_path / "inshop" / "Img" / "img").mkdir(parents=True)
    shutil.copy(table, tmp_path / "inshop" / "Eval")
    paths = [line.split()[0] for line in table.read_text().splitlines()[2:]]
    pretend(tmp_path / "inshop" / "Img", paths[1:])
    with pytest.raises(MissingError, match="1 of 52,712 listed images are absent"):
        load_dataset("inshop", tmp_path, partial=False)
    assert load_dataset("inshop", tmp_path, partial=True).partial
    pretend(tmp_path / "inshop" / "Img", paths[:1])
    dataset = load_dataset("inshop", tmp_path, partial=False)
    assert sizes(dataset) == [(3_997, 25_882), (3_985, 14_218), (3_985, 12_612)]
    assert dataset.gallery is not None
    assert dataset.gallery.class_names == dataset.test.class_names
    assert not set(dataset.gallery.image_ids) & set(dataset.test.image_ids)


# -- Omniglot ------------------------------------------------------------------------------------------------------
def test_partial_omniglot_merges_shared_characters(data_root: Path) -> None:
    dataset = load_dataset("omniglot", data_root, partial=True)
    assert sizes(dataset) == [(121, 2420), (121, 2420)]
    check_names(dataset)
    alphabets = [
        {name.split("/")[0] for name in half.class_names} for half in (dataset.development, dataset.test)
    ]
    assert len(alphabets[0] & alphabets[1]) >= 5
    drawing = dataset.development.pictures.read(0)
    assert drawing.shape == (105, 105, 3)
    assert set(np.unique(drawing)) == {0, 255}
    assert drawing.mean() > 128  # black on white


def test_partial_omniglot_must_be_asked_for(data_root: Path) -> None:
    with pytest.raises(MissingError, match=r"images_background\.zip.*--partial"):
        load_dataset("omniglot", data_root, partial=False)


def test_a_broken_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "images_background_small1.zip").write_bytes(b"PK no zip")
    with pytest.raises(RequestError, match=r"images_background_small1\.zip"):
        load_dataset("omniglot", tmp_path, partial=True)


# -- names and places ---------------------------------------------------------------------------------------------
def test_all_are_discovered() -> None:
    assert dataset_names() == ["cars", "cub", "folder", "glyphs", "inshop", "omniglot", "sop", "table"]


@pytest.mark.parametrize("name", ["cub", "cars", "sop", "inshop", "omniglot"])
def test_what_is_missing_is_said(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no folder of data is named.*https://"):
        load_dataset(name, None, partial=False)
    with pytest.raises(MissingError) as error:
        load_dataset(name, tmp_path, partial=False)
    message = str(error.value)
    assert str(tmp_path / name) in message
    assert "https://" in message
    assert "--data" in message


def test_wrong_names() -> None:
    with pytest.raises(RequestError, match="did you mean cub"):
        load_dataset("cup", None, partial=False)
    with pytest.raises(RequestError, match="folder:PATH"):
        load_dataset("folder:", None, partial=False)
    with pytest.raises(RequestError, match="folder:PATH"):
        load_dataset("folder", Path(), partial=False)  # the data root is nobody's own folder
    with pytest.raises(RequestError, match="glyphs is part of the program"):
        load_dataset("glyphs:here", None, partial=False)
