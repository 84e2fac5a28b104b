"""Damaged files: what fuzzing has found, each kept as it was mended, and a short form of `tests/fuzz.py`."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from harness.backbones.weights import read_state
from harness.campaign.store import CellStore
from harness.cli.evaluate import evaluate
from harness.data import load_dataset
from harness.data.unpacking import unpack
from harness.errors import DamagedError, RequestError
from harness.files import read_npz
from harness.publish import draw
from harness.record import place, read_record, write_record
from harness.thumbnails import FILE, read_thumbnails
from tests.fuzz_readers import READERS
from tests.fuzz_rig import damaged
from tests.made_records import made, shown_by
from tests.test_merge import MEASURED, machine, store_of
from tests.test_store_of_cells import training

#: Examples of each reader.
FEW = 20
#: Of one that starts a process for each.
SLOW = {"cars": 3}


@pytest.mark.filterwarnings("ignore")  # libraries warn of damaged files before they refuse them
@pytest.mark.parametrize("name", [name for name in READERS if name != "board"])  # a board takes a second
def test_only_our_errors_come_out(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    reader.make(tmp_path)
    whole = {file: file.read_bytes() for file in reader.files(tmp_path)}
    assert whole and reader.survives(tmp_path)

    @settings(
        max_examples=SLOW.get(name, FEW), deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(data=st.data())
    def tried(data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(sorted(whole)))
        file.write_bytes(data.draw(damaged(file.name, whole[file])))
        try:
            reader.survives(tmp_path)
        finally:
            file.write_bytes(whole[file])

    tried()


# -- found -------------------------------------------------------------------------------------------------------------
def test_a_tar_that_holds_its_own_folder_is_unpacked(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in (".", "./a"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
    unpack(tmp_path / "a.tar", tmp_path / "there")
    assert (tmp_path / "there" / "a").is_dir()


@pytest.mark.parametrize("spoilt", ["[Infinity, 0.25]", "[" * 100_000])
def test_a_cell_with_an_impossible_curve_is_run_again(tmp_path: Path, spoilt: str) -> None:
    store = store_of(machine(tmp_path))
    path = store.path(training().key)
    content = json.loads(path.read_bytes())
    content["result"]["curve"] = ["here"]
    path.write_text(json.dumps(content).replace('"here"', spoilt))
    assert store.get(training()) is None


def no_array(file: Path) -> None:
    """Adds to an .npz a member that is no array, which numpy hands on as bytes."""
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("map_at_r", b"no array")


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    store: CellStore = store_of(machine(tmp_path))
    no_array(store.path(MEASURED.key).with_suffix(".npz"))
    with pytest.raises(DamagedError, match="map_at_r is no array"):
        store.arrays(MEASURED.key)
    np.savez(tmp_path / "e.npz", embeddings=np.ones((2, 2)), labels=np.zeros(2, int))
    no_array(tmp_path / "e.npz")
    with pytest.raises(RequestError, match="map_at_r is no array"):
        evaluate(tmp_path / "e.npz")
    with pytest.raises(ValueError, match="is no array"):
        read_npz(tmp_path / "e.npz")


@pytest.mark.parametrize(
    "content",
    [b"\x80\x02.", b"\x80 j\xa8P\x19.", b"\x80\x02]q\x00(a.", b"\x80\x02c\xff\n\n.", b"PK\x03\x04", b""],
)
def test_weights_that_are_no_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(RequestError, match="cannot be read as plain tensors"):
        read_state(tmp_path / "w.pth")


def test_a_zip_whose_names_are_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images_background.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("naïve.png", b"")
    file.write_bytes(file.read_bytes().replace("ï".encode(), b"\xf2\xf2"))
    with pytest.raises(RequestError, match="not a zip archive that can be read"):
        load_dataset("omniglot", tmp_path, True)
    with pytest.raises(RequestError, match="is damaged or no archive"):
        unpack(file, tmp_path / "there")


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[str], Path]:
    def copy(name: str) -> Path:
        READERS[name].make(tmp_path)
        return tmp_path

    return copy


def test_a_box_without_end_is_refused(copy_of: Callable[[str], Path]) -> None:
    file = copy_of("table") / "t.csv"
    file.write_text(file.read_text().replace("0,0,8,8", "1e999,0,8,8", 1))
    with pytest.raises(RequestError, match="line 2: a box needs four whole numbers"):
        load_dataset(f"table:{file}", None, False)


@pytest.mark.parametrize("name", ["a\0.png", "a\0b/0.png"])
def test_a_name_that_no_file_can_have_is_said(copy_of: Callable[[str], Path], name: str) -> None:
    file = copy_of("table") / "t.csv"
    file.write_text(file.read_text().replace("\n0.png", f"\n{name}"))
    with pytest.raises(RequestError, match="no file can have this name"):
        load_dataset(f"table:{file}", None, False)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "/".join("abc" * 2000)])
@pytest.mark.parametrize(("dataset", "list_"), [("cub", "images.txt"), ("inshop", "list_eval_partition.txt")])
def test_a_listed_folder_that_cannot_be_is_not_here(
    copy_of: Callable[[str], Path], dataset: str, list_: str, name: str
) -> None:
    folder = copy_of(dataset)
    absent = "003.Bird_3" if dataset == "cub" else "img/absent.jpg"
    text = (folder / list_).read_text()
    (folder / list_).write_text(text.replace(absent, f"{name}/absent.jpg"))
    assert load_dataset(dataset, folder, True).partial


@pytest.mark.parametrize("number", ["class_id", "-1", "9" * 5000, "²", "1.0"])
def test_a_class_of_sop_is_a_number(copy_of: Callable[[str], Path], number: str) -> None:
    folder = copy_of("sop")
    (folder / "Ebay_test.txt").write_text(f"image_id class_id super_class_id path\n1 {number} 1 1.JPG\n")
    with pytest.raises(RequestError, match=r"class_id .*, expected a number of up to five digits"):
        load_dataset("sop", folder, True)


def _cars(folder: Path, paths: list[Any], classes: list[Any], names: list[Any]) -> Path:
    table = np.zeros(len(paths), dtype=[("relative_im_path", object), ("class", object)])
    table["relative_im_path"], table["class"] = paths, classes
    content = {"annotations": table, "class_names": np.array(names, dtype=object)}
    savemat(folder / "plain" / "cars_annos.mat", content)
    return folder / "plain"


@pytest.mark.parametrize("number", [0, -1, 197, 1.5, np.nan, "one"])
def test_a_class_of_cars_is_one_of_its_own(copy_of: Callable[[str], Path], number: Any) -> None:
    """Class 0 was taken for the last one."""
    names = [f"Make {n}" for n in range(196)]
    root = _cars(copy_of("cars"), ["car_ims/000000.jpg", "car_ims/000001.jpg"], [1, number], names)
    with pytest.raises(RequestError, match="names no image or no class"):
        load_dataset("cars", root, True)


def test_a_file_that_crashes_its_reader_is_refused(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("cars") / "plain"
    content = (root / "cars_annos.mat").read_bytes()
    (root / "cars_annos.mat").write_bytes(content[:5256] + bytes(4) + content[5256:])
    with pytest.raises(RequestError, match=r"cars_annos.mat: .*(crashed|cannot be read)"):
        load_dataset("cars", root, True)


def test_names_and_paths_of_cars_are_text(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("cars")
    with pytest.raises(RequestError, match="class_names holds something else than names"):
        load_dataset("cars", _cars(folder, ["car_ims/000000.jpg"], [1], [1.0, "Make"]), True)
    with pytest.raises(RequestError, match="names no image or no class"):
        load_dataset("cars", _cars(folder, [7.0, "car_ims/000000.jpg"], [1, 1], ["Make A", "Make B"]), True)


def test_packed_annotations_that_cannot_be_unpacked_are_refused(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("cars") / "packed"
    content = bytearray((root / "cars_annos.mat").read_bytes())
    content[136:138] = b"\0\0"  # where the first packed part begins
    (root / "cars_annos.mat").write_bytes(content)
    with pytest.raises(RequestError, match="not a MATLAB file that can be read"):
        load_dataset("cars", root, True)


@pytest.mark.parametrize(("changes", "words"), [
    ({"class_counts": None}, "has no class_counts"),
    ({"class_sums": np.zeros((1, 9, 24), np.float32)}, r"class_sums has shape \(1, 9, 24\), expected 5 runs"),
    ({"metric_names": np.arange(9)}, "metric_names is int64"),
    ({"map_class": np.full(360, 24)}, "map_class holds a class that is none of the 24"),
    ({"shown_neighbours": np.full((50, 10), -1)}, "shown_neighbours holds numbers below 0"),
    ({"map_share": np.full(2, np.nan)}, "map_share holds numbers that are not finite"),
    ({"other": np.zeros(1)}, "holds 'other', which is not known"),
])  # fmt: skip
def test_arrays_beside_a_record_that_do_not_fit_it_are_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    record, arrays = made("ms", 0.4, repetitions=1, published=1)
    together = {**arrays, **shown_by(record, pictures=False), **changes}
    path = write_record(
        tmp_path, record, {name: array for name, array in together.items() if array is not None}
    )
    with pytest.raises(RequestError, match=f"ms.npz: .*{words}"):
        draw(tmp_path)
    assert path == place(tmp_path, "quick", "glyphs", "ms")


@pytest.mark.parametrize(("place_", "value", "words"), [
    (("settings", "folds"), 0, "settings.folds"),
    (("settings", "embedding_size"), "<script>", "settings.embedding_size"),
    (("space", "alpha", "kind"), "Other", "space.alpha.kind"),
    (("space", "alpha", "low"), 99.0, "no range from 99.0 to 50.0"),
    (("space", "other"), {"kind": "FloatDistribution", "low": 0.0, "high": 1.0}, "a trial has no value of it"),
    (("searches", 0, "chosen"), 6, r"names trials \[6\], and has 6"),
    (("searches", 0, "trials", 0, "values", "alpha"), [1], "searches.0.trials.0.values.alpha"),
    (("runs", 0, "metrics"), {}, "measured by different metrics"),
])  # fmt: skip
def test_a_record_whose_parts_do_not_fit_is_refused(
    tmp_path: Path, place_: tuple[str | int, ...], value: Any, words: str
) -> None:
    path = write_record(tmp_path, *made("ms", 0.4, repetitions=1, published=1))
    content = json.loads(path.read_bytes())
    holder = content
    for key in place_[:-1]:
        holder = holder[key]
    holder[place_[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(RequestError, match=f"ms.json: .*{words}"):
        read_record(path)


def test_thumbnails_of_another_size_are_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, ids=np.array(["a"]), images=np.zeros((1, 8, 8, 3), np.uint8))
    (tmp_path / FILE).write_bytes(packed.getvalue())
    with pytest.raises(RequestError, match="its images are no 32 x 32 pixels"):
        read_thumbnails(tmp_path)
