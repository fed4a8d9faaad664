"""encoder-decoder-cross: who may read whom."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Wrong, causal, random, same, tensor, triangle

STARTER = '''
"""Who may read whom.

Attention is a graph: each position gathers from those that point to it.

encoder  everybody reads everybody (to judge a whole sentence)
decoder  everybody reads itself and its past (to write)
cross    the queries are of x; keys and values come from another text, all of
         which may be read (to translate it)

The check changes one position at a time and looks which results move. Scale
the scores by the root of the head size in all three.
"""

import torch
from torch import Tensor, nn


def encoder(
    x: Tensor, key: nn.Linear, query: nn.Linear, value: nn.Linear
) -> Tensor:
    """(B, T, C) -> (B, T, head_size)"""
    raise NotImplementedError


def decoder(
    x: Tensor, key: nn.Linear, query: nn.Linear, value: nn.Linear
) -> Tensor:
    """(B, T, C) -> (B, T, head_size)"""
    raise NotImplementedError


def cross(
    x: Tensor,
    other: Tensor,
    key: nn.Linear,
    query: nn.Linear,
    value: nn.Linear,
) -> Tensor:
    """(B, T, C), (B, S, C) -> (B, T, head_size)"""
    raise NotImplementedError
'''

HINT = "The three differ in two things only: whether there is a triangle, and what key and value are applied to."


def check(encoder: Callable[..., Any], decoder: Callable[..., Any], cross: Callable[..., Any]) -> str:
    """Who reads whom, found by changing one position at a time; then every element."""
    for seed, (B, T, S) in enumerate([(1, 4, 6), (2, 7, 3), (2, 5, 5)]):
        layers = _layers(seed, 12, 8)
        x, other = random(seed, B, T, 12), random(seed + 50, B, S, 12)
        _encoder(encoder, x, layers)
        _decoder(decoder, x, layers)
        _cross(cross, x, other, layers)
    return "Right: the encoder reads all, the decoder its past, and cross-attention the other text."


def _encoder(encoder: Callable[..., Any], x: Tensor, layers: list[nn.Linear]) -> None:
    key, query, value = layers
    T = x.shape[1]
    _reads("encoder", lambda x: encoder(x, *layers), x, torch.ones(T, T, dtype=torch.bool))
    scores = query(x) @ key(x).mT * 8**-0.5
    same("encoder(x)", encoder(x.clone(), *layers), scores.softmax(-1) @ value(x), _slips(scores, value(x)))


def _decoder(decoder: Callable[..., Any], x: Tensor, layers: list[nn.Linear]) -> None:
    key, query, value = layers
    _reads("decoder", lambda x: decoder(x, *layers), x, triangle(x.shape[1]))
    scores = query(x) @ key(x).mT * 8**-0.5
    slips = {"the scores are not scaled": causal(scores * 8**0.5) @ value(x)}
    same("decoder(x)", decoder(x.clone(), *layers), causal(scores) @ value(x), slips)


def _cross(cross: Callable[..., Any], x: Tensor, other: Tensor, layers: list[nn.Linear]) -> None:
    key, query, value = layers
    T, S = x.shape[1], other.shape[1]
    _reads("cross", lambda other: cross(x, other, *layers), other, torch.ones(T, S, dtype=torch.bool), "other")
    _reads("cross", lambda x: cross(x, other, *layers), x, torch.eye(T, dtype=torch.bool))
    scores = query(x) @ key(other).mT * 8**-0.5
    right = scores.softmax(-1) @ value(other)
    same("cross(x, other)", cross(x.clone(), other.clone(), *layers), right, _slips(scores, value(other)))


def _layers(seed: int, C: int, hs: int) -> list[nn.Linear]:
    torch.manual_seed(seed)
    return [nn.Linear(C, hs, bias=False) for _ in range(3)]


def _slips(scores: Tensor, values: Tensor) -> dict[str, Tensor]:
    return {
        "the scores are not scaled": (scores * 8**0.5).softmax(-1) @ values,
        "softmax runs over the wrong axis": scores.softmax(-2) @ values,
    }


def _reads(name: str, answer: Callable[[Tensor], Any], source: Tensor, allowed: Tensor, of: str = "x") -> None:
    """Row t of the result must move when position s of `source` changes just where allowed[t, s]."""
    before = tensor(f"{name}", answer(source.clone()), (len(source), len(allowed), 8))
    for s in range(source.shape[1]):
        changed = source.clone()
        changed[:, s] += 3 * random(s, source.shape[-1])
        moved = (tensor(name, answer(changed), before.shape) - before).abs().amax((0, 2)) > 1e-6
        for t in range(len(allowed)):
            if moved[t] and not allowed[t, s]:
                raise Wrong(f"{name}: position {t} reads position {s} of {of} and may not{_why(name, of, True)}")
            if allowed[t, s] and not moved[t]:
                raise Wrong(f"{name}: position {t} does not read position {s} of {of}{_why(name, of, False)}")


def _why(name: str, of: str, too_much: bool) -> str:
    if name == "encoder":
        return ": is there a mask? An encoder has none"
    if name == "decoder":
        return (
            ": the mask is missing or too late"
            if too_much
            else ": is the triangle upside down or too small? It may read itself and all of its past"
        )
    if of == "x":
        return (
            ": keys and values must come from the other text, and softmax run over it"
            if too_much
            else ": its query must be made of x"
        )
    return ": keys and values must come from the other text, all of it"


EXERCISE = Exercise("encoder-decoder-cross", "who may read whom", "masks", STARTER, HINT, check)
