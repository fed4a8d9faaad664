"""Minutes become steps, and again whenever the machine turns out faster or slower; the schedule bends with them."""

import itertools

import pytest

from inkwright.config import Plan, TrainConfig, change
from inkwright.train.optimizer import learning_rate
from inkwright.train.plan import (
    Deadline,
    begins_an_epoch,
    evaluation_is_due,
    fitting_steps,
    places_left_out,
    planned_steps,
    share_done,
    with_more_time,
)  # fmt: skip

TIMED = TrainConfig(steps=100, minutes=1, learning_rate=1.0, warmup_steps=10, eval_every=10, schedule="linear")


def replanned(*plans: tuple[int, int]) -> TrainConfig:
    made = [Plan(step=step, steps=steps, seconds=0) for step, steps in ((0, 100), *plans)]
    return change(TIMED, plan=made, steps=made[-1].steps)


def test_without_a_new_plan_the_learning_rate_is_the_same_to_the_last_bit() -> None:
    assert [learning_rate(s, replanned()) for s in range(101)] == [learning_rate(s, TIMED) for s in range(101)]


@pytest.mark.parametrize("steps", [60, 90, 150, 1000])
def test_a_new_plan_bends_the_schedule_without_a_jump_and_ends_it_at_its_own_end(steps: int) -> None:
    before, after = replanned(), replanned((50, steps))
    assert [learning_rate(s, after) for s in range(51)] == [learning_rate(s, before) for s in range(51)]
    fall = [learning_rate(s, after) for s in range(50, steps + 1)]
    falls = {round(a - b, 9) for a, b in itertools.pairwise(fall)}
    assert len(falls) == 1, "from where it was in a straight line"
    assert fall[-1] == pytest.approx(0, abs=1e-12) and share_done(steps, after) == 1


def test_a_later_plan_changes_nothing_before_it_so_that_a_resumed_run_repeats_its_steps() -> None:
    one, two = replanned((50, 90)), replanned((50, 90), (70, 200))
    for step in range(71):
        assert learning_rate(step, one) == learning_rate(step, two)
        assert planned_steps(step, two) == (100 if step < 50 else 90 if step < 70 else 200)
    judged = [[s for s in range(1, 70) if evaluation_is_due(s, c)] for c in (one, two)]
    assert judged[0] == judged[1]


def test_a_plan_made_in_the_warm_up_counts_from_its_end() -> None:
    config = replanned((4, 50))
    assert learning_rate(9, config) == learning_rate(9, TIMED) and learning_rate(10, config) == 1.0
    assert learning_rate(30, config) == pytest.approx(0.5)


@pytest.mark.parametrize("config", [TIMED, replanned(), replanned((50, 90))])
@pytest.mark.parametrize("more", [1, 30, 100, 900])
def test_a_run_that_had_cooled_down_is_warm_again_the_more_the_more_time_it_is_given(
    config: TrainConfig, more: int
) -> None:
    end = config.steps
    after = with_more_time(end, end + more, 1.0, config)
    assert [learning_rate(s, after) for s in range(end)] == [learning_rate(s, config) for s in range(end)]
    assert learning_rate(end, config) == pytest.approx(0, abs=1e-12)
    assert learning_rate(end, after) == pytest.approx(more / (end + more)), "as if all had been planned from the start"
    assert learning_rate(end + more, after) == pytest.approx(0, abs=1e-12)


def test_more_time_for_a_run_on_its_way_never_moves_its_schedule_forward() -> None:
    before = share_done(60, TIMED)
    for steps in (61, 90, 100, 500):
        after = with_more_time(60, steps, 1.0, TIMED)
        assert share_done(60, after) == min(before, 60 / steps) and share_done(steps, after) == 1


def test_more_time_twice_without_a_step_between_counts_once() -> None:
    once = with_more_time(100, 300, 1.0, TIMED)
    assert with_more_time(100, 300, 1.0, with_more_time(100, 5000, 1.0, TIMED)).plan[1].step == once.plan[1].step
    longer = with_more_time(100, 150, 1.0, once)
    assert len(longer.plan) == 2 and share_done(150, longer) == 1 and learning_rate(100, longer) > 0


