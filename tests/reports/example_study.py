"""Trials for tests, and a small real study whose report is kept in `golden/`.

After a wanted change of the report: `PYTHONPATH=. python tests/reports/example_study.py`
"""

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.made_latencies import made_latency
from models.architecture import Architecture, Backbone, Block, Placement, Slot
from models.cost import Cost
from reports.write import write_report
from search.ledger import Ledger, Proposal
from search.trial import Role, State, Trial
from trainers.messages import EpochResult, Failed, Latency, Worker

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_FILES = ("report.md", "trials.csv", "pareto.csv", "effects.csv", "report.json")
OBJECTIVES = ("val_accuracy", "params", "latency_ms")
EPOCHS = 2
IMAGES = 5000
WORKER = Worker("worker-a", 1, "Example CPU", "cpu", 1, "3.3.1", None)

SPACE: dict[str, Any] = {
    "backbone": {"name": "resnet18", "stem": "cifar", "width": 1.0, "classes": 10},
    "data": {
        "name": "cifar10",
        "image_size": 32,
        "train_images": 20000,
        "validation_images": IMAGES,
        "split_seed": 0,
        "augmentation": {"crop_padding": 4, "flip": True, "cutout": 0},
    },
    "placement": {
        "stages": [3, 4],
        "blocks": None,
        "positions": None,
        "at_most": 2,
        "attention": {"se": {"reduction": [4, 16]}, "gc": {"ratio": [0.0625, 0.25]}, "bridge": {}},
    },
    "training": {
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "milestones": [0.3, 0.6, 0.9],
        "epochs": EPOCHS,
        "batch_size": 128,
    },
    "objectives": {
        "minimize": ["params", "latency_ms"],
        "max_params": 11_600_000,
        "max_latency_ms": None,
    },
    "search": {"seed": 0, "control_slot": None},
}


def architecture(*placements: str) -> Architecture:
    """`architecture("stage3.block2.before_add=se(reduction=4)")`."""
    return Architecture(Backbone(), tuple(map(_placement, placements)))


def _placement(text: str) -> Placement:
    slot, _, block = text.partition("=")
    name, _, rest = block.rstrip(")").partition("(")
    pairs = (pair.split("=") for pair in rest.split(", ") if pair)
    return Placement(Slot.parse(slot), Block(name, tuple((k, _value(v)) for k, v in pairs)))


def _value(text: str) -> float | str:
    return float(text) if "." in text else int(text) if text.isdigit() else text


SE = architecture("stage3.block2.before_add=se(reduction=4)")
GC = architecture("stage3.block2.before_add=gc(fusion=add, pooling=attention, ratio=0.25)")
BRIDGE = architecture("stage4.block1.before_add=bridge(reduction=16)")
MIXED = architecture("stage3.block1.after_add=se(reduction=16)", "stage4.block2.after_add=gc")
BEATEN = architecture("stage4.block2.before_add=se(reduction=16)")
RESIDUAL = architecture("stage4.block2.after_add=residual")


def curve(*accuracies: float) -> tuple[EpochResult, ...]:
    return tuple(
        EpochResult(n, accuracy, 1.0, 1.5, 20.0, 2.0, 1000.0)
        for n, accuracy in enumerate(accuracies, start=1)
    )


def latency(median_ms: float) -> Latency:
    return made_latency(median_ms, reference_ms=10.0)


def trial(
    number: int,
    *accuracies: float,
    state: State = State.COMPLETE,
    role: Role = Role.CANDIDATE,
    placed: Architecture = SE,
    params: int = 11_200_000,
    latency_ms: float | None = 10.0,
    reason: str = "",
    name: str = "",
) -> Trial:
    return Trial(
        number=number,
        state=state,
        role=role,
        architecture=placed,
        params=params,
        summary_params=params + 9600,
        macs=556_000_000,
        latency_ms=latency_ms,
        latency=None if latency_ms is None else latency(latency_ms),
        worker=None if latency_ms is None else WORKER,
        curve=curve(*accuracies),
        reason=reason,
        over_budget=(),
        epochs=EPOCHS,
        name=name,
    )


