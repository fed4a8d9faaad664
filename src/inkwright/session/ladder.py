"""Every rung from the bigram to the GPT, trained and judged on one text. Prints nothing.

Two tracks, never mixed. faithful: the lecture's own settings, whose losses are published. fair: equal text (or equal
seconds) for every rung, and one change at a time.

A rung is trained as an ordinary run, in a folder of its own: ladder/faithful/one-head-seed-1337.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from inkwright import config as configs
from inkwright.config import RunConfig
from inkwright.language_model import LanguageModel
from inkwright.model import build
from inkwright.run.folder import read_model
from inkwright.session import several
from inkwright.session.training import Training
from inkwright.text.corpus import DOWNLOADS
from inkwright.text.tokens import read as read_tokens
from inkwright.train.loop import gradients

Track = Literal["faithful", "fair"]


@dataclass(frozen=True)
class Rung:
    """One model of a track."""

    name: str
    idea: str
    """What it has that the one below has not, in one sentence."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Over the settings of its track."""
    published: float | None = None
    """The loss others report on tiny Shakespeare, nats per character, where there is one."""
    band: float = 0.05
    """How far from it a run here may end."""
    scaled: bool = False
    """So large that it is trained only when asked for."""


IDEAS = {
    "bigram": "Looks at the last token alone, in a table of what follows what.",
    "linear": "A vector for the token and one for its place, and a linear head: the same guess through fewer numbers.",
    "averaging": "Sees the past for the first time: every position gets the mean of all before it.",
    "one-head": "A weighted mean, whose weights depend on what was read: self-attention.",
    "many-heads": "Four narrow heads side by side, so that a position can look for several things at once.",
    "feed-forward": "After reading from the others, each position thinks about it alone.",
    "no-residual": "Three such blocks, one after the other: deeper, and harder to train.",
    "residual": "Each block adds to what came in and no longer replaces it, so that the first layer can still be reached.",
    "projection": "What the heads found is mixed before it is added.",
    "wide": "Each position thinks with four times the channels.",
    "projections": "What was found is mixed before it is added, and each position thinks with four times the channels.",
    "layernorm": "Each part reads a normalised input: from here on this is the lecture's GPT.",
    "dropout": "A fifth of the activations is dropped in training; a model this small has none to spare.",
    "scaled": "The same model, large: 6 layers of width 384 that see 256 characters.",
}


def _rung(name: str, model: str = "", **rest: Any) -> Rung:
    own = {key: rest.pop(key) for key in ("published", "band", "scaled") if key in rest}
    idea = rest.pop("idea", IDEAS.get(name, ""))
    return Rung(name, idea, {"model": model or name, **rest}, **own)


FAITHFUL = (
    _rung("bigram", steps=3000, learning_rate=1e-2, min_learning_rate=1e-2, published=2.49, band=0.01),
    _rung("linear", published=2.51, band=0.02),
    _rung("averaging"),
    _rung("one-head", published=2.41, band=0.02),
    _rung("many-heads", published=2.286),
    _rung("feed-forward", published=2.241, band=0.06),
    _rung("no-residual", published=2.337, band=0.07),
    _rung("residual", published=2.175, band=0.04),
    _rung("projections", "wide", published=2.09, band=0.02),
    _rung("layernorm", published=2.06, band=0.03),
    _rung("dropout", "layernorm", dropout=0.2, published=2.158, band=0.04),
    _rung(
        "scaled", "gpt", shape="lecture", n_layer=6, n_head=6, n_embd=384, block_size=256, batch_size=64, dropout=0.2,
        learning_rate=3e-4, min_learning_rate=3e-4, published=1.487, scaled=True, checkpoint_every=500,
    ),
)  # fmt: skip
"""Published: the lecture as quoted, reruns of it, and garg-aayush/building-from-scratch, whose commits state a loss each.
A band holds the three seeds that were measured (docs/diary.md); seeds differ most without residual connections."""

FAIR_SETTINGS: Mapping[str, Any] = dict(
    alphabet="bare", shape="lecture", activation="relu", n_layer=3, n_head=4, n_embd=64, block_size=64, dropout=0.0,
    steps=2000, batch_size=16, optimizer="adamw", learning_rate=2e-3, min_learning_rate=2e-4, warmup_steps=100,
    schedule="cosine", weight_decay=0.1, beta2=0.99, grad_clip=1.0, eval_every=200, checkpoint_every=2000,
)  # fmt: skip
LAST: Mapping[str, Any] = {"model": "gpt"}
FAIR = (
    *(_rung(name) for name in list(IDEAS)[:10]),
    _rung("layernorm"),
    _rung("dropout", "layernorm", dropout=0.2),
    _rung("context", "layernorm", block_size=128, batch_size=8, idea="Twice the context, and as much text in a step."),
    _rung("width", "layernorm", n_embd=128, idea="Twice the width."),
    _rung("depth", "layernorm", n_layer=6, idea="Twice the depth."),
    _rung(
        "modern",
        "gpt",
        shape="modern",
        activation="gelu_tanh",
        idea="The parts of today: rotary positions, SwiGLU, QK-norm.",
    ),
    _rung("muon", "gpt", shape="modern", activation="gelu_tanh", optimizer="muon", idea="The same, trained with Muon."),
)
"""Rungs above layernorm change one thing each, all against layernorm; muon against modern."""

