"""The GPT, in three shapes that share one skeleton. Knows no text, no files and no loss.

classic   GPT-2's parts: learned positions, LayerNorm, GELU, one matrix for reading and writing tokens
modern    Qwen3's parts: rotary positions, RMSNorm, queries and keys normalised, SwiGLU, no biases
lecture   as the lecture wrote it: biases everywhere but in q, k and v, a head of its own; ReLU in its preset
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.model.attention import Attention, Mask, rotary_table
from inkwright.model.base import LogitModel
from inkwright.model.cache import Cache, first_position
from inkwright.model.norm import norm

ROPE_BASE = 10_000.0


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}


class MLP(nn.Module):
    """Each position thinks on its own about what it gathered."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        bias = config.bias or config.shape == "lecture"
        self.fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=bias)
        self.proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=bias)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        return self.proj(self.activation(self.fc(x)))


class SwiGLU(nn.Module):
    """The MLP of the modern shape: one half opens and shuts the other.

    Source: Shazeer 2020 (GLU Variants Improve Transformer)
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = hidden_size(config)
        self.gate = nn.Linear(config.n_embd, width, bias=False)
        self.up = nn.Linear(config.n_embd, width, bias=False)
        self.proj = nn.Linear(width, config.n_embd, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        return self.proj(F.silu(self.gate(x)) * self.up(x))


def hidden_size(config: ModelConfig) -> int:
    """Width of the MLP: as many weights as GPT-2's 4 C, the modern one rounded up to a multiple of 32."""
    return -(-8 * config.n_embd // 96) * 32 if config.shape == "modern" else 4 * config.n_embd


class Block(nn.Module):
    """Read from the others, then think alone; both add to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int, mask: Mask = "causal") -> None:
        super().__init__()
        self.ln_1 = norm(config)
        self.attn = Attention(config, layer, mask)
        self.ln_2 = norm(config)
        self.mlp = SwiGLU(config) if config.shape == "modern" else MLP(config)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        x = x + self.drop(self.attn(self.ln_1(x), rotary, cache))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT(LogitModel):
    """Token ids to the logits of each next token."""

    rotary: Tensor | None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert config.vocab_size > 0, "vocab_size is the tokenizer's and must be filled in"
        V, C = config.vocab_size, config.n_embd
        self.tok_emb = nn.Embedding(V, C)
        self.pos_emb = None if config.shape == "modern" else nn.Embedding(config.block_size, C)
        self.drop = nn.Dropout(config.dropout if config.shape == "classic" else 0.0)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.ln_f = norm(config)
        self.lm_head = nn.Linear(C, V, bias=config.shape == "lecture")
        if config.shape == "classic":
            self.lm_head.weight = self.tok_emb.weight
        table = rotary_table(config.block_size, config.head_size, ROPE_BASE) if config.shape == "modern" else None
        self.register_buffer("rotary", table, persistent=False)

    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits of the token that follows each position; with a cache, `idx` follows what the cache holds.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """
        T = idx.shape[1]
        start = first_position(cache, T, self.config.block_size)
        x = self.tok_emb(idx)  # (B, T, C)
        if self.pos_emb is not None:
            x = x + self.pos_emb.weight[start : start + T]
        x = in_chosen_precision(self.drop(x))
        rotary = None if self.rotary is None else self.rotary[:, start : start + T].to(x.dtype)
        for block in self.blocks:
            x = block(x, rotary, cache)
        if cache is not None:
            cache.length += T
        return self.lm_head(self.ln_f(x))

    def initialize(self, seed: int) -> None:
        """Fresh weights: the first loss is ln V, because no token is preferred yet."""
        initialize(self, self.config, seed)


def in_chosen_precision(x: Tensor) -> Tensor:
    """Half the bits from here on, where autocast is on: else only the products would have them, and all between be cast."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


@torch.no_grad()
def initialize(model: nn.Module, config: ModelConfig, seed: int) -> None:
    """Fresh weights for whatever is built of the parts above, the same for the same seed.

    matrices, token and position tables   normal, 0.02 (GPT-2)
    what writes to the residual stream    normal, 0.02 / sqrt(2 n_layer) (GPT-2); modern: zero
    the modern head                       zero
    norms 1, biases 0
    """
    rng = torch.Generator().manual_seed(seed)
    modern = config.shape == "modern"
    for name, weight in model.named_parameters():
        if weight.ndim < 2:
            weight.fill_(0.0 if name.endswith("bias") else 1.0)
        elif modern and name.endswith(("proj.weight", "lm_head.weight")):
            weight.zero_()
        else:
            residual = name.endswith("proj.weight") and config.shape == "classic"
            std = 0.02 / math.sqrt(2 * config.n_layer) if residual else 0.02
            weight.copy_(torch.randn(weight.shape, generator=rng) * std)
