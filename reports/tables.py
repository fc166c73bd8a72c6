"""A study as tables: one row per trial, and the front with its gains over the baseline."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from reports.evidence import Difference, Final
from reports.gains import baseline_of, gain_over
from reports.wording import latency_p90_ms
from search.effects import Effect
from search.front import front
from search.trial import Trial

TRIAL = "trial"
PLACEMENTS = "placements"
VAL_ACCURACY = "val_accuracy"
GAIN = "gain"
GAIN_INTERVAL = "gain_interval"
WITHIN_NOISE = "within_noise"

# Column -> dtype, in the order of the columns; all can hold missing values.
TRIAL_COLUMNS: Mapping[str, str] = {
    TRIAL: "Int64",
    "state": "string",
    "role": "string",
    "name": "string",
    "reason": "string",
    "architecture_id": "string",
    PLACEMENTS: "string",
    VAL_ACCURACY: "Float64",
    "params": "Int64",
    "summary_params": "Int64",
    "macs": "Int64",
    "latency_ms": "Float64",
    "latency_source": "string",
    "latency_ratio": "Float64",
    "latency_ratio_interval": "Float64",
    "latency_control": "Float64",
    "latency_p90_ms": "Float64",
    "latency_engine": "string",
    "latency_clock": "string",
    "latency_core": "Int64",
    "latency_batch": "Int64",
    "latency_rounds": "Int64",
    "latency_quiet": "boolean",
    "predicted_ms": "Float64",
    "epochs": "Int64",
    "train_seconds": "Float64",
    "images_per_second": "Float64",
    "threads": "Int64",
    "device": "string",
    "precision": "string",
    "micro_batches": "Int64",
    "host": "string",
    "seed": "Int64",
    "of_trial": "Int64",
    "test_accuracy": "Float64",
    "test_images": "Int64",
}
FRONT_COLUMNS: Mapping[str, str] = {
    **TRIAL_COLUMNS,
    GAIN: "Float64",
    GAIN_INTERVAL: "Float64",
    WITHIN_NOISE: "boolean",
}
FINAL_COLUMNS: Mapping[str, str] = {
    "of_trial": "Int64",
    "kind": "string",
    PLACEMENTS: "string",
    "params": "Int64",
    "epochs": "Int64",
    "seeds": "Int64",
    "test_accuracy": "Float64",
    "test_low": "Float64",
    "test_high": "Float64",
    "sd_of_seeds": "Float64",
}
DIFFERENCE_COLUMNS: Mapping[str, str] = {
    "of_trial": "Int64",
    "against": "string",
    "against_placements": "string",
    "pairs": "Int64",
    GAIN: "Float64",
    "gain_low": "Float64",
    "gain_high": "Float64",
    "p": "Float64",
    "p_corrected": "Float64",
    "real": "boolean",
}
EFFECT_COLUMNS: Mapping[str, str] = {
    "property": "string",
    "value": "string",
    "trials": "Int64",
    "model_gain": "Float64",
    "model_low": "Float64",
    "model_high": "Float64",
    "trials_gain": "Float64",
    "trials_low": "Float64",
    "trials_high": "Float64",
}
CURVE_COLUMNS: Mapping[str, str] = {
    TRIAL: "Int64",
    "epoch": "Int64",
    VAL_ACCURACY: "Float64",
    "val_loss": "Float64",
    "train_loss": "Float64",
    "train_seconds": "Float64",
    "validation_seconds": "Float64",
    "images_per_second": "Float64",
}


def trials_table(trials: Iterable[Trial]) -> pd.DataFrame:
    """One row per trial, by number.

    Accuracies are fractions, `epochs` are those that were done. `latency_ratio` is to the plain
    backbone, ± `latency_ratio_interval`; `latency_control` is that of two plain backbones.
    `predicted_ms` is what was predicted before a measurement, if anything was. A finalist was
    trained with `seed` for the trial `of_trial`; all others with the study's seed.
    """
    rows = [_trial_row(trial) for trial in sorted(trials, key=lambda trial: trial.number)]
    return _frame(rows, TRIAL_COLUMNS)


def front_table(
    trials: Sequence[Trial], objectives: Sequence[str], validation_images: int
) -> pd.DataFrame:
    """The front by falling accuracy, with each member's gain over the baseline.

    `gain` is the difference of the validation accuracies (a fraction), `gain_interval` half its
    95 % interval from the number of validation images, `within_noise` whether the gain is no
    larger. The baseline's own gain is 0 with no interval; without a baseline all are missing.
    """
    baseline = baseline_of(trials)
    members = front(trials, objectives)
    rows = [_trial_row(t) | _gain_row(t, baseline, validation_images) for t in members]
    return _frame(rows, FRONT_COLUMNS)


def effects_table(effects: Iterable[Effect]) -> pd.DataFrame:
    """One row per property of placements: what it is worth, with 95 % intervals.

    Gains are differences of validation accuracies (fractions). `model_gain` is that of one such
    placement by the model, in the mean over the `trials` candidates that have it and were trained,
    if only for a part; `trials_gain` is the mean accuracy of those trained to the end less that of
    all others.
    """
    return _frame([_effect_row(effect) for effect in effects], EFFECT_COLUMNS)


def finalists_table(study_finals: Iterable[Final]) -> pd.DataFrame:
    """One row per network that was judged by the test split; accuracies are fractions.

    `test_low` and `test_high`: the 95 % interval over seeds and images.
    """
    return _frame([_final_row(final) for final in study_finals], FINAL_COLUMNS)


def differences_table(differences: Iterable[Difference]) -> pd.DataFrame:
    """One row per comparison of a finalist, with its 95 % interval; `p_corrected` by Holm."""
    return _frame([_difference_row(each) for each in differences], DIFFERENCE_COLUMNS)


def curves_table(trials: Iterable[Trial]) -> pd.DataFrame:
    """One row per trial and epoch; accuracies are fractions, losses means over images."""
    rows = [
        {TRIAL: trial.number, **vars(epoch)}
        for trial in sorted(trials, key=lambda trial: trial.number)
        for epoch in trial.curve
    ]
    return _frame(rows, CURVE_COLUMNS)


def to_csv(table: pd.DataFrame) -> str:
    """The table as CSV text: six decimals for every number that is not a count.

    Texts that a spreadsheet would take for formulas get an apostrophe, and what moves its cursor
    becomes a space: a study may be anybody's.
    """
    safe = table.copy()
    for name, kind in table.dtypes.items():
        if kind == "string":
            printed = table[name].str.replace(
                r"[^\S \n]|[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", " ", regex=True
            )
            safe[name] = printed.str.replace(r"^(?=[=+@-])", "'", regex=True)
    return str(safe.to_csv(index=False, float_format="%.6f", lineterminator="\n"))


def _frame(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> pd.DataFrame:
    data = {
        name: pd.array([row[name] for row in rows], dtype=dtype)  # type: ignore[call-overload]
        for name, dtype in columns.items()
    }
    return pd.DataFrame(data)


def _effect_row(effect: Effect) -> dict[str, object]:
    row: dict[str, object] = {
        "property": effect.kind,
        "value": effect.value,
        "trials": effect.trials,
    }
    for name, gain in (("model", effect.by_model), ("trials", effect.by_trials)):
        row[f"{name}_gain"] = gain.value if gain else None
        row[f"{name}_low"] = gain.low if gain else None
        row[f"{name}_high"] = gain.high if gain else None
    return row


def _final_row(final: Final) -> dict[str, object]:
    accuracy = final.accuracy
    return {
        "of_trial": final.trial.number,
        "kind": final.kind.value,
        PLACEMENTS: final.title,
        "params": final.params,
        "epochs": final.runs[0].epochs,
        "seeds": len(final.runs),
        "test_accuracy": final.mean,
        "test_low": accuracy.value - accuracy.half_width if accuracy else None,
        "test_high": accuracy.value + accuracy.half_width if accuracy else None,
        "sd_of_seeds": final.deviation,
    }


def _difference_row(each: Difference) -> dict[str, object]:
    gain = each.gain
    return {
        "of_trial": each.final.trial.number,
        "against": each.reference.kind.value,
        "against_placements": each.reference.title,
        "pairs": len(each.seeds),
        GAIN: gain.value,
        "gain_low": gain.value - gain.half_width,
        "gain_high": gain.value + gain.half_width,
        "p": gain.p,
        "p_corrected": each.p,
        "real": each.real,
    }


def _trial_row(trial: Trial) -> dict[str, object]:
    latency, worker = trial.latency, trial.worker
    return {
        TRIAL: trial.number,
        "state": trial.state.value,
        "role": trial.role.value,
        "name": trial.name or None,
        "reason": trial.reason or None,
        "architecture_id": trial.architecture_id,
        PLACEMENTS: trial.architecture.describe(),
        VAL_ACCURACY: trial.val_accuracy,
        "params": trial.params,
        "summary_params": trial.summary_params,
        "macs": trial.macs,
        "latency_ms": trial.latency_ms,
        "latency_source": _source(trial),
        "latency_ratio": latency.ratio if latency else None,
        "latency_ratio_interval": latency.ratio * latency.half_width if latency else None,
        "latency_control": latency.control if latency else None,
        "latency_p90_ms": latency_p90_ms(trial),
        "latency_engine": latency.engine if latency else None,
        "latency_clock": latency.clock if latency else None,
        "latency_core": latency.core if latency else None,
        "latency_batch": latency.batch if latency else None,
        "latency_rounds": latency.rounds if latency else None,
        "latency_quiet": latency.quiet if latency else None,
        "predicted_ms": trial.predicted_ms,
        "epochs": len(trial.curve),
        "train_seconds": trial.train_seconds if trial.curve else None,
        "images_per_second": trial.images_per_second,
        "threads": worker.threads if worker else None,
        "device": worker.device if worker else None,
        "precision": worker.precision if worker else None,
        "micro_batches": trial.micro_batches,
        "host": worker.host if worker else None,
        "seed": trial.seed,
        "of_trial": trial.of,
        "test_accuracy": trial.judged.accuracy if trial.judged else None,
        "test_images": trial.judged.images if trial.judged else None,
    }


def _source(trial: Trial) -> str | None:
    if trial.latency_ms is None:
        return None
    return "predicted" if trial.latency_predicted else "measured"


def _gain_row(trial: Trial, baseline: Trial | None, images: int) -> dict[str, object]:
    if baseline is not None and trial.number == baseline.number:
        return {GAIN: 0.0, GAIN_INTERVAL: None, WITHIN_NOISE: None}
    gained = gain_over(trial, baseline, images)
    if gained is None:
        return {GAIN: None, GAIN_INTERVAL: None, WITHIN_NOISE: None}
    return {
        GAIN: gained.value,
        GAIN_INTERVAL: gained.half_width,
        WITHIN_NOISE: gained.within_noise,
    }
