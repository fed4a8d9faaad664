"""More minutes for a run, whether it ended, was stopped or was killed. Prints nothing.

The new plan is in the run's record before the first step that it is for, so a run that is killed afterwards goes on from its
record alone, as any other does.
"""

import time

from inkwright import clock
from inkwright.config import TrainConfig, change
from inkwright.errors import ModelError
from inkwright.session.minutes import deadline_of
from inkwright.session.training import Training
from inkwright.train import recipe
from inkwright.train.forecast import CLOSING_SECONDS, SAVE_SECONDS
from inkwright.train.pace import Pace, measure
from inkwright.train.plan import fitting_steps, share_done, with_more_time

CHOSEN = ("eval_every", "checkpoint_every", "sample_every")


def prolong(training: Training, minutes: float, given: set[str]) -> None:
    """Plan a run for so many minutes more, counted from the start of the command.

    The settings of the training are changed, and not yet written down.

    Raises: ModelError   more of it would not make the model better
    """
    _refuse_in_vain(training, given)
    config, step = training.config, training.state.step
    val_tokens = len(training.text.val)
    pace = measure(training.state.model, training.text.train, config.train, config.machine)
    left = max(0.0, minutes * 60 - (time.monotonic() - clock.began()))
    spent = training.run.record.get("preparation_seconds", 0.0) + training.seconds
    asked = change(config.train, minutes=round((spent + left) / 60, 4))
    training.config = config.model_copy(update={"train": asked})
    training.deadline = deadline_of(training.run, training.config, training.lm, training.text)
    working = max(0.0, left - (training.deadline.closing_seconds if training.deadline else CLOSING_SECONDS))
    look_seconds = pace.token_seconds * val_tokens + SAVE_SECONDS
    epoch_steps = recipe.epoch_steps(config.model, asked, len(training.text.train))
    rhythm = _rhythm(asked, given, int(working / pace.step_seconds), pace, look_seconds, epoch_steps)
    every = rhythm.get("eval_every", asked.eval_every)
    steps = max(step + 1, fitting_steps(step, working, pace.step_seconds, look_seconds, every))
    train = with_more_time(step, steps, training.seconds, asked)
    if share_done(step, train) < share_done(step, asked) and "patience" not in given:
        rhythm["patience"] = 0  # where the rate goes back the loss rises, and is below the best again only near the end
    training.config = config.model_copy(update={"train": change(train, **rhythm)})


def _refuse_in_vain(training: Training, given: set[str]) -> None:
    """Refuse a run that more minutes would not make better.

    Raises: ModelError
    """
    config, waited = training.config, training.decisions.without_best
    if config.model.model == "counts":
        raise ModelError("a count model reads its text once: there is nothing to do for more minutes", "train another")
    patience = config.train.patience
    if patience and waited >= patience and "patience" not in given:
        raise ModelError(
            f"this run ended because {waited} evaluations brought nothing better; nor would more minutes",
            "more text, or --patience 0 to go on all the same",
        )


def _rhythm(
    train: TrainConfig, given: set[str], steps: int, pace: Pace, look_seconds: float, epoch_steps: float
) -> dict[str, int]:
    """How often the new steps are interrupted, where the run had minutes and so chose that itself; what is off stays off."""
    if not train.plan:
        return {}
    chosen = recipe.rhythm(max(1, steps), pace.step_seconds, look_seconds, epoch_steps)
    return {name: chosen[name] for name in CHOSEN if name not in given and getattr(train, name)}
