"""A GPT made to learn fast on an ordinary CPU: it reads runs of tokens at once, and every part of it is cheap.

What differs from the modern shape of `gpt.py`:

grams       the vector of a position is the sum of those of its token and of the runs of 2, 3 ... tokens that end there. A run
            that the training text has more than once has a row of its own, so the first layers need not learn to spell
norms       LayerNorm without learned parts: one kernel forward, one backward
positions   rotary, neighbouring channels as one complex number: one multiplication
MLP         ReLU squared
q, k, v     one tensor of three matrices, (3, C, C): one product, and three matrices to the optimizer

Knows no text, no files and no loss.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.errors import ModelError
from inkwright.model.attention import attend
from inkwright.model.base import LogitModel
from inkwright.model.cache import Cache, first_position
from inkwright.model.gpt import ROPE_BASE, in_chosen_precision
from inkwright.model.grams import find, repeated_grams

ORDER = 5
"""Tokens in the longest gram, unless it is set: docs/diary.md has what others give."""


def norm(x: Tensor) -> Tensor:
    """Each row with mean 0 and variance 1.

    Shape: (B, T, C) -> (B, T, C)
    """
    return F.layer_norm(x, x.shape[-1:])


def turns(block_size: int, head_size: int) -> Tensor:
    """By which complex number, as two real ones, each position turns each pair of channels: (T, hs / 2, 2).

    Source: Su et al. 2021 (RoPE), section 3.4.1
    """
    frequencies = ROPE_BASE ** (-torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    angles = torch.outer(torch.arange(block_size, dtype=torch.float32), frequencies)
    return torch.stack([angles.cos(), angles.sin()], -1)


def turn(x: Tensor, turns: Tensor) -> Tensor:
    """Turn each pair of channels (2 i, 2 i + 1) of (B, T, nh, hs) by an angle that grows with the position."""
    pairs = torch.view_as_complex(x.to(turns.dtype).unflatten(-1, (-1, 2)))  # no complex number has half precision
    return torch.view_as_real(pairs * torch.view_as_complex(turns)[:, None]).flatten(-2).to(x.dtype)


def relu_squared(x: Tensor) -> Tensor:
    """max(x, 0)²; `x` is overwritten.

    Shape: (B, T, C) -> (B, T, C)
    Source: So et al. 2021 (Primer), section 4
    """
    return _ReLUSquared.apply(x)  # pyright: ignore[reportReturnType]


class _ReLUSquared(torch.autograd.Function):
    """Half as many passes over memory as autograd would make of it."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        positive = x.relu_()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> Tensor:
        return (grad_outputs[0] * ctx.saved_tensors[0]).mul_(2)


