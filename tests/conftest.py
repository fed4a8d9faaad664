"""What many tests need: tiny models, a text made here, Shakespeare where it lies on this machine."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "300")  # before torch: what the command line does too

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import settings

from inkwright.config import ModelConfig, change
from inkwright.model import MODELS, LogitModel, build
from inkwright.model.counts import Counts

signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a shell's background jobs ignore it, and so would their children
torch.set_num_threads(1)  # pytest's workers share the cores
settings.register_profile("inkwright", deadline=None)
settings.load_profile("inkwright")

SHAPES: tuple[str, ...] = get_args(ModelConfig.model_fields["shape"].annotation)
EVERY_MODEL = [*sorted(MODELS.keys() - {"gpt"}), *SHAPES]
"""Each rung by its name, and the GPT in each of its shapes: a new one is tested without being named anywhere."""


@pytest.fixture(scope="session", params=EVERY_MODEL)
def model_name(request: pytest.FixtureRequest) -> str:
    """Runs a test once for every model there is."""
    return request.param


@pytest.fixture(scope="session", params=[name for name in EVERY_MODEL if name != "counts"])
def learner_name(request: pytest.FixtureRequest) -> str:
    """Runs a test once for every model that has weights."""
    return request.param


@pytest.fixture(scope="session", params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    """Runs a test once for every shape of the GPT."""
    return request.param


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., ModelConfig]:
    """`tiny_config("modern", block_size=8)`: two layers, width 32; of a rung, or of the GPT in a shape."""

    def make(name: str, **changes: object) -> ModelConfig:
        which = {"model": "gpt", "shape": name} if name in SHAPES else {"model": name, "ngram_order": 4}
        config = ModelConfig(n_layer=2, n_head=4, n_embd=32, block_size=16, vocab_size=29, **which)  # type: ignore[arg-type]
        return change(config, **changes)

    return make


@pytest.fixture(scope="session")
def tiny_model(tiny_config: Callable[..., ModelConfig]) -> Callable[..., LogitModel]:
    """`tiny_model("classic")`: in float64, in evaluation, each weight moved at random: no zero hides a part."""

    def make(name: str, dtype: torch.dtype = torch.float64, seed: int = 0, **changes: object) -> LogitModel:
        config, rng = tiny_config(name, **changes), torch.Generator().manual_seed(seed)
        text = torch.randint(config.vocab_size, (5_000,), generator=rng).numpy()
        model = build(config, seed, text).to(dtype)
        with torch.no_grad():
            for weight in model.parameters():
                weight += torch.randn(weight.shape, generator=rng, dtype=torch.float64).to(dtype) * 0.2
            if isinstance(model, Counts):
                model.count(text)
        return model.eval()

    return make


@pytest.fixture(scope="session")
def tiny_text() -> str:
    """About 20,000 characters of invented prose, always the same."""
    rng = random.Random(20)
    syllables = [first + last for first in "bcdfglmnprstv" for last in ("a", "e", "é", "in", "or", "us")]
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(400)]
    sentences = []
    while sum(map(len, sentences)) < 20_000:
        sentence = " ".join(rng.choices(words, k=rng.randint(3, 12)))
        sentences.append(sentence.capitalize() + rng.choice([". ", "! ", "?\n", ", 17 ", ".\n\n", "; "]))
    return "".join(sentences)


@pytest.fixture(scope="session")
def shakespeare() -> Path:
    """The file that every published number about tiny Shakespeare is of."""
    path = Path(os.environ.get("INKWRIGHT_CORPORA", ""), "tinyshakespeare", "input.txt")
    if "INKWRIGHT_CORPORA" not in os.environ or not path.is_file():
        pytest.skip("tiny Shakespeare is not here: INKWRIGHT_CORPORA names no folder with tinyshakespeare/input.txt")
    return path