TRACKS: Mapping[Track, tuple[Rung, ...]] = {"faithful": FAITHFUL, "fair": FAIR}


@dataclass(frozen=True)
class Attempt:
    """One rung with one seed, and where its run is kept."""

    track: Track
    rung: Rung
    seed: int
    folder: Path

    @property
    def done(self) -> bool:
        """Whether its training has ended."""
        return result_of(self) is not None


@dataclass(frozen=True)
class Result:
    """What came out of an attempt, read from its folder."""

    attempt: Attempt
    loss: float
    """Of the best checkpoint on the whole validation text, nats per token."""
    stderr: float
    bits_per_char: float
    parameters: int
    text: str
    """Its name."""
    block_size: int
    seconds: float
    steps: int
    curve: list[tuple[int, float]]
    """(step, validation loss) of every evaluation."""
    baseline: list[dict[str, Any]]
    published: float | None
    """What others report, where this is the text they report it on."""

    @property
    def as_published(self) -> bool | None:
        """Whether it ended within its band of the published loss."""
        return None if self.published is None else abs(self.loss - self.published) <= self.attempt.rung.band


def forecast_seconds(attempt: Attempt) -> float:
    """About how long an attempt takes here, from one small step of it; its tokens are made up."""
    config = settings_of(attempt, None, {})
    model = build(configs.change(config.model, vocab_size=65))
    idx = torch.zeros(2, config.model.block_size, dtype=torch.long)
    trial = configs.change(config.train, batch_size=len(idx))
    gradients(model, (idx, idx), trial, step=0)  # the first one is slow
    began = time.perf_counter()
    gradients(model, (idx, idx), trial, step=0)
    seconds = time.perf_counter() - began
    return seconds * config.train.batch_size / len(idx) * config.train.steps


def attempts(folder: Path, track: Track, seeds: int, first_seed: int, scaled: bool) -> list[Attempt]:
    """All that a climb consists of, seed by seed within a rung."""
    return [
        Attempt(track, rung, seed, folder / track / f"{rung.name}-seed-{seed}")
        for rung in TRACKS[track]
        if scaled or not rung.scaled
        for seed in range(first_seed, first_seed + seeds)
    ]


def settings_of(attempt: Attempt, minutes: float | None, given: Mapping[str, Any]) -> RunConfig:
    """The settings of an attempt; `minutes` each instead of steps; `given` are the text's and the machine's."""
    base = configs.PRESETS["lecture-small"] if attempt.track == "faithful" else FAIR_SETTINGS
    own = {"seed": attempt.seed, "dtype": "float32"} | (
        {"minutes": minutes} if minutes else {}
    )  # one precision for all
    return configs.resolve({**base, **attempt.rung.settings, **own, **given})


def begin(texts: Sequence[str], attempt: Attempt, minutes: float | None, given: Mapping[str, Any]) -> Training:
    """The training of an attempt, from its start or from where it was left.

    Raises: OccupiedError   another ladder stands there; and whatever `several.begin` raises
    """
    config = settings_of(attempt, minutes, given)
    return several.begin(texts, attempt.folder, config, set(given) | {"block_size", "patience"})


def result_of(attempt: Attempt) -> Result | None:
    """What an attempt reached; None where it has not ended."""
    found = several.ended(attempt.folder)
    if found is None:
        return None
    run, best = found.run, found.best
    facts = read_tokens(run.tokens_folder).facts
    known = [source["sha256"] for source in facts["sources"]] == [DOWNLOADS["shakespeare"].sha256]
    return Result(
        attempt=attempt,
        loss=best["val_loss"],
        stderr=best["val_loss_stderr"] or math.nan,
        bits_per_char=best["bits_per_char"],
        parameters=run.record["parameters"],
        text=run.record["name"],
        block_size=run.config.model.block_size,
        seconds=found.reports[-1]["seconds"],
        steps=run.config.train.steps,
        curve=[(line["step"], line["val_loss"]) for line in found.reports if line.get("val_loss") is not None],
        baseline=run.record["baseline"],
        published=attempt.rung.published if known else None,
    )


def sample_of(attempt: Attempt, tokens: int, seed: int) -> str:
    """A text by the best checkpoint of an attempt."""
    found, _, _ = read_model(attempt.folder)
    lm = LanguageModel(found.model, found.tokenizer, found.unseen)
    return lm.generate(max_new_tokens=tokens, seed=seed)


def results(folder: Path) -> Iterator[Result]:
    """Everything that was reached in a ladder's folder, in the order of the rungs."""
    for track, rungs in TRACKS.items():
        for rung in rungs:
            for path in sorted(folder.glob(f"{track}/{rung.name}-seed-*")):
                if path.name.removeprefix(f"{rung.name}-seed-").isdigit():
                    found = result_of(Attempt(track, rung, int(path.name.rpartition("-")[2]), path))
                    if found is not None:
                        yield found
