import torch


def causal_weights(scores):
    T = scores.shape[-1]
    seen = torch.tril(torch.ones(T, T, dtype=torch.bool))
    scores = scores.masked_fill(~seen, float("-inf"))
    return scores.softmax(dim=-1)


WRONG = [
    ("the mask is missing", "masked_fill(~seen,", "masked_fill(torch.zeros_like(seen),"),
    ("upside down", "torch.tril(", "torch.triu("),
    (
        "after softmax",
        'scores.masked_fill(~seen, float("-inf"))',
        "scores.softmax(-1)",
        "return scores.softmax(dim=-1)",
        "return scores * seen",
    ),
    ("wrong axis", "dim=-1", "dim=-2"),
    ("wrong axis", "dim=-1", "dim=1"),
    ("use minus infinity", 'float("-inf")', "0"),
    ("one too far", "dtype=torch.bool)", "dtype=torch.bool), 1"),
    ("position 0 must read itself", "dtype=torch.bool)", "dtype=torch.bool), -1"),
    ("weights[0, 0,", 'float("-inf")', "-10"),
    ("is nan", "dim=-1", "dim=0"),
    ("stops with a RuntimeError", "torch.ones(T, T, dtype=torch.bool))", "torch.ones(8, 8, dtype=torch.bool))[:T, :T]"),
    ("is -inf", "scores.softmax(dim=-1)", "scores"),
    ("weights[0, 0, 0]: row 0 gives 0.25", "scores.softmax(dim=-1)", "torch.full((1, T, T), 0.25)"),
]
ALSO_RIGHT = [
    ('scores.masked_fill(~seen, float("-inf"))', "scores - 1e9 * ~seen"),
    (
        'scores.masked_fill(~seen, float("-inf"))',
        "scores.exp() * seen",
        "scores.softmax(dim=-1)",
        "scores / scores.sum(-1, keepdim=True)",
    ),
]
