"""What a worker is told and what it answers: plain values that travel between processes."""

import base64
import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.architecture import Architecture
from trainers.config import DataConfig, LatencyConfig, ResolvedPrecision, TrainingConfig


@dataclass(frozen=True)
class Start:
    """A file of weights to begin with and its SHA-256; see `WarmStart.new_classifier`."""

    path: str
    checksum: str
    new_classifier: bool = False


@dataclass(frozen=True)
class Task:
    """One candidate to train. `data_folder` is where `trainers.data.store.prepare` put the images.

    `device`: `cpu` or `gpu`. `seed` sets initial values, batch order and augmentation.
    `measure_first`: the latency is measured before the training, or else after its last epoch.
    `start`: the weights to inherit; `save_to`: the file to write the trained ones to.
    `checkpoints`: the folder that is this training's own, where it may have been begun already.
    `micro_batches`: parts that each batch is computed in, one after another. `study`: the id of the
    study it is for, whose checkpoints others do not take. `final`: in the end it is judged by the
    test split, and its latency is not measured.
    """

    architecture: Architecture
    data: DataConfig
    data_folder: str
    training: TrainingConfig
    latency: LatencyConfig
    seed: int
    device: str = "cpu"
    measure_first: bool = True
    start: Start | None = None
    save_to: str | None = None
    checkpoints: str | None = None
    micro_batches: int = 1
    study: str = ""
    final: bool = False


@dataclass(frozen=True)
class Worker:
    """Where a candidate was trained, and with what numbers: whatever its times depend on."""

    host: str
    process: int
    processor: str
    device: str
    threads: int
    paddle: str
    mkl_debug_cpu_type: str | None
    precision: ResolvedPrecision = "float32"


@dataclass(frozen=True)
class Latency:
    """One forward pass in eval mode, against the plain backbone in turns (`trainers.latency`).

    `ratio`: time of the candidate ÷ time of the plain backbone, median of `rounds` rounds;
    `half_width` of its 95 % interval, as a fraction of it. `control`: the same ratio for two equal
    backbones, which would be 1 if nothing disturbed. `median_ms`, `p90_ms`: of the candidate's own
    passes; `reference_ms`: median of the plain backbone's. `batch` images of `image_size` pixels a
    side in a pass, `engine` as in `LatencyConfig`; `clock`: `wall`, or `thread` or `process` where
    the time is that which these were running. `quiet`: this program's trainings on the machine were
    held off meanwhile; `core`: the one the process was pinned to, None where it was not.
    """

    ratio: float
    half_width: float
    control: float
    median_ms: float
    p90_ms: float
    reference_ms: float
    rounds: int
    batch: int
    image_size: int
    engine: str
    clock: str
    quiet: bool
    core: int | None


@dataclass(frozen=True)
class Built:
    """The first answer: the network stands, nothing is measured or trained yet."""

    worker: Worker


@dataclass(frozen=True)
class Resumed:
    """The training goes on behind the epochs of `curve`; `damaged` checkpoints were passed over."""

    curve: tuple["EpochResult", ...]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """The network was timed: before its training, or after it where the task asks for that."""

    latency: Latency


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

    @property
    def judged(self) -> bool:
        """Whether there is an accuracy, and it is a number."""
        given: object = self.val_accuracy
        return isinstance(given, float | int) and math.isfinite(given)


@dataclass(frozen=True)
class Saved:
    """The trained weights are in the file that the task named."""

    start: Start


@dataclass(frozen=True)
class Judged:
    """The trained network was judged by the test split: accuracy (a fraction) and mean loss.

    `hits`: which of the `images` it labelled right, in their order, as `packed` makes it.
    """

    accuracy: float
    loss: float
    images: int
    hits: str

    def __post_init__(self) -> None:
        right = sum(self.unpacked())
        if right != round(self.accuracy * self.images):
            raise ValueError(f"{right} hits of {self.images} are no accuracy of {self.accuracy}")

    def unpacked(self) -> list[bool]:
        """`hits`, image by image. Raises ValueError where they are not those of `images`."""
        data = base64.b64decode(self.hits, validate=True)
        bits = "".join(f"{byte:08b}" for byte in data)
        if not self.images or len(data) != (self.images + 7) // 8 or "1" in bits[self.images :]:
            raise ValueError(f"{len(data)} bytes of hits are not those of {self.images} images")
        return [bit == "1" for bit in bits[: self.images]]


def packed(hits: Sequence[bool]) -> str:
    """A bit for each, the first the highest of its byte, in base64."""
    bits = "".join("1" if hit else "0" for hit in hits).ljust((len(hits) + 7) // 8 * 8, "0")
    data = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
    return base64.b64encode(data).decode()


class Cause(enum.StrEnum):
    """Why a candidate failed."""

    ITSELF = "itself"
    INPUT = "input"
    """What the user gave, which every other trial will meet with as well."""
    STORAGE = "storage"
    """The disk, likewise."""
    MEMORY = "memory"
    """There was too little, of the machine or of the GPU."""


@dataclass(frozen=True)
class Failed:
    """The candidate could not be built, measured or trained. `details` holds the traceback."""

    reason: str
    details: str = field(default="", repr=False)
    cause: Cause = Cause.ITSELF


Answer = Built | Resumed | Measured | EpochResult | Saved | Judged | Failed
