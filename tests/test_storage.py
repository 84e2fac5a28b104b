"""Searches in a database: the journal's numbers, one command at a time, clear words, and no password anywhere.

The database is SQLite, and a PostgreSQL server that the tests start for themselves where its programs are installed
(Debian: `apt-get install postgresql`).
"""

from __future__ import annotations

import dataclasses
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from filelock import Timeout
from optuna.trial import TrialState

from harness.campaign.database import Database
from harness.campaign.events import CellDone
from harness.campaign.executors import LocalExecutor
from harness.campaign.jobs import Workplace
from harness.campaign.plan import plan
from harness.campaign.tuning import Study
from harness.cli.lines import again
from harness.cli.main import main
from harness.discovery import load_protocol
from harness.errors import BenchmarkError, RequestError
from harness.record import read_records
from tests.small import few_glyphs
from tests.test_campaign import Rig, make_rig, numbers
from tests.test_tuning import PUBLISHED, SPACE, score

psycopg = pytest.importorskip(
    "psycopg", reason="a PostgreSQL driver is an extra: pip install -e '.[postgres]'"
)

PASSWORD = "pa55 {w}/%ord"
QUOTED = "pa55%20%7Bw%7D%2F%25ord"


def programs() -> Path | None:
    """The folder of PostgreSQL's server; Debian keeps it out of the search path."""
    found = shutil.which("initdb")
    places = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None


@dataclasses.dataclass
class Server:
    """A private PostgreSQL server on a port of the loopback address, with a password."""

    folder: Path
    programs: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def url(self, database: str, password: str = QUOTED) -> str:
        return f"postgresql+psycopg://keeper:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        words = [
            "-D",
            "data",
            "-p",
            str(self.port),
            "-k",
            str(self.folder),
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", *words, "-c", "fsync=off"],
                cwd=self.folder, user=owner(), stdout=log, stderr=log, env={"LC_ALL": "C"},
            )  # fmt: skip
        until = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> Any:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="keeper",
            password=PASSWORD,
            dbname="postgres",
            autocommit=True,
        )

    def stop(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)  # end all connections
        self.process.wait(30)

    def database(self, name: str) -> str:
        """The URL of a new database."""
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def owner() -> str | None:
    """Whom the server runs as: it refuses to be root's."""
    if os.getuid():
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    found = programs()
    if found is None:
        pytest.skip("no PostgreSQL server is installed here (initdb): apt-get install postgresql")
    # Not pytest's folder: the server's user must get at it, and the name of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if owner():
        shutil.chown(folder, owner())
    (folder / "password").write_text(PASSWORD)
    os.chmod(folder / "password", 0o644)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(folder, found, port)
    words = [
        "-D",
        "data",
        "-U",
        "keeper",
        "-A",
        "scram-sha-256",
        "--pwfile",
        "password",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run(
        [found / "initdb", *words],
        cwd=folder,
        user=owner(),
        check=True,
        capture_output=True,
        env={"LC_ALL": "C"},
    )
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    server: Server = request.getfixturevalue("server")
    return server.database(f"d{abs(hash(tmp_path))}")


def rig(folder: Path, url: str | None, results: str = "results") -> Rig:
    protocol = dataclasses.replace(
        load_protocol("smoke"),
        epoch_steps=2,
        epochs=1,
        trials=5,
        search="tpe",
        repetitions=1,
        published_repetitions=0,
    )
    made = make_rig(few_glyphs(), protocol, ("ms", "nca"), folder / results, folder / "cache")
    database = None if url is None else Database(url)
    made.campaign = dataclasses.replace(made.campaign, database=database)
    return made


@functools.cache
def journals() -> list[dict[str, Any]]:
    """What the records of the campaign say where each search has its journal."""
    folder = Path(tempfile.mkdtemp())
    try:
        return [numbers(record) for record in rig(folder, None).run()]
    finally:
        shutil.rmtree(folder)


def test_the_numbers_are_the_journals_and_plan_writes_nothing(tmp_path: Path, url: str) -> None:
    work = rig(tmp_path, url)
    database = work.campaign.database
    assert database is not None
    assert all(p.trainings_done == 0 for p in plan(work.campaign, work.campaign.entries()))
    assert tables(url) == set(), "what only looks makes no tables, nor SQLite's file"
    assert [numbers(record) for record in work.run()] == journals()
    assert not list(work.campaign.places.studies.glob("*.journal"))
    states = contents(url)
    assert len(states) == 2 and all(s == [TrialState.COMPLETE] * 5 for s in states.values())

    # Another machine: what was asked is there, the cells are not. Its plan asks in memory alone.
    other = rig(tmp_path, url, "other")
    plans = plan(other.campaign, other.campaign.entries())
    assert all(p.left for p in plans) and contents(url) == states
    # The cells that are there after all are found by the settings in the database.
    shutil.copytree(work.campaign.places.cells, other.campaign.places.cells)
    assert all(not p.left for p in plan(other.campaign, other.campaign.entries()))
    assert [numbers(record) for record in other.run()] == journals() and not other.fresh
    assert contents(url) == states
    database.close()


def tables(url: str) -> set[str]:
    if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).exists():
        return set()
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    return set(sqlalchemy.inspect(engine).get_table_names())


def contents(url: str) -> dict[str, list[TrialState]]:
    """The states of every study's trials."""
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": sqlalchemy.NullPool})
    studies = {s.study_name: s for s in optuna.get_all_study_summaries(storage=storage)}
    found = {
        name: [t.state for t in optuna.load_study(study_name=name, storage=storage).trials]
        for name in studies
    }
    storage.remove_session()
    return found


