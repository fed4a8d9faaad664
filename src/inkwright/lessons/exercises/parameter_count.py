"""parameter-count: every number a model learns, counted by hand."""

from collections.abc import Callable
from typing import Any

from inkwright.lessons.exercises.exercise import Exercise, Wrong, kind

STARTER = '''
"""Count every number a model learns.

V tokens, a context of T, C channels, n_layer blocks. With V = 65, T = 8 and
C = 32 the lecture's models have this many parameters:

bigram       a V x V table                                           4,225
embedding    token table, position table, head (linear, with bias)   4,481
one_head     and key, query, value (C to C, no bias)                 7,553
feed_forward and one layer C to C with bias                          8,609
gpt          n_layer = 3: tables, blocks, a last norm, head         42,369

A block of the gpt: key, query, value; a projection C to C with bias; a
feed-forward of two layers with bias, C to 4 C and back; two norms, each with a
gain and a bias for every channel. The check asks for other sizes too.
"""


def bigram(V: int) -> int:
    raise NotImplementedError


def embedding(V: int, T: int, C: int) -> int:
    raise NotImplementedError


def one_head(V: int, T: int, C: int) -> int:
    raise NotImplementedError


def feed_forward(V: int, T: int, C: int) -> int:
    raise NotImplementedError


def gpt(V: int, T: int, C: int, n_layer: int) -> int:
    raise NotImplementedError
'''

HINT = "A linear layer from m to n has m * n weights, and n more with a bias. The number of heads does not matter."


def check(
    bigram: Callable[..., Any],
    embedding: Callable[..., Any],
    one_head: Callable[..., Any],
    feed_forward: Callable[..., Any],
    gpt: Callable[..., Any],
) -> str:
    """The table of the lecture, then other sizes; a difference that has a name is named."""
    for V, T, C, n in ((65, 8, 32, 3), (65, 256, 384, 6), (97, 11, 20, 1)):
        tables, head, attention = V * C + T * C, C * V + V, 3 * C * C
        parts = {
            "the bias of the head": V,
            "the position table": T * C,
            "the token table": V * C,
            "key, query and value": attention,
        }
        _equal(f"bigram({V})", bigram(V), V * V, {})
        size = f"({V}, {T}, {C})"
        _equal(f"embedding{size}", embedding(V, T, C), tables + head, parts)
        _equal(f"one_head{size}", one_head(V, T, C), tables + attention + head, parts)
        thinking = C * C + C
        more = {**parts, "the bias of the feed-forward": C, "the feed-forward": thinking}
        _equal(f"feed_forward{size}", feed_forward(V, T, C), tables + attention + thinking + head, more)
        block = attention + (C * C + C) + (C * 4 * C + 4 * C) + (4 * C * C + C) + 4 * C
        total = tables + n * block + 2 * C + head
        _equal(f"gpt({V}, {T}, {C}, {n})", gpt(V, T, C, n), total, _gpt_parts(parts, C, n, block, total))
    return "Right: 4,225, 4,481, 7,553, 8,609 and 42,369; and 10,788,929 for the lecture's large one."


def _gpt_parts(parts: dict[str, int], C: int, n: int, block: int, total: int) -> dict[str, int]:
    return {
        **{name: size for name, size in parts.items() if name != "key, query and value"},
        "the last norm": 2 * C,
        "the bias of every norm": (2 * n + 1) * C,
        "the norms of the blocks": 4 * C * n,
        "all norms": 4 * C * n + 2 * C,
        "the projection of each block": (C * C + C) * n,
        "the bias of each projection": C * n,
        "the biases of the feed-forward": 5 * C * n,
        "every bias in the blocks but those of the norms": 6 * C * n,
        "all blocks but one": block * (n - 1) or total,
        "key, query and value": 3 * C * C * n,
    }


def _equal(what: str, got: Any, right: int, parts: dict[str, int]) -> None:
    if isinstance(got, bool) or not isinstance(got, int):
        raise Wrong(f"{what} is {kind(got)}; a whole number is expected")
    if got == right:
        return
    missing = next((name for name, size in parts.items() if right - got == size), None)
    twice = next((name for name, size in parts.items() if got - right == size), None)
    reason = f": you forgot {missing}" if missing else f": you counted {twice} twice" if twice else ""
    raise Wrong(f"{what} is {got:,}, expected {right:,}{reason}")


EXERCISE = Exercise("parameter-count", "every number a model learns", "gpt", STARTER, HINT, check)
