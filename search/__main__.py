"""`python -m search COMMAND RUN_FOLDER`: what can be done with the study of a search."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.command import leave, run_command, speak_to_nobody
from models.interruption import Interruption

PORT = 8080


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(
        lambda interruption: _run(words, interruption),
        debug="--debug" in words,
        stopped="the dashboard is closed.",
    )


def _run(words: list[str], interruption: Interruption) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m search", description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_dashboard(commands.add_parser("dashboard", help=_DASHBOARD, description=_DASHBOARD))
    options = parser.parse_args(words)
    options.run(options, interruption)


_DASHBOARD = (
    "shows a study in the browser with Optuna's dashboard, on this machine alone and for looking "
    "only"
)


def _add_dashboard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", type=Path, help="folder of a study, such as runs/STUDY")
    parser.add_argument(
        "--storage", action="append", metavar="URL", help="as the search was given it"
    )
    parser.add_argument(
        "--port", type=_port, default=PORT, metavar="N", help=f"{PORT}; 0 for any that is free"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(run=_dashboard)


def _port(given: str) -> int:
    if not given.isascii() or not given.isdigit() or int(given) > 65_535:
        raise argparse.ArgumentTypeError(f"{given!r} is no port; allowed: 0 to 65535")
    return int(given)


def _dashboard(options: argparse.Namespace, interruption: Interruption) -> None:
    # The dashboard takes seconds to load, in which Ctrl-C is to be no traceback.
    with interruption.library():
        from search.dashboard.command import show  # noqa: PLC0415

    show(options.run_folder, options.storage, options.port, lambda line: print(line, flush=True))


if __name__ == "__main__":
    speak_to_nobody()
    leave(main())
