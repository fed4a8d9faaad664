"""From a text and some settings to a run folder that is ready to train. Prints nothing: what is odd is given back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkwright import clock
from inkwright.config import ModelConfig, RunConfig, TextConfig, change
from inkwright.errors import ModelError, SettingError, quoted
from inkwright.model import LogitModel, build
from inkwright.model.hybrid import LONGER
from inkwright.randomness import derive
from inkwright.run import checkpoint
from inkwright.run.card import card
from inkwright.run.folder import Run, read_model
from inkwright.run.model_folder import ModelFolder
from inkwright.session.fitting import DROPOUTS, fit_memory, planned, shaped, sized
from inkwright.text import corpus as corpora
from inkwright.text import doctor, tokens
from inkwright.text.corpus import Corpus, Note, Split
from inkwright.text.tokenizer import Tokenizer
from inkwright.train import device, forecast
from inkwright.train.baseline import Line, baseline
from inkwright.train.forecast import Forecast
from inkwright.train.pace import Pace, measure
from inkwright.version import __version__

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
    if config.text.val:
        config = config.model_copy(update={"text": change(config.text, val=absolute(config.text.val))})
    origin = _origin(base, given) if base else None
    tokenizer = make_tokenizer(config, split, origin)
    run = Run.claim(folder or Path("runs") / corpus.name)
    try:
        written = tokens.write(run.folder / "tokens", corpus, split, tokenizer, text_settings(config))
        text = tokens.read(written)
        config = config.model_copy(update={"text": change(config.text, **KINDS[tokenizer.kind])})
        if free and origin is None:
            config = sized(config, given, tokenizer.vocab_size, text.train, began)
        config = shaped(config, given, tokenizer.vocab_size, text, split, notes, origin)
        scale = scale_of(text, tokenizer, config.model)
        config = fit_memory(_with_order(config, scale), given, notes)
        model = _fresh_model(config, text, origin)
        if scarce := checkpoint.room_for(run.folder, model.parameter_count):
            notes.append(Note(scarce))
        memory_before, _ = device.process_memory()  # what is measured next takes memory that training takes again
        machine = device.decide(config.machine, model, config.train)
        pace = measure(model, text.train, config.train, machine)
        train = planned(config.train, given, model, pace, text, time.monotonic() - began, notes)
        config = RunConfig(text=config.text, model=config.model, train=train, machine=machine)
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
    return corpus, split_text(corpus, config)


def split_text(corpus: Corpus, config: TextConfig) -> Split:
    """What of a text that was read trains, and what validates: some of it, or a text of its own.

    Raises: TextError
    """
    return corpora.split(corpus, config, corpora.read([config.val], config) if config.val else None)


def _origin(base: Path, given: set[str]) -> ModelFolder:
    """The model to start from; its shape and its tokenizer come with it and cannot be asked for."""
    fixed = (ModelConfig.model_fields.keys() - set(DROPOUTS)) | {"tokenizer", "alphabet"}
    if wrong := sorted(given & fixed):
        raise SettingError(
            wrong[0], f"cannot be given together with --from: it is that of {quoted(base)}", "leave it out"
        )
    found = read_model(base)[0]
    if found.model.config.model in ("counts", "hybrid"):
        kind, instead = ("count", "count both") if found.model.config.model == "counts" else ("hybrid", "train on both")
        raise ModelError(f"{quoted(base)} is a {kind} model: counts of one text are no beginning for another", instead)
    return found


def make_tokenizer(config: RunConfig, split: Split, origin: ModelFolder | None) -> Tokenizer:
    """The tokenizer of a new run: fitted to its text, or that of the model it starts from with new characters added."""
    train, val = ([piece.text for piece in part] for part in (split.train, split.val))
    if origin is not None:
        return origin.tokenizer.grown([*train, *val] if origin.tokenizer.kind == "bare" else train)
    return Tokenizer.fit(config.text, train, val)


def scale_of(text: tokens.Tokens, tokenizer: Tokenizer, config: ModelConfig) -> list[Line]:
    """The lines that the loss of such a model on a text is read against.

    Raises: Interrupted   a stop was asked for on the way
    """
    characters = tokens.scored_characters(text.facts["val"])
    order = config.ngram_order if config.model == "counts" else None  # of swift, it says nothing about counting
    return baseline(text.train, text.val, tokenizer, characters, config.block_size, order)


def _with_order(config: RunConfig, scale: Sequence[Line]) -> RunConfig:
    """A model that counts takes the order that the scale was found to be best with."""
    if config.model.model not in ("counts", "hybrid") or config.model.ngram_order is not None:
        return config
    order = next(line["order"] for line in scale if line["name"] == "ngram")
    order += LONGER if config.model.model == "hybrid" else 0
    return config.model_copy(update={"model": change(config.model, ngram_order=order)})


def _fresh_model(config: RunConfig, text: tokens.Tokens, origin: ModelFolder | None) -> LogitModel:
    """The model of step 0: with weights of its own, or with those of the one it starts from."""
    seed = derive(config.train.seed, "init")
    if origin is None:
        return build(config.model, seed, text.train)
    model = build(config.model, seed)
    model.inherit(origin.model)
    return model


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
    low, high = forecast.losses_of(config.model.model, scale, seen, seen / len(text.train))
    return Forecast(
        seconds=round(forecast.seconds_of(config.train, pace, len(text.val), spent_seconds), 1),
        memory_bytes=memory_bytes,
        disk_bytes=forecast.disk_of(config.model, model.parameter_count, len(text.train) + len(text.val))
        + forecast.CHECKPOINTS * sum(buffer.nbytes for buffer in model.buffers()),
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
