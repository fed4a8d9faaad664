"""Models that count instead of learning: the line every loss is read against. Knows no text, no files and no loss.

An n-gram model of order n predicts a token from the n - 1 before it, by how often each was seen to follow them. Where that
is not often enough to trust, some of the probability goes to what the shorter context says, and so on down to none.

    order 0   uniform: every token is as likely as any other
    order 1   unigram: how common each token is
    order 2   bigram: which token follows which
    order n   interpolated modified Kneser-Ney

Source: Chen and Goodman 1999, section 3.2; Kneser and Ney 1995 (a shorter context counts how many different tokens stood
before what it predicts, not how often)
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inkwright import interrupt
from inkwright.config import ModelConfig
from inkwright.errors import ModelError
from inkwright.model.base import LogitModel
from inkwright.model.cache import Cache, first_position
from inkwright.model.grams import count_grams, find

HIGHEST_ORDER = 9  # tried when the order is chosen
SLICE = 0.1  # of the training text, on which the order is chosen


class Table(NamedTuple):
    """What one order adds to the shorter context's prediction."""

    probs: Tensor
    """(grams,) share of its context that a gram keeps after the discount."""
    left: Tensor
    """(contexts,) share of a context that goes to the shorter one."""


class Counts(LogitModel):
    """An n-gram model: all the grams of a text, up to `ngram_order` tokens long, and how often each was seen.

    The grams of length k are the buffer `grams_k`, sorted: the place of the gram's first k - 1 tokens in `grams_(k-1)`,
    times V, plus its last token. `counts_k` says how often each was seen. All else is computed from these.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.order = config.ngram_order or 0
        for k in range(1, self.order + 1):
            self.register_buffer(f"grams_{k}", torch.empty(0, dtype=torch.int64))
            self.register_buffer(f"counts_{k}", torch.empty(0, dtype=torch.int64))
        self._tables: list[tuple[Table, Table]] = []

    def initialize(self, seed: int) -> None:
        """Nothing is known before counting."""

    def count(self, ids: np.ndarray) -> None:
        """Count the grams of a text, (N,) ids.

        Raises: Interrupted   a stop was asked for on the way
        """
        for k, (grams, counts) in enumerate(count_grams(ids, self.order, self.config.vocab_size), start=1):
            self._buffers[f"grams_{k}"] = torch.from_numpy(grams).to(self.device)
            self._buffers[f"counts_{k}"] = torch.from_numpy(counts).to(self.device)
        self._tables = []

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the sizes of tables that are about to be loaded.

        Raises: ModelError   they are not the counts of a text
        """
        contexts = 1
        for k in range(1, self.order + 1):
            grams, counts = tensors.get(f"grams_{k}"), tensors.get(f"counts_{k}")
            if grams is None or counts is None:
                raise ModelError(f"model.safetensors has no grams of {k} tokens")
            if not (grams.dtype == counts.dtype == torch.int64 and grams.shape == counts.shape and grams.ndim == 1):
                raise ModelError(f"model.safetensors: grams_{k} and counts_{k} are not two lists of the same length")
            outside = (grams < 0) | (grams >= contexts * self.config.vocab_size)
            if outside.any() or (counts < 1).any() or (grams.diff() < 1).any():
                raise ModelError(f"model.safetensors: grams_{k} are not the counts of a text")
            self._buffers[f"grams_{k}"], self._buffers[f"counts_{k}"] = (
                torch.empty_like(grams),
                torch.empty_like(counts),
            )
            contexts = len(grams)
        self._tables = []

    @property
    def device(self) -> torch.device:
        """Where its counts lie; a model of order 0 has none."""
        return next((buffer.device for buffer in self.buffers()), torch.device("cpu"))

    @property
    def parameter_count(self) -> int:
        """Counts that are stored."""
        return sum(len(self._grams(k)) for k in range(1, self.order + 1))

    def new_cache(self, batch_size: int = 1) -> Cache:
        """Holds the tokens themselves."""
        return Cache(1, batch_size, 1, self.config.block_size, 1, torch.empty(0, dtype=torch.int64, device=self.device))

    # ------------------------------------------------------------ predicting

    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """The logarithm of the probability of each next token.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """
        T = idx.shape[1]
        first_position(cache, T, self.config.block_size)
        if cache is not None:
            tokens = idx[:, None, :, None]
            idx = cache.extend(0, tokens, tokens)[0][:, 0, :, 0]
            cache.length += T
        probs = self._without_context().repeat(*idx[:, -T:].shape, 1)  # (B, T, V)
        contexts = self._contexts(idx)
        for k in range(2, self.order + 1):
            self._mix_in(probs, k, contexts[k - 1][:, -T:], self._all_there_is(idx, k)[:, -T:])
        return probs.log()

    def losses(self, idx: Tensor, targets: Tensor) -> Tensor:
        """The surprise at each target, nats, of every order up to this one: row k is what a model of order k says.

        Of any length: here the context is not limited to block_size.

        Shape: (B, T), (B, T) -> (orders, B, T)
        """
        probs = torch.full(idx.shape, 1 / self.config.vocab_size, device=idx.device)
        rows, contexts = [probs], self._contexts(idx)
        for k in range(1, self.order + 1):
            gram = self._find(k, contexts[k - 1], targets)
            seen, follows = (_mixed(table, contexts[k - 1], gram, probs) for table in self.tables[k - 1])
            rows.append(seen)
            probs = torch.where(self._all_there_is(idx, k), seen, follows)
        return -torch.stack(rows).log()

    def _contexts(self, idx: Tensor) -> list[Tensor]:
        """For each length below the order: the place of the gram that ends at each position, (B, T); -1: never seen."""
        places = [torch.zeros_like(idx)]  # the empty one is everywhere
        for k in range(1, self.order):
            before = places[-1] if k == 1 else F.pad(places[-1][:, :-1], (1, 0), value=-1)
            places.append(self._find(k, before, idx))
        return places

    def _find(self, k: int, contexts: Tensor, tokens: Tensor) -> Tensor:
        """The place in `grams_k` of each context (a place in `grams_(k-1)`) followed by a token; -1: never seen."""
        return find(self._grams(k), contexts, tokens, self.config.vocab_size)

    def _all_there_is(self, idx: Tensor, k: int) -> Tensor:
        """Where no order above k can say more, (B, T): the window begins there, or k is the highest."""
        positions = torch.arange(idx.shape[1], device=idx.device)
        return ((positions == k - 2) | (k == self.order)).expand_as(idx)

    def _without_context(self) -> Tensor:
        """What is predicted where nothing is known of the context, (V,)."""
        V = self.config.vocab_size
        probs = torch.full((V,), 1 / V, device=self.device)
        if self.order == 0:
            return probs
        table = self.tables[0][0 if self.order == 1 else 1]
        return (probs * table.left).index_add_(0, self._grams(1), table.probs)

    def _mix_in(self, probs: Tensor, k: int, contexts: Tensor, all_there_is: Tensor) -> None:
        """Change the predictions of the shorter contexts, (B, T, V), into those of order k."""
        V, grams, (seen, follows) = self.config.vocab_size, self._grams(k), self.tables[k - 1]
        known = contexts.flatten() >= 0
        context, whole = contexts.flatten()[known], all_there_is.flatten()[known]
        rows = probs.view(-1, V)[known] * torch.where(whole, seen.left[context], follows.left[context])[:, None]
        first = torch.searchsorted(grams, context * V)
        many = (
            torch.searchsorted(grams, (context + 1) * V) - first
        )  # the grams that begin with a context stand together
        row = torch.repeat_interleave(many)
        gram = torch.arange(len(row), device=row.device) + (first - (many.cumsum(0) - many))[row]
        share = torch.where(whole[row], seen.probs[gram], follows.probs[gram])
        rows.view(-1).index_add_(0, row * V + grams[gram] % V, share)
        probs.view(-1, V)[known] = rows

    # ------------------------------------------------------------ from counts to shares

    @property
    def tables(self) -> list[tuple[Table, Table]]:
        """For each length two tables: by how often a gram was seen, and by how many different tokens stood before it."""
        if not self._tables or self._tables[0][0].probs.device != self.device:
            self._tables = list(self._build_tables())
        return self._tables

    def _build_tables(self) -> Iterator[tuple[Table, Table]]:
        V, contexts = self.config.vocab_size, 1
        tails = torch.zeros(len(self._grams(1)), dtype=torch.int64, device=self.device)
        for k in range(1, self.order + 1):  # tails: of each gram, the place of all but its first token in grams_(k-1)
            interrupt.check()
            context = self._grams(k) // V
            seen = follows = _table(self.get_buffer(f"counts_{k}"), context, contexts)
            if k < self.order:
                longer = self._grams(k + 1)
                tails = self._find(k, tails[longer // V], longer % V)
                if (tails < 0).any():
                    raise ModelError(f"model.safetensors: grams_{k + 1} are not the counts of a text")
                follows = _table(torch.bincount(tails, minlength=len(context)), context, contexts)
            yield seen, follows
            contexts = len(context)

    def _grams(self, k: int) -> Tensor:
        return self.get_buffer(f"grams_{k}")


def _mixed(table: Table, context: Tensor, gram: Tensor, below: Tensor) -> Tensor:
    """The probability of a token: what its gram keeps, and its context's share of what the shorter context says."""
    kept = torch.where(gram >= 0, table.probs[gram], 0.0)
    return torch.where(context >= 0, kept + table.left[context] * below, below)


def _table(counts: Tensor, context: Tensor, contexts: int) -> Table:
    """Counts as shares of their contexts, after a discount that depends on how small a count is."""
    discount = torch.minimum(_discounts(counts)[counts.clamp(max=3)], counts)
    total = torch.bincount(context, counts.double(), minlength=contexts)
    left = torch.bincount(context, discount, minlength=contexts)
    probs = (counts - discount).div_(total[context].clamp_(min=1))
    return Table(probs.float(), torch.where(total > 0, left / total.clamp(min=1), 1.0).float())


def _discounts(counts: Tensor) -> Tensor:
    """What is taken off a count of 0, 1, 2, and 3 or more: as much as such counts shrink in another text.

    Source: Chen and Goodman 1999, equation 26; where a text is too small to tell, 0.5, 1 and 1.5
    """
    _, once, twice, thrice, fourfold, _ = torch.bincount(counts.clamp(max=5), minlength=6).tolist()
    if not (once and twice and thrice and fourfold):
        return torch.tensor([0.0, 0.5, 1.0, 1.5], dtype=torch.float64, device=counts.device)
    y = once / (once + 2 * twice)
    found = [1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * fourfold / thrice]
    found = [min(max(discount, 0.1), c - 0.1) for c, discount in enumerate(found, start=1)]
    return torch.tensor([0.0, *found], dtype=torch.float64, device=counts.device)


def choose_order(ids: np.ndarray, vocab_size: int) -> int:
    """The order that predicts the end of a training text best from what stands before it."""
    cut = len(ids) - max(1, int(len(ids) * SLICE))
    config = ModelConfig(model="counts", ngram_order=HIGHEST_ORDER, vocab_size=vocab_size)
    model = Counts(config)
    model.count(ids[:cut])
    rest = torch.from_numpy(ids[cut - 1 :].astype(np.int64))[None]
    means = model.losses(rest[:, :-1], rest[:, 1:]).mean((1, 2))
    return int(means.argmin())
