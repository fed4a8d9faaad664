"""defend-a-trick: is it better, or was it luck?"""

from collections.abc import Callable, Sequence
from typing import Any

from inkwright.lessons.exercises.exercise import Exercise, Wrong, kind

STARTER = '''
"""Is it better, or was it luck?

You added a modern trick to a model, trained both some times, and have the
losses on the held-out text (less is better). verdict says what follows:

"not comparable"  fewer than 3 runs on a side, not the same seeds on both
                  sides, or not the same number of steps in all runs
"better"          the mean loss with the trick is lower by more than the noise
"worse"           it is higher by more than the noise
"no difference"   anything else: a flat step is a result, too

With n runs a side, the noise is 2 * sqrt((v1 + v2) / n), where v1 and v2 are
the variances of the losses (divide by n - 1).
"""

from dataclasses import dataclass
from math import sqrt
from statistics import mean, variance


@dataclass
class Run:
    seed: int
    steps: int
    loss: float


def verdict(base: list[Run], trick: list[Run]) -> str:
    """One of the four sentences above."""
    raise NotImplementedError
'''

HINT = "First look for a reason not to compare at all. statistics.variance divides by n - 1."

WORDS = ("not comparable", "better", "worse", "no difference")


class Run:
    """One training, judged."""

    def __init__(self, seed: int, steps: int, loss: float) -> None:
        self.seed, self.steps, self.loss = seed, steps, loss


def check(verdict: Callable[..., Any]) -> str:
    """Pairs of experiments; each stands for one way to fool oneself."""
    steady = [1.88, 1.89, 1.90]
    cases = [
        ("a clear gain", _runs(steady), _runs([1.80, 1.81, 1.82]), "better"),
        ("a clear loss", _runs(steady), _runs([1.98, 1.99, 2.00]), "worse"),
        ("the same losses twice", _runs(steady), _runs(steady), "no difference"),
        ("one lucky seed", _runs(steady), _runs([1.70, 1.90, 1.95]), "no difference"),
        ("one unlucky seed", _runs(steady), _runs([1.87, 1.89, 2.10]), "no difference"),
        ("a gain of less than the noise", _runs([1.85, 1.90, 1.95]), _runs([1.78, 1.83, 1.88]), "no difference"),
        ("a gain of just more than the noise", _runs([1.85, 1.90, 1.95]), _runs([1.76, 1.81, 1.86]), "better"),
        ("a small gain, seen in 8 steady runs", _runs(steady * 2 + [1.89] * 2), _runs([1.883] * 8), "better"),
        ("a noisy base", _runs([1.70, 1.90, 2.10]), _runs([1.80, 1.80, 1.80]), "no difference"),
        ("one seed each", _runs([1.9]), _runs([1.7]), "not comparable"),
        ("two seeds each", _runs([1.9, 1.91]), _runs([1.7, 1.71]), "not comparable"),
        ("no runs at all", [], [], "not comparable"),
        ("3 runs against 4", _runs(steady), _runs([1.7, 1.71, 1.72, 1.73]), "not comparable"),
        ("twice the steps for the trick", _runs(steady), _runs([1.7, 1.71, 1.72], steps=2000), "not comparable"),
        ("one run with more steps", _runs(steady), [*_runs([1.7, 1.71]), Run(3, 1500, 1.5)], "not comparable"),
        ("other seeds for the trick", _runs(steady), _runs([1.7, 1.71, 1.72], seed=7), "not comparable"),
        ("the same seeds in another order", _runs(steady), _runs([1.80, 1.81, 1.82])[::-1], "better"),
        ("one seed counted three times", [Run(1, 1000, 1.9)] * 3, [Run(1, 1000, 1.7)] * 3, "not comparable"),
    ]
    for name, base, trick, right in cases:
        got = verdict(base, trick)
        if got not in WORDS:
            raise Wrong(
                f"verdict is {got!r}; one of {', '.join(WORDS)} is expected" if got else f"verdict is {kind(got)}"
            )
        if got != right:
            raise Wrong(
                f"{name}: losses {_shown(base)} against {_shown(trick)} with the trick are {right!r}, not {got!r}"
            )
    return f"Right: {len(cases)} experiments, and none of them fooled you."


def _runs(losses: Sequence[float], steps: int = 1000, seed: int = 1) -> list[Run]:
    return [Run(seed + number, steps, loss) for number, loss in enumerate(losses)]


def _shown(runs: Sequence[Run]) -> str:
    return "/".join(f"{run.loss:.4g}" for run in runs) or "none"


EXERCISE = Exercise("defend-a-trick", "better, or luck?", "gpt", STARTER, HINT, check)
