"""From a text and some settings to a run folder that is ready to train. Prints nothing: what is odd is given back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inkwright import clock
from inkwright.config import ModelConfig, Plan, RunConfig, TextConfig, TrainConfig, change
from inkwright.errors import ModelError, SettingError, TextError, quoted
from inkwright.model import LogitModel, build
from inkwright.randomness import derive
from inkwright.run import checkpoint
from inkwright.run.card import card
from inkwright.run.folder import Run, read_model
from inkwright.run.model_folder import ModelFolder
from inkwright.text import corpus as corpora
from inkwright.text import doctor, tokens
from inkwright.text.corpus import Corpus, Note, Split
from inkwright.text.tokenizer import Tokenizer
from inkwright.train import device, forecast, plan, recipe
from inkwright.train.baseline import Line, baseline
from inkwright.train.forecast import CLOSING_SECONDS, SAVE_SECONDS, Forecast
from inkwright.train.pace import Pace, measure
from inkwright.version import __version__

SMALLEST_CONTEXT = 8
DROPOUTS = ("dropout", "input_dropout", "gram_dropout")
"""What of a model's settings is not its shape: a run that starts from another may set it anew."""
KINDS = {"char": {"tokenizer": "char", "alphabet": "open"}, "bare": {"tokenizer": "char", "alphabet": "bare"}} | {
    kind: {"tokenizer": kind} for kind in ("byte", "bpe")
}
"""The settings that say what kind of tokenizer a run has, also where it came from another run."""


@dataclass(frozen=True)
class Prepared:
    """A run that has begun, and what its person should know before the first step."""

    run: Run
    notes: tuple[Note, ...]
    parameters: int


def prepare(
    texts: Sequence[str],
    folder: Path | None,
    config: RunConfig,
    given: set[str],
    base: Path | None = None,
    free: bool = False,
) -> Prepared:
    """Read the text, fit the tokenizer, write the run down.

    `given` are the names of the settings a person set: those are kept or refused, the others are fitted to the text; in a
    run with minutes that is `free` (no preset was asked for), the size and the way of training are chosen too. With
    `base`, the new run starts from the weights and the tokenizer of an earlier one.

    Raises: TextError, UsageError, MachineError, ModelError, OccupiedError
    """
    began, (memory_at_first, _) = clock.began(), device.process_memory()
    corpus, split = read_text(texts, config.text)
    notes = [*doctor.examine(corpus, split, config.text)]
    origin = _origin(base, given) if base else None
    tokenizer = make_tokenizer(config, split, origin)
    text_config = change(config.text, **KINDS[tokenizer.kind])
    run = Run.claim(folder or Path("runs") / corpus.name)
    try:
        written = tokens.write(run.folder / "tokens", corpus, split, tokenizer, text_settings(config))
        text = tokens.read(written)
        if free and origin is None and config.train.minutes and config.model.model in recipe.SIZES:
            left_seconds = max(1.0, config.train.minutes * 60 - (time.monotonic() - began))
            config = sized(config, given, tokenizer.vocab_size, text.train, left_seconds)
        model_config = origin.model.config if origin else config.model
        dropouts = {name: getattr(config.model, name) for name in DROPOUTS}
        model_config = change(model_config, vocab_size=tokenizer.vocab_size, **dropouts)
        if origin is None:
            model_config = fit_context(model_config, len(text.train), "block_size" in given, split, notes)
        require_tokens(text.train, text.val, model_config.block_size)
        characters = tokens.scored_characters(text.facts["val"])
        scale = baseline(text.train, text.val, tokenizer, characters, model_config.block_size, model_config.ngram_order)
        if model_config.model == "counts":
            model_config = change(model_config, ngram_order=next(s["order"] for s in scale if s["name"] == "ngram"))
        train_config = fit_memory(model_config, config, given, notes)
        model = build(model_config, derive(config.train.seed, "init"), text.train if origin is None else None)
        if origin is not None:
            model.inherit(origin.model)
        if scarce := checkpoint.room_for(run.folder, model.parameter_count):
            notes.append(Note(scarce))
        memory_before, _ = device.process_memory()  # what is measured next takes memory that training takes again
        machine = device.decide(config.machine, model, train_config)
        pace = measure(model, text.train, train_config, machine)
        train_config = planned(train_config, given, model, pace, text, time.monotonic() - began)
        if train_config.minutes and train_config.steps == recipe.most_steps(
            model_config, train_config, len(text.train)
        ):
            told = f"this text needs less than {train_config.minutes:g} minutes"
            notes.append(
                Note(f"{told}: read more often, this model would know it by heart", "--portable uses them all")
            )
        config = RunConfig(text=text_config, model=model_config, train=train_config, machine=machine)
        _first_checkpoint(run, config, model, tokenizer, text)
        memory = memory_at_first, memory_before
        record = {
            "version": __version__,
            "texts": [absolute(source) for source in texts],
            "name": corpus.name,
            "fingerprint": corpus.fingerprint,
            "tokens": written.name,
            "from": str(base) if base else None,
            "conditions": device.conditions(machine),
            "baseline": scale,
            "parameters": model.parameter_count,
            "pace": vars(pace),
            "forecast": vars(expected(config, model, pace, text, scale, time.monotonic() - began, memory)),
            "preparation_seconds": round(time.monotonic() - began, 3),
        }
        run.begin(record, config)
    except BaseException:
        run.abandon()
        raise
    return Prepared(run, tuple(notes), model.parameter_count)


