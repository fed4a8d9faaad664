"""What a run's record tells about its course: the losses side by side, and the samples. Judges nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, stdev
from typing import Any, NamedTuple

Report = Mapping[str, Any]
"""A line of metrics.jsonl; what a person scribbled there is passed over."""


@dataclass(frozen=True)
class Point:
    """One evaluation, and the training loss at the same step."""

    step: int
    val: float
    """Loss on all of the held-out text, nats per token."""
    stderr: float
    train: float
    """Mean of the batches in the second half of the steps since the evaluation before; nan where none is recorded."""
    noise: float
    """Standard error of `train`."""
    seconds: float | None

    @property
    def gap(self) -> float:
        """How much better the training text is known than unseen text, nats per token."""
        return self.val - self.train


class Sample(NamedTuple):
    """What the model wrote after a step."""

    step: int
    text: str


def text_since(record: Mapping[str, Any]) -> int:
    """The step after which a run had the text that it has now: losses on another one cannot be compared."""
    return max((change["step"] for change in record.get("changes", []) if "fingerprint" in change), default=0)


def losses(reports: Sequence[Report], name: str = "loss", since: int = 0) -> list[tuple[int, float]]:
    """(step, `loss` or `val_loss`) of the lines after step `since` that have one; the last line of a step counts."""
    known = {line["step"]: line[name] for line in _steps(reports, since) if is_finite(line.get(name))}
    return sorted(known.items())


def samples(reports: Sequence[Report]) -> list[Sample]:
    """Everything that the model wrote on the way, oldest first."""
    known = {line["step"]: line["sample"] for line in _steps(reports) if isinstance(line.get("sample"), str)}
    return [Sample(step, text) for step, text in sorted(known.items())]


def evaluations(reports: Sequence[Report], since: int = 0) -> list[Point]:
    """Every evaluation after step `since`, oldest first."""
    val, train = losses(reports, "val_loss", since), losses(reports, "loss", since)
    lines = {line["step"]: line for line in _steps(reports, since) if is_finite(line.get("val_loss"))}
    points: list[Point] = []
    for i, (before, step) in enumerate(pairwise([since, *lines])):
        batches = [(s, loss) for s, loss in train if (before + step) / 2 < s <= step]
        found = [loss for _, loss in batches]
        noise = stdev(found) / math.sqrt(len(found)) if len(found) > 1 else math.nan
        age = mean(math.log(step / s) for s, _ in batches) if batches else 0.0
        level = mean(found) + age * min(0.0, _slope(val, i)) if found else math.nan
        stderr, seconds = (lines[step].get(name) for name in ("val_loss_stderr", "seconds"))
        known = stderr if stderr is not None and is_finite(stderr) else math.nan
        points.append(Point(step, val[i][1], known, level, noise, seconds if is_finite(seconds) else None))
    return points


def _slope(val: Sequence[tuple[int, float]], i: int) -> float:
    """How the loss falls around evaluation i, nats per e-fold of steps: so much worse were the batches before it."""
    if len(val) < 2:
        return 0.0
    (a, before), (b, after) = val[max(0, i - 1)], val[max(1, i)]
    return (after - before) / math.log(b / a)


def _steps(reports: Sequence[Report], since: int = 0) -> list[Report]:
    return [line for line in reports if type(line.get("step")) is int and line["step"] > since]


def thinned(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """A curve with at most `most` points: each the mean of as many neighbours."""
    width = -(-len(points) // most) or 1
    groups = [points[i : i + width] for i in range(0, len(points), width)]
    return [(group[-1][0], mean(loss for _, loss in group)) for group in groups]


def is_finite(value: Any) -> bool:
    """Whether a value of a record is a number that can be drawn."""
    return isinstance(value, int | float) and math.isfinite(value)
