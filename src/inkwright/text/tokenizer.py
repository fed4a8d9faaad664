"""Text to token ids and back, exactly. Knows no model; a tokenizer is one file, tokenizer.json, that others read too."""

import codecs
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

from inkwright import interrupt
from inkwright.config import TextConfig
from inkwright.errors import ModelError, TextError, quoted

END_OF_TEXT = "<|endoftext|>"
Kind = Literal["char", "bare", "byte", "bpe"]
CHUNK = 1 << 20  # characters encoded at once


class Tokenizer:
    """Cuts text into tokens and joins them again: `decode(encode(text)) == text` for any text it accepts.

    char   the characters of the training text in order, then <|endoftext|>, then 256 bytes that spell any other character
    bare   the characters of the text and nothing else, as in the lecture; it refuses any other character
    byte   256 bytes, then <|endoftext|>
    bpe    byte-pair encoding with GPT-2's way of splitting words, trained on the text; <|endoftext|> comes last

    <|endoftext|> separates documents. It is one id that no text can spell: those letters in a text are plain characters.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.backend.encode_special_tokens = True  # is not saved in the file, so it is set here, for every tokenizer
        self.kind: Kind = _kind(backend)
        self.vocab_size: int = backend.get_vocab_size()
        self.end_id: int | None = backend.token_to_id(END_OF_TEXT)
        self.dtype = np.min_scalar_type(self.vocab_size - 1)

    # ------------------------------------------------------------ making one

    @classmethod
    def fit(cls, config: TextConfig, train: Iterable[str], val: Iterable[str] = ()) -> "Tokenizer":
        """The tokenizer that `config` asks for, learned from the training texts (a bare alphabet also from `val`)."""
        if config.tokenizer == "byte":
            return cls(_byte_level(models.BPE(vocab=_byte_vocab(), merges=[]), use_regex=False))
        if config.tokenizer == "bpe":
            return cls(_train_bpe(train, config.vocab_size))
        alphabet = set().union(*train)
        if config.alphabet == "bare":
            alphabet = alphabet.union(*val)
            return cls(_characters(sorted(alphabet), byte_fallback=False))
        return cls(_characters([*sorted(alphabet), END_OF_TEXT, *_byte_names()], byte_fallback=True))

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """The tokenizer saved in a tokenizer.json.

        Raises: ModelError   it is not a tokenizer.json, or of a kind that is not ours
        """
        try:
            return cls(tokenizers.Tokenizer.from_str(text))
        except ModelError:
            raise
        except Exception as error:  # the library raises bare Exception
            raise ModelError(f"tokenizer.json cannot be read: {quoted(error)}") from None

    def to_json(self) -> str:
        """What tokenizer.json holds."""
        return self.backend.to_str(pretty=True)

    @cached_property
    def sha256(self) -> str:
        """Two tokenizers with the same hash give the same ids."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def grown(self, texts: Iterable[str]) -> "Tokenizer":
        """The same tokenizer with the new characters of `texts` added behind; every old id keeps its meaning.

        Only alphabets grow: bytes spell everything already, and a trained BPE stays as it was trained.
        """
        if self.kind not in ("char", "bare"):
            return self
        vocab = self.backend.get_vocab()
        old = sorted(vocab, key=vocab.__getitem__)
        new = sorted(set().union(*texts) - vocab.keys())
        return Tokenizer(_characters([*old, *new], byte_fallback=self.kind == "char")) if new else self

    # ------------------------------------------------------------ text -> ids

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, `(N,)`. Never <|endoftext|>: the caller puts that between documents.

        Raises: TextError   a lone surrogate; a character that a bare alphabet does not have
        """
        try:
            raw = text.encode()
        except UnicodeEncodeError as error:
            raise TextError(f"the text has bytes that are not UTF-8 (position {error.start})") from None
        if self.kind == "byte":
            return np.frombuffer(raw, np.uint8).astype(self.dtype)
        if self.kind == "bpe":
            parts = self.backend.encode_batch_fast(list(_word_chunks(text)), add_special_tokens=False)
            return np.concatenate([np.array(part.ids, self.dtype) for part in parts] or [np.empty(0, self.dtype)])
        chunks: list[np.ndarray] = []
        for start in range(0, len(text), CHUNK):
            if start:  # a prompt is short, and read where nothing waits for the stop
                interrupt.check()
            chunks.append(self._encode_characters(text[start : start + CHUNK]))
        return np.concatenate(chunks or [np.empty(0, self.dtype)])

    def unknown(self, text: str) -> list[str]:
        """The different characters of a text that have no id of their own here, in order; bytes may spell them."""
        return sorted(set(text) - self._alphabet) if self.kind in ("char", "bare") else []

    @cached_property
    def _alphabet(self) -> set[str]:
        return {token for token in self.backend.get_vocab() if len(token) == 1}

    @cached_property
    def _table(self) -> np.ndarray:
        """Code point -> id, -1 where there is none."""
        vocab = self.backend.get_vocab()
        table = np.full(0x110000, -1, np.int32)
        for char in self._alphabet:
            table[ord(char)] = vocab[char]
        return table

    def _encode_characters(self, text: str) -> np.ndarray:
        ids = self._table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
        strangers = np.flatnonzero(ids < 0)
        if len(strangers) == 0:
            return ids.astype(self.dtype)
        if self.kind == "bare":
            raise self._unknown_error(text)
        first_byte = self.backend.get_vocab()["<0x00>"]
        spelled = [np.frombuffer(text[i].encode(), np.uint8).astype(np.int32) + first_byte for i in strangers]
        parts: list[np.ndarray] = []
        at = 0
        for i, spelling in zip(strangers, spelled, strict=True):
            parts += [ids[at:i], spelling]
            at = i + 1
        return np.concatenate([*parts, ids[at:]]).astype(self.dtype)

    def _unknown_error(self, text: str) -> TextError:
        alphabet = "".join(sorted(self._alphabet))
        return TextError(
            f"this model has never seen: {name_characters(self.unknown(text))}",
            f"it knows {len(alphabet)} characters: {quoted(alphabet)}",
        )

    # ------------------------------------------------------------ ids -> text

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids. Bytes that are not UTF-8 come out as U+FFFD; <|endoftext|> as its letters."""
        return b"".join(self.token_bytes[int(i)] for i in ids).decode(errors="replace")

    def spell(self, ids: np.ndarray) -> bytes:
        """The bytes that some ids, (N,), stand for, as they are."""
        return b"".join(map(self.token_bytes.__getitem__, ids.tolist()))

    @cached_property
    def token_bytes(self) -> Sequence[bytes]:
        """What each id stands for; only the whole is sure to be UTF-8."""
        vocab = self.backend.get_vocab()
        spell = _byte_level_bytes if self.kind in ("byte", "bpe") else _character_bytes
        return [END_OF_TEXT.encode() if t == END_OF_TEXT else spell(t) for t in sorted(vocab, key=vocab.__getitem__)]

    def streamer(self) -> "StreamDecoder":
        """A decoder for ids that come one at a time."""
        return StreamDecoder(self.token_bytes)


