"""Plain judgement of a run, from its record alone: is the loss good, did it overfit, what would help most. Prints nothing.

Each answer is a sentence with the numbers it stands on. What one run cannot tell is said to be so: a gain is given as
the most that may be expected, never as a promise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from inkwright import storage
from inkwright.config import RunConfig
from inkwright.errors import DamagedError
from inkwright.run.folder import Run
from inkwright.session.history import Point, Report, evaluations, is_finite, losses, text_since
from inkwright.train.baseline import title

RISE = 0.02  # nats: a loss on unseen text that rose by less has stayed where it was
SMALL = 0.02  # nats: a gain that is not worth another run
EQUAL = 0.0005  # nats: what rounding makes of it
JUST = 0.02  # nats: a distance that is no reason to be proud
BY_HEART = 0.05  # nats: by how much the gap must have grown to be worth a word
FRESH_EPOCHS = 1.0  # up to here hardly anything was read twice, so a gap is the texts' own


@dataclass(frozen=True)
class Finding:
    """One thing to say about a run."""

    id: str
    """scale, overfitting or help."""
    sentence: str
    numbers: dict[str, Any] = field(default_factory=dict)
    """What the sentence stands on; losses and gains in nats per token."""


def of_run(run: Run) -> list[Finding]:
    """What is to be said about a run as it stands."""
    return findings(run.record, run.reports(), train_tokens(run))


def train_tokens(run: Run) -> int | None:
    """How many tokens a run trains on; None where that is damaged."""
    try:
        return storage.read_record(run.tokens_folder / storage.MANIFEST)["train"]["tokens"]
    except DamagedError:
        return None


def findings(record: Mapping[str, Any], reports: Sequence[Report], text_tokens: int | None) -> list[Finding]:
    """What is to be said about a run with this record and these reports, whose training text has `text_tokens`."""
    config = RunConfig(**record["config"])
    points = evaluations(reports, text_since(record))
    if not points:
        return [Finding("overfitting", "It was not judged on the held-out text yet.")]
    best = min(points, key=lambda point: point.val)
    lines = record.get("baseline", [])
    if config.model.model == "counts":
        said = f"It counts and has learned nothing: {best.val:.3f} is what a network has to get below on this text."
        return [Finding("scale", said, {"loss": best.val})]
    said = [against(best.val, lines)] if lines else []
    reached = max(step for step, _ in [*losses(reports), (points[-1].step, 0.0)])
    case = Case(config, points, best, reached, text_tokens, record["parameters"], reports[-1].get("seconds"))
    return [*said, case.overfitting(), case.help()]


# ---------------------------------------------------------------- against the scale


def against(loss: float, lines: Sequence[Mapping[str, Any]]) -> Finding:
    """Where a loss stands on the scale of its text."""
    best = min(lines, key=lambda line: line["loss"])
    least = f"{_owner(best)} {best['loss']:.3f}"
    numbers = {"loss": loss, "lowest_line": title(best), "lowest_line_loss": best["loss"], "below": best["loss"] - loss}
    above = [line for line in lines if line["loss"] > loss]
    if abs(loss - best["loss"]) < EQUAL:  # a count model beside itself
        said = f"Just {least}, the best that counting and packing reach."
    elif loss < best["loss"]:
        good = "Good, but only just" if best["loss"] - loss < JUST else "Good for this text"
        said = (
            f"{good}: {loss:.3f} is {best['loss'] - loss:.3f} below {least}, the best that counting and packing reach."
        )
    elif not above:
        said = (
            f"Worse than guessing: {loss:.3f}, and who knows only which tokens there are scores {lines[0]['loss']:.3f}."
        )
    else:
        nearest = min(above, key=lambda line: line["loss"])
        said = (
            f"Not good yet: {loss:.3f} is below {_owner(nearest)} {nearest['loss']:.3f}, but still "
            f"{loss - best['loss']:.3f} above {least}, which needs no training."
        )
    return Finding("scale", said, numbers)


def _owner(line: Mapping[str, Any]) -> str:
    """`the 7-gram's`, `xz's`, `guessing's`."""
    return "guessing's" if line["name"] == "uniform" else f"{'the ' * (line['order'] is not None)}{title(line)}'s"


# ---------------------------------------------------------------- over time


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

    # ------------------------------------------------------------ did it overfit

    def overfitting(self) -> Finding:
        """Whether the run learned its text by heart."""
        numbers = {
            "best_step": self.best.step, "last_step": self.last.step, "best_val": self.best.val, "last_val": self.last.val,
            "rise": self.rise, "train_at_best": self.best.train, "train_at_last": self.last.train,
        }  # fmt: skip
        return Finding("overfitting", self._overfitting(), _known(numbers))

    def _overfitting(self) -> str:
        best, last = self.best, self.last
        if len(self.points) == 1:
            trained = f", and {last.train:.3f} on what it trains on" if math.isfinite(last.train) else ""
            return (
                f"Whether it overfits cannot be told: it was judged once, at step {last.step:,}, with {last.val:.3f} on "
                f"unseen text{trained}."
            )
        how = f"by {self.rise:.3f}, from {best.val:.3f} to {last.val:.3f}"
        rose = f"since step {best.step:,} the loss on unseen text rose {how}"
        if self.overfits:
            went = f"fell by {self.train_fall:.2f}" if self.train_fall else "stayed where it was"
            return (
                f"It overfits: {rose}, while the training loss {went}. The checkpoint of step {best.step:,} is the one "
                "that is used."
            )
        if self.rise:
            return f"It became worse without overfitting: {rose}, and the training loss by {-self.train_fall:.2f}."
        lowest = "was lowest at the end" if best is last else f"ends at {last.val:.3f}, as good as its lowest"
        said = f"It does not overfit: the loss on unseen text {lowest}, {best.val:.3f}"
        if math.isnan(self.gap):
            return f"{said}."
        if self.by_heart < BY_HEART:
            return f"{said}, {abs(self.gap):.2f} {'above' if self.gap >= 0 else 'below'} the training loss."
        before = "" if self.own_gap is None else f", and by {self.own_gap:.2f} while all of it was new"
        return (
            f"{said}. But it begins to learn by heart: the text it trains on it knows better by {self.gap:.2f}{before}."
        )

    # ------------------------------------------------------------ what would help

    def help(self) -> Finding:
        """The one thing to try next, and why."""
        advice, why, sure = self._advice()
        numbers = {
            "advice": advice, "sure": sure, "minutes_gain_at_most": self.second_half, "text_gain_at_most": self.by_heart,
            "epochs": self.epochs(self.last.step), "parameters": self.parameters,
            "tokens_per_parameter": self._tokens_per_parameter,
        }  # fmt: skip
        return Finding("help", why, _known(numbers))

    @property
    def _tokens_per_parameter(self) -> float:
        return self.last.step * self.config.train.batch_size * self.config.model.block_size / self.parameters

    def _advice(self) -> tuple[str, str, bool]:
        """(what to do, the sentence, whether the numbers are clear)"""
        minutes, text, plan = self.second_half, self.by_heart, self.config.train
        if self.overfits:
            return "more text", self._say_text(), self._gap_is_known
        if self.rise:
            rate = plan.learning_rate
            said = f"A lower learning rate would help most: the steps are too large. Try {rate / 3:.1g} instead of {rate:g}."
            return "lower learning rate", said, False
        if not self.finished:
            return "go on", self._say_go_on(), True
        if math.isnan(minutes) or math.isnan(text):
            said = "What would help most cannot be told from so few evaluations: a run with --eval-every "
            return "more evaluations", f"{said}{max(1, plan.steps // 8)} would show it.", False
        if max(minutes, text) < SMALL:
            return "bigger model", self._say_bigger(), False
        sure = max(minutes, text) >= 2 * min(minutes, text) and self._gap_is_known
        return ("more minutes", self._say_minutes(), sure) if minutes >= text else ("more text", self._say_text(), sure)

    @property
    def _drops(self) -> bool:
        """Whether the training loss is that of a model with a part left out."""
        model = self.config.model
        return max(model.dropout, model.input_dropout, model.gram_dropout) > 0

    @property
    def _gap_is_known(self) -> bool:
        return self.own_gap is not None and not self._drops

    @property
    def _doubt(self) -> str:
        """What one run cannot tell."""
        if self._drops:
            return "The training loss is measured with dropout, so more text may gain more than that."
        if self.own_gap is None and self.by_heart >= BY_HEART:
            return "How much of the gap is only that the held-out part is harder, this run cannot tell."
        return "What a bigger model gains, one run cannot tell."

    def _say_go_on(self) -> str:
        share, plan = self.reached / self.config.train.steps, self.config.train
        falling = (
            "" if plan.schedule == "constant" else ", and the learning rate has still to fall, which usually gains much"
        )
        return f"Going on would help most: step {self.reached:,} is {share:.0%} of the {plan.steps:,} planned{falling}."

    def _say_minutes(self) -> str:
        time = f" (another {_duration(self.seconds)})" if is_finite(self.seconds) else ""
        return (
            f"More minutes would help most: the second half of the steps gained {self.second_half:.3f}, and twice the "
            f"steps{time} gain at most about as much again; more text at most {self.by_heart:.2f}. {self._doubt}"
        )

    def _say_text(self) -> str:
        gain = f"at most {self.by_heart:.2f}" if math.isfinite(self.by_heart) else "an unknown amount"
        times = (
            f"it had read this one {self.epochs(self.best.step):.1f} times by then, and " if self.text_tokens else ""
        )
        if self.overfits:
            dropout = min(0.5, self.config.model.dropout + 0.1)
            rest = f"more steps only made it worse. Without more text: --dropout {dropout:.1f}, or --steps {self.best.step}."
        else:
            rest = f"twice the steps gain at most {self.second_half:.3f}. {self._doubt}"
        step = f"step {self.best.step:,}"
        return f"More text would help most: at {step} it would have gained {gain}; {times}{rest}"

    def _say_bigger(self) -> str:
        model = self.config.model
        bigger = (
            f"such as --n-embd {2 * model.n_embd}" if model.model in ("gpt", "swift") else "the next rung of the ladder"
        )
        return (
            f"A bigger model would help most, {bigger}: the second half of the steps gained only {self.second_half:.3f}, "
            f"more text gains at most {self.by_heart:.2f}, and it has read {self._tokens_per_parameter:.1f} tokens for each "
            f"of its {self.parameters:,} parameters. How much it gains, one run cannot tell."
        )


def _known(numbers: dict[str, Any]) -> dict[str, Any]:
    """The same, with None for what is not known."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in numbers.items()}


def _duration(seconds: Any) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
