"""The scale on the command line: the verb, and the lines that stand beside every loss; models that count."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from inkwright.app.cli.lines import title
from inkwright.model.hybrid import LONGER
from inkwright.run.folder import Run

pytestmark = pytest.mark.long
NAMES = ["uniform", "unigram", "bigram", "ngram", "gzip", "xz"]


def records(out: str) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_as_json_it_is_a_line_for_each_line_of_the_scale(here: Path, ink: Callable) -> None:
    said = ink("baseline", "book.txt", "--json")
    lines = records(said.out)
    assert said.code == 0 and [line["name"] for line in lines] == NAMES
    assert all(list(line) == ["name", "loss", "bits_per_char", "order"] for line in lines)
    assert not list(here.glob("runs"))


def test_for_people_it_is_a_table_within_80_columns(here: Path, ink: Callable) -> None:
    said = ink("baseline", "book.txt")
    assert said.code == 0 and max(map(len, said.out.splitlines())) <= 80
    assert all(name in said.out for name in ("uniform", "unigram", "bigram", "-gram", "gzip", "xz"))


def test_a_shorter_context_makes_counts_worse_and_leaves_the_rest(here: Path, ink: Callable) -> None:
    free, cut = (records(ink("baseline", "book.txt", "--json", *flags).out) for flags in ([], ["--block-size", 8]))
    assert cut[3]["loss"] > free[3]["loss"] and cut[0] == free[0] and cut[4:] == free[4:]


@pytest.mark.parametrize(("text", "code"), [("nothing.txt", 3), ("empty.txt", 3), ("one.txt", 3)])
def test_a_text_that_cannot_be_judged_is_told(here: Path, ink: Callable, text: str, code: int) -> None:
    (here / "empty.txt").write_text("")
    (here / "one.txt").write_text("ab")
    assert ink("baseline", text).code == code


def test_train_eval_and_the_record_say_the_same_lines(here: Path, ink: Callable, tiny: list[str]) -> None:
    trained = ink("train", "book.txt", "--run", "r", "--steps", 20, *tiny, "--json")
    lines = Run.open(Path("r")).record["baseline"]
    assert [line["name"] for line in lines] == NAMES
    assert records(trained.out)[-1]["baseline"] == records(ink("eval", "r", "--json").out)[0]["baseline"] == lines
    assert records(ink("baseline", "book.txt", "--block-size", 16, "--json").out) == lines  # the model's own context
    row = ", ".join(f"{title(line)} {line['loss']:.3f}" for line in lines[:4])
    assert row in trained.err and row in ink("eval", "r").out


def test_on_another_text_the_counts_are_those_of_the_training_text(here: Path, ink: Callable, tiny: list[str]) -> None:
    ink("train", "book.txt", "--run", "r", "--steps", 2, *tiny)
    (here / "other.txt").write_text("zzz yyy xxx " * 40)
    lines = records(ink("eval", "r", "other.txt", "--json").out)[0]["baseline"]
    assert [line["name"] for line in lines] == NAMES
    assert lines[3]["loss"] > 3 * lines[4]["loss"]  # they never saw such words; a packer learns them on the way


def test_a_count_model_is_trained_judged_and_written_with_like_any_other(here: Path, ink: Callable) -> None:
    said = ink("train", "book.txt", "--run", "r", "--model", "counts", "--block-size", 32, "--steps", 77)
    assert said.code == 0 and "1 step" in said.out
    ngram = Run.open(Path("r")).record["baseline"][3]
    judged = records(ink("eval", "r", "--json").out)[0]
    assert judged["loss"] == pytest.approx(ngram["loss"], abs=1e-5)
    texts = [ink("sample", "r", "--prompt", "The", "--tokens", 80).out for _ in range(2)]
    assert texts[0] == texts[1] and len(texts[0]) > 80  # ten times its context
    assert f"{ngram['order']}-gram" in ink("info", "r").out
    assert ink("resume", "r").code == 0


def test_a_count_model_is_no_beginning_for_another(here: Path, ink: Callable) -> None:
    assert ink("train", "book.txt", "--run", "r", "--model", "counts").code == 0
    said = ink("train", "book.txt", "--run", "s", "--from", "r")
    assert said.code == 4 and "is a count model" in said.err and not (here / "s").exists()


def test_a_hybrid_is_trained_resumed_judged_compared_and_written_with_like_any_other(
    here: Path, ink: Callable, tiny: list[str]
) -> None:
    said = ink("train", "book.txt", "--run", "r", "--model", "hybrid", "--steps", 3, *tiny)
    order = Run.open(Path("r")).config.model.ngram_order
    assert said.code == 0 and f"hybrid, {order}-gram, " in said.out
    assert order == Run.open(Path("r")).record["baseline"][3]["order"] + LONGER
    assert ink("resume", "r", "--steps", 5).code == 0
    val_loss = Run.open(Path("r")).reports()[-1]["val_loss"]
    assert records(ink("eval", "r", "--json").out)[0]["loss"] == pytest.approx(val_loss, abs=1e-5)
    assert len(ink("sample", "r", "--prompt", "a", "--tokens", 40).out) > 40
    assert ink("train", "book.txt", "--run", "c", "--model", "counts").code == 0
    assert ink("compare", "r", "c").code == 0


def test_a_hybrid_is_no_beginning_for_another(here: Path, ink: Callable, tiny: list[str]) -> None:
    assert ink("train", "book.txt", "--run", "r", "--model", "hybrid", "--steps", 1, *tiny).code == 0
    said = ink("train", "book.txt", "--run", "s", "--from", "r")
    assert said.code == 4 and "is a hybrid model" in said.err and not (here / "s").exists()


@pytest.mark.parametrize("order", [0, 1, 2])
def test_the_order_of_a_count_model_can_be_given(here: Path, ink: Callable, order: int) -> None:
    assert ink("train", "book.txt", "--run", "r", "--model", "counts", "--ngram-order", order).code == 0
    assert Run.open(Path("r")).config.model.ngram_order == order


@pytest.mark.parametrize("name", ["linear", "averaging", "one-head", "many-heads", "no-residual", "wide", "layernorm"])
def test_every_rung_is_trained_resumed_judged_and_written_with(
    here: Path, ink: Callable, tiny: list[str], name: str
) -> None:
    assert ink("train", "book.txt", "--run", "r", "--model", name, "--steps", 3, *tiny).code == 0
    assert ink("resume", "r", "--steps", 5).code == 0
    assert records(ink("eval", "r", "--json").out)[0]["loss"] > 0
    assert len(ink("sample", "r", "--prompt", "a", "--tokens", 40).out) > 40
