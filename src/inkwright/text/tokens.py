"""A text as token ids on the disk: what trains, what validates, and a manifest that says of which text. Knows no model.

    tokens/3f9a0c11d2e4/
    ├── train.npy         (N,) the smallest unsigned integers that hold the vocabulary
    ├── val.npy
    └── manifest.json     fingerprint of the text, hash of the tokenizer, counts, ids that never occur in train.npy

The folder is named after its content, published whole, and never written again.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from inkwright import interrupt, storage
from inkwright.errors import DamagedError
from inkwright.text.corpus import Corpus, Piece, Split
from inkwright.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Tokens:
    """One text in tokens, memory-mapped."""

    train: np.ndarray
    """(N,) ids that train."""
    val: np.ndarray
    """(M,) ids that validate."""
    facts: dict[str, Any]
    """What the manifest says."""

    @property
    def unseen(self) -> list[int]:
        """Ids that never occur in the training part; a model knows nothing of them and should not write them."""
        return self.facts["unseen"]


def encode_pieces(pieces: Sequence[Piece], tokenizer: Tokenizer, separate: bool) -> np.ndarray:
    """The ids of some pieces one after another, `(N,)`; with `separate`, <|endoftext|> stands before each document."""
    parts: list[np.ndarray] = []
    for piece in pieces:
        interrupt.check()
        if separate and piece.starts_document and tokenizer.end_id is not None:
            parts.append(np.array([tokenizer.end_id], tokenizer.dtype))
        parts.append(tokenizer.encode(piece.text))
    return np.concatenate(parts) if parts else np.empty(0, tokenizer.dtype)


def write(parent: Path, corpus: Corpus, split: Split, tokenizer: Tokenizer, settings: dict[str, Any]) -> Path:
    """Tokenize a split text into a new folder under `parent`, or find it there whole; `settings` are the text's.

    Raises: SaveError
    """
    separate = len(corpus.documents) > 1
    ids = {
        "train": encode_pieces(split.train, tokenizer, separate),
        "val": encode_pieces(split.val, tokenizer, separate),
    }
    counts = np.bincount(ids["train"], minlength=tokenizer.vocab_size)
    facts = {
        "fingerprint": corpus.fingerprint,
        "tokenizer": tokenizer.sha256,
        "name": corpus.name,
        "sources": [{"name": s.name, "size": s.size, "sha256": s.sha256} for s in corpus.sources],
        "documents": len(corpus.documents),
        "settings": settings,
        "unseen": np.flatnonzero(counts == 0).tolist(),
        "train": size(ids["train"], split.train, tokenizer),
        "val": size(ids["val"], split.val, tokenizer),
    }
    content = hashlib.sha256(b"".join(part.tobytes() for part in ids.values()))
    content.update(repr(sorted(facts.items())).encode())
    folder = parent / content.hexdigest()[:12]
    with contextlib.suppress(DamagedError):
        storage.verify(folder)
        return folder
    storage.require_space(parent, sum(part.nbytes for part in ids.values()))
    storage.publish(folder, {f"{name}.npy": partial(_save_array, part) for name, part in ids.items()}, facts)
    storage.sweep(parent, ".damaged-")
    return folder


def read(folder: Path) -> Tokens:
    """The tokens in a folder, memory-mapped once every byte was checked.

    Raises: DamagedError
    """
    facts = storage.verify(folder)
    try:
        train, val = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in ("train", "val"))
    except ValueError:  # its manifest was made to fit by hand
        raise DamagedError(f"{folder.name} is damaged (its arrays are not arrays of numbers)") from None
    return Tokens(train, val, facts)


def size(ids: np.ndarray, pieces: Sequence[Piece], tokenizer: Tokenizer) -> dict[str, int]:
    """How much text the ids spell; the first token is never scored, because nothing precedes it."""
    first = ids[:1].tolist()
    unscored = b"" if first == [tokenizer.end_id] else b"".join(tokenizer.token_bytes[i] for i in first)
    return {
        "tokens": len(ids),
        "characters": sum(len(piece.text) for piece in pieces),
        "bytes": sum(len(piece.text.encode()) for piece in pieces),
        "unscored_characters": len(unscored.decode(errors="ignore")),
        "unscored_bytes": len(unscored),
    }


def scored_characters(size: dict[str, int]) -> int:
    """The characters that scored tokens spell: all but those of the first token."""
    return size["characters"] - size["unscored_characters"]


def _save_array(array: np.ndarray, file: BinaryIO) -> None:
    np.lib.format.write_array(file, array, allow_pickle=False)
