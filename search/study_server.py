"""A study on a PostgreSQL server, which several people and machines may reach."""

import functools
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import text

from models.errors import InputError
from search.study_lock import StudyLock, lock_key
from search.study_place import Create

ALLOWED = "postgresql://USER@HOST:PORT/DATABASE"
DRIVER = "postgresql+psycopg"
# A server whose machine is gone is noticed within half a minute.
CLIENT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def parse_address(address: str) -> sqlalchemy.URL:
    """The address of a database. Raises InputError, which never shows a password."""
    try:
        url = sqlalchemy.make_url(address)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise InputError(f"--storage: that is no address; allowed: {ALLOWED}") from None
    if url.drivername not in {"postgresql", "postgres", DRIVER} or not url.database:
        raise InputError(
            f"--storage: {masked(url)} is not allowed; allowed: {ALLOWED}, or nothing for a file "
            "in the folder of --runs"
        )
    url = url.set(drivername=DRIVER)
    try:
        url.get_dialect().import_dbapi()
    except ImportError:
        raise InputError(
            "--storage: PostgreSQL's client is missing: pip install 'psycopg[binary]'"
        ) from None
    return url


def masked(url: sqlalchemy.URL) -> str:
    """The address without the password, and without options, which may hold one as well."""
    plain = sqlalchemy.URL.create(
        url.drivername.partition("+")[0], url.username, None, url.host, url.port, url.database
    )
    return plain.render_as_string(hide_password=True)


class StudyServer:
    """The study `name` in the database at `url`.

    `holder` says who writes it, to those who would like to as well; None for who only reads.
    """

    def __init__(self, url: sqlalchemy.URL, name: str, holder: str | None = None) -> None:
        self._url, self._name, self._holder = url, name, holder

    def __str__(self) -> str:
        return f"the study {self._name!r} in {self.server}"

    @property
    def server(self) -> str:
        """The server's address without a password."""
        return masked(self._url)

    def hold(self) -> None:
        """Makes the tables if there are none, and takes the study's lock."""
        self._make_tables()
        with self._engine.connect():
            pass  # see `StudyLock`

    def exists(self) -> bool:
        """Whether there is a study; one that was begun and never complete is none."""
        if not sqlalchemy.inspect(self._engine).has_table("studies"):
            return False
        if self._name not in optuna.get_all_study_names(self._storage):
            return False
        study, _ = self.load()
        if study.trials or not study.user_attrs.keys() <= {"objectives"}:
            return True
        if self._holder is not None:
            self.remove()
        return False

    def load(self) -> tuple[optuna.Study, BaseStorage]:
        """The study."""
        return optuna.load_study(study_name=self._name, storage=self._storage), self._storage

    def create(self, make: Create) -> None:
        """Makes the study; as long as the last of its facts is missing, there is none."""
        if not self.exists():
            make(self._storage, self._name)

    def remove(self) -> None:
        """Removes the study, which holds no trial."""
        optuna.delete_study(study_name=self._name, storage=self._storage)

    def set_aside(self, name: str) -> None:
        """Calls the study `name`, if there is one."""
        while name in optuna.get_all_study_names(self._storage):
            name += "-again"
        rename = text("UPDATE studies SET study_name = :new WHERE study_name = :old")
        with self._engine.begin() as connection:
            connection.execute(rename, {"new": name, "old": self._name})

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        self._engine.dispose()

    @functools.cached_property
    def _engine(self) -> sqlalchemy.Engine:
        # One connection: all that is written goes by the one that holds the lock.
        engine = sqlalchemy.create_engine(
            self._url, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=CLIENT
        )
        if self._holder is not None:
            lock = StudyLock(lock_key(self._name), str(self), self._holder)
            sqlalchemy.event.listen(engine, "connect", lock.take)
        return engine

    @functools.cached_property
    def _storage(self) -> BaseStorage:
        made = RDBStorage(
            self._url.render_as_string(hide_password=False),
            engine_kwargs={"pool": self._engine.pool},
            skip_table_creation=True,
            skip_compatibility_check=True,  # it takes a second connection; `hold` has made it
        )
        return optuna.storages.get_storage(made)

    def _make_tables(self) -> None:
        """Has Optuna make its tables, or check their version; one driver after another."""
        apart: dict[str, Any] = {"poolclass": sqlalchemy.NullPool, "connect_args": CLIENT}
        with sqlalchemy.create_engine(self._url, **apart).begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("")})
            RDBStorage(self._url.render_as_string(hide_password=False), engine_kwargs=apart)
