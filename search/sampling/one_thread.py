"""Linear algebra of the driver on one thread.

The cores belong to the workers: where all are busy, libraries that wait for threads of their own
take ten times as long. Sums come out the same, too, on whatever number of cores.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController


@contextmanager
def one_thread() -> Iterator[None]:
    """Holds the linear algebra of this process to one thread."""
    with _controller().limit(limits=1):
        yield


@cache
def _controller() -> ThreadpoolController:
    """Of the libraries that are loaded when it is first asked for."""
    return ThreadpoolController()
