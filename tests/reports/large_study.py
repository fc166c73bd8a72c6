"""A study of 300 trials, made up by formula: as many as a search of a day has.

To look at its report: `PYTHONPATH=.:tests/reports python tests/reports/large_study.py runs/large`
"""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from example_study import OBJECTIVES, SPACE, WORKER, architecture

from benchmarks.made_latencies import made_latency
from models.architecture import Architecture, Slot
from models.cost import Cost
from reports.write import write_report
from search.ledger import Ledger, Proposal
from search.trial import Role
from trainers.messages import EpochResult, Failed

TRIALS = 300
EPOCHS = 12
PARAMS, MACS, MS = 701_466, 35_480_000, 4.1
POSITIONS = ("after_conv1", "before_add", "after_block")
SLOTS = {
    str(Slot(stage, block, position)): [16 << (stage - 1), 32 >> (stage - 1), 32 >> (stage - 1)]
    for stage in (1, 2, 3, 4)
    for block in (1, 2)
    for position in POSITIONS
}
# Block -> its options, what it gains, what it costs of parameters and milliseconds.
BLOCKS: dict[str, tuple[tuple[str, ...], float, int, float]] = {
    "se": (("reduction=4", "reduction=16"), 0.011, 2048, 0.10),
    "gc": (
        (
            "fusion=add, pooling=attention, ratio=0.25",
            "fusion=mul, pooling=attention, ratio=0.0625",
        ),
        0.009,
        4100,
        0.16,
    ),
    "eca": (("kernel=3", "kernel=5"), 0.007, 5, 0.06),
    "nonlocal": (("bottleneck_ratio=0.5, mode=embedded_gaussian",), 0.015, 16_600, 0.55),
    "cbam": (("reduction=16, spatial=true",), 0.004, 2146, 0.31),
    "simam": (("e_lambda=0.0001",), -0.004, 0, 0.09),
}
LARGE_SPACE: dict[str, Any] = {
    **SPACE,
    "backbone": {"name": "resnet18", "stem": "cifar", "width": 0.25, "classes": 10},
    "placement": {"stages": None, "at_most": 3, "attention": {name: {} for name in BLOCKS}},
    "training": {**SPACE["training"], "epochs": EPOCHS},
    "objectives": {**SPACE["objectives"], "max_params": 760_000},
}


def fill_large(ledger: Ledger, trials: int = TRIALS) -> None:
    """Baseline, control and candidates of which many are stopped early, some fail or cost too much.

    Each trial is as good as its placements' gains by stage and position, and noise.
    """
    ledger.note("machine", {"processor": "Example CPU", "cores": 8, "paddle": "3.3.1"})
    ledger.note("data", {"name": "cifar10", "checksum": "0123abcd", "train_images": 20000})
    ledger.note("search", {"trials": trials, "workers": 4, "sampler": "ehvi"})
    ledger.note("command", "python run_search.py --space spaces/large.yaml")
    ledger.note("architectures", 1_234_567)
    ledger.note("slots", SLOTS)
    generator = np.random.default_rng(7)
    plain, control = architecture(), architecture("stage4.block2.after_block=residual")
    for placed, role in ((plain, Role.BASELINE), (control, Role.CONTROL)):
        added, ms = (0, 0.0) if placed is plain else (36_992, 0.42)
        number = _begin(ledger, placed, added, ms, role)
        ledger.epoch(number, _curve(0.872 + 0.004 * bool(added), EPOCHS, generator))
        ledger.complete(number)
    for _ in range(2, trials):
        _candidate(ledger, generator)


def _candidate(ledger: Ledger, generator: np.random.Generator) -> None:
    slots = generator.choice(list(SLOTS), size=int(generator.integers(1, 4)), replace=False)
    texts, gain, added, ms = [], 0.0, 0, 0.0
    for slot in slots:
        name = str(generator.choice(list(BLOCKS)))
        options, its, params, time = BLOCKS[name]
        texts.append(f"{slot}={name}({generator.choice(options)})")
        stage = Slot.parse(str(slot)).stage
        gain += its * (0.4 + 0.35 * stage / 2) * (0.3 if "after_conv1" in slot else 1.0)
        added += params * (1 << (stage - 1))
        ms += time * (2.0 if name == "nonlocal" and stage == 1 else 1.0)
    number = _begin(ledger, architecture(*texts), added, ms, Role.CANDIDATE)
    if ledger.frozen(number).state.is_finished():
        return  # over a budget
    if generator.random() < 0.03:
        ledger.fail(number, Failed("diverged: the loss is not a number in epoch 3", "Traceback"))
        return
    accuracy = 0.872 + gain + float(generator.normal(0, 0.004))
    hopeless = accuracy < 0.884 and generator.random() < 0.8
    epochs = int(generator.integers(3, 7)) if hopeless else EPOCHS
    ledger.epoch(number, _curve(accuracy, epochs, generator))
    if hopeless:
        ledger.stop(
            number, f"curve: epoch {epochs} leads to expect {accuracy:.4f}, trial 0 has more"
        )
    else:
        ledger.complete(number)


def _begin(ledger: Ledger, placed: Architecture, added: int, ms: float, role: Role) -> int:
    cost = Cost(PARAMS + added, 2400, MACS + 40 * added)
    number = ledger.begin(Proposal(placed, role), cost, EPOCHS)
    if not ledger.frozen(number).state.is_finished():
        ledger.built(number, WORKER)
        ledger.measured(number, made_latency(MS + ms, reference_ms=MS))
    return number


def _curve(accuracy: float, epochs: int, generator: np.random.Generator) -> list[EpochResult]:
    noise = generator.normal(0, 0.006, EPOCHS).tolist()
    noise[-1] = 0.0
    shape = [1 - 0.55 * math.exp(-3.2 * n / EPOCHS) for n in range(1, EPOCHS + 1)]
    values = [accuracy * (s / shape[-1]) + e for s, e in zip(shape, noise, strict=True)]
    return [
        EpochResult(n, round(float(v), 4), 1.0, 1.5, 21.0, 2.0, 950.0)
        for n, v in enumerate(values[:epochs], 1)
    ]


def large_ledger(trials: int = TRIALS) -> Ledger:
    """The study in memory, which takes a second where a file takes half a minute."""
    storage = optuna.storages.InMemoryStorage()
    Ledger.create(storage, "large", OBJECTIVES, LARGE_SPACE)
    ledger = Ledger(optuna.load_study(study_name="large", storage=storage), storage)
    fill_large(ledger, trials)
    return ledger


def make_large_study(folder: Path, trials: int = TRIALS) -> Path:
    """The study in a new folder `large` of `folder`; returns that."""
    run_folder = folder / "large"
    run_folder.mkdir(parents=True)
    made = large_ledger(trials)
    on_disk = Ledger.open(run_folder, OBJECTIVES, LARGE_SPACE)
    for key in ("machine", "data", "search", "command", "architectures", "slots"):
        on_disk.note(key, made.facts(key))
    for number in range(trials):
        on_disk.study.add_trial(made.frozen(number))
    return run_folder


if __name__ == "__main__":
    print(write_report(make_large_study(Path(sys.argv[1]))))  # noqa: T201
