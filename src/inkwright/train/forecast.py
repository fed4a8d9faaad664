"""What a training will take and what will come of it, said before the first step. Knows no files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from inkwright.config import SWIFT, ModelConfig, TrainConfig
from inkwright.train import device
from inkwright.train.pace import Pace

CHECKPOINTS = 3  # kept at most: two and the best
BYTES_SAVED = 12  # for each parameter: a weight and two moments
BYTES_SAVING = 24  # while a checkpoint is made: its files as bytes, and the copies they are made of
EVALUATED_WINDOWS = 64
CHANNEL_BYTES = 64  # for each channel of an evaluated token: what one block has at a time
OWN_BYTES = 85_000_000  # our modules, those they need, and what PyTorch takes once it trains: benchmarks/forecast.py
LOGIT_BYTES = 12  # for each logit of an evaluation: as computed, in float32, and its softmax
BYTES_OF_ROWS = 4  # for each parameter in a table of grams: its optimizer keeps one number for a whole row
BYTES_SAVING_A_ROW = 8
SAVE_SECONDS = 0.3
CLOSING_SECONDS = 2.0


class Reached(NamedTuple):
    """Where runs of a model end on the way between what the unigram needs for a text and what the n-gram needs."""

    end: float
    """Where very many tokens lead, in n-gram's losses."""
    above: float
    """What is above that after a million tokens, read once: a share of the way from the n-gram to the unigram."""
    by_tokens: float
    """By which power of the tokens seen that falls: the network learns."""
    by_epochs: float
    """And by which of the readings of the text: after a whole one the model knows of it what counting knows."""


REACHED = {
    "swift": Reached(0.88, 0.081, 0.20, 0.30),
    "hybrid": Reached(0.87, 0.060, 0.20, 0.30),
    "gpt": Reached(0.94, 0.085, 0.60, 0.15),
}
"""Fitted to short runs on four texts, a hybrid's to tiny Shakespeare: docs/diary.md"""
BAND = ((0.99, 0.7), (1.02, 1.5))
"""Where most runs end, below and above: of the end, and of what is above it. Texts differ most in how soon they are learned,
so the band is wide after few tokens and narrow after many."""


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
    rows = max(0, parameters - device.parameter_estimate(config)) if config.model in SWIFT else 0
    return parameters - rows, rows


def losses_of(model: str, scale: Sequence[dict[str, Any]], tokens: float, epochs: float) -> tuple[float, float]:
    """The band that the validation loss will probably end in, nats per token: after so many tokens, in so many readings.

    It stands between two lines of the same text and its tokens, so that other texts and other tokenizers have their own.
    """
    lines = {line["name"]: line["loss"] for line in scale}
    line, worst = lines["ngram"], lines["unigram"]
    if not tokens:
        return line, worst
    way = REACHED.get(model, REACHED["gpt"])
    above = way.above * (worst - line) * (tokens / 1e6) ** -way.by_tokens * epochs**-way.by_epochs
    low, high = (of_end * way.end * line + of_rest * above for of_end, of_rest in BAND)
    return min(low, 0.95 * worst), min(high, 1.05 * worst)  # which tokens are frequent is learned at once
