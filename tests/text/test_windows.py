"""A batch is a pure function of (seed, step), and every token is scored exactly once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inkwright.text.windows import Windows

lengths = st.integers(2, 60)
sizes = st.integers(1, 12)


def counting(n: int, block_size: int) -> Windows:
    """Each id says where it stands."""
    return Windows(np.arange(n, dtype=np.uint16), block_size)


@pytest.mark.parametrize("order", ["random", "epoch"])
def test_a_batch_is_a_pure_function_of_seed_and_step(order: str) -> None:
    windows = counting(500, 8)
    draw = getattr(windows, order)
    idx, targets = draw(3, 4, 7)
    torch.rand(1)  # the global generator has no part in it
    draw(9, 2, 1)
    again, again_targets = getattr(counting(500, 8), order)(3, 4, 7)
    assert torch.equal(idx, again) and torch.equal(targets, again_targets)
    assert not torch.equal(idx, draw(4, 4, 7)[0])
    assert not torch.equal(idx, draw(3, 4, 8)[0])


@given(n=lengths, T=sizes, step=st.integers(0, 50), seed=st.integers(0, 9))
@pytest.mark.parametrize("order", ["random", "epoch"])
def test_targets_are_the_ids_one_place_later_and_no_window_leaves_the_text(
    order: str, n: int, T: int, step: int, seed: int
) -> None:
    windows = counting(n + T, T)
    idx, targets = getattr(windows, order)(step, 5, seed)
    assert idx.shape == targets.shape == (5, T) and idx.dtype == targets.dtype == torch.int64
    assert torch.equal(targets, idx + 1)
    assert torch.equal(idx, idx[:, :1] + torch.arange(T))  # neighbours stay neighbours
    assert idx.min() >= 0 and targets.max() < n + T


def test_random_windows_reach_both_ends_of_the_text() -> None:
    idx, targets = counting(12, 8).random(0, 400, 0)
    assert idx[:, 0].unique().tolist() == [0, 1, 2, 3] and targets.max() == 11


def test_random_windows_are_drawn_evenly() -> None:
    starts = counting(18, 8).random(0, 10_000, 0)[0][:, 0]
    assert torch.bincount(starts).sub(1000).abs().max() < 150  # 5 standard deviations


@given(n=lengths, T=sizes, batch_size=sizes, seed=st.integers(0, 9))
def test_an_epoch_visits_every_window_once_before_any_comes_twice(n: int, T: int, batch_size: int, seed: int) -> None:
    windows = counting(n + T, T)
    per_epoch = (n + T - 1) // T
    steps = -(-3 * per_epoch // batch_size)
    starts = torch.cat([windows.epoch(step, batch_size, seed)[0][:, 0] for step in range(steps)])
    for epoch in range(3):  # batches may reach across its borders
        mine = starts[epoch * per_epoch : (epoch + 1) * per_epoch].sort().values
        offset = mine[0]
        assert torch.equal(mine, offset + T * torch.arange(per_epoch)) and 0 <= offset < T


def test_each_epoch_has_an_order_and_an_offset_of_its_own() -> None:
    starts = counting(107, 10).epoch(0, 50, 0)[0][:, 0].view(5, 10)
    assert len({tuple((epoch // 10).tolist()) for epoch in starts}) == 5
    assert len({int(epoch.min()) for epoch in starts}) > 1


@given(n=lengths, T=sizes, batch_size=sizes)
def test_all_scores_every_token_but_the_first_once_and_in_order(n: int, T: int, batch_size: int) -> None:
    batches = list(counting(n, T).all(batch_size))
    assert torch.equal(torch.cat([targets.flatten() for _, targets in batches]), torch.arange(1, n))
    assert all(torch.equal(targets, idx + 1) for idx, targets in batches)
    assert all(len(idx) <= batch_size and 0 < idx.shape[1] <= T for idx, _ in batches)
    assert all(idx.shape[1] == T for idx, _ in batches[:-1])


def test_the_windows_of_all_do_not_depend_on_the_batch_size() -> None:
    one, many = ([row.tolist() for idx, _ in counting(50, 7).all(size) for row in idx] for size in (1, 100))
    assert one == many


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_ids_of_any_width_become_indices(dtype: type) -> None:
    ids = np.full(20, np.iinfo(dtype).max, dtype)
    for idx, _ in [Windows(ids, 4).random(0, 2, 0), *Windows(ids, 4).all(3)]:
        assert idx.unique().tolist() == [np.iinfo(dtype).max]
