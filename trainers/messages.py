"""What a worker is told and what it answers: plain values that travel between processes."""

from dataclasses import dataclass, field

from models.architecture import Architecture
from trainers.config import DataConfig, TrainingConfig


@dataclass(frozen=True)
class Task:
    """One candidate to train. `data_folder` is where `trainers.data.store.prepare` put the images.

    `device`: `cpu` or `gpu`. `seed` sets initial values, batch order and augmentation.
    """

    architecture: Architecture
    data: DataConfig
    data_folder: str
    training: TrainingConfig
    seed: int
    device: str = "cpu"


@dataclass(frozen=True)
class Worker:
    """Where a candidate was trained: whatever its times depend on."""

    host: str
    process: int
    processor: str
    device: str
    threads: int
    paddle: str
    mkl_debug_cpu_type: str | None


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one forward pass in eval mode, over the `runs` runs of the quietest block.

    `median` and `p90` are of the single runs; `batch` images of `image_size` pixels a side.
    `quiet`: the trainings of this program on the same machine were held off meanwhile.
    """

    median_ms: float
    p90_ms: float
    runs: int
    batch: int
    image_size: int
    quiet: bool = False


@dataclass(frozen=True)
class Measured:
    """The first answer: built and timed, nothing trained yet."""

    latency: Latency
    worker: Worker


@dataclass(frozen=True)
class EpochResult:
    """One epoch trained and validated.

    `val_accuracy` is a fraction; losses are means over images, `train_loss` with label smoothing;
    `train_seconds` leaves the validation out.
    """

    epoch: int
    val_accuracy: float
    val_loss: float
    train_loss: float
    train_seconds: float
    validation_seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Failed:
    """The candidate could not be built, measured or trained. `details` holds the traceback."""

    reason: str
    details: str = field(default="", repr=False)


Answer = Measured | EpochResult | Failed
