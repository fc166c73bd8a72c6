"""What a search noted of itself, looked through before it is shown: a study may be anybody's."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from models.architecture import Slot

if TYPE_CHECKING:
    from reports.study import Study

OBJECTIVES = {"val_accuracy", "params", "macs", "latency_ms"}
MOST_SLOTS = 10_000  # of a backbone that is drawn; ResNet-101 has 132
SECTIONS = ("backbone", "data", "training", "search", "latency", "objectives")


def check_facts(study: "Study") -> None:
    """Raises ValueError or KeyError for what a report cannot be written of."""
    space = study.space
    groups = {name: space[name] for name in SECTIONS if name in space}
    groups |= {"placement": space.get("placement") or {}, "machine": study.machine}
    groups |= {"data as noted": study.data, "search as noted": study.search}
    groups |= {"latency_model": study.latency_model}
    for name, value in groups.items():
        _need(name, value, isinstance(value, Mapping))
    _need("objectives", study.objectives, set(study.objectives) <= OBJECTIVES)
    _need_count("validation_images", space["data"]["validation_images"], least=1)
    _need_count("search.seed", study.seed)
    _need_count("search.trials", study.search.get("trials"))
    _need_count("architectures", study.architectures)
    _need_number("latency.precision", space.get("latency", {}).get("precision"))
    _need_number("latency_model.error", study.latency_model.get("error"))
    attention = groups["placement"].get("attention", {})
    _need("placement.attention", attention, isinstance(attention, Mapping))
    _need_texts(study)


def read_slots(noted: Any) -> dict[Slot, tuple[int, ...]]:
    """The backbone's slots with the shapes of their maps. Raises ValueError for other facts."""
    _need("slots", noted, isinstance(noted, Mapping) and len(noted) <= MOST_SLOTS)
    for name, shape in noted.items():
        fine = isinstance(shape, list) and len(shape) == 3
        _need(f"shape at {str(name)[:60]!r}", shape, fine)
        for side in shape:
            _need_count(f"shape at {str(name)[:60]!r}", side, least=1)
    return {Slot.parse(name): tuple(shape) for name, shape in noted.items()}


def _need_texts(study: "Study") -> None:
    training = study.space.get("training", {})
    texts = {"storage": study.storage, "training.start": training.get("start", "scratch")}
    if study.start is not None:
        texts |= {"start.path": study.start.path, "start.checksum": study.start.checksum}
    for name, value in texts.items():
        unknown = value is None and name == "storage"
        _need(name, value, unknown or isinstance(value, str))


def _need_count(name: str, value: Any, least: int = 0) -> None:
    unknown = value is None and not least
    _need(name, value, unknown or (type(value) is int and least <= value < 1 << 63))


def _need_number(name: str, value: Any) -> None:
    fine = value is None or (type(value) in {int, float} and math.isfinite(value))
    _need(name, value, fine)


def _need(name: str, value: object, fine: bool) -> None:
    if not fine:
        raise ValueError(f"its {name} is {type(value).__name__} {str(value)[:60]!r}")
