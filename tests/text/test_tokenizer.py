"""Any text becomes ids and the same text again, and every other program that reads tokenizer.json agrees."""

import functools
import itertools
import json

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from inkwright.config import TextConfig
from inkwright.errors import ModelError, TextError
from inkwright.text import tokenizer as module
from inkwright.text.tokenizer import END_OF_TEXT, Tokenizer, _word_chunks, name_characters

TRAINED_ON = "The quick brown fox doesn't jump.\n\nIt's 1999; the DOG did!\n\tNaïve café — so be it.\n" * 3
KINDS = ["char", "byte", "bpe"]
HOSTILE = [
    "", " ", "  a  b ", "\n\n\r\n\t", "a\u00a0b", "é", "e\u0301", "中文", "👩‍👩‍👧", "<|endoftext|>", "a<|endoftext|>b",
    "<0x41>", "Ġ", "\ufeff", "\u0000", "don't", "\u2028x\u0085y", "\U0010ffff",
]  # fmt: skip
texts = st.one_of(st.text(), st.text(alphabet="The do's 1.\n<|endtx>"), st.sampled_from(HOSTILE))


@functools.cache
def of(kind: str) -> Tokenizer:
    """A tokenizer of each kind; those that learn have read TRAINED_ON."""
    if kind == "bare":
        return Tokenizer.fit(TextConfig(alphabet="bare"), [TRAINED_ON])
    return Tokenizer.fit(TextConfig(tokenizer=kind, vocab_size=300), [TRAINED_ON])


# ---------------------------------------------------------------- exactness


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
@example("".join(HOSTILE))
def test_any_text_comes_back_exactly(kind: str, text: str) -> None:
    ids = of(kind).encode(text)
    assert of(kind).decode(ids) == text
    assert ids.ndim == 1 and ids.dtype == of(kind).dtype and (ids < of(kind).vocab_size).all()


@given(text=st.text(alphabet=sorted(set(TRAINED_ON))))
def test_a_bare_alphabet_gives_back_any_text_of_its_own(text: str) -> None:
    ids = of("bare").encode(text)
    assert of("bare").decode(ids) == text and len(ids) == len(text)


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_the_letters_of_endoftext_are_plain_characters(kind: str, text: str) -> None:
    assert of(kind).end_id is not None
    assert of(kind).end_id not in of(kind).encode(text + END_OF_TEXT + text)


