"""Work of several machines joined, and what a stranger's cells may not do."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.campaign.foreign import cell_files, read_cell
from harness.campaign.jobs import Workplace
from harness.campaign.merging import merge
from harness.campaign.store import CellStore
from harness.cell import Measurement, MeasurementResult, TrainingResult
from harness.cli.main import main
from harness.dataset import Dataset
from harness.discovery import load_protocol
from harness.errors import RequestError
from tests.small import few_glyphs
from tests.test_campaign import Dying, Rig, make_rig, numbers
from tests.test_store_of_cells import RESULT, training


@pytest.fixture(scope="module")
def glyphs() -> Dataset:
    return few_glyphs()


def rig_in(glyphs: Dataset, results: Path, cache: Path) -> Rig:
    protocol = dataclasses.replace(load_protocol("smoke"), epoch_steps=4, epochs=2, trials=5)
    return make_rig(glyphs, protocol, ("ms", "untrained_head"), results, cache)


@pytest.fixture(scope="module")
def whole(glyphs: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """The numbers of an uninterrupted campaign, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return [numbers(r) for r in rig_in(glyphs, folder / "results", folder / "cache").run()], folder


MEASURED = Measurement((training().key,))


def measured(**changes: Any) -> MeasurementResult:
    rng = np.random.default_rng(0)
    arrays: dict[str, npt.NDArray[Any]] = {
        "map_at_r": rng.random(5, np.float32),
        "query": np.arange(5),
        "embeddings": rng.normal(size=(6, 3)).astype(np.float32),
        "half_scores": np.array([[np.nan, 0.5]], np.float32),
    }
    result = MeasurementResult("ok", {"map_at_r": 0.5}, 5, 1, {"total": 0.1}, arrays)
    return dataclasses.replace(result, **changes)


TRAINED = dataclasses.replace(RESULT, seconds={"training": 1.0, "evaluation": 0.5, "total": 1.5})


def machine(folder: Path, trained: TrainingResult = TRAINED, scored: MeasurementResult | None = None) -> Path:
    """A results folder with two cells."""
    store = CellStore(folder / ".work" / "cells")
    store.put(training(), trained)
    store.put(MEASURED, scored or measured())
    return folder


def store_of(folder: Path) -> CellStore:
    return CellStore(folder / ".work" / "cells")


# -- joining -----------------------------------------------------------------------------------------------------------


def test_two_half_done_campaigns_come_to_the_record_of_a_whole_one(
    whole: tuple[list[dict[str, Any]], Path], glyphs: Dataset, tmp_path: Path
) -> None:
    """One machine is cut off in its search, the other has cells from everywhere; neither's study comes along."""
    records, folder = whole
    first = rig_in(glyphs, tmp_path / "first", folder / "cache")
    executor = Dying(Workplace(first.bench, first.campaign.places.cells), 7)
    with pytest.raises(KeyboardInterrupt):
        first.campaign.run(first.campaign.entries(), first.test, executor, first)
    shutil.copytree(folder / "results" / ".work" / "cells", tmp_path / "second" / ".work" / "cells")
    keys = list(store_of(tmp_path / "second").keys())
    for key in keys[::2]:
        store_of(tmp_path / "second").drop(key)
    joined = rig_in(glyphs, tmp_path / "joined", folder / "cache")
    merged = merge([tmp_path / "first", tmp_path / "second"], CellStore(joined.campaign.places.cells))
    assert not merged.refused and not merged.differing
    assert merged.taken < len(keys) and merged.equal > 0
    assert not joined.campaign.places.studies.exists(), "no study is taken: its settings are asked again"
    assert [numbers(r) for r in joined.run()] == records
    assert 0 < joined.fresh < len(keys), "what was merged is taken as it is"
    assert list(store_of(tmp_path / "joined").keys()) == keys, "no setting was another"


def test_all_cells_without_the_study_train_nothing(
    whole: tuple[list[dict[str, Any]], Path], glyphs: Dataset, tmp_path: Path
) -> None:
    records, folder = whole
    merge([folder / "results"], store_of(tmp_path / "joined"))
    joined = rig_in(glyphs, tmp_path / "joined", folder / "cache")
    assert [numbers(r) for r in joined.run()] == records
    assert joined.fresh == 0


