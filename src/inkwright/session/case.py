"""The course of a run in numbers: how far it rose, what it knows by heart, what its last half gained. Says no sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from inkwright.config import RunConfig
from inkwright.session.history import Point

RISE = 0.02  # nats: a loss on unseen text that rose by less has stayed where it was
FRESH_EPOCHS = 1.0  # up to here hardly anything was read twice, so a gap is the texts' own


@dataclass(frozen=True)
class Case:
    """A run with at least one evaluation, to be judged."""

    config: RunConfig
    points: Sequence[Point]
    best: Point
    reached: int
    """Steps done."""
    text_tokens: int | None
    parameters: int
    seconds: float | None

    @property
    def last(self) -> Point:
        """The newest evaluation."""
        return self.points[-1]

    @property
    def rise(self) -> float:
        """How far the loss on unseen text lies above its lowest, nats; 0 where that is no more than its wobble."""
        rise = self.last.val - self.best.val
        return rise if rise >= max(RISE, 2 * self.wobble) else 0.0

    @property
    def wobble(self) -> float:
        """How much one evaluation moves against its neighbours, nats: the root mean square of the second differences."""
        late = [point.val for point in self.points[len(self.points) // 3 :]]
        bends = [(c - b) - (b - a) for a, b, c in zip(late, late[1:], late[2:], strict=False)]
        return math.sqrt(mean(bend**2 for bend in bends) / 6) if bends else 0.0

    @property
    def train_fall(self) -> float:
        """How far the training loss fell since the best evaluation, nats; 0 where that is within its noise."""
        fall, noise = self.best.train - self.last.train, math.hypot(self.best.noise, self.last.noise)
        return fall if abs(fall) > 2 * noise else 0.0

    @property
    def overfits(self) -> bool:
        """Whether unseen text became harder, and the training text did not."""
        return self.rise > 0 and self.train_fall >= 0

    @property
    def finished(self) -> bool:
        """Whether the plan was carried out, or given up because nothing became better."""
        waited = sum(point.step > self.best.step for point in self.points)
        patience = self.config.train.patience
        return self.reached >= self.config.train.steps or bool(patience and waited >= patience)

    def epochs(self, step: int) -> float:
        """How often the training text had been read by then; nan where its size is not known."""
        train, T = self.config.train, self.config.model.block_size
        return step * train.batch_size * T / self.text_tokens if self.text_tokens else math.nan

    @property
    def own_gap(self) -> float | None:
        """The gap before anything could be learned by heart: how much harder the held-out text is. None: not measured."""
        fresh = [p.gap for p in self.points if self.epochs(p.step) <= FRESH_EPOCHS and math.isfinite(p.gap)]
        return mean(fresh) if fresh else None

    @property
    def gap(self) -> float:
        """The gap around the best evaluation, nats; nan where no training loss was recorded."""
        at = self.points.index(self.best)
        near = [point.gap for point in self.points[max(0, at - 1) : at + 2] if math.isfinite(point.gap)]
        return mean(near) if near else math.nan

    @property
    def by_heart(self) -> float:
        """By how much the gap has grown, nats: the most that text without end would gain at the best step.

        With text without end the loss on unseen text would lie above the training loss of now by the texts' own gap.
        """
        return max(0.0, self.gap - (self.own_gap or 0.0)) if math.isfinite(self.gap) else math.nan

    @property
    def second_half(self) -> float:
        """What the second half of the steps gained on unseen text, nats; nan where no evaluation lies before it."""
        half = self.last.step / 2
        before = [point for point in self.points if point.step <= half]
        after = [point for point in self.points if point.step > half]
        if not before:
            return math.nan
        a, b = before[-1], after[0]
        share = math.log(half / a.step) / math.log(b.step / a.step)  # a loss falls evenly over log steps
        return max(0.0, a.val + (b.val - a.val) * share - self.last.val)

    @property
    def tokens_per_parameter(self) -> float:
        """What it has read, for each of its parameters."""
        return self.last.step * self.config.train.batch_size * self.config.model.block_size / self.parameters

    @property
    def drops(self) -> bool:
        """Whether the training loss is that of a model with a part left out."""
        model = self.config.model
        return max(model.dropout, model.input_dropout, model.gram_dropout) > 0

    @property
    def gap_is_known(self) -> bool:
        """Whether it is clear how much of the gap is learned by heart."""
        return self.own_gap is not None and not self.drops
