"""encode-decode: characters to numbers and back."""

from collections.abc import Callable
from typing import Any

from inkwright.lessons.exercises.exercise import Exercise, Wrong, same_list, shakespeare

STARTER = '''
"""Give every character a number, and come back.

A model reads numbers. Its alphabet is every different character of a text,
sorted; the id of a character is its place in the alphabet. Fill in three
functions.

For tiny Shakespeare the alphabet has 65 characters (the newline is id 0, the
space id 1), and "hellooo" is [46, 43, 50, 50, 53, 53, 53]. The check encodes
the whole text and wants every character back. A character that is not in the
alphabet must raise an error (a KeyError or a ValueError): silence loses text.
"""


def make_alphabet(text: str) -> list[str]:
    """Every different character of the text, sorted."""
    raise NotImplementedError


def encode(text: str, alphabet: list[str]) -> list[int]:
    """The id of each character."""
    raise NotImplementedError


def decode(ids: list[int], alphabet: list[str]) -> str:
    """The text that these ids stand for."""
    raise NotImplementedError
'''

HINT = "set(text) has each character once, in no order. A dict from character to id makes encode fast."

HELLO = [46, 43, 50, 50, 53, 53, 53]


def check(make_alphabet: Callable[..., Any], encode: Callable[..., Any], decode: Callable[..., Any]) -> str:
    """The alphabet, some words, a stranger to the alphabet, then the whole of tiny Shakespeare."""
    text = shakespeare()
    for name, sample in {"'hello world'": "hello world", "tiny Shakespeare": text}.items():
        unsorted = {"the alphabet is not sorted, it is in order of appearance": list(dict.fromkeys(sample))}
        _alphabet(f"the alphabet of {name}", make_alphabet(sample), sorted(set(sample)), unsorted)
    alphabet = sorted(set(text))
    off = {
        "ids begin at 0, these are off by one": [id + 1 for id in HELLO],
        "these are Unicode numbers, not places in the alphabet": list(map(ord, "hellooo")),
    }
    same_list("encode('hellooo')", encode("hellooo", alphabet), HELLO, off)
    same_list("decode of [46, 43, 50, 50, 53, 53, 53]", decode(HELLO, alphabet), "hellooo")
    same_list("encode('cab') with the alphabet a, b, c", encode("cab", list("abc")), [2, 0, 1])
    same_list("decode of [2, 0, 1] with the alphabet a, b, c", decode([2, 0, 1], list("abc")), "cab")
    _refuses_strangers(encode)
    same_list("decode(encode(tiny Shakespeare))", decode(encode(text, alphabet), alphabet), text)
    return f"Right: 65 characters, hellooo is {HELLO}, and all {len(text):,} characters came back."


def _alphabet(what: str, got: Any, expected: list[str], unsorted: dict[str, list[str]]) -> None:
    if isinstance(got, list) and sorted(map(str, set(got))) == expected and got != expected:
        unsorted = {"the alphabet is not sorted": got, **unsorted}
    same_list(what, got, expected, unsorted)


def _refuses_strangers(encode: Callable[..., Any]) -> None:
    for stranger in "zA\r":
        try:
            got = encode(f"ab{stranger}", list("abc"))
        except (KeyError, ValueError, IndexError):
            continue
        text = repr(f"ab{stranger}")
        raise Wrong(f"encode({text}) with the alphabet a, b, c gives {got}: the unknown {stranger!r} must be an error")


EXERCISE = Exercise("encode-decode", "characters to numbers and back", "tokens", STARTER, HINT, check)
