"""The hybrid: a swift GPT and counts, mixed by a share that neither could have cheated for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from inkwright.config import ModelConfig, TextConfig, TrainConfig, change
from inkwright.errors import ModelError
from inkwright.model import build
from inkwright.model import hybrid as hybrids
from inkwright.model.counts import Counts
from inkwright.model.hybrid import Hybrid
from inkwright.model.swift import Swift
from inkwright.run import model_folder
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loop import TrainState, train
from inkwright.train.loss import evaluate
from inkwright.train.optimizer import build_optimizers

V, T = 8, 16
CONFIG = ModelConfig(model="hybrid", n_layer=1, n_head=2, n_embd=32, block_size=T, ngram_order=4, vocab_size=V)


def written(length: int, seed: int) -> np.ndarray:
    """Half of the tokens follow from the two before them, which is for counts; a third repeat the one six before them."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(V, size=length)
    follows = np.random.default_rng(0).permuted(np.tile(np.arange(V), (V * V, 1)), axis=1)
    for i in range(6, length):
        luck = rng.random()
        if luck < 0.5:
            ids[i] = follows[ids[i - 2] * V + ids[i - 1], int(4 * luck)]
        elif luck < 0.85:
            ids[i] = ids[i - 6]
    return ids


TEXT, OTHER = written(15_000, 1), written(4_000, 2)


def loss_of(model: Hybrid | Swift | Counts, ids: np.ndarray) -> float:
    return evaluate(model, Windows(ids, T)).loss


@pytest.fixture(scope="module")
def hybrid() -> Hybrid:
    """Trained until it is about as good as its counts, and mixed."""
    model = build(change(CONFIG, gram_dropout=0.7), 1, TEXT)
    assert isinstance(model, Hybrid)
    config = TrainConfig(steps=300, batch_size=16, learning_rate=0.01, warmup_steps=5, weight_decay=0.0, order="epoch")
    windows = Windows(model.learned_part(TEXT), T)
    for _ in train(TrainState(model, build_optimizers(model, config), model), windows, config):
        pass
    model.find_share(TEXT)
    return model.eval()


@pytest.fixture
def idx() -> torch.Tensor:
    return torch.randint(V, (6, T), generator=torch.Generator().manual_seed(1))


def gpt_of(model: Hybrid) -> Swift:
    """The same weights without the counts."""
    alone = Swift(change(CONFIG, model="swift", ngram_order=5))
    state = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(("counts.", "share"))}
    alone.make_room(state)
    alone.load_state_dict(state)
    return alone.eval()


@torch.no_grad()
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_its_probabilities_are_one_whole_on_any_context(hybrid: Hybrid, idx: torch.Tensor, share: float) -> None:
    found = hybrid.share.item()
    hybrid.share.fill_(share)
    total = hybrid(idx).double().exp().sum(-1)
    hybrid.share.fill_(found)
    assert torch.allclose(total, torch.ones_like(total), atol=1e-5)


def test_it_is_better_than_its_gpt_and_than_its_counts_on_another_text(hybrid: Hybrid) -> None:
    mixed, learned, counted = (loss_of(model, OTHER) for model in (hybrid, gpt_of(hybrid), hybrid.counts))
    assert mixed < min(learned, counted) - 0.01


def test_its_counts_are_those_of_the_whole_training_text(hybrid: Hybrid) -> None:
    counts = Counts(change(CONFIG, model="counts"))
    counts.count(TEXT)
    assert all(torch.equal(mine, his) for mine, his in zip(hybrid.counts.buffers(), counts.buffers(), strict=True))


def test_in_training_it_is_its_gpt_alone(idx: torch.Tensor) -> None:
    model = build(CONFIG, 1, TEXT)
    assert isinstance(model, Hybrid)
    model.lm_head.weight.data.normal_()
    assert torch.equal(model.train()(idx), gpt_of(model)(idx))


# ------------------------------------------------------------ the share


def test_neither_part_has_seen_the_text_that_the_share_is_found_on() -> None:
    noise = np.random.default_rng(3).integers(V, size=6_000)
    model = build(CONFIG, 1, noise)  # its GPT knows nothing, which is the best there is to know of noise
    assert isinstance(model, Hybrid)
    model.find_share(noise)
    assert model.share < 0.5, "counts of a text look good on that very text"
    learned = build(change(CONFIG, model="swift", ngram_order=5), 1, model.learned_part(noise))
    assert isinstance(learned, Swift)
    assert all(map(torch.equal, model.gram_emb.grams, learned.gram_emb.grams))


def test_the_share_follows_from_weights_and_text_alone(hybrid: Hybrid) -> None:
    found = hybrid.share.item()
    hybrid.share.fill_(0.9)
    hybrid.find_share(TEXT)
    assert hybrid.share.item() == found and 0.1 < found < 0.9 and not hybrid.training


def test_no_other_share_predicts_the_held_out_text_better() -> None:
    rng = np.random.default_rng(4)
    learned, counted = (torch.from_numpy(rng.random(2_000) ** power) for power in (2, 3))
    shares = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)[:, None]
    losses = -((1 - shares) * learned + shares * counted).log().mean(1)
    assert hybrids.best_share(learned, counted) == pytest.approx(shares[losses.argmin()].item(), abs=0.01)


def test_what_is_held_out_are_windows_from_all_over_the_text() -> None:
    model = build(CONFIG, 1, TEXT)
    assert isinstance(model, Hybrid)
    places = np.flatnonzero(~np.isin(np.arange(len(TEXT)), model.learned_part(np.arange(len(TEXT)))))
    assert (places.reshape(-1, T + 1) == places[:: T + 1, None] + np.arange(T + 1)).all()
    assert places[0] < 0.05 * len(TEXT) and places[-1] > 0.95 * len(TEXT) and np.diff(places).max() < 0.05 * len(TEXT)


@pytest.mark.parametrize("length", [T + 2, 16 * (T + 1), 17 * (T + 1) - 1, 17 * (T + 1)])
def test_a_text_too_short_to_hold_anything_out_leaves_windows_to_learn_from(length: int) -> None:
    model = build(CONFIG, 1, TEXT[:length])
    assert isinstance(model, Hybrid) and len(model.learned_part(TEXT[:length])) > T
    model.find_share(TEXT[:length])
    assert 0 <= model.share <= 1


# ------------------------------------------------------------ kept


def test_a_hybrid_is_read_back_as_it_was(tmp_path: Path, hybrid: Hybrid, idx: torch.Tensor) -> None:
    for name, raw in _files(hybrid).items():
        (tmp_path / name).write_bytes(raw)
    assert torch.equal(model_folder.read(tmp_path).model(idx), hybrid(idx))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("counts.grams_3", lambda grams: grams.flip(0)),
        ("counts.counts_2", lambda counts: counts[1:]),
        ("share", lambda share: share[:0]),
        ("share", lambda share: share - 1),
    ],
)
def test_a_hybrid_with_a_part_that_is_none_is_refused(
    tmp_path: Path, hybrid: Hybrid, name: str, change: Callable
) -> None:
    files = _files(hybrid)
    tensors = safetensors.torch.load(files["model.safetensors"])
    tensors[name] = change(tensors[name])
    for file, raw in (files | {"model.safetensors": safetensors.torch.save(tensors)}).items():
        (tmp_path / file).write_bytes(raw)
    with pytest.raises(ModelError, match=name.split(".")[-1]):
        model_folder.read(tmp_path)


def _files(model: Hybrid) -> dict[str, bytes]:
    return model_folder.contents(model, Tokenizer.fit(TextConfig(alphabet="bare"), ["abcdefgh"], []), [], "")
