"""The scale a loss is read against on one text: what guessing, counting and packing need for it. Knows no files.

A line is a record: `name` (uniform, unigram, bigram, ngram, gzip, xz), `loss` (nats per token of the validation text),
`bits_per_char`, and `order` (tokens in a gram, 0 for uniform; None for a packer).
"""

import lzma
import math
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from inkwright import interrupt
from inkwright.config import ModelConfig
from inkwright.model.counts import Counts, choose_order
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows

MOST_TOKENS = 10_000_000  # of a training text that are counted: the last ones
PART_BYTES = 250_000
MOST_BYTES = 8_000_000  # of it that a packer sees before what it is judged on
XZ_WINDOW = 1 << 23  # what xz looks back at most, bytes, by default

Line = dict[str, Any]


def baseline(
    train_ids: np.ndarray,
    val_ids: np.ndarray,
    tokenizer: Tokenizer,
    characters: int,
    block_size: int | None = None,
    ngram_order: int | None = None,
) -> list[Line]:
    """The scale of a split text, `(N,)` and `(M,)` ids: every line judged on the `characters` a model would be judged on.

    `block_size` cuts the context as a model's windows do (block@T); without it each token sees all before it. The order of
    the n-gram is chosen on the end of the training text unless it is given.

    Raises: Interrupted   a stop was asked for on the way
    """
    before = tokenizer.spell(train_ids)[-MOST_BYTES:]
    whole = before + tokenizer.spell(val_ids)
    with ThreadPoolExecutor(2) as others:  # packers let other threads work meanwhile
        packed = {
            name: [others.submit(_packed_bytes, raw, packer, len(whole)) for raw in (whole, before)]
            for name, packer in reversed(PACKERS.items())  # the slowest first
        }
        lines = _counted(train_ids, val_ids, tokenizer, block_size, ngram_order)
        for name in PACKERS:  # what it adds for the judged, when it has just packed all before
            with_it, without = (part.result() for part in packed[name])
            lines.append((name, (with_it - without) * 8 * math.log(2), None))
    tokens, per_char = len(val_ids) - 1, math.log(2) * characters
    return [
        {"name": name, "loss": float(total / tokens), "bits_per_char": float(total / per_char), "order": order}
        for name, total, order in lines
    ]


def _counted(
    train_ids: np.ndarray, val_ids: np.ndarray, tokenizer: Tokenizer, block_size: int | None, ngram_order: int | None
) -> list[tuple[str, float, int | None]]:
    """What guessing and counting need for the whole validation text, nats: (name, nats, order)."""
    counted = train_ids[-MOST_TOKENS:]
    order = choose_order(counted, tokenizer.vocab_size) if ngram_order is None else ngram_order
    interrupt.check()
    nats = ngram_nats(counted, val_ids, tokenizer.vocab_size, max(2, order), block_size)
    different = len(np.union1d(train_ids, val_ids))
    return [
        ("uniform", (len(val_ids) - 1) * math.log(different), 0),
        ("unigram", nats[1], 1),
        ("bigram", nats[2], 2),
        ("ngram", nats[order], order),
    ]


def title(line: Mapping[str, Any]) -> str:
    """What people call a line: `7-gram`."""
    return f"{line['order']}-gram" if line["name"] == "ngram" else line["name"]


def ngram_nats(
    train_ids: np.ndarray, val_ids: np.ndarray, vocab_size: int, order: int, block_size: int | None
) -> np.ndarray:
    """What the n-gram models of orders 0 to `order` need for all tokens of a text, nats, `(order + 1,)`."""
    model = Counts(ModelConfig(model="counts", ngram_order=order, vocab_size=vocab_size))
    model.count(train_ids)
    total = np.zeros(order + 1)
    for idx, targets in Windows(val_ids, block_size or len(val_ids) - 1).all(batch_size=64):
        interrupt.check()
        total += model.losses(idx, targets).double().sum((1, 2)).numpy()
    return total


def _gzip(size: int) -> Any:
    return zlib.compressobj()


def _xz(size: int) -> Any:
    """As it is by default, but takes memory for `size` bytes, not for all that it could look back at."""
    window = min(XZ_WINDOW, 1 << max(16, size.bit_length()))
    return lzma.LZMACompressor(filters=[{"id": lzma.FILTER_LZMA2, "preset": lzma.PRESET_DEFAULT, "dict_size": window}])


PACKERS: dict[str, Callable[[int], Any]] = {"gzip": _gzip, "xz": _xz}
"""What packs so many bytes, by its name."""


def _packed_bytes(raw: bytes, packer: Callable[[int], Any], most: int) -> int:
    """How few bytes are left, packed as if there were `most`. It is slow: in parts, so that a stop can be asked for."""
    size, packing = 0, packer(most)
    for start in range(0, len(raw), PART_BYTES):
        interrupt.check()
        size += len(packing.compress(raw[start : start + PART_BYTES]))
    return size + len(packing.flush())
