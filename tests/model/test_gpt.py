"""A fresh model knows nothing, has exactly the parameters that are known of it, and sees no more than its context."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from inkwright.config import ModelConfig, change, resolve
from inkwright.errors import ContextOverflow, SettingError
from inkwright.model import MODELS, LogitModel, build
from inkwright.model.attention import rotary_table, rotate
from inkwright.model.gpt import hidden_size
from inkwright.model.ladder import RUNGS

Make = Callable[..., LogitModel]
Config = Callable[..., ModelConfig]


# ---------------------------------------------------------------- fresh


@torch.no_grad()
def test_the_first_loss_of_a_fresh_model_is_ln_v(model_name: str, tiny_config: Config) -> None:
    model = build(tiny_config(model_name, vocab_size=65, n_embd=64), 1)
    rows = torch.randint(65, (64, 17), generator=torch.Generator().manual_seed(1))
    loss = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item()
    as_torch_begins = (
        model_name in RUNGS and model_name != "bigram"
    )  # and the lecture with it: logits too large at first
    assert -0.1 < loss - math.log(65) < (1.0 if as_torch_begins else 0.1)


@torch.no_grad()
def test_a_fresh_modern_model_prefers_no_token_at_all(tiny_config: Config) -> None:
    assert not build(tiny_config("modern"), 1)(torch.tensor([[1, 2, 3]])).any()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(learner_name: str, tiny_config: Config) -> None:
    one = build(tiny_config(learner_name), 5).state_dict()
    torch.rand(7)  # whoever else draws changes nothing
    again, other = (build(tiny_config(learner_name), seed).state_dict() for seed in (5, 6))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("bias", [False, True])
def test_fresh_weights_are_as_wide_as_the_table_says(shape: str, bias: bool, tiny_config: Config) -> None:
    config = tiny_config(shape, n_embd=64, vocab_size=200, block_size=100, bias=bias and shape != "modern")
    for name, weight in build(config, 2).named_parameters():
        if weight.ndim == 1:
            assert (weight == (0 if name.endswith("bias") else 1)).all(), name
            continue
        expected = 0.02
        if name.endswith("proj.weight"):
            expected = {"classic": 0.02 / math.sqrt(2 * config.n_layer), "modern": 0.0, "lecture": 0.02}[shape]
        if name == "lm_head.weight" and shape == "modern":
            expected = 0.0
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(weight.mean().item()) <= 4 * expected / math.sqrt(weight.numel()), name


# ---------------------------------------------------------------- counted


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("nanogpt-cpu", 804_096),  # nanoGPT prints 0.80M: the same without the 64 x 128 of the position table
        ("nanogpt-gpu", 10_745_088),  # nanoGPT prints 10.65M: the same without the 256 x 384 of the position table
        ("lecture", 10_788_929),  # the lecture prints 10.788929 M parameters
    ],
)
def test_a_preset_has_as_many_parameters_as_its_original(preset: str, count: int) -> None:
    config = change(resolve({}, preset).model, vocab_size=65)
    with torch.device("meta"):
        assert MODELS[config.model](config).parameter_count == count


def test_a_classic_head_is_the_token_table_and_the_others_have_their_own(shape: str, tiny_config: Config) -> None:
    model = build(tiny_config(shape))
    assert (model.lm_head.weight is model.tok_emb.weight) == (shape == "classic")  # type: ignore[union-attr]


def test_biases_are_where_the_shape_has_them(tiny_config: Config) -> None:
    def biased(shape: str, **changes: bool) -> set[str]:
        names = dict(build(tiny_config(shape, **changes)).named_parameters())
        return {name.removeprefix("blocks.0.") for name in names if name.endswith("bias") and ".1." not in name}

    everywhere = {"attn.q", "attn.k", "attn.v", "attn.proj", "mlp.fc", "mlp.proj", "ln_1", "ln_2", "ln_f"}
    assert biased("modern") == biased("classic") == set()
    assert biased("classic", bias=True) == {f"{name}.bias" for name in everywhere}
    assert biased("lecture") == {f"{name}.bias" for name in everywhere - {"attn.q", "attn.k", "attn.v"} | {"lm_head"}}


def test_the_modern_mlp_has_about_as_many_weights_as_the_classic_one(tiny_config: Config) -> None:
    for width in (32, 64, 128, 384, 768):
        modern, classic = tiny_config("modern", n_embd=width), tiny_config("classic", n_embd=width)
        assert hidden_size(modern) % 32 == 0 and hidden_size(classic) == 4 * width
        assert 8 * width <= 3 * hidden_size(modern) < 8 * width + 96


# ---------------------------------------------------------------- bounded


@torch.no_grad()
def test_a_full_context_fits_and_one_token_more_does_not(model_name: str, tiny_model: Make) -> None:
    model = tiny_model(model_name, block_size=8)
    assert model(torch.zeros(1, 8, dtype=torch.long)).shape == (1, 8, 29)
    with pytest.raises(ContextOverflow, match="9 tokens do not fit in a context of 8"):
        model(torch.zeros(1, 9, dtype=torch.long))


@torch.no_grad()
def test_what_a_cache_holds_counts_against_the_context(model_name: str, tiny_model: Make) -> None:
    model = tiny_model(model_name, block_size=8)
    cache = model.new_cache()
    model(torch.zeros(1, 7, dtype=torch.long), cache)
    with pytest.raises(ContextOverflow, match="2 tokens after the 7 already read do not fit in a context of 8"):
        model(torch.zeros(1, 2, dtype=torch.long), cache)
    assert model(torch.zeros(1, 1, dtype=torch.long), cache).shape == (1, 1, 29) and cache.length == 8


def test_heads_that_do_not_divide_the_width_are_refused_with_the_nearest_widths_that_they_do() -> None:
    with pytest.raises(SettingError, match="30 is not divisible by --n-head 4") as caught:
        ModelConfig(shape="classic", n_embd=30, n_head=4)
    assert caught.value.hint == "28 or 32"


# ---------------------------------------------------------------- parts


def test_turned_queries_and_keys_meet_in_what_depends_on_their_distance_alone() -> None:
    table = rotary_table(20, 8, 10_000.0).double()
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    turned_q, turned_k = (rotate(x.expand(1, 1, 20, 8), table)[0, 0] for x in (q, k))
    scores = turned_q @ turned_k.T
    for distance in range(20):
        found = scores.diagonal(-distance)
        torch.testing.assert_close(found, found[:1].expand_as(found), rtol=0, atol=1e-5)
    assert scores.diagonal(-1)[0] != scores.diagonal(-2)[0]
    torch.testing.assert_close(
        turned_q.norm(dim=-1), q.norm().expand(20), rtol=0, atol=1e-6
    )  # a turn changes no length


@torch.no_grad()
def test_dropout_draws_in_training_and_never_in_evaluation(shape: str, tiny_model: Make) -> None:
    model = tiny_model(shape, dropout=0.5)
    idx = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(idx), model(idx))
    model.train()
    assert not torch.equal(model(idx), model(idx))


@pytest.mark.parametrize("given", [{"bias": True}, {"activation": "relu"}])
def test_a_part_that_the_modern_shape_does_not_have_is_refused_and_not_ignored(
    given: dict, tiny_config: Config
) -> None:
    with pytest.raises(SettingError, match="not for --shape modern"):
        tiny_config("modern", **given)
