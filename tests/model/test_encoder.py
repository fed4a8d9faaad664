"""An encoder sees both ways; a decoder sees its past and all of the source, and never its own future."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.errors import ContextOverflow
from inkwright.model.encoder import Classifier, DecoderBlock, Encoder, EncoderDecoder
from inkwright.model.gpt import initialize

B, S, T, V, CLASSES = 3, 9, 7, 29, 5


@pytest.fixture(params=["classic", "lecture"])
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return ModelConfig(shape=request.param, n_layer=2, n_head=2, n_embd=16, block_size=S, vocab_size=V)


def make(model: nn.Module, config: ModelConfig, seed: int = 1) -> nn.Module:
    """In double precision and with large weights, so that what depends on something shows it."""
    initialize(model, config, seed)
    for weight in model.parameters():
        weight.data *= 10 if weight.ndim > 1 else 1
    return model.double().eval()


def ids(length: int, seed: int = 1) -> Tensor:
    return torch.randint(V, (B, length), generator=torch.Generator().manual_seed(seed))


def with_another_token_at(idx: Tensor, t: int) -> Tensor:
    changed = idx.clone()
    changed[:, t] = (changed[:, t] + 1) % V
    return changed


# ---------------------------------------------------------------- who depends on whom


@torch.no_grad()
def test_every_output_of_an_encoder_depends_on_every_token_before_and_after_it(config: ModelConfig) -> None:
    model, idx = make(Encoder(config), config), ids(T)
    for t in range(T):
        differs = (model(with_another_token_at(idx, t)) - model(idx)).abs().amax(-1)  # (B, T)
        assert (differs > 1e-6).all(), t


@torch.no_grad()
def test_a_class_depends_on_every_token_and_on_their_order(config: ModelConfig) -> None:
    model, idx = make(Classifier(config, CLASSES), config), ids(T)
    for changed in [*(with_another_token_at(idx, t) for t in range(T)), idx.flip(1)]:
        assert ((model(changed) - model(idx)).abs() > 1e-9).all()


@torch.no_grad()
def test_a_class_is_read_off_all_positions_alike(config: ModelConfig) -> None:
    model, idx = make(Classifier(config, CLASSES), config), ids(T)
    each = model.head(model.encoder(idx))  # type: ignore[operator]  # what each position says for itself: (B, T, classes)
    torch.testing.assert_close(model(idx), each.mean(1))


@torch.no_grad()
def test_what_is_written_depends_on_its_past_and_not_on_its_future(config: ModelConfig) -> None:
    model, source, idx = make(EncoderDecoder(config), config), ids(S, 2), ids(T)
    before = model(source, idx)
    for t in range(T):
        differs = (model(source, with_another_token_at(idx, t)) - before).abs().amax(-1)  # (B, T)
        assert (differs[:, t:] > 1e-6).all(), t
        assert (differs[:, :t] == 0).all(), f"positions before {t} saw it"


@torch.no_grad()
def test_what_is_written_depends_on_all_of_the_source(config: ModelConfig) -> None:
    model, source, idx = make(EncoderDecoder(config), config), ids(S, 2), ids(T)
    for s in range(S):
        differs = (model(with_another_token_at(source, s), idx) - model(source, idx)).abs().amax(-1)
        assert (differs > 1e-6).all(), s


@torch.no_grad()
def test_every_position_of_a_decoder_block_reads_every_vector_of_the_source(config: ModelConfig) -> None:
    block = make(DecoderBlock(config, 0), config)
    x, source = (torch.rand(B, length, config.n_embd, dtype=torch.float64) for length in (T, S))
    for s in range(S):
        changed = source.clone()
        changed[:, s] = 0
        differs = (block(x, changed) - block(x, source)).abs().amax(-1)  # (B, T)
        assert (differs > 1e-9).all(), s


@torch.no_grad()
def test_texts_in_a_batch_do_not_influence_each_other(config: ModelConfig) -> None:
    source, idx = ids(S, 2), ids(T)
    encoder_decoder, classifier = make(EncoderDecoder(config), config), make(Classifier(config, CLASSES), config)
    for row in range(B):
        alone = encoder_decoder(source[row : row + 1], idx[row : row + 1])[0]
        torch.testing.assert_close(alone, encoder_decoder(source, idx)[row], rtol=0, atol=1e-10)
        torch.testing.assert_close(classifier(idx[row : row + 1])[0], classifier(idx)[row], rtol=0, atol=1e-10)


# ---------------------------------------------------------------- fresh


@pytest.mark.parametrize("kind", [Encoder, EncoderDecoder])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    kind: type[nn.Module], config: ModelConfig
) -> None:
    def weights(seed: int) -> list[Tensor]:
        model = kind(config)
        initialize(model, config, seed)
        return list(model.parameters())

    one, again, other = weights(5), weights(5), weights(6)
    assert all(map(torch.equal, one, again))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True) if a.ndim > 1)


@torch.no_grad()
def test_a_fresh_model_prefers_nothing(config: ModelConfig) -> None:
    classifier, writer = Classifier(config, CLASSES), EncoderDecoder(config)
    for model in (classifier, writer):
        initialize(model, config, 1)
    assert F.cross_entropy(classifier(ids(T)), torch.arange(B)).item() == pytest.approx(math.log(CLASSES), abs=0.1)
    loss = F.cross_entropy(writer(ids(S), ids(T)).flatten(0, 1), ids(T, 3).flatten()).item()
    assert loss == pytest.approx(math.log(V), abs=0.1)


def test_a_text_too_long_is_refused_and_the_two_texts_may_be_of_different_lengths(config: ModelConfig) -> None:
    model = make(EncoderDecoder(config), config)
    assert model(ids(S), ids(1)).shape == (B, 1, V)
    for source, idx in ((ids(S + 1), ids(T)), (ids(T), ids(S + 1))):
        with pytest.raises(ContextOverflow, match=f"{S + 1} tokens"):
            model(source, idx)


def test_dropout_acts_in_training_only(config: ModelConfig) -> None:
    block = DecoderBlock(config.model_copy(update={"dropout": 0.5}), 0)
    block.attn.dropout = block.cross.dropout = 0.0  # what is left is the block's own
    x, source = torch.rand(B, T, config.n_embd), torch.rand(B, S, config.n_embd)
    assert not torch.equal(block(x, source), block(x, source))
    block.eval()
    assert torch.equal(block(x, source), block(x, source))
