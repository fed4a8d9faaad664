"""Text is found, read whole or refused in one line, and every character is split to exactly one side."""

import contextlib
import gzip
import hashlib
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkwright.config import TextConfig
from inkwright.errors import InkwrightError, TextError, UsageError
from inkwright.text.corpus import Corpus, Document, named, read, split, survey

PROSE = "It was a dark and stormy night; the rain fell in torrents.\n" * 4
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
            message = ""
            for _ in range(50):  # on a busy machine the writer may wait for its turn during a whole reading
                with contextlib.suppress(pytest.fail.Exception):
                    message = refused("big.txt").message
                    break
            assert told in message
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


def test_a_share_of_what_trains_is_its_end_and_what_validates_stays() -> None:
    corpus = corpus_of("abcdef", "ghij", "klmnopqrst")
    whole = split(corpus, TextConfig(val_fraction=0.5))
    half = split(corpus, TextConfig(val_fraction=0.5, train_fraction=0.5))
    assert half.val == whole.val and [(p.text, p.starts_document) for p in half.train] == [("f", False), ("ghij", True)]
    apart = split(corpus, TextConfig(train_fraction=0.5), validation=corpus_of("xyz"))
    assert [piece.text for piece in apart.train] == ["klmnopqrst"] and apart.train[0].starts_document


@pytest.mark.parametrize("fraction, train", [(1.0, 9), (0.5, 5), (0.3, 3), (0.01, 1)])
def test_a_share_keeps_at_least_what_it_says(fraction: float, train: int) -> None:
    assert len(sides(corpus_of("abcdefghij"), train_fraction=fraction)[0][0]) == train


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
    started = time.process_time()  # not what other programs take
    train, val = sides(corpus, split="documents")
    assert (len(train), len(val)) == (90_000, 10_000)
    assert time.process_time() - started < 5
