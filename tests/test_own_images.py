"""Anybody's own images, as a folder or a table: what is taken, how it is split, and what is said when it is wrong."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.cli.main import main
from harness.data import load_dataset
from harness.data.cut import half
from harness.data.verify import verify
from harness.errors import MissingError, RequestError
from tests.made_images import check_names, fake, sizes


# -- a folder --------------------------------------------------------------------------------------------------------
@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Four classes: names outside ASCII, capital endings, a link, a class of one image, files that are no images."""
    root = tmp_path / "Meine Vögel"
    for c, (label, number) in enumerate({"Adler": 3, "Bussard": 1, "Müller-Spatz": 2, "Zeisig": 2}.items()):
        for i in range(number):
            fake(root / label / f"bild {i}.JPG", 16 * c + i)
    (root / "Zeisig" / "link.png").symlink_to(root / "Zeisig" / "bild 0.JPG")
    (root / "Zeisig" / "notes.txt").write_text("no image")
    (root / "Zeisig" / ".hidden.jpg").write_bytes(b"")
    (root / ".cache").mkdir()
    (root / "README.md").write_text("no class")
    return root


def test_folder(birds: Path) -> None:
    dataset = load_dataset(f"folder:{birds}", None, partial=False)
    assert dataset.development.class_names == ("Adler", "Bussard")
    assert dataset.test.class_names == ("Müller-Spatz", "Zeisig")
    assert sizes(dataset) == [(2, 4), (2, 5)]
    check_names(dataset)
    assert dataset.slug == f"folder-meine_v_gel-{dataset.split[:6]}"
    report = verify(dataset)
    assert (report["development_classes_of_one"], report["test_classes_of_one"]) == (1, 0)
    assert report["broken"] == []
    # The same images elsewhere are the same question.
    copy = birds.parent / "elsewhere" / birds.name
    shutil.copytree(birds, copy)
    assert load_dataset(f"folder:{copy}", None, partial=False).slug == dataset.slug


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda root: (root / "Leer").mkdir(), RequestError, "class 'Leer' has no image"),
        (
            lambda root: (root / "Adler" / "inner").mkdir(),
            RequestError,
            "class 'Adler' holds a folder, 'inner'",
        ),
        (
            lambda root: [shutil.rmtree(d) for d in root.iterdir() if d.is_dir()],
            RequestError,
            "0 folders in it",
        ),
        (shutil.rmtree, MissingError, "there is no such folder"),
    ],
)
def test_folder_that_is_not_right(
    birds: Path, spoil: Callable[[Path], object], error: type[Exception], message: str
) -> None:
    spoil(birds)
    with pytest.raises(error, match=message):
        load_dataset(f"folder:{birds}", None, partial=False)


def test_a_seed_is_another_split_of_the_same_images(tmp_path: Path) -> None:
    for label in "abcdefgh":
        for i in range(2):
            fake(tmp_path / "animals" / label / f"{i}.png", i)
    loaded = [
        load_dataset(f"folder:{tmp_path / 'animals'}{rule}", None, False)
        for rule in ("", "#seed=0", "#seed=1")
    ]
    assert len({dataset.split for dataset in loaded}) == len({dataset.slug for dataset in loaded}) == 3
    for dataset in loaded:
        assert sizes(dataset) == [(4, 8), (4, 8)]
        assert dataset.title == "animals (8 classes, 16 images)"
    with pytest.raises(RequestError, match=r"animals#seed=one: expected a whole number after #seed="):
        load_dataset(f"folder:{tmp_path / 'animals'}#seed=one", None, False)


def test_only_single_images_are_refused(tmp_path: Path) -> None:
    for label in "abcd":
        fake(tmp_path / label / "1.png")
    with pytest.raises(RequestError, match=r"none of its 2 development classes has two images.*#seed=1"):
        load_dataset(f"folder:{tmp_path}", None, False)


