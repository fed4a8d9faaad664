"""Plain judgement of a run, from its record alone: is the loss good, did it overfit, what would help most. Prints nothing.

Each answer is a sentence with the numbers it stands on. What one run cannot tell is said to be so: a gain is given as
the most that may be expected, never as a promise.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inkwright import storage
from inkwright.config import SWIFT, RunConfig
from inkwright.errors import DamagedError
from inkwright.run.folder import Run
from inkwright.session.case import Case
from inkwright.session.history import Report, evaluations, is_finite, losses, text_since
from inkwright.train.baseline import title

SMALL = 0.02  # nats: a gain that is not worth another run
EQUAL = 0.0005  # nats: what rounding makes of it
JUST = 0.02  # nats: a distance that is no reason to be proud
BY_HEART = 0.05  # nats: by how much the gap must have grown to be worth a word


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
    return [*said, overfitting(case), what_would_help(case)]


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


# ---------------------------------------------------------------- did it overfit


def overfitting(case: Case) -> Finding:
    """Whether the run learned its text by heart."""
    numbers = {
        "best_step": case.best.step, "last_step": case.last.step, "best_val": case.best.val, "last_val": case.last.val,
        "rise": case.rise, "train_at_best": case.best.train, "train_at_last": case.last.train,
    }  # fmt: skip
    return Finding("overfitting", _say_overfitting(case), _known(numbers))


def _say_overfitting(case: Case) -> str:
    best, last = case.best, case.last
    if len(case.points) == 1:
        trained = f", and {last.train:.3f} on what it trains on" if math.isfinite(last.train) else ""
        return (
            f"Whether it overfits cannot be told: it was judged once, at step {last.step:,}, with {last.val:.3f} on "
            f"unseen text{trained}."
        )
    how = f"by {case.rise:.3f}, from {best.val:.3f} to {last.val:.3f}"
    rose = f"since step {best.step:,} the loss on unseen text rose {how}"
    if case.overfits:
        went = f"fell by {case.train_fall:.2f}" if case.train_fall else "stayed where it was"
        return (
            f"It overfits: {rose}, while the training loss {went}. The checkpoint of step {best.step:,} is the one "
            "that is used."
        )
    if case.rise:
        return f"It became worse without overfitting: {rose}, and the training loss by {-case.train_fall:.2f}."
    lowest = "was lowest at the end" if best is last else f"ends at {last.val:.3f}, as good as its lowest"
    said = f"It does not overfit: the loss on unseen text {lowest}, {best.val:.3f}"
    if math.isnan(case.gap):
        return f"{said}."
    if case.by_heart < BY_HEART:
        return f"{said}, {abs(case.gap):.2f} {'above' if case.gap >= 0 else 'below'} the training loss."
    before = "" if case.own_gap is None else f", and by {case.own_gap:.2f} while all of it was new"
    return f"{said}. But it begins to learn by heart: the text it trains on it knows better by {case.gap:.2f}{before}."


# ---------------------------------------------------------------- what would help


def what_would_help(case: Case) -> Finding:
    """The one thing to try next, and why."""
    advice, why, sure = _advice(case)
    numbers = {
        "advice": advice, "sure": sure, "minutes_gain_at_most": case.second_half, "text_gain_at_most": case.by_heart,
        "epochs": case.epochs(case.last.step), "parameters": case.parameters,
        "tokens_per_parameter": case.tokens_per_parameter,
    }  # fmt: skip
    return Finding("help", why, _known(numbers))


def _advice(case: Case) -> tuple[str, str, bool]:
    """(what to do, the sentence, whether the numbers are clear)"""
    minutes, text, plan = case.second_half, case.by_heart, case.config.train
    if case.overfits:
        return "more text", _say_text(case), case.gap_is_known
    if case.rise:
        rate = plan.learning_rate
        said = (
            f"A lower learning rate would help most: the steps are too large. Try {rate / 3:.1g} instead of {rate:g}."
        )
        return "lower learning rate", said, False
    if not case.finished:
        return "go on", _say_go_on(case), True
    if math.isnan(minutes) or math.isnan(text):
        said = "What would help most cannot be told from so few evaluations: a run with --eval-every "
        return "more evaluations", f"{said}{max(1, plan.steps // 8)} would show it.", False
    if max(minutes, text) < SMALL:
        return "bigger model", _say_bigger(case), False
    sure = max(minutes, text) >= 2 * min(minutes, text) and case.gap_is_known
    return ("more minutes", _say_minutes(case), sure) if minutes >= text else ("more text", _say_text(case), sure)


def _doubt(case: Case) -> str:
    """What one run cannot tell."""
    if case.drops:
        return "The training loss is measured with dropout, so more text may gain more than that."
    if case.own_gap is None and case.by_heart >= BY_HEART:
        return "How much of the gap is only that the held-out part is harder, this run cannot tell."
    return "What a bigger model gains, one run cannot tell."


def _say_go_on(case: Case) -> str:
    share, plan = case.reached / case.config.train.steps, case.config.train
    falling = (
        "" if plan.schedule == "constant" else ", and the learning rate has still to fall, which usually gains much"
    )
    return f"Going on would help most: step {case.reached:,} is {share:.0%} of the {plan.steps:,} planned{falling}."


def _say_minutes(case: Case) -> str:
    time = f" (another {_duration(case.seconds)})" if is_finite(case.seconds) else ""
    return (
        f"More minutes would help most: the second half of the steps gained {case.second_half:.3f}, and twice the "
        f"steps{time} gain at most about as much again; more text at most {case.by_heart:.2f}. {_doubt(case)}"
    )


def _say_text(case: Case) -> str:
    gain = f"at most {case.by_heart:.2f}" if math.isfinite(case.by_heart) else "an unknown amount"
    times = f"it had read this one {case.epochs(case.best.step):.1f} times by then, and " if case.text_tokens else ""
    if case.overfits:
        dropout = min(0.5, case.config.model.dropout + 0.1)
        rest = (
            f"more steps only made it worse. Without more text: --dropout {dropout:.1f}, or --steps {case.best.step}."
        )
    else:
        rest = f"twice the steps gain at most {case.second_half:.3f}. {_doubt(case)}"
    step = f"step {case.best.step:,}"
    return f"More text would help most: at {step} it would have gained {gain}; {times}{rest}"


def _say_bigger(case: Case) -> str:
    model = case.config.model
    bigger = f"such as --n-embd {2 * model.n_embd}" if model.model in ("gpt", *SWIFT) else "the next rung of the ladder"
    return (
        f"A bigger model would help most, {bigger}: the second half of the steps gained only {case.second_half:.3f}, "
        f"more text gains at most {case.by_heart:.2f}, and it has read {case.tokens_per_parameter:.1f} tokens for each "
        f"of its {case.parameters:,} parameters. How much it gains, one run cannot tell."
    )


def _known(numbers: dict[str, Any]) -> dict[str, Any]:
    """The same, with None for what is not known."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in numbers.items()}


def _duration(seconds: Any) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
