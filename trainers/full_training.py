"""One full training of a recipe: resumed, ended early, judged once on the test split, kept."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import paddle
import safetensors.numpy

from models.architecture import Architecture
from models.backbone import BackboneNetwork
from models.build import build
from models.checksum import sha256, write_with_checksum
from models.errors import ProgramError, StorageError
from models.weights import load_weights
from models.whole_file import replacing
from trainers.checkpoint import UNREADABLE, Checkpoint, Checkpoints
from trainers.config import TrainingConfig
from trainers.curve import amount, count, finite, read_curve
from trainers.data.batches import AnyBatch, Evaluation, Training
from trainers.data.held_out import held_out_batches
from trainers.data.search_split import search_batches, training_sample
from trainers.messages import EpochResult, Start
from trainers.quiet import Quiet
from trainers.recipe import RecipeFile
from trainers.start import inherit_start
from trainers.train import DivergedError, as_input, evaluate, train
from trainers.training_state import AVERAGE, NETWORK, Arrays, refuse_misfit

# They wait for locks that a crash may have left held.
paddle.disable_signal_handler()

BEST = "best"
RESULT = "result.json"
WEIGHTS = "weights.safetensors"
SAMPLE = 64  # images that inserted blocks are shown, so that their gates are alive
STEPS = AVERAGE + "steps"


class FullTrainingError(ProgramError):
    """The training came to no network, and would not the next time."""

    exit_code = 4


class Watcher(Protocol):
    """Whoever wants to know how trainings go on."""

    def began(self, seed: int, curve: Sequence[EpochResult], sizes: Sequence[int]) -> None:
        """A training begins, behind the epochs of `curve`; `sizes` of the batches of an epoch."""

    def trained(self, images: int) -> None:
        """So many more images were handed to the network."""

    def advanced(self, epoch: EpochResult) -> None:
        """An epoch was trained and validated."""

    def notice(self, text: str) -> None:
        """Something else to say."""


@dataclass(frozen=True)
class Job:
    """A checked recipe with what its trainings need; `digest` as `trainers.recipe.digest`."""

    recipe: RecipeFile
    architecture: Architecture
    data_folder: Path
    device: str
    digest: str
    start: Start | None = None


@dataclass(frozen=True)
class SeedResult:
    """One training that ended. Accuracies are fractions, of the weights that were kept.

    `kept_epoch`: the one after which these were; `checksum`: SHA-256 of their file. `early`: ended
    by patience.
    """

    seed: int
    curve: tuple[EpochResult, ...]
    kept_epoch: int
    early: bool
    test_accuracy: float
    test_loss: float
    test_images: int
    checksum: str

    @property
    def val_accuracy(self) -> float:
        """Validation accuracy of the kept weights."""
        return self.curve[self.kept_epoch - 1].val_accuracy

    @property
    def train_seconds(self) -> float:
        """Seconds spent training, validation left out."""
        return sum(epoch.train_seconds for epoch in self.curve)


class SeedTraining:
    """The training of a job with one seed, in a folder of its own, gone on with where it stopped.

    While it lasts the folder holds checkpoints; in the end `weights.safetensors` and `result.json`.
    """

    def __init__(self, job: Job, seed: int, folder: Path, watcher: Watcher) -> None:
        self._job, self._seed, self._folder, self._watcher = job, seed, folder, watcher
        facts = [job.digest, job.architecture.to_json(), seed, job.start and job.start.checksum]
        self._of = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        self._last = _Keeping(folder, self._of, self._keep_if_best)
        self._best = Checkpoints(folder / BEST, self._of)

    @property
    def weights(self) -> Path:
        """The file of the kept weights, once there is a result."""
        return self._folder / WEIGHTS

    def done(self) -> SeedResult | None:
        """Its result, if it has ended and nothing of it is damaged or missing."""
        try:
            facts = json.loads((self._folder / RESULT).read_bytes())
            result = _read_result(facts, self._of)
            if sha256(self.weights) != result.checksum:
                raise ValueError(f"{WEIGHTS} is not what was written")
        except FileNotFoundError:
            return None
        except UNREADABLE as error:
            self._watcher.notice(f"{self._folder}: trained anew, its result is damaged: {error}")
            return None
        return result

    def run(self, quiet: Quiet) -> SeedResult:
        """Trains, or goes on; evaluates the kept weights once on the test split; keeps them.

        Raises FullTrainingError where it diverges or memory does not suffice, InputError where
        images or weights to begin with are missing, StorageError for a full disk.
        """
        finished = self.done()
        if finished is not None:
            return finished
        try:
            trained = self._trained(quiet)
        except DivergedError as error:
            message = f"seed {self._seed} {error}; lower training.learning_rate"
            raise FullTrainingError(message) from error
        except MemoryError as error:
            message = "out of memory: lower training.batch_size"
            raise FullTrainingError(message) from error
        with storing(self._folder):
            return self._judged(trained, quiet)

    def _trained(self, quiet: Quiet) -> "_Trained":
        job, config = self._job, self._job.recipe.training
        network = build(job.architecture, job.recipe.data.image_size, self._seed)
        self._inherit(network)
        batches, validation = search_batches(
            job.recipe.data, config, job.data_folder, self._seed, job.device
        )
        begun = self._last.latest(partial(_refuse_misfit, network, config))
        for damaged in self._last.damaged:
            self._watcher.notice(f"passed over a damaged checkpoint: {damaged}")
        curve = list(begun.curve if begun else ())
        if begun is not None:
            self._keep_if_best(begun.arrays, curve)  # it may have been killed before it could
        self._watcher.began(self._seed, curve, batches.sizes)
        if not self._is_over(curve):
            epochs = train(
                network,
                _Watched(batches, self._watcher),
                validation,
                config,
                image_size=job.recipe.data.image_size,
                quiet=quiet,
                inherited=job.start is not None,
                checkpoints=self._last,
                begun=begun,
            )
            for epoch in epochs:
                curve.append(epoch)
                self._watcher.advanced(epoch)
                if self._is_over(curve):
                    break
        return self._kept(network, tuple(curve))

    def _inherit(self, network: BackboneNetwork) -> None:
        job = self._job
        if job.start is not None:
            pixels = training_sample(job.recipe.data, job.data_folder, SAMPLE)
            inherit_start(network, job.start, as_input(pixels, job.recipe.data.image_size))

    def _is_over(self, curve: Sequence[EpochResult]) -> bool:
        if len(curve) >= self._job.recipe.training.epochs:
            return True
        patience = self._job.recipe.full_training.patience
        return bool(curve) and patience is not None and len(curve) - best_epoch(curve) >= patience

    def _keep_if_best(self, arrays: Arrays, curve: Sequence[EpochResult]) -> None:
        """Keeps what was validated after the last epoch of `curve`, if none was better before.

        Those of two epochs, as of checkpoints, so that one of which the last is damaged has both.
        """
        if self._job.recipe.full_training.keep != BEST or best_epoch(curve) != len(curve):
            return
        found = self._best.latest(_same_curve(curve))
        if found is None or len(found.curve) != len(curve):
            self._best.save({NETWORK + k: v for k, v in _validated(arrays).items()}, curve)

    def _kept(self, network: BackboneNetwork, curve: tuple[EpochResult, ...]) -> "_Trained":
        """What the recipe says is kept of a training that is over."""
        if self._job.recipe.full_training.keep == BEST:
            found = self._best.latest(_same_curve(curve))
            best = best_epoch(curve)
            if found is not None and len(found.curve) == best:
                values = {name.removeprefix(NETWORK): a for name, a in found.arrays.items()}
                return _Trained(curve, best, values)
            self._watcher.notice("the best epoch's weights are damaged: the last epoch's are kept")
        found = self._last.latest(partial(_refuse_misfit, network, self._job.recipe.training))
        if found is None or len(found.curve) != len(curve):
            message = f"{self._folder}: the last checkpoint is damaged; the same command goes on"
            raise FullTrainingError(message)
        return _Trained(curve, len(curve), _validated(found.arrays))

    def _judged(self, trained: "_Trained", quiet: Quiet) -> SeedResult:
        """The result, written: from here on the checkpoints are no longer needed."""
        job, size = self._job, self._job.recipe.data.image_size
        data = safetensors.numpy.save(dict(trained.arrays))
        checksum = write_with_checksum(self.weights, lambda path: path.write_bytes(data))
        network = build(job.architecture, size, self._seed)
        load_weights(network, self.weights)
        self._watcher.notice(f"seed {self._seed}: judged on the test split, once")
        test = _Counted(held_out_batches(job.recipe.data, job.data_folder, job.device))
        accuracy, loss = evaluate(network, test, size, quiet)
        result = SeedResult(
            seed=self._seed,
            curve=trained.curve,
            kept_epoch=trained.kept_epoch,
            early=len(trained.curve) < job.recipe.training.epochs,
            test_accuracy=accuracy,
            test_loss=loss,
            test_images=test.images,
            checksum=checksum,
        )
        with replacing(self._folder / RESULT) as path:
            path.write_text(json.dumps({"of": self._of} | asdict(result), indent=1), "utf-8")
        self._remove_checkpoints()
        return result

    def _remove_checkpoints(self) -> None:
        shutil.rmtree(self._folder / BEST, ignore_errors=True)
        for left in self._folder.glob("epoch-*"):
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Has what goes wrong with files in the block be a StorageError that names `folder`."""
    try:
        yield
    except OSError as error:
        why = f"{error.strerror or error}; is the disk full?"
        raise StorageError(f"{folder}: cannot be written: {why}") from error


