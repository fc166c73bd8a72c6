"""The executor: Ray Tune runs the driver's tasks. The one file that imports Ray.

Ray Tune places trials on CPUs and GPUs and keeps worker processes alive between them; what is
tried, kept and stopped is the driver's to say, and Ray's own record of it is thrown away.
"""

import atexit
import contextlib
import gc
import logging
import os
import secrets
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

# Read by Ray when it is imported: no usage reports, no log files of its own for every trial, no
# record of all trials written again and again, no banner, workers that are as important as other
# programs (Ray's default is nice 15), nothing on the terminal, where the driver says what happens
# to workers, and SIGINT is ours.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "inf")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
# All of Ray listens on 127.0.0.1 alone, as it does where it knows no clusters, and answers only
# those who have this run's token; the one that Ray makes lies in a file which others may read.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_AUTH_MODE"] = "token"
os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
# Nor does whatever Ray Tune's thread calls after Ray was ended begin another one, and wait for it.
os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from models.errors import ExecutorLostError, InputError, StorageError
from models.interruption import SIGNALS, Interruption
from models.printable import one_line
from search.driver import Driver
from search.ray_daemons import RayDaemons
from search.space_file import SearchConfig
from search.tasks import Assignment, NoTask
from trainers.environment import worker_environment
from trainers.messages import Answer, Cause, Failed
from trainers.quiet import Quiet

# Ray is started where signals are blocked; its daemons are not to inherit that.
os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS))

OBJECT_STORE_BYTES = 100 * 2**20  # tasks and answers are small; images are memory-mapped files
SCRATCH_BYTES = 32 * 2**20  # room for Ray's logs
SHUTDOWN_S = 6.0
POLL_S = 0.05
LOST = Failed("the worker process died or could not start (killed, crashed, out of memory)")
KILLED_FOR_MEMORY = Failed(
    "out of memory: Ray ended the worker before the machine had none left", cause=Cause.MEMORY
)
NO_MORE = Failed("the training ended before its last epoch")
RAYS_OUT_OF_MEMORY = ("OutOfMemoryError", "NODE_OUT_OF_MEMORY")

Value = TypeVar("Value")


def run(driver: Driver, search: SearchConfig, interruption: Interruption, scratch: Path) -> None:
    """Runs the driver's tasks until it has none left; Ray's own files lie in `scratch`.

    Raises InputError for resources that are not there, StorageError where Ray cannot be started,
    ExecutorLostError where its daemons end, what the driver raises, and `Interrupted`.
    """
    ours = not ray.is_initialized()
    bridge = _Bridge(driver, interruption)
    thread = threading.Thread(target=_run_ray, args=(bridge, search, scratch, ours), daemon=True)
    try:
        with interruption.shield():
            with interruption.library():  # Ray takes SIGTERM over as it starts
                thread.start()
                while not bridge.started.wait(POLL_S) and not interruption.pending:
                    pass
            lost = None
            while not (lost or interruption.received or bridge.over.wait(POLL_S)):
                lost = bridge.lost_daemon
            bridge.close()
        if lost:
            raise ExecutorLostError(
                f"Ray's {lost} has ended (killed, crashed, out of memory?); every "
                "trial goes on from its last epoch where the same command is given once more"
            )
        if bridge.error is not None:
            raise bridge.error
    finally:
        # What is left of Ray Tune is never collected: it would ask Ray for something as it goes,
        # and wait for an answer for ever.
        gc.freeze()
        if ours and ray.is_initialized() and not bridge.lost_daemon:
            _stop_ray()
        bridge.done.set()


