"""Whether an exported model computes what the trained network does, on real images and on noise."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.errors import ProgramError
from trainers.engine import Answers, Images

TOLERANCE = 1e-4
"""The largest difference of a logit that is let pass, as a part of the logits' scale.

The scale is the largest logit of the batch, or 1 where all are smaller. Rounding in float32 grows
with the numbers that are added up, so an absolute limit would refuse well-trained networks, whose
logits are large. Probabilities would hide errors: where a network is sure, they hardly change.
"""

RANDOM_BATCHES = (1, 5)


class ParityError(ProgramError):
    """An exported model computes something else than the network."""

    exit_code = 6


def samples(images: Images) -> list[Images]:
    """What models are compared on: real `images` [N, 3, H, W] together and one alone, and noise."""
    rng = np.random.default_rng(0)
    shape = images.shape[1:]
    noise = [rng.normal(size=(n, *shape)).astype(np.float32) for n in RANDOM_BATCHES]
    return [images, images[:1], *noise]


def difference(found: Images, expected: Images) -> float:
    """The largest difference of a logit, as a part of the scale; infinite where it is no number."""
    if found.shape != expected.shape or not np.isfinite(expected).all():
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max()))
    worst = float(np.abs(found.astype(np.float64) - expected).max()) / scale
    return worst if np.isfinite(worst) else float("inf")


def check_parity(
    network: Answers, exported: Mapping[str, Answers], batches: Sequence[Images]
) -> dict[str, float]:
    """The largest `difference` over all `batches` of each exported model, by its name.

    Raises ParityError, naming the model and the batch, for one that is beyond `TOLERANCE`.
    """
    worst = dict.fromkeys(exported, 0.0)
    for batch in batches:
        expected = network(batch)
        for name, answers in exported.items():
            found = _answer(name, answers, batch)
            off = difference(found, expected)
            if not off <= TOLERANCE:
                raise ParityError(
                    f"{name}: its logits are off by {off:.2g} of their scale at {len(batch)} "
                    f"images; allowed: {TOLERANCE:g}. It does not compute what the trained network "
                    "does, so nothing was exported; the trained weights are kept"
                )
            worst[name] = max(worst[name], off)
    return worst


def _answer(name: str, answers: Answers, batch: Images) -> Images:
    try:
        return answers(batch)
    except Exception as error:  # whatever an engine raises
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ParityError(
            f"{name}: cannot be run on {len(batch)} images, so nothing was exported; the trained "
            f"weights are kept: {type(error).__name__}: {reason}"
        ) from error
