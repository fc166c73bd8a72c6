"""The card of an exported model as facts: what it is, how good, how fast, what it is given.

`card.json` is these facts; a prediction needs it and the weights, and nothing else.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.special import stdtrit

from models import build
from models.architecture import Architecture, ArchitectureError
from models.attention import block_class
from models.checksum import sha256
from models.errors import InputError
from models.printable import one_line
from trainers import onnx_model
from trainers.environment import describe_machine
from trainers.exported import FILES, WEIGHTS, Exported
from trainers.full_training import Job, SeedResult
from trainers.parity import TOLERANCE
from trainers.speed import Speeds
from trainers.subject import Subject

VERSION = 1
JSON, TEXT = "card.json", "card.md"
MAX_BYTES = 4 << 20
PROGRAM = "attention-placement-search"
RESIZING = "shorter side to input.size (bicubic, antialiased), then the centre"
_Z_95 = 1.959964

Number3 = Annotated[tuple[float, float, float], Field(strict=False)]


@dataclass(frozen=True)
class Trained:
    """All trainings of a job, and the one of them that is exported."""

    job: Job
    subject: Subject
    results: tuple[SeedResult, ...]

    @property
    def best(self) -> SeedResult:
        """The one with the best validation accuracy, the first of several: never by the test."""
        return max(self.results, key=lambda result: result.val_accuracy)


def card_facts(
    trained: Trained, exported: Exported, speeds: Speeds | str, folder: Path, recipe_name: str
) -> dict[str, Any]:
    """What a card says; `speeds`, or why there are none; `folder` holds the exported files."""
    job, subject = trained.job, trained.subject
    size = job.recipe.data.image_size
    cost = build.cost(job.architecture, size)
    return {
        "card": VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "digest": job.digest,
        "recipe_file": recipe_name,
        "recipe": job.recipe.model_dump(mode="json", exclude={"data": {"path"}}),
        "architecture": json.loads(job.architecture.to_json()),
        "architecture_id": job.architecture.architecture_id,
        "params": cost.params,
        "macs": cost.macs,
        "blocks": _blocks(job.architecture),
        "input": {
            "size": subject.image_size,
            "channels": "RGB",
            "layout": "[N, 3, size, size], float32: (grey level / 255 - mean) / deviation",
            "mean": list(subject.mean),
            "deviation": list(subject.deviation),
            "resizing": RESIZING,
            "network_size": size,
        },
        "class_names": list(subject.class_names),
        "data": {"title": subject.title, **subject.split}
        | {"test_images": subject.test_images, "test_checksum": subject.test_checksum},
        "results": _results(trained),
        "files": file_facts(folder),
        "parity": {"allowed": TOLERANCE, "found": exported.parity},
        "no_onnx": exported.no_onnx,
        "speed": speeds if isinstance(speeds, str) else _speed(speeds),
        "machine": describe_machine() | {"device": job.device},
        "versions": versions(),
    }


def _blocks(architecture: Architecture) -> list[dict[str, str]]:
    """Each kind of block once, with where it comes from."""
    names = sorted({placement.block.name for placement in architecture.placements})
    kinds = {name: block_class(name) for name in names}
    return [
        {"name": name, "title": kind.title, "paper": kind.paper, "deviations": kind.deviations}
        for name, kind in kinds.items()
    ]


def _results(trained: Trained) -> dict[str, Any]:
    results = trained.results
    seeds = [
        {
            "seed": result.seed,
            "epochs": len(result.curve),
            "kept_epoch": result.kept_epoch,
            "ended_early": result.early,
            "val_accuracy": result.val_accuracy,
            "test_accuracy": result.test_accuracy,
            "test_loss": result.test_loss,
            "train_seconds": round(result.train_seconds, 1),
        }
        for result in results
    ]
    best, images = trained.best, trained.best.test_images
    low, high = proportion_interval(best.test_accuracy, images)
    return {
        "exported_seed": best.seed,
        "chosen_by": "validation accuracy",
        "val_accuracy": best.val_accuracy,
        "test_accuracy": best.test_accuracy,
        "test_images": images,
        "test_interval": [low, high],
        "over_seeds": _over_seeds([result.test_accuracy for result in results]),
        "seeds": seeds,
    }


def _over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation, and the 95 % interval of the mean by Student's t."""
    found: dict[str, Any] = {"seeds": len(values), "mean": fmean(values)}
    if len(values) > 1:
        deviation = stdev(values)
        half = float(stdtrit(len(values) - 1, 0.975)) * deviation / math.sqrt(len(values))
        low, high = max(0.0, fmean(values) - half), min(1.0, fmean(values) + half)
        found |= {"deviation": deviation, "interval": [low, high]}
    return found


