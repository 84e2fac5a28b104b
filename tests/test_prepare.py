"""`data prepare`: fetched or taken from archives at hand, unpacked with suspicion, and then found without a word."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scipy.io import loadmat

from harness.cli.main import main
from harness.data import load_dataset
from harness.data.layout import Listed, demand, find, image_set
from harness.data.pictures import Files
from harness.data.tables import rows
from harness.data.unpacking import unpack
from harness.dataset import Archive, Dataset, DatasetSource
from harness.errors import MissingError, RequestError
from tests.made_images import sizes
from tests.served import Served, serving


# -- unpacking -------------------------------------------------------------------------------------------------------
def tar(
    file: Path, *members: tuple[str, bytes], change: Callable[[tarfile.TarInfo], None] | None = None
) -> Path:
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return file


def zip_(file: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file


@pytest.mark.parametrize("make", [tar, zip_])
def test_what_is_packed_is_unpacked(tmp_path: Path, make: Callable[..., Path]) -> None:
    archive = make(tmp_path / "a", ("x/ä.jpg", b"one"), ("x/y/b.jpg", b"two"), ("./c.txt", b""))
    told: list[tuple[int, int]] = []
    unpack(archive, tmp_path / "out", lambda *now: told.append(now))
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")} == {
        "x/ä.jpg",
        "x/y/b.jpg",
        "c.txt",
    }
    assert (tmp_path / "out" / "x" / "ä.jpg").read_bytes() == b"one"
    assert told and told[-1][1] == archive.stat().st_size


@pytest.mark.parametrize("name", ["../out.jpg", "/tmp/out.jpg", "a/../../out.jpg", "a\\..\\..\\out.jpg"])
@pytest.mark.parametrize("make", [tar, zip_])
def test_a_member_outside_is_refused(tmp_path: Path, make: Callable[..., Path], name: str) -> None:
    archive = make(tmp_path / "a", ("good.jpg", b"x"), (name, b"bad"))
    with pytest.raises(RequestError, match=r"a is refused: its member .*out\.jpg.* lies outside"):
        unpack(archive, tmp_path / "deep" / "folder")
    assert not list(tmp_path.rglob("out.jpg"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    def turn(info: tarfile.TarInfo) -> None:
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0

    with pytest.raises(RequestError, match="is a link or a device"):
        unpack(tar(tmp_path / "a.tgz", ("link", b""), change=turn), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_links_and_locked_members_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(RequestError, match="'link' is a link"):
        unpack(zip_(tmp_path / "a.zip", (link, b"/etc/passwd")), tmp_path / "out")
    locked = bytearray(zip_(tmp_path / "b.zip", ("x.jpg", b"x")).read_bytes())
    locked[6] |= 1
    locked[locked.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(locked)
    with pytest.raises(RequestError, match=r"b\.zip is locked with a password.*--data"):
        unpack(tmp_path / "b.zip", tmp_path / "out")


@pytest.mark.parametrize("make", [tar, zip_])
def test_bombs_are_refused_before_they_are_written(
    tmp_path: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.data.unpacking.GENEROUS", 1_000_000)
    archive = make(tmp_path / "a", ("small", b"x"), ("bomb", bytes(30_000_000)))
    assert archive.stat().st_size < 40_000
    with pytest.raises(RequestError, match="that unpack to more than 1,000,000 bytes"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small"]
    monkeypatch.setattr("harness.data.unpacking.MEMBERS", 3)
    with pytest.raises(RequestError, match="or 3 files"):
        unpack(make(tmp_path / "b", *((f"{i}", b"") for i in range(4))), tmp_path / "many")


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    content = bytearray(zip_(tmp_path / "a.zip", ("x.jpg", bytes(5_000_000))).read_bytes())
    place = content.index(b"PK\1\2") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(RequestError, match=r"a\.zip"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 10


@pytest.mark.parametrize("make", [tar, zip_])
def test_damaged_archives_are_named(tmp_path: Path, make: Callable[..., Path]) -> None:
    archive = make(tmp_path / "a", *((f"{i}.jpg", bytes([i]) * 50_000) for i in range(20)))
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match="a is damaged or no archive"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("make", [tar, zip_])
def test_a_full_disk_is_said(
    tmp_path: Path, make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make(tmp_path / "a", ("x.jpg", bytes(1000)))
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1000, 500, 500))
    with pytest.raises(RequestError, match=r"the disk is full while unpacking a.*--cache DIR"):
        unpack(archive, tmp_path / "out")


# -- a dataset of four images -----------------------------------------------------------------------------------------
def _load(root: Path | None, partial: bool) -> Dataset:
    folder = find(root, "tiny", ("Tiny",), ("list.txt",), "Tiny", "`data prepare tiny` fetches it.")
    images = [Listed(label, path, folder / path) for path, label in rows(folder / "list.txt", 2)]
    demand("Tiny", (["a"], ["b"]), images, ((1, 1), (2, 2)))
    development, test = (image_set([label], images, Files) for label in "ab")
    return Dataset("tiny", "Tiny", development, test, (1,), "smoke")


@pytest.fixture
def packed() -> list[tuple[str, bytes]]:
    def image(grey: int) -> bytes:
        file = io.BytesIO()
        Image.new("L", (9, 9), grey).save(file, "PNG")
        return file.getvalue()

    names = ["a1", "a2", "b1", "b2"]
    lists = "".join(f"{name}.png {name[0]}\n" for name in names)
    return [("Tiny/list.txt", lists.encode()), *((f"Tiny/{n}.png", image(i)) for i, n in enumerate(names))]


@pytest.fixture
def tiny(
    tmp_path: Path, packed: list[tuple[str, bytes]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Served]:
    """A server that hands out the dataset's archive, and the program knowing the dataset."""
    with serving(tmp_path / "served") as served:
        archive = tar(served.folder / "tiny.tgz", *packed)
        source = DatasetSource(
            title="Tiny",
            load=_load,
            homepage="https://tiny.example",
            terms="for those who ask nicely",
            archives=(
                Archive(
                    "tiny.tgz",
                    (f"{served.address}/gone.tgz", f"{served.address}/tiny.tgz"),
                    (f"sha256:{_sha256(archive)}",),
                    archive.stat().st_size,
                ),
            ),
        )
        for place in ("harness.data", "harness.data.prepare"):
            monkeypatch.setattr(f"{place}.load_dataset_source", lambda _: source)
        monkeypatch.setattr("harness.data.dataset_names", lambda: ["tiny"])
        monkeypatch.delenv("DML_DATA", raising=False)
        monkeypatch.setenv("DML_CACHE", str(tmp_path / "cache"))
        yield served


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_prepare_fetches_shows_the_terms_and_the_loader_finds_it(
    tiny: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "prepare", "tiny", "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert (report["development_images"], report["test_images"]) == (2, 2)
    assert report["folder"] == str(tmp_path / "cache" / "datasets" / "tiny")
    terms, fetch = (said.err.index(words) for words in ("for those who ask nicely", "fetching tiny.tgz"))
    assert terms < fetch
    assert "0 MB" in said.err and f"{tiny.address}/gone.tgz or {tiny.address}/tiny.tgz" in said.err
    assert [name for name, _ in tiny.asked] == ["gone.tgz", "tiny.tgz"]
    # No flag is needed afterwards, nothing is fetched twice, and the archive takes no room.
    assert sizes(load_dataset("tiny", None, False, cache=tmp_path / "cache")) == [(1, 2), (1, 2)]
    assert main(["data", "verify", "tiny"]) == 0
    assert main(["data", "prepare", "tiny"]) == 0
    assert len(tiny.asked) == 2
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


def test_the_data_root_is_asked_first(tiny: Served, tmp_path: Path, packed: list[tuple[str, bytes]]) -> None:
    assert main(["data", "prepare", "tiny"]) == 0
    root = tmp_path / "data"
    root.mkdir()

    def place() -> Path:
        pictures = load_dataset("tiny", root, False, cache=tmp_path / "cache").test.pictures
        assert isinstance(pictures, Files)
        return pictures.paths[0]

    assert place().is_relative_to(tmp_path / "cache")
    unpack(tar(tmp_path / "again.tgz", *packed), root)
    assert place() == root / "Tiny" / "b1.png"


def test_what_cannot_be_fetched_may_be_brought(tiny: Served, capsys: pytest.CaptureFixture[str]) -> None:
    (tiny.folder / "tiny.tgz").unlink()
    assert main(["data", "prepare", "tiny"]) == 3
    said = capsys.readouterr().err
    assert f"{tiny.address}/gone.tgz: 404" in said and f"{tiny.address}/tiny.tgz: 404" in said
    assert "(https://tiny.example), then `data prepare tiny --from FILE`" in said


def test_what_is_whole_in_the_data_root_is_not_fetched(
    tiny: Served, tmp_path: Path, packed: list[tuple[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    unpack(tar(tmp_path / "again.tgz", *packed), tmp_path / "data")
    assert main(["data", "prepare", "tiny", "--data", str(tmp_path / "data")]) == 0
    assert "Tiny is whole in" in capsys.readouterr().err
    assert tiny.asked == [] and not (tmp_path / "cache").exists()


def test_a_killed_preparation_leaves_nothing_half_valid(
    tiny: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("harness.data.prepare._demand", killed)
        assert main(["data", "prepare", "tiny"]) == 130
    assert not (tmp_path / "cache" / "datasets" / "tiny").exists()
    (tmp_path / "cache" / "datasets" / ".tiny.unfinished" / "tiny").mkdir(parents=True)
    assert main(["data", "prepare", "tiny"]) == 0
    assert len(tiny.asked) == 2, "what was fetched is used"
    assert not (tmp_path / "cache" / "datasets" / ".tiny.unfinished").exists()


@pytest.mark.parametrize("top", ["Tiny", "whatever/they called it", "."])
def test_an_archive_by_hand_may_be_packed_in_any_folder(
    tiny: Served, tmp_path: Path, packed: list[tuple[str, bytes]], top: str
) -> None:
    members = [(name.replace("Tiny", top), content) for name, content in packed]
    archive = zip_(tmp_path / "own.zip", *members, ("__MACOSX/._x", b"junk"))
    assert main(["data", "prepare", "tiny", "--from", str(archive)]) == 0
    assert sizes(load_dataset("tiny", None, False, cache=tmp_path / "cache")) == [(1, 2), (1, 2)]
    assert archive.exists() and tiny.asked == []


def test_files_by_hand_are_put_together(
    tiny: Served, tmp_path: Path, packed: list[tuple[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    images = zip_(tmp_path / "images.zip", *((name.removeprefix("Tiny/"), data) for name, data in packed[1:]))
    (tmp_path / "list.txt").write_bytes(packed[0][1])
    assert main(["data", "prepare", "tiny", "--from", str(images)]) == 3
    assert "Tiny cannot be made of images.zip: Tiny is not here: no list.txt" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "datasets" / "tiny").exists()
    words = ["--from", str(images), "--from", str(tmp_path / "list.txt")]
    assert main(["data", "prepare", "tiny", *words]) == 0
    assert sizes(load_dataset("tiny", None, False, cache=tmp_path / "cache")) == [(1, 2), (1, 2)]


def test_a_changed_archive_by_hand_is_said_and_its_counts_demanded(
    tiny: Served, tmp_path: Path, packed: list[tuple[str, bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    short = packed[0][1].splitlines(keepends=True)
    archive = tar(tmp_path / "tiny.tgz", ("Tiny/list.txt", b"".join(short[:3])), *packed[1:])
    assert main(["data", "prepare", "tiny", "--from", str(archive)]) == 2
    said = capsys.readouterr().err
    assert "note: tiny.tgz is not the file that was published (its sha256 is" in said
    assert "the lists name 1 test classes with 1 images, published are 1 and 2" in said


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["prepare", "glyphs"], 2, "glyphs is part of the program; there is nothing to prepare"),
        (["prepare", "folder:/x"], 2, "reads your own images where they are"),
        (["prepare", "cub:/x"], 2, "prepared data lie in the cache; write cub"),
        (["prepare", "cub", "--from", "/no/such.tgz"], 3, "--from /no/such.tgz: there is no such file"),
        (["prepare", "inshop"], 3, "nobody may hand it on.*--from FILE"),
        (["verify", "cub", "--from", "x"], 2, "--from belongs to `data prepare`"),
    ],
)
def test_wrong_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    assert main(["data", *words, "--cache", str(tmp_path)]) == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert re.search(message, error), error


# -- CUB and Cars with one folder a class ------------------------------------------------------------------------------
@pytest.fixture
def cub_by_class(data_root: Path) -> list[tuple[str, str]]:
    """(class, file) of all images of CUB, from the official list."""
    lines = (data_root / "cub50" / "CUB_200_2011" / "images.txt").read_text().splitlines()
    return [tuple(line.split()[1].split("/")) for line in lines]  # type: ignore[misc]


def test_processed_cub_by_hand(
    cub_by_class: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The form of the Deep_Metric repository: train/ and test/ with the official halves."""
    members = [
        (f"CUB/{'train' if int(c[:3]) <= 100 else 'test'}/{int(c[:3])}/{file}", b"")
        for c, file in cub_by_class
    ]
    archive = zip_(tmp_path / "cub.zip", *members, ("CUB/train.txt", b""), ("CUB/test.txt", b""))
    words = ["data", "prepare", "cub", "--from", str(archive), "--cache", str(tmp_path / "cache"), "--json"]
    assert main(words) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["title"] == "CUB-200-2011 (one folder a class)"
    assert [report[f"development_{what}"] for what in ("classes", "images")] == [100, 5864]
    assert [report[f"test_{what}"] for what in ("classes", "images")] == [100, 5924]
    dataset = load_dataset("cub", None, False, cache=tmp_path / "cache")
    assert dataset.development.class_names == tuple(str(i) for i in range(1, 101))
    assert dataset.test.class_names[0] == "101"


def test_cub_without_its_lists_keeps_official_names_and_roles(
    cub_by_class: list[tuple[str, str]], tmp_path: Path
) -> None:
    for label, file in cub_by_class:
        folder = tmp_path / "CUB_200_2011" / "images" / label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    dataset = load_dataset("cub", tmp_path, False)
    for images, labels in ((dataset.development, range(1, 101)), (dataset.test, range(101, 201))):
        named = [f"{label}/{file}" for label, file in cub_by_class if int(label[:3]) in labels]
        assert sorted(images.image_ids) == sorted(named)
        assert [int(name[:3]) for name in images.class_names] == list(labels)
    # One image short is said, and not taken for another dataset.
    (tmp_path / "CUB_200_2011" / "images" / label / file).unlink()
    with pytest.raises(RequestError, match="100 test classes with 5,923 images, published are 100 and 5,924"):
        load_dataset("cub", tmp_path, False)


def test_cars_with_an_official_split_by_image(data_root: Path, tmp_path: Path) -> None:
    """Both parts hold all classes, under names that do not sort as the official list does; the halves are the same."""
    annotations = loadmat(data_root / "cars196" / "cars_annos.mat", squeeze_me=True)
    names = [str(name).replace("/", "") for name in annotations["class_names"]]
    official = {}
    for path, number, test in annotations["annotations"][["relative_im_path", "class", "test"]]:
        folder = (
            tmp_path / "cars" / "car_data" / "car_data" / ("test" if test else "train") / names[number - 1]
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / Path(path).name).touch()
        official[names[number - 1]] = number <= 98
    dataset = load_dataset("cars", tmp_path, False)
    assert sizes(dataset) == [(98, 8054), (98, 8131)]
    assert all(official[name] for name in dataset.development.class_names)
    assert not any(official[name] for name in dataset.test.class_names)
    assert len({*dataset.development.image_ids, *dataset.test.image_ids}) == 16_185


def test_other_folders_are_not_taken_for_cub(tmp_path: Path) -> None:
    for i in range(200):
        (tmp_path / "train" / f"n{i:08d}").mkdir(parents=True)
        (tmp_path / "cub" / "some" / f"{i % 199}").mkdir(parents=True, exist_ok=True)
    with pytest.raises(MissingError, match=r"no images\.txt in .*`data prepare cub` fetches it"):
        load_dataset("cub", tmp_path, False)
