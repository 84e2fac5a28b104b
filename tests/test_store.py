"""The image store: what it holds, that it is found again, and that a killed or failed build leaves nothing behind."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional as tv

from harness.data.contents import content_hashes
from harness.data.pictures import Files, Selected
from harness.data.store import FACTS, ImageStore, build_store
from harness.errors import RequestError

SIZES = [(40, 30), (30, 40), (64, 64), (17, 90), (200, 31), (300, 200), (500, 333)]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Seven photographs of noise, of several shapes (width, height)."""
    draw = np.random.default_rng(0)
    paths = []
    for i, (width, height) in enumerate(SIZES):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(paths[-1])
    return Files(tuple(paths))


@pytest.mark.parametrize("resize", [24, 64])
def test_short_side_is_resized_as_torchvision_does(files: Files, tmp_path: Path, resize: int) -> None:
    store = build_store(files, resize, tmp_path / "cache")
    assert len(store) == len(SIZES)
    for i, path in enumerate(files.paths):
        expected = tv.resize(Image.open(path), [resize])
        assert np.array_equal(store.image(i), np.asarray(expected))
        assert (store.widths[i], store.heights[i]) == expected.size
        assert min(expected.size) == resize


def test_square_squeezes(files: Files, tmp_path: Path) -> None:
    store = build_store(files, 32, tmp_path / "cache", square=True)
    for i, path in enumerate(files.paths):
        assert np.array_equal(store.image(i), np.asarray(tv.resize(Image.open(path), [32, 32])))


def test_images_lie_one_after_another_and_torch_maps_them(files: Files, tmp_path: Path) -> None:
    store = build_store(files, 24, tmp_path / "cache")
    sizes = store.heights * store.widths * 3
    assert store.offsets.tolist() == [0, *np.cumsum(sizes)[:-1].tolist()]
    assert store.buffer.size == sizes.sum() == (store.path / "pixels.u8").stat().st_size
    mapped = torch.from_numpy(store.buffer)
    assert np.array_equal(mapped.numpy(), np.concatenate([store.image(i).ravel() for i in range(len(store))]))


def test_writing_into_the_mapping_does_not_change_the_store(files: Files, tmp_path: Path) -> None:
    store = build_store(files, 24, tmp_path / "cache")
    before = int(store.buffer[0])
    store.buffer[0] = before ^ 255
    assert int(ImageStore.open(store.path).buffer[0]) == before


@pytest.mark.skipif(
    not Path("/proc/self/smaps").exists(), reason="only Linux says what of a file is in memory"
)
def test_looking_at_images_keeps_little_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.data.store.RESIDENT", 2**20)
    Image.effect_noise((600, 500), 50).convert("RGB").save(tmp_path / "x.png")
    store = build_store(Files((tmp_path / "x.png",) * 20), 500, tmp_path / "cache")
    view, before = store.image(3), store.image(3).copy()

    def resident() -> int:
        """Bytes of the store's pixels in this process' memory."""
        lines = Path("/proc/self/smaps").read_text().splitlines()
        start = next(i for i, line in enumerate(lines) if line.endswith("pixels.u8"))
        return 1024 * int(next(line for line in lines[start:] if line.startswith("Rss:")).split()[1])

    most = 0
    for i in range(len(store)):
        store.image(i).sum()
        most = max(most, resident())
    assert store.buffer.size == 20 * 900_000
    assert most < 2**20 + 2 * 900_000
    assert np.array_equal(view, before), "a view stays what it was"


