"""The distribution a token is drawn from is exactly what was asked for, and the draw is fair."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inkwright.config import SampleConfig
from inkwright.errors import ModelError
from inkwright.model import LogitModel
from inkwright.sample.draw import Pen, draw, probabilities
from inkwright.sample.generate import generate

PROBS = [0.1, 0.4, 0.2, 0.3]


def filtered(probs: Sequence[float], **config: float) -> list[float]:
    """The distribution that remains of `probs`."""
    logits = torch.tensor([math.log(p) if p else -math.inf for p in probs], dtype=torch.float64) + 3.0
    return probabilities(logits, SampleConfig(**config)).tolist()  # type: ignore[arg-type]


def normal(*weights: float) -> list[float]:
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, PROBS),
        ({"temperature": 0.5}, normal(0.01, 0.16, 0.04, 0.09)),
        ({"temperature": 2.0}, normal(*map(math.sqrt, PROBS))),
        ({"temperature": 0.0}, [0, 1, 0, 0]),
        ({"temperature": 0.0, "top_k": 3, "top_p": 0.9, "min_p": 0.1}, [0, 1, 0, 0]),
        ({"top_k": 1}, [0, 1, 0, 0]),
        ({"top_k": 2}, normal(0, 0.4, 0, 0.3)),
        ({"top_k": 99}, PROBS),
        ({"top_p": 0.01}, [0, 1, 0, 0]),
        ({"top_p": 0.39}, [0, 1, 0, 0]),
        ({"top_p": 0.41}, normal(0, 0.4, 0, 0.3)),  # the token that crosses stays
        ({"top_p": 0.69}, normal(0, 0.4, 0, 0.3)),
        ({"top_p": 0.71}, normal(0, 0.4, 0.2, 0.3)),
        ({"top_p": 1.0}, PROBS),
        ({"min_p": 0.49}, normal(0, 0.4, 0.2, 0.3)),  # at least half as likely as the likeliest
        ({"min_p": 0.51}, normal(0, 0.4, 0, 0.3)),
        ({"min_p": 1.0}, [0, 1, 0, 0]),
        ({"top_k": 2, "top_p": 0.58}, normal(0, 0.4, 0, 0.3)),  # 0.4 is 0.571 of what top-k left
        ({"top_k": 2, "top_p": 0.56}, [0, 1, 0, 0]),
        ({"top_p": 0.71, "min_p": 0.51}, normal(0, 0.4, 0, 0.3)),
        ({"temperature": 0.5, "top_p": 0.6}, normal(0, 0.16, 0, 0.09)),  # temperature first: 0.16 is 0.533 of 0.3
        ({"temperature": 0.5, "min_p": 0.3}, normal(0, 0.16, 0, 0.09)),  # and 0.04 a quarter of 0.16
    ],
)
def test_what_remains_is_exactly_what_was_asked_for(config: dict[str, float], expected: list[float]) -> None:
    assert filtered(PROBS, **config) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_of_equally_likely_tokens_top_k_keeps_those_with_the_smaller_ids_and_no_more_than_k(k: int) -> None:
    kept = [i for i, p in enumerate(filtered([0.25] * 4, top_k=k)) if p]
    assert kept == list(range(k))
    assert filtered([0.2, 0.4, 0.2, 0.2], top_k=2) == pytest.approx(normal(0.2, 0.4, 0, 0))


def test_of_equally_likely_tokens_the_greedy_one_is_the_first() -> None:
    assert filtered([0.2, 0.4, 0.4], temperature=0.0) == [0, 1, 0]


def test_ties_are_broken_alike_among_many() -> None:
    kept = probabilities(torch.zeros(5000), SampleConfig(top_k=2500)).nonzero().flatten()
    assert torch.equal(kept, torch.arange(2500))


@given(
    logits=st.lists(st.integers(-50, 50).map(float) | st.just(-math.inf), min_size=1, max_size=8).filter(
        lambda logits: max(logits) > -math.inf
    ),
    temperature=st.floats(0, 5),
    top_k=st.integers(0, 9),
    top_p=st.floats(1e-9, 1),
    min_p=st.floats(0, 1),
)
def test_whatever_is_asked_for_the_likeliest_remains_and_all_sums_to_one(
    logits: list[float], temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    config = SampleConfig(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    probs = probabilities(torch.tensor(logits), config)
    best = torch.tensor(logits).argmax()
    assert probs.sum().item() == pytest.approx(1) and probs[best] == probs.max() > 0
    assert not probs[torch.tensor(logits) == -math.inf].any()
    assert not top_k or (probs > 0).sum() <= top_k


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-310])
def test_a_temperature_near_zero_is_nearly_greedy(temperature: float) -> None:
    assert filtered(PROBS, temperature=temperature) == pytest.approx([0, 1, 0, 0])


@pytest.mark.parametrize(
    "bad", [[math.nan, 1.0], [-math.inf, -math.inf], [math.inf, 0.0], [math.nan] * 2, [math.inf] * 2]
)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_finite_numbers_are_an_error_and_no_text(bad: list[float], temperature: float) -> None:
    with pytest.raises(ModelError, match="no finite probabilities"):
        probabilities(torch.tensor(bad), SampleConfig(temperature=temperature))


# ---------------------------------------------------------------- drawing


def test_tokens_are_drawn_as_often_as_they_are_probable() -> None:
    rng = torch.Generator().manual_seed(1)
    n = 20_000
    counts = torch.bincount(torch.tensor([draw(torch.tensor(PROBS), rng) for _ in range(n)]), minlength=4)
    expected = torch.tensor(PROBS) * n
    assert ((counts - expected) ** 2 / expected).sum() < 11.3  # chi-square with 3 degrees of freedom: 1 in 100


def test_a_token_without_probability_is_never_drawn_wherever_it_stands() -> None:
    probs = torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0], dtype=torch.float64)
    rng = torch.Generator().manual_seed(1)
    assert {draw(probs, rng) for _ in range(500)} == {1, 3}


@pytest.mark.parametrize(("number", "token"), [(0.0, 1), (0.5 - 2**-53, 1), (0.5, 3), (1 - 2**-53, 3)])
def test_the_smallest_and_the_largest_number_draw_a_token_that_is_possible(
    number: float, token: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "rand", lambda *shape, **how: torch.tensor(number, dtype=torch.float64))
    assert draw(torch.tensor([0.0, 0.5, 0.0, 0.5, 0.0], dtype=torch.float64), torch.Generator()) == token


def test_the_same_generator_state_draws_the_same_token() -> None:
    probs = torch.tensor(PROBS)
    drawn = [[draw(probs, rng) for _ in range(50)] for rng in (torch.Generator().manual_seed(4) for _ in range(2))]
    assert drawn[0] == drawn[1]


def test_a_draw_takes_exactly_one_number_from_its_generator() -> None:
    one, other = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    draw(torch.tensor(PROBS), one), draw(torch.tensor([1.0]), other)
    assert torch.equal(one.get_state(), other.get_state())  # so a filter does not shift all later draws


# ---------------------------------------------------------------- penalties and biases


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [1.0, -2.0, 3.0, 0.5]),
        ({"repetition_penalty": 2.0}, [0.5, -4.0, 3.0, 0.5]),  # 0 is in the prompt, 1 was written twice
        ({"presence_penalty": 0.5}, [1.0, -2.5, 3.0, 0.5]),  # only what was written
        ({"frequency_penalty": 0.5}, [1.0, -3.0, 3.0, 0.5]),
        ({"repetition_penalty": 2.0, "presence_penalty": 0.5, "frequency_penalty": 0.5}, [0.5, -5.5, 3.0, 0.5]),
    ],
)
def test_a_penalty_takes_exactly_what_it_says(config: dict[str, float], expected: list[float]) -> None:
    pen = Pen(4, [0], SampleConfig(temperature=0, **config))  # type: ignore[arg-type]
    for _ in range(2):
        assert pen.draw(torch.tensor([0.0, 9.0, 0.0, 0.0])) == 1
    assert pen.penalized(torch.tensor([1.0, -2.0, 3.0, 0.5])).tolist() == expected


def test_a_bias_is_added_after_the_penalties_and_before_the_filters() -> None:
    config = SampleConfig(top_k=1, repetition_penalty=10, logit_bias={0: 3.0})
    assert Pen(3, [0], config).draw(torch.tensor([0.0, 2.0, 1.0])) == 0
    assert Pen(3, [0], config, never=[0]).draw(torch.tensor([0.0, 2.0, 1.0])) == 1


# ---------------------------------------------------------------- writing

Make = Callable[..., LogitModel]


def test_tokens_that_may_never_come_never_come(model_name: str, tiny_model: Make) -> None:
    model = tiny_model(model_name)
    never = [*range(3, 29)]
    for temperature in (0.0, 1.0, 5.0):
        config = SampleConfig(max_new_tokens=100, temperature=temperature)
        assert set(generate(model, [5], config, never)) <= {0, 1, 2}


def test_a_seed_decides_the_text_and_no_other_generator_does(tiny_model: Make) -> None:
    model = tiny_model("classic")
    texts = []
    for seed, disturbance in ((1, 1), (1, 2), (2, 1)):
        torch.manual_seed(disturbance)
        texts.append(list(generate(model, [5], SampleConfig(max_new_tokens=40, seed=seed))))
    assert texts[0] == texts[1] != texts[2]


def test_a_longer_text_begins_as_the_shorter_one_does(tiny_model: Make) -> None:
    model = tiny_model("modern")
    long, short = (list(generate(model, [5], SampleConfig(max_new_tokens=n))) for n in (60, 20))
    assert long[:20] == short


def test_only_as_much_of_a_prompt_as_fits_is_read(tiny_model: Make) -> None:
    model = tiny_model("classic", block_size=8)
    config = SampleConfig(max_new_tokens=20)
    assert list(generate(model, [*range(20)], config)) == list(generate(model, [*range(12, 20)], config))


@pytest.mark.parametrize("was_training", [True, False])
def test_writing_drops_nothing_and_leaves_the_model_as_it_was(was_training: bool, tiny_model: Make) -> None:
    model = tiny_model("classic", dropout=0.5).train(was_training)
    config = SampleConfig(max_new_tokens=5)
    first = list(generate(model, [5], config))
    writing = generate(model, [5], config)
    assert next(writing) == first[0]
    assert model.training == was_training and not torch.is_inference_mode_enabled()  # between two tokens too
    assert [first[0], *writing] == first


def test_the_greedy_text_is_the_likeliest_token_after_each(tiny_model: Make) -> None:
    model, context = tiny_model("modern"), [5]
    for token_id in generate(model, [5], SampleConfig(max_new_tokens=15, temperature=0)):
        with torch.no_grad():
            assert token_id == model(torch.tensor([context]))[0, -1].argmax()
        context.append(token_id)
