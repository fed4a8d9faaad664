"""The scale a loss is read against on one text: what guessing, counting and packing need for it. Prints nothing."""

import math
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from lzma import FORMAT_XZ, compress
from typing import Any

import numpy as np

from inkwright import interrupt
from inkwright.config import ModelConfig
from inkwright.model.counts import Counts, choose_order
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows

MOST_TOKENS = 10_000_000  # of a training text are counted: the last ones
MOST_PACKED = 8_000_000  # bytes of it that a packer sees before what it is judged on


@dataclass(frozen=True)
class Line:
    """One line of the scale."""

    name: str
    """uniform, unigram, bigram, ngram, gzip or xz."""
    loss: float
    """Nats per token of the validation text."""
    bits_per_char: float
    order: int | None
    """Tokens in a gram: 0 for uniform; None for a packer."""

    @property
    def title(self) -> str:
        """What people call it: `7-gram`."""
        return f"{self.order}-gram" if self.name == "ngram" else self.name

    def as_record(self) -> dict[str, Any]:
        """As it is kept in run.json."""
        return asdict(self)


def baseline(
    train_ids: np.ndarray,
    val_ids: np.ndarray,
    tokenizer: Tokenizer,
    val_size: dict[str, int],
    block_size: int | None = None,
    ngram_order: int | None = None,
) -> list[Line]:
    """The scale for a split text, `(N,)` and `(M,)` ids: every line is judged on what a model would be judged on.

    `block_size` cuts the context as a model's windows do (block@T); without it every token sees all before it. The n-gram's
    order is chosen on the end of the training text unless it is given.

    Raises: Interrupted   a stop was asked for on the way
    """
    tokens, characters = len(val_ids) - 1, val_size["characters"] - val_size["unscored_characters"]

    def line(name: str, nats: float, order: int | None) -> Line:
        return Line(name, nats / tokens, nats / math.log(2) / characters, order)

    different = len(np.union1d(np.unique(train_ids), np.unique(val_ids)))
    counted = train_ids[-MOST_TOKENS:]
    order = choose_order(counted, tokenizer.vocab_size) if ngram_order is None else ngram_order
    interrupt.check()
    nats = surprise(counted, val_ids, tokenizer.vocab_size, max(2, order), block_size)
    interrupt.check()
    before, judged = _bytes(tokenizer, train_ids)[-MOST_PACKED:], _bytes(tokenizer, val_ids)
    return [
        line("uniform", tokens * math.log(different), 0),
        line("unigram", nats[1], 1),
        line("bigram", nats[2], 2),
        line("ngram", nats[order], order),
        line("gzip", _packed_nats(before, judged, lambda data: zlib.compress(data, 9)), None),
        line("xz", _packed_nats(before, judged, lambda data: compress(data, FORMAT_XZ, preset=6)), None),
    ]


def surprise(
    train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int, order: int, block_size: int | None
) -> np.ndarray:
    """What the n-gram models of order 0 to `order` need for a text, nats for all its tokens, (order + 1,)."""
    model = Counts(ModelConfig(model="counts", ngram_order=order, vocab_size=vocab_size))
    model.count(train_ids)
    total = np.zeros(order + 1)
    for idx, targets in Windows(val_ids, block_size or len(val_ids) - 1).all(batch_size=64):
        interrupt.check()
        total += model.losses(idx, targets).double().sum((1, 2)).numpy()
    return total


def _bytes(tokenizer: Tokenizer, ids: np.ndarray) -> bytes:
    return b"".join(map(tokenizer.token_bytes.__getitem__, ids.tolist()))


def _packed_nats(before: bytes, judged: bytes, pack: Callable[[bytes], bytes]) -> float:
    """What a packer that has just packed `before` adds for `judged`, in nats."""
    return (len(pack(before + judged)) - len(pack(before))) * 8 * math.log(2)
