"""`python -m trainers.data cifar10 [--path P]`: fetch and verify a data set before it is needed."""

import argparse
import sys

from models.command import leave, run_command, speak_to_nobody
from trainers.config import DataConfig
from trainers.data.store import DATA_SETS, prepare


def main(arguments: list[str] | None = None) -> int:
    """Prepare the data set, say where it lies; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    stopped = "stopped. The same command begins it anew."
    return run_command(lambda _: _fetch(words), debug="--debug" in words, stopped=stopped)


def _fetch(words: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m trainers.data", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("name", choices=sorted(DATA_SETS), help="the data set")
    parser.add_argument("--path", help="where it lies, instead of the cache and the known sources")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(words)
    facts = DATA_SETS[given.name]
    folder = prepare(
        DataConfig(name=given.name, path=given.path),
        notify=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(
        f"{facts.title}: {folder}: {facts.train.images} train and {facts.test.images} test images "
        f"in {facts.classes} classes, verified"
    )


if __name__ == "__main__":
    speak_to_nobody()
    leave(main())
