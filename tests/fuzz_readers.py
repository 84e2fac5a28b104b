"""Every reader of files that others may have written or a disk may have spoilt, with valid files for it."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save_file
from scipy.io import savemat

from harness.audit import Audit, TestCurve, audit_place, read_audit, write_audit
from harness.backbones.weights import read_state
from harness.campaign.foreign import cell_files
from harness.campaign.merging import merge
from harness.campaign.store import CellStore
from harness.cli.evaluate import evaluate
from harness.data import load_dataset
from harness.data.contents import content_hashes
from harness.data.unpacking import unpack
from harness.data.verify import verify
from harness.dataset import Dataset
from harness.publish import draw
from harness.record import place, read_arrays, read_record, write_record
from harness.submission import Submission, read_submissions, write_submission
from tests.fuzz_rig import Reader
from tests.made_images import fake
from tests.made_records import made, shown_by
from tests.test_merge import MEASURED, machine
from tests.test_store_of_cells import training

RECORD = ("quick", "glyphs", "ms")


# -- what results hold -------------------------------------------------------------------------------------------------
def _make_record(folder: Path) -> None:
    record, arrays = made("ms", 0.42, repetitions=1, published=1)
    write_record(folder, record, {**arrays, **shown_by(record)})


def _read_record(folder: Path) -> None:
    path = place(folder, *RECORD)
    read_record(path)
    read_arrays(path)


def _make_cells(folder: Path) -> None:
    machine(folder / "there")
    shutil.copytree(folder / "there", folder / "ours")


def _read_cells(folder: Path) -> None:
    """The damaged cells are somebody else's, and then our own."""
    store = CellStore(folder / "there" / ".work" / "cells")
    for cell in (training(), MEASURED):
        store.get(cell)
    list(cell_files(folder / "there"))
    merge([folder / "there"], CellStore(folder / "ours" / ".work" / "cells"))
    merge([folder / "ours"], store)
    merge([folder / "there"], CellStore(folder / "new"))
    shutil.rmtree(folder / "new", ignore_errors=True)


def _make_audit(folder: Path) -> None:
    curve = [(epoch, {"map_at_r": 0.1 * epoch}) for epoch in range(3)]
    curves = [TestCurve(seed=1, fold=fold, chosen_epoch=1, curve=curve) for fold in range(2)]
    protocol, dataset, method = RECORD
    write_audit(
        folder, Audit(protocol=protocol, dataset=dataset, method=method, key="ab" * 32, curves=curves)
    )


def _make_submission(folder: Path) -> None:
    submission = Submission(
        name="mine", title="Mine", dataset="glyphs", dataset_title="Glyphs", split="5f" * 32, dimension=4,
        file_sha256="ab" * 32, metrics={"map_at_r": 0.5, "recall_at_1": 0.6}, queries=10, excluded=0,
    )  # fmt: skip
    write_submission(folder, submission)


def _make_results(folder: Path) -> None:
    _make_record(folder)
    record, arrays = made("xbm", 0.43, repetitions=1, published=1)
    write_record(folder, record, {**arrays, **shown_by(record)})
    _make_audit(folder)
    _make_submission(folder)


# -- embeddings and weights --------------------------------------------------------------------------------------------
def _make_embeddings(folder: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "embeddings": rng.normal(size=(12, 4)).astype(np.float32), "labels": np.arange(12) % 3,
        "gallery_embeddings": rng.normal(size=(9, 4)).astype(np.float32), "gallery_labels": np.arange(9) % 3,
    }  # fmt: skip
    np.savez(folder / "e.npz", allow_pickle=True, **arrays)
    words = {**arrays, "labels": np.array(list("abc") * 4), "gallery_labels": np.array(list("abc") * 3)}
    np.savez(folder / "words.npz", allow_pickle=True, **words)
    save_file(arrays, folder / "e.safetensors")