def sum_of_rows(table: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a table added up, k of them for each of N positions; its gradient holds only the rows that were used.

    Shape: (R, C), (N, k) -> (N, C)
    """
    return _SumOfRows.apply(table, rows)  # pyright: ignore[reportReturnType]


class _SumOfRows(torch.autograd.Function):
    """torch's own sparse gradient writes each row down k times, and sorts them all."""

    @staticmethod
    def forward(ctx, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return F.embedding_bag(rows, table, mode="sum")

    @staticmethod
    def backward(ctx, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        used, place = ctx.saved_tensors[0].unique(return_inverse=True)
        (gradient,) = grad_outputs
        values = gradient.new_zeros(len(used), ctx.shape[1])
        for column in place.unbind(1):
            values.index_add_(0, column, gradient)
        return torch.sparse_coo_tensor(used[None], values, ctx.shape, is_coalesced=True, check_invariants=False), None


class GramEmbedding(nn.Module):
    """A vector for each token, and one for each gram that the training text repeats; those of a position are added up.

    The rows of one table: V tokens, then for each length the grams of the buffer `grams_k` in order, and one row for all
    others. A gram never begins before its window.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size, self.order = config.vocab_size, config.ngram_order or ORDER
        self.hidden = config.gram_dropout
        for k in range(2, self.order + 1):
            self.register_buffer(f"grams_{k}", torch.empty(0, dtype=torch.int64))
        self.weight = nn.Parameter(torch.zeros(self.row_count, config.n_embd))

    @property
    def grams(self) -> list[Tensor]:
        """The grams of 2, 3 ... tokens that have a row, as `model/grams.py` numbers them."""
        return [self.get_buffer(f"grams_{k}") for k in range(2, self.order + 1)]

    @property
    def row_count(self) -> int:
        """Rows of the table."""
        return self.vocab_size + sum(len(grams) + 1 for grams in self.grams)

    def make_room(self, grams: list[Tensor]) -> None:
        """Take these grams; the table has room for them, and is to be filled.

        Raises: ModelError   they are no grams
        """
        contexts = self.vocab_size
        for k, new in enumerate(grams, start=2):
            outside = (new < 0) | (new >= contexts * self.vocab_size)
            if new.dtype != torch.int64 or new.ndim != 1 or outside.any() or (new.diff() < 1).any():
                raise ModelError(f"model.safetensors: grams_{k} are not the grams of a text")
            self._buffers[f"grams_{k}"] = new.clone()
            contexts = len(new)
        self.weight = nn.Parameter(torch.zeros(self.row_count, self.weight.shape[1]))

    @torch.no_grad()
    def forget(self) -> None:
        """Have nothing learned about any gram; of the tokens, everything."""
        self.weight[self.vocab_size :] = 0.0

    def rows(self, idx: Tensor) -> Tensor:
        """Which rows stand at each position, (B, T, order): that of its token, and of each gram that ends there."""
        rows, place, first = [idx], idx, self.vocab_size
        for grams in self.grams:
            place = find(grams, F.pad(place[:, :-1], (1, 0), value=-1), idx, self.vocab_size)
            known = place >= 0
            if self.training and self.hidden:
                known &= torch.rand(idx.shape, device=idx.device) >= self.hidden
            rows.append(torch.where(known, place, len(grams)) + first)
            first += len(grams) + 1
        return torch.stack(rows, -1)

    def forward(self, idx: Tensor, new: int) -> Tensor:
        """The vectors of the last `new` positions.

        Shape: (B, T) -> (B, T, C)
        """
        rows = self.rows(idx)[:, -new:]
        return sum_of_rows(self.weight, rows.flatten(0, 1)).view(*rows.shape[:2], -1)


class SwiftBlock(nn.Module):
    """Read from the past, then think alone; both add to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        C = config.n_embd
        self.qkv = nn.Parameter(torch.empty(3, C, C))
        self.proj = nn.Linear(C, C, bias=False)
        self.fc = nn.Linear(C, 4 * C, bias=False)
        self.mlp_proj = nn.Linear(4 * C, C, bias=False)
        self.drop = nn.Dropout(config.dropout)
        self.n_head, self.layer = config.n_head, layer

    def forward(self, x: Tensor, turns: Tensor, cache: Cache | None = None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        x = x + self.drop(self.proj(self._read(norm(x), turns, cache)))
        return x + self.drop(self.mlp_proj(relu_squared(self.fc(norm(x)))))

    def _read(self, x: Tensor, turns: Tensor, cache: Cache | None) -> Tensor:
        heads = F.linear(x, self.qkv.flatten(0, 1)).unflatten(-1, (3 * self.n_head, -1))  # (B, T, 3 nh, hs)
        qk, v = heads.split([2 * self.n_head, self.n_head], 2)
        q, k = turn(norm(qk), turns).transpose(1, 2).chunk(2, 1)
        v = v.transpose(1, 2)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        return attend(q, k, v).transpose(1, 2).flatten(2)


class GramCache(Cache):
    """A cache that knows the tokens it has read: a gram may begin among them."""

    tokens: Tensor


class Swift(LogitModel):
    """Token ids to the logits of each next token."""

    turns: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        assert config.vocab_size > 0, "vocab_size is the tokenizer's and must be filled in"
        self.gram_emb = GramEmbedding(config)
        self.drop = nn.Dropout(config.input_dropout)
        self.blocks = nn.ModuleList(SwiftBlock(config, layer) for layer in range(config.n_layer))
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.register_buffer("turns", turns(config.block_size, config.head_size), persistent=False)

    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits of the token that follows each position; with a cache, `idx` follows what the cache holds.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """
        T = idx.shape[1]
        start = first_position(cache, T, self.config.block_size)
        if isinstance(cache, GramCache):
            cache.tokens[:, start : start + T] = idx
            idx = cache.tokens[:, max(0, start + 1 - self.gram_emb.order) : start + T]
        x = self.drop(norm(in_chosen_precision(self.gram_emb(idx, T))))  # (B, T, C)
        for block in self.blocks:
            x = block(x, self.turns[start : start + T], cache)
        if cache is not None:
            cache.length += T
        return self.lm_head(norm(x))

    def new_cache(self, batch_size: int = 1) -> Cache:
        """An empty cache for this model."""
        n_layer, n_head, head_size = self.cache_shape
        cache = GramCache(n_layer, batch_size, n_head, self.config.block_size, head_size, self.lm_head.weight)
        cache.tokens = torch.zeros(batch_size, self.config.block_size, dtype=torch.int64, device=self.device)
        return cache

    def look_through(self, ids: np.ndarray) -> None:
        """Give a row to each gram that the training text, (N,) ids, has more than once.

        Raises: Interrupted   a stop was asked for on the way
        """
        grams = repeated_grams(ids, self.gram_emb.order, self.config.vocab_size)
        self.gram_emb.make_room([torch.from_numpy(found) for found in grams])

    @torch.no_grad()
    def inherit(self, other: LogitModel) -> None:
        """Take over the grams and the weights of an earlier model, whose alphabet may have been smaller.

        Raises: ModelError   it has another shape
        """
        if not isinstance(other, Swift):
            raise ModelError(f"the model to start from is no swift but {other.config.model}")
        V, before = self.config.vocab_size, other.config.vocab_size
        fresh = self.gram_emb.weight[:V].clone()
        old = other.gram_emb.weight
        super().inherit(other)
        self.gram_emb.make_room([grams // before * V + grams % before for grams in other.gram_emb.grams])
        self.gram_emb.weight.copy_(torch.cat([old[:before], fresh[before:], old[before:]]))

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the grams of a model that is about to be loaded.

        Raises: ModelError   they are no grams
        """
        wanted = [f"gram_emb.grams_{k}" for k in range(2, self.gram_emb.order + 1)]
        if missing := [name for name in wanted if name not in tensors]:
            raise ModelError(f"model.safetensors has no tensor {missing[0]}")
        self.gram_emb.make_room([tensors[name] for name in wanted])

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Fresh weights: the first loss is ln V, because no token is preferred yet.

        vectors of tokens   normal, 1
        matrices            normal, 0.7 / sqrt(C); what writes to the residual stream: zero
        grams, head         zero
        """
        rng = torch.Generator().manual_seed(seed)
        self.gram_emb.weight.zero_()
        self.gram_emb.weight[: self.config.vocab_size].normal_(generator=rng)
        for name, weight in self.named_parameters():
            if name.endswith(("proj.weight", "lm_head.weight")):
                weight.zero_()
            elif name.startswith("blocks."):
                weight.normal_(0.0, 0.7 * self.config.n_embd**-0.5, generator=rng)
