import torch


def layer_norm(x, gain, bias):
    mean = x.mean(-1, keepdim=True)
    variance = x.var(-1, keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + 1e-5) * gain + bias


def block(x, ln_1, attention, ln_2, mlp):
    x = x + attention(ln_1(x))
    return x + mlp(ln_2(x))


WRONG = [
    ("over the batch", "(-1, keepdim", "(0, keepdim"),
    ("over time, it must", "(-1, keepdim", "(1, keepdim"),
    ("together", "(-1, keepdim", "((1, 2), keepdim"),
    ("use n (correction=0)", ", correction=0", ""),
    ("gain and bias are missing", " * gain + bias", ""),
    ("the bias is missing", " * gain + bias", " * gain"),
    ("the gain is missing", " * gain + bias", " + bias"),
    ("by its root", "torch.sqrt(variance + 1e-5)", "(variance + 1e-5)"),
    ("mean is not taken away", "x - mean", "x"),
    ("0.00001 must be added", "variance + 1e-5", "variance"),
    (
        "norm comes after the sum",
        "x + attention(ln_1(x))",
        "ln_1(x + attention(x))",
        "x + mlp(ln_2(x))",
        "ln_2(x + mlp(x))",
    ),
    ("norm comes after attention", "attention(ln_1(x))", "ln_1(attention(x))", "mlp(ln_2(x))", "ln_2(mlp(x))"),
    ("x is not added back", "x + attention(ln_1(x))", "attention(ln_1(x))", "x + mlp(ln_2(x))", "mlp(ln_2(x))"),
    ("normalised x is added", "x + attention(ln_1(x))", "ln_1(x) + attention(ln_1(x))"),
    ("normalised x is added", "x + mlp(ln_2(x))", "ln_2(x) + mlp(ln_2(x))"),
    ("attention reads x without", "attention(ln_1(x))", "attention(x)"),
    ("mlp reads x without", "mlp(ln_2(x))", "mlp(x)"),
    ("what attention has added", "x = x + attention(ln_1(x))\n    return x +", "return x + attention(ln_1(x)) +"),
    ("the mlp is missing", "x + mlp(ln_2(x))", "x"),
    ("ln_1 and ln_2 are swapped", "x = x", "ln_1, ln_2 = ln_2, ln_1\n    x = x"),
    ("attention comes first", "x = x", "ln_1, ln_2, attention, mlp = ln_2, ln_1, mlp, attention\n    x = x"),
    ("x is not added back", "x + mlp(ln_2(x))", "mlp(ln_2(x))"),
]
