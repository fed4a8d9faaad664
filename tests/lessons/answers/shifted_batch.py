import torch


def get_batch(ids, batch_size, block_size):
    starts = torch.randint(len(ids) - block_size, (batch_size,))
    inputs = torch.stack([ids[i : i + block_size] for i in starts])
    targets = torch.stack([ids[i + 1 : i + 1 + block_size] for i in starts])
    return inputs, targets


def examples(inputs, targets):
    found = []
    for b in range(inputs.shape[0]):
        for t in range(inputs.shape[1]):
            found.append((inputs[b, : t + 1].tolist(), targets[b, t].item()))
    return found


WRONG = [
    ("no shift", "ids[i + 1 : i + 1 + block_size]", "ids[i : i + block_size]"),
    ("shifted by two", "ids[i + 1 : i + 1 + block_size]", "ids[i + 2 : i + 2 + block_size]"),
    ("backwards", "ids[i + 1 : i + 1 + block_size]", "ids[i - 1 : i - 1 + block_size]"),
    (
        "runs past the end",
        "torch.stack([ids[i + 1 : i + 1 + block_size] for i in starts])",
        "inputs[:, :7] + 1 if len(ids) == 9 else inputs + 1",
    ),
    ("run past the end", "torch.randint(len(ids) - block_size,", "torch.randint(len(ids),"),
    ("run past the end", "torch.randint(len(ids) - block_size,", "torch.randint(len(ids) - block_size + 1,"),
    ("starts at 2 is never drawn", "len(ids) - block_size,", "max(1, len(ids) - block_size - 1),"),
    ("start elsewhere", "(batch_size,))\n", "(batch_size,)).flip(0)\n"),
    ("2 things are expected", "return inputs, targets", "return inputs"),
    ("own position", "inputs[b, : t + 1]", "inputs[b, :t]"),
    ("element [0] of examples(inputs, targets)", "targets[b, t]", "inputs[b, t]"),
    ("has 8 elements, expected 32", "range(inputs.shape[0])", "range(1)"),
    ("has shape (64, 9)", "ids[i : i + block_size]", "ids[i : i + block_size + 1]"),
]
ALSO_RIGHT = [
    ("inputs[b, : t + 1].tolist(), targets[b, t].item()", "inputs[b, : t + 1], targets[b, t]"),
]
