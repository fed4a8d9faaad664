"""A run is judged by its record: what is said holds for curves that were drawn for it, with their numbers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from inkwright.config import resolve
from inkwright.session.history import evaluations, samples
from inkwright.session.verdict import Finding, against, findings

SCALE = [
    {"name": name, "loss": loss, "bits_per_char": loss, "order": order}
    for name, loss, order in [("uniform", 4.0, 0), ("bigram", 2.5, 2), ("ngram", 1.5, 7), ("gzip", 2.2, None)]
]
PARAMETERS = 100_000


def record(steps: int = 1000, **settings: Any) -> dict[str, Any]:
    """Of a run that reads 1,000 tokens a step."""
    asked = {"steps": steps, "batch_size": 10, "block_size": 100} | settings
    return {"config": resolve(asked).model_dump(), "baseline": SCALE, "parameters": PARAMETERS, "changes": []}


def curve(val: Callable[[int], float], train: Callable[[int], float], last: int = 1000) -> list[dict[str, Any]]:
    """A report every 10 steps, an evaluation every 100."""
    lines: list[dict[str, Any]] = [{"step": s, "loss": train(s), "seconds": s * 0.3} for s in range(10, last + 1, 10)]
    return [line | ({"val_loss": val(line["step"])} if line["step"] % 100 == 0 else {}) for line in lines]


def judged(
    lines: Sequence[dict[str, Any]], text_tokens: int | None = 10_000_000, **settings: Any
) -> dict[str, Finding]:
    return {finding.id: finding for finding in findings(record(**settings), lines, text_tokens)}


def falling(to: float, by: float = 1.0) -> Callable[[int], float]:
    """As losses do: evenly over log steps, `by` for each factor of ten, to `to` at step 1,000."""
    return lambda step: to + by * math.log10(1000 / step)


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (1.4, "Good for this text: 1.400 is 0.100 below the 7-gram's 1.500"),
        (1.49, "Good, but only just: 1.490 is 0.010 below"),
        (1.5001, "Just the 7-gram's 1.500, the best"),
        (1.6, "Not good yet: 1.600 is below gzip's 2.200, but still 0.100 above the 7-gram's 1.500"),
        (3.0, "Not good yet: 3.000 is below guessing's 4.000"),
        (5.0, "Worse than guessing: 5.000, and"),
    ],
)
def test_a_loss_is_judged_against_the_scale(loss: float, sentence: str) -> None:
    assert against(loss, SCALE).sentence.startswith(sentence)


def test_a_loss_that_rises_while_the_training_loss_falls_is_overfitting_and_wants_text() -> None:
    def val(step: int) -> float:
        return falling(1.9)(step) if step <= 400 else falling(1.9)(400) + (step - 400) * 0.0002

    said = judged(curve(val, falling(1.0)), text_tokens=50_000)
    assert said["overfitting"].sentence.startswith(
        "It overfits: since step 400 the loss on unseen text rose by 0.120, from 2.298 to 2.418, while the training loss "
        "fell by 0.39. The checkpoint of step 400 is the one"
    )
    assert said["help"].numbers["advice"] == "more text" and "--steps 400" in said["help"].sentence
    assert "8.0 times" in said["help"].sentence  # 400 steps of 1,000 tokens


def test_a_loss_that_rises_together_with_the_training_loss_is_no_overfitting() -> None:
    def rising(step: int) -> float:
        return 2.0 + abs(step - 500) * 0.0005

    said = judged(curve(rising, rising))
    assert said["overfitting"].sentence.startswith("It became worse without overfitting: since step 500")
    assert said["help"].numbers["advice"] == "lower learning rate"


def test_a_wobble_is_no_overfitting() -> None:
    def wobbling(step: int) -> float:
        return 2.0 - step * 1e-5 + (0.03 if step // 100 % 2 == 0 else 0.0)

    assert judged(curve(wobbling, falling(1.5)))["overfitting"].sentence.startswith("It does not overfit")


def test_a_curve_that_still_falls_wants_minutes_and_says_how_much_its_second_half_gained() -> None:
    said = judged(curve(falling(1.6), falling(1.55)))["help"]
    gained = math.log10(2)  # from step 500 to 1,000
    assert said.numbers["advice"] == "more minutes" and said.numbers["sure"]
    assert said.numbers["minutes_gain_at_most"] == pytest.approx(gained, abs=1e-6)
    assert f"gained {gained:.3f}, and twice the steps (another 5 minutes)" in said.sentence


def test_a_gap_that_grew_wants_text_and_the_gap_that_was_there_from_the_start_does_not() -> None:
    def train(step: int) -> float:  # the held-out part is harder by 0.1; from step 300 on, what is read again is known
        return falling(1.6, by=0.05)(step) - 0.1 - max(0, step - 300) / 700 * 0.3

    said = judged(curve(falling(1.6, by=0.05), train), text_tokens=300_000)
    assert said["help"].numbers["advice"] == "more text"
    assert said["help"].numbers["text_gain_at_most"] == pytest.approx(0.3, abs=0.05)
    assert "It does not overfit" in said["overfitting"].sentence and "by heart" in said["overfitting"].sentence
    assert "0.10 while all of it was new" in said["overfitting"].sentence
    harder = judged(curve(falling(1.6, by=0.05), lambda step: falling(1.5, by=0.05)(step)), text_tokens=300_000)
    assert harder["help"].numbers["text_gain_at_most"] == pytest.approx(0, abs=0.01)


def test_where_neither_text_nor_minutes_gain_a_bigger_model_is_left() -> None:
    said = judged(curve(falling(1.6, by=0.02), falling(1.59, by=0.02)))["help"]
    assert said.numbers["advice"] == "bigger model" and "--n-embd 256" in said.sentence
    assert "10.0 tokens for each of its 100,000 parameters" in said.sentence and "cannot tell" in said.sentence
    assert "next rung" in judged(curve(falling(1.6, by=0.02), falling(1.59, by=0.02)), model="bigram")["help"].sentence


def test_a_run_that_was_stopped_should_go_on_unless_it_waited_in_vain() -> None:
    lines = curve(falling(1.6), falling(1.55), last=400)
    said = judged(lines)["help"]
    assert said.numbers["advice"] == "go on" and "step 400 is 40% of the 1,000 planned" in said.sentence
    assert "learning rate" in said.sentence
    assert "learning rate" not in judged(lines, schedule="constant")["help"].sentence
    flat = curve(lambda step: 2.0 if step == 100 else 2.001, falling(1.9), last=400)
    assert judged(flat, patience=3)["help"].numbers["advice"] != "go on"


@pytest.mark.parametrize("last", [100, 190])
def test_one_evaluation_tells_neither_overfitting_nor_what_would_help(last: int) -> None:
    said = judged(curve(falling(1.6), falling(1.5), last=last), steps=last)
    assert "was judged once, at step 100" in said["overfitting"].sentence
    assert said["help"].numbers["advice"] in ("more evaluations", "go on")


def test_with_dropout_the_gap_is_told_to_be_larger_than_it_looks() -> None:
    said = judged(curve(falling(1.6), falling(1.55)), dropout=0.2)["help"]
    assert "measured with dropout" in said.sentence and not said.numbers["sure"]


def test_nothing_is_said_of_nothing_and_a_scribbled_record_is_passed_over() -> None:
    assert [finding.id for finding in findings(record(), [], None)] == ["overfitting"]
    scribbles: list[dict[str, Any]] = [
        {},
        {"step": "7", "val_loss": 1},
        {"step": 5, "val_loss": math.nan, "loss": None},
    ]
    lines = [*scribbles, *curve(falling(1.6), falling(1.55)), *scribbles]
    assert judged(lines)["help"].numbers["advice"] == "more minutes"
    assert all(math.isfinite(n) for one in judged(lines).values() for n in one.numbers.values() if type(n) is float)


def test_a_count_model_is_only_held_against_the_scale() -> None:
    lines = [{"step": 1, "loss": 0.5, "val_loss": 1.5}]
    said = judged(lines, steps=1, model="counts")
    assert list(said) == ["scale"] and "1.500 is what a network has to get below" in said["scale"].sentence


def test_only_what_was_judged_on_the_text_of_now_counts() -> None:
    lines = curve(lambda step: 0.5 if step <= 500 else falling(1.6)(step), falling(1.5))
    changed = record() | {"changes": [{"step": 500, "fingerprint": "another"}]}
    assert [finding.numbers["loss"] for finding in findings(changed, lines, 10**7) if finding.id == "scale"] == [1.6]


def test_old_batches_are_not_taken_for_a_smaller_gap() -> None:
    points = evaluations(curve(falling(1.6), falling(1.6)))
    assert [point.step for point in points] == list(range(100, 1001, 100))
    assert all(abs(point.gap) < 0.01 for point in points)  # the mean of the batches before lies up to 0.1 above


def test_the_samples_of_a_record_come_in_order_and_once() -> None:
    lines = [
        {"step": 20, "sample": "b"},
        {"step": 10, "sample": "a"},
        {"step": 20, "sample": "c"},
        {"step": 30, "sample": 3},
    ]
    assert samples(lines) == [(10, "a"), (20, "c")]
