"""Text is read whole or refused in one line, and every character is split to exactly one side."""

import bz2
import contextlib
import gzip
import hashlib
import http.server
import io
import lzma
import os
import pickle
import resource
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkwright.config import TextConfig
from inkwright.errors import InkwrightError, MachineError, SettingError, TextError, UsageError
from inkwright.text import corpus as corpora
from inkwright.text import reading
from inkwright.text.corpus import Corpus, Document, named, read, split, survey
from inkwright.text.download import Download, download, obtain

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


# ---------------------------------------------------------------- files, folders, patterns


def test_a_file_is_one_document_and_its_source_tells_size_and_hash() -> None:
    corpus = read([write("books/hamlet.txt")], CONFIG)
    assert texts_of(corpus) == [PROSE]
    assert corpus.name == "hamlet"
    assert corpus.characters == len(PROSE)
    assert [(s.name, s.size, s.sha256) for s in corpus.sources] == [
        ("books/hamlet.txt", len(PROSE), hashlib.sha256(PROSE.encode()).hexdigest())
    ]
    assert corpus.notes == ()


def test_a_folder_is_all_its_texts_sorted_by_path_and_nothing_else() -> None:
    for path in ("notes/b.txt", "notes/a/z.TXT", "notes/c.md", "notes/d.pdf"):
        write(path, path)
    write("notes/e.txt.gz", gzip.compress(b"packed"))
    corpus = read(["notes"], CONFIG)
    assert texts_of(corpus) == ["notes/a/z.TXT", "notes/b.txt", "packed"]
    assert corpus.name == "notes"


def test_a_folder_without_texts_says_what_is_in_it() -> None:
    for name in ("a.pdf", "b.pdf", "c.pdf", "d.md"):
        write(f"notes/{name}")
    assert refused("notes").message == "no .txt files in notes/ (found 3 .pdf, 1 .md)"
    Path("empty").mkdir()
    assert refused("empty/").message == "no .txt files in empty/ (found nothing)"


def test_a_pattern_is_expanded_here_and_sorted() -> None:
    for name in ("b.txt", "a.txt", "deep/er/c.txt"):
        write(f"plays/{name}", name)
    assert texts_of(read(["plays/*.txt"], CONFIG)) == ["a.txt", "b.txt"]
    assert texts_of(read(["plays/**/*.txt"], CONFIG)) == ["a.txt", "b.txt", "deep/er/c.txt"]
    assert read(["plays/*.txt"], CONFIG).name == "plays"
    assert refused("plays/*.rtf").message == "no file matches plays/*.rtf"


def test_a_file_whose_name_looks_like_a_pattern_is_still_a_file() -> None:
    write("act[1].txt", "one")
    write("act1.txt", "two")
    assert texts_of(read(["act[1].txt"], CONFIG)) == ["one"]


@pytest.mark.parametrize(
    "path, name",
    [
        ("books/book.txt.gz", "book"),
        ("v1.2.txt", "v1.2"),
        ("a b/c?d.txt", "c-d"),
        ("été.txt", "été"),
        ("...txt", "text"),
    ],
)
def test_a_corpus_has_a_name_that_is_safe_as_a_folder(path: str, name: str) -> None:
    assert read([write(path)], CONFIG).name == name


def test_several_texts_are_read_in_the_order_given_and_a_repeat_once() -> None:
    write("a.txt", "A"), write("b.txt", "B")
    Path("alias.txt").symlink_to("a.txt")
    corpus = read(["b.txt", "a.txt", "./b.txt", "alias.txt"], CONFIG)
    assert texts_of(corpus) == ["B", "A"]
    assert corpus.name == "b-and-3-more"
    assert notes_of(corpus) == "2 files given more than once; read once"


