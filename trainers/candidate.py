"""One candidate from build to last epoch, as the stream of answers its driver reads."""

import contextlib
import traceback
from collections.abc import Generator, Iterator
from pathlib import Path

import paddle

from models.build import build
from trainers.data.search_split import search_batches
from trainers.environment import describe_worker
from trainers.latency import measure_latency
from trainers.messages import Answer, Failed, Measured, Task
from trainers.quiet import Quiet
from trainers.train import DivergedError, train


def run_candidate(task: Task) -> Generator[Answer, None, None]:
    """Builds, measures and trains the candidate of `task`: a `Measured`, then an epoch each.

    Whatever goes wrong becomes a last `Failed`; nothing is raised. Close the iterator to stop.
    """
    try:
        yield from _answers(task)
    except DivergedError as error:
        yield Failed(str(error))
    except Exception as error:  # the search goes on, whatever a block does
        yield Failed(f"{type(error).__name__}: {error}", traceback.format_exc())


def _answers(task: Task) -> Iterator[Answer]:
    paddle.set_device(task.device)
    image_size = task.data.image_size
    with contextlib.closing(Quiet()) as quiet:
        with quiet.training():
            network = build(task.architecture, image_size, task.seed)
        yield Measured(measure_latency(network, image_size, quiet), describe_worker())
        folder = Path(task.data_folder)
        batches, validation = search_batches(task.data, task.training, folder, task.seed)
        yield from train(
            network, batches, validation, task.training, image_size=image_size, quiet=quiet
        )