def best_epoch(curve: Sequence[EpochResult]) -> int:
    """The epoch, counted from 1, with the best validation accuracy; the first of several."""
    return max(range(len(curve)), key=lambda index: (curve[index].val_accuracy, -index)) + 1


@dataclass(frozen=True)
class _Trained:
    """A training that is over: its curve, and the network's values after epoch `kept_epoch`."""

    curve: tuple[EpochResult, ...]
    kept_epoch: int
    arrays: Arrays


class _Keeping(Checkpoints):
    """Checkpoints with something to be done after each."""

    def __init__(self, folder: Path, of: str, then: "Kept") -> None:
        super().__init__(folder, of)
        self._then = then

    def save(self, arrays: Arrays, curve: Sequence[EpochResult]) -> None:
        """See `Checkpoints.save`."""
        super().save(arrays, curve)
        self._then(arrays, curve)


Kept = Callable[[Arrays, Sequence[EpochResult]], None]


class _Watched:
    """Training batches whose images are told to a watcher as they are handed out."""

    def __init__(self, batches: Training, watcher: Watcher) -> None:
        self._batches, self._watcher = batches, watcher

    @property
    def seed(self) -> int:
        return self._batches.seed

    @property
    def sizes(self) -> Sequence[int]:
        return self._batches.sizes

    def epoch(self, number: int) -> Iterator[AnyBatch]:
        for batch in self._batches.epoch(number):
            yield batch
            self._watcher.trained(len(batch[1]))


