"""`python -m trainers.data cifar10 [--path P]`: fetch and verify a data set before it is needed."""

import argparse
import sys

from models.errors import ProgramError
from trainers.config import DataConfig
from trainers.data.store import DATA_SETS, prepare


def main(arguments: list[str] | None = None) -> int:
    """Prepare the data set, say where it lies; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainers.data", description=__doc__)
    parser.add_argument("name", choices=sorted(DATA_SETS), help="the data set")
    parser.add_argument("--path", help="where it lies, instead of the cache and the known sources")
    given = parser.parse_args(arguments)
    facts = DATA_SETS[given.name]
    try:
        folder = prepare(
            DataConfig(name=given.name, path=given.path),
            notify=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except ProgramError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(
        f"{facts.title}: {folder}: {facts.train.images} train and {facts.test.images} test images "
        f"in {facts.classes} classes, verified"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
