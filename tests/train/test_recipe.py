"""The model and the way of training fit the text, the time and the machine; what to expect is said in numbers."""

import pytest

from inkwright.config import TrainConfig, change, resolve
from inkwright.train import forecast, recipe
from inkwright.train.pace import Pace

MEGABYTE = 1_000_000


def chosen(train_tokens: int, seconds: float, rate: float = 20_000) -> dict[str, float]:
    """For a machine that trains the smallest size at `rate` tokens a second, the others by what they cost."""

    def tokens_per_second(size: recipe.Size) -> float:
        work = 50_000 + size.n_layer * size.n_embd**2
        return rate * 54_096 / work * size.batch_size / (size.batch_size + 2)

    return recipe.choose("swift", train_tokens, 322, seconds, tokens_per_second)


def width(settings: dict[str, float]) -> float:
    return settings["n_layer"] * settings["n_embd"] ** 2


def test_more_time_a_faster_machine_and_more_text_never_choose_a_smaller_model() -> None:
    times = [width(chosen(MEGABYTE, seconds)) for seconds in (10, 60, 600, 3600, 36_000)]
    assert times == sorted(times) and times[0] < times[-1]
    rates = [width(chosen(MEGABYTE, 60, rate)) for rate in (1e3, 1e5, 1e7)]
    assert rates == sorted(rates) and rates[0] < rates[-1]
    texts = [width(chosen(tokens, 36_000)) for tokens in (20_000, 200_000, MEGABYTE)]
    assert texts == sorted(texts) and texts[0] < texts[-1]


def test_the_more_often_a_text_is_read_the_more_is_dropped() -> None:
    dropped = [chosen(MEGABYTE, seconds)["dropout"] for seconds in (10, 600, 360_000)]
    assert dropped == sorted(dropped) and dropped[0] == 0 and dropped[-1] >= 0.2


def test_only_sizes_that_come_into_question_are_timed() -> None:
    asked = []

    def tokens_per_second(size: recipe.Size) -> float:
        asked.append(size)
        return 20_000

    recipe.choose("swift", MEGABYTE, 322, 5, tokens_per_second)
    assert asked == [recipe.SIZES["swift"][0]]


@pytest.mark.parametrize(("model", "size"), [(model, size) for model, sizes in recipe.SIZES.items() for size in sizes])
def test_every_size_is_a_model(model: str, size: recipe.Size) -> None:
    resolve({"model": model} | {name: getattr(size, name) for name in recipe.SHAPE} | recipe.WAYS[model])


