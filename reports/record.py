"""`report.json`: all that a report says, for programs. `docs/report.md` describes it."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from models.printable import encodable
from reports.answer import noise_sentence
from reports.findings import Findings
from reports.study import Study
from reports.tables import (
    curves_table,
    differences_table,
    effects_table,
    finalists_table,
    front_table,
    trials_table,
)
from search.picks import picks

FORMAT = "attention-placement-search report"
VERSION = 1
"""Rises where a program that reads the older one would go wrong; new keys may come any time."""


def record(study: Study, findings: Findings) -> str:
    """The report as JSON text; the same text for the same study."""
    images = study.validation_images
    trials = (*study.trials, *study.scratch, *study.finalists)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "study": _study(study),
        "answer": {
            "picks": [
                {"trial": pick.trial.number, "labels": [label.value for label in pick.labels]}
                for pick in picks(study.trials, study.objectives)
            ],
            "baseline": None if study.baseline is None else study.baseline.number,
            "controls": [control.number for control in study.controls],
            "verdict": noise_sentence(study.trials, study.objectives, images),
        },
        "trials": _rows(trials_table(trials)),
        "architectures": {
            str(trial.number): json.loads(trial.architecture.to_json()) for trial in trials
        },
        "finalists": _rows(finalists_table(study.finals)),
        "comparisons": _rows(differences_table(study.differences)),
        "front": _rows(front_table(study.trials, study.objectives, images)),
        "curves": _rows(curves_table(trials)),
        "effects": _rows(effects_table(findings.effects)),
        "hypervolume": [asdict(moment) for moment in findings.growth],
        "importances": asdict(findings.importances),
    }
    return json.dumps(_plain(content), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _study(study: Study) -> dict[str, Any]:
    return {
        "name": study.name,
        "objectives": study.objectives,
        "validation_images": study.validation_images,
        "seed": study.seed,
        "epochs": study.epochs,
        "architectures": study.architectures,
        "space": study.space,
        "data": study.data,
        "machine": study.machine,
        "search": study.search,
        "latency_model": study.latency_model,
        "slots": {str(slot): shape for slot, shape in study.slots.items()},
        "source": study.source,
        "command": study.command,
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    records = table.astype(object).where(table.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in records]


def _plain(value: Any) -> Any:
    """What JSON can hold: no NaN and infinities, which are null, and no lone surrogates."""
    if isinstance(value, Mapping):
        return {encodable(str(name)): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return encodable(value) if isinstance(value, str) else value
