"""addition: a GPT that adds, and data that does not cheat."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from inkwright.lessons.exercises.exercise import Exercise, Wrong, kind, same, several

STARTER = '''
"""Data for a GPT that adds.

A problem a + b, each from 0 to 99, becomes seven digits: two for a, two for b,
three for the sum, its last digit first (carrying goes that way). 38 + 7 is
3 8 0 7 5 4 0. The inputs are the first six, the targets the last six.

The digits of a and b are given, nobody can guess them: where the target is one
of them it is -100, which F.cross_entropy leaves out. So the inputs
3 8 0 7 5 4 have the targets -100 -100 -100 5 4 0.

split cuts all 10,000 problems into train and test. A model has seen a sum if
it has seen its mirror, so (a, b) and (b, a) go to the same side. 5 to 15 % are
for the test, drawn at random by the seed: not simply the last ones.
"""

import torch
from torch import Tensor


def batch(problems: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """n problems -> inputs and targets, both (n, 6)"""
    raise NotImplementedError


def split(
    seed: int,
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """All 10,000 (a, b): those that train, those that test."""
    raise NotImplementedError
'''

HINT = (
    "f'{a:02}' writes a with two digits, f'{a + b:03}'[::-1] the sum backwards. "
    "Draw for each pair a <= b once, and let its mirror follow."
)

Problems = Sequence[tuple[int, int]]


def check(batch: Callable[..., Any], split: Callable[..., Any]) -> str:
    """Batches exactly; then a split that is whole, drawn, and keeps no test problem in train."""
    for problems in ([(38, 7), (0, 0), (99, 99)], [(5, 60), (47, 47), (90, 10), (1, 9)]):
        inputs, targets = several("batch", batch(list(problems)), ("inputs", "targets"))
        rows = torch.tensor([_digits(a, b) for a, b in problems])
        plain = torch.tensor([_digits(a, b, False) for a, b in problems])
        forward = {"the sum is written forwards, its last digit comes first": plain[:, :-1]}
        same(f"inputs of {problems}", inputs, rows[:, :-1], forward)
        slips = {
            "the loss is on the prompt too: the digits of a and b are given": rows[:, 1:],
            "no shift: the targets are the inputs": [_masked(rows[:, :-1], 3), _masked(rows[:, :-1], 4), rows[:, :-1]],
            "the first digit of the answer is masked too": _masked(rows[:, 1:], 4),
            "a digit of b is not masked": _masked(rows[:, 1:], 2),
        }
        same(f"targets of {problems}", targets, _masked(rows[:, 1:], 3), slips)
    sides = [_sides(split, seed) for seed in (1, 2, 1)]
    if sides[0] != sides[2]:
        raise Wrong("split(1) gives two different splits when called twice: the seed must decide")
    if sides[0] == sides[1]:
        raise Wrong("split(1) and split(2) give the same split: the seed is not used")
    return f"Right: only the answer is scored, and none of the {len(sides[0]):,} test problems is in train."


def _digits(a: int, b: int, backwards: bool = True) -> list[int]:
    return [int(digit) for digit in f"{a:02}{b:02}" + f"{a + b:03}"[:: -1 if backwards else 1]]


def _masked(targets: torch.Tensor, places: int) -> torch.Tensor:
    return torch.cat([torch.full_like(targets[:, :places], -100), targets[:, places:]], dim=1)


def _sides(split: Callable[..., Any], seed: int) -> set[tuple[int, int]]:
    """The test problems of a split that was found in order."""
    parts = several("split", split(seed), ("train", "test"))
    train, test = (_problems(part, name) for part, name in zip(parts, ("train", "test"), strict=True))
    for a, b in sorted(test):
        if (a, b) in train:
            raise Wrong(f"{(a, b)} is in train and in test")
        if (b, a) in train:
            raise Wrong(f"{(a, b)} is in test and its mirror {(b, a)} in train")
    missing = {(a, b) for a in range(100) for b in range(100)} - train - test
    if missing:
        raise Wrong(f"{min(missing)} is neither in train nor in test")
    if not 500 <= len(test) <= 1500:
        raise Wrong(f"{len(test):,} of 10,000 problems are in test, expected 500 to 1,500")
    mean = sum(a + b for a, b in test) / len(test)
    if not 90 < mean < 108:
        raise Wrong(f"the sums in test are {mean:.0f} on average, of all problems 99: test is not drawn at random")
    return test


def _problems(part: Any, name: str) -> set[tuple[int, int]]:
    if not isinstance(part, list | tuple):
        raise Wrong(f"{name} is {kind(part)}; a list of (a, b) is expected")
    for problem in part:
        if not isinstance(problem, tuple | list) or len(problem) != 2:
            raise Wrong(f"{name} holds {problem!r}; pairs (a, b) are expected")
    if len({tuple(problem) for problem in part}) < len(part):
        raise Wrong(f"{name} holds a problem more than once")
    return {(int(a), int(b)) for a, b in part}


EXERCISE = Exercise("addition", "data for a GPT that adds", "gpt", STARTER, HINT, check)
