"""The grams of a text, its runs of k tokens, as sorted lists that a tensor of ids can be looked up in. Knows no model.

The grams of length k are the places of their first k - 1 tokens in the list of shorter ones, times V, plus their last token.
So a gram of any length fits into one number, and finding it takes one binary search for each length.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from inkwright import interrupt


def find(grams: Tensor, contexts: Tensor, tokens: Tensor, vocab_size: int) -> Tensor:
    """The place in `grams` of each context (a place in the shorter grams, -1: none) followed by a token; -1: not there."""
    wanted = contexts * vocab_size + tokens
    if not len(grams):
        return torch.full_like(wanted, -1)
    place = torch.searchsorted(grams, wanted).clamp_(max=len(grams) - 1)
    return torch.where((contexts >= 0) & (grams[place] == wanted), place, -1)


def count_grams(ids: np.ndarray, order: int, vocab_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The grams of each length in a text, (N,) ids, sorted, and how often each occurs.

    Raises: Interrupted   a stop was asked for on the way
    """
    N = len(ids)
    number = np.int32 if max(N + order, vocab_size) < 2**31 else np.int64  # half the memory, where it can be had
    padded = np.zeros(N + order, number)
    padded[:N] = ids
    starts = _sorted_starts(padded, N, order, vocab_size).astype(number)
    new = np.zeros(N, bool)  # where a gram differs from the one before it in the sorted list
    new[:1] = True
    place = np.zeros(N, number)
    for k in range(1, order + 1):
        interrupt.check()
        over = np.flatnonzero(starts > N - k)  # would run over the end: at most one, and it hands its mark on
        new[over[over + 1 < len(new)] + 1] |= new[over[over + 1 < len(new)]]
        starts, new, place = (np.delete(array, over) for array in (starts, new, place))
        token = padded[starts + (k - 1)]
        new[1:] |= token[1:] != token[:-1]
        first = np.flatnonzero(new)
        yield place[first].astype(np.int64) * vocab_size + token[first], np.diff(first, append=len(new))
        place = np.cumsum(new, dtype=number)
        place -= 1


def repeated_grams(ids: np.ndarray, order: int, vocab_size: int) -> Iterator[np.ndarray]:
    """The grams of 2 to `order` tokens that a text, (N,) ids, has more than once, sorted.

    A gram of two begins with a token itself: there is no shorter list for its place.

    Raises: Interrupted   a stop was asked for on the way
    """
    kept_place = np.empty(0, np.int64)
    for k, (grams, counts) in enumerate(count_grams(ids, order, vocab_size), start=1):
        context, token = grams // vocab_size, grams % vocab_size
        if k == 1:
            kept_place = token
            continue
        context = kept_place[context]
        kept = (counts > 1) & (context >= 0)
        kept_place = np.where(kept, np.cumsum(kept) - 1, -1)
        yield context[kept] * vocab_size + token[kept]


def _sorted_starts(padded: np.ndarray, N: int, order: int, vocab_size: int) -> np.ndarray:
    """The places of a text in the order of the `order` tokens that follow."""
    keys, key, largest = [], np.zeros(N, np.int64), 1
    for k in range(order):
        if largest > 2**62 // vocab_size:
            keys.append(key)
            key, largest = np.zeros(N, np.int64), 1
        key *= vocab_size
        key += padded[k : k + N]
        largest *= vocab_size
    return np.lexsort([key, *reversed(keys)])  # the last one counts most
