"""Where a text comes from, and which part of it validates. Knows characters and documents, no tokens.

A text is given as a file, a folder, a pattern (`plays/*.txt`), `-` for standard input, or the name of a known corpus.
"""

import hashlib
import json
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from inkwright import interrupt
from inkwright.config import TextConfig
from inkwright.errors import InkwrightError, TextError, UsageError
from inkwright.text import reading
from inkwright.text.download import Download, obtain
from inkwright.text.finding import Place, places, short_name

DOWNLOADS = {
    "shakespeare": Download(
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        path="tinyshakespeare/input.txt",
        size=1_115_394,
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}
"""Known corpora that lie on the net. A new one is one row; all are UTF-8."""

PYDOCS = "pydocs"  # the help topics inside every Python: needs no network
BLOCK_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class Note:
    """Something odd that forbids nothing, in one line; the hint: what could be done about it."""

    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Document:
    """One text that is whole in itself: a file, a help topic."""

    name: str
    text: str


@dataclass(frozen=True)
class Source:
    """One file as it lies on the disk (packed, where it is packed), standard input, or a known corpus."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Corpus:
    """All the text there is, and where it came from."""

    name: str
    documents: tuple[Document, ...]
    sources: tuple[Source, ...]
    notes: tuple[Note, ...]
    encoding: str = "utf-8"
    normalize: str | None = None

    @property
    def characters(self) -> int:
        """Characters (code points) in all documents."""
        return sum(len(document.text) for document in self.documents)

    @property
    def fingerprint(self) -> str:
        """One sha256: another byte, another order or another way to make text of the bytes changes it."""
        settings = {"encoding": self.encoding, "normalize": self.normalize}
        record = {"sources": [source.sha256 for source in self.sources], **settings}
        return hashlib.sha256(json.dumps(record).encode()).hexdigest()


def named() -> tuple[str, ...]:
    """The names of the known corpora. A file or folder of the same name wins over them."""
    return (PYDOCS, *DOWNLOADS)


# ---------------------------------------------------------------- reading


def read(texts: Sequence[str], config: TextConfig) -> Corpus:
    """The corpus of all `texts`, one after another: files, folders, patterns, `-`, known corpora.

    What exists as a path is read as a path, whatever it is called; only then is it looked for as a name or a pattern.

    Raises: UsageError   no text given; TextError   the first thing that cannot be read; SettingError   unknown encoding
    """
    shelf = _Shelf(config)
    for error in shelf.fill(texts):
        raise error
    return shelf.corpus(short_name(texts))


def survey(texts: Sequence[str], config: TextConfig) -> tuple[Corpus, list[InkwrightError]]:
    """The corpus of all that can be read, and an error for each thing that cannot.

    Raises: UsageError   no text given; SettingError   unknown encoding
    """
    shelf = _Shelf(config)
    errors = list(shelf.fill(texts))
    return shelf.corpus(short_name(texts)), errors


class _Shelf:
    """Where the documents of a corpus gather while it is read."""

    def __init__(self, config: TextConfig) -> None:
        self.config = config
        self.encoding = reading.codec_name(config.encoding)
        self.allowance = reading.Allowance(config.max_bytes)
        self.documents: list[Document] = []
        self.sources: list[Source] = []
        self.seen: set[str] = set()
        self.repeats: list[str] = []
        self.marked: list[str] = []
        self.controls: Counter[str] = Counter()

    def fill(self, texts: Sequence[str]) -> Iterator[InkwrightError]:
        """Read all of `texts`; yields what cannot be read, when it comes to it, and goes on.

        Raises: UsageError   no text given
        """
        if not texts:
            raise UsageError("which text?", f"a file, a folder, - for standard input, or one of {', '.join(named())}")
        for place in (place for text in texts for place in places(text, named())):
            interrupt.check()
            try:
                self._read(place)
            except InkwrightError as error:
                yield error

    def _read(self, place: Place | TextError) -> None:
        if isinstance(place, TextError):
            raise place
        if place.identity in self.seen:
            self.repeats.append(place.name)
            return
        self.seen.add(place.identity)
        if place.path is not None:
            self._add(reading.read_file(place.path, place.name, self.allowance), place.name, self.encoding)
        elif place.name == PYDOCS:
            self._add_pydocs()
        elif place.name in DOWNLOADS:
            content = obtain(place.name, DOWNLOADS[place.name])
            self._add(reading.unpacked(content, place.name, self.allowance), place.name, "utf-8")
        else:
            self._add(reading.read_stdin(place.name, self.allowance), place.name, self.encoding)

    def _add(self, raw: reading.Raw, name: str, encoding: str) -> None:
        decoded = reading.decode(raw.content, encoding, name)
        self.documents.append(Document(name, self._normal(decoded.text)))
        self.sources.append(Source(name, raw.size, raw.sha256))
        self.marked += [name] if decoded.had_mark else []
        if decoded.controls:
            self.controls[name] += decoded.controls

    def _add_pydocs(self) -> None:
        from pydoc_data.topics import topics  # 0.7 MB that only this corpus needs

        content = json.dumps(topics, sort_keys=True).encode()
        self.allowance.take(sum(len(text.encode()) for text in topics.values()), PYDOCS)
        self.documents += [Document(topic, self._normal(topics[topic])) for topic in sorted(topics)]
        self.sources.append(Source(PYDOCS, len(content), hashlib.sha256(content).hexdigest()))

    def _normal(self, text: str) -> str:
        return unicodedata.normalize(self.config.normalize, text) if self.config.normalize else text

    def corpus(self, name: str) -> Corpus:
        """What has gathered so far."""
        notes = (*self._notes(), *_line_end_note(self.documents), *_decomposed_note(self.documents, self.config))
        documents, sources = tuple(self.documents), tuple(self.sources)
        return Corpus(name, documents, sources, notes, self.encoding, self.config.normalize)

    def _notes(self) -> Iterator[Note]:
        if self.repeats:
            yield Note(f"{_listed(self.repeats)} given more than once; read once")
        if self.marked:
            yield Note(f"byte-order mark dropped from {_listed(self.marked)}")
        if self.controls:
            names = list(self.controls)
            yield Note(f"{self.controls.total():,} control characters in {_listed(names)}; kept")
        empty = [document.name for document in self.documents if not document.text]
        if empty and len(empty) < len(self.documents):
            yield Note(f"{_listed(empty)} {'is' if len(empty) == 1 else 'are'} empty")


def _line_end_note(documents: Sequence[Document]) -> Iterator[Note]:
    line_ends = sum(document.text.count("\r\n") for document in documents)
    if line_ends:
        yield Note(f"{line_ends:,} lines end in CRLF, as on Windows; kept, so that \\r is a character of the text")


def _decomposed_note(documents: Sequence[Document], config: TextConfig) -> Iterator[Note]:
    """Letters whose accents are characters of their own; not asked when the text was brought to a form on purpose."""
    if config.normalize or all(_is_composed(document.text) for document in documents):
        return
    before: set[str] = set()
    after: set[str] = set()
    count = 0
    for block in (block for document in documents for block in blocks(document.text)):
        composed = unicodedata.normalize("NFC", block)
        count += len(block) - len(composed)
        before |= set(block)
        after |= set(composed)
    if count > 0:
        smaller = len(after) < len(before)
        gain = f"shrink the alphabet from {len(before):,} to {len(after):,}" if smaller else "compose them"
        yield Note(f"{count:,} decomposed characters; --normalize NFC would {gain}")


def _is_composed(text: str) -> bool:
    return text.isascii() or all(unicodedata.is_normalized("NFC", block) for block in blocks(text))


def blocks(text: str) -> Iterator[str]:
    """The text in pieces of about a million characters, each the end of a line: for work that copies what it reads."""
    start = 0
    while start < len(text):
        interrupt.check()
        end = text.find("\n", start + BLOCK_CHARACTERS - 1) + 1 or len(text)
        yield text[start:end]
        start = end


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names):,} files"


# ---------------------------------------------------------------- splitting


@dataclass(frozen=True)
class Piece:
    """A document or a part of one; `starts_document` is false where the split cut inside a document."""

    text: str
    starts_document: bool


@dataclass(frozen=True)
class Split:
    """The pieces that train and the pieces that validate, both in the order of the text."""

    train: tuple[Piece, ...]
    val: tuple[Piece, ...]


def split(corpus: Corpus, config: TextConfig, validation: Corpus | None = None) -> Split:
    """Each character on one side: to train, or to validate. With a `validation` corpus, all of `corpus` trains.

    Of what trains only the end is kept where `train_fraction` asks for less than all.

    Raises: TextError   `--split documents` of less than two documents
    """
    if validation is not None:
        train, val = _cut(corpus.documents, [])[0], _cut(validation.documents, [(0, validation.characters)])[1]
        return Split(_end(train, config.train_fraction), val)
    held_out = {"tail": _tail, "documents": _whole_documents, "blocks": _block_ends}[config.split]
    train, val = _cut(corpus.documents, held_out(corpus, Fraction(str(config.val_fraction))))
    return Split(_end(train, config.train_fraction), val)


def _end(pieces: tuple[Piece, ...], fraction: float) -> tuple[Piece, ...]:
    """The last of some pieces, with this share of their characters; the first of them may be cut."""
    surplus = int((1 - Fraction(str(fraction))) * sum(len(piece.text) for piece in pieces))
    kept: list[Piece] = []
    for piece in pieces:
        cut = min(surplus, len(piece.text))
        surplus -= cut
        if cut < len(piece.text):
            kept.append(Piece(piece.text[cut:], piece.starts_document and cut == 0))
    return tuple(kept)


Spans = list[tuple[int, int]]
"""Ranges of the characters that validate, all documents laid one after another; in order, none overlapping."""


def _tail(corpus: Corpus, share: Fraction) -> Spans:
    return [(int((1 - share) * corpus.characters), corpus.characters)]  # of fractions: (1 - 0.3) * 10 is 7, never 6


def _block_ends(corpus: Corpus, share: Fraction) -> Spans:
    edges = [corpus.characters * tenth // 10 for tenth in range(11)]
    return [(start + int((1 - share) * (end - start)), end) for start, end in pairwise(edges)]


def _whole_documents(corpus: Corpus, share: Fraction) -> Spans:
    """Each document owes its share of characters; one is taken whenever at least half of it is owed already."""
    ends = [0]
    for document in corpus.documents:
        ends += [ends[-1] + len(document.text)] if document.text else []
    spans = list(pairwise(ends))
    if len(spans) < 2:
        raise TextError(
            f"--split documents needs at least 2 documents; there is {len(spans)}", "--split tail cuts inside one"
        )
    taken: Spans = []
    owed = 0  # in units of one character divided by the denominator, to stay with whole numbers
    for start, end in spans:
        owed += share.numerator * (end - start)
        if owed * 2 >= share.denominator * (end - start):
            taken.append((start, end))
            owed -= share.denominator * (end - start)
    return (taken or spans[-1:]) if len(taken) < len(spans) else taken[1:]


def _cut(documents: Sequence[Document], held_out: Spans) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """(train, val): the documents, cut where a span begins or ends."""
    edges = [edge for span in held_out for edge in span]
    sides: tuple[list[Piece], list[Piece]] = ([], [])
    start = 0
    for document in documents:
        end = start + len(document.text)
        inner = edges[bisect_right(edges, start) : bisect_left(edges, end)]
        for left, right in pairwise([start, *inner, end]):
            if left < right:
                validates = bisect_right(edges, left) % 2  # an odd number of edges behind: inside a span
                sides[validates].append(Piece(document.text[left - start : right - start], left == start))
        start = end
    return tuple(sides[0]), tuple(sides[1])