@pytest.mark.parametrize(
    "text, hint",
    [
        ("inptu.txt", "did you mean input.txt?"),
        ("books/hamlt.txt", "did you mean books/hamlet.txt?"),
        ("shakespear", "did you mean shakespeare?"),
        ("zzz", "corpora that need no file: pydocs, shakespeare"),
        ("nowhere/zzz.txt", "corpora that need no file: pydocs, shakespeare"),
    ],
)
def test_a_missing_file_is_told_with_the_nearest_name(text: str, hint: str) -> None:
    write("input.txt"), write("books/hamlet.txt")
    error = refused(text)
    assert (error.message, error.hint, error.exit_code) == (f"no such file: {text}", hint, 3)


@pytest.mark.parametrize("text", ["", "a\0b", "a" * 5000, "input.txt/deeper", "gone.txt"])
def test_a_path_that_cannot_be_is_one_line_and_no_traceback(text: str) -> None:
    write("input.txt")
    Path("gone.txt").symlink_to("nowhere")
    assert "\n" not in refused(text).message


def test_no_text_at_all_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="which text"):
        read([], CONFIG)


def test_a_file_without_permission_is_told() -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    Path(write("secret.txt")).chmod(0)
    assert refused("secret.txt").message == "cannot read secret.txt: permission denied"


@pytest.mark.parametrize("kind", ["fifo", "socket", "device"])
@pytest.mark.parametrize("inside", [False, True], ids=["given", "in a folder"])
def test_what_is_no_regular_file_is_never_opened(kind: str, inside: bool) -> None:
    Path("notes").mkdir()
    path = "notes/pipe.txt"
    if kind == "fifo":
        os.mkfifo(path)  # to open it would hang this test
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
    elif inside:
        try:
            os.mknod(path, stat.S_IFCHR, os.makedev(1, 5))
        except PermissionError:
            pytest.skip("this user may not make a device")
    else:
        path = "/dev/zero"
    error = refused("notes" if inside else path)
    assert (error.message, error.hint) == (f"{path} is not a regular file", "- reads standard input")


def test_a_link_inside_a_folder_may_not_lead_out_of_it_or_round() -> None:
    write("secret/key.txt"), write("notes/a.txt")
    link = Path("notes/b.txt")
    for target, message in [
        ("../secret/key.txt", "notes/b.txt is a link that leads out of notes"),
        ("../secret", "notes/b.txt is a link that leads out of notes"),
        ("../notes", "notes/b.txt is a link that leads back to itself"),
        ("b.txt", "notes/b.txt is a link that leads back to itself"),
        ("gone.txt", "no such file: notes/b.txt"),
    ]:
        link.symlink_to(target)
        assert refused("notes").message == message
        link.unlink()
    link.symlink_to("a.txt")
    assert texts_of(read(["notes"], CONFIG)) == [PROSE]


def test_a_link_given_by_hand_is_followed() -> None:
    Path("link").symlink_to(write("far/away.txt"))
    assert texts_of(read(["link"], CONFIG)) == [PROSE]


@pytest.mark.parametrize(
    "disturb, told",
    [
        ("f = open('big.txt', 'ab', 0)\nwhile True: f.write(b'x')", "big.txt changed while being read (size "),
        ("import os, itertools\nfor i in itertools.count(): os.utime('big.txt', ns=(i, i))", "(same size, other date)"),
    ],
    ids=["growing", "touched"],
)
def test_a_file_that_changes_while_it_is_read_is_refused(disturb: str, told: str) -> None:
    write("big.txt", b"x" * 20_000_000)
    before = os.stat("big.txt")
    with subprocess.Popen([sys.executable, "-c", disturb]) as writer:
        try:
            while os.stat("big.txt").st_mtime_ns == before.st_mtime_ns:
                time.sleep(0.01)
            assert told in refused("big.txt").message
        finally:
            writer.kill()


def test_max_bytes_holds_for_the_sum_of_all_files() -> None:
    write("a.txt", "a" * 60), write("b.txt", "b" * 60)
    assert read(["a.txt", "b.txt"], TextConfig(max_bytes=120)).characters == 120
    assert refused("a.txt", "b.txt", max_bytes=119).message == "b.txt makes the text larger than --max-bytes 119"