def read_text(texts: Sequence[str], config: TextConfig) -> tuple[Corpus, Split]:
    """A text, and what of it trains and what validates.

    Raises: TextError
    """
    corpus = corpora.read(texts, config)
    validation = corpora.read([config.val], config) if config.val else None
    return corpus, corpora.split(corpus, config, validation)


def _origin(base: Path, given: set[str]) -> ModelFolder:
    """The model to start from; its shape and its tokenizer come with it and cannot be asked for."""
    fixed = (ModelConfig.model_fields.keys() - set(DROPOUTS)) | {"tokenizer", "alphabet"}
    if wrong := sorted(given & fixed):
        raise SettingError(
            wrong[0], f"cannot be given together with --from: it is that of {quoted(base)}", "leave it out"
        )
    found = read_model(base)[0]
    if found.model.config.model == "counts":
        raise ModelError(
            f"{quoted(base)} is a count model: counts of one text are no beginning for another", "count both"
        )
    return found


def make_tokenizer(config: RunConfig, split: Split, origin: ModelFolder | None) -> Tokenizer:
    """The tokenizer of a new run: fitted to its text, or that of the model it starts from with new characters added."""
    train, val = ([piece.text for piece in part] for part in (split.train, split.val))
    if origin is not None:
        return origin.tokenizer.grown([*train, *val] if origin.tokenizer.kind == "bare" else train)
    return Tokenizer.fit(config.text, train, val)


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