def _make_weights(folder: Path) -> None:
    torch.save({"weight": torch.ones(3, 2), "bias": torch.zeros(3)}, folder / "w.pth")
    torch.save({"weight": torch.ones(3)}, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file({"weight": np.ones(3, np.float32)}, folder / "w.safetensors")


def _each(folder: Path, read: Any) -> None:
    for file in sorted(folder.iterdir()):
        read(file)


# -- datasets ----------------------------------------------------------------------------------------------------------
def _used(dataset: Dataset, folder: Path) -> None:
    """What a run does with a dataset before the first training."""
    cache = folder.parent / "cache"
    for images in dataset.roles.values():
        content_hashes(images.pictures, cache, 1)
    verify(dataset)
    assert len(dataset.split) == 64
    shutil.rmtree(cache, ignore_errors=True)


def _loaded(name: str) -> Any:
    def read(folder: Path) -> None:
        _used(load_dataset(name, folder, partial=True), folder)

    return read


def _make_table(folder: Path) -> None:
    rows = ["path,label,split,role,x_1,y_1,x_2,y_2"]
    for number in range(8):
        fake(folder / f"{number}.png", number)
        split = "train,both" if number < 4 else f"test,{'query' if number % 2 else 'gallery'}"
        rows.append(
            f'{number}.png,"class {number // 4} {number % 2}",{split.replace("query", "query")},0,0,8,8'
        )
    rows[5:] = [row.replace("class 1 1", "class 1 0") for row in rows[5:]]
    (folder / "t.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _make_cub(folder: Path) -> None:
    names = [f"{number:03d}.Bird_{number}" for number in range(1, 201)]
    images = [(label, f"{names[label]}/{i}.jpg") for label in (0, 1, 150, 151) for i in range(2)]
    for number, (_, path) in enumerate(images):
        fake(folder / "images" / path, number)
    images.append((2, f"{names[2]}/absent.jpg"))
    lists = {
        "classes.txt": names,
        "images.txt": [path for _, path in images],
        "image_class_labels.txt": [str(label + 1) for label, _ in images],
    }
    for name, words in lists.items():
        text = "".join(f"{number} {word}\n" for number, word in enumerate(words, start=1))
        (folder / name).write_text(text, encoding="utf-8")


def _make_sop(folder: Path) -> None:
    for list_, first in (("Ebay_train.txt", 1), ("Ebay_test.txt", 5)):
        lines = ["image_id class_id super_class_id path"]
        for number in range(first, first + 4):
            path = f"bicycle_final/{number}.JPG"
            fake(folder / path, number)
            lines.append(f"{number} {(number + 1) // 2} 1 {path}")
        lines.append(f"{first + 100} {first + 100} 1 bicycle_final/absent.JPG")
        (folder / list_).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _make_inshop(folder: Path) -> None:
    lines = ["8", "image_name item_id evaluation_status"]
    for number, part in enumerate(("train", "train", "query", "gallery") * 2):
        path = f"img/WOMEN/Dresses/id_{number}/01_1_front.jpg"
        fake(folder / path, number)
        lines.append(f"{path} id_{number // 4}{part[0] == 't'} {part}")
    lines.append("img/absent.jpg id_9 train")
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _make_cars(folder: Path) -> None:
    names = np.array([f"Make Model {number}" for number in range(196)], dtype=object)
    numbers = [1, 1, 2, 2, 150, 150, 151, 151, 152]
    paths = [f"car_ims/{number:06d}.jpg" for number in range(len(numbers))]
    for number, path in enumerate(paths[:-1]):
        fake(folder / path, number)
    table = np.zeros(len(paths), dtype=[("relative_im_path", object), ("class", object)])
    table["relative_im_path"], table["class"] = paths, numbers
    content = {"annotations": table, "class_names": names}
    # Packed, a fault is met when a part is unpacked; plain, the parts themselves are damaged.
    for form in ("plain", "packed"):
        shutil.copytree(folder / "car_ims", folder / form / "car_ims")
        savemat(folder / form / "cars_annos.mat", content, do_compression=form == "packed")
    shutil.rmtree(folder / "car_ims")


def _read_cars(folder: Path) -> None:
    for form in ("plain", "packed"):
        _used(load_dataset("cars", folder / form, partial=True), folder)


def _make_omniglot(folder: Path) -> None:
    with zipfile.ZipFile(folder / "images_background.zip", "w") as archive:
        for number in range(8):
            fake(folder / "one.png", number)
            name = f"images_background/Alphabet/character{number // 2:02d}/{number:04d}_01.png"
            archive.write(folder / "one.png", name)
    (folder / "one.png").unlink()


#: How images are saved: the ending and what Pillow is told.
SAVED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("RGB", "jpg", {}), ("L", "jpg", {"progressive": True}), ("CMYK", "jpg", {}), ("RGBA", "png", {}),
    ("P", "png", {"transparency": 0}), ("1", "png", {}), ("I;16", "png", {}), ("P", "gif", {}), ("RGB", "bmp", {}),
    ("RGB", "tif", {"compression": "tiff_lzw"}), ("I;16", "tif", {}), ("L", "tif", {"compression": "tiff_deflate"}),
    ("RGBA", "webp", {}), ("RGB", "ppm", {}), ("1", "pbm", {}), ("RGB", "jp2", {}), ("RGB", "avif", {}),
)  # fmt: skip


def _make_images(folder: Path) -> None:
    """One image of every kind in four classes, turned by its EXIF where the kind has that."""
    levels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    for number, (mode, ending, options) in enumerate(SAVED):
        image = Image.fromarray(levels)
        image = (
            Image.fromarray(levels[..., 0].astype(np.uint16) * 200) if mode == "I;16" else image.convert(mode)
        )
        exif = Image.Exif()
        exif[0x0112] = 6
        file = folder / f"class {number % 4}" / f"{number}.{ending}"
        file.parent.mkdir(exist_ok=True)
        image.save(
            file, **options, **({"exif": exif} if ending in ("jpg", "png", "webp", "tif", "avif") else {})
        )


def _read_images(folder: Path) -> None:
    dataset = load_dataset(f"folder:{folder}", None, partial=False)
    report = verify(dataset)
    assert len(report["broken"]) <= 1
    _used(dataset, folder)


# -- archives ----------------------------------------------------------------------------------------------------------
def _make_archives(folder: Path) -> None:
    inside = folder / "inside"
    fake(inside / "class" / "1.png", 1)
    fake(inside / "class" / "2.png", 2)
    for kind in ("zip", "gztar", "tar", "xztar"):
        shutil.make_archive(str(folder / "packed" / f"a-{kind}"), kind, inside)
    shutil.rmtree(inside)


def _unpack(folder: Path) -> None:
    there = folder / "there"
    shutil.rmtree(there, ignore_errors=True)
    for file in sorted((folder / "packed").iterdir()):
        unpack(file, there)
    found = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "packed"]
    assert all(path.resolve().is_relative_to(there.resolve()) for path in found)


