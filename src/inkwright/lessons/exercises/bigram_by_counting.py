"""bigram-by-counting: the best table there is, without training."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inkwright.lessons.exercises.exercise import Exercise, Wrong, because, same, shakespeare, tensor

STARTER = '''
"""The best bigram table there is, without any training.

Count how often each character follows each other one, add 1 to every count
(so that nothing is impossible), and divide: row a is then the distribution of
what comes after a. Each row sums to 1.

Only the first 90 % of the ids, int(0.9 * len(ids)) of them, may be counted;
the rest is there to judge by. On tiny Shakespeare your table scores 2.482 nats
per character there: no model that sees one character can do much better.
"""

import torch
from torch import Tensor


def bigram_table(ids: Tensor, vocab_size: int) -> Tensor:
    """(N,) ids of a whole text -> (V, V): row a, column b is p(b after a)."""
    raise NotImplementedError
'''

HINT = (
    "A pair (a, b) can be one number, a * vocab_size + b, and torch.bincount counts numbers at once. "
    "sum(dim=1, keepdim=True) sums each row."
)

LOSS = 2.482


def check(bigram_table: Callable[..., Any]) -> str:
    """Small texts exactly, then tiny Shakespeare: rows that sum to 1, the table, and the loss of 2.482."""
    for seed, vocab_size in enumerate((3, 5, 4)):
        ids = torch.randint(vocab_size, (30,), generator=torch.Generator().manual_seed(seed))
        _compare(f"the table of {ids[:6].tolist()} ...", bigram_table(ids.clone(), vocab_size), ids, vocab_size)
    text = shakespeare()
    places = {character: id for id, character in enumerate(sorted(set(text)))}
    ids = torch.tensor([places[character] for character in text])
    table = tensor("the table", bigram_table(ids.clone(), 65), (65, 65))
    _compare("the table of tiny Shakespeare", table, ids, 65)
    held_out = ids[int(0.9 * len(ids)) :]
    loss = -table[held_out[:-1], held_out[1:]].log().mean().item()
    if abs(loss - LOSS) > 0.002:
        raise Wrong(f"the loss on the last 10 % is {loss:.4f}, expected {LOSS}")
    return f"Right: every row sums to 1, and the last 10 % of tiny Shakespeare costs {loss:.3f} nats a character."


def _compare(what: str, got: Any, ids: Tensor, vocab_size: int) -> None:
    train = ids[: int(0.9 * len(ids))]
    counts = _counts(train, vocab_size)
    right = _rows(counts + 1)
    slips = {
        "these are counts, not normalised: divide each row by its sum": counts + 1,
        "each column is normalised, each row must be": (counts + 1) / (counts + 1).sum(0),
        "the last 10 % were counted too: only train may be": _rows(_counts(ids, vocab_size) + 1),
        "1 was not added to the counts": _rows(counts),
        "rows and columns are swapped: row a is what follows a": _rows(counts.mT + 1),
        "the whole table sums to 1, each row must": (counts + 1) / (counts + 1).sum(),
    }
    found = tensor(what, got, (vocab_size, vocab_size), slips)
    sums = found.sum(1)
    if bool((wrong := (sums - 1).abs() > 1e-5).any()):
        row = int(wrong.nonzero()[0])
        raise Wrong(f"row {row} of {what} sums to {sums[row]:.4g}, expected 1{because(found, slips)}")
    same(what, found, right, slips, atol=1e-6)


def _counts(ids: Tensor, vocab_size: int) -> Tensor:
    pairs = ids[:-1] * vocab_size + ids[1:]
    return torch.bincount(pairs, minlength=vocab_size**2).reshape(vocab_size, vocab_size).double()


def _rows(counts: Tensor) -> Tensor:
    return counts / counts.sum(1, keepdim=True)


EXERCISE = Exercise("bigram-by-counting", "the best table, by counting", "bigram", STARTER, HINT, check)
