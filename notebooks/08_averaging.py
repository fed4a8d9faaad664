# %% [markdown] seconds=1
# # Averaging the past, three ways
#
# A bigram sees one character. To see more, each position has to get something from the positions before it. The
# crudest way is an average: position t becomes the mean of positions 0 to t. It forgets the order and treats all
# alike, yet its mechanics are those of attention, so it is worth doing it slowly once. Here are 4 texts of 8 positions
# with 2 numbers (*channels*) each.

# %%
import torch

from inkwright.lessons.kit import claim, compare

torch.manual_seed(1337)
B, T, C = 4, 8, 2
x = torch.randn(B, T, C)
expected = [[0.1808, -0.0700], [-0.3596, -0.9152]]
compare("x[0], two positions", notebook=expected, here=x[0, :2])

# %% [markdown]
# **First way: a loop.** Clear, and slow. ("bow" is for *bag of words*: what is in the bag has no order.)

# %%
xbow = torch.zeros(B, T, C)
for b in range(B):
    for t in range(T):
        xbow[b, t] = x[b, : t + 1].mean(0)  # t + 1: itself included

expected = [
    [0.1808, -0.0700],
    [-0.0894, -0.4926],
    [0.1490, -0.3199],
    [0.3504, -0.2238],
    [0.3525, 0.0545],
    [0.0688, -0.0396],
    [0.0927, -0.0682],
    [-0.0341, 0.1332],
]
compare("running means of x[0]", notebook=expected, here=xbow[0])

# %% [markdown]
# **Second way: a matrix product.** A row of ones times a column adds the column up. Ones in a triangle (`tril`, the
# lower one) add up only what came before; and if each row is divided by its own sum, adding becomes averaging. The
# notebook's toy example:

# %%
torch.manual_seed(42)
ones = torch.ones(3, 3)
b = torch.randint(0, 10, (3, 2)).float()
triangle = torch.tril(ones)
averaging = triangle / triangle.sum(1, keepdim=True)
compare("b", notebook=[[2.0, 7.0], [6.0, 4.0], [6.0, 5.0]], here=b)
compare("ones @ b", notebook=[[14.0, 16.0]] * 3, here=ones @ b)
sums = [[2.0, 7.0], [8.0, 11.0], [14.0, 16.0]]
compare("triangle @ b", notebook=sums, here=triangle @ b)
means = [[2.0, 7.0], [4.0, 5.5], [4.6667, 5.3333]]
compare("normalised @ b", notebook=means, here=averaging @ b)

# %% [markdown]
# **Third way: softmax.** Begin with scores of zero, put minus infinity where a position must not look, and take the
# softmax of each row: e to the minus infinity is 0, and equal scores get equal shares. It looks like a detour. But
# zeros are only where we *begin*: as soon as the scores depend on the data, this is attention.

# %%
tril = torch.tril(torch.ones(T, T))
by_product = (tril / tril.sum(1, keepdim=True)) @ x
scores = torch.zeros(T, T).masked_fill(tril == 0, float("-inf"))
wei = scores.softmax(dim=-1)
by_softmax = wei @ x
print(wei[:4, :5])

same = torch.allclose(xbow, by_product, atol=1e-6)
claim("loop = matrix product", same)
same = torch.allclose(xbow, by_softmax, atol=1e-6)
claim("loop = softmax", same)

# %% [markdown]
# Why `atol=1e-6`? The three ways add the same numbers in another order, and floating-point sums depend on the order in
# the last digit. Near zero that is more than `allclose` forgives by itself.

# %%
gap = (xbow - by_product).abs().max().item()
print(f"largest difference: {gap:.1e}")
print("allclose without atol:", torch.allclose(xbow, by_product))

# %% [markdown]
# **A slip that does no harm.** The second notebook masks the triangle itself, `tril.masked_fill(tril == 0, -inf)`, and
# not a matrix of zeros. So the scores that are kept are 1 and not 0. After softmax nothing has changed, because softmax
# asks only how the scores of a row *differ*, and these are all equal. It is a slip all the same: with scores that come
# from the data, adding 1 to the wrong ones would matter.

# %%
slip = tril.masked_fill(tril == 0, float("-inf"))
print("a kept score: zeros", scores[3, 0].item(), "slip", slip[3, 0].item())
same = torch.equal(slip.softmax(dim=-1), wei)
claim("same weights from the slip", same)

# %% [markdown]
# And Inkwright's own attention, asked by queries that are all zero, has nothing to prefer: it averages too. That is its
# rung `averaging`.

# %%
from inkwright.model.attention import attend

nothing = torch.zeros_like(x)[:, None]  # one head
averaged = attend(nothing, x[:, None], x[:, None])[:, 0]
same = torch.allclose(averaged, xbow, atol=1e-6)
claim("loop = Inkwright's attention", same)

# %% [markdown]
# What an average cannot do: tell the order. Shuffle the past, and the mean at the last position is the same. So "the
# dog bit the man" and "the man bit the dog" are one text to it.

# %%
shuffled = x[:, torch.tensor([3, 0, 6, 2, 5, 1, 4, 7])]
moved = (wei @ shuffled - by_softmax)[:, -1].abs().max().item()
print(f"the past shuffled, the last mean moves by {moved:.0e}")

# %% tags=["plot"]
import matplotlib.pyplot as plt

plt.figure(figsize=(4, 3.5))
plt.imshow(wei)
plt.title("who gets how much from whom")
plt.xlabel("from position")
plt.ylabel("position")
plt.colorbar()
plt.show()
