import torch


def loop_mean(x):
    out = torch.zeros_like(x)
    for t in range(x.shape[1]):
        out[:, t] = x[:, : t + 1].mean(1)
    return out


def matrix_mean(x):
    T = x.shape[1]
    weights = torch.tril(torch.ones(T, T))
    weights = weights / weights.sum(1, keepdim=True)
    return weights @ x


def softmax_mean(x):
    T = x.shape[1]
    tril = torch.tril(torch.ones(T, T))
    weights = torch.zeros(T, T).masked_fill(tril == 0, float("-inf"))
    return torch.softmax(weights, dim=-1) @ x


WRONG = [
    ("loop_mean(x)[0, 0, 0] is nan", ": t + 1].mean(1)", ":t].mean(1)"),
    (
        "current position is left out",
        "torch.tril(torch.ones(T, T))\n    weights = weights / weights.sum(1, keepdim=True)",
        "torch.tril(torch.ones(T, T), -1)\n    weights = weights / weights.sum(1, keepdim=True).clamp(min=1)",
    ),
    ("divided by T", ": t + 1].mean(1)", ": t + 1].sum(1) / x.shape[1]"),
    ("divided by T", "weights.sum(1, keepdim=True)", "T"),
    ("one too far", "weights = torch.tril(torch.ones(T, T))", "weights = torch.tril(torch.ones(T, T), 1)"),
    ("one too far", ": t + 1].mean(1)", ": t + 2].mean(1)"),
    ("the sum, not the mean", ": t + 1].mean(1)", ": t + 1].sum(1)"),
    ("upper triangle", "tril = torch.tril(", "tril = torch.triu("),
    ("nothing is masked", "tril == 0", "tril == 5"),
    ("columns", "weights.sum(1, keepdim=True)", "weights.sum(0)"),
    ("softmax_mean(x)[0, 0, 0]", "dim=-1", "dim=0"),
    ("has shape (4, 2)", ": t + 1].mean(1)\n    return out", ": t + 1].mean(1)\n    return out[:, -1]"),
    ("loop_mean(x)[0, 1, 0]", "out[:, t] = x[:, : t + 1].mean(1)", "out[:, t] = x[:, t]"),
]
ALSO_RIGHT = [
    ("torch.zeros(T, T).masked_fill", "tril.masked_fill"),
]
