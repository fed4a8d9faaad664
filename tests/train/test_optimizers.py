"""Muon and row Adagrad, held against torch's own where torch has the same."""

import torch
from torch.optim import Adagrad
from torch.optim import Muon as TorchMuon

from inkwright.train.muon import Muon, orthogonal
from inkwright.train.row_adagrad import RowAdagrad, coalesced


def test_muon_moves_many_matrices_at_once_as_torch_moves_them_one_by_one() -> None:
    torch.manual_seed(0)
    sizes = [(8, 8), (8, 8), (8, 24), (24, 8)]
    ours, theirs = ([torch.nn.Parameter(p.clone()) for p in start] for start in [[torch.randn(s) for s in sizes]] * 2)
    together = Muon(ours, lr=0.1, weight_decay=0.2)
    alone = TorchMuon(theirs, lr=0.1, weight_decay=0.2, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        together.step()
        alone.step()
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, atol=0.02), (a - b).abs().max()  # both compute in half precision


def test_a_stack_of_matrices_is_made_orthogonal_one_by_one() -> None:
    stack = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    found = orthogonal(stack)
    values = torch.linalg.svdvals(found.float())
    assert found.shape == stack.shape and values.min() > 0.3 and values.max() < 1.4
    assert torch.allclose(found[1, 2], orthogonal(stack[1, 2:3])[0], atol=0.02)


def test_adagrad_of_rows_of_one_number_is_adagrad() -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(6, 1)) for _ in range(2))
    rows, plain = RowAdagrad([ours], lr=0.01, rate=10), Adagrad([theirs], lr=0.1, eps=1e-30)
    for touched in ([0, 2], [2, 5], [0, 1, 2, 3, 4, 5]):
        values = torch.randn(len(touched), 1)
        ours.grad = torch.sparse_coo_tensor(torch.tensor([touched]), values, ours.shape, check_invariants=True)
        theirs.grad = ours.grad.to_dense()
        rows.step()
        plain.step()
    assert torch.allclose(ours, theirs)


def test_a_row_that_comes_twice_is_one_row() -> None:
    twice = torch.sparse_coo_tensor(torch.tensor([[3, 1, 3]]), torch.ones(3, 2), (5, 2), check_invariants=True)
    assert coalesced(twice).indices().tolist() == [[1, 3]]
    assert coalesced(twice).values().tolist() == [[1.0, 1.0], [2.0, 2.0]]