def test_a_survey_reads_what_it_can_and_tells_every_error() -> None:
    write("a.txt", "A"), write("b.txt", b"\xff\xfe\x00"), write("c.txt", "C")
    corpus, errors = survey(["a.txt", "gone", "b.txt", "c.txt"], CONFIG)
    assert texts_of(corpus) == ["A", "C"]
    assert [error.message.split(":")[0] for error in errors] == ["no such file", "b.txt is not UTF-8"]


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
    write(f"corpus{suffix}", bomb(suffix, 4))
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
        ("déjà vu à Orléans ".encode() * 9 + b"\xc3", "byte 0xc3 at offset 198", OTHER),
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
    assert composed.notes == ()
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


# ---------------------------------------------------------------- fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda: write("a.txt", "B" + PROSE[1:]),
        lambda: write("a.txt", PROSE + "more"),
        lambda: write("a.txt", PROSE.replace("\n", "\r\n")),
        lambda: write("a.txt", "\ufeff" + PROSE),
        lambda: (write("a.txt", "other"), write("b.txt", PROSE)),
    ],
    ids=["one byte", "appended", "CRLF", "BOM", "order"],
)
def test_the_fingerprint_changes_with_any_byte_and_with_the_order(change) -> None:
    write("a.txt", PROSE), write("b.txt", "other")
    before = read(["a.txt", "b.txt"], CONFIG).fingerprint
    assert read(["a.txt", "b.txt"], TextConfig(encoding="UTF8")).fingerprint == before
    change()
    assert read(["a.txt", "b.txt"], CONFIG).fingerprint != before


def test_the_fingerprint_does_not_change_with_names() -> None:
    assert read([write("a.txt")], CONFIG).fingerprint == read([write("b.txt")], CONFIG).fingerprint


# ---------------------------------------------------------------- known corpora


def test_pydocs_is_in_every_python_and_needs_no_network() -> None:
    corpus = read(["pydocs"], CONFIG)
    names = [document.name for document in corpus.documents]
    assert names == sorted(names) and "lambda" in names
    assert corpus.characters > 300_000
    assert corpus.fingerprint == read(["pydocs"], CONFIG).fingerprint
    assert [source.name for source in corpus.sources] == ["pydocs"]


def test_a_file_wins_over_a_known_corpus_of_its_name() -> None:
    assert named() == ("pydocs", "shakespeare")
    assert texts_of(read([write("pydocs")], CONFIG)) == [PROSE]


def test_shakespeare_splits_as_in_the_lecture() -> None:
    folder = os.environ.get("INKWRIGHT_CORPORA")
    if not folder or not (Path(folder) / "tinyshakespeare/input.txt").exists():
        pytest.skip("INKWRIGHT_CORPORA names no folder with tinyshakespeare/input.txt")
    corpus = read(["shakespeare"], CONFIG)
    assert (corpus.name, corpus.characters, len(corpus.documents)) == ("shakespeare", 1_115_394, 1)
    parts = split(corpus, CONFIG)
    assert [len(parts.train[0].text), len(parts.val[0].text)] == [1_003_854, 111_540]
    assert parts.train[0].text.startswith("First Citizen:")


def test_a_local_shakespeare_with_the_wrong_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKWRIGHT_CORPORA", str(tmp_path))
    write("tinyshakespeare/input.txt", "not Shakespeare at all")
    assert "expected sha256 86c4e6aa..., got " in refused("shakespeare").message


