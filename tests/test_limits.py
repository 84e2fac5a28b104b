"""A method that hangs or eats memory is ended, its entry has failed and says why, and nobody else pays for it."""

from __future__ import annotations

import time
from argparse import Namespace
from pathlib import Path

import pytest

from harness.campaign.events import CellDone
from harness.campaign.executors import ProcessExecutor
from harness.campaign.jobs import Workplace
from harness.campaign.limits import LimitError, Limits, ended_before, limited
from harness.cli.commands.run import exit_code
from harness.cli.main import main
from tests.test_campaign import numbers
from tests.test_ray import plugin, rig_of

HANG = "__import__('ctypes').PyDLL(None).sleep(1000)"  # a call that never gives the interpreter back
EAT = "[torch.ones(40_000_000) for _ in range(1000) if not time.sleep(0.02)]"


def test_methods_beyond_their_limits_fail_and_the_others_go_on(tmp_path: Path) -> None:
    plugins = (
        plugin(tmp_path, "hanging", HANG),
        plugin(tmp_path, "greedy", EAT),
    )
    rig = rig_of(tmp_path, "limited", "hanging", "greedy", "untrained_head", plugins=plugins)
    lost: list[str] = []
    place = Workplace(rig.bench, rig.campaign.places.cells, Limits(seconds=6, gb=1.5, grace=1))
    executor = ProcessExecutor(place, 2)
    try:
        records = rig.campaign.run(
            rig.campaign.entries(), rig.test, executor, rig, lost=lambda job, why: lost.append(why)
        )
    finally:
        executor.stop()
    assert [record.status for record in records] == ["failed", "failed", "complete"]
    too_long = "took more than 0.1 minutes (--max-cell-minutes)"
    assert too_long in records[0].why
    assert "took more than 1.5 GB of memory (--max-cell-gb)" in records[1].why
    assert lost, "what hangs in foreign code is ended with its process"
    hung = [e.result.traceback for e in rig.of(CellDone) if getattr(e.cell, "method", "") == "hanging"]
    assert hung and all("in forward" in traceback for traceback in hung), "it says where"
    assert not list(rig.campaign.places.cells.glob("*/*.ended")), "nothing is left behind"
    free = rig_of(tmp_path, "free", "untrained_head")
    assert numbers(records[2]) == numbers(free.run()[0])


#: A method's code, how its entry ends, and what the entry says of it.
MISBEHAVING = {
    "raising": ("{}['no such name']", "failed", "KeyError: 'no such name'"),
    "not_a_number": (
        "return embeddings.sum() * torch.nan",
        "failed",
        "a loss or an embedding was not finite",
    ),
    "infinite": ("return embeddings.sum() * torch.inf", "failed", "a loss or an embedding was not finite"),
    "shapeless": ("return embeddings.mean(1)", "failed", "a tensor of shape (16,); expected one number"),
    "not_a_tensor": ("return 1.0", "failed", "AttributeError: 'float' object has no attribute"),
    "detached": ("return embeddings.detach().sum()", "failed", "does not require grad"),
    "crowded": (
        "raise torch.OutOfMemoryError('CUDA out of memory. Tried')",
        "incomplete",
        "CUDA out of memory",
    ),
}


def test_methods_that_misbehave_say_why_in_one_line_and_the_others_go_on(tmp_path: Path) -> None:
    plugins = tuple(plugin(tmp_path, name, body) for name, (body, _, _) in MISBEHAVING.items())
    rig = rig_of(tmp_path, "results", *MISBEHAVING, "nca", plugins=plugins)
    *records, sound = rig.run()
    assert sound.status == "complete"
    for record, (_, status, why) in zip(records, MISBEHAVING.values(), strict=True):
        assert record.status == status and why in record.why and "\n" not in record.why, record.why
    assert exit_code(Namespace(max_hours=None), [*records, sound]) == 1
    raised = [e.result for e in rig.of(CellDone) if e.result.status == "failed"]
    assert raised and all("in forward" in r.traceback or "in run_epoch" in r.traceback for r in raised)
    assert numbers(sound) == numbers(rig_of(tmp_path, "alone", "nca").run()[0])


def test_work_within_its_limits_notices_nothing(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with limited(Limits(seconds=60, gb=100), note):
        assert note.exists()
    assert not note.exists() and ended_before(note) is None
    with limited(Limits(), note):
        assert not note.exists()


def test_an_error_that_is_caught_comes_again(tmp_path: Path) -> None:
    heard: list[LimitError] = []

    def deaf() -> None:
        while len(heard) < 2:
            try:
                time.sleep(30)
            except LimitError as error:
                heard.append(error)

    begun = time.monotonic()
    with limited(Limits(seconds=0.2, grace=30), tmp_path / "note"):
        deaf()
    assert "minutes" in str(heard[1]) and time.monotonic() - begun < 20


def test_a_process_that_ended_for_another_reason_is_not_blamed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    note.write_text("took more than 1 minutes (--max-cell-minutes)\n")
    assert ended_before(note) is None


def test_limits_need_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--results", str(tmp_path / "results"), "--cache", str(tmp_path / "cache")]
    words = [
        "--methods",
        "untrained_head",
        "--protocol",
        "smoke",
        "--executor",
        "local",
        "--tracker",
        "none",
        *places,
    ]
    assert main([*words, "--max-cell-minutes", "1"]) == 2
    assert "worker processes" in capsys.readouterr().err
    assert main([*words, "--max-cell-gb", "0"]) == 2
    assert "gigabytes above 0" in capsys.readouterr().err
