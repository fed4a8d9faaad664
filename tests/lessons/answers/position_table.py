import torch


def without_positions(idx, tok_emb, read_past, lm_head):
    return lm_head(read_past(tok_emb(idx)))


def with_positions(idx, tok_emb, pos_emb, read_past, lm_head):
    places = torch.arange(idx.shape[1])
    x = tok_emb(idx) + pos_emb(places)
    return lm_head(read_past(x))


WRONG = [
    ("positions are missing", " + pos_emb(places)", ""),
    ("indexed by token id", "pos_emb(places)", "pos_emb(idx)"),
    (
        "added to the logits",
        " + pos_emb(places)",
        "",
        "lm_head(read_past(x))",
        "lm_head(read_past(x)) + lm_head(pos_emb(places))",
    ),
    (
        "after the past was read",
        " + pos_emb(places)",
        "",
        "lm_head(read_past(x))",
        "lm_head(read_past(x) + pos_emb(places))",
    ),
    ("count from 1", "torch.arange(idx.shape[1])", "torch.arange(idx.shape[1]) + 1"),
    ("backwards", "torch.arange(idx.shape[1])", "torch.arange(idx.shape[1]).flip(0)"),
    ("the past is not read", "lm_head(read_past(x))", "lm_head(x)"),
    ("position 0", "torch.arange(idx.shape[1])", "torch.zeros(idx.shape[1], dtype=torch.long)"),
    ("stops with a RuntimeError", "pos_emb(places)", "pos_emb.weight"),
    ("without_positions(idx)[0, 0, 0]", "lm_head(read_past(tok_emb(idx)))", "lm_head(read_past(tok_emb(idx) + 1))"),
]
