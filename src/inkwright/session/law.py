"""How the loss of small trainings falls: a curve over time for each size, and how far it can be trusted. Knows no run.

The loss is taken for

    L = a_k + (b + c k) t^-p - d u

k: which of the sizes, counted from the smallest; t: tokens trained on; u: doublings of the share of the text. Each size has
a floor of its own, a_k, and comes down to it by the same power p of the tokens, the larger ones from higher above. Tokens and
share are two axes: in as many tokens, half of a text is read twice as often.

Seven numbers from some points leave a spread between curve and points, which holds the luck of the seed and the misfit of
the curve. It says which other curves would do as well, with other powers too: three lengths hardly tell a power, and that
is most of what is not known about a longer training. What is asked of the curve is asked of all of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_LOSS = 0.01  # of any curve, however far it is drawn on: losses are compared by their ratio
DRAWS = 2000  # curves that would do as well
POWERS = np.linspace(0.2, 1.0, 17)  # 0.6 and 0.65 were measured (train/forecast.py)


@dataclass(frozen=True)
class Sighting:
    """One training as the law sees it."""

    size: int
    """Its place among the sizes, smallest first, from 0."""
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
    """(1 + DRAWS, sizes + 3) coefficients: the floors, b, c, d; the first curve is the fitted one."""
    powers: np.ndarray
    """(1 + DRAWS,) p of each curve."""
    middle_tokens: float
    """In which tokens are counted."""
    misfit: float
    """How far a point lies from the fitted curve: 0.01 is one percent of the loss."""

    def losses(self, size: int, tokens: np.ndarray, share: float = 1.0) -> np.ndarray:
        """The loss of a size after so many tokens, (N,), by each curve: (curves, N)."""
        floors = self.curves[:, : self.curves.shape[1] - 3]
        b, c, d = self.curves[:, -3:, None].transpose(1, 0, 2)
        fallen = (np.asarray(tokens) / self.middle_tokens) ** -self.powers[:, None]
        return np.maximum(floors[:, size, None] + (b + c * size) * fallen - d * np.log2(share), LEAST_LOSS)


def coefficients(sizes: int) -> int:
    """How many numbers a law has: one more and there is a spread to be told."""
    return sizes + 4


def fit(sightings: Sequence[Sighting], seed: int = 0) -> Law:
    """The law through some points, more of them than it has `coefficients`."""
    size, tokens, share, wanted = np.array([[one.size, one.tokens, one.share, one.loss] for one in sightings]).T
    middle = float(np.exp(np.log(tokens).mean()))
    degrees = len(sightings) - coefficients(int(size.max()) + 1)
    designs = [_features(size, tokens / middle, share, power) for power in POWERS]
    bests = [np.linalg.lstsq(design, wanted, rcond=None)[0] for design in designs]
    spreads = np.array([((x @ best - wanted) ** 2).sum() for x, best in zip(designs, bests, strict=True)])
    likely = (np.maximum(spreads, 1e-12) / max(spreads.min(), 1e-12)) ** (
        -degrees / 2
    )  # as errors like these would have it
    first, rng = int(spreads.argmin()), np.random.default_rng(seed)
    chosen = rng.choice(len(POWERS), DRAWS, p=likely / likely.sum())
    drawn = [
        _others(designs[i], bests[i], spreads[i] / degrees, (chosen == i).sum(), degrees, rng)
        for i in range(len(POWERS))
    ]
    curves, powers = np.vstack([bests[first], *drawn]), np.concatenate([POWERS[[first]], POWERS[np.sort(chosen)]])
    return Law(curves, powers, middle, float(np.sqrt(spreads[first] / degrees) / wanted.mean()))


def _others(
    design: np.ndarray, best: np.ndarray, variance: float, count: int, degrees: int, rng: np.random.Generator
) -> np.ndarray:
    """Curves of one power that would do as well as the best of them: (count, coefficients)."""
    values, vectors = np.linalg.eigh(np.linalg.pinv(design.T @ design) * variance)
    steps = rng.standard_normal((count, len(best))) @ (vectors * np.sqrt(np.maximum(values, 0))).T
    return best + steps * np.sqrt(
        degrees / rng.chisquare(degrees, (count, 1))
    )  # the variance is estimated: Student's t


def estimate(values: np.ndarray) -> Estimate:
    """The value of the fitted curve, which comes first, among those of the others."""
    low, high = np.quantile(values[1:], [0.05, 0.95])
    return Estimate(float(values[0]), float(low), float(high))


def _features(size: np.ndarray, tokens: np.ndarray, share: np.ndarray, power: float) -> np.ndarray:
    floors = (size[:, None] == np.arange(size.max() + 1)).astype(float)
    fallen = tokens**-power
    return np.column_stack([floors, fallen, size * fallen, -np.log2(share)])
