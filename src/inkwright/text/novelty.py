"""Which passages of a text stand word for word in another one. Knows characters, no tokens and no models.

From each character on, the longest passage that stands somewhere in the text it may have been copied from is found:
exactly, and without an index of that text, which may be large. Of its places only those are kept that begin like a place
of the passages, then those that go on like it, a machine word of characters at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inkwright import interrupt

CHUNK = 1 << 20  # characters of the source that are looked at at once
FOREIGN, EDGE = 0, 1  # characters that no passage has, of the source; the end of a passage. They never match
LEAST, MOST = 8, 64  # characters: bounds of what may count as copied
CHANCE = 0.05  # of a text that was never seen, at most this share may count as copied


@dataclass(frozen=True)
class Copied:
    """What of a passage stands in the source, from each of its characters on."""

    text: str
    lengths: np.ndarray
    """(N,) how many characters, from this one on, stand together in the source."""
    places: np.ndarray
    """(N,) where in the source they stand; one place of perhaps many."""

    @property
    def longest(self) -> tuple[int, int, int]:
        """The longest copied passage: (where it begins here, how many characters, where it stands in the source)."""
        if len(self.lengths) == 0:
            return 0, 0, 0
        at = int(self.lengths.argmax())
        return at, int(self.lengths[at]), int(self.places[at])

    def spans(self, least: int) -> list[tuple[int, int]]:
        """(start, end) of all that lies in copied passages of at least `least` characters, those that touch joined."""
        spans: list[tuple[int, int]] = []
        for start in np.flatnonzero(self.lengths >= least).tolist():
            end = start + int(self.lengths[start])
            if spans and start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            else:
                spans.append((start, end))
        return spans

    def share(self, least: int) -> float:
        """The share of the characters that lie in such a passage; 0 of an empty text."""
        return sum(end - start for start, end in self.spans(least)) / max(1, len(self.text))


def find(source: str, passages: Sequence[str]) -> list[Copied]:
    """What of each passage stands in the source.

    Raises: Interrupted   a stop was asked for on the way
    """
    alphabet = np.unique(_code_points("".join(passages)))
    table = np.full(0x110000, FOREIGN, np.min_scalar_type(len(alphabet) + 2))
    table[alphabet] = np.arange(2, len(alphabet) + 2)
    edge = np.full(1, EDGE, table.dtype)
    query = np.concatenate([*(part for text in passages for part in (_codes(text, table), edge)), edge])
    search = _Search(np.concatenate((_codes(source, table), np.zeros(1, table.dtype))), query, len(alphabet) + 2)
    search.run()
    found: list[Copied] = []
    start = 0
    for text in passages:
        end = start + len(text)
        found.append(Copied(text, search.lengths[start:end], search.places[start:end]))
        start = end + 1
    return found


def least_length(unseen: Sequence[Copied]) -> int:
    """From how many characters on a passage counts as copied: so long that real text which was never seen has few such.

    The shortest length at which at most CHANCE of that text would count, between LEAST and MOST.
    """
    return next((n for n in range(LEAST, MOST) if share(unseen, n) <= CHANCE), MOST)


def share(texts: Sequence[Copied], least: int) -> float:
    """The share of the characters of several texts that lie in copied passages of at least `least` characters."""
    return sum(one.share(least) * len(one.text) for one in texts) / max(1, sum(len(one.text) for one in texts))


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _codes(text: str, table: np.ndarray) -> np.ndarray:
    """The number of each character, (N,)."""
    parts = [table[_code_points(text[start : start + CHUNK])] for start in range(0, len(text), CHUNK)]
    return np.concatenate([np.empty(0, table.dtype), *parts])


class _Search:
    """The longest match of every place of `query` in `source`, both in codes."""

    def __init__(self, source: np.ndarray, query: np.ndarray, alphabet_size: int) -> None:
        self.source, self.query = source, query
        self.bits = (alphabet_size - 1).bit_length()
        self.width = 64 // self.bits  # characters in a machine word
        self.lengths = np.zeros(len(query), np.int64)
        self.places = np.zeros(len(query), np.int64)

    def run(self) -> None:
        """Fill `lengths` and `places`."""
        asked = np.flatnonzero(self.query != EDGE)  # places of the query whose match may go on
        words = self._words(self.query, asked)
        different = np.unique(words)
        kept = [np.empty(0, np.int64)]  # places of the source that begin like one of the query
        for start in range(0, len(self.source) - 1, CHUNK):
            interrupt.check()
            places = np.arange(start, min(start + CHUNK, len(self.source) - 1))
            found = self._words(self.source, places)
            order = np.argsort(np.concatenate((found, words)), kind="stable")
            self._compare(places, found, asked, words, order, np.zeros(len(order), np.int8), 0)
            kept.append(places[_stands_in(found, different)])
        places = np.concatenate(kept)
        groups, asked_groups = (np.searchsorted(different, w) for w in (self._words(self.source, places), words))
        depth = self.width
        while len(places):
            interrupt.check()
            places, groups, asked, asked_groups = self._deeper(places, groups, asked, asked_groups, depth)
            depth += self.width

    def _words(self, codes: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The next characters from some places on as one number each, the first character in its highest bits, (N,)."""
        words = np.zeros(len(at), np.uint64)
        for i in range(self.width):
            words = words << np.uint64(self.bits) | codes[np.minimum(at + i, len(codes) - 1)].astype(np.uint64)
        return words

    def _deeper(
        self, places: np.ndarray, groups: np.ndarray, asked: np.ndarray, asked_groups: np.ndarray, depth: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Look at the next word after `depth` characters; within a group those characters are equal.

        Gives what may match further: places of the source, their groups, places of the query, their groups.
        """
        found, words = self._words(self.source, places + depth), self._words(self.query, asked + depth)
        group, word = np.concatenate((groups, asked_groups)), np.concatenate((found, words))
        order = np.lexsort((word, group))
        self._compare(places, found, asked, words, order, group, depth)
        group, word = group[order], word[order]
        runs = np.concatenate(([0], np.cumsum((group[1:] != group[:-1]) | (word[1:] != word[:-1]))))
        is_place = order < len(places)
        both = (np.bincount(runs, is_place) > 0) & (np.bincount(runs, ~is_place) > 0)
        on, off = is_place & both[runs], ~is_place & both[runs]
        return places[order[on]], runs[on], asked[order[off] - len(places)], runs[off]

    def _compare(
        self, places: np.ndarray, found: np.ndarray, asked: np.ndarray, words: np.ndarray, order: np.ndarray,
        group: np.ndarray, depth: int,
    ) -> None:  # fmt: skip
        """Of words in order, the likest are neighbours: lengthen the matches by what those have in common."""
        index = np.arange(len(order))
        is_place = order < len(places)
        mine = np.flatnonzero(~is_place)
        before = np.maximum.accumulate(np.where(is_place, index, -1))[mine]
        after = np.minimum.accumulate(np.where(is_place, index, len(order))[::-1])[::-1][mine]
        for near in (before, after):
            there = (near >= 0) & (near < len(order))
            a, b = order[mine[there]], order[near[there]]
            a, b = a[group[a] == group[b]], b[group[a] == group[b]]
            query, source = a - len(places), b
            lengths = depth + self._common(words[query], found[source])
            longer = lengths > self.lengths[asked[query]]
            self.lengths[asked[query[longer]]] = lengths[longer]
            self.places[asked[query[longer]]] = places[source[longer]]

    def _common(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How many characters two words begin with in common, (N,)."""
        different = a ^ b
        return sum((different >> np.uint64(self.bits * i) == 0).astype(np.int64) for i in range(self.width))  # type: ignore[return-value]


def _stands_in(words: np.ndarray, different: np.ndarray) -> np.ndarray:
    """Which words are among the sorted `different` ones, (N,)."""
    if len(different) == 0:
        return np.zeros(len(words), bool)
    return different[np.minimum(np.searchsorted(different, words), len(different) - 1)] == words
