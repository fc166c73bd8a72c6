"""Optuna's dashboard on 127.0.0.1, for looking only."""

import contextlib
import errno
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import optuna_dashboard
from optuna.storages import BaseStorage

from models.errors import InputError
from models.printable import one_line

HOST = "127.0.0.1"
# What a browser calls this machine. A page of another name that leads here is somebody else's.
NAMES = {HOST, "localhost"}
LOOKING = {"GET", "HEAD"}

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Server(ThreadingMixIn, WSGIServer):
    """Answers each request in a thread, which does not outlive the process."""

    daemon_threads = True

    def server_bind(self) -> None:
        """As `HTTPServer`, without asking the network for the host's name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a browser that went away is no error."""


class QuietHandler(WSGIRequestHandler):
    """Says nothing of each request."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


class _InALine(logging.Handler):
    """What the dashboard complains of, without its traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage().partition("\n")[0]
        print(f"warning: the dashboard says: {one_line(said)}", file=sys.stderr)  # noqa: T201


def listen(port: int) -> Server:
    """A server that nobody has connected to yet; `port` 0 takes any that is free.

    Raises InputError for a port that cannot be had.
    """
    try:
        return Server((HOST, port), QuietHandler)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be used: {error.strerror}"
        raise InputError(
            f"port {port} {why}; choose another with --port N, or any that is free with --port 0"
        ) from None


def serve(server: Server, storage: BaseStorage) -> None:
    """Shows the studies of `storage` until the process is interrupted."""
    # Optuna's cache would not notice what is added to a trial that has ended.
    shown = getattr(storage, "_backend", storage)
    with _complaints():
        server.set_app(only_looking(optuna_dashboard.wsgi(shown)))
        server.serve_forever()


def only_looking(app: App) -> App:
    """`app` without whatever changes something, and for those alone who asked for this machine."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        if name not in NAMES:
            return _refused(start_response, "this address is not for that name")
        if environ["REQUEST_METHOD"] not in LOOKING:
            reason = "this dashboard only shows; `optuna-dashboard` itself can also change studies"
            return _refused(start_response, reason)
        return app(environ, start_response)

    return guarded


def _refused(start_response: Callable[..., Any], reason: str) -> list[bytes]:
    body = json.dumps({"reason": reason}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("403 Forbidden", headers)
    return [body]


@contextlib.contextmanager
def _complaints() -> Iterator[None]:
    logger, handler = logging.getLogger("optuna_dashboard"), _InALine(logging.WARNING)
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
