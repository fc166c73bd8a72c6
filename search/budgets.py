"""Hard limits on what a candidate may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Budgets:
    """Hard limits; None for no limit."""

    max_params: float | None = None
    max_latency_ms: float | None = None

    def exceeded(self, params: float, latency_ms: float | None) -> dict[str, float]:
        """Each budget that is exceeded, with value ÷ budget; an unknown latency exceeds none."""
        pairs = {
            "max_params": (params, self.max_params),
            "max_latency_ms": (latency_ms, self.max_latency_ms),
        }
        ratios = {name: v / b for name, (v, b) in pairs.items() if v is not None and b is not None}
        return {name: ratio for name, ratio in ratios.items() if ratio > 1}
