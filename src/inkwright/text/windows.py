"""Token ids to batches. A batch is a pure function of (seed, step). Knows no model and no loss."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from inkwright.randomness import derive


@dataclass(frozen=True)
class Windows:
    """The ids of a text, seen through windows of `block_size` tokens; targets are the ids one place later."""

    ids: np.ndarray
    """(N,) with N > block_size for `random` and `epoch`, N > 1 for `all`."""
    block_size: int

    def random(self, step: int, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
        """The batch of a step, at places drawn independently of each other: (idx, targets).

        Shape: -> (B, T), (B, T)
        """
        rng = torch.Generator().manual_seed(derive(seed, "batch", step))
        starts = torch.randint(len(self.ids) - self.block_size, (batch_size,), generator=rng)
        return self._gather(starts.numpy())

    @property
    def whole(self) -> int:
        """How many windows the text has that do not overlap."""
        return (len(self.ids) - 1) // self.block_size

    def epoch(self, step: int, batch_size: int, seed: int, left_out: int = 0) -> tuple[Tensor, Tensor]:
        """The batch of a step when every window comes once before any comes twice: (idx, targets).

        Each epoch cuts the text at another offset and shuffles the window numbers anew; `left_out` windows of the first one
        are passed over.

        Shape: -> (B, T), (B, T)
        """
        windows = self.whole
        numbers = np.arange(step * batch_size, (step + 1) * batch_size) + left_out
        starts = np.empty(batch_size, np.int64)
        for epoch in np.unique(numbers // windows):
            mine = numbers // windows == epoch
            order, offset = _shuffled(seed, int(epoch), windows, (len(self.ids) - 1) % self.block_size)
            starts[mine] = order[numbers[mine] % windows] * self.block_size + offset
        return self._gather(starts)

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every predictable token exactly once, in windows that do not overlap; a shorter one with the tail comes last.

        Shape: -> (B, T), (B, T)
        """
        T, whole = self.block_size, self.whole
        for first in range(0, whole, batch_size):
            yield self._gather(np.arange(first, min(first + batch_size, whole)) * T)
        if (len(self.ids) - 1) % T:
            tail = torch.from_numpy(self.ids[whole * T :].astype(np.int64))
            yield tail[None, :-1], tail[None, 1:]

    def _gather(self, starts: np.ndarray) -> tuple[Tensor, Tensor]:
        rows = torch.from_numpy(self.ids[starts[:, None] + np.arange(self.block_size + 1)].astype(np.int64))
        return rows[:, :-1], rows[:, 1:]


@lru_cache(maxsize=2)
def _shuffled(seed: int, epoch: int, windows: int, slack: int) -> tuple[np.ndarray, int]:
    rng = np.random.default_rng(derive(seed, "epoch", epoch))
    return rng.permutation(windows), int(rng.integers(slack + 1))
