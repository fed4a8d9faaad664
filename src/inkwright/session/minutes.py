"""The minutes of a run: what its plan is held against, and the plan that is written down when it would miss the end."""

import time

from inkwright.config import RunConfig
from inkwright.language_model import LanguageModel
from inkwright.run.folder import Run
from inkwright.text.tokens import Tokens
from inkwright.train import recipe
from inkwright.train.forecast import SAVE_SECONDS
from inkwright.train.plan import Deadline

SAMPLE_TOKENS = 240  # what whoever watches lets the model write at the end
TIMED_TOKENS = 8  # of them are written at the beginning, to know how long that takes
LEAVING_SECONDS = 0.4  # from the sample to the end of the process


def deadline_of(run: Run, config: RunConfig, lm: LanguageModel, text: Tokens) -> Deadline | None:
    """When a run is to end, and what is known of its pace; None where it has no minutes."""
    if config.train.minutes is None or "pace" not in run.record:
        return None
    began = time.monotonic()
    for _ in lm.stream(max_new_tokens=TIMED_TOKENS):
        pass
    sample_seconds = (time.monotonic() - began) * SAMPLE_TOKENS / TIMED_TOKENS
    return Deadline(
        budget_seconds=config.train.minutes * 60 - run.record["preparation_seconds"],
        evaluation_seconds=run.record["pace"]["token_seconds"] * len(text.val),
        save_seconds=SAVE_SECONDS,
        closing_seconds=sample_seconds + LEAVING_SECONDS,
        epoch_steps=recipe.epoch_steps(config.model, config.train, len(text.train)),
        most_steps=recipe.most_steps(config.model, config.train, len(text.train)),
    )


def replanned(run: Run, config: RunConfig, deadline: Deadline, step: int, seconds: float) -> RunConfig | None:
    """The settings with a new plan where the old one would miss the end; it is in the record before the next step.

    Raises: SaveError   it could not be written down; the old plan stands
    """
    train = deadline.replanned(step, seconds, config.train)
    if train is None:
        return None
    config = config.model_copy(update={"train": train})
    run.change_config(config)
    return config
