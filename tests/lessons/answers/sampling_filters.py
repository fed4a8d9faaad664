import torch


def temperature(logits, t):
    return torch.softmax(logits / t, dim=-1)


def top_k(probs, k):
    order = probs.sort(descending=True, stable=True).indices
    kept = torch.zeros_like(probs)
    kept[order[:k]] = probs[order[:k]]
    return kept / kept.sum()


def top_p(probs, p):
    values, order = probs.sort(descending=True, stable=True)
    before = values.cumsum(-1) - values
    chosen = order[before < p]
    kept = torch.zeros_like(probs)
    kept[chosen] = probs[chosen]
    return kept / kept.sum()


WRONG = [
    ("after softmax", "torch.softmax(logits / t, dim=-1)", "torch.softmax(logits, dim=-1) / t"),
    ("after softmax", "torch.softmax(logits / t, dim=-1)", "torch.softmax(torch.softmax(logits, dim=-1) / t, dim=-1)"),
    ("temperature is not used", "logits / t", "logits"),
    ("multiplied by the temperature", "logits / t", "logits * t"),
    ("logits[0], which was handed in,", "logits / t", "logits.div_(t)"),
    (
        "probs[2], which was handed in, is another afterwards",
        "    kept = torch.zeros_like(probs)\n    kept[order[:k]] = probs[order[:k]]",
        "    kept = probs\n    kept[order[k:]] = 0",
    ),
    ("softmax is missing", "torch.softmax(logits / t, dim=-1)", "logits / t"),
    ("k-th token is left out", "order[:k]", "order[: k - 1]"),
    ("one token too many", "order[:k]", "order[: k + 1]"),
    (
        "more than k are kept",
        "    kept[order[:k]] = probs[order[:k]]",
        "    kept = torch.where(probs >= probs[order[:k]].min(), probs, 0)",
    ),
    (
        "smaller id wins",
        "order = probs.sort(descending=True, stable=True).indices",
        "order = probs.sort(stable=True).indices.flip(0)",
    ),
    (
        "divided by its sum",
        "kept[order[:k]] = probs[order[:k]]\n    return kept / kept.sum()",
        "kept[order[:k]] = probs[order[:k]]\n    return kept",
    ),
    (
        "least likely",
        "order = probs.sort(descending=True, stable=True).indices",
        "order = probs.sort(stable=True).indices",
    ),
    ("back to its id", "kept[order[:k]] = probs[order[:k]]", "kept[: len(order[:k])] = probs[order[:k]]"),
    ("first k ids", "kept[order[:k]] = probs[order[:k]]", "kept[:k] = probs[:k]"),
    (
        "stops with a RuntimeError",
        "    kept[order[:k]] = probs[order[:k]]",
        "    order = probs.topk(k).indices\n    kept[order] = probs[order]",
    ),
    ("crosses p is dropped", "before < p", "before + values <= p"),
    ("crosses p is dropped", "before < p", "before + values < p"),
    ("stop where the sum reaches p", "before < p", "before <= p"),
    (
        "smaller id wins",
        "values, order = probs.sort(descending=True, stable=True)",
        "values, order = (t.flip(0) for t in probs.sort(stable=True))",
    ),
    (
        "divided by its sum",
        "kept[chosen] = probs[chosen]\n    return kept / kept.sum()",
        "kept[chosen] = probs[chosen]\n    return kept",
    ),
    ("the sum counts", "order[before < p]", "probs >= p"),
    (
        "sort first",
        "values, order = probs.sort(descending=True, stable=True)",
        "values, order = probs, torch.arange(len(probs))",
    ),
    ("one token too many", "before < p", "before < p + 0.1"),
]
