"""heads-in-one-tensor: many heads at once, without a loop."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Slips, causal, random, same

STARTER = '''
"""Many heads at once.

Instead of a list of small heads: three layers as wide as x, whose result is
cut into n_head pieces of head_size channels. The heads then become one more
axis of the tensor, (B, n_head, T, head_size), and all of them attend in one
matrix product. At the end they are laid side by side again, head 0 first.

Head h has channels h * head_size ... (h + 1) * head_size - 1. Each head is
causal and scaled by the root of head_size. The result must equal the loop over
the heads to 0.000001.
"""

import torch
from torch import Tensor, nn


def many_heads(
    x: Tensor, key: nn.Linear, query: nn.Linear, value: nn.Linear, n_head: int
) -> Tensor:
    """(B, T, C) -> (B, T, C)"""
    raise NotImplementedError
'''

HINT = "(B, T, C) becomes (B, T, n_head, head_size) by a view; only a transpose brings the heads before time."


def check(many_heads: Callable[..., Any]) -> str:
    """Equal to a loop over the heads, for several numbers of heads."""
    for seed, (B, T, nh, hs) in enumerate([(2, 5, 3, 4), (1, 4, 2, 6), (3, 8, 4, 8), (2, 3, 1, 5)]):
        torch.manual_seed(seed)
        key, query, value = (nn.Linear(nh * hs, nh * hs, bias=False) for _ in range(3))
        x = 2 * random(seed, B, T, nh * hs)
        k, q, v = (layer(x).detach() for layer in (key, query, value))
        got = many_heads(x.clone(), key, query, value, nh)
        same(f"many_heads(x) with {nh} heads", got, _loop(q, k, v, nh), _slips(q, k, v, nh), atol=1e-6)
    return "Right: equal to a loop over the heads, for 1, 2, 3 and 4 of them."


def _loop(q: Tensor, k: Tensor, v: Tensor, nh: int, scale: float | None = None) -> Tensor:
    heads = zip(q.chunk(nh, -1), k.chunk(nh, -1), v.chunk(nh, -1), strict=True)
    factor = (q.shape[-1] // nh) ** -0.5 if scale is None else scale
    return torch.cat([causal(q @ k.mT * factor) @ v for q, k, v in heads], dim=-1)


def _slips(q: Tensor, k: Tensor, v: Tensor, nh: int) -> Slips:
    B, T, C = q.shape
    hs = C // nh
    right = _loop(q, k, v, nh)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return causal(q @ k.mT * hs**-0.5) @ v

    def mixed(t: Tensor) -> Tensor:
        return t.view(B, T, hs, nh).permute(0, 3, 1, 2)

    unmasked = [
        (q @ k.mT * hs**-0.5).softmax(-1) @ v
        for q, k, v in zip(q.chunk(nh, -1), k.chunk(nh, -1), v.chunk(nh, -1), strict=True)
    ]
    one_view = attend(*(t.view(B, nh, T, hs) for t in (q, k, v)))
    interleaved = right.view(B, T, nh, hs).transpose(2, 3).reshape(B, T, C)
    return {
        "a view to (B, n_head, T, head_size) mixes time and channels: view, then transpose": [
            one_view.reshape(B, T, C),
            one_view.transpose(1, 2).reshape(B, T, C),
        ],
        "the heads come back in a wrong order: transpose before you lay them side by side": right.view(B, T, nh, hs)
        .transpose(1, 2)
        .reshape(B, T, C),
        "the channels are cut the wrong way: head 0 has the first head_size of them": attend(*map(mixed, (q, k, v)))
        .permute(0, 2, 3, 1)
        .reshape(B, T, C),
        "the channels of the heads are mixed: one head after another": interleaved,
        "one head's result is used for all": right[..., :hs].repeat(1, 1, nh),
        "this is one large head, not several": _loop(q, k, v, 1),
        "scaled by the width of x, not by the size of a head": _loop(q, k, v, nh, C**-0.5),
        "the scores are not scaled": _loop(q, k, v, nh, 1.0),
        "the mask is missing": torch.cat(unmasked, dim=-1),
    }


EXERCISE = Exercise("heads-in-one-tensor", "many heads at once", "heads", STARTER, HINT, check)
