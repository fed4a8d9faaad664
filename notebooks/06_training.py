# %% [markdown] seconds=11
# # Training, and estimating the loss
#
# Training repeats four lines. Compute the loss of a batch; compute its *gradient*, the direction in which each number
# of the table would make the loss grow fastest; take a small step the other way; forget the gradient. AdamW is the
# optimizer that decides how long each step is.

# %%
import torch
import torch.nn.functional as F
from torch import nn

from inkwright.lessons.kit import compare, get_batch, train_ids, val_ids

train, val = train_ids(), val_ids()


def loss_of(table, x, y):
    return F.cross_entropy(table(x).view(-1, 65), y.reshape(-1))


def step(table, optimizer):
    loss = loss_of(table, *get_batch(train, batch_size=32))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item()


# %% [markdown]
# The first notebook takes 10,000 such steps with a learning rate of 0.001 and then prints the loss of the last batch. It
# printed about 2.46. Such a number is mostly luck: one batch is 256 characters, and another batch would have given
# another number. So anything from 2.3 to 2.6 counts as the same.

# %%
torch.manual_seed(1337)
table = nn.Embedding(65, 65)
optimizer = torch.optim.AdamW(table.parameters(), lr=1e-3)
losses = [step(table, optimizer) for _ in range(10_000)]
compare("loss of the last batch", notebook=(2.3, 2.6), here=losses[-1])
last = torch.tensor(losses[-100:])
print(f"the last 100 batches: {last.min():.2f} to {last.max():.2f}")

# %% [markdown]
# The second notebook does better: every 300 steps it *estimates* the loss, by averaging 200 batches of each part without
# training on them. `no_grad` says that no gradient will be asked for, which saves time and memory. And it learns ten
# times faster: for a table, 0.01 is not too much.

# %%


@torch.no_grad()
def estimate_loss(table):
    means = []
    # In this order: both draw from the one generator.
    for part in (train, val):
        drawn = [
            loss_of(table, *get_batch(part, 32)).item() for _ in range(200)
        ]
        means.append(torch.tensor(drawn).mean().item())
    return means


torch.manual_seed(1337)
table = nn.Embedding(65, 65)
optimizer = torch.optim.AdamW(table.parameters(), lr=1e-2)
estimates = {}
for i in range(3000):
    if i % 300 == 0:
        estimates[i] = estimate_loss(table)
    step(table, optimizer)

# %% [markdown]
# Ten pairs of numbers, all digits the same: the same weights, the same batches, the same arithmetic in the same order.

# %%
printed = {
    0: (4.7305, 4.7241),
    300: (2.8110, 2.8249),
    600: (2.5434, 2.5682),
    900: (2.4932, 2.5088),
    1200: (2.4863, 2.5035),
    1500: (2.4665, 2.4921),
    1800: (2.4683, 2.4936),
    2100: (2.4696, 2.4846),
    2400: (2.4638, 2.4879),
    2700: (2.4738, 2.4911),
}
for i, (train_loss, val_loss) in printed.items():
    compare(f"step {i}, train", notebook=train_loss, here=estimates[i][0])
    compare(f"step {i}, val", notebook=val_loss, here=estimates[i][1])

# %% [markdown]
# Look at the last rows: they go up and down by 0.01 although the table hardly changes any more. That is the noise of 200
# random batches. But we need not draw at all. The text is finite: score every character once, and the result has no
# luck in it. This is how Inkwright judges every model.

# %%
with torch.no_grad():
    whole = [("train", train, 2.4612), ("val", val, 2.4889)]
    for name, part, published in whole:
        exact = F.cross_entropy(table(part[:-1]), part[1:])
        compare(f"whole split, {name}", notebook=published, here=exact)

# %% [markdown]
# And is 2.49 good? A table that was never trained, but *counted*, says so: how often did each character follow each
# other one? That takes milliseconds and no gradient, and it is what the training was looking for all the time. No
# model that sees one character can do much better; to get lower, the model must see more of the past.

# %%
pairs = torch.bincount(train[:-1] * 65 + train[1:], minlength=65 * 65).view(
    65, 65
)
counted = (pairs + 1.0) / (pairs + 1.0).sum(1, keepdim=True)
by_counting = -counted[val[:-1], val[1:]].log().mean()
compare(
    "by counting pairs, val", notebook=2.482, here=by_counting, digits=3
)

# %% tags=["plot"]
import matplotlib.pyplot as plt

plt.figure(figsize=(8, 3))
plt.plot(
    list(estimates),
    list(estimates.values()),
    marker="o",
    label=["train", "val"],
)
plt.axhline(
    by_counting, linestyle="--", color="grey", label="counting pairs"
)
plt.xlabel("step")
plt.ylabel("nats per character")
plt.ylim(2.4, 3)
plt.legend()
plt.show()
