import torch


def bigram_table(ids, vocab_size):
    train = ids[: int(0.9 * len(ids))]
    pairs = train[:-1] * vocab_size + train[1:]
    counts = torch.bincount(pairs, minlength=vocab_size**2)
    counts = counts.view(vocab_size, vocab_size) + 1
    return counts / counts.sum(1, keepdim=True)


WRONG = [
    ("last 10 % were counted too", "ids[: int(0.9 * len(ids))]", "ids"),
    ("not normalised", "counts / counts.sum(1, keepdim=True)", "counts.float()"),
    ("each column is normalised", "sum(1, keepdim=True)", "sum(0, keepdim=True)"),
    ("each column is normalised", "sum(1, keepdim=True)", "sum(0)"),
    ("row 0", "sum(1, keepdim=True)", "sum(1)"),
    ("1 was not added", "vocab_size) + 1", "vocab_size)"),
    ("swapped", "train[:-1] * vocab_size + train[1:]", "train[1:] * vocab_size + train[:-1]"),
    ("whole table", "counts.sum(1, keepdim=True)", "counts.sum()"),
    (
        "has shape (9,)",
        "vocab_size) + 1\n    return counts / counts.sum(1, keepdim=True)",
        "vocab_size) + 1\n    return (counts / counts.sum(1, keepdim=True)).flatten()",
    ),
]
