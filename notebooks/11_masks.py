# %% [markdown] seconds=1
# # Masks: decoder, encoder, cross
#
# Attention itself knows no past and no future. Who may look at whom is decided by the mask alone, and three masks make
# three kinds of model. We shall not believe it but measure it: nudge one position of the input, and see which
# outputs move.

# %%
import torch
from torch import nn

from inkwright.lessons.kit import claim

torch.manual_seed(1337)
T, C = 6, 16
query, key, value = (nn.Linear(C, C, bias=False) for _ in range(3))


def attend(asking, answering, mask):
    scores = query(asking) @ key(answering).transpose(-2, -1) / C**0.5
    wei = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return wei @ value(answering)


@torch.no_grad()
def depends_on(function, x):
    """A table: does the output at a row move with the input at a column?"""
    moved = []
    for j in range(len(x)):
        nudged = x.clone()
        nudged[j] += 1
        moved.append((function(nudged) - function(x)).abs().amax(-1) > 1e-6)
    return torch.stack(moved, dim=1)


def draw(table):
    print("           input", *range(table.shape[1]))
    for t, row in enumerate(table.tolist()):
        marks = ("x" if moved else "." for moved in row)
        print(f"  output {t}      ", *marks)


# %% [markdown]
# **Decoder**: the triangle. Position t sees 0 to t, so its output may be asked for the character at t + 1, which it
# has not seen. Models that *write* are of this kind, ours too.

# %%
x = torch.randn(T, C)
triangle = torch.ones(T, T, dtype=torch.bool).tril()
decoder = depends_on(lambda x: attend(x, x, triangle), x)
draw(decoder)
claim("decoder: the triangle", torch.equal(decoder, triangle))

# %% [markdown]
# **Encoder**: no mask. All positions talk to all. For a question about a whole text (is this review friendly? who is
# speaking here?) nobody needs to be kept from the end. Such a model cannot be trained to guess the next character:
# it would simply look.

# %%
everyone = torch.ones(T, T, dtype=torch.bool)
encoder = depends_on(lambda x: attend(x, x, everyone), x)
draw(encoder)
claim("encoder: everything", bool(encoder.all()))

# %% [markdown]
# **Cross-attention**: the queries come from one text, the keys and values from *another*. A translator writes French
# (decoder) and looks at all of the English sentence (cross). Here 6 positions ask, and 4 others answer.

# %%
other = torch.randn(4, C)
all_of_it = torch.ones(T, 4, dtype=torch.bool)
cross = depends_on(lambda other: attend(x, other, all_of_it), other)
draw(cross)
claim("cross: all of the other", bool(cross.all()))

own = depends_on(lambda x: attend(x, other, all_of_it), x)
draw(own)
diagonal = torch.eye(T, dtype=torch.bool)
claim("cross: of its own, itself", torch.equal(own, diagonal))

# %% [markdown]
# The last table is the one to remember. Of its own text, a position in cross-attention depends on itself alone: it
# asks with its own query and gets nothing from its neighbours. A mistake there, such as keys taken from the own
# side, shows at once in such a table, and hardly ever in a loss.
#
# Two mistakes with masks are common. `triu` instead of `tril` lets every position see the future and not the past; the
# loss then looks far too good. And masking *after* softmax leaves rows that do not add up to 1:

# %%
with torch.no_grad():
    scores = query(x) @ key(x).transpose(-2, -1) / C**0.5
    late = scores.softmax(-1) * triangle
    early = scores.masked_fill(~triangle, float("-inf")).softmax(-1)
for name, weights in (("after", late), ("before", early)):
    sums = " ".join(f"{total:.2f}" for total in weights.sum(-1))
    print(f"masked {name:<6} softmax, row sums: {sums}")

# %% [markdown]
# Inkwright's `attend` knows the three by name. It has two more dimensions, for texts and for heads.

# %%
from inkwright.model.attention import attend as ours

cases = {
    "causal": (x, x, triangle),
    "full": (x, x, everyone),
    "cross": (x, other, all_of_it),
}
with torch.no_grad():
    for mask, (asks, answers, allowed) in cases.items():
        q, k, v = query(asks), key(answers), value(answers)
        found = ours(q[None, None], k[None, None], v[None, None], mask=mask)
        expected = attend(asks, answers, allowed)
        same = torch.allclose(found[0, 0], expected, atol=1e-6)
        claim(f"Inkwright, {mask}", same)
