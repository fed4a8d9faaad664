"""The rungs: what each has that the one below has not, and that the last is the GPT."""

from collections.abc import Callable

import pytest
import torch

from inkwright.config import ModelConfig, change
from inkwright.errors import SettingError
from inkwright.model import RUNGS, LogitModel, build
from inkwright.model.attention import Mask, attend, attention_weights

Make = Callable[..., LogitModel]
LECTURE = ModelConfig(shape="lecture", activation="relu", n_layer=3, n_head=4, n_embd=32, block_size=8, vocab_size=65)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("bigram", 4_225), ("linear", 4_481), ("averaging", 4_481), ("one-head", 7_553), ("many-heads", 7_553),
        ("feed-forward", 8_609), ("no-residual", 16_865), ("residual", 16_865), ("projection", 23_201), ("wide", 41_921),
        ("layernorm", 42_369),
    ],
)  # fmt: skip
def test_each_rung_of_the_lecture_has_as_many_parameters_as_published(name: str, parameters: int) -> None:
    assert build(change(LECTURE, model=name)).parameter_count == parameters


@torch.no_grad()
def test_the_last_rung_is_the_gpt_in_its_lecture_shape() -> None:
    rung, gpt = build(change(LECTURE, model="layernorm"), 3), build(LECTURE, 4)
    gpt.load_state_dict(rung.state_dict())
    idx = torch.randint(65, (2, 8), generator=torch.Generator().manual_seed(1))
    assert torch.equal(rung(idx), gpt(idx))


@torch.no_grad()
def test_the_averager_forgets_the_order_of_the_past_and_a_head_does_not(tiny_model: Make) -> None:
    forth, back = torch.tensor([[3, 5, 7, 2]]), torch.tensor([[7, 3, 5, 2]])
    for name, same in (("averaging", True), ("one-head", False)):
        model = tiny_model(name)
        model.pos_emb.weight.zero_()  # type: ignore[union-attr]
        if not same:
            model.pos_emb.weight.normal_(generator=torch.Generator().manual_seed(0))  # type: ignore[union-attr]
        assert torch.allclose(model(forth)[:, -1], model(back)[:, -1]) == same


@torch.no_grad()
def test_without_residual_connections_a_dead_block_kills_the_signal_and_with_them_it_does_not(tiny_model: Make) -> None:
    idx = torch.tensor([[3, 5, 7], [4, 6, 8]])
    for name, dies in (("no-residual", True), ("residual", False)):
        model = tiny_model(name)
        for weight in model.blocks[0].mlp.parameters():  # type: ignore[index, union-attr]
            weight.zero_()
        assert torch.equal(*model(idx)) == dies


@pytest.mark.parametrize("name", ["many-heads", "layernorm"])
def test_a_width_that_the_heads_cannot_share_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="30 is not divisible by --n-head 4"):
        change(LECTURE, model=name, n_embd=30)
    assert change(LECTURE, model="one-head", n_embd=30).n_embd == 30


def test_the_rungs_stand_in_order() -> None:
    assert list(RUNGS) == [name for name in ModelConfig.model_fields["model"].annotation.__args__ if name in RUNGS]  # type: ignore[union-attr]


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize(
    ("mask", "queries", "keys"), [("causal", 5, 5), ("full", 5, 5), ("cross", 3, 7), ("causal", 2, 5)]
)
def test_each_mask_lets_through_exactly_what_it_names(mask: Mask, queries: int, keys: int) -> None:
    rng = torch.Generator().manual_seed(2)
    q = torch.randn(1, 2, queries, 4, generator=rng, dtype=torch.float64)
    k, v = (torch.randn(1, 2, keys, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    wei = attention_weights(q, k, mask)
    torch.testing.assert_close(wei @ v, attend(q, k, v, mask=mask), rtol=0, atol=1e-12)
    for i in range(queries):
        for j in range(keys):
            may_see = mask != "causal" or j <= i + keys - queries
            assert ((wei[:, :, i, j] > 0) == may_see).all()
