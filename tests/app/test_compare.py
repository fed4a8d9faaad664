"""inkwright compare, as a person calls it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from inkwright.run.folder import checkpoint_folders

pytestmark = pytest.mark.long


def test_on_the_text_held_out_it_says_what_eval_says(ink: Callable, finished: Callable) -> None:
    said = ink("compare", finished("char"), finished("byte"), "--json")
    found = json.loads(said.out)
    assert said.code == 0 and list(found) == [
        "a", "b", "difference", "low", "high", "confidence", "verdict", "bytes", "blocks", "needed_bytes",
    ]  # fmt: skip
    for name, kind in (("a", "char"), ("b", "byte")):
        judged = json.loads(ink("eval", finished(kind), "--json").out)
        assert found[name]["bits_per_byte"] == pytest.approx(judged["bits_per_byte"], abs=1e-6)
        assert found[name]["metric"] == judged["metric"] and found[name]["tokenizer"] == kind
    assert found["difference"] == pytest.approx(found["b"]["bits_per_byte"] - found["a"]["bits_per_byte"])
    assert found["low"] < found["difference"] < found["high"]


@pytest.mark.parametrize("kinds", [("char", "bpe"), ("bare", "byte"), ("bpe", "bpe")])
def test_for_people_it_ends_in_a_sentence_within_80_columns(
    ink: Callable, finished: Callable, kinds: list[str]
) -> None:
    said = ink("compare", *map(finished, kinds))
    assert said.code == 0 and max(map(len, said.out.splitlines())) <= 80
    assert ("The same" if kinds[0] == kinds[1] else "difference") in said.out
    assert "the interval may be too narrow" in said.err  # the blocks of 400 bytes are short


def test_noise_in_the_weights_of_a_copy_is_told(here: Path, ink: Callable, finished: Callable) -> None:
    spoiled = Path(shutil.copytree(checkpoint_folders(finished("char"))[-1], here / "spoiled"))
    (spoiled / "manifest.json").unlink()
    weights = safetensors.torch.load_file(spoiled / "model.safetensors")
    rng = torch.Generator().manual_seed(1)
    noisy = {name: tensor + torch.randn(tensor.shape, generator=rng) for name, tensor in weights.items()}
    safetensors.torch.save_file(noisy, spoiled / "model.safetensors", metadata={"format": "pt"})
    said = ink("compare", finished("char"), spoiled)
    assert "A is better, and the difference is real." in said.out
    swapped = ink("compare", spoiled, finished("char"), "book.txt")
    assert "B is better, and the difference is real." in swapped.out
    assert "was trained on" in swapped.err and "its score is memory, not skill" in swapped.err


def test_a_model_that_was_trained_on_the_text_of_the_other_is_refused(
    here: Path, ink: Callable, finished: Callable, tiny: list[str]
) -> None:
    (here / "other.txt").write_text("Another text, to be judged on. " * 9, encoding="utf-8")
    assert ink("train", "book.txt", "--val", "other.txt", "--run", "all", "--steps", 2, *tiny).code == 0
    said = ink("compare", finished("char"), "all")
    assert said.code == 4 and "all was trained on what " in said.err and "that neither has seen" in said.err
    asked = ["--from", "all", "--steps", 2, "--batch-size", 4, "--threads", 1, "--dtype", "float32"]
    assert ink("train", "other.txt", "--run", "later", *asked).code == 0
    assert ink("compare", finished("char"), "later").code == 4  # by way of the run it started from
    (here / "new.txt").write_text("Neither has seen this one before it was written here. " * 5, encoding="utf-8")
    new = ink("compare", finished("char"), "all", "new.txt")
    assert new.code == 0 and "memory" not in new.err


def test_it_works_for_models_without_a_run_on_a_text_that_is_given(
    here: Path, ink: Callable, finished: Callable
) -> None:
    folders = [checkpoint_folders(finished(kind))[-1] for kind in ("char", "bpe")]
    for name, folder in zip("ab", folders, strict=True):
        shutil.copytree(folder, here / name)
        (here / name / "manifest.json").unlink()
    assert ink("compare", "a", "b", "book.txt").code == 0
    said = ink("compare", "a", "b")
    assert said.code == 4 and "no text of its own" in said.err and "hint: inkwright compare A B TEXT" in said.err


def test_a_text_that_a_bare_alphabet_cannot_read_is_told_with_the_name_of_its_model(
    here: Path, ink: Callable, finished: Callable
) -> None:
    (here / "t.txt").write_text("Ba中" * 50, encoding="utf-8")
    said = ink("compare", finished("char"), finished("bare"), "t.txt")
    assert said.code == 3 and f"{finished('bare')}: this model has never seen" in said.err