READERS = {
    "record": Reader(_make_record, ("records/*/*/ms.*",), _read_record),
    "cells": Reader(_make_cells, ("there/.work/cells/*/*",), _read_cells),
    "audit": Reader(
        _make_audit, ("audits/**/*.json",), lambda folder: read_audit(audit_place(folder, *RECORD))
    ),
    "submission": Reader(_make_submission, ("submitted/**/*.json",), read_submissions),
    "board": Reader(_make_results, ("records/**/*.*", "audits/**/*.json", "submitted/**/*.json"), draw),
    "embeddings": Reader(_make_embeddings, ("*",), lambda folder: _each(folder, evaluate)),
    "weights": Reader(_make_weights, ("*",), lambda folder: _each(folder, read_state)),
    "table": Reader(
        _make_table, ("t.csv",), lambda f: _used(load_dataset(f"table:{f / 't.csv'}", None, False), f)
    ),
    "cub": Reader(_make_cub, ("*.txt",), _loaded("cub")),
    "sop": Reader(_make_sop, ("*.txt",), _loaded("sop")),
    "inshop": Reader(_make_inshop, ("*.txt",), _loaded("inshop")),
    "cars": Reader(_make_cars, ("*/*.mat",), _read_cars),
    "omniglot": Reader(_make_omniglot, ("*.zip",), _loaded("omniglot")),
    "images": Reader(_make_images, ("*/*",), _read_images),
    "archives": Reader(_make_archives, ("packed/*",), _unpack),
}
