"""A study on a PostgreSQL server, which several people and machines may reach."""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import event, text

from models.errors import InputError
from models.printable import one_line
from search.study_lock import DRIVER, PROGRAM, StudyLock, lock_key, only_reading, set_up
from search.study_place import Create

ALLOWED = "postgresql://USER@HOST:PORT/DATABASE"
ESCAPES = "in a user or password write @ as %40, / as %2F, ? as %3F, # as %23"
DIALECT = "postgresql+psycopg"
WHERE = ("dbname", "host", "hostaddr", "port", "service", "user")  # options that say which server
# A server whose machine is gone is noticed within half a minute.
CLIENT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
FACTS = {"objectives", "space"}  # that every study of this program has


def only_address(given: Sequence[str] | None) -> str | None:
    """What `--storage` was given. Raises InputError for two: which is meant?"""
    if given is not None and len(given) > 1:
        raise InputError("--storage is given more than once; leave out all but one")
    return given[0] if given else None


def parse_address(address: str) -> sqlalchemy.URL:
    """The address of a database. Raises InputError, which never shows a password."""
    try:
        url = sqlalchemy.make_url(address)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        message = f"--storage: that is no address; allowed: {ALLOWED}; {ESCAPES}"
        raise InputError(message) from None
    if address.count("@") > 1 or _torn(url):
        raise InputError(f"--storage: that is no address; allowed: {ALLOWED}; {ESCAPES}")
    if url.drivername not in {"postgresql", "postgres", DIALECT} or not url.database:
        raise InputError(
            f"--storage: {masked(url)} is not allowed; allowed: {ALLOWED}, or nothing for a file "
            "in the folder of --runs"
        )
    url = url.set(drivername=DIALECT)
    _refuse_options(url)
    return url


def _torn(url: sqlalchemy.URL) -> bool:
    """Whether a part of a password was taken for something else, and would be shown."""
    parts = ((url.username, "/?#"), (url.host, "@#"), (url.database, "@#"))
    return any(set(part or "") & set(signs) for part, signs in parts)


def _refuse_options(url: sqlalchemy.URL) -> None:
    dialect = url.get_dialect()
    try:
        client = dialect.import_dbapi()
    except ImportError:
        raise InputError(
            "--storage: PostgreSQL's client is missing: pip install 'psycopg[binary]'"
        ) from None
    for option in url.query:
        try:
            client.conninfo.make_conninfo(**{option: ""})
        except client.ProgrammingError:
            raise InputError(
                f"--storage: PostgreSQL has no option {one_line(option, 40)!r}; the address has "
                "them after its ?: sslmode, sslrootcert, host, options and others of libpq"
            ) from None


def masked(url: sqlalchemy.URL) -> str:
    """The address without the password, and of its options those that say which server."""
    plain = sqlalchemy.URL.create(
        url.drivername.partition("+")[0], url.username, None, url.host, url.port, url.database,
        {key: value for key, value in url.query.items() if key in WHERE},
    )  # fmt: skip
    return one_line(plain.render_as_string(hide_password=True))


class StudyServer:
    """The study `name` in the database at `url`.

    `holder` says who writes it, to those who would like to as well; None for who only reads.
    """

    def __init__(self, url: sqlalchemy.URL, name: str, holder: str | None = None) -> None:
        self._url, self._name = url, name
        self._lock = None if holder is None else StudyLock(name, str(self), holder)

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
        """Whether there is a study of that name, whoever made it."""
        return self._has_tables() and self._name in optuna.get_all_study_names(self._storage)

    def load(self) -> tuple[optuna.Study, BaseStorage]:
        """The study. Raises ValueError for one that this program did not make.

        A driver's name is written to it, so that it finds out if another has opened it since.
        """
        study = optuna.load_study(study_name=self._name, storage=self._storage)
        _refuse_foreign(study)
        if self._lock is not None:
            self._storage.set_study_system_attr(study._study_id, DRIVER, self._lock.name)
            self._lock.opened = True
        return study, self._storage

    def create(self, make: Create) -> None:
        """Makes a study by another name and renames it: it is whole or not there."""
        if self.exists():  # by an attempt whose answer was lost
            return
        unfinished = f"{self._name} (being made by {PROGRAM})"  # no name that anybody may give
        self._delete(unfinished)
        make(self._storage, unfinished)
        self._rename(unfinished, self._name)

    def remove(self) -> None:
        """Removes the study, which holds no trial."""
        if self._lock is not None:
            self._lock.opened = False
        self._delete(self._name)

    def set_aside(self, name: str) -> str | None:
        """Calls the study `name`, if there is one; its new name. Raises ValueError as `load`."""
        if not self.exists():
            return None
        _refuse_foreign(optuna.load_study(study_name=self._name, storage=self._storage))
        while name in optuna.get_all_study_names(self._storage):
            name += "-again"
        self._rename(self._name, name)
        return name

    def close(self) -> None:
        """Ends the connection, and with it the lock."""
        self._engine.dispose()

    def _delete(self, name: str) -> None:
        with contextlib.suppress(KeyError):  # there is none
            optuna.delete_study(study_name=name, storage=self._storage)

    def _rename(self, old: str, new: str) -> None:
        rename = text("UPDATE studies SET study_name = :new WHERE study_name = :old")
        with self._engine.begin() as connection:
            connection.execute(rename, {"new": new, "old": old})
        self.__dict__.pop("_storage", None)  # it remembers names

    def _has_tables(self) -> bool:
        return sqlalchemy.inspect(self._engine).has_table("studies")

    @functools.cached_property
    def _engine(self) -> sqlalchemy.Engine:
        # One connection: all that is written goes by the one that holds the lock.
        engine = self._new_engine(pool_size=1, max_overflow=0, pool_pre_ping=True)
        event.listen(engine, "connect", only_reading if self._lock is None else self._lock.take)
        return engine

    @functools.cached_property
    def _storage(self) -> BaseStorage:
        # Optuna's look at the version of its tables takes a second connection; `hold` has made it.
        made = self._optuna(self._engine, skip_table_creation=True, skip_compatibility_check=True)
        return optuna.storages.get_storage(made)

    def _make_tables(self) -> None:
        """Has Optuna make its tables, or check their version; one driver after another."""
        engine = self._new_engine(poolclass=sqlalchemy.NullPool)
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock_key("")})
            self._optuna(engine)

    def _new_engine(self, **options: Any) -> sqlalchemy.Engine:
        given = {key: value for key, value in CLIENT.items() if key not in self._url.query}
        engine = sqlalchemy.create_engine(self._url, connect_args=given, **options)
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", set_up)
        return engine

    def _optuna(self, engine: sqlalchemy.Engine, **options: Any) -> RDBStorage:
        address = self._url.render_as_string(hide_password=False)
        return RDBStorage(address, engine_kwargs={"pool": engine.pool}, **options)


def _connect(_dialect: object, _record: object, _: object, options: dict[str, Any]) -> object:
    from search.impatient_connection import ImpatientConnection  # noqa: PLC0415  # client missing

    return ImpatientConnection.connect(**options)


def _refuse_foreign(study: optuna.Study) -> None:
    if not study.user_attrs.keys() >= FACTS:
        raise ValueError("it is another program's, or of an older version")
