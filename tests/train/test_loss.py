"""A loss is exact: every token once, nothing drawn, nothing left out."""

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inkwright.model import LogitModel
from inkwright.text.windows import Windows
from inkwright.train.loss import Evaluation, evaluate, next_token_loss, token_losses

Make = Callable[..., LogitModel]
V = 29


def ids(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(V, size=n, dtype=np.uint8)


@torch.no_grad()
def one_token_at_a_time(model: LogitModel, text: np.ndarray, block_size: int) -> list[float]:
    """The surprise of every token but the first, each from a run of the model of its own, in float64."""
    found = []
    for at in range(1, len(text)):
        start = (at - 1) // block_size * block_size
        logits = model(torch.tensor(text[None, start:at].astype(int)))[0, -1].double()
        found.append(-logits.log_softmax(-1)[text[at]].item())
    return found


@settings(max_examples=20)
@given(n=st.integers(2, 60), block_size=st.integers(1, 16), batch_size=st.integers(1, 5))
def test_an_evaluation_is_what_one_token_at_a_time_gives(
    model_name: str, tiny_model: Make, n: int, block_size: int, batch_size: int
) -> None:
    model, text = tiny_model(model_name), ids(n)
    expected = one_token_at_a_time(model, text, block_size)
    windows = Windows(text, block_size)
    found = [value for batch in token_losses(model, windows, batch_size) for value in batch.flatten().tolist()]
    assert found == pytest.approx(expected, abs=1e-5, rel=1e-6)
    evaluation = evaluate(model, windows, batch_size)
    assert evaluation.loss == pytest.approx(statistics.fmean(expected), rel=1e-6) and evaluation.tokens == n - 1


def test_a_model_that_knows_nothing_scores_ln_v() -> None:
    assert next_token_loss(torch.zeros(2, 5, V), torch.zeros(2, 5, dtype=torch.long)).item() == pytest.approx(
        math.log(V)
    )


def test_a_model_that_is_sure_scores_zero_or_pays_for_it() -> None:
    logits = torch.full((1, 2, 3), -100.0).index_fill(2, torch.tensor([1]), 0.0)
    assert next_token_loss(logits, torch.tensor([[1, 1]])).item() == pytest.approx(0)
    assert next_token_loss(logits, torch.tensor([[1, 0]])).item() == pytest.approx(50)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_standard_error_is_that_of_the_mean_of_equal_windows(batch_size: int, tiny_model: Make) -> None:
    model, text = tiny_model("classic"), ids(10 * 8 + 1)
    losses = torch.tensor(one_token_at_a_time(model, text, 8)).view(10, 8).mean(1).tolist()
    expected = statistics.stdev(losses) / math.sqrt(10)
    assert evaluate(model, Windows(text, 8), batch_size).stderr == pytest.approx(expected, rel=1e-5)


def test_a_window_with_a_tail_weighs_by_its_tokens(tiny_model: Make) -> None:
    model = tiny_model("bigram")
    whole = evaluate(model, Windows(ids(81), 8)).stderr
    with_a_tail = evaluate(model, Windows(ids(82), 8)).stderr
    assert with_a_tail == pytest.approx(whole, rel=0.1)  # one token more is a window more, and hardly more text


def test_the_standard_error_of_one_window_is_that_of_its_tokens(tiny_model: Make) -> None:
    model, text = tiny_model("bigram"), ids(9)
    expected = statistics.stdev(one_token_at_a_time(model, text, 8)) / math.sqrt(8)
    assert evaluate(model, Windows(text, 8)).stderr == pytest.approx(expected, rel=1e-5)
    assert math.isnan(evaluate(model, Windows(ids(2), 8)).stderr), "one token says nothing about others"


@pytest.mark.parametrize("was_training", [True, False])
def test_evaluating_turns_dropout_off_and_leaves_the_model_as_it_was(was_training: bool, tiny_model: Make) -> None:
    model, windows = tiny_model("classic", dropout=0.5).train(was_training), Windows(ids(50), 8)
    before = torch.random.get_rng_state()
    assert evaluate(model, windows) == evaluate(model, windows)
    assert model.training == was_training
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(weight.grad is None for weight in model.parameters())


def test_bits_are_counted_for_what_the_tokens_spell() -> None:
    assert Evaluation(loss=math.log(2), stderr=0.0, tokens=100).bits_per(200) == pytest.approx(0.5)
