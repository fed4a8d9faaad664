"""Keys and values of the tokens already read, so that each new token costs one row and not the whole context."""

import torch
from torch import Tensor

from inkwright.errors import ContextOverflow


class Cache:
    """Room for `block_size` tokens, given out once: decoding moves `length` and allocates nothing."""

    def __init__(
        self, n_layer: int, batch_size: int, n_head: int, block_size: int, head_size: int, like: Tensor
    ) -> None:
        shape = (n_layer, batch_size, n_head, block_size, head_size)
        self.keys = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.values = torch.zeros(shape, dtype=like.dtype, device=like.device)
        self.block_size = block_size
        self.length = 0

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store the keys and values of the tokens that come now; give back those of all tokens so far."""
        end = self.length + k.shape[2]
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def clear(self) -> None:
        """Forget everything read."""
        self.length = 0


def first_position(cache: Cache | None, new: int, block_size: int) -> int:
    """The position of the first of `new` tokens.

    Raises: ContextOverflow   they do not all fit into the context
    """
    start = cache.length if cache is not None else 0
    if start + new > block_size:
        held = f" after the {start:,} already read" if start else ""
        raise ContextOverflow(
            f"{new:,} tokens{held} do not fit in a context of {block_size:,}", "cut the input into windows"
        )
    return start
