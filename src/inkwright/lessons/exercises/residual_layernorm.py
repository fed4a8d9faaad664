"""residual-layernorm: a block adds to the stream, and reads a normalised copy of it."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, random, same

STARTER = '''
"""A block adds to what is there.

layer_norm gives every position, on its own, mean 0 and variance 1 over its
channels (divide by n, and add 0.00001 to the variance before the root); then
each channel is multiplied by its gain and gets its bias.

A block adds twice: what attention found, then what the mlp made of it. Both
read a normalised copy of x (norm first), and x itself goes on untouched. So a
block whose attention and mlp give zeros must give back exactly x.
"""

import torch
from torch import Tensor


def layer_norm(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """(B, T, C), (C,), (C,) -> (B, T, C)"""
    raise NotImplementedError


def block(x: Tensor, ln_1, attention, ln_2, mlp) -> Tensor:
    """(B, T, C) -> (B, T, C); the other four are functions of x."""
    raise NotImplementedError
'''

HINT = "x.mean(-1, keepdim=True) is over channels. The first half of a block: x = x + attention(ln_1(x))."


def check(layer_norm: Callable[..., Any], block: Callable[..., Any]) -> str:
    """The norm of random texts; then a block of zeros, and blocks of random layers."""
    for seed, (B, T, C) in enumerate([(2, 5, 8), (4, 3, 6), (1, 1, 12)]):
        x, gain, bias = 3 * random(seed, B, T, C) + 1, random(seed + 10, C) + 1, random(seed + 20, C)
        got = layer_norm(x.clone(), gain.clone(), bias.clone())
        same("layer_norm(x)", got, F.layer_norm(x, (C,), gain, bias), _norm_slips(x, gain, bias))
    tiny = 0.003 * random(5, 2, 3, 8)
    slip = {"0.00001 must be added to the variance, before the root": _normal(tiny, -1, 0.0, False)}
    got = layer_norm(tiny.clone(), torch.ones(8), torch.zeros(8))
    same("layer_norm of a small x", got, F.layer_norm(tiny, (8,)), slip)
    for seed, (B, T, C) in enumerate([(2, 5, 8), (3, 4, 6)]):
        _block(block, 2 * random(seed, B, T, C) + 1, seed)
    return "Right: normalised over channels, and a block of zeros changes nothing."


def _block(block: Callable[..., Any], x: Tensor, seed: int) -> None:
    torch.manual_seed(seed)
    C = x.shape[-1]
    ln_1, ln_2 = nn.LayerNorm(C), nn.LayerNorm(C)
    for norm in (ln_1, ln_2):
        nn.init.normal_(norm.weight, 1, 0.3)
    zero, attention, mlp = torch.zeros_like, nn.Linear(C, C), nn.Sequential(nn.Linear(C, C), nn.ReLU(), nn.Linear(C, C))
    middle = x + attention(ln_1(x))
    nothing = {
        "norm comes after the sum, so x itself is normalised": ln_2(ln_1(x)),
        "x is not added back: nothing is left of it": zero(x),
        "the normalised x is added instead of x": [ln_1(x), ln_2(x), ln_2(ln_1(x))],
    }
    same("a block whose attention and mlp give zeros", block(x.clone(), ln_1, zero, ln_2, zero), x, nothing)
    post = ln_1(x + attention(x))
    slips = {
        "attention reads x without its norm": [
            x + attention(x) + mlp(ln_2(x + attention(x))),
            x + attention(x) + mlp(x + attention(x)),
        ],
        "the mlp reads x without its norm": middle + mlp(middle),
        "norm comes after the sum, it belongs before attention and mlp": ln_2(post + mlp(post)),
        "norm comes after attention and mlp, it belongs before them": _normed_after(x, ln_1, attention, ln_2, mlp),
        "the mlp must read what attention has added to": x + attention(ln_1(x)) + mlp(ln_2(x)),
        "the mlp is missing": middle,
        "ln_1 and ln_2 are swapped": _swapped(x, ln_1, attention, ln_2, mlp),
        "mlp and attention are swapped: attention comes first": [
            _swapped(x, ln_2, mlp, ln_1, attention),
            _swapped(x, ln_1, mlp, ln_2, attention),
        ],
    }
    same("block(x)", block(x.clone(), ln_1, attention, ln_2, mlp), middle + mlp(ln_2(middle)), slips)


def _normed_after(x: Tensor, ln_1: Any, attention: Any, ln_2: Any, mlp: Any) -> Tensor:
    x = x + ln_1(attention(x))
    return x + ln_2(mlp(x))


def _swapped(x: Tensor, ln_1: Any, attention: Any, ln_2: Any, mlp: Any) -> Tensor:
    x = x + attention(ln_2(x))
    return x + mlp(ln_1(x))


def _norm_slips(x: Tensor, gain: Tensor, bias: Tensor) -> dict[str, Tensor]:
    return {
        "normalised over the batch, it must be over channels": _normal(x, 0) * gain + bias,
        "normalised over time, it must be over channels": _normal(x, 1) * gain + bias,
        "normalised over time and channels together, each position stands alone": _normal(x, (1, 2)) * gain + bias,
        "the variance is divided by n - 1, use n (correction=0)": _normal(x, -1, unbiased=True) * gain + bias,
        "gain and bias are missing": _normal(x, -1),
        "the bias is missing": _normal(x, -1) * gain,
        "the gain is missing": _normal(x, -1) + bias,
        "divided by the variance, it must be by its root": (x - x.mean(-1, keepdim=True))
        / (x.var(-1, keepdim=True, correction=0) + 1e-5)
        * gain
        + bias,
        "the mean is not taken away": x / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt() * gain + bias,
    }


def _normal(x: Tensor, dim: int | tuple[int, ...], eps: float = 1e-5, unbiased: bool = False) -> Tensor:
    variance = x.var(dim, keepdim=True, correction=int(unbiased and x.shape[-1] > 1))
    return (x - x.mean(dim, keepdim=True)) / (variance + eps).sqrt()


EXERCISE = Exercise("residual-layernorm", "a block adds to what is there", "normalisation", STARTER, HINT, check)
