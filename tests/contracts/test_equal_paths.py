"""Where one thing is computed in two ways, both give the same."""

from collections.abc import Callable

import pytest
import torch

from inkwright.config import SampleConfig, TrainConfig
from inkwright.model import LogitModel
from inkwright.model.attention import Attention, attend, attention_weights
from inkwright.sample.generate import generate
from inkwright.train.loop import gradients

Make = Callable[..., LogitModel]
V = 29


def heads(*shape: int) -> list[torch.Tensor]:
    rng = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(3)]


@pytest.mark.parametrize("T", [1, 2, 7])
def test_attention_written_down_is_the_fused_one(T: int) -> None:
    q, k, v = heads(2, 3, T, 4)
    torch.testing.assert_close(attention_weights(q, k) @ v, attend(q, k, v), rtol=0, atol=1e-12)


@pytest.mark.parametrize("queries", [1, 3, 7])
def test_the_last_queries_alone_gather_what_they_gather_among_all(queries: int) -> None:
    q, k, v = heads(2, 3, 7, 4)
    torch.testing.assert_close(attend(q[:, :, -queries:], k, v), attend(q, k, v)[:, :, -queries:], rtol=0, atol=1e-12)
    torch.testing.assert_close(attention_weights(q[:, :, -queries:], k), attention_weights(q, k)[:, :, -queries:])


def test_attention_weights_are_a_share_of_the_past_and_of_nothing_else() -> None:
    q, k, _ = heads(2, 3, 7, 4)
    wei = attention_weights(q, k)
    torch.testing.assert_close(wei.sum(-1), torch.ones(2, 3, 7, dtype=torch.float64))
    assert torch.equal(wei.triu(1), torch.zeros_like(wei)) and (wei.tril() > 0).sum() == 2 * 3 * 7 * 8 / 2


@torch.no_grad()
def test_one_head_at_a_time_is_all_heads_at_once(tiny_model: Make) -> None:
    model = tiny_model("classic", bias=True)
    attn: Attention = model.blocks[0].attn  # type: ignore[union-attr, index, assignment]
    (x,) = heads(2, 9, 32)[:1]
    found = []
    for head in range(4):
        rows = slice(head * 8, head * 8 + 8)
        q, k, v = (x @ part.weight[rows].T + part.bias[rows] for part in (attn.q, attn.k, attn.v))
        found.append((attention_weights(q[:, None], k[:, None]) @ v[:, None])[:, 0])
    torch.testing.assert_close(attn.proj(torch.cat(found, -1)), attn(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunks", [[1] * 16, [3, 1, 4], [16], [15, 1], [2, 3, 5, 6]])
@torch.no_grad()
def test_reading_with_a_cache_gives_the_same_logits(model_name: str, chunks: list[int], tiny_model: Make) -> None:
    model = tiny_model(model_name)
    idx = torch.randint(V, (2, sum(chunks)), generator=torch.Generator().manual_seed(5))
    cache = model.new_cache(2)
    for _ in range(2):  # a cleared cache is as good as a new one
        parts = [model(part, cache) for part in idx.split(chunks, dim=1)]
        torch.testing.assert_close(torch.cat(parts, 1), model(idx), rtol=0, atol=1e-10)
        cache.clear()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("block_size", [1, 7, 8])
def test_writing_with_a_cache_writes_the_same(
    model_name: str, block_size: int, temperature: float, tiny_model: Make
) -> None:
    model = tiny_model(model_name, block_size=block_size)
    config = SampleConfig(max_new_tokens=10 * block_size + 3, temperature=temperature, seed=7)
    for prompt in ([3], list(range(block_size)), list(range(20))):
        with_cache = list(generate(model, prompt, config))
        assert with_cache == list(generate(model, prompt, config, cached=False))
        assert len(with_cache) == config.max_new_tokens


@pytest.mark.parametrize("micro", [1, 3, 4, 100])
def test_micro_batches_have_the_gradient_of_the_whole_batch(learner_name: str, micro: int, tiny_model: Make) -> None:
    model = tiny_model(learner_name)
    rows = torch.randint(V, (8, 11), generator=torch.Generator().manual_seed(5))
    batch = rows[:, :-1], rows[:, 1:]
    loss = gradients(model, batch, TrainConfig(batch_size=8), step=0)
    whole = [weight.grad for weight in model.parameters()]
    assert all(grad is not None and grad.any() for grad in whole)
    micro_loss = gradients(model, batch, TrainConfig(batch_size=8, micro_batch_size=micro), step=0)
    assert micro_loss == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close([weight.grad for weight in model.parameters()], whole, rtol=1e-4, atol=1e-6)