@pytest.mark.parametrize("kind", [*KINDS, "bare"])
def test_a_long_text_is_cut_nowhere_that_shows(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = of(kind).encode(TRAINED_ON)
    monkeypatch.setattr(module, "CHUNK", 3)
    assert np.array_equal(of(kind).encode(TRAINED_ON), whole)


@given(text=st.text(alphabet=st.sampled_from("ab1.'\n\n\n \t\r\u00a0\u0085\u001c\u2028é"), max_size=40) | st.text())
@pytest.mark.parametrize("size", [1, 2, 5])
def test_bpe_cuts_a_long_text_only_where_no_id_changes(size: int, text: str) -> None:
    chunks = list(_word_chunks(text, size))
    assert "".join(chunks) == text and all(chunks)
    backend = of("bpe").backend
    ids = [token_id for chunk in chunks for token_id in backend.encode(chunk, add_special_tokens=False).ids]
    assert ids == backend.encode(text, add_special_tokens=False).ids


def test_bpe_does_cut_a_long_text() -> None:
    assert list(_word_chunks("one\ntwo\n\nthree\nfour\n five\nsix", 3)) == [
        "one\n",
        "two\n\nthree\n",
        "four\n five\n",
        "six",
    ]


# ---------------------------------------------------------------- what an id is


def test_a_bare_alphabet_is_the_sorted_characters_of_shakespeare(shakespeare) -> None:
    text = shakespeare.read_text(encoding="utf-8")
    bare = Tokenizer.fit(TextConfig(alphabet="bare"), [text[:-1000]], [text[-1000:]])
    assert [bare.decode([i]) for i in range(bare.vocab_size)] == sorted(set(text))
    assert bare.encode("hellooo").tolist() == [46, 43, 50, 50, 53, 53, 53]  # as the lecture prints it
    assert (bare.vocab_size, bare.end_id) == (65, None)


def test_a_bare_alphabet_knows_the_validation_text_too_and_an_open_one_does_not() -> None:
    assert Tokenizer.fit(TextConfig(alphabet="bare"), ["ab"], ["bc"]).vocab_size == 3
    opened = Tokenizer.fit(TextConfig(), ["ab"], ["bc"])
    assert opened.unknown("abc") == ["c"] and opened.vocab_size == 2 + 1 + 256


def test_an_open_alphabet_is_the_characters_then_endoftext_then_bytes() -> None:
    char = Tokenizer.fit(TextConfig(), ["hello"])
    assert char.encode("hello").tolist() == [1, 0, 2, 2, 3]
    assert char.end_id == 4 and char.decode([4]) == END_OF_TEXT
    assert char.encode("hé").tolist() == [1, 5 + 0xC3, 5 + 0xA9]
    assert char.encode("中").tolist() == [5 + byte for byte in "中".encode()]


def test_bytes_are_their_own_ids() -> None:
    assert of("byte").encode("aé").tolist() == [0x61, 0xC3, 0xA9]
    assert (of("byte").vocab_size, of("byte").end_id) == (257, 256)


@pytest.mark.parametrize(("text", "vocab_size"), [("hello there", 257), ("abc", 1024), (TRAINED_ON, 258)])
def test_bpe_that_found_little_or_nothing_to_merge_is_exact_all_the_same(text: str, vocab_size: int) -> None:
    tok = Tokenizer.fit(TextConfig(tokenizer="bpe", vocab_size=vocab_size), [text])
    assert tok.decode(tok.encode(text + "é")) == text + "é"
    assert tok.encode(text).tolist() == tokenizers.Tokenizer.from_str(tok.to_json()).encode(text).ids


def test_bpe_has_the_size_asked_for_and_endoftext_last() -> None:
    assert (of("bpe").vocab_size, of("bpe").end_id) == (300, 299)
    assert len(of("bpe").encode(TRAINED_ON)) < 0.7 * len(TRAINED_ON.encode())


@pytest.mark.parametrize("kind", [*KINDS, "bare"])
def test_the_bytes_of_the_tokens_joined_are_the_text(kind: str) -> None:
    tok = of(kind)
    assert len(tok.token_bytes) == tok.vocab_size
    assert b"".join(tok.token_bytes[i] for i in tok.encode(TRAINED_ON)) == TRAINED_ON.encode()


# ---------------------------------------------------------------- what cannot be encoded


@pytest.mark.parametrize("kind", [*KINDS, "bare"])
def test_a_lone_surrogate_is_refused_with_its_position(kind: str) -> None:
    with pytest.raises(TextError, match="position 2"):
        of(kind).encode("It\ud800")


def test_a_bare_alphabet_names_what_it_has_never_seen() -> None:
    with pytest.raises(TextError, match=r"'中' \(U\+4E2D\)") as caught:
        of("bare").encode("The 中")
    assert caught.value.hint is not None and f"knows {of('bare').vocab_size} characters" in caught.value.hint


def test_many_strangers_are_counted_and_a_few_are_named() -> None:
    assert name_characters("abcdefg").endswith("'e' (U+0065) and 2 more")
    assert name_characters("\n") == "'\\n' (U+000A)"


def test_only_an_alphabet_has_strangers() -> None:
    assert of("char").unknown("中 a b") == ["中"]
    assert of("bpe").unknown("中") == of("byte").unknown("中") == []


# ---------------------------------------------------------------- one at a time


@pytest.mark.parametrize("kind", [*KINDS, "bare"])
@given(data=st.data())
def test_a_stream_of_any_ids_says_what_the_whole_says(kind: str, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, of(kind).vocab_size - 1)))
    stream = of(kind).streamer()
    assert "".join(stream.push(i) for i in ids) + stream.finish() == of(kind).decode(ids)


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts.filter(lambda text: "\ufffd" not in text))
def test_a_stream_never_hands_out_half_a_character(kind: str, text: str) -> None:
    stream = of(kind).streamer()
    so_far = itertools.accumulate(stream.push(i) for i in of(kind).encode(text))
    assert all(text.startswith(part) for part in so_far) and stream.finish() == ""


def test_half_a_character_at_the_end_is_shown_as_one_mark() -> None:
    stream = of("byte").streamer()
    assert [stream.push(i) for i in "é".encode()[:1]] == [""] and stream.finish() == "\ufffd"


# ---------------------------------------------------------------- one file that others read too


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
def test_the_tokenizers_library_gives_the_same_ids(kind: str, text: str) -> None:
    library = tokenizers.Tokenizer.from_str(of(kind).to_json())
    library.encode_special_tokens = True  # or it would read <|endoftext|> in a text as the end of it
    ids = library.encode(text, add_special_tokens=False).ids
    assert ids == of(kind).encode(text).tolist()
    assert library.decode(ids, skip_special_tokens=False) == text