class StreamDecoder:
    """Joins tokens as they come and never hands out half a character."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token_id: int) -> str:
        """The characters that this id completes, perhaps none."""
        return self._decoder.decode(self._token_bytes[token_id])

    def finish(self) -> str:
        """What an unfinished character at the end is shown as."""
        return self._decoder.decode(b"", final=True)


def name_characters(characters: Sequence[str], most: int = 5) -> str:
    """`'é' (U+00E9), '中' (U+4E2D)`, and how many more."""
    named = ", ".join(f"'{quoted(c)}' (U+{ord(c):04X})" for c in characters[:most])
    return named + (f" and {len(characters) - most:,} more" if len(characters) > most else "")


# ---------------------------------------------------------------- as the tokenizers library sees them


def _characters(tokens: Sequence[str], byte_fallback: bool) -> tokenizers.Tokenizer:
    """Every token a word of its own: byte-pair encoding with nothing to merge."""
    vocab = {token: i for i, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[], byte_fallback=byte_fallback))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])  # type: ignore[assignment]
    if END_OF_TEXT in vocab:
        backend.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return backend


def _byte_level(model: models.BPE, use_regex: bool) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)  # type: ignore[assignment]
    backend.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    backend.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return backend


def _train_bpe(texts: Iterable[str], vocab_size: int) -> tokenizers.Tokenizer:
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1, initial_alphabet=sorted(_spelling().values()), show_progress=False, special_tokens=[]
    )
    learner.train_from_iterator((chunk for text in texts for chunk in _word_chunks(text)), trainer)
    return _byte_level(learner.model, use_regex=True)  # type: ignore[arg-type]


def _kind(backend: tokenizers.Tokenizer) -> Kind:
    """Which of ours a loaded tokenizer is: its own structure says so, and any other is refused."""
    saved, vocab = json.loads(backend.to_str()), backend.get_vocab()
    model, splitter, words = saved["model"], saved["pre_tokenizer"], vocab.keys() - {END_OF_TEXT}
    if model["type"] == "BPE" and not saved["normalizer"] and sorted(vocab.values()) == list(range(len(vocab))):
        if splitter is None and not model["merges"]:
            spelled = set(_byte_names()) if model["byte_fallback"] else set()
            if spelled <= words and all(len(word) == 1 for word in words - spelled):
                return "char" if spelled else "bare"
        elif splitter and splitter["type"] == "ByteLevel" and not splitter["add_prefix_space"]:
            if splitter["use_regex"] and set().union(*words) <= _BYTES.keys():
                return "bpe"
            if vocab == _BYTES | {END_OF_TEXT: 256}:
                return "byte"
    raise ModelError(
        f"a {model['type']} tokenizer of this kind is not one Inkwright reads", "char, byte and GPT-2's BPE are"
    )


def _word_chunks(text: str, size: int = 1 << 16) -> Iterator[str]:
    """Pieces of a text that BPE encodes as it would the whole: cut only behind a lone line break between two words."""
    start = 0
    while start < len(text):
        end = start + size
        while 0 < (end := text.find("\n", end) + 1) < len(text) and (text[end].isspace() or text[end - 2].isspace()):
            pass
        end = end or len(text)
        yield text[start:end]
        start = end


def _byte_names() -> list[str]:
    return [f"<0x{byte:02X}>" for byte in range(256)]


def _character_bytes(token: str) -> bytes:
    return token.encode() if len(token) == 1 else bytes([int(token[3:5], 16)])


def _spelling() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte: itself where it is printable Latin-1, else the next letter from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + i) for i, byte in enumerate(others)}


def _byte_vocab() -> dict[str, int]:
    return {letter: byte for byte, letter in _spelling().items()}


_BYTES = _byte_vocab()


def _byte_level_bytes(token: str) -> bytes:
    return bytes(_BYTES[letter] for letter in token)
