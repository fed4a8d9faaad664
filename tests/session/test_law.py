"""The curves through a sweep: what was planted is found, and what cannot be known is said to be unknown."""

import numpy as np
import pytest

from inkwright.session.law import POWERS, Law, Sighting, coefficients, estimate, fit

FLOORS, B, C, D, POWER = (2.0, 1.9, 1.8), 0.15, 0.08, 0.05, 0.6
"""A larger size has a lower floor and comes from higher above; half of the text costs 0.05."""
LONG = np.array([4e6, 2e6, 1e6])  # tokens in a long training: larger sizes are slower


def truth(size: int, tokens: float, share: float = 1.0) -> float:
    return FLOORS[size] + (B + C * size) * (tokens / 1e6) ** -POWER - D * np.log2(share)


def sightings(noise: float = 0.0, seed: int = 0) -> list[Sighting]:
    """What a sweep sees where a law of this form is true."""
    rng = np.random.default_rng(seed)
    places = [(size, LONG[size] / part, 1.0) for part in (9, 3, 1) for size in range(3)]
    places += [(1, LONG[1], 0.5), (1, LONG[1] / 2, 0.25)]
    return [Sighting(*place, truth(*place) + noise * rng.standard_normal()) for place in places]


def lowest(law: Law, times: float) -> np.ndarray:
    """The best size of each curve in a training so many times as long as the long ones."""
    return np.column_stack([law.losses(k, LONG[[k]] * times) for k in range(3)]).argmin(axis=1)


def test_a_law_without_noise_is_found_again() -> None:
    law = fit(sightings())
    assert law.misfit < 1e-9 and law.powers[0] == pytest.approx(POWER)
    for size, tokens, share in ((0, 1e5, 1.0), (2, 3e7, 1.0), (1, 1e6, 0.5)):
        assert law.losses(size, np.array([tokens]), share)[0, 0] == pytest.approx(truth(size, tokens, share))


def test_a_longer_time_wants_a_larger_model_and_a_shorter_a_smaller() -> None:
    law = fit(sightings())
    assert [lowest(law, times)[0] for times in (0.03, 10)] == [0, 2]


def test_an_estimate_of_a_longer_training_holds_the_truth_about_as_often_as_it_says() -> None:
    hits, trials = 0, 200
    for seed in range(trials):
        found = estimate(fit(sightings(0.005, seed), seed).losses(1, LONG[[1]] * 6)[:, 0])
        hits += found.low <= truth(1, LONG[1] * 6) <= found.high
    assert hits / trials > 0.8


def test_the_further_away_the_wider_and_the_more_noise_the_wider() -> None:
    def width(noise: float, times: float) -> float:
        found = estimate(fit(sightings(noise)).losses(1, LONG[[1]] * times)[:, 0])
        return found.high - found.low

    assert width(0.005, 1) < 0.5 * width(0.005, 10) and 2 * width(0.005, 10) < width(0.05, 10)


def test_other_powers_that_would_do_as_well_are_among_the_curves() -> None:
    assert set(fit(sightings(1e-6)).powers) == {POWERS[np.isclose(POWERS, POWER)][0]}
    assert len(set(fit(sightings(0.02)).powers)) > 5


def test_what_no_such_curve_describes_has_a_large_misfit() -> None:
    up_and_down = [
        Sighting(s.size, s.tokens, s.share, s.loss * (1.1 if i % 2 else 0.9)) for i, s in enumerate(sightings())
    ]
    assert fit(up_and_down).misfit > 0.05 and len(up_and_down) > coefficients(3)


def test_the_same_points_give_the_same_estimate_and_the_fitted_curve_is_its_middle() -> None:
    one, two = (fit(sightings(0.01)) for _ in range(2))
    assert (one.curves == two.curves).all() and (one.powers == two.powers).all()
    found = estimate(np.array([5.0, *range(101)]))
    assert (found.middle, found.low, found.high) == (5.0, 5.0, 95.0)
