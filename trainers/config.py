"""How a candidate is trained and on which images: the `data` and `training` parts of a space."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from models.sections import Section

PositiveInt = Annotated[int, Field(gt=0, le=10**9)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["auto", "float32", "bfloat16"]
ResolvedPrecision = Literal["float32", "bfloat16"]

SCRATCH, BASELINE, PADDLE = "scratch", "baseline", "paddle"
"""Values of `TrainingConfig.start`; any other is a file."""

IMAGE_FOLDER = "folder"
"""The `DataConfig.name` of a folder of images; any other is a published data set."""

JUDGES = 500
"""Images that tell candidates apart to within 4 points or so, where an accuracy is some 70 %."""


def _word_or_file(start: object) -> object:
    if not isinstance(start, str) or not start:
        raise ValueError(f"allowed: {SCRATCH}, {BASELINE}, {PADDLE} or a file of weights")
    return start


def _some(images: int | None) -> int | None:
    if images is not None and images < 1:
        raise ValueError("without validation images nothing tells candidates apart; allowed: 1 up")
    return images


class Augmentation(Section):
    """Random changes to training images; every one is off at 0 or `false`.

    `crop_padding`: pixels of zero padding around the image before a random crop of the old size.
    `resized_crop`: the least share of the image that a random part stretched to its size has.
    `flip`: mirror left to right with probability one half; `alternating` mirrors a random half of
    the images in one epoch and the other half in the next.
    `rotation`: up to so many degrees either way.
    `brightness`, `contrast`, `saturation`: by a factor between 1 minus and 1 plus this.
    `cutout`: side in pixels of a square that is set to the channel mean.
    """

    crop_padding: Annotated[int, Field(ge=0, le=64)] = 4
    resized_crop: Fraction = 0.0
    flip: bool | Literal["alternating"] = True
    rotation: Annotated[float, Field(ge=0, le=180)] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    contrast: Annotated[float, Field(ge=0, le=1)] = 0.0
    saturation: Annotated[float, Field(ge=0, le=1)] = 0.0
    cutout: Annotated[int, Field(ge=0, le=512)] = 0


class DataConfig(Section):
    """Which images a candidate sees.

    `name`: a published data set, or `folder`: `path` is a folder with a sub-folder of images for
    each class. `path` of a published one: where it lies; `None` looks in the cache and then asks
    the known sources.
    `train_images`, `validation_images`: how many of the training split serve as either, drawn
    class by class with `split_seed`; `train_images: None` takes all that validation leaves;
    `validation_images: None` what `validation_share` says.
    Of a folder alone: `test_share` of its images are the test split, drawn with `split_seed` as
    well; `unusable` files are refused, or skipped.
    """

    name: Literal["cifar10", "folder"] = "cifar10"
    path: str | None = None
    image_size: Annotated[int, Field(ge=8, le=1024)] = 32
    train_images: PositiveInt | None = None
    validation_images: Annotated[Annotated[int, Field(le=10**9)] | None, AfterValidator(_some)] = (
        None
    )
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    test_share: Annotated[float, Field(gt=0, le=0.9)] = 0.2
    unusable: Literal["refuse", "skip"] = "refuse"
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _of_a_folder(self) -> Self:
        for key in ("test_share", "unusable"):
            # A default may be there: a configuration that was written out is read again.
            odd = getattr(self, key) != type(self).model_fields[key].default
            if odd and self.name != IMAGE_FOLDER:
                raise ValueError(f"{key} is for name: folder; {self.name} has a test split")
        return self

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What decides which images a candidate sees; where they lie does not."""
        of_a_folder = {"test_share"} if self.name != IMAGE_FOLDER else set()
        return self.model_dump(mode="json", exclude={"path", "unusable"} | of_a_folder)

    @property
    def whereabouts(self) -> dict[str, str]:
        """Where a person's own images lie; nothing for published ones, which lie anywhere."""
        if self.name != IMAGE_FOLDER or self.path is None:
            return {}
        return {"path": str(Path(self.path).expanduser().resolve())}

    def settled(self, images: int) -> Self:
        """With the number of validation images, of a training split of so many `images`."""
        if self.validation_images is not None:
            return self
        return self.model_copy(update={"validation_images": validation_share(images)})

    @property
    def judges(self) -> int:
        """`validation_images` of a `settled` configuration."""
        if self.validation_images is None:
            raise ValueError("how many images judge is not known before the data set is")
        return self.validation_images


