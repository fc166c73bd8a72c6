"""The lock of a study on a PostgreSQL server: held by a connection, named after its holder."""

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from typing import Any

from models.errors import StudyBusyError
from models.printable import one_line

PROGRAM = "attention-placement-search"
LONGEST_NAME = 63  # bytes that PostgreSQL keeps of a connection's name
# A driver whose machine is gone is noticed by the server within a minute, not after two hours.
SESSION = (
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
    "SET statement_timeout = '60s'",
    "SET lock_timeout = '5s'",
)
DRIVER = "driver"  # a study's attribute: who has opened it last
# An advisory lock of 64 bits is shown as two numbers of 32.
HOLDER = """
SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32) | objid::bigint = %s
"""

LAST_DRIVER = """
SELECT value_json FROM study_system_attributes JOIN studies USING (study_id)
WHERE study_name = %s AND key = %s
"""


def set_up(connection: Any, _record: object = None) -> None:
    """Called with each new DBAPI connection: how long it may wait."""
    with _closed_on_error(connection), connection.cursor() as cursor:
        for setting in SESSION:
            cursor.execute(setting)
        connection.commit()


def only_reading(connection: Any, _record: object = None) -> None:
    """Called with each new DBAPI connection of who is not to change anything."""
    with _closed_on_error(connection), connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()


def lock_key(name: str) -> int:
    """The number of a study's lock, of 64 bits; of that of the tables, for an empty name."""
    digest = hashlib.sha256(f"{PROGRAM}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


class StudyLock:
    """Taken by every connection as its first act, so that none writes without it.

    Not even that of a driver which was asleep while the server was restarted and another driver
    took its place. `what` is locked, for people, and `holder` is who would have it.
    """

    def __init__(self, study: str, what: str, holder: str) -> None:
        self._study, self._key, self._what = study, lock_key(study), what
        # The token tells this process from one with the same number in another container.
        name = f"{secrets.token_hex(4)} {holder}"[:LONGEST_NAME]
        self.name = name.encode("ascii", "replace").decode()
        self.opened = False
        """Whether the study's attribute DRIVER has been given our name, and is to keep it."""

    def take(self, connection: Any, _record: object = None) -> None:
        """Called with each new DBAPI connection; closes it and raises StudyBusyError."""
        with _closed_on_error(connection):
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('application_name', %s, false)", (self.name,))
                self._take(cursor)
                if self.opened:
                    self._refuse_changed(cursor)
            connection.commit()  # the lock is the connection's, not the transaction's

    def _take(self, cursor: Any) -> None:
        if self._tried(cursor):
            return
        cursor.execute(HOLDER, (self._key,))
        process, name = cursor.fetchone() or (None, None)
        if name == self.name:  # a connection of ours that the server takes for living
            cursor.execute("SELECT pg_terminate_backend(%s)", (process,))
            cursor.execute("SELECT pg_advisory_lock(%s)", (self._key,))  # or `lock_timeout`
        elif not self._tried(cursor):
            raise StudyBusyError(f"{self._what} is in use by {_who(name)}; wait for it or stop it")

    def _tried(self, cursor: Any) -> bool:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
        return bool(cursor.fetchone()[0])

    def _refuse_changed(self, cursor: Any) -> None:
        """The lock is free again, but what we know of the study may be out of date."""
        cursor.execute(LAST_DRIVER, (self._study, DRIVER))
        found = cursor.fetchone()
        name = json.loads(found[0]) if found else None
        if name != self.name:
            raise StudyBusyError(
                f"{self._what} was taken over by {_who(name)} meanwhile; the same command goes on "
                "from there"
            )


def _who(name: object) -> str:
    """The holder in a connection's name, which begins with a token."""
    return one_line(name.partition(" ")[2]) if isinstance(name, str) else "another driver"


@contextlib.contextmanager
def _closed_on_error(connection: Any) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise
