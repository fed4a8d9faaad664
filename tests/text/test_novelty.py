"""Copied passages are found exactly: against a naive search, planted, and in texts that repeat themselves."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkwright.text import novelty
from inkwright.text.novelty import find, least_length, share


@pytest.fixture(autouse=True, params=[5, novelty.CHUNK])
def chunk(request: pytest.FixtureRequest) -> Iterator[None]:
    """Sources of many chunks, and of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(novelty, "CHUNK", request.param)
        yield


def naive(source: str, passage: str) -> list[int]:
    """From each character on, the longest passage that stands in the source."""
    return [
        max(n for n in range(len(passage) - at + 1) if passage[at : at + n] in source) for at in range(len(passage))
    ]


texts = st.one_of(st.text("ab", max_size=60), st.text("abcdé中\U0001f600 \n\x00", max_size=40), st.text(max_size=30))


@settings(max_examples=25)
@given(source=texts, passages=st.lists(texts, max_size=4))
def test_every_match_is_the_longest_there_is(source: str, passages: list[str]) -> None:
    for passage, found in zip(passages, find(source, passages), strict=True):
        assert found.lengths.tolist() == naive(source, passage)
        for at, (length, place) in enumerate(zip(found.lengths.tolist(), found.places.tolist(), strict=True)):
            assert passage[at : at + length] == source[place : place + length]


@settings(max_examples=25)
@given(st.integers(0, 99), st.integers(1, 40), st.integers(0, 150), st.integers(0, 100))
def test_a_planted_passage_is_found_with_its_length_and_its_place(
    seed: int, before: int, length: int, place: int
) -> None:
    source = "".join(random.Random(seed).choices("abcdefgh", k=300))
    passage = "X" * before + source[place : place + length] + "Y" * 5
    found = find(source, [passage])[0]
    at, longest, where = found.longest
    assert longest == length and source[where : where + longest] == passage[at : at + longest]
    if length >= 20:
        assert (at, where) == (before, place) and found.spans(20) == [(before, before + length)]
        assert found.share(20) == length / len(passage)


def test_a_text_that_repeats_itself_is_matched_too() -> None:
    found = find("ab" * 400, ["ab" * 300, "b" + "ab" * 30 + "b"])
    assert found[0].lengths.tolist() == [600 - i for i in range(600)] and found[0].share(64) == 1.0
    assert found[1].longest[1] == 61


def test_a_match_does_not_reach_over_the_end_of_a_passage_or_of_the_source() -> None:
    assert [one.longest[1] for one in find("abcdef", ["abc", "def", "efa"])] == [3, 3, 2]
    assert find("", ["abc"])[0].longest == find("abc", [""])[0].longest == (0, 0, 0)


def test_spans_that_touch_are_one_and_the_share_counts_each_character_once() -> None:
    found = find("abcd...cdef...XY", ["abcdefXY"])[0]
    assert found.spans(4) == [(0, 6)] and found.share(4) == 6 / 8
    assert found.spans(2) == [(0, 8)] and found.spans(5) == []


def test_what_counts_as_copied_is_so_long_that_unseen_text_hardly_has_it() -> None:
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(2, 7))) for _ in range(60)]
    source, unseen = (" ".join(rng.choices(words, k=2000)) for _ in range(2))
    found = find(source, [unseen])
    least = least_length(found)
    assert novelty.LEAST < least < novelty.MOST
    assert share(found, least) <= novelty.CHANCE < share(found, least - 1)


def test_where_unseen_text_is_all_copied_the_longest_bound_counts() -> None:
    source = "a text that stands in both parts, word for word, and is long enough for that. "
    assert least_length(find(source, [source])) == novelty.MOST
