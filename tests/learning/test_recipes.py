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


def test_the_default_learns_more_in_600_steps_than_nanogpts_cpu_recipe_in_2000(
    shakespeare: Path, tmp_path: Path
) -> None:
    for progress in inkwright.fit(shakespeare, tmp_path / "run", steps=600, dtype="float32", eval_every=600):
        pass
    assert progress.val is not None and progress.val["val_loss"] < 1.75
