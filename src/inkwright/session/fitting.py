"""What of a run's settings follows from its text, its time and its machine; what a person set stays, or is refused.

`given` are the names of the settings a person set. Prints nothing and writes nothing: what is odd goes to `notes`.
"""

import time
from typing import Any

import numpy as np

from inkwright.config import ModelConfig, Plan, RunConfig, TrainConfig, change
from inkwright.errors import TextError
from inkwright.model import LogitModel, build
from inkwright.run.model_folder import ModelFolder
from inkwright.text import tokens
from inkwright.text.corpus import Note, Split
from inkwright.train import device, plan, recipe
from inkwright.train.forecast import CLOSING_SECONDS, SAVE_SECONDS
from inkwright.train.pace import Pace, measure

SMALLEST_CONTEXT = 8
DROPOUTS = ("dropout", "input_dropout", "gram_dropout")
"""What of a model's settings is not its shape: a run that starts from another may set it anew."""


# ---------------------------------------------------------------- the model


def sized(config: RunConfig, given: set[str], vocab_size: int, train_ids: np.ndarray, began: float) -> RunConfig:
    """The same settings with a model, and a way to train it, for this text, its minutes since `began` and this machine."""
    if config.train.minutes is None or recipe.kind(config.model.model) not in recipe.SIZES or len(train_ids) < 2:
        return config  # too short a text will be refused
    stock = given & {"model", "shape", "activation", "bias"}  # what only the GPT has, or a person asked for
    model = config.model.model if stock else "swift"
    machine = device.resolved(config.machine)

    def tokens_per_second(size: recipe.Size) -> float:
        trial = of_size(config, model, size, min(size.block_size, len(train_ids) - 1))
        shape = change(trial.model, vocab_size=vocab_size)
        per_step = size.batch_size * shape.block_size
        return per_step / measure(build(shape), train_ids, trial.train, machine).step_seconds

    seconds = max(1.0, config.train.minutes * 60 - (time.monotonic() - began))
    found = recipe.choose(model, len(train_ids), vocab_size, seconds, tokens_per_second)
    if "block_size" in given:  # as many tokens in a step
        found["batch_size"] = max(1, found["batch_size"] * found["block_size"] // config.model.block_size)
    if "n_embd" in given:
        found["n_head"] = recipe.heads(config.model.n_embd, found["n_head"])
    if "n_head" in given:
        found["n_embd"] = -(-found["n_embd"] // (2 * config.model.n_head)) * 2 * config.model.n_head
    return having(config, {name: value for name, value in found.items() if name not in given})


def of_size(config: RunConfig, model: str, size: recipe.Size, block_size: int) -> RunConfig:
    """The same settings with a size of the recipe's table, whose context the text may not fill."""
    shape = {name: getattr(size, name) for name in recipe.SHAPE}
    return having(config, {**shape, "model": model, "block_size": block_size})


def having(config: RunConfig, settings: dict[str, Any]) -> RunConfig:
    """The same settings with some of the model's and of the training's in the place of others."""
    shape = {name: value for name, value in settings.items() if name in ModelConfig.model_fields}
    way = {name: value for name, value in settings.items() if name not in shape}
    return config.model_copy(update={"model": change(config.model, **shape), "train": change(config.train, **way)})


def shaped(
    config: RunConfig,
    given: set[str],
    vocab_size: int,
    text: tokens.Tokens,
    split: Split,
    notes: list[Note],
    origin: ModelFolder | None,
) -> RunConfig:
    """The same settings with the shape of the model complete: that of the one it starts from, or one that the text can fill.

    Raises: TextError   the text is too short for it
    """
    dropouts = {name: getattr(config.model, name) for name in DROPOUTS}
    shape = change(origin.model.config if origin else config.model, vocab_size=vocab_size, **dropouts)
    if origin is None:
        shape = fit_context(shape, len(text.train), "block_size" in given, split, notes)
    require_tokens(text.train, text.val, shape.block_size)
    return config.model_copy(update={"model": shape})


def fit_context(
    config: ModelConfig, train_tokens: int, was_given: bool, split: Split, notes: list[Note]
) -> ModelConfig:
    """The same shape with a context that the text can fill; one that a person asked for is refused instead.

    Raises: TextError   the text is too short for the context that was asked for
    """
    characters = sum(len(piece.text) for part in (split.train, split.val) for piece in part)
    fitting = max(SMALLEST_CONTEXT, 1 << (max(1, train_tokens // 8).bit_length() - 1))
    if was_given and train_tokens > config.block_size:
        return config
    if was_given:
        raise TextError(
            f"{characters:,} characters is too short for --block-size {config.block_size}",
            f"use --block-size {fitting} or add text",
        )
    if config.block_size <= fitting:
        return config
    notes.append(Note(f"{characters:,} characters: context {fitting} instead of {config.block_size}"))
    return change(config, block_size=fitting)


def require_tokens(train_ids: np.ndarray, val_ids: np.ndarray, block_size: int) -> None:
    """Refuse a text that does not fill one window, or leaves nothing to score.

    Raises: TextError
    """
    if len(train_ids) <= block_size:
        raise TextError(
            f"{len(train_ids)} token{'s' * (len(train_ids) != 1)} to train on cannot fill one context of {block_size}",
            "add text, or a smaller --val-fraction",
        )
    if len(val_ids) < 3:
        raise TextError(
            f"{len(val_ids)} token{'s' * (len(val_ids) != 1)} to validate on; at least 3 are needed",
            "a larger --val-fraction, or another --val",
        )


def fit_memory(config: RunConfig, given: set[str], notes: list[Note]) -> RunConfig:
    """The same training in micro-batches that fit into memory, unless a person said how large they are.

    Raises: MachineError   not even one window at a time would fit
    """
    where, model, train = device.resolve_device(config.machine.device), config.model, config.train
    while (device.needed_bytes(model, train)) > device.free_memory(where):
        windows = train.micro_batch_size or train.batch_size
        if windows == 1 or "micro_batch_size" in given:
            device.require_memory(model, config.train, where)
        train = change(train, micro_batch_size=-(-windows // 2))
    if train.micro_batch_size != config.train.micro_batch_size:
        notes.append(
            Note(f"{train.micro_batch_size} windows at once instead of {train.batch_size}, to fit into memory")
        )
    return config.model_copy(update={"train": train})


# ---------------------------------------------------------------- its steps


def planned(
    train: TrainConfig,
    given: set[str],
    model: LogitModel,
    pace: Pace,
    text: tokens.Tokens,
    spent_seconds: float,
    notes: list[Note],
) -> TrainConfig:
    """The same training with as many steps as fit into its minutes, if it has any, and a rhythm that leaves time for them.

    Never more than are worth making: a text that is small for the time is done with early.
    """
    if model.config.model == "counts":
        return change(train, steps=1, minutes=None)
    if train.minutes is None:
        return train
    left = max(0.0, train.minutes * 60 - spent_seconds - CLOSING_SECONDS)
    look_seconds = pace.token_seconds * len(text.val) + SAVE_SECONDS
    epoch_steps = recipe.epoch_steps(model.config, train, len(text.train))
    most = recipe.most_steps(model.config, train, len(text.train))
    about = max(1, min(most, int(left / pace.step_seconds)))
    rhythm = recipe.rhythm(about, pace.step_seconds, look_seconds, epoch_steps)
    rhythm |= {name: getattr(train, name) for name in rhythm if name in given}
    steps = min(most, plan.fitting_steps(0, left, pace.step_seconds, look_seconds, rhythm["eval_every"]))
    if steps == most:
        notes.append(
            Note(
                f"the text is small for {train.minutes:g} minutes: read {recipe.MOST_EPOCHS} times, it is done with earlier",
                "more text; more readings would only be learned by heart",
            )
        )
    warmup = train.warmup_steps if "warmup_steps" in given else min(train.warmup_steps, steps // 10)
    first = Plan(step=0, steps=steps, seconds=0)
    return change(train, steps=steps, plan=(first,), warmup_steps=warmup, **rhythm)
