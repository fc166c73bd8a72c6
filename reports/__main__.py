"""`python -m reports RUN_FOLDER`: writes the report of a study and says where it lies."""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from models.command import leave, run_command, speak_to_nobody
from models.interruption import Interruption
from models.printable import printable


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(
        lambda interruption: _report(words, interruption),
        debug="--debug" in words,
        stopped="stopped. The same command writes the report anew.",
    )


def _report(words: list[str], interruption: Interruption) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m reports", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("run_folder", type=Path, help="folder of a study, such as runs/STUDY")
    parser.add_argument(
        "--storage", action="append", metavar="URL", help="as the search was given it"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(words)
    # pandas and matplotlib take two seconds, in which Ctrl-C is to be no traceback.
    with interruption.library():
        from reports.study import Study  # noqa: PLC0415
        from reports.write import write_report  # noqa: PLC0415
        from search.run_folder import place_of, refuse_links  # noqa: PLC0415
        from search.study_server import only_address, parse_address  # noqa: PLC0415

    storage = only_address(options.storage)
    address = parse_address(storage) if storage is not None else None
    refuse_links(options.run_folder)
    with contextlib.closing(place_of(options.run_folder, address, None)) as place:
        study = Study.read(options.run_folder, place)
    with interruption.shield():
        folder = write_report(options.run_folder, study)
    print(f"Report: {printable(str(folder / 'report.html'))}")


if __name__ == "__main__":
    speak_to_nobody()
    leave(main())
