"""The diary's database: whole under its name, whoever is killed while MLflow makes its tables, or comes at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.campaign.tracking.database import SQLITE, make_database


def writer(content: str, made: list[str], end: Callable[[], None] = lambda: None) -> Callable[[str], None]:
    """Makes a file in two steps, with something between them."""

    def make(uri: str) -> None:
        file = Path(uri.removeprefix(SQLITE))
        assert not file.exists(), "nothing of an earlier attempt is there"
        made.append(file.name)
        file.write_text(content[:3])
        file.with_name(f"{file.name}-journal").write_text("half")
        end()
        file.write_text(content)
        file.with_name(f"{file.name}-journal").unlink()

    return make


def test_a_database_appears_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "mlflow.db"
    uri = f"{SQLITE}{file}"
    made: list[str] = []

    def killed() -> None:
        assert not file.exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_database(uri, writer("tables", made, killed))
    assert not file.exists()
    make_database(uri, writer("tables", made))
    assert file.read_text() == "tables"
    make_database(uri, writer("other", made))
    assert file.read_text() == "tables" and len(made) == 2, "what is there is left alone"
    assert sorted(path.name for path in file.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_two_at_once_make_it_once(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    made: list[str] = []
    make = writer("tables", made, lambda: time.sleep(0.2))  # long enough for the other one to come
    threads = [threading.Thread(target=make_database, args=(f"{SQLITE}{file}", make)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and file.read_text() == "tables"


def test_a_server_is_left_alone() -> None:
    make_database("https://tracker.org", lambda uri: pytest.fail(f"{uri} was made"))
