"""Records: what is written reads back, and what does not fit together is refused by the name of its field."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import RequestError
from harness.record import place, read_arrays, read_record, read_records, write_record
from harness.record_arrays import checked_arrays
from harness.thumbnails import read_thumbnails
from tests.made_records import CLASSES, METRICS, made, shown_by

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole record with all that its page shows."""
    record, arrays = made("ms", 0.4, repetitions=2, published=1)
    return write_record(tmp_path, record, {**arrays, **shown_by(record)})


def changed(path: Path, change: Change) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content))


def rearranged(path: Path, **changes: Any) -> None:
    """Arrays of the record replaced, or left out where None is given."""
    arrays = read_arrays(path)
    arrays.update(changes)
    kept: dict[str, Any] = {n: array for n, array in arrays.items() if array is not None}
    np.savez(path.with_suffix(".npz"), allow_pickle=False, **kept)


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.4, repetitions=2, published=1)
    path = write_record(tmp_path, record, arrays)
    assert path == place(tmp_path, "quick", "glyphs", "ms") == tmp_path / "records/quick/glyphs/ms.json"
    assert read_record(path) == record
    found = read_arrays(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    write_record(tmp_path, record, arrays)  # over the old one


def test_a_record_can_be_read_in_a_diff(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert ' "schema": 1,\n' in lines and ' "method": "ms",\n' in lines
    assert lines[-1] == "}\n"


def test_pictures_lie_in_the_file_that_a_folder_shares(tmp_path: Path) -> None:
    record, arrays = made("ms", 0.4, repetitions=1, published=1)
    shown = shown_by(record)
    path = write_record(tmp_path, record, {**arrays, **shown})
    assert not {"pictures", "picture_ids"} & set(read_arrays(path))
    kept = read_thumbnails(path.parent)
    assert set(shown["picture_ids"].tolist()) <= set(kept)
    checked_arrays(path, record)


def test_records_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for method, dataset in (("nca", "glyphs"), ("ms", "omniglot"), ("ms", "glyphs")):
        record, arrays = made(method, 0.3, repetitions=1, published=0, dataset=dataset)
        write_record(tmp_path, record, arrays)
    (tmp_path / "records" / "quick" / "notes.json").write_text("{}")
    found = [(path.parent.name, record.method) for path, record in read_records(tmp_path)]
    assert found == [("glyphs", "ms"), ("glyphs", "nca"), ("omniglot", "ms")]
    assert read_records(tmp_path / "nowhere") == []


def test_ends_of_ranges_belong_to_them(path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["space"]["alpha"].update(low=2.0, high=2.0)
        content["space"]["margin"].update(low=0.0, high=0.0)
        search = content["searches"][0]
        search["chosen"] = len(search["trials"]) - 1
        search["finalists"] = [{"trial": 0, "scores": [], "score": None}]

    changed(path, change)
    read_record(path)
    changed(path, lambda content: content["searches"][0].update(chosen=0))
    read_record(path)
    changed(path, lambda content: content["searches"][0].update(chosen=None))
    read_record(path)


def entry(name: str, **facts: Any) -> Change:
    return lambda content: content[name].update(facts)


def search(**facts: Any) -> Change:
    return lambda content: content["searches"][0].update(facts)


REFUSED: list[tuple[Change, str]] = [
    (lambda c: c.update(colour="red"), "colour: Extra inputs are not permitted. This is no record of schema 1"),
    (lambda c: c.pop("method_source"), "method_source: Field required"),
    (lambda c: c.update(schema=2), "schema: Input should be 1"),
    (lambda c: c.update(split="xyz"), "split: String should match"),
    (lambda c: c["runs"][0]["metrics"].update(map_at_r=1.5), "runs.0.metrics.map_at_r: Input should be less"),
    (lambda c: c["runs"][0]["metrics"].pop("map_at_r"), "its runs were measured by different metrics"),
    (lambda c: c["published_runs"][0]["metrics"].pop("map_at_r"), "its runs were measured by different metrics"),
    (lambda c: c["searches"][0]["trials"][2]["values"].pop("margin"), "margin is searched, and a trial has no"),
    (search(chosen=6), r"a search names trials \[6\], and has 6"),
    (search(chosen=-1), r"a search names trials \[-1\], and has 6"),
    (search(finalists=[{"trial": 6, "scores": [], "score": None}]), r"names trials \[\d, 6\], and has 6"),
    (entry("settings", folds=0), "settings.folds: Input should be greater than or equal to 1"),
    (lambda c: c["settings"].pop("optimizer"), "settings.optimizer: Field required"),
    (lambda c: c["space"]["alpha"].update(kind="Float"), "space.alpha.kind: Input should be 'FloatDist"),
    (lambda c: c["space"]["alpha"].update(low=60.0), "space.alpha: .*no range from 60.0 to 50.0"),
    (lambda c: c["space"]["alpha"].update(low=0.0), "space.alpha: .*no range from 0.0 to 50.0"),
    (lambda c: c["space"]["alpha"].update(low=None), "space.alpha: .*no range from None to 50.0"),
    (lambda c: c["space"]["margin"].update(high=None), "space.margin: .*no range from 0.0 to None"),
    (
        lambda c: c["space"]["margin"].update(kind="CategoricalDistribution", choices=[]),
        "space.margin: .*a choice of nothing",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_what_does_not_fit_is_refused_by_its_name(path: Path, change: Change, said: str) -> None:
    changed(path, change)
    with pytest.raises(RequestError, match=said) as refused:
        read_record(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith("; run the entry again, or remove it")


def test_a_choice_of_something_is_one(path: Path) -> None:
    choice = {"kind": "CategoricalDistribution", "choices": [0.5]}
    changed(path, lambda content: content["space"].update(margin=choice))
    read_record(path)


def test_what_is_no_json_is_refused(path: Path) -> None:
    path.write_text("{")
    with pytest.raises(RequestError, match=f"{path}: the file: Invalid JSON"):
        read_record(path)


def test_a_record_that_is_not_there(path: Path) -> None:
    path.unlink()
    with pytest.raises(RequestError, match=f"{path}: cannot be read: No such file or directory"):
        read_record(path)


@pytest.mark.parametrize("elsewhere", ["glyphs/nca.json", "omniglot/ms.json"])
def test_a_moved_record_is_refused(path: Path, elsewhere: str) -> None:
    target = path.parents[1] / elsewhere
    target.parent.mkdir(exist_ok=True)
    os.replace(path, target)
    with pytest.raises(RequestError, match=f"{target}: says it is glyphs/ms; a record's place is its name"):
        read_record(target)


def test_arrays_that_cannot_be_read(path: Path) -> None:
    file = path.with_suffix(".npz")
    file.write_bytes(b"PK")
    with pytest.raises(
        RequestError, match=f"{file}: cannot be read .*; run the entry again, or remove the record"
    ):
        read_arrays(path)


def test_whole_arrays_are_handed_on(path: Path) -> None:
    record, arrays = read_record(path), read_arrays(path)
    found = checked_arrays(path, record)
    assert set(found) == set(arrays)
    np.testing.assert_array_equal(found["class_sums"], arrays["class_sums"])


RUNS = 10  # two seeds of four folds, and their joined ones
SPOILT: list[tuple[dict[str, Any], str]] = [
    ({"metric_names": None}, "has no metric_names"),
    ({"class_counts": None}, "has no class_counts"),
    ({"map_share": None}, "has no map_share"),
    ({"geometry": None}, "has no geometry"),
    ({"shown_role": None}, "has no shown_role"),
    ({"colour": np.zeros(2)}, "holds 'colour', which is not known"),
    ({"c" * 50: np.zeros(2)}, f"holds '{'c' * 40}', which is not known"),
    ({"class_counts": np.ones(CLASSES)}, r"class_counts is float64 of shape \(24,\), expected another kind or 1"),
    ({"class_counts": np.ones((CLASSES, 1), int)}, r"class_counts is int64 of shape \(24, 1\), .* or 1 sides"),
    ({"class_sums": np.ones((RUNS, len(METRICS), 3))}, r"class_sums has shape \(10, 9, 3\), expected 24 groups"),
    ({"class_sums": np.ones((9, len(METRICS), CLASSES))}, r"class_sums has shape \(9, 9, 24\), expected 10 runs"),
    ({"class_sums": np.ones((RUNS, 8, CLASSES))}, r"class_sums has shape \(10, 8, 24\), expected 9 metrics"),
    ({"published_class_sums": np.ones((2, len(METRICS), CLASSES))}, "expected 5 published runs"),
    ({"matched_scores": np.ones((1, 6, len(METRICS)))}, "expected 10 metrics and images"),
    ({"map_share": np.ones(3)}, r"map_share has shape \(3,\), expected 2 two"),
    ({"class_counts": np.full(CLASSES, -1)}, "class_counts holds numbers below 0"),
    ({"class_sums": np.full((RUNS, len(METRICS), CLASSES), np.nan)}, "class_sums holds numbers that are not fin"),
    ({"map_share": np.array([np.inf, 0.0])}, "map_share holds numbers that are not finite"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), SPOILT, ids=[said[:30] for _, said in SPOILT])
def test_arrays_that_do_not_fit_are_refused(path: Path, changes: dict[str, Any], said: str) -> None:
    record = read_record(path)
    rearranged(path, **changes)
    with pytest.raises(RequestError, match=said) as refused:
        checked_arrays(path, record)
    assert str(refused.value).startswith(f"{path.with_suffix('.npz')}: ")
    assert str(refused.value).endswith("; run the entry again, or remove the record")


@pytest.mark.parametrize("name", ["map_class", "shown_class", "shown_query_class"])
def test_classes_are_test_classes(path: Path, name: str) -> None:
    record, array = read_record(path), read_arrays(path)[name]
    array.flat[0] = CLASSES - 1
    rearranged(path, **{name: array})
    checked_arrays(path, record)
    array.flat[0] = CLASSES
    rearranged(path, **{name: array})
    with pytest.raises(RequestError, match=f"{name} holds a class that is none of the 24 test classes"):
        checked_arrays(path, record)


def test_what_pages_show_may_be_absent(path: Path) -> None:
    record = read_record(path)
    kept = ("metric_names", "class_counts", "class_sums", "published_class_sums")
    rearranged(path, **{name: None for name in read_arrays(path) if name not in kept})
    assert set(checked_arrays(path, record)) == set(kept)
