"""Downloads, from a server with the faults of real ones: cut connections, wrong files, nothing there; a full disk."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.dataset import Archive
from harness.download import PATIENCE, download
from harness.errors import MissingError, RequestError
from tests.served import Served, serving

CONTENT = np.random.default_rng(0).bytes(3_000_000)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "served") as served:
        (served.folder / "whole.tgz").write_bytes(CONTENT)
        (served.folder / "page.tgz").write_bytes(b"<html>an error page with status 200</html>")
        yield served


def wanted(
    server: Served, *names: str, size: int | None = None, checksums: tuple[str, ...] = (MD5,)
) -> Archive:
    return Archive("a.tgz", tuple(f"{server.address}/{name}.tgz" for name in names), checksums, size)


def test_a_file_is_fetched_once_and_the_progress_told(server: Served, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    file = download(wanted(server, "whole"), tmp_path / "here", lambda *now: told.append(now))
    assert file.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert sorted(told) == told and len(told) >= 3
    assert download(wanted(server, "whole"), tmp_path / "here") == file
    assert len(server.asked) == 1
    file.write_bytes(b"spoilt")
    assert download(wanted(server, "whole"), tmp_path / "here").read_bytes() == CONTENT


def test_a_cut_connection_goes_on_where_it_was(server: Served, tmp_path: Path) -> None:
    server.cuts = [1_200_000, 700_000]
    told: list[tuple[int, int]] = []
    file = download(wanted(server, "whole"), tmp_path / "here", lambda *now: told.append(now))
    assert file.read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-") or 0) for _, asked in server.asked]
    assert starts[0] == 0 and 0 < starts[1] < starts[2]
    # Nothing was fetched twice, and the bar never went back.
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert {total for _, total in told} == {len(CONTENT)}


def test_an_address_that_cuts_and_cuts_is_left_and_its_part_kept(server: Served, tmp_path: Path) -> None:
    server.cuts = [1_100_000] + [0] * PATIENCE
    file = download(wanted(server, "whole", "whole"), tmp_path / "here")
    assert file.read_bytes() == CONTENT
    assert len(server.asked) == PATIENCE + 2
    assert server.asked[-1][1] != ""


def test_a_killed_fetch_goes_on_in_the_next_command(server: Served, tmp_path: Path) -> None:
    def interrupt(done: int, _: int) -> None:
        if done > 1_500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(wanted(server, "whole"), tmp_path / "here", interrupt)
    assert not (tmp_path / "here" / "a.tgz").exists()
    assert download(wanted(server, "whole"), tmp_path / "here").read_bytes() == CONTENT
    start = int(server.asked[1][1].removeprefix("bytes=").rstrip("-"))
    assert start > 1_000_000


def test_a_server_without_ranges_begins_anew(server: Served, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [1_500_000]
    assert download(wanted(server, "whole"), tmp_path / "here").read_bytes() == CONTENT


@pytest.mark.parametrize("rest", [b"another file's first half", CONTENT + b"and more"])
def test_a_part_of_another_file_does_not_condemn_an_address(
    server: Served, tmp_path: Path, rest: bytes
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.tgz.unfinished").write_bytes(rest)
    assert download(wanted(server, "whole"), tmp_path / "here").read_bytes() == CONTENT


def test_without_a_checksum_a_part_is_not_trusted(server: Served, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "a.tgz.unfinished").write_bytes(b"another file's first half")
    assert download(wanted(server, "whole", checksums=()), tmp_path / "here").read_bytes() == CONTENT


def test_what_is_wrong_is_removed_and_the_next_address_asked(server: Served, tmp_path: Path) -> None:
    file = download(wanted(server, "absent", "page", "whole"), tmp_path / "here")
    assert file.read_bytes() == CONTENT
    assert [name for name, _ in server.asked] == ["absent.tgz", "page.tgz", "whole.tgz"]
    assert [path.name for path in file.parent.iterdir()] == ["a.tgz"]


def test_any_of_several_checksums_will_do(server: Served, tmp_path: Path) -> None:
    assert download(wanted(server, "whole", checksums=("sha256:00", MD5)), tmp_path / "here").is_file()


def test_when_all_fail_each_reason_is_named_and_nothing_stays(server: Served, tmp_path: Path) -> None:
    with pytest.raises(MissingError) as refusal:
        download(wanted(server, "absent", "page"), tmp_path / "here")
    page = hashlib.md5((server.folder / "page.tgz").read_bytes()).hexdigest()
    for words in ("a.tgz could not be fetched", "absent.tgz: 404", f"page.tgz: its md5 is {page}, expected"):
        assert words in str(refusal.value)
    assert list((tmp_path / "here").iterdir()) == []
    nobody = Archive("a.tgz", ("http://127.0.0.1:9/a.tgz",), (MD5,))
    with pytest.raises(MissingError, match=r"127\.0\.0\.1:9.*refused"):
        download(nobody, tmp_path / "here")


def test_a_file_of_another_size_is_refused_before_it_is_fetched(server: Served, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="it has 3,000,000 bytes, expected 4,000,000"):
        download(wanted(server, "whole", size=4_000_000), tmp_path / "here")
    assert list((tmp_path / "here").iterdir()) == []


def test_a_disk_that_is_too_small_is_said_before_the_fetch(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(RequestError, match=r"a\.tgz needs 0\.00 GB more.*--cache DIR"):
        download(wanted(server, "whole", size=len(CONTENT)), tmp_path / "here")
    assert server.asked == []


def test_a_disk_that_fills_up_is_said_and_the_part_kept(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        file = opened(path, mode, *rest, **more)
        if not path.name.endswith(".unfinished") or "b" not in mode or mode == "rb":
            return file
        write, written = file.write, [0]

        def some(chunk: bytes) -> int:
            if written[0] > 1_000_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            written[0] += len(chunk)
            return int(write(chunk))

        return _Writes(file, some)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(RequestError, match=r"the disk is full.*the same command goes on where it was"):
        download(wanted(server, "whole"), tmp_path / "here")
    monkeypatch.undo()
    assert download(wanted(server, "whole"), tmp_path / "here").read_bytes() == CONTENT
    assert server.asked[1][1] != ""


class _Writes:
    """A file whose `write` is another."""

    def __init__(self, file: Any, write: Any) -> None:
        self.file, self.write = file, write

    def __enter__(self) -> _Writes:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
