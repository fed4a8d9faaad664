"""Many texts at once: each is what it would be alone, whoever joins, leaves or is cancelled beside it."""

import math
import random
import sys
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
import torch

from inkwright.config import ModelConfig, SampleConfig
from inkwright.errors import ModelError, SettingError, TextError
from inkwright.model import LogitModel, build
from inkwright.sample.engine import Engine, Event, Precision, is_worth_it, surprises
from inkwright.sample.generate import generate, steps

Make = Callable[..., LogitModel]
V = 29


def wish(rng: random.Random, longest: int) -> SampleConfig:
    """What someone might ask for."""
    return SampleConfig(
        max_new_tokens=rng.randint(1, longest),
        temperature=rng.choice([0.0, 0.7, 1.0, 2.0]),
        top_k=rng.choice([0, 0, 5]),
        top_p=rng.choice([1.0, 0.8]),
        min_p=rng.choice([0.0, 0.1]),
        repetition_penalty=rng.choice([1.0, 1.3]),
        presence_penalty=rng.choice([0.0, 0.5]),
        frequency_penalty=rng.choice([0.0, -0.2]),
        logit_bias=rng.choice([{}, {3: 2.0, 4: -100.0}]),
        seed=rng.randrange(2**63),
    )


def prompt(rng: random.Random, longest: int) -> list[int]:
    return [rng.randrange(V) for _ in range(rng.randint(1, longest))]


def alone(engine: Engine, ids: list[int], config: SampleConfig, **more: Any) -> list[Event]:
    """The events of one text in an engine that is empty."""
    engine.add(ids, config, **more)
    events = []
    while engine.running:
        events += engine.step()
    return events


def test_no_text_can_tell_that_it_has_neighbours(model_name: str, tiny_model: Make) -> None:
    among_others(tiny_model(model_name, block_size=8), random.Random(5))


def among_others(model: LogitModel, rng: random.Random, slots: int = 5) -> None:
    """Texts join, end and are cancelled at random; each must be what it is alone."""
    crowd, quiet = Engine(model, slots), Engine(model, slots=1)
    asked: dict[int, tuple[list[int], SampleConfig]] = {}
    heard: dict[int, list[Event]] = {}
    cancelled: set[int] = set()
    for _ in range(80):
        while crowd.free and rng.random() < 0.5:
            ids, config = prompt(rng, 20), wish(rng, 40)
            handle = crowd.add(ids, config, top=3)
            asked[handle], heard[handle] = (ids, config), []
        if asked and rng.random() < 0.1:
            cancelled.add(handle := rng.choice(list(asked)))
            crowd.cancel(handle)
        for event in crowd.step():
            assert event.handle not in cancelled
            heard[event.handle].append(event)
    assert len(asked) > 12 and cancelled
    for handle, (ids, config) in asked.items():
        expected = alone(quiet, ids, config, top=3)[: len(heard[handle])]
        assert [event.token_id for event in heard[handle]] == [event.token_id for event in expected]
        for event, twin in zip(heard[handle], expected, strict=True):
            assert event.logprob == pytest.approx(twin.logprob, abs=1e-4)
            assert [i for i, _ in event.top] == [i for i, _ in twin.top] and event.finished == twin.finished


@pytest.mark.parametrize("cached", [True, False])
def test_the_engine_writes_what_the_plain_loop_writes_ten_contexts_long(
    model_name: str, cached: bool, tiny_model: Make
) -> None:
    model, rng = tiny_model(model_name, block_size=8), random.Random(6)
    engine = Engine(model, slots=4)
    asked = {}
    for _ in range(4):
        ids, config = prompt(rng, 20), wish(rng, 1).model_copy(update={"max_new_tokens": 83})
        asked[engine.add(ids, config, never=[7, 8])] = ids, config
    heard: dict[int, list[int]] = {handle: [] for handle in asked}
    while engine.running:
        for event in engine.step():
            heard[event.handle].append(event.token_id)
    for handle, (ids, config) in asked.items():
        assert heard[handle] == list(generate(model, ids, config, never=[7, 8], cached=cached))


