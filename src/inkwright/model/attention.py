"""Attention: tokens talk to each other. Knows no text, no blocks, no loss."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.model.cache import Cache
from inkwright.model.norm import RMSNorm

Mask = Literal["causal", "full", "cross"]
"""Who may read from whom.

causal   each position from itself and its past: a decoder, which must not see what it is to predict
full     every position from every other: an encoder, which reads a text that is all there
cross    every position from every position of another text
"""


SHORT = 512
"""Tokens up to which a CPU writes the attention weights down in training."""


def attention_weights(q: Tensor, k: Tensor, mask: Mask = "causal") -> Tensor:
    """How much each position reads from each other one that it may see; every row sums to 1.

    The slow way that shows the matrix. `attend` gives the same result without ever writing it down.

    Shape: (B, nh, T, hs), (B, nh, T, hs) -> (B, nh, T, T)
    Source: Vaswani et al. 2017, section 3.2.1
    """
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # by the size of a head: keeps the variance of the scores near 1
    if mask == "causal":
        scores = scores.masked_fill(~_visible(q.shape[2], k.shape[2], q.device), float("-inf"))
    return scores.softmax(-1)


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0, mask: Mask = "causal") -> Tensor:
    """What each position gathers from the positions it may see. With more keys than queries, the queries come last.

    Shape: (B, nh, T, hs), (B, nh, T, hs), (B, nh, T, hs) -> (B, nh, T, hs)
    """
    queries, keys = q.shape[2], k.shape[2]
    if mask == "causal" and queries == keys <= SHORT and not dropout and q.requires_grad and q.device.type == "cpu":
        return short_attention(q.to(v.dtype), k.to(v.dtype), v)  # rotary positions may have more precision
    if mask != "causal" or queries == 1:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    if queries == keys:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=_visible(queries, keys, q.device), dropout_p=dropout)


def short_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention that keeps its weights for the way back: on a CPU, a short text has room for them.

    The fused kernel computes them again, and in half precision its way back takes six times as long (docs/diary.md).

    Shape: (B, nh, T, hs), (B, nh, T, hs), (B, nh, T, hs) -> (B, nh, T, hs)
    """
    return _ShortAttention.apply(q, k, v)  # pyright: ignore[reportReturnType]


class _ShortAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        shape, T = q.shape, q.shape[2]
        q, k, v = (part.flatten(0, 1) for part in (q, k, v))
        hidden = torch.full((T, T), float("-inf"), dtype=q.dtype, device=q.device).triu(1)
        weights = torch.baddbmm(hidden, q, k.mT, alpha=shape[-1] ** -0.5).softmax(-1)
        ctx.save_for_backward(q, k, v, weights)
        ctx.shape = shape
        return (weights @ v).view(shape)

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, ...]:
        q, k, v, weights = ctx.saved_tensors
        gradient = grad_outputs[0].flatten(0, 1)
        scores = torch.ops.aten._softmax_backward_data(gradient @ v.mT, weights, -1, weights.dtype)
        scores = scores.mul_(ctx.shape[-1] ** -0.5)
        return tuple(part.view(ctx.shape) for part in (scores @ k, scores.mT @ q, weights.mT @ gradient))


def _visible(queries: int, keys: int, device: torch.device) -> Tensor:
    """True where a query may look, if it may not look ahead: at itself and before."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def rotary_table(block_size: int, head_size: int, base: float) -> Tensor:
    """Cosine and sine of the angle by which each position turns each pair of channels.

    Shape: -> (2, T, hs)
    Source: Su et al. 2021 (RoPE), section 3.4.2
    """
    frequencies = base ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.outer(torch.arange(block_size, dtype=torch.float32), frequencies).repeat(1, 2)
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn each pair of channels (i, i + hs/2) by an angle that grows with the position.

    Queries and keys turned so meet in a product that depends only on how far apart they are.

    Shape: (B, nh, T, hs), (2, T, hs) -> (B, nh, T, hs)
    """
    left, right = x.chunk(2, dim=-1)
    return x * table[0] + torch.cat([-right, left], dim=-1) * table[1]


class Attention(nn.Module):
    """Every head reads in its own way from what its mask lets it see; `proj` joins what they found."""

    def __init__(self, config: ModelConfig, layer: int, mask: Mask = "causal") -> None:
        super().__init__()
        C = config.n_embd
        classic_bias = config.shape == "classic" and config.bias
        self.q = nn.Linear(C, C, bias=classic_bias)
        self.k = nn.Linear(C, C, bias=classic_bias)
        self.v = nn.Linear(C, C, bias=classic_bias)
        self.proj: nn.Module = nn.Linear(C, C, bias=classic_bias or config.shape == "lecture")
        if config.shape == "modern":
            self.q_norm = RMSNorm(config.head_size)
            self.k_norm = RMSNorm(config.head_size)
        self.n_head, self.layer, self.dropout = config.n_head, layer, config.dropout
        self.mask: Mask = mask

    def forward(
        self, x: Tensor, rotary: Tensor | None = None, cache: Cache | None = None, source: Tensor | None = None
    ) -> Tensor:
        """What each position learned from those it reads: of its own text, or with a cross mask of `source`.

        Shape: (B, T, C) -> (B, T, C)
        """
        read = x if source is None else source
        q, k, v = self._heads(self.q(x)), self._heads(self.k(read)), self._heads(self.v(read))
        if rotary is not None:
            q, k = rotate(self.q_norm(q), rotary), rotate(self.k_norm(k), rotary)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        out = attend(q, k, v, self.dropout if self.training else 0.0, self.mask)
        return self.proj(out.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.n_head, -1)).transpose(1, 2)  # (B, T, C) -> (B, nh, T, hs)
