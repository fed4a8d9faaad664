"""What is odd about a text, before anything is trained on it. Knows texts and their split, no tokens and no models."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from inkwright.config import TextConfig, change
from inkwright.errors import InkwrightError, TextError
from inkwright.text.corpus import Corpus, Note, Piece, Split, blocks, split, survey

MIN_CHARACTERS = 100
TINY_CHARACTERS = 10_000  # below, a model learns the text by heart
MAX_ALPHABET = 20_000  # above, a character model is mostly its embedding table
LINE_CHARACTERS = 20  # shorter lines (`Enter HAMLET`) repeat in honest texts
MIN_LEAK_SHARE = 0.05
MIN_REPEAT_SHARE = 0.20
UNUSUAL = 10
CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Finding:
    """One thing to say about a text; an error forbids training and has an exit code, a note has 0."""

    level: Literal["error", "note"]
    message: str
    hint: str | None = None
    exit_code: int = 0


@dataclass(frozen=True)
class Report:
    """All that was found, errors first; the summary is None where there was no text to look at."""

    findings: tuple[Finding, ...]
    summary: dict[str, Any] | None

    @property
    def exit_code(self) -> int:
        """The code of the first error; 0 if there are only notes."""
        return next((finding.exit_code for finding in self.findings if finding.level == "error"), 0)


def examine(corpus: Corpus, split: Split, config: TextConfig) -> tuple[Note, ...]:
    """What is odd about a text that can be trained on, most important last.

    Raises: TextError   the first thing that forbids training
    """
    for error in _blank(corpus):
        raise error
    facts = _measure(split)
    for error in _errors(facts, config):
        raise error
    return (*corpus.notes, *_notes(corpus, facts, config))


def summary(corpus: Corpus, split: Split) -> dict[str, Any]:
    """Facts about a text, ready for JSON."""
    return _summary(corpus, _measure(split))


def findings(texts: Sequence[str], config: TextConfig) -> Report:
    """Every check of a text, not only the first that fails. Raises no InkwrightError: errors are findings too."""
    errors: list[InkwrightError] = []
    try:
        corpus, errors = survey(texts, config)
        validation, more_errors = survey([config.val], config) if config.val else (None, [])
    except InkwrightError as error:  # no text, or settings that hold for none
        return _report([*errors, error], (), None)
    errors += more_errors
    if not corpus.documents or (validation is not None and not validation.documents):
        return _report(errors, corpus.notes, None)
    try:
        parts = split(corpus, config, validation)
    except TextError as error:
        errors.append(error)
        parts = split(corpus, change(config, split="tail"))  # so that the other checks can be made
    facts = _measure(parts)
    errors += _blank(corpus) or list(_errors(facts, config))
    notes = (*corpus.notes, *(validation.notes if validation else ()), *_notes(corpus, facts, config))
    return _report(errors, notes, _summary(corpus, facts))


def _report(errors: Sequence[InkwrightError], notes: Sequence[Note], facts: dict[str, Any] | None) -> Report:
    told = [Finding("error", error.message, error.hint, error.exit_code) for error in errors]
    return Report((*told, *(Finding("note", note.message, note.hint) for note in notes)), facts)


# ---------------------------------------------------------------- judging


def _blank(corpus: Corpus) -> list[TextError]:
    """Too little text to split and to measure."""
    size = corpus.characters
    name = corpus.documents[0].name if len(corpus.documents) == 1 else corpus.name
    need = f"({size:,} characters); training needs at least {MIN_CHARACTERS}"
    if size == 0:
        return [TextError(f"{name} is empty {need}")]
    if all(document.text == "" or document.text.isspace() for document in corpus.documents):
        return [TextError(f"{name} is only whitespace {need}")]
    return [TextError(f"{name} is too short {need}")] if size < MIN_CHARACTERS else []


def _errors(facts: "_Facts", config: TextConfig) -> Iterator[TextError]:
    if facts.train_characters == 0:
        yield TextError("nothing is left to train on", "a smaller --val-fraction")
    if facts.val_characters == 0:
        yield TextError("the validation part is empty (0 characters)", "a larger --val-fraction, or another --val")
    if config.tokenizer == "char" and facts.alphabet_size > MAX_ALPHABET:
        message = f"{facts.alphabet_size:,} different characters; a character model would be mostly embedding table"
        yield TextError(message, "--tokenizer bpe")


def _notes(corpus: Corpus, facts: "_Facts", config: TextConfig) -> Iterator[Note]:
    to_train = corpus.characters * config.train_fraction
    held_out = facts.train_characters < to_train  # otherwise the validation text is one of its own
    if config.split == "tail" and held_out and sum(bool(document.text) for document in corpus.documents) > 1:
        yield Note("the validation part is the end of the last file(s) only", "--split documents spreads it")
    if facts.val_only:
        verb = "character stands" if facts.val_only == 1 else "different characters stand"
        yield Note(f"{facts.val_only:,} {verb} only in the validation part")
    if facts.repeat_share >= MIN_REPEAT_SHARE:
        yield Note(
            f"{facts.repeat_share:.0%} of the lines are repeats of another", "remove copies: they count as new text"
        )
    if facts.leak_share >= MIN_LEAK_SHARE:
        message = f"{facts.leak_share:.0%} of the validation part also occurs in the training part"
        yield Note(message, "the validation loss will look better than it is")
    if corpus.characters < TINY_CHARACTERS:
        yield Note(
            f"{corpus.characters:,} characters are few: expect a model that memorises", "add text, if there is more"
        )


def _summary(corpus: Corpus, facts: "_Facts") -> dict[str, Any]:
    return {
        "name": corpus.name,
        "fingerprint": corpus.fingerprint,
        "characters": corpus.characters,
        "bytes": sum(source.size for source in corpus.sources),
        "documents": len(corpus.documents),
        "lines": sum(_line_count(document.text) for document in corpus.documents),
        "distinct_characters": facts.alphabet_size,
        "unusual_characters": facts.unusual,
        "train_characters": facts.train_characters,
        "val_characters": facts.val_characters,
        "repeated_line_share": round(facts.repeat_share, 4),
        "leak_share": round(facts.leak_share, 4),
    }


def _line_count(text: str) -> int:
    return text.count("\n") + bool(text and not text.endswith("\n"))


# ---------------------------------------------------------------- measuring


@dataclass(frozen=True)
class _Facts:
    """What one pass over a split tells; shares are of the lines of at least 20 characters."""

    train_characters: int
    val_characters: int
    alphabet_size: int
    val_only: int  # different characters that stand only in the validation part
    unusual: list[dict[str, Any]]
    repeat_share: float
    leak_share: float


def _measure(split: Split) -> _Facts:
    train, val = _character_counts(split.train), _character_counts(split.val)
    repeat_share, leak_share = _line_shares(split)
    return _Facts(
        train_characters=int(train.sum()),
        val_characters=int(val.sum()),
        alphabet_size=int(np.count_nonzero(train + val)),
        val_only=int(np.count_nonzero((val > 0) & (train == 0))),
        unusual=_unusual(train + val),
        repeat_share=repeat_share,
        leak_share=leak_share,
    )


def _character_counts(pieces: Sequence[Piece]) -> np.ndarray:
    """How often each code point occurs."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for piece in pieces:
        for block in blocks(piece.text):
            found = np.bincount(np.frombuffer(block.encode("utf-32-le", "surrogatepass"), np.uint32))
            counts[: len(found)] += found
    return counts


