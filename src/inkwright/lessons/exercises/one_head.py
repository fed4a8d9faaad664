"""one-head: queries, keys and values."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Slips, causal, same, same_weights, several

STARTER = '''
"""One head of self-attention.

Each position asks (query), each position offers (key); where they fit, the
score is high. The weights say how much of each value a position gathers, and
nobody reads the future. Do not scale the scores here: that is the next idea.

Create the three layers inside the function, in the order key, query, value,
each nn.Linear(C, head_size, bias=False): their random numbers are drawn in
that order. With seed 1337, x = randn(4, 8, 32) and head_size 16, weights[0]
has row 1 = [0.1574, 0.8426] and ends with
[0.0210, 0.0843, 0.0555, 0.2297, 0.0573, 0.0709, 0.2423, 0.2391].
"""

import torch
from torch import Tensor, nn


def one_head(x: Tensor, head_size: int) -> tuple[Tensor, Tensor]:
    """(B, T, C) -> weights (B, T, T), and what they gather (B, T, hs)."""
    raise NotImplementedError
'''

HINT = "scores = q @ k.transpose(-2, -1), then mask, softmax over the last axis, and weights @ v."

ROW_1 = [0.1574, 0.8426]
LAST_ROW = [0.0210, 0.0843, 0.0555, 0.2297, 0.0573, 0.0709, 0.2423, 0.2391]


def check(one_head: Callable[..., Any]) -> str:
    """The lecture's head, then heads of other sizes and seeds."""
    for seed, (B, T, C, hs) in [(1337, (4, 8, 32, 16)), (1, (2, 5, 12, 4)), (2, (3, 12, 8, 8))]:
        torch.manual_seed(seed)
        x = torch.randn(B, T, C)
        state = torch.get_rng_state()
        key, query, value = (nn.Linear(C, hs, bias=False) for _ in range(3))
        torch.set_rng_state(state)
        weights, out = several("one_head", one_head(x.clone(), hs), ("weights", "out"))
        right, slips = _weights(x, key, query), _slips(x, [key, query, value])
        same_weights("weights", weights, right, slips)
        values = value(x)
        gathered = {
            "the value is skipped: the weights gather x itself": right @ x if hs == C else right @ x[..., :hs],
            "the weights gather keys, not values": right @ key(x),
            "these are the values, nothing was gathered": values,
            "the weights are transposed": right.mT @ values,
        }
        same("out", out, right @ values, gathered)
    return f"Right: weights[0] has row 1 = {ROW_1} and ends with {LAST_ROW}."


def _weights(x: Tensor, key: nn.Linear, query: nn.Linear) -> Tensor:
    return causal(query(x) @ key(x).mT)


def _slips(x: Tensor, layers: list[nn.Linear]) -> Slips:
    key, query, _ = layers
    scores = query(x) @ key(x).mT
    return {
        "the scores are scaled, leave them as they are here": causal(scores * key.out_features**-0.5),
        "the scores are divided by the width of x, leave them as they are here": causal(scores * x.shape[-1] ** -0.5),
        "the mask is missing": scores.softmax(-1),
        "softmax runs over the wrong axis": scores.masked_fill(causal(scores) == 0, float("-inf")).softmax(-2),
        "key and query are swapped: the layers are created in another order, or the scores transposed": causal(
            scores.mT
        ),
        "these are the scores, softmax is missing": scores,
        "the layers are created in another order than key, query, value": [
            _weights(x, *order) for order in permutations(layers, 2) if order != (key, query)
        ],
    }


EXERCISE = Exercise("one-head", "queries, keys and values", "attention", STARTER, HINT, check)
