"""The rungs that lead from a table of pairs to the GPT: each has one idea more than the one before, and the same signature.

    bigram           the last token alone
    linear           a vector for the token and one for its place, and a linear head: still no past
    averaging        the mean of the past
    one-head         a weighted mean, and the weights depend on what was read
    many-heads       several of those side by side
    feed-forward     then each position thinks alone
    no-residual      blocks of both, one after the other
    residual         each block adds to what came in, and no longer replaces it
    projection       what the heads found is mixed before it is added
    wide             each position thinks with four times the channels
    layernorm        each part reads a normalised input: this is the GPT of the lecture

Knows no text and no loss.
"""

import math

import torch
from torch import Tensor, nn

from inkwright.config import ModelConfig, change
from inkwright.model.attention import Attention, attend
from inkwright.model.base import LogitModel
from inkwright.model.cache import Cache, first_position
from inkwright.model.gpt import MLP, Block


class Bigram(LogitModel):
    """Guesses the next token from the last one alone: a table of V x V logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """Needs none."""
        return 0, 1, 1

    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """The row of each token.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """
        first_position(cache, idx.shape[1], self.config.block_size)
        if cache is not None:
            cache.length += idx.shape[1]
        return self.table(idx)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """Small random logits: the first loss is ln V."""
        rng = torch.Generator().manual_seed(seed)
        self.table.weight.copy_(torch.randn(self.table.weight.shape, generator=rng) * 0.02)


class Linear(LogitModel):
    """Knows the token and its place, and nothing before it. The rungs above put something between table and head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.tok_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.pos_emb = nn.Embedding(config.block_size, config.n_embd)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size)

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """Needs none."""
        return 0, 1, 1

    def between(self, x: Tensor, cache: Cache | None) -> Tensor:
        """What the rung does with the vectors of the tokens.

        Shape: (B, T, C) -> (B, T, C)
        """
        return x

    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """Logits of the token that follows each position; with a cache, `idx` follows what the cache holds.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """
        T = idx.shape[1]
        start = first_position(cache, T, self.config.block_size)
        x = self.between(self.tok_emb(idx) + self.pos_emb.weight[start : start + T], cache)
        if cache is not None:
            cache.length += T
        return self.lm_head(x)

    @torch.no_grad()
    def initialize(self, seed: int) -> None:
        """As torch does by itself, and the lecture with it: tables normal, matrices uniform within 1 / sqrt(inputs)."""
        rng = torch.Generator().manual_seed(seed)
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                module.weight.copy_(torch.randn(module.weight.shape, generator=rng))
            elif isinstance(module, nn.Linear):
                most = 1 / math.sqrt(module.in_features)
                for weight in module.parameters(recurse=False):
                    weight.copy_((torch.rand(weight.shape, generator=rng) * 2 - 1) * most)


class Averaging(Linear):
    """Every position gets the mean of itself and its past: attention whose weights are all equal."""

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """One layer, whose one head keeps the vectors themselves."""
        return 1, 1, self.config.n_embd

    def between(self, x: Tensor, cache: Cache | None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        past = x[:, None]  # (B, 1, T, C)
        if cache is not None:
            past, _ = cache.extend(0, past, past)
        return attend(torch.zeros_like(x[:, None]), past, past)[:, 0]


class RungBlock(nn.Module):
    """The first block: heads without projection, then one layer of thinking. Its output replaces its input."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attn = Attention(config, layer)
        self.attn.proj = nn.Identity()
        self.mlp = nn.Sequential(nn.Linear(config.n_embd, config.n_embd), nn.ReLU())
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, rotary: None = None, cache: Cache | None = None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        return self.drop(self.mlp(self.drop(self.attn(x, cache=cache))))


class ResidualBlock(RungBlock):
    """Adds to what came in."""

    def forward(self, x: Tensor, rotary: None = None, cache: Cache | None = None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        x = x + self.drop(self.attn(x, cache=cache))
        return x + self.drop(self.mlp(x))


class ProjectionBlock(ResidualBlock):
    """Mixes what it found, and what it thought, before adding it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        C = config.n_embd
        self.attn.proj = nn.Linear(C, C)
        self.mlp = nn.Sequential(nn.Linear(C, C), nn.ReLU(), nn.Linear(C, C))


class WideBlock(ProjectionBlock):
    """Thinks with four times the channels."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.mlp = MLP(config)


class NoResidual(Linear):
    """Blocks, one after the other."""

    block: type[nn.Module] = RungBlock

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        layers, heads, _ = self.cache_shape
        parts = change(config, model="gpt", shape="lecture", activation="relu", bias=False, n_head=heads)
        self.blocks = nn.ModuleList(self.block(parts, layer) for layer in range(layers))

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """As the configuration says."""
        return self.config.n_layer, self.config.n_head, self.config.head_size

    def between(self, x: Tensor, cache: Cache | None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        for block in self.blocks:
            x = block(x, cache=cache)
        return x


class FeedForward(NoResidual):
    """One block: read from the past, then think alone."""

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """One layer."""
        return 1, self.config.n_head, self.config.head_size


class ManyHeads(FeedForward):
    """Several heads side by side, and no thinking."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        for block in self.blocks:
            block.mlp = nn.Identity()


class OneHead(ManyHeads):
    """One head as wide as the vectors."""

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """One layer, one head."""
        return 1, 1, self.config.n_embd


class Residual(NoResidual):
    """Each block adds to what came in."""

    block = ResidualBlock


class Projection(NoResidual):
    """What was found is mixed before it is added."""

    block = ProjectionBlock


class Wide(NoResidual):
    """Each position thinks with four times the channels."""

    block = WideBlock


class LayerNorm(NoResidual):
    """Each part reads a normalised input. The same function as the GPT in its lecture shape."""

    block = Block

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.ln_f = nn.LayerNorm(config.n_embd)

    def between(self, x: Tensor, cache: Cache | None) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        return self.ln_f(super().between(x, cache))


RUNGS: dict[str, type[LogitModel]] = {
    "bigram": Bigram, "linear": Linear, "averaging": Averaging, "one-head": OneHead, "many-heads": ManyHeads,
    "feed-forward": FeedForward, "no-residual": NoResidual, "residual": Residual, "projection": Projection, "wide": Wide,
    "layernorm": LayerNorm,
}  # fmt: skip
"""The rungs by name, from the lowest up; above them is the GPT."""
