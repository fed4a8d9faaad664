"""Which model, and which way to train it, for so much text and so much time. Pure: measures nothing, knows no files."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inkwright.config import SWIFT, ModelConfig, TrainConfig
from inkwright.train.plan import MOST_STEPS


@dataclass(frozen=True)
class Size:
    """A model, and how it is trained."""

    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    batch_size: int
    learning_rate: float
    least_tokens: float
    """Tokens to see in training, below which the next smaller size ends with a lower loss."""


SIZES: Mapping[str, tuple[Size, ...]] = {
    "swift": (
        #    layers heads width context batch  rate  least tokens
        Size(    1,    2,   64,     64,   32, 13e-3,     0),
        Size(    2,    4,  128,     64,   32, 12e-3, 1.5e5),
        Size(    3,    4,  128,    128,   16,  9e-3,   4e5),
        Size(    3,    2,  128,    256,    8,  9e-3,   8e5),
        Size(    4,    3,  192,    256,    8,  9e-3,   2e6),
        Size(    6,    4,  256,    256,    8,  8e-3,   1e7),
        Size(    6,    6,  384,    256,    8, 75e-4,   5e7),
        Size(    8,    8,  512,    512,   32,  5e-3,   5e8),
    ),
    "gpt": (
        Size(    2,    4,  128,     64,   32,  8e-3,     0),
        Size(    4,    4,  128,    128,    8,  6e-3,   1e6),
        Size(    5,    6,  192,    128,   16,  5e-3,   5e6),
        Size(    6,    8,  256,    256,   16,  4e-3,   2e7),
        Size(    6,    6,  384,    256,   32,  3e-3,   1e8),
        Size(    8,    8,  512,    512,   32,  2e-3,   5e8),
    ),
}  # fmt: skip
"""Of each model, smallest first. Where the figures come from: docs/diary.md"""
WAYS: Mapping[str, Mapping[str, Any]] = {
    "swift": {"order": "epoch", "beta2": 0.95, "weight_decay": 0.0, "grad_clip": 0.0, "warmup_steps": 5},
    "gpt": {},
}
"""What else the training of a model is best done with."""

SHAPE = ("n_layer", "n_head", "n_embd", "block_size", "batch_size", "learning_rate")

MOST_PARAMETERS = 12  # for each token of the text: more only learn it by heart
DROPOUTS = {"swift": ((20, 0.2), (5, 0.1), (0, 0.0)), "gpt": ((25, 0.3), (8, 0.2), (3, 0.1), (0, 0.0))}
"""From so many epochs on."""
MOST_EPOCHS = 32
"""So often a text is worth reading in epochs: more, and the network learns it by heart, whatever is hidden from it."""
INPUT_DROPOUT = 0.05  # the least, where the model has it
MOST_EVALUATIONS = 30
EVALUATION_SHARE = 0.08  # of the time, at most, goes into judging and saving on the way
A_CURVE, A_CURVE_SHARE = 3, 0.15  # evaluations without which nothing can be said of a run, and what they may take
PATIENCE_SHARE = 0.25  # of the evaluations without a new best: then no better one is to be expected
LEAST_PATIENCE = 4


def kind(model: str) -> str:
    """Whose sizes and ways a model has: what learns in a hybrid is a swift GPT."""
    return "swift" if model in SWIFT else model


def choose(
    model: str, train_tokens: int, vocab_size: int, seconds: float, tokens_per_second: Callable[[Size], float]
) -> dict[str, Any]:
    """The settings for a text of `train_tokens` that is to be trained on for `seconds`.

    `tokens_per_second` is asked for the sizes that come into question, smallest first.
    """
    chosen, seen = size_for(model, train_tokens, vocab_size, seconds, tokens_per_second)
    return {name: getattr(chosen, name) for name in SHAPE} | way(model, seen / train_tokens)


def size_for(
    model: str, train_tokens: int, vocab_size: int, seconds: float, tokens_per_second: Callable[[Size], float]
) -> tuple[Size, float]:
    """The row of the table for a text and a time, and how many tokens it would see."""
    chosen, *larger = SIZES[kind(model)]
    seen = tokens_per_second(chosen) * seconds
    for size in larger:
        parameters = 12 * size.n_layer * size.n_embd**2 + 2 * vocab_size * size.n_embd
        if seen < size.least_tokens or parameters > MOST_PARAMETERS * train_tokens:
            break
        would_see = tokens_per_second(size) * seconds
        if would_see < size.least_tokens:
            break
        chosen, seen = size, would_see
    return chosen, seen


def way(model: str, epochs: float) -> dict[str, Any]:
    """How a model is best trained that reads its text so often, besides what its size says."""
    dropout = next(dropout for least, dropout in DROPOUTS[kind(model)] if epochs >= least)
    found = {"model": model, "dropout": dropout, **WAYS[kind(model)]}
    return found | ({"input_dropout": max(dropout, INPUT_DROPOUT)} if model in SWIFT else {})


def epoch_steps(model: ModelConfig, train: TrainConfig, train_tokens: int) -> float:
    """How many steps an epoch has; inf where windows come from random places."""
    return train_tokens / (train.batch_size * model.block_size) if train.order == "epoch" else math.inf


def most_steps(model: ModelConfig, train: TrainConfig, train_tokens: int) -> int:
    """How many steps are worth making."""
    return int(min(MOST_STEPS, MOST_EPOCHS * epoch_steps(model, train, train_tokens)))


def rhythm(steps: int, step_seconds: float, look_seconds: float, epoch_steps: float = math.inf) -> dict[str, int]:
    """How often so many steps are interrupted, so that judging and saving, `look_seconds` each time, stay a small part.

    With more than one epoch, of `epoch_steps` each, the model is judged where epochs end, or equal parts of them: what each
    learns anew is whole only there. A run that no longer gets better is stopped.
    """
    looks = steps * step_seconds / look_seconds if look_seconds else math.inf  # if nothing else were done
    affordable = max(EVALUATION_SHARE * looks, min(A_CURVE, A_CURVE_SHARE * looks))
    evaluations = int(max(1, min(MOST_EVALUATIONS, affordable, steps)))
    every = -(-steps // evaluations)
    if steps > epoch_steps:
        whole, parts = max(1, round(every / epoch_steps)), max(1, round(epoch_steps / every))
        every = math.ceil(epoch_steps * whole / parts)  # rather some steps early: late, all was just forgotten
        evaluations = steps // every
    return {
        "eval_every": every,
        "checkpoint_every": every,
        "sample_every": every * -(-evaluations // 4),
        "patience": max(LEAST_PATIENCE, round(PATIENCE_SHARE * evaluations)),
    }


def heads(n_embd: int, wanted: int) -> int:
    """How many heads, at most those wanted, so wide a model can have: each an even number of channels."""
    return next((n for n in range(min(wanted, n_embd), 1, -1) if n_embd % (2 * n) == 0), 1)
