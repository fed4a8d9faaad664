"""A swift GPT and the counts of its text, mixed: what one has not learned, the other has seen. Knows no text and no files.

While it learns it is the GPT alone. When it predicts, each next token has the probability

    (1 - share) x what the GPT gives it + share x what the counts give it

The share is found on windows of the training text that the GPT never learns from, beside counts of all the other windows.
They are spread over the text: its end alone may be a play that begins there, whose names the GPT would never learn. When it
predicts anything else, the counts are those of the whole training text.

Source: Jelinek and Mercer 1980 (the share is found on text held out for it, by expectation maximisation)
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from inkwright import interrupt
from inkwright.config import ModelConfig, change
from inkwright.errors import ModelError
from inkwright.model.cache import Cache
from inkwright.model.counts import Counts
from inkwright.model.swift import GramCache, Swift

LONGER = 2  # tokens that the longest gram has more than that of counts alone: docs/diary.md
HELD_OUT, MOST_HELD_OUT = 33, 50_000  # of so many windows the share is found on one; not on more tokens than these
TOKENS_AT_ONCE = 4096
ROUNDS = 100  # of looking for the share; it settles in about 20


class Hybrid(Swift):
    """Token ids to the logarithm of the probability of each next token; in training, to the logits of the GPT."""

    share: Tensor
    """(1,) that of the counts."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(change(config, ngram_order=None))  # the order is for the counts
        self.config = config
        self.counts = Counts(change(config, model="counts"))
        self.register_buffer("share", torch.full((1,), 0.5))
        self._counted: Tensor | None = None  # probabilities of the held-out tokens: they are always the same

    def forward(self, idx: Tensor, cache: Cache | None = None) -> Tensor:
        """Log-probabilities of the token that follows each position; with a cache, `idx` follows what the cache holds.

        Shape: (B, T) -> (B, T, V)
        Raises: ContextOverflow   more tokens than block_size
        """
        T, logits = idx.shape[1], super().forward(idx, cache)
        if self.training:
            return logits
        if isinstance(cache, GramCache):
            idx = cache.tokens[:, max(0, cache.length - T + 1 - self.counts.order) : cache.length]
        learned, counted = logits.to(self.share.dtype).log_softmax(-1), self.counts(idx)[:, -T:]
        return torch.logaddexp((1 - self.share).log() + learned, self.share.log() + counted)

    def look_through(self, ids: np.ndarray) -> None:
        """Give rows to the grams of what the GPT learns from, and count the whole training text, (N,) ids.

        Raises: Interrupted   a stop was asked for on the way
        """
        super().look_through(self.learned_part(ids))
        self.counts.count(ids)

    def make_room(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the grams and the sizes of the counts of a model that is about to be loaded.

        Raises: ModelError   they are not those of a text
        """
        super().make_room(tensors)
        self.counts.make_room({name.removeprefix("counts."): tensor for name, tensor in tensors.items()})
        if not ((share := tensors.get("share", self.share)) >= 0).logical_and(share <= 1).all():
            raise ModelError(f"model.safetensors: share is {share.tolist()}, and must lie between 0 and 1")

    # ------------------------------------------------------------ how much to believe each

    def learned_part(self, ids: np.ndarray) -> np.ndarray:
        """The training text, (N,) ids, without the windows that the share is found on."""
        return ids[~self._held_out(len(ids))]

    def _held_out(self, N: int) -> np.ndarray:
        """Which of N tokens the share is found on, (N,) booleans: some whole windows, each with the token after it."""
        window, every = self.config.block_size + 1, max(HELD_OUT, N // MOST_HELD_OUT)
        held_out = np.arange(N) // window % every == every // 2
        return held_out & (np.arange(N) < N // window * window)

    def find_share(self, ids: np.ndarray) -> None:
        """Take the share that predicts the held-out windows of the training text, (N,) ids, best; a half where it has none.

        A function of the weights and the text alone, whatever the share was before.

        Raises: Interrupted   a stop was asked for on the way
        """
        held_out = self._held_out(len(ids))
        windows = torch.from_numpy(ids[held_out].astype(np.int64)).view(-1, self.config.block_size + 1)
        if not len(windows):
            return
        if self._counted is None:
            counts = Counts(self.counts.config).to(self.device)
            counts.count(ids[~held_out])
            self._counted = self._probabilities(counts, windows)
        was_training = self.training
        self.eval()
        learned = self._probabilities(super().forward, windows)
        self.train(was_training)
        self.share.fill_(best_share(learned, self._counted))

    @torch.no_grad()
    def _probabilities(self, predict: Callable[[Tensor], Tensor], windows: Tensor) -> Tensor:
        """What a part gives to each token but the first of some windows, (n, T + 1) ids -> (n T,)."""
        found = []
        for some in windows.split(max(1, TOKENS_AT_ONCE // windows.shape[1])):
            interrupt.check()
            probs = predict(some[:, :-1].to(self.device)).float().softmax(-1).cpu()
            found.append(probs.gather(-1, some[:, 1:, None]).flatten())
        return torch.cat(found)


def best_share(learned: Tensor, counted: Tensor) -> float:
    """The share of the counts with which a text is the least surprise, of the probabilities that both give to its tokens.

    Shape: (N,), (N,) -> ()
    """
    learned, counted = learned.double(), counted.double()
    share = 0.5
    for _ in range(ROUNDS):  # of each token, how likely it is that the counts wrote it
        wrote = share * counted
        share = (wrote / (wrote + (1 - share) * learned)).mean().item()
    return share
