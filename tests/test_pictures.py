"""Every kind of image file becomes upright RGB, and what is no image is named."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.pictures import ArrayPictures, Files, Selected, ZipMembers
from harness.errors import RequestError

RED = (200, 30, 40)


def read(path: Path) -> np.ndarray:
    return Files((path,)).read(0)


@pytest.mark.parametrize(
    ("mode", "ending", "expected"),
    [
        ("RGB", "png", RED),
        ("L", "png", (87, 87, 87)),
        ("P", "png", RED),
        ("CMYK", "tif", RED),
        ("RGBA", "png", RED),
        ("1", "bmp", (0, 0, 0)),
    ],
)
def test_colour_modes(tmp_path: Path, mode: str, ending: str, expected: tuple[int, int, int]) -> None:
    image = Image.new("RGB", (6, 4), RED).convert(
        mode, dither=Image.Dither.NONE, palette=Image.Palette.ADAPTIVE
    )
    image.save(tmp_path / f"x.{ending}")
    pixels = read(tmp_path / f"x.{ending}")
    assert pixels.shape == (4, 6, 3)
    assert pixels.dtype == np.uint8
    assert abs(pixels.astype(int) - expected).max() <= 12


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (3, 3), (0, 0, 0, 0)).save(tmp_path / "x.png")
    assert (read(tmp_path / "x.png") == 255).all()
    palette = Image.new("P", (3, 3), 0)
    palette.putpalette([10, 20, 30])
    palette.save(tmp_path / "p.png", transparency=0)
    assert (read(tmp_path / "p.png") == 255).all()


def test_sixteen_bits_keep_the_upper_eight(tmp_path: Path) -> None:
    levels = np.array([[0, 256, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / "x.png")
    assert read(tmp_path / "x.png")[0, :, 0].tolist() == [0, 1, 255]


def test_orientation_of_the_camera_is_applied(tmp_path: Path) -> None:
    pixels = np.zeros((10, 20, 3), np.uint8)
    pixels[:, :10] = 255  # white on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    upright = read(tmp_path / "x.png")
    assert upright.shape == (20, 10, 3)
    assert (upright[:10] == 255).all()
    assert (upright[10:] == 0).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"not an image at all", "unknown format"), (b"\xff\xd8\xff\xe0", "")],
)
def test_broken_files_are_named(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x.jpg").write_bytes(data)
    with pytest.raises(RequestError, match=rf"x\.jpg: not a readable image \(.*{reason}.*\)"):
        read(tmp_path / "x.jpg")


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "tif", "webp", "bmp"])
def test_files_cut_short_are_named(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"x.{ending}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RequestError, match="not a readable image"):
        read(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"gone\.jpg: not a readable image \(no such file\)"):
        read(tmp_path / "gone.jpg")


def test_members_of_an_archive(tmp_path: Path) -> None:
    Image.new("RGB", (5, 5), RED).save(tmp_path / "x.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "x.png", "in/x.png")
        archive.writestr("in/broken.png", b"")
    members = ZipMembers(
        tuple((tmp_path / "a.zip", name) for name in ("in/x.png", "in/broken.png", "in/gone.png"))
    )
    assert np.array_equal(members.read(0), read(tmp_path / "x.png"))
    assert members.content(0) == Files((tmp_path / "x.png",)).content(0)
    with pytest.raises(RequestError, match=r"a\.zip: in/broken\.png"):
        members.read(1)
    with pytest.raises(RequestError, match=r"a\.zip: in/gone\.png"):
        members.read(2)


def test_rows_of_an_array_and_selections(tmp_path: Path) -> None:
    levels = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    np.savez(tmp_path / "a.npz", x=levels)
    rows = ArrayPictures(tmp_path / "a.npz", "x", (4, 1))
    assert np.array_equal(rows.read(1), np.repeat(levels[1][..., None], 3, axis=2))
    chosen = pickle.loads(pickle.dumps(Selected((rows, rows), ((1, 1), (0, 0)))))
    assert len(chosen) == 2
    assert np.array_equal(chosen.read(1), rows.read(0))
    assert chosen.content(0) == rows.content(1) != rows.content(0)
