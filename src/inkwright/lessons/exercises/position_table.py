"""position-table: attention sees a set; positions make it a sequence."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Wrong, because, same, tensor, triangle

STARTER = '''
"""Without positions, the past is a bag.

A model that averages its past cannot tell "dog bites man" from "man bites
dog". A second table, with one vector for each position 0, 1, 2 ..., is added
to the vector of each token before anything reads the past.

You are given tok_emb (V, C), pos_emb (block_size, C), lm_head, and read_past:
it averages tanh(x) over each position and its past. (Were it x itself, the
positions would add up to the same sum in any order, and still tell nothing.)
Write the model without positions and the one with them. The check turns the
past around: with positions the last logits must move, without them not.
"""

import torch
from torch import Tensor, nn


def without_positions(
    idx, tok_emb: nn.Embedding, read_past, lm_head
) -> Tensor:
    """(B, T) ids -> (B, T, V) logits"""
    raise NotImplementedError


def with_positions(
    idx, tok_emb: nn.Embedding, pos_emb: nn.Embedding, read_past, lm_head
) -> Tensor:
    """(B, T) ids -> (B, T, V) logits; T may be less than block_size"""
    raise NotImplementedError
'''

HINT = "torch.arange(T) are the positions of a window of T tokens; (B, T, C) + (T, C) adds them to every row."


def check(without_positions: Callable[..., Any], with_positions: Callable[..., Any]) -> str:
    """Swap the past, then compare every logit, for windows shorter than the context too."""
    for seed, (B, T) in enumerate([(1, 9), (3, 6), (2, 1)]):
        torch.manual_seed(seed)
        tok_emb, pos_emb, lm_head = nn.Embedding(9, 8), nn.Embedding(12, 8), nn.Linear(8, 9)
        idx = torch.stack([torch.randperm(9)[:T] for _ in range(B)])  # all different, so that a swap is one
        plain = partial(without_positions, tok_emb=tok_emb, read_past=_read_past, lm_head=lm_head)
        placed = partial(with_positions, tok_emb=tok_emb, pos_emb=pos_emb, read_past=_read_past, lm_head=lm_head)
        _compare(plain, placed, idx, tok_emb(idx), pos_emb, lm_head)
    return "Right: turned around, the past is the same bag without positions, and another text with them."


def _compare(
    plain: Callable[..., Any],
    placed: Callable[..., Any],
    idx: Tensor,
    token: Tensor,
    pos_emb: nn.Embedding,
    lm_head: nn.Linear,
) -> None:
    slips = _slips(token, idx, pos_emb, lm_head)
    same("without_positions(idx)", plain(idx.clone()), lm_head(_read_past(token)))
    right = lm_head(_read_past(token + pos_emb.weight[: idx.shape[1]]))
    found = tensor("with_positions(idx)", placed(idx.clone()), right.shape, slips)
    if idx.shape[1] > 1 and not _moves(placed, idx):
        raise Wrong(f"with_positions gives the same last logits when the past is turned around{because(found, slips)}")
    same("with_positions(idx)", found, right, slips)


def _read_past(x: Tensor) -> Tensor:
    matrix = triangle(x.shape[1]).to(x.dtype)
    return matrix / matrix.sum(1, keepdim=True) @ x.tanh()


def _moves(answer: Callable[[Tensor], Tensor], idx: Tensor) -> bool:
    turned = torch.cat([idx[:, :-1].flip(1), idx[:, -1:]], dim=1)
    return not torch.allclose(answer(idx)[:, -1], answer(turned)[:, -1], atol=1e-5)


def _slips(token: Tensor, idx: Tensor, pos_emb: nn.Embedding, lm_head: nn.Linear) -> dict[str, Tensor]:
    def logits(x: Tensor) -> Tensor:
        return lm_head(_read_past(x))

    T = idx.shape[1]
    position = pos_emb.weight[:T]
    return {
        "the positions are missing": logits(token),
        "the table is indexed by token id, index it by the place in the window": logits(token + pos_emb(idx)),
        "the positions are added to the logits, add them before the past is read": logits(token) + lm_head(position),
        "the positions are added after the past was read, add them before": lm_head(_read_past(token) + position),
        "positions count from 1, they begin at 0": logits(token + pos_emb(torch.arange(T) + 1)),
        "positions count backwards": logits(token + position.flip(0)),
        "the past is not read": lm_head(token + position),
        "every position has the vector of position 0": logits(token + pos_emb.weight[0]),
    }


EXERCISE = Exercise("position-table", "a place for every token", "positions", STARTER, HINT, check)
