import torch
from torch import nn


def one_head(x, head_size):
    C = x.shape[-1]
    key = nn.Linear(C, head_size, bias=False)
    query = nn.Linear(C, head_size, bias=False)
    value = nn.Linear(C, head_size, bias=False)
    scores = query(x) @ key(x).transpose(-2, -1)
    seen = torch.tril(torch.ones(x.shape[1], x.shape[1]))
    scores = scores.masked_fill(seen == 0, float("-inf"))
    weights = scores.softmax(dim=-1)
    return weights, weights @ value(x)


WRONG = [
    ("are scaled", "query(x) @ key(x).transpose(-2, -1)", "query(x) @ key(x).transpose(-2, -1) * head_size**-0.5"),
    ("width of x", "query(x) @ key(x).transpose(-2, -1)", "query(x) @ key(x).transpose(-2, -1) * C**-0.5"),
    ("value is skipped", "weights @ value(x)", "weights @ x[..., :head_size]"),
    ("(4, 8, 32), expected (4, 8, 16)", "weights @ value(x)", "weights @ x"),
    ("mask is missing", "seen == 0", "seen == 5"),
    (
        "created in another order",
        "    key = nn.Linear(C, head_size, bias=False)\n",
        "",
        "    value =",
        "    key = nn.Linear(C, head_size, bias=False)\n    value =",
    ),
    (
        "created in another order",
        "    value = nn.Linear(C, head_size, bias=False)\n",
        "",
        "    key =",
        "    value = nn.Linear(C, head_size, bias=False)\n    key =",
    ),
    ("swapped", "query(x) @ key(x).transpose", "key(x) @ query(x).transpose"),
    ("wrong axis", "dim=-1", "dim=1"),
    (
        "weights[0,",
        "torch.tril(torch.ones(x.shape[1], x.shape[1]))",
        "torch.tril(torch.ones(x.shape[1], x.shape[1]), 1)",
    ),
    (
        "stops with a RuntimeError",
        "torch.tril(torch.ones(x.shape[1], x.shape[1]))",
        "torch.tril(torch.ones(8, 8))[: x.shape[1], : x.shape[1]]",
    ),
    ("gather keys", "weights @ value(x)", "weights @ key(x)"),
    ("nothing was gathered", "weights @ value(x)", "value(x)"),
    ("weights are transposed", "weights @ value(x)", "weights.mT @ value(x)"),
    ("weights[0,", "bias=False", "bias=True"),
    (
        "weights has shape (4, 8, 16), expected (4, 8, 8)",
        "return weights, weights @ value(x)",
        "return weights @ value(x), weights",
    ),
]