def test_images_of_all_kinds(tmp_path: Path) -> None:
    """One class of every kind that cameras, scanners and programs leave behind; those that are broken are named."""
    colour = Image.new("RGB", (12, 10), (200, 30, 40))
    turned = Image.Exif()
    turned[0x0112] = 6
    for label in ("one", "two"):
        folder = tmp_path / label
        folder.mkdir()
        for mode, name in (
            ("L", "grey.PNG"),
            ("RGBA", "seen.png"),
            ("P", "palette.GIF"),
            ("CMYK", "print.Jpg"),
        ):
            colour.convert(mode).save(folder / name)
        colour.save(folder / "turned.jpeg", exif=turned)
        (folder / "ein Verweis.jpg").symlink_to(folder / "turned.jpeg")
        (folder / "ins Leere.jpg").symlink_to(folder / "nothing.jpg")
        (folder / "空.bmp").write_bytes(b"")
        (folder / "half.tif").write_bytes(b"no image at all")
    dataset = load_dataset(f"folder:{tmp_path}", None, False)
    report = verify(dataset)
    assert (report["development_images"], report["test_images"]) == (9, 9)
    broken = [line.removeprefix(f"{tmp_path}/") for line in report["broken"]]
    assert [line.split(":")[0] for line in broken] == [
        f"{label}/{name}" for label in ("one", "two") for name in ("half.tif", "ins Leere.jpg", "空.bmp")
    ]
    assert [line.split("image ")[1] for line in broken[:3]] == [
        "(unknown format)",
        "(no such file)",
        "(the file is empty)",
    ]
    shapes = {
        Path(i).name: dataset.test.pictures.read(n).shape
        for n, i in enumerate(dataset.test.image_ids)
        if i.split("/")[1] in SOUND
    }
    assert shapes == {
        name: (12, 10, 3) if name in ("turned.jpeg", "ein Verweis.jpg") else (10, 12, 3) for name in SOUND
    }


SOUND = ("grey.PNG", "seen.png", "palette.GIF", "print.Jpg", "turned.jpeg", "ein Verweis.jpg")


NAMES = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1, max_size=20
)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(NAMES.filter(lambda name: name[0] != "."), st.integers(2, 3), min_size=2, max_size=8),
    st.none() | st.integers(0, 2**32),
)
def test_folder_split_law(classes: dict[str, int], seed: int | None) -> None:
    """Whatever the classes are called: halved, none in both halves, every image once and under its class."""
    with tempfile.TemporaryDirectory() as place:
        for label, number in classes.items():
            (Path(place) / label).mkdir()
            for i in range(number):
                (Path(place) / label / f"{i}.png").touch()
        rule = "" if seed is None else f"#seed={seed}"
        dataset = load_dataset(f"folder:{place}{rule}", None, partial=False)
        again = load_dataset(f"folder:{place}{rule}", None, partial=False)
    development, test = dataset.development, dataset.test
    names = [*development.class_names, *test.class_names]
    assert (names if seed is None else sorted(names)) == sorted(classes)
    assert again.split == dataset.split
    assert len(development.class_names) == len(classes) // 2
    images = sorted((*development.image_ids, *test.image_ids))
    assert images == sorted(f"{label}/{i}.png" for label, number in classes.items() for i in range(number))
    check_names(dataset)


def test_a_name_that_is_no_text_is_refused(birds: Path) -> None:
    os.rename(birds / "Adler" / "bild 0.JPG", os.fsencode(birds / "Adler") + b"/\xff.jpg")
    with pytest.raises(RequestError, match=r"Adler: the name b'\\xff\.jpg' is not UTF-8; rename it"):
        load_dataset(f"folder:{birds}", None, partial=False)


