"""Bytes become the very text that was written, or an error of one line."""

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import pickle
import resource
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkwright.config import TextConfig
from inkwright.errors import SettingError, TextError
from inkwright.text import corpus as corpora
from inkwright.text import reading
from inkwright.text.corpus import Corpus, read

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PROSE = "It was a dark and stormy night; the rain fell in torrents.\n" * 4
PACKERS = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
}
CONFIG = TextConfig()


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(*texts: str, **config: object) -> TextError:
    """The error that reading ends with."""
    with pytest.raises(TextError) as caught:
        read(texts, TextConfig(**config))  # type: ignore[arg-type]
    return caught.value


def write(path: str, content: str | bytes = PROSE) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def texts_of(corpus: Corpus) -> list[str]:
    return [document.text for document in corpus.documents]


def notes_of(corpus: Corpus) -> str:
    return "\n".join(note.message for note in corpus.notes)


# ---------------------------------------------------------------- standard input


@contextlib.contextmanager
def stdin_from(content: bytes, monkeypatch: pytest.MonkeyPatch):
    """A real pipe with something in it."""
    out, into = os.pipe()
    with os.fdopen(out) as pipe:
        os.write(into, content)
        os.close(into)
        monkeypatch.setattr(sys, "stdin", pipe)
        yield


def test_a_dash_reads_standard_input_packed_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (PROSE.encode(), gzip.compress(PROSE.encode())):
        with stdin_from(content, monkeypatch):
            corpus = read(["-"], CONFIG)
        assert (corpus.name, texts_of(corpus)) == ("stdin", [PROSE])
        assert corpus.sources[0].sha256 == hashlib.sha256(content).hexdigest()


def test_standard_input_that_is_empty_endless_or_a_terminal_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with stdin_from(b"", monkeypatch):
        assert refused("-").message == "standard input is empty (0 characters); training needs at least 100"
    with open("/dev/zero") as endless:
        monkeypatch.setattr(sys, "stdin", endless)
        assert refused("-", max_bytes=1000).message == "stdin makes the text larger than --max-bytes 1,000"
    master, slave = os.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        assert refused("-").hint == "cat input.txt | inkwright train -"
    os.close(master)


# ---------------------------------------------------------------- packed files, bombs, archives


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("named_as", ["packed", "plain"])
def test_packed_files_are_told_by_their_bytes_not_by_their_name(suffix: str, named_as: str) -> None:
    packed = PACKERS[suffix](PROSE.encode())
    corpus = read([write("book.txt" + (suffix if named_as == "packed" else ""), packed)], CONFIG)
    assert texts_of(corpus) == [PROSE]
    assert corpus.sources[0].size == len(packed)
    assert texts_of(read([write(f"plain{suffix}")], CONFIG)) == [PROSE]


def bomb(suffix: str, mebibytes: int) -> bytes:
    """Zeros, packed a mebibyte at a time."""
    file = io.BytesIO()
    opener = {".gz": gzip.open, ".xz": lzma.open, ".zst": zstd.open}[suffix]
    level = {} if suffix == ".zst" else {"compresslevel": 6} if suffix == ".gz" else {"preset": 0}
    with opener(file, "wb", **level) as packed:  # type: ignore[operator]
        for _ in range(mebibytes):
            packed.write(bytes(2**20))
    return file.getvalue()


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_stopped_at_16_mebibytes(suffix: str) -> None:
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write(f"corpus{suffix}", bomb(suffix, 60))
    error = refused(f"corpus{suffix}")
    assert error.message == f"corpus{suffix} grew past 200x its size; stopped at 16 MiB"
    assert "--max-bytes" in str(error.hint)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024
    assert grown < 200, "MiB"
    assert os.listdir() == [f"corpus{suffix}"]


@pytest.mark.parametrize("suffix", PACKERS)
def test_max_bytes_stops_a_packed_file_before_the_ratio_does(suffix: str) -> None:
    write(f"corpus{suffix}", bomb(suffix, 20))
    assert "larger than --max-bytes 1,000" in refused(f"corpus{suffix}", max_bytes=1000).message


