"""How far a training is, and how many steps its minutes still allow. Arithmetic only: reads no clock, knows no torch.

A run with minutes plans its steps from a speed measured before the first one, and plans anew when it turns out to be faster
or slower. Each plan is kept in the run's record before the step that it is for. So the learning rate of any step follows
from the record, and a run that is stopped and resumed makes the same steps again.
"""

import statistics
from collections import deque
from dataclasses import dataclass, field

from inkwright.config import Plan, TrainConfig, change

FIRST_LOOK_SHARE = 0.01  # of the time, before the plan is first looked at; then when twice as much is spent, and
LOOK_SHARE = 0.85  # at the latest when no more than this is left of the time that was left
DRIFT_SHARE = 0.02  # of the time that is left: a plan that misses the end by less stays as it is
MISS_SHARE = 0.008  # and of all the minutes: near the end a new plan does more harm than a second
DRIFT_SECONDS = 0.2
RECENT_STEPS = 50
UNUSUAL_STEPS = 2  # the first ones of a sitting are slow
MOST_STEPS = 1_000_000_000
FREE_EPOCHS = 2  # before the end: until then a plan moves by whole epochs, so that the one that was begun is finished


def share_done(step: int, config: TrainConfig) -> float:
    """How much of the way from the end of the warm-up to the end of the training is done before a step, 0 to 1.

    Each plan goes on from where the one before it had come, or from where it says, in a straight line to its own end.
    """
    first, *later = config.plan or (Plan(step=0, steps=config.steps, seconds=0),)
    done, start, end = 0.0, config.warmup_steps, first.steps
    for plan in later:
        if plan.step > step:
            break
        at = max(plan.step, config.warmup_steps)
        reached = _further(done, at, start, end)
        done, start, end = reached if plan.done is None else plan.done, at, plan.steps
    return _further(done, step, start, end)


def _further(done: float, step: int, start: int, end: int) -> float:
    share = (step - start) / max(1, end - start)
    return done + (1 - done) * min(1.0, max(0.0, share))


def planned_steps(step: int, config: TrainConfig) -> int:
    """How many steps were planned in all when so many were done."""
    return next((plan.steps for plan in reversed(config.plan) if plan.step <= step), config.steps)


def places_left_out(step: int, config: TrainConfig, windows: int) -> int:
    """How many of the windows of a text the first epoch leaves out, so that the last one is whole when the steps end.

    Where a plan is changed on the way, so is the place in the text.
    """
    return -planned_steps(step, config) * config.batch_size % windows


def begins_an_epoch(step: int, config: TrainConfig, windows: int) -> bool:
    """Whether some window of this step's batch is of another epoch than those of the step before.

    That is so at the end of an epoch; and where a new plan leaves the rest of one out, or goes back into an earlier one.
    """
    return step > 0 and _epochs_left(step, config, windows) != _epochs_left(step - 1, config, windows)