def proportion_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a proportion seen in `count` draws (Wilson 1927)."""
    square = _Z_95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = share * (1 - share) / count + square / (4 * count**2)
    half = _Z_95 * math.sqrt(max(0.0, half)) / (1 + square / count)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def _speed(speeds: Speeds) -> dict[str, Any]:
    return {
        "threads": 1,
        "clock": speeds.clock,
        "quiet": speeds.quiet,
        "rounds": {str(batch): rounds for batch, rounds in speeds.rounds},
        "forms": [
            asdict(speed) | {"images_per_second": round(speed.images_per_second, 1)}
            for speed in speeds.speeds
        ],
    }


def file_facts(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every exported file that is there."""
    there = [folder / name for name in FILES if (folder / name).is_file()]
    return {p.name: {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in there}


def versions() -> dict[str, str]:
    """Of what a model's numbers depend on."""
    found = {}
    for name in (PROGRAM, "paddlepaddle", "paddlepaddle-gpu", "numpy", "pillow", "safetensors",
                 "paddle2onnx", "onnxruntime"):  # fmt: skip
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class _Loose(BaseModel):
    """A part of a card: what is not named here may be there as well."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class Input(_Loose):
    """How images are given to the model; see `card_facts`."""

    size: Annotated[int, Field(ge=1, le=4096)]
    network_size: Annotated[int, Field(ge=8, le=1024)]
    mean: Number3
    deviation: Number3


class Card(_Loose):
    """What a prediction needs of a card."""

    card: int
    digest: str
    recipe_file: str
    architecture: dict[str, Any]
    input: Input
    class_names: Annotated[tuple[str, ...], Field(strict=False, min_length=2)]
    files: dict[str, dict[str, Any]]

    @property
    def built(self) -> Architecture:
        """The architecture. Raises ArchitectureError."""
        return Architecture.from_json(json.dumps(self.architecture))


def read_card(folder: Path) -> Card | None:
    """The card in `folder`, None where there is none.

    Raises InputError for one that is damaged, of another version, or at odds with itself.
    """
    path = folder / JSON
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        card = Card.model_validate(_parsed(data))
        _refuse_odd(path, card)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise InputError(f"{path}: {one_line(where, 80)}: {first['msg']}; {_ANEW}") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: {one_line(str(error), 200)}; {_ANEW}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    return card


_ANEW = "`python -m trainers RECIPE` writes it anew"


def _parsed(data: bytes) -> dict[str, Any]:
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES:,} bytes are no card")
    value = json.loads(data)
    if not isinstance(value, dict):
        raise TypeError("holds no card")
    if value.get("card") != VERSION:
        found = one_line(repr(value.get("card")), 40)
        raise ValueError(f"is a card of version {found}; this program reads {VERSION}")
    return value


def _refuse_odd(path: Path, card: Card) -> None:
    """A card whose parts do not fit each other."""
    if min(card.input.deviation) <= 0:
        raise ValueError("input.deviation: must be above 0")
    try:
        classes = card.built.backbone.classes
    except ArchitectureError as error:
        raise ValueError(f"architecture: {error}") from None
    if classes != len(card.class_names):
        message = f"names {len(card.class_names)} classes, and the network has {classes}"
        raise InputError(f"{path}: {message}; {_ANEW}")


def refuse_damaged_weights(folder: Path, card: Card) -> None:
    """Raises InputError where the weights in `folder` are not the ones that the card is of."""
    path = folder / WEIGHTS
    told = card.files.get(WEIGHTS, {}).get("sha256")
    if not path.is_file():
        raise InputError(f"{path} is missing; {_ANEW}")
    if told != sha256(path):
        raise InputError(
            f"{path}: its SHA-256 is not the one in {JSON}: it is damaged or was changed; restore "
            f"it, or remove both and {_ANEW}"
        )


def is_current(folder: Path, trained: Trained) -> bool:
    """Whether the card in `folder` is of these trainings, and all its files are there, unchanged.

    Not where ONNX was missing and can be had now.
    """
    try:
        facts = _parsed((folder / JSON).read_bytes())
        known = facts["digest"] == trained.job.digest and facts["results"] == _results(trained)
        whole = known and facts["files"] == file_facts(folder) and (folder / TEXT).is_file()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    return whole and (facts.get("no_onnx") is None or onnx_model.missing() is not None)
