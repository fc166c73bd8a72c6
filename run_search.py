"""Searches which attention block, put where in a CNN, is worth its parameters and milliseconds.

python run_search.py --space spaces/resnet18.yaml
python run_search.py --space spaces/resnet18.yaml -o search.trials=2 -o training.epochs=1
"""

import argparse
import contextlib
import os
import platform
import shlex
import sys
from collections import Counter
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import AllTrialsFailedError, ProgramError, StorageError
from search.interruption import Interrupted, Interruption

if TYPE_CHECKING:
    from search.ledger import Ledger
    from search.space import Space

# Imports that take seconds (Ray, Optuna, pandas) stand where they are needed: a typo in a space
# file is answered before they are.
# ruff: noqa: PLC0415

EPILOG = """\
any key of the space file can be set with -o, for example:
  -o search.trials=20 -o search.seed=1 -o search.timeout_minutes=30
  -o training.epochs=3 -o training.batch_size=64
  -o data.train_images=512 -o data.path=/data/cifar-10-python.tar.gz
  -o placement.at_most=1 -o objectives.max_params=12000000

exit codes: 0 done · 2 bad input · 3 storage or disk · 4 every trial failed · 5 study in use ·
            130 Ctrl-C · 143 SIGTERM. After an interruption the same command continues.
"""


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="run_search.py",
        description=__doc__.splitlines()[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--space", type=Path, required=True, metavar="FILE", help="space file")
    parser.add_argument(
        "-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="set a key"
    )
    parser.add_argument("--study", metavar="NAME", help="the study's name; else the space file's")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where studies lie (runs)")
    parser.add_argument("--workers", type=int, metavar="N", help="-o search.workers=N")
    parser.add_argument("--gpus-per-trial", metavar="X", help="-o search.gpus_per_trial=X")
    parser.add_argument("--fresh", action="store_true", help="set the old study aside, begin anew")
    parser.add_argument(
        "--no-estimate", action="store_true", help="do not measure how long it will take"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs the program; its exit code."""
    given = parse_arguments(arguments)
    interruption = Interruption()
    interruption.install()
    try:
        search(given, interruption)
    except Interrupted as interrupted:
        print("stopped. The same command continues this search.", file=sys.stderr)
        return interrupted.exit_code
    except Exception as error:
        if given.debug:
            raise
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    """Says in words why the program ended; the exit code."""
    if isinstance(error, ProgramError):
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, OSError):
        print(f"error: {error}; is the disk full, or a file not yours?", file=sys.stderr)
        return StorageError.exit_code
    print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    print("this is a defect of the program; --debug shows where", file=sys.stderr)
    return 1


def search(given: argparse.Namespace, interruption: Interruption) -> None:
    """The whole job: space → study → trials → report."""
    from search.space import load_space

    short = {"workers": given.workers, "gpus_per_trial": given.gpus_per_trial}
    named = [f"search.{key}={value}" for key, value in short.items() if value is not None]
    space = load_space(given.space, [*given.overrides, *named])
    for warning in space.warnings:
        print(f"warning: {warning}", file=sys.stderr)

    from search import run_folder

    name = run_folder.study_name(given.space, given.study)
    folder = given.runs / name
    if given.fresh:
        _set_aside(folder)
    run_folder.prepare(folder)
    with run_folder.lock(folder, f"process {os.getpid()} on {platform.node()}"):
        _search_in(folder, space, interruption, estimated=not given.no_estimate)


def _set_aside(folder: Path) -> None:
    from search import run_folder

    left = run_folder.set_aside(folder, datetime.now().astimezone())
    if left is not None:
        print(f"--fresh: the old study of {folder} is now in {left}")


def _search_in(
    folder: Path, space: "Space", interruption: Interruption, *, estimated: bool
) -> None:
    from search.candidates import count_architectures
    from search.inherited import agree_on_start, given_start
    from search.ledger import Ledger
    from trainers.data.search_split import describe_split
    from trainers.data.store import prepare
    from trainers.environment import describe_machine

    file = space.file
    data_folder = prepare(file.data, _say)
    start = given_start(space)
    split = describe_split(file.data, data_folder)
    with interruption.shield():
        ledger = Ledger.open(folder, space.objective_names, file.fingerprint)
    agree_on_start(ledger, start, folder)
    ledger.note("data", split)
    ledger.note("machine", describe_machine())
    stopping = file.search.early_stopping.effective
    search = file.search.model_dump(mode="json") | {"early_stopping": stopping}
    ledger.note("search", search | {"trials": space.trials})
    ledger.note("source", str(space.source))
    ledger.note("command", shlex.join(["python", *sys.argv]))
    ledger.note("architectures", count_architectures(space))
    if estimated:
        _estimate(space, ledger, data_folder)
    try:
        _run(space, ledger, (folder, data_folder), interruption)
    except BaseException:
        with contextlib.suppress(Exception):  # why the search ended matters more
            _report(folder, ledger, file.data.validation_images)
        raise
    _report(folder, ledger, file.data.validation_images)
    _refuse_all_failed(ledger)


def _estimate(space: "Space", ledger: "Ledger", data_folder: Path) -> None:
    """Says how long the search will take, if there is anything left to do."""
    from search import estimate
    from trainers.step_processes import StepProcesses, StepTimeError

    trials = ledger.trials()
    left = estimate.trials_left(space, trials, ledger.facts("architectures"))
    train_images = ledger.facts("data")["train_images"]
    work = estimate.work_left(space, trials, left, train_images)
    if not left and not work.checks:
        return
    cores = len(os.sched_getaffinity(0))
    with StepProcesses(estimate.process_count(space.file.search, cores)) as processes:
        from reports.estimate_view import estimate_lines, no_estimate
        from reports.plain_view import write_line
        from search.runner import expected_workers  # Ray's import takes as long as theirs

        try:
            measured = processes.measure(estimate.measured_tasks(space, data_folder))
        except StepTimeError as error:
            write_line(sys.stdout, no_estimate(str(error)))
            return
    work = replace(
        work,
        workers=expected_workers(space.file.search),
        cores=cores,
    )
    made = estimate.estimate(space, work, estimate.mean_cost(measured))
    ledger.note("estimate", asdict(made))
    for line in estimate_lines(made):
        write_line(sys.stdout, line)


def _run(
    space: "Space", ledger: "Ledger", folders: tuple[Path, Path], interruption: Interruption
) -> None:
    from reports.console import ViewSettings, open_view
    from search.checkpoints import CheckpointFolders
    from search.driver import Driver
    from search.inherited import FILE
    from search.runner import expected_workers, run

    folder, data_folder = folders
    settings = ViewSettings(
        study=ledger.study.study_name,
        trials=space.trials,
        workers=expected_workers(space.file.search),
        objectives=space.objective_names,
    )
    with open_view(sys.stdout, settings) as view:
        weights = (folder / FILE).resolve()  # workers are at home elsewhere
        kept = CheckpointFolders(folder)
        driver = Driver(space, ledger, data_folder, view, weights=weights, checkpoints=kept)
        ledger.tell(view.notice)
        view.known(driver.trials)
        if driver.done:
            view.notice("the study already holds its trials; raise search.trials for more")
            return
        run(driver, space.file.search, interruption)


def _report(folder: Path, ledger: "Ledger", validation_images: int) -> None:
    from rich.console import Console

    from reports.console import print_result
    from reports.study import Study
    from reports.warm_start import warning
    from reports.write import write_report

    report = write_report(folder)
    print_result(Console(), ledger.trials(), ledger.objectives, report, validation_images)
    doubt = warning(Study.of(ledger, folder))
    if doubt:
        print(doubt.replace("**", "").replace("`", ""))


def _refuse_all_failed(ledger: "Ledger") -> None:
    ended = [trial for trial in ledger.trials() if trial.state.trained]
    # A baseline that only gave others its weights is no success of the search.
    trained = [trial for trial in ended if trial.role.contends or trial.state == "failed"]
    reasons = Counter(trial.reason for trial in trained if trial.state == "failed")
    if trained and reasons.total() == len(trained):
        reason, times = reasons.most_common(1)[0]
        raise AllTrialsFailedError(
            f"all {len(trained)} trials failed, {times} of them with: {reason}. Tracebacks are in "
            f"the attribute `traceback` of the trials (optuna-dashboard shows them)"
        )


def _say(text: str) -> None:
    print(text, flush=True)


def _leave(code: int) -> None:
    """Ends the process; after a signal without waiting for threads that may wait for Ray."""
    sys.stdout.flush()
    sys.stderr.flush()
    if code > 128:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