def _epochs_left(step: int, config: TrainConfig, windows: int) -> int:
    """How many epochs there still are, with the one that the last window of this step's batch is in."""
    return -(-((planned_steps(step, config) - step - 1) * config.batch_size + 1) // windows)


def with_more_time(step: int, steps: int, spent_seconds: float, config: TrainConfig) -> TrainConfig:
    """The settings with a plan for `steps` in all, when `step` are done and a person gives the run more time.

    The learning rate goes back to where it would be had all the steps been planned from the start, and never forward. So a
    run that had cooled down is warm again, the more the more time it is given, and cools down at its new end. There is no
    second warm-up: the optimizer still has its moments.
    """
    kept = [plan for plan in config.plan if plan.step < step] or [Plan(step=0, steps=config.steps, seconds=0)] * (
        step > 0
    )
    done = min(step / steps, share_done(step, config))
    return change(
        config, steps=steps, plan=[*kept, Plan(step=step, steps=steps, seconds=round(spent_seconds, 3), done=done)]
    )


def evaluation_is_due(step: int, config: TrainConfig) -> bool:
    """Whether the model is judged after so many steps: now and then, and at the end; not twice at the end.

    In epochs a model is judged where they end, so the steps are counted from the last end. The first plan moves most, and
    soon, when there is nothing to judge yet; and where a plan was just moved, an epoch may end that had only begun.
    """
    if step >= config.steps:
        return True
    soon = config.eval_every // 2
    if config.order == "epoch":
        before = range(max(1, step - soon + 1), step)
        return step >= max(1, soon) and _ends_a_part(step, config) and not any(_ends_a_part(s, config) for s in before)
    the_end_is_near = config.plan and planned_steps(step, config) - step < soon
    return step % config.eval_every == 0 and not the_end_is_near


def _ends_a_part(step: int, config: TrainConfig) -> bool:
    """Whether a part of the steps ends here, counted from the end by the plan that led to this step."""
    return (planned_steps(max(0, step - 1), config) - step) % config.eval_every == 0


@dataclass
class Deadline:
    """The plan of a run that has minutes, held against the time that things take."""

    budget_seconds: float
    """What is left of the minutes when the run has been prepared."""
    evaluation_seconds: float
    """Of one exact evaluation: the last one."""
    save_seconds: float
    """Of one checkpoint: the last one."""
    closing_seconds: float
    """What comes after the last save: a sample, and leaving."""
    step_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))
    """Of the last steps of this sitting."""
    steps_here: int = 0
    """Steps of this sitting."""
    outside_seconds: float = 0.0
    """What whoever watches took between the steps of this sitting."""
    left_at_first: float | None = None
    """What was left of the minutes when this sitting began, seconds."""
    epoch_steps: float = float("inf")
    """How many steps an epoch has."""
    most_steps: int = MOST_STEPS
    """More are not worth making."""
    look_below: float = float("inf")
    """The plan is looked at when less than this is left, seconds."""

    def took(self, seconds: float) -> None:
        """Note the time of a step."""
        self.steps_here += 1
        if self.steps_here == UNUSUAL_STEPS + 1:
            self.step_seconds.clear()
        self.step_seconds.append(seconds)

    def replanned(self, step: int, spent_seconds: float, config: TrainConfig) -> TrainConfig | None:
        """The settings with a new plan, where the old one would miss the end; `step` steps are done, in `spent_seconds`.

        While a resumed run repeats steps that were planned before, nothing is planned anew.
        """
        left = self.budget_seconds - self.closing_seconds - spent_seconds
        if self.left_at_first is None:
            self.left_at_first = left + self.step_seconds[-1]
            self.look_below = self.left_at_first * (1 - FIRST_LOOK_SHARE)
        repeating = config.plan and step < config.plan[-1].step
        too_early = left > self.look_below or (self.steps_here <= UNUSUAL_STEPS and left > self.left_at_first / 2)
        if repeating or (too_early and left > 0):
            return None
        self.look_below = max(left * LOOK_SHARE, left - (self.left_at_first - left))
        steps = min(self._fitting(step, left, config), max(self.most_steps, config.steps))
        if steps - step > FREE_EPOCHS * self.epoch_steps:
            steps = config.steps + round(round((steps - config.steps) / self.epoch_steps) * self.epoch_steps)
        missed = abs(steps - config.steps) * self._step_cost()
        harmless = max(DRIFT_SECONDS, DRIFT_SHARE * left, MISS_SHARE * self.budget_seconds)
        if missed < harmless or steps == config.steps:
            return None
        plan = Plan(step=step, steps=steps, seconds=round(spent_seconds, 3))
        return change(config, steps=steps, plan=[*config.plan, plan])

    def _step_cost(self) -> float:
        return statistics.fmean(self.step_seconds) + self.outside_seconds / max(1, self.steps_here)

    def _fitting(self, step: int, left_seconds: float, config: TrainConfig) -> int:
        look_seconds = self.evaluation_seconds + self.save_seconds
        return fitting_steps(step, left_seconds, self._step_cost(), look_seconds, config.eval_every)


def fitting_steps(step: int, left_seconds: float, step_seconds: float, look_seconds: float, every: int) -> int:
    """How many steps in all, when `step` are done and the model is judged and saved after `every` more and at the end."""
    steps = left_seconds / step_seconds
    for _ in range(4):  # fewer steps are judged less often: settles at once
        looks = 1 + max(0, (int(step + steps) - every // 2) // every - step // every)
        steps = max(0.0, (left_seconds - looks * look_seconds) / step_seconds)
    return min(MOST_STEPS, max(1, step + round(steps)))
