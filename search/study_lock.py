"""The lock of a study on a PostgreSQL server: held by a connection, named after its holder."""

import hashlib
import secrets
from typing import Any

from models.errors import StudyBusyError

PROGRAM = "attention-placement-search"
LONGEST_NAME = 63  # bytes that PostgreSQL keeps of a connection's name
# A driver whose machine is gone is noticed by the server within a minute, not after two hours.
SESSION = (
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
    "SET statement_timeout = '60s'",
)
# An advisory lock of 64 bits is shown as two numbers of 32.
HOLDER = """
SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
AND (classid::bigint << 32) | objid::bigint = %s
"""


def lock_key(name: str) -> int:
    """The number of a study's lock, of 64 bits; of that of the tables, for an empty name."""
    digest = hashlib.sha256(f"{PROGRAM}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


class StudyLock:
    """Taken by every connection as its first act, so that none writes without it.

    Not even that of a driver which was asleep while the server was restarted and another driver
    took its place. `what` is locked, for people, and `holder` is who would have it.
    """

    def __init__(self, key: int, what: str, holder: str) -> None:
        self._key, self._what = key, what
        # The token tells this process from one with the same number in another container.
        self._name = f"{secrets.token_hex(4)} {holder}"[:LONGEST_NAME]

    def take(self, connection: Any, _record: object = None) -> None:
        """Called with each new DBAPI connection; closes it and raises StudyBusyError."""
        try:
            with connection.cursor() as cursor:
                for setting in SESSION:
                    cursor.execute(setting)
                cursor.execute("SELECT set_config('application_name', %s, false)", (self._name,))
                self._take(cursor)
            connection.commit()  # the lock is the connection's, not the transaction's
        except BaseException:
            connection.close()
            raise

    def _take(self, cursor: Any) -> None:
        if self._tried(cursor):
            return
        cursor.execute(HOLDER, (self._key,))
        process, name = cursor.fetchone() or (None, None)
        if name == self._name:  # a connection of ours that the server takes for living
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))
        if not self._tried(cursor):
            who = name.partition(" ")[2] if name else "another driver"
            raise StudyBusyError(f"{self._what} is in use by {who}; wait for it or stop it")

    def _tried(self, cursor: Any) -> bool:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", (self._key,))
        return bool(cursor.fetchone()[0])
