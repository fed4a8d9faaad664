import torch


def loss(logits, targets):
    log_probs = torch.log_softmax(logits, dim=-1)
    chosen = log_probs.gather(-1, targets[..., None])
    return -chosen.mean()


WRONG = [
    ("this is the sum", "chosen.mean()", "chosen.sum()"),
    ("log base 2", "-chosen.mean()", "-chosen.mean() / torch.tensor(2.0).log()"),
    ("softmax twice", "torch.log_softmax(logits, dim=-1)", "torch.log_softmax(logits.softmax(-1), dim=-1)"),
    ("minus is missing", "-chosen.mean()", "chosen.mean()"),
    ("for each token", "-chosen.mean()", "-chosen.squeeze(-1)"),
    (
        "exp(1000) is too large",
        "torch.log_softmax(logits, dim=-1)",
        "(logits.exp() / logits.exp().sum(-1, keepdim=True)).log()",
    ),
    (
        "something was added to the probabilities",
        "torch.log_softmax(logits, dim=-1)",
        "(torch.softmax(logits, dim=-1) + 1e-9).log()",
    ),
    ("cut off, expected", "log_probs.gather", "log_probs.clamp(min=-20).gather"),
    (
        "random logits (5, 4, 97)",
        "log_softmax(logits, dim=-1)",
        "log_softmax(logits[..., :65], dim=-1)",
        "targets[",
        "targets.clamp(max=64)[",
    ),
    ("not the target's", "-chosen.mean()", "-log_probs.mean()"),
    ("over time", "torch.log_softmax(logits, dim=-1)", "torch.log_softmax(logits, dim=1)"),
    ("is a list; a tensor", "-chosen.mean()", "[-chosen.mean()]"),
    ("is 4.174, expected 4.879", "-chosen.mean()", "torch.tensor(65.0).log()"),
]
ALSO_RIGHT = [
    ("-chosen.mean()", "float(-chosen.mean())"),
]
