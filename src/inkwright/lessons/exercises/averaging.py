"""averaging: the mean of the past, three ways."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inkwright.lessons.exercises.exercise import Exercise, Slips, random, same, triangle

STARTER = '''
"""Each position becomes the mean of itself and everything before it.

The simplest way for tokens to talk: position t gathers the mean of positions
0 ... t. Write it three times: with a loop, as a product with a matrix whose
rows are 1/(t+1) up to the diagonal, and as that same matrix made by softmax
from zeros with the future at minus infinity. The third one is attention.

With seed 1337 and x = randn(4, 8, 2), x[0] begins [0.1808, -0.0700],
[-0.3596, -0.9152] and its running means [0.1808, -0.0700], [-0.0894, -0.4926],
[0.1490, -0.3199]. All three ways must agree to 0.000001.
"""

import torch
from torch import Tensor


def loop_mean(x: Tensor) -> Tensor:
    """(B, T, C) -> (B, T, C), position by position."""
    raise NotImplementedError


def matrix_mean(x: Tensor) -> Tensor:
    """The same as one matrix product."""
    raise NotImplementedError


def softmax_mean(x: Tensor) -> Tensor:
    """The same, its matrix made by softmax."""
    raise NotImplementedError
'''

HINT = "torch.tril keeps a matrix up to its diagonal. (T, T) @ (B, T, C) works: the matrix is used for every row."

MEANS = [
    [0.1808, -0.0700],
    [-0.0894, -0.4926],
    [0.1490, -0.3199],
    [0.3504, -0.2238],
    [0.3525, 0.0545],
    [0.0688, -0.0396],
    [0.0927, -0.0682],
    [-0.0341, 0.1332],
]
"""`loop_mean(x)[0]` of the lecture."""


def check(loop_mean: Callable[..., Any], matrix_mean: Callable[..., Any], softmax_mean: Callable[..., Any]) -> str:
    """The lecture's figures, then random texts of other sizes, each way on its own."""
    ways = {"loop_mean": loop_mean, "matrix_mean": matrix_mean, "softmax_mean": softmax_mean}
    for name, mean in ways.items():
        for x in (random(1337, 4, 8, 2), random(1, 2, 5, 3), random(2, 3, 11, 4)):
            right = _weighted(triangle(x.shape[1]).double(), x)
            same(f"{name}(x)", mean(x.clone()), right, _slips(x), atol=1e-6)
    got = loop_mean(random(1337, 4, 8, 2))
    same("loop_mean(x)[0]", got[0], MEANS, atol=6e-5)
    return "Right: three ways, one result, and the lecture's figures."


def _slips(x: Tensor) -> Slips:
    T = x.shape[1]
    ones = torch.ones(T, T, dtype=torch.double)
    return {
        "the current position is left out": _weighted(ones.tril(-1), x),
        "the diagonal is one too far, position t sees t+1": _weighted(ones.tril(1), x),
        "divided by T, there are only t+1 positions to average": ones.tril() @ x.double() / T,
        "divided by t instead of t+1": ones.tril() @ x.double() / torch.arange(T).clamp(min=1)[:, None],
        "this is the sum, not the mean": ones.tril() @ x.double(),
        "this reads the future: upper triangle instead of lower": _weighted(ones.triu(), x),
        "every position reads everything: nothing is masked": _weighted(ones, x),
        "the columns of the matrix sum to 1, its rows must": (ones.tril() / ones.tril().sum(0)) @ x.double(),
    }


def _weighted(matrix: Tensor, x: Tensor) -> Tensor:
    return matrix / matrix.sum(1, keepdim=True).clamp(min=1) @ x.double()


EXERCISE = Exercise("averaging", "the mean of the past, three ways", "averaging", STARTER, HINT, check)
