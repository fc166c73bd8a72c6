"""The surrogate against scikit-learn's own kernels, and its gradient against differences."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

from search.sampling.surrogate import ENOUGH, Known, Parameters, PartsKernel, Surrogate

LEVEL_OF = np.array([0, 0, 0, 1, 1, 2])
REACH = 1.7
SCALES, LINEAR, CURVED, NOISE = np.array([0.7, 0.4, 1.3]), 0.6, 0.8, 0.02


def kernel() -> PartsKernel:
    return PartsKernel(
        LEVEL_OF, reach=REACH, scales=SCALES, linear=LINEAR, curved=CURVED, noise=NOISE
    )


def rows(many: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(many, len(LEVEL_OF)))


def truth(of: np.ndarray) -> np.ndarray:
    return of[:, 0] - 2 * of[:, 3] + np.sin(of[:, 5])


def known(many: int, noise: float = 0.0, seed: int = 0) -> Known:
    of = rows(many, seed)
    losses = truth(of) + noise * np.random.default_rng(seed + 1).normal(size=many)
    return Known(of, losses, np.zeros(many))


def test_the_kernel_is_the_sum_of_scikit_learns() -> None:
    ours = kernel()
    theirs = (
        ConstantKernel(LINEAR) * DotProduct(0.0, "fixed")
        + ConstantKernel(CURVED) * RBF(REACH)
        + WhiteKernel(NOISE)
    )
    one, other = rows(9), rows(5, seed=1)
    scaled = [each * SCALES[LEVEL_OF] for each in (one, other)]
    assert np.allclose(ours(one), theirs(scaled[0]))
    assert np.allclose(ours(one, other), theirs(*scaled))
    assert np.allclose(ours.diag(one), theirs.diag(scaled[0]))
    assert not ours.is_stationary()


def test_predictions_are_scikit_learns() -> None:
    data = known(20)
    theta = kernel().theta
    parameters = Parameters(theta, float(data.losses.mean()), float(data.losses.std()), REACH)
    ours = Surrogate(data, LEVEL_OF, parameters)
    theirs = GaussianProcessRegressor(
        ConstantKernel(LINEAR) * DotProduct(0.0, "fixed") + ConstantKernel(CURVED) * RBF(REACH),
        alpha=NOISE,
        optimizer=None,
        normalize_y=True,
    ).fit(data.rows * SCALES[LEVEL_OF], data.losses)
    new = rows(1300, seed=2)
    mean, deviation = theirs.predict(new * SCALES[LEVEL_OF], return_std=True)
    found = ours.predict(new)
    assert np.allclose(found[0], mean, atol=1e-6)
    assert np.allclose(found[1], deviation, atol=1e-4)


def test_the_gradient_is_that_of_differences() -> None:
    data = known(12)
    start = kernel()
    process = GaussianProcessRegressor(start, optimizer=None).fit(data.rows, data.losses)

    def value(theta: np.ndarray) -> float:
        return process.log_marginal_likelihood(theta)

    def gradient(theta: np.ndarray) -> np.ndarray:
        return process.log_marginal_likelihood(theta, eval_gradient=True)[1]

    assert check_grad(value, gradient, start.theta) < 1e-4
    assert np.abs(gradient(start.theta)).min() > 1e-3, "each is tried"


def test_it_learns_what_matters_and_how_noisy_it_is() -> None:
    model = Surrogate(known(150, noise=0.3), LEVEL_OF)
    new = rows(200, seed=5)
    mean, deviation = model.predict(new)
    assert np.corrcoef(mean, truth(new))[0, 1] > 0.97
    assert model.noise == pytest.approx(0.3, rel=0.25)
    within = np.abs(mean - truth(new)) < 2 * deviation
    assert within.mean() > 0.85


def test_what_is_believed_leaves_means_and_takes_doubt() -> None:
    model = Surrogate(known(15), LEVEL_OF)
    new = rows(4, seed=3)
    before, after = model.predict(new), model.believing(new[:1]).predict(new)
    assert np.allclose(before[0], after[0], atol=1e-6)
    assert after[1][0] < 0.6 * before[1][0]
    assert (after[1] <= before[1] + 1e-9).all()


def test_an_estimate_counts_for_as_much_as_it_is_certain() -> None:
    data, new = known(15), rows(5, seed=4)
    whole = Surrogate(data, LEVEL_OF)
    without = Known(data.rows[1:], data.losses[1:], np.zeros(14))
    least = Surrogate(without, LEVEL_OF, whole.parameters).predict(new)
    for variance, wanted in ((0.0, whole.predict(new)), (1e9, least)):
        doubted = Known(data.rows, data.losses, np.r_[variance, np.zeros(14)])
        found = Surrogate(doubted, LEVEL_OF, whole.parameters).predict(new)
        assert np.allclose(found, wanted, rtol=1e-5)
    assert (least[1] > whole.predict(new)[1]).all()


@pytest.mark.parametrize("losses", [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0 + 1e-13]])
def test_equal_losses_are_no_trouble(losses: list[float]) -> None:
    model = Surrogate(Known(rows(3), np.array(losses), np.zeros(3)), LEVEL_OF)
    mean, deviation = model.predict(rows(5, seed=1))
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


@pytest.mark.parametrize("many", [ENOUGH - 10, ENOUGH + 30])
def test_deviations_at_most_are_no_smaller_and_means_are_those_predicted(many: int) -> None:
    surrogate, others = Surrogate(known(many, 0.1), LEVEL_OF), rows(300, seed=5)
    means, deviations = surrogate.predict(others)
    same, at_most = surrogate.at_most(others)
    assert np.allclose(same, means)
    assert (at_most >= deviations * (1 - 1e-6)).all()
    exact = many <= ENOUGH
    assert np.allclose(at_most, deviations) == exact
