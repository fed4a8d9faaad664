"""Our parts compute what plain torch layers and the printed formulas compute."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.config import ModelConfig, TrainConfig
from inkwright.model import LogitModel, build
from inkwright.model.attention import rotary_table, rotate
from inkwright.model.gpt import GPT, Block
from inkwright.train.loop import TrainState, gradients, train
from inkwright.train.optimizer import build_optimizers

Make = Callable[..., LogitModel]
T, C = 9, 32
MASK = torch.ones(T, T, dtype=torch.bool).triu(1)  # torch's: True where one may not look


def x() -> Tensor:
    return torch.randn(2, T, C, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def block_of(model: LogitModel) -> Block:
    assert isinstance(model, GPT)
    block = model.blocks[0]
    assert isinstance(block, Block)
    return block


def torch_attention(block: Block) -> nn.MultiheadAttention:
    """torch's own attention with the weights of a block."""
    attention = nn.MultiheadAttention(C, block.attn.n_head, batch_first=True, bias=True, dtype=torch.float64)
    parts = (block.attn.q, block.attn.k, block.attn.v)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        attention.in_proj_bias.copy_(torch.cat([torch.zeros(C) if p.bias is None else p.bias for p in parts]))
        attention.out_proj.weight.copy_(block.attn.proj.weight)
        attention.out_proj.bias.copy_(torch.zeros(C) if block.attn.proj.bias is None else block.attn.proj.bias)
    return attention.eval()


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "relu": lambda x: x.clamp(min=0),
}
"""As printed by Hendrycks and Gimpel 2016, section 2, and by Nair and Hinton 2010."""


