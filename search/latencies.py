"""Which candidates' latencies are predicted, and how many milliseconds that makes."""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from models.architecture import Architecture
from search.latency_model import LatencyModel
from search.rough_latency import RoughLatency
from search.sampling.growth import last_step
from search.sampling.one_thread import one_thread
from search.trial import Trial
from trainers.config import LatencyConfig

REFIT = 1.1  # times as many measurements as the last fit had
MOST_KEPT = 50_000  # predictions that are kept
MOST = 300  # measurements that are fitted, the latest; time and memory grow with their square


class Latencies:
    """What the measured trials of a study say of other architectures.

    A prediction is used where its 95 % interval lies within `settings.predicted_within` and does
    not hold the budget; all others are measured.
    """

    def __init__(
        self, settings: LatencyConfig, image_size: int, budget_ms: float | None = None
    ) -> None:
        self._settings, self._image_size, self._budget_ms = settings, image_size, budget_ms
        self._known: list[tuple[Architecture, float]] = []
        self._rough: RoughLatency | None = None
        self._fitted: _Fitted | None = None
        self._is_stale = False

    def measured(self, trials: Iterable[Trial]) -> None:
        """Takes in the study's trials after one more was measured."""
        known = [(t.architecture, t.latency.ratio) for t in trials if t.latency]
        if known != self._known:
            self._known, self._rough, self._is_stale = known, None, True

    @property
    def facts(self) -> dict[str, float | None]:
        """What is predicted from, for the record: how many measurements, and how well."""
        error = self._fitted.error if self._fitted else math.inf
        return {
            "measured": len(self._fitted.by) if self._fitted else 0,
            "error": error if math.isfinite(error) else None,
        }

    def predict(self, architecture: Architecture, reference_ms: float | None) -> float | None:
        """Milliseconds, `reference_ms` being those of the plain backbone; None: to be measured."""
        if self._settings.measure == "every" or reference_ms is None or not self._known:
            return None
        predicted = self._refitted().predict(architecture)
        if predicted is None or predicted.half_width > self._settings.predicted_within:
            return None
        latency_ms, off = predicted.ratio * reference_ms, predicted.half_width
        if self._budget_ms and (1 - off) * latency_ms <= self._budget_ms <= (1 + off) * latency_ms:
            return None
        return latency_ms

    def ratio(self, architecture: Architecture) -> float:
        """The ratio to the plain backbone's latency, however doubtful."""
        ratio = self._refitted().ratio(architecture) if self._known else None
        return self._guess(architecture) if ratio is None else ratio

    def estimate(self, architecture: Architecture) -> tuple[float, float]:
        """What `ratio` gives, and its relative doubt.

        The doubt is the half-width of the 95 % interval; infinite for a guess by MACs.
        """
        predicted = self._refitted().predict(architecture) if self._known else None
        if predicted is None:
            return self._guess(architecture), math.inf
        return predicted.ratio, predicted.half_width

    def _guess(self, architecture: Architecture) -> float:
        if self._rough is None:
            self._rough = RoughLatency(self._image_size, self._known[-MOST:])
        return self._rough.ratio(architecture)

    def _refitted(self) -> "_Fitted":
        """The model, fitted again where there is enough new: it takes a second of 300."""
        if self._fitted is None or self._is_stale:
            by = self._known[: last_step(len(self._known), 1, REFIT)][-MOST:]
            if self._fitted is None or self._fitted.by != by:
                self._fitted = _Fitted(self._image_size, by)
            self._is_stale = False
        return self._fitted

    def at_best(self, trial: Trial) -> Trial:
        """The trial with the latency it has if its prediction is as much too high as tolerated."""
        return self._moved(trial, 1 - self._settings.predicted_within)

    def at_worst(self, trial: Trial) -> Trial:
        """The trial with the latency it has if its prediction is as much too low as tolerated."""
        return self._moved(trial, 1 + self._settings.predicted_within)

    def _moved(self, trial: Trial, factor: float) -> Trial:
        if trial.latency_ms is None or not trial.latency_predicted:
            return trial
        return replace(trial, latency_ms=factor * trial.latency_ms)


class _Fitted:
    """A model of `by`, which remembers what it said: a sampler asks again and again."""

    def __init__(self, image_size: int, by: list[tuple[Architecture, float]]) -> None:
        with one_thread():
            model = LatencyModel(image_size, by)
        self.by, self.error = by, model.error
        self.ratio = lru_cache(MOST_KEPT)(model.ratio)
        self.predict = lru_cache(MOST_KEPT)(model.predict)
