"""Searches in one database that many machines share: PostgreSQL, or SQLite for the commands of one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import optuna
import sqlalchemy
from filelock import FileLock, Timeout
from optuna.storages import InMemoryStorage, RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL

from harness.campaign.studies import Space, filled, study_of, whole_trials
from harness.errors import BenchmarkError, RequestError

#: Seconds in which a database server has to answer.
PATIENCE = 10
#: What a database or the way to it may raise.
FAULTS = (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError)
FORMS = "postgresql+psycopg://USER@HOST/DATABASE or sqlite:///FILE"


class Lock(Protocol):
    """What one process alone can hold, such as a `filelock.FileLock`."""

    @property
    def is_locked(self) -> bool: ...

    def acquire(self, timeout: float) -> Any:
        """Raises filelock.Timeout after so many seconds."""
        ...

    def release(self) -> None: ...


class Database:
    """All studies in one database: PostgreSQL, or SQLite for the commands of one machine.

    Raises RequestError for a URL of another form, a driver that is not installed, and a server that does not answer.
    Nothing is written before `ready`. No message and no repr holds a password.
    """

    def __init__(self, url: str) -> None:
        self._url = _parsed(url)
        self._storage: RDBStorage | None = None
        self._session: sqlalchemy.Connection | None = None
        with self._demanded():
            self._engine = sqlalchemy.create_engine(self._url, **_options(self._url))
            self._tables()

    @property
    def shown(self) -> str:
        """The URL as it may be printed: without what follows the name of the database, where passwords may be too."""
        return self._url.set(query={}).render_as_string(hide_password=True)

    def ready(self) -> None:
        """Make Optuna's tables where they are missing. Raises RequestError where that is not allowed."""
        if self._storage is None:
            with self._demanded():
                self._storage = self._optunas(skip_table_creation=False)

    def open(self, name: str, space: Space) -> optuna.Study:
        self.ready()
        assert self._storage is not None
        study = study_of(self._storage, name)
        old = study.get_trials(deepcopy=False)
        whole = whole_trials(old, space)
        if len(whole) == len(old):
            return study
        optuna.delete_study(study_name=name, storage=self._storage)
        return filled(study_of(self._storage, name), whole)

    def copied(self, beginning: str, folder: Path) -> Copies:
        return Copies(self)

    def trials(self, name: str) -> Sequence[FrozenTrial]:
        """What was asked in the study of that name; nothing where there is no such study. Writes nothing."""
        if "studies" not in self._tables():
            return []
        storage = self._optunas(skip_table_creation=True)
        try:
            return optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        except KeyError:
            return []
        finally:
            storage.remove_session()

    def lock(self, key: str) -> Lock:
        """For one command alone, of whatever machine, to work on the entry of that key."""
        if self._url.get_backend_name() == "sqlite":
            return FileLock(f"{self._url.database}.{key[:24]}.lock")
        return ServerLock(self._connected, key)

    def close(self) -> None:
        """End all connections; whatever was still locked is free."""
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._storage is not None:
            self._storage.remove_session()
            self._storage = None

    def _connected(self) -> sqlalchemy.Connection:
        """The one connection that holds this process's locks."""
        if self._session is None:
            self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return self._session

    def _optunas(self, skip_table_creation: bool) -> RDBStorage:
        # Optuna fills braces in.
        url = self._url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        return RDBStorage(url, engine_kwargs=_options(self._url), skip_table_creation=skip_table_creation)

    def _tables(self) -> list[str]:
        """Names of the tables that are there."""
        if self._url.get_backend_name() == "sqlite" and not Path(self._url.database or "").exists():
            # Looking would make the file.
            if not Path(self._url.database or "").absolute().parent.is_dir():
                raise OSError("there is no such folder")
            return []
        return sqlalchemy.inspect(self._engine).get_table_names()

    @contextmanager
    def _demanded(self) -> Iterator[None]:
        """Faults as RequestError: nothing has been started yet."""
        try:
            yield
        except ImportError as error:
            raise RequestError(
                f"--storage {self.shown}: its driver is not installed here ({_line(error)}); expected {FORMS}; "
                "PostgreSQL's needs the package psycopg: pip install -e '.[postgres]'"
            ) from None
        except (*FAULTS, RuntimeError, OSError) as error:
            raise RequestError(
                f"--storage {self.shown}: the database cannot be used: {_line(error)}. Is its server up, and may you "
                "make tables there? Without --storage the searches are kept in the results"
            ) from None


class Copies:
    """Studies of a database, copied into memory when they are opened."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def open(self, name: str, space: Space) -> optuna.Study:
        return filled(study_of(InMemoryStorage(), name), whole_trials(self.database.trials(name), space))

    def copied(self, beginning: str, folder: Path) -> Copies:
        return self


class ServerLock:
    """A lock that PostgreSQL keeps for a connection. It ends with the connection: nobody waits for a killed process."""

    def __init__(self, connected: Callable[[], sqlalchemy.Connection], key: str) -> None:
        self._connected, self._key = connected, key
        self._number = int(key[:16], 16) - 2**63
        self.is_locked = False

    def acquire(self, timeout: float) -> None:
        until = time.monotonic() + timeout
        while not self._does("pg_try_advisory_lock"):
            if time.monotonic() >= until:
                raise Timeout(self._key)
            time.sleep(0.1)
        self.is_locked = True

    def release(self) -> None:
        # Where the server is gone, so is the lock.
        with suppress(sqlalchemy.exc.SQLAlchemyError):
            self._does("pg_advisory_unlock")
        self.is_locked = False

    def _does(self, function: str) -> bool:
        call = sqlalchemy.text(f"SELECT {function}(:number)")
        return bool(self._connected().execute(call, {"number": self._number}).scalar())


@contextmanager
def named_faults() -> Iterator[None]:
    """Faults of a database while a campaign runs, as a BenchmarkError: what was finished is there."""
    try:
        yield
    except FAULTS as error:
        raise BenchmarkError(
            f"--storage: the database of the searches failed: {_line(error.__cause__ or error)}. What was finished is "
            "kept; once the database answers, the same command goes on"
        ) from None


def _parsed(url: str) -> URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise RequestError(f"--storage: not the URL of a database; expected {FORMS}") from None
    if parsed.get_backend_name() not in ("postgresql", "sqlite"):
        raise RequestError(f"--storage {parsed.drivername}://...: expected {FORMS}")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise RequestError(
            f"--storage {parsed.drivername}://: a database in memory ends with the command; expected {FORMS}"
        )
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _options(url: URL) -> dict[str, Any]:
    """For SQLAlchemy: nobody waits for a server that does not answer, and no connection is kept through a training."""
    wait = "timeout" if url.get_backend_name() == "sqlite" else "connect_timeout"
    own = {} if wait in url.query else {wait: PATIENCE}
    return {"connect_args": own, "poolclass": sqlalchemy.NullPool}


def _line(error: BaseException) -> str:
    """The first line of what a driver says, without what SQLAlchemy adds."""
    words = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return words.splitlines()[0][:300]