@pytest.mark.parametrize("name", ["classic", "lecture"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@torch.no_grad()
def test_a_block_is_torchs_attention_between_two_norms_and_an_mlp(
    name: str, bias: bool, activation: str, tiny_model: Make
) -> None:
    block = block_of(tiny_model(name, bias=bias, activation=activation))
    attention = torch_attention(block)

    def norm(layer: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(layer, nn.LayerNorm)
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * layer.weight + (
            0 if layer.bias is None else layer.bias
        )

    normed = norm(block.ln_1, x())
    middle = x() + attention(normed, normed, normed, attn_mask=MASK, need_weights=False)[0]
    hidden = block.mlp.fc(norm(block.ln_2, middle))
    expected = middle + block.mlp.proj(ACTIVATIONS[activation](hidden))
    torch.testing.assert_close(block(x()), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_a_classic_gpt_is_its_tables_blocks_norm_and_the_token_table_again(tiny_model: Make) -> None:
    model = tiny_model("classic", bias=True)
    assert isinstance(model, GPT) and model.pos_emb is not None
    idx = torch.arange(T)[None] % 29
    stream = F.one_hot(idx, 29).double() @ model.tok_emb.weight + model.pos_emb.weight[:T]
    for block in model.blocks:
        stream = block(stream)
    expected = F.layer_norm(stream, (C,), model.ln_f.weight, model.ln_f.bias) @ model.tok_emb.weight.T  # type: ignore[arg-type]
    torch.testing.assert_close(model(idx), expected, rtol=0, atol=1e-10)


@torch.no_grad()
def test_the_modern_mlp_is_silu_of_one_half_times_the_other(tiny_model: Make) -> None:
    mlp = block_of(tiny_model("modern")).mlp
    gate, up = x() @ mlp.gate.weight.T, x() @ mlp.up.weight.T
    torch.testing.assert_close(mlp(x()), (gate * gate.sigmoid() * up) @ mlp.proj.weight.T, rtol=0, atol=1e-12)


def turned(vectors: Tensor, base: float = 10_000.0) -> Tensor:
    """(..., T, hs): channels i and i + hs/2 as one complex number, turned by position x base^(-2i/hs)."""
    hs = vectors.shape[-1]
    pairs = torch.complex(*vectors.chunk(2, -1))
    angles = torch.arange(vectors.shape[-2])[:, None] / base ** (torch.arange(hs // 2, dtype=torch.float64) * 2 / hs)
    found = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([found.real, found.imag], -1)


def test_rotating_is_multiplying_pairs_of_channels_as_complex_numbers() -> None:
    vectors = torch.randn(1, 1, T, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = rotate(vectors, rotary_table(T, 8, 10_000.0).double())
    torch.testing.assert_close(found, turned(vectors), rtol=0, atol=1e-5)


@torch.no_grad()
def test_a_modern_block_is_the_formulas_of_qwen3(tiny_model: Make) -> None:
    """Normed, queries and keys normed again head by head and turned, softmax by hand, SwiGLU."""
    model = tiny_model("modern", block_size=T)
    block = block_of(model)

    def rms(layer: nn.Module, x: Tensor) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * layer.weight

    def split(x: Tensor) -> Tensor:
        return x.view(2, T, 4, 8).transpose(1, 2)

    attn, normed = block.attn, rms(block.ln_1, x())
    q, k, v = (split(normed @ part.weight.T) for part in (attn.q, attn.k, attn.v))
    scores = turned(rms(attn.q_norm, q)) @ turned(rms(attn.k_norm, k)).mT / math.sqrt(8)
    wei = scores.masked_fill(MASK, -math.inf).softmax(-1)
    middle = x() + (wei @ v).transpose(1, 2).reshape(2, T, C) @ attn.proj.weight.T
    assert isinstance(model, GPT) and model.rotary is not None
    expected = middle + block.mlp(rms(block.ln_2, middle))
    torch.testing.assert_close(block(x(), model.rotary), expected, rtol=0, atol=1e-5)


@dataclass
class OneBatch:
    """A text that always gives the same batch."""

    batch: tuple[Tensor, Tensor]
    block_size: int

    def random(self, step: int, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
        return self.batch


def test_three_steps_of_adamw_are_those_of_the_paper(tiny_config: Callable[..., ModelConfig]) -> None:
    """Loshchilov and Hutter 2019, algorithm 2, with decay for the matrices alone and the gradient clipped."""
    how = TrainConfig(
        steps=3, batch_size=2, optimizer="adamw", learning_rate=0.01, warmup_steps=0, schedule="linear",
        weight_decay=0.1, beta1=0.9, beta2=0.99, grad_clip=0.5,
    )  # fmt: skip
    rows = torch.arange(2 * (T + 1)).view(2, -1) * 7 % 29
    batch = rows[:, :-1], rows[:, 1:]
    ours, theirs = (build(tiny_config("classic", bias=True), 1).double() for _ in range(2))
    list(train(TrainState(ours, build_optimizers(ours, how), ours), OneBatch(batch, T), how))  # type: ignore[arg-type]

    first = {name: torch.zeros_like(w) for name, w in theirs.named_parameters()}
    second = {name: torch.zeros_like(w) for name, w in theirs.named_parameters()}
    for t, lr in enumerate([0.01, 0.01 * 2 / 3, 0.01 / 3], start=1):
        gradients(theirs, batch, how, t - 1)
        grads = {name: w.grad for name, w in theirs.named_parameters() if w.grad is not None}
        length = math.sqrt(sum(grad.square().sum().item() for grad in grads.values()))
        assert length > 0.5  # the clipping is on trial too
        with torch.no_grad():
            for name, weight in theirs.named_parameters():
                grad = grads[name] * 0.5 / (length + 1e-6)
                first[name] = 0.9 * first[name] + 0.1 * grad
                second[name] = 0.99 * second[name] + 0.01 * grad**2
                step = (first[name] / (1 - 0.9**t)) / ((second[name] / (1 - 0.99**t)).sqrt() + 1e-8)
                weight -= lr * step + lr * (0.1 if weight.ndim > 1 else 0) * weight
    for (name, mine), theirs_weight in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs_weight, rtol=0, atol=1e-9, msg=name)