class Site(http.server.BaseHTTPRequestHandler):
    """A real server with one page for each thing that can go wrong."""

    def do_GET(self) -> None:
        page = self.path.strip("/")
        if page in ("to-file", "to-ftp", "to-here"):
            target = {"to-file": "file:///etc/passwd", "to-ftp": "ftp://127.0.0.1/x", "to-here": "/good"}[page]
            self.answer(302, b"", Location=target)
        elif page in ("500", "404"):
            self.answer(int(page), b"oh")
        elif page == "hang":
            self.server.released.wait(5)  # type: ignore[attr-defined]
        elif page == "short":
            self.answer(200, PROSE.encode()[:50], length=len(PROSE))
        elif page == "large":
            self.answer(200, PROSE.encode() * 10)
        elif page == "wrong":
            self.answer(200, PROSE.upper().encode())
        elif page == "garbage":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
        else:
            self.answer(200, PROSE.encode())

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("INKWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("INKWRIGHT_CORPORA", raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked, server.released = [], threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def page(site: http.server.HTTPServer, name: str) -> Download:
    sha256 = hashlib.sha256(PROSE.encode()).hexdigest()
    return Download(f"http://127.0.0.1:{site.server_port}/{name}", "dark/night.txt", len(PROSE), sha256)


def kept_files(tmp_path: Path) -> list[str]:
    return [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", ["good", "to-here"])
def test_a_download_is_kept_and_asked_for_once(site, tmp_path: Path, name: str) -> None:
    for _ in range(2):
        assert obtain("night", page(site, name), ("http",)) == PROSE.encode()
    assert kept_files(tmp_path) == ["home/corpora/dark/night.txt"]
    assert site.asked.count("/good") == 1


def test_a_damaged_download_in_the_cache_is_fetched_again(site, tmp_path: Path) -> None:
    write("home/corpora/dark/night.txt", "damaged")
    assert obtain("night", page(site, "good"), ("http",)) == PROSE.encode()
    assert (tmp_path / "home/corpora/dark/night.txt").read_text() == PROSE


@pytest.mark.parametrize(
    "name, told",
    [
        ("wrong", "; the file was not kept"),
        ("short", "(50 bytes instead of"),
        ("large", f"({int(len(PROSE) * 1.05)} bytes instead of"),  # and the other 90 % are never read
        ("to-file", "is not allowed"),
        ("to-ftp", "only http is, not ftp"),
        ("500", "500 Internal Server Error"),
        ("404", "404 Not Found"),
        ("hang", "timed out"),
        ("garbage", "cannot be downloaded"),
    ],
)
def test_a_download_that_is_not_the_expected_bytes_is_refused_and_not_kept(
    site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    with pytest.raises(TextError) as caught:
        download("night", page(site, name), ("http",), silence_seconds=0.2)
    assert told in caught.value.message
    monkeypatch.setattr("inkwright.text.download.SILENCE_SECONDS", 0.2)
    if name != "hang":
        with pytest.raises(TextError):
            obtain("night", page(site, name), ("http",))
    assert kept_files(tmp_path) == []


def test_only_https_is_downloaded(site) -> None:
    assert all(row.url.startswith("https://") for row in corpora.DOWNLOADS.values())
    with pytest.raises(TextError, match="only https is, not http"):
        obtain("night", page(site, "good"))
    assert site.asked == []


def test_without_network_the_error_says_where_to_put_the_file(site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        row = Download(f"http://127.0.0.1:{unused.getsockname()[1]}/x", "dark/night.txt", 1, "0" * 64)
        with pytest.raises(TextError, match="night cannot be downloaded from 127") as caught:
            obtain("night", row, ("http",))
    assert caught.value.hint == (
        "put the file at corpora/dark/night.txt and set INKWRIGHT_CORPORA=corpora; pydocs needs no network"
    )


def test_a_cache_folder_that_cannot_be_made_is_told(site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKWRIGHT_HOME", str(tmp_path / write("file.txt")))
    with pytest.raises(MachineError, match="cannot write to"):
        obtain("night", page(site, "good"), ("http",))


# ---------------------------------------------------------------- splitting


def corpus_of(*texts: str) -> Corpus:
    return Corpus("test", tuple(Document(str(i), text) for i, text in enumerate(texts)), (), ())


def sides(corpus: Corpus, **config: object) -> tuple[list[str], list[str]]:
    parts = split(corpus, TextConfig(**config))  # type: ignore[arg-type]
    return [piece.text for piece in parts.train], [piece.text for piece in parts.val]


def test_the_tail_validates_and_a_cut_document_goes_on_without_a_start() -> None:
    parts = split(corpus_of("abcdef", "ghij"), TextConfig(val_fraction=0.7))
    assert [(p.text, p.starts_document) for p in parts.train] == [("abc", True)]
    assert [(p.text, p.starts_document) for p in parts.val] == [("def", False), ("ghij", True)]


@pytest.mark.parametrize("fraction, train", [(0.1, 9), (0.3, 7), (0.7, 3), (0.9, 1), (0.25, 7)])
def test_fractions_are_exact(fraction: float, train: int) -> None:
    assert len(sides(corpus_of("abcdefghij"), val_fraction=fraction)[0][0]) == train


def test_blocks_takes_the_end_of_each_tenth() -> None:
    train, val = sides(corpus_of("".join(f"{i}bcdefghi{i}" for i in range(10))), split="blocks")
    assert val == list("0123456789")
    assert train == [f"{i}bcdefghi" for i in range(10)]


def test_whole_documents_are_held_out_evenly_over_the_list() -> None:
    documents = [f"{i:02}" for i in range(40)]
    train, val = sides(corpus_of(*documents), split="documents")
    assert val == ["04", "14", "24", "34"]
    assert sorted(train + val) == documents


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("texts", [("a", "b"), ("a" * 1000, "b"), ("a", "b" * 1000, "", "c")])
def test_documents_leaves_something_on_both_sides(texts: tuple[str, ...], fraction: float) -> None:
    train, val = sides(corpus_of(*texts), split="documents", val_fraction=fraction)
    assert train and val


@pytest.mark.parametrize("texts", [("a" * 500,), ("a" * 500, "")])
def test_documents_needs_two_of_them(texts: tuple[str, ...]) -> None:
    with pytest.raises(TextError, match="--split documents needs at least 2 documents; there is 1"):
        sides(corpus_of(*texts), split="documents")


def test_with_a_validation_text_of_its_own_all_of_the_text_trains() -> None:
    parts = split(corpus_of("ab", "cd"), CONFIG, validation=corpus_of("x", "yz"))
    assert [(p.text, p.starts_document) for p in parts.train] == [("ab", True), ("cd", True)]
    assert [(p.text, p.starts_document) for p in parts.val] == [("x", True), ("yz", True)]


@given(
    lengths=st.lists(st.integers(0, 120), min_size=1, max_size=12),
    fraction=st.decimals("0.01", "0.99", places=2).map(float),
    how=st.sampled_from(["tail", "blocks", "documents"]),
)
@settings(max_examples=300, deadline=None)
def test_every_character_is_on_exactly_one_side(lengths: list[int], fraction: float, how: str) -> None:
    alphabet = iter(range(0x4E00, 0x4E00 + sum(lengths)))
    corpus = corpus_of(*("".join(chr(next(alphabet)) for _ in range(length)) for length in lengths))
    try:
        parts = split(corpus, TextConfig(split=how, val_fraction=fraction))  # type: ignore[arg-type]
    except InkwrightError:
        assert how == "documents" and sum(map(bool, lengths)) < 2
        return
    pieces = [*parts.train, *parts.val]
    assert sorted("".join(piece.text for piece in pieces)) == sorted("".join(texts_of(corpus)))
    starts = {document.text[0] for document in corpus.documents if document.text}
    assert {piece.text[0] for piece in pieces if piece.starts_document} == starts
    assert sum(piece.starts_document for piece in pieces) == len(starts)
    for side in (parts.train, parts.val):
        assert sorted(side, key=lambda piece: piece.text[0]) == list(side), "the order of the text"


def test_a_hundred_thousand_documents_are_split_in_a_moment() -> None:
    corpus = corpus_of(*["abc"] * 100_000)
    started = time.perf_counter()
    train, val = sides(corpus, split="documents")
    assert (len(train), len(val)) == (90_000, 10_000)
    assert time.perf_counter() - started < 5
