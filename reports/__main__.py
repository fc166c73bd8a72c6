"""`python -m reports RUN_FOLDER`: writes the report of a study and says where it lies."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import ProgramError
from reports.study import Study
from reports.write import write_report
from search.run_folder import place_of
from search.study_server import parse_address


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("run_folder", type=Path, help="folder of a study, such as runs/STUDY")
    parser.add_argument("--storage", metavar="URL", help="as the search was given it")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    options = parser.parse_args(arguments)
    try:
        address = parse_address(options.storage) if options.storage is not None else None
        place = place_of(options.run_folder, address, None)
        study = Study.read(options.run_folder, place)
        folder = write_report(options.run_folder, study)
    except ProgramError as error:
        if options.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"Report: {folder / 'report.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
