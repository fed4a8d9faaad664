"""Muon: a step that changes every direction of a matrix alike. Knows no model and no loop."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from inkwright.train.base import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz polynomial: singular values between 0 and 1 end between 0.7 and 1.2. Source: Jordan 2024"""
ROUNDS = 5
RMS = 0.2
"""Root mean square of a step, in learning rates: as large as AdamW's usually are. Source: Liu et al. 2025, section 2.2"""


class Muon(Optimizer):
    """Momentum, made orthogonal. A parameter is a matrix, or several one above the other in its first dimension.

    Matrices of one size are made orthogonal together, in half precision: a model has many small ones, and one at a time
    they cost more in calls than in arithmetic.

    Source: Jordan et al. 2024 (Muon), with Nesterov momentum and decoupled weight decay
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__({"params": list(parameters)}, lr=lr, weight_decay=weight_decay, momentum=momentum)

    @torch.no_grad()
    def step(self) -> None:
        """One update of all parameters that have a gradient."""
        for group in self.param_groups:
            sizes: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    sizes.setdefault(parameter.shape, []).append(parameter)
            for parameters in sizes.values():
                directions = orthogonal(self._directions(parameters, group["momentum"]))
                rows, columns = directions.shape[-2:]
                step = -group["lr"] * RMS * math.sqrt(max(rows, columns))
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(direction, alpha=step)

    def _directions(self, parameters: list[Tensor], momentum: float) -> Tensor:
        """The gradients of parameters of one size, smoothed: (parameters, ..., rows, columns)."""
        found = []
        for parameter in parameters:
            assert parameter.grad is not None
            if not self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
            smooth = self.state[parameter]["momentum_buffer"].lerp_(parameter.grad, 1 - momentum)
            found.append(parameter.grad.lerp(smooth, momentum))
        return torch.stack(found)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest matrices (..., R, C) with orthogonal rows or columns, about: every singular value is brought near 1."""
    a, b, c = COEFFICIENTS
    x = matrices.flatten(0, -3).bfloat16()
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(ROUNDS):
        square = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).reshape(matrices.shape)
