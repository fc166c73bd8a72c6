"""`python -m trainers RECIPE`: trains a recipe fully, judges it on the test split, exports it.

python -m trainers runs/quickstart/export/most-accurate/recipe.yaml
python -m trainers runs/quickstart/export/most-accurate/recipe.yaml --predict photo.jpg
"""

import argparse
import os
import platform
import sys
from pathlib import Path

from models.command import leave, run_command, speak_to_nobody
from models.errors import InputError
from models.interruption import Interruption
from trainers.processor import worker_environment
from trainers.recipe import FILE, read_recipe_file

# Imports that bring Paddle stand where they are needed: a typo is answered before, and Paddle
# takes from the environment what is set before it is imported.
# ruff: noqa: PLC0415

EPILOG = """\
any key of the recipe can be set with -o, for example:
  -o training.epochs=60 -o training.average=0.999 -o data.train_images=5000
  -o full_training.patience=10 -o full_training.keep=last -o data.path=/data/cifar10

exit codes: 0 done · 2 bad input · 3 storage or disk · 4 the training came to no network ·
            5 in use · 6 an exported form computes something else · 129 terminal gone ·
            130 Ctrl-C · 143 SIGTERM. After an interruption the same command continues.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command(
        lambda interruption: _run(_parse(words), interruption),
        debug="--debug" in words,
        stopped="stopped. The same command continues this training.",
    )


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m trainers",
        description=__doc__.splitlines()[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("recipe", type=Path, help=f"a recipe, or the folder of a {FILE}")
    parser.add_argument(
        "-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="set a key"
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="N seeds, from the recipe's first on"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "gpu"), help="to train on (cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of a training (1)")
    parser.add_argument(
        "--predict", nargs="+", metavar="IMAGE", help="label these with the exported model"
    )
    parser.add_argument("--json", action="store_true", help="labels as JSON")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    given = parser.parse_args(words)
    if given.json and not given.predict:
        raise InputError("--json says how labels are shown; give --predict IMAGE… too")
    for name in ("seeds", "threads"):
        value = getattr(given, name)
        if value is not None and not 1 <= value <= 100:
            raise InputError(f"--{name}: {value} is not allowed: must be 1 to 100")
    return given


def _run(given: argparse.Namespace, interruption: Interruption) -> None:
    os.umask(os.umask(0o022) | 0o022)  # whatever else is asked for, nobody else writes here
    recipe = given.recipe / FILE if given.recipe.is_dir() else given.recipe
    _set_environment(given.threads)
    if given.predict:
        _predict(recipe, given, interruption)
        return
    document = read_recipe_file(recipe, given.overrides)
    with interruption.library():
        from trainers import full_job  # brings Paddle
    full_job.run(full_job.Asked(recipe, document, given.seeds, given.device, _holder()))


def _set_environment(threads: int | None) -> None:
    """One thread, unless told otherwise: the same training is then the same to the last bit."""
    for key, value in worker_environment().items():
        if key.endswith("_THREADS") and threads is not None:
            os.environ[key] = str(threads)
        else:
            os.environ.setdefault(key, value)


def _holder() -> str:
    return f"process {os.getpid()} on {platform.node()}"


def _predict(recipe: Path, given: argparse.Namespace, interruption: Interruption) -> None:
    with interruption.library():
        from trainers.console import show_labels
        from trainers.device import use_device
        from trainers.prediction import Model

    use_device(given.device)
    model = Model(recipe.parent, recipe.name)
    bad = show_labels(model.label(given.predict), sys.stdout, as_json=given.json)
    if bad:
        raise InputError(f"{bad} of {len(given.predict)} files could not be labelled")


if __name__ == "__main__":
    speak_to_nobody()
    leave(main())