def _run_ray(bridge: "_Bridge", search: SearchConfig, scratch: Path, start: bool) -> None:
    """Runs Ray and Ray Tune in a thread, so that no signal is ever raised inside them.

    What is raised inside Ray Tune it takes for a failure of its own and tidies up, which hangs if
    the same signal has ended its daemons. Signals are blocked here and in Ray's own threads, which
    inherit that. The thread lasts until all is done: the kernel ends Ray's daemons with it.
    """
    try:
        Quiet().close()  # where its folder cannot be used, no worker could say so
        # A worker's death is told in a line by the driver; Ray would print its traceback as well.
        logging.getLogger("ray").setLevel(logging.CRITICAL)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
        if start:
            _start_ray(search, scratch)
            bridge.daemons = RayDaemons()
        bridge.started.set()
        gpus = ray.cluster_resources().get("GPU", 0.0)
        _run_tune(bridge, search, worker_count(search, available_cores(), gpus), scratch)
    except BaseException as error:
        bridge.failed(error)
    bridge.started.set()
    bridge.over.set()
    bridge.done.wait()


def _stop_ray() -> None:
    """Asks Ray to end, and waits no longer than it should take.

    A signal to the whole process group, as `timeout` and service managers send it, also ends Ray's
    daemons; Ray's own shutdown then waits for their answer, sometimes for ever.
    """
    shutdown = threading.Thread(target=ray.shutdown, daemon=True)
    shutdown.start()
    shutdown.join(SHUTDOWN_S)
    if shutdown.is_alive():
        atexit.unregister(ray.shutdown)  # it would wait again


def worker_count(search: SearchConfig, cores: int, gpus: float) -> int:
    """How many trainings run at a time. Raises InputError where not even one can."""
    if not search.gpus_per_trial:
        return search.workers or cores
    fitting = _fitting(search.gpus_per_trial, int(gpus))
    if not fitting:
        raise InputError(
            f"search.gpus_per_trial: {search.gpus_per_trial:g} is not allowed: {gpus:g} GPUs are "
            "seen; allowed: at most that, or 0 for the CPU"
        )
    return min(search.workers or fitting, fitting)


def _fitting(share: float, gpus: int) -> int:
    """How many trainings fit on `gpus` cards; one that takes part of a card stays on it."""
    return int(gpus / share) if share >= 1 else gpus * int(1 / share + 1e-9)


def expected_workers(search: SearchConfig) -> int:
    """How many trainings will run at a time, as far as is known before Ray is started."""
    if search.workers is not None or not search.gpus_per_trial:
        return search.workers or available_cores()
    return max(1, _fitting(search.gpus_per_trial, 1))


def trial_resources(search: SearchConfig) -> dict[str, float]:
    """What one training takes, in Ray's words."""
    gpus = {"gpu": search.gpus_per_trial} if search.gpus_per_trial else {}
    return {"cpu": 1.0, **gpus}


def available_cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0))


def _start_ray(search: SearchConfig, scratch: Path) -> None:
    """Starts Ray. Raises StorageError where it cannot: it says little of why."""
    free = shutil.disk_usage(scratch).free
    if free < SCRATCH_BYTES:
        raise StorageError(
            f"{scratch.parent} has {free / 2**20:.0f} MB of room, of which Ray needs "
            f"{SCRATCH_BYTES / 2**20:.0f}: make room, or name another folder with TMPDIR"
        )
    try:
        _init_ray(search, scratch)
    except Exception as error:
        raise StorageError(
            f"Ray cannot be started: {one_line(str(error))}; see that there is room in "
            f"{scratch.parent} and /dev/shm, and that ulimit -n and -u allow files and processes"
        ) from error


def _init_ray(search: SearchConfig, scratch: Path) -> None:
    ray.init(
        address="local",  # whatever RAY_ADDRESS says: this program brings its own Ray
        num_cpus=max(search.workers or 0, available_cores()),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        object_store_memory=OBJECT_STORE_BYTES,
        runtime_env={"env_vars": worker_environment()},
        # Ray's own choice is never tidied up; it lets anybody write here, but not get here.
        _temp_dir=str(scratch / "s"),
    )