def test_a_bomb_of_many_members_is_a_bomb_too() -> None:
    write("corpus.gz", gzip.compress(bytes(2**20)) * 40)
    assert "grew past 200x" in refused("corpus.gz").message


@pytest.mark.parametrize("outer", PACKERS)
@pytest.mark.parametrize("inner", PACKERS)
def test_a_file_that_is_packed_twice_is_refused(outer: str, inner: str) -> None:
    write("corpus", PACKERS[outer](PACKERS[inner](PROSE.encode())))
    assert refused("corpus").message == "corpus is packed twice; only one layer is opened"


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_packed_file_that_is_cut_off_is_refused(suffix: str) -> None:
    packed = PACKERS[suffix](os.urandom(3000).hex().encode())
    write("short", packed[: len(packed) // 2])
    assert refused("short").message == "short is cut off: it cannot be unpacked to its end"


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_damaged_packed_file_is_refused_or_gives_the_very_text(suffix: str) -> None:
    text = os.urandom(3000).hex()
    packed = PACKERS[suffix](text.encode())
    refusals = 0
    for place in range(6, len(packed), 97):
        write("wrong", packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :])
        try:
            assert texts_of(read(["wrong"], CONFIG)) == [
                text
            ]  # the header of a gzip file holds bytes that mean nothing
        except TextError:
            refusals += 1
    assert refusals > 25


def archive(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.txt", PROSE)
    elif kind == "tar":
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add("a.txt")
    return {"7z": b"7z\xbc\xaf\x27\x1c\x00\x04", "bzip2": bz2.compress(PROSE.encode())}.get(kind) or file.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "7z", "bzip2"])
@pytest.mark.parametrize("packed", [False, True], ids=["bare", "packed"])
def test_archives_are_told_by_their_content_and_not_opened(kind: str, packed: bool) -> None:
    write("a.txt")
    content = archive(kind)
    write("corpus.txt", gzip.compress(content) if packed else content)
    assert refused("corpus.txt").message == f"corpus.txt is a {kind} archive; archives are not opened; unpack it first"
    assert sorted(os.listdir()) == ["a.txt", "corpus.txt"]


def torch_like() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weights": bytes(1000)}))
    return file.getvalue()


def numpy_like() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(1000.0))
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [pickle.dumps(list(range(300))), numpy_like(), torch_like(), bytes(100), b"text\x00\x01" * 50]
)
def test_a_binary_file_is_not_text(content: bytes) -> None:
    error = refused(write("model.bin", content))
    assert error.message.endswith("% of the bytes are not text - is model.bin the right file?")


def test_a_binary_file_that_is_nearly_text_is_named_for_what_it_is() -> None:
    write("story.pkl", pickle.dumps(PROSE * 100))
    assert refused("story.pkl").message == "story.pkl is a pickle, not text"


# ---------------------------------------------------------------- encodings


OTHER = "--encoding NAME, if it is in another encoding"


@pytest.mark.parametrize(
    "content, message, hint",
    [
        (PROSE.encode("utf-16"), "byte 0xff at offset 0 (looks like UTF-16)", "--encoding utf-16"),
        (PROSE.encode("utf-32"), "byte 0xff at offset 0 (looks like UTF-32)", "--encoding utf-32"),
        (PROSE.encode("utf-16-le"), "byte 0x00 at offset 1 (looks like UTF-16-LE)", "--encoding utf-16-le"),
        (PROSE.encode("utf-16-be"), "byte 0x00 at offset 0 (looks like UTF-16-BE)", "--encoding utf-16-be"),
        ("Un café au lait".encode("latin-1"), "byte 0xe9 at offset 6 (looks like latin-1)", "--encoding latin-1"),
        ("“Un café au lait”".encode("cp1252"), "byte 0x93 at offset 0 (looks like cp1252)", "--encoding cp1252"),
        ("Съешь ещё этих булок".encode("cp1251"), "byte 0xd1 at offset 0", OTHER),
        ("Il était une fois une histoire. ".encode() * 9 + b"\xc3", "byte 0xc3 at offset 297", OTHER),
    ],
)  # fmt: skip
def test_what_is_not_utf8_is_told_with_the_byte_and_never_guessed(content: bytes, message: str, hint: str) -> None:
    error = refused(write("input.txt", content))
    assert (error.message, error.hint) == (f"input.txt is not UTF-8: {message}", hint)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "cp1252", "latin-1", "utf-8-sig"])