def _unusual(counts: np.ndarray) -> list[dict[str, Any]]:
    """The rarest characters, the rarest first."""
    present = np.flatnonzero(counts)
    rarest = present[np.argsort(counts[present], kind="stable")][:UNUSUAL]
    return [
        {"character": chr(code), "name": unicodedata.name(chr(code), f"U+{code:04X}"), "count": int(counts[code])}
        for code in rarest.tolist()
    ]


def _line_shares(split: Split) -> tuple[float, float]:
    """(share of lines that repeat an earlier one, share of validation lines that also stand in the training part)."""
    lines = val_lines = leaked = 0
    train_seen: set[int] = set()
    val_seen: set[int] = set()
    for line in _line_hashes(split.train):
        lines += 1
        train_seen.add(line)
    for line in _line_hashes(split.val):
        val_lines += 1
        leaked += line in train_seen
        val_seen.add(line)
    distinct = len(train_seen | val_seen)
    return 1 - distinct / max(1, lines + val_lines) if distinct else 0.0, leaked / max(1, val_lines)


def _line_hashes(pieces: Sequence[Piece]) -> Iterator[int]:
    """64 bits for each line that is long enough to matter: the lines themselves would weigh more than the text."""
    for piece in pieces:
        for block in blocks(piece.text):
            for line in block.split("\n"):
                if len(line) >= LINE_CHARACTERS and len(stripped := line.strip()) >= LINE_CHARACTERS:
                    yield hash(stripped)