def sized(config: RunConfig, given: set[str], vocab_size: int, train_ids: np.ndarray, seconds: float) -> RunConfig:
    """The same settings with a model, and a way to train it, for this text, this time and this machine; those given stay."""
    machine = device.resolved(config.machine)
    if len(train_ids) < 2:
        return config  # it will be refused
    stock = given & {"model", "shape", "activation", "bias"}  # what only the GPT has, or a person asked for
    model = config.model.model if stock else "swift"

    def tokens_per_second(size: recipe.Size) -> float:
        shape = {name: getattr(size, name) for name in ("n_layer", "n_head", "n_embd")}
        shape["block_size"] = min(size.block_size, len(train_ids) - 1)
        trial = build(change(config.model, model=model, vocab_size=vocab_size, **shape))
        pace = measure(trial, train_ids, change(config.train, batch_size=size.batch_size), machine)
        return size.batch_size * shape["block_size"] / pace.step_seconds

    found = recipe.choose(model, len(train_ids), vocab_size, seconds, tokens_per_second)
    if "block_size" in given:  # as many tokens in a step
        found["batch_size"] = max(1, found["batch_size"] * found["block_size"] // config.model.block_size)
    if "n_embd" in given:
        found["n_head"] = recipe.heads(config.model.n_embd, found["n_head"])
    if "n_head" in given:
        found["n_embd"] = -(-found["n_embd"] // (2 * config.model.n_head)) * 2 * config.model.n_head
    free = {name: value for name, value in found.items() if name not in given}
    shape = {name: free.pop(name) for name in list(free) if name in ModelConfig.model_fields}
    return config.model_copy(
        update={"model": change(config.model, **shape), "train": change(config.train, **free)},
    )


def fit_memory(model: ModelConfig, config: RunConfig, given: set[str], notes: list[Note]) -> TrainConfig:
    """The same training in micro-batches that fit into memory, unless a person said how large they are.

    Raises: MachineError   not even one window at a time would fit
    """
    where, train = device.resolve_device(config.machine.device), config.train
    while (device.needed_bytes(model, train)) > device.free_memory(where):
        windows = train.micro_batch_size or train.batch_size
        if windows == 1 or "micro_batch_size" in given:
            device.require_memory(model, config.train, where)
        train = change(train, micro_batch_size=-(-windows // 2))
    if train.micro_batch_size != config.train.micro_batch_size:
        notes.append(
            Note(f"{train.micro_batch_size} windows at once instead of {train.batch_size}, to fit into memory")
        )
    return train


def planned(
    train: TrainConfig, given: set[str], model: LogitModel, pace: Pace, text: tokens.Tokens, spent_seconds: float
) -> TrainConfig:
    """The same training with as many steps as fit into its minutes, if it has any, and a rhythm that leaves time for them."""
    if model.config.model == "counts":
        return change(train, steps=1, minutes=None)
    if train.minutes is None:
        return train
    left = max(0.0, train.minutes * 60 - spent_seconds - CLOSING_SECONDS)
    look_seconds = pace.token_seconds * len(text.val) + SAVE_SECONDS
    most = recipe.most_steps(model.config, train, len(text.train))
    rhythm = recipe.rhythm(max(1, min(most, int(left / pace.step_seconds))), pace.step_seconds, look_seconds)
    rhythm |= {name: getattr(train, name) for name in rhythm if name in given}
    steps = plan.fitting_steps(0, left, pace.step_seconds, look_seconds, rhythm["eval_every"])
    steps = min(most, steps)
    warmup = train.warmup_steps if "warmup_steps" in given else min(train.warmup_steps, steps // 10)
    first = Plan(step=0, steps=steps, seconds=0)
    return change(train, steps=steps, plan=(first,), warmup_steps=warmup, **rhythm)


def expected(
    config: RunConfig,
    model: LogitModel,
    pace: Pace,
    text: tokens.Tokens,
    scale: Sequence[Line],
    spent_seconds: float,
    memory: tuple[int, int],
) -> Forecast:
    """What the run will take and reach, as far as it can be known before the first step.

    `memory` is what the process had before it read the text, and what it had before anything was measured: bytes.
    """
    first, before = memory
    training = before + forecast.memory_of(config.model, config.train, model.parameter_count)
    memory_bytes = max(device.process_memory()[1], training) - first + forecast.OWN_BYTES
    seen = config.train.steps * config.train.batch_size * config.model.block_size
    low, high = forecast.losses_of(config.model.model, scale, seen)
    return Forecast(
        seconds=round(forecast.seconds_of(config.train, pace, len(text.val), spent_seconds), 1),
        memory_bytes=memory_bytes,
        disk_bytes=forecast.disk_of(config.model, model.parameter_count, len(text.train) + len(text.val)),
        loss_low=low,
        loss_high=high,
    )


def _first_checkpoint(
    run: Run, config: RunConfig, model: LogitModel, tokenizer: Tokenizer, text: tokens.Tokens
) -> None:
    """Step 0: from here on there is always something to load."""
    description = card(config, text.facts, 0, model.parameter_count, None)
    facts = {"step": 0, "val_loss": None, "tokenizer": tokenizer.sha256, "tokens": text.facts["fingerprint"]}
    checkpoint.save(run.checkpoint_folder(0), model, tokenizer, [], {"step": 0}, text.unseen, description, facts)


def text_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that say how files become a text that trains and one that validates."""
    return config.text.model_dump(include={"val", "val_fraction", "train_fraction", "split", "encoding", "normalize"})


def absolute(source: str) -> str:
    """A text's name as it will be found again from another working folder."""
    return source if source == "-" or source in corpora.named() else str(Path(source).absolute())
