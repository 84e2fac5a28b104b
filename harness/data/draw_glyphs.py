"""Draws `glyphs.npz`: letters and digits of several scripts in the typefaces that matplotlib ships.

    python -m harness.data.draw_glyphs

The file is tracked and nobody needs to draw it again: another version of the drawing library may change a few
levels. The typefaces are DejaVu, STIX and Computer Modern, whose licences allow drawings to be passed on.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

FACES = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10", "cmmi10"),
)
FEWEST_FACES = 12
#: Latin has as many letters for phonetics as all other scripts have letters; only those that most faces hold
#: are taken, so that no script is more than half of the classes.
FEWEST_FACES_LATIN = 16
SIDE = 32
#: Drawn this many times larger and averaged down: smooth edges without the hinting of small sizes.
OVERSAMPLING = 4
EM = 26 * OVERSAMPLING
BASELINE = 24 * OVERSAMPLING
LEVELS = 16
#: Two drawings differ by a share of the ink of both. Under SAME no eye tells them apart; under NEAR it takes a
#: second look, which is a hard case in one face and no difference at all when it is so in most.
SAME = 0.01
NEAR = 0.04
FILE = Path(__file__).with_name("glyphs.npz")


def main() -> None:
    """Draws all classes and writes the file."""
    names, labels, faces, images = draw()
    np.savez_compressed(
        FILE, images=images, labels=labels, faces=faces, names=names, typefaces=np.array(FACES)
    )
    print(
        f"{FILE}: {len(names)} characters, {len(images)} drawings, {FILE.stat().st_size} bytes",
        file=sys.stderr,
    )


def draw() -> tuple[
    npt.NDArray[np.str_], npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]
]:
    """Names of the classes by code point; class, face and (32, 32) levels of every drawing."""
    drawings = {c: dict(_in_all_faces(c)) for c in candidates()}
    kept = without_twins({c: faces for c, faces in drawings.items() if len(faces) >= fewest(c)})
    pairs = [(label, face) for label, c in enumerate(kept) for face in sorted(drawings[c])]
    images = np.stack([reduced(drawings[kept[label]][face]) for label, face in pairs])
    labels, faces = np.array(pairs).T
    names = np.array([f"U+{ord(c):04X} {unicodedata.name(c)}" for c in kept])
    return names, labels.astype(np.int64), faces.astype(np.int64), images


def candidates() -> list[str]:
    """Letters and digits, accented ones left out, that the faces hold, in the order of their code points."""
    codes = {code for face in FACES for code in held(face)}
    return [
        chr(code)
        for code in sorted(codes)
        if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lo", "Nd")
        and not unicodedata.decomposition(chr(code))
    ]


def fewest(character: str) -> int:
    """The least number of faces that must hold a character."""
    return FEWEST_FACES_LATIN if unicodedata.name(character).startswith("LATIN") else FEWEST_FACES


@cache
def held(face: str) -> frozenset[int]:
    """Code points for which a face has a drawing of its own; glyph 0 is the box for missing ones."""
    return frozenset(code for code, glyph in FT2Font(_file(face)).get_charmap().items() if glyph)


def large(character: str, face: str) -> npt.NDArray[np.uint8] | None:
    """A character at the oversampled size, (128, 128) ink 0..255: on the baseline, centred between the sides.

    None where the face lacks the character, draws nothing or the missing-glyph box, or does not fit.
    """
    if ord(character) not in held(face):
        return None
    mask, box = _ink(character, face)
    missing, _ = _ink("\uffff", face)
    side = SIDE * OVERSAMPLING
    height, width = mask.shape
    if not mask.any() or height > side or width > side or np.array_equal(mask, missing):
        return None
    canvas = np.zeros((side, side), np.uint8)
    top = int(np.clip(BASELINE + box[1], 0, side - height))
    left = (side - width) // 2
    canvas[top : top + height, left : left + width] = mask
    return canvas


def reduced(drawing: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The drawing as it is stored: (32, 32), black ink on white, 16 levels spread over 0..255."""
    blocks = drawing.reshape(SIDE, OVERSAMPLING, SIDE, OVERSAMPLING).mean(axis=(1, 3))
    step = 255 // (LEVELS - 1)
    levels: npt.NDArray[np.uint8] = (255 - np.rint(blocks / step) * step).astype(np.uint8)
    return levels


def without_twins(drawings: dict[str, dict[int, npt.NDArray[np.uint8]]]) -> list[str]:
    """The characters, less those that look like an earlier one: the same in any face, or nearly so in half.

    Of Latin A, Greek Alpha and Cyrillic A one stays: as classes of their own they would be labels at random.
    """
    near: dict[tuple[str, str], list[float]] = {}
    for face in range(len(FACES)):
        having = [c for c, faces in drawings.items() if face in faces]
        if having:
            ink = np.stack([drawings[c][face].ravel() for c in having]).astype(np.float32) / np.float32(255)
            for i, j, difference in _alike(ink):
                near.setdefault((having[i], having[j]), []).append(difference)
    dropped: set[str] = set()
    for (earlier, later), differences in sorted(near.items()):
        shared = len(drawings[earlier].keys() & drawings[later].keys())
        if earlier not in dropped and (min(differences) < SAME or 2 * len(differences) >= shared):
            dropped.add(later)
    return [c for c in drawings if c not in dropped]


def _alike(ink: npt.NDArray[np.float32]) -> Iterator[tuple[int, int, float]]:
    """Pairs of rows, the earlier first, whose squared difference is under NEAR of their squared ink."""
    squares = (ink**2).sum(axis=1)
    both = squares[:, None] + squares[None, :]
    difference = (both - 2 * ink @ ink.T) / both
    for earlier, later in np.argwhere(np.triu(difference < NEAR, 1)):
        yield int(earlier), int(later), float(difference[earlier, later])


def _in_all_faces(character: str) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    for number, face in enumerate(FACES):
        drawing = large(character, face)
        if drawing is not None:
            yield number, drawing


def _ink(character: str, face: str) -> tuple[npt.NDArray[np.uint8], Sequence[float]]:
    """The character's ink, cut to its box (left, top, right, bottom) relative to the baseline's start."""
    font = _font(face)
    box = font.getbbox(character, anchor="ls")
    image = Image.new("L", (max(1, int(box[2] - box[0])), max(1, int(box[3] - box[1]))))
    ImageDraw.Draw(image).text((-box[0], -box[1]), character, fill=255, font=font, anchor="ls")
    return np.asarray(image), box


@cache
def _font(face: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_file(face), EM, layout_engine=ImageFont.Layout.BASIC)


def _file(face: str) -> str:
    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{face}.ttf"))


if __name__ == "__main__":
    main()