@pytest.mark.parametrize(("steps", "look_seconds"), [(1, 5.0), (100, 3.0), (100, 0.0), (5000, 0.5), (5000, 60.0)])
def test_judging_and_saving_stay_a_small_part_of_the_time_and_happen_once_at_least(steps, look_seconds) -> None:
    rhythm = recipe.rhythm(steps, 0.1, look_seconds)
    looks = -(-steps // rhythm["eval_every"])
    assert 1 <= looks <= recipe.MOST_EVALUATIONS
    share = recipe.A_CURVE_SHARE if looks <= recipe.A_CURVE else recipe.EVALUATION_SHARE
    assert looks == 1 or looks * look_seconds <= share * steps * 0.1


@pytest.mark.parametrize(("n_embd", "wanted", "heads"), [(64, 6, 4), (72, 4, 4), (7, 4, 1), (192, 6, 6), (10, 4, 1)])
def test_heads_divide_the_width_into_even_parts(n_embd, wanted, heads) -> None:
    assert recipe.heads(n_embd, wanted) == heads


def scale(unigram: float, ngram: float) -> list[dict[str, float | str]]:
    return [{"name": "unigram", "loss": unigram}, {"name": "ngram", "loss": ngram}]


SHAKESPEARE, HEAD, PYDOCS, FRENCH_BPE = scale(3.347, 1.53), scale(3.324, 1.517), scale(3.24, 1.142), scale(5.903, 2.548)
"""All of tiny Shakespeare, its first 100,000 characters, Python's documentation; 1.6 MB of French manual pages in BPE."""
LONG, LONG_HEAD = scale(3.347, 1.523), scale(3.324, 1.5)  # in longer windows, which more minutes have


@pytest.mark.parametrize(
    ("model", "lines", "tokens", "epochs", "reached"),
    [
        ("gpt", SHAKESPEARE, 2_048_000, 2.04, 1.5062), ("gpt", SHAKESPEARE, 6_144_000, 6.12, 1.4803),
        ("gpt", SHAKESPEARE, 286_720, 0.286, 1.792), ("gpt", HEAD, 360_448, 4.0, 1.625), ("gpt", PYDOCS, 167_936, 0.4, 1.601),
        ("swift", SHAKESPEARE, 81_920, 0.082, 1.7784), ("swift", SHAKESPEARE, 1_003_520, 1.0, 1.4842),
        ("swift", HEAD, 98_304, 1.09, 1.530), ("swift", HEAD, 45_056, 0.5, 1.698), ("swift", PYDOCS, 167_936, 0.4, 1.309),
        ("swift", PYDOCS, 460_800, 1.1, 1.161), ("swift", PYDOCS, 40_960, 0.098, 1.618),
        ("gpt", FRENCH_BPE, 249_856, 0.4, 3.456),
        ("swift", LONG, 6_700_000, 6.7, 1.4125), ("swift", LONG, 28_300_000, 28.2, 1.3764),
        ("swift", LONG_HEAD, 1_350_000, 15.0, 1.4176), ("swift", LONG_HEAD, 2_700_000, 30.0, 1.4088),
        ("swift", FRENCH_BPE, 94_208, 0.151, 3.375), ("swift", FRENCH_BPE, 374_784, 0.601, 2.692),
    ],
)  # fmt: skip
def test_losses_that_were_reached_lie_in_the_band_that_was_expected(model, lines, tokens, epochs, reached) -> None:
    low, high = forecast.losses_of(model, lines, tokens, epochs)
    assert low <= reached <= high and high - low < (0.1 if tokens > 1e6 else 0.3) * high


def test_a_model_that_sees_almost_nothing_is_expected_to_know_almost_nothing() -> None:
    assert forecast.losses_of("gpt", SHAKESPEARE, 10, 1e-5) == pytest.approx((3.180, 3.514), abs=1e-3)
    assert forecast.losses_of("swift", SHAKESPEARE, 0, 0.0) == (1.53, 3.347)


def test_the_time_that_is_forecast_is_that_of_steps_evaluations_and_saves() -> None:
    train = TrainConfig(steps=1000, eval_every=250, checkpoint_every=500)
    pace = Pace(step_seconds=0.1, token_seconds=1e-5)
    bare = forecast.seconds_of(train, pace, 0, 5.0)
    assert bare == pytest.approx(5 + 100, abs=4)
    assert forecast.seconds_of(train, pace, 100_000, 5.0) == pytest.approx(bare + 4)
    assert forecast.seconds_of(change(train, minutes=1), pace, 100_000, 5.0) == 60


@pytest.mark.parametrize(("steps", "reading"), [(1000, 300.0), (3000, 41.7), (700, 441.1), (90, 88.0)])
def test_a_text_that_is_read_more_than_once_is_judged_where_readings_end(steps: int, reading: float) -> None:
    every = recipe.rhythm(steps, 0.05, 0.5, reading)["eval_every"]
    parts = reading / every if every < reading else every / reading
    assert parts == pytest.approx(round(parts), rel=0.05), f"{every} steps of {reading}"


def test_a_text_that_is_read_once_is_judged_as_any_other() -> None:
    assert recipe.rhythm(1000, 0.05, 0.5, 1000.0) == recipe.rhythm(1000, 0.05, 0.5)
