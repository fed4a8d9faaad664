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
    ("not the target's", "-chosen.mean()", "-log_probs.mean()"),
    ("over time", "torch.log_softmax(logits, dim=-1)", "torch.log_softmax(logits, dim=1)"),
    ("is a list; a tensor", "-chosen.mean()", "[-chosen.mean()]"),
    ("is 4.174, expected 4.879", "-chosen.mean()", "torch.tensor(65.0).log()"),
]
ALSO_RIGHT = [
    ("-chosen.mean()", "float(-chosen.mean())"),
]