class _Counted:
    """Evaluation batches, and how many images they had."""

    def __init__(self, batches: Evaluation) -> None:
        self._batches, self.images = batches, 0

    def __iter__(self) -> Iterator[AnyBatch]:
        for batch in self._batches:
            self.images += len(batch[1])
            yield batch


def _validated(arrays: Arrays) -> dict[str, Any]:
    """The values of the network that were validated, of a training's state: averages, if any."""
    part = AVERAGE if STEPS in arrays else NETWORK
    named = ((name, array) for name, array in arrays.items() if name.startswith(part))
    return {name.removeprefix(part): array for name, array in named if name != STEPS}


def _refuse_misfit(network: BackboneNetwork, config: TrainingConfig, found: Checkpoint) -> None:
    if len(found.curve) > config.epochs:
        raise ValueError(f"it has {len(found.curve)} of {config.epochs} epochs")
    refuse_misfit(found.arrays, network, config)


def _same_curve(curve: Sequence[EpochResult]) -> Callable[[Checkpoint], None]:
    """Refuses, with a ValueError, what was kept in another course of the same training."""

    def refuse(found: Checkpoint) -> None:
        if found.curve != tuple(curve[: len(found.curve)]):
            raise ValueError("it is of another course of this training")

    return refuse


def _read_result(facts: Any, of: str) -> SeedResult:
    """A result as it was written. Raises TypeError, ValueError or KeyError for anything else."""
    if facts.pop("of") != of:
        raise ValueError("it is of another training")
    result = SeedResult(**facts | {"curve": read_curve(facts["curve"])})
    count(result.seed), count(result.test_images), finite(result.test_loss)
    if not result.curve or not 1 <= count(result.kept_epoch) <= len(result.curve):
        raise ValueError(f"it has no epoch {result.kept_epoch}")
    if amount(result.test_accuracy) > 1 or type(result.early) is not bool:
        raise ValueError("its numbers are none")
    return result
