# %% [markdown] seconds=6
# # Feed-forward: think alone
#
# Attention is communication: it collects. What it collects is a weighted sum, and a sum of sums is only a sum, so
# nothing has been worked out yet. The feed-forward part is the computation: each position by itself, without looking
# at any other, puts its vector through a small network. Read from the others, then think alone.

# %%
import torch
from torch import nn

from inkwright.lessons.kit import claim, compare, rung, train

C = 32
feed_forward = nn.Sequential(nn.Linear(C, C), nn.ReLU())
model = rung("feed-forward")  # heads, then this
compare("numbers to learn", notebook=8609, here=model.parameter_count)

# %% [markdown]
# It must not mix positions. Nudge position 3: its output moves, and no other.

# %%
torch.manual_seed(1337)
x = torch.randn(1, 8, C)
nudged = x.clone()
nudged[:, 3] += 1
with torch.no_grad():
    moved = (feed_forward(nudged) - feed_forward(x)).abs().amax((0, 2)) > 0
print("moved:", ["yes" if m else "no" for m in moved])
claim("position 3 and no other", moved.nonzero().tolist() == [[3]])

# %% [markdown]
# The bend in the middle (ReLU: what is below zero becomes zero) is the point. Without it, two linear layers one behind
# the other are one linear layer, whatever their width:

# %%
first = nn.Linear(C, 4 * C, bias=False)
second = nn.Linear(4 * C, C, bias=False)
one_matrix = second.weight @ first.weight
with torch.no_grad():
    gap = (second(first(x)) - x @ one_matrix.T).abs().max().item()
print(f"two layers without a bend, and one: they differ by {gap:.0e}")

# %% [markdown]
# Published for this rung, after 5,000 steps: 2.24 nats, where four heads alone had 2.29. Here 1,000 steps of each, on the
# same batches: too few to see a gain. A new part needs time to become useful.

# %%
for name in ("many-heads", "feed-forward"):
    loss = train(rung(name), 1000)
    print(f"{name:<13} {loss:.3f} nats after 1,000 steps")

# %% [markdown]
# In the full GPT the inner layer is four times as wide as x. Most of a GPT's parameters sit here: in each block 8 C^2 of
# them, against 4 C^2 in its attention.
