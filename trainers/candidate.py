"""One candidate from build to last epoch, as the stream of answers its driver reads."""

import contextlib
import hashlib
import json
import traceback
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path

import paddle

from models.backbone import BackboneNetwork
from models.build import build
from models.errors import InputError, StorageError
from trainers.checkpoint import Checkpoint, Checkpoints
from trainers.data.held_out import held_out_batches
from trainers.data.search_split import search_batches, training_sample
from trainers.environment import describe_worker
from trainers.latency import measure_latency
from trainers.messages import (
    Answer,
    Built,
    Cause,
    Failed,
    Judged,
    Measured,
    Resumed,
    Saved,
    Start,
    Task,
    packed,
)
from trainers.precision import resolve
from trainers.quiet import Quiet
from trainers.start import inherit_start, save_start
from trainers.train import DivergedError, as_input, judge, train
from trainers.training_state import refuse_misfit

# They wait for locks that a crash may have left held, and a worker that hangs is never replaced.
paddle.disable_signal_handler()

SAMPLE = 64
"""Images that inserted blocks are shown, so that their gates are alive."""


def run_candidate(task: Task) -> Generator[Answer, None, None]:
    """Builds, measures and trains the candidate of `task`: a `Built`, a `Measured`, all epochs.

    Where the task has it so, the `Measured` comes last, or a `Saved` or a `Judged`. A training that
    was begun before goes on behind a `Resumed`. Whatever goes wrong becomes a last `Failed`;
    nothing is raised. Close the iterator to stop.
    """
    try:
        yield from _answers(task)
    except DivergedError as error:
        yield Failed(str(error))
    except InputError as error:
        yield Failed(str(error), cause=Cause.INPUT)
    except StorageError as error:
        yield Failed(str(error), cause=Cause.STORAGE)
    except MemoryError as error:
        yield Failed(_out_of_memory(error), traceback.format_exc(), Cause.MEMORY)
    except Exception as error:  # the search goes on, whatever a block does
        yield Failed(f"{type(error).__name__}: {error}", traceback.format_exc())


def _answers(task: Task) -> Iterator[Answer]:
    paddle.set_device(task.device)
    image_size = task.data.image_size
    with contextlib.closing(Quiet()) as quiet:
        try:
            with quiet.training():
                network = build(task.architecture, image_size, task.seed)
        except InputError as error:  # this architecture's alone
            yield Failed(str(error))
            return
        yield Built(describe_worker(resolve(task.training.precision)))
        if task.start is not None:
            with quiet.training():
                _inherit(task, network, task.start)
        if task.measure_first:
            yield _measured(task, network, quiet)
        folder = Path(task.data_folder)
        batches, validation = search_batches(
            task.data, task.training, folder, task.seed, task.device
        )
        checkpoints = _checkpoints(task)
        begun = checkpoints.latest(partial(_refuse_misfit, task, network)) if checkpoints else None
        if checkpoints and (begun or checkpoints.damaged):
            yield Resumed(begun.curve if begun else (), tuple(checkpoints.damaged))
        yield from train(
            network,
            batches,
            validation,
            task.training,
            image_size=image_size,
            quiet=quiet,
            inherited=task.start is not None,
            checkpoints=checkpoints,
            begun=begun,
            micro_batches=task.micro_batches,
        )
        if task.final:
            yield _judged(task, network, quiet)
        elif task.save_to is not None:
            yield Saved(save_start(network, Path(task.save_to)))
        elif not task.measure_first:
            yield _measured(task, network, quiet)


def _out_of_memory(error: MemoryError) -> str:
    """What Paddle says of it, without the trace that it puts before."""
    said = str(error).strip().splitlines()
    told = next((line for line in said if "ResourceExhausted" in line), *said[-1:] or [""])
    return f"out of memory: {told}".rstrip(": ")


def _checkpoints(task: Task) -> Checkpoints | None:
    """Those of this training; those of another study, recipe or architecture are none of it."""
    if task.checkpoints is None:
        return None
    facts = {
        "study": task.study,
        "data": task.data.fingerprint,  # images are where they are
        "device": task.device,
        "architecture": task.architecture.to_json(),
        "training": task.training.model_dump(mode="json"),
        "seed": task.seed,
        "start": task.start and task.start.checksum,
    }
    of = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return Checkpoints(Path(task.checkpoints), of)


def _refuse_misfit(task: Task, network: BackboneNetwork, found: Checkpoint) -> None:
    """Raises ValueError for a checkpoint that the training of `network` cannot go on from."""
    if len(found.curve) > task.training.epochs:
        raise ValueError(f"it has {len(found.curve)} of {task.training.epochs} epochs")
    refuse_misfit(found.arrays, network, task.training)


def _inherit(task: Task, network: BackboneNetwork, start: Start) -> None:
    pixels = training_sample(task.data, Path(task.data_folder), SAMPLE)
    inherit_start(network, start, as_input(pixels, task.data.image_size))


def _judged(task: Task, network: BackboneNetwork, quiet: Quiet) -> Judged:
    """Opens the test split, which no other task does."""
    batches = held_out_batches(task.data, Path(task.data_folder), task.device)
    hits, loss = judge(network, batches, task.data.image_size, quiet)
    return Judged(int(hits.sum()) / len(hits), loss, len(hits), packed(hits.tolist()))


def _measured(task: Task, network: BackboneNetwork, quiet: Quiet) -> Measured:
    backbone, size = task.architecture.backbone, task.data.image_size
    return Measured(measure_latency(network, backbone, size, task.latency, quiet))