@given(text=st.text(alphabet=sorted(set(TRAINED_ON))))
def test_the_tokenizers_library_gives_the_same_ids_for_a_bare_alphabet(text: str) -> None:
    library = tokenizers.Tokenizer.from_str(of("bare").to_json())
    assert library.encode(text).ids == of("bare").encode(text).tolist()
    assert library.decode(of("bare").encode(text)) == text


@pytest.mark.parametrize("kind", [*KINDS, "bare"])
def test_a_saved_tokenizer_is_the_same_tokenizer(kind: str) -> None:
    again = Tokenizer.from_json(of(kind).to_json())
    assert (again.kind, again.sha256, again.end_id) == (kind, of(kind).sha256, of(kind).end_id)
    text = TRAINED_ON + ("" if kind == "bare" else "中<|endoftext|>")
    assert np.array_equal(again.encode(text), of(kind).encode(text))


def test_two_trainings_of_bpe_on_the_same_text_are_the_same() -> None:
    again = Tokenizer.fit(TextConfig(tokenizer="bpe", vocab_size=300), [TRAINED_ON])
    assert again.sha256 == of("bpe").sha256


def word_level() -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))


def sentencepiece_like() -> tokenizers.Tokenizer:
    """BPE with bytes to fall back on, as Llama's: its words are longer than a character."""
    backend = tokenizers.Tokenizer(models.BPE(vocab={"a": 0, "b": 1, "ab": 2}, merges=[("a", "b")], byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return backend


def split_then_bytes() -> tokenizers.Tokenizer:
    """As Qwen's: a way of splitting words that is not GPT-2's."""
    backend = tokenizers.Tokenizer.from_str(of("bpe").to_json())
    split = pre_tokenizers.Split(tokenizers.Regex(r"\d|\D+"), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    return backend


def bytes_in_another_order() -> tokenizers.Tokenizer:
    """256 bytes as GPT-2 counts them: `!` is 0."""
    vocab = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return backend


FOREIGN = [word_level, sentencepiece_like, split_then_bytes, bytes_in_another_order]


@pytest.mark.parametrize("make", FOREIGN, ids=[make.__name__ for make in FOREIGN])
def test_a_tokenizer_of_another_kind_is_refused_or_read_as_its_library_reads_it(make) -> None:
    backend = make()
    try:
        ours = Tokenizer.from_json(backend.to_str())
    except ModelError:
        return
    for text in ["ab", "!a 12 é", "the dog"]:
        assert ours.encode(text).tolist() == backend.encode(text).ids
        assert ours.decode(ours.encode(text)) == text


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not json", '{"model": {"type": "BPE"}}', "\ufffd", "null"])
def test_garbage_is_no_tokenizer(text: str) -> None:
    with pytest.raises(ModelError, match=r"^tokenizer\.json cannot be read"):
        Tokenizer.from_json(text)


def test_the_literal_end_is_plain_text_after_loading_too() -> None:
    assert "encode_special_tokens" not in json.loads(of("char").to_json())
    again = Tokenizer.from_json(of("char").to_json())
    assert again.end_id not in again.encode(END_OF_TEXT)


# ---------------------------------------------------------------- growing


@pytest.mark.parametrize("kind", ["char", "bare"])
def test_a_grown_alphabet_keeps_every_old_id(kind: str) -> None:
    old = of(kind)
    new = old.grown(["中z", "é z"])
    assert new.kind == kind and new.end_id == old.end_id
    assert new.token_bytes[: old.vocab_size] == old.token_bytes
    strangers = [c for c in "z中" if c not in TRAINED_ON]
    assert [new.decode([i]) for i in range(old.vocab_size, new.vocab_size)] == sorted(strangers)
    assert new.decode(new.encode("中 z")) == "中 z" and len(new.encode("中 z")) == 3


@pytest.mark.parametrize("kind", [*KINDS, "bare"])
def test_nothing_grows_where_nothing_is_new(kind: str) -> None:
    assert of(kind).grown([TRAINED_ON]) is of(kind)


@pytest.mark.parametrize("kind", ["byte", "bpe"])
def test_bytes_spell_everything_and_need_not_grow(kind: str) -> None:
    assert of(kind).grown(["中"]) is of(kind)