def test_it_is_found_again_by_content_and_geometry(files: Files, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    store = build_store(files, 24, cache)
    moved = tmp_path / "moved"
    moved.mkdir()
    elsewhere = Files(tuple(Path(shutil.copy(path, moved)) for path in files.paths))
    built: list[int] = []
    again = build_store(elsewhere, 24, cache, lambda done, _: built.append(done))
    assert (again.path, built) == (store.path, [])
    others = (
        build_store(files, 25, cache),
        build_store(files, 24, cache, square=True),
        build_store(Files(files.paths[::-1]), 24, cache),
    )
    assert len({store.path, *(other.path for other in others)}) == 4
    assert len({store.digest, *(other.digest for other in others)}) == 4


def test_a_changed_file_is_seen(files: Files, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = content_hashes(files, cache)
    Image.new("RGB", (9, 9)).save(files.paths[2])
    second = content_hashes(files, cache)
    assert [a == b for a, b in zip(first, second, strict=True)] == [i != 2 for i in range(len(SIZES))]


def test_hashes_are_remembered(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_hashes(files, tmp_path / "cache")
    monkeypatch.setattr(Files, "content", lambda *_: pytest.fail("hashed again"))
    assert content_hashes(files, tmp_path / "cache") == first


def test_hashes_of_a_selection_are_remembered_too(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Selected((files, files), ((0, 3), (1, 0)))
    first = content_hashes(chosen, tmp_path / "cache")
    assert first == [files.content(3), files.content(0)]
    monkeypatch.setattr(Files, "content", lambda *_: pytest.fail("hashed again"))
    assert content_hashes(chosen, tmp_path / "cache") == first


def test_workers_do_not_change_it(files: Files, tmp_path: Path) -> None:
    one = build_store(files, 24, tmp_path / "one", workers=1)
    four = build_store(files, 24, tmp_path / "four", workers=4)
    assert one.digest == four.digest
    assert np.array_equal(one.buffer, four.buffer)


def test_it_pickles_as_its_path(files: Files, tmp_path: Path) -> None:
    store = build_store(files, 64, tmp_path / "cache")
    bytes_ = pickle.dumps(store)
    assert len(bytes_) < 1000
    assert np.array_equal(pickle.loads(bytes_).buffer, store.buffer)


def test_progress_is_told(files: Files, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    build_store(files, 24, tmp_path / "cache", lambda done, total: told.append((done, total)))
    assert told == [(i + 1, len(SIZES)) for i in range(len(SIZES))]


def test_broken_images_are_all_named_and_nothing_is_left(files: Files, tmp_path: Path) -> None:
    broken = []
    for i in range(12):
        broken.append(tmp_path / f"broken{i:02}.jpg")
        broken[-1].write_bytes(b"" if i % 2 else files.paths[6].read_bytes()[:2000])
    cache = tmp_path / "cache"
    with pytest.raises(RequestError) as error:
        build_store(Files((*files.paths[:3], *broken, *files.paths[3:])), 24, cache)
    message = str(error.value)
    assert message.startswith("12 of 19 images cannot be read")
    assert all((path.name in message) == (i < 10) for i, path in enumerate(broken))
    assert "the file is empty" in message
    assert "data verify" in message
    assert message.endswith("and 2 more")
    assert [path for path in (cache / "images").iterdir() if path.is_dir()] == []


def test_an_absent_file_is_named(files: Files, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"gone\.png"):
        build_store(Files((*files.paths, tmp_path / "gone.png")), 24, tmp_path / "cache")


def test_a_full_disk_is_said_before_decoding(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(RequestError, match="--cache DIR"):
        build_store(files, 24, tmp_path / "cache")


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no images"):
        build_store(Files(()), 24, tmp_path)


BUILD = """
import os, signal, sys
from pathlib import Path
from harness.data.pictures import Files, Selected
from harness.data.store import build_store

folder, die = Path(sys.argv[1]), sys.argv[2] == "die"
def progress(done, total):
    if die and done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
print(build_store(Files(tuple(sorted(folder.glob("*.png")))), 24, folder / "cache", progress).digest)
"""


def _start(folder: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILD, str(folder), how], stdout=subprocess.PIPE, text=True
    )


def test_a_killed_build_leaves_nothing_half_valid(files: Files, tmp_path: Path) -> None:
    with _start(tmp_path, "die") as killed:
        assert killed.wait(60) == -signal.SIGKILL
    stores = list((tmp_path / "cache" / "images").glob("*/" + FACTS))
    assert stores == []
    store = build_store(files, 24, tmp_path / "cache")
    assert store.digest == build_store(files, 24, tmp_path / "fresh").digest
    assert not list((tmp_path / "cache" / "images").glob("*.unfinished"))


def test_two_processes_build_one_store(files: Files, tmp_path: Path) -> None:
    with _start(tmp_path, "live") as one, _start(tmp_path, "live") as two:
        digests = {one.communicate(timeout=60)[0], two.communicate(timeout=60)[0]}
    assert digests == {build_store(files, 24, tmp_path / "fresh").digest + "\n"}
    assert len(list((tmp_path / "cache" / "images").glob("*/" + FACTS))) == 1


def test_real_photographs_open_within_a_second(data_root: Path, tmp_path: Path) -> None:
    paths = tuple(sorted((data_root / "cub127" / "CUB_200_2011" / "images").rglob("*.jpg")))
    assert len(paths) == 7456
    content_hashes(Files(paths), tmp_path)
    start = time.perf_counter()
    content_hashes(Files(paths), tmp_path)
    assert time.perf_counter() - start < 1
    store = build_store(Files(paths[:64]), 96, tmp_path)
    start = time.perf_counter()
    ImageStore.open(store.path)
    assert time.perf_counter() - start < 0.1
    assert os.path.getsize(store.path / "pixels.u8") == 64 * 96 * 96 * 3