def test_equal_cells_are_joined_silently_whatever_their_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slower = dataclasses.replace(TRAINED, seconds={**TRAINED.seconds, "total": 9.0}, device="cuda")
    machine(tmp_path / "here")
    machine(tmp_path / "there", slower)
    before = {p: p.read_bytes() for p in (tmp_path / "here").rglob("*") if p.is_file()}
    assert main(["merge", str(tmp_path / "there"), "--results", str(tmp_path / "here"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"taken": 0, "equal": 2, "differing": [], "refused": []}
    assert {p: p.read_bytes() for p in (tmp_path / "here").rglob("*") if p.is_file()} == before


def test_other_numbers_are_reported_with_both_values_and_nothing_is_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = dict(measured().arrays)
    other["embeddings"] = other["embeddings"].copy()
    other["embeddings"][2, 1] = 0.125
    machine(tmp_path / "here")
    changed = dataclasses.replace(TRAINED, score=0.5, curve=((0, 0.1), (1, 0.5)))
    machine(tmp_path / "there", changed, measured(arrays=other))
    before = {p: p.read_bytes() for p in (tmp_path / "here").rglob("*") if p.is_file()}
    words = ["merge", str(tmp_path / "there"), "--results", str(tmp_path / "here")]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "curve[1]: 0.25 here, 0.5 there" in said and "score: 0.25 here, 0.5 there" in said
    assert f"embeddings[2, 1]: {measured().arrays['embeddings'][2, 1]!s} here, 0.125 there" in said
    assert "training of ms on glyphs under quick, fold 0, seed 1" in said
    assert {p: p.read_bytes() for p in (tmp_path / "here").rglob("*") if p.is_file()} == before
    assert main([*words, "--json"]) == 1
    differing = json.loads(capsys.readouterr().out)["differing"]
    assert {d["key"] for d in differing} == {training().key, MEASURED.key}


def test_a_failure_here_and_a_result_there_differ(tmp_path: Path) -> None:
    machine(tmp_path / "here", dataclasses.replace(TRAINED, status="failed", error="no memory"))
    machine(tmp_path / "there")
    merged = merge([tmp_path / "there"], store_of(tmp_path / "here"))
    assert ("status", "failed", "ok") in merged.differing[0].values


def test_a_damaged_cell_here_is_taken_from_there(tmp_path: Path) -> None:
    here, there = machine(tmp_path / "here"), machine(tmp_path / "there")
    store_of(here).path(training().key).write_bytes(b"\0" * 100)
    file = store_of(here).path(MEASURED.key).with_suffix(".npz")
    content = bytearray(file.read_bytes())
    content[200:300] = bytes(100)
    file.write_bytes(content)
    merged = merge([there], store_of(here))
    assert (merged.taken, merged.differing, merged.refused) == (2, [], [])
    assert store_of(here).get(training()) == TRAINED
    np.testing.assert_array_equal(
        store_of(here).arrays(MEASURED.key)["embeddings"], measured().arrays["embeddings"]
    )


def test_what_is_no_folder_of_cells_is_refused_before_anything_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = machine(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    here = ["--results", str(tmp_path / "here")]
    assert main(["merge", str(good), str(tmp_path / "empty"), *here]) == 2
    assert "no finished cells" in capsys.readouterr().err
    assert not (tmp_path / "here").exists()
    assert main(["merge", str(good), "--results", str(good)]) == 2


# -- strangers ---------------------------------------------------------------------------------------------------------


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(path.read_bytes())
    edit(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda c: c["result"].update(score=7.0), "result.score"),
        (lambda c: c["result"].update(score=float("nan")), "score"),
        (lambda c: c["result"].update(score="0.2"), "score"),
        (lambda c: c["result"].update(status="lost"), "status"),
        (lambda c: c["result"].pop("curve"), "curve"),
        (lambda c: c["result"].update(more=1), "more"),
        (lambda c: c["result"].update(error="\x1b[2J"), "cannot be shown"),
        (lambda c: c["result"]["seconds"].pop("total"), "total"),
        (lambda c: c["cell"].update(seed=2), "not what its name says"),
        (lambda c: c["cell"]["values"].update(alpha=3.0), "not what its name says"),
        (lambda c: c["cell"].update(method={"__reduce__": 1}), "method"),
        (lambda c: c.update(kind="Module"), "Module"),
    ],
)
def test_a_training_that_does_not_keep_the_schema_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], why: str
) -> None:
    there = machine(tmp_path / "there")
    change(store_of(there).path(training().key), edit)
    merged = merge([there], store_of(tmp_path / "here"))
    assert merged.taken == 1 and len(merged.refused) == 1
    assert why in merged.refused[0] and str(store_of(there).path(training().key)) in merged.refused[0]
    assert store_of(tmp_path / "here").get(training()) is None


