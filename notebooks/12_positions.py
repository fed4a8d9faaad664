# %% [markdown] seconds=4
# # Positions
#
# Attention has no notion of space. It acts on a *set* of vectors: the weights depend on what stands there, never on
# where. (The mask says who came before, but not how far away or in which order.) Shuffle the past, and the last
# position gets exactly the same mixture.

# %%
import torch
from torch import nn

from inkwright.lessons.kit import claim, compare, encode, rung, train
from inkwright.model.attention import attend

torch.manual_seed(1337)
tokens = nn.Embedding(65, 32)
places = nn.Embedding(8, 32)


def read(x):
    """Each vector asks, offers and hands over itself."""
    return attend(x[:, None], x[:, None], x[:, None])[:, 0]


dog = torch.tensor([encode("dog man ")])
shuffled = dog[:, torch.tensor([4, 5, 6, 3, 0, 1, 2, 7])]  # "man dog "


@torch.no_grad()
def gap(table):
    """How far the last output moves when the past is shuffled."""
    return (table(dog) - table(shuffled))[:, -1].abs().max().item()


without = gap(lambda idx: read(tokens(idx)))
with_places = gap(lambda idx: read(tokens(idx) + places.weight))
print(f"the last output moves by {without:.0e} without positions")
print(f"                     and {with_places:.0e} with them")
claim("without, order is invisible", without < 1e-6)
claim("with them, it is seen", with_places > 1e-4)

# %% [markdown]
# The remedy is a second table: one learned vector for each *position*, added to the vector of the token. Position 3
# then carries a mark that says "3", and queries and keys can use it. The table is looked up by place, not by token,
# and it is added at the bottom, before attention. Marks added to the logits at the end could tell nobody anything.
#
# The table has a row for each place, so a model with 8 rows cannot read 9 characters. That is where the limit of the
# context comes from.

# %%
model = rung("linear")  # the two tables and a linear head, no attention
compare("numbers to learn", notebook=4481, here=model.parameter_count)

# %% [markdown]
# On its own the table does not help. A model with no attention still sees one character; that it is the third of its
# window says almost nothing about the next. Published runs of this rung end at 2.51, slightly *worse* than the plain
# bigram's 2.49. A thousand steps, then, of the same model without attention and with one head:

# %%
print(f"tables only    {train(rung('linear'), 1000):.3f} nats")
print(f"and one head   {train(rung('one-head'), 1000):.3f} nats")

# %% [markdown]
# Modern models mark positions otherwise. They *turn* each query and key by an angle that grows with its place (RoPE).
# The product of a query and a key then depends only on how far apart the two are, not on where the pair stands, and
# there is no table that ends. Here the same query and key, 3 places apart, at five places:

# %%
from inkwright.model.attention import rotary_table, rotate

table = rotary_table(block_size=64, head_size=16, base=10_000.0)
q, k = torch.randn(2, 16)
turned_q = rotate(q.expand(1, 1, 64, 16), table)[0, 0]
turned_k = rotate(k.expand(1, 1, 64, 16), table)[0, 0]
at = (3, 10, 20, 40, 63)
print("3 apart:", [f"{turned_q[t] @ turned_k[t - 3]:.4f}" for t in at])
print("1 apart:", [f"{turned_q[t] @ turned_k[t - 1]:.4f}" for t in at])
