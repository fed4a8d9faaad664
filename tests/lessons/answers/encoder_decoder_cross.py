import torch


def attend(q, k, v):
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v


def encoder(x, key, query, value):
    return attend(query(x), key(x), value(x))


def decoder(x, key, query, value):
    scores = query(x) @ key(x).mT * key(x).shape[-1] ** -0.5
    T = x.shape[1]
    hidden = torch.ones(T, T).tril() == 0
    return scores.masked_fill(hidden, float("-inf")).softmax(-1) @ value(x)


def cross(x, other, key, query, value):
    return attend(query(x), key(other), value(other))


WRONG = [
    ("An encoder has none", "attend(query(x), key(x), value(x))", "decoder(x, key, query, value)"),
    ("must come from the other text", "key(other), value(other)", "key(x), value(x)"),
    (
        "its query must be made of x",
        "attend(query(x), key(other)",
        "attend(query(other)[:, :1] + 0 * query(x), key(other)",
    ),
    ("decoder: position 0 reads position 1 of x and may not: the mask is missing", "tril() == 0", "tril() == 5"),
    ("decoder: position 0 reads position 1", "torch.ones(T, T).tril()", "torch.ones(T, T).tril(1)"),
    ("all of its past", "torch.ones(T, T).tril()", "torch.eye(T)"),
    ("is the triangle upside down", "torch.ones(T, T).tril()", "torch.ones(T, T).triu()"),
    ("not scaled", "    return (q @ k.mT * q.shape[-1] ** -0.5)", "    return (q @ k.mT)"),
    ("decoder(x)[0, 1", "key(x).shape[-1] ** -0.5", "1"),
    ("cross has shape", "query(x), key(other), value(other)", "query(other), key(x), value(x)"),
    ("wrong axis", "(q @ k.mT * q.shape[-1] ** -0.5).softmax(-1)", "(q @ k.mT * q.shape[-1] ** -0.5).softmax(-2)"),
]
