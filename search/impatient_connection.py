"""A connection to PostgreSQL that is given up when the server no longer answers.

The server's own time limits, and those of the network, do not help where its process stands still.
"""

import contextlib
import os
import socket
import threading
from typing import Any

import psycopg

ANSWER_S = 70.0  # for one statement; the server itself ends those that take a minute


class ImpatientConnection(psycopg.Connection[Any]):
    """Raises OperationalError for a statement without an answer within `ANSWER_S`."""

    def wait(self, *arguments: Any, **options: Any) -> Any:
        """What every statement and every commit waits by."""
        timer = threading.Timer(ANSWER_S, self._give_up)
        timer.daemon = True
        timer.start()
        try:
            return super().wait(*arguments, **options)
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        with (
            contextlib.suppress(OSError, psycopg.Error),
            # A copy of the descriptor: closing it must not close the connection's own.
            socket.socket(fileno=os.dup(self.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)
