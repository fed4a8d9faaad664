"""A run that has minutes: it ends with them, however fast the machine is, and is still repeated to the last bit."""

import shutil
import time
from pathlib import Path

import pytest

from inkwright import clock
from inkwright import config as configs
from inkwright.run.folder import Run, best_checkpoint
from inkwright.session import verdict
from inkwright.session.prepare import prepare
from inkwright.session.resuming import reopen
from inkwright.session.training import Training
from inkwright.train.plan import Deadline
from inkwright.train.recipe import SIZES, WAYS
from tests.session.test_training import SMALL, book, everything, figures, finish, same  # noqa: F401

pytestmark = pytest.mark.long
TIMED = {name: value for name, value in SMALL.items() if name not in ("steps", "eval_every", "checkpoint_every")}


def begin(text: Path, folder: Path, minutes: float, free: bool = False, **settings: object) -> Training:
    asked = ({"threads": 1, "dtype": "float32"} if free else TIMED) | {"minutes": minutes} | settings
    return Training(prepare([str(text)], folder, configs.resolve(asked), set(asked), free=free).run)


class Scripted(Deadline):
    """Plans anew at the steps of a script, whatever the time."""

    def replanned(self, step: int, spent_seconds: float, config: configs.TrainConfig) -> configs.TrainConfig | None:
        steps = {0: 30, 7: 60, 25: 44}.get(step)
        if steps is None or step < config.plan[-1].step:
            return None
        made = configs.Plan(step=step, steps=steps, seconds=spent_seconds)
        return configs.change(config, steps=steps, plan=[*config.plan, made])


def test_a_run_that_was_planned_anew_is_repeated_from_its_record_to_the_same_bits(book, tmp_path):  # noqa: F811
    training = begin(book, tmp_path / "a", 10, eval_every=5)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    training.deadline = Scripted(600, 0, 0, 0)
    first = finish(training)
    record = Run.open(tmp_path / "a").record
    assert [(p["step"], p["steps"]) for p in record["config"]["train"]["plan"][1:]] == [(7, 60), (25, 44)]
    assert training.state.step == record["config"]["train"]["steps"] == 44
    shutil.copy(tmp_path / "a" / "run.json", tmp_path / "b" / "run.json")
    again, _ = reopen(tmp_path / "b", {})
    assert again.state.step == 0 and again.deadline is not None
    for progress in again:
        if progress.step == 24:
            assert again.config == training.config, "no plan is made while steps are repeated"
            again.deadline = None
    assert same(first, everything(tmp_path / "b"))
    assert figures(tmp_path / "a") == figures(tmp_path / "b")


def test_a_plan_is_in_the_record_before_the_step_that_it_is_for(book, tmp_path):  # noqa: F811
    training = begin(book, tmp_path / "a", 0.05)
    for progress in training:
        kept = Run.open(tmp_path / "a").config.train
        assert kept.plan == training.config.train.plan and kept.steps == progress.steps


def test_a_resumed_run_has_the_rest_of_its_minutes(book, tmp_path):  # noqa: F811
    training = begin(book, tmp_path / "a", 0.1, patience=0)
    for progress in (left := iter(training)):
        if progress.seconds > 1:
            break
    left.close()
    spent = training.seconds
    resumed, _ = reopen(tmp_path / "a", {})
    assert resumed.seconds == pytest.approx(spent, abs=0.5), "what was spent is known"
    assert resumed.deadline is not None and resumed.deadline.budget_seconds < 6
    finish(resumed)
    assert resumed.seconds + resumed.run.record["preparation_seconds"] > 4, "and the rest is used"


def test_a_number_of_steps_takes_the_place_of_minutes(book, tmp_path):  # noqa: F811
    finish(begin(book, tmp_path / "a", 0.03))
    done = Run.open(tmp_path / "a").config.train.steps
    training, _ = reopen(tmp_path / "a", {"steps": done + 3})
    assert training.config.train.minutes is None and training.config.train.plan == ()
    finish(training)
    assert training.state.step == done + 3


def test_what_was_given_is_kept_and_the_rest_is_chosen(book, tmp_path):  # noqa: F811
    training = begin(book, tmp_path / "a", 0.05, free=True, n_layer=1, n_embd=72, eval_every=7, dropout=0.05)
    training.run.close()
    model, train = training.config.model, training.config.train
    assert (model.n_layer, model.n_embd, model.dropout, train.eval_every) == (1, 72, 0.05, 7)
    assert model.n_embd % (2 * model.n_head) == 0
    assert model.model == "swift" and train.beta2 == WAYS["swift"]["beta2"] and train.patience > 0


def test_a_hybrid_with_minutes_is_chosen_as_its_gpt_would_be(book, tmp_path):  # noqa: F811
    training = begin(book, tmp_path / "a", 0.05, free=True, model="hybrid")
    training.run.close()
    model, train = training.config.model, training.config.train
    assert model.model == "hybrid" and model.n_layer == SIZES["swift"][0].n_layer
    assert train.beta2 == WAYS["swift"]["beta2"] and train.order == "epoch"


def test_a_sleep_is_no_work(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = clock.Stopwatch(5.0)
    for _ in range(10):
        now[0] += 0.1
        watch.step(0.1)
    now[0] += 3600
    assert watch.step(3600) == pytest.approx(0.1)
    assert watch.seconds == pytest.approx(5 + 1 + 0.1)
    now[0] += 25
    assert watch.step(25) == 25, "slow, but no sleep"


def test_a_text_that_is_small_for_the_time_is_not_learned_by_heart(book, tmp_path, tiny_text):  # noqa: F811
    """The run stops by itself, its best model is the one that is delivered, and what would help is said."""
    book.write_text(tiny_text[:800], encoding="utf-8")
    training = begin(
        book, tmp_path / "a", 10, optimizer="adamw", learning_rate=0.03, dropout=0.0, patience=4, eval_every=10
    )
    finish(training)
    assert training.finished and training.state.step < training.config.train.steps
    assert training.decisions.best is not None and training.decisions.best["step"] == training.state.step - 40
    _, best = best_checkpoint(tmp_path / "a")
    assert best["step"] == training.decisions.best["step"]
    assert verdict.of_run(training.run)[-1].numbers["advice"] == "more text"


def test_a_planned_run_has_patience(book, tmp_path):  # noqa: F811
    training = begin(book, tmp_path / "a", 0.05)
    assert training.config.train.patience >= 4
    training.run.close()
