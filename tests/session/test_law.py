"""The curve through a sweep: what was planted is found, and what cannot be known is said to be unknown."""

import numpy as np
import pytest

from inkwright.session.law import Law, Sighting, estimate, fit

SIZES = 1e5 * 3.0 ** np.arange(4)
TRUTH = np.array([0.3, -0.01, 0.006, -0.05, -0.008, -0.02])
"""From the middle of what is tried: bends up, falls with tokens, the best size grows with them, more text helps."""


def sightings(noise: float = 0.0, seed: int = 0, truth: np.ndarray = TRUTH) -> list[Sighting]:
    """What a sweep sees where a law of this form is true; larger models are slower, and see fewer tokens."""
    rng = np.random.default_rng(seed)
    places = [(size, 4e11 / size * length, 1.0) for length in (0.25, 0.25, 1.0) for size in SIZES]
    places += [(SIZES[2], 4e11 / SIZES[2], share) for share in (0.5, 0.25)]
    logs = np.log2(places)
    centre = logs.mean(axis=0)
    n, s = (logs[:, :2] - centre[:2]).T
    features = np.stack([np.ones(len(logs)), n, n**2, s, n * s, logs[:, 2]], axis=1)
    losses = np.exp(features @ truth + noise * rng.standard_normal(len(logs)))
    return [Sighting(*place, loss) for place, loss in zip(places, losses, strict=True)]


def best_size(law: Law, seconds: float = 1.0) -> np.ndarray:
    grid = np.geomspace(SIZES[0] / 100, SIZES[-1] * 100, 2000)
    return grid[law.losses(grid, seconds * 4e11 / grid).argmin(axis=1)]


def test_a_law_without_noise_is_found_again() -> None:
    law = fit(sightings())
    assert law.curves[0] == pytest.approx(TRUTH, abs=1e-9) and law.misfit < 1e-9
    assert law.halved_text().middle == pytest.approx(np.exp(0.02))
    one = sightings()[5]
    assert law.losses(np.array([one.parameters]), np.array([one.tokens]))[0, 0] == pytest.approx(one.loss)


def test_a_longer_time_wants_a_larger_model() -> None:
    law = fit(sightings())
    assert best_size(law, 4.0)[0] > best_size(law)[0] * 1.2


def test_an_estimate_holds_the_truth_about_as_often_as_it_says() -> None:
    hits, trials = 0, 200
    for seed in range(trials):
        half = fit(sightings(0.01, seed), seed).halved_text()
        hits += half.low <= np.exp(0.02) <= half.high
    assert 0.83 < hits / trials < 0.96  # of 200 tries at 90 %, all but one in a thousand


def test_the_more_noise_the_wider_the_range_of_the_best_size() -> None:
    quiet, loud = (np.quantile(best_size(fit(sightings(noise))), [0.05, 0.95]) for noise in (0.002, 0.02))
    assert quiet[1] / quiet[0] < 1.2 and loud[1] / loud[0] > 1.4


def test_the_same_points_give_the_same_estimate_and_the_fitted_curve_is_its_middle() -> None:
    one, two = (fit(sightings(0.01)) for _ in range(2))
    assert (one.curves == two.curves).all()
    found = estimate(np.array([5.0, *range(101)]))
    assert (found.middle, found.low, found.high) == (5.0, 5.0, 95.0)
