"""What a PostgreSQL server refuses, and what a person can do about it."""

import re
from dataclasses import dataclass

UNRESOLVED = "see the host's name in the address, and that this machine can resolve it"


@dataclass(frozen=True)
class Refusal:
    """Known by its SQLSTATE, or by `words`: those that are not let in are given no state.

    `passes`: whether the same may succeed later.
    """

    hint: str
    states: tuple[str, ...] = ()
    words: str = "(?!)"
    passes: bool = False


REFUSALS = (
    Refusal(
        "see user and password: ~/.pgpass, PGPASSWORD, or in the address with @ written as %40",
        ("28P01",),
        "authentication failed|no password supplied",
    ),
    Refusal(
        "its administrator can let you in: pg_hba.conf, ALTER ROLE … LOGIN, GRANT CONNECT",
        ("28000",),
        r"pg_hba\.conf|not permitted to log in|permission denied for database",
    ),
    Refusal(
        "see the user in the address, or have it made: CREATE ROLE … LOGIN",
        words='role ".*" does not exist',
    ),
    Refusal(
        "see its name in the address, or make it: createdb",
        ("3D000",),
        'database ".*" does not exist',
    ),
    Refusal(
        "see ?sslmode= and ?sslrootcert= in the address, PGSSLMODE, and what the server offers",
        words="SSL was required|not support SSL|certificate|sslmode",
    ),
    Refusal(
        "see what the address has after its ?, and the variables PG…",
        words=r"connection option|unrecognized configuration parameter|invalid \S+ value",
    ),
    Refusal(
        "the same command goes on once others have left; max_connections or CONNECTION LIMIT may "
        "be too low",
        ("53300",),
        "too many (connections|clients)|remaining connection slots",
        passes=True,
    ),
    Refusal(UNRESOLVED, words="Name or service not known|No address associated", passes=True),
    Refusal(
        "it is a standby or read-only: give the primary's address, or add "
        "?target_session_attrs=read-write",
        ("25006",),
    ),
    Refusal(
        "the owner can allow it: GRANT CREATE ON SCHEMA public for the first search, then SELECT, "
        "INSERT, UPDATE, DELETE on the tables and USAGE on the sequences; reports need SELECT",
        ("42501",),
    ),
    Refusal(
        "another session holds it (see pg_stat_activity): end that, then run the same command",
        ("55P03", "57014"),
        passes=True,
    ),
    Refusal(
        "make room on the server's disk, then run the same command: what is recorded is whole",
        ("53100",),
        passes=True,
    ),
)


def refusal(error: object) -> Refusal | None:
    """What the DBAPI's `error` is, if it is a known one."""
    state, text = getattr(error, "sqlstate", None), str(error)
    for each in REFUSALS:
        if state in each.states if state else re.search(each.words, text):
            return each
    return None