def fill(ledger: Ledger) -> None:
    """Twelve trials of every state and role, one of them with a name."""
    ledger.note("machine", {"processor": "Example CPU", "cores": 4, "paddle": "3.3.1"})
    ledger.note("data", {"name": "cifar10", "checksum": "0123abcd", "split_sha256": "4567ef"})
    ledger.note(
        "search",
        {
            "trials": 12,
            "workers": 2,
            "sampler": "ehvi",
            "early_stopping": {"rule": "curve", "risk": 0.05, "grace_epochs": 1},
            "timeout_minutes": None,
        },
    )
    ledger.note("source", "spaces/example.yaml")
    ledger.note("command", "python run_search.py spaces/example.yaml")
    ledger.note("architectures", 11305)
    baseline = add(ledger, Architecture(Backbone()), 11_173_962, 10.0, 0.80, 0.9000, Role.BASELINE)
    control = add(ledger, RESIDUAL, 11_500_000, 11.0, 0.80, 0.9040, Role.CONTROL)
    for number in (
        baseline,
        control,
        add(ledger, SE, 11_207_754, 10.4, 0.81, 0.9060),
        add(ledger, GC, 11_239_755, 10.9, 0.82, 0.9180),
    ):
        ledger.complete(number)
    bad = add(ledger, architecture("stage3.block1.after_add=se"), 11_300_000, 10.9, 0.41)
    expected = "leads to expect 0.5200 (± 3.1% of the error)"
    rival = "where trial 0, which costs no more, has 0.9000"
    ledger.stop(bad, f"curve: 0.4100 in epoch 1 {expected}, {rival}")
    add(ledger, architecture("stage4.block1.after_add=residual"), 12_000_000, None)
    dead = add(ledger, architecture("stage3.block1.after_add=gc"), 11_300_000, None)
    ledger.fail(dead, Failed("worker died: killed | by signal 9 <oom>\nsee the log", "Traceback"))
    ledger.complete(add(ledger, MIXED, 11_400_000, 11.5, 0.82, 0.9110))
    bridge = add(ledger, BRIDGE, 11_190_000, 10.1, 0.82, 0.9020, name="bridge at stage 4")
    ledger.complete(bridge)
    add(ledger, architecture("stage4.block1.after_add=gc"), 11_300_000, 10.8)
    ledger.complete(add(ledger, BEATEN, 11_300_000, 11.1, 0.81, 0.8850))
    flat = add(ledger, architecture("stage4.block1.after_add=se"), 11_250_000, 9.9, 0.79)
    ledger.stop(flat, "patience: no improvement in 1 epochs over 0.7900")


def add(
    ledger: Ledger,
    placed: Architecture,
    params: int,
    latency_ms: float | None,
    *accuracies_and_role: float | Role,
    name: str = "",
) -> int:
    roles = [item for item in accuracies_and_role if isinstance(item, Role)]
    accuracies = [item for item in accuracies_and_role if not isinstance(item, Role)]
    proposal = Proposal(placed, *roles, name=name)
    number = ledger.begin(proposal, Cost(params, 9600, 556_000_000 + params), EPOCHS)
    if latency_ms is not None:
        ledger.built(number, WORKER)
        ledger.measured(number, latency(latency_ms))
    if accuracies:
        ledger.epoch(number, curve(*accuracies))
    return number


def make_study(folder: Path) -> Path:
    """The example study in a new folder `example` of `folder`; returns that."""
    run_folder = folder / "example"
    run_folder.mkdir(parents=True)
    fill(Ledger.open(run_folder, OBJECTIVES, SPACE))
    return run_folder


def write_from_parent(run_folder: Path) -> Path:
    """Writes the report under the path `runs/example`, which it repeats; returns its folder."""
    with contextlib.chdir(run_folder.parents[1]):
        return write_report(run_folder.relative_to(Path.cwd())).absolute()


def regenerate() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        report = write_from_parent(make_study(Path(temporary) / "runs"))
        GOLDEN.mkdir(exist_ok=True)
        for name in GOLDEN_FILES:
            shutil.copyfile(report / name, GOLDEN / name)


if __name__ == "__main__":
    regenerate()
