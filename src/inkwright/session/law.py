"""How the loss of small trainings depends on size, length and text: a curve, and how far it can be trusted. Knows no run.

Around what was tried, the logarithm of the loss is taken for

    log L = c0 + c1 n + c2 n^2 + c3 s + c4 n s + c5 u

n, s, u: doublings of the parameters, of the tokens trained on, and of the share of the text, from the middle of what was
tried. c2 bends the curve up where a model is too large for its time; c4 moves the best size with the time. With a dozen
points no more can be told: laws with a floor, such as Chinchilla's, leave their exponents open.

Six numbers from some points leave a spread between curve and points; that spread, which holds the luck of the seed and
the misfit of the curve, says which other curves would do as well. What is asked of the curve is asked of all of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000  # curves that would do as well
COEFFICIENTS = 6


@dataclass(frozen=True)
class Sighting:
    """One training as the law sees it."""

    parameters: float
    tokens: float
    """Trained on, one after another: the same text twice counts twice."""
    share: float
    """Of the text that trains."""
    loss: float
    """Above 0; in any unit."""


@dataclass(frozen=True)
class Estimate:
    """A figure, and where it lies with 90 % confidence."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Law:
    """A fitted curve and those that would do as well."""

    curves: np.ndarray
    """(1 + DRAWS, 6) coefficients; the first curve is the fitted one."""
    centre: np.ndarray
    """(3,) log2 of parameters, tokens and share in the middle of what was tried."""
    misfit: float
    """How far a point lies from the curve: 0.01 is one percent of the loss."""

    def losses(self, parameters: np.ndarray, tokens: np.ndarray, share: float = 1.0) -> np.ndarray:
        """The loss of each of some models by each curve: (curves, models)."""
        places = np.stack([parameters, tokens, np.full(len(parameters), share)], axis=1)
        return np.exp(self.curves @ _features(np.log2(places) - self.centre).T)

    def halved_text(self) -> Estimate:
        """By what factor the loss grows when only half the text trains, for as many steps."""
        return estimate(np.exp(-self.curves[:, 5]))


def fit(sightings: Sequence[Sighting], seed: int = 0) -> Law:
    """The law through some points, more than six of them."""
    places = np.log2([[one.parameters, one.tokens, one.share] for one in sightings])
    centre = places.mean(axis=0)
    centre[2] = 0.0  # all of the text
    design, wanted = _features(places - centre), np.log([one.loss for one in sightings])
    best, *_ = np.linalg.lstsq(design, wanted, rcond=None)
    degrees = len(sightings) - COEFFICIENTS
    variance = float(((design @ best - wanted) ** 2).sum() / degrees)
    spread = np.linalg.pinv(design.T @ design) * variance
    values, vectors = np.linalg.eigh(spread)
    rng = np.random.default_rng(seed)
    steps = rng.standard_normal((DRAWS, COEFFICIENTS)) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    steps *= np.sqrt(degrees / rng.chisquare(degrees, (DRAWS, 1)))  # the spread itself is only estimated: Student's t
    return Law(np.vstack([best, best + steps]), centre, float(np.sqrt(variance)))


def estimate(values: np.ndarray) -> Estimate:
    """The value of the fitted curve, which comes first, among those of the others."""
    low, high = np.quantile(values[1:], [0.05, 0.95])
    return Estimate(float(values[0]), float(low), float(high))


def _features(places: np.ndarray) -> np.ndarray:
    n, s, u = places.T
    return np.stack([np.ones(len(places)), n, n**2, s, n * s, u], axis=1)
