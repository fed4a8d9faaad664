"""What torch.compile must not change."""

from pathlib import Path

import pytest
import torch

import inkwright
from inkwright.run.folder import Run

pytestmark = pytest.mark.slow


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", ["gpt", "swift"])
def test_a_compiled_run_learns_the_same_and_saves_under_the_same_names(
    model: str, tiny_text: str, tmp_path: Path
) -> None:
    (tmp_path / "book.txt").write_text(tiny_text, encoding="utf-8")
    small = dict(
        model=model,
        n_layer=1,
        n_head=2,
        n_embd=32,
        block_size=16,
        batch_size=4,
        steps=8,
        eval_every=8,
        dtype="float32",
        threads=1,
    )
    losses, weights = {}, {}
    for mode in ("off", "on"):
        steps = inkwright.fit(tmp_path / "book.txt", tmp_path / mode, compile=mode, **small)
        losses[mode] = [progress.loss for progress in steps]
        weights[mode] = Run.open(tmp_path / mode).newest()[0].model_folder.model.state_dict()
    assert losses["on"] == pytest.approx(losses["off"], abs=1e-4)
    assert weights["on"].keys() == weights["off"].keys()
    for name, tensor in weights["off"].items():
        torch.testing.assert_close(weights["on"][name], tensor, atol=1e-2, rtol=0)
