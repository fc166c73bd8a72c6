"""Where the study of a run's folder is kept: a file in it, or a database server."""

from collections.abc import Callable
from typing import Protocol

import optuna
from optuna.storages import BaseStorage

Create = Callable[[BaseStorage, str], object]
"""Makes a study of this name, complete, in a storage."""


class StudyPlace(Protocol):
    """The place of one study. Any method may raise what the database does; `str` names it."""

    @property
    def server(self) -> str | None:
        """The server's address without a password; None for a file of the run's folder."""

    def hold(self) -> None:
        """Keeps other drivers away until this process ends. Raises StudyBusyError."""

    def exists(self) -> bool:
        """Whether there is a study of that name, whoever made it; an unfinished one is none."""

    def load(self) -> tuple[optuna.Study, BaseStorage]:
        """The study. Raises ValueError or KeyError for what is none of this program's."""

    def create(self, make: Create) -> None:
        """Makes a study: whatever kills the program, it is whole or not there."""

    def remove(self) -> None:
        """Removes a study, which holds no trial."""

    def set_aside(self, name: str) -> str | None:
        """Calls an old study `name`, or nearly so; its new name, None where its folder tells it.

        Raises ValueError for one that is none of this program's.
        """

    def close(self) -> None:
        """Lets others have it; whatever was loaded must not be used any more."""
