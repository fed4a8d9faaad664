"""The rungs that lead to the GPT: models with the same signature and fewer ideas. Knows no text and no loss."""

import torch
from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.model.base import LogitModel
from inkwright.model.cache import Cache, first_position


class Bigram(LogitModel):
    """Guesses the next token from the last one alone: a table of V x V logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.table = nn.Embedding(config.vocab_size, config.vocab_size)

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
