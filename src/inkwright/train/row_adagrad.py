"""Adagrad for tables of which a step touches few rows. Knows no model and no loop."""

from collections.abc import Iterable

import torch
from torch import Tensor

from inkwright.train.base import Optimizer


def coalesced(gradient: Tensor) -> Tensor:
    """A sparse gradient with each row once, in order. Autograd forgets where it is so already, and sorting is slow."""
    rows = gradient._indices()[0]
    if bool((rows[1:] > rows[:-1]).all()):
        return gradient._coalesced_(True)
    return gradient.coalesce()


class RowAdagrad(Optimizer):
    """Each row takes steps of one size, which shrink the more often the row was needed; the others stay as they are.

    One number a row is all that it keeps, and a step costs as much as the rows it touches. The gradients are sparse.

    `rate` multiplies the learning rate, which a training sets anew at each step for all optimizers alike.

    Source: Duchi, Hazan and Singer 2011 (Adagrad), with one sum of squares for a whole row
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, rate: float = 1.0) -> None:
        super().__init__({"params": list(parameters)}, lr=lr, rate=rate)

    def forget(self, first: int) -> None:
        """Take the rows from `first` on for rows that were never needed."""
        for state in self.state.values():
            state["sum"][first:] = 0.0

    @torch.no_grad()
    def step(self) -> None:
        """One update of the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is None:
                    continue
                if not self.state[table]:
                    self.state[table]["sum"] = table.new_zeros(len(table), 1)
                total, gradient = self.state[table]["sum"], coalesced(table.grad)
                rows, values = gradient.indices()[0], gradient.values()
                total.index_add_(0, rows, values.square().mean(1, keepdim=True))
                table.index_add_(0, rows, values * (total[rows] + 1e-20).rsqrt(), alpha=-group["lr"] * group["rate"])
