"""A step is a pure function of the state, the text and the settings: training can be stopped, watched and repeated."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from inkwright.config import ModelConfig, TrainConfig, change
from inkwright.errors import DivergedError, ModelError
from inkwright.model import build
from inkwright.model.swift import Swift
from inkwright.run.checkpoint import optimizer_moments, restore_moments
from inkwright.text.windows import Windows
from inkwright.train.adamw import AdamW
from inkwright.train.guard import MOST_SKIPPED, Guard
from inkwright.train.loop import TrainState, train
from inkwright.train.loss import evaluate, next_token_loss
from inkwright.train.muon import Muon
from inkwright.train.optimizer import build_optimizers, clip_gradients, learning_rate
from inkwright.train.row_adagrad import RowAdagrad

Config = Callable[..., ModelConfig]
V = 29
CONFIG = TrainConfig(steps=6, batch_size=4, learning_rate=0.01, warmup_steps=2)
OPTIMIZERS = ["adamw", "muon"]


def fresh(config: ModelConfig, how: TrainConfig = CONFIG, seed: int = 1) -> TrainState:
    model = build(config, seed)
    return TrainState(model, build_optimizers(model, how), model, guard=Guard(how.on_nan))


def made_of(state: TrainState) -> dict[str, Tensor]:
    """Copies of every weight and every moment."""
    weights = state.model.state_dict()
    return {name: t.clone() for name, t in (weights | optimizer_moments(state.model, state.optimizers)).items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def windows() -> Windows:
    return Windows(np.random.default_rng(0).integers(V, size=300, dtype=np.uint8), 16)


# ---------------------------------------------------------------- reading a text more than once


def test_each_reading_learns_the_grams_anew_and_keeps_the_rest() -> None:
    ids = np.random.default_rng(0).integers(7, size=1 + 12 * 16)  # 12 windows: 4 steps a reading
    how = change(CONFIG, batch_size=3, steps=10, order="epoch")
    model = build(ModelConfig(model="swift", n_layer=1, n_head=2, n_embd=8, block_size=16, vocab_size=7), 1, ids)
    state = TrainState(model, build_optimizers(model, how), model)
    assert isinstance(model, Swift)
    rates, forgotten, windows = [], [], Windows(ids, 16)
    for report in train(state, windows, how):
        table = next(o for o in state.optimizers if isinstance(o, RowAdagrad))
        idx, _ = windows.epoch(report.step - 1, 3, how.seed, left_out=6)
        touched = torch.zeros(len(model.gram_emb.weight), dtype=torch.bool)
        touched[model.gram_emb.rows(idx).flatten()] = True
        known = model.gram_emb.weight.ne(0).any(1)
        needed = table.state[model.gram_emb.weight]["sum"].squeeze(1) != 0
        assert known[:7].all() and (needed[:7].all() or report.step == 1)  # a head of zeros hides all others
        if report.step > 2 and torch.equal(known[7:], touched[7:]) and torch.equal(needed[7:], touched[7:]):
            forgotten.append(report.step)
        rates.append(table.param_groups[0]["lr"])
    assert forgotten == [3, 7]  # half a reading, then two whole ones
    assert rates[2:] == [how.learning_rate] * 8 and report.learning_rate < how.learning_rate / 4


def test_windows_at_random_places_are_no_readings() -> None:
    ids = np.random.default_rng(0).integers(7, size=100)
    how = change(CONFIG, batch_size=8, steps=30)
    model = build(ModelConfig(model="swift", n_layer=1, n_head=2, n_embd=8, block_size=16, vocab_size=7), 1, ids)
    assert isinstance(model, Swift)
    known = 0
    for _ in train(TrainState(model, build_optimizers(model, how), model), Windows(ids, 16), how):
        now = int(model.gram_emb.weight.ne(0).any(1).sum())
        assert now >= known
        known = now


# ---------------------------------------------------------------- learning


@dataclass
class OneBatch:
    """A text that always gives the same batch."""

    batch: tuple[Tensor, Tensor]
    block_size: int

    def random(self, step: int, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
        return self.batch


@pytest.fixture(scope="module")
def one_batch() -> OneBatch:
    """4 windows of 8 tokens that begin with different ones: there is a rule for all that follows."""
    rows = torch.randint(V, (4, 9), generator=torch.Generator().manual_seed(1))
    rows[:, 0] = torch.arange(4)
    return OneBatch((rows[:, :-1], rows[:, 1:]), 8)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_model_learns_one_batch_by_heart(
    shape: str, optimizer: str, one_batch: OneBatch, tiny_config: Config
) -> None:
    how = TrainConfig(steps=70, batch_size=4, learning_rate=0.02, warmup_steps=5, optimizer=optimizer)  # type: ignore[arg-type]
    state = fresh(tiny_config(shape, block_size=8), how)
    losses = [report.loss for report in train(state, one_batch, how)]  # type: ignore[arg-type]
    idx, targets = one_batch.batch
    with torch.no_grad():
        assert next_token_loss(state.model.eval()(idx), targets).item() < 0.05
    assert losses[0] == pytest.approx(math.log(V), abs=0.1) and losses[-1] < 0.05


def test_a_step_tells_what_it_did(windows: Windows, tiny_config: Config) -> None:
    state = fresh(tiny_config("modern"))
    reports = list(train(state, windows, CONFIG))
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6] and state.step == 6
    assert [report.learning_rate for report in reports] == [learning_rate(step, CONFIG) for step in range(6)]
    assert all(report.tokens == 4 * 16 and report.grad_norm > 0 for report in reports)
    assert all(group["lr"] == reports[-1].learning_rate for o in state.optimizers for group in o.param_groups)


def test_training_that_is_done_does_nothing_more(windows: Windows, tiny_config: Config) -> None:
    state = fresh(tiny_config("classic"))
    list(train(state, windows, CONFIG))
    before = made_of(state)
    assert list(train(state, windows, CONFIG)) == [] and same(made_of(state), before)


def test_a_lowered_learning_rate_is_the_one_used(windows: Windows, tiny_config: Config) -> None:
    state = fresh(tiny_config("classic"))
    state.learning_rate_scale = 0.5
    assert next(train(state, windows, CONFIG)).learning_rate == 0.5 * learning_rate(0, CONFIG)


# ---------------------------------------------------------------- repeating


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("order", ["random", "epoch"])
def test_training_twice_gives_the_same_bits(optimizer: str, order: str, windows: Windows, tiny_config: Config) -> None:
    how = change(CONFIG, optimizer=optimizer, order=order)
    runs = []
    for disturbance in (0, 9):
        torch.manual_seed(disturbance)  # whatever the global generator holds changes nothing
        state = fresh(tiny_config("classic", dropout=0.2), how)
        runs.append((list(train(state, windows, how)), made_of(state)))
    assert runs[0][0] == runs[1][0] and same(runs[0][1], runs[1][1])


def test_another_seed_is_another_training(windows: Windows, tiny_config: Config) -> None:
    losses = [
        [report.loss for report in train(fresh(tiny_config("classic")), windows, change(CONFIG, seed=seed))]
        for seed in (1, 2)
    ]
    assert losses[0] != losses[1]


def test_each_step_and_each_micro_batch_drops_other_activations(tiny_config: Config, one_batch: OneBatch) -> None:
    """The same batch at every step and no learning: only dropout can make a difference."""
    how = change(CONFIG, learning_rate=1e-30, steps=3)
    losses = {
        report.loss for report in train(fresh(tiny_config("classic", block_size=8, dropout=0.5), how), one_batch, how)
    }  # type: ignore[arg-type]
    assert len(losses) == 3
    row = (one_batch.batch[0][:1].expand(4, -1), one_batch.batch[1][:1].expand(4, -1))
    seen: list[Tensor] = []
    state = fresh(tiny_config("classic", block_size=8, dropout=0.5))

    def noting(idx: Tensor) -> Tensor:
        logits = state.model(idx)
        seen.append(logits.detach().clone())
        return logits

    state.forward = noting
    next(train(state, OneBatch(row, 8), change(CONFIG, micro_batch_size=1)))  # type: ignore[arg-type]
    assert len(seen) == 4 and not any(torch.equal(a, b) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("order", ["random", "epoch"])
def test_stopping_saving_and_going_on_changes_no_bit(
    shape: str, optimizer: str, order: str, windows: Windows, tiny_config: Config
) -> None:
    how = change(CONFIG, optimizer=optimizer, order=order, micro_batch_size=3)
    config = tiny_config(shape, dropout=0.2)
    whole = fresh(config, how)
    reports = list(train(whole, windows, how))

    first = fresh(config, how)
    early = list(itertools.islice(train(first, windows, how), 3))
    weights = safetensors.torch.save({name: t.clone() for name, t in first.model.state_dict().items()})
    moments = safetensors.torch.save(optimizer_moments(first.model, first.optimizers))

    torch.manual_seed(99)
    second = fresh(config, how, seed=2)
    second.model.load_state_dict(safetensors.torch.load(weights))
    restore_moments(second.model, second.optimizers, safetensors.torch.load(moments))
    second.step = first.step
    assert early + list(train(second, windows, how)) == reports
    assert same(made_of(second), made_of(whole))


def test_going_on_without_the_moments_would_show(windows: Windows, tiny_config: Config) -> None:
    whole, forgetful = fresh(tiny_config("classic")), fresh(tiny_config("classic"))
    for state in (whole, forgetful):
        list(itertools.islice(train(state, windows, CONFIG), 3))
    forgetful.optimizers = build_optimizers(forgetful.model, CONFIG)
    reports = [list(train(state, windows, CONFIG)) for state in (whole, forgetful)]
    assert reports[0] != reports[1]


def test_moments_of_another_model_are_refused(windows: Windows, tiny_config: Config) -> None:
    state = fresh(tiny_config("classic"))
    next(train(state, windows, CONFIG))
    smaller = fresh(tiny_config("classic", n_layer=1))
    with pytest.raises(ModelError, match=r"has moments of blocks\.1\.attn\.k\.weight"):
        restore_moments(smaller.model, smaller.optimizers, optimizer_moments(state.model, state.optimizers))


def test_evaluating_and_writing_in_between_changes_nothing(windows: Windows, tiny_config: Config) -> None:
    alone, watched = fresh(tiny_config("classic", dropout=0.2)), fresh(tiny_config("classic", dropout=0.2))
    reports = list(train(alone, windows, CONFIG))
    seen = []
    for report in train(watched, windows, CONFIG):
        seen.append(report)
        evaluate(watched.model, windows)
        watched.model.eval()
        torch.rand(5)
    assert seen == reports and same(made_of(alone), made_of(watched))


# ---------------------------------------------------------------- learning rate


def test_the_learning_rate_warms_up_in_a_straight_line_reaches_its_peak_and_ends_at_its_least() -> None:
    how = TrainConfig(steps=110, learning_rate=1.0, min_learning_rate=0.1, warmup_steps=9, schedule="cosine")
    assert [learning_rate(step, how) for step in range(9)] == pytest.approx([(step + 1) / 10 for step in range(9)])
    assert learning_rate(9, how) == 1.0
    assert learning_rate(110, how) == learning_rate(10_000, how) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("schedule", "quarter", "middle", "end"),
    [
        ("cosine", 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2, 0.55, 0.1),
        ("linear", 0.775, 0.55, 0.1),
        ("constant", 1, 1, 1),
    ],
)
def test_the_learning_rate_falls_as_the_schedule_says(schedule: str, quarter: float, middle: float, end: float) -> None:
    how = TrainConfig(steps=100, learning_rate=1.0, min_learning_rate=0.1, warmup_steps=0, schedule=schedule)  # type: ignore[arg-type]
    found = [learning_rate(step, how) for step in (0, 25, 50, 100, 200)]
    assert found == pytest.approx([1.0, quarter, middle, end, end])


@pytest.mark.parametrize("warmup_steps", [0, 1, 5, 50])
def test_a_warm_up_may_be_nothing_or_longer_than_the_training(warmup_steps: int) -> None:
    how = TrainConfig(steps=5, learning_rate=1.0, warmup_steps=warmup_steps)
    assert all(0 < learning_rate(step, how) <= 1 for step in range(5))


def test_the_learning_rate_is_nanogpts() -> None:
    """Its get_lr, line by line (train.py at commit 3adf61e)."""
    how = TrainConfig(steps=200, learning_rate=1e-3, min_learning_rate=1e-4, warmup_steps=10, schedule="cosine")

    def get_lr(it: int) -> float:
        if it < 10:
            return 1e-3 * (it + 1) / (10 + 1)
        if it > 200:
            return 1e-4
        coeff = 0.5 * (1.0 + math.cos(math.pi * (it - 10) / (200 - 10)))
        return 1e-4 + coeff * (1e-3 - 1e-4)

    assert [learning_rate(step, how) for step in range(250)] == pytest.approx([get_lr(it) for it in range(250)])


# ---------------------------------------------------------------- optimizers


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_parameter_belongs_to_exactly_one_optimizer(model_name: str, optimizer: str, tiny_config: Config) -> None:
    model = build(tiny_config(model_name))
    optimizers = build_optimizers(model, change(CONFIG, optimizer=optimizer))
    held = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert sorted(held) == sorted(map(id, model.parameters()))


def test_muon_has_the_matrices_inside_the_blocks_and_adamw_the_rest(shape: str, tiny_config: Config) -> None:
    model = build(tiny_config(shape))
    adamw, muon = build_optimizers(model, change(CONFIG, optimizer="muon"))
    assert isinstance(adamw, AdamW) and isinstance(muon, Muon)
    inner = {id(p) for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2}
    assert {id(p) for group in muon.param_groups for p in group["params"]} == inner


def test_only_matrices_decay(shape: str, tiny_config: Config) -> None:
    optimizers = build_optimizers(build(tiny_config(shape)), change(CONFIG, optimizer="adamw", weight_decay=0.3))
    groups = [(group["weight_decay"], p.ndim) for group in optimizers[0].param_groups for p in group["params"]]
    assert set(groups) == {(0.3, 2), (0.0, 1)}


@pytest.mark.parametrize("most", [0.01, 1e9, 0.0])
def test_a_gradient_that_is_too_long_is_scaled_down_and_its_length_told(most: float, tiny_config: Config) -> None:
    model = build(tiny_config("classic"))
    rng = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=rng)
    before = torch.cat([weight.grad.flatten() for weight in model.parameters()])  # type: ignore[union-attr]
    told = clip_gradients(model, most)
    after = torch.cat([weight.grad.flatten() for weight in model.parameters()])  # type: ignore[union-attr]
    assert told == pytest.approx(before.norm().item())
    length = min(told, most) if most else told
    torch.testing.assert_close(after, before * (length / told))


def test_training_clips_what_it_steps_with(windows: Windows, tiny_config: Config) -> None:
    state = fresh(tiny_config("classic"))
    report = next(train(state, windows, change(CONFIG, grad_clip=0.001)))
    length = torch.cat([weight.grad.flatten() for weight in state.model.parameters()]).norm().item()  # type: ignore[union-attr]
    assert report.grad_norm > 0.01 and length == pytest.approx(0.001, rel=1e-3)


# ---------------------------------------------------------------- the guard


def breaking(state: TrainState, steps: set[int], how: str) -> None:
    """From now on the loss (or only its gradient) is no finite number at some steps."""

    def forward(idx: Tensor) -> Tensor:
        logits = state.model(idx)
        if state.step not in steps:
            return logits
        if how == "loss":
            return logits * float("nan")
        logits.register_hook(lambda gradient: gradient * float("inf"))
        return logits

    state.forward = forward


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("policy", ["stop", "rewind"])
def test_a_loss_that_is_no_number_ends_the_training_before_any_weight_changed(
    how: str, optimizer: str, policy: str, windows: Windows, tiny_config: Config
) -> None:
    config = change(CONFIG, optimizer=optimizer, on_nan=policy)
    state = fresh(tiny_config("classic"), config)
    breaking(state, {2}, how)
    steps = train(state, windows, config)
    next(steps), next(steps)
    before = made_of(state)
    with pytest.raises(DivergedError, match=rf"^{how} became (nan|inf) at step 2 \(learning rate 0.01\)"):
        next(steps)
    assert same(made_of(state), before) and state.step == 2


@pytest.mark.parametrize("how", ["loss", "gradient"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_skipped_step_changes_no_weight_and_no_moment(
    how: str, optimizer: str, windows: Windows, tiny_config: Config
) -> None:
    config = change(CONFIG, optimizer=optimizer, on_nan="skip")
    state = fresh(tiny_config("classic"), config)
    breaking(state, {1}, how)
    steps = train(state, windows, config)
    next(steps)
    before = made_of(state)
    report = next(steps)
    assert same(made_of(state), before) and state.guard.skipped == 1 and report.step == 2
    next(steps)
    assert not same(made_of(state), before) and state.guard.skipped == 0


def test_ten_skips_in_a_row_are_borne_and_the_eleventh_is_not(windows: Windows, tiny_config: Config) -> None:
    config = change(CONFIG, on_nan="skip", steps=100)
    state = fresh(tiny_config("classic"), config)
    breaking(state, {*range(MOST_SKIPPED), *range(MOST_SKIPPED + 1, 100)}, "loss")
    before = made_of(state)
    steps = train(state, windows, config)
    for _ in range(MOST_SKIPPED):
        assert math.isnan(next(steps).loss)
    assert MOST_SKIPPED == 10 and same(made_of(state), before)
    next(steps)  # a good one: the count begins anew
    for _ in range(MOST_SKIPPED):
        next(steps)
    with pytest.raises(DivergedError):
        next(steps)