def test_a_last_trial_that_a_crash_left_half_asked_is_asked_again(url: str) -> None:
    def settings(until: int) -> list[dict[str, Any]]:
        database = Database(url)
        study = Study(database, "a", ("protocol", "dataset", "method", 0), SPACE, PUBLISHED, "tpe")
        asked = []
        for number in range(until):
            asked.append(study.setting(number))
            study.tell(number, score(asked[-1]))
        database.close()
        return asked

    settings(4)
    database = Database(url)
    study = database.open("a", SPACE)
    study.ask({"a": SPACE["a"]})  # and nothing of b and k
    assert [len(t.params) for t in Database(url).trials("a")] == [3, 3, 3, 3, 1]
    database.close()
    again = settings(8)
    assert [len(t.params) for t in Database(url).trials("a")] == [3] * 8
    whole = Database(url)
    optuna.delete_study(study_name="a", storage=whole.open("a", SPACE)._storage)
    whole.close()
    assert settings(8) == again, "a search that was lost is asked again to the same settings"


def test_one_command_at_a_time_works_on_an_entry(url: str) -> None:
    key = "ab" * 32
    one, two = Database(url), Database(url)
    ours, theirs = one.lock(key), two.lock(key)
    ours.acquire(timeout=0)
    with pytest.raises(Timeout):
        theirs.acquire(timeout=0)
    other = two.lock("cd" * 32)
    other.acquire(timeout=0)
    other.release()
    ours.release()
    theirs.acquire(timeout=0)
    theirs.release()
    ours.acquire(timeout=0)
    if url.startswith("postgresql"):
        one.close()  # as a killed process: its connection ends
        theirs.acquire(timeout=5)
        theirs.release()
    else:
        ours.release()
    one.close()
    two.close()


def test_a_server_that_goes_away_ends_the_command_and_nothing_is_lost(server: Server, tmp_path: Path) -> None:
    work = rig(tmp_path, server.database("gone"))
    told: list[object] = []

    def watch(event: object) -> None:
        told.append(event)
        if isinstance(event, CellDone) and sum(isinstance(e, CellDone) for e in told) == 6:
            server.stop()

    class Watch:
        __call__ = staticmethod(watch)

        def close(self) -> None: ...

    place = Workplace(work.bench, work.campaign.places.cells)
    try:
        with pytest.raises(BenchmarkError, match="the same command goes on"):
            work.campaign.run(work.campaign.entries(), work.test, LocalExecutor(place), Watch())
        with pytest.raises(RequestError, match="cannot be used"):
            Database(server.url("gone"))
    finally:
        server.start()
    again = rig(tmp_path, server.url("gone"))
    assert [numbers(record) for record in again.run()] == journals()
    assert any(not e.fresh for e in again.of(CellDone))


WORDS = ["--methods", "nca", "--protocol", "smoke", "--executor", "local", "--tracker", "none"]
WORDS += [
    "--set",
    "epochs=1",
    "--set",
    "epoch_steps=1",
    "--set",
    "trials=1",
    "--set",
    "published_repetitions=0",
]


def test_the_command_keeps_its_searches_there_and_tells_nobody_the_password(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.database("command")
    words = [
        *WORDS,
        "--results",
        str(tmp_path / "results"),
        "--cache",
        str(tmp_path / "cache"),
        "--storage",
        url,
    ]
    assert main(["plan", *words]) == 0
    assert tables(url) == set()
    assert main([*words, "--max-hours", "1e-9"]) == 0  # prints the line that goes on
    assert main(words) == 0
    assert {record.status for _, record in read_records(tmp_path / "results")} == {"complete"}
    assert "studies" in tables(url) and contents(url)
    assert main([*words, "--wrong", url]) == 2
    assert main([*words[:-1], server.url("command", "wr0ng")]) == 2
    said = "".join(capsys.readouterr())
    assert "password authentication failed" in said and "go on" in said
    kept = [p.read_bytes() for p in (tmp_path / "results").rglob("*") if p.is_file()]
    for secret in (PASSWORD, QUOTED, "wr0ng"):
        assert secret not in said and not any(secret.encode() in content for content in kept)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://me:s3cret@127.0.0.1:1/x", "cannot be used"),
        ("postgresql://me:s3cret@127.0.0.1:1/x", "Connection refused"),
        ("postgresql+asyncpg://me:s3cret@127.0.0.1:1/x", r"psycopg: pip install -e '.\[postgres\]'"),
        ("oracle://me:s3cret@127.0.0.1/x", "expected postgresql"),
        ("s3cret", "not the URL of a database"),
        ("sqlite://", "in memory"),
        ("sqlite:////nowhere/at/all.db", "no such folder"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_anything_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str, words: str
) -> None:
    results = tmp_path / "results"
    assert (
        main([*WORDS, "--results", str(results), "--cache", str(tmp_path / "cache"), "--storage", url]) == 2
    )
    said = capsys.readouterr().err
    assert "s3cret" not in said and not results.exists()
    with pytest.raises(RequestError, match=words):
        Database(url)


def test_lines_to_type_again_hold_no_password() -> None:
    line = again(["--storage", "postgresql+psycopg://me:a@b:c@host/d?password=e&sslmode=require"])
    assert line.endswith("'postgresql+psycopg://me:***@host/d?password=***&sslmode=require'")
    assert again(["--methods", "pml:X", "--data", "a:b@c"]).endswith("--methods pml:X --data a:b@c")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RequestError, match=r"pip install -e '.\[postgres\]'"):
        Database("postgresql+psycopg://me:s3cret@127.0.0.1:1/x")