def _run_tune(bridge: "_Bridge", search: SearchConfig, workers: int, scratch: Path) -> None:
    tune.run(
        CandidateTrainable,
        search_alg=_DriverSearcher(bridge),
        scheduler=_DriverScheduler(bridge),
        num_samples=-1,
        max_concurrent_trials=workers,
        resources_per_trial=trial_resources(search),
        reuse_actors=True,
        storage_path=str(scratch),
        raise_on_failed_trial=False,
        trial_dirname_creator=lambda trial: str(trial.trial_id),
        verbose=0,
    )


class _LeaveTuneError(BaseException):
    """Leaves Ray Tune, which takes an Exception for the failure of one trial."""


class _Bridge:
    """Ray Tune's trial ids on one side, the driver's numbers on the other.

    Ray Tune calls from its thread. Once a signal came or `close` was called, nothing reaches the
    driver any more: what Ray says while it is taken down is not about the trials. Nor once one of
    its `daemons` has ended, which ends all workers.
    """

    def __init__(self, driver: Driver, interruption: Interruption) -> None:
        self.error: BaseException | None = None
        self.daemons: RayDaemons | None = None
        self.started, self.over, self.done = (threading.Event() for _ in range(3))
        self._driver, self._interruption = driver, interruption
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Returns when no call is on its way to the driver, and lets no other through."""
        with self._lock:
            self._closed = True

    @property
    def lost_daemon(self) -> str | None:
        """Which of Ray's daemons has ended, if one has."""
        return self.daemons.lost if self.daemons else None

    def failed(self, error: BaseException) -> None:
        """Keeps the error that ended Ray Tune, the driver's own before what Ray makes of it."""
        if not self._closed and self.error is None:
            self.error = error

    def next_task(self, trial_id: str) -> Assignment | NoTask:
        given = self._call(self._driver.next_task)
        if isinstance(given, Assignment):
            self._numbers[trial_id] = given.number
        return given

    def answered(self, trial_id: str, answer: Answer) -> bool:
        return self._call(lambda: self._driver.answered(self._numbers[trial_id], answer))

    def lost(self, trial_id: str, failed: Failed) -> None:
        self._call(lambda: self._driver.lost(self._numbers[trial_id], failed))

    def _call(self, step: Callable[[], Value]) -> Value:
        with self._lock:
            if self._closed or self._interruption.received or self.lost_daemon:
                raise _LeaveTuneError
            try:
                return step()
            except Exception as error:
                self.error = error
                raise _LeaveTuneError from error


class _DriverSearcher(Searcher):
    """Asks the driver for tasks."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__(metric="number", mode="max")
        self._bridge = bridge

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        given = self._bridge.next_task(trial_id)
        if given is NoTask.NEVER:
            return str(Searcher.FINISHED)
        return {"task": given.task} if isinstance(given, Assignment) else None

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Nothing: the driver has heard of it."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the ledger is the record."""


class _DriverScheduler(FIFOScheduler):
    """Hands answers to the driver and stops what it gives up."""

    def __init__(self, bridge: _Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:  # noqa: ARG002
        go_on = self._bridge.answered(trial.trial_id, result["answer"])
        return str(TrialScheduler.CONTINUE if go_on else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:  # noqa: ARG002
        said = str(trial.get_error() or "")
        out_of_memory = any(words in said for words in RAYS_OUT_OF_MEMORY)
        self._bridge.lost(trial.trial_id, KILLED_FOR_MEMORY if out_of_memory else LOST)


class CandidateTrainable(tune.Trainable):
    """A worker: one answer a step, one candidate after another in the same process."""

    def setup(self, config: dict[str, Any]) -> None:
        """Takes a task."""
        # In the worker only, and not while another one measures: Paddle's import takes a second.
        with contextlib.closing(Quiet()) as quiet, quiet.training():
            from trainers.candidate import run_candidate  # noqa: PLC0415

        self._answers = run_candidate(config["task"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next task."""
        self.cleanup()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """The next answer; `number` is there because Ray Tune wants a metric."""
        return {"answer": next(self._answers, NO_MORE), "number": 0}

    def cleanup(self) -> None:
        """Lets go of the network."""
        self._answers.close()
