from math import sqrt
from statistics import mean, variance


def verdict(base, trick):
    seeds = {run.seed for run in base}
    n = len(seeds)
    if n < 3 or len(base) != n or len(trick) != n or seeds != {run.seed for run in trick}:
        return "not comparable"
    if len({run.steps for run in base + trick}) > 1:
        return "not comparable"
    before, after = [run.loss for run in base], [run.loss for run in trick]
    noise = 2 * sqrt((variance(before) + variance(after)) / n)
    gain = mean(before) - mean(after)
    if abs(gain) <= noise:
        return "no difference"
    return "better" if gain > 0 else "worse"


WRONG = [
    ("one lucky seed", "mean(before) - mean(after)", "min(before) - min(after)"),
    ("one lucky seed", "noise =", "noise = 0 *"),
    ("one run with more steps", "base + trick}) > 1", "base[:1] + trick[:1]}) > 1"),
    ("twice the steps", "base + trick}) > 1", "base + trick}) > 2"),
    ("a clear gain", "gain > 0", "gain < 0"),
    (
        "one seed each",
        "n < 3",
        "n < 1",
        "(variance(before) + variance(after))",
        "(variance(before) + variance(after) if n > 1 else 0)",
    ),
    ("two seeds each", "n < 3", "n < 2"),
    ("3 runs against 4", "len(trick) != n or seeds != {run.seed for run in trick}", "False"),
    ("other seeds for the trick", "seeds != {run.seed for run in trick}", "False"),
    ("one seed counted three times", "n = len(seeds)", "n = len(base)"),
    ("a gain of less than the noise", "2 * sqrt", "sqrt"),
    ("just more than the noise", " / n)", ")"),
    ("seen in 8 steady runs", " / n)", " / 3)"),
    ("a noisy base", "(variance(before) + variance(after))", "(2 * variance(after))"),
    ("one lucky seed", "(variance(before) + variance(after))", "(2 * variance(before))"),
    ("a gain of less than the noise", "variance(", "pvariance(", "import mean, variance", "import mean, pvariance"),
    ("one of not comparable, better", '"not comparable"', '"cannot say"'),
    ("verdict is None", 'return "better" if', 'x = "better" if'),
    ("stops with", "n < 3", "n < 0"),
]
