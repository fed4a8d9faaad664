"""What a training will take and what will come of it, said before the first step. Knows no files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inkwright.config import ModelConfig, TrainConfig
from inkwright.train import device
from inkwright.train.pace import Pace

CHECKPOINTS = 3  # kept at most: two and the best
BYTES_SAVED = 12  # for each parameter: a weight and two moments
BYTES_SAVING = 24  # while a checkpoint is made: its files as bytes, and the copies they are made of
EVALUATED_WINDOWS = 64
LOGIT_BYTES = 12  # for each logit of an evaluation: as computed, in float32, and its softmax
SAVE_SECONDS = 0.3
CLOSING_SECONDS = 2.0
BAND = (0.96, 1.05)  # how far from the middle of the expected losses most runs end


@dataclass(frozen=True)
class Forecast:
    """What to expect of a run."""

    seconds: float
    """From the start of the process to its end."""
    memory_bytes: int
    """At most, besides what PyTorch takes by being there."""
    disk_bytes: int
    """Of the run's folder, at most."""
    loss_low: float
    """Nats per token: most runs end with a validation loss between this and `loss_high`."""
    loss_high: float


def seconds_of(train: TrainConfig, pace: Pace, val_tokens: int, spent_seconds: float) -> float:
    """How long a training takes altogether when its preparation took `spent_seconds`."""
    if train.minutes is not None:
        return train.minutes * 60
    evaluations = -(-train.steps // train.eval_every)
    saves = -(-train.steps // train.checkpoint_every) + evaluations / 2  # about every second one is a new best
    looks = evaluations * val_tokens * pace.token_seconds + saves * SAVE_SECONDS
    return spent_seconds + train.steps * pace.step_seconds + looks + CLOSING_SECONDS


def memory_of(config: ModelConfig, train: TrainConfig, parameters: int) -> int:
    """About how many bytes a training takes at most, besides its text: a step, a save or an evaluation, whichever is more."""
    if config.model == "counts":
        return 0
    step = device.activation_bytes(config, train)
    evaluation = EVALUATED_WINDOWS * config.block_size * config.vocab_size * LOGIT_BYTES
    return parameters * device.BYTES_PER_PARAMETER + max(step, evaluation, parameters * BYTES_SAVING)


def disk_of(parameters: int, tokens: int) -> int:
    """About how many bytes a run's folder takes at most; ids of the text take two or four."""
    return CHECKPOINTS * BYTES_SAVED * parameters + 2 * tokens


def losses_of(scale: Sequence[dict[str, Any]], seen_tokens: int) -> tuple[float, float]:
    """The band that the validation loss will probably end in, nats per token.

    A GPT that has seen 200,000 tokens is a fifth above the n-gram's line, at two million it reaches it, and what it
    can gain after that is a few per cent: measured on tiny Shakespeare with some sizes, and rough for anything else.
    """
    line = next(line["loss"] for line in scale if line["name"] == "ngram")
    worst = next(line["loss"] for line in scale if line["name"] == "unigram")
    middle = line * (0.955 + 0.06 * (seen_tokens / 2e6) ** -0.6)
    low, high = (min(middle * part, worst * part) for part in BAND)
    return (low, high) if math.isfinite(middle) else (line, worst)
