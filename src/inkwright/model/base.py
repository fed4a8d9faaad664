"""What every model here is: ids in, logits out. Knows no architecture."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.model.cache import Cache


class LogitModel(nn.Module, ABC):
    """A model of the next token. Loop, sampler and evaluation know only this much of it."""

    config: ModelConfig

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """Unnormalised log-probabilities of each next token; with a cache, `idx` follows what the cache holds.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """

    @abstractmethod
    def initialize(self, seed: int) -> None:
        """Fresh weights, the same for the same seed."""

    def new_cache(self, batch_size: int = 1) -> Cache:
        """An empty cache for this model."""
        weight = next(self.parameters())
        c = self.config
        return Cache(0 if c.model == "bigram" else c.n_layer, batch_size, c.n_head, c.block_size, c.head_size, weight)

    @property
    def parameter_count(self) -> int:
        """Numbers learned in training; a shared matrix counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
