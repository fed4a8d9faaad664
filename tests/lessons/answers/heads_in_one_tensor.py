import torch


def many_heads(x, key, query, value, n_head):
    B, T, C = x.shape
    hs = C // n_head
    q = query(x).view(B, T, n_head, hs).transpose(1, 2)
    k = key(x).view(B, T, n_head, hs).transpose(1, 2)
    v = value(x).view(B, T, n_head, hs).transpose(1, 2)
    scores = q @ k.mT * hs**-0.5
    hidden = torch.ones(T, T).tril() == 0
    weights = scores.masked_fill(hidden, float("-inf")).softmax(-1)
    out = weights @ v
    return out.transpose(1, 2).reshape(B, T, C)


WRONG = [
    ("mixes time and channels", ".view(B, T, n_head, hs).transpose(1, 2)", ".view(B, n_head, T, hs)"),
    (
        "mixes time and channels",
        ".view(B, T, n_head, hs).transpose(1, 2)",
        ".view(B, n_head, T, hs)",
        "out.transpose(1, 2).reshape",
        "out.reshape",
    ),
    ("come back in a wrong order", "out.transpose(1, 2).reshape", "out.reshape"),
    (
        "cut the wrong way",
        ".view(B, T, n_head, hs).transpose(1, 2)",
        ".view(B, T, hs, n_head).permute(0, 3, 1, 2)",
        "out.transpose(1, 2)",
        "out.permute(0, 2, 3, 1)",
    ),
    ("channels of the heads are mixed", "out.transpose(1, 2)", "out.permute(0, 2, 3, 1)"),
    ("used for all", "out = weights @ v", "out = (weights @ v)[:, :1].expand(B, n_head, T, hs)"),
    ("scaled by the width of x", "hs**-0.5", "C**-0.5"),
    ("not scaled", "hs**-0.5", "1"),
    ("mask is missing", "tril() == 0", "tril() == 5"),
    ("one large head", "    hs = C", "    n_head = 1\n    hs = C"),
    ("of many_heads(x) with 3 heads is", "softmax(-1)", "softmax(-2)"),
    ("has shape (2, 3, 5, 4), expected (2, 5, 12)", "out.transpose(1, 2).reshape(B, T, C)", "out"),
]
ALSO_RIGHT = [
    ("out.transpose(1, 2).reshape(B, T, C)", "torch.cat(out.unbind(1), dim=-1)"),
]