def test_a_text_is_read_in_the_encoding_that_is_given(encoding: str) -> None:
    write("input.txt", "Voilà: déjà vu".encode(encoding))
    assert texts_of(read(["input.txt"], TextConfig(encoding=encoding))) == ["Voilà: déjà vu"]


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "zlib", "", "a\0b", "ü"])
def test_an_unknown_encoding_is_a_setting_error(encoding: str) -> None:
    with pytest.raises(SettingError, match="encoding must be a text encoding"):
        read([write("input.txt")], TextConfig(encoding=encoding))


def test_no_encoding_lets_half_characters_through() -> None:
    write("input.txt", b"\\ud800 and so on")
    assert "half a character" in refused("input.txt", encoding="unicode_escape").message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_byte_order_mark_is_dropped_with_a_note(encoding: str) -> None:
    write("input.txt", ("\ufeff" + PROSE).encode(encoding))
    corpus = read(["input.txt"], TextConfig(encoding=encoding))
    assert texts_of(corpus) == [PROSE]
    assert notes_of(corpus) == "byte-order mark dropped from input.txt"


def test_windows_line_ends_are_kept_with_one_note() -> None:
    write("input.txt", "a\r\nb\r\nc\n")
    corpus = read(["input.txt"], CONFIG)
    assert texts_of(corpus) == ["a\r\nb\r\nc\n"]
    assert notes_of(corpus).startswith("2 lines end in CRLF")


def test_a_few_control_characters_are_kept_with_a_note_and_many_are_refused() -> None:
    write("few.txt", "x" * 99 + "\0")
    corpus = read(["few.txt"], CONFIG)
    assert texts_of(corpus) == ["x" * 99 + "\0"]
    assert notes_of(corpus) == "1 control characters in few.txt; kept"
    write("many.txt", "x" * 98 + "\0\x7f")
    assert refused("many.txt").message == "2.0% of the bytes are not text - is many.txt the right file?"
    assert read([write("fine.txt", "\t\n\r\f" * 9)], CONFIG).characters == 36


def test_decomposed_characters_are_noted_and_normalize_composes_them() -> None:
    write("input.txt", unicodedata.normalize("NFD", "äöüÄÖÜ éèê " * 50))
    corpus = read(["input.txt"], CONFIG)
    # apart: a o u A O U e, three marks for them and one more, and the space
    assert notes_of(corpus) == "450 decomposed characters; --normalize NFC would shrink the alphabet from 12 to 10"
    composed = read(["input.txt"], TextConfig(normalize="NFC"))
    assert texts_of(composed) == ["äöüÄÖÜ éèê " * 50]
    assert composed.notes == read(["input.txt"], TextConfig(normalize="NFD")).notes == ()
    assert composed.fingerprint != corpus.fingerprint


def test_the_alphabets_of_a_decomposed_text_are_counted_over_all_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    write("input.txt", "".join(unicodedata.normalize("NFD", line) for line in ("Ä\n", "x\n", "ö\n", "ÄÄ")))
    whole = notes_of(read(["input.txt"], CONFIG))
    monkeypatch.setattr(corpora, "BLOCK_CHARACTERS", 2)
    assert notes_of(read(["input.txt"], CONFIG)) == whole


MANY = "".join(map(chr, range(0x20000, 0x20000 + 5000)))


@pytest.mark.parametrize(
    "text", ["שלום עולם", "👩‍👩‍👧‍👦🏳️‍🌈", "<|endoftext|>", MANY, "x" * 10_000_000]
)  # fmt: skip
def test_any_valid_unicode_is_read_as_it_is(text: str) -> None:
    assert texts_of(read([write("input.txt", text)], CONFIG)) == [text]


@given(content=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_bytes_are_either_the_text_that_python_reads_or_refused_in_one_line(content: bytes) -> None:
    try:
        decoded = reading.decode(reading.unpack(content, "x", reading.Allowance(10**6)), "utf-8", "x")
    except TextError as error:
        assert "\n" not in error.message
    else:
        assert decoded.text == content.decode("utf-8")
