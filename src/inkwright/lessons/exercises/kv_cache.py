"""kv-cache: read every token once."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inkwright.lessons.exercises.exercise import Exercise, Slips, Wrong, causal, same, tensor, triangle

STARTER = '''
"""Read every token once.

Writing a text, a model meets the same past again and again. Keys and values of
the past do not change, so they can be kept. The model you are given has
tok_emb, pos_emb, key, query, value, lm_head and block_size, and does this:

    x = model.tok_emb(idx) + model.pos_emb(torch.arange(T))
    scores = model.query(x) @ model.key(x).mT        (future masked)
    logits = model.lm_head(scores.softmax(-1) @ model.value(x))

read gets the tokens that come now, one or several, and a dict to keep things
in: empty at the beginning of a text, yours to fill. It returns the logits of
the new tokens, the same that the model gives for the whole text, but sends
only the new tokens through key and value.

When old and new tokens together are more than block_size, only the last
block_size tokens count. Each of them now has another position, so everything
must be read again: keep the ids, too. The model on the last block_size tokens,
model(idx), is then the answer (its last rows).
"""

import torch
from torch import Tensor


def read(model, new: Tensor, cache: dict) -> Tensor:
    """(B, T) ids that come now -> (B, T, V) logits of them"""
    raise NotImplementedError
'''

HINT = (
    "With n tokens in the cache, the new ones are at positions n ... n + T - 1, and the mask has T rows and "
    "n + T columns: torch.ones(T, n + T).tril(n)."
)


class TinyModel(nn.Module):
    """One head with learned positions; counts the tokens that go through `key`."""

    def __init__(self, V: int, C: int, block_size: int) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(V, C), nn.Embedding(block_size, C)
        self.key, self.query, self.value = (nn.Linear(C, C, bias=False) for _ in range(3))
        self.lm_head = nn.Linear(C, V)
        self.block_size = block_size
        self.keyed = 0
        self.key.register_forward_hook(self._count)

    def forward(self, idx: Tensor) -> Tensor:
        """(B, T) ids -> (B, T, V) logits."""
        x = self.tok_emb(idx) + self.pos_emb(torch.arange(idx.shape[1]))
        return self.lm_head(causal(self.query(x) @ self.key(x).mT) @ self.value(x))

    def _count(self, layer: nn.Module, inputs: Any, out: Tensor) -> None:
        self.keyed += out.shape[-2]


def check(read: Callable[..., Any]) -> str:
    """One token at a time, several at a time, two texts in turn, and past the end of the context."""
    for seed, pieces in enumerate([[3, 1, 1, 2, 1], [1] * 8, [4, 4], [5, 1, 1, 1, 1, 1, 1, 1], [8, 1, 3, 1]]):
        _text(read, seed, pieces)
    _two_texts(read)
    return "Right: the same logits at every step, past the context too, and every token is read once."


def _text(read: Callable[..., Any], seed: int, pieces: list[int]) -> None:
    torch.manual_seed(seed)
    model = TinyModel(11, 8, 8)
    idx = torch.randint(11, (2, sum(pieces)))
    cache: dict[Any, Any] = {}
    done = 0
    with torch.no_grad():
        for size in pieces:
            new, seen = idx[:, done : done + size], idx[:, max(0, done + size - 8) : done + size]
            right, slips = model(seen)[:, -size:], _slips(model, idx[:, :done], new)
            model.keyed = 0
            got = read(model, new.clone(), cache)
            what = f"the logits of {size} new after {done} old" + (", in a context of 8" if done + size > 8 else "")
            same(what, tensor(what, got, right.shape, slips), right, slips)
            if model.keyed > size and done + size <= 8:
                raise Wrong(f"{what}: {model.keyed} tokens went through key, only new ones should: keep the keys")
            done += size


def _two_texts(read: Callable[..., Any]) -> None:
    """A dict for each of two texts, read in turn: what belongs to one must not reach the other."""
    torch.manual_seed(7)
    model = TinyModel(11, 8, 8)
    texts, caches = torch.randint(11, (2, 1, 4)), ({}, {})
    with torch.no_grad():
        for t in range(4):
            for text, cache in zip(texts, caches, strict=True):
                got = tensor("logits", read(model, text[:, t : t + 1].clone(), cache), (1, 1, 11))
                if not torch.allclose(got.float(), model(text[:, : t + 1])[:, -1:], atol=1e-4):
                    raise Wrong(
                        "two texts read in turn, each with its own cache, disturb each other: keep all in cache"
                    )


def _slips(model: TinyModel, old: Tensor, new: Tensor) -> Slips:
    """What comes out of the known mistakes, `old` being what is in the cache."""
    n, T = old.shape[1], new.shape[1]
    if n + T > model.block_size:
        kept = old[:, T + n - model.block_size :] if model.block_size > T else old[:, :0]
        places = torch.arange(n - kept.shape[1], n).clamp(max=model.block_size - 1)
        stale = _logits(model, kept, places, new, torch.full((T,), model.block_size - 1), None)
        return {"the cache is stale: every position has moved, read the last block_size tokens again": stale}
    before, now = torch.arange(n), torch.arange(n, n + T)
    slips = {
        "position off by one: the first new token is at the number of tokens already read": [
            _logits(model, old, before, new, (now + 1).clamp(max=model.block_size - 1), None),
            _logits(model, old, before, new, (now - 1).clamp(min=0), None),
        ],
        "new tokens begin at position 0 again, they come after those in the cache": _logits(
            model, old, before, new, torch.arange(T), None
        ),
        "the mask is missing: new tokens read each other's future": _logits(
            model, old, before, new, now, torch.ones(T, n + T)
        ),
        "the cache is not read: the new tokens see only themselves": _logits(
            model, old[:, :0], before[:0], new, now, None
        ),
        "the mask is sized for one row: of several new tokens each has its own past": _logits(
            model, old, before, new, now, torch.ones(T, n + T).tril()
        ),
    }
    if n == 0:
        return {words: slip for words, slip in slips.items() if "position off" in words or "mask is missing" in words}
    return slips


def _logits(model: TinyModel, old: Tensor, before: Tensor, new: Tensor, now: Tensor, seen: Tensor | None) -> Tensor:
    """The model with chosen positions and a chosen mask."""
    x = model.tok_emb(new) + model.pos_emb(now)
    everything = torch.cat([model.tok_emb(old) + model.pos_emb(before), x], dim=1)
    seen = triangle(len(now), everything.shape[1]) if seen is None else seen > 0
    scores = model.query(x) @ model.key(everything).mT
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return model.lm_head(weights @ model.value(everything))


EXERCISE = Exercise("kv-cache", "read every token once", "sampling", STARTER, HINT, check)