def test_slots_are_counted_and_a_full_engine_takes_no_one(tiny_model: Make) -> None:
    engine = Engine(tiny_model("modern"), slots=2)
    first, second = (engine.add([1], SampleConfig(max_new_tokens=2)) for _ in range(2))
    assert (engine.running, engine.free) == (2, 0) and first != second
    with pytest.raises(RuntimeError, match="all 2 slots are taken"):
        engine.add([1], SampleConfig())
    assert [event.finished for event in engine.step()] == [False, False]
    engine.cancel(first)
    engine.cancel(first)
    assert [(event.handle, event.finished) for event in engine.step()] == [(second, True)]
    assert (engine.running, engine.step()) == (0, [])


def test_a_request_that_cannot_be_is_refused_and_takes_no_slot(tiny_model: Make) -> None:
    engine = Engine(tiny_model("modern"))
    for ids in ([], [V], [-1], [1, 10**12]):
        with pytest.raises(TextError):
            engine.add(ids, SampleConfig())
    with pytest.raises(SettingError, match="logit_bias ids must be 0 to 28"):
        engine.add([1], SampleConfig(logit_bias={V: 1.0}))
    assert engine.running == 0


def test_an_event_tells_the_models_own_probabilities_whatever_was_wished(model_name: str, tiny_model: Make) -> None:
    model = tiny_model(model_name)
    config = SampleConfig(max_new_tokens=40, temperature=0.5, top_k=2, repetition_penalty=2.0, logit_bias={3: 5.0})
    events = alone(Engine(model), [5, 6], config, top=V)
    for event, (token_id, logits) in zip(events, steps(model, [5, 6], config), strict=True):
        expected = logits.double().log_softmax(-1)
        assert event.token_id == token_id and event.logprob == pytest.approx(expected[token_id].item(), abs=1e-5)
        assert dict(event.top) == pytest.approx(dict(enumerate(expected.tolist())), abs=1e-5)
        assert [value for _, value in event.top] == sorted(expected.tolist(), reverse=True)


@pytest.mark.parametrize("block_size", [1, 7, 8])
def test_a_text_is_read_with_the_probabilities_it_was_written_with(
    model_name: str, block_size: int, tiny_model: Make
) -> None:
    model = tiny_model(model_name, block_size=block_size)
    events = alone(Engine(model), [5], SampleConfig(max_new_tokens=50), top=2)
    read = surprises(model, [5, *(event.token_id for event in events)], top=2)
    assert read[0].logprob is None and len(read) == 51
    for event, surprise in zip(events, read[1:], strict=True):
        assert surprise.token_id == event.token_id and surprise.logprob == pytest.approx(event.logprob, abs=1e-5)
        assert [i for i, _ in surprise.top] == [i for i, _ in event.top]


def test_a_model_that_gives_no_numbers_is_an_error(tiny_model: Make) -> None:
    model = tiny_model("classic")
    with torch.no_grad():
        model.blocks[0].mlp.fc.weight[0, 0] = float("nan")  # type: ignore[index, union-attr]
    engine = Engine(model)
    engine.add([1], SampleConfig())
    with pytest.raises(ModelError, match="no finite probabilities"):
        engine.step()
    with pytest.raises(ModelError, match="no finite probabilities"):
        surprises(model, [1, 2])


# ---------------------------------------------------------------- the kernels


