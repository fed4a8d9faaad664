# %% [markdown] seconds=1
# # Attention: queries, keys and values
#
# An average takes the same share from everyone. Attention lets each position choose. Every position sends out three
# vectors, each made from its x by a matrix that is learned:
#
# - a *query*: what am I looking for?
# - a *key*: what do I have to offer?
# - a *value*: what do I hand over, if you choose me?
#
# The score between two positions is the product of the query of one with the key of the other: large when what is
# looked for matches what is offered. Softmax turns a row of scores into shares, and the output is that mixture of
# values.

# %%
import torch
from torch import nn

from inkwright.lessons.kit import claim, compare

torch.manual_seed(1337)
B, T, C, head_size = 4, 8, 32, 16
x = torch.randn(B, T, C)
key = nn.Linear(C, head_size, bias=False)
query = nn.Linear(C, head_size, bias=False)
value = nn.Linear(C, head_size, bias=False)
tril = torch.tril(torch.ones(T, T))


def attention(x):
    scores = query(x) @ key(x).transpose(-2, -1)  # (B, T, T)
    scores = scores.masked_fill(tril == 0, float("-inf"))
    return scores.softmax(dim=-1)


with torch.no_grad():
    wei = attention(x)
    out = wei @ value(x)
compare("output (B, T, hs)", notebook=[4, 8, 16], here=list(out.shape))
row = [0.1574, 0.8426, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
compare("weights of position 1", notebook=row, here=wei[0, 1])
row = [0.0210, 0.0843, 0.0555, 0.2297, 0.0573, 0.0709, 0.2423, 0.2391]
compare("weights of position 7", notebook=row, here=wei[0, 7])

# %% [markdown]
# The order in which the three layers are made matters for these figures, because each takes its random start from the
# same generator: key, query, value.
#
# Read it as a graph whose edges have weights: an arrow goes from each position to itself and to every later one, and
# attention is what flows along the arrows. Where the arrows go is fixed by the mask. How much flows is computed from
# the data, anew for each text:

# %%
for b in (0, 1):
    shares = wei[b, 7]
    best = shares.topk(3).indices.tolist()
    told = ", ".join(f"{shares[j]:.0%} from {j}" for j in best)
    print(f"text {b}: position 7 gathers {told}")

# %% [markdown]
# The same layers, the same positions, and other shares: the weights depend on what stands there. That is the whole
# difference from the average.
#
# Texts in a batch never talk to each other: there is no arrow between rows. Change one text entirely, and the outputs
# of the others do not move at all.

# %%
changed = x.clone()
changed[2] = torch.randn(T, C)
with torch.no_grad():
    moved = (attention(changed) @ value(changed) - out).abs().amax((1, 2))
print("text 2 changed; the outputs move by", [f"{m:.2f}" for m in moved])
claim("no other text moves", moved.nonzero().tolist() == [[2]])

# %% [markdown]
# Nor does the future reach the past, whatever the weights are: change position 5, and positions 0 to 4 stay.

# %%
changed = x.clone()
changed[:, 5] += 1
with torch.no_grad():
    moved = (attention(changed) @ value(changed) - out).abs().amax((0, 2))
print("moved:", ["yes" if m > 0 else "no" for m in moved])
claim("the past stays as it was", not moved[:5].any())

# %% tags=["plot"]
import matplotlib.pyplot as plt

figure, axes = plt.subplots(1, 4, figsize=(12, 3))
for b, axis in enumerate(axes):
    axis.imshow(wei[b], vmin=0, vmax=1)
    axis.set_title(f"text {b}")
plt.show()
