"""A PostgreSQL server for tests: its own folder, its own port, stopped and started at will."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "s3cret-of-the-test"
USER, DATABASE = "researcher", "studies"


def programs() -> Path | None:
    """The folder of the server's programs; Debian does not put them on the path."""
    found = shutil.which("pg_ctl")
    if found:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextlib.contextmanager
def running() -> Iterator["Server"]:
    """A server, gone with the block. Skips the test where there is none to be had."""
    if programs() is None:
        pytest.skip("there is no PostgreSQL: make postgresql")
    server = Server()
    try:
        yield server
    finally:
        server.remove()


class Server:
    """A server on a port of its own. Not as root, which it refuses."""

    def __init__(self) -> None:
        self._programs = programs()
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        if self._user is not None:
            os.chown(self.folder, self._user, -1)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._call("initdb", "-A", "scram-sha-256", "-U", USER, f"--pwfile={secret}", "-E", "UTF8")
        self.start()
        self._call("psql", "-c", f"CREATE DATABASE {DATABASE}", data=False)

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def masked(self) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._call("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """At once, as if its machine were switched off: it recovers at its next start."""
        self._call("pg_ctl", "-w", "-m", "immediate", "stop")

    def sql(self, query: str) -> str:
        return self._call("psql", "-At", "-d", DATABASE, "-c", query, data=False)

    def remove(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder)

    def _call(self, program: str, *arguments: str, data: bool = True) -> str:
        environment = os.environ | {
            "PGDATA": str(self.folder / "data"), "PGPASSWORD": PASSWORD,
            "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": USER,
        }  # fmt: skip
        if not data:
            environment.setdefault("PGDATABASE", "postgres")
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            env=environment, user=self._user, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}"
        return done.stdout.strip()