def test_a_table_of_grams_makes_no_text_worth_the_wait_for_the_compiler(
    tiny_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.delitem(sys.modules, "inkwright.sample.fast", raising=False)
    text = np.random.default_rng(1).integers(V, size=20_000)
    few, many = build(tiny_config("swift")), build(tiny_config("swift"), 0, text)
    assert many.parameter_count > 8 * few.parameter_count
    for model in (few, many):
        worth = [is_worth_it(model, tokens) for tokens in (10_500, 11_500)]
        assert worth == [False, True]


SHAPES = get_args(ModelConfig.model_fields["shape"].annotation)


@pytest.fixture(params=[*SHAPES, "biased", "gelu", "swift"])
def packed(request: pytest.FixtureRequest, tiny_model: Make) -> LogitModel:
    """A tiny model that the kernels can write with."""
    pytest.importorskip("numba")
    changes = {"biased": {"bias": True}, "gelu": {"activation": "gelu"}, "lecture": {"activation": "relu"}}
    name = request.param if request.param in {*SHAPES, "swift"} else "classic"
    return tiny_model(name, dtype=torch.float32, block_size=8, **changes.get(request.param, {}))


def test_the_kernels_write_what_the_plain_loop_writes(packed: LogitModel) -> None:
    rng = random.Random(8)
    engine = Engine(packed, slots=6, fast=True)
    asked = {}
    for _ in range(6):
        ids, config = prompt(rng, 20), wish(rng, 1).model_copy(update={"max_new_tokens": 83})
        asked[engine.add(ids, config, never=[7, 8], top=3)] = ids, config
    heard: dict[int, list[Event]] = {handle: [] for handle in asked}
    while engine.running:
        for event in engine.step():
            heard[event.handle].append(event)
    for handle, (ids, config) in asked.items():
        expected = alone(Engine(packed, fast=False), ids, config, never=[7, 8], top=3)
        for event, twin in zip(heard[handle], expected, strict=True):
            assert event.token_id == twin.token_id and event.logprob == pytest.approx(twin.logprob, abs=1e-4)
            assert [p for _, p in event.top] == pytest.approx([p for _, p in twin.top], abs=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_no_text_of_the_kernels_can_tell_either(packed: LogitModel, threads: int) -> None:
    assert Engine(packed).fast
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        among_others(packed, random.Random(9), slots=9)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize(("outputs", "depth"), [(1, 1), (65, 33), (128, 64), (70, 7)])
def test_a_packed_product_is_the_product_of_its_weights_and_no_row_knows_of_another(
    precision: Precision, outputs: int, depth: int
) -> None:
    pytest.importorskip("numba")
    from inkwright.sample import fast, kernels

    rng = torch.Generator().manual_seed(4)
    weights = torch.randint(-127, 128, (outputs, depth), generator=rng) / 64  # int8 holds these, bfloat16 too
    weights[:, 0] = 127 / 64
    x = torch.randn(21, depth, generator=rng)
    packed, scale = fast.pack([weights], precision)
    width = packed.shape[1] * kernels.PANEL
    all_rows, alone = np.zeros((21, width), np.float32), np.zeros((21, width), np.float32)
    bias = np.arange(width, dtype=np.float32)
    kernels.linear(x.numpy(), 21, depth, packed[0], scale[0], bias, all_rows)
    expected = x.double() @ weights.double().T + torch.arange(outputs)
    torch.testing.assert_close(torch.from_numpy(all_rows)[:, :outputs].double(), expected, rtol=1e-5, atol=1e-4)
    for row in range(21):
        kernels.linear(x[row : row + 1].numpy(), 1, depth, packed[0], scale[0], bias, alone[row : row + 1])
    assert np.array_equal(all_rows, alone)  # to the last bit


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_fewer_bits_change_the_probabilities_a_little(packed: LogitModel, precision: Precision) -> None:
    config = SampleConfig(max_new_tokens=1)
    exact = alone(Engine(packed, fast=True), [3, 1, 2], config, top=V)[0]
    rough = alone(Engine(packed, fast=True, precision=precision), [3, 1, 2], config, top=V)[0]
    assert 0 < max(abs(math.exp(p) - math.exp(dict(rough.top)[i])) for i, p in exact.top) < 2e-2


@pytest.mark.parametrize("size", [1, 2, 3, 64, 65, 1000])
def test_ids_are_sorted_by_probability_and_equal_ones_by_number(size: int) -> None:
    pytest.importorskip("numba")
    from inkwright.sample import kernels

    probs = np.random.default_rng(size).integers(0, 20, size) / 20
    assert kernels._by_size(probs).tolist() == np.argsort(-probs, kind="stable").tolist()
