"""A text lies on the disk in tokens, whole, under the name of its content."""

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from inkwright.config import TextConfig
from inkwright.errors import DamagedError
from inkwright.model import build
from inkwright.text import corpus as corpora
from inkwright.text import tokens
from inkwright.text.corpus import Corpus, Document, Piece, Source, Split
from inkwright.text.tokenizer import Tokenizer
from inkwright.text.windows import Windows
from inkwright.train.loss import evaluate

CONFIG = TextConfig()


def corpus_of(*texts: str) -> Corpus:
    """A corpus with a document for each text."""
    documents = tuple(Document(f"{i}.txt", text) for i, text in enumerate(texts))
    sources = tuple(
        Source(d.name, len(d.text), hashlib.sha256(d.text.encode(errors="replace")).hexdigest()) for d in documents
    )
    return Corpus("made", documents, sources, ())


def written(parent: Path, corpus: Corpus, tokenizer: Tokenizer | None = None) -> Path:
    split = corpora.split(corpus, CONFIG)
    tokenizer = tokenizer or Tokenizer.fit(CONFIG, [piece.text for piece in split.train])
    return tokens.write(parent, corpus, split, tokenizer, {"split": "tail"})


def text_of(ids: np.ndarray, corpus: Corpus) -> str:
    split = corpora.split(corpus, CONFIG)
    return Tokenizer.fit(CONFIG, [piece.text for piece in split.train]).decode(ids)


def test_what_was_written_is_read_back(tmp_path: Path, tiny_text: str) -> None:
    corpus = corpus_of(tiny_text)
    found = tokens.read(written(tmp_path, corpus))
    cut = len(tiny_text) * 9 // 10
    assert text_of(found.train, corpus) == tiny_text[:cut]
    assert text_of(found.val, corpus) == tiny_text[cut:]
    assert found.train.dtype == np.uint16 and isinstance(found.train, np.memmap)
    assert found.facts["fingerprint"] == corpus.fingerprint and found.facts["documents"] == 1


def test_the_same_text_finds_its_folder_again_and_another_gets_its_own(tmp_path: Path, tiny_text: str) -> None:
    folder = written(tmp_path, corpus_of(tiny_text))
    before = (folder / "train.npy").stat()
    assert written(tmp_path, corpus_of(tiny_text)) == folder
    assert (folder / "train.npy").stat() == before  # found, not written again
    others = {
        written(tmp_path, corpus_of(tiny_text + "!")),
        written(tmp_path, corpus_of(tiny_text[:-1] + "!")),  # another validation text alone
        written(tmp_path, corpus_of(tiny_text), Tokenizer.fit(TextConfig(tokenizer="byte"), [])),
    }
    assert len(others | {folder}) == 4


def test_a_byte_changed_on_the_disk_is_noticed(tmp_path: Path, tiny_text: str) -> None:
    folder = written(tmp_path, corpus_of(tiny_text))
    with (folder / "val.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(DamagedError, match=r"val\.npy"):
        tokens.read(folder)


def test_unseen_are_exactly_the_ids_that_never_train(tmp_path: Path, tiny_text: str) -> None:
    found = tokens.read(written(tmp_path, corpus_of(tiny_text[:-1] + "中")))
    seen = set(found.train.tolist())
    assert set(found.unseen) | seen == set(range(len(seen) + 257)) and not set(found.unseen) & seen
    assert set(found.val.tolist()) & set(found.unseen)  # the bytes of 中


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_endoftext_stands_before_each_document_only_where_there_are_several(kind: str) -> None:
    tokenizer = Tokenizer.fit(TextConfig(tokenizer=kind, vocab_size=260), ["abc def"])
    pieces = [Piece("abc", True), Piece("de", True), Piece("f", False)]
    apart = tokens.encode_pieces(pieces, tokenizer, separate=True)
    end = [tokenizer.end_id]
    a, b, c = (tokenizer.encode(piece.text).tolist() for piece in pieces)
    assert apart.tolist() == [*end, *a, *end, *b, *c]  # none where the split cut inside a document
    assert tokens.encode_pieces(pieces, tokenizer, separate=False).tolist() == [*a, *b, *c]
    assert apart.dtype == tokenizer.dtype


def test_a_bare_alphabet_has_no_separator() -> None:
    bare = Tokenizer.fit(TextConfig(alphabet="bare"), ["ab"])
    assert tokens.encode_pieces([Piece("ab", True)] * 2, bare, separate=True).tolist() == [0, 1, 0, 1]


def test_several_documents_are_separated_on_the_disk_and_one_is_not(tmp_path: Path, tiny_text: str) -> None:
    one = tokens.read(written(tmp_path, corpus_of(tiny_text)))
    three = tokens.read(written(tmp_path, corpus_of(tiny_text[:8000], tiny_text[8000:9000], tiny_text[9000:])))
    assert text_of(one.train, corpus_of(tiny_text)).count("<|endoftext|>") == 0
    assert text_of(three.train, corpus_of(tiny_text)).count("<|endoftext|>") == 3
    assert text_of(three.val, corpus_of(tiny_text)).count("<|endoftext|>") == 0  # its document began before the cut


def test_nothing_at_all_is_no_ids() -> None:
    assert tokens.encode_pieces([], Tokenizer.fit(CONFIG, ["a"]), separate=True).shape == (0,)


@pytest.mark.parametrize(
    ("kind", "text", "separate", "expected"),
    [
        ("char", "éab", False, (3, 3, 4, 1, 2)),
        ("byte", "éab", False, (4, 3, 4, 0, 1)),  # the first token is half of é
        ("byte", "aéb", False, (4, 3, 4, 1, 1)),
        ("char", "éab", True, (4, 3, 4, 0, 0)),  # the first token is <|endoftext|>, which spells nothing
        ("char", "中ab", False, (5, 3, 5, 0, 1)),  # never seen: spelled in bytes
    ],
)
def test_sizes_count_tokens_characters_and_bytes(
    kind: str, text: str, separate: bool, expected: tuple[int, ...]
) -> None:
    tokenizer = Tokenizer.fit(TextConfig(tokenizer=kind), ["éab"])
    pieces = [Piece(text, True)]
    found = tokens.size(tokens.encode_pieces(pieces, tokenizer, separate), pieces, tokenizer)
    assert tuple(found.values()) == expected
    assert [*found] == ["tokens", "characters", "bytes", "unscored_characters", "unscored_bytes"]


def test_with_a_character_tokenizer_bits_per_character_are_the_loss_in_bits(tmp_path, tiny_text, tiny_config) -> None:
    corpus = corpus_of(tiny_text)
    found = tokens.read(written(tmp_path, corpus))
    size = found.facts["val"]
    model = build(tiny_config("classic", vocab_size=300), 0)
    evaluation = evaluate(model, Windows(found.val, 16))
    assert evaluation.tokens == size["tokens"] - 1 == size["characters"] - size["unscored_characters"]
    bits = evaluation.bits_per(size["characters"] - size["unscored_characters"])
    assert bits == pytest.approx(evaluation.loss / math.log(2))


def test_writing_is_split_blind_to_an_empty_validation_text(tmp_path: Path) -> None:
    split = Split((Piece("abcabc", True),), ())
    tokenizer = Tokenizer.fit(CONFIG, ["abc"])
    found = tokens.read(tokens.write(tmp_path, corpus_of("abcabc"), split, tokenizer, {}))
    assert len(found.val) == 0 and found.facts["val"]["tokens"] == 0