def validation_share(images: int) -> int:
    """How many of a training split judge where nothing is said: a tenth, 5,000 of CIFAR-10's.

    Of small sets up to 500, as far as these are at most a fifth: fewer tell nothing apart.
    """
    return max(1, images // 10, min(JUDGES, images // 5))


class LatencyConfig(Section):
    """How a candidate's latency is measured, beside that of the plain backbone.

    `engine`: `eager` runs a network layer by layer as training does, `inference` exports it and
    runs it with Paddle Inference. `batch`: images in a pass. A measurement ends when the 95 %
    interval of the ratio to the plain backbone is within `precision` on either side (a fraction),
    or after `seconds`. `measure`: `every` candidate before it is trained, or `front`: only those
    that a predictor cannot tell within `predicted_within` (a fraction, 95 % of the time); the
    others are measured after their training, if they may come to be on the front.
    """

    engine: Literal["eager", "inference"] = "eager"
    batch: Annotated[int, Field(ge=1, le=4096)] = 1
    seconds: Annotated[float, Field(gt=0, le=600)] = 0.5
    precision: Annotated[float, Field(gt=0, lt=1)] = 0.005
    measure: Literal["front", "every"] = "front"
    predicted_within: Annotated[float, Field(gt=0, lt=1)] = 0.03


class WarmStart(Section):
    """How a candidate is trained that inherits weights (`TrainingConfig.start`).

    `epochs`: None takes a fifth of a training from scratch, rounded up; `learning_rate`: the peak,
    as a factor on that from scratch. `checks`: so many candidates are trained from scratch as well,
    to see whether both orders agree. `new_classifier`: the last layer is drawn anew, for weights of
    other classes.
    """

    epochs: PositiveInt | None = None
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.5
    checks: Annotated[int, Field(ge=0, le=1000)] = 8
    new_classifier: bool = False


class TrainingConfig(Section):
    """The recipe every candidate of a study is trained by.

    `start`: `scratch`; `baseline`, which is trained once and whose weights all others inherit;
    `paddle`, the weights that Paddle publishes; or a file of weights. `warm` says how those that
    inherit are trained; all else is as from scratch.

    `schedule` scales `learning_rate` step by step: `triangular` rises linearly over
    `warmup_fraction` of the steps and falls linearly to 0, `cosine` does the same with a half
    cosine, `step` divides by 10 at each fraction in `milestones`, `constant` leaves it alone.
    `mixup`: the α of the Beta distribution by which images are mixed; 0 mixes none.
    `norm_bias_factor`: how much higher the learning rate of the batch norms' shifts is; their
    weight decay is divided by it, so that they decay as fast as the rest. `average`: the decay of
    an exponential moving average of the weights, which is then what is validated; 0 has none.
    `precision`: of convolutions and matrix products while training; `auto` takes bfloat16 on a GPU
    that has it and float32 elsewhere. Weights, losses, validation and latency are always float32.
    """

    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.1
    momentum: Fraction = 0.9
    nesterov: bool = True
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    schedule: Literal["triangular", "cosine", "step", "constant"] = "triangular"
    warmup_fraction: Fraction = 0.2
    milestones: Annotated[tuple[Fraction, ...], Field(strict=False)] = (0.3, 0.6, 0.9)
    epochs: PositiveInt = 30
    batch_size: PositiveInt = 128
    label_smoothing: Fraction = 0.1
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0
    norm_bias_factor: Annotated[float, Field(gt=0, le=1000)] = 1.0
    average: Fraction = 0.0
    precision: Precision = "auto"
    start: Annotated[str, BeforeValidator(_word_or_file)] = SCRATCH
    warm: WarmStart = WarmStart()

    @property
    def inherits(self) -> bool:
        """Whether candidates begin with trained weights."""
        return self.start != SCRATCH

    @property
    def inheriting(self) -> Self:
        """The recipe of a candidate that begins with trained weights; as it is from scratch."""
        if not self.inherits:
            return self
        epochs = self.warm.epochs or math.ceil(self.epochs / 5)
        rate = self.learning_rate * self.warm.learning_rate
        return self.model_copy(update={"epochs": epochs, "learning_rate": rate})
