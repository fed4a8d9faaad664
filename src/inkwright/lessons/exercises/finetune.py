"""finetune: a trained table moves to a text with another alphabet."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from inkwright.lessons.exercises.exercise import Exercise, Slips, Wrong, random, same, shakespeare

STARTER = '''
"""Pretrain on much text, finetune on little.

A table that was trained on one text has a row for each character of its
alphabet, in that order. Your small text has another alphabet: the same
character has another id, some are new, some are gone. Copied by id the table
fits in shape and means nothing, and no error tells you.

move gives each character of the new alphabet the row it had in the old one;
a character that is new gets the mean of all old rows. The check then moves a
table counted on tiny Shakespeare to a small text and trains on: it must beat a
table that begins with zeros, at equal steps.
"""

import torch
from torch import Tensor


def move(table: Tensor, old: list[str], new: list[str]) -> Tensor:
    """(len(old), C) -> (len(new), C)"""
    raise NotImplementedError
'''

HINT = "For each character of the new alphabet ask: is it in the old one, and at which place?"

SMALL = (
    "To 2 friends: the year 1606 was long, and the winter cold. We had 3 candles, 1 book and no fire; "
    "what we read we read aloud, and when the light was gone we told each other what we remembered. "
    "The 1st of May came late that year, and the 2nd was no better. "
) * 2
STEPS = 20


def check(move: Callable[..., Any]) -> str:
    """Small alphabets exactly; then a table of tiny Shakespeare, moved and trained on."""
    for seed, (old, new) in enumerate([("abc", "bcd"), ("xyz", "zyx"), (" acegi", "abcde!"), ("ab", "ba")]):
        table = random(seed, len(old), 3)
        right = _moved(table, old, new)
        same(
            f"a table moved from {old!r} to {new!r}",
            move(table.clone(), list(old), list(new)),
            right,
            _slips(table, old, new),
        )
    text = shakespeare()[:200_000]
    old, new = sorted(set(text)), sorted(set(SMALL))
    table = (_counts(text, old) + 0.1).log()
    rows = move(table, old, new)
    both = move(rows.mT.contiguous(), old, new).mT  # what follows is a character of the alphabet, too
    finetuned, scratch = _trained(both, new), _trained(torch.zeros(len(new), len(new)), new)
    if finetuned >= scratch:
        raise Wrong(f"after {STEPS} steps the moved table has a loss of {finetuned:.3f}, one from zeros {scratch:.3f}")
    return f"Right: after {STEPS} steps on the small text a loss of {finetuned:.2f}; from scratch it is {scratch:.2f}."


def _moved(table: Tensor, old: str, new: str) -> Tensor:
    mean = table.mean(0)
    return torch.stack([table[old.index(character)] if character in old else mean for character in new])


def _slips(table: Tensor, old: str, new: str) -> Slips:
    by_id = [table[id] if id < len(old) else table.mean(0) for id in range(len(new))]
    known = _moved(table, old, new)
    fresh = torch.tensor([character not in old for character in new])[:, None]
    return {
        "rows are copied by id: the same id is another character in the other alphabet": torch.stack(by_id),
        "a new character gets the mean of the old rows": [known.masked_fill(fresh, 0.0), known.masked_fill(fresh, 1.0)],
    }


def _counts(text: str, alphabet: list[str]) -> Tensor:
    ids = _ids(text, alphabet)
    V = len(alphabet)
    return torch.bincount(ids[:-1] * V + ids[1:], minlength=V * V).view(V, V).float()


def _ids(text: str, alphabet: list[str]) -> Tensor:
    places = {character: id for id, character in enumerate(alphabet)}
    return torch.tensor([places[character] for character in text])


def _trained(table: Tensor, alphabet: list[str]) -> float:
    """The loss on the second half of the small text, once the first half was trained on."""
    ids = _ids(SMALL, alphabet)
    half = len(ids) // 2
    table = table.detach().clone().float().requires_grad_()
    for _ in range(STEPS):
        loss = F.cross_entropy(table[ids[: half - 1]], ids[1:half])
        (gradient,) = torch.autograd.grad(loss, table)
        table = (table - 10 * gradient).detach().requires_grad_()
    return F.cross_entropy(table[ids[half:-1]], ids[half + 1 :]).item()


EXERCISE = Exercise("finetune", "a table moves to a new alphabet", "tokenizers", STARTER, HINT, check)
