"""inkwright runs: what is there, and what of it can be spared."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inkwright.app.cli.runs import short
from inkwright.run import lock
from inkwright.run.folder import best_checkpoint, checkpoint_folders

pytestmark = pytest.mark.long


@pytest.fixture
def shelf(here: Path, ink: Callable, finished: Callable, tiny: list[str]) -> Path:
    """Three runs: one done, one of a ladder's folder that was stopped, one without its record."""
    shutil.copytree(finished("char"), here / "runs" / "done")
    nested = here / "runs" / "ladder-book" / "fair" / "one-head-seed-1337"
    asked = ["--steps", 20, "--eval-every", 5, "--checkpoint-every", 5, "--patience", 0]
    assert ink("train", "book.txt", "--run", nested, *tiny, *asked).code == 0
    assert ink("resume", nested, "--steps", 90).code == 0
    shutil.rmtree(nested / "checkpoints" / "step-00000090")  # as if the last thing it did had been to save step 85
    shutil.copytree(nested / "checkpoints" / "step-00000085", nested / "checkpoints" / "step-00000080")
    lines = (nested / "metrics.jsonl").read_text().splitlines(keepends=True)
    (nested / "metrics.jsonl").write_text("".join(line for line in lines if json.loads(line)["step"] <= 85))
    shutil.copytree(finished("bpe"), here / "runs" / "spoiled")
    (here / "runs" / "spoiled" / "run.json").write_text("{}")
    return here / "runs"


def listed(ink: Callable, *flags: str) -> dict[str, dict]:
    said = ink("runs", *flags, "--json")
    return {Path(line["run"]).name: line for line in map(json.loads, said.out.splitlines())}


def names(run: Path) -> list[str]:
    return [path.name for path in checkpoint_folders(run)]


def test_every_run_is_found_wherever_it_lies_with_its_state(shelf: Path, ink: Callable) -> None:
    found = listed(ink)
    assert {name: line["state"] for name, line in found.items()} == {
        "done": "done", "one-head-seed-1337": "stopped", "spoiled": "damaged",
    }  # fmt: skip
    done, stopped = found["done"], found["one-head-seed-1337"]
    assert (done["step"], stopped["step"], stopped["steps"]) == (30, 85, 90)
    judged = json.loads(ink("eval", "runs/done", "--json").out)
    assert done["val_loss"] == pytest.approx(judged["loss"]) and done["block_size"] == 16
    assert done["disk_bytes"] == sum(path.stat().st_size for path in (shelf / "done").rglob("*") if path.is_file())


def test_the_table_fits_80_columns_and_names_the_folders(shelf: Path, ink: Callable) -> None:
    said = ink("runs")
    assert said.code == 0 and max(map(len, said.out.splitlines())) <= 80
    assert "runs/ladder-book/fair/" in said.out and "85/90" in said.out and "damaged" in said.out
    assert "runs/spoiled: " in said.err


def test_a_run_that_is_being_trained_is_said_to_be_and_is_left_alone(shelf: Path, ink: Callable) -> None:
    run = shelf / "ladder-book" / "fair" / "one-head-seed-1337"
    before = names(run)
    with lock.acquire(run):
        assert listed(ink)["one-head-seed-1337"]["state"] == "training"
        said = ink("runs", "--prune", "--yes")
    assert "is being trained by process" in said.err and names(run) == before and said.code == 0
    assert listed(ink)["one-head-seed-1337"]["state"] == "stopped"


def test_prune_alone_takes_nothing_away(shelf: Path, ink: Callable) -> None:
    before = sorted(shelf.rglob("*"))
    said = ink("runs", "--prune")
    assert said.code == 0 and "could free" in said.out and "--prune --yes does it" in said.out
    assert sorted(shelf.rglob("*")) == before
    assert ink("runs", "--yes").code == 2


def test_pruned_the_best_stays_and_a_stopped_run_goes_on(shelf: Path, ink: Callable, finished: Callable) -> None:
    run = shelf / "ladder-book" / "fair" / "one-head-seed-1337"
    best, done_best = best_checkpoint(run)[0].name, best_checkpoint(shelf / "done")[0].name
    spoiled = sorted((shelf / "spoiled").rglob("*"))
    promised = listed(ink)
    freed = listed(ink, "--prune", "--yes")
    assert freed["one-head-seed-1337"]["freed_bytes"] >= promised["one-head-seed-1337"]["spare_bytes"] > 0
    assert names(run) == sorted({best, "step-00000085"}) and names(shelf / "done") == [done_best]
    assert sorted((shelf / "spoiled").rglob("*")) == spoiled
    assert all(line["spare_bytes"] == 0 for line in listed(ink).values())
    assert listed(ink)["done"]["state"] == "done"
    assert ink("sample", "runs/done", "--tokens", 3).code == ink("eval", "runs/done").code == 0
    assert ink("resume", run).code == 0 and listed(ink)["one-head-seed-1337"]["state"] == "done"


def test_nothing_is_taken_away_where_what_would_stay_is_damaged(shelf: Path, ink: Callable) -> None:
    best, _ = best_checkpoint(shelf / "done")
    weights = best / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    before = names(shelf / "done")
    said = ink("runs", "--prune", "--yes")
    assert said.code == 4 and "runs/done: step-00000" in said.err and "nothing was taken away there" in said.err
    assert names(shelf / "done") == before


def test_a_folder_without_runs_and_one_that_is_not_there(here: Path, ink: Callable) -> None:
    assert ink("runs", ".").code == 0 and "0 runs" in ink("runs", ".").out
    assert ink("runs", ".", "--json").out == "" and "Nothing can be spared" in ink("runs", ".", "--prune").out
    said = ink("runs", "gone")
    assert said.code == 4 and "no such folder: gone" in said.err


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0"), (512, "512"), (999, "999"), (1000, "1.0k"), (4225, "4.2k"), (886_656, "887k"), (999_499, "999k"),
     (999_999, "1.0M"), (10_700_000, "10.7M"), (99_960_000, "100M"), (1_300_000_000, "1.3G")],
)  # fmt: skip
def test_a_number_in_short(count: int, shown: str) -> None:
    assert short(count) == shown
