def scaled_attention(x, key, query):
    k, q = key(x), query(x)
    scores = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
    weights = scores.softmax(dim=-1)
    return scores, weights


WRONG = [
    ("root of C, the width of x", "k.shape[-1] ** -0.5", "x.shape[-1] ** -0.5"),
    ("multiplied by the root", "** -0.5", "** 0.5"),
    ("not scaled at all", " * k.shape[-1] ** -0.5", ""),
    ("divided by the head size itself", "** -0.5", "** -1.0"),
    ("root of T", "k.shape[-1] ** -0.5", "k.shape[-2] ** -0.5"),
    ("divided by C", "k.shape[-1] ** -0.5", "x.shape[-1] ** -1.0"),
    (
        "scaled after softmax",
        "scores = q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5",
        "plain = q @ k.transpose(-2, -1)",
        "weights = scores.softmax(dim=-1)",
        "weights = plain.softmax(-1) * k.shape[-1] ** -0.5; scores = plain * k.shape[-1] ** -0.5",
    ),
    (
        "scale before softmax",
        "return scores, weights",
        "weights = (q @ k.transpose(-2, -1)).softmax(-1) * k.shape[-1] ** -0.5\n    return weights, weights",
    ),
    ("weights of scores that were not scaled", "scores.softmax(dim=-1)", "(q @ k.transpose(-2, -1)).softmax(-1)"),
    ("wrong axis", "dim=-1)", "dim=1)"),
    ("swapped", "q @ k.transpose", "k @ q.transpose"),
    ("with head size 64 the scores have variance", "k.shape[-1] ** -0.5", "16**-0.5"),
    ("scores[0, 0, 0]", "** -0.5", "** -0.5 * 0.99"),
]
