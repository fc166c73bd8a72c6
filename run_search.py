"""Searches which attention block, put where in a CNN, is worth its parameters and milliseconds.

python run_search.py --space spaces/resnet18.yaml
python run_search.py --space spaces/resnet18.yaml -o search.trials=2 -o training.epochs=1
"""

import argparse
import contextlib
import os
import platform
import shlex
import signal
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.command import leave, run_command, speak_to_nobody
from models.errors import AllTrialsFailedError, ExecutorLostError
from models.interruption import SIGNALS, Interruption
from models.printable import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.yaml_input import Document
    from reports.visualdl_log import VisualDLLog
    from search.database import Patience
    from search.ledger import Ledger
    from search.space import Space
    from search.study_place import StudyPlace

# Imports that take seconds (Ray, Optuna, pandas) stand where they are needed: a typo in a space
# file is answered before they are.
# ruff: noqa: PLC0415

EPILOG = """\
any key of the space file can be set with -o, for example:
  -o search.trials=20 -o search.seed=1 -o search.timeout_minutes=30
  -o training.epochs=3 -o training.batch_size=64
  -o data.train_images=512 -o data.path=/data/cifar-10-python.tar.gz
  --space spaces/folder.yaml -o data.path=FOLDER   (your own images, FOLDER/CLASS/IMAGE)
  -o placement.at_most=1 -o objectives.max_params=12000000

exit codes: 0 done · 2 bad input · 3 storage or disk · 4 every trial failed · 5 study in use ·
            75 Ray lost, again and again · 129 terminal gone · 130 Ctrl-C · 143 SIGTERM. After an
            interruption the same command continues.
"""

BEGUN_AGAIN = "ATTENTION_PLACEMENT_SEARCH_BEGUN_AGAIN"  # how often, for the process that follows
MOST_OFTEN = 3