def packed(compressed: bool = False, **arrays: Any) -> bytes:
    content = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(content, **{**measured().arrays, **arrays})
    return content.getvalue()


def lying_header() -> bytes:
    """An array that says that it has 10^15 numbers."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in measured().arrays.items():
            single = io.BytesIO()
            np.save(single, array)
            text = single.getvalue()
            if name == "embeddings":
                text = text.replace(b"(6, 3), }           ", b"(1000000000000000,)}")
                assert text != single.getvalue()
            archive.writestr(f"{name}.npy", text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(compressed=True), "compressed"),
        (packed(extra=np.array([{"a": 1}], dtype=object)), "cannot be read"),
        (packed(extra=np.array(["text"])), "numbers"),
        (packed(query=np.array([0, 1, 2, 3, 6])), "outside"),
        (packed(query=np.array([-1, 1, 2, 3, 4])), "positions"),
        (packed(map_at_r=np.zeros(4, np.float32)), "one a query"),
        (packed(embeddings=np.zeros((6, 3))), "float32"),
        (packed()[:-30], "cannot be read"),
        (lying_header(), "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_arrays_that_are_not_what_they_should_be_are_refused(
    tmp_path: Path, content: bytes, why: str
) -> None:
    there = machine(tmp_path / "there")
    store_of(there).path(MEASURED.key).with_suffix(".npz").write_bytes(content)
    merged = merge([there], store_of(tmp_path / "here"))
    assert merged.taken == 1 and why in merged.refused[0]
    assert not list((tmp_path / "here").rglob("*.npz"))


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    there, secret = machine(tmp_path / "there"), machine(tmp_path / "secret")
    file = store_of(there).path(training().key)
    file.unlink()
    file.symlink_to(store_of(secret).path(training().key))
    arrays = store_of(there).path(MEASURED.key).with_suffix(".npz")
    arrays.unlink()
    arrays.symlink_to(store_of(secret).path(MEASURED.key).with_suffix(".npz"))
    merged = merge([there], store_of(tmp_path / "here"))
    assert merged.taken == 0 and len(merged.refused) == 2
    assert all("leads out" in fault for fault in merged.refused)
    linked = tmp_path / "linked"
    (linked / ".work").mkdir(parents=True)
    (linked / ".work" / "cells").symlink_to(secret / ".work" / "cells")
    merged = merge([linked], store_of(tmp_path / "here"))
    assert merged.taken == 0 and all("leads out" in fault for fault in merged.refused)


def test_a_pipe_and_a_ring_of_links_are_not_waited_for(tmp_path: Path) -> None:
    there = machine(tmp_path / "there")
    file = store_of(there).path(training().key)
    file.unlink()
    os.mkfifo(file)
    ring = file.with_name(f"{'0' * 64}.json")
    ring.symlink_to(ring)
    merged = merge([there], store_of(tmp_path / "here"))
    assert merged.taken == 1
    assert sum("not a file" in fault for fault in merged.refused) == 1
    assert len(merged.refused) == 2


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_a_file_holds_only_our_own_error_comes_out(tmp_path: Path, data: st.DataObject) -> None:
    shutil.rmtree(tmp_path / "there", ignore_errors=True)
    there = machine(tmp_path / "there")
    path = store_of(there).path(data.draw(st.sampled_from([training().key, MEASURED.key])))
    file = path.with_suffix(data.draw(st.sampled_from([".json", ".npz"])))
    content = bytearray(file.read_bytes() if file.exists() else b"")
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 40)))
        content[start:end] = data.draw(
            st.one_of(
                st.binary(max_size=8),
                st.sampled_from(
                    [b"1e999", b"NaN", b"-0", b"null", b"[[[[", b"\\ud800", b"9" * 5000, b"{}", b"true"]
                ),
            )
        )
    file.write_bytes(content)
    for found in cell_files(there):
        with suppress(RequestError):
            assert read_cell(found, there)[0].key == found.stem
