"""Fuzzing: every reader is given damaged files for a while, and only errors of ours come out.

`make fuzz` runs it in full; `tests/test_fuzzed.py` holds a short form and what has been found. SECONDS_EACH
in the environment says how long each reader is tried, SEED where the first round begins. What breaks a reader is kept
in the folder that the failure names.
"""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz_readers import READERS
from tests.fuzz_rig import Reader, damaged

SECONDS = float(os.environ.get("SECONDS_EACH", "45"))
SEED = int(os.environ.get("SEED", "0"))
#: Examples of one round; each has a seed of its own.
ROUND = 200


@pytest.mark.filterwarnings("ignore")  # libraries warn of damaged files before they refuse them
@pytest.mark.parametrize("name", READERS)
def test_only_our_errors_come_out(name: str, tmp_path: Path) -> None:
    reader, tried, refused, number = READERS[name], 0, 0, SEED
    folder = tmp_path / "in"
    folder.mkdir()
    reader.make(folder)
    whole = {file: file.read_bytes() for file in reader.files(folder)}
    assert reader.survives(folder)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        examples, ended = one_round(reader, folder, whole, number)
        tried, refused, number = tried + examples, refused + ended, number + 1
    print(f"\n{name}: {tried:,} files tried, {refused:,} refused, {number - SEED} rounds from seed {SEED}")


def one_round(reader: Reader, folder: Path, whole: dict[Path, bytes], number: int) -> tuple[int, int]:
    """(files tried, files refused) with the seed `number`; a finding is kept, and raised in a line."""
    counted = [0, 0]
    found: list[tuple[Path, Exception]] = []

    @seed(number)
    @settings(
        max_examples=ROUND, deadline=None, database=None, print_blob=False, report_multiple_bugs=False,
        # Drawing a board takes a second: to shrink what broke it would take the whole time.
        phases=[Phase.generate], suppress_health_check=list(HealthCheck), verbosity=Verbosity.quiet,
    )  # fmt: skip
    @given(data=st.data())
    def tried(data: st.DataObject) -> None:
        file = data.draw(st.sampled_from(sorted(whole)))
        content = data.draw(damaged(file.name, whole[file]))
        file.write_bytes(content)
        counted[0] += 1
        try:
            counted[1] += not reader.survives(folder)
        except Exception as error:
            (folder.parent / f"finding{file.suffix}").write_bytes(content)
            found.append((file, error))
            raise
        finally:
            file.write_bytes(whole[file])

    try:
        tried()
    except Exception:
        if not found:
            raise
        file, error = found[-1]
        last = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in last if "/harness/" in frame.filename][-1:] or last[-1:]
        pytest.fail(
            f"seed {number}, {file.relative_to(folder)}: {type(error).__name__}: {str(error)[:200]} "
            f"from {Path(ours[0].filename).name}:{ours[0].lineno}; kept in {folder.parent}",
            pytrace=False,
        )
    return counted[0], counted[1]
