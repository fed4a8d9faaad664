# %% [markdown] seconds=1
# # Scaling: why divide by the square root of the head size
#
# A score is a sum of as many products as a head has channels. The more there are, the further the sum strays from zero:
# if queries and keys have variance 1, a score has the variance of the head size. Softmax of numbers far apart is
# nearly a one and the rest zeros: each position would listen to one other and be deaf to all else, at the start,
# when nothing is known yet. Dividing by the square root of the head size brings the variance back to 1.

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

k = torch.randn(B, T, head_size)
q = torch.randn(B, T, head_size)
scores = q @ k.transpose(-2, -1)
compare("variance of k", notebook=1.0449, here=k.var())
compare("variance of q", notebook=1.0700, here=q.var())
compare("of the scores", notebook=17.4690, here=scores.var())
scaled = scores * head_size**-0.5
compare("of the scaled scores", notebook=1.0918, here=scaled.var())

# %% [markdown]
# What a spread does to softmax, on five numbers. Times 8, the differences are the same in kind and the result is not.

# %%
numbers = torch.tensor([0.1, -0.2, 0.3, -0.3, 0.5])
flat = [0.1951, 0.1446, 0.2384, 0.1308, 0.2911]
compare("softmax", notebook=flat, here=numbers.softmax(-1))
peaky = [0.0327, 0.0030, 0.1618, 0.0013, 0.8013]
compare(
    "softmax of 8 times them",
    notebook=peaky,
    here=(numbers * 8).softmax(-1),
)

# %% [markdown]
# The head of the last chapter, its scores now scaled: the same order of preferences, told less loudly. Position 1
# gave itself 0.84 before, and now 0.60.

# %%
with torch.no_grad():
    scores = query(x) @ key(x).transpose(-2, -1) * head_size**-0.5
    tril = torch.tril(torch.ones(T, T))
    wei = scores.masked_fill(tril == 0, float("-inf")).softmax(dim=-1)
row = [0.3966, 0.6034, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
compare("weights of position 1", notebook=row, here=wei[0, 1])
row = [0.0845, 0.1197, 0.1078, 0.1537, 0.1086, 0.1146, 0.1558, 0.1553]
compare("weights of position 7", notebook=row, here=wei[0, 7])

# %% [markdown]
# Inkwright's own attention gives these weights too. It always scales; it has one more dimension, for the heads.

# %%
from inkwright.model.attention import attention_weights

with torch.no_grad():
    ours = attention_weights(query(x)[:, None], key(x)[:, None])[:, 0]
same = torch.allclose(ours, wei, atol=1e-6)
claim("Inkwright's weights", same)

# %% [markdown]
# Is it really the head size that counts? Three sizes, and the largest share that a position gives to anybody, on
# average over 1,000 positions with 8 to choose from. (An equal share would be 0.125.)

# %%
print("head size   variance   scaled   largest share   scaled")
for d in (16, 64, 256):
    q, k = torch.randn(1000, 1, d), torch.randn(1000, 8, d)
    raw = q @ k.transpose(-2, -1)
    fair = raw / d**0.5
    shares = [s.softmax(-1).amax(-1).mean() for s in (raw, fair)]
    print(
        f"{d:>9} {raw.var():10.1f} {fair.var():8.2f}"
        f" {shares[0]:15.2f} {shares[1]:8.2f}"
    )

# %% [markdown]
# One version of the lecture divides by the root of C, the width of x, and corrects itself later. With several heads C is
# larger than the head size; the scores then come out too small, and the heads can hardly choose. Take the size from
# the tensor that has it, `q.shape[-1]`, and the slip cannot happen.
