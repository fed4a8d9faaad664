"""why-sqrt-d: scores that grow with the head make softmax pick one position."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Wrong, because, random, same, several, tensor

STARTER = '''
"""Scores that do not grow with the head.

A score is a sum of head_size products, so with random queries and keys its
variance is about head_size: softmax then picks one position and hears no
other. Scale the scores so that their variance stays near 1, whatever the size
of the head. Return the scaled scores and their softmax (no mask here).

The lecture's random keys and queries (head size 16) have scores of variance
17.4690 unscaled and 1.0918 scaled. The check takes head sizes 16, 64 and 256,
each out of an x that is wider than the head.
"""

import torch
from torch import Tensor, nn


def scaled_attention(
    x: Tensor, key: nn.Linear, query: nn.Linear
) -> tuple[Tensor, Tensor]:
    """(B, T, C) -> scaled scores and weights, both (B, T, T)."""
    raise NotImplementedError
'''

HINT = "If the variance is d, dividing by which number makes it 1? And d is the size of q and k, not of x."


def check(scaled_attention: Callable[..., Any]) -> str:
    """The variance for the lecture's keys and queries and for three sizes of head, then every element."""
    found = []
    for (k, q), size in [(_lecture(), 16), *((_pair(d), d) for d in (16, 64, 256))]:
        x = torch.cat([k, q], dim=-1)
        key, query = _picking(size, 0), _picking(size, size)
        result = several("scaled_attention", scaled_attention(x.clone(), key, query), ("scores", "weights"))
        plain = (q @ k.mT).detach()
        reasons = {
            "divided by the root of C, the width of x; use the size of the head": plain * (2 * size) ** -0.5,
            "divided by the root of T; use the size of the head": plain * x.shape[1] ** -0.5,
            "multiplied by the root of the head size, divide by it": plain * size**0.5,
            "divided by the head size itself; variance wants its root": plain / size,
            "not scaled at all": plain,
            "divided by C, the width of x; use the root of the size of the head": plain / (2 * size),
            "keys and queries are swapped: row i must be what query i asks": (plain * size**-0.5).mT,
            "these are weights already: scale before softmax": plain.softmax(-1) * size**-0.5,
        }
        scores, right = tensor("scores", result[0], plain.shape, reasons), plain * size**-0.5
        if not 0.8 < scores.var().item() < 1.25:
            raise Wrong(
                f"with head size {size} the scores have variance {scores.var():.4g}, "
                f"about 1 is wanted{because(scores, reasons)}"
            )
        same("scores", scores, right, reasons)
        late = {
            "scaled after softmax, scale the scores before it": plain.softmax(-1) * size**-0.5,
            "these are weights of scores that were not scaled": plain.softmax(-1),
            "softmax runs over the wrong axis": right.softmax(-2),
            "scaled twice": (right * size**-0.5).softmax(-1),
        }
        same("weights", result[1], right.softmax(-1), late)
        found.append(f"{scores.var():.4f}")
    return f"Right: the lecture's scores have variance {found[0]}; sizes 16, 64, 256 give {', '.join(found[1:])}."


def _lecture() -> tuple[Tensor, Tensor]:
    """`k` and `q` as the lecture drew them: after x and three layers of a head."""
    torch.manual_seed(1337)
    torch.randn(4, 8, 32)
    for _ in range(3):
        nn.Linear(32, 16, bias=False)
    return torch.randn(4, 8, 16), torch.randn(4, 8, 16)


def _pair(size: int) -> tuple[Tensor, Tensor]:
    return random(size, 4, 32, size), random(size + 1, 4, 32, size)


def _picking(size: int, offset: int) -> nn.Linear:
    """A layer that takes `size` channels of 2 x `size` as they are: so C is not the size of the head."""
    layer = nn.Linear(2 * size, size, bias=False)
    weight = torch.zeros(size, 2 * size)
    weight[:, offset : offset + size] = torch.eye(size)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


EXERCISE = Exercise("why-sqrt-d", "why scores are scaled", "scaling", STARTER, HINT, check)
