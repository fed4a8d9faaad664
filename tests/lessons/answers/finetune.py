import torch


def move(table, old, new):
    places = {character: id for id, character in enumerate(old)}
    mean = table.mean(0)
    rows = [table[places[character]] if character in places else mean for character in new]
    return torch.stack(rows)


WRONG = [
    (
        "copied by id",
        "[table[places[character]] if character in places else mean for character in new]",
        "[table[id] if id < len(old) else mean for id in range(len(new))]",
    ),
    ("gets the mean of the old rows", "mean = table.mean(0)", "mean = torch.zeros_like(table[0])"),
    ("element [2, 0] of a table moved from 'abc' to 'bcd'", "table.mean(0)", "table[0]"),
    ("stops with a RuntimeError", "table.mean(0)", "table.mean()"),
    (
        "has shape (2, 3), expected (3, 3)",
        "if character in places else mean for character in new]",
        "for character in new if character in places]",
    ),
    ("stops with a KeyError", " if character in places else mean", ""),
    ("element [2, 0] of a table moved from 'abc' to 'bcd'", "table.mean(0)", "table.sum(0)"),
]
