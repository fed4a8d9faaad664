import torch


def dropout(x, p, training):
    if not training:
        return x
    keep = torch.rand(x.shape) >= p
    return x * keep / (1 - p)


def mean_loss(model, batches):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        losses = [model(batch).item() for batch in batches]
    model.train(was_training)
    return sum(losses) / len(losses)


WRONG = [
    ("must be divided by 1 - p", " / (1 - p)", ""),
    ("x[0, 0], which was handed in", "return x * keep / (1 - p)", "return x.mul_(keep / (1 - p))"),
    ("divided by p, not", "/ (1 - p)", "/ p"),
    ("share that goes", ">= p", "<= p"),
    ("training=False", "if not training:", "if False:"),
    ("divided by 1 - p all the same", "return x\n", "return x / (1 - p)\n"),
    ("the same numbers in every call", "    keep", "    torch.manual_seed(0)\n    keep"),
    ("whole rows", "torch.rand(x.shape)", "torch.rand(len(x), 1)"),
    ("dropout is on while batch 0 is judged", "    model.eval()\n", ""),
    ("is in evaluation mode afterwards", "    model.train(was_training)\n", ""),
    ("was in evaluation mode before and is in training mode", "model.train(was_training)", "model.train()"),
    (
        "dropout is on while batch 1",
        "[model(batch).item() for batch in batches]",
        "[]\n        for batch in batches:\n            losses.append(model(batch).item())\n            model.train()",
    ),
    ("gradients are kept", "torch.no_grad()", "torch.enable_grad()"),
    ("mean_loss is a Tensor", ".item()", ""),
    ("the sum over the batches", " / len(losses)", ""),
    ("the first batch only", "sum(losses) / len(losses)", "losses[0]"),
    ("the last batch only", "sum(losses) / len(losses)", "losses[-1]"),
]
ALSO_RIGHT = [
    ("torch.rand(x.shape) >= p", "torch.bernoulli(torch.full_like(x, 1 - p))"),
    ("torch.no_grad()", "torch.inference_mode()"),
]
