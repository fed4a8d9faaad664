"""Normalisation: each position brought to the same size before it is read. Knows no blocks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.config import ModelConfig


class RMSNorm(nn.Module):
    """Divide by the root mean square, and give each channel a learned weight.

    torch's own class computes the same, but warns and slows down where activations have half the bits of the weight.

    Source: Zhang and Sennrich 2019
    """

    def __init__(self, size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, T, C) -> (B, T, C)"""
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.eps)


def norm(config: ModelConfig) -> nn.Module:
    """The normalisation of a shape."""
    if config.shape == "modern":
        return RMSNorm(config.n_embd)
    return nn.LayerNorm(config.n_embd, bias=config.bias or config.shape == "lecture")
