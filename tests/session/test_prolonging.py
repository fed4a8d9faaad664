"""More minutes for a run that ended or was stopped: used, repeated to the bit, and refused where they would be in vain."""

import shutil

import pytest

from inkwright import config as configs
from inkwright.errors import ModelError, SettingError
from inkwright.run.folder import Run
from inkwright.session.prepare import prepare
from inkwright.session.resuming import reopen
from inkwright.session.training import Training
from inkwright.train.optimizer import learning_rate
from tests.session.test_minutes import TIMED
from tests.session.test_training import SMALL, begin, book, everything, figures, finish, same  # noqa: F401

pytestmark = pytest.mark.long


def test_a_run_that_ended_goes_on_warm_for_its_new_minutes_and_cools_down_again(book, tmp_path):  # noqa: F811
    finish(begin(book, tmp_path / "a"))
    training, notes = reopen(tmp_path / "a", {"minutes": 0.08})
    earlier, rates = training.seconds, []
    assert any("instead of 40: from step 40 the learning rate goes on at" in note for note in notes)
    for progress in training:
        kept = Run.open(tmp_path / "a").config.train
        assert kept.plan == training.config.train.plan, "a plan is in the record before the step that it is for"
        rates.append(progress.learning_rate)
    assert 2 < training.seconds - earlier < 12, "0.08 minutes are 4.8 seconds"
    end = training.config.train.steps
    assert training.state.step == end > 40 and [plan.step for plan in training.config.train.plan][:2] == [0, 40]
    assert rates[0] > 0.01 * SMALL.get("learning_rate", 6e-3) and rates[-1] == min(rates)
    assert learning_rate(end, training.config.train) < 1e-9


def test_what_was_planned_for_more_minutes_is_repeated_from_the_record_to_the_same_bits(book, tmp_path):  # noqa: F811
    finish(begin(book, tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    first = finish(reopen(tmp_path / "a", {"minutes": 0.05, "checkpoint_every": 15})[0])
    shutil.copy(tmp_path / "a" / "run.json", tmp_path / "b" / "run.json")  # what a kill before the first save leaves
    again, notes = reopen(tmp_path / "b", {})
    assert again.state.step == 40 and not notes
    again.deadline = None
    assert same(first, finish(again)) and figures(tmp_path / "a") == figures(tmp_path / "b")


def test_a_run_with_minutes_that_was_stopped_is_given_others(book, tmp_path):  # noqa: F811
    asked = TIMED | {"minutes": 30}
    left = iter(Training(prepare([str(book)], tmp_path / "a", configs.resolve(asked), set(asked)).run))
    for progress in left:
        if progress.step == 5:
            break
    left.close()
    before = Run.open(tmp_path / "a").config.train
    training, _ = reopen(tmp_path / "a", {"minutes": 0.05})
    assert training.config.train.steps < before.steps / 10 and training.config.train.minutes < 2
    finish(training)
    assert training.state.step == training.config.train.steps


def test_steps_and_minutes_together_are_refused_and_the_run_stays_as_it_is(book, tmp_path):  # noqa: F811
    finish(begin(book, tmp_path / "a"))
    record = Run.open(tmp_path / "a").record
    with pytest.raises(SettingError, match="say the same thing twice"):
        reopen(tmp_path / "a", {"minutes": 1, "steps": 90})
    with pytest.raises(SettingError, match="finite number > 0"):
        reopen(tmp_path / "a", {"minutes": -1})
    assert Run.open(tmp_path / "a").record == record
    training, _ = reopen(tmp_path / "a", {})  # nobody holds it
    training.run.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"patience": 1, "eval_every": 1, "optimizer": "adamw", "learning_rate": 0.5}, "brought nothing better"),
        ({"model": "counts"}, "reads its text once"),
    ],
)
def test_minutes_in_vain_are_refused_with_what_would_help(book, tmp_path, tiny_text, settings, told):  # noqa: F811
    book.write_text(tiny_text[:8000], encoding="utf-8")
    training = begin(book, tmp_path / "a", **settings)
    finish(training)
    assert "patience" not in settings or training.state.step < 40
    with pytest.raises(ModelError, match=told) as refused:
        reopen(tmp_path / "a", {"minutes": 1})
    assert refused.value.hint


def test_where_the_rate_goes_back_patience_does_not_end_the_run_in_the_middle(book, tmp_path):  # noqa: F811
    finish(begin(book, tmp_path / "a", patience=30))
    patience = []
    for given in ({}, {"patience": 7}):
        training, _ = reopen(tmp_path / "a", {"minutes": 5, **given})
        training.run.close()
        patience.append(training.config.train.patience)
    assert patience == [0, 7]