def test_a_folder_that_may_not_be_read_is_named(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(RequestError, match=r"Meine Vögel cannot be read \(Permission denied\)"):
        load_dataset(f"folder:{birds}", None, partial=False)


def test_wrong_paths_get_a_hint(birds: Path) -> None:
    (birds / "list.csv").write_text("path,label\n")
    for name, error, message in [
        (f"folder:{birds}s", MissingError, f"no such folder; did you mean {birds}?"),
        (f"table:{birds / 'lst.csv'}", MissingError, f"no such file; did you mean {birds / 'list.csv'}?"),
        (
            f"folder:{birds / 'list.csv'}",
            RequestError,
            "is a file; expected a folder with one folder a class",
        ),
        (f"table:{birds}", RequestError, f"is a folder; did you mean folder:{birds}?"),
        (str(birds), RequestError, f"did you mean folder:{birds}?"),
        (str(birds / "list.csv"), RequestError, f"did you mean table:{birds / 'list.csv'}?"),
        (f"cub:{birds}s", MissingError, f"there is no folder {birds}s; did you mean {birds}?"),
    ]:
        with pytest.raises(error) as raised:
            load_dataset(name, None, partial=False)
        assert message in str(raised.value)


def test_a_broken_image_stops_a_run_before_training(
    birds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (birds / "Zeisig" / "broken.png").write_bytes(b"\x89PNG")
    for label in ("Amsel", "Bachstelze", "Wachtel", "Zaunkönig"):
        shutil.copytree(birds / "Müller-Spatz", birds / label)
    places = ["--cache", str(tmp_path / "cache"), "--results", str(tmp_path / "results"), "--tracker", "none"]
    assert main(["--dataset", f"folder:{birds}", "--protocol", "smoke", *places]) == 2
    said = capsys.readouterr()
    assert "1 of 10 images cannot be read" in said.err
    assert "Zeisig/broken.png: not a readable image" in said.err
    assert said.out == ""
    results = tmp_path / "results"
    assert not list((results / ".work" / "cells").rglob("*.json")) and not (results / "records").exists()


def test_verify_names_broken_images(birds: Path) -> None:
    (birds / "Zeisig" / "empty.png").write_bytes(b"")
    told: list[tuple[int, int]] = []
    report = verify(load_dataset(f"folder:{birds}", None, partial=False), lambda *now: told.append(now))
    assert len(report["broken"]) == 1
    assert "empty.png" in report["broken"][0]
    assert told[-1] == (10, 10)


# -- a table ------------------------------------------------------------------------------------------------------
def table(root: Path, text: str) -> str:
    for i, line in enumerate(text.strip().splitlines()[1:]):
        fake(root / line.split(",")[1 if text.startswith("label") else 0], i)
    (root / "my list.csv").write_text(text.strip() + "\n", encoding="utf-8")
    return f"table:{root / 'my list.csv'}"


def test_table_without_a_split_is_halved(tmp_path: Path) -> None:
    name = table(tmp_path, "path,label\nä/1.png,b\n2.png,a\n3.png,d\n4.png,c\n5.png,d\n6.png,a")
    dataset = load_dataset(name, None, partial=False)
    assert (dataset.development.class_names, dataset.test.class_names) == (("a", "b"), ("c", "d"))
    assert dataset.title == "my list (4 classes, 2 of one image, 6 images)"
    assert dataset.test.image_ids == ("3.png", "4.png", "5.png")
    assert dataset.test.labels.tolist() == [1, 0, 1]
    assert dataset.slug == f"table-my_list-{dataset.split[:6]}"
    assert dataset.gallery is None
    assert verify(dataset)["broken"] == []


def test_table_with_split_and_roles(tmp_path: Path) -> None:
    text = "path,label,split,role\n1.png,z,train,\n2.png,z,train,\n3.png,a,test,query\n4.png,a,test,gallery"
    dataset = load_dataset(table(tmp_path, text), None, partial=False)
    assert dataset.development.class_names == ("z",)
    assert dataset.test.image_ids == ("3.png",)
    assert dataset.gallery is not None
    assert dataset.gallery.image_ids == ("4.png",)


def test_queries_and_gallery_number_the_same_classes(birds: Path) -> None:
    dataset = load_dataset(f"folder:{birds}", None, partial=False)
    with pytest.raises(RequestError, match="number the same classes"):
        dataclasses.replace(dataset, gallery=dataset.development)


OML = """
label,path,split,is_query,is_gallery
1,1.png,train,,
1,2.png,train,False,False
{label},3.png,validation,True,True
{label},4.png,validation,True,True
"""


def test_table_of_open_metric_learning(tmp_path: Path) -> None:
    dataset = load_dataset(table(tmp_path, OML.format(label=2).strip()), None, partial=False)
    assert dataset.test.image_ids == ("3.png", "4.png")
    assert dataset.gallery is None


def test_boxes_of_open_metric_learning_cut_the_images(tmp_path: Path) -> None:
    pixels = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    rows = [
        "label,path,split,x_1,x_2,y_1,y_2",
        "a,1.png,train,2,5,1,9",
        "a,1.png,train,0.0,20.0,0.0,10.0",
        "b,1.png,validation,5,7,0,10",
        "b,1.png,validation,,,,",
        "b,1.png,validation,5,21,0,10",
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    dataset = load_dataset(f"table:{tmp_path / 't.csv'}", None, partial=False)
    assert dataset.development.image_ids == ("1.png[2,1,5,9]", "1.png[0,0,20,10]")
    assert dataset.test.image_ids == ("1.png[5,0,7,10]", "1.png", "1.png[5,0,21,10]")
    assert np.array_equal(dataset.development.pictures.read(0), pixels[1:9, 2:5])
    assert np.array_equal(dataset.test.pictures.read(1), pixels)
    assert len({images.pictures.content(i) for images in dataset.roles.values() for i in range(2)}) == 4
    assert dataset.test.pictures.content(1) == _content(tmp_path / "1.png")
    with pytest.raises(RequestError, match=r"1\.png: no box \(5, 0, 21, 10\) in an image of 20 x 10 pixels"):
        dataset.test.pictures.read(2)


def test_a_table_with_a_split_takes_no_seed(tmp_path: Path) -> None:
    name = table(tmp_path, OML.format(label=2).strip())
    with pytest.raises(RequestError, match="says itself how it is split; leave out #seed=3"):
        load_dataset(f"{name}#seed=3", None, partial=False)


def test_the_cub_table_of_open_metric_learning_is_called_what_it_is(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CUB by its official split of images: the same 200 classes in training and validation."""
    folder = data_root / "cub50" / "CUB_200_2011"
    training = dict(line.split() for line in (folder / "train_test_split.txt").read_text().splitlines())
    boxes = dict(line.split(maxsplit=1) for line in (folder / "bounding_boxes.txt").read_text().splitlines())
    rows = ["label,path,split,is_query,is_gallery,x_1,x_2,y_1,y_2"]
    for line in (folder / "images.txt").read_text().splitlines():
        number, path = line.split()
        x, y, width, height = (int(float(value)) for value in boxes[number].split())
        split = "train,," if training[number] == "1" else "validation,True,True"
        rows.append(f"{int(path[:3])},images/{path},{split},{x},{x + width},{y},{y + height}")
    (tmp_path / "df.csv").write_text("\n".join(rows))
    assert main(["data", "audit", f"table:{tmp_path / 'df.csv'}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "df.csv: 200 of 200 test classes are development classes too" in said


def test_table_that_shares_classes_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="1 of 1 test classes are development classes too"):
        load_dataset(table(tmp_path, OML.format(label=1).strip()), None, partial=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n1.png,a", "no column path"),
        ("path,label", "no rows"),
        ("path,label\n1.png,a\n1.png,b", "stands in it twice"),
        ("path,label\n1.png,", "line 2: path or label is empty"),
        ("path,label,split\n1.png,a,trian", "split 'trian'"),
        ("path,label,split\n1.png,a,train\n2.png,b,", "some rows have a split"),
        ("path,label,role\n1.png,a,probe\n2.png,b,", "role must be"),
        ("path,label,split,role\n1.png,a,train,\n2.png,b,test,query\n3.png,b,test,both", "query or gallery"),
        ("path,label,x_1\n1.png,a,3\n2.png,b,3", "line 2: a box needs four whole numbers x_1, y_1, x_2, y_2"),
        (
            "path,label,split\n1.png,a,train\n2.png,b,test\n3.png,b,test",
            "none of its 1 development classes has two",
        ),
        (
            "path,label,split\n1.png,a,train\n2.png,a,train\n3.png,b,test",
            "none of its 1 test classes has two",
        ),
        (
            "path,label,split,role\n1.png,a,train,\n2.png,a,train,\n3.png,b,test,query\n4.png,c,test,gallery",
            "none of its 2 test classes has two",
        ),
    ],
)
def test_table_that_is_not_right(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(RequestError, match=message):
        load_dataset(f"table:{tmp_path / 't.csv'}", None, partial=False)


def test_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such file"):
        load_dataset(f"table:{tmp_path / 't.csv'}", None, partial=False)


def test_half_of_an_odd_cut_moves_whole_classes(tmp_path: Path) -> None:
    rows = "".join(
        f"{c}{i}.png,{c},{'train' if c < 'e' else 'test'}\n" for c in "abcdefg"[::-1] for i in range(2)
    )
    name = table(tmp_path, "path,label,split\n" + rows)
    own = load_dataset(name, None, partial=False)
    assert load_dataset(name, None, partial=False, class_cut="half").split == own.split, "its owner cut it"
    dataset = half(own)
    assert dataset.development.class_names == ("a", "b", "c")
    assert dataset.test.class_names == ("d", "e", "f", "g")
    for images in (dataset.development, dataset.test):
        for i, label in enumerate(images.labels):
            assert images.image_ids[i][0] == images.class_names[label]
            assert images.pictures.content(i) == _content(tmp_path / images.image_ids[i])


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