@dataclass(frozen=True)
class Job:
    """One search: what is asked for, in the `document` of its space, and what it works with.

    `folder` is the study's; `scratch` is gone when this process ends, as are all processes that it
    has started since; `command`: what it was started with, without a password; `visualdl`: whether
    logs for VisualDL are written.
    """

    document: "Document"
    space: "Space"
    folder: Path
    scratch: Path
    place: "StudyPlace"
    patience: "Patience"
    interruption: Interruption
    command: list[str]
    visualdl: bool = False


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="run_search.py",
        description=__doc__.splitlines()[0],
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--space", type=Path, required=True, metavar="FILE", help="space file")
    parser.add_argument(
        "-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help="set a key"
    )
    parser.add_argument("--study", metavar="NAME", help="the study's name; else the space file's")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where studies lie (runs)")
    parser.add_argument(
        "--storage",
        action="append",
        metavar="URL",
        help="keep the study on a server: postgresql://USER@HOST/NAME",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="-o search.workers=N")
    parser.add_argument("--gpus-per-trial", metavar="X", help="-o search.gpus_per_trial=X")
    parser.add_argument(
        "--finalists", type=int, metavar="N", help="-o finalists.count=N: how many to train anew"
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="-o finalists.seeds=N: how often each of them"
    )
    parser.add_argument("--fresh", action="store_true", help="set the old study aside, begin anew")
    parser.add_argument(
        "--no-estimate", action="store_true", help="do not measure how long it will take"
    )
    parser.add_argument(
        "--visualdl", action="store_true", help="write each trial's curves for VisualDL as well"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser.parse_args(arguments, argparse.Namespace(words=arguments))


def main(arguments: list[str] | None = None) -> int:
    """Runs the program; its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    return run_command(
        lambda interruption: search(parse_arguments(words), interruption),
        debug="--debug" in words,
        stopped="stopped. The same command continues this search.",
    )


def search(given: argparse.Namespace, interruption: Interruption) -> None:
    """The whole job: space → study → trials → report."""
    from search.space_file import read_space_file

    if given.visualdl:
        from reports.visualdl_log import refuse_missing

        refuse_missing()
    os.umask(os.umask(0o022) | 0o022)  # whatever else is asked for, nobody else writes here
    short = {
        "search.workers": given.workers,
        "search.gpus_per_trial": given.gpus_per_trial,
        "finalists.count": given.finalists,
        "finalists.seeds": given.seeds,
    }
    named = [f"{key}={value}" for key, value in short.items() if value is not None]
    document = read_space_file(given.space, [*given.overrides, *named])

    with interruption.library():
        from search.space import whole_space  # brings Paddle

    space = whole_space(document)
    for warning in space.warnings:
        print(f"warning: {printable(warning)}", file=sys.stderr)

    from search import run_folder
    from search.database import Patience
    from search.orphans import none_left
    from search.study_server import only_address, parse_address

    storage = only_address(given.storage)
    address = parse_address(storage) if storage is not None else None
    folder = given.runs / run_folder.study_name(given.space, given.study)
    run_folder.prepare(folder)
    holder = f"process {os.getpid()} on {platform.node()}"
    with contextlib.ExitStack() as held:
        lock = held.enter_context(run_folder.lock(folder, holder))
        find = run_folder.new_place if given.fresh else run_folder.place_of
        place = held.enter_context(contextlib.closing(find(folder, address, holder)))
        patience = Patience(is_over=lambda: interruption.received)
        with interruption.shield():
            patience.opening(place, place.hold)
            if given.fresh and _set_aside(folder, place, patience):
                lock = held.enter_context(run_folder.lock(folder, holder))
            patience.before = lock.keep
            run_folder.remember(folder, place)
        scratch = held.enter_context(none_left())
        command = _command(given.words, storage, place.server)
        job = Job(
            document,
            space,
            folder,
            scratch,
            place,
            patience,
            interruption,
            command,
            given.visualdl,
        )
        _search(job, estimated=not given.no_estimate)


def _command(words: list[str], storage: str | None, shown: str | None) -> list[str]:
    """What the program was started with; an address is shown without its password."""
    shown_words = words if storage is None else [w.replace(storage, shown or "") for w in words]
    return ["python", sys.argv[0], *shown_words]


def _set_aside(folder: Path, place: "StudyPlace", patience: "Patience") -> bool:
    """Moves the old study away, of which both locks are held; whether its folder is a new one.

    The folder goes last: whatever comes between, the same command moves what is left.
    """
    from search import run_folder

    old = run_folder.old_name(folder, datetime.now().astimezone())
    renamed = patience.opening(place, lambda: place.set_aside(old))
    if renamed is not None:
        _say(f"--fresh: the old study in {place.server} is now called {renamed}")
    left = run_folder.set_aside(folder, renamed or old)
    if left is None:
        return False
    _say(f"--fresh: the old study of {folder} is now in {left}")
    run_folder.prepare(folder)
    return True


def _search(job: Job, *, estimated: bool) -> None:
    from reports.progress_bar import progress_bar
    from search.images import agree_on_images, explain_changes
    from search.inherited import agree_on_start, given_start
    from search.ledger import Ledger
    from search.space import settled
    from trainers.data.search_split import describe_split, list_split
    from trainers.data.store import facts_of, prepare

    data = job.space.file.data
    with progress_bar(sys.stdout, "decoding images") as told:
        data_folder = prepare(data, _say, told)
    space = settled(job.document, job.space, facts_of(data.name, data_folder))
    job, file = replace(job, space=space), space.file
    start = given_start(space)
    split, images = describe_split(file.data, data_folder), list_split(file.data, data_folder)
    with explain_changes(job.folder, images), job.interruption.shield():
        names, fingerprint = space.objective_names, file.fingerprint
        ledger = Ledger.open(job.folder, names, fingerprint, job.place, job.patience)
    agree_on_images(ledger, split, job.folder, images)
    agree_on_start(ledger, start, job.folder)
    _note_facts(ledger, job, split)
    if estimated:
        _estimate(space, ledger, data_folder)
    try:
        _run(job, ledger, data_folder)
    except BaseException:
        with contextlib.suppress(Exception):  # why the search ended matters more
            _report(job.folder, ledger, file.data.judges)
        raise
    _report(job.folder, ledger, file.data.judges)
    _refuse_all_failed(ledger)


def _note_facts(ledger: "Ledger", job: Job, split: dict[str, Any]) -> None:
    """What a report says of the search beside its trials."""
    from models import build
    from search.candidates import count_architectures
    from trainers.environment import describe_machine

    plan = build.plan(job.space.baseline, job.space.file.data.image_size)
    search = job.space.file.search
    stopping = search.early_stopping.effective
    asked = search.model_dump(mode="json") | {"early_stopping": stopping}
    ledger.note("data", split | job.space.file.data.whereabouts)
    ledger.note("machine", describe_machine())
    ledger.note("search", asked | {"trials": job.space.trials})
    ledger.note("source", str(job.space.source))
    ledger.note("command", shlex.join(job.command))
    ledger.note("architectures", count_architectures(job.space))
    shapes = {str(slot): [s.channels, s.height, s.width] for slot, s in plan.slots.items()}
    ledger.note("slots", shapes)
    ledger.note("storage", job.place.server)


def _estimate(space: "Space", ledger: "Ledger", data_folder: Path) -> None:
    """Says how long the search will take, if there is anything left to do."""
    from search import estimate
    from trainers.step_processes import StepProcesses, StepTimeError

    trials = ledger.trials()
    left = estimate.trials_left(space, trials, ledger.facts("architectures"))
    train_images = ledger.facts("data")["train_images"]
    work = estimate.work_left(space, trials, left, train_images)
    if not left and not work.checks and not work.finalists:
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


def _run(job: Job, ledger: "Ledger", data_folder: Path) -> None:
    from reports.console import ViewSettings, open_view
    from search.checkpoints import CheckpointFolders
    from search.dashboard.entries import Entries
    from search.driver import Driver
    from search.events import Several
    from search.inherited import FILE
    from search.runner import expected_workers, run

    space, folder = job.space, job.folder
    settings = ViewSettings(
        study=ledger.study.study_name,
        trials=space.trials,
        workers=expected_workers(space.file.search),
        objectives=space.objective_names,
    )
    with Entries(ledger) as shown, open_view(sys.stdout, settings) as view:
        logs = [_visualdl(job, view.notice)] if job.visualdl else []
        watcher = Several(view, shown, *logs)
        weights = (folder / FILE).resolve()  # workers are at home elsewhere
        kept = CheckpointFolders(folder)
        driver = Driver(space, ledger, data_folder, watcher, weights=weights, checkpoints=kept)
        ledger.tell(view.notice)
        view.known(driver.trials)
        if driver.done:
            view.notice("the study already holds its trials; raise search.trials for more")
            return
        run(driver, space.file.search, job.interruption, job.scratch)


def _visualdl(job: Job, say: "Callable[[str], None]") -> "VisualDLLog":
    from reports.visualdl_log import VisualDLLog

    return VisualDLLog(job.folder, job.space.file.recipe, say)


def _report(folder: Path, ledger: "Ledger", validation_images: int) -> None:
    from rich.console import Console

    from reports.console import print_result
    from reports.finalists import closing_lines
    from reports.study import Study
    from reports.warm_start import warning
    from reports.write import write_report
    from search.export import FOLDER as EXPORT

    study = Study.of(ledger, folder)
    report = write_report(folder, study)
    print_result(Console(), ledger.trials(), ledger.objectives, report, validation_images)
    if (folder / EXPORT).is_dir():
        _say(f"Recipes, to train a pick fully (python -m trainers RECIPE): {folder / EXPORT}")
    for line in closing_lines(study):
        print(line)
    doubt = warning(study)
    if doubt:
        print(doubt.replace("**", "").replace("`", ""))


def _refuse_all_failed(ledger: "Ledger") -> None:
    ended = [trial for trial in ledger.trials() if trial.state.trained]
    # A baseline that only gave others its weights is no success of the search.
    trained = [t for t in ended if t.role.contends or t.state == "failed"]
    reasons = Counter(trial.reason for trial in trained if trial.state == "failed")
    if trained and reasons.total() == len(trained):
        reason, times = reasons.most_common(1)[0]
        raise AllTrialsFailedError(
            f"all {len(trained)} trials failed, {times} of them with: {one_line(reason)}. "
            "Tracebacks are in the attribute `traceback` of the trials (optuna-dashboard has them)"
        )


def _say(text: str) -> None:
    print(printable(text), flush=True)


def begin_again() -> None:
    """Gives the same command once more where Ray was lost, unless that was done too often.

    It takes the place of this process, whose threads of Ray may hold on to what is gone.
    """
    begun = int(os.environ.get(BEGUN_AGAIN, "0"))
    if begun == MOST_OFTEN:
        return
    _say("the search begins again by itself")
    os.environ[BEGUN_AGAIN] = str(begun + 1)
    words = [word for word in sys.orig_argv[1:] if word != "--fresh"]
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606


if __name__ == "__main__":
    speak_to_nobody()
    code = main()
    if code == ExecutorLostError.exit_code:
        begin_again()
    leave(code)
