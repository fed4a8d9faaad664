"""No model here can see the future, and no text in a batch sees another."""

from collections.abc import Callable

import pytest
import torch

from inkwright.model import LogitModel

Make = Callable[..., LogitModel]
B, T, V = 3, 12, 29
REACH = {"bigram": (1, 1), "linear": (1, 1), "counts": (1, 3)}
"""How many predictions a token changes, for models that look only so far back: at least, at most."""


@pytest.fixture
def idx() -> torch.Tensor:
    return torch.randint(V, (B, T), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_changing_the_future_changes_nothing_before_it(model_name: str, tiny_model: Make, idx: torch.Tensor) -> None:
    model = tiny_model(model_name)
    before = model(idx)
    for t in range(1, T):
        changed = idx.clone()
        changed[:, t:] = (changed[:, t:] + 1) % V
        assert torch.equal(model(changed)[:, :t], before[:, :t]), f"positions before {t} saw it"


@torch.no_grad()
def test_changing_a_token_changes_what_follows_it(model_name: str, tiny_model: Make, idx: torch.Tensor) -> None:
    model = tiny_model(model_name)
    before = model(idx)
    for t in range(T):
        changed = idx.clone()
        changed[:, t] = (changed[:, t] + 1) % V
        differs = (model(changed) != before).any(-1)  # (B, T)
        least, most = REACH.get(model_name, (T, T))
        assert differs[:, t : t + least].all() and not differs[:, t + most :].any()


@torch.no_grad()
def test_every_position_is_read_in_its_order(shape: str, tiny_model: Make) -> None:
    forth, back = torch.tensor([[3, 5, 7]]), torch.tensor([[5, 3, 7]])
    model = tiny_model(shape)
    assert not torch.allclose(model(forth)[:, -1], model(back)[:, -1])


@torch.no_grad()
def test_texts_in_a_batch_do_not_influence_each_other(model_name: str, tiny_model: Make, idx: torch.Tensor) -> None:
    model = tiny_model(model_name)
    before = model(idx)
    for row in range(B):
        others = idx.flip(1)
        others[row] = idx[row]
        assert torch.equal(model(others)[row], before[row])


@torch.no_grad()
def test_a_text_alone_gets_the_logits_it_gets_in_a_batch(model_name: str, tiny_model: Make, idx: torch.Tensor) -> None:
    model = tiny_model(model_name)
    alone = torch.cat([model(row[None]) for row in idx])
    torch.testing.assert_close(alone, model(idx), rtol=0, atol=1e-12)