@pytest.mark.parametrize(("left", "step", "every"), [(10.0, 0, 25), (10.0, 37, 25), (3.0, 90, 10), (60.0, 500, 1000)])
def test_steps_and_the_looks_between_them_fill_the_time_that_is_left(left: float, step: int, every: int) -> None:
    steps = fitting_steps(step, left, 0.1, 0.4, every)
    config = change(TIMED, eval_every=every, steps=steps, plan=[Plan(step=0, steps=steps, seconds=0)])
    looks = sum(evaluation_is_due(s, config) for s in range(step + 1, steps + 1))
    assert (steps - step) * 0.1 + looks * 0.4 == pytest.approx(left, abs=0.5)


def run_for(minutes: float, step_seconds: float, really: float, late: float | None = None) -> tuple[TrainConfig, float]:
    """A training whose steps were thought to take `step_seconds`: its settings and its time at the end."""
    steps = fitting_steps(0, minutes * 60 - 1, step_seconds, 0.5, 100)
    plan = [Plan(step=0, steps=steps, seconds=0)]
    config = change(TIMED, minutes=minutes, steps=steps, eval_every=100, plan=plan)
    deadline, spent, step = Deadline(minutes * 60, 0.4, 0.1, 1.0), 0.0, 0
    while step < config.steps:
        takes = late if late is not None and spent > minutes * 30 else really
        step, spent = step + 1, spent + takes
        deadline.took(takes)
        config = deadline.replanned(step, spent, config) or config
        spent += 0.5 * evaluation_is_due(step, config)
    return config, spent + 1.0


@pytest.mark.parametrize("minutes", [0.5, 3, 60])
@pytest.mark.parametrize(
    ("guess", "really", "late"),
    [(0.1, 0.1, None), (0.1, 0.25, None), (0.1, 0.04, None), (0.1, 0.1, 0.3), (0.1, 0.2, 0.05)],
)
def test_a_run_ends_at_its_minutes_however_wrong_the_first_guess_was(minutes, guess, really, late) -> None:
    config, spent = run_for(minutes, guess, really, late)
    assert spent == pytest.approx(minutes * 60, abs=max(1.0, 0.01 * minutes * 60))
    assert len(config.plan) < 40, "few enough to read"
    assert [p.step for p in config.plan] == sorted({p.step for p in config.plan})
    assert learning_rate(config.steps, config) < 1e-9


def test_a_plan_moves_by_whole_epochs_until_the_last_two() -> None:
    config = change(TIMED, minutes=1, steps=1000, order="epoch", plan=[Plan(step=0, steps=1000, seconds=0)])
    deadline = Deadline(60.0, 0.0, 0.0, 0.0, epoch_steps=70.5)
    for _ in range(5):
        deadline.took(0.1)
    assert deadline.replanned(5, 0.5, config) is None, "too early to know"
    early = deadline.replanned(100, 20.0, config)  # 400 more steps fit
    assert early is not None and (1000 - early.steps) / 70.5 == pytest.approx(
        round((1000 - early.steps) / 70.5), abs=0.01
    )
    assert abs(early.steps - 500) <= 71 / 2
    late = deadline.replanned(early.steps - 130, 60 - 9.0, early)
    assert late is not None and late.steps == early.steps - 130 + 90, "near the end it is the time that counts"


def test_steps_that_are_not_worth_making_are_not_planned() -> None:
    config = change(TIMED, minutes=1, steps=300, order="epoch", plan=[Plan(step=0, steps=300, seconds=0)])
    deadline = Deadline(60.0, 0.0, 0.0, 0.0, most_steps=320)
    for _ in range(5):
        deadline.took(0.1)
    assert deadline.replanned(5, 0.5, config) is None, "too early to know"
    faster = deadline.replanned(100, 20.0, config)  # 400 more steps would fit
    assert faster is not None and faster.steps == 320


def test_a_guess_that_was_right_is_left_alone() -> None:
    assert len(run_for(3, 0.1, 0.1)[0].plan) == 1


def test_a_run_that_is_out_of_time_ends_with_this_step() -> None:
    deadline = Deadline(60, 0.4, 0.1, 1.0)
    for _ in range(5):
        deadline.took(0.1)
    config = deadline.replanned(40, 75.0, replanned())
    assert config is not None and config.steps == 40
    assert evaluation_is_due(40, config), "what it has is judged and saved"


