import random

import torch


def batch(problems):
    rows = [[int(digit) for digit in f"{a:02}{b:02}" + f"{a + b:03}"[::-1]] for a, b in problems]
    rows = torch.tensor(rows)
    targets = rows[:, 1:].clone()
    targets[:, :3] = -100
    return rows[:, :-1], targets


def split(seed):
    rng = random.Random(seed)
    train, test = [], []
    for a in range(100):
        for b in range(a, 100):
            side = test if rng.random() < 0.1 else train
            side += [(a, b), (b, a)] if a != b else [(a, b)]
    return train, test


WRONG = [
    ("loss is on the prompt", "    targets[:, :3] = -100\n", ""),
    ("first digit of the answer is masked", "[:, :3]", "[:, :4]"),
    ("a digit of b is not masked", "[:, :3]", "[:, :2]"),
    ("no shift", "rows[:, 1:]", "rows[:, :-1]"),
    ("written forwards", "[::-1]", ""),
    ("inputs of [(38, 7), (0, 0), (99, 99)] has shape (3, 7)", "return rows[:, :-1], targets", "return rows, targets"),
    ("stops with a ValueError", "{a:02}{b:02}", "{a}{b}"),
    ("mirror (", "range(a, 100)", "range(100)", "[(a, b), (b, a)] if a != b else [(a, b)]", "[(a, b)]"),
    ("is in train and in test", "return train, test", "return train + test, test"),
    (
        "neither in train nor in test",
        "return train, test",
        "return [problem for problem in train if problem != (3, 4)], test",
    ),
    ("the seed must decide", "random.Random(seed)", "random.Random()"),
    ("the seed is not used", "random.Random(seed)", "random.Random(0)"),
    ("expected 500 to 1,500", "< 0.1", "< 0.5"),
    ("not drawn at random", "rng.random() < 0.1", "a + b > 150"),
    ("more than once", "[(a, b), (b, a)] if a != b else [(a, b)]", "[(a, b), (b, a)]"),
    ("train is an int", "return train, test", "return len(train), test"),
    ("test holds 1", "return train, test", "return train, [1]"),
]
