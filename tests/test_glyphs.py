"""The embedded dataset: its size, its halves, and that the tracked drawings are those of the script beside them."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter

import numpy as np
import pytest

from harness.data import draw_glyphs, load_dataset
from harness.dataset import Dataset


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return load_dataset("glyphs", None, partial=False)


def test_size(glyphs: Dataset) -> None:
    names = glyphs.development.class_names + glyphs.test.class_names
    sizes = [*np.bincount(glyphs.development.labels), *np.bincount(glyphs.test.labels)]
    assert len(names) == len(set(names)) >= 400
    assert 12 <= min(sizes) <= max(sizes) <= 24
    assert glyphs.development.pictures.read(0).shape == (32, 32, 3)
    assert draw_glyphs.FILE.stat().st_size < 1_500_000
    assert (glyphs.default_protocol, glyphs.shareable, glyphs.partial) == ("quick", True, False)


def test_halves_are_by_hash_and_mix_the_scripts(glyphs: Dataset) -> None:
    names = [*glyphs.development.class_names, *glyphs.test.class_names]
    assert names == sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    assert len(glyphs.development.class_names) == len(names) // 2
    for half in (glyphs.development, glyphs.test):
        scripts = Counter(name.split()[1] for name in half.class_names)
        assert min(scripts[s] for s in ("LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN")) >= 10


def test_names_are_those_of_unicode(glyphs: Dataset) -> None:
    for name in glyphs.development.class_names:
        code, _, words = name.partition(" ")
        assert unicodedata.name(chr(int(code.removeprefix("U+"), 16))) == words


def test_no_drawing_stands_in_two_classes(glyphs: Dataset) -> None:
    classes: dict[str, set[str]] = {}
    for half in (glyphs.development, glyphs.test):
        for i, label in enumerate(half.labels):
            classes.setdefault(half.pictures.content(i), set()).add(half.class_names[label])
    assert all(len(names) == 1 for names in classes.values())


def test_of_characters_that_look_alike_one_stays(glyphs: Dataset) -> None:
    names = {name.split()[0] for half in (glyphs.development, glyphs.test) for name in half.class_names}
    for twins in ("AΑА", "OΟОՕ", "HΗН", "pрp", "XΧХ"):
        assert sum(f"U+{ord(c):04X}" in names for c in set(twins)) == 1, twins


def test_missing_glyph_box_is_no_drawing() -> None:
    assert draw_glyphs.large("ა", "cmr10") is None
    assert draw_glyphs.large("\uffff", "DejaVuSans") is None
    assert draw_glyphs.large(" ", "DejaVuSans") is None


@pytest.mark.parametrize("character", ["A", "g", "7", "Ж", "ω", "Ֆ", "ქ"])
def test_drawn_again_it_is_the_same(glyphs: Dataset, character: str) -> None:
    """Roughly: another FreeType may shade an edge otherwise."""
    name = f"U+{ord(character):04X} {unicodedata.name(character)}"
    half = glyphs.development if name in glyphs.development.class_names else glyphs.test
    for i in np.flatnonzero(half.labels == half.class_names.index(name)):
        drawing = draw_glyphs.large(character, half.image_ids[i].split("/")[1])
        assert drawing is not None
        stored = half.pictures.read(int(i))[:, :, 0].astype(float)
        assert abs(draw_glyphs.reduced(drawing) - stored).mean() < 8
