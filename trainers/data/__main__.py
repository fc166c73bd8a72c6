"""`python -m trainers.data NAME`: prepare and verify a data set before it is needed.

python -m trainers.data cifar10 [--path P]
python -m trainers.data folder --path FOLDER [--image-size N] [--unusable skip]
"""

import argparse
import sys
from collections.abc import Iterator

from models.command import leave, run_command, speak_to_nobody
from models.printable import printable
from trainers.config import IMAGE_FOLDER, DataConfig
from trainers.data.facts import DataSetFacts
from trainers.data.store import DATA_SETS, facts_of, prepare


def main(arguments: list[str] | None = None) -> int:
    """Prepare the data set, say where it lies; the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    stopped = "stopped. The same command begins it anew."
    return run_command(lambda _: _fetch(words), debug="--debug" in words, stopped=stopped)


def _fetch(words: list[str]) -> None:
    config = _config(words)
    folder = prepare(
        config, notify=lambda line: print(printable(line), file=sys.stderr, flush=True)
    )
    facts = facts_of(config.name, folder)
    print(
        f"{facts.title}: {folder}: {facts.train.images} train and {facts.test.images} test images "
        f"in {facts.classes} classes, verified"
    )
    if config.name == IMAGE_FOLDER:
        for line in _class_lines(facts):
            print(line)


def _config(words: list[str]) -> DataConfig:
    assert __doc__  # noqa: S101
    summary, _, usage = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m trainers.data",
        description=summary,
        epilog=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    names = [*sorted(DATA_SETS), IMAGE_FOLDER]
    parser.add_argument("name", choices=names, help="the data set, or a folder of images")
    parser.add_argument("--path", help="where it lies, instead of the cache and the known sources")
    folder = parser.add_argument_group("for a folder of images, as in a space file's `data`")
    folder.add_argument("--image-size", type=int, metavar="N", help="pixels a side (32)")
    folder.add_argument("--split-seed", type=int, metavar="N", help="draws the test images (0)")
    folder.add_argument("--test-share", type=float, metavar="X", help="how many they are (0.2)")
    folder.add_argument(
        "--unusable", choices=["refuse", "skip"], help="what to do about files that are no images"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = {
        key: value for key, value in vars(parser.parse_args(words)).items() if value is not None
    }
    del given["debug"]
    if given["name"] != IMAGE_FOLDER and given.keys() - {"name", "path"}:
        parser.error(f"{given['name']} takes --path alone; the other options are for a folder")
    try:
        return DataConfig.model_validate(given)
    except ValueError:
        parser.error("--image-size: 8 to 1024; --split-seed: from 0; --test-share: up to 0.9")


def _class_lines(facts: DataSetFacts) -> Iterator[str]:
    width = max(map(len, facts.class_names))
    counts = zip(facts.class_names, facts.train.class_counts, facts.test.class_counts, strict=True)
    for name, train, test in counts:
        yield f"  {name:<{width}}  {train:>7,} train  {test:>7,} test"


if __name__ == "__main__":
    speak_to_nobody()
    leave(main())