def test_nothing_is_planned_anew_while_steps_are_repeated_that_were_planned_before() -> None:
    deadline = Deadline(60, 0.4, 0.1, 1.0)
    for _ in range(5):
        deadline.took(0.1)
    config = replanned((50, 90))
    assert deadline.replanned(30, 10.0, config) is None
    assert deadline.replanned(50, 12.0, config) is not None


@pytest.mark.parametrize(
    ("steps", "batch_size", "windows"), [(50, 4, 40), (23, 8, 40), (7, 3, 40), (5, 8, 40), (20, 2, 40)]
)
def test_the_last_reading_of_a_text_is_whole_and_ends_with_the_steps(steps: int, batch_size: int, windows: int) -> None:
    config = TrainConfig(steps=steps, batch_size=batch_size, order="epoch")
    first = places_left_out(0, config, windows)
    assert (first + steps * batch_size) % windows == 0
    begins = [step for step in range(steps) if begins_an_epoch(step, config, windows)]
    assert len(begins) == (steps * batch_size - 1) // windows
    assert all((first + step * batch_size) // windows != (first + (step + 1) * batch_size - 1) // windows
               or (first + step * batch_size) % windows == 0 for step in begins)  # fmt: skip
    judged = [step for step in range(1, steps) if evaluation_is_due(step, change(config, eval_every=10))]
    assert judged == [step for step in range(5, steps) if (steps - step) % 10 == 0]


def test_a_plan_that_moves_the_end_moves_the_last_reading_with_it() -> None:
    plans = [Plan(step=0, steps=50, seconds=0), Plan(step=12, steps=55, seconds=1)]
    config = TrainConfig(steps=55, batch_size=4, order="epoch", plan=plans)
    assert [begins_an_epoch(10, config, 40), begins_an_epoch(15, config, 40)] == [True, True]
    assert (places_left_out(54, config, 40) + 55 * 4) % 40 == 0


def test_a_plan_that_leaves_the_rest_of_an_epoch_out_begins_the_next_one() -> None:
    """The rows of the grams know the whole text by then: a network that learned from them once more would believe them."""
    plans = [Plan(step=0, steps=50, seconds=0), Plan(step=38, steps=47, seconds=1)]  # at 40, now at 37
    config = TrainConfig(steps=47, batch_size=4, order="epoch", plan=plans)
    assert [step for step in range(47) if begins_an_epoch(step, config, 40)] == [10, 20, 30, 38]


def test_more_time_for_a_run_at_its_end_begins_another_epoch() -> None:
    config = TrainConfig(steps=50, batch_size=4, order="epoch", plan=[Plan(step=0, steps=50, seconds=0)])
    longer = with_more_time(50, 75, 1.0, config)
    assert [step for step in range(45, 75) if begins_an_epoch(step, longer, 40)] == [50, 55, 65]


def test_a_plan_that_moves_at_once_is_no_reason_to_judge() -> None:
    plans = [
        Plan(step=0, steps=350, seconds=0),
        Plan(step=8, steps=300, seconds=1),
        Plan(step=20, steps=260, seconds=2),
    ]
    config = TrainConfig(steps=260, eval_every=100, order="epoch", plan=plans)
    assert [step for step in range(1, 261) if evaluation_is_due(step, config)] == [60, 160, 260]


def test_what_a_moved_plan_lets_end_right_after_it_began_is_not_judged() -> None:
    plans = [Plan(step=0, steps=500, seconds=0), Plan(step=105, steps=510, seconds=1)]
    config = TrainConfig(steps=510, eval_every=100, order="epoch", plan=plans)
    assert [step for step in range(1, 511) if evaluation_is_due(step, config)] == [100, 210, 310, 410, 510]


@pytest.mark.parametrize("moved_to", [43, 47, 52, 58])
def test_a_plan_that_moves_the_end_leaves_no_evaluation_out(moved_to: int) -> None:
    plans = [Plan(step=0, steps=50, seconds=0), Plan(step=12, steps=moved_to, seconds=1)]
    config = TrainConfig(steps=moved_to, eval_every=10, order="epoch", plan=plans)
    judged = [step for step in range(1, moved_to + 1) if evaluation_is_due(step, config)]
    assert judged[-3:] == [moved_to - 20, moved_to - 10, moved_to] and judged[0] == 10
    assert all(after - before <= 19 for before, after in itertools.pairwise(judged))
