"""shifted-batch: inputs, and the same one place later."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from inkwright.lessons.exercises.exercise import (
    NO_SLIPS,
    Exercise,
    Wrong,
    same,
    same_list,
    several,
    shakespeare,
    tensor,
)

STARTER = '''
"""Cut random windows out of a text; the targets are one place later.

Everything a model learns, it learns by guessing the next token. So a batch is
two tables: windows of the text, and the same windows shifted by one.

Draw the starts with one call of torch.randint, so that every place where a
window and its targets fit can be drawn, the last one too. With seed 1337,
batch_size 4 and block_size 8 on the first 90 % of tiny Shakespeare, the first
row is then the lecture's:

    inputs  [24, 43, 58,  5, 57,  1, 46, 43]
    targets [43, 58,  5, 57,  1, 46, 43, 39]

A window of 8 holds 8 examples, and this batch holds 32:
"when the input is [24] the target is 43", "[24, 43] -> 58", ...
"""

import torch
from torch import Tensor


def get_batch(
    ids: Tensor, batch_size: int, block_size: int
) -> tuple[Tensor, Tensor]:
    """(N,) ids -> inputs and targets, both (batch_size, block_size)."""
    raise NotImplementedError


def examples(
    inputs: Tensor, targets: Tensor
) -> list[tuple[list[int], int]]:
    """Every (context, target) of a batch, row by row: ([24], 43) first."""
    raise NotImplementedError
'''

HINT = (
    "A window that starts at i and has block_size ids needs the id after it as its last target. "
    "How many starts does that leave? torch.stack joins rows to a table."
)


def check(get_batch: Callable[..., Any], examples: Callable[..., Any]) -> str:
    """Short texts where every window is known, then the lecture's batch and its 32 examples."""
    _windows_of_a_short_text(get_batch)
    ids = _train_ids()
    inputs, targets = _lecture_batch(ids, 1337)
    for seed in (1337, 1, 2):
        torch.manual_seed(seed)
        got = several("get_batch", get_batch(ids.clone(), 4, 8), ("inputs", "targets"))
        right = _lecture_batch(ids, seed)
        elsewhere = (
            f"with seed {seed} these windows start elsewhere: torch.randint(len(ids) - block_size, (batch_size,))"
        )
        moved = {elsewhere: got[0]} if isinstance(got[0], torch.Tensor) else NO_SLIPS
        same("inputs", got[0], right[0], moved)
        same("targets", got[1], right[1])
    for batch in ((inputs, targets), (torch.tensor([[7, 8, 9]]), torch.tensor([[8, 9, 3]]))):
        _examples(examples, *batch)
    return "Right: the lecture's batch, its 32 examples, and every window that fits can be drawn."


def _windows_of_a_short_text(get_batch: Callable[..., Any]) -> None:
    """In 0, 1, 2, ... an id is its own place, so a batch says where it was cut: of 11 ids, 3 windows of 8 fit."""
    torch.manual_seed(0)
    _shift(several("get_batch", get_batch(torch.arange(100_000), 64, 8), ("inputs", "targets")))
    for length in (9, 11):
        ids = torch.arange(length)
        try:
            got = several("get_batch", get_batch(ids.clone(), 64, 8), ("inputs", "targets"))
        except (RuntimeError, IndexError) as error:
            fit = "1 window fits" if length == 9 else "3 windows fit"
            raise Wrong(
                f"of {length} ids, where {fit} with their targets, get_batch stops with {type(error).__name__}: "
                "does a window run past the end?"
            ) from error
        if isinstance(got[1], torch.Tensor) and got[1].shape == (64, 7):
            raise Wrong(f"of {length} ids, the targets have 7 elements, expected 8: a window runs past the end")
        starts = _shift(got)
        missing = sorted(set(range(length - 8)) - set(starts.tolist()))
        if missing:
            raise Wrong(f"of {length} ids, the window that starts at {missing[0]} is never drawn, and it fits")


def _shift(got: Sequence[Any]) -> torch.Tensor:
    """The starts of a batch of 0, 1, 2, ..., once it is right in itself."""
    inputs = tensor("inputs", got[0], (64, 8)).long()
    right = inputs[:, :1] + torch.arange(8)
    same("inputs", inputs, right)
    slips = {
        "no shift, the targets are the inputs": right,
        "shifted by two, the target is the very next id": right + 2,
        "shifted backwards, the target comes after": right - 1,
    }
    same("targets", got[1], right + 1, slips)
    return inputs[:, 0]


def _train_ids() -> torch.Tensor:
    text = shakespeare()
    ids = {character: id for id, character in enumerate(sorted(set(text)))}
    return torch.tensor([ids[character] for character in text[: int(0.9 * len(text))]])


def _lecture_batch(ids: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    starts = torch.randint(len(ids) - 8, (4,), generator=torch.Generator().manual_seed(seed))
    places = starts[:, None] + torch.arange(8)
    return ids[places], ids[places + 1]


def _examples(examples: Callable[..., Any], inputs: torch.Tensor, targets: torch.Tensor) -> None:
    right = [
        (row[: t + 1], after[t])
        for row, after in zip(inputs.tolist(), targets.tolist(), strict=True)
        for t in range(len(row))
    ]
    got = examples(inputs.clone(), targets.clone())
    if isinstance(got, list | tuple):
        got = [_plain(example) for example in got]
    shorter = {
        "a context holds the token of its own position too": [(context[:-1], target) for context, target in right]
    }
    same_list("examples(inputs, targets)", got, right, shorter)


def _plain(example: Any) -> Any:
    """Tensors are as good as lists here."""
    if not isinstance(example, tuple | list):
        return example
    return tuple(part.tolist() if isinstance(part, torch.Tensor) else part for part in example)


EXERCISE = Exercise("shifted-batch", "inputs, and the same one later", "batches", STARTER, HINT, check)
