"""What every model here is: ids in, logits out. Knows no architecture."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from inkwright.config import ModelConfig
from inkwright.errors import ModelError
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

    def look_through(self, ids: np.ndarray) -> None:
        """Take from the training text, (N,) ids, what the model is made of before it learns; most need nothing.

        Raises: Interrupted   a stop was asked for on the way
        """

    def learned_part(self, ids: np.ndarray) -> np.ndarray:
        """What of the training text, (N,) ids, its weights are learned from; of most models, all."""
        return ids

    def find_share(self, ids: np.ndarray) -> None:
        """Before it is judged: how much to believe each of its parts, found on the training text; most have only one.

        Raises: Interrupted   a stop was asked for on the way
        """

    @torch.no_grad()
    def inherit(self, other: "LogitModel") -> None:
        """Take over the weights of an earlier model; what is new here, such as rows for new characters, stays fresh.

        Raises: ModelError   it has another shape
        """
        old = other.state_dict()
        for name, tensor in self.state_dict().items():
            if name not in old or old[name].ndim != tensor.ndim:
                raise ModelError(f"the model to start from has no {name}")
            shared = tuple(slice(min(sizes)) for sizes in zip(tensor.shape, old[name].shape, strict=True))
            tensor[shared] = old[name][shared]

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the sizes of tensors that are about to be loaded, where they are not the configuration's to say.

        Raises: ModelError   they cannot be this model's
        """

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """What its cache has room for: layers, heads, channels of a head."""
        return self.config.n_layer, self.config.n_head, self.config.head_size

    def new_cache(self, batch_size: int = 1) -> Cache:
        """An empty cache for this model."""
        n_layer, n_head, head_size = self.cache_shape
        return Cache(n_layer, batch_size, n_head, self.config.block_size, head_size, next(self.parameters()))

    @property
    def parameter_count(self) -> int:
        """Numbers learned in training; a shared matrix counts once."""
        return sum(parameter.numel() for parameter in self.parameters())
