"""`python -m search dashboard RUN_FOLDER`: a study in the browser, for looking only."""

import contextlib
import os
import platform
from collections.abc import Callable
from pathlib import Path

from models.errors import InputError, StorageError, StudyBusyError
from models.printable import printable
from search.dashboard.server import HOST, Server, listen, serve
from search.database import Patience
from search.ledger import Ledger
from search.run_folder import lock, new_place, place_of, refuse_links
from search.study_place import StudyPlace
from search.study_server import FACTS, only_address, parse_address

Say = Callable[[str], None]

BUSY = "a search is running here; what it does appears within a minute"


def show(folder: Path, storage: list[str] | None, port: int, say: Say) -> None:
    """Serves the dashboard of the study in `folder` until the process is interrupted.

    `storage`: as the search was given it. Raises InputError where there is no study or the port is
    taken, and StorageError for what is no study.
    """
    given = only_address(storage)
    address = parse_address(given) if given is not None else None
    refuse_links(folder)
    with (
        contextlib.closing(place_of(folder, address, None)) as place,
        listen(port) as server,
    ):
        _refuse_none(folder, place)
        if address is None:  # on a server a search alone writes, so that none is taken for replaced
            _add_missing(folder, say)
        _serve(server, place, folder, say)


def _refuse_none(folder: Path, place: StudyPlace) -> None:
    if not Patience().opening(place, place.exists):
        raise InputError(
            f"{folder}: there is no study here ({place} is missing); give the folder of a run, "
            "such as runs/quickstart, and --storage if the search was given it"
        )


def _add_missing(folder: Path, say: Say) -> None:
    """Notes and figures of a study made before, or left out by a kill."""
    from search.dashboard.entries import fill  # noqa: PLC0415  # takes a second

    holder = f"the dashboard, process {os.getpid()} on {platform.node()}"
    try:
        with lock(folder, holder), contextlib.closing(new_place(folder, None, holder)) as place:
            fill(Ledger.read(folder, place))
    except StudyBusyError:
        say(BUSY)
    except StorageError as error:
        _refuse_foreign(folder, error)
        say(f"notes and figures that are missing could not be added: {error}")


def _refuse_foreign(folder: Path, error: StorageError) -> None:
    """Raises `error` where the study cannot even be read."""
    with contextlib.closing(place_of(folder, None, None)) as place:
        try:
            Ledger.read(folder, place)
        except StorageError:
            raise error from None


def _serve(server: Server, place: StudyPlace, folder: Path, say: Say) -> None:
    study, storage = Patience().opening(place, place.load)
    if not study.user_attrs.keys() >= FACTS:
        raise StorageError(f"{place} holds no study of this program")
    page = f"http://{HOST}:{server.server_port}/dashboard/studies/{study._study_id}"
    say(f"Dashboard of {printable(str(folder))}: {page}")
    say("It only shows: nothing can be changed or deleted there. Ctrl-C ends it.")
    serve(server, storage)
