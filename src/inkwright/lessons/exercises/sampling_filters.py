"""sampling-filters: temperature, top-k, top-p."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from inkwright.lessons.exercises.exercise import Exercise, random, same, unchanged

STARTER = '''
"""From logits to the tokens that may be drawn.

temperature  divides the logits before softmax: below 1 bolder, above 1 wilder
top_k        keeps the k likeliest tokens
top_p        keeps the likeliest tokens until their sum reaches p; the token
             that crosses p is kept, so at least one always is

top_k and top_p take probabilities; what is dropped becomes 0, and the rest is
divided by its sum. Of equally likely tokens those with the smaller id are
kept. With [0.5, 0.25, 0.15, 0.1], top_k of 2 gives [2/3, 1/3, 0, 0], and so
does top_p of 0.6.
"""

import torch
from torch import Tensor


def temperature(logits: Tensor, t: float) -> Tensor:
    """(V,) logits -> (V,) probabilities"""
    raise NotImplementedError


def top_k(probs: Tensor, k: int) -> Tensor:
    """(V,) -> (V,); k may be larger than V"""
    raise NotImplementedError


def top_p(probs: Tensor, p: float) -> Tensor:
    """(V,) -> (V,)"""
    raise NotImplementedError
'''

HINT = (
    "probs.sort(descending=True, stable=True) gives values and ids, ties in the order of their ids. "
    "For top-p ask of each token: what is the sum of those before it?"
)

CASES = (
    [0.5, 0.25, 0.15, 0.1],
    [0.25, 0.1, 0.5, 0.15],
    [0.25, 0.25, 0.25, 0.25],
    [0.125, 0.25, 0.125, 0.25, 0.25],
    [1.0, 0.0, 0.0],
)
"""Small, some with ties; the sums are exact in binary where a filter stops right on one."""


def check(temperature: Callable[..., Any], top_k: Callable[..., Any], top_p: Callable[..., Any]) -> str:
    """Exact small distributions, ties included; then random ones."""
    for seed, t in enumerate((0.5, 1.0, 2.0, 0.1)):
        logits = random(seed, 7)
        _temperature(temperature, logits, t)
    drawn = [random(seed, 9).softmax(-1).tolist() for seed in range(3)]
    for case in (*CASES, *drawn):
        probs = torch.tensor(case)
        shown = f"[{', '.join(f'{p:.3g}' for p in case)}]"
        for k in (2, 1, 3, len(case), len(case) + 5):
            given = probs.clone()
            _top_k(f"top_k({shown}, {k})", top_k(given, k), probs, k)
            unchanged("probs", given, probs)
        for p in (0.0001, 0.3, 0.5, 0.6, 0.75, 0.9, 1.0):
            if case in CASES and p in (0.9,) and 0.15 in case:
                continue  # 0.5 + 0.25 + 0.15 is 0.9 only on paper
            given = probs.clone()
            _top_p(f"top_p({shown}, {p})", top_p(given, p), probs, p)
            unchanged("probs", given, probs)
    return "Right: temperature, top-k and top-p are exact, ties included."


def _temperature(temperature: Callable[..., Any], logits: Tensor, t: float) -> None:
    slips = {
        "the temperature comes after softmax, divide the logits": [
            logits.softmax(-1) / t,
            (logits.softmax(-1) / t).softmax(-1),
        ],
        "the temperature is not used": logits.softmax(-1),
        "multiplied by the temperature, divide by it": (logits * t).softmax(-1),
        "these are logits, softmax is missing": logits / t,
    }
    given = logits.clone()
    same(f"temperature(logits, {t})", temperature(given, t), (logits / t).softmax(-1), slips)
    unchanged("logits", given, logits)


def _top_k(what: str, got: Any, probs: Tensor, k: int) -> None:
    values = probs.sort(descending=True).values
    slips = {
        "the k-th token is left out": _kept(probs, _ranks(probs) < k - 1),
        "one token too many is kept": _kept(probs, _ranks(probs) < k + 1),
        "ties at the k-th place: more than k are kept; those with smaller ids stay": _kept(
            probs, probs >= values[min(k, len(probs)) - 1]
        ),
        "of equal tokens those with the larger id are kept, the smaller id wins": _kept(probs, _ranks(probs, True) < k),
        "what is kept must be divided by its sum": probs * (_ranks(probs) < k),
        "these are the least likely tokens": _kept(probs, _ranks(-probs) < k),
        "the values are in sorted order, each belongs back to its id": _kept(values, torch.arange(len(probs)) < k),
        "the first k ids are kept, not the likeliest": _kept(probs, torch.arange(len(probs)) < k),
        "what is dropped must be 0 after softmax too": _kept(probs, _ranks(probs) < k).softmax(-1),
    }
    same(what, got, _kept(probs, _ranks(probs) < k), slips)


def _top_p(what: str, got: Any, probs: Tensor, p: float) -> None:
    kept = _nucleus(probs, p)
    until = _ranks(probs) < (_sums(probs) <= p).sum()
    slips = {
        "the token that crosses p is dropped, keep it": [_kept(probs, until), probs * until / probs.sum()],
        "one token too many: stop where the sum reaches p": _kept(probs, _ranks(probs) < kept.sum() + 1),
        "of equal tokens those with the larger id are kept, the smaller id wins": _kept(
            probs, _ranks(probs, True) < kept.sum()
        ),
        "what is kept must be divided by its sum": probs * kept,
        "tokens are kept that are likelier than p by themselves; the sum counts": [
            _kept(probs, probs >= p),
            _kept(probs, probs > p),
        ],
        "the sum runs in the order of the ids; sort first": _kept(probs, probs.cumsum(-1) - probs < p),
    }
    same(what, got, _kept(probs, kept), slips)


def _ranks(probs: Tensor, later_first: bool = False) -> Tensor:
    """(V,) -> (V,): 0 for the likeliest token; of equal ones the smaller id first."""
    if later_first:
        return _ranks(probs.flip(0)).flip(0)
    return probs.sort(descending=True, stable=True).indices.argsort()


def _sums(probs: Tensor) -> Tensor:
    """The likeliest, the two likeliest, ... together."""
    return probs.sort(descending=True, stable=True).values.cumsum(-1)


def _nucleus(probs: Tensor, p: float) -> Tensor:
    ordered = probs.sort(descending=True, stable=True).values
    before = ordered.cumsum(-1) - ordered
    return _ranks(probs) < (before < p).sum()


def _kept(probs: Tensor, keep: Tensor) -> Tensor:
    """Nothing kept gives nan, as it does to the learner."""
    return probs * keep / (probs * keep).sum()


EXERCISE = Exercise("sampling-filters", "temperature, top-k and top-p", "sampling", STARTER, HINT, check)
