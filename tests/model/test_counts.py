"""Count models: what they count, that it is a distribution, and the published figures on tiny Shakespeare."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inkwright.config import ModelConfig, TextConfig
from inkwright.model.counts import Counts, choose_order, count_grams
from inkwright.text.tokenizer import Tokenizer

V = 7


def counted(ids: np.ndarray, order: int, vocab_size: int = V, block_size: int = 32) -> Counts:
    model = Counts(ModelConfig(model="counts", ngram_order=order, vocab_size=vocab_size, block_size=block_size))
    model.count(ids)
    return model


def prose(n: int, seed: int = 0) -> np.ndarray:
    """Ids of which some depend on the one before."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(V, size=n)
    ids[1::2] = (ids[: n - n % 2 : 2] * 2 + rng.integers(2, size=n // 2)) % V
    return ids


texts = st.lists(st.integers(0, V - 1), min_size=1, max_size=60).map(np.array)


@settings(max_examples=60)
@given(ids=texts, order=st.integers(1, 5))
def test_every_gram_is_counted_as_often_as_it_occurs(ids: np.ndarray, order: int) -> None:
    places: dict[tuple[int, ...], int] = {(): 0}
    for k, (grams, counts) in enumerate(count_grams(ids, order, V), start=1):
        expected = Counter(tuple(ids[i : i + k].tolist()) for i in range(len(ids) - k + 1))
        keys = {gram: places[gram[:-1]] * V + gram[-1] for gram in expected}
        assert dict(zip(grams.tolist(), counts.tolist(), strict=True)) == {keys[g]: n for g, n in expected.items()}
        assert grams.tolist() == sorted(keys.values())
        places = {gram: grams.tolist().index(key) for gram, key in keys.items()}


def test_a_vocabulary_too_large_to_be_packed_into_one_number_is_counted_all_the_same() -> None:
    ids = np.random.default_rng(1).integers(0, 40, 500)
    spread = ids * 1_000_003  # V ** order is far beyond 64 bits
    for (_, narrow), (_, wide) in zip(count_grams(ids, 6, 40), count_grams(spread, 6, 2**26), strict=True):
        assert narrow.tolist() == wide.tolist()


@settings(max_examples=40)
@given(ids=texts, order=st.integers(0, 5), context=st.lists(st.integers(0, V - 1), min_size=1, max_size=9))
def test_probabilities_sum_to_one_in_any_context_and_none_is_zero(
    ids: np.ndarray, order: int, context: list[int]
) -> None:
    probs = counted(ids, order)(torch.tensor([context])).exp()
    torch.testing.assert_close(probs.sum(-1), torch.ones(1, len(context)), rtol=0, atol=1e-5)
    assert (probs > 0).all()


def test_the_surprise_of_each_target_is_what_the_whole_distribution_says() -> None:
    text, rest = prose(800), torch.from_numpy(prose(64, 1).reshape(2, 32))
    targets = rest.roll(-1, 1)
    for order in range(6):
        model = counted(text, order)
        whole = -model(rest).gather(-1, targets[..., None])[..., 0]
        torch.testing.assert_close(model.losses(rest, targets)[-1], whole)


def test_each_row_of_losses_is_a_model_of_that_order() -> None:
    text, rest = prose(800), torch.from_numpy(prose(64, 1)[None])
    rows = counted(text, 4).losses(rest[:, :-1], rest[:, 1:])
    for order in range(5):
        torch.testing.assert_close(rows[order], counted(text, order).losses(rest[:, :-1], rest[:, 1:])[-1])


def kneser_ney(ids: list[int], order: int, context: tuple[int, ...], token: int) -> float:
    """The definition, one token at a time, slowly: what the tables must give."""
    grams = {k: Counter(tuple(ids[i : i + k]) for i in range(len(ids) - k + 1)) for k in range(1, order + 1)}
    following = {
        k: Counter(gram[1:] for gram in grams[k + 1]) for k in range(1, order)
    }  # how many different tokens stood before

    def discounts(counts: Counter) -> list[float]:
        n = [sum(1 for c in counts.values() if c == i) for i in range(5)]
        if not all(n[1:]):
            return [0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        return [0.0] + [min(max(c - (c + 1) * y * n[c + 1] / n[c], 0.1), c - 0.1) for c in (1, 2, 3)]

    def share(k: int) -> float:
        if k == 0:
            return 1 / V
        history = context[len(context) - (k - 1) :]
        whole = k == order or len(context) == k - 1
        counts = grams[k] if whole else following[k]
        below = share(k - 1) if k > 1 else 1 / V
        seen = {gram: c for gram, c in counts.items() if gram[:-1] == history}
        if not seen:
            return below
        d, total = discounts(counts), sum(seen.values())
        kept = max(seen.get((*history, token), 0) - d[min(seen.get((*history, token), 0), 3)], 0) / total
        return kept + sum(min(d[min(c, 3)], c) for c in seen.values()) / total * below

    return share(min(order, len(context) + 1))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_prediction_is_what_the_definition_gives(order: int) -> None:
    text = prose(300)
    model = counted(text, order)
    for context in itertools.islice(itertools.product(range(V), repeat=3), 0, 343, 17):
        for length in (1, 2, 3):
            probs = model(torch.tensor([context[:length]]))[0, -1].exp()
            for token in range(V):
                expected = kneser_ney(text.tolist(), order, context[:length], token)
                assert probs[token].item() == pytest.approx(expected, rel=1e-4)


def test_the_order_is_chosen_where_the_text_is_predicted_best() -> None:
    assert choose_order(np.random.default_rng(0).integers(V, size=4000), V) <= 1  # nothing follows from anything
    assert choose_order(np.tile([0, 1, 0, 2, 0, 3], 300), V) >= 3  # two tokens tell the next


def test_a_text_of_one_token_can_be_counted() -> None:
    assert math.isfinite(counted(np.array([3]), 3)(torch.tensor([[3, 4]])).sum().item())


# ---------------------------------------------------------------- tiny Shakespeare


@pytest.fixture(scope="module")
def split(shakespeare) -> tuple[np.ndarray, np.ndarray]:
    text = shakespeare.read_text()
    ids = Tokenizer.fit(TextConfig(alphabet="bare"), [text]).encode(text)
    return ids[:1_003_854], ids[1_003_854:]


def test_on_shakespeare_the_orders_reach_the_published_losses(split: tuple[np.ndarray, np.ndarray]) -> None:
    train, val = split
    assert choose_order(train, 65) == 7
    model = counted(train, 7, 65)
    free = torch.from_numpy(val.astype(np.int64))[None]
    losses = model.losses(free[:, :-1], free[:, 1:]).double().mean((1, 2)).tolist()
    assert losses == pytest.approx([4.1744, 3.3473, 2.4835, 2.038, 1.719, 1.561, 1.523, 1.5165], abs=1e-3)
    for block_size, published in ((64, 1.542), (256, 1.522)):
        whole = (len(val) - 1) // block_size
        idx, targets = (free[0, i : i + whole * block_size].view(whole, block_size) for i in (0, 1))
        assert model.losses(idx, targets)[-1].mean().item() == pytest.approx(published, abs=3e-3)
    assert sum(len(model.get_buffer(f"grams_{k}")) for k in range(1, 6)) == 194_505
