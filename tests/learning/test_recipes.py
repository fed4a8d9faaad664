"""What the presets reach on tiny Shakespeare, whole recipe, whole validation split."""

from pathlib import Path

import pytest
import torch

import inkwright

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def all_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_nanogpts_cpu_recipe_ends_where_nanogpts_own_code_does(shakespeare: Path, tmp_path: Path) -> None:
    """1.898: nanoGPT's final checkpoint, scored over all windows of 64 (its log says 1.886, of 240 random windows)."""
    for progress in inkwright.fit(shakespeare, tmp_path / "run", preset="nanogpt-cpu", dtype="float32"):
        pass
    assert progress.step == 2000 and progress.val is not None
    assert abs(progress.val["val_loss"] - 1.898) < 0.03


def test_forty_steps_of_the_sprint_pass_nanogpts_whole_cpu_recipe(shakespeare: Path, tmp_path: Path) -> None:
    """1.898 after 2,000 steps there; 1.83 to 1.85 here when it was measured, in a second of steps."""
    for progress in inkwright.fit(shakespeare, tmp_path / "run", preset="sprint"):
        pass
    assert progress.step == 40 and progress.val is not None
    assert progress.val["val_loss"] < 1.88


def test_one_reading_of_the_text_passes_the_best_count_model(shakespeare: Path, tmp_path: Path) -> None:
    """block@128: 1.47 to 1.50 when it was measured; the 7-gram needs 1.530."""
    settings = dict(model="swift", n_layer=3, block_size=128, batch_size=16, steps=480, learning_rate=9e-3, beta2=0.95)
    settings |= dict(warmup_steps=5, weight_decay=0.0, grad_clip=0.0, order="epoch", input_dropout=0.05, eval_every=480)
    for progress in inkwright.fit(shakespeare, tmp_path / "run", **settings):
        pass
    assert progress.val is not None and progress.val["val_loss"] < 1.53


def test_a_second_reading_and_a_third_teach_more_of_other_texts(shakespeare: Path, tmp_path: Path) -> None:
    """Grams that are learned anew: 100 kB, block@64. Kept from one reading to the next they make it worse: docs/diary.md"""
    (tmp_path / "head.txt").write_bytes(shakespeare.read_bytes()[:100_000])
    settings = dict(model="swift", n_layer=2, block_size=64, batch_size=16, learning_rate=12e-3, beta2=0.95, seed=1)
    settings |= dict(warmup_steps=5, weight_decay=0.0, grad_clip=0.0, order="epoch", input_dropout=0.1, dropout=0.1)
    reached = []
    for readings in (1, 3):
        steps = dict(steps=88 * readings, eval_every=88, patience=0)
        for progress in inkwright.fit(tmp_path / "head.txt", tmp_path / f"{readings}", **settings, **steps):
            pass
        assert progress.val is not None
        reached.append(progress.val["val_loss"])
    assert reached[1] < reached[0] - 0.02, reached


def test_the_default_learns_more_in_600_steps_than_nanogpts_cpu_recipe_in_2000(
    shakespeare: Path, tmp_path: Path
) -> None:
    for progress in inkwright.fit(shakespeare, tmp_path / "run", steps=600, dtype="float32", eval_every=600):
        pass
    assert progress.val is not None and progress.val["val_loss"] < 1.75
