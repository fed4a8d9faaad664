"""Two models on the same text: which knows it better, and whether that is more than the luck of this text. Prints nothing.

Each model reads the text with its own tokenizer and its own context, so their tokens cannot be compared; bytes can. The
text is cut into a few long blocks, only where a token of both ends, and each block gives one difference. Long, because a
scene that suits one model goes on for pages, so that short blocks are no independent draws of such text and promise too
narrow an interval; few, because Student's t pays for that.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from inkwright import interrupt
from inkwright.config import TextConfig
from inkwright.errors import DamagedError, ModelError, TextError
from inkwright.language_model import LanguageModel
from inkwright.run.folder import Run
from inkwright.session.judging import held_out, run_of, unknown_note
from inkwright.text import corpus as corpora
from inkwright.text import tokens
from inkwright.text.corpus import Note, Piece
from inkwright.text.windows import Windows
from inkwright.train.loss import token_losses

BLOCKS, FEWEST_BLOCKS = 16, 8  # the fewest: of a text of so few tokens that their ends do not allow more
LONG_BLOCK_BYTES = 4096
"""Between a GPT and counts on tiny Shakespeare the standard error grew with the block up to here: from 0.0050 at 64 bytes
and 0.0080 at 1,024 to 0.0129 at 4,096 and 0.0147 at 8,192."""
PROBES, PROBE_BYTES = 100, 50  # pieces of the text that are looked for in what a model was trained on
MOST_SEEN = 0.1  # of them: some sentences stand in many texts
MOST_BYTES = 1e10  # of a text that anyone would fetch to settle a difference

Verdict = Literal["a", "b", "same", "open"]


@dataclass(frozen=True)
class Side:
    """One of the two."""

    folder: Path
    lm: LanguageModel


@dataclass(frozen=True)
class CommonText:
    """The text that both are judged on."""

    pieces: tuple[Piece, ...]
    separate: bool
    """Whether <|endoftext|> stands before each document."""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Score:
    """What one side needs for the text."""

    bits_per_byte: float
    stderr: float
    """As a sample of such text."""


@dataclass(frozen=True)
class Comparison:
    """Both scores, and their difference block by block."""

    a: Score
    b: Score
    difference: float
    """Bits per byte that b needs more than a: above 0, a is the better one."""
    low: float
    high: float
    """Where the difference lies on all such text, with 95 % confidence."""
    bytes: int
    blocks: int
    a_blocks: int
    """Those that a needs fewer bits for."""
    b_blocks: int

    @property
    def verdict(self) -> Verdict:
        """Which side is the better one; `same`: equal in every block; `open`: this text does not tell."""
        if self.a_blocks == self.b_blocks == 0:
            return "same"
        return "a" if self.low > 0 else "b" if self.high < 0 else "open"

    @property
    def short(self) -> bool:
        """Whether the blocks are so short that the interval may be too narrow."""
        return self.bytes / self.blocks < LONG_BLOCK_BYTES

    @property
    def needed_bytes(self) -> float | None:
        """About how much such text would tell a difference as large as this one; None where nobody has so much."""
        needed = self.bytes * ((self.high - self.low) / 2 / self.difference) ** 2 if self.difference else math.inf
        return needed if needed <= MOST_BYTES else None


# ---------------------------------------------------------------- the text


def common_text(a: Side, b: Side, texts: Sequence[str], config: TextConfig) -> CommonText:
    """The given text; or else what the run of `a` validates on, unless `b` was trained on it.

    Raises: ModelError   `a` has no such text, or `b` knows it; TextError   the given one cannot be read
    """
    if not texts:
        text = _held_out(a)
        if _share_seen(b, text) > MOST_SEEN:
            raise ModelError(f"{b.folder} was trained on what {a.folder} is judged on", _hint(a, b))
        return text
    corpus = corpora.read(texts, config)
    text = CommonText(tuple(Piece(document.text, True) for document in corpus.documents), len(corpus.documents) > 1)
    notes = [*corpus.notes]
    for side in (a, b):
        if (share := _share_seen(side, text)) > MOST_SEEN:
            notes.append(Note(f"{side.folder} was trained on {share:.0%} of this text: its score is memory, not skill"))
        if unknown := unknown_note(side.lm, [piece.text for piece in text.pieces]):
            notes.append(Note(f"{side.folder}: {unknown.message}"))
    return CommonText(text.pieces, text.separate, tuple(notes))


def _held_out(a: Side) -> CommonText:
    """What the run of `a` validates on, as text again."""
    try:
        ids = held_out(a.folder).ids
    except ModelError as error:
        raise type(error)(error.message, "inkwright compare A B TEXT") from None
    end_id = a.lm.tokenizer.end_id
    ends = np.flatnonzero(ids == end_id) if end_id is not None else np.empty(0, np.int64)
    pieces: list[Piece] = []
    for part in np.split(ids, ends):
        starts = len(part) > 0 and part[0] == end_id
        text = a.lm.tokenizer.spell(part[int(starts) :]).decode()
        pieces += [Piece(text, bool(starts))] if text else []
    return CommonText(tuple(pieces), len(ends) > 0)


def _hint(a: Side, b: Side) -> str:
    return f"give a text that neither has seen: inkwright compare {a.folder} {b.folder} TEXT"


def _share_seen(side: Side, text: CommonText) -> float:
    """The share of pieces of a text that stand, byte for byte, in what a model was trained on, as far as that is known."""
    raw = b"".join(piece.text.encode() for piece in text.pieces)
    if not raw:
        return 0.0
    starts = np.linspace(0, max(0, len(raw) - PROBE_BYTES), PROBES).astype(int).tolist()
    probes = {raw[start : start + PROBE_BYTES] for start in starts}
    left = set(probes)
    for stretch in _trained_on(side):
        left = {probe for probe in left if probe not in stretch}
    return 1 - len(left) / len(probes)


def _trained_on(side: Side) -> Iterator[bytes]:
    """What the run around a model, and those it started from, trained on, in stretches that overlap by a probe."""
    run = run_of(side.folder)
    while run is not None:
        for folder in sorted(run.folder.glob("tokens/*/manifest.json")):
            try:
                ids = tokens.read(folder.parent).train
            except DamagedError:  # it may not be readable any more, and the comparison is possible without
                continue
            for start in range(0, len(ids), 1 << 20):
                interrupt.check()
                yield side.lm.tokenizer.spell(ids[start : start + (1 << 20) + PROBE_BYTES])
        run = _earlier(run)


def _earlier(run: Run) -> Run | None:
    """The run that a run started from, where it is still there; its ids mean the same: an alphabet only grows."""
    base = run.record["from"]
    return run_of(Path(base)) if base else None


# ---------------------------------------------------------------- the comparison


def compare(a: Side, b: Side, text: CommonText) -> Comparison:
    """Judge both on the same bytes of a text.

    Raises: TextError   too short, or it has a character that a bare alphabet does not have
    """
    both_end = text.separate and a.lm.tokenizer.end_id is not None and b.lm.tokenizer.end_id is not None
    of_a, of_b = (_spell(side, text, both_end) for side in (a, b))
    total = int(of_a.ends[-1])
    first = max(int(of_a.ends[0]), int(of_b.ends[0]))  # the first token is never scored, and it may be longer for one
    common = np.intersect1d(of_a.ends, of_b.ends)
    common = common[common >= first]
    wanted = np.linspace(first, total, BLOCKS + 1)
    edges = np.unique(common[np.minimum(np.searchsorted(common, wanted), len(common) - 1)]) if len(common) else common
    if len(edges) <= FEWEST_BLOCKS:
        raise TextError(f"{total:,} bytes is too short to compare on", "a longer text")
    return _weigh(np.diff(of_a.bits_until(edges)), np.diff(of_b.bits_until(edges)), np.diff(edges))


@dataclass(frozen=True)
class _Spelled:
    """A text as one side reads it."""

    ends: np.ndarray
    """(N,) the byte after each token, rising; a token of no bytes has that of the one before."""
    bits: np.ndarray
    """(N,) the surprise of all tokens so far."""

    def bits_until(self, places: np.ndarray) -> np.ndarray:
        """The surprise of all tokens that end at a byte or before."""
        return self.bits[np.searchsorted(self.ends, places, side="right") - 1]


def _spell(side: Side, text: CommonText, count_ends: bool) -> _Spelled:
    tokenizer, model = side.lm.tokenizer, side.lm.model
    try:
        ids = tokens.encode_pieces(text.pieces, tokenizer, text.separate)
    except TextError as error:
        raise TextError(f"{side.folder}: {error.message}", error.hint) from None
    if len(ids) < 2:
        raise TextError(f"{len(ids)} token{'s' * (len(ids) != 1)} is too short to compare on", "a longer text")
    lengths = np.array([len(spelling) for spelling in tokenizer.token_bytes])
    if tokenizer.end_id is not None:
        lengths[tokenizer.end_id] = 0
    batches = token_losses(model, Windows(ids, model.config.block_size))
    bits = np.concatenate([[0.0], *(batch.flatten().double().numpy() / math.log(2) for batch in batches)])
    if not count_ends and tokenizer.end_id is not None:  # the other side could not say it
        bits[ids == tokenizer.end_id] = 0.0
    return _Spelled(np.cumsum(lengths[ids]), np.cumsum(bits))


def _weigh(bits_a: np.ndarray, bits_b: np.ndarray, sizes: np.ndarray) -> Comparison:
    """From the bits of each block, (n,), and its bytes to scores and an interval."""
    n, more = len(sizes), bits_b - bits_a
    difference, stderr = _rate(more, sizes)
    margin = t_quantile(n - 1) * stderr
    return Comparison(
        a=Score(*_rate(bits_a, sizes)),
        b=Score(*_rate(bits_b, sizes)),
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        bytes=int(sizes.sum()),
        blocks=n,
        a_blocks=int((more > 0).sum()),
        b_blocks=int((more < 0).sum()),
    )


def _rate(bits: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Bits per byte over all blocks, and its standard error; blocks of unequal size count by their bytes."""
    n, rate = len(sizes), bits.sum() / sizes.sum()
    residuals = bits - rate * sizes
    return float(rate), float(math.sqrt((residuals**2).sum() * n / (n - 1)) / sizes.sum())


def t_quantile(degrees: int) -> float:
    """Student's t below which 97.5 % lie; within 0.01 from 4 degrees of freedom on.

    Source: Abramowitz and Stegun 1964, 26.7.5
    """
    z = 1.959964  # what the normal distribution has there
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, start=1))
