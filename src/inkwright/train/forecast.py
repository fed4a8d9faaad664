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
CHANNEL_BYTES = 64  # for each channel of an evaluated token: what one block has at a time
OWN_BYTES = 30_000_000  # Inkwright's own modules, and those that they need besides PyTorch
LOGIT_BYTES = 12  # for each logit of an evaluation: as computed, in float32, and its softmax
BYTES_OF_ROWS = 4  # for each parameter in a table of grams: its optimizer keeps one number for a whole row
BYTES_SAVING_A_ROW = 8
SAVE_SECONDS = 0.3
CLOSING_SECONDS = 2.0
REACHED = {"swift": (0.93, 0.045, 0.65), "gpt": (0.955, 0.091, 0.6)}
"""In n-gram's losses: where many tokens lead, what is above that after a million of them, and by which power that falls."""
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
    evaluations = -(-train.steps // train.eval_every)
    saves = -(-train.steps // train.checkpoint_every) + evaluations / 2  # about every second one is a new best
    looks = evaluations * val_tokens * pace.token_seconds + saves * SAVE_SECONDS
    seconds = spent_seconds + train.steps * pace.step_seconds + looks + CLOSING_SECONDS
    return seconds if train.minutes is None else min(seconds, train.minutes * 60)


def memory_of(config: ModelConfig, train: TrainConfig, parameters: int) -> int:
    """About how many bytes a training takes at most, besides its text: a step, a save or an evaluation, whichever is more."""
    if config.model == "counts":
        return 0
    step = device.activation_bytes(config, train)
    each = config.vocab_size * LOGIT_BYTES + config.n_embd * CHANNEL_BYTES
    evaluation = EVALUATED_WINDOWS * config.block_size * each
    learned, rows = _learned_and_rows(config, parameters)
    saving = learned * BYTES_SAVING + rows * BYTES_SAVING_A_ROW
    return learned * device.BYTES_PER_PARAMETER + rows * BYTES_OF_ROWS + max(step, evaluation, saving)


def disk_of(config: ModelConfig, parameters: int, tokens: int) -> int:
    """About how many bytes a run's folder takes at most; ids of the text take two or four."""
    learned, rows = _learned_and_rows(config, parameters)
    return CHECKPOINTS * (BYTES_SAVED * learned + BYTES_OF_ROWS * rows) + 2 * tokens


def _learned_and_rows(config: ModelConfig, parameters: int) -> tuple[int, int]:
    """The parameters that have gradients and moments of their own size, and those of a table of grams, which have not."""
    rows = max(0, parameters - device.parameter_estimate(config)) if config.model == "swift" else 0
    return parameters - rows, rows


def losses_of(model: str, scale: Sequence[dict[str, Any]], seen_tokens: int) -> tuple[float, float]:
    """The band that the validation loss will probably end in, nats per token.

    Near the n-gram's line: how far above it after few tokens, and how far below after many, was measured on tiny Shakespeare
    with some sizes (docs/diary.md), and is rough for anything else.
    """
    line = next(line["loss"] for line in scale if line["name"] == "ngram")
    worst = next(line["loss"] for line in scale if line["name"] == "unigram")
    end, above, power = REACHED.get(model, REACHED["gpt"])
    middle = line * (end + above * (seen_tokens / 1e6) ** -power)
    low, high = (min(middle * part, worst * part) for part in BAND)
    return (low, high) if math.isfinite(middle) else (line, worst)
