"""causal-mask: nobody reads the future."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inkwright.lessons.exercises.exercise import (
    Exercise,
    Slips,
    Wrong,
    causal,
    random,
    same_weights,
    tensor,
    triangle,
)

STARTER = '''
"""Nobody reads the future.

scores[b, i, j] says how interesting position j is to position i. Turn scores
into attention weights: position i may read positions 0 ... i and no other, and
each row sums to 1. The check changes the scores of the future and wants to see
no weight move at all.
"""

import torch
from torch import Tensor


def causal_weights(scores: Tensor) -> Tensor:
    """(B, T, T) scores -> (B, T, T) weights; every row sums to 1."""
    raise NotImplementedError
'''

HINT = "What has to stand at a place so that softmax makes it exactly 0? Put it there before softmax, not after."


def check(causal_weights: Callable[..., Any]) -> str:
    """Random scores exactly, rows that sum to 1, and a changed future that must move nothing."""
    for seed, (B, T) in enumerate([(1, 4), (2, 8), (3, 5), (1, 12)]):
        scores = 2 * random(seed, B, T, T)
        got = causal_weights(scores.clone())
        same_weights("weights", got, causal(scores), _slips(scores), atol=1e-6)
        future = scores + 5 * random(seed + 10, B, T, T) * ~triangle(T)
        moved = tensor("weights", causal_weights(future), got.shape) - got.detach()
        if bool((moved.abs() > 1e-6).any()):
            row = int(moved.abs().amax((0, 2)).argmax())
            raise Wrong(f"row {row} moves when only scores of its future change: the mask comes too late")
    return "Right: every row sums to 1, and nothing that happens later can change it."


def _slips(scores: Tensor) -> Slips:
    T = scores.shape[-1]
    return {
        "the mask is missing": scores.softmax(-1),
        "the mask comes after softmax, so the rows do not sum to 1": scores.softmax(-1) * triangle(T),
        "masked with 0: e to the 0 is 1, use minus infinity": (scores * triangle(T)).softmax(-1),
        "softmax runs over the wrong axis: columns sum to 1, rows must": _columns(scores, triangle(T)),
        "this reads the future: the triangle is upside down (triu)": _masked(scores, triangle(T).mT),
        "the diagonal is masked too: position 0 must read itself": _masked(scores, torch.ones(T, T).tril(-1) > 0),
        "the diagonal is one too far: position i reads i+1": _masked(scores, torch.ones(T, T).tril(1) > 0),
    }


def _masked(scores: Tensor, seen: Tensor) -> Tensor:
    return scores.masked_fill(~seen, float("-inf")).softmax(-1)


def _columns(scores: Tensor, seen: Tensor) -> Tensor:
    return scores.masked_fill(~seen, float("-inf")).softmax(-2)


EXERCISE = Exercise("causal-mask", "nobody reads the future", "attention", STARTER, HINT, check)
