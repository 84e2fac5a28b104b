"""Images without a store: the same pixels, decoded when they are looked at."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.decoded import decode_when_seen
from harness.data.pictures import Files
from harness.data.store import build_store
from harness.errors import RequestError


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Four photographs of noise, of several shapes (width, height)."""
    draw = np.random.default_rng(0)
    paths = []
    for i, (width, height) in enumerate([(40, 30), (30, 40), (64, 64), (17, 90)]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(paths[-1])
    return Files(tuple(paths))


@pytest.mark.parametrize("square", [False, True])
def test_pixels_are_those_of_the_store(files: Files, tmp_path: Path, square: bool) -> None:
    store = build_store(files, 24, tmp_path / "cache", square=square)
    seen = pickle.loads(pickle.dumps(decode_when_seen(files, 24, tmp_path / "other", square=square)))
    assert len(seen) == len(store)
    assert seen.heights.tolist() == store.heights.tolist()
    assert seen.widths.tolist() == store.widths.tolist()
    for i in range(len(store)):
        assert np.array_equal(seen.image(i), store.image(i))
        assert seen.image(i).flags.writeable, "torch.from_numpy warns otherwise"
    assert seen.digest != store.digest
    assert sum(file.stat().st_size for file in (tmp_path / "other").rglob("*") if file.is_file()) < 2000


def test_sizes_are_learned_once(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    first = decode_when_seen(files, 24, tmp_path / "cache", lambda *now: told.append(now))
    assert told == [(i + 1, 4) for i in range(4)]
    assert decode_when_seen(files, 25, tmp_path / "cache").digest != first.digest
    monkeypatch.setattr(Files, "read", lambda *_: pytest.fail("decoded again"))
    again = decode_when_seen(files, 24, tmp_path / "cache")
    assert (again.digest, again.widths.tolist()) == (first.digest, first.widths.tolist())


def test_broken_images_are_named_before_anything_is_trained(files: Files, tmp_path: Path) -> None:
    files.paths[1].write_bytes(b"")
    with pytest.raises(RequestError, match=r"1 of 4 images cannot be read[^$]*1\.png"):
        decode_when_seen(files, 24, tmp_path / "cache")
    with pytest.raises(RequestError, match="no images"):
        decode_when_seen(Files(()), 24, tmp_path / "cache")
